/* spf_covers.c -- does the SPF record of a domain name one of our addresses?
 *
 * Not the evaluator that judges strangers' mail: it answers an administrator's question about
 * records he wrote himself, so macros and `exists` count as "does not say so".
 */
#include <string.h>

#include "addr.h"
#include "cli/dns_table.h"

#define LOOKUPS_MAX 10		/* RFC 7208, 4.6.4 */

struct spf {
	struct zone *z;
	struct ip ip;
	unsigned lookups;
	const char *why;
};

static bool covers(struct spf *s, const char *domain);

static bool
within(struct spf *s, struct ip ip, struct span len)
{
	char text[IP_TEXT_MAX + 8], addr[IP_TEXT_MAX];
	struct cidr c;
	struct err err;

	if (ip.family != s->ip.family)
		return false;
	if (len.n == 0 || len.n > 3)
		return ip_eq(ip, s->ip);
	snprintf(text, sizeof(text), "%s/" SPAN_FMT, ip_format(ip, addr), SPAN_ARG(len));
	/* a/24 names the network of the address: host bits are no slip here */
	if (cidr_parse(span_str(text), &c, &err) == -1) {
		unsigned bits = 0, whole;

		for (size_t i = 0; i < len.n; i++)
			bits = bits * 10 + (unsigned)(len.p[i] - '0');
		whole = bits / 8;
		if (bits > (ip.family == 4 ? 32u : 128u) || memcmp(ip.b, s->ip.b, whole) != 0)
			return false;
		return bits % 8 == 0 || (ip.b[whole] ^ s->ip.b[whole]) >> (8 - bits % 8) == 0;
	}
	return cidr_has(c, s->ip);
}

static bool
any_address(struct spf *s, const char *name, struct span len)
{
	struct dns_answer a = *lookup_ask(s->z->lookup, name, s->ip.family == 4 ? DNS_A : DNS_AAAA);

	for (size_t i = 0; i < a.n; i++)
		if (within(s, a.records[i].ip, len))
			return true;
	return false;
}

static bool
any_mx(struct spf *s, const char *name, struct span len)
{
	struct dns_answer a = *lookup_ask(s->z->lookup, name, DNS_MX);

	for (size_t i = 0; i < a.n && i < LOOKUPS_MAX; i++)
		if (any_address(s, a.records[i].name, len))
			return true;
	return false;
}

/* "a", "a:name", "mx/24": the word behind the name, and the prefix length. */
static bool
term_is(struct span term, const char *word, const char *domain, struct zone *z, char **name,
    struct span *len)
{
	size_t n = strlen(word);
	struct span rest;

	if (!span_starts_nocase(term, span_str(word)))
		return false;
	rest = span_from(term, n);
	if (rest.n && rest.p[0] != ':' && rest.p[0] != '/')
		return false;
	*len = span_from(rest, span_find(rest, '/') + 1);
	rest = span_sub(rest, 0, span_find(rest, '/'));
	*name = rest.n ? arena_str(z->a, span_from(rest, 1)) : arena_str(z->a, span_str(domain));
	return true;
}

static bool
term_covers(struct spf *s, struct span t, const char *domain)
{
	struct span len;
	struct cidr c;
	struct err err;
	char *name;

	if (t.n && t.p[0] == '+')
		t = span_from(t, 1);
	if (span_starts_nocase(t, SPAN_LIT("ip4:")) || span_starts_nocase(t, SPAN_LIT("ip6:")))
		return cidr_parse(span_from(t, 4), &c, &err) == 0 && cidr_has(c, s->ip);
	if (span_starts_nocase(t, SPAN_LIT("include:")) || span_starts_nocase(t, SPAN_LIT("redirect=")))
		return covers(s, arena_str(s->z->a, span_from(t, t.p[0] == 'i' || t.p[0] == 'I' ? 8 : 9)));
	if (term_is(t, "a", domain, s->z, &name, &len))
		return any_address(s, name, len);
	if (term_is(t, "mx", domain, s->z, &name, &len))
		return any_mx(s, name, len);
	if (span_is_nocase(t, "all")) {
		s->why = "`+all` lets the whole world send in your name";
		return true;
	}
	return false;
}

static bool
covers(struct spf *s, const char *domain)
{
	struct dns_answer a = *lookup_ask(s->z->lookup, domain, DNS_TXT);
	struct span text = { 0 };
	unsigned found = 0;

	for (size_t i = 0; i < a.n; i++) {
		struct span t = dns_data(&a, &a.records[i]);

		if (span_starts_nocase(t, SPAN_LIT("v=spf1")) && (t.n == 6 || t.p[6] == ' ')) {
			text = arena_span(s->z->a, span_from(t, 6));
			found++;
		}
	}
	if (found > 1)
		s->why = "there are several SPF records: receivers call that an error (RFC 7208, 4.5)";
	if (found != 1)
		return false;
	if (++s->lookups > LOOKUPS_MAX) {
		s->why = "more than 10 look-ups: receivers call that an error (RFC 7208, 4.6.4)";
		return false;
	}
	while (text.n) {
		struct span t;

		text = span_trim(text);
		t = span_sub(text, 0, span_find(text, ' '));
		text = span_from(text, t.n);
		if (t.n && t.p[0] != '-' && t.p[0] != '~' && t.p[0] != '?' && term_covers(s, t, domain))
			return true;
	}
	return false;
}

bool
spf_covers(struct zone *z, const char *domain, struct ip ip, const char **why)
{
	struct spf s = { .z = z, .ip = ip };
	bool r = covers(&s, domain);

	*why = s.why;
	return r;
}
