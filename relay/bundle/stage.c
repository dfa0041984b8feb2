/* stage.c -- a bundle becomes a folder beside the one in force, and takes its place; see folder.h.
 *
 * The new folder has its own copy of nothing that is the node's: those files are the same inodes under a second name (where the file system
 * allows it). What an earlier bundle brought and this one does not is left behind; so is what lies in the policy's and templates' folders and
 * is in no bundle: half of another policy is another policy. Nothing is written through a link. The swap is one
 * rename(2) with RENAME_EXCHANGE: who looks sees the old folder or the new one.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bundle/folder.h"
#include "fs.h"
#include "ipc/json_read.h"
#include "json.h"
#include "table.h"

#define STATE_MAX ((size_t)4 << 20)
#define DEPTH_MAX 16

void
bundle_digest(const struct bundle *b, char hex[static 65])
{
	unsigned char hash[EVP_MAX_MD_SIZE];

	ASSERT(EVP_Digest(b->signed_part.p, b->signed_part.n, hash, NULL, EVP_sha256(), NULL) == 1);
	for (int i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", hash[i]);
}

int
bundle_state_read(struct arena *a, const char *dir, struct bundle_state *out, struct err *err)
{
	const char *path = arena_printf(a, "%s/" BUNDLE_STATE_FILE, dir);
	const struct jval *list;
	struct span text;
	struct jval *v;

	*out = (struct bundle_state){ 0 };
	if (access(path, F_OK) == -1 && errno == ENOENT)
		return 0;
	if (fs_read(a, path, STATE_MAX, &text, err) == -1)
		return -1;
	if ((v = jval_parse(text, NULL)) == NULL || jval_int(v, "v", 0) != 1)
		return err_set(err, EBADMSG, "%s: not what `postern bundle apply` wrote", path);
	out->serial = jval_int(v, "serial", 0);
	out->digest = arena_span(a, jval_text(v, "digest"));
	out->keyid = arena_span(a, jval_text(v, "key"));
	list = jval_get(v, "files");
	out->nfiles = jval_count(list);
	out->files = arena_array(a, out->nfiles + 1, sizeof(*out->files));
	for (size_t i = 0; i < out->nfiles; i++)
		out->files[i] = arena_span(a, jval_str(jval_at(list, i)));
	jval_free(&v);
	return 0;
}

/* ---- what is the node's own ---- */

struct staging {
	struct arena *a;
	const struct bundle *b;
	struct table *replaced;		/* names that are the bundle's, now or before */
	struct table *needed;
	struct table *policy;		/* folders that hold nothing but the bundle's */
	const char *dir;
	struct err *err;
};

static bool
stays(struct staging *s, struct span name)
{
	size_t slash = span_find(name, '/');

	if (table_get(s->needed, name))
		return true;
	return !table_get(s->replaced, name) && !table_get(s->policy, span_sub(name, 0, slash));
}

static int
copy_file(struct staging *s, int from, int to, const char *entry, const struct stat *st)
{
	int in = openat(from, entry, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), out, r = 0;
	char bytes[65536];
	ssize_t n;

	if (in == -1)
		return err_errno(s->err, "%s", entry);
	out = fs_openat(to, entry, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, s->err);
	if (out == -1) {
		close(in);
		return -1;
	}
	while (r == 0 && (n = read(in, bytes, sizeof(bytes))) > 0)
		r = fs_write_all(out, bytes, (size_t)n, s->err);
	if (r == 0 && (fchmod(out, st->st_mode & 07777) == -1 ||
	    (geteuid() == 0 && fchown(out, st->st_uid, st->st_gid) == -1)))
		r = err_errno(s->err, "%s", entry);
	close(in);
	close(out);
	return r;
}

static int take_over(struct staging *s, int from, int to, const char *prefix, unsigned depth);

static int
take_folder(struct staging *s, int from, int to, const char *entry, const char *name, const struct stat *st,
    unsigned depth)
{
	int f, t, r;

	if (depth == DEPTH_MAX)
		return err_set(s->err, ELOOP, "%s is too deep", name);
	if (mkdirat(to, entry, st->st_mode & 07777) == -1)
		return err_errno(s->err, "%s", name);
	f = openat(from, entry, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	t = openat(to, entry, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (f == -1 || t == -1)
		r = err_errno(s->err, "%s", name);
	else if (fchmod(t, st->st_mode & 07777) == -1 || (geteuid() == 0 && fchown(t, st->st_uid, st->st_gid) == -1))
		r = err_errno(s->err, "%s", name);
	else
		r = take_over(s, f, t, arena_printf(s->a, "%s/", name), depth + 1);
	if (f != -1)
		close(f);
	if (t != -1)
		close(t);
	return r;
}

static int
take_one(struct staging *s, int from, int to, const char *entry, const char *prefix, unsigned depth)
{
	const char *name = arena_printf(s->a, "%s%s", prefix, entry);
	char target[PATH_MAX];
	struct stat st;
	ssize_t n;

	if (fstatat(from, entry, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return err_errno(s->err, "%s", name);
	if (S_ISDIR(st.st_mode))
		return take_folder(s, from, to, entry, name, &st, depth);
	if (!stays(s, span_str(name)))
		return 0;
	if (S_ISLNK(st.st_mode)) {
		if ((n = readlinkat(from, entry, target, sizeof(target) - 1)) == -1)
			return err_errno(s->err, "%s", name);
		target[n] = '\0';
		return symlinkat(target, to, entry) == -1 ? err_errno(s->err, "%s", name) : 0;
	}
	if (!S_ISREG(st.st_mode))
		return 0;
	if (linkat(from, entry, to, entry, 0) == 0)
		return 0;
	return copy_file(s, from, to, entry, &st);
}

static int
take_over(struct staging *s, int from, int to, const char *prefix, unsigned depth)
{
	int fd = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *d = fd == -1 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (d == NULL)
		return err_errno(s->err, "%s/%s", s->dir, prefix);
	while (r == 0 && (e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = take_one(s, from, to, e->d_name, prefix, depth);
	closedir(d);
	return r;
}

/* ---- what is the bundle's ---- */

/* The folder of a name, made where it is not; links are not followed. The descriptor, or -1. */
static int
folder_of(struct staging *s, int to, struct span name, const char **entry)
{
	int at = dup(to);
	size_t slash;

	while (at != -1 && (slash = span_find(name, '/')) < name.n) {
		const char *part = arena_str(s->a, span_sub(name, 0, slash));
		int next;

		if (mkdirat(at, part, 0755) == -1 && errno != EEXIST) {
			close(at);
			return err_errno(s->err, "%s", part);
		}
		next = openat(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close(at);
		if (next == -1)
			return err_set(s->err, ENOTDIR, "%s is a link or a file here, and a folder in the bundle: make it "
			    "a folder", part);
		at = next;
		name = span_from(name, slash + 1);
	}
	*entry = arena_str(s->a, name);
	return at;
}

/* Owner and mode as the file had before; a key is for its owner alone. */
static int
write_file(struct staging *s, int to, const struct bundle_file *f)
{
	mode_t mode = f->secret ? 0600 : 0644;
	const char *entry;
	struct stat st;
	int dir = folder_of(s, to, f->name, &entry), fd, r;
	bool was = lstat(arena_printf(s->a, "%s/" SPAN_FMT, s->dir, SPAN_ARG(f->name)), &st) == 0 &&
	    S_ISREG(st.st_mode);

	if (dir == -1)
		return -1;
	fd = fs_openat(dir, entry, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, s->err);
	close(dir);
	if (fd == -1)
		return -1;
	r = fs_write_all(fd, f->data.p, f->data.n, s->err);
	if (r == 0 && (fchmod(fd, was ? st.st_mode & 0777 : mode) == -1 ||
	    (was && geteuid() == 0 && fchown(fd, st.st_uid, st.st_gid) == -1)))
		r = err_errno(s->err, SPAN_FMT, SPAN_ARG(f->name));
	if (r == 0)
		r = fs_fsync(fd, s->err);
	close(fd);
	return r;
}

static int
write_state(struct staging *s, int to, const struct bundle_file *files, size_t n)
{
	char hex[65];
	struct json j;
	struct buf b;
	int fd, r;

	bundle_digest(s->b, hex);
	buf_init(&b, STATE_MAX);
	json_begin(&j, &b);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kint(&j, "serial", s->b->serial);
	json_kcstr(&j, "digest", hex);
	json_kstr(&j, "key", s->b->keyid);
	json_kstr(&j, "made", s->b->made);
	json_key(&j, "files");
	json_array(&j);
	for (size_t i = 0; i < n; i++)
		json_str(&j, files[i].name);
	json_end_array(&j);
	json_end_object(&j);
	buf_putc(&b, '\n');
	fd = fs_openat(to, BUNDLE_STATE_FILE, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644, s->err);
	r = fd == -1 ? -1 : fs_write_all(fd, buf_data(&b).p, buf_size(&b), s->err);
	if (r == 0)
		r = fs_fsync(fd, s->err);
	if (fd != -1)
		close(fd);
	buf_release(&b);
	return r;
}

/* ---- the whole ---- */

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	return remove(path);
}

static int
remove_tree(const char *path, struct err *err)
{
	if (nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS) == -1 && errno != ENOENT)
		return err_errno(err, "%s", path);
	return 0;
}

/* Folders of which every file is the bundle's: those it brings a policy or templates in. */
static void
mark(struct staging *s, const struct bundle_file *files, size_t n, const struct bundle_state *old)
{
	for (size_t i = 0; i < n; i++) {
		size_t slash = span_find(files[i].name, '/');

		table_put(s->replaced, files[i].name, s);
		if (slash < files[i].name.n && !files[i].secret && !span_starts(files[i].name, SPAN_LIT("keys/")) &&
		    !span_starts(files[i].name, SPAN_LIT("tls/")))
			table_put(s->policy, span_sub(files[i].name, 0, slash), s);
	}
	for (size_t i = 0; i < old->nfiles; i++)
		/* A key that came and is in this bundle's sealed part, which was left out, stays. */
		if (!span_starts(old->files[i], SPAN_LIT("keys/")) || s->b->sealed.n)
			table_put(s->replaced, old->files[i], s);
	table_put(s->replaced, SPAN_LIT(BUNDLE_STATE_FILE), s);
	for (size_t i = 0; i < s->b->nneeds; i++)
		table_put(s->needed, s->b->needs[i], s);
}

static int
fill(struct staging *s, const char *path, const struct bundle_file *files, size_t n)
{
	int from = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), to, r = 0;
	struct stat st = { .st_mode = 0755 };

	if (from != -1 && fstat(from, &st) == -1)
		st.st_mode = 0755;
	if (mkdir(path, 0700) == -1 || (to = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1) {
		r = err_errno(s->err, "%s", path);
		if (from != -1)
			close(from);
		return r;
	}
	if (from != -1)
		r = take_over(s, from, to, "", 0);
	for (size_t i = 0; i < n && r == 0; i++)
		r = write_file(s, to, &files[i]);
	for (size_t i = 0; i < s->b->nneeds && r == 0; i++)
		if (faccessat(to, arena_str(s->a, s->b->needs[i]), F_OK, 0) == -1)
			r = err_set(s->err, ENOENT, SPAN_FMT " is not here, and the bundle needs it: it is too large for one, "
			    "copy it", SPAN_ARG(s->b->needs[i]));
	if (r == 0)
		r = write_state(s, to, files, n);
	if (r == 0 && (fchmod(to, st.st_mode & 07777) == -1 ||
	    (from != -1 && geteuid() == 0 && fchown(to, st.st_uid, st.st_gid) == -1)))
		r = err_errno(s->err, "%s", path);
	if (r == 0 && syncfs(to) == -1)
		r = err_errno(s->err, "%s", path);
	if (from != -1)
		close(from);
	close(to);
	return r;
}

int
bundle_stage(struct arena *a, const char *dir, const char *beside, const struct bundle *b,
    const struct bundle_file *files, size_t n, const struct bundle_state *old, const char **staged, struct err *err)
{
	struct staging s = { .a = a, .b = b, .dir = dir, .err = err, .replaced = table_new(),
		.needed = table_new(), .policy = table_new() };
	int r;

	mark(&s, files, n, old);
	if ((r = remove_tree(beside, err)) == 0 && (r = fill(&s, beside, files, n)) == -1) {
		struct err later;

		(void)remove_tree(beside, &later);
	}
	if (r == 0)
		*staged = beside;
	table_free(&s.replaced);
	table_free(&s.needed);
	table_free(&s.policy);
	return r;
}

static int
sync_parent(const char *dir, struct err *err)
{
	char *copy = strdup(dir), *slash;
	int fd, r;

	ASSERT(copy != NULL);
	slash = strrchr(copy, '/');
	slash[slash == copy] = '\0';
	fd = open(copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = fd == -1 ? err_errno(err, "%s", copy) : fs_fsync(fd, err);
	if (fd != -1)
		close(fd);
	free(copy);
	return r;
}

int
bundle_swap(const char *dir, const char *staged, struct err *err)
{
	if (renameat2(AT_FDCWD, staged, AT_FDCWD, dir, RENAME_EXCHANGE) == -1)
		return err_errno(err, errno == EBUSY ? "%s is a mount point: a bundle cannot take its place; mount the folder above" :
		    "%s", dir);
	if (sync_parent(dir, err) == 0)
		return 0;
	(void)renameat2(AT_FDCWD, staged, AT_FDCWD, dir, RENAME_EXCHANGE);
	return -1;
}

int
bundle_keep(struct arena *a, const char *dir, const char *staged, struct err *err)
{
	const char *previous = arena_printf(a, "%s.previous", dir);

	if (remove_tree(previous, err) == -1)
		return -1;
	if (rename(staged, previous) == -1)
		return err_errno(err, "%s", previous);
	return sync_parent(dir, err);
}
