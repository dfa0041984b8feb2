/* buf.c -- a byte buffer with a mandatory maximum; see buf.h.
 *
 * Consumed bytes stay at the front until room is needed: then the rest moves
 * down, so that a stream of small reads costs one move for each refill.
 */
#include <stdio.h>
#include <stdlib.h>

#include "buf.h"
#include "postern/err.h"

#define CAP_MIN ((size_t)256)

void
buf_init(struct buf *b, size_t max)
{
	ASSERT(max > 0 && max <= SIZE_MAX / 4);
	*b = (struct buf){ .max = max };
}

void
buf_release(struct buf *b)
{
	free(b->p);
	*b = (struct buf){ .max = b->max };
}

void
buf_reset(struct buf *b)
{
	b->n = b->head = 0;
	b->failed = false;
}

void
buf_shrink(struct buf *b)
{
	if (buf_size(b) == 0)
		buf_release(b);
}

/* Without moving or growing anything. */
static inline bool
fits(const struct buf *b, size_t n)
{
	return !b->failed && n <= b->cap - b->n && n <= b->max && b->n - b->head <= b->max - n;
}

char *
buf_room(struct buf *b, size_t n)
{
	size_t live = b->n - b->head, cap;

	if (b->failed || n > b->max || live > b->max - n) {
		b->failed = true;
		return NULL;
	}
	if (n <= b->cap - b->n)
		return b->p + b->n;
	if (b->head && live + n <= b->cap && b->head >= live) {
		memmove(b->p, b->p + b->head, live);
		b->n = live;
		b->head = 0;
		return b->p + b->n;
	}
	for (cap = b->cap ? b->cap : CAP_MIN; cap < live + n; )
		cap *= 2;
	if (cap == b->cap)
		cap *= 2;
	if (b->head) {
		char *p = malloc(cap);

		ASSERT_MEMORY(p);
		if (live)
			memcpy(p, b->p + b->head, live);
		free(b->p);
		b->p = p;
		b->n = live;
		b->head = 0;
	} else {
		b->p = realloc(b->p, cap);
		ASSERT_MEMORY(b->p);
	}
	b->cap = cap;
	return b->p + b->n;
}

void
buf_commit(struct buf *b, size_t n)
{
	ASSERT(n <= b->cap - b->n);
	b->n += n;
}

int
buf_put_more(struct buf *b, const void *p, size_t n)
{
	char *to;

	if (n == 0)
		return b->failed ? -1 : 0;
	if (fits(b, n))
		to = b->p + b->n;
	else if ((to = buf_room(b, n)) == NULL)
		return -1;
	memcpy(to, p, n);
	b->n += n;
	return 0;
}

int
buf_puts(struct buf *b, const char *s)
{
	return buf_put(b, s, strlen(s));
}

int
buf_putc(struct buf *b, char c)
{
	if (!fits(b, 1))
		return buf_put(b, &c, 1);
	b->p[b->n++] = c;
	return 0;
}

int
buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	size_t left = b->cap - b->n;
	va_list again;
	char *to;
	int n;

	/* Into what room there is: most often it is enough. */
	va_copy(again, ap);
	n = vsnprintf(left ? b->p + b->n : NULL, left, fmt, again);
	va_end(again);
	ASSERT(n >= 0);
	if (fits(b, (size_t)n + 1)) {
		b->n += (size_t)n;
		return 0;
	}
	if ((to = buf_room(b, (size_t)n + 1)) == NULL)
		return -1;
	vsnprintf(to, (size_t)n + 1, fmt, ap);
	b->n += (size_t)n;
	return 0;
}

int
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = buf_vprintf(b, fmt, ap);
	va_end(ap);
	return r;
}

void
buf_consume(struct buf *b, size_t n)
{
	ASSERT(n <= b->n - b->head);
	b->head += n;
	if (b->head == b->n)
		b->head = b->n = 0;
}
