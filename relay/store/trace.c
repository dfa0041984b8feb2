/* trace.c -- "where is my message?": one search over the journal; see journal.h.
 *
 * A question is answered by an index, whatever it is: id, address, domain,
 * client. Only a bare word is looked for in subjects, newest first, until the
 * limit or the budget is reached. Each index ends in the message id, so
 * newest first costs no sorting.
 */
#include "addr.h"
#include "id.h"
#include "store/journal.h"

struct asking {
	struct db *d;
	struct err *err;
	uint64_t *ids;		/* room for limit + 1 */
	size_t n, limit;
};

static int
collect(struct asking *q, sqlite3_stmt *st, int limit_at)
{
	int r;

	db_int(st, limit_at, (int64_t)q->limit + 1);
	while ((r = db_step(q->d, st, q->err)) == 1 && q->n <= q->limit)
		q->ids[q->n++] = db_column_id(st, 0);
	sqlite3_reset(st);
	return r == -1 ? -1 : 0;
}

static int
by_id(struct asking *q, uint64_t id)
{
	sqlite3_stmt *st = db_stmt(q->d, "SELECT DISTINCT id FROM (SELECT id FROM message WHERE id=?1"
	    " UNION ALL SELECT id FROM message WHERE parent=?1"
	    " UNION ALL SELECT id FROM event WHERE id=?1) ORDER BY id LIMIT ?2", q->err);

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)id);
	return collect(q, st, 2);
}

static int
by_text(struct asking *q, const char *sql, struct span text)
{
	sqlite3_stmt *st = db_stmt(q->d, sql, q->err);

	if (st == NULL)
		return -1;
	db_text_always(st, 1, text);
	return collect(q, st, 2);
}

#define NEWEST(one, other) "SELECT id FROM (SELECT id FROM (" one " ORDER BY id DESC LIMIT ?2)" \
	" UNION SELECT id FROM (" other " ORDER BY id DESC LIMIT ?2)) ORDER BY id DESC LIMIT ?2"

static int
by_address(struct asking *q, struct span address)
{
	return by_text(q, NEWEST("SELECT id FROM message WHERE sender=?1 COLLATE NOCASE",
	    "SELECT id FROM recipient WHERE address=?1 COLLATE NOCASE"), address);
}

static int
by_domain(struct asking *q, struct span domain)
{
	return by_text(q, NEWEST("SELECT id FROM message WHERE sender_domain=?1",
	    "SELECT id FROM recipient WHERE domain=?1"), domain);
}

static int
by_client(struct asking *q, struct span client)
{
	return by_text(q, "SELECT id FROM message WHERE client=?1 ORDER BY id DESC LIMIT ?2", client);
}

/* The word anywhere; what LIKE gives a meaning to stands for itself. */
static char *
like_pattern(struct arena *a, struct span word)
{
	char *p = arena_alloc(a, 2 * word.n + 3), *to = p;

	*to++ = '%';
	for (size_t i = 0; i < word.n; i++) {
		if (word.p[i] == '%' || word.p[i] == '_' || word.p[i] == '\\')
			*to++ = '\\';
		*to++ = word.p[i];
	}
	*to++ = '%';
	*to = '\0';
	return p;
}

/* "durand": durand@…, or a subject with the word in it. */
static int
by_word(struct asking *q, struct span word, struct arena *a)
{
	sqlite3_stmt *st;
	char *like = like_pattern(a, word);

	st = db_stmt(q->d, NEWEST("SELECT id FROM message WHERE"
	    " sender>=(?1||'@') COLLATE NOCASE AND sender<(?1||'@'||x'ff') COLLATE NOCASE",
	    "SELECT id FROM recipient WHERE"
	    " address>=(?1||'@') COLLATE NOCASE AND address<(?1||'@'||x'ff') COLLATE NOCASE"),
	    q->err);
	if (st == NULL)
		return -1;
	db_text_always(st, 1, word);
	if (collect(q, st, 2) == -1)
		return -1;
	if (q->n > 0)
		return 0;
	st = db_stmt(q->d, "SELECT id FROM message INDEXED BY message_subject WHERE"
	    " subject IS NOT NULL AND subject LIKE ?1 ESCAPE '\\' ORDER BY id DESC LIMIT ?2",
	    q->err);
	if (st == NULL)
		return -1;
	db_text_always(st, 1, span_str(like));
	return collect(q, st, 2);
}

static int
search(struct asking *q, struct span text, struct arena *a)
{
	struct span domain;
	struct ip ip;
	uint64_t id;

	text = span_trim(text);
	if (text.n > 1 && text.p[0] == '<' && text.p[text.n - 1] == '>')
		text = span_sub(text, 1, text.n - 2);
	if (id_parse(text, &id) && by_id(q, id) == -1)
		return -1;
	if (q->n > 0)		/* eleven letters may also be a word */
		return 0;
	if (ip_parse(text, &ip)) {
		char canonical[IP_TEXT_MAX];

		return by_client(q, span_str(ip_format(ip, canonical)));
	}
	if (text.n && text.p[0] == '@')
		text = span_from(text, 1);
	else if (span_find(text, '@') < text.n)
		return by_address(q, mailaddr_normalise(a, text));
	if (span_find(text, '.') < text.n && domain_normalise(a, text, &domain) &&
	    by_domain(q, domain) == -1)
		return -1;
	return q->n > 0 ? 0 : by_word(q, text, a);
}

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

static int
put_rows(struct db *d, const char *sql, uint64_t id, const char *const *names, struct json *j,
    struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, sql, err);
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)id);
	json_array(j);
	while ((r = db_step(d, st, err)) == 1) {
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
put_line(struct db *d, uint64_t id, struct buf *out, struct err *err)
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
	if (put_message(d, id, &j, err) == -1)
		return -1;
	json_key(&j, "recipients");
	if (put_rows(d, "SELECT address, outcome, status, dsn, relay, reply, tls, time, attempts"
	    " FROM recipient WHERE id=? ORDER BY address", id, rcpt, &j, err) == -1)
		return -1;
	json_key(&j, "events");
	if (put_rows(d, "SELECT seq, time, kind, rcpt, outcome, dsn, relay, reply, tls, by, parent"
	    " FROM event WHERE id=? ORDER BY time, seq", id, event, &j, err) == -1)
		return -1;
	json_end_object(&j);
	buf_putc(out, '\n');
	return 0;
}

int
journal_trace(struct db *d, struct span q, uint32_t limit, struct buf *out,
    struct trace_result *res, struct err *err)
{
	struct arena *a = arena_new(0);
	struct asking as = { .d = d, .err = err };
	int r;

	as.limit = limit < 1 ? 1 : limit > TRACE_LIMIT_MAX ? TRACE_LIMIT_MAX : limit;
	as.ids = arena_array(a, as.limit + 1, sizeof(*as.ids));
	*res = (struct trace_result){ 0 };
	db_budget(d, TRACE_BUDGET_US);
	r = search(&as, q, a);
	res->partial = db_interrupted(d);
	if (r == -1 && res->partial)
		r = 0;
	db_budget(d, 0);
	res->more = as.n > as.limit;
	for (; r == 0 && res->found < as.n && res->found < as.limit; res->found++)
		r = put_line(d, as.ids[res->found], out, err);
	arena_free(&a);
	return r;
}
