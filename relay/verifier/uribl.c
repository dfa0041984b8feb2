/* uribl.c -- blocklists of the domains that links lead to; see uribl.h. */
#include "addr.h"
#include "postern/anatomy.h"
#include "postern/url.h"
#include "verifier/uribl.h"

#define HOSTS 400			/* looked at, to find URIBL_DOMAINS different domains */

struct uribl {
	size_t nlists, n;
	struct span domains[URIBL_DOMAINS];
	struct dnsbl *asked[URIBL_DOMAINS];
};

static bool
is_new(const struct uribl *u, struct span domain)
{
	for (size_t i = 0; i < u->n; i++)
		if (span_eq(u->domains[i], domain))
			return false;
	return true;
}

/* Lists of domains know an address the wrong way round, as lists of addresses do; "[2001:db8::1]". */
static struct dnsbl *
ask(struct arena *a, struct dns_book *book, const struct dnsbl_list *lists, size_t n,
    struct span host)
{
	struct ip ip;

	if (!host_is_address(host))
		return dnsbl_new_domain(a, book, lists, n, host);
	if (host.n > 2 && host.p[0] == '[')
		host = span_sub(host, 1, host.n - 2);
	return ip_parse(host, &ip) ? dnsbl_new(a, book, lists, n, ip) : NULL;
}

struct uribl *
uribl_new(struct arena *a, struct dns_book *book, const struct dnsbl_list *lists, size_t n,
    struct span raw, bool (*ours)(void *ctx, struct span domain), void *ctx)
{
	/* A megabyte of text, and what is packed stays packed: the scanner looks into that. */
	static const struct anatomy_limits limits = { .parts = 200, .depth = 8, .decoded = 4u << 20,
		.entries = 1, .unpack = 1, .text = 1u << 20, .passwords = 1, .urls = HOSTS,
		.key_blocks = 1 };
	struct uribl *u = arena_zalloc(a, sizeof(*u));
	struct url_host *hosts;
	struct anatomy an;
	size_t count, most = n ? URIBL_QUESTIONS / n : 0;
	bool cut;

	u->nlists = n;
	anatomy_build(a, raw, &limits, &an);
	count = anatomy_hosts(&an, a, HOSTS, &hosts, &cut);
	for (size_t i = 0; i < count && u->n < most && u->n < URIBL_DOMAINS; i++) {
		struct span domain = hosts[i].domain;
		struct dnsbl *d;

		if (!is_new(u, domain) || ours(ctx, domain) ||
		    (d = ask(a, book, lists, n, domain)) == NULL)
			continue;
		u->domains[u->n] = domain;
		u->asked[u->n++] = d;
	}
	return u;
}

bool
uribl_step(struct uribl *u)
{
	bool all = true;

	for (size_t i = 0; i < u->n; i++)
		all &= dnsbl_step(u->asked[i]);
	return all;
}

void
uribl_abort(struct uribl *u)
{
	for (size_t i = 0; i < u->n; i++)
		dnsbl_abort(u->asked[i]);
}

void
uribl_facts(const struct uribl *u, struct arena *a, struct facts *f)
{
	struct span *v = arena_array(a, u->n, sizeof(*v));

	f->listed_known = u->n == 0;
	f->nlisted_hosts = 0;
	for (size_t i = 0; i < u->n; i++) {
		const struct dnsbl_result *r = dnsbl_result(u->asked[i]);

		f->listed_known |= (size_t)__builtin_popcount(r->unknown) < u->nlists;
		if (r->blocked && !r->allowed)
			v[f->nlisted_hosts++] = arena_span(a, u->domains[i]);
	}
	f->listed_hosts = v;
}
