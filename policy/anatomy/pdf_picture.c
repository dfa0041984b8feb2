/* pdf_picture.c -- the pictures of a PDF as files (ISO 32000-1, 8.9.5); see pdf_picture in pictures.h.
 *
 * A scanned page is one picture. JPEG and JPEG 2000 streams are files already; what is only rows of
 * pixels (grey, RGB, CMYK, palette) or a fax (CCITTFaxDecode) gets the header of a TIFF in front, which says
 * the same as the dictionary does. Masks are no pictures. JBIG2 is not read: the defect says so.
 */
#include "anatomy/pdf.h"
#include "anatomy/pictures.h"

#define SIDE_MAX 32768
#define TAGS 13

struct raster {
	uint32_t width, height, bits, colours, photometric, compression, t4;
	struct span palette;	/* bytes of RGB */
	unsigned ncolours;
};

static double
number_of(struct pdf *pdf, struct span dict, const char *key, const char *shorter, double usual)
{
	struct pdf_value v = pdf_get(pdf, dict, key);

	if (v.kind != PDF_NUMBER && shorter)
		v = pdf_get(pdf, dict, shorter);
	return v.kind == PDF_NUMBER ? v.number : usual;
}

static void
put16(char **p, uint32_t v)
{
	*(*p)++ = (char)v;
	*(*p)++ = (char)(v >> 8);
}

static void
put32(char **p, uint32_t v)
{
	put16(p, v);
	put16(p, v >> 16);
}

static void
put_tag(char **p, uint32_t tag, uint32_t type, uint32_t n, uint32_t v)
{
	put16(p, tag);
	put16(p, type);
	put32(p, n);
	put32(p, v);
}

/* TIFF 6.0: header, one directory, its longer values, the pixels as one strip. */
static struct span
tiff_make(struct pdf *pdf, const struct raster *r, struct span pixels)
{
	size_t values = 8 + 2 + TAGS * 12 + 4, colours = values + 8, data;
	unsigned all = 1u << (r->bits < 8 ? r->bits : 8), tags = r->ncolours ? TAGS : TAGS - 1;
	char *out, *p;

	data = colours + (r->ncolours ? (size_t)all * 6 : 0);
	if (pixels.n > UINT32_MAX - data || data + pixels.n > pdf->b->left) {
		pdf->cut = true;
		return span_make("", 0);
	}
	pdf->b->left -= data + pixels.n;
	out = arena_zalloc(pdf->b->a, data);
	p = out;
	memcpy(p, "II*\0", 4);
	p += 4;
	put32(&p, 8);
	put16(&p, tags);
	put_tag(&p, 256, 4, 1, r->width);
	put_tag(&p, 257, 4, 1, r->height);
	if (r->colours == 1)
		put_tag(&p, 258, 3, 1, r->bits);
	else
		put_tag(&p, 258, 3, r->colours, (uint32_t)values);
	put_tag(&p, 259, 3, 1, r->compression);
	put_tag(&p, 262, 3, 1, r->photometric);
	put_tag(&p, 266, 3, 1, 1);
	put_tag(&p, 273, 4, 1, (uint32_t)data);
	put_tag(&p, 277, 3, 1, r->colours);
	put_tag(&p, 278, 4, 1, r->height);
	put_tag(&p, 279, 4, 1, (uint32_t)pixels.n);
	put_tag(&p, 284, 3, 1, 1);
	put_tag(&p, r->compression == 3 ? 292 : 293, 4, 1, r->t4);
	if (r->ncolours)
		put_tag(&p, 320, 3, all * 3, (uint32_t)colours);
	put32(&p, 0);
	p = out + values;
	for (unsigned i = 0; i < 4; i++)
		put16(&p, r->bits);
	for (unsigned c = 0; c < 3 && r->ncolours; c++)
		for (unsigned i = 0; i < all; i++) {
			size_t at = (size_t)i * 3 + c;
			uint32_t v = at < r->palette.n ? (unsigned char)r->palette.p[at] : 0;

			put16(&p, v * 257);
		}
	/* The pixels stand behind: one piece in the arena. */
	out = arena_grow(pdf->b->a, out, data, data + pixels.n);
	if (pixels.n)
		memcpy(out + data, pixels.p, pixels.n);
	return span_make(out, data + pixels.n);
}

/* A colour space's components; palette and its size for an indexed one. 0: not known here. */
static unsigned
colours_of(struct pdf *pdf, struct pdf_value cs, struct raster *r, unsigned depth)
{
	struct pdf_value name = cs, v;
	struct pdf_lex l;
	struct span raw;

	if (cs.kind == PDF_ARRAY) {
		pdf_lex_init(&l, pdf, cs.s, true);
		pdf_next(&l, &name);
	}
	if (name.kind != PDF_NAME || depth == 0)
		return 0;
	if (span_is(name.s, "DeviceGray") || span_is(name.s, "G") || span_is(name.s, "CalGray") ||
	    span_is(name.s, "Separation"))
		return 1;
	if (span_is(name.s, "DeviceRGB") || span_is(name.s, "RGB") || span_is(name.s, "CalRGB"))
		return 3;
	if (span_is(name.s, "DeviceCMYK") || span_is(name.s, "CMYK"))
		return 4;
	if (cs.kind != PDF_ARRAY)
		return 0;
	pdf_next(&l, &v);
	if (span_is(name.s, "ICCBased")) {
		v = pdf_follow(pdf, v);
		if (v.kind == PDF_DICT)
			return pdf_whole(number_of(pdf, v.s, "N", NULL, 0));
	} else if (span_is(name.s, "Indexed") || span_is(name.s, "I")) {
		struct raster none = { 0 };

		if (colours_of(pdf, pdf_follow(pdf, v), &none, depth - 1) != 3)
			return 0;
		pdf_next(&l, &v);
		if (v.kind != PDF_NUMBER || v.number < 0 || v.number > 255)
			return 0;
		r->ncolours = (unsigned)v.number + 1;
		pdf_next(&l, &v);
		if (v.kind == PDF_REF) {
			struct pdf_object *o = pdf_object(pdf, v.ref);
			struct pdf_value d = { .kind = PDF_NULL };

			if (o)
				d = pdf_object_value(pdf, o, &raw);
			if (d.kind == PDF_STRING)
				r->palette = pdf_string(pdf, d, o);
			else if (d.kind != PDF_DICT || raw.p == NULL ||
			    !pdf_stream(pdf, o, d.s, raw, &r->palette))
				return 0;
		} else if (v.kind == PDF_STRING) {
			r->palette = pdf_string(pdf, v, NULL);
		} else {
			return 0;
		}
		return 1;
	}
	return 0;
}

/* The filter that pdf_stream stops at: the last one. */
static struct span
last_filter(struct pdf *pdf, struct span dict, struct span *parameters)
{
	struct pdf_value f = pdf_get(pdf, dict, "Filter"), p = pdf_get(pdf, dict, "DecodeParms"), v;
	struct span name = span_make("", 0);
	struct pdf_lex l;

	*parameters = p.kind == PDF_DICT ? p.s : span_make("", 0);
	if (f.kind == PDF_NAME)
		return f.s;
	if (f.kind != PDF_ARRAY)
		return name;
	pdf_lex_init(&l, pdf, f.s, true);
	for (int i = 0; i < 8; i++) {
		pdf_next(&l, &v);
		v = pdf_follow(pdf, v);
		if (v.kind != PDF_NAME)
			break;
		name = v.s;
	}
	if (p.kind == PDF_ARRAY) {
		pdf_lex_init(&l, pdf, p.s, true);
		for (int i = 0; i < 8; i++) {
			pdf_next(&l, &v);
			v = pdf_follow(pdf, v);
			if (v.kind == PDF_END)
				break;
			*parameters = v.kind == PDF_DICT ? v.s : span_make("", 0);
		}
	}
	return name;
}

static bool
is_word(struct pdf_value v, const char *word)
{
	return v.kind == PDF_WORD && span_is(v.s, word);
}

static void
fax_set(struct pdf *pdf, struct span p, struct raster *r)
{
	double k = number_of(pdf, p, "K", NULL, 0);

	r->width = pdf_whole(number_of(pdf, p, "Columns", NULL, 1728));
	r->bits = r->colours = 1;
	r->compression = k < 0 ? 4 : 3;
	r->t4 = k > 0 ? 1 : 0;
	r->photometric = is_word(pdf_get(pdf, p, "BlackIs1"), "true") ? 1 : 0;
}

void
pdf_picture(struct pdf *pdf, struct pdf_object *o, struct span dict, struct span raw)
{
	double width = number_of(pdf, dict, "Width", "W", 0), height = number_of(pdf, dict, "Height", "H", 0);
	double bits = number_of(pdf, dict, "BitsPerComponent", "BPC", 8);
	bool mask = is_word(pdf_get(pdf, dict, "ImageMask"), "true"), pixels;
	struct raster r = { .compression = 1, .photometric = 1 };
	struct span bytes, parameters, name = last_filter(pdf, dict, &parameters);
	struct pdf_value decode = pdf_get(pdf, dict, "Decode");
	uint64_t row;

	if (width < 16 || height < 8 || width > SIDE_MAX || height > SIDE_MAX)
		return;
	o->seen = true;
	pixels = pdf_stream(pdf, o, dict, raw, &bytes);
	r.width = (uint32_t)width;
	r.height = (uint32_t)height;
	r.bits = mask ? 1 : pdf_whole(bits);
	if (!pixels && (span_is(name, "DCTDecode") || span_is(name, "DCT") || span_is(name, "JPXDecode"))) {
		if (bytes.p >= pdf->bytes.p && bytes.p < pdf->bytes.p + pdf->bytes.n) {
			if (bytes.n > pdf->b->left) {
				pdf->cut = true;
				return;
			}
			pdf->b->left -= bytes.n;
		}
	} else if (!pixels && (span_is(name, "CCITTFaxDecode") || span_is(name, "CCF"))) {
		fax_set(pdf, parameters, &r);
		bytes = tiff_make(pdf, &r, bytes);
	} else {
		r.colours = mask ? 1 : colours_of(pdf, pdf_get(pdf, dict, "ColorSpace"), &r, 3);
		row = ((uint64_t)r.width * r.colours * r.bits + 7) / 8;
		if (!pixels || r.colours == 0 || r.colours == 2 || r.colours > 4 || (r.bits != 1 && r.bits != 2 &&
		    r.bits != 4 && r.bits != 8) || bytes.n < row) {
			pdf->b->out->parts[pdf->index].defects |= DEFECT_OCR_INCOMPLETE;
			return;
		}
		if (bytes.n / row < r.height)
			r.height = (uint32_t)(bytes.n / row);
		bytes.n = (size_t)(row * r.height);
		r.photometric = r.ncolours ? 3 : r.colours == 3 ? 2 : r.colours == 4 ? 5 : 1;
		if (r.colours == 1 && !r.ncolours && decode.kind == PDF_ARRAY &&
		    span_starts(span_trim(decode.s), SPAN_LIT("1")))
			r.photometric = 0;
		bytes = tiff_make(pdf, &r, bytes);
	}
	if (bytes.n)
		blob_add(pdf->b, pdf->index, bytes, SPAN_LIT("picture"));
}
