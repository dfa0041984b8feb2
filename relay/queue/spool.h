/* spool.h -- the durable queue: what was acknowledged is here until it is done.
 *
 * Appending only buffers; spool_sync() writes everything of a turn with one
 * write and one fdatasync, and only then may anybody be told "accepted".
 * The spool knows messages and where they lie, nothing of sites or times.
 *
 * Two classes of records ride in a batch. MESSAGE must be acknowledged or
 * refused: when the batch fails, those in it are refused and forgotten. STATE and DONE
 * tell what has happened already: when the batch fails they stay buffered
 * and go with the next one.
 */
#ifndef QUEUE_SPOOL_H
#define QUEUE_SPOOL_H

#include "ipc/payload.h"
#include "log.h"
#include "queue/record.h"

struct spool;

struct spool_pos {		/* of a record; segment 0: none */
	uint32_t segment, offset, bytes;
};

enum item_state { ITEM_NONE, ITEM_PENDING, ITEM_LIVE, ITEM_FINISHING };

struct spool_item {		/* embedded in whatever the queue keeps of a message */
	uint64_t id;
	struct spool_pos at;
	uint8_t state;		/* enum item_state */
	uint8_t big;
};

/* Called from within spool_open, spool_sync and spool_compact only, never from
 * an append; they must not call the spool. */
struct spool_ops {
	/* Replay found a message: the item to stand for it, or NULL when it cannot be used
	 * (then it is reported and stays on the disk). */
	struct spool_item *(*recover)(void *ctx, uint64_t id, const struct stored *m);
	/* Replay found a state: the position to hold it, or NULL when it fits nothing. It may
	 * spool_read() the item. */
	struct spool_pos *(*recover_state)(void *ctx, const struct spool *sp,
	    struct spool_item *it, uint8_t flags, const struct state *st);
	/* The item's DONE is durable (or was found): forget and free it. */
	void (*gone)(void *ctx, struct spool_item *it);
	/* The item's i-th position (each that spool_state or recover_state was given), used
	 * or not; NULL: there are no more. */
	struct spool_pos *(*position)(void *ctx, struct spool_item *it, size_t i);
	uint8_t (*flags)(void *ctx, const struct spool_item *it);	/* STATE_HELD … now */
	void (*paused)(void *ctx, const struct span *sites, size_t n);
	void (*segment_new)(void *ctx, uint32_t number, int fd);
	void (*segment_gone)(void *ctx, uint32_t number);
	/* What people must know: damage, torn tails, failures. id 0: none. */
	void (*report)(void *ctx, enum log_level level, uint64_t id, const char *text);
};

struct spool_stats {
	uint64_t messages;		/* live */
	uint64_t segments, bytes, live_bytes;
	uint64_t replayed, damaged, torn;	/* records; bytes for torn */
	uint64_t cut_off;		/* segments the last run did not end: it was killed */
	uint64_t syncs, failures;
	uint64_t compacted;		/* bytes copied forward */
	uint64_t reused, spares;	/* segments begun in a file used before; such files now */
	uint64_t dying;			/* files being freed */
	uint64_t free_bytes;
};

#define SPOOL_FLOOR_BYTES (UINT64_C(64) << 20)	/* refuse new messages below it */
#define SPOOL_FLOOR_INODES 64
#define SPOOL_BATCH_MAX (8u << 20)	/* sync when spool_batched() reaches it */

/* Makes the folders with the privileges of the starter; owner -1: as it is. */
int spool_prepare(const char *path, uid_t uid, gid_t gid, struct err *err);
/* Locks the folder and replays it. NULL: another process has it, or it cannot be read. */
struct spool *spool_open(const char *path, const struct spool_ops *ops, void *ctx, struct err *err);
/* Syncs what is buffered if it can. Items still live are not freed. */
void spool_close(struct spool **sp);

/* Buffers a message; its bytes are copied (or written to big/ID and synced). Fills m's sizes.
 * -1: err->code ENOSPC for "full", else an I/O error; the item is untouched then. */
int spool_append(struct spool *sp, struct spool_item *it, struct stored *m, struct span json,
    struct payload *payload, struct err *err);
/* Buffers a state of a live item; pos will hold it and must live as long as the item. */
void spool_state(struct spool *sp, struct spool_item *it, struct spool_pos *pos, uint8_t flags,
    const struct state *st);
/* Buffers DONE. The item stays until ops.gone. */
void spool_finish(struct spool *sp, struct spool_item *it);
/* The whole list of paused sites, now. */
void spool_paused(struct spool *sp, const struct span *sites, size_t n);

bool spool_dirty(const struct spool *sp);	/* anything buffered */
size_t spool_batched(const struct spool *sp);	/* bytes of messages buffered */
/* 0: everything buffered is durable. -1: messages appended since the last sync are refused and
 * forgotten by the spool (their items are the caller's again), the rest stays buffered. */
int spool_sync(struct spool *sp, struct err *err);

struct spool_item *spool_find(const struct spool *sp, uint64_t id);
/* Items in no order; *at starts at 0. */
struct spool_item *spool_next(const struct spool *sp, size_t *at);
/* The same without looking at the item: its id; false at the end. */
bool spool_next_id(const struct spool *sp, size_t *at, uint64_t *id);
unsigned spool_moves(const struct spool *sp);	/* idtable_moves */
/* Meta of a live item, read from the disk and checked. */
int spool_read(const struct spool *sp, const struct spool_item *it, struct arena *a,
    struct stored *m, struct err *err);
int spool_read_state(const struct spool *sp, const struct spool_pos *pos, struct arena *a,
    struct state *st, struct err *err);
int spool_read_json(const struct spool *sp, const struct spool_item *it, const struct stored *m,
    struct arena *a, struct span *json, struct err *err);
/* At most n bytes from the start of the message itself. */
int spool_read_head(const struct spool *sp, const struct spool_item *it, const struct stored *m,
    size_t n, struct arena *a, struct span *head, struct err *err);
/* Where the message's bytes lie. *fd: -1, or a new descriptor of a big one (the caller's). The
 * segment stays where it is until spool_unpin(ref->segment). */
int spool_pin(struct spool *sp, const struct spool_item *it, const struct stored *m,
    struct spool_ref *ref, int *fd, struct err *err);
void spool_unpin(struct spool *sp, uint32_t segment);
/* ---- segments that somebody else made ---- */
/* A number that no segment of ours will have. */
uint32_t spool_reserve(struct spool *sp);
/* seg-`number` is there, whole, durable and ended; from now on it is ours. 1: spool_adopt_step() is
 * to be called until it says false; 0: it is ours already. */
int spool_adopt(struct spool *sp, uint32_t number, struct err *err);
/* Reads about `budget` bytes of it: ops.recover and recover_state are called as at a start. */
bool spool_adopt_step(struct spool *sp, uint32_t number, uint64_t budget);

/* Every segment there is, to announce them to a newcomer. */
void spool_each_segment(const struct spool *sp, void (*fn)(void *ctx, uint32_t number, int fd),
    void *ctx);

/* One step of compaction: copies at most about `budget` bytes to the head and syncs. true: there
 * is more to do now. */
bool spool_compact(struct spool *sp, size_t budget);

/* Frees a piece of what is not needed any more (4 to 8 ms). true: there is more. */
bool spool_free(struct spool *sp);

int spool_space(const struct spool *sp, uint64_t *bytes, uint64_t *inodes);
void spool_stats(const struct spool *sp, struct spool_stats *st);
void spool_set_floor(struct spool *sp, uint64_t bytes, uint64_t inodes);
void spool_set_reuse(struct spool *sp, bool reuse);		/* for tests: true else */
void spool_set_segment_max(struct spool *sp, uint64_t bytes);	/* SEGMENT_MAX until then */
void spool_check(const struct spool *sp);	/* asserts the invariants */

#endif
