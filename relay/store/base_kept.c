/* base_kept.c -- kept messages of other nodes; see share.h, claim.h.
 *
 * In lists they stand beside our own, with the name of their node and a number of the base ("g17"). Whatever
 * else is asked of one first fetches it: sealed as it is, with the keys that all nodes have, it becomes a
 * guest, a row of our own database that nothing counts, and is then looked at and decided as any other. A
 * guest that nobody decides leaves again.
 *
 * What another node has decided of our own is told to us, and marked here.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "addr.h"
#include "clock.h"
#include "fs.h"
#include "log.h"
#include "store/kept_control.h"
#include "store/kept_page.h"
#include "store/share_private.h"

#define FETCH_MAX 1000		/* of one request */
#define CONTENT_MAX ((size_t)256 << 20)
#define MARKS_MAX 500

/* ---- guests ---- */

static bool
guest_of(struct db *d, int64_t gid, int64_t *kid)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT kid FROM kept WHERE home_gid=? AND home IS NOT NULL ORDER BY state DESC LIMIT 1",
	    NULL);
	bool there;

	if (st == NULL)
		return false;
	db_int(st, 1, gid);
	there = db_step(d, st, NULL) == 1;
	if (there)
		*kid = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return there;
}

int
guests_leave(struct db *d, int64_t before, struct err *err)
{
	static const char old[] = "SELECT 1 FROM kept WHERE home_gid IS NOT NULL AND state>3 AND home_time<?1 AND NOT EXISTS("
	    "SELECT 1 FROM claim WHERE claim.kid=kept.kid) LIMIT 1";
	static const char *const sql[] = {
		"DELETE FROM kept_content WHERE kid IN (SELECT kid FROM kept WHERE home_gid IS NOT NULL AND state>3"
		" AND home_time<?1 AND NOT EXISTS(SELECT 1 FROM claim WHERE claim.kid=kept.kid))",
		"DELETE FROM kept_rcpt WHERE kid IN (SELECT kid FROM kept WHERE home_gid IS NOT NULL AND state>3"
		" AND home_time<?1 AND NOT EXISTS(SELECT 1 FROM claim WHERE claim.kid=kept.kid))",
		"DELETE FROM kept WHERE home_gid IS NOT NULL AND state>3 AND home_time<?1 AND NOT EXISTS("
		"SELECT 1 FROM claim WHERE claim.kid=kept.kid)" };
	sqlite3_stmt *st = db_stmt(d, old, err);
	int r;

	before = before ? before : INT64_MAX;
	if (st == NULL)
		return -1;
	db_int(st, 1, before);
	if ((r = db_step(d, st, err)) != 1)
		return r;
	sqlite3_reset(st);
	if (db_begin(d, false, err) == -1)
		return -1;
	for (size_t i = 0; i < sizeof(sql) / sizeof(sql[0]); i++)
		if (db_run_int(d, sql[i], before, err) == -1) {
			db_rollback(d);
			return -1;
		}
	return db_commit(d, err);
}

static void
bind_value(sqlite3_stmt *st, int i, const struct base_value *v)
{
	if (v->type == BASE_INT)
		db_int(st, i, v->i);
	else if (v->type == BASE_TEXT)
		db_text_always(st, i, v->s);
	else if (v->type == BASE_BLOB)
		db_blob(st, i, v->s.p, v->s.n);
}

static int
put_guest(struct db *d, const struct base_value *v, int64_t *kid, struct err *err)
{
	static const int from[] = { 0, 1, 2, 28, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 16, 17, 18, 19, 20, 21, 22, 23,
		24, 25 };
	sqlite3_stmt *st = db_stmt(d, "INSERT INTO kept(home, home_kid, home_node, home_gid, id, parent, kind, queue, time,"
	    " expires, on_expire, sender, client, subject, size, new_id, by, decided, envelope, record, voted, direction,"
	    " class, sender_domain, virus, confirmed, state, home_time)"
	    " VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", err);
	int n = sizeof(from) / sizeof(from[0]);

	if (st == NULL)
		return -1;
	for (int i = 0; i < n; i++)
		bind_value(st, i + 1, &v[from[i]]);
	db_int(st, n + 1, v[14].i == KEPT_WAITING ? KEPT_GUEST : v[14].i);
	db_int(st, n + 2, clock_real());
	if (db_run(d, st, err) == -1)
		return -1;
	*kid = db_last_rowid(d);
	return 0;
}

/* Sealed for its row at home; here for its row here. */
static int
put_content(struct db *d, int64_t kid, int64_t home_kid, struct span sealed, struct arena *a, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT ?1", err);
	struct span zipped = { 0 };
	int r;

	if (st == NULL)
		return -1;
	db_blob(st, 1, sealed.p, sealed.n);
	if ((r = db_step(d, st, err)) == 1)
		r = sealed_column(d, st, 0, SEALED_CONTENT, home_kid, a, &zipped, err);
	if (r == 0)
		zipped = arena_span(a, zipped);
	sqlite3_reset(st);
	if (r == -1 || (st = db_stmt(d, "INSERT INTO kept_content(kid, method, bytes) VALUES(?,1,?)", err)) == NULL ||
	    sealed_bind(d, st, 2, SEALED_CONTENT, kid, zipped, err) == -1)
		return -1;
	db_int(st, 1, kid);
	r = db_run(d, st, err);
	sqlite3_clear_bindings(st);
	return r;
}

/* 1 it is here, 0 it cannot be had (it is being decided), -1. */
static int
adopt(struct store *s, const struct base_value *v, int fd, struct arena *a, struct err *err)
{
	struct db *d = s->db;
	struct span content = v[29].s;
	void *map = MAP_FAILED;
	uint64_t size = 0;
	int64_t kid;
	int r;

	if (guest_of(d, v[28].i, &kid))
		return db_run_int(d, "UPDATE kept SET home_time=max(home_time, time) WHERE kid=?1", kid, err) == -1 ? -1 : 1;
	if (v[14].i != KEPT_WAITING && v[14].i < KEPT_RELEASED)
		return 0;
	if (v[29].type == BASE_FD) {
		if (fd == -1 || fs_memfd_check(fd, &size, err) == -1 || size > CONTENT_MAX ||
		    (map = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0)) == MAP_FAILED)
			return err_set(err, 0, "its content cannot be read");
		content = span_make(map, (size_t)size);
	}
	store_settle(s);
	r = db_begin(d, false, err);
	if (r == 0 && (put_guest(d, v, &kid, err) == -1 ||
	    (v[29].type != BASE_NULL && put_content(d, kid, v[1].i, content, a, err) == -1))) {
		db_rollback(d);
		r = -1;
	}
	if (r == 0)
		r = db_commit(d, err);
	if (map != MAP_FAILED)
		munmap(map, (size_t)size);
	return r == -1 ? -1 : 1;
}

/* "g17" */
static bool
gid_of(struct span text, int64_t *gid)
{
	return text.n > 1 && text.p[0] == 'g' && kept_kid(span_from(text, 1), gid);
}

bool
kept_kid_of(struct asked *q, struct span text, int64_t *kid)
{
	int64_t gid;

	if (kept_kid(text, kid))
		return true;
	return gid_of(text, &gid) && guest_of(q->s->db, gid, kid);
}

/* ---- what a request names ---- */

struct fetching {
	struct asked *q;
	int64_t *gids, *kids;
	size_t n, at, nkids;
	bool chosen;		/* by a selector, not by names */
	int64_t after;		/* kept before it: not */
};

static void fetch_next(struct fetching *f);

static void
fetched(struct fetching *f)
{
	struct asked *q = f->q;

	q->fetched = true;
	if (f->chosen) {
		q->guests = f->kids;
		q->nguests = f->nkids;
	}
	store_answer(q);
	free(q);
	free(f);
}

static void
on_row(void *ctx, const struct msg_base_told *m, int fd, const char *why)
{
	struct fetching *f = ctx;
	struct base_value v[BASE_COLUMNS_MAX];
	struct base_reader r = { m ? m->rows : (struct span){ 0 } };
	struct arena *a = arena_new(0);
	enum base_table t;
	struct err err = { 0 };
	char text[400];

	if (m == NULL) {
		snprintf(text, sizeof(text), "a message of another node cannot be had: %s", why);
		say_coded(f->q, "busy", text);
		asked_end(f->q);
		free(f->q);
		free(f);
		arena_free(&a);
		return;
	}
	if (base_row_next(&r, &t, v) == 1 && t == BASE_KEPT) {
		switch (adopt(f->q->s, v, fd, a, &err)) {
		case -1:
			log_error("a kept message of another node: %s", err.text);
			break;
		case 1:
			if (guest_of(f->q->s->db, v[28].i, &f->kids[f->nkids]))
				f->nkids++;
		}
	}
	arena_free(&a);
	fetch_next(f);
}

static void
fetch_next(struct fetching *f)
{
	struct buf b;

	if (f->at == f->n) {
		fetched(f);
		return;
	}
	buf_init(&b, 64);
	base_int(&b, f->gids[f->at++]);
	base_ask(f->q->s, BASE_ASK_KEPT_GET, &b, on_row, f);
	buf_release(&b);
}

static struct fetching *
fetching_new(struct asked *q)
{
	struct fetching *f = calloc(1, sizeof(*f));

	ASSERT(f != NULL);
	f->gids = arena_array(q->arena, FETCH_MAX, sizeof(*f->gids));
	f->kids = arena_array(q->arena, FETCH_MAX, sizeof(*f->kids));
	f->q = asked_keep(q);
	return f;
}

/* ---- chosen by a selector ---- */

static void
put_text(struct buf *b, struct span s)
{
	if (s.n)
		base_text(b, s);
	else
		base_null(b);
}

static void
put_int(struct buf *b, int64_t v)
{
	if (v)
		base_int(b, v);
	else
		base_null(b);
}

static void
put_party(struct buf *b, struct span s, struct arena *a)
{
	bool address = span_find(s, '@') < s.n && s.p[0] != '@';

	put_text(b, address ? s : (struct span){ 0 });
	put_text(b, address ? (struct span){ 0 } : arena_lower(a, s.n && s.p[0] == '@' ? span_from(s, 1) : s));
}

/* One a line. */
static void
put_names(struct buf *b, const struct span *v, size_t n, struct arena *a)
{
	struct buf names;

	buf_init(&names, 256u << 10);
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_putc(&names, '\n');
		buf_span(&names, arena_lower(a, v[i]));
	}
	base_text(b, buf_data(&names));
	buf_release(&names);
}

/* What this one may see, or nothing that limits it. */
static void
put_viewer(struct buf *b, const struct asked *q)
{
	const struct principal *p = &q->who;

	if (principal_sees_all(p)) {
		base_null(b);
		base_null(b);
		return;
	}
	put_names(b, p->addresses, principal_is(p, PRINCIPAL_BIT(USER)) ? p->naddresses : 0, q->arena);
	put_names(b, p->domains, principal_is(p, PRINCIPAL_BIT(DOMAIN_ADMIN)) ? p->ndomains : 0, q->arena);
}

static void
ask_page(struct asked *q, const struct kept_ask *ask, int64_t before, size_t limit, base_cb *cb, void *ctx)
{
	struct buf b;

	buf_init(&b, 1u << 20);
	put_text(&b, ask->kind == OUTCOME_UNJUDGED ? (struct span){ 0 } : span_str(outcome_name(ask->kind)));
	put_int(&b, ask->state);
	put_text(&b, ask->queue);
	put_text(&b, ask->class);
	put_party(&b, ask->from, q->arena);
	put_party(&b, ask->to, q->arena);
	put_text(&b, ask->q);
	put_int(&b, (int64_t)ask->id);
	put_int(&b, before);
	base_int(&b, (int64_t)limit);
	base_int(&b, share_self(q->s));
	base_null(&b);
	put_viewer(&b, q);
	base_ask(q->s, BASE_ASK_KEPT_PAGE, &b, cb, ctx);
	buf_release(&b);
}

bool
base_kept_page(struct asked *q, const struct kept_ask *ask, int64_t before, size_t limit, base_cb *done, void *ctx)
{
	if (!share_on(q->s) || ask->asked)
		return false;
	ask_page(q, ask, before, limit, done, ctx);
	return true;
}

static void
on_chosen(void *ctx, const struct msg_base_told *m, int fd, const char *why)
{
	struct fetching *f = ctx;
	struct base_value v[BASE_COLUMNS_MAX];
	struct base_reader r = { m ? m->rows : (struct span){ 0 } };
	enum base_table t;

	/* Without the base its own are the answer. */
	while (base_row_next(&r, &t, v) == 1 && f->n < FETCH_MAX)
		if (t == BASE_KEPT && v[7].i >= f->after)
			f->gids[f->n++] = v[28].i;
	if (jval_bool(f->q->req, "count")) {
		f->nkids = f->n;
		f->n = 0;
	}
	fetch_next(f);
}

static bool
choose(struct asked *q, enum outcome kind, bool waiting)
{
	struct kept_filter filter = { .kind = kind };
	struct span text = jval_text(q->req, "selector");
	struct kept_ask ask = { .kind = kind, .state = waiting ? KEPT_WAITING : 0 };
	struct fetching *f;
	struct err err;

	if (text.n == 0)
		text = jval_text(q->req, "id");
	if (text.n == 0 || !principal_sees_all(&q->who) || !share_there(q->s) ||
	    kept_filter_parse(text, clock_real(), q->arena, &filter, &err) == -1)
		return false;
	ask.id = filter.id;
	ask.queue = filter.queue;
	ask.from = filter.from;
	ask.to = filter.to;
	f = fetching_new(q);
	f->chosen = true;
	f->after = filter.after;
	ask_page(f->q, &ask, filter.before, FETCH_MAX, on_chosen, f);
	return true;
}

static void
name_gid(struct fetching *f, struct span text)
{
	int64_t gid;

	if (gid_of(text, &gid) && f->n < FETCH_MAX)
		f->gids[f->n++] = gid;
}

static bool
names_guest(const struct asked *q)
{
	const struct jval *kids = jval_get(q->req, "kids");
	int64_t gid;

	if (gid_of(jval_text(q->req, "kid"), &gid))
		return true;
	for (size_t i = 0; i < jval_count(kids); i++)
		if (gid_of(jval_str(jval_at(kids, i)), &gid))
			return true;
	return false;
}

bool
base_kept(struct asked *q)
{
	static const struct { struct span prefix; enum outcome kind; } prefixes[] = {
		{ { "kept.", 5 }, OUTCOME_UNJUDGED }, { { "held.", 5 }, OUTCOME_HOLD },
		{ { "quarantine.", 11 }, OUTCOME_QUARANTINE } };
	struct span cmd = jval_text(q->req, "cmd");
	struct fetching *f;
	size_t i = 0;

	while (i < 3 && !span_starts(cmd, prefixes[i].prefix))
		i++;
	if (!share_on(q->s) || i == 3)
		return false;
	cmd = span_from(cmd, prefixes[i].prefix.n);
	if (names_guest(q)) {
		const struct jval *kids = jval_get(q->req, "kids");

		f = fetching_new(q);
		name_gid(f, jval_text(f->q->req, "kid"));
		for (size_t k = 0; k < jval_count(kids); k++)
			name_gid(f, jval_str(jval_at(kids, k)));
		fetch_next(f);
		return true;
	}
	if (prefixes[i].kind == OUTCOME_UNJUDGED || jval_count(jval_get(q->req, "kids")) || jval_has(q->req, "kid"))
		return false;
	if (span_is(cmd, "release") || span_is(cmd, "reject") || span_is(cmd, "delete"))
		return choose(q, prefixes[i].kind, true);
	return (span_is(cmd, "show") || span_is(cmd, "preview")) && choose(q, prefixes[i].kind, false);
}

/* ---- our own, decided elsewhere ---- */

static int
mark(struct db *d, const struct base_value *v, struct err *err)
{
	static const char *const names[] = { [KEPT_RELEASED] = "released", [KEPT_REJECTED] = "rejected",
		[KEPT_DELETED] = "discarded" };
	sqlite3_stmt *st = db_stmt(d, "UPDATE kept SET state=?2, new_id=?3, by=?4, decided=?5 WHERE kid=?1 AND home IS NULL",
	    err);

	if (v[1].i < KEPT_RELEASED || v[1].i > KEPT_DELETED)
		return 0;
	for (int i = 0; st && i < 5; i++)
		bind_value(st, i + 1, &v[i]);
	if (st == NULL || db_run(d, st, err) == -1 ||
	    db_run_int(d, "DELETE FROM kept_content WHERE kid=?1", v[0].i, err) == -1)
		return -1;
	st = db_stmt(d, "UPDATE recipient SET status=?2, time=max(time, ?3) WHERE id=(SELECT id FROM kept WHERE kid=?1)"
	    " AND address IN (SELECT address FROM kept_rcpt WHERE kid=?1) AND status IN ('held', 'quarantined')", err);
	if (st == NULL)
		return -1;
	db_int(st, 1, v[0].i);
	db_text(st, 2, span_str(names[v[1].i]));
	db_int(st, 3, v[4].i);
	return db_run(d, st, err);
}

static void
on_marks(void *ctx, const struct msg_base_told *m, int fd, const char *why)
{
	struct store *s = ctx;
	struct base_value v[BASE_COLUMNS_MAX];
	struct base_reader r = { m ? m->rows : (struct span){ 0 } };
	enum base_table t;
	struct err err;
	size_t n = 0;

	if (r.rest.n == 0)
		return;
	store_settle(s);
	if (db_begin(s->db, false, &err) == -1) {
		log_error("decisions of other nodes: %s", err.text);
		return;
	}
	for (; base_row_next(&r, &t, v) == 1; n++)
		if (t == BASE_DONE && mark(s->db, v, &err) == -1) {
			log_error("decisions of other nodes: %s", err.text);
			db_rollback(s->db);
			return;
		}
	if (db_commit(s->db, &err) == -1)
		log_error("decisions of other nodes: %s", err.text);
	else
		log_info("%zu of our kept messages were decided by other nodes", n);
	share_wake(s);
}

void
base_marks(struct store *s)
{
	struct buf b;

	buf_init(&b, 64);
	base_int(&b, share_self(s));
	base_ask(s, BASE_ASK_MARKS, &b, on_marks, s);
	buf_release(&b);
}
