/* cmd_store.c -- `postern store`: what it has and since when, and the keys of what it seals. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/page.h"
#include "clock.h"
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

/* ---- what it has ---- */

static void
status_line(void *ctx, const struct jval *v, struct span text)
{
	static const char *const titles[] = { "kind", "kept for", "oldest", NULL };
	const struct cli *cli = ctx;
	const struct jval *list = jval_get(v, "kinds"), *k;
	struct grid g;
	struct buf out;

	buf_init(&out, 64u << 10);
	grid_init(&g, cli, titles, "lll");
	for (size_t i = 0; (k = jval_at(list, i)) != NULL; i++) {
		grid_text(&g, jval_text(k, "kind"));
		if (jval_int(k, "keep", 0))
			page_age(grid_cell(&g), jval_int(k, "keep", 0) * US_PER_SEC);
		else
			buf_puts(grid_cell(&g), "ever");
		grid_done(&g, PLAIN);
		if (jval_int(k, "oldest", 0))
			page_stamp(grid_cell(&g), jval_int(k, "oldest", 0));
		else
			buf_putc(grid_cell(&g), '-');
		grid_done(&g, PLAIN);
	}
	page_size(&out, (uint64_t)jval_int(v, "bytes", 0));
	buf_puts(&out, ", of which free ");
	page_size(&out, (uint64_t)jval_int(v, "free", 0));
	buf_puts(&out, jval_bool(v, "indexing") ? "; old messages are being indexed\n" :
	    jval_bool(v, "sealing") ? "; older keys are being replaced\n" : "\n");
	grid_print(&g, &out, "");
	page_flush(&out);
	grid_release(&g);
	buf_release(&out);
}

static int
status(const struct cli *cli)
{
	struct request r;

	request_begin(&r, "store.status");
	return control_ask(cli, &r, CONTROL_SHOW, status_line, (void *)(uintptr_t)cli);
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
	if (argc == 2 && strcmp(argv[1], "status") == 0)
		return status(cli);
	if (argc > 1 && (strcmp(argv[1], "check") == 0 || strcmp(argv[1], "backup") == 0 ||
	    strcmp(argv[1], "restore") == 0))
		return store_copy(argc, argv, cli);
	return command_usage("store");
}
