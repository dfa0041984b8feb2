/* dns_table.h -- what the DNS must say about a domain and this gateway: one table that advises and checks.
 *
 * zone_advise() makes the lines from postern.yaml, zone_check() holds the very
 * same lines against the DNS, so the advice and the verdict cannot disagree.
 */
#ifndef CLI_DNS_TABLE_H
#define CLI_DNS_TABLE_H

#include "cli/lookup.h"
#include "postern/arena.h"

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

struct zone_line {
	const struct zone_topic *topic;
	const char *name;		/* without the final dot */
	const char *type;
	struct span value;		/* as BIND writes it; TXT without quotes */
	const void *what;		/* the topic's own */
	enum zone_verdict verdict;
	const char *detail;		/* for people; "" none */
};

struct zone {
	const struct config *conf;
	const struct conf_domain *domain;	/* NULL: not in postern.yaml */
	struct span name;
	struct arena *a;
	struct lookup *lookup;		/* for zone_check */
	struct zone_line *lines;
	size_t n;
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
void zone_advise(struct zone *z);
void zone_check(struct zone *z);
/* Fills z for the domain and advises; z->a is set. false: said on stderr. */
bool dns_zone_of(struct zone *z, const struct config *conf, const char *domain);
/* One line for each verdict, and what it should say; *bad is set when something must be done. */
struct buf;
struct cli;
void dns_print_checks(struct buf *out, const struct cli *cli, const struct zone *z, bool *bad);
/* Does the SPF record of the domain let this address send? `why`: what is wrong, else NULL. */
bool spf_covers(struct zone *z, const char *domain, struct ip ip, const char **why);

#endif
