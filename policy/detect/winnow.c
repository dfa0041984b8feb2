/* winnow.c -- see winnow.h.
 *
 * The hash of a gram rolls along the text. The least of the window stands at
 * the front of a queue of falling candidates, so each gram enters and leaves
 * it once. Of equal hashes the one chosen before is kept while it is in the
 * window, else the last one is taken ("robust winnowing"): a text that repeats
 * one character has a fingerprint for each window and not for each place.
 */
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include "postern/err.h"
#include "postern/fingerprint.h"
#include "winnow.h"

#define RING 128		/* a power of two, above WINNOW_GUARANTEE */
#define BASE UINT64_C(0x9e3779b97f4a7c15)	/* odd; any will do */

_Static_assert(FINGERPRINT_LETTERS == WINNOW_GUARANTEE, "what people are told");
_Static_assert(RING > WINNOW_GUARANTEE, "a chosen gram lies in the ring");

struct candidate {
	uint64_t hash;
	uint32_t at;
};

struct state {
	struct {
		uint32_t c, from, to;
	} ring[RING];
	uint32_t n;		/* letters and digits until now */
	uint64_t rolling, first;	/* first: BASE to the power of WINNOW_GRAM - 1 */
	struct candidate queue[RING];
	uint32_t head, tail;
	bool chosen;		/* there is a last one */
	struct candidate last;
	winnow_hit *hit;
	void *ctx;
};

static void
choose(struct state *s, const struct candidate *c)
{
	struct winnow_gram g = { .at = c->at };

	s->chosen = true;
	s->last = *c;
	g.from = s->ring[c->at % RING].from;
	g.to = s->ring[(c->at + WINNOW_GRAM - 1) % RING].to;
	for (uint32_t i = 0; i < WINNOW_GRAM; i++) {
		uint32_t x = s->ring[(c->at + i) % RING].c;

		g.key[i * 3] = (uint8_t)x;
		g.key[i * 3 + 1] = (uint8_t)(x >> 8);
		g.key[i * 3 + 2] = (uint8_t)(x >> 16);
	}
	s->hit(s->ctx, &g);
}

/* A gram has become complete: it begins at s->n - WINNOW_GRAM. */
static void
gram(struct state *s)
{
	struct candidate c = { s->rolling, s->n - WINNOW_GRAM };
	const struct candidate *least;

	c.hash ^= c.hash >> 32;
	c.hash *= UINT64_C(0xd6e8feb86659fd93);
	c.hash ^= c.hash >> 32;
	while (s->tail != s->head && s->queue[(s->tail - 1) % RING].hash >= c.hash)
		s->tail--;
	s->queue[s->tail++ % RING] = c;
	if (c.at + 1 < WINNOW_WINDOW)
		return;
	while (s->queue[s->head % RING].at + WINNOW_WINDOW <= c.at)
		s->head++;
	least = &s->queue[s->head % RING];
	if (s->chosen && (s->last.at == least->at || (s->last.hash == least->hash &&
	    s->last.at + WINNOW_WINDOW > c.at)))
		return;
	choose(s, least);
}

static void
letter(struct state *s, uint32_t c, size_t from, size_t to)
{
	if (s->n >= WINNOW_GRAM)
		s->rolling -= s->first * (s->ring[(s->n - WINNOW_GRAM) % RING].c + 1);
	s->rolling = s->rolling * BASE + c + 1;
	s->ring[s->n % RING].c = c;
	s->ring[s->n % RING].from = (uint32_t)from;
	s->ring[s->n % RING].to = (uint32_t)to;
	s->n++;
	if (s->n >= WINNOW_GRAM)
		gram(s);
}

size_t
winnow(struct span t, winnow_hit *hit, void *ctx)
{
	static const bool alnum[128] = {
		['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true,
	};
	struct state s = { .first = 1, .hit = hit, .ctx = ctx };

	ASSERT(t.n <= UINT32_MAX);
	for (int i = 1; i < WINNOW_GRAM; i++)
		s.first *= BASE;
	for (size_t i = 0; i < t.n;) {
		size_t from = i;
		UChar32 c = (uint8_t)t.p[i];

		if (c < 0x80) {
			i++;
			if (alnum[c])
				letter(&s, (uint32_t)c, from, i);
			continue;
		}
		U8_NEXT((const uint8_t *)t.p, i, t.n, c);
		if (c >= 0 && u_isalnum(c))
			letter(&s, (uint32_t)c, from, i);
	}
	/* Shorter than a window: what there is has one all the same. */
	if (!s.chosen && s.tail != s.head)
		choose(&s, &s.queue[s.head % RING]);
	return s.n;
}
