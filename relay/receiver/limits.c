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
 * A lock is an entry too, under the rule's name and "#lock"; its time is its
 * end. It can be pushed out only by eight entries of one bucket that all end later.
 *
 * `unique recipients`: who was written to within the window is remembered as 40
 * bits of hash in 131,072 places of 8 to a bucket. Two recipients taken for one: about
 * 1 in 10^11 for each look. When more pairs of sender and recipient than that live at
 * once, the one that would end first is forgotten and counts again: too strict then,
 * never too lenient.
 *
 * The names beside the words are for people; they are written without
 * care for order and believed only when they hash to their word.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "addr.h"
#include "receiver/limits_table.h"
#include "table.h"

#define MAGIC UINT64_C(0x3254494d494c5450)	/* "PTLIMIT2" */
#define TIME_BITS 44
#define TIME_MASK ((UINT64_C(1) << TIME_BITS) - 1)
#define WAYS 8

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
	return (uint64_t)(us - t->epoch) / LIMITS_UNIT;
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

uint64_t
limits_step(const struct limit_rule *rule)
{
	uint64_t n = (uint64_t)rule->window / LIMITS_UNIT / (rule->allow ? rule->allow : 1);

	return n ? n : 1;
}

/* false: over the limit, nothing taken. */
static bool
take(struct limits_table *t, const struct limit_rule *rule, struct span key, uint32_t cost,
    int64_t now_us)
{
	struct entry_place pl = place_of(t, rule->id, key);
	uint64_t now = to_units(t, now_us), window = (uint64_t)rule->window / LIMITS_UNIT, more;

	if (rule->allow == 0 || __builtin_mul_overflow(limits_step(rule), (uint64_t)cost, &more))
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
	uint64_t word, less = limits_step(rule) * cost;
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

/* "a@b" one address, "b" a domain, ".b" its subdomains; a client by address or network. */
static bool
exempts(struct span match, enum limit_key per, struct span key)
{
	struct span local, domain = key;
	struct cidr c;
	struct ip ip;

	if (per == LIMIT_CLIENT)
		return ip_parse(key, &ip) && cidr_parse(match, &c, NULL) == 0 && cidr_has(c, ip);
	if (span_eq_nocase(match, key))
		return true;
	mailaddr_split(key, &local, &domain);
	return match.n && (match.p[0] == '.' ? domain.n > match.n &&
	    span_ends_nocase(domain, match) : span_eq_nocase(match, domain));
}

static bool
limits_match(const struct limit_rule *rule, struct span key)
{
	for (size_t i = 0; i < rule->nmatch; i++)
		if (exempts(rule->match[i], rule->per, key))
			return true;
	return false;
}

const struct limit_exempt *
limits_exempt(const struct limit_rule *rule, struct span key, int64_t real)
{
	for (size_t i = 0; i < rule->nexempt; i++)
		if (real < rule->exempt[i].until &&
		    exempts(rule->exempt[i].match, rule->per, key))
			return &rule->exempt[i];
	return NULL;
}

/* The key a rule counts, unless it is exempt; empty: the rule does not apply. */
struct span
limits_counted(const struct limit_rule *rule, const struct limits_who *who)
{
	struct span key = key_of(who, rule->per);

	if (key.n && rule->nmatch && !limits_match(rule, key))
		key.n = 0;
	if (key.n && rule->nexempt && limits_exempt(rule, key, who->real))
		key.n = 0;
	return key;
}

/* ---- locks: an entry of their own beside the rule's ---- */

static struct span
lock_name(const struct limit_rule *rule, char buf[static 256])
{
	snprintf(buf, 256, "%.*s" LIMITS_LOCK, (int)(rule->id.n > 200 ? 200 : rule->id.n),
	    rule->id.p);
	return span_str(buf);
}

/* When the lock ends; 0: there is none. */
static int64_t
locked_until(struct limits_table *t, const struct limit_rule *rule, struct span key, int64_t now)
{
	char name[256];
	struct entry_place pl = place_of(t, lock_name(rule, name), key);
	uint64_t word;
	bool found;

	choose(&pl, &found, &word);
	if (!found || (word & TIME_MASK) <= to_units(t, now))
		return 0;
	return (int64_t)((word & TIME_MASK) * LIMITS_UNIT) + t->epoch;
}

static int64_t
lock(struct limits_table *t, const struct limit_rule *rule, struct span key, int64_t now)
{
	char name[256];
	struct span id = lock_name(rule, name);
	struct entry_place pl = place_of(t, id, key);
	uint64_t word, until = to_units(t, now + rule->lock);
	bool found;

	for (;;) {
		size_t i = choose(&pl, &found, &word);

		if (!atomic_compare_exchange_weak(&pl.bucket[i], &word, pl.tag | until))
			continue;
		if (!found)
			write_name(t, (size_t)(&pl.bucket[i] - t->words), id, key);
		return now + rule->lock;
	}
}

/* ---- recipients written to before ---- */

/* 40 bits of tag, 24 of time in steps of 8 s, until when it is remembered. */
#define SEEN_STEP 8
#define SEEN_TIME ((UINT64_C(1) << 24) - 1)

struct seen_place {
	_Atomic uint64_t *bucket;
	uint64_t tag, now;
	size_t at;			/* its own place, or the one that will be free soonest */
	bool known;
};

static struct seen_place
seen_find(struct limits_table *t, const struct limit_rule *rule, struct span key,
    struct span recipient, int64_t now)
{
	struct seen_place pl = { .now = (uint64_t)(now - t->epoch) / US / SEEN_STEP };
	uint64_t best = UINT64_MAX, h;
	char text[1200];
	int n;

	n = snprintf(text, sizeof(text), "%.*s %.*s %.*s", (int)(rule->id.n > 200 ? 200 : rule->id.n), rule->id.p,
	    (int)(key.n > 400 ? 400 : key.n), key.p,
	    (int)(recipient.n > 400 ? 400 : recipient.n), recipient.p);
	for (int i = 0; i < n; i++)
		text[i] = ascii_lower(text[i]);
	h = siphash(t->key, text, (size_t)n);
	pl.bucket = &t->seen[h % (SEEN / SEEN_WAYS) * SEEN_WAYS];
	pl.tag = (h & ~SEEN_TIME) ? h & ~SEEN_TIME : SEEN_TIME + 1;
	for (size_t i = 0; i < SEEN_WAYS; i++) {
		uint64_t w = atomic_load_explicit(&pl.bucket[i], memory_order_relaxed);

		if ((w & ~SEEN_TIME) == pl.tag) {
			pl.at = i;
			pl.known = (w & SEEN_TIME) > pl.now;
			return pl;
		}
		if ((w & SEEN_TIME) < best) {
			best = w & SEEN_TIME;
			pl.at = i;
		}
	}
	return pl;
}

static void
seen_put(const struct seen_place *pl, const struct limit_rule *rule)
{
	atomic_store(&pl->bucket[pl->at],
	    pl->tag | (pl->now + (uint64_t)(rule->window / US / SEEN_STEP) + 1));
}

bool
limits_remembers(struct limits_table *t, const struct limit_rule *rule, const struct limits_who *who,
    int64_t now)
{
	return seen_find(t, rule, key_of(who, rule->per), who->recipient, now).known;
}

void
limits_remember(struct limits_table *t, const struct limit_rule *rule, const struct limits_who *who,
    int64_t now)
{
	struct seen_place seen = seen_find(t, rule, key_of(who, rule->per), who->recipient, now);

	if (!seen.known)
		seen_put(&seen, rule);
}

/* ---- taking ---- */

/* false: over the limit, or locked: nothing was taken. */
static bool
take_one(struct limits_table *t, const struct limit_rule *rule, struct span key,
    const struct limits_who *who, uint32_t cost, int64_t now, struct limits_hit *hit)
{
	struct seen_place seen;
	int64_t until;

	*hit = (struct limits_hit){ rule, key, false, 0 };
	if (rule->lock && (until = locked_until(t, rule, key, now)) != 0) {
		hit->until = until;
		return false;
	}
	if (rule->unit == LIMIT_UNIQUE) {
		seen = seen_find(t, rule, key, who->recipient, now);
		if (seen.known)
			return true;
		if (take(t, rule, key, 1, now)) {
			seen_put(&seen, rule);
			return true;
		}
	} else if (take(t, rule, key, cost, now))
		return true;
	if (rule->lock) {
		hit->locked = true;
		hit->until = lock(t, rule, key, now);
	}
	return false;
}

enum outcome
limits_take(struct limits_table *t, const struct limit_rule *rules, size_t nrules,
    enum limit_unit unit, const struct limits_who *who, uint32_t cost, int64_t now,
    struct limits_hit *hit)
{
	enum outcome worst = OUTCOME_UNJUDGED;
	struct limits_hit this;
	uint64_t taken = 0;

	*hit = (struct limits_hit){ 0 };
	for (size_t i = 0; i < nrules; i++) {
		struct span key = limits_counted(&rules[i], who);

		if (rules[i].unit != unit || key.n == 0)
			continue;
		if (take_one(t, &rules[i], key, who, cost, now, &this)) {
			taken |= i < 64 && unit != LIMIT_UNIQUE ? UINT64_C(1) << i : 0;
			continue;
		}
		if (rules[i].then > worst) {
			worst = rules[i].then;
			*hit = this;
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

/* No room for one more, and nothing is taken. */
static bool
is_full(struct limits_table *t, const struct limit_rule *rule, struct span key, int64_t now)
{
	if (!take(t, rule, key, 1, now))
		return true;
	give_back(t, rule, key, 1);
	return false;
}

enum outcome
limits_check(struct limits_table *t, const struct limit_rule *rules, size_t nrules,
    const struct limits_who *who, int64_t now, struct limits_hit *hit)
{
	enum outcome worst = OUTCOME_UNJUDGED;

	*hit = (struct limits_hit){ 0 };
	for (size_t i = 0; i < nrules; i++) {
		struct span key = limits_counted(&rules[i], who);
		int64_t until = 0;

		if (key.n == 0 || rules[i].then <= worst ||
		    !(rules[i].lock || rules[i].unit == LIMIT_INVALID))
			continue;
		if (rules[i].lock)
			until = locked_until(t, &rules[i], key, now);
		if (until == 0 && !(rules[i].unit == LIMIT_INVALID && is_full(t, &rules[i], key, now)))
			continue;
		worst = rules[i].then;
		*hit = (struct limits_hit){ &rules[i], key, false, until };
	}
	return worst;
}

uint64_t
limits_connections(const struct limit_rule *rules, size_t nrules, const struct limits_who *who,
    const struct limit_rule **rule)
{
	uint64_t max = UINT64_MAX;

	*rule = NULL;
	for (size_t i = 0; i < nrules; i++)
		if (rules[i].unit == LIMIT_CONNECTIONS && rules[i].allow < max &&
		    limits_counted(&rules[i], who).n) {
			max = rules[i].allow;
			*rule = &rules[i];
		}
	return max;
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
		e->full_until = (int64_t)((w & TIME_MASK) * LIMITS_UNIT) + t->epoch;
		(*at)++;
		return true;
	}
	return false;
}

static bool
forget(struct entry_place pl)
{
	uint64_t word;
	bool found;

	for (;;) {
		size_t k = choose(&pl, &found, &word);

		if (!found || atomic_compare_exchange_strong(&pl.bucket[k], &word, 0))
			return found;
	}
}

bool
limits_reset(struct limits_table *t, const struct limit_rule *rules, size_t nrules,
    struct span rule, struct span key)
{
	char name[256];
	bool any = false;

	for (size_t i = 0; i < nrules; i++) {
		if (rule.n && !span_eq(rules[i].id, rule))
			continue;
		any |= forget(place_of(t, rules[i].id, key));
		any |= forget(place_of(t, lock_name(&rules[i], name), key));
	}
	return any;
}

uint64_t
limits_used(const struct limit_rule *rule, int64_t full_until, int64_t now)
{
	uint64_t step = limits_step(rule) * LIMITS_UNIT;

	return full_until <= now ? 0 : ((uint64_t)(full_until - now) + step - 1) / step;
}
