/* load_detectors.c -- detectors of the policy, built-in ones, and those that
 * conditions bring along.
 *
 * Only what something asks for is put into the set, plus every custom
 * detector (its samples must be tried). A text condition is a detector without
 * a name: its id begins with a space. Equal ones are one.
 */
#include "detect/exact.h"
#include "load.h"

struct detectors *
detector_set(struct load *ld)
{
	if (!ld->p->detectors)
		ld->p->detectors = detectors_new();
	return ld->p->detectors;
}

/* What defines the detector, so that a record's findings are known to be its own. */
static void
note_hash(struct load *ld, int index, uint64_t hash)
{
	struct policy *p = ld->p;
	size_t i = (size_t)index;

	if (index < 0)
		return;
	if (i >= p->capdetector_hashes) {
		size_t cap = i < 32 ? 64 : i * 2;

		p->detector_hashes = arena_grow(ld->a, p->detector_hashes,
		    p->capdetector_hashes * sizeof(*p->detector_hashes),
		    cap * sizeof(*p->detector_hashes));
		p->capdetector_hashes = cap;
	}
	while (p->ndetector_hashes <= i)
		p->detector_hashes[p->ndetector_hashes++] = 0;
	p->detector_hashes[i] = hash;
}

static uint64_t
node_hash(const struct conf_node *n)
{
	struct span two[2] = { n->key, n->text };
	uint64_t h = hash_numbers(hash_spans(two, 2), n->kind);

	CONF_EACH (c, n)
		h = hash_numbers(h, node_hash(c));
	return h;
}

/* Without what decides nothing (samples), and what a record can be judged by anew (thresholds). */
static uint64_t
definition_hash(const struct conf_node *n)
{
	struct span two[2] = { n->key, n->text };
	uint64_t h = hash_numbers(hash_spans(two, 2), n->kind);

	CONF_EACH (c, n) {
		if (!span_is(c->key, "samples") && !span_is(c->key, "score") &&
		    !span_is(c->key, "overlap"))
			h = hash_numbers(h, node_hash(c));
	}
	return h;
}

static bool
is_builtin(struct span name)
{
	const char *b;

	for (size_t i = 0; (b = detector_builtin(i, NULL)) != NULL; i++)
		if (span_is(name, b))
			return true;
	return false;
}

static bool
read_mask(struct load *ld, struct conf_node *n, unsigned *last)
{
	struct span s;
	uint64_t v;

	if (!conf_text(ld->d, n, "mask", &s))
		return false;
	if (span_is(s, "all")) {
		*last = 0;
		return true;
	}
	if (span_starts(s, SPAN_LIT("last-")) && parse_uint(span_from(s, 5), 16, &v)) {
		*last = (unsigned)v;
		return true;
	}
	diag_at(ld->d, DIAG_ERROR, n, "as in last-4, or all", "`" SPAN_FMT "` is no mask",
	    SPAN_ARG(s));
	return false;
}

static void
read_confidence(struct load *ld, struct conf_node *n, struct detector_pattern *p)
{
	struct confidence_src src = { .alone = 1, .near = 2 };
	int i;

	if (n->kind == CONF_SCALAR) {
		if (conf_enum(ld->d, n, confidence_names, &i))
			p->alone = p->with_near = (enum confidence)(i + 1);
		return;
	}
	if (keys_read(ld, n, SECTION_CONFIDENCE, &src)) {
		p->alone = (enum confidence)(src.alone + 1);
		p->with_near = (enum confidence)(src.near + 1);
	}
}

/* In double quotes YAML makes one character of `\b` and `\f`, without a word: what was meant as
 * a word boundary would be a backspace, and match nothing. */
static bool
no_controls(struct load *ld, const struct conf_node *n, struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if ((c >= ' ' && c != 0x7f) || c == '\t' || c == '\n' || c == '\r')
			continue;
		diag_at(ld->d, DIAG_ERROR, n, "use single quotes: there `\\` is only a backslash",
		    c == '\b' ? "in double quotes `\\b` is a backspace, not the edge of a word" :
		    "a control character (0x%02x) stands here", c);
		return false;
	}
	return true;
}

static bool
words_fine(struct load *ld, struct conf_node *n, const struct spans *words)
{
	struct conf_node *at = n->kind == CONF_LIST ? n->first : n;

	if (words->n == 0) {
		diag_at(ld->d, DIAG_ERROR, n, NULL, "an empty list of words: this would never hold");
		return false;
	}
	for (size_t i = 0; i < words->n; i++, at = at->next) {
		if (!no_controls(ld, at, words->v[i]))
			return false;
		if (span_trim(words->v[i]).n == 0) {
			diag_at(ld->d, DIAG_ERROR, at, NULL, "an empty word");
			return false;
		}
	}
	return true;
}

/* w: all but the words. */
static int
add_words(struct load *ld, struct conf_node *n, struct span id, struct detector_words *w)
{
	struct spans words = { 0 };
	struct err err = { 0 };
	int index;

	if (!read_texts(ld, n, "words", &words) || !words_fine(ld, n, &words))
		return -1;
	w->words = words.v;
	w->nwords = words.n;
	index = detectors_add_listed(detector_set(ld), id, w, &err);
	if (index == -1)
		diag_at(ld->d, DIAG_ERROR, n, NULL, "%s", err.text);
	return index;
}

static int
add_pattern(struct load *ld, struct conf_node *n, struct span id, struct detector_pattern *p)
{
	struct err err = { 0 };
	struct span s;
	int index;

	if (!conf_text(ld->d, n, "a regular expression", &s))
		return -1;
	if (s.n == 0) {
		diag_at(ld->d, DIAG_ERROR, n, NULL, "an empty pattern matches everywhere");
		return -1;
	}
	if (!no_controls(ld, n, s))
		return -1;
	p->pattern = arena_span(ld->a, s);
	index = detectors_add_pattern(detector_set(ld), id, p, &err);
	if (index == -1) {
		diag_at(ld->d, DIAG_ERROR, n, n->quoted ? NULL : "put patterns in single quotes", "%s",
		    err.text);
	} else {
		struct pattern_src *src = arena_zalloc(ld->tmp, sizeof(*src));

		*src = (struct pattern_src){ n, index, ld->patterns };
		ld->patterns = src;
	}
	return index;
}

/* Which keys go with which kinds of detector. */
#define KINDS_OF_DETECTOR 4
static const char *const kind_names[KINDS_OF_DETECTOR] = { "words", "pattern", "lexicon",
	"fingerprint" };

/* The one kind, or -1 with an error. */
static int
kind_of(struct load *ld, struct conf_node *n, const struct detector_src *src, bool said)
{
	struct conf_node *const kinds[KINDS_OF_DETECTOR] = { src->words, src->pattern, src->lexicon,
		src->fingerprint };
	const struct {
		struct conf_node *node;
		unsigned kinds;		/* 1 << index in kind_names */
		const char *with;
	} keys[] = {
		{ src->near, 7, "`words`, `pattern` and `lexicon`" },
		{ src->confidence, 3, "`words` and `pattern`" },
		{ src->mask, 7, "`words`, `pattern` and `lexicon`" },
		{ src->score, 4, "`lexicon`" },
		{ src->overlap, 8, "`fingerprint`" },
	};
	int kind = -1;

	for (int i = 0; i < KINDS_OF_DETECTOR; i++) {
		if (!kinds[i])
			continue;
		if (kind >= 0) {
			diag_key(ld->d, DIAG_ERROR, kinds[i], NULL,
			    "`%s` and `%s`: a detector has one of them", kind_names[kind], kind_names[i]);
			return -1;
		}
		kind = i;
	}
	if (kind == -1) {
		if (!said)
			diag_key(ld->d, DIAG_ERROR, n, NULL, "a detector has `words`, `pattern`, "
			    "`lexicon`, `fingerprint` or `exact`");
		return -1;
	}
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (keys[i].node && !(keys[i].kinds >> kind & 1)) {
			diag_key(ld->d, DIAG_ERROR, keys[i].node, NULL, "`" SPAN_FMT "` goes with %s",
			    SPAN_ARG(keys[i].node->key), keys[i].with);
			return -1;
		}
	return kind;
}

static int
read_one(struct load *ld, struct conf_node *n, struct span id, struct custom *c)
{
	struct detector_pattern p = { .mask_last = 2 };
	struct near_src near = { .within = 60 };
	struct detector_src src = { 0 };
	struct detector_words w;
	size_t errors = ld->d->errors;
	int kind;

	if (!keys_read(ld, n, SECTION_DETECTOR, &src))
		return -1;
	c->samples = src.samples;
	c->pattern = src.pattern;
	c->columns = src.columns;
	if (src.exact)
		return exact_read(ld, n, id, &src);
	if (src.columns || src.key) {
		diag_key(ld->d, DIAG_ERROR, src.columns ? src.columns : src.key, NULL,
		    "`" SPAN_FMT "` goes with `exact`",
		    SPAN_ARG(src.columns ? src.columns->key : src.key->key));
		return -1;
	}
	if ((kind = kind_of(ld, n, &src, ld->d->errors > errors)) == -1)
		return -1;
	if (kind != 0 || src.near) {	/* words alone are sure */
		p.alone = CONFIDENCE_MEDIUM;
		p.with_near = CONFIDENCE_HIGH;
	}
	if (src.near && keys_read(ld, src.near, SECTION_NEAR, &near)) {
		if (near.words.n == 0)
			diag_at(ld->d, DIAG_ERROR, src.near, NULL, "`near` needs `words`");
		p.near = (struct detector_near){ near.words.v, near.words.n, (uint32_t)near.within };
	}
	if (src.confidence)
		read_confidence(ld, src.confidence, &p);
	if (src.mask)
		read_mask(ld, src.mask, &p.mask_last);
	if (ld->d->errors > errors)
		return -1;
	switch (kind) {
	case 0:
		w = (struct detector_words){ .near = p.near, .alone = p.alone,
			.with_near = p.with_near, .mask_last = p.mask_last };
		return add_words(ld, src.words, id, &w);
	case 1:
		return add_pattern(ld, src.pattern, id, &p);
	case 2:
		return lexicon_read(ld, n, id, &src, &p.near, p.mask_last);
	default:
		return fingerprint_read(ld, n, id, &src);
	}
}

void
detectors_read(struct load *ld, struct conf_node *n, void *obj)
{
	if (!conf_want(ld->d, n, CONF_MAP, "detectors"))
		return;
	CONF_EACH (c, n) {
		struct custom *u = arena_zalloc(ld->tmp, sizeof(*u));
		struct conf_node id = *c;

		/* the key is the id: judge it where it stands */
		id.kind = CONF_SCALAR;
		id.text = c->key;
		id.line = c->key_line;
		id.column = c->key_column;
		id.width = (uint32_t)(c->key.n ? c->key.n : 1);
		if (!read_id(ld, &id, &u->id))
			continue;
		if (span_is(u->id, "any") || span_is(u->id, "all") || span_is(u->id, "not") ||
		    span_is(u->id, "this")) {
			diag_key(ld->d, DIAG_ERROR, c, NULL, "`" SPAN_FMT "` is a word of the language",
			    SPAN_ARG(u->id));
			continue;
		}
		if (is_builtin(u->id)) {
			diag_key(ld->d, DIAG_ERROR, c, "give yours another id",
			    "`" SPAN_FMT "` is a built-in detector", SPAN_ARG(u->id));
			continue;
		}
		u->node = c;
		if (!pendings_add(ld, &ld->customs, "detector", u->id, c, u))
			continue;
		ld->file_hash = 0;
		u->index = read_one(ld, c, u->id, u);
		note_hash(ld, u->index, hash_numbers(definition_hash(c), ld->file_hash));
	}
}

#define say_name(ld, at, is_key, hint, ...) \
	((is_key) ? diag_key((ld)->d, DIAG_ERROR, at, hint, __VA_ARGS__) : \
	    diag_at((ld)->d, DIAG_ERROR, at, hint, __VA_ARGS__))

int
detector_resolve(struct load *ld, const struct conf_node *at, bool is_key, struct span name)
{
	struct custom *u = pendings_get(&ld->customs, name);
	const char *pack, **names;
	struct err err = { 0 };
	size_t n = 0;
	int index, *known;

	if (u) {
		u->used = true;
		return u->index;
	}
	known = table_get(ld->hidden, name);
	if (known)
		return *known;
	if (is_builtin(name)) {
		pack = pack_of_detector(arena_str(ld->tmp, name));
		for (size_t i = 0; i < ld->packs.n; i++)
			if (span_is(ld->packs.v[i], pack))
				goto use;
		say_name(ld, at, is_key, arena_printf(ld->d->arena, "add it: `use: [%s]`", pack),
		    "detector `" SPAN_FMT "` is in the pack %s", SPAN_ARG(name), pack);
		return -1;
use:
		index = detectors_add_builtin(detector_set(ld), name, &err);
		if (index == -1) {
			say_name(ld, at, is_key, NULL, "%s", err.text);
			return -1;
		}
		note_hash(ld, index, hash_spans(&name, 1));
		known = arena_alloc(ld->tmp, sizeof(*known));
		*known = index;
		table_put(ld->hidden, arena_span(ld->tmp, name), known);
		return index;
	}
	while (detector_builtin(n, NULL))
		n++;
	names = arena_array(ld->tmp, n + ld->customs.n + 1, sizeof(*names));
	for (size_t i = 0; i < n; i++)
		names[i] = detector_builtin(i, NULL);
	for (const struct pending *p = ld->customs.first; p; p = p->next)
		names[n++] = arena_str(ld->d->arena, p->id);
	say_name(ld, at, is_key, nearest_hint(ld, conf_nearest(name, names)),
	    "unknown detector `" SPAN_FMT "`", SPAN_ARG(name));
	return -1;
}

int
detector_hidden(struct load *ld, struct conf_node *words, struct conf_node *pattern)
{
	struct detector_pattern p = { .alone = CONFIDENCE_HIGH, .with_near = CONFIDENCE_HIGH };
	struct detector_words w = { .mask_last = 2 };
	int index = -1, *known;
	struct span id;
	struct buf key;

	buf_init(&key, 64 << 20);
	buf_puts(&key, words ? " w" : " p");
	if (words && words->kind == CONF_LIST) {
		CONF_EACH (c, words) {
			if (c->kind == CONF_SCALAR) {
				buf_printf(&key, "|%zu:", c->text.n);
				buf_span(&key, c->text);
			}
		}
	} else {
		buf_printf(&key, "|%zu:", (words ? words : pattern)->text.n);
		buf_span(&key, (words ? words : pattern)->text);
	}
	known = table_get(ld->hidden, buf_data(&key));
	if (known) {
		buf_release(&key);
		return *known;
	}
	id = span_str(arena_printf(ld->a, " %zu", table_count(ld->hidden)));
	index = words ? add_words(ld, words, id, &w) : add_pattern(ld, pattern, id, &p);
	if (index >= 0) {
		struct span text = buf_data(&key);

		note_hash(ld, index, hash_spans(&text, 1));
		known = arena_alloc(ld->tmp, sizeof(*known));
		*known = index;
		table_put(ld->hidden, arena_span(ld->tmp, text), known);
	}
	buf_release(&key);
	return index;
}

/* A single word of a lexicon is no sample of what it is for: of a sum, medium is asked. */
static bool
sample_found(const struct load *ld, const struct custom *u, const struct detection *out)
{
	for (size_t i = 0; i < out->nmatches; i++)
		if (out->matches[i].confidence >= CONFIDENCE_MEDIUM ||
		    !detectors_graded(ld->p->detectors, (size_t)u->index))
			return true;
	return false;
}

static void
try_samples(struct load *ld, const struct custom *u, struct conf_node *list, bool want)
{
	if (!list)
		return;
	for (struct conf_node *c = list->kind == CONF_LIST ? list->first : list; c;
	     c = list->kind == CONF_LIST ? c->next : NULL) {
		struct detection out = { 0 };
		struct span s, grade;
		struct arena *a;

		if (!conf_text(ld->d, c, "a text", &s))
			continue;
		a = arena_new(0);
		detectors_run_text(ld->p->detectors, (size_t)u->index, s, a, &out);
		grade = detectors_grade_text(ld->p->detectors, &out, (size_t)u->index, a);
		if (out.undecided)
			diag_at(ld->d, DIAG_ERROR, c, NULL,
			    "`" SPAN_FMT "` gives up on this sample: the pattern takes too many steps",
			    SPAN_ARG(u->id));
		else if (sample_found(ld, u, &out) != want)
			diag_at(ld->d, DIAG_ERROR, c, NULL, want ?
			    "sample fails: `" SPAN_FMT "` does not find this%s" SPAN_FMT :
			    "sample fails: `" SPAN_FMT "` finds this, and should not%s" SPAN_FMT,
			    SPAN_ARG(u->id), grade.n ? ": " : "", SPAN_ARG(grade));
		arena_free(&a);
	}
}

void
detectors_finish(struct load *ld)
{
	struct err err = { 0 };

	if (!ld->p->detectors)
		return;
	if (detectors_compile(ld->p->detectors, &err) == -1) {
		diag_at(ld->d, DIAG_ERROR, NULL, NULL, "detectors: %s", err.text);
		return;
	}
	for (struct pending *p = ld->customs.first; p; p = p->next) {
		struct custom *u = p->value;
		struct samples_src src = { 0 };

		/* of a policy of the past, whose index is not here */
		if (u->columns && u->index >= 0 && !exact_whole(detectors_exact(ld->p->detectors,
		    (size_t)u->index)->ix))
			continue;
		if (!u->samples || u->index < 0 || !keys_read(ld, u->samples, SECTION_SAMPLES, &src))
			continue;
		try_samples(ld, u, src.match, true);
		try_samples(ld, u, src.no_match, false);
	}
}
