/* key.c -- key files of indexes of exact data, and index files as memory; see edm.h.
 *
 * Who has the key can try values until the index answers: so a key file that
 * others than its owner may read is refused, as ssh refuses such a key.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "edm/edm.h"
#include "fs.h"

#define KEY_FILE_MAX 256

char *
edm_key_beside(struct arena *a, const char *index)
{
	struct span s = span_str(index);

	if (span_ends_nocase(s, SPAN_LIT(".idx")))
		s.n -= 4;
	return arena_printf(a, "%.*s.key", (int)s.n, s.p);
}

int
edm_key_load_fd(int fd, const char *name, uint8_t key[EXACT_KEY], struct err *err)
{
	char text[KEY_FILE_MAX];
	struct stat st;
	ssize_t n;
	bool good;

	if (fstat(fd, &st) == -1)
		return err_errno(err, "%s", name);
	if (!S_ISREG(st.st_mode))
		return err_set(err, EINVAL, "%s is not a file", name);
	if (st.st_mode & 077)
		return err_set(err, EACCES, "%s may be read by others than its owner (mode %04o): chmod 600 it",
		    name, st.st_mode & 07777u);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return err_set(err, EACCES, "%s belongs to another account (%u)", name, st.st_uid);
	n = pread(fd, text, sizeof(text), 0);
	if (n == -1)
		return err_errno(err, "%s", name);
	good = (size_t)n < sizeof(text) && exact_key_read(span_make(text, (size_t)n), key);
	explicit_bzero(text, sizeof(text));
	return good ? 0 : err_set(err, EINVAL, "%s is no key of `postern edm`", name);
}

int
edm_key_load(const char *path, uint8_t key[EXACT_KEY], struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), r;

	if (fd == -1)
		return err_errno(err, "%s", path);
	r = edm_key_load_fd(fd, path, key, err);
	close(fd);
	return r;
}

static int
folder_sync(const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');
	char dir[4096];
	int fd, r;

	if (snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".") >=
	    (int)sizeof(dir))
		return err_set(err, ENAMETOOLONG, "%s", path);
	if ((fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		return err_errno(err, "%s", dir);
	r = fs_fsync(fd, err);
	close(fd);
	return r;
}

int
edm_key_make(const char *path, uint8_t key[EXACT_KEY], struct err *err)
{
	static const char digits[] = "0123456789abcdef";
	char text[sizeof(EXACT_KEY_MARK) + EXACT_KEY * 2 + 1] = EXACT_KEY_MARK;
	size_t n = sizeof(EXACT_KEY_MARK) - 1;
	int fd, r;

	if (getrandom(key, EXACT_KEY, 0) != EXACT_KEY)
		return err_errno(err, "no random numbers");
	for (size_t i = 0; i < EXACT_KEY; i++) {
		text[n++] = digits[key[i] >> 4];
		text[n++] = digits[key[i] & 15];
	}
	text[n++] = '\n';
	if ((fd = fs_open(path, O_WRONLY | O_CREAT | O_EXCL, 0600, err)) == -1)
		return -1;
	r = fs_write_all(fd, text, n, err);
	if (r == 0)
		r = fs_fsync(fd, err);
	explicit_bzero(text, sizeof(text));
	close(fd);
	if (r == -1)
		unlink(path);
	return r == 0 ? folder_sync(path, err) : -1;
}

int
edm_map(const char *path, struct span *out, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	void *p = NULL;
	int r = 0;

	if (fd == -1)
		return err_errno(err, "%s", path);
	if (fstat(fd, &st) == -1)
		r = err_errno(err, "%s", path);
	else if (!S_ISREG(st.st_mode))
		r = err_set(err, EINVAL, "%s is not a file", path);
	else if (st.st_size > 0 &&
	    (p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0)) == MAP_FAILED)
		r = err_errno(err, "%s", path);
	close(fd);
	if (r == 0)
		*out = span_make(p, (size_t)st.st_size);
	return r;
}

void
edm_unmap(struct span s)
{
	if (s.n)
		munmap((void *)(uintptr_t)s.p, s.n);
}
