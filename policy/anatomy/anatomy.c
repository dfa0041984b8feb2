/* anatomy.c -- builds the anatomy of a message; see postern/anatomy.h.
 *
 * First the tree (mime.c), then, part by part, the transfer encoding, the
 * true type and the text; then each part is looked into (unpack.c), which may
 * add parts at the end; then the surfaces. Nothing fails: each budget that
 * is exceeded and each rule that is broken becomes a defect of its part.
 */
#include "postern/anatomy.h"

#include "addr.h"
#include "anatomy/charset.h"
#include "anatomy/fields.h"
#include "anatomy/html.h"
#include "anatomy/html_links.h"
#include "anatomy/mime.h"
#include "anatomy/pictures.h"
#include "anatomy/surfaces.h"
#include "anatomy/textmap.h"
#include "anatomy/type.h"
#include "anatomy/unpack.h"
#include "postern/err.h"

#define RAW_MAX ((size_t)INT32_MAX)
#define TEXT_MAX (UINT32_MAX / 8)	/* as in fold.c */
#define DEPTH_MAX 250
#define PASSWORDS_MAX 1000

/* --- names ----------------------------------------------------------------------------- */

static const struct {
	const char *name;
	enum type_class class;
} types[TYPE_COUNT] = {
#define X(name, text, class) { text, CLASS_##class },
	PART_TYPES(X)
#undef X
};

static const char *const classes[] = { "none", "text", "document", "image", "audio", "video",
	"archive", "executable", "script", "message", "crypto" };

static const struct {
	uint32_t bit;
	const char *name;
} defects[] = {
#define X(name, bit, text, help) { DEFECT_##name, text },
	DEFECTS(X)
#undef X
};

static const char *const encryptions[] = {
#define X(name, text) text,
	ENCRYPTIONS(X)
#undef X
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const char *
part_type_name(enum part_type t)
{
	ASSERT((unsigned)t < TYPE_COUNT);
	return types[t].name;
}

enum type_class
part_type_class(enum part_type t)
{
	ASSERT((unsigned)t < TYPE_COUNT);
	return types[t].class;
}

bool
part_type_from_name(struct span name, enum part_type *t)
{
	for (unsigned i = 0; i < TYPE_COUNT; i++)
		if (span_is_nocase(name, types[i].name)) {
			*t = (enum part_type)i;
			return true;
		}
	return false;
}

const char *
type_class_name(enum type_class c)
{
	ASSERT((unsigned)c < COUNT(classes));
	return classes[c];
}

bool
type_class_from_name(struct span name, enum type_class *c)
{
	for (unsigned i = 0; i < COUNT(classes); i++)
		if (span_is_nocase(name, classes[i])) {
			*c = (enum type_class)i;
			return true;
		}
	return false;
}

const char *
defect_name(uint32_t single_bit)
{
	for (unsigned i = 0; i < COUNT(defects); i++)
		if (defects[i].bit == single_bit)
			return defects[i].name;
	return "unknown";
}

bool
defect_from_name(struct span name, uint32_t *bit)
{
	for (unsigned i = 0; i < COUNT(defects); i++)
		if (span_is_nocase(name, defects[i].name)) {
			*bit = defects[i].bit;
			return true;
		}
	return false;
}

const char *
encryption_name(enum encryption e)
{
	ASSERT((unsigned)e < COUNT(encryptions));
	return encryptions[e];
}

bool
encryption_from_name(struct span name, enum encryption *e)
{
	for (unsigned i = 1; i < COUNT(encryptions); i++)
		if (span_is_nocase(name, encryptions[i])) {
			*e = (enum encryption)i;
			return true;
		}
	return false;
}

const char *
where_name(enum where w)
{
	switch (w) {
	case WHERE_SUBJECT:
		return "subject";
	case WHERE_BODY:
		return "body";
	case WHERE_ATTACHMENT:
		return "attachment";
	case WHERE_HEADER:
		return "header";
	case WHERE_ANY:
		break;
	}
	return "any";
}

const struct header *
part_header(const struct part *p, const char *name)
{
	struct span want = span_str(name);

	for (size_t i = 0; i < p->nheaders; i++)
		if (p->headers[i].name.n && span_eq_nocase(p->headers[i].name, want))
			return &p->headers[i];
	return NULL;
}

/* --- From: ------------------------------------------------------------------------------- */

/* The first address of a mailbox list (RFC 5322, 3.4): comments, display names, groups and
 * routes are skipped; white space is dropped. "" when there is none. */
static struct span
mailbox_first(struct arena *a, struct span s)
{
	char *out = arena_alloc(a, s.n + 1);
	unsigned comment = 0;
	bool quoted = false, angle = false;
	size_t n = 0;

	for (size_t i = 0; i <= s.n; i++) {
		char c = i < s.n ? s.p[i] : ',';

		if (comment || quoted) {
			if (i == s.n)
				break;
			if (c == '\\' && i + 1 < s.n) {
				if (quoted) {
					out[n++] = c;
					out[n++] = s.p[i + 1];
				}
				i++;
			} else if (comment) {
				comment += c == '(' ? 1u : c == ')' ? -1u : 0u;
			} else {
				out[n++] = c;
				quoted = c != '"';
			}
			continue;
		}
		switch (c) {
		case '(':
			comment = 1;
			break;
		case '"':
			quoted = true;
			out[n++] = c;
			break;
		case '<':
			angle = true;
			n = 0;
			break;
		case ':':	/* a group begins, or a route ends */
			n = 0;
			break;
		case '>':
		case ',':
		case ';':
			if (angle && c == ',' && i < s.n) {
				n = 0;		/* "<@a,@b:c@d>" */
				break;
			}
			if (n && memchr(out, '@', n))
				return span_make(out, n);
			n = 0;
			angle = false;
			break;
		case ' ':
		case '\t':
			break;
		default:
			out[n++] = c;
		}
	}
	return n && memchr(out, '@', n) ? span_make(out, n) : span_make("", 0);
}

static struct span
header_from(struct arena *a, const struct part *root)
{
	const struct header *h = part_header(root, "From");
	struct span addr, local, domain;

	if (h == NULL)
		return span_make("", 0);
	addr = mailbox_first(a, header_unfold(a, h->raw));
	if (addr.n == 0 || !mailaddr_split(addr, &local, &domain))
		return span_make("", 0);
	return mailaddr_normalise(a, addr);
}

/* --- contents ---------------------------------------------------------------------------- */

/* No reader shows what stands around the parts; it is hidden text. */
static void
around_read(struct builder *b, struct part *p, const struct node *node)
{
	struct text body = { .s = node->body }, joined;
	struct textmake t;
	size_t at;

	if (span_trim(node->preamble).n == 0 && span_trim(node->epilogue).n == 0)
		return;
	textmake_init(&t, b->a, &body, node->preamble.n + node->epilogue.n + 1, true);
	textmake_copy(&t, 0, node->preamble.n);
	if (node->epilogue.n) {
		at = (size_t)(node->epilogue.p - node->body.p);
		textmake_put(&t, "\n", 1, at);
		textmake_copy(&t, at, node->epilogue.n);
	}
	textmake_finish(&t, node->body.n, &joined);
	charset_decode(b->a, span_make(NULL, 0), &joined, true, &p->hidden);
}

static void
text_cut(struct part *p, struct text *t)
{
	if (t->s.n > TEXT_MAX) {
		t->s.n = TEXT_MAX;
		p->defects |= DEFECT_TOO_LARGE;
	}
}

/* Bytes that are one text in the declared character set and another in the one they tell
 * themselves, in a document's head or by a mark. */
static void
charset_doubt(struct builder *b, struct part *p, struct span charset, struct span told)
{
	uint16_t index = (uint16_t)(p - b->out->parts);

	if (charset.n && told.n && !p->reading && !charset_same(charset, told) &&
	    (charset_hides_ascii(charset) || charset_hides_ascii(told)))
		reading_note(b, index, (struct reading){ .forced = true, .charset = told,
		    .encoding = b->nodes[index].encoding });
}

/* As much of a text as its budget has room for. */
static void
text_pay(struct builder *b, struct part *p, struct text *t)
{
	if (t->s.n > b->text_left) {
		t->s.n = utf8_valid_until(span_sub(t->s, 0, (size_t)b->text_left));
		p->defects |= DEFECT_TOO_LARGE;
	}
	b->text_left -= t->s.n;
}

static void
text_read(struct builder *b, struct part *p, const struct sniffed *sniffed)
{
	struct text decoded = { .s = p->decoded }, utf8;
	struct span charset = p->charset;

	if (sniffed->text && p->type != TYPE_MESSAGE && p->type != TYPE_RTF) {
		bool markup = p->type == TYPE_HTML || p->type == TYPE_XML || p->type == TYPE_SVG;

		charset_doubt(b, p, charset, charset_mark(p->decoded));
		if (markup) {
			struct span told = html_charset(p->decoded);

			charset_doubt(b, p, charset, told);
			if (charset.n == 0)
				charset = told;
		}
		p->defects |= charset_decode(b->a, charset, &decoded, true, &utf8);
		text_cut(p, &utf8);
		if (p->type == TYPE_HTML) {
			struct html_links links = { .b = b, .in = &utf8,
				.part = (uint16_t)(p - b->out->parts) };

			html_text(b->a, &utf8, &links, &p->text, &p->hidden);
		}
		else
			p->text = utf8;
		text_pay(b, p, &p->text);
		text_pay(b, p, &p->hidden);
		if (p->text.s.p == NULL)
			p->text.s.p = "";
	}
}

/* What no decoder takes is shown as it stands by some. */
static void
encoding_doubt(struct builder *b, struct part *p, const struct node *node)
{
	uint16_t index = (uint16_t)(p - b->out->parts);

	if (p->reading) {	/* a guess need not fit */
		p->defects &= ~(uint32_t)DEFECT_ENCODING_MALFORMED;
		return;
	}
	if (node->encoding == ENCODING_BASE64 && (p->defects & DEFECT_ENCODING_MALFORMED))
		reading_note(b, index, (struct reading){ .forced = true });
	if (node->encoding == ENCODING_OTHER) {
		reading_note(b, index, (struct reading){ .forced = true, .encoding = ENCODING_BASE64 });
		reading_note(b, index, (struct reading){ .forced = true, .encoding = ENCODING_QP });
	}
}

static void
content_read(struct builder *b, size_t index)
{
	struct part *p = &b->out->parts[index];
	struct node *node = &b->nodes[index];
	struct sniffed sniffed;

	if (!node->leaf) {
		p->type = node->message ? TYPE_MESSAGE : TYPE_MULTIPART;
		p->attachment = node->message && index > 0;
		p->encrypted = span_is(p->declared, "multipart/encrypted");
		if (p->encrypted)
			p->encryption = ENCRYPTION_PGP;	/* RFC 3156 and RFC 1847's only user */
		if (!node->message)
			around_read(b, p, node);
		return;
	}
	if (!node->known) {
		p->defects |= decode_body(b->a, node->encoding, node->body,
		    b->left > SIZE_MAX ? SIZE_MAX : (size_t)b->left, &p->decoded);
		b->left -= p->decoded.n;
		encoding_doubt(b, p, node);
	}
	type_sniff(p->decoded, p->declared, p->name, &sniffed);
	if (type_mismatch(&sniffed, p->declared, p->name))
		p->defects |= DEFECT_TYPE_MISMATCH;
	p->type = sniffed.type;
	p->encrypted |= sniffed.encrypted;
	if (p->encryption == ENCRYPTION_NONE)
		p->encryption = sniffed.encryption;
	p->attachment = p->unpacked || span_is(p->disposition, "attachment") || p->name.n ||
	    (p->type != TYPE_EMPTY && part_type_class(p->type) != CLASS_TEXT &&
	    !span_starts(p->declared, SPAN_LIT("text/")));
	text_read(b, p, &sniffed);
}

/* Those of files and of HTML's elements are there; now all that stands in a text. */
static void
urls_find(struct builder *b)
{
	for (size_t i = 0; i < b->out->nsurfaces; i++) {
		const struct surface *s = &b->out->surfaces[i];
		enum part_type t = b->out->parts[s->part].type;

		url_scan(b, s->part, s->text, t == TYPE_CALENDAR || t == TYPE_VCARD);
	}
	url_finish(b);
}

static uint32_t
limit(uint32_t given, uint32_t usual, uint32_t most)
{
	uint32_t v = given ? given : usual;

	return v < most ? v : most;
}

void
anatomy_build(struct arena *a, struct span raw, const struct anatomy_limits *limits,
    struct anatomy *out)
{
	static const struct anatomy_limits none;
	struct builder b = { .a = a, .out = out };
	const struct header *subject;
	size_t read = 0;
	bool cut = raw.n > RAW_MAX;

	if (limits == NULL)
		limits = &none;
	if (cut)
		raw.n = RAW_MAX;
	if (raw.p == NULL)
		raw.p = "";
	*out = (struct anatomy){ .raw = raw };
	b.parts_left = limit(limits->parts, ANATOMY_PARTS, PART_NONE);
	b.max_depth = limit(limits->depth, ANATOMY_DEPTH, DEPTH_MAX);
	b.max_headers = limit(limits->headers, ANATOMY_HEADERS, UINT32_MAX);
	b.max_unpack = limit(limits->unpack, ANATOMY_UNPACK, UINT8_MAX - 1);
	b.max_passwords = limit(limits->passwords, ANATOMY_PASSWORDS, PASSWORDS_MAX);
	b.max_urls = limit(limits->urls, ANATOMY_URLS, UINT16_MAX);
	b.reader = limits->pictures;
	b.pictures = b.reader != NULL;
	b.key_blocks = limits->key_blocks ? limits->key_blocks : ANATOMY_KEY_BLOCKS;
	b.entries = limit(limits->entries, ANATOMY_ENTRIES, PART_NONE);
	b.left = limits->decoded ? limits->decoded : ANATOMY_DECODED;
	b.text_left = limits->text ? limits->text : ANATOMY_TEXT;

	mime_split(&b, raw);
	if (cut)
		out->parts[0].defects |= DEFECT_TOO_LARGE;
	/* The message's own parts first: its texts may tell the passwords of its files. What is found
	 * within a file stands at the end, as other readings do, and has its turn. */
	for (size_t i = 0; i < out->nparts; i++) {
		for (; read < out->nparts; read++) {
			content_read(&b, read);
			mime_readings(&b, (uint16_t)read);
		}
		unpack_part(&b, (uint16_t)i);
	}
	pictures_read(&b);
	surfaces_make(&b);
	urls_find(&b);
	for (size_t i = 0; i < out->nparts; i++)
		out->defects |= out->parts[i].defects;
	subject = part_header(&out->parts[0], "Subject");
	out->subject = subject ? subject->value : span_make("", 0);
	if (out->subject.p == NULL)
		out->subject.p = "";
	out->header_from = header_from(a, &out->parts[0]);
}
