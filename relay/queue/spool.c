/* spool.c -- group commit and the life of a message on the disk.
 *
 * The spool's states (SPOOL_STATES) and what leads from one to another:
 *
 *   from      to        when
 *   replay    clean     every segment has been read
 *   clean     dirty     a record was buffered
 *   dirty     writing   spool_sync(): there is a head segment (made when there was none)
 *   writing   syncing   all bytes were taken by the kernel
 *   syncing   clean     fdatasync succeeded: items move on, see below
 *   dirty     refusing  no head segment could be made
 *   writing   refusing  short write, ENOSPC, EIO
 *   syncing   refusing  fdatasync failed: what is on the disk is unknown
 *   refusing  clean     messages of the batch were forgotten, nothing else waits
 *   refusing  dirty     … but STATE and DONE wait for the next batch
 *   any of replay, clean, dirty -> shut
 *
 * An item is PENDING from append to sync, then LIVE (or nothing again), then
 * FINISHING until its DONE is durable, then gone.
 *
 * After any failure the segment is cut back to its last synced byte and never
 * appended to again: after a failed fdatasync the kernel may call pages clean
 * that never reached the disk. Should the cut not hold, the refused messages
 * have a DONE in the next segment, so that a later replay does not send what
 * its client was told to send again. A DONE names the segment of its message
 * and ends only the message that lies there: one refused, sent again under
 * the same id and accepted is another.
 *
 * A segment is removed once no record in it is needed. A DONE is needed as
 * long as the segment with its message exists; segment.deps counts those.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "clock.h"
#include "fs.h"
#include "id.h"
#include "queue/crc32c.h"
#include "queue/spool_internal.h"

static const char *const state_names[SPOOL_STATE_COUNT] = {
#define X(name, text, phrase) text,
	SPOOL_STATES(X)
#undef X
};

void
spool_to(struct spool *sp, enum spool_state to)
{
	static const unsigned may[SPOOL_STATE_COUNT] = {
		[SPOOL_REPLAY] = 1u << SPOOL_CLEAN | 1u << SPOOL_SHUT,
		[SPOOL_CLEAN] = 1u << SPOOL_DIRTY | 1u << SPOOL_SHUT,
		[SPOOL_DIRTY] = 1u << SPOOL_WRITING | 1u << SPOOL_REFUSING | 1u << SPOOL_SHUT,
		[SPOOL_WRITING] = 1u << SPOOL_SYNCING | 1u << SPOOL_REFUSING,
		[SPOOL_SYNCING] = 1u << SPOOL_CLEAN | 1u << SPOOL_REFUSING,
		[SPOOL_REFUSING] = 1u << SPOOL_CLEAN | 1u << SPOOL_DIRTY,
	};

	if (!(may[sp->state] & 1u << to)) {
		log_error("spool: no way from %s to %s", state_names[sp->state], state_names[to]);
		ASSERT(!"spool state");
	}
	sp->state = to;
}

void
spool_wake(struct spool *sp)
{
	if (sp->state == SPOOL_CLEAN)
		spool_to(sp, SPOOL_DIRTY);
	ASSERT(sp->state == SPOOL_DIRTY || sp->state == SPOOL_REFUSING ||
	    sp->state == SPOOL_WRITING);
}

bool
spool_dirty(const struct spool *sp)
{
	return sp->state == SPOOL_DIRTY;
}

size_t
spool_batched(const struct spool *sp)
{
	return buf_size(&sp->urgent.bytes);
}

/* ---- building a batch ---- */

static struct pending *
batch_entry(struct batch *b)
{
	if (b->n == b->cap) {
		b->cap = b->cap ? b->cap * 2 : 64;
		b->list = realloc(b->list, b->cap * sizeof(*b->list));
		ASSERT(b->list != NULL);
	}
	b->list[b->n] = (struct pending){ 0 };
	return &b->list[b->n++];
}

/* A record is begun (room for its head), filled with meta, then data, and ended. */
static size_t
batch_begin(struct batch *b)
{
	static const char zeros[RECORD_HEAD];
	size_t at = buf_size(&b->bytes);

	buf_put(&b->bytes, zeros, sizeof(zeros));
	return at;
}

static void
batch_undo(struct batch *b, size_t at)
{
	b->bytes.n = at;
	b->bytes.failed = false;
}

static struct pending *
batch_end(struct batch *b, enum pending_kind kind, size_t at, size_t meta_end, struct record r)
{
	static const char zeros[8];
	size_t end = buf_size(&b->bytes), pad = -end & 7;
	const char *p;
	struct pending *e;

	buf_put(&b->bytes, zeros, pad);
	if (buf_failed(&b->bytes)) {
		batch_undo(b, at);
		return NULL;
	}
	p = buf_data(&b->bytes).p;
	r.meta_size = (uint32_t)(meta_end - at - RECORD_HEAD);
	r.data_size = (uint32_t)(end - meta_end);
	ASSERT(r.meta_size <= RECORD_META_MAX && r.data_size <= RECORD_DATA_MAX);
	r.meta_crc = crc32c(0, p + at + RECORD_HEAD, r.meta_size);
	r.data_crc = crc32c(0, p + meta_end, r.data_size);
	e = batch_entry(b);
	e->kind = kind;
	e->at = (uint32_t)at;
	e->rec = r;
	return e;
}

struct pending *
spool_batch_raw(struct batch *b, enum pending_kind kind, const struct record *r, struct span meta,
    struct span data)
{
	size_t at = batch_begin(b), meta_end;

	buf_span(&b->bytes, meta);
	meta_end = buf_size(&b->bytes);
	buf_span(&b->bytes, data);
	return batch_end(b, kind, at, meta_end, *r);
}

static struct pending *
put_number(struct batch *b, enum pending_kind kind, enum record_type type, uint64_t id, uint32_t v)
{
	struct enc e = { &b->bytes };
	size_t at = batch_begin(b);

	enc_u32(&e, v);
	return batch_end(b, kind, at, buf_size(&b->bytes), (struct record){ .type = type, .id = id });
}

void
spool_batch_tomb(struct spool *sp, struct batch *b, uint64_t id, uint32_t home)
{
	struct pending *e = put_number(b, PENDING_TOMB, RECORD_DONE, id, home);

	if (e != NULL)
		e->home = home;
}

/* ---- messages come ---- */

const char *
spool_big_name(uint64_t id, char out[64])
{
	char text[ID_SIZE];

	snprintf(out, 64, "%s", id_format(id, text));
	return out;
}

static int
big_write(struct spool *sp, uint64_t id, struct payload *payload, uint32_t *crc, struct err *err)
{
	char name[64];
	uint64_t at = 0;
	int fd;

	*crc = 0;
	spool_big_name(id, name);
	fd = fs_openat(sp->bigfd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600, err);
	if (fd == -1)
		return -1;
	for (size_t i = 0; i < payload->npieces; i++) {
		struct span s = payload_piece(payload, i);

		*crc = crc32c(*crc, s.p, s.n);
		if (fs_pwrite_all(fd, s.p, s.n, (off_t)at, err) == -1)
			goto fail;
		at += s.n;
	}
	ASSERT(at == payload->size);
	if (fs_fsync(fd, err) == -1 || fs_fsync(sp->bigfd, err) == -1)
		goto fail;
	close(fd);
	return 0;
fail:
	close(fd);
	(void)fs_unlinkat(sp->bigfd, name, NULL);
	return -1;
}

/* Asked once for each batch; what the batch takes is subtracted as it grows. */
static int
room_for(struct spool *sp, uint64_t bytes, struct err *err)
{
	if (sp->urgent.n == 0) {
		uint64_t inodes;

		if (fs_free(sp->dirfd, &sp->free_bytes, &inodes, err) == -1)
			return -1;
		sp->stats.free_bytes = sp->free_bytes;
		if (inodes < sp->floor_inodes)
			return err_set(err, ENOSPC, "%llu inodes left for the spool",
			    (unsigned long long)inodes);
	}
	if (sp->nspares > 0 && (sp->free_bytes < bytes ||
	    sp->free_bytes - bytes < sp->floor_bytes)) {
		spool_spares_drop(sp);
		if (fs_free(sp->dirfd, &sp->free_bytes, &(uint64_t){ 0 }, err) == -1)
			return -1;
	}
	if (sp->free_bytes < bytes || sp->free_bytes - bytes < sp->floor_bytes)
		return err_set(err, ENOSPC, "%llu bytes left for the spool, %llu are kept free",
		    (unsigned long long)sp->free_bytes, (unsigned long long)sp->floor_bytes);
	sp->free_bytes -= bytes;
	return 0;
}

int
spool_append(struct spool *sp, struct spool_item *it, struct stored *m, struct span json,
    struct payload *payload, struct err *err)
{
	struct batch *b = &sp->urgent;
	bool big = payload->size > SPOOL_INLINE_MAX;
	struct record r = { .type = RECORD_MESSAGE, .id = m->env.id, .flags = big ? RECORD_BIG : 0 };
	size_t at, meta_end;
	struct pending *e;
	char name[64];

	ASSERT(it->state == ITEM_NONE && idtable_get(sp->items, m->env.id) == NULL);
	if (json.n > RECORD_MAX)
		json.n = 0;
	if (room_for(sp, payload->size + json.n + 4096, err) == -1 ||
	    payload_map(payload, err) == -1)
		return -1;
	m->json_size = (uint32_t)json.n;
	m->size = payload->size;
	m->big_crc = 0;
	if (big && big_write(sp, m->env.id, payload, &m->big_crc, err) == -1) {
		payload_unmap(payload);
		return err_wrap(err, "storing a large message");
	}
	at = batch_begin(b);
	stored_encode(&b->bytes, m);
	meta_end = buf_size(&b->bytes);
	buf_span(&b->bytes, json);
	for (size_t i = 0; !big && i < payload->npieces; i++)
		buf_span(&b->bytes, payload_piece(payload, i));
	payload_unmap(payload);
	if (meta_end - at - RECORD_HEAD > RECORD_META_MAX ||
	    (e = batch_end(b, PENDING_MESSAGE, at, meta_end, r)) == NULL) {
		batch_undo(b, at);
		if (big)
			(void)fs_unlinkat(sp->bigfd, spool_big_name(m->env.id, name), NULL);
		return err_set(err, ENOBUFS, "the batch has no room for it");
	}
	*it = (struct spool_item){ .id = m->env.id, .state = ITEM_PENDING, .big = big };
	e->item = it;
	idtable_put(sp->items, it->id, it);
	spool_wake(sp);
	return 0;
}

void
spool_state(struct spool *sp, struct spool_item *it, struct spool_pos *pos, uint8_t flags,
    const struct state *st)
{
	size_t at = batch_begin(&sp->lazy);
	struct pending *e;

	ASSERT(it->state == ITEM_LIVE);
	state_encode(&sp->lazy.bytes, st);
	e = batch_end(&sp->lazy, PENDING_STATE, at, buf_size(&sp->lazy.bytes),
	    (struct record){ .type = RECORD_STATE, .id = it->id, .flags = flags });
	/* 256 MiB of states wait for a broken disk: losing one more costs a
	 * repeated attempt after a crash, not a message. */
	if (e == NULL)
		return;
	e->item = it;
	e->pos = pos;
	spool_wake(sp);
}

void
spool_finish(struct spool *sp, struct spool_item *it)
{
	struct pending *e;

	ASSERT(it->state == ITEM_LIVE);
	it->state = ITEM_FINISHING;
	e = put_number(&sp->lazy, PENDING_DONE, RECORD_DONE, it->id, it->at.segment);
	if (e == NULL)
		return;
	e->item = it;
	e->home = it->at.segment;
	spool_wake(sp);
}

void
spool_paused(struct spool *sp, const struct span *sites, size_t n)
{
	struct enc e = { &sp->lazy.bytes };
	size_t at = batch_begin(&sp->lazy);

	enc_u32(&e, (uint32_t)n);
	for (size_t i = 0; i < n; i++)
		enc_span(&e, sites[i]);
	if (batch_end(&sp->lazy, PENDING_SITES, at, buf_size(&sp->lazy.bytes),
	    (struct record){ .type = RECORD_SITES }) != NULL)
		spool_wake(sp);
}

/* ---- the batch goes to the disk ---- */

static void
seal(struct segment *s, struct batch *b)
{
	char *p = b->bytes.p;

	for (size_t i = 0; i < b->n; i++)
		record_head_write(p + b->list[i].at, s->salt, &b->list[i].rec);
}

/* Ends the head in good order; that it does not get through changes nothing. */
void
spool_end_head(struct spool *sp)
{
	struct segment *s = sp->head;
	char rec[RECORD_HEAD];

	record_head_write(rec, s->salt, &(struct record){ .type = RECORD_END });
	if (fs_pwrite_all(s->wfd, rec, sizeof(rec), (off_t)s->size, NULL) == 0 &&
	    fs_fdatasync(s->wfd, NULL) == 0) {
		s->size += sizeof(rec);
		s->ended = true;
	} else
		(void)fs_truncate(s->wfd, (off_t)s->size, NULL);
	segment_close_writer(s);
	s->left = clock_mono();
	sp->head = NULL;
	sp->reap = true;
}

static int
head_make(struct spool *sp, struct err *err)
{
	struct segment *s = spool_spare_take(sp, sp->last_number + 1);

	if (s == NULL)
		s = segment_create(sp->dirfd, sp->last_number + 1, err);
	/* A name that could not be removed after a failure is not tried again. */
	sp->last_number++;
	if (s == NULL)
		return -1;
	spool_segment_add(sp, s);
	sp->head = s;
	sp->ops->segment_new(sp->ctx, s->number, s->fd);
	return 0;
}

static void
dep_needed(struct spool *sp, uint32_t home)
{
	if (home != sp->head->number && spool_segment(sp, home) != NULL)
		segment_dep_add(sp->head, home);
}

static void
finished(struct spool *sp, struct spool_item *it)
{
	struct spool_pos *pos;
	char name[64];

	for (size_t i = 0; (pos = sp->ops->position(sp->ctx, it, i)) != NULL; i++)
		spool_pos_set(sp, pos, (struct spool_pos){ 0 });
	spool_pos_set(sp, &it->at, (struct spool_pos){ 0 });
	idtable_remove(sp->items, it->id);
	if (it->big && fs_unlinkat(sp->bigfd, spool_big_name(it->id, name), NULL) == -1)
		spool_report(sp, LOG_LVL_WARN, it->id, "big/%s could not be removed", name);
	it->state = ITEM_NONE;
	sp->ops->gone(sp->ctx, it);
}

static void
commit(struct spool *sp, struct batch *b, uint64_t base)
{
	for (size_t i = 0; i < b->n; i++) {
		struct pending *e = &b->list[i];
		struct spool_pos to = { sp->head->number, (uint32_t)(base + e->at),
			(uint32_t)record_bytes(&e->rec) };

		switch (e->kind) {
		case PENDING_MESSAGE:
			ASSERT(e->item->state == ITEM_PENDING);
			e->item->state = ITEM_LIVE;
			spool_pos_set(sp, &e->item->at, to);
			recent_put(sp->recent, to, span_make(buf_data(&b->bytes).p + e->at + RECORD_HEAD,
			    e->rec.meta_size));
			break;
		case PENDING_COPY:
			ASSERT(e->item->at.segment == e->from.segment);
			spool_pos_set(sp, &e->item->at, to);
			sp->stats.compacted += to.bytes;
			break;
		case PENDING_STATE_COPY:
			/* A newer state of the same targets comes later in this very batch. */
			if (e->pos->segment == e->from.segment && e->pos->offset == e->from.offset)
				spool_pos_set(sp, e->pos, to);
			break;
		case PENDING_STATE:
			spool_pos_set(sp, e->pos, to);
			break;
		case PENDING_DONE:
			ASSERT(e->item->state == ITEM_FINISHING);
			dep_needed(sp, e->item->at.segment);
			finished(sp, e->item);
			break;
		case PENDING_TOMB:
			dep_needed(sp, e->home);
			break;
		case PENDING_SITES:
			spool_pos_set(sp, &sp->sites_at, to);
			break;
		}
	}
	b->n = 0;
	buf_reset(&b->bytes);
	if (b->bytes.cap > ((size_t)4 << 20))
		buf_shrink(&b->bytes);
}

/* The batch failed: its messages are refused, copies and what else can be
 * done again is forgotten, the head is left behind. */
static void
refuse(struct spool *sp)
{
	struct segment *s = sp->head;

	if (s != NULL) {
		if (fs_truncate(s->wfd, (off_t)s->size, NULL) == -1 ||
		    fs_fdatasync(s->wfd, NULL) == -1)
			spool_report(sp, LOG_LVL_WARN, 0, "segment %u could not be cut back to "
			    "%llu bytes", s->number, (unsigned long long)s->size);
		segment_close_writer(s);
		s->left = clock_mono();
		sp->head = NULL;
		sp->reap = true;
	}
	for (size_t i = 0; i < sp->urgent.n; i++) {
		struct pending *e = &sp->urgent.list[i];
		char name[64];

		if (e->kind != PENDING_MESSAGE)
			continue;
		idtable_remove(sp->items, e->item->id);
		if (e->item->big)
			(void)fs_unlinkat(sp->bigfd, spool_big_name(e->item->id, name), NULL);
		if (s != NULL)
			spool_batch_tomb(sp, &sp->lazy, e->item->id, s->number);
		e->item->state = ITEM_NONE;
	}
	sp->urgent.n = 0;
	buf_reset(&sp->urgent.bytes);
	sp->compact.segment = 0;
	sp->stats.failures++;
}

/* Messages stand first: a notice never comes after the record that says its failure is dealt
 * with. Behind both, in a reused file, the TAIL. */
static int
batch_write(struct spool *sp, struct err *err)
{
	struct segment *s = sp->head;
	struct buf *u = &sp->urgent.bytes, *l = &sp->lazy.bytes;
	size_t nu = buf_size(u), nl = buf_size(l), ntail = s->space > 0 ? RECORD_HEAD : 0;
	char tail[RECORD_HEAD];

	record_head_write(tail, s->salt, &(struct record){ .type = RECORD_TAIL });
	/* One write, when there is something that will be answered. */
	if (nu > 0 && buf_span(u, buf_data(l)) == 0 && buf_put(u, tail, ntail) == 0)
		return fs_pwrite_all(s->wfd, u->p, buf_size(u), (off_t)s->size, err);
	if (fs_pwrite_all(s->wfd, u->p, nu, (off_t)s->size, err) == -1 ||
	    fs_pwrite_all(s->wfd, l->p, nl, (off_t)(s->size + nu), err) == -1)
		return -1;
	return fs_pwrite_all(s->wfd, tail, ntail, (off_t)(s->size + nu + nl), err);
}

int
spool_sync(struct spool *sp, struct err *err)
{
	size_t bytes;
	uint64_t base;

	if (sp->state == SPOOL_CLEAN)
		return 0;
	ASSERT(sp->state == SPOOL_DIRTY);
	bytes = buf_size(&sp->urgent.bytes) + buf_size(&sp->lazy.bytes);
	if (sp->head != NULL && sp->head->size + bytes > sp->segment_max &&
	    sp->head->size > SEGMENT_HEAD)
		spool_end_head(sp);
	if (sp->head == NULL && head_make(sp, err) == -1)
		goto fail;
	spool_to(sp, SPOOL_WRITING);
	seal(sp->head, &sp->urgent);
	seal(sp->head, &sp->lazy);
	base = sp->head->size;
	bytes = buf_size(&sp->urgent.bytes);
	if (batch_write(sp, err) == -1)
		goto fail;
	spool_to(sp, SPOOL_SYNCING);
	if (fs_fdatasync(sp->head->wfd, err) == -1)
		goto fail;
	sp->head->size = base + bytes + buf_size(&sp->lazy.bytes);
	sp->stats.syncs++;
	commit(sp, &sp->urgent, base);
	commit(sp, &sp->lazy, base + bytes);
	spool_to(sp, SPOOL_CLEAN);
	spool_reap(sp);
	return 0;
fail:
	spool_to(sp, SPOOL_REFUSING);
	refuse(sp);
	spool_to(sp, sp->lazy.n > 0 ? SPOOL_DIRTY : SPOOL_CLEAN);
	return -1;
}
