/* naming.c -- what the surroundings of a match (context.h) are to a detector; see run.h.
 *
 * Headings are folded once and kept while the run lasts: a column of a hundred thousand cells asks for
 * the same one.
 */
#include "run.h"

struct named {			/* is this one of the detector's keywords? */
	const struct detectors *d;
	size_t detector;
	bool yes;
};

static void
on_name(void *ctx, uint32_t word, size_t from, size_t to)
{
	struct named *n = ctx;

	for (uint32_t i = n->d->uses_at[word]; i < n->d->uses_at[word + 1]; i++)
		n->yes |= n->d->uses[i].keyword && n->d->uses[i].detector == n->detector;
}

static bool
named_in(struct run *r, size_t detector, struct span folded)
{
	struct named n = { .d = r->d, .detector = detector };

	words_search(r->d->words, folded, on_name, &n);
	return n.yes;
}

/* One without a letter is no heading; what stands in front of the cell in its own row is heard too. */
enum column
run_column(struct run *r, size_t detector, size_t from, size_t to)
{
	struct span s = r->text->s, before;
	size_t head, head_to, letters = 0;
	struct heading *h;

	if (!tables_heading(&r->s->tables, s, from, to, &head, &head_to))
		return COLUMN_NONE;
	h = &r->s->headings[head % HEADINGS];
	if (h->at != head || h->surface != r->surfaces) {
		char spaced[2 * CELL_BYTES_MAX];
		size_t n = heading_spaced(spaced, span_sub(s, head, head_to - head));

		*h = (struct heading){ head, r->surfaces,
			text_fold_word(r->a, span_make(spaced, n)) };
	}
	if (named_in(r, detector, h->folded))
		return COLUMN_NAMED;
	for (size_t i = 0; i < h->folded.n; i++)
		letters += (uint8_t)h->folded.p[i] >= 'A';
	if (letters < 2)
		return COLUMN_NONE;
	before = span_sub(s, from > CELL_BYTES_MAX ? from - CELL_BYTES_MAX : 0,
	    from > CELL_BYTES_MAX ? CELL_BYTES_MAX : from);
	for (size_t i = before.n; i > 0; i--)
		if (before.p[i - 1] == '\n') {
			before = span_from(before, i);
			break;
		}
	return named_in(r, detector, text_fold_word(r->a, before)) ? COLUMN_NONE : COLUMN_OTHER;
}

/* A keyword of the detector's own in that label speaks for it. */
bool
run_called_other(struct run *r, size_t detector, size_t from, size_t to)
{
	size_t label;

	if (!other_label(r->text->s, from, to, &label))
		return false;
	return label >= from ||
	    !named_in(r, detector, text_fold_word(r->a, span_sub(r->text->s, label, from - label)));
}
