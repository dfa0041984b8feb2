/* recall.c -- what was learnt of addresses; see recall.h.
 *
 * An entry is one 64-bit word: 36 bits of tag, 26 of time in seconds, 2 of kind. It is changed
 * by plain stores of whole words: of two processes that learn something at the same
 * instant one is forgotten and asks again. Eight words make a bucket, one cache line; tag and
 * bucket come from SipHash with a key made at boot, so nobody outside can aim at an entry.
 * Where a bucket is full the oldest goes, and what did not exist or came once goes
 * before what is known: made-up addresses drive out each other.
 */
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>

#include "clock.h"
#include "postern/err.h"
#include "receiver/recall.h"
#include "table.h"

#define MAGIC UINT64_C(0x314c4c4143455250)	/* "PRECALL1" */
#define WAYS 8
#define TIME_SHIFT 2
#define TIME_BITS 26
#define TIME_MASK ((UINT64_C(1) << TIME_BITS) - 1)
#define TAG_SHIFT (TIME_SHIFT + TIME_BITS)
#define FAVOUR (UINT64_C(30) * 86400)		/* seconds that what is known counts as younger */
#define SPINS 100000000L

struct recall_table {
	_Atomic uint64_t magic;		/* 0 new, 1 being made, MAGIC */
	uint8_t key[16];
	int64_t epoch;			/* clock_mono at boot less a day: times are never 0 */
	uint64_t buckets;		/* a power of two */
	_Alignas(64) _Atomic uint64_t words[];
};

struct recall_table *
recall_attach(void *memory, size_t size, int64_t now)
{
	struct recall_table *t = memory;
	uint64_t expected = 0, n = 1;

	ASSERT(size >= RECALL_MEMORY_MIN && (uintptr_t)memory % 64 == 0);
	if (atomic_compare_exchange_strong(&t->magic, &expected, 1)) {
		while (2 * n * WAYS * sizeof(uint64_t) <= size - sizeof(*t))
			n *= 2;
		ASSERT(getrandom(t->key, sizeof(t->key), 0) == (ssize_t)sizeof(t->key));
		t->epoch = now - 86400 * US_PER_SEC;
		t->buckets = n;
		atomic_store(&t->magic, MAGIC);
	}
	/* Another process is at it: a few microseconds. If it was killed just then, begin again. */
	for (long spins = 0; atomic_load(&t->magic) != MAGIC; spins++)
		if (spins > SPINS) {
			expected = 1;
			atomic_compare_exchange_strong(&t->magic, &expected, 0);
			return recall_attach(memory, size, now);
		}
	return t;
}

static _Atomic uint64_t *
bucket_of(const struct recall_table *t, struct span key, uint64_t *tag)
{
	char low[1400];
	uint64_t h;

	key = span_sub(key, 0, sizeof(low));
	for (size_t i = 0; i < key.n; i++)
		low[i] = (char)(key.p[i] >= 'A' && key.p[i] <= 'Z' ? key.p[i] | 32 : key.p[i]);
	h = siphash(t->key, low, key.n);
	*tag = h >> TAG_SHIFT << TAG_SHIFT;
	if (*tag == 0)
		*tag = UINT64_C(1) << TAG_SHIFT;
	return (_Atomic uint64_t *)(uintptr_t)&t->words[(h & (t->buckets - 1)) * WAYS];
}

static uint64_t
seconds(const struct recall_table *t, int64_t now)
{
	ASSERT(now >= t->epoch);
	return ((uint64_t)(now - t->epoch) / US_PER_SEC) & TIME_MASK;
}

static bool
same_tag(uint64_t word, uint64_t tag)
{
	return word >> TAG_SHIFT == tag >> TAG_SHIFT;
}

bool
recall_get(const struct recall_table *t, struct span key, int64_t now, enum recall_kind *kind,
    int64_t *when)
{
	uint64_t tag;
	_Atomic uint64_t *b = bucket_of(t, key, &tag);

	for (size_t i = 0; i < WAYS; i++) {
		uint64_t w = atomic_load_explicit(&b[i], memory_order_relaxed);

		if (w == 0 || !same_tag(w, tag))
			continue;
		*kind = (enum recall_kind)(w & 3);
		*when = t->epoch + (int64_t)((w >> TIME_SHIFT & TIME_MASK) * US_PER_SEC);
		if (*when > now)
			*when = now;
		return true;
	}
	return false;
}

/* How long a word deserves to stay, against its neighbours. */
static uint64_t
worth(uint64_t w)
{
	enum recall_kind kind = (enum recall_kind)(w & 3);
	uint64_t learnt = w >> TIME_SHIFT & TIME_MASK;

	return w == 0 ? 0 : kind == RECALL_KNOWN || kind == RECALL_FRIEND ? learnt + FAVOUR : learnt;
}

void
recall_put(struct recall_table *t, struct span key, enum recall_kind kind, int64_t now)
{
	uint64_t tag, least = UINT64_MAX;
	_Atomic uint64_t *b = bucket_of(t, key, &tag), *to = b;

	for (size_t i = 0; i < WAYS; i++) {
		uint64_t w = atomic_load_explicit(&b[i], memory_order_relaxed);

		if (w && same_tag(w, tag)) {
			to = &b[i];
			break;
		}
		if (worth(w) < least) {
			least = worth(w);
			to = &b[i];
		}
	}
	atomic_store(to, tag | seconds(t, now) << TIME_SHIFT | (uint64_t)kind);
}

void
recall_forget(struct recall_table *t, struct span key)
{
	uint64_t tag;
	_Atomic uint64_t *b = bucket_of(t, key, &tag);

	for (size_t i = 0; i < WAYS; i++)
		if (same_tag(atomic_load_explicit(&b[i], memory_order_relaxed), tag))
			atomic_store(&b[i], 0);
}

void
recall_forget_all(struct recall_table *t)
{
	for (uint64_t i = 0; i < t->buckets * WAYS; i++)
		atomic_store_explicit(&t->words[i], 0, memory_order_relaxed);
}
