/* sts_fetch.c -- the policy of a domain, from the cache or from its server (RFC 8461, 3.3 and 5.1).
 *
 *	cached, and the record is gone or has the same id	the cached one
 *	no record, nothing cached				none
 *	else							fetched; when that fails: the cached one, or none
 *
 * Whoever asks for a domain that is being fetched waits for that one answer. A fetch that failed
 * is not tried again for FAILURE_US, unless the record's id changes: a domain's broken server
 * costs its mail one delay, not each message one. Policies are refreshed ahead of their end, for the
 * longer a domain's policy is known the less an attacker gains by keeping us from asking.
 */
#include <event2/event.h>
#include <stdlib.h>

#include "clock.h"
#include "net/resolver.h"
#include "fetcher/fetcher.h"
#include "fetcher/sts_record.h"
#include "log.h"
#include "table.h"

#define FETCHES_MAX 256			/* at once: slow servers hold up nobody before that */
#define FAILURE_US (5 * 60 * US_PER_SEC)	/* RFC 8461, 3.3: five minutes or longer */
#define FAILURES_MAX 10000
#define RETRY_MAX (3600 * US_PER_SEC)	/* of a refresh that failed */
#define UNUSED_US (31 * 24 * 3600 * US_PER_SEC)	/* nobody sends there any more: no refresh */

struct waiter {
	struct link *link;
	uint64_t ticket;
	struct waiter *next;
};

struct fetch {
	struct fetcher *f;
	struct fetch *next;
	char domain[DNS_NAME_MAX];
	char id[STS_ID_MAX + 1];
	bool refresh;			/* nobody waits: ours */
	bool started;
	struct question *txt;		/* of a refresh: is there still a record? */
	struct https *https;
	struct waiter *waiters;
};

struct failure {
	char domain[DNS_NAME_MAX];
	char id[STS_ID_MAX + 1];
	int64_t until;			/* clock_mono */
	enum tls_result result;
	char why[256];
};

/* ---- answers ---- */

static void
answer(struct link *to, uint64_t ticket, const struct sts_entry *e, bool cached,
    const struct failure *trouble, bool repeated)
{
	struct msg_sts_answer m = { .found = e != NULL, .cached = cached };
	struct buf b;

	if (e) {
		m.fetched = e->fetched;
		m.id = span_str(e->id);
		m.body = span_make(e->body, e->size);
	}
	if (trouble) {
		m.trouble = trouble->result;
		m.why = span_str(trouble->why);
		m.repeated = repeated;
	}
	buf_init(&b, FRAME_BIG);
	sts_answer_encode(&b, &m);
	if (link_send(to, FRAME_STS_ANSWER, ticket, buf_data(&b), -1) == -1)
		log_warn("MTA-STS: an answer cannot be sent");
	buf_release(&b);
}

static void
answer_all(struct fetch *t, const struct sts_entry *e, bool cached, const struct failure *trouble)
{
	struct waiter *w;

	for (bool repeated = false; (w = t->waiters) != NULL; repeated = true) {
		t->waiters = w->next;
		answer(w->link, w->ticket, e, cached, trouble, repeated);
		free(w);
	}
}

/* ---- failures ---- */

static void
failures_clean(struct fetcher *f, int64_t now)
{
	bool full = table_count(f->failures) >= FAILURES_MAX;
	struct span key;
	void *v;

	for (size_t at = 0; full && table_next(f->failures, &at, &key, &v);)
		if (((struct failure *)v)->until <= now) {
			table_remove(f->failures, key);
			free(v);
		}
	full = table_count(f->failures) >= FAILURES_MAX;
	for (size_t at = 0; full && table_next(f->failures, &at, &key, &v);) {
		table_remove(f->failures, key);
		free(v);
	}
}

static struct failure *
failure_note(struct fetch *t, enum tls_result result, const char *why)
{
	struct fetcher *f = t->f;
	struct failure *x = table_get(f->failures, span_str(t->domain));

	if (x == NULL) {
		failures_clean(f, clock_mono());
		x = calloc(1, sizeof(*x));
		ASSERT(x != NULL);
		memcpy(x->domain, t->domain, sizeof(x->domain));
		table_put(f->failures, span_str(x->domain), x);
	}
	x->until = clock_mono() + FAILURE_US;
	x->result = result;
	memcpy(x->id, t->id, sizeof(x->id));
	snprintf(x->why, sizeof(x->why), "%s", why);
	return x;
}

static void
failure_forget(struct fetcher *f, const char *domain)
{
	free(table_remove(f->failures, span_str(domain)));
}

/* ---- one fetch ---- */

static void start_waiting(struct fetcher *f);

static void
fetch_end(struct fetch *t)
{
	struct fetcher *f = t->f;

	for (struct fetch **pp = &f->fetches; *pp; pp = &(*pp)->next)
		if (*pp == t) {
			*pp = t->next;
			break;
		}
	f->nfetches--;
	ASSERT(t->waiters == NULL);
	resolver_cancel(&t->txt);
	free(t);
	start_waiting(f);
}

/* A refresh that did not come off: again while the policy holds. */
static void
put_off(struct sts_entry *e, int64_t now)
{
	int64_t left = e->fetched + (int64_t)e->max_age * US_PER_SEC - now;
	int64_t after = left / 4 < RETRY_MAX ? left / 4 : RETRY_MAX;

	e->refresh_at = now + (after < US_PER_SEC ? US_PER_SEC : after);
}

static void
fetch_failed(struct fetch *t, enum tls_result result, const char *why)
{
	struct sts_entry *e = sts_cache_get(t->f->cache, span_str(t->domain), clock_real());
	struct failure *x;
	char text[256];

	/* Servers' words reach a log here. */
	snprintf(text, sizeof(text), "%s", why);
	for (char *p = text; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	x = failure_note(t, result, text);
	if (e && e->mode != STS_MODE_NONE)
		log_warn("MTA-STS: the policy of %s cannot be refreshed (%s: %s); the one that is "
		    "known still holds", t->domain, tls_result_name(result), text);
	else
		log_info("MTA-STS: the policy of %s cannot be had (%s: %s)", t->domain,
		    tls_result_name(result), text);
	if (e)
		put_off(e, clock_real());
	answer_all(t, e, true, x);
	fetch_end(t);
}

static bool
is_text_plain(struct span type)
{
	return span_is_nocase(span_trim(span_sub(type, 0, span_find(type, ';'))), "text/plain");
}

static void
fetched(void *ctx, const struct https_answer *a)
{
	struct fetch *t = ctx;
	struct sts_policy p;
	struct err err;
	const char *why;
	char text[64];

	t->https = NULL;
	if (a->end != HTTPS_ANSWERED) {
		fetch_failed(t, a->end == HTTPS_CERTIFICATE ? TLS_RESULT_STS_WEBPKI :
		    TLS_RESULT_STS_FETCH, a->why);
		return;
	}
	if (a->status != 200) {
		snprintf(text, sizeof(text), "HTTP status %d", a->status);
		fetch_failed(t, TLS_RESULT_STS_FETCH, text);
		return;
	}
	if (!is_text_plain(a->type)) {
		fetch_failed(t, TLS_RESULT_STS_FETCH, "its media type is not text/plain");
		return;
	}
	if (!sts_policy_parse(a->body, &p, &why)) {
		fetch_failed(t, TLS_RESULT_STS_INVALID, why);
		return;
	}
	failure_forget(t->f, t->domain);
	if (sts_cache_put(t->f->cache, span_str(t->domain), t->id, &p, clock_real(), &err) == -1)
		log_error("MTA-STS: the policy of %s is not on the disk: %s", t->domain, err.text);
	log_info("MTA-STS: %s: mode %s, %zu mx, max_age %u, id %s", t->domain, sts_mode_name(p.mode),
	    p.nmx, p.max_age, t->id);
	answer_all(t, sts_cache_get(t->f->cache, span_str(t->domain), clock_real()), false, NULL);
	fetch_end(t);
}

static void
get(struct fetch *t)
{
	struct https_question q = { .max = STS_BODY_MAX, .timeout = t->f->rt->conf->delivery.sts_timeout };
	char url[DNS_NAME_MAX + 64];
	unsigned port = t->f->rt->conf->delivery.sts_port;

	if (port == 443)
		snprintf(url, sizeof(url), "https://mta-sts.%s/.well-known/mta-sts.txt", t->domain);
	else
		snprintf(url, sizeof(url), "https://mta-sts.%s:%u/.well-known/mta-sts.txt", t->domain, port);
	q.url = url;
	t->https = https_start(&t->f->world, &q, fetched, t);
}

static void
got_txt(void *ctx, const struct dns_answer *a)
{
	struct fetch *t = ctx;

	t->txt = NULL;
	if (sts_record_of(a, t->id))
		get(t);
	else
		fetch_failed(t, TLS_RESULT_STS_FETCH, "its record is gone from the DNS");
}

static void
start(struct fetch *t)
{
	struct fetcher *f = t->f;
	char name[DNS_NAME_MAX + 16];

	t->started = true;
	t->next = f->fetches;
	f->fetches = t;
	f->nfetches++;
	if (!t->refresh) {
		get(t);
		return;
	}
	snprintf(name, sizeof(name), "_mta-sts.%s", t->domain);
	t->txt = resolver_ask(f->world.resolver, name, DNS_TXT, got_txt, t);
}

static void
start_waiting(struct fetcher *f)
{
	while (f->waiting && f->nfetches < FETCHES_MAX) {
		struct fetch *t = f->waiting;

		f->waiting = t->next;
		if (f->waiting == NULL)
			f->last = &f->waiting;
		start(t);
	}
}

static struct fetch *
fetch_new(struct fetcher *f, struct span domain, struct span id, bool refresh)
{
	struct fetch *t = calloc(1, sizeof(*t));

	ASSERT(t != NULL && domain.n < sizeof(t->domain) && id.n <= STS_ID_MAX);
	t->f = f;
	memcpy(t->domain, domain.p, domain.n);
	if (id.n)
		memcpy(t->id, id.p, id.n);
	t->refresh = refresh;
	*f->last = t;
	f->last = &t->next;
	start_waiting(f);
	return t;
}

static struct fetch *
fetch_find(struct fetcher *f, struct span domain)
{
	for (struct fetch *t = f->fetches; t; t = t->next)
		if (span_is(domain, t->domain))
			return t;
	for (struct fetch *t = f->waiting; t; t = t->next)
		if (span_is(domain, t->domain))
			return t;
	return NULL;
}

/* ---- from outside ---- */

void
sts_fetch_init(struct fetcher *f)
{
	f->failures = table_new();
	f->last = &f->waiting;
}

void
sts_fetch_ask(struct fetcher *f, struct link *from, uint64_t ticket, const struct msg_sts_ask *m)
{
	struct sts_entry *e;
	struct failure *x;
	struct fetch *t;
	struct waiter *w;

	if (!dns_name_ok(m->domain) || m->domain.n + sizeof("mta-sts.") > DNS_NAME_MAX ||
	    m->id.n > STS_ID_MAX) {
		answer(from, ticket, NULL, false, NULL, false);
		return;
	}
	e = sts_cache_get(f->cache, m->domain, clock_real());
	if (e)
		e->asked = clock_real();
	if (m->id.n == 0 || (e && span_is(m->id, e->id))) {
		answer(from, ticket, e, true, NULL, false);
		return;
	}
	x = table_get(f->failures, m->domain);
	if (x && x->until > clock_mono() && span_is(m->id, x->id)) {
		answer(from, ticket, e, true, x, true);
		return;
	}
	/* A refresh under way has asked the DNS for the id itself, and will do. */
	t = fetch_find(f, m->domain);
	if (t == NULL)
		t = fetch_new(f, m->domain, m->id, false);
	w = calloc(1, sizeof(*w));
	ASSERT(w != NULL);
	*w = (struct waiter){ from, ticket, t->waiters };
	t->waiters = w;
}

static void
forget_in(struct fetch *list, const struct link *l)
{
	for (struct fetch *t = list; t; t = t->next)
		for (struct waiter **pp = &t->waiters, *w; (w = *pp) != NULL;) {
			if (w->link != l) {
				pp = &w->next;
				continue;
			}
			*pp = w->next;
			free(w);
		}
}

void
sts_fetch_forget(struct fetcher *f, const struct link *l)
{
	forget_in(f->fetches, l);
	forget_in(f->waiting, l);
}

static void
refresh(void *ctx, struct sts_entry *e)
{
	struct fetcher *f = ctx;
	int64_t now = clock_real();

	if (e->asked + UNUSED_US < now) {
		e->refresh_at = INT64_MAX;
		return;
	}
	put_off(e, now);
	if (fetch_find(f, span_str(e->domain)) == NULL)
		fetch_new(f, span_str(e->domain), (struct span){ 0 }, true);
}

void
sts_fetch_tick(struct fetcher *f)
{
	size_t room = f->nfetches < FETCHES_MAX / 2 ? FETCHES_MAX / 2 - f->nfetches : 0;

	sts_cache_tick(f->cache, clock_real(), room, refresh, f);
}
