/* keys.h -- what a key is, for keys.c and seal.c alone. */
#ifndef BUNDLE_KEYS_H
#define BUNDLE_KEYS_H

#include <openssl/evp.h>

#include "bundle/bundle.h"

struct bundle_key {
	EVP_PKEY *pkey;
	unsigned char raw[32];	/* public */
	char id[BUNDLE_KEYID + 1];
};

#endif
