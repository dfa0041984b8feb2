/* test_oidc_claims.c -- what a provider says of itself and of who signs in: what counts, what does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fetcher/oidc_claims.h"
#include "fetcher/oidc_request.h"
#include "ipc/principal.h"

#define NOW (INT64_C(1800000000) * 1000000)
#define NONCE SPAN_LIT("n-0S6_WzA2Mj")
#define MUST "\"iss\":\"https://idp.lab/x\",\"aud\":\"postern\",\"exp\":1800000300,\"iat\":1800000000,\"nonce\":\"n-0S6_WzA2Mj\",\"sub\":\"1-2\""
#define NAME "\"preferred_username\":\"Ann.B\""
#define ALL MUST "," NAME

static struct arena *arena;
static struct conf_console_role roles[] = {
	{ .group = { "admins", 6 }, .role = PRINCIPAL_BIT(ADMIN) },
	{ .group = { "help desk", 9 }, .role = PRINCIPAL_BIT(OPERATOR) },
	{ .group = { "help desk", 9 }, .role = PRINCIPAL_BIT(DOMAIN_ADMIN), .domain = { "one.lab", 7 } },
	{ .group = { "two", 3 }, .role = PRINCIPAL_BIT(DOMAIN_ADMIN), .domain = { "two.lab", 7 } },
	{ .group = { "also two", 8 }, .role = PRINCIPAL_BIT(DOMAIN_ADMIN), .domain = { "two.lab", 7 } },
};
static struct conf_domain domains[] = { { .name = { "one.lab", 7 } } };
static struct config conf;

static int
setup(void **state)
{
	arena = arena_new(0);
	conf = (struct config){ .domains = domains, .ndomains = 1, .console.oidc = { .issuer = SPAN_LIT("https://idp.lab/x"),
		.client_id = SPAN_LIT("postern"), .groups_claim = SPAN_LIT("groups"), .name_claim = SPAN_LIT("preferred_username"),
		.roles = roles, .nroles = sizeof(roles) / sizeof(roles[0]), .skew = 60000000 } };
	return 0;
}

static int
teardown(void **state)
{
	arena_free(&arena);
	return 0;
}

static int
claims(const char *json, struct oidc_person *p, struct err *err)
{
	struct jose_token t = { .alg = JOSE_RS256, .payload = span_str(json) };

	return oidc_claims_read(&t, SPAN_LIT("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"), NONCE, &conf, NOW, arena, p, err);
}

static struct oidc_person
right(const char *json)
{
	struct oidc_person p = { 0 };
	struct err err;

	if (claims(json, &p, &err) == -1)
		fail_msg("%s: %s", json, err.text);
	return p;
}

static void
wrong(const char *json, const char *because)
{
	struct oidc_person p = { .roles = 12345 };
	struct err err = { 0 };

	if (claims(json, &p, &err) == 0)
		fail_msg("%s is taken", json);
	if (strstr(err.text, because) == NULL)
		fail_msg("%s: `%s` is not because of `%s`", json, err.text, because);
	assert_int_equal(p.roles, 12345);
}

static void
test_person(void **state)
{
	struct oidc_person p = right("{" ALL ",\"groups\":[\"others\",\"help desk\",\"two\",\"also two\"],\"email\":\"Ann@One.lab\","
	    "\"email_verified\":true,\"at_hash\":\"77QmUPtjPfzWtF2AnpK9RQ\",\"azp\":\"postern\",\"nbf\":1800000000.5}");

	assert_true(span_is(p.subject, "1-2") && span_is(p.name, "ann.b") && span_is(p.mail, "ann@one.lab"));
	assert_int_equal(p.roles, PRINCIPAL_BIT(USER) | PRINCIPAL_BIT(OPERATOR) | PRINCIPAL_BIT(DOMAIN_ADMIN));
	assert_true(span_is(p.domains, "one.lab\ntwo.lab"));
	p = right("{" ALL "}");
	assert_true(p.roles == 0 && p.domains.n == 0 && p.mail.n == 0);
	p = right("{" ALL ",\"groups\":\"admins\"}");		/* one group as a text */
	assert_int_equal(p.roles, PRINCIPAL_BIT(ADMIN));
	/* Byte for byte, and texts alone. */
	p = right("{" ALL ",\"groups\":[\"Admins\",\"admins \",[\"admins\"],{\"admins\":1},null,1]}");
	assert_int_equal(p.roles, 0);
	p = right("{" ALL ",\"groups\":{\"admins\":true}}");
	assert_int_equal(p.roles, 0);
}

static void
test_audience(void **state)
{
#define WITH(aud) "{\"iss\":\"https://idp.lab/x\"," aud "\"exp\":1800000300,\"iat\":1800000000,\"nonce\":\"n-0S6_WzA2Mj\",\"sub\":\"1\"," NAME "}"
	right(WITH("\"aud\":[\"postern\"],"));
	right(WITH("\"aud\":[\"a\",\"postern\"],\"azp\":\"postern\","));
	wrong(WITH(""), "aud");
	wrong(WITH("\"aud\":null,"), "aud");
	wrong(WITH("\"aud\":{\"postern\":1},"), "aud");
	wrong(WITH("\"aud\":[],"), "aud");
	wrong(WITH("\"aud\":\"Postern\","), "aud");
	wrong(WITH("\"aud\":[\"a\",\"postern\"],"), "azp");
	wrong(WITH("\"aud\":\"postern\",\"azp\":\"a\","), "azp");
	wrong(WITH("\"aud\":\"postern\",\"azp\":1,"), "azp");
	wrong(WITH("\"aud\":[\"postern\",1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16],\"azp\":\"postern\","), "aud");
}

static void
test_times(void **state)
{
#define AT(times) "{\"iss\":\"https://idp.lab/x\",\"aud\":\"postern\"," times "\"nonce\":\"n-0S6_WzA2Mj\",\"sub\":\"1\"," NAME "}"
	right(AT("\"exp\":1799999941,\"iat\":1799999700,"));	/* within the minute that clocks may differ */
	wrong(AT("\"exp\":1799999940,\"iat\":1799999700,"), "expired");
	right(AT("\"exp\":1800000300,\"iat\":1800000060,"));
	wrong(AT("\"exp\":1800000300,\"iat\":1800000061,"), "future");
	wrong(AT("\"exp\":1900000000,\"iat\":1799999339,"), "not the one");	/* ten minutes and one */
	wrong(AT("\"iat\":1800000000,"), "does not say");
	wrong(AT("\"exp\":1800000300,"), "does not say");
	wrong(AT("\"exp\":\"1800000300\",\"iat\":1800000000,"), "does not say");
	wrong(AT("\"exp\":-1,\"iat\":1800000000,"), "does not say");
	wrong(AT("\"exp\":1e300,\"iat\":1800000000,"), "does not say");
	wrong(AT("\"exp\":1800000300,\"iat\":1800000000,\"nbf\":1800000061,"), "nbf");
	wrong(AT("\"exp\":1800000300,\"iat\":1800000000,\"nbf\":\"x\","), "nbf");
}

static void
test_refusals(void **state)
{
	wrong("", "JSON");
	wrong("[]", "no object");
	wrong("{}", "another issuer");
	wrong("{" ALL ",\"sub\":\"2\"}", "duplicate");
	wrong("{" ALL ",\"at_hash\":\"77QmUPtjPfzWtF2AnpK9RA\"}", "at_hash");
	wrong("{" ALL ",\"at_hash\":1}", "at_hash");
	wrong("{\"iss\":\"https://idp.lab/x/\"}", "another issuer");
	wrong("{\"iss\":\"https://idp.lab/x\",\"aud\":\"postern\",\"exp\":1800000300,\"iat\":1800000000,\"sub\":\"1\"," NAME "}", "nonce");
	wrong("{\"iss\":\"https://idp.lab/x\",\"aud\":\"postern\",\"exp\":1800000300,\"iat\":1800000000,\"nonce\":\"\",\"sub\":\"1\"," NAME "}", "nonce");
	wrong("{\"iss\":\"https://idp.lab/x\",\"aud\":\"postern\",\"exp\":1800000300,\"iat\":1800000000,\"nonce\":\"n-0S6_WzA2Mj\"," NAME "}", "sub");
	wrong("{" MUST "}", "no name");
	wrong("{" MUST ",\"preferred_username\":\"\"}", "no name");
	wrong("{" MUST ",\"preferred_username\":[\"ann\"]}", "no name");
	wrong("{" MUST ",\"preferred_username\":\"a b\"}", "no name");
	wrong("{" MUST ",\"preferred_username\":\"a\\u0000b\"}", "no name");
	wrong("{" MUST ",\"preferred_username\":\"\\u00e9\"}", "no name");
	wrong("{" MUST ",\"preferred_username\":\"12345678901234567890123456789012345678901234567890123456789012345\"}", "no name");
	wrong("{" ALL ",\"_claim_names\":{\"groups\":\"src1\"}}", "more groups");
	wrong("{" ALL ",\"hasgroups\":true}", "more groups");
}

static void
test_mail(void **state)
{
	static const struct { const char *mail; enum oidc_mail how; const char *as; } rows[] = {
		{ "\"email\":\"a@one.lab\",\"email_verified\":true", OIDC_MAIL_VERIFIED, "a@one.lab" },
		{ "\"email\":\"a@one.lab\",\"email_verified\":\"true\"", OIDC_MAIL_VERIFIED, "a@one.lab" },
		{ "\"email\":\"a@one.lab\",\"email_verified\":false", OIDC_MAIL_VERIFIED, "" },
		{ "\"email\":\"a@one.lab\",\"email_verified\":1", OIDC_MAIL_VERIFIED, "" },
		{ "\"email\":\"a@one.lab\"", OIDC_MAIL_VERIFIED, "" },
		{ "\"email\":\"a@one.lab\"", OIDC_MAIL_CLAIMED, "a@one.lab" },
		{ "\"email\":\"a@one.lab\",\"email_verified\":true", OIDC_MAIL_OFF, "" },
		{ "\"email\":\"a@two.lab\",\"email_verified\":true", OIDC_MAIL_VERIFIED, "" },	/* not ours */
		{ "\"email\":\"one.lab\",\"email_verified\":true", OIDC_MAIL_VERIFIED, "" },
		{ "\"email\":\"a\\nb@one.lab\",\"email_verified\":true", OIDC_MAIL_VERIFIED, "" },
		{ "\"email\":[\"a@one.lab\"],\"email_verified\":true", OIDC_MAIL_VERIFIED, "" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct oidc_person p;

		conf.console.oidc.mail = rows[i].how;
		p = right(arena_printf(arena, "{" ALL ",%s}", rows[i].mail));
		if (!span_is(p.mail, rows[i].as))
			fail_msg("%s: " SPAN_FMT, rows[i].mail, SPAN_ARG(p.mail));
		/* A user sees the mail of his address; who has none is none. */
		assert_int_equal(p.roles, *rows[i].as ? PRINCIPAL_BIT(USER) : 0);
	}
}

static void
test_claims_elsewhere(void **state)
{
	static const struct span gold = { "gold", 4 }, mfa[] = { { "mfa", 3 }, { "otp", 3 } };

	conf.console.oidc.groups_claim = SPAN_LIT("realm_access.roles");
	assert_int_equal(right("{" ALL ",\"realm_access\":{\"roles\":[\"admins\"]}}").roles, PRINCIPAL_BIT(ADMIN));
	assert_int_equal(right("{" ALL ",\"realm_access.roles\":[\"admins\"]}").roles, PRINCIPAL_BIT(ADMIN));
	assert_int_equal(right("{" ALL ",\"realm_access\":[\"admins\"],\"roles\":[\"admins\"]}").roles, 0);
	conf.console.oidc.groups_claim = SPAN_LIT("https://one.lab/groups");
	assert_int_equal(right("{" ALL ",\"https://one.lab/groups\":[\"admins\"]}").roles, PRINCIPAL_BIT(ADMIN));
	conf.console.oidc.name_claim = SPAN_LIT("upn");
	assert_true(span_is(right("{" MUST ",\"upn\":\"X@one.lab\"}").name, "x@one.lab"));
	conf.console.oidc.acr = &gold;
	conf.console.oidc.nacr = 1;
	conf.console.oidc.amr = mfa;
	conf.console.oidc.namr = 2;
	right("{" MUST ",\"upn\":\"x\",\"acr\":\"gold\",\"amr\":[\"pwd\",\"otp\"]}");
	wrong("{" MUST ",\"upn\":\"x\",\"acr\":\"silver\",\"amr\":[\"otp\"]}", "acr");
	wrong("{" MUST ",\"upn\":\"x\",\"amr\":[\"otp\"]}", "acr");
	wrong("{" MUST ",\"upn\":\"x\",\"acr\":\"gold\",\"amr\":[\"pwd\"]}", "amr");
	wrong("{" MUST ",\"upn\":\"x\",\"acr\":\"gold\",\"amr\":\"otp\"}", "amr");
	wrong("{" MUST ",\"upn\":\"x\",\"acr\":\"gold\"}", "amr");
}

#define URLS "\"authorization_endpoint\":\"https://idp.lab/a?x=1\",\"token_endpoint\":\"https://idp.lab/t\",\"jwks_uri\":\"https://keys.lab/k\""
#define DISCOVERY "\"issuer\":\"https://idp.lab/x\"," URLS

static void
no_provider(const char *json, const char *because)
{
	struct oidc_provider p = { .post = true };
	struct err err = { 0 };

	if (oidc_provider_read(span_str(json), &conf.console.oidc, arena, &p, &err) == 0)
		fail_msg("%s is taken", json);
	if (strstr(err.text, because) == NULL)
		fail_msg("%s: `%s` is not because of `%s`", json, err.text, because);
	assert_true(p.post && p.token.n == 0);
}

static void
test_provider(void **state)
{
	struct oidc_provider p;
	struct err err;

	assert_int_equal(oidc_provider_read(SPAN_LIT("{" DISCOVERY "}"), &conf.console.oidc, arena, &p, &err), 0);
	assert_true(span_is(p.authorize, "https://idp.lab/a?x=1") && span_is(p.token, "https://idp.lab/t") &&
	    span_is(p.keys, "https://keys.lab/k") && p.leave.n == 0 && !p.post && !p.says_iss);
	assert_int_equal(oidc_provider_read(SPAN_LIT("{" DISCOVERY ",\"end_session_endpoint\":\"https://idp.lab/e\","
	    "\"token_endpoint_auth_methods_supported\":[\"private_key_jwt\",\"client_secret_post\"],"
	    "\"authorization_response_iss_parameter_supported\":true,\"code_challenge_methods_supported\":[\"S256\"]}"),
	    &conf.console.oidc, arena, &p, &err), 0);
	assert_true(span_is(p.leave, "https://idp.lab/e") && p.post && p.says_iss);
	no_provider("", "JSON");
	no_provider("[]", "no object");
	no_provider("{" URLS "}", "another issuer");
	no_provider("{\"issuer\":\"https://idp.lab/x/\"," URLS "}", "another issuer");
	no_provider("{\"issuer\":\"https://idp.lab/x\",\"token_endpoint\":\"https://idp.lab/t\"}", "authorization_endpoint");
	no_provider("{" DISCOVERY ",\"end_session_endpoint\":\"http://idp.lab/e\"}", "end_session_endpoint");
	no_provider("{" DISCOVERY ",\"end_session_endpoint\":\"https://idp.lab/e\\r\\nX: y\"}", "end_session_endpoint");
	no_provider("{" DISCOVERY ",\"token_endpoint_auth_methods_supported\":[\"private_key_jwt\"]}", "client_secret_basic");
	no_provider("{" DISCOVERY ",\"code_challenge_methods_supported\":[\"plain\"]}", "S256");
	no_provider("{" DISCOVERY ",\"issuer\":\"https://idp.lab/x\"}", "duplicate");
}

static void
test_token_answers(void **state)
{
	static const struct { int status; const char *json; bool refused; const char *because; } rows[] = {
		{ 400, "{\"error\":\"invalid_grant\"}", true, "invalid_grant" },
		{ 401, "{\"error\":\"invalid_client\"}", false, "invalid_client" },
		{ 400, "{\"error\":\"a\\nb\"}", true, "`a?b`" },
		{ 500, "oops", false, "status 500" },
		{ 302, "", false, "status 302" },
		{ 200, "oops", false, "no JSON" },
		{ 200, "{}", false, "no ID token" },
		{ 200, "{\"id_token\":{}}", false, "no ID token" },
	};
	struct oidc_tokens t;
	struct err err;
	bool refused;

	assert_int_equal(oidc_tokens_read(200, SPAN_LIT("{\"id_token\":\"a.b.c\",\"access_token\":\"x\"}"), arena, &t, &refused, &err), 0);
	assert_true(span_is(t.id_token, "a.b.c") && span_is(t.access_token, "x"));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(oidc_tokens_read(rows[i].status, span_str(rows[i].json), arena, &t, &refused, &err), -1);
		assert_int_equal(refused, rows[i].refused);
		if (strstr(err.text, rows[i].because) == NULL)
			fail_msg("%s: %s", rows[i].json, err.text);
	}
}

/* RFC 7636, B: verifier and challenge. RFC 6749, 2.3.1: id and secret are encoded before they are joined. */
static void
test_requests(void **state)
{
	static const struct span acr[] = { { "gold", 4 }, { "a&b", 3 } };
	struct oidc_provider p = { .authorize = SPAN_LIT("https://idp.lab/a?x=1"), .leave = SPAN_LIT("https://idp.lab/e"), .post = true };
	struct msg_oidc_ask ask = { .redirect = SPAN_LIT("https://gw.lab/oidc/return"), .state = SPAN_LIT("s"), .nonce = SPAN_LIT("n"),
		.verifier = SPAN_LIT("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"), .language = SPAN_LIT("fr"), .code = SPAN_LIT("a+b=&%\n\xff") };
	struct buf b;
	char *line;

	conf.console.oidc.scopes = SPAN_LIT("openid email");
	conf.console.oidc.acr = acr;
	conf.console.oidc.nacr = 2;
	buf_init(&b, 4096);
	oidc_put_start(&b, &conf.console.oidc, &p, &ask);
	assert_true(span_is(buf_data(&b), "https://idp.lab/a?x=1&response_type=code&code_challenge_method=S256&"
	    "code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&client_id=postern&"
	    "redirect_uri=https%3A%2F%2Fgw.lab%2Foidc%2Freturn&scope=openid%20email&state=s&nonce=n&"
	    "acr_values=gold%20a%26b&ui_locales=fr"));
	buf_reset(&b);
	oidc_put_form(&b, &conf.console.oidc, &p, SPAN_LIT("s:e&"), &ask);
	assert_true(span_is(buf_data(&b), "code=a%2Bb%3D%26%25%0A%FF&redirect_uri=https%3A%2F%2Fgw.lab%2Foidc%2Freturn&"
	    "code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk&client_id=postern&client_secret=s%3Ae%26&"
	    "grant_type=authorization_code"));
	buf_reset(&b);
	oidc_put_leave(&b, &conf.console.oidc, &p, SPAN_LIT("https://gw.lab:8443"));
	assert_true(span_is(buf_data(&b), "https://idp.lab/e?client_id=postern&post_logout_redirect_uri=https%3A%2F%2Fgw.lab%3A8443%2F"));
	buf_reset(&b);
	conf.console.oidc.logout_local = true;
	oidc_put_leave(&b, &conf.console.oidc, &p, SPAN_LIT("https://gw.lab:8443"));
	assert_int_equal(buf_size(&b), 0);
	line = oidc_basic(&conf.console.oidc, SPAN_LIT("s:e"));
	assert_string_equal(line, "Authorization: Basic cG9zdGVybjpzJTNBZQ==");	/* postern:s%3Ae */
	free(line);
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_person, setup, teardown),
		cmocka_unit_test_setup_teardown(test_audience, setup, teardown),
		cmocka_unit_test_setup_teardown(test_times, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mail, setup, teardown),
		cmocka_unit_test_setup_teardown(test_claims_elsewhere, setup, teardown),
		cmocka_unit_test_setup_teardown(test_provider, setup, teardown),
		cmocka_unit_test_setup_teardown(test_token_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_requests, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
