/* lint.c -- warnings: what is legal, and surely not what its author means. */
#include "load.h"

static void
lint_groups(struct load *ld)
{
	for (struct pending *p = ld->groups.first; p; p = p->next) {
		struct group *g = p->value;

		if (ld->p->sets.counts[g->set] > 0 || !g->used)
			continue;
		if (!g->node)
			diag_at(ld->d, DIAG_WARNING, NULL, NULL, "group `our-domains` is used and empty: "
			    "name your domains in postern.yaml, or define the group");
		else
			diag_key(ld->d, DIAG_WARNING, g->node, NULL, "group `" SPAN_FMT "` is empty",
			    SPAN_ARG(g->name));
	}
}

static void
lint_outcomes(struct load *ld, const struct rule_src *r)
{
	for (int o = OUTCOME_DELIVER; o < OUTCOME_COUNT; o++)
		if (r->outcome_nodes[o] && o != (int)r->rule.then.outcome)
			diag_key(ld->d, DIAG_WARNING, r->outcome_nodes[o], NULL,
			    "`%s` has no effect beside `%s`: the most restrictive outcome wins",
			    outcome_name((enum outcome)o), outcome_name(r->rule.then.outcome));
}

void
policy_lint(struct load *ld)
{
	lint_groups(ld);
	for (struct pending *p = ld->rules.first; p; p = p->next)
		lint_outcomes(ld, p->value);
}
