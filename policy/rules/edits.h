/* edits.h -- what the files that make edits share.
 *
 * A rule asks (edit_plan.c): this file is to go, these bytes of that part are
 * to be blackened, this text is to be appended to that one. What may not be
 * touched is refused there, once for each rule and message. edits.c puts what
 * several rules ask of one message together, edit_text.c turns the changes of a
 * part's text into bytes of its character set, edit_transfer.c those into
 * ranges of the message through the transfer encoding.
 */
#ifndef RULES_EDITS_H
#define RULES_EDITS_H

#include "anatomy/decode.h"
#include "rules.h"

#define EDIT_BYTES ((size_t)8 << 30)	/* of one part written anew: a message has at most 2 GiB */
#define EDITS_MAX 1500		/* of one variant; beyond it neighbours are put together */

/* --- what one rule asks of a message ------------------------------------------------ */

struct redaction {
	uint16_t part;
	uint32_t from, to;	/* bytes of the decoded part */
	struct span with;	/* UTF-8; empty: a mark for each character */
	struct span rule;
};

/* In a subject of the message itself: edit_subject.c. */
struct subject_redaction {
	const struct header *header;
	const struct text *text;	/* the value as people read it */
	uint32_t from, to;		/* bytes of that */
	struct span with;		/* as above */
};

enum append_how { APPEND_TEXT, APPEND_HTML, APPEND_PART /* before the part */ };
struct append {
	uint16_t part;
	enum append_how how;
	struct span text;	/* UTF-8, lines end in LF */
	struct span rule;
};

struct edit_plan {
	bool made;
	uint16_t *strips;	/* parts, rising */
	size_t nstrips;
	struct redaction *redactions;
	size_t nredactions;
	struct subject_redaction *subjects;
	size_t nsubjects;
	struct append *appends;
	size_t nappends;
	struct refused_edit *refused;
	size_t nrefused;
};

/* The plan of a rule that hit; made once for a message. */
const struct edit_plan *edit_plan(struct eval *e, const struct rule *r);
/* What stands in place of a file; LF line ends. */
struct span strip_notice(struct eval *e, const struct rule *r, uint16_t part);
/* Why nothing of the part may be altered, or NULL. */
const char *part_sealed(const struct anatomy *an, size_t i);
/* The outermost file that part i lies in (an archive, an encoded message), or PART_NONE: it
 * stands in the message itself. */
uint16_t part_container(const struct anatomy *an, size_t i);
bool part_within(const struct anatomy *an, size_t i, size_t of);	/* or is it */

/* --- edits of the message ------------------------------------------------------------ */

struct edits {
	struct eval *e;
	struct edit *v;
	size_t n, cap;
	const char *eol;
};
void edit_push(struct edits *x, struct edit one);
/* "Name: value" with its line end, folded and encoded; value is one line. */
struct span edit_field(struct edits *x, struct span name, struct span value);
/* add_header, remove_header, prefix_subject, and what takes an override's words away. */
void edit_headers(struct edits *x, const struct rule *const *rules, size_t nrules, size_t *top);
/* Does the root have a field of that name? */
bool root_has(const struct anatomy *an, const char *name);

/* Why a match in a header field cannot be blackened; NULL: *out is filled but for `with`. */
const char *subject_redaction(const struct anatomy *an, const struct surface *s, struct place place,
    struct subject_redaction *out);
/* The value of that field without what these rules blacken; false: nothing of it. */
bool subject_blackened(struct edits *x, const struct header *h, const struct rule *const *rules,
    size_t nrules, struct span *value, struct span *who);

/* --- texts of a part ------------------------------------------------------------------ */

struct change {			/* bytes of the decoded part become `with`, in its character set */
	size_t from, to;
	struct span with;
};

/* Redactions (sorted by from) and appends of one part, all together. */
void edit_text(struct edits *x, size_t part, const struct redaction *r, size_t nr,
    const struct append *ap, size_t nap);
/* Changes sorted, not overlapping. whole: nothing of the old spelling is kept. */
void edit_transfer(struct edits *x, size_t part, const struct change *c, size_t n,
    struct edit like);
/* A whole body in quoted-printable, or in base64 where that is shorter; *base64 says which. */
struct span transfer_encode(struct arena *a, struct span bytes, const char *eol, bool *base64);
/* The smallest offset of the text that comes from at or behind `origin`. */
size_t text_offset(const struct text *t, size_t origin);

#endif
