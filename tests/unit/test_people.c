/* test_people.c -- codes by the vectors of their RFCs, failures that fade, routes, answers of commands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "console/routes.h"
#include "store/failures.h"
#include "store/totp.h"

static const unsigned char *const secret = (const unsigned char *)"12345678901234567890";

/* RFC 4226, appendix D. */
static void
test_hotp(void **state)
{
	static const uint32_t codes[] = { 755224, 287082, 359152, 969429, 338314, 254676, 287922, 162583, 399871, 520489 };

	for (int i = 0; i < 10; i++)
		assert_int_equal(totp_code(secret, i), codes[i]);
}

/* RFC 6238, appendix B: the last six of its eight digits. */
static void
test_totp(void **state)
{
	static const struct { int64_t at; const char *code; } vectors[] = { { 59, "287082" }, { 1111111109, "081804" },
		{ 1111111111, "050471" }, { 1234567890, "005924" }, { 2000000000, "279037" }, { 20000000000, "353130" } };

	for (size_t i = 0; i < 6; i++) {
		int64_t now = vectors[i].at * 1000000, step = vectors[i].at / 30;
		struct span code = span_str(vectors[i].code);

		assert_int_equal(totp_check(secret, code, now, 0), step);
		assert_int_equal(totp_check(secret, code, now + TOTP_STEP_US, 0), step);
		assert_int_equal(totp_check(secret, code, now + 2 * TOTP_STEP_US, 0), 0);
		assert_int_equal(totp_check(secret, code, now, step), 0);	/* taken before */
		assert_int_equal(totp_check(secret, code, now, step - 1), step);
		assert_int_equal(totp_check(secret, span_sub(code, 0, 5), now, 0), 0);
	}
}

/* RFC 4648, 10, without the padding. */
static void
test_base32(void **state)
{
	static const char *const vectors[][2] = { { "", "" }, { "f", "MY" }, { "fo", "MZXQ" }, { "foo", "MZXW6" },
		{ "foob", "MZXW6YQ" }, { "fooba", "MZXW6YTB" }, { "foobar", "MZXW6YTBOI" } };

	for (size_t i = 0; i < 7; i++) {
		struct buf b;

		buf_init(&b, 64);
		base32_put(&b, (const unsigned char *)vectors[i][0], strlen(vectors[i][0]));
		assert_true(span_is(buf_data(&b), vectors[i][1]));
		buf_release(&b);
	}
}

static void
test_failures(void **state)
{
	static struct failures f = { .key = { 1, 2, 3 } };
	int64_t now = 1000 * FAILURES_LEAK_US;

	assert_int_equal(failures_count(&f, SPAN_LIT("a"), now), 0);
	for (int i = 0; i < 5; i++)
		failures_add(&f, SPAN_LIT("a"), 1, now);
	failures_add(&f, SPAN_LIT("b"), 4, now);
	assert_int_equal(failures_count(&f, SPAN_LIT("a"), now), 5);
	assert_int_equal(failures_count(&f, SPAN_LIT("b"), now), 4);
	assert_int_equal(failures_count(&f, SPAN_LIT("a"), now + FAILURES_LEAK_US - 1), 5);
	assert_int_equal(failures_count(&f, SPAN_LIT("a"), now + 3 * FAILURES_LEAK_US), 2);
	assert_int_equal(failures_count(&f, SPAN_LIT("a"), now + 9 * FAILURES_LEAK_US), 0);
	failures_forget(&f, SPAN_LIT("b"));
	assert_int_equal(failures_count(&f, SPAN_LIT("b"), now), 0);
	assert_int_equal(failures_count(&f, SPAN_LIT("a"), now), 5);
}

/* Many strangers with one failure each do not push out him who has many. */
static void
test_failures_are_bounded(void **state)
{
	static struct failures f = { .key = { 7 } };
	char key[32];

	failures_add(&f, SPAN_LIT("the one"), 8, 1);
	for (int i = 0; i < 100000; i++) {
		int n = snprintf(key, sizeof(key), "p %d", i);

		failures_add(&f, span_make(key, (size_t)n), 1, 1);
	}
	assert_int_equal(failures_count(&f, SPAN_LIT("the one"), 1), 8);
}

static const char *
command_of(enum http_method method, const char *path, const char *value)
{
	struct span parameter = { 0 };
	bool known;
	const struct route *r = api_route(method, span_str(path), &parameter, &known);

	if (r == NULL)
		return known ? "method" : "none";
	assert_true(span_is(parameter, value));
	return r->command;
}

static void
test_routes(void **state)
{
	assert_string_equal(command_of(HTTP_GET, "/queue", ""), "queue.list");
	assert_string_equal(command_of(HTTP_HEAD, "/queue", ""), "queue.list");
	assert_string_equal(command_of(HTTP_GET, "/queue/messages/x", "x"), "queue.show");
	assert_string_equal(command_of(HTTP_POST, "/users/a%20b/totp", "a%20b"), "users.totp");
	assert_string_equal(command_of(HTTP_GET, "/lists/check", ""), "lists.check");
	assert_string_equal(command_of(HTTP_DELETE, "/lists/7", "7"), "lists.remove");
	assert_string_equal(command_of(HTTP_PATCH, "/queue", ""), "method");
	assert_string_equal(command_of(HTTP_GET, "/queue/", ""), "none");
	assert_string_equal(command_of(HTTP_GET, "/messages/", ""), "none");
	assert_string_equal(command_of(HTTP_GET, "/messages/a/b", ""), "none");
	assert_string_equal(command_of(HTTP_GET, "queue", ""), "none");
	assert_string_equal(command_of(HTTP_GET, "", ""), "none");
}

/* The table itself: members are readable, those of a changing request are limited to somebody or to signing in. */
static void
test_table(void **state)
{
	for (size_t i = 0; i < nroutes; i++) {
		const char *members = routes[i].members;
		struct member m;

		while (route_member(&members, &m)) {
			assert_true(m.name.n > 0 && m.key.n > 0);
			assert_non_null(strchr("sibao", m.type));
		}
		if (routes[i].roles == BY_ANYBODY)
			assert_memory_equal(routes[i].path, "/session", 8);
		assert_true(routes[i].path[0] == '/');
	}
}

static void
items_are(const char *lines, const char *as)
{
	struct buf b;

	buf_init(&b, 4096);
	api_items(&b, span_str(lines));
	buf_putc(&b, '\0');
	assert_string_equal(b.p, as);
	buf_release(&b);
}

static void
test_items(void **state)
{
	items_are("", "\"items\":[],\"more\":false");
	items_are("{\"id\":1}\n{\"id\":2}\n", "\"items\":[{\"id\":1},{\"id\":2}],\"more\":false");
	items_are("{\"id\":1}\n{\"v\":1,\"found\":1,\"more\":true,\"next\":\"c\"}\n",
	    "\"items\":[{\"id\":1}],\"more\":true,\"next\":\"c\",\"found\":1");
	items_are("{\"id\":1}\n{\"v\":1,\"more\":3}\n", "\"items\":[{\"id\":1}],\"more\":true");
	items_are("{\"v\":1,\"found\":0,\"more\":false}\n", "\"items\":[],\"more\":false,\"found\":0");
}

static void
fails(const char *lines, int status, const char *code)
{
	const char *is = "";
	struct err err;
	int s = 0;

	assert_int_equal(api_failed(span_str(lines), &s, &is, &err), -1);
	assert_int_equal(s, status);
	assert_string_equal(is, code);
}

static void
test_errors(void **state)
{
	const char *code;
	struct err err;
	int status;

	fails("{\"v\":1,\"error\":\"x\",\"code\":\"conflict\"}\n", 409, "conflict");
	fails("{\"v\":1,\"error\":\"x\",\"code\":\"not-found\"}\n", 404, "not-found");
	fails("{\"id\":1}\n{\"v\":1,\"error\":\"it takes too long: interrupted\"}\n", 503, "busy");
	fails("{\"v\":1,\"error\":\"the store knows no such command\"}\n", 501, "not-available");
	fails("{\"v\":1,\"error\":\"something else\",\"code\":\"no code of ours\"}\n", 400, "invalid");
	fails("not JSON\n", 503, "busy");
	assert_int_equal(api_failed(SPAN_LIT("{\"kid\":\"1\",\"ok\":false,\"error\":\"x\"}\n{\"v\":1,\"done\":0}\n"), &status, &code,
	    &err), 0);
	assert_int_equal(api_failed(SPAN_LIT(""), &status, &code, &err), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hotp),
		cmocka_unit_test(test_totp),
		cmocka_unit_test(test_base32),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_failures_are_bounded),
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_items),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
