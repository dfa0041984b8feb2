/* proxy.h -- the PROXY protocol's header, versions 1 and 2 (haproxy's proxy-protocol.txt, 2020). */
#ifndef RECEIVER_PROXY_H
#define RECEIVER_PROXY_H

#include "postern/ip.h"
#include "postern/span.h"

enum proxy_status {
	PROXY_MORE,	/* not all of it is there */
	PROXY_CLIENT,	/* client and port are the client's */
	PROXY_LOCAL,	/* the proxy speaks for itself: a health check */
	PROXY_BAD,	/* no such header: hang up */
};

#define PROXY_HEADER_MAX 4096	/* of a version 2 header with its TLVs; version 1 has 107 */

struct proxy_header {
	size_t size;		/* bytes of the header; what follows is the client's */
	struct ip client;
	uint16_t port;
	unsigned version;
};

/* Looks at the start of what a connection brought. PROXY_MORE never with PROXY_HEADER_MAX bytes. */
enum proxy_status proxy_parse(struct span in, struct proxy_header *h);

#endif
