/* tls_cache.h -- TLS sessions of servers, kept for the next connection.
 *
 * OpenSSL calls every resumed session well verified, whatever its first
 * handshake found out: so what was proved is kept beside the session, and
 * stands for it when it is resumed. A session is looked up by a key in which
 * everything stands that its proof depends on (session.c: the host as it was
 * asked for, address, port, the TLSA records held against it); the caller
 * looks at the certificate and the proof before he takes it.
 *
 * Bounded: TLS_CACHE_MAX sessions, the one unused longest goes first;
 * TLS_CACHE_PER_KEY of one key; TLS_CACHE_LIFE at most, and never past the
 * end of the server's certificate. A ticket of TLS 1.3 is given out once (RFC 8446, C.4).
 */
#ifndef NET_TLS_CACHE_H
#define NET_TLS_CACHE_H

#include <stdint.h>

#include "postern/span.h"

#define TLS_CACHE_MAX 1000
#define TLS_CACHE_PER_KEY 16
#define TLS_CACHE_LIFE 3600		/* seconds */

struct ssl_session_st;
struct tls_cache;

/* What a full handshake has found out about the certificate. */
struct tls_proof {
	bool known;
	long chain;		/* X509_V_OK, or what is wrong with it */
	int dane;		/* usage of the TLSA record that matched; -1: none */
};

struct tls_cache *tls_cache_new(void);
void tls_cache_free(struct tls_cache **c);		/* NULL-safe */
/* Takes the session. now: Unix seconds. */
void tls_cache_put(struct tls_cache *c, struct span key, struct ssl_session_st *session,
    const struct tls_proof *proof, int64_t now);
/* The newest session of the key that `fits` agrees to, as a reference of the caller's; NULL: none. */
struct ssl_session_st *tls_cache_take(struct tls_cache *c, struct span key, int64_t now,
    bool (*fits)(void *ctx, struct ssl_session_st *session, const struct tls_proof *proof),
    void *ctx, struct tls_proof *proof);
/* All of the key: the server did not get on with one. */
void tls_cache_forget(struct tls_cache *c, struct span key);
size_t tls_cache_count(const struct tls_cache *c);

#endif
