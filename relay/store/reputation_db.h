/* reputation_db.h -- our own experience with senders (receiver/reputation.h), kept over restarts and
 * corrected by what people decide. */
#ifndef STORE_REPUTATION_DB_H
#define STORE_REPUTATION_DB_H

#include "master/runtime.h"
#include "store/kept.h"

struct experience;

/* Loads what was saved, if no other process has since the daemon started. Never fails: what cannot be read
 * is said, and counted anew. */
struct experience *experience_new(struct db *d, struct shared *shared, const struct config *conf);
/* The process `counters`, where nodes count together: it is told what people correct. */
struct link;
void experience_peer_up(struct experience *x, struct link *l);
void experience_peer_down(struct experience *x, const struct link *l);
/* Every second: a sixtieth of what has changed. */
void experience_tick(struct experience *x, int64_t now);
/* All that has changed, at the end. */
void experience_save(struct experience *x, int64_t now);

/* A person let it go: it was no spam, and no virus worth the name. Once for each row. */
void experience_released(const struct experience *x, const struct kept *k, int64_t now);
/* A person says that it is what it was kept for: who was only suspected did send spam. */
void experience_confirmed(const struct experience *x, const struct kept *k, int64_t now);

#endif
