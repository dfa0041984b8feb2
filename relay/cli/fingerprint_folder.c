/* fingerprint_folder.c -- see fingerprint_folder.h.
 *
 * The index is written beside the old one, synced, and renamed over it: who
 * reads it has the one or the other. Who changes it holds a lock on the folder
 * from reading to renaming, so two people lose nothing of each other's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <unistd.h>

#include "cli/fingerprint_folder.h"
#include "fs.h"

#define NEW_FILE "." FINGERPRINT_FILE ".new"

const char *
fingerprint_folder_path(const struct cli *cli, const char *argument, struct arena *a)
{
	struct config *conf;
	const char *path;

	if (strncmp(argument, "dir:", 4) != 0)
		return argument;
	if ((conf = cli_load_config(cli)) == NULL)
		return NULL;
	path = arena_printf(a, "%s/%s", conf->policy_dir, argument + 4);
	if (conf != cli->conf)
		config_free(&conf);
	return path;
}

static int
read_index(struct fingerprint_folder *f, bool change, struct err *err)
{
	int fd = openat(f->fd, FINGERPRINT_FILE, O_RDONLY | O_CLOEXEC), rc;

	if (fd == -1)
		return errno == ENOENT && change ? 0 : errno == ENOENT ?
		    err_set(err, ENOENT, "%s has no index of fingerprints", f->path) :
		    err_errno(err, "%s/" FINGERPRINT_FILE, f->path);
	rc = fs_read_fd(f->arena, fd, FINGERPRINT_BYTES_MAX, &f->bytes, err);
	close(fd);
	if (rc == 0)
		rc = fingerprints_read(f->bytes, f->arena, &f->index, err);
	return rc == 0 ? 0 : err_wrap(err, "%s/" FINGERPRINT_FILE, f->path);
}

int
fingerprint_folder_open(struct fingerprint_folder *f, const char *path, bool change, struct err *err)
{
	*f = (struct fingerprint_folder){ .path = path, .fd = -1 };
	if (change && fs_mkdirs(path, 0750, err) == -1)
		return -1;
	if ((f->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		return err_errno(err, "%s", path);
	f->arena = arena_new(0);
	if (change && flock(f->fd, LOCK_EX) == -1)
		err_errno(err, "%s", path);
	else if (read_index(f, change, err) == 0)
		return 0;
	fingerprint_folder_close(f);
	return -1;
}

/* Owner and mode of the one before; else the folder's group may read it, nobody else: it tells
 * something of the documents. */
static int
give(struct fingerprint_folder *f, int fd, struct err *err)
{
	struct stat was;
	mode_t mode = 0640;
	uid_t uid = (uid_t)-1;

	if (fstatat(f->fd, FINGERPRINT_FILE, &was, 0) == 0) {
		mode = was.st_mode & 07777;
		uid = was.st_uid;
	} else if (fstat(f->fd, &was) == -1) {
		return err_errno(err, "%s", f->path);
	}
	if ((fchown(fd, uid, was.st_gid) == -1 && errno != EPERM) || fchmod(fd, mode) == -1)
		return err_errno(err, "%s/" NEW_FILE, f->path);
	return 0;
}

int
fingerprint_folder_write(struct fingerprint_folder *f, struct span bytes, struct err *err)
{
	int fd = fs_openat(f->fd, NEW_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600, err);
	int rc;

	if (fd == -1)
		return err_wrap(err, "%s", f->path);
	rc = give(f, fd, err);
	if (rc == 0)
		rc = fs_write_all(fd, bytes.p, bytes.n, err);
	if (rc == 0)
		rc = fs_fsync(fd, err);
	close(fd);
	if (rc == 0)
		rc = fs_renameat(f->fd, NEW_FILE, FINGERPRINT_FILE, err);
	if (rc == 0)
		return fs_fsync(f->fd, err);
	unlinkat(f->fd, NEW_FILE, 0);
	return err_wrap(err, "%s", f->path);
}

void
fingerprint_folder_close(struct fingerprint_folder *f)
{
	if (f->fd != -1)
		close(f->fd);
	f->fd = -1;
	arena_free(&f->arena);
}

/* --- documents -------------------------------------------------------------------------- */

/* A message with this file alone, as it would be attached. */
static struct span
as_message(const char *path, struct span bytes, struct arena *a)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	const char *dot = strrchr(name, '.');
	bool mail = dot && strcasecmp(dot, ".eml") == 0;
	size_t room = strlen(name) * 3 + 1;
	char *coded = arena_alloc(a, room), *o = coded, *p;
	const char *head;
	size_t n;

	for (const unsigned char *c = (const unsigned char *)name; *c; c++)
		o += snprintf(o, room - (size_t)(o - coded), "%%%02X", *c);
	*o = '\0';
	head = arena_printf(a, "Content-Type: %s\r\nContent-Disposition: attachment; "
	    "filename*=UTF-8''%s\r\nContent-Transfer-Encoding: binary\r\n\r\n",
	    mail ? "message/rfc822" : "application/octet-stream", coded);
	n = strlen(head);
	p = arena_alloc(a, n + bytes.n);
	memcpy(p, head, n);
	if (bytes.n)
		memcpy(p + n, bytes.p, bytes.n);
	return span_make(p, n + bytes.n);
}

int
document_read(const char *path, struct arena *a, struct anatomy *out, struct err *err)
{
	struct span bytes;

	if (fs_read(a, path, DOCUMENT_BYTES_MAX, &bytes, err) == -1)
		return -1;
	anatomy_build(a, as_message(path, bytes, a), NULL, out);
	return 0;
}

const char *
document_doubt(const struct anatomy *an)
{
	for (size_t i = 0; i < an->nparts; i++)
		if (an->parts[i].encrypted && !an->parts[i].opened)
			return "it is encrypted";
	for (uint32_t bit = 1; bit; bit <<= 1)
		if (an->defects & bit & (DEFECTS_UNSCANNABLE | DEFECT_DOCUMENT_BROKEN))
			return defect_name(bit);
	return NULL;
}
