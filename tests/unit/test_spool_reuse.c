/* test_spool_reuse.c -- files of dead segments that become new ones: what stood in them before must
 * never come back, and nobody else's reading may be disturbed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/mman.h>

#include "queue/segment.h"
#include "spool_test.h"

#define SIZE 40000	/* of a segment here */
#define BODY 3000

static struct id_source ids = { .slot = 9 };
static char old_body[BODY], new_body[BODY];

static struct user_item *
put(struct user *u, const char *body, size_t n)
{
	struct arena *a = arena_new(0);
	struct user_item *x;
	struct err err;

	x = user_append(u, id_new(&ids, INT64_C(1795000000) * US_PER_SEC), span_make(body, n), a,
	    &err);
	assert_non_null(x);
	assert_int_equal(spool_sync(u->sp, &err), 0);
	arena_free(&a);
	return x;
}

/* Two segments full of messages that are done: the first one's file is spare. */
static void
with_spare(struct user *u, const char *name)
{
	struct user_item *x[24];
	struct spool_stats st;

	memset(old_body, 'o', sizeof(old_body));
	memset(new_body, 'n', sizeof(new_body));
	user_fresh(u, name);
	spool_set_segment_max(u->sp, SIZE);
	for (int i = 0; i < 24; i++)
		x[i] = put(u, old_body, BODY);
	for (int i = 0; i < 12; i++)
		spool_finish(u->sp, &x[i]->item);
	assert_int_equal(spool_sync(u->sp, NULL), 0);
	spool_stats(u->sp, &st);
	assert_int_equal(st.spares, 1);
	assert_int_equal(st.messages, 12);
}

static uint64_t
reused(const struct user *u)
{
	struct spool_stats st;

	spool_stats(u->sp, &st);
	return st.reused;
}

/* Until a spare has become the head. */
static struct user_item *
into_spare(struct user *u)
{
	struct user_item *x = NULL;

	for (int i = 0; i < 24 && reused(u) == 0; i++)
		x = put(u, new_body, BODY);
	assert_int_equal(reused(u), 1);
	return x;
}

static void
used_again(void **state)
{
	struct user u;
	struct err err;
	struct user_item *x;
	struct spool_stats st;
	struct stat file;
	char path[300];
	size_t n;

	with_spare(&u, "reuse");
	x = into_spare(&u);
	snprintf(path, sizeof(path), "%s/seg-%08u", u.path, x->item.at.segment);
	assert_int_equal(stat(path, &file), 0);
	assert_true(file.st_size > SIZE / 2);		/* more than what is written yet */
	assert_true(x->item.at.offset < BODY);
	n = user_count(&u);
	/* A crash: what stood there before stays dead, and nothing is to be reported. */
	user_crash(&u);
	assert_int_equal(user_open(&u, &err), 0);
	assert_int_equal(user_count(&u), n);
	assert_int_equal(u.reports, 0);
	spool_check(u.sp);
	assert_int_equal(stat(path, &file), 0);
	assert_true(file.st_size < 2 * BODY);		/* ended where its records end */
	/* Ended in good order, reused files keep their size. */
	user_close(&u);
	assert_int_equal(user_open(&u, &err), 0);
	assert_int_equal(user_count(&u), n);
	assert_int_equal(u.reports, 0);
	spool_stats(u.sp, &st);
	assert_int_equal(st.damaged + st.torn, 0);
	user_close(&u);
	folder_remove(u.path);
}

/* As a delivery process that outlived a crash: it still sends from the file, perhaps through a
 * mapping, and would send a stranger's mail. */
static void
open_elsewhere(void **state)
{
	struct user u;
	static char before[20000];
	char path[300];
	const char *p;
	int fd;

	with_spare(&u, "lease");
	snprintf(path, sizeof(path), "%s/spare-00000001", u.path);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	p = mmap(NULL, 20000, PROT_READ, MAP_SHARED, fd, 0);
	assert_true(p != MAP_FAILED);
	memcpy(before, p, sizeof(before));
	/* Open and mapped, then mapped only. */
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 24; i++)
			put(&u, new_body, BODY);
		assert_int_equal(reused(&u), 0);
		assert_int_equal(access(path, F_OK), 0);
		assert_memory_equal(p, before, sizeof(before));
		if (round == 0)
			close(fd);
	}
	assert_int_equal(munmap((void *)(uintptr_t)p, 20000), 0);
	into_spare(&u);
	user_close(&u);
	folder_remove(u.path);
}

/* Every bit of the file's head, of a record, of the TAIL and of the old bytes behind it. Nothing
 * old may appear, and of the new ones only the damaged one may be missing, with a report. */
static void
flipped(void **state)
{
	static char bytes[2 * SIZE];
	struct user u;
	struct err err;
	struct user_item *x[3];
	uint64_t id[3];
	size_t at[3], end, n, count;
	ssize_t size;
	char path[300];
	int fd;

	with_spare(&u, "flip");
	x[0] = into_spare(&u);
	x[1] = put(&u, new_body, 40);
	x[2] = put(&u, new_body, 40);
	for (int i = 0; i < 3; i++) {
		id[i] = x[i]->item.id;
		at[i] = x[i]->item.at.offset;
	}
	end = at[2] + x[2]->item.at.bytes;
	count = user_count(&u);
	snprintf(path, sizeof(path), "%s/seg-%08u", u.path, x[0]->item.at.segment);
	user_crash(&u);
	fd = open(path, O_RDWR);
	size = pread(fd, bytes, sizeof(bytes), 0);
	assert_true(size > SIZE / 2);
	for (n = 0; n < end + 200; n++) {
		struct record r;
		uint64_t salt;
		bool padding = false;
		char bad = bytes[n] ^ (char)(1 << (n % 8));
		int which = n < at[0] ? -1 : n < at[1] ? 0 : n < at[2] ? 1 : n < end ? 2 : 3;

		if (n > at[0] + 200 && n < at[1] - 50)
			continue;	/* the middle of a long text */
		if (which >= 0 && which < 3) {
			memcpy(&salt, bytes + 16, 8);
			assert_true(record_head_read(bytes + at[which], salt, &r));
			padding = n >= at[which] + RECORD_HEAD + r.meta_size + r.data_size;
		}
		assert_int_equal(ftruncate(fd, size), 0);
		assert_int_equal(pwrite(fd, bytes, (size_t)size, 0), size);
		assert_int_equal(pwrite(fd, &bad, 1, (off_t)n), 1);
		assert_int_equal(user_open(&u, &err), 0);
		if (which == -1 || which == 3 || padding)
			assert_int_equal(user_count(&u), count);
		else {
			assert_int_equal(user_count(&u), count - 1);
			assert_null(spool_find(u.sp, id[which]));
		}
		/* Old bytes behind the TAIL are nobody's; all else is told. */
		assert_int_equal(u.reports, padding || n >= end + RECORD_HEAD ? 0 : 1);
		spool_check(u.sp);
		user_crash(&u);
	}
	close(fd);
	folder_remove(u.path);
}

/* A batch that was cut off anywhere: its TAIL is missing, so it never was acknowledged. Before it
 * everything is there; no alarm. */
static void
torn(void **state)
{
	static char before[2 * SIZE], after[2 * SIZE];
	struct user u;
	struct err err;
	struct user_item *x;
	uint64_t last;
	size_t count, from, to, content;
	struct record r;
	uint64_t salt;
	ssize_t size;
	char path[300];
	int fd;

	with_spare(&u, "torn");
	x = into_spare(&u);
	snprintf(path, sizeof(path), "%s/seg-%08u", u.path, x->item.at.segment);
	fd = open(path, O_RDWR);
	size = pread(fd, before, sizeof(before), 0);
	count = user_count(&u);
	x = put(&u, new_body, 100);
	last = x->item.id;
	from = x->item.at.offset;
	to = from + x->item.at.bytes + RECORD_HEAD;
	assert_int_equal(pread(fd, after, sizeof(after), 0), size);
	memcpy(&salt, after + 16, 8);
	assert_true(record_head_read(after + from, salt, &r));
	content = from + RECORD_HEAD + r.meta_size + r.data_size;
	user_crash(&u);
	for (size_t cut = from; cut <= to; cut++) {
		assert_int_equal(ftruncate(fd, size), 0);
		assert_int_equal(pwrite(fd, before, (size_t)size, 0), size);
		assert_int_equal(pwrite(fd, after + from, cut - from, (off_t)from), cut - from);
		assert_int_equal(user_open(&u, &err), 0);
		/* Whole without its TAIL it is taken: the client will have sent it again. */
		assert_int_equal(user_count(&u), count + (spool_find(u.sp, last) != NULL));
		assert_int_equal(spool_find(u.sp, last) != NULL, cut >= content ||
		    memcmp(before + cut, after + cut, content - cut) == 0);
		assert_int_equal(u.errors, 0);
		spool_check(u.sp);
		user_crash(&u);
	}
	close(fd);
	folder_remove(u.path);
}

/* More than are kept: they lose their name at once, and their blocks in steps. A full disk takes
 * the spares as well. */
static void
freed(void **state)
{
	struct user u;
	struct err err;
	struct user_item *x[140];
	struct spool_stats st;
	struct arena *a = arena_new(0);
	char path[300];
	int steps = 0;

	user_fresh(&u, "free");
	spool_set_segment_max(u.sp, 5 << 20);
	for (int i = 0; i < 140; i++) {
		static char body[SPOOL_INLINE_MAX - 100];

		x[i] = user_append(&u, id_new(&ids, 0), span_make(body, sizeof(body)), a, &err);
		assert_non_null(x[i]);
		if (i % 4 == 3)
			assert_int_equal(spool_sync(u.sp, &err), 0);
		arena_reset(a);
	}
	for (int i = 0; i < 140; i++)
		spool_finish(u.sp, &x[i]->item);
	assert_int_equal(spool_sync(u.sp, &err), 0);
	spool_stats(u.sp, &st);
	assert_int_equal(st.spares, SPARES_MAX);
	assert_true(st.dying > 10);
	while (spool_free(u.sp))
		steps++;
	assert_in_range(steps, 2 * st.dying - 1, 4 * st.dying);
	spool_stats(u.sp, &st);
	assert_int_equal(st.dying, 0);
	/* Left by this run, found by the next. */
	user_close(&u);
	assert_int_equal(user_open(&u, &err), 0);
	spool_stats(u.sp, &st);
	assert_int_equal(st.spares, SPARES_MAX);
	snprintf(path, sizeof(path), "%s/spare-00000001", u.path);
	assert_int_equal(access(path, F_OK), 0);
	spool_set_floor(u.sp, UINT64_MAX / 2, 0);
	assert_null(user_append(&u, id_new(&ids, 0), SPAN_LIT("x"), a, &err));
	assert_int_equal(err.code, ENOSPC);
	spool_stats(u.sp, &st);
	assert_int_equal(st.spares, 0);
	assert_int_equal(access(path, F_OK), -1);
	user_close(&u);
	folder_remove(u.path);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(used_again), cmocka_unit_test(open_elsewhere),
		cmocka_unit_test(flipped), cmocka_unit_test(torn), cmocka_unit_test(freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
