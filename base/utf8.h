/* utf8.h -- is this UTF-8? One answer for everything that reads or shows text.
 *
 * Shortest forms only, no surrogates, nothing above U+10FFFF (RFC 3629).
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "postern/span.h"

/* Bytes of the character that begins at p (n bytes there, n > 0) and its code
 * point in *cp; 0 when the bytes are no character. */
static inline size_t
utf8_next(const char *text, size_t n, uint32_t *cp)
{
	const unsigned char *p = (const unsigned char *)text;
	uint32_t c = p[0], min;
	size_t len;

	if (c < 0x80) {
		*cp = c;
		return 1;
	}
	if (c >= 0xc2 && c <= 0xdf)
		len = 2, min = 0x80, c &= 0x1f;
	else if (c >= 0xe0 && c <= 0xef)
		len = 3, min = 0x800, c &= 0x0f;
	else if (c >= 0xf0 && c <= 0xf4)
		len = 4, min = 0x10000, c &= 0x07;
	else
		return 0;
	if (n < len)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < min || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*cp = c;
	return len;
}

#endif
