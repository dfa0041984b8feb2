/* test_policy_schema.c -- each key of the language has a place in its JSON Schema and words in its manual. */
#include "policy_fixture.h"
#include "rules/load.h"

static void
test_every_key(void **state)
{
	int bad = 0;

	assert_true(npolicy_keys > 150);
	for (size_t i = 0; i < npolicy_keys; i++) {
		const struct key *k = &policy_keys[i];
		const char *value = k->type == KEY_ENUM ? "names" : k->shape ? k->shape :
		    key_type_words(k->type);

		if (!schema_has(k) || !k->help || !*k->help || !*value || !*section_id(k->section)) {
			print_error("`%s` of %s: no form in schema.c, or no words\n", k->name,
			    section_name(k->section));
			bad++;
		}
	}
	assert_int_equal(bad, 0);
}

/* A key stands once in its section: the first would hide the others. */
static void
test_once(void **state)
{
	for (size_t i = 0; i < npolicy_keys; i++)
		for (size_t k = 0; k < i; k++)
			if (policy_keys[i].section == policy_keys[k].section &&
			    strcmp(policy_keys[i].name, policy_keys[k].name) == 0)
				fail_msg("%s stands twice in %s", policy_keys[i].name,
				    section_name(policy_keys[i].section));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_key),
		cmocka_unit_test(test_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
