/* pdf_font.c -- from the codes of a PDF string to characters (ISO 32000-1, 9.6-9.10); see anatomy/pdf.h.
 *
 * In order: the ToUnicode map; the names of the Encoding's glyphs; the
 * encoding by its name; the built-in one of an embedded Type 1 font, which is
 * in clear text. A font of two-byte codes without a map says nothing.
 */
#include "anatomy/pdf.h"

#include <stdlib.h>

#include "anatomy/charset.h"
#include "anatomy/decode.h"

#define RANGES_MAX 70000
#define FONTS 512
#define FONTS_READ_MAX 4096	/* the same again counts too, when its slot was taken */

struct range {
	uint32_t lo, hi;
	uint32_t to;		/* of lo; 0: text */
	struct span text;
};
struct width_range {
	uint32_t lo, hi;
	float width;
};

struct pdf_font {
	uint32_t ref;
	bool wide;		/* two bytes a code */
	bool ucs2;		/* the code is the character */
	bool one_byte_seen;	/* the map has codes of one byte */
	uint32_t chars[256];
	float widths[256];
	float usual;
	struct range *ranges;
	size_t nranges, cap;
	struct width_range *cid;
	size_t ncid, cid_cap;
};

/* --- ToUnicode ------------------------------------------------------------------------------------ */

static uint32_t
code_of(struct span s)
{
	uint32_t v = 0;

	for (size_t i = 0; i < s.n && i < 4; i++)
		v = v << 8 | (unsigned char)s.p[i];
	return v;
}

static void
range_put(struct pdf *pdf, struct pdf_font *f, uint32_t lo, uint32_t hi, struct span to)
{
	struct range r = { .lo = lo, .hi = hi };

	if (f->nranges == RANGES_MAX || hi < lo)
		return;
	if (f->nranges == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : 64;

		f->ranges = arena_grow(pdf->b->a, f->ranges, f->cap * sizeof(*f->ranges),
		    cap * sizeof(*f->ranges));
		f->cap = cap;
	}
	if (to.n <= 2) {
		r.to = code_of(to);
	} else {
		struct text raw = { .s = to }, utf8;

		charset_decode(pdf->b->a, SPAN_LIT("utf-16be"), &raw, false, &utf8);
		r.text = utf8.s;
	}
	f->ranges[f->nranges++] = r;
}

static int
by_code(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return x->lo < y->lo ? -1 : x->lo > y->lo;
}

static void
map_range(struct pdf *pdf, struct pdf_font *f, struct pdf_lex *l, struct span low)
{
	struct pdf_value hi, to, one;
	uint32_t lo = code_of(low), last;
	struct pdf_lex in;

	pdf_next(l, &hi);
	pdf_next(l, &to);
	last = code_of(pdf_string(pdf, hi, NULL));
	if (to.kind == PDF_STRING) {
		range_put(pdf, f, lo, last, pdf_string(pdf, to, NULL));
	} else if (to.kind == PDF_ARRAY) {
		pdf_lex_init(&in, pdf, to.s, false);
		for (; lo <= last; lo++) {
			pdf_next(&in, &one);
			if (one.kind != PDF_STRING)
				break;
			range_put(pdf, f, lo, lo, pdf_string(pdf, one, NULL));
		}
	}
}

static void
map_read(struct pdf *pdf, struct pdf_font *f, struct span cmap)
{
	enum { NOWHERE, CHARS, RANGES, SPACES } in = NOWHERE;
	struct pdf_value v, to;
	struct pdf_lex l;

	pdf_lex_init(&l, pdf, cmap, false);
	for (pdf_next(&l, &v); v.kind != PDF_END; pdf_next(&l, &v)) {
		struct span s;

		if (v.kind == PDF_WORD) {
			in = span_is(v.s, "beginbfchar") ? CHARS : span_is(v.s, "beginbfrange") ?
			    RANGES : span_is(v.s, "begincodespacerange") ? SPACES : NOWHERE;
			continue;
		}
		if (in == NOWHERE || v.kind != PDF_STRING)
			continue;
		s = pdf_string(pdf, v, NULL);
		if (in == SPACES) {
			f->one_byte_seen |= s.n == 1;
		} else if (in == CHARS) {
			pdf_next(&l, &to);
			range_put(pdf, f, code_of(s), code_of(s), pdf_string(pdf, to, NULL));
		} else {
			map_range(pdf, f, &l, s);
		}
	}
	if (f->nranges)
		qsort(f->ranges, f->nranges, sizeof(*f->ranges), by_code);
}

/* --- encodings ------------------------------------------------------------------------------------------ */

static void
encoding_charset(struct pdf *pdf, struct pdf_font *f, const char *charset)
{
	for (unsigned i = 32; i < 256; i++) {
		char c = (char)i;
		struct text raw = { .s = span_make(&c, 1) }, utf8;
		uint32_t to;

		charset_decode(pdf->b->a, span_str(charset), &raw, false, &utf8);
		if (utf8_get(utf8.s.p, utf8.s.n, 0, &to))
			f->chars[i] = to;
	}
}

static void
differences_read(struct pdf *pdf, struct pdf_font *f, struct span array)
{
	struct pdf_value v;
	struct pdf_lex l;
	uint32_t code = 0;

	pdf_lex_init(&l, pdf, array, false);
	for (pdf_next(&l, &v); v.kind != PDF_END; pdf_next(&l, &v)) {
		if (v.kind == PDF_NUMBER && v.number >= 0 && v.number < 256)
			code = (uint32_t)v.number;
		else if (v.kind == PDF_NAME && code < 256)
			f->chars[code++] = pdf_glyph(v.s);
	}
}

/* "dup 65 /A put" in the clear part of a Type 1 font program. */
static void
built_in_read(struct pdf *pdf, struct pdf_font *f, struct span descriptor)
{
	struct pdf_value ref = pdf_get_raw(pdf, descriptor, "FontFile"), v, name;
	struct pdf_object *o = ref.kind == PDF_REF ? pdf_object(pdf, ref.ref) : NULL;
	struct span raw, font;
	const char *q;
	struct pdf_lex l;

	if (o == NULL)
		return;
	v = pdf_object_value(pdf, o, &raw);
	if (v.kind != PDF_DICT || !pdf_stream(pdf, o, v.s, raw, &font) || font.n == 0)
		return;
	q = memmem(font.p, font.n, "/Encoding", 9);
	if (q == NULL)
		return;
	pdf_lex_init(&l, pdf, span_sub(font, (size_t)(q - font.p) + 9, 16384), false);
	for (pdf_next(&l, &v); v.kind != PDF_END; pdf_next(&l, &v)) {
		if (v.kind == PDF_WORD && (span_is(v.s, "def") || span_is(v.s, "eexec")))
			break;
		if (v.kind != PDF_WORD || !span_is(v.s, "dup"))
			continue;
		pdf_next(&l, &v);
		pdf_next(&l, &name);
		if (v.kind == PDF_NUMBER && v.number >= 0 && v.number < 256 && name.kind == PDF_NAME)
			f->chars[(unsigned)v.number] = pdf_glyph(name.s);
	}
}

static void
encoding_read(struct pdf *pdf, struct pdf_font *f, struct span dict)
{
	struct pdf_value e = pdf_get(pdf, dict, "Encoding"), base = e, d, desc;
	bool named;

	desc = pdf_get(pdf, dict, "FontDescriptor");
	if (e.kind == PDF_DICT)
		base = pdf_get(pdf, e.s, "BaseEncoding");
	named = base.kind == PDF_NAME;
	encoding_charset(pdf, f, named && pdf_name_is(base.s, "MacRomanEncoding") ? "macintosh" :
	    "windows-1252");
	if (!named && desc.kind == PDF_DICT)
		built_in_read(pdf, f, desc.s);
	if (e.kind == PDF_DICT) {
		d = pdf_get(pdf, e.s, "Differences");
		if (d.kind == PDF_ARRAY)
			differences_read(pdf, f, d.s);
	}
}

/* --- widths ---------------------------------------------------------------------------------------------------- */

static void
widths_read(struct pdf *pdf, struct pdf_font *f, struct span dict)
{
	struct pdf_value w = pdf_get(pdf, dict, "Widths"), first = pdf_get(pdf, dict, "FirstChar"), v;
	struct pdf_value matrix = pdf_get(pdf, dict, "FontMatrix");
	double scale = 1;
	struct pdf_lex l;

	if (matrix.kind == PDF_ARRAY) {		/* Type 3: in its own units */
		pdf_lex_init(&l, pdf, matrix.s, false);
		pdf_next(&l, &v);
		if (v.kind == PDF_NUMBER && v.number > 0)
			scale = v.number * 1000;
	}
	for (unsigned i = 0; i < 256; i++)
		f->widths[i] = f->usual;
	if (w.kind != PDF_ARRAY || first.kind != PDF_NUMBER || first.number < 0 ||
	    first.number > 255)
		return;
	pdf_lex_init(&l, pdf, w.s, true);
	for (unsigned i = (unsigned)first.number; i < 256; i++) {
		pdf_next(&l, &v);
		v = pdf_follow(pdf, v);
		if (v.kind != PDF_NUMBER)
			break;
		f->widths[i] = (float)(v.number * scale);
	}
}

static void
cid_put(struct pdf *pdf, struct pdf_font *f, uint32_t lo, uint32_t hi, double width)
{
	if (f->ncid == RANGES_MAX)
		return;
	if (f->ncid == f->cid_cap) {
		size_t cap = f->cid_cap ? f->cid_cap * 2 : 64;

		f->cid = arena_grow(pdf->b->a, f->cid, f->cid_cap * sizeof(*f->cid), cap * sizeof(*f->cid));
		f->cid_cap = cap;
	}
	f->cid[f->ncid++] = (struct width_range){ lo, hi, (float)width };
}

static int
by_cid(const void *a, const void *b)
{
	const struct width_range *x = a, *y = b;

	return x->lo < y->lo ? -1 : x->lo > y->lo;
}

/* "c [w w w]" and "first last w" (9.7.4.3). */
static void
cid_widths_read(struct pdf *pdf, struct pdf_font *f, struct span dict)
{
	struct pdf_value w = pdf_get(pdf, dict, "W"), usual = pdf_get(pdf, dict, "DW"), a, b, c;
	struct pdf_lex l, in;

	f->usual = usual.kind == PDF_NUMBER ? (float)usual.number : 1000;
	if (w.kind != PDF_ARRAY)
		return;
	pdf_lex_init(&l, pdf, w.s, true);
	for (;;) {
		pdf_next(&l, &a);
		pdf_next(&l, &b);
		b = pdf_follow(pdf, b);
		if (a.kind != PDF_NUMBER)
			break;
		if (b.kind == PDF_ARRAY) {
			uint32_t at = pdf_whole(a.number);

			pdf_lex_init(&in, pdf, b.s, false);
			for (pdf_next(&in, &c); c.kind == PDF_NUMBER; pdf_next(&in, &c), at++)
				cid_put(pdf, f, at, at, c.number);
			continue;
		}
		pdf_next(&l, &c);
		if (b.kind != PDF_NUMBER || c.kind != PDF_NUMBER)
			break;
		cid_put(pdf, f, pdf_whole(a.number), pdf_whole(b.number), c.number);
	}
	if (f->ncid)
		qsort(f->cid, f->ncid, sizeof(*f->cid), by_cid);
}

/* --- the font -------------------------------------------------------------------------------------------------------- */

static void
font_read(struct pdf *pdf, struct pdf_font *f, struct span dict)
{
	struct pdf_value sub = pdf_get(pdf, dict, "Subtype"), map = pdf_get_raw(pdf, dict, "ToUnicode"), v;
	struct pdf_object *o = map.kind == PDF_REF ? pdf_object(pdf, map.ref) : NULL;
	struct span raw, cmap;

	f->usual = 500;
	if (o) {
		v = pdf_object_value(pdf, o, &raw);
		if (v.kind == PDF_DICT && pdf_stream(pdf, o, v.s, raw, &cmap))
			map_read(pdf, f, cmap);
	}
	if (sub.kind == PDF_NAME && pdf_name_is(sub.s, "Type0")) {
		struct pdf_value e = pdf_get(pdf, dict, "Encoding"), d = pdf_get(pdf, dict, "DescendantFonts");
		struct pdf_lex l;

		f->wide = !(f->one_byte_seen && f->nranges && f->ranges[f->nranges - 1].hi < 256);
		f->ucs2 = e.kind == PDF_NAME && (memmem(e.s.p, e.s.n, "UCS2", 4) ||
		    memmem(e.s.p, e.s.n, "UTF16", 5));
		if (d.kind == PDF_ARRAY) {
			pdf_lex_init(&l, pdf, d.s, true);
			pdf_next(&l, &v);
			v = pdf_follow(pdf, v);
			if (v.kind == PDF_DICT)
				cid_widths_read(pdf, f, v.s);
		}
		return;
	}
	encoding_read(pdf, f, dict);
	widths_read(pdf, f, dict);
}

struct pdf_font *
pdf_font(struct pdf *pdf, struct pdf_value ref)
{
	struct pdf_font **slot = ref.kind == PDF_REF ? &pdf->fonts[ref.ref % FONTS] : NULL, *f;
	struct pdf_value v;

	if (slot && *slot && (*slot)->ref == ref.ref)
		return *slot;
	if (pdf->nfonts++ >= FONTS_READ_MAX) {
		pdf->cut = true;
		ref.kind = PDF_NULL;
		if (pdf->fonts[0])
			return pdf->fonts[0];
		slot = &pdf->fonts[0];
	}
	v = pdf_follow(pdf, ref);
	f = arena_zalloc(pdf->b->a, sizeof(*f));
	f->ref = ref.ref;
	if (v.kind == PDF_DICT) {
		font_read(pdf, f, v.s);
	} else {
		f->usual = 500;
		encoding_charset(pdf, f, "windows-1252");
		widths_read(pdf, f, span_make("", 0));
	}
	if (slot)
		*slot = f;
	return f;
}

static const struct range *
range_of(const struct pdf_font *f, uint32_t code)
{
	size_t lo = 0, hi = f->nranges;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (f->ranges[mid].lo <= code)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && f->ranges[lo - 1].hi >= code ? &f->ranges[lo - 1] : NULL;
}

static double
width_of(const struct pdf_font *f, uint32_t code)
{
	size_t lo = 0, hi = f->ncid;

	if (!f->wide)
		return f->widths[code & 255];
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (f->cid[mid].lo <= code)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && f->cid[lo - 1].hi >= code ? f->cid[lo - 1].width : f->usual;
}

size_t
pdf_font_next(const struct pdf_font *f, struct span s, size_t at, struct span *utf8, double *width,
    bool *space, char buf[4])
{
	size_t n = f->wide && at + 1 < s.n ? 2 : 1;
	uint32_t code = code_of(span_sub(s, at, n)), c = 0;
	const struct range *r = range_of(f, code);

	*width = width_of(f, code);
	*space = n == 1 && code == 32;
	*utf8 = span_make("", 0);
	if (r && r->text.n) {
		*utf8 = r->text;
		/* A range counts up from the last character of its text. */
		if (code > r->lo && r->text.n && (unsigned char)r->text.p[r->text.n - 1] < 0x80) {
			buf[0] = (char)(r->text.p[r->text.n - 1] + (char)(code - r->lo));
			*utf8 = span_make(buf, 1);
		}
		return n;
	}
	if (r && r->to)
		c = r->to + (code - r->lo);
	else if (!f->wide)
		c = f->chars[code & 255];
	else if (f->ucs2)
		c = code;
	if (c)
		*utf8 = span_make(buf, utf8_put(buf, c));
	return n;
}
