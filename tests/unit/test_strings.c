/* test_strings.c -- what reads as text in an unknown file: the search that jumps beside one that looks at each byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "anatomy/textmap.h"
#include "anatomy/unpack.h"
#include "buf.h"

static bool
readable(unsigned char c, bool latin)
{
	return c == '\t' || (c >= 0x20 && c <= 0x7e) || (latin && c >= 0xa0 && c < 0xff);
}

/* From each byte on: a run of bytes, or else of pairs, or else the next byte. What is no UTF-8 is Latin. */
static struct span
slowly(struct arena *a, struct span s, bool latin)
{
	size_t least = latin ? 4 : 8, at = 0;
	struct span found;
	struct buf b;

	buf_init(&b, 1 << 20);
	while (at < s.n) {
		size_t one = 0, two = 0;

		while (at + one < s.n && readable((unsigned char)s.p[at + one], latin))
			one++;
		while (at + two + 1 < s.n && readable((unsigned char)s.p[at + two], latin) && s.p[at + two + 1] == 0)
			two += 2;
		if (one < least && two / 2 < least) {
			at++;
			continue;
		}
		if (one >= least)
			buf_put(&b, s.p + at, one);
		for (size_t i = 0; one < least && i < two; i += 2)
			buf_putc(&b, s.p[at + i]);
		buf_putc(&b, '\n');
		at += one >= least ? one : two;
	}
	found = arena_span(a, buf_data(&b));
	buf_release(&b);
	return decode_exact(a, utf8_valid_until(found) == found.n ? SPAN_LIT("utf-8") :
	    SPAN_LIT("windows-1252"), found);
}

static uint64_t seed = 4711;

static unsigned
draw(unsigned below)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (unsigned)(seed >> 33) % below;
}

static void
same_as_looking_at_each_byte(void **state)
{
	static const char rare[] = "ab\t~\x7f\x80\xa0\xff\xfe\n ";
	struct arena *a = arena_new(0);
	char bytes[300];
	size_t found = 0, pairs = 0;

	for (unsigned round = 0; round < 20000; round++) {
		unsigned zeros = draw(4), others = draw(30) + 1;
		size_t n = draw(sizeof(bytes));
		bool latin = draw(2);
		struct span s = span_make(bytes, n), want, got;

		for (size_t i = 0; i < n; i++)
			bytes[i] = draw(others) == 0 ? rare[draw(sizeof(rare))] :
			    zeros == 0 ? (char)draw(256) : zeros == 1 && i % 2 == round % 2 ? '\0' :
			    zeros == 2 && draw(4) == 0 ? '\0' : (char)('a' + draw(26));
		want = slowly(a, s, latin);
		got = strings_find(a, s, latin);
		assert_int_equal(got.n, want.n);
		assert_memory_equal(got.p, want.p, want.n);
		found += want.n > 0;
		pairs += zeros == 1 && want.n > 0;
		arena_reset(a);
	}
	assert_true(found > 5000 && pairs > 500);
	arena_free(&a);
}

static void
what_is_found(void **state)
{
	static const struct {
		struct span bytes;
		bool latin;
		const char *want;
	} t[] = {
		{ SPAN_LIT("\1\2seven77\1eight888\2"), false, "eight888\n" },
		{ SPAN_LIT("eight888"), false, "eight888\n" },
		{ SPAN_LIT("\1\1\1x\0""e\0i\0g\0h\0t\0""8\0""8\0""8\0\1\1\1\1"), false, "xeight888\n" },
		{ SPAN_LIT("Zs\0""e\0v\0""e\0n\0""7\0""7\0\1\1\1\1\1\1\1\1\1\1\1\1"), false, "" },
		{ SPAN_LIT("Ze\0i\0g\0h\0t\0""8\0""8\0""8\0"), false, "eight888\n" },
		{ SPAN_LIT("\1\2\3four\1\2thr\3\1\2\3\1\2\3\1"), true, "four\n" },
		{ SPAN_LIT("\1\1caf\xe9\1\1\1\1\1\1\1\1\1\1\1"), true, "caf\xc3\xa9\n" },
		{ SPAN_LIT(""), false, "" },
		{ SPAN_LIT("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), false, "" },
	};
	struct arena *a = arena_new(0);

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct span got = strings_find(a, t[i].bytes, t[i].latin);

		if (!span_is(got, t[i].want))
			fail_msg("%zu: \"%.*s\"", i, SPAN_ARG(got));
	}
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_as_looking_at_each_byte), cmocka_unit_test(what_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
