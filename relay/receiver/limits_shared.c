/* limits_shared.c -- limits as what is asked of all nodes; see limits_shared.h.
 *
 * Which rules apply to whom is decided here, by the same functions as locally; what is counted where
 * is Redis's. So is the arithmetic: step and window are limits.c's, in microseconds.
 */
#include <stdio.h>
#include <string.h>

#include "receiver/limits_shared.h"
#include "receiver/limits_table.h"

static struct span
name_of(const struct limit_rule *rule, struct span key, struct arena *a)
{
	struct span id = span_sub(rule->id, 0, 200);
	char *p;

	key = span_sub(key, 0, COUNT_NAME_MAX - 1 - id.n);
	p = arena_alloc(a, id.n + 1 + key.n);
	memcpy(p, id.p, id.n);
	p[id.n] = ' ';
	for (size_t i = 0; i < key.n; i++)
		p[id.n + 1 + i] = ascii_lower(key.p[i]);
	return span_make(p, id.n + 1 + key.n);
}

static void
put(const struct limit_rule *rule, struct span key, enum count_kind kind, struct arena *a,
    struct count_item *out)
{
	*out = (struct count_item){ .kind = kind, .name = name_of(rule, key, a), .member = SPAN_LIT(""),
		.step = rule->allow ? limits_step(rule) * LIMITS_UNIT : 0,
		.window = (uint64_t)rule->window / LIMITS_UNIT * LIMITS_UNIT,
		.lock = (uint64_t)rule->lock, .cost = 1, .then = (uint32_t)rule->then };
}

static struct count_item *
add(const struct limit_rule *rule, struct span key, enum count_kind kind, struct arena *a,
    struct limits_items *out)
{
	if (out->n == COUNT_ITEMS_MAX)
		return NULL;
	put(rule, key, kind, a, &out->v[out->n]);
	out->rule[out->n] = rule;
	out->key[out->n] = key;
	return &out->v[out->n++];
}

void
limits_items_take(const struct limit_rule *rules, size_t nrules, enum limit_unit unit,
    const struct limits_who *who, uint32_t cost, uint32_t group, struct arena *a,
    struct limits_items *out)
{
	for (size_t i = 0; i < nrules; i++) {
		struct span key = rules[i].unit == unit ? limits_counted(&rules[i], who) : SPAN_LIT("");
		struct count_item *it;

		if (key.n == 0 || (it = add(&rules[i], key, unit == LIMIT_UNIQUE ? COUNT_UNIQUE : COUNT_TAKE,
		    a, out)) == NULL)
			continue;
		it->group = group;
		it->cost = unit == LIMIT_UNIQUE ? 1 : cost;
		if (unit == LIMIT_UNIQUE)
			it->member = arena_span(a, who->recipient);
	}
}

void
limits_items_check(const struct limit_rule *rules, size_t nrules, const struct limits_who *who,
    struct arena *a, struct limits_items *out)
{
	for (size_t i = 0; i < nrules; i++) {
		struct span key = rules[i].lock || rules[i].unit == LIMIT_INVALID ?
		    limits_counted(&rules[i], who) : SPAN_LIT("");

		if (key.n)
			add(&rules[i], key, rules[i].unit == LIMIT_INVALID ? COUNT_FULL : COUNT_LOCKED, a, out);
	}
}

void
limits_item_reset(const struct limit_rule *rule, struct span key, struct arena *a,
    struct count_item *out)
{
	put(rule, key, COUNT_TAKE, a, out);
}

enum outcome
limits_items_told(const struct limits_items *it, const struct count_group *g, int64_t now,
    struct limits_hit *hit)
{
	*hit = (struct limits_hit){ 0 };
	if (g->hit == 0 || g->hit > it->n)
		return OUTCOME_UNJUDGED;
	*hit = (struct limits_hit){ it->rule[g->hit - 1], it->key[g->hit - 1], g->locked,
		g->until ? now + g->until : 0 };
	return hit->rule->then;
}

struct limit_rule *
limits_share(const struct limit_rule *rules, size_t nrules, uint32_t percent, struct arena *a)
{
	struct limit_rule *out = arena_array(a, nrules, sizeof(*out));

	for (size_t i = 0; i < nrules; i++) {
		out[i] = rules[i];
		if (rules[i].unit == LIMIT_CONNECTIONS || rules[i].allow == 0)
			continue;
		out[i].allow = rules[i].allow / 100 * percent + rules[i].allow % 100 * percent / 100;
		if (out[i].allow == 0)
			out[i].allow = 1;
	}
	return out;
}
