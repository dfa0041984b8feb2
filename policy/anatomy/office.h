/* office.h -- the text of zip-based office documents. */
#ifndef ANATOMY_OFFICE_H
#define ANATOMY_OFFICE_H

#include "postern/anatomy.h"

bool office_has_text(enum part_type t);
/* The text of a docx, xlsx, pptx, odt, ods or odp. Its offsets are its own: the map is the
 * identity, since no byte of the file corresponds. *budget is lowered by the bytes inflated.
 * Returns defects (TOO_LARGE when not all was read). */
uint32_t office_text(struct arena *a, struct span bytes, enum part_type t, uint64_t *budget,
    struct text *out);

#endif
