/* test_queue.c -- the queue role between a receiver, a delivery process and a store, all
 * played by the test over real channels; time is virtual.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/event.h>
#include <poll.h>
#include <sys/socket.h>

#include "ipc/json_read.h"
#include "queue/queue.h"
#include "spool_test.h"

#define MINUTE (60 * US_PER_SEC)

static int64_t now;
static const int64_t curve[] = { MINUTE, 5 * MINUTE };
static const struct link_ops link_ops;

struct house {
	struct config conf;
	struct runtime rt;
	char path[256];
	struct chan receiver, delivery, store;
	struct link *links[3];
	struct arena *a;
	struct id_source ids;
};

static void
on_frame(void *ctx, struct link *l, struct frame *f)
{
	struct house *h = ctx;

	assert_int_equal(queue_ops.frame(&h->rt, l, f), 0);
}

static void
on_closed(void *ctx, struct link *l, const struct err *why)
{
	struct house *h = ctx;

	for (int i = 0; i < 3; i++)
		if (h->links[i] == l)
			h->links[i] = NULL;
	queue_ops.peer_down(&h->rt, l);
}

static const struct link_ops link_ops = { on_frame, on_closed };

static void
peer(struct house *h, int i, struct chan *c, enum role role)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd), 0);
	h->links[i] = link_new(h->rt.base, fd[0], ROLE_QUEUE, role, 1, &link_ops, h);
	chan_init(c, fd[1], role, ROLE_QUEUE);
	queue_ops.peer_up(&h->rt, h->links[i]);
}

static void
start(struct house *h)
{
	struct err err;

	h->conf.spool = h->path;
	h->conf.hostname = SPAN_LIT("gw1.example.org");
	h->conf.postmaster = SPAN_LIT("postmaster@example.org");
	h->conf.delivery = (struct conf_delivery){ .retry = curve, .nretry = 2,
		.delay_notice = 240 * MINUTE, .expire = 5 * 1440 * MINUTE,
		.site_connections = 20, .site_messages = 100 };
	h->rt = (struct runtime){ .role = ROLE_QUEUE, .instance = 3, .conf = &h->conf,
		.base = event_base_new() };
	assert_int_equal(queue_ops.start(&h->rt, &err), 0);
	assert_int_equal(queue_ops.run(&h->rt, &err), 0);
}

static void
house_new(struct house *h)
{
	memset(h, 0, sizeof(*h));
	now = INT64_C(1795000000) * US_PER_SEC;
	clock_virtual = &now;
	log_level(LOG_LVL_ERROR);
	snprintf(h->path, sizeof(h->path), "%s/postern-queue-%d",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (int)getpid());
	folder_remove(h->path);
	h->a = arena_new(0);
	h->ids.slot = 100;
	start(h);
	peer(h, 0, &h->receiver, ROLE_RECEIVER);
}

/* As after SIGKILL: the spool is left as it is, the memory is gone with the process. */
static void
house_crash(struct house *h)
{
	struct queue *q = h->rt.state;
	struct message **all = NULL;
	struct spool_item *it;
	size_t at = 0, n = 0;
	uint64_t ticket;
	void *v;

	while ((it = spool_next(q->sp, &at)) != NULL) {
		all = realloc(all, (n + 1) * sizeof(struct message *));
		all[n++] = message_of_item(it);
	}
	fs_fault = always_fail;
	spool_close(&q->sp);
	fs_fault = NULL;
	while (n > 0)
		queued_free(&all[--n]);
	free(all);
	for (at = 0; idtable_next(q->flights, &at, &ticket, &v); )
		free(v);
	idtable_free(&q->flights);
	schedule_free(&q->out);
	schedule_free(&q->inner);
	arena_free(&q->scratch);
	arena_free(&q->work);
	events_free(&q->events);
	event_free(q->turn);
	event_free(q->timer);
	event_free(q->lazy);
	event_free(q->idle);
	free(q->awaiting);
	for (int i = 0; i < 3; i++)
		link_close(&h->links[i]);
	event_base_loop(h->rt.base, EVLOOP_NONBLOCK);
	event_base_free(h->rt.base);
	free(q);
	if (h->receiver.self)
		chan_release(&h->receiver);
	if (h->delivery.self)
		chan_release(&h->delivery);
	if (h->store.self)
		chan_release(&h->store);
	memset(&h->receiver, 0, sizeof(h->receiver));
	memset(&h->delivery, 0, sizeof(h->delivery));
	memset(&h->store, 0, sizeof(h->store));
}

static void
house_free(struct house *h)
{
	house_crash(h);
	folder_remove(h->path);
	arena_free(&h->a);
	clock_virtual = NULL;
}

static void
turn(struct house *h)
{
	queue_turn(h->rt.state);
	event_base_loop(h->rt.base, EVLOOP_NONBLOCK);
	event_base_loop(h->rt.base, EVLOOP_NONBLOCK);
}

/* The next frame of that type; others are passed over. false: none comes. */
static bool
hear(struct house *h, struct chan *c, enum frame_type type, struct frame *f)
{
	struct err err;

	*f = (struct frame){ .fd = -1 };
	for (int quiet = 0; quiet < 20; ) {
		event_base_loop(h->rt.base, EVLOOP_NONBLOCK);
		(void)chan_fill(c, &err);
		while (chan_next(c, f, &err) == 1)
			if (f->type == type)
				return true;
		quiet += poll(&(struct pollfd){ c->fd, POLLIN, 0 }, 1, 2) == 0;
	}
	return false;
}

static void
say(struct house *h, struct chan *c, enum frame_type type, uint64_t ticket, struct buf *b)
{
	struct err err;

	assert_int_equal(chan_push(c, type, ticket, buf_data(b), -1), 0);
	assert_int_equal(chan_flush(c, &err), 0);
	buf_release(b);
	turn(h);
}

struct rcpt_spec {
	const char *address;
	enum outcome outcome;
	uint8_t notify;
};

static uint64_t
submit(struct house *h, const char *sender, const struct rcpt_spec *spec, size_t n, uint64_t ticket)
{
	struct msg_submit m = { .env = { .id = id_new(&h->ids, now), .received = now,
		.direction = DIRECTION_OUTBOUND, .sender = span_str(sender), .nrecipients = n },
		.ndecisions = n, .record = SPAN_LIT("{}") };
	struct buf b;

	m.env.recipients = arena_array(h->a, n, sizeof(*m.env.recipients));
	m.decisions = arena_array(h->a, n, sizeof(*m.decisions));
	for (size_t i = 0; i < n; i++) {
		m.env.recipients[i].address = span_str(spec[i].address);
		m.env.recipients[i].notify = spec[i].notify;
		m.decisions[i].outcome = spec[i].outcome;
		if (spec[i].outcome == OUTCOME_QUARANTINE)
			m.decisions[i].queue = SPAN_LIT("viruses");
		if (spec[i].outcome == OUTCOME_REJECT)
			m.decisions[i].reply = SPAN_LIT("5.7.1 not this one");
	}
	payload_from_span(&m.payload, SPAN_LIT("Subject: hello\r\nMessage-ID: <a@b>\r\n\r\nbody\r\n"),
	    h->a);
	buf_init(&b, FRAME_BIG);
	submit_encode(&b, &m);
	say(h, &h->receiver, FRAME_SUBMIT, ticket, &b);
	return m.env.id;
}

static enum accept_status
answer(struct house *h, uint64_t ticket, uint64_t id)
{
	struct msg_accepted m;
	struct frame f;

	assert_true(hear(h, &h->receiver, FRAME_ACCEPTED, &f));
	assert_int_equal(accepted_decode(f.body, -1, h->a, &m), 0);
	assert_int_equal(f.ticket, ticket);
	assert_int_equal(m.id, id);
	return m.status;
}

static uint64_t
job(struct house *h, struct msg_deliver *d)
{
	struct frame f;

	assert_true(hear(h, &h->delivery, FRAME_DELIVER, &f));
	assert_int_equal(deliver_decode(arena_span(h->a, f.body), f.fd, h->a, d), 0);
	return f.ticket;
}

static void
result(struct house *h, uint64_t ticket, const struct msg_deliver *d, enum rcpt_status status,
    enum fail_class cls, const char *dsn, const char *reply)
{
	struct msg_result r = { .id = d->id, .site = d->site, .nrcpts = d->nrecipients };
	struct buf b;

	r.rcpts = arena_array(h->a, r.nrcpts, sizeof(*r.rcpts));
	for (size_t i = 0; i < r.nrcpts; i++)
		r.rcpts[i] = (struct rcpt_result){ .index = d->index[i], .status = status,
			.cls = cls, .dsn = span_str(dsn), .reply = span_str(reply),
			.relay = SPAN_LIT("mx.example.net[192.0.2.1]:25"), .remote = true };
	buf_init(&b, FRAME_BIG);
	result_encode(&b, &r);
	say(h, &h->delivery, FRAME_RESULT, ticket, &b);
}

static size_t
queued(struct house *h)
{
	struct queue *q = h->rt.state;
	struct spool_stats st;

	spool_sync(q->sp, NULL);
	spool_check(q->sp);
	spool_stats(q->sp, &st);
	return st.messages;
}

/* The bytes a job refers to. */
static struct span
bytes_of(struct house *h, const struct msg_deliver *d)
{
	char path[400], *p = arena_alloc(h->a, d->ref.size);
	int fd;

	snprintf(path, sizeof(path), "%s/seg-%08u", h->path, d->ref.segment);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, p, d->ref.size, (off_t)d->ref.offset), d->ref.size);
	close(fd);
	return span_make(p, d->ref.size);
}

static bool
span_has(struct span s, const char *text)
{
	return memmem(s.p, s.n, text, strlen(text)) != NULL;
}

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
	/* A notice that fails ends there: no notice about a notice. */
	result(&h, t, &d, RCPT_FAILED, FAIL_RECIPIENT, "5.1.1", "550 no");
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

/* ---- the operator ---- */

static struct jval *
ask(struct house *h, const char *request)
{
	struct err err;
	int fd[2];
	char out[65536];
	ssize_t n;
	struct jval *v;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	queue_ops.client(&h->rt, fd[0], 1000, span_str(request));
	turn(h);
	n = read(fd[1], out, sizeof(out));
	close(fd[1]);
	assert_true(n > 0);
	v = jval_parse(span_make(out, memchr(out, '\n', (size_t)n) ?
	    (size_t)((char *)memchr(out, '\n', (size_t)n) - out) : (size_t)n), &err);
	if (v == NULL)
		fprintf(stderr, "%s: %.*s\n", err.text, (int)n, out);
	assert_non_null(v);
	assert_int_equal(jval_int(v, "v", 0), 1);
	return v;
}

static int64_t
ask_number(struct house *h, const char *request, const char *key)
{
	struct jval *v = ask(h, request);
	int64_t n = jval_int(v, key, -1);

	jval_free(&v);
	return n;
}

static void
operator(void **state)
{
	struct house h;
	struct rcpt_spec r = { "a@one.example", OUTCOME_DELIVER, 0 };
	struct rcpt_spec s = { "a@two.example", OUTCOME_DELIVER, 0 };
	struct msg_deliver d;
	struct frame f;
	struct jval *v;
	const struct jval *leg;
	uint64_t id, t;
	char request[200], text[ID_SIZE];

	house_new(&h);
	id = submit(&h, "m@example.org", &r, 1, 1);
	(void)answer(&h, 1, id);
	for (int i = 0; i < 4; i++)
		(void)answer(&h, 2, submit(&h, "x@example.org", &s, 1, 2));
	assert_int_equal(ask_number(&h, "{\"cmd\":\"queue.summary\"}", "messages"), 5);
	v = ask(&h, "{\"cmd\":\"queue.list\",\"by\":\"sender\"}");
	assert_true(span_is(jval_text(v, "sender"), "x@example.org"));
	assert_int_equal(jval_int(v, "messages", 0), 4);
	jval_free(&v);
	assert_int_equal(ask_number(&h, "{\"cmd\":\"queue.hold\",\"selector\":\"two.example\",\"count\":true}",
	    "matched"), 4);
	assert_int_equal(ask_number(&h, "{\"cmd\":\"queue.hold\",\"selector\":\"two.example\"}", "done"), 4);
	v = ask(&h, "{\"cmd\":\"queue.pause\",\"site\":\"one.example\"}");
	assert_true(jval_bool(v, "paused"));
	jval_free(&v);
	assert_int_equal(queued(&h), 5);
	house_crash(&h);
	start(&h);			/* both outlive a restart */
	peer(&h, 0, &h.receiver, ROLE_RECEIVER);
	peer(&h, 1, &h.delivery, ROLE_DELIVERY);
	assert_false(hear(&h, &h.delivery, FRAME_DELIVER, &f));
	snprintf(request, sizeof(request), "{\"cmd\":\"queue.show\",\"id\":\"%s\"}", id_format(id, text));
	v = ask(&h, request);
	leg = jval_at(jval_get(v, "legs"), 0);
	assert_true(span_is(jval_text(leg, "state"), "paused"));
	assert_true(span_is(jval_text(leg, "site"), "one.example"));
	jval_free(&v);
	assert_int_equal(ask_number(&h, "{\"cmd\":\"queue.resume\",\"site\":\"one.example\"}", "v"), 1);
	t = job(&h, &d);
	assert_int_equal(d.id, id);
	result(&h, t, &d, RCPT_DEFERRED, FAIL_RECIPIENT, "4.2.2", "mailbox full");
	v = ask(&h, request);
	leg = jval_at(jval_get(v, "legs"), 0);
	assert_true(span_is(jval_text(leg, "state"), "deferred"));
	assert_int_equal(jval_int(leg, "attempts", 0), 1);
	assert_true(span_is(jval_text(jval_at(jval_get(leg, "recipients"), 0), "reply"), "mailbox full"));
	jval_free(&v);
	snprintf(request, sizeof(request), "{\"cmd\":\"queue.retry\",\"selector\":\"%s\"}", text);
	assert_int_equal(ask_number(&h, request, "done"), 1);
	t = job(&h, &d);
	result(&h, t, &d, RCPT_SENT, FAIL_NONE, "2.0.0", "ok");
	assert_int_equal(ask_number(&h, "{\"cmd\":\"queue.release\",\"sender\":\"x@example.org\"}", "done"), 4);
	for (int i = 0; i < 4; i++)
		(void)job(&h, &d);
	assert_int_equal(ask_number(&h, "{\"cmd\":\"queue.fail\",\"selector\":\"all\"}", "done"), 0);
	chan_release(&h.delivery);
	memset(&h.delivery, 0, sizeof(h.delivery));
	turn(&h);
	assert_int_equal(ask_number(&h,
	    "{\"cmd\":\"queue.fail\",\"selector\":\"all\",\"silent\":true}", "done"), 4);
	assert_int_equal(queued(&h), 0);
	v = ask(&h, "{\"cmd\":\"queue.explode\"}");
	assert_true(jval_has(v, "error"));
	jval_free(&v);
	v = ask(&h, "[1");
	assert_true(jval_has(v, "error"));
	jval_free(&v);
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
		cmocka_unit_test(crash_keeps), cmocka_unit_test(bounce),
		cmocka_unit_test(bounce_not_durable), cmocka_unit_test(refused_by_disk),
		cmocka_unit_test(delay_and_expiry), cmocka_unit_test(kept_by_the_store),
		cmocka_unit_test(operator), cmocka_unit_test(handed_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
