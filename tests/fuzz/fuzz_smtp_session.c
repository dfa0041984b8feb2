/* fuzz_smtp_session.c -- any bytes, cut anywhere, as a client: every reply is well-formed
 * and every refusal has an id, nothing but the client's bytes decides (two ways of
 * cutting give the same replies), and what must be kept between reads stays small. The first byte
 * chooses the second cut; 32 in it: behind TLS, where AUTH is offered; 64: STARTTLS is offered, and
 * what is sent in clear behind it is lost, so that the cut decides too. */
#include <stdint.h>

#include "addr.h"
#include "postern/err.h"
#include "receiver/smtp_session.h"
#include "utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
	bool collecting, good;
	bool cr;		/* the byte last collected was a CR */
	struct smtp_transaction *taken;
};

static void
f_mail(void *ctx, struct smtp_session *s, struct smtp_reply *r)
{
	if (span_starts(s->t->env.sender, SPAN_LIT("over@")))
		smtp_refuse(s, r, 451, "4.7.1 over the limit");
}

static uint64_t
f_rcpt(void *ctx, struct smtp_session *s, struct recipient *rcpt, struct smtp_reply *r)
{
	struct span local, domain;

	/* what the rules and the journal will get */
	ASSERT(rcpt->address.n > 0 && rcpt->address.n < 600);
	ASSERT(mailaddr_split(rcpt->address, &local, &domain) && local.n && domain.n);
	for (size_t i = 0, n; i < rcpt->address.n; i += n) {
		uint32_t cp = 0;

		n = utf8_next(rcpt->address.p + i, rcpt->address.n - i, &cp);
		ASSERT(n > 0 && cp >= ' ' && (cp < 0x7f || cp >= 0xa0));
		ASSERT(n == 1 || (s->t->env.flags & ENVELOPE_SMTPUTF8));
	}
	for (size_t i = 0; i < domain.n; i++)	/* A-labels, or a literal */
		ASSERT(domain.p[i] > ' ' && domain.p[i] < 0x7f);
	if (span_eq_nocase(domain, SPAN_LIT("refused.example")))
		smtp_refuse(s, r, 554, "5.7.1 <%.*s>: no", SPAN_ARG(rcpt->address));
	return span_eq_nocase(domain, SPAN_LIT("asked.example")) ? 8 : 0;
}

static void
f_data(void *ctx, struct smtp_session *s, struct smtp_reply *r)
{
	struct world *w = ctx;

	ASSERT(!w->collecting);
	w->collecting = true;
	w->cr = false;
}

static void
f_body(void *ctx, struct smtp_session *s, struct span bytes)
{
	struct world *w = ctx;

	ASSERT(w->collecting && bytes.n);
	/* DATA that refuses may hand on a CR before it knows that it is bare; then it closes */
	for (size_t i = 0; i < bytes.n; i++) {
		if (bytes.p[i] == '\n' || s->state == SMTP_CHUNK || s->site->normalise)
			ASSERT(w->cr == (bytes.p[i] == '\n'));
		w->cr = bytes.p[i] == '\r';
	}
}

static uint64_t
f_end(void *ctx, struct smtp_session *s, struct smtp_transaction *t, unsigned flags,
    struct smtp_reply *r)
{
	struct world *w = ctx;

	ASSERT(w->collecting && w->taken == NULL && t->env.nrecipients > 0);
	ASSERT(!w->cr);		/* whole lines, nothing to smuggle */
	w->collecting = false;
	w->taken = t;
	return t->env.id;
}

static uint64_t
f_auth(void *ctx, struct smtp_session *s, struct span user, struct span password,
    struct smtp_reply *r)
{
	ASSERT(s->tls.n && s->user.n == 0 && s->t == NULL);
	ASSERT(user.n && user.n <= AUTH_TEXT_MAX && password.n && password.n <= AUTH_TEXT_MAX);
	for (size_t i = 0; i < user.n; i++)
		ASSERT((unsigned char)user.p[i] >= ' ' && user.p[i] != 0x7f);
	((struct world *)ctx)->good = password.n % 2;
	return 9;
}

static void
f_abandon(void *ctx, struct smtp_session *s)
{
	((struct world *)ctx)->collecting = false;
}

static void
f_refused(void *ctx, struct smtp_session *s, const char *command, const struct recipient *rcpt,
    unsigned code, struct span text)
{
	ASSERT(code >= 400 && code < 600);
}

static void
f_xclient(void *ctx, struct smtp_session *s, const struct xclient *x, struct smtp_reply *r)
{
	ASSERT(s->may_xclient && s->t == NULL && x->has < 64);
	s->client = x->addr;
	s->client_name = x->name;
	if (span_is(x->name, "refused"))
		*r = (struct smtp_reply){ .code = 554, .text = SPAN_LIT("5.7.1 no") };
}

/* A transcript never has what AUTH brought. */
static void
f_heard(void *ctx, struct smtp_session *s, struct span line)
{
	if (span_starts_nocase(line, SPAN_LIT("AUTH")))
		ASSERT(line.n <= 5 + 20 + 4 && (line.n < 5 || line.p[4] == ' '));
	ASSERT(s->state != SMTP_AUTH || line.n == 3);
}

static const struct smtp_ops ops = { .mail = f_mail, .rcpt = f_rcpt, .data = f_data,
	.body = f_body, .end = f_end, .auth = f_auth, .abandon = f_abandon, .refused = f_refused,
	.xclient = f_xclient, .heard = f_heard };

static void
check_replies(struct span s)
{
	while (s.n) {
		size_t n = span_find(s, '\n');

		ASSERT(n < s.n && n >= 5 && n + 1 <= 512 && s.p[n - 1] == '\r');
		ASSERT(s.p[0] >= '2' && s.p[0] <= '5' && (s.p[3] == ' ' || s.p[3] == '-'));
		for (size_t i = 0; i + 1 < n; i++)
			ASSERT(s.p[i] >= ' ' && s.p[i] < 0x7f);
		s = span_from(s, n + 1);
	}
}

static void
run(struct span in, size_t chunk, unsigned how, struct buf *said)
{
	bool normalise = how & 128;
	const struct smtp_site site = { .tls = how & 96, .auth = how & 96,
		.hostname = { "gw1.example.org", 15 },
		.postmaster = { "postmaster@example.org", 22 }, .max_size = 100000,
		.recipients = 50, .errors = 20, .messages = 100,
		.normalise = normalise };
	struct smtp_input open = { .kind = SMTP_OPEN, .now = 1795344099000000 };
	struct smtp_input bytes = { .kind = SMTP_BYTES, .now = 1795344099000000 };
	struct id_source ids = { .slot = 3 };
	struct world w = { 0 };
	struct smtp_input secured = { .kind = SMTP_SECURED, .now = open.now,
		.bytes = SPAN_LIT("TLSv1.3 TLS_AES_128_GCM_SHA256") };
	struct smtp_session s;
	enum smtp_step st;
	size_t at = 0, end = 0, used;

	smtp_session_init(&s, &site, &ops, &w, &ids);
	s.may_xclient = how & 16;
	st = smtp_session_step(&s, &open, &used);
	if (how & 32) {
		bytes.bytes = SPAN_LIT("EHLO a\r\nSTARTTLS\r\n");
		st = smtp_session_step(&s, &bytes, &used);
		ASSERT(st == SMTP_TLS && used == bytes.bytes.n);
		st = smtp_session_step(&s, &secured, &used);
	}
	while (st != SMTP_DONE) {
		buf_span(said, buf_data(&s.out));
		buf_reset(&s.out);
		if (st == SMTP_WAIT) {
			struct smtp_input ans = { .kind = SMTP_ANSWER, .now = open.now,
				.ticket = s.ticket, .reply = { 250, SPAN_LIT("2.0.0 ok"), false } };

			if (s.state == SMTP_ASKING)
				ans.reply = s.t->asked.address.n % 2 ? (struct smtp_reply){ 0 } :
				    (struct smtp_reply){ 550, SPAN_LIT("5.1.1 no"), false };
			if (s.state == SMTP_CHECKING)
				ans.reply = w.good ? (struct smtp_reply){ 235, SPAN_LIT("2.7.0 ok"), false } :
				    (struct smtp_reply){ 535, SPAN_LIT("5.7.8 no"), false };
			st = smtp_session_step(&s, &ans, &used);
			smtp_transaction_free(&w.taken);
			continue;
		}
		if (st == SMTP_TLS) {
			at = end;
			st = smtp_session_step(&s, &secured, &used);
			continue;
		}
		bytes.bytes = span_sub(in, at, end - at);
		st = smtp_session_step(&s, &bytes, &used);
		ASSERT(used <= bytes.bytes.n);
		at += used;
		if (st == SMTP_DONE || st == SMTP_WAIT || st == SMTP_TLS || used)
			continue;
		ASSERT(end - at < WIRE_LINE_MAX);
		if (end == in.n)
			break;
		end = in.n - end < chunk ? in.n : end + chunk;
	}
	buf_span(said, buf_data(&s.out));
	smtp_session_release(&s);
	ASSERT(!w.collecting && w.taken == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = { (const char *)data + 1, size - 1 };
	struct buf one, many;

	if (size < 2 || size > 1 << 16)
		return 0;
	buf_init(&one, 16 << 20);
	buf_init(&many, 16 << 20);
	run(in, SIZE_MAX, data[0] & 240, &one);
	run(in, 1 + data[0] % 32, data[0] & 240, &many);
	check_replies(buf_data(&one));
	check_replies(buf_data(&many));
	ASSERT((data[0] & 96) == 64 || span_eq(buf_data(&one), buf_data(&many)));
	buf_release(&one);
	buf_release(&many);
	return 0;
}
