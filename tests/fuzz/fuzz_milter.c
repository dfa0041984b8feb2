/* fuzz_milter.c -- any packets, cut anywhere, as an MTA: what we say is whole packets of known
 * kinds, nothing but the bytes decides (two ways of cutting give the same answers), and a message is
 * given on or taken only when somebody told so. The first byte chooses the second cut. */
#include <stdint.h>

#include "postern/err.h"
#include "receiver/milter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
	bool collecting;
	struct smtp_transaction *taken;
};

static void
f_ok(void *ctx, struct smtp_session *s, struct smtp_reply *r)
{
	if (span_starts(s->t->env.sender, SPAN_LIT("over@")))
		smtp_refuse(s, r, 451, "4.7.1 100%% over the limit");
}

static uint64_t
f_rcpt(void *ctx, struct smtp_session *s, struct recipient *rcpt, struct smtp_reply *r)
{
	if (span_starts(rcpt->address, SPAN_LIT("no@")))
		smtp_refuse(s, r, 554, "5.7.1 no");
	return span_starts(rcpt->address, SPAN_LIT("ask@")) ? 8 : 0;
}

static void
f_data(void *ctx, struct smtp_session *s, struct smtp_reply *r)
{
	((struct world *)ctx)->collecting = true;
}

static void
f_body(void *ctx, struct smtp_session *s, struct span bytes)
{
	ASSERT(((struct world *)ctx)->collecting && bytes.n);
}

static uint64_t
f_end(void *ctx, struct smtp_session *s, struct smtp_transaction *t, unsigned flags,
    struct smtp_reply *r)
{
	struct world *w = ctx;

	ASSERT(w->taken == NULL && t->env.nrecipients > 0 && t->header_size >= 2);
	w->collecting = false;
	w->taken = t;
	return t->env.id;
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
	s->client = x->addr;
	s->client_name = x->name;
	if (span_is(x->name, "refused"))
		*r = (struct smtp_reply){ .code = 554, .text = SPAN_LIT("5.7.1 no") };
}

static const struct smtp_ops ops = { .mail = f_ok, .rcpt = f_rcpt, .data = f_data, .body = f_body,
	.end = f_end, .abandon = f_abandon, .refused = f_refused, .xclient = f_xclient };

/* Ids differ from run to run of the clock: the source begins anew each time. */
static void
run(struct span in, size_t cut, struct buf *said)
{
	static const struct smtp_site site = { .hostname = { "gw.example.org", 14 },
		.postmaster = { "postmaster@example.org", 22 }, .max_size = 100000, .recipients = 20,
		.errors = 1000000, .messages = 1000000 };
	struct id_source ids = { 0 };
	struct world w = { 0 };
	struct smtp_session s;
	struct milter mt;
	struct smtp_input i = { .kind = SMTP_OPEN, .now = INT64_C(1795344099000000) };
	enum smtp_step step;
	size_t used, given = 0;

	smtp_session_init(&s, &site, &ops, &w, &ids);
	milter_init(&mt, &s);
	step = milter_step(&mt, &i, &used);
	while (step != SMTP_DONE && (in.n || step == SMTP_WAIT)) {
		i = (struct smtp_input){ .kind = SMTP_BYTES, .now = i.now };
		if (step == SMTP_WAIT) {
			ASSERT(s.ticket != 0);
			i.kind = SMTP_ANSWER;
			i.ticket = s.ticket;
			if (w.taken) {
				struct span rest = buf_data(&mt.rcpts);

				for (size_t k = 0; k < w.taken->env.nrecipients; k++)
					ASSERT(milter_rcpt(&rest).p != NULL);
				ASSERT(rest.n == 0);	/* one text for each recipient */
				ASSERT(w.taken->header_size == buf_size(&mt.header));
				milter_header_edits(&mt.edits, buf_data(&mt.header),
				    SPAN_LIT("Subject: new\r\nX-A: b\r\n"), true);
				if (w.taken->env.nrecipients != 2)
					milter_told(&mt, w.taken->env.nrecipients % 2);
				smtp_transaction_free(&w.taken);
				i.reply = (struct smtp_reply){ .code = 250, .text = SPAN_LIT("2.0.0 ok") };
			}
		} else {
			i.bytes = span_sub(in, 0, given = given && given < in.n ? given + cut : cut);
		}
		step = milter_step(&mt, &i, &used);
		ASSERT(used <= i.bytes.n && buf_size(&s.out) == 0);
		in = span_from(in, used);
		given = used == 0 && i.kind == SMTP_BYTES ? given : 0;
		buf_span(said, buf_data(&mt.out));
		buf_reset(&mt.out);
		smtp_session_check(&s);
	}
	smtp_transaction_free(&w.taken);
	milter_release(&mt);
	smtp_session_release(&s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_make((const char *)data, size), rest;
	struct buf a, b;

	if (size < 1 || size > 65536)
		return 0;
	buf_init(&a, 16u << 20);
	buf_init(&b, 16u << 20);
	run(span_from(in, 1), SIZE_MAX / 2, &a);
	run(span_from(in, 1), 1 + data[0] % 7u, &b);
	ASSERT(span_eq(buf_data(&a), buf_data(&b)));
	for (rest = buf_data(&a); rest.n;) {
		const unsigned char *u = (const unsigned char *)rest.p;
		size_t n;

		ASSERT(rest.n >= 5);
		n = (size_t)u[0] << 24 | (size_t)u[1] << 16 | (size_t)u[2] << 8 | u[3];
		ASSERT(n >= 1 && n <= rest.n - 4 && strchr("Octdyimpb-", rest.p[4]) != NULL);
		rest = span_from(rest, 4 + n);
	}
	buf_release(&a);
	buf_release(&b);
	return 0;
}
