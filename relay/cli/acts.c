/* acts.c -- verbs on many messages: count, ask, do; see acts.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/acts.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/page.h"
#include "clock.h"
#include "id.h"

struct acting {
	const struct cli *cli;
	const struct act_words *words;
	uint64_t count, done, failed;
	int64_t begun, shown;
	bool progress;		/* on a terminal, when there are many */
	struct buf out;
};

static void
count_line(void *ctx, const struct jval *v, struct span text)
{
	struct acting *a = ctx;

	a->count = (uint64_t)jval_int(v, "count", jval_int(v, "matched", 0));
}

/* "1200 of 5000, 400/s, 10s left", over itself. */
static void
show_progress(struct acting *a, bool last)
{
	int64_t now = clock_mono();
	uint64_t n = a->done + a->failed;
	double rate;

	if (!a->progress || (!last && now - a->shown < US_PER_SEC / 5))
		return;
	a->shown = now;
	rate = now > a->begun ? (double)n * 1e6 / (double)(now - a->begun) : 0;
	fprintf(stderr, "\r%llu of %llu, %.0f/s, %.0fs left \033[K%s", (unsigned long long)n,
	    (unsigned long long)a->count, rate, rate > 0 ? (double)(a->count - n) / rate : 0.0,
	    last ? "\r\033[K" : "");
}

static void
act_line(void *ctx, const struct jval *v, struct span text)
{
	struct acting *a = ctx;
	struct span error = jval_text(v, "error");

	if (jval_has(v, "done")) {
		a->done = (uint64_t)jval_int(v, "done", 0);
		a->failed = (uint64_t)jval_int(v, "failed", 0);
		a->count = (uint64_t)jval_int(v, "matched", (int64_t)a->count);
		return;
	}
	if (!jval_has(v, "id") && !jval_has(v, "kid"))
		return;
	error.n ? a->failed++ : a->done++;
	if (a->progress && error.n == 0) {
		show_progress(a, false);
		return;
	}
	page_text(&a->out, jval_text(v, jval_has(v, "id") ? "id" : "kid"));
	if (error.n) {
		buf_puts(&a->out, ": ");
		page_text(&a->out, error);
	} else if (jval_has(v, "antivirus")) {
		buf_puts(&a->out, ": ");
		page_text(&a->out, jval_text(v, "antivirus"));
		if (jval_text(v, "virus").n) {
			buf_puts(&a->out, ", ");
			page_text(&a->out, jval_text(v, "virus"));
		}
	} else if (jval_has(v, "needed")) {
		buf_printf(&a->out, ": %lld of %lld persons release it", (long long)jval_int(v, "approvals", 0),
		    (long long)jval_int(v, "needed", 0));
	} else {
		buf_printf(&a->out, ": %s", a->words->done);
		if (jval_text(v, "new_id").n) {
			buf_puts(&a->out, ", now ");
			page_text(&a->out, jval_text(v, "new_id"));
		}
	}
	buf_putc(&a->out, '\n');
	page_flush(&a->out);
}

static void
ask_begin(struct request *r, const char *noun, const char *verb, const char *selector,
    const char *text, const char *to, bool silent, bool anyway, bool count)
{
	char cmd[64];

	snprintf(cmd, sizeof(cmd), "%s.%s", noun, verb);
	request_begin(r, cmd);
	json_kcstr(&r->j, "selector", selector);
	if (text)
		json_kcstr(&r->j, "text", text);
	if (to)
		json_kcstr(&r->j, "to", to);
	if (silent)
		json_kbool(&r->j, "silent", true);
	if (anyway)
		json_kbool(&r->j, "anyway", true);
	if (count)
		json_kbool(&r->j, "count", true);
}

/* How many; -1 to go on, else the exit status. */
static int
count_first(struct acting *a, const char *noun, const char *selector, const char *to, bool silent,
    bool yes)
{
	struct request r;
	int status;

	ask_begin(&r, noun, a->words->verb, selector, NULL, to, silent, false, true);
	status = control_ask(a->cli, &r, CONTROL_READ, count_line, a);
	if (status != CLI_OK)
		return status;
	fprintf(stderr, "%llu %s to %s\n", (unsigned long long)a->count,
	    a->count == 1 ? "message" : "messages", a->words->verb);
	if (a->count == 0)
		return CLI_OK;
	if (yes || a->count == 1)
		return -1;
	fprintf(stderr, "nothing done: say --yes to %s them\n", a->words->verb);
	return CLI_FINDINGS;
}

int
act_on(int argc, char **argv, const struct cli *cli, const char *noun,
    const struct act_words *words)
{
	struct acting a = { .cli = cli, .words = words };
	const char *selector = NULL, *text = NULL, *to = NULL;
	bool reroute = strcmp(words->verb, "reroute") == 0;
	bool yes = false, silent = false, anyway = false;
	struct request r;
	uint64_t id;
	int status;

	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--yes") == 0)
			yes = true;
		else if (strcmp(argv[i], "--text") == 0 && i + 1 < argc &&
		    strcmp(words->verb, "reject") == 0)
			text = argv[++i];
		else if (strcmp(argv[i], "--silent") == 0 && strcmp(words->verb, "fail") == 0)
			silent = true;
		else if (strcmp(argv[i], "--anyway") == 0 && words->each && strcmp(words->verb, "release") == 0)
			anyway = true;
		else if (reroute && selector && to == NULL && argv[i][0] != '-')
			to = argv[i];
		else if (argv[i][0] == '-' || selector)
			return command_usage(noun);
		else
			selector = argv[i];
	}
	if (selector == NULL || (reroute && to == NULL))
		return command_usage(noun);
	if (!id_parse(span_str(selector), &id) &&
	    (status = count_first(&a, noun, selector, to, silent, yes)) != -1)
		return status;
	a.progress = a.count > 20 && isatty(STDERR_FILENO) && !cli->json;
	a.begun = clock_mono();
	buf_init(&a.out, 1u << 20);
	ask_begin(&r, noun, words->verb, selector, text, to, silent, anyway, false);
	status = control_ask(cli, &r, CONTROL_SHOW, act_line, &a);
	show_progress(&a, true);
	if (!cli->json && status != CLI_UNREACHABLE && (a.count > 1 || !words->each))
		printf("%llu %s%s\n", (unsigned long long)a.done, words->done,
		    a.failed ? ", others not: see above" : "");
	if (status == CLI_OK && a.done == 0 && !cli->json) {
		if (a.failed == 0)
			fprintf(stderr, "postern: nothing to %s\n", words->verb);
		status = CLI_FINDINGS;
	}
	buf_release(&a.out);
	return status == CLI_OK && a.failed ? CLI_FINDINGS : status;
}
