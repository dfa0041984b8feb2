/* codec.h -- numbers and texts in and out of frame bodies and spool records.
 *
 * Little-endian, fixed width; texts carry a 32-bit length. A decoder that is
 * asked for more than there is turns bad and yields zeros: check dec_done()
 * once at the end, before using anything.
 */
#ifndef IPC_CODEC_H
#define IPC_CODEC_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "buf.h"
#include "postern/ip.h"
#include "postern/span.h"

struct enc {
	struct buf *b;
};

struct dec {
	const char *p, *end;
	bool bad;
};

static inline void
enc_u8(struct enc *e, uint8_t v)
{
	buf_put(e->b, &v, 1);
}

static inline void
enc_u16(struct enc *e, uint16_t v)
{
	v = htole16(v);
	buf_put(e->b, &v, sizeof(v));
}

static inline void
enc_u32(struct enc *e, uint32_t v)
{
	v = htole32(v);
	buf_put(e->b, &v, sizeof(v));
}

static inline void
enc_u64(struct enc *e, uint64_t v)
{
	v = htole64(v);
	buf_put(e->b, &v, sizeof(v));
}

void enc_i64(struct enc *e, int64_t v);
void enc_span(struct enc *e, struct span s);
void enc_ip(struct enc *e, struct ip ip);

void dec_init(struct dec *d, struct span body);
bool dec_short(struct dec *d, void *to, size_t n);	/* there is less: zeros, and bad from now on */

static inline bool
dec_take(struct dec *d, void *to, size_t n)
{
	if (d->bad || (size_t)(d->end - d->p) < n)
		return dec_short(d, to, n);
	memcpy(to, d->p, n);
	d->p += n;
	return true;
}

static inline uint8_t
dec_u8(struct dec *d)
{
	uint8_t v;

	dec_take(d, &v, sizeof(v));
	return v;
}

static inline uint16_t
dec_u16(struct dec *d)
{
	uint16_t v;

	dec_take(d, &v, sizeof(v));
	return le16toh(v);
}

static inline uint32_t
dec_u32(struct dec *d)
{
	uint32_t v;

	dec_take(d, &v, sizeof(v));
	return le32toh(v);
}

static inline uint64_t
dec_u64(struct dec *d)
{
	uint64_t v;

	dec_take(d, &v, sizeof(v));
	return le64toh(v);
}

int64_t dec_i64(struct dec *d);
struct span dec_span(struct dec *d);	/* borrowed from the body */
struct ip dec_ip(struct dec *d);
/* A count that must not exceed max, nor what the rest of the body could hold at `each` bytes. */
uint32_t dec_count(struct dec *d, uint32_t max, uint32_t each);
/* An enum value below limit. */
uint32_t dec_enum(struct dec *d, uint32_t limit);
bool dec_done(const struct dec *d);	/* not bad, and nothing left over */

/* The heads of X_encode and X_decode (messages.h): e or d, and m. */
#define ENCODE(name) \
void \
name##_encode(struct buf *b, const struct msg_##name *m) \
{ \
	struct enc e = { b };
#define DECODE(name) \
int \
name##_decode(struct span body, int fd, struct arena *a, struct msg_##name *m) \
{ \
	struct dec d; \
	dec_init(&d, body); \
	*m = (struct msg_##name){ 0 };
#define DECODED	return dec_done(&d) ? 0 : -1; }

#endif
