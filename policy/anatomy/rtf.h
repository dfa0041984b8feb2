/* rtf.h -- the text of Rich Text Format, and the objects embedded in it. */
#ifndef ANATOMY_RTF_H
#define ANATOMY_RTF_H

#include "anatomy/mime.h"

void rtf_read(struct builder *b, uint16_t index);

#endif
