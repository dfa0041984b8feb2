/* dkim_key.c -- private keys: read once, checked, tried out.
 *
 * A key that others may read is refused, as is one that does not match the
 * algorithm configured: both would show only later, at a stranger's verifier.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "fs.h"
#include "signer/dkim_sign.h"

#define KEY_FILE_MAX (64u << 10)
#define RSA_BITS_MIN 1024	/* RFC 8301, 3.2 */

/* Without this OpenSSL would ask for a passphrase on the terminal. */
static int
no_passphrase(char *buf, int size, int writing, void *ctx)
{
	return 0;
}

static int
ssl_err(struct err *err, const char *what)
{
	unsigned long e = ERR_peek_last_error();
	char text[160] = "unknown error";

	if (e)
		ERR_error_string_n(e, text, sizeof(text));
	ERR_clear_error();
	return err_set(err, 0, "%s: %s", what, text);
}

static int
check_kind(const struct dkim_key *k, struct err *err)
{
	int id = EVP_PKEY_get_base_id(k->key);

	if (id != (k->ed25519 ? EVP_PKEY_ED25519 : EVP_PKEY_RSA))
		return err_set(err, 0, "the key is not of the algorithm configured, %s",
		    k->ed25519 ? "ed25519-sha256" : "rsa-sha256");
	if (id == EVP_PKEY_RSA && EVP_PKEY_get_bits(k->key) < RSA_BITS_MIN)
		return err_set(err, 0, "an RSA key of %d bits; at least %d are needed, 2048 are "
		    "usual", EVP_PKEY_get_bits(k->key), RSA_BITS_MIN);
	return 0;
}

static int
try_out(const struct dkim_key *k, struct arena *a, struct err *err)
{
	struct span field = SPAN_LIT("From: postmaster@example.org"), body = SPAN_LIT("test\r\n");
	struct dkim_message m = { .fields = &field, .nfields = 1, .body = &body, .nbody = 1 };
	struct buf out;
	struct span whole;
	int rc;

	buf_init(&out, DKIM_SIGNATURE_MAX + 1024);
	rc = dkim_sign_fast(k, &m, clock_real() / US_PER_SEC, a, &out, err);
	if (rc == 0) {
		buf_span(&out, field);
		buf_puts(&out, "\r\n\r\n");
		buf_span(&out, body);
		ASSERT(!buf_failed(&out));
		whole = buf_data(&out);
		rc = dkim_verify_own(k, &whole, 1, a, err);
	}
	if (rc == -1)
		rc = err_wrap(err, "a trial signature");
	buf_release(&out);
	return rc;
}

static int
read_key(struct dkim_key *k, struct arena *a, const char *path, struct err *err)
{
	struct span text;
	struct stat st;
	BIO *bio;
	int fd = fs_open(path, O_RDONLY, 0, err);

	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == -1 || fs_read_fd(a, fd, KEY_FILE_MAX, &text, err) == -1) {
		close(fd);
		return err_set(err, errno, "it cannot be read");
	}
	close(fd);
	if (st.st_mode & 007)
		return err_set(err, 0, "everybody may read or change this private key: "
		    "chmod o-rwx %s", path);
	k->pem = strndup(text.p ? text.p : "", text.n);
	bio = BIO_new_mem_buf(text.p, (int)text.n);
	ASSERT(k->pem != NULL && bio != NULL);
	k->key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	BIO_free(bio);
	if (text.n)
		OPENSSL_cleanse((char *)(uintptr_t)text.p, text.n);
	if (k->key == NULL)
		return ssl_err(err, "not a private key in PEM (without a passphrase)");
	return 0;
}

static struct span
copy(struct span s)
{
	char *p = strndup(s.p ? s.p : "", s.n);

	ASSERT(p != NULL);
	return span_make(p, s.n);
}

struct dkim_key *
dkim_key_load(struct span domain, struct span selector, const char *path, bool ed25519,
    struct err *err)
{
	struct dkim_key *k = calloc(1, sizeof(*k));
	struct arena *a = arena_new(0);

	ASSERT(k != NULL);
	k->domain = copy(domain);
	k->selector = copy(selector);
	k->ed25519 = ed25519;
	if (read_key(k, a, path, err) == -1 || check_kind(k, err) == -1 ||
	    try_out(k, a, err) == -1) {
		err_wrap(err, "DKIM key %s", path);
		dkim_key_free(&k);
	}
	arena_free(&a);
	return k;
}

void
dkim_key_free(struct dkim_key **k)
{
	if (*k == NULL)
		return;
	EVP_PKEY_free((*k)->key);
	if ((*k)->pem)
		OPENSSL_cleanse((*k)->pem, strlen((*k)->pem));
	free((*k)->pem);
	free((char *)(uintptr_t)(*k)->domain.p);
	free((char *)(uintptr_t)(*k)->selector.p);
	free(*k);
	*k = NULL;
}
