/* retention.c -- what is too old is deleted: a little every second, never much in one transaction.
 *
 * A round goes through all kinds, a slice of each every second, until nothing old is left; the next
 * one begins ROUND_US later. A journal is deleted from its oldest message on, so the oldest one left is
 * where searches end. Quarantined and held messages go the way of a decision (journalled, told
 * in the trace), by "retention". Verdict records and policies are store_policy.c's, TLS reports tlsrpt.c's.
 *
 *	{"cmd":"store.status"}	{"v":1,"bytes":…,"free":…,"kinds":[{"kind","keep":seconds,"oldest":us or null}]}
 */
#include <sys/stat.h>

#include "clock.h"
#include "log.h"
#include "store/asked.h"
#include "store/audit.h"
#include "store/hours.h"
#include "store/records.h"
#include "store/search.h"
#include "store/share.h"

#define ROUND_US (600 * US_PER_SEC)
#define DAY_US (INT64_C(86400) * US_PER_SEC)
#define SLICE 2000			/* rows of a kind in one transaction */
#define SLICE_KEPT 200
#define FREE_PAGES 2000			/* given back to the file system every second */

/* ---- the journal ---- */

static int
run2(struct db *d, const char *sql, int64_t one, int64_t other, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, sql, err);

	if (st == NULL)
		return -1;
	db_int(st, 1, one);
	db_int(st, 2, other);
	return db_run(d, st, err) == -1 ? -1 : db_changes(d);
}

/* The id up to which a slice goes: all that belongs to it goes with it. 0: nothing is old. */
static int
slice_end(struct db *d, uint64_t bound, int64_t *end, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT max(id) FROM (SELECT id FROM message WHERE id<? ORDER BY id"
	    " LIMIT ?)", err);
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)bound);
	db_int(st, 2, SLICE);
	r = db_step(d, st, err);
	*end = r == 1 ? sqlite3_column_int64(st, 0) : 0;
	if (r == 1)
		sqlite3_reset(st);
	return r == -1 ? -1 : 0;
}

int
journal_expire(struct db *d, int64_t before, struct err *err)
{
	static const char *const by_id[] = {
		"DELETE FROM message WHERE id<=?1 AND ?2", "DELETE FROM recipient WHERE id<=?1 AND ?2",
		"DELETE FROM record WHERE id<=?1 AND ?2", "DELETE FROM record_pack WHERE last<=?1 AND ?2",
		"DELETE FROM event WHERE seq IN (SELECT seq FROM event INDEXED BY event_once WHERE id>0"
		" AND id<=?1) AND ?2" };
	uint64_t bound = before <= 0 ? 0 : (uint64_t)before * ID_SLOTS;
	int64_t end;
	int n = 0, r;

	if (slice_end(d, bound, &end, err) == -1)
		return -1;
	for (size_t i = 0; end && i < sizeof(by_id) / sizeof(by_id[0]); i++)
		if ((r = run2(d, by_id[i], end, 1, err)) == -1)
			return -1;
		else
			n += r;
	/* Events without a message; and what was decided about messages long ago. */
	if (end == 0 && ((r = run2(d, "DELETE FROM event WHERE seq IN (SELECT seq FROM event INDEXED BY event_once"
	    " WHERE id>0 AND id<?1 LIMIT ?2)", (int64_t)bound, SLICE, err)) == -1 ||
	    (n += r, r = run2(d, "DELETE FROM event WHERE seq IN (SELECT seq FROM event INDEXED BY event_once"
	    " WHERE id=0 AND time<?1 LIMIT ?2)", before, SLICE, err)) == -1 ||
	    (n += r, r = run2(d, "DELETE FROM kept WHERE kid IN (SELECT kid FROM kept INDEXED BY kept_decided"
	    " WHERE state IN (4, 5, 6) AND decided<?1 LIMIT ?2)", before, SLICE, err)) == -1))
		return -1;
	if (end == 0)
		n += r;
	return n;
}

/* Closed ones; an open one waits for its reviewer. */
static int
incidents_expire(struct db *d, int64_t before, struct err *err)
{
#define OLD "(SELECT iid FROM incident INDEXED BY incident_decided WHERE state=2 AND decided<?1 ORDER BY decided LIMIT ?2)"
	return run2(d, "DELETE FROM incident_rule WHERE iid IN " OLD, before, SLICE, err) == -1 ? -1 :
	    run2(d, "DELETE FROM incident WHERE iid IN " OLD, before, SLICE, err);
#undef OLD
}

/* ---- what has a term of its own ---- */

/* Links of digests are good for 14 days, and say what was done with them for as long again; who could not be
 * told for a month is not told of that time any more. */
static int
leftovers(struct db *d, int64_t now, struct err *err)
{
	static const struct {
		const char *sql;
		int64_t keep;
	} all[] = {
		{ "DELETE FROM digest_used WHERE nonce IN (SELECT nonce FROM digest_used WHERE expires<?1 LIMIT ?2)",
		    14 * DAY_US },
		{ "DELETE FROM digest_todo WHERE address IN (SELECT address FROM digest_todo WHERE time<?1 LIMIT ?2)",
		    30 * DAY_US },
	};
	int n = 0, r;

	if (db_begin(d, false, err) == -1)
		return -1;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if ((r = run2(d, all[i].sql, now - all[i].keep, SLICE, err)) == -1) {
			db_rollback(d);
			return -1;
		}
		n += r == SLICE;
	}
	return db_commit(d, err) == -1 ? -1 : n;
}

/* ---- kept messages ---- */

static int
kept_expire(struct store *s, enum outcome kind, int64_t before, struct err *err)
{
	sqlite3_stmt *st = db_stmt(s->db, "SELECT kid FROM kept WHERE state=1 AND kind=? AND time<? ORDER BY kid"
	    " LIMIT ?", err);
	int64_t kids[SLICE_KEPT];
	size_t n = 0;
	int r;

	if (st == NULL)
		return -1;
	if (share_on(s) && !share_there(s))
		return 0;	/* it waits for the base, as every decision */
	db_text(st, 1, span_str(outcome_name(kind)));
	db_int(st, 2, before);
	db_int(st, 3, SLICE_KEPT);
	while ((r = db_step(s->db, st, err)) == 1)
		kids[n++] = sqlite3_column_int64(st, 0);
	if (r == 0 && n > 0)
		act_start(s, ACT_DELETE, kids, n, SPAN_LIT("retention"), (struct span){ 0 }, NULL);
	return r == -1 ? -1 : (int)n;
}

/* ---- rounds ---- */

/* Rows that went, in a transaction of its own. */
static int
slice(struct store *s, enum retention kind, int64_t before, struct err *err)
{
	struct db *d = s->db;
	int n = -1;

	if (kind == RETENTION_QUARANTINE || kind == RETENTION_HOLDS)
		return kept_expire(s, kind == RETENTION_HOLDS ? OUTCOME_HOLD : OUTCOME_QUARANTINE, before, err);
	if (db_begin(d, false, err) == -1)
		return -1;
	switch (kind) {
	case RETENTION_JOURNAL:
		n = journal_expire(d, before, err);
		break;
	case RETENTION_EVIDENCE:
		n = before <= 0 ? 0 : records_expire(d, (uint64_t)before * ID_SLOTS, SLICE, err);
		break;
	case RETENTION_INCIDENTS:
		n = incidents_expire(d, before, err);
		break;
	case RETENTION_AUDIT:
		n = audit_expire(d, before, SLICE, clock_real(), err);
		break;
	default:
		n = hours_expire(d, before, SLICE, err);
		break;
	}
	if (n == -1) {
		db_rollback(d);
		return -1;
	}
	return db_commit(d, err) == -1 ? -1 : n;
}

void
store_retain(struct store *s)
{
	bool more = false;
	struct err err;

	if (clock_mono() < s->retain_at || s->batch.failing || s->rt->retiring)
		return;
	store_settle(s);
	for (int i = 0; i < RETENTION_COUNT; i++) {
		int64_t keep = s->rt->conf->retention[i], before = clock_real() - keep;
		int n = keep ? slice(s, (enum retention)i, before, &err) : 0;

		if (n > 0 || (n == 0 && keep && i == RETENTION_JOURNAL && before > 0 &&
		    search_expire(s->db, (uint64_t)before * ID_SLOTS, &err) == 1))
			more = true;
		if (n == -1)
			log_warn("what is older than `retention: %s` is not deleted for now: %s",
			    retention_name((enum retention)i), err.text);
	}
	switch (leftovers(s->db, clock_real(), &err)) {
	case -1:
		log_warn("old links are not forgotten for now: %s", err.text);
		break;
	case 0:
		break;
	default:
		more = true;
	}
	db_give_back(s->db, FREE_PAGES);
	s->retain_at = clock_mono() + (more ? 0 : ROUND_US);
}

/* ---- shown ---- */

static void
put_oldest(struct db *d, struct json *j, enum retention kind)
{
	static const char *const sql[RETENTION_COUNT] = {
		[RETENTION_JOURNAL] = "SELECT time FROM message ORDER BY id LIMIT 1",
		[RETENTION_EVIDENCE] = "SELECT coalesce(min(id), 0)/3844 FROM (SELECT min(id) AS id FROM record UNION ALL"
		    " SELECT first FROM (SELECT first FROM record_pack ORDER BY last LIMIT 1))",
		[RETENTION_HOLDS] = "SELECT min(time) FROM kept WHERE state=1 AND kind='hold'",
		[RETENTION_QUARANTINE] = "SELECT min(time) FROM kept WHERE state=1 AND kind='quarantine'",
		[RETENTION_AUDIT] = "SELECT time FROM audit ORDER BY seq LIMIT 1",
		[RETENTION_STATISTICS] = "SELECT min(hour)*3600000000 FROM hour_count",
		[RETENTION_INCIDENTS] = "SELECT min(decided) FROM incident WHERE state=2" };
	sqlite3_stmt *st = db_stmt(d, sql[kind], NULL);
	int64_t oldest = 0;

	if (st && db_step(d, st, NULL) == 1) {
		oldest = sqlite3_column_int64(st, 0);
		sqlite3_reset(st);
	}
	json_key(j, "oldest");
	if (oldest)
		json_int(j, oldest);
	else
		json_null(j);
}

void
do_store_status(struct asked *q, int fd)
{
	const struct config *c = q->s->rt->conf;
	struct stat st = { 0 };
	int64_t free;
	struct json j;

	if (!principal_is(&q->who, PRINCIPAL_BIT(OPERATOR) | PRINCIPAL_BIT(AUDITOR))) {
		asked_refuse(q, "store.status");
		return;
	}
	store_flush(q->s);
	if (c->store_path)
		stat(c->store_path, &st);
	free = db_free_bytes(q->s->db);
	j = open_line(q->reply);
	json_kint(&j, "bytes", st.st_size);
	json_kint(&j, "free", free);
	json_kbool(&j, "indexing", !q->s->indexed);
	json_kbool(&j, "sealing", q->s->keys && !q->s->moving.done);
	share_status(q->s, &j);
	json_key(&j, "kinds");
	json_array(&j);
	for (int i = 0; i < RETENTION_COUNT; i++) {
		json_object(&j);
		json_kcstr(&j, "kind", retention_name((enum retention)i));
		json_kint(&j, "keep", c->retention[i] / US_PER_SEC);
		put_oldest(q->s->db, &j, (enum retention)i);
		json_end_object(&j);
	}
	json_end_array(&j);
	close_line(q->reply, &j);
}
