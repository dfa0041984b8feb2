/* test_sts.c -- MTA-STS records and policies (RFC 8461, 3 and 4.1): what counts, what does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fetcher/sts_policy.h"

static void
test_record(void **state)
{
	static const struct { const char *txt, *id; } rows[] = {
		{ "v=STSv1; id=20160831085700Z;", "20160831085700Z" },	/* the RFC's own example */
		{ "v=STSv1; id=20160831085700Z", "20160831085700Z" },
		{ "v=STSv1;id=a", "a" },
		{ "v=STSv1 ;\tid=a ; ext=x y ;", "a" },
		{ "v=STSv1; ext=1; id=12345678901234567890123456789012;",
		    "12345678901234567890123456789012" },
		{ "v=STSv1; id=123456789012345678901234567890123;", NULL },	/* 33 */
		{ "v=STSv1; id=", NULL },
		{ "v=STSv1; id=a-b;", NULL },
		{ "v=STSv1; id=a; id=b;", NULL },
		{ "v=STSv1; nonsense; id=a", NULL },
		{ "v=STSv1; ID=a", NULL },
		{ "v=STSv1", NULL },
		{ "v=STSv1;", NULL },
		{ "v=STSv11; id=a", NULL },
		{ " v=STSv1; id=a", NULL },
		{ "V=STSV1; id=a", NULL },
		{ "v=stsv1; id=a", NULL },
		{ "", NULL },
	};
	char id[STS_ID_MAX + 1];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool ok = sts_record_parse(span_str(rows[i].txt), id);

		if (ok != (rows[i].id != NULL))
			fail_msg("`%s` is %s", rows[i].txt, ok ? "taken" : "refused");
		if (ok)
			assert_string_equal(id, rows[i].id);
	}
	/* Not to the letter, but a record of STSv1 all the same: two such are none at all. */
	assert_true(sts_record_is(SPAN_LIT("v=STSv1; id=")));
	assert_false(sts_record_is(SPAN_LIT("v=spf1 -all")));
	assert_false(sts_record_is(SPAN_LIT("v=STSv1")));
}

#define HEAD "version: STSv1\r\nmode: enforce\r\nmax_age: 604800\r\n"

static void
test_policy(void **state)
{
	struct sts_policy p;
	const char *why;

	/* RFC 8461, 3.2 */
	assert_true(sts_policy_parse(SPAN_LIT("version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\n"
	    "mx: *.example.net\r\nmx: backupmx.example.com\r\nmax_age: 604800\r\n"), &p, &why));
	assert_int_equal(p.mode, STS_MODE_ENFORCE);
	assert_int_equal(p.max_age, 604800);
	assert_int_equal(p.nmx, 3);
	assert_true(span_is(p.mx[1], "*.example.net"));
	/* bare LF, no end of line at the end, white space, fields nobody knows, blank lines */
	assert_true(sts_policy_parse(SPAN_LIT("x-y.z: what, ever \n\nmx:a.b \nmode:  testing\t\n"
	    "version:STSv1\nmax_age: 99999999"), &p, &why));
	assert_int_equal(p.mode, STS_MODE_TESTING);
	assert_int_equal(p.max_age, STS_AGE_MAX);
	assert_true(span_is(p.mx[0], "a.b"));
	/* given twice, the first counts; mx may be given often */
	assert_true(sts_policy_parse(SPAN_LIT(HEAD "mode: none\nmax_age: 1\nversion: x\nmx: a\nmx: a\n"),
	    &p, &why));
	assert_int_equal(p.mode, STS_MODE_ENFORCE);
	assert_int_equal(p.max_age, 604800);
	assert_int_equal(p.nmx, 2);
	/* a policy that withdraws itself needs no server */
	assert_true(sts_policy_parse(SPAN_LIT("version: STSv1\nmode: none\nmax_age: 0\n"), &p, &why));
	assert_int_equal(p.nmx, 0);
}

static void
test_policy_refused(void **state)
{
	static const char *const bad[] = {
		"", "version: STSv1\n", HEAD, "mode: enforce\nmax_age: 1\nmx: a.b\n",
		"version: STSv1\nmax_age: 1\nmx: a.b\n", "version: STSv1\nmode: enforce\nmx: a.b\n",
		"version: STSv2\nmode: enforce\nmax_age: 1\nmx: a.b\n",
		"Version: STSv1\nmode: enforce\nmax_age: 1\nmx: a.b\n",
		"version: STSv1\nmode: Enforce\nmax_age: 1\nmx: a.b\n",
		"version: STSv1\nmode: enforce\nmax_age: 1d\nmx: a.b\n",
		"version: STSv1\nmode: enforce\nmax_age: -1\nmx: a.b\n",
		"version: STSv1\nmode: enforce\nmax_age: 12345678901\nmx: a.b\n",
		HEAD "mx: \n", HEAD "mx: *\n", HEAD "mx: *.\n", HEAD "mx: a.*.b\n", HEAD "mx: .a\n",
		HEAD "mx: a..b\n", HEAD "mx: a b\n", HEAD "mx: a.b\nnonsense\n", HEAD "mx: a.b\n: x\n",
		HEAD "mx: a.b\n<html>\n", HEAD "mx: a.b\nx: \001\n", HEAD "mx: a.b.\n",
		HEAD "mx: *.*.a\n", HEAD "mx: a,b\n",
	};
	struct sts_policy p;
	const char *why;
	struct buf b;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		why = NULL;
		if (sts_policy_parse(span_str(bad[i]), &p, &why))
			fail_msg("taken: %s", bad[i]);
		assert_non_null(why);
	}
	assert_false(sts_policy_parse(span_make(HEAD "mx: a.b\0c\n", sizeof(HEAD "mx: a.b\0c\n") - 1), &p,
	    &why));
	/* exactly 64 KiB is read, one byte more is not; 100 patterns are, 101 are not */
	buf_init(&b, STS_BODY_MAX + 1);
	buf_puts(&b, HEAD "mx: a.b\nx: ");
	while (buf_size(&b) < STS_BODY_MAX)
		buf_putc(&b, 'x');
	assert_true(sts_policy_parse(buf_data(&b), &p, &why));
	buf_putc(&b, 'x');
	assert_false(sts_policy_parse(buf_data(&b), &p, &why));
	buf_reset(&b);
	buf_puts(&b, HEAD);
	for (int i = 0; i < STS_MX_MAX; i++)
		buf_puts(&b, "mx: a.b\n");
	assert_true(sts_policy_parse(buf_data(&b), &p, &why));
	buf_puts(&b, "mx: a.b\n");
	assert_false(sts_policy_parse(buf_data(&b), &p, &why));
	buf_release(&b);
}

static void
test_match(void **state)
{
	static const struct { const char *pattern, *host; bool match; } rows[] = {
		{ "mail.example.com", "mail.example.com", true },
		{ "mail.example.com", "MAIL.Example.com", true },
		{ "mail.example.com", "xmail.example.com", false },
		{ "*.example.com", "mail.example.com", true },
		{ "*.EXAMPLE.com", "mail.example.COM", true },
		{ "*.example.com", "example.com", false },		/* RFC 8461, 4.1 */
		{ "*.example.com", "foo.bar.example.com", false },	/* likewise: one label */
		{ "*.example.com", ".example.com", false },
		{ "*.example.com", "mail.example.com.evil", false },
		{ "*.example.com", "mailexample.com", false },
		{ "example.com", "mail.example.com", false },
		{ "*.com", "com", false },
		{ "mail.example.com", "", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (sts_pattern_matches(span_str(rows[i].pattern), span_str(rows[i].host)) != rows[i].match)
			fail_msg("%s, %s", rows[i].pattern, rows[i].host);
}

static void
test_written_again(void **state)
{
	struct sts_policy p, q;
	const char *why;
	struct buf b;

	buf_init(&b, 4096);
	assert_true(sts_policy_parse(SPAN_LIT(HEAD "mx: a.b\nfoo: bar\nmx: *.c\n"), &p, &why));
	sts_policy_write(&b, &p);
	assert_true(span_is(buf_data(&b), "version: STSv1\nmode: enforce\nmx: a.b\nmx: *.c\nmax_age: 604800\n"));
	assert_true(sts_policy_parse(buf_data(&b), &q, &why));
	assert_true(q.nmx == 2 && q.mode == p.mode && q.max_age == p.max_age);
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_policy_refused),
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_written_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
