/* bench_lists.c -- what lists of senders cost: writing a book of N entries, its size, a look-up.
 *
 *	build/bench/bench_lists [N ...]		100000 and 1000000 without
 */
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "lists/book_layout.h"

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

int
main(int argc, char **argv)
{
	if (argc < 2) {
		run(100000);
		run(1000000);
	}
	for (int i = 1; i < argc; i++)
		run((unsigned)strtoul(argv[i], NULL, 10));
	return 0;
}
