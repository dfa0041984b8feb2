/* fs.h -- files: whole reads and writes, durable steps, and the seam where
 * tests make each of them fail.
 *
 * Every call that changes the disk goes through fs_fault first when it is
 * set: it returns 0 to go on, or an errno value to fail with; for FS_WRITE it
 * may lower *n to cut the write short (the next call then usually fails).
 */
#ifndef BASE_FS_H
#define BASE_FS_H

#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "postern/arena.h"
#include "postern/err.h"
#include "postern/span.h"

enum fs_op { FS_OPEN, FS_WRITE, FS_FDATASYNC, FS_FSYNC, FS_RENAME, FS_UNLINK, FS_TRUNCATE,
	FS_MKDIR };
/* n is NULL but for FS_WRITE. FS_OPEN: only opens that may create, cut or write. */
extern int (*fs_fault)(enum fs_op op, const char *path_or_null, int fd, size_t *n);

/* When set: an open that was denied (EACCES) is tried once more between fs_denied(true) and
 * fs_denied(false), if the first says true: the process acts as somebody else meanwhile. */
extern bool (*fs_denied)(bool again);

/* Whole file into the arena (NUL behind it); an error above max bytes (err.code EFBIG).
 * A file is read from its start wherever its offset stands. */
int fs_read(struct arena *a, const char *path, size_t max, struct span *out, struct err *err);
int fs_read_fd(struct arena *a, int fd, size_t max, struct span *out, struct err *err);
/* The folder and its parents, with mode; exists already: fine. */
int fs_mkdirs(const char *path, mode_t mode, struct err *err);
/* Opens with O_CLOEXEC; flags and mode as open(2). Returns the descriptor or -1. */
int fs_open(const char *path, int flags, mode_t mode, struct err *err);
int fs_openat(int dirfd, const char *name, int flags, mode_t mode, struct err *err);
int fs_pwrite_all(int fd, const void *p, size_t n, off_t off, struct err *err);
int fs_write_all(int fd, const void *p, size_t n, struct err *err);
int fs_fdatasync(int fd, struct err *err);
int fs_fsync(int fd, struct err *err);		/* also for a folder's descriptor */
int fs_truncate(int fd, off_t size, struct err *err);
int fs_renameat(int dirfd, const char *from, const char *to, struct err *err);
int fs_unlinkat(int dirfd, const char *name, struct err *err);
/* Bytes and inodes a writer may still use; inodes UINT64_MAX where the file system has no limit. */
int fs_free(int fd, uint64_t *bytes, uint64_t *inodes, struct err *err);
/* Path relative to the folder of file `base` unless absolute. */
char *fs_beside(struct arena *a, const char *base, struct span path);

/* memfd: a descriptor that write(2) fills; sealed so that the bytes can never change again. */
int fs_memfd(const char *name, struct err *err);
int fs_memfd_seal(int fd, struct err *err);
/* 0 when fd is a memfd with all of F_SEAL_WRITE|SHRINK|GROW|SEAL and *size is its size. */
int fs_memfd_check(int fd, uint64_t *size, struct err *err);

#endif
