/* milter_command.c -- what each packet but those of the body means; see milter.c for the table.
 *
 * Called with one whole packet, when the session waits for nothing. Texts of the MTA become commands
 * only without control characters: what a client said can begin no command of its own.
 */
#include <stdio.h>
#include <stdlib.h>

#include "addr.h"
#include "postern/err.h"
#include "receiver/milter_private.h"
#include "receiver/smtp_path.h"

/* The text up to the next NUL (or the end). false: nothing is left. */
static bool
next_text(struct span *rest, struct span *text)
{
	size_t n;

	if (rest->n == 0)
		return false;
	n = span_find(*rest, '\0');
	*text = span_sub(*rest, 0, n);
	*rest = span_from(*rest, n + 1);
	return true;
}

struct span
milter_rcpt(struct span *rest)
{
	struct span text = { 0 };

	next_text(rest, &text);
	return text;
}

static void
negotiate(struct milter *mt, struct span data)
{
	char reply[12];
	uint32_t version, actions, steps;

	if (mt->negotiated || data.n < sizeof(reply)) {
		mt->broken = true;
		return;
	}
	version = milter_be32(data.p);
	actions = milter_be32(data.p + 4);
	steps = milter_be32(data.p + 8);
	if (version < MILTER_VERSION_MIN || (actions & MILTER_ACTIONS) != MILTER_ACTIONS) {
		mt->broken = true;
		return;
	}
	mt->steps = steps & STEPS_WANTED;
	mt->negotiated = true;
	milter_put32(reply, version < MILTER_VERSION ? version : MILTER_VERSION);
	milter_put32(reply + 4, MILTER_ACTIONS);
	milter_put32(reply + 8, mt->steps);
	milter_put(&mt->out, 'O', span_make(reply, sizeof(reply)));
}

static void
keep_word(char to[static MILTER_WORD_MAX], struct span value)
{
	size_t n = value.n < MILTER_WORD_MAX ? value.n : 0;

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)value.p[i] < ' ' || value.p[i] == 0x7f)
			n = 0;
	if (n)
		memcpy(to, value.p, n);
	to[n] = '\0';
}

static void
macros(struct milter *mt, struct span data)
{
	struct span rest = span_from(data, 1), name, value;

	if (data.n == 0)
		return;
	if (data.p[0] == 'M')
		mt->user[0] = mt->tls[0] = mt->cipher[0] = mt->mta_id[0] = '\0';
	while (next_text(&rest, &name) && next_text(&rest, &value)) {
		if (name.n > 2 && name.p[0] == '{' && name.p[name.n - 1] == '}')
			name = span_sub(name, 1, name.n - 2);
		if (span_is(name, "auth_authen"))
			keep_word(mt->user, value);
		else if (span_is(name, "tls_version"))
			keep_word(mt->tls, value);
		else if (span_is(name, "cipher"))
			keep_word(mt->cipher, value);
		else if (span_is(name, "i"))
			keep_word(mt->mta_id, value);
	}
}

/* Whom the MTA talks to. Local submissions have no address: they come from this machine. */
static void
connect_from(struct milter *mt, struct span data)
{
	struct smtp_session *s = mt->s;
	struct xclient x = { .has = XCLIENT_ADDR | XCLIENT_NAME | XCLIENT_PORT };
	struct arena *a = arena_new(512);
	struct smtp_reply r = { 0 };
	struct span rest = data, name, address = { 0 };
	char family = 'U';

	if (!next_text(&rest, &name))
		name = (struct span){ 0 };
	if (rest.n)
		family = rest.p[0];
	if ((family == '4' || family == '6') && rest.n > 3) {
		x.port = (uint16_t)((unsigned char)rest.p[1] << 8 | (unsigned char)rest.p[2]);
		rest = span_from(rest, 3);
		next_text(&rest, &address);
	}
	if (span_starts_nocase(address, SPAN_LIT("IPv6:")))
		address = span_from(address, 5);
	if (!ip_parse(address, &x.addr) && !ip_parse(SPAN_LIT("127.0.0.1"), &x.addr))
		x.addr = (struct ip){ 0 };
	x.name = arena_span(a, smtp_helo_valid(name) && name.p[0] != '[' ? name : SPAN_LIT(""));
	s->ops->xclient(s->ctx, s, &x, &r);
	arena_free(&s->claims);		/* the name before lay there until here */
	s->claims = a;
	mt->connected = true;
	milter_quietly(mt, "EHLO unknown");
	if (r.code) {
		char text[512];

		snprintf(text, sizeof(text), "%u %.*s", r.code, (int)(r.text.n > 400 ? 400 : r.text.n),
		    r.text.p);
		milter_refuse(mt, text);
	} else
		milter_go_on(mt, 'C');
}

static void
helo(struct milter *mt, struct span data)
{
	struct span name = { 0 };

	next_text(&data, &name);
	if (name.n == 0 || name.n > 255 || !smtp_helo_valid(name))
		milter_quietly(mt, "EHLO unknown");
	else {
		milter_command(mt, "EHLO %.*s", (int)name.n, name.p);
		buf_reset(&mt->s->out);
	}
	milter_go_on(mt, 'H');
}

/* "<address>" for a command; an address of this machine alone gets its name. false: nobody can
 * be meant. */
static bool
path_of(struct milter *mt, struct span text, char *out, size_t room)
{
	struct span host = mt->s->site->hostname;
	bool local;

	text = span_trim(text);
	if (text.n > 1 && text.p[0] == '<' && text.p[text.n - 1] == '>')
		text = span_sub(text, 1, text.n - 2);
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] < ' ' || text.p[i] == 0x7f)
			return false;
	local = text.n && memchr(text.p, '@', text.n) == NULL;
	return text.n + host.n + 4 < room && snprintf(out, room, "<%.*s%s%.*s>", (int)text.n,
	    text.n ? text.p : "", local ? "@" : "", local ? (int)host.n : 0, host.p) > 0;
}

/* What the MTA's own listener was told and delivery has to know. */
static const char *
mail_params(struct span rest, char *out, size_t room)
{
	struct span word;

	*out = '\0';
	while (next_text(&rest, &word))
		if (span_is_nocase(word, "SMTPUTF8") || span_is_nocase(word, "BODY=8BITMIME")) {
			size_t n = strlen(out);

			if (strstr(out, word.n == 8 ? "SMTPUTF8" : "8BITMIME") == NULL)
				snprintf(out + n, room - n, word.n == 8 ? " SMTPUTF8" : " BODY=8BITMIME");
		}
	return out;
}

static void
mail(struct milter *mt, struct span data)
{
	struct smtp_session *s = mt->s;
	char path[COMMAND_MAX - 100], params[64];
	struct span sender = { 0 };

	milter_forget(mt);
	if (s->t)
		milter_quietly(mt, "RSET");
	s->user = s->xclient.login = span_str(mt->user);
	free(s->tls_text);
	s->tls_text = NULL;
	s->tls = (struct span){ 0 };
	if (mt->tls[0]) {
		char text[2 * MILTER_WORD_MAX + 2];

		snprintf(text, sizeof(text), "%s%s%s", mt->tls, mt->cipher[0] ? " " : "", mt->cipher);
		s->tls_text = strdup(text);
		ASSERT(s->tls_text != NULL);
		s->tls = span_str(s->tls_text);
	}
	next_text(&data, &sender);
	if (!path_of(mt, sender, path, sizeof(path))) {
		milter_refuse(mt, "553 5.1.7 bad sender address");
		return;
	}
	milter_command(mt, "MAIL FROM:%s%s", path, mail_params(data, params, sizeof(params)));
	milter_answer(mt, 'M');
}

static void
rcpt(struct milter *mt, struct span data)
{
	char path[COMMAND_MAX - 100];
	struct span to = { 0 };

	next_text(&data, &to);
	if (!path_of(mt, to, path, sizeof(path))) {
		milter_refuse(mt, "553 5.1.3 bad recipient address");
		return;
	}
	buf_reset(&mt->asked);
	buf_span(&mt->asked, to);
	milter_command(mt, "RCPT TO:%s", path);
	milter_answer(mt, 'R');
}

/* LF folds, as milters write it; CRLF is the same. A line that does not go on is made to. */
static void
put_value(struct buf *b, struct span v)
{
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] == '\r')
			continue;
		if (v.p[i] != '\n') {
			buf_putc(b, v.p[i]);
			continue;
		}
		buf_puts(b, "\r\n");
		if (i + 1 < v.n && v.p[i + 1] != ' ' && v.p[i + 1] != '\t')
			buf_putc(b, '\t');
	}
}

static void
header(struct milter *mt, struct span data)
{
	struct span name = { 0 }, value = { 0 };

	if (mt->s->state != SMTP_RECIPIENTS) {	/* no message it could belong to; said at its end */
		milter_go_on(mt, 'L');
		return;
	}
	next_text(&data, &name);
	next_text(&data, &value);
	while (value.n && (value.p[value.n - 1] == '\n' || value.p[value.n - 1] == '\r'))
		value.n--;
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] == '\r' || name.p[i] == '\n' || name.p[i] == ':')
			name.n = 0;
	if (name.n) {
		buf_span(&mt->header, name);
		buf_puts(&mt->header, milter_leading_space(mt) ? ":" : ": ");
		put_value(&mt->header, value);
		buf_puts(&mt->header, "\r\n");
	} else
		mt->header.failed = true;	/* said at its end */
	milter_go_on(mt, 'L');
}

/* The header is the first chunk. It may be asked first whether it may come at all. */
void
milter_give_header(struct milter *mt)
{
	milter_give(mt, buf_data(&mt->header));
	milter_answer(mt, 'N');
}

static void
end_of_header(struct milter *mt)
{
	if (mt->s->state != SMTP_RECIPIENTS) {
		milter_say(mt, 't');
		return;
	}
	buf_puts(&mt->header, "\r\n");
	if (buf_failed(&mt->header)) {
		milter_refuse(mt, "552 5.3.4 header too large or broken");
		return;
	}
	mt->s->t->header_size = buf_size(&mt->header);
	milter_command(mt, "BDAT %zu", buf_size(&mt->header));
	if (smtp_waiting(mt->s))
		mt->waits = 'N';
	else
		milter_give_header(mt);
}

void
milter_packet(struct milter *mt, char command, struct span data)
{
	static const char before[] = "OQ";	/* in order before anything was agreed upon */
	static const char unconnected[] = "OQDCKA";

	if ((!mt->negotiated && strchr(before, command) == NULL) ||
	    (!mt->connected && strchr(unconnected, command) == NULL)) {
		mt->broken = true;
		return;
	}
	switch (command) {
	case 'O':
		negotiate(mt, data);
		break;
	case 'D':
		macros(mt, data);
		break;
	case 'C':
		connect_from(mt, data);
		break;
	case 'H':
		helo(mt, data);
		break;
	case 'M':
		mail(mt, data);
		break;
	case 'R':
		rcpt(mt, data);
		break;
	case 'T':
	case 'U':
		milter_go_on(mt, command);
		break;
	case 'L':
		header(mt, data);
		break;
	case 'N':
		end_of_header(mt);
		break;
	case 'A':
	case 'K':
		if (mt->connected)
			milter_quietly(mt, "RSET");
		milter_forget(mt);
		break;
	case 'Q':
		milter_quietly(mt, "QUIT");
		break;
	default:
		mt->broken = true;
		break;
	}
}
