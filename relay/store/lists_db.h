/* lists_db.h -- the lists of senders in the database: one table, entries in force and asked for.
 *
 * Whoever calls has decided that it may be (lists_control.c). Each change writes its row into the
 * audit log in the caller's transaction; what is gone from here is there.
 */
#ifndef STORE_LISTS_DB_H
#define STORE_LISTS_DB_H

#include "lists/entry.h"
#include "store/db.h"

enum list_state { LIST_IN_FORCE, LIST_ASKED_FOR, LIST_STATES };
const char *list_state_name(enum list_state s);		/* "active", "requested" */

struct list_row {
	struct entry e;
	struct span by;			/* who wrote it */
	int64_t time;
	enum list_state state;
};

/* 1: done, row->e.number is its number. 0: that owner's list has it; *had is the row. -1. */
int lists_add(struct db *d, struct list_row *row, struct arena *a, struct list_row *had, struct err *err);
int lists_get(struct db *d, uint64_t number, struct arena *a, struct list_row *row, struct err *err);	/* 1, 0, -1 */
int lists_remove(struct db *d, const struct list_row *row, struct span by, const char *what, int64_t now,
    struct err *err);
/* A request becomes an entry, with another end perhaps. */
int lists_approve(struct db *d, const struct list_row *row, int64_t expires, struct span by, int64_t now,
    struct err *err);

struct lists_filter {
	bool has_scope, has_side, has_state;
	enum list_scope scope;
	enum list_side side;
	enum list_state state;
	struct span owner;	/* "" any */
	struct span text;	/* stands in owner, what, reason or who */
	uint64_t after;		/* numbers above it */
	const struct span *owners;	/* only these … */
	size_t nowners;
	const struct span *domains;	/* … or of these domains; both empty: all */
	size_t ndomains;
};
/* At most limit, by number. *more: there are others. */
int lists_select(struct db *d, const struct lists_filter *f, size_t limit, struct arena *a,
    struct list_row **rows, size_t *n, bool *more, struct err *err);
/* Entries and requests of one owner. */
int lists_count(struct db *d, enum list_scope scope, struct span owner, uint64_t *n, struct err *err);
/* Each entry in force; row is borrowed until fn returns. */
int lists_each(struct db *d, int (*fn)(void *ctx, const struct entry *e, struct err *err), void *ctx,
    struct err *err);
/* When the next one runs out; 0: none does. */
int lists_next_end(struct db *d, int64_t *when, struct err *err);
/* Deletes at most max that ran out by now: how many, -1. In the caller's transaction. */
int lists_expire(struct db *d, int64_t now, size_t max, struct err *err);

#endif
