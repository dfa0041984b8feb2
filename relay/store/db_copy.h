/* db_copy.h -- the database as a whole: a copy of it while it is used, and whether it is sound. */
#ifndef STORE_DB_COPY_H
#define STORE_DB_COPY_H

#include "store/db.h"

/* What `from` (db_open_reader) has at this moment, into a new file, in steps: who writes meanwhile is not held up
 * and not in it. Sealed columns are copied as they are. -1: nothing is left of the file. */
typedef void db_copy_tell(void *ctx, int64_t done, int64_t pages);
int db_copy(struct db *from, const char *to, db_copy_tell *tell, void *ctx, struct err *err);

/* The process that has it open, as far as its locks tell; 0 none. */
pid_t db_used_by(const char *path);

/* ---- check.c ---- */
enum check_level { CHECK_FINE, CHECK_NOTE, CHECK_FAULT };
typedef void check_tell(void *ctx, enum check_level level, const char *what, const char *text);
/* All of it that can be looked at: SQLite's own structure, the audit log's chain, what is sealed, kept messages
 * against their contents, rows that belong to nothing. quick: nothing is unsealed, indexes are not compared. The number
 * of faults; -1: it cannot be read. */
int db_check(struct db *d, bool quick, check_tell *tell, void *ctx, struct err *err);

#endif
