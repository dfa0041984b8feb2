/* test_store_audit.c -- the chain of who changed what: every way to tamper with it shows. */
#include "store_test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "store/audit.h"
#include "store/audit_query.h"
#include "store/keyring.h"

static struct keyring *ring;

static struct keyring *
open_ring(const char *name)
{
	char path[128];
	bool made;
	struct keyring *k;

	snprintf(path, sizeof(path), "%s/%s", test_dir, name);
	k = keyring_open(path, &made, &test_err);
	if (k == NULL)
		fail_msg("%s", test_err.text);
	return k;
}

static struct db *
open_keyed(void)
{
	struct db *d = test_open();

	ring = open_ring("store.key");
	db_use_keys(d, ring);
	return d;
}

static void
close_keyed(struct db **d)
{
	db_close(d);
	keyring_free(&ring);
	assert_null(ring);
}

static void
put(struct db *d, int n)
{
	char subject[32];

	for (int i = 0; i < n; i++) {
		snprintf(subject, sizeof(subject), "message %d", i);
		OK(audit_put(d, SPAN_LIT("uid 0"), "held.release", span_str(subject),
		    SPAN_LIT("because"), T0 + i, &test_err));
	}
}

static void
run(struct db *d, const char *sql)
{
	sqlite3_stmt *st = db_stmt(d, sql, &test_err);

	if (st == NULL)
		fail_msg("%s", test_err.text);
	OK(db_run(d, st, &test_err));
}

/* The whole log, in pages of `page`. */
static struct audit_walk
walk(struct db *d, size_t page)
{
	struct audit_walk w = { 0 };

	for (int i = 0; !w.end && i < 1000; i++)
		OK(audit_verify(d, &w, page, &test_err));
	assert_true(w.end);
	return w;
}

static void
assert_broken(struct db *d, enum audit_fault f, int64_t seq)
{
	struct audit_walk w = walk(d, 3), all = walk(d, 1000);

	assert_int_equal(w.fault, f);
	assert_int_equal(w.broken, seq);
	assert_int_equal(all.broken, seq);
}

static void
is_sound(void **state)
{
	struct db *d = open_keyed();
	struct audit_head h;
	struct audit_walk w = walk(d, 5);

	assert_int_equal(w.rows, 0);
	assert_int_equal(w.fault, AUDIT_SOUND);
	put(d, 10);
	w = walk(d, 3);
	assert_int_equal(w.fault, AUDIT_SOUND);
	assert_int_equal(w.rows, 10);
	assert_int_equal(w.unkeyed, 0);
	OK(audit_head(d, &h, &test_err));
	assert_int_equal(h.seq, 10);
	assert_memory_equal(h.hash, w.hash, AUDIT_HASH);
	close_keyed(&d);
	d = open_keyed();	/* and goes on where it was */
	put(d, 2);
	assert_int_equal(walk(d, 100).rows, 12);
	assert_int_equal(walk(d, 100).fault, AUDIT_SOUND);
	close_keyed(&d);
}

static void
changes_show(void **state)
{
	static const char *const acts[] = {
		"UPDATE audit SET who='uid 7' WHERE seq=4", "UPDATE audit SET what='held.deny' WHERE seq=4",
		"UPDATE audit SET subject='other' WHERE seq=4", "UPDATE audit SET detail='' WHERE seq=4",
		"UPDATE audit SET time=time+1 WHERE seq=4",
		"UPDATE audit SET who='uid', what=' 0held.release' WHERE seq=4",
		"UPDATE audit SET hash=zeroblob(32) WHERE seq=4",
		"UPDATE audit SET hash=zeroblob(3) WHERE seq=4",
	};

	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		struct db *d = open_keyed();
		sqlite3_stmt *st;

		put(d, 6);
		st = db_stmt(d, acts[i], &test_err);
		assert_int_equal(db_run(d, st, &test_err), -1);	/* the trigger */
		run(d, "DROP TRIGGER audit_stays");
		st = db_stmt(d, acts[i], &test_err);
		OK(db_run(d, st, &test_err));
		assert_broken(d, AUDIT_CHANGED, 4);
		close_keyed(&d);
		unlink(test_path);
	}
}

static void
what_is_missing_shows(void **state)
{
	struct db *d = open_keyed();

	put(d, 8);
	run(d, "DELETE FROM audit WHERE seq>=7");	/* the end */
	assert_broken(d, AUDIT_CUT, 7);
	put(d, 1);		/* has a number behind those that were there */
	assert_broken(d, AUDIT_MISSING, 7);
	run(d, "DELETE FROM audit WHERE seq=3");	/* the middle */
	assert_broken(d, AUDIT_MISSING, 3);
	run(d, "DELETE FROM audit WHERE seq<=2");	/* the front */
	assert_broken(d, AUDIT_MISSING, 1);
	close_keyed(&d);
}

/* Who has the database and not the key: a chain of his own has no key, or another. */
static void
forged_rows_show(void **state)
{
	struct db *d = open_keyed();

	put(d, 3);
	db_use_keys(d, NULL);
	put(d, 1);
	db_use_keys(d, ring);
	put(d, 1);
	assert_broken(d, AUDIT_WEAK, 4);
	close_keyed(&d);
	unlink(test_path);

	d = open_keyed();
	put(d, 3);
	run(d, "DROP TRIGGER audit_stays");
	/* A base that was made up: rows 1 and 2 were never there. */
	run(d, "INSERT INTO audit_base(one, seq, hash, key, mac) SELECT 1, 2, hash, key, zeroblob(32)"
	    " FROM audit WHERE seq=2");
	run(d, "DELETE FROM audit WHERE seq<=2");
	assert_broken(d, AUDIT_CHANGED, 3);
	run(d, "UPDATE audit_base SET key=0");	/* its MAC needs a key that rows behind it have */
	assert_broken(d, AUDIT_CHANGED, 3);
	close_keyed(&d);
}

/* A row of a key that is gone is taken, and counted; what comes behind it is chained to it. */
static void
a_lost_key_is_said(void **state)
{
	struct db *d = open_keyed();
	struct keyring *other = open_ring("other.key");
	struct audit_walk w;

	put(d, 3);
	db_use_keys(d, other);
	put(d, 3);
	w = walk(d, 100);
	assert_int_equal(w.fault, AUDIT_SOUND);
	assert_int_equal(w.rows, 6);
	assert_int_equal(w.foreign, 3);
	run(d, "DELETE FROM audit WHERE seq=3");
	assert_broken(d, AUDIT_MISSING, 3);
	close_keyed(&d);
	keyring_free(&other);
}

static void
forgets_the_old(void **state)
{
	struct db *d = open_keyed();
	struct audit_walk w;

	put(d, 10);
	assert_int_equal(audit_expire(d, T0 + 4, 3, T0 + 20, &test_err), 3);	/* bounded */
	assert_int_equal(audit_expire(d, T0 + 4, 3, T0 + 20, &test_err), 1);
	assert_int_equal(audit_expire(d, T0 + 4, 3, T0 + 20, &test_err), 0);
	w = walk(d, 4);
	assert_int_equal(w.fault, AUDIT_SOUND);
	assert_int_equal(w.rows, 8);	/* six, and two that say what was forgotten */
	assert_int_equal(test_number(d, "SELECT min(seq) FROM audit"), 5);
	run(d, "DELETE FROM audit WHERE seq<=6");
	assert_broken(d, AUDIT_MISSING, 5);
	close_keyed(&d);
}

static void
lists(void **state)
{
	struct db *d = open_keyed();
	struct buf out;
	struct jval *v;
	size_t found;
	int64_t next;
	char *line;

	put(d, 10);
	OK(audit_put(d, SPAN_LIT("a\"b\nc"), "refused", SPAN_LIT("<script>"), (struct span){ 0 }, T0,
	    &test_err));
	buf_init(&out, 1u << 20);
	OK(audit_list(d, (struct span){ 0 }, 0, 4, &out, &found, &next, &test_err));
	assert_int_equal(found, 4);
	assert_int_equal(next, 8);
	line = arena_str(test_arena, span_sub(buf_data(&out), 0, span_find(buf_data(&out), '\n')));
	v = jval_parse(span_str(line), &test_err);
	assert_int_equal(jval_int(v, "seq", 0), 11);
	assert_true(span_is(jval_text(v, "who"), "a\"b\nc"));
	assert_int_equal(jval_text(v, "hash").n, 64);
	jval_free(&v);
	buf_reset(&out);
	OK(audit_list(d, (struct span){ 0 }, next, 100, &out, &found, &next, &test_err));
	assert_int_equal(found, 7);	/* 7 to 1 */
	assert_int_equal(next, 0);
	buf_reset(&out);
	OK(audit_list(d, SPAN_LIT("RELEASE  message 3"), 0, 100, &out, &found, &next, &test_err));
	assert_int_equal(found, 1);
	buf_release(&out);
	close_keyed(&d);
}

/* One name for an act, whatever it was called when it was written. */
static void
searches(void **state)
{
	static const struct audit_shown release = { { "otto", 4 }, { "held.release", 12 }, { "8Do2SW89o07", 11 },
		{ "fine", 4 } }, refused = { { "anna", 4 }, { "refused", 7 }, { "4", 1 }, { "kept.release", 12 } },
		gateway = { { "uid 0", 5 }, { "policy.apply", 12 }, { "1a2b", 4 }, { "", 0 } };
	static const struct {
		const char *q;
		bool release, refused, gateway;
	} v[] = {
		{ "", true, true, true },
		{ "kept.release", true, true, false }, { "held.release", true, false, false },
		{ "what:kept.release", true, true, false }, { "what:held.release", true, true, false },
		{ "what:quarantine.release", true, true, false }, { "what:kept", true, true, false },
		{ "what:kept.rel", false, false, false }, { "what:refused", false, true, false },
		{ "who:OTTO", true, false, false }, { "who:\"uid 0\"", false, false, true },
		{ "who:anna what:kept.release", false, true, false }, { "who:anna fine", false, false, false },
		{ "8do2sw", true, false, false }, { "what:policy", false, false, true },
		{ "10:20", false, false, false },
	};
	static const char *const wrong[][2] = { { "who:", "says nothing" }, { "since:soon", "a duration as in 1d" },
		{ "since:1d before:2d", "nothing can lie between" }, { "a b c d e f g h i j k l m n o p q", "at most 16" } };
	struct audit_query q;

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		OK(audit_query_parse(span_str(v[i].q), T0, &q, &test_err));
		if (audit_query_has(&q, &release) != v[i].release || audit_query_has(&q, &refused) != v[i].refused ||
		    audit_query_has(&q, &gateway) != v[i].gateway)
			fail_msg("%s", v[i].q);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(audit_query_parse(span_str(wrong[i][0]), T0, &q, &test_err), -1);
		assert_non_null(strstr(test_err.text, wrong[i][1]));
	}
	OK(audit_query_parse(SPAN_LIT("since:1h before:10m"), T0, &q, &test_err));
	assert_int_equal(q.since, T0 - INT64_C(3600) * 1000000);
	assert_int_equal(q.before, T0 - INT64_C(600) * 1000000);
	OK(audit_query_parse(SPAN_LIT("since:2026-11-20"), T0, &q, &test_err));
	assert_int_equal(q.since, INT64_C(1795132800) * 1000000);	/* date -u -d 2026-11-20 +%s */
}

/* Texts of any length: cut at a whole character, and sound. */
static void
long_texts_are_cut(void **state)
{
	struct db *d = open_keyed();
	char text[3001];

	for (size_t i = 0; i < 3000; i += 3)
		memcpy(text + i, "€", 3);
	OK(audit_put(d, span_make(text, 3000), "x", span_make(text, 3000), span_make(text, 3000), T0,
	    &test_err));
	assert_int_equal(test_number(d, "SELECT length(who) FROM audit"), 333);
	assert_int_equal(walk(d, 10).fault, AUDIT_SOUND);
	close_keyed(&d);
}

/* ---- the keys ---- */

static void
seals(void **state)
{
	struct keyring *k = open_ring("store.key"), *again = open_ring("store.key");
	struct span out, plain = SPAN_LIT("4111 1111 1111 1111");
	char *sealed;
	size_t n;

	OK(seal(k, "content", 5, plain, &sealed, &n, &test_err));
	assert_int_equal(n, plain.n + SEAL_EXTRA);
	assert_null(memmem(sealed, n, "4111", 4));
	assert_int_equal(sealed_by(span_make(sealed, n)), keyring_active(k));
	OK(unseal(again, "content", 5, span_make(sealed, n), test_arena, &out, &test_err));
	assert_true(span_eq(out, plain));
	/* another row's, another kind's, changed anywhere */
	assert_int_equal(unseal(k, "content", 6, span_make(sealed, n), test_arena, &out, &test_err), -1);
	assert_int_equal(unseal(k, "record", 5, span_make(sealed, n), test_arena, &out, &test_err), -1);
	for (size_t i = 10; i < n; i++) {
		sealed[i] ^= 1;
		assert_int_equal(unseal(k, "content", 5, span_make(sealed, n), test_arena, &out,
		    &test_err), -1);
		assert_int_equal(test_err.code, EBADMSG);
		sealed[i] ^= 1;
	}
	OK(unseal(k, "content", 5, SPAN_LIT("plain"), test_arena, &out, &test_err));
	assert_true(span_is(out, "plain"));
	free(sealed);
	keyring_free(&k);
	keyring_free(&again);
}

static void
keys_are_replaced(void **state)
{
	struct keyring *k = open_ring("store.key"), *two, *other = open_ring("other.key");
	char path[128], *sealed;
	struct span out;
	size_t n;

	snprintf(path, sizeof(path), "%s/store.key", test_dir);
	OK(seal(k, "content", 5, SPAN_LIT("text"), &sealed, &n, &test_err));
	OK(keyring_extend(path, &test_err));
	two = open_ring("store.key");
	assert_int_equal(keyring_count(two), 2);
	assert_int_equal(keyring_number(two, 0), keyring_active(k));
	assert_int_not_equal(keyring_active(two), keyring_active(k));
	OK(unseal(two, "content", 5, span_make(sealed, n), test_arena, &out, &test_err));
	assert_int_equal(unseal(other, "content", 5, span_make(sealed, n), test_arena, &out, &test_err),
	    -1);
	assert_int_equal(test_err.code, ENOKEY);
	free(sealed);
	keyring_free(&k);
	keyring_free(&two);
	keyring_free(&other);
}

static void
bad_key_files_are_refused(void **state)
{
	static const struct { const char *text; int mode; const char *why; } bad[] = {
		{ "", 0600, "has no key" }, { "# nothing\n\n", 0600, "has no key" },
		{ "abcd\n", 0600, ":1: a key has 64 hexadecimal digits, here are 4" },
		{ "\nzz23456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n", 0600,
		    ":2: a key has hexadecimal digits only" },
		{ "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n", 0644,
		    "can be read by others (mode 644)" },
	};
	char path[128];
	bool made;

	snprintf(path, sizeof(path), "%s/bad.key", test_dir);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

		assert_int_equal(write(fd, bad[i].text, strlen(bad[i].text)), (ssize_t)strlen(bad[i].text));
		close(fd);
		chmod(path, (mode_t)bad[i].mode);
		assert_null(keyring_open(path, &made, &test_err));
		if (!strstr(test_err.text, bad[i].why))
			fail_msg("%s", test_err.text);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/no/where/store.key", test_dir);
	assert_null(keyring_open(path, &made, &test_err));
	assert_non_null(strstr(test_err.text, "store_key"));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, test_setup, test_teardown)
		T(is_sound), T(changes_show), T(what_is_missing_shows), T(forged_rows_show),
		T(a_lost_key_is_said), T(forgets_the_old), T(lists), T(searches), T(long_texts_are_cut),
		T(seals), T(keys_are_replaced), T(bad_key_files_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
