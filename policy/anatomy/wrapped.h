/* wrapped.h -- files within texts, and winmail.dat, become parts. */
#ifndef ANATOMY_WRAPPED_H
#define ANATOMY_WRAPPED_H

#include "anatomy/mime.h"

/* The uuencoded, yEnc, BinHex, base64 files in a text of the part's. deep: there is no room for a level
 * more. */
void infiles_unpack(struct builder *b, uint16_t index, struct span text, bool deep);
/* The texts, files and messages of a TNEF part. */
void tnef_unpack(struct builder *b, uint16_t index);

#endif
