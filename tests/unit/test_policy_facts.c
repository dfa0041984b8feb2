/* test_policy_facts.c -- conditions on the moment and on what is known of inbound mail; classes
 * and profiles of spam. */
#include "policy_fixture.h"

#define HOUR INT64_C(3600000000)

static int64_t
moment(const char *text)
{
	int64_t us;

	assert_true(policy_moment_parse(span_str(text), &us));
	return us;
}

static bool
holds(struct fixture *f, const char *rule, const char *when)
{
	f->facts.now = moment(when);
	fixture_judge(f, MAIL("x"));
	return HIT(f, 0, rule);
}

/* Paris is one hour east of UTC in winter and two in summer; 2026-11-20 is a Friday. */
static void
test_schedule(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	fixture_load(&f,
	    "schedules:\n"
	    "  office: {days: mon-fri, from: \"07:30\", to: \"19:00\", zone: Europe/Paris, holidays: [2026-12-25]}\n"
	    "  night: {days: fri, from: 22:00, to: 06:00, zone: Europe/Paris}\n"
	    "  split: [{days: [mon, WED], from: 08:00, to: 12:00, zone: UTC}, {days: sat-mon, from: 14:00, to: 24:00}]\n"
	    "  always: {zone: Asia/Kolkata}\n"
	    "rules:\n"
	    "  - {id: office, when: {schedule: office}, then: deliver}\n"
	    "  - {id: closed, when: {schedule: {not: office}}, then: deliver}\n"
	    "  - {id: night, when: {schedule: night}, then: deliver}\n"
	    "  - {id: split, when: {schedule: [split]}, then: deliver}\n"
	    "  - {id: either, when: {schedule: [office, night]}, then: deliver}\n"
	    "  - {id: always, when: {schedule: always}, then: deliver}\n");
	assert_false(holds(&f, "office", "2026-11-20 06:29:59"));
	assert_true(HIT(&f, 0, "closed") && HIT(&f, 0, "always") && !HIT(&f, 0, "either"));
	assert_true(holds(&f, "office", "2026-11-20 06:30"));
	assert_true(HIT(&f, 0, "either") && !HIT(&f, 0, "closed"));
	assert_true(holds(&f, "office", "2026-11-20 17:59:59"));
	assert_false(holds(&f, "office", "2026-11-20 18:00"));
	assert_false(holds(&f, "office", "2026-11-21 10:00"));	/* Saturday */
	assert_false(holds(&f, "office", "2026-12-25 10:00"));	/* a holiday, a Friday */
	/* summer time: the same clocks are another moment */
	assert_true(holds(&f, "office", "2026-07-03 05:30"));
	assert_false(holds(&f, "office", "2026-07-03 05:29:59"));
	assert_false(holds(&f, "office", "2026-07-03 17:00"));
	/* the Friday before and after the clocks change in March */
	assert_false(holds(&f, "office", "2026-03-27 05:30"));
	assert_true(holds(&f, "office", "2026-04-03 05:30"));
	/* over midnight: begun on Friday, ends on Saturday at 6 */
	assert_false(holds(&f, "night", "2026-11-20 20:59:59"));
	assert_true(holds(&f, "night", "2026-11-20 21:00"));
	assert_true(holds(&f, "night", "2026-11-20 23:30"));	/* Saturday, 0:30 */
	assert_true(holds(&f, "night", "2026-11-21 04:59:59"));
	assert_false(holds(&f, "night", "2026-11-21 05:00"));
	assert_false(holds(&f, "night", "2026-11-19 23:30"));	/* Friday, 0:30: Thursday's night */
	assert_false(holds(&f, "night", "2026-11-21 21:30"));
	/* the night in which the clocks go back, between Saturday and Sunday, is not Friday's; the
	 * one of 2027 neither, and 2:30 exists twice on that Sunday */
	assert_false(holds(&f, "night", "2026-10-25 00:30"));
	assert_false(holds(&f, "night", "2026-10-25 01:30"));
	assert_true(holds(&f, "split", "2026-11-18 11:59:59"));	/* Wednesday */
	assert_false(holds(&f, "split", "2026-11-18 12:00"));
	assert_false(holds(&f, "split", "2026-11-18 15:00"));
	assert_true(holds(&f, "split", "2026-11-22 23:59:59"));	/* Sunday, to midnight */
	assert_false(holds(&f, "split", "2026-11-20 15:00"));
	assert_true(holds(&f, "split", "2026-11-23 15:00"));	/* Monday, the second stretch */
	fixture_end(&f);
}

static bool
near(struct fixture *f, const char *rule, const char *text)
{
	for (size_t i = 0; i < f->v.nnear_misses; i++)
		if (span_is(f->v.near_misses[i].rule, rule) && span_is(f->v.near_misses[i].text, text))
			return true;
	for (size_t i = 0; i < f->v.nnear_misses; i++)
		print_error(SPAN_FMT ": " SPAN_FMT "\n", SPAN_ARG(f->v.near_misses[i].rule),
		    SPAN_ARG(f->v.near_misses[i].text));
	return false;
}

static void
facts(struct fixture *f, const char *yaml)
{
	f->facts = (struct facts){ .now = NOW, .av = AV_CLEAN };
	assert_true(policy_facts_read("facts", span_str(yaml), &f->d, &f->facts));
}

static void
test_inbound(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	f.opt.near_misses = true;
	fixture_load(&f,
	    "rules:\n"
	    "  - {id: spf, when: {spf: [fail, softfail], to: example.org}, then: deliver}\n"
	    "  - {id: spf-not, when: {spf: {not: pass}, to: example.org}, then: deliver}\n"
	    "  - {id: dkim, when: {dkim: pass, to: example.org}, then: deliver}\n"
	    "  - {id: dmarc, when: {dmarc: fail, to: example.org}, then: {quarantine: dmarc}}\n"
	    "  - {id: bl-any, when: {dnsbl: true, to: example.org}, then: deliver}\n"
	    "  - {id: bl-none, when: {dnsbl: false, to: example.org}, then: deliver}\n"
	    "  - {id: bl-one, when: {dnsbl: [Zen.List.example, other.example], to: example.org}, then: deliver}\n"
	    "  - {id: rep, when: {reputation: {under: 20}, to: example.org}, then: deliver}\n"
	    "  - {id: by, when: {bayes: {over: 94, under: 99}, to: example.org}, then: deliver}\n"
	    "  - {id: own, when: {experience: {over: 80}, to: example.org}, then: deliver}\n"
	    "  - {id: sp, when: {spam: [spam, suspected], to: example.org}, then: deliver}\n"
	    "  - {id: sp-not, when: {spam: {not: spam}, to: example.org}, then: deliver}\n"
	    "  - {id: ham, when: {spam: ham, to: example.org}, then: deliver}\n");
	f.env.direction = DIRECTION_INBOUND;
	TO(&f, "a@example.org");
	fixture_judge(&f, MAIL("x"));		/* nothing known: nothing holds, turned or not */
	assert_int_equal(f.v.decisions[0].nrules, 0);
	assert_true(near(&f, "spf", "spf: not known: nothing has checked it"));
	assert_true(near(&f, "spf-not", "spf: not known: nothing has checked it"));
	assert_true(near(&f, "by", "bayes: not known: the classifier has not learnt enough"));
	f.env.direction = DIRECTION_OUTBOUND;
	fixture_judge(&f, MAIL("x"));
	assert_true(near(&f, "dmarc", "dmarc: not known: only inbound mail is asked for it"));
	f.env.direction = DIRECTION_INBOUND;

	facts(&f, "{spf: softfail, dkim: fail, dmarc: fail, dnsbl: [zen.list.example], reputation: 19, spam: {score: 6}}");
	fixture_judge(&f, MAIL("x"));
	assert_true(HIT(&f, 0, "spf") && HIT(&f, 0, "spf-not") && HIT(&f, 0, "dmarc") &&
	    HIT(&f, 0, "bl-any") && HIT(&f, 0, "bl-one") && HIT(&f, 0, "rep") && HIT(&f, 0, "sp") &&
	    HIT(&f, 0, "sp-not"));
	assert_int_equal(f.v.decisions[0].nrules, 8);
	assert_outcome(&f, 0, "quarantine");
	assert_true(near(&f, "dkim", "dkim: it is fail"));
	assert_true(near(&f, "ham", "spam: it is suspected (score 6.0)"));

	facts(&f, "{spf: pass, dkim: pass, dmarc: pass, dnsbl: [], reputation: 20, spam: ham}");
	fixture_judge(&f, MAIL("x"));
	assert_true(HIT(&f, 0, "dkim") && HIT(&f, 0, "bl-none") && HIT(&f, 0, "sp-not") &&
	    HIT(&f, 0, "ham"));
	assert_int_equal(f.v.decisions[0].nrules, 4);
	assert_true(near(&f, "bl-any", "dnsbl: the client is on 0 lists"));
	assert_true(near(&f, "rep", "reputation: 20"));
	assert_true(near(&f, "own", "experience: not known: nothing has checked it"));

	facts(&f, "{experience: 80}");
	fixture_judge(&f, MAIL("x"));
	assert_true(near(&f, "own", "experience: 80"));
	facts(&f, "{experience: 81}");
	fixture_judge(&f, MAIL("x"));
	assert_true(HIT(&f, 0, "own"));
	assert_int_equal(f.v.decisions[0].nrules, 1);

	facts(&f, "{bayes: 98}");
	fixture_judge(&f, MAIL("x"));
	assert_true(HIT(&f, 0, "by"));
	assert_int_equal(f.v.decisions[0].nrules, 1);
	facts(&f, "{bayes: 99}");
	fixture_judge(&f, MAIL("x"));
	assert_true(near(&f, "by", "bayes: 99"));
	facts(&f, "{bayes: 94}");
	fixture_judge(&f, MAIL("x"));
	assert_true(near(&f, "by", "bayes: 94"));

	facts(&f, "{spf: none, dnsbl: other.example, spam: {score: 12}}");
	fixture_judge(&f, MAIL("x"));
	assert_true(HIT(&f, 0, "spf-not") && HIT(&f, 0, "bl-one") && HIT(&f, 0, "sp"));
	assert_false(HIT(&f, 0, "spf") || HIT(&f, 0, "sp-not"));
	fixture_end(&f);
}

/* What the pack postern/inbound makes of DMARC: RFC 7489, 6.3 (p=) and 6.6.2 (DNS errors). */
static void
test_inbound_pack(void **state)
{
	static const struct { const char *facts, *outcome; } cases[] = {
		{ "{dmarc: fail, dmarc_policy: reject}", "reject" },
		{ "{dmarc: fail, dmarc_policy: quarantine}", "quarantine" },
		{ "{dmarc: fail, dmarc_policy: none}", "deliver" },	/* p=none, or spared by pct= */
		{ "{dmarc: fail}", "deliver" },
		{ "{dmarc: policy, dmarc_policy: none, arc: pass}", "deliver" },
		{ "{dmarc: pass}", "deliver" }, { "{dmarc: none}", "deliver" },
		{ "{dmarc: temperror}", "defer" }, { "{spf: temperror, dmarc: pass}", "deliver" },
		{ "{arc: fail}", "deliver" }, { "{arc: pass}", "redirect" },
		{ "{bounce: valid}", "deliver" }, { "{bounce: grace}", "deliver" },
		{ "{bounce: untagged}", "reject" }, { "{bounce: forged}", "reject" },
		{ "{bounce: expired}", "reject" },
	};
	struct fixture f;

	fixture_begin(&f);
	fixture_load(&f, "use: [postern/inbound]\nrules:\n"
	    "  - {id: sealed, when: {arc: pass, dmarc: {not: policy}}, then: deliver}\n"
	    "  - {id: sealed-only, when: {arc: pass}, unless: {dmarc_policy: [none, quarantine]}, "
	    "then: {redirect: x@example.org}}\n");
	f.env.direction = DIRECTION_INBOUND;
	TO(&f, "a@example.org");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		facts(&f, cases[i].facts);
		fixture_judge(&f, MAIL("x"));
		assert_outcome(&f, 0, cases[i].outcome);
	}
	/* RFC 8098, 3: a receipt goes to the address in the header, which has no tag. */
	facts(&f, "{bounce: untagged}");
	fixture_judge(&f, "Content-Type: multipart/report;\r\n report-type=disposition-notification; boundary=b\r\n\r\n");
	assert_outcome(&f, 0, "deliver");
	f.env.direction = DIRECTION_OUTBOUND;
	facts(&f, "{dmarc: fail, dmarc_policy: reject}");
	fixture_judge(&f, MAIL("x"));
	assert_outcome(&f, 0, "deliver");
	fixture_end(&f);
}

/* The order of classes, tests of several kinds, and that a class is no outcome. */
static void
test_classes(void **state)
{
	static const struct { const char *facts, *class; } cases[] = {
		{ "{spam: {score: 5.99}}", "ham" }, { "{spam: {score: 6}}", "ham" },
		{ "{spam: {score: 6.001}}", "suspected" }, { "{spam: {score: 11.999}}", "suspected" },
		{ "{spam: {score: 12}}", "spam" }, { "{spam: {score: -3, symbols: [gtube]}}", "spam" },
		{ "{spam: {score: 0, symbols: [NEWS]}}", "marketing" },
		{ "{spam: {score: 7, symbols: [NEWS]}}", "suspected" },
		{ "{spam: {score: 99, class: marketing}}", "marketing" },
		{ "{spam: marketing}", "marketing" },
	};
	struct fixture f;

	fixture_begin(&f);
	fixture_load(&f, "spam:\n"
	    "  classes: {spam: ['>= 12', symbol GTUBE], suspected: '> 6', marketing: [symbol BULK, symbol NEWS]}\n"
	    "  profiles: {mine: {spam: deliver, suspected: deliver, marketing: deliver}}\n"
	    "  domains: {default: mine}\n");
	assert_int_equal(policy_spam_source(f.p), SPAM_SOURCE_BUILT_IN);
	f.env.direction = DIRECTION_INBOUND;
	assert_null(policy_spam_class(f.p, &f.facts));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		facts(&f, cases[i].facts);
		assert_string_equal(policy_spam_class(f.p, &f.facts), cases[i].class);
		fixture_judge(&f, MAIL("x"));
		assert_outcome(&f, 0, "deliver");
		assert_int_equal(f.v.decisions[0].nrules, 0);
	}
	fixture_end(&f);
}

/* A discard by a profile is below what other rules keep; an exception lifts it by its tag. */
static void
test_profiles(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	fixture_load(&f, "spam: {domains: {default: erase-suspects, .example.org: tag-suspects, ceo@example.org: prudent}}\n"
	    "rules:\n"
	    "  - {id: evidence, when: {subject: {words: files}, to: kept.example}, then: {quarantine: dlp}}\n"
	    "exceptions:\n"
	    "  - {id: asked-for, tags: [spam], when: {from: news.example}, reason: ticket 12, until: 2027-12-31}\n");
	f.env.direction = DIRECTION_INBOUND;
	f.env.sender = SPAN_LIT("x@shop.example");
	facts(&f, "{spam: {score: 15}}");
	TO(&f, "a@kept.example", "b@else.example", "c@sub.example.org", "CEO@example.org", "d@example.org",
	    "e@a.b.example.org");
	fixture_judge(&f, MAIL("x"));
	assert_outcome(&f, 0, "quarantine");
	assert_true(span_is(f.v.decisions[0].queue, "dlp"));
	assert_true(HIT(&f, 0, "spam/erase-suspects/spam"));
	assert_outcome(&f, 1, "discard");
	assert_true(HIT(&f, 2, "spam/tag-suspects/spam"));
	assert_true(HIT(&f, 3, "spam/prudent/spam"));
	assert_outcome(&f, 3, "quarantine");
	assert_true(HIT(&f, 4, "spam/erase-suspects/spam"));	/* example.org is no subdomain of itself */
	assert_true(HIT(&f, 5, "spam/tag-suspects/spam"));
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(f.v.decisions[i].nrules, i == 0 ? 2 : 1);
	f.env.sender = SPAN_LIT("x@news.example");
	fixture_judge(&f, MAIL("x"));
	assert_outcome(&f, 1, "deliver");
	assert_true(SKIPPED(&f, 1, "spam/erase-suspects/spam"));
	fixture_end(&f);
}

/* What nobody supplies is said when the policy is loaded. */
static void
test_missing(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	f.facts_missing = FACTS_INBOUND & ~FACT_DKIM;
	fixture_load(&f, "spam: {}\nrules:\n"
	    "  - {id: a, when: {spf: fail, dmarc: fail, dnsbl: true, spam: spam, reputation: {under: 1}}, then: discard}\n"
	    "  - {id: b, when: {dkim: fail, subject: {words: x}}, then: discard}\n");
	assert_non_null(strstr(f.said, "nothing supplies `spf` in this version: the condition never holds"));
	assert_non_null(strstr(f.said, "nothing supplies `dmarc`"));
	assert_non_null(strstr(f.said, "nothing supplies `dnsbl`"));
	assert_non_null(strstr(f.said, "nothing supplies `reputation`"));
	assert_non_null(strstr(f.said, "nothing rates mail: there are no checks"));
	assert_null(strstr(f.said, "`dkim`"));
	fixture_load(&f, "spam: {source: rspamd}\n");
	assert_non_null(strstr(f.said, "no filter of that kind is asked"));
	f.facts_missing = 0;
	fixture_end(&f);
}

static void
test_moments(void **state)
{
	int64_t us;

	assert_true(moment("1970-01-02") == 24 * HOUR);
	assert_true(moment("1970-01-01 01:30") == HOUR + HOUR / 2);
	assert_true(moment("1970-01-01T01:00:01Z") == HOUR + 1000000);
	assert_false(policy_moment_parse(SPAN_LIT("1970-01-01 25:00"), &us));
	assert_false(policy_moment_parse(SPAN_LIT("1970-01-01 12"), &us));
	assert_false(policy_moment_parse(SPAN_LIT("1970-01-01 12:00:99"), &us));
	assert_false(policy_moment_parse(SPAN_LIT("1970-02-30"), &us));
	assert_false(policy_moment_parse(SPAN_LIT(""), &us));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_schedule),
		cmocka_unit_test(test_inbound),
		cmocka_unit_test(test_inbound_pack),
		cmocka_unit_test(test_classes),
		cmocka_unit_test(test_profiles),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_moments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
