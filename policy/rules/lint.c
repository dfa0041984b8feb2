/* lint.c -- warnings: what is legal, and surely not what its author means.
 *
 * Run on a policy without errors. A warning never refuses a policy; each says
 * what will happen instead of what was meant.
 */
#include "lint.h"

#define OWN_PER_HOUR 100	/* messages or recipients; and connections at one time, below which */
#define OWN_CONNECTIONS 5	/* a mail server is hampered */
#define HOUR_US (INT64_C(3600) * 1000000)

static void
lint_groups(struct load *ld)
{
	for (struct pending *p = ld->groups.first; p; p = p->next) {
		struct group *g = p->value;

		if (ld->p->sets.counts[g->set] > 0 || (!g->node && !g->used))
			continue;
		if (!g->node)
			diag_at(ld->d, DIAG_WARNING, NULL, NULL, "group `our-domains` is used and empty: "
			    "name your domains in postern.yaml, or define the group");
		else
			diag_key(ld->d, DIAG_WARNING, g->node, NULL, "group `" SPAN_FMT "` is empty",
			    SPAN_ARG(g->name));
	}
}

/* --- rules that cannot hold --------------------------------------------------------------- */

static void
lint_never(struct load *ld, const struct rule_src *r)
{
	const char *why = r->rule.mode == MODE_OFF ? NULL : lint_never_why(ld, &r->rule);

	if (why)
		diag_key(ld->d, DIAG_WARNING, r->when ? r->when : r->node, NULL,
		    "rule `" SPAN_FMT "` never holds: %s", SPAN_ARG(r->rule.id), why);
}

/* --- exceptions that swallow their rule ------------------------------------------------------ */

static void
lint_exceptions(struct load *ld, const struct rule_src *r)
{
	for (size_t i = 0; i < r->rule.nexceptions; i++) {
		const struct exception *x = &ld->p->exceptions[r->rule.exceptions[i]];
		struct exception_src *src = pendings_get(&ld->exceptions, x->id);
		bool within = true;

		for (size_t k = 0; k < x->nwhen && within; k++)
			within = has_cond(r->rule.when, r->rule.nwhen, &x->when[k]);
		if (within && src)
			diag_at(ld->d, DIAG_WARNING, src->node->first ? src->node->first : src->node, NULL,
			    "exception `" SPAN_FMT "` always cancels rule `" SPAN_FMT "`: %s",
			    SPAN_ARG(x->id), SPAN_ARG(r->rule.id),
			    x->nwhen ? "it asks for nothing the rule does not ask for" : "it has no `when`");
	}
}

/* --- outcomes ----------------------------------------------------------------------------------- */

static void
lint_outcomes(struct load *ld, const struct rule_src *r)
{
	for (int o = OUTCOME_DELIVER; o < OUTCOME_COUNT; o++)
		if (r->outcome_nodes[o] && o != (int)r->rule.then.outcome)
			diag_key(ld->d, DIAG_WARNING, r->outcome_nodes[o], NULL,
			    "`%s` has no effect beside `%s`: the most restrictive outcome wins",
			    outcome_name((enum outcome)o), outcome_name(r->rule.then.outcome));
	if (r->rule.then.outcome == OUTCOME_DELIVER && lint_outcome_only(&r->rule) &&
	    !r->rule.judges_virus && !r->rule.judges_suspect && !r->rule.judges_unscannable && r->rule.mode != MODE_OFF)
		diag_at(ld->d, DIAG_WARNING, r->then, "what lifts a rule is an exception: see `exceptions:`",
		    "rule `" SPAN_FMT "` has no effect: `deliver` is what happens anyway, and lifts no other rule",
		    SPAN_ARG(r->rule.id));
	if (r->rule.then.outcome >= OUTCOME_DEFER || r->rule.then.outcome == OUTCOME_DISCARD) {
		if (r->rule.then.nadd || r->rule.then.remove.n || r->rule.then.prefix.n)
			diag_at(ld->d, DIAG_WARNING, r->then, NULL,
			    "rule `" SPAN_FMT "` changes a message that goes nowhere (`%s`)",
			    SPAN_ARG(r->rule.id), outcome_name(r->rule.then.outcome));
	}
}

/* --- blocking one's own server --------------------------------------------------------------------- */

/* Our own network that the list covers whole, or NULL. */
static const struct policy_network *
covers_own(const struct load *ld, const struct atom *a)
{
	for (size_t i = 0; i < ld->env->nnetworks; i++)
		for (size_t m = 0; m < ld->env->networks[i].nmembers; m++) {
			struct cidr own;
			struct err err;

			if (cidr_parse(ld->env->networks[i].members[m], &own, &err) == -1)
				continue;
			for (size_t k = 0; k < a->client.n; k++)
				if (a->client.v[k].bits <= own.bits && cidr_has(a->client.v[k], own.ip))
					return &ld->env->networks[i];
		}
	return NULL;
}

static const struct atom *
atom_of(const struct load *ld, const struct cond *c)
{
	return c->op == COND_ATOM ? &ld->p->atoms[c->atom] : NULL;
}

static bool
is_our_domains(const struct load *ld, const struct atom *a)
{
	for (size_t i = 0; i < a->address.n; i++)
		if (span_is(ld->p->sets.names[a->address.sets[i]], "our-domains"))
			return true;
	return false;
}

/* An enforced rule whose every condition our own mail fulfils. */
static void
lint_blocks(struct load *ld, const struct rule_src *src)
{
	const struct rule *r = &src->rule;
	const struct policy_network *own = NULL;
	bool domains = false;

	if (r->mode != MODE_ENFORCE || r->then.outcome < OUTCOME_DISCARD || r->nunless ||
	    r->direction == DIRECTION_INBOUND || r->from_pack)
		return;
	for (size_t i = 0; i < r->nwhen; i++) {
		const struct atom *a = atom_of(ld, &r->when[i]);

		if (!a)
			return;
		if (a->kind == ATOM_DIRECTION && a->direction == DIRECTION_OUTBOUND)
			continue;
		if (a->kind == ATOM_CLIENT && !a->negate && (own = covers_own(ld, a)) != NULL)
			continue;
		if (a->kind == ATOM_ADDRESS && !a->negate && is_our_domains(ld, a) &&
		    (a->address.who == WHO_FROM || a->address.who == WHO_HEADER_FROM)) {
			domains = true;
			continue;
		}
		return;
	}
	if (own)
		diag_key(ld->d, DIAG_WARNING, src->node->first, NULL,
		    "rule `" SPAN_FMT "`: `%s` for everything that your own network `" SPAN_FMT "` sends",
		    SPAN_ARG(r->id), outcome_name(r->then.outcome), SPAN_ARG(own->name));
	else if (domains)
		diag_key(ld->d, DIAG_WARNING, src->node->first, NULL,
		    "rule `" SPAN_FMT "`: `%s` for everything that your own domains send",
		    SPAN_ARG(r->id), outcome_name(r->then.outcome));
	else
		diag_key(ld->d, DIAG_WARNING, src->node->first, "give it a `when`",
		    "rule `" SPAN_FMT "`: `%s` for every message", SPAN_ARG(r->id),
		    outcome_name(r->then.outcome));
}

/* Our own servers are not counted by it. */
static bool
exempts_own(const struct load *ld, const struct limit_rule *l)
{
	for (size_t i = 0; i < l->nexempt; i++) {
		struct cidr c;
		struct err err;

		if (ld->env->now >= l->exempt[i].until)
			continue;
		if (l->per == LIMIT_SENDER_DOMAIN)
			for (size_t k = 0; k < ld->env->ndomains; k++)
				if (span_eq_nocase(l->exempt[i].match, ld->env->domains[k]))
					return true;
		if (l->per == LIMIT_CLIENT && cidr_parse(l->exempt[i].match, &c, &err) == 0) {
			struct atom a = { .kind = ATOM_CLIENT, .client = { &c, 1 } };

			if (covers_own(ld, &a))
				return true;
		}
	}
	return false;
}

static void
lint_limits(struct load *ld)
{
	for (struct pending *p = ld->limits.first; p; p = p->next) {
		const struct limit_src *l = p->value;
		const struct limit_rule *r = &l->rule;
		const char *who = NULL;

		/* What does not exist a mail server asks for seldom, however much it sends. */
		if (r->then == OUTCOME_DELIVER || r->unit == LIMIT_INVALID || exempts_own(ld, r))
			continue;
		if (r->per == LIMIT_CLIENT && ld->env->nnetworks)
			who = "mail server is one client";
		else if (r->per == LIMIT_SENDER_DOMAIN && ld->env->ndomains)
			who = "domain is one sender domain";
		if (!who)
			continue;
		if (r->unit == LIMIT_CONNECTIONS ? r->allow >= OWN_CONNECTIONS : r->window <= 0 ||
		    (double)r->allow * (double)HOUR_US / (double)r->window >= OWN_PER_HOUR)
			continue;
		diag_at(ld->d, DIAG_WARNING, l->allow, "most mail servers need more",
		    "limit `" SPAN_FMT "`: your own %s and may %s no more than this", SPAN_ARG(r->id), who,
		    r->unit == LIMIT_CONNECTIONS ? "open" : "send");
	}
}

/* --- detectors ------------------------------------------------------------------------------------- */

static void
lint_detectors(struct load *ld)
{
	for (struct pending *p = ld->customs.first; p; p = p->next) {
		const struct custom *u = p->value;

		if (!u->used)
			diag_key(ld->d, DIAG_WARNING, u->node, NULL,
			    "detector `" SPAN_FMT "` is asked for by no rule", SPAN_ARG(u->id));
		if (u->columns)
			lint_exact(ld, u);
		lint_graded(ld, u);
	}
}

/* --- patterns -------------------------------------------------------------------------------------- */

static void
lint_patterns(struct load *ld)
{
	for (const struct pattern_src *p = ld->patterns; p; p = p->next) {
		struct span text = pattern_attack(ld, p);

		if (text.n)
			diag_at(ld->d, DIAG_WARNING, p->node,
			    "a message it gives up on is unscannable; make the inner repetition possessive, as `++`",
			    "this pattern takes exponential time, as on `" SPAN_FMT "`%s",
			    SPAN_ARG(span_sub(text, 0, 60)), text.n > 60 ? " (and so on)" : "");
	}
}

void
policy_lint(struct load *ld)
{
	lint_groups(ld);
	for (struct pending *p = ld->rules.first; p; p = p->next) {
		const struct rule_src *r = p->value;

		if (r->made)
			continue;
		lint_never(ld, r);
		lint_exceptions(ld, r);
		lint_outcomes(ld, r);
		lint_blocks(ld, r);
	}
	lint_pairs(ld);
	lint_limits(ld);
	lint_detectors(ld);
	lint_patterns(ld);
}
