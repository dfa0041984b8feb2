/* test_policy_budget.c -- no message and no policy makes judging run for ever; what the budget does
 * not suffice for is never clean. */
#include <time.h>

#include "policy_fixture.h"

/* Processor time of this process alone: other load does not count. Far above what the budget
 * allows (under a second), far below what the same work takes without one (hours). */
#ifdef POSTERN_SANITIZED
#define SECONDS_MAX 200.0
#else
#define SECONDS_MAX 30.0
#endif

static double
judge_timed(struct fixture *f, const char *raw)
{
	clock_t from = clock();

	fixture_judge(f, raw);
	return (double)(clock() - from) / CLOCKS_PER_SEC;
}

static char *
text_of(struct fixture *f, struct buf *b)
{
	char *p = arena_str(f->arena, buf_data(b));

	assert_false(buf_failed(b));
	buf_release(b);
	return p;
}

/* A thousand fields, on each of which thirty patterns take exponential time. */
static void
test_headers(void **state)
{
	struct fixture f;
	struct buf b;
	char *yaml, *raw;

	fixture_begin(&f);
	buf_init(&b, 1 << 24);
	buf_puts(&b, "rules:\n");
	for (int i = 0; i < 30; i++)
		buf_printf(&b, "  - {id: slow-%d, when: {header: {X-Slow: {pattern: '^(a+)+b{%d}$'}}}, then: {reject: true}}\n",
		    i, i + 1);
	yaml = text_of(&f, &b);
	buf_init(&b, 1 << 24);
	for (int i = 0; i < 1000; i++)
		buf_printf(&b, "X-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!b%d b\r\n", i);
	buf_puts(&b, HEAD "\r\n.\r\n");
	raw = text_of(&f, &b);

	fixture_load(&f, yaml);
	assert_true(judge_timed(&f, raw) < SECONDS_MAX);
	assert_true(f.v.undecided && f.v.unscannable);
	assert_outcome(&f, 0, "hold");
	assert_true(HIT(&f, 0, "defaults/on_unscannable"));
	fixture_load(&f, arena_printf(f.arena, "defaults: {on_unscannable: quarantine}\n%s", yaml));
	fixture_judge(&f, raw);
	assert_outcome(&f, 0, "quarantine");
	/* a message that is none of that is judged as ever */
	fixture_judge(&f, MAIL("x"));
	assert_false(f.v.undecided || f.v.unscannable);
	assert_outcome(&f, 0, "deliver");
	fixture_end(&f);
}

/* Names on which globs are slow, in many files, asked by many rules. */
static void
test_globs(void **state)
{
	struct fixture f;
	struct buf b;
	char *raw;

	fixture_begin(&f);
	buf_init(&b, 1 << 24);
	buf_puts(&b, "rules:\n");
	for (int i = 0; i < 1000; i++)
		buf_printf(&b, "  - {id: g%d, when: {attachment: {name: '*aaaaaaaaaaaaaaaaaaaaaaaaaaaaaab*%d'}}, then: {reject: true}}\n",
		    i, i);
	fixture_load(&f, text_of(&f, &b));
	buf_init(&b, 1 << 26);
	buf_puts(&b, HEAD "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n");
	for (int i = 0; i < 300; i++) {
		buf_puts(&b, "--b\r\nContent-Type: application/octet-stream\r\n"
		    "Content-Disposition: attachment; filename=\"");
		for (int k = 0; k < 40; k++)
			buf_puts(&b, "aaaaaaaaaaaaaaaaaaaaaa");
		buf_puts(&b, "\"\r\n\r\nx\r\n");
	}
	buf_puts(&b, "--b--\r\n");
	raw = text_of(&f, &b);
	assert_true(judge_timed(&f, raw) < SECONDS_MAX);
	assert_true(f.v.undecided && f.v.unscannable);
	assert_outcome(&f, 0, "hold");
	fixture_end(&f);
}

/* A policy of a thousand rules over a thousand recipients, each of which is judged alone: a lot of
 * work, and within the budget. */
static void
test_recipients(void **state)
{
	struct fixture f;
	struct recipient *to;
	struct buf b;

	fixture_begin(&f);
	buf_init(&b, 1 << 24);
	buf_puts(&b, "rules:\n");
	for (int i = 0; i < 1000; i++)
		buf_printf(&b, "  - {id: r%d, when: {to: {not: d%d.example}}, then: {hold: a%d@example.org}}\n", i, i,
		    i % 10);
	fixture_load(&f, text_of(&f, &b));
	to = arena_array(f.arena, 1000, sizeof(*to));
	for (int i = 0; i < 1000; i++)
		to[i].address = span_str(arena_printf(f.arena, "u@d%d.example", i));
	f.env.recipients = to;
	f.env.nrecipients = 1000;
	assert_true(judge_timed(&f, MAIL("x")) < SECONDS_MAX);
	assert_false(f.v.undecided);
	for (int i = 0; i < 1000; i++) {
		assert_outcome(&f, i, "hold");
		assert_int_equal(f.v.decisions[i].nrules, 999);
	}
	fixture_end(&f);
}

/* What is beyond the budget in `unless` cannot make a rule go away unseen. */
static void
test_unless(void **state)
{
	struct fixture f;
	struct buf b;

	fixture_begin(&f);
	fixture_load(&f, "defaults: {on_unscannable: reject}\n"
	    "rules:\n  - {id: q, when: {to: webmail.example}, unless: {header: {X-Slow: {pattern: '^(a+)+c$'}}}, then: {quarantine: q}}\n");
	buf_init(&b, 1 << 20);
	buf_puts(&b, "X-Slow: ");
	for (int i = 0; i < 5000; i++)
		buf_putc(&b, 'a');
	buf_puts(&b, "!c\r\n" HEAD "\r\n.\r\n");
	fixture_judge(&f, text_of(&f, &b));
	assert_true(f.v.undecided);
	assert_true(HIT(&f, 0, "q"));
	assert_outcome(&f, 0, "reject");
	fixture_end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_globs),
		cmocka_unit_test(test_recipients),
		cmocka_unit_test(test_unless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
