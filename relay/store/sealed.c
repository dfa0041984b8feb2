/* sealed.c -- see sealed.h. */
#include <errno.h>
#include <stdlib.h>

#include "store/keyring.h"
#include "store/sealed.h"
#include "store/zip.h"

#define MIGRATE_BYTES ((size_t)8 << 20)	/* in one transaction, and one row more */

static const char *const labels[SEALED_COUNT] = {
#define X(name, label, table, row, blob, bound) label,
	SEALED(X)
#undef X
};

int
sealed_bind(struct db *d, sqlite3_stmt *st, int i, enum sealed_kind kind, int64_t bound,
    struct span plain, struct err *err)
{
	char *out;
	size_t n;

	if (db_keys(d) == NULL) {
		sqlite3_bind_blob64(st, i, plain.n ? plain.p : "", plain.n, SQLITE_TRANSIENT);
		return 0;
	}
	if (seal(db_keys(d), labels[kind], bound, plain, &out, &n, err) == -1)
		return -1;
	sqlite3_bind_blob64(st, i, out, n, free);
	return 0;
}

int
sealed_bind_zip(struct db *d, sqlite3_stmt *st, int i, enum sealed_kind kind, int64_t bound,
    struct span plain, struct err *err)
{
	char *zipped;
	size_t n;
	int r;

	if (zip(plain, &zipped, &n, err) == -1)
		return -1;
	r = sealed_bind(d, st, i, kind, bound, span_make(zipped, n), err);
	free(zipped);
	return r;
}

int
sealed_column(struct db *d, sqlite3_stmt *st, int i, enum sealed_kind kind, int64_t bound,
    struct arena *a, struct span *out, struct err *err)
{
	return unseal(db_keys(d), labels[kind], bound, db_column(st, i), a, out, err);
}

int
sealed_column_zip(struct db *d, sqlite3_stmt *st, int i, enum sealed_kind kind, int64_t bound,
    size_t max, struct arena *a, struct span *out, struct err *err)
{
	struct span zipped;

	if (sealed_column(d, st, i, kind, bound, a, &zipped, err) == -1)
		return -1;
	return unzip(a, zipped, max, out, err);
}

/* ---- from older keys to the newest ---- */

struct moving {
	int64_t row, bound;
	struct span plain;
};

/* The rows behind `row` that are to be sealed anew; *last: the last one looked at. */
static int
gather(struct db *d, enum sealed_kind kind, int64_t *row, size_t rows, struct arena *a,
    struct moving *v, size_t *n, bool *more, struct err *err)
{
	static const char *const sql[SEALED_COUNT] = {
#define X(name, label, table, row, blob, bound) \
		"SELECT " row ", " bound ", " blob " FROM " table " WHERE " row ">?1 ORDER BY " row,
		SEALED(X)
#undef X
	};
	sqlite3_stmt *st = db_stmt(d, sql[kind], err);
	size_t looked = 0, bytes = 0;
	int r = 1;

	*n = 0;
	*more = false;
	if (st == NULL)
		return -1;
	db_int(st, 1, *row);
	while (looked < rows && bytes < MIGRATE_BYTES && (r = db_step(d, st, err)) == 1) {
		struct span s = db_column(st, 2), plain;
		struct err why;

		looked++;
		*row = sqlite3_column_int64(st, 0);
		bytes += s.n;
		if (s.n == 0 || sealed_by(s) == keyring_active(db_keys(d)) ||
		    unseal(db_keys(d), labels[kind], sqlite3_column_int64(st, 1), s, a, &plain, &why) == -1)
			continue;	/* new, or not to be read: it stays as it is */
		v[(*n)++] = (struct moving){ *row, sqlite3_column_int64(st, 1), arena_span(a, plain) };
	}
	sqlite3_reset(st);
	*more = r == 1;
	return r == -1 ? -1 : 0;
}

static int
write_back(struct db *d, enum sealed_kind kind, const struct moving *v, size_t n, struct err *err)
{
	static const char *const sql[SEALED_COUNT] = {
#define X(name, label, table, row, blob, bound) \
		"UPDATE " table " SET " blob "=?1 WHERE " row "=?2",
		SEALED(X)
#undef X
	};

	for (size_t i = 0; i < n; i++) {
		sqlite3_stmt *st = db_stmt(d, sql[kind], err);

		if (st == NULL || sealed_bind(d, st, 1, kind, v[i].bound, v[i].plain, err) == -1)
			return -1;
		db_int(st, 2, v[i].row);
		if (db_run(d, st, err) == -1)
			return -1;
		sqlite3_clear_bindings(st);
	}
	return 0;
}

int
sealed_migrate(struct db *d, enum sealed_kind *kind, int64_t *row, size_t rows, struct err *err)
{
	struct arena *a = arena_new(0);
	struct moving *v = arena_array(a, rows, sizeof(*v));
	bool more;
	size_t n;
	int r = 0;

	if (db_keys(d) == NULL || *kind >= SEALED_COUNT)
		goto out;
	if ((r = gather(d, *kind, row, rows, a, v, &n, &more, err)) == -1)
		goto out;
	if (n > 0 && (r = db_begin(d, false, err)) == 0) {
		if ((r = write_back(d, *kind, v, n, err)) == -1)
			db_rollback(d);
		else
			r = db_commit(d, err);
	}
	if (r == 0 && !more) {
		*kind = (enum sealed_kind)(*kind + 1);
		*row = INT64_MIN;
	}
	if (r == 0)
		r = *kind < SEALED_COUNT;
out:
	arena_free(&a);
	return r;
}

int
sealed_unreadable(struct db *d, uint64_t *all, uint64_t *lost, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT substr(bytes, 1, ?1) FROM kept_content", err);
	int r;

	*all = *lost = 0;
	if (st == NULL)
		return -1;
	db_int(st, 1, SEAL_EXTRA);
	while ((r = db_step(d, st, err)) == 1) {
		int64_t number = sealed_by(db_column(st, 0));

		++*all;
		*lost += number != 0 && keyring_audit(db_keys(d), number) == NULL;
	}
	return r;
}
