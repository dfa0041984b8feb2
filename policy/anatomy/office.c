/* office.c -- the texts of zip-based office documents; see anatomy/office.h.
 *
 * Members are inflated piece by piece through the XML state machine, so
 * memory is that of the text alone. Runs of one paragraph are joined (an IBAN
 * is often cut by a spelling mark), paragraphs and rows end a line, cells are
 * parted by a tab and shared strings stand in their cells. What a reader
 * does not see in its place (deletions, hidden text, hidden sheets, comments)
 * goes to side texts, so that it neither escapes nor tears the visible text apart.
 */
#include "anatomy/office.h"

#include "anatomy/charset.h"
#include "anatomy/ole2.h"
#include "anatomy/textmap.h"
#include "anatomy/type.h"
#include "anatomy/unlock.h"
#include "anatomy/url.h"
#include "anatomy/xml.h"

#define STORIES_MAX 64		/* side texts; hidden sheets beyond share one */
#define SHEETS_MAX 1024
#define STYLES_MAX 64		/* of ODF tables that are not shown */

struct story {
	struct span origin;
	struct textmake text;
};

struct sheet {
	struct span name, id, target;
	bool hidden;
};

struct office {
	struct builder *b;
	uint16_t index;
	enum part_type type;
	bool odf;		/* all text counts; else only that in w:t, a:t, t, v */
	struct xml xml;
	struct story stories[STORIES_MAX];
	size_t nstories;
	size_t home, now;	/* the story of this member, and of the text in hand */
	unsigned deleted;	/* depth within deletions */
	bool vanish;		/* this run is hidden */
	const char *aside;	/* origin of what stands within this element: field codes, formulas */
	bool wanted;		/* within an element that holds text */
	struct textmake *cell_in;	/* the text a cell began in, … */
	size_t cell_from;	/* … and where */
	unsigned column;	/* cells of this row so far */
	bool shared;		/* the cell's value is an index of shared strings */
	bool in_value;
	struct span *strings;	/* shared ones */
	size_t nstrings, strings_cap;
	struct textmake pool;	/* their text, while they are read */
	size_t placed, placed_to;	/* strings that have their place, and the text they take */
	bool pooling;
	char value[40];		/* a cell's number, or index */
	size_t nvalue;
	struct sheet sheets[SHEETS_MAX];
	size_t nsheets;
	struct span hidden_styles[STYLES_MAX];
	size_t nhidden;
	struct span style;	/* being declared */
	bool locked;		/* the manifest lists keys */
	bool cut, dde;
	struct pour whole;	/* a member in UTF-16 is read as a whole */
	bool pouring, peeked;
};

bool
office_has_text(enum part_type t)
{
	return t == TYPE_DOCX || t == TYPE_DOCM || t == TYPE_XLSX || t == TYPE_XLSM ||
	    t == TYPE_PPTX || t == TYPE_PPTM || t == TYPE_ODT || t == TYPE_ODS || t == TYPE_ODP;
}

/* --- where text goes ------------------------------------------------------------------------- */

static size_t
story_of(struct office *o, struct span origin)
{
	struct text none = { 0 };
	struct story *s;

	for (size_t i = 0; i < o->nstories; i++)
		if (span_eq(o->stories[i].origin, origin))
			return i;
	if (o->nstories == STORIES_MAX)
		return STORIES_MAX - 1;
	s = &o->stories[o->nstories];
	s->origin = o->nstories == STORIES_MAX - 1 ? SPAN_LIT("more hidden sheets") : origin;
	textmake_init(&s->text, o->b->a, &none, 512, false);
	return o->nstories++;
}

static struct textmake *
here(struct office *o)
{
	if (o->pooling)
		return &o->pool;
	if (o->aside)
		return &o->stories[story_of(o, span_str(o->aside))].text;
	if (o->deleted)
		return &o->stories[story_of(o, SPAN_LIT("deleted text"))].text;
	if (o->vanish)
		return &o->stories[story_of(o, SPAN_LIT("hidden text"))].text;
	return &o->stories[o->now].text;
}

static void
on_text(void *arg, const char *p, size_t n)
{
	struct office *o = arg;

	if (o->in_value) {
		if (n > sizeof(o->value) - o->nvalue)
			n = sizeof(o->value) - o->nvalue;
		memcpy(o->value + o->nvalue, p, n);
		o->nvalue += n;
	} else if (o->wanted || o->odf) {
		textmake_put(here(o), p, n, 0);
	}
}

static void
parted(struct office *o, char c)
{
	struct textmake *t = here(o);

	if (t->n && t->p[t->n - 1] != '\n' && (c == '\n' || t->p[t->n - 1] != '\t'))
		textmake_put(t, &c, 1, 0);
}

/* --- rows of cells -------------------------------------------------------------------------------- */

#define PADDING_MAX 64		/* cells that are not there and have borders all the same */

/* A row is a line and a tab stands behind each cell, also an empty one, so that columns are columns.
 * A sheet leaves empty cells out and says where the others stand: r="E7". */
static void
cell_begin(struct office *o, const struct xml_tag *t)
{
	struct textmake *to = here(o);
	struct span r = o->odf ? span_make(NULL, 0) : xml_attribute(t, "r");
	unsigned column = 0;

	for (size_t i = 0; i < r.n && i < 3 && r.p[i] >= 'A' && r.p[i] <= 'Z'; i++)
		column = column * 26 + (unsigned)(r.p[i] - 'A') + 1;
	for (; o->column + 1 < column && o->column < PADDING_MAX; o->column++)
		textmake_put(to, "\t", 1, 0);
	o->cell_in = to;
	o->cell_from = to->n;
}

/* A paragraph's end within the cell is not the row's. */
static void
cell_end(struct office *o)
{
	struct textmake *to = here(o);

	o->column++;
	if (to == o->cell_in && to->n > o->cell_from && to->p[to->n - 1] == '\n')
		to->p[to->n - 1] = '\t';
	else if (to->n == 0 || to->p[to->n - 1] != '\t' || to->n == o->cell_from)
		textmake_put(to, "\t", 1, 0);
}

/* --- cells ---------------------------------------------------------------------------------------- */

/* "4.1111111111111E+15" is how a number of 14 digits may be written: with its zeros it is itself. */
static struct span
plain_number(struct span v, char out[64])
{
	size_t e = span_find(v, 'E'), n = 0, digits = 0;
	int exponent = 0;
	bool point = false;

	if (e == v.n || e + 2 > v.n)
		return v;
	for (size_t i = e + 1; i < v.n; i++)
		if (v.p[i] >= '0' && v.p[i] <= '9' && exponent < 100)
			exponent = exponent * 10 + (v.p[i] - '0');
		else if (v.p[i] != '+')
			return v;
	if (exponent > 20)
		return v;
	for (size_t i = 0; i < e && n < 40; i++) {
		if (v.p[i] == '.') {
			point = true;
			continue;
		}
		out[n++] = v.p[i];
		digits += point;
	}
	if (digits > (size_t)exponent)
		return v;
	for (; digits < (size_t)exponent && n < 63; digits++)
		out[n++] = '0';
	return span_make(out, n);
}

static void
value_end(struct office *o)
{
	struct span v = span_make(o->value, o->nvalue), s;
	char plain[64];
	size_t i = 0;

	o->in_value = false;
	if (!o->shared) {
		s = plain_number(v, plain);
		textmake_put(here(o), s.p, s.n, 0);
		return;
	}
	for (size_t k = 0; k < v.n && v.p[k] >= '0' && v.p[k] <= '9' && i < UINT32_MAX; k++)
		i = i * 10 + (size_t)(v.p[k] - '0');
	if (i >= o->nstrings)
		return;
	s = o->strings[i];
	if (s.n > o->b->left) {
		o->cut = true;
		return;
	}
	o->b->left -= s.n;
	textmake_put(here(o), s.p, s.n, 0);
}

static void
string_end(struct office *o)
{
	if (o->nstrings == o->strings_cap) {
		size_t cap = o->strings_cap ? o->strings_cap * 2 : 256;

		o->strings = arena_grow(o->b->a, o->strings, o->strings_cap * sizeof(*o->strings),
		    cap * sizeof(*o->strings));
		o->strings_cap = cap;
	}
	/* The pool may move: the length now, the place when all are there. */
	o->strings[o->nstrings++] = span_make(NULL, o->pool.n);
}

static void
strings_place(struct office *o)
{
	/* A file may have the list twice: what the first one said has its place. */
	for (; o->placed < o->nstrings; o->placed++) {
		size_t end = o->strings[o->placed].n;

		o->strings[o->placed] = span_make(o->pool.p + o->placed_to, end - o->placed_to);
		o->placed_to = end;
	}
}

/* --- tags ------------------------------------------------------------------------------------------- */

static bool
is_one_of(struct span s, const char *const *names)
{
	for (; *names; names++)
		if (span_is(s, *names))
			return true;
	return false;
}

/* xlink:href; those within the file have no host. */
static void
odf_link(struct office *o, const struct xml_tag *t)
{
	struct span v = xml_value(o->b->a, xml_attribute(t, "href"));
	struct textmake *links;

	if (v.n == 0 || memmem(v.p, v.n, ":", 1) == NULL)
		return;
	url_add(o->b, span_is(t->name, "a") ? URL_DOCUMENT : URL_FETCHED, o->index, 0, v,
	    span_make("", 0), NULL);
	links = &o->stories[story_of(o, SPAN_LIT("links"))].text;
	textmake_put(links, v.p, v.n, 0);
	textmake_put(links, "\n", 1, 0);
}

static void
odf_tag(struct office *o, const struct xml_tag *t)
{
	static const char *const linking[] = { "a", "image", "object", "plugin", "floating-frame",
		"section-source", "event-listener", NULL };
	struct span v;

	if (span_is(t->name, "s") && !t->closing) {
		textmake_put(here(o), " ", 1, 0);
	} else if (span_is(t->name, "tracked-changes")) {
		o->deleted = !t->closing && !t->empty;
	} else if (span_is(t->name, "annotation") && !t->empty) {
		o->now = t->closing ? o->home : story_of(o, SPAN_LIT("comments"));
	} else if (!t->closing && is_one_of(t->name, linking)) {
		odf_link(o, t);
	} else if (span_is(t->name, "style") && !t->closing) {
		o->style = arena_span(o->b->a, xml_attribute(t, "name"));
	} else if (span_is(t->name, "table-properties") && !t->closing) {
		if (span_is(xml_attribute(t, "display"), "false") && o->nhidden < STYLES_MAX)
			o->hidden_styles[o->nhidden++] = o->style;
	} else if (span_is(t->name, "table") && span_is(t->prefix, "table")) {
		o->now = o->home;
		v = xml_attribute(t, "style-name");
		for (size_t i = 0; i < o->nhidden && !t->closing && v.n; i++)
			if (span_eq(o->hidden_styles[i], v))
				o->now = story_of(o, span_str(arena_printf(o->b->a,
				    "hidden sheet " SPAN_FMT,
				    SPAN_ARG(xml_value(o->b->a, xml_attribute(t, "name"))))));
	}
}

static void
sheet_tag(struct office *o, const struct xml_tag *t)
{
	struct sheet *s;

	if (o->nsheets == SHEETS_MAX || t->closing)
		return;
	s = &o->sheets[o->nsheets++];
	s->name = arena_span(o->b->a, xml_value(o->b->a, xml_attribute(t, "name")));
	s->id = arena_span(o->b->a, xml_attribute(t, "id"));
	s->hidden = span_starts_nocase(xml_attribute(t, "state"), SPAN_LIT("hidden")) ||
	    span_starts_nocase(xml_attribute(t, "state"), SPAN_LIT("veryHidden"));
	textmake_put(&o->stories[story_of(o, SPAN_LIT("sheet names"))].text, s->name.p, s->name.n, 0);
	textmake_put(&o->stories[story_of(o, SPAN_LIT("sheet names"))].text, "\n", 1, 0);
}

/* Hyperlinks are texts; what is fetched without a click is active. */
static void
relation_tag(struct office *o, const struct xml_tag *t)
{
	static const char *const fetched[] = { "/attachedTemplate", "/oleObject", "/frame",
		"/subDocument", "/externalLinkPath", NULL };
	struct span type = xml_attribute(t, "Type"), target = xml_attribute(t, "Target");

	for (size_t i = 0; i < o->nsheets; i++)
		if (o->sheets[i].target.n == 0 && span_eq(o->sheets[i].id, xml_attribute(t, "Id")) &&
		    span_ends_nocase(type, SPAN_LIT("sheet")))
			o->sheets[i].target = arena_span(o->b->a, target);
	if (!span_is_nocase(xml_attribute(t, "TargetMode"), "External"))
		return;
	target = xml_value(o->b->a, target);
	textmake_put(&o->stories[o->home].text, target.p, target.n, 0);
	textmake_put(&o->stories[o->home].text, "\n", 1, 0);
	url_add(o->b, span_ends_nocase(type, SPAN_LIT("/hyperlink")) ? URL_DOCUMENT : URL_FETCHED,
	    o->index, 0, target, span_make("", 0), NULL);
	for (size_t i = 0; fetched[i] && i < 4; i++)
		if (span_ends_nocase(type, span_str(fetched[i])))
			o->b->out->parts[o->index].defects |= DEFECT_ACTIVE_CONTENT;
}

static void
ooxml_tag(struct office *o, const struct xml_tag *t)
{
	static const char *const texts[] = { "t", "delText", "text", "instrText", "delInstrText",
		"creator", "title", "subject", "description", "keywords", "lastModifiedBy", "Company",
		"Manager", "category", "lpwstr", "lpstr", "f", "definedName", "connection", NULL };
	struct span v;

	if (span_is(t->name, "v") && span_is(t->prefix, "")) {
		if (t->closing && o->in_value)
			value_end(o);
		o->in_value = !t->closing && !t->empty;
		o->nvalue = 0;
	} else if (is_one_of(t->name, texts) || span_is(t->name, "v")) {
		o->wanted = !t->closing && !t->empty;
		if (o->wanted)
			o->aside = span_ends_nocase(t->name, SPAN_LIT("instrText")) ? "field codes" :
			    span_is(t->name, "f") ? "formulas" : NULL;
		/* These stand alone, each is a line. */
		if (t->closing && !span_is(t->name, "t") && !span_is(t->name, "delText"))
			parted(o, '\n');
		if (t->closing)
			o->aside = NULL;
	} else if (span_is(t->name, "c") && span_is(t->prefix, "")) {
		o->shared = span_is(xml_attribute(t, "t"), "s");
	} else if (span_is(t->name, "del") || span_is(t->name, "moveFrom")) {
		if (!t->empty)
			o->deleted = t->closing ? o->deleted - (o->deleted > 0) : o->deleted + 1;
		if (t->closing && o->deleted == 0)
			textmake_put(&o->stories[story_of(o, SPAN_LIT("deleted text"))].text, "\n", 1, 0);
	} else if (span_is(t->name, "vanish") && !t->closing) {
		v = xml_attribute(t, "val");
		o->vanish = !(span_is(v, "0") || span_is(v, "false") || span_is(v, "off"));
	} else if (span_is(t->name, "r")) {
		o->vanish = false;
	} else if (span_is(t->name, "sheet")) {
		sheet_tag(o, t);
	} else if (span_is(t->name, "Relationship")) {
		relation_tag(o, t);
	} else if (span_is(t->name, "ddeLink")) {
		o->dde = true;
	} else if (span_is(t->name, "sld") && !t->closing) {
		if (span_is(xml_attribute(t, "show"), "0"))
			o->now = story_of(o, SPAN_LIT("hidden slides"));
	}
	v = t->closing ? span_make(NULL, 0) : xml_attribute(t, "descr");
	if (v.n) {
		struct textmake *to = &o->stories[story_of(o, SPAN_LIT("descriptions of pictures"))].text;

		v = xml_value(o->b->a, v);
		textmake_put(to, v.p, v.n, 0);
		textmake_put(to, "\n", 1, 0);
	}
}

static void
on_tag(void *arg, const struct xml_tag *t)
{
	static const char *const lines[] = { "p", "h", "row", "tr", "br", "cr", "line-break",
		"table-row", "comment", "title", "keyword", "user-defined", "creator", NULL };
	static const char *const cells[] = { "c", "tc", "table-cell", NULL };
	struct office *o = arg;
	bool cell = is_one_of(t->name, cells);

	if (o->odf)
		odf_tag(o, t);
	else
		ooxml_tag(o, t);
	if (span_is(t->name, "encryption-data"))
		o->locked = true;
	if (!t->closing && (span_is(t->name, "row") || span_is(t->name, "table-row")))
		o->column = 0;
	if (cell && !t->closing && !o->pooling)
		cell_begin(o, t);
	if (!t->closing && !t->empty)
		return;
	if (o->pooling) {
		if (span_is(t->name, "si"))
			string_end(o);
	} else if (is_one_of(t->name, lines)) {
		parted(o, '\n');
	} else if (cell) {
		cell_end(o);
	} else if (span_is(t->name, "tab")) {
		parted(o, '\t');
	}
}

/* --- members -------------------------------------------------------------------------------------------- */

static bool
on_piece(void *arg, const char *p, size_t n)
{
	struct office *o = arg;

	if (!o->peeked) {
		o->peeked = true;
		/* A mark of UTF-16, or a "<" of two bytes. */
		o->pouring = n >= 2 && (memcmp(p, "\xff\xfe", 2) == 0 || memcmp(p, "\xfe\xff", 2) == 0 ||
		    memcmp(p, "<\0", 2) == 0 || memcmp(p, "\0<", 2) == 0);
		if (o->pouring)
			pour_begin(&o->whole, o->b, UINT32_MAX, 0);
	}
	if (o->pouring)
		return pour_put(&o->whole, p, n);
	xml_piece(&o->xml, p, n);
	return true;
}

static void
member_read(struct office *o, const struct zip_entry *e)
{
	o->xml = (struct xml){ .text = on_text, .tag = on_tag, .arg = o };
	o->wanted = o->shared = o->vanish = o->in_value = o->peeked = o->pouring = false;
	o->deleted = 0;
	o->aside = NULL;
	if (!zip_inflate(e, &o->b->left, on_piece, o))
		o->cut = true;
	if (o->pouring) {
		struct text raw = { .s = pour_end(&o->whole) }, utf8;
		bool big = raw.s.n > 1 && (raw.s.p[0] == '\xfe' || raw.s.p[0] == '\0');

		o->cut |= o->whole.cut;
		charset_decode(o->b->a, big ? SPAN_LIT("utf-16be") : SPAN_LIT("utf-16le"), &raw, false,
		    &utf8);
		xml_piece(&o->xml, utf8.s.p, utf8.s.n);
	}
	if (o->xml.doctype)
		o->b->out->parts[o->index].defects |= DEFECT_DOCUMENT_BROKEN;
}

/* All of a member, borrowed or in the arena. */
static struct span
member_bytes(struct office *o, const struct zip_entry *e)
{
	struct pour p;

	if (e->method == 0)
		return e->data;
	pour_begin(&p, o->b, e->data.n, e->size);
	if (!zip_pour(e, &p))
		o->cut |= p.cut;
	return pour_end(&p);
}

static void
text_read(struct office *o, const struct zip_entry *e, const char *origin)
{
	struct span name = e->name;

	o->home = story_of(o, span_str(origin));
	for (size_t i = 0; i < o->nsheets && *origin == '\0'; i++)
		if (o->sheets[i].hidden && o->sheets[i].target.n &&
		    span_ends_nocase(name, o->sheets[i].target))
			o->home = story_of(o, span_str(arena_printf(o->b->a, "hidden sheet " SPAN_FMT,
			    SPAN_ARG(o->sheets[i].name))));
	o->now = o->home;
	member_read(o, e);
	o->now = o->home;
	o->deleted = 0;
	o->vanish = false;
	o->aside = NULL;
	parted(o, '\n');
}

/* 0: what others need; 1: the rest. */
static void
member_use(struct office *o, const struct zip_entry *e, int pass)
{
	struct member m = office_member(e->name, o->type);
	bool index = m.use == USE_INDEX || m.use == USE_MANIFEST || span_is_nocase(e->name, "xl/_rels/workbook.xml.rels");
	struct sniffed kind;
	struct span bytes;

	if (index != (pass == 0) || e->encrypted || e->data.p == NULL)
		return;
	switch (m.use) {
	case USE_NONE:
		break;
	case USE_INDEX:
		o->home = o->now = story_of(o, SPAN_LIT(""));
		o->pooling = span_is_nocase(e->name, "xl/sharedStrings.xml");
		member_read(o, e);
		if (o->pooling)
			strings_place(o);
		o->pooling = false;
		break;
	case USE_MACRO:
		if (!span_ends_nocase(e->name, SPAN_LIT("script-lc.xml")) &&
		    !span_ends_nocase(e->name, SPAN_LIT("script-lb.xml")))
			o->b->out->parts[o->index].defects |= DEFECT_MACRO;
		text_read(o, e, m.origin);
		break;
	case USE_TEXT:
	case USE_RELATIONS:
	case USE_MANIFEST:
		text_read(o, e, m.origin ? m.origin : "other parts of the file");
		break;
	case USE_PROJECT:
		vba_read(o->b, o->index, member_bytes(o, e));
		break;
	case USE_PICTURE:
	case USE_PART:
		bytes = member_bytes(o, e);
		type_sniff(bytes, span_make("", 0), e->name, &kind);
		/* Pictures are looked at by people (and by OCR), not here. */
		if (part_type_class(kind.type) == CLASS_IMAGE && kind.type != TYPE_SVG && !o->b->pictures)
			break;
		if (bytes.n)
			blob_add(o->b, o->index, bytes, e->name);
		break;
	}
}

void
office_read(struct builder *b, uint16_t index)
{
	static struct office scratch;	/* too large for each of ten thousand files */
	struct office *o = &scratch;
	struct part *p = &b->out->parts[index];
	struct text none = { 0 };
	struct zip_listing l;

	memset(o, 0, sizeof(*o));
	o->b = b;
	o->index = index;
	o->type = p->type;
	o->odf = p->type == TYPE_ODT || p->type == TYPE_ODS || p->type == TYPE_ODP;
	textmake_init(&o->pool, b->a, &none, 256, false);
	story_of(o, SPAN_LIT(""));
	zip_list(b->a, p->decoded, &l);
	if (l.ambiguous)
		p->defects |= DEFECT_ARCHIVE_AMBIGUOUS;
	for (int pass = 0; pass < 2 && !o->locked; pass++)
		for (size_t i = 0; i < l.n; i++)
			member_use(o, &l.v[i], pass);
	if (o->cut || l.cut)
		b->out->parts[index].defects |= DEFECT_TOO_LARGE;
	for (size_t i = 0; i < o->nstories; i++) {
		struct story *s = &o->stories[i];
		struct text raw = { .s = span_make(s->text.p, s->text.n) }, text;

		charset_decode(b->a, SPAN_LIT("utf-8"), &raw, false, &text);
		o->dde |= text.s.n && (memmem(text.s.p, text.s.n, "DDEAUTO", 7) ||
		    memmem(text.s.p, text.s.n, "DDE \"", 5));
		if (i == 0)
			text_set(b, index, &text);
		else
			side_add(b, index, s->origin, &text);
	}
	p = &b->out->parts[index];
	if (o->dde)
		p->defects |= DEFECT_ACTIVE_CONTENT;
	if (o->locked) {
		struct unlocked u = odf_unlock(b, &l);

		p->encrypted = true;
		p->encryption = ENCRYPTION_ODF;
		if (u.bytes.n && blob_add(b, index, u.bytes, p->name) != PART_NONE)
			b->out->parts[index].opened = u.lock == LOCK_OPEN;
	} else if (p->encrypted) {
		/* Members of a document under a zip's own lock: no office program writes that. */
		p->encryption = ENCRYPTION_ZIP;
	}
}
