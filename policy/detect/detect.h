/* detect.h -- the set of detectors of a policy, and what they find in a message.
 *
 * Built once (add …, compile), then never changed: shared by fork. A run
 * searches every surface of the anatomy once for all detectors together and
 * has no state between calls but scratch memory that lives in the set
 * (a set is used by one process at a time).
 *
 * A match is first raw (shape), then proved (validator), then rated: `low` =
 * shape and checksum; `medium` = canonical grouping or a rare validator;
 * `high` = medium and a keyword near, or several distinct values.
 *
 * Lexicons and fingerprints are *graded* instead: what they found in a part, and
 * in the whole message, is added up and compared with thresholds (grade.c).
 */
#ifndef DETECT_H
#define DETECT_H

#include "postern/anatomy.h"
#include "postern/arena.h"
#include "postern/err.h"
#include "postern/verdict.h"

struct detectors;
struct exact_plan;

struct detector_near {		/* keywords that raise the confidence of a match */
	const struct span *words;
	size_t nwords;
	uint32_t within;	/* characters between match and keyword, at most */
};

struct detector_pattern {
	struct span pattern;	/* PCRE2, UTF and UCP on */
	struct detector_near near;	/* nwords 0: none */
	enum confidence alone;	/* without (or with no) keyword near */
	enum confidence with_near;
	unsigned mask_last;	/* how many last characters evidence shows; the rest is masked */
};

struct detector_words {
	const struct span *words;
	size_t nwords;
	struct detector_near near;
	enum confidence alone, with_near;	/* NONE: high; with keywords medium and high */
	unsigned mask_last;
};

struct detector_term {
	struct span word;
	uint32_t weight;	/* in LEXICON_UNIT; of two that fold to the same the heavier counts */
};

struct detector_lexicon {
	const struct detector_term *terms;
	size_t nterms;
	uint64_t medium, high;	/* scores from which it is so sure, in LEXICON_UNIT; 0: never */
	uint32_t distinct;	/* so many different terms, else it is low */
	struct detector_near near;	/* only terms near one of these count; nwords 0: all do */
	unsigned mask_last;
};

struct detector_fingerprints {
	struct span index;	/* the file (fingerprint.h); must outlive the set */
	uint64_t medium, high;	/* overlap, in OVERLAP_UNIT; 0: never */
};
#define OVERLAP_UNIT 100	/* a per cent */

/* A set of its own memory. Ids must be unique; returns the index of the detector or -1. */
struct detectors *detectors_new(void);
void detectors_free(struct detectors **d);
int detectors_add_words(struct detectors *d, struct span id, const struct span *words, size_t n,
    struct err *err);
int detectors_add_listed(struct detectors *d, struct span id, const struct detector_words *w,
    struct err *err);
int detectors_add_lexicon(struct detectors *d, struct span id, const struct detector_lexicon *l,
    struct err *err);
/* err says what is wrong with the index. */
int detectors_add_fingerprints(struct detectors *d, struct span id,
    const struct detector_fingerprints *f, struct err *err);
int detectors_add_pattern(struct detectors *d, struct span id, const struct detector_pattern *p,
    struct err *err);	/* err says what PCRE2 said, and the offset in the pattern */
/* Rows of an index of exact data (exact.h); confidence of the required columns alone (NONE: not told),
 * and with the others. The plan's index must outlive the set. */
int detectors_add_exact(struct detectors *d, struct span id, const struct exact_plan *plan,
    enum confidence alone, enum confidence with_near, struct err *err);
const struct exact_plan *detectors_exact(const struct detectors *d, size_t index);	/* NULL: it is none */
/* A built-in one by its name ("payment-card", "iban", "fr-nir"); -1 when there is none such. */
int detectors_add_builtin(struct detectors *d, struct span name, struct err *err);
/* Name and one-line description of built-in i, or NULL past the end. */
const char *detector_builtin(size_t i, const char **help);
/* A condition's own `{words: […]}`/`{pattern: '…'}` are detectors too, without a name people see:
 * id then begins with a space, and they are left out of findings. */
int detectors_compile(struct detectors *d, struct err *err);
int detectors_find(const struct detectors *d, struct span id);	/* index or -1 */
size_t detectors_count(const struct detectors *d);
struct span detectors_id(const struct detectors *d, size_t index);

struct match {
	uint16_t detector;
	uint16_t surface;	/* index in anatomy.surfaces */
	enum confidence confidence;
	struct place place;	/* in the decoded part (or header value) */
	uint64_t value;		/* hash of the canonical value: equal values are not distinct */
	struct span masked;	/* "••••••••• 46" */
};

/* What was added up of one subject (all terms of a lexicon, one document) in one part, or in the
 * whole message. Kept so that other thresholds can be tried without the message. */
#define GRADE_MESSAGE UINT32_MAX
struct grade {
	uint32_t detector;
	uint32_t subject;	/* lexicon: 0; of a document: its matches' value - 1 */
	uint32_t part;		/* index, or GRADE_MESSAGE */
	uint32_t distinct;	/* different terms, hashes */
	uint64_t amount;	/* LEXICON_UNIT, OVERLAP_UNIT */
	/* Of a part: what its matches are worth. Of the message: what all of them are worth at
	 * least, where it reaches together what no part does alone; else low. */
	enum confidence confidence;
};

#define DETECT_MATCHES_MAX 10000	/* kept for each detector; beyond it the run stops looking for it */

struct detection {
	struct match *matches;	/* grouped by detector, in order of place */
	size_t nmatches;
	uint32_t *first;	/* matches of detector i are [first[i], first[i + 1]) */
	bool undecided;		/* PCRE2 ran into a limit or a budget ended: absence proves nothing */
	uint64_t undecided_detectors;	/* count of those affected */
	const bool *undecided_by;	/* one for each detector; NULL: none */
	struct grade *grades;	/* by detector, subject, part */
	size_t ngrades;
};

/* grade.c. Rates grades, and by them the matches of graded detectors, with the set's thresholds.
 * surfaces may be NULL: all is in one part. */
void detectors_rate(const struct detectors *d, struct detection *out, const struct surface *surfaces);
void grades_sort(struct detection *out);
bool detectors_graded(const struct detectors *d, size_t index);
/* "score 12.5 of 4 terms, medium from 15"; empty: it is not graded, or found nothing. */
struct span detectors_grade_text(const struct detectors *d, const struct detection *out, size_t index,
    struct arena *a);
/* What the thresholds could ever reach: the most that a lexicon's terms can score and how many
 * there are; of fingerprints the documents that count. false: not graded. */
struct grade_reach {
	uint64_t amount, medium, high;
	size_t things;
	uint32_t distinct;
	bool documents;
};
const char *detectors_kind(const struct detectors *d, size_t index);	/* "words", "lexicon", … */
/* What it holds, in words: how much, and its thresholds. */
struct span detectors_describe(const struct detectors *d, size_t index, struct arena *a);
bool detectors_reach(const struct detectors *d, size_t index, struct grade_reach *out);

/* Searches all surfaces. budget_us is turned into match-limit steps, not read from a clock;
 * 0: the default. Cost does not grow with detectors that have nothing to say. */
void detectors_run(const struct detectors *d, const struct anatomy *an, struct arena *a,
    struct detection *out);
/* One text alone, as samples and conditions on a single header need it. */
void detectors_run_text(const struct detectors *d, size_t index, struct span utf8, struct arena *a,
    struct detection *out);
/* The same for many texts of one message: *steps is what may still be spent, it falls, and a
 * search for which it does not suffice is undecided. */
#define DETECT_TEXTS_STEPS INT64_C(100000000)	/* a fair start */
void detectors_run_texts(const struct detectors *d, size_t index, struct span utf8, struct arena *a,
    int64_t *steps, struct detection *out);

#endif
