/* test_callout.c -- what the answer to RCPT says about a mailbox, and what it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "delivery/callout.h"

/* Enhanced codes as RFC 3463 reads them; the last column is what RFC 5321, 4.2.3 and 3463, 3.2-3.8 say
 * the refusal is about. */
static void
test_judge(void **state)
{
	static const struct {
		const char *reply, *dsn;
		enum rcpt_status status;
		enum client_state when;
		bool remote;
		enum rcpt_told told;
	} rows[] = {
		{ "250 2.1.5 ok", "2.1.5", RCPT_SENT, CLIENT_RCPT, true, RCPT_KNOWN },
		{ "550 5.1.1 no such user", "5.1.1", RCPT_FAILED, CLIENT_RCPT, true, RCPT_NO_SUCH },
		{ "550 5.1.10 null MX", "5.1.10", RCPT_FAILED, CLIENT_RCPT, true, RCPT_NO_SUCH },
		{ "553 5.1.3 bad address", "5.1.3", RCPT_FAILED, CLIENT_RCPT, true, RCPT_NO_SUCH },
		{ "550 5.2.1 disabled", "5.2.1", RCPT_FAILED, CLIENT_RCPT, true, RCPT_NO_SUCH },
		{ "552 5.2.2 full", "5.2.2", RCPT_FAILED, CLIENT_RCPT, true, RCPT_DOUBT },
		{ "550 5.2.3 too large", "5.2.3", RCPT_FAILED, CLIENT_RCPT, true, RCPT_DOUBT },
		{ "550 5.4.1 no answer from host", "5.4.1", RCPT_FAILED, CLIENT_RCPT, true, RCPT_DOUBT },
		{ "550 5.7.1 relaying denied", "5.7.1", RCPT_FAILED, CLIENT_RCPT, true, RCPT_DOUBT },
		{ "550 5.7.606 banned", "5.7.606", RCPT_FAILED, CLIENT_RCPT, true, RCPT_DOUBT },
		{ "554 5.5.1 what", "5.5.1", RCPT_FAILED, CLIENT_RCPT, true, RCPT_DOUBT },
		{ "550 who?", "5.0.0", RCPT_FAILED, CLIENT_RCPT, true, RCPT_NO_SUCH },
		{ "551 elsewhere", "5.0.0", RCPT_FAILED, CLIENT_RCPT, true, RCPT_NO_SUCH },
		{ "553 not like this", "5.0.0", RCPT_FAILED, CLIENT_RCPT, true, RCPT_NO_SUCH },
		{ "554 transaction failed", "5.0.0", RCPT_FAILED, CLIENT_RCPT, true, RCPT_DOUBT },
		{ "501 syntax", "5.0.0", RCPT_FAILED, CLIENT_RCPT, true, RCPT_DOUBT },
		{ "450 4.2.1 busy", "4.2.1", RCPT_DEFERRED, CLIENT_RCPT, true, RCPT_DOUBT },
		{ "450 4.1.1 unverified", "4.1.1", RCPT_DEFERRED, CLIENT_RCPT, true, RCPT_DOUBT },
		{ "550 5.1.1 at MAIL", "5.1.1", RCPT_FAILED, CLIENT_MAIL, true, RCPT_DOUBT },
		{ "554 5.1.1 at the greeting", "5.1.1", RCPT_FAILED, CLIENT_GREETING, true, RCPT_DOUBT },
		{ "connect to mx: refused", "4.4.1", RCPT_DEFERRED, CLIENT_GREETING, false, RCPT_DOUBT },
		{ "the directory knows no such address", "5.1.1", RCPT_FAILED, CLIENT_GREETING, false, RCPT_NO_SUCH },
		{ "MX is .", "5.1.10", RCPT_FAILED, CLIENT_GREETING, false, RCPT_DOUBT },
		{ "", "5.0.0", RCPT_FAILED, CLIENT_RCPT, true, RCPT_DOUBT },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct smtp_result r = { .set = true, .status = rows[i].status, .when = rows[i].when,
			.remote = rows[i].remote, .reply = span_str(rows[i].reply) };

		strcpy(r.dsn, rows[i].dsn);
		if (callout_judge(&r) != rows[i].told)
			fail_msg("%s: %d", rows[i].reply, callout_judge(&r));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_judge) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
