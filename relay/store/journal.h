/* journal.h -- what happened to every message: events in, answers out. */
#ifndef STORE_JOURNAL_H
#define STORE_JOURNAL_H

#include "ipc/messages.h"
#include "ipc/principal.h"
#include "json.h"
#include "store/db.h"

#define TRACE_LIMIT_MAX 1000
#define TRACE_BUDGET_US (1 * INT64_C(1000000))	/* of one search, then it says "partial" */

/* Events that are written together, within the caller's transaction. Borrowed until journal_write: all that the
 * events have. alone: each verdict record in a row of its own (records.h). */
struct journal_batch;
struct journal_batch *journal_begin(struct db *d, bool alone);
/* 1 new (*seq: its number in the journal), 0 known already, -1. EINVAL: this one can never be written,
 * the others can. */
int journal_add(struct journal_batch *b, const struct msg_event *ev, int64_t *seq, struct err *err);
int journal_write(struct journal_batch *b, struct err *err);
void journal_free(struct journal_batch **b);

/* The members of an event's JSON object; with_message: also its id, sender and client. */
void journal_event_json(struct json *j, const struct msg_event *ev, int64_t seq);

struct trace_result {
	size_t found;		/* lines written */
	bool more;		/* there are older ones */
	bool partial;		/* the search was cut off by its budget */
	bool unindexed;		/* older ones are still being indexed */
	uint64_t last;		/* id of the last line: the cursor of the next page */
};
/* q: see search_query.h; p: what it may see (NULL: everything); below: ids older than it (0: any). Newest
 * first, at most limit; one JSON object with v, one line each. */
int journal_trace(struct db *d, struct span q, const struct principal *p, uint64_t below,
    uint32_t limit, struct buf *out, struct trace_result *res, struct err *err);

/* The verdict record of a message, or of the message it was made from: 1, 0 none, -1. */
int journal_record(struct db *d, uint64_t id, struct arena *a, struct span *json, struct err *err);

/* Is this message known to have been accepted? 1, 0, -1 */
int journal_knows(struct db *d, uint64_t id, struct err *err);

/* Member "recipients": what happened how often since the hour of `since`, of hour_count. */
int journal_stats(struct db *d, int64_t since, struct json *j, struct err *err);

#endif
