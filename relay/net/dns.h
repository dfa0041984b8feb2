/* dns.h -- DNS answers as values, and how they are read off the wire.
 *
 * Pure. The resolver (libunbound) has checked the packet already; it is still
 * read as if a stranger had written it: bounded, no pointer followed forward,
 * names kept only when they are host names.
 */
#ifndef NET_DNS_H
#define NET_DNS_H

#include "postern/ip.h"
#include "postern/span.h"

#define DNS_NAME_MAX 254	/* text with its NUL */
#define DNS_RECORDS_MAX 40	/* more are ignored, and that is said */
#define DNS_DATA_MAX 8192	/* bytes of all TXT or TLSA records of an answer; what exceeds it makes it unreadable */

enum { DNS_A = 1, DNS_NS = 2, DNS_CNAME = 5, DNS_PTR = 12, DNS_MX = 15, DNS_TXT = 16,
	DNS_AAAA = 28, DNS_TLSA = 52 };

enum dns_status {
	DNS_OK,		/* records */
	DNS_NODATA,	/* the name exists, nothing of that type */
	DNS_NXDOMAIN,
	DNS_SERVFAIL,	/* or any other refusal, or a packet that cannot be read */
	DNS_TIMEOUT,
	DNS_BOGUS,	/* DNSSEC says it is forged; no record is ever taken from it */
};
const char *dns_status_text(enum dns_status s);		/* for people */

struct dns_record {
	uint16_t pref;			/* MX */
	char name[DNS_NAME_MAX];	/* MX, NS, CNAME, PTR: lower case, "" the root */
	struct ip ip;			/* A, AAAA */
	uint16_t at, size;		/* TXT (its strings joined), TLSA: dns_data() */
};

struct dns_answer {
	enum dns_status status;
	bool secure;			/* proved by DNSSEC */
	bool more;			/* DNS_RECORDS_MAX were read, and there were more */
	uint32_t ttl;			/* the smallest, seconds */
	char canonical[DNS_NAME_MAX];	/* whose records these are, at the end of all CNAMEs; "" none */
	size_t n;
	size_t odd;			/* MX, PTR whose names are no host names: the last of records, counted apart */
	struct dns_record records[DNS_RECORDS_MAX];
	size_t ndata;
	char data[DNS_DATA_MAX];
};

static inline struct span
dns_data(const struct dns_answer *a, const struct dns_record *r)
{
	return span_make(a->data + r->at, r->size);
}

/* Reads the records of `type` in the answer section, whatever name a CNAME led to. */
void dns_read(struct span packet, uint16_t type, struct dns_answer *out);
/* A name as it may be asked for: labels of 1..63 bytes, 253 in all. */
bool dns_name_ok(struct span name);

#endif
