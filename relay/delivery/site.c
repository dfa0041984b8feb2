/* site.c -- one destination: its route, its waiting jobs, its connections; see site.h. */
#include <event2/event.h>
#include <stdlib.h>

#include "clock.h"
#include "delivery/route.h"
#include "delivery/session.h"
#include "delivery/site.h"
#include "postern/err.h"
#include "table.h"

struct site {
	struct carrier *c;
	struct span name;
	struct route *route;
	struct routing *routing;
	struct job *first, **last;	/* waiting, oldest first */
	struct session *sessions;
	size_t nsessions;
	bool is_dirty;
	struct site *next_dirty;
};

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
	ASSERT(site->sessions == NULL && !site->is_dirty);
	while (site->first) {
		struct job *job = site->first;

		site->first = job->next;
		arena_free(&job->arena);
	}
	route_cancel(&site->routing);
	route_unref(&site->route);
	table_remove(site->c->sites, site->name);
	free((void *)(uintptr_t)site->name.p);
	free(site);
}

bool
site_stale(const struct site *site, int64_t now)
{
	return site->first == NULL && site->sessions == NULL && site->routing == NULL &&
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

void
site_add(struct site *site, struct job *job)
{
	job->next = NULL;
	*site->last = job;
	site->last = &job->next;
	site_dirty(site);
}

void
site_requeue(struct site *site, struct job *job)
{
	job->next = site->first;
	if (site->first == NULL)
		site->last = &job->next;
	site->first = job;
	site_dirty(site);
}

static struct job *
take_first(struct site *site)
{
	struct job *job = site->first;

	if (job) {
		site->first = job->next;
		if (site->first == NULL)
			site->last = &site->first;
		job->next = NULL;
	}
	return job;
}

struct job *
site_next(struct site *site, struct session *s)
{
	if (site->first == NULL || !session_fits(s, site->first))
		return NULL;
	return take_first(site);
}

void
site_retire(struct site *site)
{
	struct job *job;

	route_cancel(&site->routing);
	while ((job = take_first(site)) != NULL) {
		job->handed_back = true;
		job_done(site->c, job);
	}
}

/* Those that demand less stay. */
static void
fail_waiting(struct site *site, const struct smtp_result *why, struct span relay,
    struct job_demand demand)
{
	struct job *job, *all = site->first;

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

static bool
have_route(struct site *site)
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
	route_unref(&site->route);
	if (route->ok) {
		site->route = route;
		site_dirty(site);
		return;
	}
	smtp_result_set(&why, CLIENT_GREETING, route->plan.status, FAIL_DNS, route->plan.dsn,
	    span_str(route->plan.text), false);
	fail_waiting(site, &why, (struct span){ 0 }, (struct job_demand){ 0 });
	route_unref(&route);
}

/* --- sessions --- */

static struct session *
find_idle(struct site *site, const struct job *job)
{
	for (struct session *s = site->sessions; s; s = s->site_next)
		if (s->phase == SESSION_IDLE && (job == NULL || session_fits(s, job)))
			return s;
	return NULL;
}

static void
open_session(struct site *site)
{
	struct session *s = session_new(site->c, site, site->route, take_first(site));

	s->site_next = site->sessions;
	if (s->site_next)
		s->site_next->site_prev = &s->site_next;
	s->site_prev = &site->sessions;
	site->sessions = s;
	site->nsessions++;
}

void
site_session_gone(struct site *site, struct session *s)
{
	if (s->site_prev == NULL)
		return;		/* and site may be gone already */
	*s->site_prev = s->site_next;
	if (s->site_next)
		s->site_next->site_prev = s->site_prev;
	s->site_prev = NULL;
	site->nsessions--;
	if (site->first)
		site_dirty(site);
}

void
site_unreachable(struct site *site, const struct smtp_result *why, struct span relay,
    struct job_demand demand)
{
	if (demand.least == TLS_UNSPECIFIED)
		route_unref(&site->route);	/* perhaps it has moved: ask again next time */
	for (struct session *s = site->sessions; s; s = s->site_next)
		if (s->phase == SESSION_OPEN || s->phase == SESSION_IDLE)
			return;
	fail_waiting(site, why, relay, demand);
}

void
site_pump(struct site *site)
{
	while (site->first) {
		struct session *s = find_idle(site, site->first);

		if (s) {
			session_give(s, take_first(site));
			continue;
		}
		if (site->nsessions >= carrier_connections(site->c, site->name)) {
			/* One that may not carry what waits makes room. */
			if ((s = find_idle(site, NULL)) == NULL)
				return;
			session_quit(s);
			continue;
		}
		if (!have_route(site))
			return;
		open_session(site);
	}
}
