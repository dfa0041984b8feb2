/* queue_acts.h -- what the files behind the control commands share.
 *
 * queue_control.c reads requests, queue_walk.c goes through messages step by
 * step, queue_acts.c does something to one of them, queue_show.c says how it is.
 */
#ifndef QUEUE_ACTS_H
#define QUEUE_ACTS_H

#include "ipc/principal.h"
#include "json.h"
#include "queue/queue_select.h"

struct asked {
	struct queue *q;
	const struct jval *req;
	char by[PRINCIPAL_BY];		/* who asks */
	struct buf *out;
	struct span to;			/* of a reroute: "host:port", or empty */
	/* What a walk takes over, and sets to NULL here. */
	struct jval **owned;
	struct reply **reply;
	/* Of the walk it belongs to. */
	struct selector sel;
	struct looked look;
	bool sync_soon;			/* an act needs its records on the disk before mail goes on */
};

/* true: something was done. */
typedef bool act_fn(struct asked *k, struct message *m);
act_fn act_retry, act_hold, act_release, act_fail, act_reroute, act_drain;

void asked_error(struct asked *k, const char *text);
/* In the trace of one message; asked_journal() also says it in the log. */
void asked_event(struct asked *k, const char *verb, uint64_t id, struct span what);
void asked_journal(struct asked *k, const char *verb, uint64_t id, struct span what, size_t n);

/* queue_walk.c: each takes the request over and answers it when it is done. */
void walk_act(struct asked *k, const char *verb, act_fn *fn);
void walk_show(struct asked *k, size_t limit, bool whole);	/* the messages selected; all: for a list */
void walk_groups(struct asked *k, size_t limit, bool by_sender);
void walk_sites(struct asked *k, size_t limit);

/* queue_adopt.c: segments that an import made beside ours. */
void adopt_reserve(struct asked *k);
void adopt_segment(struct asked *k);

/* queue_handover.c: to another node, each message once. */
void handover_offer(struct asked *k);
void handover_done(struct asked *k);
void handover_keep(struct asked *k);

#endif
