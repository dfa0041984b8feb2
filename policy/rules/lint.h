/* lint.h -- what the rooms of lint share. */
#ifndef LINT_H
#define LINT_H

#include "load.h"

bool has_cond(const struct cond *v, size_t n, const struct cond *one);
void lint_pairs(struct load *ld);
/* Why no message can fit the rule, or NULL. */
const char *lint_never_why(struct load *ld, const struct rule *r);

#endif
