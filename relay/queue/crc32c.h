/* crc32c.h -- CRC-32C (Castagnoli, RFC 3720 B.4), by the processor where it can.
 *
 * Several runs chain: crc32c(crc32c(0, a, n), b, m) is the sum of a followed
 * by b. It finds accidents, not forgery.
 */
#ifndef QUEUE_CRC32C_H
#define QUEUE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(uint32_t crc, const void *p, size_t n);
/* The tables alone, whatever the processor has: the other side of the test. */
uint32_t crc32c_soft(uint32_t crc, const void *p, size_t n);

#endif
