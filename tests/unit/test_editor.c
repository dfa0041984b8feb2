/* test_editor.c -- which files of a policy may be edited, how they are replaced, and a policy as it would be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "editor/editor.h"
#include "fs.h"
#include "scanner/load_policy.h"

#define RULE(id) "version: 1\nrules:\n  - {id: " id ", when: {subject: {words: [x]}}, then: {reject: \"5.7.1 no\"}}\n"

static char folder[] = "/tmp/postern-editor-XXXXXX";
static struct arena *arena;

static char *
path(const char *name)
{
	return arena_printf(arena, "%s/%s", folder, name);
}

static void
put(const char *name, const char *text)
{
	FILE *f = fopen(path(name), "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void
test_names(void **state)
{
	static const char *const good[] = { "10-base.yaml", "a.YAML", "tests/x.test.yaml", "lists/vip.txt" };
	static const char *const bad[] = { "", ".yaml", ".hidden.yaml", "a.yml", "x.test", "tests/x.yaml", "lists/x.yaml",
		"lists/.x.txt", "../a.yaml", "a/../b.yaml", "/a.yaml", "a/b/c.txt", "a//c.txt", "-a.yaml", "a b.yaml",
		"a\n.yaml", "keys/edm.key", "tests/x.txt", "é.yaml" };
	char longest[EDITOR_NAME_MAX + 2];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(editor_name_good(span_str(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(editor_name_good(span_str(bad[i])));
	assert_false(editor_name_good(span_make("a\0.yaml", 7)));
	memset(longest, 'a', sizeof(longest));
	memcpy(longest + EDITOR_NAME_MAX - 5, ".yaml", 5);
	assert_true(editor_name_good(span_make(longest, EDITOR_NAME_MAX)));
	memcpy(longest + EDITOR_NAME_MAX - 4, ".yaml", 5);
	assert_false(editor_name_good(span_make(longest, EDITOR_NAME_MAX + 1)));
}

static void
test_write_and_hash(void **state)
{
	struct policy_file *files;
	struct span was, text;
	struct stat st;
	struct err err;
	char before[65], after[65];
	size_t n;

	put("b.yaml", "old\n");
	assert_int_equal(chmod(path("b.yaml"), 0640), 0);
	assert_int_equal(mkdir(path("lists"), 0755), 0);
	assert_int_equal(symlink("/etc/passwd", path("link.yaml")), 0);
	assert_int_equal(editor_folder_read(folder, arena, &files, &n, &err), 0);
	assert_int_equal(n, 1);
	editor_folder_hash(files, n, before);

	assert_int_equal(editor_folder_write(folder, SPAN_LIT("b.yaml"), SPAN_LIT("new\n"), arena, &was, &err), 0);
	assert_true(span_is(was, "old\n"));
	assert_int_equal(stat(path("b.yaml"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(editor_folder_write(folder, SPAN_LIT("lists/a.txt"), SPAN_LIT("one\n"), arena, &was, &err), 0);
	assert_null(was.p);
	assert_int_equal(editor_folder_read(folder, arena, &files, &n, &err), 0);
	assert_int_equal(n, 2);
	assert_string_equal(files[0].name, "b.yaml");
	assert_string_equal(files[1].name, "lists/a.txt");
	editor_folder_hash(files, n, after);
	assert_string_not_equal(before, after);

	/* A link is not followed: nothing of what it leads to is told or changed. */
	assert_int_equal(editor_folder_write(folder, SPAN_LIT("link.yaml"), SPAN_LIT("x"), arena, &was, &err), -1);
	assert_int_equal(editor_folder_write(folder, SPAN_LIT("none/a.txt"), SPAN_LIT("x"), arena, &was, &err), -1);

	assert_int_equal(editor_folder_write(folder, SPAN_LIT("lists/a.txt"), (struct span){ 0 }, arena, &was, &err), 0);
	assert_true(span_is(was, "one\n"));
	assert_int_equal(access(path("lists/a.txt"), F_OK), -1);
	assert_int_equal(editor_folder_write(folder, SPAN_LIT("b.yaml"), SPAN_LIT("old\n"), arena, &was, &err), 0);
	assert_int_equal(editor_folder_read(folder, arena, &files, &n, &err), 0);
	editor_folder_hash(files, n, after);
	assert_string_equal(before, after);
	assert_int_equal(fs_read(arena, path("b.yaml"), 100, &text, &err), 0);
	assert_true(span_is(text, "old\n"));
	unlink(path("link.yaml"));
	unlink(path("b.yaml"));
}

static size_t
rules_with(struct overlay_file *files, size_t n, size_t *errors)
{
	struct config conf = { .policy_dir = folder };
	struct policy_overlay over = { files, n };
	struct policy *p;
	struct diags d;
	size_t rules;

	diags_init(&d, arena);
	p = policy_load_overlay(&conf, &over, arena, &d);
	*errors = d.errors;
	rules = p ? policy_rule_count(p) : 0;
	policy_free(&p);
	return rules;
}

static void
test_overlay(void **state)
{
	struct overlay_file files[3];
	size_t errors;

	put("b.yaml", RULE("own"));
	assert_int_equal(rules_with(NULL, 0, &errors), 1);
	files[0] = (struct overlay_file){ SPAN_LIT("a.yaml"), SPAN_LIT(RULE("first")), false };
	files[1] = (struct overlay_file){ SPAN_LIT("tests/a.test.yaml"), SPAN_LIT("not: [a policy"), false };
	assert_int_equal(rules_with(files, 2, &errors), 2);
	files[2] = (struct overlay_file){ SPAN_LIT("b.yaml"), SPAN_LIT(""), true };
	assert_int_equal(rules_with(files, 3, &errors), 1);
	files[0].text = SPAN_LIT(RULE("own"));
	assert_int_equal(rules_with(files, 2, &errors), 0);	/* the same id in two files */
	assert_true(errors > 0);
	/* A list that is there only in the edit, and one that the edit takes away. */
	put("lists/vip.txt", "a@b.example\n");
	files[0] = (struct overlay_file){ SPAN_LIT("b.yaml"), SPAN_LIT("version: 1\ngroups: {vip: \"file:lists/vip.txt\","
	    " new: \"file:lists/new.txt\"}\n"), false };
	files[1] = (struct overlay_file){ SPAN_LIT("lists/new.txt"), SPAN_LIT("c@d.example\n"), false };
	rules_with(files, 2, &errors);
	assert_int_equal(errors, 0);
	files[2] = (struct overlay_file){ SPAN_LIT("lists/vip.txt"), SPAN_LIT(""), true };
	rules_with(files, 3, &errors);
	assert_true(errors > 0);
	unlink(path("lists/vip.txt"));
	unlink(path("b.yaml"));
	rmdir(path("lists"));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_write_and_hash),
		cmocka_unit_test(test_overlay),
	};
	int rc;

	if (mkdtemp(folder) == NULL)
		return 1;
	arena = arena_new(0);
	rc = cmocka_run_group_tests_name("editor", tests, NULL, NULL);
	arena_free(&arena);
	rmdir(folder);
	return rc;
}
