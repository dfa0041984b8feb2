/* cmd_dns.c -- `postern dns plan|check|letter`: what the DNS must say, whether it does, and a letter that asks for it. */
#include <stdio.h>
#include <string.h>

#include "addr.h"
#include "cli/commands.h"
#include "cli/page.h"
#include "cli/zone_world.h"
#include "zone/zone_text.h"

struct dns_page {
	const struct cli *cli;
	struct zone z;
	struct buf out;
	struct conf_host resolvers[ZONE_VIEWS_MAX];	/* --resolver */
	size_t nresolvers;
	int language;
	bool bad;
};

static void
json_line(struct dns_page *p, size_t i)
{
	struct json j;

	json_begin(&j, &p->out);
	json_object(&j);
	json_kint(&j, "v", 1);
	zone_json_line(&j, &p->z, i, p->language);
	json_end_object(&j);
	buf_putc(&p->out, '\n');
}

static void
plan(struct dns_page *p)
{
	const struct zone_topic *t = NULL;

	for (size_t i = 0; i < p->z.n; i++) {
		const struct zone_line *l = &p->z.lines[i];

		if (p->cli->json) {
			json_line(p, i);
			continue;
		}
		if (l->topic != t)
			buf_printf(&p->out, "%s; %s: %s%s\n", t ? "\n" : "", l->topic->name,
			    l->topic->optional ? "(optional) " : "", l->topic->why[0]);
		t = l->topic;
		if (l->value.n)
			zone_text_bind(&p->out, l->name, l->type, l->value);
		else
			buf_printf(&p->out, "; %s: %s\n", l->name, l->detail);
		if (l->value.n)
			zone_fields(&p->out, l, 0);
	}
}

static int
check(struct dns_page *p)
{
	const struct config *c = p->z.conf;
	struct lookup *l;
	struct err err;

	if ((l = lookup_new(c, &err)) == NULL) {
		fprintf(stderr, "postern: %s\n", err.text);
		return -1;
	}
	zone_check_by(&p->z, l);
	lookup_free(&l);
	if ((p->nresolvers ? zone_check_resolvers(&p->z, p->resolvers, p->nresolvers, &err) :
	    zone_check_resolvers(&p->z, c->resolvers, c->nresolvers, &err)) == -1) {
		fprintf(stderr, "postern: %s\n", err.text);
		return -1;
	}
	if (!p->cli->json) {
		zone_print_checks(&p->out, p->cli, &p->z, &p->bad);
		return 0;
	}
	for (size_t i = 0; i < p->z.n; i++) {
		p->bad |= zone_bad(p->z.lines[i].verdict);
		for (size_t k = 0; k < p->z.nviews; k++)
			p->bad |= zone_bad(p->z.views[k].lines[i].verdict);
		json_line(p, i);
	}
	return 0;
}

static int
run(struct dns_page *p, const char *what, const char *domain)
{
	size_t n;

	if (!zone_of(&p->z, p->z.conf, domain))
		return CLI_USAGE;
	if (p->z.domain == NULL)
		fprintf(stderr, "postern: %s is not among the domains of postern.yaml: no DKIM key for it\n",
		    domain);
	(void)zone_addresses(p->z.conf, &n);
	if (n == 0)
		fprintf(stderr, "postern: neither `public_addresses` nor `delivery: source` names an address: "
		    "nothing can be said of address and reverse name\n");
	if (strcmp(what, "plan") == 0)
		plan(p);
	else if (strcmp(what, "letter") == 0)
		zone_letter(&p->out, &p->z, p->language);
	else if (check(p) == -1)
		return CLI_FINDINGS;
	return p->bad ? CLI_FINDINGS : CLI_OK;
}

/* "9.9.9.9", "127.0.0.1:5353", "[2001:db8::1]:53" */
static bool
take_resolver(struct dns_page *p, const char *text)
{
	struct conf_host h;
	struct err err;

	if (p->nresolvers == ZONE_VIEWS_MAX || hostport_parse_ip(span_str(text), 53, &h.ip, &h.port, &err) == -1) {
		fprintf(stderr, "postern: --resolver %s: an address is wanted, with or without a port, %d of them at most\n",
		    text, ZONE_VIEWS_MAX);
		return false;
	}
	h.name = span_str(text);
	p->resolvers[p->nresolvers++] = h;
	return true;
}

static bool
options(struct dns_page *p, int argc, char **argv)
{
	if (argc < 3)
		return false;
	for (int i = 3; i < argc; i += 2) {
		bool lang = strcmp(argv[i], "--lang") == 0 && strcmp(argv[1], "letter") == 0;

		if (i + 1 == argc)
			return false;
		if (lang && (strcmp(argv[i + 1], "fr") == 0 || strcmp(argv[i + 1], "en") == 0))
			p->language = argv[i + 1][0] == 'f';
		else if (strcmp(argv[i], "--resolver") != 0 || strcmp(argv[1], "check") != 0 ||
		    !take_resolver(p, argv[i + 1]))
			return false;
	}
	return strcmp(argv[1], "plan") == 0 || strcmp(argv[1], "check") == 0 || strcmp(argv[1], "letter") == 0;
}

int
cmd_dns(int argc, char **argv, const struct cli *cli)
{
	struct dns_page p = { .cli = cli };
	struct config *conf;
	int status;

	if (!options(&p, argc, argv))
		return command_usage("dns");
	if ((conf = cli_load_config(cli)) == NULL)
		return CLI_FINDINGS;
	p.z.conf = conf;
	p.z.a = arena_new(0);
	buf_init(&p.out, 4u << 20);
	status = run(&p, argv[1], argv[2]);
	page_flush(&p.out);
	buf_release(&p.out);
	arena_free(&p.z.a);
	if (conf != cli->conf)
		config_free(&conf);
	return status;
}
