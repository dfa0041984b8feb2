/* test_store_kept.c -- holds and quarantine: keeping, selecting, deciding. */
#include "store_test.h"

#include "store/zip.h"

static const char *const two[] = { "a@example.net", "b@partner.example", NULL };
static const char *const one[] = { "a@example.net", NULL };
static const char body[] = "From: x@example.org\r\nSUBJECT: quarterly\r\n\tfigures\r\nTo: a\r\n\r\nhello\r\n";

static struct msg_keep
keep_of(unsigned n, enum outcome kind, const char *queue, const char *const *to)
{
	return (struct msg_keep){ .kind = kind, .queue = span_str(queue),
		.env = test_envelope(n, "m.durand@example.org", to),
		.record = SPAN_LIT("{\"v\":1}") };
}

static int
put(struct db *d, struct msg_keep m, int64_t now)
{
	int r;

	OK(db_begin(d, true, &test_err));
	r = kept_put(d, &m, span_str(body), now, test_arena, &test_err);
	OK(r);
	OK(db_commit(d, &test_err));
	return r;
}

static struct kept_filter
parse(const char *text, enum outcome kind)
{
	struct kept_filter f = { .kind = kind };

	OK(kept_filter_parse(span_str(text), T0 + 100 * US_PER_SEC, test_arena, &f, &test_err));
	return f;
}

static size_t
count(struct db *d, const char *text, enum outcome kind)
{
	struct kept_filter f = parse(text, kind);
	int64_t *kids;
	uint64_t counted;
	size_t n;

	OK(kept_select(d, &f, 1000, test_arena, &kids, &n, &test_err));
	OK(kept_count(d, &f, &counted, &test_err));
	assert_int_equal(n, counted);
	return n;
}

static void
kept_whole(void **state)
{
	struct db *d = test_open();
	struct msg_keep m = keep_of(1, OUTCOME_HOLD, "dpo@example.org", two);
	struct kept k;

	m.expires = T0 + 50 * US_PER_SEC;
	m.on_expire = OUTCOME_REJECT;
	m.parent = test_id(9);
	assert_int_equal(put(d, m, T0), 1);
	assert_int_equal(kept_load(d, 1, true, test_arena, &k, &test_err), 1);
	assert_int_equal(k.id, test_id(1));
	assert_int_equal(k.parent, test_id(9));
	assert_int_equal(k.state, KEPT_WAITING);
	assert_int_equal(k.kind, OUTCOME_HOLD);
	assert_int_equal(k.on_expire, OUTCOME_REJECT);
	assert_true(span_is(k.queue, "dpo@example.org"));
	assert_true(span_is(k.content, body));
	assert_true(span_is(k.record, "{\"v\":1}"));
	assert_true(span_is(k.env.sender, "m.durand@example.org"));
	assert_int_equal(k.env.nrecipients, 2);
	assert_true(span_is(k.env.recipients[1].address, two[1]));
	assert_int_equal(k.env.flags, ENVELOPE_8BITMIME | ENVELOPE_ESMTP);
	assert_int_equal(kept_load(d, 2, true, test_arena, &k, &test_err), 0);
	db_close(&d);
}

/* The queue asks again when it did not hear the answer. */
static void
kept_once(void **state)
{
	struct db *d = test_open();
	struct kept k;

	assert_int_equal(put(d, keep_of(1, OUTCOME_HOLD, "dpo", one), T0), 1);
	assert_int_equal(put(d, keep_of(1, OUTCOME_HOLD, "dpo", one), T0 + 1), 0);
	/* More recipients than before: just the new ones. */
	assert_int_equal(put(d, keep_of(1, OUTCOME_HOLD, "dpo", two), T0 + 2), 1);
	assert_int_equal(kept_load(d, 2, false, test_arena, &k, &test_err), 1);
	assert_int_equal(k.env.nrecipients, 1);
	assert_true(span_is(k.env.recipients[0].address, two[1]));
	/* Something else about the same message. */
	assert_int_equal(put(d, keep_of(1, OUTCOME_HOLD, "legal", one), T0), 1);
	assert_int_equal(put(d, keep_of(1, OUTCOME_QUARANTINE, "", one), T0), 1);
	assert_int_equal(put(d, keep_of(1, OUTCOME_QUARANTINE, "", one), T0), 0);
	/* Not even after it was decided. */
	assert_int_equal(kept_decide(d, 1, KEPT_DELETED, 0, SPAN_LIT("uid 0"), T0, &test_err), 1);
	assert_int_equal(put(d, keep_of(1, OUTCOME_HOLD, "dpo", one), T0 + 1), 0);
	assert_int_equal(test_number(d, "SELECT count(*) FROM kept"), 4);
	db_close(&d);
}

static void
selectors(void **state)
{
	struct db *d = test_open();
	struct msg_keep m;

	put(d, keep_of(1, OUTCOME_HOLD, "dpo", one), T0);
	put(d, keep_of(2, OUTCOME_HOLD, "legal", two), T0 + 90 * US_PER_SEC);
	put(d, keep_of(3, OUTCOME_QUARANTINE, "spam", one), T0);
	m = keep_of(4, OUTCOME_HOLD, "dpo", one);
	m.env.sender = (struct span){ 0 };
	put(d, m, T0);
	assert_int_equal(count(d, "all", OUTCOME_HOLD), 3);
	assert_int_equal(count(d, "all", OUTCOME_QUARANTINE), 1);
	assert_int_equal(count(d, test_id_text(2), OUTCOME_HOLD), 1);
	assert_int_equal(count(d, test_id_text(2), OUTCOME_QUARANTINE), 0);
	assert_int_equal(count(d, "queue=dpo", OUTCOME_HOLD), 2);
	assert_int_equal(count(d, "from=M.durand@EXAMPLE.org", OUTCOME_HOLD), 2);
	assert_int_equal(count(d, "from=example.org", OUTCOME_HOLD), 2);
	assert_int_equal(count(d, "from=ample.org", OUTCOME_HOLD), 0);
	assert_int_equal(count(d, "from=@example.org", OUTCOME_HOLD), 2);
	assert_int_equal(count(d, "to=b@partner.example", OUTCOME_HOLD), 1);
	assert_int_equal(count(d, "to=example.net", OUTCOME_HOLD), 3);
	assert_int_equal(count(d, "older=1m", OUTCOME_HOLD), 2);
	assert_int_equal(count(d, "newer=1m", OUTCOME_HOLD), 1);
	assert_int_equal(count(d, "queue=dpo,from=example.org", OUTCOME_HOLD), 1);
	assert_int_equal(count(d, "queue=dpo,newer=1m", OUTCOME_HOLD), 0);
	db_close(&d);
}

/* A slip must never mean "all". */
static void
bad_selectors(void **state)
{
	static const char *const bad[] = { "", "al", "queue", "queue=", "form=a@example.org", "older=soon",
		"older=", "=x", "all,queue=x", "4T0q7x1mZz", "*", "from=a,,", "queue=x," };
	size_t n = 0;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct kept_filter f = { 0 };

		if (kept_filter_parse(span_str(bad[i]), T0, test_arena, &f, &test_err) == 0)
			print_error("`%s` passed\n", bad[i]), n++;
		else
			assert_true(test_err.text[0] != '\0');
	}
	assert_int_equal(n, 0);
}

static void
decided_once(void **state)
{
	struct db *d = test_open();
	struct kept k;

	put(d, keep_of(1, OUTCOME_HOLD, "dpo", one), T0);
	assert_int_equal(kept_decide(d, 1, KEPT_RELEASING, test_id(5), SPAN_LIT("uid 7"), T0 + 9,
	    &test_err), 1);
	assert_int_equal(kept_decide(d, 1, KEPT_REJECTING, test_id(6), SPAN_LIT("uid 8"), T0 + 9,
	    &test_err), 0);
	assert_int_equal(count(d, "all", OUTCOME_HOLD), 0);
	assert_int_equal(kept_load(d, 1, true, test_arena, &k, &test_err), 1);
	assert_int_equal(k.state, KEPT_RELEASING);
	assert_int_equal(k.new_id, test_id(5));
	assert_true(span_is(k.by, "uid 7"));

	OK(kept_undo(d, 1, &test_err));
	assert_int_equal(count(d, "all", OUTCOME_HOLD), 1);
	assert_int_equal(kept_decide(d, 1, KEPT_REJECTING, test_id(6), SPAN_LIT("uid 8"), T0 + 9,
	    &test_err), 1);
	OK(kept_done(d, 1, &test_err));
	assert_int_equal(kept_load(d, 1, false, test_arena, &k, &test_err), 1);
	assert_int_equal(k.state, KEPT_REJECTED);
	/* Neither back nor forth from here, and no content left. */
	OK(kept_done(d, 1, &test_err));
	OK(kept_undo(d, 1, &test_err));
	assert_int_equal(kept_load(d, 1, false, test_arena, &k, &test_err), 1);
	assert_int_equal(k.state, KEPT_REJECTED);
	assert_int_equal(kept_load(d, 1, true, test_arena, &k, &test_err), -1);
	assert_int_equal(test_number(d, "SELECT count(*) FROM kept_content"), 0);
	db_close(&d);
}

static void
lists(void **state)
{
	struct db *d = test_open();
	struct kept_filter f = { .kind = OUTCOME_HOLD };
	struct buf out;
	struct jval *v;
	size_t found;

	put(d, keep_of(1, OUTCOME_HOLD, "dpo", two), T0);
	put(d, keep_of(2, OUTCOME_HOLD, "dpo", one), T0 + 1);
	kept_decide(d, 2, KEPT_DELETED, 0, SPAN_LIT("uid 0"), T0 + 2, &test_err);
	buf_init(&out, 1u << 20);
	OK(kept_list(d, &f, 10, &out, &found, &test_err));
	assert_int_equal(found, 1);
	v = test_line(buf_data(&out), 0);
	test_text_is(v, "id", test_id_text(1));
	test_text_is(v, "state", "waiting");
	test_text_is(v, "kind", "hold");
	test_text_is(v, "subject", "quarterly\tfigures");
	test_text_is(v, "client", "10.1.2.3");
	assert_false(jval_has(v, "expires"));
	assert_false(jval_has(v, "by"));
	assert_int_equal(jval_count(jval_get(v, "recipients")), 2);
	jval_free(&v);
	buf_reset(&out);
	f.all = true;
	OK(kept_list(d, &f, 10, &out, &found, &test_err));
	assert_int_equal(found, 2);
	v = test_line(buf_data(&out), 0);
	test_text_is(v, "state", "deleted");
	test_text_is(v, "by", "uid 0");
	jval_free(&v);
	buf_reset(&out);
	OK(kept_list(d, &f, 1, &out, &found, &test_err));
	assert_int_equal(found, 1);
	buf_release(&out);
	db_close(&d);
}

static void
times_are_up(void **state)
{
	struct db *d = test_open();
	struct msg_keep m = keep_of(1, OUTCOME_HOLD, "dpo", one);
	int64_t *kids;
	size_t n;

	m.expires = T0 + 10;
	m.on_expire = OUTCOME_REJECT;
	put(d, m, T0);
	m = keep_of(2, OUTCOME_HOLD, "dpo", one);	/* never: nothing is to happen then */
	m.expires = T0 + 10;
	put(d, m, T0);
	OK(kept_due(d, T0 + 9, 10, test_arena, &kids, &n, &test_err));
	assert_int_equal(n, 0);
	OK(kept_due(d, T0 + 10, 10, test_arena, &kids, &n, &test_err));
	assert_int_equal(n, 1);
	assert_int_equal(kids[0], 1);
	OK(kept_stay(d, 1, &test_err));
	OK(kept_due(d, T0 + 10, 10, test_arena, &kids, &n, &test_err));
	assert_int_equal(n, 0);
	OK(kept_unfinished(d, 10, test_arena, &kids, &n, &test_err));
	assert_int_equal(n, 0);
	kept_decide(d, 2, KEPT_RELEASING, test_id(8), SPAN_LIT("uid 0"), T0, &test_err);
	OK(kept_unfinished(d, 10, test_arena, &kids, &n, &test_err));
	assert_int_equal(n, 1);
	db_close(&d);
}

/* Headers that are none, or end badly. */
static void
odd_contents(void **state)
{
	static const struct { struct span text; const char *subject; } odd[] = {
		{ { "", 0 }, NULL }, { { "Subject:", 8 }, NULL }, { { "Subject: x", 10 }, "x" },
		{ { "\r\nSubject: x\r\n", 14 }, NULL }, { { "no header at all", 16 }, NULL },
		{ { "Subject: a\r\n b", 14 }, "a b" }, { { "XSubject: a\nSubject: b\n\n", 24 }, "b" },
	};
	struct db *d = test_open();

	for (unsigned i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		struct msg_keep m = keep_of(i, OUTCOME_QUARANTINE, "", one);
		sqlite3_stmt *st;
		struct kept k;

		m.record = (struct span){ 0 };
		OK(db_begin(d, false, &test_err));
		OK(kept_put(d, &m, odd[i].text, T0, test_arena, &test_err));
		OK(db_commit(d, &test_err));
		assert_int_equal(kept_load(d, i + 1, true, test_arena, &k, &test_err), 1);
		assert_true(span_eq(k.content, odd[i].text));
		st = db_stmt(d, "SELECT subject FROM kept WHERE kid=?", &test_err);
		db_int(st, 1, i + 1);
		assert_int_equal(db_step(d, st, &test_err), 1);
		assert_true(span_is(db_column(st, 0), odd[i].subject ? odd[i].subject : ""));
		sqlite3_reset(st);
	}
	db_close(&d);
}

static void
damaged_contents(void **state)
{
	struct db *d = test_open();
	struct span outspan;
	struct kept k;
	sqlite3_stmt *st;

	put(d, keep_of(1, OUTCOME_HOLD, "dpo", one), T0);
	st = db_stmt(d, "UPDATE kept_content SET bytes=x'28b52ffd0102030405060708'", &test_err);
	OK(db_run(d, st, &test_err));
	assert_int_equal(kept_load(d, 1, true, test_arena, &k, &test_err), -1);
	assert_non_null(strstr(test_err.text, "damaged"));
	st = db_stmt(d, "UPDATE kept SET envelope=x'00'", &test_err);
	OK(db_run(d, st, &test_err));
	assert_int_equal(kept_load(d, 1, false, test_arena, &k, &test_err), -1);
	/* A frame that claims to be larger than may be. */
	assert_int_equal(unzip(test_arena, span_make("\x28\xb5\x2f\xfd\xa4\xff\xff\xff\xff\x01", 10),
	    1000, &outspan, &test_err), -1);
	db_close(&d);
}

#define T(name) cmocka_unit_test_setup_teardown(name, test_setup, test_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(kept_whole), T(kept_once), T(selectors), T(bad_selectors), T(decided_once), T(lists),
		T(times_are_up), T(odd_contents), T(damaged_contents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
