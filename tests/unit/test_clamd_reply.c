/* test_clamd_reply.c -- clamd's answers: what is clean, what was found, and what is no answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "scanner/clamd.h"

static void
answers(void **state)
{
	static const struct { const char *reply; enum clamd_word word; const char *text; } cases[] = {
		{ "3: stream: OK", CLAMD_OK, "" },
		{ "3: fd[12]: OK", CLAMD_OK, "" },
		{ "3: stream: Eicar-Test-Signature FOUND", CLAMD_FOUND, "Eicar-Test-Signature" },
		{ "3: fd[9]: Eicar.UNOFFICIAL(44d88612fea8a8f36de82e1278abb02f:68) FOUND", CLAMD_FOUND, "Eicar.UNOFFICIAL" },
		{ "3: INSTREAM size limit exceeded. ERROR", CLAMD_LIMIT, "INSTREAM size limit exceeded." },
		{ "3: fd[9]: Can't open file or directory ERROR", CLAMD_ERROR, "fd[9]: Can't open file or directory" },
		{ "3: UNKNOWN COMMAND", CLAMD_GARBAGE, "" },
		/* near misses of "clean" */
		{ "", CLAMD_GARBAGE, "" }, { "OK", CLAMD_GARBAGE, "" }, { "stream: OK", CLAMD_GARBAGE, "" },
		{ "2: stream: OK", CLAMD_GARBAGE, "" }, { "3:stream: OK", CLAMD_GARBAGE, "" },
		{ "3: OK", CLAMD_GARBAGE, "" }, { "3: stream: ok", CLAMD_GARBAGE, "" },
		{ "3: stream: OK ", CLAMD_GARBAGE, "" }, { "3: stream: NOT OK", CLAMD_GARBAGE, "" },
		{ "3: stream:  OK", CLAMD_GARBAGE, "" }, { "3: fd[]: OK", CLAMD_GARBAGE, "" },
		{ "3: fd[1x]: OK", CLAMD_GARBAGE, "" }, { "3: /etc/passwd: OK", CLAMD_GARBAGE, "" },
		{ "03x: stream: OK", CLAMD_GARBAGE, "" }, { "03: stream: OK", CLAMD_GARBAGE, "" }, { "3: stream: OK\n", CLAMD_GARBAGE, "" },
		{ "3: stream: FOUND", CLAMD_GARBAGE, "" }, { "3: stream:  FOUND", CLAMD_GARBAGE, "" },
		{ "3: stream: two words FOUND", CLAMD_GARBAGE, "" }, { "3: stream: (x) FOUND", CLAMD_GARBAGE, "" },
		{ "3: stream: OK FOUND", CLAMD_FOUND, "OK" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct span text;
		enum clamd_word w = clamd_reply_parse(span_str(cases[i].reply), 3, &text);

		if (w != cases[i].word || !span_is(text, cases[i].text))
			fail_msg("%s: %d \"" SPAN_FMT "\"", cases[i].reply, w, SPAN_ARG(text));
	}
}

static void
versions(void **state)
{
	struct clamd_version v;

	assert_true(clamd_version_parse(SPAN_LIT("1: ClamAV 1.4.6/27850/Sun Nov 22 09:38:10 2026"), 1, &v));
	assert_true(span_is(v.version, "1.4.6"));
	assert_int_equal(v.daily, 27850);
	assert_int_equal(v.made, 1795340290);	/* date -u -d '2026-11-22 09:38:10' +%s */
	assert_true(clamd_version_parse(SPAN_LIT("1: ClamAV 1.4.6/27850/Sun Feb  1 00:00:00 2026"), 1, &v));
	assert_int_equal(v.made, 1769904000);
	assert_true(clamd_version_parse(SPAN_LIT("1: ClamAV 0.103.8"), 1, &v));
	assert_true(span_is(v.version, "0.103.8") && v.daily == 0 && v.made == 0);
	assert_true(clamd_version_parse(SPAN_LIT("1: ClamAV 1.4.6/27850/yesterday"), 1, &v));
	assert_int_equal(v.made, 0);
	assert_false(clamd_version_parse(SPAN_LIT("2: ClamAV 1.4.6"), 1, &v));
	assert_false(clamd_version_parse(SPAN_LIT("1: Exim 4.96"), 1, &v));
	assert_false(clamd_version_parse(SPAN_LIT("1: ClamAV "), 1, &v));
	assert_false(clamd_version_parse(SPAN_LIT("1: ClamAV 1.4.6/many/x"), 1, &v));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(answers), cmocka_unit_test(versions) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
