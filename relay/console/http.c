/* http.c -- see http.h. */
#include "console/http.h"

static bool
is_token(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	    (c && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* Up to `c`; the rest behind it stays in *s. */
static struct span
cut(struct span *s, char c)
{
	size_t n = span_find(*s, c);
	struct span head = span_sub(*s, 0, n);

	*s = span_from(*s, n + 1);
	return head;
}

static int
refuse(int *status, int why)
{
	*status = why;
	return -1;
}

/* "GET /path?query HTTP/1.1" (RFC 9112, 3), in origin form. */
static int
request_line(struct span line, struct http_request *r, int *status)
{
	struct span method = cut(&line, ' '), target = cut(&line, ' ');

	for (size_t i = 0; i < target.n; i++)
		if (target.p[i] <= ' ' || target.p[i] > '~')
			return refuse(status, 400);
	if (method.n == 0 || target.n == 0 || target.p[0] != '/')
		return refuse(status, 400);
	if (!span_is(line, "HTTP/1.1") && !span_is(line, "HTTP/1.0"))
		return refuse(status, 505);
	r->method = span_is(method, "GET") ? HTTP_GET : span_is(method, "HEAD") ? HTTP_HEAD :
	    span_is(method, "POST") ? HTTP_POST : HTTP_OTHER;
	r->path = cut(&target, '?');
	r->query = target;
	return 0;
}

/* Digits alone; two that differ, or two at all, are one too many (RFC 9112, 6.3). */
static int
content_length(struct span v, size_t *length, bool *seen, int *status)
{
	size_t n = 0;

	if (*seen || v.n == 0)
		return refuse(status, 400);
	*seen = true;
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return refuse(status, 400);
		if ((n = n * 10 + (size_t)(v.p[i] - '0')) > HTTP_BODY_MAX)
			return refuse(status, 413);
	}
	*length = n;
	return 0;
}

static int
field(struct span line, struct http_request *r, size_t *length, bool *seen, int *status)
{
	bool colon = span_find(line, ':') < line.n;
	struct span name = cut(&line, ':'), value = span_trim(line);

	if (name.n == 0 || !colon)
		return refuse(status, 400);
	for (size_t i = 0; i < name.n; i++)	/* also no folded lines, no space before the colon */
		if (!is_token(name.p[i]))
			return refuse(status, 400);
	for (size_t i = 0; i < value.n; i++)
		if (((unsigned char)value.p[i] < ' ' && value.p[i] != '\t') || value.p[i] == 0x7f)
			return refuse(status, 400);
	if (span_is_nocase(name, "Transfer-Encoding"))
		return refuse(status, 501);
	if (span_is_nocase(name, "Content-Length"))
		return content_length(value, length, seen, status);
	if (span_is_nocase(name, "Accept-Language"))
		r->languages = value;
	if (span_is_nocase(name, "Content-Type"))
		r->form = span_is_nocase(span_trim(span_sub(value, 0, span_find(value, ';'))),
		    "application/x-www-form-urlencoded");
	return 0;
}

int
http_read(struct span in, struct http_request *r, int *status)
{
	const char *end = in.n ? memmem(in.p, in.n, "\r\n\r\n", 4) : NULL;
	size_t head = end ? (size_t)(end - in.p) + 4 : in.n, length = 0;
	struct span rest = { in.p, head - 2 };
	bool seen = false, first = true;

	*r = (struct http_request){ 0 };
	if (head > HTTP_HEAD_MAX)
		return refuse(status, 431);
	if (end == NULL)
		return 0;
	while (rest.n) {
		struct span line = cut(&rest, '\n');

		if (line.n == 0 || line.p[line.n - 1] != '\r')
			return refuse(status, 400);
		line.n--;
		if ((first ? request_line(line, r, status) : field(line, r, &length, &seen, status)) == -1)
			return -1;
		first = false;
	}
	if (first)
		return refuse(status, 400);
	if (r->method == HTTP_POST && !seen)
		return refuse(status, 411);
	if (in.n - head < length)
		return 0;
	r->body = span_sub(in, head, length);
	return 1;
}

/* ---- forms ---- */

static int
hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 :
	    c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool
decode(struct span s, struct arena *a, struct span *out)
{
	char *p;
	size_t n = 0;

	if (s.n > 3 * HTTP_FIELD_MAX)
		return false;
	p = arena_alloc(a, s.n + 1);
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '%') {
			if (i + 2 >= s.n || hex(s.p[i + 1]) < 0 || hex(s.p[i + 2]) < 0)
				return false;
			p[n++] = (char)(hex(s.p[i + 1]) * 16 + hex(s.p[i + 2]));
			i += 2;
		} else {
			p[n++] = s.p[i] == '+' ? ' ' : s.p[i];
		}
	}
	*out = span_make(p, n);
	return n <= HTTP_FIELD_MAX;
}

bool
http_field(struct span form, const char *name, struct arena *a, struct span *out)
{
	bool found = false;

	while (form.n) {
		struct span pair = cut(&form, '&');
		struct span key = cut(&pair, '=');

		if (!span_is(key, name))
			continue;
		if (found || !decode(pair, a, out))
			return false;
		found = true;
	}
	return found;
}

/* ---- languages ---- */

/* In thousandths; 1000 where none is said. */
static unsigned
quality(struct span s)
{
	unsigned q = 0, unit = 1000;

	s = span_trim(s);
	if (!span_starts_nocase(s, SPAN_LIT("q=")))
		return 1000;
	for (s = span_from(s, 2); s.n && unit; s = span_from(s, 1)) {
		if (s.p[0] == '.')
			continue;
		if (s.p[0] < '0' || s.p[0] > '9')
			return 0;
		q += (unsigned)(s.p[0] - '0') * unit;
		unit /= 10;
	}
	return q;
}

bool
http_french(struct span languages)
{
	unsigned fr = 0, en = 0;

	while (languages.n) {
		struct span rest = cut(&languages, ',');
		struct span tag = span_trim(cut(&rest, ';'));
		struct span lang = span_sub(tag, 0, span_find(tag, '-'));
		unsigned q = quality(rest);

		if (span_is_nocase(lang, "fr") && q > fr)
			fr = q;
		else if (span_is_nocase(lang, "en") && q > en)
			en = q;
	}
	return fr > en;
}

const char *
http_reason(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 404:
		return "Not Found";
	case 410:
		return "Gone";
	case 411:
		return "Length Required";
	case 413:
		return "Content Too Large";
	case 431:
		return "Request Header Fields Too Large";
	case 501:
		return "Not Implemented";
	case 505:
		return "HTTP Version Not Supported";
	default:
		return "Service Unavailable";
	}
}
