/* policy_rules.h -- the rules in force, as people are shown them: kept until another policy is in force. */
#ifndef STORE_POLICY_RULES_H
#define STORE_POLICY_RULES_H

struct rules_shown;
void policy_rules_free(struct rules_shown **s);		/* NULL-safe */

struct asked;
struct err;
struct policy_spam;
/* The section `spam` of the policy in force, good until the next question; NULL: it has none. -1: err says why
 * that is not known. */
int policy_rules_spam(struct asked *q, const struct policy_spam **spam, struct err *err);

#endif
