/* totp.h -- codes that change every 30 seconds (RFC 6238, of RFC 4226): pure.
 *
 * HMAC-SHA-1, six digits, as every app has it. A code is good for its own step and those beside it, once: whoever
 * keeps the step of the last one that was taken passes it on.
 */
#ifndef STORE_TOTP_H
#define STORE_TOTP_H

#include "buf.h"

#define TOTP_SECRET 20		/* bytes */
#define TOTP_STEP_US (INT64_C(30) * 1000000)
#define TOTP_DIGITS 6

uint32_t totp_code(const unsigned char secret[TOTP_SECRET], int64_t step);
/* The step this code is of, later than `last`; 0: none. */
int64_t totp_check(const unsigned char secret[TOTP_SECRET], struct span code, int64_t now_us,
    int64_t last);
/* Base32 without padding (RFC 4648, 6). */
void base32_put(struct buf *b, const unsigned char *p, size_t n);

#endif
