/* cmd_dns.c -- `postern dns plan|check|letter`: what the DNS must say, whether it does, and a letter that asks for it. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/dns_table.h"
#include "cli/dns_text.h"
#include "cli/page.h"
#include "json.h"

#define TTL 3600

struct dns_page {
	const struct cli *cli;
	struct zone z;
	struct buf out;
	bool bad;
};

static void
json_line(struct dns_page *p, const struct zone_line *l)
{
	struct json j;

	json_begin(&j, &p->out);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kcstr(&j, "topic", l->topic->name);
	json_kcstr(&j, "name", l->name);
	json_kcstr(&j, "type", l->type);
	json_kstr(&j, "value", l->value);
	json_kbool(&j, "optional", l->topic->optional);
	if (l->verdict) {
		json_kcstr(&j, "verdict", zone_verdict_word(l->verdict));
		json_kcstr(&j, "detail", l->detail);
	}
	json_end_object(&j);
	buf_putc(&p->out, '\n');
}

static void
fields(struct buf *o, const struct zone_line *l, bool fr)
{
	buf_printf(o, "    %s %s\n    %s %s\n    %s ", fr ? "nom   " : "name ", l->name,
	    fr ? "type  " : "type ", l->type, fr ? "valeur" : "value");
	page_text(o, l->value);
	buf_printf(o, "\n    %s %d\n", fr ? "TTL   " : "TTL  ", TTL);
}

static void
plan(struct dns_page *p)
{
	const struct zone_topic *t = NULL;

	for (size_t i = 0; i < p->z.n; i++) {
		const struct zone_line *l = &p->z.lines[i];

		if (p->cli->json) {
			json_line(p, l);
			continue;
		}
		if (l->topic != t)
			buf_printf(&p->out, "%s; %s: %s%s\n", t ? "\n" : "", l->topic->name,
			    l->topic->optional ? "(optional) " : "", l->topic->why[0]);
		t = l->topic;
		if (l->value.n)
			dns_text_bind(&p->out, l->name, l->type, l->value);
		else
			buf_printf(&p->out, "; %s: %s\n", l->name, l->detail);
		if (l->value.n)
			fields(&p->out, l, false);
	}
}

void
dns_print_checks(struct buf *out, const struct cli *cli, const struct zone *z, bool *bad)
{
	for (size_t i = 0; i < z->n; i++) {
		const struct zone_line *l = &z->lines[i];
		enum page_colour c = l->verdict == ZONE_OK ? GREEN : l->verdict == ZONE_NOTE ? DIM : RED;

		*bad |= l->verdict != ZONE_OK && l->verdict != ZONE_NOTE;
		page_begin(out, cli, c);
		buf_printf(out, "%-8s", zone_verdict_word(l->verdict));
		page_end(out, cli, c);
		buf_printf(out, " %-7s %-4s %s", l->topic->name, l->type, l->name);
		if (l->detail[0]) {
			buf_puts(out, ": ");
			page_text(out, span_str(l->detail));
		}
		buf_putc(out, '\n');
		if (l->verdict != ZONE_OK && l->value.n) {
			buf_puts(out, "         it should say: ");
			page_text(out, l->value);
			buf_putc(out, '\n');
		}
	}
}

static void
letter(struct dns_page *p, bool fr)
{
	struct buf *o = &p->out;
	const struct zone_topic *t = NULL;

	buf_printf(o, fr ? "Objet : enregistrements DNS pour " SPAN_FMT "\n\nBonjour,\n\n"
	    "Notre passerelle de messagerie " SPAN_FMT " émet le courrier de " SPAN_FMT ". Pour que les\n"
	    "destinataires l'acceptent, merci de publier les enregistrements suivants.\n" :
	    "Subject: DNS records for " SPAN_FMT "\n\nHello,\n\n"
	    "our mail gateway " SPAN_FMT " sends the mail of " SPAN_FMT ". For receivers to accept it,\n"
	    "please publish the following records.\n",
	    SPAN_ARG(p->z.name), SPAN_ARG(p->z.conf->hostname), SPAN_ARG(p->z.name));
	for (size_t i = 0; i < p->z.n; i++) {
		const struct zone_line *l = &p->z.lines[i];

		if (l->value.n == 0)
			continue;
		if (l->topic != t)
			buf_printf(o, "\n%s%s\n", l->topic->why[fr], !l->topic->optional ? "" :
			    fr ? " (facultatif)" : " (optional)");
		t = l->topic;
		buf_putc(o, '\n');
		fields(o, l, fr);
		buf_puts(o, fr ? "    soit, au format BIND :\n    " : "    that is, as BIND writes it:\n    ");
		dns_text_bind(o, l->name, l->type, l->value);
	}
	buf_puts(o, fr ? "\nUn enregistrement SPF ou DMARC existant est à compléter, jamais à doubler.\n"
	    "Merci de nous prévenir une fois la publication faite : nous vérifierons.\n" :
	    "\nAn SPF or DMARC record that exists is to be completed, never doubled.\n"
	    "Please tell us once it is done: we will check.\n");
}

/* The domain as the table wants it. false: said on stderr. */
bool
dns_zone_of(struct zone *z, const struct config *conf, const char *domain)
{
	z->conf = conf;
	if (!domain_normalise(z->a, span_str(domain), &z->name)) {
		fprintf(stderr, "postern: `%s` is no domain name\n", domain);
		return false;
	}
	z->domain = config_domain(conf, z->name);
	zone_advise(z);
	return true;
}

static int
run(struct dns_page *p, int argc, char **argv)
{
	struct err err;
	size_t n;

	if (!dns_zone_of(&p->z, p->z.conf, argv[2]))
		return CLI_USAGE;
	if (p->z.domain == NULL)
		fprintf(stderr, "postern: %s is not among the domains of postern.yaml: no DKIM key for it\n",
		    argv[2]);
	(void)zone_addresses(p->z.conf, &n);
	if (n == 0)
		fprintf(stderr, "postern: neither `public_addresses` nor `delivery: source` names an address: "
		    "nothing can be said of address and reverse name\n");
	if (strcmp(argv[1], "plan") == 0) {
		plan(p);
	} else if (strcmp(argv[1], "letter") == 0) {
		letter(p, argc > 3 && strcmp(argv[argc - 1], "fr") == 0);
	} else {
		if ((p->z.lookup = lookup_new(p->z.conf, &err)) == NULL) {
			fprintf(stderr, "postern: %s\n", err.text);
			return CLI_FINDINGS;
		}
		zone_check(&p->z);
		lookup_free(&p->z.lookup);
		if (!p->cli->json)
			dns_print_checks(&p->out, p->cli, &p->z, &p->bad);
		for (size_t i = 0; p->cli->json && i < p->z.n; i++) {
			p->bad |= p->z.lines[i].verdict > ZONE_NOTE;
			json_line(p, &p->z.lines[i]);
		}
	}
	return p->bad ? CLI_FINDINGS : CLI_OK;
}

int
cmd_dns(int argc, char **argv, const struct cli *cli)
{
	struct dns_page p = { .cli = cli };
	struct config *conf;
	bool letter_lang = argc == 5 && strcmp(argv[1], "letter") == 0 &&
	    strcmp(argv[3], "--lang") == 0 && (!strcmp(argv[4], "fr") || !strcmp(argv[4], "en"));
	int status;

	if (!letter_lang && (argc != 3 || (strcmp(argv[1], "plan") != 0 &&
	    strcmp(argv[1], "check") != 0 && strcmp(argv[1], "letter") != 0)))
		return command_usage("dns");
	if ((conf = cli_load_config(cli)) == NULL)
		return CLI_FINDINGS;
	p.z.conf = conf;
	p.z.a = arena_new(0);
	buf_init(&p.out, 4u << 20);
	status = run(&p, argc, argv);
	page_flush(&p.out);
	buf_release(&p.out);
	arena_free(&p.z.a);
	if (conf != cli->conf)
		config_free(&conf);
	return status;
}
