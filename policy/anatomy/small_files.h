/* small_files.h -- readers of files that take a page each. */
#ifndef ANATOMY_SMALL_FILES_H
#define ANATOMY_SMALL_FILES_H

#include "anatomy/mime.h"

/* A section of OneNote: the files put into it become parts (MS-ONESTORE 2.6.13). */
void onenote_read(struct builder *b, uint16_t index);
/* dBase, FoxPro: a line for each record, deleted ones too. */
void dbf_read(struct builder *b, uint16_t index);
/* A member of a Pages, Numbers or Keynote file: Snappy over protocol buffers, searched for readable text. */
void iwa_read(struct builder *b, uint16_t index);

#endif
