/* lzfu.h -- compressed RTF, as TNEF and .msg carry it ([MS-OXRTFCP]). */
#ifndef ANATOMY_LZFU_H
#define ANATOMY_LZFU_H

#include "postern/anatomy.h"

/* in: the property's value with its 16 bytes of header. *out: RTF, in the arena, at most max
 * bytes. False when these are no such bytes; *broken tells that the checksum, the sizes
 * or the end are wrong, and *cut that max was reached: what was read stands in *out. */
bool lzfu_decode(struct arena *a, struct span in, size_t max, struct span *out, bool *broken,
    bool *cut);

#endif
