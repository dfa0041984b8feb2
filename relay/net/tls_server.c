/* tls_server.c -- the server's side of TLS; see tls_server.h.
 *
 * TLS 1.2 at least, no compression, no renegotiation (CVE-2009-3555; a client
 * could make us work for nothing), no resumption: a ticket would carry what a
 * client proved of itself past a reload, and without it a session keeps nothing
 * once it is over. A client that is asked for a certificate need not show one, and a
 * bad one ends nothing: whether it opens a door is decided after the handshake.
 *
 * The key file must not be readable by everybody, and it must belong to the
 * certificate: both would show only at a client, later.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs.h"
#include "net/tls_server.h"

#define PEM_MAX ((size_t)1 << 20)
#define SOON ((int64_t)14 * 24 * 3600)

/* Without this OpenSSL would ask for a passphrase on the terminal. */
static int
no_passphrase(char *buf, int size, int writing, void *ctx)
{
	return 0;
}

static int
ssl_err(struct err *err, const char *what, const char *path)
{
	const char *why = ERR_reason_error_string(ERR_peek_last_error());

	err_set(err, 0, "%s %s: %s", what, path, why ? why : "not readable");
	ERR_clear_error();
	return -1;
}

static int
check_open(const char *what, const char *path, int fd, bool secret, struct err *err)
{
	struct stat st;

	if (fd == -1 || fstat(fd, &st) == -1)
		return err_wrap(err, "%s", what);
	if (!S_ISREG(st.st_mode))
		return err_set(err, EINVAL, "%s %s: not a file", what, path);
	if (secret && (st.st_mode & 007))
		return err_set(err, EPERM, "%s %s: everybody may read or change this private key: "
		    "chmod o-rwx %s", what, path, path);
	return 0;
}

static int
check_file(const char *what, const char *path, struct err *err)
{
	int fd = fs_open(path, O_RDONLY, 0, err);
	int r = check_open(what, path, fd, false, err);

	if (fd != -1)
		close(fd);
	return r;
}

/* What was looked at is what is read: the file is opened once. NULL: err says why. */
static BIO *
pem_open(const char *what, const char *path, bool secret, struct arena *a, struct span *text,
    struct err *err)
{
	int fd = fs_open(path, O_RDONLY | O_NOCTTY, 0, err);
	BIO *bio = NULL;

	if (check_open(what, path, fd, secret, err) == 0) {
		if (fs_read_fd(a, fd, PEM_MAX, text, err) == -1)
			err_wrap(err, "%s %s", what, path);
		else if ((bio = BIO_new_mem_buf(text->p, (int)text->n)) == NULL)
			err_set(err, ENOMEM, "%s %s: out of memory", what, path);
	}
	if (fd != -1)
		close(fd);
	return bio;
}

/* The server's own certificate first, then those between it and a root, as in the file. */
static int
use_chain(SSL_CTX *ctx, BIO *bio)
{
	X509 *cert = PEM_read_bio_X509_AUX(bio, NULL, no_passphrase, NULL);
	int ok = cert && SSL_CTX_use_certificate(ctx, cert) == 1;

	X509_free(cert);
	if (!ok || SSL_CTX_clear_chain_certs(ctx) != 1)
		return 0;
	while ((cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL)
		if (SSL_CTX_add0_chain_cert(ctx, cert) != 1) {
			X509_free(cert);
			return 0;
		}
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return 0;
	ERR_clear_error();	/* the end of the file */
	return 1;
}

static int
use_key(SSL_CTX *ctx, BIO *bio)
{
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	int ok = key && SSL_CTX_use_PrivateKey(ctx, key) == 1;

	EVP_PKEY_free(key);
	return ok;
}

/* The certificate shown is looked at after the handshake, see transport_peer_name(). */
static int
any_certificate(int ok, X509_STORE_CTX *ctx)
{
	return 1;
}

static int
ask_clients(SSL_CTX *ctx, const char *path, struct err *err)
{
	STACK_OF(X509_NAME) *names;

	if (check_file("client_certificates.ca", path, err) == -1)
		return -1;
	if (SSL_CTX_load_verify_file(ctx, path) != 1 ||
	    (names = SSL_load_client_CA_file(path)) == NULL)
		return ssl_err(err, "client_certificates.ca", path);
	SSL_CTX_set_client_CA_list(ctx, names);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE, any_certificate);
	return 0;
}

static int
load(SSL_CTX *ctx, const struct tls_server *t, BIO *cert, BIO *key, struct err *err)
{
	if (use_chain(ctx, cert) != 1)
		return ssl_err(err, "tls.certificate", t->certificate);
	if (use_key(ctx, key) != 1) {
		if (ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH ||
		    ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_TYPE_MISMATCH) {
			ERR_clear_error();
			return err_set(err, 0, "tls.key %s does not belong to the certificate %s",
			    t->key, t->certificate);
		}
		return ssl_err(err, "tls.key", t->key);
	}
	if (SSL_CTX_check_private_key(ctx) != 1) {
		ERR_clear_error();
		return err_set(err, 0, "tls.key %s does not belong to the certificate %s", t->key,
		    t->certificate);
	}
	return t->client_ca ? ask_clients(ctx, t->client_ca, err) : 0;
}

static int
load_files(SSL_CTX *ctx, const struct tls_server *t, struct err *err)
{
	struct arena *a = arena_new(0);
	struct span text;
	BIO *cert = pem_open("tls.certificate", t->certificate, false, a, &text, err), *key = NULL;
	int r = -1;

	if (cert && (key = pem_open("tls.key", t->key, true, a, &text, err)) != NULL) {
		r = load(ctx, t, cert, key, err);
		OPENSSL_cleanse((char *)(uintptr_t)text.p, text.n);
	}
	BIO_free(cert);
	BIO_free(key);
	arena_free(&a);
	return r;
}

struct ssl_ctx_st *
tls_server_context(const struct tls_server *t, struct err *err)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (ctx == NULL) {
		err_set(err, 0, "OpenSSL: no server context");
		return NULL;
	}
	SSL_CTX_set_min_proto_version(ctx, t->only13 ? TLS1_3_VERSION : TLS1_2_VERSION);
	/* Buffers of an idle session are given back: 34 KiB less for each. */
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
	    SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
	    SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_dh_auto(ctx, 1);
	if (load_files(ctx, t, err) == -1) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	ERR_clear_error();
	return ctx;
}

void
tls_server_context_free(struct ssl_ctx_st **ctx)
{
	SSL_CTX_free(*ctx);
	*ctx = NULL;
}

bool
tls_server_warning(const struct ssl_ctx_st *ctx, int64_t now, char *text, size_t size)
{
	X509 *x = SSL_CTX_get0_certificate(ctx);
	time_t at = (time_t)now, soon = (time_t)(now + SOON);

	if (x == NULL)
		return false;
	if (X509_cmp_time(X509_get0_notAfter(x), &at) < 0)
		snprintf(text, size, "the TLS certificate has expired");
	else if (X509_cmp_time(X509_get0_notBefore(x), &at) > 0)
		snprintf(text, size, "the TLS certificate is not valid yet");
	else if (X509_cmp_time(X509_get0_notAfter(x), &soon) < 0)
		snprintf(text, size, "the TLS certificate expires within two weeks");
	else
		return false;
	return true;
}
