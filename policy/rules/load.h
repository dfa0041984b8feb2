/* load.h -- the loader's own structures; gone once the policy is compiled. */
#ifndef LOAD_H
#define LOAD_H

#include "conf.h"
#include "postern/fingerprint.h"
#include "rules.h"

struct pending {		/* an id seen, and where, for duplicates and did-you-mean */
	struct span id;
	const struct conf_node *node;
	void *value;
	struct pending *next;
};
struct pendings {
	struct pending *first, **tail;
	struct table *by_id;
	size_t n;
};

struct group {
	struct span name;
	const struct conf_node *node;	/* NULL: our own domains, from the configuration */
	uint32_t set;
	unsigned char state;	/* 0 untouched, 1 being read, 2 done */
	bool used;
};
struct network {
	struct span name;
	struct cidr *v;
	size_t n;
	bool used;
};
struct custom {			/* a detector of the policy */
	struct span id;
	struct conf_node *node;
	int index;		/* in the set, -1: broken */
	bool used;
	struct conf_node *samples;
	struct conf_node *pattern;	/* node of its regular expression, or NULL */
	struct conf_node *columns;	/* of exact data, or NULL */
};
struct pattern_src {		/* a regular expression, and where it stands */
	struct conf_node *node;
	int index;		/* of its detector */
	struct pattern_src *next;
};
struct rule_src {
	struct rule rule;
	const struct conf_node *node, *then, *when, *unless;
	uint32_t *exceptions;
	size_t nexceptions, capexceptions;
	const struct conf_node *outcome_nodes[OUTCOME_COUNT];
	uint32_t *detectors;
	size_t ndetectors, capdetectors;
	bool asks_virus, asks_suspect, asks_unscannable;
	bool made;		/* of the section `spam`: nobody wrote it as a rule */
	struct conf_node *strip_node, *redact_node, *override_node, *on_fail_node;
};
struct exception_src {
	struct exception ex;
	struct conf_node *node, *rules, *tags, *until;
	bool pack;		/* of a pack: a tag that no rule has is no mistake */
};

struct check_src {
	struct spam_check check;
	const struct conf_node *at, *node;	/* its value; its `when` */
	bool has_score, off, in_pack, bad;
};

struct load {
	struct policy *p;
	struct arena *a;	/* the policy's */
	struct arena *tmp;	/* dies with the load */
	const struct policy_env *env;
	struct diags *d;
	struct pendings groups, networks, schedules, customs, rules, profiles, checks, exceptions, limits;
	struct table *inline_sets, *atoms, *measures, *hidden, *files, *zones, *indexes;
	size_t cap_atoms, cap_measures;
	struct spans packs;	/* in use */
	struct span pack;	/* being read, else empty */
	struct rule_src *rule;	/* whose conditions are being read */
	const struct conf_node *on_scan_error, *on_unscannable, *spam, *asks_spam;
	struct spans protect;	/* `spam: {protect: …}` */
	bool asks_signs;
	struct rule_src *tags[3];	/* what tagging does to spam, suspected, marketing */
	struct pattern_src *patterns;
	uint64_t hash;
	uint64_t file_hash;	/* of the files read since it was cleared */
};

/* --- keys.c: the one table of keys -------------------------------------------------- */

enum section {
	SECTION_TOP, SECTION_DEFAULTS, SECTION_DETECTOR, SECTION_COLUMNS, SECTION_COLUMNS_ANY,
	SECTION_NEAR, SECTION_CONFIDENCE, SECTION_SCORE, SECTION_OVERLAP,
	SECTION_SAMPLES, SECTION_RULE, SECTION_WHEN, SECTION_NOT, SECTION_RANGE, SECTION_TEXT,
	SECTION_HEADER_TEXT, SECTION_VIRUS, SECTION_FINDS, SECTION_ATTACHMENT, SECTION_URL, SECTION_THEN, SECTION_HOLD, SECTION_QUARANTINE,
	SECTION_EXCEPTION, SECTION_SCHEDULE, SECTION_SPAM, SECTION_CLASSES, SECTION_TAGGING,
	SECTION_TAG, SECTION_PROFILE, SECTION_CHECK, SECTION_STRIP, SECTION_REDACT, SECTION_APPEND,
	SECTION_OVERRIDE, SECTION_LIMIT, SECTION_LIMIT_THEN, SECTION_LIMIT_EXEMPT, SECTION_TESTS,
	SECTION_TEST, SECTION_FACTS, SECTION_FACT_SPAM, SECTION_LISTED, SECTION_FACT_LISTING, SECTION_MESSAGE, SECTION_FILE,
	SECTION_EXPECT, SECTION_COUNT
};
enum key_type {
	KEY_TEXT, KEY_TEXTS, KEY_BOOL, KEY_UINT, KEY_SIZE, KEY_DURATION, KEY_DATE, KEY_ENUM,
	KEY_ID, KEY_NODE,	/* kept as it is, for the section's function */
	KEY_SHAPE		/* anything else: its function reads it, `shape` describes it */
};
typedef void key_fn(struct load *, struct conf_node *, void *);

struct key {
	enum section section;
	const char *name;
	enum key_type type;
	size_t offset;		/* of the field in the section's struct */
	key_fn *parse;		/* KEY_SHAPE */
	const char *const *names;	/* KEY_ENUM */
	const char *shape;	/* what may stand there, for the manual and JSON Schema */
	const char *deflt;	/* NULL: none */
	const char *help;
	bool later;		/* part of the language, not available in this version */
};
extern const struct key policy_keys[];
extern const size_t npolicy_keys;
const char *section_name(enum section s);
const char *section_id(enum section s);		/* "RULE", for the manual and the schema */
const char *key_type_words(enum key_type t);	/* "text", "yes or no"; for keys without a shape */

/* Reads a map by the table into obj. false when it is no map. */
bool keys_read(struct load *ld, struct conf_node *map, enum section s, void *obj);
/* Only the complaint about one key that is none of the section's. */
void keys_unknown(struct load *ld, const struct conf_node *node, enum section s);
/* NULL-terminated names of a section, those not available yet included. */
const char *const *keys_names(enum section s);
void keys_later(struct load *ld, const struct conf_node *node);	/* "not available in this version" */

bool schema_has(const struct key *k);	/* schema.c knows what may stand there */

/* The structs that sections without one of their own are read into. */
struct detector_src {
	struct conf_node *words, *pattern, *near, *confidence, *mask, *samples;
	struct conf_node *exact, *key, *columns;
	struct conf_node *lexicon, *score, *fingerprint, *overlap;
};
struct levels_src {
	struct conf_node *medium, *high;
};
struct score_src {
	struct levels_src levels;
	uint64_t distinct;
};
struct columns_src {
	struct conf_node *require, *any;
	uint64_t within;
};
struct columns_any_src {
	uint64_t min, within;
	struct conf_node *of;
};
struct near_src {
	struct spans words;
	uint64_t within;
};
struct confidence_src {
	int alone, near;
};
struct samples_src {
	struct conf_node *match, *no_match;
};
struct text_src {
	struct conf_node *words, *pattern;
	int present;		/* -1 not asked, else 0 or 1 */
};
struct range_src {
	struct conf_node *over, *under;
};
struct finds_src {
	uint64_t min;
	int count, confidence;
	unsigned where;
};
struct hold_src {
	struct span decider;
	int64_t expires;
	int on_expire;
	uint64_t approvals;
};
struct quarantine_src {
	struct span name;
	uint64_t approvals;
};
struct redact_src {
	struct redact_ask ask;
	int confidence;
};
struct schedule_src {
	struct conf_node *days, *from, *to, *zone, *holidays;
};
struct spam_src {
	int source;
	struct conf_node *classes, *tagging, *profiles, *domains, *checks, *protect, *people;
};
struct profile_src {
	int actions[3];		/* spam, suspected, marketing */
};
struct limit_src {
	struct limit_rule rule;
	int per;
	bool wait;
	const struct conf_node *allow, *then, *match;
};

struct test_src {
	struct span name, client, from, user, tls, listener, helo, virus;
	struct spans to;
	int direction;
	bool unscannable, scan_error;
	int64_t now;
	struct facts facts;
	struct conf_node *message, *as_if, *groups, *expect;
};
struct listing_src {		/* an entry of a list of senders, in the facts of a test */
	int scope, side;
	struct span to, what;
	bool counts;
};
struct message_src {
	struct conf_node *subject, *body, *html, *headers, *attachments, *eml, *same_as;
};
struct file_src {
	struct span name, type;
	struct conf_node *text, *base64, *file;
};
struct expect_src {
	struct conf_node *outcome, *rules, *shadow, *skipped, *reply, *queue, *subject, *header,
	    *redirect;
	struct conf_node *attachments, *contains, *lacks, *refused, *bcc, *notify, *overridden;
	struct conf_node *spam, *symbols;
};

/* --- shared readers ------------------------------------------------------------------ */

bool read_texts(struct load *ld, struct conf_node *n, const char *what, struct spans *out);
bool read_date(struct load *ld, struct conf_node *n, int64_t *us);	/* 0:00 UTC of that day */
bool parse_date(struct span s, int64_t *us);
bool read_id(struct load *ld, struct conf_node *n, struct span *out);
bool read_template(struct load *ld, struct conf_node *n, struct span *out);
bool read_range(struct load *ld, struct conf_node *n, bool sizes, struct range *out);
void pendings_init(struct pendings *l);
void pendings_free(struct pendings *l);
/* NULL, with an error, when the id stands already. */
struct pending *pendings_add(struct load *ld, struct pendings *l, const char *what,
    struct span id, const struct conf_node *node, void *value);
void *pendings_get(const struct pendings *l, struct span id);
/* The nearest id, or NULL. */
const char *pendings_nearest(struct load *ld, const struct pendings *l, struct span word);
const char *nearest_hint(struct load *ld, const char *nearest);	/* "did you mean `x`?" or NULL */
void load_hash(struct load *ld, struct span s);	/* into the policy's hash */
bool load_file(struct load *ld, const struct conf_node *at, struct span path, struct span *text);
/* The same, with a hint where it cannot be read. */
bool load_file_or(struct load *ld, const struct conf_node *at, struct span path, const char *hint,
    struct span *text);
/* Puts v into an array that grows in the arena. */
void push_u32(struct arena *a, uint32_t **v, size_t *n, size_t *cap, uint32_t x);

/* lists.c */
void groups_read(struct load *ld, struct conf_node *n, void *obj);
void networks_read(struct load *ld, struct conf_node *n, void *obj);
void lists_builtin(struct load *ld);	/* networks and our-domains of the configuration */
void lists_resolve(struct load *ld);	/* every group, also those nobody asks for */
/* A list of addresses and groups: the sets it is made of. false: an error was said. */
bool read_addresses(struct load *ld, struct conf_node *n, const uint32_t **sets, size_t *nsets);
bool read_cidrs(struct load *ld, struct conf_node *n, const struct cidr **v, size_t *nv);
/* What a group holds, as addrpattern_normalise() leaves it. */
struct spans group_members(struct load *ld, const struct group *g);
/* "group:dpo", "dpo" or an address: who decides. */
bool read_decider(struct load *ld, struct conf_node *n, struct span *out);

/* members.c: the group of a directory becomes part of a set. */
bool external_add(struct load *ld, const struct conf_node *at, struct span name, uint32_t set);
/* Those that stand in rules, for who reads no rules (limits_only) but has to ask for all of them. */
void externals_collect(struct load *ld, const struct conf_node *n);
/* Adds the id unless it is there; true: it was not. */
bool setlist_add(struct arena *a, struct setlist *l, uint32_t id);

/* load_detectors.c */
void detectors_read(struct load *ld, struct conf_node *n, void *obj);
void detectors_finish(struct load *ld);	/* compile, samples */
/* The name stands as the key of at, or as its value. -1: an error was said. */
int detector_resolve(struct load *ld, const struct conf_node *at, bool is_key, struct span name);
struct detectors *detector_set(struct load *ld);
/* load_graded.c; -1 when an error was said. */
int lexicon_read(struct load *ld, struct conf_node *n, struct span id, const struct detector_src *src,
    const struct detector_near *near, unsigned mask_last);
int fingerprint_read(struct load *ld, struct conf_node *n, struct span id,
    const struct detector_src *src);
void lint_graded(struct load *ld, const struct custom *u);
/* A detector of a condition alone; -1 when an error was said. */
int detector_hidden(struct load *ld, struct conf_node *words, struct conf_node *pattern);

/* load_exact.c: a detector of exact data, into the set. -1: an error was said. */
int exact_read(struct load *ld, struct conf_node *n, struct span id, const struct detector_src *src);
void lint_exact(struct load *ld, const struct custom *u);
void exact_release(struct policy *p);

/* load_conditions.c */
struct conds {			/* being collected */
	struct cond *v;
	size_t n, cap;
};
void conds_push(struct load *ld, struct conds *c, struct cond one);
/* The atom of that canonical spelling, made when it is new; releases key. */
struct cond atom_intern(struct load *ld, const struct atom *atom, struct buf *key);
void key_begin(struct buf *b, const char *what);
void key_texts(struct buf *b, const struct spans *s);
void when_read(struct load *ld, struct conf_node *n, const struct cond **v, size_t *nv);
void conds_sort(struct conds *c);
key_fn cond_from, cond_header_from, cond_to, cond_to_all, cond_client, cond_authenticated,
    cond_tls, cond_listener, cond_direction, cond_recipients, cond_size, cond_attachments,
    cond_subject, cond_header, cond_body, cond_text, cond_finds, cond_attachment, cond_virus,
    cond_unscannable, cond_encrypted, cond_defect;
void cond_bool(struct load *ld, struct conf_node *n, struct conds *c, enum atom_kind kind, const char *name);
/* {not: ...}: what is turned, or n itself. NULL, with an error, when there is more in it. */
struct conf_node *unwrap_not(struct load *ld, struct conf_node *n, bool *negate);
struct cond header_present_cond(struct load *ld, struct span name);
key_fn file_type, file_names, file_extensions, file_size, file_depth, file_encrypted,
    file_mismatch, virus_kind;
key_fn finds_where, text_present;

/* load_urls.c */
key_fn cond_url, url_host, url_lookalike, url_listed, url_text_mismatch, fact_listed;

/* load_schedules.c */
key_fn schedules_read, cond_schedule, test_now;

/* load_facts.c */
extern const char *const spam_names[];
key_fn cond_arc, cond_dmarc_policy, fact_arc, fact_dmarc_policy;
key_fn cond_listed, listed_scope, listed_side, fact_lists;
void signs_protect(struct load *ld, struct conf_node *n);
void signs_people(struct load *ld, struct conf_node *n);
void signs_finish(struct load *ld);
key_fn cond_experience, cond_sign, fact_experience, fact_reverse, fact_helo, fact_proved;
key_fn cond_bounce, fact_bounce;
key_fn cond_spf, cond_dkim, cond_dmarc, cond_dnsbl, cond_spam, cond_reputation, cond_bayes;
key_fn fact_spf, fact_dkim, fact_dmarc, fact_dnsbl, fact_spam, fact_reputation, fact_bayes, fact_score,
    fact_symbols, fact_class, test_facts;
bool parse_score(struct span s, double *v);
struct cond spam_cond(struct load *ld, unsigned classes, bool negate);

/* load_spam.c */
extern const char *const spam_actions[], *const spam_sources[];
key_fn spam_read, spam_class_spam, spam_class_suspected, spam_class_marketing, tagging_spam,
    tagging_suspected, tagging_marketing;
void spam_defaults(struct load *ld);	/* classes where no section says them */

/* load_checks.c */
key_fn check_when, check_score, check_title;
void checks_read(struct load *ld, struct conf_node *n);
void checks_finish(struct load *ld);

/* load_rules.c */
key_fn rules_read, rule_title, rule_when, rule_unless, rule_then;
key_fn then_reject, then_defer, then_hold, then_quarantine, then_discard, then_redirect,
    then_deliver, then_add_header, then_remove_header, then_prefix_subject,
    then_require_tls;
key_fn hold_for;
void rules_finish(struct load *ld);	/* sort, exceptions, signals */
extern const char *const mode_names[], *const severity_names[], *const direction_names[],
    *const confidence_names[];

/* load_exceptions.c */
key_fn exceptions_read, exception_when;
void exception_resolve(struct load *ld, struct exception_src *x, uint32_t e);

/* signals.c */
void signals_build(struct load *ld);

/* load_actions.c */
key_fn then_strip, then_redact, then_append, then_notify, then_bcc, then_override, then_on_fail;
key_fn strip_matching, strip_notice_read, redact_detectors, redact_with, append_text_read,
    append_html_read, override_allow, override_justification, override_until, hold_approvals,
    quarantine_approvals,
    default_language, default_languages;
/* templates/NAME.LANG.txt of the policy folder, templates/NAME.txt, or the built-in one. */
/* load_templates.c. file NULL: the text stands at the node. */
bool text_check(struct load *ld, const struct conf_node *at, const struct conf_file *file, struct span s);
/* html: NULL where none may stand. */
bool template_read(struct load *ld, const struct conf_node *n, struct span word, struct span *name,
    struct texts *out, struct texts *html);

/* load_people.c: hold.approvals: who they are. */
void approvers_read(struct load *ld, struct conf_node *n, struct rule_src *src, uint64_t approvals);
/* What of a rule's actions does not fit the rest of it. */
void actions_check(struct load *ld, struct rule_src *src);

/* limits.c */
key_fn limits_read, limit_allow, limit_then, limit_reject, limit_defer, limit_hold,
    limit_match, limit_wait, limit_exempt_list, limit_exempt_until;

/* load.c */
key_fn use_read, defaults_read, version_read, default_scan_error, default_unscannable;

/* policy_tests.c */
key_fn tests_nothing;

/* lint_pattern.c: a text on which the pattern takes exponential time, or an empty span. It is
 * proved: the detector has given up on it. */
struct span pattern_attack(struct load *ld, const struct pattern_src *p);

/* lint.c: warnings about what is legal and surely not meant */
void policy_lint(struct load *ld);

#endif
