/* limits.h -- rate limits (GCRA) and session counts in memory that all receivers share. */
#ifndef RECEIVER_LIMITS_H
#define RECEIVER_LIMITS_H

#include "postern/envelope.h"
#include "postern/policy.h"

struct limits_table;		/* lies in the shared mapping */

/* The table in `memory` (zeroed when it is new; at least LIMITS_MEMORY_MIN bytes, aligned to
 * 64). The first process to come makes the secret key of the hashes; now is clock_mono. */
#define LIMITS_MEMORY_MIN (4u << 20)
struct limits_table *limits_attach(void *memory, size_t size, int64_t now);

/* Who is asking: what there is of it; an empty span: that key does not apply. */
struct limits_who {
	struct span client, sender, sender_domain, user;
	struct span recipient;	/* LIMIT_UNIQUE */
	int64_t real;		/* Unix microseconds: exemptions have an end */
};
void limits_who(const struct envelope *env, char client_text[static 46], struct limits_who *who);

struct limits_hit {
	const struct limit_rule *rule;	/* NULL: none was hit */
	struct span key;		/* borrowed from who */
	bool locked;			/* by this call */
	int64_t until;			/* clock_mono: the end of the lock; 0: there is none */
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
/* At MAIL, taking nothing: is one of the keys locked, or has no invalid recipients left? */
enum outcome limits_check(struct limits_table *t, const struct limit_rule *rules, size_t nrules,
    const struct limits_who *who, int64_t now, struct limits_hit *hit);
/* Sessions one client may have by the rules; UINT64_MAX: no rule says. */
uint64_t limits_connections(const struct limit_rule *rules, size_t nrules,
    const struct limits_who *who, const struct limit_rule **rule);
/* The exemption that holds for a key at a time; NULL: none. */
const struct limit_exempt *limits_exempt(const struct limit_rule *rule, struct span key,
    int64_t real);

/* LIMIT_UNIQUE: has that recipient been counted? It was, elsewhere. */
bool limits_remembers(struct limits_table *t, const struct limit_rule *rule,
    const struct limits_who *who, int64_t now);
void limits_remember(struct limits_table *t, const struct limit_rule *rule,
    const struct limits_who *who, int64_t now);

/* For `postern limits`. */
#define LIMITS_LOCK "#lock"	/* behind the rule's name: the entry is a lock */
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

/* ---- what is open in all receivers together (limits_sessions.c) ---- */
/* Each process has its own column of counts; it is cleared when its process is gone or a new
 * one takes it over. -1: no column free (count alone then). */
int limits_column(struct limits_table *t, uint32_t instance, int64_t now);
void limits_alive(struct limits_table *t, int column, int64_t now);	/* every second or so */
void limits_gone(struct limits_table *t, uint32_t instance);	/* that process has ended */
/* Adds by (1 or -1); the sum over all living processes afterwards. column -1: 0. */
uint32_t limits_sessions(struct limits_table *t, int column, struct ip client, int by, int64_t now);
uint32_t limits_open(struct limits_table *t, int column, struct span key, int by, int64_t now);

struct limits_totals {
	uint32_t sessions;
	uint64_t memory;	/* bytes of mail under way */
};
/* What this process has now. */
void limits_publish_sessions(struct limits_table *t, int column, uint32_t sessions);
void limits_publish_memory(struct limits_table *t, int column, uint64_t memory);
/* Of all living processes but `except` (-1: of all). */
void limits_totals(const struct limits_table *t, int except, int64_t now,
    struct limits_totals *out);

#endif
