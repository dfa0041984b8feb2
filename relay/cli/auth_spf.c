/* auth_spf.c -- `postern auth spf`: may this address send for this sender, and which term of which record says so. */
#include <stdio.h>
#include <string.h>

#include "addr.h"
#include "cli/auth.h"
#include "cli/auth_book.h"
#include "cli/commands.h"
#include "cli/page.h"
#include "clock.h"
#include "verifier/spf.h"

struct asked {
	struct spf_request r;
	bool verbose;
};

static bool
read_engine(const char *word, enum spf_engine *e)
{
	for (int i = SPF_STRICT; i <= SPF_BOTH; i++)
		if (strcmp(word, spf_engine_name((enum spf_engine)i)) == 0) {
			*e = (enum spf_engine)i;
			return true;
		}
	return false;
}

/* Brackets of an SMTP path may stay. */
static struct span
without_brackets(const char *s)
{
	struct span a = span_str(s);

	return a.n >= 2 && a.p[0] == '<' && a.p[a.n - 1] == '>' ? span_sub(a, 1, a.n - 2) : a;
}

static bool
read_option(void *ctx, const char *name, const char *value)
{
	struct asked *q = ctx;

	if (strcmp(name, "--ip") == 0) {
		if (ip_parse(span_str(value), &q->r.ip))
			return true;
		fprintf(stderr, "postern: `%s` is no address\n", value);
	} else if (strcmp(name, "--helo") == 0) {
		q->r.helo = span_str(value);
		return true;
	} else if (strcmp(name, "--from") == 0) {
		q->r.mail_from = without_brackets(value);
		return true;
	} else if (strcmp(name, "--engine") == 0) {
		if (read_engine(value, &q->r.engine))
			return true;
		fprintf(stderr, "postern: the engine is strict, libspf2 or both\n");
	}
	return false;
}

/* "-all of example.com, by include:example.com of example.org" */
static void
put_path(struct buf *out, const struct spf_result *r)
{
	for (size_t i = r->npath; i-- > 0;) {
		const struct spf_match *m = &r->path[i];

		if (m->term.n) {
			page_text(out, m->term);
			buf_puts(out, " of ");
		} else
			buf_puts(out, "no term matches in the record of ");
		page_text(out, m->domain);
		if (i > 0)
			buf_puts(out, ", by ");
	}
}

static void
print_text(struct buf *out, const struct spf_result *r, const struct asked *q, const struct dns_book *b)
{
	buf_printf(out, "%s: ", auth_result_name(r->result));
	if (r->problem.n || r->npath == 0)
		page_text(out, r->problem.n ? r->problem : SPAN_LIT("libspf2 gives no reason"));
	else
		put_path(out, r);
	buf_putc(out, '\n');
	auth_put_field(out, r->identity == SPF_HELO ? "HELO" : "MAIL FROM", r->domain);
	if (r->record.n && !span_eq(r->record_domain, r->domain))
		auth_put_field(out, "record of", r->record_domain);
	auth_put_field(out, "record", r->record);
	auth_put_field(out, "explanation", r->explanation);
	if (q->r.engine != SPF_LIBSPF2)
		buf_printf(out, AUTH_FIELD "%u of %d terms that ask the DNS, %u of %d void\n", "spent", r->terms,
		    SPF_TERMS_MAX, r->voids, SPF_VOID_MAX);
	if (r->compared)
		buf_printf(out, AUTH_FIELD "%s%s\n", "libspf2", auth_result_name(r->second),
		    r->disagrees ? ": it disagrees" : "");
	if (q->verbose)
		auth_put_questions(out, b);
}

static void
print_json(struct buf *out, const struct spf_result *r, const struct asked *q, const struct dns_book *b)
{
	struct json j;

	json_begin(&j, out);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kcstr(&j, "result", auth_result_name(r->result));
	json_kcstr(&j, "identity", r->identity == SPF_HELO ? "helo" : "mailfrom");
	json_kstr(&j, "domain", r->domain);
	json_key(&j, "path");
	json_array(&j);
	for (size_t i = 0; i < r->npath; i++) {
		json_object(&j);
		json_kstr(&j, "domain", r->path[i].domain);
		json_kstr(&j, "term", r->path[i].term);
		json_end_object(&j);
	}
	json_end_array(&j);
	json_kstr(&j, "record_domain", r->record_domain);
	json_kstr(&j, "record", r->record);
	json_kstr(&j, "problem", r->problem);
	json_kstr(&j, "explanation", r->explanation);
	json_kint(&j, "terms", r->terms);
	json_kint(&j, "voids", r->voids);
	json_kcstr(&j, "engine", spf_engine_name(q->r.engine));
	if (r->compared)
		json_kcstr(&j, "libspf2", auth_result_name(r->second));
	auth_json_questions(&j, b);
	json_end_object(&j);
	buf_putc(out, '\n');
}

static bool
step(void *ctx)
{
	return spf_step(ctx);
}

int
auth_spf(int argc, char **argv, const struct cli *cli, const struct config *conf)
{
	struct asked q = { .r = { .explain = true, .serial = true, .now = clock_real(),
		.receiver = conf->hostname, .engine = (enum spf_engine)conf->verify.spf } };
	const struct spf_result *r;
	struct dns_book *b;
	struct lookup *l;
	struct arena *a;
	struct buf out;
	struct spf *s;
	struct err err;
	int status;

	if (!auth_options(argc, argv, read_option, &q, &q.verbose) || !q.r.ip.family ||
	    (!q.r.helo.n && !q.r.mail_from.n))
		return command_usage("auth");
	if ((l = lookup_new(conf, &err)) == NULL) {
		fprintf(stderr, "postern: %s\n", err.text);
		return CLI_FINDINGS;
	}
	a = arena_new(0);
	b = dns_book_new(a);
	s = spf_new(a, b, &q.r);
	auth_pump(l, b, step, s);
	r = spf_result(s);
	buf_init(&out, 4u << 20);
	(cli->json ? print_json : print_text)(&out, r, &q, b);
	page_flush(&out);
	buf_release(&out);
	status = r->result == AUTH_PASS ? CLI_OK : CLI_FINDINGS;
	arena_free(&a);
	lookup_free(&l);
	return status;
}
