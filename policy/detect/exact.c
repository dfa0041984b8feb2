/* exact.c -- searches a text for rows of an index; see exact.h. */
#include <stdlib.h>

#include "detect/exact.h"

#define TRIES 16		/* hits of a value that are other columns' */
#define KEPT ((size_t)4096)	/* hits for which room stays between texts */

struct hit {			/* a value that the index has */
	uint32_t from, to, value;
	uint32_t told;		/* the row + 1 it was last told of */
};
struct hits {
	struct hit *v;
	size_t n, cap;
};
struct exact_scratch {
	struct hits of[EXACT_COLUMNS];
	struct window {
		size_t from, to;
	} *windows;
	size_t nwindows, capwindows;
};

struct search {
	const struct exact_plan *p;
	struct exact_scratch *s;
	struct span text;
	size_t within;
	size_t column;		/* looked for */
	int64_t *steps;
	bool gave_up;
	exact_found_fn *fn;
	void *ctx;
};

struct exact_scratch *
exact_scratch_new(void)
{
	struct exact_scratch *s = calloc(1, sizeof(*s));

	ASSERT_MEMORY(s);
	return s;
}

void
exact_scratch_free(struct exact_scratch **s)
{
	if (*s == NULL)
		return;
	for (size_t i = 0; i < EXACT_COLUMNS; i++)
		free((*s)->of[i].v);
	free((*s)->windows);
	free(*s);
	*s = NULL;
}

/* --- the plan ---------------------------------------------------------------------------------- */

static bool
has(uint16_t set, size_t column)
{
	return set >> column & 1;
}

/* The columns of the set, the most selective first. */
static size_t
by_selectivity(const struct exact_header *h, uint16_t set, size_t out[EXACT_COLUMNS])
{
	size_t n = 0;

	for (size_t i = 0; i < h->ncolumns; i++) {
		size_t k = n;

		if (!has(set, i))
			continue;
		for (; k > 0 && h->columns[out[k - 1]].values < h->columns[i].values; k--)
			out[k] = out[k - 1];
		out[k] = i;
		n++;
	}
	return n;
}

/* Where nothing is required, at least one of any (all - min + 1) columns must be there. */
void
exact_plan_finish(struct exact_plan *p)
{
	size_t order[EXACT_COLUMNS], n, most = 1;

	p->anchors = 0;
	n = by_selectivity(exact_info(p->ix), p->require ? p->require : p->of, order);
	if (!p->require)
		most = n >= p->min ? n - p->min + 1 : n;
	for (size_t i = 0; i < most && i < n; i++)
		p->anchors |= (uint16_t)(1u << order[i]);
}

/* --- values in the text ----------------------------------------------------------------------------- */

static bool
spend(struct search *q, int64_t steps)
{
	*q->steps -= steps;
	if (*q->steps < 0)
		q->gave_up = true;
	return !q->gave_up;
}

static bool
on_candidate(void *ctx, size_t from, size_t to, struct span value)
{
	struct search *q = ctx;
	struct hits *h = &q->s->of[q->column];
	bool maybe;
	uint32_t v;

	if (!spend(q, 1))
		return false;
	v = exact_lookup(q->p->ix, q->column, value, &maybe);
	if (maybe && !spend(q, EXACT_STEP_HASH))
		return false;
	if (v == EXACT_NONE)
		return true;
	/* The same value once more, with its checksum or from another of its groups. */
	if (h->n && h->v[h->n - 1].value == v && from < h->v[h->n - 1].to) {
		if (to > h->v[h->n - 1].to)
			h->v[h->n - 1].to = (uint32_t)to;
		return true;
	}
	if (h->n == EXACT_HITS) {
		q->gave_up = true;
		return false;
	}
	if (h->n == h->cap) {
		h->cap = h->cap ? h->cap * 2 : 64;
		h->v = realloc(h->v, h->cap * sizeof(*h->v));
		ASSERT_MEMORY(h->v);
	}
	h->v[h->n++] = (struct hit){ (uint32_t)from, (uint32_t)to, v, 0 };
	return true;
}

static void
look(struct search *q, size_t column, size_t from, size_t to)
{
	const struct exact_column *c = &exact_info(q->p->ix)->columns[column];
	const struct exact_shape shape = { c->type, c->lengths, c->digit, q->steps };

	q->column = column;
	if (c->values)
		exact_find(&shape, q->text, from, to, on_candidate, q);
	if (*q->steps < 0)
		q->gave_up = true;
}

static int
by_place(const void *a, const void *b)
{
	const struct window *x = a, *y = b;

	return (x->from > y->from) - (x->from < y->from);
}

static int
by_value(const void *a, const void *b)
{
	const struct hit *x = a, *y = b;

	if (x->value != y->value)
		return x->value < y->value ? -1 : 1;
	return (x->from > y->from) - (x->from < y->from);
}

/* Where the others may stand: around what was found, joined where they overlap. */
static void
windows_make(struct search *q)
{
	struct exact_scratch *s = q->s;
	size_t n = 0, reach = q->within + EXACT_VALUE_MAX + 1, kept = 0;

	for (size_t i = 0; i < EXACT_COLUMNS; i++)
		if (has(q->p->anchors, i))
			n += s->of[i].n;
	if (n > s->capwindows) {
		free(s->windows);
		s->windows = calloc(n, sizeof(*s->windows));
		ASSERT_MEMORY(s->windows);
		s->capwindows = n;
	}
	n = 0;
	for (size_t i = 0; i < EXACT_COLUMNS; i++)
		for (size_t k = 0; has(q->p->anchors, i) && k < s->of[i].n; k++) {
			const struct hit *h = &s->of[i].v[k];

			s->windows[n++] = (struct window){ h->from > reach ? h->from - reach : 0,
				h->to + reach };
		}
	if (n)
		qsort(s->windows, n, sizeof(*s->windows), by_place);
	for (size_t i = 0; i < n; i++) {
		if (kept && s->windows[i].from <= s->windows[kept - 1].to) {
			if (s->windows[i].to > s->windows[kept - 1].to)
				s->windows[kept - 1].to = s->windows[i].to;
		} else {
			s->windows[kept++] = s->windows[i];
		}
	}
	s->nwindows = kept;
}

static void
look_near(struct search *q, uint16_t columns)
{
	for (size_t i = 0; i < EXACT_COLUMNS; i++) {
		if (!has(columns, i))
			continue;
		for (size_t w = 0; w < q->s->nwindows && !q->gave_up; w++)
			look(q, i, q->s->windows[w].from, q->s->windows[w].to);
	}
	for (size_t i = 0; i < EXACT_COLUMNS; i++)
		if (q->s->of[i].n > 1)
			qsort(q->s->of[i].v, q->s->of[i].n, sizeof(*q->s->of[i].v), by_value);
}

/* --- rows ------------------------------------------------------------------------------------------------ */

static size_t
gap(const struct hit *a, const struct hit *b)
{
	return b->from >= a->to ? b->from - a->to : a->from >= b->to ? a->from - b->to : 0;
}

struct row {			/* of which something was found */
	uint32_t row;
	uint16_t with;		/* columns found */
	struct hit *hits[EXACT_COLUMNS];
};

/* One word is not two values: who is called Martin Martin is not meant by each Martin. */
static bool
taken(const struct row *r, const struct hit *h)
{
	for (size_t c = 0; c < EXACT_COLUMNS; c++)
		if (r->hits[c] && h->from < r->hits[c]->to && r->hits[c]->from < h->to)
			return true;
	return false;
}

/* The hit of that value that is nearest, near enough, and no other column's; NULL: none. */
static struct hit *
nearest(const struct search *q, size_t column, uint32_t value, const struct hit *at,
    const struct row *r)
{
	const struct hits *h = &q->s->of[column];
	size_t lo = 0, hi = h->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (h->v[mid].value < value || (h->v[mid].value == value && h->v[mid].from < at->from))
			lo = mid + 1;
		else
			hi = mid;
	}
	/* outwards from the anchor: behind it from hi on, before it up to lo */
	for (int i = 0; i < TRIES; i++) {
		struct hit *after = hi < h->n && h->v[hi].value == value ? &h->v[hi] : NULL;
		struct hit *before = lo > 0 && h->v[lo - 1].value == value ? &h->v[lo - 1] : NULL;
		bool left = before && (!after || gap(at, before) < gap(at, after));
		struct hit *one = left ? before : after;

		if (!one || gap(at, one) > q->within)
			return NULL;
		if (!taken(r, one))
			return one;
		if (left)
			lo--;
		else
			hi++;
	}
	return NULL;
}

/* What of the row stands around the anchor; true: what is required does. */
static bool
row_gather(const struct search *q, uint32_t number, size_t anchor, struct hit *at, struct row *r)
{
	uint16_t asked = q->p->require | q->p->of;

	*r = (struct row){ .row = number, .with = (uint16_t)(1u << anchor) };
	r->hits[anchor] = at;
	for (size_t c = 0; c < EXACT_COLUMNS; c++) {
		uint32_t value;

		if (!has(asked, c) || c == anchor)
			continue;
		value = exact_value_of(q->p->ix, c, number);
		if (value != EXACT_NONE && (r->hits[c] = nearest(q, c, value, at, r)) != NULL)
			r->with |= (uint16_t)(1u << c);
		else if (has(q->p->require, c))
			return false;
	}
	return true;
}

static bool
row_tell(const struct search *q, const struct row *r, size_t anchor, bool full)
{
	for (size_t k = 0; k <= EXACT_COLUMNS; k++) {
		size_t c = k == 0 ? anchor : k - 1;	/* the anchor first */
		struct hit *h = r->hits[c];
		struct exact_found f;

		if (!h || (k > 0 && c == anchor) || h->told == r->row + 1)
			continue;
		h->told = r->row + 1;
		f = (struct exact_found){ h->from, h->to, r->row, c, r->with, full };
		if (!q->fn(q->ctx, &f))
			return false;
	}
	return true;
}

/* A mention stands for one row: the first of which all was found, else the first of which what is
 * required was. */
static bool
anchor_judge(struct search *q, size_t column, struct hit *at)
{
	struct exact_rows rows = exact_rows(q->p->ix, column, at->value);
	bool partly = false;
	struct row first, r;

	for (uint32_t i = 0; i < rows.n; i++) {
		if (!spend(q, EXACT_STEP_ROW))
			return false;
		if (!row_gather(q, exact_row_at(&rows, i), column, at, &r))
			continue;
		if ((uint32_t)__builtin_popcount(r.with & q->p->of) >= q->p->min)
			return row_tell(q, &r, column, true);
		if (q->p->partly && !partly) {
			partly = true;
			first = r;
		}
	}
	return !partly || row_tell(q, &first, column, false);
}

static void
scratch_reset(struct exact_scratch *s, bool shrink)
{
	for (size_t i = 0; i < EXACT_COLUMNS; i++) {
		s->of[i].n = 0;
		if (shrink && s->of[i].cap > KEPT) {
			free(s->of[i].v);
			s->of[i] = (struct hits){ 0 };
		}
	}
	if (shrink && s->capwindows > KEPT) {
		free(s->windows);
		s->windows = NULL;
		s->capwindows = 0;
	}
}

bool
exact_search(const struct exact_plan *p, struct exact_scratch *s, struct span folded, size_t within,
    int64_t *steps, exact_found_fn *fn, void *ctx)
{
	struct search q = { .p = p, .s = s, .text = folded, .within = within, .steps = steps,
		.gave_up = !exact_whole(p->ix) || folded.n > UINT32_MAX, .fn = fn, .ctx = ctx };
	bool going = true, any = false;

	scratch_reset(s, false);
	for (size_t c = 0; c < EXACT_COLUMNS && !q.gave_up; c++)
		if (has(p->anchors, c)) {
			look(&q, c, 0, folded.n);
			any |= s->of[c].n > 0;
		}
	if (any && !q.gave_up) {
		windows_make(&q);
		look_near(&q, (uint16_t)((p->require | p->of) & ~p->anchors));
	}
	for (size_t c = 0; c < EXACT_COLUMNS && any && going && !q.gave_up; c++)
		for (size_t i = 0; has(p->anchors, c) && i < s->of[c].n && going && !q.gave_up; i++)
			going = anchor_judge(&q, c, &s->of[c].v[i]);
	scratch_reset(s, true);
	return !q.gave_up;
}
