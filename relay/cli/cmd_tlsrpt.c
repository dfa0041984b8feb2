/* cmd_tlsrpt.c -- `postern tlsrpt`: TLS with other servers, day by day, and the reports about it (RFC 8460). */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/page.h"
#include "clock.h"

#define DAY_SECONDS 86400

struct tls_page {
	const struct cli *cli;
	struct grid policies, reports;
	struct buf failures;
	bool bad;			/* a report that was asked for has not gone */
};

/* "2026-11-22", "today", "yesterday": UTC days since 1970. */
static bool
day_parse(const char *text, int64_t *day)
{
	int64_t today = clock_real() / US_PER_SEC / DAY_SECONDS;
	struct tm tm = { 0 }, again;
	const char *end;
	time_t t;

	if (strcmp(text, "today") == 0 || strcmp(text, "yesterday") == 0) {
		*day = today - (text[0] == 'y');
		return true;
	}
	if (strlen(text) != 10 || (end = strptime(text, "%Y-%m-%d", &tm)) == NULL || *end)
		return false;
	again = tm;
	t = timegm(&tm);
	*day = t / DAY_SECONDS;
	return t >= 0 && tm.tm_mday == again.tm_mday && tm.tm_mon == again.tm_mon;
}

static void
put_failures(struct tls_page *p, const struct jval *v)
{
	const struct jval *list = jval_get(v, "failures"), *f;
	struct buf *o = &p->failures;

	for (size_t i = 0; (f = jval_at(list, i)) != NULL; i++) {
		buf_puts(o, "  ");
		page_text(o, jval_text(v, "domain"));
		buf_printf(o, ": %lld ", (long long)jval_int(f, "count", 0));
		page_text(o, jval_text(f, "result"));
		if (jval_text(f, "host").n) {
			buf_puts(o, ", ");
			page_text(o, jval_text(f, "host"));
		}
		if (jval_text(f, "address").n) {
			buf_putc(o, '[');
			page_text(o, jval_text(f, "address"));
			buf_putc(o, ']');
		}
		if (jval_text(f, "reason").n) {
			buf_puts(o, ": ");
			page_text(o, jval_text(f, "reason"));
		}
		buf_putc(o, '\n');
	}
}

static void
take_line(void *ctx, const struct jval *v, struct span text)
{
	struct tls_page *p = ctx;
	struct span state = jval_text(v, "state");
	struct grid *g = &p->policies;

	if (jval_has(v, "policy")) {
		grid_text(g, jval_text(v, "domain"));
		grid_text(g, jval_text(v, "policy"));
		grid_number(g, jval_int(v, "successful", 0));
		buf_printf(grid_cell(g), "%lld", (long long)jval_int(v, "failed", 0));
		grid_done(g, jval_int(v, "failed", 0) ? RED : PLAIN);
		put_failures(p, v);
	} else if (state.n) {
		g = &p->reports;
		grid_text(g, jval_text(v, "domain"));
		grid_text(g, jval_text(v, "uri"));
		buf_span(grid_cell(g), state);
		grid_done(g, span_is(state, "sent") ? GREEN : span_is(state, "failed") ? RED : PLAIN);
		grid_text(g, jval_text(v, "detail"));
	} else
		p->bad |= jval_int(v, "failed", 0) > 0;
}

/* [DAY] [DOMAIN] */
static bool
arguments(int argc, char **argv, struct request *r)
{
	int64_t day = clock_real() / US_PER_SEC / DAY_SECONDS;
	int i = 0;

	if (i < argc && day_parse(argv[i], &day))
		i++;
	json_kint(&r->j, "day", day);
	if (i < argc && argv[i][0] != '-' && strchr(argv[i], '.'))
		json_kcstr(&r->j, "domain", argv[i++]);
	return i == argc;
}

int
cmd_tlsrpt(int argc, char **argv, const struct cli *cli)
{
	static const char *const policies[] = { "domain", "policy", "successful", "failed", NULL };
	static const char *const reports[] = { "domain", "to", "report", "detail", NULL };
	struct tls_page p = { .cli = cli };
	bool send = argc > 1 && strcmp(argv[1], "send") == 0;
	bool word = send || (argc > 1 && strcmp(argv[1], "show") == 0);
	struct request r;
	struct buf out;
	int status;

	request_begin(&r, send ? "tlsrpt.send" : "tlsrpt.show");
	if (!arguments(argc - 1 - word, argv + 1 + word, &r)) {
		request_release(&r);
		return command_usage("tlsrpt");
	}
	grid_init(&p.policies, cli, policies, "llrr");
	grid_init(&p.reports, cli, reports, "llll");
	buf_init(&p.failures, 64u << 20);
	buf_init(&out, 128u << 20);
	status = control_ask(cli, &r, CONTROL_SHOW, take_line, &p);
	if (grid_rows(&p.policies))
		grid_print(&p.policies, &out, "");
	else if (status == CLI_OK && !cli->json && !send)
		buf_puts(&out, "no TLS with other servers on that day\n");
	if (buf_size(&p.failures)) {
		buf_puts(&out, "\nfailures\n");
		buf_span(&out, buf_data(&p.failures));
	}
	if (grid_rows(&p.reports)) {
		if (buf_size(&out))
			buf_putc(&out, '\n');
		grid_print(&p.reports, &out, "");
	}
	page_flush(&out);
	buf_release(&out);
	buf_release(&p.failures);
	grid_release(&p.policies);
	grid_release(&p.reports);
	return status == CLI_OK && p.bad ? CLI_FINDINGS : status;
}
