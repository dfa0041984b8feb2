/* spam_headers.c -- what a trusted relay in front of us says of spam; see spam_headers.h. */
#include <stdlib.h>

#include "verifier/spam_headers.h"

/* "7.5", "-0.2", with anything behind it. */
static bool
number(struct span s, double *out)
{
	char text[24], *end;

	s = span_trim(s);
	s = span_sub(s, 0, sizeof(text) - 1);
	if (s.n == 0 || s.p == NULL)
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	/* no hexadecimal, no infinity, no NaN */
	if (text[strspn(text, "+-.0123456789")] != '\0')
		text[strspn(text, "+-.0123456789")] = '\0';
	*out = strtod(text, &end);
	return end != text && *out > -1e6 && *out < 1e6;
}

/* The value behind "name=", up to white space. */
static struct span
item(struct span s, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i + n <= s.n; i++)
		if ((i == 0 || ascii_is_wsp(s.p[i - 1]) || s.p[i - 1] == ',' || s.p[i - 1] == '\n') &&
		    span_eq_nocase(span_sub(s, i, n), span_make(name, n)))
			return span_from(s, i + n);
	return (struct span){ 0 };
}

static bool
is_name(char c)
{
	return (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
	    c == '-';
}

/* Names up to the first white space that no comma stands before: folded lists go on. */
static void
put_tests(struct span s, char end, struct arena *a, struct facts *f)
{
	struct span *v = arena_array(a, SPAM_TESTS_MAX, sizeof(*v));
	size_t n = 0, at = 0;

	while (at < s.n && n < SPAM_TESTS_MAX) {
		size_t from = at;

		while (at < s.n && is_name(s.p[at]))
			at++;
		if (at > from && at - from < 100)
			v[n++] = arena_span(a, span_sub(s, from, at - from));
		while (at < s.n && s.p[at] != ',' && !(end == ' ' && is_name(s.p[at])))
			at++;
		if (at < s.n && s.p[at] != ',')
			break;
		for (at++; at < s.n && !is_name(s.p[at]); at++)
			;
	}
	f->spam_symbols = v;
	f->nspam_symbols = n;
}

static void
read_status(struct span v, struct arena *a, struct facts *f, bool *scored)
{
	struct span score = item(v, "score="), tests = item(v, "tests=");
	struct span head;
	size_t n = 0;

	v = span_trim(v);
	while (n < v.n && is_name(v.p[n]))
		n++;
	head = span_sub(v, 0, n);
	f->spam_known = true;
	f->spam_by = SPAM_SOURCE_HEADER;
	if (score.p)
		*scored |= number(score, &f->spam_score);
	if (tests.p && !span_starts_nocase(tests, SPAN_LIT("none")))
		put_tests(tests, ' ', a, f);
	if (span_is_nocase(head, "suspected") || span_is_nocase(head, "marketing"))
		f->spam_class = span_is_nocase(head, "suspected") ? SPAN_LIT("suspected") :
		    SPAN_LIT("marketing");
	else if (span_is_nocase(head, "yes") && !*scored)
		f->spam_class = SPAN_LIT("spam");
}

/* "default: True [12.50 / 15.00];\r\n\tBAYES_SPAM(5.10)[99.99%];\r\n\tR_SPF_FAIL(1.00)[-all]" */
static void
read_rspamd(struct span v, struct arena *a, struct facts *f, bool *scored)
{
	struct span *names = arena_array(a, SPAM_TESTS_MAX, sizeof(*names));
	size_t n = 0, at = span_find(v, '[');

	f->spam_known = true;
	f->spam_by = SPAM_SOURCE_HEADER;
	*scored |= number(span_from(v, at + 1), &f->spam_score);
	while ((at += span_find(span_from(v, at), ';') + 1) < v.n && n < SPAM_TESTS_MAX) {
		struct span s = span_trim(span_from(v, at));
		size_t k = 0;

		while (k < s.n && is_name(s.p[k]))
			k++;
		if (k > 0 && k < 100)
			names[n++] = arena_span(a, span_sub(s, 0, k));
	}
	f->spam_symbols = names;
	f->nspam_symbols = n;
}

static struct span
first_field(const struct mail *m, const char *name)
{
	for (size_t i = 0; i < m->nfields; i++)
		if (span_is_nocase(mail_field_name(m->fields[i]), name))
			return mail_field_body(m->fields[i]);
	return (struct span){ 0 };
}

void
spam_headers_read(const struct mail *m, struct arena *a, struct facts *f)
{
	struct span status = first_field(m, "X-Spam-Status"), score = first_field(m, "X-Spam-Score");
	struct span flag = first_field(m, "X-Spam-Flag"), rspamd = first_field(m, "X-Spamd-Result");
	struct span scl = first_field(m, "X-MS-Exchange-Organization-SCL");
	bool scored = false;

	if (rspamd.p)
		read_rspamd(rspamd, a, f, &scored);
	if (score.p && !scored && number(score, &f->spam_score))
		f->spam_known = scored = true;
	if (status.p)
		read_status(status, a, f, &scored);
	if (scl.p && !scored && number(scl, &f->spam_score))
		f->spam_known = scored = true;
	if (flag.p) {
		f->spam_known = true;
	f->spam_by = SPAM_SOURCE_HEADER;
		if (!scored && f->spam_class.n == 0 && span_is_nocase(span_trim(flag), "YES"))
			f->spam_class = SPAN_LIT("spam");
	}
}
