/* test_tlsrpt.c -- TLS reports (RFC 8460): the record that asks for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store/tlsrpt_record.h"

static void
test_record(void **state)
{
	static const struct { const char *txt; int n; const char *first; } rows[] = {
		{ "v=TLSRPTv1;rua=mailto:reports@example.com", 1, "mailto:reports@example.com" },
		{ "v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt", 1,
		    "https://reporting.example.com/v1/tlsrpt" },
		{ "v=TLSRPTv1; rua=mailto:a@b.example , https://c.example/;", 2, "mailto:a@b.example" },
		{ "v=TLSRPTv1; rua=ftp://a.example/,mailto:a@b.example", 1, "mailto:a@b.example" },
		{ "v=TLSRPTv1; rua=http://a.example/", 0, NULL },
		{ "v=TLSRPTv1; x=y; rua=mailto:a@b.example;", 1, "mailto:a@b.example" },
		{ "v=TLSRPTv1; rua=mailto:a@b.example; rua=mailto:c@d.example", -1, NULL },
		{ "v=TLSRPTv1; rua=", -1, NULL },
		{ "v=TLSRPTv1; rua=mailto:a b@c.example", -1, NULL },
		{ "v=TLSRPTv1; rua=mailto:a@b.example,,", -1, NULL },
		{ "v=TLSRPTv1;", -1, NULL },
		{ "v=TLSRPTv1", -1, NULL },
		{ "v=TLSRPTv2; rua=mailto:a@b.example", -1, NULL },
		{ "v=spf1 -all", -1, NULL },
	};
	struct span uris[TLSRPT_URIS_MAX];
	size_t n;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool ok = tlsrpt_record_parse(span_str(rows[i].txt), uris, &n);

		if (ok != (rows[i].n >= 0) || (ok && (int)n != rows[i].n))
			fail_msg("`%s`: %d, %zu", rows[i].txt, ok, n);
		if (ok && n)
			assert_true(span_is(uris[0], rows[i].first));
	}
	assert_true(tlsrpt_record_parse(SPAN_LIT("v=TLSRPTv1;rua=mailto:a@b,mailto:a@b,mailto:a@b,mailto:a@b,"
	    "mailto:a@b,mailto:a@b,mailto:a@b,mailto:a@b,mailto:a@b,mailto:a@b"), uris, &n));
	assert_int_equal(n, TLSRPT_URIS_MAX);
}

static void
test_address(void **state)
{
	static const struct { const char *uri, *address; } rows[] = {
		{ "mailto:reports@example.com", "reports@example.com" },
		{ "MAILTO:a%2Bb@example.com?subject=x%0d%0ay", "a+b@example.com" },
		{ "mailto:a@example.com%0d%0aRCPT", NULL },
		{ "mailto:a%00@example.com", NULL },
		{ "mailto:a%3E@example.com", NULL },
		{ "mailto:a,b@example.com", NULL },
		{ "mailto:a%2cb@example.com", NULL },
		{ "mailto:a@b@example.com", NULL },
		{ "mailto:a%4@example.com", NULL },
		{ "mailto:a%", NULL },
		{ "mailto:example.com", NULL },
		{ "mailto:@example.com", NULL },
		{ "mailto:", NULL },
		{ "https://a@b/", NULL },
	};
	char out[TLSRPT_ADDRESS_MAX];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool ok = tlsrpt_uri_address(span_str(rows[i].uri), out);

		if (ok != (rows[i].address != NULL))
			fail_msg("%s is %s", rows[i].uri, ok ? "taken" : "refused");
		if (ok && rows[i].address)
			assert_string_equal(out, rows[i].address);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
