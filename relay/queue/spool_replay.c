/* spool_replay.c -- from a folder of segments back to what is queued.
 *
 * Segments are read in the order of their numbers, records in the order they
 * were written; a later record about a message replaces an earlier one. A
 * message seen twice is a copy that compaction made: the later place counts.
 *
 * What is broken at the end of a segment that was not ended in good order is
 * a torn write: it was never acknowledged, and is cut off. What is broken
 * anywhere else is damage: reported with its place, kept, read past.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include "clock.h"
#include "fs.h"
#include "id.h"
#include "queue/spool_internal.h"

struct replay {
	struct spool *sp;
	struct arena *scratch;
	uint64_t torn;		/* where the tail is torn; 0: it is not */
	bool adopting;		/* the spool is in use meanwhile */
};

static void
damaged(struct replay *rp, struct segment *s, uint64_t offset, uint64_t size, uint64_t id,
    enum record_type type, const char *what)
{
	struct spool *sp = rp->sp;

	s->damaged = true;
	sp->stats.damaged++;
	spool_report(sp, LOG_LVL_ERROR, id, "spool damage: segment %u at %llu, %llu bytes, record "
	    "%s: %s", s->number, (unsigned long long)offset, (unsigned long long)size,
	    record_type_name(type), what);
}

static void
found_message(struct replay *rp, struct segment *s, uint64_t offset, const struct record *r,
    struct span meta)
{
	struct spool *sp = rp->sp;
	struct spool_pos to = { s->number, (uint32_t)offset, (uint32_t)record_bytes(r) };
	struct spool_item *it = idtable_get(sp->items, r->id);
	struct stored m;
	struct stat st;
	char name[64];

	if (it == NULL) {
		if (stored_decode(meta, rp->scratch, &m) == -1 ||
		    (!(r->flags & RECORD_BIG) && m.size + m.json_size != r->data_size)) {
			damaged(rp, s, offset, to.bytes, r->id, r->type, "not readable");
			return;
		}
		m.env.id = r->id;
		if ((r->flags & RECORD_BIG) &&
		    (fstatat(sp->bigfd, spool_big_name(r->id, name), &st, 0) == -1 ||
		    (uint64_t)st.st_size != m.size)) {
			if (rp->adopting) {
				damaged(rp, s, offset, to.bytes, r->id, r->type,
				    "its large file is missing");
				return;
			}
			/* Removed after its DONE; or lost, which only the absence of a
			 * DONE will tell: see orphans(). */
			idtable_put(sp->items, r->id, sp);
			return;
		}
		if ((it = sp->ops->recover(sp->ctx, r->id, &m)) == NULL) {
			damaged(rp, s, offset, to.bytes, r->id, r->type, "not usable");
			return;
		}
		*it = (struct spool_item){ .id = r->id, .state = ITEM_LIVE,
			.big = (r->flags & RECORD_BIG) != 0 };
		idtable_put(sp->items, r->id, it);
	} else if ((void *)it == (void *)sp)
		return;
	spool_pos_set(sp, &it->at, to);
}

static void
found_state(struct replay *rp, struct segment *s, uint64_t offset, const struct record *r,
    struct span meta)
{
	struct spool *sp = rp->sp;
	struct spool_item *it = idtable_get(sp->items, r->id);
	struct spool_pos *pos;
	struct state st;

	if (it == NULL || (void *)it == (void *)sp)
		return;
	if (state_decode(meta, rp->scratch, &st) == -1) {
		damaged(rp, s, offset, record_bytes(r), r->id, r->type, "not readable");
		return;
	}
	if ((pos = sp->ops->recover_state(sp->ctx, sp, it, r->flags, &st)) != NULL)
		spool_pos_set(sp, pos, (struct spool_pos){ s->number, (uint32_t)offset,
		    (uint32_t)record_bytes(r) });
}

static void
found_done(struct replay *rp, struct segment *s, const struct record *r, struct span meta)
{
	struct spool *sp = rp->sp;
	struct spool_item *it = idtable_get(sp->items, r->id);
	struct spool_pos *pos;
	struct dec d;
	uint32_t home;

	dec_init(&d, meta);
	home = dec_u32(&d);
	if (dec_done(&d) && home != s->number && spool_segment(sp, home) != NULL)
		segment_dep_add(s, home);
	if (it == NULL)
		return;
	if ((void *)it == (void *)sp) {
		idtable_remove(sp->items, r->id);
		return;
	}
	/* Another copy of the same id is another story: refused in `home`, sent
	 * again and accepted elsewhere. */
	if (it->at.segment != home)
		return;
	idtable_remove(sp->items, r->id);
	for (size_t i = 0; (pos = sp->ops->position(sp->ctx, it, i)) != NULL; i++)
		spool_pos_set(sp, pos, (struct spool_pos){ 0 });
	spool_pos_set(sp, &it->at, (struct spool_pos){ 0 });
	it->state = ITEM_NONE;
	sp->ops->gone(sp->ctx, it);
}

static void
found_sites(struct replay *rp, struct segment *s, uint64_t offset, const struct record *r,
    struct span meta)
{
	struct spool *sp = rp->sp;
	struct span *names;
	struct dec d;
	uint32_t n;

	dec_init(&d, meta);
	n = dec_count(&d, UINT32_MAX, 4);
	names = arena_array(rp->scratch, n, sizeof(*names));
	for (uint32_t i = 0; i < n; i++)
		names[i] = dec_span(&d);
	if (!dec_done(&d))
		return;
	spool_pos_set(sp, &sp->sites_at, (struct spool_pos){ s->number, (uint32_t)offset,
	    (uint32_t)record_bytes(r) });
	sp->ops->paused(sp->ctx, names, n);
}

static void
visit_record(void *ctx, struct segment *s, uint64_t offset, const struct record *r,
    struct span meta, struct span data)
{
	struct replay *rp = ctx;

	arena_reset(rp->scratch);
	rp->sp->stats.replayed++;
	switch (r->type) {
	case RECORD_MESSAGE:
		found_message(rp, s, offset, r, meta);
		break;
	case RECORD_STATE:
		found_state(rp, s, offset, r, meta);
		break;
	case RECORD_DONE:
		found_done(rp, s, r, meta);
		break;
	case RECORD_SITES:
		found_sites(rp, s, offset, r, meta);
		break;
	default:
		break;
	}
}

static void
visit_damage(void *ctx, struct segment *s, const struct segment_damage *d)
{
	struct replay *rp = ctx;
	bool whole = d->id != 0 && d->offset + d->size <= s->size &&
	    strstr(d->what, "cut short") == NULL;

	/* A whole record with a wrong sum at the very end may be either; it is
	 * kept and reported, because an acknowledged message might be in it. In a
	 * reused file the missing TAIL tells that it is not. */
	if (d->tail && !s->ended && (!whole || s->space > 0)) {
		rp->torn = d->offset;
		return;
	}
	damaged(rp, s, d->offset, d->size, d->id, d->type, d->what);
}

/* Cuts the torn tail and ends the segment, so that from now on whatever is
 * wrong in it is known to be damage. */
static void
tidy(struct replay *rp, struct segment *s)
{
	struct spool *sp = rp->sp;
	char name[SEGMENT_NAME_MAX], rec[RECORD_HEAD];
	struct err err;
	int fd;

	if (rp->torn != 0) {
		spool_report(sp, LOG_LVL_WARN, 0, "segment %u: torn tail of %llu bytes at %llu "
		    "dropped; nothing in it had been acknowledged", s->number,
		    (unsigned long long)(s->size - rp->torn), (unsigned long long)rp->torn);
		sp->stats.torn += s->size - rp->torn;
		s->size = rp->torn;
	}
	if (s->ended && rp->torn == 0)
		return;
	sp->stats.cut_off++;
	fd = fs_openat(sp->dirfd, segment_name(s->number, name), O_WRONLY, 0, &err);
	if (fd == -1) {
		spool_report(sp, LOG_LVL_WARN, 0, "%s", err.text);
		return;
	}
	record_head_write(rec, s->salt, &(struct record){ .type = RECORD_END });
	if (fs_truncate(fd, (off_t)s->size, &err) == -1 ||
	    fs_pwrite_all(fd, rec, sizeof(rec), (off_t)s->size, &err) == -1 ||
	    fs_fdatasync(fd, &err) == -1) {
		spool_report(sp, LOG_LVL_WARN, 0, "segment %u could not be ended: %s", s->number,
		    err.text);
		(void)fs_truncate(fd, (off_t)s->size, NULL);
	} else {
		s->size += sizeof(rec);
		s->ended = true;
	}
	close(fd);
}

static int
by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static int
segment_numbers(struct spool *sp, uint32_t **numbers, size_t *n, uint32_t **spares, size_t *nspares,
    struct err *err)
{
	int fd = openat(sp->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd == -1 ? NULL : fdopendir(fd);
	struct dirent *e;
	uint32_t v;

	if (d == NULL) {
		if (fd != -1)
			close(fd);
		return err_errno(err, "cannot list the spool");
	}
	while ((e = readdir(d)) != NULL) {
		char *dot = strchr(e->d_name, '.');

		/* A number under which something damaged is kept is not given again. */
		if (spare_name_parse(e->d_name, &v)) {
			*spares = realloc(*spares, (*nspares + 1) * sizeof(**spares));
			ASSERT(*spares != NULL);
			(*spares)[(*nspares)++] = v;
			if (v > sp->last_number)
				sp->last_number = v;
			continue;
		}
		if (dot != NULL)
			*dot = '\0';
		if (!segment_name_parse(e->d_name, &v))
			continue;
		if (v > sp->last_number)
			sp->last_number = v;
		if (dot != NULL)
			continue;
		*numbers = realloc(*numbers, (*n + 1) * sizeof(**numbers));
		ASSERT(*numbers != NULL);
		(*numbers)[(*n)++] = v;
	}
	closedir(d);
	if (*n > 0)
		qsort(*numbers, *n, sizeof(**numbers), by_number);
	return 0;
}

/* An import has put it there, and its segment is about to follow. */
static bool
being_imported(struct spool *sp, const char *name)
{
	char import[80];

	snprintf(import, sizeof(import), "%.60s.import", name);
	return faccessat(sp->bigfd, import, F_OK, 0) == 0;
}

/* Large files without a message are removed: the crash came between them and
 * their record, or between their DONE and their removal. Messages without
 * their large file are reported. */
static void
orphans(struct spool *sp)
{
	int fd = openat(sp->bigfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd == -1 ? NULL : fdopendir(fd);
	struct dirent *e;
	size_t at = 0;
	uint64_t id;
	void *v;

	while (d != NULL && (e = readdir(d)) != NULL)
		if (id_parse(span_str(e->d_name), &id) && idtable_get(sp->items, id) == NULL &&
		    !being_imported(sp, e->d_name))
			(void)fs_unlinkat(sp->bigfd, e->d_name, NULL);
	if (d != NULL)
		closedir(d);
	else if (fd != -1)
		close(fd);
	while (idtable_next(sp->items, &at, &id, &v))
		if (v == (void *)sp) {
			sp->stats.damaged++;
			spool_report(sp, LOG_LVL_ERROR, id, "spool damage: the large file of this "
			    "message is missing or has another size");
			idtable_remove(sp->items, id);
		}
}

/* A spool of a version we do not know is left exactly as it is. */
static int
versions_known(struct spool *sp, const uint32_t *numbers, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		struct segment *s = segment_open(sp->dirfd, numbers[i], err);

		if (s == NULL && err->code == ENOTSUP)
			return -1;
		segment_free(&s);
	}
	return 0;
}

int
spool_replay(struct spool *sp, struct err *err)
{
	struct replay rp = { .sp = sp };
	struct segment_visitor v = { visit_record, visit_damage, &rp };
	uint32_t *numbers = NULL, *spares = NULL;
	size_t n = 0, nspares = 0;

	if (segment_numbers(sp, &numbers, &n, &spares, &nspares, err) == -1)
		return -1;
	if (versions_known(sp, numbers, n, err) == -1) {
		free(numbers);
		free(spares);
		return -1;
	}
	spool_spares_found(sp, spares, nspares);
	free(spares);
	rp.scratch = arena_new(0);
	for (size_t i = 0; i < n; i++) {
		struct segment *s = segment_open(sp->dirfd, numbers[i], err);
		struct stat st;
		char name[SEGMENT_NAME_MAX];

		if (s == NULL) {
			/* A crash right after its making leaves an empty one. */
			if (fstatat(sp->dirfd, segment_name(numbers[i], name), &st, 0) == 0 &&
			    st.st_size < (off_t)SEGMENT_HEAD) {
				(void)fs_unlinkat(sp->dirfd, name, NULL);
				continue;
			}
			sp->stats.damaged++;
			spool_report(sp, LOG_LVL_ERROR, 0, "spool damage: %s", err->text);
			continue;
		}
		spool_segment_add(sp, s);
		sp->ops->segment_new(sp->ctx, s->number, s->fd);
		if (s->damaged)
			damaged(&rp, s, 0, SEGMENT_HEAD, 0, RECORD_NONE, "the file's head");
		rp.torn = 0;
		segment_scan(s, 0, UINT64_MAX, &v, NULL);
		tidy(&rp, s);
	}
	orphans(sp);
	arena_free(&rp.scratch);
	free(numbers);
	sp->reap = true;
	return 0;
}

/* ---- adopting ---- */

uint32_t
spool_reserve(struct spool *sp)
{
	return ++sp->last_number;
}

int
spool_adopt(struct spool *sp, uint32_t number, struct err *err)
{
	struct segment *s;
	size_t i;

	if (spool_segment(sp, number) != NULL)
		return 0;
	if (number > sp->last_number)
		return err_set(err, EINVAL, "segment %u was never reserved", number);
	if (sp->adopt.segment != 0)
		return err_set(err, EBUSY, "segment %u is being taken over", sp->adopt.segment);
	if ((s = segment_open(sp->dirfd, number, err)) == NULL)
		return -1;
	/* What will be said of its messages must be read after them. */
	if (sp->head != NULL && sp->head->number < number)
		spool_end_head(sp);
	spool_segment_add(sp, s);
	for (i = sp->nsegments - 1; i > 0 && sp->segments[i - 1]->number > number; i--)
		sp->segments[i] = sp->segments[i - 1];
	sp->segments[i] = s;
	s->left = clock_mono();
	s->pins++;
	sp->adopt.segment = number;
	sp->adopt.next = 0;
	sp->ops->segment_new(sp->ctx, number, s->fd);
	return 1;
}

bool
spool_adopt_step(struct spool *sp, uint32_t number, uint64_t budget)
{
	struct replay rp = { .sp = sp, .adopting = true };
	struct segment_visitor v = { visit_record, visit_damage, &rp };
	struct segment *s = spool_segment(sp, number);

	ASSERT(sp->adopt.segment == number && s != NULL);
	rp.scratch = arena_new(0);
	sp->adopt.next = segment_scan(s, sp->adopt.next, budget, &v, NULL);
	arena_free(&rp.scratch);
	if (sp->adopt.next != 0)
		return true;
	sp->adopt.segment = 0;
	spool_unpin(sp, number);
	return false;
}

/* ---- opening and closing ---- */

int
spool_prepare(const char *path, uid_t uid, gid_t gid, struct err *err)
{
	char big[4096];

	if (snprintf(big, sizeof(big), "%s/big", path) >= (int)sizeof(big))
		return err_set(err, ENAMETOOLONG, "%s", path);
	if (fs_mkdirs(path, 0700, err) == -1 || fs_mkdirs(big, 0700, err) == -1)
		return -1;
	if (uid != (uid_t)-1 && (chown(path, uid, gid) == -1 || chown(big, uid, gid) == -1))
		return err_errno(err, "cannot give %s to the queue's account", path);
	return 0;
}

struct spool *
spool_open(const char *path, const struct spool_ops *ops, void *ctx, struct err *err)
{
	struct spool *sp = calloc(1, sizeof(*sp));

	ASSERT(sp != NULL);
	sp->state = SPOOL_REPLAY;
	sp->ops = ops;
	sp->ctx = ctx;
	sp->dirfd = sp->bigfd = sp->lockfd = -1;
	sp->items = idtable_new();
	sp->recent = recent_new();
	sp->segment_max = SEGMENT_MAX;
	sp->floor_bytes = SPOOL_FLOOR_BYTES;
	sp->floor_inodes = SPOOL_FLOOR_INODES;
	buf_init(&sp->urgent.bytes, (size_t)256 << 20);
	buf_init(&sp->lazy.bytes, (size_t)256 << 20);
	/* Somebody who opens a file in the moment we have a lease on it makes the kernel send one. */
	signal(SIGIO, SIG_IGN);
	if ((sp->dirfd = fs_open(path, O_RDONLY | O_DIRECTORY, 0, err)) == -1 ||
	    (sp->bigfd = fs_openat(sp->dirfd, "big", O_RDONLY | O_DIRECTORY, 0, err)) == -1 ||
	    (sp->lockfd = fs_openat(sp->dirfd, "lock", O_RDWR | O_CREAT, 0600, err)) == -1)
		goto fail;
	if (flock(sp->lockfd, LOCK_EX | LOCK_NB) == -1) {
		err_errno(err, "another process uses the spool");
		goto fail;
	}
	if (faccessat(sp->dirfd, SPOOL_ADOPTED, F_OK, 0) == 0) {
		err_set(err, EBUSY, "%s: another node is taking this spool over (%s/" SPOOL_ADOPTED " says which): end `postern "
		    "spool adopt` there first, or begin with an empty folder", path, path);
		goto fail;
	}
	if (spool_replay(sp, err) == -1)
		goto fail;
	spool_to(sp, SPOOL_CLEAN);
	spool_reap(sp);
	return sp;
fail:
	err_wrap(err, "spool %s", path);
	spool_close(&sp);
	return NULL;
}

void
spool_close(struct spool **spp)
{
	struct spool *sp = *spp;

	if (sp == NULL)
		return;
	if (sp->state == SPOOL_DIRTY)
		(void)spool_sync(sp, NULL);
	if (sp->head != NULL)
		spool_end_head(sp);
	spool_to(sp, SPOOL_SHUT);
	for (size_t i = 0; i < sp->nsegments; i++)
		segment_free(&sp->segments[i]);
	free(sp->segments);
	free(sp->urgent.list);
	free(sp->lazy.list);
	buf_release(&sp->urgent.bytes);
	buf_release(&sp->lazy.bytes);
	idtable_free(&sp->items);
	recent_free(&sp->recent);
	spool_dying_end(sp);
	if (sp->dirfd != -1)
		close(sp->dirfd);
	if (sp->bigfd != -1)
		close(sp->bigfd);
	if (sp->lockfd != -1)
		close(sp->lockfd);
	free(sp);
	*spp = NULL;
}
