/* test_talk.c -- transcripts of attempts: what is kept, what is left out, and within which bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "clock.h"
#include "delivery/talk.h"

static void
assert_talk(struct talk *t, int64_t now, const char *want)
{
	struct arena *a = arena_new(0);
	struct span got = talk_text(t, a, now);

	if (!span_is(got, want))
		fail_msg("got\n" SPAN_FMT "want\n%s", SPAN_ARG(got), want);
	arena_free(&a);
}

static void
test_conversation(void **state)
{
	struct talk t = { 0 };
	int64_t t0 = 1000 * US_PER_SEC;

	talk_begin(&t, t0);
	talk_note(&t, t0 + 5000, "connected to %s", "mx.lab[192.0.2.1]:25");
	/* replies in whatever pieces, commands together */
	talk_heard(&t, SPAN_LIT("220 mx"), t0 + 12000);
	talk_heard(&t, SPAN_LIT(".lab\r"), t0 + 13000);
	talk_heard(&t, SPAN_LIT("\n250-a\r\n250 b\n"), t0 + 14000);
	talk_said(&t, SPAN_LIT("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"), t0 + 15000);
	talk_said(&t, SPAN_LIT("AUTH PLAIN AGpvZQBzZWNyZXQ=\r\n"), t0 + 15000);
	talk_body(&t, 1000);
	talk_body(&t, 234);
	talk_heard(&t, SPAN_LIT("550 5.7.1 \xff\x1b[31mno\r\n4"), t0 + 61 * US_PER_SEC);
	assert_talk(&t, t0 + 62 * US_PER_SEC,
	    "  0.005 -- connected to mx.lab[192.0.2.1]:25\n"
	    "  0.014 S: 220 mx.lab\n"
	    "  0.014 S: 250-a\n"
	    "  0.014 S: 250 b\n"
	    "  0.015 C: MAIL FROM:<a@b>\n"
	    "  0.015 C: RCPT TO:<c@d>\n"
	    "  0.015 C: AUTH (not shown)\n"
	    " 61.000 C: (1234 bytes of the message)\n"
	    " 61.000 S: 550 5.7.1 ??[31mno\n"
	    " 62.000 S: 4\n");
	/* another attempt knows nothing of this one */
	talk_begin(&t, t0);
	assert_talk(&t, t0, "");
	talk_release(&t);
}

/* Endless talk: the beginning and the end, within bounds, and how much is missing. */
static void
test_bounds(void **state)
{
	struct arena *a = arena_new(0);
	struct talk t = { 0 };
	struct span got;
	char line[64], longer[5000];

	talk_begin(&t, 0);
	for (int i = 0; i < 10000; i++) {
		int n = snprintf(line, sizeof(line), "250-line %d\r\n", i);

		talk_heard(&t, span_make(line, (size_t)n), i);
	}
	memset(longer, 'x', sizeof(longer));
	talk_heard(&t, span_make(longer, sizeof(longer)), 10000);
	talk_heard(&t, SPAN_LIT("\r\n"), 10000);
	got = talk_text(&t, a, 10000);
	assert_true(got.n < 4 * (TALK_HEAD + 2 * TALK_TAIL));
	assert_non_null(memmem(got.p, got.n, "S: 250-line 0\n", 14));
	assert_non_null(memmem(got.p, got.n, "S: 250-line 9999\n", 17));
	assert_null(memmem(got.p, got.n, "S: 250-line 5000\n", 17));
	assert_non_null(memmem(got.p, got.n, "bytes are left out here", 23));
	assert_non_null(memmem(got.p, got.n, "xxx", 3));
	assert_null(memmem(got.p, got.n, longer, TALK_LINE + 1));
	talk_release(&t);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conversation),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
