/* test_json_scan.c -- a few values out of JSON, without a tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "json_scan.h"
#include "store/record_words.h"

static struct arena *a;

static int
setup(void **state)
{
	a = arena_new(0);
	return 0;
}

static int
teardown(void **state)
{
	arena_free(&a);
	return 0;
}

static void
text_is(const char *json, const char *want, size_t n)
{
	struct json_scan s;
	struct span out;

	json_scan_init(&s, span_str(json));
	assert_true(json_scan_text(&s, a, &out));
	assert_int_equal(out.n, n);
	assert_memory_equal(out.p, want, n);
}

/* RFC 8259, 7. */
static void
test_texts(void **state)
{
	text_is("\"\"", "", 0);
	text_is(" \"plain\" ", "plain", 5);
	text_is("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8);
	text_is("\"\\u0041\\u00e9\\u20AC\\ud834\\udd1e\"", "A\xc3\xa9\xe2\x82\xac\xf0\x9d\x84\x9e", 10);
	text_is("\"a\\u0000b\"", "a\0b", 3);
	/* half a pair, alone and before something else */
	text_is("\"\\ud834\"", "\xef\xbf\xbd", 3);
	text_is("\"\\ud834\\u0041\"", "\xef\xbf\xbd" "A", 4);
	text_is("\"\\udd1e\"", "\xef\xbf\xbd", 3);
	text_is("\"\\u12\"", "?12", 3);
}

static void
test_not_a_text(void **state)
{
	static const char *const no[] = { "1", "null", "{\"a\":\"b\"}", "[\"a\"]", "\"open", "\"open\\\"", "", "\"\\" };

	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		struct json_scan s;
		struct span out;

		json_scan_init(&s, span_str(no[i]));
		assert_false(json_scan_text(&s, a, &out));
		assert_ptr_equal(s.p, s.end);
	}
}

/* Values of all kinds are passed as a whole, whatever stands in them. */
static void
test_skips(void **state)
{
	static const char json[] = "{ \"a\" : {\"x\":[1,{\"b\":\"}]\"}],\"y\":\"\\\"}\"} , \"b\":-1.5e3,\"c\":[[],{}],"
	    "\"d\":null,\"e\":\"x,y\", \"f\":[true , false]\n}";
	struct json_scan s;
	struct span key;
	char keys[8];
	size_t n = 0;

	json_scan_init(&s, span_str(json));
	assert_true(json_scan_object(&s));
	while (json_scan_member(&s, &key)) {
		assert_int_equal(key.n, 1);
		keys[n++] = key.p[0];
		json_scan_skip(&s);
	}
	assert_int_equal(n, 6);
	assert_memory_equal(keys, "abcdef", 6);
	assert_ptr_equal(s.p, s.end);
}

static void
has(const struct span *v, size_t n, const char *const *want)
{
	for (size_t i = 0; i < n; i++) {
		assert_non_null(want[i]);
		assert_true(span_is(v[i], want[i]));
	}
	assert_null(want[n]);
}

static void
test_record(void **state)
{
	static const char json[] = "{\"v\":1,\"virus\":{\"name\":\"Eicar\",\"part\":\"2\"},\"recipients\":["
	    "{\"address\":\"a@x\",\"rules\":[\"cards\",\"footer\"],\"shadow\":[\"tried\"]},"
	    "{\"address\":\"b@x\",\"rules\":[\"footer\",\"card\"]}],\"findings\":[{\"name\":\"no file\"}],"
	    "\"parts\":[{\"part\":\"1\",\"name\":\"\"},{\"part\":\"2\",\"name\":\"a \\\"b\\\".pdf\",\"depth\":0}],"
	    "\"subject\":\"R\\u00e9union\",\"spam\":null}";
	static const char *const files[] = { "a \"b\".pdf", NULL }, *const rules[] = { "cards", "footer", "card", NULL };
	struct record_words w;

	record_words(span_str(json), a, &w);
	assert_true(span_is(w.subject, "R\xc3\xa9union"));
	has(w.files, w.nfiles, files);
	has(w.rules, w.nrules, rules);
	record_words((struct span){ 0 }, a, &w);
	assert_int_equal(w.nfiles + w.nrules + w.subject.n, 0);
}

/* What is too much is not taken, and does not hide what stands behind it. */
static void
test_record_bounds(void **state)
{
	static char json[20000];
	struct record_words w;
	size_t n = (size_t)snprintf(json, sizeof(json), "{\"parts\":[");

	for (int i = 0; i <= RECORD_NAMES_MAX; i++)
		n += (size_t)snprintf(json + n, sizeof(json) - n, "%s{\"name\":\"f%d\"}", i ? "," : "", i);
	n += (size_t)snprintf(json + n, sizeof(json) - n, "],\"subject\":\"behind\"}");
	record_words(span_make(json, n), a, &w);
	assert_int_equal(w.nfiles, RECORD_NAMES_MAX);
	assert_true(span_is(w.files[RECORD_NAMES_MAX - 1], "f199"));
	assert_true(span_is(w.subject, "behind"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_texts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_a_text, setup, teardown),
		cmocka_unit_test_setup_teardown(test_skips, setup, teardown),
		cmocka_unit_test_setup_teardown(test_record, setup, teardown),
		cmocka_unit_test_setup_teardown(test_record_bounds, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
