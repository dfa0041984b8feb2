/* test_queue.c -- the queue role between a receiver, a delivery process and a store, all
 * played by the test over real channels; time is virtual.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "queue_test.h"

static void
accept_and_deliver(void **state)
{
	struct house h;
	struct rcpt_spec r[] = { { "a@one.example", OUTCOME_DELIVER, 0 },
		{ "b@one.example", OUTCOME_DELIVER, 0 }, { "c@two.example", OUTCOME_DELIVER, 0 } };
	struct msg_deliver d, e;
	struct frame f;
	uint64_t id, t, u;

	house_new(&h);
	id = submit(&h, "m@example.org", r, 3, 77);
	assert_int_equal(answer(&h, 77, id), ACCEPT_OK);
	peer(&h, 1, &h.delivery, ROLE_DELIVERY);
	assert_true(hear(&h, &h.delivery, FRAME_SEGMENT, &f));
	t = job(&h, &d);
	u = job(&h, &e);
	assert_int_equal(d.nrecipients, 2);
	assert_true(span_is(d.site, "one.example"));
	assert_true(span_is(d.recipients[1].address, "b@one.example"));
	assert_true(span_is(e.site, "two.example"));
	assert_int_equal(e.index[0], 2);
	assert_true(span_is(bytes_of(&h, &d), "Subject: hello\r\nMessage-ID: <a@b>\r\n\r\nbody\r\n"));
	result(&h, t, &d, RCPT_SENT, FAIL_NONE, "2.0.0", "ok");
	assert_int_equal(queued(&h), 1);
	result(&h, u, &e, RCPT_DEFERRED, FAIL_RECIPIENT, "4.2.0", "greylisted");
	assert_false(hear(&h, &h.delivery, FRAME_DELIVER, &f));
	now += 61 * US_PER_SEC + US_PER_SEC * 10;
	turn(&h);
	u = job(&h, &e);
	result(&h, u, &e, RCPT_SENT, FAIL_NONE, "2.0.0", "ok");
	assert_int_equal(queued(&h), 0);
	house_free(&h);
}

static void
submitted_twice(void **state)
{
	struct house h;
	struct rcpt_spec r = { "a@one.example", OUTCOME_DELIVER, 0 };
	uint64_t id;

	house_new(&h);
	id = submit(&h, "m@example.org", &r, 1, 1);
	assert_int_equal(answer(&h, 1, id), ACCEPT_OK);
	now--;
	h.ids.last = (int64_t)(id / ID_SLOTS) - 1;
	now = (int64_t)(id / ID_SLOTS);
	assert_int_equal(submit(&h, "m@example.org", &r, 1, 2), id);
	assert_int_equal(answer(&h, 2, id), ACCEPT_OK);
	assert_int_equal(queued(&h), 1);
	house_free(&h);
}

static void
crash_keeps(void **state)
{
	struct house h;
	struct rcpt_spec r[] = { { "a@one.example", OUTCOME_DELIVER, 0 },
		{ "c@two.example", OUTCOME_DELIVER, 0 } };
	struct msg_deliver d;
	struct frame f;
	uint64_t id, t;

	house_new(&h);
	id = submit(&h, "m@example.org", r, 2, 1);
	assert_int_equal(answer(&h, 1, id), ACCEPT_OK);
	peer(&h, 1, &h.delivery, ROLE_DELIVERY);
	t = job(&h, &d);
	result(&h, t, &d, RCPT_SENT, FAIL_NONE, "2.0.0", "ok");
	t = job(&h, &d);
	assert_int_equal(queued(&h), 1);	/* and synced */
	house_crash(&h);
	start(&h);
	peer(&h, 0, &h.receiver, ROLE_RECEIVER);
	peer(&h, 1, &h.delivery, ROLE_DELIVERY);
	turn(&h);
	t = job(&h, &d);
	assert_true(span_is(d.site, "two.example"));
	assert_int_equal(d.id, id);
	assert_false(hear(&h, &h.delivery, FRAME_DELIVER, &f));
	/* A delivery process that dies gives its jobs back, with no attempt counted. */
	chan_release(&h.delivery);
	memset(&h.delivery, 0, sizeof(h.delivery));
	turn(&h);
	peer(&h, 1, &h.delivery, ROLE_DELIVERY);
	t = job(&h, &d);
	assert_int_equal(queue_find(h.rt.state, id)->legs[1].attempts, 0);
	assert_true(queue_find(h.rt.state, id)->legs[1].cut_off);
	assert_false(queue_find(h.rt.state, id)->legs[0].cut_off);
	result(&h, t, &d, RCPT_SENT, FAIL_NONE, "2.0.0", "ok");
	assert_int_equal(queued(&h), 0);
	house_free(&h);
}

static void
bounce(void **state)
{
	struct house h;
	struct rcpt_spec r[] = { { "a@one.example", OUTCOME_DELIVER, 0 },
		{ "b@one.example", OUTCOME_DELIVER, NOTIFY_NEVER } };
	struct msg_deliver d;
	struct span text;
	uint64_t id, t;

	house_new(&h);
	id = submit(&h, "m@example.org", r, 2, 1);
	assert_int_equal(answer(&h, 1, id), ACCEPT_OK);
	peer(&h, 1, &h.delivery, ROLE_DELIVERY);
	t = job(&h, &d);
	result(&h, t, &d, RCPT_FAILED, FAIL_RECIPIENT, "5.1.1", "550 5.1.1 no such user");
	t = job(&h, &d);
	assert_int_not_equal(d.id, id);
	assert_int_equal(d.sender.n, 0);
	assert_true(span_is(d.recipients[0].address, "m@example.org"));
	text = bytes_of(&h, &d);
	assert_true(span_has(text, "Final-Recipient: rfc822; a@one.example\r\n"));
	assert_false(span_has(text, "b@one.example"));
	assert_true(span_has(text, "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n"));
	assert_true(span_has(text, "Message-ID: <a@b>\r\n"));
	assert_int_equal(queued(&h), 1);	/* the original is done */
	/* A notice that fails: its sender is nobody, the postmaster is told. */
	result(&h, t, &d, RCPT_FAILED, FAIL_RECIPIENT, "5.1.1", "550 no such sender");
	t = job(&h, &d);
	assert_int_equal(queued(&h), 1);
	assert_int_equal(d.sender.n, 0);
	assert_true(span_is(d.recipients[0].address, "postmaster@example.org"));
	text = bytes_of(&h, &d);
	assert_true(span_has(text, "Final-Recipient: rfc822; m@example.org\r\n"));
	assert_true(span_has(text, "550 no such sender"));
	assert_true(span_has(text, "Postmaster: a notice"));
	/* That fails too: it ends there. */
	result(&h, t, &d, RCPT_FAILED, FAIL_RECIPIENT, "5.1.1", "550 no");
	assert_int_equal(queued(&h), 0);
	/* A bounce that came from outside and fails is nobody's business. */
	id = submit(&h, "", r, 1, 2);
	assert_int_equal(answer(&h, 2, id), ACCEPT_OK);
	t = job(&h, &d);
	result(&h, t, &d, RCPT_FAILED, FAIL_RECIPIENT, "5.1.1", "550 no");
	assert_int_equal(queued(&h), 0);
	house_free(&h);
}

/* 452 before harm, and again 250 when it has gone down by a fiftieth. */
static void
size_limits(void **state)
{
	struct rcpt_spec r = { "a@one.example", OUTCOME_DELIVER, 0 };
	struct house h;
	struct queue *q;
	struct msg_deliver d;
	uint64_t id, t;

	log_level(LOG_LVL_ERROR);
	house_new(&h);
	q = h.rt.state;
	h.conf.queue = (struct conf_queue){ .messages = 100, .bytes = 1 << 30, .memory = 1 << 30 };
	for (int i = 0; i < 100; i++) {
		id = submit(&h, "m@example.org", &r, 1, 1);
		assert_int_equal(answer(&h, 1, id), ACCEPT_OK);
	}
	assert_int_equal(q->size.messages, 100);
	assert_true(queue_alarmed(q, ALARM_NEAR));
	id = submit(&h, "m@example.org", &r, 1, 1);
	assert_int_equal(answer(&h, 1, id), ACCEPT_FULL);
	assert_string_equal(q->size.over, "messages");
	/* Our own notices are taken. */
	peer(&h, 1, &h.delivery, ROLE_DELIVERY);
	t = job(&h, &d);
	result(&h, t, &d, RCPT_FAILED, FAIL_RECIPIENT, "5.1.1", "550 no");
	assert_int_equal(queued(&h), 100);
	/* One less is not enough. */
	t = job(&h, &d);
	result(&h, t, &d, RCPT_SENT, FAIL_NONE, "2.0.0", "ok");
	assert_int_equal(queued(&h), 99);
	id = submit(&h, "m@example.org", &r, 1, 1);
	assert_int_equal(answer(&h, 1, id), ACCEPT_FULL);
	for (int i = 0; i < 2; i++) {
		t = job(&h, &d);
		result(&h, t, &d, RCPT_SENT, FAIL_NONE, "2.0.0", "ok");
	}
	assert_int_equal(queued(&h), 97);
	id = submit(&h, "m@example.org", &r, 1, 1);
	assert_int_equal(answer(&h, 1, id), ACCEPT_OK);
	assert_null(q->size.over);
	/* Bytes and memory count as well. */
	h.conf.queue = (struct conf_queue){ .messages = 1000, .bytes = q->size.bytes, .memory = 1 << 30 };
	id = submit(&h, "m@example.org", &r, 1, 1);
	assert_int_equal(answer(&h, 1, id), ACCEPT_FULL);
	assert_string_equal(q->size.over, "bytes");
	h.conf.queue = (struct conf_queue){ .messages = 1000, .bytes = 1 << 30, .memory = q->size.memory };
	id = submit(&h, "m@example.org", &r, 1, 1);
	assert_int_equal(answer(&h, 1, id), ACCEPT_FULL);
	assert_string_equal(q->size.over, "memory");
	house_free(&h);
}

/* The notice is signed when there are keys; a signer that goes or is silent costs the signature only. */
static void
bounce_signed(void **state)
{
	static const struct conf_dkim key = { .selector = { "s", 1 } };
	static const struct conf_domain domain = { .name = { "example.org", 11 }, .dkim = &key,
		.ndkim = 1 };
	struct rcpt_spec r = { "a@one.example", OUTCOME_DELIVER, 0 };
	struct msg_signed ok = { .status = SIGN_OK, .headers = SPAN_LIT("DKIM-Signature: x\r\n") };
	struct house h;
	struct msg_deliver d;
	struct msg_sign sign;
	struct frame f;
	struct buf b;
	struct span text;
	uint64_t id, t, sign_ticket;

	house_new(&h);
	h.conf.domains = &domain;
	h.conf.ndomains = 1;
	peer(&h, 3, &h.signer, ROLE_SIGNER);
	peer(&h, 1, &h.delivery, ROLE_DELIVERY);
	for (int round = 0; round < 3; round++) {
		id = submit(&h, "m@example.org", &r, 1, 1);
		assert_int_equal(answer(&h, 1, id), ACCEPT_OK);
		t = job(&h, &d);
		result(&h, t, &d, RCPT_FAILED, FAIL_RECIPIENT, "5.1.1", "550 no");
		assert_true(hear(&h, &h.signer, FRAME_SIGN, &f));
		sign_ticket = f.ticket;
		assert_int_equal(sign_decode(f.body, f.fd, h.a, &sign), 0);
		assert_true(span_is(sign.domain, "example.org"));
		assert_true(span_has(payload_flat(&sign.payload, h.a), "Subject: Undelivered mail"));
		assert_false(hear(&h, &h.delivery, FRAME_DELIVER, &f) || queued(&h) != 1);
		if (round == 0) {
			uint64_t ticket = 1;

			/* A ticket that is not open changes nothing. */
			buf_init(&b, FRAME_SMALL);
			signed_encode(&b, &ok);
			say(&h, &h.signer, FRAME_SIGNED, ticket << 40, &b);
			assert_int_equal(queued(&h), 1);
		}
		if (round == 0) {
			struct queue *q = h.rt.state;

			assert_int_equal(tickets_count(q->signing), 1);
			buf_init(&b, FRAME_SMALL);
			signed_encode(&b, &ok);
			say(&h, &h.signer, FRAME_SIGNED, sign_ticket, &b);
		} else if (round == 1) {
			now += 6 * US_PER_SEC;
			queue_signing_over(h.rt.state, false);
			turn(&h);
		} else {
			chan_release(&h.signer);
			memset(&h.signer, 0, sizeof(h.signer));
			turn(&h);
		}
		t = job(&h, &d);
		text = bytes_of(&h, &d);
		assert_int_equal(span_starts(text, SPAN_LIT("DKIM-Signature: x\r\nDate: ")), round == 0);
		assert_int_equal(queued(&h), 1);	/* the original is done */
		result(&h, t, &d, RCPT_SENT, FAIL_NONE, "2.0.0", "ok");
		assert_int_equal(queued(&h), 0);
	}
	house_free(&h);
}

/* NOTIFY=SUCCESS: told here when the next hop cannot, left to it when it can. */
static void
success(void **state)
{
	struct house h;
	struct rcpt_spec r[] = { { "a@one.example", OUTCOME_DELIVER, NOTIFY_SUCCESS },
		{ "b@one.example", OUTCOME_DELIVER, 0 } };
	struct msg_deliver d;
	struct span text;
	uint64_t id, t;

	house_new(&h);
	peer(&h, 1, &h.delivery, ROLE_DELIVERY);
	for (int i = 0; i < 3; i++) {
		id = submit(&h, i == 2 ? "" : "m@example.org", r, 2, 1);
		assert_int_equal(answer(&h, 1, id), ACCEPT_OK);
		t = job(&h, &d);
		next_hop_notifies = i == 0;
		result(&h, t, &d, RCPT_SENT, FAIL_NONE, "2.1.5", "250 2.1.5 ok");
		if (i != 1) {
			assert_int_equal(queued(&h), 0);
			continue;
		}
		t = job(&h, &d);
		assert_int_equal(d.sender.n, 0);
		text = bytes_of(&h, &d);
		assert_true(span_has(text, "Final-Recipient: rfc822; a@one.example\r\n"));
		assert_true(span_has(text, "Action: relayed\r\nStatus: 2.1.5\r\n"));
		assert_false(span_has(text, "b@one.example"));
		assert_int_equal(queued(&h), 1);	/* the notice alone */
		result(&h, t, &d, RCPT_SENT, FAIL_NONE, "2.0.0", "250 ok");
	}
	/* the delivery stands when its notice cannot be stored */
	id = submit(&h, "m@example.org", r, 2, 1);
	assert_int_equal(answer(&h, 1, id), ACCEPT_OK);
	t = job(&h, &d);
	fs_fault = always_fail;
	result(&h, t, &d, RCPT_SENT, FAIL_NONE, "2.1.5", "250 2.1.5 ok");
	fs_fault = NULL;
	turn(&h);
	assert_int_equal(queued(&h), 0);
	house_free(&h);
}

/* The notice cannot be stored: the failure waits, nothing is lost. */
static void
bounce_not_durable(void **state)
{
	struct house h;
	struct rcpt_spec r = { "a@one.example", OUTCOME_DELIVER, 0 };
	struct msg_deliver d;
	uint64_t id, t;

	house_new(&h);
	id = submit(&h, "m@example.org", &r, 1, 1);
	assert_int_equal(answer(&h, 1, id), ACCEPT_OK);
	peer(&h, 1, &h.delivery, ROLE_DELIVERY);
	t = job(&h, &d);
	fs_fault = always_fail;
	result(&h, t, &d, RCPT_FAILED, FAIL_RECIPIENT, "5.1.1", "550 no");
	fs_fault = NULL;
	assert_int_equal(queued(&h), 1);
	now += 70 * US_PER_SEC;
	turn(&h);
	t = job(&h, &d);
	assert_int_equal(d.id, id);
	result(&h, t, &d, RCPT_FAILED, FAIL_RECIPIENT, "5.1.1", "550 no");
	t = job(&h, &d);
	assert_int_equal(d.sender.n, 0);
	house_free(&h);
}

static void
refused_by_disk(void **state)
{
	struct house h;
	struct rcpt_spec r = { "a@one.example", OUTCOME_DELIVER, 0 };
	uint64_t id;

	house_new(&h);
	fs_fault = always_fail;
	id = submit(&h, "m@example.org", &r, 1, 1);
	assert_int_equal(answer(&h, 1, id), ACCEPT_IO);
	fs_fault = NULL;
	spool_set_floor(((struct queue *)h.rt.state)->sp, UINT64_MAX / 2, 0);
	id = submit(&h, "m@example.org", &r, 1, 2);
	assert_int_equal(answer(&h, 2, id), ACCEPT_FULL);
	spool_set_floor(((struct queue *)h.rt.state)->sp, 0, 0);
	id = submit(&h, "m@example.org", &r, 1, 3);
	assert_int_equal(answer(&h, 3, id), ACCEPT_OK);
	assert_int_equal(queued(&h), 1);
	house_free(&h);
}

static void
delay_and_expiry(void **state)
{
	struct house h;
	struct rcpt_spec r = { "a@one.example", OUTCOME_DELIVER, 0 };
	struct msg_deliver d;
	struct span text;
	uint64_t id, t;

	house_new(&h);
	id = submit(&h, "m@example.org", &r, 1, 1);
	assert_int_equal(answer(&h, 1, id), ACCEPT_OK);
	peer(&h, 1, &h.delivery, ROLE_DELIVERY);
	t = job(&h, &d);
	result(&h, t, &d, RCPT_DEFERRED, FAIL_CONNECT, "4.4.1", "connection refused");
	chan_release(&h.delivery);		/* nobody delivers for a while */
	memset(&h.delivery, 0, sizeof(h.delivery));
	turn(&h);
	now += 241 * MINUTE;
	turn(&h);
	turn(&h);
	assert_int_equal(queued(&h), 2);	/* the delay notice */
	assert_true(queue_find(h.rt.state, id)->flags & STATE_NOTICED);
	now += 10 * MINUTE;
	turn(&h);
	assert_int_equal(queued(&h), 2);	/* only one */
	now += 5 * 1440 * MINUTE;
	turn(&h);
	turn(&h);
	turn(&h);
	/* The message was given up with a notice, and so was the delay notice, without one. */
	assert_int_equal(queued(&h), 1);
	assert_null(queue_find(h.rt.state, id));
	peer(&h, 1, &h.delivery, ROLE_DELIVERY);
	t = job(&h, &d);
	text = bytes_of(&h, &d);
	assert_true(span_has(text, "Status: 4.4.7\r\n"));
	assert_true(span_has(text, "connection refused"));
	result(&h, t, &d, RCPT_SENT, FAIL_NONE, "2.0.0", "ok");
	assert_int_equal(queued(&h), 0);
	house_free(&h);
}

static void
kept_by_the_store(void **state)
{
	struct house h;
	struct rcpt_spec r[] = { { "a@one.example", OUTCOME_QUARANTINE, 0 },
		{ "b@one.example", OUTCOME_DISCARD, 0 }, { "c@one.example", OUTCOME_REJECT, 0 } };
	struct msg_keep k;
	struct msg_event ev;
	struct msg_deliver d;
	struct frame f;
	struct buf b;
	uint64_t id, last = 0;
	unsigned seen = 0;

	house_new(&h);
	id = submit(&h, "m@example.org", r, 3, 1);
	assert_int_equal(answer(&h, 1, id), ACCEPT_OK);
	turn(&h);
	assert_int_equal(queued(&h), 2);	/* the store is away; and the rejection's notice */
	peer(&h, 2, &h.store, ROLE_STORE);
	assert_true(hear(&h, &h.store, FRAME_SEGMENT, &f));
	assert_true(hear(&h, &h.store, FRAME_KEEP, &f));
	assert_int_equal(keep_decode(f.body, f.fd, h.a, &k), 0);
	assert_int_equal(k.kind, OUTCOME_QUARANTINE);
	assert_true(span_is(k.queue, "viruses"));
	assert_int_equal(k.env.nrecipients, 1);
	assert_true(k.ref.segment != 0);
	buf_init(&b, FRAME_SMALL);
	kept_encode(&b, &(struct msg_kept){ .ok = false, .text = SPAN_LIT("database is locked") });
	say(&h, &h.store, FRAME_KEPT, f.ticket, &b);
	now += 70 * US_PER_SEC;
	turn(&h);
	assert_true(hear(&h, &h.store, FRAME_KEEP, &f));
	/* It dies with the request; the next one gets it again, and all events. */
	chan_release(&h.store);
	memset(&h.store, 0, sizeof(h.store));
	turn(&h);
	peer(&h, 2, &h.store, ROLE_STORE);
	while (hear(&h, &h.store, FRAME_EVENT, &f)) {
		assert_int_equal(event_decode(f.body, -1, h.a, &ev), 0);
		assert_true(ev.seq > last);
		last = ev.seq;
		seen |= 1u << ev.kind;
	}
	assert_true(seen & 1u << EVENT_ACCEPTED);
	assert_true(seen & 1u << EVENT_DISCARDED);
	assert_true(seen & 1u << EVENT_REJECTED);
	assert_true(seen & 1u << EVENT_BOUNCED);
	assert_false(seen & 1u << EVENT_QUARANTINED);
	buf_init(&b, FRAME_SMALL);
	say(&h, &h.store, FRAME_EVENT_ACK, last, &b);
	assert_int_equal(queue_events_waiting(h.rt.state), 0);
	assert_int_equal(queued(&h), 2);
	peer(&h, 1, &h.delivery, ROLE_DELIVERY);
	(void)job(&h, &d);
	assert_int_equal(d.sender.n, 0);
	assert_true(span_has(bytes_of(&h, &d), "Status: 5.7.1\r\n"));
	house_free(&h);
}

static void
handed_back(void **state)
{
	struct house h;
	struct rcpt_spec r = { "a@one.example", OUTCOME_DELIVER, 0 };
	struct msg_deliver d;
	struct msg_result res = { .handed_back = true };
	struct frame f;
	struct buf b;
	uint64_t id, t;

	house_new(&h);
	peer(&h, 1, &h.delivery, ROLE_DELIVERY);
	id = submit(&h, "m@example.org", &r, 1, 1);
	t = job(&h, &d);
	assert_int_equal(d.id, id);
	res.id = id;
	res.site = d.site;
	buf_init(&b, FRAME_SMALL);
	result_encode(&b, &res);
	say(&h, &h.delivery, FRAME_RESULT, t, &b);
	/* That process is on its way out: it gets nothing more, another one does. */
	assert_false(hear(&h, &h.delivery, FRAME_DELIVER, &f));
	peer(&h, 2, &h.store, ROLE_DELIVERY);
	assert_true(hear(&h, &h.store, FRAME_DELIVER, &f));
	house_free(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accept_and_deliver), cmocka_unit_test(submitted_twice),
		cmocka_unit_test(crash_keeps), cmocka_unit_test(bounce), cmocka_unit_test(bounce_signed), cmocka_unit_test(size_limits), cmocka_unit_test(success),
		cmocka_unit_test(bounce_not_durable), cmocka_unit_test(refused_by_disk),
		cmocka_unit_test(delay_and_expiry), cmocka_unit_test(kept_by_the_store),
		cmocka_unit_test(handed_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
