/* policy.h -- from a folder of YAML files to a compiled policy, and from a
 * message to a verdict.
 *
 * Pure: no socket, no file, no clock, no log. Files come as text; what a
 * policy refers to (lists, fingerprints) is asked of policy_env.read_file.
 * The compiled policy never changes after policy_load and may be shared by
 * fork. policy_judge() has no state between calls and cannot fail: when a
 * budget runs out the verdict says so and its outcome is on_unscannable's.
 */
#ifndef POSTERN_POLICY_H
#define POSTERN_POLICY_H

#include "postern/anatomy.h"
#include "postern/arena.h"
#include "postern/envelope.h"
#include "postern/err.h"
#include "postern/facts.h"
#include "postern/verdict.h"

struct buf;
struct diags;
struct json;
struct policy;

struct policy_source {
	const char *name;	/* as shown in errors: "policy.d/50-health.yaml" */
	struct span text;	/* must outlive the policy */
};

struct policy_network {		/* a network of postern.yaml, known to the policy by its name */
	struct span name;
	const struct span *members;	/* addresses and CIDRs as text */
	size_t nmembers;
};

enum { FACT_SPF = 1, FACT_DKIM = 2, FACT_DMARC = 4, FACT_DNSBL = 8, FACT_SPAM = 16,
	FACT_REPUTATION = 32, FACT_ARC = 64, FACT_LISTED = 128, FACT_BAYES = 256, FACT_BOUNCE = 512,
	FACT_EXPERIENCE = 1024, FACTS_INBOUND = 2047 };

struct policy_index {
	struct span bytes;
	uint8_t key[32];	/* wiped once it has been used */
	bool header_only;	/* of a policy of the past: what the index found then stands in records; searched,
				 * a text is undecided */
};

struct policy_env {
	/* path is relative to the policy folder; text must outlive the policy. NULL: no files. */
	int (*read_file)(void *ctx, struct span path, struct span *text, struct err *err);
	/* The TZif bytes (RFC 8536) of an IANA zone such as "Europe/Paris"; they must live until
	 * policy_load returns. NULL: schedules are refused. */
	int (*read_zone)(void *ctx, struct span name, struct span *tzif, struct err *err);
	/* An index of exact data (postern/exact.h) and its key. The bytes must live until release_index,
	 * which policy_free calls (NULL: nothing is to be done, and ctx may be gone); they are never copied.
	 * NULL: such detectors are refused. */
	int (*read_index)(void *ctx, struct span path, struct span key_path, struct policy_index *out,
	    struct err *err);
	void (*release_index)(void *ctx, struct span bytes);
	void *ctx;
	int64_t now;		/* for expired dates */
	unsigned facts_missing;	/* FACT_…: nothing supplies them; a condition on one is warned of */
	const struct policy_network *networks;
	size_t nnetworks;
	const struct span *domains;	/* our own domains: group:our-domains when no file defines it */
	size_t ndomains;
	bool no_directory;	/* there is none: a group that stands in one is an error */
	const struct span *listeners;	/* their names; a rule that asks for another is warned of */
	size_t nlisteners;		/* 0: not known */
	const struct span *blocklists;	/* those that are asked; a rule that asks for another is warned of */
	size_t nblocklists;		/* 0: not known */
	bool limits_only;	/* compile networks, groups and limits, nothing else (for the receiver) */
};

/* NULL when there is any error in d (all of them are there; d may hold warnings beside a policy). */
struct policy *policy_load(const struct policy_source *files, size_t nfiles,
    const struct policy_env *env, struct diags *d);
void policy_free(struct policy **p);
const char *policy_hash(const struct policy *p);	/* 16 hex digits over all sources, in name order */
size_t policy_rule_count(const struct policy *p);
/* What people want to know of a rule; i counts in the order of ids. false: past the end. */
struct policy_rule_info {
	struct span id, title;
	const char *mode, *severity, *direction;
	int64_t review_by;	/* 0: none */
	enum outcome outcome;	/* UNJUDGED: modifications only */
	const char *file;
	uint32_t line;
	bool from_pack;
};
bool policy_rule_info(const struct policy *p, size_t i, struct policy_rule_info *out);
/* Where a rule stands; false: there is no such rule. */
bool policy_rule_place(const struct policy *p, struct span id, const char **file, uint32_t *line);

/* The same of a detector: one of the policy, or a built-in one that it asks. false: there is none. */
struct policy_detector_info {
	const char *kind;	/* "words", "pattern", "lexicon", "fingerprint", "built-in" */
	struct span holds;	/* "50 terms, which score 431 at most; medium from 15, …"; may be empty */
	const struct span *rules;	/* ids of those that ask it */
	size_t nrules;
};
bool policy_detector_info(const struct policy *p, struct span id, struct arena *a,
    struct policy_detector_info *out);
size_t policy_detector_count(const struct policy *p);
/* In the order in which they were read; empty: it belongs to a condition alone. */
struct span policy_detector_id(const struct policy *p, size_t i);

/* The groups that stand in a directory, without the "ldap:" in front: who judges has to be told who
 * is in them (facts.members). */
const struct span *policy_externals(const struct policy *p, size_t *n);
/* Whether an address is in a group of the policy, known by its name. UNKNOWN also when there is no
 * such group. members: of the external ones it is made of. */
enum membership policy_group_has(const struct policy *p, struct span group, struct span address,
    const struct memberships *members);
/* Memberships as people give them, for a test or an explanation: who is in a group (its name in the
 * policy, or "ldap:…"), and with that nobody else; an empty address names just the group. *bad: what is no
 * group of a directory. */
struct policy_given {
	struct span group, address;
};
bool policy_members_given(const struct policy *p, const struct policy_given *v, size_t n,
    struct arena *a, struct memberships *out, struct span *bad);
bool policy_has_group(const struct policy *p, struct span group);
/* The files that were asked of policy_env.read_file, as the policy names them. */
const struct span *policy_refers_to(const struct policy *p, size_t *n);

/* The same of policy_env.read_index: indexes, and the keys they need. */
const struct span *policy_indexes(const struct policy *p, size_t *n);

/* Who rates mail as spam (`spam: {source: …}`): whose word in facts.spam_… counts. */
enum spam_source policy_spam_source(const struct policy *p);
/* "spam", "suspected", "marketing", "ham"; NULL: nobody has rated it. */
const char *policy_spam_class(const struct policy *p, const struct facts *f);

/* The section `spam` as people want to see it: which scores are which class, and what happens to whose. All
 * of it is copied into the arena. */
#define POLICY_SPAM_CLASSES 3		/* spam, suspected, marketing: `ham` is left alone */
struct policy_spam_profile {
	struct span name;
	const char *actions[POLICY_SPAM_CLASSES];	/* "deliver", "tag-header", "tag", "quarantine", … */
};
struct policy_spam_domain {		/* a line of `domains:`: "example.org", ".example.org", an address */
	struct span pattern;
	const struct policy_spam_profile *profile;
};
struct policy_spam {
	const char *source;		/* "built-in", "rspamd", … */
	const char *classes[POLICY_SPAM_CLASSES];
	struct span tests[POLICY_SPAM_CLASSES];		/* ">= 12, symbol BULK": one of them is enough */
	size_t nchecks;			/* built-in ones, and the policy's own */
	const struct policy_spam_domain *domains;	/* as they stand */
	size_t ndomains;
	const struct policy_spam_profile *others;	/* of all other recipients */
	const char *file;
	uint32_t line;
};
/* false: the policy has no section `spam`, so nothing happens to what is rated but by rules. */
bool policy_spam_info(const struct policy *p, struct arena *a, struct policy_spam *out);
/* That of a domain's recipients but those who stand there by their address. *by: the pattern that gave it;
 * empty: `default`. */
const struct policy_spam_profile *policy_spam_for(const struct policy_spam *s, struct span domain,
    struct span *by);

/* Facts as people write them, for tests and `explain --facts`: a map such as
 * {spf: fail, dnsbl: [list.example], spam: {score: 7.5, symbols: [BULK]}}. What is written is
 * set in f; false with errors in d. Texts live in d's arena. */
/* Entries of lists (`lists:`) that name a recipient are only for him: once the envelope is known. */
void listings_resolve(struct facts *f, const struct envelope *env);
bool policy_facts_read(const char *name, struct span yaml, struct diags *d, struct facts *f);
/* "2026-11-22", "2026-11-22 14:30" (UTC) to microseconds; false when it is none. */
bool policy_moment_parse(struct span text, int64_t *us);

/* as_if: temporarily another mode for a rule ("enforce", "shadow", "off"), for tests; may be NULL. */
struct policy_as_if {
	struct span rule;
	struct span mode;
};
struct policy_options {
	const struct policy_as_if *as_if;
	size_t nas_if;
	bool near_misses;	/* explain wants them, mail does not */
	bool told;		/* verdict.told */
	bool record;		/* verdict.record, see postern/record.h */
	const struct facts *known;	/* of inbound mail, and the moment when not 0; for who makes
					 * facts himself. policy_judge() does not read it. NULL: none */
	int64_t (*stopwatch)(void);	/* microseconds, for verdict.us_*; NULL: none */
};

/* out->decisions has env->nrecipients entries, each with an outcome other than UNJUDGED. */
void policy_judge(const struct policy *p, const struct anatomy *an, const struct envelope *env,
    const struct facts *facts, const struct policy_options *opt, struct arena *a,
    struct verdict *out);
/* What the policy does when the scanner could not do its work at all (defaults.on_scan_error,
 * defaults.on_unscannable): every recipient gets it. reason is shown to people. */
void policy_verdict_failed(const struct policy *p, const struct envelope *env, bool unscannable,
    struct span reason, struct arena *a, struct verdict *out);

/* The object of `explain --json` (interfaces.md), id null when 0. ms_* below 0: left out. */
struct explain_times {
	double anatomy, antivirus, detect, evaluate;
};
void verdict_explain(const struct verdict *v, const struct policy *p, const struct anatomy *an,
    const struct envelope *env, const struct facts *facts, const struct explain_times *ms,
    struct json *j);

/* Its member `identity`: what was found out about who sent it; null when nobody looked. */
void facts_identity(const struct facts *f, struct json *j);

/* The JSON Schema (draft 7) of a policy file, or of a test file. */
void policy_schema(bool tests, struct json *j);

/* Rate limits the policy asks of the receiver. Any number of them may count the same key, each
 * over its own time; the strictest decides. */
enum limit_key { LIMIT_CLIENT, LIMIT_SENDER, LIMIT_SENDER_DOMAIN, LIMIT_USER, LIMIT_DESTINATION };
enum limit_unit { LIMIT_MESSAGES, LIMIT_RECIPIENTS, LIMIT_CONNECTIONS,
	LIMIT_UNIQUE,		/* recipients not written to before within the window */
	LIMIT_INVALID };	/* recipients that do not exist */
struct limit_exempt {		/* whom a limit does not count */
	struct span match;	/* address, domain or .domain; for clients an address or network */
	struct span owner, reason;
	int64_t until;		/* first moment at which it holds no more; Unix microseconds */
};
struct limit_rule {
	struct span id;
	enum limit_key per;
	enum limit_unit unit;
	uint64_t allow;		/* so many … */
	int64_t window;		/* … in so many microseconds; 0 for connections */
	enum outcome then;	/* defer, reject, hold; DELIVER: only notify; for destinations: wait */
	struct span queue;	/* hold: who decides */
	int64_t lock;		/* who exceeds it is refused for so long; 0: not */
	struct span notify;	/* who is to be told: named in the log and the journal; empty: nobody */
	const struct span *match;	/* counts these alone: as in limit_exempt.match; for destinations
					 * domains; nmatch 0: everybody */
	size_t nmatch;
	const struct limit_exempt *exempt;
	size_t nexempt;
	const char *file;	/* where it stands */
	uint32_t line;
};
const struct limit_rule *policy_limits(const struct policy *p, size_t *n);

#endif
