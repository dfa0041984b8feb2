/* reputation.c -- our own experience with those who send; see reputation.h.
 *
 * A count is one 64-bit word: a float and the second it is of, changed by compare-and-swap only,
 * so a process killed at any instruction leaves the table whole and nobody ever waits. An entry
 * is a tag, its counts and its name; eight entries make a bucket. Tag and bucket come from
 * SipHash with a key made at boot: nobody outside can aim at another's entry.
 *
 * A new entry is marked as being made, with the time, while its counts are emptied; a maker that
 * died is succeeded after ten seconds. Who had found the old entry just before may add one
 * to the new one's counts: one observation at the wrong address, once in a great while.
 * Names are believed only where they hash to their tag.
 *
 * A bucket that was ever written to has its bit in `touched`, which is never taken back. Without it nobody reads the
 * bucket: a page of shared memory that is read once is there for good, and the store reads all of the table.
 */
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "addr.h"
#include "postern/err.h"
#include "receiver/reputation.h"
#include "table.h"

#define MAGIC UINT64_C(0x3155504552545350)	/* "PSTREPU1" */
#define US INT64_C(1000000)
#define WAYS 8
#define MAKING 10			/* seconds until a maker is given up */
#define SPINS 100000000L
#define COUNT_MAX 1e6f
#define NOTHING 0.01			/* less is left out when it is saved */
#define Z 1.28
#define SHARE 0.25			/* of the neighbours' observations … */
#define SHARE_MAX 4.0			/* … that count for a client */

struct entry {
	_Atomic uint64_t tag;		/* odd; 0 free; even: being made, seconds * 2 */
	_Atomic uint64_t since;
	_Atomic uint64_t counts[REPUTATION_EVENT_COUNT];
	char name[REPUTATION_NAME_MAX];	/* the kind, then the name */
};

struct reputation_table {
	_Atomic uint64_t magic;		/* 0 new, 1 being made, MAGIC */
	uint8_t key[16];
	_Atomic uint32_t loaded;
	uint64_t buckets;		/* a power of two */
	_Atomic uint64_t touched[REPUTATION_ROWS / WAYS / 64];
	_Alignas(64) struct entry entries[];
};

const char *
reputation_event_name(enum reputation_event e)
{
	static const char *const names[] = {
#define X(name, text, ...) text,
		REPUTATION_EVENTS(X)
#undef X
	};

	ASSERT(e < REPUTATION_EVENT_COUNT);
	return names[e];
}

const char *
reputation_event_words(enum reputation_event e, bool many)
{
	static const char *const words[][2] = {
#define X(name, text, bad, good, one, more) { one, more },
		REPUTATION_EVENTS(X)
#undef X
	};

	ASSERT(e < REPUTATION_EVENT_COUNT);
	return words[e][many];
}

double
reputation_event_weight(enum reputation_event e)
{
	static const double weights[] = {
#define X(name, text, bad, good, ...) (double)(bad) - (double)(good),
		REPUTATION_EVENTS(X)
#undef X
	};

	ASSERT(e < REPUTATION_EVENT_COUNT);
	return weights[e];
}

void
reputation_open(struct reputation *r, void *memory, size_t size, int64_t half_life)
{
	struct reputation_table *t = memory;
	uint64_t expected = 0, n = 1;

	ASSERT(size >= REPUTATION_MEMORY_MIN && (uintptr_t)memory % 64 == 0 && half_life > 0);
	*r = (struct reputation){ t, half_life };
	if (atomic_compare_exchange_strong(&t->magic, &expected, 1)) {
		while (2 * n * WAYS * sizeof(struct entry) <= size - sizeof(*t))
			n *= 2;
		ASSERT(n <= REPUTATION_ROWS / WAYS);
		ASSERT(getrandom(t->key, sizeof(t->key), 0) == (ssize_t)sizeof(t->key));
		t->buckets = n;
		atomic_store(&t->magic, MAGIC);
	}
	/* Another process is at it: a few microseconds. If it was killed just then, begin again. */
	for (long spins = 0; atomic_load(&t->magic) != MAGIC; spins++)
		if (spins > SPINS) {
			expected = 1;
			atomic_compare_exchange_strong(&t->magic, &expected, 0);
			reputation_open(r, memory, size, half_life);
			return;
		}
}

bool
reputation_loads(const struct reputation *r)
{
	uint32_t expected = 0;

	return atomic_compare_exchange_strong(&r->table->loaded, &expected, 1);
}

/* ---- one count ---- */

static uint64_t
word(float n, uint32_t at)
{
	uint32_t bits;

	memcpy(&bits, &n, sizeof(bits));
	return (uint64_t)bits << 32 | at;
}

/* A clock that was set back fades nothing. */
static double
fade(const struct reputation *r, int64_t seconds)
{
	return seconds <= 0 ? 1 : exp2((double)-seconds * (double)US / (double)r->half_life);
}

static double
faded(const struct reputation *r, uint64_t w, uint32_t now)
{
	uint32_t bits = (uint32_t)(w >> 32);
	float n;

	if (bits == 0)
		return 0;
	memcpy(&n, &bits, sizeof(n));
	return (double)n * fade(r, (int64_t)now - (int64_t)(uint32_t)w);
}

static void
count_add(const struct reputation *r, _Atomic uint64_t *to, double n, uint32_t now)
{
	uint64_t was = atomic_load_explicit(to, memory_order_relaxed);
	uint64_t is;

	do {
		uint32_t at = was >> 32 && (uint32_t)was > now ? (uint32_t)was : now;
		double sum = faded(r, was, at) + n * fade(r, (int64_t)at - (int64_t)now);

		sum = sum < 0 ? 0 : sum > (double)COUNT_MAX ? (double)COUNT_MAX : sum;
		is = word((float)sum, at);
	} while (!atomic_compare_exchange_weak(to, &was, is));
}

/* ---- entries ---- */

static uint64_t
hash(const struct reputation_table *t, const char *name)
{
	return siphash(t->key, name, strlen(name));
}

static uint64_t
tag_of(uint64_t h)
{
	return h | 1;
}

static size_t
bucket_number(const struct reputation_table *t, uint64_t h)
{
	return h >> 1 & (t->buckets - 1);
}

static struct entry *
bucket_of(const struct reputation_table *t, uint64_t h)
{
	return (struct entry *)(uintptr_t)&t->entries[bucket_number(t, h) * WAYS];
}

static bool
is_touched(const struct reputation_table *t, size_t bucket)
{
	return atomic_load_explicit(&t->touched[bucket / 64], memory_order_acquire) >> bucket % 64 & 1;
}

static void
touch(struct reputation_table *t, size_t bucket)
{
	if (!is_touched(t, bucket))
		atomic_fetch_or(&t->touched[bucket / 64], UINT64_C(1) << bucket % 64);
}

static struct entry *
find(const struct reputation *r, const char *name)
{
	uint64_t h = hash(r->table, name);
	struct entry *b = bucket_of(r->table, h);

	if (!is_touched(r->table, bucket_number(r->table, h)))
		return NULL;
	for (size_t i = 0; i < WAYS; i++)
		if (atomic_load_explicit(&b[i].tag, memory_order_acquire) == tag_of(h))
			return &b[i];
	return NULL;
}

static double
weight(const struct reputation *r, const struct entry *e, uint32_t now)
{
	double sum = 0;

	for (int i = 0; i < REPUTATION_EVENT_COUNT; i++)
		sum += faded(r, atomic_load_explicit(&e->counts[i], memory_order_relaxed), now);
	return sum;
}

/* The place for a new one; tag: what stands there. NULL: all are being made just now. */
static struct entry *
victim(const struct reputation *r, struct entry *b, uint32_t now, uint64_t *tag)
{
	struct entry *best = NULL;
	double least = INFINITY;

	for (size_t i = 0; i < WAYS; i++) {
		uint64_t was = atomic_load(&b[i].tag);
		double w = 0;

		if (was & 1)
			w = weight(r, &b[i], now);
		else if (was && (uint64_t)now < was / 2 + MAKING)
			continue;
		if (w < least) {
			least = w;
			best = &b[i];
			*tag = was;
		}
	}
	return best;
}

static struct entry *
make(const struct reputation *r, const char *name, uint32_t now)
{
	uint64_t h = hash(r->table, name), was;
	struct entry *b = bucket_of(r->table, h), *e;

	touch(r->table, bucket_number(r->table, h));
	for (int tries = 0; tries < WAYS; tries++) {
		if ((e = find(r, name)) != NULL)
			return e;
		if ((e = victim(r, b, now, &was)) == NULL)
			return NULL;
		if (!atomic_compare_exchange_strong(&e->tag, &was, (uint64_t)now * 2))
			continue;
		for (int i = 0; i < REPUTATION_EVENT_COUNT; i++)
			atomic_store_explicit(&e->counts[i], 0, memory_order_relaxed);
		atomic_store_explicit(&e->since, now, memory_order_relaxed);
		memset(e->name, 0, sizeof(e->name));
		memcpy(e->name, name, strlen(name));
		atomic_store_explicit(&e->tag, tag_of(h), memory_order_release);
		return e;
	}
	return NULL;
}

static void
add(const struct reputation *r, const char *name, enum reputation_event e, double n, uint32_t now)
{
	struct entry *at = n > 0 ? make(r, name, now) : find(r, name);

	if (at)
		count_add(r, &at->counts[e], n, now);
}

static void
read_counts(const struct reputation *r, const struct entry *e, uint32_t now,
    struct reputation_counts *c)
{
	double sum = 0;

	c->since = (int64_t)atomic_load_explicit(&e->since, memory_order_relaxed);
	for (int i = 0; i < REPUTATION_EVENT_COUNT; i++)
		sum += c->n[i] = faded(r, atomic_load_explicit(&e->counts[i], memory_order_relaxed), now);
	c->there = sum >= NOTHING;
}

static void
look(const struct reputation *r, const char *name, uint32_t now, struct reputation_counts *c)
{
	const struct entry *e = *name ? find(r, name) : NULL;

	*c = (struct reputation_counts){ 0 };
	if (e)
		read_counts(r, e, now, c);
}

/* ---- names ---- */

/* Made several times for each message: without printf, for IPv4 without inet_ntop too. */
static size_t
put_octet(char *out, unsigned v)
{
	size_t n = 0;

	if (v >= 100)
		out[n++] = (char)('0' + v / 100);
	if (v >= 10)
		out[n++] = (char)('0' + v / 10 % 10);
	out[n++] = (char)('0' + v % 10);
	return n;
}

static void
masked(struct ip ip, unsigned bytes, const char *suffix, char kind, char *out)
{
	size_t n = 1;

	for (unsigned i = bytes; i < sizeof(ip.b); i++)
		ip.b[i] = 0;
	out[0] = kind;
	for (unsigned i = 0; ip.family == 4 && i < 4; i++) {
		if (i)
			out[n++] = '.';
		n += put_octet(out + n, ip.b[i]);
	}
	if (ip.family != 4)
		n += strlen(ip_format(ip, out + n));
	memcpy(out + n, suffix, strlen(suffix) + 1);
}

struct names {
	char address[REPUTATION_NAME_MAX], network[REPUTATION_NAME_MAX];
	char domain[REPUTATION_NAME_MAX];
};

static void
client_names(struct ip client, struct names *n)
{
	n->address[0] = n->network[0] = '\0';
	if (client.family == 4) {
		masked(client, 4, "", 'a', n->address);
		masked(client, 3, "/24", 'n', n->network);
	} else if (client.family) {
		masked(client, 8, "/64", 'a', n->address);
		masked(client, 6, "/48", 'n', n->network);
	}
}

static void
names_of(const struct reputation_who *who, struct names *n)
{
	client_names(who->client, n);
	n->domain[0] = '\0';
	if (who->domain.n && who->domain.n < REPUTATION_NAME_MAX - 1) {
		n->domain[0] = 'd';
		memcpy(n->domain + 1, who->domain.p, who->domain.n);
		n->domain[1 + who->domain.n] = '\0';
	}
}

void
reputation_names(struct ip client, char address[static REPUTATION_NAME_MAX],
    char network[static REPUTATION_NAME_MAX])
{
	struct names n;

	client_names(client, &n);
	snprintf(address, REPUTATION_NAME_MAX, "%s", n.address + (*n.address != '\0'));
	snprintf(network, REPUTATION_NAME_MAX, "%s", n.network + (*n.network != '\0'));
}

/* ---- notes ---- */

void
reputation_note(const struct reputation *r, const struct reputation_who *who,
    enum reputation_event e, double n, int64_t now)
{
	uint32_t at = (uint32_t)(now / US);
	struct names names;

	if (r->noted && r->noted(r->ctx, who, e, n))
		return;
	names_of(who, &names);
	if (*names.address) {
		add(r, names.address, e, n, at);
		add(r, names.network, e, n, at);
	}
	if (*names.domain)
		add(r, names.domain, e, n, at);
}

void
reputation_correct(const struct reputation *r, const struct reputation_who *who,
    enum reputation_event from, enum reputation_event to, int64_t then, int64_t now)
{
	double n = fade(r, (now - then) / US);

	reputation_note(r, who, from, -n, now);
	reputation_note(r, who, to, n, now);
	reputation_note(r, who, REPUTATION_RELEASED, 1, now);
}

/* Nothing, of now: so that who saves the table sees it. */
static bool
empty(struct entry *e, uint32_t now)
{
	for (int i = 0; e && i < REPUTATION_EVENT_COUNT; i++)
		atomic_store(&e->counts[i], word(0, now));
	return e != NULL;
}

bool
reputation_forget(const struct reputation *r, const struct reputation_who *who, int64_t now)
{
	uint32_t at = (uint32_t)(now / US);
	struct reputation_counts c;
	struct names names;
	bool any = false;

	names_of(who, &names);
	if (*names.address) {
		look(r, names.address, at, &c);
		if (c.there)
			for (int i = 0; i < REPUTATION_EVENT_COUNT; i++)
				add(r, names.network, (enum reputation_event)i, -c.n[i], at);
		any |= empty(find(r, names.address), at) && c.there;
	}
	if (*names.domain) {
		look(r, names.domain, at, &c);
		any |= empty(find(r, names.domain), at) && c.there;
	}
	return any;
}

/* ---- the score ---- */

static void
weigh(const struct reputation_counts *c, double *bad, double *good)
{
	*bad = *good = 0;
	for (int i = 0; c && i < REPUTATION_EVENT_COUNT; i++) {
		double w = reputation_event_weight((enum reputation_event)i);

		*(w > 0 ? bad : good) += fabs(w) * c->n[i];
	}
}

int
reputation_score(const struct reputation_counts *c, const struct reputation_counts *of)
{
	double bad, good, nbad, ngood, others, a, b, m, s, v = 0.5;

	weigh(c, &bad, &good);
	weigh(of, &nbad, &ngood);
	nbad = fmax(nbad - bad, 0);	/* its own are among them */
	ngood = fmax(ngood - good, 0);
	others = nbad + ngood;
	a = 1 + bad;
	b = 1 + good;
	if (of && others > 0) {
		double share = fmin(others * SHARE, SHARE_MAX);

		a += share * nbad / others;
		b += share * ngood / others;
	}
	m = a / (a + b);
	s = Z * sqrt(a * b / ((a + b) * (a + b) * (a + b + 1)));
	if (m - s > 0.5)
		v = m - s;
	else if (m + s < 0.5)
		v = m + s;
	return (int)lround(100 * (1 - v));
}

void
reputation_ask(const struct reputation *r, const struct reputation_who *who, int64_t now,
    struct reputation_answer *out)
{
	uint32_t at = (uint32_t)(now / US);
	struct names names;
	double bad, good;
	int sum;

	names_of(who, &names);
	look(r, names.address, at, &out->address);
	look(r, names.network, at, &out->network);
	look(r, names.domain, at, &out->domain);
	weigh(&out->address, &bad, &good);
	out->evidence = bad + good;
	out->client = reputation_score(&out->address, &out->network);
	out->author = reputation_score(&out->domain, NULL);
	sum = out->client + out->author - REPUTATION_MIDDLE;
	out->score = sum < 0 ? 0 : sum > 100 ? 100 : sum;
}

int
reputation_joined(int lists, int own, uint32_t weight)
{
	int v = (lists < 0 ? REPUTATION_MIDDLE : lists) +
	    (own - REPUTATION_MIDDLE) * (int)weight / REPUTATION_MIDDLE;

	return v < 0 ? 0 : v > 100 ? 100 : v;
}

/* ---- saving ---- */

static int64_t
changed(const struct entry *e)
{
	uint32_t at = 0;

	for (int i = 0; i < REPUTATION_EVENT_COUNT; i++) {
		uint32_t w = (uint32_t)atomic_load_explicit(&e->counts[i], memory_order_relaxed);

		at = w > at ? w : at;
	}
	return at;
}

bool
reputation_next(const struct reputation *r, size_t *at, int64_t now, struct reputation_row *row)
{
	const struct reputation_table *t = r->table;

	for (; *at < t->buckets * WAYS; (*at)++) {
		const struct entry *e = &t->entries[*at];
		char name[REPUTATION_NAME_MAX];
		uint64_t tag;

		if (!is_touched(t, *at / WAYS)) {
			*at += WAYS - 1 - *at % WAYS;
			continue;
		}
		tag = atomic_load_explicit(&e->tag, memory_order_acquire);
		if (!(tag & 1))
			continue;
		memcpy(name, e->name, sizeof(name));
		name[sizeof(name) - 1] = '\0';
		if (tag_of(hash(t, name)) != tag)
			continue;
		read_counts(r, e, (uint32_t)(now / US), &row->counts);
		row->changed = changed(e);
		row->kind = name[0];
		memcpy(row->name, name + 1, sizeof(name) - 1);
		row->name[sizeof(row->name) - 1] = '\0';
		(*at)++;
		return true;
	}
	return false;
}

void
reputation_add(const struct reputation *r, const struct reputation_row *row, int64_t then)
{
	uint32_t at = (uint32_t)(then / US);
	char name[REPUTATION_NAME_MAX];
	struct entry *e;
	int n = snprintf(name, sizeof(name), "%c%s", row->kind, row->name);

	if (n < 2 || (size_t)n >= sizeof(name) || (e = make(r, name, at)) == NULL)
		return;
	if (row->counts.since > 0 && row->counts.since < then / US)
		atomic_store_explicit(&e->since, (uint64_t)row->counts.since, memory_order_relaxed);
	for (int i = 0; i < REPUTATION_EVENT_COUNT; i++)
		if (row->counts.n[i] > 0)
			count_add(r, &e->counts[i], row->counts.n[i], at);
}

bool
reputation_row(const struct reputation *r, char kind, struct span name, int64_t now,
    struct reputation_row *row)
{
	char text[REPUTATION_NAME_MAX];
	const struct entry *e;
	int n = snprintf(text, sizeof(text), "%c" SPAN_FMT, kind, SPAN_ARG(name));

	if (n < 2 || (size_t)n >= sizeof(text) || (e = find(r, text)) == NULL)
		return false;
	read_counts(r, e, (uint32_t)(now / US), &row->counts);
	row->changed = changed(e);
	row->kind = kind;
	snprintf(row->name, sizeof(row->name), "%s", text + 1);
	return true;
}

void
reputation_replace(const struct reputation *r, const struct reputation_row *row, int64_t then)
{
	uint32_t at = (uint32_t)(then / US);
	char name[REPUTATION_NAME_MAX];
	struct entry *e;
	int n = snprintf(name, sizeof(name), "%c%s", row->kind, row->name);

	if (n < 2 || (size_t)n >= sizeof(name) || (e = make(r, name, at)) == NULL)
		return;
	atomic_store_explicit(&e->since, (uint64_t)row->counts.since, memory_order_relaxed);
	for (int i = 0; i < REPUTATION_EVENT_COUNT; i++)
		atomic_store(&e->counts[i], word((float)row->counts.n[i], at));
}
