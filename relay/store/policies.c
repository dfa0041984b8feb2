/* policies.c -- see policies.h. */
#include <errno.h>

#include "json.h"
#include "scanner/archive.h"
#include "store/policies.h"

/* The newest entry: its policy goes on being used until now. */
static int
touch_last(struct db *d, int64_t time, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "UPDATE policy SET used=max(used, ?) WHERE manifest="
	    "(SELECT manifest FROM policy_history ORDER BY seq DESC LIMIT 1)", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, time);
	return db_run(d, st, err);
}

static int
known(struct db *d, const struct msg_policy *m, uint64_t key, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT 1 FROM policy_history WHERE seq="
	    "(SELECT max(seq) FROM policy_history) AND manifest=? AND time=?", err);
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)key);
	db_int(st, 2, m->time);
	r = db_step(d, st, err);
	sqlite3_reset(st);
	return r;
}

static int
put_policy(struct db *d, const struct msg_policy *m, const struct archive *ar, uint64_t key,
    struct span archive, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "INSERT INTO policy(manifest, hash, used, names, bytes)"
	    " VALUES(?,?,?,?,?) ON CONFLICT DO UPDATE SET used=max(used, excluded.used)", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)key);
	db_text(st, 2, m->hash);
	db_int(st, 3, m->time);
	db_blob(st, 4, ar->manifest.p, ar->manifest.n);
	db_blob(st, 5, archive.p, archive.n);
	return db_run(d, st, err);
}

static int
put_history(struct db *d, const struct msg_policy *m, uint64_t key, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "INSERT INTO policy_history(time, manifest, hash, how, uid,"
	    " git) VALUES(?,?,?,?,?,?)", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, m->time);
	db_int(st, 2, (int64_t)key);
	db_text(st, 3, m->hash);
	db_text(st, 4, m->how);
	if (m->uid != (uint32_t)-1)
		db_int(st, 5, m->uid);
	db_text(st, 6, m->commit);
	if (db_run(d, st, err) == -1 || (st = db_stmt(d, "DELETE FROM policy_history WHERE seq<="
	    "(SELECT max(seq) FROM policy_history)-?", err)) == NULL)
		return -1;
	db_int(st, 1, HISTORY_MAX);
	return db_run(d, st, err);
}

int
policies_note(struct db *d, const struct msg_policy *m, struct span archive, struct err *err)
{
	struct arena *a = arena_new(0);
	struct archive ar;
	uint64_t key;
	int r = -1;

	if (policy_archive_unpack(archive, a, &ar, err) == -1)
		goto out;
	if (!span_eq(ar.hash, m->hash)) {
		err_set(err, EPROTO, "the archive is of another policy");
		goto out;
	}
	key = manifest_key(ar.manifest);
	if ((r = known(d, m, key, err)) != 0) {
		r = r == 1 ? 0 : -1;
		goto out;
	}
	if (touch_last(d, m->time, err) == -1 || put_policy(d, m, &ar, key, archive, err) == -1 ||
	    put_history(d, m, key, err) == -1)
		r = -1;
	else
		r = 1;
out:
	arena_free(&a);
	return r;
}

int
policies_history(struct db *d, size_t limit, struct buf *out, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT h.time, h.hash, h.how, h.uid, h.git, p.hash IS NOT NULL,"
	    " h.seq FROM policy_history h LEFT JOIN policy p ON p.manifest=h.manifest"
	    " ORDER BY h.seq DESC LIMIT ?", err);
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)limit);
	while ((r = db_step(d, st, err)) == 1) {
		struct json j;

		json_begin(&j, out);
		json_object(&j);
		json_kint(&j, "v", 1);
		json_kint(&j, "time", sqlite3_column_int64(st, 0));
		json_kstr(&j, "policy", db_column(st, 1));
		json_kstr(&j, "how", db_column(st, 2));
		json_key(&j, "uid");
		if (sqlite3_column_type(st, 3) == SQLITE_NULL)
			json_null(&j);
		else
			json_int(&j, sqlite3_column_int64(st, 3));
		json_key(&j, "commit");
		if (sqlite3_column_type(st, 4) == SQLITE_NULL)
			json_null(&j);
		else
			json_str(&j, db_column(st, 4));
		json_kbool(&j, "kept", sqlite3_column_int(st, 5));
		json_kint(&j, "seq", sqlite3_column_int64(st, 6));
		json_end_object(&j);
		buf_putc(out, '\n');
	}
	return r;
}

static int
one_blob(struct db *d, sqlite3_stmt *st, struct arena *a, struct span *out, struct err *err)
{
	int r = db_step(d, st, err);

	if (r == 1)
		*out = arena_span(a, db_column(st, 0));
	sqlite3_reset(st);
	return r;
}

static int
several(struct db *d, struct span hash, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT count(DISTINCT hash) FROM policy"
	    " WHERE substr(hash, 1, ?)=?", err);
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)hash.n);
	db_text_always(st, 2, hash);
	if ((r = db_step(d, st, err)) == 1)
		r = sqlite3_column_int(st, 0) > 1;
	sqlite3_reset(st);
	return r;
}

int
policies_archive(struct db *d, struct span hash, uint64_t key, struct arena *a,
    struct span *out, struct err *err)
{
	sqlite3_stmt *st;
	int r;

	if (key) {
		if ((st = db_stmt(d, "SELECT bytes FROM policy WHERE manifest=?", err)) == NULL)
			return -1;
		db_int(st, 1, (int64_t)key);
		return one_blob(d, st, a, out, err);
	}
	if ((r = several(d, hash, err)) != 0)
		return r == -1 ? -1 : 2;
	if ((st = db_stmt(d, "SELECT bytes FROM policy WHERE substr(hash, 1, ?)=? ORDER BY used DESC"
	    " LIMIT 1", err)) == NULL)
		return -1;
	db_int(st, 1, (int64_t)hash.n);
	db_text_always(st, 2, hash);
	return one_blob(d, st, a, out, err);
}

int
policies_last(struct db *d, uint64_t *manifest, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT manifest FROM policy_history ORDER BY seq DESC LIMIT 1", err);
	int r = st ? db_step(d, st, err) : -1;

	if (r == 1) {
		*manifest = (uint64_t)sqlite3_column_int64(st, 0);
		sqlite3_reset(st);
	}
	return r;
}

int
policies_manifest(struct db *d, uint64_t key, struct arena *a, struct span *out, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT names FROM policy WHERE manifest=?", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)key);
	return one_blob(d, st, a, out, err);
}

int
policies_expire(struct db *d, int64_t before, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "DELETE FROM policy WHERE used<? AND manifest<>coalesce("
	    "(SELECT manifest FROM policy_history ORDER BY seq DESC LIMIT 1), 0)", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, before);
	return db_run(d, st, err);
}
