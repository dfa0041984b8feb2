/* dkim_test.h -- keys for tests, and libopendkim as a verifier that asks no DNS. */
#ifndef TESTS_DKIM_TEST_H
#define TESTS_DKIM_TEST_H

#include <sys/types.h>

#include <opendkim/dkim.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "postern/arena.h"

/* A new private key in a file of mode 0600. */
static inline void
dkim_make_key(const char *path, bool ed25519, unsigned bits)
{
	EVP_PKEY *k = ed25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") : EVP_RSA_gen(bits);
	FILE *f = fopen(path, "w");

	ASSERT(k != NULL && f != NULL);
	ASSERT(PEM_write_PrivateKey(f, k, NULL, NULL, 0, NULL, NULL) == 1);
	ASSERT(fclose(f) == 0 && chmod(path, 0600) == 0);
	EVP_PKEY_free(k);
}

/* The key record as DNS would have it: "v=DKIM1; k=rsa; p=…". */
static inline char *
dkim_test_record(struct arena *a, EVP_PKEY *k, bool ed25519)
{
	unsigned char *der = NULL, raw[32];
	size_t n = sizeof(raw);
	char *text;

	if (ed25519) {
		ASSERT(EVP_PKEY_get_raw_public_key(k, raw, &n) == 1);
	} else {
		int len = i2d_PUBKEY(k, &der);

		ASSERT(len > 0);
		n = (size_t)len;
	}
	text = arena_alloc(a, (n + 2) / 3 * 4 + 1);
	EVP_EncodeBlock((unsigned char *)text, ed25519 ? raw : der, (int)n);
	OPENSSL_free(der);
	return arena_printf(a, "v=DKIM1; k=%s; p=%s", ed25519 ? "ed25519" : "rsa", text);
}

/* What the look-up answers, whatever is asked. */
static const char *dkim_test_answer;

static inline DKIM_CBSTAT
dkim_test_lookup(DKIM *d, DKIM_SIGINFO *sig, u_char *out, size_t size)
{
	if ((size_t)snprintf((char *)out, size, "%s", dkim_test_answer) >= size)
		return DKIM_CBSTAT_ERROR;
	return DKIM_CBSTAT_CONTINUE;
}

enum dkim_test_result { DKIM_TEST_PASS, DKIM_TEST_FAIL, DKIM_TEST_BODY_CHANGED, DKIM_TEST_NONE };

/* Verifies the first signature of a whole message (CRLF). */
static inline enum dkim_test_result
dkim_test_verify(const char *record, struct span message)
{
	enum dkim_test_result result = DKIM_TEST_NONE;
	DKIM_LIB *lib = dkim_init(NULL, NULL);
	DKIM_SIGINFO **sigs;
	DKIM_STAT st;
	DKIM *d;
	int n = 0;

	ASSERT(lib != NULL);
	dkim_test_answer = record;
	ASSERT(dkim_set_key_lookup(lib, dkim_test_lookup) == DKIM_STAT_OK);
	d = dkim_verify(lib, (const u_char *)"test", NULL, &st);
	ASSERT(d != NULL);
	dkim_chunk(d, (u_char *)(uintptr_t)message.p, message.n);
	dkim_chunk(d, NULL, 0);
	dkim_eom(d, NULL);
	if (dkim_getsiglist(d, &sigs, &n) == DKIM_STAT_OK && n > 0) {
		if (DKIM_SIG_CHECK(sigs[0]))
			result = DKIM_TEST_PASS;
		else if (dkim_sig_getbh(sigs[0]) == DKIM_SIGBH_MISMATCH)
			result = DKIM_TEST_BODY_CHANGED;
		else
			result = DKIM_TEST_FAIL;
	}
	dkim_free(d);
	dkim_close(lib);
	return result;
}

/* The value of a tag of a signature, white space removed. */
static inline char *
dkim_test_tag(struct arena *a, struct span field, const char *tag)
{
	char *key = arena_printf(a, "%s=", tag), *out = arena_zalloc(a, field.n + 1);
	size_t n = 0;

	for (size_t i = 1; i + strlen(key) < field.n; i++) {
		if (strncmp(field.p + i, key, strlen(key)) != 0 ||
		    (!ascii_is_wsp(field.p[i - 1]) && field.p[i - 1] != ';'))
			continue;
		for (i += strlen(key); i < field.n && field.p[i] != ';'; i++)
			if (!strchr(" \t\r\n", field.p[i]))
				out[n++] = field.p[i];
		break;
	}
	return out;
}

#endif
