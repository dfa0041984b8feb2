/* keys.c -- the one table of keys of the policy language.
 *
 * Each row is a key: where it stands, what it takes, its default, what it
 * means. The parser, the did-you-mean, the manual's tables and the JSON Schema
 * all read this table; nothing else lists keys. A key that belongs to the
 * language but that nothing enforces yet says so (`later`): an administrator
 * who writes it is told, a rule that would silently do nothing is never
 * accepted.
 */
#include <stddef.h>

#include "load.h"

const char *const mode_names[] = { "off", "shadow", "enforce", NULL };
const char *const severity_names[] = { "low", "medium", "high", "critical", NULL };
const char *const direction_names[] = { "any", "outbound", "inbound", NULL };
const char *const confidence_names[] = { "low", "medium", "high", NULL };
static const char *const count_names[] = { "distinct", "all", NULL };
static const char *const expire_names[] = { "reject", "quarantine", "discard", "deliver", "release",
	"delete", NULL };
static const char *const per_names[] = { "client", "sender", "sender_domain", "user", "destination",
	NULL };

#define ROW(s, k, t, o, f, n, sh, d, h) { SECTION_##s, k, t, o, f, n, sh, d, h, false }
#define SHAPE(s, k, f, sh, d, h) ROW(s, k, KEY_SHAPE, 0, f, NULL, sh, d, h)
#define FIELD(s, k, t, st, m, d, h) ROW(s, k, t, offsetof(struct st, m), NULL, NULL, NULL, d, h)
#define NODE(s, k, st, m, sh, d, h) ROW(s, k, KEY_NODE, offsetof(struct st, m), NULL, NULL, sh, d, h)
#define ENUM(s, k, st, m, n, d, h) ROW(s, k, KEY_ENUM, offsetof(struct st, m), NULL, n, NULL, d, h)
#define ACTION(k, i, h) { SECTION_PROFILE, k, KEY_ENUM, offsetof(struct profile_src, actions[i]), NULL, \
	spam_actions, NULL, NULL, h, false }
#define LATER(s, k, sh, h) { SECTION_##s, k, KEY_SHAPE, 0, NULL, NULL, sh, NULL, h, true }

#define S_ADDRESSES "address, domain, .domain or group:NAME; a list of them; or {not: ...}"
#define S_RANGE "{over: N}, {under: N}"
#define S_CLASS "\">= N\", \"> N\", symbol NAME; a list of which one is enough"
#define S_RESULTS "none, pass, fail, softfail, neutral, temperror, permerror, policy"
#define S_RESULT "none, pass, fail, softfail, neutral, temperror, permerror, policy; a list of them, {not: ...}"
#define S_TEXT "{words: [...]} or {pattern: '...'}"

const struct key policy_keys[] = {
	SHAPE(TOP, "version", version_read, "1", "1", "version of the language"),
	SHAPE(TOP, "use", use_read, "list of packs", NULL, "packs of detectors and rules to load"),
	SHAPE(TOP, "defaults", defaults_read, "map", NULL, "what holds where no rule speaks"),
	SHAPE(TOP, "networks", networks_read, "map of lists of addresses and CIDRs", NULL, "names for networks"),
	SHAPE(TOP, "groups", groups_read, "map of lists of addresses", NULL, "names for lists of addresses"),
	SHAPE(TOP, "schedules", schedules_read, "map of schedules", NULL, "names for times of the week"),
	SHAPE(TOP, "detectors", detectors_read, "map of detectors", NULL, "what to look for in texts"),
	SHAPE(TOP, "rules", rules_read, "list of rules", NULL, "what to do with which messages"),
	SHAPE(TOP, "exceptions", exceptions_read, "list of exceptions", NULL, "where rules do not hold, and until when"),
	SHAPE(TOP, "limits", limits_read, "list of limits", NULL, "how much anyone may send in a time"),
	SHAPE(TOP, "spam", spam_read, "map", NULL, "classes of spam, and what each domain does with them"),

	SHAPE(DEFAULTS, "on_scan_error", default_scan_error, "defer, reject, hold, quarantine", "defer",
	    "outcome when the antivirus does not answer"),
	SHAPE(DEFAULTS, "on_unscannable", default_unscannable, "hold, quarantine, reject, defer, deliver", "hold",
	    "outcome when something could not be looked into"),
	SHAPE(DEFAULTS, "language", default_language, "en or fr", "en",
	    "of texts for people, where the message tells none"),
	SHAPE(DEFAULTS, "languages", default_languages, "{fr: addresses, en: addresses}", NULL,
	    "who is told in which language, whatever the message says"),
	FIELD(DEFAULTS, "contact", KEY_TEXT, policy, contact, NULL, "address of the people who decide about what is held by default"),

	NODE(DETECTOR, "words", detector_src, words, "list of words and phrases", NULL,
	    "whole words, any case, accents folded"),
	NODE(DETECTOR, "pattern", detector_src, pattern, "regular expression (PCRE2) in single quotes", NULL,
	    "what a match looks like"),
	NODE(DETECTOR, "lexicon", detector_src, lexicon, "file:PATH, or {word: weight}", NULL,
	    "weighted words; a file has a word, a tab and a weight in each line"),
	NODE(DETECTOR, "score", detector_src, score, "{medium: N, high: N, distinct: N}", NULL,
	    "from what sum of weights on a lexicon is how sure"),
	NODE(DETECTOR, "fingerprint", detector_src, fingerprint, "dir:PATH", NULL,
	    "documents whose passages are recognised, as `postern fingerprint` has indexed them"),
	NODE(DETECTOR, "overlap", detector_src, overlap, "{medium: N%, high: N%}", "{medium: 30%, high: 60%}",
	    "from what share of a document on fingerprints are how sure"),
	NODE(DETECTOR, "exact", detector_src, exact, "file:PATH", NULL,
	    "index of exact data, made by `postern edm build`"),
	NODE(DETECTOR, "key", detector_src, key, "file:PATH", "beside the index",
	    "the key the index was made with"),
	NODE(DETECTOR, "columns", detector_src, columns, "{require: [...], any: {min: N, of: [...]}, within: N}", NULL,
	    "columns of which the values of one row must stand together"),
	NODE(DETECTOR, "near", detector_src, near, "{words: [...], within: N}", NULL,
	    "words that raise the confidence of a match"),
	NODE(DETECTOR, "confidence", detector_src, confidence, "low, medium, high or {alone: ..., near: ...}",
	    "{alone: medium, near: high}", "how sure a match is"),
	NODE(DETECTOR, "mask", detector_src, mask, "last-N or all", "last-2", "how much of a match evidence shows"),
	NODE(DETECTOR, "samples", detector_src, samples, "{match: [...], no_match: [...]}", NULL,
	    "texts tried at every load; one that fails refuses the policy"),
	NODE(COLUMNS, "require", columns_src, require, "list of columns", NULL, "all of these must be found"),
	NODE(COLUMNS, "any", columns_src, any, "{min: N, of: [...], within: N}", NULL,
	    "so many of these, too"),
	FIELD(COLUMNS, "within", KEY_UINT, columns_src, within, "300", "characters between the values of a row, at most"),
	FIELD(COLUMNS_ANY, "min", KEY_UINT, columns_any_src, min, "1", "how many"),
	NODE(COLUMNS_ANY, "of", columns_any_src, of, "list of columns", NULL, "of which columns"),
	FIELD(COLUMNS_ANY, "within", KEY_UINT, columns_any_src, within, "300", "the same as one level above"),
	NODE(SCORE, "medium", score_src, levels.medium, "number", NULL, "from this sum on"),
	NODE(SCORE, "high", score_src, levels.high, "number", NULL, "from this sum on"),
	FIELD(SCORE, "distinct", KEY_UINT, score_src, distinct, "1",
	    "different words there must be, for medium as for high"),
	NODE(OVERLAP, "medium", levels_src, medium, "share, as in 30%", NULL, "from this overlap on"),
	NODE(OVERLAP, "high", levels_src, high, "share, as in 60%", NULL, "from this overlap on"),
	FIELD(NEAR, "words", KEY_TEXTS, near_src, words, NULL, "words of which one must stand near"),
	FIELD(NEAR, "within", KEY_UINT, near_src, within, "60", "characters between match and word, at most"),
	ENUM(CONFIDENCE, "alone", confidence_src, alone, confidence_names, "medium", "without a word near"),
	ENUM(CONFIDENCE, "near", confidence_src, near, confidence_names, "high", "with a word near"),
	NODE(SAMPLES, "match", samples_src, match, "list of texts", NULL, "must be found"),
	NODE(SAMPLES, "no_match", samples_src, no_match, "list of texts", NULL, "must not be found"),

	FIELD(RULE, "id", KEY_ID, rule, id, NULL, "its name, once in the policy"),
	SHAPE(RULE, "title", rule_title, "text, or texts by language", NULL, "for people"),
	ENUM(RULE, "direction", rule, direction, direction_names, "any", "mail that leaves or mail that comes in"),
	ENUM(RULE, "severity", rule, severity, severity_names, "medium", "whose text wins, and how loud it is"),
	FIELD(RULE, "tags", KEY_TEXTS, rule, tags, NULL, "words to find rules by"),
	ENUM(RULE, "mode", rule, mode, mode_names, "enforce", "shadow: evaluated and recorded, without effect"),
	FIELD(RULE, "review_by", KEY_DATE, rule, review_by, NULL, "when to look at it again; shadow needs it"),
	SHAPE(RULE, "when", rule_when, "conditions, which must all hold", NULL, "without: every message"),
	SHAPE(RULE, "unless", rule_unless, "conditions, of which one is enough", NULL, "cancels the rule"),
	SHAPE(RULE, "then", rule_then, "outcome and modifications", NULL, "what happens"),

	SHAPE(WHEN, "from", cond_from, S_ADDRESSES, NULL, "the envelope sender is in the list"),
	SHAPE(WHEN, "header_from", cond_header_from, S_ADDRESSES, NULL, "the address in From: is in the list"),
	SHAPE(WHEN, "to", cond_to, S_ADDRESSES, NULL, "this recipient is in the list"),
	SHAPE(WHEN, "to_all", cond_to_all, S_ADDRESSES, NULL, "every recipient is in the list; with not: none is"),
	SHAPE(WHEN, "client", cond_client, "address, CIDR, network:NAME, a list, {not: ...}", NULL,
	    "the peer's address is in the list"),
	SHAPE(WHEN, "authenticated", cond_authenticated, "true, false or user names", NULL,
	    "the session logged in"),
	SHAPE(WHEN, "tls", cond_tls, "true or false", NULL, "the session is encrypted"),
	SHAPE(WHEN, "listener", cond_listener, "name or list", NULL, "the listener of postern.yaml it came by"),
	SHAPE(WHEN, "direction", cond_direction, "outbound or inbound", NULL, "as the rule's own `direction`"),
	SHAPE(WHEN, "recipients", cond_recipients, S_RANGE, NULL, "their number"),
	SHAPE(WHEN, "size", cond_size, "{over: SIZE}, {under: SIZE}", NULL, "of the whole message"),
	SHAPE(WHEN, "attachments", cond_attachments, S_RANGE, NULL, "their number"),
	SHAPE(WHEN, "subject", cond_subject, S_TEXT, NULL, "in the subject"),
	SHAPE(WHEN, "header", cond_header, "{Name: " S_TEXT "}", NULL, "in that header, any of its occurrences"),
	SHAPE(WHEN, "body", cond_body, S_TEXT, NULL, "in the body's texts"),
	SHAPE(WHEN, "text", cond_text, S_TEXT, NULL, "in all visible text: subject, body and attachments"),
	SHAPE(WHEN, "finds", cond_finds, "detectors, any: [...], all: [...]", NULL, "what detectors found"),
	SHAPE(WHEN, "attachment", cond_attachment, "map", NULL, "one file has all of these"),
	SHAPE(WHEN, "virus", cond_virus, "true, false, or {kind: ...}", NULL, "the antivirus found malware, or something of these kinds"),
	SHAPE(WHEN, "unscannable", cond_unscannable, "true or false", NULL, "something could not be looked into"),
	SHAPE(WHEN, "encrypted", cond_encrypted, "true or false", NULL, "some part is encrypted"),
	SHAPE(WHEN, "defect", cond_defect, "name or list", NULL, "the message breaks the format in this way"),
	SHAPE(WHEN, "spf", cond_spf, S_RESULT, NULL, "inbound: SPF of the envelope sender"),
	SHAPE(WHEN, "dkim", cond_dkim, S_RESULT, NULL, "inbound: the best of the signatures"),
	SHAPE(WHEN, "dmarc", cond_dmarc, S_RESULT, NULL, "inbound: DMARC of the From: domain"),
	SHAPE(WHEN, "dmarc_policy", cond_dmarc_policy, "none, quarantine, reject; a list of them, {not: ...}", NULL,
	    "inbound: what the domain of From: asks for a message that fails DMARC"),
	SHAPE(WHEN, "arc", cond_arc, S_RESULT, NULL, "inbound: the chain of forwarders' seals"),
	SHAPE(WHEN, "bounce", cond_bounce, "valid, expired, forged, untagged, grace; a list of them, {not: ...}", NULL,
	    "inbound: null sender: is it a bounce of what we sent, by the tag of its recipient (BATV)?"),
	SHAPE(WHEN, "dnsbl", cond_dnsbl, "true, name or list of names, {not: ...}", NULL,
	    "inbound: the client is on that blocklist; true: on any"),
	SHAPE(WHEN, "spam", cond_spam, "spam, suspected, marketing, ham, symbol NAME; a list of them, {not: ...}", NULL,
	    "inbound: the class of the section `spam`, or a check that hit"),
	SHAPE(WHEN, "reputation", cond_reputation, S_RANGE, NULL,
	    "inbound: of the client, 0 the worst to 100 the best"),
	SHAPE(WHEN, "listed", cond_listed, "map, or {not: ...}", NULL,
	    "inbound: an entry of the lists of senders speaks of it, for this recipient (docs/LISTS.md)"),
	SHAPE(WHEN, "bayes", cond_bayes, S_RANGE, NULL,
	    "inbound: what the learning classifier says, 0 ham to 100 spam; unknown until it has learnt enough"),
	SHAPE(WHEN, "experience", cond_experience, S_RANGE, NULL,
	    "inbound: our own with the client and the author's domain, 0 the worst, 50 a stranger, 100 the best"),
	SHAPE(WHEN, "sign", cond_sign, "name, list of names, {not: ...}", NULL,
	    "header, session or make of the message bear that sign: see below"),
	SHAPE(WHEN, "url", cond_url, "map, all of the same link", NULL, "a link of the message is like that"),
	SHAPE(WHEN, "schedule", cond_schedule, "name, list of names, {not: ...}", NULL,
	    "the moment falls in it"),

	SHAPE(VIRUS, "kind", virus_kind, "malware, phishing, macro, heuristic, pua; a list", NULL, "what was found"),
	SHAPE(LISTED, "scope", listed_scope, "all, domain, user; a list", "all three",
	    "whose: the administrators', the recipient's domain's, his own"),
	SHAPE(LISTED, "list", listed_side, "allow, block", "both", "which of the two"),
	NODE(RANGE, "over", range_src, over, "number or size", NULL, "more than"),
	NODE(RANGE, "under", range_src, under, "number or size", NULL, "less than"),
	NODE(TEXT, "words", text_src, words, "word or list", NULL, "whole words, any case, accents folded"),
	NODE(TEXT, "pattern", text_src, pattern, "regular expression (PCRE2) in single quotes", NULL,
	    "what it looks like"),
	NODE(HEADER_TEXT, "words", text_src, words, "word or list", NULL, "whole words, any case, accents folded"),
	NODE(HEADER_TEXT, "pattern", text_src, pattern, "regular expression (PCRE2) in single quotes", NULL,
	    "what it looks like"),
	SHAPE(HEADER_TEXT, "present", text_present, "true or false", NULL, "the header stands, or does not"),
	FIELD(FINDS, "min", KEY_UINT, finds_src, min, "1", "so many at least"),
	ENUM(FINDS, "count", finds_src, count, count_names, "distinct", "different values, or all of them"),
	ENUM(FINDS, "confidence", finds_src, confidence, confidence_names, "low", "at least so sure"),
	SHAPE(FINDS, "in", finds_where, "subject, body, attachment, header; a list", "all four", "where to look"),
	SHAPE(ATTACHMENT, "type", file_type, "type or class, or a list", NULL, "true type, by content"),
	SHAPE(ATTACHMENT, "name", file_names, "glob or list", NULL, "its name; * and ? stand for anything"),
	SHAPE(ATTACHMENT, "extension", file_extensions, "extension or list", NULL, "last extension of its name"),
	SHAPE(ATTACHMENT, "size", file_size, "{over: SIZE}, {under: SIZE}", NULL, "decoded"),
	SHAPE(ATTACHMENT, "encrypted", file_encrypted, "true, false, or kinds: zip, zip-aes, 7z, pdf, ooxml, …", NULL,
	    "it can only be opened with a key"),
	SHAPE(ATTACHMENT, "mismatch", file_mismatch, "true or false", NULL, "its name says one type, its bytes another"),
	SHAPE(ATTACHMENT, "depth", file_depth, "N, or {over: N}, {under: N}", NULL, "levels of nesting above it; N: at most"),

	SHAPE(URL, "host", url_host, "host, .host or group:NAME; a list of them; or {not: ...}", NULL,
	    "it leads to one of these"),
	SHAPE(URL, "lookalike_of", url_lookalike, "host or group:NAME, or a list", NULL,
	    "its host is taken for one of these by people, and is none of them"),
	SHAPE(URL, "listed", url_listed, "true or false", NULL, "inbound: its host is on a blocklist"),
	SHAPE(URL, "text_mismatch", url_text_mismatch, "true or false", NULL,
	    "its text shows a host of somebody else"),

	SHAPE(THEN, "reject", then_reject, "\"5.7.1 text\" or true", NULL, "refused; the sender is told the text"),
	SHAPE(THEN, "defer", then_defer, "\"4.7.1 text\" or true", NULL, "refused for now; the sender tries again"),
	SHAPE(THEN, "hold", then_hold, "group or address, or {for: ..., expires: ..., on_expire: ...}", NULL,
	    "waits until these people decide"),
	SHAPE(THEN, "quarantine", then_quarantine, "name, true, or {name: ..., approvals: ...}", NULL, "kept away"),
	SHAPE(THEN, "discard", then_discard, "true", NULL, "dropped, and journalled"),
	SHAPE(THEN, "redirect", then_redirect, "address or list", NULL, "goes to these instead"),
	SHAPE(THEN, "deliver", then_deliver, "true", NULL, "goes its way, as without a rule"),
	SHAPE(THEN, "strip_attachment", then_strip, "this, or {matching: this or conditions, notice: template}", NULL,
	    "takes files out, and leaves a notice in their place"),
	SHAPE(THEN, "redact", then_redact, "this, detectors, or {detectors: ..., with: ...}", NULL,
	    "blackens what matched, in text parts"),
	SHAPE(THEN, "append_text", then_append, "text, {en: text, fr: text}, or {text: ..., html: ...}", NULL,
	    "adds a text to the body"),
	SHAPE(THEN, "on_fail", then_on_fail, "deliver, quarantine, hold, defer, reject", "deliver",
	    "outcome when a part cannot be stripped, redacted or appended to"),
	SHAPE(THEN, "add_header", then_add_header, "{Name: text}", NULL, "adds header fields on top"),
	SHAPE(THEN, "remove_header", then_remove_header, "name or list; * may end it", NULL, "takes header fields away"),
	SHAPE(THEN, "prefix_subject", then_prefix_subject, "text", NULL, "put before the subject, never twice"),
	SHAPE(THEN, "require_tls", then_require_tls, "opportunistic, encrypted, verified, dane", NULL,
	    "how well the way out must be protected"),
	SHAPE(THEN, "notify", then_notify, "sender, recipient, admin, addresses, groups, or {who: template}", NULL,
	    "who is told"),
	SHAPE(THEN, "bcc", then_bcc, "address, group:NAME or list", NULL, "who gets a copy of it as it was received"),
	SHAPE(THEN, "override", then_override, "{allow: group:NAME}", NULL,
	    "senders who may lift this rule by giving a reason"),
	SHAPE(HOLD, "for", hold_for, "group or address", NULL, "who decides"),
	FIELD(HOLD, "expires", KEY_DURATION, hold_src, expires, "never", "how long it waits"),
	ENUM(HOLD, "on_expire", hold_src, on_expire, expire_names, "reject", "what happens then"),
	SHAPE(HOLD, "approvals", hold_approvals, "1 or 2", NULL,
	    "so many persons of the group must approve; they are asked by mail"),
	FIELD(QUARANTINE, "name", KEY_ID, quarantine_src, name, "quarantine", "which quarantine"),
	SHAPE(QUARANTINE, "approvals", quarantine_approvals, "1 or 2", "1",
	    "so many persons must release it, none of them the sender"),

	FIELD(EXCEPTION, "id", KEY_ID, exception, id, NULL, "its name, once in the policy"),
	NODE(EXCEPTION, "rules", exception_src, rules, "id or list", NULL, "which rules do not hold"),
	NODE(EXCEPTION, "tags", exception_src, tags, "tag or list", NULL, "or all rules with one of these tags"),
	SHAPE(EXCEPTION, "when", exception_when, "conditions, which must all hold", NULL, "for which messages"),
	FIELD(EXCEPTION, "reason", KEY_TEXT, exception, reason, NULL, "why, for those who read it later"),
	NODE(EXCEPTION, "until", exception_src, until, "date", NULL, "last day on which it holds"),

	NODE(SCHEDULE, "days", schedule_src, days, "mon to sun, as in mon-fri, or a list", "mon-sun",
	    "days on which it begins"),
	NODE(SCHEDULE, "from", schedule_src, from, "\"HH:MM\"", "00:00", "when it begins"),
	NODE(SCHEDULE, "to", schedule_src, to, "\"HH:MM\"", "24:00",
	    "when it ends; before `from`: on the day after"),
	NODE(SCHEDULE, "zone", schedule_src, zone, "as in Europe/Paris, or UTC", NULL, "by whose clocks"),
	NODE(SCHEDULE, "holidays", schedule_src, holidays, "date or list", NULL, "days on which it does not begin"),

	ENUM(SPAM, "source", spam_src, source, spam_sources, "built-in", "who rates mail"),
	NODE(SPAM, "classes", spam_src, classes, "map", NULL, "which score or symbol makes which class"),
	NODE(SPAM, "tagging", spam_src, tagging, "map", NULL, "how each class is tagged"),
	NODE(SPAM, "profiles", spam_src, profiles, "map of profiles", NULL,
	    "what happens to each class; six are there without being written"),
	NODE(SPAM, "domains", spam_src, domains, "map of domains to profiles", "{default: prudent}",
	    "the profile of each recipient's domain; `default` for all others"),
	NODE(SPAM, "protect", spam_src, protect, "list of domains", NULL,
	    "names that no sender may look like, beside ours and well-known ones; whoever is one is like none"),
	NODE(SPAM, "people", spam_src, people, "list of `Name <address>`", NULL,
	    "people in whose name only their addresses may write"),
	NODE(SPAM, "checks", spam_src, checks, "map: NAME: {score, when}, NAME: off, NAME: score", NULL,
	    "built-in: what makes mail look like spam, and how much"),
	SHAPE(CHECK, "score", check_score, "number", NULL, "what it adds; below zero it takes away"),
	SHAPE(CHECK, "when", check_when, "map", NULL, "conditions; all must hold, of the message as a whole"),
	SHAPE(CHECK, "title", check_title, "text, or {en: ..., fr: ...}", NULL, "what it says of the message, for people"),
	SHAPE(CLASSES, "spam", spam_class_spam, S_CLASS, "\">= 12\"", "surely spam"),
	SHAPE(CLASSES, "suspected", spam_class_suspected, S_CLASS, "\">= 6\"", "perhaps spam"),
	SHAPE(CLASSES, "marketing", spam_class_marketing, S_CLASS, "symbol BULK", "bulk mail"),
	SHAPE(TAGGING, "spam", tagging_spam, "map", NULL, "how spam is tagged"),
	SHAPE(TAGGING, "suspected", tagging_suspected, "map", NULL, "how suspected spam is tagged"),
	SHAPE(TAGGING, "marketing", tagging_marketing, "map", NULL, "how marketing is tagged"),
	SHAPE(TAG, "add_header", then_add_header, "{Name: text}", NULL,
	    "header fields on top; those of that name that came in are removed"),
	SHAPE(TAG, "prefix_subject", then_prefix_subject, "text", NULL, "put before the subject, never twice"),
	ACTION("spam", 0, "what happens to spam"),
	ACTION("suspected", 1, "what happens to suspected spam"),
	ACTION("marketing", 2, "what happens to marketing"),

	FIELD(LIMIT, "id", KEY_ID, limit_rule, id, NULL, "its name, once in the policy"),
	ENUM(LIMIT, "per", limit_src, per, per_names, NULL, "what is counted for each of"),
	SHAPE(LIMIT, "match", limit_match, "address, domain or .domain, for clients address or network; a list", NULL,
	    "counts these alone; a limit per destination needs it"),
	SHAPE(LIMIT, "allow", limit_allow, "N messages / TIME, N recipients / TIME, "
	    "N unique recipients / TIME, N invalid recipients / TIME, N connections", NULL,
	    "how much may pass"),
	SHAPE(LIMIT, "exempt", limit_exempt_list, "list of {match, owner, until, reason}", NULL,
	    "whom it does not count, on whose word, and until when"),
	SHAPE(LIMIT, "then", limit_then, "defer, reject, wait, {hold: ...}, {lock: 1h}", "defer",
	    "what happens above it; per destination: wait"),
	SHAPE(LIMIT_THEN, "reject", limit_reject, "true", NULL, "refused"),
	SHAPE(LIMIT_THEN, "defer", limit_defer, "true", NULL, "refused for now"),
	SHAPE(LIMIT_THEN, "hold", limit_hold, "group or address, or {for: ...}", NULL, "waits until these people decide"),
	FIELD(LIMIT_THEN, "lock", KEY_DURATION, limit_src, rule.lock, NULL,
	    "who went above it is refused for this time"),
	FIELD(LIMIT_THEN, "notify", KEY_TEXT, limit_src, rule.notify, NULL,
	    "address that the notice in log and journal names"),
	FIELD(LIMIT_EXEMPT, "match", KEY_TEXT, limit_exempt, match, NULL,
	    "address, domain or .domain; for clients an address or network"),
	FIELD(LIMIT_EXEMPT, "owner", KEY_TEXT, limit_exempt, owner, NULL, "who answers for it"),
	FIELD(LIMIT_EXEMPT, "reason", KEY_TEXT, limit_exempt, reason, NULL, "why, for those who read it later"),
	SHAPE(LIMIT_EXEMPT, "until", limit_exempt_until, "date", NULL, "last day on which it holds"),
	SHAPE(LIMIT_THEN, "wait", limit_wait, "true", NULL, "per destination: messages wait in the queue"),

	SHAPE(TESTS, "version", version_read, "1", "1", "version of the language"),
	SHAPE(TESTS, "tests", tests_nothing, "list of tests", NULL, "messages and what becomes of them"),
	FIELD(TEST, "name", KEY_TEXT, test_src, name, NULL, "what it shows"),
	ENUM(TEST, "direction", test_src, direction, direction_names, "outbound", "mail that leaves or comes in"),
	FIELD(TEST, "client", KEY_TEXT, test_src, client, NULL, "address of the peer"),
	FIELD(TEST, "from", KEY_TEXT, test_src, from, NULL, "envelope sender; <> for none"),
	FIELD(TEST, "to", KEY_TEXTS, test_src, to, NULL, "recipients"),
	FIELD(TEST, "authenticated", KEY_TEXT, test_src, user, NULL, "user who logged in"),
	FIELD(TEST, "tls", KEY_TEXT, test_src, tls, NULL, "as in TLSv1.3"),
	FIELD(TEST, "listener", KEY_TEXT, test_src, listener, NULL, "listener it came by"),
	FIELD(TEST, "helo", KEY_TEXT, test_src, helo, NULL, "name the peer gave"),
	SHAPE(TEST, "now", test_now, "2027-03-01 or 2027-03-01 14:30, in UTC", "now", "the moment at which it happens"),
	SHAPE(TEST, "facts", test_facts, "map", NULL, "what is known of inbound mail"),
	FIELD(TEST, "virus", KEY_TEXT, test_src, virus, NULL, "the antivirus finds this"),
	FIELD(TEST, "unscannable", KEY_BOOL, test_src, unscannable, "false", "the antivirus cannot look into it"),
	FIELD(TEST, "scan_error", KEY_BOOL, test_src, scan_error, "false", "the antivirus does not answer"),
	NODE(TEST, "message", test_src, message, "map", NULL, "the message"),
	NODE(TEST, "as_if", test_src, as_if, "map of rule ids to modes", NULL, "modes for this test"),
	NODE(TEST, "groups", test_src, groups, "map of groups to lists of addresses", NULL,
	    "who is in a group that stands in a directory, and nobody else"),
	NODE(TEST, "expect", test_src, expect, "map of recipients", NULL, "what becomes of it; `all` for every recipient"),
	SHAPE(FACTS, "spf", fact_spf, S_RESULTS, NULL, "result of SPF"),
	SHAPE(FACTS, "dkim", fact_dkim, S_RESULTS, NULL, "result of DKIM"),
	SHAPE(FACTS, "dmarc", fact_dmarc, S_RESULTS, NULL, "result of DMARC"),
	SHAPE(FACTS, "dmarc_policy", fact_dmarc_policy, "none, quarantine, reject", "none", "what the domain asks for"),
	SHAPE(FACTS, "arc", fact_arc, S_RESULTS, NULL, "result of ARC"),
	SHAPE(FACTS, "bounce", fact_bounce, "valid, expired, forged, untagged, grace", NULL, "a null sender's recipient has a tag of ours"),
	SHAPE(FACTS, "dnsbl", fact_dnsbl, "list of names", NULL, "blocklists the client is on; [] none"),
	SHAPE(FACTS, "listed", fact_listed, "list of hosts", NULL, "hosts of links that are on a blocklist; [] none"),
	SHAPE(FACTS, "spam", fact_spam, "map, or a class", NULL, "what the spam filter says"),
	SHAPE(FACTS, "reputation", fact_reputation, "0 to 100", NULL, "of the client"),
	SHAPE(FACTS, "lists", fact_lists, "list of entries; [] none", NULL, "entries of the lists of senders that speak of it"),
	ENUM(FACT_LISTING, "scope", listing_src, scope, list_scope_names, "all", "whose entry"),
	ENUM(FACT_LISTING, "list", listing_src, side, list_side_names, "allow", "which list"),
	FIELD(FACT_LISTING, "to", KEY_TEXT, listing_src, to, NULL, "the recipient it speaks for; without: everyone"),
	FIELD(FACT_LISTING, "what", KEY_TEXT, listing_src, what, NULL, "what it names"),
	FIELD(FACT_LISTING, "counts", KEY_BOOL, listing_src, counts, "true", "false: it allows somebody who is not proved to be him"),
	SHAPE(FACTS, "bayes", fact_bayes, "0 to 100", NULL, "what the learning classifier says"),
	SHAPE(FACTS, "experience", fact_experience, "0 to 100", NULL, "our own with the client"),
	SHAPE(FACTS, "proved", fact_proved, "domain", NULL, "the author's, as SPF or DKIM prove it"),
	SHAPE(FACTS, "reverse", fact_reverse, "none, a name, {unproved: NAME}", NULL, "the client's name in the DNS"),
	SHAPE(FACTS, "helo", fact_helo, "none, unproved, proved", NULL, "does the name that the client gives exist, and lead to it"),
	SHAPE(FACT_SPAM, "score", fact_score, "number", "0", "its score"),
	SHAPE(FACT_SPAM, "symbols", fact_symbols, "list of names", NULL, "tests that hit"),
	SHAPE(FACT_SPAM, "class", fact_class, "spam, suspected, marketing, ham", NULL,
	    "the filter's own class, instead of the policy's"),
	NODE(MESSAGE, "subject", message_src, subject, "text", NULL, "its subject"),
	NODE(MESSAGE, "body", message_src, body, "text", NULL, "its text"),
	NODE(MESSAGE, "html", message_src, html, "text", NULL, "its text, as HTML"),
	NODE(MESSAGE, "headers", message_src, headers, "{Name: text}", NULL, "further header fields"),
	NODE(MESSAGE, "attachments", message_src, attachments, "list", NULL, "its files"),
	NODE(MESSAGE, "eml", message_src, eml, "path", NULL, "a whole message in a file"),
	NODE(MESSAGE, "same_as", message_src, same_as, "number", NULL, "the message of that test of the file"),
	FIELD(FILE, "name", KEY_TEXT, file_src, name, NULL, "file name"),
	FIELD(FILE, "type", KEY_TEXT, file_src, type, "application/octet-stream", "declared type"),
	NODE(FILE, "text", file_src, text, "text", NULL, "what is in it"),
	NODE(FILE, "base64", file_src, base64, "base64", NULL, "what is in it"),
	NODE(FILE, "file", file_src, file, "path", NULL, "what is in it"),
	NODE(EXPECT, "outcome", expect_src, outcome, "outcome", NULL, "what happens"),
	NODE(EXPECT, "rules", expect_src, rules, "list of ids", NULL, "the rules that hit, all of them"),
	NODE(EXPECT, "shadow", expect_src, shadow, "list of ids", NULL, "the shadow rules that would have"),
	NODE(EXPECT, "skipped", expect_src, skipped, "list of ids", NULL, "the rules that were cancelled"),
	NODE(EXPECT, "reply", expect_src, reply, "text", NULL, "stands in the reply"),
	NODE(EXPECT, "queue", expect_src, queue, "name", NULL, "of the quarantine, or who decides"),
	NODE(EXPECT, "redirect", expect_src, redirect, "list of addresses", NULL, "where it goes instead"),
	NODE(EXPECT, "subject", expect_src, subject, "text", NULL, "the subject as it is delivered"),
	NODE(EXPECT, "header", expect_src, header, "{Name: text}", NULL, "a header field as it is delivered"),
	NODE(EXPECT, "attachments", expect_src, attachments, "list of names", NULL, "the files as they are delivered, all of them"),
	NODE(EXPECT, "contains", expect_src, contains, "text or list", NULL, "stands in the visible text as it is delivered"),
	NODE(EXPECT, "lacks", expect_src, lacks, "text or list", NULL, "stands nowhere in the visible text as it is delivered"),
	NODE(EXPECT, "refused", expect_src, refused, "list of actions", NULL, "changes that could not be made, all of them"),
	NODE(EXPECT, "bcc", expect_src, bcc, "list of addresses", NULL, "who gets a copy of the message"),
	NODE(EXPECT, "notify", expect_src, notify, "list of addresses", NULL, "who is told; postmaster where no contact is given"),
	NODE(EXPECT, "spam", expect_src, spam, "spam, suspected, marketing, ham", NULL, "the class it gets"),
	NODE(EXPECT, "symbols", expect_src, symbols, "list of names", NULL, "the checks that hit, all of them"),
	NODE(EXPECT, "overridden", expect_src, overridden, "list of ids", NULL, "the rules the sender has lifted"),

	SHAPE(STRIP, "matching", strip_matching, "this, or conditions as in `attachment`", "this", "which files"),
	SHAPE(STRIP, "notice", strip_notice_read, "template", "stripped", "what stands in their place"),
	SHAPE(REDACT, "detectors", redact_detectors, "this, a detector or a list", "this",
	    "this: what the rule's conditions count"),
	ENUM(REDACT, "confidence", redact_src, confidence, confidence_names, "low", "of the detectors named: at least so sure"),
	SHAPE(REDACT, "with", redact_with, "text, or mask", "a block for each character",
	    "what stands there instead; mask: what evidence shows"),
	SHAPE(APPEND, "text", append_text_read, "text, file:PATH, or by language", NULL, "for plain text"),
	SHAPE(APPEND, "html", append_html_read, "HTML, file:PATH, or by language", "made from the text", "for HTML"),
	FIELD(APPEND, "once", KEY_BOOL, append_ask, once, "true", "not where a reply quotes it already"),
	SHAPE(OVERRIDE, "allow", override_allow, S_ADDRESSES, NULL, "senders who may"),
	SHAPE(OVERRIDE, "justification", override_justification, "subject-tag, header or both", "both",
	    "where the reason stands: [override: reason] in the subject, X-Postern-Override"),
	SHAPE(OVERRIDE, "until", override_until, "date", NULL, "last day on which they may"),
};
const size_t npolicy_keys = sizeof(policy_keys) / sizeof(policy_keys[0]);

static const char *const section_names[SECTION_COUNT] = {
	[SECTION_TOP] = "the policy", [SECTION_DEFAULTS] = "defaults",
	[SECTION_DETECTOR] = "a detector", [SECTION_COLUMNS] = "columns",
	[SECTION_COLUMNS_ANY] = "any", [SECTION_NEAR] = "near",
	[SECTION_CONFIDENCE] = "confidence", [SECTION_SCORE] = "score", [SECTION_OVERLAP] = "overlap", [SECTION_SAMPLES] = "samples",
	[SECTION_RULE] = "a rule", [SECTION_WHEN] = "when", [SECTION_NOT] = "not",
	[SECTION_RANGE] = "a range", [SECTION_TEXT] = "a text condition",
	[SECTION_VIRUS] = "virus", [SECTION_HEADER_TEXT] = "header", [SECTION_FINDS] = "finds",
	[SECTION_ATTACHMENT] = "attachment", [SECTION_URL] = "url", [SECTION_THEN] = "then", [SECTION_HOLD] = "hold",
	[SECTION_QUARANTINE] = "quarantine",
	[SECTION_EXCEPTION] = "an exception", [SECTION_SCHEDULE] = "a schedule",
	[SECTION_SPAM] = "spam", [SECTION_CLASSES] = "classes", [SECTION_TAGGING] = "tagging",
	[SECTION_TAG] = "tagging", [SECTION_PROFILE] = "a profile", [SECTION_CHECK] = "a check", [SECTION_FACTS] = "facts",
	[SECTION_FACT_SPAM] = "spam", [SECTION_LISTED] = "listed", [SECTION_FACT_LISTING] = "an entry", [SECTION_LIMIT] = "a limit",
	[SECTION_LIMIT_THEN] = "then", [SECTION_LIMIT_EXEMPT] = "an exemption", [SECTION_TESTS] = "the tests", [SECTION_TEST] = "a test",
	[SECTION_MESSAGE] = "message", [SECTION_FILE] = "attachments", [SECTION_EXPECT] = "expect",
	[SECTION_STRIP] = "strip_attachment", [SECTION_REDACT] = "redact",
	[SECTION_APPEND] = "append_text", [SECTION_OVERRIDE] = "override",
};

/* What people write who come from elsewhere, and what it is called here. */
static const struct {
	enum section section;
	const char *wrong, *hint;
} slips[] = {
	{ SECTION_WHEN, "recipient", "did you mean `to`?  (`recipients` counts them)" },
	{ SECTION_WHEN, "rcpt", "did you mean `to`?" },
	{ SECTION_WHEN, "rcpt_to", "did you mean `to`?" },
	{ SECTION_WHEN, "sender", "did you mean `from`?" },
	{ SECTION_WHEN, "mail_from", "did you mean `from`?" },
	{ SECTION_WHEN, "ip", "did you mean `client`?" },
	{ SECTION_WHEN, "network", "did you mean `client`?" },
	{ SECTION_WHEN, "detector", "did you mean `finds`?" },
	{ SECTION_WHEN, "detectors", "did you mean `finds`?" },
	{ SECTION_WHEN, "content", "did you mean `text`?" },
	{ SECTION_WHEN, "file", "did you mean `attachment`?" },
	{ SECTION_WHEN, "extension", "write `attachment: {extension: ...}`" },
	{ SECTION_WHEN, "filename", "write `attachment: {name: ...}`" },
	{ SECTION_WHEN, "type", "write `attachment: {type: ...}`" },
	{ SECTION_WHEN, "not", "use `unless:`, or {not: ...} within one list" },
	{ SECTION_WHEN, "and", "every key of `when` must hold already" },
	{ SECTION_WHEN, "or", "write two rules, or a list of values" },
	{ SECTION_WHEN, "any", "`any` stands within `finds`; else write two rules" },
	{ SECTION_WHEN, "all", "`all` stands within `finds`; every key of `when` must hold already" },
	{ SECTION_RULE, "name", "did you mean `id`?" },
	{ SECTION_RULE, "if", "did you mean `when`?" },
	{ SECTION_RULE, "conditions", "did you mean `when`?" },
	{ SECTION_RULE, "match", "did you mean `when`?" },
	{ SECTION_RULE, "except", "did you mean `unless`?" },
	{ SECTION_RULE, "action", "did you mean `then`?" },
	{ SECTION_RULE, "actions", "did you mean `then`?" },
	{ SECTION_RULE, "enabled", "did you mean `mode`?  (off, shadow or enforce)" },
	{ SECTION_RULE, "priority", "the order of rules never matters: the most restrictive outcome wins" },
	{ SECTION_RULE, "order", "the order of rules never matters: the most restrictive outcome wins" },
	{ SECTION_RULE, "stop", "no rule is final: every rule is evaluated" },
	{ SECTION_RULE, "final", "no rule is final: every rule is evaluated" },
	{ SECTION_RULE, "description", "did you mean `title`?" },
	{ SECTION_THEN, "block", "did you mean `reject`?" },
	{ SECTION_THEN, "drop", "did you mean `discard`?" },
	{ SECTION_THEN, "delete", "did you mean `discard`?" },
	{ SECTION_THEN, "accept", "did you mean `deliver`?" },
	{ SECTION_THEN, "allow", "did you mean `deliver`?  (it lifts no other rule: see `exceptions:`)" },
	{ SECTION_THEN, "tag", "did you mean `prefix_subject` or `add_header`?" },
	{ SECTION_THEN, "forward", "did you mean `redirect`?" },
	{ SECTION_THEN, "strip", "did you mean `strip_attachment`?" },
	{ SECTION_THEN, "remove_attachment", "did you mean `strip_attachment`?" },
	{ SECTION_THEN, "disclaimer", "did you mean `append_text`?" },
	{ SECTION_THEN, "footer", "did you mean `append_text`?" },
	{ SECTION_THEN, "mask", "did you mean `redact`?" },
	{ SECTION_THEN, "copy", "did you mean `bcc`?" },
	{ SECTION_THEN, "cc", "did you mean `bcc`?  (copies are not shown to anybody)" },
	{ SECTION_THEN, "alert", "did you mean `notify`?" },
	{ SECTION_THEN, "approve", "write `hold: {for: group:NAME, approvals: 1}`" },
	{ SECTION_HOLD, "approvers", "did you mean `for`?  (`approvals` counts them)" },
	{ SECTION_HOLD, "approval", "did you mean `approvals`?" },
	{ SECTION_QUARANTINE, "approval", "did you mean `approvals`?" },
	{ SECTION_QUARANTINE, "two_persons", "write `approvals: 2`" },
	{ SECTION_QUARANTINE, "in", "did you mean `name`?" },
	{ SECTION_HOLD, "timeout", "did you mean `expires`?" },
	{ SECTION_STRIP, "replace_with", "did you mean `notice`?" },
	{ SECTION_REDACT, "mask", "write `with: mask`" },
	{ SECTION_OVERRIDE, "reason", "did you mean `justification`?" },
	{ SECTION_OVERRIDE, "for", "did you mean `allow`?" },
	{ SECTION_THEN, "stop", "no rule is final: every rule is evaluated" },
	{ SECTION_DETECTOR, "regex", "did you mean `pattern`?" },
	{ SECTION_DETECTOR, "keywords", "did you mean `words`?" },
	{ SECTION_DETECTOR, "dictionary", "did you mean `lexicon`?" },
	{ SECTION_DETECTOR, "fingerprints", "did you mean `fingerprint`?" },
	{ SECTION_DETECTOR, "threshold", "did you mean `score`?" },
	{ SECTION_SCORE, "min", "did you mean `medium`?" },
	{ SECTION_SCORE, "low", "every word found is `low`" },
	{ SECTION_OVERLAP, "low", "every passage found is `low`" },
	{ SECTION_TEXT, "contains", "did you mean `words`?" },
	{ SECTION_TEXT, "regex", "did you mean `pattern`?" },
	{ SECTION_HEADER_TEXT, "contains", "did you mean `words`?" },
	{ SECTION_HEADER_TEXT, "regex", "did you mean `pattern`?" },
	{ SECTION_HEADER_TEXT, "exists", "did you mean `present`?" },
	{ SECTION_FINDS, "minimum", "did you mean `min`?" },
	{ SECTION_FINDS, "at_least", "did you mean `min`?" },
	{ SECTION_FINDS, "where", "did you mean `in`?" },
	{ SECTION_ATTACHMENT, "ext", "did you mean `extension`?" },
	{ SECTION_ATTACHMENT, "filename", "did you mean `name`?" },
	{ SECTION_ATTACHMENT, "mime", "did you mean `type`?" },
	{ SECTION_WHEN, "link", "did you mean `url`?" },
	{ SECTION_WHEN, "urls", "did you mean `url`?" },
	{ SECTION_WHEN, "domain", "write `from`, `to`, or `url: {host: ...}`" },
	{ SECTION_URL, "domain", "did you mean `host`?" },
	{ SECTION_URL, "domains", "did you mean `host`?" },
	{ SECTION_URL, "lookalike", "did you mean `lookalike_of`?" },
	{ SECTION_URL, "similar_to", "did you mean `lookalike_of`?" },
	{ SECTION_URL, "blocklisted", "did you mean `listed`?" },
	{ SECTION_URL, "mismatch", "did you mean `text_mismatch`?" },
	{ SECTION_URL, "not", "write `host: {not: [...]}`" },
	{ SECTION_RANGE, "min", "did you mean `over`?" },
	{ SECTION_RANGE, "max", "did you mean `under`?" },
	{ SECTION_EXCEPTION, "rule", "did you mean `rules`?" },
	{ SECTION_EXCEPTION, "expires", "did you mean `until`?" },
	{ SECTION_TOP, "rule", "did you mean `rules`?" },
	{ SECTION_TOP, "lists", "did you mean `groups`?" },
	{ SECTION_TOP, "include", "all files of the folder are one policy; packs come with `use:`" },
};

const char *
section_name(enum section s)
{
	return section_names[s];
}

const char *
key_type_words(enum key_type t)
{
	static const char *const words[] = { [KEY_TEXT] = "text", [KEY_TEXTS] = "text or list of texts",
		[KEY_BOOL] = "true or false", [KEY_UINT] = "number", [KEY_SIZE] = "size, as in 20MB",
		[KEY_DURATION] = "duration, as in 48h", [KEY_DATE] = "date, as in 2027-03-01",
		[KEY_ID] = "letters, digits, `-`, `_` and `.`" };

	return (size_t)t < sizeof(words) / sizeof(words[0]) && words[t] ? words[t] : "";
}

const char *const *
keys_names(enum section s)
{
	static const char *names[SECTION_COUNT][48];
	size_t n = 0;

	if (names[s][0])
		return names[s];
	for (size_t i = 0; i < npolicy_keys; i++)
		if (policy_keys[i].section == s) {
			ASSERT(n + 1 < sizeof(names[s]) / sizeof(names[s][0]));
			names[s][n++] = policy_keys[i].name;
		}
	return names[s];
}

void
keys_unknown(struct load *ld, const struct conf_node *node, enum section s)
{
	const char *hint = NULL;
	bool quoted = s != SECTION_TOP && s != SECTION_CHECK && s != SECTION_RULE && s != SECTION_DETECTOR &&
	    s != SECTION_EXCEPTION && s != SECTION_LIMIT && s != SECTION_RANGE &&
	    s != SECTION_TEXT && s != SECTION_TESTS && s != SECTION_TEST;
	const char *tick = quoted ? "`" : "";

	for (size_t i = 0; i < sizeof(slips) / sizeof(slips[0]) && !hint; i++)
		if (slips[i].section == s && span_is(node->key, slips[i].wrong))
			hint = slips[i].hint;
	if (!hint)
		hint = nearest_hint(ld, conf_nearest(node->key, keys_names(s)));
	for (size_t i = 0; i < npolicy_keys && !hint; i++)	/* right word, wrong place */
		if (policy_keys[i].section != s && policy_keys[i].section <= SECTION_LIMIT &&
		    span_is(node->key, policy_keys[i].name))
			hint = arena_printf(ld->d->arena, "`%s` belongs into %s", policy_keys[i].name,
			    section_name(policy_keys[i].section));
	diag_key(ld->d, DIAG_ERROR, node, hint, "unknown key `" SPAN_FMT "` in %s%s%s",
	    SPAN_ARG(node->key), tick, section_name(s), tick);
}

void
keys_later(struct load *ld, const struct conf_node *node)
{
	diag_key(ld->d, DIAG_ERROR, node, NULL, "`" SPAN_FMT "` is not available in this version",
	    SPAN_ARG(node->key));
}

static void
key_read(struct load *ld, struct conf_node *n, const struct key *k, void *obj)
{
	char *at = obj ? (char *)obj + k->offset : NULL;

	switch (k->type) {
	case KEY_TEXT: {
		struct span s;

		if (conf_text(ld->d, n, k->name, &s))
			*(struct span *)at = arena_span(ld->a, s);
		break;
	}
	case KEY_TEXTS:
		read_texts(ld, n, k->name, (struct spans *)at);
		break;
	case KEY_BOOL:
		conf_bool(ld->d, n, (bool *)at);
		break;
	case KEY_UINT:
		conf_uint(ld->d, n, 1, UINT32_MAX, (uint64_t *)at);
		break;
	case KEY_SIZE:
		conf_size(ld->d, n, (uint64_t *)at);
		break;
	case KEY_DURATION:
		conf_duration(ld->d, n, (int64_t *)at);
		break;
	case KEY_DATE:
		read_date(ld, n, (int64_t *)at);
		break;
	case KEY_ENUM: {
		int v;

		if (conf_enum(ld->d, n, k->names, &v))
			*(int *)at = v;
		break;
	}
	case KEY_ID:
		read_id(ld, n, (struct span *)at);
		break;
	case KEY_NODE:
		*(struct conf_node **)at = n;
		break;
	case KEY_SHAPE:
		k->parse(ld, n, obj);
		break;
	}
}

bool
keys_read(struct load *ld, struct conf_node *map, enum section s, void *obj)
{
	if (!conf_want(ld->d, map, CONF_MAP, section_name(s)))
		return false;
	CONF_EACH (n, map) {
		const struct key *k = NULL;

		for (size_t i = 0; i < npolicy_keys && !k; i++)
			if (policy_keys[i].section == s && span_is(n->key, policy_keys[i].name))
				k = &policy_keys[i];
		if (!k)
			keys_unknown(ld, n, s);
		else if (k->later)
			keys_later(ld, n);
		else
			key_read(ld, n, k, obj);
	}
	return true;
}
