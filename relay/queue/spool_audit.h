/* spool_audit.h -- reads a spool folder as it lies there and changes nothing.
 *
 * For a stopped daemon's spool and for a copy of one. What is found is what a
 * start would find, with more words: each segment, each torn tail, each
 * damaged record with its place, each live message; and large files, whose
 * sums a start does not verify.
 *
 * audit_repair() makes a spool that starts without a complaint. It deletes
 * nothing: a segment that is not in order is renamed to seg-N.damaged and a new seg-N
 * holds the records of it that are; files that belong to nothing go to lost/.
 */
#ifndef QUEUE_SPOOL_AUDIT_H
#define QUEUE_SPOOL_AUDIT_H

#include "queue/segment.h"

struct audit_segment {
	uint32_t number;
	const char *unreadable;	/* why nothing in it can be read; NULL: it can */
	uint64_t bytes, records, messages, states, dones;
	uint64_t live;		/* messages */
	uint64_t torn_at, torn;	/* bytes of a torn tail; 0: none */
	size_t damaged;
	bool ended, bad_head;
};

struct audit_damage {
	uint32_t segment;	/* 0: a large file */
	uint64_t offset, size, id;
	const char *type, *what;
	const char *whom;	/* "from <a> to <b>, <c>" when that could be read; "" */
	bool missing;		/* the message's large file is not there */
};

struct audit_state {		/* where the latest STATE of a leg lies */
	uint32_t segment;
	uint16_t first;		/* its first target */
	uint64_t offset;
	struct audit_state *next;
};

struct audit_message {
	uint64_t id;
	uint32_t segment;
	uint64_t offset;
	bool big, bad;		/* bad: it cannot be delivered as it is */
	uint8_t flags;		/* STATE_HELD … */
	uint8_t *status;	/* enum target_status of each target told of by a STATE */
	size_t nstatus;
	struct audit_state *states;
};

struct audit {
	struct arena *arena;
	const char *path;
	int dirfd, bigfd, lockfd;
	bool in_use;		/* a posternd runs on it: the newest segment may move */
	struct segment **opened;	/* one for each of `segments`; NULL: unreadable */
	struct audit_segment *segments;
	size_t nsegments;
	struct audit_damage *damage;
	size_t ndamage, cap_damage;
	struct idtable *messages;	/* live: struct audit_message */
	const char **strays;	/* large files of no message, "big/ID" */
	size_t nstrays;
	size_t nspares;			/* files to be used again, with nothing in them that counts */
	uint32_t last_number;
};

/* NULL: no such folder, no right, or a version that is not known (then err says so). */
struct audit *audit_spool(const char *path, struct err *err);
void audit_free(struct audit **a);
bool audit_clean(const struct audit *a);
/* Needs the folder for itself. Calls say() with each thing it does. */
int audit_repair(struct audit *a, void (*say)(void *ctx, const char *text), void *ctx,
    struct err *err);

/* The meta and the whole record of a live message, read and checked again. */
int audit_read(const struct audit *a, const struct audit_message *m, struct arena *arena,
    struct stored *s, struct span *json, struct err *err);
/* One of its states. */
int audit_read_state(const struct audit *a, const struct audit_message *m, const struct audit_state *at,
    struct arena *arena, struct state *st, struct err *err);
/* Its bytes, piece by piece; -1 also when their sum is wrong. */
int audit_body(const struct audit *a, const struct audit_message *m, const struct stored *s,
    int (*put)(void *ctx, struct span piece), void *ctx, struct err *err);

#endif
