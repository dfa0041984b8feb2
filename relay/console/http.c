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
	r->old = r->close = span_is(line, "HTTP/1.0");
	r->method = 0;
	while (r->method < HTTP_OTHER && !span_is(method, http_method_name(r->method)))
		r->method++;
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
		if ((n = n * 10 + (size_t)(v.p[i] - '0')) > HTTP_POLICY_MAX)
			return refuse(status, 413);
	}
	*length = n;
	return 0;
}

/* Two of one name, of which each side could believe another, are none. */
static int
once(struct span *to, struct span value, int *status)
{
	if (to->n)
		return refuse(status, 400);
	*to = value;
	return 0;
}

/* How many of them are hexadecimal digits as we write them. */
static size_t
digits(struct span s)
{
	size_t i = 0;

	while (i < s.n && ((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
		i++;
	return i;
}

/* "0123….en" or "0123….fr/PAGE" */
static int
oidc_cookie(struct span v, struct http_request *r, int *status)
{
	struct span secret = cut(&v, '.'), language = span_sub(v, 0, 2), next = span_from(v, 2);

	if (secret.n != HTTP_SESSION_SIZE || digits(secret) != secret.n || (next.n && !http_next_ok(next)) ||
	    (!span_is(language, "en") && !span_is(language, "fr")))
		return 0;
	r->oidc_language = language;
	r->oidc_next = next;
	return once(&r->oidc, secret, status);
}

/* "a=b; postern_session=0123…" (RFC 6265, 4.2.1) */
static int
cookies(struct span v, struct http_request *r, int *status)
{
	while (v.n) {
		struct span pair = span_trim(cut(&v, ';'));
		struct span name = cut(&pair, '=');

		if (span_is(name, "__Host-postern_oidc") && oidc_cookie(pair, r, status) == -1)
			return -1;
		if (span_is(name, "postern_session") && pair.n == HTTP_SESSION_SIZE && digits(pair) == pair.n &&
		    once(&r->session, pair, status) == -1)
			return -1;
	}
	return 0;
}

static bool
lists(struct span v, const char *word)
{
	while (v.n)
		if (span_is_nocase(span_trim(cut(&v, ',')), word))
			return true;
	return false;
}

/* What the console itself reads of the fields; all others pass by. */
static int
known_field(struct span name, struct span value, struct http_request *r, int *status)
{
	if (span_is_nocase(name, "Host"))
		return value.n ? once(&r->host, value, status) : refuse(status, 400);
	if (span_is_nocase(name, "Cookie"))
		return cookies(value, r, status);
	if (span_is_nocase(name, "X-Postern-CSRF"))
		return once(&r->csrf, value, status);
	if (span_is_nocase(name, "If-None-Match"))
		r->etag = value;
	else if (span_is_nocase(name, "X-Forwarded-For"))
		r->forwarded = value;
	else if (span_is_nocase(name, "Sec-Fetch-Site"))
		r->cross_site = span_is_nocase(value, "cross-site") || span_is_nocase(value, "same-site");
	else if (span_is_nocase(name, "Connection"))
		r->close |= lists(value, "close");
	else if (span_is_nocase(name, "Accept-Language"))
		r->languages = value;
	else if (span_is_nocase(name, "Content-Type")) {
		value = span_trim(span_sub(value, 0, span_find(value, ';')));
		r->form = span_is_nocase(value, "application/x-www-form-urlencoded");
		r->json = span_is_nocase(value, "application/json");
	}
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
	return known_field(name, value, r, status);
}

size_t
http_room(const struct http_request *r)
{
	static const struct span policy = { "/api/v1/policy/", 15 }, api = { "/api/", 5 };

	return r->session.n && span_starts(r->path, policy) ? HTTP_POLICY_MAX :
	    span_starts(r->path, api) ? HTTP_BODY_MAX : HTTP_FORM_MAX;
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
	if ((r->method == HTTP_POST || r->method == HTTP_PATCH) && !seen)
		return refuse(status, 411);
	if (r->host.n == 0 && !r->old)	/* HTTP/1.1 has one (RFC 9112, 3.2) */
		return refuse(status, 400);
	if (length > http_room(r))
		return refuse(status, 413);
	if (in.n - head < length)
		return 0;
	r->body = span_sub(in, head, length);
	r->size = head + length;
	return 1;
}

/* ---- forms ---- */

static int
hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 :
	    c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool
http_decode(struct span s, struct arena *a, struct span *out)
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
	return n <= HTTP_FIELD_MAX && span_find(*out, '\0') == n;
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
		if (found || !http_decode(pair, a, out))
			return false;
		found = true;
	}
	return found;
}

bool
http_next_ok(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= 'A' && s.p[i] <= 'Z') ||
		    (s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] && strchr("/_.~%=&?:@+!*-", s.p[i]))))
			return false;
	return s.n > 0 && s.n <= HTTP_NEXT_MAX && s.p[0] == '/';
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
http_method_name(enum http_method m)
{
	static const char *const names[] = {
#define X(name, text) [HTTP_##name] = text,
		HTTP_METHODS(X)
#undef X
		[HTTP_OTHER] = "OTHER"
	};

	return names[m];
}

const char *
http_reason(int status)
{
	static const struct { int status; const char *reason; } reasons[] = {
		{ 200, "OK" }, { 201, "Created" }, { 202, "Accepted" }, { 204, "No Content" },
		{ 303, "See Other" }, { 304, "Not Modified" }, { 400, "Bad Request" }, { 401, "Unauthorized" },
		{ 403, "Forbidden" }, { 404, "Not Found" }, { 405, "Method Not Allowed" },
		{ 409, "Conflict" }, { 410, "Gone" }, { 411, "Length Required" },
		{ 413, "Content Too Large" }, { 415, "Unsupported Media Type" },
		{ 421, "Misdirected Request" }, { 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" }, { 500, "Internal Server Error" },
		{ 501, "Not Implemented" }, { 505, "HTTP Version Not Supported" },
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Service Unavailable";
}
