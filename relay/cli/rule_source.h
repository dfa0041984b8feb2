/* rule_source.h -- where a rule stands in the files of a policy, as text. */
#ifndef CLI_RULE_SOURCE_H
#define CLI_RULE_SOURCE_H

#include "conf.h"
#include "scanner/archive.h"

struct rule_source {
	size_t file;			/* of parts->files */
	const struct conf_node *node;	/* the rule */
	uint32_t line;			/* its first line, from 1 */
	struct span text;		/* whole lines */
};
/* false: no file has it (it is of a pack). Trees live in the arena. */
bool rule_source_find(const struct policy_parts *parts, struct span id, struct arena *a,
    struct rule_source *out);
/* The same of a detector of the policy; node is its value. */
bool detector_source_find(const struct policy_parts *parts, struct span id, struct arena *a,
    struct rule_source *out);
/* The place of a scalar without its quotes, in the text of its file. false: it is not written plainly. */
bool scalar_place(struct span text, const struct conf_node *scalar, size_t *at);

#endif
