/* test_store_db.c -- opening: new, again, damaged, foreign, newer; transactions; budgets. */
#include "store_test.h"

#include "store/keyring.h"
#include "store/people_db.h"
#include "store/sealed.h"

#include <errno.h>
#include <fcntl.h>

#include "store/schema.h"

static void
put_file(const void *p, size_t n)
{
	int fd = open(test_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, p, n), (ssize_t)n);
	close(fd);
}

static void
run(struct db *d, const char *sql)
{
	sqlite3_stmt *st = db_stmt(d, sql, &test_err);

	if (st == NULL)
		fail_msg("%s", test_err.text);
	OK(db_run(d, st, &test_err));
}

/* Where people look: the reason, and the file. */
static void
refused(const char *why)
{
	struct db *d = db_open(test_path, &test_err);

	assert_null(d);
	if (!strstr(test_err.text, why) || !strstr(test_err.text, test_path))
		fail_msg("unclear: %s", test_err.text);
}

static void
makes_and_finds_again(void **state)
{
	struct db *d = test_open();

	assert_int_equal(test_number(d, "PRAGMA user_version"), DB_VERSION);
	assert_int_equal(test_number(d, "PRAGMA application_id"), DB_APPLICATION);
	assert_int_equal(test_number(d, "SELECT count(*) FROM message"), 0);
	assert_int_equal(test_number(d, "PRAGMA secure_delete"), 2);
	run(d, "INSERT INTO message(id, time, direction, size) VALUES(1, 2, 1, 3)");
	db_close(&d);
	assert_null(d);
	d = test_open();
	assert_int_equal(test_number(d, "SELECT count(*) FROM message"), 1);
	db_close(&d);
	db_close(&d);	/* nothing, and no harm */
}

static void
migrates_an_empty_file(void **state)
{
	struct db *d;

	put_file("", 0);
	d = test_open();
	assert_int_equal(test_number(d, "PRAGMA user_version"), DB_VERSION);
	db_close(&d);
}

/* ---- secrets ---- */

static struct person
with_a_factor(const char *name)
{
	return (struct person){ .name = span_str(name), .roles = PRINCIPAL_BIT(ADMIN), .created = 1,
		.totp = span_make("twenty bytes of it !", TOTP_SECRET) };
}

/* A database of before: its secrets lie elsewhere then, and are sealed by the next round. */
static void
secrets_move(void **state)
{
	char pragma[64], path[128];
	enum sealed_kind kind = 0;
	int64_t row = INT64_MIN;
	struct keyring *ring;
	struct person p;
	struct db *d;
	sqlite3 *s;
	int at = 0;
	bool made;

	while (!strstr(schema_step(at), "CREATE TABLE person_totp"))
		at++;
	assert_int_equal(sqlite3_open(test_path, &s), SQLITE_OK);
	for (int i = 0; i < at; i++)
		assert_int_equal(sqlite3_exec(s, schema_step(i), NULL, NULL, NULL), SQLITE_OK);
	snprintf(pragma, sizeof(pragma), "PRAGMA user_version=%d", at);
	assert_int_equal(sqlite3_exec(s, pragma, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_exec(s, "INSERT INTO person(name, roles, totp, totp_step, created) VALUES('Anna', 1,"
	    " CAST('twenty bytes of it !' AS BLOB), 7, 1), ('bert', 1, NULL, 0, 1);"
	    "INSERT INTO secret(name, value) VALUES('approval', randomblob(32));"
	    "INSERT INTO setting(name, value) VALUES('sealed', 1)", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(s);
	d = test_open();
	snprintf(path, sizeof(path), "%s/store.key", test_dir);
	ring = keyring_open(path, &made, &test_err);
	db_use_keys(d, ring);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(person_get(d, SPAN_LIT("anna"), test_arena, &p, &test_err), 1);
		assert_true(span_is(p.totp, "twenty bytes of it !") && p.totp_step == 7);
		assert_int_equal(test_number(d, "SELECT count(*) FROM person_totp WHERE instr(totp, 'twenty')"), !round);
		assert_int_equal(test_number(d, "SELECT count(*) FROM approval_secret WHERE length(bytes)=32"), !round);
		while (sealed_migrate(d, &kind, &row, 10, &test_err) == 1)
			;
	}
	assert_int_equal(person_get(d, SPAN_LIT("bert"), test_arena, &p, &test_err), 1);
	assert_int_equal(p.totp.n, 0);
	assert_int_equal(test_number(d, "SELECT count(*) FROM person WHERE totp IS NOT NULL"), 0);
	assert_int_equal(test_number(d, "SELECT count(*) FROM setting WHERE name='sealed'"), 0);
	db_close(&d);
	keyring_free(&ring);
}

static void
a_lost_key_opens_no_door(void **state)
{
	struct person p = with_a_factor("anna"), q;
	char path[128], other[128];
	struct keyring *ring, *stranger;
	struct db *d = test_open();
	struct buf list;
	size_t n;
	bool made;

	snprintf(path, sizeof(path), "%s/store.key", test_dir);
	snprintf(other, sizeof(other), "%s/other.key", test_dir);
	ring = keyring_open(path, &made, &test_err);
	stranger = keyring_open(other, &made, &test_err);
	db_use_keys(d, ring);
	OK(person_put(d, &p, &test_err));
	assert_int_equal(test_number(d, "SELECT count(*) FROM person_totp WHERE instr(totp, 'twenty')"), 0);
	p.language = SPAN_LIT("fr");
	OK(person_put(d, &p, &test_err));
	assert_int_equal(test_number(d, "SELECT count(*) FROM person_totp"), 1);
	p = with_a_factor("bert");
	OK(person_put(d, &p, &test_err));
	assert_int_equal(person_get(d, SPAN_LIT("bert"), test_arena, &q, &test_err), 1);
	assert_true(span_eq(p.totp, q.totp));
	db_use_keys(d, stranger);	/* nobody is there as one without a second factor */
	assert_int_equal(person_get(d, SPAN_LIT("anna"), test_arena, &q, &test_err), -1);
	buf_init(&list, 65536);
	OK(person_list(d, &list, &n, &test_err));
	assert_int_equal(n, 2);
	assert_non_null(memmem(buf_data(&list).p, buf_size(&list), "\"totp\":true", 11));
	buf_release(&list);
	db_use_keys(d, ring);
	p.totp = (struct span){ 0 };	/* bert's device is taken back */
	OK(person_put(d, &p, &test_err));
	assert_int_equal(test_number(d, "SELECT count(*) FROM person_totp"), 1);
	assert_int_equal(person_remove(d, SPAN_LIT("ANNA"), &test_err), 1);
	assert_int_equal(test_number(d, "SELECT count(*) FROM person_totp"), 0);
	db_close(&d);
	keyring_free(&ring);
	keyring_free(&stranger);
}

/* As each earlier version left it: its own steps, a message, a kept one. What was there is there, and found. */
static void
migrates_every_version(void **state)
{
	for (int version = 1; version < DB_VERSION; version++) {
		struct trace_result res;
		struct buf out;
		struct db *d;
		sqlite3 *s;
		char pragma[64];
		bool indexes;	/* that version writes the index of words with each message, which this one lacks */

		unlink(test_path);
		assert_int_equal(sqlite3_open(test_path, &s), SQLITE_OK);
		for (int i = 0; i < version; i++)
			if (sqlite3_exec(s, schema_step(i), NULL, NULL, NULL) != SQLITE_OK)
				fail_msg("step %d: %s", i, sqlite3_errmsg(s));
		snprintf(pragma, sizeof(pragma), "PRAGMA user_version=%d", version);
		assert_int_equal(sqlite3_exec(s, pragma, NULL, NULL, NULL), SQLITE_OK);
		indexes = sqlite3_table_column_metadata(s, NULL, "search_week", NULL, NULL, NULL, NULL, NULL, NULL) ==
		    SQLITE_OK;
		/* 6900814620000000000 / 3844: a moment of November 2026 */
		assert_int_equal(sqlite3_exec(s, "INSERT INTO message(id, time, direction, sender, sender_domain, subject,"
		    " size) VALUES(6900814620000000000, 1795216602497398, 1, 'm@example.org', 'example.org',"
		    " 'old subject', 9);"
		    "INSERT INTO recipient(id, address, domain, status, time) VALUES(6900814620000000000,"
		    " 'a@example.net', 'example.net', 'sent', 1795216602497399);"
		    "INSERT INTO record(id, json) VALUES(6900814620000000000, '{\"v\":1}');"
		    "INSERT INTO kept(kid, id, kind, time, sender, size, state, envelope) VALUES(1, 6900814620000000000,"
		    " 'hold', 1795216602497398, 'm@example.org', 4, 1, x'00');"
		    "INSERT INTO kept_content(kid, method, bytes) VALUES(1, 1, 'text')", NULL, NULL, NULL),
		    SQLITE_OK);
		sqlite3_close(s);
		d = test_open();
		assert_int_equal(test_number(d, "PRAGMA user_version"), DB_VERSION);
		assert_int_equal(test_number(d, "SELECT count(*) FROM message"), 1);
		assert_int_equal(test_number(d, "SELECT count(*) FROM kept_content WHERE bytes='text'"), 1);
		while (search_backfill(d, 100, &test_err) == 1)
			;
		buf_init(&out, 1u << 20);
		OK(journal_trace(d, SPAN_LIT("subject:old to:a@example.net"), NULL, 0, 10, &out, &res, &test_err));
		assert_int_equal(res.found, indexes ? 0 : 1);
		assert_false(res.unindexed);
		buf_release(&out);
		db_close(&d);
	}
}

static void
refuses_what_is_no_database(void **state)
{
	char junk[8192];

	memset(junk, 'x', sizeof(junk));
	put_file(junk, sizeof(junk));
	refused("damaged, or no database");
	assert_int_equal(test_err.code, EUCLEAN);
}

/* The first page is whole, the schema behind it is not. */
static void
refuses_a_torn_file(void **state)
{
	struct db *d = test_open();
	char junk[4096];
	int fd;

	db_close(&d);
	memset(junk, 0xee, sizeof(junk));
	fd = open(test_path, O_WRONLY);
	assert_int_not_equal(fd, -1);
	assert_int_equal(pwrite(fd, junk, 3900, 100), 3900);
	close(fd);
	refused("damaged, or no database");
}

static void
refuses_others(void **state)
{
	struct db *d = test_open();

	run(d, "PRAGMA application_id=99");
	db_close(&d);
	refused("another program");
}

static void
refuses_newer(void **state)
{
	struct db *d = test_open();

	run(d, "PRAGMA user_version=1000");
	db_close(&d);
	refused("newer Postern");
}

static void
refuses_a_missing_folder(void **state)
{
	snprintf(test_path, sizeof(test_path), "%s/none/store.db", test_dir);
	refused("may this account write there?");
	snprintf(test_path, sizeof(test_path), "%s/store.db", test_dir);
}

static void
transactions(void **state)
{
	struct db *d = test_open();

	OK(db_begin(d, false, &test_err));
	run(d, "INSERT INTO message(id, time, direction, size) VALUES(1, 2, 1, 3)");
	assert_true(db_in_transaction(d));
	db_rollback(d);
	assert_false(db_in_transaction(d));
	db_rollback(d);
	assert_int_equal(test_number(d, "SELECT count(*) FROM message"), 0);

	OK(db_begin(d, true, &test_err));
	assert_int_equal(test_number(d, "PRAGMA synchronous"), 2);
	run(d, "INSERT INTO message(id, time, direction, size) VALUES(1, 2, 1, 3)");
	OK(db_commit(d, &test_err));
	assert_int_equal(test_number(d, "PRAGMA synchronous"), 1);
	assert_int_equal(test_number(d, "SELECT count(*) FROM message"), 1);
	db_close(&d);
}

/* A row that breaks the rules is the row's fault, told from a disk that fails. */
static void
tells_rows_from_disks(void **state)
{
	struct db *d = test_open();
	sqlite3_stmt *st = db_stmt(d, "INSERT INTO message(id, time, direction, size)"
	    " VALUES(1, NULL, 1, 3)", &test_err);

	assert_int_equal(db_run(d, st, &test_err), -1);
	assert_int_equal(test_err.code, EINVAL);
	db_close(&d);
}

static void
a_budget_interrupts(void **state)
{
	struct db *d = test_open();
	sqlite3_stmt *st;
	static int64_t now = T0;

	clock_virtual = &now;
	db_budget(d, 1000);
	now += 1001;
	st = db_stmt(d, "WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x+1 FROM c)"
	    " SELECT count(*) FROM c", &test_err);
	assert_int_equal(db_step(d, st, &test_err), -1);
	assert_true(db_interrupted(d));
	assert_int_equal(test_err.code, ETIME);
	db_budget(d, 0);
	assert_int_equal(test_number(d, "SELECT count(*) FROM message"), 0);
	clock_virtual = NULL;
	db_close(&d);
}

#define T(name) cmocka_unit_test_setup_teardown(name, test_setup, test_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(makes_and_finds_again), T(migrates_an_empty_file), T(migrates_every_version), T(secrets_move), T(a_lost_key_opens_no_door), T(refuses_what_is_no_database),
		T(refuses_a_torn_file), T(refuses_others), T(refuses_newer),
		T(refuses_a_missing_folder), T(transactions), T(tells_rows_from_disks),
		T(a_budget_interrupts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
