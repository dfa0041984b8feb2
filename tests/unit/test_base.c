/* test_base.c -- arenas, buffers, errors, clocks and ids. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "buf.h"
#include "clock.h"
#include "id.h"
#include "postern/arena.h"
#include "postern/err.h"
#include "table.h"

static void
arena_aligns(void **state)
{
	struct arena *a = arena_new(0);
	char *last = NULL;

	for (size_t n = 0; n < 100; n++) {
		char *p = arena_alloc(a, n);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % 16, 0);
		memset(p, (int)n, n);
		/* No two pieces may share a byte: the one before must be as it was left. */
		for (size_t i = 0; last && i + 1 < n; i++)
			assert_int_equal(last[i], n - 1);
		last = p;
	}
	arena_free(&a);
	assert_null(a);
	arena_free(&a);
}

static void
arena_grows_in_place_and_by_copy(void **state)
{
	struct arena *a = arena_new(4096);
	char *p = arena_alloc(a, 10), *q, *r;

	memcpy(p, "0123456789", 10);
	/* Nothing was taken since: the same place serves. */
	q = arena_grow(a, p, 10, 100);
	assert_ptr_equal(p, q);
	memset(q + 10, 'x', 90);
	/* Something stands behind it now: it must move, and take its bytes along. */
	r = arena_alloc(a, 16);
	memcpy(r, "neighbour-bytes", 16);
	p = arena_grow(a, q, 100, 200);
	assert_ptr_not_equal(p, q);
	assert_memory_equal(p, "0123456789xxxx", 14);
	assert_int_equal(p[99], 'x');
	assert_string_equal(r, "neighbour-bytes");
	/* From nothing, and beyond any block. */
	q = arena_grow(a, NULL, 0, 1 << 20);
	memset(q, 'y', 1 << 20);
	assert_memory_equal(p, "0123456789", 10);
	arena_free(&a);
}

static void
arena_grows_and_shrinks_a_large_block(void **state)
{
	struct arena *a = arena_new(4096);
	char *small = arena_alloc(a, 10), *p = arena_alloc(a, 1 << 20), *other;
	size_t used;

	memset(small, 's', 10);
	memset(p, 'a', 1 << 20);
	used = arena_used(a);
	/* The newest one keeps no copy of itself. */
	p = arena_grow(a, p, 1 << 20, 8 << 20);
	assert_int_equal(arena_used(a), used + (7 << 20));
	memset(p + (1 << 20), 'b', 7 << 20);
	p = arena_grow(a, p, 8 << 20, 1000);
	assert_int_equal(arena_used(a), used - (1 << 20) + 1008);
	assert_int_equal(p[999], 'a');
	p = arena_grow(a, p, 1000, 2 << 20);
	assert_int_equal(p[999], 'a');
	/* Once another stands before it, it moves as any other. */
	other = arena_alloc(a, 1 << 20);
	memset(other, 'o', 1 << 20);
	p = arena_grow(a, p, 2 << 20, 3 << 20);
	assert_int_equal(p[999], 'a');
	assert_int_equal(other[0], 'o');
	assert_memory_equal(small, "ssssssssss", 10);
	arena_free(&a);
}

static void
arena_clears_and_counts(void **state)
{
	struct arena *a = arena_new(256);
	unsigned char *p;
	size_t used;

	memset(arena_alloc(a, 200), 0xff, 200);
	arena_reset(a);
	assert_int_equal(arena_used(a), 0);
	p = arena_zalloc(a, 200);
	for (size_t i = 0; i < 200; i++)
		assert_int_equal(p[i], 0);
	p = arena_array(a, 50, 8);
	for (size_t i = 0; i < 400; i++)
		assert_int_equal(p[i], 0);
	used = arena_used(a);
	assert_in_range(used, 600, 640);
	assert_string_equal(arena_printf(a, "%d-%s", 7, "x"), "7-x");
	assert_true(arena_used(a) > used);
	arena_free(&a);
}

static void
arena_copies_spans(void **state)
{
	struct arena *a = arena_new(0);
	char text[] = "hello";
	struct span s = arena_span(a, span_make(text, 5));

	text[0] = 'J';
	assert_true(span_is(s, "hello"));
	assert_int_equal(s.p[5], '\0');
	assert_string_equal(arena_str(a, SPAN_LIT("")), "");
	arena_free(&a);
}

static void
buf_stops_at_its_maximum(void **state)
{
	struct buf b;

	buf_init(&b, 10);
	assert_int_equal(buf_puts(&b, "12345"), 0);
	assert_int_equal(buf_puts(&b, "67890"), 0);
	assert_false(buf_failed(&b));
	assert_int_equal(buf_putc(&b, 'x'), -1);
	assert_true(buf_failed(&b));
	/* Never a part of it, and remembered. */
	assert_true(span_is(buf_data(&b), "1234567890"));
	assert_int_equal(buf_puts(&b, ""), -1);
	buf_consume(&b, 5);
	assert_int_equal(buf_puts(&b, "x"), -1);
	buf_reset(&b);
	assert_int_equal(buf_size(&b), 0);
	assert_int_equal(buf_puts(&b, "x"), 0);
	buf_release(&b);
	assert_int_equal(b.max, 10);
}

static void
buf_keeps_order_while_consumed(void **state)
{
	struct buf b;
	unsigned char next_in = 0, next_out = 0;

	/* The queue runs through a buffer much smaller than what passes it. */
	buf_init(&b, 3000);
	for (int round = 0; round < 5000; round++) {
		size_t in = (size_t)(round * 7 % 400) + 1, out;

		if (buf_size(&b) + in > 3000)
			in = 3000 - buf_size(&b);
		for (size_t i = 0; i < in; i++)
			assert_int_equal(buf_putc(&b, (char)next_in++), 0);
		out = (size_t)(round * 13 % 450);
		if (out > buf_size(&b))
			out = buf_size(&b);
		for (size_t i = 0; i < out; i++)
			assert_int_equal((unsigned char)buf_data(&b).p[i], next_out++);
		buf_consume(&b, out);
	}
	assert_true(b.cap <= 8192);
	buf_consume(&b, buf_size(&b));
	buf_shrink(&b);
	assert_null(b.p);
	buf_release(&b);
}

static void
buf_prints(void **state)
{
	struct buf b;

	buf_init(&b, 100);
	assert_int_equal(buf_printf(&b, "%s=%d;", "size", 48211), 0);
	assert_true(span_is(buf_data(&b), "size=48211;"));
	assert_int_equal(buf_printf(&b, "%*s", 200, "x"), -1);
	assert_true(span_is(buf_data(&b), "size=48211;"));
	buf_release(&b);
}

static void
err_texts(void **state)
{
	struct err e;
	char long_text[3000];

	assert_int_equal(err_set(&e, 5, "a\r\nb"), -1);
	assert_string_equal(e.text, "a  b");
	assert_int_equal(e.code, 5);
	errno = ENOENT;
	assert_int_equal(err_errno(&e, "cannot open %s", "x"), -1);
	assert_string_equal(e.text, "cannot open x: No such file or directory");
	assert_int_equal(e.code, ENOENT);
	assert_int_equal(err_wrap(&e, "storing %s", "4T0"), -1);
	assert_string_equal(e.text, "storing 4T0: cannot open x: No such file or directory");
	assert_int_equal(e.code, ENOENT);
	assert_int_equal(err_set(NULL, 1, "nobody listens"), -1);
	memset(long_text, 'x', sizeof(long_text));
	long_text[sizeof(long_text) - 1] = '\0';
	err_wrap(&e, "%s", long_text);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
}

static void
clock_is_virtual(void **state)
{
	int64_t now = 1795344099 * US_PER_SEC + 123456, before, after;
	char date[CLOCK_DATE_MAX];

	clock_virtual = &now;
	assert_int_equal(clock_real(), now);
	assert_int_equal(clock_mono(), now);
	now += 5;
	assert_int_equal(clock_real(), 1795344099 * US_PER_SEC + 123461);
	/* 1795344099 = 20779 days and 38499 s: Sunday 22 November 2026, 10:41:39 UTC. */
	assert_string_equal(clock_date(now, date), "Sun, 22 Nov 2026 10:41:39 +0000");
	setenv("TZ", "XST-5:30", 1);
	tzset();
	assert_string_equal(clock_date(now, date), "Sun, 22 Nov 2026 16:11:39 +0530");
	setenv("TZ", "XST3:30", 1);
	tzset();
	assert_string_equal(clock_date(now, date), "Sun, 22 Nov 2026 07:11:39 -0330");
	setenv("TZ", "UTC0", 1);
	tzset();
	clock_virtual = NULL;
	before = clock_mono();
	after = clock_mono();
	assert_true(after >= before);
	assert_true(clock_real() > 1700000000 * US_PER_SEC);
}

static void
id_round_trip(void **state)
{
	static const uint64_t some[] = { 0, 1, 61, 62, 3843, 3844, 999999999999, UINT64_MAX };
	char text[ID_SIZE];
	uint64_t id;

	for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
		id_format(some[i], text);
		assert_int_equal(strlen(text), ID_LEN);
		assert_true(id_parse(span_str(text), &id));
		assert_true(id == some[i]);
	}
	assert_string_equal(id_format(0, text), "00000000000");
	assert_string_equal(id_format(61, text), "0000000000z");
	assert_string_equal(id_format(62 * 62 - 1, text), "000000000zz");
	/* 2^64 - 1 in base 62, LygHa16AHYG would be one more. */
	assert_string_equal(id_format(UINT64_MAX, text), "LygHa16AHYF");
}

static void
id_refuses(void **state)
{
	static const char *const bad[] = { "", "0000000000", "000000000000", "0000000000-",
		"0000000000 ", "LygHa16AHYG", "zzzzzzzzzzz", "0000000000\xc3" };
	uint64_t id = 42;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(id_parse(span_str(bad[i]), &id));
		assert_int_equal(id, 42);
	}
}

static void
ids_sort_and_never_repeat(void **state)
{
	struct id_source a = { .slot = 0 }, b = { .slot = ID_PLACES - 1 };
	int64_t now = 1795344099 * US_PER_SEC;	/* a multiple of ID_TICK */
	char last_text[ID_SIZE] = "", text[ID_SIZE];
	uint64_t last = 0;

	for (int i = 0; i < 1000; i++) {
		/* The clock stands still, runs back and jumps. */
		uint64_t id = id_new(&a, now - i % 7 * 1000 + i / 100 * 5000000);

		assert_true(id > last);
		assert_true(strcmp(id_format(id, text), last_text) > 0);
		last = id;
		memcpy(last_text, text, sizeof(text));
	}
	a.last = b.last = 0;
	last = id_new(&a, now);
	assert_int_equal(id_time(last), now);
	assert_int_equal(id_time(id_new(&b, now)), now);
	b.last = 0;
	assert_true(id_new(&b, now) > last);
	assert_true(id_new(&a, now + 2 * ID_TICK) > id_new(&b, now - 5));
}

/* What an id is made of can be had back from it, so two that differ in node, process or tick differ. */
static void
ids_of_nodes_differ(void **state)
{
	static const int64_t times[] = { 0, 15, 16, INT64_C(1795344099123457), INT64_C(1795344099123472) };
	struct idtable *seen = idtable_new();
	size_t n = 0;

	for (size_t t = 0; t < 5; t++)
		for (uint32_t node = 0; node < ID_NODES; node++)
			for (uint32_t process = 0; process < ID_PROCESSES; process += 479) {
				struct id_source src = { .slot = id_slot(node, process), .last = -ID_TICK };
				uint64_t id = id_new(&src, times[t]);

				assert_int_equal(id_node(id), node);
				assert_int_equal(id % ID_PLACES % ID_PROCESSES, process);
				assert_int_equal(id_time(id), times[t] / ID_TICK * ID_TICK);
				idtable_put(seen, id, seen);
				n++;
			}
	/* 0 and 15 are one tick, so of five times there are four. */
	assert_int_equal(idtable_count(seen) * 5, n * 4);
	/* Made before nodes had numbers: its time is right to a tick, and it is nobody's. */
	assert_int_equal(id_time(UINT64_C(1795344099000005) * ID_SLOTS), INT64_C(1795344099000000));
	assert_int_equal(id_node(UINT64_C(1795344099000000) * ID_SLOTS + 9), 0);
	idtable_free(&seen);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arena_aligns),
		cmocka_unit_test(arena_grows_in_place_and_by_copy),
		cmocka_unit_test(arena_grows_and_shrinks_a_large_block),
		cmocka_unit_test(arena_clears_and_counts),
		cmocka_unit_test(arena_copies_spans),
		cmocka_unit_test(buf_stops_at_its_maximum),
		cmocka_unit_test(buf_keeps_order_while_consumed),
		cmocka_unit_test(buf_prints),
		cmocka_unit_test(err_texts),
		cmocka_unit_test(clock_is_virtual),
		cmocka_unit_test(id_round_trip),
		cmocka_unit_test(id_refuses),
		cmocka_unit_test(ids_sort_and_never_repeat),
		cmocka_unit_test(ids_of_nodes_differ),
	};

	setenv("TZ", "UTC0", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
