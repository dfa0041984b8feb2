/* zip.c -- reads zip containers from memory (APPNOTE.TXT 6.3); see anatomy/zip.h.
 *
 * The central directory leads; where there is none, or none that can be
 * read, the local headers are followed. Sizes are never trusted for memory:
 * pieces of 32 KiB come out, against a budget and a ratio. Zip64 sizes are
 * read as "to the end of the file": the deflate stream knows its own end.
 */
#include "anatomy/zip.h"

#include <zlib.h>

#define RATIO 200		/* of bytes out to bytes in, above RATIO_FREE bytes */
#define RATIO_FREE (8u << 20)

static uint32_t
le16(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return u[0] | (uint32_t)u[1] << 8;
}

static uint32_t
le32(const char *p)
{
	return le16(p) | le16(p + 2) << 16;
}

bool
zip_open(struct zip *z, struct span bytes)
{
	size_t low, i;

	*z = (struct zip){ .bytes = bytes };
	if (bytes.n < 22)
		return false;
	low = bytes.n > 65557 ? bytes.n - 65557 : 0;
	for (i = bytes.n - 22 + 1; i-- > low;) {
		const char *p = bytes.p + i;
		uint32_t size, at;

		if (p[0] != 'P' || memcmp(p, "PK\5\6", 4) != 0)
			continue;
		size = le32(p + 12);
		at = le32(p + 16);
		/* Bytes may stand in front of the first member: count from the end. */
		if (size <= i && i - size + 4 <= bytes.n && memcmp(bytes.p + i - size, "PK\1\2", 4) == 0)
			at = (uint32_t)(i - size);
		if (at > bytes.n - 4 || memcmp(bytes.p + at, "PK\1\2", 4) != 0)
			break;
		z->at = at;
		z->left = ZIP_ENTRIES;
		z->central = true;
		return true;
	}
	if (memcmp(bytes.p, "PK\3\4", 4) != 0)
		return false;
	z->left = ZIP_ENTRIES;
	return true;
}

/* What the local header at `at` tells; false when there is none. */
static bool
local_read(struct span b, size_t at, struct zip_entry *e, uint32_t *size, uint32_t *flags)
{
	size_t data;
	const char *p;

	if (at > b.n || b.n - at < 30 || memcmp(b.p + at, "PK\3\4", 4) != 0)
		return false;
	p = b.p + at;
	*flags = le16(p + 6);
	*size = le32(p + 18);
	data = at + 30 + le16(p + 26) + le16(p + 28);
	e->method = (uint16_t)le16(p + 8);
	e->encrypted = *flags & 1;
	e->name = span_sub(b, at + 30, le16(p + 26));
	e->data = span_from(b, data);
	return true;
}

static bool
next_local(struct zip *z, struct zip_entry *e)
{
	uint32_t size, flags;
	const char *q;
	size_t from;

	if (!local_read(z->bytes, z->at, e, &size, &flags))
		return false;
	from = (size_t)(e->data.p - z->bytes.p);
	if ((flags & 8) && size == 0) {
		/* The size stands behind the data: look for the next header. */
		q = e->data.n ? memmem(e->data.p, e->data.n, "PK\3\4", 4) : NULL;
		z->at = q ? (size_t)(q - z->bytes.p) : z->bytes.n;
		return true;
	}
	e->data = span_sub(e->data, 0, size);
	z->at = from + e->data.n;
	return true;
}

bool
zip_next(struct zip *z, struct zip_entry *e)
{
	struct zip_entry local = { 0 };
	const char *p;
	uint32_t size, flags, ignored;

	*e = (struct zip_entry){ 0 };
	if (z->left == 0)
		return false;
	z->left--;
	if (!z->central)
		return next_local(z, e);
	if (z->at > z->bytes.n || z->bytes.n - z->at < 46 ||
	    memcmp(z->bytes.p + z->at, "PK\1\2", 4) != 0)
		return false;
	p = z->bytes.p + z->at;
	e->encrypted = le16(p + 8) & 1;
	e->method = (uint16_t)le16(p + 10);
	size = le32(p + 20);
	e->name = span_sub(z->bytes, z->at + 46, le16(p + 28));
	if (local_read(z->bytes, le32(p + 42), &local, &ignored, &flags)) {
		e->data = span_sub(local.data, 0, size);
		e->encrypted |= local.encrypted;
	}
	z->at += 46 + le16(p + 28) + le16(p + 30) + le16(p + 32);
	return true;
}

/* Takes n bytes of the budget; false when they are not there. */
static bool
spend(uint64_t *budget, size_t n)
{
	if (n > *budget) {
		*budget = 0;
		return false;
	}
	*budget -= n;
	return true;
}

bool
zip_inflate(const struct zip_entry *e, uint64_t *budget, zip_sink_fn *sink, void *arg)
{
	static char out[32768];
	z_stream z = { 0 };
	bool whole = true;
	int rc = Z_OK;

	if (e->method == 0) {
		struct span s = e->data;

		if (s.n > *budget) {
			s.n = *budget;
			whole = false;
		}
		*budget -= s.n;
		if (s.n)
			sink(arg, s.p, s.n);
		return whole;
	}
	if (e->method != Z_DEFLATED || e->data.n == 0)
		return e->method == Z_DEFLATED;
	if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
		return false;
	z.next_in = (Bytef *)(uintptr_t)e->data.p;
	z.avail_in = (uInt)e->data.n;
	while (rc == Z_OK) {
		size_t n;

		z.next_out = (Bytef *)out;
		z.avail_out = sizeof(out);
		rc = inflate(&z, Z_NO_FLUSH);
		n = sizeof(out) - z.avail_out;
		if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR && n == 0)
			break;
		if (!spend(budget, n) ||
		    (z.total_out > RATIO_FREE && z.total_out / RATIO > z.total_in)) {
			whole = false;
			break;
		}
		if (n && !sink(arg, out, n))
			break;
	}
	inflateEnd(&z);
	return whole;
}
