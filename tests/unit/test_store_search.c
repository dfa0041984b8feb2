/* test_store_search.c -- the language of searches, the index behind it, who sees what, and what is forgotten. */
#include "store_test.h"

#include "store/hours.h"
#include "store/keyring.h"
#include "store/store.h"

static struct buf out;
static const char *const two[] = { "a@example.net", "b@example.com", NULL };
static const char *const one[] = { "a@example.net", NULL };

/* ---- the language ---- */

static struct search_query
parse(const char *text)
{
	struct search_query q;

	OK(search_parse(span_str(text), T0, test_arena, &q, &test_err));
	return q;
}

static void
takes_apart(void **state)
{
	struct search_query q = parse("  durand  from:@example.org subject:\"budget 2026\" fact* \"x y\"");

	assert_int_equal(q.n, 5);
	assert_int_equal(q.terms[0].field, SEARCH_ANY);
	assert_true(span_is(q.terms[0].text, "durand"));
	assert_int_equal(q.terms[1].field, SEARCH_FROM);
	assert_true(span_is(q.terms[1].text, "@example.org"));
	assert_int_equal(q.terms[2].field, SEARCH_SUBJECT);
	assert_true(span_is(q.terms[2].text, "budget 2026"));
	assert_true(q.terms[3].prefix);
	assert_true(span_is(q.terms[3].text, "fact"));
	assert_true(span_is(q.terms[4].text, "x y"));
	q = parse("SINCE:2026-11-20 before:2026-11-21T12:30:15Z status:Failed");
	assert_int_equal(q.n, 0);
	assert_true(q.since == INT64_C(1795132800) * US_PER_SEC);	/* date -ud 2026-11-20 +%s */
	assert_true(q.before == INT64_C(1795264215) * US_PER_SEC);
	assert_true(span_is(q.status, "failed"));
	q = parse("x since:2d");
	assert_true(q.since == T0 - INT64_C(2) * 86400 * US_PER_SEC);
	q = parse("x since:today");
	assert_int_equal(q.since % (86400 * US_PER_SEC), 0);
	q = parse(test_id_text(4));
	assert_true(q.has_id && q.id == test_id(4) && q.n == 1);
	q = parse("id:8DpPM4Igi07");
	assert_true(q.has_id && q.n == 0);
	assert_int_equal(parse("2001:db8::1").n, 1);	/* no field called 2001 */
	assert_int_equal(parse("Re: hello").n, 2);
	assert_int_equal(parse("<a@example.org>").n, 1);
	assert_true(span_is(parse("<a@example.org>").terms[0].text, "a@example.org"));
	assert_int_equal(parse("from:<>").terms[0].text.n, 0);
}

static void
says_what_is_wrong(void **state)
{
	static const struct { const char *q, *why; } bad[] = {
		{ "", "nothing to look for" }, { " \t ", "nothing to look for" }, { "%", "no word" },
		{ "\"a b", "not closed" }, { "form:x", "did you mean `from:`?" }, { "zzzzz:x", "there are from, to" },
		{ "since:soon", "wants a time" }, { "since:2026-13-01", "wants a time" },
		{ "before:2026-11-22T25:00", "wants a time" }, { "status:fialed", "did you mean `failed`?" },
		{ "status:nonsense", "is no status" }, { "ip:example.org", "wants an address" }, { "id:1", "11 letters" },
		{ "since:1d before:2d", "not before" }, { "a b c d e f g h i j k l m n o p q", "more than 16" },
		{ "subject:\"\"", "no word" }, { "*", "no word" },
	};
	struct search_query q;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(search_parse(span_str(bad[i].q), T0, test_arena, &q, &test_err), -1);
		if (!strstr(test_err.text, bad[i].why))
			fail_msg("%s: %s", bad[i].q, test_err.text);
	}
}

/* ---- the index ---- */

static struct trace_result
trace_as(struct db *d, const char *q, const struct principal *p, uint64_t below, uint32_t limit)
{
	struct trace_result res;

	buf_reset(&out);
	OK(journal_trace(d, span_str(q), p, below, limit, &out, &res, &test_err));
	return res;
}

static size_t
found(struct db *d, const char *q)
{
	return trace_as(d, q, NULL, 0, 100).found;
}

static void
add_some(struct db *d)
{
	struct msg_event ev = test_accepted(1, "m.durand@example.org", two);

	ev.record = SPAN_LIT("{\"v\":1,\"subject\":\"R\xc3\xa9union budget 2026\",\"parts\":[{\"part\":\"2\",\"name\":\"plan annuel.pdf\"}],"
	    "\"recipients\":[{\"address\":\"a@example.net\",\"rules\":[\"cards\",\"big-files\"]}]}");
	test_add(d, ev);
	ev = test_result(1, EVENT_DEFERRED, "a@example.net", T0 + 2000010);
	ev.reply = SPAN_LIT("450 4.2.0 Greylisted, see http://postgrey.example/a@example.net");
	test_add(d, ev);
	test_add(d, test_result(1, EVENT_SENT, "b@example.com", T0 + 2000020));
	ev = test_accepted(2, "paul@sub.example.org", one);
	ev.record = SPAN_LIT("{\"v\":1,\"subject\":\"budget of the union 2026\"}");
	test_add(d, ev);
	test_add(d, test_result(2, EVENT_FAILED, "a@example.net", T0 + 3000020));
	ev = test_accepted(3, "", two);
	ev.kind = EVENT_REFUSED;
	ev.reply = SPAN_LIT("550 5.7.1 not here");
	test_add(d, ev);
}

static void
finds(void **state)
{
	static const struct { const char *q; size_t n; } asks[] = {
		{ "budget", 2 }, { "REUNION", 1 }, { "r\xc3\xa9union", 1 }, { "union", 1 }, { "bud*", 2 },
		{ "\"budget 2026\"", 1 }, { "2026 budget", 2 }, { "subject:budget file:plan.pdf", 0 },
		{ "file:\"plan annuel.pdf\"", 1 }, { "annuel.pdf", 1 }, { "file:budget", 0 },
		{ "from:m.durand@example.org", 1 }, { "from:@example.org", 1 }, { "from:example.org", 2 },
		{ "from:a@example.net", 0 }, { "to:a@example.net", 3 }, { "to:@EXAMPLE.com", 2 }, { "to:b", 2 },
		{ "from:<>", 1 }, { "ip:10.1.2.3", 3 }, { "10.1.2.3", 3 }, { "ip:10.1.2.4", 0 }, { "client:exchange", 3 },
		{ "rule:cards", 1 }, { "rule:card", 0 }, { "rule:big-files budget", 1 }, { "rule:big*", 1 },
		{ "reply:greylisted", 1 }, { "greylisted", 1 }, { "reply:greylisted from:paul", 0 },
		{ "reply:\"not here\"", 1 }, { "to:a@example.net budget status:failed", 1 }, { "status:failed", 1 },
		{ "status:sent", 1 }, { "status:refused", 1 }, { "status:expired", 0 }, { "budget status:deferred", 1 },
		{ "budget since:2026-11-22", 2 }, { "budget before:2026-11-21", 0 }, { "since:2026-11-22", 3 },
		{ "budget OR nothing", 0 }, { "NOT", 1 },	/* the word, of a reply */
		{ "\"budget) OR (keys\"", 0 },
	};
	struct db *d = test_open();

	add_some(d);
	for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]); i++)
		if (found(d, asks[i].q) != asks[i].n)
			fail_msg("%s: %zu, not %zu", asks[i].q, found(d, asks[i].q), asks[i].n);
	db_close(&d);
}

static void
pages_go_on(void **state)
{
	struct db *d = test_open();
	uint64_t below = 0;
	unsigned seen = 0;
	struct trace_result res;

	/* over three weeks: each has an index of its own */
	for (unsigned n = 0; n < 30; n++)
		test_add(d, test_accepted(n * 60000, "m@example.org", one));
	do {
		res = trace_as(d, "m@example.org", NULL, below, 7);
		for (size_t i = 0; i < res.found; i++, seen++) {
			struct jval *v = test_line(buf_data(&out), i);

			test_text_is(v, "id", test_id_text((29 - seen) * 60000));
			jval_free(&v);
		}
		below = res.last;
	} while (res.more);
	assert_int_equal(seen, 30);
	assert_true(test_number(d, "SELECT count(*) FROM search_week") >= 3);
	db_close(&d);
}

/* ---- lists that are joined ---- */

#define JOINED 3000

/* What message n says, by what divides its number: common and rare things, over three weeks. */
static bool
joined_has(unsigned n, unsigned divisor)
{
	return divisor && (n * 7919u) % 1009u % divisor == 0;
}

static const struct joined_word {
	const char *q;
	unsigned divisor;
} joined_words[] = { { "often", 2 }, { "subject:seldom", 97 }, { "subject:rare", 311 }, { "of*", 2 },
	{ "reply:tempo", 3 }, { "reply:unique", 499 }, { "status:failed", 5 }, { "status:expired", 401 },
	{ "status:queued", 211 }, { "from:m@example.org", 1 }, { "nowhere", 0 } };
#define JOINED_WORDS (sizeof(joined_words) / sizeof(joined_words[0]))

static enum event_kind
joined_kind(unsigned n)
{
	return joined_has(n, 401) ? EVENT_EXPIRED : joined_has(n, 211) ? EVENT_ACCEPTED :
	    joined_has(n, 5) ? EVENT_FAILED : EVENT_SENT;
}

static bool
joined_is(unsigned n, const struct joined_word *w)
{
	if (strncmp(w->q, "status:", 7) != 0)
		return joined_has(n, w->divisor);
	return joined_kind(n) == (w->divisor == 5 ? EVENT_FAILED : w->divisor == 401 ? EVENT_EXPIRED : EVENT_ACCEPTED);
}

static void
fill_joined(struct db *d)
{
	struct journal_batch *b;

	OK(db_begin(d, false, &test_err));
	b = journal_begin(d, false);
	for (unsigned n = 0; n < JOINED; n++) {
		struct msg_event ev = test_accepted(n * 600, "m@example.org", one);
		struct msg_event end = test_result(n * 600, joined_kind(n), one[0], ev.time + 100);

		ev.record = span_str(arena_printf(test_arena, "{\"v\":1,\"subject\":\"x%s%s%s\"}",
		    joined_has(n, 2) ? " often" : "", joined_has(n, 97) ? " seldom" : "", joined_has(n, 311) ? " rare" : ""));
		end.reply = span_str(arena_printf(test_arena, "250 z%s%s", joined_has(n, 3) ? " tempo" : "",
		    joined_has(n, 499) ? " unique" : ""));
		test_add_to(b, ev);
		if (end.kind == EVENT_ACCEPTED) {	/* it waits, and something was said of it already */
			end.kind = EVENT_DELAYED;
			test_add_to(b, end);
		} else {
			test_add_to(b, end);
		}
	}
	OK(journal_write(b, &test_err));
	OK(db_commit(d, &test_err));
	journal_free(&b);
}

/* Newest first: exactly those that have both, and the next page goes on behind the last. */
static void
joined_agree(struct db *d, const struct joined_word *v, const struct joined_word *w)
{
	char *q = arena_printf(test_arena, "%s %s", v->q, w->q);
	unsigned n = JOINED, rows = 0;
	struct trace_result res = { 0 };
	uint64_t below = 0;

	for (;;) {
		while (n > 0 && !(joined_is(n - 1, v) && joined_is(n - 1, w)))
			n--;
		if (rows == res.found) {
			if (res.last && !res.more)
				break;
			below = res.last;
			res = trace_as(d, q, NULL, below, 60);
			rows = 0;
			if (res.found == 0)
				break;
		}
		if (n == 0)
			break;
		struct jval *line = test_line(buf_data(&out), rows++);

		if (!span_is(jval_text(line, "id"), test_id_text(--n * 600)))
			fail_msg("%s: " SPAN_FMT ", not message %u", q, SPAN_ARG(jval_text(line, "id")), n);
		jval_free(&line);
	}
	if (n != 0 || rows != res.found || res.partial)
		fail_msg("%s: %zu found more, %u left", q, res.found - rows, n);
}

static void
joins(void **state)
{
	struct db *d = test_open();

	fill_joined(d);
	for (size_t i = 0; i < JOINED_WORDS; i++)
		for (size_t k = 0; k < JOINED_WORDS; k++)
			if (strncmp(joined_words[i].q, "status:", 7) != 0 || i == k)
				joined_agree(d, &joined_words[i], &joined_words[k]);
	db_close(&d);
}

/* Words that come later are added to those that are there. */
static void
words_are_added(void **state)
{
	struct db *d = test_open();
	struct msg_event ev = test_accepted(1, "m@example.org", one);

	ev.kind = EVENT_REFUSED;	/* one recipient is refused, the other taken: two events of one message */
	test_add(d, ev);
	for (unsigned n = 2; n < 40; n++)
		test_add(d, test_accepted(n, "other@example.org", two));
	ev = test_accepted(1, "m@example.org", two);
	ev.record = SPAN_LIT("{\"v\":1,\"subject\":\"late words\"}");
	test_add(d, ev);
	assert_int_equal(found(d, "late from:m@example.org"), 1);
	assert_int_equal(found(d, "to:b@example.com from:m@example.org"), 1);
	assert_int_equal(found(d, "from:m@example.org"), 1);
	db_close(&d);
}

/* ---- who sees what ---- */

static void
principals(void **state)
{
	static struct span org = { "example.org", 11 }, net = { "example.net", 11 }, b = { "b@example.com", 13 };
	struct principal sender = { .name = SPAN_LIT("s"), .roles = PRINCIPAL_BIT(DOMAIN_ADMIN), .domains = &org,
		.ndomains = 1 }, rcpt = sender, user = { .name = SPAN_LIT("u"), .roles = PRINCIPAL_BIT(USER),
		.addresses = &b, .naddresses = 1 }, nobody = { .name = SPAN_LIT("n") },
	    operator = { .name = SPAN_LIT("o"), .roles = PRINCIPAL_BIT(OPERATOR) };
	struct db *d = test_open();
	bool whole;
	struct jval *v;

	rcpt.domains = &net;
	add_some(d);
	/* its own senders, and all their recipients */
	assert_int_equal(trace_as(d, "2026", &sender, 0, 10).found, 1);
	v = test_line(buf_data(&out), 0);
	assert_int_equal(jval_count(jval_get(v, "recipients")), 2);
	jval_free(&v);
	/* its own recipients, and no other's */
	assert_int_equal(trace_as(d, "r\xc3\xa9union", &rcpt, 0, 10).found, 1);
	v = test_line(buf_data(&out), 0);
	assert_int_equal(jval_count(jval_get(v, "recipients")), 1);
	test_text_is(jval_at(jval_get(v, "recipients"), 0), "address", "a@example.net");
	jval_free(&v);
	assert_null(memmem(buf_data(&out).p, buf_size(&out), "example.com", 11));
	assert_int_equal(trace_as(d, "reply:greylisted", &rcpt, 0, 10).found, 1);
	assert_int_equal(trace_as(d, "reply:greylisted", &user, 0, 10).found, 1);	/* b got it, too */
	assert_null(memmem(buf_data(&out).p, buf_size(&out), "reylisted", 9));
	assert_int_equal(trace_as(d, "budget", &user, 0, 10).found, 1);
	assert_int_equal(trace_as(d, test_id_text(2), &user, 0, 10).found, 0);	/* another's */
	assert_int_equal(trace_as(d, test_id_text(2), &rcpt, 0, 10).found, 1);
	assert_int_equal(trace_as(d, "status:failed", &user, 0, 10).found, 0);
	assert_int_equal(trace_as(d, "since:2026-11-22", &nobody, 0, 10).found, 0);
	assert_int_equal(trace_as(d, "budget", &nobody, 0, 10).found, 0);
	assert_int_equal(trace_as(d, "budget", &operator, 0, 10).found, 2);
	assert_int_equal(search_sees(d, &rcpt, test_id(1), &whole, &test_err), 1);
	assert_false(whole);
	assert_int_equal(search_sees_whole(d, &rcpt, test_id(1), &test_err), 0);
	assert_int_equal(search_sees_whole(d, &rcpt, test_id(2), &test_err), 1);
	db_close(&d);
}

/* ---- what is older ---- */

/* As a version without it has left the database. */
static void
without_index(struct db *d)
{
	char *sql = arena_printf(test_arena, "DROP TABLE search_%1$lld; DROP TABLE replies_%1$lld; DELETE FROM search_week;",
	    (long long)test_number(d, "SELECT max(week) FROM search_week"));

	assert_int_equal(test_number(d, "SELECT count(*) FROM search_week"), 1);
	assert_int_equal(sqlite3_exec(db_sqlite(d), sql, NULL, NULL, NULL), SQLITE_OK);
}

static void
old_ones_are_indexed(void **state)
{
	struct db *d = test_open();
	struct trace_result res;

	for (unsigned n = 0; n < 25; n++) {
		struct msg_event ev = test_accepted(n, "m@example.org", one);

		if (n == 3)
			ev.record = SPAN_LIT("{\"v\":1,\"subject\":\"hidden\",\"parts\":[{\"name\":\"old.pdf\"}]}");
		test_add(d, ev);
		test_add(d, test_result(n, EVENT_SENT, one[0], T0 + n * US_PER_SEC + 5));
	}
	without_index(d);
	assert_int_equal(test_number(d, "INSERT INTO setting(name, value) SELECT 'search_from', max(id)+1 FROM message"
	    " RETURNING value>0"), 1);
	res = trace_as(d, "m@example.org", NULL, 0, 100);
	assert_int_equal(res.found, 0);
	assert_true(res.unindexed);
	assert_int_equal(search_backfill(d, 10, &test_err), 1);
	res = trace_as(d, "m@example.org", NULL, 0, 100);
	assert_int_equal(res.found, 10);	/* the newest first */
	assert_true(res.unindexed);
	assert_int_equal(search_backfill(d, 10, &test_err), 1);
	assert_int_equal(search_backfill(d, 10, &test_err), 0);
	res = trace_as(d, "m@example.org", NULL, 0, 100);
	assert_int_equal(res.found, 25);
	assert_false(res.unindexed);
	assert_int_equal(found(d, "file:old.pdf hidden"), 1);
	assert_int_equal(found(d, "reply:queued"), 25);
	db_close(&d);
}

static void
old_ones_go(void **state)
{
	static const char *const tables[] = { "SELECT count(*) FROM message", "SELECT count(*) FROM recipient",
		"SELECT count(*) FROM record", "SELECT count(*) FROM event" };
	struct db *d = test_open();
	int64_t before = T0 + INT64_C(20) * 86400 * US_PER_SEC;
	int n;

	for (unsigned i = 0; i < 30; i++) {	/* a day apart */
		test_add(d, test_accepted(i * 86400, "m@example.org", one));
		test_add(d, test_result(i * 86400, EVENT_SENT, one[0], T0 + i * INT64_C(86400) * US_PER_SEC + 5));
	}
	assert_int_equal(found(d, "m@example.org"), 30);
	do {
		OK(db_begin(d, false, &test_err));
		OK(n = journal_expire(d, before, &test_err));
		OK(db_commit(d, &test_err));
	} while (n > 0);
	assert_int_equal(found(d, "m@example.org"), 10);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(test_number(d, tables[i]), i == 3 ? 20 : 10);
	while (search_expire(d, (uint64_t)before * ID_SLOTS, &test_err) == 1)
		;
	/* Only weeks that may have something: 30 days touch five or six, ten days two or three. */
	assert_true(test_number(d, "SELECT count(*) FROM search_week") <= 3);
	assert_int_equal(test_number(d, "SELECT count(*) FROM sqlite_master WHERE name LIKE 'search\\_%\\_data' ESCAPE '\\'"),
	    test_number(d, "SELECT count(*) FROM search_week"));
	assert_int_equal(found(d, "m@example.org"), 10);
	db_close(&d);
}

static void
hours(void **state)
{
	struct db *d = test_open();
	struct hour_counts *h = calloc(1, sizeof(*h));
	struct msg_event ev = test_accepted(1, "m@example.org", one);
	struct jval *v;
	struct json j;

	for (int i = 0; i < 5; i++)
		hours_note(h, &ev);
	ev.kind = EVENT_SENT;
	ev.time += INT64_C(3600) * US_PER_SEC;
	hours_note(h, &ev);
	OK(hours_write(d, h, &test_err));
	OK(hours_write(d, h, &test_err));
	buf_reset(&out);
	json_begin(&j, &out);
	OK(hours_json(d, ev.time, 24, &j, &test_err));
	v = jval_parse(buf_data(&out), &test_err);
	assert_int_equal(jval_count(v), 24);
	assert_int_equal(jval_int(jval_at(v, 22), "accepted", 0), 10);
	assert_int_equal(jval_int(jval_at(v, 23), "sent", 0), 2);
	assert_false(jval_has(jval_at(v, 21), "accepted"));
	assert_int_equal(jval_int(jval_at(v, 23), "t", 0) - jval_int(jval_at(v, 0), "t", 0), 23 * 3600);
	jval_free(&v);
	OK(hours_expire(d, ev.time, 100, &test_err));
	assert_int_equal(test_number(d, "SELECT count(*) FROM hour_count"), 1);
	free(h);
	db_close(&d);
}

/* ---- sealed ---- */

static void
older_keys_are_replaced(void **state)
{
	char path[128];
	bool made;
	struct keyring *first, *second;
	struct db *d = test_open();
	struct msg_event ev = test_accepted(1, "m@example.org", one);
	enum sealed_kind kind = 0;
	int64_t row = INT64_MIN;
	struct span json;
	int r;

	snprintf(path, sizeof(path), "%s/store.key", test_dir);
	ev.record = SPAN_LIT("{\"v\":1,\"masked\":\"4111\"}");
	test_add(d, ev);		/* before there was a key */
	first = keyring_open(path, &made, &test_err);
	assert_true(first && made);
	db_use_keys(d, first);
	ev.id = ev.env.id = test_id(2);
	test_add(d, ev);
	assert_int_equal(test_number(d, "SELECT count(*) FROM record WHERE instr(json, '4111')"), 1);
	OK(keyring_extend(path, &test_err));
	second = keyring_open(path, &made, &test_err);
	assert_true(second && !made);
	db_use_keys(d, second);
	do {
		OK(r = sealed_migrate(d, &kind, &row, 1, &test_err));
	} while (r == 1);
	assert_int_equal(test_number(d, "SELECT count(*) FROM record WHERE instr(json, '4111')"), 0);
	keyring_free(&first);
	for (unsigned n = 1; n <= 2; n++) {
		assert_int_equal(journal_record(d, test_id(n), test_arena, &json, &test_err), 1);
		assert_true(span_eq(json, ev.record));
	}
	assert_int_equal(test_number(d, "SELECT count(DISTINCT substr(json, 1, 10)) FROM record"), 1);
	db_close(&d);
	keyring_free(&second);
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

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, test_setup, test_teardown)
		T(takes_apart), T(says_what_is_wrong), T(finds), T(pages_go_on), T(joins), T(words_are_added), T(principals),
		T(old_ones_are_indexed), T(old_ones_go), T(hours), T(older_keys_are_replaced),
	};

	return cmocka_run_group_tests(tests, open_out, close_out);
}
