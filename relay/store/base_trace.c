/* base_trace.c -- searches and messages of all nodes; see share.h.
 *
 * This node's own journal is searched first, then the base: what is found in either is one list, newest
 * first. A message is shown from where more of it is known: what this node wrote a moment ago is not in the
 * base yet, and what others did with it is nowhere else. Without the base this node's own is the answer,
 * and it says so ("partial").
 */
#include <errno.h>
#include <stdlib.h>

#include "clock.h"
#include "id.h"
#include "store/search.h"
#include "store/share_private.h"
#include "table.h"

#define NODES_LIMIT 200		/* messages of others in one answer */

struct tracing {
	struct asked *q;
	struct search_found found;
	struct trace_result res;
	uint32_t limit;
	bool by_id;		/* that message first, then what was made from it */
	uint64_t id;		/* base_explain */
};

static const struct principal *
viewer(const struct asked *q)
{
	return q->who.local ? NULL : &q->who;
}

static void
last_line(struct tracing *t, const char *why)
{
	struct asked *q = t->q;
	struct json j = open_line(q->reply);
	char id[ID_SIZE];

	json_kuint(&j, "found", t->res.found);
	json_kbool(&j, "more", t->res.more);
	json_kbool(&j, "partial", t->res.partial || why != NULL);
	if (t->res.unindexed)
		json_kbool(&j, "unindexed", true);
	if (why)
		json_kcstr(&j, "base", why);
	json_kcstr(&j, "next", t->res.more ? id_format(t->res.last, id) : NULL);
	close_line(q->reply, &j);
}

static void
over(struct tracing *t)
{
	asked_end(t->q);
	free(t->q);
	free(t);
}

static int64_t
count_events(struct db *d, uint64_t id)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT count(*) FROM event WHERE id=?", NULL);
	int64_t n = 0;

	if (st == NULL)
		return 0;
	db_int(st, 1, (int64_t)id);
	if (db_step(d, st, NULL) == 1) {
		n = sqlite3_column_int64(st, 0);
		sqlite3_reset(st);
	}
	return n;
}

/* Ids of the base, newest first, or as it gave them for an id. */
static size_t
base_ids(struct db *d, uint64_t *ids, size_t max)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT id FROM message UNION SELECT id FROM event ORDER BY id DESC", NULL);
	size_t n = 0;

	while (st && n < max && db_step(d, st, NULL) == 1)
		ids[n++] = db_column_id(st, 0);
	if (st)
		sqlite3_reset(st);
	return n;
}

static int
newest_first(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;

	return (a < b) - (a > b);
}

/* Both lists as one, each id once; how many. */
static size_t
merge(uint64_t *to, const uint64_t *a, size_t na, const uint64_t *b, size_t nb)
{
	size_t n = 0, k = 0;

	if (na)
		memcpy(to, a, na * sizeof(*to));
	if (nb)
		memcpy(to + na, b, nb * sizeof(*to));
	n = na + nb;
	if (n)
		qsort(to, n, sizeof(*to), newest_first);
	for (size_t i = 0; i < n; i++)
		if (k == 0 || to[k - 1] != to[i])
			to[k++] = to[i];
	return k;
}

static int
put_one(struct tracing *t, struct db *mem, const struct idtable *nodes, uint64_t id, struct err *err)
{
	struct asked *q = t->q;
	const struct span *node = nodes ? idtable_get(nodes, id) : NULL;
	bool theirs = mem && count_events(mem, id) > count_events(q->s->db, id);

	return theirs ? trace_line(mem, id, viewer(q), node ? *node : (struct span){ 0 }, reply_buf(q->reply), err) :
	    trace_line(q->s->db, id, viewer(q), node ? *node : q->s->rt->conf->node, reply_buf(q->reply), err);
}

static void
on_found(void *ctx, const struct msg_base_told *m, int fd, const char *why)
{
	struct tracing *t = ctx;
	struct asked *q = t->q;
	struct idtable *nodes = idtable_new();
	struct db *mem = NULL;
	struct err err = { 0 };
	uint64_t *theirs, *all;
	size_t n = 0, local = t->found.n;

	store_flush(q->s);
	theirs = arena_array(q->arena, NODES_LIMIT + 2, sizeof(*theirs));
	all = arena_array(q->arena, local + NODES_LIMIT + 2, sizeof(*all));
	if (m && ((mem = base_db(q->s, &err)) == NULL || base_load(mem, m->rows, fd, q->arena, nodes, &err) == -1)) {
		mem = NULL;
		why = err.text;
	}
	if (mem) {
		n = base_ids(mem, theirs, NODES_LIMIT + 1);
		t->res.partial |= m->partial;
		why = NULL;
	}
	n = merge(all, t->found.ids, local, theirs, n);
	if (t->by_id && n)
		for (size_t i = 0; i < n / 2; i++) {
			uint64_t id = all[i];

			all[i] = all[n - 1 - i];
			all[n - 1 - i] = id;
		}
	t->res.more = n > t->limit;
	for (size_t i = 0; i < n && i < t->limit; i++) {
		if (put_one(t, mem, nodes, all[i], &err) == -1) {
			buf_reset(reply_buf(q->reply));
			say_error(q, err.text);
			goto out;
		}
		t->res.found++;
		t->res.last = all[i];
	}
	last_line(t, why);
out:
	idtable_free(&nodes);
	over(t);
}

static uint64_t
id_at(int64_t us)
{
	return us > INT64_MAX / ID_SLOTS ? INT64_MAX : (uint64_t)us * ID_SLOTS;
}

static void
put_or_null(struct buf *b, struct span s)
{
	if (s.n)
		base_text(b, s);
	else
		base_null(b);
}

bool
base_trace(struct asked *q, uint64_t below, uint32_t limit)
{
	struct tracing *t;
	struct search_query sq;
	struct span words, replies;
	struct err err = { 0 };
	const struct principal *who = viewer(q);
	struct buf b;
	bool anywhere;
	int64_t hi;

	if (!share_on(q->s))
		return false;
	if (search_parse(jval_text(q->req, "q"), clock_real(), q->arena, &sq, &err) == -1) {
		say_error(q, err.text);
		return true;
	}
	t = calloc(1, sizeof(*t));
	ASSERT(t != NULL);
	t->limit = limit > NODES_LIMIT ? NODES_LIMIT : limit;
	if (trace_find(q->s->db, &sq, who, below, t->limit, q->arena, &t->found, &t->res, &err) == -1) {
		say_error(q, err.text);
		free(t);
		return true;
	}
	base_words_query(share_words(q->s), &sq, who && !principal_sees_all(who) ? who : NULL, q->arena, &words, &replies,
	    &anywhere);
	hi = (int64_t)(sq.before ? id_at(sq.before) : INT64_MAX);
	if (below && (int64_t)below < hi)
		hi = (int64_t)below;
	buf_init(&b, FRAME_BIG);
	put_or_null(&b, words);
	put_or_null(&b, replies);
	base_int(&b, anywhere);
	put_or_null(&b, sq.status);
	base_int(&b, sq.since ? (int64_t)id_at(sq.since) : 0);
	base_int(&b, hi);
	base_int(&b, t->limit + 1);
	base_int(&b, BASE_SEARCH_MS);
	t->by_id = sq.has_id && below == 0 && t->found.n > 0;
	if (sq.has_id && below == 0)
		base_int(&b, (int64_t)sq.id);
	else
		base_null(&b);
	t->q = asked_keep(q);
	base_ask(t->q->s, BASE_ASK_SEARCH, &b, on_found, t);
	buf_release(&b);
	return true;
}

/* ---- the record of a message that was judged elsewhere ---- */

static void
explain_no(struct asked *q, const char *why)
{
	say_error(q, why ? why : "no message with this id has a record");
}

static void
on_record(void *ctx, const struct msg_base_told *m, int fd, const char *why)
{
	struct tracing *t = ctx;
	struct asked *q = t->q;
	struct db *mem;
	struct err err = { 0 };
	struct span record;
	char text[400];
	bool sender;
	int r = 0;

	if (m == NULL) {
		snprintf(text, sizeof(text), "no message with this id has a record here, and %s", why);
		explain_no(q, text);
		over(t);
		return;
	}
	if ((mem = base_db(q->s, &err)) == NULL || base_load(mem, m->rows, fd, q->arena, NULL, &err) == -1)
		r = -1;
	/* As explain_sees: it names all recipients. */
	if (r == 0 && (r = search_sees(mem, &q->who, t->id, &sender, &err)) == 1 && !sender)
		r = search_sees_whole(mem, &q->who, t->id, &err);
	if (r == 1)
		r = journal_record(mem, t->id, q->arena, &record, &err);
	if (r == 1) {
		buf_span(reply_buf(q->reply), store_one_line(q->arena, record));
		buf_putc(reply_buf(q->reply), '\n');
	} else {
		explain_no(q, r == -1 ? err.text : NULL);
	}
	over(t);
}

bool
base_explain(struct asked *q, uint64_t id)
{
	struct tracing *t;
	struct buf b;

	if (!share_on(q->s))
		return false;
	t = calloc(1, sizeof(*t));
	ASSERT(t != NULL);
	t->id = id;
	t->q = asked_keep(q);
	buf_init(&b, 64);
	base_int(&b, (int64_t)id);
	base_ask(t->q->s, BASE_ASK_RECORD, &b, on_record, t);
	buf_release(&b);
	return true;
}
