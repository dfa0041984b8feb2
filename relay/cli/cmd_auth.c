/* cmd_auth.c -- `postern auth`: what the verifier would say, asked by hand.
 *
 * --dns asks another server; then, or when there is no postern.yaml, none is read.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "addr.h"
#include "cli/auth.h"
#include "cli/commands.h"

#define ARGS_MAX 96

static const struct {
	const char *name;
	int (*run)(int argc, char **argv, const struct cli *cli, const struct config *conf);
} checks[] = {
	{ "spf", auth_spf },
	{ "dkim", auth_dkim },
	{ "dmarc", auth_dmarc },
};

int
cmd_auth(int argc, char **argv, const struct cli *cli)
{
	struct config bare = { .hostname = SPAN_LIT("localhost") };
	const struct config *conf = &bare;
	struct conf_host server = { 0 };
	char *args[ARGS_MAX];
	int nargs = 0, status = -1;
	struct err err;

	if (argc < 2 || argc > ARGS_MAX)
		return command_usage("auth");
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--dns") != 0) {
			args[nargs++] = argv[i];
			continue;
		}
		if (++i == argc || hostport_parse_ip(span_str(argv[i]), 53, &server.ip, &server.port,
		    &err) == -1) {
			fprintf(stderr, "postern: --dns ADDRESS:PORT%s%s\n", i < argc ? ": " : "",
			    i < argc ? err.text : "");
			return CLI_USAGE;
		}
		bare.dns = &server;
		bare.ndns = 1;
	}
	if (bare.ndns == 0 && access(cli->config_path, F_OK) == 0 &&
	    (conf = cli_load_config(cli)) == NULL)
		return CLI_FINDINGS;
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]) && status == -1; i++)
		if (strcmp(argv[1], checks[i].name) == 0)
			status = checks[i].run(nargs, args, cli, conf);
	if (status == -1)
		status = command_usage("auth");
	if (conf != &bare && conf != cli->conf)
		config_free((struct config **)(uintptr_t)&conf);
	return status;
}
