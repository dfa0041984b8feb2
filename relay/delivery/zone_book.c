/* zone_book.c -- what the DNS says of our domains; see zone_book.h. */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "delivery/asked_client.h"
#include "delivery/sts.h"
#include "delivery/zone_book.h"
#include "delivery/zone_keys.h"
#include "net/resolver.h"
#include "verifier/dns_question.h"

struct zone_books {
	struct runtime *rt;
	struct carrier *carrier;
	struct arena *arena;
	const struct conf_host *servers;
	size_t nservers;
	struct span anchors;
	const char *certificate;
	struct zone_keys *keys;
	size_t nchecks;
};

struct entry {
	struct entry *next;
	struct book *book;
	const char *name;
	uint16_t type;
	struct question *q;		/* NULL: answered */
	struct dns_answer *answer;
};

/* What one resolver has said. */
struct book {
	struct check *check;
	struct resolver *resolver;
	struct entry *entries;
	size_t n;
};

struct check {
	struct zone_books *b;
	struct reply *reply;
	struct arena *arena;		/* answers */
	struct arena *round;		/* what the table makes of them, each time anew */
	struct span name;
	const struct conf_domain *domain;
	struct book books[1 + ZONE_VIEWS_MAX];
	const char *resolvers[ZONE_VIEWS_MAX];
	size_t nbooks, open;		/* open: questions on their way */
	unsigned rounds;
	struct event *next, *deadline;
	bool late;
	/* The policy of MTA-STS, by way of the fetcher. */
	struct route route;
	struct sts_search *search;
	enum { STS_UNASKED, STS_ASKED, STS_TOLD } sts;
};

struct zone_books *
zone_books_new(const struct config *c, struct span anchors)
{
	struct zone_books *b = calloc(1, sizeof(*b));

	ASSERT(b != NULL);
	b->arena = arena_new(0);
	b->anchors = anchors;
	b->keys = zone_keys_new();
	if (c->tls_certificate)
		b->certificate = zone_certificate(b->arena, c->tls_certificate);
	return b;
}

void
zone_books_begin(struct zone_books *b, struct runtime *rt, struct carrier *c, const struct conf_host *servers,
    size_t n)
{
	b->rt = rt;
	b->carrier = c;
	b->servers = servers;
	b->nservers = n;
}

void
zone_books_peer(struct zone_books *b, struct link *signer, bool up)
{
	zone_keys_peer(b->keys, signer, up);
}

int
zone_books_key(struct zone_books *b, struct link *signer, struct frame *f)
{
	return zone_keys_heard(b->keys, signer, f);
}

/* ---- the book ---- */

static void
go_on(struct check *k)
{
	event_active(k->next, EV_TIMEOUT, 0);
}

static void
heard(void *ctx, const struct dns_answer *a)
{
	struct entry *e = ctx;
	struct check *k = e->book->check;

	e->q = NULL;
	e->answer = arena_alloc(k->arena, sizeof(*e->answer));
	*e->answer = *a;
	if (--k->open == 0)
		go_on(k);
}

static const struct dns_answer *
ask(void *ctx, const char *name, uint16_t type)
{
	static const struct dns_answer late = { .status = DNS_TIMEOUT }, none = { .status = DNS_NXDOMAIN };
	struct book *bk = ctx;
	struct check *k = bk->check;
	struct entry *e;

	if (!dns_question_ok(span_str(name)))
		return &none;
	for (e = bk->entries; e; e = e->next)
		if (e->type == type && strcmp(e->name, name) == 0)
			return e->answer ? e->answer : k->late ? &late : NULL;
	if (k->late || bk->n >= ZONE_QUESTIONS_MAX)
		return &late;
	e = arena_alloc(k->arena, sizeof(*e));
	*e = (struct entry){ .next = bk->entries, .book = bk, .type = type,
		.name = arena_str(k->arena, span_str(name)) };
	bk->entries = e;
	bk->n++;
	k->open++;
	e->q = resolver_ask(bk->resolver, e->name, type, heard, e);
	return NULL;
}

/* ---- the policy of MTA-STS ---- */

static void
policy_heard(void *ctx)
{
	struct check *k = ctx;

	k->search = NULL;
	k->sts = STS_TOLD;
	if (--k->open == 0)
		go_on(k);
}

static bool
policy_asked(struct check *k)
{
	struct plan *p = &k->route.plan;

	if (k->domain->name.n >= sizeof(p->domain))
		return false;
	memcpy(p->domain, k->domain->name.p, k->domain->name.n);
	p->kind = PLAN_MX;
	p->nhosts = 1;
	k->search = sts_find(k->b->carrier, &k->route, policy_heard, k);
	return k->search != NULL;
}

static enum zone_page
policy(void *ctx, struct arena *a, const char *host, struct sts_policy *p, const char **why)
{
	struct check *k = ((struct book *)ctx)->check;
	const struct sts_known *s = k->route.sts;

	*why = "not looked at: `delivery: {tls: {policy: …}}` is without mta-sts; `postern dns check` does";
	if (k->sts == STS_UNASKED) {
		if (k->b->carrier->sts == NULL || k->late || !policy_asked(k))
			return ZONE_PAGE_NOT_ASKED;
		k->sts = STS_ASKED;
		k->open++;
	}
	if (k->sts == STS_ASKED && !k->late)
		return ZONE_PAGE_PENDING;
	*why = s && s->why[0] ? arena_str(a, span_str(s->why)) : "nobody fetched it in time";
	if (s == NULL || !s->found || s->trouble != TLS_RESULT_SUCCESS)
		return ZONE_PAGE_BAD;
	*p = s->policy;
	return ZONE_PAGE_READ;
}

static enum zone_page
no_policy(void *ctx, struct arena *a, const char *host, struct sts_policy *p, const char **why)
{
	*why = "asked once";
	return ZONE_PAGE_NOT_ASKED;
}

/* ---- the check ---- */

static void
check_free(struct check *k)
{
	struct arena *a = k->arena;

	sts_cancel(&k->search);
	sts_known_free(&k->route.sts);
	for (size_t i = 0; i < k->nbooks; i++) {
		for (struct entry *e = k->books[i].entries; e; e = e->next)
			resolver_cancel(&e->q);
		resolver_free(&k->books[i].resolver);
	}
	event_free(k->next);
	event_free(k->deadline);
	k->b->nchecks--;
	arena_free(&k->round);
	arena_free(&a);
}

static void
fill(struct zone_books *b, struct zone *z, const struct conf_domain *d, struct arena *a)
{
	*z = (struct zone){ .conf = b->rt->conf, .domain = d, .name = d->name, .a = a,
		.certificate = b->certificate };
	z->nkeys = zone_keys_of(b->keys, d->name, a, &z->keys);
	zone_advise(z);
}

static void
tell(struct check *k, const struct zone *z)
{
	struct json j;

	for (size_t i = 0; i < z->n; i++) {
		j = client_line(k->reply);
		zone_json_line(&j, z, i, 0);
		client_line_end(k->reply, &j);
	}
	j = client_line(k->reply);
	json_kuint(&j, "found", z->n);
	json_kbool(&j, "more", false);
	client_line_end(k->reply, &j);
	reply_end(&k->reply);
}

static void
round_of(evutil_socket_t fd, short what, void *arg)
{
	struct check *k = arg;
	struct zone_answers answers[1 + ZONE_VIEWS_MAX];
	bool pending;
	struct zone z;

	k->late |= ++k->rounds >= ZONE_ROUNDS_MAX;
	arena_reset(k->round);
	fill(k->b, &z, k->domain, k->round);
	for (size_t i = 0; i < k->nbooks; i++)
		answers[i] = (struct zone_answers){ ask, i ? no_policy : policy, &k->books[i] };
	z.answers = &answers[0];
	zone_check(&z);
	pending = z.pending;
	z.nviews = k->nbooks - 1;
	for (size_t i = 0; i < z.nviews; i++) {
		z.views[i].resolver = k->resolvers[i];
		zone_check_view(&z, i, &answers[i + 1]);
		pending |= z.pending;
	}
	if (pending) {
		if (k->open == 0)
			go_on(k);
		return;
	}
	tell(k, &z);
	check_free(k);
}

/* What has not come by now does not count. */
static void
too_late(evutil_socket_t fd, short what, void *arg)
{
	struct check *k = arg;

	k->late = true;
	go_on(k);
}

static int
open_book(struct check *k, const struct conf_host *servers, size_t n, struct err *err)
{
	struct book *bk = &k->books[k->nbooks];

	*bk = (struct book){ .check = k };
	bk->resolver = resolver_new(k->b->rt->base, servers, n, k->b->anchors, err);
	if (bk->resolver == NULL)
		return -1;
	k->nbooks++;
	return 0;
}

static void
start_check(struct zone_books *b, struct client_request *q, const struct conf_domain *d)
{
	static const struct timeval patience = { ZONE_PATIENCE / US_PER_SEC, 0 };
	const struct config *c = b->rt->conf;
	struct arena *a;
	struct check *k;
	struct err err;
	int r;

	if (b->nchecks >= ZONE_CHECKS_MAX) {
		client_error_coded(q, "busy", "too many checks of the DNS at once: in a moment again");
		return;
	}
	a = arena_new(0);
	k = arena_zalloc(a, sizeof(*k));
	k->b = b;
	k->arena = a;
	k->round = arena_new(0);
	k->domain = d;
	k->next = evtimer_new(b->rt->base, round_of, k);
	k->deadline = evtimer_new(b->rt->base, too_late, k);
	ASSERT(k->next != NULL && k->deadline != NULL);
	b->nchecks++;
	r = open_book(k, b->servers, b->nservers, &err);
	for (size_t i = 0; r == 0 && i < c->nresolvers && i < ZONE_VIEWS_MAX; i++) {
		char text[IP_TEXT_MAX];

		k->resolvers[i] = arena_printf(a, c->resolvers[i].ip.family == 6 ? "[%s]:%u" : "%s:%u",
		    ip_format(c->resolvers[i].ip, text), c->resolvers[i].port);
		r = open_book(k, &c->resolvers[i], 1, &err);
	}
	if (r == -1) {
		client_error_coded(q, "busy", err.text);
		check_free(k);
		return;
	}
	k->reply = client_take(q);
	evtimer_add(k->deadline, &patience);
	go_on(k);
}

/* ---- the letter, the keys ---- */

static void
tell_letter(struct zone_books *b, struct client_request *q, const struct conf_domain *d)
{
	struct span language = jval_text(q->v, "language");
	struct reply *r;
	struct buf text;
	struct json j;
	struct zone z;

	if (language.n && !span_is(language, "fr") && !span_is(language, "en")) {
		client_error_coded(q, "invalid", "a language is fr or en");
		return;
	}
	fill(b, &z, d, q->arena);
	buf_init(&text, 1u << 20);
	zone_letter(&text, &z, span_is(language, "fr"));
	r = client_take(q);
	j = client_line(r);
	json_kstr(&j, "domain", d->name);
	json_kcstr(&j, "language", span_is(language, "fr") ? "fr" : "en");
	json_kstr(&j, "text", buf_data(&text));
	client_line_end(r, &j);
	buf_release(&text);
	reply_end(&r);
}

static void
tell_keys(struct zone_books *b, struct client_request *q, const struct conf_domain *d)
{
	const struct zone_key *keys;
	size_t n = zone_keys_of(b->keys, d->name, q->arena, &keys);
	struct reply *r = client_take(q);
	struct json j;

	for (size_t i = 0; i < n; i++) {
		j = client_line(r);
		json_kstr(&j, "domain", d->name);
		json_kstr(&j, "selector", keys[i].selector);
		json_kcstr(&j, "algorithm", keys[i].ed25519 ? "ed25519" : "rsa");
		json_kcstr(&j, "state", ring_state_name(keys[i].state));
		json_kbool(&j, "managed", keys[i].since != 0);
		json_kint(&j, "since", keys[i].since * US_PER_SEC);
		json_key(&j, "leaves");
		if (keys[i].state == RING_RETIRED)
			json_int(&j, (keys[i].since + RING_RETIRE_DAYS * 86400) * US_PER_SEC);
		else
			json_null(&j);
		json_kcstr(&j, "record", keys[i].record);
		json_kcstr(&j, "trouble", keys[i].why[0] ? keys[i].why : NULL);
		client_line_end(r, &j);
	}
	j = client_line(r);
	json_kuint(&j, "found", n);
	json_kbool(&j, "more", false);
	client_line_end(r, &j);
	reply_end(&r);
}

void
zone_books_client(struct zone_books *b, int fd, uint32_t uid, struct span request)
{
	static const struct {
		const char *name;
		void (*tell)(struct zone_books *b, struct client_request *q, const struct conf_domain *d);
	} known[] = { { "dns.check", start_check }, { "dns.letter", tell_letter }, { "dns.keys", tell_keys } };
	struct client_request q;
	const struct conf_domain *d;

	if (!client_begin(&q, b->rt, fd, uid, request))
		return;
	d = client_domain(&q, "domain");
	for (size_t i = 0; d && i < sizeof(known) / sizeof(known[0]); i++)
		if (span_is(jval_text(q.v, "cmd"), known[i].name)) {
			known[i].tell(b, &q, d);
			d = NULL;
		}
	if (d)
		client_error_coded(&q, "not-found", "no such command");
	client_over(&q);
}
