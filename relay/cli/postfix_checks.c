/* postfix_checks.c -- header_checks, mime_header_checks, body_checks as rules; see postfix_import.h.
 *
 * Postfix takes the first match for each header line, Postern the most restrictive outcome of all rules.
 * So a line that says DUNNO or OK becomes an exception of the lines behind it that look at the same header.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>

#include "addr.h"
#include "cli/postfix_import.h"

/* ---- actions ---- */

static bool
digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "5.7.1 " at the beginning (RFC 3463, 2), of the class given; its length, 0: none. */
static size_t
enhanced(struct span s, char class)
{
	size_t n = 1;

	if (s.n < 5 || s.p[0] != class)
		return 0;
	for (int part = 0; part < 2; part++) {
		size_t digits = 0;

		if (n >= s.n || s.p[n++] != '.')
			return 0;
		while (n < s.n && digit(s.p[n]))
			n++, digits++;
		if (digits < 1 || digits > 3)
			return 0;
	}
	return n < s.n && ascii_is_wsp(s.p[n]) ? n + 1 : 0;
}

/* As a header may be named in a policy. */
static bool
is_header_name(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= 'A' && s.p[i] <= 'Z') || digit(s.p[i]) || s.p[i] == '-'))
			return false;
	return s.n > 0;
}

/* A text for an answer: $ is ours, and what Postfix fills in from the match has no counterpart. */
static char *
reply(struct pf_import *im, const char *file, uint32_t line, struct span text, const char *code, const char *standard)
{
	size_t skip = enhanced(text, code[0]);
	struct buf b;
	char *out;

	if (skip) {
		code = arena_str(im->a, span_sub(text, 0, skip - 1));
		text = span_trim(span_from(text, skip));
	}
	if (text.n == 0)
		text = span_str(standard);
	buf_init(&b, 64u << 10);
	buf_printf(&b, "%s ", code);
	for (size_t i = 0; i < text.n && i < 300; i++) {
		unsigned char c = (unsigned char)text.p[i];

		if (c == '$' && i + 1 < text.n && (digit(text.p[i + 1]) || text.p[i + 1] == '{' || text.p[i + 1] == '(')) {
			pf_leave(im, PF_DIFFERS, file, line, text, "the text cannot quote what matched: it stands as it is written");
			buf_puts(&b, "$$");
		} else if (c == '$') {
			buf_puts(&b, "$$");
		} else {
			buf_putc(&b, c < ' ' || c > '~' ? '?' : (char)c);
		}
	}
	buf_puts(&b, " (ref $ref)");
	out = pf_quote(im->a, buf_data(&b));
	buf_release(&b);
	return out;
}

static const char *
with_address(struct pf_import *im, const char *key, struct span text, const char **why)
{
	struct span local, domain, name;

	if (!mailaddr_split(text, &local, &domain) || !domain_normalise(im->a, domain, &name) || !mailaddr_dot_string(local)) {
		*why = "no address stands behind it";
		return NULL;
	}
	return arena_printf(im->a, "{%s: %s}", key, pf_quote(im->a, text));
}

const char *
pf_action(struct pf_import *im, const char *file, uint32_t line, struct span verb, struct span text, struct span header,
    const char **why)
{
	size_t colon = span_find(text, ':');

	if (span_is_nocase(verb, "REJECT"))
		return arena_printf(im->a, "{reject: %s}", reply(im, file, line, text, "5.7.1", "message content rejected"));
	if (verb.n == 3 && digit(verb.p[1]) && digit(verb.p[2]) && (verb.p[0] == '5' || verb.p[0] == '4'))
		return verb.p[0] == '5' ?
		    arena_printf(im->a, "{reject: %s}", reply(im, file, line, text, "5.7.1", "not accepted")) :
		    arena_printf(im->a, "{defer: %s}", reply(im, file, line, text, "4.7.1", "not accepted now"));
	if (span_is_nocase(verb, "DEFER") || span_is_nocase(verb, "DEFER_IF_PERMIT") || span_is_nocase(verb, "DEFER_IF_REJECT"))
		return arena_printf(im->a, "{defer: %s}", reply(im, file, line, text, "4.7.1", "not accepted now"));
	if (span_is_nocase(verb, "HOLD")) {
		im->uses_hold = true;
		return "{hold: group:postfix-hold}";
	}
	if (span_is_nocase(verb, "DISCARD"))
		return "{discard: true}";
	if (span_is_nocase(verb, "REDIRECT"))
		return with_address(im, "redirect", text, why);
	if (span_is_nocase(verb, "BCC"))
		return with_address(im, "bcc", text, why);
	if (span_is_nocase(verb, "WARN") || span_is_nocase(verb, "INFO"))
		return "{deliver: true}";	/* recorded with the message, nothing else */
	if (span_is_nocase(verb, "PREPEND") && colon < text.n && is_header_name(span_sub(text, 0, colon))) {
		struct span value = span_trim(span_from(text, colon + 1));

		if (span_find(value, '$') < value.n) {
			*why = "a header with what matched in it cannot be made";
			return NULL;
		}
		return arena_printf(im->a, "{add_header: {%s: %s}}", pf_quote(im->a, span_sub(text, 0, colon)),
		    pf_quote(im->a, value));
	}
	if ((span_is_nocase(verb, "IGNORE") || span_is_nocase(verb, "STRIP")) && header.n)
		return arena_printf(im->a, "{remove_header: %s}", pf_quote(im->a, header));
	*why = span_is_nocase(verb, "REPLACE") ? "headers are added and removed, not rewritten" :
	    span_is_nocase(verb, "FILTER") ? "there are no content filters behind Postern: what they did is to be a rule" :
	    span_is_nocase(verb, "IGNORE") ? "lines of a body are not taken out" : "this action has no counterpart";
	return NULL;
}

/* ---- rules ---- */

static void
source_line(struct pf_import *im, const char *file, uint32_t line, struct span source)
{
	buf_printf(&im->rules, "  # %s:%u: ", file, line);
	for (size_t i = 0; i < source.n && i < 200; i++)
		buf_putc(&im->rules, (unsigned char)source.p[i] < ' ' ? ' ' : source.p[i]);
	buf_putc(&im->rules, '\n');
}

void
pf_rule_begin(struct pf_import *im, const char *file, uint32_t line, struct span source, const char *suffix)
{
	struct buf *o = &im->rules;

	buf_putc(o, '\n');
	source_line(im, file, line, source);
	buf_puts(o, "  - id: postfix-");
	for (const char *p = file; *p; p++)
		buf_putc(o, (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || digit(*p) || *p == '-' ? *p : '-');
	buf_printf(o, "-%u%s\n", line, suffix);
	im->nrules++;
}

/* Options of a pattern as PCRE2 has them in front. Postfix: any case, and in a pcre: table `.` is also a
 * line's end, until the flag turns that round. POSIX's \< and \> are \b. NULL: a flag of no counterpart. */
static char *
options(struct pf_import *im, const struct pf_source *src, struct span flags, bool lines)
{
	bool i = true, s = true, m = lines, x = false, pcre = span_is(src->type, "pcre");

	for (size_t k = 0; k < flags.n; k++)
		switch (flags.p[k]) {
		case 'i': i = !i; break;
		case 'm': m = !m; break;
		case 's': s = !s; break;
		case 'x':
			if (!pcre)
				return NULL;	/* basic regular expressions */
			x = !x;
			break;
		default:
			return NULL;
		}
	return arena_printf(im->a, "(?%s%s%s%s)", i ? "i" : "", s && !lines ? "s" : "", m ? "m" : "", x ? "x" : "");
}

static struct span
portable(struct pf_import *im, const struct pf_source *src, struct span p)
{
	struct buf b;
	struct span out;

	if (span_is(src->type, "pcre"))
		return p;
	buf_init(&b, 2 * p.n + 1);
	for (size_t i = 0; i < p.n; i++) {
		if (p.p[i] == '\\' && i + 1 < p.n) {
			char c = p.p[++i];

			buf_putc(&b, '\\');
			buf_putc(&b, c == '<' || c == '>' ? 'b' : c);
		} else {
			buf_putc(&b, p.p[i]);
		}
	}
	out = arena_span(im->a, buf_data(&b));
	buf_release(&b);
	return out;
}

/* Compiled as the policy will; one that it refuses would refuse the whole file. */
static bool
compiles(struct pf_import *im, const char *text, const char **why)
{
	PCRE2_SIZE at = 0;
	PCRE2_UCHAR said[200];
	int code = 0;
	pcre2_code *p = pcre2_compile((PCRE2_SPTR)text, strlen(text), PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &code, &at, NULL);

	if (p) {
		pcre2_code_free(p);
		return true;
	}
	pcre2_get_error_message(code, said, sizeof(said));
	*why = arena_printf(im->a, "the pattern does not hold in PCRE2: %s", (const char *)said);
	return false;
}

/* What DUNNO and OK before it say of a header. */
#define PASSES_MAX 64
struct passes {
	struct { struct span header; char *pattern; } v[PASSES_MAX];
	size_t n;
};

static void
put_passes(struct pf_import *im, const struct passes *ps, struct span header)
{
	struct buf b;
	bool first = true;

	buf_init(&b, 4u << 20);
	for (size_t i = 0; i < ps->n; i++) {
		if (!span_eq_nocase(ps->v[i].header, header))
			continue;
		buf_printf(&b, "%s(?:%s)", first ? "" : "|", ps->v[i].pattern);
		first = false;
	}
	if (!first)
		buf_printf(&im->rules, "    unless: {header: {" SPAN_FMT ": {pattern: %s}}}\n", SPAN_ARG(header),
		    pf_single(im->a, buf_data(&b)));
	buf_release(&b);
}

static bool
passes(struct span verb)
{
	return span_is_nocase(verb, "DUNNO") || span_is_nocase(verb, "OK") || span_is_nocase(verb, "PERMIT");
}

static bool
one_header(struct pf_import *im, const struct pf_source *src, const struct pf_rule *r, struct span pattern, struct passes *ps,
    unsigned *k, const char **why)
{
	char *opts = options(im, src, r->flags, false), *text;
	struct pf_header h;
	const char *then;

	if (!pf_header_pattern(im->a, pattern, &h)) {
		*why = "it does not begin with the name of a header (^Name:): Postern looks into one header at a time";
		return false;
	}
	if (opts == NULL) {
		*why = "flags of no counterpart stand behind the pattern";
		return false;
	}
	text = h.rest.n ? arena_printf(im->a, "%s%s(?:" SPAN_FMT ")", opts, h.anchored ? "^" : "", SPAN_ARG(portable(im, src, h.rest))) :
	    arena_printf(im->a, "%s", "(?s).*");
	if (!compiles(im, text, why))
		return false;
	for (size_t i = 0; i < h.nnames; i++) {
		if (passes(r->verb)) {
			if (ps->n == PASSES_MAX) {
				*why = "too many exceptions in one table";
				return false;
			}
			ps->v[ps->n].header = h.names[i];
			ps->v[ps->n++].pattern = text;
			continue;
		}
		if ((then = pf_action(im, src->name, r->line, r->verb, r->text, h.names[i], why)) == NULL)
			return false;
		pf_rule_begin(im, src->name, r->line, r->whole, *k ? arena_printf(im->a, "-%u", *k + 1) : "");
		(*k)++;
		buf_printf(&im->rules, "    when: {header: {" SPAN_FMT ": {%s%s}}}\n", SPAN_ARG(h.names[i]),
		    h.rest.n ? "pattern: " : "present: true", h.rest.n ? pf_single(im->a, span_str(text)) : "");
		put_passes(im, ps, h.names[i]);
		buf_printf(&im->rules, "    then: %s\n", then);
		if (h.rest.n && (span_is_nocase(r->verb, "IGNORE") || span_is_nocase(r->verb, "STRIP")))
			pf_leave(im, PF_DIFFERS, src->name, r->line, r->whole,
			    "all headers of that name are removed when one of them matches");
	}
	return true;
}

/* Files by their names: of all parts, as mail programs will show them. */
static bool
one_file(struct pf_import *im, const struct pf_source *src, const struct pf_rule *r, unsigned *k)
{
	struct span ext[64];
	const char *then, *why;
	size_t n = pf_extensions(im->a, r->pattern, ext, 64);

	if (n == 0 || passes(r->verb) || span_is_nocase(r->verb, "IGNORE") || span_is_nocase(r->verb, "STRIP") ||
	    (then = pf_action(im, src->name, r->line, r->verb, r->text, (struct span){ 0 }, &why)) == NULL)
		return false;
	pf_rule_begin(im, src->name, r->line, r->whole, *k ? arena_printf(im->a, "-%u", *k + 1) : "");
	(*k)++;
	buf_puts(&im->rules, "    when: {attachment: {extension: [");
	for (size_t i = 0; i < n; i++)
		buf_printf(&im->rules, "%s" SPAN_FMT, i ? ", " : "", SPAN_ARG(ext[i]));
	buf_printf(&im->rules, "]}}\n    then: %s\n", then);
	pf_leave(im, PF_DIFFERS, src->name, r->line, r->whole, "by the files' decoded names, also within archives: finds more");
	return true;
}

static bool
one_body(struct pf_import *im, const struct pf_source *src, const struct pf_rule *r, unsigned *k, const char **why)
{
	char *opts = options(im, src, r->flags, true), *text;
	const char *then;

	if (passes(r->verb)) {
		*why = "an exception for one line of a body";
		return false;
	}
	if (opts == NULL) {
		*why = "flags of no counterpart stand behind the pattern";
		return false;
	}
	text = arena_printf(im->a, "%s" SPAN_FMT, opts, SPAN_ARG(portable(im, src, r->pattern)));
	if (!compiles(im, text, why))
		return false;
	if ((then = pf_action(im, src->name, r->line, r->verb, r->text, (struct span){ 0 }, why)) == NULL)
		return false;
	pf_rule_begin(im, src->name, r->line, r->whole, *k ? arena_printf(im->a, "-%u", *k + 1) : "");
	(*k)++;
	buf_printf(&im->rules, "    when: {body: {pattern: %s}}\n    then: %s\n", pf_single(im->a, span_str(text)), then);
	return true;
}

enum checks { HEADER, MIME, BODY };
#define PATTERN_MAX 4000	/* bytes; the policy takes some more (PATTERN_BYTES_MAX) with what is put around it */

static void
one_rule(struct pf_import *im, const struct pf_source *src, const struct pf_rule *r, enum checks kind, struct passes *ps)
{
	struct span alt[32];
	const char *why = "its brackets do not close";
	size_t n, done = 0;
	unsigned k = 0;

	if (r->pattern.n > PATTERN_MAX || r->text.n > PATTERN_MAX) {
		pf_leave(im, PF_LOST, src->name, r->line, span_sub(r->whole, 0, 100), "longer than %d bytes", PATTERN_MAX);
		return;
	}
	if (kind == BODY) {
		if (!one_body(im, src, r, &k, &why))
			pf_leave(im, PF_LOST, src->name, r->line, r->whole, "%s", why);
		return;
	}
	/* Content-Type and Content-Disposition of each part: what is asked for there is files. */
	if (one_file(im, src, r, &k))
		return;
	n = pf_alternatives(r->pattern, alt, 32);
	for (size_t i = 0; i < n; i++)
		done += one_header(im, src, r, alt[i], ps, &k, &why);
	if (done < n || n == 0)
		pf_leave(im, PF_LOST, src->name, r->line, r->whole, "%s%s", n > 1 && done ? "in part: " : "", why);
	else if (kind == MIME)
		pf_leave(im, PF_DIFFERS, src->name, r->line, r->whole, "looks into the headers of the message, not of its parts");
}

/* ---- if /^Subject:/ … endif ---- */

struct condition {
	const struct pf_rule *rule;	/* NULL: none is open */
	struct pf_header of;
	bool known;		/* it asks for nothing but which header it is */
};

static bool
names_have(const struct pf_header *h, struct span name)
{
	for (size_t i = 0; i < h->nnames; i++)
		if (span_eq_nocase(h->names[i], name))
			return true;
	return false;
}

static void
condition_begin(struct pf_import *im, const struct pf_source *src, const struct pf_rule *r, enum checks kind, struct condition *c)
{
	*c = (struct condition){ .rule = r };
	c->known = kind == HEADER && r->flags.n == 0 && pf_header_pattern(im->a, r->pattern, &c->of) &&
	    (r->negate || c->of.rest.n == 0);
	if (c->known)
		source_line(im, src->name, r->line, r->whole);
	else
		pf_leave(im, PF_LOST, src->name, r->line, r->whole, "a condition is taken over when it names headers and asks no more: "
		    "if /^Subject:/, if !/^Received:/");
}

/* A rule within: the same one without its condition. false: there is none, *why; "" when it never matches. */
static bool
without_condition(struct pf_import *im, const struct condition *c, const struct pf_rule *r, struct pf_rule *out, const char **why)
{
	struct pf_header h;
	size_t both = 0;
	struct buf b;

	*out = *r;
	if (pf_header_pattern(im->a, r->pattern, &h) && h.nnames) {
		for (size_t i = 0; i < h.nnames; i++)
			both += names_have(&c->of, h.names[i]);
		if (both == (c->rule->negate ? 0 : h.nnames))
			return true;
		*why = both == (c->rule->negate ? h.nnames : 0) && c->of.rest.n == 0 ? "" :
		    "in part under its condition: write a rule for each header";
		return false;
	}
	*why = c->rule->negate ? "holds for all headers but some: write a rule for those that are meant" :
	    "begins at the line's beginning and names no header";
	if (c->rule->negate || span_starts(r->pattern, SPAN_LIT("^")) || r->pattern.n > PATTERN_MAX)
		return false;
	buf_init(&b, 2 * PATTERN_MAX + PF_NAMES_MAX * 100);
	for (size_t i = 0; i < c->of.nnames; i++)
		buf_printf(&b, "%s" SPAN_FMT, i ? "|" : "^(", SPAN_ARG(c->of.names[i]));
	buf_printf(&b, "):.*(" SPAN_FMT ")", SPAN_ARG(r->pattern));
	out->pattern = arena_span(im->a, buf_data(&b));
	*why = "too long a condition";
	both = !buf_failed(&b);
	buf_release(&b);
	return both;
}

static void
within(struct pf_import *im, const struct pf_source *src, const struct pf_rule *r, enum checks kind, const struct condition *c,
    struct passes *ps)
{
	struct pf_rule alone;
	const char *why = "stands under a condition that is not taken over";

	if (c->known && without_condition(im, c, r, &alone, &why))
		one_rule(im, src, &alone, kind, ps);
	else if (*why == '\0')
		pf_leave(im, PF_NOTHING, src->name, r->line, r->whole, "never matches under its condition");
	else
		pf_leave(im, PF_LOST, src->name, r->line, r->whole, "%s", why);
}

static void
one_table(struct pf_import *im, const struct pf_source *src, enum checks kind)
{
	struct passes *ps = arena_zalloc(im->a, sizeof(*ps));
	struct condition c = { .rule = NULL };
	struct pf_rule *r;
	size_t n, depth = 0;

	if (!pf_is_pattern(src)) {
		pf_leave(im, PF_LOST, src->name, 0, span_str(src->path), "only regexp: and pcre: tables are read here");
		return;
	}
	if (pf_rules(im->a, src->text, &r, &n) == -1) {
		pf_leave(im, PF_LOST, src->name, 0, span_str(src->path), "more than %d lines", PF_ITEMS_MAX);
		return;
	}
	buf_printf(&im->rules, "\n  # ---- %s ----\n", src->path);
	for (size_t i = 0; i < n; i++) {
		if (r[i].kind == PF_BAD)
			pf_leave(im, PF_LOST, src->name, r[i].line, r[i].whole, "no /pattern/ action: Postfix does not understand it either");
		else if (r[i].kind == PF_IF && depth++ == 0)
			condition_begin(im, src, &r[i], kind, &c);
		else if (r[i].kind == PF_IF || depth > 1)
			pf_leave(im, PF_LOST, src->name, r[i].line, r[i].whole, "a condition within a condition: to be written as one rule");
		else if (r[i].kind == PF_MATCH && r[i].negate)
			pf_leave(im, PF_LOST, src->name, r[i].line, r[i].whole,
			    "a pattern that must not match (!) holds for each other header, so for nearly every message");
		else if (r[i].kind == PF_MATCH && depth)
			within(im, src, &r[i], kind, &c, ps);
		else if (r[i].kind == PF_MATCH)
			one_rule(im, src, &r[i], kind, ps);
		if (r[i].kind == PF_ENDIF && depth)
			depth--;
	}
}

static void
all_tables(struct pf_import *im, const char *name, enum checks kind)
{
	struct pf_param *p;
	struct span list = pf_take(im, name, &p), map;
	struct pf_source src;

	while (p && pf_word(&list, &map))
		if (pf_open(im, p, map, &src))
			one_table(im, &src, kind);
}

void
pf_write_checks(struct pf_import *im)
{
	all_tables(im, "header_checks", HEADER);
	all_tables(im, "mime_header_checks", MIME);
	all_tables(im, "nested_header_checks", MIME);
	all_tables(im, "body_checks", BODY);
	pf_take(im, "body_checks_size_limit", NULL);
}
