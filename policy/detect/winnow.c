/* winnow.c -- see winnow.h.
 *
 * The hash of a gram rolls along the text. The least one of the window is kept;
 * when it leaves, the window is looked through anew, which on the average is
 * once in half a window and never more than WINNOW_WINDOW steps for a letter.
 * Of equal hashes the one chosen before is kept while it is in the window, else
 * the last one is taken ("robust winnowing"): a text that repeats one character
 * has a fingerprint for each window and not for each place.
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

struct state {
	uint32_t c[RING], from[RING];	/* of the last letters and digits */
	uint64_t hash[RING];	/* of the gram that begins there */
	uint32_t n;		/* letters and digits until now */
	uint64_t rolling, first;	/* first: BASE to the power of WINNOW_GRAM - 1 */
	uint32_t least;		/* gram with the least hash of the window */
	bool chosen;		/* there was one */
	winnow_hit *hit;
	void *ctx;
};

static void
choose(struct state *s, uint32_t at)
{
	struct winnow_gram g;
	uint32_t n = 0, before = 0;

	s->chosen = true;
	s->least = at;
	for (uint32_t i = 0; i < WINNOW_GRAM; i++) {
		uint32_t c = s->c[(at + i) % RING];

		before = n;
		if (c < 0x80)
			g.key[n++] = (uint8_t)c;
		else
			U8_APPEND_UNSAFE(g.key, n, c);
	}
	g.at = at;
	g.from = s->from[at % RING];
	g.to = s->from[(at + WINNOW_GRAM - 1) % RING] + (n - before);
	g.n = n;
	s->hit(s->ctx, &g);
}

/* The least of the grams [from, to], the last one of equals. */
static uint32_t
least_of(const struct state *s, uint32_t from, uint32_t to)
{
	uint64_t least = s->hash[from % RING];
	uint32_t at = from;

	for (uint32_t i = from + 1; i <= to; i++)
		if (s->hash[i % RING] <= least) {
			least = s->hash[i % RING];
			at = i;
		}
	return at;
}

/* A gram has become complete. */
static inline void
gram(struct state *s)
{
	uint32_t at = s->n - WINNOW_GRAM;
	uint64_t h = s->rolling;

	h ^= h >> 32;
	h *= UINT64_C(0xd6e8feb86659fd93);
	h ^= h >> 32;
	s->hash[at % RING] = h;
	if (!s->chosen) {
		if (at + 1 == WINNOW_WINDOW)
			choose(s, least_of(s, 0, at));
	} else if (h < s->hash[s->least % RING]) {
		choose(s, at);
	} else if (at - s->least >= WINNOW_WINDOW) {
		choose(s, least_of(s, at - WINNOW_WINDOW + 1, at));
	}
}

static inline void
letter(struct state *s, uint32_t c, size_t from)
{
	if (s->n >= WINNOW_GRAM)
		s->rolling -= s->first * (s->c[(s->n - WINNOW_GRAM) % RING] + 1);
	s->rolling = s->rolling * BASE + c + 1;
	s->c[s->n % RING] = c;
	s->from[s->n % RING] = (uint32_t)from;
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
				letter(&s, (uint32_t)c, from);
			continue;
		}
		U8_NEXT((const uint8_t *)t.p, i, t.n, c);
		if (c >= 0 && u_isalnum(c))
			letter(&s, (uint32_t)c, from);
	}
	/* Shorter than a window: what there is has one all the same. */
	if (!s.chosen && s.n >= WINNOW_GRAM)
		choose(&s, least_of(&s, 0, s.n - WINNOW_GRAM));
	return s.n;
}
