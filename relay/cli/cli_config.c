/* cli_config.c -- the configuration, as the tool's commands read it. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <limits.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/diag_out.h"
#include "master/config_cluster.h"

struct config *
config_read(const char *path, struct arena *a, struct diags *d)
{
	char real[PATH_MAX];
	struct span text;
	struct err err;

	if (config_text(a, path, &text, &err) == -1) {
		diag_at(d, DIAG_ERROR, NULL, NULL, "%s", err.text);
		return NULL;
	}
	return config_parse(realpath(path, real) ? real : path, arena_str(a, span_str(path)), text, d);
}

struct config *
config_read_quiet(const struct cli *cli)
{
	struct arena *a = arena_new(0);
	struct diags d;
	struct config *conf;

	diags_init(&d, a);
	conf = config_read(cli->config_path, a, &d);
	arena_free(&a);
	return conf;
}

struct config *
cli_load_config(const struct cli *cli)
{
	struct arena *a;
	struct config *c;
	struct diags d;

	if (cli->conf)
		return cli->conf;
	a = arena_new(0);
	diags_init(&d, a);
	c = config_read(cli->config_path, a, &d);
	if (c == NULL)
		diags_show(&d, cli, stderr);
	arena_free(&a);
	return c;
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	return remove(path);
}

void
cli_remove_tree(const char *path)
{
	nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void
cli_write(FILE *to, struct span s)
{
	if (s.n)
		fwrite(s.p, 1, s.n, to);
}

/* One JSON object a line. */
static void
diags_json(const struct diags *d, struct buf *out)
{
	for (const struct diag *g = d->first; g; g = g->next) {
		struct json j;

		json_begin(&j, out);
		json_object(&j);
		json_kint(&j, "v", 1);
		json_kcstr(&j, "level", g->level == DIAG_ERROR ? "error" : "warning");
		json_kcstr(&j, "file", g->file ? g->file->name : NULL);
		json_kuint(&j, "line", g->line);
		json_kuint(&j, "column", g->column);
		json_kcstr(&j, "text", g->text);
		json_kcstr(&j, "hint", g->hint);
		json_end_object(&j);
		buf_putc(out, '\n');
	}
}

void
diags_show(const struct diags *d, const struct cli *cli, FILE *to)
{
	struct buf out;

	buf_init(&out, 16u << 20);
	if (cli->json)
		diags_json(d, &out);
	else
		diags_print(d, &out, NULL, cli->colour);
	cli_write(cli->json ? stdout : to, buf_data(&out));
	buf_release(&out);
}
