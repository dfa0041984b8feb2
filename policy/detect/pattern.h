/* pattern.h -- one PCRE2 pattern, searched with bounded effort.
 *
 * Patterns see UTF with Unicode properties; a new line is CR, LF or CRLF.
 * Empty matches do not count. What PCRE2 gives up on is undecided, never
 * "no match".
 */
#ifndef DETECT_PATTERN_H
#define DETECT_PATTERN_H

#include "postern/err.h"
#include "postern/span.h"

struct pattern;
struct pattern_scratch;		/* match data and stacks: one for each set, shared by its patterns */

#define PATTERN_BYTES_MAX 8192
/* Steps of PCRE2's match limit; one is 1 to 4 ns of compiled code. */
#define PATTERN_STEPS_START UINT32_C(1000000)	/* at one starting place */
#define PATTERN_STEPS_TEXT INT64_C(100000000)	/* of hard places in one text */

/* NULL with what PCRE2 said and the offset. */
struct pattern *pattern_new(struct span source, struct err *err);
void pattern_free(struct pattern **p);
struct pattern_scratch *pattern_scratch_new(void);
void pattern_scratch_free(struct pattern_scratch **s);

/* The bytes that occur in a text, to rule patterns out without a search. */
struct byteset {
	bool has[256];
};
void byteset_of(struct byteset *b, struct span text);
/* false: cannot match in a text with these bytes only. */
bool pattern_possible(const struct pattern *p, const struct byteset *b);

/* Called for each match in order of place; false stops the search. */
typedef bool pattern_hit(void *ctx, size_t from, size_t to);
/* false: undecided (the hits until then count). text is valid UTF-8. *steps is what may still be
 * spent on hard places; it falls. */
bool pattern_search(const struct pattern *p, struct pattern_scratch *s, struct span text,
    int64_t *steps, pattern_hit *hit, void *ctx);

#endif
