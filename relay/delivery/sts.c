/* sts.c -- the MTA-STS policy of a route; see sts.h.
 *
 *	_mta-sts.DOMAIN TXT	is there a policy, and which (its id)?
 *	the fetcher		is it the one that is cached? else it fetches it
 *
 * The fetcher is asked even when there is no record: a policy that is known holds on for its time,
 * whatever the DNS says now, for that is what somebody who forges DNS would make it say (RFC 8461,
 * 10.2). When the fetcher does not answer the mail waits: to go on without it would be the same.
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "net/resolver.h"
#include "delivery/sts.h"
#include "fetcher/sts_record.h"
#include "ipc/channel.h"
#include "json.h"
#include "postern/err.h"

#define FETCHERS_MAX 8			/* of several generations, while one retires */
#define SLACK_US (15 * US_PER_SEC)	/* beyond the fetcher's own time limit */

struct sts_search {
	struct sts_client *s;
	struct route *route;
	void (*done)(void *ctx);
	void *ctx;
	struct question *txt;
	char id[STS_ID_MAX + 1];
	uint64_t ticket;		/* 0: not asked yet */
	struct link *asked;		/* NULL: to be sent when there is a fetcher */
	struct event *deadline;
	struct sts_search *next, **prev;
};

struct sts_client {
	struct carrier *c;
	struct link *fetchers[FETCHERS_MAX];
	size_t nfetchers;
	struct sts_search *open;
	uint64_t last_ticket;
};

void
sts_known_free(struct sts_known **kp)
{
	struct sts_known *k = *kp;

	*kp = NULL;
	if (k == NULL)
		return;
	free(k->body);
	free(k);
}

/* ---- the channel ---- */

/* The latest one: it has the newest configuration. */
static struct link *
fetcher(const struct sts_client *s)
{
	struct link *best = NULL;

	for (size_t i = 0; i < s->nfetchers; i++)
		if (best == NULL || link_instance(s->fetchers[i]) > link_instance(best))
			best = s->fetchers[i];
	return best;
}

static void
ask(struct sts_search *q)
{
	struct msg_sts_ask m = { .domain = span_str(q->route->plan.domain), .id = span_str(q->id) };
	struct link *l = fetcher(q->s);
	struct buf b;

	if (l == NULL)
		return;
	buf_init(&b, FRAME_SMALL);
	sts_ask_encode(&b, &m);
	if (link_send(l, FRAME_STS_ASK, q->ticket, buf_data(&b), -1) == 0)
		q->asked = l;
	buf_release(&b);
}

struct sts_client *
sts_client_new(struct carrier *c)
{
	struct sts_client *s = calloc(1, sizeof(*s));

	ASSERT(s != NULL);
	s->c = c;
	return s;
}

void
sts_client_free(struct sts_client **sp)
{
	ASSERT(*sp == NULL || (*sp)->open == NULL);
	free(*sp);
	*sp = NULL;
}

void
sts_peer_up(struct sts_client *s, struct link *l)
{
	if (s->nfetchers < FETCHERS_MAX)
		s->fetchers[s->nfetchers++] = l;
	for (struct sts_search *q = s->open; q; q = q->next)
		if (q->ticket && q->asked == NULL)
			ask(q);
}

void
sts_peer_down(struct sts_client *s, struct link *l)
{
	for (size_t i = 0; i < s->nfetchers; i++)
		if (s->fetchers[i] == l)
			s->fetchers[i--] = s->fetchers[--s->nfetchers];
	for (struct sts_search *q = s->open; q; q = q->next)
		if (q->asked == l) {
			q->asked = NULL;
			ask(q);
		}
}

/* ---- the policy ---- */

void
sts_apply(struct plan *p, const struct sts_known *k)
{
	for (size_t i = 0; i < p->nhosts; i++) {
		struct plan_host *h = &p->hosts[i];
		bool listed;

		h->sts = STS_OFF;
		/* Nor does MTA-STS speak for a server whose records it is that fail. */
		if (!k->found || k->policy.mode == STS_MODE_NONE || h->dane == DANE_USABLE)
			continue;
		listed = sts_policy_lists(&k->policy, span_str(h->name));
		if (k->policy.mode == STS_MODE_ENFORCE)
			h->sts = listed ? STS_ENFORCED : STS_BARRED;
		else
			h->sts = listed ? STS_TESTED : STS_TEST_BARRED;
	}
}

static void
search_free(struct sts_search *q)
{
	*q->prev = q->next;
	if (q->next)
		q->next->prev = q->prev;
	resolver_cancel(&q->txt);
	event_free(q->deadline);
	free(q);
}

static void
search_done(struct sts_search *q)
{
	void (*done)(void *ctx) = q->done;
	void *ctx = q->ctx;

	search_free(q);
	done(ctx);
}

static bool
take_answer(struct sts_known *k, const struct msg_sts_answer *m)
{
	const char *why;

	k->found = m->found;
	k->cached = m->cached;
	k->fetched = m->fetched;
	k->trouble = m->trouble;
	k->repeated = m->repeated;
	snprintf(k->id, sizeof(k->id), SPAN_FMT, SPAN_ARG(m->id));
	snprintf(k->why, sizeof(k->why), SPAN_FMT, SPAN_ARG(m->why));
	if (!m->found)
		return true;
	k->body = malloc(m->body.n + 1);
	ASSERT(k->body != NULL);
	memcpy(k->body, m->body.p, m->body.n);
	k->body[m->body.n] = '\0';
	return sts_policy_parse(span_make(k->body, m->body.n), &k->policy, &why);
}

int
sts_frame(struct sts_client *s, struct frame *f)
{
	struct arena *a = arena_new(0);
	struct sts_search *q = s->open;
	struct msg_sts_answer m;
	int r = -1;

	if (sts_answer_decode(f->body, f->fd, a, &m) == -1)
		goto out;
	while (q && q->ticket != f->ticket)
		q = q->next;
	r = 0;
	if (q == NULL)		/* nobody waits for it any more */
		goto out;
	sts_known_free(&q->route->sts);
	q->route->sts = calloc(1, sizeof(*q->route->sts));
	ASSERT(q->route->sts != NULL);
	if (!take_answer(q->route->sts, &m)) {
		r = -1;
		goto out;
	}
	sts_apply(&q->route->plan, q->route->sts);
	search_done(q);
out:
	arena_free(&a);
	return r;
}

static void
too_late(evutil_socket_t fd, short what, void *arg)
{
	struct sts_search *q = arg;

	q->route->plan.sts_unknown = true;
	search_done(q);
}

static void
got_txt(void *arg, const struct dns_answer *a)
{
	struct sts_search *q = arg;

	q->txt = NULL;
	if (sts_record_of(a, q->id)) {
		if (a->ttl < q->route->plan.ttl)
			q->route->plan.ttl = a->ttl;
	} else
		q->id[0] = '\0';
	q->ticket = ++q->s->last_ticket;
	ask(q);
}

/* A next hop of the operator's has no policy domain (RFC 8461, 3.4: it is its own, and by hand);
 * servers that DANE speaks for need none. */
static bool
applies(const struct plan *p)
{
	if (p->kind == PLAN_STATIC)
		return false;
	for (size_t i = 0; i < p->nhosts; i++)
		if (p->hosts[i].dane != DANE_USABLE)
			return true;
	return false;
}

struct sts_search *
sts_find(struct carrier *c, struct route *route, void (*done)(void *ctx), void *ctx)
{
	struct sts_search *q;
	struct timeval tv;
	char name[DNS_NAME_MAX + 16];

	snprintf(name, sizeof(name), "_mta-sts.%s", route->plan.domain);
	if (c->sts == NULL || !applies(&route->plan) || !dns_name_ok(span_str(name)))
		return NULL;
	q = calloc(1, sizeof(*q));
	ASSERT(q != NULL);
	*q = (struct sts_search){ .s = c->sts, .route = route, .done = done, .ctx = ctx,
		.next = c->sts->open, .prev = &c->sts->open };
	if (q->next)
		q->next->prev = &q->next;
	c->sts->open = q;
	q->deadline = evtimer_new(c->base, too_late, q);
	ASSERT(q->deadline != NULL);
	tv.tv_sec = (c->conf->delivery.sts_timeout + RESOLVER_PATIENCE + SLACK_US) / US_PER_SEC;
	tv.tv_usec = 0;
	evtimer_add(q->deadline, &tv);
	q->txt = resolver_ask(c->resolver, name, DNS_TXT, got_txt, q);
	return q;
}

void
sts_cancel(struct sts_search **qp)
{
	struct sts_search *q = *qp;

	*qp = NULL;
	if (q)
		search_free(q);
}

/* ---- for people ---- */

void
sts_write(struct json *j, const struct sts_known *k, int64_t now)
{
	json_key(j, "mta_sts");
	if (k == NULL) {
		json_null(j);
		return;
	}
	json_object(j);
	json_kbool(j, "found", k->found);
	if (k->found) {
		json_kcstr(j, "mode", sts_mode_name(k->policy.mode));
		json_kcstr(j, "id", k->id);
		json_kint(j, "age", (now - k->fetched) / US_PER_SEC);
		json_kuint(j, "max_age", k->policy.max_age);
		json_kcstr(j, "source", k->cached ? "cache" : "fetched");
		json_key(j, "mx");
		json_array(j);
		for (size_t i = 0; i < k->policy.nmx; i++)
			json_str(j, k->policy.mx[i]);
		json_end_array(j);
	}
	if (k->trouble != TLS_RESULT_SUCCESS) {
		json_kcstr(j, "trouble", tls_result_name(k->trouble));
		json_kcstr(j, "why", k->why);
	}
	json_end_object(j);
}
