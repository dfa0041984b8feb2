/* table.c -- hash tables by bytes and by 64-bit number; see table.h.
 *
 * Open addressing with linear probing, a power of two of slots, at most three
 * quarters of them taken. 24 bytes a slot for byte keys, 16 for numbers, so
 * a million entries cost 48 and 32 MiB. A removed entry leaves a tombstone,
 * unless an empty slot follows: nothing ever moves but in a put of a new key,
 * which is what makes removal while iterating safe.
 *
 * Byte keys: SipHash-2-4 under a random key, so that nobody outside can
 * choose keys that collide. Numbers: two rounds of the murmur finaliser
 * around a random seed; ids are ours, but they arrive in replies of peers.
 */
#include <sys/random.h>

#include "postern/err.h"
#include "table.h"

#define SLOTS_MIN ((size_t)16)

static char tombstone;		/* only its address is used */
#define TOMB ((void *)&tombstone)

static struct {
	bool ready;
	uint8_t key[16];
	uint64_t seed;
} secret;

/* A fork shares the secret: tables made before it stay valid. */
static void
secret_init(void)
{
	uint8_t b[24];

	if (secret.ready)
		return;
	ASSERT(getrandom(b, sizeof(b), 0) == (ssize_t)sizeof(b));
	memcpy(secret.key, b, 16);
	memcpy(&secret.seed, b + 16, 8);
	secret.ready = true;
}

/* --- SipHash-2-4, Aumasson and Bernstein 2012 --- */

static inline uint64_t
rotl(uint64_t x, int by)
{
	return x << by | x >> (64 - by);
}

static inline uint64_t
load64(const uint8_t *p)
{
	return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 |
	    (uint64_t)p[3] << 24 | (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 |
	    (uint64_t)p[6] << 48 | (uint64_t)p[7] << 56;
}

#define SIPROUND(v) do { \
	v[0] += v[1]; v[1] = rotl(v[1], 13); v[1] ^= v[0]; v[0] = rotl(v[0], 32); \
	v[2] += v[3]; v[3] = rotl(v[3], 16); v[3] ^= v[2]; \
	v[0] += v[3]; v[3] = rotl(v[3], 21); v[3] ^= v[0]; \
	v[2] += v[1]; v[1] = rotl(v[1], 17); v[1] ^= v[2]; v[2] = rotl(v[2], 32); \
} while (0)

uint64_t
siphash(const uint8_t key[16], const void *data, size_t n)
{
	const uint8_t *p = data;
	uint64_t k0 = load64(key), k1 = load64(key + 8), m;
	uint64_t v[4] = {
		k0 ^ UINT64_C(0x736f6d6570736575), k1 ^ UINT64_C(0x646f72616e646f6d),
		k0 ^ UINT64_C(0x6c7967656e657261), k1 ^ UINT64_C(0x7465646279746573),
	};
	size_t i;

	for (i = 0; i + 8 <= n; i += 8) {
		m = load64(p + i);
		v[3] ^= m;
		SIPROUND(v);
		SIPROUND(v);
		v[0] ^= m;
	}
	m = (uint64_t)(n & 0xff) << 56;
	for (int shift = 0; i < n; i++, shift += 8)
		m |= (uint64_t)p[i] << shift;
	v[3] ^= m;
	SIPROUND(v);
	SIPROUND(v);
	v[0] ^= m;
	v[2] ^= 0xff;
	SIPROUND(v);
	SIPROUND(v);
	SIPROUND(v);
	SIPROUND(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static inline uint64_t
mix(uint64_t x)
{
	x ^= x >> 33;
	x *= UINT64_C(0xff51afd7ed558ccd);
	x ^= x >> 33;
	x *= UINT64_C(0xc4ceb9fe1a85ec53);
	x ^= x >> 33;
	return x;
}

static inline size_t
id_hash(uint64_t key)
{
	return (size_t)mix(mix(key ^ secret.seed) + secret.seed);
}

/* Slots for `live` entries with one more to come: half full at most, so that
 * the next growth is as many puts away as this one cost. */
static size_t
slots_for(size_t live)
{
	size_t slots = SLOTS_MIN;

	while (slots / 2 < live + 1) {
		ASSERT(slots <= SIZE_MAX / 128);
		slots *= 2;
	}
	return slots;
}

/* Does a put of a new key need another array first? Too full (tombstones
 * count: they lengthen every probe), or nearly empty after a burst. */
static bool
must_resize(size_t slots, size_t live, size_t taken)
{
	if (taken + 1 > slots / 4 * 3)
		return true;
	return slots > SLOTS_MIN * 16 && live < slots / 16;
}

/* --- by bytes --- */

struct entry {
	void *value;		/* NULL: empty; TOMB: removed */
	const char *p;
	uint32_t n;
	uint32_t hash;		/* saves most comparisons, and all hashing when resizing */
};

struct table {
	struct entry *entries;
	size_t mask;		/* slots - 1 */
	size_t live, taken;	/* taken: live and tombstones */
	unsigned moves;
};

static struct entry *
entries_new(size_t slots)
{
	struct entry *e = calloc(slots, sizeof(*e));

	ASSERT(e != NULL);
	return e;
}

struct table *
table_new(void)
{
	struct table *t = calloc(1, sizeof(*t));

	ASSERT(t != NULL);
	secret_init();
	t->entries = entries_new(SLOTS_MIN);
	t->mask = SLOTS_MIN - 1;
	return t;
}

void
table_free(struct table **tp)
{
	if (*tp == NULL)
		return;
	free((*tp)->entries);
	free(*tp);
	*tp = NULL;
}

static uint32_t
key_hash(struct span key)
{
	ASSERT(key.n < UINT32_MAX);
	return (uint32_t)siphash(secret.key, key.p, key.n);
}

static struct entry *
find(const struct table *t, struct span key, uint32_t hash)
{
	for (size_t i = hash & t->mask;; i = (i + 1) & t->mask) {
		struct entry *e = &t->entries[i];

		if (e->value == NULL)
			return NULL;
		if (e->value != TOMB && e->hash == hash && e->n == key.n &&
		    (key.n == 0 || memcmp(e->p, key.p, key.n) == 0))
			return e;
	}
}

static void
resize(struct table *t)
{
	size_t slots = slots_for(t->live), mask = slots - 1;
	struct entry *to = entries_new(slots);

	for (size_t i = 0; i <= t->mask; i++) {
		const struct entry *e = &t->entries[i];
		size_t at = e->hash & mask;

		if (e->value == NULL || e->value == TOMB)
			continue;
		while (to[at].value)
			at = (at + 1) & mask;
		to[at] = *e;
	}
	free(t->entries);
	t->entries = to;
	t->mask = mask;
	t->taken = t->live;
	t->moves++;
}

void *
table_get(const struct table *t, struct span key)
{
	struct entry *e = find(t, key, key_hash(key));

	return e ? e->value : NULL;
}

void
table_put(struct table *t, struct span key, void *value)
{
	uint32_t hash = key_hash(key);
	struct entry *e;
	size_t i;

	ASSERT(value != NULL);
	if ((e = find(t, key, hash)) != NULL) {
		e->value = value;
		e->p = key.p;
		return;
	}
	if (must_resize(t->mask + 1, t->live, t->taken))
		resize(t);
	i = hash & t->mask;
	while (t->entries[i].value && t->entries[i].value != TOMB)
		i = (i + 1) & t->mask;
	if (t->entries[i].value == NULL)
		t->taken++;
	t->entries[i] = (struct entry){ value, key.p, (uint32_t)key.n, hash };
	t->live++;
}

void *
table_remove(struct table *t, struct span key)
{
	struct entry *e = find(t, key, key_hash(key));
	void *value;
	size_t i;

	if (e == NULL)
		return NULL;
	value = e->value;
	i = (size_t)(e - t->entries);
	t->live--;
	*e = (struct entry){ .value = TOMB };
	/* Tombstones at the end of a run bridge nothing. */
	if (t->entries[(i + 1) & t->mask].value == NULL) {
		for (; t->entries[i].value == TOMB; i = (i - 1) & t->mask) {
			t->entries[i].value = NULL;
			t->taken--;
		}
	}
	return value;
}

size_t
table_count(const struct table *t)
{
	return t->live;
}

unsigned
table_moves(const struct table *t)
{
	return t->moves;
}

bool
table_next(const struct table *t, size_t *at, struct span *key, void **value)
{
	while (*at <= t->mask) {
		const struct entry *e = &t->entries[(*at)++];

		if (e->value == NULL || e->value == TOMB)
			continue;
		if (key)
			*key = (struct span){ e->p, e->n };
		if (value)
			*value = e->value;
		return true;
	}
	return false;
}

/* --- by number --- */

struct identry {
	uint64_t key;
	void *value;
};

struct idtable {
	struct identry *entries;
	size_t mask;
	size_t live, taken;
	unsigned moves;
};

static struct identry *
identries_new(size_t slots)
{
	struct identry *e = calloc(slots, sizeof(*e));

	ASSERT(e != NULL);
	return e;
}

struct idtable *
idtable_new(void)
{
	struct idtable *t = calloc(1, sizeof(*t));

	ASSERT(t != NULL);
	secret_init();
	t->entries = identries_new(SLOTS_MIN);
	t->mask = SLOTS_MIN - 1;
	return t;
}

void
idtable_free(struct idtable **tp)
{
	if (*tp == NULL)
		return;
	free((*tp)->entries);
	free(*tp);
	*tp = NULL;
}

static struct identry *
idfind(const struct idtable *t, uint64_t key)
{
	for (size_t i = id_hash(key) & t->mask;; i = (i + 1) & t->mask) {
		struct identry *e = &t->entries[i];

		if (e->value == NULL)
			return NULL;
		if (e->key == key && e->value != TOMB)
			return e;
	}
}

static void
idresize(struct idtable *t)
{
	size_t slots = slots_for(t->live), mask = slots - 1;
	struct identry *to = identries_new(slots);

	for (size_t i = 0; i <= t->mask; i++) {
		const struct identry *e = &t->entries[i];
		size_t at;

		if (e->value == NULL || e->value == TOMB)
			continue;
		at = id_hash(e->key) & mask;
		while (to[at].value)
			at = (at + 1) & mask;
		to[at] = *e;
	}
	free(t->entries);
	t->entries = to;
	t->mask = mask;
	t->taken = t->live;
	t->moves++;
}

void *
idtable_get(const struct idtable *t, uint64_t key)
{
	struct identry *e = idfind(t, key);

	return e ? e->value : NULL;
}

void
idtable_put(struct idtable *t, uint64_t key, void *value)
{
	struct identry *e;
	size_t i;

	ASSERT(value != NULL);
	if ((e = idfind(t, key)) != NULL) {
		e->value = value;
		return;
	}
	if (must_resize(t->mask + 1, t->live, t->taken))
		idresize(t);
	i = id_hash(key) & t->mask;
	while (t->entries[i].value && t->entries[i].value != TOMB)
		i = (i + 1) & t->mask;
	if (t->entries[i].value == NULL)
		t->taken++;
	t->entries[i] = (struct identry){ key, value };
	t->live++;
}

void *
idtable_remove(struct idtable *t, uint64_t key)
{
	struct identry *e = idfind(t, key);
	void *value;
	size_t i;

	if (e == NULL)
		return NULL;
	value = e->value;
	i = (size_t)(e - t->entries);
	t->live--;
	*e = (struct identry){ .value = TOMB };
	if (t->entries[(i + 1) & t->mask].value == NULL) {
		for (; t->entries[i].value == TOMB; i = (i - 1) & t->mask) {
			t->entries[i].value = NULL;
			t->taken--;
		}
	}
	return value;
}

size_t
idtable_count(const struct idtable *t)
{
	return t->live;
}

bool
idtable_next(const struct idtable *t, size_t *at, uint64_t *key, void **value)
{
	while (*at <= t->mask) {
		const struct identry *e = &t->entries[(*at)++];

		if (e->value == NULL || e->value == TOMB)
			continue;
		if (key)
			*key = e->key;
		if (value)
			*value = e->value;
		return true;
	}
	return false;
}

unsigned
idtable_moves(const struct idtable *t)
{
	return t->moves;
}
