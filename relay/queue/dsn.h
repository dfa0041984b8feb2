/* dsn.h -- delivery status notifications (RFC 3461, 3464): pure, from values to bytes.
 *
 * Who gets one is decided by dsn_wanted(); the null sender never does. What
 * strangers wrote (replies, addresses, headers) is made harmless before it
 * stands in a field: one line, printable, bounded.
 */
#ifndef QUEUE_DSN_H
#define QUEUE_DSN_H

#include "buf.h"
#include "postern/envelope.h"

enum dsn_kind { DSN_FAILED, DSN_DELAYED, DSN_EXPIRED, DSN_KINDS };

struct dsn_recipient {
	struct span address;	/* as the sender wrote it */
	struct span orcpt;	/* ORCPT as sent, xtext */
	struct span status;	/* "5.1.1"; else 5.0.0 or 4.0.0 stands there */
	struct span reply;	/* word for word, or our own reason */
	struct span relay;	/* "mx1.example.net[203.0.113.9]:25", "none", "" */
	bool remote;		/* the reply is the remote server's */
};

struct dsn {
	enum dsn_kind kind;
	uint64_t id;		/* of the notice */
	uint64_t about;		/* of the message */
	uint64_t random;	/* for the boundary */
	struct span hostname, postmaster;
	struct span to;		/* the sender of the message */
	struct span envid;
	int64_t now, received;
	int64_t until;		/* DSN_DELAYED: when it will be given up */
	const struct dsn_recipient *recipients;
	size_t nrecipients;
	struct span head;	/* the first bytes of the message; only its header is shown */
};
#define DSN_HEADERS_MAX (16u << 10)	/* of the original shown */
#define DSN_SIZE_MAX (4u << 20)

/* May the sender be told of this recipient? */
bool dsn_wanted(enum dsn_kind kind, struct span sender, uint8_t notify);
/* Appends the whole message, CRLF line ends. *eightbit: it holds bytes above 127. */
void dsn_build(struct buf *b, const struct dsn *d, bool *eightbit);

#endif
