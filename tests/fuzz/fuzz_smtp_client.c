/* fuzz_smtp_client.c -- the client machine under a server that says what it likes, when it likes.
 *
 * The first byte chooses what is to be sent (TLS demands, BDAT, recipients, size), the
 * second how the bytes are cut. Whatever is heard: the machine stays within its
 * states (its own assertions), ends or waits, calls nobody reached before a 2xx to
 * the end of the data, and gives every recipient a result.
 */
#include <stdlib.h>
#include <string.h>

#include "delivery/smtp_client.h"
#include "postern/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char big[BDAT_CHUNK + 500];

struct trial {
	struct smtp_client m;
	struct arena *a;
	struct recipient rcpts[3];
	struct smtp_result results[3];
	struct smtp_message msg;
	unsigned messages;
	bool end_said;		/* everything of a message has gone out */
};

static void
begin(struct trial *t, uint8_t how)
{
	static const struct span small = SPAN_LIT("Subject: x\r\n\r\n.hello\r\n");

	memset(t, 0, sizeof(*t));
	smtp_client_init(&t->m);
	t->a = arena_new(0);
	t->m.hello = SPAN_LIT("gw.lab");
	t->m.peer = SPAN_LIT("mx.lab[192.0.2.1]");
	t->m.tls = how & 1 ? CLIENT_TLS_REQUIRED : CLIENT_TLS_OFFERED;
	t->m.requiretls = how & 2;
	for (int i = 0; i < 3; i++)
		t->rcpts[i].address = SPAN_LIT("r@site.lab");
	memset(big, 'x', sizeof(big));
	memcpy(big + sizeof(big) - 2, "\r\n", 2);
	t->msg = (struct smtp_message){ .arena = t->a, .sender = SPAN_LIT("a@our.lab"),
		.recipients = t->rcpts, .results = t->results, .n = how & 4 ? 3 : 1,
		.bytes = how & 8 ? span_make(big, sizeof(big)) : small, .lines = !(how & 16),
		.eightbit = how & 32 };
	t->messages = 2;
}

static void
say(struct trial *t, size_t piece)
{
	struct span v[4];
	size_t n = smtp_client_out(&t->m, v, 4), all = 0, sent;

	ASSERT(n > 0 && n <= 4);
	for (size_t i = 0; i < n; i++) {
		ASSERT(v[i].n > 0);
		all += v[i].n;
	}
	sent = piece < all ? piece : all;
	smtp_client_sent(&t->m, sent);
	t->end_said |= smtp_client_promised(&t->m);
}

static void
check(struct trial *t)
{
	for (size_t i = 0; i < t->msg.n; i++) {
		const struct smtp_result *r = &t->results[i];

		for (size_t k = 0; k < r->reply.n; k++)
			ASSERT(r->reply.p[k] >= ' ' && r->reply.p[k] <= '~');
		if (r->set && r->status == RCPT_SENT)
			ASSERT(t->end_said && r->reply.n && r->reply.p[0] == '2' && r->when == CLIENT_DOT);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in;
	struct trial t;
	size_t piece, used;
	int turns = 0;

	if (size < 2)
		return 0;
	begin(&t, data[0]);
	piece = data[1] ? data[1] : SIZE_MAX;
	in = span_make((const char *)data + 2, size - 2);
	for (;;) {
		struct span some = span_sub(in, 0, piece);
		enum smtp_step step = smtp_client_step(&t.m, some, &used);

		ASSERT(used <= some.n && ++turns < 200000);
		in = span_from(in, used);
		check(&t);
		if (step == SMTP_SAY) {
			say(&t, data[0] & 64 ? 100000 : SIZE_MAX);
		} else if (step == SMTP_DONE) {
			break;
		} else if (step == SMTP_WAIT && t.m.state == CLIENT_TLS) {
			smtp_client_tls_done(&t.m);
		} else if (step == SMTP_WAIT) {
			if (t.messages-- == 0)
				break;
			memset(t.results, 0, sizeof(t.results));
			t.end_said = false;
			(void)smtp_client_message(&t.m, &t.msg);
		} else if (in.n == 0) {
			smtp_client_lost(&t.m, "lost connection");
		}
	}
	if (t.m.failed && t.m.msg)
		smtp_client_fail_rest(&t.m, &t.msg);
	if (t.m.msg)
		for (size_t i = 0; i < t.msg.n; i++)
			ASSERT(t.results[i].set);
	check(&t);
	smtp_client_release(&t.m);
	arena_free(&t.a);
	return 0;
}
