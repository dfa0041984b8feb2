/* sts.h -- the MTA-STS policy of a route (RFC 8461): asked for at the fetcher, applied to its hosts. */
#ifndef DELIVERY_STS_H
#define DELIVERY_STS_H

#include "delivery/job.h"
#include "fetcher/sts_policy.h"
#include "ipc/messages_tls.h"

struct json;
struct link;
struct frame;
struct sts_search;

/* What is known of the policy of a domain. */
struct sts_known {
	bool found, cached;
	int64_t fetched;		/* clock_real */
	char id[STS_ID_MAX + 1];
	struct sts_policy policy;	/* borrows from body */
	enum tls_result trouble;	/* why there is none, or no newer one; SUCCESS */
	bool repeated;			/* … as was told before */
	char why[256];
	char *body;
};
void sts_known_free(struct sts_known **k);	/* NULL-safe */

/* The channel to the fetcher, and the questions that wait for it: while there is no fetcher
 * they wait for the next one. */
struct sts_client *sts_client_new(struct carrier *c);
void sts_client_free(struct sts_client **s);	/* no search may be open any more */
void sts_peer_up(struct sts_client *s, struct link *l);
void sts_peer_down(struct sts_client *s, struct link *l);
int sts_frame(struct sts_client *s, struct frame *f);	/* STS_ANSWER; -1: it breaks the rules */

/* Fills route->sts and plan.hosts[].sts, or sets plan.sts_unknown, then calls done once, never from
 * within. NULL: there is nothing to ask. */
struct sts_search *sts_find(struct carrier *c, struct route *route, void (*done)(void *ctx),
    void *ctx);
void sts_cancel(struct sts_search **s);		/* NULL-safe */
/* What a policy means for each host of the plan. */
void sts_apply(struct plan *p, const struct sts_known *k);
/* The member "mta_sts" of an object, for `postern route`. */
void sts_write(struct json *j, const struct sts_known *k, int64_t now);

#endif
