/* session.c -- one outgoing connection in the event loop; see session.h.
 *
 * The machine (smtp_client.c) says what is to be done, this file does it:
 * connect, read, write, shake hands, keep the time. When a server cannot be
 * had (connect, greeting, EHLO, TLS) the next target gets the job; once a
 * transaction has begun, what happens to it is the job's result.
 */
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "clock.h"
#include "delivery/route.h"
#include "delivery/hub.h"
#include "delivery/session.h"
#include "delivery/site.h"
#include "delivery/tlsrpt.h"
#include "log.h"
#include "master/counters.h"
#include "postern/err.h"

#define READ_SIZE 8192
#define IN_MAX (64u << 10)

static void run(struct session *s);
static void connected(void *ctx, int fd, size_t target, const char *why);

/* --- life --- */

struct session *
session_new(struct carrier *c, struct hub *hub, struct site *site, struct job *job)
{
	struct session *s = calloc(1, sizeof(*s));

	ASSERT(s != NULL);
	s->c = c;
	s->hub = hub;
	s->site = site;
	site->working++;
	s->route = site->route;
	s->route->refs++;
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
	talk_begin(&s->talk, clock_mono());
	s->connector = connect_start(c, s->route, &s->tried, connected, s);
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
	talk_release(&s->talk);
	if (s->site)
		s->site->working--;
	route_unref(&s->route);
	arena_free(&s->arena);
	free(s);
}

/* The end: out of every list, freed by the carrier at the end of the turn. */
void
session_die(struct session *s)
{
	struct carrier *c = s->c;

	ASSERT(s->job == NULL && s->phase != SESSION_DEAD);
	hang_up(s);
	connect_cancel(&s->connector);
	hub_session_gone(s->hub, s);
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

void
session_next_target(struct session *s)
{
	hang_up(s);
	s->phase = SESSION_CONNECTING;
	s->deadline = INT64_MAX;
	s->connector = connect_start(s->c, s->route, &s->tried, connected, s);
}

/* Nothing to carry: wait a moment for the next job, or leave. */
static void
rest(struct session *s)
{
	if (s->c->retiring || s->served >= s->c->conf->delivery.site_messages || hub_too_many(s->hub)) {
		session_quit(s);
		return;
	}
	s->phase = SESSION_IDLE;
	s->deadline = clock_mono() + smtp_client_patience(&s->m);
	if (s->hub->ring)
		site_dirty(s->hub->ring);	/* it waits for a connection of another kind */
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

/* For the transcript: commands word for word, of the message how much. */
static void
record(struct session *s, const struct span *v, size_t sent)
{
	size_t commands = smtp_client_commands(&s->m);

	if (commands > sent)
		commands = sent;
	if (commands)
		talk_said(&s->talk, span_sub(v[0], 0, commands), clock_mono());
	if (sent > commands)
		talk_body(&s->talk, sent - commands);
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
		record(s, v, (size_t)r);
		smtp_client_sent(&s->m, (size_t)r);
		if (smtp_client_in_body(&s->m))	/* progress */
			s->deadline = clock_mono() + smtp_client_patience(&s->m);
	}
	return 0;
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
		if (session_tls_judge(s))
			smtp_client_tls_done(&s->m);
		run(s);
		return;
	}
	talk_note(&s->talk, clock_mono(), "%s", err.text);
	if (s->t.offered && !s->anew) {
		/* Perhaps it is the session of before that it cannot stand. */
		tls_cache_forget(s->c->tls_sessions, s->t.cache_key);
		s->anew = true;
		s->tried &= ~(UINT64_C(1) << s->target);
		session_next_target(s);
		return;
	}
	tlsrpt_failed(s, TLS_RESULT_VALIDATION, span_str(err.text));
	if (s->m.tls == CLIENT_TLS_OFFERED) {
		/* Better in clear than not at all: that is what opportunistic means (RFC 7435). */
		log_info(SPAN_FMT ": %s; once more without TLS", SPAN_ARG(s->relay), err.text);
		s->plain_only = true;
		s->tried &= ~(UINT64_C(1) << s->target);
		session_next_target(s);
		return;
	}
	smtp_client_fail(&s->m, RCPT_DEFERRED, FAIL_TLS, "4.7.5", "Cannot start TLS with "
	    SPAN_FMT ": %s", SPAN_ARG(s->m.peer), err.text);
	run(s);
}

static void
start_tls(struct session *s)
{
	struct err err;

	if (session_tls_begin(s, &err) == -1) {
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

		if (used)
			talk_heard(&s->talk, span_sub(buf_data(&s->in), 0, used), clock_mono());
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
			session_over(s);
			return;
		case SMTP_WAIT:
			if (s->m.state == CLIENT_TLS) {
				start_tls(s);
				return;
			}
			if (!session_begin(s)) {
				rest(s);
				return;
			}
			break;
		}
	}
}

/* Answers to pipelined commands that come one by one: a server that sends the next only once the
 * last is acknowledged (Nagle) would wait 40 ms for ours, for each. */
static void
hurry(const struct session *s)
{
	int on = 1;

	if (s->phase == SESSION_OPEN && s->m.state >= CLIENT_MAIL && s->m.state < CLIENT_DATA && s->t.fd != -1)
		setsockopt(s->t.fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
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
		hurry(s);
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
			talk_note(&s->talk, clock_mono(), "%s", why);
			s->relay = s->tls = (struct span){ 0 };
			smtp_result_set(&s->last, CLIENT_GREETING, RCPT_DEFERRED, FAIL_CONNECT,
			    "4.4.1", span_str(arena_printf(s->arena, "%s", why)), false);
		}
		ASSERT(s->last.set);
		session_unreachable(s);
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
	s->tlsa = 0;
	s->need = session_needs(s);
	talk_note(&s->talk, clock_mono(), "connected to " SPAN_FMT, SPAN_ARG(s->relay));
	s->m.requiretls = job_demand(s->job).requiretls;
	if (s->need >= TLS_ENCRYPTED)
		s->m.tls = CLIENT_TLS_REQUIRED;
	else if (c->tls && !s->plain_only && c->conf->delivery.floor != FLOOR_NONE)
		s->m.tls = CLIENT_TLS_OFFERED;
	s->reported = s->plain_only;	/* as a handshake that failed */
	s->plain_only = false;
	s->phase = SESSION_OPEN;
	s->granted = s->m.state;
	s->deadline = clock_mono() + smtp_client_patience(&s->m);
	counter_add(COUNTER_OUT_CONNECTIONS, 1);
	if (s->need == TLS_DANE && p->hosts[p->targets[target].host].dane != DANE_USABLE) {
		tlsrpt_failed(s, TLS_RESULT_DANE_REQUIRED, (struct span){ 0 });
		smtp_client_fail(&s->m, RCPT_DEFERRED, FAIL_TLS, "4.7.5", "DANE is required, and host "
		    SPAN_FMT " has no TLSA records that count", SPAN_ARG(s->m.peer));
		run(s);
	}
}

/* --- from outside --- */

void
session_take(struct session *s, struct site *site, struct job *job)
{
	ASSERT(s->job == NULL && job != NULL);
	s->job = job;
	s->site = site;
	site->working++;
	if (s->route != site->route)
		session_turn_to(s, site->route);
	talk_begin(&s->talk, clock_mono());
	talk_note(&s->talk, s->talk.began, "on a connection to " SPAN_FMT " that has carried %u before",
	    SPAN_ARG(s->relay), s->served);
}

void
session_give(struct session *s, struct site *site, struct job *job)
{
	ASSERT(s->phase == SESSION_IDLE);
	session_take(s, site, job);
	s->phase = SESSION_OPEN;
	if (session_begin(s))
		run(s);
	else
		rest(s);
}

void
session_quit(struct session *s)
{
	ASSERT(s->job == NULL);
	s->phase = SESSION_LEAVING;
	hub_session_gone(s->hub, s);
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
		session_die(s);
		return;
	}
	if (smtp_client_promised(&s->m)) {
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
	session_job_over(s);
	session_die(s);
}
