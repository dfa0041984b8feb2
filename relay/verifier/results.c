/* results.c -- Authentication-Results (RFC 8601): ours written, others' read; see results.h. */
#include <stdarg.h>
#include <stdio.h>

#include "verifier/results.h"

#define VALUE_MAX 253
#define LINE 78
#define DEPTH_MAX 32

/* ---- reading (RFC 5322, 3.2.2; RFC 8601, 2.2) ---- */

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Behind white space and comments; s.n when a comment does not end. */
static size_t
skip_cfws(struct span s, size_t at)
{
	while (at < s.n) {
		unsigned depth = 0;

		if (is_space(s.p[at])) {
			at++;
			continue;
		}
		if (s.p[at] != '(')
			break;
		do {
			if (s.p[at] == '\\')
				at++;
			else if (s.p[at] == '(')
				depth++;
			else if (s.p[at] == ')')
				depth--;
			at++;
		} while (at < s.n && depth && depth < DEPTH_MAX);
		if (depth)
			return s.n;
	}
	return at < s.n ? at : s.n;
}

/* The end of a quoted string that begins at `at`. */
static size_t
skip_quoted(struct span s, size_t at)
{
	for (at++; at < s.n && s.p[at] != '"'; at++)
		if (s.p[at] == '\\')
			at++;
	return at < s.n ? at + 1 : s.n;
}

bool
results_claim(struct span body, struct span us)
{
	size_t at = skip_cfws(body, 0), from = at, k = 0;
	bool quoted = at < body.n && body.p[at] == '"';

	if (at == body.n)
		return true;
	if (!quoted) {
		while (at < body.n && !is_space(body.p[at]) && body.p[at] != ';' && body.p[at] != '(')
			at++;
		/* a final dot names the same host */
		if (at > from && body.p[at - 1] == '.')
			at--;
		return at == from || span_eq_nocase(span_sub(body, from, at - from), us);
	}
	for (at++; at < body.n && body.p[at] != '"'; at++, k++) {
		if (body.p[at] == '\\')
			at++;
		if (at >= body.n || k >= us.n || ascii_lower(body.p[at]) != ascii_lower(us.p[k]))
			return at >= body.n;
	}
	return at >= body.n || k == us.n;
}

/* A word, and what stands behind it. */
static bool
word_is(struct span s, size_t *at, const char *word)
{
	size_t from = *at = skip_cfws(s, *at);

	while (*at < s.n && (ascii_lower(s.p[*at]) >= 'a' && ascii_lower(s.p[*at]) <= 'z'))
		(*at)++;
	return span_is_nocase(span_sub(s, from, *at - from), word);
}

static bool
one_says(struct span one, const char *method, const char *result)
{
	size_t at = 0;

	if (!word_is(one, &at, method))
		return false;
	at = skip_cfws(one, at);
	if (at < one.n && one.p[at] == '/') {	/* a version */
		at = skip_cfws(one, at + 1);
		while (at < one.n && one.p[at] >= '0' && one.p[at] <= '9')
			at++;
		at = skip_cfws(one, at);
	}
	if (at >= one.n || one.p[at] != '=')
		return false;
	at++;
	if (!word_is(one, &at, result))
		return false;
	return at == one.n || is_space(one.p[at]) || one.p[at] == '(';
}

bool
results_say(struct span list, const char *method, const char *result)
{
	size_t from = 0, at = 0;

	while (at <= list.n) {
		if (at < list.n && list.p[at] == '"') {
			at = skip_quoted(list, at);
		} else if (at < list.n && list.p[at] == '(') {
			at = skip_cfws(list, at);
			if (at == list.n)
				return one_says(span_sub(list, from, at - from), method, result);
		} else if (at == list.n || list.p[at] == ';') {
			if (one_says(span_sub(list, from, at - from), method, result))
				return true;
			from = ++at;
		} else
			at++;
	}
	return false;
}

/* ---- writing ---- */

/* Folds in front of a word when the line would become too long. */
static void
put_word(struct results *r, struct span w, bool new_line)
{
	if (new_line || r->column + w.n + 1 > LINE) {
		buf_puts(r->b, "\r\n\t");
		r->column = 8;
	} else {
		buf_putc(r->b, ' ');
		r->column++;
	}
	buf_span(r->b, w);
	r->column += w.n;
}

void
results_begin(struct results *r, struct buf *b, struct span authserv_id)
{
	size_t before = buf_size(b);

	*r = (struct results){ .b = b };
	buf_printf(b, "Authentication-Results: " SPAN_FMT ";", SPAN_ARG(authserv_id));
	r->column = buf_size(b) - before;
}

void
results_method(struct results *r, const char *method, const char *result)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%s=%s", method, result);

	if (r->any)
		buf_putc(r->b, ';');
	r->any = true;
	put_word(r, span_make(text, (size_t)n), true);
}

/* RFC 2045's token, with "@" as in RFC 8601's pvalue. */
static bool
is_token(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c <= ' ' || c > '~' || strchr("()<>,;:\\\"/[]?=", c))
			return false;
	}
	return s.n > 0;
}

static void
put_value(struct results *r, const char *name, struct span value, bool always_quoted)
{
	char text[2 * VALUE_MAX + 80];
	size_t n = (size_t)snprintf(text, 64, "%s=", name);

	value = span_sub(value, 0, VALUE_MAX);
	if (!always_quoted && is_token(value)) {
		memcpy(text + n, value.p, value.n);
		put_word(r, span_make(text, n + value.n), false);
		return;
	}
	text[n++] = '"';
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];

		if (c == '"' || c == '\\')
			text[n++] = '\\';
		text[n++] = c < ' ' || c > '~' ? '?' : (char)c;
	}
	text[n++] = '"';
	put_word(r, span_make(text, n), false);
}

void
results_reason(struct results *r, struct span text)
{
	if (text.n)
		put_value(r, "reason", text, true);
}

void
results_comment(struct results *r, const char *fmt, ...)
{
	char text[256], *p = text;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (p = text; *p; p++)
		if (*p < ' ' || *p > '~' || *p == '(' || *p == ')' || *p == '\\')
			*p = '?';
	{
		char whole[sizeof(text) + 2];
		int n = snprintf(whole, sizeof(whole), "(%s)", text);

		put_word(r, span_make(whole, (size_t)n), false);
	}
}

void
results_property(struct results *r, const char *name, struct span value)
{
	if (value.n)
		put_value(r, name, value, false);
}

void
results_end(struct results *r)
{
	if (!r->any)
		put_word(r, SPAN_LIT("none"), false);
	buf_puts(r->b, "\r\n");
}
