/* base_lists.c -- the lists of senders, equal on all nodes; see share.h.
 *
 * A node changes its own table at once and sends what it changed; the base numbers all changes in the order
 * of their commits (rev), and each node takes over what is behind the number it knows. What arrives last
 * holds, everywhere. What was changed here and is still on its way is not overwritten by what others did
 * before: it arrives later than theirs. Entries that ran out are taken out by every node itself.
 */
#include "clock.h"
#include "log.h"
#include "store/lists_db.h"
#include "store/share_private.h"

static int
bind_row(sqlite3_stmt *st, const struct base_value *v, int n)
{
	for (int i = 0; i < n; i++)
		if (v[i].type == BASE_INT)
			db_int(st, i + 1, v[i].i);
		else if (v[i].type == BASE_TEXT)
			db_text_always(st, i + 1, v[i].s);
	return 0;
}

static int
run(struct db *d, const char *sql, const struct base_value *v, int n, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, sql, err);

	if (st == NULL)
		return -1;
	bind_row(st, v, n);
	return db_run(d, st, err);
}

/* 1 it is: our own change of it is on its way. */
static int
is_ours(struct db *d, const struct base_value *v, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT 1 FROM share_list WHERE scope=? AND owner=? AND what=?", err);
	int r;

	if (st == NULL)
		return -1;
	bind_row(st, v, 3);
	r = db_step(d, st, err);
	sqlite3_reset(st);
	return r;
}

static int
take(struct db *d, const struct base_value *v, int64_t now, bool *changed, struct err *err)
{
	int r = is_ours(d, v, err);
	bool gone = v[13].i != 0 || (v[10].type == BASE_INT && v[10].i <= now);

	if (r != 0)
		return r == -1 ? -1 : 0;
	if (gone)
		r = run(d, "DELETE FROM list_entry WHERE scope=? AND owner=? AND what=?", v, 3, err);
	else	/* numbers are a node's own, and stay */
		r = run(d, "INSERT INTO list_entry(scope, owner, what, domain, side, kind, who, reason, time, by, expires,"
		    " unauthenticated, state) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT(scope, owner, what) DO UPDATE SET"
		    " domain=excluded.domain, side=excluded.side, kind=excluded.kind, who=excluded.who,"
		    " reason=excluded.reason, time=excluded.time, by=excluded.by, expires=excluded.expires,"
		    " unauthenticated=excluded.unauthenticated, state=excluded.state WHERE (side, who, reason, time, by,"
		    " coalesce(expires, 0), unauthenticated, state) IS NOT (excluded.side, excluded.who, excluded.reason,"
		    " excluded.time, excluded.by, coalesce(excluded.expires, 0), excluded.unauthenticated, excluded.state)", v,
		    13, err);
	if (r == -1)
		return -1;
	*changed |= db_changes(d) > 0;
	/* It is not ours to send. */
	return run(d, "DELETE FROM share_list WHERE scope=? AND owner=? AND what=?", v, 3, err);
}

static int
take_all(struct store *s, struct span rows, bool *changed, size_t *n, struct err *err)
{
	struct base_reader r = { rows };
	struct base_value v[BASE_COLUMNS_MAX], rev = { .type = BASE_INT };
	int64_t now = clock_real();
	enum base_table t;

	for (; base_row_next(&r, &t, v) == 1; ++*n) {
		if (t != BASE_LIST)
			continue;
		if (take(s->db, v, now, changed, err) == -1)
			return -1;
		rev.i = v[14].i;
	}
	return run(s->db, "UPDATE setting SET value=max(value, ?1) WHERE name='share_rev'", &rev, 1, err);
}

static void
on_lists(void *ctx, const struct msg_base_told *m, int fd, const char *why)
{
	struct store *s = ctx;
	bool changed = false;
	struct err err;
	size_t n = 0;

	if (m == NULL || m->rows.n == 0)
		return;		/* by the next notice, or the clock */
	store_settle(s);
	if (db_begin(s->db, false, &err) == -1 || take_all(s, m->rows, &changed, &n, &err) == -1 ||
	    db_commit(s->db, &err) == -1) {
		db_rollback(s->db);
		log_error("lists of senders of other nodes: %s", err.text);
		return;
	}
	if (changed)
		lists_changed(s);
	if (m->partial || n >= BASE_LISTS_PAGE)
		base_lists(s);
}

void
base_lists(struct store *s)
{
	sqlite3_stmt *st = db_stmt(s->db, "SELECT value FROM setting WHERE name='share_rev'", NULL);
	int64_t rev = 0;
	struct buf b;

	if (st && db_step(s->db, st, NULL) == 1) {
		rev = sqlite3_column_int64(st, 0);
		sqlite3_reset(st);
	}
	buf_init(&b, 64);
	base_int(&b, rev);
	base_ask(s, BASE_ASK_LISTS, &b, on_lists, s);
	buf_release(&b);
}
