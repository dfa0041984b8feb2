/* run.h -- one run of a set over a message, as detect.c and graded.c share it. */
#ifndef DETECT_RUN_H
#define DETECT_RUN_H

#include "evidence.h"
#include "set.h"

#define NO_INDEX SIZE_MAX

struct run {
	const struct detectors *d;
	struct scratch *s;
	struct arena *a;
	size_t only;			/* one detector alone, or NO_INDEX */
	uint16_t surface;
	uint32_t part;			/* that it is of */
	const struct text *text;
	const struct surface *source;	/* NULL: the text is of no message */
	const struct text *folded;	/* NULL: not made yet */
	struct text folded_here;
	bool walked;			/* words were searched in this surface */
	bool again;			/* words were met that count by what stands near */
	size_t folded_chars;		/* 0: not counted */
	size_t detector;		/* whose pattern is searched */
	int64_t steps;
	int64_t exact_steps;		/* of all detectors of exact data */
	struct detection *out;
};

/* detect.c */
void run_match(struct run *r, size_t detector, const struct text *t, size_t from, size_t to,
    enum confidence confidence, uint64_t value);
void run_fold(struct run *r);		/* makes r->folded */

/* naming.c */
enum column { COLUMN_NONE, COLUMN_NAMED, COLUMN_OTHER };
/* What the heading of its column calls a cell [from, to): COLUMN_NONE when it is no cell. */
enum column run_column(struct run *r, size_t detector, size_t from, size_t to);
/* Does what stands in front of a cell in its own row name it? */
bool run_row_names(struct run *r, size_t detector, size_t from);
/* Is the match called something else by the label right before it, or the unit behind? */
bool run_called_other(struct run *r, size_t detector, size_t from, size_t to);

/* graded.c: the run begins; a surface of that part begins; a lexicon's term stands there; all
 * fingerprints over the surface; the run ends, and the grades are made. */
void graded_begin(struct run *r);
void graded_surface(struct run *r, uint32_t part);
void graded_term(struct run *r, uint32_t use, size_t from, size_t to);
void graded_fingerprints(struct run *r);
void graded_end(struct run *r);

#endif
