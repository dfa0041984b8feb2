/* test_reputation.c -- our own experience: what fades, what a score says, what is kept when room is short. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>
#include <sys/mman.h>

#include "addr.h"
#include "clock.h"
#include "receiver/reputation.h"

#define NOW (INT64_C(1790000000) * US_PER_SEC)
#define DAY (86400 * US_PER_SEC)

static struct reputation
table_of(size_t size)
{
	struct reputation r;
	void *p = aligned_alloc(64, size);

	assert_non_null(p);
	memset(p, 0, size);
	reputation_open(&r, p, size, 7 * DAY);
	return r;
}

static struct reputation_who
client(const char *text)
{
	struct reputation_who who = { .domain = SPAN_LIT("") };

	assert_true(ip_parse(span_str(text), &who.client));
	return who;
}

static struct reputation_answer
ask(const struct reputation *r, struct reputation_who who, int64_t now)
{
	struct reputation_answer a;

	reputation_ask(r, &who, now, &a);
	return a;
}

static void
note(const struct reputation *r, struct reputation_who who, enum reputation_event e, double n,
    int64_t now)
{
	reputation_note(r, &who, e, n, now);
}

static void
test_formula(void **state)
{
	struct reputation_counts c = { .there = true };

	/* Nothing is known: in the middle. One message says nothing yet: of Beta(2, 1) the mean is 2/3,
	 * the deviation sqrt(2/36) = 0.236, and 2/3 - 1.28 * 0.236 = 0.365 is not above a half. */
	assert_int_equal(reputation_score(&c, NULL), 50);
	c.n[REPUTATION_SPAM] = 1;
	assert_int_equal(reputation_score(&c, NULL), 50);
	/* Ten: Beta(11, 1), 11/12 - 1.28 * sqrt(11 / (144 * 13)) = 0.8186. */
	c.n[REPUTATION_SPAM] = 10;
	assert_int_equal(reputation_score(&c, NULL), 18);
	/* As many good ones: the middle again. */
	c.n[REPUTATION_CLEAN] = 10;
	assert_int_equal(reputation_score(&c, NULL), 50);
	/* Ten good ones alone are as far from it as ten bad ones. */
	c.n[REPUTATION_SPAM] = 0;
	assert_int_equal(reputation_score(&c, NULL), 82);
	/* A virus counts for three: 3 + 1 of 3 + 2: 0.8 - 1.28 * sqrt(4 / (25 * 6)) = 0.591. */
	c = (struct reputation_counts){ .there = true };
	c.n[REPUTATION_VIRUS] = 1;
	assert_int_equal(reputation_score(&c, NULL), 41);
	/* Messages nobody rated, and corrections, are neither good nor bad. */
	c = (struct reputation_counts){ .there = true };
	c.n[REPUTATION_MESSAGES] = c.n[REPUTATION_RELEASED] = 1000;
	assert_int_equal(reputation_score(&c, NULL), 50);
	/* More of the same never leads nearer to the middle. */
	for (int last = 50, n = 0; n < 400; n++) {
		c.n[REPUTATION_SPAM] = n;
		assert_true(reputation_score(&c, NULL) <= last);
		last = reputation_score(&c, NULL);
		assert_in_range(last, 0, 50);
	}
}

static void
test_fades(void **state)
{
	struct reputation r = table_of(1 << 20);
	struct reputation_who who = client("192.0.2.7");
	struct reputation_answer a;

	note(&r, who, REPUTATION_SPAM, 8, NOW);
	a = ask(&r, who, NOW + 7 * DAY);
	assert_float_equal(a.address.n[REPUTATION_SPAM], 4, 0.001);
	assert_int_equal(a.address.since, NOW / US_PER_SEC);
	/* adding to what has faded */
	note(&r, who, REPUTATION_SPAM, 1, NOW + 7 * DAY);
	a = ask(&r, who, NOW + 14 * DAY);
	assert_float_equal(a.address.n[REPUTATION_SPAM], 2.5, 0.001);
	/* a clock that is set back makes nothing of it more */
	a = ask(&r, who, NOW - 30 * DAY);
	assert_float_equal(a.address.n[REPUTATION_SPAM], 5, 0.001);
	note(&r, who, REPUTATION_SPAM, 1, NOW);		/* seven days late: half of it is left */
	assert_float_equal(ask(&r, who, NOW + 7 * DAY).address.n[REPUTATION_SPAM], 5.5, 0.001);
	/* and in half a year nothing is there */
	assert_false(ask(&r, who, NOW + 180 * DAY).address.there);
	assert_int_equal(ask(&r, who, NOW + 180 * DAY).score, 50);
	free(r.table);
}

static void
test_neighbours(void **state)
{
	struct reputation r = table_of(1 << 20);
	struct reputation_who bad = client("192.0.2.7"), next = client("192.0.2.8"), six;
	struct reputation_answer a;

	note(&r, bad, REPUTATION_SPAM, 100, NOW);
	assert_true(ask(&r, bad, NOW).score < 5);
	/* A neighbour inherits four observations at most, never what makes one bad. */
	a = ask(&r, next, NOW);
	assert_false(a.address.there);
	assert_true(a.network.there);
	assert_in_range(a.score, 20, 45);
	assert_true(a.evidence < 0.001);
	/* and a dozen good ones of its own weigh more */
	note(&r, next, REPUTATION_CLEAN, 12, NOW);
	assert_true(ask(&r, next, NOW).score > 50);
	/* its own are not counted among the others': a single one in a network is judged as if alone */
	assert_int_equal(ask(&r, bad, NOW).client, ask(&r, bad, NOW).score);
	assert_int_equal(ask(&r, client("192.0.3.7"), NOW).score, 50);
	/* IPv6: a /64 is one client, a /48 its network */
	six = client("2001:db8:1:2::1");
	note(&r, six, REPUTATION_SPAM, 20, NOW);
	assert_int_equal(ask(&r, client("2001:db8:1:2:aaaa::9"), NOW).score, ask(&r, six, NOW).score);
	assert_true(ask(&r, client("2001:db8:1:3::1"), NOW).score < 50);
	assert_int_equal(ask(&r, client("2001:db8:2:2::1"), NOW).score, 50);
	free(r.table);
}

static void
test_domain(void **state)
{
	struct reputation r = table_of(1 << 20);
	struct reputation_who who = client("192.0.2.7"), other = client("198.51.100.1");
	char longest[REPUTATION_NAME_MAX];

	who.domain = other.domain = SPAN_LIT("shop.example");
	note(&r, who, REPUTATION_CLEAN, 30, NOW);
	/* the domain speaks for a client nobody knows, and is added to that of one who is known */
	assert_int_equal(ask(&r, other, NOW).score, ask(&r, other, NOW).author);
	assert_true(ask(&r, other, NOW).score > 80);
	assert_int_equal(ask(&r, who, NOW).score, 100);
	/* another's domain is nobody's */
	other.domain = SPAN_LIT("shop.example.net");
	assert_int_equal(ask(&r, other, NOW).score, 50);
	/* too long to be counted: no harm done, nothing confused */
	memset(longest, 'a', sizeof(longest));
	other.domain = span_make(longest, sizeof(longest));
	note(&r, other, REPUTATION_SPAM, 50, NOW);
	assert_int_equal(ask(&r, other, NOW).author, 50);
	free(r.table);
}

static void
test_correct(void **state)
{
	struct reputation r = table_of(1 << 20);
	struct reputation_who who = client("192.0.2.7");
	struct reputation_answer a;

	note(&r, who, REPUTATION_SPAM, 4, NOW);
	/* One of them is let go a week later: what is left of it, a half, changes sides. */
	reputation_correct(&r, &who, REPUTATION_SPAM, REPUTATION_CLEAN, NOW, NOW + 7 * DAY);
	a = ask(&r, who, NOW + 7 * DAY);
	assert_float_equal(a.address.n[REPUTATION_SPAM], 1.5, 0.001);
	assert_float_equal(a.address.n[REPUTATION_CLEAN], 0.5, 0.001);
	assert_float_equal(a.network.n[REPUTATION_SPAM], 1.5, 0.001);
	assert_float_equal(a.address.n[REPUTATION_RELEASED], 1, 0.001);
	/* more than there is: nothing, never less */
	for (int i = 0; i < 9; i++)
		reputation_correct(&r, &who, REPUTATION_SPAM, REPUTATION_CLEAN, NOW, NOW);
	assert_float_equal(ask(&r, who, NOW).address.n[REPUTATION_SPAM], 0, 0.001);
	free(r.table);
}

static void
test_forget(void **state)
{
	struct reputation r = table_of(1 << 20);
	struct reputation_who who = client("192.0.2.7"), next = client("192.0.2.8");
	struct reputation_row row;
	size_t at = 0, there = 0;

	note(&r, who, REPUTATION_SPAM, 50, NOW);
	note(&r, next, REPUTATION_SPAM, 1, NOW);
	assert_true(reputation_forget(&r, &who, NOW));
	assert_false(reputation_forget(&r, &who, NOW));
	assert_false(ask(&r, who, NOW).address.there);
	assert_float_equal(ask(&r, who, NOW).network.n[REPUTATION_SPAM], 1, 0.01);
	/* who saves sees that it is gone */
	while (reputation_next(&r, &at, NOW, &row))
		if (row.kind == 'a' && strcmp(row.name, "192.0.2.7") == 0) {
			assert_false(row.counts.there);
			assert_int_equal(row.changed, NOW / US_PER_SEC);
			there++;
		}
	assert_int_equal(there, 1);
	free(r.table);
}

static void
test_saved(void **state)
{
	struct reputation r = table_of(1 << 20), again = table_of(1 << 20);
	struct reputation_who who = client("2001:db8::1");
	struct reputation_row row;
	size_t at = 0, n = 0;

	who.domain = SPAN_LIT("shop.example");
	note(&r, who, REPUTATION_SPAM, 10, NOW);
	note(&r, who, REPUTATION_CLEAN, 3, NOW + DAY);
	assert_true(reputation_loads(&again));
	assert_false(reputation_loads(&again));
	/* in between something came already */
	note(&again, who, REPUTATION_CLEAN, 2, NOW + 7 * DAY);
	while (reputation_next(&r, &at, NOW + DAY, &row)) {
		reputation_add(&again, &row, NOW + DAY);
		n++;
	}
	assert_int_equal(n, 3);
	note(&r, who, REPUTATION_CLEAN, 2, NOW + 7 * DAY);
	for (int i = 0; i < REPUTATION_EVENT_COUNT; i++) {
		assert_float_equal(ask(&r, who, NOW + 8 * DAY).address.n[i],
		    ask(&again, who, NOW + 8 * DAY).address.n[i], 0.001);
		assert_float_equal(ask(&r, who, NOW + 8 * DAY).domain.n[i],
		    ask(&again, who, NOW + 8 * DAY).domain.n[i], 0.001);
	}
	assert_int_equal(ask(&r, who, NOW + 8 * DAY).score, ask(&again, who, NOW + 8 * DAY).score);
	/* made-up rows: a name too long, none */
	memset(row.name, 'x', sizeof(row.name) - 1);
	row.name[sizeof(row.name) - 1] = '\0';
	reputation_add(&again, &row, NOW);
	row.name[0] = '\0';
	reputation_add(&again, &row, NOW);
	free(r.table);
	free(again.table);
}

/* A flood of addresses that came once leaves those in place of whom much is known. */
static void
test_room(void **state)
{
	struct reputation r = table_of(64 << 10);
	struct reputation_who known[8];
	char text[64];
	int kept = 0;

	for (int i = 0; i < 8; i++) {
		snprintf(text, sizeof(text), "10.%d.0.1", i);
		known[i] = client(text);
		note(&r, known[i], REPUTATION_SPAM, 20, NOW);
	}
	for (int i = 0; i < 20000; i++) {
		snprintf(text, sizeof(text), "11.%d.%d.1", i / 200, i % 200);
		note(&r, client(text), REPUTATION_REFUSED, 1, NOW);
	}
	for (int i = 0; i < 8; i++)
		kept += ask(&r, known[i], NOW).address.n[REPUTATION_SPAM] > 19;
	assert_int_equal(kept, 8);
	free(r.table);
}

/* Two processes at once: nothing is lost, for all they add is added by compare-and-swap. */
static void
test_processes(void **state)
{
	size_t size = 1 << 20;
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct reputation_who who = client("192.0.2.7");
	struct reputation r;
	int status;
	pid_t kids[4];

	assert_ptr_not_equal(p, MAP_FAILED);
	reputation_open(&r, p, size, 7 * DAY);
	note(&r, who, REPUTATION_SPAM, 1, NOW);
	for (int k = 0; k < 4; k++) {
		kids[k] = fork();
		assert_true(kids[k] >= 0);
		if (kids[k] == 0) {
			for (int i = 0; i < 5000; i++)
				note(&r, who, REPUTATION_SPAM, 1, NOW);
			_exit(0);
		}
	}
	for (int k = 0; k < 4; k++) {
		assert_int_equal(waitpid(kids[k], &status, 0), kids[k]);
		assert_int_equal(status, 0);
	}
	assert_float_equal(ask(&r, who, NOW).address.n[REPUTATION_SPAM], 20001, 0.5);
	munmap(p, size);
}

static void
test_joined(void **state)
{
	assert_int_equal(reputation_joined(-1, 50, 25), 50);
	assert_int_equal(reputation_joined(10, 50, 25), 10);
	/* our own alone is neither below 20 nor above 80 */
	assert_int_equal(reputation_joined(-1, 0, 25), 25);
	assert_int_equal(reputation_joined(-1, 100, 25), 75);
	assert_int_equal(reputation_joined(10, 0, 25), 0);
	assert_int_equal(reputation_joined(95, 100, 25), 100);
}

/* Pages of shared memory that exist. */
static size_t
pages_of(void *p, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), n = size / page, there = 0;
	unsigned char *v = malloc(n);

	assert_non_null(v);
	assert_int_equal(mincore(p, size, v), 0);
	for (size_t i = 0; i < n; i++)
		there += v[i] & 1;
	free(v);
	return there;
}

/* Who reads the whole table, or asks for a stranger, makes no page of it real. */
static void
test_untouched(void **state)
{
	size_t size = 14u << 20, at = 0, rows = 0, made;
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct reputation_row row;
	struct reputation r;
	char text[32];

	assert_true(p != MAP_FAILED);
	reputation_open(&r, p, size, 7 * DAY);
	note(&r, client("192.0.2.7"), REPUTATION_SPAM, 1, NOW);
	made = pages_of(p, size);
	assert_true(made <= 1 + 2 * 2);		/* the head; two entries, which may lie on a border */
	for (int i = 0; i < 250; i++) {
		sprintf(text, "198.51.100.%d", i);
		ask(&r, client(text), NOW);
	}
	while (reputation_next(&r, &at, NOW, &row))
		rows++;
	assert_int_equal(rows, 2);
	assert_int_equal(pages_of(p, size), made);
	munmap(p, size);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_formula), cmocka_unit_test(test_fades),
		cmocka_unit_test(test_neighbours), cmocka_unit_test(test_domain),
		cmocka_unit_test(test_correct), cmocka_unit_test(test_forget),
		cmocka_unit_test(test_saved), cmocka_unit_test(test_room),
		cmocka_unit_test(test_processes), cmocka_unit_test(test_joined),
		cmocka_unit_test(test_untouched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
