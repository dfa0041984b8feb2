/* cmd_policy.c -- `postern policy VERB`: the table of verbs. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"

static const struct {
	const char *verb;
	int (*run)(int argc, char **argv, const struct cli *cli);
} verbs[] = {
	{ "schema", cmd_policy_schema },
};

int
cmd_policy(int argc, char **argv, const struct cli *cli)
{
	for (size_t i = 0; argc > 1 && i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(argv[1], verbs[i].verb) == 0)
			return verbs[i].run(argc - 1, argv + 1, cli);
	return command_usage("policy");
}
