/* test_limits.c -- GCRA with a virtual clock, and from several processes at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "addr.h"
#include "receiver/limits.h"

#define SEC INT64_C(1000000)
#define T0 (1000000 * SEC)
#define MEMORY ((size_t)8 << 20)

static void *memory;
static struct limits_table *table;

static int
setup(void **state)
{
	memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(memory != MAP_FAILED);
	table = limits_attach(memory, MEMORY, T0);
	return 0;
}

static int
teardown(void **state)
{
	munmap(memory, MEMORY);
	return 0;
}

static struct limit_rule
rule(const char *id, enum limit_key per, enum limit_unit unit, uint64_t allow, int64_t window,
    enum outcome then)
{
	return (struct limit_rule){ .id = span_str(id), .per = per, .unit = unit, .allow = allow,
		.window = window, .then = then };
}

static enum outcome
take(const struct limit_rule *r, size_t n, const struct limits_who *who, uint32_t cost, int64_t now)
{
	struct limits_hit hit;
	enum outcome o = limits_take(table, r, n, r[0].unit, who, cost, now, &hit);

	assert_true((o == OUTCOME_UNJUDGED) == (hit.rule == NULL));
	return o;
}

static void
burst_then_rate(void **state)
{
	struct limit_rule r = rule("per-sender", LIMIT_SENDER, LIMIT_MESSAGES, 10, 60 * SEC,
	    OUTCOME_DEFER);
	struct limits_who who = { .sender = SPAN_LIT("a@example.org") };
	struct limits_who other = { .sender = SPAN_LIT("b@example.org") };
	struct limits_who spelt = { .sender = SPAN_LIT("A@Example.ORG") };
	int64_t now = T0;

	for (int i = 0; i < 10; i++)
		assert_int_equal(take(&r, 1, &who, 1, now), OUTCOME_UNJUDGED);
	assert_int_equal(take(&r, 1, &who, 1, now), OUTCOME_DEFER);
	assert_int_equal(take(&r, 1, &spelt, 1, now), OUTCOME_DEFER);
	assert_int_equal(take(&r, 1, &other, 1, now), OUTCOME_UNJUDGED);
	/* one each 6 s from then on */
	assert_int_equal(take(&r, 1, &who, 1, now + 5900000), OUTCOME_DEFER);
	now += 6 * SEC;
	assert_int_equal(take(&r, 1, &who, 1, now), OUTCOME_UNJUDGED);
	assert_int_equal(take(&r, 1, &who, 1, now), OUTCOME_DEFER);
	/* after a quiet window all of it is back, not more */
	now += 600 * SEC;
	for (int i = 0; i < 10; i++)
		assert_int_equal(take(&r, 1, &who, 1, now), OUTCOME_UNJUDGED);
	assert_int_equal(take(&r, 1, &who, 1, now), OUTCOME_DEFER);
}

static void
cost_and_size(void **state)
{
	struct limit_rule r = rule("rcpts", LIMIT_CLIENT, LIMIT_RECIPIENTS, 6000, 3600 * SEC,
	    OUTCOME_REJECT);
	struct limits_who who = { .client = SPAN_LIT("10.1.2.3") };

	assert_int_equal(take(&r, 1, &who, 6001, T0), OUTCOME_REJECT);
	assert_int_equal(take(&r, 1, &who, 6000, T0), OUTCOME_UNJUDGED);
	assert_int_equal(take(&r, 1, &who, 1, T0), OUTCOME_REJECT);
	assert_int_equal(take(&r, 1, &who, 3000, T0 + 1800 * SEC), OUTCOME_UNJUDGED);
	r.allow = 0;
	assert_int_equal(take(&r, 1, &who, 1, T0 + 999999 * SEC), OUTCOME_REJECT);
}

/* Odd numbers do not make the allowance smaller than what was written. */
static void
never_less_than_allowed(void **state)
{
	static const uint64_t allow[] = { 1, 3, 7, 11, 13, 299, 1001, 9999, 20000 };
	static const int64_t window[] = { SEC, 60 * SEC, 3600 * SEC, 86400 * SEC };
	struct limits_who who = { .sender = SPAN_LIT("a@example.org") };
	char id[32];

	for (size_t a = 0; a < sizeof(allow) / sizeof(allow[0]); a++)
		for (size_t w = 0; w < sizeof(window) / sizeof(window[0]); w++) {
			struct limit_rule r;
			uint64_t n = 0;

			snprintf(id, sizeof(id), "r%zu-%zu", a, w);
			r = rule(id, LIMIT_SENDER, LIMIT_MESSAGES, allow[a], window[w],
			    OUTCOME_DEFER);
			while (take(&r, 1, &who, 1, T0) == OUTCOME_UNJUDGED)
				n++;
			assert_true(n >= allow[a]);
			/* steps of 16 us: exact but for very high rates */
			if (window[w] / (int64_t)allow[a] > 100000)
				assert_true(n <= allow[a] + 1);
		}
}

static void
several_rules(void **state)
{
	struct limit_rule r[] = {
		rule("wide", LIMIT_CLIENT, LIMIT_MESSAGES, 100, 60 * SEC, OUTCOME_DEFER),
		rule("note", LIMIT_SENDER, LIMIT_MESSAGES, 2, 60 * SEC, OUTCOME_DELIVER),
		rule("hold", LIMIT_SENDER, LIMIT_MESSAGES, 4, 60 * SEC, OUTCOME_HOLD),
		rule("narrow", LIMIT_SENDER_DOMAIN, LIMIT_MESSAGES, 6, 60 * SEC, OUTCOME_REJECT),
		rule("other-unit", LIMIT_SENDER, LIMIT_RECIPIENTS, 1, 60 * SEC, OUTCOME_REJECT),
		rule("users", LIMIT_USER, LIMIT_MESSAGES, 1, 60 * SEC, OUTCOME_REJECT),
	};
	struct limits_who who = { SPAN_LIT("10.0.0.1"), SPAN_LIT("a@b.example"),
		SPAN_LIT("b.example"), { 0 } };
	static const enum outcome want[] = { OUTCOME_UNJUDGED, OUTCOME_UNJUDGED, OUTCOME_DELIVER,
		OUTCOME_DELIVER, OUTCOME_HOLD, OUTCOME_HOLD, OUTCOME_REJECT, OUTCOME_REJECT };
	struct limits_entry e;
	size_t at = 0;
	bool seen = false;

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		assert_int_equal(take(r, 6, &who, 1, T0), want[i]);
	/* what was refused was given back to the rules before */
	while (limits_next(table, &at, T0, &e))
		if (strcmp(e.text, "wide 10.0.0.1") == 0) {
			seen = true;
			assert_int_equal(limits_used(&r[0], e.full_until, T0), 6);
		}
	assert_true(seen);
	assert_true(limits_reset(table, r, 6, SPAN_LIT("narrow"), SPAN_LIT("b.example")));
	assert_false(limits_reset(table, r, 6, SPAN_LIT("narrow"), SPAN_LIT("b.example")));
	assert_int_equal(take(r, 6, &who, 1, T0), OUTCOME_HOLD);
	assert_true(limits_reset(table, r, 6, SPAN_LIT(""), SPAN_LIT("a@b.example")));
	assert_int_equal(take(r, 6, &who, 1, T0), OUTCOME_UNJUDGED);
}

/* Many strangers do not make the table fail, nor push out who was just there. */
/* A rule that is for some counts nobody else. */
static void
only_some(void **state)
{
	static const struct span news[] = { { "news@example.org", 16 }, { ".lists.example", 14 } };
	static const struct span printers[] = { { "10.9.0.0/16", 11 } };
	struct limit_rule r[] = {
		rule("news", LIMIT_SENDER, LIMIT_MESSAGES, 1, 60 * SEC, OUTCOME_REJECT),
		rule("printers", LIMIT_CLIENT, LIMIT_MESSAGES, 1, 60 * SEC, OUTCOME_REJECT),
		rule("isp", LIMIT_DESTINATION, LIMIT_CONNECTIONS, 1, 0, OUTCOME_DELIVER),
	};
	struct limits_who who = { .sender = SPAN_LIT("News@Example.org"), .client = SPAN_LIT("10.1.2.3") };
	struct limits_who list = { .sender = SPAN_LIT("a@b.lists.example"), .client = SPAN_LIT("10.1.2.3") };
	struct limits_who other = { .sender = SPAN_LIT("a@example.org"), .client = SPAN_LIT("10.1.2.3") };
	struct limits_who printer = { .sender = SPAN_LIT("p@example.org"), .client = SPAN_LIT("10.9.8.7") };
	const struct limit_rule *hit;

	r[0].match = news;
	r[0].nmatch = 2;
	r[1].match = printers;
	r[1].nmatch = 1;
	for (int i = 0; i < 5; i++) {
		assert_int_equal(take(r, 3, &who, 1, T0), i ? OUTCOME_REJECT : OUTCOME_UNJUDGED);
		assert_int_equal(take(r, 3, &list, 1, T0), i ? OUTCOME_REJECT : OUTCOME_UNJUDGED);
		assert_int_equal(take(r, 3, &printer, 1, T0), i ? OUTCOME_REJECT : OUTCOME_UNJUDGED);
		assert_int_equal(take(r, 3, &other, 1, T0), OUTCOME_UNJUDGED);
	}
	/* what delivery counts is none of the clients' */
	assert_true(limits_connections(r, 3, &other, &hit) == UINT64_MAX && hit == NULL);
}

static void
full_table(void **state)
{
	struct limit_rule r = rule("c", LIMIT_SENDER, LIMIT_MESSAGES, 5, 60 * SEC, OUTCOME_DEFER);
	struct limits_who me = { .sender = SPAN_LIT("me@example.org") };

	for (int i = 0; i < 5; i++)
		assert_int_equal(take(&r, 1, &me, 1, T0), OUTCOME_UNJUDGED);
	for (int i = 0; i < 400000; i++) {
		char text[64];
		struct limits_who who = { 0 };

		snprintf(text, sizeof(text), "s%d@example.net", i);
		who.sender = span_str(text);
		assert_int_equal(take(&r, 1, &who, 1, T0), OUTCOME_UNJUDGED);
	}
	/* five times as far ahead as the strangers: it is the last to be replaced */
	assert_int_equal(take(&r, 1, &me, 1, T0), OUTCOME_DEFER);
}

static void
many_processes(void **state)
{
	enum { PROCESSES = 6, KEYS = 50, TRIES = 400, ALLOW = 200 };
	struct limit_rule r = rule("p", LIMIT_SENDER, LIMIT_MESSAGES, ALLOW, 86400 * SEC,
	    OUTCOME_DEFER);
	uint32_t *got = mmap(NULL, PROCESSES * KEYS * sizeof(*got), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint32_t over = 0;

	assert_true((void *)got != MAP_FAILED);
	for (int p = 0; p < PROCESSES; p++) {
		pid_t pid = fork();

		assert_true(pid != -1);
		if (pid)
			continue;
		for (int i = 0; i < TRIES * KEYS; i++) {
			struct limits_who who = { 0 };
			struct limits_hit hit;
			char text[32];

			snprintf(text, sizeof(text), "k%d@example.org", i % KEYS);
			who.sender = span_str(text);
			if (limits_take(table, &r, 1, LIMIT_MESSAGES, &who, 1, T0, &hit) ==
			    OUTCOME_UNJUDGED)
				got[p * KEYS + i % KEYS]++;
		}
		_exit(0);
	}
	for (int p = 0; p < PROCESSES; p++) {
		int status;

		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	for (int k = 0; k < KEYS; k++) {
		uint32_t sum = 0;

		for (int p = 0; p < PROCESSES; p++)
			sum += got[p * KEYS + k];
		assert_true(sum >= ALLOW);
		over += sum - ALLOW;
	}
	/* At most one unit may be forgotten for a key that two made in the same instant. */
	assert_true(over <= KEYS);
	munmap(got, PROCESSES * KEYS * sizeof(*got));
}

static void
sessions(void **state)
{
	struct ip a, b;
	int c0, c1;

	assert_true(ip_parse(SPAN_LIT("192.0.2.1"), &a) && ip_parse(SPAN_LIT("2001:db8::1"), &b));
	c0 = limits_column(table, 1, T0);
	c1 = limits_column(table, 1, T0);
	assert_true(c0 >= 0 && c1 >= 0 && c0 != c1);
	assert_int_equal(limits_sessions(table, c0, a, 1, T0), 1);
	assert_int_equal(limits_sessions(table, c1, a, 1, T0), 2);
	assert_int_equal(limits_sessions(table, c1, b, 1, T0), 1);
	assert_int_equal(limits_sessions(table, c0, a, 1, T0), 3);
	assert_int_equal(limits_sessions(table, c0, a, -1, T0), 2);
	/* process 1 is killed: its sessions count no more, and its column is cleared for the next */
	limits_alive(table, c0, T0 + 20 * SEC);
	assert_int_equal(limits_sessions(table, c0, a, 1, T0 + 20 * SEC), 2);
	assert_int_equal(limits_column(table, 2, T0 + 20 * SEC), c1);
	assert_int_equal(limits_sessions(table, c1, a, 1, T0 + 20 * SEC), 3);
	/* never below zero */
	assert_int_equal(limits_sessions(table, c1, b, -1, T0 + 20 * SEC), 0);
	assert_int_equal(limits_sessions(table, c1, b, 1, T0 + 20 * SEC), 1);
}

/* ---- several windows, locks, exemptions, unique and invalid recipients ---- */

static void
windows(void **state)
{
	struct limit_rule r[] = {
		rule("minute", LIMIT_SENDER, LIMIT_MESSAGES, 3, 60 * SEC, OUTCOME_DEFER),
		rule("hour", LIMIT_SENDER, LIMIT_MESSAGES, 5, 3600 * SEC, OUTCOME_DEFER),
		rule("day", LIMIT_SENDER_DOMAIN, LIMIT_MESSAGES, 7, 86400 * SEC, OUTCOME_REJECT),
	};
	struct limits_who who = { .sender = SPAN_LIT("w@windows.example"),
		.sender_domain = SPAN_LIT("windows.example") };
	struct limits_hit hit;
	int64_t now = T0;

	for (int i = 0; i < 3; i++)
		assert_int_equal(take(r, 3, &who, 1, now), OUTCOME_UNJUDGED);
	assert_int_equal(limits_take(table, r, 3, LIMIT_MESSAGES, &who, 1, now, &hit), OUTCOME_DEFER);
	assert_true(span_is(hit.rule->id, "minute"));
	now += 60 * SEC;	/* the minute is over: two more, then the hour's five are used */
	for (int i = 0; i < 2; i++)
		assert_int_equal(take(r, 3, &who, 1, now), OUTCOME_UNJUDGED);
	assert_int_equal(limits_take(table, r, 3, LIMIT_MESSAGES, &who, 1, now, &hit), OUTCOME_DEFER);
	assert_true(span_is(hit.rule->id, "hour"));
	now += 3600 * SEC;	/* the hour is over: the day has two left, and a refused one took none */
	for (int i = 0; i < 2; i++)
		assert_int_equal(take(r, 3, &who, 1, now), OUTCOME_UNJUDGED);
	assert_int_equal(limits_take(table, r, 3, LIMIT_MESSAGES, &who, 1, now, &hit), OUTCOME_REJECT);
	assert_true(span_is(hit.rule->id, "day"));
	assert_true(span_is(hit.key, "windows.example"));
	/* An hour later a third of an allowance is back, not a whole one. */
	now += 3600 * SEC;
	assert_int_equal(take(r, 3, &who, 1, now), OUTCOME_REJECT);
}

static void
locks(void **state)
{
	struct limit_rule r = rule("out-break", LIMIT_SENDER, LIMIT_MESSAGES, 2, 60 * SEC,
	    OUTCOME_DEFER);
	struct limits_who who = { .sender = SPAN_LIT("l@locks.example") };
	struct limits_entry e;
	struct limits_hit hit;
	bool shown = false;
	size_t at = 0;

	r.lock = 3600 * SEC;
	assert_int_equal(limits_check(table, &r, 1, &who, T0, &hit), OUTCOME_UNJUDGED);
	assert_int_equal(take(&r, 1, &who, 2, T0), OUTCOME_UNJUDGED);
	assert_int_equal(limits_check(table, &r, 1, &who, T0, &hit), OUTCOME_UNJUDGED);
	assert_int_equal(limits_take(table, &r, 1, LIMIT_MESSAGES, &who, 1, T0, &hit), OUTCOME_DEFER);
	assert_true(hit.locked);
	assert_int_equal(hit.until, T0 + 3600 * SEC);
	/* It is locked for the hour though the minute is over; said once. */
	assert_int_equal(limits_take(table, &r, 1, LIMIT_MESSAGES, &who, 1, T0 + 1800 * SEC, &hit),
	    OUTCOME_DEFER);
	assert_false(hit.locked);
	assert_int_equal(hit.until, T0 + 3600 * SEC);
	assert_int_equal(limits_check(table, &r, 1, &who, T0 + 3599 * SEC, &hit), OUTCOME_DEFER);
	while (limits_next(table, &at, T0 + 1800 * SEC, &e))
		shown |= strcmp(e.text, "out-break" LIMITS_LOCK " l@locks.example") == 0;
	assert_true(shown);
	/* The end comes by itself … */
	assert_int_equal(limits_check(table, &r, 1, &who, T0 + 3601 * SEC, &hit), OUTCOME_UNJUDGED);
	assert_int_equal(take(&r, 1, &who, 2, T0 + 3601 * SEC), OUTCOME_UNJUDGED);
	/* … or by somebody's hand. */
	assert_int_equal(take(&r, 1, &who, 1, T0 + 3601 * SEC), OUTCOME_DEFER);
	assert_true(limits_reset(table, &r, 1, SPAN_LIT(""), SPAN_LIT("L@locks.example")));
	assert_int_equal(take(&r, 1, &who, 1, T0 + 3601 * SEC), OUTCOME_UNJUDGED);
}

static void
exemptions(void **state)
{
	static const struct limit_exempt out[] = {
		{ .match = { "news@exempt.example", 19 }, .until = 5000 * SEC },
		{ .match = { ".lists.example", 14 }, .until = 9000 * SEC },
		{ .match = { "all.example", 11 }, .until = 9000 * SEC },
	};
	static const struct limit_exempt nets[] = {
		{ .match = { "10.2.0.0/16", 11 }, .until = 9000 * SEC } };
	static const struct { const char *who; bool exempt; } cases[] = {
		{ "News@Exempt.example", true }, { "other@exempt.example", false },
		{ "a@x.lists.example", true }, { "a@lists.example", false },
		{ "anyone@all.example", true }, { "anyone@overall.example", false },
	};
	struct limit_rule r = rule("exempt", LIMIT_SENDER, LIMIT_MESSAGES, 1, 60 * SEC, OUTCOME_DEFER);

	r.exempt = out;
	r.nexempt = 3;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct limits_who who = { .sender = span_str(cases[i].who), .real = 4000 * SEC };

		take(&r, 1, &who, 1, T0);
		assert_int_equal(take(&r, 1, &who, 1, T0) == OUTCOME_UNJUDGED, cases[i].exempt);
		who.real = 5000 * SEC;	/* the first has expired */
		take(&r, 1, &who, 1, T0);
		assert_int_equal(take(&r, 1, &who, 1, T0) == OUTCOME_UNJUDGED,
		    cases[i].exempt && i > 0);
	}
	r = rule("exempt-net", LIMIT_CLIENT, LIMIT_CONNECTIONS, 3, 0, OUTCOME_DEFER);
	r.exempt = nets;
	r.nexempt = 1;
	for (int i = 0; i < 2; i++) {
		struct limits_who who = { .client = span_str(i ? "10.2.3.4" : "10.3.3.4") };
		const struct limit_rule *which;

		assert_true(limits_connections(&r, 1, &who, &which) == (i ? UINT64_MAX : 3));
	}
}

static void
recipients(void **state)
{
	struct limit_rule unique = rule("unique", LIMIT_SENDER, LIMIT_UNIQUE, 3, 86400 * SEC,
	    OUTCOME_REJECT);
	struct limit_rule invalid = rule("invalid", LIMIT_SENDER, LIMIT_INVALID, 2, 86400 * SEC,
	    OUTCOME_DEFER);
	struct limits_who who = { .sender = SPAN_LIT("u@unique.example") };
	struct limits_hit hit;
	char text[32];

	/* The same three again and again, in any case, are three. */
	for (int i = 0; i < 30; i++) {
		snprintf(text, sizeof(text), i % 2 ? "R%d@there.example" : "r%d@THERE.example", i % 3);
		who.recipient = span_str(text);
		assert_int_equal(take(&unique, 1, &who, 1, T0), OUTCOME_UNJUDGED);
	}
	who.recipient = SPAN_LIT("r4@there.example");
	assert_int_equal(take(&unique, 1, &who, 1, T0), OUTCOME_REJECT);
	assert_int_equal(take(&unique, 1, &who, 1, T0), OUTCOME_REJECT);
	who.recipient = SPAN_LIT("r1@there.example");
	assert_int_equal(take(&unique, 1, &who, 1, T0), OUTCOME_UNJUDGED);
	/* A third of the day later there is room for one more; the others are still known. */
	who.recipient = SPAN_LIT("r4@there.example");
	assert_int_equal(take(&unique, 1, &who, 1, T0 + 28801 * SEC), OUTCOME_UNJUDGED);
	who.recipient = SPAN_LIT("r5@there.example");
	assert_int_equal(take(&unique, 1, &who, 1, T0 + 28801 * SEC), OUTCOME_REJECT);

	for (int i = 0; i < 2; i++) {
		assert_int_equal(limits_check(table, &invalid, 1, &who, T0, &hit), OUTCOME_UNJUDGED);
		assert_int_equal(take(&invalid, 1, &who, 1, T0), OUTCOME_UNJUDGED);
	}
	assert_int_equal(limits_check(table, &invalid, 1, &who, T0, &hit), OUTCOME_DEFER);
	assert_int_equal(limits_check(table, &invalid, 1, &who, T0 + 43201 * SEC, &hit),
	    OUTCOME_UNJUDGED);
}

/* The claim at the top of limits.c: 60,000 pairs at once, hardly one forgotten or mistaken. */
static void
many_recipients(void **state)
{
	struct limit_rule r = rule("many", LIMIT_SENDER, LIMIT_UNIQUE, 1000000, 86400 * SEC,
	    OUTCOME_REJECT);
	struct limits_who who = { .sender = SPAN_LIT("m@many.example") };
	uint64_t first, second;
	struct limits_entry e;
	size_t at;
	char text[32];

	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 60000; i++) {
			snprintf(text, sizeof(text), "r%d@many.example", i);
			who.recipient = span_str(text);
			assert_int_equal(take(&r, 1, &who, 1, T0), OUTCOME_UNJUDGED);
		}
		at = 0;
		while (limits_next(table, &at, T0, &e))
			if (strcmp(e.text, "many m@many.example") == 0)
				*(round ? &second : &first) = limits_used(&r, e.full_until, T0);
	}
	/* limits_used rounds by the step of GCRA. */
	assert_in_range(first, 59990, 60010);
	assert_in_range(second, first, first + 1200);	/* 2 % forgotten: counted again */
}

static void
columns(void **state)
{
	struct limits_totals all;
	struct ip ip = { .family = 4, .b = { 10, 9, 9, 9 } };
	int a = limits_column(table, 101, T0 + 50 * SEC), b = limits_column(table, 102, T0 + 50 * SEC);
	int64_t now = T0 + 50 * SEC;

	assert_true(a != -1 && b != -1 && a != b);
	limits_publish_sessions(table, a, 5);
	limits_publish_sessions(table, b, 7);
	limits_publish_memory(table, a, 1000);
	limits_publish_memory(table, b, 50);
	assert_int_equal(limits_sessions(table, a, ip, 1, now), 1);
	assert_int_equal(limits_sessions(table, b, ip, 1, now), 2);
	limits_totals(table, a, now, &all);
	assert_int_equal(all.sessions, 7);
	limits_totals(table, -1, now, &all);
	assert_int_equal(all.sessions, 12);
	assert_int_equal(all.memory, 1050);
	/* One is killed: what it had open is gone with it, at once. */
	limits_gone(table, 101);
	limits_totals(table, -1, now, &all);
	assert_int_equal(all.sessions, 7);
	assert_int_equal(all.memory, 50);
	assert_int_equal(limits_sessions(table, b, ip, 0, now), 1);
	/* The other is not seen any more, though nobody told: after ten seconds it counts for nothing. */
	limits_totals(table, -1, now + 11 * SEC, &all);
	assert_int_equal(all.sessions, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(windows, setup, teardown),
		cmocka_unit_test_setup_teardown(locks, setup, teardown),
		cmocka_unit_test_setup_teardown(exemptions, setup, teardown),
		cmocka_unit_test_setup_teardown(recipients, setup, teardown),
		cmocka_unit_test_setup_teardown(many_recipients, setup, teardown),
		cmocka_unit_test_setup_teardown(columns, setup, teardown),
		cmocka_unit_test_setup_teardown(burst_then_rate, setup, teardown),
		cmocka_unit_test_setup_teardown(cost_and_size, setup, teardown),
		cmocka_unit_test_setup_teardown(never_less_than_allowed, setup, teardown),
		cmocka_unit_test_setup_teardown(several_rules, setup, teardown),
		cmocka_unit_test_setup_teardown(only_some, setup, teardown),
		cmocka_unit_test_setup_teardown(full_table, setup, teardown),
		cmocka_unit_test_setup_teardown(many_processes, setup, teardown),
		cmocka_unit_test_setup_teardown(sessions, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
