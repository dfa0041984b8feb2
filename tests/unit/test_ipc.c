/* test_ipc.c -- frames, descriptors, tickets, payloads, codecs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fs.h"
#include "ipc/channel.h"
#include "ipc/messages.h"
#include "ipc/ticket.h"

static void
pair(struct chan *a, enum role ra, struct chan *b, enum role rb)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	chan_init(a, sv[0], ra, rb);
	chan_init(b, sv[1], rb, ra);
}

static void
test_frames_in_order(void **state)
{
	struct chan a, b;
	struct frame f = { .fd = -1 };
	struct err err;
	char body[5000];

	pair(&a, ROLE_RECEIVER, &b, ROLE_SCANNER);
	memset(body, 'x', sizeof(body));
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(chan_push(&a, FRAME_SCAN, i + 1, span_make(body, i * 50), -1), 0);
	for (size_t i = 0; i < 100; i++) {
		int r;

		while ((r = chan_next(&b, &f, &err)) == 0) {
			assert_int_not_equal(chan_flush(&a, &err), -1);
			assert_int_not_equal(chan_fill(&b, &err), -1);
		}
		assert_int_equal(r, 1);
		assert_int_equal(f.ticket, i + 1);
		assert_int_equal(f.body.n, i * 50);
		assert_int_equal(f.fd, -1);
	}
	chan_release(&a);
	assert_int_equal(chan_fill(&b, &err), -1);
	assert_int_equal(err.code, 0);
	chan_release(&b);
}

/* Each descriptor must come with its own frame, whatever is sent around it. */
static void
test_descriptors_keep_to_their_frames(void **state)
{
	struct chan a, b;
	struct frame f = { .fd = -1 };
	struct err err;

	pair(&a, ROLE_RECEIVER, &b, ROLE_SCANNER);
	for (uint64_t i = 1; i <= 30; i++) {
		char text[32];
		int fd = -1;

		if (i % 3 != 0) {
			fd = fs_memfd("t", &err);
			assert_int_not_equal(fd, -1);
			snprintf(text, sizeof(text), "%llu", (unsigned long long)i);
			assert_int_equal(fs_write_all(fd, text, strlen(text), &err), 0);
		}
		assert_int_equal(chan_push(&a, FRAME_SCAN, i, SPAN_LIT("body"), fd), 0);
	}
	assert_int_equal(chan_flush(&a, &err), 0);
	for (uint64_t i = 1; i <= 30; i++) {
		char text[32] = "";

		assert_int_equal(chan_wait(&b, &f, 1000, &err), 1);
		assert_int_equal(f.ticket, i);
		assert_int_equal(f.fd != -1, i % 3 != 0);
		if (f.fd != -1) {
			assert_true(pread(f.fd, text, sizeof(text) - 1, 0) > 0);
			assert_int_equal(strtoull(text, NULL, 10), i);
		}
	}
	assert_int_equal(chan_wait(&b, &f, 0, &err), 0);
	chan_release(&a);
	chan_release(&b);
}

static void
send_raw(int fd, uint32_t size, uint16_t type, uint16_t nfds)
{
	struct frame_head h = { size, type, nfds, 1 };

	assert_int_equal(write(fd, &h, sizeof(h)), sizeof(h));
}

/* Every way to break the rules of the table costs the sender its channel. */
static void
test_rules_are_kept(void **state)
{
	static const struct { uint32_t size; uint16_t type, nfds; } bad[] = {
		{ 0, FRAME_COUNT, 0 }, { 0, FRAME_NONE, 0 }, { 0, 999, 0 },
		{ 0, FRAME_VERDICT, 0 },		/* a receiver judges nothing */
		{ 0, FRAME_SUBMIT, 0 },			/* not to the scanner */
		{ FRAME_BIG + 1, FRAME_SCAN, 0 }, { 0, FRAME_SCAN, 2 },
		{ 0, FRAME_SCAN, 1 },			/* announces a descriptor it does not send */
	};
	struct frame f = { .fd = -1 };
	struct err err;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct chan a, b;

		pair(&a, ROLE_RECEIVER, &b, ROLE_SCANNER);
		send_raw(a.fd, bad[i].size, bad[i].type, bad[i].nfds);
		assert_int_equal(chan_fill(&b, &err), 1);
		assert_int_equal(chan_next(&b, &f, &err), -1);
		assert_int_equal(err.code, EPROTO);
		chan_release(&a);
		chan_release(&b);
	}
}

static void
test_tickets(void **state)
{
	struct tickets *t = tickets_new();
	uint64_t ids[1000];
	int owner[1000];

	for (int i = 0; i < 1000; i++)	/* deadlines in a scrambled order */
		ids[i] = ticket_open(t, &owner[i], (int64_t)((i * 7919) % 1000));
	assert_int_equal(tickets_count(t), 1000);
	for (int i = 0; i < 1000; i += 2)
		assert_ptr_equal(ticket_close(t, ids[i]), &owner[i]);
	for (int i = 0; i < 1000; i += 2) {
		assert_null(ticket_owner(t, ids[i]));
		assert_null(ticket_close(t, ids[i]));
	}
	for (int64_t now = 0; now < 1000; now++) {
		uint64_t id;

		while ((id = ticket_expired(t, now)) != 0) {
			int i = (int)((int *)ticket_owner(t, id) - owner);

			assert_int_equal((i * 7919) % 1000, now);	/* in order, each in its time */
			ticket_close(t, id);
		}
	}
	assert_int_equal(tickets_count(t), 0);
	/* A slot used again has another ticket. */
	uint64_t again = ticket_open(t, &owner[0], 5);
	for (int i = 0; i < 1000; i++)
		assert_true(again != ids[i]);
	assert_int_not_equal(again, 0);
	tickets_free(&t);
	assert_null(t);
}

static struct span
flat(struct payload *p, struct arena *a)
{
	struct err err;

	assert_int_equal(payload_map(p, &err), 0);
	return arena_span(a, payload_flat(p, a));
}

static void
test_payload_edits(void **state)
{
	struct arena *a = arena_new(0);
	struct span msg = SPAN_LIT("Subject: one\r\nTo: x\r\n\r\nbody\r\n");
	struct edit edits[] = {
		{ .offset = 0, .size = 0, .with = SPAN_LIT("X-A: 1\r\n") },
		{ .offset = 9, .size = 3, .with = SPAN_LIT("[T] one") },
		{ .offset = 14, .size = 7, .with = { NULL, 0 } },
	};
	struct span want = SPAN_LIT("Received: r\r\nX-A: 1\r\nSubject: [T] one\r\n\r\nbody\r\n");
	struct payload in, out, again;
	struct err err;
	int fd = fs_memfd("m", &err);

	payload_from_span(&in, msg, a);
	assert_int_equal(payload_edit(a, &in, SPAN_LIT("Received: r\r\n"), edits, 3, &out, &err), 0);
	assert_int_equal(out.size, want.n);
	assert_true(span_eq(flat(&out, a), want));

	/* The same in a descriptor: the same bytes, and none of the body copied. */
	assert_int_equal(fs_write_all(fd, msg.p, msg.n, &err), 0);
	assert_int_equal(fs_memfd_seal(fd, &err), 0);
	payload_from_fd(&in, fd, msg.n, a);
	assert_int_equal(payload_edit(a, &in, SPAN_LIT("Received: r\r\n"), edits, 3, &out, &err), 0);
	assert_true(span_eq(flat(&out, a), want));
	assert_true(out.bytes.n < msg.n);
	/* Editing what was edited. */
	assert_int_equal(payload_edit(a, &out, SPAN_LIT("D: k\r\n"), NULL, 0, &again, &err), 0);
	again.map = NULL;
	assert_true(span_eq(flat(&again, a),
	    SPAN_LIT("D: k\r\nReceived: r\r\nX-A: 1\r\nSubject: [T] one\r\n\r\nbody\r\n")));
	payload_unmap(&again);
	payload_unmap(&out);

	/* Outside, overlapping, out of order. */
	struct edit outside[] = { { .offset = msg.n, .size = 1 } };
	struct edit overlap[] = { { .offset = 2, .size = 5 }, { .offset = 6, .size = 1 } };
	assert_int_equal(payload_edit(a, &in, msg, outside, 1, &out, &err), -1);
	assert_int_equal(payload_edit(a, &in, msg, overlap, 2, &out, &err), -1);
	close(fd);
	arena_free(&a);
}

/* What the reader gives to a child: sealed, as large as it says, with a time that can be. */
static void
test_picture(void **state)
{
	struct arena *a = arena_new(0);
	struct msg_picture m = { .ms = 1000, .size = 10 }, got;
	struct buf b;
	struct err err;
	int fd = fs_memfd("m", &err);

	assert_int_equal(fs_write_all(fd, "0123456789", 10, &err), 0);
	buf_init(&b, 65536);
	picture_encode(&b, &m);
	assert_int_equal(picture_decode(buf_data(&b), fd, a, &got), -1);
	assert_int_equal(fs_memfd_seal(fd, &err), 0);
	assert_int_equal(picture_decode(buf_data(&b), fd, a, &got), 0);
	assert_int_equal(got.ms, 1000);
	assert_int_equal(got.size, 10);
	assert_int_equal(picture_decode(buf_data(&b), -1, a, &got), -1);
	for (int i = 0; i < 4; i++) {
		static const struct msg_picture bad[] = { { 1000, 11 }, { 1000, 9 }, { 0, 10 },
			{ PICTURE_MS_MAX + 1, 10 } };

		buf_reset(&b);
		picture_encode(&b, &bad[i]);
		assert_int_equal(picture_decode(buf_data(&b), fd, a, &got), -1);
	}
	buf_release(&b);
	close(fd);
	arena_free(&a);
}

static void
test_unsealed_descriptor_is_refused(void **state)
{
	struct arena *a = arena_new(0);
	struct msg_sign m = { .domain = SPAN_LIT("example.org") }, got;
	struct buf b;
	struct err err;
	int fd = fs_memfd("m", &err);

	assert_int_equal(fs_write_all(fd, "0123456789", 10, &err), 0);
	payload_from_fd(&m.payload, fd, 10, a);
	buf_init(&b, 65536);
	sign_encode(&b, &m);
	assert_int_equal(sign_decode(buf_data(&b), fd, a, &got), -1);
	assert_int_equal(fs_memfd_seal(fd, &err), 0);
	assert_int_equal(sign_decode(buf_data(&b), fd, a, &got), 0);
	assert_int_equal(got.payload.size, 10);
	assert_int_equal(sign_decode(buf_data(&b), -1, a, &got), -1);
	/* A piece that reaches beyond the descriptor. */
	m.payload.pieces[0].n = 11;
	buf_reset(&b);
	sign_encode(&b, &m);
	assert_int_equal(sign_decode(buf_data(&b), fd, a, &got), -1);
	buf_release(&b);
	close(fd);
	arena_free(&a);
}

static struct msg_submit
sample(struct arena *a)
{
	static struct recipient rcpt[2] = {
		{ SPAN_LIT("a@example.net"), SPAN_LIT("rfc822;a@example.net"), NOTIFY_FAILURE },
		{ SPAN_LIT("b@example.net"), { NULL, 0 }, 0 },
	};
	static struct span redirect[1] = { SPAN_LIT("c@example.org") };
	static struct msg_decision d[2] = {
		{ .outcome = OUTCOME_DELIVER, .require_tls = TLS_VERIFIED, .rule = SPAN_LIT("r") },
		{ .outcome = OUTCOME_REDIRECT, .redirect = redirect, .nredirect = 1, .expires = -5 },
	};
	struct msg_submit m = { .parent = 7, .decisions = d, .ndecisions = 2,
		.record = SPAN_LIT("{}") };

	m.env = (struct envelope){ .id = 42, .direction = DIRECTION_OUTBOUND, .listener = SPAN_LIT("l"),
		.client = { 4, { 10, 1, 2, 3 } }, .client_port = 99, .helo = SPAN_LIT("h"),
		.flags = ENVELOPE_8BITMIME, .ret = RET_HDRS, .envid = SPAN_LIT("e"), .received = 12345,
		.sender = SPAN_LIT("s@example.org"), .recipients = rcpt, .nrecipients = 2 };
	payload_from_span(&m.payload, SPAN_LIT("From: s\r\n\r\nhello\r\n"), a);
	return m;
}

static void
test_submit_round_trip(void **state)
{
	struct arena *a = arena_new(0);
	struct msg_submit m = sample(a), got;
	struct buf b;

	buf_init(&b, 65536);
	submit_encode(&b, &m);
	assert_int_equal(submit_decode(buf_data(&b), -1, a, &got), 0);
	assert_int_equal(got.env.id, 42);
	assert_int_equal(got.parent, 7);
	assert_int_equal(got.env.client.b[3], 3);
	assert_int_equal(got.env.nrecipients, 2);
	assert_true(span_is(got.env.recipients[0].orcpt, "rfc822;a@example.net"));
	assert_int_equal(got.env.recipients[0].notify, NOTIFY_FAILURE);
	assert_int_equal(got.decisions[0].require_tls, TLS_VERIFIED);
	assert_true(span_is(got.decisions[1].redirect[0], "c@example.org"));
	assert_int_equal(got.decisions[1].expires, -5);
	assert_true(span_is(payload_flat(&got.payload, a), "From: s\r\n\r\nhello\r\n"));
	/* Cut anywhere, or with something behind it: refused. */
	for (size_t n = 0; n < buf_size(&b); n++)
		assert_int_equal(submit_decode(span_sub(buf_data(&b), 0, n), -1, a, &got), -1);
	buf_putc(&b, 0);
	assert_int_equal(submit_decode(buf_data(&b), -1, a, &got), -1);
	buf_release(&b);
	arena_free(&a);
}

/* Zero is safe: what was never judged is not taken by the queue. */
static void
test_unjudged_is_refused(void **state)
{
	static const enum outcome never[] = { OUTCOME_UNJUDGED, OUTCOME_DEFER };
	struct arena *a = arena_new(0);
	struct buf b;

	buf_init(&b, 65536);
	for (size_t i = 0; i < 2; i++) {
		struct msg_submit m = sample(a), got;

		m.decisions[1].outcome = never[i];
		buf_reset(&b);
		submit_encode(&b, &m);
		assert_int_equal(submit_decode(buf_data(&b), -1, a, &got), -1);
		m.decisions[1].outcome = OUTCOME_REDIRECT;
	}
	buf_release(&b);
	arena_free(&a);
}

static struct heard {
	int frames, closed;
	bool frame_first;
} heard;

static void
hear_frame(void *ctx, struct link *l, struct frame *f)
{
	heard.frames++;
	heard.frame_first = heard.closed == 0;
}

static void
hear_closed(void *ctx, struct link *l, const struct err *why)
{
	heard.closed++;
	event_base_loopbreak(ctx);
}

/* A peer that says its last word and goes, at the moment we speak: its word is heard. Both are on their
 * way at once; what fails is our write, and that comes first. */
static void
test_last_word(void **state)
{
	static const struct link_ops ops = { hear_frame, hear_closed };
	struct event_base *base = event_base_new();
	struct chan peer;
	struct link *l;
	struct err err;
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	chan_init(&peer, sv[1], ROLE_DELIVERY, ROLE_QUEUE);
	l = link_new(base, sv[0], ROLE_QUEUE, ROLE_DELIVERY, 1, &ops, base);
	assert_int_equal(link_send(l, FRAME_SEGMENT_DROP, 0, SPAN_LIT("aaaa"), -1), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(chan_push(&peer, FRAME_RESULT, 7, SPAN_LIT("x"), -1), 0);
	assert_int_equal(chan_flush(&peer, &err), 0);
	chan_release(&peer);
	/* the flush of ours alone, before anything is read */
	assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
	event_base_loop(base, 0);
	assert_int_equal(heard.frames, 3);
	assert_int_equal(heard.closed, 1);
	assert_true(heard.frame_first);
	event_base_loop(base, EVLOOP_NONBLOCK);		/* the link is freed */
	event_base_free(base);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_in_order),
		cmocka_unit_test(test_descriptors_keep_to_their_frames),
		cmocka_unit_test(test_rules_are_kept),
		cmocka_unit_test(test_last_word),
		cmocka_unit_test(test_tickets),
		cmocka_unit_test(test_payload_edits),
		cmocka_unit_test(test_unsealed_descriptor_is_refused),
		cmocka_unit_test(test_picture),
		cmocka_unit_test(test_submit_round_trip),
		cmocka_unit_test(test_unjudged_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
