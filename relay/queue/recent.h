/* recent.h -- metas of the messages that came last, in memory. */
#ifndef QUEUE_RECENT_H
#define QUEUE_RECENT_H

#include "queue/spool.h"

struct recent;

struct recent *recent_new(void);
void recent_free(struct recent **r);
/* The meta of the record at this place is durable. Copied; a large one is not kept. */
void recent_put(struct recent *r, struct spool_pos at, struct span meta);
/* false: not, or no longer, here. The bytes are good until the next recent_put. */
bool recent_get(const struct recent *r, struct spool_pos at, struct span *meta);

#endif
