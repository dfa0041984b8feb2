/* route.c -- where the mail of a domain goes; see route.h.
 *
 * All hosts' addresses are asked for at once, so that loops can be cut
 * (mx.c) and the next server is known when one fails. A route is kept for
 * the shortest time to live of what it was made from, within bounds.
 */
#include <event2/event.h>
#include <stdlib.h>

#include "clock.h"
#include "delivery/dane.h"
#include "delivery/resolver.h"
#include "delivery/route.h"
#include "postern/err.h"

#define KEEP_MIN (5 * US_PER_SEC)
#define KEEP_MAX (300 * US_PER_SEC)

struct host_question {
	struct routing *r;
	size_t host;
	uint8_t family;
	struct question *q;
};

struct routing {
	struct carrier *c;
	route_cb *cb;
	void *ctx;
	struct route *route;
	struct question *mx;
	struct host_question hosts[PLAN_HOSTS_MAX * 2];
	size_t nhosts, waiting;
	struct dane_search *dane;
	struct event *now;		/* there is nothing to ask: the callback, in the next turn */
	bool ok;
};

void
route_unref(struct route **rp)
{
	struct route *r = *rp;

	*rp = NULL;
	if (r == NULL || --r->refs > 0)
		return;
	for (size_t i = 0; i < r->plan.nhosts; i++)
		free(r->tlsa[i]);
	free(r);
}

static void
routing_free(struct routing *r)
{
	if (r->now)
		event_free(r->now);
	route_unref(&r->route);
	free(r);
}

void
route_cancel(struct routing **rp)
{
	struct routing *r = *rp;

	*rp = NULL;
	if (r == NULL)
		return;
	resolver_cancel(&r->mx);
	dane_cancel(&r->dane);
	for (size_t i = 0; i < r->nhosts; i++)
		resolver_cancel(&r->hosts[i].q);
	routing_free(r);
}

static void
finished(struct routing *r)
{
	struct route *route = r->route;
	int64_t keep = (int64_t)route->plan.ttl * US_PER_SEC;

	if (route->plan.kind == PLAN_STATIC && keep < 60 * US_PER_SEC)
		keep = 60 * US_PER_SEC;
	keep = keep < KEEP_MIN ? KEEP_MIN : keep > KEEP_MAX ? KEEP_MAX : keep;
	route->expires = clock_mono() + keep;
	route->ok = r->ok && plan_finish(&route->plan, &r->c->world);
	r->route = NULL;
	r->cb(r->ctx, route);
	routing_free(r);
}

static void
dane_done(void *arg)
{
	struct routing *r = arg;

	r->dane = NULL;
	finished(r);
}

/* All addresses are known; now what the certificates must be. */
static void
addressed(struct routing *r)
{
	if ((r->dane = dane_find(r->c, r->route, dane_done, r)) == NULL)
		finished(r);
}

static void
now(evutil_socket_t fd, short what, void *arg)
{
	finished(arg);
}

static void
got_address(void *arg, const struct dns_answer *a)
{
	struct host_question *hq = arg;
	struct routing *r = hq->r;

	hq->q = NULL;
	plan_address(&r->route->plan, hq->host, hq->family, a);
	if (--r->waiting == 0)
		addressed(r);
}

/* Asks for what is not known yet; false when there was nothing to ask. */
static bool
ask_addresses(struct routing *r)
{
	struct plan *p = &r->route->plan;

	for (size_t i = 0; i < p->nhosts; i++) {
		struct plan_host *h = &p->hosts[i];

		for (int f = 0; f < 2 && !h->literal; f++) {
			struct host_question *hq;

			if (f ? r->c->world.no6 : r->c->world.no4)
				continue;
			if (!dns_name_ok(span_str(h->name))) {
				struct dns_answer none = { .status = DNS_NXDOMAIN };

				plan_address(p, i, f ? 6 : 4, &none);
				continue;
			}
			hq = &r->hosts[r->nhosts++];
			*hq = (struct host_question){ .r = r, .host = i, .family = f ? 6 : 4 };
			r->waiting++;
			hq->q = resolver_ask(r->c->resolver, h->name, f ? DNS_AAAA : DNS_A,
			    got_address, hq);
		}
	}
	return r->waiting > 0;
}

static void
got_mx(void *arg, const struct dns_answer *a)
{
	struct routing *r = arg;

	r->mx = NULL;
	r->ok = plan_mx(&r->route->plan, a, r->c->conf->delivery.port, &r->c->world);
	if (!r->ok || !ask_addresses(r))
		finished(r);
}

/* "relay.example.net:25", "[192.0.2.1]:25": a site that an operator made, one host. An address
 * literal ends in its bracket and a domain has no colon. */
static bool
next_hop(struct span site, struct conf_host *out)
{
	struct span rest = site.n && site.p[0] == '[' ? span_from(site, span_find(site, ']')) : site;
	struct err err;

	*out = (struct conf_host){ .port = 0 };
	if (span_find(rest, ':') == rest.n ||
	    hostport_parse(site, 25, &out->name, &out->port, &err) == -1)
		return false;
	(void)ip_parse(out->name, &out->ip);
	return true;
}

struct routing *
route_find(struct carrier *c, struct span domain, route_cb *cb, void *ctx)
{
	struct routing *r = calloc(1, sizeof(*r));
	const struct conf_host *hosts;
	struct conf_host hop;
	struct plan *p;
	size_t n;

	ASSERT(r != NULL);
	r->c = c;
	r->cb = cb;
	r->ctx = ctx;
	r->route = calloc(1, sizeof(*r->route));
	ASSERT(r->route != NULL);
	r->route->refs = 1;
	p = &r->route->plan;
	plan_init(p, domain);
	r->ok = true;
	if (next_hop(domain, &hop)) {
		plan_hosts(p, &hop, 1);
		if (ask_addresses(r))
			return r;
	} else if ((hosts = config_route(c->conf, domain, &n)) != NULL) {
		plan_hosts(p, hosts, n);
		if (ask_addresses(r))
			return r;
	} else if (domain.n && domain.p[0] == '[') {
		r->ok = plan_literal(p, c->conf->delivery.port) && p->nhosts > 0;
	} else if (!dns_name_ok(domain)) {
		struct dns_answer none = { .status = DNS_NXDOMAIN };

		r->ok = plan_mx(p, &none, c->conf->delivery.port, &c->world);
	} else {
		r->mx = resolver_ask(c->resolver, p->domain, DNS_MX, got_mx, r);
		return r;
	}
	r->now = event_new(c->base, -1, 0, now, r);
	ASSERT(r->now != NULL);
	event_active(r->now, EV_TIMEOUT, 0);
	return r;
}
