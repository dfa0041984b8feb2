/* recent.c -- metas of the messages that came last, so that most are not read from the disk at all; see recent.h.
 *
 * A message that goes out at once is planned three times within a few milliseconds: when it is durable, when it is handed to a
 * delivery, when its result comes. Its meta is known by its place in the spool, which no
 * other record ever has (numbers of segments only rise), so nothing has to be taken out: what is gone or
 * was moved is never asked for again, and is overwritten in its time.
 *
 * The bytes lie in a ring; a slot says where. An entry has been overwritten once the ring has gone on by
 * more than its length since.
 */
#include <stdlib.h>

#include "postern/err.h"
#include "queue/recent.h"

#define RING_BYTES ((size_t)512 << 10)
#define META_MAX (RING_BYTES / 64)	/* one with thousands of recipients would push out all others */
#define SLOTS_LOG2 10

struct recent {
	uint64_t end;		/* bytes ever put: the ring's end stands at end % RING_BYTES */
	struct slot {
		uint32_t segment, offset;	/* segment 0: empty */
		uint64_t from;			/* as `end` was */
		uint32_t n;
	} slots[1u << SLOTS_LOG2];
	char ring[RING_BYTES];
};

struct recent *
recent_new(void)
{
	struct recent *r = calloc(1, sizeof(*r));

	ASSERT(r != NULL);
	return r;
}

void
recent_free(struct recent **r)
{
	free(*r);
	*r = NULL;
}

static size_t
slot_of(struct spool_pos at)
{
	uint64_t h = ((uint64_t)at.segment << 32 | at.offset) * UINT64_C(0x9e3779b97f4a7c15);

	return (size_t)(h >> (64 - SLOTS_LOG2));
}

void
recent_put(struct recent *r, struct spool_pos at, struct span meta)
{
	size_t pos = r->end % RING_BYTES;

	if (meta.n > META_MAX)
		return;
	/* Never around the corner. */
	if (meta.n > RING_BYTES - pos) {
		r->end += RING_BYTES - pos;
		pos = 0;
	}
	memcpy(r->ring + pos, meta.p, meta.n);
	r->slots[slot_of(at)] = (struct slot){ at.segment, at.offset, r->end, (uint32_t)meta.n };
	r->end += meta.n;
}

bool
recent_get(const struct recent *r, struct spool_pos at, struct span *meta)
{
	const struct slot *s = &r->slots[slot_of(at)];

	if (s->segment != at.segment || s->offset != at.offset || at.segment == 0 ||
	    r->end - s->from > RING_BYTES)
		return false;
	*meta = span_make(r->ring + s->from % RING_BYTES, s->n);
	return true;
}
