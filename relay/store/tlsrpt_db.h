/* tlsrpt_db.h -- TLS with other servers, day by day, and what became of the reports: the tables.
 *
 * The caller keeps the transactions. Days are UTC, counted since 1970; times Unix microseconds.
 */
#ifndef STORE_TLSRPT_DB_H
#define STORE_TLSRPT_DB_H

#include "ipc/messages_tls.h"
#include "store/db.h"

#define TLS_DAY_US (INT64_C(86400) * 1000000)
#define TLS_DAYS_KEPT 14
#define TLS_FAILURES_MAX 1000	/* that differ, of one policy on one day; then only their number */

/* Adds m->count sessions. */
int tls_db_add(struct db *d, const struct msg_tls_seen *m, struct err *err);

struct tls_failure_row {
	struct span result, local, remote, host, helo, reason;
	int64_t count;
};
struct tls_policy_row {
	struct span domain;
	enum tls_kind kind;
	struct span policy, mx;
	int64_t ok, failed;
	struct tls_failure_row *failures;
	size_t nfailures;
};
/* What is known of a day; domain "": of all. At most max policies. */
int tls_db_day(struct db *d, int64_t day, struct span domain, size_t max, struct arena *a,
    struct tls_policy_row **rows, size_t *n, struct err *err);
/* The domains of a day. */
int tls_db_domains(struct db *d, int64_t day, size_t max, struct arena *a, struct span **domains,
    size_t *n, struct err *err);

enum report_state { REPORT_NONE, REPORT_WAITS, REPORT_LISTED /* uri '': its rows stand beside */,
	REPORT_SENT, REPORT_FAILED, REPORT_UNWANTED, REPORT_STATES };
const char *report_state_name(enum report_state s);
struct tls_report_row {
	int64_t day;
	struct span domain, uri;
	enum report_state state;
	int64_t first, next, tries;
	struct span detail;
};
/* Every domain of the days before `today` that has no row yet gets one, due `after` plus up to
 * `jitter` behind the end of its day. */
int tls_db_schedule(struct db *d, int64_t today, int64_t after, int64_t jitter, struct err *err);
/* Those that wait and are due, at most max. */
int tls_db_due(struct db *d, int64_t now, size_t max, struct arena *a, struct tls_report_row **rows,
    size_t *n, struct err *err);
int tls_db_reports(struct db *d, int64_t day, struct span domain, size_t max, struct arena *a,
    struct tls_report_row **rows, size_t *n, struct err *err);
int tls_db_put(struct db *d, const struct tls_report_row *r, struct err *err);
/* Days before `day` are forgotten. */
int tls_db_prune(struct db *d, int64_t day, struct err *err);

#endif
