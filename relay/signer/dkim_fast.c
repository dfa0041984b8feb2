/* dkim_fast.c -- signing with a key that is parsed once (RFC 6376, RFC 8463).
 *
 * A field is chosen from the bottom of the header upwards, so that fields put
 * on top later (trace fields) change nothing; an oversigned name stands once
 * more in h= than there are such fields, so that none can be added. b= is the
 * last tag and directly followed by its value: the field that is hashed is
 * then the field without its end.
 */
#include <errno.h>
#include <openssl/err.h>
#include <string.h>

#include "signer/dkim_canon.h"
#include "signer/dkim_sign.h"

#define FOLD_AT 74
#define SIGNATURE_BYTES_MAX 1024	/* RSA of 8192 bits */

/* What an MTA adds when it is missing: named in h= without being there, it would break the signature. */
static bool
may_be_added(const char *name)
{
	return strcmp(name, "date") == 0 || strcmp(name, "message-id") == 0 || strcmp(name, "to") == 0;
}

static bool
is_oversigned(const char *name)
{
	for (size_t i = 0; dkim_oversigned_fields[i]; i++)
		if (strcmp(name, dkim_oversigned_fields[i]) == 0)
			return true;
	return false;
}

/* Appends a word of h=, folding when the line would grow too long. *column is kept. */
static void
put_name(struct buf *out, const char *name, bool first, size_t *column)
{
	size_t n = strlen(name) + 1;

	if (!first)
		buf_putc(out, ':');
	if (*column + n > FOLD_AT) {
		buf_puts(out, "\r\n\t ");
		*column = 9;
	}
	buf_puts(out, name);
	*column += n;
}

/* Writes h= and, into canon, the canonical fields in the same order, each with its CRLF. */
static int
choose_fields(const struct dkim_message *m, struct arena *a, struct buf *out, struct buf *canon,
    struct err *err)
{
	struct span *names = arena_array(a, m->nfields + 1, sizeof(*names));
	size_t column = 10, count;
	bool first = true;

	for (size_t i = 0; i < m->nfields; i++)
		names[i] = canon_field_name(m->fields[i]);
	for (size_t s = 0; dkim_signed_fields[s]; s++) {
		const char *name = dkim_signed_fields[s];

		count = 0;
		for (size_t i = m->nfields; i-- > 0;) {
			if (!span_is_nocase(names[i], name))
				continue;
			put_name(out, name, first, &column);
			first = false;
			canon_field(canon, m->fields[i]);
			buf_puts(canon, "\r\n");
			count++;
		}
		if (s == 0 && count == 0)	/* RFC 6376, 5.4: From must be signed */
			return err_set(err, EBADMSG, "the message has no From field");
		if (is_oversigned(name) && !(count == 0 && m->amended && may_be_added(name)))
			put_name(out, name, false, &column);
	}
	return 0;
}

static void
put_base64(struct buf *out, const unsigned char *p, size_t n)
{
	unsigned char text[(SIGNATURE_BYTES_MAX + 2) / 3 * 4 + 1];
	int len = EVP_EncodeBlock(text, p, (int)n);
	size_t column = 11;	/* behind a tab and "b=" */

	for (int i = 0; i < len; i++) {
		if (column++ >= FOLD_AT) {
			buf_puts(out, "\r\n\t ");
			column = 9;
		}
		buf_putc(out, (char)text[i]);
	}
}

int
dkim_body_hash(const struct span *body, size_t n, unsigned char hash[32])
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	struct canon c;
	int rc = -1;

	canon_init(&c, md);
	if (md == NULL || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1)
		goto out;
	for (size_t i = 0; i < n; i++)
		canon_body(&c, body[i]);
	if (canon_body_end(&c) == 0 && EVP_DigestFinal_ex(md, hash, NULL) == 1)
		rc = 0;
out:
	EVP_MD_CTX_free(md);
	return rc;
}

/* Signs the canonical header. Ed25519 signs the SHA-256 hash of it, not the text (RFC 8463, 3). */
static int
sign_bytes(const struct dkim_key *k, struct span text, unsigned char *sig, size_t *n,
    struct err *err)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	unsigned char hash[32];
	int ok = 0;

	if (md == NULL)
		return err_set(err, 0, "no memory");
	if (k->ed25519) {
		unsigned len = 0;

		ok = EVP_Digest(text.p, text.n, hash, &len, EVP_sha256(), NULL) == 1 &&
		    EVP_DigestSignInit(md, NULL, NULL, NULL, k->key) == 1 &&
		    EVP_DigestSign(md, sig, n, hash, sizeof(hash)) == 1;
	} else {
		ok = EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, k->key) == 1 &&
		    EVP_DigestSign(md, sig, n, (const unsigned char *)text.p, text.n) == 1;
	}
	EVP_MD_CTX_free(md);
	if (ok)
		return 0;
	ERR_clear_error();
	return err_set(err, 0, "the key does not sign");
}

int
dkim_sign_fast(const struct dkim_key *k, const struct dkim_message *m, int64_t now,
    struct arena *a, struct buf *out, struct err *err)
{
	unsigned char bh[32], sig[SIGNATURE_BYTES_MAX];
	size_t nsig = sizeof(sig);
	struct buf field, canon;
	int rc = -1;

	buf_init(&field, DKIM_SIGNATURE_MAX);
	buf_init(&canon, DKIM_HEADER_MAX + DKIM_SIGNATURE_MAX);
	buf_printf(&field, "DKIM-Signature: v=1; a=%s; c=relaxed/relaxed;\r\n\td=%.*s; s=%.*s;\r\n"
	    "\tt=%lld; h=", k->ed25519 ? "ed25519-sha256" : "rsa-sha256", SPAN_ARG(k->domain),
	    SPAN_ARG(k->selector), (long long)now);
	if (choose_fields(m, a, &field, &canon, err) == -1)
		goto out;
	if (dkim_body_hash(m->body, m->nbody, bh) == -1) {
		err_set(err, 0, "hashing the body failed");
		goto out;
	}
	buf_puts(&field, ";\r\n\tbh=");
	put_base64(&field, bh, sizeof(bh));
	buf_puts(&field, ";\r\n\tb=");
	canon_field(&canon, buf_data(&field));
	if (buf_failed(&field) || buf_failed(&canon)) {
		err_set(err, 0, "the header is too large to be signed");
		goto out;
	}
	if (sign_bytes(k, buf_data(&canon), sig, &nsig, err) == -1)
		goto out;
	put_base64(&field, sig, nsig);
	buf_puts(&field, "\r\n");
	if (!buf_failed(&field) && buf_span(out, buf_data(&field)) == 0)
		rc = 0;
	else
		err_set(err, 0, "the signature is too long");
out:
	buf_release(&field);
	buf_release(&canon);
	return rc;
}
