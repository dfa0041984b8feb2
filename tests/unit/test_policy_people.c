/* test_policy_people.c -- copies, notices, whose approval is asked for, and senders who insist. */
#include "policy_fixture.h"

#define GROUPS "groups:\n  staff: [example.org]\n  dpo: [dpo@example.org, ciso@example.org, m.durand@example.org]\n"

static const char *
notice_to(const struct fixture *f, size_t i)
{
	assert_true(i < f->v.nnotices);
	return arena_str(f->arena, f->v.notices[i].to);
}

static void
test_bcc(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	fixture_load(&f, GROUPS "rules:\n  - {id: a, then: {bcc: [archive@example.org, X@Webmail.example]}}\n"
	    "  - {id: b, then: {bcc: [Archive@Example.org, group:dpo]}}\n"
	    "  - {id: c, when: {subject: {words: [no]}}, then: discard}\n"
	    "  - {id: d, when: {subject: {words: [later]}}, then: defer}\n");
	/* each once, and not who gets it anyway */
	fixture_judge(&f, MAIL("hello"));
	assert_int_equal(f.v.nbcc, 4);
	assert_string_equal(arena_str(f.arena, f.v.bcc[0].address), "archive@example.org");
	assert_string_equal(arena_str(f.arena, f.v.bcc[0].rule), "a");
	assert_string_equal(arena_str(f.arena, f.v.bcc[1].rule), "b");
	/* what he does not get he may have a copy of */
	fixture_judge(&f, "Subject: no\r\n\r\n.\r\n");
	assert_int_equal(f.v.nbcc, 5);
	/* a deferred message comes again */
	fixture_judge(&f, "Subject: later\r\n\r\n.\r\n");
	assert_int_equal(f.v.nbcc, 0);
	f.facts.av = AV_VIRUS;
	fixture_judge(&f, MAIL("hello"));
	assert_int_equal(f.v.nbcc, 0);
	fixture_end(&f);
}

static void
test_notices(void **state)
{
	struct fixture f;
	const char *text;

	fixture_begin(&f);
	fixture_load(&f, "use: [postern/base]\n" GROUPS "rules:\n"
	    "  - {id: a, when: {finds: payment-card}, then: {hold: group:dpo, notify: {sender: held, admin: incident, group:dpo: incident}}}\n"
	    "  - {id: b, when: {finds: payment-card}, then: {notify: [sender, recipient], add_header: {X-A: b}}}\n"
	    "  - {id: c, when: {subject: {words: [secret]}}, then: {reject: true, notify: sender}}\n");
	fixture_judge(&f, HEAD "Content-Language: fr\r\n\r\nCB 4111 1111 1111 1111\r\n");
	assert_int_equal(f.v.nnotices, 7);
	assert_string_equal(notice_to(&f, 0), "m.durand@example.org");
	assert_string_equal(arena_str(f.arena, f.v.notices[0].subject), "Votre message est retenu pour examen");
	text = arena_str(f.arena, f.v.notices[0].text);
	assert_non_null(strstr(text, "Règle : a\n"));
	assert_non_null(strstr(text, "payment-card: "));
	assert_null(strstr(text, "4111"));
	assert_string_equal(notice_to(&f, 1), "postmaster");
	assert_string_equal(notice_to(&f, 2), "ciso@example.org");
	/* of rule b: `changed`, for it only tags; the recipient too */
	assert_string_equal(arena_str(f.arena, f.v.notices[5].template), "changed");
	assert_string_equal(notice_to(&f, 6), "x@webmail.example");
	/* a stricter rule makes "held" untrue, and tells itself; those in charge hear of both */
	fixture_judge(&f, "Subject: secret\r\n\r\n4111 1111 1111 1111\r\n");
	assert_outcome(&f, 0, "reject");
	for (size_t i = 0; i < f.v.nnotices; i++)
		if (span_is(f.v.notices[i].to, "m.durand@example.org"))
			assert_false(span_is(f.v.notices[i].template, "held"));
	/* robots are not answered, a notice is never noticed */
	fixture_judge(&f, HEAD "Precedence: bulk\r\n\r\n4111 1111 1111 1111\r\n");
	for (size_t i = 0; i < f.v.nnotices; i++)
		assert_string_equal(arena_str(f.arena, f.v.notices[i].rule), "a");
	assert_string_equal(notice_to(&f, 0), "postmaster");
	f.env.sender = SPAN_LIT("");
	fixture_judge(&f, HEAD "Auto-Submitted: auto-generated\r\n\r\n4111 1111 1111 1111\r\n");
	assert_int_equal(f.v.nnotices, 0);
	fixture_end(&f);
}

/* Many recipients in different lists: each is told once, the sender once. */
static void
test_notices_once(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	fixture_load(&f, GROUPS "rules:\n  - {id: a, when: {to: [one.example, two.example]}, then: {hold: group:dpo, notify: [sender, recipient, postmaster]}}\n"
	    "  - {id: b, when: {to: two.example}, then: {add_header: {X-B: b}}}\n");
	TO(&f, "x@one.example", "y@two.example", "z@three.example");
	fixture_judge(&f, MAIL("hello"));
	assert_int_equal(f.v.nnotices, 4);
	fixture_end(&f);
}

static void
test_holds(void **state)
{
	struct fixture f;
	const struct decision *d;
	const char *json;

	fixture_begin(&f);
	fixture_load(&f, GROUPS "rules:\n"
	    "  - {id: a, then: {hold: {for: group:dpo, approvals: 2, expires: 2h, on_expire: release}}}\n"
	    "  - {id: b, then: {hold: {for: ciso@example.org, approvals: 1, expires: 1h, on_expire: delete}}}\n"
	    "  - {id: c, then: {redirect: other@example.net, require_tls: verified}}\n"
	    "  - {id: d, when: {subject: {words: [q]}}, then: {quarantine: odd}}\n");
	fixture_judge(&f, MAIL("hello"));
	d = &f.v.decisions[0];
	assert_outcome(&f, 0, "hold");
	assert_int_equal(d->nholds, 2);
	assert_int_equal(d->holds[0].approvals, 2);
	assert_int_equal(d->holds[0].napprovers, 3);
	assert_string_equal(arena_str(f.arena, d->holds[1].approvers[0]), "ciso@example.org");
	/* the shortest expiry counts */
	assert_true(d->expires == NOW + INT64_C(3600) * 1000000);
	assert_int_equal(d->on_expire, OUTCOME_DISCARD);
	assert_int_equal(d->after, OUTCOME_REDIRECT);
	assert_int_equal(d->nredirect, 1);
	json = fixture_json(&f);
	assert_non_null(strstr(json, "\"holds\":[\"a\",\"b\"],\"after\":\"redirect\""));
	assert_non_null(strstr(json, "{\"rule\":\"b\",\"for\":\"ciso@example.org\",\"approvals\":1,\"approvers\":[\"ciso@example.org\"],\"language\":\"en\"}"));
	fixture_judge(&f, "Subject: q\r\n\r\n.\r\n");
	assert_int_equal(f.v.decisions[0].after, OUTCOME_QUARANTINE);
	assert_string_equal(arena_str(f.arena, f.v.decisions[0].after_queue), "odd");
	fixture_end(&f);
}

#define OVERRIDE GROUPS "rules:\n  - {id: a, when: {subject: {words: [secret]}}, then: {reject: '5.7.1 no', override: {allow: group:staff, until: 2026-12-31}}}\n"

static void
test_override(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	fixture_load(&f, OVERRIDE);
	fixture_judge(&f, "Subject: secret\r\n\r\n.\r\n");
	assert_outcome(&f, 0, "reject");
	assert_non_null(strstr(arena_str(f.arena, f.v.decisions[0].reply), "add [override: reason] to the subject"));
	fixture_judge(&f, "Subject: secret [Override: the client asked]\r\nX-A: b\r\n\r\n.\r\n");
	assert_outcome(&f, 0, "deliver");
	assert_int_equal(f.v.decisions[0].noverridden, 1);
	assert_string_equal(arena_str(f.arena, f.v.decisions[0].overridden[0].reason), "the client asked");
	assert_string_equal(fixture_edited(&f, 0), "Subject: secret\r\nX-A: b\r\n\r\n.\r\n");
	assert_non_null(strstr(fixture_json(&f), "\"overridden\":[{\"rule\":\"a\",\"reason\":\"the client asked\"}]"));
	/* encoded, in the middle, and with a header of the same */
	fixture_judge(&f, "Subject: =?utf-8?q?[override:_=C3=A9tude_urgente]_secret_=C3=A9t=C3=A9?=\r\nX-Postern-Override: x\r\n\r\n.\r\n");
	assert_string_equal(fixture_edited(&f, 0), "Subject: =?UTF-8?B?c2VjcmV0IMOpdMOp?=\r\n\r\n.\r\n");
	fixture_judge(&f, "Subject: secret\r\nX-Postern-Override: the client\r\n asked\r\n\r\n.\r\n");
	assert_string_equal(fixture_edited(&f, 0), "Subject: secret\r\n\r\n.\r\n");
	/* no reason is none */
	fixture_judge(&f, "Subject: secret [override: . . .]\r\n\r\n.\r\n");
	assert_outcome(&f, 0, "reject");
	fixture_judge(&f, "Subject: secret [override: the client\r\n\r\n.\r\n");
	assert_outcome(&f, 0, "reject");
	fixture_end(&f);
}

/* The words leave with nobody's copy, also where no rule was lifted. */
static void
test_override_words(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	fixture_load(&f, "rules:\n  - {id: a, when: {to: one.example}, then: {reject: true, override: {allow: example.org}}}\n");
	TO(&f, "x@one.example", "y@two.example");
	fixture_judge(&f, "Subject: s [override: the client asked]\r\n\r\n.\r\n");
	assert_int_equal(f.v.decisions[0].noverridden, 1);
	assert_int_equal(f.v.decisions[1].noverridden, 0);
	assert_int_equal(f.v.nvariants, 2);
	assert_string_equal(fixture_edited(&f, 1), "Subject: s\r\n\r\n.\r\n");
	fixture_end(&f);
}

static void
test_override_limits(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	fixture_load(&f, OVERRIDE "  - {id: b, when: {subject: {words: [secret]}}, then: {hold: group:dpo}}\n");
	/* the other rules stay */
	fixture_judge(&f, "Subject: secret [override: the client asked]\r\n\r\n.\r\n");
	assert_outcome(&f, 0, "hold");
	assert_int_equal(f.v.decisions[0].noverridden, 1);
	fixture_load(&f, OVERRIDE);
	/* who may not is not told how */
	f.env.sender = SPAN_LIT("x@elsewhere.example");
	fixture_judge(&f, "Subject: secret [override: the client asked]\r\n\r\n.\r\n");
	assert_outcome(&f, 0, "reject");
	assert_null(strstr(arena_str(f.arena, f.v.decisions[0].reply), "override"));
	f.env.sender = SPAN_LIT("m.durand@example.org");
	/* not with a virus, not after its day */
	f.facts.av = AV_VIRUS;
	fixture_judge(&f, "Subject: secret [override: the client asked]\r\n\r\n.\r\n");
	assert_outcome(&f, 0, "reject");
	f.facts.av = AV_CLEAN;
	f.facts.now = INT64_C(1798761600000000);	/* 1 January 2027 */
	fixture_judge(&f, "Subject: secret [override: the client asked]\r\n\r\n.\r\n");
	assert_outcome(&f, 0, "reject");
	f.facts.now -= 1;
	fixture_judge(&f, "Subject: secret [override: the client asked]\r\n\r\n.\r\n");
	assert_outcome(&f, 0, "deliver");
	/* where no rule allows it, the words are only words */
	fixture_load(&f, "rules:\n  - {id: a, when: {to: z.example}, then: {reject: true, override: {allow: example.org}}}\n");
	fixture_judge(&f, "Subject: hello [override: the client asked]\r\n\r\n.\r\n");
	assert_int_equal(f.v.decisions[0].variant, 0);
	fixture_end(&f);
}

static int
template_files(void *ctx, struct span path, struct span *text, struct err *err)
{
	if (span_is(path, "templates/held.en.txt"))
		*text = SPAN_LIT("Subject: Wait for $ref\n\nRule $rule.\n");
	else if (span_is(path, "templates/own.txt"))
		*text = SPAN_LIT("No subject, $sender\n");
	else if (span_is(path, "templates/bad.fr.txt"))
		*text = SPAN_LIT("Hello $nobody\n");
	else
		return err_set(err, 2, "none");
	return 0;
}

static void
test_languages(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	fixture_load(&f, "defaults: {language: fr, languages: {en: [.uk.example, boss@example.org]}}\n"
	    "rules:\n  - {id: a, when: {to: [webmail.example, x.uk.example]}, then: {notify: [sender, recipient, boss@example.org]}}\n");
	TO(&f, "x@webmail.example", "y@x.uk.example");
	fixture_judge(&f, MAIL("hello"));
	assert_int_equal(f.v.nnotices, 4);
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(arena_str(f.arena, f.v.notices[i].language),
		    span_is(f.v.notices[i].to, "boss@example.org") || span_is(f.v.notices[i].to, "y@x.uk.example") ?
		    "en" : "fr");
	fixture_end(&f);
}

/* Files of the policy folder take the place of what is built in. */
static void
test_templates(void **state)
{
	struct policy_env env = { .read_file = template_files, .now = NOW };
	struct policy_source file = { "t.yaml", SPAN_LIT("rules:\n"
	    "  - {id: a, when: {to: webmail.example}, then: {notify: {sender: held, a@b.example: own.txt, recipient: changed}}}\n") };
	struct fixture f;

	fixture_begin(&f);
	f.p = policy_load(&file, 1, &env, &f.d);
	assert_non_null(f.p);
	fixture_judge(&f, HEAD "Content-Language: fr\r\n\r\n.\r\n");
	assert_int_equal(f.v.nnotices, 3);
	assert_true(span_starts(f.v.notices[0].subject, SPAN_LIT("Wait for ")));
	assert_string_equal(arena_str(f.arena, f.v.notices[0].text), "Rule a.\n");
	assert_string_equal(arena_str(f.arena, f.v.notices[1].subject), "Mail policy: a");
	assert_string_equal(arena_str(f.arena, f.v.notices[1].text), "No subject, m.durand@example.org\n");
	assert_string_equal(arena_str(f.arena, f.v.notices[2].language), "fr");
	policy_free(&f.p);
	file.text = SPAN_LIT("rules:\n  - {id: a, when: {to: x.example}, then: {notify: {sender: bad}}}\n");
	f.p = policy_load(&file, 1, &env, &f.d);
	assert_null(f.p);
	fixture_end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bcc),
		cmocka_unit_test(test_notices),
		cmocka_unit_test(test_notices_once),
		cmocka_unit_test(test_holds),
		cmocka_unit_test(test_override),
		cmocka_unit_test(test_override_words),
		cmocka_unit_test(test_override_limits),
		cmocka_unit_test(test_languages),
		cmocka_unit_test(test_templates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
