/* test_lookalike_host.c -- hosts that people take for others, and real ones that nobody does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "anatomy/url.h"
#include "detect/lookalike_host.h"

static struct confusables *confusables;
static struct arena *arena;

static int
setup(void **state)
{
	confusables = confusables_open();
	arena = arena_new(0);
	return confusables ? 0 : -1;
}

static int
teardown(void **state)
{
	confusables_close(&confusables);
	arena_free(&arena);
	return 0;
}

static struct lookalikes *
names(const char *const *v)
{
	struct lookalikes *l = lookalikes_new(confusables);

	for (; *v; v++)
		assert_true(lookalikes_add(l, span_str(*v)));
	return l;
}

/* host: as people write it. */
static bool
is_alike(const struct lookalikes *l, const char *host, struct span *name, const char **why)
{
	char normal[HOST_MAX];
	unsigned tricks = 0;
	size_t n = host_normalise(arena, span_str(host), normal, &tricks);

	if (n == 0)
		fail_msg("%s is no host", host);
	return lookalikes_find(l, span_make(normal, n), name, why);
}

static void
test_alike(void **state)
{
	static const char *const list[] = { "paypal.com", "bank.example", "example.org", "arnazon.example",
		"microsoft.com", "credit-agricole.fr", "bbc.co.uk", "impots.gouv.fr", "www.ameli.fr",
		"medical.example", "m\xc3\xbcnchen.example", NULL };
	static const struct {
		const char *host, *of, *why;
	} t[] = {
		/* the same look */
		{ "paypa1.com", "paypal.com", "it looks the same" },
		{ "paypaI.com", "paypal.com", "it looks the same" },	/* lower case: paypai */
		{ "p\xd0\xb0ypal.com", "paypal.com", "it looks the same" },	/* Cyrillic a */
		{ "\xd1\x80\xd0\xb0\xd1\x83\xd1\x80\xd0\xb0l.com", "paypal.com", "it looks the same" },
		{ "p\xc3\xa1ypal.net", "paypal.com", "it looks the same" },	/* an accent */
		{ "rnicrosoft.com", "microsoft.com", "it looks the same" },
		{ "micr0s0ft.com", "microsoft.com", "it looks the same" },
		{ "login.m1crosoft.example", "microsoft.com", "it looks the same" },
		{ "amazon.example", "arnazon.example", "it looks the same" },
		{ "rnedical.test", "medical.example", "it looks the same" },
		{ "meclical.test", "medical.example", "it looks the same" },
		{ "munchen.example", "xn--mnchen-3ya.example", "it looks the same" },
		{ "b\xd0\xb0nk.example", "bank.example", "it looks the same" },
		/* one letter */
		{ "paypall.com", "paypal.com", "one letter differs" },
		{ "pypal.com", "paypal.com", "one letter differs" },
		{ "paypla.com", "paypal.com", "one letter differs" },
		{ "paupal.com", "paypal.com", "one letter differs" },
		{ "pay-pal.com", "paypal.com", "one letter differs" },
		{ "exampel.org", "example.org", "one letter differs" },
		{ "www.microsft.com", "microsoft.com", "one letter differs" },
		{ "impot.gouv.fr", "impots.gouv.fr", "one letter differs" },
		/* something added */
		{ "paypal-login.example", "paypal.com", "something is added to the name" },
		{ "secure-paypal.example", "paypal.com", "something is added to the name" },
		{ "login-paypal-com.example", "paypal.com", "something is added to the name" },
		{ "paypa1-login.example", "paypal.com", "something is added to the name" },
		{ "paypallogin.example", "paypal.com", "something is added to the name" },
		{ "wwwpaypal.com", "paypal.com", "something is added to the name" },
		{ "paypalcom.example", "paypal.com", "something is added to the name" },
		{ "bank-login.test", "bank.example", "something is added to the name" },
		{ "credit-agricole-connexion.test", "credit-agricole.fr", "something is added to the name" },
		{ "ameli-remboursement.test", "www.ameli.fr", "something is added to the name" },
		/* in front of another domain */
		{ "paypal.com.evil.test", "paypal.com", "the name stands in front of another domain" },
		{ "www.paypal.com.evil.test", "paypal.com", "the name stands in front of another domain" },
		{ "paypal.com-verify.evil.test", "paypal.com", "the name stands in front of another domain" },
		{ "bbc.co.uk.evil.test", "bbc.co.uk", "the name stands in front of another domain" },
		/* its own, and others' */
		{ "paypal.com", NULL, NULL }, { "www.paypal.com", NULL, NULL }, { "a.b.bank.example", NULL, NULL },
		{ "amazon.arnazon.example", NULL, NULL }, { "bbc.co.uk", NULL, NULL },
		{ "news.bbc.co.uk", NULL, NULL }, { "ameli.fr", NULL, NULL }, { "assure.ameli.fr", NULL, NULL },
		{ "xn--mnchen-3ya.example", NULL, NULL },
		{ "paypal.fr", NULL, NULL },	/* perhaps its own */
		{ "tank.example", NULL, NULL }, { "bang.example", NULL, NULL }, { "banks.example", NULL, NULL },
		{ "bank-holiday.example", NULL, NULL }, { "embankment.example", NULL, NULL },
		{ "b.example", NULL, NULL }, { "example.test", NULL, NULL }, { "sample.org", NULL, NULL },
		{ "192.0.2.1", NULL, NULL }, { "[2001:db8::1]", NULL, NULL }, { "localhost", NULL, NULL },
		{ "com", NULL, NULL }, { "co.uk", NULL, NULL }, { "compal.com", NULL, NULL },
		{ "dgfip.finances.gouv.fr", NULL, NULL },
	};
	struct lookalikes *l;
	const char *ascii[16];
	size_t k;

	for (k = 0; list[k]; k++) {
		char normal[HOST_MAX];
		unsigned tricks = 0;
		size_t n = host_normalise(arena, span_str(list[k]), normal, &tricks);

		ascii[k] = arena_str(arena, span_make(normal, n));
	}
	ascii[k] = NULL;
	l = names(ascii);
	assert_int_equal(lookalikes_count(l), k);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct span name = { 0 };
		const char *why = NULL;
		bool is = is_alike(l, t[i].host, &name, &why);

		if (is != (t[i].of != NULL) || (is && (!span_is(name, t[i].of) || strcmp(why, t[i].why) != 0)))
			fail_msg("%s: %.*s, %s", t[i].host, SPAN_ARG(name), why ? why : "no look-alike");
	}
	lookalikes_free(&l);
}

static void
test_names(void **state)
{
	struct lookalikes *l = lookalikes_new(confusables);
	struct span name;
	const char *why;

	assert_false(lookalikes_add(l, SPAN_LIT("co.uk")));
	assert_false(lookalikes_add(l, SPAN_LIT("192.0.2.1")));
	assert_false(is_alike(l, "co.uk", &name, &why));
	assert_true(lookalikes_add(l, SPAN_LIT("my.github.io")));
	assert_true(lookalikes_add(l, SPAN_LIT("my.github.io")));
	assert_int_equal(lookalikes_count(l), 1);
	/* Who owns two alike names lists both. */
	assert_true(lookalikes_add(l, SPAN_LIT("paypal.com")));
	assert_true(is_alike(l, "paypal-corp.com", &name, &why));
	assert_true(lookalikes_add(l, SPAN_LIT("paypal-corp.com")));
	assert_false(is_alike(l, "paypal-corp.com", &name, &why));
	assert_false(is_alike(l, "mail.paypal-corp.com", &name, &why));
	lookalikes_free(&l);
}

/* Hosts of companies and services that mail is full of. Written down from memory, none chosen for
 * what the test makes of it. */
static const char *const real[] = {
	"google.com", "youtube.com", "facebook.com", "instagram.com", "twitter.com", "x.com",
	"wikipedia.org", "amazon.com", "amazon.fr", "yahoo.com", "reddit.com", "linkedin.com",
	"netflix.com", "microsoft.com", "office.com", "live.com", "outlook.com", "bing.com", "apple.com",
	"icloud.com", "whatsapp.com", "tiktok.com", "pinterest.com", "ebay.com", "ebay.co.uk", "paypal.com",
	"github.com", "gitlab.com", "bitbucket.org", "stackoverflow.com", "mozilla.org", "debian.org",
	"ubuntu.com", "redhat.com", "kernel.org", "gnu.org", "python.org", "nginx.org", "postgresql.org",
	"sqlite.org", "dropbox.com", "box.com", "zoom.us", "slack.com", "atlassian.com", "trello.com",
	"salesforce.com", "hubspot.com", "mailchimp.com", "sendgrid.net", "mailgun.com", "twilio.com",
	"stripe.com", "adyen.com", "klarna.com", "wise.com", "revolut.com", "chase.com", "citibank.com",
	"wellsfargo.com", "bankofamerica.com", "hsbc.com", "barclays.co.uk", "lloydsbank.com", "natwest.com",
	"santander.com", "bbva.com", "ing.com", "abnamro.nl", "rabobank.nl", "bnpparibas.com",
	"societegenerale.com", "credit-agricole.fr", "creditmutuel.fr", "cic.fr", "caisse-epargne.fr",
	"banquepopulaire.fr", "labanquepostale.fr", "boursorama.com", "lcl.fr", "laposte.fr", "colissimo.fr",
	"chronopost.fr", "ups.com", "fedex.com", "dhl.com", "dpd.com", "gls-group.com", "mondialrelay.fr",
	"orange.fr", "sfr.fr", "free.fr", "bouyguestelecom.fr", "ovh.com", "ovhcloud.com", "gandi.net",
	"scaleway.com", "cloudflare.com", "akamai.com", "fastly.com", "digitalocean.com", "heroku.com",
	"impots.gouv.fr", "ameli.fr", "service-public.fr", "legifrance.gouv.fr", "urssaf.fr", "caf.fr",
	"pole-emploi.fr", "sncf.com", "sncf-connect.com", "ratp.fr", "airfrance.fr", "easyjet.com",
	"ryanair.com", "lufthansa.com", "booking.com", "airbnb.com", "expedia.com", "tripadvisor.com",
	"leboncoin.fr", "cdiscount.com", "fnac.com", "darty.com", "carrefour.fr", "auchan.fr", "leclerc.com",
	"decathlon.fr", "ikea.com", "zalando.fr", "vinted.fr", "lemonde.fr", "lefigaro.fr", "liberation.fr",
	"leparisien.fr", "ouest-france.fr", "bbc.co.uk", "theguardian.com", "nytimes.com",
	"washingtonpost.com", "cnn.com", "reuters.com", "bloomberg.com", "forbes.com", "spotify.com",
	"deezer.com", "soundcloud.com", "twitch.tv", "discord.com", "telegram.org", "signal.org",
	"adobe.com", "oracle.com", "ibm.com", "intel.com", "amd.com", "nvidia.com", "dell.com", "hp.com",
	"lenovo.com", "samsung.com", "sony.com", "huawei.com", "cisco.com", "vmware.com", "sap.com",
	"siemens.com", "airbus.com", "thalesgroup.com", "renault.fr", "peugeot.fr", "bmw.com",
	"mercedes-benz.com", "volkswagen.de", "toyota.com", "nestle.com", "danone.com", "loreal.com",
	"sanofi.com", "pfizer.com", "novartis.com", "roche.com", "bayer.com", "who.int", "un.org", "europa.eu",
	"nasa.gov", "cern.ch", "cnrs.fr", "inria.fr", "mit.edu", "stanford.edu", "ox.ac.uk", "cam.ac.uk",
	"univ-rouen.fr", "criann.fr", "renater.fr", "chu-rouen.fr", "doctolib.fr", "axa.fr", "maif.fr",
	"matmut.fr", "allianz.com", "generali.com", "edf.fr", "engie.fr", "totalenergies.com", "veolia.com",
	"suez.com", "docusign.com", "docusign.net", "wetransfer.com", "swisstransfer.com", "canva.com",
	"notion.so", "figma.com", "shopify.com", "wordpress.com", "wordpress.org", "wix.com", "squarespace.com",
	"godaddy.com", "namecheap.com", "letsencrypt.org", "virustotal.com", "spamhaus.org", "abuseipdb.com",
	/* of the same owners under other names */
	"googleapis.com", "gstatic.com", "googleusercontent.com", "google-analytics.com",
	"googletagmanager.com", "goo.gl", "youtu.be", "fbcdn.net", "facebookmail.com", "amazonaws.com",
	"amazonses.com", "media-amazon.com", "microsoftonline.com", "office365.com", "sharepoint.com",
	"windows.net", "azure.com", "paypalobjects.com", "linkedin-ei.com", "licdn.com", "github.io",
	"githubusercontent.com", "githubassets.com", "icloud-content.com", "mzstatic.com",
	"dropboxusercontent.com", "salesforceliveagent.com", "list-manage.com", "mcusercontent.com",
	"orange-business.com", "laposte.net", "sncf-voyageurs.com", "stripe.network", "shopifycdn.com",
};
#define NREAL (sizeof(real) / sizeof(real[0]))

/* One guarded name after the other against every other real host: false alarms are counted, and each
 * is here. Each belongs to the owner of the name that it is taken for, who would list it beside. */
static void
test_false_alarms(void **state)
{
	static const char *const known[][2] = {
		{ "google.com", "google-analytics.com" }, { "facebook.com", "facebookmail.com" },
		{ "microsoft.com", "microsoftonline.com" }, { "linkedin.com", "linkedin-ei.com" },
		{ "icloud.com", "icloud-content.com" }, { "orange.fr", "orange-business.com" },
		{ "amazon.com", "media-amazon.com" }, { "amazon.fr", "media-amazon.com" },
	};
	size_t alarms = 0, asked = 0, expected = 0;

	for (size_t i = 0; i < NREAL; i++) {
		struct lookalikes *l = lookalikes_new(confusables);

		assert_true(lookalikes_add(l, span_str(real[i])));
		for (size_t k = 0; k < NREAL; k++) {
			struct span name;
			const char *why;
			bool had = false;

			asked += k != i;
			if (k == i || !lookalikes_find(l, span_str(real[k]), &name, &why))
				continue;
			alarms++;
			for (size_t s = 0; s < sizeof(known) / sizeof(known[0]); s++)
				had |= strcmp(known[s][0], real[i]) == 0 && strcmp(known[s][1], real[k]) == 0;
			expected += had;
			if (!had)
				print_error("%s is taken for %s: %s\n", real[k], real[i], why);
		}
		lookalikes_free(&l);
	}
	print_message("%zu false alarms of %zu questions\n", alarms, asked);
	assert_int_equal(alarms, expected);
	assert_int_equal(expected, sizeof(known) / sizeof(known[0]));
}

/* All of them guarded at once, as an organisation that lists its partners would have it. */
static void
test_many_names(void **state)
{
	struct lookalikes *l = lookalikes_new(confusables);
	struct span name;
	const char *why;

	for (size_t i = 0; i < NREAL; i++)
		lookalikes_add(l, span_str(real[i]));
	for (size_t i = 0; i < NREAL; i++)
		assert_false(lookalikes_find(l, span_str(real[i]), &name, &why));
	assert_true(lookalikes_find(l, SPAN_LIT("arnazon.com"), &name, &why));
	assert_true(lookalikes_find(l, SPAN_LIT("docusing.com"), &name, &why));
	assert_true(lookalikes_find(l, SPAN_LIT("ameli-sante.net"), &name, &why));
	lookalikes_free(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alike),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_false_alarms),
		cmocka_unit_test(test_many_names),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
