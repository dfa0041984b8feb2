/* route.h -- where the mail of a domain goes: static next hops, an address
 * literal, or MX and addresses from the DNS.
 *
 * A way is what the carrier knows a site by: a domain, when its domain alone decides about the mail;
 * else (dispatch.c) the domain with the line of postern.yaml that decides, and with the
 * next hops where a directory named them. Behind SITE_LAX (messages.h) it is a way for mail that no
 * TLS policy of the domain holds up.
 */
#ifndef DELIVERY_ROUTE_H
#define DELIVERY_ROUTE_H

#include "delivery/job.h"

struct routing;

/* A reference to the route goes with it. route->ok or why not in route->plan. */
typedef void route_cb(void *ctx, struct route *route);

struct span way_key(struct arena *a, struct span domain, const struct conf_route *line,
    struct span hops);
/* An operator's own next hop ("relay.example.net:25", "[192.0.2.1]:25") in place of a domain. */
bool way_is_hop(struct span site);
/* From which addresses, under which name mail of this route leaves. */
struct conf_pool route_pool(const struct conf_delivery *d, const struct route *route);

/* Never calls back from within. */
struct routing *route_find(struct carrier *c, struct span way, route_cb *cb, void *ctx);
void route_cancel(struct routing **r);		/* NULL-safe */
void route_unref(struct route **r);		/* NULL-safe */

#endif
