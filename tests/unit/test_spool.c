/* test_spool.c -- the spool in good times: sums, round trips, removal, compaction. */
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdarg.h>
#include <cmocka.h>

#include "queue/crc32c.h"
#include "queue/segment.h"
#include "spool_test.h"

static uint64_t
next_id(void)
{
	static struct id_source src = { .slot = 7 };

	return id_new(&src, INT64_C(1795000000) * US_PER_SEC);
}

static void
crc_vectors(void **state)
{
	char zeros[32] = { 0 }, ones[32], up[32];
	char big[4099];

	memset(ones, 0xff, sizeof(ones));
	for (int i = 0; i < 32; i++)
		up[i] = (char)i;
	/* RFC 3720, B.4 */
	assert_int_equal(crc32c(0, zeros, 32), 0x8a9136aa);
	assert_int_equal(crc32c(0, ones, 32), 0x62a8ab43);
	assert_int_equal(crc32c(0, up, 32), 0x46dd794e);
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crc32c_soft(0, zeros, 32), 0x8a9136aa);
	assert_int_equal(crc32c_soft(0, ones, 32), 0x62a8ab43);
	assert_int_equal(crc32c_soft(0, up, 32), 0x46dd794e);
	assert_int_equal(crc32c_soft(0, "123456789", 9), 0xe3069283);
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 31 + i / 7);
	for (size_t n = 0; n < sizeof(big); n += 37) {
		assert_int_equal(crc32c(0, big, n), crc32c_soft(0, big, n));
		assert_int_equal(crc32c(crc32c(0, big, n / 3), big + n / 3, n - n / 3),
		    crc32c(0, big, n));
	}
}

static void
round_trip(void **state)
{
	struct user u;
	struct arena *a = arena_new(0);
	struct err err;
	struct user_item *x, *y;
	struct stored m;
	struct span json, head;
	struct state st;
	uint64_t one = next_id(), two = next_id();

	user_fresh(&u, "round");
	x = user_append(&u, one, SPAN_LIT("Subject: one\r\n\r\nfirst\r\n"), a, &err);
	assert_non_null(x);
	assert_int_equal(x->item.state, ITEM_PENDING);
	y = user_append(&u, two, SPAN_LIT(""), a, &err);
	assert_non_null(y);
	assert_int_equal(spool_sync(u.sp, &err), 0);
	assert_int_equal(x->item.state, ITEM_LIVE);
	spool_check(u.sp);
	x->flags = STATE_NOTICED;
	user_state(&u, x, 3);
	user_state(&u, x, 4);
	spool_finish(u.sp, &y->item);
	assert_int_equal(spool_sync(u.sp, &err), 0);
	assert_int_equal(u.gone, 1);
	spool_check(u.sp);
	user_close(&u);

	assert_int_equal(user_open(&u, &err), 0);
	assert_int_equal(user_count(&u), 1);
	assert_int_equal(u.errors, 0);
	x = (struct user_item *)spool_find(u.sp, one);
	assert_non_null(x);
	assert_int_equal(x->attempts, 4);
	assert_int_equal(x->flags, STATE_NOTICED);
	assert_int_equal(spool_read(u.sp, &x->item, a, &m, &err), 0);
	assert_true(span_is(m.env.sender, "m.durand@example.org"));
	assert_true(span_is(m.env.recipients[0].address, "someone@example.net"));
	assert_true(span_is(m.decisions[0].rule, "r1"));
	assert_int_equal(m.size, 23);
	assert_int_equal(spool_read_json(u.sp, &x->item, &m, a, &json, &err), 0);
	assert_true(span_is(json, "{\"v\":1}"));
	assert_int_equal(spool_read_head(u.sp, &x->item, &m, 12, a, &head, &err), 0);
	assert_true(span_is(head, "Subject: one"));
	assert_int_equal(spool_read_state(u.sp, &x->pos, a, &st, &err), 0);
	assert_true(span_is(st.targets[0].reply, "no answer"));
	assert_null(spool_find(u.sp, two));
	spool_check(u.sp);
	user_close(&u);
	folder_remove(u.path);
	arena_free(&a);
}

static void
big_message(void **state)
{
	struct user u;
	struct arena *a = arena_new(0);
	struct err err;
	size_t n = SPOOL_INLINE_MAX + 12345;
	char *bytes = arena_alloc(a, n), name[300], id[ID_SIZE];
	uint64_t one = next_id();
	struct user_item *x;
	struct spool_ref ref;
	struct stored m;
	struct stat st;
	int fd;

	for (size_t i = 0; i < n; i++)
		bytes[i] = (char)(i % 251);
	user_fresh(&u, "big");
	x = user_append(&u, one, span_make(bytes, n), a, &err);
	assert_non_null(x);
	assert_int_equal(spool_sync(u.sp, &err), 0);
	user_close(&u);
	snprintf(name, sizeof(name), "%s/big/%s", u.path, id_format(next_id(), id));
	fd = open(name, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0 && write(fd, "x", 1) == 1);
	close(fd);

	assert_int_equal(user_open(&u, &err), 0);
	assert_int_equal(stat(name, &st), -1);		/* the orphan went */
	x = (struct user_item *)spool_find(u.sp, one);
	assert_non_null(x);
	assert_int_equal(spool_read(u.sp, &x->item, a, &m, &err), 0);
	assert_int_equal(spool_pin(u.sp, &x->item, &m, &ref, &fd, &err), 0);
	assert_int_equal(ref.segment, 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, n);
	close(fd);
	spool_finish(u.sp, &x->item);
	assert_int_equal(spool_sync(u.sp, &err), 0);
	snprintf(name, sizeof(name), "%s/big/%s", u.path, id_format(one, id));
	assert_int_equal(stat(name, &st), -1);
	user_close(&u);
	folder_remove(u.path);
	arena_free(&a);
}

/* Many segments: the dead go at once, the last live messages are moved out of
 * the almost dead, and a DONE outlives the segment of its message. */
static void
compaction(void **state)
{
	struct user u;
	struct arena *a = arena_new(0);
	struct err err;
	size_t n = 300000;
	char *bytes = arena_alloc(a, n);
	uint64_t ids[900], kept = 0;
	int64_t now = 1000 * US_PER_SEC;
	struct spool_stats st;

	clock_virtual = &now;
	memset(bytes, 'x', n);
	user_fresh(&u, "compact");
	for (size_t i = 0; i < 900; i++) {
		ids[i] = next_id();
		assert_non_null(user_append(&u, ids[i], span_make(bytes, n), a, &err));
		if (spool_batched(u.sp) >= SPOOL_BATCH_MAX)
			assert_int_equal(spool_sync(u.sp, &err), 0);
	}
	assert_int_equal(spool_sync(u.sp, &err), 0);
	spool_stats(u.sp, &st);
	assert_true(st.segments >= 4);
	assert_false(spool_compact(u.sp, 1 << 20));
	for (size_t i = 0; i < 900; i++) {
		struct user_item *x = (struct user_item *)spool_find(u.sp, ids[i]);

		if (i % 100 == 50 || i > 890) {
			user_state(&u, x, (uint16_t)i);
			kept++;
			continue;
		}
		spool_finish(u.sp, &x->item);
	}
	assert_int_equal(spool_sync(u.sp, &err), 0);
	spool_check(u.sp);
	assert_false(spool_compact(u.sp, 1 << 20));	/* they rest */
	now += 60 * US_PER_SEC;
	while (spool_compact(u.sp, 1 << 20))
		spool_check(u.sp);
	spool_check(u.sp);
	spool_stats(u.sp, &st);
	assert_int_equal(st.messages, kept);
	assert_true(st.segments <= 2);
	assert_true(st.compacted > 0);
	user_close(&u);
	assert_int_equal(user_open(&u, &err), 0);
	assert_int_equal(user_count(&u), kept);
	assert_int_equal(u.errors, 0);
	for (size_t i = 0; i < 900; i++) {
		struct user_item *x = (struct user_item *)spool_find(u.sp, ids[i]);
		struct stored m;

		assert_int_equal(x != NULL, i % 100 == 50 || i > 890);
		if (x == NULL)
			continue;
		assert_int_equal(x->attempts, i);
		assert_int_equal(spool_read(u.sp, &x->item, a, &m, &err), 0);
		assert_int_equal(m.size, n);
		spool_finish(u.sp, &x->item);
	}
	assert_int_equal(spool_sync(u.sp, &err), 0);
	spool_stats(u.sp, &st);
	assert_int_equal(st.messages, 0);
	spool_check(u.sp);
	user_close(&u);
	assert_int_equal(user_open(&u, &err), 0);
	assert_int_equal(user_count(&u), 0);
	spool_stats(u.sp, &st);
	assert_int_equal(st.segments, 0);
	user_close(&u);
	folder_remove(u.path);
	clock_virtual = NULL;
	arena_free(&a);
}

/* The message's segment is kept by another message; its DONE lies in a later
 * segment, which is otherwise dead and must be compacted, not removed. */
static void
done_outlives(void **state)
{
	struct user u;
	struct arena *a = arena_new(0);
	struct err err;
	size_t n = 1000000;
	char *bytes = arena_zalloc(a, n);
	uint64_t first = next_id(), other[40];
	int64_t now = 1000 * US_PER_SEC;
	struct user_item *x;

	clock_virtual = &now;
	user_fresh(&u, "outlives");
	for (int i = 0; i < 40; i++)	/* stay: the segment is never worth compacting */
		assert_non_null(user_append(&u, other[i] = next_id(), span_make(bytes, n), a, &err));
	x = user_append(&u, first, SPAN_LIT("once"), a, &err);
	assert_int_equal(spool_sync(u.sp, &err), 0);
	user_close(&u);
	assert_int_equal(user_open(&u, &err), 0);	/* from here on: a second segment */
	x = (struct user_item *)spool_find(u.sp, first);
	spool_finish(u.sp, &x->item);
	assert_non_null(user_append(&u, next_id(), span_make(bytes, n), a, &err));
	assert_int_equal(spool_sync(u.sp, &err), 0);
	user_close(&u);
	assert_int_equal(user_open(&u, &err), 0);
	assert_int_equal(user_count(&u), 41);
	for (size_t at = 0; (x = (struct user_item *)spool_next(u.sp, &at)) != NULL; )
		if (x->item.at.segment == 2)
			spool_finish(u.sp, &x->item);
	assert_int_equal(spool_sync(u.sp, &err), 0);
	now += 60 * US_PER_SEC;
	while (spool_compact(u.sp, 1 << 20))
		;
	assert_int_equal(u.segments, 2);		/* 1 and the head; 2 went */
	user_close(&u);
	assert_int_equal(user_open(&u, &err), 0);
	assert_null(spool_find(u.sp, first));
	assert_int_equal(user_count(&u), 40);
	user_close(&u);
	folder_remove(u.path);
	clock_virtual = NULL;
	arena_free(&a);
}

static void
pinned(void **state)
{
	struct user u;
	struct arena *a = arena_new(0);
	struct err err;
	struct spool_ref ref;
	struct stored m;
	struct user_item *x;
	char text[8];
	int fd;

	user_fresh(&u, "pinned");
	x = user_append(&u, next_id(), SPAN_LIT("pinned!"), a, &err);
	assert_int_equal(spool_sync(u.sp, &err), 0);
	user_close(&u);
	assert_int_equal(user_open(&u, &err), 0);
	x = (struct user_item *)spool_next(u.sp, &(size_t){ 0 });
	assert_int_equal(spool_read(u.sp, &x->item, a, &m, &err), 0);
	assert_int_equal(spool_pin(u.sp, &x->item, &m, &ref, &fd, &err), 0);
	assert_int_equal(fd, -1);
	spool_finish(u.sp, &x->item);
	assert_int_equal(spool_sync(u.sp, &err), 0);
	assert_int_equal(u.segments, 2);
	snprintf(text, sizeof(text), "%s", "");
	spool_unpin(u.sp, ref.segment);
	x = user_append(&u, next_id(), SPAN_LIT("next"), a, &err);
	assert_int_equal(spool_sync(u.sp, &err), 0);
	assert_int_equal(u.segments, 1);
	user_close(&u);
	folder_remove(u.path);
	arena_free(&a);
}

static void
paused_sites(void **state)
{
	struct user u;
	struct err err;
	struct span sites[] = { SPAN_LIT("one.example"), SPAN_LIT("two.example") };

	user_fresh(&u, "paused");
	spool_paused(u.sp, sites, 2);
	assert_int_equal(spool_sync(u.sp, &err), 0);
	user_close(&u);
	for (int i = 0; i < 3; i++) {
		u.npaused = 0;
		assert_int_equal(user_open(&u, &err), 0);
		assert_int_equal(u.npaused, 2);
		user_close(&u);
	}
	folder_remove(u.path);
}

static void
one_process(void **state)
{
	struct user u, v;
	struct err err;

	user_fresh(&u, "lock");
	v = u;
	assert_int_equal(user_open(&v, &err), -1);
	assert_non_null(strstr(err.text, "another process"));
	user_close(&u);
	folder_remove(u.path);
}

static void
version_unknown(void **state)
{
	struct user u;
	struct arena *a = arena_new(0);
	struct err err;
	struct stat st;
	char path[300], head[SEGMENT_HEAD] = "PSTNSPL\n\5\0\0\0\1\0\0\0saltsalt";
	uint32_t sum;
	off_t size;
	int fd;

	user_fresh(&u, "version");
	assert_non_null(user_append(&u, next_id(), SPAN_LIT("x"), a, &err));
	assert_int_equal(spool_sync(u.sp, &err), 0);
	user_crash(&u);
	snprintf(path, sizeof(path), "%s/seg-00000001", u.path);
	assert_int_equal(stat(path, &st), 0);
	size = st.st_size;
	snprintf(path, sizeof(path), "%s/seg-00000002", u.path);
	head[12] = 2;
	sum = crc32c(0, head, 28);
	memcpy(head + 28, &sum, 4);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_int_equal(write(fd, head, sizeof(head)), sizeof(head));
	close(fd);
	assert_int_equal(user_open(&u, &err), -1);
	assert_non_null(strstr(err.text, "version 5"));
	snprintf(path, sizeof(path), "%s/seg-00000001", u.path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, size);	/* not even ended: nothing was touched */
	snprintf(path, sizeof(path), "%s/seg-00000002", u.path);
	unlink(path);
	assert_int_equal(user_open(&u, &err), 0);
	assert_int_equal(user_count(&u), 1);
	user_close(&u);
	folder_remove(u.path);
	arena_free(&a);
}

static void
floor_kept(void **state)
{
	uint64_t bytes, inodes;
	struct user u;
	struct arena *a = arena_new(0);
	struct err err;

	user_fresh(&u, "floor");
	spool_set_floor(u.sp, UINT64_MAX / 2, 0);
	assert_null(user_append(&u, next_id(), SPAN_LIT("x"), a, &err));
	assert_int_equal(err.code, ENOSPC);
	assert_int_equal(spool_space(u.sp, &bytes, &inodes), 0);
	assert_true(bytes > 0);
	if (inodes < UINT64_MAX) {	/* a file system that counts them */
		spool_set_floor(u.sp, 0, inodes + 1000000);
		assert_null(user_append(&u, next_id(), SPAN_LIT("x"), a, &err));
		assert_int_equal(err.code, ENOSPC);
		assert_non_null(strstr(err.text, "inodes"));
	}
	spool_set_floor(u.sp, 0, 0);
	assert_non_null(user_append(&u, next_id(), SPAN_LIT("x"), a, &err));
	user_close(&u);
	folder_remove(u.path);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc_vectors), cmocka_unit_test(round_trip),
		cmocka_unit_test(big_message), cmocka_unit_test(compaction),
		cmocka_unit_test(done_outlives), cmocka_unit_test(pinned),
		cmocka_unit_test(paused_sites), cmocka_unit_test(one_process),
		cmocka_unit_test(floor_kept), cmocka_unit_test(version_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
