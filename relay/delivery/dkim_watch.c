/* dkim_watch.c -- are our own DKIM keys published? see dkim_watch.h. */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "delivery/dkim_watch.h"
#include "net/resolver.h"
#include "ipc/channel.h"
#include "ipc/messages.h"
#include "log.h"
#include "signer/dkim_ring.h"

#define SIGNERS_MAX 16

struct watched {
	struct dkim_watch *w;
	struct span domain, selector;
	char name[DNS_NAME_MAX];
	struct question *q;
	struct event *timer;
	struct dns_answer *answer;	/* NULL: none yet */
};

struct dkim_watch {
	struct arena *arena;
	struct resolver *resolver;
	struct link *signers[SIGNERS_MAX];
	size_t nsigners;
	struct buf out;
	struct watched *keys;
	size_t n;
};

static int
watch_domain(struct dkim_watch *w, const struct config *c, const struct conf_domain *d,
    struct err *err)
{
	const struct domain_key *keys;
	size_t n;

	if (domain_keys(c, d, w->arena, &keys, &n, err) == -1)
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct watched *k = &w->keys[w->n];

		if (keys[i].state != RING_ACTIVE)
			continue;
		*k = (struct watched){ .w = w, .domain = d->name, .selector = keys[i].selector };
		if ((size_t)snprintf(k->name, sizeof(k->name), SPAN_FMT "._domainkey." SPAN_FMT,
		    SPAN_ARG(k->selector), SPAN_ARG(k->domain)) < sizeof(k->name))
			w->n++;
	}
	return 0;
}

int
dkim_watch_new(const struct config *c, struct dkim_watch **out, struct err *err)
{
	struct dkim_watch *w;
	size_t most = 0;

	*out = NULL;
	for (size_t i = 0; i < c->ndomains; i++)
		if (c->domains[i].dkim_check)
			most += c->domains[i].ndkim + RING_KEYS_MAX;
	if (most == 0)
		return 0;
	w = calloc(1, sizeof(*w));
	ASSERT(w != NULL);
	w->arena = arena_new(0);
	w->keys = arena_array(w->arena, most, sizeof(*w->keys));
	buf_init(&w->out, FRAME_SMALL);
	for (size_t i = 0; i < c->ndomains; i++)
		if (c->domains[i].dkim_check && watch_domain(w, c, &c->domains[i], err) == -1) {
			arena_free(&w->arena);
			free(w);
			return -1;
		}
	*out = w;
	return 0;
}

static void
tell(const struct watched *k, struct link *to)
{
	struct dkim_watch *w = k->w;
	const struct dns_answer *a = k->answer;
	struct span texts[PUBLISHED_TEXTS_MAX];
	struct msg_published m = { .domain = k->domain, .selector = k->selector, .texts = texts,
		.known = a->status <= DNS_NXDOMAIN };

	for (size_t i = 0; i < a->n && m.ntexts < PUBLISHED_TEXTS_MAX; i++) {
		struct span text = dns_data(a, &a->records[i]);

		if (text.n <= PUBLISHED_TEXT_MAX)
			texts[m.ntexts++] = text;
	}
	buf_reset(&w->out);
	published_encode(&w->out, &m);
	if (buf_failed(&w->out) || link_send(to, FRAME_PUBLISHED, 0, buf_data(&w->out), -1) == -1)
		log_warn("what the DNS says of %s cannot be told to the signer", k->name);
}

static void
heard(void *ctx, const struct dns_answer *a)
{
	struct watched *k = ctx;
	struct timeval again = { a->status == DNS_OK ? WATCH_EVERY : WATCH_MISSING, 0 };

	k->q = NULL;
	if (k->answer == NULL)
		k->answer = malloc(sizeof(*a));
	ASSERT(k->answer != NULL);
	*k->answer = *a;
	for (size_t i = 0; i < k->w->nsigners; i++)
		tell(k, k->w->signers[i]);
	evtimer_add(k->timer, &again);
}

static void
ask(evutil_socket_t fd, short what, void *arg)
{
	struct watched *k = arg;

	if (k->q == NULL)
		k->q = resolver_ask(k->w->resolver, k->name, DNS_TXT, heard, k);
}

void
dkim_watch_begin(struct dkim_watch *w, struct event_base *base, struct resolver *r)
{
	if (w == NULL)
		return;
	w->resolver = r;
	for (size_t i = 0; i < w->n; i++) {
		w->keys[i].timer = evtimer_new(base, ask, &w->keys[i]);
		ASSERT(w->keys[i].timer != NULL);
		event_active(w->keys[i].timer, EV_TIMEOUT, 0);
	}
}

void
dkim_watch_peer(struct dkim_watch *w, struct link *signer, bool up)
{
	size_t i = 0;

	if (w == NULL)
		return;
	if (up && w->nsigners < SIGNERS_MAX) {
		w->signers[w->nsigners++] = signer;
		for (i = 0; i < w->n; i++)
			if (w->keys[i].answer)
				tell(&w->keys[i], signer);
		return;
	}
	while (i < w->nsigners && w->signers[i] != signer)
		i++;
	if (i < w->nsigners)
		w->signers[i] = w->signers[--w->nsigners];
}
