/* office.c -- the text of zip-based office documents; see anatomy/office.h.
 *
 * The members that hold text are inflated piece by piece through a small
 * state machine, so memory is that of the text alone. Runs of one paragraph
 * are joined (an IBAN is often cut by a spelling mark), paragraphs, rows and
 * shared strings end a line, cells are parted by a tab. Comments, foot notes,
 * headers and tracked deletions are text too. XML entities other than the
 * five and numbers are never expanded: no billion laughs.
 */
#include "anatomy/office.h"

#include "anatomy/charset.h"
#include "anatomy/html.h"
#include "anatomy/textmap.h"
#include "anatomy/zip.h"

struct office {
	struct textmake text;
	enum { TEXT, ENTITY, TAG, COMMENT, CDATA } state;
	bool odf;		/* all text counts; else only that in w:t, a:t, t, v */
	bool sheet;
	bool wanted;		/* within such an element */
	bool shared;		/* the cell's value is an index of shared strings */
	char quote;		/* within an attribute value */
	char tag[128];
	size_t ntag;
	char entity[12];
	size_t nentity;
	unsigned brackets;	/* "]]" or "--" seen last */
};

bool
office_has_text(enum part_type t)
{
	return t == TYPE_DOCX || t == TYPE_DOCM || t == TYPE_XLSX || t == TYPE_XLSM ||
	    t == TYPE_PPTX || t == TYPE_PPTM || t == TYPE_ODT || t == TYPE_ODS || t == TYPE_ODP;
}

static void
emit(struct office *o, const char *p, size_t n)
{
	if (o->wanted || o->odf)
		textmake_put(&o->text, p, n, 0);
}

static void
parted(struct office *o, char c)
{
	struct textmake *t = &o->text;

	if (t->n && t->p[t->n - 1] != '\n' && (c == '\n' || t->p[t->n - 1] != '\t'))
		textmake_put(t, &c, 1, 0);
}

static bool
is_one_of(struct span s, const char *const *names)
{
	for (; *names; names++)
		if (span_is(s, *names))
			return true;
	return false;
}

static void
tag_end(struct office *o)
{
	static const char *const lines[] = { "p", "h", "si", "row", "br", "cr", "line-break",
		"table-row", "comment", NULL };
	static const char *const tabs[] = { "tab", "c", "tc", "table-cell", NULL };
	static const char *const texts[] = { "t", "delText", "v", "text", NULL };
	struct span tag = span_make(o->tag, o->ntag), name;
	bool closing = tag.n && tag.p[0] == '/', empty = tag.n && tag.p[tag.n - 1] == '/';
	size_t n = 0, colon = 0;

	if (tag.n == 0 || tag.p[0] == '?' || tag.p[0] == '!')
		return;
	if (closing)
		tag = span_from(tag, 1);
	while (n < tag.n && tag.p[n] != ' ' && tag.p[n] != '/' && tag.p[n] != '\n' &&
	    tag.p[n] != '\r' && tag.p[n] != '\t') {
		if (tag.p[n] == ':')
			colon = n + 1;
		n++;
	}
	name = span_sub(tag, colon, n - colon);
	if (!o->odf && is_one_of(name, texts)) {
		o->wanted = !closing && !empty && !(o->shared && span_is(name, "v"));
		return;
	}
	if (span_is(name, "c") && o->sheet && !closing)
		o->shared = memmem(tag.p, tag.n, " t=\"s\"", 6) != NULL;
	if (o->odf && span_is(name, "s") && !closing)
		textmake_put(&o->text, " ", 1, 0);
	else if (is_one_of(name, lines) && (closing || empty))
		parted(o, '\n');
	else if (is_one_of(name, tabs) && (closing || empty))
		parted(o, '\t');
}

static void
entity_end(struct office *o)
{
	uint32_t c;
	char utf8[4];

	o->entity[o->nentity++] = ';';
	if (html_entity(span_make(o->entity, o->nentity), 0, &c) == o->nentity)
		emit(o, utf8, utf8_put(utf8, c));
	else
		emit(o, o->entity, o->nentity);
}

static void
tag_char(struct office *o, char c)
{
	if (o->quote) {
		if (c == o->quote)
			o->quote = '\0';
	} else if (c == '>') {
		tag_end(o);
		o->state = TEXT;
		return;
	} else if (o->ntag > 0 && o->tag[0] != '!' && (c == '"' || c == '\'')) {
		o->quote = c;
	}
	/* A long tag keeps its beginning, and whether a "/" ends it. */
	if (o->ntag < sizeof(o->tag))
		o->tag[o->ntag++] = c;
	else
		o->tag[sizeof(o->tag) - 1] = c;
	if (o->ntag == 3 && memcmp(o->tag, "!--", 3) == 0) {
		o->state = COMMENT;
		o->brackets = 0;
	} else if (o->ntag == 8 && memcmp(o->tag, "![CDATA[", 8) == 0) {
		o->state = CDATA;
		o->brackets = 0;
	}
}

static bool
office_piece(void *arg, const char *p, size_t n)
{
	struct office *o = arg;

	for (size_t i = 0; i < n; i++) {
		char c = p[i];
		size_t from = i;

		switch (o->state) {
		case TEXT:
			while (i < n && p[i] != '<' && p[i] != '&')
				i++;
			emit(o, p + from, i - from);
			if (i == n)
				return true;
			o->state = p[i] == '<' ? TAG : ENTITY;
			o->ntag = 0;
			o->quote = '\0';
			o->entity[0] = '&';
			o->nentity = 1;
			break;
		case ENTITY:
			if (c == ';') {
				entity_end(o);
				o->state = TEXT;
			} else if (o->nentity >= sizeof(o->entity) - 1 || c == '<' || c == '&') {
				emit(o, o->entity, o->nentity);
				o->state = TEXT;
				i--;	/* read again as text */
			} else {
				o->entity[o->nentity++] = c;
			}
			break;
		case TAG:
			tag_char(o, c);
			break;
		case COMMENT:
		case CDATA:
			if (o->state == CDATA)
				emit(o, &c, 1);
			if (c == '>' && o->brackets >= 2) {
				if (o->state == CDATA && (o->wanted || o->odf))
					o->text.n -= o->text.n >= 3 ? 3 : 0;
				o->state = TEXT;
			} else if (c == (o->state == CDATA ? ']' : '-')) {
				o->brackets++;
			} else {
				o->brackets = 0;
			}
			break;
		}
	}
	return true;
}

/* 1: main text, 2: what stands beside it, 0: not looked at. */
static int
member_rank(struct span name, enum part_type t)
{
	if (!span_ends_nocase(name, SPAN_LIT(".xml")))
		return 0;
	switch (t) {
	case TYPE_DOCX:
	case TYPE_DOCM:
		if (span_is(name, "word/document.xml"))
			return 1;
		return span_starts(name, SPAN_LIT("word/")) &&
		    !span_starts(name, SPAN_LIT("word/theme/")) &&
		    !span_is(name, "word/styles.xml") ? 2 : 0;
	case TYPE_XLSX:
	case TYPE_XLSM:
		if (span_is(name, "xl/sharedStrings.xml"))
			return 1;
		return span_starts(name, SPAN_LIT("xl/worksheets/")) ||
		    span_starts(name, SPAN_LIT("xl/comments")) ||
		    span_starts(name, SPAN_LIT("xl/threadedComments/")) ||
		    span_starts(name, SPAN_LIT("xl/drawings/")) ? 2 : 0;
	case TYPE_PPTX:
	case TYPE_PPTM:
		if (span_starts(name, SPAN_LIT("ppt/slides/")))
			return 1;
		return span_starts(name, SPAN_LIT("ppt/notesSlides/")) ||
		    span_starts(name, SPAN_LIT("ppt/comments")) ||
		    span_starts(name, SPAN_LIT("ppt/diagrams/")) ? 2 : 0;
	default:
		if (span_is(name, "content.xml"))
			return 1;
		/* Page headers are styles; the title stands in meta.xml. */
		return span_is(name, "styles.xml") || span_is(name, "meta.xml") ? 2 : 0;
	}
}

uint32_t
office_text(struct arena *a, struct span bytes, enum part_type t, uint64_t *budget,
    struct text *out)
{
	struct office o = { .odf = t == TYPE_ODT || t == TYPE_ODS || t == TYPE_ODP };
	struct text none = { 0 }, raw = { 0 };
	uint32_t defects = 0;

	textmake_init(&o.text, a, &none, 4096, false);
	for (int rank = 1; rank <= 2; rank++) {
		struct zip_entry e;
		struct zip z;

		if (!zip_open(&z, bytes))
			break;
		while (zip_next(&z, &e)) {
			if (e.encrypted || member_rank(e.name, t) != rank)
				continue;
			o.state = TEXT;
			o.wanted = o.shared = false;
			o.sheet = span_starts(e.name, SPAN_LIT("xl/worksheets/"));
			if (!zip_inflate(&e, budget, office_piece, &o))
				defects |= DEFECT_TOO_LARGE;
			parted(&o, '\n');
		}
		if (z.left == 0)
			defects |= DEFECT_TOO_LARGE;
	}
	raw.s = span_make(o.text.p, o.text.n);
	charset_decode(a, SPAN_LIT("utf-8"), &raw, false, out);
	return defects;
}
