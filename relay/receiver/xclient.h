/* xclient.h -- the arguments of XCLIENT (Postfix's XCLIENT_README). */
#ifndef RECEIVER_XCLIENT_H
#define RECEIVER_XCLIENT_H

#include "postern/arena.h"
#include "postern/ip.h"
#include "postern/span.h"

/* What is advertised behind "XCLIENT ". DESTADDR and DESTPORT are understood and not used. */
#define XCLIENT_ATTRIBUTES "NAME ADDR PORT PROTO HELO LOGIN"

enum {
	XCLIENT_NAME = 1, XCLIENT_ADDR = 2, XCLIENT_PORT = 4, XCLIENT_PROTO = 8,
	XCLIENT_HELO = 16, XCLIENT_LOGIN = 32,
};

struct xclient {
	unsigned has;		/* attributes given; an empty value: known to be unknown */
	struct span name, helo, login;
	struct ip addr;		/* family 0: unavailable */
	uint16_t port;
	bool esmtp;		/* PROTO */
};

/* Texts live in the arena. false: syntax; *bad is the word that is wrong. */
bool xclient_parse(struct arena *a, struct span args, struct xclient *x, struct span *bad);

#endif
