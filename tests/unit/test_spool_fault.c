/* test_spool_fault.c -- the spool in bad times.
 *
 * Torn tails, flipped bits, every write, sync, open, rename and unlink failing in
 * turn. Always the same promise:
 * what was acknowledged is there afterwards, what is known to be done is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "queue/segment.h"
#include "spool_scene.h"

static size_t
file_read(const char *path, char *out, size_t max)
{
	FILE *f = fopen(path, "r");
	size_t n;

	ASSERT(f != NULL);
	n = fread(out, 1, max, f);
	fclose(f);
	return n;
}

static void
file_write(const char *path, const char *p, size_t n)
{
	FILE *f = fopen(path, "w");

	ASSERT(f != NULL);
	ASSERT(fwrite(p, 1, n, f) == n);
	fclose(f);
}

/* Three messages in one segment, left by a crash; gives the bytes and where each record is. */
static size_t
three(struct user *u, const char *name, char *bytes, size_t max, uint64_t id[3], uint64_t at[3],
    uint64_t size[3], char path[300])
{
	struct arena *a = arena_new(0);
	struct err err;

	user_fresh(u, name);
	for (int i = 0; i < 3; i++) {
		struct user_item *x = user_append(u, id[i] = next_id(),
		    SPAN_LIT("Subject: x\r\n\r\n123456789"), a, &err);

		assert_non_null(x);
		assert_int_equal(spool_sync(u->sp, &err), 0);
		at[i] = x->item.at.offset;
		size[i] = x->item.at.bytes;
	}
	user_crash(u);
	snprintf(path, 300, "%s/seg-00000001", u->path);
	arena_free(&a);
	return file_read(path, bytes, max);
}

static void
torn_tail(void **state)
{
	static char bytes[65536];
	struct user u;
	struct err err;
	struct arena *a = arena_new(0);
	uint64_t id[3], at[3], size[3];
	char path[300], again[300];
	size_t n = three(&u, "torn", bytes, sizeof(bytes), id, at, size, path);

	assert_int_equal(n, at[2] + size[2]);
	for (size_t cut = at[2]; cut < n; cut++) {
		file_write(path, bytes, cut);
		assert_int_equal(user_open(&u, &err), 0);
		assert_int_equal(user_count(&u), 2);
		assert_int_equal(u.errors, 0);
		assert_int_equal(u.reports, cut > at[2] ? 1 : 0);
		assert_non_null(spool_find(u.sp, id[0]));
		assert_non_null(spool_find(u.sp, id[1]));
		/* The tail is gone from the disk, and new mail is taken. */
		assert_non_null(user_append(&u, next_id(), SPAN_LIT("new"), a, &err));
		assert_int_equal(spool_sync(u.sp, &err), 0);
		user_close(&u);
		assert_int_equal(user_open(&u, &err), 0);
		assert_int_equal(user_count(&u), 3);
		assert_int_equal(u.reports, 0);
		user_crash(&u);
		snprintf(again, sizeof(again), "%s/seg-00000002", u.path);
		unlink(again);
		arena_reset(a);
	}
	folder_remove(u.path);
	arena_free(&a);
}

static void
flipped_bits(void **state)
{
	static char bytes[65536], bad[65536];
	struct user u;
	struct err err;
	uint64_t id[3], at[3], size[3];
	char path[300];
	size_t n = three(&u, "flip", bytes, sizeof(bytes), id, at, size, path);
	size_t content[3];

	for (int i = 0; i < 3; i++) {
		struct record r;
		uint64_t salt;

		memcpy(&salt, bytes + at[i], 8);
		assert_true(record_head_read(bytes + at[i], salt, &r));
		content[i] = RECORD_HEAD + r.meta_size + r.data_size;
		assert_int_equal(record_bytes(&r), size[i]);
	}
	for (int i = 0; i < 3; i++)
		for (size_t k = 0; k < content[i]; k++) {
			memcpy(bad, bytes, n);
			bad[at[i] + k] ^= (char)(1 << (k % 8));
			file_write(path, bad, n);
			assert_int_equal(user_open(&u, &err), 0);
			assert_int_equal(user_count(&u), 2);
			assert_int_equal(u.reports, 1);
			/* A broken head at the very end cannot be told from a torn write. */
			assert_int_equal(u.errors, i < 2 || k >= RECORD_HEAD);
			for (int x = 0; x < 3; x++)
				assert_int_equal(spool_find(u.sp, id[x]) != NULL, x != i);
			spool_check(u.sp);
			user_crash(&u);
		}
	/* The file's own head: the salt is found again in the first record. */
	for (size_t k = 0; k < SEGMENT_HEAD; k++) {
		memcpy(bad, bytes, n);
		bad[k] ^= 4;
		file_write(path, bad, n);
		assert_int_equal(user_open(&u, &err), 0);
		assert_int_equal(user_count(&u), 3);
		assert_int_equal(u.errors, 1);
		user_crash(&u);
	}
	folder_remove(u.path);
}

/* Somebody mails bytes that look like a record: behind damage they must not be found. */
static void
forged_record(void **state)
{
	static char bytes[65536], mail[4096];
	struct user u;
	struct err err;
	struct arena *a = arena_new(0);
	struct user_item *x;
	char path[300];
	size_t n;

	/* A record as it would stand in a segment with a salt the sender guessed. */
	memset(mail, 0, sizeof(mail));
	for (size_t k = 0; k + RECORD_HEAD <= sizeof(mail); k += 8)
		record_head_write(mail + k, 0x1122334455667788,
		    &(struct record){ .type = RECORD_DONE, .id = 1 });
	user_fresh(&u, "forged");
	x = user_append(&u, next_id(), span_make(mail, sizeof(mail)), a, &err);
	assert_int_equal(spool_sync(u.sp, &err), 0);
	snprintf(path, sizeof(path), "%s/seg-00000001", u.path);
	n = x->item.at.offset;
	user_crash(&u);
	assert_true(file_read(path, bytes, sizeof(bytes)) > sizeof(mail));
	bytes[n + 12] ^= 1;
	file_write(path, bytes, n + 40 + sizeof(mail));
	assert_int_equal(user_open(&u, &err), 0);
	assert_int_equal(user_count(&u), 0);
	assert_int_equal(u.reports, 1);
	user_crash(&u);
	folder_remove(u.path);
	arena_free(&a);
}

static void
damage_is_kept(void **state)
{
	static char bytes[65536];
	struct user u;
	struct err err;
	struct stat st;
	uint64_t id[3], at[3], size[3];
	char path[300], kept[320];
	size_t n = three(&u, "kept", bytes, sizeof(bytes), id, at, size, path);

	bytes[at[1] + size[1] - 9] ^= 1;
	file_write(path, bytes, n);
	assert_int_equal(user_open(&u, &err), 0);
	assert_int_equal(user_count(&u), 2);
	spool_finish(u.sp, spool_find(u.sp, id[0]));
	spool_finish(u.sp, spool_find(u.sp, id[2]));
	assert_int_equal(spool_sync(u.sp, &err), 0);
	snprintf(kept, sizeof(kept), "%s.damaged", path);
	assert_int_equal(stat(path, &st), -1);
	assert_int_equal(stat(kept, &st), 0);
	user_close(&u);
	assert_int_equal(user_open(&u, &err), 0);
	assert_int_equal(u.reports, 0);
	user_close(&u);
	folder_remove(u.path);
}

/* ---- faults in turn ---- */

static struct {
	long at, count;		/* the at-th operation fails; how many there were */
	int error;
	bool for_ever, short_write;
} plan_of_faults;

static int
fault_in_turn(enum fs_op op, const char *path, int fd, size_t *n)
{
	long i = plan_of_faults.count++;

	if (i < plan_of_faults.at || (i > plan_of_faults.at && !plan_of_faults.for_ever))
		return 0;
	if (op == FS_WRITE && plan_of_faults.short_write && i == plan_of_faults.at && *n > 1) {
		*n /= 2;
		plan_of_faults.at++;	/* the rest of it fails */
		return 0;
	}
	scene_faults++;
	return plan_of_faults.error;
}

static void
every_fault(const char *what, int error, bool for_ever, bool short_write)
{
	int64_t now = 1000 * US_PER_SEC;
	struct scene s;
	long at;

	clock_virtual = &now;
	for (at = 0; ; at++) {
		memset(&s, 0, sizeof(s));
		user_fresh(&s.u, "fault");
		plan_of_faults.at = at;
		plan_of_faults.count = scene_faults = 0;
		plan_of_faults.error = error;
		plan_of_faults.for_ever = for_ever;
		plan_of_faults.short_write = short_write;
		fs_fault = fault_in_turn;
		scene_play(&s, &now);
		user_crash(&s.u);
		scene_judge(&s, what, at, false);
		folder_remove(s.u.path);
		if (scene_faults == 0)
			break;
	}
	assert_true(at > 40);
	clock_virtual = NULL;
}

static void
fail_once(void **state)
{
	every_fault("EIO once", EIO, false, false);
}

static void
fail_for_ever(void **state)
{
	every_fault("EIO from then on", EIO, true, false);
}

static void
full_once(void **state)
{
	every_fault("ENOSPC once", ENOSPC, false, true);
}

static void
full_for_ever(void **state)
{
	every_fault("short write, then ENOSPC", ENOSPC, true, true);
}

/* An id refused by a failing disk, submitted again and accepted: its DONE of the first time must
 * not end it. */
static void
refused_then_accepted(void **state)
{
	struct user u;
	struct err err;
	struct arena *a = arena_new(0);
	uint64_t id = next_id();
	struct user_item *x;

	user_fresh(&u, "again");
	x = user_append(&u, next_id(), SPAN_LIT("other"), a, &err);
	assert_int_equal(spool_sync(u.sp, &err), 0);
	x = user_append(&u, id, SPAN_LIT("first"), a, &err);
	fs_fault = always_fail;
	assert_int_equal(spool_sync(u.sp, &err), -1);
	fs_fault = NULL;
	free(x);
	assert_null(spool_find(u.sp, id));
	x = user_append(&u, id, SPAN_LIT("second"), a, &err);
	assert_non_null(x);
	assert_int_equal(spool_sync(u.sp, &err), 0);
	spool_check(u.sp);
	user_crash(&u);
	assert_int_equal(user_open(&u, &err), 0);
	assert_non_null(spool_find(u.sp, id));
	user_close(&u);
	folder_remove(u.path);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(torn_tail), cmocka_unit_test(flipped_bits),
		cmocka_unit_test(forged_record), cmocka_unit_test(damage_is_kept),
		cmocka_unit_test(fail_once), cmocka_unit_test(fail_for_ever),
		cmocka_unit_test(full_once), cmocka_unit_test(full_for_ever),
		cmocka_unit_test(refused_then_accepted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
