/* lzfu.c -- compressed RTF ([MS-OXRTFCP]): LZ77 over a ring of 4,096 bytes; see anatomy/lzfu.h.
 *
 * A run of up to eight tokens follows each control byte, the lowest bit first: 0 a byte, 1 a
 * reference of 16 bits, big-endian: 12 of the place in the ring, 4 of the length less two. The
 * reference to the place that is written next is the end. The ring begins with what most RTF
 * begins with. Sizes that the header tells are not believed: the input's end and max rule.
 */
#include "anatomy/lzfu.h"

#include <zlib.h>

#define HEADER 16
#define RING 4096u
#define COMPRESSED 0x75465a4cu		/* "LZFu" */
#define UNCOMPRESSED 0x414c454du	/* "MELA" */

/* [MS-OXRTFCP], 2.1.2.1 */
static const char prefill[] =
    "{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}"
    "{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor MS Sans SerifSymbolArialTimes New "
    "RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx";

static uint32_t
le32(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return u[0] | (uint32_t)u[1] << 8 | (uint32_t)u[2] << 16 | (uint32_t)u[3] << 24;
}

/* CRC-32 that begins with 0 and is not inverted at its end. */
static uint32_t
checksum(struct span s)
{
	uLong crc = 0xffffffff;

	for (size_t at = 0; at < s.n; at += 1u << 30)
		crc = crc32(crc, (const Bytef *)s.p + at,
		    (uInt)(s.n - at < 1u << 30 ? s.n - at : 1u << 30));
	return (uint32_t)crc ^ 0xffffffff;
}

/* A token gives 17 bytes at most, from two. */
static size_t
size_most(size_t in, size_t max)
{
	size_t most = in / 2 >= SIZE_MAX / 17 - 1 ? SIZE_MAX : (in / 2 + 1) * 17;

	return most < max ? most : max;
}

static struct span
inflate_tokens(struct arena *a, struct span in, size_t told, size_t max, bool *broken, bool *cut)
{
	const unsigned char *p = (const unsigned char *)in.p;
	char ring[RING];
	size_t most = size_most(in.n, max), cap = told < most ? told : most, n = 0, i = 0;
	unsigned w = sizeof(prefill) - 1;
	char *out = arena_alloc(a, cap);

	memset(ring, 0, sizeof(ring));
	memcpy(ring, prefill, sizeof(prefill) - 1);
	while (i < in.n) {
		unsigned control = p[i++];

		for (unsigned bit = 0; bit < 8 && i < in.n; bit++, control >>= 1) {
			unsigned from = w, count = 1;

			if (control & 1) {
				if (in.n - i < 2)
					goto end;
				from = (unsigned)p[i] << 4 | p[i + 1] >> 4;
				count = (p[i + 1] & 15u) + 2;
				i += 2;
				if (from == w) {
					*broken |= n != told;
					return span_make(out, n);
				}
			} else {
				ring[w] = (char)p[i++];
			}
			if (n + count > cap) {	/* more than the header told */
				size_t more = cap * 2 + 4096 < most ? cap * 2 + 4096 : most;

				if (n + count > more) {
					*cut = true;
					return span_make(out, n);
				}
				out = arena_grow(a, out, cap, more);
				cap = more;
			}
			while (count--) {
				char c = ring[from];

				ring[w] = out[n++] = c;
				w = (w + 1) % RING;
				from = (from + 1) % RING;
			}
		}
	}
end:
	*broken = true;		/* no end mark */
	return span_make(out, n);
}

bool
lzfu_decode(struct arena *a, struct span in, size_t max, struct span *out, bool *broken, bool *cut)
{
	uint32_t size, told, magic;

	*broken = *cut = false;
	if (in.n < HEADER)
		return false;
	size = le32(in.p);	/* of what follows it, so 12 more than the tokens */
	told = le32(in.p + 4);
	magic = le32(in.p + 8);
	if (magic != COMPRESSED && magic != UNCOMPRESSED)
		return false;
	if (size < HEADER - 4 || size - (HEADER - 4) > in.n - HEADER)
		*broken = true;
	else
		in.n = size + 4;
	if (magic == COMPRESSED) {
		*broken |= checksum(span_from(in, HEADER)) != le32(in.p + 12);
		*out = inflate_tokens(a, span_from(in, HEADER), told, max, broken, cut);
		return true;
	}
	*out = span_from(in, HEADER);
	if (told < out->n)
		out->n = told;
	if (out->n > max) {
		out->n = max;
		*cut = true;
	}
	return true;
}
