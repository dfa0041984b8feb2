/* test_av_stamp.c -- the stamp of the antivirus: its form, its MAC, what it is about, who is believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "clock.h"
#include "master/config.h"
#include "scanner/av_stamp.h"
#include "scanner/stamps.h"
#include "scanner_test.h"

#define KEY SPAN_LIT("0123456789abcdef0123456789abcdef")
#define NOW INT64_C(1795000000)
#define MAIL "From: a@example.org\r\nMIME-Version: 1.0\r\nSubject: x\r\n\r\nHello.\r\n"

static struct arena *arena;

static int
setup(void **state)
{
	arena = arena_new(0);
	return 0;
}

static int
teardown(void **state)
{
	arena_free(&arena);
	return 0;
}

static struct av_stamp
stamp_of(struct span message)
{
	struct av_stamp s = { .time = NOW, .engine = SPAN_LIT("libclamav-1.4.6"),
		.signatures = SPAN_LIT("daily27850+main62+set0123456789abcdef+n87+opt0") };

	av_stamp_body(message, s.body);
	return s;
}

static struct span
value_of(struct span field)
{
	assert_true(span_starts(field, SPAN_LIT("X-Postern-AV: ")));
	assert_true(span_ends_nocase(field, SPAN_LIT("\r\n")));
	return span_from(field, 13);
}

static void
round_trip(void **state)
{
	struct av_stamp made = stamp_of(SPAN_LIT(MAIL)), read;
	struct span field = av_stamp_make(&made, KEY, arena), line = field;

	while (line.n) {	/* RFC 5322, 2.1.1 */
		size_t eol = span_find(line, '\n');

		assert_true(eol <= 79);
		line = span_from(line, eol + 1);
	}
	assert_true(av_stamp_parse(value_of(field), arena, &read));
	assert_int_equal(read.time, NOW);
	assert_true(span_eq(read.engine, made.engine) && span_eq(read.signatures, made.signatures));
	assert_memory_equal(read.body, made.body, STAMP_HASH);
	assert_true(av_stamp_genuine(&read, KEY));
	assert_false(av_stamp_genuine(&read, SPAN_LIT("0123456789abcdef0123456789abcdeg")));
	/* Folded otherwise, it says the same. */
	assert_true(av_stamp_parse(span_str(arena_printf(arena, "\r\n  v=1;\tt=%lld;e=libclamav-1.4.6 ;\r\n\ts=x; "
	    "b=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=; m=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
	    (long long)NOW)), arena, &read));
	assert_int_equal(read.time, NOW);
	assert_true(span_is(read.signatures, "x"));
}

/* One bit anywhere, in what it says or in the MAC: not genuine, or no stamp at all. */
static void
each_bit_counts(void **state)
{
	struct av_stamp made = stamp_of(SPAN_LIT(MAIL)), read;
	struct span field = av_stamp_make(&made, KEY, arena);
	size_t parsed = 0;

	for (size_t i = 14; i < field.n - 2; i++)
		for (int bit = 0; bit < 8; bit++) {
			char *copy = arena_str(arena, field);

			copy[i] = (char)(copy[i] ^ 1 << bit);
			if (field.p[i] == ' ' || field.p[i] == '\t' || field.p[i] == '\r' ||
			    field.p[i] == '\n')
				continue;	/* folding says nothing */
			if (!av_stamp_parse(value_of(span_make(copy, field.n)), arena, &read))
				continue;
			parsed++;
			if (av_stamp_genuine(&read, KEY))
				fail_msg("byte %zu bit %d: %s", i, bit, copy);
		}
	assert_true(parsed > 100);
}

static void
what_is_no_stamp(void **state)
{
#define B "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	static const char *const bad[] = { "", "v=1", "v=2; t=1; e=a; s=b; b=" B "; m=" B,
		"t=1; v=1; e=a; s=b; b=" B "; m=" B, "v=1; t=-1; e=a; s=b; b=" B "; m=" B,
		"v=1; t=99999999999999999999; e=a; s=b; b=" B "; m=" B,
		"v=1; t=1; e=; s=b; b=" B "; m=" B, "v=1; t=1; e=a b; s=b; b=" B "; m=" B,
		"v=1; t=1; e=a\n; s=b; b=" B "; m=" B "; x=1", "v=1; t=1; e=a; s=b; b=AAAA; m=" B,
		"v=1; t=1; e=a; s=b; b=" B "; m=" B "; m=" B,
		/* bits behind the last character, another alphabet, no padding */
		"v=1; t=1; e=a; s=b; b=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=; m=" B,
		"v=1; t=1; e=a; s=b; b=-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=; m=" B,
		"v=1; t=1; e=a; s=b; b=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA; m=" B,
		"v=1; t=1; e=a; s=b; b=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==; m=" B,
	};
	struct av_stamp s;
	char *longer = arena_alloc(arena, 3000);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (av_stamp_parse(span_str(bad[i]), arena, &s))
			fail_msg("taken for a stamp: %s", bad[i]);
	assert_true(av_stamp_parse(SPAN_LIT("v=1; t=1; e=a; s=b; b=" B "; m=" B), arena, &s));
	memset(longer, 'e', 3000);
	memcpy(longer, "v=1; t=1; e=", 12);
	assert_false(av_stamp_parse(span_make(longer, 3000), arena, &s));
}

static bool
same_body(const char *a, const char *b)
{
	unsigned char x[STAMP_HASH], y[STAMP_HASH];

	av_stamp_body(span_str(a), x);
	av_stamp_body(span_str(b), y);
	return memcmp(x, y, STAMP_HASH) == 0;
}

static void
what_it_is_about(void **state)
{
	/* Trace fields come and go; a last line end may be added. */
	assert_true(same_body(MAIL, "Received: x\r\n\tby y\r\n" MAIL));
	assert_true(same_body(MAIL, MAIL "\r\n"));
	assert_false(same_body(MAIL, MAIL "."));
	assert_false(same_body(MAIL, "Content-Transfer-Encoding: base64\r\n" MAIL));
	assert_false(same_body(MAIL, "content-type : text/html\r\n" MAIL));
	assert_false(same_body("A: b\r\n\r\nx", "A: b\r\n\r\nX"));
	/* A field does not become a body, nor a body a field. */
	assert_false(same_body("Content-Type: a\r\n\r\nb\r\n", "\r\nContent-Type: a\r\n\r\nb\r\n"));
	assert_false(same_body("Content-A: b\r\n\r\n", "Content-A: b\r\n\r\nContent-A: b\r\n"));
	/* No header, no body, nothing. */
	assert_true(same_body("", "\r\n"));
	assert_true(same_body("A: b", "A: b\r\n\r\n"));
}

static void
all_fields_are_found(void **state)
{
	struct span m = SPAN_LIT("x-postern-av: a\r\n\tb\r\nX-Other: c\r\nX-Postern-AV\t : d\r\nX-Postern-AVX: e\r\n"
	    "\r\nX-Postern-AV: body\r\n"), value;
	size_t end, at = av_stamp_find(m, 0, &end, &value);

	assert_int_equal(at, 0);
	assert_true(span_is(value, " a\r\n\tb\r\n"));
	at = av_stamp_find(m, end, &end, &value);
	assert_true(span_starts(span_from(m, at), SPAN_LIT("X-Postern-AV\t")));
	assert_true(span_is(value, " d\r\n"));
	assert_int_equal(av_stamp_find(m, end, &end, &value), m.n);
	assert_int_equal(av_stamp_find(SPAN_LIT(""), 0, &end, &value), 0);
	assert_int_equal(av_stamp_find(SPAN_LIT("X-Postern-AV:"), 0, &end, &value), 0);
}

/* Stamps go out beside the policy's own edits, however these lie. */
static void
stripping_beside_other_edits(void **state)
{
	static const char raw[] = "X-Postern-AV: one\r\nA: b\r\nX-Postern-AV: two\r\nX-Postern-AV: three\r\n"
	    "Subject: s\r\n\r\nbody\r\n";
	struct edit edits[] = { { .offset = 0, .with = SPAN_LIT("X-New: 1\r\n") },
		{ .offset = 19, .size = 6 },			/* A: b, taken out by a rule */
		{ .offset = 25, .size = 19 },			/* and the second stamp, too */
		{ .offset = 74, .with = SPAN_LIT("X ") } };
	struct variant v[2] = { { NULL, 0 }, { edits, 4 } };
	struct verdict verdict = { .variants = v, .nvariants = 2 };
	struct envelope env = { .client = { .family = 4, .b = { 10, 0, 0, 1 } } };
	struct stamps_seen seen;
	const char *want[] = { "A: b\r\nSubject: s\r\n\r\nbody\r\n", "X-New: 1\r\nSubject: X s\r\n\r\nbody\r\n" };

	stamps_look(NULL, NULL, &env, span_str(raw), NOW * US_PER_SEC, arena, &seen);
	assert_int_equal(seen.fields, 3);
	assert_int_equal(seen.nstrip, 2);
	assert_false(seen.trusted || seen.accepted);
	assert_false(stamps_edit(NULL, NULL, &seen, true, 0, span_str(raw), arena, &verdict));
	for (int i = 0; i < 2; i++) {
		const struct variant *x = &verdict.variants[i];
		char out[256] = "";
		size_t at = 0, n = 0;

		for (size_t k = 0; k < x->nedits; k++) {
			assert_true(x->edits[k].offset >= at);
			n += (size_t)snprintf(out + n, sizeof(out) - n, "%.*s" SPAN_FMT,
			    (int)(x->edits[k].offset - at), raw + at, SPAN_ARG(x->edits[k].with));
			at = x->edits[k].offset + x->edits[k].size;
		}
		snprintf(out + n, sizeof(out) - n, "%s", raw + at);
		assert_string_equal(out, want[i]);
	}
}

static void
keys_are_checked(void **state)
{
	char *dir = test_dir();
	const char *path = arena_printf(arena, "%s/key", dir);
	struct conf_antivirus c = { .stamp_keys = &path, .nstamp_keys = 1 };
	struct stamps *s;
	struct err err;

	assert_null(stamps_new(&c, &err));
	assert_non_null(strstr(err.text, "antivirus.stamp.key"));
	test_write(path, "short\n");
	assert_int_equal(chmod(path, 0600), 0);
	assert_null(stamps_new(&c, &err));
	assert_non_null(strstr(err.text, "openssl rand"));
	test_write(path, "0123456789abcdef0123456789abcdef\n");
	s = stamps_new(&c, &err);
	assert_non_null(s);
	stamps_free(&s);
	assert_null(s);
	assert_int_equal(chmod(path, 0604), 0);
	assert_null(stamps_new(&c, &err));
	assert_non_null(strstr(err.text, "chmod 600"));
	test_remove(dir);
	free(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(round_trip), T(each_bit_counts), T(what_is_no_stamp), T(what_it_is_about),
		T(all_fields_are_found), T(stripping_beside_other_edits), T(keys_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
