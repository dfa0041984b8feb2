/* set.h -- what a set of detectors is made of: built in set.c, run in detect.c. */
#ifndef DETECT_SET_H
#define DETECT_SET_H

#include "context.h"
#include "detect.h"
#include "postern/fingerprint.h"
#include "identifiers.h"
#include "pattern.h"
#include "prefilter.h"
#include "words.h"

#define SEVERAL 3			/* distinct values that prove each other */

enum kind { KIND_WORDS, KIND_PATTERN, KIND_BUILTIN, KIND_LEXICON, KIND_FINGERPRINTS };

struct detector {
	struct span id;
	uint64_t hash;			/* of the id */
	enum kind kind;
	struct pattern *pattern;
	struct span source;		/* of the pattern */
	int builtin;
	bool near;			/* has keywords */
	uint32_t within;
	enum confidence alone, with_near;	/* KIND_PATTERN, KIND_WORDS */
	unsigned mask_last;
	struct grading *grading;	/* KIND_LEXICON, KIND_FINGERPRINTS */
};

struct grading {
	uint64_t medium, high;
	uint32_t distinct;
	uint32_t number;		/* among graded detectors */
	struct fingerprints index;
};

struct use {				/* a word is looked for on behalf of a detector */
	uint32_t word;
	uint32_t detector;
	uint32_t weight;		/* of a lexicon's term */
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

struct heading {			/* of a column, folded */
	size_t at;			/* in the text */
	size_t surface;			/* tables.serial + 1; 0: none */
	struct span folded;
};

/* Labels and rows that are folded and searched for names in one surface; beyond it none denies a match. */
#define NAMES_ASKED_MAX 20000

struct scratch {
	struct pattern_scratch *pattern;
	bool *maybe;			/* of each pattern: it can match in this surface */
	struct match *matches;		/* in order of discovery */
	size_t nmatches, matches_cap;
	uint32_t *count;		/* matches of each detector */
	bool *undecided;
	struct zones *zones;		/* of each detector, in this surface */
	struct several *several;
	struct tables tables;		/* of this surface */
	struct heading headings[HEADINGS];
	unsigned names_asked;
	struct graded_scratch *graded;
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
	size_t nwords, npatterns;	/* detectors of words, lexicons; with a pattern, built-ins too */
	size_t ngraded;
	uint32_t *fingerprints;		/* the detectors that are fingerprints */
	size_t nfingerprints;
	uint32_t *patterns;		/* the detectors that are patterns */
	struct prefilter *prefilter;	/* NULL: none */
	bool *prefiltered;		/* of each pattern */
	bool all_prefiltered;
	bool compiled;
	struct scratch *scratch;
};

/* graded.c */
struct graded_scratch *graded_scratch_new(const struct detectors *d);
void graded_scratch_free(struct graded_scratch **s, size_t ngraded);

/* Values meet only within one message: no secret, no key. */
uint64_t detect_hash(const char *p, size_t n);

#endif
