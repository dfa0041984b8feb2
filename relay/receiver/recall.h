/* recall.h -- what was learnt of addresses: mailboxes that exist or do not, strangers that came
 * once and friends that came again. In memory that all receivers share and that outlives
 * each of them.
 *
 * An answer is believed as long as the asker likes: the table says when it was
 * learnt, to the second. It forgets what it has no room for, the least useful first; it
 * never answers for another key (but for 1 in 10^10 looks).
 */
#ifndef RECEIVER_RECALL_H
#define RECEIVER_RECALL_H

#include "postern/span.h"

enum recall_kind {
	RECALL_KNOWN,		/* the mailbox exists */
	RECALL_UNKNOWN,		/* it does not */
	RECALL_CAME,		/* came for the first time */
	RECALL_FRIEND,		/* came again in time */
};

struct recall_table;

#define RECALL_MEMORY_MIN ((size_t)4096)

/* Made by the first that comes; size RECALL_MEMORY_MIN at least, memory all zero or made before,
 * 64-byte aligned. now: clock_mono, as in all below. */
struct recall_table *recall_attach(void *memory, size_t size, int64_t now);
/* false: nothing is remembered. when: it was learnt. Keys are compared without case. */
bool recall_get(const struct recall_table *t, struct span key, int64_t now, enum recall_kind *kind,
    int64_t *when);
void recall_put(struct recall_table *t, struct span key, enum recall_kind kind, int64_t now);
void recall_forget(struct recall_table *t, struct span key);
void recall_forget_all(struct recall_table *t);

#endif
