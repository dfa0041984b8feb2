/* test_signs.c -- each sign with a message that bears it and one that is near to it and does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "addr.h"
#include "detect/mail_date.h"
#include "detect/mailbox.h"
#include "detect/signs.h"

#define NOW (INT64_C(1795341600) * 1000000)	/* Sun, 22 Nov 2026 10:00:00 +0100, less an hour */
#define DATE "Date: Sun, 22 Nov 2026 10:00:00 +0100\r\n"
#define ID "Message-ID: <1@other.test>\r\n"
#define TO "To: u@example.org\r\n"
#define FROM "From: Anne <anne@other.test>\r\n"
#define TEXT "\r\nHello.\r\n"

static struct confusables *confusables;
static struct lookalikes *own, *brands;
static struct person people[2];
static struct arena *arena;

struct sample {
	enum sign sign;
	const char *yes, *no;		/* whole messages */
};

static struct facts
outside(void)
{
	return (struct facts){ .now = NOW, .spf = AUTH_NONE, .dmarc = AUTH_NONE };
}

static struct signs
look(const char *message, struct facts f, const char *helo, const char *client)
{
	struct envelope env = { .direction = DIRECTION_INBOUND, .helo = span_str(helo) };
	struct sign_guards g = { own, brands, people, 2 };
	struct anatomy an;
	struct signs s;

	assert_true(ip_parse(span_str(client), &env.client));
	anatomy_build(arena, arena_span(arena, span_str(message)), NULL, &an);
	signs_find(&an, &env, &f, &g, arena, &s);
	return s;
}

static bool
has(struct signs s, enum sign which)
{
	return s.mask >> which & 1;
}

static const struct sample samples[] = {
	{ SIGN_FROM_SEVERAL, DATE ID TO "From: a@x.test, B <b@y.test>\r\n" TEXT,
	    DATE ID TO "From: \"Durand, Marie\" <a@x.test>\r\n" TEXT },
	{ SIGN_FROM_SEVERAL, DATE ID TO "From: Durand, Marie <a@x.test>,\r\n \"b\" <b@x.test>\r\n" TEXT,
	    DATE ID TO "From: Durand, Marie <a@x.test>\r\n" TEXT },
	{ SIGN_FROM_UNREADABLE, DATE ID TO "From: Marie Durand\r\n" TEXT, DATE ID TO FROM TEXT },
	{ SIGN_OWN_UNPROVED, DATE ID TO "From: m@example.org\r\n" TEXT, DATE ID TO FROM TEXT },
	{ SIGN_OWN_UNPROVED, DATE ID TO "From: m@sub.example.org\r\n" TEXT,
	    DATE ID TO "From: m@example.org.test\r\n" TEXT },
	/* one letter, a digit, an exchange that is overlooked, Cyrillic; our own, a subdomain, another word */
	{ SIGN_FROM_LOOKALIKE, DATE ID TO "From: m@exarnple.org\r\n" TEXT, DATE ID TO "From: m@example.org\r\n" TEXT },
	{ SIGN_FROM_LOOKALIKE, DATE ID TO "From: m@examp1e.org\r\n" TEXT, DATE ID TO "From: m@sample.org\r\n" TEXT },
	{ SIGN_FROM_LOOKALIKE, DATE ID TO "From: m@exmple.org\r\n" TEXT, DATE ID TO "From: m@mail.example.org\r\n" TEXT },
	{ SIGN_FROM_LOOKALIKE, DATE ID TO "From: m@example-login.test\r\n" TEXT, DATE ID TO "From: m@exam.test\r\n" TEXT },
	{ SIGN_FROM_LOOKALIKE, DATE ID TO "From: m@xn--xample-2of.org\r\n" TEXT,	/* Cyrillic ie */
	    DATE ID TO "From: m@xn--mnchen-3ya.test\r\n" TEXT },
	{ SIGN_FROM_OUR_NAME, DATE ID TO "From: m@example.com\r\n" TEXT, DATE ID TO "From: m@example.org\r\n" TEXT },
	{ SIGN_FROM_BRAND, DATE ID TO "From: m@paypa1.com\r\n" TEXT, DATE ID TO "From: m@mail.paypal.com\r\n" TEXT },
	/* one of the guarded is like none of the others */
	{ SIGN_FROM_BRAND, DATE ID TO "From: m@paypal-service.com\r\n" TEXT, DATE ID TO "From: m@paydirect.test\r\n" TEXT },
	{ SIGN_NAME_OURS, DATE ID TO "From: \"m.durand@example.org\" <x@evil.test>\r\n" TEXT,
	    DATE ID TO "From: \"m.durand@example.org\" <x@example.org>\r\n" TEXT },
	{ SIGN_NAME_OURS, DATE ID TO "From: Support EXAMPLE.ORG <x@evil.test>\r\n" TEXT,
	    DATE ID TO "From: Notexample.org <x@evil.test>\r\n" TEXT },
	{ SIGN_NAME_PERSON, DATE ID TO "From: Marie Durand <m.durand77@gmail.test>\r\n" TEXT,
	    DATE ID TO "From: Marie Durand <m.durand@example.org>\r\n" TEXT },
	{ SIGN_NAME_PERSON, DATE ID TO "From: \"DURAND, Marie\" <boss@gmail.test>\r\n" TEXT,
	    DATE ID TO "From: Marie Dupond <boss@gmail.test>\r\n" TEXT },
	{ SIGN_NAME_PERSON, DATE ID TO "From: =?utf-8?q?Ren=C3=A9_Petit?= <boss@gmail.test>\r\n" TEXT,
	    DATE ID TO "From: Rene Petit <rene@private.test>\r\n" TEXT },
	{ SIGN_NAME_BRAND, DATE ID TO "From: PayPal <x@evil.test>\r\n" TEXT,
	    DATE ID TO "From: PayPal <x@paypal.fr>\r\n" TEXT },
	{ SIGN_NAME_BRAND, DATE ID TO "From: =?utf-8?q?Cr=C3=A9dit_Agricole_Alerte?= <x@evil.test>\r\n" TEXT,
	    DATE ID TO "From: Pay the Pal <x@evil.test>\r\n" TEXT },
	{ SIGN_REPLY_LOOKALIKE, DATE ID TO FROM "Reply-To: anne@0ther.test\r\n" TEXT,
	    DATE ID TO FROM "Reply-To: anne@mail.other.test\r\n" TEXT },
	{ SIGN_REPLY_LOOKALIKE, DATE ID TO "From: a@partners.test\r\nReply-To: Anne <a@partnerss.test>\r\n" TEXT,
	    DATE ID TO "From: a@partners.test\r\nReply-To: a@colleagues.test\r\n" TEXT },
	{ SIGN_DATE_UNREADABLE, "Date: yesterday\r\n" ID TO FROM TEXT, "Date: 22 Nov 26 10:00 EST\r\n" ID TO FROM TEXT },
	{ SIGN_DATE_UNREADABLE, "Date: Tue, 31 Feb 2026 10:00:00 +0100\r\n" ID TO FROM TEXT, DATE ID TO FROM TEXT },
	{ SIGN_DATE_OLD, "Date: Sat, 7 Nov 2026 10:00:00 +0000\r\n" ID TO FROM TEXT,
	    "Date: Tue, 17 Nov 2026 10:00:00 +0000\r\n" ID TO FROM TEXT },
	{ SIGN_DATE_AHEAD, "Date: Tue, 24 Nov 2026 10:00:00 +0100\r\n" ID TO FROM TEXT,
	    "Date: Sun, 22 Nov 2026 23:00:00 +0100\r\n" ID TO FROM TEXT },
	{ SIGN_ID_MALFORMED, DATE "Message-ID: 12345@x.test\r\n" TO FROM TEXT, DATE ID TO FROM TEXT },
	{ SIGN_ID_MALFORMED, DATE "Message-ID: <12345>\r\n" TO FROM TEXT,
	    DATE "Message-ID: <a$b@[192.0.2.1]>\r\n" TO FROM TEXT },
	{ SIGN_ID_OURS, DATE "Message-ID: <1@mail.example.org>\r\n" TO FROM TEXT,
	    DATE "Message-ID: <1@mail.example.org>\r\n" TO "From: m@example.org\r\n" TEXT },
	{ SIGN_RECEIVED_BACKWARDS,
	    "Received: from a by b; Sun, 22 Nov 2026 10:00:00 +0100\r\nReceived: from c by a; Tue, 24 Nov 2026 10:00:00 +0100\r\n"
	    DATE ID TO FROM TEXT,
	    "Received: from a by b; Sun, 22 Nov 2026 10:00:00 +0100\r\nReceived: from c by a; Sun, 22 Nov 2026 16:00:00 +0100 (CET)\r\n"
	    "Received: by c with local (Exim)\r\n" DATE ID TO FROM TEXT },
	{ SIGN_NO_RECIPIENT, DATE ID FROM TEXT, DATE ID FROM "Cc: u@example.org\r\n" TEXT },
	{ SIGN_UNDISCLOSED, DATE ID FROM "To: undisclosed-recipients:;\r\n" TEXT, DATE ID FROM TO TEXT },
	{ SIGN_MIXED_SCRIPTS, DATE ID TO FROM "Subject: =?utf-8?b?UNGD0YFhY291bnQ=?=\r\n" TEXT,
	    DATE ID TO FROM "Subject: =?utf-8?b?0J/RgNC40LLQtdGCIFBheVBhbCA1IM68bQ==?=\r\n" TEXT },
	{ SIGN_CHARSET_IDLE,
	    DATE ID TO FROM "Content-Type: text/plain; charset=koi8-r\r\n\r\nThis is nothing but English, of many letters, in KOI8.\r\n",
	    DATE ID TO FROM "Content-Type: text/plain; charset=koi8-r\r\n\r\nThis is English and Russian, of many letters: \xd0\xd2\xc9\xd7\xc5\xd4\r\n" },
	{ SIGN_HTML_ONLY, DATE ID TO FROM "Content-Type: text/html\r\n\r\n<p>Hello, you</p>\r\n",
	    DATE ID TO FROM "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\nHello, you\r\n--b\r\n"
	    "Content-Type: text/html\r\n\r\n<p>Hello, you</p>\r\n--b--\r\n" },
};

static void
test_samples(void **state)
{
	uint64_t seen = 0;

	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		const struct sample *x = &samples[i];

		if (!has(look(x->yes, outside(), "mail.other.test", "192.0.2.7"), x->sign))
			fail_msg("%zu: no %s in %s", i, sign_name(x->sign), x->yes);
		if (has(look(x->no, outside(), "mail.other.test", "192.0.2.7"), x->sign))
			fail_msg("%zu: %s in %s", i, sign_name(x->sign), x->no);
		seen |= UINT64_C(1) << x->sign;
	}
	/* an honest message bears none at all */
	assert_true(look(DATE ID TO FROM TEXT, outside(), "mail.other.test", "192.0.2.7").mask == 0);
	/* those of the session have tests of their own, below */
	for (int s = 0; s < SIGN_COUNT; s++)
		if (!(seen >> s & 1) && (s < SIGN_HELO_OURS || s > SIGN_REVERSE_POOL) && s != SIGN_PICTURE_ONLY)
			fail_msg("%s has no sample", sign_name((enum sign)s));
}

static void
test_picture(void **state)
{
	struct facts f = outside();
	char *message = malloc(40000);
	size_t n;

	assert_non_null(message);
	for (int i = 0; i < 2; i++) {		/* a large picture, a small one */
		n = (size_t)sprintf(message, DATE ID TO FROM "MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=b\r\n\r\n"
		    "--b\r\nContent-Type: text/html\r\n\r\n<a href='http://x.test'><img src='cid:1'></a> Look\r\n"
		    "--b\r\nContent-Type: image/png\r\nContent-ID: <1>\r\n\r\n\x89PNG\r\n\x1a\n");
		memset(message + n, 'x', 20000);
		strcpy(message + n + (i == 0 ? 20000 : 500), "\r\n--b--\r\n");
		assert_int_equal(has(look(message, f, "a.test", "192.0.2.7"), SIGN_PICTURE_ONLY), i == 0);
	}
	free(message);
}

static void
test_session(void **state)
{
	static const struct { const char *helo; int sign; } helos[] = {
		{ "example.org", SIGN_HELO_OURS }, { "Mail.Example.Org", SIGN_HELO_OURS }, { "[192.0.2.7]", SIGN_HELO_ADDRESS },
		{ "192.0.2.7", SIGN_HELO_ADDRESS }, { "localhost", SIGN_HELO_PLAIN }, { "mail.other.test", -1 },
		{ "example.org.test", -1 },
	};
	struct facts f = outside(), nothing = { .now = NOW };
	struct signs s;

	for (size_t i = 0; i < sizeof(helos) / sizeof(helos[0]); i++) {
		s = look(DATE ID TO FROM TEXT, f, helos[i].helo, "192.0.2.7");
		if (s.mask != (helos[i].sign < 0 ? 0 : UINT64_C(1) << helos[i].sign))
			fail_msg("%s: %llx", helos[i].helo, (unsigned long long)s.mask);
		/* nobody has looked who it is: one of our own, perhaps */
		assert_true(look(DATE ID TO FROM TEXT, nothing, helos[i].helo, "192.0.2.7").mask == 0);
	}
	assert_false(has(look(DATE ID TO "From: m@example.org\r\n" TEXT, nothing, "a.test", "192.0.2.7"), SIGN_OWN_UNPROVED));
	f.helo = HOST_NONE;
	assert_true(has(look(DATE ID TO FROM TEXT, f, "no.other.test", "192.0.2.7"), SIGN_HELO_UNKNOWN));
	f.helo = HOST_UNPROVED;
	f.reverse = HOST_NONE;
	assert_true(look(DATE ID TO FROM TEXT, f, "a.other.test", "192.0.2.7").mask == UINT64_C(1) << SIGN_NO_REVERSE);
	f.reverse = HOST_UNPROVED;
	f.reverse_name = SPAN_LIT("a.other.test");
	assert_true(look(DATE ID TO FROM TEXT, f, "a.other.test", "192.0.2.7").mask == UINT64_C(1) << SIGN_REVERSE_UNPROVED);
	f.reverse = HOST_PROVED;
	f.reverse_name = SPAN_LIT("dyn-192-0-2-7.isp.test");
	s = look(DATE ID TO FROM TEXT, f, "a.other.test", "192.0.2.7");
	assert_true(s.mask == UINT64_C(1) << SIGN_REVERSE_POOL);
	assert_true(span_is(s.why[SIGN_REVERSE_POOL], "dyn-192-0-2-7.isp.test"));
}

/* Names as providers give them, and as servers have them. */
static void
test_pools(void **state)
{
	static const char *const pools[] = { "host-192-0-2-7.isp.test", "7.2.0.192.dsl.isp.test", "c0000207.cable.isp.test",
		"dynamic-002-007.isp.test", "ip-192-0-2-7.cloud.test", "pool-2-7.isp.test", "lfbn-192-0-2-7.abo.isp.test" };
	static const char *const servers[] = { "mail.example.test", "mx7.example.test", "o192-0-2-7.outbound.test",
		"mail-192-0-2-7.esp.test", "smtp-2-7.provider.test", "static-192-0-2-7.isp.test", "a192.example.test", "pool.ntp.test",
		"customer.example.test", "mta-2-7.esp.test" };
	struct ip ip;

	assert_true(ip_parse(SPAN_LIT("192.0.2.7"), &ip));
	for (size_t i = 0; i < sizeof(pools) / sizeof(pools[0]); i++)
		if (!reverse_is_pool(span_str(pools[i]), ip))
			fail_msg("%s", pools[i]);
	for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++)
		if (reverse_is_pool(span_str(servers[i]), ip))
			fail_msg("%s", servers[i]);
}

/* What proves the author, or a seal we trust, ends one suspicion and not the other. */
static void
test_proved(void **state)
{
	struct facts f = outside();

	f.dmarc = AUTH_PASS;
	f.proved = SPAN_LIT("example.org");
	assert_true(look(DATE ID TO "From: m@example.org\r\n" TEXT, f, "a.test", "192.0.2.7").mask == 0);
	assert_false(has(look(DATE ID TO "From: Marie Durand <other@example.org>\r\n" TEXT, f, "a.test", "192.0.2.7"), SIGN_NAME_PERSON));
	f.proved = SPAN_LIT("exarnple.org");
	assert_true(has(look(DATE ID TO "From: m@exarnple.org\r\n" TEXT, f, "a.test", "192.0.2.7"), SIGN_FROM_LOOKALIKE));
	f.proved = SPAN_LIT("newsletter.test");	/* a shop that resells, proved */
	assert_false(has(look(DATE ID TO "From: PayPal offers <x@newsletter.test>\r\n" TEXT, f, "a.test", "192.0.2.7"), SIGN_NAME_BRAND));
	f = outside();
	f.dmarc = AUTH_POLICY;
	assert_false(has(look(DATE ID TO "From: m@example.org\r\n" TEXT, f, "a.test", "192.0.2.7"), SIGN_OWN_UNPROVED));
}

static void
test_why(void **state)
{
	struct signs s = look(DATE ID TO "From: m@exarnple.org\r\n" TEXT, outside(), "a.test", "192.0.2.7");
	struct span why = s.why[SIGN_FROM_LOOKALIKE];

	assert_true(span_starts(why, SPAN_LIT("exarnple.org for example.org: ")));
	for (int i = 0; i < SIGN_COUNT; i++) {
		enum sign again;

		assert_true(sign_from_name(span_str(sign_name((enum sign)i)), &again) && again == (enum sign)i);
		assert_true(strlen(sign_help((enum sign)i)) > 10);
	}
}

static void
test_dates(void **state)
{
	/* Seconds from date(1): `date -d "…" +%s`. */
	static const struct { const char *text; int64_t at; } good[] = {
		{ "Thu, 1 Jan 1970 00:00:00 +0000", 0 }, { "1 Jan 1970 00:00:01 +0000", 1 },
		{ "Sun, 22 Nov 2026 10:00:00 +0100", 1795338000 }, { "22 Nov 26 10:00 +0100 (CET)", 1795338000 },
		{ "Sun,22 Nov 2026 04:00:00 EST", 1795338000 }, { "(x) Sun, 22 November 2026 09:00:00 GMT", 1795338000 },
		{ "Tue, 29 Feb 2028 23:59:60 -0000", 1835481600 }, { "Fri, 21 Nov 97 09:55:06 -0600", 880127706 },
	};
	static const char *const bad[] = { "", "now", "Sun, 22 Nov", "32 Nov 2026 10:00:00 +0100", "29 Feb 2026 10:00:00 +0100",
		"22 Nov 2026 24:00:00 +0100", "22 Nov 2026 10.00.00", "2026-11-22T10:00:00Z", "22 Foo 2026 10:00:00 +0000" };
	int64_t at;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!mail_date(span_str(good[i].text), &at) || at != good[i].at)
			fail_msg("%s: %lld", good[i].text, (long long)at);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (mail_date(span_str(bad[i]), &at))
			fail_msg("%s: %lld", bad[i], (long long)at);
}

static void
test_mailboxes(void **state)
{
	static const struct { const char *value, *name, *address; } one[] = {
		{ "a@b.test", "", "a@b.test" }, { "Anne <a@b.test>", "Anne", "a@b.test" },
		{ "\"Petit, \\\"Anne\\\"\" <a@b.test>", "Petit, \"Anne\"", "a@b.test" },
		{ "a@b.test (Anne (the first))", "Anne (the first)", "a@b.test" }, { "<@r.test:a@b.test>", "", "a@b.test" },
		{ "Friends: Anne <a@b.test>;", "Anne", "a@b.test" }, { "Anne <a@b.test", "Anne", "a@b.test" },
		{ "Anne", "Anne", "" }, { "undisclosed-recipients:;", "", "" }, { "Anne   Petit\t<a@b.test>", "Anne Petit", "a@b.test" },
	};

	for (size_t i = 0; i < sizeof(one) / sizeof(one[0]); i++) {
		struct mailbox m;
		size_t at = 0;

		assert_true(mailbox_next(arena, span_str(one[i].value), &at, &m));
		if (!span_is(m.name, one[i].name) || !span_is(m.address, one[i].address))
			fail_msg("%s: %.*s, %.*s", one[i].value, (int)m.name.n, m.name.p, (int)m.address.n, m.address.p);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples), cmocka_unit_test(test_picture), cmocka_unit_test(test_session),
		cmocka_unit_test(test_pools), cmocka_unit_test(test_proved), cmocka_unit_test(test_why),
		cmocka_unit_test(test_dates), cmocka_unit_test(test_mailboxes),
	};

	arena = arena_new(0);
	if ((confusables = confusables_open()) == NULL)
		return 1;
	own = lookalikes_new(confusables);
	brands = lookalikes_new(confusables);
	lookalikes_add(own, SPAN_LIT("example.org"));
	lookalikes_add(brands, SPAN_LIT("paypal.com"));
	lookalikes_add(brands, SPAN_LIT("credit-agricole.fr"));
	people[0] = (struct person){ person_name(arena, SPAN_LIT("Marie Durand")), SPAN_LIT("m.durand@example.org") };
	people[1] = (struct person){ person_name(arena, SPAN_LIT("Rene Petit")), SPAN_LIT("rene@private.test") };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
