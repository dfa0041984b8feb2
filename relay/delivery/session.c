/* session.c -- one outgoing connection in the event loop; see session.h.
 *
 * The machine (smtp_client.c) says what is to be done, this file does it:
 * connect, read, write, shake hands, keep the time. When a server cannot be
 * had (connect, greeting, EHLO, TLS) the next target gets the job; once a
 * transaction has begun, what happens to it is the job's result.
 */
#include <event2/event.h>
#include <stdlib.h>
#include <stdio.h>

#include "clock.h"
#include "delivery/route.h"
#include "delivery/session.h"
#include "delivery/site.h"
#include "log.h"
#include "master/counters.h"
#include "postern/err.h"

#define READ_SIZE 8192
#define IN_MAX (64u << 10)

static void run(struct session *s);
static void connected(void *ctx, int fd, size_t target, const char *why);

/* --- life --- */

struct session *
session_new(struct carrier *c, struct site *site, struct route *route, struct job *job)
{
	struct session *s = calloc(1, sizeof(*s));

	ASSERT(s != NULL);
	s->c = c;
	s->site = site;
	s->route = route;
	route->refs++;
	s->job = job;
	s->t.fd = -1;
	s->arena = arena_new(1024);
	s->deadline = INT64_MAX;
	smtp_client_init(&s->m);
	buf_init(&s->in, IN_MAX);
	s->next = c->sessions;
	if (s->next)
		s->next->prev = &s->next;
	s->prev = &c->sessions;
	c->sessions = s;
	c->nsessions++;
	job->t_conn = clock_real();
	s->connector = connect_start(c, route, &s->tried, connected, s);
	return s;
}

/* Closes the socket; the session may connect again. */
static void
hang_up(struct session *s)
{
	if (s->ev_read)
		event_free(s->ev_read);
	if (s->ev_write)
		event_free(s->ev_write);
	s->ev_read = s->ev_write = NULL;
	s->writing = s->handshaking = false;
	transport_close(&s->t);
	buf_reset(&s->in);
}

void
session_free(struct session *s)
{
	hang_up(s);
	connect_cancel(&s->connector);
	if (s->prev) {
		*s->prev = s->next;
		if (s->next)
			s->next->prev = s->prev;
		s->c->nsessions--;
	}
	smtp_client_release(&s->m);
	buf_release(&s->in);
	route_unref(&s->route);
	arena_free(&s->arena);
	free(s);
}

/* The end: out of every list, freed by the carrier at the end of the turn. */
static void
die(struct session *s)
{
	struct carrier *c = s->c;

	ASSERT(s->job == NULL && s->phase != SESSION_DEAD);
	hang_up(s);
	connect_cancel(&s->connector);
	site_session_gone(s->site, s);
	s->phase = SESSION_DEAD;
	*s->prev = s->next;
	if (s->next)
		s->next->prev = s->prev;
	s->prev = NULL;
	c->nsessions--;
	s->next = c->dead;
	c->dead = s;
	event_active(c->kick, EV_TIMEOUT, 0);
}

/* --- the job --- */

static void
job_over(struct session *s)
{
	struct job *job = s->job;

	s->job = NULL;
	job->relay = s->relay.n ? arena_span(job->arena, s->relay) : SPAN_LIT("none");
	job->tls = arena_span(job->arena, s->tls);
	job_done(s->c, job);
}

/* What everybody needs there: postern.yaml, the records of the host. */
static enum require_tls
common_need(const struct session *s, const struct plan_host *h)
{
	if (h->dane == DANE_USABLE)
		return TLS_DANE;
	return h->dane == DANE_UNUSABLE || s->c->conf->delivery.floor == FLOOR_ENCRYPTED ?
	    TLS_ENCRYPTED : TLS_UNSPECIFIED;
}

/* The most that anyone asks for: the job, or that. */
static enum require_tls
tls_needed(const struct session *s, const struct plan_host *h)
{
	enum require_tls all = common_need(s, h), own = job_demand(s->job).least;

	return own > all ? own : all;
}

/* The session failed for what its job asked for, no more. */
static bool
demanded(const struct session *s)
{
	const struct plan *p = &s->route->plan;
	const struct plan_host *h = &p->hosts[p->targets[s->target].host];

	if (!s->m.failed || s->m.fail.cls != FAIL_TLS || job_demand(s->job).least == TLS_UNSPECIFIED)
		return false;
	return s->has >= common_need(s, h) || (s->need == TLS_DANE && h->dane != DANE_USABLE);
}

/* No target is left; s->last says why the last one was given up. */
static void
unreachable(struct session *s)
{
	struct job *job = s->job;
	struct smtp_result why = s->last;
	struct job_demand demand = { 0 };

	if (s->demanded) {
		demand = job_demand(job);
		why.cls = FAIL_MESSAGE;
	}
	s->job = NULL;
	job_fail_rest(job, &why);
	job->relay = s->relay.n ? arena_span(job->arena, s->relay) : SPAN_LIT("none");
	job->tls = arena_span(job->arena, s->tls);
	job_done(s->c, job);
	site_session_gone(s->site, s);
	site_unreachable(s->site, &why, s->relay, demand);
	die(s);
}

static void
next_target(struct session *s)
{
	hang_up(s);
	s->phase = SESSION_CONNECTING;
	s->deadline = INT64_MAX;
	s->connector = connect_start(s->c, s->route, &s->tried, connected, s);
}

/* The machine has ended the session, or it ended under it. */
static void
over(struct session *s)
{
	struct smtp_client *m = &s->m;

	if (s->job == NULL) {
		die(s);
		return;
	}
	ASSERT(m->failed);
	if (s->served > 1 && m->msg && !m->heard && !s->job->requeued) {
		/* It had died while it was idle: the job has not been tried at all. */
		struct job *job = s->job;

		s->job = NULL;
		job->requeued = true;
		job->at -= m->msg->n;
		site_requeue(s->site, job);
		die(s);
	} else if (m->msg) {
		job_fail_rest(s->job, &m->fail);
		job_over(s);
		die(s);
	} else {
		bool own = demanded(s);

		s->demanded |= own;
		s->last = m->fail;
		s->last.reply = arena_span(s->arena, m->fail.reply);
		/* What only this message asks for says nothing about the server. */
		if (!own)
			s->route->bad_until[s->target] = clock_mono() + 60 * US_PER_SEC;
		next_target(s);
	}
}

/* The next transaction of this job, or of the next job. false: there is none. */
static bool
begin(struct session *s)
{
	struct job *job;

	for (;;) {
		size_t n;

		job = s->job;
		if (job && job->at == job->d.nrecipients) {
			job_over(s);
			continue;
		}
		if (job == NULL) {
			if (s->c->retiring || s->served >= s->c->conf->delivery.site_messages)
				return false;
			if ((job = s->job = site_next(s->site, s)) == NULL)
				return false;
		}
		if (job->at == 0) {
			job->t_ready = clock_real();
			if (s->served++)
				job->t_conn = job->t_ready;
		}
		n = job->d.nrecipients - job->at;
		if (n > SMTP_RCPT_MAX)
			n = SMTP_RCPT_MAX;
		s->msg = (struct smtp_message){ .arena = job->arena, .sender = job->d.sender,
			.envid = job->d.envid, .ret = job->d.ret, .flags = job->d.flags,
			.recipients = job->d.recipients + job->at, .results = job->results + job->at,
			.n = n, .bytes = job->bytes, .eightbit = job->eightbit, .utf8_header = job->utf8_header };
		job->at += n;
		if (smtp_client_message(&s->m, &s->msg))
			return true;
	}
}

/* Nothing to carry: wait a moment for the next job, or leave. */
static void
rest(struct session *s)
{
	if (s->c->retiring || s->served >= s->c->conf->delivery.site_messages) {
		session_quit(s);
		return;
	}
	s->phase = SESSION_IDLE;
	s->deadline = clock_mono() + smtp_client_patience(&s->m);
}

/* --- input and output --- */

static void
want_write(struct session *s)
{
	if (!s->writing) {
		event_add(s->ev_write, NULL);
		s->writing = true;
	}
}

/* What the machine has to say. 0 all said, TRANSPORT_AGAIN, TRANSPORT_BROKEN. */
static int
say(struct session *s)
{
	struct span v[CLIENT_OUT_SPANS];
	struct err err;
	size_t n;

	while ((n = smtp_client_out(&s->m, v, CLIENT_OUT_SPANS)) > 0) {
		ssize_t r = transport_write(&s->t, v, n, &err);

		if (r == TRANSPORT_AGAIN) {
			want_write(s);
			return TRANSPORT_AGAIN;
		}
		if (r < 0) {
			smtp_client_lost(&s->m, "lost connection");
			return TRANSPORT_BROKEN;
		}
		smtp_client_sent(&s->m, (size_t)r);
		if (s->m.state == CLIENT_BODY)	/* progress */
			s->deadline = clock_mono() + smtp_client_patience(&s->m);
	}
	return 0;
}

/* TLS stands. Is it what was wanted? Nothing of a message has been said yet. */
static void
shaken(struct session *s)
{
	static const enum require_tls worth[] = { [PROVED_NOTHING] = TLS_ENCRYPTED,
		[PROVED_NAME] = TLS_VERIFIED, [PROVED_DANE] = TLS_DANE };
	static const char *const wanted[] = { [TLS_VERIFIED] = "verified", [TLS_DANE] = "DANE" };
	const struct plan *p = &s->route->plan;
	struct span names[PLAN_NAMES_MAX];
	size_t n = plan_names(p, p->targets[s->target].host, names);
	struct err verdict = { 0 };
	enum proved proved = transport_proved(&s->t, names, n, &verdict);

	s->tls = transport_tls_text(&s->t, proved, s->arena);
	s->has = worth[proved];
	counter_add(COUNTER_OUT_TLS, 1);
	if (s->has < s->need) {
		smtp_client_fail(&s->m, RCPT_DEFERRED, FAIL_TLS, "4.7.5", "the certificate of host "
		    SPAN_FMT " is not good enough (%s TLS is required): %s", SPAN_ARG(s->m.peer),
		    wanted[s->need], verdict.text);
		log_msg(LOG_LVL_WARN, s->job->d.id, "%s TLS is required, and host " SPAN_FMT
		    " has not proved it: %s (" SPAN_FMT ")", wanted[s->need], SPAN_ARG(s->m.peer),
		    verdict.text, SPAN_ARG(s->tls));
		return;
	}
	smtp_client_tls_done(&s->m);
}

static void
handshake(struct session *s)
{
	struct err err;
	int r = transport_handshake(&s->t, &err);

	if (r == TRANSPORT_AGAIN) {
		if (s->t.wants_write)
			want_write(s);
		return;
	}
	s->handshaking = false;
	if (r == 0) {
		shaken(s);
		run(s);
		return;
	}
	if (s->m.tls == CLIENT_TLS_OFFERED) {
		/* Better in clear than not at all: that is what opportunistic means (RFC 7435). */
		log_info(SPAN_FMT ": %s; once more without TLS", SPAN_ARG(s->relay), err.text);
		s->plain_only = true;
		s->tried &= ~(UINT64_C(1) << s->target);
		next_target(s);
		return;
	}
	smtp_client_fail(&s->m, RCPT_DEFERRED, FAIL_TLS, "4.7.5", "Cannot start TLS with "
	    SPAN_FMT ": %s", SPAN_ARG(s->m.peer), err.text);
	run(s);
}

/* The records found for the host, where there are any that count (RFC 7672). */
static int
expect_dane(struct session *s, size_t host, struct err *err)
{
	const struct plan *p = &s->route->plan;
	const struct dns_answer *a = s->route->tlsa[host];
	const char *also[] = { p->hosts[host].name, p->domain, NULL };
	struct tlsa v[DNS_RECORDS_MAX];
	size_t n = 0;

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

static void
start_tls(struct session *s)
{
	const struct target *t = &s->route->plan.targets[s->target];
	struct err err;

	if (transport_tls(&s->t, s->c->tls, s->route->plan.hosts[t->host].name, &err) == -1 ||
	    expect_dane(s, t->host, &err) == -1) {
		smtp_client_fail(&s->m, RCPT_DEFERRED, FAIL_TLS, "4.7.5", "%s", err.text);
		run(s);
		return;
	}
	s->handshaking = true;
	handshake(s);
}

static void
run(struct session *s)
{
	for (;;) {
		size_t used;
		enum smtp_step step = smtp_client_step(&s->m, buf_data(&s->in), &used);

		buf_consume(&s->in, used);
		if (s->m.state != s->granted) {
			s->granted = s->m.state;
			s->deadline = clock_mono() + smtp_client_patience(&s->m);
		}
		switch (step) {
		case SMTP_MORE:
			return;
		case SMTP_SAY:
			if (say(s) == TRANSPORT_AGAIN)
				return;
			break;
		case SMTP_DONE:
			over(s);
			return;
		case SMTP_WAIT:
			if (s->m.state == CLIENT_TLS) {
				start_tls(s);
				return;
			}
			if (!begin(s)) {
				rest(s);
				return;
			}
			break;
		}
	}
}

static void
readable(evutil_socket_t fd, short what, void *arg)
{
	struct session *s = arg;

	if (s->handshaking) {
		handshake(s);
		return;
	}
	for (;;) {
		struct err err;
		char *room = buf_room(&s->in, READ_SIZE);
		ssize_t r;

		if (room == NULL) {
			/* It answers what nobody has asked yet, on and on. */
			smtp_client_lost(&s->m, "protocol error: too much input");
			run(s);
			return;
		}
		r = transport_read(&s->t, room, READ_SIZE, &err);
		if (r == TRANSPORT_AGAIN) {
			if (s->t.wants_write)
				want_write(s);
			return;
		}
		if (r <= 0) {
			smtp_client_lost(&s->m, "lost connection");
			run(s);
			return;
		}
		buf_commit(&s->in, (size_t)r);
		run(s);
		if (s->t.fd != fd || s->ev_read == NULL || s->phase == SESSION_DEAD ||
		    (s->t.ssl == NULL && r < READ_SIZE) || s->handshaking)
			return;
	}
}

static void
writable(evutil_socket_t fd, short what, void *arg)
{
	struct session *s = arg;

	s->writing = false;
	if (s->handshaking)
		handshake(s);
	else
		run(s);
}

static void
connected(void *ctx, int fd, size_t target, const char *why)
{
	struct session *s = ctx;
	const struct plan *p = &s->route->plan;
	struct carrier *c = s->c;

	s->connector = NULL;
	if (fd == -1) {
		if (why) {
			s->relay = s->tls = (struct span){ 0 };
			smtp_result_set(&s->last, CLIENT_GREETING, RCPT_DEFERRED, FAIL_CONNECT,
			    "4.4.1", span_str(arena_printf(s->arena, "%s", why)), false);
		}
		ASSERT(s->last.set);
		unreachable(s);
		return;
	}
	s->target = target;
	s->t.fd = fd;
	s->ev_read = event_new(c->base, fd, EV_READ | EV_PERSIST, readable, s);
	s->ev_write = event_new(c->base, fd, EV_WRITE, writable, s);
	ASSERT(s->ev_read && s->ev_write);
	event_add(s->ev_read, NULL);
	smtp_client_release(&s->m);
	smtp_client_init(&s->m);
	s->m.hello = route_pool(&c->conf->delivery, s->route).hello;
	s->m.peer = span_str(target_name(s->arena, p, &p->targets[target]));
	s->m.loop_detect = p->kind != PLAN_STATIC && p->targets[target].port == 25;
	s->relay = span_str(arena_printf(s->arena, SPAN_FMT ":%u", SPAN_ARG(s->m.peer),
	    p->targets[target].port));
	s->tls = SPAN_LIT("");
	s->has = TLS_UNSPECIFIED;
	s->need = tls_needed(s, &p->hosts[p->targets[target].host]);
	s->m.requiretls = job_demand(s->job).requiretls;
	if (s->need >= TLS_ENCRYPTED)
		s->m.tls = CLIENT_TLS_REQUIRED;
	else if (c->tls && !s->plain_only && c->conf->delivery.floor != FLOOR_NONE)
		s->m.tls = CLIENT_TLS_OFFERED;
	s->plain_only = false;
	s->phase = SESSION_OPEN;
	s->granted = s->m.state;
	s->deadline = clock_mono() + smtp_client_patience(&s->m);
	counter_add(COUNTER_OUT_CONNECTIONS, 1);
	if (s->need == TLS_DANE && p->hosts[p->targets[target].host].dane != DANE_USABLE) {
		smtp_client_fail(&s->m, RCPT_DEFERRED, FAIL_TLS, "4.7.5", "DANE is required, and host "
		    SPAN_FMT " has no TLSA records that count", SPAN_ARG(s->m.peer));
		run(s);
	}
}

/* --- from outside --- */

void
session_give(struct session *s, struct job *job)
{
	ASSERT(s->phase == SESSION_IDLE && s->job == NULL);
	s->job = job;
	s->phase = SESSION_OPEN;
	if (begin(s))
		run(s);
	else
		rest(s);
}

bool
session_fits(const struct session *s, const struct job *job)
{
	struct job_demand d = job_demand(job);

	return s->has >= d.least && (!d.requiretls || (s->m.caps & CAP_REQUIRETLS));
}

void
session_quit(struct session *s)
{
	ASSERT(s->job == NULL);
	s->phase = SESSION_LEAVING;
	site_session_gone(s->site, s);
	smtp_client_quit(&s->m);
	run(s);
}

void
session_tick(struct session *s, int64_t now)
{
	if (now < s->deadline || s->phase == SESSION_DEAD)
		return;
	if (s->phase == SESSION_IDLE) {
		session_quit(s);
		return;
	}
	if (s->handshaking)
		s->handshaking = false;
	smtp_client_timeout(&s->m);
	run(s);
}

void
session_cut(struct session *s)
{
	struct job *job = s->job;
	bool promised = false;

	if (job == NULL) {
		die(s);
		return;
	}
	if (s->m.msg && s->m.state == CLIENT_DOT) {
		smtp_client_lost(&s->m, "shutting down, lost connection");
		smtp_client_fail_rest(&s->m, s->m.msg);
	}
	for (size_t i = 0; i < job->d.nrecipients; i++)
		promised |= job->results[i].set;
	if (promised) {
		struct smtp_result why;

		smtp_result_set(&why, s->m.state, RCPT_DEFERRED, FAIL_LOCAL, "4.3.2",
		    SPAN_LIT("this relay is shutting down"), false);
		job_fail_rest(job, &why);
	} else
		job->handed_back = true;
	job_over(s);
	die(s);
}
