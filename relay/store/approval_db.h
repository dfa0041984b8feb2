/* approval_db.h -- approvals in the store's database.
 *
 * What a held message needs is read once from its verdict record, when it is
 * kept, and stands in the same transaction; so do the tokens and the mails to
 * those who are asked. A voice, the token it used and what it decides are one
 * transaction, too: a link is good once, whatever crashes.
 */
#ifndef STORE_APPROVAL_DB_H
#define STORE_APPROVAL_DB_H

#include "ipc/messages.h"
#include "store/approval.h"
#include "store/db.h"

struct approval_words {		/* for the mails */
	struct span hostname;
	struct span url;	/* links begin with it; empty: none are sent */
};

/* Within kept_put's transaction: nothing when the record asks for nobody. */
int approval_begin(struct db *d, int64_t kid, const struct msg_keep *m, int64_t now,
    const struct approval_words *w, struct arena *a, struct err *err);

struct approval {
	struct need *needs;
	size_t nneeds;
	struct vote *votes;
	size_t nvotes;
};
int approval_load(struct db *d, int64_t kid, struct arena *a, struct approval *out,
    struct err *err);

/* A voice. -1 with err->code 0: refused, err says why to people. In *state what it has led to. */
int approval_vote(struct db *d, int64_t kid, struct span sender, struct span address,
    bool approve, struct span via, struct span reason, const struct token *used, int64_t now,
    struct arena *a, enum approval_state *state, struct err *err);
/* Whose token it is, that it is not used yet: 1; 0 with err: why not. */
int approval_token(struct db *d, struct span text, int64_t now, struct arena *a, struct token *t,
    struct span *address, struct err *err);
/* Rows that were decided by voices and still wait. */
int approval_decided(struct db *d, enum approval_state which, size_t max, struct arena *a,
    int64_t **kids, size_t *n, struct err *err);
/* Who has spoken for it, "a@x, b@x". */
int approval_by(struct db *d, int64_t kid, bool approve, struct arena *a, struct span *by,
    struct span *reason, struct err *err);

/* approve.c: "approvals" and "votes" of a row; nothing where nobody is asked. */
struct json;
int approvals_json(struct db *d, int64_t kid, struct span sender, struct json *j, struct err *err);

/* ---- mail of our own ---- */
struct outgoing {
	int64_t oid;
	uint64_t about;
	struct span rcpt, subject, text, language, html;
	uint64_t mid;		/* under which id it was offered to the queue; 0: not yet */
};
int outbox_put(struct db *d, uint64_t about, int64_t kid, struct span rcpt, struct span subject,
    struct span text, struct span language, struct err *err);
/* Of the last one put: the same as HTML. */
int outbox_html(struct db *d, uint64_t about, struct span html, struct err *err);
/* It is about to be offered under this id: after a crash under the same. */
int outbox_offer(struct db *d, int64_t oid, uint64_t mid, struct err *err);
int outbox_count(struct db *d, size_t *n, struct err *err);
/* The ones behind `after`, oldest first. */
int outbox_next(struct db *d, int64_t after, struct arena *a, struct outgoing *o, struct err *err);
int outbox_done(struct db *d, int64_t oid, struct err *err);

#endif
