/* spool_internal.h -- what spool.c, spool_replay.c and spool_compact.c share. */
#ifndef QUEUE_SPOOL_INTERNAL_H
#define QUEUE_SPOOL_INTERNAL_H

#include "queue/recent.h"
#include "queue/segment.h"
#include "queue/spool.h"
#include "table.h"

/* X(NAME, "name", "what it means to people") */
#define SPOOL_STATES(X) \
	X(REPLAY, "replay", "reading the segments") \
	X(CLEAN, "clean", "everything told is durable") \
	X(DIRTY, "dirty", "records wait in memory for the next sync") \
	X(WRITING, "writing", "the batch is being written") \
	X(SYNCING, "syncing", "the batch is written, the disk has not confirmed it") \
	X(REFUSING, "refusing", "the batch failed; its messages are being refused") \
	X(SHUT, "shut", "closed")
enum spool_state {
#define X(name, text, phrase) SPOOL_##name,
	SPOOL_STATES(X)
#undef X
	SPOOL_STATE_COUNT
};

enum pending_kind { PENDING_MESSAGE, PENDING_COPY, PENDING_STATE, PENDING_STATE_COPY, PENDING_DONE,
	PENDING_TOMB, PENDING_SITES };

struct pending {
	enum pending_kind kind;
	uint32_t at;			/* in its buffer */
	struct record rec;
	struct spool_item *item;
	struct spool_pos *pos;
	struct spool_pos from;		/* COPY, STATE_COPY: where it was read */
	uint32_t home;			/* DONE, TOMB: segment of the message */
};

struct batch {
	struct buf bytes;
	struct pending *list;
	size_t n, cap;
};

struct spool {
	enum spool_state state;
	const struct spool_ops *ops;
	void *ctx;
	int dirfd, bigfd, lockfd;
	struct idtable *items;
	struct segment **segments;	/* rising numbers; the head is the last when there is one */
	size_t nsegments;
	struct segment *head;		/* NULL: the next sync makes one */
	uint32_t last_number;
	struct batch urgent, lazy;
	struct recent *recent;		/* metas written a moment ago */
	struct spool_pos sites_at;	/* the latest SITES record */
	uint64_t segment_max;
	uint64_t floor_bytes, floor_inodes;
	uint64_t free_bytes;		/* as asked when the batch began, less what it takes */
	uint32_t spares[SPARES_MAX];	/* files to be used again, by their old numbers */
	size_t nspares;
	size_t spares_coming;		/* renamed, the folder not synced yet */
	bool no_reuse;
	struct dying {			/* files without a name, being freed a piece at a time */
		int fd;
		uint64_t size;
		int64_t since;
	} *dying;
	size_t ndying;
	struct {
		uint32_t segment;	/* being adopted; 0: none */
		uint64_t next;
	} adopt;
	bool reap;			/* a segment may have died */
	bool refusing_unlink;		/* a dead one could not be removed: wait, keep the order */
	struct {
		uint32_t segment;	/* under compaction; 0 none */
		uint64_t next;
	} compact;
	struct spool_stats stats;
};

struct segment *spool_segment(const struct spool *sp, uint32_t number);	/* NULL: gone */
void spool_segment_add(struct spool *sp, struct segment *s);
void spool_pos_set(struct spool *sp, struct spool_pos *pos, struct spool_pos to);
void spool_reap(struct spool *sp);
/* spool_spares.c: what becomes of the file of a dead segment. -1: it could not be renamed or
 * removed. *spare: it is to be used again, once that name is durable (spool_spare_add). */
int spool_dispose(struct spool *sp, const struct segment *s, bool *spare, struct err *err);
void spool_spare_add(struct spool *sp, uint32_t number);
/* A segment in a spare file; NULL: make a new one. */
struct segment *spool_spare_take(struct spool *sp, uint32_t number);
void spool_spares_drop(struct spool *sp);	/* the disk is full: what they take is worth more */
void spool_spares_found(struct spool *sp, const uint32_t *numbers, size_t n);
void spool_dying_end(struct spool *sp);
void spool_end_head(struct spool *sp);
const char *spool_big_name(uint64_t id, char buf[64]);
void spool_report(struct spool *sp, enum log_level level, uint64_t id, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void spool_to(struct spool *sp, enum spool_state to);
/* A ready record (of a copy) with its sums as they are. NULL: the batch is full. */
struct pending *spool_batch_raw(struct batch *b, enum pending_kind kind, const struct record *r,
    struct span meta, struct span data);
void spool_batch_tomb(struct spool *sp, struct batch *b, uint64_t id, uint32_t home);
void spool_wake(struct spool *sp);	/* something was buffered */

int spool_replay(struct spool *sp, struct err *err);

/* Another node takes over what lies in this folder: a start refuses it (cli/cmd_spool_adopt.c). */
#define SPOOL_ADOPTED "adopted"

#endif
