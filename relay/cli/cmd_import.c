/* cmd_import.c -- `postern import postfix [FOLDER]`: what a Postfix does, as postern.yaml and policy.
 *
 * Two files and an account of what is not in them, each line with its place and reason. Nothing is
 * written over, and nothing that runs is touched: the result is a folder to look at, to
 * check and to move where it belongs. Exit status 1 when anything was lost.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/diag_out.h"
#include "cli/page.h"
#include "cli/postfix_import.h"
#include "fs.h"
#include "json.h"

static const char *const kinds[] = { [PF_LOST] = "not translated", [PF_DIFFERS] = "differs", [PF_NOTHING] = "nothing to do" };

/* Values that other values refer to and that are seldom written. */
static void
add_default(struct pf_import *im, const char *name, const char *value)
{
	struct pf_params *p = &im->main;
	struct pf_param *v;

	if (pf_find(p, name))
		return;
	v = arena_array(im->a, p->n + 1, sizeof(*v));
	if (p->n)
		memcpy(v, p->v, p->n * sizeof(*v));
	v[p->n++] = (struct pf_param){ .name = span_str(name), .value = span_str(value), .used = true };
	p->v = v;
}

static int
read_folder(struct pf_import *im, struct err *err)
{
	struct span text;
	struct pf_param *p;
	const char *dot;

	if (fs_read(im->a, arena_printf(im->a, "%s/main.cf", im->folder), PF_FILE_MAX, &text, err) == -1)
		return -1;
	if (pf_main_cf(im->a, pf_clean(im, "main.cf", text), &im->main) == -1)
		return err_set(err, 0, "%s/main.cf has too many parameters", im->folder);
	add_default(im, "config_directory", im->folder);
	add_default(im, "mail_name", "Postfix");
	if ((p = pf_find(&im->main, "myhostname")) != NULL) {
		dot = strchr(arena_str(im->a, p->value), '.');
		add_default(im, "mydomain", dot ? dot + 1 : "localdomain");
	}
	add_default(im, "mydomain", "localdomain");
	if (fs_read(im->a, arena_printf(im->a, "%s/master.cf", im->folder), PF_FILE_MAX, &text, err) == -1) {
		pf_leave(im, PF_LOST, "master.cf", 0, SPAN_LIT("master.cf"), "%s", err->text);
		return 0;
	}
	if (pf_master_cf(im->a, pf_clean(im, "master.cf", text), &im->services, &im->nservices) == -1)
		return err_set(err, 0, "%s/master.cf has too many lines", im->folder);
	return 0;
}

static void
policy_text(struct pf_import *im, struct buf *out)
{
	buf_puts(out, "# 60-postfix.yaml -- from Postfix by `postern import postfix`: each rule with the line it comes from.\n"
	    "# Try it first: mode: shadow and review_by in a rule, postern test, postern explain.\nversion: 1\n");
	if (im->uses_hold)
		buf_printf(out, "\ngroups:\n  # who decides about what Postfix put on HOLD\n  postfix-hold: [%s]\n",
		    pf_quote(im->a, span_str(im->admin)));
	if (im->nrules) {
		buf_puts(out, "\nrules:\n");
		buf_span(out, buf_data(&im->rules));
	}
	if (buf_size(&im->limits)) {
		buf_puts(out, "\nlimits:\n");
		buf_span(out, buf_data(&im->limits));
	}
}

static void
put_left(struct pf_import *im, struct buf *out)
{
	for (int k = PF_LOST; k <= PF_NOTHING; k++) {
		bool first = true;

		for (size_t i = 0; i < im->nleft; i++) {
			const struct pf_left *l = &im->left[i];

			if ((int)l->kind != k)
				continue;
			if (first)
				buf_printf(out, "%s%s:\n", k ? "\n" : "", kinds[k]);
			first = false;
			buf_printf(out, "  %s:%u: ", l->file, l->line);
			page_text(out, span_sub(l->what, 0, 300));
			buf_puts(out, "\n      ");
			page_text(out, span_str(l->why));
			buf_putc(out, '\n');
		}
	}
}

static void
put_json(struct pf_import *im, struct buf *out, struct span policy)
{
	struct json j;

	json_begin(&j, out);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kstr(&j, "yaml", buf_data(&im->yaml));
	json_kstr(&j, "policy", policy);
	json_kstr(&j, "recipients", buf_data(&im->recipients));
	json_kuint(&j, "rules", im->nrules);
	json_kuint(&j, "lost", im->lost);
	json_key(&j, "left");
	json_array(&j);
	for (size_t i = 0; i < im->nleft; i++) {
		json_object(&j);
		json_kcstr(&j, "kind", kinds[im->left[i].kind]);
		json_kcstr(&j, "file", im->left[i].file);
		json_kuint(&j, "line", im->left[i].line);
		json_kstr(&j, "what", im->left[i].what);
		json_kcstr(&j, "why", im->left[i].why);
		json_end_object(&j);
	}
	json_end_array(&j);
	json_key(&j, "parameters");
	json_object(&j);
	for (size_t i = 0; i < im->main.n; i++)
		if (im->main.v[i].line && !im->main.v[i].bad)
			json_kstr(&j, arena_str(im->a, im->main.v[i].name), im->main.v[i].value);
	json_end_object(&j);
	json_end_object(&j);
	buf_putc(out, '\n');
}

static int
write_file(const char *path, struct span text, struct err *err)
{
	int fd = fs_open(path, O_WRONLY | O_CREAT | O_EXCL, 0644, err), rc;

	if (fd == -1)
		return -1;
	rc = fs_write_all(fd, text.p, text.n, err);
	close(fd);
	return rc;
}

static int
write_all(struct pf_import *im, const char *to, struct span policy, struct span account, struct err *err)
{
	if (fs_mkdirs(arena_printf(im->a, "%s/policy.d", to), 0755, err) == -1 ||
	    write_file(arena_printf(im->a, "%s/postern.yaml", to), buf_data(&im->yaml), err) == -1 ||
	    write_file(arena_printf(im->a, "%s/policy.d/60-postfix.yaml", to), policy, err) == -1 ||
	    write_file(arena_printf(im->a, "%s/NOT-TRANSLATED.txt", to), account, err) == -1)
		return -1;
	return buf_size(&im->recipients) == 0 ? 0 :
	    write_file(arena_printf(im->a, "%s/recipients-postfix.txt", to), buf_data(&im->recipients), err);
}

/* Our own text must hold before it is handed out. */
static bool
holds(struct pf_import *im)
{
	struct config *c;
	struct diags d;
	bool ok;

	diags_init(&d, im->a);
	c = config_parse("/etc/postern/postern.yaml", "postern.yaml", buf_data(&im->yaml), &d);
	ok = c != NULL;
	if (!ok) {
		fputs("postern: what was made of main.cf does not hold; please report it with these files\n", stderr);
		diags_show(&d, im->cli, stderr);
	}
	config_free(&c);
	return ok;
}

static int
run(struct pf_import *im, const char *to)
{
	struct buf policy, account, out;
	int status = CLI_FINDINGS;
	struct err err;

	buf_init(&policy, 64u << 20);
	buf_init(&account, 64u << 20);
	buf_init(&out, 128u << 20);
	if (read_folder(im, &err) == -1) {
		fprintf(stderr, "postern: %s\n", err.text);
		goto out;
	}
	if (im->admin == NULL)
		im->admin = arena_printf(im->a, "postmaster@" SPAN_FMT, SPAN_ARG(pf_find(&im->main, "mydomain")->value));
	pf_write_yaml(im);
	pf_write_checks(im);
	pf_write_access(im);
	pf_sweep(im);
	policy_text(im, &policy);
	put_left(im, &account);
	if (!holds(im))
		goto out;
	status = im->lost ? CLI_FINDINGS : CLI_OK;
	if (to && write_all(im, to, buf_data(&policy), buf_data(&account), &err) == -1) {
		fprintf(stderr, "postern: %s\n", err.text);
		status = CLI_FINDINGS;
		goto out;
	}
	if (im->cli->json) {
		put_json(im, &out, buf_data(&policy));
	} else if (to) {
		buf_printf(&out, "%zu rules in %s/policy.d/60-postfix.yaml, the rest in %s/postern.yaml\n"
		    "%zu things not translated: %s/NOT-TRANSLATED.txt\nnext: postern -c %s/postern.yaml check\n", im->nrules, to, to,
		    im->lost, to, to);
	} else {
		buf_puts(&out, "# ---- postern.yaml ----\n");
		buf_span(&out, buf_data(&im->yaml));
		buf_puts(&out, "\n# ---- policy.d/60-postfix.yaml ----\n");
		buf_span(&out, buf_data(&policy));
		buf_puts(&out, "\n# ---- NOT-TRANSLATED.txt ----\n");
		buf_span(&out, buf_data(&account));
	}
	page_flush(&out);
out:
	buf_release(&policy);
	buf_release(&account);
	buf_release(&out);
	return status;
}

int
cmd_import(int argc, char **argv, const struct cli *cli)
{
	struct pf_import im = { .cli = cli, .folder = "/etc/postfix" };
	const char *to = NULL;
	bool folder = false;
	int status;

	if (argc < 2 || strcmp(argv[1], "postfix") != 0)
		return command_usage("import");
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--to") == 0 && i + 1 < argc)
			to = argv[++i];
		else if (strcmp(argv[i], "--admin") == 0 && i + 1 < argc)
			im.admin = argv[++i];
		else if (argv[i][0] == '-' || folder)
			return command_usage("import");
		else
			im.folder = argv[i], folder = true;
	}
	im.a = arena_new(0);
	buf_init(&im.yaml, 64u << 20);
	buf_init(&im.rules, 64u << 20);
	buf_init(&im.limits, 1u << 20);
	buf_init(&im.recipients, 64u << 20);
	status = run(&im, to);
	buf_release(&im.yaml);
	buf_release(&im.rules);
	buf_release(&im.limits);
	buf_release(&im.recipients);
	arena_free(&im.a);
	return status;
}
