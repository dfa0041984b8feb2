/* dkim_canon.h -- relaxed canonicalisation (RFC 6376, 3.4.2 and 3.4.4), as a stream. */
#ifndef SIGNER_DKIM_CANON_H
#define SIGNER_DKIM_CANON_H

#include <openssl/evp.h>

#include "buf.h"
#include "postern/span.h"

/* Feeds a hash; small pieces are gathered, long runs go in where they lie. */
struct canon {
	EVP_MD_CTX *md;
	size_t n;		/* bytes gathered */
	bool wsp;		/* white space seen, not passed on yet */
	bool cr;		/* a CR likewise */
	uint64_t lines;		/* line ends likewise: those at the end are dropped */
	bool any;		/* something was passed on */
	bool failed;
	char gather[2048];
};

void canon_init(struct canon *c, EVP_MD_CTX *md);
void canon_body(struct canon *c, struct span piece);
int canon_body_end(struct canon *c);	/* -1: the hash failed */

/* Appends "name:value", unfolded, white space squeezed; no line end. */
void canon_field(struct buf *out, struct span field);
/* The field's name, without trailing space; empty when there is no colon. */
struct span canon_field_name(struct span field);

#endif
