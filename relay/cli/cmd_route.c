/* cmd_route.c -- `postern route`: where mail for an address would go. Nothing is sent. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/page.h"
#include "clock.h"

struct routing {
	const struct cli *cli;
	struct buf out;
	bool bad;
};

/* One of several addresses of one host has no share of its own. */
static bool
first_of_host(const struct jval *list, const struct jval *of)
{
	const struct jval *v;

	for (size_t i = 0; (v = jval_at(list, i)) != NULL && v != of; i++)
		if (span_eq(jval_text(v, "host"), jval_text(of, "host")) &&
		    jval_int(v, "port", 0) == jval_int(of, "port", 0))
			return false;
	return true;
}

/* Of the connections that are made: what its weight is among those of its rank. */
static void
put_share(struct grid *g, const struct jval *list, const struct jval *of)
{
	int64_t all = 0, own = jval_int(of, "weight", 0);
	const struct jval *v;
	char text[16] = "";

	for (size_t i = 0; own && (v = jval_at(list, i)) != NULL; i++)
		if (jval_int(v, "preference", 0) == jval_int(of, "preference", 0) &&
		    first_of_host(list, v))
			all += jval_int(v, "weight", 0);
	if (own && first_of_host(list, of))
		snprintf(text, sizeof(text), "%lld%%", (long long)((own * 100 + all / 2) / all));
	grid_text(g, span_str(text));
}

static void
put_rest(struct grid *g, const struct jval *v)
{
	char text[32] = "";

	if (jval_int(v, "rests", 0))
		snprintf(text, sizeof(text), "%llds", (long long)jval_int(v, "rests", 0));
	grid_text(g, span_str(text));
}

static void
put_targets(struct routing *t, const struct jval *list)
{
	static const char *const titles[] = { "pref", "host", "address", "port", "dane", "share",
		"rests", NULL };
	const struct jval *v;
	struct grid g;

	if (jval_count(list) == 0)
		return;
	grid_init(&g, t->cli, titles, "rllrlrr");
	for (size_t i = 0; (v = jval_at(list, i)) != NULL; i++) {
		grid_number(&g, jval_int(v, "preference", 0));
		grid_text(&g, jval_text(v, "host"));
		grid_text(&g, jval_text(v, "address"));
		grid_number(&g, jval_int(v, "port", 0));
		grid_text(&g, jval_text(v, "dane"));
		put_share(&g, list, v);
		put_rest(&g, v);
	}
	grid_print(&g, &t->out, "  ");
	grid_release(&g);
}

/* Which line of postern.yaml decided. */
static void
put_line(struct buf *o, const struct jval *by)
{
	if (jval_int(by, "line", 0) == 0)
		return;
	buf_printf(o, "  decided by line %lld of postern.yaml: ", (long long)jval_int(by, "line", 0));
	page_text(o, jval_text(by, "section"));
	buf_puts(o, ": ");
	page_text(o, jval_text(by, "match"));
	if (jval_text(by, "directory").n) {
		buf_puts(o, ", directory ");
		page_text(o, jval_text(by, "directory"));
		if (jval_bool(by, "stale"))
			buf_puts(o, " (it cannot be asked: from what was known)");
	}
	buf_putc(o, '\n');
}

static void
put_leaving(struct buf *o, const struct jval *v)
{
	const struct jval *list = jval_get(v, "source"), *one;

	buf_puts(o, "  as ");
	page_text(o, jval_text(v, "hello"));
	for (size_t i = 0; (one = jval_at(list, i)) != NULL; i++) {
		buf_puts(o, i ? ", " : " from ");
		page_text(o, jval_str(one));
	}
	buf_putc(o, '\n');
}

static const struct jval *
targets_of(const struct jval *v)
{
	static const char *const keys[] = { "targets", "hosts", "addresses" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (jval_count(jval_get(v, keys[i])) > 0)
			return jval_get(v, keys[i]);
	return NULL;
}

/* "  MTA-STS: enforce, from the cache, 2h old of 7d, id 20261122; mx *.example.net" */
static void
put_sts(struct buf *o, const struct jval *v)
{
	const struct jval *mx = jval_get(v, "mx"), *name;

	if (v == NULL || (!jval_bool(v, "found") && !jval_has(v, "trouble")))
		return;
	buf_puts(o, "  MTA-STS: ");
	if (jval_bool(v, "found")) {
		page_text(o, jval_text(v, "mode"));
		buf_puts(o, span_is(jval_text(v, "source"), "cache") ? ", from the cache, " :
		    ", fetched now, ");
		page_age(o, jval_int(v, "age", 0) * US_PER_SEC);
		buf_puts(o, " old of ");
		page_age(o, jval_int(v, "max_age", 0) * US_PER_SEC);
		buf_puts(o, ", id ");
		page_text(o, jval_text(v, "id"));
		for (size_t i = 0; (name = jval_at(mx, i)) != NULL; i++) {
			buf_puts(o, i ? ", " : "; mx ");
			page_text(o, jval_str(name));
		}
	} else
		buf_puts(o, "a record, but no policy");
	if (jval_has(v, "trouble")) {
		buf_puts(o, jval_bool(v, "found") ? "\n  MTA-STS: no newer policy (" : " (");
		page_text(o, jval_text(v, "trouble"));
		buf_puts(o, ": ");
		page_text(o, jval_text(v, "why"));
		buf_putc(o, ')');
	}
	buf_putc(o, '\n');
}

/* "  now: 3 of 4 connections for 12 domains with these servers, 40 messages wait; they push back" */
static void
put_now(struct buf *o, const struct jval *v)
{
	if (v == NULL)
		return;
	buf_printf(o, "  now: %lld of %lld connections for ", (long long)jval_int(v, "connections", 0),
	    (long long)jval_int(v, "allowed", 0));
	page_count(o, (uint64_t)jval_int(v, "domains", 0), "domain", "domains");
	buf_puts(o, " with these servers, ");
	page_count(o, (uint64_t)jval_int(v, "waiting", 0), "message waits", "messages wait");
	buf_puts(o, jval_bool(v, "pushed_back") ? "; they push back\n" : "\n");
	if (jval_has(v, "why")) {
		buf_printf(o, "  not tried for %llds more: ", (long long)jval_int(v, "rests", 0));
		page_text(o, jval_text(v, "why"));
		buf_putc(o, '\n');
	}
}

static void
route_line(void *ctx, const struct jval *v, struct span text)
{
	struct routing *t = ctx;
	struct buf *o = &t->out;
	struct span kind = jval_text(v, "kind");
	const struct jval *by = jval_get(v, "by");

	page_text(o, jval_text(v, "domain"));
	if (!jval_bool(v, "ok")) {
		t->bad = true;
		buf_puts(o, ": mail would be ");
		page_text(o, jval_text(v, "status"));
		buf_puts(o, ": ");
		page_text(o, jval_text(v, "dsn"));
		buf_putc(o, ' ');
		page_text(o, jval_text(v, "error"));
		buf_putc(o, '\n');
		put_line(o, by);
		put_sts(o, jval_get(jval_get(v, "tls"), "mta_sts"));
		return;
	}
	buf_puts(o, span_is(kind, "mx") ? ": by its MX\n" : span_is(kind, "static") ?
	    ": by a route in postern.yaml\n" : span_is(kind, "address") ?
	    ": it has no MX, by its address\n" : ": as written\n");
	put_line(o, by);
	put_targets(t, targets_of(v));
	put_leaving(o, v);
	buf_puts(o, "  TLS: ");
	page_text(o, jval_text(jval_get(v, "tls"), "floor"));
	buf_puts(o, " at least, policy ");
	page_text(o, jval_text(jval_get(v, "tls"), "policy"));
	buf_printf(o, "; at most %lld connections, %lld messages on each\n",
	    (long long)jval_int(jval_get(v, "limits"), "connections", 0),
	    (long long)jval_int(jval_get(v, "limits"), "messages_per_connection", 0));
	put_sts(o, jval_get(jval_get(v, "tls"), "mta_sts"));
	put_now(o, jval_get(v, "now"));
}

int
cmd_route(int argc, char **argv, const struct cli *cli)
{
	struct routing t = { .cli = cli };
	const char *address = NULL, *from = NULL;
	struct request r;
	int status;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--from") == 0 && i + 1 < argc && from == NULL)
			from = argv[++i];
		else if (argv[i][0] != '-' && address == NULL)
			address = argv[i];
		else
			return command_usage("route");
	}
	if (address == NULL)
		return command_usage("route");
	buf_init(&t.out, 4u << 20);
	request_begin(&r, "route");
	json_kcstr(&r.j, "address", address);
	if (from)
		json_kcstr(&r.j, "from", from);
	status = control_ask(cli, &r, CONTROL_SHOW, route_line, &t);
	page_flush(&t.out);
	buf_release(&t.out);
	return status == CLI_OK && t.bad ? CLI_FINDINGS : status;
}
