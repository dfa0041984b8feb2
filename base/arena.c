/* arena.c -- memory that dies together; see postern/arena.h.
 *
 * Blocks double up to BLOCK_MAX; a request larger than a quarter of the next
 * block gets a block of its own, so that one large text wastes nothing. The
 * newest of those grows and shrinks in place (for large ones the C library
 * moves pages, no bytes), so a text of unknown size costs no more than itself.
 *
 * Arenas come and go with every message: a few blocks of the usual size are kept for the next one, where the C
 * library would join them to their neighbours and part them again. Not where a sanitizer watches.
 */
#include <stdint.h>

#include "postern/arena.h"
#include "postern/err.h"

#define BLOCK_FIRST ((size_t)4096)
#define BLOCK_MAX ((size_t)1 << 18)
#define ALIGN ((size_t)16)

struct block {
	struct block *next;
	size_t size;		/* bytes behind the header */
	_Alignas(16) char data[];
};

struct arena {
	struct block *blocks;	/* newest first; the first block is the last of the list */
	struct block *first;
	char *at, *end;		/* free room of the block filled now */
	size_t next_size;
	size_t used;
};

#ifdef __SANITIZE_ADDRESS__
#define SPARES_MAX 0
#else
#define SPARES_MAX 16
#endif
static struct block *spares;	/* of BLOCK_FIRST bytes */
static size_t nspares;

static struct block *
block_new(size_t size)
{
	struct block *b = spares;

	if (size == BLOCK_FIRST && b != NULL) {
		spares = b->next;
		nspares--;
		b->next = NULL;
		return b;
	}
	ASSERT(size <= SIZE_MAX - sizeof(*b));
	b = malloc(sizeof(*b) + size);
	ASSERT_MEMORY(b);
	b->size = size;
	b->next = NULL;
	return b;
}

static void
block_free(struct block *b)
{
	if (b->size != BLOCK_FIRST || nspares == SPARES_MAX) {
		free(b);
		return;
	}
	b->next = spares;
	spares = b;
	nspares++;
}

struct arena *
arena_new(size_t first_block)
{
	struct arena *a = malloc(sizeof(*a));

	ASSERT_MEMORY(a);
	if (first_block == 0)
		first_block = BLOCK_FIRST;
	a->first = a->blocks = block_new(first_block);
	a->at = a->first->data;
	a->end = a->at + a->first->size;
	a->next_size = first_block * 2;
	a->used = 0;
	return a;
}

static void
free_until(struct arena *a, struct block *keep)
{
	while (a->blocks != keep) {
		struct block *b = a->blocks;

		a->blocks = b->next;
		block_free(b);
	}
}

void
arena_free(struct arena **ap)
{
	struct arena *a = *ap;

	if (a == NULL)
		return;
	free_until(a, NULL);
	free(a);
	*ap = NULL;
}

void
arena_reset(struct arena *a)
{
	/* The first block stays the last of the list. */
	free_until(a, a->first);
	a->at = a->first->data;
	a->end = a->at + a->first->size;
	a->next_size = a->first->size * 2;
	a->used = 0;
}

void *
arena_alloc(struct arena *a, size_t n)
{
	struct block *b;
	void *p;

	ASSERT(n <= SIZE_MAX / 2);
	n = (n + ALIGN - 1) & ~(ALIGN - 1);
	a->used += n;
	if (n <= (size_t)(a->end - a->at)) {
		p = a->at;
		a->at += n;
		return p;
	}
	if (a->next_size > BLOCK_MAX)
		a->next_size = BLOCK_MAX;
	if (n > a->next_size / 4) {
		b = block_new(n);
		b->next = a->blocks;
		a->blocks = b;
		return b->data;
	}
	b = block_new(a->next_size);
	a->next_size *= 2;
	b->next = a->blocks;
	a->blocks = b;
	a->at = b->data + n;
	a->end = b->data + b->size;
	return b->data;
}

void *
arena_zalloc(struct arena *a, size_t n)
{
	return memset(arena_alloc(a, n), 0, n);
}

void *
arena_array(struct arena *a, size_t count, size_t size)
{
	size_t n;

	ASSERT(!__builtin_mul_overflow(count, size, &n));
	return arena_zalloc(a, n);
}

/* Is old the newest block, and alone in it? */
static bool
own_block(const struct arena *a, const void *old)
{
	const struct block *b = a->blocks;

	return old == b->data && b != a->first && a->end != b->data + b->size;
}

void *
arena_grow(struct arena *a, void *old, size_t old_n, size_t new_n)
{
	size_t rounded = (old_n + ALIGN - 1) & ~(ALIGN - 1);
	void *p;

	if (old && (char *)old + rounded == a->at && new_n >= old_n &&
	    new_n - old_n <= (size_t)(a->end - a->at)) {
		size_t want = (new_n + ALIGN - 1) & ~(ALIGN - 1);

		if (want - rounded <= (size_t)(a->end - a->at)) {
			a->at += want - rounded;
			a->used += want - rounded;
			return old;
		}
	}
	if (own_block(a, old)) {
		struct block *b = a->blocks;

		rounded = (new_n + ALIGN - 1) & ~(ALIGN - 1);
		ASSERT(new_n <= SIZE_MAX / 2);
		a->used += rounded - b->size;
		b = realloc(b, sizeof(*b) + rounded);
		ASSERT_MEMORY(b);
		b->size = rounded;
		a->blocks = b;
		return b->data;
	}
	p = arena_alloc(a, new_n);
	if (old_n)
		memcpy(p, old, old_n < new_n ? old_n : new_n);
	return p;
}

struct span
arena_span(struct arena *a, struct span s)
{
	char *p = arena_alloc(a, s.n + 1);

	if (s.n)
		memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return (struct span){ p, s.n };
}

struct span
arena_lower(struct arena *a, struct span s)
{
	char *p = arena_str(a, s);

	for (size_t i = 0; i < s.n; i++)
		p[i] = ascii_lower(p[i]);
	return span_make(p, s.n);
}

char *
arena_str(struct arena *a, struct span s)
{
	return (char *)arena_span(a, s).p;
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	ASSERT(n >= 0);
	p = arena_alloc(a, (size_t)n + 1);
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return p;
}

size_t
arena_used(const struct arena *a)
{
	return a->used;
}
