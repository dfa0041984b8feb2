/* told.c -- which conditions of a rule held, and which did not: the tree that `explain` shows.
 *
 * While a message is judged only the rules are noted that hit, were cancelled, or failed with
 * something in their favour: a few numbers. Their conditions are asked again when the verdict is
 * made, in a copy of the evaluation, which gives every answer from memory: so the tree changes no
 * verdict, and what was not asked then is not asked for its sake.
 *
 * A line tells what the journal may know: addresses, numbers, names of files; what a detector
 * found stands in it masked. Its caller leaves trees out where a record is too large.
 */
#include "judge.h"

#define TOLD_NEAR 8		/* rules of one message that nearly hit */
#define TOLD_LINES 24		/* of one rule */
#define TOLD_DEPTH 6
#define TOLD_MASKED 3
#define TOLD_MATCHES 256	/* looked through for them */
#define TOLD_NAME 120		/* bytes of a file's name or an address */

/* Something speaks for it: the first of several conditions held, or its only one asks how much
 * there is of what was found. */
static bool
promising(struct judge *j, const struct rule *r)
{
	const struct cond *c = r->when;
	uint64_t steps = j->e.steps;
	bool held;

	if (r->nwhen > 1 && steps > EVAL_STEPS / 2) {
		held = eval_cond(&j->e, c);
		j->e.steps = steps;	/* who is told has no part in what is left */
		return held;
	}
	return r->nwhen == 1 && (c->op != COND_ATOM || j->e.p->atoms[c->atom].kind == ATOM_FINDS);
}

void
judge_look(struct judge *j, uint32_t rule, enum looked as)
{
	size_t k;

	if (j->looked == NULL)
		return;
	if ((k = j->looked[rule]) > 0) {
		if (j->looks[k - 1].as < as)
			j->looks[k - 1] = (struct look){ rule, j->class, as };
		return;
	}
	if (j->nlooks == LOOKS_MAX || (as == LOOKED_NEAR && (j->nlooks_near == LOOKS_NEAR_MAX ||
	    !promising(j, &j->e.p->rules[rule]))))
		return;
	j->nlooks_near += as == LOOKED_NEAR;
	j->looks[j->nlooks++] = (struct look){ rule, j->class, as };
	j->looked[rule] = (unsigned char)j->nlooks;
}

/* --- one condition ------------------------------------------------------------------------ */

struct telling {
	struct eval *e;
	struct span recipient;
	struct told_line *lines;
	size_t n;
	const char *of;
};

static struct span
shown(struct span s)
{
	if (s.n > TOLD_NAME)
		for (s.n = TOLD_NAME; s.n && ((unsigned char)s.p[s.n] & 0xc0) == 0x80; s.n--)
			;
	return s;
}

static struct span
say(struct telling *t, struct span key, const char *between, struct span what)
{
	what = shown(what);
	return span_str(arena_printf(t->e->arena, SPAN_FMT "%s" SPAN_FMT, SPAN_ARG(key), between,
	    SPAN_ARG(what)));
}

static struct span
address_held(struct telling *t, const struct atom *a)
{
	struct span who = a->address.who == WHO_FROM ? t->e->env->sender :
	    a->address.who == WHO_TO ? t->recipient : t->e->an->header_from;

	if (a->address.who == WHO_TO_ALL)
		return say(t, a->key, a->negate ? ": no recipient is in the list" :
		    ": every recipient is in the list", (struct span){ 0 });
	who = shown(who);
	return span_str(arena_printf(t->e->arena, SPAN_FMT ": <" SPAN_FMT "> is %sin the list",
	    SPAN_ARG(a->key), SPAN_ARG(who), a->negate ? "not " : ""));
}

static struct span
range_held(struct telling *t, const struct atom *a)
{
	const struct eval *e = t->e;
	uint64_t v = a->quantity.what == QUANTITY_RECIPIENTS ? e->env->nrecipients :
	    a->quantity.what == QUANTITY_SIZE ? e->an->raw.n : e->nfiles;

	return span_str(arena_printf(e->arena, SPAN_FMT ": %llu", SPAN_ARG(a->key),
	    (unsigned long long)v));
}

static struct span
file_held(struct telling *t, const struct atom *a)
{
	const struct anatomy *an = t->e->an;

	for (size_t i = 0; i < an->nparts && !a->negate; i++)
		if (eval_file(a->file, &an->parts[i], &t->e->steps))
			return an->parts[i].name.n ? say(t, a->key, ": ", an->parts[i].name) :
			    say(t, a->key, ": part ", an->parts[i].number);
	return say(t, a->key, ": holds", (struct span){ 0 });
}

static struct span
atom_held(struct telling *t, const struct cond *c)
{
	const struct atom *a = &t->e->p->atoms[c->atom];
	bool partly;

	switch (a->kind) {
	case ATOM_ADDRESS:
		return address_held(t, a);
	case ATOM_RANGE:
		return range_held(t, a);
	case ATOM_FINDS:
		if (a->negate)
			break;
		return eval_why_not(t->e, c, &partly);	/* how many there are */
	case ATOM_FILE:
		return file_held(t, a);
	case ATOM_USER:
		if (!a->negate && t->e->env->user.n)
			return say(t, a->key, ": ", t->e->env->user);
		break;
	case ATOM_LISTENER:
		return say(t, a->key, ": ", t->e->env->listener);
	case ATOM_VIRUS:
		if (!a->negate && t->e->facts->av_name.n)
			return say(t, a->key, ": ", t->e->facts->av_name);
		break;
	case ATOM_AUTH:
	case ATOM_SPAM:
	case ATOM_REPUTATION:
	case ATOM_BAYES:
	case ATOM_EXPERIENCE:
		return fact_why(t->e, a);	/* what the fact is */
	default:
		break;
	}
	return say(t, a->key, ": holds", (struct span){ 0 });
}

/* The values that count for it, masked; what words and patterns of its own found stands nowhere. */
static void
put_masked(struct telling *t, const struct atom *a, struct told_line *l)
{
	const struct measure *m = &t->e->p->measures[a->finds.measure];
	const struct detection *d = &t->e->detection;
	uint64_t values[TOLD_MASKED];
	struct span *v;

	if (d->first == NULL || d->first[m->detector] == d->first[m->detector + 1])
		return;
	v = arena_array(t->e->arena, TOLD_MASKED, sizeof(*v));
	for (uint32_t i = d->first[m->detector]; i < d->first[m->detector + 1] &&
	    i < d->first[m->detector] + TOLD_MATCHES && l->nmasked < TOLD_MASKED; i++) {
		const struct match *x = &d->matches[i];
		bool had = x->masked.n == 0 || x->confidence < m->floor ||
		    !(t->e->an->surfaces[x->surface].where & m->where);

		for (size_t k = 0; k < l->nmasked && !had; k++)
			had = values[k] == x->value;
		if (had)
			continue;
		values[l->nmasked] = x->value;
		v[l->nmasked++] = x->masked;
	}
	l->masked = v;
}

static bool tell_list(struct telling *t, const struct cond *c, size_t n, bool any, bool asked,
    uint8_t depth);

/* true: it holds. */
static bool
tell_cond(struct telling *t, const struct cond *c, bool asked, uint8_t depth)
{
	struct told_line *l;
	bool partly, held;

	if (t->n == TOLD_LINES)
		return asked && eval_cond(t->e, c);
	l = &t->lines[t->n++];
	*l = (struct told_line){ .of = t->of, .depth = depth };
	held = asked && eval_cond(t->e, c);
	if (asked)
		l->state = held ? TOLD_HELD : TOLD_FAILED;
	if (c->op != COND_ATOM) {
		l->text = c->op == COND_ANY ? SPAN_LIT("any of") : SPAN_LIT("all of");
		if (depth < TOLD_DEPTH)
			tell_list(t, c->kids, c->n, c->op == COND_ANY, asked, (uint8_t)(depth + 1));
		return held;
	}
	l->text = !asked ? t->e->p->atoms[c->atom].key : held ? atom_held(t, c) :
	    eval_why_not(t->e, c, &partly);
	if (asked && t->e->p->atoms[c->atom].kind == ATOM_FINDS)
		put_masked(t, &t->e->p->atoms[c->atom], l);
	return held;
}

/* As eval_all() and eval_any() ask them: up to the one that decides. */
static bool
tell_list(struct telling *t, const struct cond *c, size_t n, bool any, bool asked, uint8_t depth)
{
	bool open = asked;

	for (size_t i = 0; i < n; i++)
		if (tell_cond(t, &c[i], open, depth) == any)
			open = false;
	return asked && open != any;
}

/* --- rules ---------------------------------------------------------------------------------- */

static void
tell_rule(struct telling *t, const struct rule *r, enum looked as)
{
	t->of = "when";
	if (!tell_list(t, r->when, r->nwhen, false, true, 0) || as == LOOKED_NEAR)
		return;
	t->of = "unless";
	if (tell_list(t, r->unless, r->nunless, true, true, 0) || as != LOOKED_SKIPPED)
		return;
	t->of = "exception";
	for (size_t i = 0; i < r->nexceptions; i++) {
		const struct exception *x = &t->e->p->exceptions[r->exceptions[i]];

		if ((x->until && t->e->facts->now >= x->until) ||
		    !eval_all(t->e, x->when, x->nwhen) || t->n == TOLD_LINES)
			continue;
		t->lines[t->n++] = (struct told_line){ .of = t->of, .state = TOLD_HELD, .text = x->id };
		tell_list(t, x->when, x->nwhen, false, true, 1);
		return;
	}
}

void
judge_tell(struct judge *j, const struct class *classes, size_t n, const uint32_t *of)
{
	static const char *const as[] = { [LOOKED_NEAR] = "near", [LOOKED_UNSURE] = "unsure",
		[LOOKED_SKIPPED] = "skipped", [LOOKED_SHADOW] = "shadow", [LOOKED_HIT] = "hit" };
	struct eval again = j->e;
	struct arena *a = again.arena;
	struct told_rule *v;
	size_t near = 0, nv = 0;

	if (j->nlooks == 0)
		return;
	again.steps = EVAL_STEPS;
	v = arena_array(a, j->nlooks, sizeof(*v));
	for (enum looked which = LOOKED_HIT; which >= LOOKED_NEAR; which--)
		for (size_t i = 0; i < j->nlooks; i++) {
			const struct look *l = &j->looks[i];
			const struct rule *r = &again.p->rules[l->rule];
			struct told_line lines[TOLD_LINES];
			struct telling t = { .e = &again, .lines = lines };
			uint32_t who = 0;

			if (l->as != which || (which == LOOKED_NEAR && near++ >= TOLD_NEAR))
				continue;
			ASSERT(l->class < n);
			again.to = classes[l->class].bits;
			while (of[who] != l->class)
				who++;
			t.recipient = again.env->recipients[who].address;
			eval_as_shadow(&again, which == LOOKED_SHADOW);
			tell_rule(&t, r, which);
			v[nv++] = (struct told_rule){ .rule = r->id, .as = as[which],
				.recipient = t.recipient, .nlines = t.n, .lines = memcpy(arena_array(a,
				t.n + 1, sizeof(*lines)), lines, t.n * sizeof(*lines)) };
		}
	j->out->told = v;
	j->out->ntold = nv;
}
