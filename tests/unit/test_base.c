/* test_base.c -- the shared base: rows on the wire and in PostgreSQL's formats, words as it looks for them, decisions
 * noted before they are claimed. What it does with a real server: tests/integration/test_shared_base*.py.
 */
#include "cluster/base_schema.h"
#include "cluster/cluster.h"
#include "store/claim.h"
#include "store/share.h"
#include "store_test.h"

static const char *const columns[BASE_TABLE_COUNT] = {
#define X(name, text, list) [BASE_##name] = list,
	BASE_TABLES(X)
#undef X
};

static void
columns_are_counted(void **state)
{
	for (int t = 1; t < BASE_TABLE_COUNT; t++) {
		size_t n = 1;

		for (const char *p = columns[t]; *p; p++)
			n += *p == ',';
		assert_int_equal(base_columns((enum base_table)t), n);
		assert_true(n <= BASE_COLUMNS_MAX && n <= PG_PARAMS_MAX);
	}
	assert_true(base_schema_version() >= 1);
	assert_non_null(strstr(base_schema_sql(), "CREATE TABLE message("));
}

/* src/include/utils/array.h: ndim, flags, element type, then length and lower bound of each dimension. */
static void
arrays_are_postgresqls(void **state)
{
	static const unsigned char want[] = { 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 20, 0, 0, 0, 2, 0, 0, 0, 1,
		0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 1, 2, 0xff, 0xff, 0xff, 0xff },
	    none[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 25 };
	struct base_value v = { .type = BASE_INT, .i = 258 }, null = { .type = BASE_NULL };
	struct array a;
	struct span s;

	array_begin(&a);
	array_value(&a, &v);
	array_value(&a, &null);
	s = array_end(&a, PG_INT8);
	assert_int_equal(s.n, sizeof(want));
	assert_memory_equal(s.p, want, sizeof(want));
	buf_release(&a.b);
	array_begin(&a);
	s = array_end(&a, PG_TEXT);
	assert_int_equal(s.n, sizeof(none));
	assert_memory_equal(s.p, none, sizeof(none));
	buf_release(&a.b);
}

static void
texts_are_made_clean(void **state)
{
	struct arena *a = arena_new(0);
	struct span good = SPAN_LIT("r\xc3\xa9union");

	assert_ptr_equal(text_clean(good, a).p, good.p);
	assert_true(span_is(text_clean(SPAN_LIT("caf\xe9"), a), "caf\xef\xbf\xbd"));
	assert_true(span_is(text_clean(span_make("a\0b", 3), a), "a\xef\xbf\xbd" "b"));
	assert_true(span_is(text_clean(SPAN_LIT("\xed\xa0\x80"), a), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"));
	arena_free(&a);
}

static struct span
vector(struct base_words *w, char column, const char *text, struct buf *b)
{
	buf_reset(b);
	base_words_add(w, column, span_str(text), b);
	return buf_data(b);
}

static void
words_are_those_of_our_index(void **state)
{
	struct db *d = db_open(test_path, &test_err);
	struct base_words *w = base_words_new(d, &test_err);
	struct search_query q;
	struct span words, replies;
	bool anywhere;
	struct buf b;

	assert_non_null(w);
	buf_init(&b, 1u << 20);
	assert_true(span_is(vector(w, '3', "R\xc3\xa9union, BUDGET", &b), "'3reunion':2 '3budget':3 "));
	/* a second text is no neighbour of the first one */
	base_words_add(w, '4', SPAN_LIT("plan.pdf"), &b);
	assert_true(span_is(buf_data(&b), "'3reunion':2 '3budget':3 '4plan':5 '4pdf':6 "));
	OK(search_parse(SPAN_LIT("subject:\"Budget 2026\" fact*"), T0, test_arena, &q, &test_err));
	base_words_query(w, &q, NULL, test_arena, &words, &replies, &anywhere);
	assert_true(span_is(words, "(('3budget' <-> '32026')) & (('1fact':*) | ('2fact':*) | ('3fact':*) | ('4fact':*)"
	    " | ('5fact':*) | ('6fact':*))"));
	assert_int_equal(replies.n, 0);
	assert_false(anywhere);
	OK(search_parse(SPAN_LIT("reply:greylisted"), T0, test_arena, &q, &test_err));
	base_words_query(w, &q, NULL, test_arena, &words, &replies, &anywhere);
	assert_int_equal(words.n, 0);
	assert_true(span_is(replies, "(('7greylisted'))"));
	OK(search_parse(SPAN_LIT("queued"), T0, test_arena, &q, &test_err));
	base_words_query(w, &q, NULL, test_arena, &words, &replies, &anywhere);
	assert_true(anywhere && span_is(replies, "(('7queued'))"));
	/* nothing of a stranger's is more than a word */
	OK(search_parse(SPAN_LIT("\"x' | '1y\""), T0, test_arena, &q, &test_err));
	base_words_query(w, &q, NULL, test_arena, &words, &replies, &anywhere);
	assert_true(span_starts(words, SPAN_LIT("(('1x' <-> '11y') | ")));
	buf_release(&b);
	base_words_free(&w);
	db_close(&d);
}

static int64_t
number(struct db *d, const char *sql)
{
	sqlite3_stmt *st = db_once(d, sql, &test_err);
	int64_t n = -1;

	assert_non_null(st);
	if (db_step(d, st, &test_err) == 1)
		n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return n;
}

static void
run(struct db *d, const char *sql)
{
	sqlite3_stmt *st = db_once(d, sql, &test_err);

	assert_non_null(st);
	OK(db_run(d, st, &test_err));
	sqlite3_finalize(st);
}

#define KEPT "INSERT INTO kept(id, kind, time, size, state, envelope) VALUES(7, 'hold', 1, 1, 1, x'00')"

static void
changes_are_noted_while_a_node_shares(void **state)
{
	struct db *d = db_open(test_path, &test_err);

	run(d, KEPT);
	assert_int_equal(number(d, "SELECT count(*) FROM share_kept"), 0);
	run(d, "INSERT INTO setting(name, value) VALUES('sharing', 1)");
	run(d, KEPT);
	assert_int_equal(number(d, "SELECT kid FROM share_kept WHERE content=1"), 2);
	run(d, "UPDATE kept SET virus='x' WHERE kid=2");	/* its content is still to go */
	assert_int_equal(number(d, "SELECT content FROM share_kept WHERE kid=2"), 1);
	run(d, "DELETE FROM share_kept");
	run(d, "UPDATE kept SET virus='y' WHERE kid=2");
	assert_int_equal(number(d, "SELECT content FROM share_kept WHERE kid=2"), 0);
	run(d, "DELETE FROM share_kept");
	run(d, "INSERT INTO kept(id, kind, time, size, state, envelope, home) VALUES(7, 'hold', 1, 1, 7, x'00', 5)");
	run(d, "UPDATE kept SET virus='z' WHERE home=5");
	assert_int_equal(number(d, "SELECT count(*) FROM share_kept"), 0);	/* a guest is its home's */
	run(d, "DELETE FROM kept WHERE kid=2");
	assert_int_equal(number(d, "SELECT kid FROM share_kept"), 2);
	db_close(&d);
}

static void
claims_end_or_are_given_back(void **state)
{
	struct db *d = db_open(test_path, &test_err);

	for (int i = 0; i < 4; i++)
		run(d, KEPT);
	run(d, "INSERT INTO claim(token, kid, state) VALUES(11, 1, 1), (12, 2, 2), (13, 3, 2), (14, 4, 2)");
	run(d, "UPDATE kept SET state=2, new_id=13, by='uid 0', decided=9 WHERE kid=3");
	OK(claim_given_back(d, 4, &test_err));
	/* asked and not answered; won and not begun; begun: only that one is carried out */
	OK(claims_begin(d, &test_err));
	assert_int_equal(number(d, "SELECT count(*) FROM claim WHERE state=3 AND final=1"), 3);
	assert_int_equal(number(d, "SELECT state FROM claim WHERE token=13"), CLAIM_WON);
	OK(kept_done(d, 3, &test_err));
	assert_int_equal(number(d, "SELECT final FROM claim WHERE token=13 AND state=3 AND new_id=13 AND decided=9"),
	    KEPT_RELEASED);
	db_close(&d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_are_counted),
		cmocka_unit_test(arrays_are_postgresqls),
		cmocka_unit_test(texts_are_made_clean),
		cmocka_unit_test_setup_teardown(words_are_those_of_our_index, test_setup, test_teardown),
		cmocka_unit_test_setup_teardown(changes_are_noted_while_a_node_shares, test_setup, test_teardown),
		cmocka_unit_test_setup_teardown(claims_end_or_are_given_back, test_setup, test_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
