/* backtest_groups.h -- sums over many messages: what changed, by rule; see backtest.h. */
#ifndef CLI_BACKTEST_GROUPS_H
#define CLI_BACKTEST_GROUPS_H

#include "postern/arena.h"
#include "postern/verdict.h"

struct change {			/* messages with a recipient whose outcome changed so */
	enum outcome was, is;
	struct span rule;	/* that hits now, or … */
	bool gone;		/* … hits no longer */
	uint64_t n, last;	/* last: message counted last, by number */
	uint64_t *ids;		/* the first of them */
	size_t nids, room;
};
struct rule_sum {		/* messages a rule hit, in any mode but off */
	uint64_t was, is, newly, gone, unsure;
	uint64_t marked_was, marked_is, marked_unsure;	/* message counted last */
};
struct why_sum {
	struct span why;
	uint64_t n;
};

struct table;
struct backtest_sums {
	struct arena *arena;
	uint64_t total, same, changed, unknown, released;
	uint64_t newly[OUTCOME_COUNT];
	struct table *changes, *rules, *whys;
	struct change **order;		/* most messages first; made when asked for */
	size_t norder;
	struct why_sum **why_order;
	size_t nwhys;
};

void sums_init(struct backtest_sums *s);
void sums_release(struct backtest_sums *s);
/* rule not empty: only changes that this rule makes. */
void sums_compare(struct backtest_sums *s, uint64_t id, const struct verdict *was,
    const struct verdict *is, struct span rule);
void sums_unsure(struct backtest_sums *s, const struct verdict *low, const struct verdict *high);
void sums_why(struct backtest_sums *s, struct span why);
/* Most messages first; NULL behind the last. Nothing may be added afterwards. */
const struct change *sums_change(struct backtest_sums *s, size_t i);
const struct why_sum *sums_whys(struct backtest_sums *s, size_t i);
const struct rule_sum *sums_rule(const struct backtest_sums *s, struct span id);	/* or NULL */

#endif
