/* cmd_journal.c -- `postern trace` and `postern tail`: where is my message? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/identity_line.h"
#include "cli/page.h"
#include "clock.h"
#include "id.h"

#define PAGE_MAX ((size_t)256 << 20)

struct tracing {
	const struct cli *cli;
	struct buf out;
	bool events;		/* asked for */
	size_t n;
	const char *query;
};

/* "name[address]", "address", or nothing. */
static void
put_client(struct buf *out, const struct jval *v)
{
	struct span name = jval_text(v, "client_name"), ip = jval_text(v, "client");

	if (name.n) {
		page_text(out, name);
		buf_putc(out, '[');
	}
	page_text(out, ip);
	if (name.n)
		buf_putc(out, ']');
}

static void
put_head(struct tracing *t, const struct jval *v)
{
	struct buf *o = &t->out;
	struct span sender = jval_text(v, "sender");

	page_begin(o, t->cli, BOLD);
	page_text(o, jval_text(v, "id"));
	page_end(o, t->cli, BOLD);
	if (jval_has(v, "time")) {
		buf_puts(o, "  ");
		page_stamp(o, jval_int(v, "time", 0));
		buf_puts(o, "  ");
		page_text(o, jval_text(v, "direction"));
		buf_puts(o, "  ");
		page_size(o, (uint64_t)jval_int(v, "size", 0));
	}
	if (jval_has(v, "parent")) {
		buf_puts(o, "  made from ");
		page_text(o, jval_text(v, "parent"));
	}
	if (jval_has(v, "sender")) {
		buf_puts(o, "\n  from    <");
		page_text(o, sender);
		buf_puts(o, ">");
	}
	if (jval_text(v, "client").n) {
		buf_puts(o, " by ");
		put_client(o, v);
	}
	if (jval_text(v, "subject").n) {
		buf_puts(o, "\n  subject ");
		page_text(o, jval_text(v, "subject"));
	}
	buf_putc(o, '\n');
	if (jval_has(v, "identity")) {
		buf_puts(o, "  ");
		identity_put(o, jval_get(v, "identity"));
	}
}

static void
put_reason(struct buf *o, const struct jval *v)
{
	static const char *const keys[] = { "relay", "reply" };
	bool some = false;

	for (size_t i = 0; i < 2; i++) {
		struct span s = jval_text(v, keys[i]);

		if (s.n == 0 || span_is(s, "none"))
			continue;
		if (some)
			buf_puts(o, ": ");
		page_text(o, s);
		some = true;
	}
	if (jval_text(v, "by").n) {
		buf_puts(o, some ? " by " : "by ");
		page_who(o, jval_text(v, "by"));
		some = true;
	}
	if (jval_text(v, "parent").n) {
		buf_puts(o, some ? ", see " : "see ");
		page_text(o, jval_text(v, "parent"));
		some = true;
	}
	if (!some)
		buf_putc(o, '-');
}

static void
put_recipients(struct tracing *t, const struct jval *v)
{
	static const char *const titles[] = { "to", "is", "since", "tries", "because", NULL };
	const struct jval *list = jval_get(v, "recipients"), *r;
	int64_t now = clock_real();
	struct grid g;

	if (jval_count(list) == 0)
		return;
	grid_init(&g, t->cli, titles, "lllrl");
	for (size_t i = 0; (r = jval_at(list, i)) != NULL; i++) {
		grid_text(&g, jval_text(r, "address"));
		page_text(grid_cell(&g), jval_text(r, "status"));
		grid_done(&g, page_colour_of(jval_text(r, "status")));
		page_time(grid_cell(&g), jval_int(r, "time", 0), now);
		grid_done(&g, PLAIN);
		grid_number(&g, jval_int(r, "attempts", 0));
		put_reason(grid_cell(&g), r);
		grid_done(&g, PLAIN);
	}
	grid_print(&g, &t->out, "  ");
	grid_release(&g);
}

/* What was said in the attempts that failed, line by line. */
void
journal_put_attempts(struct buf *o, const struct cli *cli, const struct jval *v)
{
	const struct jval *list = jval_get(v, "events"), *e;

	for (size_t i = 0; (e = jval_at(list, i)) != NULL; i++) {
		if (!span_is(jval_text(e, "kind"), "attempt"))
			continue;
		buf_puts(o, "\n  ");
		page_begin(o, cli, BOLD);
		buf_puts(o, "the attempt that ended ");
		page_stamp(o, jval_int(e, "time", 0));
		page_end(o, cli, BOLD);
		buf_putc(o, '\n');
		page_lines(o, "  ", jval_text(e, "reply"));
	}
}

static void
put_events(struct tracing *t, const struct jval *v)
{
	static const char *const titles[] = { "time", "what", "to", "", NULL };
	const struct jval *list = jval_get(v, "events"), *e;
	struct grid g;

	if (jval_count(list) == 0)
		return;
	grid_init(&g, t->cli, titles, "llll");
	for (size_t i = 0; (e = jval_at(list, i)) != NULL; i++) {
		if (span_is(jval_text(e, "kind"), "attempt"))
			continue;
		page_stamp(grid_cell(&g), jval_int(e, "time", 0));
		grid_done(&g, PLAIN);
		page_text(grid_cell(&g), jval_text(e, "kind"));
		grid_done(&g, page_colour_of(jval_text(e, "kind")));
		grid_text(&g, jval_text(e, "rcpt"));
		put_reason(grid_cell(&g), e);
		grid_done(&g, PLAIN);
	}
	buf_putc(&t->out, '\n');
	grid_print(&g, &t->out, "  ");
	grid_release(&g);
}

static void
trace_line(void *ctx, const struct jval *v, struct span text)
{
	struct tracing *t = ctx;

	if (!jval_has(v, "found")) {
		if (t->n++ > 0)
			buf_putc(&t->out, '\n');
		put_head(t, v);
		put_recipients(t, v);
		if (t->events) {
			put_events(t, v);
			journal_put_attempts(&t->out, t->cli, v);
		}
		return;
	}
	if (t->n == 0)
		buf_printf(&t->out, "nothing in the journal about %s\n", t->query);
	if (jval_bool(v, "more")) {
		buf_puts(&t->out, "\nthere are older ones: --before ");
		page_text(&t->out, jval_text(v, "next"));
		buf_putc(&t->out, '\n');
	}
	if (jval_text(v, "base").n) {
		buf_puts(&t->out, "\nother nodes were not asked: ");
		page_text(&t->out, jval_text(v, "base"));
		buf_putc(&t->out, '\n');
	} else if (jval_bool(v, "partial"))
		buf_puts(&t->out, "\nthe search was stopped after a second: narrow it (since:, from:, an address, an id)\n");
	if (jval_bool(v, "unindexed"))
		buf_puts(&t->out, "\nolder messages are still being indexed: later they are found, too\n");
}

int
cmd_trace(int argc, char **argv, const struct cli *cli)
{
	struct tracing t = { .cli = cli };
	struct request r;
	const char *before = NULL;
	uint64_t limit = 20, id;
	struct buf words;
	int status;

	buf_init(&words, 4096);

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--events") == 0)
			t.events = true;
		else if (strcmp(argv[i], "--limit") == 0 && i + 1 < argc &&
		    parse_uint(span_str(argv[i + 1]), 1000, &limit) && limit > 0)
			i++;
		else if (strcmp(argv[i], "--before") == 0 && i + 1 < argc &&
		    id_parse(span_str(argv[i + 1]), &id))
			before = argv[++i];
		else if (argv[i][0] == '-')
			goto usage;
		else
			buf_printf(&words, "%s%s", buf_size(&words) ? " " : "", argv[i]);
	}
	if (buf_size(&words) == 0 || buf_failed(&words))
		goto usage;
	buf_putc(&words, '\0');
	t.query = buf_data(&words).p;
	/* One message: its whole life. */
	t.events |= id_parse(span_str(t.query), &id);
	buf_init(&t.out, PAGE_MAX);
	request_begin(&r, "trace");
	json_kcstr(&r.j, "q", t.query);
	json_kuint(&r.j, "limit", limit);
	if (before)
		json_kcstr(&r.j, "before", before);
	status = control_ask(cli, &r, CONTROL_SHOW, trace_line, &t);
	page_flush(&t.out);
	buf_release(&t.out);
	buf_release(&words);
	if (status == CLI_OK && t.n == 0 && !cli->json)
		status = CLI_FINDINGS;
	return status;
usage:
	buf_release(&words);
	return command_usage("trace");
}

/* ---- tail ---- */

static void
tail_line(void *ctx, const struct jval *v, struct span text)
{
	struct tracing *t = ctx;
	struct buf *o = &t->out;
	struct span kind = jval_text(v, "kind"), rcpt = jval_text(v, "rcpt");

	page_time(o, jval_int(v, "time", 0), clock_real());
	buf_puts(o, "  ");
	page_text(o, jval_text(v, "id"));
	buf_puts(o, "  ");
	page_begin(o, t->cli, page_colour_of(kind));
	page_text(o, kind);
	page_end(o, t->cli, page_colour_of(kind));
	for (size_t n = kind.n; n < 12; n++)
		buf_putc(o, ' ');
	if (jval_has(v, "sender")) {
		buf_puts(o, "from=<");
		page_text(o, jval_text(v, "sender"));
		buf_puts(o, "> ");
		if (jval_text(v, "client").n)
			put_client(o, v);
		buf_puts(o, " ");
	}
	if (rcpt.n) {
		buf_puts(o, "to=<");
		page_text(o, rcpt);
		buf_puts(o, "> ");
	} else if (jval_count(jval_get(v, "recipients")) > 0) {
		page_count(o, jval_count(jval_get(v, "recipients")), "recipient ", "recipients ");
	}
	if (span_is(kind, "attempt"))
		buf_puts(o, "what was said: postern trace ID");
	else if (jval_text(v, "reply").n || jval_text(v, "by").n || jval_text(v, "parent").n)
		put_reason(o, v);
	buf_putc(o, '\n');
	page_flush(o);
}

int
cmd_tail(int argc, char **argv, const struct cli *cli)
{
	struct tracing t = { .cli = cli };
	struct request r;
	int status;

	if (argc > 1)
		return command_usage("tail");
	buf_init(&t.out, PAGE_MAX);
	request_begin(&r, "tail");
	status = control_ask(cli, &r, CONTROL_SHOW, tail_line, &t);
	buf_release(&t.out);
	return status;
}
