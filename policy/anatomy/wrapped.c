/* wrapped.c -- files within texts, and winmail.dat, become parts; see anatomy/wrapped.h.
 *
 * The text that a file stands in stays whole: what is searched in it is what a reader shows.
 */
#include "anatomy/wrapped.h"

#include "anatomy/charset.h"
#include "anatomy/infile.h"
#include "anatomy/tnef.h"
#include "anatomy/unpack.h"

static size_t
room(const struct builder *b)
{
	return b->left > SIZE_MAX ? SIZE_MAX : (size_t)b->left;
}

void
infiles_unpack(struct builder *b, uint16_t index, struct span text, bool deep)
{
	bool told = encoding_is_wrapped(b->out->parts[index].encoding);
	struct infiles files;
	struct infile f;

	infiles_begin(&files, text);
	while (infiles_next(&files, b->a, room(b), &f)) {
		uint32_t defects = 0;

		if (deep) {
			b->out->parts[index].defects |= DEFECT_TOO_DEEP;
			return;
		}
		told = false;
		if (f.broken)
			defects |= DEFECT_ENCODING_MALFORMED;
		if (f.partial)
			defects |= DEFECT_ARCHIVE_SPLIT;
		if (f.cut)
			defects |= DEFECT_TOO_LARGE;
		b->out->parts[index].defects |= defects;
		b->left -= f.bytes.n + f.resource.n;
		if (blob_add(b, index, f.bytes, f.name) == PART_NONE)
			return;
		if (f.resource.n && blob_add(b, index, f.resource, f.name) == PART_NONE)
			return;
	}
	if (told)	/* the header promises what is not there */
		b->out->parts[index].defects |= DEFECT_ENCODING_MALFORMED;
}

struct tnef_place {
	struct builder *b;
	uint16_t index;
};

static bool
tnef_item_add(void *arg, const struct tnef_item *item)
{
	struct tnef_place *t = arg;
	struct text raw = { .s = item->bytes }, text;

	switch (item->kind) {
	case TNEF_SUBJECT:
	case TNEF_BODY:
		charset_decode(t->b->a, item->charset, &raw, false, &text);
		side_add(t->b, t->index, item->kind == TNEF_BODY ? SPAN_LIT("body") :
		    SPAN_LIT("subject"), &text);
		return true;
	case TNEF_HTML:
		return blob_add(t->b, t->index, item->bytes, SPAN_LIT("body.html")) != PART_NONE;
	case TNEF_RTF:
		t->b->left -= item->bytes.n;
		return blob_add(t->b, t->index, item->bytes, SPAN_LIT("body.rtf")) != PART_NONE;
	case TNEF_FILE:
	case TNEF_MESSAGE:
		break;
	}
	raw.s = item->name;
	charset_decode(t->b->a, item->charset, &raw, false, &text);
	return blob_add(t->b, t->index, item->bytes, text.s) != PART_NONE;
}

void
tnef_unpack(struct builder *b, uint16_t index)
{
	struct tnef_place t = { b, index };
	struct part *p = &b->out->parts[index];
	struct span all = p->decoded;

	if (tnef_read(b->a, all, room(b), tnef_item_add, &t))
		return;
	b->out->parts[index].defects |= DEFECT_DOCUMENT_BROKEN;
	side_add_utf8(b, index, SPAN_LIT("broken"), strings_find(b->a, all, true));
}
