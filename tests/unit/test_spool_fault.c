/* test_spool_fault.c -- the spool in bad times.
 *
 * Torn tails, flipped bits, every write, sync, open and unlink failing in
 * turn, and the loss of power at each of them. Always the same promise:
 * what was acknowledged is there afterwards, what is known to be done is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "queue/segment.h"
#include "spool_test.h"

static struct id_source ids = { .slot = 9 };

static uint64_t
next_id(void)
{
	return id_new(&ids, INT64_C(1795000000) * US_PER_SEC);
}

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

enum known { KNOWN_NOT, ACKNOWLEDGED, REFUSED, DONE };

#define SCENE_MAX 64

struct scene {
	struct user u;
	uint64_t id[SCENE_MAX];
	enum known known[SCENE_MAX];
	bool finishing[SCENE_MAX];
	size_t n;
	uint64_t reused;
};

static struct {
	long at, count;		/* the at-th operation fails; how many there were */
	int error;
	bool for_ever, short_write;
	long failed;
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
	plan_of_faults.failed++;
	return plan_of_faults.error;
}

static void
scene_sync(struct scene *s, size_t since)
{
	struct err err;
	int r = spool_sync(s->u.sp, &err);

	for (size_t i = 0; i < s->n; i++) {
		if (i >= since && s->known[i] == KNOWN_NOT)
			s->known[i] = r == 0 ? ACKNOWLEDGED : REFUSED;
		if (r == 0 && s->finishing[i])
			s->known[i] = DONE;
	}
	spool_check(s->u.sp);
}

static void
scene_batch(struct scene *s, struct arena *a, size_t count, size_t bytes)
{
	static char body[SPOOL_INLINE_MAX + 1000];
	struct user_item *made[SCENE_MAX] = { 0 };
	size_t since = s->n;
	struct err err;

	for (size_t i = 0; i < count; i++) {
		s->known[s->n] = KNOWN_NOT;
		s->finishing[s->n] = false;
		s->id[s->n] = next_id();
		made[i] = user_append(&s->u, s->id[s->n], span_make(body, bytes), a, &err);
		if (made[i] == NULL)
			s->known[s->n] = REFUSED;
		s->n++;
	}
	scene_sync(s, since);
	for (size_t i = 0; i < count; i++)
		if (s->known[since + i] == REFUSED && made[i] != NULL)
			free(made[i]);
}

static bool dark;	/* the power is gone: nothing is done any more */

static void
scene_finish(struct scene *s, size_t from, size_t step)
{
	if (dark)
		return;
	for (size_t i = from; i < s->n; i += step) {
		struct spool_item *it = spool_find(s->u.sp, s->id[i]);

		if (s->known[i] == ACKNOWLEDGED && it != NULL && it->state == ITEM_LIVE) {
			user_state(&s->u, (struct user_item *)it, 1);
			spool_finish(s->u.sp, it);
			s->finishing[i] = true;
		}
	}
}

/* Everything a spool does, in about sixty operations on the disk. */
static void
scene_play(struct scene *s, int64_t *now)
{
	struct arena *a = arena_new(0);
	struct spool_stats st;

	spool_set_segment_max(s->u.sp, 40000);
	scene_batch(s, a, 3, 2000);
	scene_batch(s, a, 1, SPOOL_INLINE_MAX + 1000);
	scene_batch(s, a, 4, 9000);
	scene_finish(s, 1, 3);
	scene_sync(s, s->n);
	scene_batch(s, a, 4, 9000);
	scene_finish(s, 2, 2);
	scene_batch(s, a, 2, 100);
	*now += 60 * US_PER_SEC;
	for (int i = 0; i < 20 && spool_compact(s->u.sp, 15000); i++)
		spool_check(s->u.sp);
	scene_finish(s, 3, 4);
	scene_batch(s, a, 2, 30000);
	scene_sync(s, s->n);
	/* Into files used before, over bytes that are still there. */
	for (int i = 0; i < 4; i++) {
		scene_batch(s, a, 3, 9000);
		scene_batch(s, a, 1, 300);
		scene_finish(s, (size_t)i, 3);
		scene_sync(s, s->n);
	}
	spool_stats(s->u.sp, &st);
	s->reused = st.reused;
	arena_free(&a);
}

static void
scene_judge(struct scene *s, const char *what, long at, bool power)
{
	struct err err;

	if (user_open(&s->u, &err) == -1) {
		fprintf(stderr, "%s at %ld: %s\n", what, at, err.text);
		fail();
	}
	spool_check(s->u.sp);
	for (size_t i = 0; i < s->n; i++) {
		bool there = spool_find(s->u.sp, s->id[i]) != NULL;
		bool must = s->known[i] == ACKNOWLEDGED && !s->finishing[i];
		bool must_not = s->known[i] == DONE ||
		    (s->known[i] == REFUSED && !power && plan_of_faults.failed == 1);

		if ((must && !there) || (must_not && there)) {
			fprintf(stderr, "%s at %ld: message %zu is %s\n", what, at, i,
			    there ? "there" : "lost");
			fail();
		}
		if (there) {
			struct arena *a = arena_new(0);
			struct stored m;

			assert_int_equal(spool_read(s->u.sp, spool_find(s->u.sp, s->id[i]), a, &m,
			    &err), 0);
			arena_free(&a);
		}
	}
	user_close(&s->u);
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
		plan_of_faults.count = plan_of_faults.failed = 0;
		plan_of_faults.error = error;
		plan_of_faults.for_ever = for_ever;
		plan_of_faults.short_write = short_write;
		fs_fault = fault_in_turn;
		scene_play(&s, &now);
		user_crash(&s.u);
		scene_judge(&s, what, at, false);
		folder_remove(s.u.path);
		if (plan_of_faults.failed == 0)
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

/* ---- the loss of power ---- */

#define FILES_MAX 64

/* What the disk is sure to have: bytes as of the last sync of a file, names as of the last sync of
 * its folder: a copy of hard links stands for those. */
static struct {
	char root[256];
	long at, count;
	struct { ino_t ino; off_t size; char *bytes; } synced[FILES_MAX];
	size_t n;
	bool off;
} power;
static uint64_t reused_in_all;

/* The whole of a file; the caller's to free. */
static char *
slurp(const char *path, off_t *size)
{
	int fd = open(path, O_RDONLY);
	struct stat st;
	char *p;

	ASSERT(fd != -1 && fstat(fd, &st) == 0);
	p = malloc((size_t)st.st_size + 1);
	ASSERT(p != NULL && pread(fd, p, (size_t)st.st_size, 0) == st.st_size);
	close(fd);
	*size = st.st_size;
	return p;
}

static void
names_durable(void)
{
	char cmd[1200];

	/* Names the disk is sure of: a hard link for each. */
	snprintf(cmd, sizeof(cmd), "rm -rf '%s.names'; cp -al '%s' '%s.names'", power.root, power.root,
	    power.root);
	ASSERT(system(cmd) == 0);
}

static int
power_watch(enum fs_op op, const char *path, int fd, size_t *n)
{
	struct stat st;

	if (power.off || power.count++ >= power.at) {
		power.off = dark = true;
		return EIO;
	}
	if ((op == FS_FDATASYNC || op == FS_FSYNC) && fstat(fd, &st) == 0) {
		size_t i;

		if (S_ISDIR(st.st_mode)) {
			names_durable();
			return 0;
		}
		for (i = 0; i < power.n && power.synced[i].ino != st.st_ino; i++)
			;
		ASSERT(i < FILES_MAX);
		char name[64];

		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
		power.synced[i].ino = st.st_ino;
		free(power.synced[i].bytes);
		power.synced[i].bytes = slurp(name, &power.synced[i].size);
		if (i == power.n)
			power.n++;
	}
	return 0;
}

/* A file of which `now` was written and `then` was synced: back to that, or, torn, with every other
 * block of 512 bytes, or the first half of what was changed, of the newer. */
static void
file_restore(const char *path, const char *then, off_t n_then)
{
	off_t n_now, n = n_then, first, last;
	char *now = slurp(path, &n_now), *out = calloc(1, (size_t)(n_now > n_then ? n_now : n_then) + 1);
	int fd;

	ASSERT(out != NULL);
	if (n_then)
		memcpy(out, then, (size_t)n_then);
	for (first = 0; first < n_now && first < n_then && now[first] == then[first]; first++)
		;
	for (last = n_now; last > first && last <= n_then && now[last - 1] == then[last - 1]; last--)
		;
	if (power.at % 3 == 1 && last > first) {		/* the first half arrived */
		off_t half = first + (last - first) / 2;

		memcpy(out + first, now + first, (size_t)(half - first));
		n = half > n ? half : n;
	} else if (power.at % 3 == 2 && n_now <= n_then)	/* in any order */
		for (off_t at = first & ~(off_t)511; at < last; at += 1024)
			memcpy(out + at, now + at, (size_t)(at + 512 < n_now ? 512 : n_now - at));
	fd = open(path, O_WRONLY);
	ASSERT(fd != -1 && ftruncate(fd, n) == 0 && pwrite(fd, out, (size_t)n, 0) == n);
	close(fd);
	free(now);
	free(out);
}

/* Back to what is durable: the names of the last sync, each file as it was synced, and for some of
 * the rounds a part of what was not: torn. */
static void
power_restore(void)
{
	char cmd[1200], dir[600], name[1200];
	static const char *const dirs[] = { "", "/big" };

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'; cp -al '%s.names' '%s'", power.root, power.root,
	    power.root);
	ASSERT(system(cmd) == 0);
	for (int k = 0; k < 2; k++) {
		DIR *d;
		struct dirent *e;

		snprintf(dir, sizeof(dir), "%s%s", power.root, dirs[k]);
		d = opendir(dir);
		ASSERT(d != NULL);
		while ((e = readdir(d)) != NULL) {
			struct stat st;
			const char *bytes = NULL;
			off_t keep = 0;

			snprintf(name, sizeof(name), "%s/%s", dir, e->d_name);
			if (stat(name, &st) == -1 || !S_ISREG(st.st_mode))
				continue;
			for (size_t i = 0; i < power.n; i++)
				if (power.synced[i].ino == st.st_ino) {
					keep = power.synced[i].size;
					bytes = power.synced[i].bytes;
				}
			file_restore(name, bytes, keep);
		}
		closedir(d);
	}
}

static void
power_loss(void **state)
{
	int64_t now = 1000 * US_PER_SEC;
	struct scene s;
	char cmd[1200];

	clock_virtual = &now;
	for (long at = 0; ; at++) {
		memset(&s, 0, sizeof(s));
		memset(&power, 0, sizeof(power));
		plan_of_faults.failed = 0;
		dark = false;
		user_fresh(&s.u, "power");
		snprintf(power.root, sizeof(power.root), "%s", s.u.path);
		power.at = at;
		names_durable();
		fs_fault = power_watch;
		scene_play(&s, &now);
		reused_in_all += s.reused;
		user_crash(&s.u);
		power_restore();
		for (size_t i = 0; i < power.n; i++)
			free(power.synced[i].bytes);
		scene_judge(&s, "power loss", at, true);
		if (!power.off)
			break;
		assert_true(at < 400);
	}
	assert_true(reused_in_all > 100);	/* else it says nothing of files used again */
	snprintf(cmd, sizeof(cmd), "rm -rf '%s' '%s.names'", power.root, power.root);
	ASSERT(system(cmd) == 0);
	clock_virtual = NULL;
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
		cmocka_unit_test(power_loss), cmocka_unit_test(refused_then_accepted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
