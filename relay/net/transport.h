/* transport.h -- bytes over a connected socket, with or without TLS, never blocking. */
#ifndef NET_TRANSPORT_H
#define NET_TRANSPORT_H

#include <sys/types.h>

#include "postern/arena.h"
#include "postern/err.h"
#include "postern/span.h"

struct ssl_ctx_st;
struct ssl_st;

struct transport {
	int fd;			/* -1: none */
	struct ssl_st *ssl;	/* NULL: plain */
	bool wants_write;	/* the last call that returned TRANSPORT_AGAIN waits for room */
};

#define TRANSPORT_AGAIN (-1)
#define TRANSPORT_BROKEN (-2)	/* err says why */

/* The client's context: versions and ciphers as the system's OpenSSL is configured, its roots to
 * tell "verified" from "unverified". Reads files: before the sandbox. */
struct ssl_ctx_st *transport_context(struct err *err);
/* Other authorities than the system's; reads a file. */
int transport_roots(struct ssl_ctx_st *ctx, const char *file, struct err *err);
void transport_context_free(struct ssl_ctx_st **ctx);

void transport_close(struct transport *t);
/* Bytes read; 0: the end (with TLS also one without a goodbye: nothing a server says between
 * commands is made whole by it). */
ssize_t transport_read(struct transport *t, void *p, size_t n, struct err *err);
/* Bytes taken, more than 0. */
ssize_t transport_write(struct transport *t, const struct span *v, size_t n, struct err *err);
/* From here on TLS; name: SNI and what the certificate should say. */
int transport_tls(struct transport *t, struct ssl_ctx_st *ctx, const char *name, struct err *err);
/* 0 done, TRANSPORT_AGAIN, TRANSPORT_BROKEN */
int transport_handshake(struct transport *t, struct err *err);
/* Before the first handshake: the certificate must match one of these records (RFC 7671),
 * found at `base`, which becomes the name asked for; `also` (NULL-terminated) are other names
 * it may say where a record names an authority. */
struct tlsa { unsigned char usage, selector, matching; struct span data; };
int transport_dane(struct transport *t, const char *base, const char *const *also,
    const struct tlsa *v, size_t n, struct err *err);

/* What the certificate of the other side has proved. The handshake does not fail for it: the
 * caller asks, and leaves when it wanted more. */
enum proved { PROVED_NOTHING, PROVED_NAME, PROVED_DANE };
enum proved transport_proved(const struct transport *t);
/* Why not: "self-signed certificate", "no matching DANE TLSA records", … */
const char *transport_verdict(const struct transport *t);
/* "TLSv1.3 TLS_AES_256_GCM_SHA384 verified subject=CN=mx.example.net", or "unverified", or
 * "dane"; "" without TLS */
struct span transport_tls_text(const struct transport *t, struct arena *a);

#endif
