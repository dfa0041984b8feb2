/* auth_dkim.c -- `postern auth dkim FILE`: the DKIM signatures of a message, and its seals (ARC), as the
 * verifier would judge them now.
 *
 * The first word is the result. A file with bare line ends, as mail programs save them, is
 * read as if it had those of the wire.
 */
#include <stdio.h>
#include <string.h>

#include "cli/auth.h"
#include "cli/commands.h"
#include "cli/lookup.h"
#include "cli/page.h"
#include "clock.h"
#include "fs.h"
#include "json.h"
#include "verifier/seals.h"
#include "verifier/signatures.h"

#define FILE_MAX (UINT64_C(1) << 30)

static struct span
with_crlf(struct arena *a, struct span s)
{
	char *out;
	size_t n = 0;

	if (s.n == 0 || (span_find(s, '\n') > 0 && span_find(s, '\n') < s.n &&
	    s.p[span_find(s, '\n') - 1] == '\r'))
		return s;
	out = arena_alloc(a, 2 * s.n);
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r'))
			out[n++] = '\r';
		out[n++] = s.p[i];
	}
	return span_make(out, n);
}

static void
print_json(struct buf *out, const struct signatures *s, const struct seals_result *arc)
{
	const struct signature *v;
	struct json j;
	size_t n;

	v = signatures_get(s, &n);
	json_begin(&j, out);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kcstr(&j, "result", auth_result_name(signatures_best(s)));
	json_key(&j, "signatures");
	json_array(&j);
	for (size_t i = 0; i < n; i++) {
		json_object(&j);
		json_kcstr(&j, "result", auth_result_name(v[i].result));
		json_kcstr(&j, "why", v[i].why);
		json_kstr(&j, "domain", v[i].domain);
		json_kstr(&j, "selector", v[i].selector);
		json_kcstr(&j, "algorithm", v[i].algorithm);
		json_kint(&j, "bits", v[i].bits);
		json_end_object(&j);
	}
	json_end_array(&j);
	json_key(&j, "arc");
	json_object(&j);
	json_kcstr(&j, "result", auth_result_name(arc->result));
	json_kcstr(&j, "why", arc->why);
	json_kint(&j, "sets", arc->sets);
	json_kint(&j, "failed", arc->failed);
	json_kint(&j, "oldest_pass", arc->oldest_pass);
	json_kstr(&j, "sealer", arc->sealer);
	json_end_object(&j);
	json_end_object(&j);
	buf_putc(out, '\n');
}

static void
print_text(struct buf *out, const struct signatures *s, const struct seals_result *arc)
{
	const struct signature *v;
	size_t n;

	v = signatures_get(s, &n);
	buf_printf(out, "%s: ", auth_result_name(signatures_best(s)));
	page_count(out, n, "signature", "signatures");
	buf_putc(out, '\n');
	for (size_t i = 0; i < n; i++) {
		buf_printf(out, "  %-9s d=", auth_result_name(v[i].result));
		page_text(out, v[i].domain);
		buf_puts(out, " s=");
		page_text(out, v[i].selector);
		if (v[i].algorithm)
			buf_printf(out, " %s", v[i].algorithm);
		if (v[i].bits)
			buf_printf(out, " %u bits", v[i].bits);
		if (v[i].why)
			buf_printf(out, ": %s", v[i].why);
		buf_putc(out, '\n');
	}
	if (arc->result == AUTH_NONE)
		return;
	buf_printf(out, "arc %s: ", auth_result_name(arc->result));
	page_count(out, arc->sets, "seal", "seals");
	if (arc->result == AUTH_PASS) {
		buf_puts(out, ", the last by ");
		page_text(out, arc->sealer);
	} else if (arc->failed)
		buf_printf(out, ", number %u: %s", arc->failed, arc->why);
	else
		buf_printf(out, ": %s", arc->why);
	buf_putc(out, '\n');
}

int
auth_dkim(int argc, char **argv, const struct cli *cli, const struct config *conf)
{
	struct arena *a = arena_new(0);
	struct dns_book *book = dns_book_new(a);
	struct signatures *s = NULL;
	struct seals *arc = NULL;
	struct lookup *l = NULL;
	struct dns_question q;
	struct mail mail;
	struct span raw;
	struct buf out;
	struct err err;
	int status = CLI_FINDINGS;

	if (argc != 1) {
		arena_free(&a);
		return command_usage("auth");
	}
	if (fs_read(a, argv[0], FILE_MAX, &raw, &err) == -1 || (l = lookup_new(conf, &err)) == NULL) {
		fprintf(stderr, "postern: %s\n", err.text);
		goto out;
	}
	mail_open(with_crlf(a, raw), a, &mail);
	s = signatures_new(a, book, &mail, clock_real() / US_PER_SEC);
	arc = seals_new(a, book, &mail);
	for (bool done = false; !done; ) {
		done = signatures_step(s);
		done &= seals_step(arc);
		while (dns_book_next(book, &q))
			dns_book_answer(book, q.id, lookup_ask(l, q.name, q.type));
	}
	buf_init(&out, 1u << 20);
	(cli->json ? print_json : print_text)(&out, s, seals_result(arc));
	page_flush(&out);
	buf_release(&out);
	if (signatures_best(s) == AUTH_PASS)
		status = CLI_OK;
out:
	signatures_free(s);
	seals_free(arc);
	lookup_free(&l);
	arena_free(&a);
	return status;
}
