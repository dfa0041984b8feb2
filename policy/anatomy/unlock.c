/* unlock.c -- slow keys, paid for; see anatomy/unlock.h.
 *
 * Archives of 7-Zip have no salt: one password makes the same key for all of
 * them, so keys are remembered while a message is read. A sender's number of
 * rounds is never believed: what is above the budget is not begun.
 */
#include "anatomy/unlock.h"

#include <nettle/aes.h>
#include <nettle/cbc.h>
#include <nettle/hmac.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>

#include "anatomy/textmap.h"

#define KEYS_KEPT 64
#define POWER_MAX 30
#define RAR4_ROUNDS 0x40000u
#define TRIALS_FREE ((uint64_t)64 << 20)

struct key_kept {
	struct span salt, password;
	unsigned power;
	enum { KEY_SEVENZIP, KEY_RAR4, KEY_RAR5 } kind;
	uint8_t v[3][32];
};

struct key_store {
	struct key_kept v[KEYS_KEPT];
	size_t n;
};

bool
key_pay(struct builder *b, uint64_t rounds, uint64_t bytes_each)
{
	uint64_t each = bytes_each / 64 + 1;

	if (rounds > b->key_blocks / each)
		return false;
	b->key_blocks -= rounds * each;
	return true;
}

struct span
key_utf16(struct builder *b, struct span s)
{
	char *out = arena_alloc(b->a, s.n * 2 + 2);
	size_t n = 0;

	if (s.n > KEY_PASSWORD / 2 || utf8_valid_until(s) != s.n)
		return span_make("", 0);
	for (size_t i = 0; i < s.n;) {
		unsigned char c = (unsigned char)s.p[i];
		unsigned more = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
		uint32_t u = more == 0 ? c : c & (0x3fu >> more);

		for (i++; more; more--, i++)
			u = u << 6 | ((unsigned char)s.p[i] & 0x3f);
		if (u >= 0x10000) {
			uint32_t high = 0xd800 + ((u - 0x10000) >> 10);

			out[n++] = (char)high;
			out[n++] = (char)(high >> 8);
			u = 0xdc00 + ((u - 0x10000) & 0x3ff);
		}
		out[n++] = (char)u;
		out[n++] = (char)(u >> 8);
	}
	return span_make(out, n);
}

static struct key_kept *
kept(struct builder *b, struct span salt, struct span password, unsigned power, int kind)
{
	for (size_t i = 0; b->keys && i < b->keys->n; i++) {
		struct key_kept *k = &b->keys->v[i];

		if ((int)k->kind == kind && k->power == power && span_eq(k->salt, salt) &&
		    span_eq(k->password, password))
			return k;
	}
	return NULL;
}

static struct key_kept *
keep(struct builder *b, struct span salt, struct span password, unsigned power, int kind)
{
	static struct key_kept over;
	struct key_kept *k = &over;

	if (b->keys == NULL)
		b->keys = arena_zalloc(b->a, sizeof(*b->keys));
	if (b->keys->n < KEYS_KEPT)
		k = &b->keys->v[b->keys->n++];
	*k = (struct key_kept){ .salt = arena_span(b->a, salt), .power = power, .kind = kind,
		.password = arena_span(b->a, password) };
	return k;
}

bool
key_sevenzip(struct builder *b, struct span salt, struct span password, unsigned power,
    uint8_t key[32])
{
	uint8_t block[KEY_PASSWORD + 64 + 8] = { 0 };
	struct span utf16 = key_utf16(b, password);
	struct key_kept *k = kept(b, salt, password, power, KEY_SEVENZIP);
	size_t n = salt.n + utf16.n;
	struct sha256_ctx c;

	if (k) {
		memcpy(key, k->v[0], 32);
		return true;
	}
	if (salt.n > 64 || utf16.n > KEY_PASSWORD)
		return false;
	if (salt.n)
		memcpy(block, salt.p, salt.n);
	memcpy(block + salt.n, utf16.p, utf16.n);
	if (power == 0x3f) {	/* no derivation at all */
		memcpy(key, block, 32);
		return true;
	}
	if (power > POWER_MAX || !key_pay(b, UINT64_C(1) << power, n + 8))
		return false;
	sha256_init(&c);
	for (uint64_t i = 0; i < UINT64_C(1) << power; i++) {
		for (int j = 0; j < 8; j++)
			block[n + (size_t)j] = (uint8_t)(i >> (8 * j));
		sha256_update(&c, n + 8, block);
	}
	sha256_digest(&c, 32, key);
	k = keep(b, salt, password, power, KEY_SEVENZIP);
	memcpy(k->v[0], key, 32);
	return true;
}

bool
key_rar5(struct builder *b, struct span salt, struct span password, unsigned power,
    uint8_t key[32], uint8_t checksum[32], uint8_t check[32])
{
	struct key_kept *k = kept(b, salt, password, power, KEY_RAR5);
	struct hmac_sha256_ctx h;
	uint64_t rounds = UINT64_C(1) << (power & 63);
	uint8_t u[32], f[32];

	if (k == NULL) {
		if (power > POWER_MAX || !key_pay(b, rounds + 32, 64))
			return false;
		k = keep(b, salt, password, power, KEY_RAR5);
		hmac_sha256_set_key(&h, password.n, (const uint8_t *)password.p);
		hmac_sha256_update(&h, salt.n, (const uint8_t *)salt.p);
		hmac_sha256_update(&h, 4, (const uint8_t *)"\0\0\0\1");
		hmac_sha256_digest(&h, 32, u);
		memcpy(f, u, 32);
		for (uint64_t i = 1; i < rounds + 32; i++) {
			if (i == rounds)
				memcpy(k->v[0], f, 32);
			if (i == rounds + 16)
				memcpy(k->v[1], f, 32);
			hmac_sha256_update(&h, 32, u);
			hmac_sha256_digest(&h, 32, u);
			for (size_t j = 0; j < 32; j++)
				f[j] ^= u[j];
		}
		memcpy(k->v[2], f, 32);
	}
	memcpy(key, k->v[0], 32);
	memcpy(checksum, k->v[1], 32);
	memcpy(check, k->v[2], 32);
	return true;
}

bool
key_rar4(struct builder *b, struct span salt, struct span password, uint8_t key[16],
    uint8_t iv[16])
{
	uint8_t block[KEY_PASSWORD + 8 + 3], digest[20];
	struct span utf16 = key_utf16(b, password);
	struct key_kept *k = kept(b, salt, password, 0, KEY_RAR4);
	size_t n = utf16.n + salt.n;
	struct sha1_ctx c, copy;

	if (k) {
		memcpy(key, k->v[0], 16);
		memcpy(iv, k->v[1], 16);
		return true;
	}
	if (salt.n > 8 || utf16.n > KEY_PASSWORD || !key_pay(b, RAR4_ROUNDS, n + 3))
		return false;
	memcpy(block, utf16.p, utf16.n);
	if (salt.n)
		memcpy(block + utf16.n, salt.p, salt.n);
	sha1_init(&c);
	for (uint32_t i = 0; i < RAR4_ROUNDS; i++) {
		block[n] = (uint8_t)i;
		block[n + 1] = (uint8_t)(i >> 8);
		block[n + 2] = (uint8_t)(i >> 16);
		sha1_update(&c, n + 3, block);
		if (i % (RAR4_ROUNDS / 16) == 0) {
			copy = c;
			sha1_digest(&copy, 20, digest);
			iv[i / (RAR4_ROUNDS / 16)] = digest[19];
		}
	}
	sha1_digest(&c, 20, digest);
	/* Four words, each with its bytes turned. */
	for (size_t i = 0; i < 16; i++)
		key[i] = digest[(i & ~(size_t)3) + 3 - (i & 3)];
	k = keep(b, salt, password, 0, KEY_RAR4);
	memcpy(k->v[0], key, 16);
	memcpy(k->v[1], iv, 16);
	return true;
}

void
aes_cbc_open(const uint8_t *key, size_t nkey, const uint8_t iv[16], struct span in, uint8_t *out)
{
	uint8_t chain[16];

	memcpy(chain, iv, 16);
	if (nkey == 16) {
		struct aes128_ctx c;

		aes128_set_decrypt_key(&c, key);
		cbc_decrypt(&c, (nettle_cipher_func *)aes128_decrypt, 16, chain, in.n, out,
		    (const uint8_t *)in.p);
	} else if (nkey == 24) {
		struct aes192_ctx c;

		aes192_set_decrypt_key(&c, key);
		cbc_decrypt(&c, (nettle_cipher_func *)aes192_decrypt, 16, chain, in.n, out,
		    (const uint8_t *)in.p);
	} else {
		struct aes256_ctx c;

		aes256_set_decrypt_key(&c, key);
		cbc_decrypt(&c, (nettle_cipher_func *)aes256_decrypt, 16, chain, in.n, out,
		    (const uint8_t *)in.p);
	}
}

void
unlock_refund(struct builder *b, uint64_t left, uint64_t *spent)
{
	*spent += left - b->left;
	if (*spent <= TRIALS_FREE)
		b->left = left;
}

uint8_t *
unlock_room(struct builder *b, size_t n)
{
	if (n > b->left)
		return NULL;
	b->left -= n;
	return arena_alloc(b->a, n ? n : 1);
}
