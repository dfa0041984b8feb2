/* test_spf.c -- the strict engine over the cases of tests/corpus/spf, and what cases cannot say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "spf_cases.h"
#include "verifier/spf_record.h"

static struct spf_suite suite;

static bool
contains(struct span s, struct span part)
{
	return part.n == 0 || (s.n && memmem(s.p, s.n, part.p, part.n) != NULL);
}

static bool
is_wanted(const struct spf_case *c, const struct spf_result *r)
{
	struct span got = span_str(auth_result_name(r->result));
	struct span by = r->npath ? r->path[r->npath - 1].term : SPAN_LIT("");

	return (span_eq(got, c->want) || span_eq(got, c->or_want)) &&
	    (c->explanation.p == NULL || span_eq_nocase(r->explanation, c->explanation)) &&
	    (c->by.p == NULL || span_eq(by, c->by)) &&
	    (c->problem.p == NULL || contains(r->problem, c->problem));
}

static void
run_all(bool serial, int order)
{
	unsigned wrong = 0;

	for (size_t i = 0; i < suite.n; i++) {
		const struct spf_case *c = &suite.cases[i];
		struct arena *a = arena_new(1 << 16);
		const struct spf_result *r = spf_case_run(a, c, SPF_STRICT, serial, order, NULL);

		if (!is_wanted(c, r)) {
			wrong++;
			print_error(SPAN_FMT " (RFC 7208, " SPAN_FMT "): " SPAN_FMT ", not %s; " SPAN_FMT "\n"
			    "    explanation `" SPAN_FMT "`, decided by `" SPAN_FMT "`, problem `" SPAN_FMT "`\n",
			    SPAN_ARG(c->id), SPAN_ARG(c->rfc), SPAN_ARG(c->want), auth_result_name(r->result),
			    SPAN_ARG(c->why), SPAN_ARG(r->explanation),
			    SPAN_ARG(r->npath ? r->path[r->npath - 1].term : SPAN_LIT("")),
			    SPAN_ARG(r->problem));
		}
		assert_true(r->terms <= SPF_TERMS_MAX && r->voids <= SPF_VOID_MAX);
		assert_true(r->explanation.n <= SPF_EXPLANATION_MAX);
		arena_free(&a);
	}
	assert_int_equal(wrong, 0);
}

static void
test_conformance(void **state)
{
	run_all(true, 0);
}

/* Asking ahead, and answers in another order, change no result. */
static void
test_asking_ahead(void **state)
{
	run_all(false, 0);
	run_all(false, 1);
	run_all(true, 1);
}

static void
test_enough_cases(void **state)
{
	assert_true(suite.n >= 203);
	for (size_t i = 0; i < suite.n; i++)
		for (size_t k = 0; k < i; k++)
			assert_false(span_eq(suite.cases[i].id, suite.cases[k].id));
}

/* A domain whose record is given; everything else as a case would have it. */
static struct spf_case
case_of(struct span record)
{
	struct spf_case c = { .id = SPAN_LIT("-"), .spf = record };

	c.request = (struct spf_request){ .ip = { .family = 4, .b = { 192, 0, 2, 1 } },
		.helo = SPAN_LIT("mail.example.com"), .mail_from = SPAN_LIT("user@example.com"), .now = SPF_NOW,
		.explain = true };
	return c;
}

static struct span
padded(struct arena *a, const char *head, size_t n)
{
	char *p = arena_alloc(a, n);

	memset(p, 'x', n);
	memcpy(p, head, strlen(head));
	return span_make(p, n);
}

static void
test_sizes(void **state)
{
	struct arena *a = arena_new(0);
	struct spf_case c = case_of(padded(a, "v=spf1 ip4:192.0.2.1 -all note=", SPF_RECORD_MAX));
	const struct spf_result *r = spf_case_run(a, &c, SPF_STRICT, true, 0, NULL);

	assert_int_equal(r->result, AUTH_PASS);
	c = case_of(padded(a, "v=spf1 ip4:192.0.2.1 -all note=", SPF_RECORD_MAX + 1));
	r = spf_case_run(a, &c, SPF_STRICT, true, 0, NULL);
	assert_int_equal(r->result, AUTH_PERMERROR);
	assert_true(contains(r->problem, SPAN_LIT("more than 8000 bytes")));
	/* the sender */
	c = case_of(SPAN_LIT("v=spf1 -all"));
	c.request.mail_from = padded(a, "a@b.example.", SPF_SENDER_MAX + 1);
	r = spf_case_run(a, &c, SPF_STRICT, true, 0, NULL);
	assert_int_equal(r->result, AUTH_NONE);
	assert_true(contains(r->problem, SPAN_LIT("longer than 1024")));
	arena_free(&a);
}

/* 1,000 bytes of local part, each escaped to three, again and again: bounded, and an error. */
static void
test_macros_are_bounded(void **state)
{
	struct arena *a = arena_new(0);
	struct spf_case c = case_of(SPAN_LIT("v=spf1 exists:%{L}%{L}.example -all"));
	char *local = arena_alloc(a, 1000);
	const struct spf_result *r;

	memset(local, '!', 1000);
	memcpy(local + 900, "@example.com", 12);
	c.request.mail_from = span_make(local, 912);
	r = spf_case_run(a, &c, SPF_STRICT, true, 0, NULL);
	assert_int_equal(r->result, AUTH_PERMERROR);
	assert_true(contains(r->problem, SPAN_LIT("macros")));
	c.spf = SPAN_LIT("v=spf1 exists:%{L}.example -all");
	r = spf_case_run(a, &c, SPF_STRICT, true, 0, NULL);
	assert_int_equal(r->result, AUTH_FAIL);		/* 2,700 bytes of one label: no name */
	arena_free(&a);
}

static void
test_time_is_up(void **state)
{
	struct arena *a = arena_new(0);
	struct dns_book *book = dns_book_new(a);
	struct spf_case c = case_of(SPAN_LIT("v=spf1 a -all"));
	struct dns_question q;
	struct spf *s = spf_new(a, book, &c.request);

	assert_false(spf_step(s));
	assert_true(dns_book_next(book, &q));
	assert_string_equal(q.name, "example.com");
	assert_int_equal(q.type, DNS_TXT);
	assert_false(dns_book_next(book, &q));
	assert_false(spf_step(s));
	spf_abort(s);
	assert_true(spf_step(s));
	assert_int_equal(spf_result(s)->result, AUTH_TEMPERROR);
	assert_true(contains(spf_result(s)->problem, SPAN_LIT("in time")));
	arena_free(&a);
}

/* While the explanation is awaited the result stands: time being up only takes the explanation. */
static void
test_time_is_up_while_explaining(void **state)
{
	static struct dns_answer answer;
	struct arena *a = arena_new(0);
	struct dns_book *book = dns_book_new(a);
	struct spf_case c = case_of(SPAN_LIT("v=spf1 -all exp=x.example"));
	struct dns_question q;
	struct spf *s = spf_new(a, book, &c.request);

	assert_false(spf_step(s));
	assert_true(dns_book_next(book, &q));
	spf_case_answer(a, &c, span_str(q.name), q.type, &answer);
	dns_book_answer(book, q.id, &answer);
	assert_false(spf_step(s));
	assert_true(dns_book_next(book, &q));
	assert_string_equal(q.name, "x.example");
	spf_abort(s);
	assert_int_equal(spf_result(s)->result, AUTH_FAIL);
	assert_int_equal(spf_result(s)->explanation.n, 0);
	arena_free(&a);
}

/* With three includes the first waits, and the other two are asked for meanwhile; none serially. */
static void
test_questions_leave_together(void **state)
{
	static struct dns_answer answer;
	struct spf_case c = case_of(SPAN_LIT("v=spf1 include:a.example include:b.example mx:c.example "
	    "exists:d.example include:%{d}.e.example -all include:f.example"));

	for (int serial = 0; serial < 2; serial++) {
		struct arena *a = arena_new(0);
		struct dns_book *book = dns_book_new(a);
		struct dns_question q;
		struct spf *s;
		unsigned n = 0;

		c.request.serial = serial == 1;
		s = spf_new(a, book, &c.request);
		assert_false(spf_step(s));
		assert_true(dns_book_next(book, &q));
		spf_case_answer(a, &c, span_str(q.name), q.type, &answer);
		dns_book_answer(book, q.id, &answer);
		assert_false(spf_step(s));
		while (dns_book_next(book, &q))
			n++;
		/* not exists, not a name made of macros, nothing behind all */
		assert_int_equal(n, serial ? 1 : 3);
		assert_string_equal(q.name, serial ? "a.example" : "c.example");
		arena_free(&a);
	}
}

static void
test_where_it_was_decided(void **state)
{
	struct arena *a = arena_new(0);

	for (size_t i = 0; i < suite.n; i++) {
		const struct spf_result *r;

		if (!span_is(suite.cases[i].id, "include-nested"))
			continue;
		r = spf_case_run(a, &suite.cases[i], SPF_STRICT, true, 0, NULL);
		assert_int_equal(r->npath, 4);
		assert_true(span_is(r->path[0].domain, "example.com"));
		assert_true(span_is(r->path[0].term, "include:one.example"));
		assert_true(span_is(r->path[1].domain, "one.example"));
		assert_true(span_is(r->path[3].domain, "p.example"));
		assert_true(span_is(r->path[3].term, "ip4:192.0.2.1"));
		assert_true(span_is(r->record_domain, "example.com"));
		assert_true(span_is(r->record, "v=spf1 include:one.example -all"));
		arena_free(&a);
		return;
	}
	fail_msg("the case is gone");
}

/* What is asked for nothing is bounded, and a full book fails instead of growing. */
static void
test_book(void **state)
{
	struct arena *a = arena_new(0);
	struct dns_book *b = dns_book_new(a);
	struct dns_answer answer = { .status = DNS_OK, .n = 1 };
	const struct dns_reply *r;
	struct dns_question q;
	char name[32];

	assert_null(dns_book_ask(b, SPAN_LIT("A.Example"), DNS_A));
	assert_null(dns_book_ask(b, SPAN_LIT("a.example."), DNS_A));	/* the same one */
	assert_null(dns_book_ask(b, SPAN_LIT("a.example"), DNS_AAAA));
	assert_int_equal(dns_book_count(b), 2);
	assert_true(dns_book_next(b, &q));
	assert_string_equal(q.name, "a.example");
	dns_book_answer(b, q.id, &answer);
	r = dns_book_ask(b, SPAN_LIT("a.EXAMPLE"), DNS_A);
	assert_non_null(r);
	assert_int_equal(r->n, 1);
	assert_int_equal(dns_book_ask(b, SPAN_LIT("a..example"), DNS_A)->status, DNS_NXDOMAIN);
	assert_int_equal(dns_book_ask(b, SPAN_LIT("back\\slash.example"), DNS_A)->status, DNS_NXDOMAIN);
	assert_int_equal(dns_book_ask(b, SPAN_LIT(""), DNS_A)->status, DNS_NXDOMAIN);
	for (unsigned i = 2; i < DNS_BOOK_MAX; i++) {
		snprintf(name, sizeof(name), "n%u.example", i);
		assert_null(dns_book_ask(b, span_str(name), DNS_A));
	}
	r = dns_book_ask(b, SPAN_LIT("one-more.example"), DNS_A);
	assert_non_null(r);
	assert_int_equal(r->status, DNS_SERVFAIL);
	assert_int_equal(dns_book_count(b), DNS_BOOK_MAX);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conformance),
		cmocka_unit_test(test_asking_ahead),
		cmocka_unit_test(test_enough_cases),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_macros_are_bounded),
		cmocka_unit_test(test_time_is_up),
		cmocka_unit_test(test_time_is_up_while_explaining),
		cmocka_unit_test(test_questions_leave_together),
		cmocka_unit_test(test_where_it_was_decided),
		cmocka_unit_test(test_book),
	};

	spf_suite_load(&suite, "tests/corpus/spf/*.yml");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
