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

uint32_t
failures_count(const struct failures *f, struct span key, int64_t now)
{
	uint64_t h = hash_of(f, key);
	size_t i = h % FAILURES_SLOTS;

	return f->slots[i].key == h ? left(f->slots[i].n, f->slots[i].at, now) : 0;
}

void
failures_add(struct failures *f, struct span key, uint32_t n, int64_t now)
{
	uint64_t h = hash_of(f, key);
	size_t i = h % FAILURES_SLOTS;
	uint32_t was = left(f->slots[i].n, f->slots[i].at, now);

	if (f->slots[i].key != h && was > n)
		return;
	f->slots[i].n = (f->slots[i].key == h ? was : 0) + n;
	f->slots[i].key = h;
	f->slots[i].at = now;
}

void
failures_forget(struct failures *f, struct span key)
{
	uint64_t h = hash_of(f, key);
	size_t i = h % FAILURES_SLOTS;

	if (f->slots[i].key == h)
		f->slots[i].n = 0;
}
