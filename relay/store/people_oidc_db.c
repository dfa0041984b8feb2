/* people_oidc_db.c -- see people_oidc_db.h. */
#include "ipc/principal.h"
#include "store/people_db.h"
#include "store/people_oidc_db.h"

#define SELECT "SELECT issuer, subject, name, mail, roles, created, seen FROM oidc_person"

static struct oidc_identity
read_identity(sqlite3_stmt *st, struct arena *a)
{
	return (struct oidc_identity){ .issuer = arena_span(a, db_column(st, 0)), .subject = arena_span(a, db_column(st, 1)),
		.name = arena_span(a, db_column(st, 2)), .mail = arena_span(a, db_column(st, 3)),
		.roles = (unsigned)sqlite3_column_int(st, 4), .created = sqlite3_column_int64(st, 5),
		.seen = sqlite3_column_int64(st, 6) };
}

static int
get(struct db *d, sqlite3_stmt *st, struct arena *a, struct oidc_identity *i, struct err *err)
{
	int r = db_step(d, st, err);

	if (r == 1)
		*i = read_identity(st, a);
	sqlite3_reset(st);
	return r;
}

int
oidc_person_by_subject(struct db *d, struct span issuer, struct span subject, struct arena *a,
    struct oidc_identity *i, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, SELECT " WHERE issuer=?1 AND subject=?2", err);

	if (st == NULL)
		return -1;
	db_text_always(st, 1, issuer);
	db_text_always(st, 2, subject);
	return get(d, st, a, i, err);
}

int
oidc_person_by_name(struct db *d, struct span name, struct arena *a, struct oidc_identity *i, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, SELECT " WHERE name=?1", err);

	if (st == NULL)
		return -1;
	db_text_always(st, 1, name);
	return get(d, st, a, i, err);
}

int
oidc_person_put(struct db *d, const struct oidc_identity *i, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "INSERT INTO oidc_person(issuer, subject, name, mail, roles, created, seen)"
	    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT(issuer, subject) DO UPDATE SET name=?3, mail=?4, roles=?5,"
	    " seen=?7", err);

	if (st == NULL)
		return -1;
	db_text_always(st, 1, i->issuer);
	db_text_always(st, 2, i->subject);
	db_text_always(st, 3, i->name);
	db_text(st, 4, i->mail);
	db_int(st, 5, i->roles);
	db_int(st, 6, i->created);
	db_int(st, 7, i->seen);
	return db_run(d, st, err);
}

int
oidc_person_remove(struct db *d, struct span name, struct err *err)
{
	sqlite3_stmt *st;

	if (sessions_remove(d, name, (struct span){ 0 }, err) == -1 ||
	    (st = db_stmt(d, "DELETE FROM oidc_person WHERE name=?1", err)) == NULL)
		return -1;
	db_text_always(st, 1, name);
	return db_run(d, st, err) == -1 ? -1 : db_changes(d) > 0;
}

int
oidc_person_list(struct db *d, struct buf *out, size_t *n, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, SELECT " ORDER BY name", err);
	struct arena *a = arena_new(0);
	int r = -1;

	while (st && (r = db_step(d, st, err)) == 1) {
		struct oidc_identity i;
		struct json j;

		arena_reset(a);
		i = read_identity(st, a);
		json_begin(&j, out);
		json_object(&j);
		json_kint(&j, "v", 1);
		person_json(&j, &(struct person){ .name = i.name, .addresses = i.mail, .roles = i.roles,
		    .created = i.created, .seen = i.seen });
		json_kstr(&j, "issuer", i.issuer);
		json_kstr(&j, "subject", i.subject);
		json_end_object(&j);
		buf_putc(out, '\n');
		++*n;
	}
	arena_free(&a);
	return r;
}
