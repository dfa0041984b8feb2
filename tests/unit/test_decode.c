/* test_decode.c -- transfer encodings, character sets, folding, HTML, and their offset maps. */
#include "test_anatomy.h"

#include "anatomy/charset.h"
#include "anatomy/decode.h"
#include "anatomy/html.h"
#include "anatomy/textmap.h"

static struct span
decoded(enum encoding e, const char *in, uint32_t *defects)
{
	struct span out;

	*defects = decode_body(arena, e, span_str(in), SIZE_MAX, &out);
	return out;
}

static void
test_base64(void **state)
{
	static const struct {
		const char *in, *out;
		bool bad;
	} cases[] = {
		{ "", "", false }, { "Zg==", "f", false }, { "Zm8=", "fo", false },
		{ "Zm9v", "foo", false }, { "Zm9vYg==", "foob", false }, { "Zm9vYmE=", "fooba", false },
		{ "Zm9vYmFy\r\n", "foobar", false },		/* RFC 4648, 10 */
		{ "Zm 9v\tYm\r\nFy", "foobar", false },		/* white space anywhere */
		{ "Zm9v*Ym-Fy", "foobar", true },		/* junk */
		{ "Zg==Zg==", "ff", true },			/* concatenated */
		{ "Zm8=\r\nZm8=\r\n", "fofo", true },
		{ "Zg", "f", true }, { "Zm8", "fo", true },	/* padding missing */
		{ "Zg=", "f", true }, { "Z", "", true },
		{ "=Zm9v", "foo", true }, { "Zm9v=", "foo", true },
		{ "Zm9vYmFyZm9vYmFyZm9vYmFy!Zm9v", "foobarfoobarfoobarfoo", true },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t defects;

		assert_span(decoded(ENCODING_BASE64, cases[i].in, &defects), cases[i].out);
		if (defects != (cases[i].bad ? DEFECT_ENCODING_MALFORMED : 0))
			fail_msg("\"%s\": defects %#x", cases[i].in, defects);
	}
}

static void
test_qp(void **state)
{
	static const struct {
		const char *in, *out;
		bool bad;
	} cases[] = {
		{ "a=3Db=3d", "a=b=", false }, { "soft=\r\n break", "soft break", false },
		{ "soft= \t\r\nbreak", "softbreak", false }, { "lf=\nend", "lfend", false },
		{ "trail  \t\r\nx ", "trail\r\nx", false },	/* RFC 2045, 6.7 (3) */
		{ "end=", "end", false }, { "=E9t=E9\r\n", "\xe9t\xe9\r\n", false },
		{ "a=zz=4", "a=zz=4", true }, { "caf\xe9", "caf\xe9", true },
		{ "a==3Db", "a==b", true }, { "=\r\n=\r\n", "", false }, { "=41=", "A", false },
	};
	uint32_t defects;
	struct span out, in = SPAN_LIT("no change\r\nat all\r\n");

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_span(decoded(ENCODING_QP, cases[i].in, &defects), cases[i].out);
		if (defects != (cases[i].bad ? DEFECT_ENCODING_MALFORMED : 0))
			fail_msg("\"%s\": defects %#x", cases[i].in, defects);
	}
	decode_body(arena, ENCODING_QP, in, SIZE_MAX, &out);
	assert_ptr_equal(out.p, in.p);		/* borrowed */
	decode_body(arena, ENCODING_IDENTITY, in, SIZE_MAX, &out);
	assert_ptr_equal(out.p, in.p);
}

static void
test_budget(void **state)
{
	struct span out;

	assert_int_equal(decode_body(arena, ENCODING_BASE64, SPAN_LIT("Zm9vYmFy"), 6, &out), 0);
	assert_int_equal(decode_body(arena, ENCODING_BASE64, SPAN_LIT("Zm9vYmFy"), 5, &out),
	    DEFECT_TOO_LARGE);
	assert_span(out, "fooba");
	assert_int_equal(decode_body(arena, ENCODING_QP, SPAN_LIT("abc=41"), 3, &out), DEFECT_TOO_LARGE);
	assert_span(out, "abc");
	assert_int_equal(decode_body(arena, ENCODING_IDENTITY, SPAN_LIT("abc"), 0, &out),
	    DEFECT_TOO_LARGE);
	assert_int_equal(out.n, 0);
}

/* --- character sets ---------------------------------------------------------------------- */

static void
test_charsets(void **state)
{
	static const struct {
		const char *label, *in, *out;
		uint32_t defects;
	} cases[] = {
		{ "", "caf\xc3\xa9", "caf\xc3\xa9", 0 },	/* undeclared: UTF-8 when valid */
		{ "", "caf\xe9", "caf\xc3\xa9", 0 },
		{ "us-ascii", "plain", "plain", 0 },
		{ "us-ascii", "caf\xe9", "caf\xc3\xa9", DEFECT_CHARSET_MALFORMED },
		{ "utf-8", "a\xff" "b\xc3", "a\xef\xbf\xbd" "b\xef\xbf\xbd", DEFECT_CHARSET_MALFORMED },
		{ "UTF8", "\xe2\x82\xac", "\xe2\x82\xac", 0 },
		{ "utf-8", "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", DEFECT_CHARSET_MALFORMED },
		{ "latin1", "\x80 \xe9", "\xe2\x82\xac \xc3\xa9", 0 },	/* means windows-1252 */
		{ "ISO-8859-1", "\x93x\x94", "\xe2\x80\x9cx\xe2\x80\x9d", 0 },
		{ "iso-8859-15", "\xa4", "\xe2\x82\xac", 0 },
		{ "iso-8859-2", "\xb3", "\xc5\x82", 0 },
		{ "windows-1251", "\xcf\xf0", "\xd0\x9f\xd1\x80", 0 },
		{ "koi8-r", "\xf0\xd2", "\xd0\x9f\xd1\x80", 0 },
		{ "x-sjis", "\x83\x65 a", "\xe3\x83\x86 a", 0 },
		{ "shift_jis", "\x93\xfa\x96\x7b", "\xe6\x97\xa5\xe6\x9c\xac", 0 },
		{ "euc-jp", "\xc6\xfc\xcb\xdc", "\xe6\x97\xa5\xe6\x9c\xac", 0 },
		{ "iso-2022-jp", "\x1b$BF|K\\\x1b(B.", "\xe6\x97\xa5\xe6\x9c\xac.", 0 },
		{ "gb2312", "\xc4\xe3\xba\xc3", "\xe4\xbd\xa0\xe5\xa5\xbd", 0 },
		{ "gb2312", "\x81\x30\x84\x36", "\xc2\xa5", 0 },	/* a GB 18030 sequence */
		{ "big5", "\xa7\x41\xa6\x6e", "\xe4\xbd\xa0\xe5\xa5\xbd", 0 },
		{ "ks_c_5601-1987", "\xc7\xd1", "\xed\x95\x9c", 0 },
		{ "hz-gb-2312", "~{Dc~}", "\xe4\xbd\xa0", 0 },
		{ "iso-2022-kr", "\x1b$)C\x0eGQ\x0f", "\xed\x95\x9c", 0 },
		{ "utf-7", "+IKw-1", "\xe2\x82\xac" "1", 0 },
		{ "ibm850", "\x82", "\xc3\xa9", 0 },
		{ "klingon", "abc", "abc", DEFECT_CHARSET_UNKNOWN },
		{ "klingon", "caf\xe9", "caf\xc3\xa9", DEFECT_CHARSET_UNKNOWN },
		{ "../etc/passwd", "x", "x", DEFECT_CHARSET_UNKNOWN },
		{ "shift_jis", "a\x83", "a\xef\xbf\xbd", DEFECT_CHARSET_MALFORMED },
	};
	struct text in = { 0 }, out;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t defects;

		in.s = span_str(cases[i].in);
		defects = charset_decode(arena, span_str(cases[i].label), &in, true, &out);
		if (defects != cases[i].defects || !span_is(out.s, cases[i].out))
			fail_msg("case %zu (%s): \"" SPAN_FMT "\", defects %#x", i, cases[i].label,
			    SPAN_ARG(out.s), defects);
	}
	in.s = SPAN_LIT("\xff\xfe" "a\0\xac\x20\x3d\xd8\x00\xde");	/* UTF-16 by its mark */
	assert_int_equal(charset_decode(arena, SPAN_LIT(""), &in, true, &out), 0);
	assert_span(out.s, "\xef\xbb\xbf" "a\xe2\x82\xac\xf0\x9f\x98\x80");
	assert_int_equal(offmap_origin(&out.map, 3), 2);	/* a */
	assert_int_equal(offmap_origin(&out.map, 4), 4);	/* the euro */
	assert_int_equal(offmap_origin(&out.map, 7), 6);	/* the pair */
	assert_int_equal(offmap_origin(&out.map, 11), 10);	/* the end */
	assert_true(charset_same(SPAN_LIT("latin1"), SPAN_LIT("Windows-1252")));
	assert_false(charset_same(SPAN_LIT("utf-8"), SPAN_LIT("x")));
}

/* Each character of the text leads to the byte it was made of. */
static void
test_charset_map(void **state)
{
	struct text in = { .s = SPAN_LIT("ab\xe9\xe8 cd\x80!") }, out;

	charset_decode(arena, SPAN_LIT("latin1"), &in, true, &out);
	assert_span(out.s, "ab\xc3\xa9\xc3\xa8 cd\xe2\x82\xac!");
	static const size_t want[] = { 0, 1, 2, 2, 3, 3, 4, 5, 6, 7, 7, 7, 8, 9 };
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		assert_int_equal(offmap_origin(&out.map, i), want[i]);
	in.s = SPAN_LIT("no map needed");
	charset_decode(arena, SPAN_LIT("latin1"), &in, true, &out);
	assert_int_equal(out.map.n, 0);
	assert_ptr_equal(out.s.p, in.s.p);
}

/* --- folding ------------------------------------------------------------------------------- */

static void
test_fold(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "Plain TEXT, long enough for VECTORS of Sixteen", "plain text, long enough for vectors of sixteen" },
		{ "a \t\r\n b", "a b" }, { "two  spaces  in  a  line  of  some  length", "two spaces in a line of some length" },
		{ "\xc3\x89t\xc3\xa9", "ete" },			/* composed */
		{ "E\xcc\x81te\xcc\x81", "ete" },		/* decomposed */
		{ "Stra\xc3\x9f" "e", "strasse" }, { "\xc5\x92uvre", "oeuvre" },
		{ "\xc5\x81\xc3\xb3" "d\xc5\xba", "lodz" }, { "\xef\xbc\xa1\xef\xbc\x91", "a1" },	/* full-width */
		{ "sec\xe2\x80\x8bret", "secret" }, { "sec\xc2\xadret", "secret" },
		{ "a\xc2\xa0\xe2\x80\xaf" "b\xe3\x80\x80" "c", "a b c" },
		{ "\xef\xac\x81n", "fin" },			/* ligature */
		{ "\xd9\xa1\xd9\xa2", "12" },			/* Arabic digits */
		{ "\xf0\x9d\x90\x80\xf0\x9d\x9f\x8f", "a1" },	/* mathematical bold */
		{ "l\xe2\x80\x99or", "l'or" }, { "a\xe2\x80\x93" "b", "a-b" },
		{ "\xce\x91\xce\xb8\xce\xae\xce\xbd\xce\xb1", "\xce\xb1\xce\xb8\xce\xb7\xce\xbd\xce\xb1" },
		{ "\xd0\x9f\xd1\x80", "\xd0\xbf\xd1\x80" }, { "\xe3\x81\x8c", "\xe3\x81\x8c" },
		{ "\xed\x95\x9c", "\xed\x95\x9c" }, { "i\xc4\xb0\xc4\xb1", "iii" },
		{ "a\x01\x7f" "b", "ab" }, { "", "" }, { "   ", " " },
		{ "\xe0\xa4\xb9\xe0\xa4\xbf", "\xe0\xa4\xb9\xe0\xa4\xbf" },	/* vowel signs stay */
		/* Cyrillic and Greek look-alikes: Latin in words that mix them with Latin letters and
		 * have no other letters; else themselves. */
		{ "Pr\xd0\xbej\xd0\xb5" "ct D\xd0\xb0wn", "project dawn" },
		{ "\xd0\xa0ROJECT", "project" },
		{ "\xd1\x80\xd0\xb0\xd1\x83\xd1\x80\xd0\xb0l.com", "paypal.com" },
		{ "Aur\xd0\xber\xd0\xb5X", "aurorex" },
		{ "\xd1\x81\xd0\xbe\xd1\x80", "\xd1\x81\xd0\xbe\xd1\x80" },
		{ "\xd0\xa1\xd0\xbe\xd1\x80 \xd0\xb8 \xd0\xb2\xd0\xbe\xd1\x80", "\xd1\x81\xd0\xbe\xd1\x80 \xd0\xb8 \xd0\xb2\xd0\xbe\xd1\x80" },
		{ "Windows-\xd0\xb2\xd0\xb5\xd1\x80\xd1\x81\xd0\xb8\xd1\x8f", "windows-\xd0\xb2\xd0\xb5\xd1\x80\xd1\x81\xd0\xb8\xd1\x8f" },
		{ "Z\xd0\xb0\xd0\xb6\xd0\xb8\xd0\xb3\xd0\xb0\xd0\xbb\xd0\xba\xd0\xb0", "z\xd0\xb0\xd0\xb6\xd0\xb8\xd0\xb3\xd0\xb0\xd0\xbb\xd0\xba\xd0\xb0" },
		{ "p\xd0\xb0\xc3\xbfs", "pays" },
		{ "\xce\xb1\xce\xb2\xce\xb3", "\xce\xb1\xce\xb2\xce\xb3" },
		{ "p\xce\xb1ss", "pass" },
		{ "sec\xe2\x80\x8br\xd0\xb5t", "secret" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct text in = { .s = span_str(cases[i].in) }, out;

		for (int again = 0; again < 2; again++) {	/* from ICU, then from the table */
			text_fold(arena, &in, &out);
			if (!span_is(out.s, cases[i].out))
				fail_msg("case %zu: \"" SPAN_FMT "\"", i, SPAN_ARG(out.s));
		}
		text_fold(arena, &out, &out);	/* folding again changes nothing */
		assert_span(out.s, cases[i].out);
	}
	assert_span(text_fold_word(arena, SPAN_LIT(" Projet  Aur\xc3\xb4re ")), "projet aurore");
}

/* A folded offset leads to where the same character stands in the bytes of the part. */
static void
test_fold_map(void **state)
{
	struct text in = { .s = SPAN_LIT("L'\xc9t\xe9  s\xad" "ec\r\n\r\nFin \x80 end") }, utf8, out;
	const char *const words[] = { "ete", "sec", "fin", "end" }, *const at[] = { "\xc9", "s\xad", "Fin", "end" };

	charset_decode(arena, SPAN_LIT("latin1"), &in, true, &utf8);
	text_fold(arena, &utf8, &out);
	assert_span(out.s, "l'ete sec fin \xe2\x82\xac end");
	for (int i = 0; i < 4; i++) {
		size_t off = (size_t)((char *)memmem(out.s.p, out.s.n, words[i], 3) - out.s.p);

		assert_int_equal(offmap_origin(&out.map, off),
		    (size_t)((char *)memmem(in.s.p, in.s.n, at[i], strlen(at[i])) - in.s.p));
	}
	assert_int_equal(offmap_origin(&out.map, out.s.n), in.s.n);
}

/* Whatever the bytes, vectors and single steps agree. */
static void
test_fold_agrees(void **state)
{
	char buf[96];
	uint32_t seed = 1;

	for (int round = 0; round < 3000; round++) {
		struct text whole = { 0 }, out, piece;
		char joined[200];
		size_t n = 0;

		for (size_t i = 0; i < sizeof(buf); i++) {
			seed = seed * 1664525 + 1013904223;
			buf[i] = "aB z\tQ \n!~A"[(seed >> 16) % 11];
		}
		whole.s = span_make(buf, sizeof(buf));
		text_fold(arena, &whole, &out);
		for (size_t i = 0; i < sizeof(buf); i++) {
			struct text one = { .s = span_make(buf + i, 1) };

			text_fold(arena, &one, &piece);
			if (piece.s.n && !(piece.s.p[0] == ' ' && n && joined[n - 1] == ' '))
				joined[n++] = piece.s.p[0];
		}
		assert_int_equal(out.s.n, n);
		assert_memory_equal(out.s.p, joined, n);
		for (size_t i = 0; i < n; i++)	/* and the map holds for each byte */
			if (joined[i] != ' ')
				assert_int_equal(ascii_lower(buf[offmap_origin(&out.map, i)]), joined[i]);
		arena_reset(arena);
	}
}

/* --- HTML ------------------------------------------------------------------------------------ */

static void
test_html(void **state)
{
	static const struct {
		const char *in, *visible, *hidden;
	} cases[] = {
		{ "plain", "plain", "" },
		{ "<p>one</p><p>two</p>", "one\ntwo", "" },
		{ "4111<b>1111</b><i></i>1111 <u>1111</u>", "411111111111 1111", "" },
		{ "a<br>b<BR/>c<hr>d", "a\nb\nc\nd", "" },
		/* Cells have borders, so that columns are columns; empty ones count. */
#define EM "\xe2\x80\x83"
		{ "<table><tr><td>a<td>b</tr><tr><td>c</table>", "a" EM "b\nc", "" },
		{ "<table><tr><th><p>a</p></th><th><p>b</p></th></tr>\n<tr><td>1</td>\n<td><p>2<p>3</td></tr></table>x",
		    "a" EM "b\n1" EM "2\n3\nx", "" },
		{ "<table><tr><td>a<td><td>c<td></tr><tr><td><td>b</table>", "a" EM EM "c" EM "\n" EM "b", "" },
		{ "x<table><tr><td>a</td></tr><tr></tr><tr><td>b</td></tr></table>", "x\na\nb", "" },
		{ "a  \r\n b", "a b", "" }, { "<pre>a\nb</pre>", "a\nb", "" },
		{ "&lt;&amp;&eacute;&#233;&#xe9;&euro;&nbsp;x", "<&\xc3\xa9\xc3\xa9\xc3\xa9\xe2\x82\xac\xc2\xa0x", "" },
		{ "&amp &eacutex &bogus; &#0; &#128; AT&T &", "& \xc3\xa9x &bogus; \xef\xbf\xbd \xe2\x82\xac AT&T &", "" },
		{ "a<style>x{}</style>b<script>var s='</p>';</script>c", "abc", "var s='</p>';" },
		{ "a<!-- note -->b", "ab", "note" }, { "a<!-->b", "ab", "" }, { "a<!-- never", "a", "never" },
		{ "<!DOCTYPE html><?xml?>x</>y", "xy", "" },
		{ "a<span style='DISPLAY : none'>h<span>i</span>j</span>b", "ab", "hij" },
		{ "a<p style=\"color:red; font-size:0px\">h</p>b", "a\nb", "h" },
		{ "a<p style=\"font-size:0.5em\">v</p>b", "a\nv\nb", "" },
		{ "<div hidden>h</div>v", "v", "h" }, { "<a title='hidden'>v</a>", "v", "" },
		{ "<i style=\"visibility:hidden\">h</i>v<i style=opacity:0>k</i>", "v", "h\nk" },
		{ "1 < 2 <3", "1 < 2 <3", "" }, { "a<a href=\"x", "a", "<a href=\"x" },
		{ "a<a title=\"<b>\">b</a>", "ab", "" }, { "", "", "" },
		{ "<unknown-element-with-long-name>x</unknown-element-with-long-name>", "x", "" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct text in = { .s = span_str(cases[i].in) }, visible, hidden;

		html_text(arena, &in, NULL, &visible, &hidden);
		if (!span_is(visible.s, cases[i].visible) || !span_is(hidden.s, cases[i].hidden))
			fail_msg("case %zu: \"" SPAN_FMT "\" / \"" SPAN_FMT "\"", i,
			    SPAN_ARG(visible.s), SPAN_ARG(hidden.s));
	}
	assert_span(html_charset(SPAN_LIT("<meta charset=\"koi8-r\">")), "koi8-r");
	assert_span(html_charset(SPAN_LIT("<?xml version='1.0' encoding='utf-8'?>")), "utf-8");
	assert_span(html_charset(SPAN_LIT("<meta content='text/html; charset=x-sjis'>")), "x-sjis");
	assert_span(html_charset(SPAN_LIT("no charset here")), "");
}

static void
test_html_map(void **state)
{
	struct text in = { .s = SPAN_LIT("<p>Caf&eacute; \xe9 <b>IB</b>AN</p><!-- x -->") }, utf8, v, h;
	size_t off;

	charset_decode(arena, SPAN_LIT("latin1"), &in, true, &utf8);
	html_text(arena, &utf8, NULL, &v, &h);
	assert_span(v.s, "Caf\xc3\xa9 \xc3\xa9 IBAN");
	assert_memory_equal(in.s.p + offmap_origin(&v.map, 0), "Caf", 3);
	assert_memory_equal(in.s.p + offmap_origin(&v.map, 3), "&eacute;", 8);
	assert_memory_equal(in.s.p + offmap_origin(&v.map, 6), "\xe9 ", 2);
	off = (size_t)((char *)memmem(v.s.p, v.s.n, "IBAN", 4) - v.s.p);
	assert_memory_equal(in.s.p + offmap_origin(&v.map, off), "IB</b>", 6);
	assert_memory_equal(in.s.p + offmap_origin(&v.map, off + 2), "AN</p>", 6);
	assert_memory_equal(in.s.p + offmap_origin(&h.map, 0), "x -->", 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_base64), TEST(test_qp), TEST(test_budget), TEST(test_charsets),
		TEST(test_charset_map), TEST(test_fold), TEST(test_fold_map), TEST(test_fold_agrees),
		TEST(test_html), TEST(test_html_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
