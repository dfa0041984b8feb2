/* dmarc.h -- DMARC (RFC 7489, RFC 9091, and RFC 9989 after them), evaluated without a socket.
 *
 * Is one of the domains that SPF and DKIM vouch for the domain of From:, and
 * if not, what does that domain wish to become of the message? Pumped like SPF
 * (dns_question.h). What to do about it is the policy's business, not ours:
 * `disposition` is the wish, `result` the fact.
 *
 * DMARC_PSL finds the organisational domain in the Public Suffix List (RFC
 * 7489, 3.2); DMARC_TREE_WALK asks the DNS, label by label (RFC 9989, 4.10), and
 * heeds t= instead of pct=. Reports are not made here.
 */
#ifndef VERIFIER_DMARC_H
#define VERIFIER_DMARC_H

#include "postern/facts.h"
#include "postern/err.h"
#include "verifier/dns_question.h"

#define DMARC_RECORD_MAX 4096	/* bytes of a record; a longer one is none */
#define DMARC_DOMAINS_MAX 8	/* different domains in From:; more is permerror */
#define DMARC_SIGNATURES_MAX 32	/* domains that DKIM vouches for; those beyond are not looked at */
#define DMARC_WALK_MAX 8	/* questions of one tree walk */

enum dmarc_discovery { DMARC_PSL, DMARC_TREE_WALK };
enum dmarc_policy { DMARC_NONE, DMARC_QUARANTINE, DMARC_REJECT };
const char *dmarc_discovery_name(enum dmarc_discovery d);	/* "psl", "tree-walk" */
const char *dmarc_policy_name(enum dmarc_policy p);

/* The Public Suffix List: the file of Debian's package publicsuffix or what libpsl was built with,
 * whichever is newer. Reads a file, so before the sandbox; one for each process. */
struct dmarc_psl;
struct dmarc_psl *dmarc_psl_new(const char *file, struct err *err);	/* file NULL: Debian's */
void dmarc_psl_free(struct dmarc_psl **l);

struct dmarc_dkim {
	enum auth_result result;
	struct span domain;	/* d= */
};

struct dmarc_request {		/* borrowed until the evaluation is done */
	const struct span *from;	/* the body of each From: field, folded or not */
	size_t nfrom;
	enum auth_result spf;
	struct span spf_domain;		/* spf_result.domain; of HELO where the sender is null */
	const struct dmarc_dkim *dkim;	/* each signature */
	size_t ndkim;
	enum dmarc_discovery discovery;
	const struct dmarc_psl *psl;	/* needed for DMARC_PSL */
	uint8_t sample;			/* 0..99, drawn by the caller: pct= takes those below it */
};

/* Texts live in the arena. */
struct dmarc_result {
	enum auth_result result;	/* none, pass, fail, temperror, permerror */
	enum dmarc_policy disposition;	/* what the domain asks for now; none unless the result is fail */
	enum dmarc_policy policy;	/* the one published for this domain (p, sp or np) */
	const char *tag;		/* which of them: "p", "sp", "np"; "" no record */
	bool sampled_out;		/* pct= spared this message */
	bool testing;			/* t=y softened it (tree walk) */
	struct span from;		/* header.from: the domain of From:, A-labels; "" none */
	struct span organisation;	/* its organisational domain */
	struct span record, record_domain;	/* the policy record, and whose it is */
	bool spf_aligned, dkim_aligned;
	struct span aligned;		/* the domain that made it pass; "" none */
	bool report_failure;		/* fo= asks for a report of such a failure */
	struct span reason;		/* one sentence for people */
};

struct dmarc;

struct dmarc *dmarc_new(struct arena *a, struct dns_book *book, const struct dmarc_request *r);
bool dmarc_step(struct dmarc *d);	/* true: done */
void dmarc_abort(struct dmarc *d);	/* time is up: temperror */
const struct dmarc_result *dmarc_result(const struct dmarc *d);

#endif
