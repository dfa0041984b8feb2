/* cmd_policy.c -- `postern policy VERB`: the table of verbs, and what they have in common. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/diag_out.h"
#include "cli/policy_args.h"
#include "scanner/load_policy.h"

static const struct {
	const char *verb;
	int (*run)(int argc, char **argv, const struct cli *cli);
} verbs[] = {
	{ "list", cmd_policy_list },
	{ "show", cmd_policy_show },
	{ "promote", cmd_policy_promote },
	{ "backtest", cmd_policy_backtest },
	{ "history", cmd_policy_history },
	{ "diff", cmd_policy_diff },
	{ "schema", cmd_policy_schema },
};

int
policy_args(int argc, char **argv, const char *known, struct policy_args *out)
{
	const char *ids = NULL;
	const struct { const char *name; const char **to; } options[] = {
		{ "--last", &out->last }, { "--rule", &out->rule }, { "--ids", &ids },
	};

	*out = (struct policy_args){ .last = "7d", .ids = 5 };
	for (int i = 1; i < argc; i++) {
		size_t k, n = 0;

		if (argv[i][0] != '-') {
			if (out->dir)
				return -1;
			out->dir = argv[i];
			continue;
		}
		n = strcspn(argv[i], "=");
		if (strstr(known, argv[i]) == NULL && argv[i][n] != '=')
			return -1;
		if (strcmp(argv[i], "--yes") == 0) {
			out->yes = true;
			continue;
		}
		for (k = 0; k < sizeof(options) / sizeof(options[0]); k++)
			if (strncmp(argv[i], options[k].name, n) == 0 && options[k].name[n] == '\0')
				break;
		if (k == sizeof(options) / sizeof(options[0]) || strstr(known, options[k].name) == NULL)
			return -1;
		*options[k].to = argv[i][n] == '=' ? argv[i] + n + 1 : i + 1 < argc ? argv[++i] : NULL;
		if (*options[k].to == NULL)
			return -1;
	}
	return ids && !parse_uint(span_str(ids), 1000, &out->ids) ? -1 : 0;
}

struct policy *
policy_open(const struct cli *cli, const char *dir, struct arena *a, struct config **conf,
    struct policy_parts *parts)
{
	struct policy *p = NULL;
	struct diags d;

	*conf = dir ? config_read_quiet(cli) : cli_load_config(cli);
	if (*conf == NULL && dir == NULL)
		return NULL;
	diags_init(&d, a);
	if (dir)
		p = policy_load_dir(dir, dir, *conf, false, a, &d);
	else
		p = policy_load_parts(*conf, a, &d, parts ? parts :
		    &(struct policy_parts){ 0 });
	if (p == NULL)
		diags_show(&d, cli, stderr);
	return p;
}

int
cmd_policy(int argc, char **argv, const struct cli *cli)
{
	for (size_t i = 0; argc > 1 && i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(argv[1], verbs[i].verb) == 0)
			return verbs[i].run(argc - 1, argv + 1, cli);
	return command_usage("policy");
}
