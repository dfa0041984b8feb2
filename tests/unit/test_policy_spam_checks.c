/* test_policy_spam_checks.c -- the built-in antispam: how checks add up, who is asked, what a record
 * says of it under another policy.
 */
#include "policy_fixture.h"
#include "postern/record.h"

#define CHECKS "version: 1\nspam:\n  checks:\n"
#define A "    A: {score: -1.5, when: {body: {words: win}}}\n"
#define B "    B: {score: 7, when: {body: {words: big}, spf: {not: pass}}}\n"
#define C "    C: {score: 100, when: {body: {words: lose}}}\n"

static void
rate(struct fixture *f, const char *yaml)
{
	fixture_load(f, yaml);
	f->env.direction = DIRECTION_INBOUND;
	f->facts.spf = AUTH_FAIL;
	f->opt.record = true;
	TO(f, "u@example.org");
	fixture_judge(f, MAIL("win big"));
}

static void
test_sum(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	rate(&f, CHECKS B A C);
	assert_string_equal(f.v.spam.class, "ham");		/* 5.5 of 6 */
	assert_true(f.v.spam.score == 5.5);
	assert_int_equal(f.v.spam.nsymbols, 2);
	assert_true(span_is(f.v.spam.symbols[0].name, "A") && f.v.spam.symbols[0].score == -1.5);
	assert_true(span_is(f.v.spam.symbols[1].name, "B") && f.v.spam.symbols[1].score == 7);
	/* the caller's facts are his own */
	assert_false(f.facts.spam_known);
	fixture_end(&f);
	fixture_begin(&f);
	rate(&f, CHECKS C B);
	assert_string_equal(f.v.spam.class, "suspected");
	assert_true(HIT(&f, 0, "spam/prudent/suspected"));
	/* what is not known proves nothing, turned or not */
	f.facts.spf = AUTH_UNKNOWN;
	fixture_judge(&f, MAIL("win big"));
	assert_string_equal(f.v.spam.class, "ham");
	/* what leaves is not rated; what another has rated keeps his word */
	f.facts.spf = AUTH_FAIL;
	f.env.direction = DIRECTION_OUTBOUND;
	fixture_judge(&f, MAIL("win big"));
	assert_null(f.v.spam.class);
	f.env.direction = DIRECTION_INBOUND;
	f.facts.spam_known = true;
	f.facts.spam_score = 20;
	fixture_judge(&f, MAIL("quiet"));
	assert_string_equal(f.v.spam.class, "spam");
	fixture_end(&f);
}

/* What people are shown is what judging does: the same profile for the same domain. */
static void
test_info(void **state)
{
	static const struct { const char *domain, *profile, *by; } wanted[] = {
		{ "example.org", "tag-suspects", "example.org" }, { "EXAMPLE.org", "tag-suspects", "example.org" },
		{ "a.example.org", "header-only", ".example.org" }, { "a.b.example.org", "erase-suspects", ".b.example.org" },
		{ "b.example.org", "header-only", ".example.org" }, { "example.net", "ours", "" }, { "org", "ours", "" },
	};
	const char *yaml = "version: 1\nspam:\n  source: rspamd\n  classes: {spam: [\"> 15.5\", symbol DEADLY], suspected: \">= 7\"}\n"
	    "  profiles: {ours: {spam: reject, suspected: quarantine, marketing: deliver}}\n"
	    "  domains: {.b.example.org: erase-suspects, .example.org: header-only, example.org: tag-suspects,"
	    " boss@example.org: header-only, default: ours}\n";
	const struct policy_spam_profile *p;
	struct policy_spam s;
	struct fixture f;
	struct span by;

	fixture_begin(&f);
	fixture_load(&f, yaml);
	assert_true(policy_spam_info(f.p, f.arena, &s));
	assert_string_equal(s.source, "rspamd");
	assert_string_equal(s.classes[0], "spam");
	assert_true(span_is(s.tests[0], "> 15.5, symbol DEADLY"));
	assert_true(span_is(s.tests[1], ">= 7"));
	assert_true(span_is(s.tests[2], "symbol BULK"));
	assert_int_equal(s.ndomains, 4);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		p = policy_spam_for(&s, span_str(wanted[i].domain), &by);
		assert_true(span_is(p->name, wanted[i].profile));
		assert_true(span_is(by, wanted[i].by));
	}
	p = s.others;
	assert_string_equal(p->actions[0], "reject");
	assert_string_equal(p->actions[1], "quarantine");
	assert_string_equal(p->actions[2], "deliver");
	fixture_end(&f);
	/* without the section nothing is done, whoever rates */
	fixture_begin(&f);
	fixture_load(&f, "version: 1\nuse: [postern/antispam]\n");
	assert_false(policy_spam_info(f.p, f.arena, &s));
	fixture_end(&f);
}

static void
test_condition_on_symbols(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	rate(&f, CHECKS A B "rules:\n  - {id: r, when: {spam: [symbol b, marketing]}, then: {reject: true}}\n"
	    "  - {id: s, when: {spam: {not: [symbol A]}}, then: {discard: true}}\n");
	assert_true(HIT(&f, 0, "r"));
	assert_false(HIT(&f, 0, "s"));
	fixture_judge(&f, MAIL("quiet"));
	assert_false(HIT(&f, 0, "r"));
	assert_true(HIT(&f, 0, "s"));
	fixture_end(&f);
}

/* The checks of a pack: off, another score, another condition. */
static void
test_pack(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	rate(&f, "version: 1\nuse: [postern/antispam]\nspam:\n  checks:\n    NO_DATE: off\n    NO_MESSAGE_ID: 4.5\n"
	    "    NO_SUBJECT: {score: 1, when: {body: {words: win}}}\n    NOTHING_PROVED: off\n"
	    "    SPOOFED_OWN: off\n");
	/* SPF_FAIL 3, NO_MESSAGE_ID 4.5, NO_SUBJECT 1 */
	assert_int_equal(f.v.spam.nsymbols, 3);
	assert_true(f.v.spam.score == 8.5);
	assert_true(f.v.spam.symbols[1].title.n > 0);
	fixture_end(&f);
}

static void
replay(const struct fixture *f, const struct policy *p, struct replay *out)
{
	struct manifest m;
	struct record r;
	struct record_plan *plan;

	assert_int_equal(manifest_read(policy_manifest(f->p), f->arena, &m), 0);
	assert_int_equal(record_read(f->v.record, f->arena, &r), 0);
	plan = record_plan_new(p, &m);
	record_replay(plan, &r, NULL, f->arena, out);
	record_plan_free(&plan);
}

/* What the classifier says hits one check of the pack, or none between 20 and 59 per cent; a replay of the
 * record hits the same. */
static void
test_classifier(void **state)
{
	static const struct { unsigned from; const char *name; } steps[] = { { 0, "BAYES_00" }, { 1, "BAYES_05" },
		{ 5, "BAYES_20" }, { 20, NULL }, { 60, "BAYES_60" }, { 80, "BAYES_80" }, { 95, "BAYES_95" },
		{ 99, "BAYES_99" } };
	struct replay again;
	struct fixture f;
	double last = -100;

	fixture_begin(&f);
	rate(&f, "version: 1\nuse: [postern/antispam]\nspam: {source: built-in}\n");
	f.facts.bayes_known = true;
	for (unsigned p = 0; p <= 100; p++) {
		const char *want = NULL, *got = NULL;
		size_t n = 0;

		for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && p >= steps[i].from; i++)
			want = steps[i].name;
		f.facts.bayes = (uint8_t)p;
		fixture_judge(&f, MAIL("win big"));
		for (size_t i = 0; i < f.v.spam.nsymbols; i++)
			if (span_starts(f.v.spam.symbols[i].name, SPAN_LIT("BAYES_"))) {
				got = arena_str(f.arena, f.v.spam.symbols[i].name);
				n++;
			}
		assert_int_equal(n, want != NULL);
		if (want)
			assert_string_equal(got, want);
		assert_true(f.v.spam.score >= last);	/* never less for more */
		last = f.v.spam.score;
		replay(&f, f.p, &again);
		assert_false(again.touched || again.unsure);
		assert_true(again.verdict.spam.score == f.v.spam.score);
	}
	f.facts.bayes_known = false;		/* it has not learnt enough: nothing of it counts */
	fixture_judge(&f, MAIL("win big"));
	for (size_t i = 0; i < f.v.spam.nsymbols; i++)
		assert_false(span_starts(f.v.spam.symbols[i].name, SPAN_LIT("BAYES_")));
	fixture_end(&f);
}

/* The record keeps what the checks rest on, not what they said: other weights and other checks over the
 * same conditions give another verdict, without the message. */
static void
test_replay(void **state)
{
	struct fixture f, other;
	struct replay again;

	fixture_begin(&f);
	rate(&f, CHECKS A B);
	assert_string_equal(f.v.spam.class, "ham");
	replay(&f, f.p, &again);
	assert_false(again.touched);
	assert_string_equal(again.verdict.spam.class, "ham");
	assert_true(again.verdict.spam.score == 5.5);
	fixture_begin(&other);
	fixture_load(&other, CHECKS A "    B: {score: 20, when: {body: {words: big}}}\n");
	replay(&f, other.p, &again);
	assert_string_equal(again.verdict.spam.class, "spam");
	assert_int_equal(again.verdict.decisions[0].outcome, OUTCOME_QUARANTINE);
	assert_false(again.unsure);
	fixture_end(&other);
	/* a word nobody looked for that day: it may be spam */
	fixture_begin(&other);
	fixture_load(&other, CHECKS A B "    D: {score: 20, when: {body: {words: never}}}\n");
	replay(&f, other.p, &again);
	assert_true(again.touched && again.unsure);
	assert_string_equal(again.verdict.spam.class, "ham");
	assert_string_equal(again.upper.spam.class, "spam");
	fixture_end(&other);
	fixture_end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sum),
		cmocka_unit_test(test_info),
		cmocka_unit_test(test_condition_on_symbols),
		cmocka_unit_test(test_pack),
		cmocka_unit_test(test_replay),
		cmocka_unit_test(test_classifier),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
