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

#include "postern/err.h"
#include "receiver/milter_private.h"

#define LENGTH 4
#define HEAD (LENGTH + 1)
#define OUT_PAUSE (64u << 10)
#define OUT_MAX (2 * (size_t)MILTER_REPLACE_MAX + (8u << 20))
#define EDITS_MAX (OUT_MAX - OUT_PAUSE)
#define IDLE_KEEP ((size_t)4 << 10)	/* memory a buffer keeps from one message to the next */

uint32_t
milter_be32(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

void
milter_put32(char *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (char)(v >> (24 - 8 * i));
}

void
milter_put(struct buf *b, char type, struct span data)
{
	char head[HEAD];

	milter_put32(head, (uint32_t)data.n + 1);
	head[LENGTH] = type;
	buf_put(b, head, HEAD);
	buf_span(b, data);
}

void
milter_say(struct milter *mt, char type)
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

void
milter_refuse(struct milter *mt, const char *reply)
{
	put_refusal(&mt->out, span_str(reply));
}

static bool
has_no_reply(const struct milter *mt, char command)
{
	return (command == 'L' && mt->steps & NR_HDR) || (command == 'B' && mt->steps & NR_BODY) ||
	    (command == 'U' && mt->steps & NR_UNKN);
}

void
milter_go_on(struct milter *mt, char command)
{
	if (!has_no_reply(mt, command))
		milter_say(mt, 'c');
}

/* A body that is given back is there once: its packets become what is written, uncopied. */
static void
give_edits(struct milter *mt)
{
	struct buf b = mt->out;

	if (buf_size(&mt->out)) {
		buf_span(&mt->out, buf_data(&mt->edits));
		return;
	}
	mt->out = mt->edits;
	mt->out.max = OUT_MAX;
	mt->edits = b;
	mt->edits.max = EDITS_MAX;
}

/* The message is ours, or goes on with its changes. */
static void
accepted(struct milter *mt)
{
	if (!mt->told)
		milter_say(mt, 't');
	else if (!mt->passes)
		milter_say(mt, 'd');
	else {
		give_edits(mt);
		milter_say(mt, 'c');
	}
}

/* The MTA keeps its connection open between messages. */
static void
forget(struct buf *b)
{
	buf_reset(b);
	if (b->cap > IDLE_KEEP)
		buf_shrink(b);
}

void
milter_forget(struct milter *mt)
{
	forget(&mt->header);
	forget(&mt->rcpts);
	forget(&mt->late);
	forget(&mt->edits);
	mt->told = mt->passes = false;
}

/* What the session said to the command; nothing yet: it waits. */
void
milter_answer(struct milter *mt, char command)
{
	struct span said = buf_data(&mt->s->out);
	bool good = said.n && said.p[0] < '4';

	if (said.n == 0 && mt->s->state == SMTP_OVER) {
		milter_say(mt, 't');
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
		milter_say(mt, 't');
	} else if (good)
		milter_go_on(mt, command);
	else if (command == 'B' && has_no_reply(mt, command))
		buf_span(&mt->late, said);
	else
		put_refusal(&mt->out, said);
	buf_reset(&mt->s->out);
	if (command == 'E')
		milter_forget(mt);
}

/* ---- the session's input ---- */

void
milter_give(struct milter *mt, struct span bytes)
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

void
milter_command(struct milter *mt, const char *fmt, ...)
{
	char line[COMMAND_MAX + 64];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line) - 2, fmt, ap);
	va_end(ap);
	ASSERT(n > 0 && (size_t)n < sizeof(line) - 2);
	memcpy(line + n, "\r\n", 2);
	milter_give(mt, span_make(line, (size_t)n + 2));
}

/* A command whose reply concerns nobody. */
void
milter_quietly(struct milter *mt, const char *line)
{
	milter_command(mt, "%s", line);
	buf_reset(&mt->s->out);
}

/* ---- the body ---- */

static void
body_ends(struct milter *mt)
{
	char command = mt->last ? 'E' : 'B';

	mt->body = false;
	if (!mt->skipping) {
		milter_answer(mt, command);
		return;
	}
	if (!mt->last) {
		milter_go_on(mt, command);
		return;
	}
	if (buf_size(&mt->late))
		put_refusal(&mt->out, buf_data(&mt->late));
	else
		milter_say(mt, 't');
	if (mt->s->t)		/* its recipients are forgotten, too */
		milter_quietly(mt, "RSET");
	milter_forget(mt);
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
		milter_command(mt, "BDAT %llu%s", (unsigned long long)size, mt->last ? " LAST" : "");
	if (size == 0)
		body_ends(mt);
}

static size_t
body(struct milter *mt, struct span in)
{
	in = span_sub(in, 0, mt->left < in.n ? (size_t)mt->left : in.n);
	if (!mt->skipping)
		milter_give(mt, in);
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
		want = LENGTH + (size_t)milter_be32(buf_data(&mt->packet).p);
	n = want - have < in.n ? want - have : in.n;
	buf_put(&mt->packet, in.p, n);
	p = buf_data(&mt->packet);
	if (p.n < HEAD)
		return n;
	size = milter_be32(p.p);
	if (p.p[LENGTH] == 'B' || p.p[LENGTH] == 'E') {
		if (size == 0 || size > MILTER_BODY_MAX || !mt->negotiated)
			mt->broken = true;
		else
			body_begins(mt, p.p[LENGTH], size - 1);
		buf_reset(&mt->packet);
	} else if (size == 0 || size > MILTER_PACKET_MAX)
		mt->broken = true;
	else if (p.n == LENGTH + (size_t)size) {
		milter_packet(mt, p.p[LENGTH], span_from(p, HEAD));
		buf_reset(&mt->packet);
		if (mt->packet.cap > IDLE_KEEP)
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
		milter_give_header(mt);
	else
		milter_answer(mt, mt->waits);
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
	milter_say(mt, 'p');
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
	buf_init(&mt->edits, EDITS_MAX);
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
