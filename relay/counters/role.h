/* role.h -- the role `counters`: what its files share. Nobody else includes it. */
#ifndef COUNTERS_ROLE_H
#define COUNTERS_ROLE_H

#include "counters/ask.h"
#include "counters/redis.h"
#include "counters/scripts.h"
#include "ipc/channel.h"
#include "ipc/newest.h"
#include "master/runtime.h"
#include "receiver/reputation.h"
#include "table.h"

#define DECISIONS_MAX 20000	/* under way; more are decided alone */
#define OWED_MAX 65536		/* limits and keys; more are lost, and counted (counters_lost) */
#define MIRROR_MAX 65536	/* what Redis said last, in case it forgets; the rest it may forget */
#define NOTES_MAX 16384		/* subjects whose reputation waits */
#define SILENCE (5 * US_PER_SEC)	/* of an open connection with questions; then another is made */
#define MERGE_BATCH 100
#define NOTE_BATCH 60

/* What waits for an answer of Redis, or for what the fence says of it. */
struct asked {
	struct asked *next, **prev;
	uint64_t epoch, seq;
};

struct counted;
struct owed;
struct listing;

struct counters {
	struct runtime *rt;
	const struct conf_counters *conf;
	struct arena *arena, *scratch;
	struct span password, anchors, server;
	struct conf_host dns[8];
	size_t ndns;
	struct ssl_ctx_st *tls;
	struct resolver *resolver;
	struct redis *redis;
	struct call call;
	struct buf out;
	struct link *store;
	struct reputation reputation;
	struct event *tick, *late, *settle;
	char fence[300];		/* of this process */
	char id[40];			/* "hostname number" */
	uint64_t epoch, seq;		/* of the connection; of the last script on it */
	int64_t ahead;			/* Redis's clock less ours (clock_mono), as it last said */
	bool greeted;			/* the fence is ours, what was remembered is there: scripts may be sent */
	bool serving;			/* decisions are asked of Redis */
	bool twin;			/* another node says that it has our name */
	size_t merging;			/* batches on their way before it serves */
	int64_t said;			/* when the log last heard of it: clock_real */
	int64_t since;			/* of serving, or of being away: clock_real */
	char why[300];			/* it is away */
	uint64_t away_count;		/* times */
	uint32_t nodes;
	uint64_t ticks;
	int64_t leave_by;		/* clock_mono: retiring, and no later */
	/* decide.c */
	struct counted *first, **end;	/* on their way, in order */
	struct counted *unsure;	/* their connection is gone: the fence will say */
	struct idtable *told;		/* answered `away`: by number */
	uint64_t last_decision;
	size_t ndecisions;
	/* merge.c */
	struct table *mirror, *owed, *owed_seen;
	struct owed_batch *batches;
	/* notes.c */
	struct table *notes;
	struct note_batch *note_batches;
	struct listing *listings;
};

/* ---- counters.c ---- */
/* The command for a script over c->call; -1: not now. whole: with its text. */
int counters_call(struct counters *c, enum script s, bool whole, redis_cb *cb, void *what);
void counters_call_begin(struct counters *c);
/* An answer that is none: true, and the connection is given up, unless it is NOSCRIPT. */
bool counters_refused(struct counters *c, const struct redisReply *reply, bool *noscript);
void counters_late(struct counters *c, const char *why);
/* Redis answers, and owes nothing: serve again, if that was all. */
void counters_serve(struct counters *c);
/* Of each limit, that this node goes on with alone. */
uint32_t counters_percent(const struct counters *c);
void counters_clock(struct counters *c, const struct redisReply *reply);	/* of a script's answer */

/* ---- decide.c ---- */
int decide_ask(struct counters *c, struct link *l, struct frame *f);
int decide_owe(struct counters *c, struct frame *f);
void decide_link_down(struct counters *c, const struct link *l);
void decide_late(struct counters *c, int64_t now);	/* what has waited for too long */
/* Behind a HELLO: of that epoch the scripts up to seq were carried out. */
void decide_settle(struct counters *c, uint64_t epoch, uint64_t seq);

/* ---- merge.c ---- */
void merge_init(struct counters *c);
/* item's level (< 0: not known) and lock, as Redis said them now. */
void merge_told(struct counters *c, const struct count_item *it, int64_t level, int64_t lock);
void merge_owe(struct counters *c, const struct count_item *items, size_t n);
void merge_forget(struct counters *c, struct span name);
void merge_restore(struct counters *c);		/* what Redis said before; at a new connection */
void merge_flush(struct counters *c);		/* what is owed */
void merge_settle(struct counters *c, uint64_t epoch, uint64_t seq);
bool merge_owes(const struct counters *c);

/* ---- notes.c ---- */
int notes_frame(struct counters *c, struct frame *f);
void notes_flush(struct counters *c);
void notes_settle(struct counters *c, uint64_t epoch, uint64_t seq);
/* "second since n…": into the table that this node's processes share. */
void notes_heard(struct counters *c, char kind, const char *name, const char *text);

/* ---- list.c ---- */
int list_frame(struct counters *c, struct link *l, struct frame *f);
void list_link_down(struct counters *c, const struct link *l);

/* ---- status.c ---- */
void counters_client(struct runtime *rt, int fd, uint32_t uid, struct span request);
#endif
