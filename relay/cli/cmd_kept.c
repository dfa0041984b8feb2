/* cmd_kept.c -- `postern held` and `postern quarantine`: decisions by people.
 *
 * A verb that would act on more than one message prints the count first and
 * needs --yes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/acts.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/page.h"
#include "clock.h"
#include "id.h"

#define PAGE_MAX ((size_t)256 << 20)

struct listing {
	const struct cli *cli;
	const char *noun;	/* "held", "quarantine" */
	bool all;
	struct grid g;
	struct buf out;
	uint64_t total;
	char away[200];		/* why other nodes were not asked; "" */
};

static void
put_addresses(struct buf *o, const struct jval *list)
{
	size_t n = jval_count(list);

	page_text(o, jval_str(jval_at(list, 0)));
	if (n > 1)
		buf_printf(o, " +%zu", n - 1);
}

static void
list_line(void *ctx, const struct jval *v, struct span text)
{
	struct listing *l = ctx;
	int64_t now = clock_real();

	if (jval_has(v, "total")) {
		l->total = (uint64_t)jval_int(v, "total", 0);
		snprintf(l->away, sizeof(l->away), SPAN_FMT, SPAN_ARG(jval_text(v, "base")));
		return;
	}
	grid_text(&l->g, jval_text(v, "id"));
	page_time(grid_cell(&l->g), jval_int(v, "time", 0), now);
	grid_done(&l->g, PLAIN);
	if (jval_text(v, "node").n) {	/* another node keeps it */
		page_text(grid_cell(&l->g), jval_text(v, "queue"));
		buf_puts(grid_cell(&l->g), " on ");
		page_text(grid_cell(&l->g), jval_text(v, "node"));
		grid_done(&l->g, PLAIN);
	} else {
		grid_text(&l->g, jval_text(v, "queue"));
	}
	if (l->all) {
		page_text(grid_cell(&l->g), jval_text(v, "state"));
		grid_done(&l->g, page_colour_of(jval_text(v, "state")));
	}
	grid_text(&l->g, jval_text(v, "sender").n ? jval_text(v, "sender") : SPAN_LIT("<>"));
	put_addresses(grid_cell(&l->g), jval_get(v, "recipients"));
	grid_done(&l->g, PLAIN);
	page_size(grid_cell(&l->g), (uint64_t)jval_int(v, "size", 0));
	grid_done(&l->g, PLAIN);
	if (jval_has(v, "expires")) {
		page_age(grid_cell(&l->g), jval_int(v, "expires", 0) - now);
		buf_puts(&l->g.text, ", then ");
		page_text(&l->g.text, jval_text(v, "on_expire"));
	} else {
		buf_puts(grid_cell(&l->g), "-");
	}
	grid_done(&l->g, PLAIN);
	grid_text(&l->g, jval_text(v, "subject"));
}

static int
kept_list(int argc, char **argv, const struct cli *cli, const char *noun)
{
	static const char *const titles[] = { "id", "since", "queue", "from", "to", "size", "expires",
		"subject", NULL };
	static const char *const titles_all[] = { "id", "since", "queue", "state", "from", "to",
		"size", "expires", "subject", NULL };
	struct listing l = { .cli = cli, .noun = noun };
	const char *selector = NULL;
	uint64_t limit = 1000;
	struct request r;
	char cmd[32];
	int status;

	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--all") == 0)
			l.all = true;
		else if (strcmp(argv[i], "--limit") == 0 && i + 1 < argc &&
		    parse_uint(span_str(argv[i + 1]), 20000, &limit) && limit > 0)
			i++;
		else if (argv[i][0] == '-' || selector)
			return command_usage(noun);
		else
			selector = argv[i];
	}
	snprintf(cmd, sizeof(cmd), "%s.list", noun);
	request_begin(&r, cmd);
	if (selector)
		json_kcstr(&r.j, "selector", selector);
	json_kbool(&r.j, "all", l.all);
	json_kuint(&r.j, "limit", limit);
	grid_init(&l.g, cli, l.all ? titles_all : titles, l.all ? "llllllrll" : "lllllrll");
	buf_init(&l.out, PAGE_MAX);
	status = control_ask(cli, &r, CONTROL_SHOW, list_line, &l);
	if (grid_rows(&l.g) > 0)
		grid_print(&l.g, &l.out, "");
	else if (status == CLI_OK && !cli->json)
		buf_puts(&l.out, "nothing\n");
	if (l.total > grid_rows(&l.g) && !cli->json)
		buf_printf(&l.out, "%llu in all; --limit N shows more\n",
		    (unsigned long long)l.total);
	if (l.away[0] && !cli->json) {
		buf_puts(&l.out, "other nodes were not asked: ");
		page_text(&l.out, span_str(l.away));
		buf_putc(&l.out, '\n');
	}
	page_flush(&l.out);
	buf_release(&l.out);
	grid_release(&l.g);
	return status;
}

/* ---- show ---- */

struct showing {
	const struct cli *cli;
	struct buf out;
	bool broken;
};

static void
put_field(struct buf *o, const char *name, struct span s)
{
	if (s.n == 0)
		return;
	buf_printf(o, "  %-10s ", name);
	page_text(o, s);
	buf_putc(o, '\n');
}

static void
put_when(struct buf *o, const char *name, const struct jval *v, const char *key)
{
	if (!jval_has(v, key))
		return;
	buf_printf(o, "  %-10s ", name);
	page_stamp(o, jval_int(v, key, 0));
	buf_putc(o, '\n');
}

static void
show_row(struct showing *s, const struct jval *v)
{
	struct buf *o = &s->out;
	const struct jval *list = jval_get(v, "recipients"), *a;

	page_begin(o, s->cli, BOLD);
	page_text(o, jval_text(v, "id"));
	page_end(o, s->cli, BOLD);
	buf_puts(o, "  ");
	page_text(o, jval_text(v, "state"));
	if (jval_text(v, "by").n) {
		buf_puts(o, " by ");
		page_who(o, jval_text(v, "by"));
	}
	buf_putc(o, '\n');
	put_field(o, "queue", jval_text(v, "queue"));
	put_when(o, "since", v, "time");
	put_when(o, "expires", v, "expires");
	if (jval_has(v, "expires"))
		put_field(o, "then", jval_text(v, "on_expire"));
	put_when(o, "decided", v, "decided");
	put_field(o, "new id", jval_text(v, "new_id"));
	put_field(o, "client", jval_text(v, "client"));
	put_field(o, "from", jval_text(v, "sender").n ? jval_text(v, "sender") : SPAN_LIT("<>"));
	for (size_t i = 0; (a = jval_at(list, i)) != NULL; i++)
		put_field(o, i ? "" : "to", jval_str(a));
	put_field(o, "subject", jval_text(v, "subject"));
	for (size_t i = 0; (a = jval_at(jval_get(v, "approvals"), i)) != NULL; i++) {
		buf_printf(o, "  %-10s ", i ? "" : "approvals");
		page_text(o, jval_text(a, "rule"));
		if (jval_int(a, "needed", 0))
			buf_printf(o, ": %lld of %lld\n", (long long)jval_int(a, "given", 0),
			    (long long)jval_int(a, "needed", 0));
		else
			buf_puts(o, ": by release\n");
	}
	for (size_t i = 0; (a = jval_at(jval_get(v, "votes"), i)) != NULL; i++) {
		buf_printf(o, "  %-10s ", i ? "" : "decided");
		page_text(o, jval_text(a, "address"));
		buf_printf(o, ": %s\n", span_is(jval_text(a, "decision"), "approve") ? "approved" :
		    "denied");
	}
	buf_printf(o, "  %-10s ", "size");
	page_size(o, (uint64_t)jval_int(v, "size", 0));
	buf_putc(o, '\n');
}

static void
show_line(void *ctx, const struct jval *v, struct span text)
{
	struct showing *s = ctx;

	if (jval_has(v, "header")) {
		buf_puts(&s->out, "\n");
		page_lines(&s->out, "  | ", jval_text(v, "header"));
	} else if (jval_has(v, "record")) {
		buf_puts(&s->out, "\n");
		record_put(&s->out, s->cli, jval_get(v, "record"));
	} else {
		show_row(s, v);
	}
}

static int
base64_value(char c)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *p = c ? strchr(set, c) : NULL;

	return p ? (int)(p - set) : -1;
}

static void
raw_line(void *ctx, const struct jval *v, struct span text)
{
	struct showing *s = ctx;
	struct span b = jval_text(v, "raw");

	for (size_t i = 0; i + 4 <= b.n && !s->broken; i += 4) {
		int n = b.p[i + 2] == '=' ? 1 : b.p[i + 3] == '=' ? 2 : 3;
		uint32_t x = 0;

		for (int k = 0; k < 4; k++) {
			int d = k > n ? 0 : base64_value(b.p[i + (size_t)k]);

			s->broken |= d < 0;
			x = x << 6 | (uint32_t)(d < 0 ? 0 : d);
		}
		for (int k = 0; k < n && !s->broken; k++)
			buf_putc(&s->out, (char)(x >> (16 - 8 * k)));
	}
	page_flush(&s->out);
}

static int
kept_show(int argc, char **argv, const struct cli *cli, const char *noun)
{
	struct showing s = { .cli = cli };
	const char *id = NULL;
	bool raw = false;
	struct request r;
	char cmd[32];
	uint64_t n;
	int status;

	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--raw") == 0)
			raw = true;
		else if (argv[i][0] == '-' || id)
			return command_usage(noun);
		else
			id = argv[i];
	}
	if (id == NULL)
		return command_usage(noun);
	if (!id_parse(span_str(id), &n)) {
		fprintf(stderr, "postern: %s is no message id: 11 letters and digits\n", id);
		return CLI_USAGE;
	}
	if (raw && isatty(STDOUT_FILENO)) {
		fputs("postern: --raw is for a file or a pipe, not for a terminal\n", stderr);
		return CLI_USAGE;
	}
	snprintf(cmd, sizeof(cmd), "%s.show", noun);
	request_begin(&r, cmd);
	json_kcstr(&r.j, "id", id);
	json_kbool(&r.j, "raw", raw);
	buf_init(&s.out, PAGE_MAX);
	status = control_ask(cli, &r, CONTROL_SHOW, raw ? raw_line : show_line, &s);
	page_flush(&s.out);
	buf_release(&s.out);
	return s.broken ? CLI_FINDINGS : status;
}

/* ---- preview: text alone, as a scanner made it ---- */

static void
preview_line(void *ctx, const struct jval *v, struct span text)
{
	struct showing *s = ctx;
	const struct jval *p = v, *h;

	for (size_t i = 0; (h = jval_at(jval_get(p, "headers"), i)) != NULL; i++) {
		page_text(&s->out, jval_text(h, "name"));
		buf_puts(&s->out, ": ");
		page_text(&s->out, jval_text(h, "value"));
		buf_putc(&s->out, '\n');
	}
	buf_putc(&s->out, '\n');
	page_lines(&s->out, "  | ", jval_text(p, "text"));
	if (jval_bool(p, "truncated"))
		buf_puts(&s->out, "  (there is more)\n");
	for (size_t i = 0; (h = jval_at(jval_get(p, "parts"), i)) != NULL; i++) {
		buf_puts(&s->out, i ? "        " : "parts   ");
		page_text(&s->out, jval_text(h, "part").n ? jval_text(h, "part") : SPAN_LIT("1"));
		buf_puts(&s->out, "  ");
		page_text(&s->out, jval_text(h, "type"));
		buf_puts(&s->out, "  ");
		page_size(&s->out, (uint64_t)jval_int(h, "size", 0));
		if (jval_text(h, "name").n) {
			buf_puts(&s->out, "  ");
			page_text(&s->out, jval_text(h, "name"));
		}
		buf_putc(&s->out, '\n');
	}
}

static int
kept_preview(int argc, char **argv, const struct cli *cli, const char *noun)
{
	struct showing s = { .cli = cli };
	struct request r;
	char cmd[32];
	uint64_t n;
	int status;

	if (argc != 1 || argv[0][0] == '-')
		return command_usage(noun);
	if (!id_parse(span_str(argv[0]), &n)) {
		fprintf(stderr, "postern: %s is no message id: 11 letters and digits\n", argv[0]);
		return CLI_USAGE;
	}
	snprintf(cmd, sizeof(cmd), "%s.preview", noun);
	request_begin(&r, cmd);
	json_kcstr(&r.j, "id", argv[0]);
	buf_init(&s.out, PAGE_MAX);
	status = control_ask(cli, &r, CONTROL_SHOW, preview_line, &s);
	page_flush(&s.out);
	buf_release(&s.out);
	return status;
}

/* ---- verbs ---- */

struct voicing {
	const struct cli *cli;
	struct buf out;
};

static void
voice_line(void *ctx, const struct jval *v, struct span text)
{
	struct voicing *s = ctx;
	struct span state = jval_text(v, "state");

	page_text(&s->out, jval_text(v, "id"));
	buf_printf(&s->out, ": %s by ", span_is(jval_text(v, "decision"), "approve") ? "approved" :
	    "denied");
	page_text(&s->out, jval_text(v, "as"));
	buf_puts(&s->out, span_is(state, "approved") ? "; it is released\n" :
	    span_is(state, "denied") ? "; it is rejected\n" : "; more approvals are needed\n");
}

/* approve|deny ID --as ADDRESS, or --token TOKEN. */
static int
kept_voice(int argc, char **argv, const struct cli *cli, const char *noun, const char *verb)
{
	const char *id = NULL, *as = NULL, *token = NULL, *text = NULL;
	struct voicing s = { .cli = cli };
	struct request r;
	char cmd[32];
	uint64_t n;
	int status;

	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--as") == 0 && i + 1 < argc)
			as = argv[++i];
		else if (strcmp(argv[i], "--token") == 0 && i + 1 < argc)
			token = argv[++i];
		else if (strcmp(argv[i], "--text") == 0 && i + 1 < argc)
			text = argv[++i];
		else if (argv[i][0] == '-' || id)
			return command_usage(noun);
		else
			id = argv[i];
	}
	if (token ? id || as : !id || !as)
		return command_usage(noun);
	if (id && !id_parse(span_str(id), &n)) {
		fprintf(stderr, "postern: %s is no message id: 11 letters and digits\n", id);
		return CLI_USAGE;
	}
	snprintf(cmd, sizeof(cmd), "%s.%s", noun, verb);
	request_begin(&r, cmd);
	if (token)
		json_kcstr(&r.j, "token", token);
	if (id)
		json_kcstr(&r.j, "id", id);
	if (as)
		json_kcstr(&r.j, "as", as);
	if (text)
		json_kcstr(&r.j, "text", text);
	buf_init(&s.out, 64u << 10);
	status = control_ask(cli, &r, CONTROL_SHOW, voice_line, &s);
	page_flush(&s.out);
	buf_release(&s.out);
	return status;
}

static int
kept_main(int argc, char **argv, const struct cli *cli, const char *noun)
{
	static const struct act_words words[] = {
		{ "release", "released", true },
		{ "reject", "rejected", true },
		{ "delete", "deleted", true },
		{ "confirm", "confirmed as spam", true },
		{ "request", "asked for", true },
		{ "rescan", "looked at", true },
	};
	const char *verb = argc > 1 ? argv[1] : "list";

	if (strcmp(verb, "list") == 0)
		return kept_list(argc > 2 ? argc - 2 : 0, argv + 2, cli, noun);
	if (strcmp(verb, "show") == 0)
		return kept_show(argc - 2, argv + 2, cli, noun);
	if (strcmp(verb, "preview") == 0)
		return kept_preview(argc - 2, argv + 2, cli, noun);
	if (strcmp(noun, "held") == 0 && (strcmp(verb, "approve") == 0 || strcmp(verb, "deny") == 0))
		return kept_voice(argc - 2, argv + 2, cli, noun, verb);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(verb, words[i].verb) == 0)
			return act_on(argc - 2, argv + 2, cli, noun, &words[i]);
	return command_usage(noun);
}

int
cmd_held(int argc, char **argv, const struct cli *cli)
{
	return kept_main(argc, argv, cli, "held");
}

int
cmd_quarantine(int argc, char **argv, const struct cli *cli)
{
	return kept_main(argc, argv, cli, "quarantine");
}
