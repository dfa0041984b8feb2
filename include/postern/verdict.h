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
	struct span rule;	/* who asked for it; several joined by commas */
	struct span part;	/* number of the part it changes; "" the header of the message */
	const char *action;	/* "add_header", "redact", … */
	uint32_t order;		/* among those put in at the same place */
	bool opaque;		/* `with` holds what the message said beside it: not to be shown */
};

/* What a rule asked for and must not or could not be done. Its outcome stays, or on_fail's comes. */
struct refused_edit {
	struct span rule;
	struct span part;
	const char *action;
	const char *why;
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
	const struct hold_need *holds;	/* hold: whose approval it needs, each of them */
	size_t nholds;
	/* hold: what it would be without the rules that hold it; comes true once it is released */
	enum outcome after;
	struct span after_queue;
	uint8_t approvals;	/* in quarantine: 2 where a rule wants two persons to release it; else 0 */
	const struct overridden *overridden;	/* rules the sender has overridden, with reasons */
	size_t noverridden;
};

struct hold_need {		/* of one rule */
	struct span rule;
	struct span decider;	/* group or address */
	uint8_t approvals;	/* 1 or 2 persons are asked by mail; 0: whoever may operate the gateway */
	const struct span *approvers;	/* addresses and patterns of the group, when approvals > 0 */
	size_t napprovers;
	struct span language;	/* of what they are told */
};

struct overridden {
	struct span rule;
	struct span reason;
};

/* A copy of the message as it was received, for somebody its sender did not name. */
struct bcc_copy {
	struct span address;
	struct span rule;
};

/* Somebody is told. Texts are UTF-8, lines end in LF, nothing in them is clear evidence. */
struct notice {
	struct span to;
	struct span rule;
	struct span template;	/* its name */
	struct span language;	/* "en", "fr" */
	struct span subject;
	struct span text;
	struct span html;	/* the same for readers of HTML; "" none */
};
#define NOTICES_MAX 64		/* of one message */
#define BCC_MAX 64

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
	struct span grade;	/* lexicons, fingerprints: "score 12.5 of 4 different terms, …"; else empty */
	struct span origin;	/* "comments", "hidden sheet Prices", …: a text beside the main one; else empty */
	const struct place *places;	/* the first FINDING_PLACES */
	size_t nplaces;
	const struct span *masked;	/* one for each distinct value, the first FINDING_PLACES */
	size_t nmasked;
};
#define FINDING_PLACES 16

/* A link that made a rule hold: as it may be shown, without user and query. */
struct url_evidence {
	struct span rule;
	struct span part;	/* part number */
	const char *kind;	/* url_kind_name() */
	uint32_t offset;	/* in the decoded part */
	unsigned tricks;	/* URL_IS_… */
	struct span url;	/* "hxxps://paypa1[.]example/login" */
	struct span why;	/* "taken for paypal[.]com: it looks the same" */
};
#define URL_EVIDENCE 50

struct near_miss {		/* a rule of which all but one condition held */
	struct span rule;
	struct span text;	/* "finds fr-nir: 2 distinct, min 3" */
};

/* One line of the tree that shows why a rule held, or did not: its conditions in the order they
 * were asked. What stands behind the first that failed was not asked. */
enum told_state { TOLD_NOT_ASKED, TOLD_FAILED, TOLD_HELD };
struct told_line {
	const char *of;		/* "when", "unless", "exception" */
	uint8_t depth;		/* 0: of the rule itself */
	enum told_state state;
	struct span text;	/* "finds fr-nir: 3 distinct, min 3", "any of" */
	const struct span *masked;	/* finds: the first different values that count */
	size_t nmasked;
};
struct told_rule {
	struct span rule;
	const char *as;		/* "hit", "shadow", "skipped", "near", "unsure" */
	struct span recipient;	/* the first for whom it was so; its conditions on `to` are about him */
	const struct told_line *lines;
	size_t nlines;
};

struct signs;

/* What the spam filter made of it, or the checks of the policy. */
struct spam_symbol {
	struct span name;
	double score;		/* 0: another filter's, it did not say */
	struct span title;	/* empty: none */
};
struct spam_report {
	const char *class;	/* "spam", "suspected", "marketing", "ham"; NULL: nobody has rated it */
	double score;
	const struct spam_symbol *symbols;
	size_t nsymbols;
	const struct signs *signs;	/* sign.h; NULL: nobody asked for any */
};

struct verdict {
	struct decision *decisions;
	size_t ndecisions;
	struct variant *variants;
	size_t nvariants;
	struct refused_edit *refused;
	size_t nrefused;
	struct bcc_copy *bcc;
	size_t nbcc;
	struct notice *notices;
	size_t nnotices;
	struct finding *findings;
	size_t nfindings;
	struct url_evidence *urls;
	size_t nurls;
	struct near_miss *near_misses;
	size_t nnear_misses;
	const struct told_rule *told;	/* when it was asked for: rules that hit, and those that nearly did */
	size_t ntold;
	struct spam_report spam;
	bool unscannable;
	bool undecided;		/* a budget ran out: the outcome is on_unscannable's */
	struct span record;	/* when it was asked for: all that led here, without the message */
	int64_t us_detect, us_evaluate;	/* filled by the caller's stop watch, 0: not measured */
};

#endif
