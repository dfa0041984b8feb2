/* merge.c -- what this node remembers for Redis, and what it took alone.
 *
 * The mirror holds, for each limit and key, the level that Redis said last: a Redis that was
 * restarted empty, or a replica that lacks the last moments, gets it back at the next connection. Levels
 * are moments that only rise, so the higher of two is right, however many nodes bring theirs.
 *
 * What was taken alone is a pair for each limit and key: how much (cost), and the moment the bucket
 * would be full again had it been empty before (level). Takings one after the other map a level x to
 * max(x + cost, level); so a pair says all of them, and they are merged with what others took meanwhile, once: a batch
 * whose answer is lost is asked for again only when the fence says that it was not carried out.
 */
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "counters/role.h"

struct told {			/* the mirror; times are Redis's clock */
	int64_t level, lock, heard;
	uint32_t n;
	char name[];
};

struct owed {
	int64_t cost, level;	/* microseconds; clock_mono */
	int64_t window;
	uint32_t n;
	char name[];
};

struct seen {
	int64_t until;		/* clock_mono */
	char hash[KEY_HASH];
};

struct owed_batch {
	struct owed_batch *next;
	uint64_t epoch, seq;
	bool first;		/* of a connection: it serves when all of these are back */
	bool lost;
	size_t n;
	struct owed *v[MERGE_BATCH];
};

void
merge_init(struct counters *c)
{
	c->mirror = table_new();
	c->owed = table_new();
	c->owed_seen = table_new();
}

bool
merge_owes(const struct counters *c)
{
	return table_count(c->owed) > 0 || c->batches != NULL;
}

/* ---- the mirror ---- */

static int64_t
redis_now(const struct counters *c)
{
	return clock_mono() + c->ahead;
}

/* What is over makes room. */
static void
sweep(struct counters *c)
{
	int64_t now = redis_now(c);
	struct span key;
	size_t at = 0;
	void *v;

	while (table_next(c->mirror, &at, &key, &v)) {
		struct told *t = v;

		if (t->level <= now && t->lock <= now) {
			table_remove(c->mirror, key);
			free(t);
		}
	}
}

void
merge_told(struct counters *c, const struct count_item *it, int64_t level, int64_t lock)
{
	int64_t now = redis_now(c);
	struct told *t = table_get(c->mirror, it->name);

	if (t == NULL && level <= 0 && lock <= 0)
		return;
	if (t == NULL) {
		if (table_count(c->mirror) >= MIRROR_MAX)
			sweep(c);
		if (table_count(c->mirror) >= MIRROR_MAX)
			return;
		t = calloc(1, sizeof(*t) + it->name.n);
		ASSERT(t != NULL);
		t->n = (uint32_t)it->name.n;
		memcpy(t->name, it->name.p, it->name.n);
		table_put(c->mirror, span_make(t->name, t->n), t);
	}
	if (level >= 0)
		t->level = now + level;
	if (it->lock)
		t->lock = lock > 0 ? now + lock : 0;
	t->heard = now;
}

void
merge_forget(struct counters *c, struct span name)
{
	free(table_remove(c->mirror, name));
	free(table_remove(c->owed, name));
	counter_set(COUNTER_COUNT_OWED, table_count(c->owed));
}

/* ---- what is owed ---- */

static struct owed *
owed_for(struct counters *c, struct span name, int64_t window)
{
	struct owed *o = table_get(c->owed, name);

	if (o || table_count(c->owed) >= OWED_MAX)
		return o;
	o = calloc(1, sizeof(*o) + name.n);
	ASSERT(o != NULL);
	o->window = window;
	o->n = (uint32_t)name.n;
	memcpy(o->name, name.p, name.n);
	table_put(c->owed, span_make(o->name, o->n), o);
	return o;
}

static void
owe_member(struct counters *c, const struct count_item *it, int64_t until)
{
	char hash[KEY_HASH];
	struct seen *s;

	key_hash(it->name, it->member, hash);
	if (table_get(c->owed_seen, span_make(hash, KEY_HASH)) || table_count(c->owed_seen) >= OWED_MAX)
		return;
	s = malloc(sizeof(*s));
	ASSERT(s != NULL);
	s->until = until;
	memcpy(s->hash, hash, KEY_HASH);
	table_put(c->owed_seen, span_make(s->hash, KEY_HASH), s);
}

void
merge_owe(struct counters *c, const struct count_item *items, size_t n)
{
	int64_t now = clock_mono();

	for (size_t i = 0; i < n; i++) {
		const struct count_item *it = &items[i];
		struct owed *o = owed_for(c, it->name, (int64_t)it->window);
		int64_t more;

		if (o == NULL || __builtin_mul_overflow((int64_t)it->step, (int64_t)it->cost, &more)) {
			counter_add(COUNTER_COUNT_LOST, 1);
			continue;
		}
		o->cost = o->cost > INT64_MAX / 4 ? o->cost : o->cost + more;
		o->level = (o->level > now ? o->level : now) + more;
		if (it->kind == COUNT_UNIQUE)
			owe_member(c, it, now + (int64_t)it->window);
	}
	counter_set(COUNTER_COUNT_OWED, table_count(c->owed));
}

/* Back among what is owed, before what was taken since. */
static void
owe_again(struct counters *c, struct owed *old)
{
	struct owed *o = owed_for(c, span_make(old->name, old->n), old->window);

	if (o) {
		int64_t moved = old->level + o->cost;

		o->level = o->level > moved ? o->level : moved;
		o->cost += old->cost;
	} else
		counter_add(COUNTER_COUNT_LOST, 1);
}

static void
batch_over(struct counters *c, struct owed_batch *b, bool counted)
{
	for (struct owed_batch **p = &c->batches; *p; p = &(*p)->next)
		if (*p == b) {
			*p = b->next;
			break;
		}
	for (size_t i = 0; i < b->n; i++) {
		if (!counted)
			owe_again(c, b->v[i]);
		free(b->v[i]);
	}
	if (b->first && c->merging)
		c->merging--;
	free(b);
	counter_set(COUNTER_COUNT_OWED, table_count(c->owed));
}

static bool batch_send(struct counters *c, struct owed_batch *b, bool whole);

static void
merged(void *ctx, void *what, const struct redisReply *reply)
{
	struct counters *c = ctx;
	struct owed_batch *b = what;
	bool noscript;

	if (reply == NULL) {
		b->lost = true;
		return;
	}
	if (counters_refused(c, reply, &noscript)) {
		if (noscript)
			batch_send(c, b, true);
		else
			batch_over(c, b, false);
		return;
	}
	counters_clock(c, reply);
	for (size_t i = 0; i < b->n; i++) {
		struct count_item it = { .name = span_make(b->v[i]->name, b->v[i]->n) };

		merge_told(c, &it, reply_int(reply, i + 1), 0);
	}
	batch_over(c, b, true);
	if (c->merging == 0)
		counters_serve(c);
}

static void
put_entry(struct call *call, struct span name, int64_t level, int64_t lock, int64_t heard, int64_t cost,
    int64_t own, int64_t window)
{
	const int64_t v[] = { level, lock, heard, cost, own, window };

	call_key(call, KEY_LIMIT, name);
	call_key(call, KEY_LOCK, name);
	call_key(call, KEY_RESET, name);
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		call_num(call, v[i]);
}

static bool
batch_send(struct counters *c, struct owed_batch *b, bool whole)
{
	int64_t now = clock_mono();

	counters_call_begin(c);
	call_num(&c->call, (int64_t)b->n);
	for (size_t i = 0; i < b->n; i++) {
		const struct owed *o = b->v[i];

		put_entry(&c->call, span_make(o->name, o->n), 0, 0, INT64_C(1) << 52, o->cost, o->level - now,
		    o->window);
	}
	if (counters_call(c, SCRIPT_MERGE, whole, merged, b) == -1) {
		batch_over(c, b, false);
		return false;
	}
	b->epoch = c->epoch;
	b->seq = c->seq;
	return true;
}

/* A recipient that was counted alone is known to all from here on; said twice it is the same. */
static void
flush_seen(struct counters *c)
{
	char text[KEY_TEXT_MAX], ms[24];
	int64_t now = clock_mono();
	struct span key;
	size_t at = 0;
	void *v;

	while (table_next(c->owed_seen, &at, &key, &v)) {
		struct seen *s = v;
		int64_t left = (s->until - now) / 1000;
		struct span argv[5] = { SPAN_LIT("SET"), key_text(c->conf->prefix, KEY_SEEN,
		    span_make(s->hash, KEY_HASH), text), SPAN_LIT(""), SPAN_LIT("PX") };

		argv[4] = span_make(ms, (size_t)snprintf(ms, sizeof(ms), "%lld", (long long)left));
		if (left > 0 && redis_send(c->redis, 5, argv, NULL, NULL) == -1)
			return;
		table_remove(c->owed_seen, key);
		free(s);
	}
}

void
merge_flush(struct counters *c)
{
	struct span key;
	size_t at = 0;
	void *v;

	if (!c->greeted)
		return;
	flush_seen(c);
	while (table_count(c->owed) && redis_is_up(c->redis)) {
		struct owed_batch *b = calloc(1, sizeof(*b));

		ASSERT(b != NULL);
		at = 0;
		while (b->n < MERGE_BATCH && table_next(c->owed, &at, &key, &v)) {
			b->v[b->n++] = v;
			table_remove(c->owed, key);
		}
		b->first = !c->serving;
		c->merging += b->first;
		b->next = c->batches;
		c->batches = b;
		if (!batch_send(c, b, false))
			break;
	}
	counter_set(COUNTER_COUNT_OWED, table_count(c->owed));
}

void
merge_settle(struct counters *c, uint64_t epoch, uint64_t seq)
{
	for (struct owed_batch *b = c->batches, *next; b; b = next) {
		next = b->next;
		if (b->lost)
			batch_over(c, b, b->epoch == epoch && b->seq <= seq);
	}
}

/* ---- a new connection ---- */

static void
restored(void *ctx, void *what, const struct redisReply *reply)
{
	struct counters *c = ctx;
	bool noscript;

	if (reply == NULL || counters_refused(c, reply, &noscript)) {
		if (reply && noscript)
			redis_fail(c->redis, "it forgets its scripts");
		return;
	}
	if (c->merging && --c->merging == 0)
		counters_serve(c);
}

void
merge_restore(struct counters *c)
{
	int64_t now = redis_now(c);
	struct span key;
	size_t at = 0, n = 0;
	void *v;

	sweep(c);
	for (bool more = true; more;) {
		struct told *batch[MERGE_BATCH];

		for (n = 0; n < MERGE_BATCH && (more = table_next(c->mirror, &at, &key, &v)); n++)
			batch[n] = v;
		if (n == 0)
			break;
		counters_call_begin(c);
		call_num(&c->call, (int64_t)n);
		for (size_t i = 0; i < n; i++)
			put_entry(&c->call, span_make(batch[i]->name, batch[i]->n), batch[i]->level, batch[i]->lock,
			    batch[i]->heard < now ? batch[i]->heard : now, 0, 0, 0);
		if (counters_call(c, SCRIPT_MERGE, false, restored, NULL) == -1)
			break;
		c->merging++;
	}
}
