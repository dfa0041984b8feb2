/* envelope.h -- what the SMTP session said about a message, as plain values.
 *
 * Everything is borrowed from the arena of the transaction. Addresses are as
 * mailaddr_normalise() leaves them: the domain in lower-case A-labels, the
 * local part as the client wrote it; the null sender is the empty span.
 */
#ifndef POSTERN_ENVELOPE_H
#define POSTERN_ENVELOPE_H

#include <stddef.h>
#include <stdint.h>

#include "postern/ip.h"
#include "postern/span.h"

enum direction { DIRECTION_NONE, DIRECTION_OUTBOUND, DIRECTION_INBOUND };

/* RFC 3461, 4.1. NOTIFY_DEFAULT: the client said nothing. */
enum { NOTIFY_DEFAULT = 0, NOTIFY_NEVER = 1, NOTIFY_SUCCESS = 2, NOTIFY_FAILURE = 4,
	NOTIFY_DELAY = 8 };
enum dsn_ret { RET_NONE, RET_FULL, RET_HDRS };

enum { ENVELOPE_8BITMIME = 1, ENVELOPE_SMTPUTF8 = 2, ENVELOPE_REQUIRETLS = 4,
	ENVELOPE_ESMTP = 8, ENVELOPE_TLS = 16, ENVELOPE_AUTH = 32,
	ENVELOPE_TLS_OPTIONAL = 64 /* what a domain says of its TLS does not hold it up: RFC 8460, 3 */ };

struct recipient {
	struct span address;
	struct span orcpt;	/* RFC 3461 ORCPT as sent, xtext kept; empty: none */
	uint8_t notify;
};

struct envelope {
	uint64_t id;		/* the message id, see base/id.h */
	enum direction direction;
	struct span listener;	/* its name in postern.yaml */
	struct ip client;
	uint16_t client_port;
	struct span client_name;	/* a name for people: network or host name; empty: unknown */
	struct span helo;
	struct span user;	/* authenticated as; empty: not */
	struct span tls;	/* "TLSv1.3 TLS_AES_256_GCM_SHA384"; empty: no TLS */
	uint32_t flags;		/* ENVELOPE_… */
	enum dsn_ret ret;
	struct span envid;	/* RFC 3461 ENVID as sent; empty: none */
	int64_t received;	/* Unix time in microseconds at the end of DATA */
	struct span sender;
	struct recipient *recipients;
	size_t nrecipients;
};

#define ENVELOPE_RECIPIENTS_MAX 1000	/* the hard bound of every array of recipients */

#endif
