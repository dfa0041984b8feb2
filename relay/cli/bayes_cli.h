/* bayes_cli.h -- what the files of `postern bayes` share. */
#ifndef CLI_BAYES_CLI_H
#define CLI_BAYES_CLI_H

#include "cli/control_client.h"
#include "postern/bayes.h"

struct bayes_secret {
	bool there;
	char hex[2 * sizeof(struct bayes_key) + 1];
	struct bayes_key key;
	uint64_t spam, ham;
	int64_t since;
};
/* Of the running store; else the exit status, said why. */
int bayes_secret(const struct cli *cli, struct bayes_secret *s);

/* cmd_bayes_copy.c; path NULL: stdout */
int bayes_export(const char *path, const struct cli *cli);
int bayes_import(int argc, char **argv, const struct cli *cli);	/* FILE [--yes] */

#endif
