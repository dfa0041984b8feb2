/* transport.h -- bytes over a connected socket, with or without TLS, never blocking. */
#ifndef NET_TRANSPORT_H
#define NET_TRANSPORT_H

#include <sys/types.h>

#include "net/tls_cache.h"
#include "postern/arena.h"
#include "postern/err.h"
#include "postern/span.h"

struct ssl_ctx_st;
struct ssl_st;

struct transport {
	int fd;			/* -1: none */
	struct ssl_st *ssl;	/* NULL: plain */
	bool wants_write;	/* the last call that returned TRANSPORT_AGAIN waits for room */
	struct tls_proof proof;	/* a client's, once shaken; of the first handshake when it was resumed */
	/* transport_resume() */
	struct tls_cache *cache;
	struct span cache_key;
	struct ssl_session_st *fresh;	/* came before anything was proved */
	bool offered;			/* a session was offered; shaken and proof.known: and taken? */
};

#define TRANSPORT_AGAIN (-1)
#define TRANSPORT_BROKEN (-2)	/* err says why */

/* The client's context: versions and ciphers as the system's OpenSSL is configured. roots: CA
 * certificates (PEM); NULL: the system's, and with none of them every certificate is
 * unverified. Reads files: before the sandbox. */
struct ssl_ctx_st *transport_context(const char *roots, struct err *err);
void transport_context_free(struct ssl_ctx_st **ctx);

void transport_close(struct transport *t);
/* Bytes read; 0: the end (with TLS also one without a goodbye: nothing a server says between
 * commands is made whole by it). */
ssize_t transport_read(struct transport *t, void *p, size_t n, struct err *err);
/* Bytes taken, more than 0. */
ssize_t transport_write(struct transport *t, const struct span *v, size_t n, struct err *err);
/* From here on TLS; name: for SNI. */
int transport_tls(struct transport *t, struct ssl_ctx_st *ctx, const char *name, struct err *err);
/* The same for the server's side. */
int transport_tls_accept(struct transport *t, struct ssl_ctx_st *ctx, struct err *err);
/* 0 done, TRANSPORT_AGAIN, TRANSPORT_BROKEN */
int transport_handshake(struct transport *t, struct err *err);
/* Before the first handshake: the certificate must match one of these records (RFC 7671),
 * found at `base`, which becomes the name asked for; `also` (NULL-terminated) are other names
 * it may say where a record names an authority. */
struct tlsa { unsigned char usage, selector, matching; struct span data; };
int transport_dane(struct transport *t, const char *base, const char *const *also,
    const struct tlsa *v, size_t n, struct err *err);

/* Before the handshake, behind transport_dane: a session kept under the key is offered when its
 * certificate has proved `least` for one of the names, and sessions of this connection are kept. The
 * transport stays where it is and the key where it lies until transport_close. */
enum proved { PROVED_NOTHING, PROVED_NAME, PROVED_DANE };
void transport_resume(struct transport *t, struct tls_cache *cache, struct span key,
    enum proved least, const struct span *names, size_t n);
bool transport_resumed(const struct transport *t);

/* What the certificate of the other side has proved: that a record names it (and, where it names an
 * authority, the certificate is for one of the names), or that the roots
 * vouch for it and it is for one of the names (host names, addresses). A resumed session has
 * proved what its first handshake did, for the names asked for now. The handshake does not
 * fail for it: the caller asks, and leaves when it wanted more. why: unless DANE, what is wrong
 * with it ("self-signed certificate", "it is not for mx.example.net", …). */
enum proved transport_proved(const struct transport *t, const struct span *names, size_t n,
    struct err *why);
/* "TLSv1.3 TLS_AES_256_GCM_SHA384", in buf. */
#define TRANSPORT_AGREED_MAX 96
struct span transport_agreed(const struct transport *t, char buf[static TRANSPORT_AGREED_MAX]);
/* "TLSv1.3 TLS_AES_256_GCM_SHA384 verified subject=CN=mx.example.net", or "unverified", or
 * "dane"; "" without TLS */
struct span transport_tls_text(const struct transport *t, enum proved proved, struct arena *a);
/* The first of the names that the peer's certificate is for, when a CA of the context vouches for
 * it; the empty span: none. */
struct span transport_peer_name(const struct transport *t, const struct span *names, size_t n);
/* Says goodbye (close_notify) as far as the socket takes it, and ends our direction. -1: the
 * connection is gone. */
int transport_shutdown(struct transport *t);

#endif
