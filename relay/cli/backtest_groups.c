/* backtest_groups.c -- see backtest_groups.h. */
#include <stdlib.h>
#include <string.h>

#include "cli/backtest.h"
#include "cli/backtest_groups.h"
#include "postern/err.h"
#include "table.h"

void
sums_init(struct backtest_sums *s)
{
	*s = (struct backtest_sums){ .arena = arena_new(0), .changes = table_new(),
		.rules = table_new(), .whys = table_new() };
}

void
sums_release(struct backtest_sums *s)
{
	struct span key;
	size_t at = 0;
	void *v;

	while (table_next(s->changes, &at, &key, &v))
		free(((struct change *)v)->ids);
	table_free(&s->changes);
	table_free(&s->rules);
	table_free(&s->whys);
	free(s->order);
	free(s->why_order);
	arena_free(&s->arena);
}

/* ---- rules ---- */

static struct rule_sum *
rule_of(struct backtest_sums *s, struct span id)
{
	struct rule_sum *r = table_get(s->rules, id);

	if (r == NULL) {
		r = arena_zalloc(s->arena, sizeof(*r));
		table_put(s->rules, arena_span(s->arena, id), r);
	}
	return r;
}

const struct rule_sum *
sums_rule(const struct backtest_sums *s, struct span id)
{
	return table_get(s->rules, id);
}

static void
mark(struct backtest_sums *s, const struct span *v, size_t n, bool is)
{
	for (size_t i = 0; i < n; i++) {
		struct rule_sum *r = rule_of(s, v[i]);

		if (is && r->marked_is != s->total) {
			r->marked_is = s->total;
			r->is++;
			if (r->marked_was != s->total)
				r->newly++;
		} else if (!is && r->marked_was != s->total) {
			r->marked_was = s->total;
			r->was++;
		}
	}
}

static void
mark_gone(struct backtest_sums *s, const struct span *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct rule_sum *r = rule_of(s, v[i]);

		if (r->marked_was == s->total && r->marked_is != s->total) {
			r->marked_is = s->total;
			r->gone++;
		}
	}
}

/* Decisions of recipients in one class share their lists: each is looked at once. */
static void
mark_rules(struct backtest_sums *s, const struct verdict *was, const struct verdict *is)
{
	const struct span *seen = NULL;

	for (int pass = 0; pass < 3; pass++) {
		const struct verdict *v = pass == 1 ? is : was;

		seen = NULL;
		for (size_t i = 0; i < v->ndecisions; i++) {
			const struct decision *d = &v->decisions[i];

			if (i && d->rules == seen)
				continue;
			seen = d->rules;
			if (pass == 2) {
				mark_gone(s, d->rules, d->nrules);
				mark_gone(s, d->shadow, d->nshadow);
			} else {
				mark(s, d->rules, d->nrules, pass == 1);
				mark(s, d->shadow, d->nshadow, pass == 1);
			}
		}
	}
}

static bool
has(const struct span *v, size_t n, struct span id)
{
	for (size_t i = 0; i < n; i++)
		if (span_eq(v[i], id))
			return true;
	return false;
}

/* Rules that hit only when the unknown speaks for them, or only when it does not. */
static void
unsure_rules(struct backtest_sums *s, const struct decision *x, const struct decision *y)
{
	for (size_t i = 0; i < x->nrules; i++) {
		struct rule_sum *r;

		if (has(y->rules, y->nrules, x->rules[i]))
			continue;
		r = rule_of(s, x->rules[i]);
		if (r->marked_unsure != s->total) {
			r->marked_unsure = s->total;
			r->unsure++;
		}
	}
}

void
sums_unsure(struct backtest_sums *s, const struct verdict *low, const struct verdict *high)
{
	for (size_t i = 0; i < low->ndecisions; i++) {
		if (i && low->decisions[i].rules == low->decisions[i - 1].rules &&
		    high->decisions[i].rules == high->decisions[i - 1].rules)
			continue;
		unsure_rules(s, &high->decisions[i], &low->decisions[i]);
		unsure_rules(s, &low->decisions[i], &high->decisions[i]);
	}
}

/* ---- changes ---- */

static void
change_add(struct backtest_sums *s, uint64_t id, enum outcome was, enum outcome is, bool gone,
    struct span rule)
{
	char key[128];
	int n = snprintf(key, sizeof(key), "%d %d %d %.*s", was, is, gone,
	    (int)(rule.n < 100 ? rule.n : 100), rule.n ? rule.p : "");
	struct change *c = table_get(s->changes, span_make(key, (size_t)n));

	if (c == NULL) {
		c = arena_zalloc(s->arena, sizeof(*c));
		*c = (struct change){ .was = was, .is = is, .gone = gone,
			.rule = arena_span(s->arena, rule) };
		table_put(s->changes, arena_span(s->arena, span_make(key, (size_t)n)), c);
	}
	if (c->last == s->total)
		return;
	c->last = s->total;
	c->n++;
	if (c->nids == BACKTEST_IDS)
		return;
	if (c->nids == c->room) {
		c->room = c->room ? c->room * 2 : 8;
		c->ids = realloc(c->ids, c->room * sizeof(*c->ids));
		ASSERT(c->ids != NULL);
	}
	c->ids[c->nids++] = id;
}

/* Stricter now: the rules that are new. Milder: those that are gone. When neither is there (a rule
 * that does otherwise now), those that hit. */
static void
attribute(struct backtest_sums *s, uint64_t id, const struct decision *was,
    const struct decision *is, struct span only)
{
	const struct decision *from = is->outcome > was->outcome ? is : was,
	    *to = from == is ? was : is;
	bool any = false;

	for (size_t i = 0; i < from->nrules; i++) {
		if (has(to->rules, to->nrules, from->rules[i]))
			continue;
		any = true;
		if (only.n == 0 || span_eq(only, from->rules[i]))
			change_add(s, id, was->outcome, is->outcome, from == was, from->rules[i]);
	}
	for (size_t i = 0; !any && i < is->nrules; i++) {
		any = true;
		change_add(s, id, was->outcome, is->outcome, false, is->rules[i]);
	}
	if (!any)
		change_add(s, id, was->outcome, is->outcome, false, SPAN_LIT("defaults and limits"));
}

void
sums_compare(struct backtest_sums *s, uint64_t id, const struct verdict *was,
    const struct verdict *is, struct span rule)
{
	bool newly[OUTCOME_COUNT] = { false }, changed = false, released = false;

	mark_rules(s, was, is);
	for (size_t i = 0; i < was->ndecisions && i < is->ndecisions; i++) {
		const struct decision *x = &was->decisions[i], *y = &is->decisions[i];

		if (x->outcome == y->outcome || (rule.n && !has(y->rules, y->nrules, rule) &&
		    !has(x->rules, x->nrules, rule)))
			continue;
		changed = true;
		if (y->outcome == OUTCOME_DELIVER)
			released = true;
		else
			newly[y->outcome] = true;
		attribute(s, id, x, y, rule);
	}
	s->changed += changed;
	s->same += !changed;
	s->released += released;
	for (int o = 0; o < OUTCOME_COUNT; o++)
		s->newly[o] += newly[o];
}

void
sums_why(struct backtest_sums *s, struct span why)
{
	struct why_sum *w = table_get(s->whys, why);

	if (w == NULL) {
		w = arena_zalloc(s->arena, sizeof(*w));
		w->why = arena_span(s->arena, why);
		table_put(s->whys, w->why, w);
	}
	w->n++;
}

/* ---- in order ---- */

static int
more_first(const void *a, const void *b)
{
	const struct change *const *x = a, *const *y = b;
	size_t n = (*x)->rule.n < (*y)->rule.n ? (*x)->rule.n : (*y)->rule.n;
	int r;

	if ((*x)->n != (*y)->n)
		return (*x)->n < (*y)->n ? 1 : -1;
	if ((*x)->is != (*y)->is)
		return (*x)->is < (*y)->is ? 1 : -1;
	r = n ? memcmp((*x)->rule.p, (*y)->rule.p, n) : 0;
	return r ? r : ((*x)->rule.n > (*y)->rule.n) - ((*x)->rule.n < (*y)->rule.n);
}

static int
more_why_first(const void *a, const void *b)
{
	const struct why_sum *const *x = a, *const *y = b;

	return ((*x)->n < (*y)->n) - ((*x)->n > (*y)->n);
}

static void **
values(const struct table *t, size_t *n)
{
	void **v = calloc(table_count(t) + 1, sizeof(*v));
	struct span key;
	size_t at = 0;

	ASSERT(v != NULL);
	*n = 0;
	while (table_next(t, &at, &key, &v[*n]))
		++*n;
	return v;
}

const struct change *
sums_change(struct backtest_sums *s, size_t i)
{
	if (s->order == NULL) {
		s->order = (struct change **)values(s->changes, &s->norder);
		qsort(s->order, s->norder, sizeof(struct change *), more_first);
	}
	return i < s->norder ? s->order[i] : NULL;
}

const struct why_sum *
sums_whys(struct backtest_sums *s, size_t i)
{
	if (s->why_order == NULL) {
		s->why_order = (struct why_sum **)values(s->whys, &s->nwhys);
		qsort(s->why_order, s->nwhys, sizeof(struct why_sum *), more_why_first);
	}
	return i < s->nwhys ? s->why_order[i] : NULL;
}
