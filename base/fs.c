/* fs.c -- files: whole reads and writes, durable steps; see fs.h.
 *
 * A failed fsync or fdatasync is reported once and never tried again here:
 * after an I/O error Linux drops the dirty pages, and a second call would
 * report a success that is none. EINTR alone is repeated.
 *
 * fs_fault stands in front of every call that changes the disk: opens that
 * may create, cut or write, and all of enum fs_op. Reads do not pass it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "fs.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U		/* Linux 6.3 */
#endif

#define SEALS (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

int (*fs_fault)(enum fs_op op, const char *path_or_null, int fd, size_t *n);
bool (*fs_denied)(bool again);

/* 0 to go on; -1 with errno set when a test wants this step to fail. */
static int
fault(enum fs_op op, const char *path, int fd, size_t *n)
{
	int e;

	if (fs_fault == NULL || (e = fs_fault(op, path, fd, n)) == 0)
		return 0;
	errno = e;
	return -1;
}

static int
open_again(int dirfd, const char *name, int flags, mode_t mode)
{
	int fd;

	do
		fd = openat(dirfd, name, flags | O_CLOEXEC, mode);
	while (fd == -1 && errno == EINTR);
	return fd;
}

int
fs_openat(int dirfd, const char *name, int flags, mode_t mode, struct err *err)
{
	bool changes = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC));
	int fd, why;

	if (changes && fault(FS_OPEN, name, dirfd, NULL) == -1)
		return err_errno(err, "cannot open %s", name);
	fd = open_again(dirfd, name, flags, mode);
	if (fd == -1 && errno == EACCES && fs_denied && fs_denied(true)) {
		fd = open_again(dirfd, name, flags, mode);
		why = errno;
		fs_denied(false);
		errno = why;
	}
	if (fd == -1)
		return err_errno(err, "cannot open %s", name);
	return fd;
}

int
fs_open(const char *path, int flags, mode_t mode, struct err *err)
{
	return fs_openat(AT_FDCWD, path, flags, mode, err);
}

/* A file is read from its start, wherever its offset stands: the writer of a
 * memfd leaves it at the end. Pipes are read until they close. */
int
fs_read_fd(struct arena *a, int fd, size_t max, struct span *out, struct err *err)
{
	struct stat st;
	size_t cap = 4096, n = 0;
	bool regular;
	char *p;

	ASSERT(max < SIZE_MAX / 4);
	if (fstat(fd, &st) == -1)
		return err_errno(err, "cannot read");
	regular = S_ISREG(st.st_mode);
	if (regular && st.st_size > 0) {
		if ((uint64_t)st.st_size > max)
			return err_set(err, EFBIG, "larger than %zu bytes", max);
		cap = (size_t)st.st_size;
	}
	/* One byte more than allowed tells "just fits" from "too large"; the
	 * last one is for the NUL. */
	if (cap > max)
		cap = max;
	p = arena_alloc(a, cap + 2);
	for (;;) {
		size_t want = cap + 1 - n;
		ssize_t r;

		r = regular ? pread(fd, p + n, want, (off_t)n) : read(fd, p + n, want);
		if (r == -1 && errno == EINTR)
			continue;
		if (r == -1)
			return err_errno(err, "cannot read");
		if (r == 0)
			break;
		n += (size_t)r;
		if (n > max)
			return err_set(err, EFBIG, "larger than %zu bytes", max);
		if (n > cap) {
			size_t more = cap > max / 2 ? max : cap * 2;

			p = arena_grow(a, p, cap + 2, more + 2);
			cap = more;
		}
	}
	p[n] = '\0';
	*out = (struct span){ p, n };
	return 0;
}

int
fs_read(struct arena *a, const char *path, size_t max, struct span *out, struct err *err)
{
	int fd, r;

	if ((fd = fs_open(path, O_RDONLY | O_NOCTTY, 0, err)) == -1)
		return -1;
	if ((r = fs_read_fd(a, fd, max, out, err)) == -1)
		err_wrap(err, "%s", path);
	close(fd);
	return r;
}

static int
make_one(const char *path, mode_t mode, struct err *err)
{
	if (fault(FS_MKDIR, path, -1, NULL) == -1 ||
	    (mkdir(path, mode) == -1 && errno != EEXIST))
		return err_errno(err, "cannot make the folder %s", path);
	return 0;
}

int
fs_mkdirs(const char *path, mode_t mode, struct err *err)
{
	char part[PATH_MAX];
	size_t n = strlen(path);
	struct stat st;

	if (n == 0 || n >= sizeof(part))
		return err_set(err, ENAMETOOLONG, "cannot make the folder %s: bad length", path);
	/* Most of the time it is there already: nothing is changed then. */
	if (stat(path, &st) == -1) {
		memcpy(part, path, n + 1);
		for (char *s = part + 1; *s; s++) {
			if (*s != '/' || s[-1] == '/')
				continue;
			*s = '\0';
			if (stat(part, &st) == -1 && make_one(part, mode, err) == -1)
				return -1;
			*s = '/';
		}
		if (make_one(part, mode, err) == -1)
			return -1;
		if (stat(path, &st) == -1)
			return err_errno(err, "cannot make the folder %s", path);
	}
	if (!S_ISDIR(st.st_mode))
		return err_set(err, ENOTDIR, "%s is not a folder", path);
	return 0;
}

/* off -1: at the descriptor's own offset. */
static int
write_all(int fd, const char *p, size_t n, off_t off, struct err *err)
{
	while (n > 0) {
		size_t some = n;
		ssize_t w;

		if (fault(FS_WRITE, NULL, fd, &some) == -1)
			return err_errno(err, "cannot write");
		ASSERT(some <= n);
		w = off == -1 ? write(fd, p, some) : pwrite(fd, p, some, off);
		if (w == -1 && errno == EINTR)
			continue;
		if (w == 0) {
			errno = ENOSPC;		/* no progress and no reason: never spin on it */
			w = -1;
		}
		if (w == -1)
			return err_errno(err, "cannot write");
		p += w;
		n -= (size_t)w;
		if (off != -1)
			off += w;
	}
	return 0;
}

int
fs_pwrite_all(int fd, const void *p, size_t n, off_t off, struct err *err)
{
	ASSERT(off >= 0);
	return write_all(fd, p, n, off, err);
}

int
fs_write_all(int fd, const void *p, size_t n, struct err *err)
{
	return write_all(fd, p, n, -1, err);
}

int
fs_fdatasync(int fd, struct err *err)
{
	int r;

	if ((r = fault(FS_FDATASYNC, NULL, fd, NULL)) == 0) {
		do
			r = fdatasync(fd);
		while (r == -1 && errno == EINTR);
	}
	return r == -1 ? err_errno(err, "cannot sync") : 0;
}

int
fs_fsync(int fd, struct err *err)
{
	int r;

	if ((r = fault(FS_FSYNC, NULL, fd, NULL)) == 0) {
		do
			r = fsync(fd);
		while (r == -1 && errno == EINTR);
	}
	return r == -1 ? err_errno(err, "cannot sync") : 0;
}

int
fs_truncate(int fd, off_t size, struct err *err)
{
	int r;

	if ((r = fault(FS_TRUNCATE, NULL, fd, NULL)) == 0) {
		do
			r = ftruncate(fd, size);
		while (r == -1 && errno == EINTR);
	}
	return r == -1 ? err_errno(err, "cannot set the size") : 0;
}

int
fs_renameat(int dirfd, const char *from, const char *to, struct err *err)
{
	if (fault(FS_RENAME, from, dirfd, NULL) == -1 || renameat(dirfd, from, dirfd, to) == -1)
		return err_errno(err, "cannot rename %s to %s", from, to);
	return 0;
}

int
fs_unlinkat(int dirfd, const char *name, struct err *err)
{
	if (fault(FS_UNLINK, name, dirfd, NULL) == -1 || unlinkat(dirfd, name, 0) == -1)
		return err_errno(err, "cannot remove %s", name);
	return 0;
}

int
fs_free(int fd, uint64_t *bytes, uint64_t *inodes, struct err *err)
{
	struct statvfs vfs;
	int r;

	do
		r = fstatvfs(fd, &vfs);
	while (r == -1 && errno == EINTR);
	if (r == -1)
		return err_errno(err, "cannot ask for free space");
	*bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	/* btrfs and others make inodes as they go and say 0 of 0. */
	*inodes = vfs.f_files == 0 ? UINT64_MAX : (uint64_t)vfs.f_favail;
	return 0;
}

char *
fs_beside(struct arena *a, const char *base, struct span path)
{
	const char *slash = strrchr(base, '/');
	size_t dir = slash ? (size_t)(slash - base) + 1 : 0;
	char *p;

	if (path.n && path.p[0] == '/')
		return arena_str(a, path);
	p = arena_alloc(a, dir + path.n + 1);
	memcpy(p, base, dir);
	if (path.n)
		memcpy(p + dir, path.p, path.n);
	p[dir + path.n] = '\0';
	return p;
}

int
fs_memfd(const char *name, struct err *err)
{
	/* Kernels before 6.3 do not know NOEXEC; asked once for each process. */
	static unsigned noexec = MFD_NOEXEC_SEAL;
	int fd;

	fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | noexec);
	if (fd == -1 && errno == EINVAL && noexec) {
		noexec = 0;
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	}
	if (fd == -1)
		return err_errno(err, "cannot make a memory file");
	return fd;
}

int
fs_memfd_seal(int fd, struct err *err)
{
	if (fcntl(fd, F_ADD_SEALS, SEALS) == -1)
		return err_errno(err, "cannot seal a memory file");
	return 0;
}

int
fs_memfd_check(int fd, uint64_t *size, struct err *err)
{
	struct stat st;
	int seals;

	/* EINVAL: a file of another kind, whose bytes its sender could still change. */
	if ((seals = fcntl(fd, F_GET_SEALS)) == -1)
		return err_errno(err, "not a memory file");
	if ((seals & SEALS) != SEALS)
		return err_set(err, EPERM, "a memory file that is not sealed");
	if (fstat(fd, &st) == -1)
		return err_errno(err, "cannot read");
	*size = (uint64_t)st.st_size;
	return 0;
}
