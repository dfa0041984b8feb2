/* lint_never.c -- rules that no message can fit. */
#include "lint.h"

static const struct atom *
atom_of(const struct load *ld, const struct cond *c)
{
	return c->op == COND_ATOM ? &ld->p->atoms[c->atom] : NULL;
}

static bool
sets_empty(const struct load *ld, const struct atom *a)
{
	for (size_t i = 0; i < a->address.n; i++)
		if (ld->p->sets.counts[a->address.sets[i]])
			return false;
	return true;
}

static bool
hosts_empty(const struct load *ld, const struct url_cond *c)
{
	for (size_t i = 0; i < c->nsets; i++)
		if (ld->p->sets.counts[c->sets[i]])
			return false;
	return true;
}

static bool
same_cond(const struct cond *a, const struct cond *b)
{
	if (a->op != b->op || a->n != b->n || (a->op == COND_ATOM && a->atom != b->atom))
		return false;
	for (uint32_t i = 0; i < a->n; i++)
		if (!same_cond(&a->kids[i], &b->kids[i]))
			return false;
	return true;
}

bool
has_cond(const struct cond *v, size_t n, const struct cond *one)
{
	for (size_t i = 0; i < n; i++)
		if (same_cond(&v[i], one))
			return true;
	return false;
}

/* What `when` asks for is always in the list of `unless`. */
static bool
within(const struct atom *when, const struct atom *unless)
{
	if (when->kind != ATOM_ADDRESS || unless->kind != ATOM_ADDRESS || when->negate ||
	    unless->negate || when->address.who != unless->address.who)
		return false;
	for (size_t i = 0; i < when->address.n; i++) {
		bool has = false;

		for (size_t k = 0; k < unless->address.n && !has; k++)
			has = when->address.sets[i] == unless->address.sets[k];
		if (!has)
			return false;
	}
	return true;
}

static bool
cancelled(const struct load *ld, const struct rule *r, const struct cond *c)
{
	const struct atom *a = atom_of(ld, c);

	if (has_cond(r->unless, r->nunless, c))
		return true;
	for (size_t i = 0; a && i < r->nunless; i++) {
		const struct atom *u = atom_of(ld, &r->unless[i]);

		if (u && within(a, u))
			return true;
	}
	return false;
}

static bool
is_inbound_fact(enum atom_kind k)
{
	return k == ATOM_AUTH || k == ATOM_DNSBL || k == ATOM_SPAM || k == ATOM_REPUTATION ||
	    k == ATOM_BAYES || k == ATOM_LISTED || k == ATOM_EXPERIENCE;
}

static const char *
atom_never(struct load *ld, const struct rule *r, const struct atom *a)
{
	const struct range *q = &a->quantity.range;
	enum direction asked = r->direction;

	if (a->kind == ATOM_ADDRESS && !a->negate && sets_empty(ld, a))
		return arena_printf(ld->d->arena, "the list of `" SPAN_FMT "` is empty",
		    SPAN_ARG(a->key));
	if (a->kind == ATOM_URL && a->url->nsets && !a->url->not_host && hosts_empty(ld, a->url))
		return "the list of `host` is empty";
	if (a->kind == ATOM_URL && a->url->like >= 0 &&
	    lookalikes_count(ld->p->lookalikes[a->url->like]) == 0)
		return "the list of `lookalike_of` is empty";
	if (a->kind == ATOM_DIRECTION && asked && asked != a->direction)
		return "`direction` says one thing, `when` another";
	for (size_t i = 0; i < r->nwhen && !asked; i++) {
		const struct atom *d = atom_of(ld, &r->when[i]);

		if (d && d->kind == ATOM_DIRECTION)
			asked = d->direction;
	}
	if (a->kind == ATOM_URL && a->url->listed >= 0 && asked == DIRECTION_OUTBOUND)
		return "only inbound mail has `listed`";
	if (is_inbound_fact(a->kind) && asked == DIRECTION_OUTBOUND)
		return arena_printf(ld->d->arena, "only inbound mail has `" SPAN_FMT "`",
		    SPAN_ARG(a->key));
	if (a->kind != ATOM_RANGE)
		return NULL;
	if (q->has_under && q->under <= (a->quantity.what != QUANTITY_ATTACHMENTS))
		return arena_printf(ld->d->arena, "`" SPAN_FMT "` is never under %llu",
		    SPAN_ARG(a->key), (unsigned long long)q->under);
	if (a->quantity.what == QUANTITY_RECIPIENTS && q->has_over &&
	    q->over >= ENVELOPE_RECIPIENTS_MAX)
		return "a message has at most 1000 recipients";
	return NULL;
}

const char *
lint_never_why(struct load *ld, const struct rule *r)
{
	bool files = false, no_files = false;

	for (size_t i = 0; i < r->nwhen; i++) {
		const struct atom *a = atom_of(ld, &r->when[i]);
		const char *why;

		if (cancelled(ld, r, &r->when[i]))
			return "`unless` cancels what `when` asks for";
		if (!a)
			continue;
		if ((why = atom_never(ld, r, a)) != NULL)
			return why;
		if (a->kind == ATOM_RANGE && a->quantity.what == QUANTITY_ATTACHMENTS) {
			no_files |= a->quantity.range.has_under && a->quantity.range.under == 1;
			files |= a->quantity.range.has_over;
		}
		files |= a->kind == ATOM_FILE;
	}
	if (files && no_files)
		return "it asks for a file in a message without files";
	return NULL;
}
