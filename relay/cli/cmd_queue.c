/* cmd_queue.c -- `postern queue`: what is still here, why, and the operator's hand. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/acts.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/page.h"
#include "cli/spool_folder.h"
#include "clock.h"
#include "conf.h"
#include "id.h"

#define PAGE_MAX ((size_t)256 << 20)
#define SHOW_MAX 100000		/* as the queue's own limit (queue_control.c) */

struct queueing {
	const struct cli *cli;
	const char *by;
	struct grid g;
	struct buf out;
	size_t n;
	uint64_t messages;
};

/* ---- put together by site, sender or reason ---- */

static void
put_site_state(struct queueing *q, const struct jval *v, int64_t now)
{
	struct buf *o = grid_cell(&q->g);
	enum page_colour c = PLAIN;

	if (jval_bool(v, "paused")) {
		buf_puts(o, "paused by an operator");
		c = YELLOW;
	} else if (page_when(v, "rests_until") > now) {
		buf_puts(o, "rests for ");
		page_age(o, page_when(v, "rests_until") - now);
		c = YELLOW;
	} else {
		buf_puts(o, jval_int(v, "active", 0) ? "delivering" : "-");
	}
	if (jval_int(v, "failures", 0) > 0) {
		buf_puts(o, ", failed ");
		page_count(o, (uint64_t)jval_int(v, "failures", 0), "time", "times");
		if (jval_text(v, "last").n) {
			buf_puts(o, " (");
			page_text(o, jval_text(v, "last"));
			buf_puts(o, ")");
		}
		c = YELLOW;
	}
	grid_done(&q->g, c);
}

static void
group_line(void *ctx, const struct jval *v, struct span text)
{
	struct queueing *q = ctx;
	int64_t now = clock_real(), oldest = page_when(v, "oldest");

	q->messages += (uint64_t)jval_int(v, "messages", 0);
	grid_number(&q->g, jval_int(v, "messages", 0));
	if (strcmp(q->by, "site") == 0) {
		grid_number(&q->g, jval_int(v, "active", 0));
		grid_number(&q->g, jval_int(v, "deferred", 0));
		grid_text(&q->g, jval_text(v, "site"));
		put_site_state(q, v, now);
		return;
	}
	page_size(grid_cell(&q->g), (uint64_t)jval_int(v, "bytes", 0));
	grid_done(&q->g, PLAIN);
	if (oldest)
		page_age(grid_cell(&q->g), now - oldest);
	else
		buf_puts(grid_cell(&q->g), "-");
	grid_done(&q->g, PLAIN);
	grid_text(&q->g, strcmp(q->by, "sender") == 0 && jval_text(v, "sender").n == 0 ?
	    SPAN_LIT("<>") : jval_text(v, q->by));
}

static int
queue_by(const struct cli *cli, const char *by)
{
	static const char *const site[] = { "messages", "active", "deferred", "site", "state", NULL };
	static const char *const sender[] = { "messages", "size", "oldest", "sender", NULL };
	static const char *const reason[] = { "messages", "size", "oldest", "reason", NULL };
	struct queueing q = { .cli = cli, .by = by };
	struct request r;
	int status;

	if (strcmp(by, "site") == 0)
		grid_init(&q.g, cli, site, "rrrll");
	else
		grid_init(&q.g, cli, strcmp(by, "sender") == 0 ? sender : reason, "rrrl");
	request_begin(&r, "queue.list");
	json_kcstr(&r.j, "by", by);
	status = control_ask(cli, &r, CONTROL_SHOW, group_line, &q);
	buf_init(&q.out, PAGE_MAX);
	if (grid_rows(&q.g) > 0)
		grid_print(&q.g, &q.out, "");
	else if (status == CLI_OK && !cli->json)
		buf_puts(&q.out, "the queue is empty\n");
	page_flush(&q.out);
	buf_release(&q.out);
	grid_release(&q.g);
	return status;
}

/* ---- show ---- */

static void
put_try(struct buf *o, const struct jval *leg, int64_t now)
{
	int64_t next = page_when(leg, "next");

	page_text(o, jval_text(leg, "why"));
	if (next > now) {
		buf_puts(o, ", in ");
		page_age(o, next - now);
		buf_puts(o, " at ");
		page_time(o, next, now);
	}
	if (span_is(jval_text(leg, "state"), "ready") && jval_has(leg, "site_window"))
		buf_printf(o, " (%lld at work, %lld allowed now)",
		    (long long)jval_int(leg, "site_active", 0),
		    (long long)jval_int(leg, "site_window", 0));
	if (jval_bool(leg, "may_be_delivered_twice"))
		buf_puts(o, "; a delivery was cut off by a crash, so it may be delivered twice");
	if (jval_int(leg, "attempts", 0) > 0) {
		buf_puts(o, "; tried ");
		page_count(o, (uint64_t)jval_int(leg, "attempts", 0), "time", "times");
	}
	buf_putc(o, '\n');
}

/* As it would stand in postern.yaml: "90s", "5m", "2h". */
static void
put_pause(struct buf *o, double seconds)
{
	long long s = (long long)seconds;

	if (s % 3600 == 0)
		buf_printf(o, "%lldh", s / 3600);
	else if (s % 60 == 0)
		buf_printf(o, "%lldm", s / 60);
	else
		buf_printf(o, "%llds", s);
}

/* "retried as greylisted (asked to come again): after 5m [5m] 10m, and so on" */
static void
put_retry(struct buf *o, const struct jval *v)
{
	const struct jval *curve = jval_get(v, "curve"), *pause;
	int64_t failed = jval_int(v, "failed", 0);

	if (v == NULL)
		return;
	buf_puts(o, "    retried as ");
	page_text(o, jval_text(v, "class"));
	buf_puts(o, " (");
	page_text(o, jval_text(v, "phrase"));
	buf_puts(o, "): after");
	for (size_t i = 0; (pause = jval_at(curve, i)) != NULL; i++) {
		bool here = (int64_t)i + 1 == failed ||
		    (failed > (int64_t)jval_count(curve) && i + 1 == jval_count(curve));

		buf_puts(o, here ? " [" : " ");
		put_pause(o, jval_num(pause, 0));
		if (here)
			buf_putc(o, ']');
	}
	buf_puts(o, ", and so on\n");
}

static void
put_leg(struct queueing *q, const struct jval *leg, int64_t now)
{
	struct buf *o = &q->out;
	const struct jval *list = jval_get(leg, "recipients"), *r;

	buf_puts(o, "  ");
	page_text(o, jval_text(leg, "site").n ? jval_text(leg, "site") : jval_text(leg, "kind"));
	buf_puts(o, ": ");
	put_try(o, leg, now);
	put_retry(o, jval_get(leg, "retry"));
	for (size_t i = 0; (r = jval_at(list, i)) != NULL; i++) {
		struct span status = jval_text(r, "status");
		enum page_colour c = page_colour_of(status);

		buf_puts(o, "    <");
		page_text(o, jval_text(r, "address"));
		buf_puts(o, "> ");
		page_begin(o, q->cli, c);
		page_text(o, status);
		page_end(o, q->cli, c);
		if (jval_text(r, "rule").n) {
			buf_puts(o, " by rule ");
			page_text(o, jval_text(r, "rule"));
		}
		if (jval_text(r, "reply").n) {
			buf_puts(o, "\n      ");
			if (jval_text(r, "relay").n && !span_is(jval_text(r, "relay"), "none")) {
				page_text(o, jval_text(r, "relay"));
				buf_puts(o, " said: ");
			}
			page_text(o, jval_text(r, "reply"));
		}
		buf_putc(o, '\n');
	}
}

static void
show_line(void *ctx, const struct jval *v, struct span text)
{
	struct queueing *q = ctx;
	struct buf *o = &q->out;
	const struct jval *legs = jval_get(v, "legs"), *leg;
	int64_t now = clock_real();

	if (jval_has(v, "more")) {
		buf_puts(o, "\nand ");
		page_count(o, (uint64_t)jval_int(v, "more", 0), "message more", "messages more");
		buf_puts(o, "; `--limit N` shows up to 100000\n");
		return;
	}
	if (q->n++ > 0)
		buf_putc(o, '\n');
	page_begin(o, q->cli, BOLD);
	page_text(o, jval_text(v, "id"));
	page_end(o, q->cli, BOLD);
	if (jval_text(v, "error").n) {
		buf_puts(o, ": ");
		page_text(o, jval_text(v, "error"));
		buf_putc(o, '\n');
		return;
	}
	buf_puts(o, "  from <");
	page_text(o, jval_text(v, "sender"));
	buf_puts(o, ">  ");
	page_size(o, (uint64_t)jval_int(v, "size", 0));
	buf_puts(o, ", here for ");
	page_age(o, now - page_when(v, "received"));
	if (page_when(v, "expires") > now) {
		buf_puts(o, ", given up in ");
		page_age(o, page_when(v, "expires") - now);
	}
	buf_puts(o, jval_bool(v, "held") ? ", held\n" : "\n");
	for (size_t i = 0; (leg = jval_at(legs, i)) != NULL; i++)
		put_leg(q, leg, now);
	page_flush(o);
}

/* What the journal knows of the latest attempt; nothing when it does not answer. */
static void
attempts_line(void *ctx, const struct jval *v, struct span text)
{
	struct queueing *q = ctx;

	if (!jval_has(v, "found"))
		journal_put_attempts(&q->out, q->cli, v);
}

static void
show_attempts(struct queueing *q, const char *selector)
{
	struct request r;
	uint64_t id;

	if (q->cli->json || q->n != 1 || !id_parse(span_str(selector), &id))
		return;
	request_begin(&r, "trace");
	json_kcstr(&r.j, "q", selector);
	json_kuint(&r.j, "limit", 1);
	control_ask_quietly(q->cli, &r, attempts_line, q);
}

static int
queue_show(int argc, char **argv, const struct cli *cli)
{
	struct queueing q = { .cli = cli };
	struct request r;
	uint64_t limit = 0;
	int status;

	if ((argc != 1 && (argc != 3 || strcmp(argv[1], "--limit") != 0 ||
	    !parse_uint(span_str(argv[2]), SHOW_MAX, &limit) || limit == 0)) || argv[0][0] == '-')
		return command_usage("queue");
	buf_init(&q.out, PAGE_MAX);
	request_begin(&r, "queue.show");
	json_kcstr(&r.j, "selector", argv[0]);
	if (limit)
		json_kuint(&r.j, "limit", limit);
	status = control_ask(cli, &r, CONTROL_SHOW, show_line, &q);
	if (status == CLI_OK)
		show_attempts(&q, argv[0]);
	page_flush(&q.out);
	buf_release(&q.out);
	return status;
}

/* ---- sites ---- */

static void
site_line(void *ctx, const struct jval *v, struct span text)
{
	struct buf o;

	buf_init(&o, 4096);
	page_text(&o, jval_text(v, "site"));
	buf_puts(&o, jval_bool(v, "paused") ? ": paused; its messages wait, no try is counted\n" :
	    ": goes on\n");
	page_flush(&o);
	buf_release(&o);
}

static int
queue_site(int argc, char **argv, const struct cli *cli, const char *verb)
{
	struct request r;
	char cmd[32];

	if (argc != 1 || argv[0][0] == '-')
		return command_usage("queue");
	snprintf(cmd, sizeof(cmd), "queue.%s", verb);
	request_begin(&r, cmd);
	json_kcstr(&r.j, "site", argv[0]);
	return control_ask(cli, &r, CONTROL_SHOW, site_line, NULL);
}

int
cmd_queue(int argc, char **argv, const struct cli *cli)
{
	static const struct act_words words[] = {
		{ "retry", "will be tried now", false },
		{ "hold", "held", false },
		{ "release", "released", false },
		{ "fail", "given up", false },
		{ "reroute", "sent another way", false },
	};
	const char *verb = argc > 1 ? argv[1] : "--by", *by = argc > 2 ? argv[2] : "site";

	if (strcmp(verb, "--by") == 0 && argc != 2 && argc <= 3 &&
	    (strcmp(by, "site") == 0 || strcmp(by, "sender") == 0 || strcmp(by, "reason") == 0))
		return queue_by(cli, by);
	if (strcmp(verb, "show") == 0)
		return queue_show(argc - 2, argv + 2, cli);
	if (strcmp(verb, "export") == 0)
		return queue_export(argc - 2, argv + 2, cli);
	if (strcmp(verb, "import") == 0)
		return queue_import(argc - 2, argv + 2, cli);
	if (strcmp(verb, "pause") == 0 || strcmp(verb, "resume") == 0)
		return queue_site(argc - 2, argv + 2, cli, verb);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(verb, words[i].verb) == 0)
			return act_on(argc - 2, argv + 2, cli, "queue", &words[i]);
	return command_usage("queue");
}
