/* set.c -- adding detectors, compiling the set, and its end; see detect.h.
 *
 * Nothing of a detector that was refused stays. All words and keywords of all
 * detectors go into one automaton, all patterns into one prefilter.
 */
#include "set.h"

/* FNV-1a with a last stirring: values meet only within one message. */
uint64_t
detect_hash(const char *p, size_t n)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < n; i++)
		h = (h ^ (uint8_t)p[i]) * UINT64_C(0x100000001b3);
	h ^= h >> 32;
	h *= UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

struct detectors *
detectors_new(void)
{
	struct arena *a = arena_new(0);
	struct detectors *d = arena_zalloc(a, sizeof(*d));

	d->arena = a;
	d->words = words_new();
	d->plan = arena_zalloc(a, sizeof(*d->plan));
	return d;
}

static void
scratch_free(struct scratch *s, size_t n, size_t ngraded)
{
	if (s == NULL)
		return;
	graded_scratch_free(&s->graded, ngraded);
	pattern_scratch_free(&s->pattern);
	free(s->maybe);
	for (size_t i = 0; i < n; i++)
		free(s->zones[i].zone);
	free(s->zones);
	tables_release(&s->tables);
	free(s->several);
	exact_scratch_free(&s->exact);
	free(s->count);
	free(s->undecided);
	free(s->matches);
	free(s);
}

void
detectors_free(struct detectors **dp)
{
	struct detectors *d = *dp;
	struct arena *a;

	if (d == NULL)
		return;
	for (size_t i = 0; i < d->n; i++)
		pattern_free(&d->det[i].pattern);
	words_free(&d->words);
	prefilter_free(&d->prefilter);
	scratch_free(d->scratch, d->n, d->ngraded);
	a = d->arena;
	*dp = NULL;
	arena_free(&a);
}

int
detectors_find(const struct detectors *d, struct span id)
{
	uint64_t hash = detect_hash(id.p, id.n);

	for (size_t i = 0; i < d->n; i++)
		if (d->det[i].hash == hash && span_eq(d->det[i].id, id))
			return (int)i;
	return -1;
}

size_t
detectors_count(const struct detectors *d)
{
	return d->n;
}

struct span
detectors_id(const struct detectors *d, size_t index)
{
	ASSERT(index < d->n);
	return d->det[index].id;
}

static int
id_free(const struct detectors *d, struct span id, struct err *err)
{
	ASSERT(!d->compiled);
	if (id.n == 0)
		return err_set(err, 0, "a detector without a name");
	if (detectors_find(d, id) >= 0)
		return err_set(err, 0, "there are two detectors `" SPAN_FMT "`", SPAN_ARG(id));
	if (d->n >= UINT16_MAX)
		return err_set(err, 0, "more than %u detectors", UINT16_MAX);
	return 0;
}

static size_t
detector_put(struct detectors *d, struct span id, enum kind kind)
{
	if (d->n == d->cap) {
		size_t cap = d->cap ? d->cap * 2 : 16;

		d->det = arena_grow(d->arena, d->det, d->cap * sizeof(*d->det),
		    cap * sizeof(*d->det));
		d->cap = cap;
	}
	d->det[d->n] = (struct detector){
		.id = arena_span(d->arena, id),
		.hash = detect_hash(id.p, id.n),
		.kind = kind,
	};
	return d->n++;
}

static void
use_put(struct detectors *d, struct span folded, size_t detector, bool keyword, uint32_t weight)
{
	if (d->nuses == d->uses_cap) {
		size_t cap = d->uses_cap ? d->uses_cap * 2 : 64;

		d->uses = arena_grow(d->arena, d->uses, d->uses_cap * sizeof(*d->uses),
		    cap * sizeof(*d->uses));
		d->uses_cap = cap;
	}
	d->uses[d->nuses++] = (struct use){ words_add(d->words, folded), (uint32_t)detector,
		weight, keyword };
}

/* Folded copies, or NULL and the reason. */
static struct span *
words_fold(struct detectors *d, const struct span *words, size_t n, struct err *err)
{
	struct span *out = arena_array(d->arena, n, sizeof(*out));

	for (size_t i = 0; i < n; i++) {
		out[i] = text_fold_word(d->arena, words[i]);
		if (out[i].n == 0) {
			err_set(err, 0, "the word `" SPAN_FMT "` is empty", SPAN_ARG(words[i]));
			return NULL;
		}
		if (out[i].n > WORD_BYTES_MAX) {
			err_set(err, 0, "a word is longer than %d bytes", WORD_BYTES_MAX);
			return NULL;
		}
	}
	return out;
}

/* Folded copies of keywords. false: the reason is in err. */
static bool
near_fold(struct detectors *d, const struct detector_near *near, struct span **folded, struct err *err)
{
	*folded = NULL;
	return near->nwords == 0 ||
	    (*folded = words_fold(d, near->words, near->nwords, err)) != NULL;
}

static void
near_put(struct detectors *d, size_t index, const struct detector_near *near,
    const struct span *folded)
{
	d->det[index].near = near->nwords > 0;
	d->det[index].within = near->within;
	for (size_t i = 0; i < near->nwords; i++)
		use_put(d, folded[i], index, true, 0);
}

int
detectors_add_listed(struct detectors *d, struct span id, const struct detector_words *w,
    struct err *err)
{
	struct span *folded, *near;
	size_t index;

	if (id_free(d, id, err) == -1)
		return -1;
	if (w->nwords == 0)
		return err_set(err, 0, "no words");
	if (!near_fold(d, &w->near, &near, err) ||
	    (folded = words_fold(d, w->words, w->nwords, err)) == NULL)
		return -1;
	index = detector_put(d, id, KIND_WORDS);
	near_put(d, index, &w->near, near);
	d->det[index].alone = w->alone ? w->alone :
	    w->near.nwords ? CONFIDENCE_MEDIUM : CONFIDENCE_HIGH;
	d->det[index].with_near = w->with_near ? w->with_near : CONFIDENCE_HIGH;
	d->det[index].mask_last = w->mask_last;
	for (size_t i = 0; i < w->nwords; i++)
		use_put(d, folded[i], index, false, 0);
	d->nwords++;
	return (int)index;
}

int
detectors_add_exact(struct detectors *d, struct span id, const struct exact_plan *plan,
    enum confidence alone, enum confidence with_near, struct err *err)
{
	struct detector *det;
	size_t index;

	if (id_free(d, id, err) == -1)
		return -1;
	index = detector_put(d, id, KIND_EXACT);
	det = &d->det[index];
	det->exact = arena_alloc(d->arena, sizeof(*det->exact));
	*det->exact = *plan;
	exact_plan_finish(det->exact);
	det->within = plan->within;
	det->alone = alone;
	det->with_near = with_near;
	d->nexacts++;
	return (int)index;
}

const struct exact_plan *
detectors_exact(const struct detectors *d, size_t index)
{
	ASSERT(index < d->n);
	return d->det[index].exact;
}

int
detectors_add_words(struct detectors *d, struct span id, const struct span *words, size_t n,
    struct err *err)
{
	return detectors_add_listed(d, id, &(struct detector_words){ .words = words, .nwords = n,
	    .mask_last = 2 }, err);
}

static void
grading_put(struct detectors *d, size_t index, uint64_t medium, uint64_t high, uint32_t distinct)
{
	struct grading *g = arena_zalloc(d->arena, sizeof(*g));

	*g = (struct grading){ .medium = medium, .high = high, .distinct = distinct,
		.number = (uint32_t)d->ngraded++ };
	d->det[index].grading = g;
}

int
detectors_add_lexicon(struct detectors *d, struct span id, const struct detector_lexicon *l,
    struct err *err)
{
	struct span *folded = arena_array(d->arena, l->nterms, sizeof(*folded)), *near;
	size_t index;

	if (id_free(d, id, err) == -1 || !near_fold(d, &l->near, &near, err))
		return -1;
	for (size_t i = 0; i < l->nterms; i++) {
		folded[i] = text_fold_word(d->arena, l->terms[i].word);
		if (folded[i].n > WORD_BYTES_MAX)
			return err_set(err, 0, "a word is longer than %d bytes", WORD_BYTES_MAX);
	}
	index = detector_put(d, id, KIND_LEXICON);
	near_put(d, index, &l->near, near);
	d->det[index].mask_last = l->mask_last;
	grading_put(d, index, l->medium, l->high, l->distinct);
	for (size_t i = 0; i < l->nterms; i++)	/* one of signs that folding drops is nowhere */
		if (folded[i].n && l->terms[i].weight)
			use_put(d, folded[i], index, false, l->terms[i].weight);
	d->nwords++;
	return (int)index;
}

int
detectors_add_fingerprints(struct detectors *d, struct span id,
    const struct detector_fingerprints *f, struct err *err)
{
	struct fingerprints index_of;
	size_t index;

	if (id_free(d, id, err) == -1 || fingerprints_read(f->index, d->arena, &index_of, err) == -1)
		return -1;
	index = detector_put(d, id, KIND_FINGERPRINTS);
	grading_put(d, index, f->medium, f->high, 0);
	d->det[index].grading->index = index_of;
	d->nfingerprints++;
	return (int)index;
}

int
detectors_add_pattern(struct detectors *d, struct span id, const struct detector_pattern *p,
    struct err *err)
{
	struct span *folded;
	struct pattern *pattern;
	struct detector *det;
	size_t index;

	if (id_free(d, id, err) == -1 || !near_fold(d, &p->near, &folded, err))
		return -1;
	if ((pattern = pattern_new(p->pattern, err)) == NULL)
		return -1;
	index = detector_put(d, id, KIND_PATTERN);
	det = &d->det[index];
	det->pattern = pattern;
	det->source = arena_span(d->arena, p->pattern);
	near_put(d, index, &p->near, folded);
	det->alone = p->alone;
	det->with_near = p->with_near ? p->with_near : CONFIDENCE_HIGH;
	/* Nothing was said: what a person wrote a pattern for is what they look for. */
	if (!det->near && det->alone == CONFIDENCE_NONE)
		det->alone = CONFIDENCE_HIGH;
	det->mask_last = p->mask_last;
	d->npatterns++;
	return (int)index;
}

const char *
detector_builtin(size_t i, const char **help)
{
	for (size_t k = 0; k <= i; k++)
		if (builtins[k] == NULL)
			return NULL;
	if (help)
		*help = builtins[i]->help;
	return builtins[i]->name;
}

/* "card number" is also written card_number and cardNumber by programs. */
static void
keyword_put(struct detectors *d, struct span folded, size_t index)
{
	char *joined = arena_alloc(d->arena, folded.n), *scored = arena_alloc(d->arena, folded.n);
	size_t n = 0;

	use_put(d, folded, index, true, 0);
	for (size_t i = 0; i < folded.n; i++) {
		scored[i] = folded.p[i] == ' ' ? '_' : folded.p[i];
		if (folded.p[i] != ' ')
			joined[n++] = folded.p[i];
	}
	if (n == folded.n)
		return;
	use_put(d, span_make(joined, n), index, true, 0);
	use_put(d, span_make(scored, folded.n), index, true, 0);
}

int
detectors_add_builtin(struct detectors *d, struct span name, struct err *err)
{
	int b = builtin_find(name);
	size_t index;

	if (b < 0)
		return err_set(err, 0, "there is no built-in detector `" SPAN_FMT "`",
		    SPAN_ARG(name));
	if (id_free(d, name, err) == -1)
		return -1;
	index = detector_put(d, name, KIND_BUILTIN);
	d->det[index].builtin = b;
	d->det[index].near = true;
	d->det[index].within = builtins[b]->within;
	d->det[index].mask_last = builtins[b]->mask_last;
	d->detector_of[b] = (uint32_t)index;
	if (builtins[b]->pattern) {
		d->det[index].source = span_str(builtins[b]->pattern);
		d->det[index].pattern = pattern_new(d->det[index].source, NULL);
		ASSERT(d->det[index].pattern != NULL);
		d->npatterns++;
	}
	identifiers_plan_add(d->plan, b);
	for (size_t i = 0; builtins[b]->keywords[i]; i++)
		keyword_put(d, text_fold_word(d->arena, span_str(builtins[b]->keywords[i])), index);
	return (int)index;
}

static int
use_order(const void *a, const void *b)
{
	const struct use *x = a, *y = b;

	if (x->word != y->word)
		return x->word < y->word ? -1 : 1;
	if (x->detector != y->detector)
		return x->detector < y->detector ? -1 : 1;
	if (x->keyword != y->keyword)
		return x->keyword ? -1 : 1;
	return (x->weight < y->weight) - (x->weight > y->weight);
}

/* The same word twice in one list counts once, with the greater weight. */
static bool
use_same(const struct use *x, const struct use *y)
{
	return x->word == y->word && x->detector == y->detector && x->keyword == y->keyword;
}

static void
patterns_compile(struct detectors *d)
{
	struct span *sources = arena_array(d->arena, d->npatterns, sizeof(*sources));
	size_t n = 0;

	d->patterns = arena_array(d->arena, d->npatterns, sizeof(*d->patterns));
	d->prefiltered = arena_array(d->arena, d->npatterns, sizeof(*d->prefiltered));
	for (size_t i = 0; i < d->n; i++)
		if (d->det[i].pattern) {
			sources[n] = d->det[i].source;
			d->patterns[n++] = (uint32_t)i;
		}
	ASSERT(n == d->npatterns);
	if (n > 0)
		d->prefilter = prefilter_new(sources, n, d->prefiltered);
	d->all_prefiltered = true;
	for (size_t i = 0; i < n; i++)
		d->all_prefiltered = d->all_prefiltered && d->prefiltered[i];
}

static struct scratch *
scratch_new(const struct detectors *d)
{
	struct scratch *s = calloc(1, sizeof(*s));
	size_t n = d->n, npatterns = d->npatterns;

	ASSERT(s != NULL);
	s->pattern = pattern_scratch_new();
	s->maybe = calloc(npatterns + 1, sizeof(*s->maybe));
	s->count = calloc(n + 1, sizeof(*s->count));
	s->undecided = calloc(n + 1, sizeof(*s->undecided));
	s->zones = calloc(n + 1, sizeof(*s->zones));
	s->several = calloc(n + 1, sizeof(*s->several));
	ASSERT(s->maybe && s->count && s->undecided && s->zones && s->several);
	s->graded = graded_scratch_new(d);
	return s;
}

int
detectors_compile(struct detectors *d, struct err *err)
{
	size_t words = words_count(d->words), u = 0, kept = 0;

	ASSERT(!d->compiled);
	words_compile(d->words);
	if (d->nuses)
		qsort(d->uses, d->nuses, sizeof(*d->uses), use_order);
	for (size_t i = 0; i < d->nuses; i++)
		if (kept == 0 || !use_same(&d->uses[kept - 1], &d->uses[i]))
			d->uses[kept++] = d->uses[i];
	d->nuses = kept;
	d->uses_at = arena_array(d->arena, words + 1, sizeof(*d->uses_at));
	for (size_t w = 0; w <= words; w++) {
		while (u < d->nuses && d->uses[u].word < w)
			u++;
		d->uses_at[w] = (uint32_t)u;
	}
	patterns_compile(d);
	d->exacts = arena_array(d->arena, d->nexacts, sizeof(*d->exacts));
	for (size_t i = 0, n = 0; i < d->n; i++)
		if (d->det[i].exact)
			d->exacts[n++] = (uint32_t)i;
	d->fingerprints = arena_array(d->arena, d->nfingerprints + 1, sizeof(*d->fingerprints));
	for (size_t i = 0, k = 0; i < d->n; i++)
		if (d->det[i].kind == KIND_FINGERPRINTS)
			d->fingerprints[k++] = (uint32_t)i;
	d->scratch = scratch_new(d);
	if (d->nexacts)
		d->scratch->exact = exact_scratch_new();
	d->compiled = true;
	return 0;
}
