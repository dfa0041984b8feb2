/* test_addr.c -- network addresses, domains, mail addresses, address lists. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/un.h>

#include <cmocka.h>

#include "addr.h"

static struct arena *a;
static struct err e;

static int
setup(void **state)
{
	a = arena_new(0);
	return 0;
}

static int
teardown(void **state)
{
	arena_free(&a);
	return 0;
}

static const char *
reformat(const char *text)
{
	static char buf[IP_TEXT_MAX];
	struct ip ip;

	return ip_parse(span_str(text), &ip) ? ip_format(ip, buf) : NULL;
}

static void
ip_texts(void **state)
{
	static const char *const bad[] = { "", "10.1.2", "10.1.2.256", "010.1.2.3", "10.1.2.3 ",
		" 10.1.2.3", "1.2.3.4.5", "2001:db8::1::2", "fe80::1%eth0", "[::1]", "::ffff:1.2.3",
		"12345::", "localhost", "1111:2222:3333:4444:5555:6666:123.123.123.1234567" };
	struct ip ip;
	char buf[IP_TEXT_MAX];

	assert_string_equal(reformat("10.1.2.3"), "10.1.2.3");
	assert_string_equal(reformat("2001:DB8:0:0:0:0:0:1"), "2001:db8::1");
	/* One client, one spelling. */
	assert_string_equal(reformat("::ffff:10.1.2.3"), "10.1.2.3");
	assert_string_equal(reformat("::FFFF:0a01:0203"), "10.1.2.3");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_null(reformat(bad[i]));
	assert_false(ip_parse(SPAN_LIT("10.1.2.3\0x"), &ip));
	assert_string_equal(ip_format((struct ip){ 0 }, buf), "none");
}

static void
ip_facts(void **state)
{
	struct ip x, y;

	assert_true(ip_parse(SPAN_LIT("127.8.9.1"), &x));
	assert_true(ip_is_loopback(x));
	assert_true(ip_parse(SPAN_LIT("::1"), &y));
	assert_true(ip_is_loopback(y));
	assert_false(ip_eq(x, y));
	assert_true(ip_parse(SPAN_LIT("::ffff:127.0.0.1"), &y));
	assert_true(ip_is_loopback(y));
	assert_true(ip_parse(SPAN_LIT("128.0.0.1"), &y));
	assert_false(ip_is_loopback(y));
	assert_true(ip_parse(SPAN_LIT("::2"), &y));
	assert_false(ip_is_loopback(y));
	/* 1.2.3.4 and 102:304:: begin with the same bytes. */
	assert_true(ip_parse(SPAN_LIT("1.2.3.4"), &x));
	assert_true(ip_parse(SPAN_LIT("102:304::"), &y));
	assert_false(ip_eq(x, y));
}

static void
ip_sockaddr(void **state)
{
	struct sockaddr_storage ss;
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(25) };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct ip ip, back;
	uint16_t port = 0;

	assert_true(ip_parse(SPAN_LIT("10.1.2.3"), &ip));
	assert_int_equal(ip_to_sockaddr(ip, 2525, &ss), sizeof(struct sockaddr_in));
	back = ip_from_sockaddr((struct sockaddr *)&ss, &port);
	assert_true(ip_eq(ip, back));
	assert_int_equal(port, 2525);
	assert_true(ip_parse(SPAN_LIT("2001:db8::1"), &ip));
	assert_int_equal(ip_to_sockaddr(ip, 25, &ss), sizeof(struct sockaddr_in6));
	back = ip_from_sockaddr((struct sockaddr *)&ss, NULL);
	assert_true(ip_eq(ip, back));
	/* As a dual-stack socket reports an IPv4 client. */
	assert_int_equal(inet_pton(AF_INET6, "::ffff:10.1.2.3", &in6.sin6_addr), 1);
	back = ip_from_sockaddr((struct sockaddr *)&in6, &port);
	assert_int_equal(back.family, 4);
	assert_int_equal(port, 25);
	assert_int_equal(ip_from_sockaddr((struct sockaddr *)&un, &port).family, 0);
	assert_int_equal(port, 0);
	assert_int_equal(ip_to_sockaddr((struct ip){ 0 }, 25, &ss), 0);
}

static bool
in(const char *net, const char *addr)
{
	struct cidr c;
	struct ip ip;

	assert_int_equal(cidr_parse(span_str(net), &c, &e), 0);
	assert_true(ip_parse(span_str(addr), &ip));
	return cidr_has(c, ip);
}

static void
cidrs(void **state)
{
	static const char *const bad[] = { "", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1",
		"10.0.0.0/8x", "::/129", "example.org", "10.0.0.0/8/8", "::ffff:10.0.0.0/95" };
	struct cidr c;

	assert_true(in("10.0.0.0/8", "10.255.255.255"));
	assert_false(in("10.0.0.0/8", "11.0.0.0"));
	assert_true(in("10.1.2.0/23", "10.1.3.255"));
	assert_false(in("10.1.2.0/23", "10.1.4.0"));
	assert_true(in("10.1.2.3", "10.1.2.3"));
	assert_false(in("10.1.2.3", "10.1.2.2"));
	assert_true(in("0.0.0.0/0", "203.0.113.9"));
	assert_false(in("0.0.0.0/0", "::1"));
	assert_false(in("::/0", "10.1.2.3"));
	assert_true(in("::/0", "2001:db8::1"));
	assert_true(in("2001:db8:8000::/33", "2001:db8:ffff::1"));
	assert_false(in("2001:db8:8000::/33", "2001:db8:7fff::1"));
	assert_true(in("::1", "::1"));
	assert_true(in("::ffff:10.0.0.0/104", "10.9.9.9"));
	assert_false(in("::ffff:10.0.0.0/104", "11.9.9.9"));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(cidr_parse(span_str(bad[i]), &c, &e), -1);
	assert_int_equal(cidr_parse(SPAN_LIT("10.1.2.3/8"), &c, &e), -1);
	assert_string_equal(e.text, "`10.1.2.3/8` has bits set beyond its prefix: "
	    "the network is 10.0.0.0/8");
	assert_int_equal(cidr_parse(SPAN_LIT("0.0.0.0/0"), &c, &e), 0);
	assert_false(cidr_has(c, (struct ip){ 0 }));
}

static void
hostports(void **state)
{
	static const struct {
		const char *text, *host;
		uint16_t def, port;
	} good[] = {
		{ "0.0.0.0:25", "0.0.0.0", 0, 25 }, { "[::1]:8025", "::1", 0, 8025 },
		{ "10.1.2.3", "10.1.2.3", 25, 25 }, { "::1", "::1", 25, 25 },
		{ "[2001:db8::1]", "2001:db8::1", 587, 587 },
		{ "mail2.example.org:25", "mail2.example.org", 0, 25 },
		{ "mail2.example.org", "mail2.example.org", 25, 25 },
		{ "b\xc3\xbc" "cher.example:65535", "b\xc3\xbc" "cher.example", 25, 65535 },
	};
	static const char *const bad[] = { "", ":25", "a:", "a:0", "a:65536", "a:x", "a:25x",
		"[::1", "[::1]25", "[]:25", "a b:25", "a..b:25", "::1:x", "a:1:2", "10.1.2.3:+25" };
	struct span host;
	struct ip ip;
	uint16_t port;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(hostport_parse(span_str(good[i].text), good[i].def, &host, &port,
		    &e), 0);
		assert_true(span_is(host, good[i].host));
		assert_int_equal(port, good[i].port);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(hostport_parse(span_str(bad[i]), 25, &host, &port, &e), -1);
	assert_int_equal(hostport_parse(SPAN_LIT("10.1.2.3"), 0, &host, &port, &e), -1);
	assert_string_equal(e.text, "`10.1.2.3`: the port is missing, as in `10.1.2.3:25`");
	assert_int_equal(hostport_parse(SPAN_LIT("::1"), 0, &host, &port, &e), -1);
	assert_string_equal(e.text, "`::1`: the port is missing, as in `[::1]:25`");
	assert_int_equal(hostport_parse_ip(SPAN_LIT("[::1]:25"), 0, &ip, &port, &e), 0);
	assert_true(ip_is_loopback(ip));
	assert_int_equal(hostport_parse_ip(SPAN_LIT("mail.example.org:25"), 0, &ip, &port, &e), -1);
	assert_string_equal(e.text, "`mail.example.org` is not an IP address");
}

static const char *
normal(const char *domain)
{
	struct span out;

	return domain_normalise(a, span_str(domain), &out) ? out.p : NULL;
}

static void
domains(void **state)
{
	/* 63 letters; four of them and three dots are 255. */
	static const char l63[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	static const char *const bad[] = { "", ".", "a..b", ".a", "a.", "a b", "a\tb", "a\x01",
		"a\x7f", "[10.1.2.3]", "a@b", "a/b", "*.a", "\xff.example", "\xef\xbc\x8f.example" };

	assert_string_equal(normal("Example.ORG"), "example.org");
	assert_string_equal(normal("_dmarc.example.org"), "_dmarc.example.org");
	assert_string_equal(normal("gw-1"), "gw-1");
	/* RFC 3492's classic; capital and composed or not, it is one name. */
	assert_string_equal(normal("b\xc3\xbc" "cher.example"), "xn--bcher-kva.example");
	assert_string_equal(normal("B\xc3\x9c" "CHER.Example"), "xn--bcher-kva.example");
	assert_string_equal(normal("bu\xcc\x88" "cher.example"), "xn--bcher-kva.example");
	assert_string_equal(normal("XN--BCHER-KVA.example"), "xn--bcher-kva.example");
	/* Non-transitional: sharp s is its own letter, not "ss". */
	assert_string_equal(normal("fa\xc3\x9f.de"), "xn--fa-hia.de");
	/* Full-width letters and the ideographic full stop are what they look like. */
	assert_string_equal(normal("\xef\xbd\x81\xe3\x80\x82\xef\xbd\x82"), "a.b");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_null(normal(bad[i]));
	assert_non_null(normal(l63));
	assert_null(normal(arena_printf(a, "%sa", l63)));
	assert_non_null(normal(arena_printf(a, "%s.%s.%s.%.61s", l63, l63, l63, l63)));
	assert_null(normal(arena_printf(a, "%s.%s.%s.%.62s", l63, l63, l63, l63)));
}

static void
mailaddrs(void **state)
{
	struct span l, d, s;

	assert_true(mailaddr_split(SPAN_LIT("m.durand@example.org"), &l, &d));
	assert_true(span_is(l, "m.durand") && span_is(d, "example.org"));
	assert_true(mailaddr_split(SPAN_LIT("\"a@b\\\"@c\"@example.org"), &l, &d));
	assert_true(span_is(l, "\"a@b\\\"@c\"") && span_is(d, "example.org"));
	assert_true(mailaddr_split(SPAN_LIT("a@b@example.org"), &l, &d));
	assert_true(span_is(l, "a@b"));
	assert_false(mailaddr_split(SPAN_LIT(""), &l, &d));
	assert_false(mailaddr_split(SPAN_LIT("postmaster"), &l, &d));
	assert_false(mailaddr_split(SPAN_LIT("@example.org"), &l, &d));
	assert_false(mailaddr_split(SPAN_LIT("a@"), &l, &d));
	assert_false(mailaddr_split(SPAN_LIT("\"a@example.org"), &l, &d));

	s = mailaddr_normalise(a, SPAN_LIT("M.Durand@B\xc3\x9c" "cher.EXAMPLE"));
	assert_string_equal(s.p, "M.Durand@xn--bcher-kva.example");
	assert_int_equal(s.n, strlen(s.p));
	assert_int_equal(mailaddr_normalise(a, SPAN_LIT("")).n, 0);
	assert_true(span_is(mailaddr_normalise(a, SPAN_LIT("A@[IPv6:2001:DB8::1]")),
	    "A@[ipv6:2001:db8::1]"));
	assert_true(span_is(mailaddr_normalise(a, SPAN_LIT("Postmaster")), "Postmaster"));
}

static struct addrlist *
list(const char *const *patterns)
{
	struct addrlist *l = addrlist_new();

	for (; *patterns; patterns++)
		assert_int_equal(addrlist_add(l, span_str(*patterns), &e), 0);
	return l;
}

#define HAS(l, s) addrlist_has(l, SPAN_LIT(s))

static void
lists_match(void **state)
{
	static const char *const patterns[] = { "Boss@Example.org", "corp.example", ".sub.example",
		"b\xc3\xbc" "cher.example", ".xn--mnchen-3ya.example", "x@[10.1.2.3]", NULL };
	struct addrlist *l = list(patterns);

	assert_int_equal(addrlist_count(l), 6);
	assert_true(HAS(l, "boss@example.org"));
	assert_true(HAS(l, "BOSS@EXAMPLE.ORG"));
	assert_false(HAS(l, "other@example.org"));
	assert_false(HAS(l, "boss@sub.example.org"));
	/* "b": that domain, not what lies below. */
	assert_true(HAS(l, "anyone@corp.example"));
	assert_true(HAS(l, "anyone@CORP.example."));
	assert_false(HAS(l, "anyone@a.corp.example"));
	assert_false(HAS(l, "anyone@notcorp.example"));
	/* ".b": what lies below, at any depth, not b. */
	assert_true(HAS(l, "x@a.sub.example"));
	assert_true(HAS(l, "x@a.b.c.sub.example"));
	assert_false(HAS(l, "x@sub.example"));
	assert_false(HAS(l, "x@asub.example"));
	/* IDN: pattern and address in either spelling. */
	assert_true(HAS(l, "x@b\xc3\xbc" "cher.example"));
	assert_true(HAS(l, "x@XN--bcher-kva.example"));
	assert_true(HAS(l, "x@mail.m\xc3\xbc" "nchen.example"));
	assert_true(HAS(l, "x@mail.xn--mnchen-3ya.example"));
	assert_true(HAS(l, "X@[10.1.2.3]"));
	/* The last @ counts. */
	assert_true(HAS(l, "\"a@b\"@corp.example"));
	assert_false(HAS(l, "\"a@corp.example\"@evil.example"));
	assert_false(HAS(l, "corp.example"));
	assert_false(HAS(l, "@corp.example"));
	assert_false(HAS(l, ""));
	addrlist_free(&l);
	assert_null(l);
	addrlist_free(&l);
}

static void
lists_null_sender(void **state)
{
	static const char *const one[] = { "@", NULL }, *const two[] = { "<>", "@", NULL };
	struct addrlist *l = list(one);

	assert_true(HAS(l, ""));
	assert_false(HAS(l, "a@b.example"));
	addrlist_free(&l);
	l = list(two);
	assert_int_equal(addrlist_count(l), 1);
	assert_true(HAS(l, ""));
	addrlist_free(&l);
}

static void
lists_long_addresses(void **state)
{
	static const char *const patterns[] = { "corp.example", NULL };
	struct addrlist *l = list(patterns);
	char addr[3000];

	memset(addr, 'a', sizeof(addr));
	memcpy(addr + sizeof(addr) - 14, "@corp.example", 14);
	assert_true(addrlist_has(l, span_str(addr)));
	memcpy(addr + sizeof(addr) - 14, "@corp.exampla", 14);
	assert_false(addrlist_has(l, span_str(addr)));
	addrlist_free(&l);
}

static void
lists_refuse(void **state)
{
	static const struct {
		const char *pattern, *text;
	} t[] = {
		{ "", "an empty pattern (the null sender is `<>`)" },
		{ "*@b.example", "`*@b.example`: a whole domain is written without `@`, as in "
		    "`b.example`" },
		{ "@b.example", "`@b.example`: a whole domain is written without `@`, as in "
		    "`b.example`" },
		{ "*.b.example", "`*.b.example`: subdomains are written `.b.example`" },
		{ "..b", "`..b` is neither an address nor a domain" },
		{ ".", "`.` is neither an address nor a domain" },
		{ "a b", "`a b` is neither an address nor a domain" },
		{ "a@", "`a@` is not an address" },
		{ "a@b..c", "`a@b..c`: `b..c` is not a domain" },
		{ "a\nb@c", "control characters in an address pattern" },
	};
	struct addrlist *l = addrlist_new();

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(addrlist_add(l, span_str(t[i].pattern), &e), -1);
		assert_string_equal(e.text, t[i].text);
	}
	assert_int_equal(addrlist_count(l), 0);
	addrlist_free(&l);
}

static void
lists_large(void **state)
{
	struct addrlist *l = addrlist_new();
	char text[64];

	for (int i = 0; i < 50000; i++) {
		snprintf(text, sizeof(text), "user%d@partner%d.example", i, i % 100);
		assert_int_equal(addrlist_add(l, span_str(text), &e), 0);
		assert_int_equal(addrlist_add(l, span_str(text), &e), 0);
	}
	assert_int_equal(addrlist_count(l), 50000);
	assert_true(HAS(l, "USER49999@partner99.example"));
	assert_false(HAS(l, "user49999@partner98.example"));
	addrlist_free(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ip_texts),
		cmocka_unit_test(ip_facts),
		cmocka_unit_test(ip_sockaddr),
		cmocka_unit_test(cidrs),
		cmocka_unit_test(hostports),
		cmocka_unit_test(domains),
		cmocka_unit_test(mailaddrs),
		cmocka_unit_test(lists_match),
		cmocka_unit_test(lists_null_sender),
		cmocka_unit_test(lists_long_addresses),
		cmocka_unit_test(lists_refuse),
		cmocka_unit_test(lists_large),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
