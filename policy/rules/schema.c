/* schema.c -- the JSON Schema of the language (draft 7), for editors and for who
 * writes policies by program.
 *
 * Made from the table of keys: which keys stand where, their help, defaults and
 * enumerations come from there. What may stand as the value of a key that a
 * function reads is the form below, in a small notation; a key without a
 * form is a bug that the tests find. The schema is about structure alone: names
 * that must exist, dates and patterns are `postern check`'s matter.
 *
 * Scalars of the language are text whatever YAML makes of them, so `0123`, `no`
 * and 1.10 are allowed where a text is; and a truth may be a word.
 *
 * The notation: t text, T text or list of texts, b truth, y true, n number, s
 * size, d duration, D date; e(a|b) one of these words; [F] a list, {F} a map
 * from any key, F/F either, @NAME a section, $NAME a definition.
 */
#include "json.h"
#include "load.h"

static const struct {
	enum section section;
	const char *key, *form;
} forms[] = {
	{ SECTION_TOP, "version", "n" }, { SECTION_TOP, "use", "T" },
	{ SECTION_TOP, "defaults", "@DEFAULTS" }, { SECTION_TOP, "networks", "{T}" },
	{ SECTION_TOP, "groups", "{T}" }, { SECTION_TOP, "schedules", "{@SCHEDULE/[@SCHEDULE]}" },
	{ SECTION_TOP, "detectors", "{@DETECTOR}" }, { SECTION_TOP, "rules", "[@RULE]" },
	{ SECTION_TOP, "exceptions", "[@EXCEPTION]" }, { SECTION_TOP, "limits", "[@LIMIT]" },
	{ SECTION_TOP, "spam", "@SPAM" },
	{ SECTION_DEFAULTS, "on_scan_error", "e(defer|reject|hold|quarantine)" },
	{ SECTION_DEFAULTS, "on_unscannable", "e(hold|quarantine|reject|defer|deliver)" },
	{ SECTION_DEFAULTS, "language", "t" }, { SECTION_DEFAULTS, "languages", "{T}" },
	{ SECTION_DETECTOR, "words", "T" }, { SECTION_DETECTOR, "pattern", "t" },
	{ SECTION_DETECTOR, "near", "@NEAR" }, { SECTION_DETECTOR, "exact", "t" },
	{ SECTION_DETECTOR, "key", "t" }, { SECTION_DETECTOR, "columns", "@COLUMNS" },
	{ SECTION_COLUMNS, "require", "T" }, { SECTION_COLUMNS, "any", "@COLUMNS_ANY" },
	{ SECTION_COLUMNS_ANY, "of", "T" },
	{ SECTION_DETECTOR, "confidence", "e(low|medium|high)/@CONFIDENCE" },
	{ SECTION_DETECTOR, "mask", "t" }, { SECTION_DETECTOR, "samples", "@SAMPLES" },
	{ SECTION_SAMPLES, "match", "T" }, { SECTION_SAMPLES, "no_match", "T" },
	{ SECTION_RULE, "title", "t/{t}" }, { SECTION_RULE, "when", "@WHEN" },
	{ SECTION_RULE, "unless", "@WHEN" },
	{ SECTION_RULE, "then", "@THEN/e(reject|defer|quarantine|discard|deliver)" },
	{ SECTION_WHEN, "from", "$turned" }, { SECTION_WHEN, "header_from", "$turned" },
	{ SECTION_WHEN, "to", "$turned" }, { SECTION_WHEN, "to_all", "$turned" },
	{ SECTION_WHEN, "client", "$turned" }, { SECTION_WHEN, "authenticated", "b/$turned" },
	{ SECTION_WHEN, "tls", "b" }, { SECTION_WHEN, "listener", "$turned" },
	{ SECTION_WHEN, "direction", "e(outbound|inbound|any)" },
	{ SECTION_WHEN, "recipients", "@RANGE" }, { SECTION_WHEN, "size", "@RANGE" },
	{ SECTION_WHEN, "attachments", "@RANGE" }, { SECTION_WHEN, "subject", "@TEXT" },
	{ SECTION_WHEN, "header", "{@HEADER_TEXT}" }, { SECTION_WHEN, "body", "@TEXT" },
	{ SECTION_WHEN, "text", "@TEXT" }, { SECTION_WHEN, "finds", "$finds" },
	{ SECTION_WHEN, "attachment", "@ATTACHMENT" }, { SECTION_WHEN, "virus", "b/@VIRUS" },
	{ SECTION_VIRUS, "kind", "T" },
	{ SECTION_WHEN, "unscannable", "b" }, { SECTION_WHEN, "encrypted", "b" },
	{ SECTION_WHEN, "defect", "$turned" }, { SECTION_WHEN, "spf", "$turned" },
	{ SECTION_WHEN, "dkim", "$turned" }, { SECTION_WHEN, "dmarc", "$turned" },
	{ SECTION_WHEN, "dmarc_policy", "$turned" }, { SECTION_WHEN, "arc", "$turned" },
	{ SECTION_WHEN, "bounce", "$turned" },
	{ SECTION_WHEN, "dnsbl", "b/$turned" }, { SECTION_WHEN, "spam", "$turned" },
	{ SECTION_WHEN, "listed", "@LISTED" }, { SECTION_LISTED, "scope", "T" },
	{ SECTION_LISTED, "list", "T" }, { SECTION_FACTS, "lists", "[@FACT_LISTING]" },
	{ SECTION_WHEN, "bayes", "@RANGE" },
	{ SECTION_WHEN, "experience", "@RANGE" }, { SECTION_WHEN, "sign", "$turned" },
	{ SECTION_WHEN, "reputation", "@RANGE" }, { SECTION_WHEN, "schedule", "$turned" },
	{ SECTION_WHEN, "url", "@URL" }, { SECTION_URL, "host", "$turned" },
	{ SECTION_URL, "lookalike_of", "T" }, { SECTION_URL, "listed", "b" },
	{ SECTION_URL, "text_mismatch", "b" }, { SECTION_FACTS, "listed", "T" },
	{ SECTION_RANGE, "over", "n/s" }, { SECTION_RANGE, "under", "n/s" },
	{ SECTION_TEXT, "words", "T" }, { SECTION_TEXT, "pattern", "t" },
	{ SECTION_HEADER_TEXT, "words", "T" }, { SECTION_HEADER_TEXT, "pattern", "t" },
	{ SECTION_HEADER_TEXT, "present", "b" }, { SECTION_FINDS, "in", "T" },
	{ SECTION_DETECTOR, "lexicon", "t/{t}" }, { SECTION_DETECTOR, "score", "@SCORE" },
	{ SECTION_DETECTOR, "fingerprint", "t" }, { SECTION_DETECTOR, "overlap", "@OVERLAP" },
	{ SECTION_SCORE, "medium", "t" }, { SECTION_SCORE, "high", "t" },
	{ SECTION_OVERLAP, "medium", "t" }, { SECTION_OVERLAP, "high", "t" },
	{ SECTION_ATTACHMENT, "type", "T" }, { SECTION_ATTACHMENT, "name", "T" },
	{ SECTION_ATTACHMENT, "extension", "T" }, { SECTION_ATTACHMENT, "size", "@RANGE" },
	{ SECTION_ATTACHMENT, "encrypted", "b/T" }, { SECTION_ATTACHMENT, "mismatch", "b" },
	{ SECTION_ATTACHMENT, "depth", "n/@RANGE" },
	{ SECTION_THEN, "reject", "t" }, { SECTION_THEN, "defer", "t" },
	{ SECTION_THEN, "hold", "t/@HOLD" }, { SECTION_THEN, "quarantine", "t/@QUARANTINE" },
	{ SECTION_THEN, "discard", "y" }, { SECTION_THEN, "redirect", "T" },
	{ SECTION_THEN, "deliver", "y" }, { SECTION_THEN, "strip_attachment", "t/@STRIP" },
	{ SECTION_THEN, "redact", "T/@REDACT" }, { SECTION_THEN, "append_text", "$languages/@APPEND" },
	{ SECTION_THEN, "on_fail", "t" }, { SECTION_THEN, "add_header", "{t}" },
	{ SECTION_THEN, "remove_header", "T" }, { SECTION_THEN, "prefix_subject", "t" },
	{ SECTION_THEN, "require_tls", "e(opportunistic|encrypted|verified|dane)" },
	{ SECTION_THEN, "notify", "T/{T}" }, { SECTION_THEN, "bcc", "T" },
	{ SECTION_THEN, "override", "@OVERRIDE" },
	{ SECTION_HOLD, "for", "t" }, { SECTION_HOLD, "approvals", "n" },
	{ SECTION_QUARANTINE, "approvals", "n" },
	{ SECTION_EXCEPTION, "rules", "T" }, { SECTION_EXCEPTION, "tags", "T" },
	{ SECTION_EXCEPTION, "when", "@WHEN" }, { SECTION_EXCEPTION, "until", "D" },
	{ SECTION_SCHEDULE, "days", "T" }, { SECTION_SCHEDULE, "from", "t" },
	{ SECTION_SCHEDULE, "to", "t" }, { SECTION_SCHEDULE, "zone", "t" },
	{ SECTION_SCHEDULE, "holidays", "D/[D]" }, { SECTION_SPAM, "classes", "@CLASSES" },
	{ SECTION_SPAM, "protect", "T" }, { SECTION_SPAM, "people", "T" },
	{ SECTION_SPAM, "tagging", "@TAGGING" }, { SECTION_SPAM, "profiles", "{@PROFILE}" },
	{ SECTION_SPAM, "domains", "{t}" }, { SECTION_SPAM, "checks", "{t/@CHECK}" },
	{ SECTION_CHECK, "score", "t" }, { SECTION_CHECK, "when", "@WHEN" },
	{ SECTION_CHECK, "title", "t/{t}" }, { SECTION_CLASSES, "spam", "T" },
	{ SECTION_CLASSES, "suspected", "T" }, { SECTION_CLASSES, "marketing", "T" },
	{ SECTION_TAGGING, "spam", "@TAG" }, { SECTION_TAGGING, "suspected", "@TAG" },
	{ SECTION_TAGGING, "marketing", "@TAG" }, { SECTION_TAG, "add_header", "{t}" },
	{ SECTION_TAG, "prefix_subject", "t" }, { SECTION_LIMIT, "allow", "t" },
	{ SECTION_LIMIT, "exempt", "[@LIMIT_EXEMPT]" },
	{ SECTION_LIMIT, "then", "e(defer|reject|wait)/@LIMIT_THEN" }, { SECTION_LIMIT, "match", "T" },
	{ SECTION_LIMIT_THEN, "wait", "b" },
	{ SECTION_LIMIT_THEN, "reject", "b" }, { SECTION_LIMIT_THEN, "defer", "b" },
	{ SECTION_LIMIT_THEN, "hold", "t/{t}" }, { SECTION_LIMIT_EXEMPT, "until", "D" },
	{ SECTION_STRIP, "matching", "t/@ATTACHMENT" }, { SECTION_STRIP, "notice", "t" },
	{ SECTION_REDACT, "detectors", "T" }, { SECTION_REDACT, "with", "t" },
	{ SECTION_APPEND, "text", "$languages" }, { SECTION_APPEND, "html", "$languages" },
	{ SECTION_OVERRIDE, "allow", "T" }, { SECTION_OVERRIDE, "justification", "T" },
	{ SECTION_OVERRIDE, "until", "D" },

	{ SECTION_TESTS, "version", "n" }, { SECTION_TESTS, "tests", "[@TEST]" },
	{ SECTION_TEST, "now", "t" }, { SECTION_TEST, "facts", "@FACTS" },
	{ SECTION_TEST, "message", "@MESSAGE" }, { SECTION_TEST, "groups", "{T}" },
	{ SECTION_TEST, "as_if", "{e(off|shadow|enforce)}" }, { SECTION_TEST, "expect", "{@EXPECT}" },
	{ SECTION_FACTS, "spf", "t" }, { SECTION_FACTS, "dkim", "t" }, { SECTION_FACTS, "dmarc", "t" },
	{ SECTION_FACTS, "dmarc_policy", "t" }, { SECTION_FACTS, "arc", "t" }, { SECTION_FACTS, "bounce", "t" },
	{ SECTION_FACTS, "dnsbl", "T" }, { SECTION_FACTS, "spam", "t/@FACT_SPAM" },
	{ SECTION_FACTS, "reputation", "n" }, { SECTION_FACTS, "bayes", "n" },
	{ SECTION_FACTS, "experience", "n" }, { SECTION_FACTS, "proved", "t" },
	{ SECTION_FACTS, "helo", "t" }, { SECTION_FACTS, "reverse", "t" },
	 { SECTION_FACT_SPAM, "score", "t" },
	{ SECTION_FACT_SPAM, "symbols", "T" }, { SECTION_FACT_SPAM, "class", "t" },
	{ SECTION_MESSAGE, "subject", "t" }, { SECTION_MESSAGE, "body", "t" },
	{ SECTION_MESSAGE, "html", "t" }, { SECTION_MESSAGE, "headers", "{t}" },
	{ SECTION_MESSAGE, "attachments", "[@FILE]" }, { SECTION_MESSAGE, "eml", "t" },
	{ SECTION_MESSAGE, "same_as", "n" }, { SECTION_FILE, "text", "t" },
	{ SECTION_FILE, "base64", "t" }, { SECTION_FILE, "file", "t" },
	{ SECTION_EXPECT, "outcome", "t" }, { SECTION_EXPECT, "rules", "T" },
	{ SECTION_EXPECT, "shadow", "T" }, { SECTION_EXPECT, "skipped", "T" },
	{ SECTION_EXPECT, "reply", "t" }, { SECTION_EXPECT, "queue", "t" },
	{ SECTION_EXPECT, "redirect", "T" }, { SECTION_EXPECT, "subject", "t" },
	{ SECTION_EXPECT, "header", "{t}" }, { SECTION_EXPECT, "attachments", "T" },
	{ SECTION_EXPECT, "contains", "T" }, { SECTION_EXPECT, "lacks", "T" },
	{ SECTION_EXPECT, "refused", "T" }, { SECTION_EXPECT, "bcc", "T" },
	{ SECTION_EXPECT, "notify", "T" }, { SECTION_EXPECT, "overridden", "T" },
	{ SECTION_EXPECT, "spam", "t" }, { SECTION_EXPECT, "symbols", "T" },
};

/* Keys without which the map says nothing. */
static const struct {
	enum section section;
	const char *key;
} required[] = {
	{ SECTION_RULE, "id" }, { SECTION_RULE, "then" }, { SECTION_EXCEPTION, "id" },
	{ SECTION_EXCEPTION, "until" }, { SECTION_LIMIT, "id" }, { SECTION_LIMIT, "per" },
	{ SECTION_LIMIT, "allow" }, { SECTION_LIMIT_EXEMPT, "match" },
	{ SECTION_LIMIT_EXEMPT, "owner" }, { SECTION_LIMIT_EXEMPT, "until" },
	{ SECTION_HOLD, "for" }, { SECTION_VIRUS, "kind" }, { SECTION_NEAR, "words" }, { SECTION_PROFILE, "spam" },
	{ SECTION_PROFILE, "suspected" }, { SECTION_PROFILE, "marketing" }, { SECTION_TEST, "from" },
	{ SECTION_TEST, "to" }, { SECTION_TEST, "expect" }, { SECTION_APPEND, "text" },
};

static const char *const definition_names[SECTION_COUNT] = {
#define S(name) [SECTION_##name] = #name
	S(TOP), S(DEFAULTS), S(DETECTOR), S(COLUMNS), S(COLUMNS_ANY), S(NEAR), S(CONFIDENCE), S(SCORE), S(OVERLAP),
	S(SAMPLES), S(RULE), S(WHEN),
	S(RANGE), S(TEXT), S(HEADER_TEXT), S(VIRUS), S(FINDS), S(ATTACHMENT), S(URL), S(THEN), S(HOLD), S(QUARANTINE),
	S(EXCEPTION), S(SCHEDULE), S(SPAM), S(CLASSES), S(TAGGING), S(TAG), S(PROFILE), S(CHECK), S(STRIP),
	S(REDACT), S(APPEND), S(OVERRIDE), S(LIMIT), S(LIMIT_THEN), S(LIMIT_EXEMPT), S(TESTS),
	S(TEST), S(FACTS), S(FACT_SPAM), S(LISTED), S(FACT_LISTING), S(MESSAGE), S(FILE), S(EXPECT),
#undef S
};

/* Written once and referred to. */
static const struct {
	const char *name, *json;
} definitions[] = {
	{ "text", "{\"type\":[\"string\",\"number\",\"boolean\"]}" },
	{ "texts", "{\"anyOf\":[{\"$ref\":\"#/definitions/text\"},"
	    "{\"type\":\"array\",\"items\":{\"$ref\":\"#/definitions/text\"}}]}" },
	{ "truth", "{\"enum\":[true,false,\"true\",\"false\",\"yes\",\"no\",\"on\",\"off\"]}" },
	{ "true", "{\"enum\":[true,\"true\",\"yes\",\"on\"]}" },
	{ "number", "{\"anyOf\":[{\"type\":\"integer\",\"minimum\":0},"
	    "{\"type\":\"string\",\"pattern\":\"^[0-9]+$\"}]}" },
	{ "size", "{\"type\":\"string\",\"pattern\":\"^[0-9]+ ?([kKmMgGtT]?[iI]?[bB])?$\"}" },
	{ "duration", "{\"anyOf\":[{\"const\":0},"
	    "{\"type\":\"string\",\"pattern\":\"^(0|([0-9]+(ms|[smhdw]))+)$\"}]}" },
	{ "date", "{\"type\":\"string\",\"pattern\":\"^[0-9]{4}-[0-9]{2}-[0-9]{2}$\"}" },
	{ "turned", "{\"anyOf\":[{\"$ref\":\"#/definitions/texts\"},{\"type\":\"object\","
	    "\"properties\":{\"not\":{\"$ref\":\"#/definitions/texts\"}},\"required\":[\"not\"],"
	    "\"additionalProperties\":false}]}" },
	{ "languages", "{\"anyOf\":[{\"$ref\":\"#/definitions/text\"},{\"type\":\"object\","
	    "\"properties\":{\"en\":{\"$ref\":\"#/definitions/text\"},"
	    "\"fr\":{\"$ref\":\"#/definitions/text\"}},\"additionalProperties\":false}]}" },
	{ "finds", "{\"anyOf\":[{\"type\":\"string\"},"
	    "{\"type\":\"array\",\"items\":{\"$ref\":\"#/definitions/finds\"}},"
	    "{\"type\":\"object\",\"properties\":{\"any\":{\"$ref\":\"#/definitions/finds\"},"
	    "\"all\":{\"$ref\":\"#/definitions/finds\"}},\"additionalProperties\":"
	    "{\"anyOf\":[{\"$ref\":\"#/definitions/FINDS\"},{\"enum\":[null,\"\"]}]}}]}" },
};

/* --- forms ------------------------------------------------------------------------------ */

const char *
section_id(enum section s)
{
	return definition_names[s] ? definition_names[s] : "";
}

static void
put_ref(struct json *j, const char *name, size_t n)
{
	char ref[80];

	snprintf(ref, sizeof(ref), "#/definitions/%.*s", (int)n, name);
	json_object(j);
	json_kcstr(j, "$ref", ref);
	json_end_object(j);
}

static void
put_words(struct json *j, const char *const *names)
{
	json_object(j);
	json_key(j, "enum");
	json_array(j);
	for (size_t i = 0; names[i]; i++)
		json_cstr(j, names[i]);
	json_end_array(j);
	json_end_object(j);
}

static const char *put_form(struct json *j, const char *f);

/* One form without its alternatives; what follows it. */
static const char *
put_one(struct json *j, const char *f)
{
	static const struct { char c; const char *name; } letters[] = { { 't', "text" },
		{ 'T', "texts" }, { 'b', "truth" }, { 'y', "true" }, { 'n', "number" },
		{ 's', "size" }, { 'd', "duration" }, { 'D', "date" } };
	size_t n;

	switch (*f) {
	case '@': case '$':
		n = strspn(f + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz");
		put_ref(j, f + 1, n);
		return f + 1 + n;
	case '[': case '{':
		json_object(j);
		json_kcstr(j, "type", *f == '[' ? "array" : "object");
		json_key(j, *f == '[' ? "items" : "additionalProperties");
		f = put_form(j, f + 1);
		json_end_object(j);
		ASSERT(*f == ']' || *f == '}');
		return f + 1;
	case 'e':
		ASSERT(f[1] == '(');
		json_object(j);
		json_key(j, "enum");
		json_array(j);
		for (f += 2; ; f += n + 1) {
			n = strcspn(f, "|)");
			json_str(j, span_make(f, n));
			if (f[n] == ')')
				break;
		}
		json_end_array(j);
		json_end_object(j);
		return f + n + 1;
	default:
		for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++)
			if (letters[i].c == *f) {
				put_ref(j, letters[i].name, strlen(letters[i].name));
				return f + 1;
			}
		ASSERT(!"a letter of the notation");
		return f;
	}
}

/* Is there an alternative at this level? */
static bool
either(const char *f)
{
	int depth = 0;

	for (; *f && depth >= 0; f++) {
		depth += *f == '[' || *f == '{' || *f == '(';
		depth -= *f == ']' || *f == '}' || *f == ')';
		if (*f == '/' && depth == 0)
			return true;
	}
	return false;
}

static const char *
put_form(struct json *j, const char *f)
{
	if (!either(f))
		return put_one(j, f);
	json_object(j);
	json_key(j, "anyOf");
	json_array(j);
	f = put_one(j, f);
	while (*f == '/')
		f = put_one(j, f + 1);
	json_end_array(j);
	json_end_object(j);
	return f;
}

/* --- keys ---------------------------------------------------------------------------------- */

static const char *
form_of(const struct key *k)
{
	switch (k->type) {
	case KEY_TEXT: case KEY_ID:
		return "t";
	case KEY_TEXTS:
		return "T";
	case KEY_BOOL:
		return "b";
	case KEY_UINT:
		return "n";
	case KEY_SIZE:
		return "n/s";
	case KEY_DURATION:
		return "d";
	case KEY_DATE:
		return "D";
	case KEY_ENUM:
		return NULL;
	case KEY_NODE: case KEY_SHAPE:
		break;
	}
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (forms[i].section == k->section && strcmp(forms[i].key, k->name) == 0)
			return forms[i].form;
	return "";
}

bool
schema_has(const struct key *k)
{
	const char *f = form_of(k);

	return k->later || f == NULL || *f != '\0';
}

static void
put_key(struct json *j, const struct key *k)
{
	const char *form = form_of(k);

	json_key(j, k->name);
	json_object(j);
	json_kcstr(j, "description", k->help);
	if (k->deflt)
		json_kcstr(j, "default", k->deflt);
	/* beside a $ref nothing else counts (draft 7), so the form stands apart */
	json_key(j, "allOf");
	json_array(j);
	if (form == NULL)
		put_words(j, k->names);
	else
		put_form(j, form);
	json_end_array(j);
	json_end_object(j);
}

static void
put_section(struct json *j, enum section s)
{
	bool any = false;

	json_kcstr(j, "type", "object");
	json_key(j, "properties");
	json_object(j);
	for (size_t i = 0; i < npolicy_keys; i++)
		if (policy_keys[i].section == s && !policy_keys[i].later)
			put_key(j, &policy_keys[i]);
	json_end_object(j);
	json_kbool(j, "additionalProperties", false);
	for (size_t i = 0; i < sizeof(required) / sizeof(required[0]); i++) {
		if (required[i].section != s)
			continue;
		if (!any) {
			json_key(j, "required");
			json_array(j);
		}
		any = true;
		json_cstr(j, required[i].key);
	}
	if (any)
		json_end_array(j);
	if (s == SECTION_RANGE || s == SECTION_THEN)
		json_kint(j, "minProperties", 1);
}

void
policy_schema(bool tests, struct json *j)
{
	json_object(j);
	json_kcstr(j, "$schema", "http://json-schema.org/draft-07/schema#");
	json_kcstr(j, "title", tests ? "Postern policy tests" : "Postern policy");
	put_section(j, tests ? SECTION_TESTS : SECTION_TOP);
	json_key(j, "definitions");
	json_object(j);
	for (size_t i = 0; i < sizeof(definitions) / sizeof(definitions[0]); i++) {
		json_key(j, definitions[i].name);
		json_raw(j, span_str(definitions[i].json));
	}
	for (int s = 0; s < SECTION_COUNT; s++)
		if (definition_names[s] && s != SECTION_TOP && s != SECTION_TESTS) {
			json_key(j, definition_names[s]);
			json_object(j);
			put_section(j, (enum section)s);
			json_end_object(j);
		}
	json_end_object(j);
	json_end_object(j);
}
