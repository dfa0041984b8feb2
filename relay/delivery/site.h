/* site.h -- one destination: its route and its waiting jobs.
 *
 * Jobs wait in order of arrival. Once the route is known the site belongs to a
 * hub (hub.h): the servers it shares with all sites whose mail goes to the very
 * same ones. Connections are the hub's. A site without jobs is forgotten once
 * its route is stale.
 */
#ifndef DELIVERY_SITE_H
#define DELIVERY_SITE_H

#include "delivery/job.h"

struct hub;

struct site {
	struct carrier *c;
	struct span name;
	struct route *route;
	struct routing *routing;
	struct job *first, **last;	/* waiting, oldest first */
	size_t nwaiting;
	size_t working;			/* sessions that carry a job of it */
	struct hub *hub;		/* while the route is known */
	struct site *hub_next, **hub_prev;	/* in the hub's ring, while jobs wait; prev NULL: not there */
	bool is_dirty;
	struct site *next_dirty;
};

struct site *site_get(struct carrier *c, struct span name);	/* made when it is new */
void site_add(struct site *site, struct job *job);
/* It goes first again. */
void site_requeue(struct site *site, struct job *job);
struct job *site_take(struct site *site);	/* the first that waits, or NULL */
/* What waits and demands no less ({ 0 }: all) gets this answer. */
void site_fail(struct site *site, const struct smtp_result *why, struct span relay,
    struct job_demand demand);
/* The last n that wait go back to the queue for `away` or somewhat more. */
void site_send_back(struct site *site, size_t n, int64_t away);
/* The route may have changed: asked for again before the next connection. */
void site_forget_route(struct site *site);
/* Is the route known and fresh? If not it is being asked for. */
bool site_has_route(struct site *site);

/* For carrier.c: */
void site_pump(struct site *site);
/* Waiting jobs are handed back. */
void site_retire(struct site *site);
bool site_stale(const struct site *site, int64_t now);
void site_free(struct site *site);		/* drops its jobs without a word */
void site_dirty(struct site *site);
/* The next that wants to be looked at, or NULL. */
struct site *site_take_dirty(struct carrier *c);

#endif
