/* route.h -- where the mail of a domain goes: static next hops, an address
 * literal, or MX and addresses from the DNS.
 */
#ifndef DELIVERY_ROUTE_H
#define DELIVERY_ROUTE_H

#include "delivery/job.h"

struct routing;

/* A reference to the route goes with it. route->ok or why not in route->plan. */
typedef void route_cb(void *ctx, struct route *route);

/* Never calls back from within. */
struct routing *route_find(struct carrier *c, struct span domain, route_cb *cb, void *ctx);
void route_cancel(struct routing **r);		/* NULL-safe */
void route_unref(struct route **r);		/* NULL-safe */

#endif
