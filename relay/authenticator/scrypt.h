/* scrypt.h -- passwords as scrypt hashes (RFC 7914): make one, check one.
 *
 * Written as passlib does: "$scrypt$ln=15,r=8,p=1$SALT$HASH", base64 without padding.
 */
#ifndef AUTHENTICATOR_SCRYPT_H
#define AUTHENTICATOR_SCRYPT_H

#include "buf.h"
#include "postern/err.h"

/* The costs of a new hash: N = 2^15, r = 8, p = 1 take 32 MiB and some 80 ms. */
#define SCRYPT_LN 15
#define SCRYPT_R 8
#define SCRYPT_P 1
#define SCRYPT_SALT 16
#define SCRYPT_SIZE 32
#define SCRYPT_BYTES_MAX 64		/* of a salt or hash that is read */
#define SCRYPT_MEMORY_MAX (256u << 20)	/* what one check may need */

struct scrypt_hash {
	uint32_t ln, r, p;
	unsigned char salt[SCRYPT_BYTES_MAX], hash[SCRYPT_BYTES_MAX];
	size_t nsalt, nhash;
};

/* -1: err says what is wrong with it, not what it is. */
int scrypt_parse(struct span text, struct scrypt_hash *h, struct err *err);
/* Appends the text of a new hash, with a random salt. */
int scrypt_make(struct span password, struct buf *out, struct err *err);
/* Takes the same time whatever the answer is. -1: it could not be computed. */
int scrypt_check(const struct scrypt_hash *h, struct span password, bool *right, struct err *err);

#endif
