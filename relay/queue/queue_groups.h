/* queue_groups.h -- messages counted by a text, the largest groups said first.
 *
 * Pure but for what it is told. Every function does a bounded piece of work.
 */
#ifndef QUEUE_GROUPS_H
#define QUEUE_GROUPS_H

#include "json.h"
#include "queue/schedule.h"

struct groups;

#define GROUPS_MAX 100000	/* texts told apart; what comes after them is "(others)" */
#define GROUPS_LIMIT_MAX 10000	/* said at most */

/* masked: words that differ from message to message (numbers, addresses) count as one. */
struct groups *groups_new(size_t limit, bool masked);
void groups_free(struct groups **g);
void groups_reset(struct groups *g);
void groups_add(struct groups *g, struct span key, uint64_t bytes, int64_t since);
/* One that is counted already: kept when it is among the largest. */
void groups_offer(struct groups *g, struct span key, size_t messages);
/* A piece of the answer; false: that was all. */
bool groups_say(struct groups *g, struct buf *out, const char *name);
bool groups_say_sites(struct groups *g, struct buf *out, const struct schedule *s);

#endif
