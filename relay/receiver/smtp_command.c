/* smtp_command.c -- the commands of an SMTP session, as one table.
 *
 * Called by smtp_session.c with one line, when the session is in a state
 * where lines are commands. Syntax is refused here (500, 501, 503, 555);
 * whether a sender or a recipient is welcome is asked of smtp_ops.
 */
#include <stdio.h>
#include <stdlib.h>

#include "addr.h"
#include "receiver/smtp_command.h"
#include "receiver/smtp_dsn.h"
#include "receiver/smtp_path.h"

#define IDLE_MAX 100		/* commands without mail before each one counts as an error */

#define IN(state) (1u << SMTP_##state)
#define IN_ANY (IN(CONNECT) | IN(GREETED) | IN(SENDER) | IN(RECIPIENTS) | IN(CHUNKS))

#define REFUSE(s, command, code, ...) do { \
	struct smtp_reply r_; \
	smtp_refuse((s), &r_, (code), __VA_ARGS__); \
	smtp_put_error((s), (command), NULL, &r_); \
} while (0)

static void
greet(struct smtp_session *s, struct span name, bool esmtp)
{
	smtp_abandon(s);
	if (s->xclient.has & XCLIENT_HELO)
		name = s->xclient.helo;
	if (s->xclient.has & XCLIENT_PROTO)
		esmtp = s->xclient.esmtp;
	free(s->helo_text);
	s->helo_text = malloc(name.n + 1);
	ASSERT(s->helo_text != NULL);
	if (name.n)
		memcpy(s->helo_text, name.p, name.n);
	s->helo_text[name.n] = '\0';
	s->helo = span_make(s->helo_text, name.n);
	s->esmtp = esmtp;
	smtp_set_state(s, SMTP_GREETED);
}

static bool
check_helo(struct smtp_session *s, struct span args)
{
	args = span_trim(args);
	if (smtp_helo_valid(args))
		return true;
	REFUSE(s, "EHLO", 501, "5.5.4 EHLO and HELO need a host name or an address literal");
	return false;
}

static void
cmd_ehlo(struct smtp_session *s, struct span args)
{
	char text[768];
	int n;

	greet(s, span_trim(args), true);
	n = snprintf(text, sizeof(text), "%.*s\nPIPELINING\nSIZE %llu\n8BITMIME\nSMTPUTF8\n"
	    "CHUNKING\nDSN\nLIMITS RCPTMAX=%u MAILMAX=%u\nENHANCEDSTATUSCODES%s%s%s",
	    SPAN_ARG(s->site->hostname), (unsigned long long)s->site->max_size,
	    s->site->recipients < ENVELOPE_RECIPIENTS_MAX ? s->site->recipients :
	    ENVELOPE_RECIPIENTS_MAX, s->site->messages,
	    s->site->tls && s->tls.n == 0 ? "\nSTARTTLS" : "",
	    s->site->auth && s->tls.n ? "\nAUTH PLAIN LOGIN" : "",
	    s->tls.n ? "\nREQUIRETLS" : "");
	ASSERT(n > 0 && (size_t)n < sizeof(text));
	if (s->may_xclient)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "\nXCLIENT " XCLIENT_ATTRIBUTES);
	ASSERT((size_t)n < sizeof(text));
	wire_reply(&s->out, 250, span_make(text, (size_t)n));
}

static void
cmd_helo(struct smtp_session *s, struct span args)
{
	greet(s, span_trim(args), false);
	wire_reply(&s->out, 250, s->site->hostname);
}

/* "FROM:" or "TO:" and the spaces many clients put behind it. */
static bool
after_colon(struct span args, const char *word, struct span *path)
{
	struct span w = span_str(word);

	if (!span_starts_nocase(args, w))
		return false;
	*path = span_from(args, w.n);
	while (path->n && path->p[0] == ' ')
		*path = span_from(*path, 1);
	return true;
}

static bool
path_refused(struct smtp_session *s, const char *command, enum path_status st, const char *syntax)
{
	switch (st) {
	case PATH_OK:
		return false;
	case PATH_LONG:
		REFUSE(s, command, 501, "%s address too long", syntax);
		break;
	case PATH_UTF8:
		REFUSE(s, command, 553, "5.6.7 address with bytes above 127 needs SMTPUTF8");
		break;
	case PATH_SYNTAX:
		REFUSE(s, command, 501, "%s bad address syntax", syntax);
		break;
	}
	return true;
}

/* A parameter of MAIL; false: refused. */
static bool
mail_param(struct smtp_session *s, struct smtp_transaction *t, struct span key, struct span value)
{
	if (span_is_nocase(key, "SIZE")) {
		for (size_t i = 0; i < value.n; i++)
			if (value.p[i] < '0' || value.p[i] > '9')
				value.n = 0;
		if (value.n == 0 || value.n > 20 || t->declared) {
			REFUSE(s, "MAIL", 501, "5.5.4 bad SIZE");
			return false;
		}
		for (size_t i = 0; i < value.n; i++)
			if (__builtin_mul_overflow(t->declared, UINT64_C(10), &t->declared) ||
			    __builtin_add_overflow(t->declared, (uint64_t)(value.p[i] - '0'),
			    &t->declared))
				t->declared = UINT64_MAX;
		if (t->declared <= s->site->max_size)
			return true;
		REFUSE(s, "MAIL", 552, "5.3.4 message too large: at most %llu bytes",
		    (unsigned long long)s->site->max_size);
		return false;
	}
	if (span_is_nocase(key, "BODY")) {
		if (span_is_nocase(value, "8BITMIME"))
			t->env.flags |= ENVELOPE_8BITMIME;
		else if (!span_is_nocase(value, "7BIT")) {
			REFUSE(s, "MAIL", 501, "5.5.4 BODY is 7BIT or 8BITMIME");
			return false;
		}
		return true;
	}
	if (span_is_nocase(key, "SMTPUTF8")) {
		if (value.n == 0) {
			t->env.flags |= ENVELOPE_SMTPUTF8;
			return true;
		}
		REFUSE(s, "MAIL", 501, "5.5.4 SMTPUTF8 has no value");
		return false;
	}
	switch (smtp_dsn_mail(t->arena, &t->env, key, value)) {
	case PARAM_OK:
		return true;
	case PARAM_BAD:
		REFUSE(s, "MAIL", 501, "5.5.4 bad %.*s", SPAN_ARG(key));
		return false;
	case PARAM_OTHER:
		break;
	}
	if (span_is_nocase(key, "REQUIRETLS") && s->site->tls) {
		if (value.n || t->env.flags & ENVELOPE_REQUIRETLS)
			REFUSE(s, "MAIL", 501, "5.5.4 REQUIRETLS stands alone, and once");
		else if (s->tls.n == 0)
			REFUSE(s, "MAIL", 530, "5.7.10 encryption needed: REQUIRETLS is for TLS sessions");
		else {
			t->env.flags |= ENVELOPE_REQUIRETLS;
			return true;
		}
		return false;
	}
	REFUSE(s, "MAIL", 555, "5.5.4 unknown parameter %.*s", SPAN_ARG(key));
	return false;
}

/* false: refused. */
static bool
rcpt_params(struct smtp_session *s, struct recipient *rcpt, struct span rest)
{
	bool utf8 = s->t->env.flags & ENVELOPE_SMTPUTF8;
	struct span key, value;
	int more;

	while ((more = smtp_param(&rest, &key, &value)) == 1)
		switch (smtp_dsn_rcpt(s->t->arena, rcpt, utf8, key, value)) {
		case PARAM_OK:
			break;
		case PARAM_BAD:
			REFUSE(s, "RCPT", 501, "5.5.4 bad %.*s", SPAN_ARG(key));
			return false;
		case PARAM_OTHER:
			REFUSE(s, "RCPT", 555, "5.5.4 unknown parameter %.*s", SPAN_ARG(key));
			return false;
		}
	if (more == 0)
		return true;
	REFUSE(s, "RCPT", 501, "5.5.4 bad parameter syntax");
	return false;
}

static struct smtp_transaction *
transaction_new(struct smtp_session *s)
{
	struct arena *a = arena_new(0);
	struct smtp_transaction *t = arena_zalloc(a, sizeof(*t));

	t->arena = a;
	t->env = (struct envelope){
		.direction = s->direction, .listener = s->listener, .client = s->client,
		.client_port = s->client_port, .client_name = arena_span(a, s->client_name),
		.helo = arena_span(a, s->helo),
		.flags = (s->esmtp ? ENVELOPE_ESMTP : 0) | (s->tls.n ? ENVELOPE_TLS : 0) |
		    (s->user.n ? ENVELOPE_AUTH : 0),
		.user = arena_span(a, s->user), .tls = arena_span(a, s->tls),
	};
	return t;
}

void
smtp_ask(struct smtp_session *s, enum smtp_asks asks, uint64_t ticket)
{
	s->asks = asks;
	s->state = SMTP_ASKING;
	s->ticket = ticket;
}

static void
mail_decided(struct smtp_session *s, struct smtp_reply *r)
{
	if (r->code == 0) {
		s->id_used = true;
		smtp_say(s, 250, "2.1.0 sender ok");
		return;
	}
	smtp_put_error(s, "MAIL", NULL, r);
	if (s->state == SMTP_SENDER) {
		smtp_abandon(s);
		smtp_set_state(s, SMTP_GREETED);
	}
}

static void
cmd_mail(struct smtp_session *s, struct span args)
{
	struct smtp_transaction *t;
	struct smtp_reply r = { 0 };
	struct span path = { 0 }, rest, key, value;
	int more = 0;

	if (!after_colon(args, "FROM:", &path)) {
		REFUSE(s, "MAIL", 501, "5.5.4 syntax: MAIL FROM:<address>");
		return;
	}
	if (s->id_used)
		s->id = id_new(s->ids, s->now);
	if (s->mails++ >= s->site->messages) {		/* RFC 9422: MAILMAX, failed ones too */
		smtp_refuse(s, &r, 421, "4.7.0 too many messages in one session, connect again");
		r.close = true;
		smtp_put_error(s, "MAIL", NULL, &r);
		return;
	}
	t = transaction_new(s);
	/* Whether SMTPUTF8 was said is known only behind the address. */
	if (path_refused(s, "MAIL", smtp_path(t->arena, path, true, &t->env.sender, &rest), "5.1.7"))
		goto drop;
	path = span_sub(path, 0, path.n - rest.n);
	if (t->env.sender.n && !mailaddr_split(t->env.sender, &key, &value)) {
		REFUSE(s, "MAIL", 501, "5.1.7 sender address without a domain");
		goto drop;
	}
	while ((more = smtp_param(&rest, &key, &value)) == 1)
		if (!mail_param(s, t, key, value))
			goto drop;
	if (more == -1) {
		REFUSE(s, "MAIL", 501, "5.5.4 bad parameter syntax");
		goto drop;
	}
	if (!(t->env.flags & ENVELOPE_SMTPUTF8) && !smtp_is_ascii(path)) {
		path_refused(s, "MAIL", PATH_UTF8, "");
		goto drop;
	}
	t->env.id = s->id;
	s->t = t;
	smtp_set_state(s, SMTP_SENDER);
	s->ops->mail(s->ctx, s, &r);
	if (r.wait)
		smtp_ask(s, SMTP_ASKS_MAIL, r.wait);
	else
		mail_decided(s, &r);
	return;
drop:
	smtp_transaction_free(&t);
}

static bool
check_rcpt(struct smtp_session *s, struct span args)
{
	struct span path;

	if (!after_colon(args, "TO:", &path)) {
		REFUSE(s, "RCPT", 501, "5.5.4 syntax: RCPT TO:<address>");
		return false;
	}
	if (s->t->env.nrecipients < s->site->recipients &&
	    s->t->env.nrecipients < ENVELOPE_RECIPIENTS_MAX)
		return true;
	/* RFC 5321, 4.5.3.1.10: 452, so that the client sends the rest in a message of its own */
	REFUSE(s, "RCPT", 452, "4.5.3 too many recipients");
	return false;
}

static void
add_recipient(struct smtp_transaction *t, const struct recipient *rcpt)
{
	struct envelope *env = &t->env;

	if (env->nrecipients == t->room) {
		size_t room = t->room ? 4 * t->room : 2;

		env->recipients = arena_grow(t->arena, env->recipients,
		    t->room * sizeof(*env->recipients), room * sizeof(*env->recipients));
		t->room = room;
	}
	env->recipients[env->nrecipients++] = *rcpt;
}

/* code 0: it is one of the recipients. */
static void
rcpt_decided(struct smtp_session *s, struct smtp_reply *r)
{
	struct smtp_transaction *t = s->t;

	if (r->code) {
		smtp_put_error(s, "RCPT", &t->asked, r);
		return;
	}
	add_recipient(t, &t->asked);
	smtp_set_state(s, SMTP_RECIPIENTS);
	smtp_say(s, 250, "2.1.5 recipient ok");
}

static void
cmd_rcpt(struct smtp_session *s, struct span args)
{
	struct smtp_transaction *t = s->t;
	struct recipient rcpt = { 0 };
	struct smtp_reply r = { 0 };
	struct span path = { 0 }, rest = { 0 }, local, domain;
	uint64_t ticket;

	after_colon(args, "TO:", &path);
	if (path_refused(s, "RCPT", smtp_path(t->arena, path, t->env.flags & ENVELOPE_SMTPUTF8,
	    &rcpt.address, &rest), "5.1.3"))
		return;
	if (rcpt.address.n == 0) {
		REFUSE(s, "RCPT", 501, "5.1.3 a recipient may not be empty");
		return;
	}
	if (!mailaddr_split(rcpt.address, &local, &domain))
		rcpt.address = s->site->postmaster;
	if (!rcpt_params(s, &rcpt, rest))
		return;
	t->asked = rcpt;
	if ((ticket = s->ops->rcpt(s->ctx, s, &t->asked, &r)) != 0)
		smtp_ask(s, SMTP_ASKS_RCPT, ticket);
	else
		rcpt_decided(s, &r);
}

static void
data_decided(struct smtp_session *s, struct smtp_reply *r)
{
	if (r->code) {
		smtp_put_error(s, "DATA", NULL, r);
		return;
	}
	smtp_data_init(&s->data, s->site->normalise);
	smtp_lines_init(&s->lines, true);
	smtp_set_state(s, SMTP_BODY);
	smtp_say(s, 354, "end the message with CRLF.CRLF");
}

static void
cmd_data(struct smtp_session *s, struct span args)
{
	struct smtp_reply r = { 0 };

	s->ops->data(s->ctx, s, &r);
	if (r.wait)
		smtp_ask(s, SMTP_ASKS_DATA, r.wait);
	else
		data_decided(s, &r);
}

void
smtp_asked(struct smtp_session *s, const struct smtp_reply *answer)
{
	struct smtp_reply r = *answer;

	smtp_set_state(s, s->t->env.nrecipients ? SMTP_RECIPIENTS : SMTP_SENDER);
	switch (s->asks) {
	case SMTP_ASKS_MAIL:
		mail_decided(s, &r);
		return;
	case SMTP_ASKS_RCPT:
		rcpt_decided(s, &r);
		return;
	case SMTP_ASKS_DATA:
		data_decided(s, &r);
		return;
	case SMTP_ASKS_BDAT:
		smtp_bdat_asked(s, &r);
		return;
	}
}

static void
cmd_rset(struct smtp_session *s, struct span args)
{
	smtp_abandon(s);
	if (s->state != SMTP_CONNECT)
		smtp_set_state(s, SMTP_GREETED);
	smtp_say(s, 250, "2.0.0 forgotten");
}

static void
cmd_noop(struct smtp_session *s, struct span args)
{
	smtp_say(s, 250, "2.0.0 ok");
}

static void
cmd_vrfy(struct smtp_session *s, struct span args)
{
	smtp_say(s, 252, "2.5.2 cannot verify; send mail and see");
}

static void
cmd_help(struct smtp_session *s, struct span args)
{
	smtp_say(s, 214, "2.0.0 EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP");
}

static void
cmd_quit(struct smtp_session *s, struct span args)
{
	char text[320];

	snprintf(text, sizeof(text), "2.0.0 %.*s closing", SPAN_ARG(s->site->hostname));
	smtp_say(s, 221, text);
	smtp_hang_up(s);
}

static bool
check_no_args(struct smtp_session *s, struct span args)
{
	if (span_trim(args).n == 0)
		return true;
	REFUSE(s, "session", 501, "5.5.4 this command takes no arguments");
	return false;
}

static void
cmd_starttls(struct smtp_session *s, struct span args)
{
	if (!s->site->tls) {
		REFUSE(s, "STARTTLS", 502, "5.5.1 command not implemented");
		return;
	}
	if (!check_no_args(s, args))
		return;
	if (s->tls.n || s->state != SMTP_GREETED) {
		REFUSE(s, "STARTTLS", 503, "5.5.1 bad sequence of commands: %s", s->tls.n ?
		    "TLS is active already" : s->t ? "not within a transaction" : "say EHLO first");
		return;
	}
	smtp_say(s, 220, "2.0.0 ready for TLS");
	smtp_set_state(s, SMTP_HANDSHAKE);
}

static bool
check_some_args(struct smtp_session *s, struct span args)
{
	if (span_trim(args).n)
		return true;
	REFUSE(s, "session", 501, "5.5.4 what?");
	return false;
}

static void
cmd_not_here(struct smtp_session *s, struct span args)
{
	REFUSE(s, "session", 502, "5.5.1 command not implemented");
}

/* states: where the command is in order. check refuses by itself; proceed may count on it. */
static const struct command {
	const char *name;
	unsigned states;
	bool idle;			/* moves no mail: too many of them are errors */
	bool (*check)(struct smtp_session *s, struct span args);
	void (*proceed)(struct smtp_session *s, struct span args);
	bool clear;			/* may be said without TLS where that is required */
} commands[] = {
	{ "EHLO", IN_ANY, true, check_helo, cmd_ehlo, true },
	{ "HELO", IN_ANY, true, check_helo, cmd_helo },
	{ "MAIL", IN(GREETED), false, NULL, cmd_mail },
	{ "RCPT", IN(SENDER) | IN(RECIPIENTS), false, check_rcpt, cmd_rcpt },
	{ "DATA", IN(RECIPIENTS), false, check_no_args, cmd_data },
	{ "BDAT", IN_ANY, false, NULL, smtp_bdat },
	{ "RSET", IN_ANY, true, check_no_args, cmd_rset },
	{ "NOOP", IN_ANY, true, NULL, cmd_noop, true },
	{ "QUIT", IN_ANY, false, check_no_args, cmd_quit, true },
	{ "VRFY", IN_ANY, true, check_some_args, cmd_vrfy },
	{ "EXPN", IN_ANY, false, NULL, cmd_not_here },
	{ "HELP", IN_ANY, true, NULL, cmd_help },
	{ "STARTTLS", IN_ANY, true, NULL, cmd_starttls, true },
	{ "AUTH", IN_ANY, true, NULL, smtp_auth_command },
	{ "XCLIENT", IN(CONNECT) | IN(GREETED), false, NULL, smtp_xclient },
};

bool
smtp_is_command(struct span line)
{
	struct span verb = span_sub(line, 0, span_find(line, ' '));

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (span_is_nocase(verb, commands[i].name))
			return true;
	return false;
}

void
smtp_line_too_long(struct smtp_session *s)
{
	if (s->state == SMTP_AUTH)
		smtp_auth_too_long(s);
	else
		REFUSE(s, "session", 500, "5.5.2 line too long");
}

static void
out_of_order(struct smtp_session *s, const char *name)
{
	static const char *const why[SMTP_STATE_COUNT] = {
		[SMTP_CONNECT] = "say EHLO first",
		[SMTP_GREETED] = "say MAIL FROM first",
		[SMTP_SENDER] = "no valid recipient yet",
		[SMTP_RECIPIENTS] = "there is a sender already",
		[SMTP_CHUNKS] = "the message goes on with BDAT until LAST",
	};
	const char *text = why[s->state];

	if (s->state == SMTP_SENDER && strcmp(name, "MAIL") == 0)
		text = why[SMTP_RECIPIENTS];
	REFUSE(s, name, 503, "5.5.1 bad sequence of commands: %s", text);
}

void
smtp_command(struct smtp_session *s, struct span line)
{
	struct span verb = span_sub(line, 0, span_find(line, ' '));
	struct span args = span_from(line, verb.n + (verb.n < line.n));

	if (s->state == SMTP_AUTH) {
		smtp_auth_line(s, line);
		return;
	}
	if (line.n && memchr(line.p, '\0', line.n)) {
		REFUSE(s, "session", 500, "5.5.2 NUL in a command");
		return;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const struct command *c = &commands[i];

		if (!span_is_nocase(verb, c->name))
			continue;
		if (line.n + 2 > WIRE_COMMAND_MAX && !span_is_nocase(verb, "MAIL") &&
		    !span_is_nocase(verb, "RCPT") && !span_is_nocase(verb, "AUTH"))
			break;
		if (s->site->tls_required && s->tls.n == 0 && !c->clear)
			REFUSE(s, c->name, 530, "5.7.0 must issue a STARTTLS command first");
		else if (!(c->states & 1u << s->state))
			out_of_order(s, c->name);
		else if (c->check == NULL || c->check(s, args))
			c->proceed(s, args);
		if (c->idle && ++s->idle > IDLE_MAX)
			smtp_count_error(s);
		return;
	}
	if (line.n + 2 > WIRE_COMMAND_MAX)
		smtp_line_too_long(s);
	else
		REFUSE(s, "session", 500, "5.5.2 unknown command");
}
