/* lexicon.h -- a file of weighted words.
 *
 * A line is a word or phrase, a tab, and its weight: a number from 0 to
 * LEXICON_WEIGHT_MAX, with up to three digits behind a point. Lines that begin
 * with `#` are comments, and so is a `#` behind the weight. A weight below 0 is
 * refused: words that lower the score could be added by who wants to hide it.
 */
#ifndef DETECT_LEXICON_H
#define DETECT_LEXICON_H

#include "postern/arena.h"
#include "postern/span.h"

#define LEXICON_WEIGHT_MAX 1000
#define LEXICON_UNIT 1000	/* weights and scores are counted in thousandths */
#define LEXICON_TERMS_MAX 500000

struct lexicon_term {
	struct span word;	/* as written, borrowed */
	uint32_t weight;	/* in LEXICON_UNIT; 0 has no effect */
	uint32_t line;
};

struct lexicon {
	struct lexicon_term *terms;	/* in the arena */
	size_t n;
};

/* What is wrong in a line; column and width in bytes, 1-based. hint may be NULL. false: stop. */
typedef bool lexicon_problem(void *ctx, uint32_t line, uint32_t column, uint32_t width,
    const char *hint, const char *text);
/* Good lines are in out whatever the others are. */
void lexicon_parse(struct arena *a, struct span text, lexicon_problem *problem, void *ctx,
    struct lexicon *out);
/* "15", "2.5" in LEXICON_UNIT; false: it is none, or more than max. */
bool lexicon_number(struct span s, uint64_t max, uint64_t *out);

#endif
