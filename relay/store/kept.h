/* kept.h -- messages that wait for a decision: holds and quarantine.
 *
 * A row goes WAITING -> RELEASING -> RELEASED, or WAITING -> REJECTING ->
 * REJECTED, or WAITING -> DELETED. The -ING states stand while the queue has
 * been asked to take the message under new_id and has not answered: after a
 * crash the same id is offered again. The content goes with the decision.
 *
 * Of a node that shares its rows each decision is a claim first (claim.h). A guest is a row of another node:
 * its state in the database is KEPT_GUEST while it waits, so that nothing that lists, counts or expires
 * what waits sees it; who loads it finds it WAITING.
 */
#ifndef STORE_KEPT_H
#define STORE_KEPT_H

#include "ipc/frame.h"
#include "ipc/messages.h"
#include "store/db.h"

#define KEPT_CONTENT_MAX ((size_t)256 << 20)

/* Numbers stand in the database. X(NAME, number, "name") */
#define KEPT_STATES(X) \
	X(WAITING, 1, "waiting") X(RELEASING, 2, "releasing") X(REJECTING, 3, "rejecting") \
	X(RELEASED, 4, "released") X(REJECTED, 5, "rejected") X(DELETED, 6, "deleted")
enum kept_state {
#define X(name, number, text) KEPT_##name = number,
	KEPT_STATES(X)
#undef X
};
#define KEPT_GUEST 7
const char *kept_state_name(enum kept_state s);
#define KEPT_NAME 24
struct kept;
const char *kept_name(const struct kept *k, char text[KEPT_NAME]);	/* "17"; of a guest "g17" */
/* The same by the row's number. */
const char *kept_name_of(struct db *d, int64_t kid, char text[KEPT_NAME]);

struct kept {
	int64_t kid;
	enum outcome kind;
	enum kept_state state;
	struct span queue;
	uint64_t id, parent, new_id;
	uint64_t size;
	enum outcome on_expire;
	int voted;		/* enum approval_state; 0: voices have not decided it */
	struct span by;
	struct span class;	/* "virus", "spam", "policy", …; "" kept before it was written */
	struct span virus;	/* its name, found when it came or when it was to be released */
	struct envelope env;
	bool guest;		/* another node's, fetched to be looked at or decided here (base_kept.c) */
	int64_t home, home_kid;	/* of a guest: share_self() there, and its row there */
	int64_t home_gid;	/* … and its number in the shared base */
	struct span home_node;
	struct span record;	/* JSON; "" none */
	struct span content;	/* kept_load with content only */
};

/* Which ones: every filter that is set must hold. */
struct kept_filter {
	enum outcome kind;
	uint64_t id;		/* 0: any */
	struct span queue;	/* "": any */
	struct span from, to;	/* address, or domain without @; "": any */
	int64_t before, after;	/* kept before, at or after; 0: any */
	bool all;		/* also those decided already */
};
/* "all", an id, or "queue=Q,from=A,to=A,older=1d,newer=1h" (any of them; texts end at a comma). */
int kept_filter_parse(struct span text, int64_t now, struct arena *a, struct kept_filter *f,
    struct err *err);

/* Within the caller's transaction. Recipients kept already for the same message, kind and
 * queue are left out (a KEEP that is sent again); 1 kept, 0 nothing new, -1. */
int kept_put(struct db *d, const struct msg_keep *m, struct span content, int64_t now,
    struct arena *a, struct err *err);
int64_t kept_put_row(const struct db *d);	/* the row of the kept_put before that said 1 */
/* Row numbers, oldest first, at most max; *n of them in the arena. */
int kept_select(struct db *d, const struct kept_filter *f, size_t max, struct arena *a,
    int64_t **kids, size_t *n, struct err *err);
int kept_select_newest(struct db *d, const struct kept_filter *f, size_t max, struct arena *a,
    int64_t **kids, size_t *n, struct err *err);	/* newest first */
int kept_count(struct db *d, const struct kept_filter *f, uint64_t *n, struct err *err);
/* 1 there, 0 no such row, -1. */
int kept_load(struct db *d, int64_t kid, bool with_content, struct arena *a, struct kept *k,
    struct err *err);
/* WAITING -> RELEASING/REJECTING/DELETED: 1 done, 0 somebody was first, -1. */
int kept_decide(struct db *d, int64_t kid, enum kept_state to, uint64_t new_id, struct span by,
    int64_t now, struct err *err);
/* The queue took it: RELEASED or REJECTED, content gone. */
int kept_done(struct db *d, int64_t kid, struct err *err);
/* The queue did not take it: WAITING again. */
int kept_undo(struct db *d, int64_t kid, struct err *err);
/* Rows whose time is up, and rows in an -ING state. */
int kept_due(struct db *d, int64_t now, size_t max, struct arena *a, int64_t **kids, size_t *n,
    struct err *err);
int kept_unfinished(struct db *d, size_t max, struct arena *a, int64_t **kids, size_t *n,
    struct err *err);
/* Some of its recipients into a row of their own, which *kid then is: within a transaction. mine: one
 * for each recipient; content must be loaded. All of them: nothing is done. */
int kept_split(struct db *d, const struct kept *k, const bool *mine, struct arena *a, int64_t *kid,
    struct err *err);
/* A virus is in it, which was not known when it came. */
int kept_virus(struct db *d, int64_t kid, struct span name, struct err *err);
/* It stays until somebody decides. */
int kept_stay(struct db *d, int64_t kid, struct err *err);

/* kept_page.c: one JSON line for each, newest first. */
int kept_list(struct db *d, const struct kept_filter *f, size_t limit, struct buf *out,
    size_t *found, struct err *err);
#endif
