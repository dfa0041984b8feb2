/* hours.h -- how many of what in each hour: written with the events, read in no time. */
#ifndef STORE_HOURS_H
#define STORE_HOURS_H

#include "ipc/messages.h"
#include "json.h"
#include "store/db.h"

#define HOURS_AT_ONCE 64	/* of one batch: after a long silence of the store */

struct hour_counts {		/* starts with zeros */
	struct hour_kinds {
		int64_t hour;
		uint32_t kinds[EVENT_COUNT];
	} v[HOURS_AT_ONCE];
	size_t n;
};

/* An event that is new to the journal. What does not fit is counted with the last hour there is room for. */
void hours_note(struct hour_counts *h, const struct msg_event *ev);
/* Within the transaction of the batch. */
int hours_write(struct db *d, const struct hour_counts *h, struct err *err);
/* An array, oldest first: {"t":unix seconds,"received":n,"sent":n,…}, an object for each of the last
 * `hours`; kinds that did not happen are missing. */
int hours_json(struct db *d, int64_t now, unsigned hours, struct json *j, struct err *err);
/* Hours before it, at most max rows; rows deleted, or -1. */
int hours_expire(struct db *d, int64_t before, size_t max, struct err *err);

#endif
