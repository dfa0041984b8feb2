/* archive.h -- the members of archives that libarchive reads become parts. */
#ifndef ANATOMY_ARCHIVE_H
#define ANATOMY_ARCHIVE_H

#include "anatomy/mime.h"
#include "anatomy/zip.h"

/* Part `index`: 7z, rar, tar, cab, iso, lzh; or a packed file: gzip, bzip2, xz, zstd. */
void archive_unpack(struct builder *b, uint16_t index);
/* An archive of that type that begins somewhere within the part. No defect when it is none. */
void archive_unpack_found(struct builder *b, uint16_t index, struct span bytes, enum part_type t);
/* The bytes of the first member; p NULL: it cannot be read whole. */
struct span archive_first(struct builder *b, struct span bytes, enum part_type t);
/* The first member that is not empty unpacks, and its sum is right: the library looks at that of 7z
 * only. sum NULL: there is none. */
bool archive_sound(struct span bytes, enum part_type t, const uint32_t *sum);
/* Members of the zip `index` that are locked or packed in rarer ways. */
void zip_unpack_rest(struct builder *b, uint16_t index, const struct zip_entry *rest, size_t n);

#endif
