/* cmd_audit.c -- `postern audit`: who changed what, and is that log whole? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/page.h"
#include "conf.h"

#define PAGE_MAX ((size_t)64 << 20)
#define HASH_TEXT 64

struct listing {
	struct grid g;
	bool more;
	int64_t next;
};

static void
list_line(void *ctx, const struct jval *v, struct span text)
{
	struct listing *l = ctx;

	if (jval_has(v, "found")) {
		l->more = jval_bool(v, "more");
		l->next = jval_int(v, "next", 0);
		return;
	}
	grid_number(&l->g, jval_int(v, "seq", 0));
	page_stamp(grid_cell(&l->g), jval_int(v, "time", 0));
	grid_done(&l->g, PLAIN);
	page_who(grid_cell(&l->g), jval_text(v, "who"));
	if (jval_text(v, "node").n) {
		buf_puts(grid_cell(&l->g), " on ");
		page_text(grid_cell(&l->g), jval_text(v, "node"));
	}
	grid_done(&l->g, PLAIN);
	page_text(grid_cell(&l->g), jval_text(v, "what"));
	grid_done(&l->g, span_is(jval_text(v, "what"), "refused") ? YELLOW : PLAIN);
	grid_text(&l->g, jval_text(v, "subject"));
	grid_text(&l->g, jval_text(v, "detail"));
}

static int
list(int argc, char **argv, const struct cli *cli)
{
	static const char *const titles[] = { "no", "time", "who", "what", "to", "how", NULL };
	uint64_t limit = 50, before = 0;
	struct listing l = { 0 };
	struct request r;
	struct buf words, out;
	int status;

	buf_init(&words, 4096);
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--limit") == 0 && i + 1 < argc &&
		    parse_uint(span_str(argv[i + 1]), 1000, &limit) && limit > 0)
			i++;
		else if (strcmp(argv[i], "--before") == 0 && i + 1 < argc &&
		    parse_uint(span_str(argv[i + 1]), INT64_MAX, &before) && before > 0)
			i++;
		else if (argv[i][0] == '-') {
			buf_release(&words);
			return command_usage("audit");
		} else {
			buf_printf(&words, "%s ", argv[i]);
		}
	}
	request_begin(&r, "audit.list");
	json_kstr(&r.j, "q", buf_data(&words));
	json_kuint(&r.j, "limit", limit);
	json_kuint(&r.j, "before", before);
	buf_release(&words);
	grid_init(&l.g, cli, titles, "rlllll");
	status = control_ask(cli, &r, CONTROL_SHOW, list_line, &l);
	buf_init(&out, PAGE_MAX);
	if (grid_rows(&l.g) > 0)
		grid_print(&l.g, &out, "");
	else if (status == CLI_OK && !cli->json)
		buf_puts(&out, "nothing\n");
	if (l.more)
		buf_printf(&out, "\nthere are older ones: --before %lld\n", (long long)l.next);
	page_flush(&out);
	buf_release(&out);
	grid_release(&l.g);
	return status;
}

/* ---- verify ---- */

struct verifying {
	int64_t seq;
	char hash[HASH_TEXT + 1];
	bool keyed, end, any;
	uint64_t rows, unkeyed, foreign;
	int64_t broken;
	char why[200];
	char store[24], node[256];	/* of the shared base; "": this node's own */
	int64_t known;			/* the last row the base was given */
	/* a head that was noted before, or is to be seen on the way */
	int64_t head;
	const char *head_hash;
};

static void
copy(char *to, size_t size, struct span s)
{
	size_t n = s.n < size ? s.n : size - 1;

	memcpy(to, s.p ? s.p : "", n);
	to[n] = '\0';
}

static void
verify_line(void *ctx, const struct jval *v, struct span text)
{
	struct verifying *w = ctx;

	w->any = true;
	w->seq = jval_int(v, "seq", 0);
	copy(w->hash, sizeof(w->hash), jval_text(v, "hash"));
	w->keyed = jval_bool(v, "keyed");
	w->end = jval_bool(v, "end");
	w->rows += (uint64_t)jval_int(v, "rows", 0);
	w->unkeyed += (uint64_t)jval_int(v, "unkeyed", 0);
	w->foreign += (uint64_t)jval_int(v, "foreign", 0);
	if (jval_has(v, "broken")) {
		w->broken = jval_int(v, "broken", 0);
		copy(w->why, sizeof(w->why), jval_text(v, "why"));
	}
}

static int
verify_part(const struct cli *cli, struct verifying *w)
{
	struct request r;
	bool first = !w->any;

	request_begin(&r, "audit.verify");
	if (w->store[0]) {
		json_kcstr(&r.j, "store", w->store);
		json_kint(&r.j, "known", w->known);
	}
	if (!first) {
		json_kint(&r.j, "after", w->seq);
		json_kcstr(&r.j, "hash", w->hash);
		json_kbool(&r.j, "keyed", w->keyed);
	}
	w->any = false;
	return control_ask(cli, &r, CONTROL_READ, verify_line, w);
}

/* "SEQ:HASH" as the log and `audit verify` print it. */
static bool
head_parse(const char *text, struct verifying *w)
{
	struct span s = span_str(text);
	size_t colon = span_find(s, ':');
	uint64_t seq;

	if (colon == s.n || s.n - colon - 1 != HASH_TEXT ||
	    !parse_uint(span_sub(s, 0, colon), INT64_MAX, &seq) || seq == 0)
		return false;
	w->head = (int64_t)seq;
	w->head_hash = text + colon + 1;
	return true;
}

static void
head_line(void *ctx, const struct jval *v, struct span text)
{
	struct verifying *w = ctx;

	if (jval_int(v, "seq", 0) != w->head)
		return;
	if (span_is_nocase(jval_text(v, "hash"), w->head_hash))
		w->head_hash = NULL;	/* there, as it was noted */
}

/* Is the row that was noted still there? */
static int
verify_head(const struct cli *cli, struct verifying *w)
{
	struct request r;
	int status;

	if (w->head == 0 || w->broken)
		return CLI_OK;
	request_begin(&r, "audit.list");
	json_kint(&r.j, "before", w->head + 1);
	json_kint(&r.j, "limit", 1);
	json_kbool(&r.j, "here", true);
	status = control_ask(cli, &r, CONTROL_READ, head_line, w);
	if (status == CLI_OK && w->head_hash) {
		w->broken = w->head;
		copy(w->why, sizeof(w->why), SPAN_LIT("is not the one that was noted: the log was cut off, "
		    "or the database is another"));
	}
	return status;
}

static void
put_verified(const struct cli *cli, const struct verifying *w)
{
	struct buf out;
	struct json j;

	buf_init(&out, 4096);
	if (cli->json) {
		json_begin(&j, &out);
		json_object(&j);
		json_kint(&j, "v", 1);
		if (w->store[0])
			json_kcstr(&j, "node", w->node);
		json_kbool(&j, "ok", w->broken == 0);
		json_kuint(&j, "rows", w->rows);
		json_kuint(&j, "unkeyed", w->unkeyed);
		json_kuint(&j, "foreign", w->foreign);
		json_kint(&j, "seq", w->seq);
		json_kcstr(&j, "hash", w->hash);
		if (w->broken) {
			json_kint(&j, "broken", w->broken);
			json_kcstr(&j, "why", w->why);
		}
		json_end_object(&j);
		buf_putc(&out, '\n');
		goto out;
	}
	if (w->store[0])
		buf_printf(&out, "node %s, in the shared base: ", w->node);
	if (w->broken)
		buf_printf(&out, "BROKEN: row %lld %s\n%llu rows before it are sound\n",
		    (long long)w->broken, w->why, (unsigned long long)w->rows);
	else
		buf_printf(&out, "%llu rows are sound\nhead %lld:%s\n", (unsigned long long)w->rows,
		    (long long)w->seq, w->hash);
	if (w->unkeyed)
		buf_printf(&out, "%llu of them were written before there was a key: who has the database "
		    "could have made them\n", (unsigned long long)w->unkeyed);
	if (w->foreign)
		buf_printf(&out, "%llu of them have a key that is not in store_key: taken as they are\n",
		    (unsigned long long)w->foreign);
	if (!w->broken && w->head == 0 && w->store[0] == '\0')
		buf_puts(&out, "That nothing was cut off at the end shows only beside a head noted before (in the "
		    "log):\n  postern audit verify --head NUMBER:HASH\n");
out:
	page_flush(&out);
	buf_release(&out);
}

/* ---- of all nodes ---- */

#define NODES_MAX 256

struct nodes {
	struct verifying *v;
	size_t n;
	char away[200];
};

static void
node_line(void *ctx, const struct jval *v, struct span text)
{
	struct nodes *all = ctx;
	struct verifying *w;

	if (jval_bool(v, "partial"))
		copy(all->away, sizeof(all->away), jval_text(v, "base"));
	if (jval_text(v, "store").n == 0 || all->n == NODES_MAX)
		return;
	w = &all->v[all->n++];
	copy(w->store, sizeof(w->store), jval_text(v, "store"));
	copy(w->node, sizeof(w->node), jval_text(v, "node"));
	w->known = jval_int(v, "seq", 0);
}

static int
verify_nodes(const struct cli *cli, bool *broken)
{
	struct nodes all = { calloc(NODES_MAX, sizeof(struct verifying)), 0, "" };
	struct request r;
	int status;

	ASSERT(all.v != NULL);
	request_begin(&r, "audit.nodes");
	status = control_ask(cli, &r, CONTROL_READ, node_line, &all);
	for (size_t i = 0; status == CLI_OK && i < all.n; i++) {
		do {
			status = verify_part(cli, &all.v[i]);
		} while (status == CLI_OK && all.v[i].any && !all.v[i].end);
		if (status == CLI_OK)
			put_verified(cli, &all.v[i]);
		*broken |= all.v[i].broken != 0;
	}
	if (status == CLI_OK && all.away[0] && !cli->json)
		printf("The logs of other nodes were not looked at: %s\n", all.away);
	free(all.v);
	return status;
}

static int
verify(int argc, char **argv, const struct cli *cli)
{
	struct verifying w = { 0 };
	bool broken;
	int status;

	if (argc != 2 && !(argc == 4 && strcmp(argv[2], "--head") == 0 && head_parse(argv[3], &w)))
		return command_usage("audit");
	do {
		status = verify_part(cli, &w);
	} while (status == CLI_OK && w.any && !w.end);
	if (status == CLI_OK)
		status = verify_head(cli, &w);
	if (status != CLI_OK)
		return status;
	put_verified(cli, &w);
	broken = w.broken != 0;
	status = verify_nodes(cli, &broken);
	return status != CLI_OK ? status : broken ? CLI_FINDINGS : CLI_OK;
}

int
cmd_audit(int argc, char **argv, const struct cli *cli)
{
	if (argc >= 2 && strcmp(argv[1], "list") == 0)
		return list(argc, argv, cli);
	if (argc >= 2 && strcmp(argv[1], "verify") == 0)
		return verify(argc, argv, cli);
	return command_usage("audit");
}
