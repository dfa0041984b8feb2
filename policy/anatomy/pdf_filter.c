/* pdf_filter.c -- the filters of PDF streams that hold text (ISO 32000-1, 7.4); see anatomy/pdf.h.
 *
 * What broke off is kept: readers show it too. Filters of pictures (DCT, JPX,
 * CCITT, JBIG2) are refused.
 */
#include "anatomy/pdf.h"

#include <zlib.h>

#include "anatomy/decode.h"

static double
parameter(struct pdf *pdf, struct span p, const char *key, double usual)
{
	struct pdf_value v = pdf_get(pdf, p, key);

	return v.kind == PDF_NUMBER ? v.number : usual;
}

static bool
flate(struct span in, struct pour *o)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)in.p, .avail_in = (uInt)in.n };
	int rc = Z_OK;

	if (inflateInit(&z) != Z_OK)
		return false;
	while (rc == Z_OK) {
		size_t room;
		char *to = pour_room(o, &room);

		if (to == NULL)
			break;
		if (room > 1u << 20)
			room = 1u << 20;
		z.next_out = (Bytef *)to;
		z.avail_out = (uInt)room;
		rc = inflate(&z, Z_NO_FLUSH);
		pour_took(o, room - z.avail_out);
	}
	inflateEnd(&z);
	return o->n > 0 || rc == Z_STREAM_END;
}

/* LZW with codes of 9 to 12 bits, the first bit first. */
#define LZW_CODES 4096
static void
lzw(struct span in, bool early, struct pour *o)
{
	struct { uint16_t prefix; uint8_t c; uint16_t length; } table[LZW_CODES];
	unsigned next = 258, bits = 9, have = 0, last = LZW_CODES;
	uint32_t acc = 0;
	char out[LZW_CODES];

	for (unsigned i = 0; i < 256; i++) {
		table[i].prefix = 0;
		table[i].c = (uint8_t)i;
		table[i].length = 1;
	}
	for (size_t at = 0; at < in.n || have >= bits;) {
		unsigned code, c, n;

		while (have < bits && at < in.n) {
			acc = acc << 8 | (unsigned char)in.p[at++];
			have += 8;
		}
		if (have < bits)
			return;
		code = acc >> (have - bits) & ((1u << bits) - 1);
		have -= bits;
		if (code == 257)
			return;
		if (code == 256) {
			next = 258;
			bits = 9;
			last = LZW_CODES;
			continue;
		}
		if (code >= next + (last != LZW_CODES) || (code >= 256 && code < 258))
			return;
		/* The one code that is used before it is made: last and its own first byte. */
		c = code < next ? code : last;
		n = table[c].length;
		for (unsigned i = n, k = c; i-- > 0; k = table[k].prefix)
			out[i] = (char)table[k].c;
		if (code >= next)
			out[n++] = out[0];
		if (last != LZW_CODES && next < LZW_CODES) {
			table[next].prefix = (uint16_t)last;
			table[next].c = (uint8_t)out[0];
			table[next].length = (uint16_t)(table[last].length + 1);
			next++;
		}
		if (!pour_put(o, out, n < LZW_CODES ? n : LZW_CODES - 1))
			return;
		last = code < next ? code : LZW_CODES;
		while (bits < 12 && next + (early ? 1 : 0) >= 1u << bits)
			bits++;
	}
}

static void
ascii85(struct span in, struct pour *o)
{
	uint32_t group = 0;
	unsigned n = 0;

	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i], out[4];

		if (c == '~')
			break;
		if (c == 'z' && n == 0) {
			if (!pour_put(o, "\0\0\0\0", 4))
				return;
			continue;
		}
		if (c < '!' || c > 'u')
			continue;
		group = group * 85 + (uint32_t)(c - '!');
		if (++n < 5)
			continue;
		for (unsigned k = 0; k < 4; k++)
			out[k] = (char)(group >> (24 - 8 * k));
		if (!pour_put(o, out, 4))
			return;
		group = 0;
		n = 0;
	}
	if (n > 1) {
		char out[4];
		unsigned had = n;

		for (; n < 5; n++)
			group = group * 85 + 84;
		for (unsigned k = 0; k + 1 < had; k++)
			out[k] = (char)(group >> (24 - 8 * k));
		pour_put(o, out, had - 1);
	}
}

static void
ascii_hex(struct span in, struct pour *o)
{
	int high = -1;

	for (size_t i = 0; i < in.n && in.p[i] != '>'; i++) {
		int d = hex_value(in.p[i]);
		char c;

		if (d < 0)
			continue;
		if (high < 0) {
			high = d;
			continue;
		}
		c = (char)(high << 4 | d);
		high = -1;
		if (!pour_put(o, &c, 1))
			return;
	}
}

static void
run_length(struct span in, struct pour *o)
{
	for (size_t i = 0; i < in.n;) {
		unsigned n = (unsigned char)in.p[i++];
		char same[129];

		if (n == 128)
			return;
		if (n < 128) {
			struct span s = span_sub(in, i, n + 1);

			if (!pour_put(o, s.p, s.n))
				return;
			i += n + 1;
		} else if (i < in.n) {
			memset(same, in.p[i++], 257 - n);
			if (!pour_put(o, same, 257 - n))
				return;
		}
	}
}

/* PNG's predictors, in place (PNG specification, 9): each row has a byte for its kind. */
static struct span
unpredict(struct pdf *pdf, struct span p, struct span s)
{
	double predictor = parameter(pdf, p, "Predictor", 1);
	double colors = parameter(pdf, p, "Colors", 1), depth = parameter(pdf, p, "BitsPerComponent", 8);
	double columns = parameter(pdf, p, "Columns", 1);
	size_t pixel, row, n = 0;
	char *out = (char *)(uintptr_t)s.p;

	if (predictor < 10 || colors < 1 || colors > 32 || depth < 1 || depth > 16 || columns < 1 ||
	    columns > 1e6)
		return s;
	pixel = (size_t)(colors * depth + 7) / 8;
	row = (size_t)(colors * depth * columns + 7) / 8;
	for (size_t i = 0; i < s.n; i += row + 1) {
		unsigned kind = (unsigned char)s.p[i];
		size_t w = s.n - i - 1 < row ? s.n - i - 1 : row;

		for (size_t k = 0; k < w; k++) {
			unsigned char raw = (unsigned char)s.p[i + 1 + k];
			unsigned char a = k >= pixel ? (unsigned char)out[n + k - pixel] : 0;
			unsigned char up = n >= row ? (unsigned char)out[n - row + k] : 0;
			unsigned char c = k >= pixel && n >= row ? (unsigned char)out[n - row + k - pixel] : 0;
			int pa, pb, pc;

			switch (kind) {
			case 1:
				raw += a;
				break;
			case 2:
				raw += up;
				break;
			case 3:
				raw += (unsigned char)((a + up) / 2);
				break;
			case 4:
				pa = up > c ? up - c : c - up;
				pb = a > c ? a - c : c - a;
				pc = a + up > 2 * c ? a + up - 2 * c : 2 * c - a - up;
				raw += pa <= pb && pa <= pc ? a : pb <= pc ? up : c;
				break;
			}
			out[n + k] = (char)raw;
		}
		n += w;
	}
	return span_make(out, n);
}

bool
pdf_filter(struct pdf *pdf, struct span name, struct span parameters, struct span in, struct span *out)
{
	struct pour o;
	bool good = true, predicted = false;

	if (pdf_name_is(name, "Crypt")) {
		*out = in;
		return true;
	}
	if (!(pdf_name_is(name, "FlateDecode") || pdf_name_is(name, "Fl") || pdf_name_is(name, "LZWDecode") ||
	    pdf_name_is(name, "LZW") || pdf_name_is(name, "ASCII85Decode") || pdf_name_is(name, "A85") ||
	    pdf_name_is(name, "ASCIIHexDecode") || pdf_name_is(name, "AHx") ||
	    pdf_name_is(name, "RunLengthDecode") || pdf_name_is(name, "RL")))
		return false;
	pour_begin(&o, pdf->b, in.n, 0);
	if (name.p[0] == 'F') {
		good = flate(in, &o);
		predicted = true;
	} else if (name.p[0] == 'L') {
		lzw(in, parameter(pdf, parameters, "EarlyChange", 1) != 0, &o);
		predicted = true;
	} else if (name.p[0] == 'R') {
		run_length(in, &o);
	} else if (pdf_name_is(name, "ASCII85Decode") || pdf_name_is(name, "A85")) {
		ascii85(in, &o);
	} else {
		ascii_hex(in, &o);
	}
	pdf->cut |= o.cut;
	*out = pour_end(&o);
	if (predicted && parameters.n)
		*out = unpredict(pdf, parameters, *out);
	return good;
}
