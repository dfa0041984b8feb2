/* addr_local.c -- the local part of a mail address, with its quoting and without; see addr.h.
 *
 * A local part of letters, digits, a few signs and single dots stands as it is; any other
 * stands in quotes (RFC 5321, 4.1.2). One mailbox has one spelling here: quoted only
 * where it must be.
 */
#include <ctype.h>
#include <string.h>

#include "addr.h"

bool
mailaddr_atext(unsigned char c)
{
	return isalnum(c) || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

bool
mailaddr_dot_string(struct span s)
{
	if (s.n == 0 || s.p[0] == '.' || s.p[s.n - 1] == '.')
		return false;
	/* What is above ASCII was read as whole characters, and is atext (RFC 6531, 3.3). */
	for (size_t i = 0; i < s.n; i++)
		if (!mailaddr_atext((unsigned char)s.p[i]) && (unsigned char)s.p[i] < 0x80 &&
		    (s.p[i] != '.' || s.p[i + 1] == '.'))
			return false;
	return true;
}

struct span
mailaddr_bare(struct arena *a, struct span local)
{
	char *out, *p;

	if (local.n < 2 || local.p[0] != '"' || local.p[local.n - 1] != '"')
		return local;
	p = out = arena_alloc(a, local.n);
	for (size_t i = 1; i < local.n - 1; i++) {
		if (local.p[i] == '\\' && i + 2 < local.n)
			i++;
		*p++ = local.p[i];
	}
	return span_make(out, (size_t)(p - out));
}

struct span
mailaddr_join(struct arena *a, struct span bare, struct span domain)
{
	char *out = arena_alloc(a, 2 * bare.n + 3 + domain.n), *p = out;
	bool quote = !mailaddr_dot_string(bare);

	if (quote)
		*p++ = '"';
	for (size_t i = 0; i < bare.n; i++) {
		if (quote && (bare.p[i] == '"' || bare.p[i] == '\\'))
			*p++ = '\\';
		*p++ = bare.p[i];
	}
	if (quote)
		*p++ = '"';
	if (domain.n) {
		*p++ = '@';
		memcpy(p, domain.p, domain.n);
		p += domain.n;
	}
	return span_make(out, (size_t)(p - out));
}
