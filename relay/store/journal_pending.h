/* journal_pending.h -- what is known of recipients, until the batch ends; journal.c's own.
 *
 * A recipient is mostly accepted and delivered within milliseconds: what one batch says of him is put
 * together here and written as one row. The rules are those of the rows: known already is newer than `queued`,
 * and a result is replaced only by something later.
 */
#ifndef STORE_JOURNAL_PENDING_H
#define STORE_JOURNAL_PENDING_H

#include "ipc/messages.h"
#include "store/db.h"
#include "table.h"

#define PENDING_OF_ONE 16	/* recipients of a message; further ones are written at once */

struct pending_rcpt {
	uint64_t id;
	struct span address;	/* all spans are the events' */
	const char *status;
	struct span outcome, dsn, relay, reply, tls;
	int64_t time;
	uint32_t attempts;
	bool result;		/* more than that it was accepted */
	bool written;
	size_t next;		/* of the same message: its index + 1; 0 */
};

struct pending {		/* starts with pending_init */
	struct idtable *of;	/* the first of a message: its index + 1 */
	struct pending_rcpt *v;
	size_t n, room;
};

void pending_init(struct pending *p);
void pending_release(struct pending *p);
/* Within the caller's transaction: a fresh recipient; what the event says of its recipient, or of all. */
int pending_new(struct pending *p, struct db *d, const struct msg_event *ev, struct span address, struct err *err);
int pending_result(struct pending *p, struct db *d, const struct msg_event *ev, struct err *err);
/* All that waits. A row that can never be written is left out, and logged. */
int pending_write(struct pending *p, struct db *d, struct err *err);

/* "" where there is none. */
struct span address_domain(struct span address);

#endif
