/* test_console_page.c -- the page behind links to approve: requests that are refused, text that stays text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "console/http.h"
#include "console/page.h"

static int
reads(const char *text, struct http_request *r)
{
	int status = 0, n = http_read(span_str(text), r, &status);

	return n == -1 ? status : n;
}

static void
test_requests(void **state)
{
	struct http_request r;

	assert_int_equal(reads("", &r), 0);
	assert_int_equal(reads("GET / HTTP/1.1\r\n", &r), 0);
	assert_int_equal(reads("GET /a?b=c?d HTTP/1.1\r\nHost: x\r\n\r\n", &r), 1);
	assert_int_equal(r.method, HTTP_GET);
	assert_true(span_is(r.path, "/a") && span_is(r.query, "b=c?d") && r.body.n == 0);
	assert_int_equal(reads("POST /a HTTP/1.0\r\ncontent-length: 3\r\n"
	    "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n\r\nab", &r), 0);
	assert_int_equal(reads("POST /a HTTP/1.0\r\ncontent-length: 3\r\n"
	    "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n\r\nabcd", &r), 1);
	assert_true(r.form && span_is(r.body, "abc"));
	assert_int_equal(reads("get / HTTP/1.0\r\n\r\n", &r), 1);
	assert_int_equal(r.method, HTTP_OTHER);
	assert_true(r.close);
	assert_int_equal(reads("\r\n\r\n", &r), 400);
	assert_int_equal(reads("GET  / HTTP/1.1\r\n\r\n", &r), 400);
	assert_int_equal(reads("GET x HTTP/1.1\r\n\r\n", &r), 400);
	assert_int_equal(reads("GET / HTTP/1.1 \r\n\r\n", &r), 505);
	assert_int_equal(reads("GET / HTTP/1.1\nA: b\r\n\r\n", &r), 400);
	assert_int_equal(reads("GET / HTTP/1.1\r\nA : b\r\n\r\n", &r), 400);
	assert_int_equal(reads("GET / HTTP/1.1\r\nA\r\n\r\n", &r), 400);
	assert_int_equal(reads("GET / HTTP/1.1\r\nA: \x01\r\n\r\n", &r), 400);
	assert_int_equal(reads("POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\n", &r), 501);
}

/* HTTP/1.1 names its host, once; what two sides could understand in two ways is refused. */
static void
test_one_meaning(void **state)
{
	struct http_request r;

	assert_int_equal(reads("GET / HTTP/1.1\r\n\r\n", &r), 400);
	assert_int_equal(reads("GET / HTTP/1.1\r\nHost: \r\n\r\n", &r), 400);
	assert_int_equal(reads("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", &r), 400);
	assert_int_equal(reads("GET / HTTP/1.1\r\nHost: a:8443\r\n\r\n", &r), 1);
	assert_true(span_is(r.host, "a:8443") && !r.close && r.size == strlen("GET / HTTP/1.1\r\nHost: a:8443\r\n\r\n"));
	assert_int_equal(reads("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", &r), 400);
	assert_int_equal(reads("GET / HTTP/1.1\r\nHost: a\r\nX-Postern-CSRF: a\r\nX-Postern-CSRF: b\r\n\r\n", &r), 400);
	assert_int_equal(reads("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Close\r\n\r\n", &r), 1);
	assert_true(r.close);
	assert_int_equal(reads("PATCH / HTTP/1.1\r\nHost: a\r\n\r\n", &r), 411);
	assert_int_equal(reads("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", &r), 1);
	assert_int_equal(r.method, HTTP_DELETE);
}

#define SESSION "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* The session is 64 hexadecimal digits or nothing; two of them are a trick. */
static void
test_cookies(void **state)
{
	struct http_request r;

	assert_int_equal(reads("GET / HTTP/1.1\r\nHost: a\r\nCookie: a=b; postern_session=" SESSION "; c=d\r\n\r\n", &r), 1);
	assert_true(span_is(r.session, SESSION));
	assert_int_equal(reads("GET / HTTP/1.1\r\nHost: a\r\nCookie: postern_session=" SESSION "0\r\n\r\n", &r), 1);
	assert_int_equal(r.session.n, 0);
	assert_int_equal(reads("GET / HTTP/1.1\r\nHost: a\r\nCookie: postern_session=../../../etc\r\n\r\n", &r), 1);
	assert_int_equal(r.session.n, 0);
	assert_int_equal(reads("GET / HTTP/1.1\r\nHost: a\r\nCookie: xpostern_session=" SESSION "\r\n\r\n", &r), 1);
	assert_int_equal(r.session.n, 0);
	assert_int_equal(reads("GET / HTTP/1.1\r\nHost: a\r\nCookie: postern_session=" SESSION "; postern_session=" SESSION
	    "\r\n\r\n", &r), 400);
}

#define WAY "__Host-postern_oidc=" SESSION

/* The way to a provider and back: secret, language, page; what is not of that form is none. */
static void
test_way_cookies(void **state)
{
	static const struct { const char *cookie; bool taken; const char *language, *next; } rows[] = {
		{ WAY ".en", true, "en", "" },
		{ WAY ".fr/queue?by=site&q=a%20b+c", true, "fr", "/queue?by=site&q=a%20b+c" },
		{ WAY, false, "", "" },
		{ WAY ".", false, "", "" },
		{ WAY ".de", false, "", "" },
		{ WAY ".frqueue", false, "", "" },
		{ WAY ".fr/a\\b", false, "", "" },
		{ WAY ".fr/a b", false, "", "" },
		{ WAY ".fr/<b>", false, "", "" },
		{ WAY ".fr/a\"b", false, "", "" },
		{ "__Host-postern_oidc=0123.en", false, "", "" },
		{ "__Host-postern_oidc=G123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.en", false, "", "" },
		{ "postern_oidc=" SESSION ".en", false, "", "" },
	};
	struct http_request r;
	char text[1024];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\nCookie: %s\r\n\r\n", rows[i].cookie);
		assert_int_equal(reads(text, &r), 1);
		if (rows[i].taken != span_is(r.oidc, SESSION) || !span_is(r.oidc_language, rows[i].language) ||
		    !span_is(r.oidc_next, rows[i].next))
			fail_msg("%s", rows[i].cookie);
	}
	assert_int_equal(reads("GET / HTTP/1.1\r\nHost: a\r\nCookie: " WAY ".en; " WAY ".fr\r\n\r\n", &r), 400);
	memset(text, 'a', sizeof(text));
	text[0] = '/';
	assert_true(http_next_ok(span_make(text, HTTP_NEXT_MAX)));
	assert_false(http_next_ok(span_make(text, HTTP_NEXT_MAX + 1)));
	assert_false(http_next_ok(SPAN_LIT("")));
	assert_false(http_next_ok(SPAN_LIT("https://a")));
	assert_false(http_next_ok(span_make("/a\0b", 4)));
}

/* What a body may have hangs on its path, and on somebody who has a session. */
static void
test_room(void **state)
{
	struct http_request r;

	assert_int_equal(reads("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 16384\r\n\r\n", &r), 0);
	assert_int_equal(reads("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 16385\r\n\r\n", &r), 413);
	assert_int_equal(reads("POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n", &r), 0);
	assert_int_equal(reads("POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n", &r), 413);
	assert_int_equal(reads("POST /api/v1/policy/check HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n", &r), 413);
	assert_int_equal(reads("POST /api/v1/policy/check HTTP/1.1\r\nHost: a\r\nCookie: postern_session=" SESSION
	    "\r\nContent-Length: 1000000\r\n\r\n", &r), 0);
	assert_int_equal(reads("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", &r), 413);
	assert_int_equal(reads("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", &r), 400);
}

/* Too long is known before its end comes. */
static void
test_bounds(void **state)
{
	static char text[HTTP_HEAD_MAX + 8];
	struct http_request r;

	memset(text, 'a', sizeof(text) - 1);
	memcpy(text, "GET /", 5);
	assert_int_equal(reads(text, &r), 431);
	text[HTTP_HEAD_MAX] = '\0';
	assert_int_equal(reads(text, &r), 0);
}

static bool
field(const char *form, const char *value)
{
	struct arena *a = arena_new(0);
	struct span s;
	bool found = http_field(span_str(form), "token", a, &s) && span_is(s, value);

	arena_free(&a);
	return found;
}

static void
test_fields(void **state)
{
	static char big[HTTP_FIELD_MAX + 16];

	assert_true(field("a=b&token=x+y%2Bz%c3%a9", "x y+z\xc3\xa9"));
	assert_true(field("token=", ""));
	assert_true(field("token", ""));
	assert_false(field("Token=x", "x"));
	assert_false(field("token=x&token=x", "x"));
	assert_false(field("token=%4", "\x04"));
	assert_false(field("token=%zz", "zz"));
	memset(big, 'x', sizeof(big) - 1);
	memcpy(big, "token=", 6);
	assert_false(field(big, big + 6));
	big[6 + HTTP_FIELD_MAX] = '\0';
	assert_true(field(big, big + 6));
}

static void
test_languages(void **state)
{
	assert_false(http_french(span_str("")));
	assert_true(http_french(span_str("fr")));
	assert_true(http_french(span_str("fr-CA, en;q=0.8")));
	assert_false(http_french(span_str("en, fr;q=0.9")));
	assert_true(http_french(span_str("de, fr;q=0.2, en;q=0.1")));
	assert_false(http_french(span_str("fr;q=0")));
	assert_false(http_french(span_str("fry")));
}

static void
shows(const char *text, const char *as)
{
	struct buf b;

	buf_init(&b, 1024);
	console_escape(&b, span_str(text));
	buf_putc(&b, '\0');
	assert_string_equal(b.p, as);
	buf_release(&b);
}

#define BAD "\xef\xbf\xbd"

static void
test_text(void **state)
{
	shows("a <b> & \"c\" 'd'", "a &#60;b&#62; &#38; &#34;c&#34; &#39;d&#39;");
	shows("\xc3\xa9\xe2\x82\xac", "\xc3\xa9\xe2\x82\xac");
	shows("a\r\n\x1b[2J\x7f", "a" BAD BAD BAD "[2J" BAD);
	shows("\xff\xc3", BAD BAD);				/* no characters */
	shows("\xc0\xbcscript", BAD BAD "script");		/* < in too many bytes */
	shows("exe.\xe2\x80\xae" "fdp", "exe." BAD "fdp");	/* RIGHT-TO-LEFT OVERRIDE */
	shows("a\xe2\x80\x8b" "b", "a" BAD "b");		/* ZERO WIDTH SPACE */
}

/* Whatever strangers choose to write stands nowhere in a page as they wrote it. */
static void
test_page(void **state)
{
#define EVIL "<img src=x onerror=alert(1)>\\\"'><script>"
	static const char record[] = "{\"subject\":\"" EVIL "\",\"parts\":[{\"name\":\"" EVIL "\"}],"
	    "\"findings\":[{\"detector\":\"" EVIL "\",\"where\":\"" EVIL "\",\"name\":\"" EVIL "\","
	    "\"masked\":[\"" EVIL "\"]}]}";
	static const char approvals[] = "{\"approvals\":[{\"rule\":\"" EVIL "\",\"needed\":2,\"given\":1,"
	    "\"approvers\":[]}],\"votes\":[{\"address\":\"" EVIL "\",\"decision\":\"approve\"}]}";
	struct span evil = span_str("<img src=x onerror=alert(1)>\"'><script>");
	struct msg_approve_told m = { .told = APPROVE_OPEN, .id = 1, .as = evil, .sender = evil,
		.recipients = evil, .on_expire = evil, .record = span_str(record),
		.approvals = span_str(approvals) };
	struct buf b;
	size_t hits = 0;

	for (int french = 0; french < 2; french++) {
		buf_init(&b, PAGE_MAX);
		console_page_open(&b, &m, evil, french);
		buf_putc(&b, '\0');
		assert_false(buf_failed(&b));
		assert_null(strstr(b.p, "<img"));
		assert_null(strstr(b.p, "<script"));
		assert_null(strstr(b.p, "\"'>"));
		hits = 0;
		for (const char *p = b.p; (p = strstr(p, "&#60;img src=x")) != NULL; p++)
			hits++;
		/* subject, file, detector, where, name, masked, rule, voice, as, sender, recipients, two tokens */
		assert_int_equal(hits, 13);
		assert_non_null(strstr(b.p, "method=\"post\" action=\"/approve\""));
		buf_release(&b);
	}
}

/* Half a record, or none: the page is there, without what is not known. */
static void
test_no_record(void **state)
{
	struct msg_approve_told m = { .told = APPROVE_OPEN, .id = 1, .as = SPAN_LIT("a@b"),
		.record = SPAN_LIT("{\"subject\":"), .approvals = SPAN_LIT("") };
	struct buf b;

	buf_init(&b, PAGE_MAX);
	console_page_open(&b, &m, SPAN_LIT("t"), false);
	buf_putc(&b, '\0');
	assert_null(strstr(b.p, "Subject"));
	assert_non_null(strstr(b.p, "nobody yet"));
	assert_non_null(strstr(b.p, "</html>"));
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_one_meaning),
		cmocka_unit_test(test_cookies),
		cmocka_unit_test(test_way_cookies),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_languages),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_page),
		cmocka_unit_test(test_no_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
