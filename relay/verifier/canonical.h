/* canonical.h -- both canonicalisations of DKIM (RFC 6376, 3.4) and what is hashed of them.
 *
 * The signer has its own, relaxed only and quick; these also count, and stop at l=.
 */
#ifndef VERIFIER_CANONICAL_H
#define VERIFIER_CANONICAL_H

#include "buf.h"
#include "postern/span.h"

/* SHA-256 of the body, of its first `limit` canonical bytes (UINT64_MAX: of all); *length: how
 * many it has in all. md NULL: only count. -1: the hash could not be made. */
int canonical_body(struct span body, bool relaxed, uint64_t limit, unsigned char md[32],
    uint64_t *length);
/* Appends one field, which has no CRLF at its end, without one. */
void canonical_field(struct buf *out, struct span field, bool relaxed);
/* The same with the value of b= taken out (3.5, 3.7). */
void canonical_own_field(struct buf *out, struct span field, bool relaxed);

#endif
