/* probe_certificate.h -- what a server's certificate says, for people. */
#ifndef DELIVERY_PROBE_CERTIFICATE_H
#define DELIVERY_PROBE_CERTIFICATE_H

#include "json.h"
#include "net/transport.h"
#include "postern/arena.h"

#define CERTIFICATE_NAMES_MAX 32

struct probe_certificate {
	struct span subject, issuer;
	struct span names[CERTIFICATE_NAMES_MAX];
	size_t nnames;
	int64_t from, until;		/* Unix seconds */
	bool verified;			/* the roots vouch for it, and it is for the name */
	struct span why;		/* why not */
};

/* Of a connection that has shaken hands. false: there is none. */
bool probe_certificate_read(const struct transport *t, struct span host, struct arena *a,
    struct probe_certificate *c);
void probe_certificate_write(const struct probe_certificate *c, int64_t now, struct json *j);
/* Does a TLSA record (usage 2 or 3) name this chain? RFC 6698, 2.1 */
bool probe_certificate_matches(const struct transport *t, struct span tlsa);

#endif
