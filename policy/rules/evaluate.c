/* evaluate.c -- one message against the whole policy.
 *
 * Every rule that can hold is evaluated, for each recipient; the outcomes are
 * joined by taking the most restrictive, so no order of rules can matter.
 * Recipients that are in the same lists have the same verdict: they are one
 * class and cost one evaluation.
 *
 * What no rule speaks of is decided by the defaults, always towards caution:
 * a virus nobody judged is quarantined, content nobody could look into gets
 * on_unscannable, a scanner that did not answer on_scan_error. A rule that was
 * cancelled by `unless` or an exception has judged: that was its author's will.
 */
#include <stdlib.h>

#include "judge.h"
#include "record.h"

#define NEAR_MISSES 50

/* --- which rules to look at ------------------------------------------------------------------ */

static void
wake(const struct policy *p, uint32_t signal, uint64_t *rules)
{
	for (uint32_t i = p->signals.first[signal]; i < p->signals.first[signal + 1]; i++)
		bit_set(rules, p->signals.rules[i]);
}

/* A set that an address may be in wakes as one that it is in. */
static void
wake_sets(const struct eval *e, uint32_t base, const uint64_t *bits, uint64_t *rules)
{
	const struct policy *p = e->p;

	for (size_t w = 0; w < BITS_WORDS(p->sets.nsets); w++)
		for (uint64_t x = bits[w] | bits[e->words + w]; x; x &= x - 1)
			wake(p, base + (uint32_t)(w * 64 + (size_t)__builtin_ctzll(x)), rules);
}

/* Conditions on what is not known do not hold. */
static void
wake_facts(struct judge *j)
{
	const struct facts *f = j->e.facts;
	const struct policy *p = j->e.p;
	uint32_t flags = p->signals.flags;

	if (f->spf != AUTH_UNKNOWN)
		wake(p, flags + SIGNAL_SPF, j->base);
	if (f->dkim != AUTH_UNKNOWN)
		wake(p, flags + SIGNAL_DKIM, j->base);
	if (f->dmarc != AUTH_UNKNOWN)
		wake(p, flags + SIGNAL_DMARC, j->base);
	if (f->arc != AUTH_UNKNOWN)
		wake(p, flags + SIGNAL_ARC, j->base);
	if (f->bounce != BOUNCE_UNKNOWN)
		wake(p, flags + SIGNAL_BOUNCE, j->base);
	if (f->dnsbl_known)
		wake(p, flags + SIGNAL_DNSBL, j->base);
	if (f->spam_known)
		wake(p, flags + SIGNAL_SPAM, j->base);
	if (f->reputation_known)
		wake(p, flags + SIGNAL_REPUTATION, j->base);
	if (f->lists_known && f->nlistings)
		wake(p, flags + SIGNAL_LISTED, j->base);
	if (f->bayes_known)
		wake(p, flags + SIGNAL_BAYES, j->base);
	if (f->experience_known)
		wake(p, flags + SIGNAL_EXPERIENCE, j->base);
}

static void
wake_message(struct judge *j)
{
	const struct policy *p = j->e.p;
	const struct signals *s = &p->signals;
	const struct detection *d = &j->e.detection;

	memcpy(j->base, s->always, BITS_WORDS(p->nrules) * sizeof(*j->base));
	for (uint32_t i = s->detectors; i < s->from; i++)
		if ((d->first && d->first[i] < d->first[i + 1]) ||
		    (j->e.recorded && j->e.recorded->heard[i]))
			wake(p, i, j->base);
	wake_sets(&j->e, s->from, j->e.from, j->base);
	wake_sets(&j->e, s->header_from, j->e.header_from, j->base);
	if (j->e.files)
		wake(p, s->flags + SIGNAL_FILES, j->base);
	if (j->e.facts->av == AV_VIRUS || j->e.facts->av_kinds)
		wake(p, s->flags + SIGNAL_VIRUS, j->base);
	if (j->e.unscannable)
		wake(p, s->flags + SIGNAL_UNSCANNABLE, j->base);
	if (j->e.encrypted)
		wake(p, s->flags + SIGNAL_ENCRYPTED, j->base);
	if (j->e.recorded && j->e.recorded->record->cut) {
		wake(p, s->flags + SIGNAL_FILES, j->base);
		wake(p, s->flags + SIGNAL_ENCRYPTED, j->base);
	}
	if (j->e.an->defects)
		wake(p, s->flags + SIGNAL_DEFECT, j->base);
	if (j->e.an->nurls || (j->e.an->defects & DEFECT_URLS_CUT) || j->e.recorded)
		wake(p, s->flags + SIGNAL_URLS, j->base);
	wake_facts(j);
}

/* --- one class of recipients -------------------------------------------------------------------- */

static bool
excepted(struct eval *e, const struct rule *r)
{
	for (size_t i = 0; i < r->nexceptions; i++) {
		const struct exception *x = &e->p->exceptions[r->exceptions[i]];

		if ((!x->until || e->facts->now < x->until) && eval_all(e, x->when, x->nwhen))
			return true;
	}
	return false;
}

static bool
direction_fits(const struct eval *e, const struct rule *r)
{
	/* a direction nobody told may be either */
	return r->direction == DIRECTION_NONE || e->env->direction == DIRECTION_NONE ||
	    r->direction == e->env->direction;
}

/* Of a record: what is unknown speaks for the rule in `when` when it speaks against its being
 * cancelled, and the other way round. */
static void
assume(struct judge *j, bool when)
{
	if (j->e.recorded)
		j->e.recorded->assume = j->e.recorded->high == when;
}

/* Conditions are built of atoms with "any" and "all" alone: with all that cannot be said taken for
 * yes they hold when they can hold, taken for no when they must. */
enum holds { HOLDS_NOT, HOLDS_PERHAPS, HOLDS };

static bool
hit_by(struct judge *j, const struct rule *r)
{
	return eval_all(&j->e, r->when, r->nwhen);
}

static bool
cancelled_by(struct judge *j, const struct rule *r)
{
	return eval_any(&j->e, r->unless, r->nunless) || excepted(&j->e, r);
}

static enum holds
how_sure(struct judge *j, const struct rule *r,
    bool (*ask)(struct judge *j, const struct rule *r))
{
	enum holds h = HOLDS_NOT;

	j->e.assumed = false;
	j->e.assume = true;
	if (ask(j, r)) {
		j->e.assume = false;
		h = !j->e.assumed || ask(j, r) ? HOLDS : HOLDS_PERHAPS;
	}
	j->e.assume = false;
	return h;
}

static void
rule_judge(struct judge *j, uint32_t i)
{
	const struct rule *r = &j->e.p->rules[i];
	enum holds hit, cancelled;
	struct span reason;

	assume(j, true);
	if (j->modes[i] == MODE_OFF || !direction_fits(&j->e, r))
		return;
	if ((hit = how_sure(j, r, hit_by)) == HOLDS_NOT) {
		judge_look(j, i, LOOKED_NEAR);
		return;
	}
	if (j->modes[i] == MODE_ENFORCE && hit == HOLDS) {
		j->virus_judged |= r->judges_virus;
		j->suspect_judged |= r->judges_suspect;
		j->unscannable_judged |= r->judges_unscannable;
	}
	assume(j, false);
	if ((cancelled = how_sure(j, r, cancelled_by)) == HOLDS) {
		if (hit == HOLDS)
			j->skipped[j->nskipped++] = i;
	} else if (hit == HOLDS_PERHAPS || cancelled == HOLDS_PERHAPS)
		j->unsure |= j->modes[i] == MODE_ENFORCE;
	else if (j->modes[i] == MODE_ENFORCE && override_given(&j->e, r, &reason))
		judge_overridden(j, r, reason);
	else if (j->modes[i] == MODE_SHADOW)
		j->shadow[j->nshadow++] = i;
	else
		j->hits[j->nhits++] = r;
	judge_look(j, i, hit == HOLDS_PERHAPS || cancelled == HOLDS_PERHAPS ? LOOKED_UNSURE :
	    cancelled == HOLDS ? LOOKED_SKIPPED : j->modes[i] == MODE_SHADOW ? LOOKED_SHADOW :
	    LOOKED_HIT);
}

static void
hit_defaults(struct judge *j)
{
	const struct policy *p = j->e.p;

	if (j->e.facts->av == AV_VIRUS && !j->virus_judged)
		judge_hit(j, "defaults/virus", OUTCOME_QUARANTINE, SPAN_LIT("virus"), "");
	else if (j->e.facts->av != AV_VIRUS && j->e.facts->av_kinds && !j->suspect_judged)
		judge_hit(j, "defaults/suspect", OUTCOME_QUARANTINE, SPAN_LIT("suspect"), "");
	if (j->e.facts->av == AV_FAILED)
		judge_hit(j, "defaults/on_scan_error", p->on_scan_error, SPAN_LIT("unscannable"),
		    "The message cannot be checked right now, try again later");
	if (j->unsure)
		judge_hit(j, "defaults/directory", OUTCOME_DEFER, (struct span){ 0 },
		    "A group cannot be looked up right now, try again later");
	if (j->e.unscannable && !j->unscannable_judged)
		judge_hit(j, "defaults/on_unscannable", p->on_unscannable, SPAN_LIT("unscannable"),
		    "The message could not be examined");
}

static void
near_misses(struct judge *j)
{
	const struct policy *p = j->e.p;
	struct verdict *v = j->out;

	for (size_t i = 0; i < p->nrules && v->nnear_misses < NEAR_MISSES; i++) {
		const struct rule *r = &p->rules[i];
		const struct cond *failed = NULL;
		size_t nfailed = 0;
		bool partly = false, had = false;
		struct span why;

		if (j->modes[i] == MODE_OFF || !direction_fits(&j->e, r))
			continue;
		for (size_t k = 0; k < r->nwhen && nfailed < 2; k++)
			if (!eval_cond(&j->e, &r->when[k])) {
				failed = &r->when[k];
				nfailed++;
			}
		if (nfailed != 1)
			continue;
		why = eval_why_not(&j->e, failed, &partly);
		if (r->nwhen < 2 && !partly)
			continue;
		for (size_t k = 0; k < v->nnear_misses && !had; k++)
			had = span_eq(v->near_misses[k].rule, r->id) &&
			    span_eq(v->near_misses[k].text, why);
		if (!had)
			v->near_misses[v->nnear_misses++] = (struct near_miss){ r->id, why };
	}
}

static void
woken_judge(struct judge *j, size_t words, bool shadow)
{
	eval_as_shadow(&j->e, shadow);
	for (size_t w = 0; w < words; w++)
		for (uint64_t x = j->woken[w]; x; x &= x - 1) {
			uint32_t i = (uint32_t)(w * 64 + (size_t)__builtin_ctzll(x));

			if ((j->modes[i] == MODE_SHADOW) != shadow)
				continue;
			if (!eval_spend(&j->e, 1))
				goto out;
			rule_judge(j, i);
		}
out:
	eval_as_shadow(&j->e, false);
}

static void
class_judge(struct judge *j, struct class *c)
{
	const struct policy *p = j->e.p;
	size_t words = BITS_WORDS(p->nrules);

	j->nhits = j->nshadow = j->nskipped = j->noverridden = 0;
	j->virus_judged = j->suspect_judged = j->unscannable_judged = j->unsure = false;
	j->e.to = c->bits;
	memcpy(j->woken, j->base, words * sizeof(*j->woken));
	wake_sets(&j->e, p->signals.to, c->bits, j->woken);
	woken_judge(j, words, false);
	woken_judge(j, words, true);
	hit_defaults(j);
	judge_failed_edits(j);
	*c = (struct class){ .bits = c->bits };
	judge_join(j, c);
}

/* --- variants ---------------------------------------------------------------------------------------- */

static bool
edits_equal(const struct variant *a, const struct edit *v, size_t n)
{
	if (a->nedits != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (a->edits[i].offset != v[i].offset || a->edits[i].size != v[i].size ||
		    !span_eq(a->edits[i].with, v[i].with))
			return false;
	return true;
}

static uint16_t
variant_of(struct judge *j, const struct class *classes, size_t at)
{
	const struct class *c = &classes[at];
	struct verdict *v = j->out;
	struct edit *edits;
	size_t n;

	if (c->nedits == 0)
		return 0;
	if (j->e.recorded)
		return VARIANT_UNKNOWN;
	for (size_t i = 0; i < at; i++)
		if (classes[i].nedits == c->nedits &&
		    memcmp(classes[i].edits, c->edits, c->nedits * sizeof(*c->edits)) == 0)
			return classes[i].decision.variant;
	edits = edits_build(&j->e, c->edits, c->nedits, &n);
	for (size_t i = 0; i < v->nvariants; i++)
		if (edits_equal(&v->variants[i], edits, n))
			return (uint16_t)i;
	v->variants[v->nvariants] = (struct variant){ edits, n };
	return (uint16_t)v->nvariants++;
}

/* --- findings ---------------------------------------------------------------------------------------- */

struct seen {			/* while the matches of one detector are put together */
	uint32_t surface;
	uint64_t value;
};

static int
seen_order(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;

	if (x->surface != y->surface)
		return x->surface < y->surface ? -1 : 1;
	return (x->value > y->value) - (x->value < y->value);
}

static void
finding_add(struct finding *f, uint64_t *values, const struct match *m)
{
	struct place *places = (struct place *)f->places;
	struct span *masked = (struct span *)f->masked;

	f->count++;
	if (m->confidence > f->confidence)
		f->confidence = m->confidence;
	if (f->nplaces < FINDING_PLACES)
		places[f->nplaces++] = m->place;
	for (size_t i = 0; i < f->nmasked; i++)
		if (values[i] == m->value)
			return;
	if (f->nmasked < FINDING_PLACES) {
		values[f->nmasked] = m->value;
		masked[f->nmasked++] = m->masked;
	}
}

static void
detector_findings(struct judge *j, uint32_t detector, struct finding *at, size_t *n)
{
	const struct detection *d = &j->e.detection;
	const struct anatomy *an = j->e.an;
	struct arena *a = j->e.arena;
	uint32_t from = d->first[detector], count = d->first[detector + 1] - from;
	struct seen *seen = arena_array(a, count, sizeof(*seen));
	struct finding **of = arena_array(a, an->nsurfaces, sizeof(*of));
	uint64_t **values = arena_array(a, an->nsurfaces, sizeof(*values));
	struct span grade = detectors_grade_text(j->e.p->detectors, d, detector, a);

	for (uint32_t i = 0; i < count; i++) {
		const struct match *m = &d->matches[from + i];
		const struct surface *s = &an->surfaces[m->surface];
		struct finding *f = of[m->surface];

		if (!f) {
			f = of[m->surface] = &at[(*n)++];
			*f = (struct finding){ .detector = detectors_id(j->e.p->detectors, detector),
				.part = an->parts[s->part].number, .where = where_name(s->where),
				.name = s->name, .origin = s->origin, .grade = grade,
				.places = arena_array(a, FINDING_PLACES, sizeof(struct place)),
				.masked = arena_array(a, FINDING_PLACES, sizeof(struct span)) };
			values[m->surface] = arena_array(a, FINDING_PLACES, sizeof(uint64_t));
		}
		finding_add(f, values[m->surface], m);
		seen[i] = (struct seen){ m->surface, m->value };
	}
	qsort(seen, count, sizeof(*seen), seen_order);
	for (uint32_t i = 0; i < count; i++)
		if (i == 0 || seen_order(&seen[i - 1], &seen[i]) != 0)
			of[seen[i].surface]->distinct++;
}

static void
findings(struct judge *j)
{
	const struct detection *d = &j->e.detection;
	uint32_t ndet = d->first && j->e.p->detectors ?
	    (uint32_t)detectors_count(j->e.p->detectors) : 0;
	size_t max = 0, n = 0;

	for (uint32_t i = 0; i < ndet; i++) {
		size_t count = d->first[i + 1] - d->first[i];

		max += count < j->e.an->nsurfaces ? count : j->e.an->nsurfaces;
	}
	if (max == 0)
		return;
	j->out->findings = arena_array(j->e.arena, max, sizeof(*j->out->findings));
	for (uint32_t i = 0; i < ndet; i++) {
		struct span id = detectors_id(j->e.p->detectors, i);

		if (d->first[i] < d->first[i + 1] && !(id.n && id.p[0] == ' '))
			detector_findings(j, i, j->out->findings, &n);
	}
	j->out->nfindings = n;
}

/* --- the whole -------------------------------------------------------------------------------------- */

static void
set_modes(struct judge *j)
{
	static const char *const names[] = { "off", "shadow", "enforce" };
	const struct policy *p = j->e.p;

	j->modes = arena_alloc(j->e.arena, p->nrules + 1);
	for (size_t i = 0; i < p->nrules; i++)
		j->modes[i] = (unsigned char)p->rules[i].mode;
	for (size_t k = 0; j->opt && k < j->opt->nas_if; k++) {
		const struct rule *r = policy_rule(p, j->opt->as_if[k].rule);

		for (unsigned char m = 0; r && m < 3; m++)
			if (span_is(j->opt->as_if[k].mode, names[m]))
				j->modes[r - p->rules] = m;
	}
}

/* Puts each recipient into a class; recipients in the same sets share one. */
static size_t
classify(struct judge *j, struct class *classes, uint32_t *of)
{
	static const uint8_t key[16] = "recipient class";
	const struct envelope *env = j->e.env;
	size_t words = 2 * j->e.words, n = 0, cap = 16;
	uint32_t *slots;

	while (cap < env->nrecipients * 2)
		cap *= 2;
	slots = arena_array(j->e.arena, cap, sizeof(*slots));
	j->e.every = arena_array(j->e.arena, env->nrecipients * words + 1, sizeof(uint64_t));
	for (size_t i = 0; i < env->nrecipients; i++) {
		uint64_t *bits = j->e.every + i * words;
		size_t at;

		eval_sets(&j->e, env->recipients[i].address, i + 1, bits);
		bits[LISTED_WORD(&j->e)] = listed_mask(j->e.facts, i);
		at = env->nrecipients == 1 ? 0 :
		    (size_t)siphash(key, bits, words * sizeof(*bits)) & (cap - 1);
		while (slots[at] && memcmp(classes[slots[at] - 1].bits, bits,
		    words * sizeof(*bits)) != 0)
			at = (at + 1) & (cap - 1);
		if (!slots[at]) {
			classes[n].bits = bits;
			slots[at] = (uint32_t)++n;
		}
		of[i] = slots[at] - 1;
	}
	return n;
}

/* A condition that gave up only now makes the message unscannable: rules that ask for that
 * have already been asked. Once more, with what is known. */
static void
judge_classes(struct judge *j, struct class *classes, size_t n)
{
	const struct policy *p = j->e.p;
	bool before = j->e.unscannable;

	for (size_t i = 0; i < n; i++) {
		j->class = (uint32_t)i;
		class_judge(j, &classes[i]);
	}
	if (j->e.unscannable == before)
		return;
	for (size_t i = 0; i < p->natoms; i++)
		if (p->atoms[i].kind == ATOM_UNSCANNABLE)
			j->e.memo[i] = 0;
	wake(p, p->signals.flags + SIGNAL_UNSCANNABLE, j->base);
	if (j->e.steps == 0)
		j->e.steps = EVAL_STEPS;
	for (size_t i = 0; i < n; i++) {
		j->class = (uint32_t)i;
		class_judge(j, &classes[i]);
	}
}

void
policy_judge(const struct policy *p, const struct anatomy *an, const struct envelope *env,
    const struct facts *facts, const struct policy_options *opt, struct arena *a,
    struct verdict *out)
{
	int64_t (*watch)(void) = opt ? opt->stopwatch : NULL;
	int64_t from = watch ? watch() : 0, detect = 0;
	struct eval e;

	ASSERT(!p->limits_only && an->nparts > 0 && env->nrecipients <= ENVELOPE_RECIPIENTS_MAX);
	eval_begin(&e, p, an, env, facts, a, watch, &detect);
	eval_judge(&e, opt, out);
	out->us_detect = detect;
	if (watch)
		out->us_evaluate = watch() - from - detect;
}

void
eval_judge(struct eval *e, const struct policy_options *opt, struct verdict *out)
{
	struct judge j = { .out = out, .opt = opt };
	const struct policy *p = e->p;
	const struct envelope *env = e->env;
	struct arena *a = e->arena;
	struct class *classes;
	uint32_t *of;
	size_t n;

	*out = (struct verdict){ 0 };
	spam_rate(e);
	j.e = *e;
	set_modes(&j);
	j.base = arena_array(a, BITS_WORDS(p->nrules) + 1, sizeof(*j.base));
	j.woken = arena_array(a, BITS_WORDS(p->nrules) + 1, sizeof(*j.woken));
	j.hits = arena_array(a, 2 * p->nrules + 6, sizeof(*j.hits));
	j.shadow = arena_array(a, p->nrules + 1, sizeof(*j.shadow));
	j.skipped = arena_array(a, p->nrules + 1, sizeof(*j.skipped));
	if (opt && opt->told && !e->recorded)
		j.looked = arena_zalloc(a, p->nrules + 1);
	classes = arena_array(a, env->nrecipients + 1, sizeof(*classes));
	of = arena_array(a, env->nrecipients + 1, sizeof(*of));
	n = classify(&j, classes, of);
	wake_message(&j);
	judge_classes(&j, classes, n);
	judge_clean(&j, classes, n);

	out->variants = arena_array(a, n + 1, sizeof(*out->variants));
	out->nvariants = 1;
	for (size_t i = 0; i < n; i++)
		classes[i].decision.variant = variant_of(&j, classes, i);
	out->decisions = arena_array(a, env->nrecipients + 1, sizeof(*out->decisions));
	out->ndecisions = env->nrecipients;
	for (size_t i = 0; i < env->nrecipients; i++) {
		out->decisions[i] = classes[of[i]].decision;
		ASSERT(out->decisions[i].outcome != OUTCOME_UNJUDGED);
	}
	if (e->recorded)
		recorded_variants(e, out);
	findings(&j);
	url_evidence(&j.e, out);
	if (!e->recorded) {
		judge_refused(&j, classes, n);
		judge_notices(&j, classes, n, of);
	}
	if (opt && opt->near_misses) {
		out->near_misses = arena_array(a, NEAR_MISSES, sizeof(*out->near_misses));
		for (size_t i = 0; i < n; i++) {
			j.e.to = classes[i].bits;
			near_misses(&j);
		}
	}
	if (j.looked)
		judge_tell(&j, classes, n, of);
	spam_report(&j.e, &out->spam);
	out->unscannable = j.e.unscannable;
	out->undecided = j.e.detection.undecided;
	if (opt && opt->record)
		out->record = record_make(&j.e, out);
}
