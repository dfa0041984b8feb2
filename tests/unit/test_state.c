/* test_state.c -- STATE records of all versions of the spool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "queue/record.h"

/* As docs/SPOOL.md has it, byte by byte: one target, put off for want of a connection. */
static const char version1[] =
    "\1\0\0\0\0\0\0\0" "\2\0\0\0\0\0\0\0" "\3\0" "\1\0\0\0"
    "\0\0" "\0" "\2" "\0" "\5\0\0\0" "4.4.1" "\2\0\0\0" "no" "\2\0\0\0" "mx";
#define ROUTE "\3\0\0\0" "r:1"

static void
check(const char *bytes, size_t n, const char *route, unsigned streak, int64_t since)
{
	struct arena *a = arena_new(0);
	struct state s;
	struct buf b;

	assert_int_equal(state_decode(span_make(bytes, n), a, &s), 0);
	assert_int_equal(s.time, 1);
	assert_int_equal(s.next, 2);
	assert_int_equal(s.attempts, 3);
	assert_int_equal(s.ntargets, 1);
	assert_int_equal(s.targets[0].cls, FAIL_CONNECT);
	assert_true(span_is(s.targets[0].reply, "no"));
	assert_true(span_is(s.route, route));
	assert_int_equal(s.streak, streak);
	assert_int_equal(s.since, since);
	/* Written again it is the same: nothing is added to what has nothing to say. */
	buf_init(&b, 1000);
	state_encode(&b, &s);
	assert_true(span_eq(buf_data(&b), span_make(bytes, n)));
	buf_release(&b);
	for (size_t cut = 0; cut < n; cut++)
		if (state_decode(span_make(bytes, cut), a, &s) == 0)
			assert_true(cut == sizeof(version1) - 1 || cut == n - 1 || (since && cut == n - 8) ||
			    (since && cut == n - 9));
	arena_free(&a);
}

static void
versions(void **state)
{
	static const char v2[] = "" ROUTE, v3[] = "" ROUTE "\7", v3_no_route[] = "\0\0\0\0\7",
		v4[] = "\0\0\0\0" "\0" "\11\0\0\0\0\0\0\0";
	const size_t n = sizeof(version1) - 1;
	char bytes[200];

	check(version1, n, "", 0, 0);
	memcpy(bytes, version1, n);
	memcpy(bytes + n, v2, sizeof(v2) - 1);
	check(bytes, n + sizeof(v2) - 1, "r:1", 0, 0);
	memcpy(bytes + n, v3, sizeof(v3) - 1);
	check(bytes, n + sizeof(v3) - 1, "r:1", 7, 0);
	memcpy(bytes + n, v3_no_route, sizeof(v3_no_route) - 1);
	check(bytes, n + sizeof(v3_no_route) - 1, "", 7, 0);
	memcpy(bytes + n, v4, sizeof(v4) - 1);
	check(bytes, n + sizeof(v4) - 1, "", 0, 9);
	/* Something behind all that is no state. */
	memcpy(bytes + n, v3_no_route, sizeof(v3_no_route) - 1);
	bytes[n + sizeof(v3_no_route) - 1] = 'x';
	{
		struct arena *a = arena_new(0);
		struct state s;

		assert_int_equal(state_decode(span_make(bytes, n + sizeof(v3_no_route)), a, &s), -1);
		arena_free(&a);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(versions) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
