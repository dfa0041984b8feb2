/* test_smtp_wire.c -- replies and lines; what the receiver reads of a header and writes into it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "addr.h"
#include "clock.h"
#include "receiver/message.h"
#include "receiver/smtp_wire.h"

static void
reply_is(unsigned code, const char *text, const char *want)
{
	struct buf b;

	buf_init(&b, 1 << 16);
	assert_int_equal(wire_reply(&b, code, span_str(text)), 0);
	buf_putc(&b, '\0');
	assert_string_equal(b.p, want);
	buf_release(&b);
}

static void
replies(void **state)
{
	reply_is(250, "ok", "250 ok\r\n");
	reply_is(250, "2.1.0 ok", "250 2.1.0 ok\r\n");
	reply_is(250, "a\nb\nc", "250-a\r\n250-b\r\n250 c\r\n");
	reply_is(550, "5.7.1 one\ntwo", "550-5.7.1 one\r\n550 5.7.1 two\r\n");
	reply_is(250, "", "250 \r\n");
	reply_is(550, "5.7.1", "550 5.7.1 \r\n");
	/* no text forges a reply */
	reply_is(550, "5.7.1 x\r250 ok", "550 5.7.1 x?250 ok\r\n");
	reply_is(550, "5.7.1 \xc3\xa9\t", "550 5.7.1 ???\r\n");
	reply_is(550, "5.7.1234 x", "550 5.7.1234 x\r\n");
	assert_int_equal(wire_enhanced(SPAN_LIT("5.7.1 x")), 5);
	assert_int_equal(wire_enhanced(SPAN_LIT("5.7.133")), 7);
	assert_int_equal(wire_enhanced(SPAN_LIT("3.7.1 x")), 0);
	assert_int_equal(wire_enhanced(SPAN_LIT("5.7.1x")), 0);
	assert_int_equal(wire_enhanced(SPAN_LIT("5..1 x")), 0);
}

/* Long texts go on the next line; no line above 512, nothing lost. */
static void
long_replies(void **state)
{
	for (size_t n = 1; n < 3000; n += 7)
		for (int words = 0; words < 2; words++) {
			char text[3100] = "5.7.1 ";
			struct buf b, joined;
			struct span s;

			for (size_t i = 0; i < n; i++)
				text[6 + i] = words && i % 9 == 8 && i + 1 < n ? ' ' : 'x';
			buf_init(&b, 1 << 16);
			buf_init(&joined, 1 << 16);
			assert_int_equal(wire_reply(&b, 550, span_str(text)), 0);
			buf_puts(&joined, "5.7.1");
			for (s = buf_data(&b); s.n; ) {
				size_t end = span_find(s, '\n') + 1;

				assert_true(end <= 512 && end > 10);
				assert_memory_equal(s.p, end == s.n ? "550 5.7.1 " : "550-5.7.1 ", 10);
				if (words || buf_size(&joined) == 5)
					buf_putc(&joined, ' ');
				buf_put(&joined, s.p + 10, end - 12);
				s = span_from(s, end);
			}
			assert_true(span_is(buf_data(&joined), text));
			buf_release(&b);
			buf_release(&joined);
		}
}

static void
lines(void **state)
{
	struct wire w = { 0 };
	struct span line;
	size_t used;

	assert_int_equal(wire_line(&w, SPAN_LIT("NOOP\r"), &used, &line), WIRE_MORE);
	assert_int_equal(used, 0);
	assert_int_equal(wire_line(&w, SPAN_LIT("NOOP\r\nQUIT"), &used, &line), WIRE_LINE);
	assert_int_equal(used, 6);
	assert_true(span_is(line, "NOOP"));
	assert_int_equal(wire_line(&w, SPAN_LIT("\r\n"), &used, &line), WIRE_LINE);
	assert_int_equal(line.n, 0);
	assert_int_equal(wire_line(&w, SPAN_LIT("a\rb\r\n"), &used, &line), WIRE_BARE);
	assert_int_equal(wire_line(&w, SPAN_LIT("a\nb\r\n"), &used, &line), WIRE_BARE);
}

#define HEADER "Received: a\r\nreceived: b\r\n c: d\r\nX: Received: c\r\nFrom: %s\r\n\r\nReceived: body\r\n"

static void
from_is(const char *value, const char *want)
{
	char text[1024], buf[256];

	snprintf(text, sizeof(text), HEADER, value);
	assert_true(span_is(header_from_domain(span_str(text), buf), want));
	assert_int_equal(header_hops(span_str(text)), 2);
}

static void
headers(void **state)
{
	char buf[256];

	from_is("a@Example.ORG", "example.org");
	from_is("A B <a@b.example>", "b.example");
	from_is("\"x@evil.example\" <a@b.example>", "b.example");
	from_is("(x@evil.example) a@b.example (y@evil.example)", "b.example");
	from_is("\"a\\\"@evil.example\" <a@b.example>", "b.example");
	from_is("x@evil.example <a@b.example>", "b.example");
	from_is("a@b.example, c@evil.example", "b.example");
	from_is("\"a@evil.example\"@b.example", "b.example");
	from_is("<@route.example:a@b.example>", "b.example");
	from_is("A\r\n <a@b.example>", "b.example");
	from_is("a@b.example\r\n\t(folded)", "b.example");
	from_is("nobody", "");
	from_is("a@", "");
	from_is("", "");
	from_is("a@b.example\r\nFrom: c@d.example", "");
	assert_true(span_is(header_from_domain(SPAN_LIT("From: a@b.example"), buf), "b.example"));
	assert_true(span_is(header_from_domain(SPAN_LIT("\r\nFrom: a@b.example"), buf), ""));
	assert_int_equal(header_hops(SPAN_LIT("")), 0);
	assert_int_equal(header_hops(SPAN_LIT("Received: cut in the mid")), 1);
}

static void
received(void **state)
{
	struct arena *a = arena_new(0);
	struct envelope env = { .helo = SPAN_LIT("pc"), .client_name = SPAN_LIT("lab"),
		.flags = ENVELOPE_ESMTP, .received = 0 };
	char date[CLOCK_DATE_MAX], want[512];

	assert_true(ip_parse(SPAN_LIT("2001:db8::1"), &env.client));
	clock_date(0, date);
	snprintf(want, sizeof(want), "Received: from pc (lab [IPv6:2001:db8::1])\r\n"
	    "\tby gw1.example.org (Postern) with ESMTP id 00000000001\r\n"
	    "\tfor <b@example.net>; %s\r\n", date);
	assert_true(span_is(header_received(a, &env, 1, SPAN_LIT("gw1.example.org"), (struct span){ 0 },
	    SPAN_LIT("b@example.net")), want));
	env.flags = 0;
	env.client_name = env.helo = (struct span){ 0 };
	assert_true(ip_parse(SPAN_LIT("192.0.2.1"), &env.client));
	snprintf(want, sizeof(want), "Received: from unknown (unknown [192.0.2.1])\r\n"
	    "\tby gw1.example.org (Postern north-2) with SMTP id 00000000001; %s\r\n", date);
	assert_true(span_is(header_received(a, &env, 1, SPAN_LIT("gw1.example.org"), SPAN_LIT("north-2"),
	    (struct span){ 0 }), want));
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies),
		cmocka_unit_test(long_replies),
		cmocka_unit_test(lines),
		cmocka_unit_test(headers),
		cmocka_unit_test(received),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
