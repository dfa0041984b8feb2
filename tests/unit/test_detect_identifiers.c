/* test_detect_identifiers.c -- the built-in detectors: what they find, how sure they are, and
 * what must not disturb anybody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "detect/detect.h"
#include "postern/arena.h"

struct sample {
	const char *text;
	size_t n;			/* matches */
	enum confidence confidence;	/* of each of them; NONE: not looked at */
};

static struct detectors *
all_builtins(void)
{
	struct detectors *d = detectors_new();

	for (size_t i = 0; detector_builtin(i, NULL); i++)
		assert_int_equal(detectors_add_builtin(d, span_str(detector_builtin(i, NULL)), NULL), i);
	assert_int_equal(detectors_compile(d, NULL), 0);
	return d;
}

static void
check_samples(const char *name, const struct sample *s, size_t n)
{
	struct detectors *d = all_builtins();
	struct arena *a = arena_new(0);
	int index = detectors_find(d, span_str(name));

	assert_true(index >= 0);
	for (size_t i = 0; i < n; i++) {
		struct detection out;

		detectors_run_text(d, (size_t)index, span_str(s[i].text), a, &out);
		if (out.nmatches != s[i].n)
			fail_msg("%s: \"%s\": %zu matches, want %zu", name, s[i].text, out.nmatches, s[i].n);
		for (size_t k = 0; k < out.nmatches && s[i].confidence; k++)
			if (out.matches[k].confidence != s[i].confidence)
				fail_msg("%s: \"%s\": match %zu has confidence %d, want %d", name, s[i].text, k,
				    out.matches[k].confidence, s[i].confidence);
	}
	arena_free(&a);
	detectors_free(&d);
}
#define CHECK(name, samples) check_samples(name, samples, sizeof(samples) / sizeof(*(samples)))

#define LOW CONFIDENCE_LOW
#define MEDIUM CONFIDENCE_MEDIUM
#define HIGH CONFIDENCE_HIGH

static void
test_payment_card(void **state)
{
	static const struct sample samples[] = {
		/* The networks' published test numbers. */
		{ "4111 1111 1111 1111", 1, MEDIUM },
		{ "4111-1111-1111-1111", 1, MEDIUM },
		{ "4111.1111.1111.1111", 1, MEDIUM },
		{ "4111111111111111", 1, LOW },
		{ "5555 5555 5555 4444", 1, MEDIUM },
		{ "2223 0031 2200 3222", 1, MEDIUM },		/* Mastercard's second range */
		{ "2720 9955 5555 5553", 0, 0 },		/* checksum */
		{ "2220 9955 5555 5559", 0, 0 },		/* below 2221 */
		{ "2721 0000 0000 0004", 0, 0 },		/* above 2720 */
		{ "3782 822463 10005", 1, MEDIUM },		/* American Express */
		{ "378282246310005", 1, LOW },
		{ "6011 1111 1111 1117", 1, MEDIUM },		/* Discover */
		{ "3056 930902 5904", 1, MEDIUM },		/* Diners Club */
		{ "3530 1113 3330 0000", 1, MEDIUM },		/* JCB */
		{ "6205 5000 0000 0000 004", 1, MEDIUM },	/* UnionPay, 19 digits */
		{ "6759649826438453", 1, LOW },			/* Maestro */
		{ "4222222222222", 1, LOW },			/* Visa, 13 digits */
		{ "4111 1111 1111 1112", 0, 0 },
		{ "4444 4444 4444 4444", 0, 0 },
		{ "9111 1111 1111 1111", 0, 0 },
		/* Keywords, in both languages. */
		{ "Visa 4111 1111 1111 1111", 1, HIGH },
		{ "card number: 4111111111111111 exp 12/27", 1, HIGH },
		{ "Num\xc3\xa9ro de carte : 4111111111111111", 1, HIGH },
		{ "CB 4111 1111 1111 1111 12/27 123", 1, HIGH },
		{ "4111 1111 1111 1111 0227 123", 1, MEDIUM },	/* expiry date and code behind it */
		{ "4111111111111111/12/27", 0, 0 },		/* a path, as far as one can tell */
		{ "4111 1111 1111 1111/12/27", 1, MEDIUM },
		/* Other ways of writing. */
		{ "4111\xc2\xa0" "1111\xc2\xa0" "1111\xc2\xa0" "1111", 1, MEDIUM },
		{ "4111 1111\r\n1111 1111", 1, MEDIUM },	/* a broken line */
		{ "4111\n1111\n1111\n1111", 0, 0 },		/* a column */
		{ "4111\t1111\t1111\t1111", 0, 0 },
		{ "4111 1111-1111 1111", 1, LOW },
		{ "41111111 11111111", 1, LOW },
		{ "\xef\xbc\x94\xef\xbc\x91\xef\xbc\x91\xef\xbc\x91 1111 1111 1111", 1, MEDIUM },
		{ "4111\xe2\x80\x8b" "1111\xe2\x80\x8b" "1111\xe2\x80\x8b" "1111", 1, LOW },
		{ "4111\xe2\x80\x91" "1111\xe2\x80\x91" "1111\xe2\x80\x91" "1111", 1, MEDIUM },
		{ "a,4111111111111111,b", 1, LOW },
		{ "\"4111111111111111\";", 1, LOW },
		/* Three different ones are a list of cards; one three times is not. */
		{ "4111111111111111 5555555555554444 378282246310005", 3, MEDIUM },
		{ "4111111111111111 4111111111111111 4111111111111111", 3, LOW },
		{ "4111 1111 1111 1111, 5555 5555 5555 4444, 3782 822463 10005", 3, HIGH },
		{ "4111 1111 1111 1111 5555 5555 5555 4444", 2, MEDIUM },
		/* Pieces of something else. */
		{ "14111111111111111", 0, 0 },
		{ "4111 1111 1111 1111 3111", 0, 0 },
		{ "4111 1111 1111 1111 1111 1111", 0, 0 },
		{ "x4111111111111111", 0, 0 },
		{ "4111111111111111_1", 0, 0 },
		{ "4111111111111111\xc3\xa9", 0, 0 },
		{ "0.4111111111111111", 0, 0 },
		{ "+4111111111111111", 0, 0 },
		{ "4111111111111111@example.org", 0, 0 },
		{ "https://shop.example/p/4111111111111111", 0, 0 },
		{ "https://shop.example/?id=4111111111111111&x=1", 0, 0 },
		{ "see https://shop.example/ 4111 1111 1111 1111", 1, MEDIUM },
		{ "ab12-4111-1111-1111-1111", 0, 0 },
	};

	CHECK("payment-card", samples);
}

static void
test_iban(void **state)
{
	static const struct sample samples[] = {
		/* The registry's examples. */
		{ "GB82 WEST 1234 5698 7654 32", 1, MEDIUM },
		{ "GB82WEST12345698765432", 1, MEDIUM },
		{ "FR14 2004 1010 0505 0001 3M02 606", 1, MEDIUM },
		{ "fr1420041010050500013m02606", 1, MEDIUM },
		{ "fr14 2004 1010 0505 0001 3m02 606", 1, MEDIUM },
		{ "DE89 3704 0044 0532 0130 00", 1, MEDIUM },
		{ "BE68 5390 0754 7034", 1, MEDIUM },
		{ "NO93 8601 1117 947", 1, MEDIUM },
		{ "MT84 MALT 0110 0001 2345 MTLC AST0 01S", 1, MEDIUM },
		{ "CH93 0076 2011 6238 5295 7", 1, MEDIUM },
		{ "IT60 X054 2811 1010 0000 0123 456", 1, MEDIUM },
		{ "ES91 2100 0418 4502 0005 1332", 1, MEDIUM },
		{ "NL91 ABNA 0417 1643 00", 1, MEDIUM },
		{ "PT50 0002 0123 1234 5678 9015 4", 1, MEDIUM },
		{ "LU28 0019 4006 4475 0000", 1, MEDIUM },
		{ "SC18 SSCB 1101 0000 0000 0000 1497 USD", 1, MEDIUM },
		{ "FR14 20041 01005 0500013M026 06", 1, MEDIUM },	/* grouped as a RIB */
		{ "FR14-2004-1010-0505-0001-3M02-606", 1, MEDIUM },
		{ "IBAN:FR1420041010050500013M02606", 1, HIGH },
		{ "Compte bancaire FR14 2004 1010 0505 0001 3M02 606", 1, HIGH },
		{ "fR14 2004 1010 0505 0001 3M02 606", 1, LOW },
		{ "FR14 2004 1010 0505\r\n0001 3M02 606.", 1, MEDIUM },
		{ "\xef\xbc\xa6\xef\xbc\xb2" "14 2004 1010 0505 0001 3M02 606", 1, MEDIUM },
		{ "FR1420041010050500013M02606, GB82WEST12345698765432, DE89370400440532013000", 3, HIGH },
		/* Not one. */
		{ "FR15 2004 1010 0505 0001 3M02 606", 0, 0 },	/* checksum */
		{ "FR14 2004 1010 0505 0001 3M02 60", 0, 0 },	/* too short */
		{ "FR14 2004 1010 0505 0001 3M02 6067", 0, 0 },
		{ "XFR1420041010050500013M02606", 0, 0 },
		{ "FR1420041010050500013M026061", 0, 0 },
		{ "ZZ82WEST12345698765432", 0, 0 },		/* no such country */
		{ "GB82 1234 1234 5698 7654 32", 0, 0 },	/* digits where the bank's letters stand */
		{ "https://x.example/FR1420041010050500013M02606", 0, 0 },
	};

	CHECK("iban", samples);
}

static void
test_fr_nir(void **state)
{
	static const struct sample samples[] = {
		{ "1 84 12 76 451 089 46", 1, MEDIUM },
		{ "184127645108946", 1, MEDIUM },
		{ "1841276451089 46", 1, MEDIUM },
		{ "1.84.12.76.451.089.46", 1, MEDIUM },
		{ "1 84 12 76 451 089 / 46", 1, MEDIUM },
		{ "2 84 12 2A 004 001 95", 1, MEDIUM },		/* Corsica */
		{ "284122a00400195", 1, MEDIUM },
		{ "2 90 02 2B 033 025 35", 1, MEDIUM },
		{ "155201305512310", 1, LOW },			/* month 20: not known */
		{ "1 55 20 13 055 123 10", 1, MEDIUM },
		{ "784127645108937", 1, LOW },			/* a provisional number */
		{ "Patient 1 84 12 76 451 089 46", 1, HIGH },
		{ "N\xc2\xb0 de s\xc3\xa9" "curit\xc3\xa9 sociale : 184127645108946", 1, HIGH },
		{ "N\xc2\xb0 s\xc3\xa9" "cu 184127645108946", 1, HIGH },
		{ "1 84 12 76 451 089 47", 0, 0 },		/* key */
		{ "1 84 13 76 451 089 46", 0, 0 },		/* month */
		{ "1 84 12 00 451 089 46", 0, 0 },
		{ "5 84 12 76 451 089 46", 0, 0 },
		{ "18 41 27 64 51 08 946", 0, 0 },		/* cut elsewhere */
		{ "1841276451089", 0, 0 },			/* without its key */
		{ "1841276451089461", 0, 0 },
		{ "20240131123000 46", 0, 0 },
	};

	CHECK("fr-nir", samples);
}

/* Every month that is allowed, and the published rule of the key. */
static void
test_fr_nir_months(void **state)
{
	struct detectors *d = all_builtins();
	struct arena *a = arena_new(0);
	size_t nir = (size_t)detectors_find(d, SPAN_LIT("fr-nir"));

	for (unsigned month = 0; month < 100; month++) {
		uint64_t n = UINT64_C(1840076451089) + UINT64_C(100000000) * month;
		bool allowed = (month >= 1 && month <= 12) || month == 20 ||
		    (month >= 30 && month <= 42) || month >= 50;
		struct detection out;

		detectors_run_text(d, nir, span_str(arena_printf(a, "%llu%02llu", (unsigned long long)n,
		    (unsigned long long)(97 - n % 97))), a, &out);
		assert_int_equal(out.nmatches, allowed);
	}
	arena_free(&a);
	detectors_free(&d);
}

/* Numbers of daily life: none of them may reach medium with any built-in. */
static void
test_hard_negatives(void **state)
{
	static const char *const texts[] = {
		"2024-01-31T12:30:00.123456Z 20240131123000123 1706704200123 1706704200123456",
		"550e8400-e29b-41d4-a716-446655440000 12345678-1234-1234-1234-123456789012",
		"+33 1 84 12 76 45 10, 01 84 12 76 45, +44 20 7946 0958, (415) 555-2671, 06.12.34.56.78",
		"d41d8cd98f00b204e9800998ecf8427e e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"commit 4111111111111111aaaabbbbccccdddd00001111",
		"Commande 2024-000123456, order #100234567890123, colis 6A12345678901, suivi LA123456789FR",
		"Invoice 4000123412341234 total 1 234 567,89 EUR, TVA 20,00, 3 412 555.12",
		"1999 2000 2001 2002 2003 2004 2005 2006 2007 2008",
		"10.0.0.1 192.168.100.200 2001:db8::1 00:1b:44:11:3a:b7 3.14159265358979323846",
		"https://tracking.example/t/4111111111111111/1841276451089/GB82WEST12345698765432",
		"ISBN 978-2-07-036822-8, EAN 3017620422003, GTIN 04006381333931",
		"48.858370, 2.294481; 4.8583701234567 N",
		"0123456789 0123456789 0123456789 0123456789",
		"Content-ID: <part1.06090408.01060107@example.org> boundary=----=_Part_1234_5678.1234567890123",
		"Lot 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25",
		"SN-4532-0151-1283-0366-7 XK-4111-1111-1111-1111-Q",
		"Réf. 184127645108947 / 284127645108946 dossier 1841276451089",
		"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoxMjM0NTY3ODkwYWJjZGVmZ2hpamtsbW5vcA==",
	};
	struct detectors *d = all_builtins();
	struct arena *a = arena_new(0);

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		for (size_t k = 0; k < detectors_count(d); k++) {
			struct detection out;

			detectors_run_text(d, k, span_str(texts[i]), a, &out);
			for (size_t m = 0; m < out.nmatches; m++)
				if (out.matches[m].confidence >= MEDIUM)
					fail_msg("" SPAN_FMT " in \"%s\": " SPAN_FMT,
					    SPAN_ARG(detectors_id(d, k)), texts[i],
					    SPAN_ARG(out.matches[m].masked));
		}
	arena_free(&a);
	detectors_free(&d);
}

/* A list of other numbers, a tenth of which passes Luhn by chance, is no list of cards. */
static void
test_list_of_others(void **state)
{
	struct detectors *d = all_builtins();
	struct arena *a = arena_new(0);
	size_t card = (size_t)detectors_find(d, SPAN_LIT("payment-card"));
	char *text = arena_alloc(a, 1000 * 20 + 1);
	struct detection out;

	for (unsigned i = 0; i < 1000; i++)
		sprintf(text + i * 18, "4532%012u;\n", i * 7919);
	detectors_run_text(d, card, span_str(text), a, &out);
	assert_true(out.nmatches > 50);
	for (size_t i = 0; i < out.nmatches; i++)
		assert_int_equal(out.matches[i].confidence, LOW);
	arena_free(&a);
	detectors_free(&d);
}

/* The evidence shows where and what kind, and never the number. */
static void
test_evidence(void **state)
{
	static const struct {
		const char *name, *text, *masked;
		size_t from, to;
	} cases[] = {
		{ "payment-card", "pay 4111 1111 1111 1111.",
		    "\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2 \xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2 "
		    "\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2 1111", 4, 23 },
		{ "fr-nir", "1 84 12 76 451 089 46",
		    "\xe2\x80\xa2 \xe2\x80\xa2\xe2\x80\xa2 \xe2\x80\xa2\xe2\x80\xa2 \xe2\x80\xa2\xe2\x80\xa2 "
		    "\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2 \xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2 46", 0, 21 },
		{ "iban", "(BE68 5390 0754 7034)",
		    "\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2 \xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2 "
		    "\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2 7034", 1, 20 },
	};
	struct detectors *d = all_builtins();
	struct arena *a = arena_new(0);
	struct detection one, other;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		detectors_run_text(d, (size_t)detectors_find(d, span_str(cases[i].name)),
		    span_str(cases[i].text), a, &one);
		assert_int_equal(one.nmatches, 1);
		assert_int_equal(one.matches[0].place.from, cases[i].from);
		assert_int_equal(one.matches[0].place.to, cases[i].to);
		if (!span_is(one.matches[0].masked, cases[i].masked))
			fail_msg("" SPAN_FMT, SPAN_ARG(one.matches[0].masked));
	}
	/* However it is written, the value is the same. */
	detectors_run_text(d, (size_t)detectors_find(d, SPAN_LIT("iban")),
	    SPAN_LIT("be68539007547034 BE68 5390 0754 7034"), a, &one);
	assert_int_equal(one.nmatches, 2);
	assert_true(one.matches[0].value == one.matches[1].value);
	detectors_run_text(d, (size_t)detectors_find(d, SPAN_LIT("payment-card")),
	    SPAN_LIT("FR76 3000 6000 0112 3456 7890 189"), a, &other);
	assert_int_equal(other.nmatches, 0);
	arena_free(&a);
	detectors_free(&d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_payment_card),
		cmocka_unit_test(test_iban),
		cmocka_unit_test(test_fr_nir),
		cmocka_unit_test(test_fr_nir_months),
		cmocka_unit_test(test_hard_negatives),
		cmocka_unit_test(test_list_of_others),
		cmocka_unit_test(test_evidence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
