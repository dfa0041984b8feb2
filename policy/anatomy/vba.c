/* vba.c -- the source of VBA macros (MS-OVBA 2.4.1); see anatomy/ole2.h.
 *
 * A module's stream holds compiled code and then the packed source; where the
 * source begins stands in another stream, but every source begins with an
 * "Attribute" line, whose packed form is known. The source is a side text:
 * programs are not judged here, only shown to detectors and told as the defect
 * macro.
 */
#include "anatomy/ole2.h"

#include "anatomy/textmap.h"

#define CHUNK 4096

/* Unpacks the container at s. */
static struct span
source_unpack(struct builder *b, struct span s)
{
	struct pour o;
	size_t at = 1;

	pour_begin(&o, b, s.n, 0);
	while (at + 2 <= s.n) {
		unsigned head = get16(s, at);
		size_t end = at + (head & 0xfff) + 3, begin = o.n;

		if ((head >> 12 & 7) != 3)
			break;
		if (end > s.n)
			end = s.n;
		at += 2;
		if (!(head & 0x8000)) {
			if (!pour_put(&o, s.p + at, end - at))
				break;
			at = end;
			continue;
		}
		while (at < end) {
			unsigned flags = get8(s, at++);

			for (unsigned bit = 0; bit < 8 && at < end; bit++) {
				unsigned token, bits = 4, from, n;

				if (!(flags >> bit & 1)) {
					if (!pour_put(&o, s.p + at, 1))
						goto out;
					at++;
					continue;
				}
				token = get16(s, at);
				at += 2;
				while ((1u << bits) < o.n - begin && bits < 12)
					bits++;
				n = (token & (0xffffu >> bits)) + 3;
				from = (token >> (16 - bits)) + 1;
				if (from > o.n - begin || o.n - begin > CHUNK)
					goto out;
				while (n--) {
					char c = o.p[o.n - from];

					if (!pour_put(&o, &c, 1))
						goto out;
				}
			}
		}
	}
out:
	return pour_end(&o);
}

static struct span
source_find(struct builder *b, struct span s)
{
	const char *q = s.n > 16 ? memmem(s.p, s.n, "\0Attribut", 9) : NULL;

	if (q == NULL || q - s.p < 3 || q[-3] != 1)
		return span_make("", 0);
	return source_unpack(b, span_from(s, (size_t)(q - s.p) - 3));
}

void
vba_streams(struct cfb *c, struct builder *b, uint16_t index)
{
	for (uint32_t i = 0; i < c->n; i++) {
		uint32_t up = c->v[i].parent;
		struct span source;

		if (c->v[i].kind != 2 || up == CFB_NONE || !span_is_nocase(cfb_name(c, up), "VBA"))
			continue;
		b->out->parts[index].defects |= DEFECT_MACRO;
		source = source_find(b, cfb_stream(c, i));
		if (source.n)
			side_add_utf8(b, index, span_str(arena_printf(b->a, "macro " SPAN_FMT,
			    SPAN_ARG(cfb_name(c, i)))), text_of_1252(b->a, source));
	}
}

void
vba_read(struct builder *b, uint16_t index, struct span project)
{
	struct cfb c;

	b->out->parts[index].defects |= DEFECT_MACRO;
	if (cfb_open(&c, b, project))
		vba_streams(&c, b, index);
}
