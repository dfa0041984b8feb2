/* detect.c -- a run of all detectors over a message; see detect.h.
 *
 * For each surface: words and keywords in one walk over the folded text, then
 * patterns and built-ins over the text itself. Of the patterns only those run
 * that one walk for all of them (prefilter.h) cannot rule out. Keywords are
 * kept as zones, the stretches of folded text that are near one; overlapping
 * zones are joined, so their number is bounded by the text whatever stands in
 * it. A match in the text finds its place in the folded text through the bytes
 * both were made of.
 *
 * Exact data (exact.h) is looked for in the folded text, too, with steps of its own.
 *
 * A match without a keyword near may be named by the heading of its column, and a weak one with a
 * keyword near may be called another thing by its label (context.h).
 *
 * Without detectors of words the walk over the folded text waits until a
 * match asks for its keyword: clean mail is then never folded.
 */
#include "run.h"

#define RUN_STEPS INT64_C(400000000)	/* of all patterns' hard places in one run */
#define MATCHES_KEPT ((size_t)4096)	/* room that stays between runs */

/* --- a run -------------------------------------------------------------------------- */

static bool
full(const struct run *r, size_t detector)
{
	return r->s->count[detector] >= DETECT_MATCHES_MAX;
}

void
run_match(struct run *r, size_t detector, const struct text *t, size_t from, size_t to,
    enum confidence confidence, uint64_t value)
{
	const struct detector *det = &r->d->det[detector];
	struct scratch *s = r->s;
	struct span masked = { 0 };	/* of a document its name, once the run is over */

	if (full(r, detector))
		return;
	if (det->kind != KIND_FINGERPRINTS)
		masked = evidence_mask(r->a, span_sub(t->s, from, to - from), det->mask_last);
	if (s->nmatches == s->matches_cap) {
		s->matches_cap = s->matches_cap ? s->matches_cap * 2 : 64;
		s->matches = realloc(s->matches, s->matches_cap * sizeof(*s->matches));
		ASSERT_MEMORY(s->matches);
	}
	s->matches[s->nmatches++] = (struct match){
		.detector = (uint16_t)detector,
		.surface = r->surface,
		.confidence = confidence,
		.place = evidence_place(t, from, to),
		.value = value,
		.masked = masked,
	};
	s->count[detector]++;
}

static void
undecided(struct run *r, size_t detector)
{
	r->out->undecided = true;
	if (!r->s->undecided[detector]) {
		r->s->undecided[detector] = true;
		r->out->undecided_detectors++;
	}
}

/* Characters as bytes of this surface's folded text, on the average. */
static size_t
chars_to_bytes(struct run *r, size_t chars)
{
	if (r->folded_chars == 0)
		for (size_t i = 0; i < r->folded->s.n; i++)
			r->folded_chars += ((uint8_t)r->folded->s.p[i] & 0xc0) != 0x80;
	return (size_t)((uint64_t)chars * r->folded->s.n / r->folded_chars);
}

static void
zone_put(struct run *r, size_t detector, size_t from, size_t to)
{
	size_t reach = chars_to_bytes(r, r->d->det[detector].within);
	struct zones *z = &r->s->zones[detector];

	from = from > reach ? from - reach : 0;
	to += reach;
	if (z->n && from <= z->zone[z->n - 1].to) {
		struct zone *last = &z->zone[z->n - 1];

		if (to > last->to)
			last->to = to;
		if (from < last->from)
			last->from = from;
		return;
	}
	if (z->n == z->cap) {
		z->cap = z->cap ? z->cap * 2 : 8;
		z->zone = realloc(z->zone, z->cap * sizeof(*z->zone));
		ASSERT_MEMORY(z->zone);
	}
	z->zone[z->n++] = (struct zone){ from, to };
}

/* Is [a, b) of the folded text near a keyword? */
static bool
zone_has(const struct zones *z, size_t a, size_t b)
{
	size_t lo = 0, hi;

	/* The first zone that does not end before the match. */
	for (hi = z->n; lo < hi;) {
		size_t mid = lo + (hi - lo) / 2;

		if (z->zone[mid].to < a)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < z->n && z->zone[lo].from <= b;
}

static void
word_found(struct run *r, uint32_t use, size_t from, size_t to, bool near)
{
	size_t detector = r->d->uses[use].detector;
	const struct detector *det = &r->d->det[detector];
	enum confidence c = near ? det->with_near : det->alone;

	if (det->kind == KIND_LEXICON) {
		if (near || !det->near)
			graded_term(r, use, from, to);
	} else if (!full(r, detector) && c != CONFIDENCE_NONE) {
		run_match(r, detector, r->folded, from, to, c,
		    detect_hash(r->folded->s.p + from, to - from));
	}
}

/* Words that count by what stands near have to wait until all keywords are known. */
static void
on_word(void *ctx, uint32_t word, size_t from, size_t to)
{
	struct run *r = ctx;
	const struct detectors *d = r->d;

	for (uint32_t i = d->uses_at[word]; i < d->uses_at[word + 1]; i++) {
		const struct use *u = &d->uses[i];

		if (r->only != NO_INDEX && u->detector != r->only)
			continue;
		if (u->keyword)
			zone_put(r, u->detector, from, to);
		else if (d->det[u->detector].near)
			r->again = true;
		else
			word_found(r, i, from, to, false);
	}
}

static void
on_word_again(void *ctx, uint32_t word, size_t from, size_t to)
{
	struct run *r = ctx;
	const struct detectors *d = r->d;

	for (uint32_t i = d->uses_at[word]; i < d->uses_at[word + 1]; i++) {
		const struct use *u = &d->uses[i];

		if (!u->keyword && d->det[u->detector].near &&
		    (r->only == NO_INDEX || u->detector == r->only))
			word_found(r, i, from, to, zone_has(&r->s->zones[u->detector], from, to));
	}
}

void
run_fold(struct run *r)
{
	if (r->folded)
		return;
	if (r->source) {
		r->folded = surface_folded(r->source, r->a);
		return;
	}
	text_fold(r->a, r->text, &r->folded_here);
	r->folded = &r->folded_here;
}

static void
words_walk(struct run *r)
{
	if (r->walked)
		return;
	r->walked = true;
	run_fold(r);
	words_search(r->d->words, r->folded->s, on_word, r);
	if (r->again)
		words_search(r->d->words, r->folded->s, on_word_again, r);
}

/* Is a keyword of the detector near [from, to) of the text? */
static bool
keyword_near(struct run *r, size_t detector, size_t from, size_t to)
{
	const struct zones *z = &r->s->zones[detector];

	words_walk(r);
	return z->n > 0 && zone_has(z,
	    evidence_offset(r->folded, offmap_origin(&r->text->map, from)),
	    evidence_offset(r->folded, offmap_origin(&r->text->map, to - 1) + 1));
}

/* Do its surroundings name the match: a keyword near it, or the heading of its column? What proves
 * little by itself (weak) must not be called another thing. */
static bool
is_named(struct run *r, size_t detector, size_t from, size_t to, bool weak)
{
	if (!r->d->det[detector].near)
		return false;
	if (!weak)
		return keyword_near(r, detector, from, to) ||
		    run_column(r, detector, from, to) == COLUMN_NAMED;
	switch (run_column(r, detector, from, to)) {
	case COLUMN_NAMED:
		return true;
	case COLUMN_OTHER:
		return keyword_near(r, detector, from, to) && run_row_names(r, detector, from);
	default:
		return keyword_near(r, detector, from, to) &&
		    !run_called_other(r, detector, from, to);
	}
}

static void
distinct_note(uint64_t values[SEVERAL], uint8_t *n, uint64_t v)
{
	for (size_t i = 0; i < *n; i++)
		if (values[i] == v)
			return;
	if (*n < SEVERAL)
		values[(*n)++] = v;
}

static void
on_identifier(void *ctx, int builtin, const struct identifier *id)
{
	struct run *r = ctx;
	size_t detector = r->d->detector_of[builtin];
	struct several *v = &r->s->several[detector];
	enum confidence c;
	uint64_t value;

	if (r->only != NO_INDEX && detector != r->only)
		return;
	if (id == NULL) {
		v->failed++;
		return;
	}
	if (full(r, detector))
		return;
	c = id->alone;
	if (id->with_near > c && is_named(r, detector, id->r.from, id->r.to, c < CONFIDENCE_MEDIUM)) {
		c = id->with_near;
		v->near = true;
	}
	if (c == CONFIDENCE_NONE)
		return;
	value = id->r.n ? detect_hash(id->r.c, id->r.n) :
	    detect_hash(r->text->s.p + id->r.from, id->r.to - id->r.from);
	v->found++;
	distinct_note(v->value, &v->nvalues, value);
	if (c >= CONFIDENCE_MEDIUM)
		distinct_note(v->sure, &v->nsure, value);
	run_match(r, detector, r->text, id->r.from, id->r.to, c, value);
}

static bool
on_pattern(void *ctx, size_t from, size_t to)
{
	struct run *r = ctx;
	const struct detector *det = &r->d->det[r->detector];
	enum confidence c = det->alone;

	if (det->kind == KIND_BUILTIN) {
		struct identifier id = { .r = { .from = from, .to = to } };
		enum proof proof = builtins[det->builtin]->prove(r->text->s, &id);

		if (proof != PROOF_NONE)
			on_identifier(r, det->builtin, proof == PROOF_FOUND ? &id : NULL);
		return !full(r, r->detector);
	}
	if (det->with_near != c && is_named(r, r->detector, from, to, false))
		c = det->with_near;
	if (c != CONFIDENCE_NONE)
		run_match(r, r->detector, r->text, from, to, c,
		    detect_hash(r->text->s.p + from, to - from));
	return !full(r, r->detector);
}

/* Several distinct values prove each other, unless most candidates of that shape failed
 * their checksum: then it is a list of other numbers, some of which pass by chance. */
static enum confidence
several_raise(const struct builtin *b, const struct several *v, enum confidence c)
{
	bool many = v->nvalues == SEVERAL && v->failed <= v->found / 2;
	bool many_sure = v->nsure == SEVERAL && v->failed <= v->found;

	if (c == CONFIDENCE_LOW && many && b->several > c)
		c = v->near ? CONFIDENCE_HIGH : b->several;
	else if (c == CONFIDENCE_MEDIUM && many_sure)
		c = CONFIDENCE_HIGH;
	return c;
}

static void
pattern_run(struct run *r, size_t detector)
{
	if (full(r, detector))
		return;
	r->detector = detector;
	if (!pattern_search(r->d->det[detector].pattern, r->s->pattern, r->text->s, &r->steps,
	    on_pattern, r))
		undecided(r, detector);
}

static void
patterns_run(struct run *r)
{
	const struct detectors *d = r->d;
	struct byteset bytes;

	if (d->npatterns == 0)
		return;
	if (d->prefilter)
		prefilter_search(d->prefilter, r->text->s, r->s->maybe);
	if (!d->all_prefiltered)
		byteset_of(&bytes, r->text->s);
	for (size_t i = 0; i < d->npatterns; i++)
		if (d->prefiltered[i] ? r->s->maybe[i] :
		    pattern_possible(d->det[d->patterns[i]].pattern, &bytes))
			pattern_run(r, d->patterns[i]);
}

/* Evidence names columns, never a value. */
static struct span
columns_shown(struct run *r, const struct exact_plan *p, const struct exact_found *f)
{
	const struct exact_header *h = exact_info(p->ix);
	struct span s = arena_span(r->a, h->columns[f->column].name);

	for (size_t i = 0; i < h->ncolumns; i++)
		if ((f->with >> i & 1) && i != f->column)
			s = span_str(arena_printf(r->a, SPAN_FMT "+" SPAN_FMT, SPAN_ARG(s),
			    SPAN_ARG(h->columns[i].name)));
	return s;
}

static bool
on_exact(void *ctx, const struct exact_found *f)
{
	struct run *r = ctx;
	const struct detector *det = &r->d->det[r->detector];
	uint64_t row = (uint64_t)f->row + 1;
	enum confidence c = f->full ? det->with_near : det->alone;

	if (c == CONFIDENCE_NONE)
		return true;
	if (full(r, r->detector))
		return false;
	run_match(r, r->detector, r->folded, f->from, f->to, c,
	    detect_hash((const char *)&row, sizeof(row)));
	r->s->matches[r->s->nmatches - 1].masked = columns_shown(r, det->exact, f);
	return true;
}

static void
exact_run(struct run *r, size_t detector)
{
	const struct detector *det = &r->d->det[detector];

	if (full(r, detector))
		return;
	run_fold(r);
	r->detector = detector;
	if (r->folded->s.n > 0 && !exact_search(det->exact, r->s->exact, r->folded->s,
	    chars_to_bytes(r, det->within), &r->exact_steps, on_exact, r))
		undecided(r, detector);
}

static void
surface_search(struct run *r, uint16_t number, uint32_t part, const struct text *text,
    const struct surface *source)
{
	const struct detectors *d = r->d;

	if (text->s.n == 0)
		return;
	graded_surface(r, part);
	r->surface = number;
	r->text = text;
	r->source = source && source->folded ? source : NULL;
	r->folded = NULL;
	r->walked = r->again = false;
	r->folded_chars = 0;
	tables_reset(&r->s->tables);
	r->s->names_asked = 0;
	for (size_t i = 0; i < d->n; i++)
		r->s->zones[i].n = 0;
	if (r->only == NO_INDEX) {
		if (d->nwords > 0)
			words_walk(r);
		patterns_run(r);
		identifiers_search(d->plan, text->s, on_identifier, r);
		for (size_t i = 0; i < d->nexacts; i++)
			exact_run(r, d->exacts[i]);
		if (d->nfingerprints > 0)
			graded_fingerprints(r);
		return;
	}
	if (d->det[r->only].exact)
		exact_run(r, r->only);
	if (d->det[r->only].kind == KIND_WORDS || d->det[r->only].kind == KIND_LEXICON)
		words_walk(r);
	if (d->det[r->only].kind == KIND_FINGERPRINTS)
		graded_fingerprints(r);
	if (d->det[r->only].pattern)
		pattern_run(r, r->only);
	if (d->det[r->only].kind == KIND_BUILTIN)
		identifiers_search(d->plan, text->s, on_identifier, r);
}

static int
match_order(const void *a, const void *b)
{
	const struct match *x = a, *y = b;

	if (x->surface != y->surface)
		return x->surface < y->surface ? -1 : 1;
	if (x->place.from != y->place.from)
		return x->place.from < y->place.from ? -1 : 1;
	if (x->place.to != y->place.to)
		return x->place.to < y->place.to ? -1 : 1;
	return 0;
}

/* Groups the matches by detector and puts each group in order of place. */
static void
matches_sort(struct run *r)
{
	const struct detectors *d = r->d;
	struct scratch *s = r->s;
	struct detection *out = r->out;
	uint32_t *at = arena_array(r->a, d->n + 1, sizeof(*at));
	struct match *m = arena_alloc(r->a, s->nmatches * sizeof(*m));

	out->first = arena_array(r->a, d->n + 1, sizeof(*out->first));
	for (size_t i = 0; i < d->n; i++) {
		at[i] = out->first[i];
		out->first[i + 1] = out->first[i] + s->count[i];
	}
	for (size_t i = 0; i < s->nmatches; i++)
		m[at[s->matches[i].detector]++] = s->matches[i];
	for (size_t i = 0; i < d->n; i++) {
		size_t from = out->first[i], to = out->first[i + 1];
		bool sorted = true;

		for (size_t k = from; k < to; k++) {
			if (d->det[i].kind == KIND_BUILTIN)
				m[k].confidence = several_raise(builtins[d->det[i].builtin],
				    &s->several[i], m[k].confidence);
			sorted = sorted && (k == from || match_order(&m[k - 1], &m[k]) <= 0);
		}
		if (!sorted)
			qsort(m + from, to - from, sizeof(*m), match_order);
	}
	out->matches = m;
	out->nmatches = s->nmatches;
}

static void
run_begin(struct run *r, const struct detectors *d, size_t only, struct arena *a,
    struct detection *out)
{
	struct scratch *s = d->scratch;

	ASSERT(d->compiled);
	*out = (struct detection){ 0 };
	*r = (struct run){ .d = d, .s = s, .a = a, .only = only, .steps = RUN_STEPS,
		.exact_steps = EXACT_STEPS, .out = out };
	s->nmatches = 0;
	memset(s->count, 0, d->n * sizeof(*s->count));
	memset(s->undecided, 0, d->n * sizeof(*s->undecided));
	memset(s->several, 0, d->n * sizeof(*s->several));
	graded_begin(r);
}

static void
run_end(struct run *r, const struct surface *surfaces)
{
	struct scratch *s = r->s;

	graded_end(r);
	matches_sort(r);
	detectors_rate(r->d, r->out, surfaces);
	if (r->out->undecided) {
		bool *by = arena_array(r->a, r->d->n, sizeof(*by));

		for (size_t i = 0; i < r->d->n; i++)
			by[i] = s->undecided[i];
		r->out->undecided_by = by;
	}
	if (s->matches_cap > MATCHES_KEPT) {
		free(s->matches);
		s->matches = NULL;
		s->matches_cap = 0;
	}
	s->nmatches = 0;
}

void
detectors_run(const struct detectors *d, const struct anatomy *an, struct arena *a,
    struct detection *out)
{
	struct run r;

	run_begin(&r, d, NO_INDEX, a, out);
	for (size_t i = 0; i < an->nsurfaces; i++) {
		if (i > UINT16_MAX) {
			/* Not all was looked at, by any detector. */
			for (size_t k = 0; k < d->n; k++)
				undecided(&r, k);
			break;
		}
		surface_search(&r, (uint16_t)i, an->surfaces[i].part, an->surfaces[i].text,
		    &an->surfaces[i]);
	}
	run_end(&r, an->surfaces);
}

void
detectors_run_texts(const struct detectors *d, size_t index, struct span utf8, struct arena *a,
    int64_t *steps, struct detection *out)
{
	struct text t = { .s = utf8 };
	struct run r;

	ASSERT(index < d->n);
	run_begin(&r, d, index, a, out);
	r.steps = *steps;
	surface_search(&r, 0, 0, &t, NULL);
	*steps = r.steps;
	run_end(&r, NULL);
}

void
detectors_run_text(const struct detectors *d, size_t index, struct span utf8, struct arena *a,
    struct detection *out)
{
	int64_t steps = RUN_STEPS;

	detectors_run_texts(d, index, utf8, a, &steps, out);
}
