/* people_db.c -- see people_db.h. */
#include <errno.h>

#include "ipc/principal.h"
#include "store/people_db.h"
#include "store/sealed.h"

/* ---- accounts ---- */

#define PERSON_COLUMNS "name, hash, roles, domains, addresses, language, totp_step, recovery, disabled, " \
	"created, seen"
#define PERSON_SELECT "SELECT p.name, p.hash, p.roles, p.domains, p.addresses, p.language, p.totp_step, p.recovery, p.disabled, " \
	"p.created, p.seen, t.number, t.totp FROM person p LEFT JOIN person_totp t ON t.name=p.name"

static void
read_person(sqlite3_stmt *st, struct arena *a, struct person *p)
{
	*p = (struct person){ .name = arena_span(a, db_column(st, 0)), .hash = arena_span(a, db_column(st, 1)),
		.roles = (unsigned)sqlite3_column_int(st, 2), .domains = arena_span(a, db_column(st, 3)),
		.addresses = arena_span(a, db_column(st, 4)), .language = arena_span(a, db_column(st, 5)),
		.totp_step = sqlite3_column_int64(st, 6), .recovery = arena_span(a, db_column(st, 7)),
		.disabled = sqlite3_column_int(st, 8) != 0, .created = sqlite3_column_int64(st, 9),
		.seen = sqlite3_column_int64(st, 10) };
}

/* A second factor that cannot be read is an error: else the first would do. */
static int
read_totp(struct db *d, sqlite3_stmt *st, struct arena *a, struct person *p, struct err *err)
{
	struct span secret;

	if (sqlite3_column_type(st, 11) == SQLITE_NULL)
		return 0;
	if (sealed_column(d, st, 12, SEALED_TOTP, sqlite3_column_int64(st, 11), a, &secret, err) == -1)
		return err_wrap(err, "the second factor of " SPAN_FMT, SPAN_ARG(p->name));
	if (secret.n != TOTP_SECRET)
		return err_set(err, EIO, "the second factor of " SPAN_FMT " is damaged", SPAN_ARG(p->name));
	p->totp = arena_span(a, secret);
	return 0;
}

int
person_get(struct db *d, struct span name, struct arena *a, struct person *p, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, PERSON_SELECT " WHERE p.name=?1", err);
	int r;

	if (st == NULL)
		return -1;
	db_text_always(st, 1, name);
	if ((r = db_step(d, st, err)) == 1) {
		read_person(st, a, p);
		if (read_totp(d, st, a, p, err) == -1)
			r = -1;
	}
	sqlite3_reset(st);
	return r;
}

static int
put_row(struct db *d, const struct person *p, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "INSERT OR REPLACE INTO person(" PERSON_COLUMNS ") "
	    "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)", err);

	if (st == NULL)
		return -1;
	db_text_always(st, 1, p->name);
	db_text(st, 2, p->hash);
	db_int(st, 3, p->roles);
	db_text(st, 4, p->domains);
	db_text(st, 5, p->addresses);
	db_text(st, 6, p->language);
	db_int(st, 7, p->totp_step);
	db_blob(st, 8, p->recovery.p, p->recovery.n);
	db_int(st, 9, p->disabled);
	db_int(st, 10, p->created);
	db_int(st, 11, p->seen);
	return db_run(d, st, err);
}

static int
forget_totp(struct db *d, struct span name, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "DELETE FROM person_totp WHERE name=?1", err);

	if (st == NULL)
		return -1;
	db_text_always(st, 1, name);
	return db_run(d, st, err);
}

/* The seal is bound to the row's number, which is known before. */
static int
put_totp(struct db *d, const struct person *p, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT coalesce((SELECT number FROM person_totp WHERE name=?1),"
	    " (SELECT coalesce(max(number), 0)+1 FROM person_totp))", err);
	int64_t number = 0;

	if (st == NULL)
		return -1;
	db_text_always(st, 1, p->name);
	if (db_step(d, st, err) != 1)
		return -1;
	number = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	if ((st = db_stmt(d, "INSERT OR REPLACE INTO person_totp(number, name, totp) VALUES(?1, ?2, ?3)", err)) == NULL ||
	    sealed_bind(d, st, 3, SEALED_TOTP, number, p->totp, err) == -1)
		return -1;
	db_int(st, 1, number);
	db_text_always(st, 2, p->name);
	return db_run(d, st, err);
}

int
person_put(struct db *d, const struct person *p, struct err *err)
{
	bool own = !db_in_transaction(d);

	if (own && db_begin(d, false, err) == -1)
		return -1;
	if (put_row(d, p, err) == -1 ||
	    (p->totp.n ? put_totp(d, p, err) : forget_totp(d, p->name, err)) == -1) {
		if (own)
			db_rollback(d);
		return -1;
	}
	return own ? db_commit(d, err) : 0;
}

int
person_remove(struct db *d, struct span name, struct err *err)
{
	sqlite3_stmt *st;

	if (sessions_remove(d, name, (struct span){ 0 }, err) == -1 || forget_totp(d, name, err) == -1 ||
	    (st = db_stmt(d, "DELETE FROM person WHERE name=?1", err)) == NULL)
		return -1;
	db_text_always(st, 1, name);
	return db_run(d, st, err) == -1 ? -1 : db_changes(d) > 0;
}

static void
put_lines(struct json *j, const char *key, struct span lines)
{
	json_key(j, key);
	json_array(j);
	while (lines.n) {
		size_t n = span_find(lines, '\n');

		json_str(j, span_sub(lines, 0, n));
		lines = span_from(lines, n + 1);
	}
	json_end_array(j);
}

void
person_principal_json(struct json *j, const struct person *p)
{
	json_kstr(j, "name", p->name);
	json_key(j, "roles");
	json_array(j);
	for (int i = 0; i < PRINCIPAL_ROLE_COUNT; i++)
		if (p->roles & (1u << i))
			json_cstr(j, principal_role_name((enum principal_role)i));
	json_end_array(j);
	put_lines(j, "domains", p->domains);
	put_lines(j, "addresses", p->addresses);
}

void
person_json(struct json *j, const struct person *p)
{
	person_principal_json(j, p);
	if (p->language.n)
		json_kstr(j, "language", p->language);
	json_kbool(j, "password", p->hash.n > 0);
	json_kbool(j, "totp", p->totp.n > 0);
	json_kuint(j, "recovery", p->recovery.n / 32);
	json_kbool(j, "disabled", p->disabled);
	json_kint(j, "created", p->created);
	if (p->seen)
		json_kint(j, "last", p->seen);
}

int
person_list(struct db *d, struct buf *out, size_t *n, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, PERSON_SELECT " ORDER BY p.name", err);
	struct arena *a = arena_new(0);
	int r = -1;

	*n = 0;
	while (st && (r = db_step(d, st, err)) == 1) {
		struct person p;
		struct json j;

		arena_reset(a);
		read_person(st, a, &p);
		p.totp = db_column(st, 12);	/* there, or not */
		json_begin(&j, out);
		json_object(&j);
		json_kint(&j, "v", 1);
		person_json(&j, &p);
		json_end_object(&j);
		buf_putc(out, '\n');
		++*n;
	}
	arena_free(&a);
	return r;
}

/* ---- who is signed in ---- */

int
session_put(struct db *d, const struct session *s, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "INSERT INTO session(hash, name, kind, principal, language, ip, created, "
	    "seen, typed) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)", err);

	if (st == NULL)
		return -1;
	db_text_always(st, 1, s->hash);
	db_text_always(st, 2, s->name);
	db_text_always(st, 3, s->kind);
	db_text(st, 4, s->principal);
	db_text(st, 5, s->language);
	db_text(st, 6, s->ip);
	db_int(st, 7, s->created);
	db_int(st, 8, s->seen);
	db_text(st, 9, s->typed);
	return db_run(d, st, err);
}

int
session_get(struct db *d, struct span hash, struct arena *a, struct session *s, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT name, kind, principal, language, ip, created, seen FROM session "
	    "WHERE hash=?1", err);
	int r;

	if (st == NULL)
		return -1;
	db_text_always(st, 1, hash);
	if ((r = db_step(d, st, err)) == 1)
		*s = (struct session){ .hash = hash, .name = arena_span(a, db_column(st, 0)),
			.kind = arena_span(a, db_column(st, 1)), .principal = arena_span(a, db_column(st, 2)),
			.language = arena_span(a, db_column(st, 3)), .ip = arena_span(a, db_column(st, 4)),
			.created = sqlite3_column_int64(st, 5), .seen = sqlite3_column_int64(st, 6) };
	sqlite3_reset(st);
	return r;
}

int
session_seen(struct db *d, struct span hash, int64_t now, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "UPDATE session SET seen=?2 WHERE hash=?1", err);

	if (st == NULL)
		return -1;
	db_text_always(st, 1, hash);
	db_int(st, 2, now);
	return db_run(d, st, err);
}

int
sessions_stale(struct db *d, int64_t before, size_t max, struct arena *a, struct session *v, size_t *n,
    struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT hash, name, principal, typed FROM session WHERE kind='directory' AND"
	    " coalesce(checked, created)<?1 ORDER BY coalesce(checked, created) LIMIT ?2", err);
	int r;

	*n = 0;
	if (st == NULL)
		return -1;
	db_int(st, 1, before);
	db_int(st, 2, (int64_t)max);
	while ((r = db_step(d, st, err)) == 1)
		v[(*n)++] = (struct session){ .hash = arena_span(a, db_column(st, 0)),
			.name = arena_span(a, db_column(st, 1)), .principal = arena_span(a, db_column(st, 2)),
			.typed = arena_span(a, db_column(st, 3)) };
	sqlite3_reset(st);
	return r;
}

int
session_checked(struct db *d, struct span hash, int64_t now, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "UPDATE session SET checked=?2 WHERE hash=?1", err);

	if (st == NULL)
		return -1;
	db_text_always(st, 1, hash);
	db_int(st, 2, now);
	return db_run(d, st, err);
}

int
session_language(struct db *d, struct span hash, struct span language, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "UPDATE session SET language=?2 WHERE hash=?1", err);

	if (st == NULL)
		return -1;
	db_text_always(st, 1, hash);
	db_text(st, 2, language);
	return db_run(d, st, err);
}

int
session_remove(struct db *d, struct span hash, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "DELETE FROM session WHERE hash=?1", err);

	if (st == NULL)
		return -1;
	db_text_always(st, 1, hash);
	return db_run(d, st, err);
}

int
sessions_remove(struct db *d, struct span name, struct span but, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "DELETE FROM session WHERE name=?1 COLLATE NOCASE AND hash<>?2", err);

	if (st == NULL)
		return -1;
	db_text_always(st, 1, name);
	db_text_always(st, 2, but);
	return db_run(d, st, err);
}

int
sessions_expire(struct db *d, int64_t idle_before, int64_t made_before, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "DELETE FROM session WHERE seen<?1 OR created<?2", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, idle_before);
	db_int(st, 2, made_before);
	return db_run(d, st, err);
}
