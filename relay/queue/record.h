/* record.h -- what stands in a spool segment, byte for byte (docs/SPOOL.md).
 *
 * A record is a head of 40 bytes, then meta, then data, then zeros up to a
 * multiple of 8. Head and meta and data each have a CRC-32C. The head begins
 * with the salt of its segment, 64 random bits nobody outside knows: a
 * search for the next record behind damage cannot be led astray by bytes
 * that a stranger put into a message.
 *
 * This format lives on disks, so it has codecs of its own: frames between
 * processes of one build may change, this may not without a new version.
 */
#ifndef QUEUE_RECORD_H
#define QUEUE_RECORD_H

#include "buf.h"
#include "ipc/messages.h"
#include "postern/arena.h"

#define SPOOL_VERSION 4		/* written; 2: `route` in STATE; 3: `streak` there, reused files; 4: `since` in STATE */
#define SPOOL_VERSION_OLDEST 1	/* read */
#define RECORD_HEAD 40u
#define RECORD_META_MAX (4u << 20)
#define RECORD_DATA_MAX (2u << 20)	/* JSON and an inline message together */
#define SPOOL_INLINE_MAX (1u << 20)	/* a message above it lies in big/ID */
#define TARGETS_MAX 8192u		/* of one message, redirections counted */

enum record_type {
	RECORD_NONE,
	RECORD_MESSAGE,		/* meta: struct stored; data: JSON, then the bytes unless big */
	RECORD_STATE,		/* meta: struct state */
	RECORD_DONE,		/* meta: u32 segment in which the message lies */
	RECORD_SITES,		/* meta: count, names of paused sites; the last one counts */
	RECORD_END,		/* the segment was closed in good order; nothing follows */
	RECORD_TAIL,		/* in a reused file: what is written ends here so far (segment.h) */
	RECORD_TYPES
};
const char *record_type_name(enum record_type t);

enum { RECORD_BIG = 1 };			/* flags of MESSAGE */
/* Flags of STATE: of the whole message. OFFERED: another node may have it (queue_handover.c). */
enum { STATE_HELD = 1, STATE_NOTICED = 2, STATE_OFFERED = 4, STATE_STILL = STATE_HELD | STATE_OFFERED };

struct record {
	enum record_type type;
	uint8_t flags;
	uint32_t meta_size, data_size;
	uint32_t meta_crc, data_crc;
	uint64_t id;
};

void record_head_write(char out[RECORD_HEAD], uint64_t salt, const struct record *r);
/* false: no head of this segment stands here. */
bool record_head_read(const char *p, uint64_t salt, struct record *r);

static inline size_t
record_bytes(const struct record *r)
{
	return (RECORD_HEAD + (size_t)r->meta_size + r->data_size + 7) & ~(size_t)7;
}

/* The meta of a MESSAGE. */
struct stored {
	struct envelope env;
	uint64_t parent;
	struct msg_decision *decisions;		/* one for each recipient */
	size_t ndecisions;
	uint32_t json_size;
	uint64_t size;		/* of the message */
	uint32_t big_crc;	/* of the bytes in big/ID; 0 when inline */
	uint32_t meta_size;	/* spool_read: of this meta; not written */
};
void stored_encode(struct buf *b, const struct stored *m);
int stored_decode(struct span meta, struct arena *a, struct stored *m);

/* How far a target has come; see message.h for what a target is. */
enum target_status {
	TARGET_PENDING, TARGET_SENT, TARGET_FAILED, TARGET_EXPIRED, TARGET_KEPT, TARGET_DISCARDED,
	TARGET_REFUSED, TARGET_DROPPED /* by an operator, without a notice */, TARGET_STATUSES
};
const char *target_status_name(enum target_status s);

struct target_state {
	uint16_t target;
	enum target_status status;
	enum fail_class cls;
	struct span dsn, reply, relay;
};
/* The meta of a STATE: everything about the targets of one job. */
struct state {
	int64_t time, next;
	uint16_t attempts;
	struct target_state *targets;
	size_t ntargets;
	struct span route;	/* "host:port" an operator chose; empty: as policy and the DNS say */
	uint8_t streak;		/* tries in a row that failed alike (retry.h); 0: not recorded */
	int64_t since;		/* what expiry counts from, where that is not the time of the id; 0: it is */
};
void state_encode(struct buf *b, const struct state *s);
int state_decode(struct span meta, struct arena *a, struct state *s);

#endif
