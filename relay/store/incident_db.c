/* incident_db.c -- see incident_db.h. */
#include "id.h"
#include "ipc/frame.h"
#include "ipc/json_read.h"
#include "json.h"
#include "store/incident_db.h"
#include "store/journal.h"
#include "store/kept.h"

#define RECIPIENTS_SHOWN 20
#define RULES_MAX 50
#define BUDGET_US (2 * INT64_C(1000000))

/* ---- from verdicts ---- */

/* The rules that hit for somebody with this outcome, each once. */
static size_t
rules_of(const struct jval *record, enum outcome o, struct span rules[RULES_MAX])
{
	const struct jval *list = jval_get(record, "recipients"), *r, *rule;
	size_t n = 0;

	for (size_t i = 0; (r = jval_at(list, i)) != NULL; i++) {
		if (!span_is(jval_text(r, "outcome"), outcome_name(o)))
			continue;
		for (size_t k = 0; (rule = jval_at(jval_get(r, "rules"), k)) != NULL; k++) {
			bool had = n == RULES_MAX;

			for (size_t x = 0; x < n && !had; x++)
				had = span_eq(rules[x], jval_str(rule));
			if (!had)
				rules[n++] = jval_str(rule);
		}
	}
	return n;
}

static int
put_rule(struct db *d, struct span rule, int64_t iid, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "INSERT OR IGNORE INTO incident_rule(rule, iid) VALUES(?,?)", err);

	if (st == NULL)
		return -1;
	db_text_always(st, 1, rule);
	db_int(st, 2, iid);
	return db_run(d, st, err);
}

static int
put(struct db *d, const struct envelope *env, uint64_t id, int64_t kid, int64_t time,
    enum outcome o, const struct jval *record, struct arena *a, struct err *err)
{
	struct span rules[RULES_MAX], subject = jval_text(record, "subject");
	size_t n = rules_of(record, o, rules);
	struct buf names, to;
	sqlite3_stmt *st;
	int64_t iid = 0;
	int r;

	if (n == 0 || jval_count(jval_get(record, "findings")) == 0)
		return 0;
	if ((st = db_stmt(d, "INSERT OR IGNORE INTO incident(id, kid, time, outcome, rules, sender,"
	    " sender_domain, recipients, subject, state) VALUES(?,?,?,?,?,?,?,?,?,1)", err)) == NULL)
		return -1;
	buf_init(&names, FRAME_SMALL);
	buf_init(&to, FRAME_SMALL);
	for (size_t i = 0; i < n; i++)
		buf_printf(&names, "%s" SPAN_FMT, i ? "\n" : "", SPAN_ARG(rules[i]));
	for (size_t i = 0; i < env->nrecipients && i < RECIPIENTS_SHOWN; i++)
		buf_printf(&to, "%s" SPAN_FMT, i ? "\n" : "", SPAN_ARG(env->recipients[i].address));
	db_id(st, 1, id);
	if (kid)
		db_int(st, 2, kid);
	db_int(st, 3, time);
	db_text(st, 4, span_str(outcome_name(o)));
	db_text_always(st, 5, buf_data(&names));
	db_text(st, 6, env->sender);
	db_text(st, 7, span_from(env->sender, span_find(env->sender, '@') + 1));
	db_text(st, 8, buf_data(&to));
	db_text(st, 9, subject);
	r = db_run(d, st, err);
	if (r == 0 && db_changes(d) > 0)
		iid = db_last_rowid(d);
	for (size_t i = 0; r == 0 && iid && i < n; i++)
		r = put_rule(d, rules[i], iid, err);
	buf_release(&names);
	buf_release(&to);
	return r;
}

int
incident_kept(struct db *d, int64_t kid, const struct msg_keep *m, int64_t now, struct arena *a,
    struct err *err)
{
	struct jval *record;
	int r;

	if (m->record.n == 0 || (m->kind != OUTCOME_HOLD && m->env.direction != DIRECTION_OUTBOUND))
		return 0;
	if ((record = jval_parse(m->record, NULL)) == NULL)
		return 0;
	r = put(d, &m->env, m->parent ? m->parent : m->env.id, kid, now, m->kind, record, a, err);
	jval_free(&record);
	return r;
}

int
incident_refused(struct db *d, const struct msg_event *ev, struct arena *a, struct err *err)
{
	struct jval *record;
	int r;

	if (ev->kind != EVENT_REFUSED || !ev->has_env || ev->record.n == 0 ||
	    !span_is(ev->outcome, outcome_name(OUTCOME_REJECT)) ||
	    (record = jval_parse(ev->record, NULL)) == NULL)
		return 0;
	r = put(d, &ev->env, ev->id, 0, ev->time, OUTCOME_REJECT, record, a, err);
	jval_free(&record);
	return r;
}

/* ---- shown ---- */

int
incident_load(struct db *d, int64_t iid, struct incident *i, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT id, kid, state FROM incident WHERE iid=?", err);
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, iid);
	if ((r = db_step(d, st, err)) == 1) {
		*i = (struct incident){ .iid = iid, .id = db_column_id(st, 0),
			.kid = sqlite3_column_int64(st, 1), .state = sqlite3_column_int(st, 2) };
		sqlite3_reset(st);
	}
	return r;
}

static void
put_lines(struct json *j, const char *key, struct span text)
{
	json_key(j, key);
	json_array(j);
	while (text.n) {
		size_t n = span_find(text, '\n');

		json_str(j, span_sub(text, 0, n));
		text = span_from(text, n + 1);
	}
	json_end_array(j);
}

static void
ktext(struct json *j, const char *key, struct span s)
{
	json_key(j, key);
	if (s.n)
		json_str(j, s);
	else
		json_null(j);
}

static void
put_row(struct json *j, sqlite3_stmt *st)
{
	struct span rules = db_column(st, 4);
	char id[ID_SIZE], number[24];

	json_kint(j, "v", 1);
	snprintf(number, sizeof(number), "%lld", (long long)sqlite3_column_int64(st, 0));
	json_kcstr(j, "id", number);
	json_kcstr(j, "message", id_format(db_column_id(st, 1), id));
	snprintf(number, sizeof(number), "%lld", (long long)sqlite3_column_int64(st, 2));
	json_kcstr(j, "kid", sqlite3_column_int64(st, 2) ? number : NULL);
	json_kint(j, "time", sqlite3_column_int64(st, 3));
	json_kstr(j, "rule", span_sub(rules, 0, span_find(rules, '\n')));
	put_lines(j, "rules", rules);
	ktext(j, "outcome", db_column(st, 5));
	ktext(j, "sender", db_column(st, 6));
	put_lines(j, "recipients", db_column(st, 7));
	ktext(j, "subject", db_column(st, 8));
	json_kcstr(j, "state", sqlite3_column_int(st, 9) == 1 ? "open" : "closed");
	ktext(j, "resolution", db_column(st, 10));
	ktext(j, "note", db_column(st, 11));
	ktext(j, "by", db_column(st, 12));
}

/* The masked findings of a record. */
static void
put_findings(struct json *j, const struct jval *record, size_t max)
{
	static const char *const texts[] = { "detector", "confidence", "part", "where", "name", "grade" };
	const struct jval *list = jval_get(record, "findings"), *f, *m;

	json_key(j, "findings");
	json_array(j);
	for (size_t i = 0; i < max && (f = jval_at(list, i)) != NULL; i++) {
		json_object(j);
		for (size_t k = 0; k < sizeof(texts) / sizeof(texts[0]); k++)
			if (jval_text(f, texts[k]).n)
				json_kstr(j, texts[k], jval_text(f, texts[k]));
		json_kint(j, "count", jval_int(f, "count", 0));
		json_key(j, "masked");
		json_array(j);
		for (size_t k = 0; (m = jval_at(jval_get(f, "masked"), k)) != NULL; k++)
			json_str(j, jval_str(m));
		json_end_array(j);
		json_end_object(j);
	}
	json_end_array(j);
}

int
incident_item(struct db *d, int64_t iid, size_t findings, struct buf *out, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT iid, id, kid, time, rules, outcome, sender, recipients, subject,"
	    " state, resolution, note, by FROM incident WHERE iid=?", err);
	struct arena *a = arena_new(0);
	struct kept k = { 0 };
	struct jval *record;
	struct json j;
	uint64_t id;
	int64_t kid;
	int r = st ? 0 : -1;

	if (r == 0) {
		db_int(st, 1, iid);
		r = db_step(d, st, err);
	}
	if (r != 1) {
		arena_free(&a);
		return r;
	}
	json_begin(&j, out);
	json_object(&j);
	put_row(&j, st);
	id = db_column_id(st, 1);
	kid = sqlite3_column_int64(st, 2);
	sqlite3_reset(st);
	if (kid && kept_load(d, kid, false, a, &k, err) == -1)
		r = -1;
	if (r != -1 && k.record.n == 0 && journal_record(d, id, a, &k.record, err) == -1)
		r = -1;
	record = k.record.n ? jval_parse(k.record, NULL) : NULL;
	put_findings(&j, record, findings);
	json_kbool(&j, "kept", k.state == KEPT_WAITING);
	json_end_object(&j);
	buf_putc(out, '\n');
	jval_free(&record);
	arena_free(&a);
	return r;
}

#define FILTER " AND i.iid<?2 AND (?1 IS NULL OR +i.state=?1) AND (?4 IS NULL OR i.id=?4)" \
	" AND (?5 IS NULL OR instr(lower(coalesce(i.sender,'')||' '||coalesce(i.recipients,'')||' '||" \
	"coalesce(i.subject,'')), lower(?5))) ORDER BY i.iid DESC LIMIT ?3"

int
incident_list(struct db *d, const struct incident_ask *ask, struct arena *a, int64_t **iids, size_t *n,
    bool *more, struct err *err)
{
	sqlite3_stmt *st = ask->rule.n ? db_stmt(d, "SELECT i.iid FROM incident_rule r JOIN incident i"
	    " ON r.iid=i.iid WHERE r.rule=?6" FILTER, err) : ask->state ? db_stmt(d, "SELECT i.iid"
	    " FROM incident i INDEXED BY incident_state WHERE i.state=?1" FILTER, err) :
	    db_stmt(d, "SELECT i.iid FROM incident i WHERE 1" FILTER, err);
	uint64_t id;
	int r;

	*n = 0;
	*more = false;
	*iids = arena_array(a, ask->limit, sizeof(**iids));
	if (st == NULL)
		return -1;
	if (ask->state)
		db_int(st, 1, ask->state);
	db_int(st, 2, ask->before ? ask->before : INT64_MAX);
	db_int(st, 3, (int64_t)ask->limit + 1);
	if (id_parse(ask->q, &id))
		db_id(st, 4, id);
	else
		db_text(st, 5, ask->q);
	db_text(st, 6, ask->rule);
	db_budget(d, BUDGET_US);
	while ((r = db_step(d, st, err)) == 1) {
		*more = *n == ask->limit;
		if (!*more)
			(*iids)[(*n)++] = sqlite3_column_int64(st, 0);
	}
	db_budget(d, 0);
	return r;
}

int
incident_close(struct db *d, int64_t iid, struct span resolution, struct span note, struct span by,
    int64_t now, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "UPDATE incident SET state=2, resolution=?, note=?, by=?, decided=?"
	    " WHERE iid=? AND state=1", err);

	if (st == NULL)
		return -1;
	db_text(st, 1, resolution);
	db_text(st, 2, note);
	db_text(st, 3, by);
	db_int(st, 4, now);
	db_int(st, 5, iid);
	if (db_run(d, st, err) == -1)
		return -1;
	return db_changes(d) > 0;
}

int
incident_rules(struct db *d, struct buf *out, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT r.rule, sum(i.state=1), sum(i.resolution='true'),"
	    " sum(i.resolution='false'), sum(i.resolution IN ('accepted','duplicate','other')), max(i.time)"
	    " FROM incident_rule r JOIN incident i ON i.iid=r.iid GROUP BY r.rule ORDER BY 4 DESC, 1", err);
	static const char *const names[] = { "rule", "open", "true_positive", "false_positive", "other",
		"last" };
	int r;

	if (st == NULL)
		return -1;
	while ((r = db_step(d, st, err)) == 1) {
		struct json j;

		json_begin(&j, out);
		json_object(&j);
		json_kint(&j, "v", 1);
		json_kstr(&j, names[0], db_column(st, 0));
		for (int i = 1; i < 6; i++)
			json_kint(&j, names[i], sqlite3_column_int64(st, i));
		json_end_object(&j);
		buf_putc(out, '\n');
	}
	return r;
}
