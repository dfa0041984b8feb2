/* test_smtp_data.c -- the DATA machine: every split, every false end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "buf.h"
#include "receiver/smtp_data.h"

struct outcome_of {
	enum data_status status;
	size_t used;
	unsigned flags;
	struct buf out;
};

/* Feeds `in` cut before the offsets in cuts[] (rising). */
static struct outcome_of
feed(struct span in, const size_t *cuts, size_t ncuts)
{
	struct outcome_of r = { .status = DATA_MORE };
	struct smtp_data d;
	size_t at = 0;

	buf_init(&r.out, 1 << 20);
	smtp_data_init(&d, false);
	for (size_t c = 0; c <= ncuts && (r.status == DATA_MORE); c++) {
		size_t end = c < ncuts ? cuts[c] : in.n;

		while (at < end) {
			struct span run;
			size_t used;

			r.status = smtp_data_step(&d, span_sub(in, at, end - at), &used, &run);
			assert_true(used <= end - at);
			at += used;
			if (r.status != DATA_BYTES) {
				assert_int_equal(run.n, 0);
				break;
			}
			assert_true(run.n > 0);
			assert_true(run.p >= in.p && run.p + run.n <= in.p + end);
			buf_span(&r.out, run);
			r.status = DATA_MORE;
		}
		if (r.status == DATA_MORE)
			assert_int_equal(at, end);
	}
	r.used = at;
	r.flags = d.flags;
	return r;
}

struct line {
	const char *in;
	enum data_status status;
	const char *out;	/* as far as it may be compared: not behind BARE */
	const char *left;	/* behind the end */
};

static const struct line lines[] = {
	{ ".\r\n", DATA_END, "", "" },
	{ "a\r\n.\r\n", DATA_END, "a\r\n", "" },
	{ "a\r\n..\r\n.\r\n", DATA_END, "a\r\n.\r\n", "" },
	{ "..a\r\n.b\r\n.\r\nQUIT\r\n", DATA_END, ".a\r\nb\r\n", "QUIT\r\n" },
	{ "\r\n\r\n.\r\n", DATA_END, "\r\n\r\n", "" },
	{ "a.\r\n.\r\n.\r\n", DATA_END, "a.\r\n", ".\r\n" },
	{ "...\r\n....\r\n.\r\n", DATA_END, "..\r\n...\r\n", "" },
	{ "a\r\n.", DATA_MORE, "a\r\n", "" },
	{ "a\r\n.\r", DATA_MORE, "a\r\n", "" },
	{ "a\r\nb", DATA_MORE, "a\r\nb", "" },
	/* what smugglers send */
	{ "a\n.\n", DATA_BARE, NULL, NULL },
	{ "a\r\n.\n", DATA_BARE, NULL, NULL },
	{ "a\n.\r\n", DATA_BARE, NULL, NULL },
	{ "a\r.\r\n", DATA_BARE, NULL, NULL },
	{ "a\r.\r", DATA_BARE, NULL, NULL },
	{ "a\r\n.\rb", DATA_BARE, NULL, NULL },
	{ "a\r\n.\r\rb", DATA_BARE, NULL, NULL },
	{ "a\r\n\n.\r\n", DATA_BARE, NULL, NULL },
	{ "a\r\r\n.\r\n", DATA_BARE, NULL, NULL },
	{ "\n", DATA_BARE, NULL, NULL },
	{ "\ra", DATA_BARE, NULL, NULL },
	{ ".\n", DATA_BARE, NULL, NULL },
	{ ".\ra", DATA_BARE, NULL, NULL },
	{ "a\r\n..\r.\r\n", DATA_BARE, NULL, NULL },
	{ "a\rb\r\n.\r\n", DATA_BARE, NULL, NULL },
	{ "a\nb\r\n.\r\n", DATA_BARE, NULL, NULL },
};
#define NLINES (sizeof(lines) / sizeof(lines[0]))

static void
check(const struct line *l, const size_t *cuts, size_t ncuts)
{
	struct span in = span_str(l->in);
	struct outcome_of r = feed(in, cuts, ncuts);

	assert_int_equal(r.status, l->status);
	if (l->status != DATA_BARE) {
		assert_true(span_is(buf_data(&r.out), l->out));
		assert_true(span_is(span_from(in, r.used), l->left));
	}
	buf_release(&r.out);
}

/* Every way to cut every line: 2^(n-1) splits. */
static void
every_split(void **state)
{
	for (size_t i = 0; i < NLINES; i++) {
		size_t n = strlen(lines[i].in);

		assert_true(n >= 1 && n < 24);
		for (uint32_t mask = 0; mask < UINT32_C(1) << (n - 1); mask++) {
			size_t cuts[24], k = 0;

			for (size_t b = 0; b + 1 < n; b++)
				if (mask & 1u << b)
					cuts[k++] = b + 1;
			check(&lines[i], cuts, k);
		}
	}
}

static void
random_text_any_cut(void **state)
{
	static const char alphabet[] = "\r\n\r\n\r\n..aab\0";
	uint32_t seed = 12345;
	size_t ends = 0, bares = 0;

	for (int round = 0; round < 20000; round++) {
		char text[64];
		size_t n = 0, cuts[64], k = 0;
		struct outcome_of one, many;

		while (n < 60) {
			seed = seed * 1664525 + 1013904223;
			switch ((seed >> 24) % 16) {
			case 0:
				text[n++] = '\r';
				break;
			case 1: case 2: case 3: case 4:
				text[n++] = '\r';
				text[n++] = '\n';
				break;
			default:
				text[n++] = alphabet[(seed >> 16) % (sizeof(alphabet) - 7) + 6];
			}
		}
		for (size_t i = 1; i < n; i++) {
			seed = seed * 1664525 + 1013904223;
			if (seed >> 30 == 0)
				cuts[k++] = i;
		}
		one = feed(span_make(text, n), NULL, 0);
		many = feed(span_make(text, n), cuts, k);
		assert_int_equal(one.status, many.status);
		if (one.status != DATA_BARE) {
			assert_int_equal(one.used, many.used);
			assert_int_equal(one.flags, many.flags);
			assert_true(span_eq(buf_data(&one.out), buf_data(&many.out)));
		}
		ends += one.status == DATA_END;
		bares += one.status == DATA_BARE;
		buf_release(&one.out);
		buf_release(&many.out);
	}
	assert_true(ends > 100 && bares > 100);
}

static void
flags(void **state)
{
	static char text[4000];
	struct outcome_of r;
	size_t cut = 500;

	r = feed(span_make("a\0b\r\n.\r\n", 8), NULL, 0);
	assert_int_equal(r.status, DATA_END);
	assert_int_equal(r.flags, DATA_HAS_NUL);
	assert_int_equal(buf_size(&r.out), 5);
	buf_release(&r.out);

	memset(text, 'x', 998);
	memcpy(text + 998, "\r\n.\r\n", 5);
	r = feed(span_make(text, 1003), &cut, 1);
	assert_int_equal(r.status, DATA_END);
	assert_int_equal(r.flags, 0);
	buf_release(&r.out);

	memset(text, 'x', 999);
	memcpy(text + 999, "\r\n.\r\n", 5);
	r = feed(span_make(text, 1004), &cut, 1);
	assert_int_equal(r.status, DATA_END);
	assert_int_equal(r.flags, DATA_LONG_LINE);
	assert_int_equal(buf_size(&r.out), 1001);
	buf_release(&r.out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_split),
		cmocka_unit_test(random_text_any_cut),
		cmocka_unit_test(flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
