/* test_recent.c -- metas in memory: found by their place, overwritten in their time, never another's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "queue/recent.h"

static struct spool_pos
place(uint32_t segment, uint32_t offset)
{
	return (struct spool_pos){ segment, offset, 64 };
}

static struct span
text(char buf[600], uint32_t i, size_t n)
{
	memset(buf, 'a' + (int)(i % 26), n);
	memcpy(buf, &i, sizeof(i));
	return span_make(buf, n);
}

static void
found_by_its_place(void **state)
{
	struct recent *r = recent_new();
	struct span got = { 0 };
	char buf[600];

	assert_false(recent_get(r, place(0, 0), &got));
	assert_false(recent_get(r, place(1, 8), &got));
	recent_put(r, place(1, 8), SPAN_LIT("one"));
	recent_put(r, place(2, 8), SPAN_LIT("two"));
	recent_put(r, place(2, 16), SPAN_LIT(""));
	assert_true(recent_get(r, place(1, 8), &got));
	assert_true(span_is(got, "one"));
	assert_true(recent_get(r, place(2, 8), &got));
	assert_true(span_is(got, "two"));
	assert_true(recent_get(r, place(2, 16), &got));
	assert_int_equal(got.n, 0);
	assert_false(recent_get(r, place(1, 16), &got));
	/* An empty slot is not the place of nothing. */
	assert_false(recent_get(r, place(0, 0), &got));
	/* The same place again, as after a batch that failed and was written anew. */
	recent_put(r, place(1, 8), text(buf, 3, 600));
	assert_true(recent_get(r, place(1, 8), &got));
	assert_int_equal(got.n, 600);
	recent_free(&r);
	assert_null(r);
}

/* Whatever is said to be there is what was put there, however long it goes on. */
static void
never_anothers(void **state)
{
	static char large[1 << 20];
	struct recent *r = recent_new();
	struct span got;
	char buf[600];
	size_t found = 0, last = 0;

	for (uint32_t i = 0; i < 20000; i++) {
		recent_put(r, place(1 + i / 5000, i * 8), text(buf, i, 100 + i % 500));
		for (uint32_t k = i < 3000 ? 0 : i - 3000; k <= i; k += 1 + (i - k) / 40)
			if (recent_get(r, place(1 + k / 5000, k * 8), &got)) {
				assert_int_equal(got.n, 100 + k % 500);
				assert_memory_equal(got.p, text(buf, k, got.n).p, got.n);
				found++;
				last += k == i;
			}
	}
	assert_int_equal(last, 20000);
	assert_true(found > 10 * last);
	/* What would push out the others is not kept. */
	recent_put(r, place(9, 8), span_make(large, sizeof(large)));
	assert_false(recent_get(r, place(9, 8), &got));
	assert_true(recent_get(r, place(4, 19999 * 8), &got));
	recent_free(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(found_by_its_place),
		cmocka_unit_test(never_anothers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
