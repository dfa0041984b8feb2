/* probe_client.c -- the command `probe`; see probe_client.h.
 *
 * The administrator of the machine may look anywhere. Whoever signed in to the console may not make of this
 * machine a scanner of its networks: an operator looks at the ports of mail servers and at next
 * hops of postern.yaml, a domain's administrator at the next hops of his domains.
 */
#include <string.h>

#include "addr.h"
#include "delivery/asked_client.h"
#include "delivery/probe.h"
#include "delivery/probe_client.h"


static unsigned probes;

static void
over(void *ctx, const struct probe *p)
{
	struct reply *r = ctx;
	struct json j = client_line(r);

	probe_write(p, &j);
	client_line_end(r, &j);
	reply_end(&r);
	probes--;
}

static bool
leads_to(const struct conf_route *r, struct span host, struct ip ip, uint16_t port)
{
	for (size_t i = 0; r && i < r->nhosts; i++)
		if (r->hosts[i].port == port && (ip.family ? ip_eq(r->hosts[i].ip, ip) :
		    span_eq_nocase(r->hosts[i].name, host)))
			return true;
	return false;
}

static bool
may(const struct client_request *q, struct span host, struct ip ip, uint16_t port)
{
	const struct config *c = q->rt->conf;
	bool operator = principal_is(&q->who, PRINCIPAL_BIT(OPERATOR));

	if (q->who.local || (operator && (port == 25 || port == 587)))
		return true;
	for (size_t i = 0; i < c->ndomains; i++)
		if ((operator || principal_sees_domain(&q->who, c->domains[i].name)) &&
		    leads_to(c->domains[i].deliver_to, host, ip, port))
			return true;
	for (size_t i = 0; operator && i < c->delivery.nlines; i++)
		if (leads_to(c->delivery.lines[i], host, ip, port))
			return true;
	return false;
}

static void
ask(struct client_request *q, struct carrier *c)
{
	const struct conf_delivery *d = &q->rt->conf->delivery;
	struct probe_setup s = { .base = q->rt->base, .resolver = c->resolver, .tls = c->tls, .hello = d->hello,
		.sources = d->sources, .nsources = d->nsources };
	int64_t port = jval_int(q->v, "port", 25);
	struct span text = jval_text(q->v, "host");
	struct ip ip = { 0 };

	if (!principal_is(&q->who, PRINCIPAL_BIT(OPERATOR) | PRINCIPAL_BIT(DOMAIN_ADMIN))) {
		client_error_coded(q, "forbidden", "not allowed");
		return;
	}
	if (ip_parse(text, &ip))
		s.host = text;
	else if (!domain_normalise(q->arena, text, &s.host) || !dns_name_ok(s.host)) {
		client_error_coded(q, "invalid", "host: neither a host name nor an address");
		return;
	}
	if (port < 1 || port > 65535) {
		client_error_coded(q, "invalid", "port: 1 to 65535");
		return;
	}
	s.port = (uint16_t)port;
	if (!may(q, s.host, ip, s.port)) {
		client_error_coded(q, "not-found", "that is no next hop of your domains (operators: nor port 25 or 587)");
		return;
	}
	if (probes >= PROBES_MAX) {
		client_error_coded(q, "busy", "too many probes at once: in a moment again");
		return;
	}
	probes++;
	probe_start(&s, over, client_take(q));
}

void
probe_client(struct runtime *rt, struct carrier *c, int fd, uint32_t uid, struct span request)
{
	struct client_request q;

	if (!client_begin(&q, rt, fd, uid, request))
		return;
	ask(&q, c);
	client_over(&q);
}
