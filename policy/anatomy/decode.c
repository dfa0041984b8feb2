/* decode.c -- transfer encodings undone; see anatomy/decode.h.
 *
 * What a lenient mail reader would show must be seen here too, so nothing
 * stops at the first fault: junk within base64 is skipped, data behind its
 * padding is decoded on (several encoded runs put together), a false "=" in
 * quoted-printable stands for itself. Each of these is a defect.
 */
#include "anatomy/decode.h"

#include "anatomy/textmap.h"

#define SKIP 0x80		/* white space: no defect */
#define PAD 0x81
#define JUNK 0x82

/* Four tables so that a clean group of four costs four loads: entry i of table k
 * is the value shifted to its place, or BAD. */
#define BAD UINT32_C(0x01000000)
static uint32_t quad[4][256];
static uint8_t sextet[256];

static void
tables_make(void)
{
	static const char alphabet[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	memset(sextet, JUNK, sizeof(sextet));
	for (unsigned k = 0; k < 4; k++)
		for (unsigned i = 0; i < 256; i++)
			quad[k][i] = BAD;
	for (unsigned i = 0; i < 64; i++) {
		unsigned char c = (unsigned char)alphabet[i];

		sextet[c] = (uint8_t)i;
		for (unsigned k = 0; k < 4; k++)
			quad[k][c] = i << (18 - 6 * k);
	}
	sextet[' '] = sextet['\t'] = sextet['\r'] = sextet['\n'] = SKIP;
	sextet['='] = PAD;
}

bool
encoding_is_wrapped(struct span name)
{
	static const char *const known[] = { "x-uuencode", "uuencode", "x-uue", "x-uu", "x-yenc",
		"yenc", "mac-binhex40", "x-binhex40", "binhex" };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (span_is_nocase(name, known[i]))
			return true;
	return false;
}

enum encoding
encoding_from_name(struct span name)
{
	static const struct {
		const char *name;
		enum encoding e;
	} known[] = {
		{ "", ENCODING_IDENTITY }, { "7bit", ENCODING_IDENTITY },
		{ "8bit", ENCODING_IDENTITY }, { "binary", ENCODING_IDENTITY },
		{ "7-bit", ENCODING_IDENTITY }, { "8-bit", ENCODING_IDENTITY },
		{ "base64", ENCODING_BASE64 }, { "quoted-printable", ENCODING_QP },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (span_is_nocase(name, known[i].name))
			return known[i].e;
	return encoding_is_wrapped(name) ? ENCODING_IDENTITY : ENCODING_OTHER;
}

int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = ascii_lower(c);
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

size_t
decode_base64(struct span in, char *out, uint32_t *defects)
{
	const unsigned char *p = (const unsigned char *)in.p, *end = p + in.n;
	char *o = out;
	uint32_t group = 0;
	unsigned have = 0, pads_due = 0;
	bool padded = false, bad = false;

	if (sextet['A'] == sextet['B'])
		tables_make();
	while (p < end) {
		while (have == 0 && end - p >= 4) {
			uint32_t x = quad[0][p[0]] | quad[1][p[1]] | quad[2][p[2]] | quad[3][p[3]];

			if (x & BAD)
				break;
			o[0] = (char)(x >> 16);
			o[1] = (char)(x >> 8);
			o[2] = (char)x;
			o += 3;
			p += 4;
			if (padded)
				bad = true;
		}
		if (p == end)
			break;
		switch (sextet[*p]) {
		case SKIP:
			break;
		case JUNK:
			bad = true;
			break;
		case PAD:
			if (have >= 2) {
				*o++ = (char)(group >> (have * 6 - 8));
				if (have == 3)
					*o++ = (char)(group >> 2);
				pads_due = have == 2 ? 1 : 0;
				have = 0;
				padded = true;
			} else if (have == 0 && pads_due) {
				pads_due--;
			} else {
				bad = true;	/* "=" where none belongs */
				have = 0;
			}
			break;
		default:
			if (padded)
				bad = true;
			group = group << 6 | sextet[*p];
			if (++have == 4) {
				*o++ = (char)(group >> 16);
				*o++ = (char)(group >> 8);
				*o++ = (char)group;
				have = 0;
			}
		}
		p++;
	}
	if (have >= 2) {
		*o++ = (char)(group >> (have * 6 - 8));
		if (have == 3)
			*o++ = (char)(group >> 2);
	}
	if (have || pads_due)
		bad = true;
	if (bad && defects)
		*defects |= DEFECT_ENCODING_MALFORMED;
	return (size_t)(o - out);
}

size_t
decode_q(struct span in, char *out)
{
	size_t o = 0;

	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];

		if (c == '_') {
			c = ' ';
		} else if (c == '=' && in.n - i > 2 && hex_value(in.p[i + 1]) >= 0 &&
		    hex_value(in.p[i + 2]) >= 0) {
			c = (char)(hex_value(in.p[i + 1]) << 4 | hex_value(in.p[i + 2]));
			i += 2;
		}
		out[o++] = c;
	}
	return o;
}

/* One line of quoted-printable, without its trailing white space and line end, to
 * out. True when the line's end is a soft one. */
static bool
qp_line(struct span line, char **out, uint32_t *defects)
{
	const char *p = line.p, *end = p + line.n;
	char *o = *out;
	bool soft = false;

	while (p < end) {
		const char *q = memchr(p, '=', (size_t)(end - p));
		size_t n = (size_t)((q ? q : end) - p);

		memmove(o, p, n);
		o += n;
		if (q == NULL)
			break;
		p = q + 1;
		if (p == end) {
			soft = true;
		} else if (end - p >= 2 && hex_value(p[0]) >= 0 && hex_value(p[1]) >= 0) {
			*o++ = (char)(hex_value(p[0]) << 4 | hex_value(p[1]));
			p += 2;
		} else {
			*o++ = '=';
			*defects |= DEFECT_ENCODING_MALFORMED;
		}
	}
	*out = o;
	return soft;
}

static uint32_t
decode_qp(struct arena *a, struct span in, size_t max, struct span *out)
{
	uint32_t defects = 0;
	char *buf = NULL, *o = NULL;
	size_t i = 0;

	if (ascii_until(in) < in.n)
		defects |= DEFECT_ENCODING_MALFORMED;
	while (i < in.n) {
		const char *nl = memchr(in.p + i, '\n', in.n - i);
		size_t next = nl ? (size_t)(nl - in.p) + 1 : in.n;
		size_t eol = next, text;

		if (nl) {
			eol = next - 1;
			if (eol > i && in.p[eol - 1] == '\r')
				eol--;
		}
		text = eol;
		while (text > i && ascii_is_wsp(in.p[text - 1]))
			text--;
		if (buf == NULL) {
			if (text == eol && memchr(in.p + i, '=', text - i) == NULL) {
				i = next;
				continue;	/* nothing has changed yet */
			}
			buf = arena_alloc(a, in.n);
			if (i)
				memcpy(buf, in.p, i);
			o = buf + i;
		}
		if (!qp_line(span_make(in.p + i, text - i), &o, &defects)) {
			memcpy(o, in.p + eol, next - eol);
			o += next - eol;
		}
		i = next;
	}
	*out = buf ? span_make(buf, (size_t)(o - buf)) : in;
	if (out->n > max) {
		out->n = max;
		defects |= DEFECT_TOO_LARGE;
	}
	return defects;
}

uint32_t
decode_body(struct arena *a, enum encoding e, struct span in, size_t max, struct span *out)
{
	uint32_t defects = 0;
	char *buf;

	switch (e) {
	case ENCODING_BASE64:
		if (in.n / 4 > max) {	/* far too much: don't even decode it all */
			in.n = max * 4;
			defects |= DEFECT_TOO_LARGE;
		}
		buf = arena_alloc(a, in.n / 4 * 3 + 3);
		*out = span_make(buf, decode_base64(in, buf, &defects));
		break;
	case ENCODING_QP:
		if (in.n / 3 > max) {
			in.n = max * 3;
			defects |= DEFECT_TOO_LARGE;
		}
		return defects | decode_qp(a, in, max, out);
	case ENCODING_OTHER:
		defects |= DEFECT_ENCODING_UNKNOWN;
		/* FALLTHROUGH */
	case ENCODING_IDENTITY:
		*out = in;
		break;
	}
	if (out->n > max) {
		out->n = max;
		defects |= DEFECT_TOO_LARGE;
	}
	return defects;
}
