/* jose.c -- see jose.h. The numbers of keys are bounded before OpenSSL sees them. */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <stdlib.h>

#include "fetcher/jose.h"
#include "ipc/json_read.h"

#define P256_BYTES 32
#define ED25519_BYTES 32
#define EXPONENT_BYTES 4		/* 65537 has three */

/* What a key may vouch for: a kind of key has its algorithms, and no other. */
#define ALG(name) (1u << JOSE_##name)

struct key {
	struct span kid;
	unsigned algs;			/* ALG(); 0: it would not do, see fault */
	const char *fault;
	EVP_PKEY *pkey;
};

struct jose_set {
	struct arena *arena;
	struct key keys[JOSE_KEYS_MAX];
	size_t n, good;
};

static const struct { const char *name, *hash; } algs[JOSE_ALGS] = {
#define X(name, text, hash) [JOSE_##name] = { text, hash },
	JOSE_ALGS_LIST(X)
#undef X
};

const char *
jose_alg_name(enum jose_alg a)
{
	return algs[a].name;
}

/* ---- base64url ---- */

static int
value_of(char c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 :
	    c >= '0' && c <= '9' ? c - '0' + 52 : c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool
base64url_read(struct span text, struct arena *a, struct span *out)
{
	char *to = arena_alloc(a, text.n / 4 * 3 + 4);
	uint32_t bits = 0;
	unsigned have = 0;
	size_t n = 0;

	if (text.n % 4 == 1)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		int v = value_of(text.p[i]);

		if (v < 0)
			return false;
		bits = bits << 6 | (uint32_t)v;
		if ((have += 6) >= 8) {
			have -= 8;
			to[n++] = (char)(bits >> have & 255);
		}
	}
	if (bits & ((1u << have) - 1))	/* the same bytes have one spelling */
		return false;
	to[n] = '\0';
	*out = span_make(to, n);
	return true;
}

void
base64url_write(char *to, const unsigned char *p, size_t n)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint32_t bits = 0;
	unsigned have = 0;

	for (size_t i = 0; i < n; i++) {
		bits = bits << 8 | p[i];
		for (have += 8; have >= 6; have -= 6)
			*to++ = letters[bits >> (have - 6) & 63];
	}
	if (have)
		*to++ = letters[bits << (6 - have) & 63];
	*to = '\0';
}

/* ---- keys ---- */

static bool
number_of(const struct jval *jwk, const char *name, struct arena *a, struct span *out)
{
	struct span text = jval_text(jwk, name);

	return text.n && text.n <= JOSE_RSA_MAX / 6 + 8 && base64url_read(text, a, out) && out->n;
}

/* Takes the builder's parts and forgets them. NULL: OpenSSL does not want it. */
static EVP_PKEY *
made_of(const char *type, OSSL_PARAM_BLD *bld)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *pkey = NULL;

	if (params == NULL || ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
		pkey = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	return pkey;
}

static EVP_PKEY *
rsa_key(struct span n, struct span e)
{
	BIGNUM *bn = BN_bin2bn((const unsigned char *)n.p, (int)n.n, NULL),
	    *be = BN_bin2bn((const unsigned char *)e.p, (int)e.n, NULL);
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	EVP_PKEY *pkey;

	ASSERT(bn && be && bld && OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, bn) == 1 &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, be) == 1);
	pkey = made_of("RSA", bld);
	BN_free(bn);
	BN_free(be);
	return pkey;
}

static size_t
bits_of(struct span n)
{
	size_t bits = 8 * n.n;

	for (unsigned char first = (unsigned char)n.p[0]; !(first & 0x80); first = (unsigned char)(first << 1))
		bits--;
	return bits;
}

static const char *
read_rsa(const struct jval *jwk, struct arena *a, struct key *k)
{
	struct span n, e;

	if (!number_of(jwk, "n", a, &n) || !number_of(jwk, "e", a, &e))
		return "its numbers cannot be read";
	if (n.p[0] == 0 || e.p[0] == 0)		/* RFC 7518, 6.3.1.1 */
		return "its numbers begin with zeros";
	if (bits_of(n) < JOSE_RSA_MIN)
		return "it is of less than 2048 bits";
	if (bits_of(n) > JOSE_RSA_MAX)
		return "it is of more than 8192 bits";
	if (!(n.p[n.n - 1] & 1) || !(e.p[e.n - 1] & 1) || e.n > EXPONENT_BYTES || (e.n == 1 && e.p[0] == 1))
		return "its numbers are no key's";
	if ((k->pkey = rsa_key(n, e)) == NULL)
		return "its numbers are no key's";
	k->algs = ALG(RS256) | ALG(PS256);
	return NULL;
}

static const char *
read_ec(const struct jval *jwk, struct arena *a, struct key *k)
{
	unsigned char point[1 + 2 * P256_BYTES] = { POINT_CONVERSION_UNCOMPRESSED };
	OSSL_PARAM_BLD *bld;
	struct span x, y;

	if (!span_is(jval_text(jwk, "crv"), "P-256"))
		return "its curve is not used here";
	if (!number_of(jwk, "x", a, &x) || !number_of(jwk, "y", a, &y) || x.n != P256_BYTES || y.n != P256_BYTES)
		return "its numbers cannot be read";
	memcpy(point + 1, x.p, x.n);
	memcpy(point + 1 + P256_BYTES, y.p, y.n);
	bld = OSSL_PARAM_BLD_new();
	ASSERT(bld && OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) == 1 &&
	    OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)) == 1);
	if ((k->pkey = made_of("EC", bld)) == NULL)	/* a point that is not on the curve, too */
		return "its numbers are no key's";
	k->algs = ALG(ES256);
	return NULL;
}

static const char *
read_okp(const struct jval *jwk, struct arena *a, struct key *k)
{
	struct span x;

	if (!span_is(jval_text(jwk, "crv"), "Ed25519"))
		return "its curve is not used here";
	if (!number_of(jwk, "x", a, &x) || x.n != ED25519_BYTES ||
	    (k->pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (const unsigned char *)x.p, x.n)) == NULL)
		return "its numbers cannot be read";
	k->algs = ALG(EDDSA);
	return NULL;
}

static bool
has_text(const struct jval *list, const char *text)
{
	for (size_t i = 0; i < jval_count(list); i++)
		if (span_is(jval_str(jval_at(list, i)), text))
			return true;
	return false;
}

/* NULL: it would do. */
static const char *
read_key(const struct jval *jwk, struct arena *a, struct key *k)
{
	struct span kty = jval_text(jwk, "kty"), alg = jval_text(jwk, "alg");
	const char *fault;
	unsigned only = 0;

	if (jval_has(jwk, "use") && !span_is(jval_text(jwk, "use"), "sig"))
		return "it is not for signatures";
	if (jval_has(jwk, "key_ops") && !has_text(jval_get(jwk, "key_ops"), "verify"))
		return "it is not for signatures";
	fault = span_is(kty, "RSA") ? read_rsa(jwk, a, k) : span_is(kty, "EC") ? read_ec(jwk, a, k) :
	    span_is(kty, "OKP") ? read_okp(jwk, a, k) : "keys of its kind are not used here";
	if (fault || !jval_has(jwk, "alg"))
		return fault;
	for (unsigned i = 0; i < JOSE_ALGS; i++)
		only |= span_is(alg, algs[i].name) ? 1u << i : 0;
	k->algs &= only;
	return k->algs ? NULL : "its algorithm is not used here, or not with such a key";
}

struct jose_set *
jose_set_read(struct span text, struct err *err)
{
	struct jose_set *set = calloc(1, sizeof(*set));
	const struct jval *keys;
	struct jval *v = NULL;

	ASSERT(set != NULL);
	set->arena = arena_new(0);
	if (text.n > JOSE_SET_MAX) {
		err_set(err, 0, "a set of keys of %zu bytes is too large", text.n);
		goto bad;
	}
	if ((v = jval_parse(text, err)) == NULL)
		goto bad;
	keys = jval_get(v, "keys");
	if (!jval_is_array(keys) || jval_count(keys) > JOSE_KEYS_MAX) {
		err_set(err, 0, "this is no set of keys, or one of more than %d", JOSE_KEYS_MAX);
		goto bad;
	}
	for (size_t i = 0; i < jval_count(keys); i++) {
		const struct jval *jwk = jval_at(keys, i);
		struct key *k = &set->keys[set->n++];

		k->kid = arena_span(set->arena, span_sub(jval_text(jwk, "kid"), 0, JOSE_KID_MAX));
		k->fault = jval_text(jwk, "kid").n > JOSE_KID_MAX ? "its kid is too long" : read_key(jwk, set->arena, k);
		if (k->fault)
			k->algs = 0;
		else
			set->good++;
	}
	ERR_clear_error();
	if (set->good == 0) {
		err_set(err, 0, "no key of the set would do%s%s", set->n ? ": of the first, " : "",
		    set->n ? set->keys[0].fault : "");
		goto bad;
	}
	jval_free(&v);
	return set;
bad:
	jval_free(&v);
	jose_set_free(&set);
	return NULL;
}

void
jose_set_free(struct jose_set **sp)
{
	struct jose_set *set = *sp;

	*sp = NULL;
	if (set == NULL)
		return;
	for (size_t i = 0; i < set->n; i++)
		EVP_PKEY_free(set->keys[i].pkey);
	arena_free(&set->arena);
	free(set);
}

size_t
jose_set_count(const struct jose_set *set)
{
	return set->good;
}

/* ---- signatures ---- */

/* r and s, each of 32 bytes (RFC 7518, 3.4), as OpenSSL wants them. 0: they are none. */
static int
ecdsa_der(struct span sig, unsigned char **der)
{
	ECDSA_SIG *s = ECDSA_SIG_new();
	BIGNUM *r, *v;
	int n;

	ASSERT(s != NULL);
	r = BN_bin2bn((const unsigned char *)sig.p, P256_BYTES, NULL);
	v = BN_bin2bn((const unsigned char *)sig.p + P256_BYTES, P256_BYTES, NULL);
	ASSERT(r && v && ECDSA_SIG_set0(s, r, v) == 1);
	*der = NULL;
	n = i2d_ECDSA_SIG(s, der);
	ECDSA_SIG_free(s);
	return n > 0 ? n : 0;
}

static bool
signed_by(EVP_PKEY *pkey, enum jose_alg alg, struct span text, struct span sig)
{
	const unsigned char *p = (const unsigned char *)sig.p;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char *der = NULL;
	EVP_PKEY_CTX *how = NULL;
	size_t n = sig.n;
	bool ok = false;

	ASSERT(ctx != NULL);
	if (alg == JOSE_ES256) {
		if (sig.n != 2 * P256_BYTES || (n = (size_t)ecdsa_der(sig, &der)) == 0)
			goto out;
		p = der;
	}
	if (EVP_DigestVerifyInit(ctx, &how, alg == JOSE_EDDSA ? NULL : EVP_sha256(), NULL, pkey) != 1)
		goto out;
	if (alg == JOSE_PS256 && (EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PSS_PADDING) != 1 ||
	    EVP_PKEY_CTX_set_rsa_pss_saltlen(how, RSA_PSS_SALTLEN_DIGEST) != 1))
		goto out;
	ok = EVP_DigestVerify(ctx, p, n, (const unsigned char *)text.p, text.n) == 1;
out:
	OPENSSL_free(der);
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return ok;
}

/* The only one that could have made it. NULL: err says why not, *verdict too. */
static const struct key *
key_for(const struct jose_set *set, const struct jose_token *t, enum jose_verdict *verdict, struct err *err)
{
	const struct key *found = NULL, *bad = NULL;
	size_t n = 0;

	for (size_t i = 0; i < set->n; i++) {
		const struct key *k = &set->keys[i];

		if (t->kid.n && !span_eq(k->kid, t->kid))
			continue;
		if (k->algs & 1u << t->alg) {
			found = k;
			n++;
		} else if (t->kid.n) {
			bad = k;
		}
	}
	*verdict = JOSE_WRONG;
	if (n == 1)
		return found;
	if (n > 1)
		err_set(err, 0, t->kid.n ? "the provider has several keys of its kid" :
		    "it names no key, and the provider has several");
	else if (bad)
		err_set(err, 0, "its key would not do: %s", bad->fault ? bad->fault : "it is not for this algorithm");
	else if (t->kid.n)
		err_set(err, 0, "the provider has no key of its kid (`" SPAN_FMT "`)", SPAN_ARG(span_sub(t->kid, 0, 80)));
	else
		err_set(err, 0, "the provider has no key for %s", algs[t->alg].name);
	if (n == 0 && bad == NULL)
		*verdict = JOSE_NO_KEY;
	return NULL;
}

static int
read_header(struct span text, struct arena *a, struct jose_token *t, struct err *err)
{
	struct span raw, alg, typ, kid;
	struct jval *v;
	int r = -1;

	if (text.n > 2 * JOSE_HEADER_MAX || !base64url_read(text, a, &raw) || raw.n > JOSE_HEADER_MAX)
		return err_set(err, 0, "its header cannot be read");
	if ((v = jval_parse(raw, err)) == NULL)
		return err_wrap(err, "its header");
	alg = jval_text(v, "alg");
	typ = jval_text(v, "typ");
	kid = jval_text(v, "kid");
	t->alg = 0;
	while (t->alg < JOSE_ALGS && !span_is(alg, algs[t->alg].name))
		t->alg++;
	if (!jval_is_object(v))
		err_set(err, 0, "its header is no object");
	else if (t->alg == JOSE_ALGS)
		err_set(err, 0, "the algorithm `" SPAN_FMT "` is not taken here", SPAN_ARG(span_sub(alg, 0, 40)));
	else if (jval_has(v, "crit") || jval_has(v, "b64"))
		err_set(err, 0, "its header wants what is not known here (`crit`)");
	else if (typ.n && span_ends_nocase(typ, SPAN_LIT("+jwt")))
		err_set(err, 0, "it is a token for something else (`typ`: " SPAN_FMT ")", SPAN_ARG(span_sub(typ, 0, 40)));
	else if (jval_has(v, "kid") && (kid.n == 0 || kid.n > JOSE_KID_MAX))
		err_set(err, 0, "its kid is none");
	else
		r = 0;
	t->kid = arena_span(a, kid);
	jval_free(&v);
	return r;
}

enum jose_verdict
jose_verify(const struct jose_set *set, struct span token, struct arena *a, struct jose_token *out, struct err *err)
{
	size_t one = span_find(token, '.'), two = one + 1 + span_find(span_from(token, one + 1), '.');
	struct jose_token t = { 0 };
	enum jose_verdict verdict;
	const struct key *k;
	struct span sig;

	if (token.n > JOSE_TOKEN_MAX)
		return err_set(err, 0, "a token of %zu bytes is too large", token.n), JOSE_WRONG;
	if (two >= token.n || span_find(span_from(token, two + 1), '.') < token.n - two - 1)
		return err_set(err, 0, "a token has three parts"), JOSE_WRONG;
	if (read_header(span_sub(token, 0, one), a, &t, err) == -1)
		return JOSE_WRONG;
	if (!base64url_read(span_sub(token, one + 1, two - one - 1), a, &t.payload) ||
	    !base64url_read(span_from(token, two + 1), a, &sig) || sig.n == 0)
		return err_set(err, 0, "it is not base64url"), JOSE_WRONG;
	if ((k = key_for(set, &t, &verdict, err)) == NULL)
		return verdict;
	if (!signed_by(k->pkey, t.alg, span_sub(token, 0, two), sig))
		return err_set(err, 0, "its signature is wrong"), JOSE_WRONG;
	*out = t;
	return JOSE_RIGHT;
}

bool
jose_half_hash_is(enum jose_alg alg, struct span text, struct span hash)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	char half[2 * EVP_MAX_MD_SIZE];
	unsigned n;

	ASSERT(EVP_Digest(text.p ? text.p : "", text.n, digest, &n, EVP_get_digestbyname(algs[alg].hash), NULL) == 1);
	base64url_write(half, digest, n / 2);
	return hash.n == strlen(half) && CRYPTO_memcmp(hash.p, half, hash.n) == 0;
}
