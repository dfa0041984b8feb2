/* textmap.c -- texts and their offset maps; see anatomy/textmap.h. */
#include "anatomy/textmap.h"

#include "postern/err.h"

const struct offrun *
offmap_run(const struct offmap *m, size_t off)
{
	size_t lo = 0, hi = m->n;

	/* lo: number of runs that begin at or before off */
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (m->runs[mid].at <= off)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? &m->runs[lo - 1] : NULL;
}

size_t
offmap_origin(const struct offmap *m, size_t off)
{
	const struct offrun *r = offmap_run(m, off);

	return r == NULL ? off : r->linear ? r->from + (off - r->at) : r->from;
}

void
textmap_init(struct textmap *m, struct arena *a, const struct offmap *under, bool wanted)
{
	m->a = a;
	m->unwanted = !wanted;
	m->under = under && under->n ? under : NULL;
	m->cursor = 0;
	m->runs = m->few;
	m->n = 0;
	m->cap = sizeof(m->few) / sizeof(m->few[0]);
}

static void
runs_grow(struct textmap *m)
{
	size_t cap = m->cap * 2;
	struct offrun *grown = realloc(m->runs == m->few ? NULL : m->runs, cap * sizeof(*grown));

	ASSERT_MEMORY(grown);
	if (m->runs == m->few)
		memcpy(grown, m->few, sizeof(m->few));
	m->runs = grown;
	m->cap = cap;
}

static void
run_push(struct textmap *m, size_t at, size_t from, bool linear)
{
	struct offrun *last;

	ASSERT(at <= UINT32_MAX && from <= UINT32_MAX);
	if (m->n == 0 && at == from && linear)
		return;		/* still the identity */
	if (m->n == 0 && at > 0)
		m->runs[m->n++] = (struct offrun){ 0, 0, true };
	if (m->n && m->runs[m->n - 1].at == at)
		m->n--;		/* nothing was made from it */
	if (m->n) {
		last = &m->runs[m->n - 1];
		if (last->linear && linear && from >= last->from &&
		    at - last->at == from - last->from)
			return;
		if (!last->linear && !linear && last->from == from)
			return;
	}
	if (m->n == m->cap)
		runs_grow(m);
	m->runs[m->n++] = (struct offrun){ (uint32_t)at, (uint32_t)from, linear };
}

/* Moves the cursor to the source's run that covers offset in; false when none does. */
static bool
cursor_seek(struct textmap *m, size_t in)
{
	const struct offmap *u = m->under;

	if (m->cursor && u->runs[m->cursor].at > in)
		m->cursor = 0;
	while (m->cursor + 1 < u->n && u->runs[m->cursor + 1].at <= in)
		m->cursor++;
	return u->runs[m->cursor].at <= in;
}

void
textmap_copy(struct textmap *m, size_t out, size_t in, size_t n)
{
	const struct offrun *r;

	if (m->unwanted)
		return;
	if (m->under == NULL) {
		run_push(m, out, in, true);
		return;
	}
	if (!cursor_seek(m, in)) {
		run_push(m, out, in, true);
	} else {
		r = &m->under->runs[m->cursor];
		run_push(m, out, r->linear ? r->from + (in - r->at) : r->from, r->linear);
	}
	while (m->cursor + 1 < m->under->n && m->under->runs[m->cursor + 1].at < in + n) {
		r = &m->under->runs[++m->cursor];
		if (r->at > in)
			run_push(m, out + (r->at - in), r->from, r->linear);
	}
}

void
textmap_point(struct textmap *m, size_t out, size_t in)
{
	const struct offrun *r;

	if (m->unwanted)
		return;
	if (m->under == NULL || !cursor_seek(m, in)) {
		run_push(m, out, in, false);
		return;
	}
	r = &m->under->runs[m->cursor];
	run_push(m, out, r->linear ? r->from + (in - r->at) : r->from, false);
}

void
textmap_finish(struct textmap *m, size_t out, size_t in, struct offmap *map)
{
	/* So that the end of a match at the end of the text finds its place. */
	textmap_copy(m, out, in, 0);
	/* map may be the one under this: only now */
	*map = (struct offmap){ NULL, m->n };
	if (m->n) {
		struct offrun *runs = arena_alloc(m->a, m->n * sizeof(*runs));

		memcpy(runs, m->runs, m->n * sizeof(*runs));
		map->runs = runs;
	}
	if (m->runs != m->few)
		free(m->runs);
	m->runs = m->few;
	m->n = 0;
}

void
textmake_init(struct textmake *t, struct arena *a, const struct text *src, size_t guess,
    bool want_map)
{
	t->a = a;
	t->n = 0;
	t->cap = guess + 16;
	t->p = arena_alloc(a, t->cap);
	t->src = src->s.p;
	textmap_init(&t->map, a, &src->map, want_map);
}

void
textmake_room(struct textmake *t, size_t n)
{
	size_t cap = t->cap;

	if (n <= cap - t->n)
		return;
	while (n > cap - t->n)
		cap += cap / 2 + n;
	t->p = arena_grow(t->a, t->p, t->n, cap);
	t->cap = cap;
}

void
textmake_copy(struct textmake *t, size_t in, size_t n)
{
	if (n == 0)
		return;
	textmake_room(t, n);
	textmap_copy(&t->map, t->n, in, n);
	memcpy(t->p + t->n, t->src + in, n);
	t->n += n;
}

void
textmake_put(struct textmake *t, const char *p, size_t n, size_t in)
{
	if (n == 0)
		return;
	textmake_room(t, n);
	if (n == 1)
		textmap_copy(&t->map, t->n, in, 1);
	else
		textmap_point(&t->map, t->n, in);
	memcpy(t->p + t->n, p, n);
	t->n += n;
}

void
textmake_char(struct textmake *t, uint32_t c, size_t in)
{
	char utf8[4];
	unsigned n = utf8_put(utf8, c);

	textmake_put(t, utf8, n, in);
}

void
textmake_finish(struct textmake *t, size_t in, struct text *out)
{
	out->s = (struct span){ t->p, t->n };
	textmap_finish(&t->map, t->n, in, &out->map);
}

/* --- UTF-8 ------------------------------------------------------------------------ */

unsigned
utf8_get(const char *p, size_t n, size_t i, uint32_t *c)
{
	const unsigned char *s = (const unsigned char *)p + i;
	size_t left = n - i;
	uint32_t v;

	if (left == 0)
		return 0;
	if (s[0] < 0x80) {
		*c = s[0];
		return 1;
	}
	if (s[0] < 0xc2)
		return 0;
	if (s[0] < 0xe0) {
		if (left < 2 || (s[1] & 0xc0) != 0x80)
			return 0;
		*c = (s[0] & 0x1fu) << 6 | (s[1] & 0x3fu);
		return 2;
	}
	if (s[0] < 0xf0) {
		if (left < 3 || (s[1] & 0xc0) != 0x80 || (s[2] & 0xc0) != 0x80)
			return 0;
		v = (s[0] & 0x0fu) << 12 | (s[1] & 0x3fu) << 6 | (s[2] & 0x3fu);
		if (v < 0x800 || (v >= 0xd800 && v < 0xe000))
			return 0;
		*c = v;
		return 3;
	}
	if (s[0] > 0xf4 || left < 4 || (s[1] & 0xc0) != 0x80 || (s[2] & 0xc0) != 0x80 ||
	    (s[3] & 0xc0) != 0x80)
		return 0;
	v = (s[0] & 7u) << 18 | (s[1] & 0x3fu) << 12 | (s[2] & 0x3fu) << 6 | (s[3] & 0x3fu);
	if (v < 0x10000 || v > 0x10ffff)
		return 0;
	*c = v;
	return 4;
}

unsigned
utf8_put(char out[4], uint32_t c)
{
	if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		c = 0xfffd;
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

size_t
ascii_until(struct span s)
{
	const uint64_t high = UINT64_C(0x8080808080808080);
	size_t i = 0;

	for (; s.n - i >= 32; i += 32) {
		uint64_t w[4];

		memcpy(w, s.p + i, sizeof(w));
		if ((w[0] | w[1] | w[2] | w[3]) & high)
			break;
	}
	while (i < s.n && !((unsigned char)s.p[i] & 0x80))
		i++;
	return i;
}

size_t
utf8_valid_until(struct span s)
{
	size_t i = 0;
	uint32_t c;

	while (i < s.n) {
		unsigned n;

		if (!((unsigned char)s.p[i] & 0x80)) {
			i += ascii_until(span_from(s, i));
			continue;
		}
		n = utf8_get(s.p, s.n, i, &c);
		if (n == 0)
			return i;
		i += n;
	}
	return i;
}
