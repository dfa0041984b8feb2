/* pictures.c -- which parts are pictures to be read, and what becomes of the answer; see pictures.h.
 *
 * Reading itself is the caller's: a process that may crash and is watched by a clock. A picture
 * that stands in a message several times (a logo in a thread) is read once.
 */
#include "anatomy/pictures.h"

#include "anatomy/unpack.h"

#define PICTURES_MAX 64		/* of a message */
#define SMALLEST 128		/* bytes; nothing is written in less */

static bool
is_read(enum part_type t)
{
	return t == TYPE_PNG || t == TYPE_JPEG || t == TYPE_GIF || t == TYPE_BMP || t == TYPE_TIFF ||
	    t == TYPE_WEBP || t == TYPE_JP2;
}

void
pictures_read(struct builder *b)
{
	uint16_t seen[PICTURES_MAX];
	bool whole[PICTURES_MAX];
	struct span texts[PICTURES_MAX];
	size_t n = 0;

	for (size_t i = 0; b->reader && i < b->out->nparts; i++) {
		struct part *p = &b->out->parts[i];
		size_t k;

		if (p->type == TYPE_HEIC)
			p->defects |= DEFECT_OCR_INCOMPLETE;
		if (!is_read(p->type) || p->decoded.n < SMALLEST || p->reading)
			continue;
		for (k = 0; k < n; k++)
			if (span_eq(b->out->parts[seen[k]].decoded, p->decoded))
				break;
		if (k == PICTURES_MAX) {
			p->defects |= DEFECT_OCR_INCOMPLETE;
			continue;
		}
		if (k == n) {
			seen[n] = (uint16_t)i;
			texts[n] = span_make("", 0);
			whole[n] = b->reader->read(b->reader->ctx, p->decoded, b->a, &texts[n]);
			n++;
		}
		if (!whole[k])
			p->defects |= DEFECT_OCR_INCOMPLETE;
		side_add_utf8(b, (uint16_t)i, SPAN_LIT("ocr"), texts[k]);
	}
}
