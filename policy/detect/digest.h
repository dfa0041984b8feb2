/* digest.h -- the checksums inside what detectors prove; nothing here keeps a secret. */
#ifndef DETECT_DIGEST_H
#define DETECT_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "postern/span.h"

void digest_sha256(const void *p, size_t n, uint8_t out[32]);	/* FIPS 180-4; n < 2^29 */
uint32_t digest_crc32(const void *p, size_t n);			/* that of zip, IEEE 802.3 */
/* Base64 in either alphabet, padding optional; the number of bytes, at most max, or -1
 * when it is none. */
int digest_base64(struct span s, uint8_t *out, size_t max);

#endif
