/* scrypt.c -- passwords as scrypt hashes; see scrypt.h. */
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "authenticator/scrypt.h"
#include "base64.h"
#include "conf.h"

static int
derive(const struct scrypt_hash *h, struct span password, unsigned char *out, struct err *err)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "SCRYPT", NULL);
	EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	uint64_t n = UINT64_C(1) << h->ln, memory = SCRYPT_MEMORY_MAX + (1u << 20);
	uint32_t r = h->r, p = h->p;
	OSSL_PARAM params[] = {
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_PASSWORD, (void *)(uintptr_t)password.p,
		    password.n),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)h->salt, h->nsalt),
		OSSL_PARAM_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n),
		OSSL_PARAM_uint32(OSSL_KDF_PARAM_SCRYPT_R, &r),
		OSSL_PARAM_uint32(OSSL_KDF_PARAM_SCRYPT_P, &p),
		OSSL_PARAM_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &memory),
		OSSL_PARAM_END,
	};
	int ok = ctx && EVP_KDF_derive(ctx, out, h->nhash, params) == 1;

	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return ok ? 0 : err_set(err, 0, "scrypt could not be computed");
}

/* "ln=15,r=8,p=1" */
static bool
costs(struct span s, struct scrypt_hash *h)
{
	static const struct { struct span key; uint64_t max; } want[] = {
		{ { "ln=", 3 }, 20 }, { { "r=", 2 }, 32 }, { { "p=", 2 }, 16 },
	};
	uint32_t *to[] = { &h->ln, &h->r, &h->p };

	for (size_t i = 0; i < 3; i++) {
		struct span one = span_sub(s, 0, span_find(s, ','));
		uint64_t v;

		if (!span_starts(one, want[i].key) ||
		    !parse_uint(span_from(one, want[i].key.n), want[i].max, &v) || v == 0)
			return false;
		*to[i] = (uint32_t)v;
		s = span_from(s, one.n + 1);
	}
	return s.n == 0;
}

static bool
bytes(struct span s, size_t min, unsigned char *out, size_t *n)
{
	struct buf b = { .p = (char *)out, .cap = SCRYPT_BYTES_MAX, .max = SCRYPT_BYTES_MAX };

	if (s.n > (SCRYPT_BYTES_MAX * 4 + 2) / 3 || base64_decode_bare(&b, s) == -1 ||
	    buf_size(&b) < min)
		return false;
	*n = buf_size(&b);
	return true;
}

int
scrypt_parse(struct span text, struct scrypt_hash *h, struct err *err)
{
	static const struct span head = { "$scrypt$", 8 };
	struct span field[3];

	*h = (struct scrypt_hash){ 0 };
	if (!span_starts(text, head))
		return err_set(err, EINVAL, "not a hash that begins with $scrypt$ "
		    "(`postern passwd` makes one)");
	text = span_from(text, head.n);
	for (size_t i = 0; i < 2; i++) {
		field[i] = span_sub(text, 0, span_find(text, '$'));
		text = span_from(text, field[i].n + 1);
	}
	field[2] = text;
	if (!costs(field[0], h))
		return err_set(err, EINVAL, "the costs of the hash are not ln=1..20,r=1..32,p=1..16");
	if ((UINT64_C(128) * h->r << h->ln) > SCRYPT_MEMORY_MAX)
		return err_set(err, EINVAL, "this hash needs more than %u MiB of memory",
		    SCRYPT_MEMORY_MAX >> 20);
	if (!bytes(field[1], 8, h->salt, &h->nsalt) ||
	    !bytes(field[2], 16, h->hash, &h->nhash))
		return err_set(err, EINVAL, "salt or hash is damaged");
	return 0;
}

int
scrypt_make(struct span password, struct buf *out, struct err *err)
{
	struct scrypt_hash h = { .ln = SCRYPT_LN, .r = SCRYPT_R, .p = SCRYPT_P,
		.nsalt = SCRYPT_SALT, .nhash = SCRYPT_SIZE };

	if (RAND_bytes(h.salt, SCRYPT_SALT) != 1)
		return err_set(err, 0, "no random numbers");
	if (derive(&h, password, h.hash, err) == -1)
		return -1;
	buf_printf(out, "$scrypt$ln=%u,r=%u,p=%u$", h.ln, h.r, h.p);
	base64_encode(out, span_make((char *)h.salt, h.nsalt), false);
	buf_putc(out, '$');
	base64_encode(out, span_make((char *)h.hash, h.nhash), false);
	return 0;
}

int
scrypt_check(const struct scrypt_hash *h, struct span password, bool *right, struct err *err)
{
	unsigned char out[SCRYPT_BYTES_MAX];

	if (derive(h, password, out, err) == -1)
		return -1;
	*right = CRYPTO_memcmp(out, h->hash, h->nhash) == 0;
	OPENSSL_cleanse(out, sizeof(out));
	return 0;
}
