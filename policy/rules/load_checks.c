/* load_checks.c -- `spam: {checks: …}`: what makes mail look like spam, and how much each counts.
 *
 * A check is conditions and a score. It is asked once for a message, so what differs between
 * recipients has no place in it. Those of a pack are changed one by one: `NAME: off` takes one
 * away, `NAME: 2.5` gives it another score, a whole one takes its place.
 */
#include <math.h>
#include <stdlib.h>

#include "load.h"

#define SCORE_MOST 1000.0

static bool
asks_more_than_the_message(struct load *ld, const struct conf_node *n, const struct cond *c,
    size_t nc)
{
	for (size_t i = 0; i < nc; i++) {
		const struct atom *a = &ld->p->atoms[c[i].atom];

		if (c[i].op != COND_ATOM) {
			if (asks_more_than_the_message(ld, n, c[i].kids, c[i].n))
				return true;
		} else if (a->kind == ATOM_ADDRESS && a->address.who == WHO_TO) {
			diag_at(ld->d, DIAG_ERROR, conf_get(n, "to") ? conf_get(n, "to") : n,
			    "`to_all`, or a rule",
			    "a check is asked once for the message: `to` is about each recipient");
			return true;
		} else if (a->kind == ATOM_LISTED) {
			diag_at(ld->d, DIAG_ERROR, conf_get(n, "listed") ? conf_get(n, "listed") : n,
			    "a rule, or an exception", "a check is asked once for the message: "
			    "`listed` is about each recipient");
			return true;
		} else if (a->kind == ATOM_SPAM) {
			diag_at(ld->d, DIAG_ERROR, conf_get(n, "spam") ? conf_get(n, "spam") : n,
			    NULL, "`spam` is what the checks say together: no check can ask for it");
			return true;
		}
	}
	return false;
}

void
check_when(struct load *ld, struct conf_node *n, void *obj)
{
	struct check_src *c = obj;

	c->node = n;
	when_read(ld, n, &c->check.when, &c->check.nwhen);
	c->bad |= asks_more_than_the_message(ld, n, c->check.when, c->check.nwhen);
}

void
check_score(struct load *ld, struct conf_node *n, void *obj)
{
	struct check_src *c = obj;
	struct span s;

	if (!conf_text(ld->d, n, "a number", &s))
		return;
	if (!parse_score(s, &c->check.score) || fabs(c->check.score) > SCORE_MOST) {
		diag_at(ld->d, DIAG_ERROR, n, "as in 2.5, or -1", "`" SPAN_FMT "` is no score", SPAN_ARG(s));
		c->bad = true;
	}
	c->has_score = true;
}

void
check_title(struct load *ld, struct conf_node *n, void *obj)
{
	struct check_src *c = obj;
	struct rule r = { 0 };

	rule_title(ld, n, &r);
	c->check.title = r.title;
}

/* NAME: off, NAME: 2.5, NAME: {...} */
static void
check_value(struct load *ld, struct conf_node *n, struct check_src *c)
{
	size_t errors = ld->d->errors;

	if (n->kind == CONF_SCALAR && !n->quoted && (span_is(n->text, "off") || span_is(n->text, "no") ||
	    span_is(n->text, "false")))
		c->off = true;
	else if (n->kind == CONF_SCALAR)
		check_score(ld, n, c);
	else
		keys_read(ld, n, SECTION_CHECK, c);
	c->bad |= ld->d->errors > errors;
}

/* A pack's: what the policy says of the same name changes it. */
static void
pack_check(struct load *ld, struct check_src *own, struct check_src *c)
{
	if (own == NULL) {
		pendings_add(ld, &ld->checks, "check", c->check.id, c->at, c);
		return;
	}
	own->in_pack = true;
	if (own->check.nwhen == 0) {
		own->check.when = c->check.when;
		own->check.nwhen = c->check.nwhen;
	}
	if (!own->has_score) {
		own->check.score = c->check.score;
		own->has_score = true;
	}
	if (own->check.title.n == 0)
		own->check.title = c->check.title;
}

void
checks_read(struct load *ld, struct conf_node *n)
{
	if (!conf_want(ld->d, n, CONF_MAP, "checks by name"))
		return;
	CONF_EACH (node, n) {
		struct check_src *c = arena_zalloc(ld->tmp, sizeof(*c)), *own;
		struct conf_node id = *node;

		id.kind = CONF_SCALAR;
		id.text = node->key;
		c->at = node;
		c->check.file = node->file ? arena_str(ld->a, span_str(node->file->name)) : "";
		c->check.line = node->key_line;
		if (!read_id(ld, &id, &c->check.id))
			continue;
		own = pendings_get(&ld->checks, c->check.id);
		check_value(ld, node, c);
		if (ld->pack.n)
			pack_check(ld, own, c);
		else
			pendings_add(ld, &ld->checks, "check", c->check.id, node, c);
	}
}

static int
by_id(const void *a, const void *b)
{
	const struct spam_check *x = a, *y = b;
	size_t n = x->id.n < y->id.n ? x->id.n : y->id.n;
	int r = memcmp(x->id.p, y->id.p, n);

	return r ? r : (x->id.n > y->id.n) - (x->id.n < y->id.n);
}

/* The names of all checks, for did-you-mean. */
static const char *
nearest_check(struct load *ld, const struct check_src *to)
{
	const char **names = arena_array(ld->tmp, ld->checks.n + 1, sizeof(*names));
	size_t n = 0;

	for (struct pending *q = ld->checks.first; q; q = q->next) {
		const struct check_src *c = q->value;

		if (c != to && (c->in_pack || c->check.nwhen))
			names[n++] = arena_str(ld->tmp, c->check.id);
	}
	return nearest_hint(ld, conf_nearest(to->check.id, names));
}

static void
symbols_known(struct load *ld)
{
	struct spam_policy *s = &ld->p->spam;

	if (s->source > SPAM_SOURCE_BUILT_IN || ld->spam == NULL || s->nchecks == 0)
		return;
	for (int c = SPAM_HAM; c < SPAM_CLASSES; c++)
		for (size_t i = 0; i < s->classes[c].n; i++) {
			struct span name = s->classes[c].v[i].symbol;

			if (name.n && pendings_get(&ld->checks, name) == NULL)
				diag_at(ld->d, DIAG_WARNING, ld->spam,
				    nearest_hint(ld, pendings_nearest(ld, &ld->checks, name)),
				    "no check is called `" SPAN_FMT "`: this class never comes from it",
				    SPAN_ARG(name));
		}
}

/* The section, or a condition, waits for an answer that nobody gives. */
static void
nobody_rates(struct load *ld)
{
	const struct spam_policy *s = &ld->p->spam;
	const struct conf_node *at = ld->spam ? ld->spam : ld->asks_spam;

	if (at == NULL)
		return;
	if (s->source > SPAM_SOURCE_BUILT_IN && (ld->env->facts_missing & FACT_SPAM))
		diag_key(ld->d, DIAG_WARNING, at, NULL,
		    "no filter of that kind is asked: no mail is rated");
	else if (s->source <= SPAM_SOURCE_BUILT_IN && ld->checks.n == 0)
		diag_key(ld->d, DIAG_WARNING, at, "use: [postern/antispam], or `checks` of your own",
		    "nothing rates mail: there are no checks");
}

void
checks_finish(struct load *ld)
{
	struct spam_policy *s = &ld->p->spam;

	s->checks = arena_array(ld->a, ld->checks.n + 1, sizeof(*s->checks));
	for (struct pending *q = ld->checks.first; q; q = q->next) {
		struct check_src *c = q->value;

		if (c->bad)
			continue;
		if (c->check.nwhen == 0 && (!c->off || !c->in_pack)) {
			diag_key(ld->d, DIAG_ERROR, c->at, nearest_check(ld, c), c->in_pack ||
			    c->off ? "no pack in use has a check `" SPAN_FMT "`" :
			    "check `" SPAN_FMT "` needs its `when`: no pack in use has it", SPAN_ARG(q->id));
			continue;
		}
		if (!c->has_score && !c->off)
			diag_key(ld->d, DIAG_ERROR, c->at, "score: 2.5", "check `" SPAN_FMT
			    "` does not say its `score`", SPAN_ARG(q->id));
		if (!c->off)
			s->checks[s->nchecks++] = c->check;
	}
	nobody_rates(ld);
	qsort(s->checks, s->nchecks, sizeof(*s->checks), by_id);
	symbols_known(ld);
}
