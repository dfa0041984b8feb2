/* segment.h -- one append-only file of the spool, and the way to read it whole.
 *
 * A segment is written by one process, from its head to its end, and never
 * again once it has been closed or left behind. On the disk: 32 bytes of
 * file head, then records (record.h).
 *
 * The file may be that of an earlier segment, used again: writing over blocks
 * that are there is up to twice as fast as making a file grow, and nobody waits
 * while the file system frees 64 MiB. Then records of the earlier one may stand
 * behind ours. They have its salt, 64 random bits, and are no records here. And
 * because the end of the file does not say any more where ours end, a TAIL
 * record is written behind each batch, in the same write, and the next
 * batch begins in its place: where the TAIL is missing, the last batch was not
 * written as a whole, so it was never acknowledged.
 */
#ifndef QUEUE_SEGMENT_H
#define QUEUE_SEGMENT_H

#include "postern/err.h"
#include "queue/record.h"

#define SEGMENT_HEAD 32u
#define SEGMENT_MAX (64u << 20)
#define SEGMENT_NAME_MAX 32
#define SPARES_MAX 4		/* files kept to be used again */

struct segment_dep {		/* `n` records here still say that messages of `segment` are done */
	uint32_t segment;
	uint32_t n;
};

struct segment {
	uint32_t number;
	int fd;			/* read-only; others get it too */
	int wfd;		/* of the head; -1 else */
	uint64_t salt;
	uint64_t size;		/* bytes that count: synced, or valid when replayed */
	uint64_t space;		/* of a reused file: its size when it was begun; 0: a new one */
	uint64_t live;		/* bytes of records still needed */
	uint32_t nlive;
	bool ended;		/* stands a RECORD_END at its end */
	bool damaged;		/* kept under another name instead of being removed */
	uint32_t pins;		/* somebody reads from it now */
	int64_t left;		/* clock_mono when it stopped being the head; 0: replayed */
	struct segment_dep *deps;
	size_t ndeps;
};

const char *segment_name(uint32_t number, char buf[SEGMENT_NAME_MAX]);
bool segment_name_parse(const char *name, uint32_t *number);

/* Makes the file with its head, and makes its name durable. NULL on failure. */
struct segment *segment_create(int dirfd, uint32_t number, struct err *err);
/* The same with the file "spare-OF". NULL with err->code EBUSY: somebody still has it open, so it
 * must not be touched. */
struct segment *segment_reuse(int dirfd, uint32_t of, uint32_t number, struct err *err);
const char *spare_name(uint32_t number, char buf[SEGMENT_NAME_MAX]);
bool spare_name_parse(const char *name, uint32_t *number);
/* Has nobody but us this file open or mapped? The kernel says so by giving us a lease for writing;
 * where it knows no leases, the answer is no. fd: open for writing, the only one we have. SIGIO must
 * be ignored. */
bool segment_is_ours(int fd);
/* Opens for reading. A head that cannot be read is looked for in the first record. */
struct segment *segment_open(int dirfd, uint32_t number, struct err *err);
/* Writes the file's head of `s` into another file. */
int segment_head_put(int fd, const struct segment *s, struct err *err);
void segment_free(struct segment **s);
void segment_close_writer(struct segment *s);

void segment_dep_add(struct segment *s, uint32_t on);
void segment_dep_gone(struct segment *s, uint32_t gone);

/* Reads one record: head and meta are checked; the meta lies in the arena. -1: it is not
 * there as it was written. */
int segment_read_meta(const struct segment *s, uint64_t offset, struct arena *a, struct record *r,
    struct span *meta, struct err *err);
int segment_pread(const struct segment *s, uint64_t offset, void *p, size_t n, struct err *err);

struct segment_damage {
	uint32_t segment;
	uint64_t offset, size;	/* where it is, up to what could be read again */
	uint64_t id;		/* 0: unknown */
	enum record_type type;	/* RECORD_NONE: unknown */
	const char *what;	/* static: "data do not match their sum" */
	bool tail;		/* nothing valid follows */
};
struct segment_visitor {
	/* meta and data are valid until the next call; both have been checked. */
	void (*record)(void *ctx, struct segment *s, uint64_t offset, const struct record *r,
	    struct span meta, struct span data);
	void (*damage)(void *ctx, struct segment *s, const struct segment_damage *d);
	void *ctx;
};
/* Reads from `from` (0: the first record) and stops after about `budget` bytes; the place to go
 * on from, or 0 at the end. Sets s->ended, and s->size to where a reused file's records end. valid (may be NULL): end of the last good record. */
uint64_t segment_scan(struct segment *s, uint64_t from, uint64_t budget,
    const struct segment_visitor *v, uint64_t *valid);

#endif
