/* milter.c -- milter packets into SMTP commands, replies into packets; see milter.h.
 *
 * Protocol: sendmail's mfdef.h and Postfix's MILTER_README. A packet is a length of four
 * bytes (big end first), a letter and data.
 *
 *   O  negotiate      versions 2 to 6; actions MILTER_ACTIONS or nothing at all
 *   D  macros         {auth_authen}, {tls_version}, {cipher}, i; all others are passed over
 *   C  connect        the client is who it says, the session begins with EHLO
 *   H  helo           EHLO name; a name that is none is "unknown": the MTA took it
 *   M R               MAIL FROM, RCPT TO
 *   L N               collected, then one BDAT chunk
 *   B E               a BDAT chunk each, streamed; that of E is the last
 *   A                 RSET;  K: RSET, another connect;  Q: the end
 *   T U               go on
 *
 * BDAT needs no dots and has no end to smuggle. Bare CR and LF in the body are refused, as
 * everywhere; in a header LF is how milters fold lines.
 *
 * One command, one answer: the session's replies never pile up, for nothing is given to it before
 * the last was turned into a packet.
 */
#include <stdio.h>
#include <stdlib.h>

#include "addr.h"
#include "postern/err.h"
#include "receiver/milter.h"
#include "receiver/smtp_path.h"

#define LENGTH 4
#define HEAD (LENGTH + 1)
#define OUT_PAUSE (64u << 10)
#define OUT_MAX (2 * (size_t)MILTER_REPLACE_MAX + (8u << 20))
#define COMMAND_MAX 2000			/* a command we write; the session takes WIRE_LINE_MAX */

enum {				/* steps of the protocol, mfapi.h */
	NR_HDR = 0x80, NOUNKNOWN = 0x100, NODATA = 0x200, NR_UNKN = 0x20000, NR_BODY = 0x80000,
	HDR_LEADSPC = 0x100000,
};
#define STEPS_WANTED (NR_HDR | NOUNKNOWN | NODATA | NR_UNKN | NR_BODY | HDR_LEADSPC)

static uint32_t
be32(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static void
put32(char *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (char)(v >> (24 - 8 * i));
}

void
milter_put(struct buf *b, char type, struct span data)
{
	char head[HEAD];

	put32(head, (uint32_t)data.n + 1);
	head[LENGTH] = type;
	buf_put(b, head, HEAD);
	buf_span(b, data);
}

static void
say(struct milter *mt, char type)
{
	milter_put(&mt->out, type, (struct span){ 0 });
}

/* ---- answers ---- */

/* SMFIR_REPLYCODE, of one reply as the session wrote it. A percent sign is doubled, for MTAs
 * take the text for a format; 421 would end the client's session, which is the MTA's to end. */
static void
put_refusal(struct buf *out, struct span reply)
{
	struct buf b;
	bool start = true;

	buf_init(&b, 64u << 10);
	while (reply.n && (reply.p[reply.n - 1] == '\n' || reply.p[reply.n - 1] == '\r'))
		reply.n--;
	for (size_t i = 0; i < reply.n; i++) {
		if (start && reply.n - i >= 3 && memcmp(reply.p + i, "421", 3) == 0) {
			buf_puts(&b, "451");
			i += 2;
			start = false;
			continue;
		}
		start = reply.p[i] == '\n';
		buf_putc(&b, reply.p[i]);
		if (reply.p[i] == '%')
			buf_putc(&b, '%');
	}
	buf_putc(&b, '\0');
	milter_put(out, 'y', buf_data(&b));
	buf_release(&b);
}

static void
refuse(struct milter *mt, const char *reply)
{
	put_refusal(&mt->out, span_str(reply));
}

static bool
has_no_reply(const struct milter *mt, char command)
{
	return (command == 'L' && mt->steps & NR_HDR) || (command == 'B' && mt->steps & NR_BODY) ||
	    (command == 'U' && mt->steps & NR_UNKN);
}

static void
go_on(struct milter *mt, char command)
{
	if (!has_no_reply(mt, command))
		say(mt, 'c');
}

/* The message is ours, or goes on with its changes. */
static void
accepted(struct milter *mt)
{
	if (!mt->told)
		say(mt, 't');
	else if (!mt->passes)
		say(mt, 'd');
	else {
		buf_span(&mt->out, buf_data(&mt->edits));
		say(mt, 'c');
	}
}

static void
forget_message(struct milter *mt)
{
	buf_reset(&mt->header);
	buf_reset(&mt->rcpts);
	buf_reset(&mt->late);
	buf_reset(&mt->edits);
	if (mt->edits.cap > OUT_PAUSE)
		buf_shrink(&mt->edits);
	mt->told = mt->passes = false;
}

/* What the session said to the command; nothing yet: it waits. */
static void
answer(struct milter *mt, char command)
{
	struct span said = buf_data(&mt->s->out);
	bool good = said.n && said.p[0] < '4';

	if (said.n == 0 && mt->s->state == SMTP_OVER) {
		say(mt, 't');
		return;
	}
	if (said.n == 0) {
		ASSERT(smtp_waiting(mt->s));
		mt->waits = command;
		return;
	}
	mt->waits = 0;
	if (good && command == 'E')
		accepted(mt);
	else if (good && command == 'R' && (buf_span(&mt->rcpts, buf_data(&mt->asked)) == -1 ||
	    buf_putc(&mt->rcpts, '\0') == -1)) {
		mt->broken = true;	/* the envelope has it and we do not */
		say(mt, 't');
	} else if (good)
		go_on(mt, command);
	else if (command == 'B' && has_no_reply(mt, command))
		buf_span(&mt->late, said);
	else
		put_refusal(&mt->out, said);
	buf_reset(&mt->s->out);
	if (command == 'E')
		forget_message(mt);
}

/* ---- the session's input ---- */

static void
give(struct milter *mt, struct span bytes)
{
	struct smtp_input in = { .kind = SMTP_BYTES, .now = mt->s->now, .bytes = bytes };
	size_t used;

	while (in.bytes.n && mt->s->state != SMTP_OVER && !smtp_waiting(mt->s)) {
		smtp_session_step(mt->s, &in, &used);
		in.bytes = span_from(in.bytes, used);
		if (used == 0)
			break;
	}
}

static void
command_line(struct milter *mt, const char *fmt, ...)
{
	char line[COMMAND_MAX + 64];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line) - 2, fmt, ap);
	va_end(ap);
	ASSERT(n > 0 && (size_t)n < sizeof(line) - 2);
	memcpy(line + n, "\r\n", 2);
	give(mt, span_make(line, (size_t)n + 2));
}

/* A command whose reply concerns nobody. */
static void
quietly(struct milter *mt, const char *line)
{
	command_line(mt, "%s", line);
	buf_reset(&mt->s->out);
}

/* ---- packets ---- */

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
	version = be32(data.p);
	actions = be32(data.p + 4);
	steps = be32(data.p + 8);
	if (version < MILTER_VERSION_MIN || (actions & MILTER_ACTIONS) != MILTER_ACTIONS) {
		mt->broken = true;
		return;
	}
	mt->steps = steps & STEPS_WANTED;
	mt->negotiated = true;
	put32(reply, version < MILTER_VERSION ? version : MILTER_VERSION);
	put32(reply + 4, MILTER_ACTIONS);
	put32(reply + 8, mt->steps);
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
	quietly(mt, "EHLO unknown");
	if (r.code) {
		char text[512];

		snprintf(text, sizeof(text), "%u %.*s", r.code, (int)(r.text.n > 400 ? 400 : r.text.n),
		    r.text.p);
		refuse(mt, text);
	} else
		go_on(mt, 'C');
}

static void
helo(struct milter *mt, struct span data)
{
	struct span name = { 0 };

	next_text(&data, &name);
	if (name.n == 0 || name.n > 255 || !smtp_helo_valid(name))
		quietly(mt, "EHLO unknown");
	else {
		command_line(mt, "EHLO %.*s", (int)name.n, name.p);
		buf_reset(&mt->s->out);
	}
	go_on(mt, 'H');
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

	forget_message(mt);
	if (s->t)
		quietly(mt, "RSET");
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
		refuse(mt, "553 5.1.7 bad sender address");
		return;
	}
	command_line(mt, "MAIL FROM:%s%s", path, mail_params(data, params, sizeof(params)));
	answer(mt, 'M');
}

static void
rcpt(struct milter *mt, struct span data)
{
	char path[COMMAND_MAX - 100];
	struct span to = { 0 };

	next_text(&data, &to);
	if (!path_of(mt, to, path, sizeof(path))) {
		refuse(mt, "553 5.1.3 bad recipient address");
		return;
	}
	buf_reset(&mt->asked);
	buf_span(&mt->asked, to);
	command_line(mt, "RCPT TO:%s", path);
	answer(mt, 'R');
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
	go_on(mt, 'L');
}

/* The header is the first chunk. It may be asked first whether it may come at all. */
static void
give_header(struct milter *mt)
{
	give(mt, buf_data(&mt->header));
	answer(mt, 'N');
}

static void
end_of_header(struct milter *mt)
{
	buf_puts(&mt->header, "\r\n");
	if (buf_failed(&mt->header)) {
		refuse(mt, "552 5.3.4 header too large or broken");
		return;
	}
	if (mt->s->state != SMTP_RECIPIENTS) {
		say(mt, 't');
		return;
	}
	mt->s->t->header_size = buf_size(&mt->header);
	command_line(mt, "BDAT %zu", buf_size(&mt->header));
	if (smtp_waiting(mt->s))
		mt->waits = 'N';
	else
		give_header(mt);
}

static void
packet(struct milter *mt, char command, struct span data)
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
		go_on(mt, command);
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
			quietly(mt, "RSET");
		forget_message(mt);
		break;
	case 'Q':
		quietly(mt, "QUIT");
		break;
	default:
		mt->broken = true;
		break;
	}
}

/* ---- the body ---- */

static void
body_ends(struct milter *mt)
{
	char command = mt->last ? 'E' : 'B';

	mt->body = false;
	if (!mt->skipping) {
		answer(mt, command);
		return;
	}
	if (!mt->last) {
		go_on(mt, command);
		return;
	}
	if (buf_size(&mt->late))
		put_refusal(&mt->out, buf_data(&mt->late));
	else
		say(mt, 't');
	forget_message(mt);
}

static void
body_begins(struct milter *mt, char command, uint64_t size)
{
	if (!mt->connected) {
		mt->broken = true;
		return;
	}
	mt->body = true;
	mt->last = command == 'E';
	mt->left = size;
	mt->skipping = mt->s->state != SMTP_CHUNKS;
	if (!mt->skipping)
		command_line(mt, "BDAT %llu%s", (unsigned long long)size, mt->last ? " LAST" : "");
	if (size == 0)
		body_ends(mt);
}

static size_t
body(struct milter *mt, struct span in)
{
	in = span_sub(in, 0, mt->left < in.n ? (size_t)mt->left : in.n);
	if (!mt->skipping)
		give(mt, in);
	mt->left -= in.n;
	if (mt->left == 0)
		body_ends(mt);
	return in.n;
}

/* ---- input ---- */

/* More of a packet: how many bytes are done with. */
static size_t
collect(struct milter *mt, struct span in)
{
	size_t have = buf_size(&mt->packet), want = HEAD, n;
	struct span p;
	uint32_t size;

	if (have >= HEAD)
		want = LENGTH + (size_t)be32(buf_data(&mt->packet).p);
	n = want - have < in.n ? want - have : in.n;
	buf_put(&mt->packet, in.p, n);
	p = buf_data(&mt->packet);
	if (p.n < HEAD)
		return n;
	size = be32(p.p);
	if (p.p[LENGTH] == 'B' || p.p[LENGTH] == 'E') {
		if (size == 0 || size > MILTER_BODY_MAX || !mt->negotiated)
			mt->broken = true;
		else
			body_begins(mt, p.p[LENGTH], size - 1);
		buf_reset(&mt->packet);
	} else if (size == 0 || size > MILTER_PACKET_MAX)
		mt->broken = true;
	else if (p.n == LENGTH + (size_t)size) {
		packet(mt, p.p[LENGTH], span_from(p, HEAD));
		buf_reset(&mt->packet);
		if (mt->packet.cap > OUT_PAUSE)
			buf_shrink(&mt->packet);
	}
	return n;
}

static size_t
consume(struct milter *mt, struct span in)
{
	size_t at = 0;

	while (at < in.n && !mt->broken && mt->s->state != SMTP_OVER && !smtp_waiting(mt->s) &&
	    buf_size(&mt->out) < OUT_PAUSE)
		at += mt->body ? body(mt, span_from(in, at)) : collect(mt, span_from(in, at));
	return at;
}

/* The session has its answer: it goes on where it waited. */
static void
answered(struct milter *mt)
{
	if (mt->waits == 0 || smtp_waiting(mt->s))
		return;
	if (mt->waits == 'N')
		give_header(mt);
	else
		answer(mt, mt->waits);
}

enum smtp_step
milter_step(struct milter *mt, const struct smtp_input *in, size_t *used)
{
	struct smtp_session *s = mt->s;
	size_t none;

	*used = 0;
	if (in->kind == SMTP_BYTES) {
		s->now = in->now;
		*used = consume(mt, in->bytes);
	} else {
		bool waited = mt->waits != 0;

		smtp_session_step(s, in, &none);
		if (in->kind == SMTP_ANSWER && waited)
			answered(mt);
		buf_reset(&s->out);	/* banner, timeout, "service restarting": not for MTAs */
	}
	if (mt->broken)
		smtp_session_release(s);
	if (s->state == SMTP_OVER)
		return SMTP_DONE;
	if (smtp_waiting(s))
		return SMTP_WAIT;
	return buf_size(&mt->out) ? SMTP_SAY : SMTP_MORE;
}

bool
milter_progress(struct milter *mt)
{
	if (mt->waits != 'E' || buf_size(&mt->out))
		return false;
	say(mt, 'p');
	return true;
}

void
milter_told(struct milter *mt, bool passes)
{
	mt->told = true;
	mt->passes = passes;
}

void
milter_init(struct milter *mt, struct smtp_session *s)
{
	*mt = (struct milter){ .s = s };
	buf_init(&mt->out, OUT_MAX);
	buf_init(&mt->packet, LENGTH + MILTER_PACKET_MAX);
	buf_init(&mt->header, MILTER_HEADER_MAX);
	buf_init(&mt->rcpts, MILTER_RCPTS_MAX);
	buf_init(&mt->asked, MILTER_PACKET_MAX);
	buf_init(&mt->late, 8u << 10);
	buf_init(&mt->edits, OUT_MAX - OUT_PAUSE);
}

void
milter_release(struct milter *mt)
{
	buf_release(&mt->out);
	buf_release(&mt->packet);
	buf_release(&mt->header);
	buf_release(&mt->rcpts);
	buf_release(&mt->asked);
	buf_release(&mt->late);
	buf_release(&mt->edits);
}
