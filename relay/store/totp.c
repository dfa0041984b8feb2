/* totp.c -- see totp.h. */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>

#include "postern/err.h"
#include "store/totp.h"

uint32_t
totp_code(const unsigned char secret[TOTP_SECRET], int64_t step)
{
	unsigned char counter[8], mac[EVP_MAX_MD_SIZE];
	unsigned n, at;

	for (int i = 0; i < 8; i++)
		counter[i] = (unsigned char)((uint64_t)step >> (56 - 8 * i));
	ASSERT(HMAC(EVP_sha1(), secret, TOTP_SECRET, counter, sizeof(counter), mac, &n) != NULL && n == 20);
	at = mac[19] & 15;	/* dynamic truncation: RFC 4226, 5.3 */
	return (((uint32_t)mac[at] & 0x7f) << 24 | (uint32_t)mac[at + 1] << 16 | (uint32_t)mac[at + 2] << 8 |
	    mac[at + 3]) % 1000000;
}

int64_t
totp_check(const unsigned char secret[TOTP_SECRET], struct span code, int64_t now_us, int64_t last)
{
	int64_t now = now_us / TOTP_STEP_US, found = 0;
	char text[TOTP_DIGITS + 1];

	if (code.n != TOTP_DIGITS)
		return 0;
	for (int64_t step = now - 1; step <= now + 1; step++) {
		snprintf(text, sizeof(text), "%06u", totp_code(secret, step));
		if (CRYPTO_memcmp(text, code.p, TOTP_DIGITS) == 0 && step > last && found == 0)
			found = step;
	}
	return found;
}

void
base32_put(struct buf *b, const unsigned char *p, size_t n)
{
	uint32_t bits = 0;
	unsigned have = 0;

	for (size_t i = 0; i < n; i++) {
		bits = bits << 8 | p[i];
		for (have += 8; have >= 5; have -= 5)
			buf_putc(b, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[bits >> (have - 5) & 31]);
	}
	if (have)
		buf_putc(b, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[bits << (5 - have) & 31]);
}
