/* test_mime_headers.c -- encoded words (RFC 2047) and parameters (RFC 2231, RFC 2045, 5.1). */
#include "test_anatomy.h"

#include "anatomy/header.h"
#include "anatomy/param.h"

/* RFC 2047, 8: "encoded form" and "displayed as". Comments stay: a value is text here. */
static void
test_rfc2047(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>" },
		{ "=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?= <keld@dkuug.dk>", "Keld J\xc3\xb8rn Simonsen <keld@dkuug.dk>" },
		{ "=?ISO-8859-1?Q?Andr=E9?= Pirard <PIRARD@vm1.ulg.ac.be>", "Andr\xc3\xa9 Pirard <PIRARD@vm1.ulg.ac.be>" },
		{ "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
		    "If you can read this you understand the example." },
		{ "(=?ISO-8859-1?Q?a?=)", "(a)" }, { "(=?ISO-8859-1?Q?a?= b)", "(a b)" },
		{ "(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)" },
		{ "(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)", "(ab)" },
		{ "(=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=)", "(ab)" },
		{ "(=?ISO-8859-1?Q?a_b?=)", "(a b)" },
		{ "(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)" },
		/* a character cut between two words */
		{ "=?utf-8?B?w4nDqcM=?= =?utf-8?B?qQ==?=", "\xc3\x89\xc3\xa9\xc3\xa9" },
		{ "=?utf-8?Q?caf=C3?= =?UTF-8?B?qQ==?=!", "caf\xc3\xa9!" },
		{ "=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "\xe6\x97\xa5\xe6\x9c\xac" },
		{ "=?utf-8*fr?Q?=C3=A9?=", "\xc3\xa9" },		/* RFC 2231, 5 */
		{ "\"=?utf-8?Q?in_quotes?=\"", "\"in quotes\"" },	/* forbidden; readers do it */
		{ "x=?utf-8?Q?glued?=y", "xgluedy" },
		{ "=?utf-8?Q?with space?=", "with space" },
		{ "=?utf-8?Q?" "?= a", "a" }, { "=?utf-8?Q?=20x?=", "x" },
		/* no words */
		{ "=?utf-8?Q?open", "=?utf-8?Q?open" }, { "=?utf-8?X?a?=", "=?utf-8?X?a?=" },
		{ "=?" "?Q?a?=", "=?" "?Q?a?=" }, { "=?", "=?" }, { "a =?b?c?= d", "a =?b?c?= d" },
		{ "=?a?q?=?b?q?x?=", "=?b?q?x" },
		{ "plain  text ", "plain  text" }, { "fol\r\n\tded", "fol\tded" }, { "", "" },
		{ "raw \xc3\xa9", "raw \xc3\xa9" }, { "raw \xe9", "raw \xc3\xa9" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct span value;
		struct offmap map;

		header_decode(arena, span_str(cases[i].in), 0, &value, NULL);
		if (!span_is(value, cases[i].out))
			fail_msg("\"%s\": \"" SPAN_FMT "\"", cases[i].in, SPAN_ARG(value));
		header_decode(arena, span_str(cases[i].in), 0, &value, &map);
		if (!span_is(value, cases[i].out))
			fail_msg("\"%s\" with a map: \"" SPAN_FMT "\"", cases[i].in, SPAN_ARG(value));
		for (size_t k = 0; k <= value.n; k++)
			assert_true(offmap_origin(&map, k) <= strlen(cases[i].in));
	}
}

static void
test_word_map(void **state)
{
	struct span raw = SPAN_LIT(" Re:\r\n =?utf-8?Q?=20Caf=C3=A9?= noir"), value;
	struct offmap map;

	header_decode(arena, raw, 100, &value, &map);
	assert_span(value, "Re:  Caf\xc3\xa9 noir");
	assert_int_equal(offmap_origin(&map, 0), 101);
	/* the first character is the word, all others their letters */
	assert_memory_equal(raw.p + offmap_origin(&map, 4) - 100, "=?utf-8", 7);
	assert_memory_equal(raw.p + offmap_origin(&map, 6) - 100, "af=C3=A9", 8);
	assert_memory_equal(raw.p + offmap_origin(&map, 8) - 100, "=C3=A9?=", 8);
	assert_memory_equal(raw.p + offmap_origin(&map, 11) - 100, "noir", 4);
	/* "abcdef" in two words: c is made of the third letter, e of the second of its own */
	raw = SPAN_LIT("=?utf-8?B?YWJj?= =?utf-8?B?ZGVm?=");
	header_decode(arena, raw, 0, &value, &map);
	assert_span(value, "abcdef");
	assert_memory_equal(raw.p + offmap_origin(&map, 2), "Jj?=", 4);
	assert_memory_equal(raw.p + offmap_origin(&map, 4), "GVm?=", 5);
}

static void
check_param(const char *field, const char *name, const char *want)
{
	struct params ps;
	struct span v;
	uint32_t defects = 0;

	params_parse(&ps, arena, header_unfold(arena, span_str(field)));
	if (!params_text(&ps, arena, name, &v, &defects))
		v = SPAN_LIT("(absent)");
	if (!span_is(v, want))
		fail_msg("%s: %s is \"" SPAN_FMT "\"", field, name, SPAN_ARG(v));
}

static void
test_params(void **state)
{
	/* RFC 2231, 3, 4 and 4.1 */
	check_param("message/external-body; access-type=URL; URL*0=\"ftp://\";\r\n"
	    " URL*1=\"cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar\"", "url",
	    "ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar");
	check_param("application/x-stuff; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
	    "title", "This is ***fun***");
	check_param("application/x-stuff; title*0*=us-ascii'en'This%20is%20even%20more%20;\r\n"
	    " title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2=\"isn't it!\"", "title",
	    "This is even more ***fun*** isn't it!");
	/* out of order, a character cut between two pieces, a charset */
	check_param("a/b; name*1*=%A9.txt; name*0*=utf-8''%C3", "name", "\xc3\xa9.txt");
	check_param("a/b; name*=iso-8859-1'fr'%E9t%E9", "name", "\xc3\xa9t\xc3\xa9");
	check_param("a/b; name=plain; name*=utf-8''%C3%A9", "name", "\xc3\xa9");
	check_param("a/b; name*=\"utf-8''%C3%A9\"", "name", "\xc3\xa9");
	/* sloppy */
	check_param("a/b; name=\"=?utf-8?Q?=C3=A9?=.pdf\"", "name", "\xc3\xa9.pdf");
	check_param("a/b; name=two words.pdf ; x=y", "name", "two words.pdf");
	check_param("a/b; name=report (1).pdf", "name", "report (1).pdf");
	check_param("a/b; name=a.pdf (a comment)", "name", "a.pdf");
	check_param("a/b (comment; name=evil) ; (x) name (y) = (z) \"a.pdf\" (w)", "name", "a.pdf");
	check_param("a/b; name=\"a \\\"b\\\" c\"", "name", "a \"b\" c");
	check_param("a/b; name=\"C:\\dir\\a.txt\"", "name", "C:\\dir\\a.txt");
	check_param("a/b; name=\"unclosed.pdf", "name", "unclosed.pdf");
	check_param("a/b; name=\"a.pdf\" x=y", "x", "y");
	check_param("a/b;;; name=a", "name", "a");
	check_param("a/b; NAME = a", "name", "a");
	check_param("a/b; name=", "name", "");
	check_param("a/b; name", "name", "(absent)");
	check_param("a/b; name*0=\"=?utf-8?Q?=C3?=\"; name*1=\"x\"", "name", "\xef\xbf\xbdx");
	check_param("a/b; name=caf\xe9", "name", "caf\xc3\xa9");
	check_param("a/b; boundary==_x/y=1", "boundary", "=_x/y=1");
}

static void
test_types(void **state)
{
	static const struct {
		const char *field, *declared, *charset, *name, *disposition, *encoding;
	} cases[] = {
		{ "Content-Type: TEXT/Plain; charset=\"UTF-8\"", "text/plain", "utf-8", "", "", "" },
		{ "Content-Type: text / html (x); charset=koi8-r (Russian)", "text/html", "koi8-r", "", "", "" },
		{ "Content-Type: (x) text/html", "text/html", "", "", "", "" },
		{ "Content-Type: garbage", "text/plain", "", "", "", "" },
		{ "Content-Disposition: ATTACHMENT; filename=\"/tmp/..\\a\tb.doc \"", "text/plain", "", "ab.doc", "attachment", "" },
		{ "Content-Type: a/b; name=one\r\nContent-Disposition: inline; filename=two", "a/b", "", "two", "inline", "" },
		{ "Content-Transfer-Encoding: \"BASE64\" (x)", "text/plain", "", "", "", "base64" },
		{ "Content-Transfer-Encoding:\r\n (x) Quoted-Printable;", "text/plain", "", "", "", "quoted-printable" },
		{ "Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64", "text/plain", "", "", "", "base64" },
		{ "Content-Type: text/plain\r\nContent-Type: text/html", "text/plain", "", "", "", "" },
		{ "Content-Type: text/plain\r\nContent-Type: multipart/mixed; boundary=a", "multipart/mixed", "", "", "", "" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		build_str(arena_printf(arena, "%s\r\n\r\n", cases[i].field));
		assert_span(an.parts[0].declared, cases[i].declared);
		assert_span(an.parts[0].charset, cases[i].charset);
		assert_span(an.parts[0].name, cases[i].name);
		assert_span(an.parts[0].disposition, cases[i].disposition);
		assert_span(an.parts[0].encoding, cases[i].encoding);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_rfc2047), TEST(test_word_map), TEST(test_params), TEST(test_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
