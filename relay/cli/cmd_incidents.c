/* cmd_incidents.c -- `postern incidents`: what rules about content held or refused, and what it was. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/page.h"
#include "clock.h"

struct showing {
	struct grid g;
	struct buf out;
};

static void
put_all(struct buf *o, const struct jval *list)
{
	for (size_t i = 0; i < jval_count(list); i++) {
		if (i)
			buf_puts(o, ", ");
		page_text(o, jval_str(jval_at(list, i)));
	}
}

static void
list_line(void *ctx, const struct jval *v, struct span text)
{
	struct showing *s = ctx;

	if (!jval_has(v, "id"))
		return;
	grid_text(&s->g, jval_text(v, "id"));
	page_time(grid_cell(&s->g), jval_int(v, "time", 0), clock_real());
	grid_done(&s->g, PLAIN);
	grid_text(&s->g, jval_text(v, "message"));
	grid_text(&s->g, jval_text(v, "outcome"));
	grid_text(&s->g, jval_text(v, jval_has(v, "resolution") ? "resolution" : "state"));
	put_all(grid_cell(&s->g), jval_get(v, "rules"));
	grid_done(&s->g, PLAIN);
	grid_text(&s->g, jval_text(v, "sender"));
	put_all(grid_cell(&s->g), jval_get(v, "recipients"));
	grid_done(&s->g, PLAIN);
	grid_text(&s->g, jval_text(v, "subject"));
}

static void
rule_line(void *ctx, const struct jval *v, struct span text)
{
	struct showing *s = ctx;

	grid_text(&s->g, jval_text(v, "rule"));
	grid_number(&s->g, jval_int(v, "open", 0));
	grid_number(&s->g, jval_int(v, "true_positive", 0));
	grid_number(&s->g, jval_int(v, "false_positive", 0));
	grid_number(&s->g, jval_int(v, "other", 0));
	page_time(grid_cell(&s->g), jval_int(v, "last", 0), clock_real());
	grid_done(&s->g, PLAIN);
}

static void
put_findings(struct buf *o, const struct jval *list)
{
	const struct jval *f;

	for (size_t i = 0; (f = jval_at(list, i)) != NULL; i++) {
		buf_puts(o, "  ");
		page_text(o, jval_text(f, "detector"));
		buf_puts(o, " (");
		page_text(o, jval_text(f, "where"));
		if (jval_text(f, "name").n)
			buf_putc(o, ' ');
		page_text(o, jval_text(f, "name"));
		buf_puts(o, "): ");
		put_all(o, jval_get(f, jval_has(f, "values") ? "values" : "masked"));
		buf_putc(o, '\n');
	}
}

static void
show_line(void *ctx, const struct jval *v, struct span text)
{
	struct showing *s = ctx;
	struct buf *o = &s->out;

	if (!jval_has(v, "rules") && jval_has(v, "findings"))
		put_findings(o, jval_get(v, "findings"));	/* in clear */
	else if (jval_has(v, "ok"))
		buf_puts(o, "closed\n");
	else {
		page_text(o, jval_text(v, "message"));
		buf_puts(o, "  ");
		page_text(o, jval_text(v, "outcome"));
		buf_puts(o, "  ");
		page_text(o, jval_text(v, jval_has(v, "resolution") ? "resolution" : "state"));
		buf_puts(o, "\n  rules   ");
		put_all(o, jval_get(v, "rules"));
		buf_puts(o, "\n  from    ");
		page_text(o, jval_text(v, "sender"));
		buf_puts(o, "\n  to      ");
		put_all(o, jval_get(v, "recipients"));
		buf_puts(o, "\n  subject ");
		page_text(o, jval_text(v, "subject"));
		buf_puts(o, "\n");
		put_findings(o, jval_get(v, "findings"));
	}
}

static int
finish(struct showing *s, int status, bool grid)
{
	if (grid && grid_rows(&s->g) > 0)
		grid_print(&s->g, &s->out, "");
	else if (grid && status == CLI_OK && !s->g.cli->json)
		buf_puts(&s->out, "nothing\n");
	page_flush(&s->out);
	buf_release(&s->out);
	if (grid)
		grid_release(&s->g);
	return status;
}

static int
incidents_list(int argc, char **argv, const struct cli *cli)
{
	static const char *const titles[] = { "number", "when", "id", "outcome", "state", "rules", "from", "to",
		"subject", NULL };
	static const char *const options[] = { "--state", "state", "--rule", "rule", "--search", "q",
		"--before", "before", NULL };
	struct showing s = { 0 };
	struct request r;

	request_begin(&r, "incidents.list");
	for (int i = 0; i < argc; i++) {
		int k = 0;

		while (options[k] && strcmp(options[k], argv[i]) != 0)
			k += 2;
		if (options[k] == NULL || i + 1 == argc) {
			request_release(&r);
			return command_usage("incidents");
		}
		json_kcstr(&r.j, options[k + 1], argv[++i]);
	}
	grid_init(&s.g, cli, titles, "rllllllll");
	buf_init(&s.out, 64u << 20);
	return finish(&s, control_ask(cli, &r, CONTROL_SHOW, list_line, &s), true);
}

static int
incidents_rules(const struct cli *cli)
{
	static const char *const titles[] = { "rule", "open", "true", "false", "other", "last", NULL };
	struct showing s = { 0 };
	struct request r;

	request_begin(&r, "incidents.rules");
	grid_init(&s.g, cli, titles, "lrrrrl");
	buf_init(&s.out, 64u << 20);
	return finish(&s, control_ask(cli, &r, CONTROL_SHOW, rule_line, &s), true);
}

/* show N, reveal N --reason TEXT, close N RESOLUTION [--note TEXT] */
static int
incidents_one(int argc, char **argv, const struct cli *cli)
{
	const char *reason = NULL, *note = NULL, *words[2] = { NULL, NULL };
	bool closes = strcmp(argv[0], "close") == 0, reveals = strcmp(argv[0], "reveal") == 0;
	struct showing s = { 0 };
	struct request r;
	char cmd[32];
	int n = 0;

	for (int i = 1; i < argc; i++) {
		if (reveals && strcmp(argv[i], "--reason") == 0 && i + 1 < argc)
			reason = argv[++i];
		else if (closes && strcmp(argv[i], "--note") == 0 && i + 1 < argc)
			note = argv[++i];
		else if (argv[i][0] != '-' && n < 2)
			words[n++] = argv[i];
		else
			return command_usage("incidents");
	}
	if (n != (closes ? 2 : 1) || (reveals && reason == NULL))
		return command_usage("incidents");
	snprintf(cmd, sizeof(cmd), "incidents.%s", argv[0]);
	request_begin(&r, cmd);
	json_kcstr(&r.j, "id", words[0]);
	if (closes)
		json_kcstr(&r.j, "resolution", words[1]);
	if (reason)
		json_kcstr(&r.j, "reason", reason);
	if (note)
		json_kcstr(&r.j, "note", note);
	buf_init(&s.out, 4u << 20);
	return finish(&s, control_ask(cli, &r, CONTROL_SHOW, show_line, &s), false);
}

int
cmd_incidents(int argc, char **argv, const struct cli *cli)
{
	const char *verb = argc > 1 ? argv[1] : "list";

	if (strcmp(verb, "list") == 0)
		return incidents_list(argc > 2 ? argc - 2 : 0, argv + 2, cli);
	if (strcmp(verb, "rules") == 0 && argc == 2)
		return incidents_rules(cli);
	if (strcmp(verb, "show") == 0 || strcmp(verb, "reveal") == 0 || strcmp(verb, "close") == 0)
		return incidents_one(argc - 1, argv + 1, cli);
	return command_usage("incidents");
}
