/* cmd_policy_schema.c -- `postern policy schema [--tests]`: the JSON Schema of the language, for editors.
 *
 * Needs no configuration: the language is the program's.
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/diag_out.h"
#include "json.h"
#include "postern/policy.h"

#define SCHEMA_MAX (1u << 20)

int
cmd_policy_schema(int argc, char **argv, const struct cli *cli)
{
	bool tests = argc == 2 && strcmp(argv[1], "--tests") == 0;
	struct buf b;
	struct json j;

	if (argc > 2 || (argc == 2 && !tests))
		return command_usage("policy");
	buf_init(&b, SCHEMA_MAX);
	json_begin(&j, &b);
	policy_schema(tests, &j);
	buf_putc(&b, '\n');
	cli_write(stdout, buf_data(&b));
	buf_release(&b);
	return CLI_OK;
}
