/* policy_rules.h -- the rules in force, as people are shown them: kept until another policy is in force. */
#ifndef STORE_POLICY_RULES_H
#define STORE_POLICY_RULES_H

struct rules_shown;
void policy_rules_free(struct rules_shown **s);		/* NULL-safe */

#endif
