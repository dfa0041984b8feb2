/* db_copy.c -- a copy of the database while it is used; see db_copy.h.
 *
 * The source is a connection of its own with a read transaction that lasts as long as the copy: in WAL mode it
 * sees one commit and blocks nobody. What is written meanwhile stays in the log (WAL) until it ends, so the disk
 * needs room for that. sqlite3_backup does the rest; within one transaction it never has to begin anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs.h"
#include "store/db_copy.h"

#define STEP_PAGES 1000
#define SHM_DMS 128		/* the byte that every connection in WAL mode has locked (os_unix.c: UNIX_SHM_DMS) */

static int
copy_pages(struct db *from, sqlite3 *to, db_copy_tell *tell, void *ctx, struct err *err)
{
	sqlite3_backup *b = sqlite3_backup_init(to, "main", db_sqlite(from), "main");
	int r;

	if (b == NULL)
		return err_set(err, EIO, "%s", sqlite3_errmsg(to));
	do {
		r = sqlite3_backup_step(b, STEP_PAGES);
		if (tell)
			tell(ctx, sqlite3_backup_pagecount(b) - sqlite3_backup_remaining(b), sqlite3_backup_pagecount(b));
		if (r == SQLITE_BUSY || r == SQLITE_LOCKED)
			sqlite3_sleep(20);
	} while (r == SQLITE_OK || r == SQLITE_BUSY || r == SQLITE_LOCKED);
	sqlite3_backup_finish(b);
	if (r != SQLITE_DONE)
		return err_set(err, r == SQLITE_FULL ? ENOSPC : EIO, "%s", sqlite3_errstr(r));
	return 0;
}

/* A plain file at its end, on the disk: no log beside it. */
static int
settle(sqlite3 *to, const char *path, struct err *err)
{
	int fd, r = 0;

	if (sqlite3_exec(to, "PRAGMA journal_mode=DELETE", NULL, NULL, NULL) != SQLITE_OK)
		return err_set(err, EIO, "%s: %s", path, sqlite3_errmsg(to));
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1 || fsync(fd) == -1)
		r = err_errno(err, "%s", path);
	if (fd != -1)
		close(fd);
	return r;
}

int
db_copy(struct db *from, const char *path, db_copy_tell *tell, void *ctx, struct err *err)
{
	sqlite3 *to = NULL;
	int r = -1, fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd == -1)
		return err_errno(err, "%s", path);
	close(fd);
	if (sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		err_set(err, EIO, "%s: %s", path, sqlite3_errmsg(to));
	/* A crash leaves a file that is not taken for a copy: it has another name until it is whole. */
	else if (sqlite3_exec(to, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF", NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_exec(db_sqlite(from), "BEGIN; SELECT count(*) FROM sqlite_master", NULL, NULL, NULL) != SQLITE_OK)
		err_set(err, EIO, "%s: %s", path, sqlite3_errmsg(db_sqlite(from)));
	else if (copy_pages(from, to, tell, ctx, err) == 0)
		r = settle(to, path, err);
	db_rollback(from);
	sqlite3_close(to);
	if (r == -1)
		unlink(path);
	return r;
}

pid_t
db_used_by(const char *path)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = SHM_DMS, .l_len = 1 };
	char *shm;
	pid_t pid = 0;
	int fd;

	if (asprintf(&shm, "%s-shm", path) == -1)
		return 0;
	fd = open(shm, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	free(shm);
	if (fd == -1)
		return 0;
	if (fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
		pid = lock.l_pid;
	close(fd);
	return pid;
}
