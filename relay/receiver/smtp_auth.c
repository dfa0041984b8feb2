/* smtp_auth.c -- AUTH PLAIN and LOGIN (RFC 4954, RFC 4616), as far as it is pure.
 *
 *	GREETED --AUTH--> AUTH --response--> CHECKING --the answer--> GREETED
 *	                   "*", bad base64: 501, back to GREETED
 *
 * Only behind TLS, once, and not within a transaction. Whether the name and
 * the password are right is asked of smtp_ops.auth; what is wrong with them
 * is never said, and neither they nor their encoding ever reach a reply, a
 * log or a transcript. The decoded text is wiped before the call returns; the
 * line it came from is its owner's to wipe (`secret`).
 */
#include <openssl/crypto.h>
#include <stdio.h>

#include "base64.h"
#include "receiver/smtp_command.h"

#define DECODED_MAX (3 * AUTH_TEXT_MAX + 2)

#define REFUSE(s, code, ...) do { \
	struct smtp_reply r_; \
	smtp_refuse((s), &r_, (code), __VA_ARGS__); \
	smtp_put_error((s), "AUTH", NULL, &r_); \
} while (0)

static void
leave(struct smtp_session *s)
{
	s->auth.step = AUTH_STEP_NONE;
	if (s->state == SMTP_AUTH)
		smtp_set_state(s, SMTP_GREETED);
}

static void
wrong(struct smtp_session *s)
{
	struct smtp_reply r = { 0 };

	leave(s);
	OPENSSL_cleanse(s->auth.user, sizeof(s->auth.user));
	if (++s->auth.failures >= AUTH_FAILURES_MAX) {
		smtp_refuse(s, &r, 421, "4.7.0 too many authentication failures");
		r.close = true;
	} else
		smtp_refuse(s, &r, 535, "5.7.8 authentication failed");
	smtp_put_error(s, "AUTH", NULL, &r);
}

static void
challenge(struct smtp_session *s, enum auth_step step, const char *text)
{
	s->auth.step = step;
	smtp_set_state(s, SMTP_AUTH);
	buf_printf(&s->out, "334 %s\r\n", text);
}

static bool
sane(struct span s)
{
	if (s.n == 0 || s.n > AUTH_TEXT_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return true;
}

static bool
keep_user(struct smtp_session *s, struct span user)
{
	/* A name stands in the log, in the journal and in rules; ':' ends it in the file. */
	if (!sane(user) || span_find(user, ':') < user.n)
		return false;
	memcpy(s->auth.user, user.p, user.n);
	s->auth.user[user.n] = '\0';
	return true;
}

static void
check(struct smtp_session *s, struct span password)
{
	struct smtp_reply r = { 0 };
	uint64_t ticket;

	s->auth.step = AUTH_STEP_NONE;
	if (password.n == 0 || password.n > AUTH_TEXT_MAX || memchr(password.p, '\0', password.n)) {
		wrong(s);
		return;
	}
	ticket = s->ops->auth(s->ctx, s, span_str(s->auth.user), password, &r);
	if (ticket) {
		s->state = SMTP_CHECKING;
		s->ticket = ticket;
		return;
	}
	smtp_auth_answer(s, &r);
}

/* RFC 4616: authzid NUL authcid NUL passwd. Nobody may act for somebody else. */
static void
plain(struct smtp_session *s, struct span text)
{
	size_t first = span_find(text, '\0'), second;
	struct span as = span_sub(text, 0, first), user;

	user = span_from(text, first + 1);
	second = span_find(user, '\0');
	if (first == text.n || second == user.n) {
		REFUSE(s, 501, "5.5.2 PLAIN needs a name and a password");
		leave(s);
		return;
	}
	text = span_from(user, second + 1);
	user = span_sub(user, 0, second);
	if ((as.n && !span_eq(as, user)) || !keep_user(s, user))
		wrong(s);
	else
		check(s, text);
}

static void
response(struct smtp_session *s, enum auth_step step, struct span text)
{
	switch (step) {
	case AUTH_STEP_PLAIN:
		plain(s, text);
		break;
	case AUTH_STEP_USER:
		if (keep_user(s, text))
			challenge(s, AUTH_STEP_PASSWORD, "UGFzc3dvcmQ6");	/* Password: */
		else
			wrong(s);
		break;
	case AUTH_STEP_PASSWORD:
		check(s, text);
		break;
	case AUTH_STEP_NONE:
		ASSERT(!"a response to nothing");
	}
}

static void
decode(struct smtp_session *s, enum auth_step step, struct span line)
{
	static char room[DECODED_MAX + 1];
	struct buf b = { .p = room, .cap = sizeof(room), .max = sizeof(room) };

	s->auth.secret = true;
	if (line.n > (DECODED_MAX + 2) / 3 * 4)
		smtp_auth_too_long(s);
	else if (base64_decode(&b, line) == -1) {
		REFUSE(s, 501, "5.5.2 not base64");
		leave(s);
	} else
		response(s, step, buf_data(&b));
	OPENSSL_cleanse(room, sizeof(room));
}

void
smtp_auth_too_long(struct smtp_session *s)
{
	s->auth.secret = true;
	REFUSE(s, 500, "5.5.6 authentication exchange line is too long");
	leave(s);
}

void
smtp_auth_line(struct smtp_session *s, struct span line)
{
	if (span_is(line, "*")) {
		REFUSE(s, 501, "5.7.0 authentication cancelled");
		leave(s);
		return;
	}
	decode(s, s->auth.step, line);
}

void
smtp_auth_command(struct smtp_session *s, struct span args)
{
	struct span mechanism, initial;
	enum auth_step step;

	args = span_trim(args);
	mechanism = span_sub(args, 0, span_find(args, ' '));
	initial = span_trim(span_from(args, mechanism.n));
	s->auth.secret = initial.n > 0;
	if (!s->site->auth) {
		REFUSE(s, 502, "5.5.1 command not implemented");
		return;
	}
	if (s->tls.n == 0) {
		REFUSE(s, 538, "5.7.11 encryption required: STARTTLS first");
		return;
	}
	if (args.n == 0) {
		REFUSE(s, 501, "5.5.4 syntax: AUTH mechanism");
		return;
	}
	if (s->user.n || s->t || !s->esmtp) {
		REFUSE(s, 503, "5.5.1 bad sequence of commands: %s", s->user.n ?
		    "authenticated already" : s->t ? "not within a transaction" : "say EHLO first");
		return;
	}
	if (span_is_nocase(mechanism, "PLAIN"))
		step = AUTH_STEP_PLAIN;
	else if (span_is_nocase(mechanism, "LOGIN"))
		step = AUTH_STEP_USER;
	else {
		REFUSE(s, 504, "5.5.4 AUTH PLAIN and AUTH LOGIN are offered");
		return;
	}
	if (initial.n == 0 && step == AUTH_STEP_PLAIN)
		challenge(s, step, "");
	else if (initial.n == 0)
		challenge(s, step, "VXNlcm5hbWU6");	/* Username: */
	else	/* RFC 4954, 4: "=" is the empty response */
		decode(s, step, span_is(initial, "=") ? SPAN_LIT("") : initial);
}

void
smtp_auth_answer(struct smtp_session *s, const struct smtp_reply *r)
{
	smtp_set_state(s, SMTP_GREETED);
	if (r->code == 235) {
		s->user = span_str(s->auth.user);
		s->auth.failures = 0;
		wire_reply(&s->out, r->code, r->text);
	} else if (r->code == 535)
		wrong(s);
	else {		/* it could not be checked */
		struct smtp_reply said;
		char text[256];

		OPENSSL_cleanse(s->auth.user, sizeof(s->auth.user));
		snprintf(text, sizeof(text), "%.*s", SPAN_ARG(r->text));
		smtp_refuse(s, &said, r->code, "%s", text);
		said.close = r->close;
		smtp_put_error(s, "AUTH", NULL, &said);
	}
}
