/* test_approval.c -- tokens that cannot be made or bent, and whose voice counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "store/approval.h"

#define S(text) SPAN_LIT(text)

static const unsigned char key[APPROVAL_KEY] = "an example of thirty-two bytes!";

static struct token
example(void)
{
	struct token t = { .kid = 7, .id = UINT64_C(0x123456789abcdef0), .expires = 1000,
		.nonce = "abcdefghijk" };

	token_person(S("dpo@example.org"), t.person);
	return t;
}

static void
test_token(void **state)
{
	struct token t = example(), r;
	char text[APPROVAL_TOKEN_TEXT], again[APPROVAL_TOKEN_TEXT];
	unsigned char other[APPROVAL_KEY], person[8];
	const char *why;

	token_write(&t, key, text);
	assert_int_equal(strlen(text), 87);
	assert_null(strpbrk(text, "+/="));
	assert_true(token_read(span_str(text), key, 999, &r, &why));
	assert_int_equal(r.kid, 7);
	assert_true(r.id == t.id && r.expires == 1000);
	assert_memory_equal(r.nonce, t.nonce, APPROVAL_NONCE);
	token_person(S("DPO@Example.org"), person);
	assert_memory_equal(r.person, person, 8);
	/* too old from its last second on */
	assert_false(token_read(span_str(text), key, 1000, &r, &why));
	assert_string_equal(why, "the link is too old");
	memcpy(other, key, sizeof(other));
	other[31] ^= 1;
	assert_false(token_read(span_str(text), other, 999, &r, &why));
	/* no letter may be another */
	for (size_t i = 0; i < 87; i++) {
		memcpy(again, text, sizeof(again));
		again[i] = again[i] == 'A' ? 'B' : 'A';
		assert_false(token_read(span_str(again), key, 999, &r, &why));
	}
	assert_false(token_read(span_sub(span_str(text), 0, 86), key, 999, &r, &why));
	assert_false(token_read(S(""), key, 999, &r, &why));
	assert_false(token_read(S("!!!!"), key, 999, &r, &why));
}

static const struct span dpo[] = { { "a@example.org", 13 }, { "b@example.org", 13 },
	{ "c@example.org", 13 } };
static const struct span legal[] = { { "a@example.org", 13 }, { ".law.example", 12 } };

static void
test_one_person(void **state)
{
	struct need n = { S("r"), 1, dpo, 3 };
	struct vote v[] = { { S("x@example.org"), true }, { S("A@example.org"), true } };

	assert_int_equal(approval_judge(&n, 1, S("m@example.org"), v, 0), APPROVAL_WAITS);
	assert_int_equal(approval_judge(&n, 1, S("m@example.org"), v, 1), APPROVAL_WAITS);
	assert_int_equal(approval_judge(&n, 1, S("m@example.org"), v, 2), APPROVAL_GIVEN);
	/* nobody approves his own */
	assert_int_equal(approval_judge(&n, 1, S("a@example.org"), v, 2), APPROVAL_WAITS);
	/* nothing is asked: nothing is given */
	assert_int_equal(approval_judge(&n, 0, S("m@example.org"), v, 2), APPROVAL_WAITS);
	n.approvals = 0;
	assert_int_equal(approval_judge(&n, 1, S("m@example.org"), v, 2), APPROVAL_WAITS);
}

static void
test_two_persons(void **state)
{
	struct need n[] = { { S("r"), 2, dpo, 3 }, { S("l"), 1, legal, 2 } };
	struct vote same[] = { { S("b@example.org"), true }, { S("B@example.org"), true } };
	struct vote two[] = { { S("b@example.org"), true }, { S("c@example.org"), true },
		{ S("x@sub.law.example"), true } };
	struct vote both[] = { { S("b@example.org"), true }, { S("a@example.org"), true } };
	struct vote no[] = { { S("x@example.org"), false }, { S("b@example.org"), true },
		{ S("x@sub.law.example"), false } };

	assert_int_equal(approval_judge(n, 1, S(""), same, 2), APPROVAL_WAITS);
	assert_int_equal(approval_judge(n, 1, S(""), two, 2), APPROVAL_GIVEN);
	/* each rule is asked for on its own */
	assert_int_equal(approval_judge(n, 2, S(""), two, 2), APPROVAL_WAITS);
	assert_int_equal(approval_judge(n, 2, S(""), two, 3), APPROVAL_GIVEN);
	/* one voice counts for both */
	assert_int_equal(approval_judge(n, 2, S(""), both, 2), APPROVAL_GIVEN);
	/* a stranger's refusal is none, an approver's decides */
	assert_int_equal(approval_judge(n, 2, S(""), no, 2), APPROVAL_WAITS);
	assert_int_equal(approval_judge(n, 2, S(""), no, 3), APPROVAL_DENIED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_token),
		cmocka_unit_test(test_one_person),
		cmocka_unit_test(test_two_persons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
