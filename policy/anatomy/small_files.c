/* small_files.c -- OneNote, dBase, iWork; see small_files.h. */
#include "anatomy/small_files.h"

#include "anatomy/charset.h"
#include "anatomy/ole2.h"
#include "anatomy/textmap.h"
#include "anatomy/unpack.h"

/* --- OneNote ------------------------------------------------------------------------------------ */

/* FileDataStoreObject: its mark, the size, 12 bytes, the file. */
static const char file_mark[] = "\xe7\x16\xe3\xbd\x65\x26\x11\x45\xa4\xc4\x8d\x4d\x0b\x7a\x9e\xac";

void
onenote_read(struct builder *b, uint16_t index)
{
	struct span s = b->out->parts[index].decoded;
	const char *q = s.p, *end = s.p + s.n;

	while (end - q >= 36 && (q = memmem(q, (size_t)(end - q), file_mark, 16)) != NULL && end - q >= 36) {
		struct span head = span_make(q, (size_t)(end - q)), bytes;
		uint64_t size = get32(head, 16) | (uint64_t)get32(head, 20) << 32;

		bytes = span_sub(head, 36, size > head.n ? head.n : (size_t)size);
		if (size > head.n - 36)
			b->out->parts[index].defects |= DEFECT_DOCUMENT_BROKEN;
		/* It is borrowed: what overlaps is paid for again, as if it had come out. */
		if (bytes.n > b->left) {
			b->out->parts[index].defects |= DEFECT_TOO_LARGE;
			return;
		}
		b->left -= bytes.n;
		if (bytes.n && blob_add(b, index, bytes, SPAN_LIT("embedded file")) == PART_NONE)
			return;
		q += 16;
	}
}

/* --- dBase ---------------------------------------------------------------------------------------- */

#define FIELDS_MAX 255

/* The language driver in the header (byte 29); the others are Western. */
static struct span
dbf_charset(unsigned code)
{
	switch (code) {
	case 0x01:
		return SPAN_LIT("ibm437");
	case 0x02:
	case 0x00:
		return SPAN_LIT("ibm850");
	case 0x64:
		return SPAN_LIT("ibm852");
	case 0x65:
	case 0x26:
		return SPAN_LIT("ibm866");
	case 0xc8:
		return SPAN_LIT("windows-1250");
	case 0xc9:
		return SPAN_LIT("windows-1251");
	default:
		return SPAN_LIT("windows-1252");
	}
}

void
dbf_read(struct builder *b, uint16_t index)
{
	struct span s = b->out->parts[index].decoded;
	size_t head = get16(s, 8), row = get16(s, 10), nfields = 0, at;
	uint16_t widths[FIELDS_MAX];
	struct text none = { 0 }, text;
	struct textmake t;

	textmake_init(&t, b->a, &none, s.n < 65536 ? s.n + 64 : 65536, false);
	for (at = 32; at + 32 <= head && nfields < FIELDS_MAX && get8(s, at) != '\r'; at += 32) {
		struct span name = span_sub(s, at, 11);

		name.n = span_find(name, '\0');
		textmake_put(&t, name.p, name.n, 0);
		textmake_put(&t, "\t", 1, 0);
		widths[nfields++] = (uint16_t)(get8(s, at + 16) + (get8(s, at + 11) == 'C' ? 256 * get8(s, at + 17) : 0));
	}
	textmake_put(&t, "\n", 1, 0);
	for (at = head; row && at + row <= s.n && t.n < b->left; at += row) {
		size_t k = at + 1;

		for (size_t i = 0; i < nfields; i++) {
			struct span cell = span_trim(span_sub(s, k, widths[i]));

			textmake_put(&t, cell.p, cell.n, 0);
			textmake_put(&t, i + 1 < nfields ? "\t" : "\n", 1, 0);
			k += widths[i];
		}
	}
	text.map = (struct offmap){ 0 };
	text.s = decode_exact(b->a, dbf_charset(get8(s, 29)), span_make(t.p, t.n));
	text_set(b, index, &text);
}

/* --- iWork ------------------------------------------------------------------------------------------ */

/* One Snappy stream without its checksum: literals, and copies of what came before. False: broken. */
static bool
snappy(struct span s, struct pour *o, size_t base)
{
	size_t at = 0;

	while (get8(s, at) & 0x80 && at < 5)	/* the length, which nobody needs */
		at++;
	at++;
	while (at < s.n) {
		unsigned tag = get8(s, at++);
		size_t n, back;

		if ((tag & 3) == 0) {
			n = (tag >> 2) + 1;
			if (n > 60) {
				unsigned bytes = (unsigned)n - 60;

				n = (bytes == 1 ? get8(s, at) : bytes == 2 ? get16(s, at) : bytes == 3 ?
				    get16(s, at) | get8(s, at + 2) << 16 : get32(s, at));
				n++;
				at += bytes;
			}
			if (at > s.n || n > s.n - at || !pour_put(o, s.p + at, n))
				return false;
			at += n;
			continue;
		}
		if ((tag & 3) == 1) {
			n = ((tag >> 2) & 7) + 4;
			back = (tag >> 5) << 8 | get8(s, at++);
		} else {
			n = (tag >> 2) + 1;
			back = (tag & 3) == 2 ? get16(s, at) : get32(s, at);
			at += (tag & 3) == 2 ? 2 : 4;
		}
		if (back == 0 || back > o->n - base)
			return false;
		if (!pour_repeat(o, back, n))
			return false;
	}
	return true;
}

void
iwa_read(struct builder *b, uint16_t index)
{
	struct span s = b->out->parts[index].decoded;
	struct text text = { 0 };
	bool whole = true;
	struct pour o;

	pour_begin(&o, b, s.n, 0);
	/* Blocks: a zero byte, three of length, a stream of its own. */
	while (s.n >= 4 && whole) {
		size_t n = get16(s, 1) | (size_t)get8(s, 3) << 16;

		whole = s.p[0] == '\0' && n <= s.n - 4 && snappy(span_sub(s, 4, n), &o, o.n);
		s = span_from(s, 4 + n);
	}
	text.s = pour_end(&o);
	if (o.cut)
		b->out->parts[index].defects |= DEFECT_TOO_LARGE;
	else if (!whole)
		b->out->parts[index].defects |= DEFECT_DOCUMENT_BROKEN;
	text.s = strings_find(b->a, text.s, true);
	text_set(b, index, &text);
}
