/* db.h -- the store's database: SQLite behind a few calls.
 *
 * One connection, one process, nobody else. Statements are prepared once and
 * kept; a statement is known by the address of its text, so texts are string
 * literals. Times are Unix microseconds. A message id is stored as the signed
 * 64-bit number with the same bits (ids stay positive until 2046).
 */
#ifndef STORE_DB_H
#define STORE_DB_H

#include <sqlite3.h>

#include "postern/err.h"
#include "postern/span.h"
#include "store/schema.h"

#define DB_VERSION schema_version()	/* PRAGMA user_version */
#define DB_APPLICATION 0x50737472	/* PRAGMA application_id: "Pstr" */

struct db;

/* Opens or makes the file, and brings an older one up to DB_VERSION. NULL: err says what
 * people should do. */
struct db *db_open(const char *path, struct err *err);
/* A second connection, of another process, that only reads: nothing is made or brought up. It has opened all
 * it needs when this returns. */
struct db *db_open_reader(const char *path, struct err *err);
sqlite3 *db_sqlite(struct db *d);	/* db_copy.c: the connection itself */
void db_close(struct db **d);

/* A statement ready for binding from 1 on; NULL on failure. sql: a literal. */
sqlite3_stmt *db_stmt(struct db *d, const char *sql, struct err *err);
/* For a text that is made (the names of tables): the caller finalizes it. */
sqlite3_stmt *db_once(struct db *d, const char *sql, struct err *err);
void db_text(sqlite3_stmt *st, int i, struct span s);	/* "" is bound as NULL; not copied */
void db_text_always(sqlite3_stmt *st, int i, struct span s);	/* "" stays "" */
void db_int(sqlite3_stmt *st, int i, int64_t v);
void db_id(sqlite3_stmt *st, int i, uint64_t id);	/* 0 is bound as NULL */
void db_blob(sqlite3_stmt *st, int i, const void *p, size_t n);
/* 1 a row, 0 the end (the statement is reset), -1 failure. */
int db_step(struct db *d, sqlite3_stmt *st, struct err *err);
/* db_step until the end; rows are not looked at. */
int db_run(struct db *d, sqlite3_stmt *st, struct err *err);
int db_run_int(struct db *d, const char *sql, int64_t v, struct err *err);	/* with one number; sql: a literal */
/* What is kept under a name, a number: 1 there, 0 not (*v stays), -1 failure. */
int db_setting(struct db *d, const char *name, int64_t *v, struct err *err);
int db_setting_put(struct db *d, const char *name, int64_t v, struct err *err);
struct span db_column(sqlite3_stmt *st, int i);		/* text or blob; until the next step */
uint64_t db_column_id(sqlite3_stmt *st, int i);
int db_changes(const struct db *d);
int64_t db_last_rowid(const struct db *d);

/* `durable`: the commit returns only when the disk has it; else a power cut may take the last
 * commits (never the file's soundness), a crash of the process none. */
int db_begin(struct db *d, bool durable, struct err *err);
int db_commit(struct db *d, struct err *err);
void db_rollback(struct db *d);			/* fine when there is no transaction */
bool db_in_transaction(const struct db *d);

/* Pages that nothing uses: their bytes; and at most `pages` of them back to the file system (of a database
 * made since version 8; others keep them for what comes). */
int64_t db_free_bytes(struct db *d);
void db_give_back(struct db *d, int pages);

/* Reads started after it fail with "interrupted" once they took longer. 0: no limit. */
void db_budget(struct db *d, int64_t us);
bool db_interrupted(const struct db *d);	/* since db_budget was set */
/* Is the time over? For who makes many short reads: err then says so, as theirs would. */
bool db_late(struct db *d, struct err *err);

#endif
