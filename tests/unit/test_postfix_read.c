/* Postfix's files as they are written: lines, $names, patterns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "cli/postfix_read.h"

static struct arena *a;

static int
begin(void **state)
{
	a = arena_new(0);
	return 0;
}

static int
end(void **state)
{
	arena_free(&a);
	return 0;
}

static void
assert_span(struct span s, const char *want)
{
	assert_string_equal(arena_str(a, s), want);
}

static struct pf_params
params(const char *text)
{
	struct pf_params p;

	assert_int_equal(pf_main_cf(a, span_str(text), &p), 0);
	return p;
}

/* postconf(5): a line that begins with a blank goes on; comments and empty lines between do not count. */
static void
test_lines(void **state)
{
	struct pf_params p = params("# c\n\na = 1\n# within\n  2\n\n\t3\nb=\nodd line\na = last\n");

	assert_int_equal(p.n, 3);
	assert_span(p.v[0].value, "last");
	assert_int_equal(p.v[0].line, 10);
	assert_span(p.v[1].value, "");
	assert_true(p.v[2].bad);
	assert_span(p.v[2].name, "odd line");
	p = params("a = 1\n# within\n  2\n\n\t3");
	assert_span(p.v[0].value, "1  2\t3");
}

static void
expands(const char *text, const char *want)
{
	struct pf_params p = params(text);
	struct span v;

	assert_true(pf_expand(a, &p, p.v[0].value, &v));
	assert_span(v, want);
}

static void
test_names(void **state)
{
	struct pf_params p;
	struct span v;

	expands("x = $y.$z\ny = 1\nz = 2", "1.2");
	expands("x = ${y}z$$", "z$");		/* y is not set: empty */
	expands("x = ${y?set}${n?no}\ny = 1\nn =", "set");
	expands("x = ${y:unset}${n:empty}\ny = 1\nn =", "empty");
	expands("x = ${y?{a}:{b}}${n?{a}:{b}}\ny = 1", "ab");
	expands("x = $(y)\ny = 1", "1");
	p = params("x = $y\ny = $x");
	assert_false(pf_expand(a, &p, p.v[0].value, &v));	/* they go round */
	p = params("x = ${y");
	assert_false(pf_expand(a, &p, p.v[0].value, &v));
	/* Doubling in sixteen steps: the bound, not the machine's memory, ends it. */
	p = params("a = $b$b$b$b$b$b$b$b\nb = $c$c$c$c$c$c$c$c\nc = $d$d$d$d$d$d$d$d\nd = $e$e$e$e$e$e$e$e\ne = $f$f$f$f$f$f$f$f\n"
	    "f = $g$g$g$g$g$g$g$g\ng = 12345678");
	assert_false(pf_expand(a, &p, p.v[0].value, &v));
}

static void
test_master(void **state)
{
	struct pf_service *s;
	size_t n;

	assert_int_equal(pf_master_cf(a, span_str("smtp inet n - y - - smtpd\n  -o a=b\n  -o c=d\nshort line\n"), &s, &n), 0);
	assert_int_equal(n, 2);
	assert_span(s[0].command, "smtpd");
	assert_span(s[0].args, "-o a=b  -o c=d");
	assert_true(s[1].bad);
}

static void
test_rules(void **state)
{
	struct pf_rule *r;
	size_t n;

	assert_int_equal(pf_rules(a, span_str("/a\\/b/im REJECT no\n  more\n!/x/ HOLD\nif /y/\n%z%  DUNNO\nendif\n/open REJECT\n/p/\n"), &r, &n), 0);
	assert_int_equal(n, 7);
	assert_span(r[0].pattern, "a\\/b");
	assert_span(r[0].flags, "im");
	assert_span(r[0].text, "no  more");
	assert_true(r[1].negate);
	assert_int_equal(r[2].kind, PF_IF);
	assert_span(r[3].pattern, "z");
	assert_int_equal(r[4].kind, PF_ENDIF);
	assert_int_equal(r[5].kind, PF_BAD);
	assert_int_equal(r[6].kind, PF_BAD);	/* no action */
}

static void
header(const char *pattern, const char *names, const char *rest, bool anchored)
{
	struct pf_header h;
	char *got = arena_str(a, SPAN_LIT(""));

	assert_true(pf_header_pattern(a, span_str(pattern), &h));
	for (size_t i = 0; i < h.nnames; i++)
		got = arena_printf(a, "%s%s" SPAN_FMT, got, i ? "," : "", SPAN_ARG(h.names[i]));
	assert_string_equal(got, names);
	assert_span(h.rest, rest);
	assert_int_equal(h.anchored, anchored);
}

static void
test_header_patterns(void **state)
{
	static const char *const none[] = { "viagra", "^Subject", "^X-.*: a", "Subject: a", "^(A|B.): x", "^Subject:*x", "^:", "^(A: b", "" };
	struct pf_header h;

	header("^Subject: money", "Subject", "money", true);
	header("^Subject:.*money", "Subject", "money", false);
	header("^X\\-Spam:[[:space:]]+yes$", "X-Spam", "yes$", true);
	header("^(To|Cc): *a@", "To,Cc", "a@", true);
	header("^(?:To|Cc):", "To,Cc", "", true);
	header("^Subject\\s*:\\s.*x", "Subject", "x", false);
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
		assert_false(pf_header_pattern(a, span_str(none[i]), &h));
}

static size_t
alternatives(const char *p)
{
	struct span v[8];

	return pf_alternatives(span_str(p), v, 8);
}

static void
test_alternatives(void **state)
{
	assert_int_equal(alternatives("a|b|c"), 3);
	assert_int_equal(alternatives("(a|b)|c"), 2);
	assert_int_equal(alternatives("a\\|b|[|]|[]|]|[[:alpha:]|]"), 4);
	assert_int_equal(alternatives("(a"), 0);
	assert_int_equal(alternatives("a)"), 0);
	assert_int_equal(alternatives("1|2|3|4|5|6|7|8|9"), 0);
}

static void
test_extensions(void **state)
{
	struct span v[4];

	assert_int_equal(pf_extensions(a, span_str("name=\"?(.*\\.(EXE|scr))\"?$"), v, 4), 2);
	assert_span(v[0], "exe");
	assert_int_equal(pf_extensions(a, span_str("filename=.*\\.bat$"), v, 4), 1);
	assert_int_equal(pf_extensions(a, span_str("\\.bat$"), v, 4), 0);		/* of no name */
	assert_int_equal(pf_extensions(a, span_str("name=.*\\.(exe|s.r)$"), v, 4), 0);
	assert_int_equal(pf_extensions(a, span_str("name=.*\\.exe.+"), v, 4), 0);	/* something behind it */
	assert_int_equal(pf_extensions(a, span_str("name=.*\\.(a|b|c|d|e)$"), v, 4), 0);	/* never some of them */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lines, begin, end), cmocka_unit_test_setup_teardown(test_names, begin, end),
		cmocka_unit_test_setup_teardown(test_master, begin, end), cmocka_unit_test_setup_teardown(test_rules, begin, end),
		cmocka_unit_test_setup_teardown(test_header_patterns, begin, end),
		cmocka_unit_test_setup_teardown(test_alternatives, begin, end),
		cmocka_unit_test_setup_teardown(test_extensions, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
