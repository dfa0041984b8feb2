/* param.c -- Content-Type and Content-Disposition; see anatomy/param.h.
 *
 * What mail programs really send is read as readers read it: unquoted values
 * with spaces, "=" or "/" in them, missing semicolons, unclosed quotes,
 * RFC 2047 words within quotes, RFC 2231 values within quotes.
 */
#include "anatomy/param.h"

#include "anatomy/charset.h"
#include "anatomy/decode.h"
#include "anatomy/header.h"

/* Behind the comment that opens at s[i]; s.n when it is never closed. */
static size_t
comment_skip(struct span s, size_t i)
{
	unsigned depth = 0;

	for (; i < s.n; i++) {
		if (s.p[i] == '\\' && i + 1 < s.n)
			i++;
		else if (s.p[i] == '(')
			depth++;
		else if (s.p[i] == ')' && --depth == 0)
			return i + 1;
	}
	return s.n;
}

static size_t
space_skip(struct span s, size_t i)
{
	for (;;) {
		while (i < s.n && (ascii_is_wsp(s.p[i]) || s.p[i] == '\r' || s.p[i] == '\n'))
			i++;
		if (i == s.n || s.p[i] != '(')
			return i;
		i = comment_skip(s, i);
	}
}

/* The quoted string at s[i]. Backslashes before other than '"' and '\' stay: they are of
 * Windows paths. */
static size_t
quoted_read(struct arena *a, struct span s, size_t i, struct span *out, bool *malformed)
{
	size_t from = ++i, n = 0;
	bool escapes = false;
	char *p;

	for (; i < s.n && s.p[i] != '"'; i++)
		if (s.p[i] == '\\' && i + 1 < s.n && (s.p[i + 1] == '"' || s.p[i + 1] == '\\')) {
			escapes = true;
			i++;
		}
	if (i >= s.n) {
		*malformed = true;
		i = s.n;
	}
	*out = span_sub(s, from, i - from);
	if (escapes) {
		p = arena_alloc(a, out->n);
		for (size_t k = 0; k < out->n; k++) {
			if (out->p[k] == '\\' && k + 1 < out->n &&
			    (out->p[k + 1] == '"' || out->p[k + 1] == '\\'))
				k++;
			p[n++] = out->p[k];
		}
		*out = span_make(p, n);
	}
	return i < s.n ? i + 1 : i;
}

/* A bare value: to the semicolon. A comment at its end is dropped; one within ("report
 * (1).pdf") is part of a sloppy value. */
static size_t
bare_read(struct span s, size_t i, struct span *out)
{
	size_t from = i, end;

	while (i < s.n && s.p[i] != ';')
		i++;
	*out = span_trim(span_sub(s, from, i - from));
	for (end = 1; end < out->n; end++)
		if (out->p[end] == '(' && ascii_is_wsp(out->p[end - 1])) {
			if (space_skip(*out, end) == out->n)
				*out = span_trim(span_sub(*out, 0, end));
			break;
		}
	return i;
}

static bool
is_token_char(char c)
{
	return (unsigned char)c > ' ' && c != 0x7f && !strchr("()<>@,;:\\\"/[]?=", c);
}

/* "name*1*" into its pieces. */
static void
name_split(struct param *p, struct span name)
{
	size_t star = span_find(name, '*'), i = star + 1;
	uint32_t section = 0;

	p->name = span_sub(name, 0, star);
	if (star == name.n)
		return;
	for (; i < name.n && name.p[i] >= '0' && name.p[i] <= '9'; i++) {
		p->continued = true;
		section = section * 10 + (uint32_t)(name.p[i] - '0');
		if (section > UINT16_MAX)
			section = UINT16_MAX;
	}
	p->section = (uint16_t)section;
	p->extended = name.p[name.n - 1] == '*';
}

void
params_parse(struct params *p, struct arena *a, struct span s)
{
	size_t i = space_skip(s, 0), from = i;

	p->n = 0;
	p->malformed = false;
	if (i < s.n && s.p[i] == '"')
		i = quoted_read(a, s, i, &p->value, &p->malformed);
	else {
		while (i < s.n && s.p[i] != ';' && s.p[i] != '(' && !ascii_is_wsp(s.p[i]))
			i++;
		p->value = span_sub(s, from, i - from);
		/* "text / plain", "text (comment) /plain" */
		from = space_skip(s, i);
		if (from > i && from < s.n && s.p[from] != ';' && p->value.n &&
		    (s.p[from] == '/' || p->value.p[p->value.n - 1] == '/')) {
			size_t rest = s.p[from] == '/' ? space_skip(s, from + 1) : from, end = rest;
			struct span head = p->value;
			char *joined;

			while (end < s.n && is_token_char(s.p[end]))
				end++;
			if (head.p[head.n - 1] == '/')
				head.n--;
			joined = arena_alloc(a, head.n + 1 + end - rest);
			memcpy(joined, head.p, head.n);
			joined[head.n] = '/';
			memcpy(joined + head.n + 1, s.p + rest, end - rest);
			p->value = span_make(joined, head.n + 1 + end - rest);
			i = end;
		}
	}
	for (;;) {
		struct param *q;
		struct span name;

		/* To the next name; white space alone separates for sloppy senders. */
		i = space_skip(s, i);
		while (i < s.n && !is_token_char(s.p[i])) {
			if (s.p[i] != ';')
				p->malformed = true;
			i = space_skip(s, i + 1);
		}
		if (i >= s.n)
			return;
		for (from = i; i < s.n && is_token_char(s.p[i]); i++)
			;
		name = span_sub(s, from, i - from);
		i = space_skip(s, i);
		if (i >= s.n || s.p[i] != '=') {
			p->malformed = true;
			continue;
		}
		if (p->n == PARAMS_MAX) {
			p->malformed = true;
			return;
		}
		q = &p->list[p->n++];
		*q = (struct param){ 0 };
		name_split(q, name);
		i = space_skip(s, i + 1);
		if (i < s.n && s.p[i] == '"')
			i = quoted_read(a, s, i, &q->value, &p->malformed);
		else
			i = bare_read(s, i, &q->value);
	}
}

bool
params_plain(const struct params *p, const char *name, size_t nth, struct span *out)
{
	for (size_t i = 0; i < p->n; i++)
		if (!p->list[i].continued && !p->list[i].extended &&
		    span_is_nocase(p->list[i].name, name) && nth-- == 0) {
			*out = p->list[i].value;
			return true;
		}
	return false;
}

static size_t
percent_decode(struct span s, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '%' && s.n - i > 2 && hex_value(s.p[i + 1]) >= 0 &&
		    hex_value(s.p[i + 2]) >= 0) {
			c = (char)(hex_value(s.p[i + 1]) << 4 | hex_value(s.p[i + 2]));
			i += 2;
		}
		out[n++] = c;
	}
	return n;
}

/* charset'language'value */
static struct span
extended_split(struct span v, struct span *charset)
{
	size_t one = span_find(v, '\''), two;

	if (one == v.n)
		return v;
	two = one + 1 + span_find(span_from(v, one + 1), '\'');
	if (two >= v.n)
		return v;
	*charset = span_sub(v, 0, one);
	return span_from(v, two + 1);
}

/* The series name*0, name*1, … joined as bytes. false when there is none. */
static bool
series_join(const struct params *p, struct arena *a, const char *name, struct span *charset,
    struct span *out, bool *extended)
{
	size_t room = 0, n = 0;
	char *buf;
	bool any = false;

	for (size_t i = 0; i < p->n; i++)
		if (p->list[i].continued && span_is_nocase(p->list[i].name, name)) {
			room += p->list[i].value.n;
			any = true;
		}
	if (!any)
		return false;
	buf = arena_alloc(a, room);
	/* In order of their numbers, whatever order they stand in; a gap is skipped. */
	for (int32_t last = -1;;) {
		const struct param *next = NULL;
		struct span v;

		for (size_t i = 0; i < p->n; i++)
			if (p->list[i].continued && p->list[i].section > last &&
			    span_is_nocase(p->list[i].name, name) &&
			    (next == NULL || p->list[i].section < next->section))
				next = &p->list[i];
		if (next == NULL)
			break;
		v = next->value;
		if (next->extended) {
			*extended = true;
			if (last == -1)
				v = extended_split(v, charset);
			n += percent_decode(v, buf + n);
		} else {
			memcpy(buf + n, v.p, v.n);
			n += v.n;
		}
		last = next->section;
	}
	*out = span_make(buf, n);
	return true;
}

bool
params_text(const struct params *p, struct arena *a, const char *name, struct span *out,
    uint32_t *defects)
{
	struct span charset = { 0 };
	struct text in = { 0 }, made;
	bool extended = false;
	char *buf;

	for (size_t i = 0; i < p->n; i++)	/* name*=utf-8''… is the best reading */
		if (p->list[i].extended && !p->list[i].continued &&
		    span_is_nocase(p->list[i].name, name)) {
			struct span v = extended_split(p->list[i].value, &charset);

			buf = arena_alloc(a, v.n);
			in.s = span_make(buf, percent_decode(v, buf));
			*defects |= charset_decode(a, charset, &in, false, &made);
			*out = made.s;
			return true;
		}
	if (series_join(p, a, name, &charset, &in.s, &extended) && (extended || charset.n)) {
		*defects |= charset_decode(a, charset, &in, false, &made);
		*out = made.s;
		return true;
	}
	for (size_t i = 0; in.s.p == NULL && i < p->n; i++)
		if (!p->list[i].continued && span_is_nocase(p->list[i].name, name)) {
			in.s = p->list[i].value;
			if (in.s.p == NULL)
				in.s.p = "";
		}
	if (in.s.p == NULL)
		return false;
	*defects |= header_decode(a, in.s, 0, out, NULL);
	return true;
}

size_t
params_readings(const struct params *p, struct arena *a, const char *name, struct span *out,
    size_t max, uint32_t *defects)
{
	struct params one;
	size_t n = 0, alone = 0;

	for (size_t i = 0; i < p->n && n + 1 < max; i++)
		if (!p->list[i].continued && span_is_nocase(p->list[i].name, name)) {
			one.list[0] = p->list[i];
			one.n = 1;
			n += params_text(&one, a, name, &out[n], defects);
			alone++;
		}
	/* Beside them, or instead of one alone: the best of all, which may be a series. */
	if (alone == 1 && p->n == 1)
		return n;
	if (n < max)
		n += params_text(p, a, name, &out[n], defects);
	return n;
}

struct span
token_first(struct arena *a, struct span s)
{
	size_t i = space_skip(s, 0), from = i;
	struct span v;
	bool malformed;

	if (i < s.n && s.p[i] == '"') {
		quoted_read(a, s, i, &v, &malformed);
		return span_trim(v);
	}
	while (i < s.n && !ascii_is_wsp(s.p[i]) && s.p[i] != ';' && s.p[i] != '(' &&
	    s.p[i] != ',')
		i++;
	return span_sub(s, from, i - from);
}
