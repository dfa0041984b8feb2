/* dane.h -- the TLSA records of the mail servers of a route (RFC 7672). */
#ifndef DELIVERY_DANE_H
#define DELIVERY_DANE_H

#include "delivery/job.h"

struct dane_search;

/* Fills plan.hosts[].dane, route->tlsa and route->tlsa_base, then calls done once, never from
 * within. NULL: there is nothing to ask, and done will not come. */
struct dane_search *dane_find(struct carrier *c, struct route *route, void (*done)(void *ctx),
    void *ctx);
void dane_cancel(struct dane_search **s);	/* NULL-safe */
/* What the records amount to: only DANE-TA and DANE-EE with a hash that can be made count
 * (RFC 7672, 3.1). */
enum dane_state dane_judge(const struct dns_answer *a);

#endif
