/* public_key.c -- the public key of a signer as the DNS has it; see public_key.h. */
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include "base64.h"
#include "verifier/public_key.h"
#include "verifier/tags.h"

#define SIGNATURE_BYTES_MAX 1024

bool
public_key_name(struct arena *a, struct span selector, struct span domain, struct span *name)
{
	static const struct span middle = { "._domainkey.", 12 };
	char *p;

	if (selector.n == 0 || domain.n == 0 || selector.n + middle.n + domain.n > 253)
		return false;
	p = arena_alloc(a, selector.n + middle.n + domain.n + 1);
	memcpy(p, selector.p, selector.n);
	memcpy(p + selector.n, middle.p, middle.n);
	memcpy(p + selector.n + middle.n, domain.p, domain.n);
	*name = span_make(p, selector.n + middle.n + domain.n);
	for (size_t i = 0; i < name->n; i++)
		p[i] = ascii_lower(p[i]);
	return dns_name_ok(*name);
}

static void
refuse(struct public_key *k, enum auth_result r, const char *why)
{
	k->result = r;
	k->why = why;
}

/* As the world publishes it, and as libopendkim reads it. */
static void
write_record(struct arena *a, struct public_key *k)
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(k->key, &der);
	struct buf b;

	buf_init(&b, 2 * KEY_RECORD_MAX);
	buf_puts(&b, "v=DKIM1; k=rsa; p=");
	if (n > 0)
		base64_encode(&b, span_make((const char *)der, (size_t)n), true);
	k->record = arena_span(a, buf_data(&b));
	OPENSSL_free(der);
	buf_release(&b);
}

static void
read_point(struct arena *a, struct public_key *k, struct span p)
{
	struct buf raw;

	buf_init(&raw, KEY_RECORD_MAX);
	if (base64_decode(&raw, p) == 0 && k->ed25519)
		k->key = buf_size(&raw) == 32 ? EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL,
		    (const unsigned char *)buf_data(&raw).p, 32) : NULL;
	else if (!buf_failed(&raw) && buf_size(&raw)) {
		const unsigned char *der = (const unsigned char *)buf_data(&raw).p;
		const unsigned char *end = der + buf_size(&raw);

		k->key = d2i_PUBKEY(NULL, &der, (long)buf_size(&raw));
		if (k->key == NULL) {	/* RFC 6376 says RSAPublicKey, the world SubjectPublicKeyInfo */
			der = (const unsigned char *)buf_data(&raw).p;
			k->key = d2i_PublicKey(EVP_PKEY_RSA, NULL, &der, (long)buf_size(&raw));
			if (k->key)
				write_record(a, k);
		}
		if (k->key && (der != end || EVP_PKEY_get_base_id(k->key) != EVP_PKEY_RSA))
			public_key_free(k);
	}
	buf_release(&raw);
	if (k->key == NULL) {
		refuse(k, AUTH_PERMERROR, "the key cannot be read");
		return;
	}
	k->bits = (unsigned)EVP_PKEY_get_bits(k->key);
	if (k->ed25519)
		return;
	if (k->bits < KEY_BITS_MIN)
		refuse(k, AUTH_POLICY, "the key is too short");
	else if (k->bits > KEY_BITS_MAX)
		refuse(k, AUTH_POLICY, "the key is too long");
}

static void
read_record(struct arena *a, struct span txt, struct public_key *k)
{
	struct tags t;
	struct span v, p, kind, h, s, flags;

	k->record = txt;
	if (txt.n > KEY_RECORD_MAX) {
		refuse(k, AUTH_PERMERROR, "the key record is too long");
		return;
	}
	if (!tags_parse(txt, &t)) {
		refuse(k, AUTH_PERMERROR, "the key record cannot be read");
		return;
	}
	v = tags_get(&t, "v");
	p = tags_get(&t, "p");
	kind = tags_get(&t, "k");
	h = tags_get(&t, "h");
	s = tags_get(&t, "s");
	flags = tags_get(&t, "t");
	k->testing = tags_list_has(flags, "y");
	k->strict = tags_list_has(flags, "s");
	k->ed25519 = kind.p && span_is(kind, "ed25519");
	if (v.p && !span_is(v, "DKIM1"))
		refuse(k, AUTH_PERMERROR, "the key record is of another version");
	else if (p.p == NULL)
		refuse(k, AUTH_PERMERROR, "the key record has no key");
	else if (p.n == 0)
		refuse(k, AUTH_PERMERROR, "the key is revoked");
	else if (kind.p && !k->ed25519 && !span_is(kind, "rsa"))
		refuse(k, AUTH_PERMERROR, "a key of an unknown kind");
	else if (h.p && !tags_list_has(h, "sha256"))
		refuse(k, AUTH_PERMERROR, "the key does not permit sha256");
	else if (s.p && !tags_list_has(s, "email") && !tags_list_has(s, "*"))
		refuse(k, AUTH_PERMERROR, "the key is not for mail");
	else
		read_point(a, k, tags_compact(a, p, false));
}

/* Is a TXT record meant to be a key? Others may stand beside it, behind a wildcard for instance. */
static bool
is_key(struct span txt)
{
	struct tags t;

	return span_starts(txt, SPAN_LIT("v=DKIM1")) || (tags_parse(txt, &t) && tags_get(&t, "p").p);
}

bool
public_key_find(struct arena *a, struct dns_book *book, struct span name, struct public_key *k)
{
	const struct dns_reply *r = dns_book_ask(book, name, DNS_TXT);
	size_t found = 0;

	if (r == NULL)
		return false;
	*k = (struct public_key){ .result = AUTH_PASS };
	if (dns_reply_failed(r)) {
		refuse(k, AUTH_TEMPERROR, "the key cannot be looked up now");
		return true;
	}
	for (size_t i = 0; i < r->n; i++)
		if (is_key(r->items[i].text)) {
			k->record = r->items[i].text;
			found++;
		}
	if (found == 0)
		refuse(k, AUTH_PERMERROR, "there is no such key");
	else if (found > 1)	/* 3.6.2.2: undefined; to choose would be to guess */
		refuse(k, AUTH_PERMERROR, "there are several keys of that name");
	else
		read_record(a, k->record, k);
	return true;
}

void
public_key_free(struct public_key *k)
{
	EVP_PKEY_free(k->key);
	k->key = NULL;
}

static bool
verifies(const struct public_key *k, struct span data, const unsigned char *sig, size_t n)
{
	unsigned char md[SHA256_DIGEST_LENGTH];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = false;

	if (ctx && k->ed25519) {	/* RFC 8463, 3: the hash is what is signed */
		SHA256((const unsigned char *)data.p, data.n, md);
		good = EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, k->key) == 1 &&
		    EVP_DigestVerify(ctx, sig, n, md, sizeof(md)) == 1;
	} else if (ctx) {
		good = EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, k->key) == 1 &&
		    EVP_DigestVerify(ctx, sig, n, (const unsigned char *)data.p, data.n) == 1;
	}
	EVP_MD_CTX_free(ctx);
	return good;
}

bool
public_key_verifies(const struct public_key *k, struct span data, struct span sig)
{
	struct arena *a = arena_new(0);
	struct buf raw;
	bool good = false;

	buf_init(&raw, SIGNATURE_BYTES_MAX);
	if (k->key && base64_decode(&raw, tags_compact(a, sig, false)) == 0 && buf_size(&raw))
		good = verifies(k, data, (const unsigned char *)buf_data(&raw).p, buf_size(&raw));
	buf_release(&raw);
	arena_free(&a);
	return good;
}
