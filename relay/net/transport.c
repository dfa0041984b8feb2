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
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "addr.h"
#include "net/transport.h"

#define RECORD 16384
#define IOV_PIECES 64
#define SYSTEM_ROOTS "/etc/ssl/certs/ca-certificates.crt"

static const char *
tls_error(void)
{
	unsigned long e = ERR_get_error();
	const char *text = e ? ERR_reason_error_string(e) : NULL;

	ERR_clear_error();
	return text ? text : "connection closed";
}

/* A session of the server's, within the handshake (TLS 1.2) or behind it (1.3). */
static int
keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct transport *t = SSL_get_app_data(ssl);

	if (t == NULL || t->cache == NULL)
		return 0;
	if (t->proof.known) {
		tls_cache_put(t->cache, t->cache_key, session, &t->proof, time(NULL));
		return 1;
	}
	SSL_SESSION_free(t->fresh);
	t->fresh = session;
	return 1;
}

struct ssl_ctx_st *
transport_context(const char *roots, struct err *err)
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
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, keep_session);
	if (SSL_CTX_dane_enable(ctx) <= 0) {
		SSL_CTX_free(ctx);
		err_set(err, 0, "OpenSSL: no DANE");
		return NULL;
	}
	/* The system may have none: opportunistic TLS takes unverified certificates too. */
	if (SSL_CTX_load_verify_file(ctx, roots ? roots : SYSTEM_ROOTS) != 1 && roots) {
		err_set(err, 0, "certificates of authorities in %s: %s", roots, tls_error());
		SSL_CTX_free(ctx);
		return NULL;
	}
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
		/* Else OpenSSL takes the session for a bad one, in our cache too. */
		SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
		SSL_free(t->ssl);
		t->ssl = NULL;
	}
	SSL_SESSION_free(t->fresh);
	t->fresh = NULL;
	t->cache = NULL;
	t->offered = false;
	t->proof = (struct tls_proof){ 0 };
	if (t->fd != -1)
		close(t->fd);
	t->fd = -1;
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
		r = n == 1 ? send(t->fd, v[0].p, v[0].n, MSG_NOSIGNAL) : sendmsg(t->fd, &mh, MSG_NOSIGNAL);
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

	if ((t->ssl = SSL_new(ctx)) == NULL || SSL_set_fd(t->ssl, t->fd) != 1)
		return err_set(err, 0, "OpenSSL: no connection");
	/* An address has no server name (RFC 6066, 3). */
	if (!ip_parse(span_str(name), &ip))
		SSL_set_tlsext_host_name(t->ssl, name);
	SSL_set_connect_state(t->ssl);
	SSL_set_app_data(t->ssl, t);
	ERR_clear_error();
	return 0;
}

int
transport_tls_accept(struct transport *t, struct ssl_ctx_st *ctx, struct err *err)
{
	if ((t->ssl = SSL_new(ctx)) == NULL || SSL_set_fd(t->ssl, t->fd) != 1)
		return err_set(err, 0, "OpenSSL: no connection");
	SSL_set_accept_state(t->ssl);
	ERR_clear_error();
	return 0;
}

bool
transport_resumed(const struct transport *t)
{
	return t->ssl && SSL_session_reused(t->ssl) == 1;
}

/* Of a full handshake; a resumed one brought its proof with it. */
static void
know_proof(struct transport *t)
{
	if (!transport_resumed(t)) {
		uint8_t usage = 0;
		bool dane = SSL_get0_dane_authority(t->ssl, NULL, NULL) >= 0 &&
		    SSL_get0_dane_tlsa(t->ssl, &usage, NULL, NULL, NULL, NULL) >= 0;

		t->proof = (struct tls_proof){ .chain = SSL_get_verify_result(t->ssl),
			.dane = dane ? usage : -1 };
	}
	t->proof.known = true;
	if (t->fresh)
		tls_cache_put(t->cache, t->cache_key, t->fresh, &t->proof, time(NULL));
	t->fresh = NULL;
}

int
transport_handshake(struct transport *t, struct err *err)
{
	int r;

	ERR_clear_error();
	errno = 0;
	if ((r = SSL_do_handshake(t->ssl)) == 1) {
		if (!SSL_is_server(t->ssl))
			know_proof(t);
		return 0;
	}
	r = tls_result(t, r, "TLS handshake", err);
	if (r == 0) {
		err_set(err, 0, "TLS handshake: connection closed");
		return TRANSPORT_BROKEN;
	}
	return r;
}

int
transport_dane(struct transport *t, const char *base, const char *const *also,
    const struct tlsa *v, size_t n, struct err *err)
{
	size_t taken = 0;

	if (SSL_dane_enable(t->ssl, base) <= 0)
		return err_set(err, 0, "DANE: %s", tls_error());
	/* RFC 7672, 3.1.1: the record names the key; what else the certificate says does not count. */
	SSL_set_tlsext_host_name(t->ssl, base);
	SSL_dane_set_flags(t->ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	for (; *also; also++)
		SSL_add1_host(t->ssl, *also);
	for (size_t i = 0; i < n; i++)
		taken += SSL_dane_tlsa_add(t->ssl, v[i].usage, v[i].selector, v[i].matching,
		    (const unsigned char *)v[i].data.p, v[i].data.n) > 0;
	ERR_clear_error();
	if (taken == 0)
		return err_set(err, 0, "DANE: none of %zu TLSA records can be used", n);
	return 0;
}

static bool
is_for(X509 *x, struct span name)
{
	char text[IP_TEXT_MAX];
	struct ip ip;

	if (ip_parse(name, &ip))
		return X509_check_ip_asc(x, ip_format(ip, text), 0) == 1;
	/* By its alternative names alone (RFC 8461, 4.1; RFC 9525, 2): a common name is a caption. */
	return name.n && X509_check_host(x, name.p, name.n, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
	    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) == 1;
}

static enum proved
proved_by(X509 *x, const struct tls_proof *p, const struct span *names, size_t n, struct err *why)
{
	bool named = false;

	if (x == NULL || !p->known || p->chain != X509_V_OK) {
		err_set(why, 0, "%s", x && p->known ? X509_verify_cert_error_string(p->chain) :
		    "no certificate");
		return PROVED_NOTHING;
	}
	if (p->dane == 3)	/* DANE-EE: the key, whatever the certificate says (RFC 7672, 3.1.1) */
		return PROVED_DANE;
	for (size_t i = 0; i < n && !named; i++)
		named = is_for(x, names[i]);
	if (named && p->dane >= 0)
		return PROVED_DANE;
	if (named) {
		err_set(why, 0, "an authority vouches for it, but no TLSA record");
		return PROVED_NAME;
	}
	err_set(why, 0, "it is not for " SPAN_FMT, SPAN_ARG(n ? names[0] : SPAN_LIT("any name")));
	return PROVED_NOTHING;
}

enum proved
transport_proved(const struct transport *t, const struct span *names, size_t n, struct err *why)
{
	if (t->ssl == NULL) {
		err_set(why, 0, "no TLS");
		return PROVED_NOTHING;
	}
	return proved_by(SSL_get0_peer_certificate(t->ssl), &t->proof, names, n, why);
}

struct wanted {
	enum proved least;
	const struct span *names;
	size_t n;
};

static bool
enough(void *ctx, SSL_SESSION *session, const struct tls_proof *proof)
{
	const struct wanted *w = ctx;

	return proved_by(SSL_SESSION_get0_peer(session), proof, w->names, w->n, NULL) >= w->least;
}

void
transport_resume(struct transport *t, struct tls_cache *cache, struct span key,
    enum proved least, const struct span *names, size_t n)
{
	struct wanted w = { least, names, n };
	struct tls_proof proof;
	SSL_SESSION *session;

	t->cache = cache;
	t->cache_key = key;
	session = tls_cache_take(cache, key, time(NULL), enough, &w, &proof);
	if (session == NULL)
		return;
	if (SSL_set_session(t->ssl, session) == 1) {
		t->offered = true;
		t->proof = proof;
		t->proof.known = false;		/* until it is taken: know_proof() */
	}
	SSL_SESSION_free(session);
	ERR_clear_error();
}

struct span
transport_agreed(const struct transport *t, char buf[static TRANSPORT_AGREED_MAX])
{
	int n = snprintf(buf, TRANSPORT_AGREED_MAX, "%s %s", SSL_get_version(t->ssl),
	    SSL_get_cipher_name(t->ssl));

	ASSERT(n > 0 && n < TRANSPORT_AGREED_MAX);
	return span_make(buf, (size_t)n);
}

#define SUBJECT_MAX 200

/* The subject as RFC 2253 writes it, ASCII without controls, or the first name in it. */
static void
subject_of(const struct transport *t, char out[SUBJECT_MAX])
{
	X509 *cert = SSL_get0_peer_certificate(t->ssl);
	BIO *bio = cert ? BIO_new(BIO_s_mem()) : NULL;
	char *p;
	long n;

	out[0] = '\0';
	if (bio == NULL)
		return;
	X509_NAME_print_ex(bio, X509_get_subject_name(cert), 0, XN_FLAG_RFC2253);
	n = BIO_get_mem_data(bio, &p);
	if (n > 0) {
		n = n < SUBJECT_MAX - 1 ? n : SUBJECT_MAX - 1;
		memcpy(out, p, (size_t)n);
		out[n] = '\0';
	}
	BIO_free(bio);
}

struct span
transport_tls_text(const struct transport *t, enum proved proved, struct arena *a)
{
	static const char *const words[] = { [PROVED_NOTHING] = "unverified",
		[PROVED_NAME] = "verified", [PROVED_DANE] = "dane" };
	char agreed[TRANSPORT_AGREED_MAX], subject[SUBJECT_MAX];

	if (t->ssl == NULL)
		return (struct span){ "", 0 };
	transport_agreed(t, agreed);
	subject_of(t, subject);
	return span_str(arena_printf(a, "%s %s subject=%s", agreed, words[proved],
	    subject[0] ? subject : "none"));
}

struct span
transport_peer_name(const struct transport *t, const struct span *names, size_t n)
{
	X509 *x = t->ssl ? SSL_get0_peer_certificate(t->ssl) : NULL;

	if (x == NULL || SSL_get_verify_result(t->ssl) != X509_V_OK)
		return (struct span){ 0 };
	for (size_t i = 0; i < n; i++)
		if (X509_check_host(x, names[i].p, names[i].n, X509_CHECK_FLAG_NO_WILDCARDS,
		    NULL) == 1)
			return names[i];
	return (struct span){ 0 };
}

int
transport_shutdown(struct transport *t)
{
	if (t->ssl && SSL_is_init_finished(t->ssl)) {
		ERR_clear_error();
		SSL_shutdown(t->ssl);
		ERR_clear_error();
	}
	return shutdown(t->fd, SHUT_WR);
}
