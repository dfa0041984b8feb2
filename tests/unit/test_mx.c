/* test_mx.c -- from DNS answers to targets: order, loops, null MX, and DNS packets off the wire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "delivery/dane.h"
#include "delivery/health.h"
#include "delivery/mx.h"

/* Randomness under control: the numbers of a list, then zeros. */
struct dice {
	const uint32_t *v;
	size_t n, at;
};

static uint32_t
throw(void *ctx)
{
	struct dice *d = ctx;

	return d->at < d->n ? d->v[d->at++] : 0;
}

static struct dice no_dice;
static struct plan_world world = { .name = { "gw.our.lab", 10 }, .random = throw,
	.random_ctx = &no_dice };

static struct ip
ip(const char *text)
{
	struct ip v;

	assert_true(ip_parse(span_str(text), &v));
	return v;
}

static void
add_mx(struct dns_answer *a, uint16_t pref, const char *name)
{
	struct dns_record *r = &a->records[a->n++];

	a->status = DNS_OK;
	a->ttl = 300;
	*r = (struct dns_record){ .pref = pref };
	snprintf(r->name, sizeof(r->name), "%s", name);
}

static struct dns_answer
addresses(const char *one, const char *two)
{
	struct dns_answer a = { .status = DNS_OK, .ttl = 60 };

	a.records[a.n++].ip = ip(one);
	if (two)
		a.records[a.n++].ip = ip(two);
	return a;
}

/* "host[address] host[address]", in order */
static void
assert_targets(const struct plan *p, const char *want)
{
	char got[2048] = "", text[IP_TEXT_MAX];
	size_t n = 0;

	for (size_t i = 0; i < p->ntargets; i++)
		n += (size_t)snprintf(got + n, sizeof(got) - n, "%s%s[%s]:%u", i ? " " : "",
		    p->hosts[p->targets[i].host].name, ip_format(p->targets[i].ip, text),
		    p->targets[i].port);
	assert_string_equal(got, want);
}

static void
assert_nowhere(const struct plan *p, enum rcpt_status status, const char *dsn)
{
	assert_int_equal(p->ntargets, 0);
	assert_int_equal(p->status, status);
	assert_string_equal(p->dsn, dsn);
	assert_true(strlen(p->text) > 10);
}

static struct plan p;		/* too large for the stack's taste */

static void
all_hosts_at(const char *prefix)
{
	for (size_t i = 0; i < p.nhosts; i++) {
		struct dns_answer a, none = { .status = DNS_NODATA, .ttl = 60 };
		char text[64];

		snprintf(text, sizeof(text), "%s%zu", prefix, i + 1);
		a = addresses(text, NULL);
		plan_address(&p, i, 4, &a);
		plan_address(&p, i, 6, &none);
	}
}

static void
test_preference(void **state)
{
	struct dns_answer a = { 0 };

	add_mx(&a, 30, "c.lab");
	add_mx(&a, 10, "a.lab");
	add_mx(&a, 20, "b.lab");
	plan_init(&p, SPAN_LIT("site.lab"));
	assert_true(plan_mx(&p, &a, 25, &world));
	assert_int_equal(p.kind, PLAN_MX);
	all_hosts_at("192.0.2.");
	assert_true(plan_finish(&p, &world));
	assert_targets(&p, "a.lab[192.0.2.1]:25 b.lab[192.0.2.2]:25 c.lab[192.0.2.3]:25");
	assert_int_equal(p.ttl, 60);
}

/* Each order of three equals comes up, and never mixes with another preference. */
static void
test_equal_preferences(void **state)
{
	char seen[6][4] = { "" };
	size_t nseen = 0;

	for (uint32_t x = 0; x < 3; x++)
		for (uint32_t y = 0; y < 2; y++) {
			uint32_t v[] = { 0, x, y };	/* the first is thrown for the fourth record */
			struct dice d = { v, 3, 0 };
			struct plan_world w = world;
			struct dns_answer a = { 0 };
			char order[4] = "";
			size_t k;

			w.random_ctx = &d;
			add_mx(&a, 5, "a");
			add_mx(&a, 5, "b");
			add_mx(&a, 5, "c");
			add_mx(&a, 50, "z");
			v[0] = 3;		/* leaves it where it is */
			plan_init(&p, SPAN_LIT("site.lab"));
			assert_true(plan_mx(&p, &a, 25, &w));
			assert_int_equal(p.nhosts, 4);
			assert_string_equal(p.hosts[3].name, "z");
			for (size_t i = 0; i < 3; i++)
				order[i] = p.hosts[i].name[0];
			for (k = 0; k < nseen; k++)
				assert_string_not_equal(seen[k], order);
			memcpy(seen[nseen++], order, 4);
		}
	assert_int_equal(nseen, 6);
}

static void
test_families_alternate(void **state)
{
	struct dns_answer mx = { 0 }, a4 = addresses("192.0.2.1", "192.0.2.2"),
		a6 = addresses("2001:db8::1", "2001:db8::2");
	struct plan_world w = world;

	add_mx(&mx, 10, "a.lab");
	for (int round = 0; round < 3; round++) {
		w.no6 = round == 1;
		w.no4 = round == 2;
		plan_init(&p, SPAN_LIT("site.lab"));
		assert_true(plan_mx(&p, &mx, 26, &w));
		plan_address(&p, 0, 4, &a4);
		plan_address(&p, 0, 6, &a6);
		assert_true(plan_finish(&p, &w));
		assert_targets(&p, round == 0 ? "a.lab[2001:db8::1]:26 a.lab[192.0.2.1]:26 "
		    "a.lab[2001:db8::2]:26 a.lab[192.0.2.2]:26" :
		    round == 1 ? "a.lab[192.0.2.1]:26 a.lab[192.0.2.2]:26" :
		    "a.lab[2001:db8::1]:26 a.lab[2001:db8::2]:26");
	}
	/* only addresses of a family there is no source for: not the recipient's fault */
	plan_init(&p, SPAN_LIT("site.lab"));
	assert_true(plan_mx(&p, &mx, 26, &w));
	plan_address(&p, 0, 4, &a4);
	assert_false(plan_finish(&p, &w));
	assert_nowhere(&p, RCPT_DEFERRED, "4.4.1");
}

static void
test_null_mx(void **state)
{
	struct dns_answer a = { 0 };

	add_mx(&a, 0, "");
	plan_init(&p, SPAN_LIT("site.lab"));
	assert_false(plan_mx(&p, &a, 25, &world));
	assert_nowhere(&p, RCPT_FAILED, "5.1.10");
	/* beside real ones it means nothing */
	add_mx(&a, 10, "a.lab");
	plan_init(&p, SPAN_LIT("site.lab"));
	assert_true(plan_mx(&p, &a, 25, &world));
	assert_int_equal(p.nhosts, 1);
	assert_string_equal(p.hosts[0].name, "a.lab");
}

static void
test_implicit(void **state)
{
	struct dns_answer none = { .status = DNS_NODATA }, nx = { .status = DNS_NXDOMAIN },
		a = addresses("192.0.2.9", NULL), fail = { .status = DNS_SERVFAIL };

	plan_init(&p, SPAN_LIT("site.lab"));
	assert_true(plan_mx(&p, &none, 25, &world));
	assert_int_equal(p.kind, PLAN_IMPLICIT);
	plan_address(&p, 0, 4, &a);
	plan_address(&p, 0, 6, &none);
	assert_true(plan_finish(&p, &world));
	assert_targets(&p, "site.lab[192.0.2.9]:25");

	plan_init(&p, SPAN_LIT("site.lab"));
	assert_true(plan_mx(&p, &none, 25, &world));
	plan_address(&p, 0, 4, &none);
	plan_address(&p, 0, 6, &none);
	assert_false(plan_finish(&p, &world));
	assert_nowhere(&p, RCPT_FAILED, "5.4.4");

	plan_init(&p, SPAN_LIT("site.lab"));
	assert_true(plan_mx(&p, &none, 25, &world));
	plan_address(&p, 0, 4, &nx);
	plan_address(&p, 0, 6, &nx);
	assert_false(plan_finish(&p, &world));
	assert_nowhere(&p, RCPT_FAILED, "5.1.2");

	/* one of two questions failed: it may have an address yet */
	plan_init(&p, SPAN_LIT("site.lab"));
	assert_true(plan_mx(&p, &none, 25, &world));
	plan_address(&p, 0, 4, &fail);
	plan_address(&p, 0, 6, &none);
	assert_false(plan_finish(&p, &world));
	assert_nowhere(&p, RCPT_DEFERRED, "4.4.3");
}

static void
test_mx_question_failed(void **state)
{
	static const struct { enum dns_status s; enum rcpt_status status; const char *dsn; } rows[] = {
		{ DNS_NXDOMAIN, RCPT_FAILED, "5.1.2" }, { DNS_SERVFAIL, RCPT_DEFERRED, "4.4.3" },
		{ DNS_TIMEOUT, RCPT_DEFERRED, "4.4.3" }, { DNS_BOGUS, RCPT_DEFERRED, "4.4.3" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct dns_answer a = { .status = rows[i].s };

		/* a forged answer carries records: none may be taken */
		add_mx(&a, 1, "evil.lab");
		a.status = rows[i].s;
		plan_init(&p, SPAN_LIT("site.lab"));
		assert_false(plan_mx(&p, &a, 25, &world));
		assert_nowhere(&p, rows[i].status, rows[i].dsn);
		assert_int_equal(p.nhosts, 0);
	}
}

static void
test_mx_without_address(void **state)
{
	struct dns_answer mx = { 0 }, nx = { .status = DNS_NXDOMAIN }, bogus = addresses("192.0.2.1", NULL),
		a = addresses("192.0.2.2", NULL);

	add_mx(&mx, 10, "a.lab");
	add_mx(&mx, 20, "b.lab");
	plan_init(&p, SPAN_LIT("site.lab"));
	assert_true(plan_mx(&p, &mx, 25, &world));
	for (size_t i = 0; i < 2; i++) {
		plan_address(&p, i, 4, &nx);
		plan_address(&p, i, 6, &nx);
	}
	assert_false(plan_finish(&p, &world));
	assert_nowhere(&p, RCPT_FAILED, "5.4.4");

	bogus.status = DNS_BOGUS;
	plan_init(&p, SPAN_LIT("site.lab"));
	assert_true(plan_mx(&p, &mx, 25, &world));
	for (size_t i = 0; i < 2; i++) {
		plan_address(&p, i, 4, i ? &bogus : &nx);
		plan_address(&p, i, 6, &nx);
	}
	assert_false(plan_finish(&p, &world));
	assert_nowhere(&p, RCPT_DEFERRED, "4.4.3");

	/* the second is enough */
	plan_init(&p, SPAN_LIT("site.lab"));
	assert_true(plan_mx(&p, &mx, 25, &world));
	for (size_t i = 0; i < 2; i++) {
		plan_address(&p, i, 4, i ? &a : &nx);
		plan_address(&p, i, 6, &nx);
	}
	assert_true(plan_finish(&p, &world));
	assert_targets(&p, "b.lab[192.0.2.2]:25");
}

static void
test_loop_by_name(void **state)
{
	struct dns_answer a = { 0 };

	add_mx(&a, 10, "a.lab");
	add_mx(&a, 20, "GW.our.lab");
	add_mx(&a, 20, "b.lab");
	add_mx(&a, 30, "c.lab");
	plan_init(&p, SPAN_LIT("site.lab"));
	assert_true(plan_mx(&p, &a, 25, &world));
	assert_int_equal(p.nhosts, 1);
	assert_string_equal(p.hosts[0].name, "a.lab");
	/* we are the best: there is nowhere to go but in circles */
	a.records[0].pref = 20;
	plan_init(&p, SPAN_LIT("site.lab"));
	assert_false(plan_mx(&p, &a, 25, &world));
	assert_nowhere(&p, RCPT_FAILED, "5.4.6");
}

static void
test_loop_by_address(void **state)
{
	struct own_socket own[] = { { ip("192.0.2.2"), 25 } };
	struct plan_world w = world;
	struct dns_answer a = { 0 };

	w.own = own;
	w.nown = 1;
	add_mx(&a, 10, "a.lab");
	add_mx(&a, 20, "b.lab");
	add_mx(&a, 30, "c.lab");
	plan_init(&p, SPAN_LIT("site.lab"));
	assert_true(plan_mx(&p, &a, 25, &w));
	all_hosts_at("192.0.2.");
	assert_true(plan_finish(&p, &w));
	assert_targets(&p, "a.lab[192.0.2.1]:25");

	own[0].ip = ip("192.0.2.1");
	plan_init(&p, SPAN_LIT("site.lab"));
	assert_true(plan_mx(&p, &a, 25, &w));
	all_hosts_at("192.0.2.");
	assert_false(plan_finish(&p, &w));
	assert_nowhere(&p, RCPT_FAILED, "5.4.6");

	/* another port on this machine is another server */
	plan_init(&p, SPAN_LIT("site.lab"));
	assert_true(plan_mx(&p, &a, 2525, &w));
	all_hosts_at("192.0.2.");
	assert_true(plan_finish(&p, &w));
	assert_int_equal(p.ntargets, 3);
}

static void
test_literals(void **state)
{
	plan_init(&p, SPAN_LIT("[192.0.2.7]"));
	assert_true(plan_literal(&p, 25));
	assert_true(plan_finish(&p, &world));
	assert_targets(&p, "192.0.2.7[192.0.2.7]:25");
	plan_init(&p, SPAN_LIT("[IPv6:2001:db8::7]"));
	assert_true(plan_literal(&p, 25));
	assert_true(plan_finish(&p, &world));
	assert_targets(&p, "2001:db8::7[2001:db8::7]:25");
	plan_init(&p, SPAN_LIT("[what]"));
	assert_false(plan_literal(&p, 25));
	assert_nowhere(&p, RCPT_FAILED, "5.1.2");
}

static void
test_static(void **state)
{
	struct conf_host hosts[] = { { SPAN_LIT("relay.lab"), { 0 }, 2525 },
		{ SPAN_LIT("192.0.2.8"), ip("192.0.2.8"), 26, .rank = 1 } };
	struct dns_answer a = addresses("192.0.2.50", "192.0.2.51"), nx = { .status = DNS_NXDOMAIN };

	plan_init(&p, SPAN_LIT("site.lab"));
	plan_hosts(&p, hosts, 2);
	plan_address(&p, 0, 4, &a);
	plan_address(&p, 0, 6, &nx);
	assert_true(plan_finish(&p, &world));
	assert_targets(&p, "relay.lab[192.0.2.50]:2525 relay.lab[192.0.2.51]:2525 192.0.2.8[192.0.2.8]:26");
	/* an administrator's slip is no reason to bounce the mail */
	plan_init(&p, SPAN_LIT("site.lab"));
	plan_hosts(&p, hosts, 1);
	plan_address(&p, 0, 4, &nx);
	plan_address(&p, 0, 6, &nx);
	assert_false(plan_finish(&p, &world));
	assert_nowhere(&p, RCPT_DEFERRED, "4.4.3");
}

/* All the names we go by end the list of MX hosts, not only the one that EHLO says. */
static void
test_own_names(void **state)
{
	const struct span names[] = { SPAN_LIT("gw1.our.lab"), SPAN_LIT("mx.our.lab") };
	struct plan_world w = world;
	struct dns_answer mx = { 0 }, a = addresses("192.0.2.50", NULL);

	w.names = names;
	w.nnames = 2;
	add_mx(&mx, 10, "first.lab");
	add_mx(&mx, 20, "MX.our.lab");
	add_mx(&mx, 30, "third.lab");
	plan_init(&p, SPAN_LIT("site.lab"));
	assert_true(plan_mx(&p, &mx, 25, &w));
	assert_int_equal(p.nhosts, 1);
	plan_address(&p, 0, 4, &a);
	assert_true(plan_finish(&p, &w));
	assert_targets(&p, "first.lab[192.0.2.50]:25");
}

/* A generator of one's own: the test says the same on every machine. */
static uint32_t
xorshift(void *ctx)
{
	uint32_t *x = ctx;

	*x ^= *x << 13;
	*x ^= *x >> 17;
	*x ^= *x << 5;
	return *x;
}

/* Each order holds every target once. */
static void
assert_whole(const uint16_t *order, size_t n)
{
	uint64_t seen = 0;

	for (size_t i = 0; i < n; i++)
		seen |= UINT64_C(1) << order[i];
	assert_int_equal(seen, (UINT64_C(1) << n) - 1);
}

static void
test_weights(void **state)
{
	/* weights 5, 3, 2, the second with two addresses; then two backups */
	struct conf_host hosts[] = {
		{ SPAN_LIT("a"), ip("192.0.2.1"), 25, .weight = 5 },
		{ SPAN_LIT("b.lab"), { 0 }, 25, .weight = 3 },
		{ SPAN_LIT("c"), ip("192.0.2.4"), 25, .weight = 2 },
		{ SPAN_LIT("d"), ip("192.0.2.5"), 25, .rank = 1 },
		{ SPAN_LIT("e"), ip("192.0.2.6"), 25, .rank = 2 },
	};
	struct dns_answer two = addresses("192.0.2.2", "192.0.2.3"), no = { .status = DNS_NODATA };
	uint32_t seed = 20261122;
	struct plan_world w = world;
	enum { N = 100000 };
	unsigned first[5] = { 0 }, second_after_a[5] = { 0 }, after_a = 0;

	w.random = xorshift;
	w.random_ctx = &seed;
	plan_init(&p, SPAN_LIT("site.lab"));
	plan_hosts(&p, hosts, 5);
	plan_address(&p, 1, 4, &two);
	plan_address(&p, 1, 6, &no);
	assert_true(plan_finish(&p, &w));
	assert_int_equal(p.ntargets, 6);
	for (int i = 0; i < N; i++) {
		uint16_t order[PLAN_TARGETS_MAX], hosts_in_order[6];
		size_t n = 0;

		plan_order(&p, &w, order);
		assert_whole(order, 6);
		for (size_t k = 0; k < 6; k++) {
			uint16_t h = p.targets[order[k]].host;

			if (n == 0 || hosts_in_order[n - 1] != h)
				hosts_in_order[n++] = h;
		}
		assert_int_equal(n, 5);		/* the addresses of one host stay together */
		assert_int_equal(hosts_in_order[3], 3);	/* backups last, in their order */
		assert_int_equal(hosts_in_order[4], 4);
		first[hosts_in_order[0]]++;
		if (hosts_in_order[0] == 0) {
			after_a++;
			second_after_a[hosts_in_order[1]]++;
		}
	}
	/* Binomial: the deviation of the first is sqrt(N p (1 - p)) <= 158; five of them happen
	 * once in 1.7 million draws of another seed, and this seed is fixed. */
	assert_in_range(first[0], N / 2 - 790, N / 2 + 790);
	assert_in_range(first[1], N * 3 / 10 - 725, N * 3 / 10 + 725);
	assert_in_range(first[2], N / 5 - 633, N / 5 + 633);
	/* without the first, the others share as 3 to 2 */
	assert_in_range(second_after_a[1], after_a * 3 / 5 - 550, after_a * 3 / 5 + 550);
	assert_int_equal(second_after_a[1] + second_after_a[2], after_a);
}

/* Without weights the order is the one that was written. */
static void
test_order_as_written(void **state)
{
	struct conf_host hosts[] = { { SPAN_LIT("a"), ip("192.0.2.1"), 25, .rank = 0 },
		{ SPAN_LIT("b"), ip("192.0.2.2"), 25, .rank = 1 },
		{ SPAN_LIT("c"), ip("192.0.2.3"), 25, .rank = 2 } };
	uint16_t order[PLAN_TARGETS_MAX];

	plan_init(&p, SPAN_LIT("site.lab"));
	plan_hosts(&p, hosts, 3);
	assert_true(plan_finish(&p, &world));
	for (int i = 0; i < 50; i++) {
		plan_order(&p, &world, order);
		for (uint16_t k = 0; k < 3; k++)
			assert_int_equal(order[k], k);
	}
}

/* A next hop that is ourselves is left out, and the others stay: its rank says nothing of them. */
static void
test_static_loop(void **state)
{
	struct conf_host hosts[] = { { SPAN_LIT("a"), ip("192.0.2.99"), 25, .rank = 0 },
		{ SPAN_LIT("b"), ip("192.0.2.2"), 25, .rank = 1 } };
	struct own_socket own = { ip("192.0.2.99"), 25 };
	struct plan_world w = world;

	w.own = &own;
	w.nown = 1;
	plan_init(&p, SPAN_LIT("site.lab"));
	plan_hosts(&p, hosts, 2);
	assert_true(plan_finish(&p, &w));
	assert_targets(&p, "b[192.0.2.2]:25");
	plan_init(&p, SPAN_LIT("site.lab"));
	plan_hosts(&p, hosts, 1);
	assert_false(plan_finish(&p, &w));
	assert_nowhere(&p, RCPT_FAILED, "5.4.6");
}

static void
test_health(void **state)
{
	struct health *h = health_new();
	struct ip a = ip("192.0.2.1"), b = ip("192.0.2.2");
	int64_t now = 1000 * INT64_C(1000000), rest = HEALTH_REST_FIRST;

	assert_int_equal(health_until(h, a, 25), 0);
	health_failed(h, a, 25, now);
	assert_int_equal(health_until(h, a, 25), now + rest);
	assert_int_equal(health_until(h, a, 26), 0);
	assert_int_equal(health_until(h, b, 25), 0);
	/* those that were on their way with it */
	health_failed(h, a, 25, now + 1000);
	assert_int_equal(health_failures(h, a, 25), 1);
	for (int i = 0; i < 6; i++) {
		now = health_until(h, a, 25);
		health_trying(h, a, 25, now);
		/* one tries, the others leave it alone meanwhile */
		assert_true(health_until(h, a, 25) > now);
		now += 30 * INT64_C(1000000);
		health_failed(h, a, 25, now);
		rest = rest * 2 < HEALTH_REST_MAX ? rest * 2 : HEALTH_REST_MAX;
		assert_int_equal(health_until(h, a, 25), now + rest);
	}
	assert_int_equal(rest, HEALTH_REST_MAX);
	health_good(h, a, 25);
	assert_int_equal(health_until(h, a, 25), 0);
	health_trying(h, b, 25, now);		/* nothing is known of it: nothing is noted */
	assert_int_equal(health_until(h, b, 25), 0);
	/* bounded: strangers' domains may lead to any number of dead servers */
	for (int i = 0; i < HEALTH_MAX + 100; i++)
		health_failed(h, a, (uint16_t)(i + 1), now);
	assert_int_equal(health_until(h, a, HEALTH_MAX + 50), 0);
	health_failed(h, b, 25, now + 7200 * INT64_C(1000000));
	assert_int_equal(health_failures(h, b, 25), 1);
	health_free(&h);
}

static void
test_bounds(void **state)
{
	struct dns_answer mx = { 0 }, many = { .status = DNS_OK, .ttl = 9 };

	for (int i = 0; i < DNS_RECORDS_MAX; i++) {
		char name[32], text[32];

		snprintf(name, sizeof(name), "mx%d.lab", i);
		add_mx(&mx, (uint16_t)i, name);
		snprintf(text, sizeof(text), "192.0.2.%d", i + 1);
		many.records[many.n++].ip = ip(text);
	}
	plan_init(&p, SPAN_LIT("site.lab"));
	assert_true(plan_mx(&p, &mx, 25, &world));
	assert_int_equal(p.nhosts, PLAN_HOSTS_MAX);
	for (size_t i = 0; i < p.nhosts; i++)
		plan_address(&p, i, 4, &many);
	assert_true(plan_finish(&p, &world));
	assert_int_equal(p.ntargets, PLAN_TARGETS_MAX);
}

/* --- packets --- */

#define HEAD(rcode, an) "\x12\x34\x81" rcode "\0\x01\0" an "\0\0\0\0"
#define QUESTION "\4site\3lab\0\0\x0f\0\1"

static struct dns_answer
read_packet(const char *bytes, size_t n, uint16_t type)
{
	struct dns_answer a;
	/* exactly the size, so that a read behind it shows */
	char *copy = test_malloc(n);

	memcpy(copy, bytes, n);
	dns_read(span_make(copy, n), type, &a);
	test_free(copy);
	return a;
}
#define READ(text, type) read_packet("" text "", sizeof(text) - 1, type)

static void
test_packets(void **state)
{
	struct dns_answer a;
	static const char good[] = HEAD("\x80", "\3") QUESTION
	    "\xc0\x0c\0\x0f\0\1\0\0\1\x2c\0\7\0\x0a\2MX\xc0\x0c"
	    "\xc0\x0c\0\x2e\0\1\0\0\0\x20\0\4abcd"	/* another type: its TTL counts all the same */
	    "\xc0\x0c\0\x0f\0\1\0\0\1\x2c\0\3\0\x14\0";
	char bytes[sizeof(good)];

	a = read_packet(good, sizeof(good) - 1, DNS_MX);
	assert_int_equal(a.status, DNS_OK);
	assert_int_equal(a.n, 2);
	assert_int_equal(a.records[0].pref, 10);
	assert_string_equal(a.records[0].name, "mx.site.lab");
	assert_int_equal(a.records[1].pref, 20);
	assert_string_equal(a.records[1].name, "");
	assert_int_equal(a.ttl, 0x20);
	/* cut anywhere it is no answer, and nothing is read behind the end */
	for (size_t n = 0; n < sizeof(good) - 1; n++) {
		a = read_packet(good, n, DNS_MX);
		assert_int_equal(a.status, DNS_SERVFAIL);
		assert_int_equal(a.n, 0);
	}
	/* any one byte changed: anything but a crash */
	for (size_t i = 0; i < sizeof(good) - 1; i++)
		for (int v = 0; v < 256; v += 5) {
			memcpy(bytes, good, sizeof(good));
			bytes[i] = (char)v;
			a = read_packet(bytes, sizeof(good) - 1, DNS_MX);
			assert_true(a.n <= 3);
		}

	assert_int_equal(READ(HEAD("\x83", "\0") QUESTION, DNS_MX).status, DNS_NXDOMAIN);
	assert_int_equal(READ(HEAD("\x82", "\0") QUESTION, DNS_MX).status, DNS_SERVFAIL);
	assert_int_equal(READ(HEAD("\x80", "\0") QUESTION, DNS_MX).status, DNS_NODATA);
	/* a name that points to itself, and one that points forward */
	assert_int_equal(READ(HEAD("\x80", "\1") QUESTION
	    "\xc0\x1a\0\x0f\0\1\0\0\1\x2c\0\4\0\x0a\xc0\x1a", DNS_MX).status, DNS_SERVFAIL);
	/* no host name: not taken */
	a = READ(HEAD("\x80", "\1") QUESTION "\xc0\x0c\0\x0f\0\1\0\0\1\x2c\0\7\0\x0a\3a b\0", DNS_MX);
	assert_int_equal(a.status, DNS_NODATA);
	a = READ(HEAD("\x80", "\1") QUESTION "\xc0\x0c\0\x0f\0\1\0\0\1\x2c\0\7\0\x0a\3a.b\0", DNS_MX);
	assert_int_equal(a.status, DNS_NODATA);	/* a dot within a label is not two labels */

	a = READ(HEAD("\x80", "\1") QUESTION "\xc0\x0c\0\1\0\1\0\0\1\x2c\0\4\x7f\0\0\2", DNS_A);
	assert_int_equal(a.n, 1);
	assert_true(ip_eq(a.records[0].ip, ip("127.0.0.2")));
	a = READ(HEAD("\x80", "\1") QUESTION "\xc0\x0c\0\1\0\1\0\0\1\x2c\0\5\x7f\0\0\2x", DNS_A);
	assert_int_equal(a.n, 0);
	a = READ(HEAD("\x80", "\1") QUESTION "\xc0\x0c\0\x1c\0\1\0\0\1\x2c\0\x10"
	    "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", DNS_AAAA);
	assert_true(ip_eq(a.records[0].ip, ip("2001:db8::1")));
}

static void
test_texts(void **state)
{
	struct dns_answer a;

	/* the strings of a record are one text; a string longer than its record spoils only that one */
	a = READ(HEAD("\x80", "\3") QUESTION "\xc0\x0c\0\x10\0\1\0\0\1\x2c\0\7\3v=s\2pf"
	    "\xc0\x0c\0\x10\0\1\0\0\1\x2c\0\4\4abc" "\xc0\x0c\0\x10\0\1\0\0\1\x2c\0\2\1z", DNS_TXT);
	assert_int_equal(a.status, DNS_OK);
	assert_int_equal(a.n, 2);
	assert_true(span_is(dns_data(&a, &a.records[0]), "v=spf"));
	assert_true(span_is(dns_data(&a, &a.records[1]), "z"));
	assert_string_equal(a.canonical, "site.lab");
	/* behind a CNAME the records belong to its end */
	a = READ(HEAD("\x80", "\2") QUESTION "\xc0\x0c\0\5\0\1\0\0\1\x2c\0\5\2mx\xc0\x11"
	    "\2mx\xc0\x11\0\x34\0\1\0\0\1\x2c\0\5\3\1\1ab", DNS_TLSA);
	assert_int_equal(a.status, DNS_OK);
	assert_string_equal(a.canonical, "mx.lab");
	assert_memory_equal(dns_data(&a, &a.records[0]).p, "\3\1\1ab", 5);
	a = READ(HEAD("\x80", "\1") QUESTION "\xc0\x0c\0\x0c\0\1\0\0\1\x2c\0\4\2mx\0", DNS_PTR);
	assert_string_equal(a.records[0].name, "mx");
}

/* What TLSA records amount to (RFC 7672, 2.2 and 3.1). */
static void
test_tlsa(void **state)
{
	static const struct { const char *head; size_t rest; enum dane_state want; } cases[] = {
		{ "\3\1\1", 32, DANE_USABLE }, { "\2\0\2", 64, DANE_USABLE }, { "\3\0\0", 700, DANE_USABLE },
		{ "\1\1\1", 32, DANE_UNUSABLE }, { "\0\0\1", 32, DANE_UNUSABLE }, { "\3\2\1", 32, DANE_UNUSABLE },
		{ "\3\1\3", 32, DANE_UNUSABLE }, { "\3\1\1", 31, DANE_UNUSABLE }, { "\3\1\0", 0, DANE_UNUSABLE },
	};
	struct dns_answer a;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		a = (struct dns_answer){ .status = DNS_OK, .secure = true, .n = 1,
			.records = { { .size = (uint16_t)(3 + cases[i].rest) } } };
		memcpy(a.data, cases[i].head, 3);
		assert_int_equal(dane_judge(&a), cases[i].want);
		a.secure = false;	/* unproved: as if it were not there */
		assert_int_equal(dane_judge(&a), DANE_NONE);
	}
	for (enum dns_status s = DNS_NODATA; s <= DNS_BOGUS; s++) {
		a = (struct dns_answer){ .status = s, .secure = true };
		assert_int_equal(dane_judge(&a), s <= DNS_NXDOMAIN ? DANE_NONE : DANE_FAILED);
	}
}

static void
test_names(void **state)
{
	char label[70];

	assert_true(dns_name_ok(SPAN_LIT("a.lab")));
	assert_true(dns_name_ok(SPAN_LIT("xn--caf-dma._x.lab")));
	assert_false(dns_name_ok(SPAN_LIT("")));
	assert_false(dns_name_ok(SPAN_LIT("a..b")));
	assert_false(dns_name_ok(SPAN_LIT(".a")));
	assert_false(dns_name_ok(SPAN_LIT("a.")));
	assert_false(dns_name_ok(SPAN_LIT("a b")));
	assert_false(dns_name_ok(SPAN_LIT("a\0b")));
	memset(label, 'x', sizeof(label));
	assert_true(dns_name_ok(span_make(label, 63)));
	assert_false(dns_name_ok(span_make(label, 64)));
}

/* Which names prove that a server is the domain's. */
static void
test_certificate_names(void **state)
{
	static const struct { const char *domain, *mx; bool secure; const char *first, *second; } t[] = {
		{ "partner.lab", "mx.partner.lab", false, "mx.partner.lab", "partner.lab" },
		{ "partner.lab", "mx.provider.lab", false, "partner.lab", NULL },
		{ "partner.lab", "mx.provider.lab", true, "mx.provider.lab", "partner.lab" },
		{ "partner.lab", "evilpartner.lab", false, "partner.lab", NULL },
		{ "partner.lab", "partner.lab", false, "partner.lab", NULL },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct dns_answer a = { .status = DNS_OK, .secure = t[i].secure, .ttl = 60, .n = 1 };
		struct span names[PLAN_NAMES_MAX];
		struct plan plan;
		size_t n;

		snprintf(a.records[0].name, sizeof(a.records[0].name), "%s", t[i].mx);
		plan_init(&plan, span_str(t[i].domain));
		assert_true(plan_mx(&plan, &a, 25, &world));
		n = plan_names(&plan, 0, names);
		assert_int_equal(n, t[i].second ? 2 : 1);
		assert_true(span_is(names[0], t[i].first));
		if (t[i].second)
			assert_true(span_is(names[1], t[i].second));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_preference),
		cmocka_unit_test(test_equal_preferences),
		cmocka_unit_test(test_families_alternate),
		cmocka_unit_test(test_null_mx),
		cmocka_unit_test(test_implicit),
		cmocka_unit_test(test_mx_question_failed),
		cmocka_unit_test(test_mx_without_address),
		cmocka_unit_test(test_loop_by_name),
		cmocka_unit_test(test_loop_by_address),
		cmocka_unit_test(test_literals),
		cmocka_unit_test(test_static),
		cmocka_unit_test(test_own_names),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_order_as_written),
		cmocka_unit_test(test_static_loop),
		cmocka_unit_test(test_health),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_packets),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_tlsa),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_certificate_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
