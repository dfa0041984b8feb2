/* smtp_path.c -- the arguments of EHLO, MAIL and RCPT; see smtp_path.h.
 *
 * Grammar: RFC 5321, 4.1.2 and 4.1.3. Two leniencies only: an underscore is
 * taken in host names (real internal names have them, and no rule elsewhere
 * gives it a meaning), and a domain may end with one dot. Control characters are never taken,
 * quoted or not; under SMTPUTF8 (RFC 6531, 3.3) neither are those of C1.
 */
#include <ctype.h>

#include "addr.h"
#include "smtp_path.h"
#include "utf8.h"

struct cursor {
	const char *p, *end;
	bool utf8;
};

static bool
at(const struct cursor *c, char ch)
{
	return c->p < c->end && *c->p == ch;
}

static enum path_status
wrong_byte(const struct cursor *c)
{
	return c->p < c->end && (unsigned char)*c->p > 127 && !c->utf8 ? PATH_UTF8 : PATH_SYNTAX;
}

/* Bytes of the character beyond ASCII that may stand here; 0: none. */
static size_t
wide(const struct cursor *c)
{
	uint32_t cp = 0;
	size_t n;

	if (!c->utf8 || (unsigned char)*c->p < 0x80)
		return 0;
	n = utf8_next(c->p, (size_t)(c->end - c->p), &cp);
	return cp >= 0xa0 ? n : 0;
}

/* Dot-string, or the inside of a quoted one with its quoting undone into buf. */
static enum path_status
local_part(struct cursor *c, char *buf, size_t *n, bool *quoted)
{
	*n = 0;
	*quoted = at(c, '"');
	if (*quoted)
		c->p++;
	for (;; c->p++) {
		unsigned char ch;
		size_t more;

		if (c->p >= c->end)
			return PATH_SYNTAX;
		if ((more = wide(c)) > 0) {
			if (more > PATH_LOCAL_MAX - *n)
				return PATH_LONG;
			memcpy(buf + *n, c->p, more);
			*n += more;
			c->p += more - 1;
			continue;
		}
		ch = (unsigned char)*c->p;
		if (*quoted && ch == '"') {
			c->p++;
			break;
		}
		if (*quoted && ch == '\\') {
			if (++c->p >= c->end)
				return PATH_SYNTAX;
			ch = (unsigned char)*c->p;
		} else if (!*quoted && !mailaddr_atext(ch) && ch != '.')
			break;
		if (ch < ' ' || ch >= 0x7f)
			return wrong_byte(c);
		if (*n == PATH_LOCAL_MAX)
			return PATH_LONG;
		buf[(*n)++] = (char)ch;
	}
	return *n || *quoted ? PATH_OK : wrong_byte(c);
}

bool
smtp_is_ascii(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] > 0x7f)
			return false;
	return true;
}

static bool
literal_valid(struct span s)
{
	struct span inside = span_sub(s, 1, s.n - 2);
	struct ip ip;

	if (span_starts_nocase(inside, SPAN_LIT("IPv6:"))) {
		inside = span_from(inside, 5);
		return span_find(inside, ':') < inside.n && ip_parse(inside, &ip);
	}
	return ip_parse(inside, &ip) && ip.family == 4;
}

static enum path_status
domain_part(struct cursor *c, struct span *out)
{
	const char *start = c->p;
	size_t label = 0;

	if (at(c, '[')) {
		while (c->p < c->end && *c->p != ']')
			c->p++;
		if (c->p == c->end || c->p - start > 64)
			return PATH_SYNTAX;
		c->p++;
		*out = span_make(start, (size_t)(c->p - start));
		return literal_valid(*out) ? PATH_OK : PATH_SYNTAX;
	}
	for (; c->p < c->end; c->p++) {
		unsigned char ch = (unsigned char)*c->p;
		size_t more = wide(c);

		if (more) {			/* a U-label: IDNA has the last word below */
			c->p += more - 1;
			label++;
			continue;
		}
		if (ch == '.') {
			if (label == 0 || c->p[-1] == '-')
				return PATH_SYNTAX;
			label = 0;
		} else if (isalnum(ch) || ch == '_' || (ch == '-' && label)) {
			if (++label > 63)
				return PATH_LONG;
		} else
			break;
	}
	*out = span_make(start, (size_t)(c->p - start));
	if (out->n && out->p[out->n - 1] == '.')	/* one dot at the end: the same name */
		out->n--;
	if (out->n == 0 || out->p[out->n - 1] == '-')
		return wrong_byte(c);
	return out->n > PATH_DOMAIN_MAX ? PATH_LONG : PATH_OK;
}

/* "@a,@b:" in front of a mailbox. */
static enum path_status
source_route(struct cursor *c)
{
	struct span ignored;
	enum path_status st;

	while (at(c, '@')) {
		c->p++;
		if ((st = domain_part(c, &ignored)) != PATH_OK)
			return st;
		if (at(c, ':')) {
			c->p++;
			return PATH_OK;
		}
		if (!at(c, ','))
			return wrong_byte(c);
		c->p++;
	}
	return PATH_SYNTAX;
}

enum path_status
smtp_path(struct arena *a, struct span text, bool utf8, struct span *address, struct span *rest)
{
	struct cursor c = { text.p, text.p + text.n, utf8 };
	char local[PATH_LOCAL_MAX + 1];
	struct span domain = { 0 }, inner;
	enum path_status st;
	bool quoted;
	size_t n;

	if (!at(&c, '<'))
		return PATH_SYNTAX;
	c.p++;
	if (at(&c, '>')) {
		*address = SPAN_LIT("");
		*rest = span_from(text, 2);
		return PATH_OK;
	}
	if (at(&c, '@') && (st = source_route(&c)) != PATH_OK)
		return st;
	if ((st = local_part(&c, local, &n, &quoted)) != PATH_OK)
		return st;
	local[n] = '\0';
	if (!quoted && !mailaddr_dot_string(span_make(local, n)))
		return PATH_SYNTAX;
	if (at(&c, '@')) {
		c.p++;
		if ((st = domain_part(&c, &domain)) != PATH_OK)
			return st;
	} else if (!span_is_nocase(span_make(local, n), "postmaster"))
		return wrong_byte(&c);
	if (!at(&c, '>'))
		return wrong_byte(&c);
	if (!smtp_is_ascii(domain) && !domain_normalise(a, domain, &inner))
		return PATH_SYNTAX;
	c.p++;
	if (c.p - text.p > PATH_MAX_SIZE && domain.n + n + 3 > PATH_MAX_SIZE)
		return PATH_LONG;
	*address = mailaddr_normalise(a, mailaddr_join(a, span_make(local, n), domain));
	*rest = span_from(text, (size_t)(c.p - text.p));
	return PATH_OK;
}

bool
smtp_helo_valid(struct span name)
{
	if (name.n == 0 || name.n > PATH_DOMAIN_MAX)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];

		if (c == 0 || c > 127 || (!isalnum(c) && !strchr(".-_:[]/", c)))
			return false;
	}
	if (name.p[0] == '[')
		return name.n > 2 && name.p[name.n - 1] == ']';
	return true;
}

int
smtp_param(struct span *rest, struct span *keyword, struct span *value)
{
	struct span s = *rest, word;
	size_t eq;

	while (s.n && s.p[0] == ' ')
		s = span_from(s, 1);
	if (s.n == 0)
		return 0;
	if (s.n == rest->n)		/* no space in front */
		return -1;
	word = span_sub(s, 0, span_find(s, ' '));
	eq = span_find(word, '=');
	*keyword = span_sub(word, 0, eq);
	*value = span_from(word, eq + 1);
	if (eq == 0 || (eq < word.n && value->n == 0))
		return -1;
	for (size_t i = 0; i < eq; i++)
		if (!isalnum((unsigned char)word.p[i]) && (word.p[i] != '-' || i == 0))
			return -1;
	for (size_t i = 0; i < value->n; i++)
		if ((unsigned char)value->p[i] <= ' ' || value->p[i] == 0x7f || value->p[i] == '=')
			return -1;
	*rest = span_from(s, word.n);
	return 1;
}
