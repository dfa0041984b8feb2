/* fuzz_spf_record.c -- any bytes as an SPF record; its domains expanded for a sender made of the same bytes. */
#include "postern/err.h"
#include "verifier/spf.h"
#include "verifier/spf_macro.h"
#include "verifier/spf_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
expand(struct arena *a, struct span spec, const struct spf_names *names)
{
	struct span out;

	if (spec.p == NULL || !spf_macro_expand(a, spec, names, &out))
		return;
	ASSERT(out.n <= SPF_EXPANSION_MAX);
	out = spf_macro_domain(out);
	ASSERT(out.n <= DNS_NAME_MAX - 1 || span_find(out, '.') == out.n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span txt = span_make((const char *)data, size), problem = { 0 }, part = span_sub(txt, size / 2, 700);
	struct spf_names names = { .local = part, .sender_domain = span_sub(txt, 0, 700), .helo = part,
		.domain = SPAN_LIT("example.com"), .validated = SPAN_LIT("unknown"),
		.receiver = SPAN_LIT("gw.example"), .ip = { .family = 6, .b = { 0x20, 1 } }, .now = -1 };
	struct arena *a = arena_new(0);
	struct spf_record r;

	if (spf_macro_text_ok(txt))
		expand(a, txt, &names);
	if (spf_record_is(txt)) {
		if (spf_record_parse(a, txt, &r, &problem)) {
			for (size_t i = 0; i < r.n; i++) {
				ASSERT(r.terms[i].bits4 <= 32 && r.terms[i].bits6 <= 128);
				expand(a, r.terms[i].spec, &names);
			}
			expand(a, r.redirect, &names);
			expand(a, r.exp, &names);
		} else
			ASSERT(problem.n > 0);
	}
	arena_free(&a);
	return 0;
}
