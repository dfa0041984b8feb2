/* failures.c -- see failures.h. */
#include "store/failures.h"

static uint64_t
hash_of(const struct failures *f, struct span key)
{
	uint64_t h = siphash(f->key, key.p, key.n);

	return h ? h : 1;
}

static uint32_t
left(uint32_t n, int64_t at, int64_t now)
{
	int64_t leaked = now > at ? (now - at) / FAILURES_LEAK_US : 0;

	return leaked >= n ? 0 : n - (uint32_t)leaked;
}

/* A key may lie in any of WAYS slots behind its hash: others that fall there do not hide it. */
#define WAYS 8

/* Its slot; else, for a new one, that of whom least is left. */
static size_t
slot_of(const struct failures *f, uint64_t h, int64_t now)
{
	size_t least = h % FAILURES_SLOTS;

	for (size_t i = 0; i < WAYS; i++) {
		size_t at = (h + i) % FAILURES_SLOTS;
		const struct failures_slot *s = &f->slots[at], *l = &f->slots[least];

		if (s->key == h)
			return at;
		if (left(s->n, s->at, now) < left(l->n, l->at, now))
			least = at;
	}
	return least;
}

uint32_t
failures_count(const struct failures *f, struct span key, int64_t now)
{
	uint64_t h = hash_of(f, key);
	const struct failures_slot *s = &f->slots[slot_of(f, h, now)];

	return s->key == h ? left(s->n, s->at, now) : 0;
}

void
failures_add(struct failures *f, struct span key, uint32_t n, int64_t now)
{
	uint64_t h = hash_of(f, key);
	struct failures_slot *s = &f->slots[slot_of(f, h, now)];

	s->n = (s->key == h ? left(s->n, s->at, now) : 0) + n;
	s->key = h;
	s->at = now;
}

void
failures_forget(struct failures *f, struct span key)
{
	uint64_t h = hash_of(f, key);
	struct failures_slot *s = &f->slots[slot_of(f, h, 0)];

	if (s->key == h)
		s->n = 0;
}
