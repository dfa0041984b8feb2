/* test_smtp_dialogues.c -- plays the files in tests/scenario/smtp with the session machine.
 *
 *   == name           a dialogue begins; "[normalise]" behind the name: the listener
 *                     makes CRLF of bare CR and LF; "[two messages]": it takes two in a session
 *   C: text           the client sends a line, CRLF is added; \r \n \0 \\ \xHH and
 *                     \{N*text} (text N times) are escapes
 *   C> text           the same without CRLF
 *   S: pattern        the next reply line, as for fnmatch(3); the " (ref ID)" of a refusal is
 *                     checked and taken off first
 *   S= 250            the next reply, all of its lines have this code
 *   S- 250            the lines of the next reply but its last one, likewise
 *   TLS               the server waits for a handshake, which succeeds
 *   M: text           the next message that arrived, byte for byte: "FROM> TO,TO: BYTES"; behind
 *                     an address {what was said of it}, behind TO nul or long
 *   CLOSED            the server closes
 *
 * Every dialogue is played four times: group by group, line by line, byte by
 * byte, and all at once. The replies must be the same. The session's world:
 * refused.example may not be relayed to, over@… is over a limit, a message that
 * contains "REJECT" is refused with 550 behind its end; marie's password is "wine", and for busy
 * nothing can be checked. In the files tls*.txt STARTTLS is offered (dialogues "required: …":
 * required), and AUTH behind it. With TLS in it a dialogue is not played all at once, for what was sent in clear is gone. */
#include <dirent.h>
#include <fnmatch.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fs.h"
#include "receiver/smtp_session.h"

#define FOLDER "tests/scenario/smtp"
#define NOW INT64_C(1795344099000000)

struct world {
	struct buf body, messages;	/* messages: each followed by \1 */
	bool collecting;
	unsigned refused, ended, logins, login;
	struct smtp_transaction *taken;
};

static void
w_mail(void *ctx, struct smtp_session *s, struct smtp_reply *r)
{
	smtp_session_check(s);
	if (span_starts(s->t->env.sender, SPAN_LIT("over@")))
		smtp_refuse(s, r, 451, "4.7.1 over the limit");
}

static uint64_t
w_rcpt(void *ctx, struct smtp_session *s, struct recipient *rcpt, struct smtp_reply *r)
{
	if (span_ends_nocase(rcpt->address, SPAN_LIT("@asked.example")))
		return 55;
	if (span_ends_nocase(rcpt->address, SPAN_LIT("@refused.example")))
		smtp_refuse(s, r, 554, "5.7.1 <%.*s>: not permitted to relay",
		    SPAN_ARG(rcpt->address));
	return 0;
}

static void
w_data(void *ctx, struct smtp_session *s, struct smtp_reply *r)
{
	struct world *w = ctx;

	assert_false(w->collecting);
	w->collecting = true;
	buf_reset(&w->body);
}

static void
w_body(void *ctx, struct smtp_session *s, struct span bytes)
{
	struct world *w = ctx;

	assert_true(w->collecting && bytes.n > 0);
	buf_span(&w->body, bytes);
}

/* "from{RET=FULL ENVID=x UTF8}> to{NEVER rfc822;b},to" */
static void
put_envelope(struct buf *b, const struct envelope *env)
{
	buf_printf(b, "%.*s", SPAN_ARG(env->sender));
	if (env->ret || env->envid.n || (env->flags & ENVELOPE_SMTPUTF8))
		buf_printf(b, "{%s%s%.*s%s}", env->ret == RET_FULL ? "RET=FULL" :
		    env->ret == RET_HDRS ? "RET=HDRS" : "", env->envid.n ? " ENVID=" : "",
		    SPAN_ARG(env->envid), env->flags & ENVELOPE_SMTPUTF8 ? " UTF8" : "");
	buf_puts(b, "> ");
	for (size_t i = 0; i < env->nrecipients; i++) {
		const struct recipient *r = &env->recipients[i];

		buf_printf(b, "%s%.*s", i ? "," : "", SPAN_ARG(r->address));
		if (r->notify || r->orcpt.n)
			buf_printf(b, "{%s%s%s%s%s%.*s}", r->notify & NOTIFY_NEVER ? "NEVER" : "",
			    r->notify & NOTIFY_SUCCESS ? "S" : "", r->notify & NOTIFY_FAILURE ? "F" : "",
			    r->notify & NOTIFY_DELAY ? "D" : "", r->orcpt.n ? " " : "",
			    SPAN_ARG(r->orcpt));
	}
}

static uint64_t
w_end(void *ctx, struct smtp_session *s, struct smtp_transaction *t, unsigned flags,
    struct smtp_reply *r)
{
	struct world *w = ctx;

	assert_true(w->collecting && w->taken == NULL);
	w->collecting = false;
	w->taken = t;
	w->ended++;
	put_envelope(&w->messages, &t->env);
	if (flags & DATA_HAS_NUL)
		buf_puts(&w->messages, " nul");
	if (flags & DATA_LONG_LINE)
		buf_puts(&w->messages, " long");
	buf_puts(&w->messages, ": ");
	buf_span(&w->messages, buf_data(&w->body));
	buf_putc(&w->messages, '\1');
	return t->env.id;
}

static uint64_t
w_auth(void *ctx, struct smtp_session *s, struct span user, struct span password,
    struct smtp_reply *r)
{
	struct world *w = ctx;

	assert_true(w->login == 0 && s->tls.n > 0 && s->user.n == 0 && s->t == NULL);
	w->logins++;
	if (span_is(user, "busy")) {
		smtp_refuse(s, r, 454, "4.7.0 cannot be checked now");
		return 0;
	}
	w->login = span_is(user, "marie") && span_is(password, "wine") ? 235 : 535;
	return 77;
}

static void
w_abandon(void *ctx, struct smtp_session *s)
{
	((struct world *)ctx)->collecting = false;
}

static void
w_refused(void *ctx, struct smtp_session *s, const char *command, const struct recipient *rcpt,
    unsigned code, struct span text)
{
	((struct world *)ctx)->refused++;
	assert_true(code >= 400 && code < 600 && command != NULL);
}

static const struct smtp_ops world_ops = { .mail = w_mail, .rcpt = w_rcpt, .data = w_data,
	.body = w_body, .end = w_end, .auth = w_auth, .abandon = w_abandon, .refused = w_refused };

/* ---- dialogues ---- */

enum step_kind { SAY, HEAR, HEAR_ALL, HEAR_BUT_LAST, MESSAGE, TLS, CLOSED };
struct line {
	enum step_kind kind;
	struct span text;	/* escapes undone, but for patterns */
	unsigned number;
};

static struct span
unescape(struct arena *a, struct span s, bool crlf)
{
	struct buf b;
	struct span out;

	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '\\') {
			buf_putc(&b, s.p[i]);
			continue;
		}
		switch (s.p[++i]) {
		case 'r':
			buf_putc(&b, '\r');
			break;
		case 'n':
			buf_putc(&b, '\n');
			break;
		case '0':
			buf_putc(&b, '\0');
			break;
		case 'x':
			buf_putc(&b, (char)strtoul((char[3]){ s.p[i + 1], s.p[i + 2], 0 }, NULL, 16));
			i += 2;
			break;
		case '{': {
			char *star;
			unsigned long n = strtoul(s.p + i + 1, &star, 10);
			size_t end = i + span_find(span_from(s, i), '}');
			struct span again;

			assert_true(*star == '*' && end < s.n);
			again = unescape(a, span_make(star + 1, (size_t)(s.p + end - star - 1)),
			    false);
			while (n--)
				buf_span(&b, again);
			i = end;
			break;
		}
		default:
			buf_putc(&b, s.p[i]);
		}
	}
	if (crlf)
		buf_puts(&b, "\r\n");
	out = arena_span(a, buf_data(&b));
	buf_release(&b);
	return out;
}

struct play {
	struct smtp_session s;
	struct world w;
	struct buf in;		/* not yet taken */
	struct buf heard;	/* replies not yet expected */
	struct id_source ids;
	bool done;
	bool ehlo;		/* within its reply */
	const char *file, *name;
	size_t message_at;
};

static void
play_step(struct play *p, struct smtp_input *in)
{
	size_t used;
	enum smtp_step st = smtp_session_step(&p->s, in, &used);

	assert_true(used <= in->bytes.n);
	buf_consume(&p->in, used);
	buf_span(&p->heard, buf_data(&p->s.out));
	buf_reset(&p->s.out);
	p->done = st == SMTP_DONE;
	/* what is kept may not grow without bound */
	if (st == SMTP_MORE || st == SMTP_SAY)
		assert_true(used > 0 || buf_size(&p->in) < WIRE_LINE_MAX);
	while (st == SMTP_WAIT) {
		char id[ID_SIZE], text[64];
		bool bad = p->w.body.n && memmem(p->w.body.p, p->w.body.n, "REJECT", 6);
		struct smtp_input ans = { .kind = SMTP_ANSWER, .now = NOW, .ticket = 12345,
			.reply = { .code = 250, .text = SPAN_LIT("2.0.0 not yours") } };

		/* an answer for another ticket changes nothing */
		assert_int_equal(smtp_session_step(&p->s, &ans, &used), SMTP_WAIT);
		if (p->s.state == SMTP_CHECKING) {
			bool good = p->w.login == 235;

			assert_int_equal(p->s.ticket, 77);
			p->w.login = 0;
			ans.ticket = 77;
			ans.reply = good ? (struct smtp_reply){ 235, SPAN_LIT("2.7.0 welcome"), false } :
			    (struct smtp_reply){ 535, SPAN_LIT("5.7.8 authentication failed (ref 00000000000)"), false };
			st = smtp_session_step(&p->s, &ans, &used);
			assert_true((p->s.user.n > 0) == good);
			buf_span(&p->heard, buf_data(&p->s.out));
			buf_reset(&p->s.out);
			p->done = st == SMTP_DONE;
			continue;
		}
		if (p->s.state == SMTP_ASKING) {
			struct span who = p->s.t->asked.address;
			size_t n = p->s.t->env.nrecipients;

			assert_int_equal(p->s.ticket, 55);
			ans.ticket = 55;
			ans.reply = (struct smtp_reply){ 0 };
			if (span_starts_nocase(who, SPAN_LIT("unknown")))
				ans.reply = (struct smtp_reply){ 550,
				    SPAN_LIT("5.1.1 no such recipient (ref 00000000000)"), false };
			else if (span_starts_nocase(who, SPAN_LIT("doubt")))
				ans.reply = (struct smtp_reply){ 451,
				    SPAN_LIT("4.4.3 nobody knows (ref 00000000000)"), false };
			st = smtp_session_step(&p->s, &ans, &used);
			if (p->s.t)
				assert_int_equal(p->s.t->env.nrecipients, n + (ans.reply.code == 0));
			buf_span(&p->heard, buf_data(&p->s.out));
			buf_reset(&p->s.out);
			p->done = st == SMTP_DONE;
			continue;
		}
		id_format(p->s.ticket, id);
		snprintf(text, sizeof(text), bad ? "5.7.1 policy (ref %s)" : "2.0.0 accepted as %s", id);
		ans.ticket = p->s.ticket;
		ans.reply = (struct smtp_reply){ bad ? 550 : 250, span_str(text), false };
		st = smtp_session_step(&p->s, &ans, &used);
		smtp_transaction_free(&p->w.taken);
		buf_span(&p->heard, buf_data(&p->s.out));
		buf_reset(&p->s.out);
		p->done = st == SMTP_DONE;
	}
}

static void
play_say(struct play *p, struct span bytes)
{
	struct smtp_input in = { .kind = SMTP_BYTES, .now = NOW };
	size_t before;

	buf_span(&p->in, bytes);
	do {
		before = buf_size(&p->in);
		in.bytes = buf_data(&p->in);
		if (!p->done)
			play_step(p, &in);
	} while (!p->done && buf_size(&p->in) && buf_size(&p->in) != before);
}

/* RFC 2034: on every reply but the greeting, those to EHLO and HELO, and 3yz; its class is the
 * reply's. */
static bool
enhanced_as_due(struct play *p, const char *got)
{
	struct span text = span_str(got + 4);
	bool ehlo = p->ehlo || span_starts(text, SPAN_LIT("gw1.example.org"));

	p->ehlo = ehlo && got[3] == '-';
	return ehlo || got[0] == '3' ||
	    (wire_enhanced(text) > 0 && text.p[0] == got[0]);
}

static void
play_hear(struct play *p, const struct line *l)
{
	struct span s = buf_data(&p->heard);
	size_t n = span_find(s, '\n');
	char got[1024], want[1024], *ref;

	snprintf(want, sizeof(want), "%.*s", SPAN_ARG(l->text));
	if (n >= s.n || n == 0 || s.p[n - 1] != '\r')
		fail_msg("%s: %s: line %u: nothing was said, expected %s", p->file, p->name,
		    l->number, want);
	assert_true(n + 1 <= 512);
	memcpy(got, s.p, n - 1);
	got[n - 1] = '\0';
	buf_consume(&p->heard, n + 1);
	for (size_t i = 0; i < n - 1; i++)
		assert_true(got[i] >= ' ' && got[i] < 0x7f);
	if (!enhanced_as_due(p, got))
		fail_msg("%s: %s: no enhanced code of its class: %s", p->file, p->name, got);
	if ((got[0] == '4' || got[0] == '5') && got[3] == ' ') {
		ref = strstr(got, " (ref ");
		if (ref == NULL || strlen(ref) != strlen(" (ref )") + ID_LEN)
			fail_msg("%s: %s: a refusal without its id: %s", p->file, p->name, got);
		*ref = '\0';
	}
	if (fnmatch(want, got, 0) != 0)
		fail_msg("%s: %s: line %u: expected \"%s\", got \"%s\"", p->file, p->name,
		    l->number, want, got);
}

static void
play_tls(struct play *p, const struct line *l)
{
	struct smtp_input in = { .kind = SMTP_SECURED, .now = NOW,
		.bytes = SPAN_LIT("TLSv1.3 TLS_AES_256_GCM_SHA384") };

	if (p->s.state != SMTP_HANDSHAKE)
		fail_msg("%s: %s: line %u: no handshake is due", p->file, p->name, l->number);
	/* all that came in clear is gone */
	assert_int_equal(buf_size(&p->in), 0);
	assert_int_equal(p->s.user.n, 0);
	play_step(p, &in);
	assert_int_equal(p->s.state, SMTP_CONNECT);
	assert_int_equal(p->s.helo.n, 0);
}

static void
play_hear_all(struct play *p, const struct line *l)
{
	struct line any = { HEAR, SPAN_LIT("*"), l->number };
	bool more;

	do {
		struct span heard = buf_data(&p->heard);

		if (!span_starts(heard, l->text) || heard.n < 4)
			fail_msg("%s: %s: line %u: expected %.*s, got \"%.*s\"", p->file, p->name,
			    l->number, SPAN_ARG(l->text), SPAN_ARG(heard));
		more = heard.p[3] == '-';
		if (more || l->kind == HEAR_ALL)
			play_hear(p, &any);
	} while (more);
}

static void
play_message(struct play *p, const struct line *l)
{
	struct span all = span_from(buf_data(&p->w.messages), p->message_at);
	size_t n = span_find(all, '\1');

	if (n >= all.n || !span_eq(span_sub(all, 0, n), l->text))
		fail_msg("%s: %s: line %u: another message: \"%.*s\"", p->file, p->name, l->number,
		    (int)(n < 200 ? n : 200), all.p ? all.p : "");
	p->message_at += n + 1;
}

enum mode { GROUPS, LINES, BYTES, ALL };

static bool
any_tls(const struct line *lines, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (lines[i].kind == TLS)
			return true;
	return false;
}

static void
play(const char *file, const char *name, const struct line *lines, size_t n, enum mode mode)
{
	const struct smtp_site site = { .hostname = { "gw1.example.org", 15 },
		.postmaster = { "postmaster@example.org", 22 }, .max_size = 1000000,
		.recipients = 5, .errors = 20,
		.messages = strstr(name, "[two messages]") ? 2 : 1000,
		.normalise = strstr(name, "[normalise]") != NULL };
	struct smtp_site offers = site;
	struct smtp_input open = { .kind = SMTP_OPEN, .now = NOW };
	struct play p = { .file = file, .name = name, .ids = { .slot = 7 } };
	struct buf group;
	bool closed = false;

	buf_init(&p.w.body, 1 << 20);
	buf_init(&p.w.messages, 1 << 20);
	buf_init(&p.in, 1 << 20);
	buf_init(&p.heard, 1 << 20);
	buf_init(&group, 1 << 20);
	offers.tls = offers.auth = strncmp(file, "tls", 3) == 0;
	offers.tls_required = strncmp(name, "required", 8) == 0;
	smtp_session_init(&p.s, &offers, &world_ops, &p.w, &p.ids);
	p.s.permitted = true;
	play_step(&p, &open);
	for (size_t i = 0; i < n; i++) {
		if (lines[i].kind == SAY && (mode == GROUPS || mode == ALL))
			buf_span(&group, lines[i].text);
		else if (lines[i].kind == SAY && mode == LINES)
			play_say(&p, lines[i].text);
		else if (lines[i].kind == SAY)
			for (size_t k = 0; k < lines[i].text.n; k++)
				play_say(&p, span_sub(lines[i].text, k, 1));
		if (mode == GROUPS && (i + 1 == n || lines[i + 1].kind != SAY)) {
			play_say(&p, buf_data(&group));
			buf_reset(&group);
		}
		if (mode == ALL)
			continue;
		if (lines[i].kind == HEAR)
			play_hear(&p, &lines[i]);
		else if (lines[i].kind == HEAR_ALL || lines[i].kind == HEAR_BUT_LAST)
			play_hear_all(&p, &lines[i]);
		else if (lines[i].kind == MESSAGE)
			play_message(&p, &lines[i]);
		else if (lines[i].kind == TLS)
			play_tls(&p, &lines[i]);
		else if (lines[i].kind == CLOSED)
			closed = true;
	}
	if (mode == ALL) {
		play_say(&p, buf_data(&group));
		for (size_t i = 0; i < n; i++)
			if (lines[i].kind == HEAR)
				play_hear(&p, &lines[i]);
			else if (lines[i].kind == HEAR_ALL || lines[i].kind == HEAR_BUT_LAST)
				play_hear_all(&p, &lines[i]);
			else if (lines[i].kind == MESSAGE)
				play_message(&p, &lines[i]);
			else if (lines[i].kind == CLOSED)
				closed = true;
	}
	if (buf_size(&p.heard))
		fail_msg("%s: %s: more was said: %.*s", file, name, SPAN_ARG(buf_data(&p.heard)));
	if (closed != p.done)
		fail_msg("%s: %s: %s", file, name, closed ? "not closed" : "closed");
	if (buf_size(&p.w.messages) != p.message_at)
		fail_msg("%s: %s: a message too many", file, name);
	smtp_session_release(&p.s);
	assert_false(p.w.collecting);
	smtp_transaction_free(&p.w.taken);
	buf_release(&p.w.body);
	buf_release(&p.w.messages);
	buf_release(&p.in);
	buf_release(&p.heard);
	buf_release(&group);
}

static void
parse_line(struct arena *a, struct span raw, unsigned number, struct line *l, bool *is)
{
	struct span rest = span_from(raw, 3);

	*is = true;
	*l = (struct line){ .number = number };
	if (span_starts(raw, SPAN_LIT("C:")))
		*l = (struct line){ SAY, unescape(a, rest, true), number };
	else if (span_starts(raw, SPAN_LIT("C>")))
		*l = (struct line){ SAY, unescape(a, rest, false), number };
	else if (span_starts(raw, SPAN_LIT("S:")))
		*l = (struct line){ HEAR, rest, number };
	else if (span_starts(raw, SPAN_LIT("S=")))
		*l = (struct line){ HEAR_ALL, rest, number };
	else if (span_starts(raw, SPAN_LIT("S-")))
		*l = (struct line){ HEAR_BUT_LAST, rest, number };
	else if (span_starts(raw, SPAN_LIT("M:")))
		*l = (struct line){ MESSAGE, unescape(a, rest, false), number };
	else if (span_is(raw, "TLS"))
		l->kind = TLS;
	else if (span_is(raw, "CLOSED"))
		l->kind = CLOSED;
	else if (raw.n == 0 || raw.p[0] == '#')
		*is = false;
	else
		fail_msg("line %u is no line of a dialogue", number);
}

static size_t
play_file(const char *name)
{
	struct arena *a = arena_new(0);
	struct line lines[400];
	struct span text;
	char path[512], *title = NULL;
	unsigned number = 0;
	size_t n = 0, played = 0;
	struct err err;

	snprintf(path, sizeof(path), FOLDER "/%s", name);
	assert_int_equal(fs_read(a, path, 1 << 20, &text, &err), 0);
	for (bool more = true; more; ) {
		size_t end = span_find(text, '\n');
		struct span raw = span_sub(text, 0, end);
		bool is;

		more = text.n > 0;
		text = span_from(text, end + 1);
		number++;
		if (!more || span_starts(raw, SPAN_LIT("== "))) {
			for (int m = GROUPS; title && m <= (any_tls(lines, n) ? BYTES : ALL); m++)
				play(name, title, lines, n, (enum mode)m);
			played += title != NULL;
			n = 0;
			title = more ? arena_str(a, span_from(raw, 3)) : NULL;
			continue;
		}
		assert_true(n < 400);
		parse_line(a, raw, number, &lines[n], &is);
		n += is;
	}
	arena_free(&a);
	return played;
}

static void
all_files(void **state)
{
	DIR *d = opendir(FOLDER);
	struct dirent *e;
	size_t played = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		if (span_ends_nocase(span_str(e->d_name), SPAN_LIT(".txt")))
			played += play_file(e->d_name);
	closedir(d);
	print_message("%zu dialogues, each in four ways\n", played);
	assert_true(played >= 150);
}

/* Deadlines and retirement: inputs that are not bytes. */
static void
other_inputs(void **state)
{
	struct smtp_site site = { .hostname = SPAN_LIT("gw1.example.org"), .max_size = 1000,
		.recipients = 5, .errors = 20, .messages = 7 };
	struct smtp_input in = { .kind = SMTP_OPEN, .now = NOW };
	struct id_source ids = { .slot = 1 };
	struct world w = { 0 };
	struct smtp_session s;
	size_t used;

	buf_init(&w.body, 1 << 20);
	buf_init(&w.messages, 1 << 20);
	smtp_session_init(&s, &site, &world_ops, &w, &ids);
	in.reply = (struct smtp_reply){ 554, SPAN_LIT("5.7.1 not permitted to relay"), false };
	assert_int_equal(smtp_session_step(&s, &in, &used), SMTP_DONE);
	assert_true(span_starts(buf_data(&s.out), SPAN_LIT("554 5.7.1 not permitted to relay (ref ")));
	smtp_session_release(&s);

	smtp_session_init(&s, &site, &world_ops, &w, &ids);
	in.reply.code = 0;
	assert_int_equal(smtp_session_step(&s, &in, &used), SMTP_SAY);
	buf_reset(&s.out);
	in = (struct smtp_input){ .kind = SMTP_BYTES, .now = NOW,
		.bytes = SPAN_LIT("EHLO a\r\nMAIL FROM:<a@b.example>\r\n") };
	assert_int_equal(smtp_session_step(&s, &in, &used), SMTP_SAY);
	assert_int_equal(used, in.bytes.n);
	/* within a transaction it may finish */
	in.kind = SMTP_RETIRE;
	assert_int_equal(smtp_session_step(&s, &in, &used), SMTP_SAY);
	assert_int_equal(s.state, SMTP_SENDER);
	buf_reset(&s.out);
	in.kind = SMTP_BYTES;
	in.bytes = SPAN_LIT("RSET\r\nMAIL FROM:<a@b.example>\r\n");
	assert_int_equal(smtp_session_step(&s, &in, &used), SMTP_DONE);
	assert_int_equal(used, 6);
	assert_true(span_starts(buf_data(&s.out), SPAN_LIT("250 2.0.0 forgotten\r\n421 4.3.2 ")));
	smtp_session_release(&s);

	smtp_session_init(&s, &site, &world_ops, &w, &ids);
	in = (struct smtp_input){ .kind = SMTP_OPEN, .now = NOW };
	assert_int_equal(smtp_session_step(&s, &in, &used), SMTP_SAY);
	buf_reset(&s.out);
	in.kind = SMTP_TIMEOUT;
	assert_int_equal(smtp_session_step(&s, &in, &used), SMTP_DONE);
	assert_true(span_starts(buf_data(&s.out), SPAN_LIT("421 4.4.2 timeout (ref ")));
	/* nothing more comes out of it */
	buf_reset(&s.out);
	in.kind = SMTP_BYTES;
	in.bytes = SPAN_LIT("NOOP\r\n");
	assert_int_equal(smtp_session_step(&s, &in, &used), SMTP_DONE);
	assert_int_equal(used, 0);
	assert_int_equal(buf_size(&s.out), 0);
	smtp_session_release(&s);
	buf_release(&w.body);
	buf_release(&w.messages);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_files),
		cmocka_unit_test(other_inputs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
