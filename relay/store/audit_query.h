/* audit_query.h -- what is searched for in the audit log, and what its acts are called: pure.
 *
 *	who:NAME	who did it; `uid 0` as who:0, or in quotes: who:"uid 0"
 *	what:ACT	one of the names of AUDIT_ACTS; of `refused` rows: what was refused
 *	since:1d	a duration or a day (2026-11-20, UTC); before: likewise
 *	a word		stands somewhere in the row, or is the name of its act
 *
 * Rows have kept the names of the time they were written in: held.release and quarantine.release are one act,
 * kept.release, and so is what was refused under that name.
 */
#ifndef STORE_AUDIT_QUERY_H
#define STORE_AUDIT_QUERY_H

#include "postern/arena.h"
#include "postern/err.h"
#include "postern/span.h"

/* X("as rows have it", "its name") for those that differ; all others are their own. */
#define AUDIT_ACTS(X) \
	X("held.release", "kept.release") X("quarantine.release", "kept.release") \
	X("held.release-anyway", "kept.release-anyway") \
	X("quarantine.release-anyway", "kept.release-anyway") \
	X("held.reject", "kept.reject") X("quarantine.reject", "kept.reject") \
	X("held.delete", "kept.delete") X("quarantine.delete", "kept.delete") \
	X("held.expire", "kept.expire") X("quarantine.expire", "kept.expire") \
	X("held.approve", "kept.approve") X("held.deny", "kept.deny") \
	X("quarantine.request", "kept.request") X("request", "kept.request") \
	X("confirm", "kept.confirm") X("reveal", "incidents.reveal") X("close", "incidents.close") \
	X("policy", "policy.load") X("password", "session.password") \
	X("sign-in", "session.sign-in") X("sign-in-failed", "session.sign-in-failed") \
	X("sign-in-link", "session.link") X("sign-out", "session.sign-out") \
	X("sign-out-everywhere", "session.sign-out-everywhere")

/* The one name of an act. */
struct span audit_act(struct span what);

#define AUDIT_TERMS_MAX 16
struct audit_query {
	struct audit_term {
		enum { AUDIT_WORD, AUDIT_WHO, AUDIT_ACT } kind;
		struct span text;
	} terms[AUDIT_TERMS_MAX];
	size_t n;
	int64_t since, before;		/* Unix microseconds; 0: any */
};
/* -1: err says what is wrong, with what was meant. Texts borrow from q. */
int audit_query_parse(struct span q, int64_t now, struct audit_query *out, struct err *err);
struct audit_shown {		/* of a row */
	struct span who, what, subject, detail;
};
bool audit_query_has(const struct audit_query *q, const struct audit_shown *r);

#endif
