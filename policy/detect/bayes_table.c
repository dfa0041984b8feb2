/* bayes_table.c -- where words are counted; see postern/bayes.h.
 *
 * An open table, at most half full, laid out as the model is published: head and slots are its
 * bytes. A count that falls to nothing stays as an empty word until the next
 * eviction, since taking it out would break the runs of its neighbours.
 *
 * Eviction (bayes_table_evict) is told in three numbers: sightings, day, and how many of that day's.
 * So whoever keeps the same table elsewhere (the store's database) forgets the same words.
 */
#include <stdlib.h>
#include <string.h>

#include "postern/bayes.h"
#include "postern/err.h"

#define DAYS 1024		/* of the histogram, back from the youngest */

int
bayes_table_init(struct bayes_table *t, uint32_t max)
{
	uint32_t slots = 1024;

	ASSERT(max > 0 && max <= BAYES_SLOTS_MAX / 2);
	while (slots < 2 * max)
		slots *= 2;
	*t = (struct bayes_table){ .max = max };
	memcpy(t->head.magic, BAYES_MAGIC, sizeof(t->head.magic));
	t->head.slots = slots;
	t->slots = calloc(slots, sizeof(*t->slots));
	return t->slots ? 0 : -1;
}

void
bayes_table_release(struct bayes_table *t)
{
	free(t->slots);
	t->slots = NULL;
}

void
bayes_table_clear(struct bayes_table *t)
{
	if (t->head.tokens)	/* else it is empty, and megabytes of it may never have been touched */
		memset(t->slots, 0, (size_t)t->head.slots * sizeof(*t->slots));
	t->head.tokens = t->head.spam = t->head.ham = 0;
}

/* The word's slot, or the empty one it would have. */
static struct bayes_slot *
place(struct bayes_table *t, uint32_t token)
{
	uint32_t mask = t->head.slots - 1, at = token & mask;

	while (t->slots[at].token && t->slots[at].token != token)
		at = (at + 1) & mask;
	return &t->slots[at];
}

bool
bayes_table_put(struct bayes_table *t, const struct bayes_slot *s)
{
	struct bayes_slot *to = place(t, s->token);

	if (s->token == 0 || (to->token == 0 && t->head.tokens >= t->max))
		return false;
	t->head.tokens += to->token == 0;
	*to = *s;
	return true;
}

static void
count(uint32_t *n, int sign)
{
	if (sign > 0 ? *n < UINT32_MAX : *n > 0)
		*n += (uint32_t)sign;
}

void
bayes_table_learn(struct bayes_table *t, const uint32_t *hashes, size_t n, bool spam, int sign,
    uint32_t day)
{
	ASSERT(sign == 1 || sign == -1);
	count(spam ? &t->head.spam : &t->head.ham, sign);
	for (size_t i = 0; i < n; i++) {
		struct bayes_slot *s = place(t, hashes[i]);

		if (s->token == 0 && (sign < 0 || t->head.tokens >= t->max))
			continue;
		if (s->token == 0) {
			*s = (struct bayes_slot){ .token = hashes[i] };
			t->head.tokens++;
		}
		count(spam ? &s->spam : &s->ham, sign);
		if (sign > 0 && day > s->day)
			s->day = day;
	}
}

bool
bayes_table_full(const struct bayes_table *t, size_t more)
{
	return t->head.tokens + more > t->max;
}

static uint64_t
sightings(const struct bayes_slot *s)
{
	return (uint64_t)s->spam + s->ham;
}

static uint32_t
youngest(const struct bayes_table *t)
{
	uint32_t day = 0;

	for (uint32_t i = 0; i < t->head.slots; i++)
		if (t->slots[i].token && t->slots[i].day > day)
			day = t->slots[i].day;
	return day;
}

/* Of those with at most `count` sightings the eldest, `want` of them; false: there are not as many, and
 * all of them go. */
static bool
eldest(const struct bayes_table *t, uint32_t count, uint32_t last, uint32_t want,
    struct bayes_eviction *e)
{
	uint32_t of[DAYS] = { 0 }, first = last >= DAYS ? last - DAYS + 1 : 0;

	for (uint32_t i = 0; i < t->head.slots; i++) {
		const struct bayes_slot *s = &t->slots[i];

		if (s->token && sightings(s) <= count)
			of[s->day > first ? s->day - first : 0]++;
	}
	*e = (struct bayes_eviction){ count, last, UINT32_MAX, 0 };
	for (uint32_t d = 0; d < DAYS; d++) {
		uint32_t missing = want - e->n;

		if (of[d] >= missing) {
			e->day = first + d;
			e->token = (uint32_t)((uint64_t)UINT32_MAX * missing / of[d]);
			return true;
		}
		e->n += of[d];
	}
	return false;
}

static bool
goes(const struct bayes_eviction *e, const struct bayes_slot *s)
{
	return sightings(s) <= e->count && (s->day < e->day || (s->day == e->day && s->token <= e->token));
}

/* What stays, in a table without gaps. */
static void
rebuild(struct bayes_table *t, const struct bayes_eviction *e)
{
	struct bayes_slot *old = t->slots;
	uint32_t slots = t->head.slots;

	t->slots = calloc(slots, sizeof(*t->slots));
	ASSERT(t->slots != NULL);
	t->head.tokens = 0;
	for (uint32_t i = 0; i < slots; i++)
		if (old[i].token && !goes(e, &old[i]))
			bayes_table_put(t, &old[i]);
	free(old);
}

void
bayes_table_evict(struct bayes_table *t, struct bayes_eviction *out)
{
	uint32_t want = t->max / 4 ? t->max / 4 : 1, last = youngest(t), had = t->head.tokens;

	if (want > had)
		want = had;
	for (uint32_t c = 1; !eldest(t, c, last, want, out) && c <= UINT32_MAX / 2; c *= 2)
		;
	rebuild(t, out);
	out->n = had - t->head.tokens;
}
