/* zip.c -- reads zip containers from memory (APPNOTE.TXT 6.3); see anatomy/zip.h.
 *
 * The central directory leads; where there is none, or none that can be
 * read, the local headers are followed. Sizes are never trusted for memory:
 * pieces of 32 KiB come out, against a budget and a ratio. Zip64 sizes are
 * read as "to the end of the file": the deflate stream knows its own end.
 */
#include "anatomy/zip.h"

#include <zlib.h>

#define RATIO ANATOMY_RATIO
#define RATIO_FREE ANATOMY_RATIO_FREE

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
zip_open_end(struct zip *z, size_t i)
{
	struct span bytes = z->bytes;
	const char *p = bytes.p + i;
	uint32_t size = le32(p + 12), at = le32(p + 16);

	z->shift = 0;
	/* Bytes may stand in front of the first member: count from the end. */
	if (size <= i && i - size + 4 <= bytes.n && memcmp(bytes.p + i - size, "PK\1\2", 4) == 0) {
		if (at != UINT32_MAX && i - size > at)
			z->shift = i - size - at;
		at = (uint32_t)(i - size);
	}
	if (at > bytes.n - 4 || memcmp(bytes.p + at, "PK\1\2", 4) != 0)
		return false;
	/* With zip64 or an honest prefix the offsets are right as they are. */
	if (z->shift && at + 46 <= bytes.n) {
		uint64_t local = le32(bytes.p + at + 42);

		if (local + 4 <= bytes.n && memcmp(bytes.p + local, "PK\3\4", 4) == 0)
			z->shift = 0;
	}
	z->at = at;
	z->left = ZIP_ENTRIES;
	z->central = true;
	return true;
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

		if (p[0] != 'P' || memcmp(p, "PK\5\6", 4) != 0)
			continue;
		if (!zip_open_end(z, i))
			break;
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
	e->utf8 = *flags & 0x800;
	e->crc = le32(p + 14);
	e->size = le32(p + 22);
	e->local = at;
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

/* APPNOTE 4.5.3: 64-bit values stand there for each field that is all ones. */
static void
zip64_read(struct zip_entry *e, uint32_t *size, struct span extra)
{
	while (extra.n >= 4) {
		struct span field = span_sub(extra, 4, le16(extra.p + 2));
		size_t at = 0;

		if (le16(extra.p) == 1) {
			if (e->size == UINT32_MAX && field.n >= at + 8) {
				e->size = le32(field.p) | (uint64_t)le32(field.p + 4) << 32;
				at += 8;
			}
			if (*size == UINT32_MAX && field.n >= at + 8) {
				if (le32(field.p + at + 4) == 0)
					*size = le32(field.p + at);
				at += 8;
			}
			if (e->local == UINT32_MAX && field.n >= at + 8)
				e->local = le32(field.p + at) |
				    (uint64_t)le32(field.p + at + 4) << 32;
			return;
		}
		extra = span_from(extra, 4 + field.n);
		if (field.n == 0 && extra.n < 4)
			return;
	}
}

bool
zip_local(struct span bytes, size_t at, struct zip_entry *e)
{
	struct zip z = { .bytes = bytes, .at = at, .left = 1 };

	*e = (struct zip_entry){ 0 };
	return next_local(&z, e);
}

bool
zip_next(struct zip *z, struct zip_entry *e)
{
	struct zip_entry local = { 0 };
	const char *p;
	uint32_t size, flags, local_size;

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
	e->utf8 = le16(p + 8) & 0x800;
	e->method = (uint16_t)le16(p + 10);
	e->crc = le32(p + 16);
	size = le32(p + 20);
	e->size = le32(p + 24);
	e->local = le32(p + 42);
	if (size == UINT32_MAX || e->size == UINT32_MAX || e->local == UINT32_MAX)
		zip64_read(e, &size, span_sub(z->bytes, z->at + 46 + le16(p + 28), le16(p + 30)));
	e->name = span_sub(z->bytes, z->at + 46, le16(p + 28));
	e->local += z->shift;
	if (local_read(z->bytes, e->local, &local, &local_size, &flags)) {
		bool sized = !(flags & 8) && local_size != UINT32_MAX;

		e->differs = !span_eq(e->name, local.name) || e->method != local.method ||
		    e->encrypted != local.encrypted || (sized && size != UINT32_MAX &&
		    (local_size != size || local.size != e->size));
		/* Of two sizes the larger: a deflated stream knows its end. */
		if (sized && local_size > size)
			size = local_size;
		e->data = span_sub(local.data, 0, size);
		e->encrypted |= local.encrypted;
	} else {
		e->differs = true;
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
