/* audit.h -- who changed what: a chain of rows that cannot be rewritten unseen.
 *
 * Each row's hash covers the hash of the row before it and everything the row says, under a
 * key that lies outside the database (db_audit_key). Who has the database alone can change
 * or take out nothing without `postern audit verify` naming the row. Cutting off the latest rows leaves a
 * chain that is sound; it shows in what was noted elsewhere: each row's hash is in the log when
 * it is written, and the head's once an hour.
 */
#ifndef STORE_AUDIT_H
#define STORE_AUDIT_H

#include "ipc/messages.h"
#include "json.h"
#include "store/db.h"

#define AUDIT_HASH 32
#define AUDIT_TEXT_MAX 1000	/* of each text; what is longer is cut */
#define AUDIT_WHAT_REFUSED "refused"

/* One row, in the caller's transaction if there is one. Texts may be empty, except what. */
int audit_put(struct db *d, struct span who, const char *what, struct span subject,
    struct span detail, int64_t now, struct err *err);
/* EVENT_AUDIT: what another role did for a person. */
int audit_event(struct db *d, const struct msg_event *ev, struct err *err);

struct audit_head {
	int64_t seq;		/* 0: nothing was ever written */
	unsigned char hash[AUDIT_HASH];
};
int audit_head(struct db *d, struct audit_head *h, struct err *err);
void audit_hex(const unsigned char hash[AUDIT_HASH], char out[2 * AUDIT_HASH + 1]);
bool audit_unhex(struct span text, unsigned char hash[AUDIT_HASH]);

/* Rows, newest first, that q asks for (audit_query.h; EINVAL: it is wrong); before: smaller seq (0: all). JSON lines.
 * *next: the cursor of the next page; 0 at the end. */
int audit_list(struct db *d, struct span q, int64_t before, size_t limit, struct buf *out,
    size_t *found, int64_t *next, struct err *err);

enum audit_fault { AUDIT_SOUND, AUDIT_CHANGED, AUDIT_MISSING, AUDIT_CUT, AUDIT_WEAK };
struct audit_walk {		/* start with zeros; audit_verify goes on where it stopped */
	int64_t seq;			/* the last row looked at */
	unsigned char hash[AUDIT_HASH];	/* that it has */
	bool begun, keyed;		/* a row with a key was seen: all behind it have one */
	uint64_t rows, unkeyed, foreign;	/* foreign: their key is not here, taken as they are */
	enum audit_fault fault;
	int64_t broken;			/* the first row that is wrong */
	bool end;
};
/* The next `max` rows. -1 only when the database cannot be read: faults are in *w. */
int audit_verify(struct db *d, struct audit_walk *w, size_t max, struct err *err);
const char *audit_fault_text(enum audit_fault f);

/* Forgets rows older than `before`, at most max: the chain then begins with the first one left,
 * and what was there is written down. Rows deleted, or -1. In the caller's transaction. */
int audit_expire(struct db *d, int64_t before, size_t max, int64_t now, struct err *err);

#endif
