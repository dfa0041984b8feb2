/* cmd_handover.c -- `postern drain --to NODE`: the queue, message by message, to another node.
 *
 * What is offered (relay/queue/queue_handover.c) is copied out of the spool into the other node's `postern queue import -`,
 * which says for each message under which id it has it, durably; that is told to the queue here, and the
 * message ends. Whatever is cut off in between, the same command goes on: nothing is lost, nothing taken twice.
 *
 * The way there is ssh, as it is between administrators' machines anyway: no port, no key and no trust of Postern's own. On
 * the other side a key may be good for nothing else: restrict,command="postern --json queue import -".
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/control_client.h"
#include "cli/handover.h"
#include "cli/spool_folder.h"
#include "fs.h"
#include "id.h"
#include "queue/portable.h"
#include "table.h"

#define ACKS_MAX ((size_t)16 << 20)
#define REST_US 500000		/* so long what is being delivered right now is waited for */
#define FRUITLESS_MAX 3		/* rounds in which the other node took nothing */

struct handing {
	const struct cli *cli;
	const struct config *conf;
	const char *to, *via;		/* via: a command of the shell; NULL: ssh */
	const char *address;
	struct idtable *offered;
	int64_t left;
	uint64_t handed;
	bool unreadable;
};

/* ---- the queue here ---- */

static void
offer_line(void *ctx, const struct jval *v, struct span text)
{
	struct handing *h = ctx;
	const struct jval *list = jval_get(v, "offered");
	uint64_t id;

	h->left = jval_int(v, "left", 0);
	for (size_t i = 0; i < jval_count(list); i++)
		if (id_parse(jval_str(jval_at(list, i)), &id))
			idtable_put(h->offered, id, h);
}

static int
ask_offer(struct handing *h)
{
	struct request r;

	idtable_free(&h->offered);
	h->offered = idtable_new();
	h->left = 0;
	request_begin(&r, "queue.offer");
	json_kcstr(&r.j, "to", h->to);
	return control_ask(h->cli, &r, CONTROL_READ, offer_line, h);
}

static void
handed_line(void *ctx, const struct jval *v, struct span text)
{
	((struct handing *)ctx)->handed += (uint64_t)jval_int(v, "handed", 0);
}

/* acks: lines {"id":OLD,"as":NEW} of the other node. */
static int
tell_handed(struct handing *h, struct span acks)
{
	struct arena *a = arena_new(0);
	struct span line, *ids = NULL, *as = NULL;
	size_t n = 0, cap = 0;
	struct request r;
	int status;

	for (; acks.n > 0; acks = span_from(acks, line.n + 1)) {
		struct jval *v;
		uint64_t id;

		line = span_sub(acks, 0, span_find(acks, '\n'));
		v = line.n == acks.n ? NULL : jval_parse(line, NULL);	/* a last line that is cut off */
		if (v && id_parse(jval_text(v, "id"), &id) && idtable_get(h->offered, id)) {
			if (n == cap) {
				size_t more = cap ? cap * 2 : 256;

				ids = arena_grow(a, ids, cap * sizeof(*ids), more * sizeof(*ids));
				as = arena_grow(a, as, cap * sizeof(*as), more * sizeof(*as));
				cap = more;
			}
			ids[n] = arena_span(a, jval_text(v, "id"));
			as[n++] = arena_span(a, jval_text(v, "as"));
		}
		jval_free(&v);
	}
	request_begin(&r, "queue.handed");
	json_kcstr(&r.j, "to", h->to);
	json_key(&r.j, "ids");
	json_array(&r.j);
	for (size_t i = 0; i < n; i++)
		json_str(&r.j, ids[i]);
	json_end_array(&r.j);
	json_key(&r.j, "as");
	json_array(&r.j);
	for (size_t i = 0; i < n; i++)
		json_str(&r.j, as[i]);
	json_end_array(&r.j);
	status = control_ask(h->cli, &r, CONTROL_READ, handed_line, h);
	arena_free(&a);
	return status;
}

/* ---- the other node ---- */

static _Noreturn void
become(const struct handing *h, int in, int out)
{
	const char *ssh[] = { "ssh", "-o", "BatchMode=yes", "--", h->address, "postern", "--json", "queue", "import",
		"-", NULL };

	if (dup2(in, 0) == -1 || dup2(out, 1) == -1)
		_exit(126);
	signal(SIGPIPE, SIG_DFL);
	setenv("POSTERN_NODE", h->to, 1);
	if (h->via)
		execl("/bin/sh", "sh", "-c", h->via, (char *)NULL);
	else
		execvp("ssh", (char *const *)(uintptr_t)ssh);
	dprintf(2, "postern: %s: %s\n", h->via ? "/bin/sh" : "ssh", strerror(errno));
	_exit(127);
}

static void
said(void *ctx, const char *text)
{
	((struct handing *)ctx)->unreadable = true;
	fprintf(stderr, "postern: %s\n", text);
}

/* What is offered, into the pipe. A pipe that breaks is the other side's fault, which says so itself. */
static void
pour(struct handing *h, int fd)
{
	char *path = spool_folder(h->cli, NULL);
	struct portable_count n = { 0 };
	struct audit *a;
	struct err err;

	if (path == NULL || (a = audit_spool(path, &err)) == NULL) {
		fprintf(stderr, "postern: %s\n", path ? err.text : "no spool");
		free(path);
		return;
	}
	if (portable_export(a, fd, h->conf->hostname, h->offered, &n, said, h, &err) == -1 && errno != EPIPE)
		fprintf(stderr, "postern: %s\n", err.text);
	audit_free(&a);
	free(path);
}

/* One round: what is offered goes over; what is there now is told. */
static int
carry(struct handing *h)
{
	struct arena *a = arena_new(0);
	struct span acks = { 0 };
	struct err err;
	int p[2], out = fs_memfd("acks", &err), status = -1, r;
	pid_t pid;

	if (out == -1 || pipe2(p, O_CLOEXEC) == -1) {
		perror("postern: a pipe");
		if (out != -1)
			close(out);
		arena_free(&a);
		return CLI_FINDINGS;
	}
	fflush(NULL);
	if ((pid = fork()) == 0)
		become(h, p[0], out);
	close(p[0]);
	if (pid != -1)
		pour(h, p[1]);
	close(p[1]);
	if (pid == -1 || waitpid(pid, &status, 0) == -1)
		perror("postern: the way to the other node");
	/* Said is said, also by one that was cut off. */
	if (lseek(out, 0, SEEK_SET) == -1 || fs_read_fd(a, out, ACKS_MAX, &acks, &err) == -1)
		fprintf(stderr, "postern: %s\n", err.text);
	close(out);
	r = tell_handed(h, acks);
	if (r == CLI_OK && !(WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
		fprintf(stderr, "postern: %s did not take all of it (status %d)\n", h->to,
		    WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
		r = CLI_FINDINGS;
	}
	arena_free(&a);
	return r;
}

static int
hand_over_all(struct handing *h)
{
	static const struct timespec rest = { 0, REST_US * 1000L };
	bool tty = isatty(STDERR_FILENO) && !h->cli->json;
	unsigned fruitless = 0;
	int status;

	for (;;) {
		uint64_t before = h->handed;

		if ((status = ask_offer(h)) != CLI_OK)
			return status;
		if (idtable_count(h->offered) == 0 && h->left == 0)
			return CLI_OK;
		if (tty)
			fprintf(stderr, "\r%llu handed over, %lld left \033[K", (unsigned long long)h->handed,
			    (long long)h->left + (long long)idtable_count(h->offered));
		if (idtable_count(h->offered) == 0) {	/* all that is left is being delivered */
			nanosleep(&rest, NULL);
			continue;
		}
		if ((status = carry(h)) != CLI_OK)
			return status;
		fruitless = h->handed == before ? fruitless + 1 : 0;
		if (fruitless == FRUITLESS_MAX) {
			fprintf(stderr, "postern: %s takes nothing of what is left\n", h->to);
			return CLI_FINDINGS;
		}
	}
}

static const char *
address_of(const struct config *conf, const char *to, struct arena *a)
{
	for (size_t i = 0; i < conf->nnodes; i++)
		if (span_is(conf->nodes[i].name, to) && conf->nodes[i].address.n)
			return arena_str(a, conf->nodes[i].address);
	return to;
}

int
drain_to(const char *to, const char *via, const struct cli *cli)
{
	struct config *conf = cli_load_config(cli);
	struct arena *a = arena_new(0);
	struct handing h = { .cli = cli, .conf = conf, .to = to, .via = via };
	int status = CLI_FINDINGS;

	if (conf == NULL)
		goto out;
	if (span_is(conf->node, to)) {
		fprintf(stderr, "postern: %s is this node\n", to);
		status = CLI_USAGE;
		goto out;
	}
	h.address = address_of(conf, to, a);
	signal(SIGPIPE, SIG_IGN);
	status = hand_over_all(&h);
	if (isatty(STDERR_FILENO) && !cli->json)
		fputs("\r\033[K", stderr);
	if (cli->json)
		printf("{\"v\":1,\"to\":\"%s\",\"handed\":%llu,\"done\":%s}\n", to, (unsigned long long)h.handed,
		    status == CLI_OK ? "true" : "false");
	else
		printf("%llu messages handed over to %s%s\n", (unsigned long long)h.handed, to,
		    status == CLI_OK ? "; the queue is empty" : "; the same command goes on from here");
out:
	idtable_free(&h.offered);
	arena_free(&a);
	if (conf != cli->conf)
		config_free(&conf);
	return status;
}

static void
kept_line(void *ctx, const struct jval *v, struct span text)
{
	printf("%lld messages that were offered to another node are delivered here\n",
	    (long long)jval_int(v, "kept", 0));
}

int
drain_keep(const struct cli *cli)
{
	struct request r;

	request_begin(&r, "queue.keep");
	return control_ask(cli, &r, CONTROL_SHOW, kept_line, NULL);
}
