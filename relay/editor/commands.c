/* commands.c -- what the editor's children do: show, check, test, compare and apply a policy; see editor.h.
 *
 *	{"cmd":"editor.files"}				names, sizes; the hash of all
 *	{"cmd":"editor.read","name":N}			a file's text
 *	{"cmd":"editor.check","files":{N:TEXT|null}}	the policy with these in place of its own
 *	{"cmd":"editor.test","files":{…}}		its tests (null: the file is taken away)
 *	{"cmd":"editor.diff","files":{…},"days":7}	what would have become of past messages otherwise
 *	{"cmd":"editor.apply","files":{…},"base":HASH,"message":TEXT}	written, and the daemon reloads
 *
 * One line of JSON is the answer (diff: lines as `postern diff --json` prints them). An apply that
 * does not compile, whose tests fail, or that was begun on other files than there are now writes nothing;
 * one that the daemon refuses is taken back.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/backtest.h"
#include "cli/control_client.h"
#include "cli/diag_out.h"
#include "clock.h"
#include "editor/child.h"
#include "postern/policy_tests.h"
#include "scanner/load_policy.h"

#define ANSWER_MAX ((size_t)64 << 20)
#define TEST_OUTPUT_MAX ((size_t)4 << 20)
#define MESSAGE_MAX 500
#define DAYS_MAX 365

struct editing {
	struct job *job;
	struct arena *arena;
	struct policy_overlay over;
	struct diags diags;
	struct buf out;
	struct json j;
	struct cli cli;
};

static int
say(struct editing *e)
{
	json_end_object(&e->j);
	buf_putc(&e->out, '\n');
	if (buf_failed(&e->out))
		return editor_say_error("invalid", "the answer would be too long");
	cli_write(stdout, buf_data(&e->out));
	return CLI_OK;
}

static void
edit_begin(struct editing *e, struct job *job)
{
	*e = (struct editing){ .job = job, .arena = arena_new(64u << 10) };
	diags_init(&e->diags, e->arena);
	buf_init(&e->out, ANSWER_MAX);
	json_begin(&e->j, &e->out);
	json_object(&e->j);
	json_kint(&e->j, "v", 1);
	e->cli = (struct cli){ .config_path = job->conf->path, .json = true,
		.conf = (struct config *)(uintptr_t)job->conf, .ask = editor_ask, .ask_ctx = job,
		.as = job->as };
}

/* The request's "files". -1: said. */
static int
read_files(struct editing *e)
{
	const struct jval *files = jval_get(e->job->req, "files"), *v;
	size_t n = jval_count(files);
	struct span name;

	if (n > EDITOR_FILES)
		return editor_say_error("limit", "too many files at once") ? -1 : 0;
	e->over.files = arena_array(e->arena, n + 1, sizeof(*e->over.files));
	for (size_t i = 0; (v = jval_member(files, i, &name)) != NULL; i++) {
		struct overlay_file *f = &e->over.files[e->over.n++];

		if (!editor_name_good(name)) {
			editor_say_error("invalid", "a file is called NAME.yaml, tests/NAME.test.yaml or FOLDER/NAME.txt");
			return -1;
		}
		*f = (struct overlay_file){ name, jval_str(v), !jval_is_text(v) };
		if (f->text.n > EDITOR_FILE_MAX) {
			editor_say_error("limit", "a file is too long to be edited here");
			return -1;
		}
		if (f->text.p == NULL)
			f->text = SPAN_LIT("");
	}
	return 0;
}

static void
put_diags(struct editing *e)
{
	json_key(&e->j, "diags");
	json_array(&e->j);
	for (const struct diag *g = e->diags.first; g; g = g->next) {
		json_object(&e->j);
		json_kcstr(&e->j, "level", g->level == DIAG_ERROR ? "error" : "warning");
		json_kcstr(&e->j, "file", g->file ? g->file->name : NULL);
		json_kuint(&e->j, "line", g->line);
		json_kuint(&e->j, "column", g->column);
		json_kcstr(&e->j, "text", g->text);
		json_kcstr(&e->j, "hint", g->hint);
		json_end_object(&e->j);
	}
	json_end_array(&e->j);
}

static int
finish(struct editing *e, struct policy **p, int status)
{
	policy_free(p);
	buf_release(&e->out);
	arena_free(&e->arena);
	return status;
}

/* ---- files ---- */

static int
do_files(struct job *job)
{
	struct policy_file *files;
	struct policy *none = NULL;
	struct editing e;
	struct err err;
	char hash[65];
	size_t n;

	edit_begin(&e, job);
	if (editor_folder_read(job->conf->policy_dir, e.arena, &files, &n, &err) == -1)
		return finish(&e, &none, editor_say_error("invalid", err.text));
	editor_folder_hash(files, n, hash);
	json_kcstr(&e.j, "hash", hash);
	json_kbool(&e.j, "writable", access(job->conf->policy_dir, W_OK) == 0);
	json_key(&e.j, "files");
	json_array(&e.j);
	for (size_t i = 0; i < n; i++) {
		json_object(&e.j);
		json_kcstr(&e.j, "name", files[i].name);
		json_kuint(&e.j, "size", files[i].text.n);
		json_end_object(&e.j);
	}
	json_end_array(&e.j);
	return finish(&e, &none, say(&e));
}

static int
do_read(struct job *job)
{
	struct span name = jval_text(job->req, "name");
	struct policy_file *files;
	struct policy *none = NULL;
	struct editing e;
	struct err err;
	char hash[65];
	size_t n, i = 0;

	edit_begin(&e, job);
	if (editor_folder_read(job->conf->policy_dir, e.arena, &files, &n, &err) == -1)
		return finish(&e, &none, editor_say_error("invalid", err.text));
	while (i < n && !span_is(name, files[i].name))
		i++;
	if (i == n)
		return finish(&e, &none, editor_say_error("not-found", "the policy has no such file"));
	if (files[i].text.n > EDITOR_FILE_MAX)
		return finish(&e, &none, editor_say_error("limit", "the file is too long to be edited here"));
	editor_folder_hash(files, n, hash);
	json_kcstr(&e.j, "hash", hash);
	json_kcstr(&e.j, "name", files[i].name);
	json_kstr(&e.j, "text", files[i].text);
	return finish(&e, &none, say(&e));
}

/* ---- check, test ---- */

static struct policy *
load(struct editing *e)
{
	return policy_load_overlay(e->job->conf, &e->over, e->arena, &e->diags);
}

static int
do_check(struct job *job)
{
	struct policy *p = NULL;
	struct editing e;

	edit_begin(&e, job);
	if (read_files(&e) == -1)
		return finish(&e, &p, CLI_FINDINGS);
	p = load(&e);
	json_kbool(&e.j, "ok", p != NULL);
	json_kcstr(&e.j, "policy", p ? policy_hash(p) : NULL);
	json_kuint(&e.j, "rules", p ? policy_rule_count(p) : 0);
	put_diags(&e);
	return finish(&e, &p, say(&e));
}

/* The tests of the folder as they would be; no folder is no test. */
static void
run_tests(struct editing *e, const struct policy *p, struct buf *text, struct policy_test_result *r)
{
	char *dir = arena_printf(e->arena, "%s/tests", e->job->conf->policy_dir);
	struct policy_folder f = { .fd = -1, .over = &e->over, .within = "tests/" };
	struct policy_test_env env = { .read_file = policy_folder_read, .ctx = &f, .now = clock_real() };
	struct policy_source *files;
	struct err err;
	size_t n;

	if (access(dir, F_OK) == -1)
		return;
	if (policy_folder_open(&f, dir, e->arena, &err) == -1)
		diag_at(&e->diags, DIAG_ERROR, NULL, NULL, "%s", err.text);
	else if (policy_folder_sources(&f, "tests", ".test.yaml", &e->diags, &files, &n))
		policy_tests_run(p, files, n, &env, &e->diags, text, r);
	policy_folder_close(&f);
}

static int
do_test(struct job *job)
{
	struct policy_test_result r = { 0 };
	struct policy *p = NULL;
	struct editing e;
	struct buf text;

	edit_begin(&e, job);
	if (read_files(&e) == -1)
		return finish(&e, &p, CLI_FINDINGS);
	buf_init(&text, TEST_OUTPUT_MAX);
	p = load(&e);
	if (p)
		run_tests(&e, p, &text, &r);
	json_kbool(&e.j, "ok", p && r.failed == 0 && e.diags.errors == 0);
	json_kuint(&e.j, "passed", r.passed);
	json_kuint(&e.j, "failed", r.failed);
	json_kstr(&e.j, "text", buf_data(&text));
	put_diags(&e);
	buf_release(&text);
	return finish(&e, &p, say(&e));
}

/* ---- diff ---- */

static int
do_diff(struct job *job)
{
	int64_t days = jval_int(job->req, "days", 7);
	struct backtest_options o = { .ids = 20, .rules = true, .heading = "as edited" };
	struct policy *p = NULL;
	struct editing e;
	int status;

	edit_begin(&e, job);
	if (days < 1 || days > DAYS_MAX)
		return finish(&e, &p, editor_say_error("invalid", "days: 1 to 365"));
	if (read_files(&e) == -1)
		return finish(&e, &p, CLI_FINDINGS);
	if ((p = load(&e)) == NULL) {
		json_kbool(&e.j, "ok", false);
		put_diags(&e);
		return finish(&e, &p, say(&e));
	}
	o.policy = p;
	o.last = arena_printf(e.arena, "%lldd", (long long)days);
	o.since = clock_real() - days * 86400 * US_PER_SEC;
	status = backtest_run(&e.cli, &o);
	return finish(&e, &p, status == CLI_UNREACHABLE ?
	    editor_say_error("busy", "the store is away: past messages cannot be read now") : CLI_OK);
}

/* ---- apply ---- */

struct reloaded {
	bool ok;
	char text[4096];
};

static void
on_reloaded(void *ctx, const struct jval *v, struct span line)
{
	struct reloaded *r = ctx;
	struct span s = jval_text(v, jval_bool(v, "ok") ? "text" : "error");

	r->ok = jval_bool(v, "ok");
	snprintf(r->text, sizeof(r->text), SPAN_FMT, SPAN_ARG(span_sub(s, 0, sizeof(r->text) - 1)));
}

/* Into the audit log; -1: it could not be. */
static int
write_down(struct editing *e, const char *what, const char *hash)
{
	struct reloaded answer = { false, "" };
	struct request r;
	struct buf names;

	buf_init(&names, EDITOR_FILES * (EDITOR_NAME_MAX + 2));
	for (size_t i = 0; i < e->over.n; i++)
		buf_printf(&names, "%s" SPAN_FMT, i ? ", " : "", SPAN_ARG(e->over.files[i].name));
	request_begin(&r, "policy.edited");
	json_kcstr(&r.j, "what", what);
	json_kcstr(&r.j, "policy", hash);
	json_kstr(&r.j, "files", buf_data(&names));
	json_kstr(&r.j, "message", jval_text(e->job->req, "message"));
	buf_release(&names);
	return control_ask(&e->cli, &r, CONTROL_READ, on_reloaded, &answer) == CLI_OK && answer.ok ? 0 : -1;
}

/* Writes all, or none. was: what stood there before. */
static int
write_all(struct editing *e, struct span *was, struct err *err)
{
	const char *dir = e->job->conf->policy_dir;
	struct span unused;
	size_t i;

	for (i = 0; i < e->over.n; i++) {
		const struct overlay_file *f = &e->over.files[i];

		if (editor_folder_write(dir, f->name, f->gone ? (struct span){ 0 } : f->text, e->arena,
		    &was[i], err) == -1)
			break;
	}
	if (i == e->over.n)
		return 0;
	while (i--)
		editor_folder_write(dir, e->over.files[i].name, was[i], e->arena, &unused, NULL);
	return -1;
}

/* What may stop it, before anything is written. */
static bool
may_apply(struct editing *e, char hash[65])
{
	struct policy_test_result r = { 0 };
	struct span message = jval_text(e->job->req, "message");
	struct policy_file *files;
	struct policy *p;
	struct err err;
	struct buf text;
	size_t n;

	if (e->over.n == 0) {
		editor_say_error("invalid", "no file is changed");
		return false;
	}
	if (message.n == 0 || message.n > MESSAGE_MAX) {
		editor_say_error("invalid", "say in a line why the policy changes (`message`)");
		return false;
	}
	if (editor_folder_read(e->job->conf->policy_dir, e->arena, &files, &n, &err) == -1) {
		editor_say_error("invalid", err.text);
		return false;
	}
	editor_folder_hash(files, n, hash);
	if (!span_is(jval_text(e->job->req, "base"), hash)) {
		editor_say_error("conflict", "the policy's files have changed since they were read here");
		return false;
	}
	buf_init(&text, TEST_OUTPUT_MAX);
	if ((p = load(e)) != NULL)
		run_tests(e, p, &text, &r);
	if (p == NULL || r.failed || e->diags.errors) {
		json_kbool(&e->j, "ok", false);
		json_kcstr(&e->j, "error", r.failed ? "the policy's tests fail" : "the policy has errors");
		json_kcstr(&e->j, "code", "invalid");
		json_kuint(&e->j, "failed", r.failed);
		json_kstr(&e->j, "text", buf_data(&text));
		put_diags(e);
		say(e);
		policy_free(&p);
	}
	buf_release(&text);
	if (p == NULL)
		return false;
	snprintf(hash, 65, "%s", policy_hash(p));
	json_kcstr(&e->j, "policy", hash);
	policy_free(&p);
	return true;
}

static int
do_apply(struct job *job)
{
	struct reloaded answer = { false, "" };
	struct policy *none = NULL;
	struct span *was, unused;
	struct request r;
	struct editing e;
	struct err err;
	char hash[65];
	int status;

	edit_begin(&e, job);
	if (read_files(&e) == -1 || !may_apply(&e, hash))
		return finish(&e, &none, CLI_FINDINGS);
	if (write_down(&e, "apply", hash) == -1)
		return finish(&e, &none, editor_say_error("busy",
		    "the store is away: who changes the policy could not be written down"));
	was = arena_array(e.arena, e.over.n, sizeof(*was));
	if (write_all(&e, was, &err) == -1)
		return finish(&e, &none, editor_say_error("invalid", err.text));
	request_begin(&r, "reload");
	json_kstr(&r.j, "message", jval_text(job->req, "message"));
	status = control_ask(&e.cli, &r, CONTROL_READ, on_reloaded, &answer);
	if (status == CLI_OK && answer.ok) {
		json_kbool(&e.j, "ok", true);
		return finish(&e, &none, say(&e));
	}
	write_down(&e, "back", hash);
	for (size_t i = e.over.n; i--;)
		editor_folder_write(job->conf->policy_dir, e.over.files[i].name, was[i], e.arena, &unused, &err);
	return finish(&e, &none, editor_say_error("conflict", arena_printf(e.arena,
	    "the daemon keeps the old policy; the files are as they were: %s", answer.text)));
}

static const struct editor_command commands[] = {
	{ "editor.files", PRINCIPAL_BIT(EDITOR) | PRINCIPAL_BIT(OPERATOR) | PRINCIPAL_BIT(AUDITOR), false, do_files },
	{ "editor.read", PRINCIPAL_BIT(EDITOR) | PRINCIPAL_BIT(OPERATOR) | PRINCIPAL_BIT(AUDITOR), false, do_read },
	{ "editor.check", PRINCIPAL_BIT(EDITOR), false, do_check },
	{ "editor.test", PRINCIPAL_BIT(EDITOR), false, do_test },
	{ "editor.diff", PRINCIPAL_BIT(EDITOR), false, do_diff },
	{ "editor.apply", PRINCIPAL_BIT(EDITOR), true, do_apply },
};

const struct editor_command *
editor_command(struct span name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (span_is(name, commands[i].name))
			return &commands[i];
	return NULL;
}
