/* cmd_drain.c -- `postern drain HOST:PORT`: hands the whole queue over to another node, by SMTP; --to: as it is
 * (cmd_handover.c).
 *
 * The queue does it; this asks for it and waits until it is done. Interrupted, the drain goes on.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/handover.h"

#define POLL_MS 500

struct draining {
	int64_t messages, held, active;
	bool on;
	char error[256];
};

static void
summary_line(void *ctx, const struct jval *v, struct span text)
{
	struct draining *d = ctx;

	d->messages = jval_int(v, "messages", 0);
	d->held = jval_int(v, "held", 0);
	d->active = jval_int(v, "active", 0);
	d->on = jval_text(v, "drain").n > 0;
}

static int
look(const struct cli *cli, struct draining *d)
{
	struct request r;

	request_begin(&r, "queue.summary");
	return control_ask(cli, &r, CONTROL_READ, summary_line, d);
}

static int
wait_empty(const struct cli *cli)
{
	static const struct timespec pause = { 0, POLL_MS * 1000000L };
	bool tty = isatty(STDERR_FILENO) && !cli->json;
	struct draining d = { 0 };
	int64_t first = -1;
	int status;

	for (;;) {
		if ((status = look(cli, &d)) != CLI_OK)
			return status;
		if (first == -1)
			first = d.messages - d.held;
		if (tty)
			fprintf(stderr, "\r%lld left \033[K", (long long)(d.messages - d.held));
		if (!d.on || d.messages <= d.held)
			break;
		nanosleep(&pause, NULL);
	}
	if (tty)
		fputc('\r', stderr);
	if (!d.on) {
		fputs("postern: the drain was ended by somebody else\n", stderr);
		return CLI_FINDINGS;
	}
	if (cli->json)
		printf("{\"v\":1,\"drained\":%lld,\"held\":%lld}\n", (long long)first,
		    (long long)d.held);
	else
		printf("%lld messages handed over; %lld held by an operator stay\n", (long long)first,
		    (long long)d.held);
	return CLI_OK;
}

static void
nothing(void *ctx, const struct jval *v, struct span text)
{
}

int
cmd_drain(int argc, char **argv, const struct cli *cli)
{
	struct request r;
	int status;

	if (argc == 3 && strcmp(argv[1], "--to") == 0 && argv[2][0] != '-')
		return drain_to(argv[2], NULL, cli);
	if (argc == 5 && strcmp(argv[1], "--to") == 0 && argv[2][0] != '-' && strcmp(argv[3], "--via") == 0)
		return drain_to(argv[2], argv[4], cli);
	if (argc == 3 && strcmp(argv[1], "off") == 0 && strcmp(argv[2], "--keep") == 0)
		return drain_keep(cli);
	if (argc != 2 || argv[1][0] == '-')
		return command_usage("drain");
	request_begin(&r, "queue.drain");
	json_kcstr(&r.j, "selector", "all");
	json_kcstr(&r.j, "to", argv[1]);
	status = control_ask(cli, &r, CONTROL_READ, nothing, NULL);
	if (status != CLI_OK || strcmp(argv[1], "off") == 0)
		return status;
	return wait_empty(cli);
}
