/* labelled.c -- see labelled.h.
 *
 * An open table of slots. Whoever finds no slot of his text takes a free one: the state goes from
 * FREE to WRITING by compare-and-swap, the text is written, the state becomes READY; from then on
 * it never changes and is read without a lock. Who comes upon a slot being written waits for it,
 * but not for a process that died there: then what he counts is lost, and no text stands twice.
 */
#include <string.h>

#include "master/labelled.h"

#define PROBES 128
#define SPINS 20000

enum { FREE, WRITING, READY };

static struct label_table *table;

static const struct { struct label_info info; uint32_t max; } families[LABEL_FAMILIES] = {
#define X(name, metric, a, b, max, help) [LABEL_##name] = { { metric, a, b, help }, max },
	FAMILIES(X)
#undef X
};

void
labels_use(struct label_table *t)
{
	table = t;
}

const struct label_info *
label_info(enum label_family f)
{
	return &families[f].info;
}

struct text {
	uint8_t family, na, nb;
	char text[2 * LABEL_TEXT];
};

static uint8_t
put(char *to, struct span s)
{
	size_t n = s.n < LABEL_TEXT ? s.n : LABEL_TEXT;

	for (size_t i = 0; i < n; i++)
		to[i] = s.p[i] > ' ' && s.p[i] < 0x7f && s.p[i] != '"' && s.p[i] != '\\' ? s.p[i] : '_';
	return (uint8_t)n;
}

static size_t
hash(const struct text *t)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325) + t->family + ((uint64_t)t->na << 8);

	for (size_t i = 0; i < (size_t)t->na + t->nb; i++)
		h = (h ^ (unsigned char)t->text[i]) * UINT64_C(0x100000001b3);
	return (size_t)(h ^ h >> 32) % LABEL_SLOTS;
}

static int
state_of(struct label_slot *s)
{
	uint32_t state = __atomic_load_n(&s->state, __ATOMIC_ACQUIRE);

	for (int i = 0; state == WRITING && i < SPINS; i++)
		state = __atomic_load_n(&s->state, __ATOMIC_ACQUIRE);
	return (int)state;
}

static bool
is(const struct label_slot *s, const struct text *t)
{
	return s->family == t->family && s->na == t->na && s->nb == t->nb &&
	    memcmp(s->text, t->text, (size_t)t->na + t->nb) == 0;
}

/* How it ended: found (and counted), no room for another, or not to be counted. */
enum found { COUNTED, FULL, LOST };

static enum found
add(const struct text *t, uint32_t max, uint64_t n)
{
	size_t at = hash(t);

	for (int i = 0; i < PROBES; i++, at = (at + 1) % LABEL_SLOTS) {
		struct label_slot *s = &table->slots[at];
		uint32_t expected = FREE;
		int state = state_of(s);

		if (state == WRITING)
			return LOST;
		if (state == FREE) {
			if (__atomic_load_n(&table->used[t->family], __ATOMIC_RELAXED) >= max)
				return FULL;
			if (!__atomic_compare_exchange_n(&s->state, &expected, WRITING, false,
			    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
				i--;		/* somebody was faster: perhaps with this text */
				at = (at + LABEL_SLOTS - 1) % LABEL_SLOTS;
				continue;
			}
			__atomic_fetch_add(&table->used[t->family], 1, __ATOMIC_RELAXED);
			s->family = t->family;
			s->na = t->na;
			s->nb = t->nb;
			memcpy(s->text, t->text, sizeof(s->text));
			__atomic_store_n(&s->state, READY, __ATOMIC_RELEASE);
		}
		if (is(s, t)) {
			__atomic_fetch_add(&s->count, n, __ATOMIC_RELAXED);
			return COUNTED;
		}
	}
	return FULL;
}

void
label_add(enum label_family f, struct span a, struct span b, uint64_t n)
{
	struct text t = { .family = (uint8_t)f };

	if (table == NULL || n == 0)
		return;
	t.na = put(t.text, a.n ? a : SPAN_LIT("none"));
	t.nb = put(t.text + t.na, b);
	if (add(&t, families[f].max, n) != FULL)
		return;
	t = (struct text){ .family = (uint8_t)f };
	t.na = put(t.text, SPAN_LIT(LABEL_OTHER));
	t.nb = put(t.text + t.na, b);
	add(&t, UINT32_MAX, n);
}

const struct label_slot *
label_next(enum label_family f, size_t *i)
{
	while (table && *i < LABEL_SLOTS) {
		const struct label_slot *s = &table->slots[(*i)++];

		if (__atomic_load_n(&s->state, __ATOMIC_ACQUIRE) == READY && s->family == f)
			return s;
	}
	return NULL;
}
