/* search_old.c -- the index of what was there before it, and of what is too old; see search.h. */
#include <stdio.h>

#include "store/records.h"
#include "store/search_private.h"

#define DROP_SLICE 2000			/* pages of an index, deleted in one go */

/* ---- what is older than the index ---- */

bool
search_unindexed(struct db *d)
{
	int64_t from = 0;

	return db_setting(d, "search_from", &from, NULL) == 1 && from != 0;
}

/* docs[at]: a pointer would not outlive doc_of. */
static int
old_recipients(struct db *d, struct search_batch *b, size_t at, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT address, reply FROM recipient WHERE id=?", err);
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)b->docs[at].id);
	while ((r = db_step(d, st, err)) == 1) {
		doc_address(&b->docs[at], db_column(st, 0), KEY_RCPT, KEY_RCPT_DOMAIN, COL_RCPT);
		if (db_column(st, 1).n)
			doc_words(&doc_of(b, b->docs[at].id, true)->col[0], db_column(st, 1));
	}
	return r;
}

/* Its key may be gone: then it has no names. */
static void
old_record(struct db *d, struct doc *doc)
{
	struct arena *a = arena_new(0);
	struct record_words w;
	struct span json;
	struct err why;

	if (record_get(d, doc->id, a, &json, &why) == 1) {
		record_words(json, a, &w);
		doc_names(doc, &w);
	}
	arena_free(&a);
}

static int
gather_old(struct db *d, struct search_batch *b, int64_t *from, size_t rows, bool *more,
    struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT id, client, client_name, helo, user, sender, subject FROM message"
	    " WHERE id<? ORDER BY id DESC LIMIT ?", err);
	size_t n = 0;
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, *from);
	db_int(st, 2, (int64_t)rows);
	while ((r = db_step(d, st, err)) == 1) {
		struct doc *doc = doc_of(b, db_column_id(st, 0), false);
		size_t at = (size_t)(doc - b->docs);

		n++;
		*from = sqlite3_column_int64(st, 0);
		doc_address(doc, db_column(st, 5), KEY_SENDER, KEY_SENDER_DOMAIN, COL_SENDER);
		if (db_column(st, 1).n)
			doc_key(doc, KEY_CLIENT, db_column(st, 1));
		for (int i = 2; i < 5; i++)
			doc_words(&doc->col[COL_CLIENT], db_column(st, i));
		doc_words(&doc->col[COL_SUBJECT], db_column(st, 6));
		if ((r = old_recipients(d, b, at, err)) == -1)
			break;
		old_record(d, &b->docs[at]);
	}
	sqlite3_reset(st);
	*more = n == rows;
	return r == -1 ? -1 : 0;
}

int
search_backfill(struct db *d, size_t rows, struct err *err)
{
	struct search_batch *b;
	int64_t from = 0;
	bool more = false;
	int r = db_setting(d, "search_from", &from, err);

	if (r != 1 || from == 0)
		return r == -1 ? -1 : 0;
	b = search_batch_new();
	if ((r = gather_old(d, b, &from, rows, &more, err)) == 0 && (r = db_begin(d, false, err)) == 0) {
		if (search_write(d, b, err) == -1 || db_setting_put(d, "search_from", more ? from : 0, err) == -1) {
			db_rollback(d);
			r = -1;
		} else {
			r = db_commit(d, err);
		}
	}
	search_batch_free(&b);
	return r == -1 ? -1 : more;
}

/* ---- what is too old ---- */

static int
exec(struct db *d, const char *sql, struct err *err)
{
	sqlite3_stmt *st = db_once(d, sql, err);
	int r;

	if (st == NULL)
		return -1;
	r = db_run(d, st, err);
	sqlite3_finalize(st);
	return r;
}

/* Pages of the index first, a slice at a time (0 to 10 are FTS5's own); the empty table is dropped
 * in no time. */
static int
drop_slice(struct db *d, uint64_t week, struct err *err)
{
	static const char *const names[] = { "search", "replies" };
	unsigned long long w = week;
	char sql[SEARCH_SQL_MAX];

	for (int i = 0; i < 2; i++) {
		snprintf(sql, sizeof(sql), "DELETE FROM %s_%llu_data WHERE id IN (SELECT id FROM %s_%llu_data"
		    " WHERE id>10 LIMIT %d)", names[i], w, names[i], w, DROP_SLICE);
		if (exec(d, sql, err) == -1)
			return -1;
		if (db_changes(d) == DROP_SLICE)
			return 0;
	}
	for (int i = 0; i < 2; i++) {
		snprintf(sql, sizeof(sql), "DROP TABLE %s_%llu", names[i], w);
		if (exec(d, sql, err) == -1)
			return -1;
	}
	snprintf(sql, sizeof(sql), "DELETE FROM search_week WHERE week=%llu", w);
	return exec(d, sql, err);
}

int
search_expire(struct db *d, uint64_t id, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT week FROM search_week WHERE week<? ORDER BY week LIMIT 1", err);
	uint64_t week = 0;
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)(id / WEEK_IDS));
	if ((r = db_step(d, st, err)) == 1)
		week = db_column_id(st, 0);
	sqlite3_reset(st);
	if (r != 1 || db_begin(d, false, err) == -1)
		return r == 0 ? 0 : -1;
	/* Marked first: a table whose pages are gone must not be searched. */
	if ((st = db_stmt(d, "UPDATE search_week SET gone=1 WHERE week=?", err)) != NULL)
		db_int(st, 1, (int64_t)week);
	if (st == NULL || db_run(d, st, err) == -1 || drop_slice(d, week, err) == -1) {
		db_rollback(d);
		return -1;
	}
	return db_commit(d, err) == -1 ? -1 : 1;
}
