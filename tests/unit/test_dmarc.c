/* test_dmarc.c -- DMARC over the cases of tests/corpus/dmarc, and what cases cannot say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "dmarc_cases.h"
#include "verifier/dmarc_from.h"
#include "verifier/dmarc_psl.h"

static struct dmarc_suite suite;

static bool
is(struct span want, struct span got)
{
	return want.p == NULL || span_eq(want, got);
}

static bool
is_wanted(const struct dmarc_case *c, const struct dmarc_result *r, size_t questions)
{
	return span_is(c->dns.want, auth_result_name(r->result)) &&
	    is(c->asks, span_str(dmarc_policy_name(r->disposition))) && is(c->tag, span_str(r->tag)) &&
	    is(c->header, r->from) && is(c->domain, r->record_domain) && is(c->org, r->organisation) &&
	    is(c->aligned, r->aligned) && c->spared == r->sampled_out && c->testing == r->testing &&
	    (c->questions == 0 || c->questions == questions) &&
	    (c->reason.p == NULL || memmem(r->reason.p, r->reason.n, c->reason.p, c->reason.n) != NULL) &&
	    (c->report == r->report_failure);
}

static void
run_all(int order)
{
	unsigned wrong = 0;

	for (size_t i = 0; i < suite.n; i++) {
		const struct dmarc_case *c = &suite.cases[i];
		struct arena *a = arena_new(1 << 16);
		size_t questions;
		const struct dmarc_result *r = dmarc_case_run(a, c, order, &questions);

		if (!is_wanted(c, r, questions)) {
			wrong++;
			print_error(SPAN_FMT " (" SPAN_FMT "): " SPAN_FMT ", not %s; " SPAN_FMT "\n"
			    "    asks %s by %s of `" SPAN_FMT "`, from `" SPAN_FMT "`, organisation `" SPAN_FMT
			    "`, aligned `" SPAN_FMT "`, %zu questions%s: " SPAN_FMT "\n", SPAN_ARG(c->dns.id),
			    SPAN_ARG(c->dns.rfc), SPAN_ARG(c->dns.want), auth_result_name(r->result),
			    SPAN_ARG(c->dns.why), dmarc_policy_name(r->disposition), r->tag,
			    SPAN_ARG(r->record_domain), SPAN_ARG(r->from), SPAN_ARG(r->organisation),
			    SPAN_ARG(r->aligned), questions, r->report_failure ? ", report" : "",
			    SPAN_ARG(r->reason));
		}
		/* only a fail asks for anything */
		assert_true(r->result == AUTH_FAIL || r->disposition == DMARC_NONE);
		assert_true(r->reason.n > 0);
		arena_free(&a);
	}
	assert_int_equal(wrong, 0);
}

static void
test_cases(void **state)
{
	run_all(0);
}

static void
test_cases_in_another_order(void **state)
{
	run_all(1);
}

static void
test_time_is_up(void **state)
{
	struct arena *a = arena_new(0);
	struct span from = SPAN_LIT("u@example.com");
	struct dmarc_request q = { .from = &from, .nfrom = 1, .psl = suite.psl };
	struct dmarc *d = dmarc_new(a, dns_book_new(a), &q);

	assert_false(dmarc_step(d));
	dmarc_abort(d);
	assert_true(dmarc_step(d));
	assert_int_equal(dmarc_result(d)->result, AUTH_TEMPERROR);
	assert_int_equal(dmarc_result(d)->disposition, DMARC_NONE);
	arena_free(&a);
}

/* 32 signatures by subdomains of eight labels and more: the questions stay within the book. */
static void
test_many_signatures(void **state)
{
	static struct dmarc_dkim dkim[100];
	static struct dns_answer answer;
	struct arena *a = arena_new(0);
	struct dns_book *book = dns_book_new(a);
	struct span from = SPAN_LIT("u@example.com");
	struct dmarc_request q = { .from = &from, .nfrom = 1, .dkim = dkim, .ndkim = 100,
		.discovery = DMARC_TREE_WALK };
	struct dns_question question;
	struct dmarc *d;

	for (size_t i = 0; i < 100; i++)
		dkim[i] = (struct dmarc_dkim){ AUTH_PASS, span_str(arena_printf(a,
		    "a.b%zu.c%zu.d%zu.e%zu.f%zu.g%zu.example.com", i, i, i, i, i, i)) };
	d = dmarc_new(a, book, &q);
	while (!dmarc_step(d)) {
		assert_true(dns_book_next(book, &question));
		answer = (struct dns_answer){ .status = DNS_NXDOMAIN };
		if (strcmp(question.name, "_dmarc.example.com") == 0) {
			answer.status = DNS_OK;
			answer.n = 1;
			answer.records[0].size = (uint16_t)snprintf(answer.data, sizeof(answer.data),
			    "v=DMARC1; p=reject; psd=n");
		}
		dns_book_answer(book, question.id, &answer);
	}
	assert_int_equal(dmarc_result(d)->result, AUTH_PASS);
	assert_true(dns_book_count(book) <= 2 + DMARC_SIGNATURES_MAX * (DMARC_WALK_MAX - 2));
	arena_free(&a);
}

static void
test_organisations(void **state)
{
	static const char *const want[][2] = {
		{ "example.com", "example.com" }, { "a.b.example.com", "example.com" },
		{ "example.co.uk", "example.co.uk" }, { "x.example.co.uk", "example.co.uk" },
		{ "co.uk", "co.uk" }, { "com", "com" }, { "a.com", "a.com" }, { "b.a.com", "a.com" },
		{ "x.y.nosuchtoplabel", "y.nosuchtoplabel" }, { "foo.github.io", "foo.github.io" },
		{ "www.ck", "www.ck" }, { "a.b.ck", "a.b.ck" },		/* *.ck, !www.ck */
	};

	for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++) {
		struct span got = dmarc_psl_organisation(suite.psl, span_str(want[i][0]));

		if (!span_is(got, want[i][1]))
			fail_msg("%s: " SPAN_FMT, want[i][0], SPAN_ARG(got));
	}
}

static void
test_no_list(void **state)
{
	struct err err;

	assert_null(dmarc_psl_new("/nowhere/list.dafsa", &err));
	assert_non_null(strstr(err.text, "/nowhere/list.dafsa"));
}

/* A megabyte of addresses, or of brackets: read once, and refused. */
static void
test_huge_from(void **state)
{
	static const char *const pieces[] = { "a@b1.example,", "(", "<", "\"", "@", ":", "a@", "\\" };
	struct arena *a = arena_new(0);
	size_t size = 1 << 20, n;
	char *p = arena_alloc(a, size);
	struct span out[DMARC_DOMAINS_MAX], field;
	const char *problem;
	bool too_many;

	for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
		size_t len = strlen(pieces[i]);

		for (size_t at = 0; at + len <= size; at += len)
			memcpy(p + at, pieces[i], len);
		field = span_make(p, size / len * len);
		assert_int_equal(dmarc_from_domains(a, &field, 1, out, DMARC_DOMAINS_MAX, &n, &too_many, &problem),
		    i == 0);
	}
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_cases_in_another_order),
		cmocka_unit_test(test_time_is_up),
		cmocka_unit_test(test_many_signatures),
		cmocka_unit_test(test_organisations),
		cmocka_unit_test(test_no_list),
		cmocka_unit_test(test_huge_from),
	};

	dmarc_suite_load(&suite, "tests/corpus/dmarc/*.yml");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
