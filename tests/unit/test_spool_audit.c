/* test_spool_audit.c -- the checker finds what is broken and changes nothing; a repair deletes
 * nothing and leaves a spool that starts without a complaint; an export is imported once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "queue/portable.h"
#include "spool_test.h"
#include "table.h"

#define BIG (SPOOL_INLINE_MAX + 5000)

static struct id_source ids = { .slot = 9 };
static uint64_t id[4], at[4], bytes[4];
static char big_path[400];

static void
quiet(void *ctx, const char *text)
{
	if (ctx)
		(*(int *)ctx)++;
}

/* Three small messages and a large one; the second is done. */
static void
four(struct user *u, const char *name)
{
	struct arena *a = arena_new(0);
	char *large = malloc(BIG), text[ID_SIZE];
	struct user_item *x[4];
	struct err err;

	memset(large, 'L', BIG);
	user_fresh(u, name);
	for (int i = 0; i < 4; i++) {
		x[i] = user_append(u, id[i] = id_new(&ids, INT64_C(1795000000) * US_PER_SEC),
		    i == 3 ? span_make(large, BIG) : SPAN_LIT("Subject: x\r\n\r\nhello\r\n"), a, &err);
		assert_non_null(x[i]);
		assert_int_equal(spool_sync(u->sp, &err), 0);
		at[i] = x[i]->item.at.offset;
		bytes[i] = x[i]->item.at.bytes;
	}
	user_state(u, x[0], 1);
	spool_finish(u->sp, &x[1]->item);
	assert_int_equal(spool_sync(u->sp, &err), 0);
	user_crash(u);
	snprintf(big_path, sizeof(big_path), "%s/big/%s", u->path, id_format(id[3], text));
	free(large);
	arena_free(&a);
}

static void
flip(const char *path, uint64_t offset)
{
	int fd = open(path, O_RDWR);
	char c;

	assert_true(fd != -1);
	assert_int_equal(pread(fd, &c, 1, (off_t)offset), 1);
	c ^= 1;
	assert_int_equal(pwrite(fd, &c, 1, (off_t)offset), 1);
	close(fd);
}

static uint64_t
folder_sum(const char *path)
{
	char cmd[600];
	unsigned long long sum = 0;
	FILE *f;

	snprintf(cmd, sizeof(cmd), "cd '%s' && find . -type f -printf '%%p %%s %%T@\\n' -exec cksum {} + | "
	    "LC_ALL=C sort | cksum", path);
	f = popen(cmd, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%llu", &sum), 1);
	assert_int_equal(pclose(f), 0);
	return sum;
}

static void
segment_path(const struct user *u, char out[400])
{
	snprintf(out, 400, "%s/seg-00000001", u->path);
}

/* After a repair: no complaint at a start, and exactly these messages. */
static void
starts_with(struct user *u, const uint64_t *want, size_t n)
{
	struct err err;

	assert_int_equal(user_open(u, &err), 0);
	assert_int_equal(u->reports, 0);
	assert_int_equal(user_count(u), n);
	for (size_t i = 0; i < n; i++)
		assert_non_null(spool_find(u->sp, want[i]));
	user_close(u);
}

static void
sound(void **state)
{
	struct user u;
	struct err err;
	struct audit *a;
	uint64_t before;

	four(&u, "sound");
	before = folder_sum(u.path);
	a = audit_spool(u.path, &err);
	assert_non_null(a);
	assert_true(audit_clean(a));
	assert_false(a->in_use);
	assert_int_equal(a->nsegments, 1);
	assert_int_equal(a->segments[0].messages, 4);
	assert_int_equal(a->segments[0].live, 3);
	assert_int_equal(a->segments[0].dones, 1);
	assert_int_equal(idtable_count(a->messages), 3);
	assert_null(idtable_get(a->messages, id[1]));
	audit_free(&a);
	assert_int_equal(folder_sum(u.path), before);
	folder_remove(u.path);
}

static void
in_use(void **state)
{
	struct user u;
	struct err err;
	struct audit *a;

	user_fresh(&u, "inuse");
	a = audit_spool(u.path, &err);
	assert_non_null(a);
	assert_true(a->in_use);
	assert_int_equal(audit_repair(a, quiet, NULL, &err), -1);
	assert_int_equal(err.code, EBUSY);
	audit_free(&a);
	user_close(&u);
	folder_remove(u.path);
}

static void
repaired(struct user *u, int acts)
{
	struct err err;
	struct audit *a = audit_spool(u->path, &err);
	int said = 0;

	assert_non_null(a);
	assert_false(audit_clean(a));
	if (audit_repair(a, quiet, &said, &err) == -1)
		fail_msg("%s", err.text);
	assert_int_equal(said, acts);
	audit_free(&a);
	a = audit_spool(u->path, &err);
	assert_non_null(a);
	assert_true(audit_clean(a));
	audit_free(&a);
}

static void
broken_record(void **state)
{
	struct user u;
	struct err err;
	struct audit *a;
	char seg[400], kept[450];
	struct stat st;
	uint64_t want[2];

	four(&u, "broken");
	segment_path(&u, seg);
	flip(seg, at[0] + bytes[0] - 10);
	a = audit_spool(u.path, &err);
	assert_non_null(a);
	assert_int_equal(a->ndamage, 1);
	assert_int_equal(a->damage[0].segment, 1);
	assert_int_equal(a->damage[0].offset, at[0]);
	assert_int_equal(a->damage[0].id, id[0]);
	assert_non_null(strstr(a->damage[0].what, "data"));
	assert_non_null(strstr(a->damage[0].whom, "<someone@example.net>"));
	audit_free(&a);
	repaired(&u, 1);
	/* The old one is there, whole. */
	snprintf(kept, sizeof(kept), "%s.damaged", seg);
	assert_int_equal(stat(kept, &st), 0);
	want[0] = id[2];
	want[1] = id[3];
	starts_with(&u, want, 2);
	folder_remove(u.path);
}

static void
torn(void **state)
{
	struct user u;
	struct err err;
	struct audit *a;
	char seg[400];
	struct stat st;

	four(&u, "torn");
	segment_path(&u, seg);
	assert_int_equal(stat(seg, &st), 0);
	assert_int_equal(truncate(seg, st.st_size - 12), 0);
	a = audit_spool(u.path, &err);
	assert_non_null(a);
	assert_false(audit_clean(a));
	assert_int_equal(a->ndamage, 0);
	assert_true(a->segments[0].torn > 0);
	/* The torn record was the DONE of the second. */
	assert_int_equal(idtable_count(a->messages), 4);
	audit_free(&a);
	repaired(&u, 1);
	starts_with(&u, id, 4);
	folder_remove(u.path);
}

static void
large_file(void **state)
{
	struct user u;
	struct err err;
	struct audit *a;
	char lost[400], text[ID_SIZE];
	struct stat st;
	uint64_t want[2];

	four(&u, "large");
	flip(big_path, 100);
	a = audit_spool(u.path, &err);
	assert_non_null(a);
	assert_int_equal(a->ndamage, 1);
	assert_int_equal(a->damage[0].segment, 0);
	assert_int_equal(a->damage[0].id, id[3]);
	audit_free(&a);
	repaired(&u, 2);	/* the segment, the file */
	snprintf(lost, sizeof(lost), "%s/lost/%s", u.path, id_format(id[3], text));
	assert_int_equal(stat(lost, &st), 0);
	assert_int_equal(st.st_size, BIG);
	want[0] = id[0];
	want[1] = id[2];
	starts_with(&u, want, 2);
	folder_remove(u.path);
}

static void
stray(void **state)
{
	struct user u;
	char path[400], text[ID_SIZE];
	struct stat st;
	uint64_t want[3];
	uint64_t other = id_new(&ids, INT64_C(1795000000) * US_PER_SEC);
	int fd;

	four(&u, "stray");
	snprintf(path, sizeof(path), "%s/big/%s", u.path, id_format(other, text));
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd != -1);
	close(fd);
	repaired(&u, 1);
	snprintf(path, sizeof(path), "%s/lost/%s", u.path, text);
	assert_int_equal(stat(path, &st), 0);
	want[0] = id[0];
	want[1] = id[2];
	want[2] = id[3];
	starts_with(&u, want, 3);
	folder_remove(u.path);
}

/* ---- export and import ---- */

static int
export_file(struct user *u, struct portable_count *n)
{
	char path[300];
	struct err err;
	struct audit *a = audit_spool(u->path, &err);
	int fd;

	assert_non_null(a);
	snprintf(path, sizeof(path), "%s.export", u->path);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	unlink(path);
	assert_true(fd != -1);
	memset(n, 0, sizeof(*n));
	if (portable_export(a, fd, SPAN_LIT("gw1.example.org"), NULL, n, quiet, NULL, &err) == -1)
		fail_msg("%s", err.text);
	audit_free(&a);
	return fd;
}

static int
import_file(struct user *u, int fd, struct portable_count *n, struct err *err)
{
	memset(n, 0, sizeof(*n));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return portable_import(u->path, fd, NULL, 0, n, err);
}

struct same {
	struct span want;
	bool ok;
};

static int
compare(void *ctx, struct span piece)
{
	struct same *s = ctx;

	s->ok = s->ok && piece.n <= s->want.n && memcmp(piece.p, s->want.p, piece.n) == 0;
	s->want = span_from(s->want, piece.n);
	return 0;
}

static void
there_and_back(void **state)
{
	struct user u, v;
	struct portable_count n;
	struct arena *arena = arena_new(0);
	struct audit *a;
	struct err err;
	char *large = malloc(BIG);
	size_t i = 0, found = 0;
	uint64_t key;
	void *val;
	int fd;

	memset(large, 'L', BIG);
	four(&u, "from");
	user_fresh(&v, "to");
	user_close(&v);
	fd = export_file(&u, &n);
	assert_int_equal(n.messages, 3);
	if (import_file(&v, fd, &n, &err) == -1)
		fail_msg("%s", err.text);
	assert_int_equal(n.messages, 3);
	assert_int_equal(n.skipped, 0);
	a = audit_spool(v.path, &err);
	assert_non_null(a);
	assert_true(audit_clean(a));
	assert_int_equal(idtable_count(a->messages), 3);
	while (idtable_next(a->messages, &i, &key, &val)) {
		struct audit_message *m = val;
		struct stored s;
		struct span json;
		struct same same;

		assert_int_equal(audit_read(a, m, arena, &s, &json, &err), 0);
		assert_true(s.parent == id[0] || s.parent == id[2] || s.parent == id[3]);
		assert_true(s.env.id != s.parent);
		assert_true(span_is(json, "{\"v\":1}"));
		assert_true(span_is(s.env.sender, "m.durand@example.org"));
		assert_int_equal(s.env.nrecipients, 1);
		assert_true(span_is(s.decisions[0].rule, "r1"));
		assert_int_equal(s.decisions[0].outcome, OUTCOME_DELIVER);
		same = (struct same){ m->big ? span_make(large, BIG) :
			SPAN_LIT("Subject: x\r\n\r\nhello\r\n"), true };
		assert_int_equal(audit_body(a, m, &s, compare, &same, &err), 0);
		assert_true(same.ok && same.want.n == 0);
		found++;
	}
	assert_int_equal(found, 3);
	audit_free(&a);
	/* Never twice: not the same file, not another export of the same messages. */
	assert_int_equal(import_file(&v, fd, &n, &err), 0);
	assert_int_equal(n.messages, 0);
	assert_int_equal(n.skipped, 3);
	close(fd);
	fd = export_file(&u, &n);
	assert_int_equal(import_file(&v, fd, &n, &err), 0);
	assert_int_equal(n.skipped, 3);
	assert_int_equal(user_open(&v, &err), 0);
	assert_int_equal(v.reports, 0);
	assert_int_equal(user_count(&v), 3);
	user_close(&v);
	close(fd);
	free(large);
	arena_free(&arena);
	folder_remove(u.path);
	folder_remove(v.path);
}

static int stop_after;

static int
cut_off(enum fs_op op, const char *path, int fd, size_t *n)
{
	return stop_after-- > 0 ? 0 : EIO;
}

/* An import that stops at any of its steps, and is begun again, leads to each message once. */
static void
import_cut_off(void **state)
{
	struct user u, v;
	struct portable_count n;
	struct err err;
	int fd, steps, r;

	four(&u, "from");
	fd = export_file(&u, &n);
	for (steps = 0; ; steps++) {
		user_fresh(&v, "to");
		user_close(&v);
		stop_after = steps;
		fs_fault = cut_off;
		r = import_file(&v, fd, &n, &err);
		fs_fault = NULL;
		/* A start in between finds nothing odd either. */
		assert_int_equal(user_open(&v, &err), 0);
		assert_int_equal(v.errors, 0);
		user_close(&v);
		assert_int_equal(import_file(&v, fd, &n, &err), 0);
		assert_int_equal(user_open(&v, &err), 0);
		assert_int_equal(v.errors, 0);
		assert_int_equal(user_count(&v), 3);
		user_close(&v);
		folder_remove(v.path);
		if (r == 0)
			break;
	}
	assert_true(steps > 15);
	close(fd);
	folder_remove(u.path);
}

/* What stands before the cut is imported, and not again with the whole file. */
static void
export_cut_off(void **state)
{
	struct user u, v;
	struct portable_count n;
	struct err err;
	off_t size;
	int fd, part;
	char *p, path[300];

	four(&u, "from");
	user_fresh(&v, "to");
	user_close(&v);
	fd = export_file(&u, &n);
	size = lseek(fd, 0, SEEK_END);
	p = malloc((size_t)size);
	assert_int_equal(pread(fd, p, (size_t)size, 0), size);
	snprintf(path, sizeof(path), "%s.part", u.path);
	part = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	unlink(path);
	assert_int_equal(write(part, p, (size_t)size - 2000), size - 2000);
	assert_int_equal(import_file(&v, part, &n, &err), -1);
	assert_non_null(strstr(err.text, "cut off"));
	assert_int_equal(n.messages, 2);
	assert_int_equal(import_file(&v, fd, &n, &err), 0);
	assert_int_equal(n.messages, 1);
	assert_int_equal(n.skipped, 2);
	/* A flipped byte is found by the sum. */
	p[size - 3000] ^= 1;
	assert_int_equal(pwrite(part, p, (size_t)size, 0), size);
	folder_remove(v.path);
	user_fresh(&v, "to");
	user_close(&v);
	assert_int_equal(import_file(&v, part, &n, &err), -1);
	assert_non_null(strstr(err.text, "sum"));
	close(fd);
	close(part);
	free(p);
	folder_remove(u.path);
	folder_remove(v.path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sound),
		cmocka_unit_test(in_use),
		cmocka_unit_test(broken_record),
		cmocka_unit_test(torn),
		cmocka_unit_test(large_file),
		cmocka_unit_test(stray),
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(import_cut_off),
		cmocka_unit_test(export_cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
