/* conditions.c -- asks atoms of one message.
 *
 * What is the same for every recipient is answered once and kept. What
 * depends on the recipient is one bit test, so it is not kept. Every step
 * that can be long (a regular expression over a header) takes from a budget;
 * when it is gone nothing is proved and the verdict says so.
 */
#include <stdio.h>

#include "record.h"

/* --- addresses ---------------------------------------------------------------------------- */

void
eval_sets(const struct eval *e, struct span address, size_t guess, uint64_t *bits)
{
	addrsets_find(&e->p->sets, address, bits);
	members_find(e->p, &e->facts->members, address, guess, bits, bits + e->words);
}

/* --- beginning -------------------------------------------------------------------------- */

static bool
file_counts(const struct part *part)
{
	return part->attachment && part->type != TYPE_MULTIPART;
}

/* `attachments` counts what the message carries, not what its archives hold. */
static bool
file_is_attached(const struct part *part)
{
	return file_counts(part) && !part->unpacked && !part->reading;
}

/* What a detector gives up on counts when something in force asks for it. */
static void
run_detectors(struct eval *e)
{
	struct detection *d = &e->detection;
	size_t n = detectors_count(e->p->detectors);

	detectors_run(e->p->detectors, e->an, e->arena, d);
	d->undecided = false;
	for (size_t i = 0; d->undecided_by && i < n && !d->undecided; i++)
		d->undecided = d->undecided_by[i] && bit_has(e->p->live, i);
}

void
eval_as_shadow(struct eval *e, bool shadow)
{
	uint64_t steps = e->steps;
	int64_t texts = e->texts;

	if (e->shadow == shadow)
		return;
	e->shadow = shadow;
	e->steps = e->shadow_steps;
	e->texts = e->shadow_texts;
	e->shadow_steps = steps;
	e->shadow_texts = texts;
}

void
eval_ready(struct eval *e)
{
	const struct policy *p = e->p;
	const struct anatomy *an = e->an;
	struct arena *a = e->arena;

	e->steps = e->shadow_steps = EVAL_STEPS;
	e->texts = e->shadow_texts = DETECT_TEXTS_STEPS;
	e->only_file = PART_NONE;
	e->began_undecided = e->detection.undecided;
	e->memo = arena_zalloc(a, p->natoms + 1);
	e->tallies = arena_array(a, p->nmeasures + 1, sizeof(*e->tallies));
	e->words = BITS_WORDS(p->sets.nsets) + 1;
	e->from = arena_array(a, 2 * e->words, sizeof(*e->from));
	e->header_from = arena_array(a, 2 * e->words, sizeof(*e->header_from));
	eval_sets(e, e->env->sender, 0, e->from);
	if (an->header_from.n)
		eval_sets(e, an->header_from, e->env->nrecipients + 1, e->header_from);
	for (size_t i = 0; i < an->nparts; i++) {
		e->nfiles += file_is_attached(&an->parts[i]);
		e->files |= file_counts(&an->parts[i]);
		e->encrypted |= an->parts[i].encrypted;
	}
	e->unscannable = (an->defects & DEFECTS_UNSCANNABLE) || e->facts->av == AV_UNSCANNABLE ||
	    e->detection.undecided;
}

void
eval_begin(struct eval *e, const struct policy *p, const struct anatomy *an,
    const struct envelope *env, const struct facts *facts, struct arena *a,
    int64_t (*stopwatch)(void), int64_t *us_detect)
{
	int64_t from = stopwatch ? stopwatch() : 0;

	*e = (struct eval){ .p = p, .an = an, .env = env, .given = facts, .facts = facts, .arena = a };
	if (p->detectors)
		run_detectors(e);
	if (stopwatch && us_detect)
		*us_detect = stopwatch() - from;
	eval_ready(e);
}

void
eval_give_up(struct eval *e)
{
	e->gave_up = true;
	if (!e->shadow)
		e->detection.undecided = e->unscannable = true;
}

bool
eval_spend(struct eval *e, uint64_t steps)
{
	if (e->steps > steps) {
		e->steps -= steps;
		return true;
	}
	e->steps = 0;
	e->exhausted = true;
	eval_give_up(e);
	return false;
}

/* --- small matters ---------------------------------------------------------------------------- */

static bool
range_has(const struct range *r, uint64_t v)
{
	return (!r->has_over || v > r->over) && (!r->has_under || v < r->under);
}

static size_t
utf8_step(struct span s, size_t i)
{
	do
		i++;
	while (i < s.n && ((unsigned char)s.p[i] & 0xc0) == 0x80);
	return i;
}

/* Linear in practice and quadratic at worst: one place to come back to. */
static bool
glob_within(struct span g, struct span s, uint64_t *steps)
{
	size_t gi = 0, si = 0, star = SIZE_MAX, from = 0;

	while (si < s.n) {
		if (*steps == 0)
			return false;
		--*steps;
		if (gi < g.n && g.p[gi] == '*') {
			star = gi++;
			from = si;
		} else if (gi < g.n && g.p[gi] == '?') {
			gi++;
			si = utf8_step(s, si);
		} else if (gi < g.n && ascii_lower(g.p[gi]) == ascii_lower(s.p[si])) {
			gi++;
			si++;
		} else if (star != SIZE_MAX) {
			gi = star + 1;
			si = ++from;
		} else {
			return false;
		}
	}
	while (gi < g.n && g.p[gi] == '*')
		gi++;
	return gi == g.n;
}

bool
glob_match(struct span g, struct span s)
{
	uint64_t steps = UINT64_MAX;

	return glob_within(g, s, &steps);
}

/* Windows drops dots and spaces at the end of a name: "a.exe. " is an exe. */
static struct span
name_end(struct span s)
{
	while (s.n && (s.p[s.n - 1] == '.' || s.p[s.n - 1] == ' '))
		s.n--;
	return s;
}

static struct span
extension(struct span name)
{
	struct span s = name_end(name);
	size_t i = s.n;

	while (i > 0 && s.p[i - 1] != '.')
		i--;
	return i ? span_from(s, i) : (struct span){ 0 };
}

static bool
name_in(const struct spans *globs, struct span name, uint64_t *steps)
{
	struct span end = name_end(name);

	for (size_t i = 0; i < globs->n; i++)
		if (glob_within(globs->v[i], name, steps) ||
		    (end.n < name.n && glob_within(globs->v[i], end, steps)))
			return true;
	return globs->n == 0;
}

static bool
extension_in(const struct spans *list, struct span name)
{
	struct span ext = extension(name);

	for (size_t i = 0; i < list->n; i++)
		if (ext.n && span_eq_nocase(list->v[i], ext))
			return true;
	return list->n == 0;
}

static bool
named(const struct file_cond *f, struct span name, uint64_t *steps)
{
	return extension_in(&f->extensions, name) && name_in(&f->names, name, steps);
}

/* Any of the names that its headers give will do. */
static bool
any_named(const struct file_cond *f, const struct part *part, uint64_t *steps)
{
	for (size_t i = 0; i < part->naliases; i++)
		if (named(f, part->aliases[i], steps))
			return true;
	return named(f, part->name, steps);
}

bool
eval_file(const struct file_cond *f, const struct part *part, uint64_t *steps)
{
	*steps -= *steps > 0;
	if (!file_counts(part))
		return false;
	if (f->has_types && !bit_has(f->types, part->type) &&
	    !(f->macros && part->defects & DEFECT_MACRO))
		return false;
	if (f->encryptions && !(f->encryptions >> part->encryption & 1))
		return false;
	if (f->encrypted >= 0 && part->encrypted != (f->encrypted == 1))
		return false;
	if (f->mismatch >= 0 && !!(part->defects & DEFECT_TYPE_MISMATCH) != (f->mismatch == 1))
		return false;
	return range_has(&f->size, part->decoded.n) && range_has(&f->depth, part->depth) &&
	    any_named(f, part, steps);
}

/* Answers to an atom, as memo keeps them. */
enum { NOT_ASKED, NO, YES, CANNOT_SAY };

static unsigned char
sets_any(const struct eval *e, const uint64_t *bits, const struct atom *a)
{
	unsigned char is = NO;

	for (size_t i = 0; i < a->address.n; i++) {
		if (bit_has(bits, a->address.sets[i]))
			return a->negate ? NO : YES;
		if (bit_has(bits + e->words, a->address.sets[i]))
			is = CANNOT_SAY;
	}
	return is == NO && a->negate ? YES : is;
}

/* Every recipient, one by one, is in one of the sets (or, turned, in none). */
static unsigned char
every_recipient(struct eval *e, const struct atom *a)
{
	unsigned char all = YES;

	if (!eval_spend(e, e->env->nrecipients * (a->address.n + 1)))
		return NO;
	for (size_t i = 0; i < e->env->nrecipients; i++) {
		unsigned char one = sets_any(e, e->every + i * 2 * e->words, a);

		if (one == NO)
			return NO;
		if (one == CANNOT_SAY)
			all = one;
	}
	return all;
}

/* --- tallies --------------------------------------------------------------------------------------- */

/* Counts once for each measure; values are compared by their hash, in a small open table. */
static const struct tally *
tally(struct eval *e, uint32_t index)
{
	const struct measure *m = &e->p->measures[index];
	const struct detection *d = &e->detection;
	struct tally *t = &e->tallies[index];
	uint64_t *seen;
	size_t cap = 16, n;

	if (t->known)
		return t;
	t->known = true;
	if (!d->first)
		return t;
	n = d->first[m->detector + 1] - d->first[m->detector];
	if (n == 0)
		return t;
	if (!eval_spend(e, n)) {
		t->known = false;
		return t;
	}
	while (cap < n * 2)
		cap *= 2;
	seen = arena_array(e->arena, cap, sizeof(*seen));
	for (uint32_t i = d->first[m->detector]; i < d->first[m->detector + 1]; i++) {
		const struct match *x = &d->matches[i];
		uint64_t v = x->value ? x->value : 1;
		size_t at = (size_t)(v * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (cap - 1);

		if (x->confidence < m->floor || !(e->an->surfaces[x->surface].where & m->where))
			continue;
		t->count++;
		while (seen[at] && seen[at] != v)
			at = (at + 1) & (cap - 1);
		t->distinct += !seen[at];
		seen[at] = v;
	}
	return t;
}

/* One field. What a pattern gives up on is undecided. */
static bool
field_has(struct eval *e, const struct atom *a, const struct header *h, struct arena *scratch)
{
	struct detection d = { 0 };

	if (!eval_spend(e, h->value.n + detectors_count(e->p->detectors) / 8 + 64))
		return false;
	detectors_run_texts(e->p->detectors, (size_t)a->header.detector, h->value, scratch,
	    &e->texts, &d);
	if (d.undecided)
		eval_give_up(e);
	return d.nmatches > 0;
}

static bool
header_has(struct eval *e, const struct atom *a)
{
	const struct part *root = &e->an->parts[0];
	struct arena *scratch = NULL;
	bool found = false;

	if (!eval_spend(e, root->nheaders / 8 + 1))
		return false;
	for (size_t i = 0; i < root->nheaders && !found; i++) {
		const struct header *h = &root->headers[i];

		if (!span_eq_nocase(h->name, a->header.name))
			continue;
		if (a->header.detector < 0)
			return true;
		if (!scratch)
			scratch = arena_new(0);
		arena_reset(scratch);
		found = field_has(e, a, h, scratch);
	}
	arena_free(&scratch);
	return found;
}

/* --- atoms ------------------------------------------------------------------------------------------- */

static bool
spans_have(const struct spans *s, struct span x)
{
	for (size_t i = 0; i < s->n; i++)
		if (span_eq_nocase(s->v[i], x))
			return true;
	return false;
}

static bool
atom_ask(struct eval *e, const struct atom *a)
{
	switch (a->kind) {
	case ATOM_ADDRESS:
		break;		/* eval_atom's */
	case ATOM_CLIENT:
		for (size_t i = 0; i < a->client.n; i++)
			if (cidr_has(a->client.v[i], e->env->client))
				return true;
		return false;
	case ATOM_USER:
		return e->env->user.n && (a->names.n == 0 || spans_have(&a->names, e->env->user));
	case ATOM_TLS:
		return (e->env->tls.n > 0) == a->want;
	case ATOM_LISTENER:
		return spans_have(&a->names, e->env->listener);
	case ATOM_DIRECTION:
		return e->env->direction == a->direction || e->env->direction == DIRECTION_NONE;
	case ATOM_RANGE:
		switch (a->quantity.what) {
		case QUANTITY_RECIPIENTS:
			return range_has(&a->quantity.range, e->env->nrecipients);
		case QUANTITY_SIZE:
			return range_has(&a->quantity.range, e->an->raw.n);
		case QUANTITY_ATTACHMENTS:
			return range_has(&a->quantity.range, e->nfiles);
		}
		return false;
	case ATOM_TEXT:
	case ATOM_FINDS: {
		const struct tally *t = tally(e, a->finds.measure);

		return (a->finds.all ? t->count : t->distinct) >= a->finds.min;
	}
	case ATOM_HEADER:
		return header_has(e, a);
	case ATOM_FILE:
		for (size_t i = 0; i < e->an->nparts; i++)
			if (eval_file(a->file, &e->an->parts[i], &e->steps))
				return true;
		eval_spend(e, 0);
		return false;
	case ATOM_URL:
		return url_ask(e, a);
	case ATOM_SIGN:
		return sign_ask(e, a);
	case ATOM_VIRUS:
		if (a->kinds)
			return (e->facts->av_kinds & a->kinds) != 0;
		return (e->facts->av == AV_VIRUS) == a->want;
	case ATOM_UNSCANNABLE:
		return e->unscannable == a->want;
	case ATOM_ENCRYPTED:
		return e->encrypted == a->want;
	case ATOM_DEFECT:
		return (e->an->defects & a->defects) != 0;
	case ATOM_SCHEDULE:
	case ATOM_AUTH:
	case ATOM_DNSBL:
	case ATOM_SPAM:
	case ATOM_REPUTATION:
	case ATOM_BAYES:
	case ATOM_EXPERIENCE:
		return fact_ask(e, a);
	case ATOM_LISTED:
		break;		/* eval_atom's */
	}
	return false;
}

/* Of the recipient in hand, so it is not kept. What is not known holds neither way. */
static bool
listed_ask(const struct eval *e, const struct atom *a)
{
	return e->facts->lists_known && e->to &&
	    ((e->to[LISTED_WORD(e)] & a->listed) != 0) != a->negate;
}

static bool
eval_atom(struct eval *e, uint32_t index)
{
	const struct atom *a = &e->p->atoms[index];
	bool address = a->kind == ATOM_ADDRESS, known;
	unsigned char is;

	if (!eval_spend(e, address ? a->address.n + 1 : 1))
		return false;
	if (a->kind == ATOM_LISTED)
		return listed_ask(e, a);
	if (!(address && a->address.who == WHO_TO) && e->recorded &&
	    recorded_atom(e, index, &known))
		return known;
	is = e->memo[index];
	if (address && a->address.who == WHO_TO)
		is = sets_any(e, e->to, a);
	else if (!is && address && a->address.who != WHO_TO_ALL)
		is = e->memo[index] = sets_any(e,
		    a->address.who == WHO_FROM ? e->from : e->header_from, a);
	else if (!is) {
		e->gave_up = false;
		is = address ? every_recipient(e, a) :
		    atom_ask(e, a) != a->negate ? YES : NO;
		if (!e->gave_up)
			e->memo[index] = is;
	}
	if (is == CANNOT_SAY && e->recorded && recorded_stranger(e, a, &known))
		return known;
	if (is == CANNOT_SAY) {
		e->assumed = true;
		return e->assume;
	}
	return is == YES;
}

bool
eval_cond(struct eval *e, const struct cond *c)
{
	switch (c->op) {
	case COND_ATOM:
		return eval_atom(e, c->atom);
	case COND_ANY:
		return eval_any(e, c->kids, c->n);
	case COND_ALL:
		return eval_all(e, c->kids, c->n);
	}
	return false;
}

bool
eval_all(struct eval *e, const struct cond *c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!eval_cond(e, &c[i]))
			return false;
	return true;
}

bool
eval_any(struct eval *e, const struct cond *c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (eval_cond(e, &c[i]))
			return true;
	return false;
}

/* --- why not ---------------------------------------------------------------------------------------------- */

static struct span
say(struct eval *e, const char *text)
{
	return arena_span(e->arena, span_str(text));
}

static struct span
range_why(struct eval *e, const struct atom *a)
{
	uint64_t v = a->quantity.what == QUANTITY_RECIPIENTS ? e->env->nrecipients :
	    a->quantity.what == QUANTITY_SIZE ? e->an->raw.n : e->nfiles;
	const struct range *r = &a->quantity.range;
	bool low = r->has_over && v <= r->over;

	return span_str(arena_printf(e->arena, SPAN_FMT ": %llu, %s %llu", SPAN_ARG(a->key),
	    (unsigned long long)v, low ? "over" : "under",
	    (unsigned long long)(low ? r->over : r->under)));
}

static struct span
finds_why(struct eval *e, const struct atom *a, bool *partly)
{
	static const char *const confidences[] = { "none", "low", "medium", "high" };
	const struct measure *m = &e->p->measures[a->finds.measure];
	const struct tally *t = tally(e, a->finds.measure);
	const struct detection *d = &e->detection;
	uint32_t n = a->finds.all ? t->count : t->distinct, all;
	struct span grade = detectors_grade_text(e->p->detectors, d, m->detector, e->arena);

	if (n == 0 && grade.n) {
		*partly = true;
		return span_str(arena_printf(e->arena, SPAN_FMT ": " SPAN_FMT, SPAN_ARG(a->key),
		    SPAN_ARG(grade)));
	}
	if (n > 0) {
		*partly = true;
		return span_str(arena_printf(e->arena, SPAN_FMT ": %u %s, min %u", SPAN_ARG(a->key), n,
		    a->finds.all ? "found" : "distinct", a->finds.min));
	}
	all = d->first ? d->first[m->detector + 1] - d->first[m->detector] : 0;
	if (all > 0) {
		*partly = true;
		return span_str(arena_printf(e->arena,
		    SPAN_FMT ": %u found, none with confidence %s in the places asked for",
		    SPAN_ARG(a->key), all, confidences[m->floor]));
	}
	return span_str(arena_printf(e->arena, SPAN_FMT ": nothing found", SPAN_ARG(a->key)));
}

static struct span
address_why(struct eval *e, const struct atom *a)
{
	struct span who = a->address.who == WHO_FROM ? e->env->sender : e->an->header_from;

	if (a->address.who == WHO_TO)
		return say(e, a->negate ? "to: this recipient is in the list" :
		    "to: this recipient is not in the list");
	if (a->address.who == WHO_TO_ALL)
		return say(e, a->negate ? "to_all: a recipient is in the list" :
		    "to_all: not every recipient is in the list");
	return span_str(arena_printf(e->arena, SPAN_FMT ": <" SPAN_FMT "> is %sin the list",
	    SPAN_ARG(a->key), SPAN_ARG(who), a->negate ? "" : "not "));
}

struct span
eval_why_not(struct eval *e, const struct cond *c, bool *partly)
{
	const struct atom *a;

	if (c->op != COND_ATOM) {
		struct span first = { 0 };

		for (uint32_t i = 0; i < c->n; i++) {
			bool close = false;
			struct span s;

			if (eval_cond(e, &c->kids[i])) {
				*partly = true;
				continue;
			}
			s = eval_why_not(e, &c->kids[i], &close);
			if (!first.n || (close && !*partly))
				first = s;
			*partly |= close;
		}
		return first;
	}
	a = &e->p->atoms[c->atom];
	switch (a->kind) {
	case ATOM_ADDRESS:
		return address_why(e, a);
	case ATOM_RANGE:
		return range_why(e, a);
	case ATOM_FINDS:
		return finds_why(e, a, partly);
	case ATOM_URL:
		return url_why_not(e, a, partly);
	case ATOM_FILE:
		*partly |= e->files;
		return span_str(arena_printf(e->arena, "attachment: none of %llu is like that",
		    (unsigned long long)e->nfiles));
	case ATOM_VIRUS:
		if (a->kinds)
			return span_str(e->facts->av_kinds ? "virus: it is of another kind" :
			    "virus: nothing was found");
		/* fall through */
	case ATOM_UNSCANNABLE:
	case ATOM_ENCRYPTED:
	case ATOM_TLS:
		return span_str(arena_printf(e->arena, SPAN_FMT ": %s", SPAN_ARG(a->key),
		    a->want ? "it is not" : "it is"));
	case ATOM_SCHEDULE:
	case ATOM_AUTH:
	case ATOM_DNSBL:
	case ATOM_SPAM:
	case ATOM_REPUTATION:
	case ATOM_BAYES:
	case ATOM_EXPERIENCE:
		return fact_why(e, a);
	case ATOM_LISTED:
		return listed_why(e, a);
	default:
		return span_str(arena_printf(e->arena, SPAN_FMT ": does not hold", SPAN_ARG(a->key)));
	}
}
