/* session_tls.c -- what a connection must prove, and what it has; see session.h.
 *
 * What is needed is the most that anyone asks for: the job (require_tls,
 * REQUIRETLS), the floor in postern.yaml, the TLSA records of the host, or the MTA-STS
 * policy of the domain. The handshake
 * fails for nothing; afterwards what was proved is held against it, before
 * a word of a message is said.
 *
 * What was proved belongs to a route: another domain at the same server has
 * names of its own, and perhaps proof of its own by DNSSEC. So it is looked at
 * anew for each. A connection or a kept session that was held against
 * TLSA records proves nothing where other records, or none, count.
 */
#include <stdio.h>

#include "clock.h"
#include "delivery/session.h"
#include "delivery/tlsrpt.h"
#include "log.h"
#include "master/counters.h"
#include "postern/err.h"
#include "table.h"

#define NAMES_MAX (PLAN_NAMES_MAX + 3)

enum require_tls
session_common_need(const struct carrier *c, const struct route *route, size_t host)
{
	enum dane_state dane = route->plan.hosts[host].dane;

	if (dane == DANE_USABLE)
		return TLS_DANE;
	if (route->plan.hosts[host].sts == STS_ENFORCED)
		return TLS_VERIFIED;
	return dane == DANE_UNUSABLE || c->conf->delivery.floor == FLOOR_ENCRYPTED ?
	    TLS_ENCRYPTED : TLS_UNSPECIFIED;
}

static size_t
host_of(const struct session *s)
{
	return s->route->plan.targets[s->target].host;
}

static enum require_tls
needs(const struct carrier *c, const struct route *route, size_t host, const struct job *job)
{
	enum require_tls all = session_common_need(c, route, host), own = job_demand(job).least;

	return own > all ? own : all;
}

enum require_tls
session_needs(const struct session *s)
{
	return needs(s->c, s->route, host_of(s), s->job);
}

bool
session_demanded(const struct session *s)
{
	const struct plan_host *h = &s->route->plan.hosts[host_of(s)];

	if (!s->m.failed || s->m.fail.cls != FAIL_TLS || job_demand(s->job).least == TLS_UNSPECIFIED)
		return false;
	return s->has >= session_common_need(s->c, s->route, host_of(s)) ||
	    (s->need == TLS_DANE && h->dane != DANE_USABLE);
}

/* --- names and records --- */

/* Those the certificate may be for: see plan_names(); with DANE also those the records were found at. */
static size_t
names_of(const struct route *route, size_t host, struct span names[NAMES_MAX])
{
	size_t n = plan_names(&route->plan, host, names);

	if (route->plan.hosts[host].dane == DANE_USABLE) {
		names[n++] = span_str(route->tlsa_base[host]);
		names[n++] = span_str(route->plan.hosts[host].name);
		names[n++] = span_str(route->plan.domain);
	}
	return n;
}

/* The records of a host that count, as a number; 0: there are none. The key is no secret: who
 * can choose the records can have them say what he likes. */
static uint64_t
tlsa_of(const struct route *route, size_t host)
{
	static const uint8_t key[16] = "postern-tlsa";
	const struct dns_answer *a = route->tlsa[host];
	uint64_t all = 0;

	if (route->plan.hosts[host].dane != DANE_USABLE)
		return 0;
	/* In any order: a sum. */
	for (size_t i = 0; i < a->n; i++) {
		struct span d = dns_data(a, &a->records[i]);

		all += siphash(key, d.p, d.n);
	}
	all += siphash(key, route->tlsa_base[host], strlen(route->tlsa_base[host]));
	return all ? all : 1;
}

/* What the connection proves to that route. */
static enum require_tls
worth(const struct session *s, const struct route *route, size_t host, enum proved *proved,
    struct err *why)
{
	struct span names[NAMES_MAX];
	size_t n = names_of(route, host, names);

	*proved = PROVED_NOTHING;
	if (!s->m.tls_active && s->t.ssl == NULL)
		return TLS_UNSPECIFIED;
	if (s->tlsa != tlsa_of(route, host)) {
		err_set(why, 0, "it was held against other records");
		return TLS_ENCRYPTED;
	}
	*proved = transport_proved(&s->t, names, n, why);
	return *proved == PROVED_DANE ? TLS_DANE : *proved == PROVED_NAME ? TLS_VERIFIED : TLS_ENCRYPTED;
}

/* The same server in another route; SIZE_MAX: it is not there. */
static size_t
same_target(const struct session *s, const struct route *route)
{
	const struct target *t = &s->route->plan.targets[s->target];
	const char *name = s->route->plan.hosts[t->host].name;

	for (size_t i = 0; i < route->plan.ntargets; i++) {
		const struct target *o = &route->plan.targets[i];

		if (o->port == t->port && ip_eq(o->ip, t->ip) &&
		    strcmp(route->plan.hosts[o->host].name, name) == 0)
			return i;
	}
	return SIZE_MAX;
}

bool
session_fits(const struct session *s, const struct route *route, const struct job *job)
{
	struct job_demand d = job_demand(job);
	enum require_tls need, has = s->has;
	size_t target = s->target;
	enum proved proved;

	if (route != s->route && (target = same_target(s, route)) == SIZE_MAX)
		return false;
	need = needs(s->c, route, route->plan.targets[target].host, job);
	if (route != s->route && need > TLS_UNSPECIFIED)
		has = worth(s, route, route->plan.targets[target].host, &proved, NULL);
	return has >= need && (!d.requiretls || (s->m.caps & CAP_REQUIRETLS));
}

static void
remember(struct session *s, enum proved proved, enum require_tls has)
{
	s->has = has;
	s->tls = transport_tls_text(&s->t, proved, s->arena);
}

void
session_turn_to(struct session *s, struct route *route)
{
	size_t target = same_target(s, route);
	enum proved proved;
	enum require_tls has;

	ASSERT(target != SIZE_MAX);
	has = worth(s, route, route->plan.targets[target].host, &proved, NULL);
	/* For another domain it is a session of its own. */
	s->reported = s->reported && strcmp(s->route->plan.domain, route->plan.domain) == 0;
	route->refs++;
	route_unref(&s->route);
	s->route = route;
	s->target = target;
	if (s->t.ssl) {
		remember(s, proved, has);
		tlsrpt_shaken(s);
	} else if (s->m.tls != CLIENT_TLS_NEVER)
		tlsrpt_failed(s, TLS_RESULT_STARTTLS, (struct span){ 0 });
}

/* --- the handshake --- */

/* The records found for the host, where there are any that count (RFC 7672). */
static int
expect_dane(struct session *s, size_t host, struct err *err)
{
	const struct plan *p = &s->route->plan;
	const struct dns_answer *a = s->route->tlsa[host];
	const char *also[] = { p->hosts[host].name, p->domain, NULL };
	struct tlsa v[DNS_RECORDS_MAX];
	size_t n = 0;

	s->tlsa = tlsa_of(s->route, host);
	if (p->hosts[host].dane != DANE_USABLE)
		return 0;
	for (size_t i = 0; i < a->n; i++) {
		struct span d = dns_data(a, &a->records[i]);

		/* The Web's authorities (usages 0 and 1) have no say in mail (RFC 7672, 3.1.3). */
		if (d.n > 3 && (d.p[0] == 2 || d.p[0] == 3))
			v[n++] = (struct tlsa){ (unsigned char)d.p[0], (unsigned char)d.p[1],
				(unsigned char)d.p[2], span_from(d, 3) };
	}
	return transport_dane(&s->t, s->route->tlsa_base[host], also, v, n, err);
}

int
session_tls_begin(struct session *s, struct err *err)
{
	static const enum proved least[] = { [TLS_VERIFIED] = PROVED_NAME, [TLS_DANE] = PROVED_DANE };
	size_t host = host_of(s), n;
	struct span names[NAMES_MAX];

	if (transport_tls(&s->t, s->c->tls, s->route->plan.hosts[host].name, err) == -1 ||
	    expect_dane(s, host, err) == -1)
		return -1;
	if (s->anew || s->c->tls_sessions == NULL)
		return 0;
	n = names_of(s->route, host, names);
	transport_resume(&s->t, s->c->tls_sessions, span_str(arena_printf(s->arena, SPAN_FMT " %llx",
	    SPAN_ARG(s->relay), (unsigned long long)s->tlsa)),
	    s->need >= TLS_VERIFIED ? least[s->need] : PROVED_NOTHING, names, n);
	return 0;
}

bool
session_tls_judge(struct session *s)
{
	static const char *const wanted[] = { [TLS_VERIFIED] = "verified", [TLS_DANE] = "DANE" };
	struct err verdict = { 0 };
	enum proved proved;
	enum require_tls has = worth(s, s->route, host_of(s), &proved, &verdict);

	remember(s, proved, has);
	tlsrpt_shaken(s);
	counter_add(COUNTER_OUT_TLS, 1);
	if (transport_resumed(&s->t))
		counter_add(COUNTER_OUT_TLS_RESUMED, 1);
	talk_note(&s->talk, clock_mono(), SPAN_FMT "%s", SPAN_ARG(s->tls),
	    transport_resumed(&s->t) ? ", resumed" : "");
	if (s->has >= s->need)
		return true;
	smtp_client_fail(&s->m, RCPT_DEFERRED, FAIL_TLS, "4.7.5", "the certificate of host "
	    SPAN_FMT " is not good enough (%s TLS is required): %s", SPAN_ARG(s->m.peer),
	    wanted[s->need], verdict.text);
	log_msg(LOG_LVL_WARN, s->job->d.id, "%s TLS is required, and host " SPAN_FMT
	    " has not proved it: %s (" SPAN_FMT ")", wanted[s->need], SPAN_ARG(s->m.peer),
	    verdict.text, SPAN_ARG(s->tls));
	return false;
}
