/* spool_compact.c -- moving the last live records out of a segment.
 *
 * A segment of which less than a quarter is needed is read in steps; what is
 * needed is appended to the head like anything new, and once that is synced
 * the segment has nothing to keep it. Needed are: the MESSAGE of a live item
 * (where it lies now), the latest STATE of each of its positions, and a DONE
 * whose message's segment exists, and the list of paused sites. Acceptance is never held up for longer
 * than one step takes.
 *
 * A segment rests a while after it was the head: most die by themselves.
 */
#include "clock.h"
#include "queue/spool_internal.h"

#define REST (30 * US_PER_SEC)
#define SEGMENTS_MANY 64	/* beyond it small segments are put together too */
#define TOMB_BYTES 48

struct compaction {
	struct spool *sp;
	struct arena *scratch;
	bool damage;
};

static bool
at_is(const struct spool_pos *pos, const struct segment *s, uint64_t offset)
{
	return pos->segment == s->number && pos->offset == offset;
}

static void
copy_state(struct spool *sp, struct spool_item *it, struct spool_pos *pos, struct record r,
    struct span meta)
{
	struct pending *e;

	r.flags = sp->ops->flags(sp->ctx, it);
	e = spool_batch_raw(&sp->urgent, PENDING_STATE_COPY, &r, meta, (struct span){ 0 });
	if (e == NULL)
		return;
	e->item = it;
	e->pos = pos;
	e->from = *pos;
}

/* Replay reads a message before its states: they follow the copy, wherever they lie. */
static void
copy_message(struct compaction *c, struct spool_item *it, const struct record *r, struct span meta,
    struct span data)
{
	struct spool *sp = c->sp;
	struct pending *e = spool_batch_raw(&sp->urgent, PENDING_COPY, r, meta, data);
	struct spool_pos *pos;

	if (e == NULL)
		return;		/* no room: it stays live here, and so does the segment */
	e->item = it;
	e->from = it->at;
	for (size_t i = 0; (pos = sp->ops->position(sp->ctx, it, i)) != NULL; i++) {
		struct segment *s = pos->segment ? spool_segment(sp, pos->segment) : NULL;
		struct record state;
		struct span m;

		arena_reset(c->scratch);
		if (s != NULL && segment_read_meta(s, pos->offset, c->scratch, &state, &m,
		    NULL) == 0)
			copy_state(sp, it, pos, state, m);
	}
}

static void
visit_record(void *ctx, struct segment *s, uint64_t offset, const struct record *r,
    struct span meta, struct span data)
{
	struct compaction *c = ctx;
	struct spool *sp = c->sp;
	struct spool_item *it = idtable_get(sp->items, r->id);
	struct spool_pos *pos;
	struct dec d;
	uint32_t home;

	switch (r->type) {
	case RECORD_MESSAGE:
		if (it != NULL && at_is(&it->at, s, offset))
			copy_message(c, it, r, meta, data);
		break;
	case RECORD_STATE:
		/* That of a message lying here too went with it. */
		for (size_t i = 0; it != NULL && it->at.segment != s->number &&
		    (pos = sp->ops->position(sp->ctx, it, i)) != NULL; i++)
			if (at_is(pos, s, offset))
				copy_state(sp, it, pos, *r, meta);
		break;
	case RECORD_DONE:
		dec_init(&d, meta);
		home = dec_u32(&d);
		if (home != s->number && spool_segment(sp, home) != NULL)
			spool_batch_tomb(sp, &sp->urgent, r->id, home);
		break;
	case RECORD_SITES:
		if (at_is(&sp->sites_at, s, offset))
			(void)spool_batch_raw(&sp->urgent, PENDING_SITES, r, meta, data);
		break;
	default:
		break;
	}
}

static void
visit_damage(void *ctx, struct segment *s, const struct segment_damage *d)
{
	struct compaction *c = ctx;

	c->damage = true;
	s->damaged = true;
	c->sp->stats.damaged++;
	spool_report(c->sp, LOG_LVL_ERROR, d->id, "spool damage: segment %u at %llu, %llu bytes, "
	    "record %s: %s", s->number, (unsigned long long)d->offset,
	    (unsigned long long)d->size, record_type_name(d->type), d->what);
}

static struct segment *
choose(const struct spool *sp)
{
	int64_t now = clock_mono();

	for (size_t i = 0; i < sp->nsegments; i++) {
		struct segment *s = sp->segments[i];
		uint64_t need = s->live;

		if (s == sp->head || s->damaged || (s->nlive == 0 && s->ndeps == 0) ||
		    (s->left != 0 && now - s->left < REST))
			continue;
		for (size_t k = 0; k < s->ndeps; k++)
			need += (uint64_t)s->deps[k].n * TOMB_BYTES;
		if (need * 4 < s->size || (sp->nsegments > SEGMENTS_MANY &&
		    need * 4 < sp->segment_max))
			return s;
	}
	return NULL;
}

bool
spool_compact(struct spool *sp, size_t budget)
{
	struct compaction c = { .sp = sp };
	struct segment_visitor v = { visit_record, visit_damage, &c };
	struct segment *s;
	uint64_t next;

	if (sp->urgent.n > 0)
		return true;
	/* A DONE names the segment of its message: none may wait while messages move. */
	if (sp->lazy.n > 0 && spool_sync(sp, NULL) == -1)
		return false;
	s = sp->compact.segment ? spool_segment(sp, sp->compact.segment) : NULL;
	if (s == NULL) {
		if ((s = choose(sp)) == NULL)
			return false;
		sp->compact.segment = s->number;
		sp->compact.next = 0;
	}
	c.scratch = arena_new(0);
	next = segment_scan(s, sp->compact.next, budget, &v, NULL);
	arena_free(&c.scratch);
	if (sp->urgent.n > 0) {
		spool_wake(sp);
		if (spool_sync(sp, NULL) == -1)
			return false;
	}
	/* The sync may have removed the segment already. */
	if (sp->compact.segment == 0 || (s = spool_segment(sp, sp->compact.segment)) == NULL) {
		sp->compact.segment = 0;
		return true;
	}
	sp->compact.next = next;
	if (next != 0)
		return true;
	sp->compact.segment = 0;
	if (c.damage || s->nlive > 0) {
		s->damaged = true;	/* something needed could not be read: never again */
		return false;
	}
	while (s->ndeps > 0)
		segment_dep_gone(s, s->deps[0].segment);
	sp->reap = true;
	spool_reap(sp);
	return true;
}
