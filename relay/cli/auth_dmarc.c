/* auth_dmarc.c -- `postern auth dmarc`: what the domain of From: wishes to become of a message, given what SPF and DKIM found. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/auth.h"
#include "cli/auth_book.h"
#include "cli/commands.h"
#include "cli/page.h"
#include "conf.h"
#include "verifier/dmarc.h"

#define FROM_MAX 8

struct asked {
	struct dmarc_request r;
	struct span from[FROM_MAX];
	struct dmarc_dkim dkim[DMARC_SIGNATURES_MAX];
	bool verbose;
};

/* "fail:example.com"; a domain alone has passed. */
static bool
read_vouch(const char *text, enum auth_result *result, struct span *domain)
{
	struct span s = span_str(text), word = span_sub(s, 0, span_find(s, ':'));

	*result = AUTH_PASS;
	*domain = s;
	if (word.n == s.n)
		return s.n > 0;
	*domain = span_from(s, word.n + 1);
	for (int i = AUTH_NONE; i <= AUTH_POLICY; i++)
		if (span_is(word, auth_result_name((enum auth_result)i))) {
			*result = (enum auth_result)i;
			return domain->n > 0;
		}
	fprintf(stderr, "postern: `" SPAN_FMT "` is no result; pass:example.com\n", SPAN_ARG(word));
	return false;
}

static bool
read_option(void *ctx, const char *name, const char *value)
{
	struct asked *q = ctx;
	uint64_t n;

	if (strcmp(name, "--from") == 0 && q->r.nfrom < FROM_MAX)
		q->from[q->r.nfrom++] = span_str(value);
	else if (strcmp(name, "--spf") == 0)
		return read_vouch(value, &q->r.spf, &q->r.spf_domain);
	else if (strcmp(name, "--dkim") == 0 && q->r.ndkim < DMARC_SIGNATURES_MAX) {
		struct dmarc_dkim *k = &q->dkim[q->r.ndkim++];

		return read_vouch(value, &k->result, &k->domain);
	} else if (strcmp(name, "--discovery") == 0) {
		q->r.discovery = strcmp(value, "tree-walk") == 0 ? DMARC_TREE_WALK : DMARC_PSL;
		return strcmp(value, dmarc_discovery_name(q->r.discovery)) == 0;
	} else if (strcmp(name, "--sample") == 0) {
		if (!parse_uint(span_str(value), 99, &n))
			return false;
		q->r.sample = (uint8_t)n;
	} else
		return false;
	return true;
}

static void
print_text(struct buf *out, const struct dmarc_result *r, const struct asked *q, const struct dns_book *b)
{
	buf_printf(out, "%s: ", auth_result_name(r->result));
	page_text(out, r->reason);
	buf_putc(out, '\n');
	auth_put_field(out, "From:", r->from);
	auth_put_field(out, "organisation", r->organisation);
	if (r->record.n && !span_eq(r->record_domain, r->from))
		auth_put_field(out, "record of", r->record_domain);
	auth_put_field(out, "record", r->record);
	if (r->record.n)
		buf_printf(out, AUTH_FIELD "%s (%s=%s)\n", "asks for", dmarc_policy_name(r->disposition), r->tag,
		    dmarc_policy_name(r->policy));
	if (q->verbose)
		auth_put_questions(out, b);
}

static void
print_json(struct buf *out, const struct dmarc_result *r, const struct asked *q, const struct dns_book *b)
{
	struct json j;

	json_begin(&j, out);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kcstr(&j, "result", auth_result_name(r->result));
	json_kstr(&j, "reason", r->reason);
	json_kcstr(&j, "disposition", dmarc_policy_name(r->disposition));
	json_kcstr(&j, "policy", dmarc_policy_name(r->policy));
	json_kcstr(&j, "tag", r->tag);
	json_kbool(&j, "sampled_out", r->sampled_out);
	json_kbool(&j, "testing", r->testing);
	json_kstr(&j, "from", r->from);
	json_kstr(&j, "organisation", r->organisation);
	json_kstr(&j, "record_domain", r->record_domain);
	json_kstr(&j, "record", r->record);
	json_kbool(&j, "spf_aligned", r->spf_aligned);
	json_kbool(&j, "dkim_aligned", r->dkim_aligned);
	json_kstr(&j, "aligned", r->aligned);
	json_kcstr(&j, "discovery", dmarc_discovery_name(q->r.discovery));
	auth_json_questions(&j, b);
	json_end_object(&j);
	buf_putc(out, '\n');
}

static bool
step(void *ctx)
{
	return dmarc_step(ctx);
}

int
auth_dmarc(int argc, char **argv, const struct cli *cli, const struct config *conf)
{
	struct asked q = { .r = { .spf = AUTH_NONE,
		.discovery = conf->verify.tree_walk ? DMARC_TREE_WALK : DMARC_PSL } };
	struct dmarc_psl *psl = NULL;
	const struct dmarc_result *r;
	struct lookup *l = NULL;
	struct dns_book *b;
	struct arena *a;
	struct dmarc *d;
	struct buf out;
	struct err err;
	int status = CLI_FINDINGS;

	if (!auth_options(argc, argv, read_option, &q, &q.verbose) || q.r.nfrom == 0)
		return command_usage("auth");
	q.r.from = q.from;
	q.r.dkim = q.dkim;
	if ((psl = dmarc_psl_new(NULL, &err)) == NULL || (l = lookup_new(conf, &err)) == NULL) {
		fprintf(stderr, "postern: %s\n", err.text);
		dmarc_psl_free(&psl);
		return status;
	}
	q.r.psl = psl;
	a = arena_new(0);
	b = dns_book_new(a);
	d = dmarc_new(a, b, &q.r);
	auth_pump(l, b, step, d);
	r = dmarc_result(d);
	buf_init(&out, 4u << 20);
	(cli->json ? print_json : print_text)(&out, r, &q, b);
	page_flush(&out);
	buf_release(&out);
	status = r->result == AUTH_PASS ? CLI_OK : CLI_FINDINGS;
	arena_free(&a);
	lookup_free(&l);
	dmarc_psl_free(&psl);
	return status;
}
