/* fingerprint_check.c -- which documents of an index stand in a message, outside of any policy. */
#include <stdlib.h>

#include "detect.h"
#include "postern/fingerprint.h"

static int
by_overlap(const void *a, const void *b)
{
	const struct fingerprint_overlap *x = a, *y = b;

	if (x->overlap != y->overlap)
		return x->overlap < y->overlap ? 1 : -1;
	return (x->document > y->document) - (x->document < y->document);
}

/* Of each document the best of its grades; they come one document after the other. */
size_t
fingerprints_check(const struct fingerprints *f, const struct anatomy *an, struct arena *a,
    struct fingerprint_overlap **out)
{
	struct detector_fingerprints of = { .index = f->bytes };
	struct detectors *d = detectors_new();
	struct fingerprint_overlap *v;
	struct detection found;
	size_t n = 0;

	ASSERT(detectors_add_fingerprints(d, SPAN_LIT("documents"), &of, NULL) >= 0);
	ASSERT(detectors_compile(d, NULL) == 0);
	detectors_run(d, an, a, &found);
	v = arena_array(a, found.ngrades + 1, sizeof(*v));
	for (size_t i = 0; i < found.ngrades; i++) {
		const struct grade *g = &found.grades[i];
		const struct fingerprint_document *of_it = &f->documents[g->subject];
		double overlap = (double)g->amount / OVERLAP_UNIT;

		if (n == 0 || v[n - 1].document != of_it)
			v[n++] = (struct fingerprint_overlap){ .document = of_it };
		if (overlap > v[n - 1].overlap)
			v[n - 1].overlap = overlap;
		if (g->distinct > v[n - 1].hashes)
			v[n - 1].hashes = g->distinct;
	}
	if (n)
		qsort(v, n, sizeof(*v), by_overlap);
	detectors_free(&d);
	*out = v;
	return n;
}
