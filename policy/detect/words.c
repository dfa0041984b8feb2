/* words.c -- Aho-Corasick with whole-word boundaries; see words.h.
 *
 * Bytes that occur in no word are one class. States are numbered breadth
 * first, so those near the root, where nearly all time is spent, come first:
 * they have complete rows (one load for a byte). Deeper states keep their few
 * edges in a sorted list and fall back along failure links until an edge or a
 * complete row is met; since each fallback undoes an earlier step forward, the
 * walk stays linear in the text. Memory: at most ROWS_BYTES for the rows, and
 * some 20 bytes for each byte of the words.
 */
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include "postern/arena.h"
#include "postern/err.h"
#include "words.h"

#define ROWS_BYTES ((size_t)1 << 20)
#define HIT ((uint32_t)1 << 31)		/* on a transition: its target ends a word */
#define ROOT 0u

struct node {			/* of the trie, while it grows */
	uint32_t child, sibling;
	uint32_t word;		/* number + 1, or 0 */
	uint8_t byte;
};

struct word {
	struct span text;
	bool edge_first, edge_last;	/* a boundary is asked for there */
};

struct words {
	struct arena *arena;
	struct node *nodes;
	size_t nnodes, nodes_cap;
	struct word *word;
	size_t nwords, words_cap;
	/* compiled */
	bool compiled;
	uint8_t class[256];	/* 0: in no word */
	uint32_t nclasses;
	uint32_t nrows;		/* states [0, nrows) have a row */
	uint32_t *rows;
	uint32_t *edges_at;	/* state s: edges [edges_at[s], edges_at[s + 1]) */
	struct edge {
		uint32_t to;
		uint8_t class;
	} *edges;
	uint32_t *fail;
	uint32_t *ends;		/* word number + 1 that ends here */
	uint32_t *shorter;	/* next state along the failure links that ends a word, or ROOT */
};

/* Does a word have to stop before this character? */
static bool
joins(UChar32 c)
{
	int lb;

	if (c < 0x80)
		return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
	if (!u_isalnum(c) && u_charType(c) != U_NON_SPACING_MARK)
		return false;
	if (c < 0xe00)
		return true;
	/* Scripts without spaces between words: no boundary can be asked for. */
	lb = u_getIntPropertyValue(c, UCHAR_LINE_BREAK);
	return lb != U_LB_IDEOGRAPHIC && lb != U_LB_COMPLEX_CONTEXT &&
	    lb != U_LB_CONDITIONAL_JAPANESE_STARTER && lb != U_LB_NONSTARTER &&
	    /* Korean has spaces, and its particles stand right behind a word. */
	    lb != U_LB_H2 && lb != U_LB_H3;
}

static bool
joins_after(struct span s, size_t at)
{
	UChar32 c;

	if (at >= s.n)
		return false;
	if (!(s.p[at] & 0x80))
		return joins(s.p[at]);
	U8_NEXT((const uint8_t *)s.p, at, s.n, c);
	return c >= 0 && joins(c);
}

static bool
joins_before(struct span s, size_t at)
{
	size_t i = at;

	if (i == 0)
		return false;
	do
		i--;
	while (i > 0 && at - i < 4 && ((uint8_t)s.p[i] & 0xc0) == 0x80);
	return joins_after(s, i);
}

struct words *
words_new(void)
{
	struct arena *a = arena_new(0);
	struct words *w = arena_zalloc(a, sizeof(*w));

	w->arena = a;
	w->nodes_cap = 64;
	w->nodes = arena_array(a, w->nodes_cap, sizeof(*w->nodes));
	w->nnodes = 1;
	return w;
}

void
words_free(struct words **wp)
{
	struct arena *a;

	if (*wp == NULL)
		return;
	a = (*wp)->arena;
	*wp = NULL;
	arena_free(&a);
}

static uint32_t
node_new(struct words *w, uint8_t byte)
{
	if (w->nnodes == w->nodes_cap) {
		size_t was = w->nodes_cap * sizeof(*w->nodes);

		w->nodes = arena_grow(w->arena, w->nodes, was, was * 2);
		w->nodes_cap *= 2;
	}
	ASSERT(w->nnodes < HIT);
	w->nodes[w->nnodes] = (struct node){ .byte = byte };
	return (uint32_t)w->nnodes++;
}

static uint32_t
node_child(struct words *w, uint32_t at, uint8_t byte)
{
	uint32_t c;

	for (c = w->nodes[at].child; c; c = w->nodes[c].sibling)
		if (w->nodes[c].byte == byte)
			return c;
	c = node_new(w, byte);
	w->nodes[c].sibling = w->nodes[at].child;
	w->nodes[at].child = c;
	return c;
}

uint32_t
words_add(struct words *w, struct span word)
{
	uint32_t at = ROOT;
	struct word *wd;

	ASSERT(!w->compiled && word.n > 0 && word.n <= WORD_BYTES_MAX);
	for (size_t i = 0; i < word.n; i++)
		at = node_child(w, at, (uint8_t)word.p[i]);
	if (w->nodes[at].word)
		return w->nodes[at].word - 1;
	if (w->nwords == w->words_cap) {
		size_t cap = w->words_cap ? w->words_cap * 2 : 32;

		w->word = arena_grow(w->arena, w->word, w->words_cap * sizeof(*w->word),
		    cap * sizeof(*w->word));
		w->words_cap = cap;
	}
	wd = &w->word[w->nwords++];
	wd->text = arena_span(w->arena, word);
	wd->edge_first = joins_after(wd->text, 0);
	wd->edge_last = joins_before(wd->text, wd->text.n);
	w->nodes[at].word = (uint32_t)w->nwords;
	return (uint32_t)w->nwords - 1;
}

size_t
words_count(const struct words *w)
{
	return w->nwords;
}

struct span
words_text(const struct words *w, uint32_t word)
{
	ASSERT(word < w->nwords);
	return w->word[word].text;
}

/* Where a byte of class c leads from s; the edge lists only. */
static uint32_t
edge_to(const struct words *w, uint32_t s, uint8_t c)
{
	for (uint32_t i = w->edges_at[s]; i < w->edges_at[s + 1]; i++)
		if (w->edges[i].class == c)
			return w->edges[i].to;
	return ROOT;
}

static inline uint32_t
step(const struct words *w, uint32_t s, uint8_t c)
{
	while (s >= w->nrows) {
		uint32_t to = edge_to(w, s, c);

		if (to != ROOT)
			return to;
		s = w->fail[s];
	}
	return w->rows[(size_t)s * w->nclasses + c];
}

static void
classes_make(struct words *w)
{
	w->nclasses = 1;
	for (size_t i = 1; i < w->nnodes; i++)
		if (w->class[w->nodes[i].byte] == 0) {
			/* All 256 values in use cannot be: UTF-8 never holds 0xff. */
			ASSERT(w->nclasses < 256);
			w->class[w->nodes[i].byte] = (uint8_t)w->nclasses++;
		}
}

/* Breadth-first numbers; children's numbers follow each other, so edges are one run. */
static void
states_number(struct words *w, uint32_t *node_of)
{
	size_t n = w->nnodes, tail = 1, e = 0;

	w->edges_at = arena_array(w->arena, n + 1, sizeof(*w->edges_at));
	w->edges = arena_array(w->arena, n, sizeof(*w->edges));
	w->ends = arena_array(w->arena, n, sizeof(*w->ends));
	node_of[0] = ROOT;
	for (size_t s = 0; s < n; s++) {
		w->edges_at[s] = (uint32_t)e;
		w->ends[s] = w->nodes[node_of[s]].word;
		for (uint32_t c = w->nodes[node_of[s]].child; c; c = w->nodes[c].sibling) {
			w->edges[e++] = (struct edge){ (uint32_t)tail,
				w->class[w->nodes[c].byte] };
			node_of[tail++] = c;
		}
	}
	w->edges_at[n] = (uint32_t)e;
	ASSERT(tail == n);
}

/* A parent's number is below its children's, and a failure link leads to a
 * shallower state: one pass in rising order sees everything it needs done. */
static void
links_make(struct words *w)
{
	size_t n = w->nnodes;

	w->fail = arena_array(w->arena, n, sizeof(*w->fail));
	w->shorter = arena_array(w->arena, n, sizeof(*w->shorter));
	for (uint32_t s = 0; s < n; s++) {
		if (s != ROOT)
			w->shorter[s] = w->ends[w->fail[s]] ? w->fail[s] : w->shorter[w->fail[s]];
		for (uint32_t i = w->edges_at[s]; i < w->edges_at[s + 1]; i++) {
			uint32_t f = w->fail[s], to = ROOT;

			if (s != ROOT) {
				while ((to = edge_to(w, f, w->edges[i].class)) == ROOT && f != ROOT)
					f = w->fail[f];
			}
			w->fail[w->edges[i].to] = to;
		}
	}
}

static void
rows_make(struct words *w)
{
	size_t most = ROWS_BYTES / (w->nclasses * sizeof(*w->rows));

	w->nrows = (uint32_t)(w->nnodes < most ? w->nnodes : most);
	w->rows = arena_array(w->arena, (size_t)w->nrows * w->nclasses, sizeof(*w->rows));
	for (uint32_t s = 0; s < w->nrows; s++) {
		uint32_t *row = w->rows + (size_t)s * w->nclasses;

		if (s != ROOT)
			memcpy(row, w->rows + (size_t)w->fail[s] * w->nclasses,
			    w->nclasses * sizeof(*row));
		for (uint32_t i = w->edges_at[s]; i < w->edges_at[s + 1]; i++)
			row[w->edges[i].class] = w->edges[i].to;
	}
}

static uint32_t
hit_flagged(const struct words *w, uint32_t to)
{
	return to | (w->ends[to] || w->shorter[to] != ROOT ? HIT : 0);
}

void
words_compile(struct words *w)
{
	uint32_t *node_of;

	ASSERT(!w->compiled);
	node_of = arena_array(w->arena, w->nnodes, sizeof(*node_of));
	classes_make(w);
	states_number(w, node_of);
	links_make(w);
	rows_make(w);
	for (size_t i = 0; i < (size_t)w->nrows * w->nclasses; i++)
		w->rows[i] = hit_flagged(w, w->rows[i]);
	for (size_t i = 0; i < w->edges_at[w->nnodes]; i++)
		w->edges[i].to = hit_flagged(w, w->edges[i].to);
	w->compiled = true;
}

static void
report(const struct words *w, uint32_t s, struct span text, size_t to, words_hit *hit, void *ctx)
{
	bool after = joins_after(text, to);

	for (; s != ROOT; s = w->shorter[s]) {
		const struct word *wd;

		if (w->ends[s] == 0)
			continue;
		wd = &w->word[w->ends[s] - 1];
		if (wd->edge_last && after)
			continue;
		if (wd->edge_first && joins_before(text, to - wd->text.n))
			continue;
		hit(ctx, w->ends[s] - 1, to - wd->text.n, to);
	}
}

void
words_search(const struct words *w, struct span text, words_hit *hit, void *ctx)
{
	static const bool alnum[256] = {
		['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true,
	};
	uint32_t s = ROOT;

	ASSERT(w->compiled);
	if (w->nwords == 0)
		return;
	for (size_t i = 0; i < text.n;) {
		uint8_t c = (uint8_t)text.p[i++];

		s = step(w, s, w->class[c]);
		if (s & HIT) {
			s &= ~HIT;
			report(w, s, text, i, hit, ctx);
		}
		/* Within a word of the text no word begins: on to its end. */
		if (s == ROOT && alnum[c])
			while (i < text.n && alnum[(uint8_t)text.p[i]])
				i++;
	}
}
