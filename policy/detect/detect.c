/* detect.c -- the set of detectors, and a run over a message; see detect.h.
 *
 * For each surface: words and keywords in one walk over the folded text, then
 * patterns and built-ins over the text itself. Of the patterns only those run
 * that one walk for all of them (prefilter.h) cannot rule out. Keywords are kept as zones, the
 * stretches of folded text that are near one; overlapping zones are joined, so
 * their number is bounded by the text whatever stands in it. A match in the
 * text finds its place in the folded text through the bytes both were made of.
 *
 * Without detectors of words the walk over the folded text waits until a
 * match asks for its keyword: clean mail is then never folded.
 */
#include "detect.h"
#include "identifiers.h"
#include "pattern.h"
#include "prefilter.h"
#include "words.h"

#define RUN_STEPS INT64_C(400000000)	/* of all patterns' hard places in one run */
#define SEVERAL 3			/* distinct values that prove each other */
#define MASK_CHARS 64			/* shown of a longer match: its end */
#define MATCHES_KEPT ((size_t)4096)	/* room that stays between runs */
#define NO_INDEX SIZE_MAX

enum kind { KIND_WORDS, KIND_PATTERN, KIND_BUILTIN };

struct detector {
	struct span id;
	uint64_t hash;			/* of the id */
	enum kind kind;
	struct pattern *pattern;
	struct span source;		/* of the pattern */
	int builtin;
	bool near;			/* has keywords */
	uint32_t within;
	enum confidence alone, with_near;	/* KIND_PATTERN */
	unsigned mask_last;
};

struct use {				/* a word is looked for on behalf of a detector */
	uint32_t word;
	uint32_t detector;
	bool keyword;
};

struct zones {
	struct zone {
		size_t from, to;	/* in the folded text, both included */
	} *zone;
	size_t n, cap;
};

struct several {			/* what a run saw of a built-in */
	uint64_t value[SEVERAL];	/* the first distinct ones */
	uint64_t sure[SEVERAL];		/* the same of those worth medium or more */
	uint8_t nvalues, nsure;
	uint32_t found, failed;
	bool near;			/* one of them stood beside a keyword */
};

struct scratch {
	struct pattern_scratch *pattern;
	bool *maybe;			/* of each pattern: it can match in this surface */
	struct match *matches;		/* in order of discovery */
	size_t nmatches, matches_cap;
	uint32_t *count;		/* matches of each detector */
	bool *undecided;
	struct zones *zones;		/* of each detector, in this surface */
	struct several *several;
};

struct detectors {
	struct arena *arena;
	struct detector *det;
	size_t n, cap;
	struct words *words;
	struct use *uses;		/* sorted by word once compiled */
	size_t nuses, uses_cap;
	uint32_t *uses_at;		/* of word w: [uses_at[w], uses_at[w + 1]) */
	struct identifiers_plan *plan;
	uint32_t detector_of[BUILTINS_MAX];
	size_t nwords, npatterns;	/* detectors of words; with a pattern, built-ins too */
	uint32_t *patterns;		/* the detectors that are patterns */
	struct prefilter *prefilter;	/* NULL: none */
	bool *prefiltered;		/* of each pattern */
	bool all_prefiltered;
	bool compiled;
	struct scratch *scratch;
};

struct run {
	const struct detectors *d;
	struct scratch *s;
	struct arena *a;
	size_t only;			/* one detector alone, or NO_INDEX */
	uint16_t surface;
	const struct text *text;
	const struct text *folded;	/* NULL: not made yet */
	struct text folded_here;
	bool walked;			/* words were searched in this surface */
	size_t folded_chars;		/* 0: not counted */
	size_t detector;		/* whose pattern is searched */
	int64_t steps;
	struct detection *out;
};

/* FNV-1a with a last stirring: values meet only within one message. */
static uint64_t
hash_bytes(const char *p, size_t n)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < n; i++)
		h = (h ^ (uint8_t)p[i]) * UINT64_C(0x100000001b3);
	h ^= h >> 32;
	h *= UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

/* --- building the set --------------------------------------------------------------- */

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
scratch_free(struct scratch *s, size_t n)
{
	if (s == NULL)
		return;
	pattern_scratch_free(&s->pattern);
	free(s->maybe);
	for (size_t i = 0; i < n; i++)
		free(s->zones[i].zone);
	free(s->zones);
	free(s->several);
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
	scratch_free(d->scratch, d->n);
	a = d->arena;
	*dp = NULL;
	arena_free(&a);
}

int
detectors_find(const struct detectors *d, struct span id)
{
	uint64_t hash = hash_bytes(id.p, id.n);

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
		.hash = hash_bytes(id.p, id.n),
		.kind = kind,
	};
	return d->n++;
}

static void
use_put(struct detectors *d, struct span folded, size_t detector, bool keyword)
{
	if (d->nuses == d->uses_cap) {
		size_t cap = d->uses_cap ? d->uses_cap * 2 : 64;

		d->uses = arena_grow(d->arena, d->uses, d->uses_cap * sizeof(*d->uses),
		    cap * sizeof(*d->uses));
		d->uses_cap = cap;
	}
	d->uses[d->nuses++] = (struct use){ words_add(d->words, folded), (uint32_t)detector,
		keyword };
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

int
detectors_add_words(struct detectors *d, struct span id, const struct span *words, size_t n,
    struct err *err)
{
	struct span *folded;
	size_t index;

	if (id_free(d, id, err) == -1)
		return -1;
	if (n == 0)
		return err_set(err, 0, "no words");
	if ((folded = words_fold(d, words, n, err)) == NULL)
		return -1;
	index = detector_put(d, id, KIND_WORDS);
	d->det[index].mask_last = 2;
	for (size_t i = 0; i < n; i++)
		use_put(d, folded[i], index, false);
	d->nwords++;
	return (int)index;
}

int
detectors_add_pattern(struct detectors *d, struct span id, const struct detector_pattern *p,
    struct err *err)
{
	struct span *folded = NULL;
	struct pattern *pattern;
	struct detector *det;
	size_t index;

	if (id_free(d, id, err) == -1)
		return -1;
	if (p->near.nwords &&
	    (folded = words_fold(d, p->near.words, p->near.nwords, err)) == NULL)
		return -1;
	if ((pattern = pattern_new(p->pattern, err)) == NULL)
		return -1;
	index = detector_put(d, id, KIND_PATTERN);
	det = &d->det[index];
	det->pattern = pattern;
	det->source = arena_span(d->arena, p->pattern);
	det->near = p->near.nwords > 0;
	det->within = p->near.within;
	det->alone = p->alone;
	det->with_near = p->with_near ? p->with_near : CONFIDENCE_HIGH;
	/* Nothing was said: what a person wrote a pattern for is what they look for. */
	if (!det->near && det->alone == CONFIDENCE_NONE)
		det->alone = CONFIDENCE_HIGH;
	det->mask_last = p->mask_last;
	for (size_t i = 0; i < p->near.nwords; i++)
		use_put(d, folded[i], index, true);
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
		use_put(d, text_fold_word(d->arena, span_str(builtins[b]->keywords[i])), index,
		    true);
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
	return 0;
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
scratch_new(size_t n, size_t npatterns)
{
	struct scratch *s = calloc(1, sizeof(*s));

	ASSERT(s != NULL);
	s->pattern = pattern_scratch_new();
	s->maybe = calloc(npatterns + 1, sizeof(*s->maybe));
	s->count = calloc(n + 1, sizeof(*s->count));
	s->undecided = calloc(n + 1, sizeof(*s->undecided));
	s->zones = calloc(n + 1, sizeof(*s->zones));
	s->several = calloc(n + 1, sizeof(*s->several));
	ASSERT(s->maybe && s->count && s->undecided && s->zones && s->several);
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
	/* The same word twice in one list counts once. */
	for (size_t i = 0; i < d->nuses; i++)
		if (kept == 0 || use_order(&d->uses[kept - 1], &d->uses[i]) != 0)
			d->uses[kept++] = d->uses[i];
	d->nuses = kept;
	d->uses_at = arena_array(d->arena, words + 1, sizeof(*d->uses_at));
	for (size_t w = 0; w <= words; w++) {
		while (u < d->nuses && d->uses[u].word < w)
			u++;
		d->uses_at[w] = (uint32_t)u;
	}
	patterns_compile(d);
	d->scratch = scratch_new(d->n, d->npatterns);
	d->compiled = true;
	return 0;
}

/* --- places and masks --------------------------------------------------------------- */

/* The run that offset off lies in; NULL: none, the identity. */
static const struct offrun *
run_of(const struct offmap *m, size_t off)
{
	size_t lo = 0, hi = m->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (m->runs[mid].at <= off)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? &m->runs[lo - 1] : NULL;
}

/* The first offset of the text that was made from decoded offset `origin` or what follows. */
static size_t
offset_of(const struct text *t, size_t origin)
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

/* The decoded bytes behind [from, to): up to the end of what the last character was made
 * of, which may be longer than it (an HTML entity). */
static struct place
place_of(const struct text *t, size_t from, size_t to)
{
	size_t a = offmap_origin(&t->map, from), z = offmap_origin(&t->map, to - 1) + 1;
	const struct offrun *last = run_of(&t->map, to - 1);

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
	return (c.n == 1 && strchr(" \t\r\n", c.p[0]) && c.p[0]) || span_is(c, "\xc2\xa0") ||
	    span_is(c, "\xe2\x80\xaf") || span_is(c, "\xe2\x80\x89");
}

/* Bullets for all but the last characters; blanks are kept. At most half is shown. */
static struct span
mask(struct arena *a, struct span s, unsigned last)
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
		} else if (visible - shown < last && (uint8_t)c.p[0] > ' ' && c.p[0] != 0x7f && c.n <= 4) {
			memcpy(o, c.p, c.n);
			o += c.n;
		} else {
			memcpy(o, bullet, 3);
			o += 3;
		}
	}
	return (struct span){ out, (size_t)(o - out) };
}

/* --- a run -------------------------------------------------------------------------- */

static bool
full(const struct run *r, size_t detector)
{
	return r->s->count[detector] >= DETECT_MATCHES_MAX;
}

static void
match_put(struct run *r, size_t detector, const struct text *t, size_t from, size_t to,
    enum confidence confidence, uint64_t value)
{
	struct scratch *s = r->s;

	if (full(r, detector))
		return;
	if (s->nmatches == s->matches_cap) {
		s->matches_cap = s->matches_cap ? s->matches_cap * 2 : 64;
		s->matches = realloc(s->matches, s->matches_cap * sizeof(*s->matches));
		ASSERT(s->matches != NULL);
	}
	s->matches[s->nmatches++] = (struct match){
		.detector = (uint16_t)detector,
		.surface = r->surface,
		.confidence = confidence,
		.place = place_of(t, from, to),
		.value = value,
		.masked = mask(r->a, span_sub(t->s, from, to - from), r->d->det[detector].mask_last),
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
		ASSERT(z->zone != NULL);
	}
	z->zone[z->n++] = (struct zone){ from, to };
}

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
		else if (!full(r, u->detector))
			match_put(r, u->detector, r->folded, from, to, CONFIDENCE_HIGH,
			    hash_bytes(r->folded->s.p + from, to - from));
	}
}

static void
words_walk(struct run *r)
{
	if (r->walked)
		return;
	r->walked = true;
	if (r->folded == NULL) {
		text_fold(r->a, r->text, &r->folded_here);
		r->folded = &r->folded_here;
	}
	words_search(r->d->words, r->folded->s, on_word, r);
}

/* Is a keyword of the detector near [from, to) of the text? */
static bool
near_keyword(struct run *r, size_t detector, size_t from, size_t to)
{
	const struct zones *z;
	size_t lo = 0, hi, a, b;

	if (!r->d->det[detector].near)
		return false;
	words_walk(r);
	z = &r->s->zones[detector];
	if (z->n == 0)
		return false;
	a = offset_of(r->folded, offmap_origin(&r->text->map, from));
	b = offset_of(r->folded, offmap_origin(&r->text->map, to - 1) + 1);
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
	if (id->with_near > c && near_keyword(r, detector, id->r.from, id->r.to)) {
		c = id->with_near;
		v->near = true;
	}
	if (c == CONFIDENCE_NONE)
		return;
	value = id->r.n ? hash_bytes(id->r.c, id->r.n) :
	    hash_bytes(r->text->s.p + id->r.from, id->r.to - id->r.from);
	v->found++;
	distinct_note(v->value, &v->nvalues, value);
	if (c >= CONFIDENCE_MEDIUM)
		distinct_note(v->sure, &v->nsure, value);
	match_put(r, detector, r->text, id->r.from, id->r.to, c, value);
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
	if (det->with_near != c && near_keyword(r, r->detector, from, to))
		c = det->with_near;
	if (c != CONFIDENCE_NONE)
		match_put(r, r->detector, r->text, from, to, c,
		    hash_bytes(r->text->s.p + from, to - from));
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

static void
surface_search(struct run *r, uint16_t number, const struct text *text, const struct text *folded)
{
	const struct detectors *d = r->d;

	if (text->s.n == 0)
		return;
	r->surface = number;
	r->text = text;
	r->folded = folded;
	r->walked = false;
	r->folded_chars = 0;
	for (size_t i = 0; i < d->n; i++)
		r->s->zones[i].n = 0;
	if (r->only == NO_INDEX) {
		if (d->nwords > 0)
			words_walk(r);
		patterns_run(r);
		identifiers_search(d->plan, text->s, on_identifier, r);
		return;
	}
	if (d->det[r->only].kind == KIND_WORDS)
		words_walk(r);
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
	*r = (struct run){ .d = d, .s = s, .a = a, .only = only, .steps = RUN_STEPS, .out = out };
	s->nmatches = 0;
	memset(s->count, 0, d->n * sizeof(*s->count));
	memset(s->undecided, 0, d->n * sizeof(*s->undecided));
	memset(s->several, 0, d->n * sizeof(*s->several));
}

static void
run_end(struct run *r)
{
	struct scratch *s = r->s;

	matches_sort(r);
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
		surface_search(&r, (uint16_t)i, an->surfaces[i].text, an->surfaces[i].folded);
	}
	run_end(&r);
}

void
detectors_run_text(const struct detectors *d, size_t index, struct span utf8, struct arena *a,
    struct detection *out)
{
	struct text t = { .s = utf8 };
	struct run r;

	ASSERT(index < d->n);
	run_begin(&r, d, index, a, out);
	surface_search(&r, 0, &t, NULL);
	run_end(&r);
}
