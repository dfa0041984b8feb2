/* set.h -- what a set of detectors is made of: built in set.c, run in detect.c. */
#ifndef DETECT_SET_H
#define DETECT_SET_H

#include "detect.h"
#include "exact.h"
#include "identifiers.h"
#include "pattern.h"
#include "prefilter.h"
#include "words.h"

#define SEVERAL 3			/* distinct values that prove each other */

enum kind { KIND_WORDS, KIND_PATTERN, KIND_BUILTIN, KIND_EXACT };

struct detector {
	struct span id;
	uint64_t hash;			/* of the id */
	enum kind kind;
	struct pattern *pattern;
	struct span source;		/* of the pattern */
	int builtin;
	bool near;			/* has keywords */
	uint32_t within;
	enum confidence alone, with_near;	/* KIND_PATTERN, KIND_EXACT */
	struct exact_plan *exact;	/* KIND_EXACT */
	unsigned mask_last;
};

struct use {				/* a word is looked for on behalf of a detector */
	uint32_t word;
	uint32_t detector;
	bool keyword;
};

struct zones {
	struct zone {
		size_t from, to;	/* in the folded text, both included */
	} *zone;
	size_t n, cap;
};

struct several {			/* what a run saw of a built-in */
	uint64_t value[SEVERAL];	/* the first distinct ones */
	uint64_t sure[SEVERAL];		/* the same of those worth medium or more */
	uint8_t nvalues, nsure;
	uint32_t found, failed;
	bool near;			/* one of them stood beside a keyword */
};

struct scratch {
	struct pattern_scratch *pattern;
	bool *maybe;			/* of each pattern: it can match in this surface */
	struct match *matches;		/* in order of discovery */
	size_t nmatches, matches_cap;
	uint32_t *count;		/* matches of each detector */
	bool *undecided;
	struct zones *zones;		/* of each detector, in this surface */
	struct several *several;
	struct exact_scratch *exact;	/* NULL: no detector needs it */
};

struct detectors {
	struct arena *arena;
	struct detector *det;
	size_t n, cap;
	struct words *words;
	struct use *uses;		/* sorted by word once compiled */
	size_t nuses, uses_cap;
	uint32_t *uses_at;		/* of word w: [uses_at[w], uses_at[w + 1]) */
	struct identifiers_plan *plan;
	uint32_t detector_of[BUILTINS_MAX];
	size_t nwords, npatterns;	/* detectors of words; with a pattern, built-ins too */
	uint32_t *patterns;		/* the detectors that are patterns */
	struct prefilter *prefilter;	/* NULL: none */
	bool *prefiltered;		/* of each pattern */
	bool all_prefiltered;
	uint32_t *exacts;		/* the detectors of exact data */
	size_t nexacts;
	bool compiled;
	struct scratch *scratch;
};

/* Values meet only within one message: no secret, no key. */
uint64_t detect_hash(const char *p, size_t n);

#endif
