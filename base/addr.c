/* addr.c -- network addresses, mail addresses, lists that match them; see addr.h.
 *
 * A domain has one inner form: lower case, A-labels (UTS #46 non-transitional,
 * through libidn2), no dot at its end. Both spellings of an IDN meet there,
 * so patterns and addresses are compared as bytes. Nothing here asks the DNS.
 *
 * An addrlist is one hash table. Its keys cannot be confused with each other:
 * "a@b" holds an @, ".b" starts with a dot, "b" does neither. An address is
 * normalised once and its own suffixes are the keys looked up: "x@a.b.c",
 * "a.b.c", ".b.c", ".c".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <idn2.h>
#include <stdlib.h>

#include "addr.h"
#include "table.h"

#define DOMAIN_MAX 253		/* RFC 1035: 255 octets on the wire */
#define LABEL_MAX 63
#define ADDR_MAX 1024		/* longest address an exact pattern can match */

static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

/* --- network addresses --- */

static struct ip
ip_from_v6(const uint8_t b[16])
{
	struct ip ip = { .family = 6 };

	if (memcmp(b, mapped, sizeof(mapped)) == 0) {
		ip.family = 4;
		memcpy(ip.b, b + 12, 4);
	} else
		memcpy(ip.b, b, 16);
	return ip;
}

bool
ip_parse(struct span text, struct ip *ip)
{
	char t[IP_TEXT_MAX];
	uint8_t b[16];

	if (text.n == 0 || text.n >= sizeof(t) || memchr(text.p, '\0', text.n))
		return false;
	memcpy(t, text.p, text.n);
	t[text.n] = '\0';
	if (inet_pton(AF_INET, t, b) == 1) {
		*ip = (struct ip){ .family = 4 };
		memcpy(ip->b, b, 4);
		return true;
	}
	if (inet_pton(AF_INET6, t, b) == 1) {
		*ip = ip_from_v6(b);
		return true;
	}
	return false;
}

const char *
ip_format(struct ip ip, char buf[IP_TEXT_MAX])
{
	if (ip.family == 4) {
		char *to = buf;

		for (int i = 0; i < 4; i++) {
			unsigned v = ip.b[i];

			if (v >= 100)
				*to++ = (char)('0' + v / 100);
			if (v >= 10)
				*to++ = (char)('0' + v / 10 % 10);
			*to++ = (char)('0' + v % 10);
			*to++ = i < 3 ? '.' : '\0';
		}
		return buf;
	}
	if (ip.family == 0 ||
	    inet_ntop(AF_INET6, ip.b, buf, IP_TEXT_MAX) == NULL)
		memcpy(buf, "none", 5);
	return buf;
}

bool
ip_eq(struct ip a, struct ip b)
{
	return a.family == b.family && memcmp(a.b, b.b, a.family == 4 ? 4 : 16) == 0;
}

bool
ip_is_loopback(struct ip ip)
{
	static const uint8_t one[16] = { [15] = 1 };

	return (ip.family == 4 && ip.b[0] == 127) ||
	    (ip.family == 6 && memcmp(ip.b, one, 16) == 0);
}

struct ip
ip_from_sockaddr(const struct sockaddr *sa, uint16_t *port)
{
	struct ip ip = { 0 };
	uint16_t p = 0;

	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof(in));
		ip.family = 4;
		memcpy(ip.b, &in.sin_addr, 4);
		p = ntohs(in.sin_port);
	} else if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof(in6));
		ip = ip_from_v6(in6.sin6_addr.s6_addr);
		p = ntohs(in6.sin6_port);
	}
	if (port)
		*port = p;
	return ip;
}

socklen_t
ip_to_sockaddr(struct ip ip, uint16_t port, struct sockaddr_storage *ss)
{
	memset(ss, 0, sizeof(*ss));
	if (ip.family == 4) {
		struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };

		memcpy(&in.sin_addr, ip.b, 4);
		memcpy(ss, &in, sizeof(in));
		return sizeof(in);
	}
	if (ip.family == 6) {
		struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

		memcpy(&in6.sin6_addr, ip.b, 16);
		memcpy(ss, &in6, sizeof(in6));
		return sizeof(in6);
	}
	return 0;
}

/* Decimal, at most max; false on anything else, signs and spaces included. */
static bool
small_number(struct span s, unsigned max, unsigned *out)
{
	unsigned v = 0;

	if (s.n == 0 || s.n > 5)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		v = v * 10 + (unsigned)(s.p[i] - '0');
	}
	if (v > max)
		return false;
	*out = v;
	return true;
}

/* The network's own address: everything behind the prefix cleared. */
static struct ip
ip_mask(struct ip ip, unsigned bits)
{
	for (unsigned i = 0; i < 16; i++) {
		if (bits >= (i + 1) * 8)
			continue;
		ip.b[i] &= bits <= i * 8 ? 0 : (uint8_t)(0xff00 >> (bits - i * 8));
	}
	return ip;
}

int
cidr_parse(struct span text, struct cidr *out, struct err *err)
{
	size_t slash = span_find(text, '/');
	struct span addr = span_sub(text, 0, slash);
	unsigned width, bits;
	struct cidr c;
	struct ip net;

	if (!ip_parse(addr, &c.ip))
		return err_set(err, EINVAL, "`" SPAN_FMT "` is not an IP address or network",
		    SPAN_ARG(text));
	bits = width = c.ip.family == 4 ? 32 : 128;
	if (slash < text.n) {
		/* "::ffff:10.0.0.0/104" is 10.0.0.0/8 */
		bool was_mapped = c.ip.family == 4 && span_find(addr, ':') < addr.n;

		if (!small_number(span_from(text, slash + 1), was_mapped ? 128 : width, &bits) ||
		    (was_mapped && bits < 96))
			return err_set(err, EINVAL, "`" SPAN_FMT "`: the prefix must be a number "
			    "from %d to %u", SPAN_ARG(text), was_mapped ? 96 : 0,
			    was_mapped ? 128 : width);
		if (was_mapped)
			bits -= 96;
	}
	net = ip_mask(c.ip, bits);
	if (!ip_eq(net, c.ip)) {
		char t[IP_TEXT_MAX];

		return err_set(err, EINVAL, "`" SPAN_FMT "` has bits set beyond its prefix: "
		    "the network is %s/%u", SPAN_ARG(text), ip_format(net, t), bits);
	}
	c.bits = (uint8_t)bits;
	*out = c;
	return 0;
}

bool
cidr_has(struct cidr c, struct ip ip)
{
	return ip.family != 0 && c.ip.family == ip.family && ip_eq(ip_mask(ip, c.bits), c.ip);
}

/* Splits "host:port", "[host]:port", "[host]", "host", and a bare IPv6 address. */
static int
hostport_split(struct span text, uint16_t default_port, struct span *host, uint16_t *port,
    struct err *err)
{
	struct span h, digits = { 0 };
	bool has_port = false;
	unsigned number;
	struct ip ip;

	if (text.n && text.p[0] == '[') {
		size_t close = span_find(text, ']');
		struct span rest = span_from(text, close + 1);

		if (close == text.n || (rest.n && rest.p[0] != ':'))
			return err_set(err, EINVAL, "`" SPAN_FMT "`: expected `[address]:port`",
			    SPAN_ARG(text));
		h = span_sub(text, 1, close - 1);
		if ((has_port = rest.n > 0))
			digits = span_from(rest, 1);
	} else {
		size_t colon = span_find(text, ':');

		h = text;
		if (colon < text.n && !(span_find(span_from(text, colon + 1), ':') <
		    text.n - colon - 1 && ip_parse(text, &ip))) {
			h = span_sub(text, 0, colon);
			digits = span_from(text, colon + 1);
			has_port = true;
		}
	}
	if (h.n == 0)
		return err_set(err, EINVAL, "`" SPAN_FMT "`: the address is missing",
		    SPAN_ARG(text));
	if (!has_port && default_port == 0) {
		bool v6 = span_find(h, ':') < h.n;

		return err_set(err, EINVAL, "`" SPAN_FMT "`: the port is missing, as in "
		    "`%s" SPAN_FMT "%s:25`", SPAN_ARG(text), v6 ? "[" : "", SPAN_ARG(h),
		    v6 ? "]" : "");
	}
	number = default_port;
	if (has_port && (!small_number(digits, 65535, &number) || number == 0))
		return err_set(err, EINVAL, "`" SPAN_FMT "`: the port must be a number from 1 to "
		    "65535%s", SPAN_ARG(text),
		    span_find(digits, ':') < digits.n ? " (IPv6 is written `[2001:db8::1]:25`)" : "");
	*host = h;
	*port = (uint16_t)number;
	return 0;
}

int
hostport_parse_ip(struct span text, uint16_t default_port, struct ip *ip, uint16_t *port,
    struct err *err)
{
	struct span host;
	struct ip parsed;
	uint16_t p;

	if (hostport_split(text, default_port, &host, &p, err) == -1)
		return -1;
	if (!ip_parse(host, &parsed))
		return err_set(err, EINVAL, "`" SPAN_FMT "` is not an IP address", SPAN_ARG(host));
	*ip = parsed;
	*port = p;
	return 0;
}

/* --- domains --- */

/* Letters, digits, hyphen, underscore (as in _dmarc); lengths as in RFC 1035. */
static bool
ascii_domain(const char *p, size_t n)
{
	size_t label = 0;

	if (n == 0 || n > DOMAIN_MAX)
		return false;
	for (size_t i = 0; i <= n; i++) {
		char c = i < n ? ascii_lower(p[i]) : '.';

		if (c == '.') {
			if (label == 0 || label > LABEL_MAX)
				return false;
			label = 0;
			continue;
		}
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
			return false;
		label++;
	}
	return true;
}

static void
lower_copy(char *to, struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		to[i] = ascii_lower(s.p[i]);
}

/* Inner form of a domain into out; its length, or 0 when it is no domain name. */
static size_t
domain_inner(struct span d, char out[DOMAIN_MAX + 1])
{
	uint8_t text[DOMAIN_MAX * 4 + 1];
	uint8_t *alabel = NULL;
	bool ascii = true;
	size_t n;

	if (d.n == 0 || d.n >= sizeof(text))
		return 0;
	for (size_t i = 0; i < d.n; i++) {
		if ((unsigned char)d.p[i] <= 0x20 || d.p[i] == 0x7f)
			return 0;
		if ((unsigned char)d.p[i] >= 0x80)
			ascii = false;
	}
	if (ascii) {
		if (!ascii_domain(d.p, d.n))
			return 0;
		lower_copy(out, d);
		out[d.n] = '\0';
		return d.n;
	}
	memcpy(text, d.p, d.n);
	text[d.n] = '\0';
	if (idn2_to_ascii_8z((const char *)text, (char **)&alabel,
	    IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT) != IDN2_OK)
		return 0;
	/* UTS #46 maps full-width forms to ASCII: what came out is checked, not what went in. */
	n = strlen((char *)alabel);
	if (!ascii_domain((char *)alabel, n))
		n = 0;
	else
		lower_copy(out, span_make((char *)alabel, n));
	out[n] = '\0';
	idn2_free(alabel);
	return n;
}

bool
domain_normalise(struct arena *a, struct span domain, struct span *out)
{
	char inner[DOMAIN_MAX + 1];
	size_t n = domain_inner(domain, inner);

	if (n == 0)
		return false;
	*out = arena_span(a, span_make(inner, n));
	return true;
}

int
hostport_parse(struct span text, uint16_t default_port, struct span *host, uint16_t *port,
    struct err *err)
{
	char inner[DOMAIN_MAX + 1];
	struct span h;
	struct ip ip;
	uint16_t p;

	if (hostport_split(text, default_port, &h, &p, err) == -1)
		return -1;
	if (!ip_parse(h, &ip) && domain_inner(h, inner) == 0)
		return err_set(err, EINVAL, "`" SPAN_FMT "` is neither an address nor a host name",
		    SPAN_ARG(h));
	*host = h;
	*port = p;
	return 0;
}

/* --- mail addresses --- */

bool
mailaddr_split(struct span addr, struct span *local, struct span *domain)
{
	size_t at = addr.n;
	bool quoted = false;

	for (size_t i = 0; i < addr.n; i++) {
		char c = addr.p[i];

		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (c == '@' && !quoted)
			at = i;
	}
	if (at == 0 || at + 1 >= addr.n)
		return false;
	*local = span_sub(addr, 0, at);
	*domain = span_from(addr, at + 1);
	return true;
}

struct span
mailaddr_normalise(struct arena *a, struct span addr)
{
	char inner[DOMAIN_MAX + 1];
	struct span local, domain;
	size_t n;
	char *p;

	if (!mailaddr_split(addr, &local, &domain))
		return arena_span(a, addr);
	n = domain_inner(domain, inner);
	if (n > 0)
		domain = span_make(inner, n);
	/* No name ("[10.1.2.3]", or nonsense): lower case is all we can do. */
	p = arena_alloc(a, local.n + 1 + domain.n + 1);
	memcpy(p, local.p, local.n);
	p[local.n] = '@';
	lower_copy(p + local.n + 1, domain);
	p[local.n + 1 + domain.n] = '\0';
	return span_make(p, local.n + 1 + domain.n);
}

/* --- lists --- */

struct addrlist {
	struct arena *arena;		/* the keys */
	struct table *keys;
	bool null_sender;
};

struct addrlist *
addrlist_new(void)
{
	struct addrlist *l = calloc(1, sizeof(*l));

	ASSERT(l != NULL);
	l->arena = arena_new(0);
	l->keys = table_new();
	return l;
}

void
addrlist_free(struct addrlist **lp)
{
	if (*lp == NULL)
		return;
	table_free(&(*lp)->keys);
	arena_free(&(*lp)->arena);
	free(*lp);
	*lp = NULL;
}

static bool
is_literal(struct span domain)
{
	if (domain.n < 3 || domain.p[0] != '[' || domain.p[domain.n - 1] != ']')
		return false;
	for (size_t i = 1; i < domain.n - 1; i++)
		if ((unsigned char)domain.p[i] <= 0x20 || strchr("[]<>@", domain.p[i]))
			return false;
	return true;
}

static void
keys_add(struct addrlist *l, struct span key)
{
	if (table_get(l->keys, key) == NULL)
		table_put(l->keys, arena_span(l->arena, key), l);
}

static int
add_domain(struct addrlist *l, struct span pattern, struct err *err)
{
	char inner[DOMAIN_MAX + 2];
	size_t dot = pattern.n && pattern.p[0] == '.', n;

	n = domain_inner(span_from(pattern, dot), inner + dot);
	if (n == 0)
		return err_set(err, EINVAL, "`" SPAN_FMT "` is neither an address nor a domain",
		    SPAN_ARG(pattern));
	inner[0] = dot ? '.' : inner[0];
	keys_add(l, span_make(inner, dot + n));
	return 0;
}

static int
add_address(struct addrlist *l, struct span pattern, struct err *err)
{
	char inner[DOMAIN_MAX + 1], key[ADDR_MAX];
	struct span local, domain;
	size_t n;

	if (!mailaddr_split(pattern, &local, &domain))
		return err_set(err, EINVAL, "`" SPAN_FMT "` is not an address", SPAN_ARG(pattern));
	if ((n = domain_inner(domain, inner)) > 0)
		domain = span_make(inner, n);
	else if (!is_literal(domain))
		return err_set(err, EINVAL, "`" SPAN_FMT "`: `" SPAN_FMT "` is not a domain",
		    SPAN_ARG(pattern), SPAN_ARG(domain));
	n = local.n + 1 + domain.n;
	if (n > sizeof(key))
		return err_set(err, EINVAL, "an address is longer than %zu bytes", sizeof(key));
	lower_copy(key, local);
	key[local.n] = '@';
	lower_copy(key + local.n + 1, domain);
	keys_add(l, span_make(key, n));
	return 0;
}

int
addrlist_add(struct addrlist *l, struct span pattern, struct err *err)
{
	if (span_is(pattern, "@") || span_is(pattern, "<>")) {
		l->null_sender = true;
		return 0;
	}
	if (pattern.n == 0)
		return err_set(err, EINVAL, "an empty pattern (the null sender is `<>`)");
	for (size_t i = 0; i < pattern.n; i++)
		if ((unsigned char)pattern.p[i] < 0x20 || pattern.p[i] == 0x7f)
			return err_set(err, EINVAL, "control characters in an address pattern");
	/* What people write who come from other tools. */
	if (span_starts(pattern, SPAN_LIT("*@")) || pattern.p[0] == '@')
		return err_set(err, EINVAL, "`" SPAN_FMT "`: a whole domain is written without "
		    "`@`, as in `" SPAN_FMT "`", SPAN_ARG(pattern),
		    SPAN_ARG(span_from(pattern, span_find(pattern, '@') + 1)));
	if (span_starts(pattern, SPAN_LIT("*.")))
		return err_set(err, EINVAL, "`" SPAN_FMT "`: subdomains are written `" SPAN_FMT "`",
		    SPAN_ARG(pattern), SPAN_ARG(span_from(pattern, 1)));
	if (span_find(pattern, '@') < pattern.n)
		return add_address(l, pattern, err);
	return add_domain(l, pattern, err);
}

bool
addrlist_has(const struct addrlist *l, struct span addr)
{
	char inner[DOMAIN_MAX + 1], key[ADDR_MAX];
	struct span local, domain;
	char *d;
	size_t n;

	if (addr.n == 0)
		return l->null_sender;
	if (table_count(l->keys) == 0 || !mailaddr_split(addr, &local, &domain))
		return false;
	/* "a@example.org." is the same mailbox: no way around a rule. */
	if (domain.n > 1 && domain.p[domain.n - 1] == '.')
		domain.n--;
	if ((n = domain_inner(domain, inner)) > 0)
		domain = span_make(inner, n);
	if (domain.n > DOMAIN_MAX)
		return false;
	/* A local part too long for any pattern is left out: its domain still counts. */
	n = local.n + 1 + domain.n <= sizeof(key) ? local.n : 0;
	lower_copy(key, span_sub(local, 0, n));
	key[n] = '@';
	d = key + n + 1;
	lower_copy(d, domain);
	if (n > 0 && table_get(l->keys, span_make(key, n + 1 + domain.n)))
		return true;
	if (table_get(l->keys, span_make(d, domain.n)))
		return true;
	/* The first label is the domain's own: ".b" is for what lies below b. */
	for (size_t i = 1; i + 1 < domain.n; i++)
		if (d[i] == '.' && table_get(l->keys, span_make(d + i, domain.n - i)))
			return true;
	return false;
}

size_t
addrlist_count(const struct addrlist *l)
{
	return table_count(l->keys) + l->null_sender;
}
