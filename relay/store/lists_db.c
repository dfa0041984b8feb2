/* lists_db.c -- the table list_entry; see lists_db.h. */
#include <errno.h>
#include <stdio.h>

#include "json.h"
#include "store/audit.h"
#include "store/lists_db.h"

#define COLUMNS "number, scope, owner, side, kind, what, who, reason, time, by, expires, unauthenticated, state"

const char *
list_state_name(enum list_state s)
{
	return s == LIST_ASKED_FOR ? "requested" : "active";
}

static struct span
column(sqlite3_stmt *st, int i, struct arena *a)
{
	return a ? arena_span(a, db_column(st, i)) : db_column(st, i);
}

/* false: a row that this version cannot have written. */
static bool
row_read(sqlite3_stmt *st, struct arena *a, struct list_row *r)
{
	int scope = sqlite3_column_int(st, 1), side = sqlite3_column_int(st, 3);
	int kind = sqlite3_column_int(st, 4), state = sqlite3_column_int(st, 12);

	if (scope < 0 || scope >= LIST_SCOPES || side < 0 || side >= LIST_SIDES || kind < 0 ||
	    kind >= ENTRY_KINDS || state < 0 || state >= LIST_STATES)
		return false;
	*r = (struct list_row){ .e = { .number = (uint64_t)sqlite3_column_int64(st, 0),
		.scope = (enum list_scope)scope, .side = (enum list_side)side,
		.kind = (enum entry_kind)kind, .owner = column(st, 2, a), .what = column(st, 5, a),
		.who = column(st, 6, a), .reason = column(st, 7, a),
		.expires = sqlite3_column_int64(st, 10),
		.unauthenticated = sqlite3_column_int(st, 11) != 0 },
		.time = sqlite3_column_int64(st, 8), .by = column(st, 9, a),
		.state = (enum list_state)state };
	return true;
}

static int
one(struct db *d, sqlite3_stmt *st, struct arena *a, struct list_row *row, struct err *err)
{
	int r = st ? db_step(d, st, err) : -1;

	if (r == 1 && !row_read(st, a, row))
		r = err_set(err, EINVAL, "an entry that cannot be read");
	if (st)
		sqlite3_reset(st);
	return r;
}

int
lists_get(struct db *d, uint64_t number, struct arena *a, struct list_row *row, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT " COLUMNS " FROM list_entry WHERE number=?", err);

	if (st)
		db_int(st, 1, (int64_t)number);
	return one(d, st, a, row, err);
}

/* "allow @partner.example for user a@example.org, until 1700000000: why" */
static int
audit(struct db *d, const struct list_row *r, struct span by, const char *what, int64_t now,
    struct err *err)
{
	char subject[32], detail[1200], until[48] = "for ever";

	snprintf(subject, sizeof(subject), "entry %llu", (unsigned long long)r->e.number);
	if (r->e.expires)
		snprintf(until, sizeof(until), "until %lld", (long long)(r->e.expires / 1000000));
	snprintf(detail, sizeof(detail), "%s " SPAN_FMT " for %s%s" SPAN_FMT ", %s%s: " SPAN_FMT,
	    list_side_names[r->e.side], SPAN_ARG(r->e.what), list_scope_names[r->e.scope],
	    r->e.owner.n ? " " : "", SPAN_ARG(r->e.owner), until,
	    r->e.unauthenticated ? ", unauthenticated" : "", SPAN_ARG(r->e.reason));
	return audit_put(d, by, what, span_str(subject), span_str(detail), now, err);
}

static struct span
domain_of(const struct entry *e)
{
	struct span local, domain;

	if (e->scope == LIST_USER && mailaddr_split(e->owner, &local, &domain))
		return domain;
	return e->owner;
}

int
lists_add(struct db *d, struct list_row *row, struct arena *a, struct list_row *had, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT " COLUMNS " FROM list_entry WHERE scope=? AND owner=?"
	    " AND what=?", err);
	const struct entry *e = &row->e;
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, e->scope);
	db_text_always(st, 2, e->owner);
	db_text_always(st, 3, e->what);
	if ((r = one(d, st, a, had, err)) != 0)
		return r == 1 ? 0 : -1;
	st = db_stmt(d, "INSERT INTO list_entry(scope, owner, side, kind, what, who, reason, time, by,"
	    " expires, unauthenticated, state, domain) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)", err);
	if (st == NULL)
		return -1;
	db_int(st, 1, e->scope);
	db_text_always(st, 2, e->owner);
	db_int(st, 3, e->side);
	db_int(st, 4, e->kind);
	db_text_always(st, 5, e->what);
	db_text_always(st, 6, e->who);
	db_text_always(st, 7, e->reason);
	db_int(st, 8, row->time);
	db_text_always(st, 9, row->by);
	if (e->expires)
		db_int(st, 10, e->expires);
	db_int(st, 11, e->unauthenticated);
	db_int(st, 12, row->state);
	db_text_always(st, 13, domain_of(e));
	if (db_run(d, st, err) == -1)
		return -1;
	row->e.number = (uint64_t)db_last_rowid(d);
	return audit(d, row, row->by, row->state == LIST_ASKED_FOR ? "lists.request" : "lists.add",
	    row->time, err) == -1 ? -1 : 1;
}

int
lists_remove(struct db *d, const struct list_row *row, struct span by, const char *what, int64_t now,
    struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "DELETE FROM list_entry WHERE number=?", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)row->e.number);
	if (db_run(d, st, err) == -1)
		return -1;
	return audit(d, row, by, what, now, err);
}

int
lists_approve(struct db *d, const struct list_row *row, int64_t expires, struct span by, int64_t now,
    struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "UPDATE list_entry SET state=0, expires=?, who=? WHERE number=?", err);
	struct list_row is = *row;

	if (st == NULL)
		return -1;
	is.e.expires = expires;
	if (expires)
		db_int(st, 1, expires);
	db_text_always(st, 2, row->e.who);
	db_int(st, 3, (int64_t)row->e.number);
	if (db_run(d, st, err) == -1)
		return -1;
	return audit(d, &is, by, "lists.approve", now, err);
}

/* ---- searching ---- */

static struct span
names_json(struct arena *a, const struct span *v, size_t n)
{
	struct span out;
	struct json j;
	struct buf b;

	buf_init(&b, 1u << 20);
	json_begin(&j, &b);
	json_array(&j);
	for (size_t i = 0; i < n; i++)
		json_str(&j, v[i]);
	json_end_array(&j);
	out = arena_span(a, buf_data(&b));
	buf_release(&b);
	return out;
}

/* What an index answers; the rest is looked at row by row. */
static sqlite3_stmt *
select_from(struct db *d, const struct lists_filter *f, struct arena *a, struct err *err)
{
	bool some = f->owner.n || f->nowners || f->ndomains;
	sqlite3_stmt *st = some ? db_stmt(d, "SELECT " COLUMNS " FROM list_entry WHERE number>?1 AND"
	    " ((owner<>'' AND owner IN (SELECT value FROM json_each(?2)))"
	    " OR (domain<>'' AND domain IN (SELECT value FROM json_each(?3)))) ORDER BY number", err) :
	    db_stmt(d, "SELECT " COLUMNS " FROM list_entry WHERE number>?1 ORDER BY number", err);

	if (st == NULL)
		return NULL;
	db_int(st, 1, (int64_t)f->after);
	if (some) {
		db_text_always(st, 2, f->owner.n ? names_json(a, &f->owner, 1) :
		    names_json(a, f->owners, f->nowners));
		db_text_always(st, 3, f->owner.n ? SPAN_LIT("[]") :
		    names_json(a, f->domains, f->ndomains));
	}
	return st;
}

static bool
has_text(struct span s, struct span part)
{
	for (size_t i = 0; i + part.n <= s.n; i++)
		if (span_eq_nocase(span_sub(s, i, part.n), part))
			return true;
	return false;
}

static bool
among(const struct span *v, size_t n, struct span s)
{
	for (size_t i = 0; i < n; i++)
		if (span_eq_nocase(v[i], s))
			return true;
	return false;
}

static bool
fits(const struct lists_filter *f, const struct list_row *r)
{
	const struct entry *e = &r->e;
	struct span local, domain = e->owner;

	if ((f->has_scope && f->scope != e->scope) || (f->has_side && f->side != e->side) ||
	    (f->has_state && f->state != r->state))
		return false;
	if (f->nowners || f->ndomains) {
		if (e->scope == LIST_ALL)
			return false;
		if (e->scope == LIST_USER && !mailaddr_split(e->owner, &local, &domain))
			return false;
		if (!among(f->domains, f->ndomains, domain) &&
		    !(e->scope == LIST_USER && among(f->owners, f->nowners, e->owner)))
			return false;
	}
	return f->text.n == 0 || has_text(e->what, f->text) || has_text(e->owner, f->text) ||
	    has_text(e->reason, f->text) || has_text(e->who, f->text);
}

int
lists_select(struct db *d, const struct lists_filter *f, size_t limit, struct arena *a,
    struct list_row **rows, size_t *n, bool *more, struct err *err)
{
	sqlite3_stmt *st = select_from(d, f, a, err);
	struct list_row row;
	int r;

	*rows = arena_array(a, limit + 1, sizeof(**rows));
	*n = 0;
	*more = false;
	if (st == NULL)
		return -1;
	while ((r = db_step(d, st, err)) == 1) {
		if (!row_read(st, NULL, &row) || !fits(f, &row))
			continue;
		if (*n == limit) {
			*more = true;
			break;
		}
		row_read(st, a, &(*rows)[(*n)++]);
	}
	sqlite3_reset(st);
	return r == -1 ? -1 : 0;
}

int
lists_count(struct db *d, enum list_scope scope, struct span owner, uint64_t *n, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT count(*) FROM list_entry WHERE scope=? AND owner=?", err);
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, scope);
	db_text_always(st, 2, owner);
	if ((r = db_step(d, st, err)) == 1)
		*n = (uint64_t)sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return r == 1 ? 0 : -1;
}

int
lists_each(struct db *d, int (*fn)(void *ctx, const struct entry *e, struct err *err), void *ctx,
    struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT " COLUMNS " FROM list_entry WHERE state=0", err);
	struct list_row row;
	int r;

	if (st == NULL)
		return -1;
	while ((r = db_step(d, st, err)) == 1)
		if (row_read(st, NULL, &row) && fn(ctx, &row.e, err) == -1) {
			r = -1;
			break;
		}
	sqlite3_reset(st);
	return r;
}

/* ---- ends ---- */

int
lists_next_end(struct db *d, int64_t *when, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT min(expires) FROM list_entry WHERE expires IS NOT NULL", err);
	int r;

	*when = 0;
	if (st == NULL)
		return -1;
	if ((r = db_step(d, st, err)) == 1)
		*when = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return r == 1 ? 0 : -1;
}

int
lists_expire(struct db *d, int64_t now, size_t max, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT " COLUMNS " FROM list_entry WHERE expires<=? ORDER BY expires"
	    " LIMIT ?", err);
	struct arena *a = arena_new(0);
	struct list_row *v = arena_array(a, max, sizeof(*v));
	size_t n = 0;
	int r = -1;

	if (st == NULL)
		goto out;
	db_int(st, 1, now);
	db_int(st, 2, (int64_t)max);
	while (n < max && (r = db_step(d, st, err)) == 1)
		n += row_read(st, a, &v[n]);
	sqlite3_reset(st);
	if (r == -1)
		goto out;
	for (size_t i = 0; i < n; i++)
		if (lists_remove(d, &v[i], SPAN_LIT("expiry"), "lists.expire", now, err) == -1)
			goto fail;
	r = (int)n;
	goto out;
fail:
	r = -1;
out:
	arena_free(&a);
	return r;
}
