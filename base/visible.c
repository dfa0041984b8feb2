/* visible.c -- see visible.h. */
#include <stdio.h>

#include "utf8.h"
#include "visible.h"

bool
visible_hides(uint32_t c)
{
	return c < ' ' || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x34f || c == 0x61c ||
	    c == 0x115f || c == 0x1160 || c == 0x17b4 || c == 0x17b5 || (c >= 0x180b && c <= 0x180e) ||
	    (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	    (c >= 0x2060 && c <= 0x206f) || c == 0x3164 || (c >= 0xfe00 && c <= 0xfe0f) ||
	    c == 0xfeff || c == 0xffa0 || (c >= 0xfff0 && c <= 0xfffb) ||
	    (c >= 0xe0000 && c <= 0xe0fff);
}

bool
visible_put(struct buf *b, struct span s, bool lines, size_t max)
{
	size_t used = 0;

	for (size_t i = 0, n; i < s.n; i += n) {
		uint32_t c = 0;
		char out[16];
		size_t len;

		n = utf8_next(s.p + i, s.n - i, &c);
		if (n == 0) {
			n = 1;
			len = (size_t)snprintf(out, sizeof(out), "\xef\xbf\xbd");
		} else if (c == '\r' && i + 1 < s.n && s.p[i + 1] == '\n') {
			continue;
		} else if (c == '\n' || c == '\r' || c == '\t') {
			len = 1;
			out[0] = !lines ? ' ' : c == '\t' ? '\t' : '\n';
		} else if (visible_hides(c)) {
			len = (size_t)snprintf(out, sizeof(out), "[U+%04X]", c);
		} else {
			len = n;
			memcpy(out, s.p + i, n);
		}
		if (used + len > max)
			return false;
		buf_put(b, out, len);
		used += len;
	}
	return true;
}
