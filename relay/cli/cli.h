/* cli.h -- what every command of the tool `postern` is given.
 *
 * A command is `int cmd_NAME(int argc, char **argv, const struct cli *cli)`;
 * argv[0] is its own name, options of the tool itself (-c, --json) are taken
 * out before. It returns the exit status: one of enum cli_exit.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>

#include "master/config.h"

#define CLI_CONFIG_DEFAULT "/etc/postern/postern.yaml"

enum cli_exit { CLI_OK = 0, CLI_FINDINGS = 1, CLI_USAGE = 2, CLI_UNREACHABLE = 3 };

struct cli {
	const char *config_path;	/* -c FILE, else CLI_CONFIG_DEFAULT; never NULL */
	bool json;			/* --json */
	bool colour;			/* a terminal, and no NO_COLOR */
	bool quiet;			/* `check`: say nothing when all is well */
	bool list_files;		/* `check`: name the files the policy refers to */
	struct config *conf;		/* NULL until loaded */
	/* Instead of the control socket: a descriptor to read the answer from, or -1. NULL: the socket. */
	int (*ask)(void *ctx, struct span request);
	void *ask_ctx;
	struct span as;			/* JSON, whom a request is made for; "" nobody else */
};

/* Reads and checks the configuration. Errors go to stderr as `postern check` shows them; NULL
 * then. cli->conf when it was loaded before; else the caller frees it (config_free). */
struct config *cli_load_config(const struct cli *cli);

int cmd_check(int argc, char **argv, const struct cli *cli);
int cmd_test(int argc, char **argv, const struct cli *cli);
int cmd_explain(int argc, char **argv, const struct cli *cli);

#endif
