/* test_store_role.c -- the store as its neighbours see it: frames, control clients, decisions. */
#include "store_test.h"

#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include "fs.h"
#include "log.h"
#include "store/apart.h"
#include "store/look.h"
#include "store/store.h"
#include "store/tlsrpt.h"

#define TURNS_MAX 2000		/* of 5 ms: then something never comes */

static const char *const two[] = { "a@example.net", "b@example.com", NULL };
static const char *const one[] = { "a@example.net", NULL };

static union {			/* runtime_finish() writes behind it */
	struct runtime rt;
	char room[4096];
} world;
static struct runtime *const rt = &world.rt;
static struct store *store;
static struct config conf;
static struct chan queue;
static struct frame frame = { .fd = -1 };
static int64_t now;

/* ---- the house around it ---- */

static void
on_frame(void *ctx, struct link *l, struct frame *f)
{
	if (store_ops.frame(ctx, l, f) == -1) {
		store_ops.peer_down(ctx, l);
		link_close(&l);
	}
}

static void
on_closed(void *ctx, struct link *l, const struct err *why)
{
	store_ops.peer_down(ctx, l);
}

static const struct link_ops ops = { on_frame, on_closed };

static void
queue_up(void)
{
	int sv[2], size = 1 << 20;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv), 0);
	for (int i = 0; i < 2; i++)
		setsockopt(sv[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	chan_init(&queue, sv[1], ROLE_QUEUE, ROLE_STORE);
	store_ops.peer_up(rt, link_new(rt->base, sv[0], ROLE_STORE, ROLE_QUEUE, 3, &ops, rt));
}

static void
turn(void)
{
	struct timeval tv = { .tv_usec = 5000 };
	struct err err;

	chan_flush(&queue, &err);
	event_base_loopexit(rt->base, &tv);
	event_base_loop(rt->base, 0);
}

static void
queue_down(void)
{
	chan_release(&queue);
	for (int i = 0; store->queue && i < TURNS_MAX; i++)
		turn();
	assert_null(store->queue);
}

static void
start(void)
{
	world.rt = (struct runtime){ .role = ROLE_STORE, .instance = 5, .conf = &conf };
	conf.store = SPAN_LIT("sqlite:");
	conf.store_path = test_path;
	conf.antivirus.engine = AV_OFF;
	test_shared(rt, &conf);
	rt->base = event_base_new();
	OK(store_ops.run(rt, &test_err));
	store = rt->state;
	queue_up();
}

/* As SIGKILL would: nothing is said, nothing is flushed. */
static void
stop(void)
{
	chan_release(&queue);
	for (struct link *l; store->peers; ) {
		l = store->peers->link;
		store_ops.peer_down(rt, l);
		link_close(&l);
	}
	store_tails_end(store);
	event_base_loop(rt->base, EVLOOP_NONBLOCK);	/* links free themselves */
	event_free(store->flush);
	event_free(store->keep_commit);
	event_free(store->tick);
	event_free(store->leave);
	reports_free(&store->tls);
	apart_free(&store->apart);
	lists_end(store);
	looks_free(store);
	free(store->digests);
	db_close(&store->db);
	tickets_free(&store->tickets);
	arena_free(&store->scratch);
	arena_free(&store->batch.arena);
	free(store->batch.events);
	free(store);
	event_base_free(rt->base);
}

static int
setup(void **state)
{
	if (test_setup(state) == -1)
		return -1;
	now = T0;
	clock_virtual = &now;
	start();
	return 0;
}

static int
teardown(void **state)
{
	if (frame.fd != -1)
		close(frame.fd);
	frame.fd = -1;
	stop();
	clock_virtual = NULL;
	return test_teardown(state);
}

/* The next frame to the queue. */
static void
await(enum frame_type type)
{
	struct err err;

	for (int i = 0; i < TURNS_MAX; i++) {
		int r = chan_next(&queue, &frame, &err);

		if (r == -1)
			fail_msg("%s", err.text);
		if (r == 1) {
			if (frame.type != type)
				fail_msg("%s came, not %s", frame_name(frame.type), frame_name(type));
			return;
		}
		turn();
		if (chan_fill(&queue, &err) == -1)
			fail_msg("%s", err.text);
	}
	fail_msg("%s never came", frame_name(type));
}

#define SEND(kind, type, ticket, m, fd) do { \
	struct buf b_; \
	buf_init(&b_, FRAME_BIG); \
	kind##_encode(&b_, m); \
	assert_int_equal(chan_push(&queue, type, ticket, buf_data(&b_), fd), 0); \
	buf_release(&b_); \
} while (0)

static void
send_event(struct msg_event ev, uint64_t seq)
{
	ev.seq = seq;
	SEND(event, FRAME_EVENT, 0, &ev, -1);
}

/* ---- a control client ---- */

static int client;
static struct buf answer;

static void
ask_open(const char *request)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv), 0);
	client = sv[1];
	buf_init(&answer, 64u << 20);
	store_ops.client(rt, sv[0], 1000, span_str(request));
}

/* false: nothing more will come. */
static bool
ask_read(void)
{
	char *room = buf_room(&answer, 65536);
	ssize_t n = read(client, room, 65536);

	if (n > 0)
		buf_commit(&answer, (size_t)n);
	return n != 0;
}

static void
ask_to_the_end(void)
{
	for (int i = 0; ask_read(); i++) {
		assert_true(i < TURNS_MAX);
		turn();
	}
	close(client);
}

static void
ask_close(void)
{
	buf_release(&answer);
}

/* The whole answer to `request`; line i of it. */
static struct jval *
ask(const char *request, size_t i)
{
	struct jval *v;

	ask_open(request);
	ask_to_the_end();
	v = test_line(buf_data(&answer), i);
	ask_close();
	return v;
}

static void
refused(const char *request, const char *why)
{
	struct jval *v = ask(request, 0);
	char *text = arena_str(test_arena, jval_text(v, "error"));

	if (!strstr(text, why))
		fail_msg("%s: \"%s\"", request, text);
	assert_int_equal(jval_int(v, "v", 0), 1);
	jval_free(&v);
}

static const char *
request(const char *fmt, unsigned n)
{
	char *text = arena_printf(test_arena, "%s", fmt), *at = strstr(text, "ID");

	return at ? arena_printf(test_arena, "%.*s%s%s", (int)(at - text), text, test_id_text(n),
	    at + 2) : text;
}

static int64_t
state_of(unsigned n)
{
	sqlite3_stmt *st = db_stmt(store->db, "SELECT state FROM kept WHERE id=?", &test_err);
	int64_t s;

	db_int(st, 1, (int64_t)test_id(n));
	assert_int_equal(db_step(store->db, st, &test_err), 1);
	s = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return s;
}

/* Behind the store's back. */
static void
meddle(const char *sql)
{
	sqlite3 *s;

	assert_int_equal(sqlite3_open(test_path, &s), SQLITE_OK);
	if (sqlite3_exec(s, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s", sqlite3_errmsg(s));
	sqlite3_close(s);
}

/* ---- events ---- */

static void
events_are_acknowledged(void **state)
{
	struct jval *v;

	send_event(test_accepted(1, "m@example.org", one), 11);
	send_event(test_result(1, EVENT_SENT, one[0], T0 + 9 * US_PER_SEC), 12);
	await(FRAME_EVENT_ACK);
	assert_int_equal(frame.ticket, 12);
	v = ask(request("{\"cmd\":\"trace\",\"q\":\"ID\"}", 1), 0);
	test_text_is(jval_at(jval_get(v, "recipients"), 0), "status", "sent");
	jval_free(&v);
}

static void
events_again_after_a_lost_link(void **state)
{
	send_event(test_accepted(1, "m@example.org", one), 11);
	await(FRAME_EVENT_ACK);
	queue_down();
	queue_up();
	send_event(test_accepted(1, "m@example.org", one), 11);
	send_event(test_result(1, EVENT_SENT, one[0], T0 + 9 * US_PER_SEC), 12);
	await(FRAME_EVENT_ACK);
	assert_int_equal(frame.ticket, 12);
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM event"), 2);
	assert_int_equal(test_number(store->db, "SELECT attempts FROM recipient"), 1);
}

static void
many_events(void **state)
{
	for (unsigned n = 1; n <= 2500; n++)
		send_event(test_accepted(n, "m@example.org", one), n);
	do
		await(FRAME_EVENT_ACK);
	while (frame.ticket < 2500);
	assert_int_equal(frame.ticket, 2500);
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM event"), 2500);
}

/* A question comes before the batch is due: it sees what the batch holds. */
static void
a_question_sees_the_batch(void **state)
{
	struct jval *v;
	struct msg_event ev = test_accepted(1, "m@example.org", one);

	store_event(store, &ev);
	assert_int_equal(store->batch.n, 1);
	v = ask("{\"cmd\":\"trace\",\"q\":\"m@example.org\"}", 1);
	assert_int_equal(jval_int(v, "found", 0), 1);
	jval_free(&v);
}

static void
a_failing_database_loses_nothing(void **state)
{
	meddle("ALTER TABLE event RENAME TO away");
	send_event(test_accepted(1, "m@example.org", one), 1);
	for (int i = 0; !store->batch.failing && i < TURNS_MAX; i++)
		turn();
	assert_true(store->batch.failing);
	assert_int_equal(store->batch.n, 1);
	send_event(test_accepted(2, "m@example.org", one), 2);
	for (int i = 0; store->batch.n < 2 && i < TURNS_MAX; i++)
		turn();
	assert_int_equal(store_flush(store), -1);
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM message"), 0);
	meddle("ALTER TABLE away RENAME TO event");
	await(FRAME_EVENT_ACK);		/* the retry */
	assert_int_equal(frame.ticket, 2);
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM message"), 2);
}

static void
nonsense_is_cut_off(void **state)
{
	static const enum frame_type types[] = { FRAME_EVENT, FRAME_KEEP, FRAME_SEGMENT,
		FRAME_ACCEPTED };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		assert_int_equal(chan_push(&queue, types[i], 1, SPAN_LIT("\xff\xff\xff\xff?"), -1), 0);
		for (int k = 0; store->queue && k < TURNS_MAX; k++)
			turn();
		assert_null(store->queue);
		chan_release(&queue);
		queue_up();
	}
}

/* ---- keeping ---- */

static int
temp_file(struct span bytes)
{
	char path[] = "/tmp/postern-test-seg-XXXXXX";
	int fd = mkstemp(path);

	assert_int_not_equal(fd, -1);
	unlink(path);
	OK(fs_pwrite_all(fd, bytes.p, bytes.n, 0, &test_err));
	return fd;
}

static void
send_keep(unsigned n, enum outcome kind, const char *const *to, struct spool_ref ref, int fd,
    int64_t expires, enum outcome on_expire)
{
	struct msg_keep m = { .kind = kind, .queue = SPAN_LIT("dpo"), .expires = expires,
		.on_expire = on_expire, .env = test_envelope(n, "m.durand@example.org", to),
		.record = SPAN_LIT("{\"v\":1,\n\"findings\":[]}"), .ref = ref };

	SEND(keep, FRAME_KEEP, n + 100, &m, fd);
}

static void
await_kept(unsigned n, bool ok)
{
	struct msg_kept m;

	await(FRAME_KEPT);
	assert_int_equal(frame.ticket, n + 100);
	assert_int_equal(kept_decode(frame.body, -1, test_arena, &m), 0);
	assert_int_equal(m.ok, ok);
	assert_int_equal(m.text.n > 0, !ok);
}

#define BODY "Subject: x\r\n\r\nhello\r\n"

/* Message n, quarantined (or held until `expires`), its bytes in a descriptor of its own. */
static void
have_kept(unsigned n, enum outcome kind, int64_t expires, enum outcome on_expire)
{
	send_keep(n, kind, two, (struct spool_ref){ 0, 0, sizeof(BODY) - 1 },
	    temp_file(SPAN_LIT(BODY)), expires, on_expire);
	await_kept(n, true);
}

static void
segment_up(uint32_t number, struct span bytes)
{
	struct msg_segment m = { number };

	SEND(segment, FRAME_SEGMENT, 0, &m, temp_file(bytes));
}

static void
keeps_from_segments(void **state)
{
	struct msg_segment drop = { 7 };
	struct kept k;

	segment_up(7, SPAN_LIT("....." BODY "....."));
	send_keep(1, OUTCOME_QUARANTINE, one, (struct spool_ref){ 7, 5, sizeof(BODY) - 1 }, -1, 0,
	    OUTCOME_UNJUDGED);
	/* Beyond its end, not announced, absurd. */
	send_keep(2, OUTCOME_QUARANTINE, one, (struct spool_ref){ 7, 20, sizeof(BODY) - 1 }, -1, 0, 0);
	send_keep(3, OUTCOME_QUARANTINE, one, (struct spool_ref){ 8, 5, 1 }, -1, 0, 0);
	send_keep(4, OUTCOME_QUARANTINE, one, (struct spool_ref){ 7, 5, UINT64_C(1) << 40 }, -1, 0, 0);
	SEND(segment, FRAME_SEGMENT_DROP, 0, &drop, -1);
	send_keep(5, OUTCOME_QUARANTINE, one, (struct spool_ref){ 7, 5, 1 }, -1, 0, 0);
	await_kept(2, false);
	await_kept(3, false);
	await_kept(4, false);
	await_kept(5, false);
	await_kept(1, true);
	assert_int_equal(kept_load(store->db, 1, true, test_arena, &k, &test_err), 1);
	assert_true(span_is(k.content, BODY));
	assert_int_equal(k.id, test_id(1));
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM kept"), 1);
}

/* More than share one commit. */
static void
many_keeps(void **state)
{
	segment_up(1, SPAN_LIT(BODY));
	for (unsigned n = 1; n <= 150; n++)
		send_keep(n, OUTCOME_HOLD, one, (struct spool_ref){ 1, 0, sizeof(BODY) - 1 }, -1, 0, 0);
	for (unsigned n = 1; n <= 150; n++)
		await_kept(n, true);
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM kept"), 150);
}

static void
keeps_fail_whole(void **state)
{
	meddle("ALTER TABLE kept_content RENAME TO away");
	send_keep(1, OUTCOME_HOLD, one, (struct spool_ref){ 0, 0, 3 }, temp_file(SPAN_LIT("abc")), 0, 0);
	await_kept(1, false);
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM kept"), 0);
	meddle("ALTER TABLE away RENAME TO kept_content");
	send_keep(1, OUTCOME_HOLD, one, (struct spool_ref){ 0, 0, 3 }, temp_file(SPAN_LIT("abc")), 0, 0);
	await_kept(1, true);
}

/* ---- decisions ---- */

static struct msg_submit submitted;

static void
await_submit(void)
{
	await(FRAME_SUBMIT);
	assert_int_equal(submit_decode(frame.body, frame.fd, test_arena, &submitted), 0);
	assert_int_equal(submitted.ndecisions, submitted.env.nrecipients);
	submitted.env.sender = arena_span(test_arena, submitted.env.sender);
}

static void
accept_it(uint64_t ticket, enum accept_status status)
{
	struct msg_accepted m = { submitted.env.id, status, SPAN_LIT("full") };

	SEND(accepted, FRAME_ACCEPTED, ticket, &m, -1);
}

static void
released(void **state)
{
	struct jval *v;

	have_kept(1, OUTCOME_QUARANTINE, 0, OUTCOME_UNJUDGED);
	now += 5 * US_PER_SEC;
	ask_open(request("{\"cmd\":\"quarantine.release\",\"id\":\"ID\"}", 1));
	await_submit();
	assert_int_equal(state_of(1), KEPT_RELEASING);
	assert_int_equal(submitted.parent, test_id(1));
	assert_int_not_equal(submitted.env.id, test_id(1));
	assert_int_equal(id_time(submitted.env.id), now);
	assert_int_equal(submitted.env.received, now);
	assert_true(span_is(submitted.env.sender, "m.durand@example.org"));
	assert_int_equal(submitted.env.nrecipients, 2);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(submitted.decisions[i].outcome, OUTCOME_DELIVER);
	assert_true(span_is(payload_flat(&submitted.payload, test_arena), BODY));
	accept_it(frame.ticket, ACCEPT_OK);
	ask_to_the_end();
	v = test_line(buf_data(&answer), 0);
	test_text_is(v, "state", "released");
	test_text_is(v, "id", test_id_text(1));
	jval_free(&v);
	v = test_line(buf_data(&answer), 1);
	assert_int_equal(jval_int(v, "done", -1), 1);
	assert_int_equal(jval_int(v, "failed", -1), 0);
	jval_free(&v);
	ask_close();
	assert_int_equal(state_of(1), KEPT_RELEASED);
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM kept_content"), 0);
	OK(store_flush(store));
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM event WHERE kind='released'"
	    " AND by='uid 1000' AND parent IS NOT NULL"), 2);
	refused(request("{\"cmd\":\"quarantine.release\",\"id\":\"ID\"}", 1), "is released already");
}

static void
large_ones_travel_in_a_memfd(void **state)
{
	size_t n = PAYLOAD_INLINE_MAX + 1;
	char *large = arena_alloc(test_arena, n);

	for (size_t i = 0; i < n; i++)
		large[i] = (char)(i * 7919 >> 3);
	send_keep(1, OUTCOME_QUARANTINE, two, (struct spool_ref){ 0, 0, n },
	    temp_file(span_make(large, n)), 0, 0);
	await_kept(1, true);
	ask_open(request("{\"cmd\":\"quarantine.release\",\"id\":\"ID\"}", 1));
	await_submit();
	assert_int_not_equal(submitted.payload.fd, -1);
	OK(payload_map(&submitted.payload, &test_err));
	assert_true(span_eq(payload_flat(&submitted.payload, test_arena), span_make(large, n)));
	payload_unmap(&submitted.payload);
	accept_it(frame.ticket, ACCEPT_OK);
	ask_to_the_end();
	ask_close();
	assert_int_equal(state_of(1), KEPT_RELEASED);
}

static void
rejected(void **state)
{
	char id[ID_SIZE];

	have_kept(1, OUTCOME_HOLD, 0, OUTCOME_UNJUDGED);
	ask_open(request("{\"cmd\":\"held.reject\",\"id\":\"ID\",\"text\":\"not this\"}", 1));
	await_submit();
	assert_int_equal(submitted.decisions[1].outcome, OUTCOME_REJECT);
	assert_true(span_is(submitted.decisions[1].reply, arena_printf(test_arena,
	    "5.7.1 not this (ref %s)", id_format(test_id(1), id))));
	accept_it(frame.ticket, ACCEPT_OK);
	ask_to_the_end();
	ask_close();
	assert_int_equal(state_of(1), KEPT_REJECTED);
	refused("{\"cmd\":\"held.reject\",\"id\":\"x\",\"text\":\"a\\r\\nb\"}", "plain ASCII");
}

static void
deleted(void **state)
{
	struct jval *v;

	have_kept(1, OUTCOME_HOLD, 0, OUTCOME_UNJUDGED);
	v = ask(request("{\"cmd\":\"held.delete\",\"id\":\"ID\"}", 1), 0);
	test_text_is(v, "state", "deleted");
	jval_free(&v);
	assert_int_equal(state_of(1), KEPT_DELETED);
	OK(store_flush(store));
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM event WHERE kind='discarded'"),
	    2);
}

static void
not_taken_stays(void **state)
{
	struct jval *v;

	have_kept(1, OUTCOME_HOLD, 0, OUTCOME_UNJUDGED);
	ask_open(request("{\"cmd\":\"held.release\",\"id\":\"ID\"}", 1));
	await_submit();
	accept_it(frame.ticket, ACCEPT_FULL);
	ask_to_the_end();
	v = test_line(buf_data(&answer), 0);
	test_text_is(v, "error", "the queue does not take it: full");
	jval_free(&v);
	ask_close();
	assert_int_equal(state_of(1), KEPT_WAITING);
	queue_down();
	refused(request("{\"cmd\":\"held.release\",\"id\":\"ID\"}", 1), "the queue is away");
	assert_int_equal(state_of(1), KEPT_WAITING);
}

/* More than may be on their way at once. */
static void
many_at_once(void **state)
{
	struct jval *v;

	segment_up(1, SPAN_LIT(BODY));
	for (unsigned n = 1; n <= 60; n++) {
		send_keep(n, OUTCOME_HOLD, one, (struct spool_ref){ 1, 0, sizeof(BODY) - 1 }, -1, 0, 0);
		await_kept(n, true);
	}
	v = ask("{\"cmd\":\"held.release\",\"selector\":\"queue=dpo\",\"count\":true}", 0);
	assert_int_equal(jval_int(v, "count", 0), 60);
	jval_free(&v);
	ask_open("{\"cmd\":\"held.release\",\"selector\":\"queue=dpo\"}");
	for (unsigned n = 1; n <= 60; n++) {
		await_submit();
		assert_int_equal(submitted.parent, test_id(n));
		accept_it(frame.ticket, ACCEPT_OK);
	}
	ask_to_the_end();
	v = test_line(buf_data(&answer), 60);
	assert_int_equal(jval_int(v, "done", 0), 60);
	jval_free(&v);
	ask_close();
}

/* ---- the queue dies between SUBMIT and ACCEPTED ---- */

static uint64_t
leave_in_the_air(void)
{
	struct jval *v;
	uint64_t id;

	have_kept(1, OUTCOME_HOLD, 0, OUTCOME_UNJUDGED);
	ask_open(request("{\"cmd\":\"held.release\",\"id\":\"ID\"}", 1));
	await_submit();
	id = submitted.env.id;
	queue_down();
	ask_to_the_end();
	v = test_line(buf_data(&answer), 0);
	assert_true(jval_text(v, "error").n > 0);
	jval_free(&v);
	ask_close();
	assert_int_equal(state_of(1), KEPT_RELEASING);
	return id;
}

static void
offered_again_under_the_same_id(void **state)
{
	uint64_t id = leave_in_the_air();

	queue_up();
	act_tick(store);
	assert_null(store->flights);	/* the queue's events come first */
	now += 6 * US_PER_SEC;
	act_tick(store);
	await_submit();
	assert_int_equal(submitted.env.id, id);
	accept_it(frame.ticket, ACCEPT_OK);
	for (int i = 0; state_of(1) != KEPT_RELEASED && i < TURNS_MAX; i++)
		turn();
	assert_int_equal(state_of(1), KEPT_RELEASED);
	OK(store_flush(store));
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM event WHERE kind='released'"
	    " AND by='uid 1000'"), 2);
}

static void
not_offered_when_it_arrived(void **state)
{
	struct msg_event ev = test_accepted(1, "m.durand@example.org", two);

	ev.id = leave_in_the_air();
	queue_up();
	send_event(ev, 1);
	await(FRAME_EVENT_ACK);
	now += 6 * US_PER_SEC;
	act_tick(store);
	assert_int_equal(state_of(1), KEPT_RELEASED);
	assert_null(store->flights);
}

/* The store dies too. */
static void
survives_a_restart(void **state)
{
	uint64_t id = leave_in_the_air();

	stop();
	start();
	now += 6 * US_PER_SEC;
	act_tick(store);
	await_submit();
	assert_int_equal(submitted.env.id, id);
	accept_it(frame.ticket, ACCEPT_OK);
	for (int i = 0; state_of(1) != KEPT_RELEASED && i < TURNS_MAX; i++)
		turn();
	assert_int_equal(state_of(1), KEPT_RELEASED);
}

static void
no_answer_in_time(void **state)
{
	uint64_t id, ticket;

	have_kept(1, OUTCOME_HOLD, 0, OUTCOME_UNJUDGED);
	ask_open(request("{\"cmd\":\"held.release\",\"id\":\"ID\"}", 1));
	await_submit();
	id = submitted.env.id;
	ticket = frame.ticket;
	now += 61 * US_PER_SEC;
	act_tick(store);		/* gives up waiting, and offers it again */
	ask_to_the_end();
	ask_close();
	await_submit();
	assert_int_equal(submitted.env.id, id);
	accept_it(ticket, ACCEPT_OK);	/* too late: nobody waits for it */
	accept_it(frame.ticket, ACCEPT_OK);
	for (int i = 0; state_of(1) != KEPT_RELEASED && i < TURNS_MAX; i++)
		turn();
	assert_int_equal(state_of(1), KEPT_RELEASED);
}

static void
holds_expire(void **state)
{
	have_kept(1, OUTCOME_HOLD, T0 + 10 * US_PER_SEC, OUTCOME_REJECT);
	have_kept(2, OUTCOME_HOLD, T0 + 10 * US_PER_SEC, OUTCOME_DELIVER);
	have_kept(3, OUTCOME_HOLD, T0 + 10 * US_PER_SEC, OUTCOME_DISCARD);
	have_kept(4, OUTCOME_HOLD, T0 + 10 * US_PER_SEC, OUTCOME_UNJUDGED);
	act_tick(store);
	assert_null(store->flights);
	now += 40 * US_PER_SEC;
	act_tick(store);
	await_submit();
	assert_int_equal(submitted.parent, test_id(1));
	assert_int_equal(submitted.decisions[0].outcome, OUTCOME_REJECT);
	assert_true(span_starts(submitted.decisions[0].reply, SPAN_LIT("5.7.1 nobody released")));
	accept_it(frame.ticket, ACCEPT_OK);
	await_submit();
	assert_int_equal(submitted.parent, test_id(2));
	assert_int_equal(submitted.decisions[0].outcome, OUTCOME_DELIVER);
	accept_it(frame.ticket, ACCEPT_OK);
	for (int i = 0; state_of(2) != KEPT_RELEASED && i < TURNS_MAX; i++)
		turn();
	assert_int_equal(state_of(1), KEPT_REJECTED);
	assert_int_equal(state_of(2), KEPT_RELEASED);
	assert_int_equal(state_of(3), KEPT_DELETED);
	assert_int_equal(state_of(4), KEPT_WAITING);
}

/* ---- other questions ---- */

static void
shows(void **state)
{
	struct jval *v;

	have_kept(1, OUTCOME_HOLD, 0, OUTCOME_UNJUDGED);
	v = ask(request("{\"cmd\":\"held.show\",\"id\":\"ID\"}", 1), 0);
	test_text_is(v, "state", "waiting");
	jval_free(&v);
	v = ask(request("{\"cmd\":\"held.show\",\"id\":\"ID\"}", 1), 1);
	test_text_is(v, "header", "Subject: x");
	jval_free(&v);
	v = ask(request("{\"cmd\":\"held.show\",\"id\":\"ID\"}", 1), 2);
	assert_true(jval_has(jval_get(v, "record"), "findings"));
	jval_free(&v);
	v = ask(request("{\"cmd\":\"held.show\",\"id\":\"ID\",\"raw\":true}", 1), 0);
	test_text_is(v, "raw", "U3ViamVjdDogeA0KDQpoZWxsbw0K");
	jval_free(&v);
	v = ask("{\"cmd\":\"held.list\"}", 1);
	assert_int_equal(jval_int(v, "total", 0), 1);
	jval_free(&v);
	v = ask("{\"cmd\":\"quarantine.list\"}", 0);
	assert_int_equal(jval_int(v, "total", 9), 0);
	jval_free(&v);
	v = ask("{\"cmd\":\"journal.stats\"}", 0);
	assert_int_equal(jval_int(v, "held", 0), 1);
	jval_free(&v);
}

static void
explains(void **state)
{
	struct msg_event ev = test_accepted(1, "m@example.org", one);
	struct jval *v;

	ev.record = SPAN_LIT("{\"v\":1,\n\"policy\":\"7c1e\"}");
	store_event(store, &ev);
	v = ask(request("{\"cmd\":\"explain\",\"id\":\"ID\"}", 1), 0);
	test_text_is(v, "policy", "7c1e");
	jval_free(&v);
	refused(request("{\"cmd\":\"explain\",\"id\":\"ID\"}", 2), "no message with this id");
	refused("{\"cmd\":\"explain\",\"id\":\"zz\"}", "11 letters");
}

static void
wrong_requests(void **state)
{
	refused("{\"cmd\":\"trace\"", "no JSON");
	refused("{\"cmd\":\"nonsense\"}", "no such command");
	refused("{\"cmd\":\"held\"}", "no such command");
	refused("{\"cmd\":\"list\"}", "no such command");
	refused("{\"cmd\":\"held.trace\"}", "no such command");
	refused("[1]", "no such command");
	refused("{\"cmd\":\"trace\",\"q\":\" \"}", "something to look for");
	refused("{\"cmd\":\"held.release\"}", "which ones?");
	refused("{\"cmd\":\"held.release\",\"selector\":\"queue\"}", "no selector");
	refused("{\"cmd\":\"held.show\",\"selector\":\"all\"}", "wants a message id");
	refused(request("{\"cmd\":\"held.show\",\"id\":\"ID\"}", 1), "no message with this id");
	refused(request("{\"cmd\":\"held.delete\",\"id\":\"ID\"}", 1), "no message with this id");
}

static void
tails(void **state)
{
	struct jval *v;

	ask_open("{\"cmd\":\"tail\"}");
	assert_non_null(store->tails);
	send_event(test_accepted(1, "m@example.org", one), 1);
	await(FRAME_EVENT_ACK);
	send_event(test_accepted(1, "m@example.org", one), 1);	/* known: not told again */
	send_event(test_result(1, EVENT_SENT, one[0], T0 + 9 * US_PER_SEC), 2);
	await(FRAME_EVENT_ACK);
	for (int i = 0; i < TURNS_MAX && span_find(span_from(buf_data(&answer),
	    span_find(buf_data(&answer), '\n') + 1), '\n') == span_from(buf_data(&answer),
	    span_find(buf_data(&answer), '\n') + 1).n; i++) {
		ask_read();
		turn();
	}
	v = test_line(buf_data(&answer), 0);
	test_text_is(v, "kind", "accepted");
	test_text_is(v, "sender", "m@example.org");
	jval_free(&v);
	v = test_line(buf_data(&answer), 1);
	test_text_is(v, "kind", "sent");
	test_text_is(v, "rcpt", one[0]);
	jval_free(&v);
	close(client);
	for (int i = 0; store->tails && i < TURNS_MAX; i++)
		turn();
	assert_null(store->tails);
	ask_close();
}

/* Those who send end first; what they said last is still written. */
static void
retires_last(void **state)
{
	struct db *d;

	send_event(test_accepted(1, "m@example.org", one), 1);
	chan_flush(&queue, &test_err);
	rt->retiring = true;
	store_ops.retire(rt);
	chan_release(&queue);
	for (int i = 0; store->db && i < TURNS_MAX; i++)
		turn();
	assert_null(store->db);
	d = test_open();
	assert_int_equal(test_number(d, "SELECT count(*) FROM event"), 1);
	db_close(&d);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* ---- terms ---- */

static void
run_sql(const char *sql)
{
	if (sqlite3_exec(db_sqlite(store->db), sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db_sqlite(store->db)));
}

/* What nobody needs any more goes: closed incidents, used links, all that belonged to a kept message. */
static void
terms(void **state)
{
	static const int64_t day = INT64_C(86400) * US_PER_SEC;

	conf.retention[RETENTION_INCIDENTS] = 730 * day;
	run_sql(arena_printf(test_arena, "INSERT INTO incident(iid, id, time, outcome, rules, state, decided) VALUES"
	    "(1, 11, 1, 'hold', 'r', 2, %lld), (2, 12, 1, 'hold', 'r', 2, %lld), (3, 13, 1, 'hold', 'r', 1, NULL);"
	    "INSERT INTO incident_rule(rule, iid) VALUES('r', 1), ('r', 2), ('r', 3);"
	    "INSERT INTO digest_used(nonce, what, expires) VALUES(x'01', 'block', %lld), (x'02', 'block', %lld);"
	    "INSERT INTO digest_todo(address, after, upto, time) VALUES('a@example.org', 0, 0, %lld)",
	    (long long)(now - 731 * day), (long long)(now - 729 * day), (long long)(now - 15 * day),
	    (long long)(now - 13 * day), (long long)(now - 31 * day)));
	store->retain_at = 0;
	store_retain(store);
	assert_int_equal(test_number(store->db, "SELECT group_concat(iid)='2,3' FROM (SELECT iid FROM incident ORDER BY iid)"), 1);
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM incident_rule"), 2);
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM digest_used WHERE nonce=x'02'"), 1);
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM digest_used"), 1);
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM digest_todo"), 0);
	run_sql("INSERT INTO kept(kid, id, kind, time, size, state, envelope) VALUES(71, 1, 'hold', 1, 1, 6, x'00'),"
	    "(72, 2, 'hold', 1, 1, 1, x'00');"
	    "INSERT INTO kept_rcpt(kid, address, state, kind) VALUES(71, 'a', 6, 'hold'), (72, 'a', 1, 'hold');"
	    "INSERT INTO approval(kid, rule, approvals) VALUES(71, 'r', 1), (72, 'r', 1);"
	    "INSERT INTO approver(kid, rule, pattern) VALUES(71, 'r', 'p'), (72, 'r', 'p');"
	    "INSERT INTO vote(kid, address, approve, time) VALUES(71, 'v', 1, 1), (72, 'v', 1, 1);"
	    "INSERT INTO token(nonce, kid, address) VALUES(x'71', 71, 'v'), (x'72', 72, 'v');"
	    "INSERT INTO kept_request(kid, address, time, state) VALUES(71, 'a', 1, 1), (72, 'a', 1, 1);"
	    "DELETE FROM kept WHERE kid=71");
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM (SELECT kid FROM kept_rcpt UNION ALL SELECT kid FROM approval"
	    " UNION ALL SELECT kid FROM approver UNION ALL SELECT kid FROM vote UNION ALL SELECT kid FROM token"
	    " UNION ALL SELECT kid FROM kept_request) WHERE kid=72"), 6);
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM (SELECT kid FROM kept_rcpt UNION ALL SELECT kid FROM approval"
	    " UNION ALL SELECT kid FROM approver UNION ALL SELECT kid FROM vote UNION ALL SELECT kid FROM token"
	    " UNION ALL SELECT kid FROM kept_request) WHERE kid=71"), 0);
	conf.retention[RETENTION_INCIDENTS] = 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(terms),
		T(events_are_acknowledged), T(events_again_after_a_lost_link), T(many_events),
		T(a_question_sees_the_batch), T(a_failing_database_loses_nothing),
		T(nonsense_is_cut_off), T(keeps_from_segments), T(many_keeps), T(keeps_fail_whole),
		T(released), T(large_ones_travel_in_a_memfd), T(rejected), T(deleted),
		T(not_taken_stays), T(many_at_once), T(offered_again_under_the_same_id),
		T(not_offered_when_it_arrived), T(survives_a_restart), T(no_answer_in_time),
		T(holds_expire), T(shows), T(explains), T(wrong_requests), T(tails), T(retires_last),
	};

	log_level(LOG_LVL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
