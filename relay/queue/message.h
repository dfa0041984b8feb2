/* message.h -- what the queue keeps in memory of a message: little.
 *
 * Addresses and texts stay on the disk and are read when they are needed.
 *
 * A target is one address a message goes to: a recipient's own, or each of
 * those it is redirected to. Targets of one message that share kind, site and TLS
 * rule form a leg, which is scheduled, tried and recorded as one. Both
 * follow from the stored envelope and decisions alone (plan), always in the
 * same order, so their numbers mean the same after a restart.
 */
#ifndef QUEUE_MESSAGE_H
#define QUEUE_MESSAGE_H

#include "queue/schedule.h"
#include "queue/spool.h"

enum leg_kind { LEG_DELIVER, LEG_KEEP, LEG_REFUSE, LEG_DISCARD };
const char *leg_kind_name(enum leg_kind k);

struct leg {
	struct job job;		/* job.node.when: the next try, also while idle */
	struct spool_pos at;	/* its latest STATE */
	uint16_t index;
	uint16_t attempts;
	uint8_t kind;
	uint8_t last;		/* enum fail_class of the latest attempt */
	uint8_t retry;		/* enum retry_class of it, and how many of this class in a row */
	uint8_t streak;
	bool settling;		/* its outcome waits for a notice to be durable */
	bool rerouted;		/* its latest STATE says where to instead */
	bool cut_off;		/* a delivery of it was: it may be delivered twice */
};

struct message {
	struct spool_item item;		/* must be first */
	struct wheel_node life;		/* delay notice, then expiry */
	int64_t since;			/* in this queue: what delay and expiry count from */
	uint64_t size;
	uint16_t ntargets, nlegs;
	uint8_t flags;			/* STATE_HELD, STATE_NOTICED */
	struct leg legs[];		/* then uint8_t status[ntargets] */
};

struct target {
	struct recipient rcpt;		/* with the address it goes to */
	struct span original;		/* the address the sender gave */
	uint16_t recipient;		/* index in the envelope */
	uint16_t leg;
};

struct leg_plan {
	enum leg_kind kind;
	struct span site;
	enum require_tls require_tls;
	uint16_t decision;		/* the first one that led here */
};

struct plan {
	struct target *targets;
	size_t ntargets;
	struct leg_plan *legs;
	size_t nlegs;
};

/* hostname: where an address without a domain goes. -1: more targets than TARGETS_MAX, or a decision
 * that cannot be queued. */
int plan_make(struct arena *a, const struct stored *m, struct span hostname, struct plan *p);

struct message *queued_new(const struct stored *m, const struct plan *p);
void queued_free(struct message **m);
size_t queued_bytes(const struct message *m);	/* what it takes in memory */

static inline uint8_t *
message_status(struct message *m)
{
	return (uint8_t *)&m->legs[m->nlegs];
}

static inline struct message *
message_of_item(struct spool_item *it)
{
	return (struct message *)it;
}

static inline struct leg *
leg_of_job(struct job *j)
{
	return (struct leg *)((char *)j - offsetof(struct leg, job));
}

static inline struct message *
message_of_leg(struct leg *l)
{
	return (struct message *)((char *)(l - l->index) - offsetof(struct message, legs));
}

static inline struct message *
message_of_life(struct wheel_node *n)
{
	return (struct message *)((char *)n - offsetof(struct message, life));
}

/* Targets of the leg that are still to be done. */
bool leg_pending(struct message *m, const struct plan *p, const struct leg *l);
bool message_done(struct message *m);

#endif
