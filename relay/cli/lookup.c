/* lookup.c -- one DNS question after the other; see lookup.h. */
#include <event2/event.h>
#include <stdlib.h>

#include "cli/lookup.h"
#include "delivery/resolver.h"
#include "postern/arena.h"

#define SERVERS_MAX 8

struct lookup {
	struct event_base *base;
	struct resolver *resolver;
	struct arena *arena;
	bool answered;
	struct dns_answer answer;
};

struct lookup *
lookup_new(const struct config *conf, struct err *err)
{
	struct lookup *l = calloc(1, sizeof(*l));
	struct conf_host servers[SERVERS_MAX];
	const struct conf_host *use = conf->dns;
	struct span anchors = SPAN_LIT("");
	size_t n = conf->ndns;

	ASSERT(l != NULL);
	l->arena = arena_new(0);
	l->base = event_base_new();
	ASSERT(l->base != NULL);
	if (n == 0) {
		n = resolver_system_servers(servers, SERVERS_MAX, l->arena);
		use = servers;
	}
	if ((conf->dnssec && resolver_anchors(conf->trust_anchor, l->arena, &anchors, err) == -1) ||
	    (l->resolver = resolver_new(l->base, use, n, anchors, err)) == NULL)
		lookup_free(&l);
	return l;
}

void
lookup_free(struct lookup **lp)
{
	struct lookup *l = *lp;

	*lp = NULL;
	if (l == NULL)
		return;
	if (l->resolver)
		resolver_free(&l->resolver);
	event_base_free(l->base);
	arena_free(&l->arena);
	free(l);
}

static void
heard(void *ctx, const struct dns_answer *a)
{
	struct lookup *l = ctx;

	l->answer = *a;
	l->answered = true;
}

const struct dns_answer *
lookup_ask(struct lookup *l, const char *name, uint16_t type)
{
	l->answer = (struct dns_answer){ .status = DNS_NXDOMAIN };
	if (!dns_name_ok(span_str(name)))
		return &l->answer;
	l->answered = false;
	resolver_ask(l->resolver, name, type, heard, l);
	while (!l->answered)
		event_base_loop(l->base, EVLOOP_ONCE);
	return &l->answer;
}

char *
lookup_reverse(struct arena *a, struct ip ip)
{
	char out[80];
	size_t n = 0;

	if (ip.family == 4)
		return arena_printf(a, "%u.%u.%u.%u.in-addr.arpa", ip.b[3], ip.b[2], ip.b[1], ip.b[0]);
	for (int i = 15; i >= 0; i--) {
		static const char hex[] = "0123456789abcdef";

		out[n++] = hex[ip.b[i] & 15];
		out[n++] = '.';
		out[n++] = hex[ip.b[i] >> 4];
		out[n++] = '.';
	}
	out[n] = '\0';
	return arena_printf(a, "%sip6.arpa", out);
}
