/* pdf_lock.c -- the standard security handler (ISO 32000-2, 7.6); see anatomy/pdf.h.
 *
 * Most locked PDFs open with the empty password: the lock only asks readers
 * not to print or copy. Else the passwords that the message tells are tried,
 * as the user's and as the owner's. RC4 and AES with 128 and 256 bits;
 * handlers with certificates stay closed.
 */
#include "anatomy/pdf.h"

#include <nettle/aes.h>
#include <nettle/arcfour.h>
#include <nettle/cbc.h>
#include <nettle/md5.h>
#include <nettle/sha2.h>

static const unsigned char padding[32] =
    "\x28\xbf\x4e\x5e\x4e\x75\x8a\x41\x64\x00\x4e\x56\xff\xfa\x01\x08"
    "\x2e\x2e\x00\xb6\xd0\x68\x3e\x80\x2f\x0c\xa9\xfe\x64\x53\x69\x7a";

struct handler {
	int version, revision;
	size_t nkey;
	struct span o, u, oe, ue, id;
	uint32_t permissions;
	bool metadata;
};

static void
rc4(const unsigned char *key, size_t n, const unsigned char *in, unsigned char *out, size_t size)
{
	struct arcfour_ctx c;

	arcfour_set_key(&c, n, key);
	arcfour_crypt(&c, size, out, in);
}

static void
padded(struct span password, unsigned char out[32])
{
	size_t n = password.n < 32 ? password.n : 32;

	if (n)
		memcpy(out, password.p, n);
	memcpy(out + n, padding, 32 - n);
}

/* Algorithm 2. */
static void
key_make(const struct handler *h, const unsigned char pass[32], unsigned char key[32])
{
	unsigned char p[4] = { (unsigned char)h->permissions, (unsigned char)(h->permissions >> 8),
		(unsigned char)(h->permissions >> 16), (unsigned char)(h->permissions >> 24) };
	unsigned char digest[16];
	struct md5_ctx c;

	md5_init(&c);
	md5_update(&c, 32, pass);
	md5_update(&c, 32, (const uint8_t *)h->o.p);
	md5_update(&c, 4, p);
	md5_update(&c, h->id.n, (const uint8_t *)h->id.p);
	if (h->revision >= 4 && !h->metadata)
		md5_update(&c, 4, (const uint8_t *)"\xff\xff\xff\xff");
	md5_digest(&c, 16, digest);
	for (int i = 0; h->revision >= 3 && i < 50; i++) {
		md5_init(&c);
		md5_update(&c, h->nkey, digest);
		md5_digest(&c, 16, digest);
	}
	memcpy(key, digest, 16);
}

/* Algorithms 4 to 6: does this key make U? */
static bool
key_proves(const struct handler *h, const unsigned char key[32])
{
	unsigned char out[32], turned[16];
	struct md5_ctx c;

	if (h->revision == 2) {
		rc4(key, h->nkey, padding, out, 32);
		return memcmp(out, h->u.p, 32) == 0;
	}
	md5_init(&c);
	md5_update(&c, 32, padding);
	md5_update(&c, h->id.n, (const uint8_t *)h->id.p);
	md5_digest(&c, 16, out);
	for (unsigned i = 0; i < 20; i++) {
		for (size_t k = 0; k < h->nkey; k++)
			turned[k] = key[k] ^ (unsigned char)i;
		rc4(turned, h->nkey, out, out, 16);
	}
	return memcmp(out, h->u.p, 16) == 0;
}

/* Algorithm 7: what an owner's password hides is the user's. */
static void
owner_opens(const struct handler *h, struct span password, unsigned char user[32])
{
	unsigned char digest[16], turned[16];
	struct md5_ctx c;

	padded(password, user);
	md5_init(&c);
	md5_update(&c, 32, user);
	md5_digest(&c, 16, digest);
	for (int i = 0; h->revision >= 3 && i < 50; i++) {
		md5_init(&c);
		md5_update(&c, h->nkey, digest);
		md5_digest(&c, 16, digest);
	}
	memcpy(user, h->o.p, 32);
	for (int i = h->revision == 2 ? 0 : 19; i >= 0; i--) {
		for (size_t k = 0; k < h->nkey; k++)
			turned[k] = digest[k] ^ (unsigned char)i;
		rc4(turned, h->nkey, user, user, 32);
	}
}

static bool
old_opens(const struct handler *h, struct span password, unsigned char key[32])
{
	unsigned char pass[32];

	padded(password, pass);
	key_make(h, pass, key);
	if (key_proves(h, key))
		return true;
	owner_opens(h, password, pass);
	key_make(h, pass, key);
	return key_proves(h, key);
}

/* Algorithm 2.B; for revision 5 the first hash is all. */
static void
hash_new(const struct handler *h, struct span password, const char *salt, struct span user,
    unsigned char out[32])
{
	unsigned char k[64], round[64 * (127 + 64 + 48)];
	size_t nk = 32, n;
	struct sha256_ctx s;

	sha256_init(&s);
	sha256_update(&s, password.n, (const uint8_t *)password.p);
	sha256_update(&s, 8, (const uint8_t *)salt);
	sha256_update(&s, user.n, (const uint8_t *)user.p);
	sha256_digest(&s, 32, k);
	for (int i = 0; h->revision >= 6; i++) {
		struct aes128_ctx aes;
		struct sha512_ctx big;
		unsigned sum = 0;
		uint8_t iv[16];
		size_t one = password.n + nk + user.n;

		for (n = 0; n < 64; n++) {
			unsigned char *to = round + n * one;

			if (password.n)
				memcpy(to, password.p, password.n);
			memcpy(to + password.n, k, nk);
			if (user.n)
				memcpy(to + password.n + nk, user.p, user.n);
		}
		aes128_set_encrypt_key(&aes, k);
		memcpy(iv, k + 16, 16);
		cbc_encrypt(&aes, (nettle_cipher_func *)aes128_encrypt, 16, iv, one * 64, round, round);
		for (n = 0; n < 16; n++)
			sum += round[n];
		if (sum % 3 == 0) {
			sha256_init(&s);
			sha256_update(&s, one * 64, round);
			sha256_digest(&s, nk = 32, k);
		} else if (sum % 3 == 1) {
			sha384_init(&big);
			sha384_update(&big, one * 64, round);
			sha384_digest(&big, nk = 48, k);
		} else {
			sha512_init(&big);
			sha512_update(&big, one * 64, round);
			sha512_digest(&big, nk = 64, k);
		}
		if (i >= 63 && round[one * 64 - 1] <= i - 31)
			break;
	}
	memcpy(out, k, 32);
}

static bool
new_opens(const struct handler *h, struct span password, unsigned char key[32])
{
	struct span user = span_sub(h->u, 0, 48);
	unsigned char hash[32];
	struct aes256_ctx aes;
	uint8_t iv[16] = { 0 };
	struct span from;

	password = span_sub(password, 0, 127);
	hash_new(h, password, h->u.p + 32, span_make("", 0), hash);
	if (memcmp(hash, h->u.p, 32) == 0) {
		hash_new(h, password, h->u.p + 40, span_make("", 0), hash);
		from = h->ue;
	} else {
		hash_new(h, password, h->o.p + 32, user, hash);
		if (memcmp(hash, h->o.p, 32) != 0)
			return false;
		hash_new(h, password, h->o.p + 40, user, hash);
		from = h->oe;
	}
	aes256_set_decrypt_key(&aes, hash);
	cbc_decrypt(&aes, (nettle_cipher_func *)aes256_decrypt, 16, iv, 32, key, (const uint8_t *)from.p);
	return true;
}

static double
number_of(struct pdf *pdf, struct span dict, const char *key, double usual)
{
	struct pdf_value v = pdf_get(pdf, dict, key);

	return v.kind == PDF_NUMBER ? v.number : usual;
}

static enum pdf_cipher
cipher_of(struct pdf *pdf, struct span encrypt, const char *which)
{
	struct pdf_value name = pdf_get(pdf, encrypt, which), all = pdf_get(pdf, encrypt, "CF"), one;
	char key[64];

	if (name.kind != PDF_NAME || all.kind != PDF_DICT || name.s.n >= sizeof(key) ||
	    pdf_name_is(name.s, "Identity"))
		return PDF_PLAIN;
	memcpy(key, name.s.p, name.s.n);
	key[name.s.n] = '\0';
	one = pdf_get(pdf, all.s, key);
	if (one.kind != PDF_DICT)
		return PDF_PLAIN;
	name = pdf_get(pdf, one.s, "CFM");
	if (name.kind != PDF_NAME || pdf_name_is(name.s, "None"))
		return PDF_PLAIN;
	return pdf_name_is(name.s, "AESV3") ? PDF_AES256 : pdf_name_is(name.s, "AESV2") ? PDF_AES128 : PDF_RC4;
}

/* The Encrypt dictionary and the file's id: in a trailer, or in a cross-reference stream. */
static struct pdf_value
encrypt_find(struct pdf *pdf, struct span *id)
{
	struct span s = pdf->bytes;
	struct pdf_value v, e = { .kind = PDF_NULL };
	const char *q = s.p;

	*id = span_make("", 0);
	for (int i = 0; i < 64 && (q = memmem(q, (size_t)(s.p + s.n - q), "trailer", 7)) != NULL; i++) {
		struct pdf_lex l;

		q += 7;
		pdf_lex_init(&l, pdf, span_from(s, (size_t)(q - s.p)), true);
		pdf_next(&l, &v);
		if (v.kind != PDF_DICT)
			continue;
		e = pdf_get(pdf, v.s, "Encrypt");
		if (e.kind == PDF_DICT)
			break;
	}
	for (size_t i = 0; i < pdf->n && e.kind != PDF_DICT; i++) {
		struct span head = span_sub(pdf->v[i].src, 0, 1024), stream;

		if (head.n == 0 || memmem(head.p, head.n, "XRef", 4) == NULL)
			continue;
		v = pdf_object_value(pdf, &pdf->v[i], &stream);
		if (v.kind == PDF_DICT)
			e = pdf_get(pdf, v.s, "Encrypt");
	}
	if (e.kind == PDF_DICT && v.kind == PDF_DICT) {
		struct pdf_value ids = pdf_get(pdf, v.s, "ID"), first;
		struct pdf_lex l;

		if (ids.kind == PDF_ARRAY) {
			pdf_lex_init(&l, pdf, ids.s, false);
			pdf_next(&l, &first);
			*id = pdf_string(pdf, first, NULL);
		}
	}
	return e;
}

/* A version: none is as large as 100. */
static int
small(double n)
{
	return n > 0 && n < 100 ? (int)n : 0;
}

static bool
handler_read(struct pdf *pdf, struct span e, struct span id, struct handler *h)
{
	struct pdf_value v = pdf_get(pdf, e, "EncryptMetadata"), filter = pdf_get(pdf, e, "Filter");
	double bits = number_of(pdf, e, "Length", 40), permissions = number_of(pdf, e, "P", 0);

	*h = (struct handler){ .version = small(number_of(pdf, e, "V", 0)),
		.revision = small(number_of(pdf, e, "R", 0)), .id = id,
		.permissions = permissions < 0 ? 0 - pdf_whole(-permissions) : pdf_whole(permissions),
		.metadata = !(v.kind == PDF_WORD && span_is(v.s, "false")) };
	h->o = pdf_string(pdf, pdf_get(pdf, e, "O"), NULL);
	h->u = pdf_string(pdf, pdf_get(pdf, e, "U"), NULL);
	h->oe = pdf_string(pdf, pdf_get(pdf, e, "OE"), NULL);
	h->ue = pdf_string(pdf, pdf_get(pdf, e, "UE"), NULL);
	h->nkey = h->revision == 2 ? 5 : h->version == 4 ? 16 : bits >= 40 && bits <= 128 ?
	    (size_t)bits / 8 : 5;
	if (filter.kind == PDF_NAME && !pdf_name_is(filter.s, "Standard"))
		return false;
	if (h->revision >= 5)
		return h->revision <= 6 && h->o.n >= 48 && h->u.n >= 48 && h->oe.n >= 32 && h->ue.n >= 32;
	return h->revision >= 2 && h->o.n >= 32 && h->u.n >= 32 && (h->version == 1 ||
	    h->version == 2 || h->version == 4);
}

void
pdf_lock_open(struct pdf *pdf)
{
	struct pdf_lock *lock = &pdf->lock;
	struct part *p = &pdf->b->out->parts[pdf->index];
	struct handler h;
	struct span id;
	struct pdf_value e = encrypt_find(pdf, &id);
	const struct span *words;
	size_t n;

	*lock = (struct pdf_lock){ 0 };
	if (e.kind != PDF_DICT)
		return;
	p->encrypted = lock->locked = true;
	p->encryption = ENCRYPTION_PDF;
	if (!handler_read(pdf, e.s, id, &h))
		return;
	words = passwords_find(pdf->b, &n);
	for (size_t i = 0; i <= n && lock->locked; i++) {
		struct span word = i ? words[i - 1] : span_make("", 0);

		if (h.revision >= 5 ? new_opens(&h, word, lock->key) : old_opens(&h, word, lock->key))
			lock->locked = false;
	}
	if (lock->locked)
		return;
	p->opened = true;
	lock->nkey = h.revision >= 5 ? 32 : h.nkey;
	lock->strings = lock->streams = PDF_RC4;
	if (h.version >= 4) {
		lock->strings = cipher_of(pdf, e.s, "StrF");
		lock->streams = cipher_of(pdf, e.s, "StmF");
	}
}

struct span
pdf_unlock(struct pdf *pdf, const struct pdf_object *o, enum pdf_cipher cipher, struct span in)
{
	unsigned char key[16];
	size_t n = pdf->lock.nkey + 5;
	uint8_t iv[16], *out;
	struct md5_ctx c;
	uint8_t tail[9] = { (uint8_t)o->num, (uint8_t)(o->num >> 8), (uint8_t)(o->num >> 16),
		(uint8_t)o->gen, (uint8_t)(o->gen >> 8), 's', 'A', 'l', 'T' };

	if (cipher == PDF_PLAIN || o->packed || in.n == 0)
		return in;
	if (in.n > pdf->b->left) {
		pdf->cut = true;
		return span_make("", 0);
	}
	pdf->b->left -= in.n;
	out = arena_alloc(pdf->b->a, in.n);
	if (cipher != PDF_AES256) {
		md5_init(&c);
		md5_update(&c, pdf->lock.nkey, pdf->lock.key);
		md5_update(&c, cipher == PDF_AES128 ? 9 : 5, tail);
		md5_digest(&c, 16, key);
		if (n > 16)
			n = 16;
	}
	if (cipher == PDF_RC4) {
		rc4(key, n, (const unsigned char *)in.p, out, in.n);
		return span_make((char *)out, in.n);
	}
	if (in.n < 32)
		return span_make("", 0);
	memcpy(iv, in.p, 16);
	in = span_sub(in, 16, (in.n - 16) & ~(size_t)15);
	if (cipher == PDF_AES128) {
		struct aes128_ctx aes;

		aes128_set_decrypt_key(&aes, key);
		cbc_decrypt(&aes, (nettle_cipher_func *)aes128_decrypt, 16, iv, in.n, out,
		    (const uint8_t *)in.p);
	} else {
		struct aes256_ctx aes;

		aes256_set_decrypt_key(&aes, pdf->lock.key);
		cbc_decrypt(&aes, (nettle_cipher_func *)aes256_decrypt, 16, iv, in.n, out,
		    (const uint8_t *)in.p);
	}
	/* The last byte counts what was filled up. */
	n = out[in.n - 1];
	return span_make((char *)out, n >= 1 && n <= 16 ? in.n - n : in.n);
}
