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

/* One without a letter is no heading. */
enum column
run_column(struct run *r, size_t detector, size_t from, size_t to)
{
	struct tables *t = &r->s->tables;
	struct span s = r->text->s;
	size_t head, head_to, letters = 0;
	struct heading *h;

	if (!tables_heading(t, s, from, to, &head, &head_to))
		return COLUMN_NONE;
	h = &r->s->headings[head % HEADINGS];
	if (h->at != head || h->surface != t->serial + 1) {
		char spaced[2 * CELL_BYTES_MAX];
		size_t n = heading_spaced(spaced, span_sub(s, head, head_to - head));

		*h = (struct heading){ head, t->serial + 1,
			text_fold_word(r->a, span_make(spaced, n)) };
	}
	if (named_in(r, detector, h->folded))
		return COLUMN_NAMED;
	for (size_t i = 0; i < h->folded.n && letters < 2; i++)
		letters += (uint8_t)h->folded.p[i] >= 'A';
	return letters < 2 ? COLUMN_NONE : COLUMN_OTHER;
}

/* Each question folds some text: there is an end to them, and then what is found stands. */
static bool
asked_enough(struct run *r)
{
	return r->s->names_asked++ >= NAMES_ASKED_MAX;
}

bool
run_row_names(struct run *r, size_t detector, size_t from)
{
	size_t i = from;

	while (i > 0 && from - i < CELL_BYTES_MAX && r->text->s.p[i - 1] != '\n')
		i--;
	return asked_enough(r) ||
	    named_in(r, detector, text_fold_word(r->a, span_sub(r->text->s, i, from - i)));
}

/* A keyword of the detector's own in that label speaks for it. */
bool
run_called_other(struct run *r, size_t detector, size_t from, size_t to)
{
	size_t label;

	if (!other_label(r->text->s, from, to, &label) || asked_enough(r))
		return false;
	return label >= from ||
	    !named_in(r, detector, text_fold_word(r->a, span_sub(r->text->s, label, from - label)));
}
