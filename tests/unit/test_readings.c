/* test_readings.c -- where mail programs read the same bytes differently: what any of them may show is
 * searched, and the difference is a defect. */
#include "test_anatomy.h"

#include "anatomy/fields.h"

static void
test_readings(void **state)
{
	/* "secret" in base64 is c2VjcmV0, in quoted-printable =73ecret. */
	static const struct {
		const char *what, *raw;
		uint32_t defects;	/* of those that ambiguity brings */
	} cases[] = {
		{ "two encodings, the first counts", "Content-Transfer-Encoding: base64\r\n"
		  "Content-Transfer-Encoding: quoted-printable\r\n\r\n=73ecret\r\n", DEFECT_AMBIGUOUS },
		{ "two encodings, the last counts", "Content-Transfer-Encoding: quoted-printable\r\n"
		  "Content-Transfer-Encoding: base64\r\n\r\nc2VjcmV0\r\n", DEFECT_AMBIGUOUS },
		{ "an encoding and none", "Content-Transfer-Encoding: 7bit\r\n"
		  "Content-Transfer-Encoding: base64\r\n\r\nsecret\r\n", DEFECT_AMBIGUOUS },
		{ "two types: text", "Content-Type: multipart/mixed; boundary=a\r\nContent-Type: text/plain\r\n\r\n"
		  "--a\r\nContent-Transfer-Encoding: base64\r\n\r\n!secret!\r\n--a--\r\n", DEFECT_AMBIGUOUS },
		{ "two types: boundaries", "Content-Type: multipart/mixed; boundary=a\r\n"
		  "Content-Type: multipart/mixed; boundary=b\r\n\r\n--a\r\n\r\n"
		  "--b\r\nContent-Transfer-Encoding: base64\r\n\r\nc2VjcmV0\r\n--b--\r\n--a--\r\n", DEFECT_AMBIGUOUS },
		{ "two types: character sets", "Content-Type: text/plain; charset=us-ascii\r\n"
		  "Content-Type: text/plain; charset=utf-7\r\n\r\n+AHMAZQBjAHIAZQB0-\r\n", DEFECT_AMBIGUOUS },
		{ "two boundaries: the first alone", "Content-Type: multipart/mixed; boundary=a; boundary=b\r\n\r\n"
		  "--a\r\n\r\n--b\r\nContent-Type: text/x\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
		  "=3Dsecret=3D\r\n--b--\r\n--a--\r\n", DEFECT_AMBIGUOUS },
		{ "two boundaries: the second alone", "Content-Type: multipart/mixed; boundary=\".\"; boundary=b\r\n\r\n"
		  "--b\r\nContent-Transfer-Encoding: base64\r\n\r\nc2Vj\r\n--.\r\ncmV0\r\n--b--\r\n--.--\r\n",
		  DEFECT_AMBIGUOUS },
		{ "the beginning of a boundary", "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nx\r\n"
		  "--ab\r\nContent-Transfer-Encoding: base64\r\n\r\nc2VjcmV0\r\n--a--\r\n", DEFECT_AMBIGUOUS },
		{ "a header that ends early", "Subject: x\r\nno field here\r\nContent-Transfer-Encoding: base64\r\n"
		  "\r\n*secret*\r\n", DEFECT_AMBIGUOUS },
		{ "a blank line of spaces", "Subject: x\r\n  \r\nContent-Transfer-Encoding: base64\r\n"
		  "\r\n*secret*\r\n", DEFECT_AMBIGUOUS },
		{ "a first line that is no field", "Hello\r\nContent-Transfer-Encoding: base64\r\n\r\nc2VjcmV0\r\n",
		  DEFECT_AMBIGUOUS },
		{ "an encoded multipart with its boundary in clear", "Content-Type: multipart/mixed; boundary=a\r\n"
		  "Content-Transfer-Encoding: quoted-printable\r\n\r\n--a\r\n\r\nx\r\n=2D-a\r\n"
		  "Content-Transfer-Encoding: base64\r\n\r\nc2VjcmV0\r\n--a--\r\n", DEFECT_AMBIGUOUS },
		{ "a character set in the document's head", "Content-Type: text/html; charset=us-ascii\r\n\r\n"
		  "<html><head><meta charset=utf-7></head>+AHMAZQBjAHIAZQB0-</html>\r\n", DEFECT_AMBIGUOUS },
		{ "a byte order mark", "Content-Type: text/plain; charset=us-ascii\r\n"
		  "Content-Transfer-Encoding: base64\r\n\r\n//5zAGUAYwByAGUAdAA=\r\n", DEFECT_AMBIGUOUS },
		{ "base64 that is none", "Content-Transfer-Encoding: base64\r\n\r\nThe *secret* in clear\r\n", 0 },
		{ "an encoding nobody knows: base64", "Content-Transfer-Encoding: x-mine\r\n\r\nc2VjcmV0\r\n", 0 },
		{ "an encoding nobody knows: quoted-printable", "Content-Transfer-Encoding: x-mine\r\n\r\n=73ecret\r\n", 0 },
		{ "an encoding nobody knows: none", "Content-Transfer-Encoding: x-mine\r\n\r\nsecret\r\n", 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		build_str(cases[i].raw);
		if (!surface_has(WHERE_BODY, "secret"))
			fail_msg("%s: not found", cases[i].what);
		if ((an.defects & (DEFECT_AMBIGUOUS | DEFECT_READINGS_TOO_MANY)) != cases[i].defects)
			fail_msg("%s: defects %#x", cases[i].what, an.defects);
		for (size_t k = 0; k < an.nparts; k++)
			if (an.parts[k].reading != (span_find(an.parts[k].number, '~') < an.parts[k].number.n))
				fail_msg("%s: part " SPAN_FMT, cases[i].what, SPAN_ARG(an.parts[k].number));
	}
	/* Twice the same is no difference, nor are character sets that only extend ASCII. */
	build_str("Content-Type: text/html; charset=utf-8\r\n\r\n<meta charset=windows-1252>x");
	assert_int_equal(an.defects, 0);
	assert_int_equal(an.nparts, 1);
	build_str("Content-Type: text/plain\r\nContent-Type: TEXT/plain \r\nContent-Transfer-Encoding: 7bit\r\n"
	    "Content-Transfer-Encoding: 8bit\r\n\r\nx");
	assert_int_equal(an.defects, DEFECT_HEADER_DUPLICATE);
	assert_int_equal(an.nparts, 1);
}

static void
test_readings_limits(void **state)
{
	struct text_maker t = maker(1u << 20);

	for (int i = 0; i < 9; i++)
		add(&t, "Content-Type: multipart/mixed; boundary=%c\r\n", 'a' + i);
	add(&t, "\r\nx");
	build(span_make(t.p, t.n), NULL);
	assert_true(an.defects & DEFECTS_UNSCANNABLE & DEFECT_READINGS_TOO_MANY);
	t.n = 0;
	add(&t, "Content-Type: multipart/mixed; boundary=a\r\n\r\n");
	for (int i = 0; i < 40; i++)
		add(&t, "--a\r\nContent-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: 7bit\r\n\r\nx\r\n");
	build(span_make(t.p, t.n), NULL);
	assert_true(an.defects & DEFECT_READINGS_TOO_MANY);
	assert_true(an.nparts <= 1 + 40 + READINGS);
	free(t.p);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_readings), TEST(test_readings_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
