/* widen.h -- a pattern's wider twin: bytes instead of characters, no conditions.
 *
 * Whatever the PCRE2 pattern (UTF, UCP) matches in a valid UTF-8 text, the twin
 * matches there too, read byte by byte. The reverse does not hold.
 */
#ifndef DETECT_WIDEN_H
#define DETECT_WIDEN_H

#include "postern/arena.h"
#include "postern/span.h"

/* A C string, or NULL when the pattern uses what is not known here. The pattern is one that
 * PCRE2 accepted. */
char *pattern_widen(struct arena *a, struct span pattern);

#endif
