/* test_policy_files.c -- a folder's commit, the lines that differ, the place of a rule in its file. */
#include <ftw.h>
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

#include "cli/rule_source.h"
#include "cli/textdiff.h"
#include "scanner/archive.h"

#define COMMIT "0123456789abcdef0123456789abcdef01234567"
#define OTHER "89abcdef0123456789abcdef0123456789abcdef"

static char dir[64];
static struct arena *arena;

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	return remove(path);
}

static int
setup(void **state)
{
	strcpy(dir, "/tmp/postern-test-files-XXXXXX");
	arena = arena_new(0);
	return mkdtemp(dir) ? 0 : -1;
}

static int
teardown(void **state)
{
	arena_free(&arena);
	return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void
folder(const char *name)
{
	assert_int_equal(mkdir(arena_printf(arena, "%s/%s", dir, name), 0755), 0);
}

static void
file(const char *name, const char *text)
{
	FILE *f = fopen(arena_printf(arena, "%s/%s", dir, name), "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static const char *
commit(const char *name)
{
	static char out[ARCHIVE_COMMIT + 1];

	commit_of(arena_printf(arena, "%s/%s", dir, name), out);
	return out;
}

static void
test_commit(void **state)
{
	folder("tree");
	folder("tree/policy.d");
	assert_string_equal(commit("tree/policy.d"), "");	/* no work tree */
	folder("tree/.git");
	assert_string_equal(commit("tree/policy.d"), "");
	file("tree/.git/HEAD", COMMIT "\n");			/* detached */
	assert_string_equal(commit("tree/policy.d"), COMMIT);
	assert_string_equal(commit("tree"), COMMIT);
	file("tree/.git/HEAD", "ref: refs/heads/main\n");
	assert_string_equal(commit("tree/policy.d"), "");	/* no commit yet */
	file("tree/.git/packed-refs", "# pack-refs with: peeled fully-peeled sorted\n"
	    OTHER " refs/heads/mainly\n" COMMIT " refs/heads/main\n^" OTHER "\n");
	assert_string_equal(commit("tree/policy.d"), COMMIT);
	folder("tree/.git/refs");
	folder("tree/.git/refs/heads");
	file("tree/.git/refs/heads/main", OTHER "\n");		/* newer than the packed one */
	assert_string_equal(commit("tree/policy.d"), OTHER);
	/* a linked work tree */
	folder("linked");
	folder("tree/.git/worktrees");
	folder("tree/.git/worktrees/linked");
	file("linked/.git", "gitdir: ../tree/.git/worktrees/linked\n");
	file("tree/.git/worktrees/linked/HEAD", "ref: refs/heads/main\n");
	file("tree/.git/worktrees/linked/commondir", "../..\n");
	assert_string_equal(commit("linked"), OTHER);
	assert_string_equal(commit("nowhere"), "");
}

/* The folder may be somebody else's: nothing but a commit ever comes out. */
static void
test_commit_hostile(void **state)
{
	static const char *const heads[] = { "secret text\n", "ref: /etc/passwd\n", "ref: ../../secret\n",
		"ref: refs/../../secret\n", "ref: refs/heads/a b\n", "ref: refs/heads/\x01\n", "", "ref:\n",
		"0123456789abcdef0123456789abcdef0123456\n", "0123456789ABCDEF0123456789ABCDEF01234567\n",
		"ref: refs/heads/.hidden\n" };

	folder(".git");
	file("secret", COMMIT "\n");
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		file(".git/HEAD", heads[i]);
		assert_string_equal(commit("."), "");
	}
	file(".git/HEAD", "ref: refs/loop\n");
	folder(".git/refs");
	file(".git/refs/loop", "ref: refs/loop\n");
	assert_string_equal(commit("."), "");
	remove(arena_printf(arena, "%s/.git/HEAD", dir));
	assert_int_equal(mkfifo(arena_printf(arena, "%s/.git/HEAD", dir), 0644), 0);
	assert_string_equal(commit("."), "");			/* and it does not hang */
}

/* ---- textdiff ---- */

static void
put(void *ctx, char sign, struct span line)
{
	if (sign != '@')
		buf_putc(ctx, sign);
	buf_span(ctx, line);
	buf_putc(ctx, '\n');
}

static const char *
differ(const char *a, const char *b)
{
	struct buf out;
	const char *text;

	buf_init(&out, 1 << 20);
	assert_int_equal(textdiff(span_str(a), span_str(b), put, &out), strcmp(a, b) != 0);
	text = arena_str(arena, buf_data(&out));
	buf_release(&out);
	return text;
}

static void
test_textdiff(void **state)
{
	struct buf a, b;

	assert_string_equal(differ("a\nb\n", "a\nb\n"), "");
	assert_string_equal(differ("", ""), "");
	assert_string_equal(differ("", "a\nb"), "@@ -0,0 +1,2 @@\n+a\n+b\n");
	assert_string_equal(differ("a\n", ""), "@@ -1,1 +0,0 @@\n-a\n");
	assert_string_equal(differ("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nx\n6\n7\n8\n9\n"),
	    "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+x\n 6\n 7\n 8\n");
	/* two places far apart, an insertion and a removal */
	assert_string_equal(differ("a\nb\n1\n2\n3\n4\n5\n6\n7\n8\nc\nd\n", "b\n1\n2\n3\n4\n5\n6\n7\n8\nc\nnew\nd\n"),
	    "@@ -1,4 +1,3 @@\n-a\n b\n 1\n 2\n@@ -9,4 +8,5 @@\n 7\n 8\n c\n+new\n d\n");
	/* too much to compare line by line */
	buf_init(&a, 1 << 20);
	buf_init(&b, 1 << 20);
	for (int i = 0; i < 6000; i++) {
		buf_printf(&a, "%d\n", i);
		buf_printf(&b, "%d\n", -i - 1);
	}
	assert_non_null(strstr(differ(arena_str(arena, buf_data(&a)), arena_str(arena, buf_data(&b))),
	    "-5999\n+-1\n"));
	buf_release(&a);
	buf_release(&b);
}

/* ---- rules in files ---- */

static const char yaml[] =
    "version: 1\n"
    "rules:\n"
    "  # of the first\n"
    "  - id: one\n"
    "    mode: \"shadow\"   # é, why\n"
    "\n"
    "    then: {deliver: true}\n"
    "  # of the second\n"
    "  - {id: two, mode: shadow,\n"
    "     then: {deliver: true}}\n"
    "groups: {}\n";

static void
test_rule_source(void **state)
{
	struct policy_source files[] = { { "a.yaml", SPAN_LIT("version: 1\n# two\n") }, { "b.yaml", span_str(yaml) } };
	struct policy_parts parts = { .files = files, .nfiles = 2 };
	struct rule_source src;
	const struct conf_node *mode;
	size_t at;

	assert_true(rule_source_find(&parts, SPAN_LIT("one"), arena, &src));
	assert_int_equal(src.file, 1);
	assert_int_equal(src.line, 4);
	assert_string_equal(arena_str(arena, src.text), "  - id: one\n    mode: \"shadow\"   # é, why\n\n"
	    "    then: {deliver: true}\n");
	mode = conf_get(src.node, "mode");
	assert_true(scalar_place(files[1].text, mode, &at));
	assert_memory_equal(yaml + at, "shadow\"", 7);
	assert_true(rule_source_find(&parts, SPAN_LIT("two"), arena, &src));
	assert_string_equal(arena_str(arena, src.text), "  - {id: two, mode: shadow,\n     then: {deliver: true}}\n");
	mode = conf_get(src.node, "mode");
	assert_true(scalar_place(files[1].text, mode, &at));
	assert_memory_equal(yaml + at, "shadow,", 7);
	assert_false(rule_source_find(&parts, SPAN_LIT("three"), arena, &src));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_commit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_commit_hostile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_textdiff, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rule_source, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
