/* limits.c -- rate limits (GCRA) and session counts in memory that all receivers share.
 *
 * GCRA, the leaky bucket as one number: for each (rule, key) the table keeps
 * the time at which the whole allowance is back. Taking one unit moves it
 * window/allow further; more than a window ahead of now is over the limit.
 * So `allow` may come at once, and then one every window/allow.
 *
 * Lock-free: an entry is one 64-bit word, 20 bits of tag and 44 bits of time
 * in steps of 16 us, changed by compare-and-swap only. A process killed at any instruction
 * leaves the table whole. Eight words make a bucket (one cache line); a new
 * key takes the place of the entry that is longest back to zero, or, in a full
 * bucket, of the one that will be soonest. Tag and bucket come from SipHash
 * with a key made at boot, so nobody outside can aim at another's entry. Two
 * keys share an entry by chance with about 1:100,000 for each pair of keys in a bucket; then
 * they share one allowance. Two processes that insert the same new key at the same instant
 * choose the same place, unless the bucket changed between: then one unit is forgotten.
 *
 * The names beside the words are for people; they are written without
 * care for order and believed only when they hash to their word.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "addr.h"
#include "receiver/limits.h"
#include "table.h"

#define MAGIC UINT64_C(0x3154494d494c5450)	/* "PTLIMIT1" */
#define UNIT_US 16
#define TIME_BITS 44
#define TIME_MASK ((UINT64_C(1) << TIME_BITS) - 1)
#define WAYS 8

#define COLUMNS 8
#define COLUMN_DEAD (10 * US)
#define US INT64_C(1000000)
#define PEERS 8192		/* clients with open sessions that can be counted together */
#define PEER_WAYS 4

struct peer {
	_Atomic uint64_t tag;
	_Atomic uint16_t open[COLUMNS];
};

struct limits_table {
	_Atomic uint64_t magic;		/* 0 new, 1 being made, MAGIC */
	uint8_t key[16];
	int64_t epoch;			/* clock_mono at boot, less a day: times are never negative */
	uint64_t buckets;		/* a power of two */
	_Atomic int64_t alive[COLUMNS];	/* when each column's process was last seen; 0 never */
	_Alignas(64) struct peer peers[PEERS];
	_Alignas(64) _Atomic uint64_t words[];
};

struct name {
	char text[56];
};

static struct name *
names(const struct limits_table *t)
{
	return (struct name *)(uintptr_t)(t->words + t->buckets * WAYS);
}

struct limits_table *
limits_attach(void *memory, size_t size, int64_t now)
{
	struct limits_table *t = memory;
	uint64_t expected = 0, n = 1;

	ASSERT(size >= LIMITS_MEMORY_MIN && (uintptr_t)memory % 64 == 0);
	if (atomic_compare_exchange_strong(&t->magic, &expected, 1)) {
		size_t each = WAYS * (sizeof(uint64_t) + sizeof(struct name));

		while (2 * n * each <= size - sizeof(*t))
			n *= 2;
		ASSERT(getrandom(t->key, sizeof(t->key), 0) == (ssize_t)sizeof(t->key));
		t->epoch = now - 86400 * US;
		t->buckets = n;
		atomic_store(&t->magic, MAGIC);
	}
	/* Another process is at it: a few microseconds. If it was killed just then, begin again. */
	for (long spins = 0; atomic_load(&t->magic) != MAGIC; spins++)
		if (spins > 100000000L) {
			expected = 1;
			atomic_compare_exchange_strong(&t->magic, &expected, 0);
			return limits_attach(memory, size, now);
		}
	return t;
}

/* ---- one entry ---- */

struct entry_place {
	_Atomic uint64_t *bucket;
	uint64_t tag;			/* in the upper bits, never 0 */
};

static struct entry_place
place_of(const struct limits_table *t, struct span rule, struct span key)
{
	char text[600];
	struct entry_place pl;
	uint64_t h;
	size_t n = 0;

	rule = span_sub(rule, 0, 200);
	memcpy(text, rule.p, rule.n);
	n = rule.n;
	text[n++] = '\0';
	key = span_sub(key, 0, sizeof(text) - n);
	for (size_t i = 0; i < key.n; i++)
		text[n++] = ascii_lower(key.p[i]);
	h = siphash(t->key, text, n);
	pl.bucket = (_Atomic uint64_t *)(uintptr_t)&t->words[(h & (t->buckets - 1)) * WAYS];
	pl.tag = h >> TIME_BITS << TIME_BITS;
	if (pl.tag == 0)
		pl.tag = UINT64_C(1) << TIME_BITS;
	return pl;
}

static uint64_t
to_units(const struct limits_table *t, int64_t us)
{
	ASSERT(us >= t->epoch);
	return (uint64_t)(us - t->epoch) / UNIT_US;
}

static void
write_name(const struct limits_table *t, size_t index, struct span rule, struct span key)
{
	struct name *nm = &names(t)[index];

	snprintf(nm->text, sizeof(nm->text), "%.*s %.*s", SPAN_ARG(rule), SPAN_ARG(key));
}

/* Index of the entry with that tag, or of the one to be replaced. */
static size_t
choose(const struct entry_place *pl, bool *found, uint64_t *word)
{
	uint64_t best = UINT64_MAX;
	size_t victim = 0;

	*found = true;
	for (size_t i = 0; i < WAYS; i++) {
		uint64_t w = atomic_load_explicit(&pl->bucket[i], memory_order_acquire);

		if ((w & ~TIME_MASK) == pl->tag) {
			*word = w;
			return i;
		}
		if ((w & TIME_MASK) < best) {
			best = w & TIME_MASK;
			victim = i;
			*word = w;
		}
	}
	*found = false;
	return victim;
}

static uint64_t
step_of(const struct limit_rule *rule)
{
	uint64_t n = (uint64_t)rule->window / UNIT_US / (rule->allow ? rule->allow : 1);

	return n ? n : 1;
}

/* false: over the limit, nothing taken. */
static bool
take(struct limits_table *t, const struct limit_rule *rule, struct span key, uint32_t cost,
    int64_t now_us)
{
	struct entry_place pl = place_of(t, rule->id, key);
	uint64_t now = to_units(t, now_us), window = (uint64_t)rule->window / UNIT_US, more;

	if (rule->allow == 0 || __builtin_mul_overflow(step_of(rule), (uint64_t)cost, &more))
		return false;
	for (;;) {
		uint64_t word, at;
		bool found;
		size_t i = choose(&pl, &found, &word);

		at = found ? word & TIME_MASK : 0;
		if (at < now)
			at = now;
		if (more > window || at - now > window - more)
			return false;
		if (!atomic_compare_exchange_weak(&pl.bucket[i], &word, pl.tag | (at + more)))
			continue;
		if (!found)
			write_name(t, (size_t)(&pl.bucket[i] - t->words), rule->id, key);
		return true;
	}
}

/* Takes back what take() took. */
static void
give_back(struct limits_table *t, const struct limit_rule *rule, struct span key, uint32_t cost)
{
	struct entry_place pl = place_of(t, rule->id, key);
	uint64_t word, less = step_of(rule) * cost;
	bool found;

	for (;;) {
		size_t i = choose(&pl, &found, &word);

		if (!found || (word & TIME_MASK) < less)
			return;
		if (atomic_compare_exchange_weak(&pl.bucket[i], &word, word - less))
			return;
	}
}

/* ---- rules ---- */

void
limits_who(const struct envelope *env, char client_text[static 46], struct limits_who *who)
{
	struct span local, domain;

	*who = (struct limits_who){ .sender = env->sender, .user = env->user };
	if (env->client.family)
		who->client = span_str(ip_format(env->client, client_text));
	if (mailaddr_split(env->sender, &local, &domain))
		who->sender_domain = domain;
}

static struct span
key_of(const struct limits_who *who, enum limit_key per)
{
	switch (per) {
	case LIMIT_CLIENT:
		return who->client;
	case LIMIT_SENDER:
		return who->sender;
	case LIMIT_SENDER_DOMAIN:
		return who->sender_domain;
	case LIMIT_USER:
		return who->user;
	case LIMIT_DESTINATION:		/* delivery's */
		break;
	}
	return (struct span){ 0 };
}

enum outcome
limits_take(struct limits_table *t, const struct limit_rule *rules, size_t nrules,
    enum limit_unit unit, const struct limits_who *who, uint32_t cost, int64_t now,
    struct limits_hit *hit)
{
	enum outcome worst = OUTCOME_UNJUDGED;
	uint64_t taken = 0;

	*hit = (struct limits_hit){ 0 };
	for (size_t i = 0; i < nrules; i++) {
		struct span key = key_of(who, rules[i].per);

		if (rules[i].unit != unit || key.n == 0)
			continue;
		if (take(t, &rules[i], key, cost, now)) {
			taken |= i < 64 ? UINT64_C(1) << i : 0;
			continue;
		}
		if (rules[i].then > worst) {
			worst = rules[i].then;
			*hit = (struct limits_hit){ &rules[i], key };
		}
		if (worst < OUTCOME_DEFER)
			continue;
		for (size_t k = 0; k < i && k < 64; k++)
			if (taken & UINT64_C(1) << k)
				give_back(t, &rules[k], key_of(who, rules[k].per), cost);
		break;
	}
	return worst;
}

void
limits_give_back(struct limits_table *t, const struct limit_rule *rule,
    const struct limits_who *who, uint32_t cost)
{
	give_back(t, rule, key_of(who, rule->per), cost);
}

bool
limits_next(const struct limits_table *t, size_t *at, int64_t now, struct limits_entry *e)
{
	for (; *at < t->buckets * WAYS; (*at)++) {
		uint64_t w = atomic_load(&t->words[*at]);

		if ((w & TIME_MASK) <= to_units(t, now))
			continue;
		memcpy(e->text, names(t)[*at].text, sizeof(e->text));
		e->text[sizeof(e->text) - 1] = '\0';
		e->full_until = (int64_t)((w & TIME_MASK) * UNIT_US) + t->epoch;
		(*at)++;
		return true;
	}
	return false;
}

bool
limits_reset(struct limits_table *t, const struct limit_rule *rules, size_t nrules,
    struct span rule, struct span key)
{
	bool any = false;

	for (size_t i = 0; i < nrules; i++) {
		struct entry_place pl = place_of(t, rules[i].id, key);
		uint64_t word;
		bool found;

		if (rule.n && !span_eq(rules[i].id, rule))
			continue;
		for (;;) {
			size_t k = choose(&pl, &found, &word);

			if (!found)
				break;
			any = true;
			if (atomic_compare_exchange_strong(&pl.bucket[k], &word, 0))
				break;
		}
	}
	return any;
}

uint64_t
limits_used(const struct limit_rule *rule, int64_t full_until, int64_t now)
{
	uint64_t step = step_of(rule) * UNIT_US;

	return full_until <= now ? 0 : ((uint64_t)(full_until - now) + step - 1) / step;
}

/* ---- sessions ---- */

int
limits_column(struct limits_table *t, int64_t now)
{
	for (int c = 0; c < COLUMNS; c++) {
		int64_t seen = atomic_load(&t->alive[c]);

		if (seen && now - seen < COLUMN_DEAD)
			continue;
		if (!atomic_compare_exchange_strong(&t->alive[c], &seen, now))
			continue;
		for (size_t i = 0; i < PEERS; i++)
			atomic_store_explicit(&t->peers[i].open[c], 0, memory_order_relaxed);
		return c;
	}
	return -1;
}

void
limits_alive(struct limits_table *t, int column, int64_t now)
{
	if (column != -1)
		atomic_store(&t->alive[column], now);
}

static uint32_t
peer_sum(const struct limits_table *t, struct peer *p, int64_t now)
{
	uint32_t sum = 0;

	for (int c = 0; c < COLUMNS; c++)
		if (now - atomic_load_explicit(&t->alive[c], memory_order_relaxed) < COLUMN_DEAD)
			sum += atomic_load_explicit(&p->open[c], memory_order_relaxed);
	return sum;
}

uint32_t
limits_sessions(struct limits_table *t, int column, struct ip client, int by, int64_t now)
{
	uint64_t h = siphash(t->key, &client, sizeof(client)) | 1, tag;
	struct peer *row = &t->peers[(h >> 8) % (PEERS / PEER_WAYS) * PEER_WAYS];

	if (column == -1)
		return 0;
	for (int i = 0; i < PEER_WAYS; i++)
		if (atomic_load(&row[i].tag) == h) {
			if (by < 0 && atomic_load(&row[i].open[column]) == 0)
				return peer_sum(t, &row[i], now);
			atomic_fetch_add(&row[i].open[column], (uint16_t)by);
			return peer_sum(t, &row[i], now);
		}
	for (int i = 0; i < PEER_WAYS && by > 0; i++) {
		tag = atomic_load(&row[i].tag);
		if (peer_sum(t, &row[i], now) == 0 &&
		    atomic_compare_exchange_strong(&row[i].tag, &tag, h)) {
			atomic_fetch_add(&row[i].open[column], (uint16_t)by);
			return peer_sum(t, &row[i], now);
		}
	}
	return 0;
}
