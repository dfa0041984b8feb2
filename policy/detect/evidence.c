/* evidence.c -- where a match stands, and what of it may be shown; see evidence.h. */
#include "evidence.h"

#define MASK_CHARS 64		/* shown of a longer match: its end */

size_t
evidence_offset(const struct text *t, size_t origin)
{
	const struct offmap *m = &t->map;
	size_t lo = 0, hi = m->n, off, end;

	if (m->n == 0)
		return origin < t->s.n ? origin : t->s.n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (m->runs[mid].from <= origin)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == 0)
		return 0;
	off = m->runs[lo - 1].at;
	if (m->runs[lo - 1].linear)
		off += origin - m->runs[lo - 1].from;
	end = lo < m->n ? m->runs[lo].at : t->s.n;
	return off < end ? off : end;
}

struct place
evidence_place(const struct text *t, size_t from, size_t to)
{
	size_t a = offmap_origin(&t->map, from), z = offmap_origin(&t->map, to - 1) + 1;
	const struct offrun *last = offmap_run(&t->map, to - 1);

	if (last && !last->linear) {
		size_t next = offmap_origin(&t->map, to);

		if (next > z)
			z = next;
	}
	if (z <= a)
		z = a + 1;
	return (struct place){ (uint32_t)a, (uint32_t)z };
}

static size_t
char_bytes(struct span s, size_t i)
{
	size_t n = 1;

	while (i + n < s.n && ((uint8_t)s.p[i + n] & 0xc0) == 0x80)
		n++;
	return n;
}

static bool
is_blank(struct span c)
{
	if (c.n == 1)		/* nearly all, and a match may be long */
		return c.p[0] == ' ' || c.p[0] == '\t' || c.p[0] == '\r' || c.p[0] == '\n';
	return span_is(c, "\xc2\xa0") || span_is(c, "\xe2\x80\xaf") || span_is(c, "\xe2\x80\x89") ||
	    span_is(c, "\xe2\x80\x83");
}

struct span
evidence_mask(struct arena *a, struct span s, unsigned last)
{
	static const char bullet[] = "\xe2\x80\xa2", more[] = "\xe2\x80\xa6";
	size_t chars = 0, visible = 0, skip, seen = 0, shown = 0;
	char *out, *o;

	for (size_t i = 0; i < s.n; i += char_bytes(s, i)) {
		chars++;
		visible += !is_blank(span_sub(s, i, char_bytes(s, i)));
	}
	skip = chars > MASK_CHARS ? chars - MASK_CHARS : 0;
	if (last > visible / 2)
		last = (unsigned)(visible / 2);
	o = out = arena_alloc(a, (chars - skip) * 4 + sizeof(more));
	if (skip) {
		memcpy(o, more, 3);
		o += 3;
	}
	for (size_t i = 0; i < s.n;) {
		struct span c = span_sub(s, i, char_bytes(s, i));
		bool blank = is_blank(c);

		i += c.n;
		shown += !blank;
		if (seen++ < skip)
			continue;
		if (blank) {
			*o++ = ' ';
		} else if (visible - shown < last && (uint8_t)c.p[0] > ' ' &&
		    c.p[0] != 0x7f && c.n <= 4) {
			memcpy(o, c.p, c.n);
			o += c.n;
		} else {
			memcpy(o, bullet, 3);
			o += 3;
		}
	}
	return (struct span){ out, (size_t)(o - out) };
}
