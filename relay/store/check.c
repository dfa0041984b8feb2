/* check.c -- is the store's database sound, and does it say the same everywhere? See db_copy.h.
 *
 * Nothing is changed. What a crash of the machine, a disk or a hand may have done is a fault; what is no harm, as a
 * key that is not here, is a note. A store that runs meanwhile is not disturbed: all questions but the audit
 * log's are one snapshot.
 */
#include <errno.h>
#include <stdio.h>

#include "store/audit.h"
#include "store/db_copy.h"
#include "store/keyring.h"
#include "store/sealed.h"

#define FAULTS_SHOWN 20
#define VERIFY_ROWS 100000

struct checking {
	struct db *d;
	check_tell *tell;
	void *ctx;
	int faults;
};

static void
say(struct checking *c, enum check_level level, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static void
say(struct checking *c, enum check_level level, const char *what, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	c->faults += level == CHECK_FAULT;
	c->tell(c->ctx, level, what, text);
}

/* ---- SQLite's ---- */

static int
structure(struct checking *c, bool quick, struct err *err)
{
	char sql[64];
	sqlite3_stmt *st;
	int r, n = 0;

	snprintf(sql, sizeof(sql), "PRAGMA %s_check(%d)", quick ? "quick" : "integrity", FAULTS_SHOWN);
	if ((st = db_once(c->d, sql, err)) == NULL)
		return -1;
	while ((r = db_step(c->d, st, err)) == 1) {
		if (span_is(db_column(st, 0), "ok"))
			continue;
		say(c, CHECK_FAULT, "structure", SPAN_FMT, SPAN_ARG(db_column(st, 0)));
		n++;
	}
	sqlite3_finalize(st);
	if (r == -1 && err->code == EUCLEAN) {	/* too damaged to be walked */
		say(c, CHECK_FAULT, "structure", "%s", err->text);
		return 0;
	}
	if (r == 0 && n == 0)
		say(c, CHECK_FINE, "structure", "the file is sound");
	return r;
}

/* ---- the audit log ---- */

static int
chain(struct checking *c, struct err *err)
{
	struct audit_walk w = { 0 };

	while (!w.end && w.fault == AUDIT_SOUND)
		if (audit_verify(c->d, &w, VERIFY_ROWS, err) == -1)
			return -1;
	if (w.fault != AUDIT_SOUND)
		say(c, CHECK_FAULT, "audit log", "row %lld: %s", (long long)w.broken, audit_fault_text(w.fault));
	else if (w.foreign)
		say(c, CHECK_NOTE, "audit log", "%llu rows are sound, %llu more have a key that is not here",
		    (unsigned long long)(w.rows - w.foreign), (unsigned long long)w.foreign);
	else
		say(c, CHECK_FINE, "audit log", "%llu rows are sound", (unsigned long long)w.rows);
	return 0;
}

/* ---- what is sealed ---- */

static int
sealed_one(struct checking *c, enum sealed_kind kind, bool quick, struct err *err)
{
	static const struct { const char *label, *sql; } kinds[SEALED_COUNT] = {
#define X(name, label, table, row, blob, bound) [SEALED_##name] = { label, \
		"SELECT " row ", " bound ", " blob " FROM " table " WHERE " blob " IS NOT NULL" },
		SEALED(X)
#undef X
	};
	sqlite3_stmt *st = db_stmt(c->d, kinds[kind].sql, err);
	uint64_t all = 0, plain = 0, foreign = 0, bad = 0;
	struct arena *a;
	int r;

	if (st == NULL)
		return -1;
	a = arena_new(0);
	while ((r = db_step(c->d, st, err)) == 1) {
		struct span out, s = db_column(st, 2);
		struct err why;

		all++;
		if (!is_sealed(s))
			plain++;
		else if (keyring_audit(db_keys(c->d), sealed_by(s)) == NULL)
			foreign++;
		else if (!quick && unseal(db_keys(c->d), kinds[kind].label, sqlite3_column_int64(st, 1), s, a, &out,
		    &why) == -1 && ++bad <= FAULTS_SHOWN)
			say(c, CHECK_FAULT, "sealed", "%s %lld: %s", kinds[kind].label,
			    (long long)sqlite3_column_int64(st, 0), why.text);
		arena_reset(a);
	}
	arena_free(&a);
	if (r == -1)
		return -1;
	if (bad > FAULTS_SHOWN)
		say(c, CHECK_FAULT, "sealed", "%s: %llu in all cannot be opened", kinds[kind].label, (unsigned long long)bad);
	if (foreign)
		say(c, CHECK_FAULT, "sealed", "%s: %llu of %llu are sealed with a key that is not here", kinds[kind].label,
		    (unsigned long long)foreign, (unsigned long long)all);
	if (plain)
		say(c, CHECK_NOTE, "sealed", "%s: %llu of %llu are not sealed yet", kinds[kind].label,
		    (unsigned long long)plain, (unsigned long long)all);
	if (bad == 0 && foreign == 0 && all)
		say(c, CHECK_FINE, "sealed", "%s: %llu %s", kinds[kind].label, (unsigned long long)all,
		    quick ? "have their key here" : "open");
	return 0;
}

/* ---- one table against another ---- */

#define NO_KEPT(table) "SELECT count(*), min(kid) FROM " table " WHERE kid NOT IN (SELECT kid FROM kept)"

static const struct relation {
	enum check_level level;
	const char *what, *text, *sql;	/* how many, and one of them */
} relations[] = {
	{ CHECK_FAULT, "kept", "that wait have no content", "SELECT count(*), min(kid) FROM kept WHERE state IN (1, 2, 3)"
	    " AND kid NOT IN (SELECT kid FROM kept_content)" },
	{ CHECK_FAULT, "kept", "have no recipient", "SELECT count(*), min(kid) FROM kept WHERE kid NOT IN"
	    " (SELECT kid FROM kept_rcpt) AND state IN (1, 2, 3)" },
	{ CHECK_FAULT, "kept", "have recipients of another state or kind", "SELECT count(*), min(k.kid) FROM kept k"
	    " JOIN kept_rcpt r ON r.kid=k.kid WHERE r.state IS NOT k.state OR r.kind IS NOT k.kind" },
	{ CHECK_FAULT, "kept", "are not found by their words", "SELECT count(*), min(kid) FROM kept WHERE kid NOT IN"
	    " (SELECT rowid FROM kept_words)" },
	{ CHECK_FAULT, "contents", "belong to no kept message, or to one that is decided", "SELECT count(*), min(kid)"
	    " FROM kept_content WHERE kid NOT IN (SELECT kid FROM kept WHERE state IN (1, 2, 3))" },
	{ CHECK_NOTE, "recipients", "belong to no kept message", NO_KEPT("kept_rcpt") },
	{ CHECK_NOTE, "approvals", "belong to no kept message", NO_KEPT("approval") },
	{ CHECK_NOTE, "approvers", "belong to no kept message", NO_KEPT("approver") },
	{ CHECK_NOTE, "voices", "belong to no kept message", NO_KEPT("vote") },
	{ CHECK_NOTE, "journal", "recipients belong to no message", "SELECT count(*), min(id) FROM recipient"
	    " WHERE id NOT IN (SELECT id FROM message)" },
	{ CHECK_NOTE, "records", "belong to no message", "SELECT count(*), min(id) FROM record"
	    " WHERE id NOT IN (SELECT id FROM message)" },
	{ CHECK_NOTE, "records", "packs are older than every message", "SELECT count(*), min(seq) FROM record_pack"
	    " WHERE last<(SELECT min(id) FROM message)" },
	{ CHECK_FAULT, "words", "weeks of the index are missing", "SELECT count(*), min(week) FROM search_week WHERE gone=0"
	    " AND ('search_'||week NOT IN (SELECT name FROM sqlite_master) OR 'replies_'||week NOT IN"
	    " (SELECT name FROM sqlite_master))" },
	{ CHECK_NOTE, "TLS", "failures belong to no day", "SELECT count(*), min(pid) FROM tls_failure"
	    " WHERE pid NOT IN (SELECT pid FROM tls_policy)" },
};

static int
related(struct checking *c, struct err *err)
{
	int said = c->faults;

	for (size_t i = 0; i < sizeof(relations) / sizeof(relations[0]); i++) {
		const struct relation *x = &relations[i];
		sqlite3_stmt *st = db_stmt(c->d, x->sql, err);

		if (st == NULL || db_step(c->d, st, err) != 1)
			return -1;
		if (sqlite3_column_int64(st, 0) > 0)
			say(c, x->level, x->what, "%lld %s (such as %lld)", (long long)sqlite3_column_int64(st, 0), x->text,
			    (long long)sqlite3_column_int64(st, 1));
		sqlite3_reset(st);
	}
	if (said == c->faults)
		say(c, CHECK_FINE, "rows", "what belongs together is there");
	return 0;
}

int
db_check(struct db *d, bool quick, check_tell *tell, void *ctx, struct err *err)
{
	struct checking c = { d, tell, ctx, 0 };

	if (structure(&c, quick, err) == -1)
		return -1;
	if (c.faults)		/* what it would say on is no news, or an error */
		return c.faults;
	if (chain(&c, err) == -1)
		return -1;
	for (int kind = 0; kind < SEALED_COUNT; kind++)
		if (sealed_one(&c, (enum sealed_kind)kind, quick, err) == -1)
			return -1;
	return related(&c, err) == -1 ? -1 : c.faults;
}
