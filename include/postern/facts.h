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

/* SUSPECT: nothing but what is no malware for sure: see av_kinds. */
enum av_state { AV_NOT_ASKED, AV_CLEAN, AV_VIRUS, AV_UNSCANNABLE, AV_FAILED, AV_SUSPECT, AV_STATES };

/* What an antivirus finds, told apart by the names ClamAV gives. X(NAME, "name", help) */
#define AV_KINDS(X) \
	X(MALWARE, "malware", "a virus, worm, trojan, exploit: what `virus: true` asks for") \
	X(PHISHING, "phishing", "mail or links that fish for passwords") \
	X(MACRO, "macro", "a document with macros, where `antivirus.macros` asks for it") \
	X(HEURISTIC, "heuristic", "suspicious by its make: broken executables, disguised files") \
	X(PUA, "pua", "a possibly unwanted application: tools, packers, adware")
enum av_kind {
#define X(name, text, help) AV_KIND_##name,
	AV_KINDS(X)
#undef X
	AV_KIND_COUNT
};
#define AV_MALWARE (1u << AV_KIND_MALWARE)
const char *av_kind_name(enum av_kind k);
bool av_kind_from_name(struct span name, enum av_kind *k);
/* What a name of ClamAV's stands for; false: it says that something could not be looked into
 * (Heuristics.Limits.Exceeded.*, Heuristics.Encrypted.*). */
bool av_kind_of(struct span found, enum av_kind *k);

/* In the order of their names in the language: see auth_result_name(). */
enum auth_result { AUTH_UNKNOWN, AUTH_NONE, AUTH_PASS, AUTH_FAIL, AUTH_SOFTFAIL, AUTH_NEUTRAL,
	AUTH_TEMPERROR, AUTH_PERMERROR, AUTH_POLICY };

/* What the domain of From: wants to become of this message (DMARC): nothing where it passed, has no
 * record, is spared by pct=, or came over a forwarder whose word counts. */
enum dmarc_asks { DMARC_ASKS_NOTHING, DMARC_ASKS_QUARANTINE, DMARC_ASKS_REJECT, DMARC_ASKS_COUNT };

/* Of mail with the null sender to an address of ours whose mail leaves with a tag (BATV): is it a bounce of
 * something we sent? GRACE: not for certain, but tags are too new to tell. */
enum bounce_fact { BOUNCE_UNKNOWN, BOUNCE_VALID, BOUNCE_EXPIRED, BOUNCE_FORGED, BOUNCE_UNTAGGED,
	BOUNCE_GRACE, BOUNCE_FACTS };
const char *bounce_fact_name(enum bounce_fact b);	/* NULL for BOUNCE_UNKNOWN */

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

/* Whose list of senders it is, and which: of the administrators, of a domain, of one recipient. */
enum list_scope { LIST_ALL, LIST_DOMAIN, LIST_USER, LIST_SCOPES };
enum list_side { LIST_ALLOW, LIST_BLOCK, LIST_SIDES };
enum list_by { LIST_BY_SENDER, LIST_BY_FROM, LIST_BY_CLIENT, LIST_BYS };	/* what of it was found there */
extern const char *const list_scope_names[];	/* "all", "domain", "user", NULL */
extern const char *const list_side_names[];	/* "allow", "block", NULL */
extern const char *const list_by_names[];	/* "sender", "header_from", "client", NULL */
#define LISTED_BIT(scope, side) (1u << ((unsigned)(scope) * LIST_SIDES + (unsigned)(side)))
#define LISTED_MASKS (1u << (LIST_SCOPES * LIST_SIDES))
#define LISTINGS_PER_RECIPIENT (LIST_SCOPES * LIST_SIDES)
#define LISTING_EVERYONE UINT16_MAX
struct listed {		/* an entry of a list that speaks of this message */
	uint16_t recipient;	/* index in the envelope, or LISTING_EVERYONE */
	uint8_t scope, side, by;
	bool counts;		/* false: it allows somebody whom nothing proves to be him */
	uint64_t number;
	struct span owner, what, reason;
};

/* Who rates mail as spam. NONE in facts: whoever said it, it counts. */
enum spam_source { SPAM_SOURCE_NONE, SPAM_SOURCE_BUILT_IN, SPAM_SOURCE_RSPAMD, SPAM_SOURCE_SPAMD,
	SPAM_SOURCE_HEADER, SPAM_SOURCES };

/* A word and how much it speaks for spam. */
struct bayes_told {
	struct span word;	/* "host:shop.example"; of what people wrote "word#1f2e3d4c", its hash */
	double p;		/* 0 ham, 1 spam */
};
/* A host's name: NONE does not exist, UNPROVED exists and is of another address. */
enum host_state { HOST_UNKNOWN, HOST_NONE, HOST_UNPROVED, HOST_PROVED, HOST_STATES };

/* The facts of inbound mail beside the authentication results each say whether they are known:
 * a client that is on no list is not the same as one nobody looked up. A condition on what is
 * not known does not hold, turned by `not` or not. */
struct facts {
	int64_t now;		/* Unix time in microseconds: the only clock the policy sees */
	enum av_state av;
	uint8_t av_kinds;	/* of all that was found: 1 << enum av_kind */
	struct span av_name;	/* of the virus, or the limit that made it unscannable */
	struct span av_engine;	/* "libclamav 1.4.6/27500" */
	struct span av_part;	/* part number; "" the raw message */
	enum auth_result spf, dkim, dmarc, arc;	/* dmarc POLICY: it failed, and a trusted ARC chain vouches */
	enum dmarc_asks dmarc_asks;	/* known when dmarc is */
	enum bounce_fact bounce;
	bool dnsbl_known;
	const struct span *dnsbl;	/* names of the lists the client is on */
	size_t ndnsbl;
	bool listed_known;	/* blocklists of URLs were asked for anatomy_hosts(), see url.h */
	const struct span *listed_hosts;	/* hosts or domains that are on one, A-labels in lower case */
	size_t nlisted_hosts;
	bool spam_known;
	enum spam_source spam_by;	/* another than the policy's `source` is not asked for its word */
	double spam_score;
	const struct span *spam_symbols;	/* names of the tests that hit */
	size_t nspam_symbols;
	struct span spam_class;	/* "spam", "suspected", "marketing", "ham" where the filter gives
				 * classes; empty: the policy's `classes` tell it from the score */
	bool reputation_known;
	uint8_t reputation;	/* of the client: 0 the worst, 100 the best */
	bool lists_known;	/* the lists of senders were looked into */
	const struct listed *listings;
	size_t nlistings;
	bool bayes_known;	/* the classifier (bayes.h) has learnt enough to be asked */
	uint8_t bayes;		/* per cent, rounded down: 0 ham, 100 spam */
	const struct bayes_told *bayes_told;	/* why, for people; the strongest first */
	size_t nbayes_told;
	bool experience_known;
	uint8_t experience;	/* our own with the client and the author's domain: 0 the worst, 50 a stranger */
	enum host_state reverse;	/* of the client; PROVED: the name leads back to it */
	struct span reverse_name;	/* "" none */
	enum host_state helo;	/* of the name it gives; PROVED: it is the client's */
	struct span proved;	/* the author's domain, where SPF or DKIM is aligned with it; "" not */
	struct memberships members;
};

#endif
