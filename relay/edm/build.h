/* build.h -- what the passes of a build share; see edm.h. */
#ifndef EDM_BUILD_H
#define EDM_BUILD_H

#include "edm/edm.h"
#include "edm/spill.h"

struct build {
	const struct edm_description *d;
	const uint8_t *key;
	const struct edm_progress *progress;
	struct edm_report *report;
	const char *dir;	/* where temporary files lie */
	union exact_column_room keys[EXACT_COLUMNS];
	struct spill cells[EXACT_COLUMNS];	/* struct cell, in the order of rows */
	uint64_t lengths[EXACT_COLUMNS][EXACT_LENGTH_MAX + 1];	/* values of each length */
	struct spill order;	/* the number of each row, four bytes each */
	struct exact_header h;
	int out;		/* the index */
};

void build_show(const struct build *b, const char *what, const char *unit, uint64_t done,
    uint64_t total);
/* read.c: the export into cells[]; h.rows, and what each column has. */
int build_read(struct build *b, int source, uint64_t size, struct err *err);
/* tables.c: the tables of a column, at their place in the index. Columns come in order. */
int build_column(struct build *b, size_t column, struct err *err);

#endif
