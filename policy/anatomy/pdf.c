/* pdf.c -- a PDF as a part: its pages, its other texts, its attachments; see anatomy/pdf.h.
 *
 * Every page object is read, also those that the page tree no longer names,
 * and every form and content stream that no page shows: an older version
 * beneath an update is still in the file. Strings that people write elsewhere
 * (fields, notes, links, bookmarks, properties) and scripts are side texts;
 * embedded files are parts, also those that nothing in the file names.
 *
 * Read here and not by a library: poppler would be 52 of them, under another
 * licence, in a process of its own; tests/integration/test_documents.py holds
 * what is found against what poppler finds.
 */
#include "anatomy/pdf.h"
#include "anatomy/pictures.h"

#include "anatomy/charset.h"
#include "anatomy/type.h"
#include "anatomy/url.h"
#include "anatomy/xml.h"

#define WORK_FREE (UINT64_C(64) << 20)
#define WORK_RATIO 16
#define PARENTS_MAX 32
#define FONTS 512
#define STREAMS_MAX 256	/* of one page */

static bool
is_name(struct pdf_value v, const char *what)
{
	return v.kind == PDF_NAME && pdf_name_is(v.s, what);
}

static void
put_line(struct textmake *t, struct span s)
{
	if (s.n == 0)
		return;
	textmake_put(t, s.p, s.n, 0);
	textmake_put(t, "\n", 1, 0);
}

/* --- pages ---------------------------------------------------------------------------------------- */

static struct span
resources_of(struct pdf *pdf, struct span page)
{
	for (int i = 0; i < PARENTS_MAX; i++) {
		struct pdf_value v = pdf_get(pdf, page, "Resources"), up;

		if (v.kind == PDF_DICT)
			return v.s;
		up = pdf_get(pdf, page, "Parent");
		if (up.kind != PDF_DICT)
			break;
		page = up.s;
	}
	return span_make("", 0);
}

/* The bytes of a content stream; false: there is none, or it was read before. */
static bool
content_of(struct pdf *pdf, struct pdf_value ref, struct span *out)
{
	struct pdf_object *o = ref.kind == PDF_REF ? pdf_object(pdf, ref.ref) : NULL;
	struct pdf_value v;
	struct span raw;

	if (o == NULL || o->seen)
		return false;
	v = pdf_object_value(pdf, o, &raw);
	if (v.kind != PDF_DICT || raw.p == NULL)
		return false;
	o->seen = true;
	return pdf_stream(pdf, o, v.s, raw, out);
}

static void
page_read(struct pdf *pdf, struct span page)
{
	struct pdf_value ref = pdf_get_raw(pdf, page, "Contents"), all, one;
	struct span resources = resources_of(pdf, page), bytes, pieces[STREAMS_MAX];
	size_t n = 0, total = 0;
	struct pdf_lex l;
	struct pour o;

	pdf->out = &pdf->main;
	if (content_of(pdf, ref, &bytes)) {
		pdf_content(pdf, bytes, resources, 0);
		return;
	}
	all = pdf_follow(pdf, ref);
	if (all.kind != PDF_ARRAY)
		return;
	/* Several streams are one: a string's place may depend on the one before. */
	pdf_lex_init(&l, pdf, all.s, true);
	for (pdf_next(&l, &one); one.kind != PDF_END && n < STREAMS_MAX; pdf_next(&l, &one))
		if (content_of(pdf, one, &bytes)) {
			pieces[n++] = bytes;
			total += bytes.n + 1;
		}
	if (n == 0)
		return;
	pour_begin(&o, pdf->b, total, total);
	for (size_t i = 0; i < n; i++)
		if (!pour_put(&o, pieces[i].p, pieces[i].n) || !pour_put(&o, "\n", 1))
			break;
	pdf->cut |= o.cut;
	pdf_content(pdf, pour_end(&o), resources, 0);
}

/* --- files in the file ---------------------------------------------------------------------------- */

/* A stream of the file becomes a part. name: of the string that names it, or none. */
static void
blob_read(struct pdf *pdf, struct span bytes, struct span name)
{
	/* Without a filter it is borrowed, and objects may overlap. */
	if (bytes.p >= pdf->bytes.p && bytes.p < pdf->bytes.p + pdf->bytes.n) {
		if (bytes.n > pdf->b->left) {
			pdf->cut = true;
			return;
		}
		pdf->b->left -= bytes.n;
	}
	blob_add(pdf->b, pdf->index, bytes, name);
}

/* A file specification (7.11.3): of an annotation, a name tree, an AF array. A reader takes the
 * stream of one of its keys, so each of them is a part. */
static void
attached_add(struct pdf *pdf, const struct pdf_object *o, struct span spec)
{
	static const char *const keys[] = { "UF", "F", "Unix", "DOS", "Mac" };
	struct pdf_value ef = pdf_get(pdf, spec, "EF"), name = pdf_get(pdf, spec, "UF"), ref, d;
	struct pdf_object *at;
	struct span raw, bytes;

	if (ef.kind != PDF_DICT)
		return;
	for (size_t i = 1; name.kind != PDF_STRING && i < sizeof(keys) / sizeof(keys[0]); i++)
		name = pdf_get(pdf, spec, keys[i]);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		ref = pdf_get_raw(pdf, ef.s, keys[i]);
		at = ref.kind == PDF_REF ? pdf_object(pdf, ref.ref) : NULL;
		if (at == NULL || at->seen)
			continue;
		at->seen = true;
		d = pdf_object_value(pdf, at, &raw);
		if (d.kind == PDF_DICT && raw.p && pdf_stream(pdf, at, d.s, raw, &bytes))
			blob_read(pdf, bytes, name.kind == PDF_STRING ? pdf_text(pdf, name, o) :
			    span_make("", 0));
	}
}

/* --- streams that no page shows ------------------------------------------------------------------ */

static void
xml_text(void *arg, const char *p, size_t n)
{
	textmake_put(arg, p, n, 0);
}

static void
xml_tag(void *arg, const struct xml_tag *t)
{
	struct textmake *out = arg;

	if (out->n && out->p[out->n - 1] != '\n')
		textmake_put(out, "\n", 1, 0);
}

static void
xml_read(struct pdf *pdf, struct textmake *to, struct span s)
{
	struct xml *x = arena_zalloc(pdf->b->a, sizeof(*x));

	x->text = xml_text;
	x->tag = xml_tag;
	x->arg = to;
	xml_piece(x, s.p, s.n);
}

static bool
has(struct span s, const char *what)
{
	return s.n && memmem(s.p, s.n, what, strlen(what)) != NULL;
}

/* Nothing that a PDF needs for itself looks like an archive, a document or a program. */
static bool
is_file(struct span s)
{
	struct sniffed kind;

	type_sniff(s, span_make("", 0), span_make("", 0), &kind);
	switch (part_type_class(kind.type)) {
	case CLASS_ARCHIVE:
	case CLASS_DOCUMENT:
	case CLASS_EXECUTABLE:
	case CLASS_MESSAGE:
		return !kind.text;
	default:
		return false;
	}
}

static bool
shows_text(struct span s)
{
	return has(s, "BT") && (has(s, "Tj") || has(s, "TJ"));
}

static void
stream_read(struct pdf *pdf, struct pdf_object *o, struct span dict, struct span raw)
{
	struct pdf_value type = pdf_get(pdf, dict, "Type"), sub = pdf_get(pdf, dict, "Subtype"), own;
	struct span bytes;
	bool file = is_name(type, "EmbeddedFile");

	if (is_name(sub, "Image") && pdf->b->pictures && !o->seen)
		pdf_picture(pdf, o, dict, raw);
	if (!file && (is_name(type, "XRef") || is_name(type, "ObjStm") || is_name(sub, "Image") ||
	    pdf_get_raw(pdf, dict, "FunctionType").kind != PDF_NULL ||
	    pdf_get_raw(pdf, dict, "Length1").kind != PDF_NULL || is_name(sub, "Type1C") ||
	    is_name(sub, "CIDFontType0C") || is_name(sub, "OpenType")))
		return;
	if (!pdf_stream(pdf, o, dict, raw, &bytes))
		return;
	o->seen = true;
	/* No file specification names it: a part all the same, as what no type and no key tells apart
	 * from one. */
	if (file || is_file(bytes))
		blob_read(pdf, bytes, span_make("", 0));
	else if (is_name(type, "Metadata") || span_starts(span_trim(span_sub(bytes, 0, 64)), SPAN_LIT("<"))) {
		xml_read(pdf, is_name(type, "Metadata") ? &pdf->meta : &pdf->fields, bytes);
	} else if (shows_text(bytes)) {
		own = pdf_get(pdf, dict, "Resources");
		/* What a field or a note looks like is for its reader to see. */
		pdf->out = is_name(sub, "Form") ? &pdf->fields : &pdf->orphans;
		pdf_content(pdf, bytes, own.kind == PDF_DICT ? own.s : span_make("", 0), 1);
	}
}

/* --- strings in dictionaries ----------------------------------------------------------------------- */

/* X(key, where): what people write there. */
enum where_to { FIELDS, META };
static const struct {
	const char *key;
	enum where_to to;
} strings[] = {
	{ "Contents", FIELDS }, { "V", FIELDS }, { "RC", FIELDS }, { "URI", FIELDS }, { "TU", FIELDS },
	{ "Alt", FIELDS }, { "ActualText", FIELDS }, { "DV", FIELDS }, { "Subj", FIELDS },
	{ "Title", META }, { "Author", META }, { "Subject", META }, { "Keywords", META },
	{ "Creator", META }, { "Company", META }, { "Desc", META },
};

static void
value_read(struct pdf *pdf, const struct pdf_object *o, struct pdf_value v, struct textmake *to)
{
	struct pdf_lex l;

	v = pdf_follow(pdf, v);
	if (v.kind == PDF_STRING) {
		put_line(to, pdf_text(pdf, v, o));
	} else if (v.kind == PDF_ARRAY) {
		struct pdf_value one;

		pdf_lex_init(&l, pdf, v.s, false);
		for (pdf_next(&l, &one); one.kind != PDF_END; pdf_next(&l, &one))
			if (one.kind == PDF_STRING)
				put_line(to, pdf_text(pdf, one, o));
	}
}

static struct span
text_of_utf(struct pdf *pdf, struct span s)
{
	struct text raw = { .s = s }, utf8;

	charset_decode(pdf->b->a, span_make("", 0), &raw, false, &utf8);
	return utf8.s;
}

static void
script_read(struct pdf *pdf, const struct pdf_object *o, struct pdf_value v)
{
	struct pdf_object *at = v.kind == PDF_REF ? pdf_object(pdf, v.ref) : NULL;
	struct span raw, bytes;

	pdf->b->out->parts[pdf->index].defects |= DEFECT_ACTIVE_CONTENT;
	if (v.kind == PDF_STRING) {
		put_line(&pdf->script, pdf_text(pdf, v, o));
	} else if (at) {
		struct pdf_value d = pdf_object_value(pdf, at, &raw);

		if (d.kind == PDF_STRING)
			put_line(&pdf->script, pdf_text(pdf, d, at));
		else if (d.kind == PDF_DICT && raw.p && pdf_stream(pdf, at, d.s, raw, &bytes))
			put_line(&pdf->script, text_of_utf(pdf, bytes));
	}
}

static void
link_read(struct pdf *pdf, const struct pdf_object *o, struct pdf_value v, bool uri)
{
	struct span s;

	v = pdf_follow(pdf, v);
	if (v.kind != PDF_STRING)
		return;
	s = pdf_text(pdf, v, o);
	if (uri || (s.n && memmem(s.p, s.n, "://", 3)))
		url_add(pdf->b, URL_DOCUMENT, pdf->index, 0, s, span_make("", 0), NULL);
}

/* The keys of one dictionary (or an array of them), and of those within it. */
static void
dict_read(struct pdf *pdf, const struct pdf_object *o, struct span dict, unsigned depth)
{
	struct pdf_value k, v;
	struct pdf_lex l;

	pdf_lex_init(&l, pdf, dict, true);
	for (pdf_next(&l, &k); k.kind != PDF_END; pdf_next(&l, &k)) {
		if ((k.kind == PDF_DICT || k.kind == PDF_ARRAY) && depth)
			dict_read(pdf, o, k.s, depth - 1);	/* of an array */
		if (k.kind != PDF_NAME)
			continue;
		pdf_next(&l, &v);
		for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
			if (pdf_name_is(k.s, strings[i].key))
				value_read(pdf, o, v, strings[i].to == META ? &pdf->meta : &pdf->fields);
		/* URI actions; F of what is sent to or opened from elsewhere (12.6.4) */
		if (pdf_name_is(k.s, "URI") || pdf_name_is(k.s, "F"))
			link_read(pdf, o, v, pdf_name_is(k.s, "URI"));
		if (pdf_name_is(k.s, "JS"))
			script_read(pdf, o, v);
		else if (pdf_name_is(k.s, "S") && (is_name(v, "Launch") || is_name(v, "JavaScript") ||
		    is_name(v, "ImportData") || is_name(v, "GoToE")))
			pdf->b->out->parts[pdf->index].defects |= DEFECT_ACTIVE_CONTENT;
		else if (pdf_name_is(k.s, "RichMediaContent"))
			pdf->b->out->parts[pdf->index].defects |= DEFECT_ACTIVE_CONTENT;
		else if (pdf_name_is(k.s, "EF"))
			attached_add(pdf, o, dict);
		if ((v.kind == PDF_DICT || v.kind == PDF_ARRAY) && depth)
			dict_read(pdf, o, v.s, depth - 1);
	}
}

static void
objects_read(struct pdf *pdf)
{
	struct pdf_value v, type;
	struct span raw;

	for (int pass = 0; pass < 3; pass++)
		for (size_t i = 0; i < pdf->n && pdf->work; i++) {
			struct pdf_object *o = &pdf->v[i];

			v = pdf_object_value(pdf, o, &raw);
			if (v.kind != PDF_DICT)
				continue;
			type = pdf_get(pdf, v.s, "Type");
			if (pass == 0 && is_name(type, "Page"))
				page_read(pdf, v.s);
			else if (pass == 1)
				dict_read(pdf, o, v.s, raw.p ? 3 : 4);
			else if (pass == 2 && raw.p && !o->seen)
				stream_read(pdf, o, v.s, raw);
		}
}

static void
side(struct pdf *pdf, const char *origin, const struct textmake *t)
{
	side_add_utf8(pdf->b, pdf->index, span_str(origin), span_make(t->p, t->n));
}

void
pdf_read(struct builder *b, uint16_t index)
{
	struct pdf *pdf = arena_zalloc(b->a, sizeof(*pdf));
	struct text none = { 0 }, raw, text;
	struct textmake *const all[] = { &pdf->main, &pdf->fields, &pdf->meta, &pdf->script,
		&pdf->orphans };

	pdf->b = b;
	pdf->index = index;
	pdf->bytes = b->out->parts[index].decoded;
	pdf->work = pdf->bytes.n * WORK_RATIO + WORK_FREE;
	pdf->fonts = arena_array(b->a, FONTS, sizeof(*pdf->fonts));
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		textmake_init(all[i], b->a, &none, i ? 64 : 4096, false);
	pdf_objects_find(pdf);
	if (!pdf->lock.locked)
		objects_read(pdf);
	if (pdf->cut || pdf->work == 0)
		b->out->parts[index].defects |= DEFECT_TOO_LARGE;
	raw = (struct text){ .s = span_make(pdf->main.p, pdf->main.n) };
	charset_decode(b->a, SPAN_LIT("utf-8"), &raw, false, &text);
	text_set(b, index, &text);
	side(pdf, "fields, notes and links", &pdf->fields);
	side(pdf, "properties", &pdf->meta);
	side(pdf, "scripts", &pdf->script);
	side(pdf, "no page of the document", &pdf->orphans);
	if (pdf->n == 0) {
		/* No object at all: whatever is readable. */
		text.s = strings_find(b->a, pdf->bytes, true);
		b->out->parts[index].defects |= DEFECT_DOCUMENT_BROKEN;
		side_add(b, index, SPAN_LIT("anything readable"), &text);
	}
}
