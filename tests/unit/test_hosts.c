/* test_hosts.c -- the names of a client: none, one that leads back, one that does not, and what the DNS cannot say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "addr.h"
#include "verifier/hosts.h"

#define REVERSE "7.2.0.192.in-addr.arpa"

struct line {			/* what the DNS says; nothing else exists */
	const char *name;
	uint16_t type;
	const char *text;	/* an address or a name; NULL: the servers fail */
};

static struct facts
look(const char *helo, const struct line *zone, size_t n, unsigned *asked)
{
	struct arena *a = arena_new(0);
	struct dns_book *book = dns_book_new(a);
	struct facts f = { 0 };
	struct dns_question q;
	struct hosts *h;
	struct ip ip;

	assert_true(ip_parse(SPAN_LIT("192.0.2.7"), &ip));
	h = hosts_new(a, book, ip, span_str(helo));
	*asked = 0;
	for (int rounds = 0; !hosts_step(h); rounds++) {
		assert_true(rounds < 20);
		while (dns_book_next(book, &q)) {
			static struct dns_answer answer;

			memset(&answer, 0, sizeof(answer));
			answer.status = DNS_NXDOMAIN;
			(*asked)++;
			for (size_t i = 0; i < n; i++) {
				if (strcmp(zone[i].name, q.name) != 0 || zone[i].type != q.type)
					continue;
				answer.status = zone[i].text ? DNS_OK : DNS_SERVFAIL;
				if (zone[i].text == NULL)
					continue;
				if (q.type == DNS_A)
					assert_true(ip_parse(span_str(zone[i].text), &answer.records[answer.n].ip));
				else
					snprintf(answer.records[answer.n].name, DNS_NAME_MAX, "%s", zone[i].text);
				answer.n++;
			}
			dns_book_answer(book, q.id, &answer);
		}
	}
	hosts_facts(h, a, &f);
	f.reverse_name = span_is(f.reverse_name, "mail.other.test") ? SPAN_LIT("mail.other.test") :
	    f.reverse_name.n ? SPAN_LIT("another") : SPAN_LIT("");
	arena_free(&a);
	return f;
}

#define LOOK(helo, zone) look(helo, zone, sizeof(zone) / sizeof((zone)[0]), &asked)

static void
test_states(void **state)
{
	static const struct line good[] = { { REVERSE, DNS_PTR, "mail.other.test" }, { "mail.other.test", DNS_A, "192.0.2.7" } };
	static const struct line second[] = { { REVERSE, DNS_PTR, "www.other.test" }, { REVERSE, DNS_PTR, "mail.other.test" },
		{ "www.other.test", DNS_A, "192.0.2.99" }, { "mail.other.test", DNS_A, "192.0.2.7" } };
	static const struct line false_name[] = { { REVERSE, DNS_PTR, "mail.other.test" }, { "mail.other.test", DNS_A, "192.0.2.8" } };
	static const struct line fails[] = { { REVERSE, DNS_PTR, NULL }, { "mail.other.test", DNS_A, NULL } };
	static const struct line half[] = { { REVERSE, DNS_PTR, "mail.other.test" }, { "mail.other.test", DNS_A, NULL } };
	static const struct line mx[] = { { "other.test", DNS_MX, "mx.other.test" } };
	struct facts f;
	unsigned asked;

	f = LOOK("mail.other.test", good);
	assert_int_equal(f.reverse, HOST_PROVED);
	assert_int_equal(f.helo, HOST_PROVED);
	assert_true(span_is(f.reverse_name, "mail.other.test"));
	assert_true(asked <= 3);		/* the same name is not asked for twice */
	f = LOOK("mail.other.test", second);
	assert_int_equal(f.reverse, HOST_PROVED);
	assert_true(span_is(f.reverse_name, "mail.other.test"));
	f = LOOK("mail.other.test", false_name);
	assert_int_equal(f.reverse, HOST_UNPROVED);
	assert_int_equal(f.helo, HOST_UNPROVED);
	/* nothing exists at all */
	f = look("no.other.test", NULL, 0, &asked);
	assert_int_equal(f.reverse, HOST_NONE);
	assert_int_equal(f.helo, HOST_NONE);
	/* what cannot be said now is no sign */
	f = LOOK("mail.other.test", fails);
	assert_int_equal(f.reverse, HOST_UNKNOWN);
	assert_int_equal(f.helo, HOST_UNKNOWN);
	f = LOOK("mail.other.test", half);
	assert_int_equal(f.reverse, HOST_UNKNOWN);
	assert_int_equal(f.reverse_name.n, 0);
	/* a mail domain that is no host exists */
	f = LOOK("other.test", mx);
	assert_int_equal(f.helo, HOST_UNPROVED);
}

/* Signs by themselves are not asked for. */
static void
test_not_asked(void **state)
{
	static const char *const helos[] = { "", "[192.0.2.7]", "localhost", "192.0.2.7" };
	unsigned asked;

	for (size_t i = 0; i < sizeof(helos) / sizeof(helos[0]); i++) {
		struct facts f = look(helos[i], NULL, 0, &asked);

		assert_int_equal(f.helo, HOST_UNKNOWN);
		assert_int_equal(asked, 1);	/* the reverse name alone */
	}
}

static void
test_abort(void **state)
{
	struct arena *a = arena_new(0);
	struct dns_book *book = dns_book_new(a);
	struct facts f = { 0 };
	struct hosts *h;
	struct ip ip;

	assert_true(ip_parse(SPAN_LIT("192.0.2.7"), &ip));
	h = hosts_new(a, book, ip, SPAN_LIT("mail.other.test"));
	assert_false(hosts_step(h));
	hosts_abort(h);
	assert_true(hosts_step(h));
	hosts_facts(h, a, &f);
	assert_int_equal(f.reverse, HOST_UNKNOWN);
	assert_int_equal(f.helo, HOST_UNKNOWN);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_states), cmocka_unit_test(test_not_asked),
		cmocka_unit_test(test_abort) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
