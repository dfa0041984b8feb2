/* db.c -- SQLite: opening, migrations, statements, transactions; see db.h.
 *
 * WAL, and synchronous=NORMAL: the journal's commits cost no fsync; what must
 * be on the disk before an answer leaves (kept messages) is committed in a
 * transaction of its own with synchronous=FULL.
 */
#include <errno.h>
#include <stdlib.h>

#include "clock.h"
#include "store/db.h"
#include "store/keyring.h"
#include "store/schema.h"

#define STMTS_MAX 512		/* a power of two, more than there are literals */
#define BUSY_MS 5000		/* a backup program may hold a lock for a moment */
#define PROGRESS_STEPS 4000
#define GIVE_BACK_FROM ((int64_t)64 << 20)	/* free bytes; less is soon used again */

struct stmt {
	const char *sql;
	sqlite3_stmt *st;
};

struct db {
	sqlite3 *s;
	char *path;
	bool durable;		/* of the transaction under way */
	int64_t until;		/* clock_mono; 0: no limit */
	bool interrupted;
	const struct keyring *keys;	/* NULL: none */
	struct stmt stmts[STMTS_MAX];
};

static int
db_error(const struct db *d, struct err *err)
{
	int code = sqlite3_errcode(d->s) & 0xff;
	const char *text = sqlite3_errmsg(d->s);

	switch (code) {
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
		return err_set(err, EUCLEAN, "%s is damaged, or no database (%s): move it away, or "
		    "put back a copy", d->path, text);
	case SQLITE_FULL:
		return err_set(err, ENOSPC, "%s: the disk is full", d->path);
	case SQLITE_CANTOPEN:
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return err_set(err, EACCES, "%s: %s (may this account write there?)", d->path, text);
	case SQLITE_BUSY:
		return err_set(err, EBUSY, "%s: another program holds it locked", d->path);
	case SQLITE_CONSTRAINT:
	case SQLITE_TOOBIG:
	case SQLITE_MISMATCH:
	case SQLITE_RANGE:	/* not the world's fault but the row's */
		return err_set(err, EINVAL, "%s", text);
	case SQLITE_INTERRUPT:
		return err_set(err, ETIME, "the search took too long");
	default:
		return err_set(err, EIO, "%s: %s", d->path, text);
	}
}

static int
db_exec(struct db *d, const char *sql, struct err *err)
{
	if (sqlite3_exec(d->s, sql, NULL, NULL, NULL) != SQLITE_OK)
		return db_error(d, err);
	return 0;
}

/* The number that a PRAGMA or a count gives. */
static int
db_number(struct db *d, const char *sql, int64_t *n, struct err *err)
{
	sqlite3_stmt *st;
	int r;

	if (sqlite3_prepare_v2(d->s, sql, -1, &st, NULL) != SQLITE_OK)
		return db_error(d, err);
	r = sqlite3_step(st);
	if (r == SQLITE_ROW)
		*n = sqlite3_column_int64(st, 0);
	else
		db_error(d, err);
	sqlite3_finalize(st);
	return r == SQLITE_ROW ? 0 : -1;
}

static int
migrate(struct db *d, struct err *err)
{
	int64_t version, application, tables;
	char pragma[64];

	if (db_number(d, "PRAGMA user_version", &version, err) == -1 ||
	    db_number(d, "PRAGMA application_id", &application, err) == -1 ||
	    db_number(d, "SELECT count(*) FROM sqlite_master", &tables, err) == -1)
		return -1;
	if (tables > 0 && application != DB_APPLICATION)
		return err_set(err, EEXIST, "%s is the database of another program", d->path);
	if (version > DB_VERSION)
		return err_set(err, EPROTO, "%s was made by a newer Postern (version %lld, this one "
		    "knows %d)", d->path, (long long)version, DB_VERSION);
	while (version < DB_VERSION) {
		snprintf(pragma, sizeof(pragma), "PRAGMA user_version=%lld",
		    (long long)version + 1);
		/* All of a step or nothing: user_version is part of the transaction. */
		if (db_exec(d, "BEGIN IMMEDIATE", err) == -1)
			return -1;
		if (db_exec(d, schema_step((int)version), err) == -1 ||
		    db_exec(d, pragma, err) == -1 || db_exec(d, "COMMIT", err) == -1) {
			err_wrap(err, "bringing it to version %lld", (long long)version + 1);
			db_rollback(d);
			return -1;
		}
		version++;
	}
	return 0;
}

static int
on_progress(void *arg)
{
	struct db *d = arg;

	if (d->until == 0 || clock_mono() < d->until)
		return 0;
	d->interrupted = true;
	return 1;
}

/* Nobody asks SQLite how much memory it has: counting it is a lock and some sums for each piece. */
static void
configure(void)
{
	static bool done;

	if (!done)
		sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	done = true;
}

struct db *
db_open(const char *path, struct err *err)
{
	struct db *d = calloc(1, sizeof(*d));

	ASSERT(d != NULL);
	configure();
	d->path = strdup(path);
	ASSERT(d->path != NULL);
	if (sqlite3_open_v2(path, &d->s, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
	    SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
		db_error(d, err);
		db_close(&d);
		return NULL;
	}
	sqlite3_busy_timeout(d->s, BUSY_MS);
	/* secure_delete: what was rejected or deleted does not stay readable in free pages. */
	/* auto_vacuum: of a new file; it says nothing to one that has tables. */
	if (db_exec(d, "PRAGMA auto_vacuum=INCREMENTAL; PRAGMA temp_store=MEMORY; PRAGMA secure_delete=FAST; "
	    "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-4096; "
	    "PRAGMA wal_autocheckpoint=4000; PRAGMA journal_size_limit=67108864", err) == -1 ||
	    migrate(d, err) == -1)
		db_close(&d);
	return d;
}

struct db *
db_open_reader(const char *path, struct err *err)
{
	struct db *d = calloc(1, sizeof(*d));
	int64_t version;

	ASSERT(d != NULL);
	configure();
	d->path = strdup(path);
	ASSERT(d->path != NULL);
	if (sqlite3_open_v2(path, &d->s, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
		db_error(d, err);
		db_close(&d);
		return NULL;
	}
	sqlite3_busy_timeout(d->s, BUSY_MS);
	/* The first read opens the log and its index. */
	if (db_exec(d, "PRAGMA query_only=1; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-16384", err) == -1 ||
	    db_number(d, "PRAGMA user_version", &version, err) == -1) {
		db_close(&d);
	} else if (version != DB_VERSION) {
		err_set(err, EPROTO, "%s is of version %lld, not %d", path, (long long)version, DB_VERSION);
		db_close(&d);
	}
	return d;
}

sqlite3 *
db_sqlite(struct db *d)
{
	return d->s;
}

void
db_close(struct db **dp)
{
	struct db *d = *dp;

	*dp = NULL;
	if (d == NULL)
		return;
	for (size_t i = 0; i < STMTS_MAX; i++)
		sqlite3_finalize(d->stmts[i].st);
	sqlite3_close(d->s);
	free(d->path);
	free(d);
}

sqlite3_stmt *
db_stmt(struct db *d, const char *sql, struct err *err)
{
	size_t i = ((uintptr_t)sql >> 3) * 2654435761u;

	for (;; i++) {
		struct stmt *s = &d->stmts[i & (STMTS_MAX - 1)];

		if (s->sql == sql) {
			sqlite3_reset(s->st);
			sqlite3_clear_bindings(s->st);
			return s->st;
		}
		if (s->sql)
			continue;
		if (sqlite3_prepare_v3(d->s, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->st, NULL) !=
		    SQLITE_OK) {
			db_error(d, err);
			return NULL;
		}
		s->sql = sql;
		return s->st;
	}
}

sqlite3_stmt *
db_once(struct db *d, const char *sql, struct err *err)
{
	sqlite3_stmt *st;

	if (sqlite3_prepare_v2(d->s, sql, -1, &st, NULL) != SQLITE_OK) {
		db_error(d, err);
		return NULL;
	}
	return st;
}

void
db_text(sqlite3_stmt *st, int i, struct span s)
{
	if (s.n)
		sqlite3_bind_text(st, i, s.p, (int)s.n, SQLITE_STATIC);
}

void
db_text_always(sqlite3_stmt *st, int i, struct span s)
{
	sqlite3_bind_text(st, i, s.n ? s.p : "", (int)s.n, SQLITE_STATIC);
}

void
db_int(sqlite3_stmt *st, int i, int64_t v)
{
	sqlite3_bind_int64(st, i, v);
}

void
db_id(sqlite3_stmt *st, int i, uint64_t id)
{
	if (id)
		sqlite3_bind_int64(st, i, (int64_t)id);
}

void
db_blob(sqlite3_stmt *st, int i, const void *p, size_t n)
{
	sqlite3_bind_blob64(st, i, p, n, SQLITE_STATIC);
}

int
db_step(struct db *d, sqlite3_stmt *st, struct err *err)
{
	switch (sqlite3_step(st)) {
	case SQLITE_ROW:
		return 1;
	case SQLITE_DONE:
		sqlite3_reset(st);
		return 0;
	default:
		db_error(d, err);
		sqlite3_reset(st);
		return -1;
	}
}

int
db_run(struct db *d, sqlite3_stmt *st, struct err *err)
{
	int r;

	while ((r = db_step(d, st, err)) == 1)
		;
	return r;
}

int
db_run_int(struct db *d, const char *sql, int64_t v, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, sql, err);

	if (st == NULL)
		return -1;
	db_int(st, 1, v);
	return db_run(d, st, err);
}

int
db_setting(struct db *d, const char *name, int64_t *v, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT value FROM setting WHERE name=?", err);
	int r;

	if (st == NULL)
		return -1;
	db_text(st, 1, span_str(name));
	if ((r = db_step(d, st, err)) == 1)
		*v = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return r;
}

int
db_setting_put(struct db *d, const char *name, int64_t v, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "INSERT OR REPLACE INTO setting(name, value) VALUES(?,?)", err);

	if (st == NULL)
		return -1;
	db_text(st, 1, span_str(name));
	db_int(st, 2, v);
	return db_run(d, st, err);
}

struct span
db_column(sqlite3_stmt *st, int i)
{
	const char *p = sqlite3_column_blob(st, i);

	return span_make(p, (size_t)sqlite3_column_bytes(st, i));
}

uint64_t
db_column_id(sqlite3_stmt *st, int i)
{
	return (uint64_t)sqlite3_column_int64(st, i);
}

int
db_changes(const struct db *d)
{
	return sqlite3_changes(d->s);
}

int64_t
db_last_rowid(const struct db *d)
{
	return sqlite3_last_insert_rowid(d->s);
}

int
db_begin(struct db *d, bool durable, struct err *err)
{
	ASSERT(sqlite3_get_autocommit(d->s));
	if (durable && db_exec(d, "PRAGMA synchronous=FULL", err) == -1)
		return -1;
	d->durable = durable;
	return db_exec(d, "BEGIN IMMEDIATE", err);
}

static void
back_to_normal(struct db *d)
{
	if (d->durable)
		db_exec(d, "PRAGMA synchronous=NORMAL", NULL);
	d->durable = false;
}

int
db_commit(struct db *d, struct err *err)
{
	if (db_exec(d, "COMMIT", err) == -1) {
		db_rollback(d);
		return -1;
	}
	back_to_normal(d);
	return 0;
}

void
db_rollback(struct db *d)
{
	/* A disk error may have rolled back already. */
	if (!sqlite3_get_autocommit(d->s))
		sqlite3_exec(d->s, "ROLLBACK", NULL, NULL, NULL);
	back_to_normal(d);
}

bool
db_in_transaction(const struct db *d)
{
	return !sqlite3_get_autocommit(d->s);
}

void
db_budget(struct db *d, int64_t us)
{
	d->until = us ? clock_mono() + us : 0;
	d->interrupted = false;
	sqlite3_progress_handler(d->s, us ? PROGRESS_STEPS : 0, us ? on_progress : NULL, d);
}

bool
db_interrupted(const struct db *d)
{
	return d->interrupted;
}

bool
db_late(struct db *d, struct err *err)
{
	if (!on_progress(d))
		return false;
	err_set(err, ETIME, "the search took too long");
	return true;
}

/* ---- free pages ---- */

int64_t
db_free_bytes(struct db *d)
{
	int64_t pages = 0, size = 0;

	if (db_number(d, "PRAGMA freelist_count", &pages, NULL) == -1 ||
	    db_number(d, "PRAGMA page_size", &size, NULL) == -1)
		return 0;
	return pages * size;
}

void
db_give_back(struct db *d, int pages)
{
	char sql[64];

	if (db_free_bytes(d) < GIVE_BACK_FROM)
		return;
	snprintf(sql, sizeof(sql), "PRAGMA incremental_vacuum(%d)", pages);
	db_exec(d, sql, NULL);
}

/* ---- keys ---- */

void
db_use_keys(struct db *d, const struct keyring *ring)
{
	d->keys = ring;
}

const struct keyring *
db_keys(const struct db *d)
{
	return d->keys;
}

int64_t
db_audit_key_number(const struct db *d)
{
	return keyring_active(d->keys);
}

const unsigned char *
db_audit_key(const struct db *d, int64_t number)
{
	return keyring_audit(d->keys, number);
}
