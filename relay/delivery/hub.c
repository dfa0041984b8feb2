/* hub.c -- the servers of one or many sites; see hub.h. */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "delivery/hub.h"
#include "delivery/session.h"
#include "delivery/site.h"
#include "json.h"
#include "log.h"
#include "postern/err.h"
#include "table.h"

#define CALM (600 * US_PER_SEC)		/* after a push-back; then it is forgotten */
#define CAUTION_MAX 6
#define KEY_MAX (64u << 10)		/* hosts of a plan, and the addresses of a pool */

static void hub_pump(struct hub *hub);

/* --- whose servers are these? --- */

static int
by_host(const void *x, const void *y)
{
	const struct plan_host *const *a = x, *const *b = y;
	int d = (*a)->pref - (*b)->pref;

	if (d == 0)
		d = strcmp((*a)->name, (*b)->name);
	return d ? d : (*a)->port - (*b)->port;
}

/* Equal for equal sets of hosts, in whatever order equal preferences came out, that are spoken to
 * from the same addresses under the same name. */
static struct span
key_of(const struct route *route, struct buf *b)
{
	const struct plan *p = &route->plan;
	const struct plan_host *hosts[PLAN_HOSTS_MAX];

	for (size_t i = 0; i < p->nhosts; i++)
		hosts[i] = &p->hosts[i];
	qsort(hosts, p->nhosts, sizeof(*hosts), by_host);
	for (size_t i = 0; i < p->nhosts; i++)
		buf_printf(b, "%u %s:%u\n", hosts[i]->pref, hosts[i]->name, hosts[i]->port);
	if (route->by && (route->by->pool.nsources || route->by->pool.hello.n)) {
		const struct conf_pool *pool = &route->by->pool;
		char ip[IP_TEXT_MAX];

		buf_printf(b, "as " SPAN_FMT, SPAN_ARG(pool->hello));
		for (size_t i = 0; i < pool->nsources; i++)
			buf_printf(b, " %s", ip_format(pool->sources[i], ip));
	}
	ASSERT(!buf_failed(b));
	return buf_data(b);
}

void
hub_join(struct site *site)
{
	struct carrier *c = site->c;
	uint32_t ceiling;
	struct hub *hub;
	struct buf b;
	struct span key;
	char *copy;

	ASSERT(site->hub == NULL);
	buf_init(&b, PLAN_HOSTS_MAX * (DNS_NAME_MAX + 16) + 65536);
	key = key_of(site->route, &b);
	if ((hub = table_get(c->hubs, key)) == NULL) {
		hub = calloc(1, sizeof(*hub));
		copy = malloc(key.n + 1);
		ASSERT(hub != NULL && copy != NULL);
		memcpy(copy, key.p, key.n);
		copy[key.n] = '\0';
		hub->c = c;
		hub->key = span_make(copy, key.n);
		hub->ring_end = &hub->ring;
		hub->allowed = HUB_START;
		hub->ceiling = UINT32_MAX;
		table_put(c->hubs, hub->key, hub);
	}
	buf_release(&b);
	ceiling = carrier_connections(c, site->name);
	if (ceiling < hub->ceiling)
		hub->ceiling = ceiling;
	hub->members++;
	hub->waiting += site->nwaiting;
	site->hub = hub;
}

void
hub_write(const struct carrier *c, const struct route *route, struct json *j)
{
	const struct hub *hub;
	int64_t now = clock_mono();
	struct buf b;

	buf_init(&b, KEY_MAX);
	hub = table_get(c->hubs, key_of(route, &b));
	buf_release(&b);
	if (hub == NULL)
		return;
	json_key(j, "now");
	json_object(j);
	json_kuint(j, "domains", hub->members);
	json_kuint(j, "connections", hub->nsessions);
	json_kuint(j, "allowed", hub->allowed);
	json_kuint(j, "waiting", hub->waiting);
	json_kbool(j, "pushed_back", hub->pushed);
	if (hub->failures && hub->rests_until > now) {
		json_kint(j, "rests", (hub->rests_until - now) / US_PER_SEC);
		json_kcstr(j, "why", hub->why_text);
	}
	json_end_object(j);
}

static void
unring(struct site *site)
{
	struct hub *hub = site->hub;

	if (site->hub_prev == NULL)
		return;
	*site->hub_prev = site->hub_next;
	if (site->hub_next)
		site->hub_next->hub_prev = site->hub_prev;
	else
		hub->ring_end = site->hub_prev;
	site->hub_prev = NULL;
	site->hub_next = NULL;
}

static void
enring(struct site *site)
{
	struct hub *hub = site->hub;

	site->hub_next = NULL;
	site->hub_prev = hub->ring_end;
	*hub->ring_end = site;
	hub->ring_end = &site->hub_next;
}

/* A hub lives as long as a site or a session needs it. */
static void
maybe_free(struct hub *hub)
{
	if (hub->members || hub->sessions)
		return;
	ASSERT(hub->ring == NULL);
	table_remove(hub->c->hubs, hub->key);
	if (hub->timer)
		event_free(hub->timer);
	free((void *)(uintptr_t)hub->key.p);
	free(hub);
}

void
hub_leave(struct site *site)
{
	struct hub *hub = site->hub;

	if (hub == NULL)
		return;
	unring(site);
	site->hub = NULL;
	ASSERT(hub->members > 0 && hub->waiting >= site->nwaiting);
	hub->waiting -= site->nwaiting;
	hub->members--;
	maybe_free(hub);
}

/* --- how many, how fast --- */

static uint32_t
most(const struct hub *hub)
{
	return hub->ceiling;
}

/* Connections it may have now. */
static uint32_t
allowed(const struct hub *hub)
{
	if (hub->failures)
		return 1;		/* after a rest, one tries for all */
	return hub->allowed < most(hub) ? hub->allowed : most(hub);
}

bool
hub_too_many(const struct hub *hub)
{
	return hub->nsessions > allowed(hub);
}

void
hub_reached(struct hub *hub)
{
	if (hub->failures && hub->ring)
		site_dirty(hub->ring);
	hub->failures = 0;
	if (hub->nsessions >= hub->full)
		hub->caution = 0;	/* there is more room than there was */
}

void
hub_success(struct hub *hub)
{
	hub->burst = 0;
	if (hub->pushed && clock_mono() - hub->pushed_at > CALM) {
		hub->pushed = false;
		hub->caution = 0;
	}
	if (++hub->successes >= (hub->pushed ? hub->allowed << hub->caution : 1) &&
	    hub->allowed < most(hub)) {
		hub->allowed++;
		hub->successes = 0;
		if (hub->ring)
			site_dirty(hub->ring);
	}
}

/* Those on their way count: they are let in, or turned away and count no more. */
static size_t
others(const struct hub *hub, const struct session *but)
{
	return hub->nsessions - (but->hub_prev != NULL);
}

bool
hub_works(const struct hub *hub, const struct session *but)
{
	return others(hub, but) > 0;
}

void
hub_push_back(struct hub *hub, const struct session *s, bool greeting)
{
	size_t left = others(hub, s);
	uint32_t to = (uint32_t)(greeting ? left : (left + 1) / 2);
	int64_t now = clock_mono();

	if (to == 0)
		to = 1;
	if (greeting)
		hub->full = left + 1;
	/* Those that were on their way together are refused together: that is one. */
	if (to >= hub->allowed || (!greeting && hub->pushed && now - hub->pushed_at < US_PER_SEC))
		return;
	if (now - hub->told_at > CALM || hub->told_at == 0) {
		log_info(SPAN_FMT ": pushes back; %u connections at a time from now on, %u before",
		    SPAN_ARG(s->relay), to, hub->allowed);
		hub->told_at = now;
	}
	if (hub->pushed && hub->caution < CAUTION_MAX)
		hub->caution++;
	hub->allowed = to;
	hub->successes = 0;
	hub->pushed = true;
	hub->pushed_at = now;
	hub->burst = 0;
}

void
hub_put_off(struct hub *hub, const struct session *s)
{
	if (++hub->burst >= HUB_BURST)
		hub_push_back(hub, s, false);
}

static void
time_has_come(evutil_socket_t fd, short what, void *arg)
{
	hub_pump(arg);
}

/* The pace: may a message start now? Else the timer is set. */
static bool
in_time(struct hub *hub)
{
	int64_t now, left;
	struct timeval tv;

	if (hub->c->conf->delivery.site_interval == 0)
		return true;
	now = clock_mono();
	if ((left = hub->paced - now) <= 0)
		return true;
	if (hub->timer == NULL)
		hub->timer = evtimer_new(hub->c->base, time_has_come, hub);
	ASSERT(hub->timer != NULL);
	tv = (struct timeval){ left / US_PER_SEC, left % US_PER_SEC + 1 };
	evtimer_add(hub->timer, &tv);
	return false;
}

static void
spend(struct hub *hub)
{
	int64_t every = hub->c->conf->delivery.site_interval, now;

	if (every == 0)
		return;
	now = clock_mono();
	hub->paced = (hub->paced > now ? hub->paced : now) + every;
}

/* --- rest --- */

static bool
rests(const struct hub *hub)
{
	return hub->failures && hub->rests_until > clock_mono();
}

static void
fail_all(struct hub *hub)
{
	struct span relay = span_str(hub->why_relay);

	while (hub->ring) {
		struct site *site = hub->ring;

		unring(site);
		site_fail(site, &hub->why, relay, (struct job_demand){ 0 });
	}
}

void
hub_unreachable(struct hub *hub, struct site *site, const struct smtp_result *why,
    struct span relay, struct job_demand demand)
{
	const struct conf_delivery *d = &hub->c->conf->delivery;
	int64_t rest;

	if (demand.least == TLS_UNSPECIFIED)
		site_forget_route(site);	/* perhaps it has moved: ask again next time */
	for (const struct session *s = hub->sessions; s; s = s->hub_next)
		if (s->phase == SESSION_OPEN || s->phase == SESSION_IDLE)
			return;
	site_fail(site, why, relay, demand);
	/* TLS may be a matter of this site alone; a refusal for good is no reason to rest. */
	if (demand.least != TLS_UNSPECIFIED || why->cls == FAIL_TLS || why->status != RCPT_DEFERRED)
		return;
	hub->why = *why;
	snprintf(hub->why_text, sizeof(hub->why_text), SPAN_FMT, SPAN_ARG(why->reply));
	snprintf(hub->why_relay, sizeof(hub->why_relay), SPAN_FMT, SPAN_ARG(relay));
	hub->why.reply = span_str(hub->why_text);
	if (d->retry[RETRY_DEFAULT].n) {
		rest = retry_pause(d->retry, retry_of_site(why->cls), hub->failures + 1) / 4 * 3;
		hub->rests_until = clock_mono() + (rest < HUB_REST_MAX ? rest : HUB_REST_MAX);
	}
	hub->failures++;
	fail_all(hub);
}

/* --- sessions --- */

static struct session *
find_idle(struct hub *hub, const struct site *site)
{
	for (struct session *s = hub->sessions; s; s = s->hub_next)
		if (s->phase == SESSION_IDLE && (site == NULL || session_fits(s, site->route, site->first)))
			return s;
	return NULL;
}

static void
open_session(struct hub *hub, struct site *site)
{
	struct session *s = session_new(hub->c, hub, site, site_take(site));

	s->hub_next = hub->sessions;
	if (s->hub_next)
		s->hub_next->hub_prev = &s->hub_next;
	s->hub_prev = &hub->sessions;
	hub->sessions = s;
	hub->nsessions++;
}

void
hub_session_gone(struct hub *hub, struct session *s)
{
	if (s->hub_prev == NULL)
		return;		/* and the hub may be gone already */
	*s->hub_prev = s->hub_next;
	if (s->hub_next)
		s->hub_next->hub_prev = s->hub_prev;
	s->hub_prev = NULL;
	hub->nsessions--;
	if (hub->ring)
		site_dirty(hub->ring);
	maybe_free(hub);
}

/* The site has had its turn. */
static void
turn_over(struct site *site)
{
	unring(site);
	if (site->first)
		enring(site);
}

bool
hub_next(struct hub *hub, struct session *s)
{
	struct site *site = hub->ring;

	/* The one whose turn it is; what this session may not carry another will. */
	while (site && site->first == NULL) {
		unring(site);
		site = hub->ring;
	}
	if (site == NULL || hub_too_many(hub) || !in_time(hub) || !session_fits(s, site->route, site->first))
		return false;
	session_take(s, site, site_take(site));
	spend(hub);
	turn_over(site);
	return true;
}

static void
hub_pump(struct hub *hub)
{
	struct site *site;

	while ((site = hub->ring) != NULL) {
		struct session *s;

		if (site->first == NULL || !site_has_route(site)) {
			unring(site);		/* comes again with its route */
			continue;
		}
		if (rests(hub)) {
			fail_all(hub);
			return;
		}
		if (!in_time(hub))
			return;
		if ((s = find_idle(hub, site)) != NULL) {
			struct job *job = site_take(site);

			spend(hub);
			turn_over(site);
			session_give(s, site, job);
			continue;
		}
		if (hub->nsessions >= allowed(hub)) {
			/* One that may not carry what waits makes room. */
			if ((s = find_idle(hub, NULL)) == NULL)
				return;
			session_quit(s);
			continue;
		}
		open_session(hub, site);
		spend(hub);
		turn_over(site);
	}
}

/* Does the one who is next wait for longer than he should? */
static bool
slow(const struct hub *hub)
{
	return hub->ring && hub->ring->first &&
	    clock_real() - hub->ring->first->t_start > HUB_PATIENCE;
}

/* Those whose turn comes next stay. */
void
hub_tick(struct hub *hub)
{
	size_t stay = HUB_WAITING;

	hub->crowded = hub->waiting > HUB_WAITING && slow(hub);
	for (struct site *site = hub->ring; hub->crowded && site; site = site->hub_next) {
		if (site->nwaiting <= stay) {
			stay -= site->nwaiting;
			continue;
		}
		site_send_back(site, site->nwaiting - stay, HUB_AWAY);
		stay = 0;
	}
}

void
hub_want(struct site *site)
{
	struct hub *hub = site->hub;

	ASSERT(hub != NULL && site->first != NULL);
	if (hub->crowded && hub->waiting > HUB_WAITING) {
		site_send_back(site, hub->waiting - HUB_WAITING, HUB_AWAY);
		if (site->first == NULL)
			return;
	}
	if (site->hub_prev == NULL)
		enring(site);
	hub_pump(hub);
}
