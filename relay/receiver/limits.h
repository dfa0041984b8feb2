/* limits.h -- rate limits (GCRA) and session counts in memory that all receivers share. */
#ifndef RECEIVER_LIMITS_H
#define RECEIVER_LIMITS_H

#include "postern/envelope.h"
#include "postern/policy.h"

struct limits_table;		/* lies in the shared mapping */

/* The table in `memory` (zeroed when it is new; at least LIMITS_MEMORY_MIN bytes, aligned to
 * 64). The first process to come makes the secret key of the hashes; now is clock_mono. */
#define LIMITS_MEMORY_MIN (1u << 20)
struct limits_table *limits_attach(void *memory, size_t size, int64_t now);

/* Who is asking: what there is of it; an empty span: that key does not apply. */
struct limits_who {
	struct span client, sender, sender_domain, user;
};
void limits_who(const struct envelope *env, char client_text[static 46], struct limits_who *who);

struct limits_hit {
	const struct limit_rule *rule;	/* NULL: none was hit */
	struct span key;		/* borrowed from who */
};

/* Takes `cost` messages or recipients from every rule of that unit. UNJUDGED: all within
 * their limits. Otherwise the most restrictive outcome of the rules that were exceeded
 * (DEFER, REJECT: nothing was taken; HOLD, DELIVER: the message goes on, held or only noted).
 * now: clock_mono, the same in all processes. */
enum outcome limits_take(struct limits_table *t, const struct limit_rule *rules, size_t nrules,
    enum limit_unit unit, const struct limits_who *who, uint32_t cost, int64_t now,
    struct limits_hit *hit);

/* Gives back what was taken of a rule for a success: it counts failures only. */
void limits_give_back(struct limits_table *t, const struct limit_rule *rule,
    const struct limits_who *who, uint32_t cost);

/* For `postern limits`. */
struct limits_entry {
	char text[56];		/* "rule key", cut at the end when it was too long */
	int64_t full_until;	/* clock_mono: when all of the allowance is back */
};
/* *at starts at 0; false at the end. Only entries above zero at `now`. */
bool limits_next(const struct limits_table *t, size_t *at, int64_t now, struct limits_entry *e);
/* Forgets what key has used under one rule, or under all of them (rule empty). true: there was
 * something. */
bool limits_reset(struct limits_table *t, const struct limit_rule *rules, size_t nrules,
    struct span rule, struct span key);
/* How much of the rule's allowance is used at now, in its unit. */
uint64_t limits_used(const struct limit_rule *rule, int64_t full_until, int64_t now);

/* ---- sessions open for each client, over all receivers ---- */
/* Each process has its own column of counts; it is cleared when a new process takes it over,
 * so a killed process leaves nothing behind for long. -1: no column free (count alone then). */
int limits_column(struct limits_table *t, int64_t now);
void limits_alive(struct limits_table *t, int column, int64_t now);	/* every second or so */
/* Adds by (1 or -1); the sum over all living processes afterwards. column -1: 0. */
uint32_t limits_sessions(struct limits_table *t, int column, struct ip client, int by, int64_t now);

#endif
