/* records.h -- verdict records (JSON, why a message was judged so) in the database.
 *
 * A record alone is small and unlike nothing; those of a moment are alike. So what one batch of events brings
 * goes into packs, one zstd frame and one seal each: a tenth of the bytes, and of the work, of as many alone.
 * A record that came alone, or in a node that shares (the shared base has each alone), is a row of `record`. A
 * pack spans no more than PACK_SPAN_US of ids, so that the few which may hold an id are found at once.
 * Nothing is ever updated; retention deletes a pack when all in it is old.
 */
#ifndef STORE_RECORDS_H
#define STORE_RECORDS_H

#include "buf.h"
#include "postern/arena.h"
#include "store/db.h"

struct records {		/* that came together; starts with records_init */
	struct buf bytes;	/* id, length, record: one after the other (pack_put) */
	struct record_at { uint64_t id; uint32_t at, n; } *v;
	size_t n, room;
};

void records_init(struct records *r);
void records_release(struct records *r);
/* Copies it. -1: there is no more room, it is to be written alone. */
int records_add(struct records *r, uint64_t id, struct span record);
/* Within the caller's transaction. alone: each in a row of its own. */
int records_write(struct db *d, struct records *r, bool alone, struct err *err);
int record_write(struct db *d, uint64_t id, struct span record, struct err *err);

/* The record of this id: 1, 0 none, -1. */
int record_get(struct db *d, uint64_t id, struct arena *a, struct span *json, struct err *err);
/* As record_write would store it, sealed: for who takes it elsewhere. */
int record_sealed(struct db *d, uint64_t id, struct arena *a, struct span *blob, struct err *err);
/* Those below an id: at most so many rows, and some packs. How many went, -1. */
int records_expire(struct db *d, uint64_t below, int rows, struct err *err);

#endif
