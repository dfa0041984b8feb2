/* bundle_cli.h -- what the two files of `postern bundle` share: cmd_bundle.c and cmd_bundle_apply.c. */
#ifndef CLI_BUNDLE_CLI_H
#define CLI_BUNDLE_CLI_H

#include "bundle/folder.h"
#include "cli/cli.h"

struct bundle_args {
	const char *file, *key, *out, *trust;
	const char *to[BUNDLE_KEYS_MAX];
	size_t nto;
	int64_t serial;			/* 0: now */
	bool force, without_secrets, node, brief;
};

int bundle_check(const struct bundle_args *args, const struct cli *cli);
int bundle_apply(const struct bundle_args *args, const struct cli *cli);

/* `postern check` of that postern.yaml, in a process of its own; *said: what it printed. files: it names those
 * that the policy refers to. The exit status. */
int bundle_try(const char *config_path, bool files, struct buf *said);
/* The folder of the configuration, links followed; the path itself when it is not there. */
const char *bundle_folder(struct arena *a, const struct cli *cli);
int bundle_say(const struct err *err);	/* on stderr; CLI_FINDINGS */

#endif
