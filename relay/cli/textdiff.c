/* textdiff.c -- see textdiff.h.
 *
 * What is equal at both ends is cut off first; between, the longest common
 * subsequence by the textbook table. Where that would be too large the whole
 * middle counts as replaced.
 */
#include <stdlib.h>

#include "cli/textdiff.h"
#include "postern/err.h"

#define TABLE_MAX ((size_t)16 << 20)	/* cells */
#define CONTEXT 3

struct lines {
	struct span *v;
	size_t n;
};

struct op {
	char sign;
	struct span line;
	size_t a, b;		/* number of the line on both sides, from 0 */
};

struct script {
	struct op *v;
	size_t n;
};

static struct lines
split(struct span s)
{
	struct lines l = { 0 };

	for (size_t i = 0; i < s.n; i++)
		l.n += s.p[i] == '\n';
	l.n += s.n && s.p[s.n - 1] != '\n';
	l.v = calloc(l.n + 1, sizeof(*l.v));
	ASSERT(l.v != NULL);
	for (size_t i = 0; i < l.n; i++) {
		size_t eol = span_find(s, '\n');

		l.v[i] = span_sub(s, 0, eol);
		s = span_from(s, eol + 1);
	}
	return l;
}

static void
op(struct script *s, char sign, struct span line, size_t a, size_t b)
{
	s->v[s->n++] = (struct op){ sign, line, a, b };
}

static void
middle(struct script *s, const struct lines *a, const struct lines *b, size_t head, size_t na,
    size_t nb)
{
	size_t i = 0, k = 0, width = nb + 1;
	uint32_t *t = NULL;

	if (na && nb && (na + 1) * width <= TABLE_MAX) {
		t = calloc((na + 1) * width, sizeof(*t));
		ASSERT(t != NULL);
		for (size_t x = na; x-- > 0;)
			for (size_t y = nb; y-- > 0;)
				t[x * width + y] = span_eq(a->v[head + x], b->v[head + y]) ?
				    t[(x + 1) * width + y + 1] + 1 :
				    t[(x + 1) * width + y] > t[x * width + y + 1] ?
				    t[(x + 1) * width + y] : t[x * width + y + 1];
	}
	while (i < na || k < nb)
		if (t && i < na && k < nb && span_eq(a->v[head + i], b->v[head + k])) {
			op(s, ' ', a->v[head + i], head + i, head + k);
			i++;
			k++;
		} else if (i < na && (k == nb || t == NULL ||
		    t[(i + 1) * width + k] >= t[i * width + k + 1])) {
			op(s, '-', a->v[head + i], head + i, head + k);
			i++;
		} else {
			op(s, '+', b->v[head + k], head + i, head + k);
			k++;
		}
	free(t);
}

static void
put_hunk(const struct script *s, size_t from, size_t to,
    void (*put)(void *ctx, char sign, struct span line), void *ctx)
{
	size_t na = 0, nb = 0;
	char text[96];
	int n;

	for (size_t i = from; i < to; i++) {
		na += s->v[i].sign != '+';
		nb += s->v[i].sign != '-';
	}
	n = snprintf(text, sizeof(text), "@@ -%zu,%zu +%zu,%zu @@", s->v[from].a + (na > 0), na,
	    s->v[from].b + (nb > 0), nb);
	put(ctx, '@', span_make(text, (size_t)n));
	for (size_t i = from; i < to; i++)
		put(ctx, s->v[i].sign, s->v[i].line);
}

static bool
put_hunks(const struct script *s, void (*put)(void *ctx, char sign, struct span line), void *ctx)
{
	bool any = false;

	for (size_t i = 0; i < s->n; ) {
		size_t from, to, equal = 0;

		if (s->v[i].sign == ' ') {
			i++;
			continue;
		}
		from = i > CONTEXT ? i - CONTEXT : 0;
		for (to = i; to < s->n && equal <= 2 * CONTEXT; to++)
			equal = s->v[to].sign == ' ' ? equal + 1 : 0;
		if (equal > CONTEXT)
			to -= equal - CONTEXT;
		put_hunk(s, from, to, put, ctx);
		any = true;
		i = to;
	}
	return any;
}

bool
textdiff(struct span a, struct span b, void (*put)(void *ctx, char sign, struct span line),
    void *ctx)
{
	struct lines x = split(a), y = split(b);
	size_t head = 0, tail = 0;
	struct script s = { calloc(x.n + y.n + 1, sizeof(*s.v)), 0 };
	bool any;

	ASSERT(s.v != NULL);
	while (head < x.n && head < y.n && span_eq(x.v[head], y.v[head]))
		head++;
	while (tail < x.n - head && tail < y.n - head &&
	    span_eq(x.v[x.n - 1 - tail], y.v[y.n - 1 - tail]))
		tail++;
	for (size_t i = 0; i < head; i++)
		op(&s, ' ', x.v[i], i, i);
	middle(&s, &x, &y, head, x.n - head - tail, y.n - head - tail);
	for (size_t i = 0; i < tail; i++)
		op(&s, ' ', x.v[x.n - tail + i], x.n - tail + i, y.n - tail + i);
	any = put_hunks(&s, put, ctx);
	free(s.v);
	free(x.v);
	free(y.v);
	return any;
}
