/* cmd_test.c -- `postern test [FILE…]`: the tests that stand beside a policy.
 *
 * Without an argument: all *.test.yaml in tests/ of the policy folder. A test
 * file in a folder `tests` is run against the policy beside which it stands,
 * any other against that of the configuration. Fixtures lie beside the tests.
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/diag_out.h"
#include "clock.h"
#include "postern/policy_tests.h"
#include "scanner/load_policy.h"

#define OUTPUT_MAX ((size_t)16 << 20)

struct testing {
	const struct cli *cli;
	const struct config *conf;	/* NULL: none */
	struct arena *arena;
	struct buf out;
	struct policy_test_result sum;
	bool broken;			/* a policy or a test file with errors */
};

/* "a/b" of "a/b/c", "." of "c". */
static const char *
folder_of(struct arena *a, const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return ".";
	return arena_str(a, span_make(path, slash == path ? 1 : (size_t)(slash - path)));
}

/* only: one file of the folder, or NULL for all. */
static void
run_folder(struct testing *t, const char *policy_dir, const char *tests, const char *only)
{
	struct policy_folder f = { .fd = -1 };
	struct policy_test_env env = { .read_file = policy_folder_read, .ctx = &f,
		.now = clock_real() };
	struct policy_test_result r = { 0 };
	struct policy_source *files, one = { .name = only };
	struct policy *p = NULL;
	size_t nfiles = 1;
	struct diags d;
	struct err err;

	diags_init(&d, t->arena);
	files = &one;
	if (policy_folder_open(&f, tests, t->arena, &err) == -1 || (only &&
	    policy_folder_read(&f, span_str(strrchr(only, '/') ? strrchr(only, '/') + 1 : only),
	    &one.text, &err) == -1))
		diag_at(&d, DIAG_ERROR, NULL, NULL, "%s", err.text);
	else if (only || policy_folder_sources(&f, tests, ".test.yaml", &d, &files, &nfiles))
		p = policy_load_dir(policy_dir, policy_dir, t->conf, false, t->arena, &d);
	if (p)
		policy_tests_run(p, files, nfiles, &env, &d, &t->out, &r);
	diags_show(&d, t->cli, stderr);
	t->broken |= d.errors > 0;
	t->sum.passed += r.passed;
	t->sum.failed += r.failed;
	policy_folder_close(&f);
	if (p)
		policy_free(&p);
}

static void
run_file(struct testing *t, const char *file)
{
	const char *tests = folder_of(t->arena, file);
	const char *name = strrchr(tests, '/') ? strrchr(tests, '/') + 1 : tests;

	if (strcmp(name, "tests") == 0)
		run_folder(t, folder_of(t->arena, tests), tests, file);
	else if (t->conf)
		run_folder(t, t->conf->policy_dir, tests, file);
	else {
		fprintf(stderr, "postern test: %s does not stand in a policy's tests/, and %s "
		    "cannot be read\n", file, t->cli->config_path);
		t->broken = true;
	}
}

static void
report(struct testing *t)
{
	struct buf line;
	struct json j;

	if (!t->cli->json) {
		cli_write(stdout, buf_data(&t->out));
		return;
	}
	buf_init(&line, OUTPUT_MAX * 2);
	json_begin(&j, &line);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kuint(&j, "passed", t->sum.passed);
	json_kuint(&j, "failed", t->sum.failed);
	json_kstr(&j, "text", buf_data(&t->out));
	json_end_object(&j);
	buf_putc(&line, '\n');
	cli_write(stdout, buf_data(&line));
	buf_release(&line);
}

int
cmd_test(int argc, char **argv, const struct cli *cli)
{
	struct testing t = { .cli = cli };
	struct config *conf;

	if (argc > 1 && argv[1][0] == '-') {
		fprintf(stderr, "usage: postern test [FILE...]\n");
		return CLI_USAGE;
	}
	conf = cli->conf ? cli->conf : argc > 1 ? config_read_quiet(cli) : cli_load_config(cli);
	if (conf == NULL && argc < 2)
		return CLI_FINDINGS;
	t.conf = conf;
	t.arena = arena_new(64u << 10);
	buf_init(&t.out, OUTPUT_MAX);
	if (argc < 2)
		run_folder(&t, conf->policy_dir, arena_printf(t.arena, "%s/tests",
		    conf->policy_dir), NULL);
	for (int i = 1; i < argc; i++)
		run_file(&t, argv[i]);
	report(&t);
	buf_release(&t.out);
	arena_free(&t.arena);
	if (conf != cli->conf)
		config_free(&conf);
	return t.broken || t.sum.failed ? CLI_FINDINGS : CLI_OK;
}
