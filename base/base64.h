/* base64.h -- base64 to the letter (RFC 4648, 4): for protocols, not for mail bodies. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "buf.h"

/* Appends. -1: a byte outside the alphabet, wrong or missing padding, bits left over that are
 * not zero, or the buffer's maximum. The empty text is the empty text. */
int base64_decode(struct buf *out, struct span text);
/* The same without padding at the end, as hashes are written. */
int base64_decode_bare(struct buf *out, struct span text);
void base64_encode(struct buf *out, struct span bytes, bool padding);

#endif
