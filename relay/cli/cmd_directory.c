/* cmd_directory.c -- `postern directory`: the LDAP directories, and what they know of an address. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/page.h"
#include "clock.h"

struct showing {
	const struct cli *cli;
	struct buf out;
	bool bad, any;
};

static void
list_line(void *ctx, const struct jval *v, struct span text)
{
	struct showing *s = ctx;
	const struct jval *servers = jval_get(v, "servers"), *one;
	struct buf *o = &s->out;

	s->any = true;
	page_text(o, jval_text(v, "name"));
	buf_puts(o, ": ");
	page_text(o, jval_text(v, "base"));
	buf_puts(o, jval_has(v, "bind") ? ", as " : ", anonymously");
	page_text(o, jval_text(v, "bind"));
	buf_puts(o, jval_bool(v, "down") ? "\n  DOWN: no server can be had\n" : "\n");
	s->bad |= jval_bool(v, "down");
	for (size_t i = 0; (one = jval_at(servers, i)) != NULL; i++) {
		buf_puts(o, "  ");
		page_text(o, jval_text(one, "url"));
		if (jval_bool(one, "starttls"))
			buf_puts(o, " (StartTLS)");
		if (jval_bool(one, "used"))
			buf_puts(o, ": in use");
		if (jval_int(one, "failures", 0))
			buf_printf(o, ": failed %lld times, rests %lld s",
			    (long long)jval_int(one, "failures", 0),
			    (long long)jval_int(one, "rests", 0));
		if (jval_has(one, "error")) {
			buf_puts(o, "\n    ");
			page_text(o, jval_text(one, "error"));
		}
		buf_putc(o, '\n');
	}
	buf_printf(o, "  %lld answers kept, of all directories together\n",
	    (long long)jval_int(v, "cached", 0));
}

static void
put_field(struct buf *o, const char *name, struct span value)
{
	if (value.n == 0)
		return;
	buf_printf(o, "  %-9s ", name);
	page_text(o, value);
	buf_putc(o, '\n');
}

static void
answer_line(void *ctx, const struct jval *v, struct span text)
{
	struct showing *s = ctx;
	const struct jval *values = jval_get(v, "values"), *one;
	struct span status = jval_text(v, "status"), cache = jval_text(v, "cache");
	struct buf *o = &s->out;

	s->any = true;
	s->bad |= !span_is(status, "found");
	page_text(o, jval_text(v, "what"));
	if (jval_int(v, "line", 0))
		buf_printf(o, " (line %lld of postern.yaml)", (long long)jval_int(v, "line", 0));
	buf_puts(o, ": ");
	page_text(o, status);
	if (jval_bool(v, "stale"))
		buf_puts(o, ", from what was known: LDAP cannot be asked");
	buf_printf(o, ", %lld ms\n", (long long)jval_int(v, "ms", 0));
	put_field(o, "server", jval_text(v, "server"));
	put_field(o, "filter", jval_text(v, "filter"));
	put_field(o, "entry", jval_text(v, "dn"));
	put_field(o, "attribute", jval_text(v, "attribute"));
	for (size_t i = 0; (one = jval_at(values, i)) != NULL; i++)
		put_field(o, i ? "" : "values", jval_str(one));
	put_field(o, "error", jval_text(v, "error"));
	if (!span_is(cache, "nothing")) {
		buf_printf(o, "  %-9s ", "cache");
		page_text(o, cache);
		buf_puts(o, ", ");
		page_age(o, jval_int(v, "cache_age", 0) * US_PER_SEC);
		buf_puts(o, " old\n");
	} else
		buf_printf(o, "  %-9s had nothing\n", "cache");
}

static void
flush_line(void *ctx, const struct jval *v, struct span text)
{
	struct showing *s = ctx;

	s->any = true;
	buf_printf(&s->out, "%lld answers forgotten\n", (long long)jval_int(v, "forgotten", 0));
}

int
cmd_directory(int argc, char **argv, const struct cli *cli)
{
	static const struct { const char *verb, *cmd; int args; control_line *line; } verbs[] = {
		{ "list", "directory", 2, list_line },
		{ "test", "directory.test", 3, answer_line },
		{ "lookup", "directory.lookup", 4, answer_line },
		{ "flush", "directory.flush", 3, flush_line },
	};
	const char *verb = argc > 1 ? argv[1] : "list";
	struct showing s = { .cli = cli };
	struct request r;
	size_t i = 0;
	int status;

	while (i < sizeof(verbs) / sizeof(verbs[0]) && strcmp(verb, verbs[i].verb) != 0)
		i++;
	if (i == sizeof(verbs) / sizeof(verbs[0]) || (argc > 1 && argc != verbs[i].args))
		return command_usage("directory");
	buf_init(&s.out, 16u << 20);
	request_begin(&r, verbs[i].cmd);
	if (argc > 2)
		json_kcstr(&r.j, "name", argv[2]);
	if (argc > 3)
		json_kcstr(&r.j, "address", argv[3]);
	status = control_ask(cli, &r, CONTROL_SHOW, verbs[i].line, &s);
	page_flush(&s.out);
	buf_release(&s.out);
	return status == CLI_OK && s.bad ? CLI_FINDINGS : status;
}
