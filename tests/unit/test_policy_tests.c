/* test_policy_tests.c -- the runner of policy tests, on the shipped policy and on broken tests. */
#include "policy_fixture.h"
#include "postern/policy_tests.h"

#define SHIPPED "etc/policy.d/"

static struct span
slurp(struct arena *a, const char *name)
{
	FILE *f = fopen(name, "rb");
	char *p = arena_alloc(a, 1 << 18);
	size_t n;

	if (!f)
		print_error("cannot open %s\n", name);
	assert_non_null(f);
	n = fread(p, 1, 1 << 18, f);
	assert_true(n < 1 << 18);
	fclose(f);
	return span_make(p, n);
}

static char *
run(struct fixture *f, const char *name, struct span text, struct policy_test_result *r)
{
	struct policy_test_env env = { .read_file = fixture_file, .now = NOW };
	const struct policy_source file = { name, text };
	struct diags d;
	struct buf out;
	char *said;

	diags_init(&d, f->arena);
	buf_init(&out, 1 << 20);
	policy_tests_run(f->p, &file, 1, &env, &d, &out, r);
	diags_print(&d, &out, NULL, false);
	said = arena_str(f->arena, buf_data(&out));
	buf_release(&out);
	return said;
}

static void
test_shipped(void **state)
{
	static const char *const names[] = { "10-base.yaml", "20-dlp.yaml", "30-attachments.yaml",
		"40-size.yaml" };
	struct policy_source files[4];
	struct policy_test_result r;
	struct fixture f;
	char *said;

	fixture_begin(&f);
	for (int i = 0; i < 4; i++)
		files[i] = (struct policy_source){ names[i],
			slurp(f.arena, arena_printf(f.arena, SHIPPED "%s", names[i])) };
	fixture_load_files(&f, files, 4);
	if (!f.p)
		print_error("%s", f.said);
	assert_non_null(f.p);
	said = run(&f, "shipped.test.yaml", slurp(f.arena, SHIPPED "tests/shipped.test.yaml"), &r);
	if (r.failed)
		print_error("%s", said);
	assert_int_equal(r.failed, 0);
	assert_true(r.passed >= 10);
	assert_non_null(strstr(said, " passed, 0 failed\n"));
	fixture_end(&f);
}

static void
test_differences(void **state)
{
	struct policy_test_result r;
	struct fixture f;
	char *said;

	fixture_begin(&f);
	fixture_load(&f, "rules:\n"
	    "  - {id: a, when: {to: x.example}, then: {reject: true, add_header: {X-A: b}}}\n"
	    "  - {id: p, when: {to: y.example}, then: {prefix_subject: '[P]', add_header: {X-A: b}}}\n");
	said = run(&f, "t.test.yaml", SPAN_LIT(
	    "version: 1\n"
	    "tests:\n"
	    "  - name: one\n"
	    "    from: a@b.example\n"
	    "    to: [u@x.example, v@y.example]\n"
	    "    message: {subject: s, body: b}\n"
	    "    expect:\n"
	    "      u@x.example: {outcome: deliver,\n"
	    "        rules: [a]}\n"
	    "      v@y.example: {outcome: deliver, rules: [b], subject: '[P] s', header: {X-A: c}}\n"
	    "  - {name: two, from: '<>', to: v@y.example, message: {same_as: 1}, expect: {all: {outcome: deliver}}}\n"
	    "  - {name: three, from: '<>', to: v@y.example, message: {same_as: 7}, expect: {all: {outcome: delivre}}}\n"
	    "  - {name: four, form: '<>', to: v@y.example, as_if: {aa: off}, expect: {all: {outcome: deliver}}}\n"
	    "  - {name: five, from: a@b.example, to: v@y.example, as_if: {q: off}, expect: {w@y.example: {outcome: delivr}}}\n"), &r);
	assert_int_equal(r.passed, 1);
	assert_int_equal(r.failed, 4);
	assert_non_null(strstr(said, "FAIL one\n  t.test.yaml:8: u@x.example: outcome: expected deliver, got reject\n"));
	assert_non_null(strstr(said, "  t.test.yaml:10: v@y.example: rules: expected [b], got [p]\n"));
	assert_non_null(strstr(said, "  t.test.yaml:10: v@y.example: X-A: expected c, got b\n"));
	assert_null(strstr(said, "subject: expected"));
	assert_non_null(strstr(said, "1 passed, 4 failed\n"));
	assert_non_null(strstr(said, "unknown key `form` in a test"));
	assert_non_null(strstr(said, "no message of a test 7"));
	assert_non_null(strstr(said, "unknown rule `q`"));
	assert_non_null(strstr(said, "`w@y.example` is no recipient of this test"));
	fixture_end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shipped),
		cmocka_unit_test(test_differences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
