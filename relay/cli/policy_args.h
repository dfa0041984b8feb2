/* policy_args.h -- what the commands about a policy have in common: options, the policy of a folder. */
#ifndef CLI_POLICY_ARGS_H
#define CLI_POLICY_ARGS_H

#include "cli/cli.h"
#include "scanner/archive.h"

struct policy_args {
	const char *dir;	/* the one argument; NULL: none */
	const char *last;	/* --last, "7d" */
	const char *rule;	/* --rule */
	uint64_t ids;		/* --ids, 5 */
	bool yes;		/* --yes */
};
/* Options a command does not know are an error: `known` names those it does ("--last --ids"). -1: not
 * understood, nothing was said. */
int policy_args(int argc, char **argv, const char *known, struct policy_args *out);

/* The policy of a folder (NULL: that of the configuration), with the networks and domains of the
 * configuration. NULL: said on stderr. parts may be NULL. conf is kept for config_free. */
struct policy *policy_open(const struct cli *cli, const char *dir, struct arena *a,
    struct config **conf, struct policy_parts *parts);

int cmd_policy_list(int argc, char **argv, const struct cli *cli);
int cmd_policy_show(int argc, char **argv, const struct cli *cli);
int cmd_policy_promote(int argc, char **argv, const struct cli *cli);
int cmd_policy_history(int argc, char **argv, const struct cli *cli);
int cmd_policy_diff(int argc, char **argv, const struct cli *cli);
int cmd_policy_backtest(int argc, char **argv, const struct cli *cli);

#endif
