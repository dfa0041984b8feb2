/* arena.h -- memory that dies together: one arena for a message, one for a
 * session, one for a policy.
 *
 * Nothing inside is freed singly. Running out of memory aborts the process
 * (its master restarts it); a budget for hostile input is the caller's to
 * keep, with arena_used(). Not thread-safe; nothing here is.
 */
#ifndef POSTERN_ARENA_H
#define POSTERN_ARENA_H

#include <stdarg.h>
#include <stddef.h>

#include "postern/span.h"

struct arena;

/* first_block: size in bytes of the first allocation, 0 for the default (4 KiB). */
struct arena *arena_new(size_t first_block);
void arena_free(struct arena **a);		/* NULL-safe; nulls *a */
void arena_reset(struct arena *a);		/* forget everything, keep the first block */

/* Aligned for any type; never NULL. arena_zalloc clears. n may be 0. */
void *arena_alloc(struct arena *a, size_t n);
void *arena_zalloc(struct arena *a, size_t n);
/* count * size, aborts on overflow; cleared. */
void *arena_array(struct arena *a, size_t count, size_t size);
/* Grows an array that lies at old (may be NULL) from old_n to new_n bytes; copies when it must. A
 * large one that was the last to be made also shrinks, giving memory back. */
void *arena_grow(struct arena *a, void *old, size_t old_n, size_t new_n);

struct span arena_span(struct arena *a, struct span s);	/* copy; NUL stands behind it */
struct span arena_lower(struct arena *a, struct span s);	/* the same with ASCII letters folded */
char *arena_str(struct arena *a, struct span s);	/* copy as a C string */
char *arena_printf(struct arena *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

size_t arena_used(const struct arena *a);	/* bytes handed out */

#endif
