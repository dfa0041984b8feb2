/* url.c -- one URL as a reader takes it; see anatomy/url.h.
 *
 * What counts is where a click leads, so this follows the URL standard of WHATWG and not
 * RFC 3986: a backslash is a slash, slashes behind "https:" may be missing or many, all
 * before the last @ of the authority is a user, %XX in a host is its character, and a host
 * whose last label is a number is an IPv4 address in any of the ways inet_aton() knew.
 *
 * Of what no reader would open (a host with forbidden characters, a number above 2^32) nothing is
 * made. Schemes that carry no host (data:, cid:, tel:) lead nowhere; javascript: is told as such.
 */
#include "anatomy/url.h"

#include <libpsl.h>
#include <stdio.h>
#include <unicode/uidna.h>

#include "addr.h"

enum scheme_kind { PLAIN, SPECIAL, FILES, MAIL, SCRIPT, NOWHERE };
static const struct {
	const char *name;
	enum scheme_kind kind;
	const char *is;		/* what an obfuscated one stands for */
} schemes[] = {
	{ "http", SPECIAL, NULL }, { "https", SPECIAL, NULL }, { "ftp", SPECIAL, NULL },
	{ "ws", SPECIAL, NULL }, { "wss", SPECIAL, NULL }, { "file", FILES, NULL },
	{ "mailto", MAIL, NULL }, { "javascript", SCRIPT, NULL }, { "vbscript", SCRIPT, NULL },
	{ "livescript", SCRIPT, NULL },
	{ "hxxp", SPECIAL, "http" }, { "hxxps", SPECIAL, "https" }, { "hxtp", SPECIAL, "http" },
	{ "hxtps", SPECIAL, "https" }, { "htxp", SPECIAL, "http" }, { "htxps", SPECIAL, "https" },
	{ "fxp", SPECIAL, "ftp" },
	{ "data", NOWHERE, NULL }, { "cid", NOWHERE, NULL }, { "mid", NOWHERE, NULL },
	{ "about", NOWHERE, NULL }, { "blob", NOWHERE, NULL }, { "tel", NOWHERE, NULL },
	{ "sms", NOWHERE, NULL }, { "callto", NOWHERE, NULL }, { "fax", NOWHERE, NULL },
	{ "urn", NOWHERE, NULL },
};

/* --- hosts --------------------------------------------------------------------------------- */

/* A part of an address: decimal, octal with a 0 in front, hexadecimal with 0x. */
static bool
number_read(struct span s, uint64_t *v, bool *usual)
{
	unsigned base = 10;

	*v = 0;
	if (s.n == 0)
		return false;
	if (s.n > 1 && s.p[0] == '0') {
		*usual = false;
		base = s.p[1] == 'x' || s.p[1] == 'X' ? 16 : 8;
		s = span_from(s, base == 16 ? 2 : 1);
	}
	for (size_t i = 0; i < s.n; i++) {
		int d = hex_value(s.p[i]);

		if (d < 0 || (unsigned)d >= base)
			return false;
		if (*v <= UINT32_MAX)
			*v = *v * base + (unsigned)d;
	}
	return true;
}

/* Does it end in a number? Then it is an IPv4 address or no host at all. */
static bool
ends_in_number(struct span h)
{
	size_t from = h.n;
	uint64_t v;
	bool usual;

	while (from > 0 && h.p[from - 1] != '.')
		from--;
	h = span_from(h, from);
	if (h.n == 0)
		return false;
	for (size_t i = 0; i < h.n; i++)
		if (h.p[i] < '0' || h.p[i] > '9')
			return number_read(h, &v, &usual);
	return true;
}

static size_t
ipv4_read(struct span h, char out[HOST_MAX], unsigned *tricks)
{
	uint64_t parts[4], all = 0;
	bool usual = true;
	unsigned n = 0;

	while (h.n || n == 0) {
		size_t dot = span_find(h, '.');

		if (n == 4 || !number_read(span_sub(h, 0, dot), &parts[n], &usual))
			return 0;
		n++;
		if (dot == h.n)
			break;
		h = span_from(h, dot + 1);
		if (h.n == 0)
			return 0;
	}
	for (unsigned i = 0; i + 1 < n; i++) {
		if (parts[i] > 255)
			return 0;
		all |= parts[i] << (24 - 8 * i);
	}
	if (parts[n - 1] >= UINT64_C(1) << (8 * (5 - n)))
		return 0;
	all |= parts[n - 1];
	if (n < 4 || !usual)
		*tricks |= URL_IS_NUMERIC;
	return (size_t)snprintf(out, HOST_MAX, "%u.%u.%u.%u", (unsigned)(all >> 24) & 255,
	    (unsigned)(all >> 16) & 255, (unsigned)(all >> 8) & 255, (unsigned)all & 255);
}

static size_t
ipv6_read(struct span h, char out[HOST_MAX])
{
	char text[IP_TEXT_MAX];
	struct ip ip;

	if (!ip_parse(h, &ip) || ip.family == 0)
		return 0;
	ip_format(ip, text);
	return (size_t)snprintf(out, HOST_MAX, ip.family == 6 ? "[%s]" : "%s", text);
}

/* What libidn2 refuses (IDNA 2008) readers may still open: emoji, say (UTS #46). */
static size_t
uts46(struct span in, char out[HOST_MAX])
{
	UErrorCode status = U_ZERO_ERROR;
	UIDNAInfo info = UIDNA_INFO_INITIALIZER;
	UIDNA *idna = uidna_openUTS46(UIDNA_NONTRANSITIONAL_TO_ASCII, &status);
	int32_t n;

	if (U_FAILURE(status))
		return 0;
	n = uidna_nameToASCII_UTF8(idna, in.p, (int32_t)in.n, out, HOST_MAX - 1, &info, &status);
	uidna_close(idna);
	if (U_FAILURE(status) || n <= 0 || n >= HOST_MAX - 1 || (info.errors &
	    (uint32_t)~(UIDNA_ERROR_LEADING_HYPHEN | UIDNA_ERROR_TRAILING_HYPHEN |
	    UIDNA_ERROR_HYPHEN_3_4)))
		return 0;
	return (size_t)n;
}

struct span
host_unicode(struct arena *a, struct span host)
{
	UErrorCode status = U_ZERO_ERROR;
	UIDNAInfo info = UIDNA_INFO_INITIALIZER;
	char out[HOST_MAX * 4];
	UIDNA *idna;
	int32_t n;

	if (host.n < 4 || memmem(host.p, host.n, "xn--", 4) == NULL)
		return host;
	idna = uidna_openUTS46(UIDNA_NONTRANSITIONAL_TO_UNICODE, &status);
	if (U_FAILURE(status))
		return host;
	n = uidna_nameToUnicodeUTF8(idna, host.p, (int32_t)host.n, out, sizeof(out), &info, &status);
	uidna_close(idna);
	if (U_FAILURE(status) || info.errors || n <= 0 || (size_t)n >= sizeof(out))
		return host;
	return arena_span(a, span_make(out, (size_t)n));
}

/* %XX, and the ways in which people break a dot on purpose. */
static size_t
host_plain(struct span in, char *out, size_t cap, unsigned *tricks)
{
	static const char *const dots[] = { "[.]", "(.)", "{.}", "[dot]", "(dot)", "{dot}", "[.", ".]" };
	size_t n = 0;

	for (size_t i = 0; i < in.n; ) {
		size_t took = 1;
		char c = in.p[i];

		if (n == cap)
			return 0;
		if (c == '%') {
			int hi = i + 2 < in.n ? hex_value(in.p[i + 1]) : -1;
			int lo = i + 2 < in.n ? hex_value(in.p[i + 2]) : -1;

			if (hi < 0 || lo < 0)
				return 0;
			*tricks |= URL_IS_ESCAPED;
			c = (char)(hi << 4 | lo);
			took = 3;
		} else if (c == '[' || c == '(' || c == '{' || c == '.') {
			for (size_t k = 0; k < sizeof(dots) / sizeof(dots[0]); k++)
				if (span_starts_nocase(span_from(in, i), span_str(dots[k]))) {
					*tricks |= URL_IS_OBFUSCATED;
					took = strlen(dots[k]);
					c = '.';
					break;
				}
		}
		out[n++] = c;
		i += took;
	}
	return n;
}

static bool
plain_host(struct span in, char out[HOST_MAX])
{
	size_t label = 0;

	if (in.n == 0 || in.n >= HOST_MAX)
		return false;
	for (size_t i = 0; i < in.n; i++) {
		char c = ascii_lower(in.p[i]);

		if (c == '.') {
			if (label == 0 || label > 63)
				return false;
			label = 0;
		} else {
			if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
				return false;
			label++;
		}
		out[i] = c;
	}
	return label > 0 && label <= 63;
}

size_t
host_normalise(struct arena *scratch, struct span in, char out[HOST_MAX], unsigned *tricks)
{
	char plain[HOST_MAX * 4];
	struct span host;
	size_t n;

	if (in.n > 2 && in.p[0] == '[' && (hex_value(in.p[1]) >= 0 || in.p[1] == ':')) {
		size_t close = span_find(in, ']');

		return close == in.n ? 0 : ipv6_read(span_sub(in, 1, close - 1), out);
	}
	n = host_plain(in, plain, sizeof(plain), tricks);
	while (n && plain[n - 1] == '.')
		n--;
	host = span_make(plain, n);
	if (n == 0)
		return 0;
	if (!plain_host(host, out)) {
		struct span ascii;
		bool foreign = false;

		for (size_t i = 0; i < n; i++)
			foreign |= (unsigned char)plain[i] >= 0x80;
		if (!foreign)
			return 0;
		if (domain_normalise(scratch, host, &ascii)) {
			memcpy(out, ascii.p, ascii.n);
			n = ascii.n;
		} else if ((n = uts46(host, out)) == 0 || !plain_host(span_make(out, n), out)) {
			return 0;	/* UTS #46 lets pass what no host may hold: "a:b", "a/b" */
		}
	}
	if (ends_in_number(span_make(out, n))) {
		char name[HOST_MAX];

		memcpy(name, out, n);
		n = ipv4_read(span_make(name, n), out, tricks);
	}
	out[n] = '\0';
	return n;
}

bool
host_is_address(struct span host)
{
	return host.n && (host.p[0] == '[' || ends_in_number(host));
}

struct span
host_domain(struct span host)
{
	char text[HOST_MAX];
	const char *domain;

	if (host.n == 0 || host.n >= sizeof(text) || host_is_address(host))
		return host;
	memcpy(text, host.p, host.n);
	text[host.n] = '\0';
	domain = psl_registrable_domain(psl_builtin(), text);
	return domain ? span_from(host, (size_t)(domain - text)) : host;
}

bool
host_is_suffix(struct span host)
{
	char text[HOST_MAX];

	if (host.n >= sizeof(text))
		return false;
	memcpy(text, host.p, host.n);
	text[host.n] = '\0';
	return psl_is_public_suffix2(psl_builtin(), text, PSL_TYPE_ICANN | PSL_TYPE_NO_STAR_RULE);
}

bool
host_suffix_known(struct span host)
{
	/* RFC 2606: what examples and tests are written with */
	static const char *const reserved[] = { "example", "test", "invalid" };
	size_t from = host.n;
	char tld[64];

	while (from > 0 && host.p[from - 1] != '.')
		from--;
	host = span_from(host, from);
	if (host.n < 2 || host.n >= sizeof(tld))
		return false;
	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
		if (span_is_nocase(host, reserved[i]))
			return true;
	for (size_t i = 0; i < host.n; i++)
		tld[i] = ascii_lower(host.p[i]);
	tld[host.n] = '\0';
	return psl_is_public_suffix2(psl_builtin(), tld, PSL_TYPE_ICANN | PSL_TYPE_NO_STAR_RULE);
}

/* --- the rest of a URL -------------------------------------------------------------------------- */

bool
url_authority(struct arena *scratch, struct span in, struct url_parsed *out)
{
	size_t at = in.n, colon;
	struct span host = in;

	while (at > 0 && in.p[at - 1] != '@')
		at--;
	if (at > 0) {
		struct span user = span_sub(in, 0, at - 1);
		unsigned ignored = 0;

		out->tricks |= URL_IS_USERINFO;
		host = span_from(in, at);
		/* "https://bank.example@…", "https://www.bank.example:login@…" */
		user = span_sub(user, 0, span_find(user, ':'));
		if (span_find(user, '.') < user.n)
			out->nuser = host_normalise(scratch, user, out->user, &ignored);
		if (out->nuser && !host_suffix_known(span_make(out->user, out->nuser)))
			out->nuser = 0;		/* "first.last@" */
	}
	if (host.n && host.p[0] == '[' && host.n > 1 && (hex_value(host.p[1]) >= 0 || host.p[1] == ':'))
		colon = span_find(host, ']') + 1;
	else
		colon = span_find(host, ':');
	out->nhost = host_normalise(scratch, span_sub(host, 0, colon), out->host, &out->tricks);
	out->host[out->nhost] = '\0';
	return out->nhost > 0;
}

static bool
is_slash(char c, bool backslash)
{
	return c == '/' || (backslash && c == '\\');
}

static bool
authority_read(struct arena *scratch, struct span in, bool special, struct url_parsed *out)
{
	size_t end = 0, path;

	while (end < in.n && in.p[end] != '?' && in.p[end] != '#' && !is_slash(in.p[end], special))
		end++;
	out->cut = end == in.n && in.n >= URL_BYTES;
	if (end < in.n && in.p[end] == '\\')
		out->tricks |= URL_IS_BACKSLASH;
	out->rest = span_from(in, end);
	for (path = 0; path < out->rest.n && out->rest.p[path] != '?' && out->rest.p[path] != '#'; )
		path++;
	out->path = span_sub(out->rest, 0, path);
	return url_authority(scratch, span_sub(in, 0, end), out);
}

/* mailto:a@x.example,b@y.example?subject=… (RFC 6068) */
static bool
mail_read(struct arena *scratch, struct span in, struct url_parsed *out)
{
	size_t end = span_find(in, '?'), comma, at;
	unsigned ignored = 0;

	in = span_sub(in, 0, end);
	comma = span_find(in, ',');
	if (comma < in.n)
		out->more = span_from(in, comma + 1);
	in = span_trim(span_sub(in, 0, comma));
	for (at = in.n; at > 0 && in.p[at - 1] != '@'; )
		at--;
	if (at == 0)
		return false;
	out->mail = true;
	out->nhost = host_normalise(scratch, span_from(in, at), out->host, &ignored);
	return out->nhost > 0;
}

static bool
base_read(const struct url_base *base, struct span in, struct url_parsed *out)
{
	out->rest = in;
	if (!base || !base->known) {
		out->relative = true;
		return false;
	}
	memcpy(out->scheme, "https", 6);
	out->nhost = strlen(base->host);
	memcpy(out->host, base->host, out->nhost + 1);
	out->path = span_sub(in, 0, span_find(span_sub(in, 0, span_find(in, '#')), '?'));
	return true;
}

static size_t
slashes(struct span in, bool special, struct url_parsed *out)
{
	size_t n = 0;

	while (n < in.n && is_slash(in.p[n], special)) {
		if (in.p[n] == '\\')
			out->tricks |= URL_IS_BACKSLASH;
		n++;
	}
	return n;
}

bool
url_parse(struct arena *scratch, struct span in, const struct url_base *base,
    struct url_parsed *out)
{
	enum scheme_kind kind = PLAIN;
	size_t colon = 0, n;

	*out = (struct url_parsed){ .scheme = "https" };
	while (in.n && (unsigned char)in.p[0] <= ' ')
		in = span_from(in, 1);
	while (in.n && (unsigned char)in.p[in.n - 1] <= ' ')
		in.n--;
	while (colon < in.n && ((ascii_lower(in.p[colon]) >= 'a' && ascii_lower(in.p[colon]) <= 'z') ||
	    (colon && ((in.p[colon] >= '0' && in.p[colon] <= '9') || in.p[colon] == '+' ||
	    in.p[colon] == '-' || in.p[colon] == '.'))))
		colon++;
	if (colon == 0 || colon == in.n || in.p[colon] != ':') {
		n = slashes(in, true, out);
		return n >= 2 ? authority_read(scratch, span_from(in, n), true, out) :
		    base_read(base, in, out);
	}
	for (size_t i = 0; i < colon && i < sizeof(out->scheme) - 1; i++)
		out->scheme[i] = ascii_lower(in.p[i]);
	out->scheme[colon < sizeof(out->scheme) - 1 ? colon : sizeof(out->scheme) - 1] = '\0';
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (strcmp(out->scheme, schemes[i].name) == 0) {
			kind = schemes[i].kind;
			if (schemes[i].is) {
				memcpy(out->scheme, schemes[i].is, strlen(schemes[i].is) + 1);
				out->tricks |= URL_IS_OBFUSCATED;
			}
			break;
		}
	in = span_from(in, colon + 1);
	n = kind == NOWHERE ? 0 : slashes(in, kind == SPECIAL || kind == FILES, out);
	switch (kind) {
	case NOWHERE:
		return false;
	case SCRIPT:
		out->script = true;
		return true;
	case MAIL:
		return mail_read(scratch, in, out);
	case SPECIAL:
		if (n == 0 && base && base->known)
			return base_read(base, in, out);
		return authority_read(scratch, span_from(in, n), true, out);
	case FILES:
		/* "file://server/share", "file:////server/share"; "file:///C:/x" has no host */
		out->rest = in;
		return n >= 2 && n != 3 && authority_read(scratch, span_from(in, n), true, out) &&
		    out->nhost > 1;
	case PLAIN:
		out->rest = in;
		return n >= 2 && authority_read(scratch, span_from(in, 2), false, out);
	}
	return false;
}
