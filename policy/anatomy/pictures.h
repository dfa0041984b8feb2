/* pictures.h -- text in pictures, read by whom the caller names. */
#ifndef ANATOMY_PICTURES_H
#define ANATOMY_PICTURES_H

#include "anatomy/mime.h"

/* Has the pictures of all parts read (anatomy_limits.pictures), each once. What is read is a side text
 * of its part, what is not a defect. Last of all: what it may cost is bounded by the reader. */
void pictures_read(struct builder *b);

struct pdf;
struct pdf_object;
/* A picture of a PDF becomes a part: a JPEG as it stands, rows of pixels and faxes as a TIFF. */
void pdf_picture(struct pdf *pdf, struct pdf_object *o, struct span dict, struct span raw);

#endif
