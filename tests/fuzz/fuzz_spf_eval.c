/* fuzz_spf_eval.c -- SPF with hostile clients and hostile answers: bounded, the same result whether asked ahead or
 * not, and nothing that could make lines in a reply. Input: address, HELO, MAIL FROM, answers (hostile_dns.h). */
#include "hostile_dns.h"
#include "verifier/spf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum auth_result
judge(const struct hostile *h, struct spf_request *r, bool serial)
{
	static struct dns_answer answer;
	struct arena *a = arena_new(0);
	struct dns_book *book = dns_book_new(a);
	const struct spf_result *out;
	enum auth_result result;
	struct dns_question q;
	struct spf *s;

	r->serial = serial;
	s = spf_new(a, book, r);
	while (!spf_step(s)) {
		ASSERT(dns_book_next(book, &q));
		do {
			ASSERT(dns_question_ok(span_str(q.name)));
			hostile_answer(h, &q, &answer);
			dns_book_answer(book, q.id, &answer);
		} while (dns_book_next(book, &q));
	}
	out = spf_result(s);
	result = out->result;
	ASSERT(result >= AUTH_NONE && result <= AUTH_PERMERROR);
	ASSERT(out->terms <= SPF_TERMS_MAX && out->voids <= SPF_VOID_MAX);
	ASSERT(out->npath <= SPF_DEPTH_MAX + 1);
	ASSERT(out->explanation.n <= SPF_EXPLANATION_MAX);
	ASSERT(out->explanation.n == 0 || result == AUTH_FAIL);
	ASSERT(dns_book_count(book) < DNS_BOOK_MAX);
	for (size_t i = 0; i < out->explanation.n; i++)
		ASSERT(out->explanation.p[i] >= ' ' && out->explanation.p[i] <= '~');
	for (size_t i = 0; i < out->npath; i++)
		ASSERT(out->path[i].term.n == 0 || dns_question_ok(out->path[i].domain));
	arena_free(&a);
	return result;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = span_make((const char *)data, size);
	struct spf_request r = { .explain = true, .now = 1700000000 * INT64_C(1000000),
		.receiver = SPAN_LIT("gw.example") };
	struct hostile h;

	if (!ip_parse(hostile_line(&rest), &r.ip))
		r.ip = (struct ip){ .family = 4, .b = { 192, 0, 2, 1 } };
	r.helo = hostile_line(&rest);
	r.mail_from = hostile_line(&rest);
	hostile_load(&h, rest);
	ASSERT(judge(&h, &r, true) == judge(&h, &r, false));
	return 0;
}
