/* incident_db.h -- what rules about content held or refused, for those who review it.
 *
 * An incident is a message that a rule held, quarantined on its way out, or refused, and in which
 * detectors found something. It stays open until somebody says what it was. Nothing here is in
 * clear: findings stay in the verdict record, masked.
 */
#ifndef STORE_INCIDENT_DB_H
#define STORE_INCIDENT_DB_H

#include "buf.h"
#include "ipc/messages.h"
#include "store/db.h"

/* X(NAME, "name"): what an incident was */
#define RESOLUTIONS(X) \
	X(TRUE, "true") X(FALSE, "false") X(ACCEPTED, "accepted") X(DUPLICATE, "duplicate") X(OTHER, "other")

/* Within the transaction that keeps or journals it; nothing where the record tells of none. */
int incident_kept(struct db *d, int64_t kid, const struct msg_keep *m, int64_t now, struct arena *a,
    struct err *err);
int incident_refused(struct db *d, const struct msg_event *ev, struct arena *a, struct err *err);

struct incident {
	int64_t iid, kid;	/* kid 0: it was refused, nothing is kept */
	uint64_t id;
	int state;		/* 1 open, 2 closed */
};
int incident_load(struct db *d, int64_t iid, struct incident *i, struct err *err);	/* 1, 0, -1 */

struct incident_ask {
	int state;		/* 0: any */
	struct span rule;	/* "": any */
	struct span q;		/* in sender, recipients, subject; an id */
	int64_t before;		/* 0: from the newest */
	size_t limit;
};
/* Their numbers, newest first. */
int incident_list(struct db *d, const struct incident_ask *ask, struct arena *a, int64_t **iids, size_t *n,
    bool *more, struct err *err);
/* One line, with the first so many findings, masked. 1, 0 no such one, -1. */
int incident_item(struct db *d, int64_t iid, size_t findings, struct buf *out, struct err *err);
/* 1, 0 closed already, -1 */
int incident_close(struct db *d, int64_t iid, struct span resolution, struct span note, struct span by,
    int64_t now, struct err *err);
/* One line for each rule: open, and how it was resolved. */
int incident_rules(struct db *d, struct buf *out, struct err *err);

#endif
