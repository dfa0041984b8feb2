/* tls_server.h -- the server's side of TLS: certificate, key, rules, as one OpenSSL context. */
#ifndef NET_TLS_SERVER_H
#define NET_TLS_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "postern/err.h"

struct ssl_ctx_st;

struct tls_server {
	const char *certificate;	/* PEM: ours first, then the chain */
	const char *key;		/* PEM without a passphrase */
	bool only13;			/* else 1.2 and above */
	const char *client_ca;		/* PEM; clients may show a certificate of these; NULL: not asked */
};

/* Reads files: before the sandbox. NULL: err names the file and what is wrong with it. */
struct ssl_ctx_st *tls_server_context(const struct tls_server *t, struct err *err);
void tls_server_context_free(struct ssl_ctx_st **ctx);
/* What people should know of the certificate at that time (Unix seconds): expired, not yet valid,
 * expires within two weeks. false: nothing. */
bool tls_server_warning(const struct ssl_ctx_st *ctx, int64_t now, char *text, size_t size);

#endif
