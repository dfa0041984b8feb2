/* ppt.c -- the text of PowerPoint's binary presentations (MS-PPT); see anatomy/ole2.h.
 *
 * Records within records; containers are simply walked into, so a loop over
 * one stream is all there is. Text counts wherever its record stands; the
 * container around it tells whether it is a slide's, a note's or a comment's.
 * Embedded objects are packed in records of their own and become parts.
 */
#include "anatomy/ole2.h"

#include <zlib.h>

#include "anatomy/textmap.h"

enum { P_SLIDE = 1006, P_NOTES = 1008, P_MASTER = 1016, P_CHARS = 4000, P_BYTES = 4008,
	P_STRING = 4026, P_HANDOUT = 4041, P_HEADERS = 4057, P_OBJECT = 4113, P_COMMENT = 12000,
	P_CRYPT = 12052, P_DOCUMENT = 1000, P_VBA = 1023 };

enum { STORY_SLIDES, STORY_NOTES, STORY_COMMENTS, STORY_MASTER, STORIES };
static const char *const origins[STORIES] = { "", "speaker notes", "comments", "master slides" };

/* MS-PPT 2.10.34: the size, then a zlib stream. */
static void
object_add(struct builder *b, uint16_t index, struct span r, bool packed)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)(r.p + 4), .avail_in = (uInt)(r.n > 4 ? r.n - 4 : 0) };
	struct pour o;
	int rc = Z_OK;

	if (r.n < 8)
		return;
	if (!packed) {
		blob_add(b, index, r, SPAN_LIT("object"));
		return;
	}
	if (inflateInit(&z) != Z_OK)
		return;
	pour_begin(&o, b, r.n, get32(r, 0));
	while (rc == Z_OK) {
		size_t room;
		char *to = pour_room(&o, &room);

		if (to == NULL)
			break;
		if (room > 1u << 20)
			room = 1u << 20;
		z.next_out = (Bytef *)to;
		z.avail_out = (uInt)room;
		rc = inflate(&z, Z_NO_FLUSH);
		pour_took(&o, room - z.avail_out);
	}
	inflateEnd(&z);
	if (o.cut)
		b->out->parts[index].defects |= DEFECT_TOO_LARGE;
	r = pour_end(&o);
	if (r.n)
		blob_add(b, index, r, SPAN_LIT("object"));
}

static int
story_of(uint32_t type)
{
	switch (type) {
	case P_SLIDE:
		return STORY_SLIDES;
	case P_NOTES:
	case P_HANDOUT:
		return STORY_NOTES;
	case P_COMMENT:
		return STORY_COMMENTS;
	case P_MASTER:
	case P_HEADERS:
		return STORY_MASTER;
	default:
		return -1;
	}
}

/* 0x0b is a line break, 0x0d a paragraph. */
static void
put_lines(struct textmake *t, struct span s)
{
	size_t from = t->n;

	textmake_put(t, s.p, s.n, 0);
	for (size_t i = from; i < t->n; i++)
		if (t->p[i] == '\r' || t->p[i] == '\v')
			t->p[i] = '\n';
	textmake_put(t, "\n", 1, 0);
}

bool
ppt_read(struct cfb *c, struct builder *b, uint16_t index)
{
	struct textmake t[STORIES];
	struct text none = { 0 }, main;
	size_t until[STORIES] = { 0 }, i = 0;
	struct span s = cfb_stream(c, cfb_find(c, 0, "PowerPoint Document"));
	struct span user = cfb_stream(c, cfb_find(c, 0, "Current User"));
	bool broken = false;

	if (get32(user, 12) == 0xf3d1c4df) {
		b->out->parts[index].encrypted = true;
		b->out->parts[index].encryption = ENCRYPTION_OLE2;
		return true;
	}
	for (int k = 0; k < STORIES; k++)
		textmake_init(&t[k], b->a, &none, 256, false);
	while (i + 8 <= s.n) {
		uint32_t head = get16(s, i), type = get16(s, i + 2), size = get32(s, i + 4);
		struct span r = span_sub(s, i + 8, size), text = { 0 };
		int story = story_of(type);
		struct textmake *to = &t[STORY_SLIDES];

		broken |= r.n < size;
		i += 8;
		if (type == P_VBA)
			b->out->parts[index].defects |= DEFECT_MACRO;
		if ((head & 15) == 15) {
			if (story >= 0)
				until[story] = i + r.n;
			continue;	/* into the container */
		}
		i += r.n;
		if (type == P_CHARS || type == P_STRING)
			text = text_of_utf16(b->a, r);
		else if (type == P_BYTES)
			text = text_of_1252(b->a, r);
		else if (type == P_OBJECT)
			object_add(b, index, r, head >> 4 == 1);
		if (text.n == 0)
			continue;
		if (text.n > b->left) {
			b->out->parts[index].defects |= DEFECT_TOO_LARGE;
			break;
		}
		b->left -= text.n;
		for (int k = STORY_NOTES; k < STORIES; k++)
			if (i <= until[k])
				to = &t[k];
		put_lines(to, text);
	}
	main = (struct text){ .s = span_make(t[0].p, t[0].n) };
	text_set(b, index, &main);
	for (int k = 1; k < STORIES; k++)
		side_add_utf8(b, index, span_str(origins[k]), span_make(t[k].p, t[k].n));
	return s.n > 0 && !broken;
}
