/* cmd_policy_history.c -- `postern policy history` and `postern policy diff A [B]`.
 *
 * Each time a policy came into force: when, how, who asked, at which commit.
 * The policies themselves are kept with their lists, so any two can be compared,
 * also with the folder as it is now (`folder`).
 */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/page.h"
#include "cli/policy_args.h"
#include "cli/records.h"
#include "cli/textdiff.h"
#include "postern/exact.h"

#define PAGE_MAX ((size_t)64 << 20)

static void
on_entry(void *ctx, const struct jval *v, struct span text)
{
	struct grid *g = ctx;
	char uid[32];

	page_stamp(grid_cell(g), jval_int(v, "time", 0));
	grid_done(g, PLAIN);
	grid_text(g, jval_text(v, "policy"));
	grid_text(g, jval_text(v, "how"));
	if (jval_has(v, "uid")) {
		snprintf(uid, sizeof(uid), "uid %lld", (long long)jval_int(v, "uid", 0));
		page_who(grid_cell(g), span_str(uid));
		grid_done(g, PLAIN);
	} else {
		grid_cstr(g, "");
	}
	grid_text(g, span_sub(jval_text(v, "commit"), 0, 12));
	grid_cstr(g, jval_bool(v, "kept") ? "" : "no longer kept");
}

int
cmd_policy_history(int argc, char **argv, const struct cli *cli)
{
	static const char *const titles[] = { "in force from", "policy", "how", "by", "commit", "",
		NULL };
	struct request r;
	struct grid g;
	struct buf o;
	int status;

	if (argc > 1)
		return command_usage("policy");
	request_begin(&r, "policy.history");
	grid_init(&g, cli, titles, "llllll");
	status = control_ask(cli, &r, CONTROL_SHOW, on_entry, &g);
	if (!cli->json && status == CLI_OK) {
		buf_init(&o, PAGE_MAX);
		grid_print(&g, &o, "");
		page_flush(&o);
		buf_release(&o);
	}
	grid_release(&g);
	return status;
}

/* ---- diff ---- */

struct side {
	struct archive ar;
	const char *name;
};

struct differing {
	const struct cli *cli;
	struct buf *o;
	const char *from, *to;
	bool headed, any;
};

static void
put_line(void *ctx, char sign, struct span line)
{
	enum page_colour c = sign == '-' ? RED : sign == '+' ? GREEN : sign == '@' ? DIM : PLAIN;
	struct differing *d = ctx;

	if (!d->headed)
		buf_printf(d->o, "--- %s\n+++ %s\n", d->from, d->to);
	d->headed = d->any = true;
	page_begin(d->o, d->cli, c);
	if (sign != '@')
		buf_putc(d->o, sign);
	page_text(d->o, line);
	page_end(d->o, d->cli, c);
	buf_putc(d->o, '\n');
}

static const struct span *
text_of(const struct archive *ar, const char *name)
{
	for (size_t i = 0; i < ar->parts.nfiles; i++)
		if (strcmp(ar->parts.files[i].name, name) == 0)
			return &ar->parts.files[i].text;
	for (size_t i = 0; i < ar->parts.nlists; i++)
		if (span_is(ar->parts.lists[i].path, name))
			return &ar->parts.lists[i].text;
	return NULL;
}

static void
put_index(struct differing *d, char sign, const char *name, const struct span *bytes)
{
	struct exact_index *ix = bytes ? exact_open(*bytes, NULL, NULL) : NULL;
	struct buf line;

	if (bytes == NULL)
		return;
	buf_init(&line, 4096);
	buf_printf(&line, "%s: ", name);
	if (ix) {
		const struct exact_header *h = exact_info(ix);

		buf_printf(&line, "%u rows, built ", h->rows);
		page_stamp(&line, (int64_t)h->built * 1000000);
		buf_printf(&line, ", key %016llx", (unsigned long long)h->key_id);
	} else {
		buf_puts(&line, "no index");
	}
	put_line(d, sign, buf_data(&line));
	buf_release(&line);
	exact_close(&ix);
}

/* Its rows are not kept: it is the same one, or another. */
static void
diff_index(struct differing *d, const char *name, const struct span *s, const struct span *t)
{
	if (s && t && span_eq(*s, *t))
		return;
	d->headed = true;
	put_index(d, '-', name, s);
	put_index(d, '+', name, t);
}

static void
diff_file(struct differing *d, struct arena *a, const struct side *x, const struct side *y,
    const char *name)
{
	const struct span *s = text_of(&x->ar, name), *t = text_of(&y->ar, name);

	if (span_starts(span_str(name), SPAN_LIT(ARCHIVE_INDEX))) {
		diff_index(d, name + sizeof(ARCHIVE_INDEX) - 1, s, t);
		return;
	}
	d->headed = false;
	d->from = s ? arena_printf(a, "%s/%s", x->name, name) : "/dev/null";
	d->to = t ? arena_printf(a, "%s/%s", y->name, name) : "/dev/null";
	textdiff(s ? *s : (struct span){ 0 }, t ? *t : (struct span){ 0 }, put_line, d);
}

/* All names of x, then those that only y has. */
static void
diff_sides(struct differing *d, struct arena *a, const struct side *x, const struct side *y)
{
	const struct side *sides[] = { x, y };

	for (int i = 0; i < 2; i++) {
		const struct policy_parts *p = &sides[i]->ar.parts;

		for (size_t k = 0; k < p->nfiles; k++)
			if (i == 0 || text_of(&x->ar, p->files[k].name) == NULL)
				diff_file(d, a, x, y, p->files[k].name);
		for (size_t k = 0; k < p->nlists; k++) {
			const char *name = arena_str(a, p->lists[k].path);

			if (i == 0 || text_of(&x->ar, name) == NULL)
				diff_file(d, a, x, y, name);
		}
	}
}

/* The newest two entries of the history with different policies. */
struct newest {
	char hash[2][17];
	int n;
};

static void
on_newest(void *ctx, const struct jval *v, struct span text)
{
	struct span hash = jval_text(v, "policy");
	struct newest *w = ctx;

	if (w->n == 2 || hash.n != 16 || (w->n == 1 && span_is(hash, w->hash[0])))
		return;
	memcpy(w->hash[w->n], hash.p, 16);
	w->hash[w->n++][16] = '\0';
}

static int
get_side(const struct cli *cli, const char *what, struct arena *a, struct side *out,
    struct config **conf)
{
	struct policy *p;

	out->name = what;
	if (strcmp(what, "folder") != 0) {
		int status = records_archive(cli, what, 0, false, a, &out->ar);

		if (status == CLI_OK)
			out->name = arena_str(a, out->ar.hash);
		return status;
	}
	if ((p = policy_open(cli, NULL, a, conf, &out->ar.parts)) == NULL)
		return CLI_FINDINGS;
	policy_free(&p);
	return CLI_OK;
}

int
cmd_policy_diff(int argc, char **argv, const struct cli *cli)
{
	struct newest w = { 0 };
	struct side x = { 0 }, y = { 0 };
	struct differing d = { .cli = cli };
	struct config *conf = NULL;
	struct request r;
	struct arena *a;
	struct buf o;
	int status;

	if (argc > 3 || (argc > 1 && argv[1][0] == '-') || (argc > 2 && argv[2][0] == '-'))
		return command_usage("policy");
	request_begin(&r, "policy.history");
	if ((status = control_ask(cli, &r, CONTROL_READ, on_newest, &w)) != CLI_OK)
		return status;
	if (argc == 1 && w.n < 2) {
		fputs("postern: there was only one policy yet\n", stderr);
		return CLI_OK;
	}
	a = arena_new(64u << 10);
	status = get_side(cli, argc > 1 ? argv[1] : w.hash[1], a, &x, &conf);
	if (status == CLI_OK)
		status = get_side(cli, argc > 2 ? argv[2] : w.hash[0], a, &y, &conf);
	if (status == CLI_OK) {
		buf_init(&o, PAGE_MAX);
		d.o = &o;
		diff_sides(&d, a, &x, &y);
		if (cli->json) {
			struct json j;
			struct buf line;

			buf_init(&line, 2 * PAGE_MAX);
			json_begin(&j, &line);
			json_object(&j);
			json_kint(&j, "v", 1);
			json_kcstr(&j, "from", x.name);
			json_kcstr(&j, "to", y.name);
			json_kstr(&j, "diff", buf_data(&o));
			json_end_object(&j);
			buf_putc(&line, '\n');
			page_flush(&line);
			buf_release(&line);
		} else {
			page_flush(&o);
		}
		buf_release(&o);
		status = d.any ? CLI_FINDINGS : CLI_OK;
	}
	if (conf != cli->conf)
		config_free(&conf);
	arena_free(&a);
	return status;
}
