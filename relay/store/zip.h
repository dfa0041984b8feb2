/* zip.h -- texts and contents in the database, compressed with zstd. */
#ifndef STORE_ZIP_H
#define STORE_ZIP_H

#include "postern/arena.h"
#include "postern/err.h"

/* Into malloc'ed memory of the caller. */
int zip(struct span in, char **out, size_t *n, struct err *err);
/* Into the arena; an error when it would be more than max bytes. What was not compressed (no
 * zstd magic number in front) comes back as it is, copied. */
int unzip(struct arena *a, struct span in, size_t max, struct span *out, struct err *err);

#endif
