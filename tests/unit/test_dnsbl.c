/* test_dnsbl.c -- names under a list, what its answers mean, and what is remembered of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "addr.h"
#include "verifier/dnsbl_cache.h"

static struct ip
ip(const char *text)
{
	struct ip v;

	assert_true(ip_parse(span_str(text), &v));
	return v;
}

static struct dnsbl_code
code(const char *text, int weight)
{
	struct dnsbl_code c = { .weight = (int16_t)weight };
	struct err err;

	assert_int_equal(dnsbl_code_parse(span_str(text), &c, &err), 0);
	return c;
}

/* The examples of RFC 5782, 2.1, 2.2 and 2.4. */
static void
test_names(void **state)
{
	struct arena *a = arena_new(0);
	char zone[DNS_NAME_MAX];

	assert_true(span_is(dnsbl_address_name(a, ip("192.0.2.99"), SPAN_LIT("bad.example.com")),
	    "99.2.0.192.bad.example.com"));
	assert_true(span_is(dnsbl_address_name(a, ip("2001:db8:1:2:3:4:567:89ab"), SPAN_LIT("ugly.example.com")),
	    "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.ugly.example.com"));
	assert_true(span_is(dnsbl_domain_name(a, SPAN_LIT("example.net"), SPAN_LIT("doms.example.com")),
	    "example.net.doms.example.com"));
	memset(zone, 'x', sizeof(zone));
	assert_int_equal(dnsbl_address_name(a, ip("2001:db8::1"), span_make(zone, 190)).n, 0);
	assert_int_equal(dnsbl_domain_name(a, SPAN_LIT("example.net"), span_make(zone, 242)).n, 0);
	assert_int_equal(dnsbl_domain_name(a, SPAN_LIT(""), SPAN_LIT("doms.example.com")).n, 0);
	arena_free(&a);
}

static void
test_codes(void **state)
{
	static const char *const wrong[] = { "", "127", "127.0.0", "127.0.0.", "127.0.0.256", "127.0.0.2.3", "127.0.0.9-4",
		"127.0.0.-4", "127.0.0.4-", "127.0.0.1-2-3", "127.0.0.0/24", "128.0.0.2", "*.0.0.2", "126-127.0.0.2",
		"127.0.0.0002", "127.0.0.x", "127..0.2" };
	struct dnsbl_code c = code("127.0.*.4-11", 3);
	struct err err;

	assert_int_equal(c.weight, 3);
	assert_int_equal(c.from[2], 0);
	assert_int_equal(c.to[2], 255);
	assert_int_equal(c.from[3], 4);
	assert_int_equal(c.to[3], 11);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		if (dnsbl_code_parse(span_str(wrong[i]), &c, &err) == 0)
			fail_msg("`%s` was taken", wrong[i]);
}

static struct dns_reply
answers(struct dns_item *items, const char *one, const char *two)
{
	struct dns_reply r = { .status = DNS_OK, .ttl = 900, .items = items };

	items[r.n++].ip = ip(one);
	if (two)
		items[r.n++].ip = ip(two);
	return r;
}

static void
test_answers(void **state)
{
	static const char *const none[] = { "127.255.255.252", "127.255.255.254", "127.255.255.255", "127.255.255.0",
		"127.0.0.1", "192.0.2.1", "10.0.0.2" };
	struct dnsbl_code codes[2] = { code("127.0.0.2-3", 2), code("127.0.0.4-7", 5) };
	struct dnsbl_list plain = { .weight = 4 }, coded = { .codes = codes, .ncodes = 2 },
	    good = { .allow = true, .weight = 3 };
	struct dns_item items[2];
	struct dnsbl_verdict v;
	struct dns_reply r = { .status = DNS_NXDOMAIN };

	assert_int_equal(dnsbl_read(&plain, &r).state, DNSBL_CLEAR);
	r.status = DNS_NODATA;
	assert_int_equal(dnsbl_read(&plain, &r).state, DNSBL_CLEAR);
	for (int s = DNS_SERVFAIL; s <= DNS_BOGUS; s++) {
		r.status = (enum dns_status)s;
		v = dnsbl_read(&plain, &r);
		assert_int_equal(v.state, DNSBL_UNKNOWN);
		assert_true(v.why[0] != '\0');
	}
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
		r = answers(items, none[i], NULL);
		v = dnsbl_read(&plain, &r);
		assert_int_equal(v.state, DNSBL_UNKNOWN);
		assert_int_equal(v.weight, 0);
		assert_true(v.why[0] != '\0');
		/* nor beside a listing */
		r = answers(items, "127.0.0.2", none[i]);
		assert_int_equal(dnsbl_read(&plain, &r).state, DNSBL_UNKNOWN);
	}
	r = answers(items, "127.0.0.9", NULL);
	v = dnsbl_read(&plain, &r);
	assert_int_equal(v.state, DNSBL_LISTED);
	assert_int_equal(v.weight, 4);
	assert_int_equal(dnsbl_read(&coded, &r).state, DNSBL_CLEAR);	/* an answer that is not among the codes */
	r = answers(items, "127.0.0.2", "127.0.0.4");
	v = dnsbl_read(&coded, &r);
	assert_int_equal(v.weight, 5);		/* the greatest, not the sum: they say the same twice */
	assert_int_equal(v.code.b[3], 4);
	r = answers(items, "127.0.0.255", NULL);	/* dnswl.org: over its limit */
	assert_int_equal(dnsbl_read(&good, &r).state, DNSBL_UNKNOWN);
	assert_int_equal(dnsbl_read(&plain, &r).state, DNSBL_LISTED);
}

static struct dnsbl_code bad_codes[1];
static const struct dnsbl_list lists[] = {
	{ .name = SPAN_LIT("a"), .zone = SPAN_LIT("a.example"), .weight = 3 },
	{ .name = SPAN_LIT("b"), .zone = SPAN_LIT("b.example"), .codes = bad_codes, .ncodes = 1 },
	{ .name = SPAN_LIT("w"), .zone = SPAN_LIT("w.example"), .allow = true, .weight = 2 },
	{ .name = SPAN_LIT("dead"), .zone = SPAN_LIT("dead.example"), .weight = 9 },
};

static void
answer(struct dns_book *b, const struct dns_question *q)
{
	static struct dns_answer a;

	a = (struct dns_answer){ .status = DNS_NXDOMAIN };
	assert_int_equal(q->type, DNS_A);
	if (strcmp(q->name, "1.2.0.192.dead.example") == 0)
		a.status = DNS_TIMEOUT;
	else if (strcmp(q->name, "1.2.0.192.b.example") != 0) {
		a.status = DNS_OK;
		a.n = 1;
		a.ttl = 120;
		a.records[0].ip = ip("127.0.0.2");
	}
	dns_book_answer(b, q->id, &a);
}

static void
test_all_lists(void **state)
{
	struct arena *a = arena_new(0);
	struct dns_book *book = dns_book_new(a);
	struct dnsbl *d = dnsbl_new(a, book, lists, 4, ip("192.0.2.1"));
	const struct dnsbl_result *r;
	struct dns_question q[4];

	bad_codes[0] = code("127.0.0.2", 7);
	assert_false(dnsbl_step(d));
	for (int i = 0; i < 4; i++)
		assert_true(dns_book_next(book, &q[i]));	/* all at once */
	for (int i = 3; i >= 0; i--) {
		assert_false(dnsbl_step(d));
		answer(book, &q[i]);
	}
	assert_true(dnsbl_step(d));
	r = dnsbl_result(d);
	assert_int_equal(r->blocked, 1);
	assert_int_equal(r->allowed, 4);
	assert_int_equal(r->unknown, 8);
	assert_int_equal(r->score, 3 - 2);
	assert_int_equal(r->ttl, 120);
	arena_free(&a);
}

static void
test_time_is_up(void **state)
{
	struct arena *a = arena_new(0);
	struct dns_book *book = dns_book_new(a);
	struct dnsbl *d = dnsbl_new(a, book, lists, 4, ip("192.0.2.1"));
	struct dns_question q;

	assert_false(dnsbl_step(d));
	assert_true(dns_book_next(book, &q));
	answer(book, &q);
	dnsbl_abort(d);
	assert_true(dnsbl_step(d));
	assert_int_equal(dnsbl_result(d)->blocked, 1);
	assert_int_equal(dnsbl_result(d)->unknown, 2 + 4 + 8);
	assert_int_equal(dnsbl_result(d)->score, 3);
	arena_free(&a);
}

static void
test_cache(void **state)
{
	struct dnsbl_result r = { .blocked = 1, .score = 3, .ttl = 120 };
	struct dnsbl_cache *c = dnsbl_cache_new(1000, 42);
	struct dnsbl_known k;
	unsigned found = 0;

	assert_false(dnsbl_cache_get(c, ip("192.0.2.1"), 0, &k));
	dnsbl_cache_put(c, ip("192.0.2.1"), 0, &r);
	assert_true(dnsbl_cache_get(c, ip("192.0.2.1"), INT64_C(119) * 1000000, &k));
	assert_int_equal(k.blocked, 1);
	assert_int_equal(k.score, 3);
	assert_false(dnsbl_cache_get(c, ip("192.0.2.1"), INT64_C(120) * 1000000, &k));
	assert_false(dnsbl_cache_get(c, ip("192.0.2.2"), 0, &k));
	assert_false(dnsbl_cache_get(c, ip("2001:db8::1"), 0, &k));
	r.unknown = 2;		/* a list that could not be asked is asked again soon */
	dnsbl_cache_put(c, ip("192.0.2.1"), 0, &r);
	assert_true(dnsbl_cache_get(c, ip("192.0.2.1"), INT64_C(59) * 1000000, &k));
	assert_false(dnsbl_cache_get(c, ip("192.0.2.1"), INT64_C(60) * 1000000, &k));
	/* A hundred thousand others: bounded, the newest are there. */
	for (unsigned i = 0; i < 100000; i++) {
		struct ip v = { .family = 4, .b = { 10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i } };

		dnsbl_cache_put(c, v, 0, &r);
		assert_true(dnsbl_cache_get(c, v, 1, &k));
	}
	for (unsigned i = 0; i < 100000; i++) {
		struct ip v = { .family = 4, .b = { 10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i } };

		found += dnsbl_cache_get(c, v, 1, &k);
	}
	assert_true(found <= 1024 && found > 900);
	dnsbl_cache_clear(c);
	assert_false(dnsbl_cache_get(c, ip("192.0.2.1"), 0, &k));
	dnsbl_cache_free(&c);
	dnsbl_cache_free(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_codes),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_all_lists),
		cmocka_unit_test(test_time_is_up),
		cmocka_unit_test(test_cache),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
