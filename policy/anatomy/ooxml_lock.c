/* ooxml_lock.c -- Office documents under a password (MS-OFFCRYPTO 2.3.4); see anatomy/unlock.h.
 *
 * Two ways to lock: standard (2.3.4.5; AES in ECB, SHA-1, 50,000 rounds) and
 * agile (2.3.4.10; AES in CBC by pieces of 4,096 bytes; hash and rounds as
 * the file says). Excel opens what is under "VelvetSweatshop" without asking
 * (2.3.7.9: a workbook that is only protected against changes), so that is tried too.
 * The package is not proved by its HMAC: a changed one is still read.
 */
#include "anatomy/unlock.h"

#include <nettle/aes.h>
#include <nettle/nettle-meta.h>

#include "anatomy/decode.h"
#include "anatomy/ole2.h"
#include "anatomy/xml.h"
#include "postern/err.h"

#define SPIN_STANDARD 50000
#define PIECE 4096
#define HASH_MAX 64
#define AES_BLOCK 16

static const char nobody_asks[] = "VelvetSweatshop";

struct locked_by {
	struct span salt;		/* of the password's hash */
	const struct nettle_hash *hash;
	uint64_t spin;
	size_t nkey;			/* bytes */
	/* agile */
	struct span input, value, key;	/* encrypted: verifier, its hash, the package's key */
	const struct nettle_hash *data_hash;
	struct span data_salt;
	size_t data_nkey;
	struct arena *a;
	unsigned seen;
};

/* --- hashes ------------------------------------------------------------------------------------ */

struct hashing {
	const struct nettle_hash *h;
	union {
		char room[512];
		uint64_t aligned;
	} ctx;
};

static void
hash_two(const struct nettle_hash *h, const void *a, size_t na, const void *b, size_t nb,
    uint8_t out[HASH_MAX])
{
	struct hashing x = { .h = h };

	ASSERT(h->context_size <= sizeof(x.ctx) && h->digest_size <= HASH_MAX);
	h->init(&x.ctx);
	if (na)
		h->update(&x.ctx, na, a);
	if (nb)
		h->update(&x.ctx, nb, b);
	h->digest(&x.ctx, h->digest_size, out);
}

static void
le32(uint8_t out[4], uint32_t v)
{
	for (int i = 0; i < 4; i++)
		out[i] = (uint8_t)(v >> (8 * i));
}

/* The password's hash, as often as the file wants. */
static bool
spin(struct builder *b, const struct locked_by *l, struct span password, uint8_t h[HASH_MAX])
{
	struct span utf16 = key_utf16(b, password);
	size_t n = l->hash->digest_size;
	uint8_t i4[4];

	if (!key_pay(b, l->spin, n > 32 ? 2 * n : n))
		return false;
	hash_two(l->hash, l->salt.p, l->salt.n, utf16.p, utf16.n, h);
	for (uint64_t i = 0; i < l->spin; i++) {
		le32(i4, (uint32_t)i);
		hash_two(l->hash, i4, 4, h, n, h);
	}
	return true;
}

/* --- standard ------------------------------------------------------------------------------------ */

static void
ecb_open(const uint8_t *key, size_t nkey, struct span in, uint8_t *out)
{
	const uint8_t *from = (const uint8_t *)in.p;

	if (nkey == 16) {
		struct aes128_ctx c;

		aes128_set_decrypt_key(&c, key);
		aes128_decrypt(&c, in.n, out, from);
	} else if (nkey == 24) {
		struct aes192_ctx c;

		aes192_set_decrypt_key(&c, key);
		aes192_decrypt(&c, in.n, out, from);
	} else {
		struct aes256_ctx c;

		aes256_set_decrypt_key(&c, key);
		aes256_decrypt(&c, in.n, out, from);
	}
}

/* 2.3.4.7 */
static bool
standard_key(struct builder *b, const struct locked_by *l, struct span password, uint8_t key[40])
{
	uint8_t h[HASH_MAX], mixed[64], zero[4] = { 0 }, two[2 * HASH_MAX], proof[16], told[32];

	if (!spin(b, l, password, h))
		return false;
	hash_two(l->hash, h, 20, zero, 4, h);
	for (int k = 0; k < 2; k++) {
		memset(mixed, k ? 0x5c : 0x36, sizeof(mixed));
		for (int i = 0; i < 20; i++)
			mixed[i] ^= h[i];
		hash_two(l->hash, mixed, 64, NULL, 0, two + 20 * k);
	}
	memcpy(key, two, 40);
	ecb_open(key, l->nkey, l->input, proof);
	ecb_open(key, l->nkey, l->value, told);
	hash_two(l->hash, proof, 16, NULL, 0, h);
	return memcmp(h, told, 20) == 0;
}

static struct span
package_room(struct builder *b, struct span package, struct span *in, uint8_t **to)
{
	uint64_t size = get32(package, 0) | (uint64_t)get32(package, 4) << 32;

	*in = span_from(package, 8);
	in->n &= ~(size_t)(AES_BLOCK - 1);
	*to = in->n ? unlock_room(b, in->n) : NULL;
	return span_make((char *)*to, *to == NULL ? 0 : size < in->n ? (size_t)size : in->n);
}

static bool
standard_read(struct span info, struct locked_by *l)
{
	size_t header = get32(info, 8), at;
	uint32_t bits = get32(info, 12 + 16);

	if (header > info.n || info.n - header < 12)
		return false;
	at = 12 + header;
	*l = (struct locked_by){ .hash = &nettle_sha1, .spin = SPIN_STANDARD, .nkey = bits / 8,
		.salt = span_sub(info, at + 4, 16), .input = span_sub(info, at + 20, 16),
		.value = span_sub(info, at + 40, 32) };
	return get32(info, at) == 16 && l->value.n == 32 && (bits == 128 || bits == 192 || bits == 256);
}

/* --- agile ------------------------------------------------------------------------------------------- */

static struct span
base64(struct arena *a, struct span s)
{
	struct span out = span_make("", 0);

	decode_body(a, ENCODING_BASE64, s, 1024, &out);
	return out;
}

static const struct nettle_hash *
hash_named(struct span name)
{
	return span_is_nocase(name, "SHA1") || span_is_nocase(name, "SHA-1") ? &nettle_sha1 :
	    span_is_nocase(name, "SHA256") ? &nettle_sha256 : span_is_nocase(name, "SHA384") ?
	    &nettle_sha384 : span_is_nocase(name, "SHA512") ? &nettle_sha512 : NULL;
}

static bool
known_cipher(const struct xml_tag *t)
{
	return span_is_nocase(xml_attribute(t, "cipherAlgorithm"), "AES") &&
	    span_is_nocase(xml_attribute(t, "cipherChaining"), "ChainingModeCBC");
}

static void
on_tag(void *arg, const struct xml_tag *t)
{
	struct locked_by *l = arg;

	if (t->closing || !known_cipher(t))
		return;
	if (span_is(t->name, "keyData")) {
		l->data_hash = hash_named(xml_attribute(t, "hashAlgorithm"));
		l->data_salt = base64(l->a, xml_attribute(t, "saltValue"));
		l->data_nkey = (size_t)xml_number(xml_attribute(t, "keyBits")) / 8;
		l->seen |= 1;
	} else if (span_is(t->name, "encryptedKey") && !(l->seen & 2)) {
		l->hash = hash_named(xml_attribute(t, "hashAlgorithm"));
		l->spin = xml_number(xml_attribute(t, "spinCount"));
		l->salt = base64(l->a, xml_attribute(t, "saltValue"));
		l->nkey = (size_t)xml_number(xml_attribute(t, "keyBits")) / 8;
		l->input = base64(l->a, xml_attribute(t, "encryptedVerifierHashInput"));
		l->value = base64(l->a, xml_attribute(t, "encryptedVerifierHashValue"));
		l->key = base64(l->a, xml_attribute(t, "encryptedKeyValue"));
		l->seen |= 2;
	}
}

static void
on_text(void *arg, const char *p, size_t n)
{
}

static bool
is_aes_size(size_t n)
{
	return n == 16 || n == 24 || n == 32;
}

static bool
agile_read(struct arena *a, struct span info, struct locked_by *l)
{
	struct xml x = { .text = on_text, .tag = on_tag, .arg = l };
	struct span s = span_sub(info, 8, 65536);

	*l = (struct locked_by){ .a = a };
	xml_piece(&x, s.p, s.n);
	return l->seen == 3 && l->hash && l->data_hash && is_aes_size(l->nkey) &&
	    is_aes_size(l->data_nkey) && l->salt.n && l->salt.n <= 64 && l->data_salt.n &&
	    l->data_salt.n <= 64 && l->input.n && l->input.n % AES_BLOCK == 0 && l->input.n <= 64 &&
	    l->value.n >= l->hash->digest_size && l->value.n % AES_BLOCK == 0 && l->value.n <= 64 &&
	    l->key.n >= l->data_nkey && l->key.n % AES_BLOCK == 0 && l->key.n <= 64;
}

/* 2.3.4.11 and 2.3.4.13: what one of the three keys hides. */
static void
agile_open(const struct locked_by *l, const uint8_t h[HASH_MAX], const char *block, struct span in,
    uint8_t out[64])
{
	uint8_t key[HASH_MAX], iv[AES_BLOCK];
	size_t n = l->hash->digest_size;

	hash_two(l->hash, h, n, block, 8, key);
	if (n < l->nkey)
		memset(key + n, 0x36, l->nkey - n);
	memset(iv, 0x36, sizeof(iv));
	memcpy(iv, l->salt.p, l->salt.n < AES_BLOCK ? l->salt.n : AES_BLOCK);
	aes_cbc_open(key, l->nkey, iv, in, out);
}

static bool
agile_key(struct builder *b, const struct locked_by *l, struct span password, uint8_t key[64])
{
	uint8_t h[HASH_MAX], input[64], told[64], proof[HASH_MAX];

	if (!spin(b, l, password, h))
		return false;
	agile_open(l, h, "\xfe\xa7\xd2\x76\x3b\x4b\x9e\x79", l->input, input);
	agile_open(l, h, "\xd7\xaa\x0f\x6d\x30\x61\x34\x4e", l->value, told);
	hash_two(l->hash, input, l->salt.n < l->input.n ? l->salt.n : l->input.n, NULL, 0, proof);
	if (memcmp(proof, told, l->hash->digest_size) != 0)
		return false;
	agile_open(l, h, "\x14\x6e\x0b\xe7\xab\xac\xd0\xd6", l->key, key);
	return true;
}

static void
agile_package(const struct locked_by *l, const uint8_t *key, struct span in, uint8_t *to)
{
	for (size_t at = 0, i = 0; at < in.n; at += PIECE, i++) {
		uint8_t i4[4], iv[HASH_MAX];

		le32(i4, (uint32_t)i);
		hash_two(l->data_hash, l->data_salt.p, l->data_salt.n, i4, 4, iv);
		aes_cbc_open(key, l->data_nkey, iv, span_sub(in, at, PIECE), to + at);
	}
}

/* --- the whole ----------------------------------------------------------------------------------------- */

struct unlocked
ooxml_unlock(struct builder *b, struct span info, struct span package)
{
	struct unlocked u = { LOCK_SHUT };
	bool agile = get16(info, 0) == 4 && get16(info, 2) == 4;
	const struct span *words;
	struct locked_by l;
	uint8_t key[64], *to;
	struct span in;
	size_t n;

	if (!(agile ? agile_read(b->a, info, &l) : get16(info, 2) == 2 && standard_read(info, &l)))
		return u;
	words = passwords_find(b, &n);
	for (size_t i = 0; i <= n; i++) {
		struct span word = i < n ? words[i] : span_str(nobody_asks);

		if (!(agile ? agile_key(b, &l, word, key) : standard_key(b, &l, word, key)))
			continue;
		u.bytes = package_room(b, package, &in, &to);
		if (u.bytes.n == 0)
			return u;
		if (agile)
			agile_package(&l, key, in, to);
		else
			ecb_open(key, l.nkey, in, to);
		u.lock = LOCK_OPEN;
		return u;
	}
	return u;
}
