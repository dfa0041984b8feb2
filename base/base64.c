/* base64.c -- base64 to the letter; see base64.h.
 *
 * Strict, because two ways to write the same credentials are two ways to get
 * past whoever compares them.
 */
#include "base64.h"

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int
value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int
base64_decode_bare(struct buf *out, struct span s)
{
	uint32_t bits = 0;
	int have = 0;

	if (s.n % 4 == 1)
		return -1;
	for (size_t i = 0; i < s.n; i++) {
		int v = value(s.p[i]);

		if (v == -1)
			return -1;
		bits = bits << 6 | (uint32_t)v;
		have += 6;
		if (have >= 8) {
			have -= 8;
			if (buf_putc(out, (char)(bits >> have & 0xff)) == -1)
				return -1;
		}
	}
	return (bits & ((1u << have) - 1)) == 0 ? 0 : -1;
}

int
base64_decode(struct buf *out, struct span s)
{
	if (s.n % 4)
		return -1;
	for (int i = 0; i < 2 && s.n && s.p[s.n - 1] == '='; i++)
		s.n--;
	return base64_decode_bare(out, s);
}

void
base64_encode(struct buf *out, struct span s, bool padding)
{
	for (size_t i = 0; i < s.n; i += 3) {
		size_t k = s.n - i < 3 ? s.n - i : 3;
		uint32_t v = 0;

		for (size_t j = 0; j < 3; j++)
			v = v << 8 | (j < k ? (unsigned char)s.p[i + j] : 0);
		for (size_t j = 0; j < 4; j++) {
			if (j <= k)
				buf_putc(out, alphabet[v >> (18 - 6 * j) & 63]);
			else if (padding)
				buf_putc(out, '=');
		}
	}
}
