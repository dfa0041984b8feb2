/* queue_select.h -- which messages an operator means.
 *
 * SELECTOR is `all`, an id, an address (its sender; `<>` is the null sender,
 * `@example.org` all of a domain), a site, or conditions joined by commas, all
 * of which must hold:
 *
 *	id=ID  from=ADDRESS|@DOMAIN|<>  to=ADDRESS|@DOMAIN  site=SITE
 *	reason=CLASS or a part of the last reply  older=2h  newer=7d  held
 *
 * site=, to= and reason= are about recipients that are still to be served, and
 * an act touches only those: `fail to=a@example.net` leaves the other
 * recipients alone. A hold is of a whole message.
 */
#ifndef QUEUE_SELECT_H
#define QUEUE_SELECT_H

#include "ipc/json_read.h"
#include "queue/queue.h"

struct selector {
	bool all, held;
	uint64_t id;
	bool by_sender, by_rcpt, by_site, by_reason;
	struct span sender, rcpt, site, reason;	/* borrowed from the request */
	int64_t before, after;	/* in the queue since before, or after; 0: whenever */
};

/* From "selector", or "id", "site", "sender". -1: says what is wrong, and what was meant. */
int selector_parse(const struct jval *req, struct selector *s, struct err *err);
/* As one text, for the journal. */
struct span selector_text(const struct jval *req);

/* What is read of a message when a condition needs it; zeroed: nothing yet. */
struct looked {
	struct arena *a;		/* reset by selector_message */
	bool read, failed;
	struct stored s;
	struct plan p;
};
/* Envelope and plan, read once. false: they cannot be. */
bool selector_look(struct queue *q, struct message *m, struct looked *k);
bool selector_message(struct queue *q, const struct selector *s, struct message *m,
    struct looked *k);
/* After selector_message() said yes. */
bool selector_leg(struct queue *q, const struct selector *s, struct message *m,
    const struct leg *l, struct looked *k);
bool selector_target(const struct selector *s, const struct target *t);

#endif
