/* base_audit.c -- the audit logs of all nodes; see share.h, audit.h.
 *
 *	{"cmd":"audit.list"}	of all nodes, newest first, each row with its "node"; "before" and "next" are times then.
 *		Without the base, and with "here":true, this node's own; "partial" says so
 *	{"cmd":"audit.nodes"}	{"v":1,"node","store","version","heard","behind","seq","queue",
 *		"config","counters"} for each; then {"v":1,"found"}
 *	{"cmd":"audit.verify","store":"N", …}	as without it, of that node's chain as the base has it
 *
 * Each node's rows are a chain of their own, under a key that all nodes have and the base has not. What
 * the base says it has and has not is cut off; what it has of this node must be what this node wrote.
 */
#include <stdlib.h>

#include "clock.h"
#include "conf.h"
#include "store/audit.h"
#include "store/share_private.h"

#define CHAIN_ROWS 5000
#define A_TIME INT64_C(1000000000000)	/* what is larger is no number of a row */

struct auditing {
	struct asked *q;
	size_t limit;
	int64_t store;
	struct audit_walk w;
};

static void
over(struct auditing *a)
{
	asked_end(a->q);
	free(a->q);
	free(a);
}

static struct auditing *
auditing_new(struct asked *q)
{
	struct auditing *a = calloc(1, sizeof(*a));

	ASSERT(a != NULL);
	a->q = asked_keep(q);
	return a;
}

/* ---- list ---- */

static void
put_row(struct buf *out, struct span node, const struct base_value *v)
{
	static const char *const names[] = { "who", "what", "subject", "detail" };
	char hex[2 * AUDIT_HASH + 1] = "";
	struct json j;

	if (v[7].s.n == AUDIT_HASH)
		audit_hex((const unsigned char *)v[7].s.p, hex);
	json_begin(&j, out);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kstr(&j, "node", node);
	json_kint(&j, "seq", v[0].i);
	json_kint(&j, "time", v[1].i);
	for (int i = 0; i < 4; i++)
		json_kstr(&j, names[i], v[2 + i].s);
	json_kcstr(&j, "hash", hex);
	json_end_object(&j);
	buf_putc(out, '\n');
}

static void
last_line(struct asked *q, size_t found, int64_t next, const char *why)
{
	struct json j = open_line(q->reply);

	json_kuint(&j, "found", found);
	json_kbool(&j, "more", next != 0);
	json_kint(&j, "next", next);
	json_kbool(&j, "partial", why != NULL);
	if (why)
		json_kcstr(&j, "base", why);
	close_line(q->reply, &j);
}

/* This node's own, from a number or a time on. */
static void
list_own(struct asked *q, int64_t before, size_t limit, const char *why)
{
	sqlite3_stmt *st;
	struct err err;
	size_t found;
	int64_t next;

	if (before > A_TIME && (st = db_stmt(q->s->db, "SELECT coalesce(max(seq), 0)+1 FROM audit WHERE time<?", NULL)) != NULL) {
		db_int(st, 1, before);
		if (db_step(q->s->db, st, NULL) == 1)
			before = sqlite3_column_int64(st, 0);
		sqlite3_reset(st);
	}
	if (audit_list(q->s->db, jval_text(q->req, "q"), before, limit, reply_buf(q->reply), &found, &next, &err) == -1)
		say_error(q, err.text);
	else
		last_line(q, found, next, why);
}

static void
on_list(void *ctx, const struct msg_base_told *m, int fd, const char *why)
{
	struct auditing *a = ctx;
	struct base_value v[BASE_COLUMNS_MAX];
	struct base_reader r = { m ? m->rows : (struct span){ 0 } };
	enum base_table t;
	int64_t last = 0;
	size_t found = 0;
	bool more = false;

	if (m == NULL) {
		list_own(a->q, jval_int(a->q->req, "before", 0), a->limit, why);
		over(a);
		return;
	}
	while (base_row_next(&r, &t, v) == 1 && t == BASE_AUDIT) {
		if (found == a->limit) {
			more = true;
			break;
		}
		put_row(reply_buf(a->q->reply), v[1].s, &v[2]);
		last = v[3].i;
		found++;
	}
	last_line(a->q, found, more || m->partial ? last : 0, NULL);
	over(a);
}

static struct span
words_of(struct asked *q)
{
	struct span s = span_trim(jval_text(q->req, "q"));
	char *p = arena_str(q->arena, s);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		if (p[i] != ' ')
			p[n++] = p[i];
		else if (n && p[n - 1] != '\n')
			p[n++] = '\n';
	return span_make(p, n);
}

bool
base_audit_list(struct asked *q, size_t limit)
{
	int64_t before = jval_int(q->req, "before", 0);
	struct auditing *a;
	struct buf b;

	if (!share_on(q->s) || jval_bool(q->req, "here"))
		return false;
	/* What was written this moment is wanted most: it goes first. */
	if (!share_there(q->s) || !share_audit_sent(q->s)) {
		share_wake(q->s);
		if (!share_there(q->s)) {
			list_own(q, before, limit, share_why(q->s));
			return true;
		}
	}
	a = auditing_new(q);
	a->limit = limit;
	buf_init(&b, 4096);
	if (words_of(a->q).n)
		base_text(&b, words_of(a->q));
	else
		base_null(&b);
	if (before > 0)
		base_int(&b, before);
	else
		base_null(&b);
	base_int(&b, (int64_t)limit + 1);
	base_ask(a->q->s, BASE_ASK_AUDIT_PAGE, &b, on_list, a);
	buf_release(&b);
	return true;
}

/* ---- nodes ---- */

static void
on_nodes(void *ctx, const struct msg_base_told *m, int fd, const char *why)
{
	struct auditing *a = ctx;
	struct base_value v[BASE_COLUMNS_MAX];
	struct base_reader r = { m ? m->rows : (struct span){ 0 } };
	enum base_table t;
	struct json j;
	size_t n = 0;
	char store[24];

	while (base_row_next(&r, &t, v) == 1 && t == BASE_NODE) {
		j = open_line(a->q->reply);
		snprintf(store, sizeof(store), "%lld", (long long)v[0].i);
		json_kstr(&j, "node", v[1].s);
		json_kcstr(&j, "store", store);
		json_kstr(&j, "version", v[2].s);
		json_kint(&j, "heard", v[3].i);
		json_kint(&j, "behind", v[4].i);
		json_kint(&j, "seq", v[5].i);
		json_kint(&j, "queue", v[7].i);
		json_kstr(&j, "config", v[8].s);
		json_kstr(&j, "counters", v[9].s);
		json_kbool(&j, "self", v[0].i == share_self(a->q->s));
		close_line(a->q->reply, &j);
		n++;
	}
	j = open_line(a->q->reply);
	json_kuint(&j, "found", n);
	json_kbool(&j, "partial", m == NULL);
	if (m == NULL)
		json_kcstr(&j, "base", why);
	close_line(a->q->reply, &j);
	over(a);
}

void
do_audit_nodes(struct asked *q, int fd)
{
	struct buf b;
	struct json j;

	if (!principal_is(&q->who, PRINCIPAL_BIT(AUDITOR) | PRINCIPAL_BIT(OPERATOR))) {
		asked_refuse(q, "audit.nodes");
		return;
	}
	if (!share_on(q->s)) {
		j = open_line(q->reply);
		json_kuint(&j, "found", 0);
		close_line(q->reply, &j);
		return;
	}
	buf_init(&b, 64);
	base_ask(q->s, BASE_ASK_NODES, &b, on_nodes, auditing_new(q));
	buf_release(&b);
}

/* ---- verify ---- */

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
put_audit(struct db *d, const char *sql, const struct base_value *v, int n, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, sql, err);

	if (st == NULL)
		return -1;
	for (int i = 0; i < n; i++)
		bind_value(st, i + 1, &v[i]);
	return db_run(d, st, err);
}

static int
forget(struct db *d, struct err *err)
{
	static const char *const sql[] = { "DELETE FROM audit", "DELETE FROM audit_base",
		"DELETE FROM sqlite_sequence WHERE name='audit'" };

	for (size_t i = 0; i < 3; i++) {
		sqlite3_stmt *st = db_stmt(d, sql[i], err);

		if (st == NULL || db_run(d, st, err) == -1)
			return -1;
	}
	return 0;
}

/* Rows of a chain into the tables in memory; how many, -1. */
static int64_t
load(struct db *d, struct span rows, struct err *err)
{
	struct base_value v[BASE_COLUMNS_MAX];
	struct base_reader r = { rows };
	enum base_table t;
	int64_t n = 0;

	if (forget(d, err) == -1)
		return -1;
	while (base_row_next(&r, &t, v) == 1) {
		if (t == BASE_AUDIT) {
			n++;
			if (put_audit(d, "INSERT INTO audit(seq, time, who, what, subject, detail, key, hash)"
			    " VALUES(?,?,?,?,?,?,?,?)", &v[2], 8, err) == -1)
				return -1;
		} else if (t == BASE_AUDIT_BASE && put_audit(d, "INSERT INTO audit_base(one, seq, hash, key, mac)"
		    " VALUES(1,?,?,?,?)", &v[1], 4, err) == -1) {
			return -1;
		}
	}
	return n;
}

/* Is it what this node has? A row that retention took is nobody's to compare. */
static bool
is_own(struct db *d, const struct audit_walk *w)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT hash FROM audit WHERE seq=?", NULL);
	bool same = true;

	if (st == NULL)
		return true;
	db_int(st, 1, w->seq);
	if (db_step(d, st, NULL) == 1) {
		same = span_eq(db_column(st, 0), span_make((const char *)w->hash, AUDIT_HASH));
		sqlite3_reset(st);
	}
	return same;
}

static void
put_walk(struct asked *q, const struct audit_walk *w, const char *why)
{
	struct json j = open_line(q->reply);
	char hex[2 * AUDIT_HASH + 1];

	audit_hex(w->hash, hex);
	json_kint(&j, "seq", w->seq);
	json_kcstr(&j, "hash", hex);
	json_kbool(&j, "keyed", w->keyed);
	json_kuint(&j, "rows", w->rows);
	json_kuint(&j, "unkeyed", w->unkeyed);
	json_kuint(&j, "foreign", w->foreign);
	if (w->fault || why) {
		json_kint(&j, "broken", w->fault ? w->broken : w->seq);
		json_kcstr(&j, "why", w->fault ? audit_fault_text(w->fault) : why);
	}
	json_kbool(&j, "end", w->end);
	close_line(q->reply, &j);
}

static void
on_chain(void *ctx, const struct msg_base_told *m, int fd, const char *why)
{
	struct auditing *a = ctx;
	struct asked *q = a->q;
	struct err err = { 0 };
	const char *differs = NULL;
	int64_t n = -1, known = jval_int(q->req, "known", 0);
	struct db *mem = m ? base_db(q->s, &err) : NULL;

	if (m == NULL)
		err_set(&err, 0, "%s", why);
	if (mem)
		n = load(mem, m->rows, &err);
	if (n == -1 || audit_verify(mem, &a->w, CHAIN_ROWS + 1, &err) == -1) {
		say_error(q, err.text);
		over(a);
		return;
	}
	if (a->w.fault == AUDIT_SOUND && (n >= CHAIN_ROWS || m->partial)) {
		a->w.end = false;
	} else if (a->w.fault == AUDIT_SOUND && a->w.seq < known) {
		a->w.fault = AUDIT_CUT;
		a->w.broken = a->w.seq + 1;
	} else if (a->w.fault == AUDIT_SOUND && a->store == share_self(q->s) && !is_own(q->s->db, &a->w)) {
		differs = "is not what this node wrote";
	}
	put_walk(q, &a->w, differs);
	over(a);
}

bool
base_audit_verify(struct asked *q, const struct audit_walk *w)
{
	struct span text = jval_text(q->req, "store");
	struct auditing *a;
	struct buf b;
	uint64_t store;

	if (!share_on(q->s) || !parse_uint(text, INT64_MAX, &store))
		return false;
	a = auditing_new(q);
	a->store = (int64_t)store;
	a->w = *w;
	buf_init(&b, 64);
	base_int(&b, a->store);
	base_int(&b, w->seq);
	base_int(&b, CHAIN_ROWS);
	base_ask(a->q->s, BASE_ASK_AUDIT_CHAIN, &b, on_chain, a);
	buf_release(&b);
	return true;
}
