/* tags.c -- tag=value lists (RFC 6376, 3.2); see tags.h. Pure. */
#include "verifier/tags.h"

static bool
is_name(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = ascii_lower(s.p[i]);

		if (!(c >= 'a' && c <= 'z') && (i == 0 || (!(c >= '0' && c <= '9') && c != '_')))
			return false;
	}
	return s.n > 0;
}

/* Visible ASCII and folding white space. */
static bool
is_value(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (!(c > ' ' && c <= '~') && !ascii_is_wsp((char)c) && c != '\r' && c != '\n')
			return false;
	}
	return true;
}

bool
tags_parse(struct span s, struct tags *out)
{
	out->n = 0;
	if (s.n > TAGS_BYTES_MAX)
		return false;
	while (s.n) {
		struct span one = span_sub(s, 0, span_find(s, ';'));
		size_t eq = span_find(one, '=');
		struct tag t = { span_trim(span_sub(one, 0, eq)), span_trim(span_from(one, eq + 1)) };

		s = span_from(s, one.n + 1);
		if (span_trim(one).n == 0) {
			if (span_trim(s).n)
				return false;
			break;		/* a semicolon may stand at the end */
		}
		if (eq == one.n || !is_name(t.name) || !is_value(t.value) || out->n == TAGS_MAX)
			return false;
		for (size_t i = 0; i < out->n; i++)
			if (span_eq(out->v[i].name, t.name))
				return false;
		out->v[out->n++] = t;
	}
	return out->n > 0;
}

struct span
tags_get(const struct tags *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++)
		if (span_is(t->v[i].name, name))
			return t->v[i].value.p ? t->v[i].value : SPAN_LIT("");
	return (struct span){ 0 };
}

struct span
tags_compact(struct arena *a, struct span value, bool lower)
{
	char *out = arena_alloc(a, value.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i];

		if (!ascii_is_wsp(c) && c != '\r' && c != '\n')
			out[n++] = lower ? ascii_lower(c) : c;
	}
	out[n] = '\0';
	return span_make(out, n);
}

bool
tags_number(struct span value, uint64_t *out)
{
	*out = 0;
	if (value.n == 0 || value.n > 12)
		return false;
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] < '0' || value.p[i] > '9')
			return false;
		*out = *out * 10 + (uint64_t)(value.p[i] - '0');
	}
	return true;
}

bool
tags_list_has(struct span list, const char *word)
{
	while (list.n) {
		struct span one = span_sub(list, 0, span_find(list, ':'));

		if (span_is(span_trim(one), word))
			return true;
		list = span_from(list, one.n + 1);
	}
	return false;
}
