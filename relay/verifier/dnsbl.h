/* dnsbl.h -- lists of addresses and domains in the DNS (RFC 5782): what is asked, and what an answer means. Pure.
 *
 * All lists are asked at once, over the message's book of questions. An answer
 * that is no answer (the list refuses us, or its domain has a new owner who
 * answers everything) never lists anybody: it is "unknown", and said so.
 */
#ifndef VERIFIER_DNSBL_H
#define VERIFIER_DNSBL_H

#include "postern/err.h"
#include "postern/ip.h"
#include "verifier/dns_question.h"

#define DNSBL_LISTS_MAX 32
#define DNSBL_CODES_MAX 16	/* patterns of one list */
#define DNSBL_WEIGHT_MAX 1000

/* Which answers count, and for how much. */
struct dnsbl_code {
	uint8_t from[4], to[4];
	int16_t weight;
};

struct dnsbl_list {
	struct span name;	/* as rules call it */
	struct span zone;	/* "zen.spamhaus.org" */
	bool allow;		/* a list of the good (DNSWL) */
	int16_t weight;		/* of an answer, where there are no codes */
	const struct dnsbl_code *codes;	/* none: any answer counts */
	size_t ncodes;
};

/* "127.0.0.2", "127.0.0.4-11", "127.0.*.1-3": each part a number, a range or a star. */
int dnsbl_code_parse(struct span text, struct dnsbl_code *out, struct err *err);

/* "99.2.0.192.ZONE", the nibbles of IPv6; n 0: longer than a name may be. */
struct span dnsbl_address_name(struct arena *a, struct ip ip, struct span zone);
struct span dnsbl_domain_name(struct arena *a, struct span domain, struct span zone);

enum dnsbl_state {
	DNSBL_UNKNOWN,		/* the list could not be asked, or does not answer us */
	DNSBL_CLEAR,
	DNSBL_LISTED,
};

struct dnsbl_verdict {
	enum dnsbl_state state;
	int weight;		/* the greatest of the answers; 0 unless listed */
	struct ip code;		/* the answer it comes from; of UNKNOWN the one that is none */
	const char *why;	/* for people, of UNKNOWN; else "" */
};

/* What an answer of the list means. */
struct dnsbl_verdict dnsbl_read(const struct dnsbl_list *l, const struct dns_reply *r);

struct dnsbl_result {
	struct dnsbl_verdict verdicts[DNSBL_LISTS_MAX];	/* in the order of the lists */
	uint32_t blocked, allowed, unknown;		/* bit for each list */
	int score;		/* the weights of the lists it is on; those of DNSWLs taken off */
	uint32_t ttl;		/* seconds this stays true */
};

struct dnsbl;

/* name: of the question under a zone: dnsbl_address_name or dnsbl_domain_name, by what is given. */
struct dnsbl *dnsbl_new(struct arena *a, struct dns_book *book, const struct dnsbl_list *lists,
    size_t n, struct ip ip);
struct dnsbl *dnsbl_new_domain(struct arena *a, struct dns_book *book, const struct dnsbl_list *lists,
    size_t n, struct span domain);
bool dnsbl_step(struct dnsbl *d);		/* true: done */
void dnsbl_abort(struct dnsbl *d);		/* time is up: what is missing is unknown */
const struct dnsbl_result *dnsbl_result(const struct dnsbl *d);

/* What n lists make of a client: one that no list speaks of is in the middle, 50; 0 is the worst, 100 the
 * best. Lists that could not be asked say nothing; -1: none could, nothing is known. */
int dnsbl_reputation(const struct dnsbl_result *r, size_t n);

#endif
