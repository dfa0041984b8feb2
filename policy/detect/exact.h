/* exact.h -- the detector `exact`: rows of an index in a text.
 *
 * One column of the required ones, the most selective, is looked for in the
 * whole text; the others only near what was found, and only those values
 * count that stand in the same row. So the cost is that of reading the text
 * once; never does it grow with the rows of the index.
 */
#ifndef DETECT_EXACT_H
#define DETECT_EXACT_H

#include "postern/exact.h"

/* Work of one run over a message, all detectors of this kind together: a candidate is one,
 * hashing one that passed the filter EXACT_STEP_HASH, a row compared EXACT_STEP_ROW. */
#define EXACT_STEPS INT64_C(60000000)
#define EXACT_STEP_HASH 8
#define EXACT_STEP_ROW 3
#define EXACT_HITS 1000000	/* values found in one text, of one column */

struct exact_plan {
	const struct exact_index *ix;
	uint16_t require, of;	/* columns: bit i */
	uint32_t min;		/* so many of `of` */
	uint32_t within;	/* characters between a required value and the others */
	bool partly;		/* the required ones alone are told, too */
	uint16_t anchors;	/* looked for in the whole text; exact_plan_finish() sets it */
};
/* Chooses where the search begins. */
void exact_plan_finish(struct exact_plan *p);

struct exact_scratch;
struct exact_scratch *exact_scratch_new(void);
void exact_scratch_free(struct exact_scratch **s);

struct exact_found {		/* a value of a row */
	size_t from, to;	/* in the text */
	uint32_t row;
	size_t column;
	uint16_t with;		/* columns of the row that were found */
	bool full;		/* all that was asked; else the required ones alone */
};
typedef bool exact_found_fn(void *ctx, const struct exact_found *f);	/* false: enough */
/* folded: as text_fold() leaves it; within: bytes. False: undecided, the steps did not suffice. */
bool exact_search(const struct exact_plan *p, struct exact_scratch *s, struct span folded,
    size_t within, int64_t *steps, exact_found_fn *fn, void *ctx);

/* --- what exact_value.c, exact_find.c and exact_date.c share ---------------------------- */

#define EXACT_PHONE_DIGITS 9
#define EXACT_PHONE_MAX 15

static inline bool
exact_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool
exact_alnum(char c)
{
	return exact_digit(c) || (c >= 'a' && c <= 'z');
}

/* May stand between the characters of a value. */
bool exact_joins(enum exact_type t, char c);
/* The next character of a social security number; false: it is none. */
bool exact_nir_at(struct exact_value *v, char c);
/* The next word of s[at, end): letters and digits of any script. */
bool exact_word(struct span s, size_t at, size_t end, size_t *from, size_t *to);
#define EXACT_LOCAL_MAX 64	/* RFC 5321, 4.5.3.1.1; bytes */
#define EXACT_DOMAIN_MAX (EXACT_VALUE_MAX - EXACT_LOCAL_MAX - 1)
bool exact_address_char(char c, bool domain);
/* Without what belongs to the sentence: dots at both ends, a quote in front. */
void exact_address_trim(struct span s, size_t *from, size_t sign, size_t *to);

struct exact_date {
	char v[4][8];		/* what it may mean, "19841207"; day before month first */
	unsigned n;
	unsigned day_first, month_first;	/* which of them are so; both where the notation is plain */
	bool century_missing;
};
/* A date that begins at `at`: where it ends, or 0. */
size_t exact_date_at(struct span s, size_t at, size_t end, struct exact_date *out);

#endif
