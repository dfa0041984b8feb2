/* cmd_cluster.c -- `postern cluster status`: all nodes on one page, the sick ones in words.
 *
 * This node says of itself what it knows: version, configuration, queue, and how it is with Redis and the shared base. Of the others
 * the base says what it heard last; with --ask they are asked by the way `drain --to` takes, so the page is whole
 * also when the base is what is away.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/page.h"
#include "clock.h"

#define QUIET_US (60 * US_PER_SEC)	/* who has not been heard of for so long is said to be silent */
#define ANSWER_MAX ((size_t)64 << 10)
#define ASK_MS 10000
#define NODES_MAX 256

struct state {			/* of one node */
	struct span name;
	uint32_t number;	/* 0: it is not in cluster.nodes */
	const char *source;	/* "here", "asked", "base"; NULL: nobody knows */
	struct span version, config, policy, refused, counters, why;
	int64_t heard;		/* 0: never */
	int64_t queue, oldest, offered, behind;	/* -1: not known */
	bool without_base;
};

struct cluster {
	const struct cli *cli;
	const struct config *conf;
	struct arena *a;
	struct state *v;
	size_t n;
	bool base;		/* it answered */
	char base_why[300];
};

static struct state *
node_named(struct cluster *c, struct span name)
{
	for (size_t i = 0; i < c->n; i++)
		if (span_eq(c->v[i].name, name))
			return &c->v[i];
	if (c->n == NODES_MAX)
		return NULL;
	c->v[c->n] = (struct state){ .name = arena_span(c->a, name), .queue = -1, .offered = -1, .behind = -1 };
	return &c->v[c->n++];
}

/* ---- this node ---- */

struct here {
	struct cluster *c;
	struct state *s;
};

static void
master_line(void *ctx, const struct jval *v, struct span text)
{
	struct here *h = ctx;
	struct arena *a = h->c->a;

	if ((h->s = node_named(h->c, jval_text(v, "node"))) == NULL)
		return;
	h->s->source = "here";
	h->s->number = (uint32_t)jval_int(v, "node_number", 0);
	h->s->heard = clock_real();
	h->s->version = arena_span(a, jval_text(v, "version"));
	h->s->config = arena_span(a, jval_text(v, "config_hash"));
	h->s->policy = arena_span(a, jval_text(v, "policy"));
	h->s->refused = arena_span(a, jval_text(jval_get(v, "reload"), "refused"));
}

static void
queue_line(void *ctx, const struct jval *v, struct span text)
{
	struct here *h = ctx;

	if (h->s == NULL)
		return;
	h->s->queue = jval_int(v, "messages", -1);
	h->s->oldest = page_when(v, "oldest");
	h->s->offered = jval_int(v, "offered", 0);
}

static void
counters_line(void *ctx, const struct jval *v, struct span text)
{
	struct here *h = ctx;

	if (h->s == NULL)
		return;
	h->s->counters = arena_span(h->c->a, jval_text(v, "state"));
	h->s->why = arena_span(h->c->a, jval_text(v, "why"));
}

static void
store_line(void *ctx, const struct jval *v, struct span text)
{
	struct here *h = ctx;
	const struct jval *base = jval_get(v, "base");

	if (h->s == NULL || !jval_is_object(base))
		return;
	h->s->behind = jval_int(base, "behind", -1);
	h->s->without_base = !jval_bool(base, "there");
}

static void
node_line(void *ctx, const struct jval *v, struct span text)
{
	struct cluster *c = ctx;
	struct state *s;

	if (!jval_has(v, "node"))
		return;
	c->base = true;
	if ((s = node_named(c, jval_text(v, "node"))) == NULL || page_when(v, "heard") < s->heard - QUIET_US)
		return;		/* an earlier machine of this name */
	if (s->behind < 0)
		s->behind = jval_int(v, "behind", -1);
	if (s->source && strcmp(s->source, "here") == 0)
		return;
	s->source = "base";
	s->heard = page_when(v, "heard");
	s->version = arena_span(c->a, jval_text(v, "version"));
	s->config = arena_span(c->a, jval_text(v, "config"));
	if (jval_has(v, "queue"))
		s->queue = jval_int(v, "queue", -1);
	if (jval_has(v, "counters"))
		s->counters = arena_span(c->a, jval_text(v, "counters"));
}

static int
ask_here(struct cluster *c, bool only)
{
	struct here h = { c, NULL };
	struct request r;
	int status;

	request_begin(&r, "status");
	if ((status = control_ask(c->cli, &r, CONTROL_READ, master_line, &h)) != CLI_OK)
		return status;
	request_begin(&r, "queue.summary");
	control_ask_quietly(c->cli, &r, queue_line, &h);
	request_begin(&r, "counters.status");	/* where there is none it says so, and nothing is shown */
	control_ask_quietly(c->cli, &r, counters_line, &h);
	request_begin(&r, "store.status");
	control_ask_quietly(c->cli, &r, store_line, &h);
	request_begin(&r, "audit.nodes");
	if (!only)
		control_ask_quietly(c->cli, &r, node_line, c);
	else
		request_release(&r);
	return CLI_OK;
}

/* ---- the others, themselves ---- */

static _Noreturn void
become(const char *name, const char *address, const char *via, int out)
{
	const char *ssh[] = { "ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "--", address, "postern", "--json",
		"cluster", "status", "--here", NULL };
	int null = open("/dev/null", O_RDWR);

	if (dup2(null, 0) == -1 || dup2(out, 1) == -1)
		_exit(126);
	setpgid(0, 0);
	setenv("POSTERN_NODE", name, 1);
	setenv("POSTERN_ADDRESS", address, 1);
	if (via)
		execl("/bin/sh", "sh", "-c", via, (char *)NULL);
	else
		execvp("ssh", (char *const *)(uintptr_t)ssh);
	_exit(127);
}

/* What it wrote within ASK_MS. */
static struct span
answer_of(struct cluster *c, int fd)
{
	int64_t until = clock_mono() + ASK_MS * 1000;
	struct span text = { 0 };
	struct buf b;

	buf_init(&b, ANSWER_MAX);
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int64_t left = (until - clock_mono()) / 1000;
		char *room = buf_room(&b, 4096);
		ssize_t n;

		if (left <= 0 || room == NULL || poll(&p, 1, (int)left) <= 0 || (n = read(fd, room, 4096)) <= 0)
			break;
		buf_commit(&b, (size_t)n);
	}
	text = arena_span(c->a, buf_data(&b));
	buf_release(&b);
	return text;
}

static void
take_answer(struct cluster *c, struct state *s, struct span text)
{
	struct jval *v = jval_parse(span_sub(text, 0, span_find(text, '\n')), NULL);
	const struct state had = *s;

	if (v && span_eq(jval_text(v, "node"), s->name)) {
		*s = (struct state){ .name = had.name, .number = had.number, .source = "asked", .heard = clock_real(),
			.version = arena_span(c->a, jval_text(v, "version")), .config = arena_span(c->a, jval_text(v, "config")),
			.policy = arena_span(c->a, jval_text(v, "policy")), .refused = arena_span(c->a, jval_text(v, "refused")),
			.counters = arena_span(c->a, jval_text(v, "counters")), .why = arena_span(c->a, jval_text(v, "why")),
			.queue = jval_int(v, "queue", -1), .oldest = jval_int(v, "oldest", 0),
			.offered = jval_int(v, "offered", 0), .behind = jval_int(v, "behind", had.behind),
			.without_base = jval_bool(v, "without_base") };
	}
	jval_free(&v);
}

static void
ask_node(struct cluster *c, struct state *s, struct span address, const char *via)
{
	const char *name = arena_str(c->a, s->name), *at = address.n ? arena_str(c->a, address) : name;
	int p[2], status;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) == -1)
		return;
	fflush(NULL);
	if ((pid = fork()) == 0)
		become(name, at, via, p[1]);
	close(p[1]);
	if (pid != -1) {
		take_answer(c, s, answer_of(c, p[0]));
		kill(-pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	close(p[0]);
}

/* ---- the page ---- */

/* What is wrong with it, in words; "" nothing. */
static const char *
trouble(const struct cluster *c, const struct state *s)
{
	const struct state *own = &c->v[0];

	if (s->source == NULL)
		return "nobody knows of it";
	if (clock_real() - s->heard > QUIET_US)
		return arena_printf(c->a, "not heard of for %llds", (long long)((clock_real() - s->heard) / US_PER_SEC));
	if (s->number == 0 && c->conf->nnodes)
		return "not in `cluster.nodes`";
	if (s->refused.n)
		return arena_printf(c->a, "its last reload was refused: " SPAN_FMT, SPAN_ARG(s->refused));
	if (s->config.n && own->config.n && !span_eq(s->config, own->config))
		return "another postern.yaml than here";
	if (s->policy.n && own->policy.n && !span_eq(s->policy, own->policy))
		return "another policy than here";
	if (span_is(s->counters, "alone"))
		return arena_printf(c->a, "without Redis%s" SPAN_FMT, s->why.n ? ": " : "", SPAN_ARG(s->why));
	if (s->without_base)
		return arena_printf(c->a, "without the shared base, %lld rows wait for it", (long long)s->behind);
	if (s->offered > 0)
		return arena_printf(c->a, "%lld messages are offered to another node", (long long)s->offered);
	return "";
}

static void
put_json(const struct cluster *c, const struct state *s, struct buf *out)
{
	struct json j;

	json_begin(&j, out);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kstr(&j, "node", s->name);
	json_kuint(&j, "number", s->number);
	json_kcstr(&j, "source", s->source);
	json_kstr(&j, "version", s->version);
	json_kstr(&j, "config", s->config);
	json_kstr(&j, "policy", s->policy);
	json_kstr(&j, "refused", s->refused);
	json_kint(&j, "heard", s->heard);
	if (s->queue >= 0)
		json_kint(&j, "queue", s->queue);
	json_kint(&j, "oldest", s->oldest);
	if (s->offered >= 0)
		json_kint(&j, "offered", s->offered);
	json_kstr(&j, "counters", s->counters);
	json_kstr(&j, "why", s->why);
	if (s->behind >= 0)
		json_kint(&j, "behind", s->behind);
	json_kbool(&j, "without_base", s->without_base);
	json_kcstr(&j, "trouble", trouble(c, s));
	json_end_object(&j);
	buf_putc(out, '\n');
}

static void
put_page(const struct cluster *c, struct buf *out)
{
	static const char *const titles[] = { "NODE", "NO", "VERSION", "CONFIG", "HEARD", "QUEUE", "OLDEST", "REDIS",
		"BEHIND", "", NULL };
	struct grid g;
	struct buf age;

	buf_init(&age, 100);
	grid_init(&g, c->cli, titles, "lrlllrllrl");
	for (size_t i = 0; i < c->n; i++) {
		const struct state *s = &c->v[i];
		const char *wrong = trouble(c, s);

		grid_text(&g, s->name);
		grid_number(&g, s->number);
		grid_text(&g, s->version);
		grid_text(&g, span_sub(s->config, 0, 8));
		buf_reset(&age);
		if (s->source && s->heard)
			page_age(&age, clock_real() - s->heard);
		grid_text(&g, buf_data(&age));
		buf_reset(&age);
		buf_printf(&age, s->queue >= 0 ? "%lld" : "-", (long long)s->queue);
		grid_text(&g, buf_data(&age));
		buf_reset(&age);
		if (s->oldest)
			page_age(&age, clock_real() - s->oldest);
		grid_text(&g, buf_data(&age));
		grid_text(&g, s->counters);
		buf_reset(&age);
		buf_printf(&age, s->behind >= 0 ? "%lld" : "-", (long long)s->behind);
		grid_text(&g, buf_data(&age));
		page_text(grid_cell(&g), span_str(*wrong ? wrong : "well"));
		grid_done(&g, *wrong ? RED : PLAIN);
	}
	grid_print(&g, out, "");
	grid_release(&g);
	buf_release(&age);
}

static int
show(const struct cluster *c, bool only)
{
	int status = CLI_OK;
	struct buf out;

	buf_init(&out, 4u << 20);
	for (size_t i = 0; i < (only ? 1 : c->n); i++) {
		if (*trouble(c, &c->v[i]))
			status = CLI_FINDINGS;
		if (c->cli->json)
			put_json(c, &c->v[i], &out);
	}
	if (!c->cli->json)
		put_page(c, &out);
	page_flush(&out);
	buf_release(&out);
	return status;
}

static int
cluster_status(const struct cli *cli, const struct config *conf, bool only, bool ask, const char *via)
{
	struct cluster c = { .cli = cli, .conf = conf, .a = arena_new(0) };
	int status;

	c.v = arena_array(c.a, NODES_MAX, sizeof(*c.v));
	node_named(&c, conf->node);
	for (size_t i = 0; i < conf->nnodes && !only; i++) {
		struct state *s = node_named(&c, conf->nodes[i].name);

		if (s)
			s->number = conf->nodes[i].number;
	}
	if ((status = ask_here(&c, only)) == CLI_OK) {
		for (size_t i = 0; i < conf->nnodes && ask; i++) {
			struct state *s = node_named(&c, conf->nodes[i].name);

			if (s && !(s->source && strcmp(s->source, "here") == 0))
				ask_node(&c, s, conf->nodes[i].address, via);
		}
		status = show(&c, only);
	}
	arena_free(&c.a);
	return status;
}

int
cmd_cluster(int argc, char **argv, const struct cli *cli)
{
	bool only = false, ask = false;
	const char *via = NULL;
	struct config *conf;
	int status;

	if (argc < 2 || strcmp(argv[1], "status") != 0)
		return command_usage("cluster");
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--here") == 0)
			only = true;
		else if (strcmp(argv[i], "--ask") == 0)
			ask = true;
		else if (strcmp(argv[i], "--via") == 0 && i + 1 < argc && ask)
			via = argv[++i];
		else
			return command_usage("cluster");
	}
	if ((only && ask) || (conf = cli_load_config(cli)) == NULL)
		return only && ask ? command_usage("cluster") : CLI_FINDINGS;
	status = cluster_status(cli, conf, only, ask, via);
	if (conf != cli->conf)
		config_free(&conf);
	return status;
}
