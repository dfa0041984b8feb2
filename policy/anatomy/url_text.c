/* url_text.c -- URLs in texts that people or programs wrote; see anatomy/url.h.
 *
 * One pass: each colon, dot and per cent sign is looked at once, and what was read as a host is
 * not read again. Taken for a URL are
 *
 *	scheme://host, also hxxp, hxxp[:]//, host[.]example, host(dot)example, and mailto:a@host
 *	www.host, without a scheme
 *	host/path, when the host ends in a suffix that the public suffix list has
 *	http%3A%2F%2Fhost within another URL, escaped once or twice
 *
 * The scan goes on behind the host, so that a URL in the query of another one is found too. A bare
 * name without a path is none: "setup.sh" and "Node.js" are not links.
 */
#include "anatomy/url.h"

#include "anatomy/textmap.h"

struct scan {
	struct span s;
	bool folded;
	enum { PROSE, QUERY, ADDRESS } mode;
	struct builder *b;
	struct arena *scratch;	/* NULL: the builder's, when it is wanted */
};

static struct arena *
scratch_of(struct scan *sc)
{
	if (!sc->scratch)
		sc->scratch = url_scratch(sc->b);
	return sc->scratch;
}

static bool
is_letter(char c)
{
	c = ascii_lower(c);
	return c >= 'a' && c <= 'z';
}

static bool
is_word(char c)
{
	return is_letter(c) || (c >= '0' && c <= '9');
}

static char
at(struct span s, size_t i)
{
	return i < s.n ? s.p[i] : '\0';
}

/* --- where a host ends ------------------------------------------------------------------------- */

/* The length of "[.]", "(dot)" and such at i; 0: none. */
static size_t
broken_dot(struct span s, size_t i)
{
	static const char *const dots[] = { "[.]", "(.)", "{.}", "[dot]", "(dot)", "{dot}" };

	if (at(s, i) != '[' && at(s, i) != '(' && at(s, i) != '{')
		return 0;
	for (size_t k = 0; k < sizeof(dots) / sizeof(dots[0]); k++)
		if (span_starts_nocase(span_from(s, i), span_str(dots[k])))
			return strlen(dots[k]);
	return 0;
}

/* A character that no host goes on with, in any script. */
static bool
ends_foreign(struct span s, size_t i, unsigned *len)
{
	uint32_t c;

	*len = utf8_get(s.p, s.n, i, &c);
	if (*len == 0)
		*len = 1;
	return *len == 1 || c == 0xa0 || c == 0xab || c == 0xbb || (c >= 0x2000 && c <= 0x200a) ||
	    (c >= 0x2010 && c <= 0x202f) || (c >= 0x2039 && c <= 0x205f) || c == 0x3000 || c == 0x3001 ||
	    (c >= 0x3008 && c <= 0x3011) || c == 0x3002 || c == 0xff0c || c == 0xff08 || c == 0xff09 ||
	    c == 0xff1a || c == 0xff1b || c == 0xff01 || c == 0xff1f || c == 0xfffd;
}

/* Behind the authority that begins at i; what it is without folding and without what the
 * sentence added, in out. */
static size_t
authority_take(const struct scan *sc, size_t i, char out[URL_AUTHORITY], size_t *n)
{
	struct span s = sc->s;
	size_t user = SIZE_MAX;

	*n = 0;
	while (i < s.n && *n + 4 < URL_AUTHORITY) {
		char c = s.p[i];
		size_t dot = broken_dot(s, i);
		unsigned len;

		if (dot) {
			memcpy(out + *n, "[.]", 3);	/* so that it is told */
			*n += 3;
			i += dot;
			continue;
		}
		if (sc->folded && c == '\r' && at(s, i + 1) == '\n' && ascii_is_wsp(at(s, i + 2))) {
			i += 3;
			continue;
		}
		if (sc->folded && c == '\n' && ascii_is_wsp(at(s, i + 1))) {
			i += 2;
			continue;
		}
		if (c == '[' && *n + 68 < URL_AUTHORITY && *n == (user == SIZE_MAX ? 0 : user)) {
			size_t close = span_find(span_sub(s, i, 64), ']');

			/* an IPv6 address */
			if (close < 64 && i + close < s.n) {
				memcpy(out + *n, s.p + i, close + 1);
				*n += close + 1;
				i += close + 1;
				continue;
			}
			break;
		}
		if ((unsigned char)c >= 0x80) {
			if (ends_foreign(s, i, &len))
				break;
			memcpy(out + *n, s.p + i, len);
			*n += len;
			i += len;
			continue;
		}
		if ((unsigned char)c <= ' ' || c == 0x7f || strchr("/\\?#<>\"'`^|{}[]()*,;&=!", c)) {
			/* in a user these may stand, as far as the @ is near */
			if (user == SIZE_MAX && strchr("*,;&=!'()", c) && (unsigned char)c > ' ' &&
			    span_find(span_sub(s, i, 64), '@') < 64) {
				size_t k = i;

				while (k < s.n && s.p[k] != '@' && (unsigned char)s.p[k] > ' ' &&
				    !strchr("/\\?#<>\"", s.p[k]))
					k++;
				if (at(s, k) == '@') {
					out[(*n)++] = c;
					i++;
					continue;
				}
			}
			break;
		}
		if (sc->mode == QUERY && c == '%' && ((at(s, i + 1) == '2' && at(s, i + 2) != 'E' &&
		    at(s, i + 2) != 'e' && ascii_lower(at(s, i + 2)) != 'd') || (at(s, i + 1) == '3' &&
		    (at(s, i + 2) < '0' || at(s, i + 2) > '9'))))
			break;	/* an escaped slash or ampersand: no host goes on with these */
		if (sc->mode == ADDRESS && c == ':')
			break;
		if (c == '@')
			user = *n + 1;
		out[(*n)++] = c;
		i++;
	}
	while (*n && strchr(".:-_~$+%", out[*n - 1]))
		--*n;
	return i;
}

/* --- what stands at a sign -------------------------------------------------------------------------- */

/* The letters before a colon that are a scheme; where they begin. */
static size_t
scheme_before(struct span s, size_t from, size_t colon)
{
	size_t i = colon;

	while (i > from && colon - i < 12 && is_letter(s.p[i - 1]))
		i--;
	if (colon - i < 2 || (i > from && (is_word(s.p[i - 1]) || s.p[i - 1] == '@')))
		return SIZE_MAX;
	return i;
}

struct hit {
	size_t from, end;
	struct url_parsed u;
};

/* The buffers of these are not made for each colon of a text. */
static __attribute__((noinline)) bool
with_address(struct scan *sc, size_t i, struct hit *h)
{
	char text[URL_AUTHORITY + 24];
	struct scan address = *sc;
	size_t n;

	address.mode = ADDRESS;
	memcpy(text, "mailto:", 7);
	h->end = authority_take(&address, i, text + 7, &n);
	return n && url_parse(scratch_of(sc), span_make(text, n + 7), NULL, &h->u);
}

static __attribute__((noinline)) bool
with_slashes(struct scan *sc, struct span scheme, size_t slash, struct hit *h)
{
	char text[URL_AUTHORITY + 24];
	size_t n;

	memcpy(text, scheme.p, scheme.n);
	memcpy(text + scheme.n, "://", 3);
	h->end = authority_take(sc, slash, text + scheme.n + 3, &n);
	if (n == 0)
		return false;
	if (!url_parse(scratch_of(sc), span_make(text, scheme.n + 3 + n), NULL, &h->u)) {
		h->u.cut = n + 4 >= URL_AUTHORITY;
		return h->u.cut;
	}
	return !h->u.script;
}

/* "scheme://…" whose colon is at i. from: nothing before it counts. */
static bool
with_scheme(struct scan *sc, size_t from, size_t i, struct hit *h)
{
	struct span s = sc->s;
	bool broken = i > from && s.p[i - 1] == '[' && at(s, i + 1) == ']';
	size_t begin = scheme_before(s, from, i - broken), slash = i + 1 + broken;
	struct span scheme;

	if (begin == SIZE_MAX)
		return false;
	scheme = span_sub(s, begin, i - broken - begin);
	h->from = begin;
	if (span_is_nocase(scheme, "mailto"))
		return with_address(sc, i + 1, h);
	if ((at(s, slash) != '/' && at(s, slash) != '\\') ||
	    (at(s, slash + 1) != '/' && at(s, slash + 1) != '\\'))
		return false;
	while (at(s, slash) == '/' || at(s, slash) == '\\')
		slash++;
	if (slash >= s.n || !with_slashes(sc, scheme, slash, h))
		return false;
	if (broken)
		h->u.tricks |= URL_IS_OBFUSCATED;
	if (at(s, h->end) == '\\' || at(s, i + 1) == '\\')
		h->u.tricks |= URL_IS_BACKSLASH;
	return true;
}

static __attribute__((noinline)) bool
with_escapes(struct scan *sc, size_t begin, size_t percent, size_t host, struct hit *h)
{
	char text[URL_AUTHORITY + 24];
	struct scan within = *sc;
	size_t len = percent - begin, n;

	within.mode = QUERY;
	memcpy(text, sc->s.p + begin, len);
	memcpy(text + len, "://", 3);
	h->from = begin;
	h->end = authority_take(&within, host, text + len + 3, &n);
	return n && url_parse(scratch_of(sc), span_make(text, len + 3 + n), NULL, &h->u) &&
	    !h->u.script;
}

/* "http%3A%2F%2F" whose first % is at i; also %253A%252F%252F. */
static bool
escaped(struct scan *sc, size_t from, size_t i, struct hit *h)
{
	static const char *const signs[] = { "%3a%2f%2f", "%253a%252f%252f", "%3a//" };
	struct span s = sc->s;
	size_t begin;

	for (size_t k = 0; k < sizeof(signs) / sizeof(signs[0]); k++) {
		if (!span_starts_nocase(span_from(s, i), span_str(signs[k])))
			continue;
		begin = scheme_before(s, from, i);
		/* "%3Dhttp%3A": the D belongs to what is before */
		for (size_t len = 4; begin == SIZE_MAX && len <= 5 && i >= from + len; len++)
			if (span_is_nocase(span_sub(s, i - len, len), len == 4 ? "http" : "https"))
				begin = i - len;
		return begin != SIZE_MAX && with_escapes(sc, begin, i, i + strlen(signs[k]), h);
	}
	return false;
}

static bool
host_char(char c)
{
	return is_word(c) || c == '-' || c == '.' || c == '_' || (unsigned char)c >= 0x80;
}

#define BARE_MAX 512	/* bytes of a name without a scheme, its broken dots included */

/* "www.…", a host with a path, or one with a broken dot; its dot is at i. h->end: what was read and
 * need not be read again, found or not: there is no colon in it. */
static bool
without_scheme(struct scan *sc, size_t from, size_t i, struct hit *h)
{
	struct span s = sc->s, host;
	size_t broken = i > from ? broken_dot(s, i - 1) : 0, begin = i - (broken > 0), back = begin, end;
	bool www;

	h->end = i + 1;
	if (!host_char(at(s, i + 1)) && !broken)
		return false;
	while (back > from && begin - back < 64 && host_char(s.p[back - 1]))
		back--;
	for (end = begin; end < s.n && end - back < BARE_MAX; ) {
		size_t dot = broken_dot(s, end);
		unsigned len = 1;

		if (!dot && (!host_char(s.p[end]) || ((unsigned char)s.p[end] >= 0x80 &&
		    ends_foreign(s, end, &len))))
			break;
		broken += dot;
		end += dot ? dot : len;
	}
	h->end = end;
	if (back == begin || end - back >= BARE_MAX || (back > from && strchr("@/\\%~$#", s.p[back - 1])))
		return false;
	www = begin == back + 3 && span_is_nocase(span_sub(s, back, 3), "www");
	if (!www && !broken && at(s, end) != '/')
		return false;
	if (at(s, end) == '@')
		return false;
	host = span_sub(s, back, end - back);
	while (host.n && strchr(".-_", host.p[host.n - 1]))
		host.n--;
	h->from = back;
	h->u = (struct url_parsed){ .scheme = "http" };
	if (!url_authority(scratch_of(sc), host, &h->u))
		return false;
	host = span_make(h->u.host, h->u.nhost);
	if (host_is_address(host) || span_find(host, '.') == host.n)
		return false;
	if (www)
		return host.n > 6 && span_find(span_from(host, 4), '.') < host.n - 4;
	return host_suffix_known(host);
}

/* --- the scan ---------------------------------------------------------------------------------------- */

static size_t
next_sign(struct span s, size_t from, char c)
{
	const char *q = from < s.n ? memchr(s.p + from, c, s.n - from) : NULL;

	return q ? (size_t)(q - s.p) : s.n;
}

struct cursor {
	size_t colon, dot, percent;
};

/* The first URL at or behind *from, which then stands behind its host. */
static bool
scan_next(struct scan *sc, size_t *from, struct cursor *c, struct hit *h)
{
	struct span s = sc->s;
	size_t floor = *from;

	for (;;) {
		size_t i;
		bool found;

		i = c->colon < c->dot ? c->colon : c->dot;
		i = c->percent < i ? c->percent : i;
		if (i >= s.n)
			return false;
		found = s.p[i] == ':' ? with_scheme(sc, floor, i, h) :
		    s.p[i] == '.' ? without_scheme(sc, floor, i, h) : escaped(sc, floor, i, h);
		*from = i + 1;
		if ((found || s.p[i] == '.') && h->end > *from)
			*from = h->end;
		if (found)
			floor = *from;
		if (c->colon < *from)
			c->colon = next_sign(s, *from, ':');
		if (c->dot < *from)
			c->dot = next_sign(s, *from, '.');
		if (c->percent < *from)
			c->percent = next_sign(s, *from, '%');
		if (found)
			return true;
	}
}

static void
cursor_init(struct cursor *c, struct span s)
{
	*c = (struct cursor){ next_sign(s, 0, ':'), next_sign(s, 0, '.'), next_sign(s, 0, '%') };
}

struct span
url_prose_path(struct span s)
{
	size_t end = 0;

	while (end < s.n && end < URL_PATH && (unsigned char)s.p[end] > ' ' &&
	    !strchr("?#<>\"", s.p[end]))
		end++;
	while (end && strchr(".,;:!)'", s.p[end - 1]))
		end--;
	return at(s, 0) == '/' ? span_sub(s, 0, end) : span_make("", 0);
}

void
url_scan(struct builder *b, uint16_t part, const struct text *t, bool folded)
{
	struct scan sc = { .s = t->s, .folded = folded, .b = b };
	struct cursor c;
	size_t from = 0;
	struct hit h;

	cursor_init(&c, t->s);
	while (scan_next(&sc, &from, &c, &h)) {
		struct url_found found = { .kind = URL_TEXT, .part = part, .prose = true };

		found.offset = (uint32_t)offmap_origin(&t->map, h.from);
		h.u.path = h.u.rest = span_sub(t->s, h.end, URL_BYTES);
		url_keep(b, &h.u, &found);
		sc.scratch = NULL;
	}
}

void
url_scan_within(struct builder *b, uint16_t part, uint32_t offset, struct span rest)
{
	struct scan sc = { .s = rest, .mode = QUERY, .b = b };
	struct cursor c;
	size_t from = 0;
	struct hit h;

	cursor_init(&c, rest);
	c.dot = rest.n;
	while (scan_next(&sc, &from, &c, &h)) {
		struct url_found found = { .kind = URL_WITHIN, .part = part, .offset = offset };

		sc.scratch = NULL;
		if (h.u.mail)
			continue;
		h.u.path = h.u.rest = span_make("", 0);
		url_keep(b, &h.u, &found);
	}
}

/* --- what a text shows --------------------------------------------------------------------------------- */

/* Endings of file names that are top-level domains too. */
static bool
file_ending(struct span host)
{
	static const char *const endings[] = { "md", "py", "sh", "rs", "pl", "zip", "mov", "ps", "cc", "so",
		"do", "ml", "ai", "app", "pub" };
	size_t at_dot = host.n;

	while (at_dot > 0 && host.p[at_dot - 1] != '.')
		at_dot--;
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
		if (span_is_nocase(span_from(host, at_dot), endings[i]))
			/* "setup.sh" is no host, "www.example.sh" is */
			return memchr(host.p, '.', at_dot ? at_dot - 1 : 0) == NULL;
	return false;
}

/* Does it say that it goes on, where its host is? */
static bool
cut_short(struct span s, size_t end)
{
	return span_starts(span_from(s, end), SPAN_LIT("...")) ||
	    span_starts(span_from(s, end), SPAN_LIT("\xe2\x80\xa6"));
}

bool
url_shown(struct arena *scratch, struct span text, bool mail, char out[HOST_MAX], size_t *n)
{
	struct scan sc;
	struct cursor c;
	size_t from = 0, begin = 0;
	struct hit h;

	text = span_trim(span_sub(text, 0, 1024));
	sc = (struct scan){ .s = text, .scratch = scratch };
	cursor_init(&c, text);
	if (scan_next(&sc, &from, &c, &h)) {
		size_t last = h.end;

		while (last > h.from && text.p[last - 1] == '.')
			last--;
		if (h.u.nhost == 0 || (h.u.mail && !mail) || cut_short(text, last))
			return false;
		memcpy(out, h.u.host, h.u.nhost + 1);
		*n = h.u.nhost;
		return true;
	}
	/* The whole of it a host, or an address. */
	while (begin < text.n && strchr("<([{\"'", text.p[begin]))
		begin++;
	text = span_from(text, begin);
	while (text.n && strchr(">)]}\"'.,;:!?", text.p[text.n - 1]))
		text.n--;
	if (text.n == 0 || span_find(text, '.') == text.n || text.n >= HOST_MAX)
		return false;
	for (size_t i = 0; i < text.n; i++)
		if (!host_char(text.p[i]) && text.p[i] != '@')
			return false;
	from = span_find(text, '@');
	if (from < text.n && !mail)
		return false;
	h.u = (struct url_parsed){ 0 };
	*n = host_normalise(scratch, span_from(text, from < text.n ? from + 1 : 0), out, &h.u.tricks);
	if (*n && !(host_suffix_known(span_make(out, *n)) && span_find(span_make(out, *n), '.') < *n &&
	    !file_ending(span_make(out, *n))))
		*n = 0;
	return *n > 0;
}

/* --- links that a mail filter has rewritten ----------------------------------------------------------- */

static const struct {
	const char *host;	/* it, and what is below it */
	bool proofpoint;	/* version 2 writes - for % and _ for / */
} safe_links[] = {
	{ "safelinks.protection.outlook.com", false }, { "urldefense.com", false },
	{ "urldefense.us", false }, { "urldefense.proofpoint.com", true },
	{ "linkprotect.cudasvc.com", false }, { "protect2.fireeye.com", false },
	{ "secure-web.cisco.com", false }, { "url.emailprotection.link", false },
};

/* "u=https-3A__www.bank.example_login&d=…" */
static bool
proofpoint_unwrap(struct arena *scratch, struct span rest, char out[HOST_MAX], size_t *n)
{
	const char *q = rest.n ? memmem(rest.p, rest.n, "-3A__", 5) : NULL;
	char host[HOST_MAX];
	unsigned ignored = 0;
	size_t k = 0, i;

	if (!q)
		return false;
	for (i = (size_t)(q - rest.p) + 5; i < rest.n && k < sizeof(host) &&
	    (host_char(rest.p[i]) && rest.p[i] != '_'); i++) {
		if (span_starts(span_from(rest, i), SPAN_LIT("-2D"))) {
			host[k++] = '-';
			i += 2;
		} else {
			host[k++] = rest.p[i];
		}
	}
	*n = k < sizeof(host) ? host_normalise(scratch, span_make(host, k), out, &ignored) : 0;
	return *n > 0;
}

bool
url_unwrap(struct arena *scratch, const struct url_parsed *u, char out[HOST_MAX], size_t *n)
{
	struct span host = span_make(u->host, u->nhost);
	struct scan sc = { .s = span_sub(u->rest, 0, URL_BYTES), .mode = QUERY, .scratch = scratch };
	struct cursor c;
	size_t from = 0;
	struct hit h;

	for (size_t i = 0; i < sizeof(safe_links) / sizeof(safe_links[0]); i++) {
		struct span safe = span_str(safe_links[i].host);

		if (!span_ends_nocase(host, safe) || (host.n > safe.n && host.p[host.n - safe.n - 1] != '.'))
			continue;
		if (safe_links[i].proofpoint && proofpoint_unwrap(scratch, sc.s, out, n))
			return true;
		cursor_init(&c, sc.s);
		c.dot = sc.s.n;
		if (!scan_next(&sc, &from, &c, &h) || h.u.mail || h.u.nhost == 0)
			return false;
		/* in a text, what follows may be another URL */
		for (size_t k = 0; k < h.from; k++)
			if ((unsigned char)sc.s.p[k] <= ' ' || strchr("<>\"", sc.s.p[k]))
				return false;
		memcpy(out, h.u.host, h.u.nhost + 1);
		*n = h.u.nhost;
		return true;
	}
	return false;
}
