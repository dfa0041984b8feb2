/* join.c -- one decision of all the rules that hit, for one class of recipients.
 *
 * The most restrictive outcome wins; what it hides is not forgotten: a hold knows
 * whose approvals it needs and what the message will be once it has them
 * (`after`), so that releasing it never undoes another rule.
 */
#include "judge.h"
#include "record.h"

void
judge_hit(struct judge *j, const char *id, enum outcome o, struct span queue, const char *text)
{
	struct rule *r;

	if (o == OUTCOME_DELIVER)
		return;
	r = arena_zalloc(j->e.arena, sizeof(*r));
	r->id = span_str(id);
	r->severity = SEVERITY_LOW;
	r->file_atom = -1;
	r->then.outcome = o;
	r->then.code = o == OUTCOME_REJECT ? SPAN_LIT("5.7.1") : SPAN_LIT("4.7.1");
	r->then.text = span_str(text);
	r->then.queue = queue;
	if (o == OUTCOME_HOLD)
		r->then.queue = j->e.p->contact.n ? j->e.p->contact : SPAN_LIT("postmaster");
	j->hits[j->nhits++] = r;
}

void
judge_overridden(struct judge *j, const struct rule *r, struct span reason)
{
	if (!j->overridden)
		j->overridden = arena_array(j->e.arena, j->e.p->nrules, sizeof(*j->overridden));
	j->overridden[j->noverridden++] = (struct overridden){ r->id, reason };
}

void
judge_failed_edits(struct judge *j)
{
	for (size_t i = 0, n = j->nhits; i < n; i++) {
		const struct rule *r = j->hits[i];

		if (r->then.on_fail == OUTCOME_UNJUDGED || !(j->e.recorded ?
		    recorded_refused(&j->e, r->id) : edit_plan(&j->e, r)->nrefused > 0))
			continue;
		judge_hit(j, arena_printf(j->e.arena, SPAN_FMT "/on_fail", SPAN_ARG(r->id)),
		    r->then.on_fail, SPAN_LIT("refused-edits"),
		    "A part of the message cannot be changed as the policy asks");
	}
}

/* Whose text or queue counts: the highest severity, then the first id. Hits are sorted by id. */
static const struct rule *
leader(const struct judge *j, enum outcome o)
{
	const struct rule *best = NULL;

	for (size_t i = 0; i < j->nhits; i++)
		if (j->hits[i]->then.outcome == o && (!best || j->hits[i]->severity > best->severity))
			best = j->hits[i];
	return best;
}

/* Adds x unless it stands there; the array has room. */
static void
span_add(struct span *v, size_t *n, struct span x)
{
	for (size_t i = 0; i < *n; i++)
		if (span_eq(v[i], x))
			return;
	v[(*n)++] = x;
}

static void
join_holds(struct judge *j, struct decision *d)
{
	struct span *queues = arena_array(j->e.arena, j->nhits, sizeof(*queues));
	int64_t shortest = 0;
	size_t n = 0;

	for (size_t i = 0; i < j->nhits; i++) {
		const struct effects *t = &j->hits[i]->then;

		if (t->outcome != OUTCOME_HOLD)
			continue;
		if (t->expires && (!shortest || t->expires < shortest ||
		    (t->expires == shortest && t->on_expire > d->on_expire))) {
			shortest = t->expires;
			d->on_expire = t->on_expire;
		}
		span_add(queues, &n, t->queue);
	}
	for (size_t i = 0; i < n; i++)
		d->queue = text_join(j->e.arena, d->queue, ",", queues[i]);
	d->expires = shortest ? j->e.facts->now + shortest : 0;
}

static void
join_redirects(struct judge *j, struct decision *d)
{
	struct span *v;
	size_t n = 0, max = 0;

	for (size_t i = 0; i < j->nhits; i++)
		max += j->hits[i]->then.redirect.n;
	if (max == 0)
		return;
	v = arena_array(j->e.arena, max, sizeof(*v));
	for (size_t i = 0; i < j->nhits; i++)
		for (size_t k = 0; k < j->hits[i]->then.redirect.n; k++)
			span_add(v, &n, j->hits[i]->then.redirect.v[k]);
	d->redirect = v;
	d->nredirect = n;
}

static void
join_needs(struct judge *j, struct decision *d)
{
	struct hold_need *v = arena_array(j->e.arena, j->nhits + 1, sizeof(*v));
	const struct rule *quarantine = leader(j, OUTCOME_QUARANTINE);

	d->after = OUTCOME_DELIVER;
	for (size_t i = 0; i < j->nhits; i++) {
		const struct effects *t = &j->hits[i]->then;

		if (t->outcome == OUTCOME_HOLD)
			v[d->nholds++] = (struct hold_need){ j->hits[i]->id, t->queue, t->approvals,
				t->approvers.v, t->approvers.n,
				span_str(language_names[language_of(&j->e)]) };
		else if (t->outcome > d->after)
			d->after = t->outcome;
	}
	d->holds = v;
	if (d->after == OUTCOME_QUARANTINE)
		d->after_queue = quarantine->then.queue;
}

/* In quarantine now, or once a hold is approved: the most that a rule asks for. */
static uint8_t
join_approvals(const struct judge *j)
{
	uint8_t most = 0;

	for (size_t i = 0; i < j->nhits; i++) {
		const struct effects *t = &j->hits[i]->then;

		if (t->outcome == OUTCOME_QUARANTINE && t->approvals > most)
			most = t->approvals;
	}
	return most > 1 ? most : 0;
}

/* A sender who may lift the rule is told how. */
static struct span
reply_text(struct judge *j, const struct rule *r)
{
	struct span text = r->then.text.n ? r->then.text : SPAN_LIT("Refused by policy ($rule)");

	if (!override_offered(&j->e, r) || memmem(text.p, text.n, "override", 8))
		return text;
	return text_join(j->e.arena, text, "; ", r->then.override->in_subject ?
	    SPAN_LIT("to send it all the same, add [override: reason] to the subject") :
	    SPAN_LIT("to send it all the same, add a header X-Postern-Override: reason"));
}

/* What takes the words of an override out of a message. */
static const struct rule *
cleaner(struct judge *j)
{
	if (!j->cleaner) {
		j->cleaner = arena_zalloc(j->e.arena, sizeof(*j->cleaner));
		j->cleaner->id = SPAN_LIT("override");
		j->cleaner->file_atom = -1;
		j->cleaner->then.clean_override = true;
	}
	return j->cleaner;
}

static const struct span *
ids_of(struct judge *j, const uint32_t *rules, size_t n)
{
	struct span *v = arena_array(j->e.arena, n ? n : 1, sizeof(*v));

	for (size_t i = 0; i < n; i++)
		v[i] = j->e.p->rules[rules[i]].id;
	return v;
}

void
judge_join(struct judge *j, struct class *c)
{
	struct decision *d = &c->decision;
	struct span *ids = arena_array(j->e.arena, j->nhits ? j->nhits : 1, sizeof(*ids));
	const struct rule *r;
	bool unedited;

	d->outcome = OUTCOME_DELIVER;
	for (size_t i = 0; i < j->nhits; i++) {
		const struct effects *t = &j->hits[i]->then;

		ids[i] = j->hits[i]->id;
		if (t->outcome > d->outcome)
			d->outcome = t->outcome;
		if (t->require_tls > d->require_tls)
			d->require_tls = t->require_tls;
	}
	d->rules = ids;
	d->nrules = j->nhits;
	d->shadow = ids_of(j, j->shadow, j->nshadow);
	d->nshadow = j->nshadow;
	d->skipped = ids_of(j, j->skipped, j->nskipped);
	d->nskipped = j->nskipped;
	switch (d->outcome) {
	case OUTCOME_REJECT:
	case OUTCOME_DEFER:
		r = leader(j, d->outcome);
		d->reply = expand_reply(&j->e, r, r->then.code, reply_text(j, r), REPLY_MAX);
		break;
	case OUTCOME_HOLD:
		join_holds(j, d);
		join_needs(j, d);
		d->approvals = join_approvals(j);
		break;
	case OUTCOME_QUARANTINE:
		d->queue = leader(j, d->outcome)->then.queue;
		d->approvals = join_approvals(j);
		break;
	default:
		break;
	}
	if (d->outcome <= OUTCOME_HOLD && d->outcome != OUTCOME_DISCARD)
		join_redirects(j, d);
	/* what is refused or dropped goes nowhere, so nothing is written for it */
	unedited = d->outcome > OUTCOME_HOLD || d->outcome == OUTCOME_DISCARD;
	if (j->noverridden) {
		struct overridden *o = arena_array(j->e.arena, j->noverridden, sizeof(*o));

		memcpy(o, j->overridden, j->noverridden * sizeof(*o));
		d->overridden = o;
		d->noverridden = j->noverridden;
	}
	c->hits = arena_array(j->e.arena, j->nhits + 1, sizeof(*c->hits));
	if (j->nhits)
		memcpy(c->hits, j->hits, j->nhits * sizeof(*c->hits));
	c->nhits = j->nhits;
	c->edits = arena_array(j->e.arena, j->nhits + 1, sizeof(*c->edits));
	for (size_t i = 0; i < j->nhits && !unedited; i++)
		if (effects_edit(&j->hits[i]->then))
			c->edits[c->nedits++] = j->hits[i];
}

void
judge_clean(struct judge *j, struct class *classes, size_t n)
{
	bool any = false;

	for (size_t i = 0; i < n; i++)
		any |= classes[i].decision.noverridden > 0;
	for (size_t i = 0; i < n && any; i++)
		if (classes[i].decision.outcome <= OUTCOME_HOLD &&
		    classes[i].decision.outcome != OUTCOME_DISCARD)
			classes[i].edits[classes[i].nedits++] = cleaner(j);
}

/* The plan of a rule that was made; rules that needed none, and those of no policy, have none. */
static const struct edit_plan *
plan_of(const struct judge *j, const struct rule *r)
{
	const struct policy *p = j->e.p;

	if (!j->e.plans || r < p->rules || r >= p->rules + p->nrules ||
	    !j->e.plans[r - p->rules].made)
		return NULL;
	return &j->e.plans[r - p->rules];
}

void
judge_refused(struct judge *j, const struct class *classes, size_t n)
{
	struct verdict *v = j->out;
	size_t max = 0;

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < classes[i].nhits; k++)
			max += plan_of(j, classes[i].hits[k]) ? plan_of(j, classes[i].hits[k])->nrefused : 0;
	if (max == 0)
		return;
	v->refused = arena_array(j->e.arena, max, sizeof(*v->refused));
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < classes[i].nhits; k++) {
			const struct edit_plan *p = plan_of(j, classes[i].hits[k]);
			bool had = p == NULL || p->nrefused == 0;	/* or of another class */

			for (size_t s = 0; s < v->nrefused && !had; s++)
				had = span_eq(v->refused[s].rule, p->refused[0].rule);
			for (size_t s = 0; !had && s < p->nrefused; s++)
				v->refused[v->nrefused++] = p->refused[s];
		}
}
