/* smtp_session.c -- the server's side of one SMTP session, as a pure machine.
 *
 * Called by connection.c for each read, by tests and fuzzers for each line.
 *
 *   CONNECT --EHLO--> GREETED --MAIL--> SENDER --RCPT--> RECIPIENTS --DATA--> BODY
 *      ^                 ^                 RSET, EHLO: back to GREETED          |
 *      |                 +------------------- the answer --- JUDGED <-- CRLF.CRLF
 *   GREETED: STARTTLS --> HANDSHAKE --> CONNECT; AUTH --> AUTH, CHECKING --> GREETED (smtp_auth.c)
 *   MAIL, RCPT, DATA, BDAT of which somebody has to be asked: ASKING, then as if he had answered at once
 *   any state: QUIT, a deadline, too many errors, a bare CR or LF --> OVER
 *
 * BDAT's states (CHUNK, CHUNKS, SKIP) stand in smtp_bdat.c.
 *
 * Invariants (smtp_session_check): a transaction exists exactly in SENDER,
 * RECIPIENTS, ASKING, BODY, CHUNK and CHUNKS (in SKIP there may be one); a recipient in
 * all of these but SENDER (in ASKING there may be one); a ticket in JUDGED, CHECKING and ASKING. There no byte is
 * read: what the client pipelined behind stays with the caller until the
 * answer is there.
 *
 * In HANDSHAKE every byte is thrown away: what a client (or somebody between us)
 * sent in clear behind STARTTLS is never taken for what comes through TLS
 * (CVE-2011-0411). Behind the handshake nothing said before it counts (RFC 3207, 4.2).
 *
 * Commands are one table in smtp_command.c. Every refusal is made in one place and names the
 * id, so that a user's screenshot leads to the journal. What is advertised is
 * honoured end to end; what is not answers 502.
 */
#include <stdio.h>
#include <stdlib.h>

#include "receiver/smtp_command.h"

#define OUT_MAX (256u << 10)	/* replies to one pipelined group */
#define OUT_PAUSE (64u << 10)	/* above it the rest of the group waits for the first write */
#define REFUSAL_MAX 1024

static const struct {
	const char *name, *phrase;
} states[SMTP_STATE_COUNT] = {
#define X(name, text, phrase) { text, phrase },
	SMTP_STATES(X)
#undef X
};

const char *
smtp_state_name(enum smtp_state s)
{
	ASSERT(s < SMTP_STATE_COUNT);
	return states[s].name;
}

const char *
smtp_state_phrase(enum smtp_state s)
{
	ASSERT(s < SMTP_STATE_COUNT);
	return states[s].phrase;
}

void
smtp_session_check(const struct smtp_session *s)
{
	bool open = s->state == SMTP_SENDER || s->state == SMTP_RECIPIENTS ||
	    s->state == SMTP_ASKING || s->state == SMTP_BODY || s->state == SMTP_CHUNK ||
	    s->state == SMTP_CHUNKS;

	ASSERT(s->state < SMTP_STATE_COUNT);
	ASSERT((s->t != NULL) == open || s->state == SMTP_SKIP);
	ASSERT(s->chunk.left > 0 || (s->state != SMTP_CHUNK && s->state != SMTP_SKIP));
	ASSERT(!open || s->state == SMTP_ASKING ||
	    (s->t->env.nrecipients > 0) == (s->state != SMTP_SENDER));
	ASSERT(!open || s->t->env.nrecipients <= ENVELOPE_RECIPIENTS_MAX);
	ASSERT((s->ticket != 0) == smtp_waiting(s));
	ASSERT((s->auth.step != AUTH_STEP_NONE) == (s->state == SMTP_AUTH));
	ASSERT(s->user.n == 0 || s->tls.n > 0 || s->xclient.login.n > 0);
}

void
smtp_set_state(struct smtp_session *s, enum smtp_state to)
{
	s->state = to;
	if (!smtp_waiting(s))
		s->ticket = 0;
	if (to != SMTP_AUTH)
		s->auth.step = AUTH_STEP_NONE;
}

void
smtp_transaction_free(struct smtp_transaction **t)
{
	struct arena *a = *t ? (*t)->arena : NULL;	/* *t itself lies in it */

	*t = NULL;
	arena_free(&a);
}

/* --- replies --- */

static char refusal[REFUSAL_MAX];

void
smtp_refuse(const struct smtp_session *s, struct smtp_reply *r, unsigned code, const char *fmt, ...)
{
	char id[ID_SIZE];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(refusal, sizeof(refusal) - 32, fmt, ap);
	va_end(ap);
	ASSERT(n >= 0);
	if ((size_t)n >= sizeof(refusal) - 32)
		n = (int)sizeof(refusal) - 33;
	if (strstr(refusal, "(ref ") == NULL)
		n += snprintf(refusal + n, 32, " (ref %s)", id_format(s->id, id));
	*r = (struct smtp_reply){ .code = code, .text = span_make(refusal, (size_t)n) };
}

void
smtp_say(struct smtp_session *s, unsigned code, const char *text)
{
	wire_reply(&s->out, code, span_str(text));
}

void
smtp_abandon(struct smtp_session *s)
{
	if (s->t == NULL)
		return;
	s->ops->abandon(s->ctx, s);
	smtp_transaction_free(&s->t);
}

void
smtp_hang_up(struct smtp_session *s)
{
	smtp_abandon(s);
	smtp_set_state(s, SMTP_OVER);
}

/* The one way a 4xx or 5xx leaves. */
static void
put_refusal(struct smtp_session *s, const char *command, const struct recipient *rcpt,
    const struct smtp_reply *r)
{
	wire_reply(&s->out, r->code, r->text);
	s->ops->refused(s->ctx, s, command, rcpt, r->code, r->text);
	if (r->close)
		smtp_hang_up(s);
}

void
smtp_count_error(struct smtp_session *s)
{
	struct smtp_reply r;

	if (s->state == SMTP_OVER || ++s->errors < s->site->errors)
		return;
	smtp_refuse(s, &r, 421, "4.7.0 %.*s too many errors", SPAN_ARG(s->site->hostname));
	r.close = true;
	put_refusal(s, "session", NULL, &r);
}

void
smtp_put_error(struct smtp_session *s, const char *command, const struct recipient *rcpt,
    struct smtp_reply *r)
{
	put_refusal(s, command, rcpt, r);
	smtp_count_error(s);
}

/* --- input --- */

static void
bare_line_end(struct smtp_session *s, const char *command)
{
	struct smtp_reply r;

	smtp_refuse(s, &r, 554, SMTP_BARE_TEXT);
	r.close = true;
	put_refusal(s, command, NULL, &r);
}

static void
answer(struct smtp_session *s, const struct smtp_reply *r)
{
	smtp_set_state(s, SMTP_GREETED);
	if (r->code >= 400)
		put_refusal(s, "END-OF-MESSAGE", NULL, r);
	else
		wire_reply(&s->out, r->code, r->text);
	s->errors = s->idle = 0;
	if (r->close && s->state != SMTP_OVER)
		smtp_hang_up(s);
}

void
smtp_end_of_message(struct smtp_session *s, unsigned flags)
{
	struct smtp_transaction *t = s->t;
	struct smtp_reply r = { 0 };
	uint64_t ticket;

	t->env.received = s->now;
	s->t = NULL;
	ticket = s->ops->end(s->ctx, s, t, flags, &r);
	if (ticket) {
		s->state = SMTP_JUDGED;
		s->ticket = ticket;
		return;
	}
	answer(s, &r);
}

/* Of DATA: as it is, or with its lines made whole. */
static void
body(struct smtp_session *s, struct span run)
{
	struct span whole;
	size_t used;

	if (!s->site->normalise) {
		s->ops->body(s->ctx, s, run);
		return;
	}
	for (; run.n; run = span_from(run, used))
		if (smtp_lines_step(&s->lines, run, &used, &whole) == LINES_BYTES)
			s->ops->body(s->ctx, s, whole);
}

/* Retiring, and nothing is under way any more. */
static bool
leaving(const struct smtp_session *s)
{
	return s->retiring && (s->state == SMTP_CONNECT || s->state == SMTP_GREETED);
}

static void heard(struct smtp_session *s, struct span line);

/* All that is in order now; returns how many bytes are done with. */
static size_t
consume(struct smtp_session *s, struct span in)
{
	size_t at = 0, used = 0;

	while (at < in.n && s->state != SMTP_OVER && !smtp_waiting(s) &&
	    !leaving(s) && buf_size(&s->out) < OUT_PAUSE) {
		struct span run;

		if (s->state == SMTP_HANDSHAKE)
			return in.n;
		if (s->state == SMTP_BODY) {
			switch (smtp_data_step(&s->data, span_from(in, at), &used, &run)) {
			case DATA_MORE:
				break;
			case DATA_BYTES:
				body(s, run);
				break;
			case DATA_END:
				smtp_end_of_message(s, s->site->normalise ? s->lines.flags :
				    s->data.flags);
				break;
			case DATA_BARE:
				bare_line_end(s, "DATA");
				break;
			}
			at += used;
			continue;
		}
		if (s->state == SMTP_CHUNK || s->state == SMTP_SKIP) {
			at += smtp_chunk(s, span_from(in, at));
			continue;
		}
		switch (wire_line(&s->wire, span_from(in, at), &used, &run)) {
		case WIRE_MORE:
			return at + used;
		case WIRE_LINE:
			heard(s, run);
			smtp_command(s, run);
			break;
		case WIRE_LONG:
			smtp_line_too_long(s);
			break;
		case WIRE_BARE:
			bare_line_end(s, "session");
			break;
		}
		at += used;
	}
	return at;
}

static void
close_421(struct smtp_session *s, const char *text)
{
	struct smtp_reply r;

	smtp_refuse(s, &r, 421, "%s", text);
	r.close = true;
	put_refusal(s, "session", NULL, &r);
}

/* RFC 3207, 4.2: as after the greeting, whatever was said in clear. */
static void
secured(struct smtp_session *s, struct span agreed)
{
	free(s->tls_text);
	s->tls_text = strndup(agreed.p, agreed.n);
	ASSERT(s->tls_text != NULL && agreed.n > 0);
	s->tls = span_str(s->tls_text);
	free(s->helo_text);
	s->helo_text = NULL;
	s->helo = (struct span){ 0 };
	s->esmtp = false;
	s->wire = (struct wire){ 0 };
	smtp_set_state(s, SMTP_CONNECT);
}

static void
open_session(struct smtp_session *s, const struct smtp_reply *refused)
{
	s->id = id_new(s->ids, s->now);
	smtp_greet(s, refused);
}

/* The banner, or the refusal at the door. */
void
smtp_greet(struct smtp_session *s, const struct smtp_reply *refused)
{
	struct span banner = s->site->banner.n ? s->site->banner : SPAN_LIT("ESMTP Postern");
	char text[512];

	if (refused->code) {
		struct smtp_reply r;

		smtp_refuse(s, &r, refused->code, "%.*s", SPAN_ARG(refused->text));
		r.close = true;
		put_refusal(s, "CONNECT", NULL, &r);
		return;
	}
	snprintf(text, sizeof(text), "%.*s %.*s", SPAN_ARG(s->site->hostname), SPAN_ARG(banner));
	smtp_say(s, 220, text);
}

/* What a transcript may show of a line: AUTH's secrets never, nor what a client sends behind an
 * AUTH that was refused, believing that it went on. */
static void
heard(struct smtp_session *s, struct span line)
{
	static const struct span auth = { "AUTH", 4 }, mask = { "\xe2\x80\xa6", 3 };
	char text[64];
	size_t n = 0;

	if (s->ops->heard == NULL)
		return;
	if (span_starts_nocase(line, auth)) {
		struct span how = span_trim(span_from(line, auth.n));

		while (n < how.n && n < 20 && ((how.p[n] | 32) >= 'a' && (how.p[n] | 32) <= 'z'))
			n++;
		n = (size_t)snprintf(text, sizeof(text), "AUTH %.*s%s", (int)n, how.p ? how.p : "",
		    n < how.n ? " \xe2\x80\xa6" : "");
		line = span_make(text, n);
		s->after_auth = true;
	} else if (s->state == SMTP_AUTH || (s->after_auth && !smtp_is_command(line)))
		line = mask;
	else
		s->after_auth = false;
	s->ops->heard(s->ctx, s, line);
}

enum smtp_step
smtp_session_step(struct smtp_session *s, const struct smtp_input *in, size_t *used)
{
	size_t said = buf_size(&s->out);

	*used = 0;
	s->now = in->now;
	if (s->state == SMTP_OVER)
		return SMTP_DONE;
	switch (in->kind) {
	case SMTP_OPEN:
		open_session(s, &in->reply);
		break;
	case SMTP_BYTES:
		*used = consume(s, in->bytes);
		break;
	case SMTP_ANSWER:
		if (s->state == SMTP_JUDGED && in->ticket == s->ticket)
			answer(s, &in->reply);
		else if (s->state == SMTP_CHECKING && in->ticket == s->ticket)
			smtp_auth_answer(s, &in->reply);
		else if (s->state == SMTP_ASKING && in->ticket == s->ticket)
			smtp_asked(s, &in->reply);
		break;
	case SMTP_TIMEOUT:
		if (!smtp_waiting(s))
			close_421(s, "4.4.2 timeout");
		break;
	case SMTP_RETIRE:
		s->retiring = true;
		break;
	case SMTP_SECURED:
		if (s->state == SMTP_HANDSHAKE)
			secured(s, in->bytes);
		break;
	}
	if (leaving(s))
		close_421(s, "4.3.2 service restarting, come back at once");
	smtp_session_check(s);
	if (s->ops->said && buf_size(&s->out) > said)
		s->ops->said(s->ctx, s, span_from(buf_data(&s->out), said));
	if (s->state == SMTP_OVER)
		return SMTP_DONE;
	if (smtp_waiting(s))
		return SMTP_WAIT;
	if (s->state == SMTP_HANDSHAKE)
		return SMTP_TLS;
	return buf_size(&s->out) ? SMTP_SAY : SMTP_MORE;
}

void
smtp_session_init(struct smtp_session *s, const struct smtp_site *site,
    const struct smtp_ops *ops, void *ctx, struct id_source *ids)
{
	*s = (struct smtp_session){ .site = site, .ops = ops, .ctx = ctx, .ids = ids };
	buf_init(&s->out, OUT_MAX);
}

void
smtp_session_release(struct smtp_session *s)
{
	smtp_abandon(s);
	buf_release(&s->out);
	free(s->helo_text);
	s->helo_text = NULL;
	arena_free(&s->claims);
	free(s->tls_text);
	s->tls_text = NULL;
	explicit_bzero(s->auth.user, sizeof(s->auth.user));
	s->state = SMTP_OVER;
}
