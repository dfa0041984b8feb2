/* verdict.h -- what the policy decided, for each recipient, and why.
 *
 * A zeroed verdict is UNJUDGED, which nothing delivers. All of it lives in
 * the arena given to policy_judge().
 */
#ifndef POSTERN_VERDICT_H
#define POSTERN_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "postern/span.h"

/* In rising order of restriction: joining two outcomes is taking the larger. */
#define OUTCOMES(X) \
	X(UNJUDGED, "unjudged") X(DELIVER, "deliver") X(REDIRECT, "redirect") X(DISCARD, "discard") \
	X(QUARANTINE, "quarantine") X(HOLD, "hold") X(DEFER, "defer") X(REJECT, "reject")
enum outcome {
#define X(name, text) OUTCOME_##name,
	OUTCOMES(X)
#undef X
	OUTCOME_COUNT
};
const char *outcome_name(enum outcome o);
bool outcome_from_name(struct span name, enum outcome *o);

enum require_tls { TLS_UNSPECIFIED, TLS_OPPORTUNISTIC, TLS_ENCRYPTED, TLS_VERIFIED, TLS_DANE };
enum confidence { CONFIDENCE_NONE, CONFIDENCE_LOW, CONFIDENCE_MEDIUM, CONFIDENCE_HIGH };
const char *confidence_name(enum confidence c);

/* Bytes [offset, offset + size) of the message as received become `with`. Edits of a
 * variant are sorted by offset and do not overlap. */
struct edit {
	uint64_t offset;
	uint64_t size;
	struct span with;
	struct span rule;	/* who asked for it */
};

/* One set of modifications; recipients with equal ones share it. Variant 0 has no edit. */
struct variant {
	struct edit *edits;
	size_t nedits;
};

struct decision {		/* one for each recipient, in the envelope's order */
	enum outcome outcome;
	struct span reply;	/* reject, defer: "5.7.1 text (ref ID)"; else empty */
	uint16_t variant;
	enum require_tls require_tls;
	struct span queue;	/* quarantine: its name; hold: the group or address that decides */
	int64_t expires;	/* hold: Unix microseconds, 0 never */
	enum outcome on_expire;	/* hold: what then; UNJUDGED when it never expires */
	const struct span *redirect;	/* addresses */
	size_t nredirect;
	const struct span *rules;	/* ids of enforced rules that hit */
	size_t nrules;
	const struct span *shadow;	/* ids of shadow rules that would have hit */
	size_t nshadow;
	const struct span *skipped;	/* hit, but an exception or `unless` cancelled them */
	size_t nskipped;
};

struct place {
	uint32_t from, to;	/* byte offsets in the decoded part, or in the decoded header value */
};

/* All that one detector found in one place to look, put together. */
struct finding {
	struct span detector;
	enum confidence confidence;	/* the highest of its matches */
	uint32_t count;		/* matches */
	uint32_t distinct;	/* different values */
	struct span part;	/* part number */
	const char *where;	/* where_name() */
	struct span name;	/* file or header name; empty: none */
	struct span origin;	/* "comments", "hidden sheet Prices", …: a text beside the main one; else empty */
	const struct place *places;	/* the first FINDING_PLACES */
	size_t nplaces;
	const struct span *masked;	/* one for each distinct value, the first FINDING_PLACES */
	size_t nmasked;
};
#define FINDING_PLACES 16

struct near_miss {		/* a rule of which all but one condition held */
	struct span rule;
	struct span text;	/* "finds fr-nir: 2 distinct, min 3" */
};

struct verdict {
	struct decision *decisions;
	size_t ndecisions;
	struct variant *variants;
	size_t nvariants;
	struct finding *findings;
	size_t nfindings;
	struct near_miss *near_misses;
	size_t nnear_misses;
	bool unscannable;
	bool undecided;		/* a budget ran out: the outcome is on_unscannable's */
	struct span record;	/* when it was asked for: all that led here, without the message */
	int64_t us_detect, us_evaluate;	/* filled by the caller's stop watch, 0: not measured */
};

#endif
