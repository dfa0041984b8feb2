/* tlsrpt.c -- what came of TLS with each server, counted; see tlsrpt.h.
 *
 * Which policy a session is counted under (RFC 8460, 4.4) is what it was held against: the TLSA
 * records of the host where there are any that count, else the domain's MTA-STS policy, else none.
 * A session counts once: as a success, or under the first thing that was wrong with it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "buf.h"
#include "clock.h"
#include "net/resolver.h"
#include "delivery/session.h"
#include "delivery/sts.h"
#include "delivery/tlsrpt.h"
#include "ipc/channel.h"
#include "log.h"
#include "net/tls_fault.h"
#include "postern/err.h"
#include "store/tlsrpt_record.h"
#include "table.h"

#define KINDS_MAX 20000		/* events that differ, waiting for the store; beyond they are not counted */
#define REASON_MAX 300
#define DAY_US (INT64_C(86400) * US_PER_SEC)

struct seen {
	uint32_t count;
	size_t n;
	char key[];		/* the frame's body with count 0 */
};

/* A question of the store's. */
struct rua {
	struct tlsrpt *t;
	struct link *store;
	uint64_t ticket;
	struct question *q;
	struct rua *next;
};

struct tlsrpt {
	struct rua *ruas;
	struct table *seen;
	bool full;
};

struct tlsrpt *
tlsrpt_new(void)
{
	struct tlsrpt *t = calloc(1, sizeof(*t));

	ASSERT(t != NULL);
	t->seen = table_new();
	return t;
}

void
tlsrpt_free(struct tlsrpt **tp)
{
	struct span key;
	void *v;

	if (*tp == NULL)
		return;
	for (size_t at = 0; table_next((*tp)->seen, &at, &key, &v);) {
		table_remove((*tp)->seen, key);
		free(v);
	}
	table_free(&(*tp)->seen);
	free(*tp);
	*tp = NULL;
}

size_t
tlsrpt_count(const struct tlsrpt *t)
{
	return table_count(t->seen);
}

static void
note(struct tlsrpt *t, const struct msg_tls_seen *m)
{
	struct seen *s;
	struct buf b;

	buf_init(&b, FRAME_BIG);
	tls_seen_encode(&b, m);
	ASSERT(!buf_failed(&b));
	if ((s = table_get(t->seen, buf_data(&b))) != NULL) {
		s->count += s->count < UINT32_MAX;
	} else if (table_count(t->seen) < KINDS_MAX) {
		s = malloc(sizeof(*s) + buf_size(&b));
		ASSERT(s != NULL);
		s->count = 1;
		s->n = buf_size(&b);
		memcpy(s->key, buf_data(&b).p, s->n);
		table_put(t->seen, span_make(s->key, s->n), s);
	} else if (!t->full) {
		t->full = true;
		log_warn("TLS reports: more than %d events wait for the store; others are not counted",
		    KINDS_MAX);
	}
	buf_release(&b);
}

void
tlsrpt_flush(struct tlsrpt *t, struct link *store)
{
	struct arena *a;
	struct span key;
	void *v;

	if (store == NULL || table_count(t->seen) == 0)
		return;
	a = arena_new(0);
	for (size_t at = 0; table_next(t->seen, &at, &key, &v);) {
		struct seen *s = v;
		struct msg_tls_seen m;
		struct buf b;
		int r;

		arena_reset(a);
		if (tls_seen_decode(key, -1, a, &m) == -1)
			ASSERT(!"our own frame");
		m.count = s->count;
		buf_init(&b, FRAME_BIG);
		tls_seen_encode(&b, &m);
		r = link_send(store, FRAME_TLS_SEEN, 0, buf_data(&b), -1);
		buf_release(&b);
		if (r == -1)
			break;
		table_remove(t->seen, key);
		free(s);
	}
	t->full = false;
	arena_free(&a);
}

/* ---- what was seen ---- */

/* "3 1 1 0123…" for each record of the host, as a zone writes them. */
static void
tlsa_lines(struct buf *b, const struct dns_answer *a)
{
	for (size_t i = 0; a && i < a->n; i++) {
		struct span d = dns_data(a, &a->records[i]);

		if (d.n < 3)
			continue;
		buf_printf(b, "%s%u %u %u ", buf_size(b) ? "\n" : "", (unsigned char)d.p[0],
		    (unsigned char)d.p[1], (unsigned char)d.p[2]);
		for (size_t k = 3; k < d.n; k++)
			buf_printf(b, "%02x", (unsigned char)d.p[k]);
	}
}

/* The policy a host is held against; texts into the two buffers. */
static void
about(struct msg_tls_seen *m, const struct route *route, size_t host, struct buf *policy,
    struct buf *mx)
{
	const struct plan_host *h = &route->plan.hosts[host];
	const struct sts_known *k = route->sts;

	m->day = clock_real() / DAY_US;
	m->domain = span_str(route->plan.domain);
	m->count = 0;
	if (h->dane != DANE_NONE) {
		m->kind = TLS_KIND_TLSA;
		tlsa_lines(policy, route->tlsa[host]);
		buf_puts(mx, h->name);
	} else if (h->sts != STS_OFF) {
		m->kind = TLS_KIND_STS;
		buf_span(policy, span_trim(span_str(k->body)));
		for (size_t i = 0; i < k->policy.nmx; i++)
			buf_printf(mx, "%s" SPAN_FMT, i ? "\n" : "", SPAN_ARG(k->policy.mx[i]));
	}
	m->host = span_str(h->name);
	/* Too long for anybody to read, and still a policy: without its words. */
	m->policy = buf_failed(policy) ? (struct span){ 0 } : buf_data(policy);
	m->mx = buf_failed(mx) ? (struct span){ 0 } : buf_data(mx);
}

static struct ip
local_address(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (fd == -1 || getsockname(fd, (struct sockaddr *)&ss, &len) == -1)
		return (struct ip){ 0 };
	return ip_from_sockaddr((struct sockaddr *)&ss, NULL);
}

static void
session_seen(struct session *s, enum tls_result r, struct span reason)
{
	const struct target *t = &s->route->plan.targets[s->target];
	struct msg_tls_seen m = { .result = r };
	struct buf policy, mx;

	if (s->c->tlsrpt == NULL || s->route->lax || s->route->plan.kind == PLAN_STATIC || s->reported)
		return;
	s->reported = true;
	buf_init(&policy, TLS_POLICY_MAX);
	buf_init(&mx, TLS_POLICY_MAX);
	about(&m, s->route, t->host, &policy, &mx);
	if (r == TLS_RESULT_SUCCESS) {
		m.host = (struct span){ 0 };	/* only their number is reported */
	} else {
		m.local = local_address(s->t.fd);
		m.remote = t->ip;
		m.reason = span_sub(reason, 0, REASON_MAX);
	}
	note(s->c->tlsrpt, &m);
	buf_release(&policy);
	buf_release(&mx);
}

void
tlsrpt_failed(struct session *s, enum tls_result r, struct span reason)
{
	session_seen(s, r, reason);
}

static enum tls_result
fault(const struct session *s)
{
	switch (tls_fault_of(&s->t)) {
	case TLS_FAULT_NAME:
		return TLS_RESULT_HOST_MISMATCH;
	case TLS_FAULT_EXPIRED:
		return TLS_RESULT_EXPIRED;
	case TLS_FAULT_DANE:
		return TLS_RESULT_VALIDATION;
	case TLS_FAULT_OTHER:
		break;
	}
	return TLS_RESULT_NOT_TRUSTED;
}

void
tlsrpt_shaken(struct session *s)
{
	const struct plan_host *h = &s->route->plan.hosts[s->route->plan.targets[s->target].host];
	struct span name = span_str(h->name);
	struct err why = { 0 };

	if (h->dane == DANE_USABLE) {
		if (s->has == TLS_DANE)
			session_seen(s, TLS_RESULT_SUCCESS, (struct span){ 0 });
		else {
			transport_proved(&s->t, &name, 1, &why);
			session_seen(s, fault(s), span_str(why.text));
		}
	} else if (h->sts == STS_TEST_BARRED) {
		session_seen(s, TLS_RESULT_VALIDATION, SPAN_LIT("the policy does not list this MX"));
	} else if (h->sts == STS_ENFORCED || h->sts == STS_TESTED) {
		if (transport_proved(&s->t, &name, 1, &why) != PROVED_NOTHING)
			session_seen(s, TLS_RESULT_SUCCESS, (struct span){ 0 });
		else
			session_seen(s, fault(s), span_str(why.text));
	} else if (h->dane == DANE_UNUSABLE) {
		session_seen(s, TLS_RESULT_TLSA_INVALID, SPAN_LIT("no TLSA record is of a kind that can be used"));
	} else
		session_seen(s, TLS_RESULT_SUCCESS, (struct span){ 0 });
}

static void
route_seen(struct carrier *c, const struct route *route, size_t host, enum tls_result r,
    const char *reason)
{
	struct msg_tls_seen m = { .result = r };
	struct buf policy, mx;

	buf_init(&policy, TLS_POLICY_MAX);
	buf_init(&mx, TLS_POLICY_MAX);
	about(&m, route, host, &policy, &mx);
	if (r == TLS_RESULT_STS_FETCH || r == TLS_RESULT_STS_INVALID || r == TLS_RESULT_STS_WEBPKI) {
		/* It concerns the domain, not this host, and what DANE says of it. */
		m.kind = TLS_KIND_STS;
		m.policy = m.mx = m.host = (struct span){ 0 };
	}
	m.reason = span_sub(span_str(reason), 0, REASON_MAX);
	note(c->tlsrpt, &m);
	buf_release(&policy);
	buf_release(&mx);
}

void
tlsrpt_route(struct carrier *c, const struct route *route)
{
	const struct plan *p = &route->plan;

	if (c->tlsrpt == NULL || route->lax || p->kind == PLAN_STATIC || p->nhosts == 0)
		return;
	if (route->sts && route->sts->trouble != TLS_RESULT_SUCCESS && !route->sts->repeated)
		route_seen(c, route, 0, route->sts->trouble, route->sts->why);
	for (size_t i = 0; i < p->nhosts; i++) {
		if (p->hosts[i].dane == DANE_FAILED)
			route_seen(c, route, i, TLS_RESULT_DNSSEC_INVALID,
			    dns_status_text(p->hosts[i].dane_status));
		else if (p->hosts[i].sts == STS_BARRED)
			route_seen(c, route, i, TLS_RESULT_VALIDATION,
			    "the policy does not list this MX");
	}
}

/* ---- who wants to hear of it ---- */

static void
rua_answer(struct link *store, uint64_t ticket, enum rua_status status, struct span text)
{
	struct msg_rua m = { status, text };
	struct buf b;

	buf_init(&b, FRAME_SMALL);
	rua_encode(&b, &m);
	link_send(store, FRAME_RUA, ticket, buf_data(&b), -1);
	buf_release(&b);
}

static void
got_rua(void *arg, const struct dns_answer *a)
{
	struct rua *r = arg;
	struct span found = { 0 };
	size_t n = 0;

	r->q = NULL;
	for (size_t i = 0; a->status == DNS_OK && i < a->n; i++)
		if (tlsrpt_record_is(dns_data(a, &a->records[i]))) {
			found = dns_data(a, &a->records[i]);
			n++;
		}
	/* One that is no other's: two are none (RFC 8460, 3). */
	rua_answer(r->store, r->ticket, n == 1 ? RUA_FOUND :
	    a->status == DNS_OK || a->status == DNS_NODATA || a->status == DNS_NXDOMAIN ? RUA_NONE :
	    RUA_FAILED, n == 1 ? found : (struct span){ 0 });
	for (struct rua **pp = &r->t->ruas; *pp; pp = &(*pp)->next)
		if (*pp == r) {
			*pp = r->next;
			break;
		}
	free(r);
}

int
tlsrpt_rua(struct carrier *c, struct link *store, struct frame *f)
{
	struct arena *a = arena_new(0);
	struct msg_rua_ask m;
	char name[DNS_NAME_MAX + 16];
	struct rua *r;

	if (rua_ask_decode(f->body, f->fd, a, &m) == -1) {
		arena_free(&a);
		return -1;
	}
	snprintf(name, sizeof(name), "_smtp._tls." SPAN_FMT, SPAN_ARG(span_sub(m.domain, 0,
	    DNS_NAME_MAX)));
	arena_free(&a);
	if (!dns_name_ok(span_str(name))) {
		rua_answer(store, f->ticket, RUA_NONE, (struct span){ 0 });
		return 0;
	}
	r = calloc(1, sizeof(*r));
	ASSERT(r != NULL);
	*r = (struct rua){ .t = c->tlsrpt, .store = store, .ticket = f->ticket,
		.next = c->tlsrpt->ruas };
	c->tlsrpt->ruas = r;
	r->q = resolver_ask(c->resolver, name, DNS_TXT, got_rua, r);
	return 0;
}

void
tlsrpt_rua_drop(struct tlsrpt *t, struct link *store)
{
	for (struct rua **pp = &t->ruas, *r; (r = *pp) != NULL;) {
		if (r->store != store) {
			pp = &r->next;
			continue;
		}
		*pp = r->next;
		resolver_cancel(&r->q);
		free(r);
	}
}
