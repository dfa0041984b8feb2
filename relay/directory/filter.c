/* filter.c -- LDAP filters and names from templates; see filter.h. */
#include <errno.h>
#include <ldap.h>

#include "addr.h"
#include "directory/filter.h"

static const char hex[] = "0123456789abcdef";

static void
put_hex(struct buf *b, unsigned char c)
{
	buf_putc(b, '\\');
	buf_putc(b, hex[c >> 4]);
	buf_putc(b, hex[c & 15]);
}

void
filter_escape(struct buf *b, struct span value)
{
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];

		if (c <= ' ' || c > '~' || c == '(' || c == ')' || c == '*' || c == '\\')
			put_hex(b, c);
		else
			buf_putc(b, (char)c);
	}
}

void
dn_escape(struct buf *b, struct span value)
{
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];
		bool end = i == 0 || i == value.n - 1;

		if (c < ' ' || c > '~' || (end && c == ' ') || strchr("\"+,;<>\\=#", c) != NULL)
			put_hex(b, c);
		else
			buf_putc(b, (char)c);
	}
}

/* ---- templates ---- */

static bool
brackets_pair(struct span f)
{
	size_t depth = 0;

	for (size_t i = 0; i < f.n; i++) {
		if (f.p[i] == '(')
			depth++;
		else if (f.p[i] == ')' && (depth-- == 0 || (depth == 0 && i != f.n - 1)))
			return false;
	}
	return depth == 0 && f.n > 2 && f.p[0] == '(';
}

bool
template_check(enum template_kind kind, struct span text, struct err *err)
{
	bool any = false;

	for (size_t i = 0; i < text.n; i++) {
		char c = i + 1 < text.n ? text.p[i + 1] : '\0';

		if (text.p[i] != '%')
			continue;
		if (c == '\0' || strchr("mud%", c) == NULL) {
			err_set(err, EINVAL, "`%%%.*s` is none of %%m (the address), %%u (its local "
			    "part), %%d (its domain), %%%%", c != '\0', &c);
			return false;
		}
		any |= c != '%';
		i++;
	}
	if (!any)
		err_set(err, EINVAL, "without %%m, %%u or %%d it is the same for every address");
	else if (kind == TEMPLATE_FILTER && !brackets_pair(text))
		err_set(err, EINVAL, "the brackets of a filter come in pairs, as in (mail=%%m)");
	else
		return true;
	return false;
}

int
template_expand(enum template_kind kind, struct span text, struct span address,
    struct arena *a, struct span *out, struct err *err)
{
	struct span local, domain;
	struct buf b;

	if (!mailaddr_split(address, &local, &domain)) {
		local = address;
		domain = SPAN_LIT("");
	}
	buf_init(&b, kind == TEMPLATE_FILTER ? FILTER_MAX : DN_MAX);
	for (size_t i = 0; i < text.n; i++) {
		struct span v;

		if (text.p[i] != '%' || i + 1 == text.n) {
			buf_putc(&b, text.p[i]);
			continue;
		}
		i++;
		if (text.p[i] == '%') {
			buf_putc(&b, '%');
			continue;
		}
		v = text.p[i] == 'u' ? local : text.p[i] == 'd' ? domain : address;
		if (kind == TEMPLATE_FILTER)
			filter_escape(&b, v);
		else
			dn_escape(&b, v);
	}
	if (buf_failed(&b)) {
		buf_release(&b);
		return err_set(err, E2BIG, "the %s for this address is too long",
		    kind == TEMPLATE_FILTER ? "filter" : "DN");
	}
	*out = arena_span(a, buf_data(&b));
	buf_release(&b);
	return 0;
}

/* ---- names ---- */

bool
dn_normalise(struct arena *a, struct span dn, struct span *out)
{
	LDAPDN parsed = NULL;
	char *text = NULL;
	struct berval bv = { dn.n, (char *)(uintptr_t)dn.p };
	bool good = false;

	if (dn.n == 0 || dn.n > DN_MAX || memchr(dn.p, '\0', dn.n))
		return false;
	if (ldap_bv2dn(&bv, &parsed, LDAP_DN_FORMAT_LDAPV3) == LDAP_SUCCESS && parsed != NULL &&
	    ldap_dn2str(parsed, &text, LDAP_DN_FORMAT_LDAPV3) == LDAP_SUCCESS && text != NULL) {
		char *copy = arena_str(a, span_str(text));

		for (char *p = copy; *p; p++)
			*p = ascii_lower(*p);
		*out = span_str(copy);
		good = out->n > 0;
	}
	ldap_memfree(text);
	ldap_dnfree(parsed);
	return good;
}

bool
dn_within(struct span dn, struct span base)
{
	return span_eq(dn, base) || (dn.n > base.n + 1 && dn.p[dn.n - base.n - 1] == ',' &&
	    span_eq(span_from(dn, dn.n - base.n), base));
}
