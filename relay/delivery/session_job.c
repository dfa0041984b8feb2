/* session_job.c -- the job of a session: transactions one after the other, and what becomes
 * of it when the session ends; see session.h.
 *
 * When a server cannot be had (connect, greeting, EHLO, TLS) the next target
 * gets the job; once a transaction has begun, what happens to it is the job's
 * result, but for three cases in which nothing of it was taken and another
 * connection will do: the connection had died while it was idle, a server turned it away
 * while it serves others, BDAT was offered and is not known.
 */
#include "clock.h"
#include "delivery/hub.h"
#include "delivery/session.h"
#include "delivery/site.h"
#include "delivery/tlsrpt.h"
#include "net/batv_book.h"
#include "postern/err.h"

/* The session lets go of its job and the job's site. */
static struct job *
let_go(struct session *s)
{
	struct job *job = s->job;

	s->job = NULL;
	s->site->working--;
	s->site = NULL;
	return job;
}

static bool
all_sent(const struct job *job)
{
	for (size_t i = 0; i < job->d.nrecipients; i++)
		if (job->results[i].status != RCPT_SENT)
			return false;
	return true;
}

/* Every recipient has its result, or the job is handed back. */
void
session_job_over(struct session *s)
{
	struct job *job = let_go(s);

	job->relay = s->relay.n ? arena_span(job->arena, s->relay) : SPAN_LIT("none");
	job->tls = arena_span(job->arena, s->tls);
	if (!job->handed_back && !all_sent(job))
		job->talk = talk_text(&s->talk, job->arena, clock_mono());
	job_done(s->c, job);
}

/* No target is left; s->last says why the last one was given up. */
void
session_unreachable(struct session *s)
{
	struct job *job = s->job;
	struct site *site = s->site;
	struct hub *hub = s->hub;
	struct smtp_result why = s->last;
	struct job_demand demand = { 0 };

	if (s->demanded) {
		demand = job_demand(job);
		why.cls = FAIL_MESSAGE;
	}
	if (s->last.cls == FAIL_TLS && s->c->tls_failed)
		s->c->tls_failed(s->c->ctx, job, s->relay, why.reply);
	job_fail_rest(job, &why);
	session_job_over(s);
	hub_session_gone(hub, s);
	hub_unreachable(hub, site, &why, s->relay, demand);
	session_die(s);
}

/* A server would not let this one in, and serves others: the job waits for one of those. */
static bool
wait_for_another(struct session *s)
{
	struct site *site = s->site;
	struct job *job = s->job;

	if (!s->m.failed || !s->m.fail.remote || s->m.fail.status != RCPT_DEFERRED ||
	    s->m.fail.when > CLIENT_HELO || !hub_works(s->hub, s))
		return false;
	hub_push_back(s->hub, s, true);
	if (job->pushed >= HUB_PUSHED_MAX)
		return false;
	job->pushed++;
	let_go(s);
	site_requeue(site, job);
	session_die(s);
	return true;
}

/* 421 before anything of a message was taken: it goes again where others are served. So does what went by
 * a BDAT that turned out not to be known. */
static bool
once_more(struct session *s)
{
	struct site *site = s->site;
	struct job *job = s->job;

	if (s->m.bdat_unknown)
		s->hub->no_chunking = true;
	else if (!s->m.fail.remote || s->m.fail.status != RCPT_DEFERRED ||
	    s->m.fail.when >= CLIENT_BODY || !hub_works(s->hub, s))
		return false;
	if (job->at > s->m.msg->n || job->pushed >= HUB_PUSHED_MAX)
		return false;
	for (size_t i = 0; i < job->d.nrecipients; i++)
		if (job->results[i].set)
			return false;
	job->pushed++;
	job->at = 0;
	let_go(s);
	site_requeue(site, job);
	return true;
}

/* The machine has ended the session, or it ended under it. */
void
session_over(struct session *s)
{
	struct smtp_client *m = &s->m;

	if (s->job == NULL) {
		session_die(s);
		return;
	}
	ASSERT(m->failed);
	/* What it could make nothing of has not been taken. */
	if (buf_size(&s->in) && !m->fail.remote)
		talk_heard(&s->talk, span_sub(buf_data(&s->in), 0, TALK_LINE), clock_mono());
	talk_note(&s->talk, clock_mono(), SPAN_FMT, SPAN_ARG(m->fail.reply));
	if (m->fail.cls == FAIL_TLS && !m->tls_active)
		tlsrpt_failed(s, TLS_RESULT_STARTTLS, m->fail.reply);
	/* 421 as the first word on a connection that was idle says "too long", not "too many". */
	if (m->msg && m->fail.remote && m->fail.status == RCPT_DEFERRED && !m->bdat_unknown &&
	    (m->heard || s->served == 1))
		hub_push_back(s->hub, s, false);
	if (s->served > 1 && m->msg && !m->heard && !s->job->requeued) {
		/* It had died while it was idle: the job has not been tried at all. */
		struct site *site = s->site;
		struct job *job = let_go(s);

		job->requeued = true;
		job->at -= m->msg->n;
		site_requeue(site, job);
		session_die(s);
	} else if (m->msg) {
		if (!once_more(s)) {
			job_fail_rest(s->job, &m->fail);
			session_job_over(s);
		}
		session_die(s);
	} else if (m->tls == CLIENT_TLS_OFFERED && !m->fail.remote && strcmp(m->fail.dsn, "4.4.2") == 0 &&
	    (m->fail.when == CLIENT_STARTTLS || m->fail.when == CLIENT_TLS)) {
		/* Better in clear than not at all, as where the handshake fails (RFC 7435). */
		tlsrpt_failed(s, TLS_RESULT_VALIDATION, m->fail.reply);
		s->plain_only = true;
		s->tried &= ~(UINT64_C(1) << s->target);
		session_next_target(s);
	} else if (!wait_for_another(s)) {
		bool own = session_demanded(s);

		s->demanded |= own;
		s->last = m->fail;
		s->last.reply = arena_span(s->arena, m->fail.reply);
		/* What only this message asks for says nothing about the server. */
		if (!own)
			s->route->bad_until[s->target] = clock_mono() + 60 * US_PER_SEC;
		session_next_target(s);
	}
}

/* A transaction has ended: what it says about the servers. */
static void
learn(struct session *s)
{
	bool sent = false, off = false;

	for (size_t i = 0; i < s->msg.n; i++) {
		const struct smtp_result *r = &s->msg.results[i];

		sent |= r->set && r->status == RCPT_SENT;
		off |= r->set && r->remote && r->status == RCPT_DEFERRED && r->cls != FAIL_RECIPIENT;
	}
	if (sent)
		hub_success(s->hub);
	else if (off)
		hub_put_off(s->hub, s);
	s->msg.n = 0;
}

/* The next transaction of this job, or of the next job. false: there is none. */
bool
session_begin(struct session *s)
{
	struct job *job;

	if (s->served == 0)
		hub_reached(s->hub);
	learn(s);
	for (;;) {
		size_t n;

		job = s->job;
		if (job && job->at == job->d.nrecipients) {
			session_job_over(s);
			continue;
		}
		if (job == NULL) {
			if (s->c->retiring || s->served >= s->c->conf->delivery.site_messages)
				return false;
			if (!hub_next(s->hub, s))
				return false;
			job = s->job;
		}
		if (job->at == 0) {
			job->t_ready = clock_real();
			if (s->served++)
				job->t_conn = job->t_ready;
			else if (!s->m.tls_active && s->m.tls != CLIENT_TLS_NEVER)
				tlsrpt_failed(s, TLS_RESULT_STARTTLS, (struct span){ 0 });
		}
		if (s->hub->no_chunking)
			s->m.caps &= ~(uint32_t)CAP_CHUNKING;
		if ((s->m.caps & CAP_CHUNKING) && job->lines == LINES_UNKNOWN)
			job->lines = span_has_lines(job->bytes) ? LINES_CRLF : LINES_OTHER;
		n = job->d.nrecipients - job->at;
		if (n > SMTP_RCPT_MAX)
			n = SMTP_RCPT_MAX;
		s->msg = (struct smtp_message){ .arena = job->arena, .sender = batv_sender(
			s->c->batv, job->arena, job->d.sender, job->d.recipients[job->at].address, clock_real()),
			.envid = job->d.envid, .ret = job->d.ret, .flags = job->d.flags,
			.recipients = job->d.recipients + job->at, .results = job->results + job->at,
			.n = n, .bytes = job->bytes, .eightbit = job->eightbit, .utf8_header = job->utf8_header,
			.lines = job->lines == LINES_CRLF, .probe = job->probe };
		job->at += n;
		if (smtp_client_message(&s->m, &s->msg))
			return true;
		s->msg.n = 0;	/* refused by ourselves: it says nothing of the server, and the job ends */
	}
}
