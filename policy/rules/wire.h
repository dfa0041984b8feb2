/* wire.h -- numbers and texts of records and manifests: LEB128, lengths in front.
 *
 * A reader that has failed stays failed and gives zeros: check once, at the end.
 */
#ifndef RULES_WIRE_H
#define RULES_WIRE_H

#include "buf.h"
#include "postern/span.h"

static inline void
wire_put(struct buf *b, uint64_t v)
{
	unsigned char out[10];
	size_t n = 0;

	do {
		out[n] = (unsigned char)(v & 0x7f) | (v > 0x7f ? 0x80 : 0);
		n++;
	} while (v >>= 7);
	buf_put(b, out, n);
}

static inline void
wire_put_int(struct buf *b, int64_t v)
{
	wire_put(b, (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0));
}

static inline void
wire_put_fixed(struct buf *b, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		buf_putc(b, (char)(v >> (8 * i)));
}

static inline void
wire_put_span(struct buf *b, struct span s)
{
	wire_put(b, s.n);
	buf_span(b, s);
}

struct wire {
	struct span in;
	size_t at;
	bool bad;
};

static inline uint64_t
wire_get(struct wire *w)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64 && w->at < w->in.n; shift += 7) {
		unsigned char c = (unsigned char)w->in.p[w->at++];

		v |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80))
			return v;
	}
	w->bad = true;
	w->at = w->in.n;
	return 0;
}

/* At most max; more is damage. */
static inline uint64_t
wire_get_max(struct wire *w, uint64_t max)
{
	uint64_t v = wire_get(w);

	if (v <= max)
		return v;
	w->bad = true;
	return 0;
}

/* So many things follow, each of at least one byte. */
static inline size_t
wire_get_count(struct wire *w, size_t max)
{
	uint64_t v = wire_get_max(w, max);

	if (v <= w->in.n - w->at)
		return (size_t)v;
	w->bad = true;
	return 0;
}

static inline int64_t
wire_get_int(struct wire *w)
{
	uint64_t v = wire_get(w);

	return (int64_t)(v >> 1 ^ (v & 1 ? UINT64_MAX : 0));
}

static inline uint64_t
wire_get_fixed(struct wire *w)
{
	uint64_t v = 0;

	if (w->in.n - w->at < 8) {
		w->bad = true;
		w->at = w->in.n;
		return 0;
	}
	for (int i = 0; i < 8; i++)
		v |= (uint64_t)(unsigned char)w->in.p[w->at++] << (8 * i);
	return v;
}

static inline struct span
wire_get_span(struct wire *w)
{
	uint64_t n = wire_get(w);
	struct span s;

	if (n > w->in.n - w->at) {
		w->bad = true;
		w->at = w->in.n;
		return (struct span){ 0 };
	}
	s = span_sub(w->in, w->at, (size_t)n);
	w->at += (size_t)n;
	if (s.n == 0)
		s.p = NULL;
	return s;
}

#endif
