/* postfix_pattern.c -- what a pattern of header_checks asks for; see postfix_read.h.
 *
 * Postfix matches "Name: value" as one text, Postern a header by its name. So a pattern is taken apart
 * where it begins with names; all others are said not to be translated, never guessed.
 */
#include <string.h>

#include "cli/postfix_read.h"

/* The character class or escape that begins at i; the index behind it. */
static size_t
step(struct span s, size_t i)
{
	size_t k = i + 1;

	if (s.p[i] == '\\')
		return i + 2 <= s.n ? i + 2 : s.n;
	if (s.p[i] != '[')
		return i + 1;
	if (k < s.n && s.p[k] == '^')
		k++;
	if (k < s.n && s.p[k] == ']')
		k++;
	while (k < s.n && s.p[k] != ']') {
		if (s.p[k] == '\\' && k + 1 < s.n) {
			k += 2;
		} else if (s.p[k] == '[' && k + 1 < s.n && s.p[k + 1] == ':') {	/* [[:space:]] */
			size_t end = k + 2;

			while (end + 1 < s.n && !(s.p[end] == ':' && s.p[end + 1] == ']'))
				end++;
			k = end + 1 < s.n ? end + 2 : s.n;
		} else {
			k++;
		}
	}
	return k < s.n ? k + 1 : s.n;
}

size_t
pf_alternatives(struct span s, struct span *out, size_t max)
{
	size_t n = 0, from = 0, depth = 0;

	for (size_t i = 0; i < s.n; i = step(s, i)) {
		if (s.p[i] == '(')
			depth++;
		else if (s.p[i] == ')' && depth-- == 0)
			return 0;
		else if (s.p[i] == '|' && depth == 0) {
			if (n == max)
				return 0;
			out[n++] = span_sub(s, from, i - from);
			from = i + 1;
		}
	}
	if (depth || n == max)
		return 0;
	out[n++] = span_from(s, from);
	return n;
}

/* "Subject", "X-Spam\-Flag": unescaped, into the arena; empty: it is none. */
static struct span
header_name(struct arena *a, struct span s)
{
	char *p = arena_alloc(a, s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '\\' && i + 1 < s.n && s.p[i + 1] == '-')
			continue;
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
			return (struct span){ 0 };
		p[n++] = c;
	}
	p[n] = '\0';
	return (struct span){ p, n };
}

/* What matches any blank or none before the value begins. */
static struct span
skip_blanks(struct span s, bool *any)
{
	static const struct span blanks[] = { SPAN_LIT("[[:space:]]*"), SPAN_LIT("[[:space:]]+"), SPAN_LIT("[[:blank:]]*"),
		SPAN_LIT("[ \\t]*"), SPAN_LIT("[ \\t]+"), SPAN_LIT("[ \t]*"), SPAN_LIT("\\s*"), SPAN_LIT("\\s+"), SPAN_LIT("\\s"),
		SPAN_LIT(" *"), SPAN_LIT(" +"), SPAN_LIT(" ") };
	bool more = true;

	*any = false;
	while (more) {
		more = false;
		for (size_t i = 0; i < sizeof(blanks) / sizeof(*blanks) && !more; i++)
			if (span_starts(s, blanks[i])) {
				s = span_from(s, blanks[i].n);
				more = *any = true;
			}
	}
	return s;
}

static size_t
closing(struct span s)
{
	size_t depth = 0;

	for (size_t i = 0; i < s.n; i = step(s, i)) {
		depth += s.p[i] == '(';
		if (s.p[i] == ')' && --depth == 0)
			return i;
	}
	return s.n;
}

bool
pf_header_pattern(struct arena *a, struct span s, struct pf_header *out)
{
	struct span names[PF_NAMES_MAX], rest;
	bool blanks;
	size_t n;

	*out = (struct pf_header){ .anchored = true };
	if (s.n == 0 || s.p[0] != '^')
		return false;
	s = span_from(s, 1);
	if (s.n && s.p[0] == '(') {
		size_t end = closing(s), from = span_starts(s, SPAN_LIT("(?:")) ? 3 : 1;

		if (end == s.n || end < from)
			return false;
		n = pf_alternatives(span_sub(s, from, end - from), names, PF_NAMES_MAX);
		s = span_from(s, end + 1);
	} else {
		names[0] = span_sub(s, 0, span_find(s, ':'));
		n = 1;
		s = span_from(s, names[0].n);
		for (size_t k = 0; k < 2; k++) {	/* "Subject\s*:" */
			static const struct span tails[] = { SPAN_LIT("\\s*"), SPAN_LIT(" *") };

			if (span_ends_nocase(names[0], tails[k]))
				names[0].n -= tails[k].n;
		}
	}
	if (n == 0 || s.n == 0 || s.p[0] != ':')
		return false;
	for (size_t i = 0; i < n; i++) {
		out->names[i] = header_name(a, names[i]);
		if (out->names[i].n == 0)
			return false;
	}
	out->nnames = n;
	rest = skip_blanks(span_from(s, 1), &blanks);
	/* ".*" in front says "anywhere"; a quantifier that is left over belongs to what was taken: not understood. */
	while (span_starts(rest, SPAN_LIT(".*")) && !(rest.n > 2 && (rest.p[2] == '?' || rest.p[2] == '+'))) {
		rest = span_from(rest, 2);
		out->anchored = false;
	}
	if (rest.n && strchr("*+?{", rest.p[0]))
		return false;
	out->rest = rest;
	return true;
}

static bool
is_extension(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= 'A' && s.p[i] <= 'Z') || (s.p[i] >= '0' && s.p[i] <= '9')))
			return false;
	return s.n > 0 && s.n <= 16;
}

/* Behind the extension: the end of the name, in the ways people write it. */
static bool
is_name_end(struct span s)
{
	static const char *const ends[] = { "", "$", "\"", "\"?", "\"?$", "\"?\\s*$", "\"?\\s*(;|$)", "(\\?=)?\"?\\s*(;|$)", "\\s*$", "(\"|$)",
		"[\"']?", "\"?[[:space:]]*$", "(\\?=)?\"?[[:space:]]*$", "\"*$", "(\\?=)?\"?$", "(\\?=)?\"?\\s*$" };

	while (span_starts(s, SPAN_LIT(")")))	/* the group around the whole name */
		s = span_from(s, 1);
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
		if (span_is(s, ends[i]))
			return true;
	return false;
}

size_t
pf_extensions(struct arena *a, struct span s, struct span *out, size_t max)
{
	size_t at = s.n, n, end;
	struct span list;
	bool name = false;

	for (size_t i = 0; i < s.n; i = step(s, i)) {
		name |= span_starts_nocase(span_from(s, i), SPAN_LIT("name"));
		if (name && span_starts(span_from(s, i), SPAN_LIT("\\.")))
			at = i + 2;
	}
	if (at >= s.n)
		return 0;
	s = span_from(s, at);
	if (s.p[0] == '(') {
		size_t from = span_starts(s, SPAN_LIT("(?:")) ? 3 : 1;

		if ((end = closing(s)) == s.n || end < from)
			return 0;
		list = span_sub(s, from, end - from);
		end++;
	} else {
		for (end = 0; end < s.n && is_extension(span_sub(s, end, 1)); end++)
			;
		list = span_sub(s, 0, end);
	}
	if (!is_name_end(span_from(s, end)))
		return 0;
	n = pf_alternatives(list, out, max);
	for (size_t i = 0; i < n; i++) {
		if (!is_extension(out[i]))
			return 0;
		out[i] = arena_lower(a, out[i]);
	}
	return n;
}
