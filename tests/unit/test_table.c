/* test_table.c -- hash tables and SipHash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "table.h"

#define MANY 200000

/* Appendix A of "SipHash: a fast short-input PRF": key 00..0f, message 00..0e. The others
 * are the first rows of vectors.h of the reference implementation. */
static void
siphash_vectors(void **state)
{
	uint8_t key[16], msg[15];

	for (unsigned i = 0; i < 16; i++)
		key[i] = (uint8_t)i;
	for (unsigned i = 0; i < 15; i++)
		msg[i] = (uint8_t)i;
	assert_true(siphash(key, msg, 15) == UINT64_C(0xa129ca6149be45e5));
	assert_true(siphash(key, msg, 0) == UINT64_C(0x726fdb47dd0e0e31));
	assert_true(siphash(key, msg, 1) == UINT64_C(0x74f839c593dc67fd));
	assert_true(siphash(key, msg, 8) == UINT64_C(0x93f5f5799a932462));
}

static void
bytes_put_get_remove(void **state)
{
	struct table *t = table_new();
	int one, two, three;
	char a1[] = "a", a2[] = "a";
	struct span key;
	void *value;
	size_t at = 0;

	assert_null(table_get(t, SPAN_LIT("a")));
	table_put(t, span_make(a1, 1), &one);
	table_put(t, SPAN_LIT(""), &two);
	table_put(t, SPAN_LIT("a\0b"), &three);
	assert_ptr_equal(table_get(t, SPAN_LIT("a")), &one);
	assert_ptr_equal(table_get(t, span_make(NULL, 0)), &two);
	assert_ptr_equal(table_get(t, SPAN_LIT("a\0b")), &three);
	assert_null(table_get(t, SPAN_LIT("a\0c")));
	assert_int_equal(table_count(t), 3);

	/* Replacing takes the new key's bytes: the old ones may be freed. */
	table_put(t, span_make(a2, 1), &three);
	a1[0] = 'z';
	assert_ptr_equal(table_get(t, SPAN_LIT("a")), &three);
	assert_int_equal(table_count(t), 3);

	assert_ptr_equal(table_remove(t, SPAN_LIT("a")), &three);
	assert_null(table_remove(t, SPAN_LIT("a")));
	assert_null(table_get(t, SPAN_LIT("a")));
	assert_int_equal(table_count(t), 2);
	while (table_next(t, &at, &key, &value))
		assert_true((key.n == 0 && value == &two) || (key.n == 3 && value == &three));
	table_free(&t);
	assert_null(t);
	table_free(&t);
}

/* Any order of puts and removes against a plain array of what must be there. */
static void
ids_like_an_array(void **state)
{
	static char there[4096];
	struct idtable *t = idtable_new();
	uint32_t rnd = 1;
	size_t count = 0, at = 0, seen = 0;
	uint64_t key;
	void *value;

	for (int step = 0; step < 300000; step++) {
		uint32_t k;

		rnd = rnd * 1664525 + 1013904223;
		k = rnd >> 20;
		/* Phases: mostly filling, then mostly emptying, so that it grows and shrinks. */
		if ((rnd >> 8 & 15) < (step / 50000 % 2 ? 2u : 13u)) {
			idtable_put(t, k, &there[k]);
			count += !there[k];
			there[k] = 1;
		} else {
			assert_ptr_equal(idtable_remove(t, k), there[k] ? &there[k] : NULL);
			count -= there[k];
			there[k] = 0;
		}
		assert_int_equal(idtable_count(t), count);
		k = rnd >> 9 & 4095;
		assert_ptr_equal(idtable_get(t, k), there[k] ? &there[k] : NULL);
	}
	while (idtable_next(t, &at, &key, &value)) {
		assert_true(key < 4096 && there[key]);
		assert_ptr_equal(value, &there[key]);
		seen++;
	}
	assert_int_equal(seen, count);
	idtable_free(&t);
}

static void
removal_while_iterating(void **state)
{
	struct idtable *ids = idtable_new();
	struct table *names = table_new();
	static char text[1000][8], seen[1000];
	size_t at = 0, n = 0;
	struct span key;
	uint64_t id;
	void *value;

	for (unsigned i = 0; i < 1000; i++) {
		idtable_put(ids, i, &seen[i]);
		snprintf(text[i], sizeof(text[i]), "%u", i);
		table_put(names, span_str(text[i]), &seen[i]);
	}
	while (idtable_next(ids, &at, &id, &value)) {
		assert_int_equal(seen[id], 0);
		seen[id] = 1;
		if (id % 3)
			assert_ptr_equal(idtable_remove(ids, id), &seen[id]);
		n++;
	}
	assert_int_equal(n, 1000);
	assert_int_equal(idtable_count(ids), 334);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(idtable_get(ids, i) != NULL, i % 3 == 0);

	at = n = 0;
	while (table_next(names, &at, &key, &value)) {
		unsigned i = (unsigned)((char *)value - seen);

		assert_int_equal(seen[i], 1);
		seen[i] = 2;
		assert_ptr_equal(table_remove(names, key), value);
		n++;
	}
	assert_int_equal(n, 1000);
	assert_int_equal(table_count(names), 0);
	table_free(&names);
	idtable_free(&ids);
}

static void
many_entries(void **state)
{
	struct table *t = table_new();
	struct idtable *ids = idtable_new();
	char (*text)[16] = malloc(MANY * sizeof(*text));
	size_t wrong = 0;

	assert_non_null(text);
	for (size_t i = 0; i < MANY; i++) {
		snprintf(text[i], sizeof(text[i]), "user%zu@x", i);
		table_put(t, span_str(text[i]), text[i]);
		idtable_put(ids, i * 3844, text[i]);		/* ids of one slot: regular steps */
	}
	assert_int_equal(table_count(t), MANY);
	assert_int_equal(idtable_count(ids), MANY);
	for (size_t i = 0; i < MANY; i++) {
		char copy[16];

		memcpy(copy, text[i], sizeof(copy));
		wrong += table_get(t, span_str(copy)) != text[i];
		wrong += idtable_get(ids, i * 3844) != text[i];
		wrong += idtable_get(ids, i * 3844 + 1) != NULL;
	}
	for (size_t i = 0; i < MANY; i++) {
		wrong += table_remove(t, span_str(text[i])) != text[i];
		wrong += idtable_remove(ids, i * 3844) != text[i];
	}
	assert_int_equal(wrong, 0);
	assert_int_equal(table_count(t), 0);
	assert_int_equal(idtable_count(ids), 0);
	table_put(t, SPAN_LIT("again"), text);
	assert_ptr_equal(table_get(t, SPAN_LIT("again")), text);
	table_free(&t);
	idtable_free(&ids);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(siphash_vectors),
		cmocka_unit_test(bytes_put_get_remove),
		cmocka_unit_test(ids_like_an_array),
		cmocka_unit_test(removal_while_iterating),
		cmocka_unit_test(many_entries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
