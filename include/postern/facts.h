/* facts.h -- what is known of a message beside its bytes and its envelope.
 *
 * Filled by those who may ask the world (antivirus, verifier, clock) and
 * read by the policy. A zeroed struct says that nothing is known; a virus
 * engine that was not asked is not the same as one that found nothing.
 */
#ifndef POSTERN_FACTS_H
#define POSTERN_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "postern/span.h"

enum av_state { AV_NOT_ASKED, AV_CLEAN, AV_VIRUS, AV_UNSCANNABLE, AV_FAILED };

/* In the order of their names in the language: see auth_result_name(). */
enum auth_result { AUTH_UNKNOWN, AUTH_NONE, AUTH_PASS, AUTH_FAIL, AUTH_SOFTFAIL, AUTH_NEUTRAL,
	AUTH_TEMPERROR, AUTH_PERMERROR, AUTH_POLICY };

/* What the domain of From: wants to become of this message (DMARC): nothing where it passed, has no
 * record, is spared by pct=, or came over a forwarder whose word counts. */
enum dmarc_asks { DMARC_ASKS_NOTHING, DMARC_ASKS_QUARANTINE, DMARC_ASKS_REJECT, DMARC_ASKS_COUNT };

/* Who is in the groups that stand in a directory and not in the policy (policy_externals). For
 * each address a byte for each group: grid[address * ngroups + group]. What is not here is
 * not known. */
enum membership { MEMBER_UNKNOWN, MEMBER_NO, MEMBER_YES, MEMBER_STATES };
#define EXTERNAL_GROUPS_MAX 256
struct memberships {
	const struct span *addresses;
	size_t naddresses;
	const struct span *groups;	/* as the policy names them, without "ldap:" */
	size_t ngroups;
	const uint8_t *grid;		/* enum membership */
	bool complete;			/* who is not among the addresses is in none of the groups */
};

/* NULL for AUTH_UNKNOWN: nobody has checked. */
const char *auth_result_name(enum auth_result r);

/* The facts of inbound mail beside the authentication results each say whether they are known:
 * a client that is on no list is not the same as one nobody looked up. A condition on what is
 * not known does not hold, turned by `not` or not. */
struct facts {
	int64_t now;		/* Unix time in microseconds: the only clock the policy sees */
	enum av_state av;
	struct span av_name;	/* of the virus, or the limit that made it unscannable */
	struct span av_engine;	/* "libclamav 1.4.6/27500" */
	struct span av_part;	/* part number; "" the raw message */
	enum auth_result spf, dkim, dmarc, arc;	/* dmarc POLICY: it failed, and a trusted ARC chain vouches */
	enum dmarc_asks dmarc_asks;	/* known when dmarc is */
	bool dnsbl_known;
	const struct span *dnsbl;	/* names of the lists the client is on */
	size_t ndnsbl;
	bool spam_known;
	double spam_score;
	const struct span *spam_symbols;	/* names of the tests that hit */
	size_t nspam_symbols;
	struct span spam_class;	/* "spam", "suspected", "marketing", "ham" where the filter gives
				 * classes; empty: the policy's `classes` tell it from the score */
	bool reputation_known;
	uint8_t reputation;	/* of the client: 0 the worst, 100 the best */
	struct memberships members;
};

#endif
