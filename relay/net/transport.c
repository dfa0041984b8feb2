/* transport.c -- bytes over a connected socket, with or without TLS; see transport.h.
 *
 * Plain: the pieces go to the kernel as they are (writev). TLS: they are
 * gathered into records of 16 KiB, since a record for each line would cost
 * more than the copy.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "addr.h"
#include "net/transport.h"

#define RECORD 16384
#define IOV_PIECES 64

struct ssl_ctx_st *
transport_context(struct err *err)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (ctx == NULL) {
		err_set(err, 0, "OpenSSL: no client context");
		return NULL;
	}
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
	    SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
	    SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	/* No roots: every certificate is "unverified", which opportunistic TLS takes. */
	SSL_CTX_load_verify_file(ctx, "/etc/ssl/certs/ca-certificates.crt");
	ERR_clear_error();
	return ctx;
}

void
transport_context_free(struct ssl_ctx_st **ctx)
{
	SSL_CTX_free(*ctx);
	*ctx = NULL;
}

void
transport_close(struct transport *t)
{
	if (t->ssl) {
		SSL_set_quiet_shutdown(t->ssl, 1);
		SSL_free(t->ssl);
		t->ssl = NULL;
	}
	if (t->fd != -1)
		close(t->fd);
	t->fd = -1;
}

static const char *
tls_error(void)
{
	unsigned long e = ERR_get_error();
	const char *text = e ? ERR_reason_error_string(e) : NULL;

	ERR_clear_error();
	return text ? text : "connection closed";
}

/* What SSL_get_error makes of it. */
static int
tls_result(struct transport *t, int r, const char *doing, struct err *err)
{
	int saved = errno;

	switch (SSL_get_error(t->ssl, r)) {
	case SSL_ERROR_WANT_READ:
		t->wants_write = false;
		return TRANSPORT_AGAIN;
	case SSL_ERROR_WANT_WRITE:
		t->wants_write = true;
		return TRANSPORT_AGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		if (saved && ERR_peek_error() == 0) {
			errno = saved;
			err_errno(err, "%s", doing);
			return TRANSPORT_BROKEN;
		}
		/* FALLTHROUGH */
	default:
		err_set(err, 0, "%s: %s", doing, tls_error());
		return TRANSPORT_BROKEN;
	}
}

ssize_t
transport_read(struct transport *t, void *p, size_t n, struct err *err)
{
	ssize_t r;

	if (t->ssl) {
		ERR_clear_error();
		errno = 0;
		r = SSL_read(t->ssl, p, n > INT32_MAX ? INT32_MAX : (int)n);
		return r > 0 ? r : tls_result(t, (int)r, "TLS read", err);
	}
	do
		r = recv(t->fd, p, n, 0);
	while (r == -1 && errno == EINTR);
	if (r >= 0)
		return r;
	if (errno == EAGAIN || errno == EWOULDBLOCK) {
		t->wants_write = false;
		return TRANSPORT_AGAIN;
	}
	err_errno(err, "read");
	return TRANSPORT_BROKEN;
}

static ssize_t
write_record(struct transport *t, const struct span *v, size_t n, struct err *err)
{
	static char record[RECORD];
	const char *p = v[0].p;
	size_t len = v[0].n;
	int r;

	if (n > 1 && len < RECORD) {
		len = 0;
		for (size_t i = 0; i < n && len < RECORD; i++) {
			size_t k = v[i].n < RECORD - len ? v[i].n : RECORD - len;

			memcpy(record + len, v[i].p, k);
			len += k;
		}
		p = record;
	}
	ERR_clear_error();
	errno = 0;
	r = SSL_write(t->ssl, p, len > INT32_MAX ? INT32_MAX : (int)len);
	if (r > 0)
		return r;
	r = tls_result(t, r, "TLS write", err);
	if (r == 0) {
		err_set(err, EPIPE, "TLS write: connection closed");
		return TRANSPORT_BROKEN;
	}
	return r;
}

ssize_t
transport_write(struct transport *t, const struct span *v, size_t n, struct err *err)
{
	struct iovec iov[IOV_PIECES];
	struct msghdr mh = { .msg_iov = iov };
	ssize_t r;

	if (t->ssl)
		return write_record(t, v, n, err);
	if (n > IOV_PIECES)
		n = IOV_PIECES;
	for (size_t i = 0; i < n; i++)
		iov[i] = (struct iovec){ (void *)(uintptr_t)v[i].p, v[i].n };
	mh.msg_iovlen = n;
	do
		r = sendmsg(t->fd, &mh, MSG_NOSIGNAL);
	while (r == -1 && errno == EINTR);
	if (r >= 0)
		return r;
	if (errno == EAGAIN || errno == EWOULDBLOCK) {
		t->wants_write = true;
		return TRANSPORT_AGAIN;
	}
	err_errno(err, "write");
	return TRANSPORT_BROKEN;
}

int
transport_tls(struct transport *t, struct ssl_ctx_st *ctx, const char *name, struct err *err)
{
	struct ip ip;
	bool is_ip = ip_parse(span_str(name), &ip);

	if ((t->ssl = SSL_new(ctx)) == NULL || SSL_set_fd(t->ssl, t->fd) != 1)
		return err_set(err, 0, "OpenSSL: no connection");
	/* An address has no server name (RFC 6066, 3). */
	if (!is_ip) {
		SSL_set_tlsext_host_name(t->ssl, name);
		SSL_set_hostflags(t->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
		SSL_set1_host(t->ssl, name);
	} else
		X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(t->ssl), name);
	SSL_set_connect_state(t->ssl);
	ERR_clear_error();
	return 0;
}

int
transport_handshake(struct transport *t, struct err *err)
{
	int r;

	ERR_clear_error();
	errno = 0;
	if ((r = SSL_do_handshake(t->ssl)) == 1)
		return 0;
	r = tls_result(t, r, "TLS handshake", err);
	if (r == 0) {
		err_set(err, 0, "TLS handshake: connection closed");
		return TRANSPORT_BROKEN;
	}
	return r;
}

struct span
transport_tls_text(const struct transport *t, struct arena *a)
{
	bool verified;

	if (t->ssl == NULL)
		return (struct span){ "", 0 };
	verified = SSL_get_verify_result(t->ssl) == X509_V_OK &&
	    SSL_get0_peer_certificate(t->ssl) != NULL;
	return span_str(arena_printf(a, "%s %s %s", SSL_get_version(t->ssl),
	    SSL_get_cipher_name(t->ssl), verified ? "verified" : "unverified"));
}
