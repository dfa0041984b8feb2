/* cmd_session.c -- `postern session`: transcripts of SMTP sessions, on demand, for a time.
 *
 * The receivers keep the last 2,000 lines; credentials and messages never
 * stand in them. Shown session by session, in the order in which they began.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/page.h"

struct said {
	char *session;
	struct jval *v;
};

struct page {
	struct said *lines;
	size_t n, room;
	struct jval *state;		/* the last line of the answer */
};

static void
keep_line(void *ctx, const struct jval *v, struct span text)
{
	struct page *p = ctx;

	if (jval_has(v, "lines")) {
		p->state = jval_parse(text, NULL);
		return;
	}
	if (p->n == p->room) {
		p->room = p->room ? 2 * p->room : 256;
		p->lines = realloc(p->lines, p->room * sizeof(*p->lines));
		ASSERT(p->lines != NULL);
	}
	p->lines[p->n].v = jval_parse(text, NULL);
	p->lines[p->n++].session = strndup(jval_text(v, "session").p, jval_text(v, "session").n);
}

static void
put_session(const struct page *p, size_t from, struct buf *o, const struct cli *cli)
{
	const struct jval *first = p->lines[from].v;

	page_begin(o, cli, BOLD);
	page_text(o, jval_text(first, "session"));
	page_end(o, cli, BOLD);
	buf_puts(o, "  ");
	page_stamp(o, page_when(first, "time"));
	buf_puts(o, "  client ");
	page_text(o, jval_text(first, "client"));
	buf_putc(o, '\n');
	for (size_t i = from; i < p->n; i++) {
		const struct jval *v = p->lines[i].v;
		struct span by = jval_text(v, "from");

		if (strcmp(p->lines[i].session, p->lines[from].session) != 0)
			continue;
		buf_puts(o, span_is(by, "client") ? "  C: " : span_is(by, "server") ? "  S: " :
		    "  -- ");
		page_text(o, jval_text(v, "text"));
		buf_putc(o, '\n');
	}
}

static bool
begun_before(const struct page *p, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(p->lines[k].session, p->lines[i].session) == 0)
			return true;
	return false;
}

static int
show(const struct cli *cli)
{
	struct page p = { 0 };
	struct request r;
	struct buf out;
	int status;

	request_begin(&r, "session.show");
	status = control_ask(cli, &r, CONTROL_SHOW, keep_line, &p);
	buf_init(&out, 64u << 20);
	for (size_t i = 0; i < p.n; i++)
		if (!begun_before(&p, i))
			put_session(&p, i, &out, cli);
	if (p.state) {
		if (jval_int(p.state, "lost", 0) > 0)
			buf_printf(&out, "(%lld earlier lines are gone)\n",
			    (long long)jval_int(p.state, "lost", 0));
		if (jval_bool(p.state, "on"))
			buf_printf(&out, "recording for another %lld s\n",
			    (long long)jval_int(p.state, "seconds_left", 0));
		else
			buf_puts(&out, "not recording: `postern session start`\n");
	}
	page_flush(&out);
	buf_release(&out);
	for (size_t i = 0; i < p.n; i++) {
		jval_free(&p.lines[i].v);
		free(p.lines[i].session);
	}
	free(p.lines);
	jval_free(&p.state);
	return status;
}

static void
started_line(void *ctx, const struct jval *v, struct span text)
{
	struct span client = jval_text(v, "client");

	printf("recording sessions of %.*s for %lld minutes: `postern session show`\n",
	    client.n ? (int)client.n : 3, client.n ? client.p : "all",
	    (long long)jval_int(v, "minutes", 0));
}

static int
start(int argc, char **argv, const struct cli *cli)
{
	const char *client = NULL;
	unsigned long minutes = 10;
	struct request r;
	struct cidr net;
	struct err err;
	char *rest;

	for (int i = 2; i < argc; i++) {
		if (i + 1 < argc && strcmp(argv[i], "--client") == 0)
			client = argv[++i];
		else if (i + 1 < argc && strcmp(argv[i], "--minutes") == 0) {
			minutes = strtoul(argv[++i], &rest, 10);
			if (*rest || minutes == 0 || minutes > 1440) {
				fputs("postern session: --minutes: 1 to 1440\n", stderr);
				return CLI_USAGE;
			}
		} else
			return command_usage("session");
	}
	if (client && cidr_parse(span_str(client), &net, &err) == -1) {
		fprintf(stderr, "postern session: --client: %s\n", err.text);
		return CLI_USAGE;
	}
	request_begin(&r, "session.start");
	if (client)
		json_kcstr(&r.j, "client", client);
	json_kuint(&r.j, "minutes", minutes);
	return control_ask(cli, &r, CONTROL_SHOW, started_line, NULL);
}

static void
stopped_line(void *ctx, const struct jval *v, struct span text)
{
	puts("not recording any more; `postern session show` still shows what there is");
}

int
cmd_session(int argc, char **argv, const struct cli *cli)
{
	struct request r;

	if (argc >= 2 && strcmp(argv[1], "start") == 0)
		return start(argc, argv, cli);
	if (argc == 2 && strcmp(argv[1], "show") == 0)
		return show(cli);
	if (argc != 2 || strcmp(argv[1], "stop") != 0)
		return command_usage("session");
	request_begin(&r, "session.stop");
	return control_ask(cli, &r, CONTROL_SHOW, stopped_line, NULL);
}
