/* search.c -- see search.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "addr.h"
#include "store/search_private.h"

#define COLUMN_MAX ((size_t)32 << 10)	/* of words of one message in one column */
#define KEYS_MAX ((size_t)64 << 10)	/* 4,000 recipients have one each; more are found by what else they have */

struct search_batch *
search_batch_new(void)
{
	struct search_batch *b = calloc(1, sizeof(*b));

	ASSERT(b != NULL);
	return b;
}

void
search_batch_free(struct search_batch **bp)
{
	struct search_batch *b = *bp;

	*bp = NULL;
	if (b == NULL)
		return;
	for (size_t i = 0; i < b->n; i++)
		for (int c = 0; c < COLUMNS; c++)
			buf_release(&b->docs[i].col[c]);
	free(b->docs);
	free(b);
}

/* ---- what a message's row says ---- */

struct doc *
doc_of(struct search_batch *b, uint64_t id, bool reply)
{
	struct doc *d;

	/* The same message again, mostly just now. */
	for (size_t i = b->n; i-- > 0 && b->n - i < 32;)
		if (b->docs[i].id == id && b->docs[i].reply == reply)
			return &b->docs[i];
	if (b->n == b->room) {
		b->room = b->room ? 2 * b->room : 256;
		b->docs = realloc(b->docs, b->room * sizeof(*b->docs));
		ASSERT(b->docs != NULL);
	}
	d = &b->docs[b->n++];
	*d = (struct doc){ .id = id, .reply = reply };
	for (int c = 0; c < COLUMNS; c++)
		buf_init(&d->col[c], c == COL_KEYS ? KEYS_MAX : COLUMN_MAX);
	return d;
}

void
doc_words(struct buf *b, struct span s)
{
	if (s.n == 0 || buf_size(b) + s.n + 1 > COLUMN_MAX)
		return;
	buf_span(b, s);
	buf_putc(b, ' ');
}

void
doc_key(struct doc *d, enum search_key kind, struct span value)
{
	char key[SEARCH_KEY];

	if (buf_size(&d->col[COL_KEYS]) + SEARCH_KEY > KEYS_MAX)
		return;
	buf_puts(&d->col[COL_KEYS], search_key(kind, value, key));
	buf_putc(&d->col[COL_KEYS], ' ');
}

void
doc_address(struct doc *d, struct span address, enum search_key kind, enum search_key domain_kind,
    enum column words)
{
	struct span local, domain;

	doc_key(d, kind, address);
	if (mailaddr_split(address, &local, &domain) && domain.n)
		doc_key(d, domain_kind, domain);
	doc_words(&d->col[words], address);
}

void
doc_names(struct doc *d, const struct record_words *w)
{
	for (size_t i = 0; i < w->nfiles; i++)
		doc_words(&d->col[COL_FILES], w->files[i]);
	for (size_t i = 0; i < w->nrules; i++) {
		doc_key(d, KEY_RULE, w->rules[i]);
		doc_words(&d->col[COL_RULES], w->rules[i]);
	}
}

void
search_note(struct search_batch *b, const struct msg_event *ev, const struct record_words *w)
{
	char client[IP_TEXT_MAX];
	struct doc *d;

	if (ev->id == 0 || ev->id > INT64_MAX)
		return;
	if (ev->has_env) {
		d = doc_of(b, ev->id, false);
		doc_address(d, ev->env.sender, KEY_SENDER, KEY_SENDER_DOMAIN, COL_SENDER);
		for (size_t i = 0; i < ev->env.nrecipients; i++)
			doc_address(d, ev->env.recipients[i].address, KEY_RCPT, KEY_RCPT_DOMAIN, COL_RCPT);
		if (ev->env.client.family)
			doc_key(d, KEY_CLIENT, span_str(ip_format(ev->env.client, client)));
		doc_words(&d->col[COL_CLIENT], ev->env.client_name);
		doc_words(&d->col[COL_CLIENT], ev->env.helo);
		doc_words(&d->col[COL_CLIENT], ev->env.user);
		doc_words(&d->col[COL_SUBJECT], w->subject);
		doc_names(d, w);
	}
	if (ev->reply.n && ev->kind != EVENT_ATTEMPT && ev->kind != EVENT_OPERATOR && ev->kind != EVENT_AUDIT)
		doc_words(&doc_of(b, ev->id, true)->col[0], span_sub(ev->reply, 0, 1000));
}

/* ---- weeks ---- */

static int
exec(struct db *d, const char *sql, struct err *err)
{
	sqlite3_stmt *st;
	int r;

	if ((st = db_once(d, sql, err)) == NULL)
		return -1;
	r = db_run(d, st, err);
	sqlite3_finalize(st);
	return r;
}

static const char tokens[] = "content='', columnsize=0, tokenize='unicode61 remove_diacritics 2'";

/* 1: it is being deleted. */
static int
week_make(struct db *d, uint64_t week, struct err *err)
{
	char sql[SEARCH_SQL_MAX];
	sqlite3_stmt *st = db_stmt(d, "SELECT gone FROM search_week WHERE week=?", err);
	bool gone;
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)week);
	r = db_step(d, st, err);
	gone = r == 1 && sqlite3_column_int(st, 0);
	sqlite3_reset(st);
	if (r != 0)
		return r == -1 ? -1 : gone;
	snprintf(sql, sizeof(sql), "CREATE VIRTUAL TABLE search_%llu USING fts5(keys, sender, rcpt, subject,"
	    " files, client, rules, %s)", (unsigned long long)week, tokens);
	if (exec(d, sql, err) == -1)
		return -1;
	snprintf(sql, sizeof(sql), "CREATE VIRTUAL TABLE replies_%llu USING fts5(reply, %s)",
	    (unsigned long long)week, tokens);
	if (exec(d, sql, err) == -1 ||
	    (st = db_stmt(d, "INSERT INTO search_week(week) VALUES(?)", err)) == NULL)
		return -1;
	db_int(st, 1, (int64_t)week);
	return db_run(d, st, err);
}

static int
by_place(const void *a, const void *b)
{
	const struct doc *x = a, *y = b;

	if (x->reply != y->reply)
		return x->reply - y->reply;
	return (x->id > y->id) - (x->id < y->id);
}

static int
write_doc(struct db *d, sqlite3_stmt *st, const struct doc *doc, struct err *err)
{
	db_int(st, 1, (int64_t)doc->id);
	for (int c = 0; c < (doc->reply ? 1 : COLUMNS); c++)
		db_text_always(st, c + 2, buf_data(&doc->col[c]));
	return db_run(d, st, err);
}

/* The same id twice in a row: the second adds to the first, in a segment of its own. */
int
search_write(struct db *d, struct search_batch *b, struct err *err)
{
	sqlite3_stmt *st = NULL;
	uint64_t week = UINT64_MAX;
	char sql[SEARCH_SQL_MAX];
	int r = 0;

	if (b->n)
		qsort(b->docs, b->n, sizeof(*b->docs), by_place);
	for (size_t i = 0; r == 0 && i < b->n; i++) {
		const struct doc *doc = &b->docs[i];

		if (st == NULL || doc->id / WEEK_IDS != week || doc->reply != b->docs[i - 1].reply) {
			sqlite3_finalize(st);
			st = NULL;
			week = doc->id / WEEK_IDS;
			if ((r = week_make(d, week, err)) == -1)
				return -1;
			if (r == 1) {
				r = 0;
				week = UINT64_MAX;
				continue;
			}
			snprintf(sql, sizeof(sql), doc->reply ? "INSERT INTO replies_%llu(rowid, reply) VALUES(?,?)" :
			    "INSERT INTO search_%llu(rowid, keys, sender, rcpt, subject, files, client, rules)"
			    " VALUES(?,?,?,?,?,?,?,?)", (unsigned long long)week);
			if ((st = db_once(d, sql, err)) == NULL)
				return -1;
		}
		r = write_doc(d, st, doc, err);
	}
	sqlite3_finalize(st);
	return r;
}
