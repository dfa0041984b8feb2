/* undo.c -- see undo.h. */
#include "clock.h"
#include "log.h"
#include "store/audit.h"
#include "store/kept_control.h"
#include "store/undo.h"

#define DUE_MAX 100
#define AGAIN_US (10 * US_PER_SEC)	/* what could not be carried out: nobody looks, the queue is away */

static const char *const verbs[] = { [ACT_RELEASE] = "release", [ACT_REJECT] = "reject",
	[ACT_DELETE] = "delete", [ACT_ANYWAY] = "release-anyway" };
#define VERBS ((int)(sizeof(verbs) / sizeof(verbs[0])))

bool
undo_wanted(const struct asked *q)
{
	return jval_bool(q->req, "undo") && q->s->rt->conf->quarantine.undo > 0;
}

int
undo_waits(struct db *d, int64_t kid, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT 1 FROM kept_later WHERE kid=?", err);
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, kid);
	r = db_step(d, st, err);
	sqlite3_reset(st);
	return r;
}

int
undo_over(struct db *d, int64_t kid, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "DELETE FROM kept_later WHERE kid=?", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, kid);
	return db_run(d, st, err);
}

int
undo_json(struct db *d, int64_t kid, struct json *j, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT verb, by, due FROM kept_later WHERE kid=?", err);
	int r, verb;

	if (st == NULL)
		return -1;
	db_int(st, 1, kid);
	if ((r = db_step(d, st, err)) == 1) {
		verb = sqlite3_column_int(st, 0);
		json_key(j, "pending");
		json_object(j);
		json_kcstr(j, "verb", verb >= 0 && verb < VERBS ? verbs[verb] : NULL);
		json_kstr(j, "by", db_column(st, 1));
		json_kint(j, "until", sqlite3_column_int64(st, 2));
		json_end_object(j);
	}
	sqlite3_reset(st);
	return r == -1 ? -1 : 0;
}

/* ---- written down ---- */

static int
put(struct asked *q, const struct kept *k, enum act_verb verb, struct span reason, int64_t now,
    int64_t due, struct err *err)
{
	struct db *d = q->s->db;
	sqlite3_stmt *st;
	char id[ID_SIZE];

	if (db_begin(d, true, err) == -1)
		return -1;
	st = db_stmt(d, "INSERT INTO kept_later(kid, verb, by, reason, due) VALUES(?,?,?,?,?)", err);
	if (st) {
		db_int(st, 1, k->kid);
		db_int(st, 2, verb);
		db_text_always(st, 3, asked_by(q));
		db_text_always(st, 4, reason);
		db_int(st, 5, due);
	}
	if (st && db_run(d, st, err) == 0 && audit_put(d, asked_by(q), "kept.later",
	    span_str(id_format(k->id, id)), span_str(arena_printf(q->arena, "%s%s" SPAN_FMT, verbs[verb],
	    reason.n ? ": " : "", SPAN_ARG(reason))), now, err) == 0 && db_commit(d, err) == 0)
		return 0;
	db_rollback(d);
	return -1;
}

void
undo_later(struct asked *q, enum act_verb verb, const int64_t *kids, size_t n, struct span reason,
    size_t done, size_t failed)
{
	int64_t now = clock_real(), due = now + q->s->rt->conf->quarantine.undo;
	struct json j;

	ASSERT((int)verb < VERBS && verbs[verb]);
	store_settle(q->s);
	for (size_t i = 0; i < n; i++) {
		struct err err = { 0 };
		char id[ID_SIZE], number[24];
		struct kept k;

		if (kept_load(q->s->db, kids[i], false, q->arena, &k, &err) != 1 ||
		    put(q, &k, verb, reason, now, due, &err) == -1) {
			say_refused(q, kids[i], "busy", err.text[0] ? err.text : "it is gone");
			failed++;
			continue;
		}
		j = open_line(q->reply);
		snprintf(number, sizeof(number), "%lld", (long long)kids[i]);
		json_kcstr(&j, "kid", number);
		json_kcstr(&j, "id", id_format(k.id, id));
		json_kbool(&j, "ok", true);
		json_kcstr(&j, "state", "pending");
		json_kcstr(&j, "verb", verbs[verb]);
		json_kint(&j, "until", due);
		close_line(q->reply, &j);
		done++;
	}
	j = open_line(q->reply);
	json_kuint(&j, "done", done);
	json_kuint(&j, "failed", failed);
	close_line(q->reply, &j);
}

/* ---- carried out ---- */

struct due {
	int64_t kid;
	enum act_verb verb;
	struct span by, reason;
};

/* Not before AGAIN_US again: what is carried out takes its row away itself. */
static int
put_off(struct db *d, int64_t kid, int64_t due, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "UPDATE kept_later SET due=? WHERE kid=?", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, due);
	db_int(st, 2, kid);
	return db_run(d, st, err);
}

static int
find_due(struct db *d, int64_t now, struct arena *a, struct due *v, size_t *n, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT kid, verb, by, reason FROM kept_later WHERE due<=?"
	    " ORDER BY due LIMIT ?", err);
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, now);
	db_int(st, 2, DUE_MAX);
	while ((r = db_step(d, st, err)) == 1) {
		int verb = sqlite3_column_int(st, 1);

		if (verb < 0 || verb >= VERBS || verbs[verb] == NULL)
			continue;	/* of a newer version: it waits for it */
		v[(*n)++] = (struct due){ sqlite3_column_int64(st, 0), (enum act_verb)verb,
			arena_span(a, db_column(st, 2)), arena_span(a, db_column(st, 3)) };
	}
	sqlite3_reset(st);
	return r;
}

void
undo_tick(struct store *s)
{
	int64_t now = clock_real();
	struct err err = { 0 };
	struct arena *a;
	struct due *v;
	size_t n = 0;

	if (s->queue == NULL || s->rt->retiring || s->batch.failing)
		return;
	a = arena_new(0);
	v = arena_array(a, DUE_MAX, sizeof(*v));
	store_settle(s);
	if (find_due(s->db, now, a, v, &n, &err) == -1)
		log_error("decisions that were to be undone: %s", err.text);
	for (size_t i = 0; i < n; i++) {
		if (put_off(s->db, v[i].kid, now + AGAIN_US, &err) == -1) {
			log_error("decisions that were to be undone: %s", err.text);
			break;
		}
		act_start(s, v[i].verb, &v[i].kid, 1, v[i].by, v[i].reason, NULL);
	}
	arena_free(&a);
}

/* ---- taken back ---- */

/* 1 done, 0 nothing waits, -2 somebody else's, -1. */
static int
take_back(struct asked *q, const struct kept *k, struct err *err)
{
	struct db *d = q->s->db;
	sqlite3_stmt *st;
	char id[ID_SIZE];
	struct span verb;
	bool own;
	int r;

	st = db_stmt(d, "SELECT verb, by FROM kept_later WHERE kid=?", err);
	if (st == NULL)
		return -1;
	db_int(st, 1, k->kid);
	if ((r = db_step(d, st, err)) != 1) {
		sqlite3_reset(st);
		return r;
	}
	r = sqlite3_column_int(st, 0);
	verb = span_str(r >= 0 && r < VERBS && verbs[r] ? verbs[r] : "");
	own = q->who.local || principal_is(&q->who, PRINCIPAL_BIT(OPERATOR)) ||
	    span_eq(db_column(st, 1), asked_by(q));
	sqlite3_reset(st);
	if (!own)
		return -2;
	if (db_begin(d, true, err) == -1)
		return -1;
	if (undo_over(d, k->kid, err) == 0 && audit_put(d, asked_by(q), "kept.undo",
	    span_str(id_format(k->id, id)), verb, clock_real(), err) == 0 && db_commit(d, err) == 0)
		return 1;
	db_rollback(d);
	return -1;
}

void
do_undo(struct asked *q)
{
	const struct jval *list = jval_get(q->req, "kids");
	size_t n = jval_count(list), done = 0, reach;
	struct json j;

	if (n == 0) {
		say_coded(q, "invalid", "which ones? `kids` is missing");
		return;
	}
	for (size_t i = 0; i < n; i++) {
		struct err err = { 0 };
		char id[ID_SIZE], number[24];
		struct kept k;
		int64_t kid;

		if (!kept_kid(jval_str(jval_at(list, i)), &kid)) {
			say_coded(q, "invalid", "`kids` are numbers, as texts");
			return;
		}
		if (!kept_asked(q, kid, KEPT_MAY_SEE, &k, NULL, &reach))
			continue;
		snprintf(number, sizeof(number), "%lld", (long long)kid);
		switch (take_back(q, &k, &err)) {
		case 1:
			j = open_line(q->reply);
			json_kcstr(&j, "kid", number);
			json_kcstr(&j, "id", id_format(k.id, id));
			json_kbool(&j, "ok", true);
			json_kcstr(&j, "state", kept_state_name(k.state));
			close_line(q->reply, &j);
			done++;
			break;
		case 0:
			say_refused(q, kid, "conflict", k.state == KEPT_WAITING ?
			    "nothing is decided about it" : "it is too late: it is done");
			break;
		case -2:
			audit_refused(q, "kept.undo", span_str(number));
			say_refused(q, kid, "forbidden", "somebody else has decided it");
			break;
		default:
			say_refused(q, kid, "busy", err.text);
		}
	}
	j = open_line(q->reply);
	json_kuint(&j, "done", done);
	json_kuint(&j, "failed", n - done);
	close_line(q->reply, &j);
}
