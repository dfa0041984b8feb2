/* test_policy_members.c -- groups of directories: certain, uncertain, and what hangs on either. */
#include "policy_fixture.h"

#define DOCTORS "CN=Doctors,DC=lab"
#define GUARDS "CN=Guards,DC=lab"
#define GROUPS "version: 1\ngroups:\n  doctors: \"ldap:" DOCTORS "\"\n  guards: [\"ldap:" GUARDS \
	"\", g@lab.example]\n  both: [group:doctors, group:guards]\n"

static struct fixture f;

/* Memberships of the sender and two recipients in doctors and guards; '?' unknown, '-' no, '+' yes. */
static void
members(const char *signs)
{
	static struct span addresses[3], groups[] = { { DOCTORS, sizeof(DOCTORS) - 1 },
		{ GUARDS, sizeof(GUARDS) - 1 } };
	static uint8_t grid[6];

	addresses[0] = f.env.sender;
	for (size_t i = 0; i < 2; i++)
		addresses[i + 1] = f.env.recipients[i].address;
	for (size_t i = 0; i < 6; i++)
		grid[i] = signs[i] == '+' ? MEMBER_YES : signs[i] == '-' ? MEMBER_NO : MEMBER_UNKNOWN;
	f.facts.members = (struct memberships){ addresses, 3, groups, 2, grid, false };
}

static const char *
judged(const char *signs, size_t i)
{
	members(signs);
	policy_judge(f.p, &f.an, &f.env, &f.facts, &f.opt, f.arena, &f.v);
	return outcome_name(f.v.decisions[i].outcome);
}

static void
load(const char *rules)
{
	static const char message[] = "From: <a@lab.example>\r\nSubject: x\r\n\r\nhello\r\n";
	static struct recipient r[2];
	struct policy_source src = { "p.yaml", { 0 } };

	fixture_begin(&f);
	src.text = span_str(arena_printf(f.arena, "%s%s", GROUPS, rules));
	fixture_load_files(&f, &src, 1);
	if (f.p == NULL)
		print_message("%s\n", f.said);
	assert_non_null(f.p);
	r[0].address = SPAN_LIT("x@far.example");
	r[1].address = SPAN_LIT("y@far.example");
	f.env.recipients = r;
	f.env.nrecipients = 2;
	anatomy_build(f.arena, span_str(message), NULL, &f.an);
}

static void
test_yes_and_no(void **state)
{
	load("rules: [{id: a, when: {from: group:doctors}, then: {hold: {for: a@b.example}}}]\n");
	assert_string_equal(judged("+-" "--" "--", 0), "hold");
	assert_string_equal(judged("-+" "++" "++", 0), "deliver");
	assert_string_equal(judged("?-" "--" "--", 0), "defer");
	assert_true(span_is(f.v.decisions[0].rules[0], "defaults/directory"));
	assert_true(span_starts(f.v.decisions[0].reply, SPAN_LIT("4.7.1 ")));
	/* what nobody asks for need not be known */
	assert_string_equal(judged("-?" "??" "??", 0), "deliver");
	fixture_end(&f);
}

static void
test_recipients_apart(void **state)
{
	load("rules: [{id: a, when: {to: group:both}, then: {reject: \"5.7.1 no\"}}]\n");
	assert_string_equal(judged("--" "-+" "--", 0), "reject");
	assert_string_equal(judged("--" "-+" "--", 1), "deliver");
	assert_string_equal(judged("--" "?-" "--", 0), "defer");
	assert_string_equal(judged("--" "?-" "--", 1), "deliver");
	assert_string_equal(judged("--" "?+" "--", 0), "reject");	/* one of both is enough */
	fixture_end(&f);
}

static void
test_logic(void **state)
{
	/* Kleene's: an uncertain part only matters where the rest leaves it open. */
	load("rules:\n"
	    "  - {id: and, when: {from: group:doctors, size: {over: 1MB}}, then: {reject: \"5.7.1 a\"}}\n");
	assert_string_equal(judged("??" "--" "--", 0), "deliver");	/* it is small: no in any case */
	fixture_end(&f);
	load("rules:\n"
	    "  - {id: unless, when: {size: {under: 1MB}}, unless: {from: group:doctors}, then: {reject: \"5.7.1 u\"}}\n");
	assert_string_equal(judged("+-" "--" "--", 0), "deliver");
	assert_string_equal(judged("--" "--" "--", 0), "reject");
	assert_string_equal(judged("?-" "--" "--", 0), "defer");
	fixture_end(&f);
	load("rules:\n"
	    "  - {id: not, when: {to: {not: group:guards}}, then: {reject: \"5.7.1 n\"}}\n");
	assert_string_equal(judged("--" "-+" "--", 0), "deliver");
	assert_string_equal(judged("--" "-+" "--", 1), "reject");
	assert_string_equal(judged("--" "-?" "--", 0), "defer");
	fixture_end(&f);
	load("rules:\n"
	    "  - {id: all, when: {to_all: group:guards}, then: {reject: \"5.7.1 x\"}}\n");
	assert_string_equal(judged("--" "-+" "-+", 0), "reject");
	assert_string_equal(judged("--" "-?" "--", 0), "deliver");	/* one is certainly not */
	assert_string_equal(judged("--" "-?" "-+", 0), "defer");
	fixture_end(&f);
	/* a refusal that is certain beats what is not */
	load("rules:\n"
	    "  - {id: a, when: {from: group:doctors}, then: {hold: {for: a@b.example}}}\n"
	    "  - {id: b, when: {size: {under: 1MB}}, then: {reject: \"5.7.1 b\"}}\n");
	assert_string_equal(judged("?-" "--" "--", 0), "reject");
	fixture_end(&f);
	/* a rule in shadow makes nobody wait */
	load("rules:\n"
	    "  - {id: a, mode: shadow, review_by: 2027-01-01, when: {from: group:doctors}, then: {reject: \"5.7.1 a\"}}\n");
	assert_string_equal(judged("?-" "--" "--", 0), "deliver");
	fixture_end(&f);
}

static void
test_exceptions(void **state)
{
	load("rules: [{id: a, when: {size: {under: 1MB}}, then: {reject: \"5.7.1 a\"}}]\n"
	    "exceptions: [{id: e, rules: [a], when: {from: group:guards}, reason: r, until: 2027-01-01}]\n");
	assert_string_equal(judged("-+" "--" "--", 0), "deliver");
	assert_string_equal(judged("--" "--" "--", 0), "reject");
	assert_string_equal(judged("-?" "--" "--", 0), "defer");
	fixture_end(&f);
}

static void
test_nothing_said(void **state)
{
	load("rules: [{id: a, when: {from: group:doctors}, then: {reject: \"5.7.1 a\"}}]\n");
	f.facts.members = (struct memberships){ 0 };
	policy_judge(f.p, &f.an, &f.env, &f.facts, &f.opt, f.arena, &f.v);
	assert_int_equal(f.v.decisions[0].outcome, OUTCOME_DEFER);
	/* but the null sender is in no group */
	f.env.sender = SPAN_LIT("");
	policy_judge(f.p, &f.an, &f.env, &f.facts, &f.opt, f.arena, &f.v);
	assert_int_equal(f.v.decisions[0].outcome, OUTCOME_DELIVER);
	fixture_end(&f);
}

static void
test_externals(void **state)
{
	const struct span *v;
	struct memberships m;
	struct policy_given given[] = { { SPAN_LIT("doctors"), SPAN_LIT("A@Lab.Example") },
		{ SPAN_LIT("ldap:cn=guards,dc=LAB"), { 0 } } };
	struct span bad;
	size_t n;

	load("rules: [{id: a, when: {from: [\"ldap:cn=doctors,dc=LAB\", \"ldap:CN=Other,DC=lab\"]},"
	    " then: {reject: \"5.7.1 a\"}}]\n");
	v = policy_externals(f.p, &n);
	assert_int_equal(n, 3);		/* the same in another case is the same */
	assert_true(span_is(v[0], DOCTORS));
	assert_true(policy_members_given(f.p, given, 2, f.arena, &m, &bad));
	assert_int_equal(policy_group_has(f.p, SPAN_LIT("doctors"), SPAN_LIT("a@lab.example"), &m),
	    MEMBER_YES);
	assert_int_equal(policy_group_has(f.p, SPAN_LIT("doctors"), SPAN_LIT("b@lab.example"), &m),
	    MEMBER_NO);
	assert_int_equal(policy_group_has(f.p, SPAN_LIT("guards"), SPAN_LIT("b@lab.example"), &m),
	    MEMBER_NO);
	assert_int_equal(policy_group_has(f.p, SPAN_LIT("guards"), SPAN_LIT("g@lab.example"), &m),
	    MEMBER_YES);
	assert_int_equal(policy_group_has(f.p, SPAN_LIT("nurses"), SPAN_LIT("g@lab.example"), &m),
	    MEMBER_UNKNOWN);
	assert_true(policy_has_group(f.p, SPAN_LIT("guards")));
	assert_false(policy_has_group(f.p, SPAN_LIT("nurses")));
	given[0].group = SPAN_LIT("nurses");
	assert_false(policy_members_given(f.p, given, 2, f.arena, &m, &bad));
	assert_true(span_is(bad, "nurses"));
	fixture_end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_yes_and_no),
		cmocka_unit_test(test_recipients_apart),
		cmocka_unit_test(test_logic),
		cmocka_unit_test(test_exceptions),
		cmocka_unit_test(test_nothing_said),
		cmocka_unit_test(test_externals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
