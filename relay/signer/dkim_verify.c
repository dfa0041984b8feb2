/* dkim_verify.c -- libopendkim's opinion of a signature of ours; see dkim_sign.h.
 *
 * An implementation that is not ours says whether what we sign will verify
 * elsewhere: each key is tried out on it when it is loaded, before it may sign
 * anything. The public half is answered from memory: no DNS.
 */
#include <sys/types.h>
#include <opendkim/dkim.h>
#include <errno.h>
#include <openssl/x509.h>
#include <stdio.h>

#include "signer/dkim_sign.h"

/* "v=DKIM1; k=rsa; p=…" (RFC 6376, 3.6.1; RFC 8463, 4.2) */
static const char *
public_record(const struct dkim_key *k, struct arena *a, struct err *err)
{
	unsigned char *der = NULL, raw[32];
	const unsigned char *bytes = raw;
	size_t n = sizeof(raw);
	char *text;

	if (k->ed25519) {
		if (EVP_PKEY_get_raw_public_key(k->key, raw, &n) != 1) {
			err_set(err, 0, "the public half of the key cannot be had");
			return NULL;
		}
	} else {
		int len = i2d_PUBKEY(k->key, &der);

		if (len <= 0) {
			err_set(err, 0, "the public half of the key cannot be had");
			return NULL;
		}
		n = (size_t)len;
		bytes = der;
	}
	text = arena_alloc(a, (n + 2) / 3 * 4 + 1);
	EVP_EncodeBlock((unsigned char *)text, bytes, (int)n);
	OPENSSL_free(der);
	return arena_printf(a, "v=DKIM1; k=%s; p=%s", k->ed25519 ? "ed25519" : "rsa", text);
}

static DKIM_CBSTAT
answer_key(DKIM *d, DKIM_SIGINFO *sig, u_char *out, size_t size)
{
	const char *record = dkim_get_user_context(d);

	if (record == NULL || (size_t)snprintf((char *)out, size, "%s", record) >= size)
		return DKIM_CBSTAT_ERROR;
	return DKIM_CBSTAT_CONTINUE;
}

static int
verify(DKIM_LIB *lib, const char *record, struct span message, struct err *err)
{
	DKIM_SIGINFO **sigs;
	DKIM_STAT st;
	DKIM *d;
	int n = 0, rc = -1;

	if (dkim_set_key_lookup(lib, answer_key) != DKIM_STAT_OK ||
	    (d = dkim_verify(lib, (const u_char *)"trial", NULL, &st)) == NULL)
		return err_set(err, 0, "libopendkim does not start");
	if (dkim_set_user_context(d, (void *)(uintptr_t)record) != DKIM_STAT_OK ||
	    dkim_chunk(d, (u_char *)(uintptr_t)message.p, message.n) != DKIM_STAT_OK ||
	    dkim_chunk(d, NULL, 0) != DKIM_STAT_OK)
		err_set(err, 0, "libopendkim cannot read the trial message");
	else if ((st = dkim_eom(d, NULL)) != DKIM_STAT_OK)
		err_set(err, 0, "libopendkim: %s (%s)", dkim_getresultstr(st),
		    dkim_getsiglist(d, &sigs, &n) == DKIM_STAT_OK && n > 0 ?
		    dkim_sig_geterrorstr(dkim_sig_geterror(sigs[0])) : "no signature");
	else if (dkim_getsiglist(d, &sigs, &n) != DKIM_STAT_OK || n != 1 ||
	    !(dkim_sig_getflags(sigs[0]) & DKIM_SIGFLAG_PASSED) ||
	    dkim_sig_getbh(sigs[0]) != DKIM_SIGBH_MATCH)
		err_set(err, 0, "libopendkim does not verify it");
	else
		rc = 0;
	dkim_free(d);
	return rc;
}

int
dkim_verify_own(const struct dkim_key *k, struct span message, struct arena *a, struct err *err)
{
	const char *record = public_record(k, a, err);
	DKIM_LIB *lib;
	int rc;

	if (record == NULL)
		return -1;
	if ((lib = dkim_init(NULL, NULL)) == NULL)
		return err_set(err, ENOMEM, "libopendkim does not start");
	rc = verify(lib, record, message, err);
	dkim_close(lib);
	return rc;
}
