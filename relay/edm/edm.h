/* edm.h -- making an index of exact data (postern/exact.h) from an export.
 *
 * Three passes, in memory that does not grow with the rows but for the
 * filter of one column (EXACT_FILTER_BITS for each of its values): the export is read, each cell
 * normalised and hashed, and put away; each column is sorted by hash and
 * becomes its tables; the whole is tagged and sealed. The index gets its name
 * last, by rename, when it is on the disk.
 *
 * Rows are numbered at random: who holds the index and not the key shall not
 * learn in which order the export had them.
 */
#ifndef EDM_EDM_H
#define EDM_EDM_H

#include "conf.h"
#include "edm/csv.h"
#include "postern/exact.h"

enum edm_encoding { EDM_UTF8, EDM_WINDOWS_1252 };
bool edm_encoding_from_name(struct span name, enum edm_encoding *e);	/* latin-1, too */

#define EDM_UNFIT_PERCENT 5	/* of a column's values: above it is of another type */
#define EDM_UNFIT_LINES 5	/* told of each column */

struct edm_column {
	char name[EXACT_NAME_SIZE];	/* as policies say it */
	struct span header;		/* as the export says it; empty: the same */
	enum exact_type type;
};
struct edm_description {
	struct edm_column columns[EXACT_COLUMNS];
	size_t n;
	char delimiter;		/* 0: found */
	enum edm_encoding encoding;
	bool strict;		/* any value that does not fit ends the build */
};
/* "NAME=TYPE" or "NAME=TYPE:HEADER"; texts are borrowed. */
int edm_column_add(struct edm_description *d, struct span text, struct err *err);
/* ", ; tab |", or one of their names. */
int edm_delimiter_set(struct edm_description *d, struct span text, struct err *err);
/* A description in YAML; false with errors in diags. Texts live in their arena. */
bool edm_description_read(const char *name, struct span yaml, struct diags *diags,
    struct edm_description *d);

struct edm_unfit {		/* what was left out of a column */
	uint64_t n;
	uint64_t lines[EDM_UNFIT_LINES];
	const char *why[EDM_UNFIT_LINES];
};
struct edm_report {
	struct edm_unfit unfit[EXACT_COLUMNS];
	struct edm_unfit ragged;	/* records with more or less fields than the header */
	uint64_t records;		/* read, without the header */
	uint64_t empty;			/* of them without any value */
	struct exact_header header;	/* of what was made; names point into the description */
};
struct edm_progress {
	/* what: "reading", "sorting nir", …; done of total (0: unknown) in units. May be NULL. */
	void (*show)(void *ctx, const char *what, const char *unit, uint64_t done, uint64_t total);
	void *ctx;
};
/* source: a descriptor to read from, size its length or 0. path: of the index, replaced in one step. */
int edm_build(int source, uint64_t size, const struct edm_description *d,
    const uint8_t key[EXACT_KEY], const char *path, const struct edm_progress *progress,
    struct edm_report *report, struct err *err);

/* --- keys ------------------------------------------------------------------------------- */

/* INDEX.key for INDEX.idx; INDEX.key for any other INDEX. */
char *edm_key_beside(struct arena *a, const char *index);
/* Refuses one that others may read. Wipe key when done. */
int edm_key_load(const char *path, uint8_t key[EXACT_KEY], struct err *err);
/* The same of an open file; name for errors. */
int edm_key_load_fd(int fd, const char *name, uint8_t key[EXACT_KEY], struct err *err);
/* Makes one that nobody else may read; EEXIST when something is there. */
int edm_key_make(const char *path, uint8_t key[EXACT_KEY], struct err *err);

/* An index file, mapped; released with edm_unmap(). *size may be 0: empty. */
int edm_map(const char *path, struct span *out, struct err *err);
void edm_unmap(struct span s);

#endif
