/* test_verifier.c -- what verifiers read and write without a socket: lists of tags, canonical forms, results,
 * headers of relays; and their frames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "addr.h"
#include "ipc/frame.h"
#include "receiver/upstream.h"
#include "verifier/answer.h"
#include "verifier/canonical.h"
#include "verifier/results.h"
#include "verifier/spam_headers.h"
#include "verifier/tags.h"

static struct arena *arena;

static int
setup(void **state)
{
	arena = arena_new(0);
	return 0;
}

static int
teardown(void **state)
{
	arena_free(&arena);
	return 0;
}

/* RFC 6376, 3.2 */
static void
test_tags(void **state)
{
	static const char *const bad[] = { "", ";", "a", "a=1;;b=2", "a=1; a=2", "1a=x", "a b=1", "=1", "a=\x01",
		"a=\xc3\xa9", "a=1;b" };
	struct tags t;
	uint64_t n;

	assert_true(tags_parse(SPAN_LIT(" v=1; A = x y ;\r\n\tb_2=;z=a=b;"), &t));
	assert_int_equal(t.n, 4);
	assert_true(span_is(tags_get(&t, "v"), "1") && span_is(tags_get(&t, "A"), "x y") &&
	    span_is(tags_get(&t, "z"), "a=b"));
	assert_true(tags_get(&t, "b_2").p != NULL && tags_get(&t, "b_2").n == 0);
	assert_null(tags_get(&t, "a").p);		/* with case */
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(tags_parse(span_str(bad[i]), &t));
	assert_true(tags_number(SPAN_LIT("999999999999"), &n) && n == 999999999999);
	assert_false(tags_number(SPAN_LIT("1000000000000"), &n) || tags_number(SPAN_LIT(""), &n) ||
	    tags_number(SPAN_LIT("-1"), &n) || tags_number(SPAN_LIT("1 "), &n));
	assert_true(tags_list_has(SPAN_LIT("y : s"), "s"));
	assert_false(tags_list_has(SPAN_LIT("yes:so"), "s") || tags_list_has(SPAN_LIT(""), ""));
}

static void
body_is(const char *body, bool relaxed, const char *canonical)
{
	unsigned char got[32], want[32];
	uint64_t n, k;

	assert_int_equal(canonical_body(span_str(body), relaxed, UINT64_MAX, got, &n), 0);
	assert_int_equal(n, strlen(canonical));
	/* the canonical form hashed as it is: simple changes nothing of what ends in one CRLF */
	if (*canonical) {
		assert_int_equal(canonical_body(span_str(canonical), false, UINT64_MAX, want, &k), 0);
		assert_memory_equal(got, want, 32);
	}
}

/* RFC 6376, 3.4.5: its own examples; 3.4.3 and 3.4.4: empty bodies. */
static void
test_canonical(void **state)
{
	struct buf b;

	buf_init(&b, 1000);
	canonical_field(&b, SPAN_LIT("A: X"), true);
	buf_putc(&b, '|');
	canonical_field(&b, SPAN_LIT("B : Y\t\r\n\tZ  "), true);
	buf_putc(&b, '|');
	canonical_field(&b, SPAN_LIT("B : Y\t\r\n\tZ  "), false);
	assert_true(span_is(buf_data(&b), "a:X|b:Y Z|B : Y\t\r\n\tZ  "));
	buf_reset(&b);
	canonical_own_field(&b, SPAN_LIT("DKIM-Signature: bh=b=; b = ab\r\n cd ; d=x"), true);
	buf_putc(&b, '|');
	canonical_own_field(&b, SPAN_LIT("D: b=ab"), false);
	assert_true(span_is(buf_data(&b), "dkim-signature:bh=b=; b =; d=x|D: b="));
	buf_release(&b);
	body_is(" C \r\nD \t E\r\n\r\n\r\n", true, " C\r\nD E\r\n");
	body_is(" C \r\nD \t E\r\n\r\n\r\n", false, " C \r\nD \t E\r\n");
	body_is("", true, "");
	body_is("", false, "\r\n");
	body_is("\r\n\r\n", false, "\r\n");
	body_is(" \r\n\t\r\n", true, "");
	body_is("no end", true, "no end\r\n");
	body_is("no end", false, "no end\r\n");
	body_is("a\r\n\r\n \r\nb\r\n", true, "a\r\n\r\n\r\nb\r\n");
	body_is("a  \r\n \tb c  d\te\r\n", true, "a\r\n b c d e\r\n");
	body_is("bare\rcr\n and lf\r\n", false, "bare\rcr\n and lf\r\n");
}

/* RFC 8601, 2.2 and 5 */
static void
test_results_claim(void **state)
{
	static const char *const ours[] = { " gw.lab; spf=pass", "\r\n\tGW.lab", " (x) gw.lab 1;", "\"gw.lab\"; x",
		" \"g\\w.lab\"", " gw.lab(x);", " gw.lab.;", "", " ", " (", " ((x) gw.lab", ";", " \"gw.lab" };
	static const char *const others[] = { " gw.lab.evil; x", " xgw.lab;", " gw; lab", " \"gw.labx\"; x", " mail.gw.lab",
		" (gw.lab) other;", " other (gw.lab);", " \"gw\"; x" };

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (!results_claim(span_str(ours[i]), SPAN_LIT("gw.lab")))
			fail_msg("not ours: `%s`", ours[i]);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (results_claim(span_str(others[i]), SPAN_LIT("gw.lab")))
			fail_msg("ours: `%s`", others[i]);
}

static void
test_results_say(void **state)
{
	static const char *const yes[] = { "dmarc=pass", " spf=fail; dmarc=pass header.from=x", "dmarc = pass (p=none)",
		"DMARC/1 = PASS;", "(a;b) dmarc=pass", "x=\"a;b\"; dmarc=pass" };
	static const char *const no[] = { "", "dmarc=fail", "dmarc=passed", "xdmarc=pass", "spf=fail (; dmarc=pass",
		"spf=fail reason=\"; dmarc=pass\"", "spf=fail (; dmarc=pass )", "dmarc=pass.x", "dmarc pass",
		"spf=pass dmarc=pass", "x=\"; dmarc=pass" };

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		if (!results_say(span_str(yes[i]), "dmarc", "pass"))
			fail_msg("does not say it: `%s`", yes[i]);
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		if (results_say(span_str(no[i]), "dmarc", "pass"))
			fail_msg("says it: `%s`", no[i]);
}

/* What strangers wrote cannot end the field, nor begin another result. */
static void
test_results_written(void **state)
{
	struct results r;
	struct buf b;

	buf_init(&b, 4096);
	results_begin(&r, &b, SPAN_LIT("gw.lab"));
	results_end(&r);
	assert_true(span_is(buf_data(&b), "Authentication-Results: gw.lab; none\r\n"));
	buf_reset(&b);
	results_begin(&r, &b, SPAN_LIT("gw.lab"));
	results_method(&r, "spf", "fail");
	results_reason(&r, SPAN_LIT("a \"b\"\r\n; dkim=pass"));
	results_comment(&r, "p=%s", "x) dkim=pass (");
	results_property(&r, "smtp.mailfrom", SPAN_LIT("x; dkim=pass"));
	results_property(&r, "smtp.helo", SPAN_LIT(""));
	results_method(&r, "dkim", "none");
	results_end(&r);
	assert_true(span_is(buf_data(&b), "Authentication-Results: gw.lab;\r\n\tspf=fail "
	    "reason=\"a \\\"b\\\"??; dkim=pass\" (p=x? dkim=pass ?)\r\n\tsmtp.mailfrom=\"x; dkim=pass\";\r\n"
	    "\tdkim=none\r\n"));
	assert_false(results_say(span_from(buf_data(&b), 31), "dkim", "pass"));
	buf_release(&b);
}

static void
origin_is(const char *value, const char *ip, const char *helo, const char *name)
{
	struct origin o;
	char text[IP_TEXT_MAX];

	if (!received_from(span_str(value), &o)) {
		if (ip)
			fail_msg("no address: `%s`", value);
		return;
	}
	if (ip == NULL)
		fail_msg("an address: `%s`", value);
	assert_string_equal(ip_format(o.ip, text), ip);
	if (!span_is(o.helo, helo) || !span_is(o.name, name))
		fail_msg("`%s`: helo %.*s, name %.*s", value, SPAN_ARG(o.helo), SPAN_ARG(o.name));
}

/* As the programs write them; what the client said of itself is never the address. */
static void
test_received(void **state)
{
	origin_is(" from h.lab (n.lab [192.0.2.1])\r\n\tby a.lab (Postfix) with ESMTP id X", "192.0.2.1", "h.lab", "n.lab");
	origin_is(" from h.lab (unknown [IPv6:2001:db8::1]) by a.lab", "2001:db8::1", "h.lab", "");
	origin_is(" from [9.9.9.9] (unknown [192.0.2.1]) by a.lab", "192.0.2.1", "[9.9.9.9]", "");
	origin_is(" from h.lab (n.lab [192.0.2.1] (may be forged)) by a.lab", "192.0.2.1", "h.lab", "n.lab");
	origin_is(" from h.lab (192.0.2.1) by a.lab (10.0.0.1) with Microsoft SMTP", "192.0.2.1", "h.lab", "");
	origin_is(" from h.lab (2001:db8::1) by a.lab with Microsoft SMTP", "2001:db8::1", "h.lab", "");
	origin_is(" from n.lab ([192.0.2.1] helo=h.lab) by a.lab with esmtp (Exim", "192.0.2.1", "h.lab", "n.lab");
	origin_is(" from n.lab ([192.0.2.1] helo=[9.9.9.9]) by a.lab", "192.0.2.1", "[9.9.9.9]", "n.lab");
	origin_is(" from [192.0.2.1] (helo=h.lab) by a.lab with esmtp (Exim", "192.0.2.1", "h.lab", "");
	origin_is(" from [192.0.2.1] (helo=[9.9.9.9]) by a.lab", "192.0.2.1", "[9.9.9.9]", "");
	origin_is(" from [192.0.2.1] (port=99 helo=h.lab) by a.lab", "192.0.2.1", "h.lab", "");
	origin_is(" from n.lab (HELO h.lab) (192.0.2.1) by a.lab with SMTP", "192.0.2.1", "h.lab", "n.lab");
	origin_is(" from n.lab (HELO 9.9.9.9) (user@192.0.2.1) by a.lab", "192.0.2.1", "9.9.9.9", "n.lab");
	origin_is(" from [9.9.9.9] by a.lab", NULL, "", "");
	origin_is(" from h.lab by a.lab (n [9.9.9.9])", NULL, "", "");
	origin_is(" by a.lab (n [9.9.9.9])", NULL, "", "");
	origin_is(" from h.lab (n [9.9.9", NULL, "", "");
	origin_is(" from h.lab (n 192.0.2.1) by", NULL, "", "");
	origin_is("", NULL, "", "");
}

static const char *
origin_of(const char *header)
{
	static const struct cidr ours[] = { { { 4, { 10 } }, 8 } };
	static char text[IP_TEXT_MAX];
	const struct conf_nets nets = { .cidrs = ours, .n = 1 };
	struct origin o;

	upstream_origin(span_str(header), &nets, &o);
	return ip_format(o.ip, text);
}

#define HOP(ip) "Received: from x (x [" ip "])\r\n\tby y; z\r\n"
static void
test_origin(void **state)
{
	assert_string_equal(origin_of(HOP("192.0.2.1") HOP("192.0.2.2") "\r\n"), "192.0.2.1");
	assert_string_equal(origin_of("X: y\r\n" HOP("10.1.1.1") "Y: z\r\n" HOP("127.0.0.1") HOP("192.0.2.2") "\r\n"), "192.0.2.2");
	assert_string_equal(origin_of(HOP("10.1.1.1") HOP("10.1.1.2") "\r\n"), "none");
	assert_string_equal(origin_of(HOP("10.1.1.1") "Received: by y; z\r\n" HOP("192.0.2.1") "\r\n"), "none");
	assert_string_equal(origin_of("Subject: x\r\n\r\n" HOP("192.0.2.1")), "none");	/* the body */
	assert_string_equal(origin_of(""), "none");
}

static void
spam_is(const char *header, bool known, double score, const char *class, const char *symbols)
{
	struct facts f = { 0 };
	char *got = arena_str(arena, SPAN_LIT(""));
	struct mail m;

	mail_open(span_str(arena_printf(arena, "%s\r\n\r\n", header)), arena, &m);
	spam_headers_read(&m, arena, &f);
	for (size_t i = 0; i < f.nspam_symbols; i++)
		got = arena_printf(arena, "%s%s%.*s", got, i ? "," : "", SPAN_ARG(f.spam_symbols[i]));
	if (f.spam_known != known || f.spam_score < score - 0.001 || f.spam_score > score + 0.001 ||
	    !span_is(f.spam_class, class) || strcmp(got, symbols) != 0)
		fail_msg("`%s`: %d %f %.*s %s", header, f.spam_known, f.spam_score, SPAN_ARG(f.spam_class), got);
}

static void
test_spam_headers(void **state)
{
	spam_is("Subject: x", false, 0, "", "");
	spam_is("X-Spam-Status: Yes, score=7.5 required=5.0 tests=BAYES_99,HTML_ONLY,\r\n\tMISSING_MID"
	    " autolearn=no version=3.4.6", true, 7.5, "", "BAYES_99,HTML_ONLY,MISSING_MID");
	spam_is("X-Spam-Status: No, score=-1.2 required=5.0 tests=none", true, -1.2, "", "");
	spam_is("X-Spam-Status: Yes", true, 0, "spam", "");
	spam_is("X-Spam-Status: suspected", true, 0, "suspected", "");
	spam_is("X-Spam-Status: No", true, 0, "", "");
	spam_is("X-Spam-Flag: YES", true, 0, "spam", "");
	spam_is("X-Spam-Flag: NO", true, 0, "", "");
	spam_is("X-Spam-Score: 6.1\r\nX-Spam-Flag: YES", true, 6.1, "", "");
	spam_is("X-Spamd-Result: default: False [5.20 / 15.00];\r\n\tBAYES_SPAM(5.10)[99.99%];\r\n"
	    "\tR_SPF_FAIL(1.00)[-all]", true, 5.2, "", "BAYES_SPAM,R_SPF_FAIL");
	spam_is("X-MS-Exchange-Organization-SCL: 9", true, 9, "", "");
	spam_is("X-Spam-Score: inf", false, 0, "", "");
	spam_is("X-Spam-Score: 0x10", true, 0, "", "");
	/* the first counts: what stands below came with the message */
	spam_is("X-Spam-Score: 1.5\r\nX-Spam-Score: 99", true, 1.5, "", "");
}

/* A verifier that has gone mad cannot put anything else on top of a message, nor cut outside it. */
static void
test_facts_frame(void **state)
{
	static const struct { const char *header; bool fine; } headers[] = {
		{ "", true }, { "A: b\r\n", true }, { "A: b\r\n\tc\r\n", true }, { "A: b", false },
		{ "A: b\r\nX-Evil: c\r\n", false }, { "A: b\r\n\r\n", false }, { " A: b\r\n", false },
		{ "A: b\n", false }, { "A: \x01\r\n", false }, { "A: b\rc\r\n", false }, { "A: \xc3\xa9\r\n", false },
	};
	struct removal r[2] = { { 0, 10 }, { 10, 5 } };
	struct msg_facts m = { .facts = { .spf = AUTH_PASS, .dnsbl_known = true }, .removals = r, .nremovals = 2 }, back;
	struct buf b;

	buf_init(&b, FRAME_BIG);
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		m.header = span_str(headers[i].header);
		buf_reset(&b);
		facts_encode(&b, &m);
		assert_int_equal(facts_decode(buf_data(&b), -1, arena, &back), headers[i].fine ? 0 : -1);
	}
	m.header = SPAN_LIT("");
	for (int i = 0; i < 3; i++) {
		r[0] = (struct removal){ i == 0 ? 11 : 0, i == 1 ? 0 : 10 };
		r[1].at = i == 2 ? 9 : 10;
		buf_reset(&b);
		facts_encode(&b, &m);
		assert_int_equal(facts_decode(buf_data(&b), -1, arena, &back), -1);
	}
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tags),
		cmocka_unit_test(test_canonical),
		cmocka_unit_test(test_results_claim),
		cmocka_unit_test(test_results_say),
		cmocka_unit_test(test_results_written),
		cmocka_unit_test(test_received),
		cmocka_unit_test(test_origin),
		cmocka_unit_test(test_spam_headers),
		cmocka_unit_test(test_facts_frame),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
