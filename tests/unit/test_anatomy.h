/* test_anatomy.h -- what the tests of the anatomy share. */
#ifndef TEST_ANATOMY_H
#define TEST_ANATOMY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "postern/anatomy.h"

static struct arena *arena;
static struct anatomy an;

static inline int
arena_setup(void **state)
{
	arena = arena_new(0);
	return 0;
}

static inline int
arena_teardown(void **state)
{
	arena_free(&arena);
	return 0;
}

static inline void
build(struct span raw, const struct anatomy_limits *limits)
{
	anatomy_build(arena, raw, limits, &an);
}

static inline void
build_str(const char *raw)
{
	build(span_str(raw), NULL);
}

#define assert_span(s, want) assert_span_at(s, span_str(want), __FILE__, __LINE__)
static inline void
assert_span_at(struct span got, struct span want, const char *file, int line)
{
	if (span_eq(got, want))
		return;
	print_error("got  \"" SPAN_FMT "\"\nwant \"" SPAN_FMT "\"\n", SPAN_ARG(got), SPAN_ARG(want));
	_fail(file, line);
}

/* The part of that number. */
static inline const struct part *
part(const char *number)
{
	for (size_t i = 0; i < an.nparts; i++)
		if (span_is(an.parts[i].number, number))
			return &an.parts[i];
	fail_msg("no part \"%s\"", number);
	return NULL;
}

/* A surface of that place has this folded text. */
static inline bool
surface_has(enum where where, const char *text)
{
	for (size_t i = 0; i < an.nsurfaces; i++) {
		struct span s = surface_folded(&an.surfaces[i], arena)->s;

		if (an.surfaces[i].where == where && memmem(s.p, s.n, text, strlen(text)))
			return true;
	}
	return false;
}

struct text_maker {
	char *p;
	size_t n, cap;
};

/* A message as it grows. */
static inline void __attribute__((format(printf, 2, 3)))
add(struct text_maker *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	t->n += (size_t)vsnprintf(t->p + t->n, t->cap - t->n, fmt, ap);
	va_end(ap);
	assert_true(t->n < t->cap);
}

static inline struct text_maker
maker(size_t cap)
{
	struct text_maker t = { malloc(cap), 0, cap };

	assert_non_null(t.p);
	return t;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, arena_setup, arena_teardown)

#endif
