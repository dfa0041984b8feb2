/* queue_test.h -- the queue role in a house of its own: its peers are played over real channels,
 * time is virtual. Used by test_queue.c.
 */
#ifndef TESTS_QUEUE_TEST_H
#define TESTS_QUEUE_TEST_H

#include <event2/event.h>
#include <poll.h>
#include <sys/socket.h>

#include "ipc/json_read.h"
#include "ipc/ticket.h"
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
	struct chan receiver, delivery, store, signer;
	struct link *links[4];
	struct arena *a;
	struct id_source ids;
};

static inline void
on_frame(void *ctx, struct link *l, struct frame *f)
{
	struct house *h = ctx;

	assert_int_equal(queue_ops.frame(&h->rt, l, f), 0);
}

static inline void
on_closed(void *ctx, struct link *l, const struct err *why)
{
	struct house *h = ctx;

	for (int i = 0; i < 4; i++)
		if (h->links[i] == l)
			h->links[i] = NULL;
	queue_ops.peer_down(&h->rt, l);
}

static const struct link_ops link_ops = { on_frame, on_closed };

static inline void
peer(struct house *h, int i, struct chan *c, enum role role)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd), 0);
	h->links[i] = link_new(h->rt.base, fd[0], ROLE_QUEUE, role, 1, &link_ops, h);
	chan_init(c, fd[1], role, ROLE_QUEUE);
	queue_ops.peer_up(&h->rt, h->links[i]);
}

static inline void
start(struct house *h)
{
	struct err err;

	h->conf.spool = h->path;
	h->conf.hostname = SPAN_LIT("gw1.example.org");
	h->conf.postmaster = SPAN_LIT("postmaster@example.org");
	h->conf.delivery = (struct conf_delivery){ .retry = { { curve, 2 } },
		.delay_notice = 240 * MINUTE, .expire = 5 * 1440 * MINUTE,
		.site_connections = 20, .site_messages = 100 };
	h->rt = (struct runtime){ .role = ROLE_QUEUE, .instance = 3, .conf = &h->conf,
		.base = event_base_new() };
	assert_int_equal(queue_ops.start(&h->rt, &err), 0);
	assert_int_equal(queue_ops.run(&h->rt, &err), 0);
}

static inline void
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
static inline void
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
	idtable_free(&q->size.ages);
	free(q->adopted);
	free(q->handover.ids);
	tickets_free(&q->signing);
	event_free(q->turn);
	event_free(q->timer);
	event_free(q->lazy);
	event_free(q->idle);
	free(q->awaiting);
	for (int i = 0; i < 4; i++)
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
	if (h->signer.self)
		chan_release(&h->signer);
	memset(&h->signer, 0, sizeof(h->signer));
	memset(&h->receiver, 0, sizeof(h->receiver));
	memset(&h->delivery, 0, sizeof(h->delivery));
	memset(&h->store, 0, sizeof(h->store));
}

static inline void
house_free(struct house *h)
{
	house_crash(h);
	folder_remove(h->path);
	arena_free(&h->a);
	clock_virtual = NULL;
}

static inline void
turn(struct house *h)
{
	queue_turn(h->rt.state);
	event_base_loop(h->rt.base, EVLOOP_NONBLOCK);
	event_base_loop(h->rt.base, EVLOOP_NONBLOCK);
}

/* The next frame of that type; others are passed over. false: none comes. */
static inline bool
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

static inline void
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

static inline uint64_t
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

static inline enum accept_status
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

static inline uint64_t
job(struct house *h, struct msg_deliver *d)
{
	struct frame f;

	assert_true(hear(h, &h->delivery, FRAME_DELIVER, &f));
	assert_int_equal(deliver_decode(arena_span(h->a, f.body), f.fd, h->a, d), 0);
	return f.ticket;
}

static bool next_hop_notifies;	/* it offers DSN */

static inline void
result(struct house *h, uint64_t ticket, const struct msg_deliver *d, enum rcpt_status status,
    enum fail_class cls, const char *dsn, const char *reply)
{
	struct msg_result r = { .id = d->id, .site = d->site, .nrcpts = d->nrecipients };
	struct buf b;

	r.rcpts = arena_array(h->a, r.nrcpts, sizeof(*r.rcpts));
	for (size_t i = 0; i < r.nrcpts; i++)
		r.rcpts[i] = (struct rcpt_result){ .index = d->index[i], .status = status,
			.cls = cls, .dsn = span_str(dsn), .reply = span_str(reply),
			.relay = SPAN_LIT("mx.example.net[192.0.2.1]:25"), .remote = true,
			.notifies = status == RCPT_SENT && next_hop_notifies };
	buf_init(&b, FRAME_BIG);
	result_encode(&b, &r);
	say(h, &h->delivery, FRAME_RESULT, ticket, &b);
}

static inline size_t
queued(struct house *h)
{
	struct queue *q = h->rt.state;
	struct spool_stats st;

	spool_sync(q->sp, NULL);
	spool_check(q->sp);
	spool_stats(q->sp, &st);
	return st.messages;
}

/* ---- the operator ---- */

static inline struct jval *
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

static inline int64_t
ask_number(struct house *h, const char *request, const char *key)
{
	struct jval *v = ask(h, request);
	int64_t n = jval_int(v, key, -1);

	jval_free(&v);
	return n;
}

/* The bytes a job refers to. */
static inline struct span
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

static inline bool
span_has(struct span s, const char *text)
{
	return memmem(s.p, s.n, text, strlen(text)) != NULL;
}

#endif
