/* cmd_policy_promote.c -- `postern policy promote ID [--yes]`: a shadow rule becomes one that counts.
 *
 * In this order: the folder is read; with `mode: enforce` in that one place
 * it must still compile, and its tests must pass; then the last seven days are
 * judged again with it, and what would change is shown. Only with --yes the
 * file is written: the one word, everything else byte for byte. A file that
 * was changed since it was read is left alone. At last the daemon reloads.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/backtest.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/diag_out.h"
#include "cli/page.h"
#include "cli/policy_args.h"
#include "cli/records.h"
#include "cli/rule_source.h"
#include "clock.h"
#include "fs.h"
#include "postern/policy_tests.h"
#include "scanner/load_policy.h"

#define OUTPUT_MAX ((size_t)16 << 20)

struct promotion {
	const struct cli *cli;
	const char *id;
	bool yes;
	struct arena *arena;
	struct config *conf;
	struct policy_parts parts;
	struct policy *before, *after;
	struct rule_source src;
	const char *path;		/* of the file */
	struct span text;		/* as it will be */
};

/* The folder again as one archive, so that it can be compiled with the file changed. */
static void
fill_archive(struct promotion *p, struct archive *ar)
{
	struct policy_source *files = arena_array(p->arena, p->parts.nfiles + 1, sizeof(*files));
	struct span *domains = arena_array(p->arena, p->conf->ndomains + 1, sizeof(*domains));

	*ar = (struct archive){ .parts = p->parts, .domains = domains,
		.ndomains = p->conf->ndomains, .nnetworks = p->conf->nnetworks };
	ar->networks = arena_array(p->arena, p->conf->nnetworks + 1, sizeof(*ar->networks));
	for (size_t i = 0; i < p->conf->nnetworks; i++)
		ar->networks[i] = (struct policy_network){ p->conf->networks[i].name,
			p->conf->networks[i].texts, p->conf->networks[i].n };
	for (size_t i = 0; i < p->conf->ndomains; i++)
		domains[i] = p->conf->domains[i].name;
	memcpy(files, p->parts.files, p->parts.nfiles * sizeof(*files));
	files[p->src.file].text = p->text;
	ar->parts.files = files;
}

static struct span
put_in(struct arena *a, struct span s, size_t at, size_t n, struct span with)
{
	char *out = arena_alloc(a, s.n - n + with.n);

	memcpy(out, s.p, at);
	memcpy(out + at, with.p, with.n);
	memcpy(out + at + with.n, s.p + at + n, s.n - at - n);
	return span_make(out, s.n - n + with.n);
}

/* The text with `enforce` in the place of `shadow`. */
static int
change_text(struct promotion *p)
{
	const struct conf_node *mode = conf_get(p->src.node, "mode");
	struct span was = p->parts.files[p->src.file].text;
	const char *name = p->parts.files[p->src.file].name;
	size_t at;

	if (mode == NULL || span_is(mode->text, "enforce")) {
		fprintf(stderr, "postern: %s is enforced already\n", p->id);
		return CLI_OK;
	}
	if (!span_is(mode->text, "shadow")) {
		fprintf(stderr, "postern: %s is `" SPAN_FMT "`, only a shadow rule is promoted "
		    "(%s:%u)\n", p->id, SPAN_ARG(mode->text), name, mode->line);
		return CLI_FINDINGS;
	}
	if (!scalar_place(was, mode, &at)) {
		fprintf(stderr, "postern: `mode` is not written plainly at %s:%u: edit it by hand\n",
		    name, mode->line);
		return CLI_FINDINGS;
	}
	p->text = put_in(p->arena, was, at, mode->text.n, SPAN_LIT("enforce"));
	return -1;
}

static bool
compiles(struct promotion *p)
{
	struct archive *ar = arena_alloc(p->arena, sizeof(*ar));
	struct diags d;

	fill_archive(p, ar);
	diags_init(&d, p->arena);
	p->after = policy_archive_load(ar, &d);
	if (p->after == NULL)
		diags_show(&d, p->cli, stderr);
	return p->after != NULL;
}

static bool
tests_pass(struct promotion *p)
{
	struct policy_folder f = { .fd = -1 };
	struct policy_test_env env = { .read_file = policy_folder_read, .ctx = &f,
		.now = clock_real() };
	struct policy_test_result r = { 0 };
	struct policy_source *files;
	char *dir = arena_printf(p->arena, "%s/tests", p->conf->policy_dir);
	size_t nfiles;
	struct diags d;
	struct err err;
	struct buf out;

	if (access(dir, F_OK) == -1)
		return true;
	diags_init(&d, p->arena);
	buf_init(&out, OUTPUT_MAX);
	if (policy_folder_open(&f, dir, p->arena, &err) == -1)
		diag_at(&d, DIAG_ERROR, NULL, NULL, "%s", err.text);
	else if (policy_folder_sources(&f, "tests", ".test.yaml", &d, &files, &nfiles))
		policy_tests_run(p->after, files, nfiles, &env, &d, &out, &r);
	policy_folder_close(&f);
	diags_show(&d, p->cli, stderr);
	if (r.failed || d.errors) {
		cli_write(stderr, buf_data(&out));
		fprintf(stderr, "postern: with %s enforced the tests fail: nothing was changed\n",
		    p->id);
	} else if (!p->cli->json) {
		printf("%zu test%s passed\n", r.passed, r.passed == 1 ? "" : "s");
		fflush(stdout);
	}
	buf_release(&out);
	return r.failed == 0 && d.errors == 0;
}

/* ---- the file ---- */

/* Beside it, then in its place: nobody ever reads half of it. It keeps owner and mode. */
static int
write_beside(const char *path, struct span text, const struct stat *st, struct err *err)
{
	char temporary[4096];
	int fd, n = snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);

	if (n < 0 || (size_t)n >= sizeof(temporary))
		return err_set(err, ENAMETOOLONG, "%s", path);
	if ((fd = mkstemp(temporary)) == -1)
		return err_errno(err, "%s", temporary);
	if (fs_write_all(fd, text.p, text.n, err) == -1)
		goto fail;
	if (fchmod(fd, st->st_mode & 07777) == -1 ||
	    (geteuid() == 0 && fchown(fd, st->st_uid, st->st_gid) == -1) || fsync(fd) == -1 ||
	    rename(temporary, path) == -1) {
		err_errno(err, "%s", path);
		goto fail;
	}
	close(fd);
	return 0;
fail:
	close(fd);
	unlink(temporary);
	return -1;
}

static int
write_file(struct promotion *p)
{
	struct span was = p->parts.files[p->src.file].text, now;
	struct err err;
	struct stat st;
	char *real = realpath(p->path, NULL);	/* a link stays a link */
	int r = -1;

	if (real == NULL || stat(real, &st) == -1)
		err_errno(&err, "%s", p->path);
	else if (fs_read(p->arena, real, POLICY_FILE_MAX, &now, &err) == -1)
		;
	else if (!span_eq(was, now))
		err_set(&err, 0, "%s was changed meanwhile: nothing was written, run it again",
		    p->path);
	else
		r = write_beside(real, p->text, &st, &err);
	free(real);
	if (r == -1)
		fprintf(stderr, "postern: %s\n", err.text);
	return r;
}

static void
on_reloaded(void *ctx, const struct jval *v, struct span text)
{
	*(bool *)ctx = jval_bool(v, "ok");
	if (!jval_bool(v, "ok"))
		cli_write(stderr, jval_text(v, "error"));
}

static int
reload(struct promotion *p)
{
	struct request r;
	bool ok = false;
	int status;

	request_begin(&r, "reload");
	status = control_ask(p->cli, &r, CONTROL_READ, on_reloaded, &ok);
	if (status == CLI_OK && ok)
		return CLI_OK;
	fprintf(stderr, "postern: %s is written, but the daemon did not reload: it judges by the old "
	    "policy\n", p->path);
	return status == CLI_OK ? CLI_FINDINGS : status;
}

static int
promote(struct promotion *p)
{
	struct backtest_options o = { .rule = span_str(p->id), .last = "7d", .ids = 5, .rules = true };
	const char *name, *slash;
	int status;

	if ((p->before = policy_open(p->cli, NULL, p->arena, &p->conf, &p->parts)) == NULL)
		return CLI_FINDINGS;
	if (!rule_source_find(&p->parts, span_str(p->id), p->arena, &p->src)) {
		fprintf(stderr, "postern: no file of the policy has a rule `%s`\n", p->id);
		return CLI_USAGE;
	}
	name = p->parts.files[p->src.file].name;
	slash = strrchr(name, '/');
	p->path = arena_printf(p->arena, "%s/%s", p->conf->policy_dir, slash ? slash + 1 : name);
	if ((status = change_text(p)) != -1)
		return status;
	if (!compiles(p) || !tests_pass(p) || !records_since(o.last, &o.since))
		return CLI_FINDINGS;
	o.policy = p->after;
	o.heading = arena_printf(p->arena, "with %s enforced", p->id);
	status = backtest_run(p->cli, &o);
	if (status == CLI_UNREACHABLE || status == CLI_USAGE)
		return status;
	if (!p->yes) {
		fprintf(stderr, "nothing was changed; --yes writes `mode: enforce` into %s:%u and "
		    "reloads\n", name, conf_get(p->src.node, "mode")->line);
		return status;
	}
	if (write_file(p) == -1)
		return CLI_FINDINGS;
	if ((status = reload(p)) == CLI_OK && p->cli->json)
		printf("{\"v\":1,\"promoted\":\"%s\",\"policy\":\"%s\"}\n", p->id,
		    policy_hash(p->after));
	else if (status == CLI_OK)
		printf("%s is enforced now (%s:%u)\n", p->id, name,
		    conf_get(p->src.node, "mode")->line);
	return status;
}

int
cmd_policy_promote(int argc, char **argv, const struct cli *cli)
{
	struct promotion p = { .cli = cli };
	struct policy_args args;
	int status;

	if (policy_args(argc, argv, "--yes", &args) == -1 || args.dir == NULL)
		return command_usage("policy");
	p.id = args.dir;
	p.yes = args.yes;
	p.arena = arena_new(64u << 10);
	status = promote(&p);
	policy_free(&p.before);
	policy_free(&p.after);
	if (p.conf != cli->conf)
		config_free(&p.conf);
	arena_free(&p.arena);
	return status;
}
