/* records.c -- see records.h. */
#include <stdlib.h>

#include "clock.h"
#include "id.h"
#include "ipc/messages.h"
#include "store/basis.h"
#include "store/records.h"
#include "store/sealed.h"

#define BYTES_MAX ((size_t)64 << 20)	/* in one batch; beyond it they are rows */
#define PACK_FULL (64u << 10)		/* of a pack, unpacked; one more record may stand behind it */
#define UNPACKED_MAX (PACK_FULL + RECORD_MAX + 64)
#define PACK_SPAN_US (5 * US_PER_SEC)
#define PACK_SPAN ((uint64_t)PACK_SPAN_US * ID_SLOTS)
#define EXPIRE_PACKS 50			/* deleted in one go */
#define ZIP_FROM 400			/* alone and below it: stored as it is */

/* ---- that came together ---- */

void
records_init(struct records *r)
{
	*r = (struct records){ 0 };
	buf_init(&r->bytes, BYTES_MAX);
}

void
records_release(struct records *r)
{
	buf_release(&r->bytes);
	free(r->v);
	*r = (struct records){ 0 };
}

int
records_add(struct records *r, uint64_t id, struct span record)
{
	size_t from = buf_size(&r->bytes);

	if (from + record.n + PACK_HEAD > BYTES_MAX)
		return -1;
	if (r->n == r->room) {
		r->room = r->room ? 2 * r->room : 256;
		r->v = realloc(r->v, r->room * sizeof(*r->v));
		ASSERT(r->v != NULL);
	}
	pack_put(&r->bytes, id, record);
	ASSERT(!buf_failed(&r->bytes));
	r->v[r->n++] = (struct record_at){ id, (uint32_t)from, (uint32_t)(PACK_HEAD + record.n) };
	return 0;
}

/* ---- writing ---- */

int
record_write(struct db *d, uint64_t id, struct span record, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "INSERT OR REPLACE INTO record(id, json) VALUES(?,?)", err);
	int r;

	if (st == NULL)
		return -1;
	if (record.n >= ZIP_FROM)
		r = sealed_bind_zip(d, st, 2, SEALED_RECORD, (int64_t)id, record, err);
	else
		r = sealed_bind(d, st, 2, SEALED_RECORD, (int64_t)id, record, err);
	if (r == -1)
		return -1;
	db_int(st, 1, (int64_t)id);
	r = db_run(d, st, err);
	sqlite3_clear_bindings(st);
	return r;
}

static int
write_pack(struct db *d, struct span raw, uint64_t first, uint64_t last, size_t n, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "INSERT INTO record_pack(first, last, n, bytes) VALUES(?,?,?,?)", err);
	int r;

	if (st == NULL || sealed_bind_zip(d, st, 4, SEALED_RECORD_PACK, (int64_t)first, raw, err) == -1)
		return -1;
	db_int(st, 1, (int64_t)first);
	db_int(st, 2, (int64_t)last);
	db_int(st, 3, (int64_t)n);
	r = db_run(d, st, err);
	sqlite3_clear_bindings(st);
	return r;
}

static int
by_id(const void *a, const void *b)
{
	const struct record_at *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

/* How many of v, sorted, go into the pack that begins with the first of them. */
static size_t
pack_size(const struct record_at *v, size_t n)
{
	size_t bytes = 0, i = 0;

	while (i < n && v[i].id - v[0].id <= PACK_SPAN && bytes < PACK_FULL)
		bytes += v[i++].n;
	return i;
}

int
records_write(struct db *d, struct records *r, bool alone, struct err *err)
{
	struct span all = buf_data(&r->bytes);
	struct buf raw;
	int rc = 0;

	if (r->n > 1)
		qsort(r->v, r->n, sizeof(*r->v), by_id);
	buf_init(&raw, UNPACKED_MAX);
	for (size_t i = 0, n; rc == 0 && i < r->n; i += n) {
		const struct record_at *v = &r->v[i];

		n = alone ? 1 : pack_size(v, r->n - i);
		if (n == 1) {
			rc = record_write(d, v->id, span_sub(all, v->at + PACK_HEAD, v->n - PACK_HEAD), err);
			continue;
		}
		buf_reset(&raw);
		for (size_t k = 0; k < n; k++)
			buf_span(&raw, span_sub(all, v[k].at, v[k].n));
		ASSERT(!buf_failed(&raw));
		rc = write_pack(d, buf_data(&raw), v[0].id, v[n - 1].id, n, err);
	}
	buf_release(&raw);
	return rc;
}

/* ---- reading ---- */

/* The pack that was opened last: neighbours of a message are asked for next. It is the same one only if the
 * sealed bytes are the same. */
static struct {
	struct arena *arena;
	struct span sealed, raw;
} opened;

static int
open_pack(struct db *d, sqlite3_stmt *st, struct span *raw, struct err *err)
{
	struct span sealed = db_column(st, 0);

	if (opened.sealed.n == 0 || !span_eq(sealed, opened.sealed)) {
		if (opened.arena == NULL)
			opened.arena = arena_new(4 * PACK_FULL);
		arena_reset(opened.arena);
		opened.sealed = (struct span){ 0 };
		if (sealed_column_zip(d, st, 0, SEALED_RECORD_PACK, sqlite3_column_int64(st, 1), UNPACKED_MAX,
		    opened.arena, &opened.raw, err) == -1)
			return -1;
		opened.sealed = arena_span(opened.arena, sealed);
	}
	*raw = opened.raw;
	return 0;
}

static int
in_packs(struct db *d, uint64_t id, struct arena *a, struct span *json, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT bytes, first FROM record_pack WHERE seq IN (SELECT seq FROM record_pack"
	    " INDEXED BY record_pack_ids WHERE last>=?1 AND last<=?2 AND first<=?1) ORDER BY seq DESC", err);
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)id);
	db_int(st, 2, (int64_t)(id + PACK_SPAN));
	while ((r = db_step(d, st, err)) == 1) {
		struct span raw, record;
		uint64_t this;
		size_t at = 0;

		if (open_pack(d, st, &raw, err) == -1) {
			r = -1;
			break;
		}
		while (pack_next(raw, &at, &this, &record))
			if (this == id) {
				*json = arena_span(a, record);
				sqlite3_reset(st);
				return 1;
			}
	}
	sqlite3_reset(st);
	return r;
}

int
record_get(struct db *d, uint64_t id, struct arena *a, struct span *json, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT json FROM record WHERE id=?", err);
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)id);
	r = db_step(d, st, err);
	if (r == 1 && sealed_column_zip(d, st, 0, SEALED_RECORD, (int64_t)id, RECORD_MAX, a, json, err) == -1)
		r = -1;
	sqlite3_reset(st);
	return r == 0 ? in_packs(d, id, a, json, err) : r;
}

/* SQLite makes it, as of a row that is written. */
int
record_sealed(struct db *d, uint64_t id, struct arena *a, struct span *blob, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT json FROM record WHERE id=?", err);
	struct span json;
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)id);
	if ((r = db_step(d, st, err)) == 1)
		*blob = arena_span(a, db_column(st, 0));
	sqlite3_reset(st);
	if (r != 0 || (r = in_packs(d, id, a, &json, err)) != 1)
		return r;
	if ((st = db_stmt(d, "SELECT ?1", err)) == NULL ||
	    sealed_bind_zip(d, st, 1, SEALED_RECORD, (int64_t)id, json, err) == -1)
		return -1;
	if ((r = db_step(d, st, err)) == 1)
		*blob = arena_span(a, db_column(st, 0));
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return r;
}

/* ---- the end ---- */

int
records_expire(struct db *d, uint64_t below, int rows, struct err *err)
{
	static const char *const sql[] = {
		"DELETE FROM record WHERE id IN (SELECT id FROM record WHERE id<?1 ORDER BY id LIMIT ?2)",
		"DELETE FROM record_pack WHERE seq IN (SELECT seq FROM record_pack INDEXED BY record_pack_ids"
		    " WHERE last<?1 ORDER BY last LIMIT ?2)" };
	int n = 0;

	for (size_t i = 0; i < sizeof(sql) / sizeof(sql[0]); i++) {
		sqlite3_stmt *st = db_stmt(d, sql[i], err);

		if (st == NULL)
			return -1;
		db_int(st, 1, (int64_t)below);
		db_int(st, 2, i == 0 ? rows : EXPIRE_PACKS);
		if (db_run(d, st, err) == -1)
			return -1;
		n += db_changes(d);
	}
	return n;
}
