/* search_run.c -- a question answered from the index, week by week; see search.h.
 *
 * Words, replies and a status are lists of ids that are joined (search_join.c): the rarest leads. What none of
 * them knows (that nearly all were `sent`, who may see it) is asked of the rows themselves. What takes
 * long nevertheless, as two frequent words that never meet, the caller's budget ends.
 */
#include <stdio.h>

#include "addr.h"
#include "store/search_private.h"

#define IDS_MAX ((uint64_t)INT64_MAX)
#define MATCH_MAX (64u << 10)

struct running {
	struct db *d;
	const struct search_query *q;
	const struct principal *p;	/* NULL: everything */
	uint64_t from, below;		/* ids: from <= id < below */
	struct buf words, replies;	/* match expressions */
	bool has_words, has_replies, anywhere, prefix;
	bool each;	/* the status is asked of each row */
	struct search_found *out;
	struct err *err;
};

/* ---- who may see it ---- */

/* AND what this one may see: the index finds no more than that. */
static void
limit_words(struct running *x)
{
	const struct principal *p = x->p;
	struct buf *b = &x->words;
	char key[SEARCH_KEY];
	const char *sep = "";

	if (x->has_words)
		buf_puts(b, " AND ");
	buf_puts(b, "keys : (");
	for (size_t i = 0; principal_is(p, PRINCIPAL_BIT(DOMAIN_ADMIN)) && i < p->ndomains; i++) {
		buf_printf(b, "%s\"%s\"", sep, search_key(KEY_SENDER_DOMAIN, p->domains[i], key));
		buf_printf(b, " OR \"%s\"", search_key(KEY_RCPT_DOMAIN, p->domains[i], key));
		sep = " OR ";
	}
	for (size_t i = 0; principal_is(p, PRINCIPAL_BIT(USER)) && i < p->naddresses; i++) {
		buf_printf(b, "%s\"%s\"", sep, search_key(KEY_SENDER, p->addresses[i], key));
		buf_printf(b, " OR \"%s\"", search_key(KEY_RCPT, p->addresses[i], key));
		sep = " OR ";
	}
	if (*sep == '\0')
		buf_puts(b, "\"nothing\"");
	buf_putc(b, ')');
	x->has_words = true;
}

int
search_sees(struct db *d, const struct principal *p, uint64_t id, bool *sender, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT sender FROM message WHERE id=?", err);
	bool seen;
	int r;

	*sender = p == NULL || principal_sees_all(p);
	if (*sender)
		return 1;
	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)id);
	if ((r = db_step(d, st, err)) != 1)
		return r;
	*sender = principal_sees(p, db_column(st, 0));
	sqlite3_reset(st);
	if (*sender)
		return 1;
	if ((st = db_stmt(d, "SELECT address FROM recipient WHERE id=?", err)) == NULL)
		return -1;
	db_int(st, 1, (int64_t)id);
	seen = false;
	while (!seen && (r = db_step(d, st, err)) == 1)
		seen = principal_sees(p, db_column(st, 0));
	sqlite3_reset(st);
	return r == -1 ? -1 : seen;
}

int
search_sees_whole(struct db *d, const struct principal *p, uint64_t id, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT address FROM recipient WHERE id=?", err);
	bool whole = true;
	int r = 0;

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)id);
	while (whole && (r = db_step(d, st, err)) == 1)
		whole = principal_sees(p, db_column(st, 0));
	sqlite3_reset(st);
	return r == -1 ? -1 : whole;
}

/* ---- candidates ---- */

static int
has_status(struct running *x, uint64_t id)
{
	sqlite3_stmt *st = db_stmt(x->d, "SELECT 1 FROM recipient WHERE id=? AND status=?", x->err);
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)id);
	db_text(st, 2, x->q->status);
	r = db_step(x->d, st, x->err);
	sqlite3_reset(st);
	return r;
}

/* 1 taken, 0 not, -1. */
static int
offer(struct running *x, uint64_t id)
{
	struct search_found *out = x->out;
	bool sender;
	int r = 1;

	if (out->n && out->ids[out->n - 1] == id)
		return 0;
	if (x->each && (r = has_status(x, id)) != 1)
		return r;
	if ((r = search_sees(x->d, x->p, id, &sender, x->err)) != 1)
		return r;
	out->ids[out->n++] = id;
	return 1;
}

static int
take_all(struct running *x, sqlite3_stmt *st)
{
	int r = 1;

	while (x->out->n <= x->out->limit && (r = db_step(x->d, st, x->err)) == 1)
		if (offer(x, db_column_id(st, 0)) == -1)
			return -1;
	return r == -1 ? -1 : 0;
}

/* ---- lists ---- */

/* ids: from <= id < below */
static void
list_status(struct running *x, uint64_t from, uint64_t below, struct search_list *l)
{
	static const char queued[] = "SELECT DISTINCT id FROM recipient INDEXED BY recipient_queued"
	    " WHERE status='queued' AND id>=?3 AND id<?4 ORDER BY id DESC",
	    trouble[] = "SELECT DISTINCT id FROM recipient INDEXED BY recipient_trouble WHERE status=?1"
	    " AND status NOT IN ('sent', 'queued') AND id>=?3 AND id<?4 ORDER BY id DESC";

	*l = (struct search_list){ .kept = true,
		.st = db_stmt(x->d, span_is(x->q->status, "queued") ? queued : trouble, x->err) };
	if (l->st == NULL)
		return;
	db_text(l->st, 1, x->q->status);
	db_int(l->st, 3, (int64_t)from);
	db_int(l->st, SEARCH_BELOW, (int64_t)below);
}

static void
list_words(struct running *x, bool replies, uint64_t week, uint64_t from, uint64_t below,
    struct search_list *l)
{
	char sql[SEARCH_SQL_MAX];

	snprintf(sql, sizeof(sql), "SELECT rowid FROM %s_%llu(?1) WHERE rowid>=?3 AND rowid<?4 ORDER BY rowid DESC",
	    replies ? "replies" : "search", (unsigned long long)week);
	*l = (struct search_list){ .st = db_once(x->d, sql, x->err), .prefix = x->prefix };
	if (l->st == NULL)
		return;
	db_text(l->st, 1, buf_data(replies ? &x->replies : &x->words));
	db_int(l->st, 3, (int64_t)from);
	db_int(l->st, SEARCH_BELOW, (int64_t)below);
}

static int
take(void *ctx, uint64_t id)
{
	struct running *x = ctx;

	if (offer(x, id) == -1)
		return -1;
	return x->out->n <= x->out->limit;
}

/* The status first: where a week has none of it no word is looked up. 1 opened, 0 nothing is there, -1. */
static int
open_part(struct running *x, struct search_part *p)
{
	bool some = false;

	for (size_t i = 0; i < p->n; i++) {
		if (search_list_open(&p->lists[i], x->d, x->err) == -1)
			return -1;
		some |= !p->lists[i].end;
	}
	return some;
}

static int
search_week(struct running *x, uint64_t week)
{
	uint64_t from = week * WEEK_IDS, below = from + WEEK_IDS;
	struct search_part parts[3] = { 0 };
	size_t n = 0;
	int r = 1;

	if (x->from > from)
		from = x->from;
	if (x->below < below)
		below = x->below;
	if (x->q->status.n && !x->each) {
		parts[n].n = 1;
		list_status(x, from, below, &parts[n++].lists[0]);
		r = open_part(x, &parts[0]);
	}
	if (r == 1 && x->has_words) {
		list_words(x, false, week, from, below, &parts[n].lists[parts[n].n++]);
		if (x->anywhere)
			list_words(x, true, week, from, below, &parts[n].lists[parts[n].n++]);
		r = open_part(x, &parts[n++]);
	}
	if (r == 1 && x->has_replies) {
		list_words(x, true, week, from, below, &parts[n].lists[parts[n].n++]);
		r = open_part(x, &parts[n++]);
	}
	if (r == 1)
		r = search_join(parts, n, x->d, take, x, x->err);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < parts[i].n; k++)
			search_list_close(&parts[i].lists[k]);
	return r == -1 ? -1 : 0;
}

static int
weeks(struct running *x)
{
	uint64_t week = (x->below - 1) / WEEK_IDS + 1;
	int r = 1;

	while (x->out->n <= x->out->limit) {
		sqlite3_stmt *st = db_stmt(x->d, "SELECT week FROM search_week WHERE week<? AND week>=? AND gone=0"
		    " ORDER BY week DESC LIMIT 1", x->err);

		if (st == NULL)
			return -1;
		db_int(st, 1, (int64_t)week);
		db_int(st, 2, (int64_t)(x->from / WEEK_IDS));
		if ((r = db_step(x->d, st, x->err)) != 1)
			return r;
		week = db_column_id(st, 0);
		sqlite3_reset(st);
		if (search_week(x, week) == -1)
			return -1;
	}
	return 0;
}

/* No words: times, and a status. */
static int
rows(struct running *x)
{
	struct search_list l = { .kept = true };
	int r;

	if (x->q->status.n && !x->each) {
		list_status(x, x->from, x->below, &l);
	} else if ((l.st = db_stmt(x->d, "SELECT id FROM message WHERE id>=?3 AND id<?4 ORDER BY id DESC",
	    x->err)) != NULL) {
		db_int(l.st, 3, (int64_t)x->from);
		db_int(l.st, SEARCH_BELOW, (int64_t)x->below);
	}
	if (l.st == NULL)
		return -1;
	r = take_all(x, l.st);
	search_list_close(&l);
	return r;
}

static int
by_id(struct running *x)
{
	sqlite3_stmt *st = db_stmt(x->d, "SELECT DISTINCT id FROM (SELECT id FROM message WHERE id=?1"
	    " UNION ALL SELECT id FROM message WHERE parent=?1"
	    " UNION ALL SELECT id FROM event WHERE id=?1) ORDER BY id LIMIT ?2", x->err);
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)x->q->id);
	db_int(st, 2, (int64_t)x->out->limit + 1);
	r = take_all(x, st);
	sqlite3_reset(st);
	return r;
}

/* What retention took may stand in the index of its week still. */
static int
oldest(struct db *d, uint64_t *id, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT min(id) FROM message", err);
	int r = st ? db_step(d, st, err) : -1;

	*id = r == 1 ? db_column_id(st, 0) : 0;
	if (r == 1)
		sqlite3_reset(st);
	return r == -1 ? -1 : 0;
}

static uint64_t
id_at(int64_t us)
{
	return (uint64_t)us > IDS_MAX / ID_SLOTS ? IDS_MAX : (uint64_t)us * ID_SLOTS;
}

int
search_run(struct db *d, const struct search_query *q, const struct principal *p, uint64_t below,
    struct search_found *out, struct err *err)
{
	struct running x = { .d = d, .q = q, .p = p && !principal_sees_all(p) ? p : NULL, .out = out,
		.err = err, .from = q->since ? id_at(q->since) : 0,
		.below = q->before ? id_at(q->before) : IDS_MAX };
	struct arena *a;
	uint64_t first;
	int r = 0;

	out->n = 0;
	if (oldest(d, &first, err) == -1)
		return -1;
	if (first > x.from)
		x.from = first;
	a = arena_new(0);
	out->unindexed = search_unindexed(d);
	if (below && below < x.below)
		x.below = below;
	buf_init(&x.words, MATCH_MAX);
	buf_init(&x.replies, MATCH_MAX);
	for (size_t i = 0; i < q->n; i++)
		x.prefix |= q->terms[i].prefix;
	x.has_words = search_match(q, false, a, &x.words);
	x.has_replies = search_match(q, true, a, &x.replies);
	if (x.p)
		limit_words(&x);
	else if (!x.has_replies)
		x.anywhere = search_anywhere(q, &x.replies);
	if (buf_failed(&x.words) || buf_failed(&x.replies))
		r = err_set(err, 0, "the search is too large");
	else if (q->has_id && below == 0) {
		x.each = q->status.n > 0;
		r = by_id(&x);
	}
	/* `sent` are nearly all: no list has them. */
	x.each = span_is(q->status, "sent");
	if (r == 0 && out->n == 0 && x.below > x.from && !(q->has_id && q->n == 0))
		r = x.has_words || x.has_replies ? weeks(&x) : rows(&x);
	buf_release(&x.words);
	buf_release(&x.replies);
	arena_free(&a);
	return r;
}
