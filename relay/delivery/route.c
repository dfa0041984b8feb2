/* route.c -- where the mail of a domain goes; see route.h.
 *
 * All hosts' addresses are asked for at once, so that loops can be cut
 * (mx.c) and the next server is known when one fails. A route is kept for
 * the shortest time to live of what it was made from, within bounds.
 */
#include <event2/event.h>
#include <stdlib.h>

#include "clock.h"
#include "conf.h"
#include "delivery/dane.h"
#include "net/resolver.h"
#include "delivery/route.h"
#include "delivery/sts.h"
#include "delivery/tlsrpt.h"
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
	struct sts_search *sts;
	struct plan_world world;	/* the carrier's, as far as the route's own addresses go */
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
	sts_known_free(&r->sts);
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
	sts_cancel(&r->sts);
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
	route->ok = r->ok && plan_finish(&route->plan, &r->world);
	tlsrpt_route(r->c, route);
	r->route = NULL;
	r->cb(r->ctx, route);
	routing_free(r);
}

static void
sts_done(void *arg)
{
	struct routing *r = arg;

	r->sts = NULL;
	finished(r);
}

static void
dane_done(void *arg)
{
	struct routing *r = arg;

	r->dane = NULL;
	if ((r->sts = sts_find(r->c, r->route, sts_done, r)) == NULL)
		finished(r);
}

/* All addresses are known; now what the certificates must be: DANE first, then MTA-STS for what
 * DANE does not speak of (RFC 8461, 2). */
static void
addressed(struct routing *r)
{
	if (r->route->lax)
		finished(r);
	else if ((r->dane = dane_find(r->c, r->route, dane_done, r)) == NULL)
		dane_done(r);
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

			if (f ? r->world.no6 : r->world.no4)
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
	r->ok = plan_mx(&r->route->plan, a, r->c->conf->delivery.port, &r->world);
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

bool
way_is_hop(struct span site)
{
	struct conf_host hop;

	return next_hop(site, &hop);
}

/* ---- ways ---- */

#define WAY_SEPARATOR '\t'	/* in no domain */

struct span
way_key(struct arena *a, struct span domain, const struct conf_route *line, struct span hops)
{
	return span_str(hops.n ? arena_printf(a, SPAN_FMT "\t%u\t" SPAN_FMT, SPAN_ARG(domain),
	    line->index, SPAN_ARG(hops)) : arena_printf(a, SPAN_FMT "\t%u", SPAN_ARG(domain),
	    line->index));
}

struct way {
	struct span domain, hops;
	const struct conf_route *line;	/* NULL: by MX */
	bool lax;
};

static struct way
way_read(const struct config *conf, struct span whole)
{
	bool lax = whole.n && whole.p[0] == SITE_LAX;
	struct span key = span_from(whole, lax);
	struct way w = { .domain = span_sub(key, 0, span_find(key, WAY_SEPARATOR)), .lax = lax };
	struct route_question q = { .recipient = w.domain };
	struct span rest = span_from(key, w.domain.n + 1);
	struct span number = span_sub(rest, 0, span_find(rest, WAY_SEPARATOR));
	uint64_t index;

	w.hops = span_from(rest, number.n + 1);
	if (number.n == 0)
		w.line = config_route(conf, &q);
	else if (parse_uint(number, UINT32_MAX, &index) && index < conf->delivery.nlines)
		w.line = conf->delivery.lines[index];
	return w;
}

/* "relay1:25 relay2:25", as dispatch.c wrote them: equal among themselves. */
static size_t
read_hops(struct span text, struct conf_host *out)
{
	size_t n = 0;

	while (text.n && n < ROUTE_HOSTS_MAX) {
		struct span one = span_sub(text, 0, span_find(text, ' '));

		text = span_from(text, one.n + 1);
		if (!next_hop(one, &out[n]))
			continue;
		out[n++].weight = 1;
	}
	return n;
}

struct conf_pool
route_pool(const struct conf_delivery *d, const struct route *route)
{
	struct conf_pool p = route->by ? route->by->pool : (struct conf_pool){ 0 };

	if (p.nsources == 0) {
		p.sources = d->sources;
		p.nsources = d->nsources;
	}
	if (p.hello.n == 0)
		p.hello = d->hello;
	return p;
}

static void
know_families(struct routing *r)
{
	const struct conf_route *by = r->route->by;

	r->world = r->c->world;
	if (by == NULL || by->pool.nsources == 0)
		return;
	r->world.no4 = r->world.no6 = true;
	for (size_t i = 0; i < by->pool.nsources; i++) {
		r->world.no4 &= by->pool.sources[i].family != 4;
		r->world.no6 &= by->pool.sources[i].family != 6;
	}
}

struct routing *
route_find(struct carrier *c, struct span key, route_cb *cb, void *ctx)
{
	struct routing *r = calloc(1, sizeof(*r));
	struct way way = way_read(c->conf, key);
	struct conf_host named[ROUTE_HOSTS_MAX];
	struct span domain = way.domain;
	const struct conf_host *hosts = way.line ? way.line->hosts : NULL;
	size_t n = way.line ? way.line->nhosts : 0;
	struct plan *p;

	ASSERT(r != NULL);
	r->c = c;
	r->cb = cb;
	r->ctx = ctx;
	r->route = calloc(1, sizeof(*r->route));
	ASSERT(r->route != NULL);
	r->route->refs = 1;
	r->route->lax = way.lax;
	p = &r->route->plan;
	plan_init(p, domain);
	r->ok = true;
	if (way.hops.n) {
		n = read_hops(way.hops, named);
		hosts = named;
	} else if (next_hop(domain, named)) {
		way.line = NULL;
		hosts = named;
		n = 1;
	}
	r->route->by = way.line;
	know_families(r);
	if (n > 0) {
		plan_hosts(p, hosts, n);
		if (ask_addresses(r))
			return r;
	} else if (domain.n && domain.p[0] == '[') {
		r->ok = plan_literal(p, c->conf->delivery.port) && p->nhosts > 0;
	} else if (!dns_name_ok(domain)) {
		struct dns_answer none = { .status = DNS_NXDOMAIN };

		r->ok = plan_mx(p, &none, c->conf->delivery.port, &r->world);
	} else {
		r->mx = resolver_ask(c->resolver, p->domain, DNS_MX, got_mx, r);
		return r;
	}
	r->now = event_new(c->base, -1, 0, now, r);
	ASSERT(r->now != NULL);
	event_active(r->now, EV_TIMEOUT, 0);
	return r;
}
