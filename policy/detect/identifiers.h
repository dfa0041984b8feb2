/* identifiers.h -- the built-in detectors: numbers that prove themselves.
 *
 * One walk over a text finds what looks like an identifier (atoms.h) and asks
 * the built-ins whose shape it has. Each proves the candidate (checksum,
 * issuer, country, date) and says what it is worth alone and beside a keyword.
 */
#ifndef DETECT_IDENTIFIERS_H
#define DETECT_IDENTIFIERS_H

#include "atoms.h"
#include "postern/verdict.h"

#define BUILTINS_MAX 128

struct reading {		/* a candidate: its characters, and how they were grouped */
	size_t from, to;	/* in the text */
	uint8_t n;
	uint8_t ngroups;
	uint8_t group[ATOMS_JOINED_MAX];	/* characters in each */
	char sep;		/* the one separator between all groups; 0: none, '?': several */
	char c[READING_MAX + 1];	/* upper case, no separators, NUL behind */
};

struct identifier {
	struct reading r;
	enum confidence alone;	/* NONE: nothing without a keyword */
	enum confidence with_near;
};

enum proof {
	PROOF_NONE,		/* not that shape */
	PROOF_FAILED,		/* that shape, and the checksum is wrong */
	PROOF_FOUND
};

/* A number of digits whose every form is a row: how long, how grouped, what proves it. */
struct number {
	uint8_t n;
	const char *groups;	/* canonical groupings: "3-3-4 2-2-6"; NULL: none */
	bool (*shape)(const char *c);	/* dates, prefixes; NULL: any */
	bool (*check)(const char *c);	/* NULL: there is no checksum */
	/* Worth when grouped so, and as one run; NONE both: not taken. */
	struct worth {
		enum confidence alone, with_near;
	} grouped, whole;
	const char *seps;	/* between groups; NULL: any of " -./" */
};

struct builtin {
	const char *name;
	const char *help;
	const char *const *keywords;	/* as people write them; NULL-terminated */
	uint16_t within;
	uint8_t mask_last;
	/* What several distinct values prove for those worth less than medium. */
	enum confidence several;

	/* Either a table of numbers, … */
	const struct number *numbers;	/* n 0 ends it */
	/* … or a function, with the lengths of a first group with which it can begin, a bit for
	 * each: digits alone, letters and digits mixed, and those complete without another group; … */
	uint64_t digits, mixed, whole;
	enum proof (*match)(struct atoms *at, struct identifier *out);
	/* … or (beside it, too) a PCRE2 pattern and a function that proves what it found. The
	 * reading's place may be narrowed; without characters in it the text there is the value. */
	const char *pattern;
	enum proof (*prove)(struct span text, struct identifier *out);
};

#define LEN(n) (UINT64_C(1) << (n))

extern const struct builtin *const builtins[];	/* NULL-terminated */
int builtin_find(struct span name);		/* index or -1 */

/* Which built-ins to ask, by the first group's length, and whether another group can follow
 * it; made once. */
struct identifiers_plan {
	bool any;
	struct ask {
		uint8_t n;
		uint8_t builtin[BUILTINS_MAX];
	} digits[2][ATOM_MAX + 1], mixed[2][ATOM_MAX + 1];
};
void identifiers_plan_add(struct identifiers_plan *p, int builtin);

/* Called for each candidate with its shape: id is NULL when its checksum failed. */
typedef void identifier_hit(void *ctx, int builtin, const struct identifier *id);
void identifiers_search(const struct identifiers_plan *p, struct span text, identifier_hit *hit,
    void *ctx);

/* Helpers of the built-ins (identifiers.c). */
/* Joins groups from the current atom until there are n characters: false when they do not end
 * there, or a separator is none of seps. */
bool reading_take(struct atoms *at, size_t n, const char *seps, struct reading *r);
bool reading_grouped(const struct reading *r, const char *groups);	/* "4-4-4-4" */
/* Puts a group of n letters in front that stands right before the reading. */
bool reading_lead(struct atoms *at, size_t n, struct reading *r);
/* Is it so built? A: a letter, 9: a digit, *: either, any other character: itself. */
bool reading_is(const struct reading *r, const char *form);
bool reading_digits(const struct reading *r, size_t from, size_t n);	/* all of them digits? */
unsigned reading_number(const struct reading *r, size_t from, size_t n);	/* at most 9 digits */
bool luhn(const char *digits, size_t n);
unsigned digits_mod(const char *digits, size_t n, unsigned m);
unsigned digits_number(const char *digits, size_t n);	/* at most 9 */
bool digits_vary(const char *digits);		/* not the same one all along */
/* Sum of digit times weight; letters count as their digits do (A is 10). */
unsigned weighted(const char *c, const uint8_t *weights, size_t n);
/* A day of some year; year counts only for the 29th of February, -1: any. */
bool is_day(int year, unsigned month, unsigned day);
/* Letters and digits of a match, in upper case; false when there are not n of them. */
bool reading_compact(struct span text, size_t n, struct reading *r);

#endif
