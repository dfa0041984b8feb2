/* verdict.c -- names of outcomes, and the verdict when there could be none. */
#include <stdio.h>

#include "id.h"
#include "rules.h"

static const char *const outcomes[] = {
#define X(name, text) text,
	OUTCOMES(X)
#undef X
};

const char *
outcome_name(enum outcome o)
{
	return (unsigned)o < OUTCOME_COUNT ? outcomes[o] : "unjudged";
}

bool
outcome_from_name(struct span name, enum outcome *o)
{
	for (int i = OUTCOME_DELIVER; i < OUTCOME_COUNT; i++)
		if (span_is(name, outcomes[i])) {
			*o = (enum outcome)i;
			return true;
		}
	return false;
}

const char *
confidence_name(enum confidence c)
{
	static const char *const names[] = { "none", "low", "medium", "high" };

	return (unsigned)c < 4 ? names[c] : "none";
}

void
policy_verdict_failed(const struct policy *p, const struct envelope *env, bool unscannable,
    struct span reason, struct arena *a, struct verdict *out)
{
	enum outcome o = unscannable ? p->on_unscannable : p->on_scan_error;
	static const struct span on_unscannable = { "defaults/on_unscannable", 23 };
	static const struct span on_scan_error = { "defaults/on_scan_error", 22 };
	struct decision d = { .outcome = o, .nrules = 1 };

	*out = (struct verdict){ .unscannable = unscannable, .undecided = unscannable };
	out->decisions = arena_array(a, env->nrecipients, sizeof(*out->decisions));
	out->ndecisions = env->nrecipients;
	out->variants = arena_array(a, 1, sizeof(*out->variants));
	out->nvariants = 1;
	d.rules = unscannable ? &on_unscannable : &on_scan_error;
	if (o == OUTCOME_REJECT || o == OUTCOME_DEFER) {
		struct eval e = { .p = p, .env = env, .arena = a };

		d.reply = expand_reply(&e, NULL, o == OUTCOME_REJECT ? SPAN_LIT("5.7.1") :
		    SPAN_LIT("4.7.1"), reason.n ? reason : unscannable ?
		    SPAN_LIT("The message could not be examined") :
		    SPAN_LIT("The message cannot be checked right now, try again later"), REPLY_MAX);
	} else if (o == OUTCOME_HOLD) {
		d.queue = p->contact.n ? p->contact : SPAN_LIT("postmaster");
	} else if (o == OUTCOME_QUARANTINE) {
		d.queue = SPAN_LIT("unscannable");
	}
	for (size_t i = 0; i < env->nrecipients; i++)
		out->decisions[i] = d;
}
