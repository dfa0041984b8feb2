/* digest_db.c -- whom a digest concerns, and what of; see digest.h. */
#include "clock.h"
#include "store/digest.h"
#include "store/digest_mail.h"

#define ROWS_AT_ONCE 20000	/* kept rows looked at in one transaction */

/* Where the last one ended; a domain that was never looked at begins with this hour. 1, 0 first time, -1 */
static int
last_of(struct db *d, struct span domain, int64_t *slot, int64_t *upto, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT slot, upto FROM digest_domain WHERE domain=?", err);
	int r;

	if (st == NULL)
		return -1;
	db_text_always(st, 1, domain);
	if ((r = db_step(d, st, err)) == 1) {
		*slot = sqlite3_column_int64(st, 0);
		*upto = sqlite3_column_int64(st, 1);
		sqlite3_reset(st);
	}
	return r;
}

static int
set_last(struct db *d, struct span domain, int64_t slot, int64_t upto, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "INSERT OR REPLACE INTO digest_domain(domain, slot, upto)"
	    " VALUES(?,?,?)", err);

	if (st == NULL)
		return -1;
	db_text_always(st, 1, domain);
	db_int(st, 2, slot);
	db_int(st, 3, upto);
	return db_run(d, st, err);
}

static int
newest(struct db *d, int64_t *kid, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT coalesce(max(kid), 0) FROM kept", err);

	if (st == NULL || db_step(d, st, err) != 1)
		return -1;
	*kid = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return 0;
}

static int
put_todo(struct db *d, struct span address, int64_t after, int64_t upto, int64_t now,
    struct err *err)
{
	/* Who was not told yet of what came before is told of both. */
	sqlite3_stmt *st = db_stmt(d, "INSERT INTO digest_todo(address, after, upto, time)"
	    " VALUES(?,?,?,?) ON CONFLICT(address) DO UPDATE SET upto=excluded.upto", err);

	if (st == NULL)
		return -1;
	db_text_always(st, 1, address);
	db_int(st, 2, after);
	db_int(st, 3, upto);
	db_int(st, 4, now);
	return db_run(d, st, err);
}

static int
put_all(struct db *d, const struct config *c, const struct conf_digest *one, int64_t after,
    int64_t upto, int64_t now, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT r.address FROM kept k CROSS JOIN kept_rcpt r ON r.kid=k.kid"
	    " WHERE k.kid>?1 AND k.kid<=?2 AND +k.kind='quarantine' AND +k.state=1 AND k.direction=2"
	    " AND k.confirmed IS NULL AND (?3 IS NULL OR r.domain=?3)", err);
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, after);
	db_int(st, 2, upto);
	db_text(st, 3, one->domain);
	while ((r = db_step(d, st, err)) == 1) {
		struct span address = db_column(st, 0);

		if (config_digest(c, address) == one &&
		    put_todo(d, address, after, upto, now, err) == -1) {
			sqlite3_reset(st);
			return -1;
		}
	}
	return r;
}

int
digest_due(struct db *d, const struct config *c, const struct conf_digest *one, int64_t slot,
    int64_t now, struct err *err)
{
	int64_t last = 0, after = 0, upto;
	bool more = false;
	int r;

	if (db_begin(d, true, err) == -1)
		return -1;
	r = last_of(d, one->domain, &last, &after, err);
	if (r == 0) {		/* an hour that was before us is not made up for */
		r = set_last(d, one->domain, slot, 0, err);
		last = slot;
	}
	if (r != -1 && slot > last) {
		r = newest(d, &upto, err);
		more = r != -1 && upto - after > ROWS_AT_ONCE;
		if (more)
			upto = after + ROWS_AT_ONCE;
		if (r != -1 && upto > after)
			r = put_all(d, c, one, after, upto, now, err);
		if (r != -1)
			r = set_last(d, one->domain, more ? last : slot, upto > after ? upto : after, err);
	}
	if (r == -1) {
		db_rollback(d);
		return -1;
	}
	return db_commit(d, err) == -1 ? -1 : more;
}

int
digest_next(struct db *d, struct span behind, struct arena *a, struct digest_one *o, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT address, after, upto FROM digest_todo WHERE address>?"
	    " ORDER BY address LIMIT 1", err);
	int r;

	if (st == NULL)
		return -1;
	db_text_always(st, 1, behind);
	if ((r = db_step(d, st, err)) == 1) {
		*o = (struct digest_one){ arena_span(a, db_column(st, 0)), sqlite3_column_int64(st, 1),
			sqlite3_column_int64(st, 2) };
		sqlite3_reset(st);
	}
	return r;
}

int
digest_told(struct db *d, struct span address, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "DELETE FROM digest_todo WHERE address=?", err);

	if (st == NULL)
		return -1;
	db_text_always(st, 1, address);
	return db_run(d, st, err);
}

#define OF_HIS " FROM kept_rcpt r INDEXED BY kept_rcpt_address CROSS JOIN kept k ON k.kid=r.kid" \
	" WHERE r.address=?1 COLLATE NOCASE AND r.state=1 AND r.kind='quarantine' AND r.kid>?2 AND r.kid<=?3 AND +k.kind='quarantine'" \
	" AND +k.state=1 AND k.direction=2 AND k.confirmed IS NULL"

int
digest_rows(struct db *d, struct span address, int64_t after, int64_t upto, struct arena *a,
    struct digest_row *rows, struct digest_kept *kept, size_t *n, uint64_t *total, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT k.kid, k.id, k.time, k.sender, k.subject, k.class" OF_HIS
	    " ORDER BY r.kid DESC", err);
	int r;

	*n = 0;
	*total = 0;
	if (st == NULL)
		return -1;
	db_text_always(st, 1, address);
	db_int(st, 2, after);
	db_int(st, 3, upto);
	while ((r = db_step(d, st, err)) == 1) {
		++*total;
		if (*n == DIGEST_ROWS_MAX)
			continue;
		kept[*n] = (struct digest_kept){ sqlite3_column_int64(st, 0), db_column_id(st, 1) };
		rows[*n] = (struct digest_row){ .time = sqlite3_column_int64(st, 2) };
		rows[*n].sender = arena_span(a, db_column(st, 3));
		rows[*n].subject = arena_span(a, db_column(st, 4));
		rows[*n].class = arena_span(a, db_column(st, 5));
		++*n;
	}
	return r;
}
