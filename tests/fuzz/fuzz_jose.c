/* fuzz_jose.c -- what a provider of OpenID Connect may send: keys, tokens, claims, its description. The first byte says
 * which. A token is never right unless one of the keys of RFC 7515 and 8037 has signed it; what is taken of claims
 * is within its bounds, and fit for a log and a database. */
#include "fetcher/oidc_claims.h"
#include "ipc/principal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char set_text[] = "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"e\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"},{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
    "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";

static void
plain(struct span s, size_t max)
{
	ASSERT(s.n > 0 && s.n <= max);
	for (size_t i = 0; i < s.n; i++)
		ASSERT(s.p[i] >= ' ' && s.p[i] <= '~');
}

static void
base64url(struct span in, struct arena *a)
{
	char *text = arena_alloc(a, in.n + 8);
	struct span out;

	if (!base64url_read(in, a, &out))
		return;
	base64url_write(text, (const unsigned char *)out.p, out.n);
	ASSERT(span_is(in, text));
}

static void
keys(struct span in)
{
	struct err err = { 0 };
	struct jose_set *set = jose_set_read(in, &err);

	ASSERT(set ? jose_set_count(set) > 0 && jose_set_count(set) <= JOSE_KEYS_MAX : err.text[0] != '\0');
	jose_set_free(&set);
}

static void
token(struct span in, struct arena *a)
{
	static struct jose_set *set;
	struct jose_token t;
	struct err err = { 0 };

	if (set == NULL && (set = jose_set_read(span_str(set_text), &err)) == NULL)
		abort();
	if (jose_verify(set, in, a, &t, &err) != JOSE_RIGHT) {
		ASSERT(err.text[0] != '\0');
		return;
	}
	ASSERT(t.alg == JOSE_ES256 ? span_starts(t.payload, SPAN_LIT("{\"iss\":\"joe\"")) : t.alg == JOSE_EDDSA &&
	    span_is(t.payload, "Example of Ed25519 signing"));
}

static void
claims(struct span in, struct arena *a)
{
	static struct conf_console_role roles[] = { { .group = { "admins", 6 }, .role = PRINCIPAL_BIT(ADMIN) },
		{ .group = { "one", 3 }, .role = PRINCIPAL_BIT(DOMAIN_ADMIN), .domain = { "one.lab", 7 } } };
	static struct conf_domain domains[] = { { .name = { "one.lab", 7 } } };
	static struct config conf = { .domains = domains, .ndomains = 1, .console.oidc = { .groups_claim = { "a.b", 3 },
		.roles = roles, .nroles = 2, .skew = 60000000 } };
	struct jose_token t = { .alg = JOSE_ES256, .payload = in };
	struct oidc_person p;
	struct err err = { 0 };

	conf.console.oidc.issuer = SPAN_LIT("https://idp.lab/x");
	conf.console.oidc.client_id = SPAN_LIT("postern");
	conf.console.oidc.name_claim = SPAN_LIT("preferred_username");
	if (oidc_claims_read(&t, SPAN_LIT("x"), SPAN_LIT("n-0S6_WzA2Mj"), &conf, INT64_C(1800000000000000), a, &p, &err) == -1) {
		ASSERT(err.text[0] != '\0');
		return;
	}
	plain(p.subject, OIDC_SUBJECT_MAX);
	plain(p.name, 64);
	if (p.mail.n)
		plain(p.mail, 254);
	ASSERT((p.roles & ~(PRINCIPAL_BIT(ADMIN) | PRINCIPAL_BIT(DOMAIN_ADMIN) | PRINCIPAL_BIT(USER))) == 0);
	ASSERT(p.mail.n || !(p.roles & PRINCIPAL_BIT(USER)));
}

static void
provider(struct span in, struct arena *a)
{
	struct conf_console_oidc conf = { .issuer = SPAN_LIT("https://idp.lab/x") };
	struct oidc_provider p;
	struct oidc_tokens t;
	struct err err = { 0 };
	bool refused;

	if (oidc_provider_read(in, &conf, a, &p, &err) == 0) {
		plain(p.authorize, OIDC_URL_MAX);
		plain(p.token, OIDC_URL_MAX);
		plain(p.keys, OIDC_URL_MAX);
		ASSERT(span_starts(p.token, SPAN_LIT("https://")) && span_find(p.token, ' ') == p.token.n);
	}
	if (oidc_tokens_read(200, in, a, &t, &refused, &err) == 0)
		ASSERT(t.id_token.n > 0);
	if (oidc_tokens_read(400, in, a, &t, &refused, &err) == -1)
		plain(span_str(err.text), sizeof(err.text));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a;
	struct span in;

	if (size == 0)
		return 0;
	a = arena_new(0);
	in = span_make((const char *)data + 1, size - 1);
	switch (data[0] % 5) {
	case 0: base64url(in, a); break;
	case 1: keys(in); break;
	case 2: token(in, a); break;
	case 3: claims(in, a); break;
	case 4: provider(in, a); break;
	}
	arena_free(&a);
	return 0;
}
