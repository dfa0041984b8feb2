/* fuzz_detect.c -- any text against all built-ins, words and patterns.
 *
 * Invariants: matches are grouped, ordered and bounded; places lie in the text and are not
 * empty; what is masked is UTF-8 and shorter than the bound; two runs agree. */
#include <stdint.h>
#include <stdlib.h>

#include "buf.h"
#include "detect/detect.h"
#include "postern/fingerprint.h"
#include "postern/anatomy.h"
#include "postern/err.h"
#include "utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Two lexicons, one of them with words near, and an index of two short documents. */
static void
graded(struct detectors *d, const struct span *words)
{
	static const struct detector_term terms[] = { { { "a", 1 }, 1000 }, { { "confidentiel", 12 }, 7500 },
		{ { "b c", 3 }, 1 }, { { "A", 1 }, 2000 } };
	struct detector_lexicon l = { .terms = terms, .nterms = 4, .medium = 3000, .high = 9000, .distinct = 2 };
	struct detector_fingerprints f = { .medium = 3000, .high = 6000 };
	struct fingerprint_maker *m = fingerprint_maker_new((const uint8_t *)"0123456789abcdef");
	static struct buf b;

	ASSERT(detectors_add_lexicon(d, SPAN_LIT("lexicon"), &l, NULL) >= 0);
	l.near = (struct detector_near){ words + 1, 2, 5 };
	ASSERT(detectors_add_lexicon(d, SPAN_LIT("lexicon near"), &l, NULL) >= 0);
	fingerprint_maker_text(m, SPAN_LIT("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
	fingerprint_maker_put(m, SPAN_LIT("aaa"), 0, false);
	fingerprint_maker_text(m, SPAN_LIT("invoice inv 2026 000123 of the confidential project aurora and what it has cost until today"));
	fingerprint_maker_put(m, SPAN_LIT("invoice"), 0, false);
	buf_init(&b, 1 << 20);
	ASSERT(fingerprint_maker_write(m, 0, &b, NULL) == 0);
	fingerprint_maker_free(&m);
	f.index = buf_data(&b);
	ASSERT(detectors_add_fingerprints(d, SPAN_LIT("documents"), &f, NULL) >= 0);
}

static struct detectors *
make(void)
{
	static const char *const patterns[] = { "\\bINV-\\d{4}-\\d{6}\\b", "(?i)secret.{0,20}key",
		"(\\w+)\\s\\1", "(?<!\\d)\\d{6}(?!\\d)", "(a+)+$" };
	struct span words[] = { SPAN_LIT("a"), SPAN_LIT("ab"), SPAN_LIT("b c"), SPAN_LIT("confidentiel"),
		SPAN_LIT("c++") };
	struct detectors *d = detectors_new();
	char id[] = "p0";

	for (size_t i = 0; detector_builtin(i, NULL); i++)
		ASSERT(detectors_add_builtin(d, span_str(detector_builtin(i, NULL)), NULL) >= 0);
	ASSERT(detectors_add_words(d, SPAN_LIT("words"), words, 5, NULL) >= 0);
	ASSERT(detectors_add_listed(d, SPAN_LIT("near"), &(struct detector_words){ .words = words, .nwords = 5,
	    .near = { words + 2, 3, 10 }, .alone = CONFIDENCE_LOW }, NULL) >= 0);
	graded(d, words);
	for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++, id[1]++) {
		struct detector_pattern p = { .pattern = span_str(patterns[i]), .near = { words, 5, 10 },
			.alone = CONFIDENCE_LOW, .mask_last = (unsigned)i };

		ASSERT(detectors_add_pattern(d, span_str(id), &p, NULL) >= 0);
	}
	ASSERT(detectors_compile(d, NULL) == 0);
	return d;
}

/* What is not UTF-8 becomes '?': surfaces are always valid. */
static struct span
clean(struct arena *a, const uint8_t *data, size_t size)
{
	char *out = arena_alloc(a, size);
	size_t i = 0;

	while (i < size) {
		uint32_t c;
		size_t n = utf8_next((const char *)data + i, size - i, &c);

		if (n == 0) {
			out[i++] = '?';
			continue;
		}
		memcpy(out + i, data + i, n);
		i += n;
	}
	return (struct span){ out, size };
}

static void
check(const struct detectors *d, const struct detection *out, size_t size, size_t surfaces)
{
	ASSERT(out->first[0] == 0 && out->first[detectors_count(d)] == out->nmatches);
	for (size_t k = 0; k < detectors_count(d); k++) {
		ASSERT(out->first[k] <= out->first[k + 1]);
		ASSERT(out->first[k + 1] - out->first[k] <= DETECT_MATCHES_MAX);
		for (size_t i = out->first[k]; i < out->first[k + 1]; i++) {
			const struct match *m = &out->matches[i], *before = m - 1;

			ASSERT(m->detector == k && m->surface < surfaces);
			ASSERT(m->confidence > CONFIDENCE_NONE && m->confidence <= CONFIDENCE_HIGH);
			ASSERT(m->place.from < m->place.to && m->place.to <= size);
			ASSERT(m->masked.n > 0 && m->masked.n <= 64 * 4 + 3);
			for (size_t j = 0; j < m->masked.n;) {
				uint32_t c;
				size_t n = utf8_next(m->masked.p + j, m->masked.n - j, &c);

				ASSERT(n > 0);
				j += n;
			}
			ASSERT(i == out->first[k] || before->surface < m->surface ||
			    (before->surface == m->surface && before->place.from <= m->place.from));
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct detectors *d;
	struct arena *a = arena_new(0);
	struct text text[2], folded[2] = { { { 0 } } };
	struct surface surfaces[2];
	struct anatomy an = { .surfaces = surfaces, .nsurfaces = 2 };
	struct detection one, two;
	size_t half = size / 2;

	if (d == NULL)
		d = make();
	text[0] = (struct text){ .s = clean(a, data, half) };
	text[1] = (struct text){ .s = clean(a, data + half, size - half) };
	for (size_t i = 0; i < 2; i++)
		surfaces[i] = (struct surface){ .where = WHERE_BODY, .text = &text[i], .folded = &folded[i] };
	detectors_run(d, &an, a, &one);
	check(d, &one, size - half, 2);
	detectors_run(d, &an, a, &two);
	ASSERT(one.nmatches == two.nmatches && one.undecided == two.undecided);
	ASSERT(one.ngrades == two.ngrades);
	for (size_t i = 0; i < one.ngrades; i++)
		ASSERT(one.grades[i].amount == two.grades[i].amount &&
		    one.grades[i].confidence == two.grades[i].confidence);
	for (size_t i = 0; i < one.nmatches; i++)
		ASSERT(one.matches[i].value == two.matches[i].value &&
		    one.matches[i].place.from == two.matches[i].place.from);
	if (size > 0) {
		size_t only = data[0] % detectors_count(d);

		detectors_run_text(d, only, text[1].s, a, &two);
		check(d, &two, size - half, 1);
		ASSERT(two.nmatches == two.first[only + 1] - two.first[only]);
	}
	arena_free(&a);
	return 0;
}
