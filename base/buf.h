/* buf.h -- a growing byte buffer that declares its maximum when it is made.
 *
 * Past the maximum nothing is written: the call returns -1 and the buffer
 * remembers it (buf_failed), so that a series of puts may be checked once at
 * its end. Never a silent cut.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <string.h>
#include <sys/types.h>

#include "postern/span.h"

struct buf {
	char *p;
	size_t n;		/* bytes in use */
	size_t cap;
	size_t max;
	size_t head;		/* consumed bytes at the front, not yet moved away */
	bool failed;
};

void buf_init(struct buf *b, size_t max);
void buf_release(struct buf *b);
void buf_reset(struct buf *b);			/* empty, not failed; keeps its memory */
void buf_shrink(struct buf *b);			/* gives back memory of an empty buffer */
int buf_put_more(struct buf *b, const void *p, size_t n);	/* buf_put where there is no room yet */
int buf_puts(struct buf *b, const char *s);
int buf_putc(struct buf *b, char c);
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int buf_vprintf(struct buf *b, const char *fmt, va_list ap);
/* Room for n more bytes, to be filled by the caller and then committed; NULL past the maximum. */
char *buf_room(struct buf *b, size_t n);
void buf_commit(struct buf *b, size_t n);
void buf_consume(struct buf *b, size_t n);	/* drops n bytes from the front */

static inline struct span
buf_data(const struct buf *b)
{
	return (struct span){ b->p ? b->p + b->head : NULL, b->n - b->head };
}

static inline size_t
buf_size(const struct buf *b)
{
	return b->n - b->head;
}

static inline bool
buf_failed(const struct buf *b)
{
	return b->failed;
}

/* Frames and records are made of many small pieces: those for which there is room are written in place. */
static inline int
buf_put(struct buf *b, const void *p, size_t n)
{
	if (n - 1 < b->cap - b->n && !b->failed && n <= b->max && b->n - b->head <= b->max - n) {
		memcpy(b->p + b->n, p, n);
		b->n += n;
		return 0;
	}
	return buf_put_more(b, p, n);
}

static inline int
buf_span(struct buf *b, struct span s)
{
	return buf_put(b, s.p, s.n);
}

#endif
