/* test_fs.c -- files, each step made to fail. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs.h"

static char dir[] = "/tmp/postern-test-fs-XXXXXX";
static int dirfd_;
static struct arena *a;
static struct err e;

/* What the next step of one kind does. */
static struct {
	enum fs_op op;
	int error;
	size_t cut;		/* FS_WRITE: write only that much */
	unsigned skip;		/* let so many pass first */
	unsigned calls;
} plan;

static int
planned(enum fs_op op, const char *path, int fd, size_t *n)
{
	if (op != plan.op)
		return 0;
	plan.calls++;
	if (plan.skip > 0) {
		plan.skip--;
		return 0;
	}
	if (plan.cut && *n > plan.cut) {
		*n = plan.cut;
		return 0;
	}
	return plan.error;
}

static void
fail_next(enum fs_op op, int error)
{
	memset(&plan, 0, sizeof(plan));
	plan.op = op;
	plan.error = error;
	fs_fault = planned;
}

static int
setup(void **state)
{
	if (mkdtemp(dir) == NULL)
		return -1;
	dirfd_ = open(dir, O_RDONLY | O_DIRECTORY);
	a = arena_new(0);
	return dirfd_ == -1 ? -1 : 0;
}

static int
teardown(void **state)
{
	char cmd[100];

	close(dirfd_);
	arena_free(&a);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

static int
no_fault(void **state)
{
	fs_fault = NULL;
	return 0;
}

static const char *
path(const char *name)
{
	return arena_printf(a, "%s/%s", dir, name);
}

static void
make_file(const char *name, const void *p, size_t n)
{
	int fd = fs_openat(dirfd_, name, O_WRONLY | O_CREAT | O_TRUNC, 0600, &e);

	assert_true(fd >= 0);
	assert_int_equal(fs_write_all(fd, p, n, &e), 0);
	close(fd);
}

static void
reads_whole_files(void **state)
{
	static char big[100001];
	struct span s = { 0 };

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 31);
	make_file("big", big, sizeof(big));
	assert_int_equal(fs_read(a, path("big"), sizeof(big), &s, &e), 0);
	assert_int_equal(s.n, sizeof(big));
	assert_memory_equal(s.p, big, sizeof(big));
	assert_int_equal(s.p[s.n], '\0');
	make_file("empty", "", 0);
	assert_int_equal(fs_read(a, path("empty"), 10, &s, &e), 0);
	assert_int_equal(s.n, 0);
	assert_int_equal(s.p[0], '\0');
}

static void
refuses_larger_than_asked(void **state)
{
	struct span s = { "untouched", 9 };

	make_file("ten", "0123456789", 10);
	assert_int_equal(fs_read(a, path("ten"), 10, &s, &e), 0);
	assert_int_equal(s.n, 10);
	s = SPAN_LIT("untouched");
	assert_int_equal(fs_read(a, path("ten"), 9, &s, &e), -1);
	assert_int_equal(e.code, EFBIG);
	assert_non_null(strstr(e.text, "/ten: larger than 9 bytes"));
	assert_true(span_is(s, "untouched"));
	assert_int_equal(fs_read(a, path("none"), 9, &s, &e), -1);
	assert_int_equal(e.code, ENOENT);
}

static void
reads_what_has_no_size(void **state)
{
	static char text[9000];
	struct span s;
	int p[2];

	/* /proc says 0 bytes and has some. */
	assert_int_equal(fs_read(a, "/proc/self/stat", 65536, &s, &e), 0);
	assert_true(s.n > 10);
	assert_int_equal(pipe(p), 0);
	memset(text, 'x', sizeof(text));
	assert_int_equal(fs_write_all(p[1], text, sizeof(text), &e), 0);
	close(p[1]);
	assert_int_equal(fs_read_fd(a, p[0], 9000, &s, &e), 0);
	assert_int_equal(s.n, 9000);
	close(p[0]);
	assert_int_equal(pipe(p), 0);
	assert_int_equal(fs_write_all(p[1], text, sizeof(text), &e), 0);
	close(p[1]);
	assert_int_equal(fs_read_fd(a, p[0], 8999, &s, &e), -1);
	assert_int_equal(e.code, EFBIG);
	close(p[0]);
}

static void
makes_folders(void **state)
{
	struct stat st;

	assert_int_equal(fs_mkdirs(path("x/y//z/"), 0750, &e), 0);
	assert_int_equal(stat(path("x/y/z"), &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(st.st_mode & 0027, 0);
	fail_next(FS_MKDIR, EROFS);
	assert_int_equal(fs_mkdirs(path("x/y/z"), 0750, &e), 0);	/* nothing to change */
	assert_int_equal(plan.calls, 0);
	assert_int_equal(fs_mkdirs(path("x/new"), 0750, &e), -1);
	assert_int_equal(e.code, EROFS);
	fs_fault = NULL;
	make_file("plain", "", 0);
	assert_int_equal(fs_mkdirs(path("plain"), 0750, &e), -1);
	assert_int_equal(e.code, ENOTDIR);
	assert_int_equal(fs_mkdirs(path("plain/below"), 0750, &e), -1);
	assert_int_equal(e.code, ENOTDIR);
	assert_int_equal(fs_mkdirs("", 0750, &e), -1);
}

static void
short_writes_go_on(void **state)
{
	struct span s;
	int fd = fs_open(path("short"), O_RDWR | O_CREAT, 0600, &e);

	assert_true(fd >= 0);
	fail_next(FS_WRITE, 0);
	plan.cut = 3;
	assert_int_equal(fs_write_all(fd, "0123456789", 10, &e), 0);
	assert_int_equal(plan.calls, 4);
	assert_int_equal(fs_pwrite_all(fd, "abcdefg", 7, 2, &e), 0);
	assert_int_equal(plan.calls, 7);
	fs_fault = NULL;
	assert_int_equal(fs_read_fd(a, fd, 100, &s, &e), 0);
	assert_true(span_is(s, "01abcdefg9"));
	close(fd);
}

static int
no_progress(enum fs_op op, const char *p, int fd, size_t *n)
{
	if (op == FS_WRITE)
		*n = 0;
	return 0;
}

static void
each_step_can_fail(void **state)
{
	struct span s;
	int fd;

	fail_next(FS_OPEN, EMFILE);
	assert_int_equal(fs_open(path("steps"), O_RDWR | O_CREAT, 0600, &e), -1);
	assert_int_equal(e.code, EMFILE);
	assert_int_equal(access(path("steps"), F_OK), -1);
	fs_fault = NULL;
	fd = fs_open(path("steps"), O_RDWR | O_CREAT, 0600, &e);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);

	/* A torn write: 4 bytes reach the disk, then it is full. */
	fail_next(FS_WRITE, ENOSPC);
	plan.skip = 0;
	plan.cut = 4;
	assert_int_equal(fs_write_all(fd, "0123", 4, &e), -1);
	assert_int_equal(e.code, ENOSPC);
	assert_int_equal(fs_write_all(fd, "01234567", 8, &e), -1);
	assert_int_equal(e.code, ENOSPC);
	fs_fault = NULL;
	assert_int_equal(fs_read_fd(a, fd, 100, &s, &e), 0);
	assert_true(span_is(s, "0123"));

	fs_fault = no_progress;
	assert_int_equal(fs_write_all(fd, "x", 1, &e), -1);
	assert_int_equal(e.code, ENOSPC);

	fail_next(FS_FDATASYNC, EIO);
	assert_int_equal(fs_fdatasync(fd, &e), -1);
	assert_int_equal(e.code, EIO);
	assert_int_equal(plan.calls, 1);		/* never tried again */
	fail_next(FS_FSYNC, EIO);
	assert_int_equal(fs_fsync(fd, &e), -1);
	assert_int_equal(e.code, EIO);
	fail_next(FS_TRUNCATE, EIO);
	assert_int_equal(fs_truncate(fd, 2, &e), -1);
	fail_next(FS_RENAME, EIO);
	assert_int_equal(fs_renameat(dirfd_, "steps", "moved", &e), -1);
	assert_int_equal(access(path("steps"), F_OK), 0);
	fail_next(FS_UNLINK, EIO);
	assert_int_equal(fs_unlinkat(dirfd_, "steps", &e), -1);
	assert_int_equal(access(path("steps"), F_OK), 0);

	fs_fault = NULL;
	assert_int_equal(fs_fdatasync(fd, &e), 0);
	assert_int_equal(fs_fsync(dirfd_, &e), 0);
	assert_int_equal(fs_truncate(fd, 2, &e), 0);
	assert_int_equal(fs_renameat(dirfd_, "steps", "moved", &e), 0);
	assert_int_equal(fs_read(a, path("moved"), 100, &s, &e), 0);
	assert_true(span_is(s, "01"));
	assert_int_equal(fs_unlinkat(dirfd_, "moved", &e), 0);
	assert_int_equal(access(path("moved"), F_OK), -1);
	assert_int_equal(fs_unlinkat(dirfd_, "moved", &e), -1);
	assert_int_equal(e.code, ENOENT);
	close(fd);
	assert_int_equal(fs_fdatasync(fd, &e), -1);
	assert_int_equal(e.code, EBADF);
}

static void
reading_changes_nothing(void **state)
{
	int fd;

	make_file("ro", "x", 1);
	fail_next(FS_OPEN, EIO);
	fd = fs_open(path("ro"), O_RDONLY, 0, &e);
	assert_true(fd >= 0);
	assert_int_equal(plan.calls, 0);
	close(fd);
}

static void
free_space(void **state)
{
	uint64_t bytes = 0, inodes = 0;

	assert_int_equal(fs_free(dirfd_, &bytes, &inodes, &e), 0);
	assert_true(bytes > 0 && inodes > 0);
	assert_int_equal(fs_free(-1, &bytes, &inodes, &e), -1);
	assert_int_equal(e.code, EBADF);
}

static void
beside(void **state)
{
	assert_string_equal(fs_beside(a, "/etc/postern/postern.yaml", SPAN_LIT("policy.d")),
	    "/etc/postern/policy.d");
	assert_string_equal(fs_beside(a, "postern.yaml", SPAN_LIT("policy.d")), "policy.d");
	assert_string_equal(fs_beside(a, "/etc/x", SPAN_LIT("/var/y")), "/var/y");
	assert_string_equal(fs_beside(a, "/x", SPAN_LIT("")), "/");
}

static void
memfd_sealed(void **state)
{
	uint64_t size = 99;
	struct span s;
	int fd = fs_memfd("message", &e), other;

	assert_true(fd >= 0);
	assert_int_equal(fs_write_all(fd, "Subject: x\r\n", 12, &e), 0);
	assert_int_equal(fs_memfd_check(fd, &size, &e), -1);
	assert_int_equal(size, 99);
	assert_int_equal(fs_memfd_seal(fd, &e), 0);
	assert_int_equal(fs_memfd_check(fd, &size, &e), 0);
	assert_int_equal(size, 12);
	/* Every way to change it is closed now. */
	assert_int_equal(fs_write_all(fd, "y", 1, &e), -1);
	assert_int_equal(fs_pwrite_all(fd, "y", 1, 0, &e), -1);
	assert_int_equal(fs_truncate(fd, 0, &e), -1);
	assert_int_equal(fs_truncate(fd, 100, &e), -1);
	assert_true(mmap(NULL, 12, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	/* The offset stands at the end; the whole is read all the same. */
	assert_int_equal(fs_read_fd(a, fd, 100, &s, &e), 0);
	assert_true(span_is(s, "Subject: x\r\n"));
	close(fd);

	/* Half sealed, and no memfd at all: both could change under the reader. */
	fd = fs_memfd("half", &e);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK), 0);
	assert_int_equal(fs_memfd_check(fd, &size, &e), -1);
	close(fd);
	make_file("disk", "x", 1);
	other = fs_open(path("disk"), O_RDONLY, 0, &e);
	assert_int_equal(fs_memfd_check(other, &size, &e), -1);
	close(other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(reads_whole_files, no_fault),
		cmocka_unit_test_teardown(refuses_larger_than_asked, no_fault),
		cmocka_unit_test_teardown(reads_what_has_no_size, no_fault),
		cmocka_unit_test_teardown(makes_folders, no_fault),
		cmocka_unit_test_teardown(short_writes_go_on, no_fault),
		cmocka_unit_test_teardown(each_step_can_fail, no_fault),
		cmocka_unit_test_teardown(reading_changes_nothing, no_fault),
		cmocka_unit_test_teardown(free_space, no_fault),
		cmocka_unit_test_teardown(beside, no_fault),
		cmocka_unit_test_teardown(memfd_sealed, no_fault),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
