/* unpack.c -- which reader looks into which part; see anatomy/unpack.h.
 *
 * By the true type of the bytes, never by name. A file of any binary kind
 * may have an archive at its end or within (self-extracting programs,
 * polyglots): a zip is looked for in all of them, 7z and RAR in programs.
 * When the file is no program, two programs see two things in it, which is
 * the defect archive-ambiguous; its members are parts all the same.
 */
#include "anatomy/unpack.h"

#include "anatomy/archive.h"
#include "anatomy/arj.h"
#include "anatomy/charset.h"
#include "anatomy/office.h"
#include "anatomy/ole2.h"
#include "anatomy/pdf.h"
#include "anatomy/rtf.h"
#include "anatomy/small_files.h"
#include "anatomy/textmap.h"
#include "anatomy/type.h"
#include "anatomy/volumes.h"
#include "anatomy/wrapped.h"
#include "anatomy/zip.h"
#include "postern/err.h"

#define POUR_FIRST ((size_t)64 << 10)
#define KEPT ((size_t)ANATOMY_RATIO_FREE)

/* --- bytes that come out ------------------------------------------------------------------ */

void
pour_begin(struct pour *o, struct builder *b, uint64_t in, uint64_t hint)
{
	uint64_t most = in < UINT64_MAX / ANATOMY_RATIO - ANATOMY_RATIO_FREE ?
	    in * ANATOMY_RATIO + ANATOMY_RATIO_FREE : UINT64_MAX;

	*o = (struct pour){ .b = b, .in = in, .cap = POUR_FIRST };
	if (hint && hint <= most)
		o->cap = hint > SIZE_MAX / 4 ? POUR_FIRST : (size_t)hint + 1;
	if (o->cap > b->left)
		o->cap = (size_t)b->left + 1;
	o->p = arena_alloc(b->a, o->cap);
}

char *
pour_room(struct pour *o, size_t *room)
{
	size_t cap;

	if (o->cut)
		return NULL;
	if (o->n > o->b->left || (o->n > ANATOMY_RATIO_FREE && o->n / ANATOMY_RATIO > o->in)) {
		o->cut = true;
		return NULL;
	}
	if (o->n == o->cap) {
		cap = o->cap < ((size_t)8 << 20) ? o->cap * 2 : o->cap + o->cap / 2;
		if (cap > o->b->left + 1)
			cap = (size_t)o->b->left + 1;
		if (cap <= o->cap) {
			o->cut = true;
			return NULL;
		}
		o->p = arena_grow(o->b->a, o->p, o->cap, cap);
		o->cap = cap;
	}
	*room = o->cap - o->n;
	return o->p + o->n;
}

void
pour_took(struct pour *o, size_t n)
{
	ASSERT(n <= o->cap - o->n);
	o->n += n;
}

bool
pour_put(struct pour *o, const char *p, size_t n)
{
	while (n) {
		size_t room;
		char *to = pour_room(o, &room);

		if (to == NULL)
			return false;
		if (room > n)
			room = n;
		memcpy(to, p, room);
		pour_took(o, room);
		p += room;
		n -= room;
	}
	return true;
}

bool
pour_repeat(struct pour *o, size_t back, size_t n)
{
	if (back == 0 || back > o->n)
		return false;
	while (n) {
		char piece[256];
		size_t k = n < back ? n : back;

		/* The room may move: a copy first. */
		k = k < sizeof(piece) ? k : sizeof(piece);
		memcpy(piece, o->p + o->n - back, k);
		if (!pour_put(o, piece, k))
			return false;
		n -= k;
	}
	return true;
}

struct span
pour_end(struct pour *o)
{
	if (o->n > o->b->left) {
		o->n = (size_t)o->b->left;
		o->cut = true;
	}
	o->b->left -= o->n;
	/* Of what broke a budget the beginning is enough: the message is unscannable. */
	if (o->cut && o->n > KEPT)
		o->n = KEPT;
	if (o->cap - o->n > o->cap / 4)
		o->p = arena_grow(o->b->a, o->p, o->cap, o->n ? o->n : 1);
	return span_make(o->p, o->n);
}

/* --- parts and texts ------------------------------------------------------------------------ */

uint16_t
blob_add_charset(struct builder *b, uint16_t parent, struct span bytes, struct span name,
    struct span charset)
{
	struct text raw = { .s = span_sub(name, 0, 4096) }, utf8;

	if (raw.s.p == NULL)
		raw.s.p = "";
	if (utf8_valid_until(raw.s) == raw.s.n)
		utf8 = raw;
	else
		charset_decode(b->a, charset, &raw, false, &utf8);
	return mime_part_found(b, parent, bytes, utf8.s);
}

uint16_t
blob_add(struct builder *b, uint16_t parent, struct span bytes, struct span name)
{
	return blob_add_charset(b, parent, bytes, name, span_make("", 0));
}

void
blob_add_locked(struct builder *b, uint16_t parent, struct span name, enum encryption kind)
{
	uint16_t child = blob_add(b, parent, span_make("", 0), name);

	if (child == PART_NONE)
		return;
	b->out->parts[child].encrypted = true;
	b->out->parts[child].encryption = kind;
}

/* As much of a text as its budget has room for. */
static struct text
text_take(struct builder *b, struct part *p, const struct text *text)
{
	uint64_t most = b->text_left;
	struct text t = *text;

	if (p->defects & DEFECT_TOO_LARGE && most > KEPT)
		most = KEPT;
	if (t.s.n > most) {
		t.s = span_sub(t.s, 0, (size_t)most);
		t.s.n = utf8_valid_until(t.s);
		p->defects |= DEFECT_TOO_LARGE;
	}
	b->text_left -= t.s.n;
	return t;
}

void
text_set(struct builder *b, uint16_t index, const struct text *text)
{
	struct part *p = &b->out->parts[index];

	p->text = text_take(b, p, text);
	if (p->text.s.p == NULL)
		p->text.s.p = "";
}

void
side_add(struct builder *b, uint16_t index, struct span origin, const struct text *text)
{
	struct part *p = &b->out->parts[index];
	struct text t;

	if (span_trim(text->s).n == 0)
		return;
	t = text_take(b, p, text);
	if (t.s.n == 0)
		return;
	/* A power of two is full. */
	if ((p->nsides & (p->nsides - 1)) == 0)
		p->sides = arena_grow(b->a, p->sides, p->nsides * sizeof(*p->sides),
		    (p->nsides ? p->nsides * 2 : 1) * sizeof(*p->sides));
	p->sides[p->nsides++] = (struct side_text){ .origin = origin, .text = t };
}

void
side_add_utf8(struct builder *b, uint16_t index, struct span origin, struct span utf8)
{
	struct text raw = { .s = utf8 }, text;

	if (utf8.n == 0)
		return;
	charset_decode(b->a, SPAN_LIT("utf-8"), &raw, false, &text);
	side_add(b, index, origin, &text);
}

struct span
decode_exact(struct arena *a, struct span charset, struct span s)
{
	bool wide = span_starts(charset, SPAN_LIT("utf-16"));
	struct text raw = { .s = s }, utf8;
	unsigned char first;
	char *p;

	if (s.n == 0)
		return span_make("", 0);
	first = (unsigned char)s.p[0];
	if (first >= 0xfe || first == 0xef) {
		/* Behind a space nothing is a mark. */
		p = arena_alloc(a, s.n + 2);
		memcpy(p, " \0", 2);
		memcpy(p + 1 + wide, s.p, s.n);
		if (span_ends_nocase(charset, SPAN_LIT("be")))
			memcpy(p, "\0 ", 2);
		raw.s = span_make(p, s.n + 1 + wide);
	}
	charset_decode(a, charset, &raw, false, &utf8);
	return raw.s.p == s.p ? utf8.s : span_from(utf8.s, 1);
}

/* --- by type -------------------------------------------------------------------------------------- */

static void
found_within(struct builder *b, uint16_t index)
{
	struct part *p = &b->out->parts[index];
	bool program = part_type_class(p->type) == CLASS_EXECUTABLE;
	size_t before = b->out->nparts;
	struct span s = p->decoded;
	const char *at;

	if (zip_has_end(s))
		zip_unpack(b, index);
	if (program && s.n > 64) {
		static const struct {
			const char *magic;
			size_t n;
			enum part_type type;
		} packed[] = {
			{ "7z\xbc\xaf\x27\x1c", 6, TYPE_SEVENZIP }, { "Rar!\x1a\x07", 6, TYPE_RAR },
			{ "MSCF\0\0\0\0", 8, TYPE_CAB },
		};

		for (size_t i = 0; i < sizeof(packed) / sizeof(packed[0]); i++) {
			at = memmem(s.p + 64, s.n - 64, packed[i].magic, packed[i].n);
			/* A program may hold the magic number for its own use: no defect then. */
			if (at)
				archive_unpack_found(b, index, span_from(s, (size_t)(at - s.p)),
				    packed[i].type);
		}
	}
	if (b->out->nparts > before && !program)
		b->out->parts[index].defects |= DEFECT_ARCHIVE_AMBIGUOUS;
}

static bool
opens(enum part_type t)
{
	switch (t) {
	case TYPE_EMPTY:
	case TYPE_MULTIPART:
		return false;
	case TYPE_MESSAGE:
	case TYPE_RTF:
		return true;
	default:
		return part_type_class(t) != CLASS_TEXT && part_type_class(t) != CLASS_SCRIPT;
	}
}

/* Nobody knows how to read it, so it is searched as it is. */
static void
anything_readable(struct builder *b, uint16_t index)
{
	struct text t = { .s = strings_find(b->a, b->out->parts[index].decoded, false) };

	side_add(b, index, SPAN_LIT("anything readable"), &t);
}

static void
unpack_as(struct builder *b, uint16_t index, enum part_type t)
{
	switch (t) {
	case TYPE_MESSAGE:
		mime_split_found(b, index);
		break;
	case TYPE_ZIP:
	case TYPE_JAR:
		zip_unpack(b, index);
		break;
	case TYPE_SEVENZIP:
	case TYPE_RAR:
	case TYPE_TAR:
	case TYPE_GZIP:
	case TYPE_BZIP2:
	case TYPE_XZ:
	case TYPE_ZSTD:
	case TYPE_CAB:
	case TYPE_ISO:
	case TYPE_LZH:
	case TYPE_AR:
	case TYPE_CPIO:
	case TYPE_XAR:
		archive_unpack(b, index);
		break;
	case TYPE_ONENOTE:
		onenote_read(b, index);
		anything_readable(b, index);
		break;
	case TYPE_DBF:
		dbf_read(b, index);
		break;
	case TYPE_IWA:
		iwa_read(b, index);
		break;
	case TYPE_ARJ:
		arj_unpack(b, index);
		break;
	case TYPE_ACE:
	case TYPE_WIM:
		b->out->parts[index].defects |= DEFECT_ARCHIVE_UNREADABLE;
		break;
	case TYPE_DOC:
	case TYPE_XLS:
	case TYPE_PPT:
	case TYPE_MSG:
	case TYPE_OLE2:
	case TYPE_MSI:
		ole2_read(b, index);
		break;
	case TYPE_RTF:
		rtf_read(b, index);
		break;
	case TYPE_TNEF:
		tnef_unpack(b, index);
		break;
	case TYPE_PDF:
		pdf_read(b, index);
		found_within(b, index);
		break;
	case TYPE_UNKNOWN:
	case TYPE_SQLITE:
	case TYPE_MDB:
	case TYPE_LNK:
		found_within(b, index);
		anything_readable(b, index);
		break;
	default:
		if (ole2_is(b->out->parts[index].decoded))
			ole2_read(b, index);	/* an encrypted document, typed by its name */
		else if (office_has_text(t))
			office_read(b, index);
		else
			found_within(b, index);
	}
}

void
unpack_part(struct builder *b, uint16_t index)
{
	struct part *p = &b->out->parts[index];
	const struct node *node = &b->nodes[index];
	bool deep = node->levels >= b->max_unpack || p->depth + 1u > b->max_depth;
	size_t before;

	if (!node->leaf && !node->message) {	/* around the parts of a multipart */
		struct span epilogue = node->epilogue;

		infiles_unpack(b, index, node->preamble, deep);
		infiles_unpack(b, index, epilogue, deep);
		return;
	}
	if (!node->leaf || p->decoded.n == 0)
		return;
	if (p->type == TYPE_UUENCODE || part_type_class(p->type) == CLASS_TEXT)
		infiles_unpack(b, index, p->decoded, deep);
	/* A piece of an archive may look like anything, text too. */
	if (!deep && volumes_join(b, index))
		return;
	p = &b->out->parts[index];
	if (!opens(p->type))
		return;
	if (deep) {
		/* A picture ends here as it would elsewhere; what could hold more was not looked into. */
		if (part_type_class(p->type) == CLASS_ARCHIVE || p->type == TYPE_JAR ||
		    part_type_class(p->type) == CLASS_DOCUMENT || p->type == TYPE_MESSAGE ||
		    p->type == TYPE_TNEF)
			p->defects |= DEFECT_TOO_DEEP;
		return;
	}
	before = b->out->nparts;
	unpack_as(b, index, p->type);
	/* Whatever the reader could not find: an archive that shows nothing is one that was not read. */
	p = &b->out->parts[index];
	if (b->out->nparts == before && part_type_class(p->type) == CLASS_ARCHIVE &&
	    p->type != TYPE_UUENCODE && !b->nothing_within)
		p->defects |= p->encrypted ? 0 : DEFECT_ARCHIVE_UNREADABLE;
	b->nothing_within = false;
}
