/* fuzz_dmarc_eval.c -- DMARC with hostile From: fields and hostile answers, by both ways to find the organisation.
 * Input: From:, the domain SPF passed for, the one DKIM passed for, answers (hostile_dns.h). */
#include "hostile_dns.h"
#include "verifier/dmarc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
judge(const struct hostile *h, const struct dmarc_request *r)
{
	static struct dns_answer answer;
	struct arena *a = arena_new(0);
	struct dns_book *book = dns_book_new(a);
	struct dmarc *d = dmarc_new(a, book, r);
	const struct dmarc_result *out;
	struct dns_question q;

	while (!dmarc_step(d)) {
		ASSERT(dns_book_next(book, &q));
		do {
			hostile_answer(h, &q, &answer);
			dns_book_answer(book, q.id, &answer);
		} while (dns_book_next(book, &q));
	}
	out = dmarc_result(d);
	ASSERT(out->result == AUTH_NONE || out->result == AUTH_PASS || out->result == AUTH_FAIL ||
	    out->result == AUTH_TEMPERROR || out->result == AUTH_PERMERROR);
	ASSERT(out->disposition == DMARC_NONE || out->result == AUTH_FAIL);
	ASSERT((out->result == AUTH_PASS) == (out->spf_aligned || out->dkim_aligned));
	ASSERT(out->result != AUTH_PASS || out->aligned.n > 0);
	ASSERT(out->reason.n > 0 && out->tag != NULL);
	ASSERT(dns_book_count(book) < DNS_BOOK_MAX);
	arena_free(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dmarc_psl *psl;
	struct span rest = span_make((const char *)data, size), from;
	struct dmarc_dkim dkim = { .result = AUTH_PASS };
	struct dmarc_request r = { .from = &from, .nfrom = 1, .spf = AUTH_PASS, .dkim = &dkim, .ndkim = 1 };
	struct hostile h;
	struct err err;

	if (psl == NULL)
		psl = dmarc_psl_new(NULL, &err);
	ASSERT(psl != NULL);
	r.psl = psl;
	from = hostile_line(&rest);
	r.spf_domain = hostile_line(&rest);
	dkim.domain = hostile_line(&rest);
	hostile_load(&h, rest);
	judge(&h, &r);
	r.discovery = DMARC_TREE_WALK;
	judge(&h, &r);
	return 0;
}
