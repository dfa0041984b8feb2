/* codec.c -- numbers and texts in and out; see codec.h. */
#include <endian.h>
#include <string.h>

#include "ipc/codec.h"
#include "postern/err.h"

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

bool
dec_short(struct dec *d, void *to, size_t n)
{
	d->bad = true;
	memset(to, 0, n);
	return false;
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
