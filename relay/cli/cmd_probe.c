/* cmd_probe.c -- `postern probe HOST [PORT]`: what a mail server says of itself. No mail is sent.
 *
 * Asked by the daemon's delivery, from the addresses mail leaves by; where no daemon runs, from here, and
 * that is said.
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "addr.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/page.h"
#include "clock.h"
#include "delivery/probe.h"
#include "net/transport.h"

struct page {
	const struct cli *cli;
	struct buf out;
	bool heard, bad;
};

static void
put(struct page *p, const char *name, struct span text)
{
	if (text.n == 0)
		return;
	buf_printf(&p->out, "%-12s ", name);
	page_text(&p->out, text);
	buf_putc(&p->out, '\n');
}

static void
put_list(struct page *p, const char *name, const struct jval *list)
{
	for (size_t i = 0; i < jval_count(list); i++) {
		buf_printf(&p->out, "%-12s ", i ? "" : name);
		page_text(&p->out, jval_str(jval_at(list, i)));
		buf_putc(&p->out, '\n');
	}
}

static void
put_certificate(struct page *p, const struct jval *c)
{
	bool good = jval_bool(c, "verified");
	time_t t = (time_t)(jval_int(c, "not_after", 0) / US_PER_SEC);
	char until[32] = "";
	struct tm tm;

	if (!jval_is_object(c))
		return;
	put(p, "certificate", jval_text(c, "subject"));
	put(p, "  issued by", jval_text(c, "issuer"));
	put_list(p, "  for", jval_get(c, "names"));
	if (gmtime_r(&t, &tm))
		strftime(until, sizeof(until), "%Y-%m-%d", &tm);
	buf_printf(&p->out, "%-12s %s (%lld days)\n", "  until", until, (long long)jval_int(c, "days", 0));
	page_begin(&p->out, p->cli, good ? GREEN : RED);
	buf_printf(&p->out, "%-12s %s", "  verified", good ? "yes" : "no: ");
	if (!good)
		page_text(&p->out, jval_text(c, "why"));
	page_end(&p->out, p->cli, good ? GREEN : RED);
	buf_putc(&p->out, '\n');
}

static void
put_tlsa(struct page *p, const struct jval *v)
{
	const struct jval *list = jval_get(v, "tlsa");

	for (size_t i = 0; i < jval_count(list); i++) {
		const struct jval *t = jval_at(list, i);

		buf_printf(&p->out, "%-12s ", "TLSA");
		page_text(&p->out, jval_text(t, "record"));
		buf_puts(&p->out, jval_bool(t, "matches") ? ": it is this certificate" : ": not this certificate");
		buf_puts(&p->out, jval_bool(v, "tlsa_secure") ? "\n" : " (not proved by DNSSEC: nobody heeds it)\n");
	}
}

static void
show(void *ctx, const struct jval *v, struct span text)
{
	struct page *p = ctx;
	const struct jval *steps = jval_get(v, "steps");

	p->heard = true;
	p->bad |= !jval_bool(v, "ok");
	if (p->cli->json) {
		buf_span(&p->out, text);
		buf_putc(&p->out, '\n');
		return;
	}
	for (size_t i = 0; i < jval_count(steps); i++) {
		const struct jval *s = jval_at(steps, i);

		buf_printf(&p->out, "%6lld ms  ", (long long)jval_int(s, "ms", 0));
		page_text(&p->out, jval_text(s, "step"));
		buf_puts(&p->out, ": ");
		page_text(&p->out, jval_text(s, "said"));
		buf_putc(&p->out, '\n');
	}
	buf_putc(&p->out, '\n');
	put(p, "banner", jval_text(v, "banner"));
	put_list(p, "extensions", jval_get(v, "extensions"));
	if (jval_has(v, "size"))
		buf_printf(&p->out, "%-12s %lld bytes\n", "size", (long long)jval_int(v, "size", 0));
	put(p, "TLS", jval_text(v, "tls"));
	if (jval_text(v, "tls").n == 0 && jval_text(v, "banner").n)
		put(p, "TLS", SPAN_LIT("none"));
	put_certificate(p, jval_get(v, "certificate"));
	put_tlsa(p, v);
	page_begin(&p->out, p->cli, p->bad ? RED : GREEN);
	buf_puts(&p->out, p->bad ? "wrong        " : "ok           ");
	page_end(&p->out, p->cli, p->bad ? RED : GREEN);
	page_text(&p->out, p->bad ? jval_text(v, "error") : SPAN_LIT("it answers"));
	buf_putc(&p->out, '\n');
}

/* ---- from here ---- */

struct local {
	struct page *page;
	bool over;
};

static void
done(void *ctx, const struct probe *p)
{
	struct local *l = ctx;
	struct jval *v;
	struct json j;
	struct buf b;

	buf_init(&b, 1u << 20);
	json_begin(&j, &b);
	json_object(&j);
	json_kint(&j, "v", 1);
	probe_write(p, &j);
	json_end_object(&j);
	if ((v = jval_parse(buf_data(&b), NULL)) != NULL)
		show(l->page, v, buf_data(&b));
	jval_free(&v);
	buf_release(&b);
	l->over = true;
}

static int
from_here(struct page *p, const struct config *c, struct span host, uint16_t port)
{
	struct conf_host servers[8];
	struct arena *a = arena_new(0);
	struct local l = { .page = p };
	struct probe_setup s = { .base = event_base_new(), .hello = c->delivery.hello, .host = host, .port = port,
		.sources = c->delivery.sources, .nsources = c->delivery.nsources };
	struct span anchors = SPAN_LIT("");
	size_t n = c->ndns ? c->ndns : resolver_system_servers(servers, 8, a);
	struct err err;
	int status = CLI_FINDINGS;

	ASSERT(s.base != NULL);
	fputs("postern: posternd does not run: asked from here, by whoever calls this\n", stderr);
	if ((c->dnssec && resolver_anchors(c->trust_anchor, a, &anchors, &err) == -1) ||
	    (s.resolver = resolver_new(s.base, c->ndns ? c->dns : servers, n, anchors, &err)) == NULL ||
	    (s.tls = transport_context(c->delivery.roots, &err)) == NULL) {
		fprintf(stderr, "postern: %s\n", err.text);
	} else {
		probe_start(&s, done, &l);
		while (!l.over)
			event_base_loop(s.base, EVLOOP_ONCE);
		event_base_loop(s.base, EVLOOP_NONBLOCK);
		status = p->bad ? CLI_FINDINGS : CLI_OK;
	}
	if (s.tls)
		transport_context_free(&s.tls);
	if (s.resolver)
		resolver_free(&s.resolver);
	event_base_free(s.base);
	arena_free(&a);
	return status;
}

static int
run(struct page *p, const struct config *c, const char *text, uint16_t port, struct arena *a)
{
	struct span host = span_str(text);
	struct request r;
	struct ip ip;
	int status;

	if (!ip_parse(host, &ip) && (!domain_normalise(a, span_str(text), &host) || !dns_name_ok(host))) {
		fprintf(stderr, "postern: `%s` is neither a host name nor an address\n", text);
		return CLI_USAGE;
	}
	request_begin(&r, "probe");
	json_kstr(&r.j, "host", host);
	json_kuint(&r.j, "port", port);
	status = control_ask_quietly(p->cli, &r, show, p);
	if (status == CLI_UNREACHABLE && p->cli->ask == NULL)
		return from_here(p, c, host, port);
	return status == CLI_OK && (p->bad || !p->heard) ? CLI_FINDINGS : status;
}

int
cmd_probe(int argc, char **argv, const struct cli *cli)
{
	struct page p = { .cli = cli };
	long port = 25;
	struct config *conf;
	struct arena *a;
	char *end = NULL;
	int status;

	if (argc == 3)
		port = strtol(argv[2], &end, 10);
	if (argc < 2 || argc > 3 || (end && (*end || end == argv[2])) || port < 1 || port > 65535)
		return command_usage("probe");
	if ((conf = cli_load_config(cli)) == NULL)
		return CLI_FINDINGS;
	a = arena_new(0);
	buf_init(&p.out, 1u << 20);
	status = run(&p, conf, argv[1], (uint16_t)port, a);
	page_flush(&p.out);
	buf_release(&p.out);
	arena_free(&a);
	if (conf != cli->conf)
		config_free(&conf);
	return status;
}
