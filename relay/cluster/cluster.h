/* cluster.h -- what the files of the role `cluster` share. */
#ifndef CLUSTER_CLUSTER_H
#define CLUSTER_CLUSTER_H

#include "cluster/pg.h"
#include "ipc/messages_base.h"
#include "master/runtime.h"

#define CLUSTER_SHARE_US (INT64_C(20) * 1000000)	/* for a batch of rows */
#define CLUSTER_ASK_US (INT64_C(4) * 1000000)	/* for an answer; the base gives up before */
#define CLUSTER_DAYS 32			/* partitions known to be there */

struct cluster;

struct question_base {		/* of the store, waiting or asked */
	struct question_base *next;
	uint64_t ticket;
	enum base_ask what;
	struct arena *a;
	struct base_value v[BASE_COLUMNS_MAX];
	size_t n;
	int64_t since;			/* clock_mono */
	int step;			/* of what takes several batches */
	struct span ids;		/* SEARCH: those found, an array of PostgreSQL */
	struct buf rows;		/* the answer */
	int fd;				/* what is large in it; -1 */
	bool partial;
};

struct cluster {
	struct runtime *rt;
	struct link *store;		/* NULL: it is away */
	struct pg_world world;
	struct arena *arena;		/* what lives as long as the role */
	struct arena *scratch;		/* of one batch */
	char *node;
	struct pg *ship, *asks;
	struct event *tick;
	uint64_t base;			/* which one it is */
	uint64_t self;			/* the store's number; 0: it has not said hello */
	bool shipping;			/* the ship session has said hello */
	bool listening;			/* the other one listens */
	int64_t ship_at, asks_at;	/* clock_mono: then they connect again */
	int64_t ship_wait, asks_wait;	/* how long after the next failure */
	int64_t day_at, expire_at;	/* clock_mono: then partitions are made, dropped */
	int days[CLUSTER_DAYS];
	size_t ndays;
	bool said;			/* that it is away */
	bool named, newer;		/* why: another has our name; its schema is newer */
	struct {			/* the batch under way */
		bool on;
		uint64_t ticket;
		char *body;		/* of the frame; NULL: none waits */
		size_t n;
		char *content;
		size_t content_n;
	} batch;
	struct question_base *first, **last;	/* first: being asked */
	bool asking;
};

/* cluster.c */
void cluster_away(struct cluster *c, const char *why);
void cluster_say(struct cluster *c, uint64_t ticket, const struct msg_shared *m);

/* ship.c: rows for the base */
void ship_hello(struct cluster *c);		/* the session is there */
int ship_take(struct cluster *c, struct frame *f);
void ship_go(struct cluster *c);		/* the batch that waits, if the session is free */
void ship_forget(struct cluster *c);		/* the store is gone */
void ship_tick(struct cluster *c);

/* ask.c: questions to it */
int ask_take(struct cluster *c, struct frame *f);
void ask_go(struct cluster *c);
void ask_away(struct cluster *c);		/* all that waits hears that nobody is there */
void ask_forget(struct cluster *c);

/* values.c: of frames and of PostgreSQL */
/* An array of one dimension, in binary. */
struct array {
	struct buf b;
	uint32_t n;
	bool nulls;
};
void array_begin(struct array *a);
void array_value(struct array *a, const struct base_value *v);	/* INT, TEXT, BLOB or NULL */
struct span array_end(struct array *a, Oid element);
/* Text as PostgreSQL takes it: what is no UTF-8, and NUL, becomes U+FFFD. */
struct span text_clean(struct span s, struct arena *a);

#endif
