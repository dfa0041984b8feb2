/* csv.h -- exports of databases and spreadsheets, record by record (RFC 4180).
 *
 * Fields may be quoted, quotes doubled within; lines end in CRLF, LF or CR; a
 * byte order mark is left out, empty lines too. What is wrong is told with its
 * line: a quote that never ends, text behind a closing quote, a NUL, a record
 * longer than CSV_RECORD_MAX, more than CSV_FIELDS_MAX fields. Bytes come from
 * the caller; nothing here opens a file.
 */
#ifndef EDM_CSV_H
#define EDM_CSV_H

#include <sys/types.h>

#include "postern/err.h"
#include "postern/span.h"

#define CSV_RECORD_MAX (1u << 20)	/* bytes */
#define CSV_FIELDS_MAX 1000
#define CSV_READ (256u << 10)		/* bytes asked for at once */

struct csv {
	ssize_t (*read)(void *ctx, char *p, size_t n);	/* 0: the end; -1 and errno */
	void *ctx;
	char delimiter;		/* 0: found by the first line */
	uint64_t line;		/* of the record in hand; the first is 1 */
	uint64_t bytes;		/* read so far */
	uint64_t next_line;
	char *in;
	size_t at, n;
	bool ended, begun;
	char *record;		/* the fields, one behind the other */
	size_t size, cap;
	size_t *ends;
	size_t nfields;
	struct span *fields;
};

void csv_init(struct csv *c, ssize_t (*read)(void *, char *, size_t), void *ctx, char delimiter);
void csv_release(struct csv *c);	/* wipes what it held */
/* 1: c->fields[0 … c->nfields) until the next call; 0: the end; -1: err. */
int csv_next(struct csv *c, struct err *err);

#endif
