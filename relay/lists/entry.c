/* entry.c -- spellings of entries, and whose word comes first; see entry.h. */
#include <errno.h>
#include <stdio.h>

#include "lists/entry.h"

struct span
address_folded(struct arena *a, struct span address)
{
	return arena_lower(a, mailaddr_normalise(a, address));
}

struct span
address_untagged(struct arena *a, struct span address)
{
	struct span local, domain;
	size_t plus;

	if (!mailaddr_split(address, &local, &domain) || (local.n && local.p[0] == '"'))
		return address;
	plus = span_find(local, '+');
	if (plus == 0 || plus >= local.n)
		return address;
	return span_str(arena_printf(a, SPAN_FMT "@" SPAN_FMT, SPAN_ARG(span_sub(local, 0, plus)),
	    SPAN_ARG(domain)));
}

static int
network(struct arena *a, struct span text, struct span *what, struct err *err)
{
	char ip[IP_TEXT_MAX];
	struct cidr c;

	if (cidr_parse(text, &c, err) == -1)
		return -1;
	if (c.bits < (c.ip.family == 4 ? LISTS_BITS4_MIN : LISTS_BITS6_MIN))
		return err_set(err, EINVAL, "`" SPAN_FMT "` is too large a network: /%d at least",
		    SPAN_ARG(text), c.ip.family == 4 ? LISTS_BITS4_MIN : LISTS_BITS6_MIN);
	if (c.bits == (c.ip.family == 4 ? 32 : 128))
		*what = span_str(arena_printf(a, "%s", ip_format(c.ip, ip)));
	else
		*what = span_str(arena_printf(a, "%s/%u", ip_format(c.ip, ip), c.bits));
	return 0;
}

/* "[::1]", "10.1.2.3", "10.0.0.0/8": what nobody would write for a domain. */
static bool
looks_like_network(struct span s)
{
	struct ip ip;

	return ip_parse(span_sub(s, 0, span_find(s, '/')), &ip) || span_find(s, ':') < s.n ||
	    (span_find(s, '/') < s.n && span_find(s, '@') == s.n);
}

static int
no_entry(struct span text, struct span domain, struct err *err)
{
	return err_set(err, EINVAL, "`" SPAN_FMT "`: did you mean `@" SPAN_FMT
	    "`? (that domain, and those below it)", SPAN_ARG(text), SPAN_ARG(domain));
}

int
entry_what(struct arena *a, struct span text, enum entry_kind *kind, struct span *what, struct err *err)
{
	struct span local, domain, s = span_trim(text);

	if (s.n == 0 || s.n > LISTS_WHAT_MAX)
		return err_set(err, EINVAL, s.n ? "longer than an address can be" :
		    "whom? an address, @domain, or a network");
	if (s.n > 2 && s.p[0] == '<' && s.p[s.n - 1] == '>')
		s = span_sub(s, 1, s.n - 2);
	if (looks_like_network(s)) {
		*kind = ENTRY_NETWORK;
		return network(a, s, what, err);
	}
	if (s.n && s.p[0] == '@') {
		if (!domain_normalise(a, span_from(s, 1), &domain))
			return err_set(err, EINVAL, "`" SPAN_FMT "` is no domain", SPAN_ARG(text));
		*kind = ENTRY_DOMAIN;
		*what = span_str(arena_printf(a, "@" SPAN_FMT, SPAN_ARG(domain)));
		return 0;
	}
	if (!mailaddr_split(s, &local, &domain)) {
		if (s.n > 2 && s.p[0] == '*' && s.p[1] == '.')
			s = span_from(s, 2);
		else if (s.n > 1 && s.p[0] == '.')
			s = span_from(s, 1);
		if (domain_normalise(a, s, &domain) && span_find(s, '.') < s.n)
			return no_entry(text, domain, err);
		return err_set(err, EINVAL, "`" SPAN_FMT "` is no address, @domain or network",
		    SPAN_ARG(text));
	}
	if (!domain_normalise(a, domain, &domain))
		return err_set(err, EINVAL, "`" SPAN_FMT "`: what stands behind @ is no domain",
		    SPAN_ARG(text));
	if (span_is(local, "*"))
		return no_entry(text, domain, err);
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f)
			return err_set(err, EINVAL, "an address has no blanks and no control characters");
	if (span_find(local, '*') < local.n)
		return err_set(err, EINVAL, "`" SPAN_FMT "`: `*` stands for nothing here; a whole domain is `@"
		    SPAN_FMT "`", SPAN_ARG(text), SPAN_ARG(domain));
	*kind = ENTRY_ADDRESS;
	*what = address_folded(a, s);
	return 0;
}

int
entry_owner(struct arena *a, enum list_scope scope, struct span text, struct span *owner,
    struct err *err)
{
	struct span local, domain, s = span_trim(text);

	*owner = SPAN_LIT("");
	if (scope == LIST_ALL)
		return 0;
	if (s.n > LISTS_OWNER_MAX)
		return err_set(err, EINVAL, "the owner is longer than an address can be");
	if (scope == LIST_DOMAIN) {
		if (s.n && s.p[0] == '@')
			s = span_from(s, 1);
		if (!domain_normalise(a, s, owner))
			return err_set(err, EINVAL, "the owner of a domain's list is a domain");
		return 0;
	}
	if (!mailaddr_split(s, &local, &domain) || !domain_normalise(a, domain, &domain))
		return err_set(err, EINVAL, "the owner of a user's list is an address");
	*owner = address_untagged(a, address_folded(a, s));
	return 0;
}

/* The higher authority first, and of one authority the block. */
bool
lists_decide(unsigned mask, enum list_scope *scope, enum list_side *side)
{
	static const struct {
		enum list_scope scope;
		enum list_side side;
	} order[] = {
		{ LIST_ALL, LIST_BLOCK }, { LIST_ALL, LIST_ALLOW },
		{ LIST_DOMAIN, LIST_BLOCK }, { LIST_DOMAIN, LIST_ALLOW },
		{ LIST_USER, LIST_BLOCK }, { LIST_USER, LIST_ALLOW },
	};

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		if (mask & LISTED_BIT(order[i].scope, order[i].side)) {
			*scope = order[i].scope;
			*side = order[i].side;
			return true;
		}
	return false;
}
