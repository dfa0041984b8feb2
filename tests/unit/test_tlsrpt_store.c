/* test_tlsrpt_store.c -- TLS reports in the store: what is counted, when it is told, to whom, and how often it is tried.
 *
 * The store runs with a clock moved by hand; its neighbours are this test.
 */
#include "store_test.h"

#include <event2/event.h>
#include <sys/socket.h>
#include <zlib.h>

#include "base64.h"
#include "store/store.h"
#include "store/tlsrpt.h"
#include "store/tlsrpt_report.h"

#define DAY INT64_C(20779)		/* 2026-11-22 */
#define MIDNIGHT ((DAY + 1) * TLS_DAY_US)
#define MINUTE (60 * US_PER_SEC)

static union {
	struct runtime rt;
	char room[4096];
} world;
static struct runtime *const rt = &world.rt;
static struct store *store;
static struct config conf;
static int64_t now;
static struct neighbour {
	enum role role;
	struct chan chan;
	struct frame frame;
} delivery = { .role = ROLE_DELIVERY }, queue = { .role = ROLE_QUEUE },
    signer = { .role = ROLE_SIGNER }, fetcher = { .role = ROLE_FETCHER };
static struct neighbour *const all[] = { &delivery, &queue, &signer, &fetcher };

/* ---- the house ---- */

static void
on_frame(void *ctx, struct link *l, struct frame *f)
{
	assert_int_not_equal(store_ops.frame(ctx, l, f), -1);
}

static void
on_closed(void *ctx, struct link *l, const struct err *why)
{
	store_ops.peer_down(ctx, l);
}

static const struct link_ops ops = { on_frame, on_closed };

static void
start(void)
{
	world.rt = (struct runtime){ .role = ROLE_STORE, .instance = 5, .conf = &conf };
	conf = (struct config){ .store = SPAN_LIT("sqlite:"), .store_path = test_path,
		.hostname = SPAN_LIT("gw.example.org"), .reports = { true, SPAN_LIT("tls@example.org"),
		SPAN_LIT("pm@example.org"), SPAN_LIT("Example") } };
	test_shared(rt, &conf);
	rt->base = event_base_new();
	OK(store_ops.run(rt, &test_err));
	store = rt->state;
	for (size_t i = 0; i < 4; i++) {
		int sv[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
		chan_init(&all[i]->chan, sv[1], all[i]->role, ROLE_STORE);
		all[i]->frame.fd = -1;
		store_ops.peer_up(rt, link_new(rt->base, sv[0], ROLE_STORE, all[i]->role, 3, &ops, rt));
	}
}

static void
stop(void)
{
	for (size_t i = 0; i < 4; i++)
		chan_release(&all[i]->chan);
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
	now = DAY * TLS_DAY_US + 12 * 60 * MINUTE;
	clock_virtual = &now;
	start();
	return 0;
}

static int
teardown(void **state)
{
	stop();
	clock_virtual = NULL;
	return test_teardown(state);
}

static void
turn(void)
{
	struct timeval tv = { .tv_usec = 2000 };
	struct err err;

	for (size_t i = 0; i < 4; i++)
		chan_flush(&all[i]->chan, &err);
	event_base_loopexit(rt->base, &tv);
	event_base_loop(rt->base, 0);
}

/* The next frame to that neighbour; false: none comes within `turns`. */
static bool
comes(struct neighbour *n, int turns)
{
	struct err err;

	for (int i = 0; i < turns; i++) {
		int r = chan_next(&n->chan, &n->frame, &err);

		assert_int_not_equal(r, -1);
		if (r == 1)
			return true;
		turn();
		assert_int_not_equal(chan_fill(&n->chan, &err), -1);
	}
	return false;
}

static void
await(struct neighbour *n, enum frame_type type)
{
	if (!comes(n, 2000))
		fail_msg("%s never came", frame_name(type));
	assert_int_equal(n->frame.type, type);
	arena_reset(test_arena);
}

#define SEND(n, kind, type, ticket, m) do { \
	struct buf b_; \
	buf_init(&b_, FRAME_BIG); \
	kind##_encode(&b_, m); \
	assert_int_equal(chan_push(&(n)->chan, type, ticket, buf_data(&b_), -1), 0); \
	buf_release(&b_); \
} while (0)

static void
seen(const char *domain, enum tls_result r, uint32_t count)
{
	struct msg_tls_seen m = { .day = now / TLS_DAY_US, .count = count, .domain = span_str(domain),
		.kind = TLS_KIND_STS, .policy = SPAN_LIT("version: STSv1\nmode: testing"),
		.mx = SPAN_LIT("*.a.example\nmx.a.example"), .result = r };

	if (r != TLS_RESULT_SUCCESS) {
		ip_parse(SPAN_LIT("192.0.2.1"), &m.local);
		ip_parse(SPAN_LIT("2001:db8::1"), &m.remote);
		m.host = SPAN_LIT("mx.a.example");
		m.reason = SPAN_LIT("it is \"old\"");
	}
	SEND(&delivery, tls_seen, FRAME_TLS_SEEN, 0, &m);
	turn();
}

static void
tick(void)
{
	reports_tick(store->tls, now, now);
}

static void
answer_rua(const char *domain, enum rua_status status, const char *text)
{
	struct msg_rua m = { status, span_str(text) };
	struct msg_rua_ask ask;

	await(&delivery, FRAME_RUA_ASK);
	OK(rua_ask_decode(delivery.frame.body, -1, test_arena, &ask));
	if (!span_is(ask.domain, domain))
		fail_msg(SPAN_FMT " is asked for, not %s", SPAN_ARG(ask.domain), domain);
	SEND(&delivery, rua, FRAME_RUA, delivery.frame.ticket, &m);
}

static int64_t
count_of(const char *state)
{
	sqlite3_stmt *st;
	int64_t n;

	st = db_stmt(store->db, "SELECT count(*) FROM tls_report WHERE uri<>'' AND state=?1", &test_err);
	db_int(st, 1, strcmp(state, "sent") == 0 ? REPORT_SENT : strcmp(state, "failed") == 0 ?
	    REPORT_FAILED : REPORT_WAITS);
	OK(db_step(store->db, st, &test_err));
	n = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return n;
}

/* ---- counting ---- */

static void
test_counted(void **state)
{
	struct tls_policy_row *rows;
	size_t n;

	seen("a.example", TLS_RESULT_SUCCESS, 3);
	seen("a.example", TLS_RESULT_EXPIRED, 2);
	seen("a.example", TLS_RESULT_EXPIRED, 5);
	seen("a.example", TLS_RESULT_STARTTLS, 1);
	seen("b.example", TLS_RESULT_SUCCESS, 1);
	reports_flush(store->tls);
	OK(tls_db_day(store->db, DAY, (struct span){ 0 }, 10, test_arena, &rows, &n, &test_err));
	assert_int_equal(n, 2);
	assert_true(span_is(rows[0].domain, "a.example"));
	assert_int_equal(rows[0].ok, 3);
	assert_int_equal(rows[0].failed, 8);
	assert_int_equal(rows[0].nfailures, 2);
	assert_true(span_is(rows[0].failures[0].result, "certificate-expired"));
	assert_int_equal(rows[0].failures[0].count, 7);
	OK(tls_db_day(store->db, DAY, SPAN_LIT("b.example"), 10, test_arena, &rows, &n, &test_err));
	assert_true(n == 1 && rows[0].ok == 1 && rows[0].failed == 0);
	/* two weeks later it is forgotten */
	now += 15 * TLS_DAY_US;
	tick();
	OK(tls_db_day(store->db, DAY, (struct span){ 0 }, 10, test_arena, &rows, &n, &test_err));
	assert_int_equal(n, 0);
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM tls_failure"), 0);
}

/* A server that fails in ever new words fills no disk. */
static void
test_bounded(void **state)
{
	struct tls_policy_row *rows;
	struct msg_tls_seen m = { .day = DAY, .count = 1, .domain = SPAN_LIT("a.example"),
		.result = TLS_RESULT_VALIDATION };
	size_t n;

	OK(db_begin(store->db, false, &test_err));
	for (int i = 0; i < TLS_FAILURES_MAX + 500; i++) {
		m.reason = span_str(arena_printf(test_arena, "reason %d", i));
		OK(tls_db_add(store->db, &m, &test_err));
	}
	OK(db_commit(store->db, &test_err));
	OK(tls_db_day(store->db, DAY, (struct span){ 0 }, 10, test_arena, &rows, &n, &test_err));
	assert_int_equal(rows[0].failed, TLS_FAILURES_MAX + 500);
	assert_int_equal(rows[0].nfailures, TLS_FAILURES_MAX + 1);
}

/* ---- when ---- */

static void
test_spread_over_hours(void **state)
{
	for (int i = 0; i < 40; i++)
		seen(arena_printf(test_arena, "d%d.example", i), TLS_RESULT_SUCCESS, 1);
	reports_flush(store->tls);
	now = MIDNIGHT - US_PER_SEC;
	tick();
	assert_false(comes(&delivery, 5));
	now = MIDNIGHT + 14 * MINUTE;
	tick();
	assert_false(comes(&delivery, 5));
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM tls_report WHERE state=1"), 40);
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM tls_report WHERE next<"
	    "20780*86400000000+900000000 OR next>=20780*86400000000+900000000+14400000000"), 0);
	/* Not all at once: with 40 of them, chance puts some into the first hour and some behind it. */
	assert_true(test_number(store->db, "SELECT max(next)-min(next) FROM tls_report") > 60 * MINUTE);
	now = MIDNIGHT + (15 + 240) * MINUTE;
	for (int i = 0; i < 40; i++) {
		struct msg_rua m = { RUA_NONE, { 0 } };

		tick();
		await(&delivery, FRAME_RUA_ASK);
		SEND(&delivery, rua, FRAME_RUA, delivery.frame.ticket, &m);
		turn();
	}
	tick();
	assert_false(comes(&delivery, 5));
}

/* ---- to whom ---- */

static void
sign(const char *header)
{
	struct msg_signed m = { SIGN_OK, span_str(header), { 0 } };

	SEND(&signer, signed, FRAME_SIGNED, signer.frame.ticket, &m);
}

static void
post_answer(bool ok)
{
	struct msg_posted m = { ok, SPAN_LIT("HTTP status 503") };

	SEND(&fetcher, posted, FRAME_POSTED, fetcher.frame.ticket, &m);
	turn();
	turn();
}

static void
mail_goes(void)
{
	struct msg_sign m;
	struct msg_submit sub;
	struct msg_accepted acc = { .status = ACCEPT_OK };
	struct span text;

	await(&signer, FRAME_SIGN);
	OK(sign_decode(signer.frame.body, signer.frame.fd, test_arena, &m));
	assert_true(span_is(m.domain, "example.org"));
	text = payload_flat(&m.payload, test_arena);
	assert_non_null(memmem(text.p, text.n, "\r\nTLS-Report-Domain: a.example\r\n", 32));
	sign("DKIM-Signature: yes\r\n");
	await(&queue, FRAME_SUBMIT);
	OK(submit_decode(queue.frame.body, queue.frame.fd, test_arena, &sub));
	assert_true(sub.env.flags & ENVELOPE_TLS_OPTIONAL);
	assert_true(span_is(sub.env.sender, "tls@example.org"));
	assert_int_equal(sub.env.nrecipients, 1);
	assert_true(span_is(sub.env.recipients[0].address, "r@a.example"));
	assert_int_equal(sub.env.recipients[0].notify, NOTIFY_NEVER);
	text = payload_flat(&sub.payload, test_arena);
	assert_true(span_starts(text, SPAN_LIT("DKIM-Signature: yes\r\nFrom: <tls@example.org>\r\n")));
	acc.id = sub.env.id;
	SEND(&queue, accepted, FRAME_ACCEPTED, queue.frame.ticket, &acc);
}

static void
test_sent_once(void **state)
{
	seen("a.example", TLS_RESULT_SUCCESS, 1);
	reports_flush(store->tls);
	now = MIDNIGHT + 300 * MINUTE;
	tick();
	answer_rua("a.example", RUA_FOUND, "v=TLSRPTv1; rua=mailto:r@a.example,https://a.example/x");
	turn();
	tick();
	mail_goes();
	await(&fetcher, FRAME_POST);
	post_answer(true);
	assert_int_equal(count_of("sent"), 2);
	/* Neither later nor after a restart. */
	for (int i = 0; i < 3; i++) {
		now += 60 * MINUTE;
		tick();
	}
	assert_false(comes(&delivery, 5) || comes(&signer, 5) || comes(&fetcher, 5));
	stop();
	start();
	now += 60 * MINUTE;
	tick();
	assert_false(comes(&delivery, 5) || comes(&signer, 5) || comes(&fetcher, 5));
}

/* What does not get through is tried for a day, ever more seldom. */
static void
test_tried_again(void **state)
{
	int64_t first, last;
	int tries = 0;

	seen("a.example", TLS_RESULT_EXPIRED, 1);
	reports_flush(store->tls);
	first = now = MIDNIGHT + 300 * MINUTE;
	tick();
	answer_rua("a.example", RUA_FAILED, "");
	turn();
	tick();
	assert_false(comes(&delivery, 5));
	now += 6 * MINUTE;
	tick();
	answer_rua("a.example", RUA_FOUND, "v=TLSRPTv1; rua=https://a.example/x");
	turn();
	for (last = now; now < first + 2 * TLS_DAY_US; now += 5 * MINUTE) {
		tick();
		if (!comes(&fetcher, 2))
			continue;
		assert_int_equal(fetcher.frame.type, FRAME_POST);
		tries++;
		last = now;
		post_answer(false);
	}
	assert_int_equal(count_of("failed"), 1);
	assert_in_range(last - first, 20 * 60 * MINUTE, 29 * 60 * MINUTE);
	assert_in_range(tries, 6, 20);
}

/* The process ends while a report is under way: it is taken up again. */
static void
test_taken_up(void **state)
{
	seen("a.example", TLS_RESULT_SUCCESS, 1);
	reports_flush(store->tls);
	now = MIDNIGHT + 300 * MINUTE;
	tick();
	answer_rua("a.example", RUA_FOUND, "v=TLSRPTv1; rua=https://a.example/x");
	turn();
	tick();
	await(&fetcher, FRAME_POST);
	stop();
	start();
	now += 11 * MINUTE;
	tick();
	await(&fetcher, FRAME_POST);
	post_answer(true);
	assert_int_equal(count_of("sent"), 1);
}

static void
test_not_sent_unasked(void **state)
{
	conf.reports.send = false;
	seen("a.example", TLS_RESULT_SUCCESS, 1);
	reports_flush(store->tls);
	now = MIDNIGHT + 300 * MINUTE;
	tick();
	assert_false(comes(&delivery, 5));
}

/* ---- the report ---- */

static void
test_report(void **state)
{
	struct tls_failure_row failure = { SPAN_LIT("certificate-expired"), SPAN_LIT("192.0.2.1"),
		SPAN_LIT("2001:db8::1"), SPAN_LIT("mx.a.example"), { 0 }, SPAN_LIT("it is \"old\""), 7 };
	struct tls_policy_row rows[] = {
		{ SPAN_LIT("a.example"), TLS_KIND_STS, SPAN_LIT("version: STSv1\nmode: testing"),
		    SPAN_LIT("*.a.example\nmx.a.example"), 3, 7, &failure, 1 },
		{ SPAN_LIT("a.example"), TLS_KIND_NONE, { 0 }, { 0 }, 2, 0, NULL, 0 } };
	char id[REPORT_ID_MAX];
	struct tls_report r = { SPAN_LIT("Example"), SPAN_LIT("pm@example.org"), SPAN_LIT("tls@example.org"),
		SPAN_LIT("example.org"), SPAN_LIT("gw.example.org"), SPAN_LIT("a.example"), DAY * 86400,
		DAY * 86400 + 86399, id, rows, 2 };
	struct buf json, gz, msg, decoded;
	char out[4096];
	z_stream z = { 0 };
	struct span text;

	buf_init(&json, 1u << 20);
	buf_init(&gz, 1u << 20);
	buf_init(&msg, 1u << 20);
	buf_init(&decoded, 1u << 20);
	report_id(&r, id);
	assert_string_equal(id, "20261122.a.example@gw.example.org");
	report_json(&json, &r);
	/* By the schema of RFC 8460, 4.4. */
	assert_true(span_is(buf_data(&json), "{\"organization-name\":\"Example\",\"date-range\":{"
	    "\"start-datetime\":\"2026-11-22T00:00:00Z\",\"end-datetime\":\"2026-11-22T23:59:59Z\"},"
	    "\"contact-info\":\"pm@example.org\",\"report-id\":\"20261122.a.example@gw.example.org\","
	    "\"policies\":[{\"policy\":{\"policy-type\":\"sts\",\"policy-string\":[\"version: STSv1\","
	    "\"mode: testing\"],\"policy-domain\":\"a.example\",\"mx-host\":[\"*.a.example\","
	    "\"mx.a.example\"]},\"summary\":{\"total-successful-session-count\":3,"
	    "\"total-failure-session-count\":7},\"failure-details\":[{\"result-type\":"
	    "\"certificate-expired\",\"sending-mta-ip\":\"192.0.2.1\",\"receiving-mx-hostname\":"
	    "\"mx.a.example\",\"receiving-ip\":\"2001:db8::1\",\"failed-session-count\":7,"
	    "\"failure-reason-code\":\"it is \\\"old\\\"\"}]},{\"policy\":{\"policy-type\":"
	    "\"no-policy-found\",\"policy-domain\":\"a.example\"},\"summary\":{"
	    "\"total-successful-session-count\":2,\"total-failure-session-count\":0}}]}"));
	OK(report_gzip(&gz, buf_data(&json), &test_err));
	report_message(&msg, &r, buf_data(&gz), "r@a.example", MIDNIGHT);
	text = buf_data(&msg);
	assert_non_null(memmem(text.p, text.n, "filename=\"example.org!a.example!1795305600!1795391999.json.gz\"", 61));
	/* The attachment is the report, and no line is too long. */
	for (struct span rest = text; rest.n; ) {
		size_t eol = span_find(rest, '\n');

		assert_true(eol > 0 && rest.p[eol - 1] == '\r' && eol < 200);
		rest = span_from(rest, eol + 1);
	}
	text.p = (char *)memmem(text.p, text.n, ".json.gz\"\r\n\r\n", 13) + 13;
	text.n = buf_size(&msg) - (size_t)(text.p - buf_data(&msg).p);
	while (text.p[0] != '-') {
		struct span one = span_trim(span_sub(text, 0, span_find(text, '\n')));

		assert_int_equal(base64_decode(&decoded, one), 0);
		text = span_from(text, span_find(text, '\n') + 1);
	}
	assert_true(span_eq(buf_data(&decoded), buf_data(&gz)));
	assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
	z.next_in = (Bytef *)(uintptr_t)buf_data(&decoded).p;
	z.avail_in = (uInt)buf_size(&decoded);
	z.next_out = (Bytef *)out;
	z.avail_out = sizeof(out);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_true(span_eq(span_make(out, z.total_out), buf_data(&json)));
	inflateEnd(&z);
	buf_release(&json);
	buf_release(&gz);
	buf_release(&msg);
	buf_release(&decoded);
	/* A part of a day has a name of its own. */
	r.end = DAY * 86400 + 3600;
	report_id(&r, id);
	assert_string_equal(id, "20261122T010000.a.example@gw.example.org");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_spread_over_hours, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sent_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tried_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_taken_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_sent_unasked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_report, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
