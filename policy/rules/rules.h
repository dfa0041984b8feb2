/* rules.h -- the compiled policy, as the rooms of policy/rules/ share it.
 *
 * What is asked of a message is an *atom* ("the sender is in this list",
 * "this detector found three values"). Equal atoms of different rules are one
 * atom, answered at most once for each message. A rule is an AND of
 * conditions over atoms, plus an OR of conditions that cancel it.
 *
 * So that cost grows with matches and not with rules, each rule hangs on one
 * *signal*: something without which it cannot hold and which one pass over
 * the facts finds for all rules together (a detector that found something, a
 * list the address is in). Rules of silent signals are never looked at.
 *
 * Rules are sorted by id, so neither the order of rules in a file nor of
 * files can show in a verdict.
 */
#ifndef RULES_H
#define RULES_H

#include "addr.h"
#include "detect/detect.h"
#include "detect/lookalike_host.h"
#include "detect/signs.h"
#include "postern/policy.h"
#include "table.h"
#include "zone.h"

enum mode { MODE_OFF, MODE_SHADOW, MODE_ENFORCE };
enum severity { SEVERITY_LOW, SEVERITY_MEDIUM, SEVERITY_HIGH, SEVERITY_CRITICAL };

struct spans {
	const struct span *v;
	size_t n;
};

/* --- sets of addresses: each named group, and each distinct inline list ------------- */

/* All patterns of all sets in one table: pattern -> sets that hold it. One
 * address costs as many look-ups as its domain has labels, whatever the
 * number and size of the sets. */
struct setlist {
	uint32_t n, cap;
	uint32_t *ids;
};
struct addrsets {
	struct arena *arena;
	struct table *patterns;	/* "a@b", "b", ".b", "" for the null sender -> struct setlist */
	uint32_t nsets;
	struct span *names;	/* of groups; empty for inline lists */
	size_t *counts;		/* patterns in each */
	size_t cap;
	/* Of the sets [only_from, only_to) an address is in one at most: that of the pattern that
	 * says most of it (the address, its domain, the longest of .domains). */
	uint32_t only_from, only_to;
};

uint32_t addrsets_new(struct addrsets *s, struct span name);
int addrsets_add(struct addrsets *s, uint32_t set, struct span pattern, struct err *err);
/* One bit for each set the address is in. bits has BITS_WORDS(s->nsets) cleared words. */
void addrsets_find(const struct addrsets *s, struct span addr, uint64_t *bits);
/* The spelling patterns are kept in; false with err when it is no pattern. */
bool addrpattern_normalise(struct arena *a, struct span pattern, struct span *out,
    struct err *err);

/* members.c: the same for the groups of directories; unsure: a bit where it cannot be said.
 * guess: where the address may stand in m. */
void members_find(const struct policy *p, const struct memberships *m, struct span address,
    size_t guess, uint64_t *in, uint64_t *unsure);

#define BITS_WORDS(n) (((size_t)(n) + 63) / 64)
static inline bool
bit_has(const uint64_t *bits, size_t i)
{
	return bits[i / 64] >> (i % 64) & 1;
}
static inline void
bit_set(uint64_t *bits, size_t i)
{
	bits[i / 64] |= UINT64_C(1) << (i % 64);
}

/* --- atoms ------------------------------------------------------------------------- */

enum atom_kind {
	ATOM_ADDRESS, ATOM_CLIENT, ATOM_USER, ATOM_TLS, ATOM_LISTENER, ATOM_DIRECTION,
	ATOM_RANGE, ATOM_TEXT, ATOM_HEADER, ATOM_FINDS, ATOM_FILE, ATOM_VIRUS,
	ATOM_UNSCANNABLE, ATOM_ENCRYPTED, ATOM_DEFECT, ATOM_SCHEDULE, ATOM_AUTH, ATOM_DNSBL,
	ATOM_SPAM, ATOM_REPUTATION, ATOM_BAYES, ATOM_URL, ATOM_LISTED, ATOM_EXPERIENCE, ATOM_SIGN
};
enum auth_fact { AUTH_FACT_SPF, AUTH_FACT_DKIM, AUTH_FACT_DMARC,
	AUTH_FACT_ARC, AUTH_FACT_ASKS /* results: 1 << DMARC_ASKS_… */,
	AUTH_FACT_BOUNCE /* 1 << BOUNCE_… */ };
extern const char *const dmarc_asks_names[];
enum who { WHO_FROM, WHO_HEADER_FROM, WHO_TO, WHO_TO_ALL };
enum quantity { QUANTITY_RECIPIENTS, QUANTITY_SIZE, QUANTITY_ATTACHMENTS };

struct range {
	bool has_over, has_under;
	uint64_t over, under;
};

#define TYPE_WORDS BITS_WORDS(TYPE_COUNT)

struct file_cond {		/* all about the same file */
	bool has_types;
	bool macros;		/* any document with a macro counts as of these types */
	uint32_t encryptions;	/* 1 << enum encryption, or-ed; 0: any */
	uint64_t types[TYPE_WORDS];
	struct spans names;	/* globs, lower case */
	struct spans extensions;	/* lower case, no dot */
	struct range size;
	struct range depth;
	signed char encrypted, mismatch;	/* -1 not asked, 0 no, 1 yes */
};

struct url_cond {		/* all about the same link */
	const uint32_t *sets;	/* `host`; nsets 0: not asked */
	size_t nsets;
	bool not_host;
	signed char listed, mismatch;	/* -1 not asked, 0 no, 1 yes */
	int like;		/* index in policy.lookalikes, -1: not asked */
	uint64_t host_hash, like_hash;	/* of what the lists hold */
};

/* How often a detector matched with at least this confidence in these places. */
struct measure {
	uint32_t detector;	/* index in policy.detectors */
	enum confidence floor;
	unsigned where;		/* enum where, or-ed */
};

/* --- schedules --------------------------------------------------------------------- */

struct hours {			/* days and a stretch of each; over midnight when to <= from */
	uint8_t days;		/* bit 0: Monday; the days on which the stretch begins */
	uint32_t from, to;	/* seconds of the local day */
};
struct schedule {
	struct span name;
	const struct zone *zone;
	const struct hours *hours;
	size_t nhours;
	const int64_t *holidays;	/* days since 1970 on which no stretch begins */
	size_t nholidays;
};
bool schedule_has(const struct schedule *s, int64_t now_us);

/* --- spam: a score gives a class, a class and a recipient give what happens ---------- */

enum spam_class { SPAM_UNKNOWN, SPAM_HAM, SPAM_MARKETING, SPAM_SUSPECTED, SPAM_SPAM, SPAM_CLASSES };
extern const char *const spam_class_names[];	/* by enum spam_class; NULL-terminated */

struct spam_test {		/* ">= 12" or "symbol BULK" */
	struct span symbol;	/* empty: the score */
	double score;
	bool above;		/* >, not >= */
};
struct cond;
struct spam_check {
	struct span id, title;
	double score;
	const struct cond *when;
	size_t nwhen;
	const char *file;	/* where it stands */
	uint32_t line;
};
struct spam_policy {
	enum spam_source source;
	struct spam_check *checks;	/* sorted by id */
	size_t nchecks;
	struct {
		const struct spam_test *v;	/* one of them is enough */
		size_t n;
	} classes[SPAM_CLASSES];
	/* For people: judging goes by the rules that are made of it (load_spam.c). NULL: no section. */
	const struct policy_spam_profile *others;
	const struct policy_spam_domain *domains;
	size_t ndomains;
	const char *file;
	uint32_t line;
};
extern const char *const spam_decided[POLICY_SPAM_CLASSES];
extern const enum spam_class spam_decided_class[POLICY_SPAM_CLASSES];
enum spam_class spam_class_of(const struct policy *p, const struct facts *f);

struct atom {
	enum atom_kind kind;
	bool negate;
	uint8_t kinds;		/* ATOM_VIRUS: 1 << enum av_kind, or-ed; 0: malware, as `want` says */
	struct span key;	/* the YAML key, for people: "from", "finds fr-nir" */
	union {
		struct { enum who who; const uint32_t *sets; size_t n; } address;
		struct { const struct cidr *v; size_t n; } client;
		struct spans names;		/* users, listeners */
		bool want;
		enum direction direction;
		struct { enum quantity what; struct range range; } quantity;
		struct { uint32_t measure, min; bool all; } finds;	/* and ATOM_TEXT */
		struct { struct span name; int detector; } header;	/* -1: its presence */
		const struct file_cond *file;
		const struct url_cond *url;
		uint32_t defects;
		struct { const struct schedule *const *v; size_t n; } schedules;
		struct { enum auth_fact fact; unsigned results; } auth;	/* 1 << AUTH_… */
		struct { unsigned classes; struct spans symbols; } spam;	/* 1 << SPAM_… */
		struct range reputation;	/* and ATOM_BAYES, ATOM_EXPERIENCE */
		uint64_t signs;			/* 1 << enum sign */
		unsigned listed;	/* LISTED_BIT, or-ed */
	};
};

enum cond_op { COND_ATOM, COND_ANY, COND_ALL };
struct cond {
	enum cond_op op;
	unsigned char cost;	/* cheap conditions are asked first */
	uint32_t atom;
	uint32_t n;
	const struct cond *kids;
};

/* --- rules ------------------------------------------------------------------------- */

enum language { LANG_EN, LANG_FR, LANG_COUNT };
extern const char *const language_names[];	/* "en", "fr", NULL */

struct texts {			/* one in each language; at least one is there */
	struct span v[LANG_COUNT];
};

struct strip_ask {
	const struct file_cond *file;
	struct texts notice;	/* none: the built-in one */
};
struct redact_ask {
	bool self;		/* what the rule's own conditions count */
	bool evidence;		/* the masked value stands in its place */
	const uint32_t *detectors;
	size_t n;
	enum confidence floor;
	struct span with;	/* UTF-8; empty: a mark for each character */
};
struct append_ask {
	struct texts text, html;
	bool once;		/* not when a reply quotes it already */
};

enum notify_who { NOTIFY_SENDER, NOTIFY_RECIPIENT, NOTIFY_ADMIN, NOTIFY_ADDRESS };
struct notify_ask {
	enum notify_who who;
	struct span address;	/* NOTIFY_ADDRESS */
	struct span name;	/* of the template */
	struct texts text;	/* "Subject: …", an empty line, the text */
	struct texts html;	/* the same for readers of HTML, without a subject; empty: none */
};

#define OVERRIDE_HEADER "X-Postern-Override"
#define OVERRIDE_REASON_MIN 8	/* characters: a reason, not a dot */
#define OVERRIDE_REASON_MAX 200
struct override_ask {
	const uint32_t *sets;	/* senders who may */
	size_t n;
	bool in_subject, in_header;
	int64_t until;		/* first microsecond at which nobody may; 0: never */
};

struct header_add {
	struct span name;
	struct span value;	/* a text with variables */
};

struct effects {
	enum outcome outcome;	/* UNJUDGED: modifications only */
	struct span code;	/* "5.7.1" */
	struct span text;	/* a text with variables; empty: the usual one */
	struct span queue;
	int64_t expires;	/* hold: microseconds from now, 0 never */
	enum outcome on_expire;
	struct spans redirect;
	enum require_tls require_tls;
	const struct header_add *add;
	size_t nadd;
	struct spans remove;	/* names, a `*` may stand at the end */
	struct span prefix;
	const struct strip_ask *strip;
	const struct redact_ask *redact;
	const struct append_ask *append;
	enum outcome on_fail;	/* of an edit; UNJUDGED: the outcome stays */
	struct spans bcc;
	const struct notify_ask *notify;
	size_t nnotify;
	const struct override_ask *override;
	bool clean_override;	/* takes the words of an override out of the message */
	uint8_t approvals;	/* hold: persons who are asked by mail; quarantine: who must release; 0: none */
	struct spans approvers;
};

struct exception {
	struct span id;
	struct span reason;
	const struct cond *when;
	size_t nwhen;
	int64_t until;		/* first microsecond at which it no longer holds; 0: never */
};

struct rule {
	struct span id;
	struct span title;	/* in English, or the first language there is */
	struct spans tags;
	enum direction direction;	/* NONE: any */
	enum severity severity;
	enum mode mode;
	int64_t review_by;	/* 0: none */
	const struct cond *when, *unless;
	size_t nwhen, nunless;
	struct effects then;
	const uint32_t *exceptions;
	size_t nexceptions;
	const uint32_t *detectors;	/* that its `finds` name, for $findings */
	size_t ndetectors;
	int file_atom;		/* of its `attachment`, for $filenames; -1: none */
	bool judges_virus;	/* asks for `virus: true` and has an outcome of its own */
	bool judges_suspect;	/* the same of `virus: {kind: ...}` */
	bool judges_unscannable;
	bool from_pack;
	const char *file;	/* where it stands */
	uint32_t line;
};

/* Signals: one space of numbers for all that can wake a rule. */
enum flag_signal { SIGNAL_FILES, SIGNAL_VIRUS, SIGNAL_UNSCANNABLE, SIGNAL_ENCRYPTED,
	SIGNAL_DEFECT, SIGNAL_SPF, SIGNAL_DKIM, SIGNAL_DMARC, SIGNAL_ARC, SIGNAL_DNSBL, SIGNAL_SPAM,
	SIGNAL_REPUTATION, SIGNAL_BAYES, SIGNAL_EXPERIENCE, SIGNAL_URLS, SIGNAL_BOUNCE, SIGNAL_LISTED,
	SIGNAL_FLAGS };
struct signals {
	uint32_t detectors, from, header_from, to, flags, n;	/* where each kind begins */
	const uint32_t *first;	/* rules of signal i are rules[first[i]] … rules[first[i + 1] - 1] */
	const uint32_t *rules;
	const uint64_t *always;	/* rules without a signal; one bit for each rule */
};

struct policy {
	struct arena *arena;
	char hash[17];
	struct addrsets sets;
	struct span *externals;	/* groups of directories, as policy_externals gives them … */
	struct setlist *external_sets;	/* … and the sets each is part of */
	size_t nexternals;
	struct rule *rules;	/* sorted by id */
	size_t nrules;
	struct exception *exceptions;
	size_t nexceptions;
	struct atom *atoms;
	size_t natoms;
	struct measure *measures;
	size_t nmeasures;
	struct detectors *detectors;	/* NULL: none */
	struct confusables *confusables;	/* NULL: nothing asks for look-alikes */
	struct lookalikes **lookalikes;	/* of each list that names some */
	size_t nlookalikes;
	struct sign_guards guards;	/* no tables: nothing asks for signs */
	uint64_t guards_hash;
	uint64_t *live;		/* detectors that an enforced rule or an exception asks; one bit for each */
	struct signals signals;
	struct limit_rule *limits;
	size_t nlimits;
	struct spam_policy spam;
	enum outcome on_scan_error, on_unscannable;
	struct span contact;
	int language;		/* enum language: of texts, where the message tells none */
	struct {
		const uint32_t *v;
		size_t n;
	} readers[LANG_COUNT];	/* sets of those who are told in that language */
	bool limits_only;
	struct span *files;	/* asked of read_file */
	size_t nfiles, capfiles;
	struct span *index_files;	/* indexes of exact data and their keys */
	size_t nindex_files;
	struct index_used *indexes;	/* load_exact.c */
	void (*release_index)(void *ctx, struct span bytes);
	/* what records refer to, see postern/record.h */
	uint64_t *detector_hashes;	/* of what defines it, by detector */
	size_t ndetector_hashes, capdetector_hashes;
	uint32_t *texts;	/* atoms whose answers a record keeps, in the manifest's order */
	size_t ntexts;
	struct span manifest;
	uint64_t manifest_key;
};

const struct rule *policy_rule(const struct policy *p, struct span id);	/* or NULL */

extern const char antispam_text[];	/* pack_antispam.c */

/* --- one message ------------------------------------------------------------------- */

struct tally {			/* the answer to a measure */
	bool known;
	uint32_t count, distinct;
};

struct recorded;		/* record.h */
struct eval {
	const struct policy *p;
	const struct anatomy *an;
	const struct envelope *env;
	const struct facts *given;	/* by the caller … */
	const struct facts *facts;	/* … with what rate.c makes of them */
	struct arena *arena;
	struct detection detection;
	unsigned char *memo;	/* for each atom: 0 not asked yet, 1 no, 2 yes, 3 it cannot be said */
	struct tally *tallies;
	/* Sets of addresses: `words` words of those it is in, then as many of those that cannot
	 * be said (members.c). */
	size_t words;
	uint64_t *from, *header_from;	/* of the sender */
	uint64_t *to;		/* of the recipient in hand */
	uint64_t *every;	/* of each recipient, one behind the other */
	bool assume;		/* what is taken for an answer that cannot be given */
	bool assumed;		/* it has been */
	uint64_t nfiles;	/* attached to the message itself */
	bool files;		/* any, within others too */
	bool unscannable, encrypted;
	bool exhausted;		/* the budget is gone */
	bool began_undecided;	/* a detector gave up, before any condition was asked */
	struct url_eval *urls;	/* what is known of the links (urls.c); NULL: nothing yet */
	struct signs *signs;	/* NULL: not asked yet */
	bool url_why;		/* every key of a link is asked, not only up to the first that fails */
	struct recorded *recorded;	/* NULL: the message itself is here */
	uint64_t steps;		/* left; at 0 the verdict is undecided */
	int64_t texts;		/* left for regular expressions on single headers */
	/* Shadow rules have budgets of their own, and what they give up on is nobody's matter:
	 * they must not change what happens to a message. */
	bool shadow;
	bool gave_up;		/* the answer in hand means nothing: not to be kept */
	uint64_t shadow_steps;
	int64_t shadow_texts;
	struct edit_plan *plans;	/* of each rule, made on demand; see edits.h */
	uint16_t only_file;	/* $filenames names this part alone; PART_NONE: all */
};
/* The work of one evaluation, beside the detectors': a rule, an atom, a list, a part, a header
 * looked at, a character of a glob. Counted, not timed: the same message has the same verdict. */
#define EVAL_STEPS (UINT64_C(20) << 20)

/* Nothing is proved: the message is what could not be looked into. */
void eval_give_up(struct eval *e);
void eval_as_shadow(struct eval *e, bool shadow);	/* which rules are asked from now on */
/* Everything but e->to; runs the detectors. */
void eval_begin(struct eval *e, const struct policy *p, const struct anatomy *an,
    const struct envelope *env, const struct facts *facts, struct arena *a,
    int64_t (*stopwatch)(void), int64_t *us_detect);
/* The sets of an address, into two times e->words cleared words. */
void eval_sets(const struct eval *e, struct span address, size_t guess, uint64_t *bits);
/* The second half of eval_begin: all but what the detectors found. */
void eval_ready(struct eval *e);
/* rate.c: the spam facts, by the checks of the policy, where nobody else has rated it. */
void spam_rate(struct eval *e);
void spam_report(const struct eval *e, struct spam_report *out);
/* The rest of policy_judge, for an evaluation that has begun. */
void eval_judge(struct eval *e, const struct policy_options *opt, struct verdict *out);
bool eval_cond(struct eval *e, const struct cond *c);
bool eval_all(struct eval *e, const struct cond *c, size_t n);
bool eval_any(struct eval *e, const struct cond *c, size_t n);
/* steps: left of the budget; it falls, and at 0 the answer means nothing. */
bool eval_file(const struct file_cond *f, const struct part *part, uint64_t *steps);
/* Why a condition does not hold, for near misses; true in *partly when it came close. */
struct span eval_why_not(struct eval *e, const struct cond *c, bool *partly);

/* --- facts.c: the moment, and what others have found out about inbound mail ---------- */

/* Is what the atom asks for known at all? */
/* For qsort and bsearch over spans: by their bytes. */
int span_order(const void *a, const void *b);
bool fact_known(const struct atom *a, const struct facts *f);
bool fact_ask(const struct eval *e, const struct atom *a);	/* before `negate` */
struct span fact_why(struct eval *e, const struct atom *a);

/* --- lists_of_senders.c: the entries that speak of a recipient ---------------------------- */

/* LISTED_BIT of those that count, for recipient i of the envelope. */
unsigned listed_mask(const struct facts *f, size_t i);
/* Where a class of recipients keeps it: the last word of its sets, which no set reaches. */
#define LISTED_WORD(e) ((e)->words - 1)
struct span listed_why(struct eval *e, const struct atom *a);

/* --- urls.c ------------------------------------------------------------------------- */

bool url_ask(struct eval *e, const struct atom *a);
bool sign_ask(struct eval *e, const struct atom *a);
struct span url_why_not(struct eval *e, const struct atom *a, bool *partly);
void url_evidence(struct eval *e, struct verdict *v);	/* its decisions are made */

bool glob_match(struct span glob, struct span name);	/* * and ?, without ASCII case */
bool eval_spend(struct eval *e, uint64_t steps);	/* false: the budget is gone */

/* --- expand.c: texts with variables ----------------------------------------------- */

/* x, between, y; y alone when x is empty. */
struct span text_join(struct arena *a, struct span x, const char *between, struct span y);
/* false, with the bad variable and its `$`, when the text names one there is not. */
bool expand_check(struct span text, struct span *bad);
/* One line: control characters become spaces, variables are bounded. */
struct span expand_text(struct eval *e, const struct rule *r, struct span text);
/* Several lines, as the text has them. */
struct span expand_lines(struct eval *e, const struct rule *r, struct span text);
/* The same in HTML: what variables hold is escaped. */
struct span expand_html(struct eval *e, const struct rule *r, struct span text);
extern const char *const expand_names[];	/* of the variables; NULL-terminated */
/* The same, in the ASCII an SMTP reply may hold (RFC 5321, 4.2), at most max bytes. */
struct span expand_reply(struct eval *e, const struct rule *r, struct span code,
    struct span text, size_t max);
#define REPLY_MAX 480		/* RFC 5321, 4.5.3.1.5: 512 with the code and CRLF */

/* --- edits.c ------------------------------------------------------------------------ */

bool effects_edit(const struct effects *t);	/* asks for a change of the message */
/* The edits of these rules together, sorted; *n may be 0. */
struct edit *edits_build(struct eval *e, const struct rule *const *rules, size_t nrules,
    size_t *n);

/* --- override.c: a sender's words that lift a rule --------------------------------- */

/* "[override: reason]" in a subject. */
bool override_find(struct span subject, struct span *token, struct span *reason);
/* May the sender, had he given a reason? */
bool override_offered(const struct eval *e, const struct rule *r);
/* The reasons a message gives, whoever may; empty: none. */
void override_words(const struct eval *e, struct span *header, struct span *subject);
/* Has the sender, who may, given a reason? */
bool override_given(const struct eval *e, const struct rule *r, struct span *reason);

/* --- templates.c -------------------------------------------------------------------- */

/* The language of the message (Content-Language), else the policy's. */
enum language language_of(const struct eval *e);
struct span texts_pick(const struct texts *t, enum language l);
/* The language that texts_pick takes for this one. */
enum language texts_language(const struct texts *t, enum language l);
/* A built-in template, or false. */
bool template_builtin(struct span name, struct texts *out);
extern const char *const template_names[];

/* --- manifest.c --------------------------------------------------------------------- */

uint64_t hash_spans(const struct span *v, size_t n);
uint64_t hash_numbers(uint64_t a, uint64_t b);
void manifest_build(struct policy *p, const struct span *packs, size_t npacks);

/* --- limits.c, lint.c, packs.c ------------------------------------------------------ */

/* Text of a pack, or NULL; the names for did-you-mean are NULL-terminated. */
const char *pack_text(struct span name);
bool pack_has_detector(struct span pack, const char *detector);
const char *pack_of_detector(const char *detector);
extern const char *const pack_names[];

#endif
