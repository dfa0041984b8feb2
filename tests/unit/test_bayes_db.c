/* test_bayes_db.c -- what the classifier has learnt, in the database: each message once, and back. */
#include "store/bayes_db.h"
#include "store_test.h"

static struct bayes_db b;
static struct db *d;

static void
begin(uint32_t tokens)
{
	const struct conf_bayes c = { .on = true, .minimum = 1, .tokens = tokens, .delivered = 10,
		.remember = 30 * BAYES_DAY };

	d = test_open();
	OK(bayes_db_open(&b, d, &c, &test_err));
}

static void
end(void)
{
	bayes_db_close(&b);
	db_close(&d);
}

/* As they are made of hashes. */
static struct span
tokens(uint32_t from, uint32_t n)
{
	struct bayes_tokens t = { arena_array(test_arena, n, sizeof(*t.v)), n };

	for (uint32_t i = 0; i < n; i++)
		t.v[i].hash = from + i;
	return bayes_pack(&t, test_arena);
}

static enum bayes_done
learn(int64_t id, enum bayes_class as, struct span tokens, int64_t now)
{
	const struct bayes_lesson l = { .id = id, .as = as, .tokens = tokens, .by = SPAN_LIT("uid 0") };
	enum bayes_done done;

	OK(db_begin(d, false, &test_err));
	OK(bayes_db_learn(&b, &l, now, &done, &test_err));
	OK(db_commit(d, &test_err));
	return done;
}

static uint32_t
seen(uint32_t token, bool spam)
{
	const struct bayes_model m = { &b.table.head, b.table.slots };
	const struct bayes_slot *s = bayes_model_find(&m, token);

	return s == NULL ? 0 : spam ? s->spam : s->ham;
}

/* What is in memory is what a store that was started anew reads. */
static void
as_written(void)
{
	struct bayes_head was = b.table.head;
	struct bayes_slot *slots = malloc(was.slots * sizeof(*slots));
	uint32_t n = 0;

	memcpy(slots, b.table.slots, was.slots * sizeof(*slots));
	OK(bayes_db_reload(&b, &test_err));
	assert_int_equal(b.table.head.spam, was.spam);
	assert_int_equal(b.table.head.ham, was.ham);
	for (uint32_t i = 0; i < was.slots; i++) {
		if (slots[i].token == 0)
			continue;
		n++;
		assert_int_equal(seen(slots[i].token, true), slots[i].spam);
		assert_int_equal(seen(slots[i].token, false), slots[i].ham);
	}
	assert_int_equal(b.table.head.tokens, n);
	free(slots);
}

static void
test_once(void **state)
{
	begin(10000);
	OK(db_begin(d, false, &test_err));
	OK(bayes_db_remember(&b, 5, tokens(100, 10), T0, &test_err));
	OK(bayes_db_remember(&b, 5, tokens(900, 10), T0, &test_err));	/* told twice: the first stays */
	OK(db_commit(d, &test_err));
	assert_int_equal(learn(5, BAYES_SPAM, (struct span){ 0 }, T0), BAYES_LEARNT);
	assert_int_equal(learn(5, BAYES_SPAM, (struct span){ 0 }, T0), BAYES_KNOWN);
	assert_int_equal(seen(100, true), 1);
	assert_int_equal(seen(900, true), 0);
	assert_int_equal(b.table.head.spam, 1);
	/* Changed: taken back and counted the other way. */
	assert_int_equal(learn(5, BAYES_HAM, (struct span){ 0 }, T0), BAYES_CHANGED);
	assert_int_equal(seen(100, true), 0);
	assert_int_equal(seen(100, false), 1);
	assert_int_equal(b.table.head.spam, 0);
	assert_int_equal(b.table.head.ham, 1);
	as_written();
	/* Reverted, and learnt again. */
	assert_int_equal(learn(5, BAYES_NONE, (struct span){ 0 }, T0), BAYES_LEARNT);
	assert_int_equal(learn(5, BAYES_NONE, (struct span){ 0 }, T0), BAYES_KNOWN);
	assert_int_equal(seen(100, false), 0);
	assert_int_equal(b.table.head.ham, 0);
	assert_int_equal(learn(5, BAYES_SPAM, (struct span){ 0 }, T0), BAYES_LEARNT);
	/* A stranger; a file, known by its bytes. */
	assert_int_equal(learn(6, BAYES_SPAM, (struct span){ 0 }, T0), BAYES_STRANGER);
	assert_int_equal(learn(6, BAYES_NONE, (struct span){ 0 }, T0), BAYES_STRANGER);
	assert_true(bayes_file_id(&b.table.head.key, SPAN_LIT("x")) < 0);
	assert_int_equal(learn(-9, BAYES_HAM, tokens(100, 3), T0), BAYES_LEARNT);
	assert_int_equal(learn(-9, BAYES_HAM, tokens(100, 3), T0), BAYES_KNOWN);
	as_written();
	end();
	begin(10000);		/* and in the file */
	assert_int_equal(b.table.head.spam, 1);
	assert_int_equal(b.table.head.ham, 1);
	assert_int_equal(seen(100, true), 1);
	assert_int_equal(seen(100, false), 1);
	assert_int_equal(learn(-9, BAYES_HAM, tokens(100, 3), T0), BAYES_KNOWN);
	end();
}

/* The secret is made once, and is another's in another database. */
static void
test_secret(void **state)
{
	struct bayes_key key;

	begin(10000);
	key = b.table.head.key;
	end();
	begin(10000);
	assert_memory_equal(&key, &b.table.head.key, sizeof(key));
	OK(db_begin(d, false, &test_err));
	OK(bayes_db_clear(&b, true, &test_err));
	OK(db_commit(d, &test_err));
	assert_memory_not_equal(&key, &b.table.head.key, sizeof(key));
	end();
}

static enum bayes_done
decide(int64_t id, enum bayes_class as, const char *by, const char *source, int64_t now)
{
	const struct bayes_lesson l = { .id = id, .as = as, .tokens = tokens(50, 2), .by = span_str(by),
		.source = span_str(source), .limited = true };
	enum bayes_done done;

	OK(db_begin(d, false, &test_err));
	OK(bayes_db_learn(&b, &l, now, &done, &test_err));
	OK(db_commit(d, &test_err));
	return done;
}

static void
test_limits(void **state)
{
	char source[32];
	int64_t id = 1;

	begin(10000);
	for (int i = 0; i < BAYES_BY_SENDER; i++)
		assert_int_equal(decide(id++, BAYES_HAM, "uid 0", "spammer.example", T0), BAYES_LEARNT);
	assert_int_equal(decide(id++, BAYES_HAM, "uid 0", "spammer.example", T0), BAYES_LIMIT);
	assert_int_equal(b.table.head.ham, BAYES_BY_SENDER);
	assert_int_equal(decide(id++, BAYES_SPAM, "uid 0", "spammer.example", T0), BAYES_LEARNT);
	assert_int_equal(decide(id++, BAYES_HAM, "uid 0", "other.example", T0), BAYES_LEARNT);
	assert_int_equal(decide(id++, BAYES_HAM, "uid 0", "spammer.example", T0 + BAYES_DAY + 1), BAYES_LEARNT);
	for (int i = 0; i < BAYES_BY_PERSON; i++) {
		snprintf(source, sizeof(source), "host%d.example", i);
		assert_int_equal(decide(id++, BAYES_SPAM, "anne", source, T0), BAYES_LEARNT);
	}
	assert_int_equal(decide(id++, BAYES_SPAM, "anne", "fresh.example", T0), BAYES_LIMIT);
	assert_int_equal(decide(id++, BAYES_HAM, "anne", "fresh.example", T0), BAYES_LIMIT);
	assert_int_equal(decide(id++, BAYES_SPAM, "bert", "fresh.example", T0), BAYES_LEARNT);
	as_written();
	end();
}

/* What the table forgets, the database forgets. */
static void
test_full(void **state)
{
	begin(4 * BAYES_TOKENS);
	for (int i = 0; i < 20; i++)
		assert_int_equal(learn(-1 - i, i % 2 ? BAYES_SPAM : BAYES_HAM,
		    tokens(1 + (uint32_t)i * 700, 700), T0 + i * BAYES_DAY), BAYES_LEARNT);
	assert_true(b.table.head.tokens <= b.table.max);
	assert_true(b.table.head.tokens > b.table.max / 2);
	assert_int_equal(test_number(d, "SELECT count(*) FROM bayes_token"), b.table.head.tokens);
	assert_int_equal(seen(1 + 19 * 700, true), 1);	/* the youngest are there, the eldest not */
	assert_int_equal(seen(1, false), 0);
	as_written();
	/* Of what was forgotten nothing can be taken away. */
	assert_int_equal(learn(-1, BAYES_NONE, (struct span){ 0 }, T0), BAYES_LEARNT);
	as_written();
	end();
}

static void
test_expiry(void **state)
{
	begin(10000);
	OK(db_begin(d, false, &test_err));
	OK(bayes_db_remember(&b, 1, tokens(10, 5), T0, &test_err));
	OK(bayes_db_remember(&b, 2, tokens(20, 5), T0 + 20 * BAYES_DAY, &test_err));
	OK(db_commit(d, &test_err));
	learn(-3, BAYES_SPAM, tokens(30, 5), T0);
	OK(bayes_db_expire(&b, T0 + 31 * BAYES_DAY, &test_err));
	assert_int_equal(learn(1, BAYES_SPAM, (struct span){ 0 }, T0), BAYES_STRANGER);
	assert_int_equal(learn(2, BAYES_SPAM, (struct span){ 0 }, T0 + 20 * BAYES_DAY), BAYES_LEARNT);
	/* Learnt once is learnt once; to take it back it is too late. */
	assert_int_equal(learn(-3, BAYES_SPAM, tokens(30, 5), T0), BAYES_KNOWN);
	assert_int_equal(learn(-3, BAYES_HAM, tokens(30, 5), T0), BAYES_STRANGER);
	assert_int_equal(seen(30, true), 1);
	OK(bayes_db_expire(&b, T0 + 400 * BAYES_DAY, &test_err));
	assert_int_equal(test_number(d, "SELECT count(*) FROM bayes_message"), 0);
	assert_int_equal(seen(30, true), 1);
	end();
}

/* A transaction that comes to nothing: memory is what the database is. */
static void
test_rollback(void **state)
{
	const struct bayes_lesson l = { .id = -5, .as = BAYES_SPAM, .tokens = tokens(70, 4) };
	enum bayes_done done;

	begin(10000);
	learn(-4, BAYES_SPAM, tokens(60, 4), T0);
	OK(db_begin(d, false, &test_err));
	OK(bayes_db_learn(&b, &l, T0, &done, &test_err));
	assert_int_equal(seen(70, true), 1);
	db_rollback(d);
	OK(bayes_db_reload(&b, &test_err));
	assert_int_equal(seen(70, true), 0);
	assert_int_equal(seen(60, true), 1);
	assert_int_equal(b.table.head.spam, 1);
	end();
}

static void
test_copy(void **state)
{
	struct bayes_slot v[16];
	struct bayes_key key;
	size_t n, taken;

	begin(10000);
	learn(-4, BAYES_SPAM, tokens(60, 8), T0);
	learn(-5, BAYES_HAM, tokens(64, 8), T0);
	key = b.table.head.key;
	OK(bayes_db_page(&b, 0, 16, v, &n, &test_err));
	assert_int_equal(n, 12);
	assert_int_equal(v[4].token, 64);
	assert_int_equal(v[4].spam, 1);
	assert_int_equal(v[4].ham, 1);
	OK(db_begin(d, false, &test_err));
	OK(bayes_db_clear(&b, true, &test_err));
	OK(bayes_db_set_key(&b, &key, &test_err));
	assert_false(bayes_model_ready(&b.table.head));
	OK(bayes_db_take(&b, v, n, &taken, &test_err));
	assert_int_equal(taken, 12);
	assert_false(bayes_model_ready(&b.table.head));		/* half an import says nothing */
	OK(bayes_db_totals(&b, 1, 1, T0, &test_err));
	OK(db_commit(d, &test_err));
	assert_true(bayes_model_ready(&b.table.head));
	assert_int_equal(seen(64, false), 1);
	as_written();
	OK(bayes_db_page(&b, 70, 16, v, &n, &test_err));
	assert_int_equal(n, 1);
	end();
}

/* Fewer tokens in postern.yaml than there are: the most seen stay. */
static void
test_smaller(void **state)
{
	struct conf_bayes c = { .on = true, .minimum = 7, .tokens = 4 * BAYES_TOKENS, .remember = BAYES_DAY };

	begin(20000);
	for (int i = 0; i < 8; i++) {
		learn(-10 - i, BAYES_SPAM, tokens(1 + (uint32_t)i * 1000, 1000), T0);
		learn(-20 - i, BAYES_SPAM, tokens(90001, 1000), T0);
	}
	OK(bayes_db_configure(&b, &c, &test_err));
	assert_int_equal(b.table.head.tokens, 4 * BAYES_TOKENS);
	assert_int_equal(b.table.head.minimum_spam, 7);
	assert_int_equal(b.table.head.spam, 16);
	assert_int_equal(seen(90001, true), 8);
	assert_int_equal(seen(91000, true), 8);
	end();
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, test_setup, test_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_once), TEST(test_secret), TEST(test_limits), TEST(test_full), TEST(test_expiry),
		TEST(test_rollback), TEST(test_copy), TEST(test_smaller),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
