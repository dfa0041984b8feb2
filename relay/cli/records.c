/* records.c -- see records.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base64.h"
#include "cli/control_client.h"
#include "cli/page.h"
#include "cli/records.h"
#include "clock.h"
#include "id.h"
#include "store/basis.h"
#include "store/zip.h"
#include "table.h"

#define PIECES_MAX ((size_t)96 << 20)

/* ---- progress, on a terminal ---- */

static void
show_progress(struct records_progress *p, const struct cli *cli, bool last)
{
	int64_t took = clock_mono() - p->started;
	double rate = took > 0 ? (double)p->done * US_PER_SEC / (double)took : 0;

	if (cli->json || !isatty(STDERR_FILENO))
		return;
	if (last) {
		if (p->shown)
			fputs("\r\033[K", stderr);
		return;
	}
	if (took < US_PER_SEC / 2)
		return;
	p->shown = true;
	fprintf(stderr, "\r\033[K%llu of %llu records, %.0f/s", (unsigned long long)p->done,
	    (unsigned long long)p->total, rate);
	if (rate > 0 && p->total > p->done)
		fprintf(stderr, ", %.0f s left", (double)(p->total - p->done) / rate);
	fflush(stderr);
}

/* ---- pages ---- */

struct paging {
	records_each *each;
	void *ctx;
	struct records_progress *p;
	struct arena *arena;	/* of one pack */
	int64_t since, next;
	bool end, damaged;
};

static void
take_pack(struct paging *g, struct span pack)
{
	struct span record;
	uint64_t id;
	size_t at = 0;

	while (pack_next(pack, &at, &id, &record)) {
		if (id_time(id) < g->since)	/* a pack goes back further */
			continue;
		g->each(g->ctx, id, record);
		g->p->done++;
	}
	g->damaged |= at != pack.n;
}

static void
on_page(void *ctx, const struct jval *v, struct span text)
{
	struct span zipped = jval_text(v, "zstd"), plain = jval_text(v, "plain"), raw;
	struct paging *g = ctx;
	struct err err;
	struct buf b;

	if (jval_has(v, "next")) {
		g->next = jval_int(v, "next", 0);
		g->end = jval_bool(v, "end");
		if (jval_has(v, "total"))
			g->p->total = (uint64_t)jval_int(v, "total", 0);
		return;
	}
	buf_init(&b, PIECES_MAX);
	arena_reset(g->arena);
	if (base64_decode(&b, zipped.n ? zipped : plain) == -1)
		g->damaged = true;
	else if (plain.n)
		take_pack(g, buf_data(&b));
	else if (unzip(g->arena, buf_data(&b), PACK_MAX, &raw, &err) == -1)
		g->damaged = true;
	else
		take_pack(g, raw);
	buf_release(&b);
}

/* How many there are is asked first, for the progress. */
static void
on_total(void *ctx, const struct jval *v, struct span text)
{
	if (jval_has(v, "total"))
		*(uint64_t *)ctx = (uint64_t)jval_int(v, "total", 0);
}

int
records_read(const struct cli *cli, int64_t since, records_each *each, void *ctx,
    struct records_progress *p)
{
	struct paging g = { .each = each, .ctx = ctx, .p = p, .since = since,
		.arena = arena_new(1u << 20) };
	struct request r;
	int status;

	*p = (struct records_progress){ .started = clock_mono() };
	request_begin(&r, "records.page");
	json_kint(&r.j, "after", INT64_MAX);
	json_kint(&r.j, "since", since);
	json_kbool(&r.j, "total", true);
	status = control_ask(cli, &r, CONTROL_READ, on_total, &p->total);
	while (status == CLI_OK && !g.end) {
		request_begin(&r, "records.page");
		json_kint(&r.j, "after", g.next);
		json_kint(&r.j, "since", since);
		status = control_ask(cli, &r, CONTROL_READ, on_page, &g);
		show_progress(p, cli, false);
	}
	show_progress(p, cli, true);
	if (g.damaged)
		fputs("postern: some records are damaged and were left out\n", stderr);
	arena_free(&g.arena);
	return status;
}

/* ---- pieces ---- */

struct pieces {
	struct buf b;
	const char *key;
};

static void
on_piece(void *ctx, const struct jval *v, struct span text)
{
	struct pieces *p = ctx;

	if (base64_decode(&p->b, jval_text(v, p->key)) == -1)
		p->b.failed = true;
}

static int
ask_pieces(const struct cli *cli, struct request *r, const char *key, bool quiet, struct arena *a,
    struct span *out)
{
	struct pieces p = { .key = key };
	int status;

	buf_init(&p.b, PIECES_MAX);
	status = quiet ? control_ask_quietly(cli, r, on_piece, &p) :
	    control_ask(cli, r, CONTROL_READ, on_piece, &p);
	if (status == CLI_OK && (buf_failed(&p.b) || buf_size(&p.b) == 0)) {
		fputs("postern: the answer cannot be read\n", stderr);
		status = CLI_FINDINGS;
	}
	*out = arena_span(a, buf_data(&p.b));
	buf_release(&p.b);
	return status;
}

int
records_get(const struct cli *cli, const char *id, bool quiet, struct arena *a, struct span *out)
{
	struct request r;

	request_begin(&r, "records.get");
	json_kcstr(&r.j, "id", id);
	return ask_pieces(cli, &r, "record", quiet, a, out);
}

static void
put_key(struct request *r, uint64_t key)
{
	char text[17];

	snprintf(text, sizeof(text), "%016llx", (unsigned long long)key);
	json_kcstr(&r->j, "key", text);
}

int
records_archive(const struct cli *cli, const char *hash, uint64_t key, bool quiet,
    struct arena *a, struct archive *out)
{
	struct span bytes;
	struct request r;
	struct err err;
	int status;

	request_begin(&r, "policy.archive");
	if (hash)
		json_kcstr(&r.j, "policy", hash);
	else
		put_key(&r, key);
	status = ask_pieces(cli, &r, "raw", quiet, a, &bytes);
	if (status == CLI_OK && policy_archive_unpack(bytes, a, out, &err) == -1) {
		fprintf(stderr, "postern: %s\n", err.text);
		status = CLI_FINDINGS;
	}
	return status;
}

/* ---- plans ---- */

struct plans {
	const struct cli *cli;
	const struct policy *p;
	struct idtable *known;		/* manifest -> plan; itself: not to be had */
	struct arena *arena;
};

struct plans *
plans_new(const struct cli *cli, const struct policy *p)
{
	struct plans *pl = calloc(1, sizeof(*pl));

	ASSERT(pl != NULL);
	*pl = (struct plans){ cli, p, idtable_new(), arena_new(0) };
	return pl;
}

void
plans_free(struct plans **plp)
{
	struct plans *pl = *plp;
	uint64_t key;
	size_t at = 0;
	void *v;

	*plp = NULL;
	if (pl == NULL)
		return;
	while (idtable_next(pl->known, &at, &key, &v)) {
		struct record_plan *plan = v == pl ? NULL : v;

		record_plan_free(&plan);
	}
	idtable_free(&pl->known);
	arena_free(&pl->arena);
	free(pl);
}

const struct record_plan *
plans_get(struct plans *pl, uint64_t key)
{
	void *v = idtable_get(pl->known, key | 1);
	struct record_plan *plan = NULL;
	struct manifest m;
	struct request r;
	struct span bytes;

	if (v)
		return v == pl ? NULL : v;
	bytes = policy_manifest(pl->p);
	if (manifest_key(bytes) != key) {
		request_begin(&r, "policy.manifest");
		put_key(&r, key);
		if (ask_pieces(pl->cli, &r, "raw", true, pl->arena, &bytes) != CLI_OK)
			bytes = (struct span){ 0 };
	}
	if (bytes.n && manifest_read(bytes, pl->arena, &m) == 0)
		plan = record_plan_new(pl->p, &m);
	idtable_put(pl->known, key | 1, plan ? (void *)plan : pl);
	return plan;
}

bool
records_since(const char *last, int64_t *since)
{
	int64_t us;

	if (!parse_duration(span_str(last), &us) || us <= 0) {
		fprintf(stderr, "postern: --last wants a span of time, as in 7d or 24h\n");
		return false;
	}
	*since = clock_real() - us;
	return true;
}
