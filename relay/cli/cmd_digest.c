/* cmd_digest.c -- `postern digest`: tells users of their quarantine now, or shows what one would be told. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/page.h"

static void
sent_line(void *ctx, const struct jval *v, struct span text)
{
	puts("on its way");
}

static void
preview_line(void *ctx, const struct jval *v, struct span text)
{
	struct buf *out = ctx;

	buf_puts(out, "Subject: ");
	page_text(out, jval_text(v, "subject"));
	buf_puts(out, "\n\n");
	page_lines(out, "", jval_text(v, "text"));
}

int
cmd_digest(int argc, char **argv, const struct cli *cli)
{
	bool send = argc > 1 && strcmp(argv[1], "send") == 0;
	struct request r;
	struct buf out;
	int status;

	if (argc < 2 || argc > 3 || (!send && (strcmp(argv[1], "preview") != 0 || argc != 3)) ||
	    (argc == 3 && argv[2][0] == '-'))
		return command_usage("digest");
	request_begin(&r, send ? "digest.send" : "digest.preview");
	if (argc == 3)
		json_kcstr(&r.j, "user", argv[2]);
	buf_init(&out, 4u << 20);
	status = control_ask(cli, &r, CONTROL_SHOW, send ? sent_line : preview_line, &out);
	page_flush(&out);
	buf_release(&out);
	return status;
}
