/* dsn.h -- delivery status notifications (RFC 3461, 3464, 6533): pure, from values to bytes.
 *
 * Who gets one is decided by dsn_wanted(); the null sender never does. What
 * strangers wrote (replies, addresses, headers) is made harmless before it
 * stands in a field: one line, printable, bounded.
 */
#ifndef QUEUE_DSN_H
#define QUEUE_DSN_H

#include "buf.h"
#include "postern/envelope.h"

/* RELAYED: handed to a server that knows no notifications (RFC 3461, 5.2.2: "relayed").
 * DOUBLE: a notice failed itself; the postmaster is told. */
enum dsn_kind { DSN_FAILED, DSN_DELAYED, DSN_EXPIRED, DSN_RELAYED, DSN_DOUBLE, DSN_KINDS };

struct dsn_recipient {
	struct span address;	/* as the sender wrote it */
	struct span orcpt;	/* ORCPT as sent, xtext */
	struct span status;	/* "5.1.1"; else 5.0.0 or 4.0.0 stands there */
	struct span reply;	/* word for word, or our own reason */
	struct span relay;	/* "mx1.example.net[203.0.113.9]:25", "none", "" */
	bool remote;		/* the reply is the remote server's */
	bool relayed;		/* "relayed", whatever the notice's kind is */
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
	struct span whole;	/* RET=FULL: all of it; empty: the header is enough */
	bool utf8;		/* the message came with SMTPUTF8 */
};
#define DSN_HEADERS_MAX (16u << 10)	/* of the original shown */
#define DSN_WHOLE_MAX (1u << 20)	/* larger ones are not sent back, RET=FULL or not */
#define DSN_SIZE_MAX (4u << 20)

/* May the sender be told of this recipient? */
bool dsn_wanted(enum dsn_kind kind, struct span sender, uint8_t notify);
/* Appends the whole message, CRLF line ends. *eightbit: it holds bytes above 127, as when the
 * sender's own address does: only then it needs SMTPUTF8 (RFC 6533). For everybody else
 * all but a returned 8-bit message is put into ASCII. */
void dsn_build(struct buf *b, const struct dsn *d, bool *eightbit);

#endif
