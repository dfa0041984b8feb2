/* msg.c -- Outlook's messages (MS-OXMSG) and packed RTF (MS-OXRTFCP); see anatomy/ole2.h.
 *
 * A property is a stream named __substg1.0_ and eight hexadecimal digits: what it is, and
 * its type. The plain body is the part's text; an HTML or RTF body and each
 * attachment become parts. A message attached as a storage is told by the
 * same streams one storage further down: its texts are side texts.
 */
#include "anatomy/lzfu.h"
#include "anatomy/ole2.h"

#include "anatomy/textmap.h"

#define PREFIX "__substg1.0_"

enum { ID_SUBJECT = 0x0037, ID_HEADERS = 0x007d, ID_BODY = 0x1000, ID_RTF = 0x1009, ID_HTML = 0x1013,
	ID_NAME = 0x3001, ID_ADDRESS = 0x3003, ID_SMTP = 0x39fe, ID_DATA = 0x3701, ID_FILE = 0x3704,
	ID_FILE_LONG = 0x3707, ID_SENDER = 0x0c1a, ID_SENDER_ADDRESS = 0x0c1f, ID_TO = 0x0e04,
	ID_CC = 0x0e03, ID_BCC = 0x0e02 };

/* The property of a stream: its id, 0 when it is none; its type. */
static uint32_t
property_of(struct span name, uint32_t *type)
{
	struct span prefix = SPAN_LIT(PREFIX), hex;
	uint32_t v = 0;

	if (!span_starts_nocase(name, prefix) || name.n < prefix.n + 8)
		return 0;
	hex = span_sub(name, prefix.n, 8);
	for (size_t i = 0; i < 8; i++) {
		int d = hex_value(hex.p[i]);

		if (d < 0)
			return 0;
		v = v << 4 | (uint32_t)d;
	}
	*type = v & 0xffff;
	return v >> 16;
}

static uint32_t
property_find(const struct cfb *c, uint32_t storage, uint32_t id, uint32_t *type)
{
	for (uint32_t i = 0; i < c->n; i++)
		if (c->v[i].parent == storage && property_of(cfb_name(c, i), type) == id)
			return i;
	return CFB_NONE;
}

static struct span
property_text(struct cfb *c, uint32_t entry, uint32_t type)
{
	struct span s = cfb_stream(c, entry);

	return type == 0x1f ? text_of_utf16(c->b->a, s) : type == 0x1e ? text_of_1252(c->b->a, s) :
	    span_make("", 0);
}

static struct span
rtf_unpack(struct builder *b, uint16_t index, struct span s)
{
	struct span rtf = { 0 };
	bool broken, cut;

	if (!lzfu_decode(b->a, s, b->left > SIZE_MAX ? SIZE_MAX : (size_t)b->left, &rtf, &broken, &cut))
		return rtf;
	b->left -= rtf.n;
	if (broken)
		b->out->parts[index].defects |= DEFECT_DOCUMENT_BROKEN;
	if (cut)
		b->out->parts[index].defects |= DEFECT_TOO_LARGE;
	return rtf;
}

/* --- the message --------------------------------------------------------------------------------- */

static void
line(struct textmake *t, struct span s)
{
	if (s.n == 0)
		return;
	textmake_put(t, s.p, s.n, 0);
	textmake_put(t, "\n", 1, 0);
}

static bool
is_body(const struct cfb *c, uint32_t storage)
{
	return storage == 0 || span_starts_nocase(cfb_name(c, storage), SPAN_LIT(PREFIX "3701"));
}

static void
attachment_add(struct cfb *c, struct builder *b, uint16_t index, uint32_t storage)
{
	uint32_t type, data = property_find(c, storage, ID_DATA, &type), at;
	struct span name = { 0 };

	if (data == CFB_NONE || c->v[data].kind != 2)
		return;
	at = property_find(c, storage, ID_FILE_LONG, &type);
	if (at == CFB_NONE)
		at = property_find(c, storage, ID_FILE, &type);
	if (at != CFB_NONE)
		name = property_text(c, at, type);
	blob_add(b, index, cfb_stream(c, data), name);
}

bool
msg_read(struct cfb *c, struct builder *b, uint16_t index)
{
	struct textmake main, heads, inner;
	struct text none = { 0 }, text;
	bool html = false;

	textmake_init(&main, b->a, &none, 1024, false);
	textmake_init(&heads, b->a, &none, 256, false);
	textmake_init(&inner, b->a, &none, 64, false);
	for (uint32_t i = 0; i < c->n; i++) {
		uint32_t up = c->v[i].parent, type, id;
		struct span name = cfb_name(c, i);

		if (up == CFB_NONE)
			continue;
		if (c->v[i].kind == 1 && span_starts_nocase(name, SPAN_LIT("__attach_version")))
			attachment_add(c, b, index, i);
		id = property_of(name, &type);
		if (id == 0 || c->v[i].kind != 2)
			continue;
		switch (id) {
		case ID_BODY:
			if (is_body(c, up))
				line(up == 0 ? &main : &inner, property_text(c, i, type));
			break;
		case ID_HTML:
			html |= up == 0;
			blob_add(b, index, cfb_stream(c, i), SPAN_LIT("body.html"));
			break;
		case ID_SUBJECT:
		case ID_HEADERS:
		case ID_SENDER:
		case ID_SENDER_ADDRESS:
		case ID_TO:
		case ID_CC:
		case ID_BCC:
		case ID_NAME:
		case ID_ADDRESS:
		case ID_SMTP:
			if (is_body(c, up) || span_starts_nocase(cfb_name(c, up), SPAN_LIT("__recip_")))
				line(id == ID_SUBJECT && up == 0 ? &main : &heads,
				    property_text(c, i, type));
			break;
		}
	}
	/* Outlook writes the body up to three times; the RTF counts where there is no HTML. */
	for (uint32_t i = 0; i < c->n && !html; i++) {
		uint32_t type;

		if (c->v[i].parent != CFB_NONE && c->v[i].kind == 2 &&
		    property_of(cfb_name(c, i), &type) == ID_RTF) {
			struct span rtf = rtf_unpack(b, index, cfb_stream(c, i));

			if (rtf.n)
				blob_add(b, index, rtf, SPAN_LIT("body.rtf"));
		}
	}
	text = (struct text){ .s = span_make(main.p, main.n) };
	text_set(b, index, &text);
	side_add_utf8(b, index, SPAN_LIT("headers"), span_make(heads.p, heads.n));
	side_add_utf8(b, index, SPAN_LIT("attached message"), span_make(inner.p, inner.n));
	return true;
}
