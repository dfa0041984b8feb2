/* test_policy_urls.c -- the condition `url`: all keys of the same link, what is known and what is not, how it
 * is explained, recorded and replayed; messages in fragments. */
#include "policy_fixture.h"

#include "postern/record.h"
#include "postern/url.h"

#define HTML(body) HEAD "MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html>" body "\r\n"

static bool
near(const struct fixture *f, const char *rule, const char *text)
{
	for (size_t i = 0; i < f->v.nnear_misses; i++)
		if (span_is(f->v.near_misses[i].rule, rule) && span_is(f->v.near_misses[i].text, text))
			return true;
	for (size_t i = 0; i < f->v.nnear_misses; i++)
		print_error("%.*s: %.*s\n", SPAN_ARG(f->v.near_misses[i].rule),
		    SPAN_ARG(f->v.near_misses[i].text));
	return false;
}

static const char policy[] =
    "use: [postern/base]\n"
    "groups: {banks: [bank.example, .bank.example, clerk@savings.example]}\n"
    "rules:\n"
    "  - {id: host, when: {url: {host: [evil.test, .evil.test]}}, then: {add_header: {X-A: b}}}\n"
    "  - {id: sub, when: {url: {host: .evil.test}}, then: {add_header: {X-A: b}}}\n"
    "  - {id: group, when: {url: {host: group:banks}}, then: {add_header: {X-A: b}}}\n"
    "  - {id: others, when: {url: {host: {not: [group:banks, group:our-domains]}}}, then: {add_header: {X-A: b}}}\n"
    "  - {id: like, when: {url: {lookalike_of: [group:our-domains, group:banks]}}, then: {quarantine: phish}}\n"
    "  - {id: mismatch, when: {url: {text_mismatch: true}}, then: {quarantine: phish}}\n"
    "  - {id: mismatch-other, when: {url: {text_mismatch: true, host: {not: [clicks.mailer.example]}}}, then: {add_header: {X-A: b}}}\n"
    "  - {id: listed, when: {url: {listed: true}}, then: {quarantine: phish}}\n"
    "  - {id: two, when: {url: {listed: true}, from: example.org}, then: {quarantine: phish}}\n"
    "  - {id: unlisted, when: {url: {listed: false, host: .evil.test}}, then: {add_header: {X-A: b}}}\n"
    "  - {id: both, when: {url: {host: evil.test, listed: true}}, then: {add_header: {X-A: b}}}\n";

static void
test_keys(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	fixture_load(&f, policy);
	f.env.direction = DIRECTION_INBOUND;
	fixture_judge(&f, MAIL("No link."));
	assert_false(HIT(&f, 0, "host") || HIT(&f, 0, "others") || HIT(&f, 0, "mismatch"));
	fixture_judge(&f, MAIL("See https://evil.test/x"));
	assert_true(HIT(&f, 0, "host") && HIT(&f, 0, "others"));
	assert_false(HIT(&f, 0, "sub") || HIT(&f, 0, "group") || HIT(&f, 0, "like"));
	fixture_judge(&f, MAIL("See https://WWW.Evil.Test/x"));
	assert_true(HIT(&f, 0, "host") && HIT(&f, 0, "sub"));
	fixture_judge(&f, MAIL("See https://notevil.test/x"));
	assert_false(HIT(&f, 0, "host") || HIT(&f, 0, "sub"));
	/* the group and its hosts; an address in it is no host */
	fixture_judge(&f, MAIL("See https://www.bank.example/x"));
	assert_true(HIT(&f, 0, "group"));
	assert_false(HIT(&f, 0, "others") || HIT(&f, 0, "like"));
	fixture_judge(&f, MAIL("See https://savings.example/x"));
	assert_false(HIT(&f, 0, "group"));
	assert_true(HIT(&f, 0, "others"));
	fixture_judge(&f, MAIL("See https://example.org/x"));
	assert_false(HIT(&f, 0, "others"));
	/* look-alikes */
	fixture_judge(&f, MAIL("See https://bank-login.test/x"));
	assert_true(HIT(&f, 0, "like"));
	fixture_judge(&f, MAIL("See https://examp1e.org/x"));
	assert_true(HIT(&f, 0, "like"));
	fixture_judge(&f, MAIL("See https://bank.example@evil.test/x"));
	assert_true(HIT(&f, 0, "like") && HIT(&f, 0, "mismatch"));
	fixture_end(&f);
}

static void
test_same_link(void **state)
{
	struct fixture f;
	const struct span listed = SPAN_LIT("evil.test");

	fixture_begin(&f);
	fixture_load(&f, policy);
	f.env.direction = DIRECTION_INBOUND;
	f.opt.near_misses = true;
	/* Two links, of which each fulfils one key. */
	fixture_judge(&f, HTML("<a href='https://clicks.mailer.example/1'>www.shop.example</a> "
	    "<a href='https://fine.example'>www.fine.example</a>"));
	assert_true(HIT(&f, 0, "mismatch"));
	assert_false(HIT(&f, 0, "mismatch-other"));
	assert_true(near(&f, "mismatch-other", "url: hxxps://clicks[.]mailer[.]example/1: its host is in the list"));
	fixture_judge(&f, HTML("<a href='https://evil.test/1'>www.shop.example</a>"));
	assert_true(HIT(&f, 0, "mismatch-other"));
	/* Not known proves nothing, turned or not. */
	fixture_judge(&f, MAIL("https://www.evil.test/"));
	assert_false(HIT(&f, 0, "listed") || HIT(&f, 0, "unlisted"));
	assert_false(HIT(&f, 0, "both"));
	f.facts.listed_known = true;
	fixture_judge(&f, MAIL("https://www.evil.test/"));
	assert_false(HIT(&f, 0, "listed"));
	assert_true(HIT(&f, 0, "unlisted"));
	f.facts.listed_hosts = &listed;
	f.facts.nlisted_hosts = 1;
	fixture_judge(&f, MAIL("https://www.evil.test/"));
	assert_true(HIT(&f, 0, "listed"));
	assert_false(HIT(&f, 0, "unlisted") || HIT(&f, 0, "both"));
	fixture_judge(&f, MAIL("https://evil.test/"));
	assert_true(HIT(&f, 0, "both"));
	fixture_judge(&f, MAIL("https://notevil.test/"));
	assert_false(HIT(&f, 0, "listed"));
	/* a link made safe leads on */
	fixture_judge(&f, HTML("<a href='https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fevil.test%2F'>x</a>"));
	assert_true(HIT(&f, 0, "listed"));
	fixture_end(&f);
}

static void
test_explained(void **state)
{
	struct fixture f;
	char *json;

	fixture_begin(&f);
	fixture_load(&f, policy);
	f.env.direction = DIRECTION_INBOUND;
	f.opt.near_misses = true;
	fixture_judge(&f, HTML("<a href='https://joe:geheim@www.bank-login.test/reset?token=s3cret#x'>https://bank.example/</a>"));
	json = fixture_json(&f);
	assert_non_null(strstr(json, "{\"rule\":\"like\",\"url\":\"hxxps://www[.]bank-login[.]test/reset\","
	    "\"why\":\"taken for bank[.]example: something is added to the name\",\"kind\":\"link\",\"part\":\"1\","));
	assert_non_null(strstr(json, "\"tricks\":[\"userinfo\"]"));
	assert_non_null(strstr(json, "\"why\":\"shown as bank[.]example\""));
	assert_null(strstr(json, "geheim"));
	assert_null(strstr(json, "s3cret"));
	assert_true(near(&f, "two", "url: listed: not known: nothing has checked it"));
	fixture_judge(&f, MAIL("No link."));
	assert_int_equal(f.v.nurls, 0);
	/* an IDN is shown in both spellings */
	fixture_judge(&f, MAIL("https://b\xc3\xa4nk.test/"));
	assert_true(HIT(&f, 0, "like"));
	assert_non_null(strstr(fixture_json(&f), "hxxps://xn--bnk-qla[.]test/ (b\xc3\xa4nk[.]test)"));
	fixture_end(&f);
}

/* More hosts than are kept: a condition that found none has proved nothing. */
static void
test_cut(void **state)
{
	struct fixture f;
	struct anatomy_limits limits = { .urls = 3 };
	static const char raw[] = MAIL("https://a.test https://b.test https://c.test https://d.test https://evil.test");

	fixture_begin(&f);
	fixture_load(&f, "rules:\n  - {id: a, when: {url: {host: evil.test}}, then: discard}\n"
	    "  - {id: b, when: {url: {host: b.test}}, then: {add_header: {X-A: b}}}\n"
	    "  - {id: c, when: {defect: urls-cut}, then: {add_header: {X-A: c}}}\n");
	TO(&f, "x@webmail.example");
	anatomy_build(f.arena, span_str(raw), &limits, &f.an);
	policy_judge(f.p, &f.an, &f.env, &f.facts, &f.opt, f.arena, &f.v);
	assert_outcome(&f, 0, "hold");
	assert_true(f.v.unscannable);
	assert_true(HIT(&f, 0, "b") && HIT(&f, 0, "c"));
	/* nobody asks for what is not there: nothing is held up */
	fixture_load(&f, "rules:\n  - {id: b, when: {url: {host: b.test}}, then: {add_header: {X-A: b}}}\n");
	policy_judge(f.p, &f.an, &f.env, &f.facts, &f.opt, f.arena, &f.v);
	assert_outcome(&f, 0, "deliver");
	assert_false(f.v.unscannable);
	/* nor by a rule in shadow */
	fixture_load(&f, "rules:\n  - {id: a, mode: shadow, review_by: 2027-01-01, when: {url: {host: evil.test}}, then: discard}\n");
	policy_judge(f.p, &f.an, &f.env, &f.facts, &f.opt, f.arena, &f.v);
	assert_outcome(&f, 0, "deliver");
	fixture_end(&f);
}

/* A record keeps the answers of conditions and no host. */
static void
test_record(void **state)
{
	struct fixture f;
	struct record_plan *plan;
	struct manifest m;
	struct record r;
	struct replay out;
	struct arena *a = arena_new(0);
	struct span bytes;

	fixture_begin(&f);
	f.opt.record = true;
	fixture_load(&f, policy);
	f.env.direction = DIRECTION_INBOUND;
	fixture_judge(&f, MAIL("https://www.bank-login.test/x https://confidential-project.test/"));
	assert_true(HIT(&f, 0, "like"));
	bytes = arena_span(a, f.v.record);
	assert_null(memmem(bytes.p, bytes.n, "bank-login", 10));
	assert_null(memmem(bytes.p, bytes.n, "confidential", 12));
	assert_int_equal(manifest_read(arena_span(a, policy_manifest(f.p)), a, &m), 0);
	assert_int_equal(record_read(bytes, a, &r), 0);
	plan = record_plan_new(f.p, &m);
	record_replay(plan, &r, NULL, a, &out);
	assert_false(out.touched);
	assert_true(verdict_same(&r.verdict, &out.verdict, &r.env, NULL));
	record_plan_free(&plan);
	/* Another outcome of the same condition is sure … */
	fixture_load(&f, "groups: {banks: [bank.example, .bank.example]}\nrules:\n"
	    "  - {id: z, when: {url: {lookalike_of: [group:our-domains, group:banks]}}, then: discard}\n");
	plan = record_plan_new(f.p, &m);
	record_replay(plan, &r, NULL, a, &out);
	assert_false(out.unsure);
	assert_string_equal(outcome_name(out.verdict.decisions[0].outcome), "discard");
	record_plan_free(&plan);
	/* … another list is another condition, even under the same group's name. */
	fixture_load(&f, "groups: {banks: [bank.example, other.example]}\nrules:\n"
	    "  - {id: z, when: {url: {lookalike_of: [group:our-domains, group:banks]}}, then: discard}\n");
	plan = record_plan_new(f.p, &m);
	record_replay(plan, &r, NULL, a, &out);
	assert_true(out.unsure);
	assert_true(span_is(out.why, "url"));
	record_plan_free(&plan);
	arena_free(&a);
	fixture_end(&f);
}

static void
test_said(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	f.facts_missing = FACT_LISTED;
	fixture_load(&f, "groups: {people: [a@b.example], none: []}\nrules:\n"
	    "  - {id: a, when: {url: {listed: true}}, then: discard}\n"
	    "  - {id: b, when: {url: {host: group:people}}, then: discard}\n"
	    "  - {id: c, direction: outbound, when: {url: {listed: true}}, then: discard}\n"
	    "  - {id: d, when: {url: {lookalike_of: [bank.example, .co.uk]}}, then: discard}\n");
	assert_non_null(strstr(f.said, "nothing supplies `listed`"));
	assert_non_null(strstr(f.said, "the list holds addresses alone: no link leads to one"));
	assert_non_null(strstr(f.said, "rule `c` never holds: only inbound mail has `listed`"));
	assert_non_null(strstr(f.said, "`.co.uk` is nobody's own name: nothing is like it"));
	fixture_end(&f);
}

/* message/partial and message/external-body: refused on the way out, a defect on the way in. */
static void
test_fragments(void **state)
{
	static const char *const raws[] = {
		HEAD "MIME-Version: 1.0\r\nContent-Type: message/partial; id=\"a@b\"; number=1; total=2\r\n\r\n"
		    "Subject: x\r\n\r\nhalf\r\n",
		HEAD "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
		    "Content-Type: message/external-body; access-type=URL; URL=\"https://evil.test/x\"\r\n\r\n"
		    "Content-Type: text/plain\r\n\r\n--b--\r\n",
	};
	struct fixture f;

	for (size_t i = 0; i < 2; i++) {
		fixture_begin(&f);
		fixture_load(&f, "use: [postern/base]\n");
		fixture_judge(&f, raws[i]);
		assert_outcome(&f, 0, "reject");
		assert_true(HIT(&f, 0, "elsewhere"));
		assert_non_null(strstr(arena_str(f.arena, f.v.decisions[0].reply), "send it whole"));
		f.env.direction = DIRECTION_INBOUND;
		fixture_judge(&f, raws[i]);
		assert_outcome(&f, 0, "deliver");
		assert_int_not_equal(f.an.defects & (DEFECT_MESSAGE_PARTIAL | DEFECT_EXTERNAL_BODY), 0);
		fixture_end(&f);
		/* who has reason to */
		fixture_begin(&f);
		fixture_load(&f, "use: [postern/base]\nexceptions:\n  - {id: archive, rules: [elsewhere], "
		    "when: {from: m.durand@example.org}, reason: old archive, until: 2027-01-01}\n");
		fixture_judge(&f, raws[i]);
		assert_outcome(&f, 0, "deliver");
		assert_true(SKIPPED(&f, 0, "elsewhere"));
		fixture_end(&f);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_same_link),
		cmocka_unit_test(test_explained),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_said),
		cmocka_unit_test(test_fragments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
