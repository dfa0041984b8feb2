/* cmd_policy_list.c -- `postern policy list` and `postern policy show ID`, of a rule or a detector.
 *
 * The rules of the folder as it is now, with how often each has hit: in the
 * last day, in the last week, and when last. Without a daemon there are no
 * hits, the rest is shown.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/page.h"
#include "cli/policy_args.h"
#include "cli/rule_source.h"
#include "clock.h"
#include "scanner/load_policy.h"
#include "table.h"

#define PAGE_MAX ((size_t)64 << 20)

struct hits {
	int64_t h24, d7, last, h24_shadow, d7_shadow, d7_skipped;
};
struct listing {
	const struct cli *cli;
	struct arena *arena;
	struct config *conf;
	struct policy *p;
	struct policy_parts parts;
	struct table *hits;
	bool known;		/* the daemon answered */
	struct buf out;
};

static void
on_hits(void *ctx, const struct jval *v, struct span text)
{
	struct listing *l = ctx;
	struct hits *h = arena_zalloc(l->arena, sizeof(*h));

	*h = (struct hits){ jval_int(v, "h24", 0), jval_int(v, "d7", 0), jval_int(v, "last", 0),
		jval_int(v, "h24_shadow", 0), jval_int(v, "d7_shadow", 0),
		jval_int(v, "d7_skipped", 0) };
	table_put(l->hits, arena_span(l->arena, jval_text(v, "rule")), h);
}

static bool
open_listing(struct listing *l)
{
	struct request r;

	l->arena = arena_new(64u << 10);
	buf_init(&l->out, PAGE_MAX);
	l->hits = table_new();
	if ((l->p = policy_open(l->cli, NULL, l->arena, &l->conf, &l->parts)) == NULL)
		return false;
	request_begin(&r, "policy.hits");
	l->known = control_ask_quietly(l->cli, &r, on_hits, l) == CLI_OK;
	return true;
}

static int
close_listing(struct listing *l, int status)
{
	page_flush(&l->out);
	buf_release(&l->out);
	table_free(&l->hits);
	policy_free(&l->p);
	if (l->conf != l->cli->conf)
		config_free(&l->conf);
	arena_free(&l->arena);
	return status;
}

static const struct hits *
hits_of(const struct listing *l, struct span id)
{
	static const struct hits none;
	const struct hits *h = table_get(l->hits, id);

	return h ? h : &none;
}

static void
put_date(struct buf *b, int64_t us)
{
	time_t t = (time_t)(us / US_PER_SEC);
	struct tm tm;

	if (us && gmtime_r(&t, &tm))
		buf_printf(b, "%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
	else
		buf_puts(b, "-");
}

/* "12", or "12 shadow": a rule has been in one mode mostly. */
static void
put_number(struct listing *l, struct grid *g, int64_t enforced, int64_t shadow)
{
	struct buf *b = grid_cell(g);

	if (!l->known)
		buf_puts(b, "?");
	else
		buf_printf(b, "%lld", (long long)(enforced + shadow));
	grid_done(g, enforced + shadow ? PLAIN : DIM);
}

static void
list_rule(struct listing *l, struct grid *g, const struct policy_rule_info *r)
{
	const struct hits *h = hits_of(l, r->id);
	bool late = r->review_by && r->review_by < clock_real();
	struct buf *b;

	grid_text(g, r->id);
	buf_puts(grid_cell(g), r->mode);
	grid_done(g, strcmp(r->mode, "shadow") == 0 ? YELLOW : strcmp(r->mode, "off") == 0 ? DIM :
	    PLAIN);
	grid_cstr(g, r->outcome ? outcome_name(r->outcome) : "change");
	grid_cstr(g, r->severity);
	put_number(l, g, h->h24, h->h24_shadow);
	put_number(l, g, h->d7, h->d7_shadow);
	page_time(grid_cell(g), h->last, clock_real());
	grid_done(g, PLAIN);
	put_date(grid_cell(g), r->review_by);
	grid_done(g, late ? RED : PLAIN);
	b = grid_cell(g);
	page_text(b, span_str(r->file));
	buf_printf(b, ":%u", r->line);
	grid_done(g, DIM);
}

static void
json_rule(struct json *j, const struct listing *l, const struct policy_rule_info *r)
{
	const struct hits *h = hits_of(l, r->id);
	struct buf date;

	json_kint(j, "v", 1);
	json_kstr(j, "id", r->id);
	json_kstr(j, "title", r->title);
	json_kcstr(j, "mode", r->mode);
	json_kcstr(j, "then", r->outcome ? outcome_name(r->outcome) : NULL);
	json_kcstr(j, "severity", r->severity);
	json_kcstr(j, "direction", r->direction);
	json_kbool(j, "hits_known", l->known);
	json_kint(j, "hits_24h", h->h24 + h->h24_shadow);
	json_kint(j, "hits_7d", h->d7 + h->d7_shadow);
	json_kint(j, "shadow_7d", h->d7_shadow);
	json_kint(j, "skipped_7d", h->d7_skipped);
	json_key(j, "last");
	if (h->last)
		json_int(j, h->last);
	else
		json_null(j);
	buf_init(&date, 64);
	put_date(&date, r->review_by);
	json_kstr(j, "review_by", r->review_by ? buf_data(&date) : (struct span){ 0 });
	buf_release(&date);
	json_kcstr(j, "file", r->file);
	json_kuint(j, "line", r->line);
}

int
cmd_policy_list(int argc, char **argv, const struct cli *cli)
{
	static const char *const titles[] = { "rule", "mode", "then", "severity", "24h", "7d", "last",
		"review by", "file", NULL };
	struct listing l = { .cli = cli };
	struct policy_rule_info info;
	struct grid g;

	if (argc > 1)
		return command_usage("policy");
	if (!open_listing(&l))
		return close_listing(&l, CLI_FINDINGS);
	if (cli->json) {
		for (size_t i = 0; policy_rule_info(l.p, i, &info); i++) {
			struct json j;

			json_begin(&j, &l.out);
			json_object(&j);
			json_rule(&j, &l, &info);
			json_end_object(&j);
			buf_putc(&l.out, '\n');
		}
		return close_listing(&l, CLI_OK);
	}
	grid_init(&g, cli, titles, "llllrrlll");
	for (size_t i = 0; policy_rule_info(l.p, i, &info); i++)
		list_rule(&l, &g, &info);
	grid_print(&g, &l.out, "");
	grid_release(&g);
	if (!l.known)
		buf_puts(&l.out, "posternd does not answer: how often they hit is not known\n");
	return close_listing(&l, CLI_OK);
}

/* ---- show ---- */

static bool
mentions(const struct conf_node *n, struct span id)
{
	if (n->kind == CONF_SCALAR)
		return span_eq(n->text, id) || span_eq(n->key, id);
	if (span_eq(n->key, id))
		return true;
	CONF_EACH (c, n) {
		if (mentions(c, id))
			return true;
	}
	return false;
}

struct test_at {
	const char *file;
	uint32_t line;
	struct span name;
};

/* Tests beside the policy that name the rule. */
static size_t
tests_of(struct listing *l, struct span id, struct test_at *out, size_t max)
{
	struct policy_folder f = { .fd = -1 };
	struct policy_source *files;
	size_t nfiles, n = 0;
	char *dir = arena_printf(l->arena, "%s/tests", l->conf->policy_dir);
	struct diags d;
	struct err err;

	diags_init(&d, l->arena);
	if (policy_folder_open(&f, dir, l->arena, &err) == -1)
		return 0;
	if (!policy_folder_sources(&f, "tests", ".test.yaml", &d, &files, &nfiles))
		nfiles = 0;
	policy_folder_close(&f);
	for (size_t i = 0; i < nfiles; i++) {
		const struct conf_node *root = conf_parse(files[i].name, files[i].text, &d);

		CONF_EACH (t, conf_get(root, "tests")) {
			const struct conf_node *name = conf_get(t, "name");

			if (n < max && mentions(t, id))
				out[n++] = (struct test_at){ files[i].name, t->line,
					name ? name->text : (struct span){ 0 } };
		}
	}
	return n;
}

#define TESTS_SHOWN 200

static void
show_rule(struct listing *l, const struct policy_rule_info *r, const struct rule_source *src,
    const struct test_at *tests, size_t ntests)
{
	const struct hits *h = hits_of(l, r->id);
	struct buf *o = &l->out;

	page_begin(o, l->cli, BOLD);
	page_text(o, r->id);
	page_end(o, l->cli, BOLD);
	if (r->title.n) {
		buf_puts(o, "  ");
		page_text(o, r->title);
	}
	buf_printf(o, "\n%s, severity %s, %s", r->mode, r->severity, r->direction);
	if (r->review_by) {
		buf_puts(o, ", review by ");
		put_date(o, r->review_by);
	}
	buf_printf(o, "\n%s:%u\n\n", r->file, r->line);
	if (src)
		page_lines(o, "  ", src->text);
	else
		buf_puts(o, "  (it comes with a pack)\n");
	buf_puts(o, l->known ? "\nhits: " : "\nhits: not known, posternd does not answer\n");
	if (l->known) {
		buf_printf(o, "%lld in 24 hours, %lld in 7 days (%lld of them in shadow), cancelled %lld "
		    "times; last ", (long long)(h->h24 + h->h24_shadow),
		    (long long)(h->d7 + h->d7_shadow), (long long)h->d7_shadow,
		    (long long)h->d7_skipped);
		page_stamp(o, h->last);
		buf_putc(o, '\n');
	}
	buf_puts(o, ntests ? "tests:\n" : "tests: none names it\n");
	for (size_t i = 0; i < ntests; i++) {
		buf_printf(o, "  %s:%u  ", tests[i].file, tests[i].line);
		page_text(o, tests[i].name);
		buf_putc(o, '\n');
	}
}

static void
json_show(struct listing *l, const struct policy_rule_info *r, const struct rule_source *src,
    const struct test_at *tests, size_t ntests)
{
	struct json j;

	json_begin(&j, &l->out);
	json_object(&j);
	json_rule(&j, l, r);
	json_kstr(&j, "source", src ? src->text : (struct span){ 0 });
	json_key(&j, "tests");
	json_array(&j);
	for (size_t i = 0; i < ntests; i++) {
		json_object(&j);
		json_kcstr(&j, "file", tests[i].file);
		json_kuint(&j, "line", tests[i].line);
		json_kstr(&j, "name", tests[i].name);
		json_end_object(&j);
	}
	json_end_array(&j);
	json_end_object(&j);
	buf_putc(&l->out, '\n');
}

static void
show_detector(struct listing *l, struct span id, const struct policy_detector_info *info,
    const struct rule_source *src)
{
	struct buf *o = &l->out;

	page_begin(o, l->cli, BOLD);
	page_text(o, id);
	page_end(o, l->cli, BOLD);
	buf_printf(o, "  detector: %s", info->kind);
	if (info->holds.n) {
		buf_puts(o, "\n");
		page_text(o, info->holds);
	}
	if (src) {
		buf_printf(o, "\n%s:%u\n\n", l->parts.files[src->file].name, src->line);
		page_lines(o, "  ", src->text);
	}
	buf_puts(o, info->nrules ? "\nrules that ask it:\n" : "\nno rule asks it\n");
	for (size_t i = 0; i < info->nrules; i++) {
		buf_puts(o, "  ");
		page_text(o, info->rules[i]);
		buf_putc(o, '\n');
	}
}

static void
json_show_detector(struct listing *l, struct span id, const struct policy_detector_info *info,
    const struct rule_source *src)
{
	struct json j;

	json_begin(&j, &l->out);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kstr(&j, "detector", id);
	json_kcstr(&j, "kind", info->kind);
	json_kstr(&j, "holds", info->holds);
	json_kcstr(&j, "file", src ? l->parts.files[src->file].name : NULL);
	json_kuint(&j, "line", src ? src->line : 0);
	json_kstr(&j, "source", src ? src->text : (struct span){ 0 });
	json_key(&j, "rules");
	json_array(&j);
	for (size_t i = 0; i < info->nrules; i++)
		json_str(&j, info->rules[i]);
	json_end_array(&j);
	json_end_object(&j);
	buf_putc(&l->out, '\n');
}

/* false: there is no such detector either. */
static bool
detector_shown(struct listing *l, struct span id)
{
	struct policy_detector_info info;
	struct rule_source src;
	bool found;

	if (!policy_detector_info(l->p, id, l->arena, &info))
		return false;
	found = detector_source_find(&l->parts, id, l->arena, &src);
	(l->cli->json ? json_show_detector : show_detector)(l, id, &info, found ? &src : NULL);
	return true;
}

static void
say_no_rule(const struct listing *l, const char *id)
{
	size_t n = policy_rule_count(l->p), nd = policy_detector_count(l->p), k = n;
	const char **names = arena_array(l->arena, n + nd + 1, sizeof(*names)), *near;
	struct policy_rule_info info;

	for (size_t i = 0; policy_rule_info(l->p, i, &info); i++)
		names[i] = arena_str(l->arena, info.id);
	for (size_t i = 0; i < nd; i++)
		if (policy_detector_id(l->p, i).n)
			names[k++] = arena_str(l->arena, policy_detector_id(l->p, i));
	near = conf_nearest(span_str(id), names);
	fprintf(stderr, "postern: the policy has no rule or detector `%s`", id);
	if (near)
		fprintf(stderr, "; did you mean `%s`?\n", near);
	else
		fputs("; `postern policy list` has them all\n", stderr);
}

int
cmd_policy_show(int argc, char **argv, const struct cli *cli)
{
	struct listing l = { .cli = cli };
	struct policy_rule_info info;
	struct rule_source src;
	struct test_at *tests;
	size_t i = 0, ntests;
	bool found;

	if (argc != 2 || argv[1][0] == '-')
		return command_usage("policy");
	if (!open_listing(&l))
		return close_listing(&l, CLI_FINDINGS);
	while (policy_rule_info(l.p, i, &info) && !span_is(info.id, argv[1]))
		i++;
	if (!policy_rule_info(l.p, i, &info)) {
		struct span id = span_str(argv[1]);

		if (detector_shown(&l, span_starts(id, SPAN_LIT("detector:")) ? span_from(id, 9) : id))
			return close_listing(&l, CLI_OK);
		say_no_rule(&l, argv[1]);
		return close_listing(&l, CLI_USAGE);
	}
	found = rule_source_find(&l.parts, info.id, l.arena, &src);
	tests = arena_array(l.arena, TESTS_SHOWN, sizeof(*tests));
	ntests = tests_of(&l, info.id, tests, TESTS_SHOWN);
	if (cli->json)
		json_show(&l, &info, found ? &src : NULL, tests, ntests);
	else
		show_rule(&l, &info, found ? &src : NULL, tests, ntests);
	return close_listing(&l, CLI_OK);
}
