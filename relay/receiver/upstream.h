/* upstream.h -- whom a trusted relay in front of us got a message from. Pure. */
#ifndef RECEIVER_UPSTREAM_H
#define RECEIVER_UPSTREAM_H

#include "master/config.h"

#define UPSTREAM_HOPS_MAX 10	/* relays of ours in a row */

struct origin {
	struct ip ip;		/* family 0: it cannot be told */
	struct span helo, name;	/* borrowed from the header; name: what its address is called, "" unknown */
};

/* header: the start of the message, maybe cut. The first Received field is the one our peer wrote;
 * while it names another trusted relay (or the host itself), the next one is read. What stands below
 * is anybody's. */
void upstream_origin(struct span header, const struct conf_nets *trusted, struct origin *out);
/* "from HELO (NAME [ADDRESS]) …", in the dialects of Postfix, Sendmail, Exim, Exchange and qmail.
 * false: no address. */
bool received_from(struct span value, struct origin *out);

#endif
