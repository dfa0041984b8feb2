/* smtp_client.c -- the SMTP conversation of a client, without a socket; see smtp_client.h.
 *
 *	GREETING -> EHLO [-> HELO] [-> STARTTLS -> TLS -> EHLO] -> IDLE
 *	IDLE [-> RSET] -> MAIL -> RCPT… -> DATA -> BODY -> DOT -> IDLE
 *	                           RCPT… [-> BDAT] -> DOT
 *	IDLE -> QUIT -> CLOSED
 *
 * Nothing a server says leads to a message called sent but a 2xx to the dot
 * behind a complete body. 421 ends the session wherever it stands. An answer
 * of a class that makes no sense where it stands ends it too, as a temporary failure.
 */
#include <stdarg.h>
#include <stdio.h>

#include "clock.h"
#include "delivery/smtp_states.h"
#include "postern/err.h"

#define SAY_MAX (512u << 10)
#define FAIL_TEXT_MAX (REPLY_TOTAL_MAX + 4096)

static const struct {
	const char *name, *command, *phrase;
	int seconds;
} words[CLIENT_STATE_COUNT] = {
#define X(name, command, phrase, seconds) [CLIENT_##name] = { #name, command, phrase, seconds },
	CLIENT_STATES(X)
#undef X
};

const char *
client_state_name(enum client_state s)
{
	return words[s].name;
}

const char *
client_state_command(enum client_state s)
{
	return words[s].command;
}

const char *
client_state_phrase(enum client_state s)
{
	return words[s].phrase;
}

int64_t
smtp_client_patience(const struct smtp_client *m)
{
	return words[m->state].seconds * US_PER_SEC;
}

void
smtp_client_init(struct smtp_client *m)
{
	*m = (struct smtp_client){ .state = CLIENT_GREETING };
	smtp_reply_init(&m->reply);
	buf_init(&m->say, SAY_MAX);
	buf_init(&m->fail_text, FAIL_TEXT_MAX);
}

void
smtp_client_release(struct smtp_client *m)
{
	smtp_reply_release(&m->reply);
	buf_release(&m->say);
	buf_release(&m->fail_text);
}

/* --- how it ends --- */

void
smtp_result_set(struct smtp_result *r, enum client_state when, enum rcpt_status status,
    enum fail_class cls, const char *dsn, struct span reply, bool remote)
{
	*r = (struct smtp_result){ .set = true, .status = status, .cls = cls, .reply = reply,
		.remote = remote, .when = when };
	snprintf(r->dsn, sizeof(r->dsn), "%s", dsn);
}

static void
check(const struct smtp_client *m)
{
	ASSERT(m->state < CLIENT_STATE_COUNT);
	if (m->state >= CLIENT_RSET && m->state <= CLIENT_DOT)
		ASSERT(m->msg && m->rcpt <= m->msg->n && m->accepted <= m->rcpt);
	if (m->state == CLIENT_BODY || m->state == CLIENT_BDAT)
		ASSERT(m->accepted > 0 && !m->doomed);
}

void
client_set(struct smtp_client *m, enum client_state to)
{
	m->state = to;
	check(m);
}

void
smtp_client_fail(struct smtp_client *m, enum rcpt_status status, enum fail_class cls,
    const char *dsn, const char *fmt, ...)
{
	va_list ap;

	if (m->failed || m->state == CLIENT_CLOSED)
		return;
	buf_reset(&m->fail_text);
	va_start(ap, fmt);
	buf_vprintf(&m->fail_text, fmt, ap);
	va_end(ap);
	smtp_result_set(&m->fail, m->state, status, cls, dsn, buf_data(&m->fail_text), false);
	m->failed = true;
	client_set(m, CLIENT_CLOSED);
}

/* Enhanced status of the reply, or the plain one of its class. */
static const char *
reply_dsn(const struct smtp_reply *r)
{
	if (r->dsn[0])
		return r->dsn;
	return r->code / 100 == 2 ? "2.0.0" : r->code / 100 == 5 ? "5.0.0" : "4.0.0";
}

/* The server's own words end the session. */
void
client_fail_reply(struct smtp_client *m, enum fail_class cls)
{
	enum rcpt_status status = m->reply.code / 100 == 5 ? RCPT_FAILED : RCPT_DEFERRED;

	buf_reset(&m->fail_text);
	buf_span(&m->fail_text, smtp_reply_text(&m->reply));
	smtp_result_set(&m->fail, m->state, status, cls, reply_dsn(&m->reply),
	    buf_data(&m->fail_text), true);
	m->failed = true;
	client_set(m, CLIENT_CLOSED);
}

/* An answer that has no meaning where it stands. */
void
client_fail_nonsense(struct smtp_client *m)
{
	struct span text = smtp_reply_text(&m->reply);

	smtp_client_fail(m, RCPT_DEFERRED, FAIL_SITE, "4.5.0",
	    "protocol error: host " SPAN_FMT " said: " SPAN_FMT " (in reply to %s)",
	    SPAN_ARG(m->peer), SPAN_ARG(text), client_state_command(m->state));
}

/* What it was about when the connection went. */
static const char *
about(const struct smtp_client *m)
{
	return client_state_phrase(m->all_said ? CLIENT_DOT : m->state);
}

void
smtp_client_lost(struct smtp_client *m, const char *what)
{
	smtp_client_fail(m, RCPT_DEFERRED, m->state == CLIENT_GREETING ? FAIL_GREETING :
	    m->state == CLIENT_STARTTLS || m->state == CLIENT_TLS ? FAIL_TLS : FAIL_SITE, "4.4.2", "%s with " SPAN_FMT
	    " while %s", what, SPAN_ARG(m->peer), about(m));
}

void
smtp_client_timeout(struct smtp_client *m)
{
	smtp_client_fail(m, RCPT_DEFERRED, m->state == CLIENT_GREETING ? FAIL_GREETING :
	    m->state == CLIENT_STARTTLS || m->state == CLIENT_TLS ? FAIL_TLS : FAIL_SITE, "4.4.2",
	    "conversation with " SPAN_FMT " timed out while %s", SPAN_ARG(m->peer), about(m));
}

void
smtp_client_fail_rest(const struct smtp_client *m, struct smtp_message *msg)
{
	struct span text = { 0 };

	ASSERT(m->failed);
	for (size_t i = 0; i < msg->n; i++) {
		if (msg->results[i].set)
			continue;
		if (text.p == NULL)
			text = arena_span(msg->arena, m->fail.reply);
		msg->results[i] = m->fail;
		msg->results[i].reply = text;
	}
}

/* The reply decides for recipients [from, to) that have no result yet. */
void
client_settle(struct smtp_client *m, size_t from, size_t to, enum fail_class cls)
{
	struct smtp_message *msg = m->msg;
	int class = m->reply.code / 100;
	enum rcpt_status status = class == 2 ? RCPT_SENT : class == 5 ? RCPT_FAILED : RCPT_DEFERRED;
	struct span text = { 0 };

	for (size_t i = from; i < to; i++) {
		if (msg->results[i].set)
			continue;
		if (text.p == NULL)
			text = arena_span(msg->arena, smtp_reply_text(&m->reply));
		smtp_result_set(&msg->results[i], m->state, status,
		    status == RCPT_SENT ? FAIL_NONE : cls, reply_dsn(&m->reply), text, true);
		msg->results[i].notifies = status == RCPT_SENT && (m->caps & CAP_DSN);
	}
}

/* --- moving on --- */

void
client_enter(struct smtp_client *m, enum client_state to)
{
	client_set(m, to);
	if (!(m->ahead && (to == CLIENT_MAIL || to == CLIENT_RCPT || to == CLIENT_DATA)) &&
	    client_acts[to].perform)
		client_acts[to].perform(m);
}

void
client_finish(struct smtp_client *m)
{
	for (size_t i = 0; i < m->msg->n; i++)
		ASSERT(m->msg->results[i].set);
	m->msg = NULL;
	m->all_said = false;
	m->rest = m->chunk = (struct span){ 0 };
	client_enter(m, CLIENT_IDLE);
}

void
smtp_client_quit(struct smtp_client *m)
{
	ASSERT(m->state == CLIENT_IDLE && m->msg == NULL);
	client_enter(m, CLIENT_QUIT);
}

static void
perform_quit(struct smtp_client *m)
{
	buf_puts(&m->say, "QUIT\r\n");
}

static void
quit_response(struct smtp_client *m)
{
	client_set(m, CLIENT_CLOSED);
}

const struct client_act client_acts[CLIENT_STATE_COUNT] = {
	[CLIENT_GREETING] = { NULL, greeting_response },
	[CLIENT_EHLO] = { perform_ehlo, ehlo_response },
	[CLIENT_HELO] = { perform_helo, helo_response },
	[CLIENT_STARTTLS] = { perform_starttls, starttls_response },
	[CLIENT_TLS] = { NULL, NULL },
	[CLIENT_IDLE] = { NULL, NULL },
	[CLIENT_RSET] = { perform_rset, rset_response },
	[CLIENT_MAIL] = { perform_mail, mail_response },
	[CLIENT_RCPT] = { perform_rcpt, rcpt_response },
	[CLIENT_DATA] = { perform_data, data_response },
	[CLIENT_BODY] = { perform_body, body_response },
	[CLIENT_BDAT] = { perform_bdat, bdat_response },
	[CLIENT_DOT] = { NULL, dot_response },
	[CLIENT_QUIT] = { perform_quit, quit_response },
	[CLIENT_CLOSED] = { NULL, NULL },
};

/* --- the loop --- */

static bool
has_output(struct smtp_client *m)
{
	struct span v;

	return smtp_client_out(m, &v, 1) > 0;
}

size_t
smtp_client_commands(const struct smtp_client *m)
{
	return buf_size(&m->say);
}

bool
smtp_client_in_body(const struct smtp_client *m)
{
	return m->state == CLIENT_BODY || m->chunk.n > 0;
}

bool
smtp_client_promised(const struct smtp_client *m)
{
	return m->msg && (m->state == CLIENT_DOT || m->all_said);
}

size_t
smtp_client_out(struct smtp_client *m, struct span *v, size_t max)
{
	size_t n = 0;

	if (buf_size(&m->say))
		v[n++] = buf_data(&m->say);
	if (m->chunk.n && n < max)
		v[n++] = m->chunk;
	if (n || m->state != CLIENT_BODY)
		return n;
	if (m->out_at == m->out_n) {
		m->out_at = m->out_n = 0;
		while (m->out_n < CLIENT_OUT_SPANS && dotstuff_next(&m->body, &m->out[m->out_n]))
			m->out_n++;
	}
	n = m->out_n - m->out_at;
	if (n > max)
		n = max;
	memcpy(v, m->out + m->out_at, n * sizeof(*v));
	return n;
}

/* A chunk has gone: the next, or the end. */
static void
chunk_sent(struct smtp_client *m)
{
	if (m->rest.n && !m->refused) {
		client_chunk(m);
		return;
	}
	m->all_said = !m->refused;
	if (m->state == CLIENT_BDAT)
		client_set(m, CLIENT_DOT);
}

void
smtp_client_sent(struct smtp_client *m, size_t n)
{
	size_t said = buf_size(&m->say);

	if (said) {
		buf_consume(&m->say, n < said ? n : said);
		n -= n < said ? n : said;
	}
	if (n && m->chunk.n) {
		ASSERT(n <= m->chunk.n);
		m->chunk = span_from(m->chunk, n);
		if (m->chunk.n == 0)
			chunk_sent(m);
		return;
	}
	while (n) {
		struct span *s = &m->out[m->out_at];
		size_t k = n < s->n ? n : s->n;

		ASSERT(m->state == CLIENT_BODY && m->out_at < m->out_n);
		*s = span_from(*s, k);
		n -= k;
		if (s->n == 0)
			m->out_at++;
	}
	/* From here on the server may have it. An answer begun before the dot is none to it. */
	if (m->state == CLIENT_BODY && !has_output(m) && !smtp_reply_begun(&m->reply))
		client_set(m, CLIENT_DOT);
}

/* One whole reply was heard. */
static void
hear(struct smtp_client *m)
{
	if (m->msg && m->reply.code != 421)
		m->heard = true;
	if (m->reply.code == 421 && m->state != CLIENT_BODY && m->state != CLIENT_QUIT)
		client_fail_reply(m, m->state == CLIENT_GREETING ? FAIL_GREETING : FAIL_SITE);
	else
		client_acts[m->state].response(m);
	smtp_reply_reset(&m->reply);
}

enum smtp_step
smtp_client_step(struct smtp_client *m, struct span in, size_t *used)
{
	size_t at = 0, n;

	for (;;) {
		*used = at;
		if (m->state == CLIENT_CLOSED)
			return SMTP_DONE;
		if (m->state == CLIENT_IDLE || m->state == CLIENT_TLS) {
			if (m->state == CLIENT_TLS || at == in.n)
				return SMTP_WAIT;
			/* It speaks unasked: 421 before it hangs up, or worse. */
			smtp_client_lost(m, "lost connection");
			continue;
		}
		if (m->state != CLIENT_BODY && m->state != CLIENT_BDAT && has_output(m))
			return SMTP_SAY;	/* no answer counts before all was said */
		switch (smtp_reply_feed(&m->reply, span_from(in, at), &n)) {
		case REPLY_BROKEN:
			smtp_client_fail(m, RCPT_DEFERRED, m->state == CLIENT_GREETING ? FAIL_GREETING :
			    FAIL_SITE, "4.5.0", "protocol error: %s (" SPAN_FMT ", %s)",
			    m->reply.broken, SPAN_ARG(m->peer), client_state_phrase(m->state));
			break;
		case REPLY_WHOLE:
			at += n;
			m->pending = in.n - at;
			hear(m);
			break;
		case REPLY_MORE:
			*used = at + n;
			return has_output(m) ? SMTP_SAY : SMTP_MORE;
		}
	}
}
