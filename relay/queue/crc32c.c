/* crc32c.c -- CRC-32C by the SSE 4.2 instruction, else by eight tables; see crc32c.h.
 *
 * The instruction takes three cycles and starts one each cycle, so a single
 * chain reads about 8 bytes in 3 cycles: more than any disk here delivers,
 * and simpler than three interleaved chains.
 */
#include <stdbool.h>
#include <string.h>

#include "queue/crc32c.h"

#define POLY 0x82f63b78U	/* reflected 0x1edc6f41 */

static uint32_t tables[8][256];
static bool ready;

static void
tables_fill(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int k = 0; k < 8; k++)
			c = c & 1 ? c >> 1 ^ POLY : c >> 1;
		tables[0][i] = c;
	}
	for (int t = 1; t < 8; t++)
		for (int i = 0; i < 256; i++)
			tables[t][i] = tables[t - 1][i] >> 8 ^
			    tables[0][tables[t - 1][i] & 0xff];
	ready = true;
}

static uint32_t
load32(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint32_t
crc32c_soft(uint32_t crc, const void *mem, size_t n)
{
	const unsigned char *p = mem;

	if (!ready)
		tables_fill();
	crc = ~crc;
	for (; n >= 8; p += 8, n -= 8) {
		uint32_t lo = crc ^ load32(p), hi = load32(p + 4);

		crc = tables[7][lo & 0xff] ^ tables[6][lo >> 8 & 0xff] ^
		    tables[5][lo >> 16 & 0xff] ^ tables[4][lo >> 24] ^
		    tables[3][hi & 0xff] ^ tables[2][hi >> 8 & 0xff] ^
		    tables[1][hi >> 16 & 0xff] ^ tables[0][hi >> 24];
	}
	for (; n > 0; p++, n--)
		crc = crc >> 8 ^ tables[0][(crc ^ *p) & 0xff];
	return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t
crc32c_hard(uint32_t crc, const void *mem, size_t n)
{
	const unsigned char *p = mem;
	uint64_t c = ~crc;

	for (; n >= 8; p += 8, n -= 8) {
		uint64_t v;

		memcpy(&v, p, sizeof(v));
		c = __builtin_ia32_crc32di(c, v);
	}
	for (; n > 0; p++, n--)
		c = __builtin_ia32_crc32qi((uint32_t)c, *p);
	return ~(uint32_t)c;
}

uint32_t
crc32c(uint32_t crc, const void *p, size_t n)
{
	static int hard = -1;

	if (hard == -1)
		hard = __builtin_cpu_supports("sse4.2") ? 1 : 0;
	return hard ? crc32c_hard(crc, p, n) : crc32c_soft(crc, p, n);
}
#else
uint32_t
crc32c(uint32_t crc, const void *p, size_t n)
{
	return crc32c_soft(crc, p, n);
}
#endif
