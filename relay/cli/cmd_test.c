/* cmd_test.c -- `postern test [FILE…]`: the tests that stand beside a policy. */
#include <stdio.h>

#include "cli/cli.h"

int
cmd_test(int argc, char **argv, const struct cli *cli)
{
	fprintf(stderr, "postern test: policy tests are not available in this version\n");
	return CLI_USAGE;
}
