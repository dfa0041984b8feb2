/* test_store_people.c -- who may see and decide which kept message: requests as the console makes them.
 *
 * Beside the store stand a queue and a scanner of our own, which say what the test wants.
 */
#include "store_test.h"

#include <event2/event.h>
#include <sys/socket.h>
#include <time.h>

#include "store/approval_db.h"
#include "store/digest.h"
#include "store/digest_mail.h"
#include "store/incident_db.h"
#include "store/kept_view.h"
#include "store/look.h"
#include "store/store.h"
#include "store/tlsrpt.h"
#include "store/undo.h"

#define TURNS_MAX 2000		/* of 5 ms: then something never comes */

static union {			/* runtime_finish() writes behind it */
	struct runtime rt;
	char room[4096];
} world;
static struct runtime *const rt = &world.rt;
static struct store *store;
static struct config conf;
static struct chan queue, scanner;
static bool scanner_there;
static struct frame frame = { .fd = -1 };
static int64_t now;
static const struct span two_persons[] = { { "malware", 7 } }, own[] = { { "spam", 4 } };

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
peer_up(struct chan *c, enum role role)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv), 0);
	chan_init(c, sv[1], role, ROLE_STORE);
	store_ops.peer_up(rt, link_new(rt->base, sv[0], ROLE_STORE, role, 3, &ops, rt));
}

static void
turn(void)
{
	struct timeval tv = { .tv_usec = 5000 };
	struct err err;

	chan_flush(&queue, &err);
	if (scanner_there)
		chan_flush(&scanner, &err);
	event_base_loopexit(rt->base, &tv);
	event_base_loop(rt->base, 0);
}

static int
setup(void **state)
{
	if (test_setup(state) == -1)
		return -1;
	now = T0;
	clock_virtual = &now;
	world.rt = (struct runtime){ .role = ROLE_STORE, .instance = 5, .conf = &conf };
	conf = (struct config){ .store = SPAN_LIT("sqlite:"), .store_path = test_path,
		.hostname = SPAN_LIT("gw.example.org"), .postmaster = SPAN_LIT("postmaster@example.org"),
		.antivirus = { .engine = AV_OFF }, .quarantine = { own, 1, two_persons, 1 },
		.scan_timeout = 10 * US_PER_SEC };
	rt->base = event_base_new();
	test_shared(rt, &conf);
	OK(store_ops.run(rt, &test_err));
	store = rt->state;
	peer_up(&queue, ROLE_QUEUE);
	return 0;
}

static int
teardown(void **state)
{
	if (frame.fd != -1)
		close(frame.fd);
	frame.fd = -1;
	chan_release(&queue);
	if (scanner_there)
		chan_release(&scanner);
	scanner_there = false;
	for (struct link *l; store->peers; ) {
		l = store->peers->link;
		store_ops.peer_down(rt, l);
		link_close(&l);
	}
	event_base_loop(rt->base, EVLOOP_NONBLOCK);
	event_free(store->flush);
	event_free(store->keep_commit);
	event_free(store->tick);
	event_free(store->leave);
	reports_free(&store->tls);
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
	clock_virtual = NULL;
	return test_teardown(state);
}

static void
await(struct chan *c, enum frame_type type)
{
	struct err err;

	for (int i = 0; i < TURNS_MAX; i++) {
		int r = chan_next(c, &frame, &err);

		if (r == -1)
			fail_msg("%s", err.text);
		if (r == 1 && frame.type == type)
			return;
		turn();
		if (chan_fill(c, &err) == -1)
			fail_msg("%s", err.text);
	}
	fail_msg("%s never came", frame_name(type));
}

static int64_t
keep(unsigned n, enum outcome kind, enum direction direction, const char *queue_name,
    const char *sender, const char *record, const char *const *to)
{
	struct msg_keep m = { .kind = kind, .queue = span_str(queue_name),
		.env = test_envelope(n, sender, to), .record = span_str(record) };
	int64_t kid;

	m.env.direction = direction;
	OK(db_begin(store->db, true, &test_err));
	assert_int_equal(kept_put(store->db, &m, SPAN_LIT("Subject: =?utf-8?q?x=E2=80=AE?=\r\n\r\nhello\r\n"),
	    now, test_arena, &test_err), 1);
	kid = kept_put_row(store->db);
	OK(db_commit(store->db, &test_err));
	return kid;
}

/* ---- those who ask ---- */

#define ANNA "\"as\":{\"name\":\"anna\",\"roles\":[\"user\"],\"addresses\":[\"anna@example.org\"],\"domains\":[]}"
#define BOSS "\"as\":{\"name\":\"boss\",\"roles\":[\"domain_admin\"],\"addresses\":[],\"domains\":[\"example.org\"]}"
#define OTTO "\"as\":{\"name\":\"otto\",\"roles\":[\"operator\"],\"addresses\":[\"otto@example.org\"],\"domains\":[]}"
#define OLGA "\"as\":{\"name\":\"olga\",\"roles\":[\"operator\"],\"addresses\":[],\"domains\":[]}"
#define AUDI "\"as\":{\"name\":\"audi\",\"roles\":[\"auditor\"],\"addresses\":[],\"domains\":[]}"
#define RITA "\"as\":{\"name\":\"rita\",\"roles\":[\"reviewer\"],\"addresses\":[],\"domains\":[]}"

static int client;
static struct buf answer;

static void
ask_open(const char *as, const char *fmt, ...)
{
	struct buf b;
	va_list ap;
	int sv[2];

	buf_init(&b, 4096);
	buf_puts(&b, "{");
	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	buf_printf(&b, ",%s}", as);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv), 0);
	client = sv[1];
	buf_release(&answer);
	buf_init(&answer, 64u << 20);
	store_ops.client(rt, sv[0], UID_CONSOLE, buf_data(&b));
	buf_release(&b);
}

static void
ask_end(void)
{
	for (int i = 0; i < TURNS_MAX; i++) {
		char *room = buf_room(&answer, 65536);
		ssize_t n = read(client, room, 65536);

		if (n > 0)
			buf_commit(&answer, (size_t)n);
		if (n == 0) {
			close(client);
			return;
		}
		turn();
	}
	fail_msg("the answer never ended: %.*s", SPAN_ARG(buf_data(&answer)));
}

#define ASK(as, ...) do { \
	ask_open(as, __VA_ARGS__); \
	ask_end(); \
} while (0)

static struct jval *
said(size_t i)
{
	return test_line(buf_data(&answer), i);
}

static void
says(const char *word)
{
	buf_putc(&answer, '\0');
	if (strstr(buf_data(&answer).p, word) == NULL)
		fail_msg("no %s in %s", word, buf_data(&answer).p);
	answer.n--;
}

static void
never_says(const char *word)
{
	buf_putc(&answer, '\0');
	if (strstr(buf_data(&answer).p, word))
		fail_msg("%s in %s", word, buf_data(&answer).p);
	answer.n--;
}

static int64_t
found(const char *as, const char *filter)
{
	struct jval *v;
	int64_t n;
	size_t i = 0;

	ASK(as, "\"cmd\":\"kept.list\"%s", filter);
	for (const char *p = buf_data(&answer).p, *z = p + buf_size(&answer); p < z; p++)
		i += *p == '\n';
	v = said(i - 1);
	n = jval_int(v, "found", -1);
	assert_int_equal(n, i - 1);
	jval_free(&v);
	return n;
}

static enum kept_state
state_of(int64_t kid)
{
	struct kept k;

	assert_int_equal(kept_load(store->db, kid, false, test_arena, &k, &test_err), 1);
	return k.state;
}

/* The queue takes what is submitted: the message's id, and to how many. */
static size_t
accept_one(void)
{
	struct msg_accepted told = { .status = ACCEPT_OK };
	struct msg_submit m;
	struct buf b;

	await(&queue, FRAME_SUBMIT);
	assert_int_equal(submit_decode(frame.body, frame.fd, test_arena, &m), 0);
	told.id = m.env.id;
	buf_init(&b, FRAME_SMALL);
	accepted_encode(&b, &told);
	assert_int_equal(chan_push(&queue, FRAME_ACCEPTED, frame.ticket, buf_data(&b), -1), 0);
	buf_release(&b);
	return m.env.nrecipients;
}

static const char *const both[] = { "anna@example.org", "bert@example.org", NULL };
static const char *const anna[] = { "anna@example.org", NULL };
static const char *const far[] = { "x@elsewhere.net", NULL };
static const char *const mixed[] = { "Anna@example.org", "x@elsewhere.net", NULL };
#define SPAM "{\"v\":1,\"virus\":null,\"spam\":{\"class\":\"spam\"},\"subject\":\"cheap pills\"}"
#define PLAIN "{\"v\":1,\"virus\":null,\"spam\":null,\"subject\":\"figures\"}"

/* ---- who sees what ---- */

static void
each_sees_his_own(void **state)
{
	int64_t spam = keep(1, OUTCOME_QUARANTINE, DIRECTION_INBOUND, "spam", "s@spam.net", SPAM, both);
	int64_t held = keep(2, OUTCOME_HOLD, DIRECTION_OUTBOUND, "dpo", "anna@example.org", PLAIN, far);
	int64_t foreign = keep(3, OUTCOME_QUARANTINE, DIRECTION_INBOUND, "spam", "s@spam.net", SPAM, far);
	int64_t out = keep(4, OUTCOME_QUARANTINE, DIRECTION_OUTBOUND, "spam", "x@elsewhere.net", SPAM, anna);
	struct jval *v;

	assert_int_equal(found(OTTO, ""), 4);
	assert_int_equal(found(AUDI, ""), 4);
	assert_int_equal(found(ANNA, ""), 1);		/* neither what is held of hers, nor others' */
	v = said(0);
	test_text_is(v, "kid", arena_printf(test_arena, "%lld", (long long)spam));
	assert_int_equal(jval_count(jval_get(v, "recipients")), 1);	/* nor who else it is for */
	test_text_is(v, "class", "spam");
	jval_free(&v);
	never_says("bert");
	assert_int_equal(found(BOSS, ""), 3);
	assert_int_equal(found(BOSS, ",\"kind\":\"hold\""), 1);
	assert_int_equal(found(ANNA, ",\"kind\":\"hold\""), 0);
	/* one's number is none for another */
	for (size_t i = 0; i < 3; i++) {
		int64_t kid = ((int64_t[]){ held, foreign, out })[i];

		ASK(ANNA, "\"cmd\":\"kept.show\",\"kid\":\"%lld\"", (long long)kid);
		says("not-found");
		never_says("figures");
		ASK(ANNA, "\"cmd\":\"kept.release\",\"kids\":[\"%lld\"]", (long long)kid);
		says("not-found");
		ASK(ANNA, "\"cmd\":\"kept.preview\",\"kid\":\"%lld\"", (long long)kid);
		says("not-found");
		assert_int_equal(state_of(kid), KEPT_WAITING);
	}
	ASK(BOSS, "\"cmd\":\"kept.delete\",\"kids\":[\"%lld\"]", (long long)foreign);
	says("not-found");
	ASK(ANNA, "\"cmd\":\"held.release\",\"selector\":\"all\"");
	says("invalid");
	ASK(ANNA, "\"cmd\":\"kept.release\",\"kids\":[\"999\"]");
	says("not-found");
	/* who may look may not decide, nor read */
	ASK(AUDI, "\"cmd\":\"kept.release\",\"kids\":[\"%lld\"]", (long long)spam);
	says("forbidden");
	ASK(AUDI, "\"cmd\":\"kept.preview\",\"kid\":\"%lld\"", (long long)spam);
	says("forbidden");
	ASK(RITA, "\"cmd\":\"kept.delete\",\"kids\":[\"%lld\"]", (long long)spam);
	says("forbidden");
	ASK(ANNA, "\"cmd\":\"kept.reject\",\"kids\":[\"%lld\"]", (long long)spam);
	says("forbidden");
	assert_int_equal(state_of(spam), KEPT_WAITING);
}

static void
filters(void **state)
{
	keep(1, OUTCOME_QUARANTINE, DIRECTION_INBOUND, "spam", "s@Spam.net", SPAM, both);
	keep(2, OUTCOME_HOLD, DIRECTION_OUTBOUND, "dpo", "anna@example.org", PLAIN, far);
	keep(3, OUTCOME_QUARANTINE, DIRECTION_INBOUND, "malware", "v@evil.net",
	    "{\"v\":1,\"virus\":{\"name\":\"Eicar\"},\"subject\":\"100% \\\"free\\\"\"}", anna);
	assert_int_equal(found(OTTO, ",\"queue\":\"spam\""), 1);
	assert_int_equal(found(OTTO, ",\"class\":\"virus\""), 1);
	says("Eicar");
	assert_int_equal(found(OTTO, ",\"class\":\"policy\",\"kind\":\"hold\""), 1);
	assert_int_equal(found(OTTO, ",\"from\":\"S@spam.net\""), 1);
	assert_int_equal(found(OTTO, ",\"from\":\"spam.net\""), 1);
	assert_int_equal(found(OTTO, ",\"from\":\"net\""), 0);
	assert_int_equal(found(OTTO, ",\"to\":\"ANNA@example.org\""), 2);
	assert_int_equal(found(OTTO, ",\"to\":\"example.org\",\"class\":\"spam\""), 1);
	assert_int_equal(found(OTTO, ",\"to\":\"elsewhere.net\""), 1);
	assert_int_equal(found(OTTO, ",\"q\":\"pill\""), 1);
	assert_int_equal(found(OTTO, ",\"q\":\"PILL\""), 1);
	assert_int_equal(found(OTTO, ",\"q\":\"pi\""), 1);	/* too short for the index */
	assert_int_equal(found(OTTO, ",\"q\":\"% \\\"free\\\"\""), 1);	/* no language of the index */
	assert_int_equal(found(OTTO, ",\"q\":\"pills OR figures\""), 0);
	assert_int_equal(found(OTTO, ",\"q\":\"nobody\""), 0);
	assert_int_equal(found(ANNA, ",\"q\":\"pill\""), 1);
	assert_int_equal(found(ANNA, ",\"q\":\"figures\""), 0);
	assert_int_equal(found(OTTO, ",\"state\":\"released\""), 0);
	assert_int_equal(found(OTTO, ",\"state\":\"all\""), 3);
	ASK(OTTO, "\"cmd\":\"kept.list\",\"state\":\"gone\"");
	says("invalid");
	ASK(OTTO, "\"cmd\":\"kept.list\",\"before\":\"x\"");
	says("invalid");
}

static void
pages(void **state)
{
	char before[64] = "";
	int64_t last = INT64_MAX;
	unsigned seen = 0;

	for (unsigned n = 1; n <= 25; n++)
		keep(n, OUTCOME_QUARANTINE, DIRECTION_INBOUND, "spam", "s@spam.net", SPAM,
		    n % 5 ? both : anna);
	for (unsigned p = 0; p < 3; p++) {
		const char *as = p ? BOSS : ANNA;
		int64_t n = found(as, arena_printf(test_arena, ",\"limit\":10%s", before));
		struct jval *v;

		for (int64_t i = 0; i < n; i++, seen++) {
			int64_t kid;

			v = said((size_t)i);
			kid = strtoll(arena_str(test_arena, jval_text(v, "kid")), NULL, 10);
			assert_true(kid < last);
			last = kid;
			jval_free(&v);
		}
		v = said((size_t)n);
		assert_int_equal(jval_bool(v, "more"), p < 2);
		snprintf(before, sizeof(before), ",\"before\":\"%.*s\"", SPAN_ARG(jval_text(v, "next")));
		jval_free(&v);
		/* what comes meanwhile moves nothing */
		keep(100 + p, OUTCOME_QUARANTINE, DIRECTION_INBOUND, "spam", "s@spam.net", SPAM, anna);
	}
	assert_int_equal(seen, 25);
}

/* ---- decisions ---- */

static void
one_of_several_takes_his_own(void **state)
{
	int64_t kid = keep(1, OUTCOME_QUARANTINE, DIRECTION_INBOUND, "spam", "s@spam.net", SPAM, both), mine;

	ask_open(ANNA, "\"cmd\":\"kept.release\",\"kids\":[\"%lld\"]", (long long)kid);
	assert_int_equal(accept_one(), 1);
	ask_end();
	says("\"done\":1");
	mine = test_number(store->db, "SELECT max(kid) FROM kept");
	assert_int_not_equal(mine, kid);
	assert_int_equal(state_of(mine), KEPT_RELEASED);
	assert_int_equal(state_of(kid), KEPT_WAITING);
	assert_int_equal(found(ANNA, ""), 0);
	assert_int_equal(found(OTTO, ""), 1);
	never_says("anna@");
	/* the rest is whole */
	ask_open(OTTO, "\"cmd\":\"kept.release\",\"kids\":[\"%lld\"]", (long long)kid);
	assert_int_equal(accept_one(), 1);
	ask_end();
	says("\"done\":1");
	assert_int_equal(state_of(kid), KEPT_RELEASED);
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM kept_content"), 0);
	ASK(ANNA, "\"cmd\":\"kept.release\",\"kids\":[\"%lld\"]", (long long)mine);
	says("released already");
}

static void
a_request_is_granted_or_refused(void **state)
{
	int64_t kid = keep(1, OUTCOME_QUARANTINE, DIRECTION_INBOUND, "macros", "s@far.net", PLAIN, both);
	int64_t second = keep(2, OUTCOME_QUARANTINE, DIRECTION_INBOUND, "macros", "s@far.net", PLAIN, anna);

	ASK(ANNA, "\"cmd\":\"kept.release\",\"kids\":[\"%lld\"]", (long long)kid);
	says("ask for it");
	assert_int_equal(state_of(kid), KEPT_WAITING);
	ASK(ANNA, "\"cmd\":\"kept.request\",\"kids\":[\"%lld\",\"%lld\"],\"reason\":\"my\\r\\nbill\"",
	    (long long)kid, (long long)second);
	says("\"done\":2");
	ASK(ANNA, "\"cmd\":\"kept.request\",\"kids\":[\"%lld\"]", (long long)kid);	/* again: the same */
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM kept_request"), 2);
	assert_int_equal(found(OTTO, ",\"asked\":true"), 2);
	says("\"reason\":\"my  bill\"");
	ASK(OTTO, "\"cmd\":\"journal.stats\"");
	says("\"requested\":2");
	ask_open(OTTO, "\"cmd\":\"kept.release\",\"kids\":[\"%lld\"]", (long long)kid);
	assert_int_equal(accept_one(), 2);
	ask_end();
	assert_int_equal(test_number(store->db, "SELECT state FROM kept_request WHERE kid=1"), 2);
	ASK(OTTO, "\"cmd\":\"kept.delete\",\"kids\":[\"%lld\"],\"reason\":\"no\"", (long long)second);
	assert_int_equal(test_number(store->db, "SELECT state FROM kept_request WHERE kid=2"), 3);
	/* both are told by mail */
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM outbox WHERE rcpt='anna@example.org'"), 2);
	assert_int_equal(found(OTTO, ",\"asked\":true"), 0);
}

static void
two_persons_release(void **state)
{
	int64_t kid = keep(1, OUTCOME_QUARANTINE, DIRECTION_INBOUND, "malware", "s@far.net", PLAIN, both);
	int64_t his = keep(2, OUTCOME_QUARANTINE, DIRECTION_OUTBOUND, "malware", "otto@example.org", PLAIN, far);

	ASK(OTTO, "\"cmd\":\"kept.release\",\"kids\":[\"%lld\"]", (long long)kid);
	says("\"approvals\":1,\"needed\":2");
	ASK(OTTO, "\"cmd\":\"kept.approve\",\"kid\":\"%lld\"", (long long)kid);
	says("has decided about it already");
	assert_int_equal(state_of(kid), KEPT_WAITING);
	ASK(AUDI, "\"cmd\":\"kept.approve\",\"kid\":\"%lld\"", (long long)kid);
	says("forbidden");
	ASK(ANNA, "\"cmd\":\"kept.release\",\"kids\":[\"%lld\"]", (long long)kid);
	says("ask for it");
	ASK(OTTO, "\"cmd\":\"kept.release\",\"kids\":[\"%lld\"]", (long long)his);
	says("of his own");
	/* taken back, then anew */
	ASK(OLGA, "\"cmd\":\"kept.deny\",\"kid\":\"%lld\"", (long long)kid);
	ASK(OLGA, "\"cmd\":\"kept.approve\",\"kid\":\"%lld\"", (long long)kid);
	says("\"approvals\":1");
	assert_int_equal(state_of(kid), KEPT_WAITING);
	ask_open(OTTO, "\"cmd\":\"kept.release\",\"kids\":[\"%lld\"]", (long long)kid);
	assert_int_equal(accept_one(), 2);
	ask_end();
	says("\"approvals\":2");
	for (int i = 0; state_of(kid) != KEPT_RELEASED && i < TURNS_MAX; i++)
		turn();
	assert_int_equal(state_of(kid), KEPT_RELEASED);
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM outbox"), 0);	/* the sender is a stranger */
}

#define TWO "{\"v\":1,\"recipients\":[{\"address\":\"anna@example.org\",\"outcome\":\"quarantine\"," \
	"\"queue\":\"spam\",\"approvals\":2}],\"spam\":null,\"subject\":\"two\"}"

/* As the store does when the queue hands it on. */
static int64_t
keep_asking(unsigned n, const char *queue_name, const char *record, const char *const *to)
{
	static const struct approval_words words;
	struct msg_keep m = { .kind = OUTCOME_QUARANTINE, .queue = span_str(queue_name),
		.env = test_envelope(n, "s@far.net", to), .record = span_str(record) };
	int64_t kid = keep(n, m.kind, DIRECTION_INBOUND, queue_name, "s@far.net", record, to);

	OK(approval_begin(store->db, kid, &m, now, &words, test_arena, &test_err));
	return kid;
}

/* A rule asks for two where the quarantine's name does not; for its recipients alone. */
static void
a_rule_asks_for_two(void **state)
{
	static const char *const bert[] = { "bert@example.org", NULL };
	int64_t kid = keep_asking(1, "spam", TWO, anna), other = keep_asking(2, "spam", TWO, bert);
	struct jval *v;

	assert_int_equal(test_number(store->db, "SELECT count(*) FROM approval"), 1);
	ASK(OTTO, "\"cmd\":\"kept.show\",\"kid\":\"%lld\"", (long long)kid);
	says("\"needed\":2,\"given\":0");
	ASK(OTTO, "\"cmd\":\"kept.release\",\"kids\":[\"%lld\"]", (long long)kid);
	v = said(0);
	assert_int_equal(jval_int(v, "needed", 0), 2);
	jval_free(&v);
	assert_int_equal(state_of(kid), KEPT_WAITING);
	/* her own quarantine, from which she may release: not this one alone */
	ASK(ANNA, "\"cmd\":\"kept.release\",\"kids\":[\"%lld\"]", (long long)kid);
	says("ask for it");
	assert_int_equal(state_of(kid), KEPT_WAITING);
	ask_open(OTTO, "\"cmd\":\"kept.release\",\"kids\":[\"%lld\"]", (long long)other);
	assert_int_equal(accept_one(), 1);
	ask_end();
	assert_int_equal(state_of(other), KEPT_RELEASED);
}

/* ---- decisions that are taken back ---- */

static int64_t
later(void)
{
	return test_number(store->db, "SELECT count(*) FROM kept_later");
}

static void
a_moment_to_undo(void **state)
{
	int64_t one = keep(1, OUTCOME_QUARANTINE, DIRECTION_INBOUND, "spam", "s@far.net", SPAM, anna);
	int64_t two = keep(2, OUTCOME_HOLD, DIRECTION_OUTBOUND, "dpo", "anna@example.org", PLAIN, far);

	conf.quarantine.undo = 10 * US_PER_SEC;
	/* taken back: it waits as before, and both are written down */
	ASK(OTTO, "\"cmd\":\"kept.release\",\"kids\":[\"%lld\"],\"undo\":true,\"reason\":\"fine\"", (long long)one);
	says("\"state\":\"pending\"");
	says("\"done\":1");
	assert_int_equal(state_of(one), KEPT_WAITING);
	ASK(OTTO, "\"cmd\":\"kept.show\",\"kid\":\"%lld\"", (long long)one);
	says("\"pending\":{\"verb\":\"release\",\"by\":\"otto\"");
	ASK(OLGA, "\"cmd\":\"kept.delete\",\"kids\":[\"%lld\"]", (long long)one);
	says("can be undone for a moment");
	ASK(ANNA, "\"cmd\":\"kept.undo\",\"kids\":[\"%lld\"]", (long long)one);
	says("somebody else has decided it");
	ASK(ANNA, "\"cmd\":\"kept.undo\",\"kids\":[\"%lld\"]", (long long)two);
	says("not-found");
	ASK(OTTO, "\"cmd\":\"kept.undo\",\"kids\":[\"%lld\"]", (long long)one);
	says("\"state\":\"waiting\"");
	assert_int_equal(later(), 0);
	now += 60 * US_PER_SEC;
	for (int i = 0; i < 20; i++)
		turn();
	undo_tick(store);
	assert_int_equal(state_of(one), KEPT_WAITING);
	ASK(OTTO, "\"cmd\":\"kept.undo\",\"kids\":[\"%lld\"]", (long long)one);
	says("nothing is decided about it");
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM audit WHERE what='kept.later' AND who='otto'"
	    " AND detail='release: fine'"), 1);
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM audit WHERE what='kept.undo' AND who='otto'"), 1);
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM audit WHERE what='refused' AND who='anna'"), 2);

	/* not before its time, then by who decided, with his reason */
	ASK(OTTO, "\"cmd\":\"kept.release\",\"kids\":[\"%lld\"],\"undo\":true,\"reason\":\"fine\"", (long long)two);
	now += 9 * US_PER_SEC;
	undo_tick(store);
	assert_int_equal(state_of(two), KEPT_WAITING);
	now += 2 * US_PER_SEC;
	undo_tick(store);
	assert_int_equal(state_of(two), KEPT_RELEASING);
	assert_int_equal(later(), 0);
	ASK(OTTO, "\"cmd\":\"kept.undo\",\"kids\":[\"%lld\"]", (long long)two);
	says("too late");
	assert_int_equal(accept_one(), 1);
	for (int i = 0; state_of(two) != KEPT_RELEASED && i < TURNS_MAX; i++)
		turn();
	assert_int_equal(state_of(two), KEPT_RELEASED);
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM audit WHERE what='held.release' AND who='otto'"
	    " AND detail='fine'"), 1);

	/* without a moment in the configuration nobody waits; what waits is carried out */
	ASK(OTTO, "\"cmd\":\"kept.delete\",\"kids\":[\"%lld\"],\"undo\":true", (long long)one);
	says("\"state\":\"pending\"");
	assert_int_equal(later(), 1);
	conf.quarantine.undo = 0;
	now += 11 * US_PER_SEC;
	undo_tick(store);
	assert_int_equal(state_of(one), KEPT_DELETED);
	one = keep(3, OUTCOME_QUARANTINE, DIRECTION_INBOUND, "spam", "s@far.net", SPAM, anna);
	ASK(OTTO, "\"cmd\":\"kept.delete\",\"kids\":[\"%lld\"],\"undo\":true", (long long)one);
	assert_int_equal(state_of(one), KEPT_DELETED);
}

static void scanner_says(enum inspect_status status, enum av_state av, const char *virus,
    const char *text);

/* Nobody can look, then somebody can; a virus keeps it. */
static void
undone_by_the_world(void **state)
{
	int64_t kid = keep(1, OUTCOME_QUARANTINE, DIRECTION_INBOUND, "spam", "s@far.net", SPAM, anna);

	conf.quarantine.undo = US_PER_SEC;
	conf.antivirus.engine = AV_LIBCLAMAV;
	ASK(OTTO, "\"cmd\":\"kept.release\",\"kids\":[\"%lld\"],\"undo\":true", (long long)kid);
	now += 2 * US_PER_SEC;
	undo_tick(store);
	assert_int_equal(later(), 1);	/* nobody has looked yet */
	now += 40 * US_PER_SEC;
	for (int i = 0; i < 20; i++)
		turn();
	assert_int_equal(state_of(kid), KEPT_WAITING);
	assert_int_equal(later(), 1);
	peer_up(&scanner, ROLE_SCANNER);
	scanner_there = true;
	now += 11 * US_PER_SEC;
	undo_tick(store);
	scanner_says(INSPECT_DONE, AV_VIRUS, "Eicar", "{}");
	for (int i = 0; later() && i < TURNS_MAX; i++)
		turn();
	assert_int_equal(later(), 0);
	assert_int_equal(state_of(kid), KEPT_WAITING);
}

/* ---- the scanner ---- */

static void
scanner_says(enum inspect_status status, enum av_state av, const char *virus, const char *text)
{
	struct msg_inspected m = { .status = status, .av = av, .virus = span_str(virus),
		.why = SPAN_LIT("it is ill"), .text = span_str(text) };
	struct msg_inspect asked;
	struct buf b;

	await(&scanner, FRAME_INSPECT);
	assert_int_equal(inspect_decode(frame.body, frame.fd, test_arena, &asked), 0);
	buf_init(&b, FRAME_BIG);
	inspected_encode(&b, &m);
	assert_int_equal(chan_push(&scanner, FRAME_INSPECTED, frame.ticket, buf_data(&b), -1), 0);
	buf_release(&b);
}

static void
a_last_look(void **state)
{
	int64_t kid = keep(1, OUTCOME_QUARANTINE, DIRECTION_INBOUND, "spam", "s@far.net", SPAM, anna);

	conf.antivirus.engine = AV_LIBCLAMAV;
	/* nobody looks: it stays, and says so */
	ask_open(OTTO, "\"cmd\":\"kept.release\",\"kids\":[\"%lld\"]", (long long)kid);
	turn();
	now += 40 * US_PER_SEC;
	ask_end();
	says("cannot be looked at now");
	assert_int_equal(state_of(kid), KEPT_WAITING);
	peer_up(&scanner, ROLE_SCANNER);
	scanner_there = true;
	/* the antivirus is ill */
	ask_open(OTTO, "\"cmd\":\"kept.release\",\"kids\":[\"%lld\"]", (long long)kid);
	scanner_says(INSPECT_FAILED, AV_FAILED, "", "{}");
	ask_end();
	says("it is ill");
	/* a virus that is known now */
	ask_open(OTTO, "\"cmd\":\"kept.release\",\"kids\":[\"%lld\"]", (long long)kid);
	scanner_says(INSPECT_DONE, AV_VIRUS, "Eicar-Test", "{}");
	ask_end();
	says("Eicar-Test; it stays");
	assert_int_equal(state_of(kid), KEPT_WAITING);
	assert_int_equal(found(OTTO, ",\"class\":\"virus\""), 1);
	ASK(ANNA, "\"cmd\":\"kept.release\",\"kids\":[\"%lld\"]", (long long)kid);	/* no longer hers to release */
	says("ask for it");
	ASK(OTTO, "\"cmd\":\"kept.release\",\"kids\":[\"%lld\"],\"anyway\":true", (long long)kid);
	says("for administrators");
	/* clean */
	ask_open(OTTO, "\"cmd\":\"kept.release\",\"kids\":[\"%lld\"]", (long long)kid);
	scanner_says(INSPECT_DONE, AV_CLEAN, "", "{}");
	assert_int_equal(accept_one(), 1);
	ask_end();
	assert_int_equal(state_of(kid), KEPT_RELEASED);
}

static void
scanners_die_of_it(void **state)
{
	int64_t kid = keep(1, OUTCOME_QUARANTINE, DIRECTION_INBOUND, "spam", "s@far.net", SPAM, anna);

	conf.antivirus.engine = AV_LIBCLAMAV;
	peer_up(&scanner, ROLE_SCANNER);
	ask_open(OTTO, "\"cmd\":\"kept.release\",\"kids\":[\"%lld\"]", (long long)kid);
	for (int i = 0; i < 2; i++) {
		await(&scanner, FRAME_INSPECT);
		chan_release(&scanner);
		turn();
		peer_up(&scanner, ROLE_SCANNER);
	}
	scanner_there = true;
	ask_end();
	says("ended two scanners");
	assert_int_equal(state_of(kid), KEPT_WAITING);
}

static void
a_preview(void **state)
{
	int64_t kid = keep(1, OUTCOME_QUARANTINE, DIRECTION_INBOUND, "spam", "s@far.net", SPAM, mixed);

	peer_up(&scanner, ROLE_SCANNER);
	scanner_there = true;
	ask_open(ANNA, "\"cmd\":\"kept.preview\",\"kid\":\"%lld\"", (long long)kid);
	scanner_says(INSPECT_DONE, AV_NOT_ASKED, "", "{\"v\":1,\"text\":\"hello\"}");
	ask_end();
	says("\"ok\":true,\"text\":\"hello\"}");
	ask_open(OTTO, "\"cmd\":\"kept.rescan\",\"kids\":[\"%lld\"]", (long long)kid);
	scanner_says(INSPECT_DONE, AV_VIRUS, "Eicar", "{\"v\":1}");
	ask_end();
	says("\"antivirus\":\"virus\",\"virus\":\"Eicar\"");
	says("\"done\":1");
	ASK(OTTO, "\"cmd\":\"kept.confirm\",\"kids\":[\"%lld\"]", (long long)kid);
	says("confirmed");
}

/* ---- incidents ---- */

static void
incidents_are_for_reviewers(void **state)
{
	struct msg_keep m = { .kind = OUTCOME_HOLD, .queue = SPAN_LIT("dpo"),
		.env = test_envelope(1, "anna@example.org", far),
		.record = SPAN_LIT("{\"v\":1,\"recipients\":[{\"address\":\"x@elsewhere.net\",\"outcome\":\"hold\","
		    "\"rules\":[\"cards\"]}],\"findings\":[{\"detector\":\"payment-card\",\"masked\":[\"**1\"]}]}") };

	OK(db_begin(store->db, true, &test_err));
	assert_int_equal(kept_put(store->db, &m, SPAN_LIT("x\r\n"), now, test_arena, &test_err), 1);
	OK(incident_kept(store->db, kept_put_row(store->db), &m, now, test_arena, &test_err));
	OK(incident_kept(store->db, kept_put_row(store->db), &m, now, test_arena, &test_err));	/* once */
	OK(db_commit(store->db, &test_err));
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM incident"), 1);
	ASK(RITA, "\"cmd\":\"incidents.list\"");
	says("\"rules\":[\"cards\"]");
	ASK(AUDI, "\"cmd\":\"incidents.show\",\"id\":\"1\"");
	says("**1");
	for (size_t i = 0; i < 4; i++) {
		const char *as = ((const char *[]){ ANNA, BOSS, OTTO, OLGA })[i];

		ASK(as, "\"cmd\":\"incidents.list\"");
		says("forbidden");
		ASK(as, "\"cmd\":\"incidents.show\",\"id\":\"1\"");
		says("not-found");
		never_says("**1");
	}
	ASK(AUDI, "\"cmd\":\"incidents.reveal\",\"id\":\"1\",\"reason\":\"curious\"");
	says("forbidden");
	ASK(AUDI, "\"cmd\":\"incidents.close\",\"id\":\"1\",\"resolution\":\"other\"");
	says("forbidden");
	ASK(RITA, "\"cmd\":\"incidents.close\",\"id\":\"1\",\"resolution\":\"fine\"");
	says("invalid");
	ASK(RITA, "\"cmd\":\"incidents.close\",\"id\":\"1\",\"resolution\":\"false\"");
	says("closed");
	ASK(RITA, "\"cmd\":\"incidents.rules\"");
	says("\"false_positive\":1");
}

/* ---- digests ---- */

static int64_t
at(int day, int hour, int minute)
{
	struct tm tm = { .tm_year = 126, .tm_mon = 5, .tm_mday = day, .tm_hour = hour, .tm_min = minute,
		.tm_isdst = -1 };

	return (int64_t)mktime(&tm) * US_PER_SEC;
}

static void
hours(void **state)
{
	const struct conf_digest none = { 0 }, two = { .at = { 8 * 60, 14 * 60 + 30 }, .nat = 2 };

	assert_int_equal(digest_slot(&none, at(10, 12, 0)), 0);
	assert_int_equal(digest_slot(&two, at(10, 7, 59)), at(9, 14, 30));
	assert_int_equal(digest_slot(&two, at(10, 8, 0)), at(10, 8, 0));
	assert_int_equal(digest_slot(&two, at(10, 14, 29)), at(10, 8, 0));
	assert_int_equal(digest_slot(&two, at(10, 23, 59)), at(10, 14, 30));
}

static void
told_once_at_an_hour(void **state)
{
	static const struct conf_digest off = { .domain = { "elsewhere.net", 13 } };
	int64_t slot = at(10, 8, 0);

	conf.digests.others = (struct conf_digest){ .at = { 8 * 60 }, .nat = 1 };
	conf.digests.domains = &off;
	conf.digests.ndomains = 1;
	keep(1, OUTCOME_QUARANTINE, DIRECTION_INBOUND, "spam", "s@spam.net", SPAM, both);
	keep(2, OUTCOME_QUARANTINE, DIRECTION_INBOUND, "spam", "s@spam.net", SPAM, mixed);
	keep(3, OUTCOME_HOLD, DIRECTION_OUTBOUND, "dpo", "bert@example.org", PLAIN, anna);
	/* the hour before we were there is not made up for; the next one is */
	OK(digest_due(store->db, &conf, &conf.digests.others, slot, slot, &test_err));
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM digest_todo"), 0);
	slot += 86400 * US_PER_SEC;
	OK(digest_due(store->db, &conf, &conf.digests.others, slot, slot, &test_err));
	OK(digest_due(store->db, &conf, &conf.digests.others, slot, slot, &test_err));
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM digest_todo"), 2);	/* anna, bert */
	store->digests->look_at = INT64_MAX;
	digest_tick(store);
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM digest_todo"), 0);
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM outbox"), 2);
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM outbox WHERE rcpt='anna@example.org'"
	    " AND subject='2 messages in quarantine'"), 1);
	/* nothing new: nobody is told */
	slot += 86400 * US_PER_SEC;
	OK(digest_due(store->db, &conf, &conf.digests.others, slot, slot, &test_err));
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM digest_todo"), 0);
	/* only of what is new */
	keep(4, OUTCOME_QUARANTINE, DIRECTION_INBOUND, "spam", "s@spam.net", SPAM, anna);
	slot += 86400 * US_PER_SEC;
	OK(digest_due(store->db, &conf, &conf.digests.others, slot, slot, &test_err));
	store->digests->todo = true;
	digest_tick(store);
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM outbox"), 3);
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM outbox WHERE rcpt='anna@example.org'"
	    " AND subject='1 message in quarantine'"), 1);
}

static void
hostile_rows(void **state)
{
	const struct digest_row rows[] = { { .time = T0, .class = SPAN_LIT("spam"),
		.sender = SPAN_LIT("a\"b<c>@x.net\r\nBcc: v@x.net"),
		.subject = SPAN_LIT("see https://evil.example/ \xe2\x80\xae" "fdp.exe <script>&amp;\xff"),
		.link = SPAN_LIT("https://gw.example.org/digest?token=abc&x=\"y") } };
	const struct digest d = { SPAN_LIT("anna@example.org"), rows, 1, 3, true };
	struct buf b;

	buf_init(&b, DIGEST_TEXT_MAX);
	digest_text(&b, &d);
	buf_putc(&b, '\0');
	assert_null(strstr(buf_data(&b).p, "\nBcc"));
	assert_null(strstr(buf_data(&b).p, "https://evil"));
	assert_non_null(strstr(buf_data(&b).p, "[U+202E]fdp.exe"));
	assert_non_null(strstr(buf_data(&b).p, "et 2 de plus"));
	buf_reset(&b);
	digest_html(&b, &d);
	buf_putc(&b, '\0');
	assert_null(strstr(buf_data(&b).p, "<script"));
	assert_null(strstr(buf_data(&b).p, "<c>"));
	assert_null(strstr(buf_data(&b).p, "x=\"y"));
	assert_non_null(strstr(buf_data(&b).p, "&#60;script&#62;&#38;amp;"));
	buf_release(&b);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(each_sees_his_own), T(filters), T(pages), T(one_of_several_takes_his_own),
		T(a_request_is_granted_or_refused), T(two_persons_release), T(a_rule_asks_for_two), T(a_moment_to_undo), T(undone_by_the_world), T(a_last_look),
		T(scanners_die_of_it), T(a_preview), T(incidents_are_for_reviewers), T(hours),
		T(told_once_at_an_hour), T(hostile_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
