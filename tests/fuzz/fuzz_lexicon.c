/* fuzz_lexicon.c -- any bytes as a lexicon, searched in a text made of themselves.
 *
 * Invariants: a line is a term, a problem, or neither; what is said of a line stands within it; no score
 * exceeds what all terms together can give, and a part's never the message's.
 */
#include <stdint.h>

#include "detect/detect.h"
#include "detect/lexicon.h"
#include "postern/err.h"
#include "utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	struct span text;
	uint32_t nlines, problems, last;
};

static bool
problem(void *ctx, uint32_t line, uint32_t column, uint32_t width, const char *hint, const char *text)
{
	struct seen *s = ctx;
	struct span rest = s->text;

	ASSERT(line >= s->last && line <= s->nlines && column >= 1 && width >= 1 && *text);
	for (uint32_t i = 1; i < line; i++)
		rest = span_from(rest, span_find(rest, '\n') + 1);
	ASSERT(column <= span_find(rest, '\n') + 1);
	s->last = line;
	s->problems++;
	return s->problems < 100;
}

static void
search(struct arena *a, const struct lexicon *x, struct span text)
{
	struct detector_term *terms = arena_array(a, x->n, sizeof(*terms));
	struct detector_lexicon l = { .terms = terms, .nterms = x->n, .medium = LEXICON_UNIT,
		.high = 2 * LEXICON_UNIT, .distinct = 2 };
	struct detectors *d = detectors_new();
	struct text texts[2] = { { .s = text }, { .s = text } };
	struct surface surfaces[2] = { { .where = WHERE_BODY, .text = &texts[0] },
		{ .where = WHERE_BODY, .part = 1, .text = &texts[1] } };
	struct anatomy an = { .surfaces = surfaces, .nsurfaces = 2 };
	struct detection out;
	struct grade_reach reach;
	uint64_t amount[2] = { 0 }, all = 0;

	for (size_t i = 0; i < x->n; i++)
		terms[i] = (struct detector_term){ x->terms[i].word, x->terms[i].weight };
	ASSERT(detectors_add_lexicon(d, SPAN_LIT("x"), &l, NULL) == 0);
	ASSERT(detectors_compile(d, NULL) == 0);
	ASSERT(detectors_reach(d, 0, &reach) && reach.things <= x->n);
	detectors_run(d, &an, a, &out);
	for (size_t i = 0; i < out.ngrades; i++) {
		const struct grade *g = &out.grades[i];

		ASSERT(g->subject == 0 && g->amount <= reach.amount && g->distinct <= reach.things);
		*(g->part == GRADE_MESSAGE ? &all : &amount[g->part]) = g->amount;
	}
	/* the same text twice is worth no more than once */
	ASSERT(amount[0] == amount[1] && all == amount[0]);
	ASSERT((out.nmatches > 0) == (all > 0));
	for (size_t i = 0; i < out.nmatches; i++)
		ASSERT(out.matches[i].confidence == (out.grades[0].distinct < 2 || all < LEXICON_UNIT ?
		    CONFIDENCE_LOW : all < 2 * LEXICON_UNIT ? CONFIDENCE_MEDIUM : CONFIDENCE_HIGH));
	detectors_free(&d);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(0);
	struct seen seen = { .text = span_make((const char *)data, size), .nlines = 1 };
	struct lexicon x;
	char *text;
	size_t n = 0;

	if (size > 64 << 10)
		size = 64 << 10, seen.text.n = size;
	for (size_t i = 0; i < size; i++)
		seen.nlines += data[i] == '\n';
	if (span_starts(seen.text, SPAN_LIT("\xef\xbb\xbf")))
		seen.text = span_from(seen.text, 3);
	lexicon_parse(a, span_make((const char *)data, size), problem, &seen, &x);
	ASSERT(x.n + seen.problems <= seen.nlines);
	for (size_t i = 0; i < x.n; i++) {
		ASSERT(x.terms[i].word.n > 0 && x.terms[i].weight <= LEXICON_WEIGHT_MAX * LEXICON_UNIT);
		ASSERT(i == 0 || x.terms[i].line > x.terms[i - 1].line);
	}
	text = arena_alloc(a, size + 1);	/* what is no UTF-8 is no text */
	for (size_t i = 0; i < size;) {
		uint32_t c;
		size_t len = utf8_next((const char *)data + i, size - i, &c);

		if (len)
			memcpy(text + n, data + i, len);
		n += len;
		i += len ? len : 1;
	}
	search(a, &x, span_make(text, n));
	arena_free(&a);
	return 0;
}
