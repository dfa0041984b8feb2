/* test_detect_builtins.c -- each built-in's samples: alone, beside its keyword, in English and in
 * French, and what looks like it and is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "detect/detect.h"
#include "detect/digest.h"
#include "postern/arena.h"

#define NONE CONFIDENCE_NONE
#define LOW CONFIDENCE_LOW
#define MEDIUM CONFIDENCE_MEDIUM
#define HIGH CONFIDENCE_HIGH

static const struct sample {
	const char *name, *text;
	enum confidence best;		/* NONE: nothing is found */
} samples[] = {
	{ "bic", "BNPAFRPPXXX", NONE },
	{ "bic", "BIC : BNPAFRPPXXX", HIGH },
	{ "bic", "SWIFT DEUTDEFF500", HIGH },
	{ "bic", "BIC BNPAFRPP", HIGH },		/* a known bank */
	{ "bic", "BIC QXZWFRPP", MEDIUM },
	{ "bic", "VEUILLEZ NOTER LE CODE SWIFT", NONE },
	{ "bic", "bic bnpafrppxxx", NONE },
	{ "fr-rib", "20041 01005 0500013M026 06", MEDIUM },
	{ "fr-rib", "RIB : 20041 01005 0500013M026 06", HIGH },
	{ "fr-rib", "20041010050500013M02606", LOW },
	{ "fr-rib", "20041 01005 0500013M026 07", NONE },
	{ "us-aba", "111000025", NONE },
	{ "us-aba", "Routing number: 111000025", HIGH },
	{ "us-aba", "Routing number: 111000026", NONE },
	{ "us-aba", "routing 4 items, order 991000025", NONE },
	{ "isin", "US0378331005", LOW },
	{ "isin", "ISIN FR0000131104", HIGH },
	{ "isin", "ISIN FR0000131105", NONE },
	{ "isin", "ISIN ZZ0378331005", NONE },
	{ "bitcoin-address", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", MEDIUM },
	{ "bitcoin-address", "send BTC to 3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy.", HIGH },
	{ "bitcoin-address", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", MEDIUM },
	{ "bitcoin-address", "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0", MEDIUM },
	{ "bitcoin-address", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", NONE },
	{ "bitcoin-address", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5", NONE },

	{ "fr-siren", "732 829 320", NONE },
	{ "fr-siren", "732829320", NONE },
	{ "fr-siren", "SIREN : 732 829 320", HIGH },
	{ "fr-siren", "RCS Paris 732829320", HIGH },
	{ "fr-siren", "SIREN 732829321", NONE },
	{ "fr-siret", "732 829 320 00074", MEDIUM },
	{ "fr-siret", "73282932000074", NONE },
	{ "fr-siret", "N\xc2\xb0 SIRET 73282932000074", HIGH },
	{ "fr-siret", "SIRET 73282932000075", NONE },
	{ "fr-siret", "SIRET 35600000000011", NONE },
	{ "fr-siret", "SIRET 35600000000006", HIGH },	/* La Poste: digits' sum 20 */
	{ "fr-tva", "FR83404833048", MEDIUM },
	{ "fr-tva", "FR 83 404 833 048", MEDIUM },
	{ "fr-tva", "TVA intracommunautaire : FR83404833048", HIGH },
	{ "fr-tva", "VAT no FRK7399859412", HIGH },
	{ "fr-tva", "FR84404833048", NONE },
	{ "fr-tva", "FR1420041010050500013M02606", NONE },
	{ "fr-spi", "30 23 217 600 053", MEDIUM },
	{ "fr-spi", "3023217600053", LOW },
	{ "fr-spi", "Num\xc3\xa9ro fiscal : 3023217600053", HIGH },
	{ "fr-spi", "3023217600054", NONE },
	{ "fr-rpps", "10003456786", NONE },
	{ "fr-rpps", "RPPS 10003456786", HIGH },
	{ "fr-rpps", "RPPS 10003456787", NONE },
	{ "fr-finess", "750712184", NONE },
	{ "fr-finess", "FINESS 750712184", HIGH },
	{ "fr-finess", "FINESS 750712185", NONE },

	{ "uk-nhs", "943 476 5919", LOW },
	{ "uk-nhs", "9434765919", NONE },
	{ "uk-nhs", "NHS number 943 476 5919", HIGH },
	{ "uk-nhs", "NHS number 943 476 5918", NONE },
	{ "uk-nino", "AB123456C", LOW },
	{ "uk-nino", "AB 12 34 56 C", MEDIUM },
	{ "uk-nino", "National Insurance: ab123456c", HIGH },
	{ "uk-nino", "National Insurance: BG123456C", NONE },
	{ "uk-nino", "National Insurance: QQ123456C", NONE },
	{ "us-ssn", "536-90-4399", MEDIUM },
	{ "us-ssn", "536 90 4399", LOW },
	{ "us-ssn", "536904399", NONE },
	{ "us-ssn", "SSN 536-90-4399", HIGH },
	{ "us-ssn", "SSN 536904399", MEDIUM },
	{ "us-ssn", "SSN 000-90-4399 666-12-1234 900-12-1234 536-00-4399", NONE },
	{ "us-itin", "912-90-3456", MEDIUM },
	{ "us-itin", "ITIN: 912-90-3456", HIGH },
	{ "us-itin", "ITIN: 912-89-3456", NONE },
	{ "us-npi", "1234567893", NONE },
	{ "us-npi", "NPI 1234567893", HIGH },
	{ "us-npi", "NPI 1234567894", NONE },
	{ "de-steuer-id", "36 574 261 809", MEDIUM },
	{ "de-steuer-id", "Steuer-ID: 36574261809", HIGH },
	{ "de-steuer-id", "36574261809", LOW },
	{ "de-steuer-id", "36574261890", NONE },
	{ "es-dni", "54362315K", LOW },
	{ "es-dni", "54.362.315-K", MEDIUM },
	{ "es-dni", "DNI 54362315-K", HIGH },
	{ "es-dni", "DNI 54362315Z", NONE },
	{ "es-nie", "X2482300W", LOW },
	{ "es-nie", "NIE: X-2482300-W", HIGH },
	{ "es-nie", "X2482300A", NONE },
	{ "it-codice-fiscale", "RCCMNL83S18D969H", MEDIUM },
	{ "it-codice-fiscale", "Codice fiscale: rccmnl83s18d969h", HIGH },
	{ "it-codice-fiscale", "RCCMNL83S18D969I", NONE },
	{ "be-nn", "85.07.30-033 28", MEDIUM },
	{ "be-nn", "85073003328", LOW },
	{ "be-nn", "Rijksregisternummer 85073003328", HIGH },
	{ "be-nn", "85073003329", NONE },
	{ "nl-bsn", "111222333", NONE },
	{ "nl-bsn", "BSN: 111222333", HIGH },
	{ "nl-bsn", "BSN: 111252333", NONE },
	{ "ch-ahv", "756.9217.0769.85", MEDIUM },
	{ "ch-ahv", "N\xc2\xb0 AVS 7569217076985", HIGH },
	{ "ch-ahv", "756.9217.0769.84", NONE },
	{ "pt-nif", "501964843", NONE },
	{ "pt-nif", "NIF 501 964 843", HIGH },
	{ "pt-nif", "NIF 501964842", NONE },
	{ "pl-pesel", "44051401458", LOW },
	{ "pl-pesel", "PESEL 44051401458", HIGH },
	{ "pl-pesel", "PESEL 44051401459", NONE },
	{ "se-pnr", "880320-0016", MEDIUM },
	{ "se-pnr", "8803200016", NONE },
	{ "se-pnr", "Personnummer 198803200016", HIGH },
	{ "se-pnr", "880320-0018", NONE },
	{ "no-fnr", "151086 95088", MEDIUM },
	{ "no-fnr", "f\xc3\xb8" "dselsnummer 15108695088", HIGH },
	{ "no-fnr", "15108695077", NONE },
	{ "fi-hetu", "131052-308T", MEDIUM },
	{ "fi-hetu", "hetu 131052A308T", HIGH },
	{ "fi-hetu", "131052-308U", NONE },
	{ "fi-hetu", "hetu 131352-308T", NONE },
	{ "dk-cpr", "211062-5629", MEDIUM },
	{ "dk-cpr", "CPR 211062-5629", HIGH },
	{ "dk-cpr", "211062-5628", LOW },
	{ "dk-cpr", "351062-5629", NONE },
	{ "ie-pps", "6433435F", LOW },
	{ "ie-pps", "PPS number 6433435F", HIGH },
	{ "ie-pps", "PPS number 6433435G", NONE },
	{ "ca-sin", "123-456-782", LOW },
	{ "ca-sin", "123456782", NONE },
	{ "ca-sin", "SIN 123 456 782", HIGH },
	{ "ca-sin", "Num\xc3\xa9ro d'assurance sociale 123456782", HIGH },
	{ "ca-sin", "SIN 123 456 783", NONE },
	{ "au-tfn", "123 456 782", NONE },
	{ "au-tfn", "TFN 123 456 782", HIGH },
	{ "au-tfn", "TFN 123 456 783", NONE },
	{ "au-medicare", "2123 45670 1", MEDIUM },
	{ "au-medicare", "Medicare 2123456701", HIGH },
	{ "au-medicare", "2123 45671 1", NONE },
	{ "in-aadhaar", "2341 2341 2346", LOW },
	{ "in-aadhaar", "Aadhaar: 234123412346", HIGH },
	{ "in-aadhaar", "Aadhaar: 234123412347", NONE },
	{ "in-pan", "ACUPA7085R", LOW },
	{ "in-pan", "PAN: ACUPA7085R", HIGH },
	{ "in-pan", "PAN: ACUPA0000R ACUZA7085R", NONE },
	{ "cn-ric", "360426199101010071", MEDIUM },
	{ "cn-ric", "\xe8\xba\xab\xe4\xbb\xbd\xe8\xaf\x81\xe5\x8f\xb7: 360426199101010071", HIGH },
	{ "cn-ric", "360426199101010072", NONE },
	{ "cn-ric", "360426199113010071", NONE },
	{ "br-cpf", "390.533.447-05", MEDIUM },
	{ "br-cpf", "39053344705", LOW },
	{ "br-cpf", "CPF: 390.533.447-05", HIGH },
	{ "br-cpf", "390.533.447-06", NONE },
	{ "br-cpf", "111.111.111-11", NONE },
	{ "kr-rrn", "RRN 850730-1000000", HIGH },
	{ "kr-rrn", "851330-1000000", NONE },
	{ "za-id", "7503305044089", LOW },
	{ "za-id", "ID number: 7503305044089", HIGH },
	{ "za-id", "7503305044088", NONE },
	{ "imei", "49-015420-323751-8", MEDIUM },
	{ "imei", "490154203237518", NONE },
	{ "imei", "IMEI : 490154203237518", HIGH },
	{ "imei", "IMEI : 490154203237517", NONE },
	{ "vin", "1M8GDM9AXKP042788", LOW },
	{ "vin", "VIN 1M8GDM9AXKP042788", HIGH },
	{ "vin", "N\xc2\xb0 de ch\xc3\xa2ssis VF1RFB00X56123456", MEDIUM },
	{ "vin", "1M8GDM9AYKP042788", NONE },
	{ "passport-mrz", "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\r\n"
	    "L898902C36UTO7408122F1204159ZE184226B<<<<<10", HIGH },
	{ "passport-mrz", "L898902C36UTO7408122F1204159ZE184226B<<<<<10", MEDIUM },
	{ "passport-mrz", "Passeport L898902C36UTO7408122F1204159ZE184226B<<<<<10", HIGH },
	{ "passport-mrz", "L898902C36UTO7408122F1204159ZE184226B<<<<<11", NONE },
	{ "passport-mrz", "I<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<\nD231458907UTO7408122F1204159<<<<<<<6", HIGH },
	{ "passport-mrz", "I<UTOD231458907<<<<<<<<<<<<<<<\n7408122F1204159UTO<<<<<<<<<<<6\n"
	    "ERIKSSON<<ANNA<MARIA<<<<<<<<<<", HIGH },

	{ "private-key", "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7bq0f0c4w1VyX9nq3mJ5k2Lr8TzYhUoPs6dG\n"
	    "QeWxRtBvNmCgHjKl1234567890aZ\n-----END RSA PRIVATE KEY-----", HIGH },
	{ "private-key", "-----BEGIN PRIVATE KEY-----", LOW },
	{ "private-key", "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n-----END PUBLIC KEY-----", NONE },
	{ "aws-key", "AKIA" "Z7QXW3NV5RTKD2HL", MEDIUM },
	{ "aws-key", "aws_access_key_id = AKIA" "Z7QXW3NV5RTKD2HL", HIGH },
	{ "aws-key", "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYzT9u3Lq2Gh", HIGH },
	{ "aws-key", "AKIAXXXXXXXXXXXXXXXX xAKIAZ7QXW3NV5RTKD2HL", NONE },
	{ "gcp-key", "AIza" "SyD4f8Gh2Jk9Lm3Np5Qr7St1Uv6Wx0Yz8Ab", MEDIUM },
	{ "gcp-key", "Google API key AIza" "SyD4f8Gh2Jk9Lm3Np5Qr7St1Uv6Wx0Yz8Ab", HIGH },
	{ "gcp-key", "AIzaxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", NONE },
	{ "azure-key", "AccountKey=q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4mrze8BI0VniavN7wEjRWeJABCDEFGHIJKLMNOPQRSTUQ==", HIGH },
	{ "azure-key", "AccountKey=AAAAAAAA", NONE },
	{ "github-token", "gh" "p_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17", HIGH },
	{ "github-token", "gh" "p_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq18", NONE },
	{ "gitlab-token", "glpat-" "x7Kq2Wm9Rt4Yv6Zb1Nc3", MEDIUM },
	{ "gitlab-token", "GitLab token: glpat-" "x7Kq2Wm9Rt4Yv6Zb1Nc3", HIGH },
	{ "gitlab-token", "glpat-xxxxxxxxxxxxxxxxxxxx", NONE },
	{ "slack-token", "xox" "b-123456789012-1234567890123-Ab3dEf6hIj9lMn2pQr5tUv8x", MEDIUM },
	{ "slack-token", "https://hooks.slack.com/services/" "T01ABCDEFG/B02HIJKLMN/q1W2e3R4t5Y6u7I8o9P0a1S2", HIGH },
	{ "slack-token", "xoxb-your-token-here xoxb-000000000000-000000000000-000000000000", NONE },
	{ "stripe-key", "sk_" "live_4eC39HqLyjWDarjtT1zdp7dc", MEDIUM },
	{ "stripe-key", "sk_" "test_4eC39HqLyjWDarjtT1zdp7dc", LOW },
	{ "jwt", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U", MEDIUM },
	{ "jwt", "Authorization: Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0."
	    "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U", HIGH },
	{ "jwt", "eyJxxxxxxxxxxxxxxxxx.eyJxxxxxxxx.xxxxxxxxxxxxxxxx", NONE },
	{ "connection-string", "postgresql://app:s3cr3tPw@db.example.org/main", MEDIUM },
	{ "connection-string", "cha\xc3\xaene de connexion : Server=db;Database=x;User Id=sa;Password=Tr0ub4dor;", HIGH },
	{ "connection-string", "postgresql://app:<password>@db.example.org/main", NONE },
	{ "connection-string", "postgresql://db.example.org/main?user=app", NONE },
	{ "password-in-clear", "Mot de passe : Xk29!pqR", MEDIUM },
	{ "password-in-clear", "login: mdurand, password: Xk29!pqR", HIGH },
	{ "password-in-clear", "password=hunter2x", LOW },
	{ "password-in-clear", "\"password\": \"Xk29!pqR\"", MEDIUM },
	{ "password-in-clear", "MOT DE PASSE est Xk29!pqR", MEDIUM },
	{ "password-in-clear", "Your password is required to continue.", NONE },
	{ "password-in-clear", "mot de passe : ********", NONE },
	{ "password-in-clear", "Password: <your-password1>", NONE },
	{ "password-in-clear", "password: https://reset.example.org/x1Y2", NONE },
	{ "password-in-clear", "mot de passe oubli\xc3\xa9", NONE },
};

static struct detectors *
all_builtins(void)
{
	struct detectors *d = detectors_new();

	for (size_t i = 0; detector_builtin(i, NULL); i++) {
		const char *help = NULL;

		assert_non_null(detector_builtin(i, &help));
		assert_non_null(help);
		assert_int_equal(detectors_add_builtin(d, span_str(detector_builtin(i, NULL)), NULL), i);
	}
	assert_int_equal(detectors_compile(d, NULL), 0);
	return d;
}

static enum confidence
best(const struct detection *out, size_t detector)
{
	enum confidence c = NONE;

	for (size_t i = out->first[detector]; i < out->first[detector + 1]; i++)
		if (out->matches[i].confidence > c)
			c = out->matches[i].confidence;
	return c;
}

static void
test_samples(void **state)
{
	struct detectors *d = all_builtins();
	struct arena *a = arena_new(0);
	unsigned failures = 0;

	for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++) {
		const struct sample *s = &samples[i];
		struct text text = { .s = span_str(s->text) }, folded;
		struct surface surface = { .where = WHERE_BODY, .text = &text, .folded = &folded };
		struct anatomy an = { .surfaces = &surface, .nsurfaces = 1 };
		int index = detectors_find(d, span_str(s->name));
		struct detection alone, all;

		assert_true(index >= 0);
		text_fold(a, &text, &folded);
		detectors_run_text(d, (size_t)index, text.s, a, &alone);
		detectors_run(d, &an, a, &all);
		if (best(&alone, (size_t)index) != s->best) {
			print_error("%s: \"%s\": confidence %d, want %d\n", s->name, s->text,
			    best(&alone, (size_t)index), s->best);
			failures++;
		}
		/* With all the others beside it, the same; but for what a better one claims. */
		assert_int_equal(alone.first[index + 1] - alone.first[index],
		    all.first[index + 1] - all.first[index]);
	}
	arena_free(&a);
	detectors_free(&d);
	assert_int_equal(failures, 0);
}

/* No built-in without a sample that is found, and one that is not. */
static void
test_all_have_samples(void **state)
{
	static const char *const elsewhere[] = { "payment-card", "iban", "fr-nir" };

	for (size_t i = 0; detector_builtin(i, NULL); i++) {
		const char *name = detector_builtin(i, NULL);
		bool yes = false, no = false;

		for (size_t k = 0; k < 3; k++)
			yes = no = yes || strcmp(name, elsewhere[k]) == 0;
		for (size_t k = 0; k < sizeof(samples) / sizeof(*samples); k++)
			if (strcmp(samples[k].name, name) == 0) {
				yes |= samples[k].best > NONE;
				no |= samples[k].best <= LOW;
			}
		if (!yes || !no)
			fail_msg("%s lacks a sample", name);
	}
}

/* Prose in two languages, code, logs: nothing at medium or above. */
static void
test_prose(void **state)
{
	static const char *const texts[] = {
		"Please find attached the minutes of the meeting of 14 March 2026. Your patient file will be "
		"reviewed at 10:30 in room 204; call +44 20 7946 0958 or (415) 555-2671 for details. The security "
		"of your account and password are important to us. Visit https://www.example.com/reset?id=12345678.",
		"Veuillez trouver ci-joint la facture 2026-004512 d'un montant de 12 450,00 EUR TTC, TVA 20 %. Votre "
		"mot de passe expire dans 3 jours. T\xc3\xa9l. 01 44 55 66 77, fax 01.44.55.66.78. Code postal 75001 Paris.",
		"2026-03-14T10:30:00Z INFO request_id=550e8400-e29b-41d4-a716-446655440000 user=mdurand ip=10.0.0.1 "
		"duration=123456 status=200 bytes=1048576 trace=4bf92f3577b34da6a3ce929d0e0e4736",
		"Order #112-1234567-1234567 shipped via 1Z999AA10123456784, tracking 9400110200881234567890, "
		"ISBN 978-3-16-148410-0, EAN 4006381333931, part no AB-1234-CD56, serial C02XK1ABJGH5.",
		"int main(void) { return printf(\"%d\\n\", 0x7fffffff) + 1234567890; } /* commit "
		"9fceb02d0ae598e95dc970b74767f19372d61af8 */ std::uint64_t x = 18446744073709551615ULL;",
		"VEUILLEZ NOTER QUE LE DOCUMENT SERA PUBLIE. ATTENTION: MAINTENANCE PLANIFIEE SERVICE BANCAIRE.",
		"Q1 2025 100 200 300 400 500 600 700 800 900 1000\nQ2 2025 123 456 789 012 345 678 901 234 567\n",
		"DKIM-Signature: v=1; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=dzdVyOfAKCdLXdJOc9G2q8LoXSlEniSb",
		"GPS 48.858370 2.294481, version 10.42.1-1234, MAC 00:1b:44:11:3a:b7, 192.168.100.200, fe80::1ff:fe23:4567:890a",
	};
	struct detectors *d = all_builtins();
	struct arena *a = arena_new(0);

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct text text = { .s = span_str(texts[i]) }, folded;
		struct surface surface = { .where = WHERE_BODY, .text = &text, .folded = &folded };
		struct anatomy an = { .surfaces = &surface, .nsurfaces = 1 };
		struct detection out;

		text_fold(a, &text, &folded);
		detectors_run(d, &an, a, &out);
		assert_false(out.undecided);
		for (size_t m = 0; m < out.nmatches; m++)
			if (out.matches[m].confidence >= MEDIUM)
				fail_msg("" SPAN_FMT " in \"%s\" at %u", SPAN_ARG(detectors_id(d, out.matches[m].detector)),
				    texts[i], out.matches[m].place.from);
	}
	arena_free(&a);
	detectors_free(&d);
}

/* Only the secret is the evidence's place, and nothing of a password is shown. */
static void
test_secret_places(void **state)
{
	struct detectors *d = all_builtins();
	struct arena *a = arena_new(0);
	struct detection out;

	detectors_run_text(d, (size_t)detectors_find(d, SPAN_LIT("password-in-clear")),
	    SPAN_LIT("Mot de passe : Xk29!pqR."), a, &out);
	assert_int_equal(out.nmatches, 1);
	assert_int_equal(out.matches[0].place.from, 15);
	assert_int_equal(out.matches[0].place.to, 23);
	assert_null(memmem(out.matches[0].masked.p, out.matches[0].masked.n, "R", 1));
	detectors_run_text(d, (size_t)detectors_find(d, SPAN_LIT("aws-key")),
	    SPAN_LIT("secret_access_key: wJalrXUtnFEMI/K7MDENG/bPxRfiCYzT9u3Lq2Gh"), a, &out);
	assert_int_equal(out.nmatches, 1);
	assert_int_equal(out.matches[0].place.from, 19);
	arena_free(&a);
	detectors_free(&d);
}

static void
test_digests(void **state)
{
	static const char million[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
	uint8_t h[32], out[16];

	digest_sha256("abc", 3, h);	/* FIPS 180-4, appendix */
	assert_memory_equal(h, "\xba\x78\x16\xbf\x8f\x01\xcf\xea\x41\x41\x40\xde\x5d\xae\x22\x23\xb0\x03\x61\xa3"
	    "\x96\x17\x7a\x9c\xb4\x10\xff\x61\xf2\x00\x15\xad", 32);
	digest_sha256(million, 56, h);
	assert_memory_equal(h, "\x24\x8d\x6a\x61\xd2\x06\x38\xb8\xe5\xc0\x26\x93\x0c\x3e\x60\x39\xa3\x3c\xe4\x59"
	    "\x64\xff\x21\x67\xf6\xec\xed\xd4\x19\xdb\x06\xc1", 32);
	assert_int_equal(digest_crc32("123456789", 9), 0xcbf43926);
	assert_int_equal(digest_base64(SPAN_LIT("Zm9vYmFy"), out, sizeof(out)), 6);
	assert_memory_equal(out, "foobar", 6);
	assert_int_equal(digest_base64(SPAN_LIT("Zm8="), out, sizeof(out)), 2);
	assert_int_equal(digest_base64(SPAN_LIT("_-__"), out, 1), 1);
	assert_int_equal(digest_base64(SPAN_LIT("Z"), out, sizeof(out)), -1);
	assert_int_equal(digest_base64(SPAN_LIT("Zm 9"), out, sizeof(out)), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_all_have_samples),
		cmocka_unit_test(test_prose),
		cmocka_unit_test(test_secret_places),
		cmocka_unit_test(test_digests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
