/* mx.h -- from DNS answers to the servers to try, in order (RFC 5321, 5.1).
 *
 * Pure: answers, randomness and what is known of ourselves come from outside.
 *
 *	plan_literal / plan_hosts / plan_mx      which hosts
 *	plan_address, for each host and family   their addresses
 *	plan_finish                              targets in order, or why there are none
 *
 * Hosts of lower preference come first, equal ones in random order; within a
 * host IPv6 and IPv4 alternate. What points to ourselves, by name or by
 * address and port, is cut, of MX hosts with all that are no better (mail loops).
 *
 * Next hops with weights share a rank: plan_order draws anew for each connection.
 */
#ifndef DELIVERY_MX_H
#define DELIVERY_MX_H

#include "addr.h"
#include "net/dns.h"
#include "delivery/reply.h"
#include "ipc/messages.h"
#include "master/config.h"

#define PLAN_HOSTS_MAX 20
#define PLAN_ADDRS_MAX 16	/* of one host */
#define PLAN_TARGETS_MAX 64

struct own_socket {		/* where we listen ourselves */
	struct ip ip;
	uint16_t port;
};

struct plan_world {
	struct span name;			/* our host name, as EHLO says it */
	const struct span *names;		/* what else we are called */
	size_t nnames;
	const struct own_socket *own;
	size_t nown;
	bool no4, no6;				/* families that cannot be used */
	uint32_t (*random)(void *ctx);
	void *random_ctx;
};

/* What DNSSEC has proved about the certificate of a host (RFC 7672). */
enum dane_state {
	DANE_NONE,	/* nothing: DANE does not apply */
	DANE_USABLE,	/* the certificate must match the records */
	DANE_UNUSABLE,	/* records, none of which can be used: encryption is a must (RFC 7672, 2.2) */
	DANE_FAILED,	/* the question could not be answered: the host must not be used (2.1.2) */
};

/* What the MTA-STS policy of the domain says of a host (RFC 8461). */
enum sts_state {
	STS_OFF,		/* nothing: there is none, or DANE speaks for the host (RFC 8461, 2) */
	STS_ENFORCED,		/* listed: its certificate must be for its name */
	STS_BARRED,		/* not listed: the host must not be used */
	STS_TESTED,		/* as the two above, but only reported */
	STS_TEST_BARRED,
};

struct plan_host {
	uint16_t pref;
	uint16_t port;
	char name[DNS_NAME_MAX];
	uint16_t weight;			/* its share among its rank; 0: in order */
	bool literal;				/* the address is known, name is for people */
	struct ip addrs[PLAN_ADDRS_MAX];
	size_t naddrs;
	enum dns_status status[2];		/* of the A and the AAAA question */
	bool asked[2];
	bool insecure;				/* an address came without proof */
	char canonical[DNS_NAME_MAX];		/* where CNAMEs led; "" as name */
	enum dane_state dane;
	enum dns_status dane_status;		/* of DANE_FAILED */
	enum sts_state sts;
};

struct target {
	struct ip ip;
	uint16_t port, pref;
	uint16_t host;				/* index in plan.hosts */
};

struct plan {
	char domain[DNS_NAME_MAX + 2];		/* room for the brackets of a literal */
	struct plan_host hosts[PLAN_HOSTS_MAX];
	size_t nhosts;
	enum { PLAN_MX, PLAN_IMPLICIT, PLAN_STATIC } kind;
	bool secure;				/* the names of the hosts are proved, or written by hand */
	bool sts_unknown;			/* whether there is a policy could not be asked */
	struct target targets[PLAN_TARGETS_MAX];
	size_t ntargets;
	uint32_t ttl;				/* seconds the plan may be kept */
	/* when a step returned false: */
	enum rcpt_status status;
	char dsn[DSN_TEXT_MAX];
	char text[512];
};

void plan_init(struct plan *p, struct span domain);
/* "[192.0.2.1]", "[IPv6:2001:db8::1]". false: it is none (or not readable). */
bool plan_literal(struct plan *p, uint16_t port);
/* Static next hops, in their order. */
void plan_hosts(struct plan *p, const struct conf_host *hosts, size_t n);
/* What the MX question brought. false: nowhere to go, and why. */
bool plan_mx(struct plan *p, const struct dns_answer *a, uint16_t port, const struct plan_world *w);
/* What the A (family 4) or AAAA question for host i brought. */
void plan_address(struct plan *p, size_t i, uint8_t family, const struct dns_answer *a);
/* The names that the certificate of a host may be for when it must prove to be the domain's (RFC
 * 8689, 4.2.1; RFC 8461, 4.1): the host, where its name is known from the configuration, from
 * DNSSEC or for lying within the domain; else only the domain itself, for whoever can
 * forge an MX record has certificates of his own. A host that a policy lists proves that it is
 * that host, nothing else. names: room for PLAN_NAMES_MAX. */
#define PLAN_NAMES_MAX 2
size_t plan_names(const struct plan *p, size_t host, struct span names[PLAN_NAMES_MAX]);
bool plan_finish(struct plan *p, const struct plan_world *w);
/* The order in which one connection tries the targets: as they are, but hosts of one rank that have
 * weights in a random order, each first with the probability of its share. */
void plan_order(const struct plan *p, const struct plan_world *w, uint16_t *order);

#endif
