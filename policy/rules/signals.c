/* signals.c -- what each rule waits for.
 *
 * A rule is only looked at when something without which it cannot hold is
 * there. Of its conditions the one that is rarest in mail is taken; a rule
 * without any is looked at for every message.
 */
#include "load.h"

/* The numbers of the signals one of which must be there for the condition to hold, and how
 * rare they are (lower is rarer). false: no such thing. */
struct wake {
	uint32_t *v;
	size_t n, cap;
	unsigned rank;
};
#define RANK_NONE 1000

static void cond_wake(struct load *ld, const struct cond *c, struct wake *w);

static void
atom_wake(struct load *ld, const struct atom *a, struct wake *w)
{
	const struct signals *s = &ld->p->signals;
	uint32_t base;

	if (a->negate)
		return;
	switch (a->kind) {
	case ATOM_FINDS:
	case ATOM_TEXT:
		push_u32(ld->tmp, &w->v, &w->n, &w->cap,
		    s->detectors + ld->p->measures[a->finds.measure].detector);
		w->rank = 2;
		break;
	case ATOM_ADDRESS:
		base = a->address.who == WHO_FROM ? s->from : a->address.who == WHO_HEADER_FROM ?
		    s->header_from : s->to;
		w->rank = 4;
		for (size_t i = 0; i < a->address.n; i++) {
			push_u32(ld->tmp, &w->v, &w->n, &w->cap, base + a->address.sets[i]);
			if (ld->p->sets.names[a->address.sets[i]].n)
				w->rank = 6;	/* a group, likely our own people */
		}
		break;
	case ATOM_FILE:
		push_u32(ld->tmp, &w->v, &w->n, &w->cap, s->flags + SIGNAL_FILES);
		w->rank = 5;
		break;
	case ATOM_VIRUS:
	case ATOM_UNSCANNABLE:
	case ATOM_ENCRYPTED:
		if (!a->want)
			break;
		push_u32(ld->tmp, &w->v, &w->n, &w->cap, s->flags + (a->kind == ATOM_VIRUS ?
		    SIGNAL_VIRUS : a->kind == ATOM_ENCRYPTED ? SIGNAL_ENCRYPTED : SIGNAL_UNSCANNABLE));
		w->rank = 1;
		break;
	case ATOM_DEFECT:
		push_u32(ld->tmp, &w->v, &w->n, &w->cap, s->flags + SIGNAL_DEFECT);
		w->rank = 3;
		break;
	case ATOM_URL:
		push_u32(ld->tmp, &w->v, &w->n, &w->cap, s->flags + SIGNAL_URLS);
		w->rank = 6;
		break;
	case ATOM_AUTH:
		push_u32(ld->tmp, &w->v, &w->n, &w->cap, s->flags + (a->auth.fact == AUTH_FACT_ASKS ?
		    SIGNAL_DMARC : a->auth.fact == AUTH_FACT_BOUNCE ? SIGNAL_BOUNCE :
		    SIGNAL_SPF + a->auth.fact));
		w->rank = 7;
		break;
	case ATOM_DNSBL:
		push_u32(ld->tmp, &w->v, &w->n, &w->cap, s->flags + SIGNAL_DNSBL);
		w->rank = 3;
		break;
	case ATOM_SPAM:
		push_u32(ld->tmp, &w->v, &w->n, &w->cap, s->flags + SIGNAL_SPAM);
		w->rank = 6;
		break;
	case ATOM_REPUTATION:
	case ATOM_EXPERIENCE:
		push_u32(ld->tmp, &w->v, &w->n, &w->cap, s->flags +
		    (a->kind == ATOM_REPUTATION ? SIGNAL_REPUTATION : SIGNAL_EXPERIENCE));
		w->rank = 7;
		break;
	case ATOM_LISTED:
		push_u32(ld->tmp, &w->v, &w->n, &w->cap, s->flags + SIGNAL_LISTED);
		w->rank = 2;
		break;
	case ATOM_BAYES:
		push_u32(ld->tmp, &w->v, &w->n, &w->cap, s->flags + SIGNAL_BAYES);
		w->rank = 7;
		break;
	default:
		break;
	}
}

static void
cond_wake(struct load *ld, const struct cond *c, struct wake *w)
{
	*w = (struct wake){ .rank = RANK_NONE };
	if (c->op == COND_ATOM) {
		atom_wake(ld, &ld->p->atoms[c->atom], w);
	} else if (c->op == COND_ALL) {
		for (uint32_t i = 0; i < c->n; i++) {
			struct wake kid;

			cond_wake(ld, &c->kids[i], &kid);
			if (kid.rank < w->rank)
				*w = kid;
		}
	} else {
		w->rank = 0;
		for (uint32_t i = 0; i < c->n; i++) {
			struct wake kid;

			cond_wake(ld, &c->kids[i], &kid);
			for (size_t k = 0; k < kid.n; k++)
				push_u32(ld->tmp, &w->v, &w->n, &w->cap, kid.v[k]);
			if (kid.rank > w->rank)
				w->rank = kid.rank;
		}
	}
}

/* --- detectors that something in force asks ------------------------------------------------- */

static void
conds_mark(struct policy *p, const struct cond *c, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct atom *a = &p->atoms[c[i].atom];

		if (c[i].op != COND_ATOM)
			conds_mark(p, c[i].kids, c[i].n);
		else if (a->kind == ATOM_FINDS || a->kind == ATOM_TEXT)
			bit_set(p->live, p->measures[a->finds.measure].detector);
		else if (a->kind == ATOM_HEADER && a->header.detector >= 0)
			bit_set(p->live, (size_t)a->header.detector);
	}
}

static void
redact_mark(struct policy *p, const struct redact_ask *ask)
{
	for (size_t i = 0; ask && i < ask->n; i++)
		bit_set(p->live, ask->detectors[i]);
}

static void
live_build(struct load *ld)
{
	struct policy *p = ld->p;
	size_t n = p->detectors ? detectors_count(p->detectors) : 0;

	p->live = arena_array(ld->a, BITS_WORDS(n) + 1, sizeof(*p->live));
	for (size_t i = 0; i < p->nrules; i++)
		if (p->rules[i].mode == MODE_ENFORCE) {
			conds_mark(p, p->rules[i].when, p->rules[i].nwhen);
			conds_mark(p, p->rules[i].unless, p->rules[i].nunless);
			redact_mark(p, p->rules[i].then.redact);
		}
	for (size_t i = 0; i < p->spam.nchecks; i++)
		conds_mark(p, p->spam.checks[i].when, p->spam.checks[i].nwhen);
	for (size_t i = 0; i < p->nexceptions; i++)
		conds_mark(p, p->exceptions[i].when, p->exceptions[i].nwhen);
}

void
signals_build(struct load *ld)
{
	struct policy *p = ld->p;
	struct signals *s = &p->signals;
	uint32_t ndet = p->detectors ? (uint32_t)detectors_count(p->detectors) : 0, *first, *rules, *at;
	struct wake *wakes = arena_array(ld->tmp, p->nrules + 1, sizeof(*wakes));
	uint64_t *always = arena_array(ld->a, BITS_WORDS(p->nrules) + 1, sizeof(*always));
	size_t total = 0;

	live_build(ld);
	s->detectors = 0;
	s->from = ndet;
	s->header_from = s->from + p->sets.nsets;
	s->to = s->header_from + p->sets.nsets;
	s->flags = s->to + p->sets.nsets;
	s->n = s->flags + SIGNAL_FLAGS;
	for (size_t i = 0; i < p->nrules; i++) {
		wakes[i].rank = RANK_NONE;
		for (size_t k = 0; k < p->rules[i].nwhen; k++) {
			struct wake w;

			cond_wake(ld, &p->rules[i].when[k], &w);
			if (w.rank < wakes[i].rank)
				wakes[i] = w;
		}
		if (wakes[i].rank == RANK_NONE) {
			wakes[i].n = 0;
			bit_set(always, i);
		}
		total += wakes[i].n;
	}
	first = arena_array(ld->a, s->n + 1, sizeof(*first));
	at = arena_array(ld->tmp, s->n + 1, sizeof(*at));
	rules = arena_array(ld->a, total + 1, sizeof(*rules));
	for (size_t i = 0; i < p->nrules; i++)
		for (size_t k = 0; k < wakes[i].n; k++)
			first[wakes[i].v[k] + 1]++;
	for (uint32_t i = 0; i < s->n; i++)
		first[i + 1] += first[i];
	memcpy(at, first, (s->n + 1) * sizeof(*at));
	for (size_t i = 0; i < p->nrules; i++)
		for (size_t k = 0; k < wakes[i].n; k++)
			rules[at[wakes[i].v[k]]++] = (uint32_t)i;
	s->first = first;
	s->rules = rules;
	s->always = always;
}

