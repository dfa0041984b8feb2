/* test_url.c -- where the links of a message lead: hosts in every spelling, texts, HTML, documents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "anatomy/url.h"
#include "buf.h"
#include "postern/anatomy.h"

static struct arena *arena;
static struct anatomy an;

static int
setup(void **state)
{
	arena = arena_new(0);
	return 0;
}

static int
teardown(void **state)
{
	arena_free(&arena);
	return 0;
}

static void
build(const char *type, const char *body)
{
	char *raw = arena_printf(arena, "From: a@example.org\r\nSubject: x\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: %s\r\n\r\n%s\r\n", type, body);

	anatomy_build(arena, span_str(raw), NULL, &an);
}

static const struct url *
find(const char *host)
{
	for (size_t i = 0; i < an.nurls; i++)
		if (span_is(an.urls[i].host, host))
			return &an.urls[i];
	return NULL;
}

static void
dump(const char *what)
{
	print_error("in %s:\n", what);
	for (size_t i = 0; i < an.nurls; i++)
		print_error("  host %.*s kind %s tricks %x shown %.*s\n", SPAN_ARG(an.urls[i].host),
		    url_kind_name(an.urls[i].kind), an.urls[i].tricks, SPAN_ARG(an.urls[i].shown));
}

/* --- one URL ---------------------------------------------------------------------------- */

/* As the URL standard has it (https://url.spec.whatwg.org/, 3.5 and 4.4). */
static void
test_parse(void **state)
{
	static const struct {
		const char *in, *host;
		unsigned tricks;
	} t[] = {
		{ "https://evil.example/login", "evil.example", 0 },
		{ "HTTPS://EVIL.Example", "evil.example", 0 },
		{ "  https://evil.example  ", "evil.example", 0 },
		{ "https:evil.example", "evil.example", 0 },
		{ "https:/evil.example/x", "evil.example", 0 },
		{ "https:////evil.example/x", "evil.example", 0 },
		{ "https:\\\\evil.example\\x", "evil.example", URL_IS_BACKSLASH },
		{ "//evil.example/x", "evil.example", 0 },
		{ "/\\evil.example/x", "evil.example", URL_IS_BACKSLASH },
		{ "https://bank.example@evil.example/", "evil.example", URL_IS_USERINFO },
		{ "https://bank.example:443@evil.example/", "evil.example", URL_IS_USERINFO },
		{ "https://a@b@c@evil.example", "evil.example", URL_IS_USERINFO },
		{ "https://evil.example\\@bank.example/", "evil.example", URL_IS_BACKSLASH },
		{ "https://evil.example?@bank.example", "evil.example", 0 },
		{ "https://evil.example#@bank.example", "evil.example", 0 },
		{ "https://evil.example:8443/", "evil.example", 0 },
		{ "https://evil.example./", "evil.example", 0 },
		{ "https://%65vil.ex%61mple/", "evil.example", URL_IS_ESCAPED },
		{ "https://evil%2Eexample/", "evil.example", URL_IS_ESCAPED },
		{ "https://evil%zz.example/", "", 0 },
		{ "https://evil%00.example/", "", 0 },
		{ "https://ex ample/", "", 0 },
		{ "https://[2001:DB8::0:1]/", "[2001:db8::1]", 0 },
		{ "https://[::ffff:192.0.2.1]/", "192.0.2.1", 0 },
		{ "https://[zz]/", "", 0 },
		{ "http://192.0.2.235/", "192.0.2.235", 0 },
		{ "http://3221226219/", "192.0.2.235", URL_IS_NUMERIC },	/* 192<<24 | 2<<8 | 235 */
		{ "http://0xC0.0x00.0x02.0xEB/", "192.0.2.235", URL_IS_NUMERIC },
		{ "http://0300.0.2.0353/", "192.0.2.235", URL_IS_NUMERIC },
		{ "http://0xc00002eb/", "192.0.2.235", URL_IS_NUMERIC },
		{ "http://192.0.747/", "192.0.2.235", URL_IS_NUMERIC },	/* 2<<8 | 235 */
		{ "http://192.747/", "192.0.2.235", URL_IS_NUMERIC },
		{ "http://192.0.2.256/", "", 0 },
		{ "http://4294967296/", "", 0 },
		{ "http://1.2.3.4.5/", "", 0 },
		{ "http://192.0.2.09/", "", 0 },
		{ "http://evil\xe3\x80\x82" "example/", "evil.example", 0 },	/* ideographic full stop */
		{ "http://\xef\xbd\x85vil.example/", "evil.example", 0 },	/* full-width e */
		{ "http://ev\xc2\xadil.example/", "evil.example", 0 },	/* soft hyphen */
		{ "http://b\xc3\xbc" "cher.example/", "xn--bcher-kva.example", 0 },
		{ "http://XN--BCHER-KVA.example/", "xn--bcher-kva.example", 0 },
		{ "http://\xf0\x9f\x92\xa9.example/", "xn--ls8h.example", 0 },	/* an emoji */
		{ "http://\xf0\x9f\x92\xa9%3a1.example/", "", 0 }, { "http://\xf0\x9f\x92\xa9%2f.example/", "", 0 },
		{ "ftp://files.example/x", "files.example", 0 },
		{ "hxxps://evil[.]example/", "evil.example", URL_IS_OBFUSCATED },
		{ "mailto:a@evil.example?subject=x", "evil.example", 0 },
		{ "file://server.example/share", "server.example", 0 },
		{ "file:///C:/x", "", 0 },
		{ "ldap://dir.example/x", "dir.example", 0 },
		{ "data:text/html,https://evil.example", "", 0 },
		{ "cid:a@b.example", "", 0 },
		{ "tel:+331234", "", 0 },
		{ "/login", "", 0 }, { "login.html", "", 0 }, { "#top", "", 0 }, { "", "", 0 },
		{ "https://", "", 0 }, { "https:///", "", 0 }, { "https://..", "", 0 },
		{ "https://a..b/", "", 0 }, { "javascript:alert(1)", "", 0 },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct url_parsed u;
		bool found = url_parse(arena, span_str(t[i].in), NULL, &u);

		if (strcmp(u.host, t[i].host) != 0 || (t[i].host[0] && (!found || u.tricks != t[i].tricks)))
			fail_msg("%s: %s, tricks %x", t[i].in, u.host, u.tricks);
	}
}

static void
test_base(void **state)
{
	struct url_base base = { .host = "evil.example", .known = true };
	struct url_parsed u;

	assert_true(url_parse(arena, SPAN_LIT("/login"), &base, &u));
	assert_string_equal(u.host, "evil.example");
	assert_true(url_parse(arena, SPAN_LIT("login?x"), &base, &u));
	assert_string_equal(u.host, "evil.example");
	assert_true(url_parse(arena, SPAN_LIT("//bank.example/x"), &base, &u));
	assert_string_equal(u.host, "bank.example");
	assert_false(url_parse(arena, SPAN_LIT("mailto:"), &base, &u));
	assert_true(url_parse(arena, SPAN_LIT("javascript:x"), &base, &u));
	assert_true(u.script);
}

static void
test_domain(void **state)
{
	static const struct {
		const char *host, *domain;
	} t[] = {
		{ "www.example.co.uk", "example.co.uk" }, { "example.co.uk", "example.co.uk" },
		{ "co.uk", "co.uk" }, { "a.b.bank.example", "bank.example" }, { "bank.example", "bank.example" },
		{ "a.b.github.io", "b.github.io" }, { "192.0.2.1", "192.0.2.1" },
		{ "[2001:db8::1]", "[2001:db8::1]" }, { "localhost", "localhost" },
		{ "www.xn--80ak6aa92e.com", "xn--80ak6aa92e.com" },
		{ "a.b.xn--p1ai", "b.xn--p1ai" },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct span d = host_domain(span_str(t[i].host));

		if (!span_is(d, t[i].domain))
			fail_msg("%s: %.*s", t[i].host, SPAN_ARG(d));
	}
}

/* --- texts ---------------------------------------------------------------------------------- */

static void
test_texts(void **state)
{
	static const struct {
		const char *text, *host;	/* NULL: none */
	} t[] = {
		{ "See https://evil.example/login now", "evil.example" },
		{ "See https://evil.example.", "evil.example" },
		{ "(https://evil.example)", "evil.example" },
		{ "<https://evil.example/a>", "evil.example" },
		{ "\"https://evil.example\"", "evil.example" },
		{ "link:https://evil.example", "evil.example" },
		{ "http://evil.example, and", "evil.example" },
		{ "http://user:pw@evil.example/x", "evil.example" },
		{ "https://bank.example@evil.example", "evil.example" },
		{ "https://bank.example&x=1@evil.example", "evil.example" },
		{ "HTTP://EVIL.EXAMPLE", "evil.example" },
		{ "hxxp://evil.example", "evil.example" }, { "hXXps://evil.example", "evil.example" },
		{ "hxxps[:]//evil[.]example/x", "evil.example" },
		{ "http://evil[.]example", "evil.example" }, { "http://evil(dot)example", "evil.example" },
		{ "evil[.]example", "evil.example" }, { "www[.]evil[.]example", "www.evil.example" },
		{ "ftp://evil.example/x", "evil.example" },
		{ "write to mailto:a.b@evil.example please", "evil.example" },
		{ "www.evil.example", "www.evil.example" }, { "Go to WWW.Evil.Example!", "www.evil.example" },
		{ "evil.example/login", "evil.example" }, { "at bit.ly/3xYz", "bit.ly" },
		{ "Site:www.evil.example", "www.evil.example" },
		{ "http://%65vil.example/", "evil.example" },
		{ "http://3221226219/", "192.0.2.235" }, { "http://[2001:db8::1]:80/x", "[2001:db8::1]" },
		{ "https://safe.example/?u=https%3A%2F%2Fevil.example%2Fx", "evil.example" },
		{ "https://safe.example/?u=https%253A%252F%252Fevil.example%252Fx", "evil.example" },
		{ "https://safe.example/?u=http://evil.example/x", "evil.example" },
		{ "\xe8\xaf\xb7\xe8\xae\xbf\xe9\x97\xaehttps://evil.example\xe3\x80\x82\xe8\xb0\xa2", "evil.example" },
		{ "http://b\xc3\xbc" "cher.example", "xn--bcher-kva.example" },
		{ "see http:\\\\evil.example\\x", "evil.example" },
		/* none */
		{ "No. It is.", NULL }, { "www. and more", NULL }, { "www.", NULL }, { "wwwx.y z", NULL },
		{ "setup.sh and README.md", NULL }, { "and/or.this", NULL }, { "a.b/c", NULL },
		{ "1.5/2.5", NULL }, { "a@evil.example", NULL }, { "mail a@evil.example/x", NULL },
		{ "src/main.py/x", NULL }, { "12:30", NULL }, { "std::vector", NULL }, { "http://", NULL },
		{ "C:\\\\Users", NULL }, { "e.g. this", NULL }, { "http:// evil.example", NULL },
		{ "x://", NULL }, { "%3A%2F%2Fevil.example", NULL },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		build("text/plain; charset=utf-8", t[i].text);
		if (t[i].host ? !find(t[i].host) : an.nurls > 0) {
			dump(t[i].text);
			fail_msg("%s", t[i].text);
		}
	}
}

static void
test_text_places(void **state)
{
	const struct url *u;

	build("text/plain", "ab https://evil.example/p?secret=1 and https://evil.example/q");
	assert_int_equal(an.nurls, 1);
	u = find("evil.example");
	assert_int_equal(u->offset, 3);
	assert_int_equal(u->count, 2);
	assert_true(span_is(u->path, "/p"));
	assert_true(span_is(u->scheme, "https"));
	assert_true(span_is(url_defang(arena, u), "hxxps://evil[.]example/p"));
	/* folded lines of a calendar */
	build("text/calendar", "BEGIN:VCALENDAR\r\nURL:https://ev\r\n il.example/x\r\nEND:VCALENDAR");
	assert_non_null(find("evil.example"));
	assert_null(find("ev"));
}

/* --- HTML ---------------------------------------------------------------------------------------- */

static void
test_elements(void **state)
{
	static const struct {
		const char *html;
		enum url_kind kind;
	} t[] = {
		{ "<a href='https://evil.example/x'>y</a>", URL_LINK },
		{ "<A HREF=https://evil.example/x>y</A>", URL_LINK },
		{ "<a title='>' href=\"https://evil.example\">", URL_LINK },
		{ "<map><area href='//evil.example'></map>", URL_LINK },
		{ "<form action=https://evil.example/p></form>", URL_FORM },
		{ "<button formaction=https://evil.example/p>", URL_FORM },
		{ "<img src=https://evil.example/p.png>", URL_FETCHED },
		{ "<img srcset='a.png 1x, https://evil.example/b.png 2x'>", URL_FETCHED },
		{ "<iframe src=https://evil.example></iframe>", URL_FETCHED },
		{ "<object data=https://evil.example></object>", URL_FETCHED },
		{ "<body background=https://evil.example/b>", URL_FETCHED },
		{ "<link rel=stylesheet href=https://evil.example/s.css>", URL_FETCHED },
		{ "<div style=\"background: url( 'https://evil.example/x' )\">", URL_FETCHED },
		{ "<style>p{background:url(https://evil.example/x)}</style>", URL_FETCHED },
		{ "<style>@import \"https://evil.example/x\";</style>", URL_FETCHED },
		{ "<meta http-equiv=refresh content='0;url=https://evil.example/'>", URL_REFRESH },
		{ "<meta http-equiv=Refresh content=\"5; URL='https://evil.example/'\">", URL_REFRESH },
		{ "<base href=https://evil.example/>", URL_BASE },
		{ "<a href='https://ev\til.ex\r\nample/x'>y</a>", URL_LINK },
		{ "<a href='https://&#101;vil&period;example/x'>y</a>", URL_LINK },
		{ "<a href='&#104;ttps&colon;//evil.example/x'>y</a>", URL_LINK },
		{ "<a href='https://safe.example/r?u=https%3A%2F%2Fevil.example%2F'>y</a>", URL_WITHIN },
		{ "<!--[if mso]><a href='https://evil.example/x'>y</a><![endif]-->", URL_TEXT },
		{ "<script>location='https://evil.example/x'</script>", URL_TEXT },
		{ "<svg><a xlink:href='https://evil.example'>x</a></svg>", URL_LINK },
		{ "<a href='ms-word:ofe|u|https://evil.example/x.doc'>y</a>", URL_WITHIN },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		const struct url *u;

		build("text/html; charset=utf-8", arena_printf(arena, "<html><p>x</p>%s", t[i].html));
		u = find("evil.example");
		if (!u || u->kind != t[i].kind) {
			dump(t[i].html);
			fail_msg("%s: %s", t[i].html, u ? url_kind_name(u->kind) : "nothing");
		}
	}
	build("text/html", "<html><a href='javascript:alert(1)'>x</a><img src='data:image/png;base64,AA'>");
	assert_int_equal(an.nurls, 1);
	assert_int_equal(an.urls[0].kind, URL_SCRIPT);
	assert_int_equal(an.urls[0].host.n, 0);
	build("text/html", "<html><a href='mailto:a@x.example,b@y.example?cc=z'>x</a>");
	assert_non_null(find("x.example"));
	assert_non_null(find("y.example"));
}

static void
test_mismatch(void **state)
{
	static const struct {
		const char *html, *host;
		bool mismatch;
	} t[] = {
		{ "<a href='https://evil.test'>https://bank.example/login</a>", "evil.test", true },
		{ "<a href='https://evil.test'>bank.example</a>", "evil.test", true },
		{ "<a href='https://evil.test'>www.bank.example</a>", "evil.test", true },
		{ "<a href='https://evil.test'> <b>https://</b>bank.<i>example</i>/ </a>", "evil.test", true },
		{ "<a href='https://evil.test'>Log in: https://bank.example now</a>", "evil.test", true },
		{ "<a href='https://evil.test'><div>https://bank.example</div><a href='x'>", "evil.test", true },
		{ "<a href='https://evil.test'>https://bank.example", "evil.test", true },
		{ "<base href='https://evil.test/'><a href='/login'>https://bank.example/login</a>", "evil.test", true },
		{ "<a href='https://bank.example@evil.test/'>Log in</a>", "evil.test", true },
		{ "<a href='mailto:x@evil.test'>x@bank.example</a>", "evil.test", true },
		{ "<a href='http://192.0.2.1/'>https://bank.example/</a>", "192.0.2.1", true },
		/* the same organisation */
		{ "<a href='https://click.bank.example/r?x'>https://www.bank.example/offer</a>", "click.bank.example", false },
		{ "<a href='https://bank.example/'>www.bank.example</a>", "bank.example", false },
		{ "<a href='https://bank.example/'>https://bank.example.</a>", "bank.example", false },
		{ "<a href='https://bank.example/'>(https://bank.example)</a>", "bank.example", false },
		{ "<a href='https://bank.example/'>BANK.EXAMPLE</a>", "bank.example", false },
		{ "<a href='https://a.bank.co.uk/'>b.bank.co.uk</a>", "a.bank.co.uk", false },
		{ "<a href='https://a.github.io/'>https://b.github.io</a>", "a.github.io", true },
		{ "<a href='https://xn--bcher-kva.example/'>https://b\xc3\xbc" "cher.example</a>", "xn--bcher-kva.example", false },
		/* no host is shown */
		{ "<a href='https://evil.test'>Click here</a>", "evil.test", false },
		{ "<a href='https://evil.test'>setup.sh</a>", "evil.test", false },
		{ "<a href='https://evil.test'>v1.2.3</a>", "evil.test", false },
		{ "<a href='https://evil.test'>and/or</a>", "evil.test", false },
		{ "<a href='https://evil.test'>https://bank.ex...</a>", "evil.test", false },
		{ "<a href='https://evil.test'>https://bank\xe2\x80\xa6</a>", "evil.test", false },
		{ "<a href='https://evil.test'>John.Doe</a>", "evil.test", false },
		{ "<a href='https://evil.test'>j.doe@bank.example</a>", "evil.test", false },
		{ "<a href='mailto:j@bank.example'>www.bank.example</a>", "bank.example", false },
		/* links that a mail filter has made safe lead where they did */
		{ "<a href='https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fwww.bank.example%2Fx&amp;data=1'>https://bank.example/x</a>",
		    "eur01.safelinks.protection.outlook.com", false },
		{ "<a href='https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fevil.test%2Fx&amp;data=1'>https://bank.example/x</a>",
		    "eur01.safelinks.protection.outlook.com", true },
		{ "<a href='https://urldefense.proofpoint.com/v2/url?u=https-3A__my-2Dbank.example_login&amp;d=x'>https://my-bank.example/login</a>",
		    "urldefense.proofpoint.com", false },
		{ "<a href='https://urldefense.com/v3/__https://bank.example/login__;!!x'>https://bank.example/login</a>",
		    "urldefense.com", false },
		/* nobody else's redirector is trusted to lead where it says */
		{ "<a href='https://evil.test/?u=https://bank.example/'>https://bank.example/</a>", "evil.test", true },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		bool there = false, mismatch = false;

		build("text/html; charset=utf-8", arena_printf(arena, "<html>%s", t[i].html));
		for (size_t k = 0; k < an.nurls; k++)
			if (span_is(an.urls[k].host, t[i].host)) {
				there = true;
				mismatch |= url_mismatch(&an.urls[k]);
			}
		if (!there || mismatch != t[i].mismatch) {
			dump(t[i].html);
			fail_msg("%s", t[i].html);
		}
	}
}

/* --- bounds ---------------------------------------------------------------------------------------- */

static void
test_bounds(void **state)
{
	struct anatomy_limits limits = { .urls = 10 };
	struct url_host *hosts;
	struct buf b;
	bool cut;

	buf_init(&b, 8 << 20);
	buf_puts(&b, "Subject: x\r\n\r\n");
	for (int i = 0; i < 1000; i++)
		buf_printf(&b, "https://h%d.example/ https://same.example/%d\r\n", i % 9, i);
	anatomy_build(arena, buf_data(&b), &limits, &an);
	assert_int_equal(an.nurls, 10);		/* as many as there are: nothing is cut */
	assert_int_equal(an.defects & DEFECT_URLS_CUT, 0);
	assert_int_equal(find("same.example")->count, 1000);
	assert_int_equal(anatomy_hosts(&an, arena, 100, &hosts, &cut), 10);
	assert_false(cut);
	assert_int_equal(anatomy_hosts(&an, arena, 4, &hosts, &cut), 4);
	assert_true(cut);
	buf_puts(&b, "https://one.more.example/\r\n");
	anatomy_build(arena, buf_data(&b), &limits, &an);
	assert_int_equal(an.nurls, 10);
	assert_int_not_equal(an.defects & DEFECT_URLS_CUT, 0);
	assert_int_equal(an.defects & DEFECTS_UNSCANNABLE, 0);
	anatomy_hosts(&an, arena, 100, &hosts, &cut);
	assert_true(cut);
	/* a host that does not end */
	buf_reset(&b);
	buf_puts(&b, "Subject: x\r\nContent-Type: text/html\r\n\r\n<html><a href='https://");
	for (int i = 0; i < 20000; i++)
		buf_putc(&b, 'a');
	buf_puts(&b, "@evil.example/'>x</a>");
	anatomy_build(arena, buf_data(&b), NULL, &an);
	assert_int_not_equal(an.defects & DEFECT_URLS_CUT, 0);
	/* nor one in a text */
	buf_reset(&b);
	buf_puts(&b, "Subject: x\r\n\r\nhttps://");
	for (int i = 0; i < 20000; i++)
		buf_putc(&b, 'a');
	buf_puts(&b, "@evil.example/");
	anatomy_build(arena, buf_data(&b), NULL, &an);
	assert_int_not_equal(an.defects & DEFECT_URLS_CUT, 0);
	buf_release(&b);
}

/* --- time --------------------------------------------------------------------------------------- */

static double
seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* What makes a scanner read again what it has read: eight times as much may take thirty times as
 * long on a busy machine, sixty-four would be quadratic. */
static void
test_linear(void **state)
{
	static const struct {
		const char *type, *piece;
	} t[] = {
		{ "text/plain", "a." }, { "text/plain", "http://" }, { "text/plain", "http:" },
		{ "text/plain", "www." }, { "text/plain", "x[.]" }, { "text/plain", "[.]" },
		{ "text/plain", "http%3A%2F%2F" }, { "text/plain", "a@b:" }, { "text/plain", "mailto:" },
		{ "text/plain", "https://a&a&a&" }, { "text/plain", "https://urldefense.com/" },
		{ "text/plain", "https://a.example/x?" }, { "text/plain", "%" }, { "text/plain", "a.b/" },
		{ "text/html", "<a href=x>" }, { "text/html", "<a href=//a.b>www.c.example" },
		{ "text/html", "<p style=x:url(>" }, { "text/html", "<style>url(</style>" },
		{ "text/html", "<style>@import(</style>" }, { "text/html", "<img srcset=,,,>" },
		{ "text/html", "<a href=https://urldefense.com/%3a" }, { "text/calendar", "http:\r\n " },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		double took[2];

		for (int k = 0; k < 2; k++) {
			struct buf b;

			took[k] = 1e9;
			buf_init(&b, 32 << 20);
			buf_printf(&b, "Subject: x\r\nContent-Type: %s\r\n\r\n<html>", t[i].type);
			while (buf_size(&b) < (k ? (size_t)1 << 20 : (size_t)128 << 10))
				buf_puts(&b, t[i].piece);
			for (int round = 0; round < 3; round++) {
				double from = seconds();

				arena_reset(arena);
				anatomy_build(arena, buf_data(&b), NULL, &an);
				if (seconds() - from < took[k])
					took[k] = seconds() - from;
			}
			buf_release(&b);
		}
#ifdef POSTERN_SANITIZED
		if (took[1] > 60)
#else
		if (took[1] > took[0] * 30 && took[1] > 0.2)
#endif
			fail_msg("%s: %.4f s, then %.4f s", t[i].piece, took[0], took[1]);
		print_message("  %-30.30s %.4f s, %.4f s for eight times as much\n", t[i].piece, took[0], took[1]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_parse, setup, teardown),
		cmocka_unit_test_setup_teardown(test_base, setup, teardown),
		cmocka_unit_test_setup_teardown(test_domain, setup, teardown),
		cmocka_unit_test_setup_teardown(test_texts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_text_places, setup, teardown),
		cmocka_unit_test_setup_teardown(test_elements, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mismatch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_linear, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
