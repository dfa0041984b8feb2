/* zone.h -- what the DNS must say about a domain and this gateway: one table that advises and checks.
 *
 * zone_advise() makes the lines from postern.yaml, zone_check() holds the very
 * same lines against the DNS, so the advice and the verdict cannot disagree. The tool and
 * delivery are equal users: neither private keys nor sockets are needed here. What is known of the
 * keys, and what the DNS says, the caller provides.
 */
#ifndef ZONE_ZONE_H
#define ZONE_ZONE_H

#include "buf.h"
#include "json.h"
#include "master/config.h"
#include "net/dns.h"
#include "postern/arena.h"
#include "signer/dkim_ring.h"

enum zone_verdict {
	ZONE_UNCHECKED,
	ZONE_OK,
	ZONE_NOTE,	/* not there, and mail goes without */
	ZONE_MISSING,
	ZONE_WRONG,
	ZONE_UNKNOWN,	/* the DNS did not answer */
};
const char *zone_verdict_word(enum zone_verdict v);	/* "ok", "missing", … */

struct zone_topic;

/* A key as the public may know it. */
struct zone_key {
	struct span selector;
	bool ed25519;
	enum ring_state state;
	int64_t since;			/* Unix seconds; 0: in postern.yaml */
	const char *record;		/* "v=DKIM1; …"; "" when the key cannot be read */
	const char *why;		/* why not */
};

struct zone_line {
	const struct zone_topic *topic;
	const char *name;		/* without the final dot */
	const char *type;
	struct span value;		/* as BIND writes it; TXT without quotes */
	const void *what;		/* the topic's own */
	enum zone_verdict verdict;
	const char *detail;		/* for people; "" none */
	const struct dns_answer *seen;	/* what the DNS said, in the zone's arena; NULL: nothing was asked or heard */
};

/* Another resolver's answers to the same lines. */
struct zone_view {
	const char *resolver;		/* "9.9.9.9:53" */
	struct zone_line *lines;	/* as many as the zone has */
};
#define ZONE_VIEWS_MAX CONF_RESOLVERS_MAX

struct sts_policy;
enum zone_page { ZONE_PAGE_READ, ZONE_PAGE_BAD, ZONE_PAGE_PENDING, ZONE_PAGE_NOT_ASKED };

/* Where answers come from. */
struct zone_answers {
	/* It stays until the next question. NULL: it is on its way; the check is to be made again. */
	const struct dns_answer *(*ask)(void *ctx, const char *name, uint16_t type);
	/* The policy of MTA-STS that its web server shows; why: what is wrong with it, or why nobody asked. */
	enum zone_page (*policy)(void *ctx, struct arena *a, const char *host, struct sts_policy *p,
	    const char **why);
	void *ctx;
};

struct zone {
	const struct config *conf;
	const struct conf_domain *domain;	/* NULL: not in postern.yaml */
	struct span name;
	struct arena *a;
	const struct zone_key *keys;		/* of the domain, in any state */
	size_t nkeys;
	const char *keys_why;			/* they cannot be read; NULL */
	const char *certificate;		/* zone_certificate(); NULL: none */
	const struct zone_answers *answers;	/* for zone_check */
	bool pending;				/* an answer was on its way: check again */
	struct zone_line *lines;
	size_t n;
	struct zone_view views[ZONE_VIEWS_MAX];
	size_t nviews;
};

struct zone_topic {
	const char *name;		/* "spf" */
	bool optional;
	const char *why[2];		/* English, French: one sentence */
	void (*advise)(struct zone *z, const struct zone_topic *t);
	void (*check)(struct zone *z, struct zone_line *l);
};

/* Our addresses as the Internet sees them; n 0: nobody has said. */
const struct ip *zone_addresses(const struct config *c, size_t *n);
/* SHA-256 of the key of the certificate in a PEM file, as TLSA 3 1 1 wants it; NULL: it cannot be read. */
char *zone_certificate(struct arena *a, const char *path);
void zone_advise(struct zone *z);
void zone_check(struct zone *z);
/* The lines are held against other answers, and what came of it stands in z->views[k]; k below nviews. */
void zone_check_view(struct zone *z, size_t k, const struct zone_answers *answers);
/* The DNS's answer; what is on its way is DNS_TIMEOUT, and z->pending. */
const struct dns_answer *zone_ask(struct zone *z, const char *name, uint16_t type);
/* "2.0.0.127.in-addr.arpa" */
char *zone_reverse(struct arena *a, struct ip ip);
/* Does the SPF record of the domain let this address send? `why`: what is wrong, else NULL. */
bool spf_covers(struct zone *z, const char *domain, struct ip ip, const char **why);
/* Must somebody do something about it? */
static inline bool
zone_bad(enum zone_verdict v)
{
	return v > ZONE_NOTE;
}

/* zone_show.c */
/* {"topic","name","type","value","optional","why"}, and once checked "verdict","detail","seen":[…],
 * "resolvers":[{"resolver","verdict","detail","seen"}]; language 0 English, 1 French. */
void zone_json_line(struct json *j, const struct zone *z, size_t i, int language);
/* A letter to who runs the DNS. */
void zone_letter(struct buf *out, const struct zone *z, int language);
/* "    name  …", one field to a line, as forms of providers want them. */
void zone_fields(struct buf *out, const struct zone_line *l, int language);
/* What the DNS said, record by record. */
size_t zone_seen_count(const struct zone_line *l);
struct span zone_seen(struct arena *a, const struct zone_line *l, size_t i);

#endif
