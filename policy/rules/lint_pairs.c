/* lint_pairs.c -- rules that other rules make pointless.
 *
 * A rule all of whose messages another rule takes as well, with an outcome at
 * least as strict, changes nothing: its author waits for an effect that never
 * comes. Conditions are compared as atoms, which equal ones share, so `a`
 * covers `b` when every condition of `a` stands in `b`. Sixty-four bits of each
 * rule's conditions rule out nearly all pairs without looking at them.
 */
#include "lint.h"
#include "load.h"

static uint64_t
mask_of(const struct rule *r)
{
	uint64_t m = 0;

	for (size_t i = 0; i < r->nwhen; i++)
		m |= UINT64_C(1) << ((r->when[i].atom * UINT32_C(2654435761) >> 8) & 63);
	return m;
}

static bool
direction_covers(const struct rule *a, const struct rule *b)
{
	return a->direction == DIRECTION_NONE || a->direction == b->direction;
}

/* Every message (and recipient) of b is one of a. */
static bool
covers(const struct rule *a, const struct rule *b)
{
	if (a->nunless || a->nexceptions || a->then.override || a->mode != MODE_ENFORCE || !direction_covers(a, b))
		return false;
	for (size_t i = 0; i < a->nwhen; i++)
		if (!has_cond(b->when, b->nwhen, &a->when[i]))
			return false;
	return true;
}

bool
lint_outcome_only(const struct rule *r)
{
	return !effects_edit(&r->then) && !r->then.require_tls && !r->then.nnotify && !r->then.bcc.n;
}

static bool
outcome_alone(const struct rule *r)
{
	return lint_outcome_only(r) && r->then.outcome != OUTCOME_UNJUDGED &&
	    r->then.outcome != OUTCOME_REDIRECT;
}

/* Does b still change something where a holds as well? */
static bool
pointless(const struct rule *b, const struct rule *a)
{
	if (!outcome_alone(b) || b->then.outcome > a->then.outcome)
		return false;
	if (b->then.outcome < a->then.outcome)
		return a->then.outcome >= OUTCOME_QUARANTINE;
	switch (b->then.outcome) {
	case OUTCOME_HOLD:	/* each hold wants its own approval, and the shortest time counts */
		return span_eq(a->then.queue, b->then.queue) && a->then.expires == b->then.expires &&
		    a->then.on_expire == b->then.on_expire;
	case OUTCOME_QUARANTINE:
		return span_eq(a->then.queue, b->then.queue);
	case OUTCOME_REJECT:
	case OUTCOME_DEFER:
		return a->severity > b->severity ||
		    (span_eq(a->then.text, b->then.text) && span_eq(a->then.code, b->then.code));
	default:
		return true;
	}
}

static bool
same_rule(const struct rule *a, const struct rule *b)
{
	return a->nwhen == b->nwhen && a->direction == b->direction &&
	    a->then.outcome == b->then.outcome;
}

/* Tells of b when a makes it pointless; of two that are alike only of the second. */
static bool
pair(struct load *ld, const struct rule *a, const struct rule *b, bool a_first)
{
	const struct rule_src *src;

	if (!covers(a, b) || !pointless(b, a) || (same_rule(a, b) && covers(b, a) && !a_first))
		return false;
	src = pendings_get(&ld->rules, b->id);
	diag_key(ld->d, DIAG_WARNING, src->node->first ? src->node->first : src->node, NULL,
	    "rule `" SPAN_FMT "` changes nothing: rule `" SPAN_FMT "` takes all of its messages, with `%s`",
	    SPAN_ARG(b->id), SPAN_ARG(a->id), outcome_name(a->then.outcome));
	return true;
}

static bool
compared(const struct load *ld, const struct rule *r)
{
	const struct rule_src *src = pendings_get(&ld->rules, r->id);

	return !src->made && !r->from_pack && r->mode == MODE_ENFORCE;
}

void
lint_pairs(struct load *ld)
{
	const struct policy *p = ld->p;
	uint64_t *masks = arena_array(ld->tmp, p->nrules + 1, sizeof(*masks));
	const struct rule **v = arena_array(ld->tmp, p->nrules + 1, sizeof(*v));
	size_t n = 0;

	for (size_t i = 0; i < p->nrules; i++)
		if (compared(ld, &p->rules[i])) {
			masks[n] = mask_of(&p->rules[i]);
			v[n++] = &p->rules[i];
		}
	for (size_t b = 0; b < n; b++) {
		bool told = !outcome_alone(v[b]);

		for (size_t a = 0; a < n && !told; a++)
			if (a != b && !(masks[a] & ~masks[b]) && v[a]->then.outcome >= v[b]->then.outcome)
				told = pair(ld, v[a], v[b], a < b);
	}
}
