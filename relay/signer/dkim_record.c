/* dkim_record.c -- the public half of a key as DNS has it; see dkim_record.h. */
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <unistd.h>

#include "fs.h"
#include "signer/dkim_record.h"

static struct span
public_half(struct arena *a, const struct dkim_key *k)
{
	unsigned char *der = NULL, raw[32];
	size_t n = sizeof(raw);
	char *text;

	if (k->ed25519) {
		if (EVP_PKEY_get_raw_public_key(k->key, raw, &n) != 1)
			return (struct span){ 0 };
	} else {
		int len = i2d_PUBKEY(k->key, &der);

		if (len <= 0)
			return (struct span){ 0 };
		n = (size_t)len;
	}
	text = arena_alloc(a, (n + 2) / 3 * 4 + 1);
	EVP_EncodeBlock((unsigned char *)text, k->ed25519 ? raw : der, (int)n);
	OPENSSL_free(der);
	return span_str(text);
}

char *
dkim_record(struct arena *a, const struct dkim_key *k)
{
	return arena_printf(a, "v=DKIM1; k=%s; p=" SPAN_FMT, k->ed25519 ? "ed25519" : "rsa",
	    SPAN_ARG(public_half(a, k)));
}

/* The value of a tag without white space; p NULL when it is not there. */
static struct span
tag(struct arena *a, struct span txt, const char *name)
{
	while (txt.n) {
		struct span one = span_sub(txt, 0, span_find(txt, ';')), key;
		char *out;
		size_t n = 0;

		txt = span_from(txt, one.n + 1);
		key = span_trim(span_sub(one, 0, span_find(one, '=')));
		if (!span_is(key, name) || span_find(one, '=') == one.n)
			continue;
		one = span_from(one, span_find(one, '=') + 1);
		out = arena_alloc(a, one.n + 1);
		for (size_t i = 0; i < one.n; i++)
			if (!ascii_is_wsp(one.p[i]) && one.p[i] != '\r' && one.p[i] != '\n')
				out[n++] = one.p[i];
		out[n] = '\0';
		return span_make(out, n);
	}
	return (struct span){ 0 };
}

/* kind: "rsa" or "ed25519"; mine: the public half, in base64. */
static enum dkim_match
compare(struct arena *a, const char *kind, struct span mine, struct span txt)
{
	struct span v = tag(a, txt, "v"), p = tag(a, txt, "p"), k = tag(a, txt, "k"), t;

	if (p.p == NULL || (v.p && !span_is(v, "DKIM1")))
		return DKIM_NO_RECORD;
	if (p.n == 0)
		return DKIM_REVOKED;
	if (!span_is(k.p ? k : SPAN_LIT("rsa"), kind) || !span_eq(p, mine))
		return DKIM_OTHER_KEY;
	t = tag(a, txt, "t");
	while (t.n) {
		struct span flag = span_sub(t, 0, span_find(t, ':'));

		if (span_is(flag, "y"))
			return DKIM_TESTING;
		t = span_from(t, flag.n + 1);
	}
	return DKIM_MATCHES;
}

enum dkim_match
dkim_compare(struct arena *a, const struct dkim_key *k, struct span txt)
{
	return compare(a, k->ed25519 ? "ed25519" : "rsa", public_half(a, k), txt);
}

enum dkim_match
dkim_compare_record(struct arena *a, struct span record, struct span txt)
{
	return compare(a, arena_str(a, tag(a, record, "k")), tag(a, record, "p"), txt);
}

const char *
dkim_match_text(enum dkim_match m)
{
	static const char *const texts[] = { [DKIM_MATCHES] = "published, and it is this key",
		[DKIM_OTHER_KEY] = "published, but another key: signatures will not verify",
		[DKIM_REVOKED] = "revoked (its p= is empty)",
		[DKIM_TESTING] = "published for testing (t=y): verifiers are told not to mind it",
		[DKIM_NO_RECORD] = "not published" };

	return texts[m];
}

int
dkim_generate(const char *path, unsigned bits, struct err *err)
{
	EVP_PKEY *key = bits ? EVP_RSA_gen(bits) : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	BIO *bio = BIO_new(BIO_s_secmem());
	char *text;
	long n;
	int fd, rc = -1;

	if (key == NULL || bio == NULL ||
	    PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1) {
		err_set(err, 0, "OpenSSL makes no key");
		goto out;
	}
	n = BIO_get_mem_data(bio, &text);
	if ((fd = fs_open(path, O_WRONLY | O_CREAT | O_EXCL, 0600, err)) == -1)
		goto out;
	rc = fs_write_all(fd, text, (size_t)n, err);
	if (rc == 0)
		rc = fs_fsync(fd, err);
	close(fd);
	if (rc == -1)
		unlink(path);
out:
	BIO_free(bio);
	EVP_PKEY_free(key);
	return rc;
}
