/* jose.h -- signed tokens (JWS, RFC 7515) and the keys that vouch for them (JWK, RFC 7517): pure.
 *
 * Little is taken, and nothing is guessed: compact serialization, base64url without padding and with no bit
 * to spare, JSON in which no member stands twice, and of algorithms the four of JOSE_ALGS, each bound to its one
 * kind of key. There is no HMAC here and no `none`: a public key can never be taken for a secret. What the
 * header says of keys (jwk, jku, x5u, x5c) is not looked at; a header with `crit` is refused. A key that
 * would not do (too small, too large, for encryption, of a curve not known here) is remembered as such, so that a
 * token of its `kid` is refused with the reason.
 */
#ifndef FETCHER_JOSE_H
#define FETCHER_JOSE_H

#include "postern/arena.h"
#include "postern/err.h"

#define JOSE_SET_MAX ((size_t)256 << 10)	/* bytes of a set of keys */
#define JOSE_KEYS_MAX 64
#define JOSE_TOKEN_MAX ((size_t)64 << 10)
#define JOSE_HEADER_MAX 4096			/* decoded */
#define JOSE_KID_MAX 256
#define JOSE_RSA_MIN 2048			/* bits */
#define JOSE_RSA_MAX 8192

/* X(NAME, "alg", hash that at_hash is made with) */
#define JOSE_ALGS_LIST(X) \
	X(RS256, "RS256", "SHA256") X(PS256, "PS256", "SHA256") X(ES256, "ES256", "SHA256") \
	X(EDDSA, "EdDSA", "SHA512")	/* Ed25519 (RFC 8037) */
enum jose_alg {
#define X(name, text, hash) JOSE_##name,
	JOSE_ALGS_LIST(X)
#undef X
	JOSE_ALGS
};
const char *jose_alg_name(enum jose_alg a);

struct jose_set;
/* NULL: err says why it is no set of keys. One without a key that would do is none. */
struct jose_set *jose_set_read(struct span text, struct err *err);
void jose_set_free(struct jose_set **set);	/* NULL-safe */
size_t jose_set_count(const struct jose_set *set);	/* of keys that would do */

struct jose_token {
	enum jose_alg alg;
	struct span kid;		/* "" none */
	struct span payload;		/* decoded; signed */
};

enum jose_verdict {
	JOSE_WRONG,			/* zero: nobody vouches for it */
	JOSE_NO_KEY,			/* no key of the set has its kid: there may be a newer set */
	JOSE_RIGHT,
};
/* *t is written for RIGHT alone; its texts lie in the arena. Otherwise err says what is wrong. */
enum jose_verdict jose_verify(const struct jose_set *set, struct span token, struct arena *a, struct jose_token *t,
    struct err *err);
/* Is `hash` (base64url) the left half of text's hash (OpenID Connect Core 1.0, 3.1.3.6)? */
bool jose_half_hash_is(enum jose_alg alg, struct span text, struct span hash);

/* Without padding, strictly (RFC 7515, 2). false: it is none. The bytes lie in the arena. */
bool base64url_read(struct span text, struct arena *a, struct span *out);
void base64url_write(char *to, const unsigned char *bytes, size_t n);	/* 4 * n / 3 + 2 bytes and NUL */

#endif
