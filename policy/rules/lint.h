/* lint.h -- what the rooms of lint share. */
#ifndef LINT_H
#define LINT_H

#include "load.h"

bool has_cond(const struct cond *v, size_t n, const struct cond *one);
/* Nothing of the rule but its outcome reaches anybody. */
bool lint_outcome_only(const struct rule *r);
void lint_pairs(struct load *ld);
/* Why no message can fit the rule, or NULL. */
const char *lint_never_why(struct load *ld, const struct rule *r);

#endif
