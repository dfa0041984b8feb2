/* site.c -- one destination: its route and its waiting jobs; see site.h. */
#include <event2/event.h>
#include <stdlib.h>

#include "clock.h"
#include "delivery/hub.h"
#include "delivery/route.h"
#include "delivery/site.h"
#include "postern/err.h"
#include "table.h"

static void got_route(void *ctx, struct route *route);

struct site *
site_get(struct carrier *c, struct span name)
{
	struct site *site = table_get(c->sites, name);
	char *copy;

	if (site)
		return site;
	site = calloc(1, sizeof(*site));
	copy = malloc(name.n + 1);
	ASSERT(site != NULL && copy != NULL);
	memcpy(copy, name.p, name.n);
	copy[name.n] = '\0';
	site->c = c;
	site->name = span_make(copy, name.n);
	site->last = &site->first;
	table_put(c->sites, site->name, site);
	return site;
}

void
site_free(struct site *site)
{
	ASSERT(site->working == 0 && !site->is_dirty);
	while (site->first) {
		struct job *job = site->first;

		site->first = job->next;
		arena_free(&job->arena);
	}
	hub_leave(site);
	route_cancel(&site->routing);
	route_unref(&site->route);
	table_remove(site->c->sites, site->name);
	free((void *)(uintptr_t)site->name.p);
	free(site);
}

bool
site_stale(const struct site *site, int64_t now)
{
	return site->first == NULL && site->working == 0 && site->routing == NULL &&
	    !site->is_dirty && (site->route == NULL || site->route->expires <= now);
}

void
site_dirty(struct site *site)
{
	if (site->is_dirty)
		return;
	site->is_dirty = true;
	site->next_dirty = site->c->dirty;
	site->c->dirty = site;
	event_active(site->c->kick, EV_TIMEOUT, 0);
}

struct site *
site_take_dirty(struct carrier *c)
{
	struct site *site = c->dirty;

	if (site) {
		c->dirty = site->next_dirty;
		site->is_dirty = false;
	}
	return site;
}

/* --- waiting --- */

static void
count(struct site *site, int more)
{
	site->nwaiting += (size_t)more;
	if (site->hub)
		site->hub->waiting += (size_t)more;
}

void
site_add(struct site *site, struct job *job)
{
	job->next = NULL;
	*site->last = job;
	site->last = &job->next;
	count(site, 1);
	site_dirty(site);
}

void
site_requeue(struct site *site, struct job *job)
{
	job->next = site->first;
	if (site->first == NULL)
		site->last = &job->next;
	site->first = job;
	count(site, 1);
	site_dirty(site);
}

struct job *
site_take(struct site *site)
{
	struct job *job = site->first;

	if (job) {
		site->first = job->next;
		if (site->first == NULL)
			site->last = &site->first;
		job->next = NULL;
		count(site, -1);
	}
	return job;
}

void
site_retire(struct site *site)
{
	struct job *job;

	route_cancel(&site->routing);
	while ((job = site_take(site)) != NULL) {
		job->handed_back = true;
		job_done(site->c, job);
	}
}

void
site_send_back(struct site *site, size_t n, int64_t away)
{
	struct job **jp = &site->first, *job;

	for (size_t stay = n < site->nwaiting ? site->nwaiting - n : 0; stay > 0; stay--)
		jp = &(*jp)->next;
	while ((job = *jp) != NULL) {
		*jp = job->next;
		job->next = NULL;
		count(site, -1);
		job->postponed = away + (int64_t)(site->c->world.random(site->c->world.random_ctx) %
		    (uint64_t)away);
		job_done(site->c, job);
	}
	site->last = jp;
}

/* Those that demand less stay. */
void
site_fail(struct site *site, const struct smtp_result *why, struct span relay,
    struct job_demand demand)
{
	struct job *job, *all = site->first;

	count(site, -(int)site->nwaiting);
	site->first = NULL;
	site->last = &site->first;
	while ((job = all) != NULL) {
		struct job_demand own = job_demand(job);

		all = job->next;
		if (own.least < demand.least || own.requiretls < demand.requiretls) {
			site_add(site, job);
			continue;
		}
		job->next = NULL;
		job_fail_rest(job, why);
		job->relay = relay.n ? arena_span(job->arena, relay) : SPAN_LIT("none");
		job->tls = SPAN_LIT("");
		job->t_conn = job->t_ready = clock_real();
		job_done(site->c, job);
	}
}

/* --- the route --- */

void
site_forget_route(struct site *site)
{
	if (site->route)
		site->route->expires = 0;
}

bool
site_has_route(struct site *site)
{
	if (site->route && site->route->expires > clock_mono())
		return true;
	if (site->routing == NULL)
		site->routing = route_find(site->c, site->name, got_route, site);
	return false;
}

static void
got_route(void *ctx, struct route *route)
{
	struct site *site = ctx;
	struct smtp_result why;

	site->routing = NULL;
	hub_leave(site);
	route_unref(&site->route);
	if (route->ok) {
		site->route = route;
		hub_join(site);
		site_dirty(site);
		return;
	}
	/* Records that would prove the servers cannot be had: it is TLS that fails. */
	if (strcmp(route->plan.dsn, "4.7.5") == 0 && site->first && site->c->tls_failed)
		site->c->tls_failed(site->c->ctx, site->first, (struct span){ 0 },
		    span_str(route->plan.text));
	smtp_result_set(&why, CLIENT_GREETING, route->plan.status, FAIL_DNS, route->plan.dsn,
	    span_str(route->plan.text), false);
	site_fail(site, &why, (struct span){ 0 }, (struct job_demand){ 0 });
	route_unref(&route);
}

void
site_pump(struct site *site)
{
	if (site->first && site_has_route(site))
		hub_want(site);
}
