/* mailbox.h -- the mailboxes of an address field, with the names people read before them. */
#ifndef DETECT_MAILBOX_H
#define DETECT_MAILBOX_H

#include "postern/arena.h"
#include "postern/span.h"

#define MAILBOXES_MAX 100	/* of one field; the rest is not looked at */

struct mailbox {
	struct span name;	/* what is shown: quotes undone, comments where there is nothing else; "" none */
	struct span address;	/* "" unreadable; the domain may be in any form */
};

/* The next of value, an address field's decoded text; *at begins at 0. false: no more. */
bool mailbox_next(struct arena *a, struct span value, size_t *at, struct mailbox *out);

#endif
