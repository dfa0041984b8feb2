/* av_stamp.h -- X-Postern-AV: the word of a hop that it has scanned a message and found it clean.
 *
 *	X-Postern-AV: v=1; t=1795000000; e=libclamav-1.4.6;
 *	 s=daily27850+main62+set0123456789abcdef+n8712345+opt0;
 *	 b=BASE64(SHA-256); m=BASE64(HMAC-SHA-256)
 *
 * t: when it was scanned, s: with which signatures and options (signatures.h), b: what was scanned
 * (av_stamp_body), m: over all of that with a secret that the hops share.
 *
 * Pure: no clock, no file. Who is to be believed is stamps.h's matter.
 */
#ifndef SCANNER_AV_STAMP_H
#define SCANNER_AV_STAMP_H

#include <stdbool.h>
#include <stdint.h>

#include "postern/arena.h"
#include "postern/span.h"

#define STAMP_NAME "X-Postern-AV"
#define STAMP_TEXT_MAX 1000		/* of the field's value, folding included */
#define STAMP_HASH 32

struct av_stamp {
	int64_t time;			/* Unix seconds */
	struct span engine, signatures;	/* of the characters that av_stamp_word lets be */
	unsigned char body[STAMP_HASH];
	unsigned char mac[STAMP_HASH];
};

/* Letters, digits and . _ - + : nothing that folding or quoting could touch. 1 to 200 of them. */
bool av_stamp_word(struct span s);
/* The value of the field. Strict: each tag once, in this order, nothing else. Texts go to the arena. */
bool av_stamp_parse(struct span value, struct arena *a, struct av_stamp *out);
/* The whole field with its line ends; the MAC is made. */
struct span av_stamp_make(struct av_stamp *s, struct span key, struct arena *a);
/* In constant time. */
bool av_stamp_genuine(const struct av_stamp *s, struct span key);

/* What a stamp is about: the body, to its last byte but for empty lines at the end, which a hop
 * may add, and the fields of the header that say how to read it (MIME-Version, Content-*): the same bytes
 * under another Content-Transfer-Encoding are another message to a scanner. */
void av_stamp_body(struct span message, unsigned char out[STAMP_HASH]);

/* The next field of that name in a header; from: 0, or behind the last one. Returns where it begins,
 * message.n when there is no more. end: behind its last line; value: behind the colon. */
size_t av_stamp_find(struct span message, size_t from, size_t *end, struct span *value);

#endif
