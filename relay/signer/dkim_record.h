/* dkim_record.h -- the public half of a key as DNS has it (RFC 6376, 3.6.1; RFC 8463, 4), made and compared. */
#ifndef SIGNER_DKIM_RECORD_H
#define SIGNER_DKIM_RECORD_H

#include "signer/dkim_sign.h"

/* "v=DKIM1; k=rsa; p=…" */
char *dkim_record(struct arena *a, const struct dkim_key *k);

enum dkim_match {
	DKIM_MATCHES,
	DKIM_OTHER_KEY,		/* a key, but not ours */
	DKIM_REVOKED,		/* p= is empty */
	DKIM_TESTING,		/* ours, but t=y: verifiers are told not to mind it */
	DKIM_NO_RECORD,		/* no key record at all */
};
/* A TXT record (its strings joined) against the key. */
enum dkim_match dkim_compare(struct arena *a, const struct dkim_key *k, struct span txt);
/* The same, where the key is known by the record it should have (dkim_record) alone. */
enum dkim_match dkim_compare_record(struct arena *a, struct span record, struct span txt);
const char *dkim_match_text(enum dkim_match m);		/* for people */

/* A new private key in a new file of mode 0600; bits: of RSA, 0 for Ed25519. An existing file is never touched. */
int dkim_generate(const char *path, unsigned bits, struct err *err);

#endif
