/* signs.c -- the condition `sign`: what header, session and make of a message say against it (postern/sign.h).
 *
 * All signs are looked for at once, when the first condition asks.
 */
#include "rules.h"

#define STEPS_SIGNS 200		/* of the budget, as eval_spend() counts */

bool
sign_ask(struct eval *e, const struct atom *a)
{
	if (e->signs == NULL) {
		if (!eval_spend(e, STEPS_SIGNS))
			return false;
		e->signs = arena_zalloc(e->arena, sizeof(*e->signs));
		signs_find(e->an, e->env, e->facts, &e->p->guards, e->arena, e->signs);
	}
	return (e->signs->mask & a->signs) != 0;
}
