/* test_recall.c -- what receivers remember together: each answer for its own key and time, the useful stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "clock.h"
#include "receiver/recall.h"

#define NOW (INT64_C(500) * 86400 * US_PER_SEC)

static struct recall_table *
table_of(size_t size)
{
	void *p = aligned_alloc(64, size);

	assert_non_null(p);
	memset(p, 0, size);
	return recall_attach(p, size, NOW);
}

static struct span
key(char buf[static 64], int i)
{
	return span_make(buf, (size_t)snprintf(buf, 64, "c user%d@example.org", i));
}

static void
test_remembers(void **state)
{
	struct recall_table *t = table_of(4096);
	enum recall_kind kind;
	int64_t when;

	assert_false(recall_get(t, SPAN_LIT("c a@b.example"), NOW, &kind, &when));
	recall_put(t, SPAN_LIT("c a@b.example"), RECALL_UNKNOWN, NOW);
	assert_true(recall_get(t, SPAN_LIT("C A@B.example"), NOW + 3600 * US_PER_SEC, &kind, &when));
	assert_int_equal(kind, RECALL_UNKNOWN);
	assert_true(when <= NOW && NOW - when < US_PER_SEC);
	assert_false(recall_get(t, SPAN_LIT("n a@b.example"), NOW, &kind, &when));
	/* what is learnt later takes its place */
	recall_put(t, SPAN_LIT("c a@b.example"), RECALL_KNOWN, NOW + 7200 * US_PER_SEC);
	assert_true(recall_get(t, SPAN_LIT("c a@b.example"), NOW + 7201 * US_PER_SEC, &kind, &when));
	assert_int_equal(kind, RECALL_KNOWN);
	assert_true(when > NOW + 7198 * US_PER_SEC);
	recall_forget(t, SPAN_LIT("c a@b.example"));
	assert_false(recall_get(t, SPAN_LIT("c a@b.example"), NOW, &kind, &when));
	/* another process finds the same */
	recall_put(t, SPAN_LIT("x"), RECALL_FRIEND, NOW);
	assert_ptr_equal(recall_attach(t, 4096, NOW + 5), t);
	assert_true(recall_get(t, SPAN_LIT("x"), NOW, &kind, &when));
	recall_forget_all(t);
	assert_false(recall_get(t, SPAN_LIT("x"), NOW, &kind, &when));
	free(t);
}

/* Ten times as many made-up addresses as there is room for leave what exists alone, as long as that fills
 * a quarter of the table; and nobody is ever taken for another. */
static void
test_made_up_addresses(void **state)
{
	size_t size = 256u << 10;
	struct recall_table *t = table_of(size);
	int room = 16384, known = room / 4, kept = 0, wrong = 0;
	enum recall_kind kind;
	int64_t when;
	char buf[64];

	for (int i = 0; i < known; i++)
		recall_put(t, key(buf, i), RECALL_KNOWN, NOW);
	for (int i = 0; i < 10 * room; i++)
		recall_put(t, key(buf, 1000000 + i), RECALL_UNKNOWN, NOW + (i / 100) * US_PER_SEC);
	for (int i = 0; i < known; i++)
		if (recall_get(t, key(buf, i), NOW, &kind, &when)) {
			kept++;
			wrong += kind != RECALL_KNOWN;
		}
	for (int i = 0; i < 100000; i++)
		wrong += recall_get(t, key(buf, 5000000 + i), NOW, &kind, &when);
	assert_int_equal(wrong, 0);
	/* Of 4 in a bucket of 8 on average, so few buckets have more than 8. */
	assert_true(kept >= known - known / 20);
	free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_remembers),
		cmocka_unit_test(test_made_up_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
