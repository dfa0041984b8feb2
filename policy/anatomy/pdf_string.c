/* pdf_string.c -- the strings of a PDF: what stands between its brackets, as text; see anatomy/pdf.h. */
#include "anatomy/pdf.h"

#include "anatomy/charset.h"
#include "anatomy/decode.h"

static size_t
literal(struct span s, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		unsigned octal = 0, k;

		if (c == '\r') {
			out[n++] = '\n';
			i += i + 1 < s.n && s.p[i + 1] == '\n';
			continue;
		}
		if (c != '\\' || i + 1 >= s.n) {
			out[n++] = c;
			continue;
		}
		c = s.p[++i];
		switch (c) {
		case 'n':
			out[n++] = '\n';
			break;
		case 'r':
			out[n++] = '\r';
			break;
		case 't':
			out[n++] = '\t';
			break;
		case 'b':
			out[n++] = '\b';
			break;
		case 'f':
			out[n++] = '\f';
			break;
		case '\r':
			i += i + 1 < s.n && s.p[i + 1] == '\n';
			break;
		case '\n':
			break;
		default:
			if (c < '0' || c > '7') {
				out[n++] = c;
				break;
			}
			for (k = 0; k < 3 && i < s.n && s.p[i] >= '0' && s.p[i] <= '7'; k++)
				octal = octal * 8 + (unsigned)(s.p[i++] - '0');
			i--;
			out[n++] = (char)octal;
		}
	}
	return n;
}

static size_t
hexadecimal(struct span s, char *out)
{
	size_t n = 0;
	int high = -1;

	for (size_t i = 0; i < s.n; i++) {
		int d = hex_value(s.p[i]);

		if (d < 0)
			continue;
		if (high < 0) {
			high = d;
		} else {
			out[n++] = (char)(high << 4 | d);
			high = -1;
		}
	}
	if (high >= 0)
		out[n++] = (char)(high << 4);
	return n;
}

struct span
pdf_string(struct pdf *pdf, struct pdf_value v, const struct pdf_object *o)
{
	struct span inside, s;
	char *out;

	if (v.kind != PDF_STRING || v.s.n < 2)
		return span_make("", 0);
	inside = span_sub(v.s, 1, v.s.n - 1);
	if (inside.n && (inside.p[inside.n - 1] == ')' || inside.p[inside.n - 1] == '>'))
		inside.n--;
	out = arena_alloc(pdf->b->a, inside.n + 1);
	s = span_make(out, v.s.p[0] == '(' ? literal(inside, out) : hexadecimal(inside, out));
	return o ? pdf_unlock(pdf, o, pdf->lock.strings, s) : s;
}

struct span
pdf_text(struct pdf *pdf, struct pdf_value v, const struct pdf_object *o)
{
	struct text raw = { .s = pdf_string(pdf, v, o) }, utf8;
	struct span s = raw.s, charset = SPAN_LIT("windows-1252");

	if (s.n == 0)
		return s;
	if (span_starts(s, SPAN_LIT("\xfe\xff")))
		charset = SPAN_LIT("utf-16be");
	else if (span_starts(s, SPAN_LIT("\xff\xfe")))
		charset = SPAN_LIT("utf-16le");
	else if (span_starts(s, SPAN_LIT("\xef\xbb\xbf")))
		charset = SPAN_LIT("utf-8");
	charset_decode(pdf->b->a, charset, &raw, false, &utf8);
	return utf8.s;
}
