/* addresses.h -- from which addresses, under which names this gateway delivers, for the firewalls of others.
 *
 * Pure but for addresses_of_machine(). Outside: what the Internet sees (public_addresses, else the sources of delivery and
 * its pools). Inside: what our own servers see (the sources; where none are set, all of the machine's).
 */
#ifndef ZONE_ADDRESSES_H
#define ZONE_ADDRESSES_H

#include "buf.h"
#include "json.h"
#include "master/config.h"
#include "postern/arena.h"

struct address {
	struct ip ip;
	struct span name;		/* by EHLO */
	struct span pool;		/* "" the gateway's own */
};

struct addresses {
	struct address *v;		/* each address once */
	size_t n;
};

/* The machine's, without loopback and link-local ones. */
struct ip *addresses_of_machine(struct arena *a, size_t *n);
void addresses_outside(const struct config *c, struct arena *a, struct addresses *out);
void addresses_inside(const struct config *c, struct arena *a, struct addresses *out);

#define ADDRESS_FORMATS(X) X(TEXT, "text") X(JSON, "json") X(CIDR, "cidr") X(POSTFIX, "postfix") X(NFT, "nft")
enum address_format {
#define X(name, text) ADDRESS_##name,
	ADDRESS_FORMATS(X)
#undef X
	ADDRESS_FORMAT_COUNT
};
/* ADDRESS_FORMAT_COUNT: none of that name. */
enum address_format address_format_parse(struct span name);
/* cidr: a network to a line; postfix: a cidr: table; nft: two sets; text: address, name, pool. */
void addresses_write(struct buf *out, const struct addresses *v, struct span hostname, enum address_format f);

#endif
