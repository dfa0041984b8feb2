/* seal.c -- the secrets of a bundle, for the nodes' eyes alone; see bundle.h.
 *
 *	postern-secrets 1 LF
 *	KEYID EPHEMERAL WRAPPED LF		for each node: base64 of 32 and 48 bytes
 *	LF
 *	ChaCha20-Poly1305 of an archive of files, 16 bytes of tag behind it
 *
 * The archive's key is random, of this bundle alone. For each node it is wrapped with ChaCha20-Poly1305 under
 * HKDF-SHA256 of X25519(ephemeral, node), the two public keys being the salt. Each of these keys is used once, so the nonces are zero.
 * The lines before the archive are its associated data: no node can be left out unseen. Who made it the signature says.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "base64.h"
#include "bundle/keys.h"

#define KEY 32
#define TAG 16
#define WRAPPED (KEY + TAG)

static const struct span title = { "postern-secrets 1\n", 18 };

/* in -> out; sealing: n + TAG bytes come out; opening: n - TAG. */
static int
crypt(bool seal, const unsigned char key[static KEY], struct span aad, struct span in, unsigned char *out)
{
	static const unsigned char nonce[12];
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	size_t body = seal ? in.n : in.n - TAG;
	unsigned char tag[TAG];
	int n, ok;

	ASSERT(c != NULL && in.n <= BUNDLE_MAX && (seal || in.n >= TAG));
	if (!seal)
		memcpy(tag, in.p + body, TAG);
	ok = EVP_CipherInit_ex(c, EVP_chacha20_poly1305(), NULL, key, nonce, seal) == 1 &&
	    (seal || EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TAG, tag) == 1) &&
	    (aad.n == 0 || EVP_CipherUpdate(c, NULL, &n, (const unsigned char *)aad.p, (int)aad.n) == 1) &&
	    EVP_CipherUpdate(c, out, &n, (const unsigned char *)in.p, (int)body) == 1 &&
	    EVP_CipherFinal_ex(c, out + body, &n) == 1 &&
	    (!seal || EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG, out + body) == 1);
	EVP_CIPHER_CTX_free(c);
	return ok ? 0 : -1;
}

/* The key that wraps, of one's private and the other's public key. */
static int
agree(EVP_PKEY *own, EVP_PKEY *peer, const unsigned char ephemeral[static KEY], const unsigned char node[static KEY],
    unsigned char out[static KEY])
{
	EVP_PKEY_CTX *x = EVP_PKEY_CTX_new(own, NULL), *h = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);
	unsigned char secret[KEY], salt[2 * KEY];
	size_t n = sizeof(secret), m = KEY;
	int ok;

	memcpy(salt, ephemeral, KEY);
	memcpy(salt + KEY, node, KEY);
	/* X25519 of a point of small order is all zeros, and refused by OpenSSL. */
	ok = x && h && EVP_PKEY_derive_init(x) == 1 && EVP_PKEY_derive_set_peer(x, peer) == 1 &&
	    EVP_PKEY_derive(x, secret, &n) == 1 && n == KEY && EVP_PKEY_derive_init(h) == 1 &&
	    EVP_PKEY_CTX_set_hkdf_md(h, EVP_sha256()) == 1 &&
	    EVP_PKEY_CTX_set1_hkdf_salt(h, salt, sizeof(salt)) == 1 &&
	    EVP_PKEY_CTX_set1_hkdf_key(h, secret, (int)n) == 1 &&
	    EVP_PKEY_CTX_add1_hkdf_info(h, (const unsigned char *)"postern bundle", 14) == 1 &&
	    EVP_PKEY_derive(h, out, &m) == 1 && m == KEY;
	OPENSSL_cleanse(secret, sizeof(secret));
	EVP_PKEY_CTX_free(x);
	EVP_PKEY_CTX_free(h);
	return ok ? 0 : -1;
}

static int
seal_for(struct buf *out, const unsigned char key[static KEY], const struct bundle_key *node, struct err *err)
{
	EVP_PKEY *eph = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	unsigned char raw[KEY], wrap[KEY], sealed[WRAPPED];
	size_t n = sizeof(raw);
	int r = -1;

	if (eph && EVP_PKEY_get_raw_public_key(eph, raw, &n) == 1 &&
	    agree(eph, node->pkey, raw, node->raw, wrap) == 0 &&
	    crypt(true, wrap, (struct span){ 0 }, span_make((const char *)key, KEY), sealed) == 0) {
		buf_printf(out, "%s ", node->id);
		base64_encode(out, span_make((const char *)raw, KEY), true);
		buf_putc(out, ' ');
		base64_encode(out, span_make((const char *)sealed, WRAPPED), true);
		buf_putc(out, '\n');
		r = 0;
	} else
		err_set(err, EIO, "the secrets cannot be sealed for key %s", node->id);
	OPENSSL_cleanse(wrap, sizeof(wrap));
	EVP_PKEY_free(eph);
	return r;
}

int
bundle_seal(struct buf *out, struct span plain, const struct bundle_keys *to, struct err *err)
{
	unsigned char key[KEY];
	struct span aad;
	char *room;
	int r = 0;

	if (RAND_bytes(key, sizeof(key)) != 1)
		return err_set(err, EIO, "no random bytes");
	buf_span(out, title);
	for (size_t i = 0; i < to->n && r == 0; i++)
		r = seal_for(out, key, to->v[i], err);
	buf_putc(out, '\n');
	if (r == 0 && ((room = buf_room(out, plain.n + TAG)) == NULL || buf_failed(out)))
		r = err_set(err, EFBIG, "the secrets are too large");
	if (r == 0) {
		aad = buf_data(out);
		if (crypt(true, key, aad, plain, (unsigned char *)room) == -1)
			r = err_set(err, EIO, "the secrets cannot be sealed");
		else
			buf_commit(out, plain.n + TAG);
	}
	OPENSSL_cleanse(key, sizeof(key));
	return r;
}

/* "KEYID EPHEMERAL WRAPPED"; false: it is no such line. */
static bool
read_line(struct span line, struct span *id, struct buf *raw, struct buf *wrapped)
{
	struct span rest = span_from(line, BUNDLE_KEYID + 1);
	size_t blank = span_find(rest, ' ');

	*id = span_sub(line, 0, BUNDLE_KEYID);
	buf_reset(raw);
	buf_reset(wrapped);
	return line.n > BUNDLE_KEYID && line.p[BUNDLE_KEYID] == ' ' &&
	    base64_decode(raw, span_sub(rest, 0, blank)) == 0 && buf_size(raw) == KEY &&
	    base64_decode(wrapped, span_from(rest, blank + 1)) == 0 && buf_size(wrapped) == WRAPPED;
}

static int
unwrap(const struct bundle_key *own, struct span raw, struct span wrapped, unsigned char key[static KEY])
{
	EVP_PKEY *eph = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, (const unsigned char *)raw.p, KEY);
	unsigned char wrap[KEY];
	int r = -1;

	if (eph && agree(own->pkey, eph, (const unsigned char *)raw.p, own->raw, wrap) == 0)
		r = crypt(false, wrap, (struct span){ 0 }, wrapped, key);
	OPENSSL_cleanse(wrap, sizeof(wrap));
	EVP_PKEY_free(eph);
	return r;
}

int
bundle_unseal(struct arena *a, struct span sealed, const struct bundle_key *own, struct span *plain,
    struct err *err)
{
	struct span rest = span_from(sealed, title.n), line, id;
	unsigned char key[KEY], found = 0;
	struct buf raw, wrapped;
	int r = 0;

	if (!span_starts(sealed, title))
		return err_set(err, EBADMSG, "its secrets are of a form this program does not know");
	buf_init(&raw, KEY + 1);
	buf_init(&wrapped, WRAPPED + 1);
	for (size_t i = 0; r == 0; i++) {
		size_t end = span_find(rest, '\n');

		line = span_sub(rest, 0, end);
		if (end == rest.n || i > BUNDLE_KEYS_MAX)
			r = err_set(err, EBADMSG, "its secrets are cut off");
		rest = span_from(rest, end + 1);
		if (r == -1 || line.n == 0)
			break;
		if (!read_line(line, &id, &raw, &wrapped))
			r = err_set(err, EBADMSG, "its secrets have a bad line");
		else if (!found && span_is(id, own->id)) {
			found = 1;
			if (unwrap(own, buf_data(&raw), buf_data(&wrapped), key) == -1)
				r = err_set(err, EBADMSG, "its secrets do not open with the key %s", own->id);
		}
	}
	buf_release(&raw);
	buf_release(&wrapped);
	if (r == -1)
		return -1;
	if (!found)
		return err_set(err, ENOKEY, "its secrets are not sealed for this node's key %s", own->id);
	if (rest.n < TAG)
		r = err_set(err, EBADMSG, "its secrets are cut off");
	else {
		char *out = arena_alloc(a, rest.n - TAG + 1);

		if (crypt(false, key, span_sub(sealed, 0, sealed.n - rest.n), rest, (unsigned char *)out) == -1)
			r = err_set(err, EBADMSG, "its secrets were changed");
		else
			*plain = span_make(out, rest.n - TAG);
	}
	OPENSSL_cleanse(key, sizeof(key));
	return r;
}
