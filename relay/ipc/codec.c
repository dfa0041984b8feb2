/* codec.c -- numbers and texts in and out; see codec.h. */
#include <endian.h>
#include <string.h>

#include "ipc/codec.h"
#include "postern/err.h"

void
enc_u8(struct enc *e, uint8_t v)
{
	buf_put(e->b, &v, 1);
}

void
enc_u16(struct enc *e, uint16_t v)
{
	v = htole16(v);
	buf_put(e->b, &v, sizeof(v));
}

void
enc_u32(struct enc *e, uint32_t v)
{
	v = htole32(v);
	buf_put(e->b, &v, sizeof(v));
}

void
enc_u64(struct enc *e, uint64_t v)
{
	v = htole64(v);
	buf_put(e->b, &v, sizeof(v));
}

void
enc_i64(struct enc *e, int64_t v)
{
	enc_u64(e, (uint64_t)v);
}

void
enc_span(struct enc *e, struct span s)
{
	ASSERT(s.n <= UINT32_MAX);
	enc_u32(e, (uint32_t)s.n);
	buf_put(e->b, s.p, s.n);
}

void
enc_ip(struct enc *e, struct ip ip)
{
	enc_u8(e, ip.family);
	buf_put(e->b, ip.b, sizeof(ip.b));
}

void
dec_init(struct dec *d, struct span body)
{
	*d = (struct dec){ body.p, body.p ? body.p + body.n : NULL, false };
}

static bool
dec_take(struct dec *d, void *to, size_t n)
{
	if (d->bad || (size_t)(d->end - d->p) < n) {
		d->bad = true;
		memset(to, 0, n);
		return false;
	}
	memcpy(to, d->p, n);
	d->p += n;
	return true;
}

uint8_t
dec_u8(struct dec *d)
{
	uint8_t v;

	dec_take(d, &v, sizeof(v));
	return v;
}

uint16_t
dec_u16(struct dec *d)
{
	uint16_t v;

	dec_take(d, &v, sizeof(v));
	return le16toh(v);
}

uint32_t
dec_u32(struct dec *d)
{
	uint32_t v;

	dec_take(d, &v, sizeof(v));
	return le32toh(v);
}

uint64_t
dec_u64(struct dec *d)
{
	uint64_t v;

	dec_take(d, &v, sizeof(v));
	return le64toh(v);
}

int64_t
dec_i64(struct dec *d)
{
	return (int64_t)dec_u64(d);
}

struct span
dec_span(struct dec *d)
{
	uint32_t n = dec_u32(d);
	struct span s = { d->p, n };

	if (d->bad || (size_t)(d->end - d->p) < n) {
		d->bad = true;
		return (struct span){ NULL, 0 };
	}
	d->p += n;
	return s;
}

struct ip
dec_ip(struct dec *d)
{
	struct ip ip;

	ip.family = dec_u8(d);
	dec_take(d, ip.b, sizeof(ip.b));
	if (ip.family != 0 && ip.family != 4 && ip.family != 6)
		d->bad = true;
	return ip;
}

uint32_t
dec_count(struct dec *d, uint32_t max, uint32_t each)
{
	uint32_t n = dec_u32(d);

	if (n > max || (uint64_t)n * each > (uint64_t)(d->end - d->p))
		d->bad = true;
	return d->bad ? 0 : n;
}

uint32_t
dec_enum(struct dec *d, uint32_t limit)
{
	uint32_t v = dec_u8(d);

	if (v >= limit)
		d->bad = true;
	return d->bad ? 0 : v;
}

bool
dec_done(const struct dec *d)
{
	return !d->bad && d->p == d->end;
}
