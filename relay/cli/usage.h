/* usage.h -- the usage texts of the commands (cli_main.c) taken apart: their words and options, for completion. */
#ifndef CLI_USAGE_H
#define CLI_USAGE_H

#include "cli/commands.h"
#include "postern/arena.h"

#define USAGE_WORDS_MAX 64
#define USAGE_OPTIONS_MAX 64

enum usage_value { USAGE_NONE, USAGE_ANY, USAGE_FILE, USAGE_WORDS };
struct usage_option {
	struct span name;	/* "--json" */
	enum usage_value value;
	struct span words;	/* USAGE_WORDS: "en|fr" */
};
struct usage {
	struct span words[USAGE_WORDS_MAX];	/* first words: "list", "show" */
	size_t nwords;
	struct usage_option options[USAGE_OPTIONS_MAX];
	size_t noptions;
	bool files;		/* somewhere it takes a FILE, DIR or FOLDER */
};
void usage_parse(const struct command *c, struct usage *out);

#endif
