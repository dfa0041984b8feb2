/* spool_segments.c -- the segments of a spool: which there are, what is still
 * needed in them, reading from them, removing them (their files: spool_spares.c).
 *
 * Dead segments are removed from the oldest on, and a segment that holds the
 * DONE of a message is removed only after the removal of the message's own
 * segment is durable. A segment in which damage was found is renamed to
 * seg-N.damaged instead: somebody may want to look.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <unistd.h>

#include "fs.h"
#include "queue/crc32c.h"
#include "queue/spool_internal.h"

void
spool_report(struct spool *sp, enum log_level level, uint64_t id, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	sp->ops->report(sp->ctx, level, id, text);
}

struct segment *
spool_segment(const struct spool *sp, uint32_t number)
{
	size_t lo = 0, hi = sp->nsegments;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (sp->segments[mid]->number == number)
			return sp->segments[mid];
		if (sp->segments[mid]->number < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

void
spool_segment_add(struct spool *sp, struct segment *s)
{
	sp->segments = realloc(sp->segments, (sp->nsegments + 1) * sizeof(*sp->segments));
	ASSERT(sp->segments != NULL);
	sp->segments[sp->nsegments++] = s;
	if (s->number > sp->last_number)
		sp->last_number = s->number;
}

/* The only way a position changes: what is live in each segment follows from it. */
void
spool_pos_set(struct spool *sp, struct spool_pos *pos, struct spool_pos to)
{
	struct segment *s;

	if (pos->segment != 0) {
		s = spool_segment(sp, pos->segment);
		ASSERT(s != NULL && s->nlive > 0 && s->live >= pos->bytes);
		s->live -= pos->bytes;
		if (--s->nlive == 0)
			sp->reap = true;
	}
	if (to.segment != 0) {
		s = spool_segment(sp, to.segment);
		ASSERT(s != NULL);
		s->live += to.bytes;
		s->nlive++;
	}
	*pos = to;
}

/* ---- removal ---- */

static int
segment_remove(struct spool *sp, struct segment *s, bool *spare, struct err *err)
{
	char name[SEGMENT_NAME_MAX], kept[SEGMENT_NAME_MAX + 16];

	*spare = false;
	segment_name(s->number, name);
	if (!s->damaged)
		return spool_dispose(sp, s, spare, err);
	snprintf(kept, sizeof(kept), "%s.damaged", name);
	spool_report(sp, LOG_LVL_WARN, 0, "segment %u is not needed any more; because of its "
	    "damage it is kept as %s", s->number, kept);
	return fs_renameat(sp->dirfd, name, kept, err);
}

/* One round: whatever may go now goes, oldest first. false: nothing went. */
static bool
reap_round(struct spool *sp)
{
	struct segment *gone[64];
	bool spare[64];
	size_t ngone = 0, keep = 0;
	struct err err;

	for (size_t i = 0; i < sp->nsegments; i++) {
		struct segment *s = sp->segments[i];

		if (s != sp->head && s->nlive == 0 && s->ndeps == 0 && s->pins == 0 &&
		    ngone < sizeof(gone) / sizeof(gone[0]) && !sp->refusing_unlink) {
			if (segment_remove(sp, s, &spare[ngone], &err) == 0) {
				gone[ngone++] = s;
				continue;
			}
			spool_report(sp, LOG_LVL_ERROR, 0, "segment %u stays: %s", s->number,
			    err.text);
			sp->refusing_unlink = true;
		}
		sp->segments[keep++] = s;
	}
	sp->nsegments = keep;
	if (ngone == 0)
		return false;
	if (fs_fsync(sp->dirfd, &err) == -1) {
		spool_report(sp, LOG_LVL_ERROR, 0, "removing segments: %s", err.text);
		sp->refusing_unlink = true;
	}
	for (size_t i = 0; i < ngone; i++) {
		/* Not known to be durable: those that depend on it stay for this run. */
		for (size_t k = 0; k < sp->nsegments && !sp->refusing_unlink; k++)
			segment_dep_gone(sp->segments[k], gone[i]->number);
		if (sp->compact.segment == gone[i]->number)
			sp->compact.segment = 0;
		if (spare[i] && !sp->refusing_unlink)
			spool_spare_add(sp, gone[i]->number);
		sp->ops->segment_gone(sp->ctx, gone[i]->number);
		segment_free(&gone[i]);
	}
	return !sp->refusing_unlink;
}

void
spool_reap(struct spool *sp)
{
	if (!sp->reap)
		return;
	sp->reap = false;
	while (reap_round(sp))
		;
}

/* ---- reading ---- */

struct spool_item *
spool_find(const struct spool *sp, uint64_t id)
{
	return idtable_get(sp->items, id);
}

struct spool_item *
spool_next(const struct spool *sp, size_t *at)
{
	uint64_t id;
	void *it;

	return idtable_next(sp->items, at, &id, &it) ? it : NULL;
}

bool
spool_next_id(const struct spool *sp, size_t *at, uint64_t *id)
{
	return idtable_next(sp->items, at, id, NULL);
}

unsigned
spool_moves(const struct spool *sp)
{
	return idtable_moves(sp->items);
}

static int
read_record(const struct spool *sp, const struct spool_pos *pos, enum record_type type,
    struct arena *a, struct record *r, struct span *meta, struct err *err)
{
	struct segment *s = spool_segment(sp, pos->segment);

	if (s == NULL)
		return err_set(err, ENOENT, "segment %u is not there", pos->segment);
	if (segment_read_meta(s, pos->offset, a, r, meta, err) == -1)
		return -1;
	if (r->type != type)
		return err_set(err, EBADMSG, "segment %u has another record at %u", s->number,
		    pos->offset);
	return 0;
}

int
spool_read(const struct spool *sp, const struct spool_item *it, struct arena *a, struct stored *m,
    struct err *err)
{
	struct record r = { .id = it->id };
	struct span meta;

	if (recent_get(sp->recent, it->at, &meta))
		meta = arena_span(a, meta);
	else if (read_record(sp, &it->at, RECORD_MESSAGE, a, &r, &meta, err) == -1)
		return -1;
	if (r.id != it->id || stored_decode(meta, a, m) == -1)
		return err_set(err, EBADMSG, "the record of a message cannot be read");
	m->env.id = it->id;
	m->meta_size = (uint32_t)meta.n;
	return 0;
}

int
spool_read_state(const struct spool *sp, const struct spool_pos *pos, struct arena *a,
    struct state *st, struct err *err)
{
	struct record r;
	struct span meta;

	if (read_record(sp, pos, RECORD_STATE, a, &r, &meta, err) == -1)
		return -1;
	if (state_decode(meta, a, st) == -1)
		return err_set(err, EBADMSG, "the record of a state cannot be read");
	return 0;
}

int
spool_read_json(const struct spool *sp, const struct spool_item *it, const struct stored *m,
    struct arena *a, struct span *json, struct err *err)
{
	struct segment *s = spool_segment(sp, it->at.segment);
	char *p;

	ASSERT(s != NULL);
	p = arena_alloc(a, m->json_size);
	if (segment_pread(s, it->at.offset + RECORD_HEAD + (uint64_t)m->meta_size, p, m->json_size,
	    err) == -1)
		return -1;
	*json = span_make(p, m->json_size);
	return 0;
}

int
spool_read_head(const struct spool *sp, const struct spool_item *it, const struct stored *m,
    size_t n, struct arena *a, struct span *head, struct err *err)
{
	struct segment *s = spool_segment(sp, it->at.segment);
	char name[64], *p;
	int fd, r;

	ASSERT(s != NULL);
	if (n > m->size)
		n = m->size;
	p = arena_alloc(a, n);
	if (it->big) {
		struct segment file = { .number = it->at.segment };

		fd = fs_openat(sp->bigfd, spool_big_name(it->id, name), O_RDONLY, 0, err);
		if (fd == -1)
			return -1;
		file.fd = fd;
		r = segment_pread(&file, 0, p, n, err);
		close(fd);
	} else
		r = segment_pread(s, it->at.offset + RECORD_HEAD + (uint64_t)m->meta_size +
		    m->json_size, p, n, err);
	if (r == 0)
		*head = span_make(p, n);
	return r;
}

int
spool_pin(struct spool *sp, const struct spool_item *it, const struct stored *m,
    struct spool_ref *ref, int *fd, struct err *err)
{
	struct segment *s = spool_segment(sp, it->at.segment);
	char name[64];

	ASSERT(s != NULL);
	if (it->big) {
		*fd = fs_openat(sp->bigfd, spool_big_name(it->id, name), O_RDONLY, 0, err);
		if (*fd == -1)
			return -1;
		*ref = (struct spool_ref){ 0, 0, m->size };
		return 0;
	}
	*fd = -1;
	s->pins++;
	*ref = (struct spool_ref){ s->number, it->at.offset + RECORD_HEAD +
		(uint64_t)m->meta_size + m->json_size, m->size };
	return 0;
}

void
spool_unpin(struct spool *sp, uint32_t segment)
{
	struct segment *s;

	if (segment == 0)
		return;
	s = spool_segment(sp, segment);
	ASSERT(s != NULL && s->pins > 0);
	if (--s->pins == 0 && s->nlive == 0)
		sp->reap = true;
}

void
spool_each_segment(const struct spool *sp, void (*fn)(void *ctx, uint32_t number, int fd),
    void *ctx)
{
	for (size_t i = 0; i < sp->nsegments; i++)
		fn(ctx, sp->segments[i]->number, sp->segments[i]->fd);
}

/* ---- figures and invariants ---- */

void
spool_set_floor(struct spool *sp, uint64_t bytes, uint64_t inodes)
{
	sp->floor_bytes = bytes;
	sp->floor_inodes = inodes;
}

void
spool_set_reuse(struct spool *sp, bool reuse)
{
	sp->no_reuse = !reuse;
}

void
spool_set_segment_max(struct spool *sp, uint64_t bytes)
{
	sp->segment_max = bytes;
}

int
spool_space(const struct spool *sp, uint64_t *bytes, uint64_t *inodes)
{
	return fs_free(sp->dirfd, bytes, inodes, NULL);
}

void
spool_stats(const struct spool *sp, struct spool_stats *st)
{
	*st = sp->stats;
	st->messages = idtable_count(sp->items);
	st->segments = sp->nsegments;
	st->spares = sp->nspares;
	st->dying = sp->ndying;
	st->bytes = st->live_bytes = 0;
	for (size_t i = 0; i < sp->nsegments; i++) {
		st->bytes += sp->segments[i]->size;
		st->live_bytes += sp->segments[i]->live;
	}
}

void
spool_check(const struct spool *sp)
{
	uint64_t live = 0, counted = sp->sites_at.segment != 0;
	struct spool_item *it;
	size_t at = 0;

	for (size_t i = 0; i < sp->nsegments; i++) {
		const struct segment *s = sp->segments[i];

		ASSERT(i == 0 || sp->segments[i - 1]->number < s->number);
		ASSERT(s->live <= s->size && s->number <= sp->last_number);
		ASSERT((s->wfd != -1) == (s == sp->head));
		for (size_t k = 0; k < s->ndeps; k++)
			ASSERT(s->deps[k].segment < s->number && s->deps[k].n > 0);
		live += s->nlive;
	}
	while ((it = spool_next(sp, &at)) != NULL) {
		struct spool_pos *pos;

		ASSERT(it->state != ITEM_NONE);
		ASSERT((it->at.segment != 0) == (it->state != ITEM_PENDING));
		counted += it->at.segment != 0;
		for (size_t i = 0; (pos = sp->ops->position(sp->ctx, it, i)) != NULL; i++)
			counted += pos->segment != 0;
	}
	ASSERT(live == counted);
	ASSERT(sp->state != SPOOL_CLEAN || (sp->urgent.n == 0 && sp->lazy.n == 0));
	ASSERT(sp->state != SPOOL_DIRTY || sp->urgent.n > 0 || sp->lazy.n > 0);
}
