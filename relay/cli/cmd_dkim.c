/* cmd_dkim.c -- `postern dkim`: keys made, shown, and looked up where verifiers will look.
 *
 * A new key signs nothing until it stands in postern.yaml, and it should stand
 * there only once `dkim check` has found it in the DNS: new, publish, check, use. For domains that
 * say `dkim: managed` cmd_dkim_rotate.c goes that way with the administrator.
 */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/dkim_page.h"
#include "cli/lookup.h"
#include "cli/page.h"
#include "zone/zone_text.h"
#include "fs.h"
#include "json.h"
#include "signer/dkim_record.h"
#include "signer/dkim_ring.h"

static int
dkim_new(struct dkim_page *p, int argc, char **argv)
{
	struct span domain, selector;
	struct dkim_key *k;
	bool ed25519 = false;
	char *file, *path, *name;
	struct err err;

	if (argc == 5 && strcmp(argv[4], "--ed25519") == 0)
		ed25519 = true;
	else if (argc != 4)
		return command_usage("dkim");
	selector = span_str(argv[3]);
	if (!domain_normalise(p->a, span_str(argv[2]), &domain) || !dns_name_ok(selector)) {
		fprintf(stderr, "postern: `%s` or `%s` is no domain name\n", argv[2], argv[3]);
		return CLI_USAGE;
	}
	file = arena_printf(p->a, "keys/" SPAN_FMT "." SPAN_FMT ".pem", SPAN_ARG(selector),
	    SPAN_ARG(domain));
	path = fs_beside(p->a, p->conf->path, span_str(file));
	if (fs_mkdirs(fs_beside(p->a, p->conf->path, SPAN_LIT("keys")), 0700, &err) == -1 ||
	    dkim_generate(path, ed25519 ? 0 : DKIM_RSA_BITS, &err) == -1 ||
	    (k = dkim_key_load(domain, selector, path, ed25519, &err)) == NULL) {
		fprintf(stderr, "postern: %s\n", err.text);
		return CLI_FINDINGS;
	}
	name = arena_printf(p->a, SPAN_FMT "._domainkey." SPAN_FMT, SPAN_ARG(selector), SPAN_ARG(domain));
	if (p->cli->json) {
		struct json j;

		json_begin(&j, &p->out);
		json_object(&j);
		json_kint(&j, "v", 1);
		json_kcstr(&j, "file", path);
		json_kcstr(&j, "name", name);
		json_kcstr(&j, "type", "TXT");
		json_kcstr(&j, "value", dkim_record(p->a, k));
		json_end_object(&j);
		buf_putc(&p->out, '\n');
	} else {
		buf_printf(&p->out, "The private key is in %s\n\n1. Publish:\n\n", path);
		zone_text_bind(&p->out, name, "TXT", span_str(dkim_record(p->a, k)));
		buf_printf(&p->out, "\n2. Then in postern.yaml, under domains:\n\n  " SPAN_FMT ":\n"
		    "    dkim:\n      - {selector: " SPAN_FMT ", key: %s, algorithm: %s}\n\n"
		    "3. `postern dkim check " SPAN_FMT "`, and once it finds the key `postern reload`\n",
		    SPAN_ARG(domain), SPAN_ARG(selector), file, ed25519 ? "ed25519-sha256" : "rsa-sha256",
		    SPAN_ARG(domain));
	}
	dkim_key_free(&k);
	return CLI_OK;
}

enum dkim_match
dkim_look_up(struct dkim_page *p, struct lookup *l, const struct dkim_key *k, const char *name,
    const char **verdict)
{
	const struct dns_answer *a = lookup_ask(l, name, DNS_TXT);
	enum dkim_match m = DKIM_NO_RECORD;

	for (size_t i = 0; i < a->n && m == DKIM_NO_RECORD; i++)
		m = dkim_compare(p->a, k, dns_data(a, &a->records[i]));
	*verdict = a->status >= DNS_SERVFAIL ? dns_status_text(a->status) :
	    a->n > 1 && m == DKIM_MATCHES ? "published, among other TXT records" : dkim_match_text(m);
	return m;
}

char *
dkim_name(struct dkim_page *p, struct span selector, struct span domain)
{
	return arena_printf(p->a, SPAN_FMT "._domainkey." SPAN_FMT, SPAN_ARG(selector), SPAN_ARG(domain));
}

static void
one_key(struct dkim_page *p, struct lookup *l, const struct conf_domain *d, const struct domain_key *c)
{
	struct err err;
	struct dkim_key *k = dkim_key_load(d->name, c->selector, c->path, c->ed25519, &err);
	char *name = dkim_name(p, c->selector, d->name);
	const char *verdict = NULL;
	bool good = k != NULL;

	if (k == NULL) {
		verdict = arena_str(p->a, span_str(err.text));
	} else if (l) {
		enum dkim_match m = dkim_look_up(p, l, k, name, &verdict);

		/* One that is still to be published need not be there, nor one that signs no more. */
		good = m == DKIM_MATCHES || c->state == RING_RETIRED;
	}
	p->bad |= !good;
	if (p->cli->json) {
		struct json j;

		json_begin(&j, &p->out);
		json_object(&j);
		json_kint(&j, "v", 1);
		json_kstr(&j, "domain", d->name);
		json_kstr(&j, "selector", c->selector);
		json_kcstr(&j, "state", ring_state_name(c->state));
		json_kcstr(&j, "file", c->path);
		json_kcstr(&j, "name", name);
		json_kcstr(&j, "value", k ? dkim_record(p->a, k) : NULL);
		if (verdict) {
			json_kbool(&j, "ok", good);
			json_kcstr(&j, "verdict", verdict);
		}
		json_end_object(&j);
		buf_putc(&p->out, '\n');
	} else if (verdict) {
		page_begin(&p->out, p->cli, good ? GREEN : RED);
		buf_puts(&p->out, good ? "ok    " : "wrong ");
		page_end(&p->out, p->cli, good ? GREEN : RED);
		buf_printf(&p->out, "%s", name);
		if (c->since)
			buf_printf(&p->out, " (%s)", ring_state_name(c->state));
		buf_printf(&p->out, ": %s\n", verdict);
		if (!good && k) {
			buf_puts(&p->out, "      it should say:\n");
			zone_text_bind(&p->out, name, "TXT", span_str(dkim_record(p->a, k)));
		}
	} else {
		buf_printf(&p->out, "; %s, %s\n", c->path, ring_state_name(c->state));
		zone_text_bind(&p->out, name, "TXT", span_str(dkim_record(p->a, k)));
	}
	if (k)
		dkim_key_free(&k);
}

static int
dkim_each(struct dkim_page *p, bool check, const char *domain)
{
	const struct domain_key *keys;
	struct lookup *l = NULL;
	struct err err;
	size_t n = 0, nkeys;

	if (check && (l = lookup_new(p->conf, &err)) == NULL) {
		fprintf(stderr, "postern: %s\n", err.text);
		return CLI_FINDINGS;
	}
	for (size_t i = 0; i < p->conf->ndomains; i++) {
		const struct conf_domain *d = &p->conf->domains[i];

		if (domain && !span_eq_nocase(d->name, span_str(domain)))
			continue;
		if (domain_keys(p->conf, d, p->a, &keys, &nkeys, &err) == -1) {
			fprintf(stderr, "postern: %s\n", err.text);
			p->bad = true;
			continue;
		}
		for (size_t k = 0; k < nkeys; k++, n++)
			one_key(p, l, d, &keys[k]);
	}
	lookup_free(&l);
	if (n == 0) {
		fprintf(stderr, "postern: no DKIM key%s%s; `postern dkim new` or `rotate` makes one\n",
		    domain ? " for " : "", domain ? domain : "");
		return CLI_FINDINGS;
	}
	return p->bad ? CLI_FINDINGS : CLI_OK;
}

int
cmd_dkim(int argc, char **argv, const struct cli *cli)
{
	struct dkim_page p = { .cli = cli, .conf = cli_load_config(cli) };
	bool check = argc > 1 && strcmp(argv[1], "check") == 0;
	int status;

	if (p.conf == NULL)
		return CLI_FINDINGS;
	p.a = arena_new(0);
	buf_init(&p.out, 4u << 20);
	if (argc >= 4 && strcmp(argv[1], "new") == 0)
		status = dkim_new(&p, argc, argv);
	else if (argc >= 3 && strcmp(argv[1], "rotate") == 0)
		status = dkim_rotate(&p, argc - 2, argv + 2);
	else if ((argc == 2 || argc == 3) && (check || strcmp(argv[1], "show") == 0))
		status = dkim_each(&p, check, argc == 3 ? argv[2] : NULL);
	else
		status = command_usage("dkim");
	page_flush(&p.out);
	buf_release(&p.out);
	arena_free(&p.a);
	if (p.conf != cli->conf)
		config_free((struct config **)(uintptr_t)&p.conf);
	return status;
}
