/* smtp_handshake.c -- the SMTP client from the greeting to the first message.
 *
 * EHLO first, whatever the greeting says; HELO where EHLO is refused. TLS is
 * taken where it is offered, and asked for again behind it: what a server
 * said in clear is forgotten.
 */
#include <stdio.h>

#include "delivery/smtp_states.h"
#include "postern/err.h"

void
greeting_response(struct smtp_client *m)
{
	struct span text;

	if (m->reply.code / 100 != 2) {
		/* A server that will not talk today; another may (Postfix: skip_5xx_greeting). */
		client_fail_reply(m, FAIL_GREETING);
		m->fail.status = RCPT_DEFERRED;
		if (m->fail.dsn[0] == '5')
			m->fail.dsn[0] = '4';
		return;
	}
	text = smtp_reply_line(&m->reply, 0);
	if (m->loop_detect && span_eq_nocase(span_sub(text, 0, span_find(text, ' ')), m->hello)) {
		smtp_client_fail(m, RCPT_FAILED, FAIL_SITE, "5.4.6",
		    "mail loops back to myself: host " SPAN_FMT " greets with my own name",
		    SPAN_ARG(m->peer));
		return;
	}
	client_enter(m, CLIENT_EHLO);
}

void
perform_ehlo(struct smtp_client *m)
{
	m->caps = 0;
	m->size_limit = 0;
	buf_printf(&m->say, "EHLO " SPAN_FMT "\r\n", SPAN_ARG(m->hello));
}

static void
capability(struct smtp_client *m, struct span line)
{
	static const struct { const char *word; uint32_t cap; } known[] = {
		{ "PIPELINING", CAP_PIPELINING }, { "SIZE", CAP_SIZE }, { "8BITMIME", CAP_8BITMIME },
		{ "STARTTLS", CAP_STARTTLS }, { "DSN", CAP_DSN }, { "SMTPUTF8", CAP_SMTPUTF8 },
		{ "CHUNKING", CAP_CHUNKING }, { "REQUIRETLS", CAP_REQUIRETLS },
	};
	struct span word = span_sub(line, 0, span_find(line, ' '));
	struct span arg = span_trim(span_from(line, word.n));

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (span_is_nocase(word, known[i].word))
			m->caps |= known[i].cap;
	if (span_is_nocase(word, "SIZE")) {
		uint64_t v = 0;

		for (size_t i = 0; i < arg.n && arg.p[i] >= '0' && arg.p[i] <= '9'; i++)
			if (__builtin_mul_overflow(v, 10, &v) ||
			    __builtin_add_overflow(v, (uint64_t)(arg.p[i] - '0'), &v)) {
				v = 0;		/* absurd: as good as none */
				break;
			}
		m->size_limit = v;
	}
}

/* The server has introduced itself: TLS, or ready. */
static void
introduced(struct smtp_client *m)
{
	if (!m->tls_active && m->tls != CLIENT_TLS_NEVER && (m->caps & CAP_STARTTLS)) {
		client_enter(m, CLIENT_STARTTLS);
	} else if (!m->tls_active && m->tls == CLIENT_TLS_REQUIRED) {
		smtp_client_fail(m, RCPT_DEFERRED, FAIL_TLS, "4.7.4",
		    "TLS is required, but was not offered by host " SPAN_FMT, SPAN_ARG(m->peer));
	} else if (m->requiretls && !(m->caps & CAP_REQUIRETLS)) {
		smtp_client_fail(m, RCPT_DEFERRED, FAIL_TLS, "4.7.30",
		    "REQUIRETLS is required, but was not offered by host " SPAN_FMT,
		    SPAN_ARG(m->peer));
	} else
		client_enter(m, CLIENT_IDLE);
}

void
ehlo_response(struct smtp_client *m)
{
	if (m->reply.code / 100 == 5) {
		client_enter(m, CLIENT_HELO);
		return;
	}
	if (m->reply.code / 100 != 2) {
		client_fail_reply(m, FAIL_SITE);
		return;
	}
	m->caps |= CAP_ESMTP;
	for (size_t i = 1; i < m->reply.nlines; i++)
		capability(m, smtp_reply_line(&m->reply, i));
	introduced(m);
}

void
perform_helo(struct smtp_client *m)
{
	buf_printf(&m->say, "HELO " SPAN_FMT "\r\n", SPAN_ARG(m->hello));
}

void
helo_response(struct smtp_client *m)
{
	if (m->reply.code / 100 == 2)
		introduced(m);
	else
		client_fail_reply(m, FAIL_SITE);
}

void
perform_starttls(struct smtp_client *m)
{
	buf_puts(&m->say, "STARTTLS\r\n");
}

void
starttls_response(struct smtp_client *m)
{
	if (m->reply.code == 220 && m->pending) {
		/* Bytes behind the 220 came in clear: someone between us wants them to be
		 * taken for the server's (CVE-2011-0411, seen from the client). */
		smtp_client_fail(m, RCPT_DEFERRED, FAIL_TLS, "4.7.5", "host " SPAN_FMT
		    " sent data behind its reply to STARTTLS", SPAN_ARG(m->peer));
	} else if (m->reply.code == 220) {
		client_enter(m, CLIENT_TLS);
	} else if (m->tls == CLIENT_TLS_REQUIRED || m->reply.code == 421) {
		client_fail_reply(m, FAIL_TLS);
		m->fail.status = RCPT_DEFERRED;
		snprintf(m->fail.dsn, sizeof(m->fail.dsn), "4.7.4");
	} else
		client_enter(m, CLIENT_IDLE);
}

void
smtp_client_tls_done(struct smtp_client *m)
{
	ASSERT(m->state == CLIENT_TLS);
	m->tls_active = true;
	client_enter(m, CLIENT_EHLO);
}
