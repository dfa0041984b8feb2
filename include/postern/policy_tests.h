/* policy_tests.h -- runs the tests that stand beside a policy (*.test.yaml).
 *
 * Pure, as policy.h: files come as text, fixtures are asked of read_file, and
 * who wants an antivirus in it builds the message himself.
 */
#ifndef POSTERN_POLICY_TESTS_H
#define POSTERN_POLICY_TESTS_H

#include "postern/policy.h"

struct policy_test_env {
	/* A fixture (`eml:`, `file:`), path as written in the test file; NULL: none. The text must
	 * outlive the run. */
	int (*read_file)(void *ctx, struct span path, struct span *text, struct err *err);
	/* Anatomy and what the antivirus says; NULL: anatomy_build() alone, antivirus clean. A
	 * test's own `virus:` is set behind it. */
	void (*build)(void *ctx, struct arena *a, struct span raw, struct anatomy *an,
	    struct facts *facts);
	void *ctx;
	int64_t now;		/* for tests that do not name a day */
};

struct policy_test_result {
	size_t passed, failed;
};

/* Prints each difference with file:line into out (its maximum is the caller's), and
 * "N passed, N failed" at the end. What is wrong with a test file itself goes to d; a test that
 * cannot be read counts as failed. */
void policy_tests_run(const struct policy *p, const struct policy_source *files, size_t nfiles,
    const struct policy_test_env *env, struct diags *d, struct buf *out,
    struct policy_test_result *result);

#endif
