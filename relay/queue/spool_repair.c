/* spool_repair.c -- makes a spool that starts without a complaint; deletes nothing.
 *
 * A segment that is not in order is written anew beside it (seg-N.repair: the
 * records that are right, byte for byte, then END), synced, the old one renamed to
 * seg-N.damaged, the new one to seg-N. A crash between the two renames leaves
 * seg-N missing and both others there: the next repair finishes it. A segment
 * of which nothing can be read is only renamed.
 *
 * A message whose large file is missing or wrong leaves the queue: its record
 * stays in seg-N.damaged, what there is of the file goes to lost/. So do large
 * files that belong to no message, which a start would remove.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "fs.h"
#include "queue/spool_audit.h"
#include "queue/spool_internal.h"

struct repair {
	struct audit *a;
	void (*say)(void *ctx, const char *text);
	void *ctx;
	/* of the segment being copied */
	int fd;
	uint64_t at;
	struct segment *seg;
	uint64_t kept, left_out;
	struct err *err;
	bool failed;
};

static void __attribute__((format(printf, 2, 3)))
tell(struct repair *rp, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	rp->say(rp->ctx, text);
}

static bool
bad_message(const struct audit *a, const struct record *r)
{
	const struct audit_message *m = idtable_get(a->messages, r->id);

	return m != NULL && m->bad;
}

/* Damage told of a record whose sums are right: its contents are not. */
static bool
told(const struct audit *a, uint32_t segment, uint64_t offset)
{
	for (size_t i = 0; i < a->ndamage; i++)
		if (a->damage[i].segment == segment && a->damage[i].offset == offset)
			return true;
	return false;
}

static void
copy_record(void *ctx, struct segment *s, uint64_t offset, const struct record *r, struct span meta,
    struct span data)
{
	static const char zeros[8];
	struct repair *rp = ctx;
	char head[RECORD_HEAD];
	uint64_t at = rp->at + RECORD_HEAD + meta.n + data.n;

	if (rp->failed)
		return;
	if (bad_message(rp->a, r) || told(rp->a, s->number, offset)) {
		rp->left_out++;
		return;
	}
	record_head_write(head, s->salt, r);
	if (fs_pwrite_all(rp->fd, head, sizeof(head), (off_t)rp->at, rp->err) == -1 ||
	    fs_pwrite_all(rp->fd, meta.p, meta.n, (off_t)(rp->at + RECORD_HEAD), rp->err) == -1 ||
	    fs_pwrite_all(rp->fd, data.p, data.n, (off_t)(rp->at + RECORD_HEAD + meta.n),
	    rp->err) == -1 || fs_pwrite_all(rp->fd, zeros, -at & 7, (off_t)at, rp->err) == -1)
		rp->failed = true;
	rp->at += record_bytes(r);
	rp->kept++;
}

static void
skip_damage(void *ctx, struct segment *s, const struct segment_damage *d)
{
	((struct repair *)ctx)->left_out++;
}

/* A name that is free: seg-N.damaged, seg-N.damaged2 … */
static void
kept_name(struct audit *a, const char *name, char out[64])
{
	struct stat st;

	snprintf(out, 64, "%s.damaged", name);
	for (int i = 2; fstatat(a->dirfd, out, &st, AT_SYMLINK_NOFOLLOW) == 0; i++)
		snprintf(out, 64, "%s.damaged%d", name, i);
}

static int
rewrite(struct repair *rp, struct segment *s, struct err *err)
{
	struct segment_visitor v = { copy_record, skip_damage, rp };
	char name[SEGMENT_NAME_MAX], new[64], kept[64], rec[RECORD_HEAD];
	struct segment fresh = *s;	/* all there is of it in a file of its own */

	segment_name(s->number, name);
	snprintf(new, sizeof(new), "%s.repair", name);
	rp->fd = fs_openat(rp->a->dirfd, new, O_WRONLY | O_CREAT | O_TRUNC, 0600, err);
	if (rp->fd == -1)
		return -1;
	rp->at = SEGMENT_HEAD;
	rp->kept = rp->left_out = 0;
	rp->failed = false;
	rp->err = err;
	fresh.space = 0;
	if (segment_head_put(rp->fd, &fresh, err) == -1)
		goto fail;
	segment_scan(s, 0, UINT64_MAX, &v, NULL);
	record_head_write(rec, s->salt, &(struct record){ .type = RECORD_END });
	if (rp->failed || fs_pwrite_all(rp->fd, rec, sizeof(rec), (off_t)rp->at, err) == -1 ||
	    fs_fsync(rp->fd, err) == -1)
		goto fail;
	close(rp->fd);
	kept_name(rp->a, name, kept);
	if (fs_renameat(rp->a->dirfd, name, kept, err) == -1 ||
	    fs_renameat(rp->a->dirfd, new, name, err) == -1 ||
	    fs_fsync(rp->a->dirfd, err) == -1)
		return -1;
	tell(rp, "%s: written anew with %llu records, %llu places left out; the old one is %s",
	    name, (unsigned long long)rp->kept, (unsigned long long)rp->left_out, kept);
	return 0;
fail:
	close(rp->fd);
	return -1;
}

static int
set_aside(struct repair *rp, uint32_t number, struct err *err)
{
	char name[SEGMENT_NAME_MAX], kept[64];

	kept_name(rp->a, segment_name(number, name), kept);
	if (fs_renameat(rp->a->dirfd, name, kept, err) == -1)
		return -1;
	tell(rp, "%s: nothing in it can be read; it is %s now", name, kept);
	return 0;
}

static int
to_lost(struct repair *rp, const char *name, struct err *err)
{
	char path[4096], from[300], to[300];

	if (snprintf(path, sizeof(path), "%s/lost", rp->a->path) >= (int)sizeof(path))
		return err_set(err, ENAMETOOLONG, "%s", rp->a->path);
	if (fs_mkdirs(path, 0700, err) == -1)
		return -1;
	snprintf(from, sizeof(from), "big/%s", name);
	snprintf(to, sizeof(to), "lost/%s", name);
	if (fs_renameat(rp->a->dirfd, from, to, err) == -1)
		return -1;
	tell(rp, "%s: moved to %s", from, to);
	return 0;
}

/* An earlier repair was cut off between its two renames. */
static int
finish_earlier(struct repair *rp, struct err *err)
{
	for (uint32_t n = 1; n <= rp->a->last_number; n++) {
		char name[SEGMENT_NAME_MAX], new[64], kept[64];
		struct stat st;

		snprintf(new, sizeof(new), "%s.repair", segment_name(n, name));
		if (fstatat(rp->a->dirfd, new, &st, 0) == -1)
			continue;
		if (fstatat(rp->a->dirfd, name, &st, 0) == -1) {
			if (fs_renameat(rp->a->dirfd, new, name, err) == -1)
				return -1;
			tell(rp, "%s: an earlier repair is finished", name);
		} else {
			kept_name(rp->a, name, kept);
			if (fs_renameat(rp->a->dirfd, new, kept, err) == -1)
				return -1;
		}
	}
	return 0;
}

static bool
segment_holds_bad(const struct audit *a, uint32_t number)
{
	size_t at = 0;
	uint64_t id;
	void *v;

	while (idtable_next(a->messages, &at, &id, &v)) {
		const struct audit_message *m = v;

		if (m->bad && m->segment == number)
			return true;
	}
	return false;
}

int
audit_repair(struct audit *a, void (*say)(void *ctx, const char *text), void *ctx, struct err *err)
{
	struct repair rp = { .a = a, .say = say, .ctx = ctx };
	char name[64];

	if (a->in_use)
		return err_set(err, EBUSY, "posternd is running on %s: stop it, or repair a copy",
		    a->path);
	if (finish_earlier(&rp, err) == -1)
		return -1;
	for (size_t i = 0; i < a->nsegments; i++) {
		const struct audit_segment *s = &a->segments[i];
		int r = 0;

		if (s->unreadable)
			r = set_aside(&rp, s->number, err);
		else if (s->damaged || s->torn || s->bad_head || segment_holds_bad(a, s->number))
			r = rewrite(&rp, a->opened[i], err);
		if (r == -1)
			return -1;
	}
	for (size_t i = 0; i < a->ndamage; i++)
		if (a->damage[i].segment == 0 && !a->damage[i].missing &&
		    to_lost(&rp, spool_big_name(a->damage[i].id, name), err) == -1)
			return -1;
	for (size_t i = 0; i < a->nstrays; i++)
		if (to_lost(&rp, a->strays[i], err) == -1)
			return -1;
	return fs_fsync(a->dirfd, err);
}
