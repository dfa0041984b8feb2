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

/* A set of its own memory. Ids must be unique; returns the index of the detector or -1. */
struct detectors *detectors_new(void);
void detectors_free(struct detectors **d);
int detectors_add_words(struct detectors *d, struct span id, const struct span *words, size_t n,
    struct err *err);
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

#define DETECT_MATCHES_MAX 10000	/* kept for each detector; beyond it the run stops looking for it */

struct detection {
	struct match *matches;	/* grouped by detector, in order of place */
	size_t nmatches;
	uint32_t *first;	/* matches of detector i are [first[i], first[i + 1]) */
	bool undecided;		/* PCRE2 ran into a limit or a budget ended: absence proves nothing */
	uint64_t undecided_detectors;	/* count of those affected */
	const bool *undecided_by;	/* one for each detector; NULL: none */
};

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
