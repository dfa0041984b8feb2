/* test_json.c -- the JSON writer. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "json.h"

static struct buf b;
static struct json j;

static int
setup(void **state)
{
	buf_init(&b, 4096);
	json_begin(&j, &b);
	return 0;
}

static int
teardown(void **state)
{
	buf_release(&b);
	return 0;
}

static void
assert_wrote(const char *want)
{
	assert_false(buf_failed(&b));
	assert_int_equal(buf_putc(&b, '\0'), 0);
	assert_string_equal(buf_data(&b).p, want);
	buf_reset(&b);
	json_begin(&j, &b);
}

static void
commas(void **state)
{
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kcstr(&j, "id", NULL);
	json_key(&j, "list");
	json_array(&j);
	json_array(&j);
	json_end_array(&j);
	json_int(&j, -5);
	json_object(&j);
	json_end_object(&j);
	json_object(&j);
	json_kbool(&j, "a", true);
	json_kbool(&j, "b", false);
	json_end_object(&j);
	json_end_array(&j);
	json_key(&j, "raw");
	json_raw(&j, SPAN_LIT("[1,2]"));
	json_kuint(&j, "u", UINT64_MAX);
	json_end_object(&j);
	assert_wrote("{\"v\":1,\"id\":null,\"list\":[[],-5,{},{\"a\":true,\"b\":false}],"
	    "\"raw\":[1,2],\"u\":18446744073709551615}");
}

static void
values_alone(void **state)
{
	/* JSON lines: the caller parts them. */
	json_int(&j, INT64_MIN);
	buf_putc(&b, '\n');
	json_null(&j);
	assert_wrote("-9223372036854775808\nnull");
}

static void
strings(void **state)
{
	json_str(&j, SPAN_LIT("a\"\\\n\t\r\b\f\x01\x1f\x7f\0z"));
	assert_wrote("\"a\\\"\\\\\\n\\t\\r\\b\\f\\u0001\\u001f\\u007f\\u0000z\"");
	json_cstr(&j, "\xc3\xa9t\xc3\xa9 \xe2\x82\xac \xf0\x9f\x93\xa7");
	assert_wrote("\"\xc3\xa9t\xc3\xa9 \xe2\x82\xac \xf0\x9f\x93\xa7\"");
	json_str(&j, span_make(NULL, 0));
	assert_wrote("\"\"");
}

#define FFFD "\xef\xbf\xbd"

static void
bad_utf8(void **state)
{
	/* Latin-1, a lone continuation, an overlong slash, a surrogate, above U+10FFFF, cut. */
	json_cstr(&j, "\xe9t\xe9");
	assert_wrote("\"" FFFD "t" FFFD "\"");
	json_cstr(&j, "\x80");
	assert_wrote("\"" FFFD "\"");
	json_cstr(&j, "\xc0\xaf");
	assert_wrote("\"" FFFD FFFD "\"");
	json_cstr(&j, "\xed\xa0\x80");
	assert_wrote("\"" FFFD FFFD FFFD "\"");
	json_cstr(&j, "\xf4\x90\x80\x80");
	assert_wrote("\"" FFFD FFFD FFFD FFFD "\"");
	json_cstr(&j, "x\xe2\x82");
	assert_wrote("\"x" FFFD FFFD "\"");
	/* A broken character must not swallow the quote behind it. */
	json_cstr(&j, "\xe2\"");
	assert_wrote("\"" FFFD "\\\"\"");
}

static void
numbers(void **state)
{
	static const struct {
		double v;
		const char *want;
	} t[] = {
		{ 0, "0" }, { -0.0, "0" }, { 1.5, "1.5" }, { 100, "100" }, { 0.1234, "0.123" },
		{ 0.9996, "1" }, { -0.0001, "0" }, { -2.25, "-2.25" }, { 1e6, "1000000" },
		{ 1e20, "1e+20" }, { NAN, "null" }, { INFINITY, "null" },
		{ 0.05, "0.05" }, { 0.007, "0.007" }, { -0.5, "-0.5" }, { 12.34, "12.34" }, { 8.001, "8.001" },
		{ 0.0625, "0.062" }, { 2.0005, "2.001" }, { 1.9996, "2" }, { 999999999.999, "999999999.999" },
		{ 4294967296.25, "4294967296.25" }, { -7, "-7" }, { 1e15, "1000000000000000" },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		json_num(&j, t[i].v);
		assert_wrote(t[i].want);
	}
	/* Whatever way is taken, printf would say the same. */
	for (int i = -20000; i < 20000; i++) {
		char want[32];
		size_t n = (size_t)snprintf(want, sizeof(want), "%.3f", i / 1000.0);

		while (want[n - 1] == '0')
			n--;
		n -= want[n - 1] == '.';
		want[n] = '\0';
		json_num(&j, i / 1000.0);
		assert_wrote(want);
	}
	json_int(&j, INT64_MIN);
	assert_wrote("-9223372036854775808");
	json_int(&j, -1);
	assert_wrote("-1");
	json_uint(&j, UINT64_MAX);
	assert_wrote("18446744073709551615");
	json_uint(&j, 0);
	assert_wrote("0");
}

static void
full_buffer_shows(void **state)
{
	struct buf small;

	buf_init(&small, 8);
	json_begin(&j, &small);
	json_array(&j);
	json_cstr(&j, "longer than that");
	json_end_array(&j);
	assert_true(buf_failed(&small));
	buf_release(&small);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(commas, setup, teardown),
		cmocka_unit_test_setup_teardown(values_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(strings, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_utf8, setup, teardown),
		cmocka_unit_test_setup_teardown(numbers, setup, teardown),
		cmocka_unit_test_setup_teardown(full_buffer_shows, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
