/* test_policy_errors.c -- broken policies, and what people are told.
 *
 * tests/corpus/policy/NAME.yaml is loaded; every line of NAME.expect must
 * stand in what is printed. A file whose expectations hold only warnings must
 * load. POLICY_SHOW=1 prints what is said, for writing expectations.
 */
#include <dirent.h>

#include "policy_fixture.h"

#define FOLDER "tests/corpus/policy"

static char *
slurp(const char *name)
{
	FILE *f = fopen(name, "rb");
	char *p = calloc(1, 1 << 20);

	if (f) {
		assert_true(fread(p, 1, (1 << 20) - 1, f) < (1 << 20) - 1);
		fclose(f);
		return p;
	}
	free(p);
	return NULL;
}

static int
one(const char *name)
{
	struct fixture f;
	char path[512], file[300], *yaml, *expect, *line, *save = NULL;
	struct policy_source source;
	bool errors;
	int bad = 0;

	snprintf(path, sizeof(path), FOLDER "/%s.yaml", name);
	yaml = slurp(path);
	assert_non_null(yaml);
	snprintf(file, sizeof(file), "%s.yaml", name);
	source = (struct policy_source){ file, span_str(yaml) };
	fixture_begin(&f);
	fixture_load_files(&f, &source, 1);
	if (getenv("POLICY_SHOW"))
		printf("### %s\n%s\n", name, f.said);
	snprintf(path, sizeof(path), FOLDER "/%s.expect", name);
	expect = slurp(path);
	if (!expect) {
		print_error("%s has no .expect\n", name);
		bad = 1;
		expect = calloc(1, 1);
	}
	errors = strstr(expect, "error: ") != NULL;
	if (!*expect && *f.said) {
		print_error("%s: expected silence, got\n%s\n", name, f.said);
		bad = 1;
	}
	for (line = strtok_r(expect, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (!strstr(f.said, line)) {
			print_error("%s: missing `%s` in\n%s\n", name, line, f.said);
			bad = 1;
		}
	if (errors != (f.p == NULL)) {
		print_error("%s: %s\n%s\n", name, f.p ? "was accepted" : "was refused", f.said);
		bad = 1;
	}
	fixture_end(&f);
	free(expect);
	free(yaml);
	return bad;
}

static void
test_corpus(void **state)
{
	DIR *d = opendir(FOLDER);
	struct dirent *e;
	int n = 0, bad = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		char *dot = strrchr(e->d_name, '.');

		if (!dot || strcmp(dot, ".yaml") != 0)
			continue;
		*dot = '\0';
		n++;
		bad += one(e->d_name);
	}
	closedir(d);
	assert_true(n >= 100);
	assert_int_equal(bad, 0);
}

/* The example of the design page, word for word. */
static void
test_page(void **state)
{
	struct fixture f;
	const struct policy_source file = { "policy.d/50-health.yaml",
		SPAN_LIT("rules:\n  - id: a\n    when:\n      recipient: webmail.example\n    then: discard\n") };
	struct buf b;

	fixture_begin(&f);
	fixture_load_files(&f, &file, 1);
	buf_init(&b, 1 << 16);
	diags_print(&f.d, &b, "the running policy (7c1e) is unchanged", false);
	buf_putc(&b, '\0');
	assert_string_equal(buf_data(&b).p,
	    "error: unknown key `recipient` in `when`\n"
	    "  --> policy.d/50-health.yaml:4:7\n"
	    "   |\n"
	    " 4 |       recipient: webmail.example\n"
	    "   |       ^^^^^^^^^ did you mean `to`?  (`recipients` counts them)\n"
	    "   = the running policy (7c1e) is unchanged\n");
	buf_release(&b);
	fixture_end(&f);
}

/* Errors of several files are all there; an id of one file is known in another. */
static void
test_files(void **state)
{
	struct fixture f;
	const struct policy_source files[] = {
		{ "b.yaml", SPAN_LIT("rules:\n  - {id: r, when: {to: group:g}, then: {hold: group:none}}\n") },
		{ "a.yaml", SPAN_LIT("groups: {g: [x.example]}\nrules:\n  - {id: r, then: discard}\n  - {id: q, thn: 1}\n") },
	};

	fixture_begin(&f);
	fixture_load_files(&f, files, 2);
	assert_null(f.p);
	assert_non_null(strstr(f.said, "rule `r` stands twice (first at a.yaml:3)"));
	assert_non_null(strstr(f.said, "unknown key `thn`"));
	assert_non_null(strstr(f.said, "`group:none` is neither a group nor an address"));
	assert_null(strstr(f.said, "unknown group"));
	fixture_end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_corpus),
		cmocka_unit_test(test_page),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
