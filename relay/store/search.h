/* search.h -- the full-text index of the journal, and the hourly counts.
 *
 * FTS5 tables without content, one of messages and one of replies for each week: an insert only ever
 * appends to small ones, a search walks them newest first, and what is too old is dropped as a whole. A
 * row's number is the message id, so newest first costs no sorting. Whole values (addresses,
 * domains, clients, rules) stand in the column `keys` as one token each (search_key).
 *
 * A message's row is written once, when it is accepted or refused; its replies as they come. Written
 * again for the same id, words are added to those that are there.
 */
#ifndef STORE_SEARCH_H
#define STORE_SEARCH_H

#include "ipc/messages.h"
#include "ipc/principal.h"
#include "store/db.h"
#include "store/record_words.h"
#include "store/search_query.h"

/* ---- writing: within the transaction of the batch ---- */
struct search_batch;
struct search_batch *search_batch_new(void);
void search_batch_free(struct search_batch **b);
/* An event that is new to the journal; w: the words of its record. */
void search_note(struct search_batch *b, const struct msg_event *ev, const struct record_words *w);
int search_write(struct db *d, struct search_batch *b, struct err *err);

/* Messages older than the index: at most `rows` of them, in a transaction of its own. 1: there are more. */
int search_backfill(struct db *d, size_t rows, struct err *err);
/* Weeks that lie before `id` as a whole, a slice of them, in a transaction of its own. 1: there are more. */
int search_expire(struct db *d, uint64_t id, struct err *err);

/* ---- searching ---- */
struct search_found {
	uint64_t *ids;		/* newest first; room for limit + 1 */
	size_t n, limit;
	bool unindexed;		/* older messages are still being indexed */
};
bool search_unindexed(struct db *d);
/* All recipients too? */
int search_sees_whole(struct db *d, const struct principal *p, uint64_t id, struct err *err);
/* Does p see this message? 1, 0, -1; *sender: as the sender does, with all its recipients. */
int search_sees(struct db *d, const struct principal *p, uint64_t id, bool *sender, struct err *err);
/* Ids below `below` (0: any) that p may see parts of. The budget is the caller's (db_budget): -1
 * with db_interrupted(d) leaves what was found until then. */
int search_run(struct db *d, const struct search_query *q, const struct principal *p, uint64_t below,
    struct search_found *out, struct err *err);

/* trace.c: what journal_trace is made of. Ids into the arena, then a line for each; node "": not said. */
struct trace_result;
int trace_find(struct db *d, const struct search_query *q, const struct principal *p, uint64_t below, uint32_t limit,
    struct arena *a, struct search_found *found, struct trace_result *res, struct err *err);
int trace_line(struct db *d, uint64_t id, const struct principal *p, struct span node, struct buf *out,
    struct err *err);

#endif
