/* smtp_mail.c -- one mail transaction of the SMTP client.
 *
 * With PIPELINING the envelope and DATA leave together and the answers come
 * one by one; when nobody is left at a 354, an empty message to no one
 * ends the transaction. With BDAT nothing is asked before the message, and a
 * server throws the bytes of a chunk away that it refuses (RFC 3030, 2): so they are said to their
 * end in any case, no further chunk is begun, and RSET comes before what
 * follows. A refusal touches only whom it names: RCPT one recipient, MAIL, DATA
 * and the dot all that were accepted before.
 *
 * Nothing is converted. 8-bit text for a server without 8BITMIME, and UTF-8 in
 * addresses or header for one without SMTPUTF8, come back to the sender as
 * 5.6.3 and 5.6.7: to write the body or the header anew would break the DKIM
 * signature, and RFC 6531 leaves no way down for an address. A message that came with
 * SMTPUTF8 but is all ASCII where it counts goes to any server (RFC 6531, 3.4).
 */
#include <stdio.h>

#include "delivery/smtp_states.h"
#include "postern/err.h"

/* No control byte may enter a command line; a space ends a parameter. */
static bool
sayable(struct span s, bool space)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < (space ? ' ' : '!') || s.p[i] == 0x7f)
			return false;
	return true;
}

/* <> of a path would end it early where a server does not read quotes. */
static bool
sayable_path(struct span s)
{
	return s.n <= 1024 && sayable(s, true) && span_find(s, '<') == s.n && span_find(s, '>') == s.n;
}

static bool
refuse(struct smtp_message *msg, enum fail_class cls, const char *dsn, const char *text)
{
	for (size_t i = 0; i < msg->n; i++)
		if (!msg->results[i].set)
			smtp_result_set(&msg->results[i], CLIENT_MAIL, RCPT_FAILED, cls, dsn,
			    span_str(text), false);
	return false;
}

static bool
utf8_addresses(const struct smtp_message *msg)
{
	bool utf8 = span_has_8bit(msg->sender);

	for (size_t i = 0; i < msg->n; i++)
		utf8 |= span_has_8bit(msg->recipients[i].address);
	return utf8;
}

bool
message_utf8_header(struct span bytes)
{
	for (size_t at = 0; at < bytes.n; ) {
		struct span rest = span_from(bytes, at), line = span_sub(rest, 0, span_find(rest, '\n'));

		if (line.n == 0 || (line.n == 1 && line.p[0] == '\r'))
			break;
		if (span_has_8bit(line))
			return true;
		at += line.n + 1;
	}
	return false;
}

/* Can this server, can SMTP carry it at all? */
static bool
can_carry(const struct smtp_client *m, struct smtp_message *msg)
{
	bool utf8 = utf8_addresses(msg);

	for (size_t i = 0; i < msg->n; i++)
		if (!sayable_path(msg->recipients[i].address))
			return refuse(msg, FAIL_LOCAL, "5.1.3", "a recipient's address cannot be said in SMTP");
	if (!sayable_path(msg->sender))
		return refuse(msg, FAIL_LOCAL, "5.1.7", "the sender's address cannot be said in SMTP");
	utf8 |= (msg->flags & ENVELOPE_SMTPUTF8) && msg->utf8_header;
	if (utf8 && !(m->caps & CAP_SMTPUTF8))
		return refuse(msg, FAIL_MESSAGE, "5.6.7",
		    arena_printf(msg->arena, "SMTPUTF8 is required, but was not offered by host "
		    SPAN_FMT, SPAN_ARG(m->peer)));
	if (m->size_limit && msg->bytes.n > m->size_limit)
		return refuse(msg, FAIL_MESSAGE, "5.3.4", arena_printf(msg->arena,
		    "message size %zu exceeds size limit %llu of server " SPAN_FMT, msg->bytes.n,
		    (unsigned long long)m->size_limit, SPAN_ARG(m->peer)));
	if (msg->eightbit && !(m->caps & CAP_8BITMIME))
		return refuse(msg, FAIL_MESSAGE, "5.6.3",
		    arena_printf(msg->arena, "the message has 8-bit text, and 8BITMIME was not offered by host "
		    SPAN_FMT, SPAN_ARG(m->peer)));
	return true;
}

bool
smtp_client_message(struct smtp_client *m, struct smtp_message *msg)
{
	ASSERT(m->state == CLIENT_IDLE && m->msg == NULL);
	ASSERT(msg->n > 0 && msg->n <= SMTP_RCPT_MAX);
	m->heard = false;
	if (!can_carry(m, msg))
		return false;
	m->msg = msg;
	m->rcpt = m->accepted = 0;
	m->doomed = m->absurd = m->ahead = m->refused = m->all_said = false;
	m->chunks_said = m->chunks_heard = 0;
	m->rest = m->chunk = (struct span){ 0 };
	m->bdat = (m->caps & CAP_CHUNKING) && msg->lines && !msg->probe;
	if (m->need_rset)
		client_enter(m, CLIENT_RSET);
	else
		client_enter(m, CLIENT_MAIL);
	return true;
}

void
perform_rset(struct smtp_client *m)
{
	buf_puts(&m->say, "RSET\r\n");
	if (m->caps & CAP_PIPELINING)
		perform_mail(m);
}

void
rset_response(struct smtp_client *m)
{
	if (m->reply.code / 100 != 2) {
		client_fail_reply(m, FAIL_SITE);
		m->fail.status = RCPT_DEFERRED;
		return;
	}
	m->need_rset = false;
	client_enter(m, CLIENT_MAIL);
}

void
perform_mail(struct smtp_client *m)
{
	const struct smtp_message *msg = m->msg;
	struct buf *b = &m->say;

	buf_puts(b, "MAIL FROM:<");
	buf_span(b, msg->sender);
	buf_putc(b, '>');
	if ((m->caps & CAP_SIZE) && !msg->probe)
		buf_printf(b, " SIZE=%zu", msg->bytes.n);
	if (msg->eightbit)
		buf_puts(b, " BODY=8BITMIME");
	if ((m->caps & CAP_SMTPUTF8) && ((msg->flags & ENVELOPE_SMTPUTF8) || utf8_addresses(msg)))
		buf_puts(b, " SMTPUTF8");
	if ((msg->flags & ENVELOPE_REQUIRETLS) && (m->caps & CAP_REQUIRETLS))
		buf_puts(b, " REQUIRETLS");
	if (m->caps & CAP_DSN) {
		if (msg->ret != RET_NONE)
			buf_puts(b, msg->ret == RET_FULL ? " RET=FULL" : " RET=HDRS");
		if (msg->envid.n && msg->envid.n <= 100 && sayable(msg->envid, false)) {
			buf_puts(b, " ENVID=");
			buf_span(b, msg->envid);
		}
	}
	buf_puts(b, "\r\n");
	if (m->caps & CAP_PIPELINING) {
		for (m->rcpt = 0; m->rcpt < msg->n; m->rcpt++)
			perform_rcpt(m);
		m->rcpt = 0;
		m->ahead = true;
		if (msg->probe) {
			;
		} else if (!m->bdat) {
			perform_data(m);
		} else if (msg->bytes.n <= BDAT_AHEAD) {
			m->rest = msg->bytes;
			client_chunk(m);
		}
	}
	ASSERT(!buf_failed(b));
}

void
mail_response(struct smtp_client *m)
{
	int class = m->reply.code / 100;

	if (class == 3) {
		client_fail_nonsense(m);
		return;
	}
	if (class != 2) {
		client_settle(m, 0, m->msg->n, class == 4 ? FAIL_SITE : FAIL_MESSAGE);
		m->doomed = true;
		if (!m->ahead) {
			client_finish(m);
			return;
		}
	} else
		m->need_rset = true;
	client_enter(m, CLIENT_RCPT);
}

void
perform_rcpt(struct smtp_client *m)
{
	static const struct { uint8_t bit; const char *word; } notify[] = {
		{ NOTIFY_NEVER, "NEVER" }, { NOTIFY_SUCCESS, "SUCCESS" }, { NOTIFY_FAILURE, "FAILURE" },
		{ NOTIFY_DELAY, "DELAY" },
	};
	const struct recipient *r = &m->msg->recipients[m->rcpt];
	struct buf *b = &m->say;
	char sep = '=';

	buf_puts(b, "RCPT TO:<");
	buf_span(b, r->address);
	buf_putc(b, '>');
	if (m->caps & CAP_DSN) {
		if (r->notify != NOTIFY_DEFAULT)
			buf_puts(b, " NOTIFY");
		for (size_t i = 0; i < sizeof(notify) / sizeof(*notify); i++) {
			/* NEVER stands alone (RFC 3461, 4.1) */
			if ((r->notify & notify[i].bit) == 0 || ((r->notify & NOTIFY_NEVER) && i))
				continue;
			buf_putc(b, sep);
			buf_puts(b, notify[i].word);
			sep = ',';
		}
		/* RFC 6533, 3: raw UTF-8 in ORCPT only where SMTPUTF8 is said */
		if (r->orcpt.n && r->orcpt.n <= 500 && sayable(r->orcpt, false) &&
		    ((m->caps & CAP_SMTPUTF8) || !span_has_8bit(r->orcpt))) {
			buf_puts(b, " ORCPT=");
			buf_span(b, r->orcpt);
		}
	}
	buf_puts(b, "\r\n");
}

void
rcpt_response(struct smtp_client *m)
{
	int class = m->reply.code / 100;

	if (!m->doomed) {
		if (class == 3) {
			client_fail_nonsense(m);
			return;
		}
		if (class == 2 && m->msg->probe)
			client_settle(m, m->rcpt, m->rcpt + 1, FAIL_NONE);
		else if (class == 2)
			m->accepted++;
		else {
			client_settle(m, m->rcpt, m->rcpt + 1, FAIL_RECIPIENT);
			if (m->reply.code == 552) {
				/* An old way to say "too many recipients" (RFC 5321, 4.5.3.1.10) */
				m->msg->results[m->rcpt].status = RCPT_DEFERRED;
				m->msg->results[m->rcpt].dsn[0] = '4';
			}
		}
	}
	m->absurd |= m->doomed && class == 2;
	/* counted only now: accepted <= rcpt holds at every change of state */
	m->rcpt++;
	if (m->rcpt < m->msg->n)
		client_enter(m, CLIENT_RCPT);
	else if (m->bdat && m->chunks_said)
		client_set(m, CLIENT_DOT);	/* all of it is said */
	else if (m->accepted == 0 && (!m->ahead || m->bdat || m->msg->probe))
		client_finish(m);
	else
		client_enter(m, m->bdat ? CLIENT_BDAT : CLIENT_DATA);
}

void
client_chunk(struct smtp_client *m)
{
	bool last = m->rest.n <= BDAT_CHUNK;

	m->chunk = span_sub(m->rest, 0, BDAT_CHUNK);
	m->rest = span_from(m->rest, m->chunk.n);
	m->chunks_said++;
	buf_printf(&m->say, "BDAT %zu%s\r\n", m->chunk.n, last ? " LAST" : "");
}

void
perform_bdat(struct smtp_client *m)
{
	m->rest = m->msg->bytes;
	client_chunk(m);
}

/* What it thinks of a chunk, while others are said or were. */
void
bdat_response(struct smtp_client *m)
{
	int class = m->reply.code / 100;

	m->chunks_heard++;
	if (class == 3) {
		client_fail_nonsense(m);
	} else if (class != 2 && !m->refused) {
		m->refused = true;
		client_settle(m, 0, m->msg->n, FAIL_MESSAGE);
	}
}

void
perform_data(struct smtp_client *m)
{
	buf_puts(&m->say, "DATA\r\n");
}

void
data_response(struct smtp_client *m)
{
	int class = m->reply.code / 100;

	if ((class < 4 && m->reply.code != 354) || (class == 3 && m->absurd)) {
		/* Even an empty message might be delivered there. */
		client_fail_nonsense(m);
	} else if (class == 3 && m->accepted == 0) {
		/* Pipelined, and nobody is left: an empty message to no one (RFC 2920, 3.1). */
		buf_puts(&m->say, ".\r\n");
		m->need_rset = false;
		client_set(m, CLIENT_DOT);
	} else if (class == 3) {
		client_enter(m, CLIENT_BODY);
	} else {
		client_settle(m, 0, m->msg->n, FAIL_MESSAGE);
		client_finish(m);
	}
}

void
perform_body(struct smtp_client *m)
{
	dotstuff_init(&m->body, m->msg->bytes);
	m->out_at = m->out_n = 0;
}

/* An answer before the dot: the server has had enough, and we stand in the middle. */
void
body_response(struct smtp_client *m)
{
	if (m->reply.code / 100 < 4) {
		client_fail_nonsense(m);
		return;
	}
	client_settle(m, 0, m->msg->n, m->reply.code == 421 ? FAIL_SITE : FAIL_MESSAGE);
	client_fail_reply(m, FAIL_SITE);
}

/* BDAT was offered and is not known: what followed it may be taken for commands. */
static bool
unknown_bdat(struct smtp_client *m)
{
	if (!m->bdat || m->accepted == 0 || m->refused ||
	    (m->reply.code != 500 && m->reply.code != 502))
		return false;
	m->bdat_unknown = true;
	client_fail_reply(m, FAIL_SITE);
	m->fail.status = RCPT_DEFERRED;
	snprintf(m->fail.dsn, sizeof(m->fail.dsn), "4.5.1");
	return true;
}

void
dot_response(struct smtp_client *m)
{
	int class = m->reply.code / 100;

	if (unknown_bdat(m))
		return;
	if (m->bdat && m->chunks_heard + 1 < m->chunks_said) {
		bdat_response(m);
		return;
	}
	if (class == 3) {
		client_fail_nonsense(m);
		return;
	}
	m->need_rset = m->bdat && (class != 2 || m->refused || m->accepted == 0);
	if (m->accepted && !m->refused)
		client_settle(m, 0, m->msg->n, FAIL_MESSAGE);
	client_finish(m);
}
