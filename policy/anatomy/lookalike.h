/* lookalike.h -- letters of other scripts that people take for Latin ones. */
#ifndef ANATOMY_LOOKALIKE_H
#define ANATOMY_LOOKALIKE_H

#include <stddef.h>
#include <stdint.h>

/* The small Latin letter that c looks like, 0 when it looks like none. */
char lookalike_latin(uint32_t c);
/* Does a word that mixes Latin letters with look-alikes, and nothing else, stand at p[at]? *end:
 * where the run of letters ends. before: a Latin letter stands in front. Linear in the word. */
int lookalike_word(const char *p, size_t n, size_t at, int before, size_t *end);

#endif
