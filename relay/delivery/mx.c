/* mx.c -- from DNS answers to the servers to try, in order; see mx.h. */
#include <stdarg.h>
#include <stdio.h>

#include "delivery/mx.h"
#include "postern/err.h"

static bool __attribute__((format(printf, 4, 5)))
nowhere(struct plan *p, enum rcpt_status status, const char *dsn, const char *fmt, ...)
{
	va_list ap;

	p->status = status;
	snprintf(p->dsn, sizeof(p->dsn), "%s", dsn);
	va_start(ap, fmt);
	vsnprintf(p->text, sizeof(p->text), fmt, ap);
	va_end(ap);
	p->ntargets = 0;
	return false;
}

/* DNS said no, for now or for good. */
static bool
no_name(struct plan *p, const char *name, const char *type, enum dns_status s)
{
	bool permanent = s == DNS_NXDOMAIN || s == DNS_NODATA;

	return nowhere(p, permanent ? RCPT_FAILED : RCPT_DEFERRED,
	    s == DNS_NXDOMAIN ? "5.1.2" : s == DNS_NODATA ? "5.4.4" : "4.4.3",
	    "Host or domain name not found. Name service error for name=%s type=%s: %s",
	    name, type, dns_status_text(s));
}

void
plan_init(struct plan *p, struct span domain)
{
	size_t n = domain.n < sizeof(p->domain) ? domain.n : sizeof(p->domain) - 1;

	p->nhosts = p->ntargets = 0;
	p->ttl = UINT32_MAX;
	p->kind = PLAN_STATIC;
	p->secure = true;
	p->text[0] = p->dsn[0] = '\0';
	if (n)
		memcpy(p->domain, domain.p, n);
	p->domain[n] = '\0';
}

static struct plan_host *
add_host(struct plan *p, uint16_t pref, struct span name, uint16_t port)
{
	struct plan_host *h;

	if (p->nhosts == PLAN_HOSTS_MAX)
		return NULL;
	h = &p->hosts[p->nhosts++];
	*h = (struct plan_host){ .pref = pref, .port = port };
	if (name.n >= sizeof(h->name))
		name.n = sizeof(h->name) - 1;
	memcpy(h->name, name.p, name.n);
	return h;
}

static void
add_literal(struct plan *p, uint16_t pref, struct span name, struct ip ip, uint16_t port)
{
	struct plan_host *h = add_host(p, pref, name, port);

	if (h == NULL)
		return;
	h->literal = true;
	h->addrs[0] = ip;
	h->naddrs = 1;
	h->asked[0] = h->asked[1] = true;
}

bool
plan_literal(struct plan *p, uint16_t port)
{
	struct span s = span_str(p->domain);
	struct ip ip;

	if (s.n < 3 || s.p[0] != '[' || s.p[s.n - 1] != ']')
		return false;
	s = span_sub(s, 1, s.n - 2);
	if (span_starts_nocase(s, SPAN_LIT("IPv6:")))
		s = span_from(s, 5);
	if (!ip_parse(s, &ip))
		return nowhere(p, RCPT_FAILED, "5.1.2", "%s is no address literal", p->domain);
	add_literal(p, 0, s, ip, port);
	return true;
}

void
plan_hosts(struct plan *p, const struct conf_host *hosts, size_t n)
{
	for (size_t i = 0; i < n && i < PLAN_HOSTS_MAX; i++) {
		if (hosts[i].ip.family)
			add_literal(p, hosts[i].rank, hosts[i].name, hosts[i].ip, hosts[i].port);
		else
			add_host(p, hosts[i].rank, hosts[i].name, hosts[i].port);
		p->hosts[i].weight = hosts[i].weight;
	}
}

/* Insertion by preference; within one preference the order they came in, shuffled before. */
static void
sort_records(struct dns_record *r, size_t n, const struct plan_world *w)
{
	for (size_t i = n; i > 1; i--) {
		size_t j = w->random(w->random_ctx) % i;
		struct dns_record t = r[i - 1];

		r[i - 1] = r[j];
		r[j] = t;
	}
	for (size_t i = 1; i < n; i++) {
		struct dns_record t = r[i];
		size_t j = i;

		for (; j > 0 && r[j - 1].pref > t.pref; j--)
			r[j] = r[j - 1];
		r[j] = t;
	}
}

static void
keep_ttl(struct plan *p, const struct dns_answer *a)
{
	if (a->ttl < p->ttl)
		p->ttl = a->ttl;
}

size_t
plan_names(const struct plan *p, size_t host, struct span names[PLAN_NAMES_MAX])
{
	struct span name = span_str(p->hosts[host].name), domain = span_str(p->domain);
	bool within = name.n > domain.n && span_ends_nocase(name, domain) &&
	    name.p[name.n - domain.n - 1] == '.';
	size_t n = 0;

	if (p->hosts[host].sts == STS_ENFORCED) {
		names[0] = name;
		return 1;
	}
	if (p->secure || within || p->hosts[host].literal)
		names[n++] = name;
	if (domain.n && domain.p[0] != '[')
		names[n++] = domain;
	return n;
}

static bool
is_own_name(const struct plan_world *w, struct span name)
{
	if (span_eq_nocase(name, w->name))
		return true;
	for (size_t i = 0; i < w->nnames; i++)
		if (span_eq_nocase(name, w->names[i]))
			return true;
	return false;
}

bool
plan_mx(struct plan *p, const struct dns_answer *a, uint16_t port, const struct plan_world *w)
{
	struct dns_record r[DNS_RECORDS_MAX];
	size_t n = 0;
	bool null = false;

	keep_ttl(p, a);
	p->secure = a->secure;
	if (a->status == DNS_NODATA) {
		p->kind = PLAN_IMPLICIT;	/* the domain is its own mail exchanger */
		add_host(p, 0, span_str(p->domain), port);
		return true;
	}
	if (a->status != DNS_OK)
		return no_name(p, p->domain, "MX", a->status);
	p->kind = PLAN_MX;
	for (size_t i = 0; i < a->n; i++) {
		if (a->records[i].name[0])
			r[n++] = a->records[i];
		else
			null = true;
	}
	if (n == 0 && null)
		return nowhere(p, RCPT_FAILED, "5.1.10", "Domain %s does not accept mail (nullMX)",
		    p->domain);
	if (n == 0)
		return nowhere(p, RCPT_FAILED, "5.4.4", "No MX of %s is a host name", p->domain);
	sort_records(r, n, w);
	for (size_t i = 0; i < n; i++) {
		if (is_own_name(w, span_str(r[i].name))) {
			/* RFC 5321, 5.1: ourselves, and all that are no better, are out. */
			while (p->nhosts && p->hosts[p->nhosts - 1].pref >= r[i].pref)
				p->nhosts--;
			break;
		}
		add_host(p, r[i].pref, span_str(r[i].name), port);
	}
	if (p->nhosts == 0)
		return nowhere(p, RCPT_FAILED, "5.4.6", "mail for %s loops back to myself",
		    p->domain);
	return true;
}

void
plan_address(struct plan *p, size_t i, uint8_t family, const struct dns_answer *a)
{
	struct plan_host *h = &p->hosts[i];
	int f = family == 6;

	ASSERT(i < p->nhosts && !h->literal);
	h->asked[f] = true;
	h->status[f] = a->status;
	if (a->status == DNS_OK || a->status == DNS_NODATA || a->status == DNS_NXDOMAIN)
		keep_ttl(p, a);
	if (a->status != DNS_OK)
		return;
	h->insecure |= !a->secure;
	if (strcmp(a->canonical, h->name) != 0)
		memcpy(h->canonical, a->canonical, sizeof(h->canonical));
	for (size_t k = 0; k < a->n; k++) {
		/* half of the room for each family */
		size_t have = 0;

		for (size_t j = 0; j < h->naddrs; j++)
			have += (h->addrs[j].family == 6) == f;
		if (have < PLAN_ADDRS_MAX / 2 && h->naddrs < PLAN_ADDRS_MAX)
			h->addrs[h->naddrs++] = a->records[k].ip;
	}
}

static bool
is_own(const struct plan_world *w, struct ip ip, uint16_t port)
{
	for (size_t i = 0; i < w->nown; i++)
		if (w->own[i].port == port && ip_eq(w->own[i].ip, ip))
			return true;
	return false;
}

/* IPv6 and IPv4 in turn, each family from a random place on. */
static void
add_targets(struct plan *p, size_t index, const struct plan_world *w)
{
	const struct plan_host *h = &p->hosts[index];
	struct ip by[2][PLAN_ADDRS_MAX];
	size_t n[2] = { 0, 0 }, start[2];

	for (size_t i = 0; i < h->naddrs; i++) {
		int f = h->addrs[i].family == 6;

		if (!(f ? w->no6 : w->no4))
			by[f][n[f]++] = h->addrs[i];
	}
	for (int f = 0; f < 2; f++)
		start[f] = n[f] > 1 ? w->random(w->random_ctx) % n[f] : 0;
	for (size_t i = 0; i < n[0] || i < n[1]; i++)
		for (int f = 1; f >= 0; f--)
			if (i < n[f] && p->ntargets < PLAN_TARGETS_MAX)
				p->targets[p->ntargets++] = (struct target){
					.ip = by[f][(start[f] + i) % n[f]], .port = h->port,
					.pref = h->pref, .host = (uint16_t)index };
}

/* No address at all: what was the most hopeful of the answers? */
static bool
no_address(struct plan *p)
{
	const struct plan_host *worst = NULL;
	bool any = false;
	int at = 0;

	for (size_t i = 0; i < p->nhosts; i++)
		if (p->hosts[i].sts == STS_BARRED && p->hosts[i].naddrs)
			return nowhere(p, RCPT_DEFERRED, "4.7.5", "the MTA-STS policy of %s does not list its "
			    "mail server %s", p->domain, p->hosts[i].name);

	for (size_t i = 0; i < p->nhosts; i++) {
		const struct plan_host *h = &p->hosts[i];

		if (h->dane == DANE_FAILED)
			return nowhere(p, RCPT_DEFERRED, "4.7.5", "TLSA look-up of %s: %s", h->name,
			    dns_status_text(h->dane_status));
		any |= h->naddrs > 0;
		for (int f = 0; f < 2; f++) {
			if (h->literal || !h->asked[f])
				continue;
			if (worst == NULL || h->status[f] > worst->status[at]) {
				worst = h;
				at = f;
			}
		}
	}
	if (any)
		return nowhere(p, RCPT_DEFERRED, "4.4.1",
		    "no address of %s is of a family this server has a source address for", p->domain);
	ASSERT(worst != NULL);
	if (p->kind == PLAN_STATIC) {
		/* A next hop written down by hand is a matter for its author, not the sender. */
		no_name(p, worst->name, at ? "AAAA" : "A", worst->status[at]);
		p->status = RCPT_DEFERRED;
		snprintf(p->dsn, sizeof(p->dsn), "4.4.3");
		return false;
	}
	no_name(p, worst->name, at ? "AAAA" : "A", worst->status[at]);
	if (p->status == RCPT_FAILED)
		snprintf(p->dsn, sizeof(p->dsn), "%s",
		    p->kind == PLAN_IMPLICIT && worst->status[at] == DNS_NXDOMAIN ? "5.1.2" : "5.4.4");
	return false;
}

static bool
is_ourselves(const struct plan *p, size_t host, const struct plan_world *w)
{
	const struct plan_host *h = &p->hosts[host];

	for (size_t k = 0; k < h->naddrs; k++)
		if (is_own(w, h->addrs[k], h->port))
			return true;
	return false;
}

/* The targets of the hosts from `from` on that share its rank, drawn by weight without putting
 * back; the addresses of one host stay together. */
static size_t
draw(const struct plan *p, size_t from, const struct plan_world *w, uint16_t *order)
{
	uint16_t hosts[PLAN_HOSTS_MAX];
	size_t end = from, n = 0, out = from;
	uint64_t total = 0;

	for (; end < p->ntargets && p->targets[end].pref == p->targets[from].pref; end++)
		if (end == from || p->targets[end].host != p->targets[end - 1].host) {
			hosts[n++] = p->targets[end].host;
			total += p->hosts[p->targets[end].host].weight;
		}
	while (n > 0) {
		uint64_t at = total ? w->random(w->random_ctx) % total : 0;
		size_t i = 0;

		while (i < n - 1 && at >= p->hosts[hosts[i]].weight)
			at -= p->hosts[hosts[i++]].weight;
		for (size_t t = from; t < end; t++)
			if (p->targets[t].host == hosts[i])
				order[out++] = (uint16_t)t;
		total -= p->hosts[hosts[i]].weight;
		hosts[i] = hosts[--n];
	}
	return end;
}

void
plan_order(const struct plan *p, const struct plan_world *w, uint16_t *order)
{
	for (size_t i = 0; i < p->ntargets; ) {
		if (p->hosts[p->targets[i].host].weight > 0) {
			i = draw(p, i, w, order);
		} else {
			order[i] = (uint16_t)i;
			i++;
		}
	}
}

bool
plan_finish(struct plan *p, const struct plan_world *w)
{
	uint32_t own = UINT32_MAX;	/* best preference that leads to ourselves */
	bool looped = false;

	p->ntargets = 0;
	if (p->ttl == UINT32_MAX)
		p->ttl = 0;
	for (size_t i = 0; i < p->nhosts; i++) {
		const struct plan_host *h = &p->hosts[i];

		for (size_t k = 0; k < h->naddrs; k++)
			if (is_own(w, h->addrs[k], h->port) && h->pref < own)
				own = h->pref;
	}
	for (size_t i = 0; i < p->nhosts; i++) {
		/* The preference of an MX says who is closer to the mailbox; the rank of a next hop
		 * only who is tried first. */
		if (p->kind == PLAN_STATIC ? is_ourselves(p, i, w) : p->hosts[i].pref >= own)
			looped = true;
		else if (p->hosts[i].dane != DANE_FAILED && p->hosts[i].sts != STS_BARRED)
			add_targets(p, i, w);
	}
	if (p->sts_unknown)
		return nowhere(p, RCPT_DEFERRED, "4.7.5", "whether %s has an MTA-STS policy cannot be "
		    "found out: this relay's fetcher does not answer", p->domain);
	if (p->ntargets)
		return true;
	if (looped)
		return nowhere(p, RCPT_FAILED, "5.4.6", "mail for %s loops back to myself",
		    p->domain);
	return no_address(p);
}
