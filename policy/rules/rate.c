/* rate.c -- the built-in antispam: the checks of the policy, added up.
 *
 * Asked where nobody else has rated the message: not where a filter outside has, nor for
 * mail that leaves. All checks are asked, in the order of their names, so that the score is the
 * same sum every time. Conditions on what is not known do not hold: a check that fails for
 * want of the DNS makes no mail look like spam.
 */
#include "judge.h"
#include "record.h"

/* Rated by somebody the policy does not ask. */
static bool
of_another(const struct spam_policy *s, const struct facts *f)
{
	enum spam_source asked = s->source == SPAM_SOURCE_NONE && s->nchecks ?
	    SPAM_SOURCE_BUILT_IN : s->source;

	return f->spam_by != SPAM_SOURCE_NONE && asked != SPAM_SOURCE_NONE && f->spam_by != asked;
}

void
spam_rate(struct eval *e)
{
	const struct spam_policy *s = &e->p->spam;
	struct facts *f;
	struct span *symbols;
	bool built_in = s->nchecks > 0 && s->source <= SPAM_SOURCE_BUILT_IN &&
	    e->env->direction != DIRECTION_OUTBOUND;

	if (!e->given->spam_known ? !built_in : !of_another(s, e->given))
		return;
	f = arena_alloc(e->arena, sizeof(*f));
	*f = *e->given;
	f->spam_known = false;
	e->facts = f;
	if (!built_in)
		return;
	f->spam_class = (struct span){ 0 };
	symbols = arena_array(e->arena, s->nchecks, sizeof(*symbols));
	f->spam_score = 0;
	f->nspam_symbols = 0;
	for (size_t i = 0; i < s->nchecks; i++) {
		const struct spam_check *c = &s->checks[i];

		if (!eval_spend(e, 1))
			break;
		/* Of a record: what is unknown counts for the worse, or for the better. */
		if (e->recorded)
			e->recorded->assume = e->recorded->high == (c->score > 0);
		e->assume = false;
		if (!eval_all(e, c->when, c->nwhen))
			continue;
		f->spam_score += c->score;
		symbols[f->nspam_symbols++] = c->id;
	}
	f->spam_symbols = symbols;
	f->spam_known = true;
	f->spam_by = SPAM_SOURCE_BUILT_IN;
}

static const struct spam_check *
check_named(const struct spam_policy *s, struct span id)
{
	for (size_t i = 0; i < s->nchecks; i++)
		if (span_eq(s->checks[i].id, id))
			return &s->checks[i];
	return NULL;
}

void
spam_report(const struct eval *e, struct spam_report *out)
{
	const struct facts *f = e->facts;
	struct spam_symbol *v;

	*out = (struct spam_report){ .class = policy_spam_class(e->p, f), .score = f->spam_score };
	out->signs = e->signs;
	if (out->class == NULL)
		return;
	v = arena_array(e->arena, f->nspam_symbols, sizeof(*v));
	for (size_t i = 0; i < f->nspam_symbols; i++) {
		const struct spam_check *c = f->spam_by != SPAM_SOURCE_BUILT_IN ? NULL :
		    check_named(&e->p->spam, f->spam_symbols[i]);

		v[i] = (struct spam_symbol){ .name = f->spam_symbols[i] };
		if (c) {
			v[i].score = c->score;
			v[i].title = c->title;
		}
	}
	out->symbols = v;
	out->nsymbols = f->nspam_symbols;
}
