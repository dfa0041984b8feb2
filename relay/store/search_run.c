/* search_run.c -- a question answered from the index, week by week; see search.h.
 *
 * Candidates come from the index newest first; what it does not know (the status now, who may see
 * it) is asked of the rows themselves. So a rare status among frequent words takes long, and the caller's
 * budget ends it.
 */
#include <stdio.h>

#include "addr.h"
#include "store/search_private.h"

#define IDS_MAX ((uint64_t)INT64_MAX)
#define LOOKED_AT_MAX 20000		/* of a week, for a status */
#define MATCH_MAX (64u << 10)

struct running {
	struct db *d;
	const struct search_query *q;
	const struct principal *p;	/* NULL: everything */
	uint64_t from, below;		/* ids: from <= id < below */
	struct buf words, replies;	/* match expressions */
	bool has_words, has_replies, anywhere;
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
	if (x->q->status.n && (r = has_status(x, id)) != 1)
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

static void
week_sql(const struct running *x, uint64_t week, char *sql, size_t size)
{
	unsigned long long w = week;

#define RANGE "rowid>=?3 AND rowid<?4"
	if (x->has_words && x->anywhere)
		snprintf(sql, size, "SELECT rowid FROM (SELECT rowid FROM (SELECT rowid FROM search_%llu(?1)"
		    " WHERE " RANGE " ORDER BY rowid DESC LIMIT ?5) UNION SELECT rowid FROM (SELECT rowid FROM"
		    " replies_%llu(?2) WHERE " RANGE " ORDER BY rowid DESC LIMIT ?5)) ORDER BY rowid DESC", w, w);
	else if (x->has_words)
		snprintf(sql, size, "SELECT rowid FROM search_%llu(?1) WHERE " RANGE " ORDER BY rowid DESC", w);
	else
		snprintf(sql, size, "SELECT rowid FROM replies_%llu(?2) WHERE " RANGE " ORDER BY rowid DESC", w);
#undef RANGE
}

static sqlite3_stmt *
week_open(struct running *x, const char *sql)
{
	sqlite3_stmt *st = db_once(x->d, sql, x->err);

	if (st == NULL)
		return NULL;
	db_text(st, 1, buf_data(&x->words));
	db_text(st, 2, buf_data(&x->replies));
	db_int(st, 3, (int64_t)x->from);
	db_int(st, 4, (int64_t)x->below);
	return st;
}

/* Words and replies: both lists run from the newest on, and the one that is ahead waits. */
static int
search_both(struct running *x, uint64_t week)
{
	char sql[2][SEARCH_SQL_MAX];
	sqlite3_stmt *st[2] = { NULL, NULL };
	uint64_t id[2] = { 0, 0 };
	int r = 1;

	for (int i = 0; i < 2; i++)
		snprintf(sql[i], sizeof(sql[i]), "SELECT rowid FROM %s_%llu(%s) WHERE rowid>=?3 AND rowid<?4"
		    " ORDER BY rowid DESC", i ? "replies" : "search", (unsigned long long)week, i ? "?2" : "?1");
	if ((st[0] = week_open(x, sql[0])) == NULL || (st[1] = week_open(x, sql[1])) == NULL)
		r = -1;
	for (int i = 0; r == 1 && i < 2; i++)
		if ((r = db_step(x->d, st[i], x->err)) == 1)
			id[i] = db_column_id(st[i], 0);
	while (r == 1 && x->out->n <= x->out->limit) {
		int behind = id[0] > id[1] ? 0 : 1;

		if (id[0] == id[1] && offer(x, id[0]) == -1)
			r = -1;
		else if ((r = db_step(x->d, st[behind], x->err)) == 1)
			id[behind] = db_column_id(st[behind], 0);
	}
	sqlite3_finalize(st[0]);
	sqlite3_finalize(st[1]);
	return r == -1 ? -1 : 0;
}

static int
search_week(struct running *x, uint64_t week)
{
	char sql[SEARCH_SQL_MAX];
	sqlite3_stmt *st;
	int r;

	if (x->has_words && x->has_replies)
		return search_both(x, week);
	week_sql(x, week, sql, sizeof(sql));
	if ((st = week_open(x, sql)) == NULL)
		return -1;
	if (sqlite3_bind_parameter_count(st) >= 5)
		/* With a status many are looked at for each that is taken. */
		db_int(st, 5, x->q->status.n ? LOOKED_AT_MAX : (int64_t)(x->out->limit + 1 - x->out->n));
	r = take_all(x, st);
	sqlite3_finalize(st);
	return r;
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
	static const char plain[] = "SELECT id FROM message WHERE id>=?1 AND id<?2 ORDER BY id DESC",
	    trouble[] = "SELECT DISTINCT id FROM recipient INDEXED BY recipient_trouble WHERE status=?3"
	    " AND status NOT IN ('sent', 'queued') AND id>=?1 AND id<?2 ORDER BY id DESC";
	bool rare = x->q->status.n && !span_is(x->q->status, "sent") && !span_is(x->q->status, "queued");
	sqlite3_stmt *st = db_stmt(x->d, rare ? trouble : plain, x->err);
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)x->from);
	db_int(st, 2, (int64_t)x->below);
	if (rare)
		db_text(st, 3, x->q->status);
	r = take_all(x, st);
	sqlite3_reset(st);
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
	x.has_words = search_match(q, false, a, &x.words);
	x.has_replies = search_match(q, true, a, &x.replies);
	if (x.p)
		limit_words(&x);
	else if (!x.has_replies)
		x.anywhere = search_anywhere(q, &x.replies);
	if (buf_failed(&x.words) || buf_failed(&x.replies))
		r = err_set(err, 0, "the search is too large");
	else if (q->has_id && below == 0)
		r = by_id(&x);
	if (r == 0 && out->n == 0 && x.below > x.from && !(q->has_id && q->n == 0))
		r = x.has_words || x.has_replies ? weeks(&x) : rows(&x);
	buf_release(&x.words);
	buf_release(&x.replies);
	arena_free(&a);
	return r;
}
