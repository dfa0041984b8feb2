/* span.h -- a borrowed run of bytes.
 *
 * A span owns nothing and never outlives the arena, buffer or mapping it
 * points into. It is not NUL-terminated and may hold any byte. The empty
 * span has n == 0; p may then be NULL.
 */
#ifndef POSTERN_SPAN_H
#define POSTERN_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	const char *p;
	size_t n;		/* bytes */
};

#define SPAN_LIT(s) ((struct span){ "" s "", sizeof(s) - 1 })
#define SPAN_FMT "%.*s"
#define SPAN_ARG(s) ((int)((s).n > 4096 ? 4096 : (s).n)), ((s).p ? (s).p : "")

static inline struct span
span_make(const char *p, size_t n)
{
	return (struct span){ p, n };
}

static inline struct span
span_str(const char *s)
{
	return (struct span){ s, s ? strlen(s) : 0 };
}

static inline bool
span_eq(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline char
ascii_lower(char c)
{
	return (c >= 'A' && c <= 'Z') ? (char)(c + 32) : c;
}

/* ASCII letters compare without case; every other byte as it is. */
static inline bool
span_eq_nocase(struct span a, struct span b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
			return false;
	return true;
}

static inline bool
span_is(struct span a, const char *s)
{
	return span_eq(a, span_str(s));
}

static inline bool
span_is_nocase(struct span a, const char *s)
{
	return span_eq_nocase(a, span_str(s));
}

/* From offset off, at most n bytes; clipped to what is there. */
static inline struct span
span_sub(struct span s, size_t off, size_t n)
{
	if (off > s.n)
		off = s.n;
	if (n > s.n - off)
		n = s.n - off;
	return (struct span){ s.p ? s.p + off : NULL, n };
}

static inline struct span
span_from(struct span s, size_t off)
{
	return span_sub(s, off, SIZE_MAX);
}

static inline bool
span_starts(struct span s, struct span head)
{
	return s.n >= head.n && span_eq(span_sub(s, 0, head.n), head);
}

static inline bool
span_starts_nocase(struct span s, struct span head)
{
	return s.n >= head.n && span_eq_nocase(span_sub(s, 0, head.n), head);
}

static inline bool
span_ends_nocase(struct span s, struct span tail)
{
	return s.n >= tail.n && span_eq_nocase(span_from(s, s.n - tail.n), tail);
}

/* Index of the first c, or s.n when there is none. */
static inline size_t
span_find(struct span s, char c)
{
	const char *q = s.n ? memchr(s.p, c, s.n) : NULL;

	return q ? (size_t)(q - s.p) : s.n;
}

/* Is s one of the lines? The last one may be without a newline. */
static inline bool
span_has_line(struct span lines, struct span s)
{
	while (lines.n) {
		size_t n = span_find(lines, '\n');

		if (span_eq(span_sub(lines, 0, n), s))
			return true;
		lines = span_from(lines, n + 1);
	}
	return false;
}

static inline bool
ascii_is_wsp(char c)
{
	return c == ' ' || c == '\t';
}

/* Without leading and trailing space, tab, CR and LF. */
static inline struct span
span_trim(struct span s)
{
	while (s.n && (ascii_is_wsp(s.p[0]) || s.p[0] == '\r' || s.p[0] == '\n'))
		s.p++, s.n--;
	while (s.n && (ascii_is_wsp(s.p[s.n - 1]) || s.p[s.n - 1] == '\r' ||
	    s.p[s.n - 1] == '\n'))
		s.n--;
	return s;
}

#endif
