/* judge.h -- what the files that make a verdict of one message share.
 *
 * evaluate.c finds which rules hit, for each class of recipients; join.c makes
 * one decision of them; notices.c says who gets a copy and who is told.
 */
#ifndef RULES_JUDGE_H
#define RULES_JUDGE_H

#include "edits.h"

struct class {			/* recipients with the same verdict */
	uint64_t *bits;
	struct decision decision;
	const struct rule **edits;	/* hits that change the message, by id */
	size_t nedits;
	const struct rule **hits;	/* all of them */
	size_t nhits;
};

/* A rule that was looked at, until the verdict is made (told.c). */
enum looked { LOOKED_NEAR = 1, LOOKED_UNSURE, LOOKED_SKIPPED, LOOKED_SHADOW, LOOKED_HIT };
struct look {
	uint32_t rule, class;
	enum looked as;
};
#define LOOKS_MAX 64		/* of one message; those that hit have half of it for themselves */
#define LOOKS_NEAR_MAX 32

struct judge {
	struct eval e;
	struct verdict *out;
	const struct policy_options *opt;
	unsigned char *modes;	/* of each rule */
	uint64_t *base;		/* rules woken by the message itself */
	uint64_t *woken;	/* and by the recipient in hand */
	const struct rule **hits;
	size_t nhits;
	uint32_t *shadow, *skipped;
	size_t nshadow, nskipped;
	struct overridden *overridden;
	size_t noverridden;
	struct rule *cleaner;	/* takes the words of an override away; NULL: not made yet */
	bool virus_judged, suspect_judged, unscannable_judged;
	unsigned char *looked;	/* of each rule: its number in looks, from 1; NULL: nobody asks */
	struct look looks[LOOKS_MAX];
	size_t nlooks, nlooks_near;
	uint32_t class;		/* in hand */
	bool unsure;			/* a rule hangs on a group that could not be looked up */
};

/* A hit that is no rule of the policy: a default, an edit that failed. */
void judge_hit(struct judge *j, const char *id, enum outcome o, struct span queue,
    const char *text);
/* Hits of rules whose edits are refused, and that say what then. */
void judge_failed_edits(struct judge *j);
/* The sender has lifted a rule that would have hit. */
void judge_overridden(struct judge *j, const struct rule *r, struct span reason);
void judge_join(struct judge *j, struct class *c);
/* Where a sender has lifted a rule for anybody, nobody gets to read the words that did. */
void judge_clean(struct judge *j, struct class *classes, size_t n);
void judge_refused(struct judge *j, const struct class *classes, size_t n);
/* of: the class of each recipient. */
void judge_notices(struct judge *j, const struct class *classes, size_t n, const uint32_t *of);

/* told.c: notes that a rule was looked at, when verdict.told is asked for. */
void judge_look(struct judge *j, uint32_t rule, enum looked as);
/* The verdict is made: what its conditions were. first: a recipient of each class. */
void judge_tell(struct judge *j, const struct class *classes, size_t n, const uint32_t *of);

#endif
