/* test_store_journal.c -- events in any order and any number of times; searches; their speed. */
#include "store_test.h"

#include <time.h>

#define ROWS 200000
#define TRACE_LIMIT_US 50000

static const char *const two[] = { "a@example.net", "b@example.com", NULL };
static const char *const one[] = { "a@example.net", NULL };

static struct buf out;

static struct trace_result
trace(struct db *d, const char *q, uint32_t limit)
{
	struct trace_result res;

	buf_reset(&out);
	OK(journal_trace(d, span_str(q), NULL, 0, limit, &out, &res, &test_err));
	return res;
}

/* The only message that answers q. */
static struct jval *
trace_one(struct db *d, const char *q, unsigned n)
{
	struct jval *v;

	assert_int_equal(trace(d, q, 10).found, 1);
	v = test_line(buf_data(&out), 0);
	test_text_is(v, "id", test_id_text(n));
	return v;
}

static void
a_life(void **state)
{
	struct db *d = test_open();
	struct jval *v;
	const struct jval *r;

	assert_int_equal(test_add(d, test_accepted(1, "m.durand@example.org", two)), 1);
	assert_int_equal(test_add(d, test_result(1, EVENT_DEFERRED, two[0], T0 + 2000010)), 1);
	assert_int_equal(test_add(d, test_result(1, EVENT_SENT, two[0], T0 + 2000020)), 1);
	v = trace_one(d, test_id_text(1), 1);
	test_text_is(v, "sender", "m.durand@example.org");
	test_text_is(v, "client", "10.1.2.3");
	test_text_is(v, "direction", "outbound");
	assert_int_equal(jval_int(v, "size", 0), 4096);
	assert_int_equal(jval_int(v, "time", 0), T0 + US_PER_SEC);
	assert_int_equal(jval_count(jval_get(v, "recipients")), 2);
	assert_int_equal(jval_count(jval_get(v, "events")), 3);
	r = jval_at(jval_get(v, "recipients"), 0);
	test_text_is(r, "address", "a@example.net");
	test_text_is(r, "status", "sent");
	test_text_is(r, "reply", "250 2.0.0 OK queued as 9F");
	assert_int_equal(jval_int(r, "attempts", 0), 2);
	r = jval_at(jval_get(v, "recipients"), 1);
	test_text_is(r, "status", "queued");
	assert_false(jval_has(r, "reply"));
	jval_free(&v);
	db_close(&d);
}

/* A queue that lost its channel, or was started again, sends what it has once more. */
static void
again_counts_once(void **state)
{
	struct db *d = test_open();

	for (int i = 0; i < 3; i++) {
		assert_int_equal(test_add(d, test_accepted(1, "m@example.org", two)), i == 0);
		assert_int_equal(test_add(d, test_result(1, EVENT_DEFERRED, two[0], T0 + 2000010)),
		    i == 0);
		assert_int_equal(test_add(d, test_result(1, EVENT_SENT, two[0], T0 + 2000020)), i == 0);
	}
	assert_int_equal(test_number(d, "SELECT count(*) FROM event"), 3);
	assert_int_equal(test_number(d, "SELECT attempts FROM recipient WHERE"
	    " address='a@example.net'"), 2);
	/* The same at another time is another event. */
	assert_int_equal(test_add(d, test_result(1, EVENT_SENT, two[0], T0 + 2000021)), 1);
	db_close(&d);
}

/* What is later wins, whatever comes first. */
static void
order_does_not_matter(void **state)
{
	struct db *d = test_open();
	struct jval *v;
	const struct jval *r;

	test_add(d, test_result(1, EVENT_SENT, one[0], T0 + 2 * US_PER_SEC));
	test_add(d, test_result(1, EVENT_DEFERRED, one[0], T0 + 10));
	test_add(d, test_accepted(1, "m@example.org", one));
	v = trace_one(d, "m@example.org", 1);
	r = jval_at(jval_get(v, "recipients"), 0);
	test_text_is(r, "status", "sent");
	assert_int_equal(jval_int(r, "attempts", 0), 2);
	test_text_is(jval_at(jval_get(v, "events"), 0), "kind", "deferred");
	test_text_is(jval_at(jval_get(v, "events"), 2), "kind", "sent");
	jval_free(&v);
	db_close(&d);
}

static void
for_all_recipients(void **state)
{
	struct db *d = test_open();

	test_add(d, test_accepted(1, "m@example.org", two));
	test_add(d, test_result(1, EVENT_EXPIRED, "", T0 + 5 * US_PER_SEC));
	assert_int_equal(test_number(d, "SELECT count(*) FROM recipient WHERE status='expired'"), 2);
	/* An operator's act, a notice: nothing changes for anybody. */
	test_add(d, test_result(1, EVENT_OPERATOR, "", T0 + 6 * US_PER_SEC));
	test_add(d, test_result(1, EVENT_BOUNCED, "", T0 + 7 * US_PER_SEC));
	assert_int_equal(test_number(d, "SELECT count(*) FROM recipient WHERE status='expired'"), 2);
	db_close(&d);
}

static void
refused_ones_are_found(void **state)
{
	struct db *d = test_open();
	struct msg_event ev = test_accepted(1, "m@example.org", two);
	struct jval *v;

	ev.kind = EVENT_REFUSED;
	ev.record = (struct span){ 0 };
	ev.reply = SPAN_LIT("550 5.7.1 no");
	test_add(d, ev);
	v = trace_one(d, "b@example.com", 1);
	test_text_is(jval_at(jval_get(v, "recipients"), 1), "status", "refused");
	test_text_is(jval_at(jval_get(v, "recipients"), 1), "reply", "550 5.7.1 no");
	jval_free(&v);
	/* No envelope, no message: an event alone, found by its id. */
	ev = (struct msg_event){ .kind = EVENT_REFUSED, .id = test_id(2), .time = T0 };
	test_add(d, ev);
	assert_int_equal(trace(d, test_id_text(2), 10).found, 1);
	db_close(&d);
}

static void
questions(void **state)
{
	static const char *const other[] = { "Chef.Info@partner.example", NULL };
	struct db *d = test_open();
	struct msg_event ev = test_accepted(2, "paul@sub.example.org", other);

	test_add(d, test_accepted(1, "m.durand@example.org", two));
	ev.record = SPAN_LIT("{\"v\":1,\"subject\":\"Budget pr\xc3\xa9visionnel 2027\"}");
	ip_parse(SPAN_LIT("2001:db8::1"), &ev.env.client);
	test_add(d, ev);
	ev = test_accepted(3, "m.durand@example.org", one);
	ev.parent = test_id(1);
	test_add(d, ev);
	ev = test_accepted(4, "", two);	/* a notice: the null sender */
	test_add(d, ev);

	assert_int_equal(trace(d, "m.durand@example.org", 10).found, 2);
	assert_int_equal(trace(d, "M.DURAND@Example.ORG", 10).found, 2);
	assert_int_equal(trace(d, "<m.durand@example.org>", 10).found, 2);
	assert_int_equal(trace(d, "a@example.net", 10).found, 3);
	assert_int_equal(trace(d, "example.org", 10).found, 4);	/* of the client's name, too */
	assert_int_equal(trace(d, "@example.org", 10).found, 2);
	assert_int_equal(trace(d, "EXAMPLE.com", 10).found, 2);
	assert_int_equal(trace(d, "10.1.2.3", 10).found, 3);
	assert_int_equal(trace(d, "m.durand", 10).found, 2);
	assert_int_equal(trace(d, "durand", 10).found, 2);
	assert_int_equal(trace(d, "duran", 10).found, 0);
	assert_int_equal(trace(d, "DURAN*", 10).found, 2);
	assert_int_equal(trace(d, "nobody@example.org", 10).found, 0);
	assert_int_equal(trace(d, test_id_text(9), 10).found, 0);
	jval_free(&(struct jval *){ trace_one(d, "chef.info@PARTNER.example", 2) });
	jval_free(&(struct jval *){ trace_one(d, "2001:0DB8::1", 2) });
	jval_free(&(struct jval *){ trace_one(d, "previsionnel budget", 2) });
	/* A message and what was made from it. */
	assert_int_equal(trace(d, test_id_text(1), 10).found, 2);
	db_close(&d);
}

static void
newest_first_and_more(void **state)
{
	struct db *d = test_open();
	struct trace_result res;

	for (unsigned n = 1; n <= 5; n++)
		test_add(d, test_accepted(n, "m@example.org", one));
	res = trace(d, "m@example.org", 3);
	assert_int_equal(res.found, 3);
	assert_true(res.more);
	for (unsigned i = 0; i < 3; i++) {
		struct jval *v = test_line(buf_data(&out), i);

		test_text_is(v, "id", test_id_text(5 - i));
		jval_free(&v);
	}
	res = trace(d, "m@example.org", 5);
	assert_int_equal(res.found, 5);
	assert_false(res.more);
	db_close(&d);
}

/* What strangers write stays text: in SQL, in JSON. */
static void
hostile_texts(void **state)
{
	static const char *const bad[] = { "x'; DROP TABLE event; --@example.net", "\"\\\x01\xff@b.example",
		NULL };
	struct db *d = test_open();
	struct msg_event ev = test_accepted(1, "e\"vil\n@example.org", bad);
	struct jval *v;

	test_add(d, ev);
	ev = test_result(1, EVENT_SENT, bad[0], T0 + 5);
	ev.reply = span_make("250 a\0b\r\nX", 10);
	test_add(d, ev);
	v = trace_one(d, test_id_text(1), 1);
	test_text_is(v, "sender", "e\"vil\n@example.org");
	assert_int_equal(jval_count(jval_get(v, "recipients")), 2);
	assert_int_equal(test_number(d, "SELECT count(*) FROM event"), 2);
	jval_free(&v);
	v = trace_one(d, "to:\"x'; DROP TABLE event; --@example.net\"", 1);
	jval_free(&v);
	db_close(&d);
}

static void
records(void **state)
{
	struct db *d = test_open();
	struct msg_event ev = test_accepted(1, "m@example.org", one);
	char *large = arena_alloc(test_arena, 100000);
	struct span json;

	memset(large, ' ', 100000);
	large[0] = '{';
	large[99999] = '}';
	ev.record = span_make(large, 100000);
	test_add(d, ev);
	ev = test_accepted(2, "m@example.org", one);
	ev.parent = test_id(1);
	ev.record = (struct span){ 0 };
	test_add(d, ev);
	test_add(d, test_accepted(3, "m@example.org", one));

	assert_int_equal(journal_record(d, test_id(1), test_arena, &json, &test_err), 1);
	assert_true(span_eq(json, span_make(large, 100000)));
	assert_true(test_number(d, "SELECT length(json) FROM record WHERE length(json)<1000") > 0);
	/* Of what was made from it: the same. */
	assert_int_equal(journal_record(d, test_id(2), test_arena, &json, &test_err), 1);
	assert_int_equal(json.n, 100000);
	assert_int_equal(journal_record(d, test_id(3), test_arena, &json, &test_err), 1);
	assert_true(span_is(json, "{\"v\":1,\"policy\":\"aa\"}"));
	assert_int_equal(journal_record(d, test_id(4), test_arena, &json, &test_err), 0);
	assert_int_equal(journal_knows(d, test_id(3), &test_err), 1);
	assert_int_equal(journal_knows(d, test_id(4), &test_err), 0);
	db_close(&d);
}

/* ---- a large journal ---- */

static int64_t
cpu_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * US_PER_SEC + ts.tv_nsec / 1000;
}

static void
fill(struct db *d)
{
	int64_t begun = clock_mono(), cpu = cpu_us();
	struct journal_batch *b = NULL;

	for (unsigned n = 0; n < ROWS; n++) {
		if (n % 500 == 0) {
			OK(db_begin(d, false, &test_err));
			b = journal_begin(d, false);
		}
		const char *sender = arena_printf(test_arena, "user%u@dept%u.example.org", n % 5000, n % 40);
		const char *to[] = { arena_printf(test_arena, "person%u@site%u.example.net", n % 30011, n % 997), NULL };

		test_add_to(b, test_accepted(n, sender, to));
		test_add_to(b, test_result(n, EVENT_SENT, to[0], T0 + n * US_PER_SEC + 900000));
		if (n % 500 == 499) {
			OK(journal_write(b, &test_err));
			journal_free(&b);
			OK(db_commit(d, &test_err));
			arena_reset(test_arena);
		}
	}
	print_message("%d messages, 2 events each: %.0f messages/s, %.1f us CPU each, %lld MB\n", ROWS,
	    ROWS * 1e6 / (double)(clock_mono() - begun), (double)(cpu_us() - cpu) / ROWS,
	    (long long)test_number(d, "SELECT page_count*page_size/1000000 FROM"
	    " pragma_page_count, pragma_page_size"));
}

static void
a_large_journal_answers_at_once(void **state)
{
	static const struct { const char *q; bool some; } asks[] = {
		{ "user17@dept17.example.org", true }, { "person29@site29.example.net", true },
		{ "dept3.example.org", true }, { "site500.example.net", true }, { "10.1.2.3", true },
		{ "user4999", true }, { "nobody@example.org", false }, { "nowhere.example", false },
		{ "192.0.2.1", false },
	};
	struct db *d = test_open();

	fill(d);
	for (size_t i = 0; i <= sizeof(asks) / sizeof(asks[0]); i++) {
		const char *q = i < sizeof(asks) / sizeof(asks[0]) ? asks[i].q : test_id_text(77777);
		bool some = i < sizeof(asks) / sizeof(asks[0]) ? asks[i].some : true;
		int64_t begun = clock_mono(), us;
		struct trace_result res = trace(d, q, 20);

		us = clock_mono() - begun;
		print_message("trace %-28s %2zu found, %6.2f ms\n", q, res.found, (double)us / 1000);
		assert_int_equal(res.found > 0, some);
#ifndef POSTERN_SANITIZED
		assert_true(us < TRACE_LIMIT_US);
#endif
	}
	db_close(&d);
}

static int
open_out(void **state)
{
	buf_init(&out, 64u << 20);
	return 0;
}

static int
close_out(void **state)
{
	buf_release(&out);
	return 0;
}

#define T(name) cmocka_unit_test_setup_teardown(name, test_setup, test_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_life), T(again_counts_once), T(order_does_not_matter), T(for_all_recipients),
		T(refused_ones_are_found), T(questions), T(newest_first_and_more), T(hostile_texts),
		T(records), T(a_large_journal_answers_at_once),
	};

	return cmocka_run_group_tests(tests, open_out, close_out);
}
