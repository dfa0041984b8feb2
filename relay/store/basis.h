/* basis.h -- verdict records (postern/record.h) in the database: many together, compressed.
 *
 * A record alone is small and unlike nothing; a thousand of a day are alike.
 * So they lie in packs, each one zstd frame of up to PACK_RECORDS records
 * in order of id. What comes slowly waits as rows of its own until there are
 * enough. Nothing is ever updated.
 */
#ifndef STORE_BASIS_H
#define STORE_BASIS_H

#include "buf.h"
#include "ipc/messages.h"
#include "store/db.h"
#include "table.h"

#define PACK_RECORDS 1000
#define PACK_BYTES ((size_t)4 << 20)	/* of a pack, unpacked; one more record may stand behind it */
#define PACK_MAX (PACK_BYTES + BASIS_MAX + 64)
#define LOOSE_MAX 1000			/* rows that wait; then they are packed */

/* Records that came together. */
struct bases {
	struct buf bytes;		/* id (8 bytes), length (4), record; one after the other */
	struct basis_at { uint64_t id; uint32_t at, n; } *v;
	size_t n, room;
};
#define BASES_BYTES ((size_t)32 << 20)	/* waiting for the database; beyond it they are lost */

void bases_init(struct bases *b);
void bases_release(struct bases *b);
void bases_reset(struct bases *b);
/* -1: there is no more room. */
int bases_add(struct bases *b, const struct msg_basis *m);

/* Within the caller's transaction: the records, and the hits of their rules. */
int basis_write(struct db *d, struct bases *b, struct err *err);
/* In a transaction of its own: loose rows into a pack, when there are enough. */
int basis_tidy(struct db *d, struct err *err);
/* Deletes what is older; a slice of it, within the caller's transaction. 1: there may be more. */
int basis_expire(struct db *d, int64_t before, struct err *err);

/* The record of a message, or of the one it was made from: 1, 0 none, -1. */
int basis_get(struct db *d, uint64_t id, struct arena *a, struct span *out, struct err *err);

/* A pack as it stands, the next one behind `after` with something not older than `since`. 1; 0: no
 * more. */
struct basis_pack {
	int64_t seq;
	uint64_t n;
	struct span bytes;	/* zstd */
};
int basis_next_pack(struct db *d, int64_t after, int64_t since, struct arena *a,
    struct basis_pack *p, struct err *err);
/* All loose rows, not older than since, as a pack not compressed. */
int basis_loose(struct db *d, int64_t since, struct buf *out, uint64_t *n, struct err *err);
int basis_count(struct db *d, int64_t since, uint64_t *n, struct err *err);

/* One JSON line for each rule that ever hit within the retention. */
struct json;
int basis_hits(struct db *d, int64_t now, struct buf *out, struct err *err);

/* The records of an unpacked pack, one after the other; false at the end or at damage (*at not at
 * the end then). */
#define PACK_HEAD 12		/* id (8 bytes), length (4) */
void pack_put(struct buf *b, uint64_t id, struct span record);
bool pack_next(struct span pack, size_t *at, uint64_t *id, struct span *record);

#endif
