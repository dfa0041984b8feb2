/* fuzz_anatomy.c -- builds the anatomy of any bytes and checks what every caller relies on. */
#include <stdint.h>

#include "anatomy/textmap.h"
#include "postern/anatomy.h"
#include "postern/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile unsigned char sink;

static void
span_check(struct span s)
{
	ASSERT(s.n == 0 || s.p != NULL);
	/* The sanitizer tells when these are nobody's bytes. */
	if (s.n) {
		sink ^= (unsigned char)s.p[0];
		sink ^= (unsigned char)s.p[s.n / 2];
		sink ^= (unsigned char)s.p[s.n - 1];
	}
}

static void
text_check(const struct text *t, size_t most)
{
	const struct offmap *m = &t->map;
	size_t last = 0;

	span_check(t->s);
	ASSERT(utf8_valid_until(t->s) == t->s.n);
	for (size_t i = 1; i < m->n; i++) {
		ASSERT(m->runs[i].at > m->runs[i - 1].at);
		ASSERT(m->runs[i].from >= m->runs[i - 1].from);
	}
	for (size_t i = 0; i <= t->s.n; i += i < 64 ? 1 : t->s.n / 61 + 1) {
		size_t from = offmap_origin(m, i);

		ASSERT(from >= last && from <= most);
		last = from;
	}
}

static void
part_check(const struct anatomy *an, size_t i)
{
	const struct part *p = &an->parts[i];
	bool extracted = part_type_class(p->type) == CLASS_DOCUMENT || p->type == TYPE_MSG;
	size_t most = extracted ? SIZE_MAX : p->decoded.n;

	for (size_t k = 0; k < p->nsides; k++)
		text_check(&p->sides[k].text, SIZE_MAX);
	ASSERT(i == 0 ? p->parent == PART_NONE : p->parent < i);
	ASSERT(p->depth == (i == 0 ? 0 : an->parts[p->parent].depth + 1));
	ASSERT(p->type < TYPE_COUNT);
	ASSERT((uint64_t)p->body_offset + p->body_size <= an->raw.n);
	ASSERT(p->header_offset <= an->raw.n);
	ASSERT((p->defects & ~an->defects) == 0);
	for (size_t k = 0; k < p->nheaders; k++) {
		const struct header *h = &p->headers[k];

		span_check(h->name);
		span_check(h->raw);
		span_check(h->value);
		ASSERT((uint64_t)h->offset + h->size <= an->raw.n);
		ASSERT(utf8_valid_until(h->value) == h->value.n);
		ASSERT(h->size == 0 || memcmp(an->raw.p + h->offset, h->name.p, h->name.n) == 0);
	}
	span_check(p->number);
	span_check(p->declared);
	span_check(p->charset);
	span_check(p->boundary);
	span_check(p->encoding);
	span_check(p->disposition);
	span_check(p->name);
	span_check(p->decoded);
	ASSERT(utf8_valid_until(p->name) == p->name.n);
	text_check(&p->text, most);
	text_check(&p->hidden, most);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct anatomy_limits limits = { 0 };
	struct arena *a = arena_new(0);
	struct anatomy an;

	/* The first byte chooses limits now and then, so that those paths are walked too. */
	if (size && data[0] == 1)
		limits = (struct anatomy_limits){ .parts = 4, .depth = 2, .headers = 3,
		    .decoded = 200, .entries = 5, .unpack = 2, .text = 100, .passwords = 3 };
	anatomy_build(a, span_make((const char *)data, size), &limits, &an);
	ASSERT(an.nparts >= 1 && an.nparts <= ANATOMY_PARTS + ANATOMY_ENTRIES);
	ASSERT(an.header_end <= an.raw.n);
	for (size_t i = 0; i < an.nparts; i++)
		part_check(&an, i);
	for (size_t i = 0; i < an.nsurfaces; i++) {
		const struct surface *s = &an.surfaces[i];

		ASSERT(s->part < an.nparts);
		ASSERT(s->text && s->folded && s->text->s.n);
		text_check(s->text, SIZE_MAX);
		text_check(surface_folded(s, a), SIZE_MAX);
	}
	span_check(an.subject);
	span_check(an.header_from);
	arena_free(&a);
	return 0;
}
