/* lexicon.c -- reads a file of weighted words; see lexicon.h. */
#include "lexicon.h"
#include "utf8.h"
#include "words.h"

struct reader {
	lexicon_problem *problem;
	void *ctx;
	struct span text;	/* the line in hand */
	uint32_t line;
};

static bool
say(const struct reader *r, struct span at, const char *hint, const char *text)
{
	size_t from = at.p ? (size_t)(at.p - r->text.p) : r->text.n;

	return r->problem(r->ctx, r->line, (uint32_t)from + 1, at.n ? (uint32_t)at.n : 1, hint, text);
}

bool
lexicon_number(struct span s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0, unit = LEXICON_UNIT;
	size_t i = 0;

	while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9' && v <= max)
		v = v * 10 + (uint64_t)(s.p[i++] - '0');
	if (i == 0 || v > max)
		return false;
	v *= LEXICON_UNIT;
	if (i < s.n && s.p[i] == '.') {
		if (++i == s.n)
			return false;
		for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9' && unit > 1; i++)
			v += (uint64_t)(s.p[i] - '0') * (unit /= 10);
	}
	if (i < s.n || v > max * LEXICON_UNIT)
		return false;
	*out = v;
	return true;
}

static bool
is_utf8(struct span s)
{
	for (size_t i = 0; i < s.n;) {
		uint32_t c;
		size_t n = utf8_next(s.p + i, s.n - i, &c);

		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

/* false: no more. */
static bool
bad_weight(const struct reader *r, struct span s)
{
	if (s.n == 0)
		return say(r, s, "as in: angine<TAB>3", "a word without a weight");
	if (s.p[0] == '-')
		return say(r, s, "whoever wants to hide the others could add this word",
		    "a weight below 0");
	return say(r, s, "a number from 0 to 1000, as 3 or 2.5", "this is no weight");
}

static bool
no_tab(const struct reader *r, struct span line)
{
	size_t i = line.n;

	while (i > 0 && ((line.p[i - 1] >= '0' && line.p[i - 1] <= '9') || line.p[i - 1] == '.'))
		i--;
	if (i < line.n && i > 0 && line.p[i - 1] == ' ')
		return say(r, span_from(line, i), "put a tab in front of the weight",
		    "between word and weight stands no tab");
	return say(r, line, "as in: angine<TAB>3", "a word without a weight");
}

/* false: no more. */
static bool
read_line(struct reader *r, struct lexicon_term *t, bool *good)
{
	size_t tab = span_find(r->text, '\t');
	struct span word = span_trim(span_sub(r->text, 0, tab)), weight;
	uint64_t v;

	*good = false;
	if (span_trim(r->text).n == 0 || span_trim(r->text).p[0] == '#')
		return true;
	if (!is_utf8(r->text))
		return say(r, r->text, "save it in UTF-8", "this line is not UTF-8");
	if (tab == r->text.n)
		return no_tab(r, span_trim(r->text));
	weight = span_from(r->text, tab + 1);
	weight = span_trim(span_sub(weight, 0, span_find(weight, '#')));
	if (word.n == 0)
		return say(r, word, NULL, "a weight without a word");
	if (word.n > WORD_BYTES_MAX)
		return say(r, word, NULL, "a word of more than 1024 bytes");
	if (!lexicon_number(weight, LEXICON_WEIGHT_MAX, &v))
		return bad_weight(r, weight);
	*t = (struct lexicon_term){ word, (uint32_t)v, r->line };
	*good = true;
	return true;
}

void
lexicon_parse(struct arena *a, struct span text, lexicon_problem *problem, void *ctx,
    struct lexicon *out)
{
	struct reader r = { .problem = problem, .ctx = ctx };
	size_t cap = 0;
	bool good;

	*out = (struct lexicon){ 0 };
	if (span_starts(text, SPAN_LIT("\xef\xbb\xbf")))
		text = span_from(text, 3);
	while (text.n) {
		size_t end = span_find(text, '\n');

		r.line++;
		r.text = span_sub(text, 0, end);
		text = span_from(text, end + 1);
		if (out->n == LEXICON_TERMS_MAX) {
			say(&r, r.text, NULL, "more than 500000 words");
			return;
		}
		if (out->n == cap) {
			size_t was = cap;

			cap = cap ? cap * 2 : 64;
			out->terms = arena_grow(a, out->terms, was * sizeof(*out->terms),
			    cap * sizeof(*out->terms));
		}
		if (!read_line(&r, &out->terms[out->n], &good))
			return;
		out->n += good;
	}
}
