/* test_smtp_client.c -- the client machine against scripted servers: the way
 * it should go, every step with every fault, and the body's way out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "delivery/smtp_client.h"

/* --- a server --- */

enum fault { FINE, SAYS_4XX, SAYS_5XX, SAYS_421, SAYS_3XX, DROPS, BABBLES, ENDLESS, FAULTS };
static const char *const fault_names[] = { "fine", "4xx", "5xx", "421", "3xx", "drops", "babbles",
	"endless" };

struct server {
	const char *caps;		/* "PIPELINING\0SIZE 100\0" as lines of EHLO */
	enum client_state at;		/* where the fault happens (the first time) */
	enum fault fault;
	bool no_ehlo;			/* EHLO is refused with 502 */
	bool starttls;
	bool gone, endless;
	const char *greeting;		/* NULL: said already */
	bool in_data;
	size_t chunk;			/* bytes of BDAT that are still to come */
	bool in_chunk, last, after_refusal;
	int chunks, bad_chunk;		/* the number of the one that is refused (from 1); 0: none */
	bool mail;			/* MAIL was accepted */
	int rcpts;
	struct buf in, out, body, heard;	/* heard: all command lines, joined by | */
};

static void
say(struct server *s, const char *text)
{
	if (!s->gone && !s->endless)
		buf_puts(&s->out, text);
}

/* The fault of this step, or the good answer. */
static bool
answer(struct server *s, enum client_state at, const char *good)
{
	if (at != s->at || s->fault == FINE) {
		say(s, good);
		return true;
	}
	s->at = CLIENT_STATE_COUNT;
	switch (s->fault) {
	case SAYS_4XX:
		say(s, "450-4.7.9 wait\r\n450 4.7.9 please\r\n");
		break;
	case SAYS_5XX:
		say(s, "550 5.7.9 never\r\n");
		break;
	case SAYS_421:
		say(s, "421 4.3.2 going away\r\n");
		s->gone = true;
		break;
	case SAYS_3XX:
		say(s, "399 what\r\n");
		break;
	case DROPS:
		s->gone = true;
		break;
	case BABBLES:
		say(s, "<html>\r\n");
		break;
	default:
		s->endless = true;
	}
	return false;
}

static void
ehlo(struct server *s)
{
	char text[512] = "250-mx.lab";
	const char *p = s->caps;

	for (; p && *p; p += strlen(p) + 1) {
		strcat(text, "\r\n250-");
		strcat(text, p);
	}
	strcat(text, s->starttls ? "\r\n250-STARTTLS\r\n250 OK\r\n" : "\r\n250 OK\r\n");
	if (s->no_ehlo)
		say(s, "502 5.5.2 what?\r\n");
	else
		answer(s, CLIENT_EHLO, text);
}

static void
command(struct server *s, struct span line)
{
	buf_span(&s->heard, line);
	buf_putc(&s->heard, '|');
	if (span_starts_nocase(line, SPAN_LIT("EHLO")))
		ehlo(s);
	else if (span_starts_nocase(line, SPAN_LIT("HELO")))
		answer(s, CLIENT_HELO, "250 mx.lab\r\n");
	else if (span_is(line, "STARTTLS"))
		answer(s, CLIENT_STARTTLS, "220 2.0.0 go\r\n");
	else if (span_is(line, "RSET")) {
		s->after_refusal = false;
		s->rcpts = 0;
		answer(s, CLIENT_RSET, "250 2.0.0 reset\r\n");
	}
	else if (span_starts(line, SPAN_LIT("MAIL FROM:")))
		s->mail = answer(s, CLIENT_MAIL, "250 2.1.0 sender ok\r\n");
	else if (span_starts(line, SPAN_LIT("RCPT TO:")) && !s->mail)
		say(s, "503 5.5.1 no sender\r\n");
	else if (span_starts(line, SPAN_LIT("RCPT TO:")))
		s->rcpts += answer(s, CLIENT_RCPT, "250 2.1.5 rcpt ok\r\n");
	else if (span_is(line, "DATA")) {
		if (s->rcpts == 0)
			say(s, "554 5.5.1 no valid recipients\r\n");
		else
			s->in_data = answer(s, CLIENT_DATA, "354 go on\r\n");
		s->rcpts = 0;
	} else if (span_starts(line, SPAN_LIT("BDAT "))) {
		s->chunk = (size_t)strtoul(line.p + 5, NULL, 10);
		s->last = span_ends_nocase(line, SPAN_LIT(" LAST"));
		s->in_chunk = true;
		s->chunks++;
	} else if (span_is(line, "QUIT"))
		answer(s, CLIENT_QUIT, "221 2.0.0 bye\r\n");
	else
		say(s, "500 5.5.2 unknown command\r\n");
}

/* The bytes of a chunk are read to the end whatever becomes of them (RFC 3030, 2). */
static void
chunk(struct server *s)
{
	struct span d = span_sub(buf_data(&s->in), 0, s->chunk);

	buf_span(&s->body, d);
	s->chunk -= d.n;
	buf_consume(&s->in, d.n);
	if (s->chunk)
		return;
	s->in_chunk = false;
	if (s->rcpts == 0 || s->after_refusal) {
		say(s, "503 5.5.1 no transaction\r\n");
	} else if (s->chunks == s->bad_chunk) {
		s->after_refusal = true;
		say(s, "452 4.3.1 disk full\r\n");
	} else if (answer(s, s->last ? CLIENT_DOT : CLIENT_BDAT, s->last ? "250 2.0.0 queued as 7F\r\n" :
	    "250 2.0.0 chunk ok\r\n") && s->last)
		s->rcpts = 0;
}

static void
hear(struct server *s, struct span bytes)
{
	buf_span(&s->in, bytes);
	for (;;) {
		struct span d = buf_data(&s->in), line;
		const char *lf = d.n ? memchr(d.p, '\n', d.n) : NULL;

		if (s->in_chunk) {
			if (d.n == 0)
				return;
			chunk(s);
			continue;
		}
		if (s->in_data && s->at == CLIENT_BODY && s->fault != FINE) {
			s->in_data = false;
			answer(s, CLIENT_BODY, "");
		}
		if (lf == NULL)
			return;
		line = span_make(d.p, (size_t)(lf - d.p));
		assert_true(line.n > 0 && line.p[line.n - 1] == '\r');
		line.n--;
		if (!s->in_data)
			command(s, line);
		else if (span_is(line, ".")) {
			s->in_data = false;
			answer(s, CLIENT_DOT, "250 2.0.0 queued as 7F\r\n");
		} else {
			size_t dot = line.n && line.p[0] == '.';

			buf_span(&s->body, span_from(line, dot));
			buf_puts(&s->body, "\r\n");
		}
		buf_consume(&s->in, (size_t)(lf + 1 - d.p));
	}
}

static void
server_init(struct server *s)
{
	buf_init(&s->in, 1 << 20);
	buf_init(&s->out, 1 << 20);
	buf_init(&s->body, 1 << 20);
	buf_init(&s->heard, 1 << 16);
}

static void
server_release(struct server *s)
{
	buf_release(&s->in);
	buf_release(&s->out);
	buf_release(&s->body);
	buf_release(&s->heard);
}

/* --- a client --- */

struct world {
	struct server server;
	struct smtp_client m;
	struct arena *a;
	struct recipient rcpts[3];
	struct smtp_result results[3];
	struct smtp_message msg;
	size_t piece;		/* bytes moved at a time */
	bool by_line;		/* the client reads line by line: the answers were there before */
	bool carried;		/* smtp_client_message said yes */
	int messages;		/* to be sent one after the other */
};

static void
world_init(struct world *w)
{
	*w = (struct world){ .piece = SIZE_MAX, .messages = 1 };
	server_init(&w->server);
	w->server.caps = "PIPELINING\0" "SIZE 1000000\0" "8BITMIME\0" "DSN\0";
	w->server.at = CLIENT_STATE_COUNT;
	w->server.greeting = "220 mx.lab ESMTP\r\n";
	smtp_client_init(&w->m);
	w->a = arena_new(0);
	w->m.hello = SPAN_LIT("gw.lab");
	w->m.peer = SPAN_LIT("mx.lab[192.0.2.1]");
	w->m.tls = CLIENT_TLS_OFFERED;
	w->rcpts[0].address = SPAN_LIT("one@site.lab");
	w->rcpts[1].address = SPAN_LIT("two@site.lab");
	w->rcpts[2].address = SPAN_LIT("three@site.lab");
	w->msg = (struct smtp_message){ .arena = w->a, .sender = SPAN_LIT("from@our.lab"),
		.recipients = w->rcpts, .results = w->results, .n = 2,
		.bytes = SPAN_LIT("Subject: x\r\n\r\nhello\r\n.dot\r\n") };
}

static void
world_release(struct world *w)
{
	smtp_client_release(&w->m);
	server_release(&w->server);
	arena_free(&w->a);
}

/* Moves at most piece bytes from the client to the server. */
static void
carry_out(struct world *w)
{
	struct span v[4];
	size_t n = smtp_client_out(&w->m, v, 4), moved = 0;

	assert_true(n > 0);
	for (size_t i = 0; i < n && moved < w->piece; i++) {
		struct span s = span_sub(v[i], 0, w->piece - moved);

		assert_true(s.n > 0);
		hear(&w->server, s);
		moved += s.n;
	}
	smtp_client_sent(&w->m, moved);
}

/* Runs until all messages are over or the session is. */
static void
drive(struct world *w)
{
	struct span in = { 0 };
	char chunk[4096];
	size_t used;

	if (w->server.greeting)
		answer(&w->server, CLIENT_GREETING, w->server.greeting);
	w->server.greeting = NULL;
	for (int guard = 0; ; guard++) {
		assert_true(guard < 1000000);
		switch (smtp_client_step(&w->m, in, &used)) {
		case SMTP_SAY:
			in = span_from(in, used);
			carry_out(w);
			/* while it writes a body it hears too */
			if (smtp_client_in_body(&w->m) && w->server.gone &&
			    buf_size(&w->server.out) == 0)
				smtp_client_lost(&w->m, "lost connection");
			if ((w->m.state == CLIENT_BODY || w->m.state == CLIENT_BDAT) && in.n == 0 && buf_size(&w->server.out)) {
				in = span_sub(buf_data(&w->server.out), 0, sizeof(chunk));
				memcpy(chunk, in.p, in.n);
				in.p = chunk;
				buf_consume(&w->server.out, in.n);
			}
			break;
		case SMTP_MORE: {
			struct span out = span_sub(buf_data(&w->server.out), 0,
			    w->piece < sizeof(chunk) ? w->piece : sizeof(chunk));

			assert_int_equal(used, in.n);
			in.n = 0;
			if (w->by_line)
				out = span_sub(out, 0, span_find(out, '\n') + 1);
			if (w->server.endless)
				out = SPAN_LIT("250-and another thing\r\n");
			else if (out.n == 0) {
				if (!w->server.gone)
					fail_msg("both wait in %s", client_state_name(w->m.state));
				smtp_client_lost(&w->m, "lost connection");
				in.n = 0;
				break;
			}
			memcpy(chunk, out.p, out.n);
			in = span_make(chunk, out.n);
			if (!w->server.endless)
				buf_consume(&w->server.out, out.n);
			break;
		}
		case SMTP_WAIT:
			in = span_from(in, used);
			if (w->m.state == CLIENT_TLS) {
				smtp_client_tls_done(&w->m);
				w->server.starttls = false;
				break;
			}
			if (w->messages-- == 0)
				return;
			w->carried = smtp_client_message(&w->m, &w->msg);
			break;
		case SMTP_DONE:
			return;
		}
	}
}

static bool
has(struct span s, const char *part)
{
	return memmem(s.p, s.n, part, strlen(part)) != NULL;
}

static void
assert_heard(const struct world *w, const char *want)
{
	struct span got = buf_data(&w->server.heard);

	if (!span_is(got, want))
		fail_msg("heard " SPAN_FMT "\n  want %s", SPAN_ARG(got), want);
}

static void
assert_result(const struct smtp_result *r, enum rcpt_status status, enum fail_class cls,
    const char *dsn, bool remote)
{
	assert_true(r->set);
	assert_int_equal(r->status, status);
	assert_int_equal(r->cls, cls);
	assert_string_equal(r->dsn, dsn);
	assert_int_equal(r->remote, remote);
}

/* --- dialogues --- */

static void
test_plain_dialogue(void **state)
{
	for (size_t piece = 1; piece < 70; piece++) {
		struct world w;

		world_init(&w);
		w.piece = piece;
		drive(&w);
		assert_heard(&w, "EHLO gw.lab|MAIL FROM:<from@our.lab> SIZE=27|RCPT TO:<one@site.lab>|"
		    "RCPT TO:<two@site.lab>|DATA|");
		assert_true(span_is(buf_data(&w.server.body), "Subject: x\r\n\r\nhello\r\n.dot\r\n"));
		for (int i = 0; i < 2; i++) {
			assert_result(&w.results[i], RCPT_SENT, FAIL_NONE, "2.0.0", true);
			assert_true(span_is(w.results[i].reply, "250 2.0.0 queued as 7F"));
			assert_int_equal(w.results[i].when, CLIENT_DOT);
		}
		assert_false(w.m.failed);
		smtp_client_quit(&w.m);
		drive(&w);
		assert_int_equal(w.m.state, CLIENT_CLOSED);
		assert_true(has(buf_data(&w.server.heard), "QUIT|"));
		world_release(&w);
	}
}

/* Everything the server offers is used, and only what the message asks for. */
static void
test_parameters(void **state)
{
	struct world w;

	world_init(&w);
	w.msg.eightbit = true;
	w.msg.ret = RET_HDRS;
	w.msg.envid = SPAN_LIT("QQ314159");
	w.rcpts[0].notify = NOTIFY_SUCCESS | NOTIFY_DELAY;
	w.rcpts[0].orcpt = SPAN_LIT("rfc822;one+40old.lab");
	w.rcpts[1].notify = NOTIFY_NEVER | NOTIFY_FAILURE;
	w.msg.n = 3;
	drive(&w);
	assert_heard(&w, "EHLO gw.lab|MAIL FROM:<from@our.lab> SIZE=27 BODY=8BITMIME RET=HDRS "
	    "ENVID=QQ314159|RCPT TO:<one@site.lab> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;one+40old.lab|"
	    "RCPT TO:<two@site.lab> NOTIFY=NEVER|RCPT TO:<three@site.lab>|DATA|");
	world_release(&w);

	world_init(&w);
	w.server.caps = "";
	w.msg.sender = (struct span){ 0 };
	w.msg.ret = RET_FULL;
	w.rcpts[0].notify = NOTIFY_FAILURE;
	w.msg.n = 1;
	drive(&w);
	assert_heard(&w, "EHLO gw.lab|MAIL FROM:<>|RCPT TO:<one@site.lab>|DATA|");
	assert_result(&w.results[0], RCPT_SENT, FAIL_NONE, "2.0.0", true);
	world_release(&w);
}

static void
test_cannot_carry(void **state)
{
	static const struct {
		const char *caps;
		struct span sender, rcpt;
		uint32_t flags;
		bool eightbit, header;
		const char *dsn;
		enum fail_class cls;
	} rows[] = {
		{ "SIZE 26\0", SPAN_LIT("a@b"), SPAN_LIT("c@d"), 0, false, false, "5.3.4", FAIL_MESSAGE },
		{ "SIZE 100\0", SPAN_LIT("a@b"), SPAN_LIT("c@d"), 0, true, false, "5.6.3", FAIL_MESSAGE },
		{ "8BITMIME\0", SPAN_LIT("a@b"), SPAN_LIT("\xc3\xa9@d"), 0, false, false, "5.6.7", FAIL_MESSAGE },
		{ "8BITMIME\0", SPAN_LIT("a@b"), SPAN_LIT("c@d"), ENVELOPE_SMTPUTF8, true, true,
		  "5.6.7", FAIL_MESSAGE },
		{ "8BITMIME\0", SPAN_LIT("\xc3\xa9@b"), SPAN_LIT("c@d"), ENVELOPE_SMTPUTF8, false,
		  false, "5.6.7", FAIL_MESSAGE },
		{ "8BITMIME\0", SPAN_LIT("a@b>\r\nRCPT TO:<x@y"), SPAN_LIT("c@d"), 0, false, false,
		  "5.1.7", FAIL_LOCAL },
		{ "8BITMIME\0", SPAN_LIT("a@b"), SPAN_LIT("c@d\nx"), 0, false, false, "5.1.3",
		  FAIL_LOCAL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct world w;

		world_init(&w);
		w.server.caps = rows[i].caps;
		w.msg.sender = rows[i].sender;
		w.rcpts[0].address = rows[i].rcpt;
		w.msg.flags = rows[i].flags;
		w.msg.eightbit = rows[i].eightbit;
		w.msg.utf8_header = rows[i].header;
		drive(&w);
		assert_false(w.carried);
		assert_heard(&w, "EHLO gw.lab|");
		assert_int_equal(w.m.state, CLIENT_IDLE);
		for (int k = 0; k < 2; k++)
			assert_result(&w.results[k], RCPT_FAILED, rows[i].cls, rows[i].dsn, false);
		world_release(&w);
	}
}

/* SMTPUTF8 is said to whom offers it; a message that is ASCII where it counts needs it nowhere. */
static void
test_utf8(void **state)
{
	struct world w;

	world_init(&w);
	w.server.caps = "8BITMIME\0" "SMTPUTF8\0" "DSN\0";
	w.msg.flags = ENVELOPE_SMTPUTF8;
	w.msg.eightbit = w.msg.utf8_header = true;
	w.rcpts[0].address = SPAN_LIT("\xc3\xa9@site.lab");
	w.rcpts[0].orcpt = SPAN_LIT("utf-8;\xc3\xa9@old.lab");
	w.msg.n = 1;
	drive(&w);
	assert_heard(&w, "EHLO gw.lab|MAIL FROM:<from@our.lab> BODY=8BITMIME SMTPUTF8|"
	    "RCPT TO:<\xc3\xa9@site.lab> ORCPT=utf-8;\xc3\xa9@old.lab|DATA|");
	assert_result(&w.results[0], RCPT_SENT, FAIL_NONE, "2.0.0", true);
	assert_true(w.results[0].notifies);
	world_release(&w);

	world_init(&w);
	w.server.caps = "8BITMIME\0";
	w.msg.flags = ENVELOPE_SMTPUTF8;
	w.msg.eightbit = true;
	w.msg.n = 1;
	drive(&w);
	assert_heard(&w, "EHLO gw.lab|MAIL FROM:<from@our.lab> BODY=8BITMIME|RCPT TO:<one@site.lab>|"
	    "DATA|");
	assert_result(&w.results[0], RCPT_SENT, FAIL_NONE, "2.0.0", true);
	assert_false(w.results[0].notifies);
	world_release(&w);
	assert_true(message_utf8_header(SPAN_LIT("A: b\r\nSubject: \xc3\xa9\r\n\r\nx")));
	assert_true(message_utf8_header(SPAN_LIT("Subject: \xc3\xa9")));
	assert_false(message_utf8_header(SPAN_LIT("Subject: e\r\n\r\n\xc3\xa9\r\n")));
	assert_false(message_utf8_header(SPAN_LIT("\r\n\xc3\xa9\r\n")));
}

static void
test_helo(void **state)
{
	struct world w;

	world_init(&w);
	w.server.no_ehlo = true;
	w.msg.n = 1;
	drive(&w);
	assert_heard(&w, "EHLO gw.lab|HELO gw.lab|MAIL FROM:<from@our.lab>|RCPT TO:<one@site.lab>|DATA|");
	assert_result(&w.results[0], RCPT_SENT, FAIL_NONE, "2.0.0", true);
	world_release(&w);

	world_init(&w);
	w.server.no_ehlo = true;
	w.server.at = CLIENT_HELO;
	w.server.fault = SAYS_5XX;
	drive(&w);
	assert_true(w.m.failed);
	assert_result(&w.m.fail, RCPT_FAILED, FAIL_SITE, "5.7.9", true);
	world_release(&w);
}

static void
test_next_message_after_reset(void **state)
{
	struct world w;

	/* All recipients are refused: the transaction is open, so RSET comes before the next. */
	world_init(&w);
	w.msg.n = 1;
	w.server.at = CLIENT_RCPT;
	w.server.fault = SAYS_5XX;
	drive(&w);
	assert_result(&w.results[0], RCPT_FAILED, FAIL_RECIPIENT, "5.7.9", true);
	assert_int_equal(w.m.state, CLIENT_IDLE);
	buf_reset(&w.server.heard);
	w.results[0].set = false;
	w.messages = 1;
	drive(&w);
	assert_heard(&w, "RSET|MAIL FROM:<from@our.lab> SIZE=27|RCPT TO:<one@site.lab>|DATA|");
	assert_result(&w.results[0], RCPT_SENT, FAIL_NONE, "2.0.0", true);
	/* … and none after a good one. */
	buf_reset(&w.server.heard);
	w.results[0].set = false;
	w.messages = 1;
	drive(&w);
	assert_heard(&w, "MAIL FROM:<from@our.lab> SIZE=27|RCPT TO:<one@site.lab>|DATA|");
	assert_result(&w.results[0], RCPT_SENT, FAIL_NONE, "2.0.0", true);
	world_release(&w);
}

/* --- TLS --- */

static void
test_starttls(void **state)
{
	struct world w;

	world_init(&w);
	w.server.starttls = true;
	drive(&w);
	assert_true(w.m.tls_active);
	assert_heard(&w, "EHLO gw.lab|STARTTLS|EHLO gw.lab|MAIL FROM:<from@our.lab> SIZE=27|"
	    "RCPT TO:<one@site.lab>|RCPT TO:<two@site.lab>|DATA|");
	assert_result(&w.results[1], RCPT_SENT, FAIL_NONE, "2.0.0", true);
	world_release(&w);
}

static void
test_starttls_refused(void **state)
{
	for (enum fault f = SAYS_4XX; f <= SAYS_5XX; f++) {
		struct world w;

		world_init(&w);
		w.server.starttls = true;
		w.server.at = CLIENT_STARTTLS;
		w.server.fault = f;
		drive(&w);
		assert_false(w.m.tls_active);
		assert_result(&w.results[0], RCPT_SENT, FAIL_NONE, "2.0.0", true);
		world_release(&w);

		world_init(&w);
		w.m.tls = CLIENT_TLS_REQUIRED;
		w.server.starttls = true;
		w.server.at = CLIENT_STARTTLS;
		w.server.fault = f;
		drive(&w);
		assert_true(w.m.failed);
		assert_result(&w.m.fail, RCPT_DEFERRED, FAIL_TLS, "4.7.4", true);
		assert_false(has(buf_data(&w.server.heard), "MAIL"));
		world_release(&w);
	}
}

/* Someone takes STARTTLS out of the answer: required TLS is not given up, not even by HELO. */
static void
test_starttls_stripped(void **state)
{
	for (int no_ehlo = 0; no_ehlo < 2; no_ehlo++) {
		struct world w;

		world_init(&w);
		w.m.tls = CLIENT_TLS_REQUIRED;
		w.server.no_ehlo = no_ehlo;
		drive(&w);
		assert_true(w.m.failed);
		assert_result(&w.m.fail, RCPT_DEFERRED, FAIL_TLS, "4.7.4", false);
		assert_false(has(buf_data(&w.server.heard), "MAIL"));
		assert_false(w.results[0].set);
		world_release(&w);
	}
}

static void
test_starttls_injection(void **state)
{
	struct world w;
	size_t used;
	struct span v;

	world_init(&w);
	assert_int_equal(smtp_client_step(&w.m, SPAN_LIT("220 hi\r\n"), &used), SMTP_SAY);
	smtp_client_sent(&w.m, (smtp_client_out(&w.m, &v, 1), v.n));
	assert_int_equal(smtp_client_step(&w.m, SPAN_LIT("250-mx\r\n250 STARTTLS\r\n"), &used), SMTP_SAY);
	smtp_client_sent(&w.m, (smtp_client_out(&w.m, &v, 1), v.n));
	assert_int_equal(smtp_client_step(&w.m, SPAN_LIT("220 go\r\n250 forged\r\n"), &used), SMTP_DONE);
	assert_true(w.m.failed);
	assert_result(&w.m.fail, RCPT_DEFERRED, FAIL_TLS, "4.7.5", false);
	world_release(&w);
}

/* --- every step with every fault --- */

struct expectation {
	bool session;		/* the session fails: m.fail is looked at, else results[0] */
	enum rcpt_status status;
	enum fail_class cls;
	const char *dsn;
	bool remote;
};

static struct expectation
expect(enum client_state at, enum fault f)
{
	enum fail_class site = at == CLIENT_GREETING ? FAIL_GREETING : FAIL_SITE;
	bool early = at <= CLIENT_EHLO || at == CLIENT_BODY;
	enum fail_class cls = at == CLIENT_RCPT ? FAIL_RECIPIENT : FAIL_MESSAGE;

	switch (f) {
	case SAYS_4XX:
		if (at == CLIENT_MAIL)
			return (struct expectation){ false, RCPT_DEFERRED, FAIL_SITE, "4.7.9", true };
		if (early)
			return (struct expectation){ true, RCPT_DEFERRED, site, "4.7.9", true };
		return (struct expectation){ false, RCPT_DEFERRED, cls, "4.7.9", true };
	case SAYS_5XX:
		if (at == CLIENT_GREETING)
			return (struct expectation){ true, RCPT_DEFERRED, site, "4.7.9", true };
		if (at == CLIENT_EHLO)		/* HELO saves it */
			return (struct expectation){ false, RCPT_SENT, FAIL_NONE, "2.0.0", true };
		if (at == CLIENT_BODY)
			return (struct expectation){ true, RCPT_FAILED, FAIL_SITE, "5.7.9", true };
		return (struct expectation){ false, RCPT_FAILED, cls, "5.7.9", true };
	case SAYS_421:
		return (struct expectation){ true, RCPT_DEFERRED, site, "4.3.2", true };
	case DROPS:
		return (struct expectation){ true, RCPT_DEFERRED, site, "4.4.2", false };
	case SAYS_3XX:
		if (at == CLIENT_GREETING)
			return (struct expectation){ true, RCPT_DEFERRED, site, "4.0.0", true };
		if (at == CLIENT_EHLO)
			return (struct expectation){ true, RCPT_DEFERRED, site, "4.0.0", true };
		return (struct expectation){ true, RCPT_DEFERRED, site, "4.5.0", false };
	default:
		return (struct expectation){ true, RCPT_DEFERRED, site, "4.5.0", false };
	}
}

static char long_text[5000];

static void
one_fault(enum client_state at, enum fault f, bool pipelining, size_t piece)
{
	struct expectation e = expect(at, f);
	const struct smtp_result *got;
	struct world w;

	world_init(&w);
	if (!pipelining)
		w.server.caps = "8BITMIME\0";
	w.piece = piece;
	w.server.at = at;
	w.server.fault = f;
	if (at == CLIENT_BODY) {
		/* long enough not to be gone at once, so that the server is early */
		if (piece == SIZE_MAX)
			w.piece = 1000;
		w.msg.bytes = span_make(long_text, sizeof(long_text));
	}
	drive(&w);
	got = e.session ? &w.m.fail : &w.results[0];
	if (w.m.failed != e.session || got->status != e.status || got->cls != e.cls ||
	    strcmp(got->dsn, e.dsn) != 0 || got->remote != e.remote)
		fail_msg("%s at %s%s: failed %d, status %d class %d dsn %s remote %d, want failed %d "
		    "status %d class %d dsn %s remote %d", fault_names[f], client_state_name(at),
		    pipelining ? " pipelined" : "", w.m.failed, got->status, got->cls, got->dsn,
		    got->remote, e.session, e.status, e.cls, e.dsn, e.remote);
	if (!e.session) {
		assert_int_equal(w.m.state, CLIENT_IDLE);
		/* A recipient's fault is his alone. */
		assert_true(w.results[1].set);
		assert_int_equal(w.results[1].status, at == CLIENT_RCPT ? RCPT_SENT : e.status);
	}
	/* Nobody is called reached unless the server took the message. */
	for (int i = 0; i < 2; i++)
		if (w.results[i].set && w.results[i].status == RCPT_SENT) {
			assert_true(span_is(w.results[i].reply, "250 2.0.0 queued as 7F"));
			assert_true(at == CLIENT_RCPT || at == CLIENT_EHLO);
		}
	if (f == DROPS && !has(w.m.fail.reply, client_state_phrase(at)))
		fail_msg("%s: " SPAN_FMT, client_state_name(at), SPAN_ARG(w.m.fail.reply));
	if (e.session && w.msg.n) {
		smtp_client_fail_rest(&w.m, &w.msg);
		assert_true(w.results[0].set && w.results[1].set);
	}
	world_release(&w);
}

static void
test_every_fault(void **state)
{
	static const enum client_state steps[] = { CLIENT_GREETING, CLIENT_EHLO, CLIENT_MAIL,
		CLIENT_RCPT, CLIENT_DATA, CLIENT_BODY, CLIENT_DOT };
	static const size_t pieces[] = { 1, 3, 7, SIZE_MAX };

	memset(long_text, 'x', sizeof(long_text));
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++)
		for (enum fault f = SAYS_4XX; f < FAULTS; f++)
			for (int pipelining = 0; pipelining < 2; pipelining++)
				for (size_t k = 0; k < sizeof(pieces) / sizeof(*pieces); k++)
					one_fault(steps[i], f, pipelining, pieces[k]);
}

/* Pipelined, every recipient refused, and the server says 354 all the same. */
/* MAIL FROM:<> and RCPT TO, no more; each recipient has the answer to its RCPT, and a message
 * may follow behind RSET. */
static void
test_probe(void **state)
{
	static const char *const caps[] = { "PIPELINING\0SIZE 100\0CHUNKING\0", "SIZE 100\0" };
	struct world w;

	for (int i = 0; i < 2; i++) {
		world_init(&w);
		w.server.caps = caps[i];
		w.msg.probe = true;
		w.msg.sender = SPAN_LIT("");
		w.msg.bytes = SPAN_LIT("");
		drive(&w);
		assert_non_null(memmem(w.server.heard.p, buf_size(&w.server.heard), "MAIL FROM:<>|RCPT TO:<", 22));
		assert_null(memmem(w.server.heard.p, buf_size(&w.server.heard), "DATA", 4));
		assert_null(memmem(w.server.heard.p, buf_size(&w.server.heard), "BDAT", 4));
		for (size_t k = 0; k < w.msg.n; k++) {
			assert_int_equal(w.msg.results[k].status, RCPT_SENT);
			assert_int_equal(w.msg.results[k].when, CLIENT_RCPT);
		}
		assert_int_equal(w.m.state, CLIENT_IDLE);
		assert_true(w.m.need_rset);
		world_release(&w);
		/* nobody is known: each has its own refusal, and nothing of it is the server's fault */
		world_init(&w);
		w.server.caps = caps[i];
		w.server.at = CLIENT_RCPT;
		w.server.fault = SAYS_5XX;
		w.msg.probe = true;
		w.msg.bytes = SPAN_LIT("");
		drive(&w);
		assert_int_equal(w.msg.results[0].status, RCPT_FAILED);
		assert_int_equal(w.msg.results[0].cls, FAIL_RECIPIENT);
		assert_false(w.m.failed);
		world_release(&w);
	}
}

static void
test_354_for_nobody(void **state)
{
	struct world w;

	world_init(&w);
	w.msg.n = 1;
	/* all answers are there beforehand; the server itself says nothing */
	w.by_line = true;
	w.server.gone = true;
	buf_puts(&w.server.out, "220 hi\r\n250-mx\r\n250 PIPELINING\r\n250 ok\r\n550 5.1.1 no\r\n354 yes\r\n"
	    "250 2.0.0 took it\r\n");
	drive(&w);
	assert_heard(&w, "EHLO gw.lab|MAIL FROM:<from@our.lab>|RCPT TO:<one@site.lab>|DATA|");
	/* the lone dot has ended it, and nothing else was said */
	assert_false(w.server.in_data);
	assert_int_equal(buf_size(&w.server.body), 0);
	assert_result(&w.results[0], RCPT_FAILED, FAIL_RECIPIENT, "5.1.1", true);
	assert_false(w.m.failed);
	world_release(&w);
}

/* --- BDAT --- */

static void
bdat_init(struct world *w, const char *caps)
{
	world_init(w);
	w->server.caps = caps;
	w->msg.lines = true;
}

/* Small: in one breath with the envelope. Dots stay as they are. */
static void
test_bdat(void **state)
{
	for (size_t piece = 1; piece < 90; piece++) {
		struct world w;

		bdat_init(&w, "PIPELINING\0" "CHUNKING\0");
		w.piece = piece;
		drive(&w);
		assert_heard(&w, "EHLO gw.lab|MAIL FROM:<from@our.lab>|RCPT TO:<one@site.lab>|"
		    "RCPT TO:<two@site.lab>|BDAT 27 LAST|");
		assert_true(span_eq(buf_data(&w.server.body), w.msg.bytes));
		for (int i = 0; i < 2; i++)
			assert_result(&w.results[i], RCPT_SENT, FAIL_NONE, "2.0.0", true);
		world_release(&w);
	}
}

/* Without PIPELINING one step after the other; what is not made of lines goes by DATA. */
static void
test_bdat_or_data(void **state)
{
	struct world w;

	bdat_init(&w, "CHUNKING\0");
	drive(&w);
	assert_heard(&w, "EHLO gw.lab|MAIL FROM:<from@our.lab>|RCPT TO:<one@site.lab>|"
	    "RCPT TO:<two@site.lab>|BDAT 27 LAST|");
	assert_result(&w.results[0], RCPT_SENT, FAIL_NONE, "2.0.0", true);
	world_release(&w);

	bdat_init(&w, "CHUNKING\0");
	w.msg.lines = false;
	drive(&w);
	assert_true(has(buf_data(&w.server.heard), "|DATA|"));
	world_release(&w);
	assert_true(span_has_lines(SPAN_LIT("a\r\n\r\nb\r\n")));
	assert_true(span_has_lines(SPAN_LIT("\r\n")));
	assert_false(span_has_lines(SPAN_LIT("")));
	assert_false(span_has_lines(SPAN_LIT("a")));
	assert_false(span_has_lines(SPAN_LIT("a\nb\r\n")));
	assert_false(span_has_lines(SPAN_LIT("a\rb\r\n")));
	assert_false(span_has_lines(SPAN_LIT("a\r\r\n")));
	assert_false(span_has_lines(SPAN_LIT("\n\r\n")));
}

/* All recipients refused: the bytes were said in vain, and RSET comes before the next. */
static void
test_bdat_for_nobody(void **state)
{
	struct world w;

	bdat_init(&w, "PIPELINING\0" "CHUNKING\0");
	w.msg.n = 1;
	w.server.at = CLIENT_RCPT;
	w.server.fault = SAYS_5XX;
	drive(&w);
	assert_result(&w.results[0], RCPT_FAILED, FAIL_RECIPIENT, "5.7.9", true);
	assert_int_equal(w.m.state, CLIENT_IDLE);
	buf_reset(&w.server.heard);
	buf_reset(&w.server.body);
	w.results[0].set = false;
	w.messages = 1;
	drive(&w);
	assert_heard(&w, "RSET|MAIL FROM:<from@our.lab>|RCPT TO:<one@site.lab>|BDAT 27 LAST|");
	assert_result(&w.results[0], RCPT_SENT, FAIL_NONE, "2.0.0", true);
	assert_true(span_eq(buf_data(&w.server.body), w.msg.bytes));
	world_release(&w);
}

/* Three chunks and a bit. The one refused is said to its end, none after those on their way
 * is begun, and the next message follows on the same connection. */
static void
test_bdat_chunks(void **state)
{
	size_t n = 3 * BDAT_CHUNK + 17;
	char *text = malloc(n);

	assert_non_null(text);
	memset(text, 'x', n);
	memcpy(text + n - 2, "\r\n", 2);
	for (int bad = 0; bad <= 4; bad++) {
		struct world w;

		bdat_init(&w, "PIPELINING\0" "CHUNKING\0");
		buf_release(&w.server.body);
		buf_init(&w.server.body, 8 << 20);
		buf_release(&w.server.in);
		buf_init(&w.server.in, 8 << 20);
		w.piece = 100000;
		w.server.bad_chunk = bad;
		w.msg.bytes = span_make(text, n);
		drive(&w);
		assert_false(w.m.failed);
		assert_int_equal(w.m.state, CLIENT_IDLE);
		for (int i = 0; i < 2; i++)
			if (bad)
				assert_result(&w.results[i], RCPT_DEFERRED, FAIL_MESSAGE, "4.3.1", true);
			else
				assert_result(&w.results[i], RCPT_SENT, FAIL_NONE, "2.0.0", true);
		/* the answer to one is heard while the next is said */
		assert_int_equal(w.server.chunks, bad == 0 || bad > 2 ? 4 : bad + 1);
		assert_int_equal(w.server.in_chunk, false);
		if (bad == 0)
			assert_true(span_eq(buf_data(&w.server.body), w.msg.bytes));
		buf_reset(&w.server.heard);
		memset(w.results, 0, sizeof(w.results));
		w.msg.bytes = SPAN_LIT("Subject: x\r\n\r\nnext\r\n");
		w.server.bad_chunk = 0;
		w.messages = 1;
		drive(&w);
		assert_int_equal(has(buf_data(&w.server.heard), "RSET|"), bad > 0);
		assert_result(&w.results[1], RCPT_SENT, FAIL_NONE, "2.0.0", true);
		world_release(&w);
	}
	free(text);
}

/* Every fault with BDAT: nobody is called reached but by the answer to the last chunk. */
static void
test_bdat_faults(void **state)
{
	static const enum client_state steps[] = { CLIENT_MAIL, CLIENT_RCPT, CLIENT_BDAT, CLIENT_DOT };
	size_t n = 2 * BDAT_CHUNK;
	char *text = malloc(n);

	assert_non_null(text);
	memset(text, 'x', n);
	memcpy(text + n - 2, "\r\n", 2);
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++)
		for (enum fault f = SAYS_4XX; f < FAULTS; f++)
			for (int large = 0; large < 2; large++) {
				struct world w;

				if (steps[i] == CLIENT_BDAT && !large)
					continue;
				bdat_init(&w, "PIPELINING\0" "CHUNKING\0");
				buf_release(&w.server.body);
				buf_init(&w.server.body, 8 << 20);
				buf_release(&w.server.in);
				buf_init(&w.server.in, 8 << 20);
				w.piece = 300000;
				w.server.at = steps[i];
				w.server.fault = f;
				if (large)
					w.msg.bytes = span_make(text, n);
				drive(&w);
				for (int k = 0; k < 2; k++) {
					bool reached = w.results[k].set && w.results[k].status == RCPT_SENT;

					assert_int_equal(reached, steps[i] == CLIENT_RCPT && k == 1 &&
					    (f == SAYS_4XX || f == SAYS_5XX));
				}
				assert_int_equal(w.m.failed, f > SAYS_5XX);
				if (f == DROPS && (!large || steps[i] == CLIENT_DOT))
					assert_true(has(w.m.fail.reply, "may be sent more than once"));
				world_release(&w);
			}
	free(text);
}

/* Offered and not known: the connection is left, for what follows might be taken for commands. */
static void
test_bdat_unknown(void **state)
{
	struct world w;

	bdat_init(&w, "");
	w.by_line = true;
	w.server.gone = true;
	buf_puts(&w.server.out, "220 hi\r\n250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n250 ok\r\n250 ok\r\n"
	    "250 ok\r\n502 5.5.1 what is BDAT?\r\n500 Subject?\r\n");
	drive(&w);
	assert_true(w.m.failed && w.m.bdat_unknown);
	assert_result(&w.m.fail, RCPT_DEFERRED, FAIL_SITE, "4.5.1", true);
	assert_false(w.results[0].set || w.results[1].set);
	world_release(&w);
}

/* MAIL refused, and yet a recipient and DATA accepted: not even an empty message is said. */
static void
test_absurd(void **state)
{
	struct world w;

	world_init(&w);
	w.msg.n = 1;
	w.by_line = true;
	w.server.gone = true;
	buf_puts(&w.server.out, "220 hi\r\n250-mx\r\n250 PIPELINING\r\n451 4.3.0 no\r\n250 ok\r\n354 yes\r\n"
	    "250 2.0.0 took it\r\n");
	drive(&w);
	assert_result(&w.results[0], RCPT_DEFERRED, FAIL_SITE, "4.3.0", true);
	assert_true(w.m.failed);
	assert_int_equal(buf_size(&w.server.body), 0);
	world_release(&w);
}

static void
test_too_many_recipients(void **state)
{
	struct world w;

	world_init(&w);
	w.by_line = true;
	w.server.gone = true;
	buf_puts(&w.server.out, "220 hi\r\n250-mx\r\n250 PIPELINING\r\n250 ok\r\n250 ok\r\n"
	    "552 5.5.3 too many\r\n354 yes\r\n250 2.0.0 took it\r\n");
	drive(&w);
	assert_result(&w.results[0], RCPT_SENT, FAIL_NONE, "2.0.0", true);
	assert_result(&w.results[1], RCPT_DEFERRED, FAIL_RECIPIENT, "4.5.3", true);
	world_release(&w);
}

static void
test_speaks_unasked(void **state)
{
	struct world w;
	size_t used;

	world_init(&w);
	drive(&w);
	assert_int_equal(w.m.state, CLIENT_IDLE);
	assert_int_equal(smtp_client_step(&w.m, SPAN_LIT("421 idle too long\r\n"), &used), SMTP_DONE);
	assert_true(w.m.failed);
	world_release(&w);
}

static void
test_greets_with_our_name(void **state)
{
	struct world w;

	world_init(&w);
	w.m.loop_detect = true;
	w.server.greeting = "220 GW.lab ESMTP Postern\r\n";
	drive(&w);
	assert_true(w.m.failed);
	assert_result(&w.m.fail, RCPT_FAILED, FAIL_SITE, "5.4.6", false);
	world_release(&w);
}

/* A dead idle connection is known by nothing having been heard. */
static void
test_nothing_heard(void **state)
{
	struct world w;

	world_init(&w);
	drive(&w);
	w.results[0].set = w.results[1].set = false;
	w.server.gone = true;
	w.messages = 1;
	drive(&w);
	assert_true(w.m.failed && !w.m.heard && w.m.msg != NULL);
	assert_false(w.results[0].set);
	world_release(&w);
}

/* --- the body --- */

/* What must arrive, said as plainly as possible: any line end is CRLF, and there is one at the end. */
static void
reference(struct span in, struct buf *out)
{
	bool start = true;

	for (size_t i = 0; i < in.n; i++) {
		if (in.p[i] == '\r') {
			buf_puts(out, "\r\n");
			i += i + 1 < in.n && in.p[i + 1] == '\n';
			start = true;
		} else if (in.p[i] == '\n') {
			buf_puts(out, "\r\n");
			start = true;
		} else {
			buf_putc(out, in.p[i]);
			start = false;
		}
	}
	if (!start)
		buf_puts(out, "\r\n");
}

static void
check_stuffed(struct span in)
{
	struct buf wire, want, got;
	struct dotstuff d;
	struct span piece, rest;
	size_t n = 0;

	buf_init(&wire, 4 << 20);
	buf_init(&want, 4 << 20);
	buf_init(&got, 4 << 20);
	dotstuff_init(&d, in);
	while (dotstuff_next(&d, &piece)) {
		assert_true(piece.n > 0);
		buf_span(&wire, piece);
		assert_true(++n < 1000000);
	}
	assert_false(dotstuff_next(&d, &piece));
	/* read it as a strict server does */
	for (rest = buf_data(&wire); ; ) {
		const char *crlf = memmem(rest.p, rest.n, "\r\n", 2);
		struct span line;

		assert_non_null(crlf);
		line = span_make(rest.p, (size_t)(crlf - rest.p));
		rest = span_from(rest, line.n + 2);
		assert_true(span_find(line, '\r') == line.n && span_find(line, '\n') == line.n);
		if (span_is(line, "."))
			break;
		buf_span(&got, span_from(line, line.n && line.p[0] == '.'));
		buf_puts(&got, "\r\n");
	}
	assert_int_equal(rest.n, 0);
	reference(in, &want);
	assert_true(span_eq(buf_data(&got), buf_data(&want)));
	buf_release(&wire);
	buf_release(&want);
	buf_release(&got);
}

static void
test_dotstuff_all_short(void **state)
{
	static const char alphabet[] = "\r\n.x";
	char text[8];

	/* every message of up to seven bytes over what matters */
	for (size_t n = 0; n < sizeof(text); n++)
		for (size_t v = 0; v < (size_t)1 << 2 * n; v++) {
			for (size_t i = 0; i < n; i++)
				text[i] = alphabet[v >> 2 * i & 3];
			check_stuffed(span_make(text, n));
		}
}

static void
test_dotstuff_random(void **state)
{
	static const char alphabet[] = "\r\n\n..xxxxxxxxx";
	uint32_t seed = 12345;

	for (int round = 0; round < 300; round++) {
		size_t n = (seed >> 8) % 3000;
		char *text = malloc(n + 1);

		for (size_t i = 0; i < n; i++) {
			seed = seed * 1664525 + 1013904223;
			text[i] = alphabet[(seed >> 16) % (sizeof(alphabet) - 1)];
		}
		check_stuffed(span_make(text, n));
		free(text);
		seed = seed * 1664525 + 1013904223;
	}
}

static void
test_dotstuff_is_one_piece(void **state)
{
	static char text[60000];
	struct span piece;
	struct dotstuff d;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 60 == 58 ? '\r' : i % 60 == 59 ? '\n' : 'a';
	dotstuff_init(&d, span_make(text, sizeof(text)));
	assert_true(dotstuff_next(&d, &piece));
	assert_ptr_equal(piece.p, text);
	assert_int_equal(piece.n, sizeof(text));
	assert_true(dotstuff_next(&d, &piece));
	assert_true(span_is(piece, ".\r\n"));
	assert_false(dotstuff_next(&d, &piece));
}

static void
test_dotstuff_large(void **state)
{
	size_t n = 3 << 20;
	char *text = malloc(n);

	assert_non_null(text);
	for (size_t i = 0; i < n; i++)
		text[i] = i % 61 == 60 ? '\n' : i % 122 == 61 ? '.' : 'b';
	for (size_t i = 1; i < n; i += 2)
		if (text[i] == '\n')
			text[i - 1] = '\r';
	check_stuffed(span_make(text, n));
	free(text);
}

static void
test_8bit(void **state)
{
	char text[100];

	memset(text, 'a', sizeof(text));
	for (size_t n = 0; n <= sizeof(text); n++) {
		assert_false(span_has_8bit(span_make(text, n)));
		for (size_t i = 0; i < n; i++) {
			text[i] = (char)0x80;
			assert_true(span_has_8bit(span_make(text, n)));
			text[i] = 'a';
		}
	}
}

/* The body leaves in any portions, and what is said is the same. */
static void
test_body_in_portions(void **state)
{
	static const size_t pieces[] = { 1, 2, 3, 5, 100, 4095, SIZE_MAX };
	char text[20000];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 37 == 36 ? '\n' : i % 37 == 0 ? '.' : 'c';
	for (size_t k = 0; k < sizeof(pieces) / sizeof(*pieces); k++) {
		struct buf want;
		struct world w;

		world_init(&w);
		w.piece = pieces[k];
		w.msg.bytes = span_make(text, sizeof(text));
		drive(&w);
		buf_init(&want, 1 << 20);
		reference(w.msg.bytes, &want);
		assert_true(span_eq(buf_data(&want), buf_data(&w.server.body)));
		assert_result(&w.results[0], RCPT_SENT, FAIL_NONE, "2.0.0", true);
		buf_release(&want);
		world_release(&w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_dialogue),
		cmocka_unit_test(test_parameters),
		cmocka_unit_test(test_cannot_carry),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_helo),
		cmocka_unit_test(test_next_message_after_reset),
		cmocka_unit_test(test_starttls),
		cmocka_unit_test(test_starttls_refused),
		cmocka_unit_test(test_starttls_stripped),
		cmocka_unit_test(test_starttls_injection),
		cmocka_unit_test(test_every_fault),
		cmocka_unit_test(test_probe),
		cmocka_unit_test(test_354_for_nobody),
		cmocka_unit_test(test_bdat),
		cmocka_unit_test(test_bdat_or_data),
		cmocka_unit_test(test_bdat_for_nobody),
		cmocka_unit_test(test_bdat_chunks),
		cmocka_unit_test(test_bdat_faults),
		cmocka_unit_test(test_bdat_unknown),
		cmocka_unit_test(test_absurd),
		cmocka_unit_test(test_too_many_recipients),
		cmocka_unit_test(test_speaks_unasked),
		cmocka_unit_test(test_greets_with_our_name),
		cmocka_unit_test(test_nothing_heard),
		cmocka_unit_test(test_dotstuff_all_short),
		cmocka_unit_test(test_dotstuff_random),
		cmocka_unit_test(test_dotstuff_is_one_piece),
		cmocka_unit_test(test_dotstuff_large),
		cmocka_unit_test(test_8bit),
		cmocka_unit_test(test_body_in_portions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
