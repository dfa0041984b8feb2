/* lookup.c -- one DNS question after the other; see lookup.h. */
#include <event2/event.h>
#include <stdlib.h>

#include "cli/lookup.h"
#include "net/resolver.h"
#include "fetcher/https.h"
#include "fetcher/sts_policy.h"
#include "postern/arena.h"
#include "verifier/dns_question.h"

#define SERVERS_MAX 8

struct lookup {
	struct event_base *base;
	struct resolver *resolver;
	struct arena *arena;
	bool answered;
	struct dns_answer answer;
	struct x509_store_st *roots;		/* read once */
};

struct page {
	struct arena *a;
	bool done;
	struct https_answer answer;
};

struct lookup *
lookup_by(const struct config *conf, const struct conf_host *servers, size_t n, struct err *err)
{
	struct lookup *l = calloc(1, sizeof(*l));
	struct span anchors = SPAN_LIT("");

	ASSERT(l != NULL);
	l->arena = arena_new(0);
	l->base = event_base_new();
	ASSERT(l->base != NULL);
	if ((conf->dnssec && resolver_anchors(conf->trust_anchor, l->arena, &anchors, err) == -1) ||
	    (l->resolver = resolver_new(l->base, servers, n, anchors, err)) == NULL)
		lookup_free(&l);
	return l;
}

struct lookup *
lookup_new(const struct config *conf, struct err *err)
{
	struct conf_host servers[SERVERS_MAX];
	struct arena *a = arena_new(0);
	struct lookup *l;
	size_t n;

	if (conf->ndns)
		l = lookup_by(conf, conf->dns, conf->ndns, err);
	else {
		n = resolver_system_servers(servers, SERVERS_MAX, a);
		l = lookup_by(conf, servers, n, err);
	}
	arena_free(&a);
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
	if (!dns_question_ok(span_str(name)))
		return &l->answer;
	l->answered = false;
	resolver_ask(l->resolver, name, type, heard, l);
	while (!l->answered)
		event_base_loop(l->base, EVLOOP_ONCE);
	return &l->answer;
}

static void
fetched(void *ctx, const struct https_answer *a)
{
	struct page *p = ctx;

	p->answer = *a;
	p->answer.body = arena_span(p->a, a->body);
	p->answer.type = arena_span(p->a, a->type);
	p->answer.why = arena_str(p->a, span_str(a->why));
	p->done = true;
}

bool
lookup_https(struct lookup *l, const char *roots, const char *url, int64_t timeout,
    struct arena *a, struct span *body, const char **why)
{
	struct https_world w = { l->base, l->resolver, l->roots };
	struct https_question q = { .url = url, .max = STS_BODY_MAX, .timeout = timeout };
	struct page p = { .a = a };
	struct err err;

	if (l->roots == NULL) {
		if (https_global(roots, &l->roots, &err) == -1) {
			*why = arena_str(a, span_str(err.text));
			return false;
		}
		w.roots = l->roots;
	}
	https_start(&w, &q, fetched, &p);
	while (!p.done)
		event_base_loop(l->base, EVLOOP_ONCE);
	*body = p.answer.body;
	*why = p.answer.end != HTTPS_ANSWERED ? p.answer.why :
	    p.answer.status != 200 ? arena_printf(a, "HTTP status %d", p.answer.status) :
	    !span_starts_nocase(p.answer.type, SPAN_LIT("text/plain")) ?
	    "its media type is not text/plain" : NULL;
	return *why == NULL;
}
