/* test_export.c -- events for log servers: no text ends its field or its line; the signature of webhooks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fetcher/export.h"
#include "ipc/json_read.h"
#include "store/export_format.h"
#include "utf8.h"

static const char *
cef_value(struct buf *b, const char *text, size_t n)
{
	buf_reset(b);
	export_cef_value(b, span_make(text, n));
	buf_put(b, "", 1);
	assert_false(buf_failed(b));
	return buf_data(b).p;
}

/* "Implementing ArcSight CEF": `=` and `\` are escaped in values, ends of lines are \n and \r; a `|` is not. */
static void
cef_values(void **state)
{
	struct buf b;

	buf_init(&b, 1000);
	assert_string_equal(cef_value(&b, "a=b|c\\d", 7), "a\\=b|c\\\\d");
	assert_string_equal(cef_value(&b, "x\r\ny", 4), "x\\r\\ny");
	assert_string_equal(cef_value(&b, "\0\x1b\xff", 3), "\\\\x00\\\\x1B\\\\xFF");
	assert_string_equal(cef_value(&b, "\xc3\xa9\xe2\x80\xae", 5), "\xc3\xa9\\\\xE2\\\\x80\\\\xAE");
	assert_string_equal(cef_value(&b, "", 0), "");
	buf_release(&b);
}

static struct msg_event
hostile(void)
{
	static struct recipient to[1];
	struct msg_event ev = { .kind = EVENT_REFUSED, .id = 61, .time = 1795344099 * INT64_C(1000000) + 123456,
		.has_env = true, .reply = SPAN_LIT("5.7.1 a\nCEF:0|x|y src=1.2.3.4 \xff\x1b") };

	to[0].address = SPAN_LIT("b@x.lab");
	ev.env.sender = SPAN_LIT("\"a\r\n<22>1 - - act=sent\"@x.lab");
	ev.env.recipients = to;
	ev.env.nrecipients = 1;
	return ev;
}

static void
one_line(struct span s)
{
	while (s.n) {
		uint32_t c;
		size_t n = utf8_next(s.p, s.n, &c);

		assert_true(n > 0 && c >= 0x20 && c != 0x7f);
		s = span_from(s, n);
	}
}

static void
messages(void **state)
{
	static const char head[] = "<21>1 2026-11-22T10:41:39.123456Z gw|1.lab postern - refused - ";
	const struct export_about about = { SPAN_LIT("gw|1.lab"), SPAN_LIT("1|2\\3") };
	struct msg_event ev = hostile();
	struct buf b;

	for (enum export_format f = EXPORT_JSON; f <= EXPORT_CEF; f++) {
		struct span s, body;

		buf_init(&b, EXPORT_MESSAGE_MAX);
		export_syslog(&b, &about, f, &ev, 7);
		assert_false(buf_failed(&b));
		s = buf_data(&b);
		one_line(s);
		/* mail (2) * 8 + notice (5) */
		assert_true(span_starts(s, span_str(head)));
		body = span_from(s, sizeof(head) - 1);
		if (f == EXPORT_CEF) {
			assert_true(span_starts(body, SPAN_LIT("CEF:0|Postern|Postern|1\\|2\\\\3|refused|Message refused|4|rt=1795344099123 ")));
			assert_null(memmem(s.p, s.n, " act=sent", 9));
			assert_null(memmem(s.p, s.n, " src=1.2.3.4", 12));
		} else {
			struct err err;
			struct jval *v = jval_parse(body, &err);

			assert_non_null(v);
			if (f == EXPORT_ECS)
				assert_true(span_is(jval_text(v, "event.action"), "refused"));
			jval_free(&v);
		}
		buf_release(&b);
	}
}

/* RFC 4231, test case 2, is HMAC-SHA256("Jefe", "what do ya want for nothing?"): ours has the time, the delivery and
 * the body with dots between, so the vector was computed with openssl dgst -sha256 -hmac Jefe over "7.d-1.{}". */
static void
signature(void **state)
{
	char out[WEBHOOK_SIGNATURE_MAX];

	webhook_sign(out, SPAN_LIT("Jefe"), 7, SPAN_LIT("d-1"), SPAN_LIT("{}"));
	assert_string_equal(out, "t=7,v1=a6ddd5f8bf1b26c86ec171080bc42fa3fddcd1bb1d246fa262957a98965a31c9");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cef_values), cmocka_unit_test(messages), cmocka_unit_test(signature) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
