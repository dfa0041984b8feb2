/* cmd_diff.c -- `postern diff` and `postern policy backtest`: a policy over the mail of last week.
 *
 * diff says what would become of messages otherwise; backtest adds how often
 * each rule hits. With --rule one rule is tried as if it were enforced.
 */
#include <stdio.h>

#include "cli/backtest.h"
#include "cli/commands.h"
#include "cli/policy_args.h"
#include "cli/records.h"

static int
over_records(const struct policy_args *args, const struct cli *cli, bool rules)
{
	struct arena *a = arena_new(64u << 10);
	struct backtest_options o = { .rule = span_str(args->rule), .last = args->last,
		.ids = (size_t)args->ids, .rules = rules };
	struct config *conf = NULL;
	struct policy *p = NULL;
	int status = CLI_USAGE;
	const char *file;
	uint32_t line;

	if (!records_since(args->last, &o.since))
		goto out;
	status = CLI_FINDINGS;
	if ((p = policy_open(cli, args->dir, a, &conf, NULL)) == NULL)
		goto out;
	if (args->rule && !policy_rule_place(p, o.rule, &file, &line)) {
		fprintf(stderr, "postern: the policy has no rule `%s`\n", args->rule);
		goto out;
	}
	o.policy = p;
	o.heading = args->dir ? args->dir : conf->policy_dir;
	status = backtest_run(cli, &o);
out:
	policy_free(&p);
	if (conf != cli->conf)
		config_free(&conf);
	arena_free(&a);
	return status;
}

int
cmd_diff(int argc, char **argv, const struct cli *cli)
{
	struct policy_args args;

	if (policy_args(argc, argv, "--last --ids", &args) == -1)
		return command_usage("diff");
	return over_records(&args, cli, false);
}

int
cmd_policy_backtest(int argc, char **argv, const struct cli *cli)
{
	struct policy_args args;

	if (policy_args(argc, argv, "--last --ids --rule", &args) == -1)
		return command_usage("policy");
	return over_records(&args, cli, true);
}
