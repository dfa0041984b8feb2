/* test_spf_engines.c -- libspf2 beside the strict engine: who decides, what is compared, what is known to differ. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "spf_cases.h"
#include "verifier/spf_libspf2.h"

static struct spf_suite suite;

/* docs/SPF.md names the number of differences; it is that of the cases. */
static void
test_differences_as_documented(void **state)
{
	unsigned differ = 0, false_pass = 0, compared = 0;
	struct span doc;
	char want[160];
	struct err err;

	for (size_t i = 0; i < suite.n; i++) {
		struct arena *a = arena_new(1 << 16);
		const struct spf_result *r = spf_case_run(a, &suite.cases[i], SPF_BOTH, false, 0, NULL);
		struct arena *b = arena_new(1 << 16);
		const struct spf_result *alone = spf_case_run(b, &suite.cases[i], SPF_STRICT, false, 0, NULL);

		assert_int_equal(r->result, alone->result);
		assert_true(span_eq(r->explanation, alone->explanation));
		assert_false(alone->compared);
		compared += r->compared;
		differ += r->disagrees;
		false_pass += r->disagrees && r->second == AUTH_PASS;
		assert_int_equal(r->disagrees, r->compared && r->second != r->result);
		arena_free(&a);
		arena_free(&b);
	}
	assert_true(compared > suite.n / 2);
	snprintf(want, sizeof(want), "libspf2 differs in %u of %zu cases; %u of them are a pass that is none",
	    differ, suite.n, false_pass);
	assert_int_equal(fs_read(suite.a, "docs/SPF.md", 1 << 20, &doc, &err), 0);
	if (memmem(doc.p, doc.n, want, strlen(want)) == NULL)
		fail_msg("docs/SPF.md should say: %s", want);
}

static const struct spf_case *
find(const char *id)
{
	for (size_t i = 0; i < suite.n; i++)
		if (span_is(suite.cases[i].id, id))
			return &suite.cases[i];
	fail_msg("no case %s", id);
	return NULL;
}

static enum auth_result
second_alone(const char *id, unsigned *questions)
{
	struct arena *a = arena_new(1 << 16);
	struct dns_book *book;
	const struct spf_result *r = spf_case_run(a, find(id), SPF_LIBSPF2, false, 0, &book);
	enum auth_result result = r->result;

	assert_false(r->compared);
	*questions = (unsigned)dns_book_count(book);
	arena_free(&a);
	return result;
}

/* The limits that libspf2 lacks are ours. */
static void
test_limits_of_the_second(void **state)
{
	unsigned n;

	assert_int_equal(second_alone("void-3", &n), AUTH_PERMERROR);
	assert_int_equal(second_alone("void-2", &n), AUTH_PASS);
	assert_int_equal(second_alone("includes-11-deep", &n), AUTH_PERMERROR);
	assert_int_equal(second_alone("includes-10-deep", &n), AUTH_PASS);
	assert_int_equal(second_alone("include-over-limit", &n), AUTH_PERMERROR);
	assert_int_equal(second_alone("redirect-loop", &n), AUTH_PERMERROR);
	assert_true(n <= SPF_SECOND_LOOKUPS_MAX + 1);
	assert_int_equal(second_alone("sender-domain", &n), AUTH_PASS);
	assert_int_equal(n, 1);
	assert_int_equal(second_alone("redirect-fails", &n), AUTH_FAIL);
}

/* What is said of a comparison, and only where both have judged. */
static void
test_comparison(void **state)
{
	struct arena *a = arena_new(0);
	const struct spf_result *r = spf_case_run(a, find("ip4-leading-zero"), SPF_BOTH, false, 0, NULL);

	assert_true(r->compared && r->disagrees);
	assert_int_equal(r->result, AUTH_PERMERROR);
	assert_int_equal(r->second, AUTH_PASS);
	r = spf_case_run(a, find("sender-domain"), SPF_BOTH, false, 0, NULL);
	assert_true(r->compared && !r->disagrees);
	r = spf_case_run(a, find("helo-literal"), SPF_BOTH, false, 0, NULL);	/* there is nothing to judge */
	assert_false(r->compared || r->disagrees);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_differences_as_documented),
		cmocka_unit_test(test_limits_of_the_second),
		cmocka_unit_test(test_comparison),
	};

	spf_suite_load(&suite, "tests/corpus/spf/*.yml");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
