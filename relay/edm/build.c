/* build.c -- from an export to an index in its place; see edm.h. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "edm/build.h"
#include "fs.h"
#include "table.h"

#define INDEX_MODE 0640
#define ROUNDS 4

void
build_show(const struct build *b, const char *what, const char *unit, uint64_t done, uint64_t total)
{
	if (b->progress && b->progress->show)
		b->progress->show(b->progress->ctx, what, unit, done, total);
}

/* --- a random order: a Feistel network over the numbers below n ---------------------------- */

static uint32_t
shuffled(const uint8_t key[16], uint32_t i, uint32_t n, unsigned half)
{
	uint32_t mask = (UINT32_C(1) << half) - 1;

	do {
		uint32_t l = i >> half, r = i & mask;

		for (uint32_t k = 0; k < ROUNDS; k++) {
			uint32_t in[2] = { k, r }, to = (l ^ (uint32_t)siphash(key, in, sizeof(in))) & mask;

			l = r;
			r = to;
		}
		i = l << half | r;
	} while (i >= n);
	return i;
}

static int
make_order(struct build *b, struct err *err)
{
	uint8_t key[16];
	unsigned half = 1;

	while (half < 16 && UINT64_C(1) << (2 * half) < b->h.rows)
		half++;
	if (getrandom(key, sizeof(key), 0) != sizeof(key))
		return err_errno(err, "no random numbers");
	if (spill_open(&b->order, b->dir, err) == -1)
		return -1;
	for (uint32_t i = 0; i < b->h.rows; i++) {
		uint32_t to = shuffled(key, i, b->h.rows, half);

		if (spill_put(&b->order, &to, sizeof(to), err) == -1)
			return -1;
	}
	explicit_bzero(key, sizeof(key));
	return 0;
}

/* --- tags, and the header last ----------------------------------------------------------------- */

static int
read_block(int fd, uint8_t *p, size_t n, uint64_t at, struct err *err)
{
	while (n) {
		ssize_t got = pread(fd, p, n, (off_t)at);

		if (got == -1 && errno == EINTR)
			continue;
		if (got <= 0)
			return got == -1 ? err_errno(err, "the index") : err_set(err, EIO,
			    "the index has become shorter");
		p += got;
		at += (uint64_t)got;
		n -= (size_t)got;
	}
	return 0;
}

static int
seal_all(struct build *b, struct err *err)
{
	uint8_t header[EXACT_HEADER], *block = malloc(EXACT_BLOCK);
	uint64_t n = (b->h.size - b->h.tags) / 8, *tags = calloc(n + 1, sizeof(*tags));
	int rc = -1;

	ASSERT(block && tags);
	if (fs_truncate(b->out, (off_t)b->h.size, err) == -1)	/* what was not written is zeros */
		goto out;
	for (uint64_t i = 0; i < n; i++) {
		uint64_t at = EXACT_HEADER + i * EXACT_BLOCK;
		size_t size = b->h.tags - at < EXACT_BLOCK ? (size_t)(b->h.tags - at) : EXACT_BLOCK;

		if (read_block(b->out, block, size, at, err) == -1)
			goto out;
		tags[i] = htole64(exact_tag(b->key, block, size));
		build_show(b, "sealing", "MiB", i + 1, n);
	}
	b->h.tags_tag = exact_tag(b->key, tags, n * 8);
	exact_header_write(&b->h, b->key, header);
	if (fs_pwrite_all(b->out, tags, n * 8, (off_t)b->h.tags, err) == 0 &&
	    fs_pwrite_all(b->out, header, sizeof(header), 0, err) == 0)
		rc = fs_fsync(b->out, err);
out:
	free(block);
	free(tags);
	return rc;
}

static int
build_all(struct build *b, int source, uint64_t size, struct err *err)
{
	if (getrandom(b->h.nonce, sizeof(b->h.nonce), 0) != sizeof(b->h.nonce))
		return err_errno(err, "no random numbers");
	b->h.built = (uint64_t)time(NULL);
	b->h.key_id = exact_key_id(b->key);
	b->h.ncolumns = (uint32_t)b->d->n;
	for (size_t i = 0; i < b->d->n; i++) {
		const struct edm_column *c = &b->d->columns[i];

		b->h.columns[i] = (struct exact_column){ .name = span_str(c->name), .type = c->type };
		exact_column_key(&b->keys[i], b->key, span_str(c->name), c->type);
	}
	if (build_read(b, source, size, err) == -1 || make_order(b, err) == -1)
		return -1;
	for (size_t i = 0; i < b->d->n; i++)
		if (build_column(b, i, err) == -1)
			return -1;
	return seal_all(b, err);
}

/* --- in its place -------------------------------------------------------------------------------- */

/* Under one name, so that a build that was killed leaves no more than the next one takes. Nobody
 * writes into it beside us: not into one that has become the index meanwhile, either. */
static int
open_temp(int dirfd, const char *temp, const char *name, struct err *err)
{
	int fd = fs_openat(dirfd, temp, O_RDWR | O_CREAT | O_NOFOLLOW, INDEX_MODE, err);
	struct stat mine, there;

	if (fd == -1)
		return -1;
	if (flock(fd, LOCK_EX | LOCK_NB) == -1 || fstat(fd, &mine) == -1 ||
	    fstatat(dirfd, temp, &there, AT_SYMLINK_NOFOLLOW) == -1 || mine.st_ino != there.st_ino ||
	    mine.st_dev != there.st_dev) {
		close(fd);
		return err_set(err, EBUSY, "another build of %s is under way", name);
	}
	if (fs_truncate(fd, 0, err) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

static int
put_in_place(int dirfd, int out, const char *temp, const char *name, struct err *err)
{
	struct stat st;

	/* As the one it replaces was, so that who could load that can load this. */
	if (fstatat(dirfd, name, &st, 0) == 0) {
		if (fchown(out, st.st_uid, st.st_gid) == -1 && errno != EPERM)
			return err_errno(err, "%s", name);
		if (fchmod(out, st.st_mode & 07777) == -1)
			return err_errno(err, "%s", name);
	}
	return fs_renameat(dirfd, temp, name, err) == -1 ? -1 : fs_fsync(dirfd, err);
}

int
edm_build(int source, uint64_t size, const struct edm_description *d,
    const uint8_t key[EXACT_KEY], const char *path, const struct edm_progress *progress,
    struct edm_report *report, struct err *err)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	struct build *b = calloc(1, sizeof(*b));
	struct arena *a = arena_new(0);
	const char *temp = arena_printf(a, ".%s.new", name);
	int dirfd, rc = -1;

	ASSERT_MEMORY(b);
	*report = (struct edm_report){ 0 };
	b->dir = slash ? slash == path ? "/" : arena_str(a, span_make(path, (size_t)(slash - path))) : ".";
	b->d = d;
	b->key = key;
	b->progress = progress;
	b->report = report;
	dirfd = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd == -1) {
		err_errno(err, "%s", b->dir);
	} else if ((b->out = open_temp(dirfd, temp, name, err)) != -1) {
		rc = build_all(b, source, size, err);
		if (rc == 0)
			rc = put_in_place(dirfd, b->out, temp, name, err);
		if (rc == -1)
			unlinkat(dirfd, temp, 0);
		close(b->out);
		report->header = b->h;
	}
	if (dirfd != -1)
		close(dirfd);
	for (size_t i = 0; i < EXACT_COLUMNS; i++)
		spill_close(&b->cells[i]);
	spill_close(&b->order);
	explicit_bzero(b, sizeof(*b));
	free(b);
	arena_free(&a);
	return rc;
}
