/* bench_lists.c -- what lists of senders cost: writing a book of N entries, its size, a look-up; and the
 * same out of the store's database.
 *
 *	build/bench/bench_lists [N ...]		100000 and 1000000 without
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "lists/book_layout.h"
#include "store/lists_db.h"

static int
into(void *ctx, const void *p, size_t n, struct err *e)
{
	return buf_put(ctx, p, n);
}

static void
run(unsigned n)
{
	struct book_writer *w = book_writer_new(1, 1);
	struct book_ask ask = { .sender_proved = true, .now = 1,
		.client = { .family = 4, .b = { 192, 0, 2, 7 } } };
	int64_t from = clock_mono(), added, done, hits = 0, looked;
	char owner[64], what[64];
	struct book book;
	struct err err;
	struct buf b;

	for (unsigned i = 0; i < n; i++) {
		struct entry e = { .number = i + 1, .scope = LIST_USER, .side = i % 2, .kind = i % 4 ?
			ENTRY_ADDRESS : ENTRY_DOMAIN, .who = SPAN_LIT("m.durand@example.org"),
			.reason = SPAN_LIT("newsletter") };

		e.owner = span_make(owner, (size_t)snprintf(owner, sizeof(owner), "user%u@example.org", i / 20));
		e.what = span_make(what, (size_t)snprintf(what, sizeof(what), i % 4 ? "sender%u@domain%u.example" :
		    "@x%u.domain%u.example", i, i % 9973));
		if (book_writer_add(w, &e, &err) == -1)
			abort();
	}
	added = clock_mono();
	buf_init(&b, (size_t)2 << 30);
	if (book_writer_finish(w, into, &b, &err) == -1 || book_open(buf_data(&b), &book, &err) == -1)
		abort();
	done = clock_mono();
	for (unsigned i = 0; i < 200000; i++) {
		unsigned k = (unsigned)((uint64_t)i * 2654435761u % n);
		struct book_answer is = { 0 };

		ask.sender = span_make(what, (size_t)snprintf(what, sizeof(what), "sender%u@domain%u.example",
		    k, k % 9973));
		ask.from = ask.sender;
		book_find(&book, &ask, span_make(owner, (size_t)snprintf(owner, sizeof(owner),
		    "user%u@example.org", k / 20)), 7, &is);
		hits += is.n;
	}
	looked = clock_mono() - done;
	printf("%8u entries: %5lld ms to gather, %5lld ms to write, %6.1f MB (%.0f bytes each), "
	    "%.2f us a recipient (%lld hits of 200000)\n", n, (long long)(added - from) / 1000,
	    (long long)(done - added) / 1000, (double)book.bytes.n / 1e6, (double)book.bytes.n / n,
	    (double)looked / 200000, (long long)hits);
	book_writer_free(&w);
	buf_release(&b);
}

static int
put_entry(void *ctx, const struct entry *e, struct err *err)
{
	return book_writer_add(ctx, e, err);
}

/* From the table to the book, as the store does it when an entry has changed. */
static void
run_db(unsigned n)
{
	char dir[] = "/tmp/postern-bench-lists-XXXXXX", path[64], sql[600];
	struct book_writer *w = book_writer_new(1, 1);
	int64_t from, done;
	struct err err;
	struct db *d;
	sqlite3 *s;
	struct buf b;

	if (mkdtemp(dir) == NULL)
		abort();
	snprintf(path, sizeof(path), "%s/s.db", dir);
	if ((d = db_open(path, &err)) == NULL)
		abort();
	db_close(&d);
	snprintf(sql, sizeof(sql), "WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM c WHERE i<%u)"
	    " INSERT INTO list_entry(scope,owner,domain,side,kind,what,who,reason,time,by,unauthenticated,state)"
	    " SELECT 2,'user'||(i/20)||'@example.org','example.org',i%%2,0,'sender'||i||'@domain'||(i%%9973)||'.example',"
	    "'m.durand@example.org','newsletter',1,'m.durand@example.org',0,0 FROM c", n - 1);
	if (sqlite3_open(path, &s) != SQLITE_OK || sqlite3_exec(s, sql, NULL, NULL, NULL) != SQLITE_OK)
		abort();
	sqlite3_close(s);
	if ((d = db_open(path, &err)) == NULL)
		abort();
	buf_init(&b, (size_t)2 << 30);
	from = clock_mono();
	if (lists_each(d, put_entry, w, &err) == -1 || book_writer_finish(w, into, &b, &err) == -1)
		abort();
	done = clock_mono();
	printf("%8u entries: %5lld ms from the database to the book\n", n, (long long)(done - from) / 1000);
	db_close(&d);
	book_writer_free(&w);
	buf_release(&b);
	for (size_t i = 0; i < 3; i++) {
		static const char *const ends[] = { "", "-wal", "-shm" };

		snprintf(sql, sizeof(sql), "%s%s", path, ends[i]);
		unlink(sql);
	}
	rmdir(dir);
}

int
main(int argc, char **argv)
{
	static const char *const usual[] = { "100000", "1000000" };

	for (int i = 0; i < (argc > 1 ? argc - 1 : 2); i++) {
		unsigned n = (unsigned)strtoul(argc > 1 ? argv[i + 1] : usual[i], NULL, 10);

		run(n);
		run_db(n);
	}
	return 0;
}
