/* prefilter.h -- which of many patterns can match in a text, told by one walk over it.
 *
 * A Hyperscan (or Vectorscan) database of what all patterns have in common
 * with it. "May match" is confirmed by PCRE2; "may not" is final. Patterns it
 * refuses are left out, and so is everything on a processor it does not run on.
 */
#ifndef DETECT_PREFILTER_H
#define DETECT_PREFILTER_H

#include "postern/span.h"

struct prefilter;

/* NULL: nothing could be compiled. covered[i] is set for the patterns it knows. */
struct prefilter *prefilter_new(const struct span *patterns, size_t n, bool *covered);
void prefilter_free(struct prefilter **p);
/* Sets maybe[i] for the patterns that can match; clears it for other covered ones. */
void prefilter_search(const struct prefilter *p, struct span utf8, bool *maybe);

#endif
