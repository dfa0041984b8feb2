/* record_words.h -- what the journal takes out of a verdict's record (explain.c): what it is searched by. */
#ifndef STORE_RECORD_WORDS_H
#define STORE_RECORD_WORDS_H

#include "postern/arena.h"

#define RECORD_NAMES_MAX 200	/* files, rules; what is more is in the record, and not searched */

struct record_words {
	struct span subject;	/* "": there is none, or it stays out */
	struct span *files, *rules;	/* names; rules that hit for anybody, each once */
	size_t nfiles, nrules;
};

/* Any bytes; of what is no record nothing or something is found. Borrows from the record and the arena. */
void record_words(struct span record, struct arena *a, struct record_words *w);

#endif
