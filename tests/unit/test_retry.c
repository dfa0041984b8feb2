/* test_retry.c -- what failed, put into classes by the words that servers really use, and how soon
 * each is tried again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "queue/retry.h"

#define SEC INT64_C(1000000)

static void
classes(void **state)
{
	static const struct {
		enum fail_class cls;
		const char *dsn, *reply;
		enum retry_class want;
	} cases[] = {
		/* Postgrey, milter-greylist, rspamd, OpenBSD spamd */
		{ FAIL_RECIPIENT, "4.2.0", "450 4.2.0 <a@b.example>: Recipient address rejected: "
		    "Greylisted, see http://postgrey.schweikert.ch/help/b.html", RETRY_GREYLISTED },
		{ FAIL_RECIPIENT, "4.7.1", "451 4.7.1 Greylisting in action, please come back in "
		    "00:05:00", RETRY_GREYLISTED },
		{ FAIL_RECIPIENT, "4.7.1", "451 4.7.1 Try again later", RETRY_GREYLISTED },
		{ FAIL_MESSAGE, "4.7.0", "450 4.7.0 Graylisted, try again", RETRY_GREYLISTED },
		/* Dovecot, Exchange, Gmail */
		{ FAIL_RECIPIENT, "4.2.2", "452 4.2.2 <a@b.example> Quota exceeded (mailbox for user "
		    "is full)", RETRY_MAILBOX_FULL },
		{ FAIL_RECIPIENT, "4.3.1", "452 4.3.1 mailbox is full", RETRY_MAILBOX_FULL },
		{ FAIL_MESSAGE, "4.2.2", "", RETRY_MAILBOX_FULL },
		/* Yahoo, Gmail, Postfix */
		{ FAIL_SITE, "4.7.0", "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred "
		    "due to unexpected volume", RETRY_RATE },
		{ FAIL_MESSAGE, "4.7.28", "450-4.7.28 Our system has detected an unusual rate",
		    RETRY_RATE },
		{ FAIL_GREETING, "4.7.0", "421 4.7.0 mx.b.example Error: too many connections",
		    RETRY_RATE },
		{ FAIL_SITE, "4.0.0", "450 busy", RETRY_RATE },
		{ FAIL_DNS, "4.4.3", "no answer", RETRY_DNS },
		{ FAIL_CONNECT, "4.4.1", "connection refused", RETRY_CONNECT },
		{ FAIL_SITE, "4.4.2", "lost connection with mx.b.example", RETRY_CONNECT },
		{ FAIL_GREETING, "5.0.0", "554 no SMTP service here", RETRY_CONNECT },
		{ FAIL_TLS, "4.7.5", "the certificate of host mx is not verified", RETRY_TLS },
		{ FAIL_MESSAGE, "4.7.5", "REQUIRETLS, and no such server", RETRY_TLS },
		{ FAIL_RECIPIENT, "4.2.1", "450 4.2.1 try later", RETRY_DEFAULT },
		{ FAIL_MESSAGE, "4.3.0", "451 4.3.0 queue file write error", RETRY_DEFAULT },
		{ FAIL_LOCAL, "4.3.2", "", RETRY_DEFAULT },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum retry_class c = retry_classify(cases[i].cls, span_str(cases[i].dsn),
		    span_str(cases[i].reply));

		if (c != cases[i].want)
			fail_msg("%s: %s, not %s", cases[i].reply, retry_name(c),
			    retry_name(cases[i].want));
	}
}

static void
pauses(void **state)
{
	static const int64_t few[] = { 60 * SEC, 300 * SEC }, one[] = { 7 * SEC };
	struct retry_curve curves[RETRY_CLASSES] = { [RETRY_DEFAULT] = { few, 2 },
		[RETRY_RATE] = { one, 1 } };

	assert_true(retry_pause(curves, RETRY_DEFAULT, 1) == 60 * SEC);
	assert_true(retry_pause(curves, RETRY_DEFAULT, 2) == 300 * SEC);
	assert_true(retry_pause(curves, RETRY_DEFAULT, 60000) == 300 * SEC);
	assert_true(retry_pause(curves, RETRY_RATE, 9) == 7 * SEC);
	/* A class without a curve takes the default's. */
	assert_true(retry_pause(curves, RETRY_TLS, 2) == 300 * SEC);
	for (int c = 0; c < RETRY_CLASSES; c++) {
		struct retry_curve k = retry_default((enum retry_class)c);

		assert_in_range(k.n, 1, 8);
		for (size_t i = 0; i < k.n; i++) {
			assert_in_range(k.pause[i], 60 * SEC, 8 * 3600 * SEC);
			assert_true(i == 0 || k.pause[i] >= k.pause[i - 1]);
		}
	}
	/* A greylisting server wants five minutes mostly: the first try again must not be too soon. */
	assert_true(retry_default(RETRY_GREYLISTED).pause[0] == 300 * SEC);
}

static void
hints(void **state)
{
	static const struct { const char *reply; int64_t seconds; } cases[] = {
		{ "451 4.7.1 Greylisting in action, please come back in 00:05:00", 300 },
		{ "450 4.2.0 Greylisted for 300 seconds", 300 },
		{ "450 4.7.1 greylisted, retry in 2 minutes", 120 },
		{ "451 greylisted (04:30)", 270 },
		{ "451 greylisted for 1 sec", 30 },		/* not sooner */
		{ "451 greylisted for 99999 minutes", 3600 },	/* not later */
		{ "451 4.7.1 greylisted, see http://192.0.2.1:80/x", 0 },
		{ "451 greylisted for 300", 0 },
		{ "451 greylisted 1:2:3", 0 },
		{ "", 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (retry_hint(span_str(cases[i].reply)) != cases[i].seconds * SEC)
			fail_msg("%s: %lld us", cases[i].reply,
			    (long long)retry_hint(span_str(cases[i].reply)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(classes), cmocka_unit_test(pauses), cmocka_unit_test(hints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
