/* limits_shared.h -- limits as what is asked of all nodes (ipc/messages_count.h), and a node's share of them. */
#ifndef RECEIVER_LIMITS_SHARED_H
#define RECEIVER_LIMITS_SHARED_H

#include "ipc/messages_count.h"
#include "postern/arena.h"
#include "receiver/limits.h"

struct limits_items {
	struct count_item v[COUNT_ITEMS_MAX];
	const struct limit_rule *rule[COUNT_ITEMS_MAX];	/* of each … */
	struct span key[COUNT_ITEMS_MAX];		/* … borrowed from who */
	size_t n;
};

/* What limits_take() would take, behind what is in `out`; groups rise. Names are of the arena. */
void limits_items_take(const struct limit_rule *rules, size_t nrules, enum limit_unit unit,
    const struct limits_who *who, uint32_t cost, uint32_t group, struct arena *a,
    struct limits_items *out);
/* What limits_check() would look at. */
void limits_items_check(const struct limit_rule *rules, size_t nrules, const struct limits_who *who,
    struct arena *a, struct limits_items *out);
/* For a reset: the rule's entry under a key. */
void limits_item_reset(const struct limit_rule *rule, struct span key, struct arena *a,
    struct count_item *out);
/* What that answer means: as limits_take() and limits_check() return it. */
enum outcome limits_items_told(const struct limits_items *it, const struct count_group *g, int64_t now,
    struct limits_hit *hit);
/* Copies of the rules with so many percent of their allowance, at least 1. */
struct limit_rule *limits_share(const struct limit_rule *rules, size_t nrules, uint32_t percent,
    struct arena *a);

#endif
