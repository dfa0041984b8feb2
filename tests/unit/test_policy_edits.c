/* test_policy_edits.c -- what rules change in a message, byte by byte. */
#include "policy_fixture.h"

static void
test_add_remove(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	fixture_load(&f, "rules:\n"
	    "  - {id: a, then: {add_header: {X-A: '$rule of $sender', X-B: two}, remove_header: [x-old, X-Int-*]}}\n"
	    "  - {id: b, then: {add_header: {X-B: two}}}\n");
	fixture_judge(&f, "X-Old: 1\r\n folded\r\nSubject: s\r\nX-Int-1: a\r\nx-int-2: b\r\nX-Older: stays\r\n\r\nbody\r\n");
	assert_string_equal(fixture_edited(&f, 0),
	    "X-A: a of m.durand@example.org\r\nX-B: two\r\nSubject: s\r\nX-Older: stays\r\n\r\nbody\r\n");
	fixture_end(&f);
}

static void
test_prefix(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	fixture_load(&f, "rules:\n  - {id: a, then: {prefix_subject: '[SPAM]'}}\n");
	fixture_judge(&f, "Subject: hello\r\n\r\nbody\r\n");
	assert_string_equal(fixture_edited(&f, 0), "Subject: [SPAM] hello\r\n\r\nbody\r\n");
	fixture_judge(&f, "Subject:hello\r\n\r\nbody\r\n");
	assert_string_equal(fixture_edited(&f, 0), "Subject: [SPAM] hello\r\n\r\nbody\r\n");
	fixture_judge(&f, "Subject:\r\n\r\nbody\r\n");
	assert_string_equal(fixture_edited(&f, 0), "Subject: [SPAM]\r\n\r\nbody\r\n");
	fixture_judge(&f, "Subject:\r\n folded\r\n\r\nbody\r\n");
	assert_string_equal(fixture_edited(&f, 0), "Subject: [SPAM]\r\n folded\r\n\r\nbody\r\n");
	fixture_judge(&f, "From: a@b.example\r\n\r\nbody\r\n");
	assert_string_equal(fixture_edited(&f, 0), "Subject: [SPAM]\r\nFrom: a@b.example\r\n\r\nbody\r\n");
	/* never twice, a reply's Re: or an encoded spelling notwithstanding */
	fixture_judge(&f, "Subject: Re: [SPAM] hello\r\n\r\nbody\r\n");
	assert_int_equal(f.v.decisions[0].variant, 0);
	fixture_judge(&f, "Subject: =?utf-8?B?W1NQQU1dIGhlbGxv?=\r\n\r\nbody\r\n");
	assert_int_equal(f.v.decisions[0].variant, 0);
	/* a second Subject is prefixed too: programs differ on which they show */
	fixture_judge(&f, "Subject: a\r\nSubject: b\r\n\r\nbody\r\n");
	assert_string_equal(fixture_edited(&f, 0), "Subject: [SPAM] a\r\nSubject: [SPAM] b\r\n\r\nbody\r\n");
	/* line ends as the message has them */
	fixture_judge(&f, "From: a@b.example\n\nbody\n");
	assert_string_equal(fixture_edited(&f, 0), "Subject: [SPAM]\nFrom: a@b.example\n\nbody\n");
	fixture_end(&f);
}

static void
test_prefix_encoded(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	fixture_load(&f, "rules:\n  - {id: a, then: {prefix_subject: '[Sécurité]'}}\n"
	    "  - {id: b, when: {to: two.example}, then: {prefix_subject: '[B]'}}\n");
	fixture_judge(&f, "Subject: hello\r\n\r\n.\r\n");
	assert_string_equal(fixture_edited(&f, 0), "Subject: =?UTF-8?B?W1PDqWN1cml0w6ld?= hello\r\n\r\n.\r\n");
	/* before an encoded word the space must be inside (RFC 2047, 6.2) */
	fixture_judge(&f, "Subject: =?utf-8?q?=C3=A9t=C3=A9?=\r\n\r\n.\r\n");
	assert_string_equal(fixture_edited(&f, 0),
	    "Subject: =?UTF-8?B?W1PDqWN1cml0w6ldIA==?= =?utf-8?q?=C3=A9t=C3=A9?=\r\n\r\n.\r\n");
	/* what we write we read again */
	anatomy_build(f.arena, span_str(fixture_edited(&f, 0)), NULL, &f.an);
	assert_string_equal(arena_str(f.arena, f.an.subject), "[Sécurité] été");
	TO(&f, "x@one.example", "y@two.example");
	fixture_judge(&f, "Subject: hi\r\n\r\n.\r\n");
	assert_int_equal(f.v.nvariants, 3);
	anatomy_build(f.arena, span_str(fixture_edited(&f, 1)), NULL, &f.an);
	assert_string_equal(arena_str(f.arena, f.an.subject), "[Sécurité] [B] hi");
	fixture_end(&f);
}

static void
test_prefix_removed(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	fixture_load(&f, "rules:\n  - {id: a, then: {prefix_subject: '[X]', remove_header: subject, add_header: {X-A: b}}}\n");
	fixture_judge(&f, "Subject: secret\r\nFrom: a@b.example\r\n\r\n.\r\n");
	assert_string_equal(fixture_edited(&f, 0), "X-A: b\r\nSubject: [X]\r\nFrom: a@b.example\r\n\r\n.\r\n");
	fixture_end(&f);
}

/* Nothing a stranger writes becomes a line of its own. */
static void
test_injection(void **state)
{
	struct fixture f;
	char *out;

	fixture_begin(&f);
	fixture_load(&f, "rules:\n  - {id: a, then: {add_header: {X-Files: '$filenames', X-From: '$sender'}, prefix_subject: '[$sender]'}}\n");
	f.env.sender = SPAN_LIT("a\r\nBcc: evil@example.net\r\n\r\n@example.org");
	fixture_judge(&f, "Subject: s\r\nMIME-Version: 1.0\r\nContent-Type: application/x; name*=utf-8''a%0D%0ABcc:%20x@y.example%0D%0A.txt\r\n\r\nMZ\r\n");
	out = fixture_edited(&f, 0);
	assert_null(strstr(out, "\nBcc:"));
	anatomy_build(f.arena, span_str(out), NULL, &f.an);
	assert_null(part_header(&f.an.parts[0], "Bcc"));
	assert_non_null(part_header(&f.an.parts[0], "X-Files"));
	assert_int_equal(f.an.parts[0].nheaders, 5);
	fixture_end(&f);
}

static void
test_folding(void **state)
{
	struct fixture f;
	struct span sender;
	char *out, *p;

	fixture_begin(&f);
	fixture_load(&f, "rules:\n"
	    "  - {id: a, then: {add_header: {X-Long: 'one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen'}}}\n"
	    "  - {id: b, then: {prefix_subject: '[PREFIX]'}}\n");
	p = arena_printf(f.arena, "Subject: %0*d x\r\n\r\n.\r\n", 985, 0);
	fixture_judge(&f, p);
	out = fixture_edited(&f, 0);
	for (char *line = out; *line; ) {
		size_t n = strcspn(line, "\n");

		assert_true(n <= 999);
		line += n + (line[n] == '\n');
	}
	anatomy_build(f.arena, span_str(out), NULL, &f.an);
	assert_non_null(strstr(arena_str(f.arena, part_header(&f.an.parts[0], "X-Long")->value),
	    "eleven twelve thirteen fourteen"));
	assert_true(span_starts(f.an.subject, SPAN_LIT("[PREFIX] 000")));
	sender = f.env.sender;
	assert_true(sender.n > 0);
	fixture_end(&f);
}

/* A message without headers keeps its body out of them. */
static void
test_no_header(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	fixture_load(&f, "rules:\n  - {id: a, then: {add_header: {X-A: b}}}\n");
	fixture_judge(&f, "\r\nbody\r\n");
	assert_string_equal(fixture_edited(&f, 0), "X-A: b\r\n\r\nbody\r\n");
	fixture_judge(&f, "");
	anatomy_build(f.arena, span_str(fixture_edited(&f, 0)), NULL, &f.an);
	assert_non_null(part_header(&f.an.parts[0], "X-A"));
	fixture_end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add_remove),
		cmocka_unit_test(test_prefix),
		cmocka_unit_test(test_prefix_encoded),
		cmocka_unit_test(test_prefix_removed),
		cmocka_unit_test(test_injection),
		cmocka_unit_test(test_folding),
		cmocka_unit_test(test_no_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
