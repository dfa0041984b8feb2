/* dkim_verify.c -- libopendkim's opinion of a signature of ours; see dkim_sign.h.
 *
 * An implementation that is not ours says whether what we sign will verify
 * elsewhere: each key is tried out on it when it is loaded, before it may sign
 * anything, and so are messages now and then (signer.c). The public half is answered from memory: no DNS.
 */
#include <sys/types.h>
#include <opendkim/dkim.h>
#include <errno.h>
#include <stdio.h>

#include "signer/dkim_record.h"
#include "signer/dkim_sign.h"

static DKIM_LIB *library;

static DKIM_CBSTAT
answer_key(DKIM *d, DKIM_SIGINFO *sig, u_char *out, size_t size)
{
	const char *record = dkim_get_user_context(d);

	if (record == NULL || (size_t)snprintf((char *)out, size, "%s", record) >= size)
		return DKIM_CBSTAT_ERROR;
	return DKIM_CBSTAT_CONTINUE;
}

static bool
feed(DKIM *d, const struct span *pieces, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (pieces[i].n &&
		    dkim_chunk(d, (u_char *)(uintptr_t)pieces[i].p, pieces[i].n) != DKIM_STAT_OK)
			return false;
	return dkim_chunk(d, NULL, 0) == DKIM_STAT_OK;
}

static int
verify(DKIM_LIB *lib, const char *record, const struct span *pieces, size_t npieces,
    struct err *err)
{
	DKIM_SIGINFO **sigs;
	DKIM_STAT st;
	DKIM *d;
	int n = 0, rc = -1;

	if (dkim_set_key_lookup(lib, answer_key) != DKIM_STAT_OK ||
	    (d = dkim_verify(lib, (const u_char *)"trial", NULL, &st)) == NULL)
		return err_set(err, 0, "libopendkim does not start");
	if (dkim_set_user_context(d, (void *)(uintptr_t)record) != DKIM_STAT_OK ||
	    !feed(d, pieces, npieces))
		err_set(err, 0, "libopendkim cannot read the message");
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
dkim_verify_own(const struct dkim_key *k, const struct span *pieces, size_t n, struct arena *a,
    struct err *err)
{
	if (library == NULL && (library = dkim_init(NULL, NULL)) == NULL)
		return err_set(err, ENOMEM, "libopendkim does not start");
	return verify(library, dkim_record(a, k), pieces, n, err);
}
