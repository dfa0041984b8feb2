/* graded.c -- adds up what lexicons and fingerprints find, while a run goes on; see detect.h.
 *
 * A lexicon: a term counts its weight where it stands first in a part, half of it
 * the second time, a quarter the third, and then no more: who repeats one word
 * gets nowhere. For the message each term counts once, as in the part where it
 * counts most: a letter that is there twice, as text and as HTML, is one letter.
 *
 * Fingerprints: the overlap of a part with a document is the share of the
 * document's hashes that stand in it, or the share of the part's own that are the
 * document's, whichever is more; so one page of a hundred is found. The second
 * is asked only from SHARE_HASHES of them on: a short mail may be a phrase that
 * everybody writes. For the message it is the share of the document that all
 * parts have together. Of a document of which less than FLOOR_HASHES stand in
 * the message nothing is said.
 *
 * Nothing is cleared between parts and runs: what was written in another one is
 * known by its number. So the work is that of the hits, whatever the number of
 * terms and documents. Surfaces of one part follow each other (surfaces.c).
 */
#include <stdlib.h>

#include "lexicon.h"
#include "run.h"
#include "winnow.h"

#define TERM_TIMES 3		/* a term counts, in a part */
#define SHARE_HASHES 8
#define FLOOR_HASHES 4
#define LOW_GRADES 1024		/* of parts that come to nothing, kept for other thresholds */
/* Places below the bound are for the first match of a part or document: what was found last must
 * not go unseen because something else stands there ten thousand times. */
#define MATCHES_FREE (DETECT_MATCHES_MAX / 4 * 3)

struct term {			/* of a use in the set */
	uint32_t run, part;
	uint8_t count, best;	/* times in this part, at most TERM_TIMES; in the best one */
};

struct numbers {
	uint32_t *v;
	size_t n, cap;
};

struct document {
	uint32_t run, part;
	uint32_t distinct;	/* hashes of it in this run … */
	uint32_t part_distinct, part_grams;	/* … in this part; grams that are its own */
	uint32_t best;		/* per cent, for people */
	bool open, matched;	/* a passage is being read; this part has a match */
	uint32_t last, from, to;
};

struct sums {			/* of a graded detector */
	uint32_t run, part;
	uint64_t score, part_score;
	uint32_t distinct, part_distinct;
	/* fingerprints */
	uint32_t part_grams;
	struct document *documents;
	struct {
		uint32_t run, part;
	} *hashes;
	struct numbers found, in_part;	/* documents */
};

struct graded_scratch {
	uint32_t run, part;	/* numbers of the ones going on */
	struct term *terms;
	size_t nterms;
	struct sums *sums;
	struct numbers lexicons, in_part;	/* that found something in this run, in this part */
	struct grade *grades;
	size_t ngrades, cap, nlow;
};

static void
numbers_put(struct numbers *l, uint32_t x)
{
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 16;
		l->v = realloc(l->v, l->cap * sizeof(*l->v));
		ASSERT_MEMORY(l->v);
	}
	l->v[l->n++] = x;
}

struct graded_scratch *
graded_scratch_new(const struct detectors *d)
{
	struct graded_scratch *s;

	if (d->ngraded == 0)
		return NULL;
	s = calloc(1, sizeof(*s));
	ASSERT_MEMORY(s);
	s->nterms = d->nuses;
	s->terms = calloc(d->nuses + 1, sizeof(*s->terms));
	s->sums = calloc(d->ngraded, sizeof(*s->sums));
	ASSERT_MEMORY(s->terms);
	ASSERT_MEMORY(s->sums);
	for (size_t i = 0; i < d->nfingerprints; i++) {
		const struct grading *g = d->det[d->fingerprints[i]].grading;
		struct sums *sum = &s->sums[g->number];

		sum->documents = calloc(g->index.ndocuments + 1, sizeof(*sum->documents));
		sum->hashes = calloc((size_t)g->index.nhashes + 1, sizeof(*sum->hashes));
		ASSERT_MEMORY(sum->documents);
		ASSERT_MEMORY(sum->hashes);
	}
	return s;
}

void
graded_scratch_free(struct graded_scratch **sp, size_t ngraded)
{
	struct graded_scratch *s = *sp;

	if (s == NULL)
		return;
	for (size_t i = 0; i < ngraded; i++) {
		free(s->sums[i].documents);
		free(s->sums[i].hashes);
		free(s->sums[i].found.v);
		free(s->sums[i].in_part.v);
	}
	free(s->sums);
	free(s->terms);
	free(s->lexicons.v);
	free(s->in_part.v);
	free(s->grades);
	free(s);
	*sp = NULL;
}

static struct sums *
sums_of(const struct run *r, size_t detector)
{
	return &r->s->graded->sums[r->d->det[detector].grading->number];
}

/* --- a part --------------------------------------------------------------------------------- */

static void
grade_put(struct run *r, uint32_t detector, uint32_t subject, uint32_t part, uint32_t distinct,
    uint64_t amount)
{
	const struct grading *g = r->d->det[detector].grading;
	struct graded_scratch *s = r->s->graded;
	bool low = (g->medium == 0 || amount < g->medium) && (g->high == 0 || amount < g->high);

	if (low && part != GRADE_MESSAGE && s->nlow++ >= LOW_GRADES)
		return;
	if (s->ngrades == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 64;
		s->grades = realloc(s->grades, s->cap * sizeof(*s->grades));
		ASSERT_MEMORY(s->grades);
	}
	s->grades[s->ngrades++] = (struct grade){ .detector = detector, .subject = subject,
		.part = part, .distinct = distinct, .amount = amount };
}

static uint64_t
per_cent(uint64_t x, uint64_t of)
{
	return of ? x * 100 * OVERLAP_UNIT / of : 0;
}

static void
part_document(struct run *r, uint32_t detector, uint32_t number)
{
	const struct grading *g = r->d->det[detector].grading;
	struct sums *sum = sums_of(r, detector);
	struct document *doc = &sum->documents[number];
	uint64_t overlap = per_cent(doc->part_distinct, g->index.documents[number].counted), own;

	own = doc->part_distinct >= SHARE_HASHES ? per_cent(doc->part_grams, sum->part_grams) : 0;
	if (own > overlap)
		overlap = own;
	if (overlap > doc->best)
		doc->best = (uint32_t)overlap;
	grade_put(r, detector, number, r->part, doc->part_distinct, overlap);
}

static void
part_end(struct run *r)
{
	struct graded_scratch *s = r->s->graded;

	for (size_t i = 0; i < s->in_part.n; i++) {
		struct sums *sum = sums_of(r, s->in_part.v[i]);

		grade_put(r, s->in_part.v[i], 0, r->part, sum->part_distinct, sum->part_score);
	}
	for (size_t i = 0; i < r->d->nfingerprints; i++) {
		struct sums *sum = sums_of(r, r->d->fingerprints[i]);

		for (size_t k = 0; k < sum->in_part.n; k++)
			part_document(r, r->d->fingerprints[i], sum->in_part.v[k]);
	}
}

static void
part_begin(struct run *r)
{
	struct graded_scratch *s = r->s->graded;

	s->part++;
	s->in_part.n = 0;
	for (size_t i = 0; i < r->d->nfingerprints; i++) {
		struct sums *sum = sums_of(r, r->d->fingerprints[i]);

		sum->in_part.n = 0;
		sum->part_grams = 0;
	}
}

/* Once in four thousand million parts what was written there means nothing any more. */
static void
wrap(struct run *r)
{
	struct graded_scratch *s = r->s->graded;

	memset(s->terms, 0, s->nterms * sizeof(*s->terms));
	for (size_t i = 0; i < r->d->ngraded; i++)
		s->sums[i].run = s->sums[i].part = 0;
	for (size_t i = 0; i < r->d->nfingerprints; i++) {
		const struct fingerprints *f = &r->d->det[r->d->fingerprints[i]].grading->index;
		struct sums *sum = sums_of(r, r->d->fingerprints[i]);

		memset(sum->documents, 0, f->ndocuments * sizeof(*sum->documents));
		memset(sum->hashes, 0, (size_t)f->nhashes * sizeof(*sum->hashes));
	}
	s->run = s->part = 0;
}

void
graded_begin(struct run *r)
{
	struct graded_scratch *s = r->s->graded;

	r->part = GRADE_MESSAGE;
	if (s == NULL)
		return;
	if (s->part > UINT32_MAX - UINT16_MAX - 2 || s->run == UINT32_MAX)
		wrap(r);
	s->run++;
	s->lexicons.n = 0;
	s->ngrades = s->nlow = 0;
	for (size_t i = 0; i < r->d->nfingerprints; i++)
		sums_of(r, r->d->fingerprints[i])->found.n = 0;
	part_begin(r);
}

void
graded_surface(struct run *r, uint32_t part)
{
	if (r->s->graded && part != r->part) {
		if (r->part != GRADE_MESSAGE) {
			part_end(r);
			part_begin(r);
		}
	}
	r->part = part;
}

/* --- terms ---------------------------------------------------------------------------------- */

static uint64_t
worth(uint32_t weight, unsigned times)
{
	uint64_t w = 0;

	for (unsigned i = 0; i < times; i++)
		w += weight >> i;
	return w;
}

void
graded_term(struct run *r, uint32_t use, size_t from, size_t to)
{
	struct graded_scratch *s = r->s->graded;
	const struct use *u = &r->d->uses[use];
	struct sums *sum = sums_of(r, u->detector);
	struct term *t = &s->terms[use];
	bool first;

	if (sum->run != s->run) {
		sum->run = s->run;
		sum->score = sum->distinct = 0;
		numbers_put(&s->lexicons, u->detector);
	}
	first = sum->part != s->part;
	if (first) {
		sum->part = s->part;
		sum->part_score = sum->part_distinct = 0;
		numbers_put(&s->in_part, u->detector);
	}
	if (t->run != s->run)
		*t = (struct term){ .run = s->run };
	if (t->part != s->part) {
		t->part = s->part;
		t->count = 0;
	}
	if (t->count < TERM_TIMES) {
		sum->part_distinct += t->count == 0;
		sum->part_score -= worth(u->weight, t->count);
		sum->part_score += worth(u->weight, ++t->count);
	}
	if (t->count > t->best) {
		sum->distinct += t->best == 0;
		sum->score -= worth(u->weight, t->best);
		sum->score += worth(u->weight, t->best = t->count);
	}
	if (first || r->s->count[u->detector] < MATCHES_FREE)
		run_match(r, u->detector, r->folded, from, to, CONFIDENCE_LOW,
		    detect_hash(r->folded->s.p + from, to - from));
}

/* --- fingerprints ---------------------------------------------------------------------------- */

static void
passage_end(struct run *r, uint32_t detector, uint32_t number)
{
	struct document *doc = &sums_of(r, detector)->documents[number];

	doc->open = false;
	if (doc->matched && r->s->count[detector] >= MATCHES_FREE)
		return;
	doc->matched = true;
	run_match(r, detector, r->folded, doc->from, doc->to, CONFIDENCE_LOW, (uint64_t)number + 1);
}

static void
document_hit(struct run *r, uint32_t detector, uint32_t number, const struct winnow_gram *g,
    bool fresh, bool fresh_in_part)
{
	const struct graded_scratch *s = r->s->graded;
	struct sums *sum = sums_of(r, detector);
	struct document *doc = &sum->documents[number];

	if (doc->run != s->run) {
		*doc = (struct document){ .run = s->run };
		numbers_put(&sum->found, number);
	}
	if (doc->part != s->part) {
		doc->part = s->part;
		doc->part_distinct = doc->part_grams = 0;
		doc->matched = false;
		numbers_put(&sum->in_part, number);
	}
	doc->distinct += fresh;
	doc->part_distinct += fresh_in_part;
	doc->part_grams++;
	if (doc->open && g->at - doc->last > WINNOW_GUARANTEE)
		passage_end(r, detector, number);
	if (!doc->open)
		doc->from = g->from;
	doc->open = true;
	doc->last = g->at;
	doc->to = g->to;
}

static void
gram_hit(struct run *r, uint32_t detector, const struct winnow_gram *g)
{
	const struct fingerprints *f = &r->d->det[detector].grading->index;
	const struct graded_scratch *s = r->s->graded;
	struct sums *sum = sums_of(r, detector);
	int64_t place = fingerprints_find(f, fingerprint_hash(f->key, g->key, g->n));
	bool fresh, fresh_in_part;
	int64_t number;

	if (place >= 0 && fingerprints_ignored(f, (uint32_t)place))
		return;
	sum->part_grams++;
	if (place < 0)
		return;
	fresh = sum->hashes[place].run != s->run;
	fresh_in_part = sum->hashes[place].part != s->part;
	sum->hashes[place].run = s->run;
	sum->hashes[place].part = s->part;
	for (uint32_t i = 0; (number = fingerprints_owner(f, (uint32_t)place, i)) >= 0; i++)
		document_hit(r, detector, (uint32_t)number, g, fresh, fresh_in_part);
}

static void
on_gram(void *ctx, const struct winnow_gram *g)
{
	struct run *r = ctx;

	for (size_t i = 0; i < r->d->nfingerprints; i++)
		if (r->only == NO_INDEX || r->only == r->d->fingerprints[i])
			gram_hit(r, r->d->fingerprints[i], g);
}

void
graded_fingerprints(struct run *r)
{
	run_fold(r);
	winnow(r->folded->s, on_gram, r);
	for (size_t i = 0; i < r->d->nfingerprints; i++) {
		struct sums *sum = sums_of(r, r->d->fingerprints[i]);

		for (size_t k = 0; k < sum->in_part.n; k++)
			if (sum->documents[sum->in_part.v[k]].open)
				passage_end(r, r->d->fingerprints[i], sum->in_part.v[k]);
	}
}

/* --- the end ---------------------------------------------------------------------------------- */

/* Is enough of the document there to speak of it? */
static bool
speaks(const struct run *r, uint32_t detector, uint32_t number)
{
	const struct fingerprint_document *of =
	    &r->d->det[detector].grading->index.documents[number];
	uint32_t least = of->counted < FLOOR_HASHES ? of->counted : FLOOR_HASHES;

	return sums_of(r, detector)->documents[number].distinct >= least;
}

static void
fingerprints_end(struct run *r, uint32_t detector)
{
	const struct fingerprints *f = &r->d->det[detector].grading->index;
	struct sums *sum = sums_of(r, detector);

	for (size_t i = 0; i < sum->found.n; i++) {
		uint32_t number = sum->found.v[i];
		struct document *doc = &sum->documents[number];
		uint64_t overlap = per_cent(doc->distinct, f->documents[number].counted);

		if (!speaks(r, detector, number))
			continue;
		if (overlap > doc->best)
			doc->best = (uint32_t)overlap;
		grade_put(r, detector, number, GRADE_MESSAGE, doc->distinct, overlap);
	}
}

/* The document's name and how much of it is the evidence; what is not spoken of goes. */
static void
matches_name(struct run *r)
{
	struct scratch *s = r->s;
	size_t kept = 0;

	for (size_t i = 0; i < s->nmatches; i++) {
		struct match *m = &s->matches[i];
		const struct detector *det = &r->d->det[m->detector];
		uint32_t number = (uint32_t)(m->value - 1);

		if (det->kind == KIND_FINGERPRINTS) {
			struct document *doc = &sums_of(r, m->detector)->documents[number];

			if (!speaks(r, m->detector, number)) {
				s->count[m->detector]--;
				continue;
			}
			m->masked = span_str(arena_printf(r->a, SPAN_FMT " (%u %%)",
			    SPAN_ARG(det->grading->index.documents[number].name),
			    doc->best / OVERLAP_UNIT));
		}
		s->matches[kept++] = *m;
	}
	s->nmatches = kept;
}

void
graded_end(struct run *r)
{
	struct graded_scratch *s = r->s->graded;
	struct detection *out = r->out;

	if (s == NULL)
		return;
	if (r->part != GRADE_MESSAGE)
		part_end(r);
	for (size_t i = 0; i < s->lexicons.n; i++) {
		const struct sums *sum = sums_of(r, s->lexicons.v[i]);

		grade_put(r, s->lexicons.v[i], 0, GRADE_MESSAGE, sum->distinct, sum->score);
	}
	for (size_t i = 0; i < r->d->nfingerprints; i++)
		fingerprints_end(r, r->d->fingerprints[i]);
	if (s->ngrades == 0)
		return;
	matches_name(r);
	out->grades = arena_array(r->a, s->ngrades, sizeof(*out->grades));
	for (size_t i = 0; i < s->ngrades; i++)
		if (r->d->det[s->grades[i].detector].kind == KIND_LEXICON ||
		    speaks(r, s->grades[i].detector, s->grades[i].subject))
			out->grades[out->ngrades++] = s->grades[i];
	grades_sort(out);
}
