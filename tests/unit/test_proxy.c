/* test_proxy.c -- who a proxy says its client is: the PROXY header, XCLIENT's arguments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "addr.h"
#include "buf.h"
#include "queue/crc32c.h"
#include "receiver/message.h"
#include "receiver/proxy.h"
#include "receiver/xclient.h"

static enum proxy_status
whole(struct span in, struct proxy_header *h)
{
	enum proxy_status st = proxy_parse(in, h);

	/* However it is cut, nothing is decided before its end, and then the same. */
	for (size_t n = 0; n < in.n && (st == PROXY_CLIENT || st == PROXY_LOCAL); n++) {
		struct proxy_header part;
		enum proxy_status early = proxy_parse(span_sub(in, 0, n), &part);

		assert_int_equal(early, n < h->size ? PROXY_MORE : st);
	}
	return st;
}

static void
version_1(void **state)
{
	static const struct {
		const char *text;
		enum proxy_status st;
		const char *client;
		uint16_t port;
	} cases[] = {
		{ "PROXY TCP4 192.0.2.7 198.51.100.1 40000 25\r\nEHLO x\r\n", PROXY_CLIENT,
		    "192.0.2.7", 40000 },
		{ "PROXY TCP6 2001:db8::7 2001:db8::1 1 65535\r\n", PROXY_CLIENT, "2001:db8::7", 1 },
		{ "PROXY UNKNOWN\r\n", PROXY_LOCAL, NULL, 0 },
		{ "PROXY UNKNOWN ffff:f...f:ffff whatever 1 2\r\n", PROXY_LOCAL, NULL, 0 },
		{ "PROXY TCP4 192.0.2.7 198.51.100.1 40000 25\n", PROXY_BAD, NULL, 0 },
		{ "PROXY TCP4 192.0.2.7 198.51.100.1 40000 65536\r\n", PROXY_BAD, NULL, 0 },
		{ "PROXY TCP4 192.0.2.7 198.51.100.1 040 25\r\n", PROXY_BAD, NULL, 0 },
		{ "PROXY TCP4 192.0.2.7 198.51.100.1 40000\r\n", PROXY_BAD, NULL, 0 },
		{ "PROXY TCP4 192.0.2.7 198.51.100.1 40000 25 \r\n", PROXY_BAD, NULL, 0 },
		{ "PROXY TCP4  192.0.2.7 198.51.100.1 40000 25\r\n", PROXY_BAD, NULL, 0 },
		{ "PROXY TCP4 2001:db8::7 198.51.100.1 40000 25\r\n", PROXY_BAD, NULL, 0 },
		{ "PROXY TCP6 192.0.2.7 198.51.100.1 40000 25\r\n", PROXY_BAD, NULL, 0 },
		{ "PROXY TCP4 192.0.2.300 198.51.100.1 40000 25\r\n", PROXY_BAD, NULL, 0 },
		{ "PROXY UDP4 192.0.2.7 198.51.100.1 40000 25\r\n", PROXY_BAD, NULL, 0 },
		{ "proxy TCP4 192.0.2.7 198.51.100.1 40000 25\r\n", PROXY_BAD, NULL, 0 },
		{ "EHLO client.example\r\n", PROXY_BAD, NULL, 0 },
		{ "PROX", PROXY_MORE, NULL, 0 },
		{ "", PROXY_MORE, NULL, 0 },
	};
	char ip[IP_TEXT_MAX], longest[200];
	struct proxy_header h;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum proxy_status st = whole(span_str(cases[i].text), &h);

		if (st != cases[i].st)
			fail_msg("%s: %d", cases[i].text, (int)st);
		if (st != PROXY_CLIENT)
			continue;
		assert_string_equal(ip_format(h.client, ip), cases[i].client);
		assert_int_equal(h.port, cases[i].port);
		assert_int_equal(h.size, strchr(cases[i].text, '\n') + 1 - cases[i].text);
	}
	/* No line end within what the longest line may have. */
	memset(longest, 'x', sizeof(longest));
	memcpy(longest, "PROXY UNKNOWN ", 14);
	assert_int_equal(proxy_parse(span_make(longest, 106), &h), PROXY_MORE);
	assert_int_equal(proxy_parse(span_make(longest, 107), &h), PROXY_BAD);
}

static const char v2_head[] = "\r\n\r\n\0\r\nQUIT\n";

static void
put_v2(struct buf *b, unsigned char command, unsigned char family, const void *p, size_t n)
{
	buf_reset(b);
	buf_put(b, v2_head, 12);
	buf_putc(b, (char)command);
	buf_putc(b, (char)family);
	buf_putc(b, (char)(n >> 8));
	buf_putc(b, (char)(n & 255));
	buf_put(b, p, n);
}

static void
version_2(void **state)
{
	static const char v4[] = "\xc0\x00\x02\x07\xc6\x33\x64\x01\x9c\x40\x00\x19";
	static const char v6[36] = "\x20\x01\x0d\xb8";
	static const char tlv[] = "\xc0\x00\x02\x07\xc6\x33\x64\x01\x9c\x40\x00\x19\x04\x00\x02zz";
	char crc[12 + 7] = "\xc0\x00\x02\x07\xc6\x33\x64\x01\x9c\x40\x00\x19\x03\x00\x04";
	char ip[IP_TEXT_MAX], big[5000] = { 0 };
	struct proxy_header h;
	struct buf b;
	uint32_t sum;

	buf_init(&b, 1 << 16);
	put_v2(&b, 0x21, 0x11, v4, 12);
	assert_int_equal(whole(buf_data(&b), &h), PROXY_CLIENT);
	assert_string_equal(ip_format(h.client, ip), "192.0.2.7");
	assert_int_equal(h.port, 40000);
	assert_int_equal(h.size, 28);
	put_v2(&b, 0x21, 0x21, v6, 36);
	assert_int_equal(whole(buf_data(&b), &h), PROXY_CLIENT);
	assert_string_equal(ip_format(h.client, ip), "2001:db8::");
	put_v2(&b, 0x21, 0x11, tlv, 17);
	assert_int_equal(whole(buf_data(&b), &h), PROXY_CLIENT);
	put_v2(&b, 0x21, 0x11, tlv, 16);	/* its last TLV is cut */
	assert_int_equal(whole(buf_data(&b), &h), PROXY_BAD);
	put_v2(&b, 0x20, 0x00, "", 0);		/* LOCAL */
	assert_int_equal(whole(buf_data(&b), &h), PROXY_LOCAL);
	put_v2(&b, 0x21, 0x00, "", 0);
	assert_int_equal(whole(buf_data(&b), &h), PROXY_LOCAL);
	put_v2(&b, 0x21, 0x12, v4, 12);		/* UDP */
	assert_int_equal(whole(buf_data(&b), &h), PROXY_BAD);
	put_v2(&b, 0x31, 0x11, v4, 12);		/* version 3 */
	assert_int_equal(whole(buf_data(&b), &h), PROXY_BAD);
	put_v2(&b, 0x22, 0x11, v4, 12);		/* no such command */
	assert_int_equal(whole(buf_data(&b), &h), PROXY_BAD);
	put_v2(&b, 0x21, 0x11, v4, 11);
	assert_int_equal(whole(buf_data(&b), &h), PROXY_BAD);
	put_v2(&b, 0x21, 0x11, big, sizeof(big));
	assert_int_equal(proxy_parse(span_sub(buf_data(&b), 0, 16), &h), PROXY_BAD);
	/* The checksum, over the header with its own bytes zero. */
	put_v2(&b, 0x21, 0x11, crc, sizeof(crc));
	sum = crc32c(0, buf_data(&b).p, buf_size(&b));
	for (int i = 0; i < 4; i++)
		crc[15 + i] = (char)(sum >> (24 - 8 * i));
	put_v2(&b, 0x21, 0x11, crc, sizeof(crc));
	assert_int_equal(whole(buf_data(&b), &h), PROXY_CLIENT);
	crc[18] ^= 1;
	put_v2(&b, 0x21, 0x11, crc, sizeof(crc));
	assert_int_equal(whole(buf_data(&b), &h), PROXY_BAD);
	buf_release(&b);
}

static void
xclient(void **state)
{
	static const char *const bad[] = { "", " ", "ADDR", "ADDR=", "ADDR=1.2.3", "ADDR=a.b.c.d",
		"PORT=65536", "PORT=1x", "PROTO=LMTP", "NAME=a+", "NAME=a+4", "NAME=a+4g",
		"NAME=a+0Ab", "NAME=a+20b", "HELO=<x>", "FLAVOUR=x", "ADDR=192.0.2.1 =x",
		"LOGIN=a+0D+0AMAIL", NULL };
	struct arena *a = arena_new(0);
	char ip[IP_TEXT_MAX];
	struct xclient x;
	struct span wrong;

	assert_true(xclient_parse(a, SPAN_LIT("NAME=spike.porcupine.org ADDR=168.100.189.2 "
	    "port=1025 PROTO=ESMTP HELO=spike.porcupine.org LOGIN=user+40example.org "
	    "DESTADDR=192.0.2.1 DESTPORT=25"), &x, &wrong));
	assert_string_equal(ip_format(x.addr, ip), "168.100.189.2");
	assert_int_equal(x.port, 1025);
	assert_true(x.esmtp);
	assert_true(span_is(x.name, "spike.porcupine.org"));
	assert_true(span_is(x.login, "user@example.org"));
	assert_int_equal(x.has, 63);
	assert_true(xclient_parse(a, SPAN_LIT("ADDR=IPV6:2001:db8::1 NAME=[UNAVAILABLE] "
	    "HELO=[tempunavail]"), &x, &wrong));
	assert_string_equal(ip_format(x.addr, ip), "2001:db8::1");
	assert_int_equal(x.has, XCLIENT_ADDR | XCLIENT_NAME | XCLIENT_HELO);
	assert_int_equal(x.name.n, 0);
	assert_true(xclient_parse(a, SPAN_LIT("ADDR=[UNAVAILABLE]"), &x, &wrong));
	assert_int_equal(x.addr.family, 0);
	for (size_t i = 0; bad[i]; i++)
		if (xclient_parse(a, span_str(bad[i]), &x, &wrong))
			fail_msg("taken: %s", bad[i]);
	arena_free(&a);
}

static void
loops(void **state)
{
	static const struct span header = SPAN_LIT(
	    "Received: from a.example (a [192.0.2.1])\r\n\tby gw1.example.org (Postern) with ESMTP id 1; x\r\n"
	    "Received: from b by GW1.example.org;\r\n Sun\r\n"
	    "Received: from gw1.example.org by gw1.example.org.evil with x\r\n"
	    "Received: from gw1.example.org by other.example; by-gw1.example.org\r\n"
	    "Subject: by gw1.example.org\r\n\r\nReceived: by gw1.example.org\r\n");

	assert_int_equal(header_hops(header), 4);
	assert_int_equal(header_hops_by(header, SPAN_LIT("gw1.example.org")), 2);
	assert_int_equal(header_hops_by(header, SPAN_LIT("other.example")), 1);
	assert_int_equal(header_hops_by(header, SPAN_LIT("b")), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_1),
		cmocka_unit_test(version_2),
		cmocka_unit_test(xclient),
		cmocka_unit_test(loops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
