/* tlsrpt_db.c -- TLS with other servers, day by day: the tables; see tlsrpt_db.h. */
#include <stdio.h>

#include "addr.h"
#include "postern/arena.h"
#include "store/tlsrpt_db.h"

const char *
report_state_name(enum report_state s)
{
	static const char *const names[REPORT_STATES] = { [REPORT_NONE] = "none",
		[REPORT_WAITS] = "waits", [REPORT_LISTED] = "listed", [REPORT_SENT] = "sent",
		[REPORT_FAILED] = "failed", [REPORT_UNWANTED] = "unwanted" };

	ASSERT(s < REPORT_STATES);
	return names[s];
}

/* ---- what was seen ---- */

static void
bind_policy(sqlite3_stmt *st, const struct msg_tls_seen *m)
{
	db_int(st, 1, m->day);
	db_text_always(st, 2, m->domain);
	db_int(st, 3, m->kind);
	db_text_always(st, 4, m->policy);
	db_text_always(st, 5, m->mx);
}

static int
policy_row(struct db *d, const struct msg_tls_seen *m, int64_t *pid, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "INSERT INTO tls_policy(day, domain, kind, policy, mx, ok) "
	    "VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET ok=ok+excluded.ok", err);
	int r;

	if (st == NULL)
		return -1;
	bind_policy(st, m);
	db_int(st, 6, m->result == TLS_RESULT_SUCCESS ? m->count : 0);
	if (db_run(d, st, err) == -1)
		return -1;
	if (m->result == TLS_RESULT_SUCCESS)
		return 0;
	st = db_stmt(d, "SELECT pid FROM tls_policy WHERE day=?1 AND domain=?2 AND kind=?3 AND policy=?4 "
	    "AND mx=?5", err);
	if (st == NULL)
		return -1;
	bind_policy(st, m);
	if ((r = db_step(d, st, err)) == 1)
		*pid = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return r == 1 ? 0 : -1;
}

static int
failures_of(struct db *d, int64_t pid, int64_t *n, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT count(*) FROM tls_failure WHERE pid=?1", err);
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, pid);
	if ((r = db_step(d, st, err)) == 1)
		*n = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return r == 1 ? 0 : -1;
}

int
tls_db_add(struct db *d, const struct msg_tls_seen *m, struct err *err)
{
	char local[IP_TEXT_MAX] = "", remote[IP_TEXT_MAX] = "";
	int64_t pid, n;
	sqlite3_stmt *st;
	bool bare;

	if (policy_row(d, m, &pid, err) == -1)
		return -1;
	if (m->result == TLS_RESULT_SUCCESS)
		return 0;
	if (failures_of(d, pid, &n, err) == -1)
		return -1;
	bare = n >= TLS_FAILURES_MAX;
	if (!bare && m->local.family)
		ip_format(m->local, local);
	if (!bare && m->remote.family)
		ip_format(m->remote, remote);
	st = db_stmt(d, "INSERT INTO tls_failure(pid, result, local, remote, host, helo, reason, count) "
	    "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO UPDATE SET "
	    "count=count+excluded.count", err);
	if (st == NULL)
		return -1;
	db_int(st, 1, pid);
	db_text_always(st, 2, span_str(tls_result_name(m->result)));
	db_text_always(st, 3, span_str(local));
	db_text_always(st, 4, span_str(remote));
	db_text_always(st, 5, bare ? SPAN_LIT("") : m->host);
	db_text_always(st, 6, bare ? SPAN_LIT("") : m->helo);
	db_text_always(st, 7, bare ? SPAN_LIT("") : m->reason);
	db_int(st, 8, m->count);
	return db_run(d, st, err);
}

/* ---- reading ---- */

static int
read_failures(struct db *d, int64_t pid, struct arena *a, struct tls_policy_row *p, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT result, local, remote, host, helo, reason, count FROM "
	    "tls_failure WHERE pid=?1", err);
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, pid);
	while ((r = db_step(d, st, err)) == 1) {
		struct tls_failure_row *f;

		p->failures = arena_grow(a, p->failures, p->nfailures * sizeof(*f),
		    (p->nfailures + 1) * sizeof(*f));
		f = &p->failures[p->nfailures++];
		f->result = arena_span(a, db_column(st, 0));
		f->local = arena_span(a, db_column(st, 1));
		f->remote = arena_span(a, db_column(st, 2));
		f->host = arena_span(a, db_column(st, 3));
		f->helo = arena_span(a, db_column(st, 4));
		f->reason = arena_span(a, db_column(st, 5));
		f->count = sqlite3_column_int64(st, 6);
		p->failed += f->count;
	}
	return r;
}

int
tls_db_day(struct db *d, int64_t day, struct span domain, size_t max, struct arena *a,
    struct tls_policy_row **rows, size_t *n, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT pid, domain, kind, policy, mx, ok FROM tls_policy WHERE "
	    "day=?1 AND (?2='' OR domain=?2) ORDER BY domain, kind, policy, mx LIMIT ?3", err);
	struct tls_policy_row *list = NULL;
	int64_t *pids = NULL;
	size_t count = 0;
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, day);
	db_text_always(st, 2, domain);
	db_int(st, 3, (int64_t)max);
	while ((r = db_step(d, st, err)) == 1) {
		int64_t kind = sqlite3_column_int64(st, 2);

		list = arena_grow(a, list, count * sizeof(*list), (count + 1) * sizeof(*list));
		pids = arena_grow(a, pids, count * sizeof(*pids), (count + 1) * sizeof(*pids));
		pids[count] = sqlite3_column_int64(st, 0);
		list[count++] = (struct tls_policy_row){ .domain = arena_span(a, db_column(st, 1)),
			.kind = kind >= 0 && kind < TLS_KINDS ? (enum tls_kind)kind : TLS_KIND_NONE,
			.policy = arena_span(a, db_column(st, 3)), .mx = arena_span(a, db_column(st, 4)),
			.ok = sqlite3_column_int64(st, 5) };
	}
	for (size_t i = 0; r == 0 && i < count; i++)
		r = read_failures(d, pids[i], a, &list[i], err);
	if (r == -1)
		return -1;
	*rows = list;
	*n = count;
	return 0;
}

int
tls_db_domains(struct db *d, int64_t day, size_t max, struct arena *a, struct span **domains,
    size_t *n, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT DISTINCT domain FROM tls_policy WHERE day=?1 ORDER BY "
	    "domain LIMIT ?2", err);
	struct span *list = NULL;
	size_t count = 0;
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, day);
	db_int(st, 2, (int64_t)max);
	while ((r = db_step(d, st, err)) == 1) {
		list = arena_grow(a, list, count * sizeof(*list), (count + 1) * sizeof(*list));
		list[count++] = arena_span(a, db_column(st, 0));
	}
	if (r == -1)
		return -1;
	*domains = list;
	*n = count;
	return 0;
}

/* ---- reports ---- */

int
tls_db_schedule(struct db *d, int64_t today, int64_t after, int64_t jitter, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "INSERT OR IGNORE INTO tls_report(day, domain, uri, state, first, "
	    "next, tries) SELECT DISTINCT day, domain, '', 1, 0, (day+1)*86400000000+?2+"
	    "CASE WHEN ?3>0 THEN (random()&0x7fffffffffffffff)%?3 ELSE 0 END, 0 FROM tls_policy "
	    "WHERE day<?1", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, today);
	db_int(st, 2, after);
	db_int(st, 3, jitter);
	return db_run(d, st, err);
}

static int
read_reports(struct db *d, sqlite3_stmt *st, struct arena *a, struct tls_report_row **rows,
    size_t *n, struct err *err)
{
	struct tls_report_row *list = NULL;
	size_t count = 0;
	int r;

	while ((r = db_step(d, st, err)) == 1) {
		int64_t state = sqlite3_column_int64(st, 3);

		list = arena_grow(a, list, count * sizeof(*list), (count + 1) * sizeof(*list));
		list[count++] = (struct tls_report_row){ .day = sqlite3_column_int64(st, 0),
			.domain = arena_span(a, db_column(st, 1)), .uri = arena_span(a, db_column(st, 2)),
			.state = state > 0 && state < REPORT_STATES ? (enum report_state)state : REPORT_NONE,
			.first = sqlite3_column_int64(st, 4), .next = sqlite3_column_int64(st, 5),
			.tries = sqlite3_column_int64(st, 6), .detail = arena_span(a, db_column(st, 7)) };
	}
	if (r == -1)
		return -1;
	*rows = list;
	*n = count;
	return 0;
}

int
tls_db_due(struct db *d, int64_t now, size_t max, struct arena *a, struct tls_report_row **rows,
    size_t *n, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT day, domain, uri, state, first, next, tries, detail FROM "
	    "tls_report WHERE state=1 AND next<=?1 ORDER BY next LIMIT ?2", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, now);
	db_int(st, 2, (int64_t)max);
	return read_reports(d, st, a, rows, n, err);
}

int
tls_db_reports(struct db *d, int64_t day, struct span domain, size_t max, struct arena *a,
    struct tls_report_row **rows, size_t *n, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT day, domain, uri, state, first, next, tries, detail FROM "
	    "tls_report WHERE day=?1 AND (?2='' OR domain=?2) ORDER BY domain, uri LIMIT ?3", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, day);
	db_text_always(st, 2, domain);
	db_int(st, 3, (int64_t)max);
	return read_reports(d, st, a, rows, n, err);
}

int
tls_db_put(struct db *d, const struct tls_report_row *r, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "INSERT OR REPLACE INTO tls_report(day, domain, uri, state, first, "
	    "next, tries, detail) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, r->day);
	db_text_always(st, 2, r->domain);
	db_text_always(st, 3, r->uri);
	db_int(st, 4, r->state);
	db_int(st, 5, r->first);
	db_int(st, 6, r->next);
	db_int(st, 7, r->tries);
	db_text(st, 8, r->detail);
	return db_run(d, st, err);
}

static int
prune_one(struct db *d, sqlite3_stmt *st, int64_t day, struct err *err)
{
	if (st == NULL)
		return -1;
	db_int(st, 1, day);
	return db_run(d, st, err);
}

int
tls_db_prune(struct db *d, int64_t day, struct err *err)
{
	if (prune_one(d, db_stmt(d, "DELETE FROM tls_failure WHERE pid IN (SELECT pid FROM tls_policy "
	    "WHERE day<?1)", err), day, err) == -1 ||
	    prune_one(d, db_stmt(d, "DELETE FROM tls_policy WHERE day<?1", err), day, err) == -1)
		return -1;
	return prune_one(d, db_stmt(d, "DELETE FROM tls_report WHERE day<?1", err), day, err);
}
