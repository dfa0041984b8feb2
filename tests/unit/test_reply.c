/* test_reply.c -- SMTP replies: good, odd, hostile; whole and in single bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "delivery/reply.h"

static enum reply_status
feed(struct smtp_reply *r, const char *text, size_t piece)
{
	struct span in = span_str(text);
	enum reply_status st = REPLY_MORE;
	size_t used;

	smtp_reply_reset(r);
	while (in.n && st == REPLY_MORE) {
		st = smtp_reply_feed(r, span_sub(in, 0, piece), &used);
		in = span_from(in, used);
	}
	return st;
}

static const struct {
	const char *in;
	enum reply_status status;
	int code;
	const char *dsn, *text;
} rows[] = {
	{ "250 ok\r\n", REPLY_WHOLE, 250, "", "250 ok" },
	{ "250 ok\n", REPLY_WHOLE, 250, "", "250 ok" },
	{ "250\r\n", REPLY_WHOLE, 250, "", "250" },
	{ "250 2.0.0 Ok: queued as 9F\r\n", REPLY_WHOLE, 250, "2.0.0", "250 2.0.0 Ok: queued as 9F" },
	{ "550-5.7.1 first\r\n550 5.7.1 second\r\n", REPLY_WHOLE, 550, "5.7.1",
	  "550-5.7.1 first 550 5.7.1 second" },
	{ "550-5.1.1 no such\r\n550 user\r\n", REPLY_WHOLE, 550, "5.1.1", "550-5.1.1 no such 550 user" },
	{ "450-4.2.0 wait\r\n451 4.7.1 grey\r\n", REPLY_WHOLE, 451, "4.7.1",
	  "450-4.2.0 wait 451 4.7.1 grey" },
	/* an enhanced code of another class is not believed */
	{ "550 2.1.0 liar\r\n", REPLY_WHOLE, 550, "", "550 2.1.0 liar" },
	{ "250 2.1.0x\r\n", REPLY_WHOLE, 250, "", "250 2.1.0x" },
	{ "250 2.1234.0 x\r\n", REPLY_WHOLE, 250, "", "250 2.1234.0 x" },
	{ "250 2.1\r\n", REPLY_WHOLE, 250, "", "250 2.1" },
	/* bytes that could forge lines */
	{ "550 a\rb\x1b[31m\x80\xff\tz\r\n", REPLY_WHOLE, 550, "", "550 a?b?[31m?? z" },
	{ "550 a\r\r\n", REPLY_WHOLE, 550, "", "550 a?" },
	{ "550 caf\xc3\xa9\r\n", REPLY_WHOLE, 550, "", "550 caf??" },
	{ "250-a\r\n550 b\r\n", REPLY_BROKEN, 0, NULL, NULL },
	{ "hello\r\n", REPLY_BROKEN, 0, NULL, NULL },
	{ "\r\n", REPLY_BROKEN, 0, NULL, NULL },
	{ "25\r\n", REPLY_BROKEN, 0, NULL, NULL },
	{ "2500 ok\r\n", REPLY_BROKEN, 0, NULL, NULL },
	{ "250+ok\r\n", REPLY_BROKEN, 0, NULL, NULL },
	{ "150 ok\r\n", REPLY_BROKEN, 0, NULL, NULL },
	{ "650 ok\r\n", REPLY_BROKEN, 0, NULL, NULL },
	{ " 250 ok\r\n", REPLY_BROKEN, 0, NULL, NULL },
	{ "250 ok", REPLY_MORE, 0, NULL, NULL },
	{ "250-ok\r\n", REPLY_MORE, 0, NULL, NULL },
};

static void
test_rows(void **state)
{
	struct smtp_reply r;

	smtp_reply_init(&r);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		for (size_t piece = 1; piece < 12; piece++) {
			assert_int_equal(feed(&r, rows[i].in, piece), rows[i].status);
			if (rows[i].status != REPLY_WHOLE)
				continue;
			assert_int_equal(r.code, rows[i].code);
			assert_string_equal(r.dsn, rows[i].dsn);
			assert_int_equal(smtp_reply_text(&r).n, strlen(rows[i].text));
			assert_memory_equal(smtp_reply_text(&r).p, rows[i].text, strlen(rows[i].text));
		}
	}
	smtp_reply_release(&r);
}

static void
test_lines(void **state)
{
	struct smtp_reply r;

	smtp_reply_init(&r);
	assert_int_equal(feed(&r, "250-mx hello\r\n250-SIZE 100\r\n250\r\n", 5), REPLY_WHOLE);
	assert_int_equal(r.nlines, 3);
	assert_true(span_is(smtp_reply_line(&r, 0), "mx hello"));
	assert_true(span_is(smtp_reply_line(&r, 1), "SIZE 100"));
	assert_int_equal(smtp_reply_line(&r, 2).n, 0);
	smtp_reply_release(&r);
}

/* Only one reply is taken; the bytes behind it stay with the caller. */
static void
test_one_at_a_time(void **state)
{
	struct span in = SPAN_LIT("250 a\r\n354 b\r\n");
	struct smtp_reply r;
	size_t used;

	smtp_reply_init(&r);
	assert_int_equal(smtp_reply_feed(&r, in, &used), REPLY_WHOLE);
	assert_int_equal(used, 7);
	assert_int_equal(smtp_reply_feed(&r, span_from(in, 7), &used), REPLY_WHOLE);
	assert_int_equal(used, 0);
	assert_int_equal(r.code, 250);
	smtp_reply_reset(&r);
	assert_false(smtp_reply_begun(&r));
	assert_int_equal(smtp_reply_feed(&r, span_from(in, 7), &used), REPLY_WHOLE);
	assert_int_equal(r.code, 354);
	smtp_reply_release(&r);
}

static void
test_long_line_is_cut(void **state)
{
	static char text[REPLY_LINE_MAX * 4 + 8];
	struct smtp_reply r;
	size_t used;

	memset(text, 'x', sizeof(text));
	memcpy(text, "550 ", 4);
	memcpy(text + sizeof(text) - 2, "\r\n", 2);
	smtp_reply_init(&r);
	assert_int_equal(smtp_reply_feed(&r, span_make(text, sizeof(text)), &used), REPLY_WHOLE);
	assert_int_equal(used, sizeof(text));
	assert_int_equal(smtp_reply_text(&r).n, REPLY_LINE_MAX);
	smtp_reply_release(&r);
}

static void
test_endless(void **state)
{
	struct smtp_reply r;
	enum reply_status st = REPLY_MORE;
	size_t used, total = 0, lines = 0;

	smtp_reply_init(&r);
	/* one line without end */
	while (st == REPLY_MORE && total < 2 * REPLY_TOTAL_MAX) {
		st = smtp_reply_feed(&r, SPAN_LIT("550 blah blah"), &used);
		total += used;
	}
	assert_int_equal(st, REPLY_BROKEN);
	assert_true(total <= REPLY_TOTAL_MAX);
	assert_non_null(r.broken);
	/* lines without end */
	smtp_reply_reset(&r);
	for (st = REPLY_MORE; st == REPLY_MORE && lines < 2 * REPLY_LINES_MAX; lines++)
		st = smtp_reply_feed(&r, SPAN_LIT("250-again\r\n"), &used);
	assert_int_equal(st, REPLY_BROKEN);
	assert_int_equal(lines, REPLY_LINES_MAX);
	smtp_reply_release(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_one_at_a_time),
		cmocka_unit_test(test_long_line_is_cut),
		cmocka_unit_test(test_endless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
