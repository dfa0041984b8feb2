/* trace.c -- "where is my message?": one search over the journal; see journal.h, search.h.
 *
 * What a principal may not see is left out of the answer: other recipients of a message whose sender is
 * not one of its own.
 */
#include <errno.h>

#include "addr.h"
#include "clock.h"
#include "id.h"
#include "store/journal.h"
#include "store/search.h"

/* ---- the answer ---- */

static void
kcol(struct json *j, const char *key, sqlite3_stmt *st, int i)
{
	json_key(j, key);
	if (sqlite3_column_type(st, i) == SQLITE_NULL)
		json_null(j);
	else if (sqlite3_column_type(st, i) == SQLITE_INTEGER)
		json_int(j, sqlite3_column_int64(st, i));
	else
		json_str(j, db_column(st, i));
}

static void
kid(struct json *j, const char *key, sqlite3_stmt *st, int i)
{
	uint64_t id = db_column_id(st, i);
	char text[ID_SIZE];

	json_kcstr(j, key, id ? id_format(id, text) : NULL);
}

/* The member `identity` of the verdict's record: explain.c writes it between these two keys, and neither
 * can stand within a text, where its quotes would be escaped. */
static struct span
identity_of(struct span record)
{
	static const char from[] = "\"identity\":", to[] = ",\"unscannable\":";
	const char *at = record.n ? memmem(record.p, record.n, from, sizeof(from) - 1) : NULL, *end;

	if (at == NULL)
		return SPAN_LIT("null");
	at += sizeof(from) - 1;
	end = memmem(at, record.n - (size_t)(at - record.p), to, sizeof(to) - 1);
	return end ? span_make(at, (size_t)(end - at)) : SPAN_LIT("null");
}

/* Who sent it, of a message from the world. */
static int
put_identity(struct db *d, uint64_t id, struct json *j, struct err *err)
{
	struct arena *a = arena_new(0);
	struct span record = { 0 };
	int r = journal_record(d, id, a, &record, err);

	json_key(j, "identity");
	json_raw(j, r == 1 ? identity_of(record) : SPAN_LIT("null"));
	arena_free(&a);
	return r;
}

static int
put_message(struct db *d, uint64_t id, struct json *j, struct err *err)
{
	static const char *const directions[] = { NULL, "outbound", "inbound" };
	static const char *const names[] = { "listener", "client", "client_name", "helo", "user",
		"tls", "sender", "subject", "size" };
	sqlite3_stmt *st = db_stmt(d, "SELECT parent, time, direction, listener, client, client_name,"
	    " helo, user, tls, sender, subject, size FROM message WHERE id=?", err);
	int r, dir = 0;

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)id);
	if ((r = db_step(d, st, err)) == 1) {
		kid(j, "parent", st, 0);
		kcol(j, "time", st, 1);
		dir = sqlite3_column_int(st, 2);
		json_kcstr(j, "direction", dir > 0 && dir < 3 ? directions[dir] : NULL);
		for (int i = 0; i < 9; i++)
			kcol(j, names[i], st, i + 3);
	}
	sqlite3_reset(st);
	return r == 1 && dir == DIRECTION_INBOUND ? put_identity(d, id, j, err) : r;
}

struct viewer {
	const struct principal *p;
	bool all;		/* of this message: its sender's view */
};

/* Column `who` names the recipient; "" concerns all of them. */
static bool
may_see(const struct viewer *v, sqlite3_stmt *st, int who)
{
	return v->all || db_column(st, who).n == 0 || principal_sees(v->p, db_column(st, who));
}

static int
put_rows(struct db *d, const char *sql, uint64_t id, const char *const *names, int who,
    const struct viewer *viewer, struct json *j, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, sql, err);
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)id);
	json_array(j);
	while ((r = db_step(d, st, err)) == 1) {
		if (!may_see(viewer, st, who))
			continue;
		json_object(j);
		for (int i = 0; names[i]; i++)
			if (strcmp(names[i], "parent") == 0)
				kid(j, names[i], st, i);
			else
				kcol(j, names[i], st, i);
		json_end_object(j);
	}
	json_end_array(j);
	return r;
}

static int
put_line(struct db *d, uint64_t id, const struct viewer *viewer, struct span node, struct buf *out,
    struct err *err)
{
	static const char *const rcpt[] = { "address", "outcome", "status", "dsn", "relay", "reply",
		"tls", "time", "attempts", NULL };
	static const char *const event[] = { "seq", "time", "kind", "rcpt", "outcome", "dsn", "relay",
		"reply", "tls", "by", "parent", NULL };
	char text[ID_SIZE];
	struct json j;

	json_begin(&j, out);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kcstr(&j, "id", id_format(id, text));
	if (node.n)
		json_kstr(&j, "node", node);
	if (id_node(id))
		json_kuint(&j, "node_number", id_node(id));
	if (put_message(d, id, &j, err) == -1)
		return -1;
	json_key(&j, "recipients");
	if (put_rows(d, "SELECT address, outcome, status, dsn, relay, reply, tls, time, attempts"
	    " FROM recipient WHERE id=? ORDER BY address", id, rcpt, 0, viewer, &j, err) == -1)
		return -1;
	json_key(&j, "events");
	if (put_rows(d, "SELECT seq, time, kind, rcpt, outcome, dsn, relay, reply, tls, by, parent"
	    " FROM event WHERE id=? ORDER BY time, seq", id, event, 3, viewer, &j, err) == -1)
		return -1;
	json_end_object(&j);
	buf_putc(out, '\n');
	return 0;
}

int
trace_line(struct db *d, uint64_t id, const struct principal *p, struct span node, struct buf *out,
    struct err *err)
{
	struct viewer viewer = { p, p == NULL };

	if (p && search_sees(d, p, id, &viewer.all, err) == -1)
		return -1;
	return put_line(d, id, &viewer, node, out, err);
}

int
trace_find(struct db *d, const struct search_query *q, const struct principal *p, uint64_t below, uint32_t limit,
    struct arena *a, struct search_found *found, struct trace_result *res, struct err *err)
{
	int r;

	*res = (struct trace_result){ 0 };
	found->limit = limit < 1 ? 1 : limit > TRACE_LIMIT_MAX ? TRACE_LIMIT_MAX : limit;
	found->ids = arena_array(a, found->limit + 1, sizeof(*found->ids));
	db_budget(d, TRACE_BUDGET_US);
	r = search_run(d, q, p, below, found, err);
	res->partial = db_interrupted(d);
	if (r == -1 && res->partial)
		r = 0;
	db_budget(d, 0);
	res->unindexed = r == 0 && found->unindexed;
	res->more = r == 0 && found->n > found->limit;
	return r;
}

int
journal_trace(struct db *d, struct span text, const struct principal *p, uint64_t below, uint32_t limit,
    struct buf *out, struct trace_result *res, struct err *err)
{
	struct arena *a = arena_new(0);
	struct search_found found;
	struct search_query q;
	int r;

	*res = (struct trace_result){ 0 };
	r = search_parse(text, clock_real(), a, &q, err);
	if (r == 0)
		r = trace_find(d, &q, p, below, limit, a, &found, res, err);
	for (; r == 0 && res->found < found.n && res->found < found.limit; res->found++) {
		res->last = found.ids[res->found];
		r = trace_line(d, res->last, p, (struct span){ 0 }, out, err);
	}
	arena_free(&a);
	return r;
}
