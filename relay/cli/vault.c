/* vault.c -- see vault.h. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base64.h"
#include "buf.h"
#include "cli/vault.h"
#include "fs.h"

#define MAGIC "postern-backup 1\n"
#define HEAD_MAX 256
#define KEY 32
#define TAG 16
#define SALT 16
#define LN 16			/* scrypt: 64 MiB, some 0.2 s */
#define LN_MAX 20

struct vault {
	int fd;
	EVP_CIPHER_CTX *ctx;
	unsigned char key[KEY];
	uint64_t number;
	bool last;
	size_t n;		/* of plain, when writing */
	unsigned char plain[VAULT_CHUNK], sealed[VAULT_CHUNK + TAG];
};

/* ---- keys ---- */

static int
by_passphrase(struct span pass, const unsigned char *salt, unsigned ln, unsigned char out[KEY], struct err *err)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "SCRYPT", NULL);
	EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	uint64_t n = UINT64_C(1) << ln, memory = UINT64_C(1) << 31;
	uint32_t r = 8, p = 1;
	OSSL_PARAM params[] = {
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_PASSWORD, (void *)(uintptr_t)pass.p, pass.n),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)salt, SALT),
		OSSL_PARAM_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n), OSSL_PARAM_uint32(OSSL_KDF_PARAM_SCRYPT_R, &r),
		OSSL_PARAM_uint32(OSSL_KDF_PARAM_SCRYPT_P, &p), OSSL_PARAM_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &memory),
		OSSL_PARAM_END,
	};
	int ok = ctx && EVP_KDF_derive(ctx, out, KEY, params) == 1;

	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return ok ? 0 : err_set(err, 0, "scrypt could not be computed");
}

static int
agree(EVP_PKEY *own, EVP_PKEY *other, unsigned char out[KEY], struct err *err)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(own, NULL);
	size_t n = KEY;
	int ok = ctx && EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, other) == 1 &&
	    EVP_PKEY_derive(ctx, out, &n) == 1 && n == KEY;

	EVP_PKEY_CTX_free(ctx);
	return ok ? 0 : err_set(err, 0, "the keys do not go together");
}

static EVP_PKEY *
read_key(const char *path, bool private, struct err *err)
{
	FILE *f = fopen(path, "re");
	EVP_PKEY *k = NULL;

	if (f == NULL) {
		err_errno(err, "%s", path);
		return NULL;
	}
	k = private ? PEM_read_PrivateKey(f, NULL, NULL, NULL) : PEM_read_PUBKEY(f, NULL, NULL, NULL);
	fclose(f);
	if (k && EVP_PKEY_get_base_id(k) == EVP_PKEY_X25519)
		return k;
	EVP_PKEY_free(k);
	err_set(err, 0, "%s: no %s X25519 key (`postern backup key FILE` makes a pair)", path, private ? "private" : "public");
	return NULL;
}

static void
put64(struct buf *head, const unsigned char *p, size_t n)
{
	buf_putc(head, ' ');
	base64_encode(head, span_make((const char *)p, n), true);
}

static bool
get64(struct span *rest, unsigned char *out, size_t n)
{
	struct span word;
	struct buf b;
	bool ok;

	if (rest->n == 0 || rest->p[0] != ' ')
		return false;
	*rest = span_from(*rest, 1);
	word = span_sub(*rest, 0, span_find(*rest, ' '));
	*rest = span_from(*rest, word.n);
	buf_init(&b, HEAD_MAX);
	ok = base64_decode(&b, word) == 0 && buf_size(&b) == n;
	if (ok)
		memcpy(out, buf_data(&b).p, n);
	buf_release(&b);
	return ok;
}

static void
bind_key(struct vault *v, const unsigned char secret[KEY], struct span head)
{
	unsigned n = KEY;

	ASSERT(HMAC(EVP_sha256(), secret, KEY, (const unsigned char *)head.p, head.n, v->key, &n) != NULL);
}

static struct vault *
vault_new(int fd)
{
	struct vault *v = calloc(1, sizeof(*v));

	ASSERT_MEMORY(v);
	v->fd = fd;
	ASSERT_MEMORY(v->ctx = EVP_CIPHER_CTX_new());
	return v;
}

void
vault_free(struct vault **vp)
{
	struct vault *v = *vp;

	if (v == NULL)
		return;
	EVP_CIPHER_CTX_free(v->ctx);
	explicit_bzero(v, sizeof(*v));
	free(v);
	*vp = NULL;
}

/* ---- writing ---- */

static int
begin_for_recipient(const char *path, struct buf *head, unsigned char secret[KEY], struct err *err)
{
	EVP_PKEY *to = read_key(path, false, err), *own = to ? EVP_PKEY_Q_keygen(NULL, NULL, "X25519") : NULL;
	unsigned char mine[32], theirs[32];
	size_t n = sizeof(mine), m = sizeof(theirs);
	int rc = -1;

	if (to && own && EVP_PKEY_get_raw_public_key(own, mine, &n) == 1 && EVP_PKEY_get_raw_public_key(to, theirs, &m) == 1)
		rc = agree(own, to, secret, err);
	else if (to)
		err_set(err, 0, "OpenSSL makes no key");
	if (rc == 0) {
		buf_puts(head, "x25519");
		put64(head, mine, n);
		put64(head, theirs, m);
	}
	EVP_PKEY_free(own);
	EVP_PKEY_free(to);
	return rc;
}

struct vault *
vault_create(int fd, const struct vault_secret *s, struct err *err)
{
	unsigned char secret[KEY], salt[SALT];
	struct vault *v = vault_new(fd);
	struct buf head;
	int rc;

	buf_init(&head, HEAD_MAX);
	buf_puts(&head, MAGIC);
	if (s->key) {
		rc = begin_for_recipient(s->key, &head, secret, err);
	} else {
		rc = RAND_bytes(salt, SALT) == 1 ? by_passphrase(s->passphrase, salt, LN, secret, err) :
		    err_set(err, 0, "no random bytes");
		buf_printf(&head, "scrypt %d", LN);
		put64(&head, salt, SALT);
	}
	buf_putc(&head, '\n');
	if (rc == 0) {
		bind_key(v, secret, buf_data(&head));
		rc = fs_write_all(fd, buf_data(&head).p, buf_size(&head), err);
	}
	explicit_bzero(secret, sizeof(secret));
	buf_release(&head);
	if (rc == -1)
		vault_free(&v);
	return v;
}

static void
nonce(const struct vault *v, bool last, unsigned char out[12])
{
	memset(out, 0, 12);
	for (int i = 0; i < 8; i++)
		out[10 - i] = (unsigned char)(v->number >> (8 * i));
	out[11] = last;
}

static int
put_chunk(struct vault *v, bool last, struct err *err)
{
	unsigned char iv[12], length[4] = { (unsigned char)(v->n >> 24), (unsigned char)(v->n >> 16),
		(unsigned char)(v->n >> 8), (unsigned char)v->n };
	int n = 0, more = 0;

	nonce(v, last, iv);
	if (EVP_EncryptInit_ex(v->ctx, EVP_aes_256_gcm(), NULL, v->key, iv) != 1 ||
	    EVP_EncryptUpdate(v->ctx, v->sealed, &n, v->plain, (int)v->n) != 1 ||
	    EVP_EncryptFinal_ex(v->ctx, v->sealed + n, &more) != 1 ||
	    EVP_CIPHER_CTX_ctrl(v->ctx, EVP_CTRL_GCM_GET_TAG, TAG, v->sealed + v->n) != 1)
		return err_set(err, 0, "AES-256-GCM could not be computed");
	v->number++;
	if (fs_write_all(v->fd, length, sizeof(length), err) == -1 || fs_write_all(v->fd, v->sealed, v->n + TAG, err) == -1)
		return -1;
	v->n = 0;
	return 0;
}

int
vault_write(struct vault *v, const void *p, size_t n, struct err *err)
{
	const unsigned char *q = p;

	while (n) {
		size_t part = VAULT_CHUNK - v->n < n ? VAULT_CHUNK - v->n : n;

		if (v->n == VAULT_CHUNK) {
			if (put_chunk(v, false, err) == -1)
				return -1;
			continue;
		}
		memcpy(v->plain + v->n, q, part);
		v->n += part;
		q += part;
		n -= part;
	}
	return 0;
}

int
vault_finish(struct vault *v, struct err *err)
{
	return put_chunk(v, true, err);
}

/* ---- reading ---- */

static int
read_all(int fd, void *to, size_t n, struct err *err)
{
	unsigned char *p = to;

	for (size_t have = 0; have < n;) {
		ssize_t got = read(fd, p + have, n - have);

		if (got == -1 && errno == EINTR)
			continue;
		if (got == -1)
			return err_errno(err, "reading the backup");
		if (got == 0)
			return err_set(err, EBADMSG, "the backup is cut short");
		have += (size_t)got;
	}
	return 0;
}

/* One line of the head, its end with it. */
static int
read_line(int fd, struct buf *head, struct err *err)
{
	char c = '\0';

	while (c != '\n') {
		if (read_all(fd, &c, 1, err) == -1)
			return -1;
		if (buf_putc(head, c) == -1)
			return err_set(err, EBADMSG, "this is no backup of Postern");
	}
	return 0;
}

static int
open_head(struct span line, const struct vault_secret *s, unsigned char secret[KEY], struct err *err)
{
	unsigned char salt[SALT], theirs[32], own[32];
	EVP_PKEY *key, *other;
	int rc;

	line = span_sub(line, 0, line.n - 1);
	if (span_starts(line, SPAN_LIT("scrypt "))) {
		unsigned ln = 0;
		struct span rest = span_from(line, 7);

		while (rest.n && rest.p[0] >= '0' && rest.p[0] <= '9' && ln <= LN_MAX) {
			ln = 10 * ln + (unsigned)(rest.p[0] - '0');
			rest = span_from(rest, 1);
		}
		if (ln < 10 || ln > LN_MAX || !get64(&rest, salt, SALT))
			return err_set(err, EBADMSG, "the backup's head is damaged");
		if (s->passphrase.n == 0)
			return err_set(err, EINVAL, "this backup wants a passphrase");
		return by_passphrase(s->passphrase, salt, ln, secret, err);
	}
	line = span_from(line, 6);
	if (!get64(&line, theirs, 32) || !get64(&line, own, 32))
		return err_set(err, EBADMSG, "the backup's head is damaged, or of a newer version");
	if (s->key == NULL)
		return err_set(err, EINVAL, "this backup is for a key: --key FILE");
	if ((key = read_key(s->key, true, err)) == NULL)
		return -1;
	other = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, theirs, 32);
	rc = other ? agree(key, other, secret, err) : err_set(err, EBADMSG, "the backup's head is damaged");
	EVP_PKEY_free(other);
	EVP_PKEY_free(key);
	return rc;
}

struct vault *
vault_open(int fd, const struct vault_secret *s, struct err *err)
{
	struct vault *v = vault_new(fd);
	unsigned char secret[KEY];
	struct buf head;
	size_t first;
	int rc;

	buf_init(&head, HEAD_MAX);
	rc = read_line(fd, &head, err);
	if (rc == 0 && !span_is(buf_data(&head), MAGIC))
		rc = err_set(err, EBADMSG, span_starts(buf_data(&head), SPAN_LIT("postern-backup ")) ?
		    "this backup is of a newer version" : "this is no backup of Postern");
	first = buf_size(&head);
	if (rc == 0)
		rc = read_line(fd, &head, err);
	if (rc == 0)
		rc = open_head(span_from(buf_data(&head), first), s, secret, err);
	if (rc == 0)
		bind_key(v, secret, buf_data(&head));
	explicit_bzero(secret, sizeof(secret));
	buf_release(&head);
	if (rc == -1)
		vault_free(&v);
	return v;
}

/* What stands in the nonce decides whether it is the last: both are tried. */
static bool
open_chunk(struct vault *v, size_t n, bool last)
{
	unsigned char iv[12];
	int out = 0, more = 0;

	nonce(v, last, iv);
	return EVP_DecryptInit_ex(v->ctx, EVP_aes_256_gcm(), NULL, v->key, iv) == 1 &&
	    EVP_DecryptUpdate(v->ctx, v->plain, &out, v->sealed, (int)n) == 1 &&
	    EVP_CIPHER_CTX_ctrl(v->ctx, EVP_CTRL_GCM_SET_TAG, TAG, v->sealed + n) == 1 &&
	    EVP_DecryptFinal_ex(v->ctx, v->plain + out, &more) == 1;
}

int
vault_read(struct vault *v, struct span *out, struct err *err)
{
	unsigned char length[4];
	size_t n;

	*out = (struct span){ 0 };
	if (v->last) {
		char more;

		return read(v->fd, &more, 1) == 0 ? 0 : err_set(err, EBADMSG, "something stands behind the end of the backup");
	}
	if (read_all(v->fd, length, sizeof(length), err) == -1)
		return -1;
	n = (size_t)length[0] << 24 | (size_t)length[1] << 16 | (size_t)length[2] << 8 | length[3];
	if (n > VAULT_CHUNK)
		return err_set(err, EBADMSG, "the backup is damaged");
	if (read_all(v->fd, v->sealed, n + TAG, err) == -1)
		return -1;
	if (!open_chunk(v, n, false)) {
		if (!open_chunk(v, n, true))
			return err_set(err, EBADMSG, v->number ? "the backup is damaged" :
			    "the passphrase or key is not the one of this backup, or the backup is damaged");
		v->last = true;
	}
	v->number++;
	*out = span_make((const char *)v->plain, n);
	if (n == 0 && !v->last)
		return err_set(err, EBADMSG, "the backup is damaged");
	return n == 0 ? vault_read(v, out, err) : 0;
}

/* ---- pairs of keys ---- */

int
vault_make_key(const char *path, struct err *err)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	char pub[4096];
	int rc = 0;

	if (key == NULL || snprintf(pub, sizeof(pub), "%s.pub", path) >= (int)sizeof(pub)) {
		EVP_PKEY_free(key);
		return err_set(err, 0, "no key can be made for %s", path);
	}
	for (int i = 0; i < 2 && rc == 0; i++) {
		BIO *bio = BIO_new(i ? BIO_s_mem() : BIO_s_secmem());
		char *text;
		long n;
		int fd = -1;

		if (bio == NULL || (i ? PEM_write_bio_PUBKEY(bio, key) :
		    PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL)) != 1)
			rc = err_set(err, 0, "OpenSSL makes no key");
		else if ((fd = fs_open(i ? pub : path, O_WRONLY | O_CREAT | O_EXCL, i ? 0644 : 0600, err)) == -1)
			rc = -1;
		else {
			n = BIO_get_mem_data(bio, &text);
			rc = fs_write_all(fd, text, (size_t)n, err);
		}
		if (fd != -1)
			close(fd);
		BIO_free(bio);
	}
	EVP_PKEY_free(key);
	return rc;
}
