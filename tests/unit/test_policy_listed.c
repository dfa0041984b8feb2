/* test_policy_listed.c -- the condition `listed`, and the order of lists in the pack postern/inbound. */
#include "policy_fixture.h"
#include "lists/entry.h"
#include "postern/record.h"

static struct fixture f;

static int
setup(void **state)
{
	fixture_begin(&f);
	f.env.direction = DIRECTION_INBOUND;
	f.facts.spf = f.facts.dkim = f.facts.dmarc = f.facts.arc = AUTH_PASS;
	return 0;
}

static int
teardown(void **state)
{
	fixture_end(&f);
	return 0;
}

#define MESSAGE "From: <bob@partner.example>\r\nSubject: lottery\r\n\r\nHello\r\n"
#define SPAM "spam:\n  checks: {SPAMMY: {score: 20, when: {subject: {words: [lottery]}}}}\n"

static const char *const ann[] = { "ann@example.org", NULL };
static const char *const both[] = { "ann@example.org", "joe@example.org", NULL };

#define JUDGE(raw, to) do { \
	fixture_to(&f, to); \
	fixture_judge(&f, raw); \
} while (0)

/* Every entry of the mask, all that count, for everyone. */
static void
with(unsigned mask, struct listed *v)
{
	f.facts.lists_known = true;
	f.facts.listings = v;
	f.facts.nlistings = 0;
	for (unsigned scope = 0; scope < LIST_SCOPES; scope++)
		for (unsigned side = 0; side < LIST_SIDES; side++)
			if (mask & LISTED_BIT(scope, side))
				v[f.facts.nlistings++] = (struct listed){ .recipient = LISTING_EVERYONE,
					.scope = (uint8_t)scope, .side = (uint8_t)side, .counts = true,
					.number = f.facts.nlistings + 1, .what = SPAN_LIT("@partner.example") };
}

/* The pack does what lists_decide() says (and `postern lists check` with it), for every combination: an
 * allow that decides leaves spam alone, a block of administrators or the domain refuses, one's own
 * puts away. */
static void
the_pack_has_the_order(void **state)
{
	struct listed v[LISTINGS_PER_RECIPIENT];

	fixture_load(&f, "version: 1\nuse: [postern/base, postern/inbound]\n" SPAM);
	for (unsigned mask = 0; mask < LISTED_MASKS; mask++) {
		enum list_scope scope = LIST_ALL;
		enum list_side side = LIST_ALLOW;
		bool decided = lists_decide(mask, &scope, &side);
		enum outcome want = !decided ? OUTCOME_QUARANTINE : side == LIST_ALLOW ? OUTCOME_DELIVER :
		    scope == LIST_USER ? OUTCOME_QUARANTINE : OUTCOME_REJECT;
		const char *queue = want != OUTCOME_QUARANTINE ? "" : decided ? "blocked" : "spam";

		with(mask, v);
		JUDGE(MESSAGE, ann);
		if (f.v.decisions[0].outcome != want || !span_is(f.v.decisions[0].queue, queue))
			fail_msg("mask %02x: %s in \"" SPAN_FMT "\", not %s in \"%s\"", mask,
			    outcome_name(f.v.decisions[0].outcome), SPAN_ARG(f.v.decisions[0].queue),
			    outcome_name(want), queue);
	}
}

/* Virus and rules stand above every allow, whoever's. */
static void
virus_and_rules_stay(void **state)
{
	unsigned allows = LISTED_BIT(LIST_ALL, LIST_ALLOW) | LISTED_BIT(LIST_DOMAIN, LIST_ALLOW) |
	    LISTED_BIT(LIST_USER, LIST_ALLOW);
	struct listed v[LISTINGS_PER_RECIPIENT];

	fixture_load(&f, "version: 1\nuse: [postern/base, postern/inbound]\n" SPAM "rules:\n"
	    "  - {id: dlp, when: {subject: {words: [lottery]}}, then: {hold: dpo@example.org}}\n");
	with(allows, v);
	JUDGE(MESSAGE, ann);
	assert_int_equal(f.v.decisions[0].outcome, OUTCOME_HOLD);
	assert_true(span_is(f.v.decisions[0].rules[0], "dlp") && f.v.decisions[0].nrules == 1);
	assert_true(span_is(f.v.decisions[0].skipped[0], "spam/prudent/spam"));
	f.facts.av = AV_VIRUS;
	f.facts.av_kinds = AV_MALWARE;
	JUDGE("From: a@partner.example\r\n\r\nx\r\n", ann);
	assert_int_equal(f.v.decisions[0].outcome, OUTCOME_QUARANTINE);
	assert_true(span_is(f.v.decisions[0].queue, "virus"));
	f.facts.av = AV_CLEAN;
	f.facts.av_kinds = 0;
	f.facts.dmarc = AUTH_FAIL;
	f.facts.dmarc_asks = DMARC_ASKS_REJECT;
	JUDGE(MESSAGE, ann);
	assert_int_equal(f.v.decisions[0].outcome, OUTCOME_REJECT);
	assert_true(span_is(f.v.decisions[0].rules[0], "dlp") &&
	    span_is(f.v.decisions[0].rules[1], "dmarc-reject"));
}

/* Two recipients, one of whom allows: one message, two verdicts, and a replay gives both again. */
static void
for_each_recipient(void **state)
{
	struct listed v[2] = {
		{ .recipient = 0, .scope = LIST_USER, .side = LIST_ALLOW, .counts = true, .number = 17,
		    .by = LIST_BY_FROM, .owner = SPAN_LIT("ann@example.org"),
		    .what = SPAN_LIT("@partner.example"), .reason = SPAN_LIT("our bank") },
		{ .recipient = 1, .scope = LIST_USER, .side = LIST_ALLOW, .counts = false, .number = 18,
		    .owner = SPAN_LIT("joe@example.org"), .what = SPAN_LIT("@partner.example") },
	};
	struct record_plan *plan;
	struct manifest m;
	struct record r;
	struct replay again;

	fixture_load(&f, "version: 1\nuse: [postern/inbound]\n" SPAM);
	f.facts.lists_known = true;
	f.facts.listings = v;
	f.facts.nlistings = 2;
	f.opt.record = true;
	JUDGE(MESSAGE, both);
	assert_int_equal(f.v.decisions[0].outcome, OUTCOME_DELIVER);
	assert_int_equal(f.v.decisions[1].outcome, OUTCOME_QUARANTINE);

	assert_int_equal(record_read(f.v.record, f.arena, &r), 0);
	assert_true(r.facts.lists_known);
	assert_int_equal(r.facts.nlistings, 2);
	for (int i = 0; i < 2; i++) {
		const struct listed *l = &r.facts.listings[i];

		assert_int_equal(l->recipient, i);
		assert_int_equal(l->number, 17 + i);
		assert_int_equal(l->counts, i == 0);
		assert_true(span_eq(l->owner, v[i].owner) && span_eq(l->what, v[i].what) &&
		    span_eq(l->reason, v[i].reason));
	}
	assert_int_equal(r.facts.listings[0].by, LIST_BY_FROM);
	assert_int_equal(manifest_read(policy_manifest(f.p), f.arena, &m), 0);
	plan = record_plan_new(f.p, &m);
	record_replay(plan, &r, NULL, f.arena, &again);
	assert_false(again.touched || again.unsure);
	assert_true(verdict_same(&f.v, &again.verdict, &f.env, NULL));
	record_plan_free(&plan);
}

/* Outbound, or before there were lists: the condition holds neither way. */
static void
not_known(void **state)
{
	struct record r;

	fixture_load(&f, "version: 1\nrules:\n"
	    "  - {id: on, when: {listed: {scope: user, list: allow}}, then: {quarantine: a}}\n"
	    "  - {id: off, when: {listed: {not: {scope: user}}}, then: {quarantine: b}}\n"
	    "  - {id: any, when: {listed: {list: [allow, block]}, from: example.net}, then: {quarantine: c}}\n");
	f.opt.record = true;
	JUDGE(MESSAGE, ann);
	assert_int_equal(f.v.decisions[0].nrules, 0);
	assert_int_equal(record_read(f.v.record, f.arena, &r), 0);
	assert_false(r.facts.lists_known);
	f.facts.lists_known = true;
	JUDGE(MESSAGE, ann);
	assert_int_equal(f.v.decisions[0].nrules, 1);
	assert_true(span_is(f.v.decisions[0].rules[0], "off"));
}

static void
in_tests_of_policies(void **state)
{
	struct diags d;
	struct facts facts = { 0 };
	struct envelope env = { 0 };
	struct recipient to[2] = { { .address = SPAN_LIT("ann@example.org") },
		{ .address = SPAN_LIT("joe@example.org") } };

	diags_init(&d, f.arena);
	assert_true(policy_facts_read("t", SPAN_LIT("lists: [{scope: user, list: allow, to: Joe@example.org},"
	    " {list: block, counts: false}]"), &d, &facts));
	env.recipients = to;
	env.nrecipients = 2;
	listings_resolve(&facts, &env);
	assert_true(facts.lists_known);
	assert_int_equal(facts.nlistings, 2);
	assert_int_equal(facts.listings[0].recipient, 1);
	assert_int_equal(facts.listings[0].scope, LIST_USER);
	assert_int_equal(facts.listings[1].recipient, LISTING_EVERYONE);
	assert_int_equal(facts.listings[1].side, LIST_BLOCK);
	assert_false(facts.listings[1].counts);
	env.nrecipients = 1;
	listings_resolve(&facts, &env);
	assert_true(facts.listings[0].recipient != 0 && facts.listings[0].recipient != LISTING_EVERYONE);
}

static void
mistakes(void **state)
{
	static const char *const cases[][2] = {
		{ "when: {listed: {scop: user}}", "did you mean `scope`?" },
		{ "when: {listed: {scope: users}}", "did you mean `user`?" },
		{ "when: {listed: {list: alow}}", "did you mean `allow`?" },
		{ "when: {listed: {scope: []}}", "an empty list" },
		{ "when: {listed: true}", "listed" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *text = arena_printf(f.arena, "version: 1\nrules:\n  - {id: x, %s, then: {discard: true}}\n",
		    cases[i][0]);
		const struct policy_source file = { "test.yaml", span_str(text) };

		diags_init(&f.d, f.arena);
		fixture_load_files(&f, &file, 1);
		assert_null(f.p);
		if (!strstr(f.said, cases[i][1]))
			fail_msg("%s:\n%s", cases[i][0], f.said);
	}
	diags_init(&f.d, f.arena);
	fixture_load_files(&f, &(struct policy_source){ "test.yaml", SPAN_LIT("version: 1\nspam:\n  checks:"
	    " {X: {score: 1, when: {listed: {scope: user}}}}\n") }, 1);
	assert_null(f.p);
	assert_non_null(strstr(f.said, "`listed` is about each recipient"));
}

/* The pack's exception gives way to the policy's own of that name. */
static void
an_exception_of_ones_own(void **state)
{
	struct listed v[LISTINGS_PER_RECIPIENT];

	fixture_load(&f, "version: 1\nuse: [postern/inbound]\n" SPAM "exceptions:\n"
	    "  - {id: lists-allow, tags: [spam], when: {listed: {scope: all, list: allow}}, until: 2030-01-01,"
	    " reason: users do not decide here}\n");
	with(LISTED_BIT(LIST_USER, LIST_ALLOW), v);
	JUDGE(MESSAGE, ann);
	assert_int_equal(f.v.decisions[0].outcome, OUTCOME_QUARANTINE);
	with(LISTED_BIT(LIST_ALL, LIST_ALLOW), v);
	JUDGE(MESSAGE, ann);
	assert_int_equal(f.v.decisions[0].outcome, OUTCOME_DELIVER);
}

/* Who is spared being rated may not rate himself: forged tags go all the same. */
static void
forged_tags_go(void **state)
{
	struct listed v[LISTINGS_PER_RECIPIENT];

	fixture_load(&f, "version: 1\nuse: [postern/inbound]\n" SPAM);
	with(LISTED_BIT(LIST_USER, LIST_ALLOW), v);
	JUDGE("From: a@partner.example\r\nX-Spam-Status: no\r\nSubject: lottery\r\n\r\nx\r\n", ann);
	assert_int_equal(f.v.decisions[0].outcome, OUTCOME_DELIVER);
	assert_int_equal(f.v.decisions[0].nrules, 1);
	assert_true(span_is(f.v.decisions[0].rules[0], "spam/forged"));
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(the_pack_has_the_order), T(virus_and_rules_stay), T(for_each_recipient), T(not_known),
		T(in_tests_of_policies), T(mistakes), T(an_exception_of_ones_own), T(forged_tags_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
