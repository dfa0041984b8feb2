/* test_store_records.c -- what comes in one batch: verdict records in packs, recipients put together. */
#include "store_test.h"

#include "store/keyring.h"
#include "store/records.h"
#include "store/sealed.h"

#define MANY 700

static const char *const one[] = { "a@example.net", NULL };

static struct span
record_of(unsigned n)
{
	return span_str(arena_printf(test_arena, "{\"v\":1,\"policy\":\"aa\",\"subject\":\"number %u\",\"parts\":[{\"name\":"
	    "\"file-%u.pdf\",\"type\":\"pdf\",\"size\":%u}],\"recipients\":[{\"address\":\"a@example.net\",\"rules\":[\"r%u\"]}]}",
	    n, n, n * 7919, n % 5));
}

static struct msg_event
accepted(unsigned n, unsigned ms)
{
	struct msg_event ev = test_accepted(0, "m@example.org", one);

	ev.id = ev.env.id = (uint64_t)(T0 + INT64_C(1000) * ms) * ID_SLOTS + 7;
	ev.record = record_of(n);
	return ev;
}

static uint64_t
id_at(unsigned ms)
{
	return (uint64_t)(T0 + INT64_C(1000) * ms) * ID_SLOTS + 7;
}

static void
use_key(struct db *d, const char *name, struct keyring **ring)
{
	char path[128];
	bool made;

	snprintf(path, sizeof(path), "%s/%s", test_dir, name);
	*ring = keyring_open(path, &made, &test_err);
	assert_non_null(*ring);
	db_use_keys(d, *ring);
}

static void
all_there(struct db *d, unsigned step)
{
	struct span json;

	for (unsigned n = 0; n < MANY; n++) {
		assert_int_equal(journal_record(d, id_at(n * step), test_arena, &json, &test_err), 1);
		assert_true(span_eq(json, record_of(n)));
	}
	assert_int_equal(journal_record(d, id_at(0) + 1, test_arena, &json, &test_err), 0);
	assert_int_equal(journal_record(d, id_at(MANY * step), test_arena, &json, &test_err), 0);
}

static void
fill(struct db *d, bool alone, unsigned step)
{
	struct journal_batch *b = journal_begin(d, alone);

	for (unsigned n = 0; n < MANY; n++)	/* not in the order of their ids */
		test_add_to(b, accepted(n ^ 1, (n ^ 1) * step));
	OK(journal_write(b, &test_err));
	journal_free(&b);
}

static void
packs(void **state)
{
	struct db *d = test_open();
	struct keyring *ring;
	struct jval *v;
	struct buf out;
	struct trace_result res;

	use_key(d, "key", &ring);
	fill(d, false, 2);
	assert_int_equal(test_number(d, "SELECT count(*) FROM record"), 0);
	assert_int_equal(test_number(d, "SELECT sum(n) FROM record_pack"), MANY);
	assert_true(test_number(d, "SELECT count(*) FROM record_pack") < 10);
	/* Compressed together, and sealed: nothing of them is in clear. */
	assert_true(test_number(d, "SELECT sum(length(bytes)) FROM record_pack") < MANY * 40);
	assert_int_equal(test_number(d, "SELECT count(*) FROM record_pack WHERE instr(bytes, 'number')>0"), 0);
	all_there(d, 2);
	/* Words of each are found as before. */
	buf_init(&out, 1u << 20);
	OK(journal_trace(d, SPAN_LIT("file:file-311.pdf subject:311 rule:r1"), NULL, 0, 10, &out, &res, &test_err));
	assert_int_equal(res.found, 1);
	v = test_line(buf_data(&out), 0);
	test_text_is(v, "subject", "number 311");
	jval_free(&v);
	buf_release(&out);
	db_close(&d);
	keyring_free(&ring);
}

/* A node that shares: each in a row, as the base takes it; and one out of a pack is given as such a row. */
static void
alone(void **state)
{
	struct db *d = test_open(), *other;
	struct keyring *ring;
	struct span blob, json;
	char path[128];

	use_key(d, "key", &ring);
	fill(d, true, 2);
	assert_int_equal(test_number(d, "SELECT count(*) FROM record"), MANY);
	assert_int_equal(test_number(d, "SELECT count(*) FROM record_pack"), 0);
	all_there(d, 2);
	db_close(&d);
	snprintf(path, sizeof(path), "%s/other.db", test_dir);
	other = db_open(path, &test_err);
	assert_non_null(other);
	db_use_keys(other, ring);
	fill(other, false, 2);
	assert_int_equal(record_sealed(other, id_at(10), test_arena, &blob, &test_err), 1);
	assert_true(is_sealed(blob));
	assert_int_equal(record_sealed(other, id_at(11), test_arena, &json, &test_err), 0);
	/* Into a database that has nothing else. */
	d = test_open();
	db_use_keys(d, ring);
	assert_int_equal(test_number(d, "DELETE FROM record RETURNING 1"), 1);
	sqlite3_stmt *st = db_stmt(d, "INSERT OR REPLACE INTO record(id, json) VALUES(?,?)", &test_err);

	db_int(st, 1, (int64_t)id_at(10));
	db_blob(st, 2, blob.p, blob.n);
	OK(db_run(d, st, &test_err));
	assert_int_equal(record_get(d, id_at(10), test_arena, &json, &test_err), 1);
	assert_true(span_eq(json, record_of(5)));
	db_close(&other);
	db_close(&d);
	keyring_free(&ring);
}

/* After an hour away the queue tells of much at once: ids far apart do not lie in one pack. */
static void
far_apart(void **state)
{
	struct db *d = test_open();

	fill(d, false, 1300);
	assert_true(test_number(d, "SELECT max(last-first) FROM record_pack") <= INT64_C(5000000) * ID_SLOTS);
	assert_true(test_number(d, "SELECT count(*) FROM record_pack") > MANY / 8);
	all_there(d, 1300);
	/* One alone is a row. */
	test_add(d, accepted(MANY, 5000 * MANY));
	assert_int_equal(test_number(d, "SELECT count(*) FROM record"), 1);
	db_close(&d);
}

static void
new_key(void **state)
{
	struct db *d = test_open();
	enum sealed_kind kind = 0;
	int64_t row = INT64_MIN;
	struct keyring *first, *second;
	char path[128];
	int r;

	use_key(d, "key", &first);
	fill(d, false, 2);
	snprintf(path, sizeof(path), "%s/key", test_dir);
	OK(keyring_extend(path, &test_err));
	use_key(d, "key", &second);
	do {
		OK(r = sealed_migrate(d, &kind, &row, 3, &test_err));
	} while (r == 1);
	keyring_free(&first);
	assert_int_equal(test_number(d, "SELECT count(DISTINCT substr(bytes, 1, 10)) FROM record_pack"), 1);
	all_there(d, 2);
	db_close(&d);
	keyring_free(&second);
}

static void
they_go(void **state)
{
	struct db *d = test_open();
	struct span json;
	int n;

	fill(d, false, 100);
	test_add(d, accepted(1, 20));	/* a row among them */
	do {
		OK(n = records_expire(d, id_at(30000), 10, &test_err));
	} while (n > 0);
	assert_int_equal(test_number(d, "SELECT count(*) FROM record"), 0);
	assert_int_equal(journal_record(d, id_at(100), test_arena, &json, &test_err), 0);
	/* None that is younger went with them. */
	for (unsigned i = 300; i < MANY; i++)
		assert_int_equal(journal_record(d, id_at(i * 100), test_arena, &json, &test_err), 1);
	db_close(&d);
}

/* ---- recipients ---- */

static uint32_t seed;

static uint32_t
rnd(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

static struct msg_event
any_event(unsigned i, const char *const *to)
{
	static const enum event_kind kinds[] = { EVENT_SENT, EVENT_DEFERRED, EVENT_FAILED, EVENT_HELD, EVENT_DELAYED,
		EVENT_EXPIRED };
	unsigned n = rnd(4);
	struct msg_event ev;

	if (rnd(4) == 0) {
		ev = test_accepted(n, "m@example.org", to);
		ev.time = T0 + n * US_PER_SEC + rnd(3);	/* told again it has another time */
		return ev;
	}
	ev = test_result(n, kinds[rnd(6)], to[rnd(20)], T0 + n * US_PER_SEC + rnd(50));
	ev.reply = span_str(arena_printf(test_arena, "%u", i));
	if (rnd(10) == 0)
		ev.rcpt = (struct span){ 0 };
	if (rnd(20) == 0) {
		ev.kind = EVENT_REFUSED;
		ev.has_env = true;
		ev.rcpt = (struct span){ 0 };
		ev.env = test_envelope(n, "m@example.org", to);
	}
	return ev;
}

static int64_t
differing(const char *table)
{
	char *sql = arena_printf(test_arena, "SELECT (SELECT count(*) FROM (SELECT * FROM %1$s EXCEPT SELECT * FROM other.%1$s))"
	    "+(SELECT count(*) FROM (SELECT * FROM other.%1$s EXCEPT SELECT * FROM %1$s))", table);
	struct db *d = test_open();
	char *attach = arena_printf(test_arena, "ATTACH '%s/other.db' AS other", test_dir);
	int64_t n;

	assert_int_equal(sqlite3_exec(db_sqlite(d), attach, NULL, NULL, NULL), SQLITE_OK);
	n = test_number(d, sql);
	db_close(&d);
	return n;
}

/* However events are divided into batches, the rows are the same. */
static void
same_rows(void **state)
{
	char path[128];
	struct db *d = test_open(), *other;
	const char *to[21] = { NULL };
	struct journal_batch *b = NULL;
	int64_t seq;

	for (int i = 0; i < 20; i++)	/* more than are put together */
		to[i] = arena_printf(test_arena, "r%d@site%d.example", i, i % 3);
	snprintf(path, sizeof(path), "%s/other.db", test_dir);
	other = db_open(path, &test_err);
	assert_non_null(other);
	seed = 11;
	for (unsigned i = 0; i < 3000; i++) {
		struct msg_event ev = any_event(i, to);
		int known;

		if (b == NULL)
			b = journal_begin(other, false);
		known = test_add(d, ev);
		assert_int_equal(journal_add(b, &ev, &seq, &test_err), known);
		if (rnd(30) == 0 || i == 2999) {
			OK(journal_write(b, &test_err));
			journal_free(&b);
		}
	}
	assert_true(test_number(d, "SELECT count(*) FROM recipient") == 80);
	assert_true(test_number(d, "SELECT count(DISTINCT status) FROM recipient") > 3);
	db_close(&other);
	db_close(&d);
	assert_int_equal(differing("recipient"), 0);
	assert_int_equal(differing("message"), 0);
	assert_int_equal(differing("event"), 0);
	assert_int_equal(differing("hour_count"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(packs, test_setup, test_teardown),
		cmocka_unit_test_setup_teardown(alone, test_setup, test_teardown),
		cmocka_unit_test_setup_teardown(far_apart, test_setup, test_teardown),
		cmocka_unit_test_setup_teardown(new_key, test_setup, test_teardown),
		cmocka_unit_test_setup_teardown(they_go, test_setup, test_teardown),
		cmocka_unit_test_setup_teardown(same_rows, test_setup, test_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
