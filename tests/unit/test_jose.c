/* test_jose.c -- signed tokens and their keys: the examples of RFC 7515, 7517 and 8037, and what must not be taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "buf.h"
#include "fetcher/jose.h"

/* RFC 7515, A.2.1 and A.3.1; RFC 8037, A.2 */
#define RSA_N "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_" \
	"YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxv" \
	"b3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
#define RSA(more) "{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"" RSA_N "\"" more "}"
#define EC_X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define EC_Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define EC(more) "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\"" more "}"
#define OKP(more) "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"" more "}"
#define SET(keys) "{\"keys\":[" keys "]}"

#define PAYLOAD "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
#define RS256_SIG "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t" \
	"1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkH" \
	"WEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
#define RS256 "eyJhbGciOiJSUzI1NiJ9." PAYLOAD "." RS256_SIG
#define ES256_SIG "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
#define ES256 "eyJhbGciOiJFUzI1NiJ9." PAYLOAD "." ES256_SIG
#define EDDSA "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc." \
	"hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
/* A.1 (HMAC) and A.5 (nobody) */
#define HS256 "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." PAYLOAD ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
#define NONE "eyJhbGciOiJub25lIn0." PAYLOAD "."

static struct arena *arena;

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

/* The verdict; *why says what was wrong. */
static enum jose_verdict
verify(const char *keys, struct span token, struct jose_token *t, struct err *err)
{
	struct jose_set *set = jose_set_read(span_str(keys), err);
	enum jose_verdict v;

	if (set == NULL)
		fail_msg("%s", err->text);
	v = jose_verify(set, token, arena, t, err);
	jose_set_free(&set);
	return v;
}

static void
right(const char *keys, const char *token, enum jose_alg alg, const char *payload)
{
	struct jose_token t;
	struct err err;

	if (verify(keys, span_str(token), &t, &err) != JOSE_RIGHT)
		fail_msg("%s: %s", token, err.text);
	assert_int_equal(t.alg, alg);
	assert_true(span_is(t.payload, payload));
}

static void
wrong(const char *keys, const char *token, enum jose_verdict verdict, const char *because)
{
	struct jose_token t = { .alg = JOSE_ALGS };
	struct err err = { 0 };

	assert_int_equal(verify(keys, span_str(token), &t, &err), verdict);
	if (strstr(err.text, because) == NULL)
		fail_msg("%s: `%s` is not because of `%s`", token, err.text, because);
	assert_int_equal(t.alg, JOSE_ALGS);	/* nothing is written */
}

static void
test_examples(void **state)
{
	static const char joe[] = "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}";
	static const char three[] = SET(RSA(",\"kid\":\"1\"") "," EC(",\"kid\":\"2\"") "," OKP(",\"kid\":\"3\""));

	right(SET(RSA("")), RS256, JOSE_RS256, joe);
	right(SET(EC("")), ES256, JOSE_ES256, joe);
	right(SET(OKP("")), EDDSA, JOSE_EDDSA, "Example of Ed25519 signing");
	/* None says which key: of each kind there is one. */
	right(three, RS256, JOSE_RS256, joe);
	right(three, ES256, JOSE_ES256, joe);
	right(three, EDDSA, JOSE_EDDSA, "Example of Ed25519 signing");
	right(SET(RSA(",\"use\":\"sig\",\"alg\":\"RS256\",\"key_ops\":[\"verify\"],\"x5c\":[\"AA==\"]")), RS256, JOSE_RS256, joe);
}

static void
test_algorithms(void **state)
{
	wrong(SET(RSA("") "," EC("")), HS256, JOSE_WRONG, "`HS256` is not taken");
	wrong(SET(RSA("")), NONE, JOSE_WRONG, "`none` is not taken");
	wrong(SET(RSA("")), "eyJhbGciOiJOb25FIn0." PAYLOAD ".", JOSE_WRONG, "`NonE` is not taken");
	wrong(SET(RSA("")), "e30." PAYLOAD "." RS256_SIG, JOSE_WRONG, "`` is not taken");	/* {} */
	/* A key of another kind never vouches, whatever the token says. */
	wrong(SET(EC("")), RS256, JOSE_NO_KEY, "no key for RS256");
	wrong(SET(RSA("")), ES256, JOSE_NO_KEY, "no key for ES256");
	wrong(SET(RSA("")), EDDSA, JOSE_NO_KEY, "no key for EdDSA");
	wrong(SET(RSA(",\"alg\":\"PS256\"")), RS256, JOSE_NO_KEY, "no key for RS256");
	/* {"alg":"PS256"}: with the bytes of RS256 */
	wrong(SET(RSA("")), "eyJhbGciOiJQUzI1NiJ9." PAYLOAD "." RS256_SIG, JOSE_WRONG, "signature is wrong");
}

static void
test_keys_of_a_token(void **state)
{
	/* {"alg":"ES256","kid":"2"} */
	static const char of_two[] = "eyJhbGciOiJFUzI1NiIsImtpZCI6IjIifQ." PAYLOAD "." ES256_SIG;

	wrong(SET(EC("") "," EC("")), ES256, JOSE_WRONG, "names no key, and the provider has several");
	wrong(SET(EC(",\"kid\":\"1\"")), of_two, JOSE_NO_KEY, "no key of its kid (`2`)");
	wrong(SET(EC(",\"kid\":\"2\"") "," EC(",\"kid\":\"2\"")), of_two, JOSE_WRONG, "several keys of its kid");
	wrong(SET(EC("") "," RSA(",\"kid\":\"2\"")), of_two, JOSE_WRONG, "not for this algorithm");
	wrong(SET(OKP("") "," EC(",\"kid\":\"2\",\"use\":\"enc\"")), of_two, JOSE_WRONG, "not for signatures");
	wrong(SET(EC(",\"kid\":\"2\"")), of_two, JOSE_WRONG, "signature is wrong");	/* it covers the header */
}

static void
test_forms(void **state)
{
	static const struct { const char *token, *because; } rows[] = {
		{ "", "three parts" }, { ".", "three parts" }, { "..", "header" }, { "a.b.c.d", "three parts" },
		{ RS256 ".", "three parts" }, { "eyJhbGciOiJSUzI1NiJ9." PAYLOAD, "three parts" },
		{ "eyJhbGciOiJSUzI1NiJ9." PAYLOAD ".", "base64url" }, { RS256 "=", "base64url" }, { RS256 " ", "base64url" },
		{ "eyJhbGciOiJSUzI1NiJ9." PAYLOAD "." "cC4hi+==", "base64url" },
		{ " eyJhbGciOiJSUzI1NiJ9." PAYLOAD "." RS256_SIG, "header cannot be read" },
		{ "eyJhbGciOiJSUzI1NiJ9." PAYLOAD "AA." RS256_SIG, "wrong" },
		/* {"alg":"RS256","alg":"RS256"}; [1]; {"alg":"RS256","crit":["exp"]}; {"alg":"RS256","b64":false};
		 * {"alg":"RS256","typ":"at+jwt"}; {"alg":"RS256","kid":1} */
		{ "eyJhbGciOiJSUzI1NiIsImFsZyI6IlJTMjU2In0." PAYLOAD "." RS256_SIG, "header" },
		{ "WzFd." PAYLOAD "." RS256_SIG, "no object" },
		{ "eyJhbGciOiJSUzI1NiIsImNyaXQiOlsiZXhwIl19." PAYLOAD "." RS256_SIG, "crit" },
		{ "eyJhbGciOiJSUzI1NiIsImI2NCI6ZmFsc2V9." PAYLOAD "." RS256_SIG, "crit" },
		{ "eyJhbGciOiJSUzI1NiIsInR5cCI6ImF0K2p3dCJ9." PAYLOAD "." RS256_SIG, "typ" },
		{ "eyJhbGciOiJSUzI1NiIsImtpZCI6MX0." PAYLOAD "." RS256_SIG, "kid" },
	};
	struct jose_token t;
	struct err err;
	struct buf b;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		wrong(SET(RSA("")), rows[i].token, JOSE_WRONG, rows[i].because);
	buf_init(&b, 2 * JOSE_TOKEN_MAX);
	buf_puts(&b, "eyJhbGciOiJSUzI1NiJ9.");
	while (buf_size(&b) <= JOSE_TOKEN_MAX)
		buf_puts(&b, "AAAA");
	buf_puts(&b, "." RS256_SIG);
	assert_int_equal(verify(SET(RSA("")), buf_data(&b), &t, &err), JOSE_WRONG);
	assert_non_null(strstr(err.text, "too large"));
	buf_release(&b);
}

/* Every single bit of a signature, and of what is signed, counts. */
static void
test_bits(void **state)
{
	struct jose_set *set;
	char text[] = ES256;
	struct jose_token t;
	struct err err;

	set = jose_set_read(SPAN_LIT(SET(EC(""))), &err);
	assert_non_null(set);
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		for (int bit = 0; bit < 7; bit++) {
			text[i] = (char)(text[i] ^ 1 << bit);
			assert_int_not_equal(jose_verify(set, span_str(text), arena, &t, &err), JOSE_RIGHT);
			text[i] = (char)(text[i] ^ 1 << bit);
		}
	assert_int_equal(jose_verify(set, span_str(text), arena, &t, &err), JOSE_RIGHT);
	jose_set_free(&set);
}

static void
no_set(const char *text, const char *because)
{
	struct err err = { 0 };
	struct jose_set *set = jose_set_read(span_str(text), &err);

	assert_null(set);
	if (strstr(err.text, because) == NULL)
		fail_msg("%.200s: `%s` is not because of `%s`", text, err.text, because);
}

static void
test_sets(void **state)
{
	struct jose_set *set;
	struct err err;
	struct buf b;

	no_set("", "JSON");
	no_set("[]", "no set of keys");
	no_set("{\"keys\":{}}", "no set of keys");
	no_set(SET(""), "no key of the set would do");
	no_set(SET("1,null,[]"), "no key of the set would do");
	no_set(SET("{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T\"}"), "kind are not used");
	no_set("{\"keys\":[],\"keys\":[" RSA("") "]}", "JSON");
	no_set(SET(RSA(",\"use\":\"enc\"")), "not for signatures");
	no_set(SET(RSA(",\"key_ops\":[\"encrypt\"]")), "not for signatures");
	no_set(SET(RSA(",\"alg\":\"RSA-OAEP\"")), "algorithm is not used");
	no_set(SET(RSA(",\"alg\":\"HS256\"")), "algorithm is not used");
	no_set(SET(EC(",\"alg\":\"RS256\"")), "algorithm is not used");
	no_set(SET("{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\"}"), "curve");
	no_set(SET("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_X "\"}"), "no key's");	/* not on it */
	no_set(SET("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"" EC_Y "\"}"), "cannot be read");
	no_set(SET("{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08\"}"), "curve");
	no_set(SET("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"3p7b\"}"), "cannot be read");
	/* e: none, 1, even, of five bytes, with a zero before it */
	no_set(SET("{\"kty\":\"RSA\",\"n\":\"" RSA_N "\"}"), "cannot be read");
	no_set(SET("{\"kty\":\"RSA\",\"e\":\"AQ\",\"n\":\"" RSA_N "\"}"), "no key's");
	no_set(SET("{\"kty\":\"RSA\",\"e\":\"AQAA\",\"n\":\"" RSA_N "\"}"), "no key's");
	no_set(SET("{\"kty\":\"RSA\",\"e\":\"AQAAAAE\",\"n\":\"" RSA_N "\"}"), "no key's");
	no_set(SET("{\"kty\":\"RSA\",\"e\":\"AAEAAQ\",\"n\":\"" RSA_N "\"}"), "zeros");
	no_set(SET("{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"AQAB\"}"), "less than 2048");
	/* n of 8200 bits, all of them set; and so large that it is not read */
	buf_init(&b, 64 << 10);
	buf_puts(&b, "{\"keys\":[{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"");
	for (int i = 0; i < 1366; i++)
		buf_putc(&b, '_');
	buf_puts(&b, "w\"}]}");
	buf_putc(&b, '\0');
	no_set(buf_data(&b).p, "more than 8192");
	buf_reset(&b);
	buf_puts(&b, "{\"keys\":[{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"");
	for (int i = 0; i < 20000; i++)
		buf_putc(&b, '_');
	buf_puts(&b, "\"}]}");
	buf_putc(&b, '\0');
	no_set(buf_data(&b).p, "cannot be read");
	buf_reset(&b);
	buf_puts(&b, "{\"keys\":[1");
	for (int i = 0; i < JOSE_KEYS_MAX; i++)
		buf_puts(&b, ",1");
	buf_puts(&b, "]}");
	buf_putc(&b, '\0');
	no_set(buf_data(&b).p, "more than 64");
	buf_release(&b);
	/* One that would not do does not spoil the others. */
	set = jose_set_read(SPAN_LIT(SET("{\"kty\":\"oct\"}," RSA("") "," EC(",\"use\":\"enc\""))), &err);
	assert_non_null(set);
	assert_int_equal(jose_set_count(set), 1);
	jose_set_free(&set);
	jose_set_free(&set);
}

static void
test_base64url(void **state)
{
	static const struct { const char *text; const char *bytes; size_t n; } good[] = {
		{ "", "", 0 }, { "AA", "\0", 1 }, { "_w", "\xff", 1 }, { "-_8", "\xfb\xff", 2 }, { "A-z_", "\x03\xec\xff", 3 },
		{ "A-z_4ME", "\x03\xec\xff\xe0\xc1", 5 },	/* RFC 7515, C */
	};
	static const char *const bad[] = { "A", "AAAAA", "AB", "AAB", "A=", "AA==", "A+8", "A/8", "A A", "AA\n", "\xff\xff" };
	struct span out;
	char text[16];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(base64url_read(span_str(good[i].text), arena, &out));
		assert_int_equal(out.n, good[i].n);
		assert_memory_equal(out.p, good[i].bytes, out.n);
		base64url_write(text, (const unsigned char *)out.p, out.n);
		assert_string_equal(text, good[i].text);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (base64url_read(span_str(bad[i]), arena, &out))
			fail_msg("`%s` is taken", bad[i]);
}

/* OpenID Connect Core 1.0, A.3: the example's access token and its at_hash. */
static void
test_half_hash(void **state)
{
	assert_true(jose_half_hash_is(JOSE_RS256, SPAN_LIT("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"),
	    SPAN_LIT("77QmUPtjPfzWtF2AnpK9RQ")));
	assert_false(jose_half_hash_is(JOSE_EDDSA, SPAN_LIT("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"),
	    SPAN_LIT("77QmUPtjPfzWtF2AnpK9RQ")));
	assert_false(jose_half_hash_is(JOSE_RS256, SPAN_LIT(""), SPAN_LIT("")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_examples, setup, teardown),
		cmocka_unit_test_setup_teardown(test_algorithms, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keys_of_a_token, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forms, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sets, setup, teardown),
		cmocka_unit_test_setup_teardown(test_base64url, setup, teardown),
		cmocka_unit_test_setup_teardown(test_half_hash, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
