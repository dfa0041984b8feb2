/* site.h -- one destination: its route, its waiting jobs, its connections.
 *
 * At most per_site.connections sessions; a job waits in order of arrival for
 * one that is free. A session that has done a job asks for the next itself;
 * with none there it stays open for a moment, for the next to come. A site
 * without jobs and sessions is forgotten once its route is stale.
 */
#ifndef DELIVERY_SITE_H
#define DELIVERY_SITE_H

#include "delivery/job.h"

/* The next waiting job that this session may carry, or NULL. */
struct job *site_next(struct site *site, struct session *s);
/* The job could not be begun on a connection that had died idle: it goes first again. */
void site_requeue(struct site *site, struct job *job);
/* The session counts no more (over, or QUIT under way). Once is enough, twice does no harm. */
void site_session_gone(struct site *site, struct session *s);
/* No server of the route could be had, for what this job demanded beyond the others ({ 0 }: for all).
 * What waits and demands no less gets the same answer, unless another session of the
 * site is at work. */
void site_unreachable(struct site *site, const struct smtp_result *why, struct span relay,
    struct job_demand demand);

/* For carrier.c: */
struct site *site_get(struct carrier *c, struct span name);	/* made when it is new */
void site_add(struct site *site, struct job *job);
void site_pump(struct site *site);
/* Waiting jobs are handed back. */
void site_retire(struct site *site);
bool site_stale(const struct site *site, int64_t now);
void site_free(struct site *site);		/* drops its jobs without a word */
void site_dirty(struct site *site);
/* The next that wants to be looked at, or NULL. */
struct site *site_take_dirty(struct carrier *c);

#endif
