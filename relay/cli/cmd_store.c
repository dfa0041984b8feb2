/* cmd_store.c -- `postern store`: the keys of what it seals; whether its database is whole; a copy of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/page.h"
#include "store/keyring.h"

struct keys {
	struct grid g;
	bool done, answered;
};

static void
key_line(void *ctx, const struct jval *v, struct span text)
{
	struct keys *k = ctx;

	if (!jval_has(v, "key")) {
		k->done = jval_bool(v, "done");
		k->answered = true;
		return;
	}
	grid_text(&k->g, jval_text(v, "key"));
	page_text(grid_cell(&k->g), jval_bool(v, "missing") ? SPAN_LIT("missing") :
	    jval_bool(v, "active") ? SPAN_LIT("seals and opens") : SPAN_LIT("opens"));
	grid_done(&k->g, jval_bool(v, "missing") ? RED : PLAIN);
	grid_number(&k->g, jval_int(v, "contents", 0));
}

static int
keys(const struct cli *cli)
{
	static const char *const titles[] = { "key", "is for", "contents", NULL };
	struct keys k = { 0 };
	struct request r;
	struct buf out;
	int status;

	grid_init(&k.g, cli, titles, "llr");
	request_begin(&r, "store.keys");
	status = control_ask(cli, &r, CONTROL_SHOW, key_line, &k);
	buf_init(&out, 64u << 10);
	if (grid_rows(&k.g) > 0)
		grid_print(&k.g, &out, "");
	if (k.answered && !k.done)
		buf_puts(&out, "older ones are still needed: what they have sealed is sealed anew, little by little\n");
	page_flush(&out);
	buf_release(&out);
	grid_release(&k.g);
	return status;
}

static void
ok_line(void *ctx, const struct jval *v, struct span text)
{
}

static int
rekey(const struct cli *cli)
{
	struct config *c = cli_load_config(cli);
	struct request r;
	struct err err;
	int status;

	if (c == NULL)
		return CLI_FINDINGS;
	if (keyring_extend(c->store_key, &err) == -1) {
		fprintf(stderr, "postern: %s\n", err.text);
		if (cli->conf == NULL)
			config_free(&c);
		return CLI_FINDINGS;
	}
	if (!cli->json)
		printf("a new key stands in %s: have a copy of it, apart from the database's\n", c->store_key);
	if (cli->conf == NULL)
		config_free(&c);
	request_begin(&r, "store.restart");
	json_kcstr(&r.j, "why", "a new key");
	status = control_ask(cli, &r, CONTROL_SHOW, ok_line, NULL);
	if (status == CLI_UNREACHABLE && !cli->json)
		fprintf(stderr, "the key is used from the next start on\n");
	else if (status == CLI_OK && !cli->json)
		puts("the store is started anew and seals with it; what older keys have sealed follows "
		    "(postern store keys)");
	return status;
}

int
cmd_store(int argc, char **argv, const struct cli *cli)
{
	if (argc == 2 && strcmp(argv[1], "keys") == 0)
		return keys(cli);
	if (argc == 2 && strcmp(argv[1], "rekey") == 0)
		return rekey(cli);
	return command_usage("store");
}
