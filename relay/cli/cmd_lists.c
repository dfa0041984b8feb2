/* cmd_lists.c -- `postern lists`: who may always write, who never; see docs/LISTS.md. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/lists_import.h"
#include "cli/page.h"
#include "clock.h"
#include "conf.h"

static const char *const verbs[] = { "list", "add", "remove", "check", "request", "approve", "deny",
	"import", "export", NULL };

/* ---- showing ---- */

struct entries {
	const struct cli *cli;
	struct grid g;
	bool more;
	uint64_t next;
};

static void
entry_line(void *ctx, const struct jval *v, struct span text)
{
	struct entries *l = ctx;
	int64_t now = clock_real(), end = jval_int(v, "expires", 0);
	bool asked = span_is(jval_text(v, "state"), "requested");

	if (jval_has(v, "found")) {
		l->more = jval_bool(v, "more");
		return;
	}
	grid_number(&l->g, jval_int(v, "number", 0));
	buf_puts(grid_cell(&l->g), asked ? "asked: " : "");
	page_text(&l->g.text, jval_text(v, "list"));
	grid_done(&l->g, asked ? YELLOW : span_is(jval_text(v, "list"), "block") ? RED : GREEN);
	grid_text(&l->g, jval_text(v, "what"));
	if (span_is(jval_text(v, "scope"), "all"))
		grid_cstr(&l->g, "all");
	else
		grid_text(&l->g, jval_text(v, "owner"));
	if (end)
		page_age(grid_cell(&l->g), end > now ? end - now : 0);
	else
		buf_puts(grid_cell(&l->g), "never");
	grid_done(&l->g, PLAIN);
	page_who(grid_cell(&l->g), jval_text(v, "by"));
	grid_done(&l->g, PLAIN);
	page_text(grid_cell(&l->g), jval_text(v, "reason"));
	if (jval_bool(v, "unauthenticated"))
		buf_puts(&l->g.text, jval_text(v, "reason").n ? " (unproved too)" : "(unproved too)");
	grid_done(&l->g, PLAIN);
}

static int
show_entries(const struct cli *cli, struct request *r, const char *nothing)
{
	static const char *const titles[] = { "number", "list", "what", "for", "ends in", "by", "reason",
		NULL };
	struct entries l = { .cli = cli };
	struct buf out;
	int status;

	grid_init(&l.g, cli, titles, "rlllrll");
	buf_init(&out, 256u << 20);
	status = control_ask(cli, r, CONTROL_SHOW, entry_line, &l);
	if (grid_rows(&l.g) > 0)
		grid_print(&l.g, &out, "");
	else if (status == CLI_OK && !cli->json && nothing)
		buf_puts(&out, nothing);
	if (l.more && !cli->json)
		buf_puts(&out, "there are more; --limit N shows them\n");
	page_flush(&out);
	buf_release(&out);
	grid_release(&l.g);
	return status;
}

static int
lists_list(int argc, char **argv, const struct cli *cli)
{
	const char *owner = NULL, *find = NULL, *list = NULL;
	bool requests = false;
	uint64_t limit = 1000;
	struct request r;

	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--allow") == 0 || strcmp(argv[i], "--block") == 0)
			list = argv[i] + 2;
		else if (strcmp(argv[i], "--requests") == 0)
			requests = true;
		else if (strcmp(argv[i], "--find") == 0 && i + 1 < argc)
			find = argv[++i];
		else if (strcmp(argv[i], "--limit") == 0 && i + 1 < argc &&
		    parse_uint(span_str(argv[i + 1]), 20000, &limit) && limit > 0)
			i++;
		else if (argv[i][0] == '-' || owner)
			return command_usage("lists");
		else
			owner = argv[i];
	}
	request_begin(&r, "lists.list");
	if (owner && strcmp(owner, "all") == 0)
		json_kcstr(&r.j, "scope", "all");
	else if (owner)
		json_kcstr(&r.j, "owner", owner);
	if (list)
		json_kcstr(&r.j, "list", list);
	if (requests)
		json_kcstr(&r.j, "state", "requested");
	if (find)
		json_kcstr(&r.j, "q", find);
	json_kuint(&r.j, "limit", limit);
	return show_entries(cli, &r, requests ? "nothing is asked for\n" : "no entries\n");
}

/* ---- changing ---- */

/* Scope and owner, as `for` says it: nothing, a domain, an address. */
static void
put_owner(struct request *r, const char *whose, const char *who)
{
	const char *scope = whose == NULL || strcmp(whose, "all") == 0 ? "all" :
	    strchr(whose, '@') && whose[0] != '@' ? "user" : "domain";

	json_kcstr(&r->j, "scope", scope);
	if (strcmp(scope, "all") != 0)
		json_kcstr(&r->j, "owner", whose);
	else if (who)
		json_kcstr(&r->j, "owner", who);
}

static int
lists_add(int argc, char **argv, const struct cli *cli, const char *cmd)
{
	static const char *const lists[] = { "allow", "block", NULL };
	const char *list = NULL, *what = NULL, *whose = NULL, *who = NULL, *reason = NULL;
	const char *expires = NULL, *near;
	bool forever = false, unproved = false;
	struct request r;

	for (int i = 0; i < argc; i++) {
		bool value = i + 1 < argc;

		if (strcmp(argv[i], "--for") == 0 && value)
			whose = argv[++i];
		else if (strcmp(argv[i], "--owner") == 0 && value)
			who = argv[++i];
		else if (strcmp(argv[i], "--reason") == 0 && value)
			reason = argv[++i];
		else if (strcmp(argv[i], "--expires") == 0 && value)
			expires = argv[++i];
		else if (strcmp(argv[i], "--forever") == 0)
			forever = true;
		else if (strcmp(argv[i], "--unauthenticated") == 0)
			unproved = true;
		else if (argv[i][0] == '-' || what)
			return command_usage("lists");
		else if (list)
			what = argv[i];
		else
			list = argv[i];
	}
	if (list && strcmp(list, "allow") != 0 && strcmp(list, "block") != 0) {
		near = conf_nearest(span_str(list), lists);
		fprintf(stderr, "postern lists: `%s`: allow or block%s%s%s\n", list,
		    near ? "; did you mean `" : "", near ? near : "", near ? "`?" : "");
		return CLI_USAGE;
	}
	if (what == NULL)
		return command_usage("lists");
	request_begin(&r, cmd);
	put_owner(&r, whose, who);
	json_kcstr(&r.j, "list", list);
	json_kcstr(&r.j, "what", what);
	if (reason)
		json_kcstr(&r.j, "reason", reason);
	if (expires)
		json_kcstr(&r.j, "expires", expires);
	if (forever)
		json_kbool(&r.j, "forever", true);
	if (unproved)
		json_kbool(&r.j, "unauthenticated", true);
	return show_entries(cli, &r, NULL);
}

static int
lists_act(int argc, char **argv, const struct cli *cli, const char *cmd)
{
	bool approve = strcmp(cmd, "lists.approve") == 0, forever = false;
	const char *expires = NULL;
	uint64_t numbers[1000];
	struct request r;
	size_t n = 0;

	for (int i = 0; i < argc; i++) {
		if (approve && strcmp(argv[i], "--expires") == 0 && i + 1 < argc)
			expires = argv[++i];
		else if (approve && strcmp(argv[i], "--forever") == 0)
			forever = true;
		else if (n == sizeof(numbers) / sizeof(numbers[0]) ||
		    !parse_uint(span_str(argv[i]), INT64_MAX, &numbers[n]))
			return command_usage("lists");
		else
			n++;
	}
	if (n == 0)
		return command_usage("lists");
	request_begin(&r, cmd);
	json_key(&r.j, "numbers");
	json_array(&r.j);
	for (size_t i = 0; i < n; i++)
		json_uint(&r.j, numbers[i]);
	json_end_array(&r.j);
	if (expires)
		json_kcstr(&r.j, "expires", expires);
	if (forever)
		json_kbool(&r.j, "forever", true);
	return show_entries(cli, &r, NULL);
}

/* ---- what decides ---- */

struct deciding {
	struct buf out;
	size_t n;
};

static void
put_effect(struct buf *o, const char *when, const struct jval *v)
{
	struct span e = jval_text(v, "effect");

	buf_printf(o, "%s: ", when);
	if (span_is(e, "reject"))
		buf_puts(o, "refused");
	else if (span_is(e, "quarantine"))
		buf_puts(o, "quarantined (blocked)");
	else if (span_is(e, "not-spam"))
		buf_puts(o, "never treated as spam");
	else
		buf_puts(o, "no list decides");
	if (jval_has(v, "number"))
		buf_printf(o, ", entry %lld decides", (long long)jval_int(v, "number", 0));
	buf_putc(o, '\n');
}

static void
check_line(void *ctx, const struct jval *v, struct span text)
{
	struct deciding *d = ctx;

	if (jval_has(v, "proved")) {
		if (d->n == 0)
			buf_puts(&d->out, "no entry speaks of it\n");
		put_effect(&d->out, "when the sender is proved", jval_get(v, "proved"));
		put_effect(&d->out, "when not", jval_get(v, "unproved"));
		return;
	}
	d->n++;
	buf_printf(&d->out, "entry %lld: ", (long long)jval_int(v, "number", 0));
	page_text(&d->out, jval_text(v, "scope"));
	buf_putc(&d->out, ' ');
	page_text(&d->out, jval_text(v, "owner"));
	buf_putc(&d->out, ' ');
	page_text(&d->out, jval_text(v, "list"));
	buf_putc(&d->out, ' ');
	page_text(&d->out, jval_text(v, "what"));
	if (jval_text(v, "reason").n) {
		buf_puts(&d->out, " -- ");
		page_text(&d->out, jval_text(v, "reason"));
	}
	buf_putc(&d->out, '\n');
}

static int
lists_check(int argc, char **argv, const struct cli *cli)
{
	static const char *const keys[] = { "sender", "recipient", "client" };
	const char *given[3] = { NULL }, *from = NULL;
	struct deciding d = { .n = 0 };
	struct request r;
	int n = 0, status;

	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--from") == 0 && i + 1 < argc)
			from = argv[++i];
		else if (argv[i][0] == '-' || n == 3)
			return command_usage("lists");
		else
			given[n++] = argv[i];
	}
	if (n < 2)
		return command_usage("lists");
	request_begin(&r, "lists.check");
	for (int i = 0; i < n; i++)
		json_kcstr(&r.j, keys[i], given[i]);
	if (from)
		json_kcstr(&r.j, "from", from);
	buf_init(&d.out, 1u << 20);
	status = control_ask(cli, &r, CONTROL_SHOW, check_line, &d);
	page_flush(&d.out);
	buf_release(&d.out);
	return status;
}

/* ---- out ---- */

struct exporting {
	uint64_t next;
	bool more;
};

static void
export_line(void *ctx, const struct jval *v, struct span text)
{
	struct exporting *e = ctx;

	if (jval_has(v, "found")) {
		e->more = jval_bool(v, "more");
		e->next = (uint64_t)jval_int(v, "next", 0);
	} else {
		fwrite(text.p, 1, text.n, stdout);
		putchar('\n');
	}
}

/* As `import` reads it, page by page. */
static int
lists_export(int argc, char **argv, const struct cli *cli)
{
	struct exporting e = { .more = true };
	int status = CLI_OK;

	if (argc > 1 || (argc == 1 && argv[0][0] == '-'))
		return command_usage("lists");
	while (e.more && status == CLI_OK) {
		struct request r;

		e.more = false;
		request_begin(&r, "lists.list");
		if (argc == 1)
			json_kcstr(&r.j, strcmp(argv[0], "all") == 0 ? "scope" : "owner", argv[0]);
		json_kcstr(&r.j, "state", "active");
		json_kuint(&r.j, "after", e.next);
		json_kuint(&r.j, "limit", 5000);
		status = control_ask(cli, &r, CONTROL_READ, export_line, &e);
	}
	return status;
}

int
cmd_lists(int argc, char **argv, const struct cli *cli)
{
	const char *verb = argc > 1 ? argv[1] : "list", *near;
	int n = argc > 1 ? argc - 2 : 0;
	char **v = argc > 1 ? argv + 2 : argv;

	/* `lists OWNER`, `lists --allow` */
	if (argc > 1 && (verb[0] == '-' || strchr(verb, '@') || strchr(verb, '.') || strcmp(verb, "all") == 0))
		return lists_list(argc - 1, argv + 1, cli);
	if (strcmp(verb, "list") == 0)
		return lists_list(n, v, cli);
	if (strcmp(verb, "add") == 0)
		return lists_add(n, v, cli, "lists.add");
	if (strcmp(verb, "request") == 0)
		return lists_add(n, v, cli, "lists.request");
	if (strcmp(verb, "remove") == 0)
		return lists_act(n, v, cli, "lists.remove");
	if (strcmp(verb, "approve") == 0)
		return lists_act(n, v, cli, "lists.approve");
	if (strcmp(verb, "deny") == 0)
		return lists_act(n, v, cli, "lists.deny");
	if (strcmp(verb, "check") == 0)
		return lists_check(n, v, cli);
	if (strcmp(verb, "export") == 0)
		return lists_export(n, v, cli);
	if (strcmp(verb, "import") == 0)
		return n == 1 ? lists_import(v[0], cli) : command_usage("lists");
	near = conf_nearest(span_str(verb), verbs);
	if (near)
		fprintf(stderr, "postern lists: no `%s`; did you mean `%s`?\n", verb, near);
	return command_usage("lists");
}
