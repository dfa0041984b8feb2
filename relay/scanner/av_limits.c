/* av_limits.c -- does an engine tell of its limits? See antivirus.h.
 *
 * clamd says OK of what lies deeper than its MaxRecursion, unless its
 * configuration has AlertExceedsMax. A zip file in a zip file in a zip file, NESTED of them, shows it.
 */
#include <zlib.h>

#include "buf.h"
#include "clock.h"
#include "scanner/antivirus.h"

#define NESTED 60		/* beyond every MaxRecursion */
#define NESTED_MAX (64u << 10)

static void
put_le(struct buf *b, uint32_t v, int bytes)
{
	for (; bytes-- > 0; v >>= 8)
		buf_putc(b, (char)v);
}

/* A zip file with one member, stored. */
static struct span
zip_of(struct arena *a, struct span data)
{
	uint32_t crc = (uint32_t)crc32(0, (const Bytef *)data.p, (uInt)data.n);
	struct span out;
	struct buf b;
	size_t at = 0;

	buf_init(&b, NESTED_MAX);
	for (int central = 0; central < 2; central++) {
		at = buf_size(&b);
		put_le(&b, central ? 0x02014b50 : 0x04034b50, 4);
		put_le(&b, 20, central ? 4 : 2);
		put_le(&b, 0, 8);	/* flags, stored, time, date */
		put_le(&b, crc, 4);
		put_le(&b, (uint32_t)data.n, 4);
		put_le(&b, (uint32_t)data.n, 4);
		put_le(&b, 5, 2);
		put_le(&b, 0, 2);
		for (int i = 0; central && i < 3; i++)
			put_le(&b, 0, 4);	/* comment, disk, attributes, offset of the member */
		if (central)
			put_le(&b, 0, 2);
		buf_puts(&b, "a.zip");
		if (!central)
			buf_span(&b, data);
	}
	put_le(&b, 0x06054b50, 4);
	put_le(&b, 0, 4);
	put_le(&b, 1, 2);
	put_le(&b, 1, 2);
	put_le(&b, 46 + 5, 4);
	put_le(&b, (uint32_t)at, 4);
	put_le(&b, 0, 2);
	ASSERT(!buf_failed(&b));
	out = arena_span(a, buf_data(&b));
	buf_release(&b);
	return out;
}

bool
antivirus_tells_limits(struct antivirus *av, struct arena *a)
{
	struct anatomy an = { .raw = SPAN_LIT("innermost") };
	struct facts f = { .now = clock_real() };

	for (int i = 0; i < NESTED; i++)
		an.raw = zip_of(a, an.raw);
	antivirus_scan(av, &an, a, &f);
	return f.av == AV_UNSCANNABLE;
}
