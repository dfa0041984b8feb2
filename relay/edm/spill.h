/* spill.h -- temporary files of a build: written once in a row, read once in a row, and
 * sorted when they are longer than memory.
 *
 * They have no name (O_TMPFILE, else unlinked at once), so nothing stays behind
 * whatever happens. Of the data they hold only hashes.
 */
#ifndef EDM_SPILL_H
#define EDM_SPILL_H

#include "postern/err.h"
#include "postern/exact.h"

#define SPILL_BUFFER (256u << 10)
#define SORT_BYTES ((size_t)64 << 20)	/* sorted in memory at once */
#define SORT_RUNS 4096			/* at most: 256 GiB of records */

struct spill {
	int fd;
	char *buf;		/* NULL between writing and reading */
	size_t n, at;		/* bytes in it; read so far */
	uint64_t size;		/* written, those in buf too */
	uint64_t next, end;	/* where reading goes on, and ends */
	bool reading;
};

int spill_open(struct spill *s, const char *dir, struct err *err);
void spill_close(struct spill *s);	/* also one that never was opened, when zeroed */
int spill_put(struct spill *s, const void *p, size_t n, struct err *err);
/* Changes four bytes that were put already. */
int spill_patch(struct spill *s, uint64_t at, const void *p, struct err *err);
/* From here on it is read: bytes [from, to). */
int spill_rewind(struct spill *s, uint64_t from, uint64_t to, struct err *err);
/* n whole bytes: 1, at the end 0, -1. n must divide SPILL_BUFFER or be small. */
int spill_get(struct spill *s, void *p, size_t n, struct err *err);

/* What is sorted: by hash, then row. Sixteen bytes compare as they stand. */
struct cell {
	uint8_t hash[EXACT_HASH];
	uint8_t row[4];		/* big-endian */
	uint8_t filter[8];	/* the filter's hash of the value */
};
void cells_sort(struct cell *v, size_t n);

/* Merges sorted runs of cells that lie in one spill. */
struct merge {
	struct spill *runs;
	struct cell *heads;
	bool *live;
	size_t n;
};
int merge_begin(struct merge *m, const struct spill *from, const uint64_t *ends, size_t n,
    struct err *err);
int merge_next(struct merge *m, struct cell *out, struct err *err);	/* as spill_get */
void merge_end(struct merge *m);

#endif
