/* fuzz_search_query.c -- what strangers write into the search field of the console: taken apart, and made
 * into expressions that FTS5 must take as they are, whatever stood there.
 */
#include <sqlite3.h>
#include <stdlib.h>

#include "store/search_query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW (INT64_C(1795344099) * 1000000)

static sqlite3_stmt *
statement(void)
{
	static sqlite3_stmt *st;
	sqlite3 *s;

	if (st)
		return st;
	ASSERT(sqlite3_open(":memory:", &s) == SQLITE_OK);
	ASSERT(sqlite3_exec(s, "CREATE VIRTUAL TABLE w USING fts5(keys, sender, rcpt, subject, files, client, rules,"
	    " content='', columnsize=0, tokenize='unicode61 remove_diacritics 2');"
	    "INSERT INTO w(rowid, subject) VALUES(1, 'a b')", NULL, NULL, NULL) == SQLITE_OK);
	ASSERT(sqlite3_prepare_v2(s, "SELECT rowid FROM w(?1)", -1, &st, NULL) == SQLITE_OK);
	return st;
}

static void
is_taken(const struct buf *match)
{
	sqlite3_stmt *st = statement();
	struct span s = buf_data(match);
	int r;

	ASSERT(!buf_failed(match));
	sqlite3_bind_text(st, 1, s.p, (int)s.n, SQLITE_STATIC);
	while ((r = sqlite3_step(st)) == SQLITE_ROW)
		;
	ASSERT(r == SQLITE_DONE);
	sqlite3_reset(st);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(0);
	struct search_query q;
	struct err err = { 0 };
	struct buf match;

	if (search_parse(span_make((const char *)data, size), NOW, a, &q, &err) == -1) {
		ASSERT(err.text[0] != '\0');
		arena_free(&a);
		return 0;
	}
	ASSERT(q.n <= SEARCH_TERMS_MAX && (q.n || q.has_id || q.status.n || q.since || q.before));
	ASSERT(q.since >= 0 && q.before >= 0);
	for (size_t i = 0; i < q.n; i++)
		ASSERT(q.terms[i].field <= SEARCH_REPLY);
	for (int replies = 0; replies < 3; replies++) {
		buf_init(&match, 64u << 10);
		if (replies == 2 ? search_anywhere(&q, &match) : search_match(&q, replies == 1, a, &match))
			is_taken(&match);
		buf_release(&match);
	}
	arena_free(&a);
	return 0;
}
