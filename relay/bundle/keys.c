/* keys.c -- who may say what a configuration is, and who may read its secrets; see bundle.h.
 *
 * PEM as `openssl genpkey -algorithm ed25519` (x25519) and `openssl pkey -pubout` write it, so keys can be made and kept
 * where people keep theirs. A key is known by its fingerprint.
 */
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base64.h"
#include "bundle/keys.h"

static int
kind_of(enum bundle_use use)
{
	return use == BUNDLE_SIGN ? EVP_PKEY_ED25519 : EVP_PKEY_X25519;
}

static const char *
kind_name(enum bundle_use use)
{
	return use == BUNDLE_SIGN ? "Ed25519 (it signs)" : "X25519 (it opens secrets)";
}

static int
no_passphrase(char *buf, int size, int rw, void *arg)
{
	return -1;
}

/* Takes pkey. */
static struct bundle_key *
wrap(EVP_PKEY *pkey, enum bundle_use use, const char *what, struct err *err)
{
	struct bundle_key *k = calloc(1, sizeof(*k));
	unsigned char hash[EVP_MAX_MD_SIZE];
	size_t n = sizeof(k->raw);

	ASSERT(k != NULL);
	k->pkey = pkey;
	if (EVP_PKEY_base_id(pkey) != kind_of(use) ||
	    EVP_PKEY_get_raw_public_key(pkey, k->raw, &n) != 1 || n != sizeof(k->raw)) {
		err_set(err, EINVAL, "%s: a key of another kind than %s", what, kind_name(use));
		bundle_key_free(&k);
		return NULL;
	}
	ASSERT(EVP_Digest(k->raw, n, hash, NULL, EVP_sha256(), NULL) == 1);
	for (size_t i = 0; i < BUNDLE_KEYID / 2; i++)
		snprintf(k->id + 2 * i, 3, "%02x", hash[i]);
	return k;
}

struct bundle_key *
bundle_key_private(struct span text, enum bundle_use use, const char *what, struct err *err)
{
	BIO *bio = BIO_new_mem_buf(text.p, (int)text.n);
	EVP_PKEY *pkey;

	ASSERT(bio != NULL);
	pkey = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	BIO_free(bio);
	if (pkey == NULL) {
		err_set(err, EINVAL, "%s: no private key as PEM without a passphrase", what);
		return NULL;
	}
	return wrap(pkey, use, what, err);
}

int
bundle_keys_read(struct span text, enum bundle_use use, const char *what, struct bundle_keys *out,
    struct err *err)
{
	BIO *bio = BIO_new_mem_buf(text.p, (int)text.n);
	EVP_PKEY *pkey;
	size_t before = out->n;
	int r = 0;

	ASSERT(bio != NULL);
	while (r == 0 && (pkey = PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL)) != NULL) {
		if (out->n == BUNDLE_KEYS_MAX) {
			EVP_PKEY_free(pkey);
			r = err_set(err, E2BIG, "%s: more than %d keys", what, BUNDLE_KEYS_MAX);
		} else if ((out->v[out->n] = wrap(pkey, use, what, err)) == NULL)
			r = -1;
		else
			out->n++;
	}
	BIO_free(bio);
	if (r == 0 && out->n == before)
		r = err_set(err, EINVAL, "%s: no public key as PEM", what);
	return r;
}

void
bundle_key_free(struct bundle_key **k)
{
	if (*k == NULL)
		return;
	EVP_PKEY_free((*k)->pkey);
	free(*k);
	*k = NULL;
}

void
bundle_keys_free(struct bundle_keys *k)
{
	for (size_t i = 0; i < k->n; i++)
		bundle_key_free(&k->v[i]);
	k->n = 0;
}

const char *
bundle_key_id(const struct bundle_key *k)
{
	return k->id;
}

static void
take_bio(BIO *bio, struct buf *out)
{
	char *p;
	long n = BIO_get_mem_data(bio, &p);

	buf_put(out, p, (size_t)n);
}

int
bundle_key_make(enum bundle_use use, struct buf *private, struct buf *public, struct err *err)
{
	EVP_PKEY *k = EVP_PKEY_Q_keygen(NULL, NULL, use == BUNDLE_SIGN ? "ED25519" : "X25519");
	BIO *a = BIO_new(BIO_s_mem()), *b = BIO_new(BIO_s_mem());
	int r = -1;

	ASSERT(a != NULL && b != NULL);
	if (k && PEM_write_bio_PKCS8PrivateKey(a, k, NULL, NULL, 0, NULL, NULL) == 1 &&
	    PEM_write_bio_PUBKEY(b, k) == 1) {
		take_bio(a, private);
		take_bio(b, public);
		r = 0;
	} else
		err_set(err, EIO, "no new key could be made");
	EVP_PKEY_free(k);
	BIO_free(a);
	BIO_free(b);
	return r;
}

int
bundle_sign(struct buf *b, const struct bundle_key *k, struct err *err)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	unsigned char sig[64];
	size_t n = sizeof(sig);
	struct buf text;
	int r = 0;

	ASSERT(md != NULL);
	if (EVP_DigestSignInit(md, NULL, NULL, NULL, k->pkey) != 1 ||
	    EVP_DigestSign(md, sig, &n, (const unsigned char *)buf_data(b).p, buf_size(b)) != 1 || n != sizeof(sig))
		r = err_set(err, EIO, "signing failed");
	EVP_MD_CTX_free(md);
	if (r == -1)
		return -1;
	buf_init(&text, 256);
	buf_printf(&text, "ed25519 %s ", k->id);
	base64_encode(&text, span_make((const char *)sig, n), true);
	buf_putc(&text, '\n');
	bundle_put(b, "signature", buf_data(&text));
	buf_release(&text);
	bundle_end(b);
	return buf_failed(b) ? err_set(err, EFBIG, "a bundle is at most %zu bytes", BUNDLE_MAX) : 0;
}

int
bundle_verify(const struct bundle *b, const struct bundle_keys *trusted, struct err *err)
{
	if (b->sig.n == 0)
		return err_set(err, EBADMSG, "nobody has signed it");
	for (size_t i = 0; i < trusted->n; i++) {
		EVP_MD_CTX *md;
		int ok;

		if (!span_is(b->keyid, trusted->v[i]->id))
			continue;
		md = EVP_MD_CTX_new();
		ASSERT(md != NULL);
		ok = EVP_DigestVerifyInit(md, NULL, NULL, NULL, trusted->v[i]->pkey) == 1 &&
		    EVP_DigestVerify(md, (const unsigned char *)b->sig.p, b->sig.n,
		    (const unsigned char *)b->signed_part.p, b->signed_part.n) == 1;
		EVP_MD_CTX_free(md);
		return ok ? 0 : err_set(err, EBADMSG, "its signature is wrong: it was changed after it was signed");
	}
	return err_set(err, EACCES, "it is signed with key " SPAN_FMT ", which is not trusted here",
	    SPAN_ARG(b->keyid));
}
