/* test_detect.c -- words, patterns, keywords, places, masks and limits of a set of detectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "detect/detect.h"
#include "postern/arena.h"

struct fixture {
	struct arena *a;
	struct detectors *d;
	struct surface surfaces[8];
	struct text texts[8], folded[8];
	struct anatomy an;
	struct detection found;
};

static struct fixture
fixture_new(void)
{
	struct fixture f = { .a = arena_new(0), .d = detectors_new() };

	return f;
}

static void
fixture_free(struct fixture *f)
{
	detectors_free(&f->d);
	assert_null(f->d);
	arena_free(&f->a);
}

static void
surface_add(struct fixture *f, const char *text)
{
	size_t i = f->an.nsurfaces++;

	f->texts[i] = (struct text){ .s = span_str(text) };
	text_fold(f->a, &f->texts[i], &f->folded[i]);
	f->surfaces[i] = (struct surface){ .where = WHERE_BODY };
}

static void
run(struct fixture *f)
{
	for (size_t i = 0; i < f->an.nsurfaces; i++) {
		f->surfaces[i].text = &f->texts[i];
		f->surfaces[i].folded = &f->folded[i];
	}
	f->an.surfaces = f->surfaces;
	detectors_run(f->d, &f->an, f->a, &f->found);
}

static void
run_on(struct fixture *f, const char *text)
{
	f->an.nsurfaces = 0;
	surface_add(f, text);
	run(f);
}

static void
words(struct fixture *f, const char *id, size_t n, const char *const *list)
{
	struct span w[16];
	struct err err;

	for (size_t i = 0; i < n; i++)
		w[i] = span_str(list[i]);
	assert_true(detectors_add_words(f->d, span_str(id), w, n, &err) >= 0);
}
#define WORDS(f, id, ...) \
	words((f), (id), sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *), \
	    (const char *const[]){ __VA_ARGS__ })

static size_t
count(const struct fixture *f, size_t i)
{
	return f->found.first[i + 1] - f->found.first[i];
}

static const struct match *
match(const struct fixture *f, size_t detector, size_t i)
{
	assert_true(i < count(f, detector));
	return &f->found.matches[f->found.first[detector] + i];
}

#define assert_span(got, want) do { \
	struct span got_ = (got); \
	const char *want_ = (want); \
	if (!span_is(got_, want_)) \
		fail_msg("got \"" SPAN_FMT "\", want \"%s\"", SPAN_ARG(got_), want_); \
} while (0)

/* A word stands whole, in any case and with or without accents. */
static void
test_words(void **state)
{
	static const struct {
		const char *text;
		size_t n;
	} cases[] = {
		{ "le Projet Aurore avance", 1 },
		{ "PROJET  AURORE", 1 },		/* folded: one space */
		{ "projet\r\naurore", 1 },
		{ "(Projet-Aurore)", 0 },		/* another phrase */
		{ "Projet Aurore.", 1 },
		{ "Projets Aurore", 0 },
		{ "Projet Auroree", 0 },
		{ "avantprojet aurore", 0 },
		{ "projet aurore2", 0 },
		{ "projet_aurore projet aurore_", 1 },	/* an underscore is no letter */
		{ "\xc3\xa9projet aurore", 0 },		/* é before it */
		{ "projet aurore\xc3\xa9", 0 },
		{ "\xd0\x9f projet aurore \xd0\x9f", 1 },	/* П, but apart */
		{ "pr\xc3\xb3jet aur\xc3\xb4re", 1 },	/* accents folded */
		{ "\xef\xbc\xb0rojet aurore", 1 },	/* full-width P */
		{ "pro\xe2\x80\x8bjet aurore", 1 },	/* zero-width space inside */
		{ "Projet Aurore, projet aurore; PROJET AURORE", 3 },
		{ "", 0 },
		{ "projet auror", 0 },
	};
	struct fixture f = fixture_new();

	WORDS(&f, "project", "Projet Aurore");
	assert_int_equal(detectors_compile(f.d, NULL), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		run_on(&f, cases[i].text);
		if (count(&f, 0) != cases[i].n)
			fail_msg("\"%s\": %zu, want %zu", cases[i].text, count(&f, 0), cases[i].n);
		if (cases[i].n)
			assert_int_equal(match(&f, 0, 0)->confidence, CONFIDENCE_HIGH);
	}
	fixture_free(&f);
}

static void
test_words_together(void **state)
{
	struct fixture f = fixture_new();

	/* Words that are each other's beginnings, ends and middles; one word in two sets. */
	WORDS(&f, "a", "he", "she", "his", "hers", "a b", "b c", "a b c d");
	WORDS(&f, "b", "hers", "c++", "#tag", "b c");
	WORDS(&f, "c", "\xe5\x8c\x97\xe4\xba\xac");	/* 北京 */
	assert_int_equal(detectors_compile(f.d, NULL), 0);

	run_on(&f, "ushers she hers he");
	assert_int_equal(count(&f, 0), 3);
	assert_int_equal(count(&f, 1), 1);
	assert_int_equal(match(&f, 0, 0)->place.from, 7);
	assert_int_equal(match(&f, 0, 0)->place.to, 10);
	assert_true(match(&f, 0, 1)->value == match(&f, 1, 0)->value);
	assert_true(match(&f, 0, 1)->value != match(&f, 0, 0)->value);

	run_on(&f, "a b c a b c d");
	assert_int_equal(count(&f, 0), 5);	/* a b, b c, a b, a b c d, b c: each counts */
	assert_int_equal(count(&f, 1), 2);

	run_on(&f, "I write c++ and#tagged #tag c+");
	assert_int_equal(count(&f, 1), 2);	/* c++ and #tag; #tagged goes on */

	/* Written without spaces, as Chinese is: no boundary can be asked for. */
	run_on(&f, "\xe6\x88\x91\xe5\x9c\xa8\xe5\x8c\x97\xe4\xba\xac\xe5\xb8\x82");
	assert_int_equal(count(&f, 2), 1);
	fixture_free(&f);
}

/* More states than complete rows: the deep ones fall back along their links. */
static void
test_words_many(void **state)
{
	enum { N = 20000 };
	struct fixture f = fixture_new();
	struct span *w = arena_array(f.a, N, sizeof(*w));
	char *text = arena_alloc(f.a, N * 16), *t = text;
	uint32_t x = 1;

	for (size_t i = 0; i < N; i++) {
		x = x * 1664525 + 1013904223;
		w[i] = span_str(arena_printf(f.a, "w%zxq%x", i, x));
		if (i % 7 == 0)
			t += sprintf(t, "%.*s ", (int)w[i].n, w[i].p);
		else
			t += sprintf(t, "%.*sz ", (int)w[i].n, w[i].p);
	}
	assert_int_equal(detectors_add_words(f.d, SPAN_LIT("many"), w, N, NULL), 0);
	assert_int_equal(detectors_compile(f.d, NULL), 0);
	run_on(&f, text);
	assert_int_equal(count(&f, 0), (N + 6) / 7);
	fixture_free(&f);
}

static int
pattern_near(struct fixture *f, const char *id, const char *pattern, const char *keyword, uint32_t within,
    struct err *err)
{
	struct span word = span_str(keyword);
	struct detector_pattern p = {
		.pattern = span_str(pattern),
		.near = { &word, keyword ? 1 : 0, within },
		.alone = CONFIDENCE_LOW,
		.with_near = CONFIDENCE_HIGH,
		.mask_last = 4,
	};

	return detectors_add_pattern(f->d, span_str(id), &p, err);
}

static void
test_pattern(void **state)
{
	struct fixture f = fixture_new();
	char far[400];

	assert_int_equal(pattern_near(&f, "inv", "\\bINV-\\d{4}-\\d{6}\\b", "factur\xc3\xa9", 20, NULL), 0);
	assert_int_equal(detectors_compile(f.d, NULL), 0);

	run_on(&f, "INV-2026-000123");
	assert_int_equal(count(&f, 0), 1);
	assert_int_equal(match(&f, 0, 0)->confidence, CONFIDENCE_LOW);
	assert_span(match(&f, 0, 0)->masked,
	    "\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2"
	    "\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2" "0123");

	run_on(&f, "inv-2026-000123 INV-2026-0001234 XINV-2026-000123");
	assert_int_equal(count(&f, 0), 0);

	run_on(&f, "Facture : INV-2026-000123 et INV-2026-000124, INV-2026-000123");
	assert_int_equal(count(&f, 0), 3);
	assert_true(match(&f, 0, 0)->value == match(&f, 0, 2)->value);
	assert_true(match(&f, 0, 0)->value != match(&f, 0, 1)->value);
	assert_int_equal(match(&f, 0, 0)->confidence, CONFIDENCE_HIGH);	/* whatever case and accent */
	assert_int_equal(match(&f, 0, 2)->confidence, CONFIDENCE_LOW);
	run_on(&f, "Factures : INV-2026-000123");
	assert_int_equal(match(&f, 0, 0)->confidence, CONFIDENCE_LOW);
	run_on(&f, "FACTUR\xc3\x89 : INV-2026-000123");
	assert_int_equal(match(&f, 0, 0)->confidence, CONFIDENCE_HIGH);

	/* 20 characters between them, and 21; before and behind. */
	snprintf(far, sizeof(far), "facture%20sINV-2026-000123", "");
	memset(far + 7, '.', 20);
	run_on(&f, far);
	assert_int_equal(match(&f, 0, 0)->confidence, CONFIDENCE_HIGH);
	snprintf(far, sizeof(far), "facture%21sINV-2026-000123", "");
	memset(far + 7, '.', 21);
	run_on(&f, far);
	assert_int_equal(match(&f, 0, 0)->confidence, CONFIDENCE_LOW);
	snprintf(far, sizeof(far), "INV-2026-000123%20sfacture", "");
	memset(far + 15, '.', 20);
	run_on(&f, far);
	assert_int_equal(match(&f, 0, 0)->confidence, CONFIDENCE_HIGH);
	snprintf(far, sizeof(far), "INV-2026-000123%21sfacture", "");
	memset(far + 15, '.', 21);
	run_on(&f, far);
	assert_int_equal(match(&f, 0, 0)->confidence, CONFIDENCE_LOW);

	/* Another surface is another text. */
	f.an.nsurfaces = 0;
	surface_add(&f, "facture");
	surface_add(&f, "INV-2026-000123");
	run(&f);
	assert_int_equal(count(&f, 0), 1);
	assert_int_equal(match(&f, 0, 0)->surface, 1);
	assert_int_equal(match(&f, 0, 0)->confidence, CONFIDENCE_LOW);
	fixture_free(&f);
}

/* Said nothing of confidence, a pattern counts as found; said "not alone", it needs its word. */
static void
test_pattern_confidence(void **state)
{
	struct fixture f = fixture_new();
	struct span word = SPAN_LIT("ref");
	struct detector_pattern bare = { .pattern = SPAN_LIT("Z\\d{5}") };
	struct detector_pattern tied = { .pattern = SPAN_LIT("Z\\d{5}"), .near = { &word, 1, 10 } };

	assert_int_equal(detectors_add_pattern(f.d, SPAN_LIT("bare"), &bare, NULL), 0);
	assert_int_equal(detectors_add_pattern(f.d, SPAN_LIT("tied"), &tied, NULL), 1);
	assert_int_equal(detectors_compile(f.d, NULL), 0);
	run_on(&f, "Z12345");
	assert_int_equal(match(&f, 0, 0)->confidence, CONFIDENCE_HIGH);
	assert_int_equal(count(&f, 1), 0);
	run_on(&f, "ref. Z12345");
	assert_int_equal(match(&f, 1, 0)->confidence, CONFIDENCE_HIGH);
	fixture_free(&f);
}

static void
test_pattern_unicode(void **state)
{
	struct fixture f = fixture_new();
	struct detector_pattern p[] = {
		{ .pattern = SPAN_LIT("(?i)stra\xc3\x9f" "e") },
		{ .pattern = SPAN_LIT("\\b\\w{4}\\b") },
		{ .pattern = SPAN_LIT("(?i)k\\d") },		/* U+212A is a k too */
		{ .pattern = SPAN_LIT("(?m)^end$") },
		{ .pattern = SPAN_LIT("a*") },			/* matches the empty text */
		{ .pattern = SPAN_LIT("(?<=x)\\d|\\d(?=y)") },
		{ .pattern = SPAN_LIT("(\\w)\\1\\1") },
	};

	for (size_t i = 0; i < sizeof(p) / sizeof(*p); i++)
		assert_int_equal(detectors_add_pattern(f.d, span_str(arena_printf(f.a, "p%zu", i)),
		    &p[i], NULL), i);
	assert_int_equal(detectors_compile(f.d, NULL), 0);
	run_on(&f, "STRA\xc3\x9f" "E \xc3\xa9t\xc3\xa9s \xe2\x84\xaa" "1 x1 2y 3z ooo aa\r\nend\r\nend");
	assert_int_equal(count(&f, 0), 1);
	assert_int_equal(count(&f, 1), 1);	/* étés */
	assert_int_equal(match(&f, 1, 0)->place.from, 8);
	assert_int_equal(count(&f, 2), 1);
	assert_int_equal(count(&f, 3), 2);
	assert_int_equal(count(&f, 4), 1);	/* "aa"; nothing empty */
	assert_int_equal(count(&f, 5), 2);
	assert_int_equal(count(&f, 6), 1);
	assert_false(f.found.undecided);
	fixture_free(&f);
}

static void
test_errors(void **state)
{
	struct fixture f = fixture_new();
	struct detector_pattern p = { .pattern = SPAN_LIT("a(b") };
	struct span word = SPAN_LIT("\xe2\x80\x8b");
	struct err err;

	assert_int_equal(detectors_add_pattern(f.d, SPAN_LIT("x"), &p, &err), -1);
	assert_non_null(strstr(err.text, "offset 3"));
	assert_non_null(strstr(err.text, "parenthesis"));
	p.pattern = SPAN_LIT("\xff");
	assert_int_equal(detectors_add_pattern(f.d, SPAN_LIT("x"), &p, &err), -1);
	assert_non_null(strstr(err.text, "UTF-8"));
	p.pattern = SPAN_LIT("");
	assert_int_equal(detectors_add_pattern(f.d, SPAN_LIT("x"), &p, &err), -1);
	p.pattern = SPAN_LIT("a\\Cb");		/* would cut characters */
	assert_int_equal(detectors_add_pattern(f.d, SPAN_LIT("x"), &p, &err), -1);
	assert_int_equal(detectors_add_words(f.d, SPAN_LIT("x"), &word, 1, &err), -1);
	assert_int_equal(detectors_add_words(f.d, SPAN_LIT("x"), &word, 0, &err), -1);
	assert_int_equal(detectors_add_builtin(f.d, SPAN_LIT("no-such"), &err), -1);
	assert_string_equal(err.text, "there is no built-in detector `no-such`");
	assert_int_equal(detectors_count(f.d), 0);	/* nothing of the failed ones stayed */
	assert_int_equal(detectors_add_builtin(f.d, SPAN_LIT("iban"), &err), 0);
	assert_int_equal(detectors_add_builtin(f.d, SPAN_LIT("iban"), &err), -1);
	assert_string_equal(err.text, "there are two detectors `iban`");
	assert_int_equal(detectors_find(f.d, SPAN_LIT("iban")), 0);
	assert_int_equal(detectors_find(f.d, SPAN_LIT("x")), -1);
	assert_span(detectors_id(f.d, 0), "iban");
	assert_int_equal(detectors_compile(f.d, &err), 0);
	fixture_free(&f);
}

/* Effort is bounded: what PCRE2 gives up on is undecided, and soon. */
static void
test_limits(void **state)
{
	struct fixture f = fixture_new();
	struct detector_pattern p[] = {
		{ .pattern = SPAN_LIT("(a+)+$") },
		{ .pattern = SPAN_LIT("[a-z]+\\d") },
		{ .pattern = SPAN_LIT("(x+x+)+y") },
		{ .pattern = SPAN_LIT("INV-\\d+") },
	};
	size_t n = 300000;
	char *text = arena_alloc(f.a, n + 1);

	for (size_t i = 0; i < sizeof(p) / sizeof(*p); i++)
		assert_int_equal(detectors_add_pattern(f.d, span_str(arena_printf(f.a, "p%zu", i)),
		    &p[i], NULL), i);
	assert_int_equal(detectors_compile(f.d, NULL), 0);
	run_on(&f, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa! INV-1");
	assert_true(f.found.undecided);
	assert_int_equal(f.found.undecided_detectors, 1);
	assert_int_equal(count(&f, 3), 1);	/* the others are not held up */

	/* Quadratic, were it not for the budget; and undecided only where it is hard. */
	memset(text, 'a', n);
	memcpy(text + n - 7, " INV-22", 7);
	text[n] = '\0';
	run_on(&f, text);
	assert_true(f.found.undecided);
	assert_true(f.found.undecided_detectors >= 1 && f.found.undecided_detectors <= 2);
	assert_int_equal(count(&f, 3), 1);

	/* The next message begins afresh. */
	run_on(&f, "abc1 INV-3");
	assert_false(f.found.undecided);
	assert_int_equal(count(&f, 1), 1);

	/* Hard in the middle, easy around: all of it is found. */
	memset(text, ' ', n);
	memcpy(text, "abc1", 4);
	memset(text + 100000, 'a', 3000);
	memcpy(text + n - 5, "abc1", 4);
	run_on(&f, text);
	assert_int_equal(count(&f, 1), 2);
	fixture_free(&f);
}

static void
test_matches_max(void **state)
{
	struct fixture f = fixture_new();
	struct detector_pattern p = { .pattern = SPAN_LIT("\\d") };
	size_t n = DETECT_MATCHES_MAX * 2;
	char *text = arena_alloc(f.a, n * 2 + 1);

	for (size_t i = 0; i < n; i++)
		memcpy(text + i * 2, "1 ", 2);
	text[n * 2] = '\0';
	WORDS(&f, "one", "1");
	assert_int_equal(detectors_add_pattern(f.d, SPAN_LIT("digit"), &p, NULL), 1);
	assert_int_equal(detectors_compile(f.d, NULL), 0);
	run_on(&f, text);
	assert_int_equal(count(&f, 0), DETECT_MATCHES_MAX);
	assert_int_equal(count(&f, 1), DETECT_MATCHES_MAX);
	fixture_free(&f);
}

/* Offsets are those of the decoded part, whatever the text was made of. */
static void
test_places(void **state)
{
	/* Decoded: "<b>facture</b> INV&#45;7&nbsp;<i>Z</i>"; text: "facture INV-7 Z". */
	static const struct offrun runs[] = {
		{ 0, 3, true }, { 7, 14, true }, { 11, 18, false }, { 12, 23, true }, { 13, 24, false },
		{ 14, 33, true },
	};
	struct fixture f = fixture_new();

	WORDS(&f, "word", "facture", "z");
	assert_int_equal(pattern_near(&f, "inv", "INV-\\d", "facture", 1, NULL), 1);
	assert_int_equal(pattern_near(&f, "dash", "INV-", "facture", 0, NULL), 2);
	assert_int_equal(detectors_compile(f.d, NULL), 0);
	f.texts[0] = (struct text){ SPAN_LIT("facture INV-7 Z"), { runs, 6 } };
	text_fold(f.a, &f.texts[0], &f.folded[0]);
	f.an.nsurfaces = 1;
	run(&f);
	assert_int_equal(count(&f, 0), 2);
	assert_int_equal(match(&f, 0, 0)->place.from, 3);
	assert_int_equal(match(&f, 0, 0)->place.to, 10);
	assert_int_equal(match(&f, 0, 1)->place.from, 33);
	assert_int_equal(match(&f, 1, 0)->place.from, 15);
	assert_int_equal(match(&f, 1, 0)->place.to, 24);
	assert_int_equal(match(&f, 1, 0)->confidence, CONFIDENCE_HIGH);	/* one space between */
	assert_int_equal(match(&f, 2, 0)->place.to, 23);	/* all of "&#45;" */
	assert_int_equal(match(&f, 2, 0)->confidence, CONFIDENCE_LOW);
	fixture_free(&f);
}

static void
test_mask(void **state)
{
	static const struct {
		const char *text, *masked;
	} cases[] = {
		{ "<abcdefgh>", "\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2" "fgh>" },
		{ "<ab cd>", "\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2 cd>" },
		/* Never more than half of it. */
		{ "<a>", "\xe2\x80\xa2\xe2\x80\xa2>" },
		{ "<\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9>", "\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2"
		    "\xc3\xa9\xc3\xa9\xc3\xa9>" },
	};
	struct fixture f = fixture_new();
	char longest[1000];

	assert_int_equal(pattern_near(&f, "x", "(?s)<.*?>", NULL, 0, NULL), 0);
	assert_int_equal(detectors_compile(f.d, NULL), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		run_on(&f, cases[i].text);
		assert_span(match(&f, 0, 0)->masked, cases[i].masked);
	}
	memset(longest, 'a', sizeof(longest));
	longest[0] = '<';
	memcpy(longest + 990, "\n\x01yz>", 6);
	run_on(&f, longest);
	assert_true(match(&f, 0, 0)->masked.n < 250);
	assert_true(span_starts(match(&f, 0, 0)->masked, SPAN_LIT("\xe2\x80\xa6")));
	assert_true(span_ends_nocase(match(&f, 0, 0)->masked, SPAN_LIT("\xe2\x80\xa2 \xe2\x80\xa2yz>")));
	fixture_free(&f);
}

/* Grouped by detector, in order of surface and place, and the same each time. */
static void
test_order(void **state)
{
	struct fixture f = fixture_new();
	struct detector_pattern p = { .pattern = SPAN_LIT("b+") };

	assert_int_equal(detectors_add_pattern(f.d, SPAN_LIT("p"), &p, NULL), 0);
	WORDS(&f, "w", "a b c", "b", "c");
	assert_int_equal(detectors_compile(f.d, NULL), 0);
	for (int pass = 0; pass < 2; pass++) {
		f.an.nsurfaces = 0;
		surface_add(&f, "a b c");
		surface_add(&f, "c b");
		run(&f);
		assert_int_equal(f.found.nmatches, 7);
		assert_int_equal(count(&f, 0), 2);
		assert_int_equal(count(&f, 1), 5);
		assert_int_equal(match(&f, 1, 0)->place.from, 0);	/* "a b c" ends behind "b" */
		assert_int_equal(match(&f, 1, 1)->place.from, 2);
		assert_int_equal(match(&f, 1, 2)->place.from, 4);
		assert_int_equal(match(&f, 1, 3)->surface, 1);
		assert_int_equal(match(&f, 1, 3)->place.from, 0);
	}
	fixture_free(&f);
}

static void
test_run_text(void **state)
{
	struct fixture f = fixture_new();
	struct detection out;

	WORDS(&f, "w", "alpha");
	assert_int_equal(pattern_near(&f, "p", "\\d{3}", "alpha", 5, NULL), 1);
	assert_int_equal(detectors_add_builtin(f.d, SPAN_LIT("iban"), NULL), 2);
	assert_int_equal(detectors_compile(f.d, NULL), 0);
	detectors_run_text(f.d, 1, SPAN_LIT("ALPHA 123 GB82 WEST 1234 5698 7654 32"), f.a, &out);
	assert_int_equal(out.first[1] - out.first[0], 0);
	assert_int_equal(out.first[2] - out.first[1], 4);
	assert_int_equal(out.matches[0].confidence, CONFIDENCE_HIGH);
	assert_int_equal(out.matches[3].confidence, CONFIDENCE_LOW);
	assert_int_equal(out.first[3] - out.first[2], 0);
	detectors_run_text(f.d, 0, SPAN_LIT("ALPHA 123"), f.a, &out);
	assert_int_equal(out.nmatches, 1);
	detectors_run_text(f.d, 2, SPAN_LIT("alpha 123 GB82 WEST 1234 5698 7654 32"), f.a, &out);
	assert_int_equal(out.nmatches, 1);
	detectors_run_text(f.d, 2, (struct span){ NULL, 0 }, f.a, &out);
	assert_int_equal(out.nmatches, 0);
	fixture_free(&f);
}

static void
test_empty(void **state)
{
	struct fixture f = fixture_new();

	assert_int_equal(detectors_compile(f.d, NULL), 0);
	run_on(&f, "anything 4111 1111 1111 1111");
	assert_int_equal(f.found.nmatches, 0);
	assert_int_equal(f.found.first[0], 0);
	assert_false(f.found.undecided);
	fixture_free(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_words_together),
		cmocka_unit_test(test_words_many),
		cmocka_unit_test(test_pattern),
		cmocka_unit_test(test_pattern_confidence),
		cmocka_unit_test(test_pattern_unicode),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_matches_max),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_mask),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_run_text),
		cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
