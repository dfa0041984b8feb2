/* dane.c -- the TLSA records of the mail servers of a route (RFC 7672).
 *
 * Asked for only where everything on the way to the host is proved by DNSSEC:
 * its name (the MX records, or postern.yaml) and its addresses. Name servers
 * of unsigned zones are known to choke on the question, and an unproved
 * answer would be worth nothing.
 *
 *	addresses proved:	TLSA at the end of the CNAMEs, then at the name itself
 *	addresses not proved:	only where the first CNAME itself is: TLSA at the name
 *
 * An answer that does not come, or is forged, bars the host: to go on without
 * it is what an attacker would want.
 */
#include <stdio.h>
#include <stdlib.h>

#include "delivery/dane.h"
#include "net/resolver.h"
#include "postern/err.h"

struct host_dane {
	struct dane_search *search;
	size_t host;
	struct question *q;
	const char *names[2];		/* still to be asked, the last one first */
	size_t nnames;
};

struct dane_search {
	struct carrier *c;
	struct route *route;
	void (*done)(void *ctx);
	void *ctx;
	size_t waiting;
	struct host_dane hosts[PLAN_HOSTS_MAX];
};

static bool
usable(struct span d)
{
	static const size_t sizes[] = { 0, 32, 64 };
	unsigned char usage, selector, matching;

	if (d.n < 4)
		return false;
	usage = (unsigned char)d.p[0];
	selector = (unsigned char)d.p[1];
	matching = (unsigned char)d.p[2];
	return (usage == 2 || usage == 3) && selector <= 1 && matching <= 2 &&
	    (matching == 0 || d.n - 3 == sizes[matching]);
}

enum dane_state
dane_judge(const struct dns_answer *a)
{
	switch (a->status) {
	case DNS_OK:
		break;
	case DNS_NODATA:
	case DNS_NXDOMAIN:
		return DANE_NONE;
	default:
		return DANE_FAILED;
	}
	if (!a->secure)
		return DANE_NONE;
	for (size_t i = 0; i < a->n; i++)
		if (usable(dns_data(a, &a->records[i])))
			return DANE_USABLE;
	return DANE_UNUSABLE;
}

static void
host_done(struct host_dane *hd)
{
	struct dane_search *s = hd->search;

	if (--s->waiting > 0)
		return;
	s->done(s->ctx);
	free(s);
}

static void got_tlsa(void *arg, const struct dns_answer *a);

/* The next name; false when there is none left. */
static bool
ask(struct host_dane *hd)
{
	struct dane_search *s = hd->search;
	char name[DNS_NAME_MAX + 16];

	while (hd->nnames) {
		const char *base = hd->names[--hd->nnames];

		snprintf(name, sizeof(name), "_%u._tcp.%s", s->route->plan.hosts[hd->host].port, base);
		if (!dns_name_ok(span_str(name)))
			continue;
		snprintf(s->route->tlsa_base[hd->host], DNS_NAME_MAX, "%s", base);
		hd->q = resolver_ask(s->c->resolver, name, DNS_TLSA, got_tlsa, hd);
		return true;
	}
	return false;
}

static void
got_tlsa(void *arg, const struct dns_answer *a)
{
	struct host_dane *hd = arg;
	struct route *route = hd->search->route;
	struct plan_host *h = &route->plan.hosts[hd->host];

	hd->q = NULL;
	h->dane = dane_judge(a);
	h->dane_status = a->status;
	if (h->dane != DANE_FAILED && a->ttl < route->plan.ttl)
		route->plan.ttl = a->ttl;
	if (h->dane == DANE_NONE && ask(hd))
		return;
	if (h->dane == DANE_USABLE) {
		struct dns_answer *copy = malloc(sizeof(*copy));

		ASSERT(copy != NULL);
		*copy = *a;
		route->tlsa[hd->host] = copy;
	}
	host_done(hd);
}

static void
got_cname(void *arg, const struct dns_answer *a)
{
	struct host_dane *hd = arg;
	struct plan_host *h = &hd->search->route->plan.hosts[hd->host];

	hd->q = NULL;
	if (a->status == DNS_OK && a->secure) {
		hd->names[hd->nnames++] = h->name;
		if (ask(hd))
			return;
	} else if (a->status >= DNS_SERVFAIL) {
		h->dane = DANE_FAILED;
		h->dane_status = a->status;
	}
	host_done(hd);
}

static void
begin(struct dane_search *s, size_t i)
{
	struct host_dane *hd = &s->hosts[i];
	struct plan_host *h = &s->route->plan.hosts[i];

	*hd = (struct host_dane){ .search = s, .host = i };
	if (h->literal || h->naddrs == 0 || (h->insecure && h->canonical[0] == '\0'))
		return;
	if (h->insecure) {
		s->waiting++;
		hd->q = resolver_ask(s->c->resolver, h->name, DNS_CNAME, got_cname, hd);
		return;
	}
	hd->names[hd->nnames++] = h->name;
	if (h->canonical[0])
		hd->names[hd->nnames++] = h->canonical;
	if (ask(hd))
		s->waiting++;
}

struct dane_search *
dane_find(struct carrier *c, struct route *route, void (*done)(void *ctx), void *ctx)
{
	struct dane_search *s;

	if (!c->conf->delivery.dane || !route->plan.secure)
		return NULL;
	s = calloc(1, sizeof(*s));
	ASSERT(s != NULL);
	*s = (struct dane_search){ .c = c, .route = route, .done = done, .ctx = ctx };
	for (size_t i = 0; i < route->plan.nhosts; i++)
		begin(s, i);
	if (s->waiting == 0) {
		free(s);
		return NULL;
	}
	return s;
}

void
dane_cancel(struct dane_search **sp)
{
	struct dane_search *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->route->plan.nhosts; i++)
		resolver_cancel(&s->hosts[i].q);
	free(s);
}
