/* evidence.h -- the place of a match in the decoded part, and its masked text.
 *
 * Evidence is confidential: what leaves this library is bullets.
 */
#ifndef DETECT_EVIDENCE_H
#define DETECT_EVIDENCE_H

#include "postern/anatomy.h"
#include "postern/arena.h"
#include "postern/verdict.h"

/* The decoded bytes behind [from, to) of the text: up to the end of what the last character
 * was made of, which may be longer than it (an HTML entity). to > from. */
struct place evidence_place(const struct text *t, size_t from, size_t to);
/* The first offset of the text that was made from decoded offset `origin` or what follows. */
size_t evidence_offset(const struct text *t, size_t origin);
/* Bullets for all but the last characters; blanks are kept. At most half is shown. */
struct span evidence_mask(struct arena *a, struct span s, unsigned last);

#endif
