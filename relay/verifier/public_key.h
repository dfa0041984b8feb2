/* public_key.h -- the public key of a signer as the DNS has it (RFC 6376, 3.6; RFC 8463): asked for, read, used.
 *
 * DKIM and ARC use the same records. What stands against a key is a result with a
 * sentence for people; only with AUTH_PASS there is a key.
 */
#ifndef VERIFIER_PUBLIC_KEY_H
#define VERIFIER_PUBLIC_KEY_H

#include <openssl/evp.h>

#include "postern/facts.h"
#include "verifier/dns_question.h"

#define KEY_BITS_MIN 1024	/* RFC 8301, 3.2 */
#define KEY_BITS_MAX 4096	/* more is work for us and no security for anybody (RFC 8301: need not) */
#define KEY_RECORD_MAX 1000	/* bytes of a record: what libopendkim takes */

struct public_key {
	enum auth_result result;	/* PASS: there is a key; TEMPERROR, PERMERROR, POLICY */
	const char *why;		/* not PASS: for people */
	struct span record;		/* the TXT record */
	EVP_PKEY *key;			/* public_key_free */
	bool ed25519;
	unsigned bits;
	bool testing, strict;		/* t=y, t=s */
};

/* "s._domainkey.d" in lower case; false when that is no name to ask for. */
bool public_key_name(struct arena *a, struct span selector, struct span domain, struct span *name);
/* false: the answer has not come yet. */
bool public_key_find(struct arena *a, struct dns_book *book, struct span name,
    struct public_key *out);
void public_key_free(struct public_key *k);
/* Is sig (base64, white space inside) one of `data`? */
bool public_key_verifies(const struct public_key *k, struct span data, struct span sig);

#endif
