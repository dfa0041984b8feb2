/* zone_world.c -- the table of zone.h in the tool; see zone_world.h. */
#include <stdio.h>

#include "addr.h"
#include "cli/page.h"
#include "cli/zone_world.h"
#include "fetcher/sts_policy.h"
#include "signer/dkim_record.h"

/* ---- keys ---- */

static void
know_keys(struct zone *z)
{
	const struct domain_key *keys;
	struct zone_key *out;
	struct err err;
	size_t n;

	if (domain_keys(z->conf, z->domain, z->a, &keys, &n, &err) == -1) {
		z->keys_why = arena_str(z->a, span_str(err.text));
		return;
	}
	z->keys = out = arena_array(z->a, n, sizeof(*out));
	z->nkeys = n;
	for (size_t i = 0; i < n; i++) {
		struct dkim_key *k = NULL;

		out[i] = (struct zone_key){ .selector = keys[i].selector, .ed25519 = keys[i].ed25519,
			.state = keys[i].state, .since = keys[i].since, .record = "", .why = "" };
		if (keys[i].state != RING_RETIRED)
			k = dkim_key_load(z->domain->name, keys[i].selector, keys[i].path, keys[i].ed25519, &err);
		if (k)
			out[i].record = dkim_record(z->a, k);
		else if (keys[i].state != RING_RETIRED)
			out[i].why = arena_str(z->a, span_str(err.text));
		dkim_key_free(&k);
	}
}

bool
zone_of(struct zone *z, const struct config *conf, const char *domain)
{
	z->conf = conf;
	if (!domain_normalise(z->a, span_str(domain), &z->name)) {
		fprintf(stderr, "postern: `%s` is no domain name\n", domain);
		return false;
	}
	if ((z->domain = config_domain(conf, z->name)) != NULL)
		know_keys(z);
	if (conf->tls_certificate)
		z->certificate = zone_certificate(z->a, conf->tls_certificate);
	zone_advise(z);
	return true;
}

/* ---- answers ---- */

struct world {
	const struct config *conf;
	struct lookup *lookup;
	bool silent;		/* of another's servers: it has not answered once, and is not waited for again */
};

static const struct dns_answer *
ask(void *ctx, const char *name, uint16_t type)
{
	return lookup_ask(((struct world *)ctx)->lookup, name, type);
}

static enum zone_page
policy(void *ctx, struct arena *a, const char *host, struct sts_policy *p, const char **why)
{
	const struct world *w = ctx;
	const struct conf_delivery *d = &w->conf->delivery;
	struct span body;
	char *url = arena_printf(a, "https://%s:%u/.well-known/mta-sts.txt", host, d->sts_port);

	return lookup_https(w->lookup, d->roots, url, d->sts_timeout, a, &body, why) &&
	    sts_policy_parse(body, p, why) ? ZONE_PAGE_READ : ZONE_PAGE_BAD;
}

void
zone_check_by(struct zone *z, struct lookup *l)
{
	struct world w = { z->conf, l, false };
	struct zone_answers answers = { ask, policy, &w };

	z->answers = &answers;
	zone_check(z);
	z->answers = NULL;
}

static const struct dns_answer *
ask_other(void *ctx, const char *name, uint16_t type)
{
	static const struct dns_answer none = { .status = DNS_TIMEOUT };
	struct world *w = ctx;
	const struct dns_answer *a = w->silent ? &none : lookup_ask(w->lookup, name, type);

	w->silent |= a->status == DNS_TIMEOUT;
	return a;
}

static enum zone_page
no_policy(void *ctx, struct arena *a, const char *host, struct sts_policy *p, const char **why)
{
	*why = "asked once, above";
	return ZONE_PAGE_NOT_ASKED;
}

int
zone_check_resolvers(struct zone *z, const struct conf_host *v, size_t n, struct err *err)
{
	for (size_t i = 0; i < n && i < ZONE_VIEWS_MAX; i++) {
		struct world w = { z->conf, lookup_by(z->conf, &v[i], 1, err), false };
		struct zone_answers answers = { ask_other, no_policy, &w };
		char text[IP_TEXT_MAX];

		if (w.lookup == NULL)
			return -1;
		z->views[z->nviews++].resolver = arena_printf(z->a, v[i].ip.family == 6 ? "[%s]:%u" : "%s:%u",
		    ip_format(v[i].ip, text), v[i].port);
		zone_check_view(z, i, &answers);
		lookup_free(&w.lookup);
	}
	return 0;
}

/* ---- for people ---- */

static enum page_colour
colour(enum zone_verdict v)
{
	return v == ZONE_OK ? GREEN : zone_bad(v) ? RED : DIM;
}

static void
print_views(struct buf *out, const struct cli *cli, const struct zone *z, size_t i, bool *bad)
{
	for (size_t k = 0; k < z->nviews; k++) {
		const struct zone_line *l = &z->views[k].lines[i];

		*bad |= zone_bad(l->verdict);
		buf_printf(out, "         %-21s ", z->views[k].resolver);
		page_begin(out, cli, colour(l->verdict));
		buf_printf(out, "%-8s", zone_verdict_word(l->verdict));
		page_end(out, cli, colour(l->verdict));
		for (size_t r = 0; r < zone_seen_count(l); r++) {
			buf_puts(out, r ? " | " : " ");
			page_text(out, zone_seen(z->a, l, r));
		}
		if (zone_seen_count(l) == 0 && l->detail[0]) {
			buf_putc(out, ' ');
			page_text(out, span_str(l->detail));
		}
		buf_putc(out, '\n');
	}
}

void
zone_print_checks(struct buf *out, const struct cli *cli, const struct zone *z, bool *bad)
{
	for (size_t i = 0; i < z->n; i++) {
		const struct zone_line *l = &z->lines[i];

		*bad |= zone_bad(l->verdict);
		page_begin(out, cli, colour(l->verdict));
		buf_printf(out, "%-8s", zone_verdict_word(l->verdict));
		page_end(out, cli, colour(l->verdict));
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
		print_views(out, cli, z, i, bad);
	}
}
