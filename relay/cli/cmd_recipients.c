/* cmd_recipients.c -- `postern recipients`: does an address of ours exist, and who says so. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/page.h"

static void
told_line(void *ctx, const struct jval *v, struct span text)
{
	const struct cli *cli = ctx;
	struct span told = jval_text(v, "recipient"), relay = jval_text(v, "relay");
	bool accepted = jval_bool(v, "accepted");
	struct buf o;

	buf_init(&o, 64u << 10);
	page_text(&o, jval_text(v, "address"));
	buf_puts(&o, ": ");
	page_begin(&o, cli, span_is(told, "known") ? GREEN : span_is(told, "unknown") ? RED : YELLOW);
	buf_puts(&o, span_is(told, "known") ? "exists" : span_is(told, "unknown") ?
	    "does not exist" : accepted ? "cannot be asked for now, and was known before: accepted" :
	    "cannot be asked for now: clients are told to come back");
	page_end(&o, cli, PLAIN);
	buf_puts(&o, "\n   = ");
	page_text(&o, jval_text(v, "source"));
	if (relay.n && !span_is(relay, "none")) {
		buf_puts(&o, ", ");
		page_text(&o, relay);
	}
	if (jval_text(v, "text").n) {
		buf_puts(&o, ": ");
		page_text(&o, jval_text(v, "text"));
	}
	buf_putc(&o, '\n');
	page_flush(&o);
	buf_release(&o);
}

static int
test(int argc, char **argv, const struct cli *cli)
{
	int worst = CLI_OK, status;
	bool fresh = false;

	if (argc > 0 && strcmp(argv[0], "--fresh") == 0) {
		fresh = true;
		argc--;
		argv++;
	}
	if (argc < 1)
		return command_usage("recipients");
	for (int i = 0; i < argc; i++) {
		struct request r;

		if (argv[i][0] == '-')
			return command_usage("recipients");
		request_begin(&r, "recipients.test");
		json_kcstr(&r.j, "address", argv[i]);
		if (fresh)
			json_kbool(&r.j, "fresh", true);
		status = control_ask(cli, &r, CONTROL_SHOW, told_line, (void *)(uintptr_t)cli);
		if (status > worst)
			worst = status;
	}
	return worst;
}

static void
forgot_line(void *ctx, const struct jval *v, struct span text)
{
	fputs("forgotten; it will be asked for anew\n", stdout);
}

static int
forget(int argc, char **argv, const struct cli *cli)
{
	struct request r;

	if (argc != 1 || (argv[0][0] == '-' && strcmp(argv[0], "--all") != 0))
		return command_usage("recipients");
	request_begin(&r, "recipients.forget");
	if (strcmp(argv[0], "--all") != 0)
		json_kcstr(&r.j, "address", argv[0]);
	return control_ask(cli, &r, CONTROL_SHOW, forgot_line, NULL);
}

int
cmd_recipients(int argc, char **argv, const struct cli *cli)
{
	if (argc > 1 && strcmp(argv[1], "test") == 0)
		return test(argc - 2, argv + 2, cli);
	if (argc > 1 && strcmp(argv[1], "forget") == 0)
		return forget(argc - 2, argv + 2, cli);
	return command_usage("recipients");
}
