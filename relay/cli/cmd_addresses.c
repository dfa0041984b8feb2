/* cmd_addresses.c -- `postern addresses`: from where this gateway delivers, for the firewalls of others. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/page.h"
#include "zone/addresses.h"

int
cmd_addresses(int argc, char **argv, const struct cli *cli)
{
	enum address_format f = cli->json ? ADDRESS_JSON : ADDRESS_TEXT;
	struct addresses v;
	struct config *conf;
	struct arena *a;
	struct buf out;
	bool inside = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--inside") == 0)
			inside = true;
		else if (strcmp(argv[i], "--format") != 0 || i + 1 == argc ||
		    (f = address_format_parse(span_str(argv[++i]))) == ADDRESS_FORMAT_COUNT)
			return command_usage("addresses");
	}
	if ((conf = cli_load_config(cli)) == NULL)
		return CLI_FINDINGS;
	a = arena_new(0);
	buf_init(&out, 1u << 20);
	if (inside)
		addresses_inside(conf, a, &v);
	else
		addresses_outside(conf, a, &v);
	if (v.n || f == ADDRESS_JSON)
		addresses_write(&out, &v, conf->hostname, f);
	if (v.n == 0)
		fputs("postern: neither `public_addresses` nor `delivery: source` in postern.yaml names an address\n", stderr);
	page_flush(&out);
	buf_release(&out);
	arena_free(&a);
	if (conf != cli->conf)
		config_free(&conf);
	return v.n ? CLI_OK : CLI_FINDINGS;
}
