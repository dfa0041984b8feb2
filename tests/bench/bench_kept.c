/* bench_kept.c -- what pages of a quarantine of a million messages cost, and digests for many users.
 *
 *	bench_kept [MESSAGES [USERS]]	1,000,000 and 100,000
 *
 * Prints one line for each question: its first page, and a page from the middle. Rows are written as the
 * store writes them, but for the contents, which no page reads.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "id.h"
#include "ipc/messages.h"
#include "store/digest.h"
#include "store/kept_page.h"

static struct err err;

#define MUST(call) do { \
	if ((call) == -1) { \
		fprintf(stderr, "%s: %s\n", #call, err.text); \
		exit(1); \
	} \
} while (0)

static void
fill(struct db *d, unsigned long n, unsigned long users)
{
	static const char *const queues[] = { "spam", "spam", "spam", "newsletters", "macros" };
	static const char *const words[] = { "invoice", "pills", "meeting", "offer", "parcel" };
	struct arena *a = arena_new(0);
	int64_t began = clock_mono();

	MUST(db_begin(d, false, &err));
	for (unsigned long i = 0; i < n; i++) {
		struct recipient to = { .address = span_str(arena_printf(a, "user%06lu@d%lu.example.org",
		    i * 7919 % users, i * 7919 % users % 50)) };
		struct msg_keep m = { .kind = i % 20 ? OUTCOME_QUARANTINE : OUTCOME_HOLD,
			.queue = span_str(queues[i % 5]), .env = { .id = (uint64_t)(i + 1) << 16,
			.direction = i % 20 ? DIRECTION_INBOUND : DIRECTION_OUTBOUND,
			.sender = span_str(arena_printf(a, "s%lu@sender%lu.net", i % 10007, i % 997)),
			.recipients = &to, .nrecipients = 1 } };

		m.record = span_str(arena_printf(a, "{\"v\":1,\"virus\":null,\"spam\":{\"class\":\"%s\"},"
		    "\"subject\":\"your %s number %lu\",\"pad\":\"%0500d\"}", i % 1000 ? "spam" : "marketing",
		    words[i % 5], i, 0));
		MUST(kept_put(d, &m, SPAN_LIT("x\r\n"), (int64_t)i, a, &err));
		if (i % 10000 == 9999) {
			arena_reset(a);
			MUST(db_commit(d, &err));
			MUST(db_begin(d, false, &err));
		}
	}
	MUST(db_commit(d, &err));
	printf("%-44s %8.1f s, %.0f a second\n", "kept", (double)(clock_mono() - began) / 1e6,
	    (double)n * 1e6 / (double)(clock_mono() - began));
	arena_free(&a);
}

static void
page(struct db *d, const char *what, struct kept_ask ask, const struct principal *who, int64_t middle)
{
	double ms[2];
	size_t n = 0;

	for (int i = 0; i < 2; i++) {
		struct arena *a = arena_new(0);
		int64_t began = clock_mono(), *kids;
		struct buf b;
		bool more;

		buf_init(&b, 64u << 20);
		ask.limit = 50;
		ask.before = i ? middle : 0;
		MUST(kept_page(d, &ask, who, a, &kids, &n, &more, &err));
		for (size_t k = 0; k < n; k++)
			MUST(kept_item(d, kids[k], who, &b, &err));
		ms[i] = (double)(clock_mono() - began) / 1000;
		buf_release(&b);
		arena_free(&a);
	}
	printf("%-44s %8.1f ms first, %8.1f ms from the middle (%zu rows)\n", what, ms[0], ms[1], n);
}

/* All but each tenth, as a night of expiries would. */
static void
decide(struct db *d, unsigned long n)
{
	int64_t began = clock_mono();

	MUST(db_begin(d, false, &err));
	for (unsigned long i = 1; i <= n; i++) {
		if (i % 10)
			MUST(kept_decide(d, (int64_t)i, KEPT_DELETED, 0, SPAN_LIT("retention"), (int64_t)i, &err));
		if (i % 1000 == 0) {
			MUST(db_commit(d, &err));
			MUST(db_begin(d, false, &err));
		}
	}
	MUST(db_commit(d, &err));
	printf("%-44s %8.1f s\n", "nine of ten deleted", (double)(clock_mono() - began) / 1e6);
}

static void
digests(struct db *d, unsigned long users)
{
	struct config c = { .digests = { .others = { .at = { 0 }, .nat = 1 } } };
	struct arena *a = arena_new(0);
	int64_t began = clock_mono(), longest = 0;
	sqlite3_stmt *st;

	MUST(digest_due(d, &c, &c.digests.others, 1, 1, &err));
	for (int r = 1; r == 1;) {
		int64_t turn = clock_mono();

		MUST(r = digest_due(d, &c, &c.digests.others, 2, 2, &err));
		if (clock_mono() - turn > longest)
			longest = clock_mono() - turn;
	}
	st = db_stmt(d, "SELECT count(*) FROM digest_todo", &err);
	MUST(db_step(d, st, &err));
	printf("%-44s %8.1f s, %.1f s the longest turn, for %lld of %lu users\n",
	    "digests: who is to be told", (double)(clock_mono() - began) / 1e6, (double)longest / 1e6, (long long)sqlite3_column_int64(st, 0), users);
	sqlite3_reset(st);
	arena_free(&a);
}

int
main(int argc, char **argv)
{
	unsigned long n = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;
	unsigned long users = argc > 2 ? strtoul(argv[2], NULL, 10) : 100000;
	struct span address = SPAN_LIT("user000042@d42.example.org"), domain = SPAN_LIT("d42.example.org");
	const struct principal user = { .name = SPAN_LIT("u"), .roles = PRINCIPAL_BIT(USER),
		.addresses = &address, .naddresses = 1 };
	const struct principal boss = { .name = SPAN_LIT("b"), .roles = PRINCIPAL_BIT(DOMAIN_ADMIN),
		.domains = &domain, .ndomains = 1 };
	const struct kept_ask waiting = { .state = KEPT_WAITING };
	char dir[] = "/tmp/postern-bench-kept-XXXXXX", path[64];
	struct kept_ask ask;
	struct db *d;
	int64_t mid = (int64_t)n / 2;

	if (n == 0 || users == 0 || mkdtemp(dir) == NULL)
		return 2;
	snprintf(path, sizeof(path), "%s/store.db", dir);
	if ((d = db_open(path, &err)) == NULL) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	fill(d, n, users);
	page(d, "all that wait", waiting, NULL, mid);
	ask = waiting, ask.kind = OUTCOME_HOLD;
	page(d, "holds", ask, NULL, mid);
	ask = waiting, ask.queue = SPAN_LIT("macros");
	page(d, "one quarantine", ask, NULL, mid);
	ask = waiting, ask.class = SPAN_LIT("marketing");
	page(d, "a rare class", ask, NULL, mid);
	ask = waiting, ask.from = SPAN_LIT("s42@sender42.net");
	page(d, "of a sender", ask, NULL, mid);
	ask = waiting, ask.to = SPAN_LIT("d42.example.org");
	page(d, "to a domain", ask, NULL, mid);
	ask = waiting, ask.q = SPAN_LIT("parcel");
	page(d, "a frequent word", ask, NULL, mid);
	ask = waiting, ask.q = SPAN_LIT("number 4242");
	page(d, "rare words", ask, NULL, mid);
	ask = waiting, ask.q = SPAN_LIT("is nowhere");
	page(d, "words that are nowhere", ask, NULL, mid);
	page(d, "a user's own", waiting, &user, mid);
	page(d, "a domain's administrator's", waiting, &boss, mid);
	ask = waiting, ask.state = 0;
	page(d, "the same, decided ones too", ask, &boss, mid);
	decide(d, n);
	page(d, "all that wait, nine of ten decided", waiting, NULL, mid);
	page(d, "a user's own", waiting, &user, mid);
	page(d, "a domain's administrator's", waiting, &boss, mid);
	ask = waiting, ask.queue = SPAN_LIT("macros");
	page(d, "one quarantine", ask, NULL, mid);
	ask = waiting, ask.from = SPAN_LIT("s42@sender42.net");
	page(d, "of a sender", ask, NULL, mid);
	digests(d, users);
	db_close(&d);
	printf("%s stays: remove it\n", dir);
	return 0;
}
