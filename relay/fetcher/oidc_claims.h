/* oidc_claims.h -- what a provider of OpenID Connect says of itself and of who signs in: read and judged, pure.
 *
 * The discovery document (OpenID Connect Discovery 1.0, 4.2), the answer of the token endpoint, and the claims of
 * an ID token whose signature was checked (OpenID Connect Core 1.0, 3.1.3.7). What is not as it has to be is refused
 * with a reason, never mended. Called by oidc.c, in the fetcher; by the fuzzer and unit tests with bytes of their own.
 */
#ifndef FETCHER_OIDC_CLAIMS_H
#define FETCHER_OIDC_CLAIMS_H

#include "fetcher/jose.h"
#include "master/config.h"

#define OIDC_DISCOVERY_MAX ((size_t)128 << 10)
#define OIDC_ANSWER_MAX ((size_t)192 << 10)	/* of the token endpoint: two tokens and a refresh token */
#define OIDC_URL_MAX 2048
#define OIDC_SUBJECT_MAX 255			/* Core, 2: `sub` */
#define OIDC_AUDIENCES_MAX 16
#define OIDC_GROUPS_MAX 2000
#define OIDC_AGE_MAX (600 * INT64_C(1000000))	/* a token was made as we asked for it */

struct oidc_provider {
	struct span authorize, token, keys;	/* https: URLs */
	struct span leave;			/* end_session_endpoint; "" none */
	bool post;				/* the secret goes in the body: client_secret_post alone is offered */
	bool says_iss;				/* RFC 9207: a return without `iss` is not its */
};
/* Of conf's issuer. -1: err. Texts lie in the arena. */
int oidc_provider_read(struct span text, const struct conf_console_oidc *conf, struct arena *a,
    struct oidc_provider *p, struct err *err);

struct oidc_tokens {
	struct span id_token, access_token;
};
/* status: of HTTP. -1: err; *refused: the provider said no, it did not fail. */
int oidc_tokens_read(int status, struct span text, struct arena *a, struct oidc_tokens *t, bool *refused,
    struct err *err);

struct oidc_person {
	struct span subject, name;		/* the name in lower case */
	struct span mail;			/* "" none, or not to be believed */
	unsigned roles;				/* PRINCIPAL_BIT */
	struct span domains;			/* lines */
};
/* Of a token that was verified. nonce: the one that was sent. now: clock_real. -1: err says what is wrong. */
int oidc_claims_read(const struct jose_token *token, struct span access_token, struct span nonce,
    const struct config *conf, int64_t now, struct arena *a, struct oidc_person *p, struct err *err);

#endif
