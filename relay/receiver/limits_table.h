/* limits_table.h -- the shared table's layout, for limits*.c alone. */
#ifndef RECEIVER_LIMITS_TABLE_H
#define RECEIVER_LIMITS_TABLE_H

#include <stdatomic.h>

#include "receiver/limits.h"

#define COLUMNS 32		/* receivers that count together; more count alone */
#define COLUMN_DEAD (10 * US)
#define US INT64_C(1000000)
#define PEERS 8192		/* clients with open sessions that can be counted together */
#define PEER_WAYS 4
#define SEEN (1u << 17)		/* recipients remembered for `unique recipients` */
#define SEEN_WAYS 8

struct peer {
	_Atomic uint64_t tag;
	_Atomic uint32_t open[COLUMNS];
};

struct column {			/* one process */
	_Alignas(64) _Atomic int64_t alive;	/* when it was last seen; 0 never */
	_Atomic uint32_t instance;
	_Atomic uint32_t sessions;
	_Atomic uint64_t memory;
};

struct limits_table {
	_Atomic uint64_t magic;		/* 0 new, 1 being made, MAGIC */
	uint8_t key[16];
	int64_t epoch;			/* clock_mono at boot, less a day: times are never negative */
	uint64_t buckets;		/* a power of two */
	struct column columns[COLUMNS];
	_Alignas(64) struct peer peers[PEERS];
	_Alignas(64) _Atomic uint64_t seen[SEEN];
	_Alignas(64) _Atomic uint64_t words[];
};

/* ---- limits.c ---- */
#define LIMITS_UNIT 16		/* microseconds: times are kept in steps of so many */
uint64_t limits_step(const struct limit_rule *rule);	/* that one unit takes to come back, in LIMITS_UNIT */
/* The key a rule counts, unless it is exempt; empty: the rule does not apply. */
struct span limits_counted(const struct limit_rule *rule, const struct limits_who *who);

#endif
