/* test_smtp_receiver.c -- the receiver's whole process, between a real client
 * and peers that play their parts; see receiver_test.h. */
#include "receiver_test.h"

static void
one_message(void **state)
{
	struct client c;
	struct told t;
	uint64_t id;
	char *body;

	greeted(&c);
	mail(&c, "a@example.com", "deliver", "250 2.0.0 accepted as ");
	assert_true(id_parse(span_str(c.line + strlen("250 2.0.0 accepted as ")), &id));
	t = submitted();
	assert_true(t.id == id);
	assert_true(t.parent == 0);
	assert_int_equal(t.outcome[0], OUTCOME_DELIVER);
	t.bytes[t.shown < sizeof(t.bytes) ? t.shown : sizeof(t.bytes) - 1] = '\0';
	assert_memory_equal(t.bytes, "Received: from client.example (lab [127.0.0.1])\r\n"
	    "\tby gw1.example.org (Postern) with ESMTP id ", 92);
	assert_non_null(strstr(t.bytes, "\r\n\tfor <deliver@example.net>; "));
	body = strstr(t.bytes, "From: A");
	assert_non_null(body);
	assert_string_equal(body, "From: A <a@example.com>\r\nSubject: x\r\n\r\n.dot\r\nbody\r\n");
	/* a second one has another id */
	mail(&c, "", "deliver", "250 2.0.0 accepted as ");
	assert_true(submitted().id > id);
	say(&c, "QUIT\r\n");
	expect(&c, "221");
	assert_null(hear(&c));
	bye(&c);
}

static void
outcomes(void **state)
{
	struct client c;
	struct told t, u;

	greeted(&c);
	mail(&c, "a@example.com", "reject", "550 5.7.1 card numbers do not leave (ref ");
	mail(&c, "a@example.com", "defer", "451 4.7.1 deferred by policy");
	mail(&c, "a@example.com", "deliver defer", "451 4.7.1 deferred by policy");
	assert_true(nothing_submitted());
	mail(&c, "a@example.com", "deliver reject hold quarantine discard", "250 2.0.0");
	t = submitted();
	assert_int_equal(t.nrecipients, 5);
	assert_int_equal(t.outcome[0], OUTCOME_DELIVER);
	assert_int_equal(t.outcome[1], OUTCOME_HOLD);
	assert_int_equal(t.outcome[2], OUTCOME_QUARANTINE);
	assert_int_equal(t.outcome[3], OUTCOME_REJECT);
	assert_int_equal(t.outcome[4], OUTCOME_DISCARD);
	assert_null(memmem(t.bytes, t.shown, "for <", 5));
	/* two kinds of bytes: two entries, the second a child of the one the client knows */
	mail(&c, "a@example.com", "deliver deliver-edited", "250 2.0.0");
	t = submitted();
	u = submitted();
	assert_int_equal(t.nrecipients, 1);
	assert_true(t.parent == 0 && u.parent == t.id && u.id != t.id);
	assert_string_equal(u.first, "deliver-edited@example.net");
	assert_null(memmem(t.bytes, t.shown, "X-Edited: yes\r\n", 15));
	assert_non_null(memmem(u.bytes, u.shown, "\r\nX-Edited: yes\r\nFrom: A", 24));
	mail(&c, "full@example.com", "deliver", "452 4.3.1");
	bye(&c);
}

static void
signatures(void **state)
{
	struct client c;
	struct told t;

	greeted(&c);
	mail(&c, "a@Example.ORG", "deliver", "250");
	t = submitted();
	assert_memory_equal(t.bytes, "DKIM-Signature: d=example.org\r\nReceived: ", 41);
	mail(&c, "a@sub.example.org", "deliver", "250");
	t = submitted();
	assert_memory_equal(t.bytes, "Received: ", 10);
	kill(house.signer, SIGKILL);
	waitpid(house.signer, NULL, 0);
	mail(&c, "a@example.com", "deliver", "250");
	t = submitted();
	mail(&c, "a@example.org", "deliver", "451 4.3.0");
	assert_true(nothing_submitted());
	/* While one is being started again, mail waits for it. */
	say(&c, "MAIL FROM:<a@example.org>\r\nRCPT TO:<deliver@example.net>\r\nDATA\r\n");
	expect(&c, "250 2.1.0");
	expect(&c, "250 2.1.5");
	expect(&c, "354");
	say(&c, "From: A <a@example.org>\r\nSubject: x\r\n\r\nbody\r\n.\r\n");
	house.signer = peer(&master, ROLE_SIGNER, 20, -1);
	expect(&c, "250 2.0.0 accepted as ");
	t = submitted();
	assert_memory_equal(t.bytes, "DKIM-Signature: d=example.org\r\nReceived: ", 41);
	bye(&c);
}

/* A copy and a notice ride with the message: all are there when 250 is said. */
static void
copies_and_notices(void **state)
{
	struct client c;
	struct told t, copy, note;
	char *at;

	greeted(&c);
	mail(&c, "a@example.org", "deliver-edited-told", "250 2.0.0 accepted as ");
	t = submitted();
	copy = submitted();
	note = submitted();
	assert_true(nothing_submitted());
	assert_true(t.parent == 0 && copy.parent == t.id && note.parent == t.id);
	assert_string_equal(copy.first, "archive@example.org");
	assert_string_equal(note.first, "boss@example.org");
	/* the copy is what was received */
	assert_non_null(memmem(t.bytes, t.shown, "X-Edited: yes\r\n", 15));
	assert_null(memmem(copy.bytes, copy.shown, "X-Edited", 8));
	assert_memory_equal(copy.bytes, "DKIM-Signature: d=example.org\r\nReceived: ", 41);
	note.bytes[note.shown] = '\0';
	at = strstr(note.bytes, "From: Postern <postmaster@gw1.example.org>\r\nTo: <boss@example.org>\r\nSubject: Told\r\n");
	assert_non_null(at);
	/* gw1.example.org has no keys, the domain above it has */
	assert_memory_equal(note.bytes, "DKIM-Signature: d=example.org\r\nFrom: ", 37);
	assert_non_null(strstr(note.bytes, "\r\n\r\nA rule was hit.\r\n"));
	/* refused: told, then said */
	mail(&c, "a@example.org", "reject-told", "550 5.7.1 card numbers do not leave (ref ");
	copy = submitted();
	note = submitted();
	assert_true(nothing_submitted());
	assert_true(copy.parent == note.parent && copy.parent != copy.id && copy.parent != 0);
	/* what cannot be stored changes no refusal, but puts off what is accepted */
	mail(&c, "full@example.org", "reject-told", "550 5.7.1 card numbers do not leave (ref ");
	mail(&c, "full@example.org", "deliver-told", "452 4.3.1");
	bye(&c);
}

/* Nobody gets more than sixty an hour; the mail itself goes on. */
static void
notices_bounded(void **state)
{
	struct client c;
	size_t notes = 0, copies = 0;

	greeted(&c);
	for (int i = 0; i < 62; i++) {
		mail(&c, "a@example.com", "deliver-told", "250 2.0.0 accepted as ");
		submitted();
		for (bool last = false; !last;) {
			struct told t = submitted();

			copies += strcmp(t.first, "archive@example.org") == 0;
			notes += strcmp(t.first, "boss@example.org") == 0;
			last = nothing_submitted();
		}
	}
	assert_int_equal(copies, 62);
	assert_int_equal(notes, 60);
	bye(&c);
}

static void
deadly_message(void **state)
{
	struct client c, d;
	struct told t;

	greeted(&c);
	greeted(&d);
	mail(&c, "a@example.com", "crash", "250 2.0.0 accepted as ");
	t = submitted();
	assert_int_equal(t.outcome[0], OUTCOME_HOLD);
	assert_string_equal(t.queue, "unscannable");
	/* the third scanner still works, mail flows on */
	mail(&d, "a@example.com", "deliver", "250 2.0.0 accepted as ");
	t = submitted();
	assert_int_equal(t.outcome[0], OUTCOME_DELIVER);
	bye(&c);
	bye(&d);
}

static void
hanging_message(void **state)
{
	struct client c;
	struct msg_peer who;
	struct arena *a = arena_new(0);
	struct frame f;
	struct err err;

	greeted(&c);
	mail(&c, "a@example.com", "hang", "250 2.0.0 accepted as ");
	assert_int_equal(submitted().outcome[0], OUTCOME_HOLD);
	/* the master was asked to end both */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(chan_wait(&master, &f, 20000, &err), 1);
		assert_int_equal(f.type, FRAME_FAULT);
		assert_int_equal(peer_decode(f.body, f.fd, a, &who), 0);
		assert_int_equal(who.role, ROLE_SCANNER);
	}
	arena_free(&a);
	bye(&c);
}

static void
queue_lost(void **state)
{
	struct client c;

	greeted(&c);
	/* it dies with the message in its hands: the client must not believe it was taken */
	say(&c, "MAIL FROM:<silent@example.com>\r\nRCPT TO:<deliver@example.net>\r\nDATA\r\n");
	expect(&c, "250");
	expect(&c, "250");
	expect(&c, "354");
	say(&c, "x: y\r\n\r\n.\r\n");
	assert_string_equal(submitted().first, "deliver@example.net");
	kill(house.queue, SIGKILL);
	waitpid(house.queue, NULL, 0);
	expect(&c, "451 4.3.0");
	say(&c, "MAIL FROM:<a@example.com>\r\n");
	expect(&c, "451 4.3.0");
	bye(&c);
}

static void
sizes(void **state)
{
	enum { BIG = 900000 };
	char *body = malloc(1 << 20);
	struct client c;
	struct told t;

	greeted(&c);
	for (size_t i = 0; i + 64 <= 1 << 20; i += 64) {
		memset(body + i, 'x', 62);
		memcpy(body + i + 62, "\r\n", 2);
	}
	/* in a memfd, and the same bytes at the queue */
	say(&c, "MAIL FROM:<a@example.com> SIZE=900000\r\nRCPT TO:<deliver@example.net>\r\nDATA\r\n");
	expect(&c, "250");
	expect(&c, "250");
	expect(&c, "354");
	for (size_t at = 0; at < BIG; ) {
		ssize_t n = send(c.fd, body + at, (size_t)(BIG / 64 * 64 - at), MSG_NOSIGNAL);

		assert_true(n > 0);
		at += (size_t)n;
		if (at >= BIG / 64 * 64)
			break;
	}
	say(&c, ".\r\n");
	expect(&c, "250 2.0.0 accepted");
	t = submitted();
	assert_true(t.size > BIG / 64 * 64 && t.size < BIG / 64 * 64 + 400);
	/* too large while receiving: the session goes on */
	say(&c, "MAIL FROM:<a@example.com>\r\nRCPT TO:<deliver@example.net>\r\nDATA\r\n");
	expect(&c, "250");
	expect(&c, "250");
	expect(&c, "354");
	for (int i = 0; i < 2; i++)
		for (size_t at = 0; at < 1 << 20; ) {
			ssize_t n = send(c.fd, body + at, (1 << 20) - at, MSG_NOSIGNAL);

			assert_true(n > 0);
			at += (size_t)n;
		}
	say(&c, ".\r\n");
	expect(&c, "552 5.3.4");
	say(&c, "MAIL FROM:<a@example.com> SIZE=1048577\r\n");
	expect(&c, "552 5.3.4");
	mail(&c, "a@example.com", "deliver", "250 2.0.0");
	bye(&c);
	free(body);
}

static void
doors(void **state)
{
	struct client c, more[4];

	c = client_at(house.closed_port);
	expect(&c, "554 5.7.1 this client is not permitted to relay (ref ");
	assert_null(hear(&c));
	bye(&c);
	for (int i = 0; i < 4; i++)
		greeted(&more[i]);
	c = client_at(house.port);
	expect(&c, "421 4.7.0 too many sessions of this client");
	bye(&c);
	/* a smuggler: refused, closed, nothing submitted */
	say(&more[0], "MAIL FROM:<a@example.com>\r\nRCPT TO:<deliver@example.net>\r\nDATA\r\n");
	expect(&more[0], "250");
	expect(&more[0], "250");
	expect(&more[0], "354");
	say(&more[0], "a\r\n\n.\r\nMAIL FROM:<b@example.com>\r\n");
	expect(&more[0], "554 5.6.0");
	assert_null(hear(&more[0]));
	for (int i = 0; i < 4; i++)
		bye(&more[i]);
	assert_true(nothing_submitted());
}

static void
rate_limits(void **state)
{
	struct client c;

	greeted(&c);
	mail(&c, "a@example.com", "deliver", "250");
	assert_int_equal(submitted().outcome[0], OUTCOME_DELIVER);
	mail(&c, "a@example.com", "deliver", "250");
	assert_int_equal(submitted().outcome[0], OUTCOME_HOLD);
	say(&c, "MAIL FROM:<a@example.com>\r\nRCPT TO:<deliver@example.net>\r\nDATA\r\nRSET\r\n");
	expect(&c, "250 2.1.0");
	expect(&c, "250 2.1.5");
	expect(&c, "451 4.7.1 over the limit per-sender");
	expect(&c, "250 2.0.0");
	bye(&c);
}

/* Control clients: one request, JSON lines back. */
static void
limits_command(void **state)
{
	struct msg_client m = { .uid = 0, .request = SPAN_LIT("{\"cmd\":\"limits.show\"}") };
	char text[4096] = "";
	struct client c;
	struct buf b;
	size_t n = 0;
	ssize_t got;
	int sv[2];

	greeted(&c);
	mail(&c, "a@example.com", "deliver", "250");
	submitted();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	buf_init(&b, FRAME_SMALL);
	client_encode(&b, &m);
	give(&master, FRAME_CLIENT, &b, sv[1]);
	while (n < sizeof(text) - 1 && (got = read(sv[0], text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)got;
	close(sv[0]);
	assert_non_null(strstr(text, "\"limit\":\"per-sender\",\"key\":\"a@example.com\","
	    "\"unit\":\"messages\",\"used\":1,\"allow\":2,\"window\":3600"));
	n = 0;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	m.request = SPAN_LIT("{\"cmd\":\"limits.reset\",\"key\":\"a@example.com\"}");
	client_encode(&b, &m);
	give(&master, FRAME_CLIENT, &b, sv[1]);
	while (n < sizeof(text) - 1 && (got = read(sv[0], text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = '\0';
	close(sv[0]);
	assert_string_equal(text, "{\"v\":1,\"reset\":true}\n");
	buf_release(&b);
	bye(&c);
}

static void
refusals_in_journal(void **state)
{
	struct client c;
	struct noted n;
	char id[ID_SIZE];

	greeted(&c);
	mail(&c, "a@example.com", "reject", "550 5.7.1");
	n = journal();
	assert_non_null(strstr(c.line, id_format(n.id, id)));
	assert_string_equal(n.from, "a@example.com");
	assert_string_equal(n.to, "");
	assert_string_equal(n.outcome, "reject");
	assert_string_equal(n.dsn, "5.7.1");
	assert_memory_equal(n.reply, "550 5.7.1 card numbers do not leave (ref ", 41);
	say(&c, "MAIL FROM:<b@example.com>\r\nRCPT TO:<nobody>\r\n");
	expect(&c, "250");
	expect(&c, "501 5.1.3");
	n = journal();
	assert_string_equal(n.from, "b@example.com");
	assert_string_equal(n.dsn, "5.1.3");
	bye(&c);
}

/* A message that went round too often. */
static void
hops(void **state)
{
	struct client c;

	greeted(&c);
	for (int n = 50; n <= 51; n++) {
		say(&c, "MAIL FROM:<a@example.com>\r\nRCPT TO:<deliver@example.net>\r\nDATA\r\n");
		expect(&c, "250");
		expect(&c, "250");
		expect(&c, "354");
		for (int i = 0; i < n; i++)
			say(&c, "Received: from a by b\r\n");
		say(&c, "\r\n.\r\n");
		expect(&c, n == 50 ? "250 2.0.0" : "554 5.4.6 too many hops");
	}
	submitted();
	assert_true(nothing_submitted());
	bye(&c);
}

/* A whole session in one go, then the end of the stream: as netcat does. */
static void
all_at_once(void **state)
{
	struct client c = client_at(house.port);
	struct buf b;
	struct span s;
	struct told t;

	buf_init(&b, 4 << 20);
	buf_puts(&b, "EHLO client.example\r\n");
	for (int m = 0; m < 3; m++) {
		buf_puts(&b, "MAIL FROM:<a@example.com>\r\nRCPT TO:<deliver@example.net>\r\nDATA\r\n");
		for (int i = 0; i < 5000; i++)
			buf_puts(&b, "sixty bytes of text to make it longer than any buffer there is\r\n");
		buf_puts(&b, ".\r\n");
	}
	for (s = buf_data(&b); s.n; ) {
		ssize_t n = send(c.fd, s.p, s.n, MSG_NOSIGNAL);

		assert_true(n > 0);
		s = span_from(s, (size_t)n);
	}
	shutdown(c.fd, SHUT_WR);
	expect(&c, "220");
	expect(&c, "250 ENHANCED");
	for (int m = 0; m < 3; m++) {
		expect(&c, "250 2.1.0");
		expect(&c, "250 2.1.5");
		expect(&c, "354");
		expect(&c, "250 2.0.0 accepted");
		t = submitted();
		assert_true(t.size > 5000 * 64 && t.size < 5000 * 64 + 300);
	}
	assert_null(hear(&c));
	buf_release(&b);
	bye(&c);
}

/* What the receiver did for others before is done when this returns: it has one thread. */
static void
round_trip(struct client *c)
{
	say(c, "NOOP\r\n");
	expect(c, "250 2.0.0");
}

static void
deadlines(void **state)
{
	struct client idle, slow, data, other;

	greeted(&other);
	greeted(&idle);
	greeted(&slow);
	greeted(&data);
	say(&data, "MAIL FROM:<a@example.com>\r\nRCPT TO:<deliver@example.net>\r\nDATA\r\n");
	expect(&data, "250");
	expect(&data, "250");
	expect(&data, "354");
	say(&data, "a few bytes\r\n");
	/* bytes of a command that never ends buy no time, nor do a few of DATA */
	round_trip(&other);
	*house.clock += 250 * INT64_C(1000000);
	expect(&data, "421 4.4.2 timeout");
	assert_null(hear(&data));
	round_trip(&idle);
	say(&slow, "NOO");
	round_trip(&other);
	*house.clock += 100 * INT64_C(1000000);
	expect(&slow, "421 4.4.2 timeout");
	assert_null(hear(&slow));
	round_trip(&idle);
	round_trip(&other);
	*house.clock += 301 * INT64_C(1000000);
	expect(&idle, "421 4.4.2 timeout");
	assert_null(hear(&idle));
	bye(&other);
	bye(&idle);
	bye(&slow);
	bye(&data);
}

/* Chunks: neither half a one, nor a pause between two, nor many small ones buy time. */
static void
chunk_deadlines(void **state)
{
	struct client other, half, pause, drops;
	struct client *const all[] = { &half, &pause, &drops };

	greeted(&other);
	for (int i = 0; i < 3; i++) {
		struct client *c = all[i];

		greeted(c);
		say(c, "MAIL FROM:<a@example.com>\r\nRCPT TO:<deliver@example.net>\r\n");
		expect(c, "250");
		expect(c, "250");
	}
	say(&half, "BDAT 1000\r\nFrom: a\r\n");
	say(&pause, "BDAT 2\r\n\r\n");
	expect(&pause, "250 2.0.0 chunk taken");
	say(&drops, "BDAT 2\r\nab");
	expect(&drops, "250 2.0.0 chunk taken");
	round_trip(&other);
	*house.clock += 50 * INT64_C(1000000);
	/* a command between two chunks does not begin the message anew */
	say(&drops, "NOOP\r\nBDAT 2\r\ncd");
	expect(&drops, "250 2.0.0 ok");
	expect(&drops, "250 2.0.0 chunk taken");
	*house.clock += 50 * INT64_C(1000000);
	expect(&half, "421 4.4.2 timeout");
	expect(&pause, "421 4.4.2 timeout");
	expect(&drops, "421 4.4.2 timeout");
	assert_null(hear(&half));
	assert_null(hear(&pause));
	assert_null(hear(&drops));
	assert_true(nothing_submitted());
	round_trip(&other);
	bye(&other);
	bye(&half);
	bye(&pause);
	bye(&drops);
}

/* BDAT through the whole process: the same bytes at the queue, the flags of the envelope, sizes. */
static void
chunks(void **state)
{
	char *big = malloc(700000 + 1);
	struct client c;
	struct told t;

	greeted(&c);
	say(&c, "MAIL FROM:<a@example.com> SMTPUTF8\r\nRCPT TO:<deliver@example.net>\r\n"
	    "BDAT 9\r\nFrom: A\r\nBDAT 10 LAST\r\n\r\n.\r\nbody.");
	expect(&c, "250");
	expect(&c, "250");
	expect(&c, "250 2.0.0 chunk taken");
	expect(&c, "250 2.0.0 accepted as ");
	t = submitted();
	t.bytes[t.shown < sizeof(t.bytes) ? t.shown : sizeof(t.bytes) - 1] = '\0';
	assert_non_null(strstr(t.bytes, " with UTF8SMTP id "));
	assert_string_equal(strstr(t.bytes, "From: A"), "From: A\r\n\r\n.\r\nbody.\r\n");
	memset(big, 'x', 700000);
	for (size_t i = 62; i + 1 < 700000; i += 64)
		memcpy(big + i, "\r\n", 2);
	big[700000] = '\0';
	say(&c, "MAIL FROM:<a@example.com>\r\nRCPT TO:<deliver@example.net>\r\nBDAT 700000\r\n");
	expect(&c, "250");
	expect(&c, "250");
	for (size_t at = 0; at < 700000; ) {
		ssize_t n = send(c.fd, big + at, 700000 - at, MSG_NOSIGNAL);

		assert_true(n > 0);
		at += (size_t)n;
	}
	expect(&c, "250 2.0.0 chunk taken");
	say(&c, "BDAT 0 LAST\r\n");
	expect(&c, "250 2.0.0 accepted as ");
	t = submitted();
	assert_true(t.size > 700000 && t.size < 700400);
	/* more than the listener takes: skipped, then said */
	say(&c, "MAIL FROM:<a@example.com>\r\nRCPT TO:<deliver@example.net>\r\nBDAT 700000\r\n");
	expect(&c, "250");
	expect(&c, "250");
	for (int i = 0; i < 2; i++) {
		for (size_t at = 0; at < 700000; ) {
			ssize_t n = send(c.fd, big + at, 700000 - at, MSG_NOSIGNAL);

			assert_true(n > 0);
			at += (size_t)n;
		}
		expect(&c, i ? "552 5.3.4" : "250 2.0.0 chunk taken");
		if (i == 0)
			say(&c, "BDAT 700000 LAST\r\n");
	}
	assert_true(nothing_submitted());
	mail(&c, "a@example.com", "deliver", "250 2.0.0");
	bye(&c);
	free(big);
}

/* An idle session hears 421, one within a transaction finishes it. */
static void
retiring(void **state)
{
	struct client idle, busy;
	struct buf b;

	greeted(&idle);
	greeted(&busy);
	say(&busy, "MAIL FROM:<a@example.com>\r\n");
	expect(&busy, "250");
	buf_init(&b, FRAME_SMALL);
	give(&master, FRAME_RETIRE, &b, -1);
	expect(&idle, "421 4.3.2");
	assert_null(hear(&idle));
	say(&busy, "RCPT TO:<deliver@example.net>\r\nDATA\r\n");
	expect(&busy, "250");
	expect(&busy, "354");
	say(&busy, "x: y\r\n\r\n.\r\n");
	expect(&busy, "250 2.0.0 accepted");
	expect(&busy, "421 4.3.2");
	assert_null(hear(&busy));
	submitted();
	bye(&idle);
	bye(&busy);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_message, setup_plain, teardown),
		cmocka_unit_test_setup_teardown(outcomes, setup_plain, teardown),
		cmocka_unit_test_setup_teardown(signatures, setup_plain, teardown),
		cmocka_unit_test_setup_teardown(copies_and_notices, setup_plain, teardown),
		cmocka_unit_test_setup_teardown(notices_bounded, setup_plain, teardown),
		cmocka_unit_test_setup_teardown(deadly_message, setup_plain, teardown),
		cmocka_unit_test_setup_teardown(hanging_message, setup_plain, teardown),
		cmocka_unit_test_setup_teardown(queue_lost, setup_plain, teardown),
		cmocka_unit_test_setup_teardown(sizes, setup_plain, teardown),
		cmocka_unit_test_setup_teardown(doors, setup_plain, teardown),
		cmocka_unit_test_setup_teardown(refusals_in_journal, setup_plain, teardown),
		cmocka_unit_test_setup_teardown(hops, setup_plain, teardown),
		cmocka_unit_test_setup_teardown(all_at_once, setup_plain, teardown),
		cmocka_unit_test_setup_teardown(deadlines, setup_clock, teardown),
		cmocka_unit_test_setup_teardown(chunk_deadlines, setup_clock, teardown),
		cmocka_unit_test_setup_teardown(chunks, setup_plain, teardown),
		cmocka_unit_test_setup_teardown(rate_limits, setup_limits, teardown),
		cmocka_unit_test_setup_teardown(limits_command, setup_limits, teardown),
		cmocka_unit_test_setup_teardown(retiring, setup_plain, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
