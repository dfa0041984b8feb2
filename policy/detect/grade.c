/* grade.c -- what sums are worth: the thresholds of lexicons and fingerprints; see detect.h.
 *
 * A level is reached by a part, or by the message as a whole. Where some part
 * reaches as much as the message, each part's matches are worth what their part
 * is: one word in the covering letter says no more because of the file beside it.
 * Where only all parts together reach it, all matches are worth that.
 *
 * Used where messages are judged and where records are replayed.
 */
#include <stdlib.h>

#include "lexicon.h"
#include "set.h"

static enum confidence
level(const struct grading *g, const struct grade *x)
{
	if (x->distinct < g->distinct)
		return CONFIDENCE_LOW;
	if (g->high && x->amount >= g->high)
		return CONFIDENCE_HIGH;
	return g->medium && x->amount >= g->medium ? CONFIDENCE_MEDIUM : CONFIDENCE_LOW;
}

static int
grade_order(const void *a, const void *b)
{
	const struct grade *x = a, *y = b;

	if (x->detector != y->detector)
		return x->detector < y->detector ? -1 : 1;
	if (x->subject != y->subject)
		return x->subject < y->subject ? -1 : 1;
	return (x->part > y->part) - (x->part < y->part);
}

void
grades_sort(struct detection *out)
{
	if (out->ngrades)
		qsort(out->grades, out->ngrades, sizeof(*out->grades), grade_order);
}

/* The grade of a subject in a part, or NULL. */
static const struct grade *
grade_find(const struct grade *v, size_t n, uint32_t subject, uint32_t part)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (v[mid].subject < subject || (v[mid].subject == subject && v[mid].part < part))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < n && v[lo].subject == subject && v[lo].part == part ? &v[lo] : NULL;
}

/* Grades of one subject: of parts, then of the message. */
static void
rate_subject(const struct grading *g, struct grade *v, size_t n)
{
	enum confidence best = CONFIDENCE_LOW;

	for (size_t i = 0; i < n; i++) {
		enum confidence c = level(g, &v[i]);

		if (v[i].part == GRADE_MESSAGE)
			c = c > best ? c : CONFIDENCE_LOW;
		else if (c > best)
			best = c;
		v[i].confidence = c;
	}
}

static void
rate_detector(const struct detectors *d, struct detection *out, struct grade *v, size_t n,
    const struct surface *surfaces)
{
	uint32_t detector = v[0].detector;
	const struct detector *det = &d->det[detector];

	for (size_t i = 0, k; i < n; i = k) {
		for (k = i + 1; k < n && v[k].subject == v[i].subject; k++)
			;
		rate_subject(det->grading, v + i, k - i);
	}
	for (uint32_t i = out->first[detector]; i < out->first[detector + 1]; i++) {
		struct match *m = &out->matches[i];
		uint32_t subject = det->kind == KIND_LEXICON ? 0 : (uint32_t)(m->value - 1);
		uint32_t part = surfaces ? surfaces[m->surface].part : 0;
		const struct grade *one = grade_find(v, n, subject, part);
		const struct grade *all = grade_find(v, n, subject, GRADE_MESSAGE);

		m->confidence = CONFIDENCE_LOW;
		if (one)
			m->confidence = one->confidence;
		if (all && all->confidence > m->confidence)
			m->confidence = all->confidence;
	}
}

void
detectors_rate(const struct detectors *d, struct detection *out, const struct surface *surfaces)
{
	for (size_t i = 0, k; i < out->ngrades; i = k) {
		for (k = i + 1; k < out->ngrades && out->grades[k].detector == out->grades[i].detector;
		     k++)
			;
		rate_detector(d, out, out->grades + i, k - i, surfaces);
	}
}

bool
detectors_graded(const struct detectors *d, size_t index)
{
	ASSERT(index < d->n);
	return d->det[index].grading != NULL;
}

/* Thousandths or hundredths, without zeros nobody needs. */
static const char *
number(struct arena *a, uint64_t v, unsigned unit)
{
	char *s = arena_printf(a, unit == LEXICON_UNIT ? "%llu.%03llu" : "%llu.%02llu",
	    (unsigned long long)(v / unit), (unsigned long long)(v % unit));
	size_t n = strlen(s);

	while (s[n - 1] == '0')
		n--;
	if (s[n - 1] == '.')
		n--;
	s[n] = '\0';
	return s;
}

struct span
detectors_grade_text(const struct detectors *d, const struct detection *out, size_t index,
    struct arena *a)
{
	const struct detector *det = &d->det[index];
	const struct grading *g = det->grading;
	unsigned unit = det->kind == KIND_LEXICON ? LEXICON_UNIT : OVERLAP_UNIT;
	const struct grade *best = NULL;
	const char *what, *next, *few = "";
	uint64_t from;

	for (size_t i = 0; i < out->ngrades; i++)
		if (out->grades[i].detector == index && (!best || out->grades[i].amount > best->amount))
			best = &out->grades[i];
	if (!g || !best)
		return (struct span){ 0 };
	what = number(a, best->amount, unit);
	if (det->kind == KIND_LEXICON)
		what = arena_printf(a, "score %s of %u different term%s", what, best->distinct,
		    best->distinct == 1 ? "" : "s");
	else	/* the document's name is in the evidence */
		what = arena_printf(a, "overlap %s %%", what);
	from = g->medium && (best->amount < g->medium || !g->high) ? g->medium : g->high;
	next = from == g->medium ? "medium" : "high";
	if (best->distinct < g->distinct)
		few = arena_printf(a, ", of %u terms", g->distinct);
	return span_str(arena_printf(a, "%s, %s from %s%s%s", what, next, number(a, from, unit),
	    unit == OVERLAP_UNIT ? " %" : "", few));
}

bool
detectors_reach(const struct detectors *d, size_t index, struct grade_reach *out)
{
	const struct detector *det = &d->det[index];

	if (det->grading == NULL)
		return false;
	*out = (struct grade_reach){ .medium = det->grading->medium, .high = det->grading->high,
		.distinct = det->grading->distinct, .documents = det->kind == KIND_FINGERPRINTS };
	if (out->documents) {
		const struct fingerprints *f = &det->grading->index;

		out->amount = 100 * OVERLAP_UNIT;
		for (uint32_t i = 0; i < f->ndocuments; i++)
			out->things += !f->documents[i].ignored && f->documents[i].counted > 0;
		return true;
	}
	for (size_t i = 0; i < d->nuses; i++)
		if (d->uses[i].detector == index && !d->uses[i].keyword) {
			uint64_t w = d->uses[i].weight;

			out->amount += w + w / 2 + w / 4;
			out->things++;
		}
	return true;
}

/* --- for people --------------------------------------------------------------------------- */

const char *
detectors_kind(const struct detectors *d, size_t index)
{
	static const char *const names[] = { [KIND_WORDS] = "words", [KIND_PATTERN] = "pattern",
		[KIND_BUILTIN] = "built-in", [KIND_LEXICON] = "lexicon",
		[KIND_FINGERPRINTS] = "fingerprint" };

	ASSERT(index < d->n);
	return names[d->det[index].kind];
}

static const char *
threshold(struct arena *a, const char *name, uint64_t from, unsigned unit)
{
	if (from == 0)
		return arena_printf(a, ", never %s", name);
	return arena_printf(a, ", %s from %s%s", name, number(a, from, unit),
	    unit == OVERLAP_UNIT ? " %" : "");
}

struct span
detectors_describe(const struct detectors *d, size_t index, struct arena *a)
{
	const struct detector *det = &d->det[index];
	const struct grading *g = det->grading;
	struct grade_reach r;
	const char *holds;
	unsigned unit;

	if (det->kind == KIND_BUILTIN)
		return span_str(builtins[det->builtin]->help);
	if (!detectors_reach(d, index, &r))
		return (struct span){ 0 };
	unit = r.documents ? OVERLAP_UNIT : LEXICON_UNIT;
	if (r.documents)
		holds = arena_printf(a, "%zu document%s, %u fingerprints", r.things,
		    r.things == 1 ? "" : "s", g->index.nhashes);
	else
		holds = arena_printf(a, "%zu term%s, which score %s at most", r.things,
		    r.things == 1 ? "" : "s", number(a, r.amount, unit));
	holds = arena_printf(a, "%s%s%s", holds, threshold(a, "medium", r.medium, unit),
	    threshold(a, "high", r.high, unit));
	if (r.distinct > 1)
		holds = arena_printf(a, "%s, of %u different ones", holds, r.distinct);
	return span_str(holds);
}
