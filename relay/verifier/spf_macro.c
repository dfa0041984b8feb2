/* spf_macro.c -- macros of SPF; see spf_macro.h.
 *
 * One reader, next_piece(), serves checking and expanding, so what passes the
 * check is what is expanded. Macros cannot make macros: values are put in as
 * they are.
 */
#include <arpa/inet.h>

#include "addr.h"
#include "buf.h"
#include "clock.h"
#include "postern/err.h"
#include "verifier/spf.h"
#include "verifier/spf_macro.h"

struct piece {
	struct span literal;	/* p NULL: a macro */
	char letter;		/* lower case */
	bool escape;		/* an upper-case letter: URL-escaped (7.3) */
	bool reverse;
	unsigned keep;		/* right-hand parts; 0: all */
	struct span delimiters;	/* n 0: "." */
};

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
read_macro(struct span *s, struct piece *p)
{
	static const char letters[] = "slodiphcrtv", delimiters[] = ".-+,/_=";
	size_t i = 2, digits;

	if (s->n < 4)
		return false;
	p->letter = ascii_lower(s->p[i]);
	p->escape = p->letter != s->p[i];
	if (memchr(letters, p->letter, sizeof(letters) - 1) == NULL)
		return false;
	for (digits = ++i; i < s->n && is_digit(s->p[i]); i++)
		if (p->keep < 10000)	/* more parts than there can be */
			p->keep = p->keep * 10 + (unsigned)(s->p[i] - '0');
	if (i > digits && p->keep == 0)
		return false;
	if (i < s->n && ascii_lower(s->p[i]) == 'r') {
		p->reverse = true;
		i++;
	}
	p->delimiters = span_from(*s, i);
	while (i < s->n && memchr(delimiters, s->p[i], sizeof(delimiters) - 1))
		i++;
	if (i >= s->n || s->p[i] != '}')
		return false;
	p->delimiters.n = (size_t)(s->p + i - p->delimiters.p);
	*s = span_from(*s, i + 1);
	return true;
}

/* Takes one piece off the front of s, which is not empty. false: no macro-string. */
static bool
next_piece(struct span *s, bool spaces, struct piece *p)
{
	size_t n = 0;

	*p = (struct piece){ 0 };
	if (s->p[0] == '%') {
		char c = s->n > 1 ? s->p[1] : 0;

		if (c == '{')
			return read_macro(s, p);
		p->literal = c == '%' ? SPAN_LIT("%") : c == '_' ? SPAN_LIT(" ") : SPAN_LIT("%20");
		*s = span_from(*s, 2);
		return c == '%' || c == '_' || c == '-';
	}
	while (n < s->n && s->p[n] != '%' && s->p[n] <= '~' &&
	    (s->p[n] > ' ' || (spaces && s->p[n] == ' ')))
		n++;
	p->literal = span_sub(*s, 0, n);
	*s = span_from(*s, n);
	return n > 0;
}

bool
spf_macro_ok(struct span s)
{
	struct piece p;

	while (s.n)
		if (!next_piece(&s, false, &p))
			return false;
	return true;
}

bool
spf_macro_text_ok(struct span s)
{
	struct piece p;

	while (s.n)
		if (!next_piece(&s, true, &p))
			return false;
	return true;
}

/* toplabel = ( *alphanum ALPHA *alphanum ) / ( 1*alphanum "-" *( alphanum / "-" ) alphanum ) */
static bool
top_label(struct span s)
{
	bool other = false;

	for (size_t i = 0; i < s.n; i++) {
		char c = ascii_lower(s.p[i]);

		if (c == '-' && (i == 0 || i + 1 == s.n))
			return false;
		if (c != '-' && !(c >= 'a' && c <= 'z') && !is_digit(c))
			return false;
		other |= !is_digit(c);
	}
	return other;
}

bool
spf_macro_domain_ok(struct span s)
{
	struct span rest = s;
	struct piece p = { 0 };
	size_t dot;
	bool macro_last = false;

	while (rest.n) {
		macro_last = rest.p[0] == '%';
		if (!next_piece(&rest, false, &p))
			return false;
		/* c, r, t: only in explanations (7.2) */
		if (p.letter == 'c' || p.letter == 'r' || p.letter == 't')
			return false;
	}
	if (macro_last)
		return true;
	if (s.n && s.p[s.n - 1] == '.')
		s.n--;
	for (dot = s.n; dot > 0 && s.p[dot - 1] != '.'; dot--)
		;
	return dot > 0 && top_label(span_from(s, dot));
}

bool
spf_macro_needs_name(struct span s)
{
	struct piece p;

	while (s.n && next_piece(&s, true, &p))
		if (p.letter == 'p')
			return true;
	return false;
}

/* The address as labels: four numbers, or 32 nibbles (7.3). */
static struct span
dotted(struct ip ip, char out[64])
{
	static const char hex[] = "0123456789abcdef";
	size_t n = 0;

	if (ip.family == 4)
		return span_str(ip_format(ip, out));
	for (size_t i = 0; i < 16; i++) {
		out[n++] = hex[ip.b[i] >> 4];
		out[n++] = '.';
		out[n++] = hex[ip.b[i] & 15];
		out[n++] = '.';
	}
	return span_make(out, n - 1);
}

static void
put(struct buf *b, struct span s, bool escape)
{
	static const char hex[] = "0123456789ABCDEF";

	if (!escape) {
		buf_span(b, s);
		return;
	}
	for (size_t i = 0; i < s.n; i++) {	/* unreserved of RFC 3986 stays */
		char c = s.p[i], low = ascii_lower(c);

		if ((low >= 'a' && low <= 'z') || is_digit(c) || c == '-' || c == '.' || c == '_' ||
		    c == '~')
			buf_putc(b, c);
		else
			buf_put(b, (char[]){ '%', hex[(unsigned char)c >> 4], hex[c & 15] }, 3);
	}
}

static bool
is_delimiter(const struct piece *p, char c)
{
	return p->delimiters.n ? memchr(p->delimiters.p, c, p->delimiters.n) != NULL : c == '.';
}

/* Splits, reverses, keeps the right-hand parts, joins with dots (7.3). */
static void
put_parts(struct buf *b, struct span v, const struct piece *p)
{
	struct span parts[2 * SPF_SENDER_MAX + 2];
	size_t n = 0, start = 0, skip;

	for (size_t i = 0; i <= v.n; i++) {
		if (i < v.n && !is_delimiter(p, v.p[i]))
			continue;
		ASSERT(n < sizeof(parts) / sizeof(*parts));
		parts[n++] = span_sub(v, start, i - start);
		start = i + 1;
	}
	skip = p->keep && p->keep < n ? n - p->keep : 0;
	for (size_t i = skip; i < n; i++) {
		if (i > skip)
			buf_putc(b, '.');
		put(b, parts[p->reverse ? n - 1 - i : i], p->escape);
	}
}

static void
put_macro(struct buf *b, const struct piece *p, const struct spf_names *names)
{
	char text[2 * SPF_SENDER_MAX + 2], ip[64];
	struct span v = { 0 };

	switch (p->letter) {
	case 's':
		ASSERT(names->local.n <= SPF_SENDER_MAX && names->sender_domain.n <= SPF_SENDER_MAX);
		v = span_make(text, names->local.n + 1 + names->sender_domain.n);
		memcpy(text, names->local.p, names->local.n);
		text[names->local.n] = '@';
		memcpy(text + names->local.n + 1, names->sender_domain.p, names->sender_domain.n);
		break;
	case 'l':
		v = names->local;
		break;
	case 'o':
		v = names->sender_domain;
		break;
	case 'd':
		v = names->domain;
		break;
	case 'h':
		v = names->helo;
		break;
	case 'p':
		v = names->validated;
		break;
	case 'r':
		v = names->receiver.n ? names->receiver : SPAN_LIT("unknown");
		break;
	case 'i':
		v = dotted(names->ip, ip);
		break;
	case 'c':
		v = span_str(ip_format(names->ip, ip));
		break;
	case 'v':
		v = names->ip.family == 4 ? SPAN_LIT("in-addr") : SPAN_LIT("ip6");
		break;
	case 't':
		v.n = (size_t)snprintf(text, sizeof(text), "%lld", (long long)(names->now / US_PER_SEC));
		v.p = text;
		break;
	}
	put_parts(b, v, p);
}

bool
spf_macro_expand(struct arena *a, struct span s, const struct spf_names *names, struct span *out)
{
	struct piece p;
	struct buf b;
	bool ok;

	if (span_find(s, '%') == s.n) {
		*out = s;
		return s.n <= SPF_EXPANSION_MAX;
	}
	buf_init(&b, SPF_EXPANSION_MAX);
	while (s.n && !buf_failed(&b) && next_piece(&s, true, &p))
		if (p.letter)
			put_macro(&b, &p, names);
		else
			buf_span(&b, p.literal);
	ok = !buf_failed(&b);
	if (ok)
		*out = arena_span(a, buf_data(&b));
	buf_release(&b);
	return ok;
}

struct span
spf_macro_domain(struct span d)
{
	if (d.n && d.p[d.n - 1] == '.')
		d.n--;
	while (d.n > DNS_NAME_MAX - 1 && span_find(d, '.') < d.n)
		d = span_from(d, span_find(d, '.') + 1);
	return d;
}
