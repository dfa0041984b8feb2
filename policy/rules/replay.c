/* replay.c -- a policy over a record, as if the message were there; see postern/record.h.
 *
 * The evaluation itself is that of evaluate.c: what the record knows is put
 * where eval_begin() would have put it. An unknown condition is asked twice,
 * once against the rules and once for them: conditions are joined by "and" and
 * "or" alone and turned only at the leaves, so what holds lies between the two.
 */
#include <stdlib.h>

#include "record.h"

#define NONE UINT32_MAX

struct record_plan {
	const struct policy *p;
	bool same;
	uint32_t *detectors;	/* of the manifest -> of the policy, or NONE */
	size_t ndetectors;
	bool *known;		/* detectors of the policy: the manifest has them too */
	uint32_t *texts;	/* of the policy -> of the manifest, or NONE */
	struct arena *arena;
};

static struct idtable *
index_names(const struct manifest_name *v, size_t n)
{
	struct idtable *t = idtable_new();

	for (size_t i = 0; i < n; i++)
		idtable_put(t, hash_numbers(v[i].hash, hash_spans(&v[i].name, 1)) | 1,
		    (void *)(uintptr_t)(i + 1));
	return t;
}

static uint32_t
index_find(const struct idtable *t, struct span name, uint64_t hash)
{
	uintptr_t at = (uintptr_t)idtable_get(t, hash_numbers(hash, hash_spans(&name, 1)) | 1);

	return at ? (uint32_t)(at - 1) : NONE;
}

struct record_plan *
record_plan_new(const struct policy *p, const struct manifest *m)
{
	struct arena *a = arena_new(0);
	struct record_plan *plan = arena_zalloc(a, sizeof(*plan));
	size_t ndet = p->detectors ? detectors_count(p->detectors) : 0;
	struct idtable *t = index_names(m->detectors, m->ndetectors);

	*plan = (struct record_plan){ .p = p, .same = m->key == p->manifest_key, .arena = a,
		.ndetectors = m->ndetectors };
	plan->detectors = arena_array(a, m->ndetectors + 1, sizeof(*plan->detectors));
	plan->known = arena_array(a, ndet + 1, sizeof(*plan->known));
	plan->texts = arena_array(a, p->ntexts + 1, sizeof(*plan->texts));
	memset(plan->detectors, 0xff, m->ndetectors * sizeof(*plan->detectors));
	for (size_t i = 0; i < ndet; i++) {
		struct span id = detectors_id(p->detectors, i);
		uint32_t at;

		if (id.n && id.p[0] == ' ')
			continue;
		at = index_find(t, id, detector_hash(p, (uint32_t)i));
		if (at == NONE)
			continue;
		plan->detectors[at] = (uint32_t)i;
		plan->known[i] = true;
	}
	idtable_free(&t);
	t = index_names(m->texts, m->ntexts);
	for (size_t i = 0; i < p->ntexts; i++) {
		const struct atom *atom = &p->atoms[p->texts[i]];

		plan->texts[i] = index_find(t, atom->key, atom_text_hash(p, atom));
	}
	idtable_free(&t);
	return plan;
}

void
record_plan_free(struct record_plan **plan)
{
	struct arena *a = *plan ? (*plan)->arena : NULL;

	*plan = NULL;
	arena_free(&a);
}

/* --- what was found, for the policy's own detectors --------------------------------------------- */

static uint32_t
translate(const struct record_plan *plan, uint32_t detector)
{
	return detector < plan->ndetectors ? plan->detectors[detector] : NONE;
}

static void
take_matches(const struct record_plan *plan, const struct record *r, struct eval *e)
{
	struct detection *d = &e->detection;
	size_t ndet = plan->p->detectors ? detectors_count(plan->p->detectors) : 0, total = 0;
	struct found_reader f;
	uint32_t *at;

	d->undecided = r->began_undecided;
	if (ndet == 0)
		return;
	d->first = arena_array(e->arena, ndet + 1, sizeof(*d->first));
	at = arena_array(e->arena, ndet + 1, sizeof(*at));
	record_found(&f, r);
	while (record_next_detector(&f)) {
		uint32_t to = translate(plan, f.detector);

		if (to != NONE)
			at[to] = f.n;	/* one that comes twice: the last one */
	}
	for (size_t i = 0; i < ndet; i++) {
		d->first[i] = (uint32_t)total;
		total += at[i];
		at[i] = d->first[i];
	}
	d->first[ndet] = (uint32_t)total;
	d->nmatches = total;
	d->matches = arena_array(e->arena, total + 1, sizeof(*d->matches));
	record_found(&f, r);
	while (record_next_detector(&f)) {
		uint32_t to = translate(plan, f.detector);

		while (to != NONE && record_next_match(&f)) {
			if (at[to] == d->first[to + 1])
				break;
			d->matches[at[to]++] = (struct match){ .detector = (uint16_t)to,
				.surface = f.surface, .confidence = f.confidence,
				.place = f.place, .value = (uint64_t)f.number + 1,
				.masked = f.masked };
		}
	}
	/* of one that came twice, more was promised than there is */
	for (size_t i = 0; i < ndet; i++)
		for (; at[i] < d->first[i + 1]; at[i]++)
			d->matches[at[i]] = (struct match){ .detector = (uint16_t)i, .value = 1,
				.confidence = CONFIDENCE_LOW };
}

/* What is kept of sums is judged by the thresholds of this policy. */
static void
take_grades(const struct record_plan *plan, const struct record *r, struct eval *e)
{
	struct detection *d = &e->detection;
	struct grades_reader reader;
	struct grade one;
	size_t max;

	if (d->first == NULL || r->grades.n == 0)
		return;
	record_grades(&reader, r);
	max = reader.left;
	d->grades = arena_array(e->arena, max + 1, sizeof(*d->grades));
	while (d->ngrades < max && record_next_grade(&reader, &one)) {
		uint32_t to = translate(plan, one.detector);

		if (to == NONE || !detectors_graded(plan->p->detectors, to))
			continue;
		one.detector = to;
		d->grades[d->ngrades++] = one;
	}
	grades_sort(d);
	detectors_rate(plan->p->detectors, d, r->an.surfaces);
}

static enum answer
recorded_answer(const struct record *r, uint32_t text)
{
	if (text == NONE || text / 4 >= r->texts.n)
		return ANSWER_UNKNOWN;
	return (enum answer)((unsigned char)r->texts.p[text / 4] >> (text % 4 * 2) & 3);
}

static void
take_answers(const struct record_plan *plan, const struct record *r, struct recorded *k,
    struct arena *a)
{
	const struct policy *p = plan->p;
	size_t ndet = p->detectors ? detectors_count(p->detectors) : 0;
	unsigned char *atoms = arena_zalloc(a, p->natoms + 1);
	bool *heard = arena_array(a, ndet + 1, sizeof(*heard));
	bool *known = plan->known;

	if (r->cut)
		known = arena_array(a, ndet + 1, sizeof(*known));
	for (size_t i = 0; i < p->ntexts; i++) {
		const struct atom *at = &p->atoms[p->texts[i]];

		atoms[p->texts[i]] = (unsigned char)recorded_answer(r, plan->texts[i]);
		if (at->kind == ATOM_TEXT && atoms[p->texts[i]] != ANSWER_NO)
			heard[p->measures[at->finds.measure].detector] = true;
	}
	for (size_t i = 0; i < ndet; i++) {
		struct span id = detectors_id(p->detectors, i);

		if (!known[i] && !(id.n && id.p[0] == ' '))
			heard[i] = true;
	}
	*k = (struct recorded){ .atoms = atoms, .detectors = known, .heard = heard, .record = r,
		.same = plan->same };
}

/* --- conditions ------------------------------------------------------------------------------------ */

static bool
unknown(struct recorded *k, const struct atom *a)
{
	if (!k->touched)
		k->why = a->key;
	k->touched = true;
	return k->assume;
}

static bool
group_recorded(const struct memberships *m, struct span group)
{
	for (size_t i = 0; i < m->ngroups; i++)
		if (span_eq_nocase(m->groups[i], group))
			return true;
	return false;
}

/* A directory that did not answer then is a fact; a group that the policy of then did not name is
 * only unknown here. */
bool
recorded_stranger(struct eval *e, const struct atom *a, bool *yes)
{
	const struct policy *p = e->p;

	for (size_t i = 0; i < p->nexternals; i++) {
		const struct setlist *l = &p->external_sets[i];

		if (group_recorded(&e->facts->members, p->externals[i]))
			continue;
		for (size_t k = 0; k < a->address.n; k++)
			for (uint32_t s = 0; s < l->n; s++)
				if (l->ids[s] == a->address.sets[k]) {
					*yes = unknown(e->recorded, a);
					return true;
				}
	}
	return false;
}

bool
recorded_atom(struct eval *e, uint32_t index, bool *yes)
{
	const struct atom *a = &e->p->atoms[index];
	struct recorded *k = e->recorded;

	switch (a->kind) {
	case ATOM_TEXT:
	case ATOM_HEADER:
	case ATOM_URL:
	case ATOM_SIGN:
		if (k->atoms[index] == ANSWER_GAVE_UP)
			eval_give_up(e);
		*yes = k->atoms[index] == ANSWER_UNKNOWN ? unknown(k, a) :
		    k->atoms[index] == ANSWER_YES;
		return true;
	case ATOM_FINDS:
		if (k->detectors[e->p->measures[a->finds.measure].detector])
			return false;
		*yes = unknown(k, a);
		return true;
	case ATOM_RANGE:
		if (!k->record->cut || a->quantity.what != QUANTITY_ATTACHMENTS)
			return false;
		*yes = unknown(k, a);
		return true;
	case ATOM_FILE:
	case ATOM_ENCRYPTED:
		if (!k->record->cut)
			return false;
		*yes = unknown(k, a);
		return true;
	default:
		return false;
	}
}

bool
recorded_refused(const struct eval *e, struct span rule)
{
	struct recorded *k = e->recorded;
	const struct verdict *was = &k->record->verdict;

	for (size_t i = 0; i < k->record->nrefused; i++)
		if (span_eq(k->record->refused[i], rule))
			return true;
	for (size_t i = 0; i < was->ndecisions; i++)
		for (size_t s = 0; s < was->decisions[i].nrules; s++)
			if (span_eq(was->decisions[i].rules[s], rule))
				return false;	/* it hit, and its edits were made */
	if (k->same)
		return false;
	if (!k->touched)
		k->why = rule;
	k->touched = true;
	return k->high;
}

/* Recipients with the same rules may have had other edits. So each one's own. */
void
recorded_variants(const struct eval *e, struct verdict *v)
{
	const struct verdict *was = &e->recorded->record->verdict;

	for (size_t i = 0; i < v->ndecisions; i++) {
		struct decision *d = &v->decisions[i];
		const struct decision *w = i < was->ndecisions ? &was->decisions[i] : NULL;
		bool equal = e->recorded->same && w && w->nrules == d->nrules &&
		    w->outcome == d->outcome;

		for (size_t k = 0; equal && k < d->nrules; k++)
			equal = span_eq(w->rules[k], d->rules[k]);
		if (equal)
			d->variant = w->variant;
	}
}

/* --- the whole -------------------------------------------------------------------------------------- */

static void
judge_once(const struct record_plan *plan, const struct record *r, struct recorded *k,
    const struct policy_options *opt, struct arena *a, struct verdict *out)
{
	struct eval e = { .p = plan->p, .an = &r->an, .env = &r->env, .given = &r->facts,
		.facts = &r->facts,		.arena = a, .recorded = k };

	take_matches(plan, r, &e);
	take_grades(plan, r, &e);
	eval_ready(&e);
	eval_judge(&e, opt, out);
	/* variant 0 is the message as it came; the others are only numbers here */
	if (out->nvariants < r->verdict.nvariants && plan->same) {
		out->variants = r->verdict.variants;
		out->nvariants = r->verdict.nvariants;
	}
}

static bool
outcomes_differ(const struct verdict *x, const struct verdict *y)
{
	for (size_t i = 0; i < x->ndecisions; i++)
		if (x->decisions[i].outcome != y->decisions[i].outcome)
			return true;
	return false;
}

void
record_replay(const struct record_plan *plan, const struct record *r,
    const struct policy_options *opt, struct arena *a, struct replay *out)
{
	struct recorded k;

	*out = (struct replay){ 0 };
	if (r->failed) {
		policy_verdict_failed(plan->p, &r->env, r->verdict.unscannable, r->reason, a,
		    &out->verdict);
		out->upper = out->verdict;
		return;
	}
	take_answers(plan, r, &k, a);
	judge_once(plan, r, &k, opt, a, &out->verdict);
	out->upper = out->verdict;
	if (r->exhausted) {	/* where it ended depends on what is not here */
		out->touched = out->unsure = true;
		out->why = SPAN_LIT("the budget of its evaluation");
		return;
	}
	if (!k.touched)
		return;
	out->why = k.why;
	k.high = true;
	judge_once(plan, r, &k, opt, a, &out->upper);
	out->touched = true;
	out->unsure = outcomes_differ(&out->verdict, &out->upper);
}

void
record_limit(const struct policy *p, const struct record *r, struct verdict *v)
{
	bool there = false;

	for (size_t i = 0; i < p->nlimits; i++)
		there |= span_eq(p->limits[i].id, r->limit_rule) &&
		    p->limits[i].then == OUTCOME_HOLD;
	for (size_t i = 0; there && i < v->ndecisions; i++)
		if (v->decisions[i].outcome < OUTCOME_HOLD) {
			v->decisions[i].outcome = OUTCOME_HOLD;
			v->decisions[i].queue = r->limit_queue;
			v->decisions[i].expires = 0;
			v->decisions[i].on_expire = OUTCOME_UNJUDGED;
		}
}

/* --- the same? --------------------------------------------------------------------------------------- */

static void
say_spans(struct buf *b, const char *what, const struct span *v, size_t n)
{
	buf_printf(b, " %s [", what);
	for (size_t i = 0; i < n; i++)
		buf_printf(b, "%s" SPAN_FMT, i ? ", " : "", SPAN_ARG(v[i]));
	buf_putc(b, ']');
}

static void
say_decision(struct buf *b, const struct decision *d)
{
	buf_puts(b, outcome_name(d->outcome));
	if (d->queue.n)
		buf_printf(b, " in " SPAN_FMT, SPAN_ARG(d->queue));
	say_spans(b, "rules", d->rules, d->nrules);
	if (d->nshadow)
		say_spans(b, "shadow", d->shadow, d->nshadow);
	if (d->nskipped)
		say_spans(b, "skipped", d->skipped, d->nskipped);
	if (d->nredirect)
		say_spans(b, "redirect", d->redirect, d->nredirect);
	if (d->reply.n)
		buf_printf(b, " reply \"" SPAN_FMT "\"", SPAN_ARG(d->reply));
	if (d->expires)
		buf_printf(b, " expires %lld then %s", (long long)d->expires,
		    outcome_name(d->on_expire));
	if (d->require_tls)
		buf_printf(b, " tls %d", d->require_tls);
	if (d->variant == VARIANT_UNKNOWN)
		buf_puts(b, " other edits");
	else if (d->variant)
		buf_printf(b, " variant %u", d->variant);
}

bool
verdict_same(const struct verdict *was, const struct verdict *is, const struct envelope *env,
    struct buf *why)
{
	bool same = was->ndecisions == is->ndecisions;

	if (was->unscannable != is->unscannable || was->undecided != is->undecided) {
		same = false;
		if (why)
			buf_printf(why, "unscannable %d, undecided %d; was %d, %d\n",
			    is->unscannable, is->undecided, was->unscannable, was->undecided);
	}
	for (size_t i = 0; i < was->ndecisions && i < is->ndecisions; i++) {
		if (decision_same(&was->decisions[i], &is->decisions[i]))
			continue;
		same = false;
		if (!why)
			return false;
		buf_printf(why, SPAN_FMT ": ", SPAN_ARG(env->recipients[i].address));
		say_decision(why, &is->decisions[i]);
		buf_puts(why, "; was ");
		say_decision(why, &was->decisions[i]);
		buf_putc(why, '\n');
	}
	return same;
}
