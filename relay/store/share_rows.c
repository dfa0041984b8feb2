/* share_rows.c -- what the shared base is sent, read back from the store's own tables; see share.h.
 *
 * An event goes with what is known now of its recipient; the message, all its recipients and its record go
 * with the event that brought them, and again only where this store has lately not sent them. What is
 * sealed stays sealed: nodes have the same keys, the base has none.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "fs.h"
#include "store/approval_db.h"
#include "store/kept.h"
#include "store/records.h"
#include "store/search_private.h"
#include "store/share.h"
#include "store/share_private.h"
#include "table.h"

#define BATCH_MAX (1500u << 10)		/* bytes: then no more is added; one message may be as large again */
#define CONTENT_INLINE (64u << 10)
#define CONTENT_MAX ((size_t)64 << 20)	/* what is larger other nodes see, and its home alone decides */
#define SENT_MAX 65536

struct gathering {
	struct store *s;
	struct db *d;
	struct base_words *w;
	struct share_batch *b;
	struct arena *a;
	struct idtable *now;		/* messages that are in this batch */
	struct err *err;
};

/* A column as it is, "" for NULL where the base has NOT NULL. */
static void
put_column(struct buf *b, sqlite3_stmt *st, int i)
{
	switch (sqlite3_column_type(st, i)) {
	case SQLITE_INTEGER:
		base_int(b, sqlite3_column_int64(st, i));
		break;
	case SQLITE_TEXT:
		base_text(b, db_column(st, i));
		break;
	case SQLITE_BLOB:
		base_blob(b, db_column(st, i));
		break;
	default:
		base_null(b);
	}
}

static void
put_columns(struct buf *b, sqlite3_stmt *st, int from, int n)
{
	for (int i = from; i < from + n; i++)
		put_column(b, st, i);
}

static struct span
node_of(const struct gathering *g)
{
	return g->s->rt->conf->node;
}

/* ---- messages ---- */

static void
add_address(struct gathering *g, struct buf *out, struct span address, enum search_key kind, enum search_key domain_kind,
    char column)
{
	struct span local, domain;
	char key[SEARCH_KEY];

	base_words_add(g->w, '0', span_str(search_key(kind, address, key)), out);
	if (mailaddr_split(address, &local, &domain) && domain.n)
		base_words_add(g->w, '0', span_str(search_key(domain_kind, domain, key)), out);
	base_words_add(g->w, column, address, out);
}

static int
add_recipients(struct gathering *g, uint64_t id, struct span only, struct buf *words)
{
	sqlite3_stmt *st = only.n ? db_stmt(g->d, "SELECT id, address, domain, outcome, status, dsn, relay, reply, tls,"
	    " time, attempts FROM recipient WHERE id=?1 AND address=?2", g->err) :
	    db_stmt(g->d, "SELECT id, address, domain, outcome, status, dsn, relay, reply, tls, time, attempts"
	    " FROM recipient WHERE id=?1", g->err);
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)id);
	if (only.n)
		db_text(st, 2, only);
	while ((r = db_step(g->d, st, g->err)) == 1) {
		base_row_begin(&g->b->rows, BASE_RECIPIENT);
		put_columns(&g->b->rows, st, 0, 11);
		g->b->nrows++;
		if (words && buf_size(words) < 256u << 10)
			add_address(g, words, db_column(st, 1), KEY_RCPT, KEY_RCPT_DOMAIN, '2');
	}
	return r;
}

/* Names of files and rules, as doc_names. */
static void
add_names(struct gathering *g, uint64_t id, struct span json, struct buf *words)
{
	struct search_batch *docs = search_batch_new();
	struct doc *doc = doc_of(docs, id, false);
	struct record_words w;

	record_words(json, g->a, &w);
	doc_names(doc, &w);
	base_words_add(g->w, '0', buf_data(&doc->col[COL_KEYS]), words);
	base_words_add(g->w, '4', buf_data(&doc->col[COL_FILES]), words);
	base_words_add(g->w, '6', buf_data(&doc->col[COL_RULES]), words);
	search_batch_free(&docs);
}

static int
add_record(struct gathering *g, uint64_t id, struct buf *words)
{
	struct span blob, json;
	struct err why;
	int r = record_sealed(g->d, id, g->a, &blob, g->err);

	if (r != 1)
		return r;
	base_row_begin(&g->b->rows, BASE_RECORD);
	base_int(&g->b->rows, (int64_t)id);
	base_blob(&g->b->rows, blob);
	g->b->nrows++;
	if (record_get(g->d, id, g->a, &json, &why) == 1)
		add_names(g, id, json, words);
	return 0;
}

static void
add_message_words(struct gathering *g, sqlite3_stmt *st, struct buf *words)
{
	char key[SEARCH_KEY];

	add_address(g, words, db_column(st, 10), KEY_SENDER, KEY_SENDER_DOMAIN, '1');
	if (db_column(st, 5).n)
		base_words_add(g->w, '0', span_str(search_key(KEY_CLIENT, db_column(st, 5), key)), words);
	for (int i = 6; i < 9; i++)
		base_words_add(g->w, '5', db_column(st, i), words);
	base_words_add(g->w, '3', db_column(st, 12), words);
}

static int
add_message(struct gathering *g, uint64_t id)
{
	sqlite3_stmt *st = db_stmt(g->d, "SELECT id, parent, time, direction, listener, client, client_name, helo, user,"
	    " tls, sender, sender_domain, subject, size FROM message WHERE id=?", g->err);
	struct buf words, row;
	int r;

	if (idtable_get(g->now, id))
		return 0;
	idtable_put(g->now, id, g);
	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)id);
	if ((r = db_step(g->d, st, g->err)) != 1)
		return r;
	buf_init(&words, 1u << 20);
	buf_init(&row, 64u << 10);
	put_columns(&row, st, 0, 10);
	base_text(&row, db_column(st, 10));
	put_columns(&row, st, 11, 3);
	add_message_words(g, st, &words);
	sqlite3_reset(st);
	if (add_recipients(g, id, (struct span){ 0 }, &words) == -1 || add_record(g, id, &words) == -1) {
		r = -1;
	} else {
		base_row_begin(&g->b->rows, BASE_MESSAGE);
		buf_span(&g->b->rows, buf_data(&row));
		base_text(&g->b->rows, node_of(g));
		base_text(&g->b->rows, buf_data(&words));
		g->b->nrows++;
		share_sent(g->s, id);
		r = 0;
	}
	buf_release(&row);
	buf_release(&words);
	return r;
}

/* ---- events ---- */

static bool
brings_message(struct span kind)
{
	return span_is(kind, "accepted") || span_is(kind, "refused");
}

static void
add_event_row(struct gathering *g, sqlite3_stmt *st)
{
	struct span kind = db_column(st, 4), reply = db_column(st, 9);
	struct buf words;

	buf_init(&words, 256u << 10);
	if (reply.n && !span_is(kind, "attempt") && !span_is(kind, "operator") && !span_is(kind, "audit"))
		base_words_add(g->w, '7', span_sub(reply, 0, 1000), &words);
	base_row_begin(&g->b->rows, BASE_EVENT);
	put_columns(&g->b->rows, st, 0, 5);
	base_text(&g->b->rows, db_column(st, 5));
	put_columns(&g->b->rows, st, 6, 7);
	base_text(&g->b->rows, node_of(g));
	if (buf_size(&words))
		base_text(&g->b->rows, buf_data(&words));
	else
		base_null(&g->b->rows);
	buf_release(&words);
	g->b->nrows++;
}

static int
add_events(struct gathering *g, size_t limit)
{
	sqlite3_stmt *st = db_stmt(g->d, "SELECT id, key, seq, time, kind, rcpt, outcome, dsn, relay, reply, tls, by, parent"
	    " FROM event WHERE seq>? ORDER BY seq LIMIT ?", g->err);
	int r = 0;

	if (st == NULL)
		return -1;
	db_int(st, 1, g->b->event_seq);
	db_int(st, 2, (int64_t)limit);
	while (buf_size(&g->b->rows) < BATCH_MAX && (r = db_step(g->d, st, g->err)) == 1) {
		uint64_t id = db_column_id(st, 0);
		struct span kind = db_column(st, 4), rcpt = db_column(st, 5);

		g->b->event_seq = sqlite3_column_int64(st, 2);
		if (id == 0 || id > INT64_MAX)
			continue;	/* of no message: an alarm, a limit */
		add_event_row(g, st);
		g->b->units++;
		if (((brings_message(kind) || !share_was_sent(g->s, id)) && add_message(g, id) == -1) ||
		    (!idtable_get(g->now, id) && add_recipients(g, id, rcpt, NULL) == -1)) {
			sqlite3_reset(st);
			return -1;
		}
	}
	sqlite3_reset(st);
	return r == -1 ? -1 : 0;
}

/* ---- the audit log ---- */

static int
add_audit(struct gathering *g, size_t limit)
{
	sqlite3_stmt *st = db_stmt(g->d, "SELECT seq, time, who, what, subject, detail, key, hash FROM audit WHERE seq>?"
	    " ORDER BY seq LIMIT ?", g->err);
	int r = 0;

	if (st == NULL)
		return -1;
	db_int(st, 1, g->b->audit_seq);
	db_int(st, 2, (int64_t)limit);
	while (buf_size(&g->b->rows) < BATCH_MAX && (r = db_step(g->d, st, g->err)) == 1) {
		base_row_begin(&g->b->rows, BASE_AUDIT);
		base_int(&g->b->rows, share_self(g->s));
		base_text(&g->b->rows, node_of(g));
		put_columns(&g->b->rows, st, 0, 8);
		g->b->audit_seq = sqlite3_column_int64(st, 0);
		g->b->nrows++;
		g->b->units++;
	}
	sqlite3_reset(st);
	return r == -1 ? -1 : 0;
}

static int
add_audit_base(struct gathering *g)
{
	sqlite3_stmt *st = db_stmt(g->d, "SELECT seq, hash, key, mac FROM audit_base WHERE seq>?", g->err);
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, g->b->base_seq);
	if ((r = db_step(g->d, st, g->err)) == 1) {
		base_row_begin(&g->b->rows, BASE_AUDIT_BASE);
		base_int(&g->b->rows, share_self(g->s));
		put_columns(&g->b->rows, st, 0, 4);
		g->b->base_seq = sqlite3_column_int64(st, 0);
		g->b->units++;
		sqlite3_reset(st);
	}
	return r == -1 ? -1 : 0;
}

/* ---- kept messages ---- */

/* 1 there, 0 none is to go, -1. */
static int
put_content(struct gathering *g, int64_t kid)
{
	sqlite3_stmt *st = db_stmt(g->d, "SELECT bytes FROM kept_content WHERE kid=?", g->err);
	struct span s;
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, kid);
	if ((r = db_step(g->d, st, g->err)) != 1) {
		if (r == 0)
			base_null(&g->b->rows);
		return r;
	}
	s = db_column(st, 0);
	if (s.n > CONTENT_MAX) {
		base_null(&g->b->rows);
	} else if (s.n <= CONTENT_INLINE) {
		base_blob(&g->b->rows, s);
	} else if ((g->b->fd = fs_memfd("content", g->err)) == -1 ||
	    fs_write_all(g->b->fd, s.p, s.n, g->err) == -1 || fs_memfd_seal(g->b->fd, g->err) == -1) {
		r = -1;
	} else {
		base_fd(&g->b->rows, s.n);
	}
	sqlite3_reset(st);
	return r;
}

static int
put_rcpts(struct gathering *g, int64_t kid)
{
	sqlite3_stmt *st = db_stmt(g->d, "SELECT address FROM kept_rcpt WHERE kid=?", g->err);
	struct buf b;
	int r;

	if (st == NULL)
		return -1;
	buf_init(&b, 1u << 20);
	db_int(st, 1, kid);
	while ((r = db_step(g->d, st, g->err)) == 1) {
		struct span s = arena_lower(g->a, db_column(st, 0));

		if (buf_size(&b))
			buf_putc(&b, '\n');
		buf_span(&b, s);
	}
	base_text(&g->b->rows, buf_data(&b));
	buf_release(&b);
	return r;
}

static int
add_kept_row(struct gathering *g, int64_t kid, bool content)
{
	sqlite3_stmt *st = db_stmt(g->d, "SELECT kid, id, parent, kind, queue, time, expires, on_expire, sender, client,"
	    " subject, size, state, new_id, by, decided, envelope, record, voted, direction, class, sender_domain, virus,"
	    " confirmed, EXISTS(SELECT 1 FROM approval a WHERE a.kid=k.kid AND a.approvals>0) FROM kept k WHERE kid=?"
	    " AND home IS NULL", g->err);
	struct buf *b = &g->b->rows;
	bool waits;
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, kid);
	if ((r = db_step(g->d, st, g->err)) != 1) {
		if (r == 0) {
			base_row_begin(b, BASE_GONE);
			base_int(b, share_self(g->s));
			base_int(b, kid);
		}
		return r;
	}
	base_row_begin(b, BASE_KEPT);
	base_int(b, share_self(g->s));
	put_column(b, st, 0);
	base_text(b, node_of(g));
	put_columns(b, st, 1, 23);
	waits = sqlite3_column_int(st, 12) < KEPT_RELEASED;
	base_int(b, sqlite3_column_int(st, 24));
	sqlite3_reset(st);
	if (put_rcpts(g, kid) == -1)
		return -1;
	base_null(b);		/* gid: the base's own */
	if (content && waits)
		return put_content(g, kid) == -1 ? -1 : 0;
	base_null(b);
	return 0;
}

static int
add_kept(struct gathering *g, size_t limit)
{
	int64_t seqs[4], kids[4];
	bool contents[4];
	size_t n = 0, max = limit < 4 ? limit : 4;
	sqlite3_stmt *st = db_stmt(g->d, "SELECT seq, kid, content FROM share_kept ORDER BY seq LIMIT ?", g->err);
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)max);
	while ((r = db_step(g->d, st, g->err)) == 1) {
		seqs[n] = sqlite3_column_int64(st, 0);
		kids[n] = sqlite3_column_int64(st, 1);
		contents[n++] = sqlite3_column_int(st, 2) != 0;
	}
	for (size_t i = 0; r == 0 && i < n && g->b->fd == -1; i++) {
		r = add_kept_row(g, kids[i], contents[i]);
		g->b->kept[g->b->nkept++] = seqs[i];
		g->b->nrows++;
		g->b->units++;
	}
	return r;
}

/* ---- lists, decisions ---- */

static int
add_lists(struct gathering *g, size_t limit)
{
	sqlite3_stmt *st = db_stmt(g->d, "SELECT l.scope, l.owner, l.what, coalesce(e.domain, ''), coalesce(e.side, 0),"
	    " coalesce(e.kind, 0), coalesce(e.who, ''), coalesce(e.reason, ''), coalesce(e.time, 0), coalesce(e.by, ''),"
	    " e.expires, coalesce(e.unauthenticated, 0), coalesce(e.state, 0), e.number IS NULL, l.seq"
	    " FROM share_list l LEFT JOIN list_entry e ON e.scope=l.scope AND e.owner=l.owner AND e.what=l.what"
	    " ORDER BY l.seq LIMIT ?", g->err);
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)limit);
	while ((r = db_step(g->d, st, g->err)) == 1) {
		base_row_begin(&g->b->rows, BASE_LIST);
		put_columns(&g->b->rows, st, 0, 14);
		base_int(&g->b->rows, share_self(g->s));	/* whose change it is */
		g->b->lists = sqlite3_column_int64(st, 14);
		g->b->nrows++;
		g->b->units++;
	}
	return r;
}

static int
add_done(struct gathering *g, size_t limit)
{
	sqlite3_stmt *st = db_stmt(g->d, "SELECT token, final, new_id, by, decided FROM claim WHERE state=3 LIMIT ?", g->err);
	int r;

	if (st == NULL)
		return -1;
	g->b->tokens = arena_array(g->a, limit, sizeof(*g->b->tokens));
	db_int(st, 1, (int64_t)limit);
	while ((r = db_step(g->d, st, g->err)) == 1) {
		base_row_begin(&g->b->rows, BASE_DONE);
		put_columns(&g->b->rows, st, 0, 5);
		g->b->tokens[g->b->ntokens++] = sqlite3_column_int64(st, 0);
		g->b->nrows++;
		g->b->units++;
	}
	return r;
}

/* ---- a batch ---- */

int
share_gather(struct store *s, struct base_words *w, struct share_batch *b, size_t limit, struct arena *a, struct err *err)
{
	struct gathering g = { s, s->db, w, b, a, idtable_new(), err };
	int r = 0;

	/* Decisions first: somebody waits for them. Alone, when one of them is refused. */
	if (r == 0)
		r = add_done(&g, limit < 100 ? limit : 100);
	if (r == 0 && (limit > 1 || b->units == 0))
		r = add_lists(&g, limit);
	if (r == 0 && (limit > 1 || b->units == 0))
		r = add_kept(&g, limit);
	if (r == 0 && (limit > 1 || b->units == 0))
		r = add_audit(&g, limit);
	if (r == 0 && (limit > 1 || b->units == 0))
		r = add_audit_base(&g);
	if (r == 0 && (limit > 1 || b->units == 0))
		r = add_events(&g, limit);
	if (r == 0 && buf_failed(&b->rows))
		r = err_set(err, E2BIG, "rows that are too large for the shared base");
	idtable_free(&g.now);
	return r;
}

int
share_forget(struct db *d, const struct share_batch *b, struct err *err)
{
	int r = 0;

	if (b->nkept == 0 && b->lists == 0 && b->ntokens == 0)
		return 0;
	if (db_begin(d, false, err) == -1)
		return -1;
	for (size_t i = 0; r == 0 && i < b->nkept; i++)
		r = db_run_int(d, "DELETE FROM share_kept WHERE seq=?", b->kept[i], err);
	if (r == 0 && b->lists)
		r = db_run_int(d, "DELETE FROM share_list WHERE seq<=?", b->lists, err);
	for (size_t i = 0; r == 0 && i < b->ntokens; i++)
		r = db_run_int(d, "DELETE FROM claim WHERE token=? AND state=3", b->tokens[i], err);
	if (r == 0)
		return db_commit(d, err);
	db_rollback(d);
	return -1;
}
