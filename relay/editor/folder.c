/* folder.c -- the files of a policy's folder, read and replaced; see editor.h.
 *
 * A file is written beside its place, synced, and moved into it: whoever reads meanwhile has
 * the old text or the new one. Symbolic links are never followed: what they lead to is not
 * the policy's.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "editor/editor.h"
#include "fs.h"
#include "scanner/load_policy.h"

static bool
plain_name(struct span s)
{
	if (s.n == 0 || s.n > EDITOR_NAME_MAX || s.p[0] == '.' || s.p[0] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    c == '-' || c == '_' || c == '.'))
			return false;
	}
	return true;
}

bool
editor_name_good(struct span name)
{
	size_t slash = span_find(name, '/');
	struct span folder = span_sub(name, 0, slash), file = span_from(name, slash + 1);

	if (slash == name.n)
		return plain_name(name) && span_ends_nocase(name, SPAN_LIT(".yaml"));
	if (!plain_name(folder) || !plain_name(file))
		return false;
	return span_is(folder, "tests") ? span_ends_nocase(file, SPAN_LIT(".test.yaml")) :
	    span_ends_nocase(file, SPAN_LIT(".txt"));
}

struct listing {
	struct arena *arena;
	struct policy_file *files;
	size_t n, room;
};

static int
take(struct listing *l, int dirfd, const char *folder, const char *entry, struct err *err)
{
	char *name = folder ? arena_printf(l->arena, "%s/%s", folder, entry) :
	    arena_str(l->arena, span_str(entry));
	struct stat st;
	struct span text;
	int fd, rc;

	if (!editor_name_good(span_str(name)))
		return 0;
	fd = openat(dirfd, entry, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd == -1)
		return errno == ENOENT || errno == ELOOP ? 0 : err_errno(err, "%s", name);
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size > POLICY_LIST_MAX) {
		close(fd);
		return 0;
	}
	rc = fs_read_fd(l->arena, fd, POLICY_LIST_MAX, &text, err);
	close(fd);
	if (rc == -1)
		return -1;
	if (l->n == EDITOR_LISTED)
		return err_set(err, EFBIG, "the policy's folder has more than %d files", EDITOR_LISTED);
	if (l->n == l->room) {
		size_t room = l->room ? l->room * 2 : 64;

		l->files = arena_grow(l->arena, l->files, l->room * sizeof(*l->files),
		    room * sizeof(*l->files));
		l->room = room;
	}
	l->files[l->n++] = (struct policy_file){ name, text };
	return 0;
}

/* Its files, and (at the top) those of the folders in it. */
static int
walk(struct listing *l, int dirfd, const char *folder, struct err *err)
{
	int fd = dup(dirfd), rc = 0;
	struct dirent *e;
	DIR *d = fd == -1 ? NULL : fdopendir(fd);

	if (d == NULL) {
		if (fd != -1)
			close(fd);
		return err_errno(err, "policy folder");
	}
	while (rc == 0 && (e = readdir(d)) != NULL) {
		int sub;

		if (!plain_name(span_str(e->d_name)))
			continue;
		sub = folder ? -1 : openat(dirfd, e->d_name,
		    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (sub == -1) {
			rc = take(l, dirfd, folder, e->d_name, err);
			continue;
		}
		rc = walk(l, sub, e->d_name, err);
		close(sub);
	}
	closedir(d);
	return rc;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct policy_file *)a)->name, ((const struct policy_file *)b)->name);
}

int
editor_folder_read(const char *dir, struct arena *a, struct policy_file **files, size_t *n,
    struct err *err)
{
	struct listing l = { .arena = a };
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (fd == -1)
		return err_errno(err, "policy folder %s", dir);
	rc = walk(&l, fd, NULL, err);
	close(fd);
	if (rc == -1)
		return -1;
	if (l.n)
		qsort(l.files, l.n, sizeof(*l.files), by_name);
	*files = l.files;
	*n = l.n;
	return 0;
}

void
editor_folder_hash(const struct policy_file *files, size_t n, char out[65])
{
	static const char hex[] = "0123456789abcdef";
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	unsigned char sum[32];
	unsigned len = 0;
	bool good = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1;

	for (size_t i = 0; good && i < n; i++) {
		uint64_t size = files[i].text.n;

		good = EVP_DigestUpdate(md, files[i].name, strlen(files[i].name) + 1) == 1 &&
		    EVP_DigestUpdate(md, &size, sizeof(size)) == 1 &&
		    EVP_DigestUpdate(md, files[i].text.p, files[i].text.n) == 1;
	}
	ASSERT(good && EVP_DigestFinal_ex(md, sum, &len) == 1 && len == sizeof(sum));
	EVP_MD_CTX_free(md);
	for (size_t i = 0; i < sizeof(sum); i++) {
		out[2 * i] = hex[sum[i] >> 4];
		out[2 * i + 1] = hex[sum[i] & 15];
	}
	out[64] = '\0';
}

/* The folder that holds `name`, and its last part in *file. */
static int
folder_of(const char *dir, struct span name, struct arena *a, const char **file, struct err *err)
{
	size_t slash = span_find(name, '/');
	int top, fd;

	*file = arena_str(a, slash < name.n ? span_from(name, slash + 1) : name);
	top = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (top == -1)
		return err_errno(err, "policy folder %s", dir);
	if (slash == name.n)
		return top;
	fd = openat(top, arena_str(a, span_sub(name, 0, slash)),
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd == -1)
		err_errno(err, "the folder of " SPAN_FMT, SPAN_ARG(name));
	close(top);
	return fd;
}

/* Beside its place; its name in *temporary. */
static int
write_beside(int dirfd, const char *file, struct span text, mode_t mode, struct arena *a,
    char **temporary, struct err *err)
{
	int fd, rc = -1;

	*temporary = arena_printf(a, ".%s.edit-%ld", file, (long)getpid());
	fd = fs_openat(dirfd, *temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600, err);
	if (fd == -1)
		return -1;
	if (fs_write_all(fd, text.p, text.n, err) == -1)
		;
	else if (fchmod(fd, mode) == -1)
		err_errno(err, "%s", file);
	else
		rc = fs_fsync(fd, err);
	close(fd);
	if (rc == -1)
		unlinkat(dirfd, *temporary, 0);
	return rc;
}

int
editor_folder_write(const char *dir, struct span name, struct span text, struct arena *a,
    struct span *was, struct err *err)
{
	mode_t mode = 0644;
	const char *file;
	char *temporary;
	struct stat st;
	int dirfd, fd, rc = 0;

	ASSERT(editor_name_good(name));
	*was = (struct span){ 0 };
	dirfd = folder_of(dir, name, a, &file, err);
	if (dirfd == -1)
		return -1;
	fd = openat(dirfd, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd != -1) {
		if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
			mode = st.st_mode & 0777;
		rc = fs_read_fd(a, fd, POLICY_LIST_MAX, was, err);
		if (rc == 0 && was->p == NULL)
			*was = SPAN_LIT("");
		close(fd);
	} else if (errno != ENOENT) {
		rc = err_errno(err, SPAN_FMT, SPAN_ARG(name));
	}
	if (rc == 0 && text.p == NULL)
		rc = was->p ? fs_unlinkat(dirfd, file, err) : 0;
	else if (rc == 0 && (rc = write_beside(dirfd, file, text, mode, a, &temporary, err)) == 0 &&
	    (rc = fs_renameat(dirfd, temporary, file, err)) == -1)
		unlinkat(dirfd, temporary, 0);
	if (rc == 0)
		rc = fs_fsync(dirfd, err);
	close(dirfd);
	return rc == -1 ? err_wrap(err, SPAN_FMT, SPAN_ARG(name)) : 0;
}
