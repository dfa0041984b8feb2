/* detector_info.c -- what people want to know of a detector. */
#include "rules.h"

size_t
policy_detector_count(const struct policy *p)
{
	return p->detectors ? detectors_count(p->detectors) : 0;
}

struct span
policy_detector_id(const struct policy *p, size_t i)
{
	struct span id = detectors_id(p->detectors, i);

	return id.n && id.p[0] == ' ' ? (struct span){ 0 } : id;
}

bool
policy_detector_info(const struct policy *p, struct span id, struct arena *a,
    struct policy_detector_info *out)
{
	int index = p->detectors && id.n && id.p[0] != ' ' ? detectors_find(p->detectors, id) : -1;
	struct span *rules;

	if (index < 0)
		return false;
	rules = arena_array(a, p->nrules + 1, sizeof(*rules));
	*out = (struct policy_detector_info){ .rules = rules,
		.holds = detectors_describe(p->detectors, (size_t)index, a) };
	out->kind = detectors_kind(p->detectors, (size_t)index);
	for (size_t i = 0; i < p->nrules; i++)
		for (size_t k = 0; k < p->rules[i].ndetectors; k++)
			if (p->rules[i].detectors[k] == (uint32_t)index) {
				rules[out->nrules++] = p->rules[i].id;
				break;
			}
	return true;
}
