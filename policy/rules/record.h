/* record.h -- what the files about records share with the evaluator. */
#ifndef RULES_RECORD_H
#define RULES_RECORD_H

#include "postern/record.h"
#include "rules.h"
#include "wire.h"

enum { RECORD_FAILED = 1, RECORD_CUT = 2, RECORD_THIN = 4, RECORD_UNDECIDED = 8,
	RECORD_EXHAUSTED = 16 };
enum { EXTENSION_LIMIT = 1, EXTENSION_ACTIONS, EXTENSION_GRADES, EXTENSION_LISTS };
enum answer { ANSWER_UNKNOWN, ANSWER_NO, ANSWER_YES, ANSWER_GAVE_UP };

/* manifest.c */
uint64_t detector_hash(const struct policy *p, uint32_t detector);	/* 0: not known */
bool atom_is_text(const struct atom *a);
uint64_t atom_text_hash(const struct policy *p, const struct atom *a);

/* record.c: the evaluation is over, v is its verdict. */
struct span record_make(const struct eval *e, const struct verdict *v);
bool decision_same(const struct decision *x, const struct decision *y);

/* record_read.c: the matches, one after the other. */
struct found_reader {
	struct wire w;
	size_t nsurfaces, detectors;	/* detectors: left */
	uint32_t detector, n, left;	/* of the one in hand: index in the manifest, matches */
	uint32_t run, values;
	/* the match in hand */
	enum confidence confidence;
	bool fresh;
	uint16_t surface;
	uint32_t number;		/* of its value */
	struct place place;
	struct span masked;
};
void record_found(struct found_reader *f, const struct record *r);
bool record_next_detector(struct found_reader *f);	/* skips what is left of the one before */
bool record_next_match(struct found_reader *f);

/* record_grades.c: what lexicons and fingerprints came to, so that their thresholds can be changed. */
void put_grades(struct buf *record, const struct eval *e);
struct grades_reader {
	struct wire w;
	size_t left;
};
void record_grades(struct grades_reader *g, const struct record *r);
/* The next one: detector is an index in the manifest, a subject a number of a value. */
bool record_next_grade(struct grades_reader *g, struct grade *out);

/* What is known instead of the message, while one record is replayed. */
struct recorded {
	const unsigned char *atoms;	/* enum answer of text conditions, by atom */
	const bool *detectors;		/* known: by detector of the policy */
	const bool *heard;		/* detectors that may have found something */
	const struct record *record;
	bool same;			/* the policy in force itself */
	bool high;			/* what is unknown speaks for a rule, else against it */
	bool assume;			/* for the conditions being asked now */
	bool touched;			/* something unknown was asked */
	struct span why;		/* the first */
};

/* replay.c. Is a group of a directory among these that nobody was asked for then? Then *yes. */
bool recorded_stranger(struct eval *e, const struct atom *a, bool *yes);
/* Is this atom none of those that can be asked here? Then *yes. */
bool recorded_atom(struct eval *e, uint32_t index, bool *yes);
/* Could the rule's edits not be made? Of another policy's rule that is not known: then it is as
 * what is asked now wants it. */
bool recorded_refused(const struct eval *e, struct span rule);
/* The edits of each recipient, where they are known. */
void recorded_variants(const struct eval *e, struct verdict *v);

#endif
