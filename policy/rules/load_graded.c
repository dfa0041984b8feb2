/* load_graded.c -- detectors whose confidence is a sum against thresholds: weighted
 * lexicons and fingerprints of documents.
 *
 * Thresholds are no part of what defines such a detector: a record holds the
 * sums, so that others can be tried on past messages (detectors_rate).
 */
#include "detect/lexicon.h"
#include "load.h"

/* --- thresholds -------------------------------------------------------------------------- */

static bool
read_score(struct load *ld, struct conf_node *n, uint64_t *out)
{
	struct span s;

	if (!conf_text(ld->d, n, "a score", &s))
		return false;
	if (lexicon_number(s, 1000000000, out) && *out > 0)
		return true;
	diag_at(ld->d, DIAG_ERROR, n, "a number above 0, as 15 or 7.5", "`" SPAN_FMT "` is no score",
	    SPAN_ARG(s));
	return false;
}

static bool
read_share(struct load *ld, struct conf_node *n, uint64_t *out)
{
	struct span s, number;

	if (!conf_text(ld->d, n, "a share", &s))
		return false;
	number = s.n && s.p[s.n - 1] == '%' ? span_trim(span_sub(s, 0, s.n - 1)) : s;
	if (lexicon_number(number, 1000000, out)) {
		*out = *out * OVERLAP_UNIT / LEXICON_UNIT;
		if (*out > 0 && *out <= 100 * OVERLAP_UNIT)
			return true;
	}
	diag_at(ld->d, DIAG_ERROR, n, "more than 0%, at most 100%, as in 30%",
	    "`" SPAN_FMT "` is no share of a document", SPAN_ARG(s));
	return false;
}

/* Both absent: the caller's matter. */
static bool
read_levels(struct load *ld, const struct levels_src *src,
    bool (*read)(struct load *ld, struct conf_node *n, uint64_t *out), uint64_t *medium, uint64_t *high)
{
	if (src->medium && !read(ld, src->medium, medium))
		return false;
	if (src->high && !read(ld, src->high, high))
		return false;
	if (src->medium && src->high && *high < *medium) {
		diag_at(ld->d, DIAG_ERROR, src->high, NULL, "`high` is below `medium`");
		return false;
	}
	return true;
}

/* --- lexicons ------------------------------------------------------------------------------- */

static const char nothing_left[] = "a word without a letter, digit or sign that shows";

struct lines {			/* of a file being read */
	struct load *ld;
	struct conf_file *file;
	bool bad;
};

static bool
bad_line(void *ctx, uint32_t line, uint32_t column, uint32_t width, const char *hint, const char *text)
{
	struct lines *l = ctx;

	diag_place(l->ld->d, DIAG_ERROR, l->file, line, column, width, hint, "%s", text);
	l->bad = true;
	return l->ld->d->errors <= DIAGS_MAX;
}

static void
no_effect(struct load *ld, const struct conf_file *file, const struct lexicon *x)
{
	const struct lexicon_term *first = NULL;
	size_t n = 0;

	for (size_t i = 0; i < x->n; i++)
		if (x->terms[i].weight == 0 && n++ == 0)
			first = &x->terms[i];
	if (n == 0)
		return;
	diag_place(ld->d, DIAG_WARNING, file, first->line, 1, 1, NULL,
	    n == 1 ? "weight 0: this word has no effect" :
	    "weight 0: this word has no effect, nor has %zu more", n - 1);
}

/* What folding leaves nothing of (a zero-width sign) would never be found. */
static bool
left_of(struct load *ld, struct span word)
{
	return text_fold_word(ld->tmp, word).n > 0;
}

static bool
terms_of_file(struct load *ld, struct conf_node *n, struct detector_lexicon *out)
{
	struct lines l = { .ld = ld };
	struct detector_term *terms;
	struct lexicon x;
	struct span path;

	if (!span_starts(n->text, SPAN_LIT("file:"))) {
		diag_at(ld->d, DIAG_ERROR, n, "as in \"file:lists/medical.txt\", or {word: weight}",
		    "a lexicon is a file, or a map of words and weights");
		return false;
	}
	path = span_from(n->text, 5);
	l.file = arena_zalloc(ld->d->arena, sizeof(*l.file));
	l.file->name = arena_str(ld->d->arena, path);
	if (!load_file(ld, n, path, &l.file->text))
		return false;
	lexicon_parse(ld->tmp, l.file->text, bad_line, &l, &x);
	terms = arena_array(ld->tmp, x.n, sizeof(*terms));
	for (size_t i = 0; i < x.n; i++) {
		terms[i] = (struct detector_term){ x.terms[i].word, x.terms[i].weight };
		if (!left_of(ld, terms[i].word) &&
		    !bad_line(&l, x.terms[i].line, 1, (uint32_t)terms[i].word.n, NULL, nothing_left))
			break;
	}
	if (l.bad)
		return false;
	no_effect(ld, l.file, &x);
	out->terms = terms;
	out->nterms = x.n;
	return true;
}

static bool
terms_inline(struct load *ld, struct conf_node *n, struct detector_lexicon *out)
{
	struct detector_term *terms = arena_array(ld->tmp, n->count, sizeof(*terms));
	bool fine = true;
	uint64_t w;

	CONF_EACH (c, n) {
		struct span s;

		if (!conf_text(ld->d, c, "a weight", &s)) {
			fine = false;
		} else if (!lexicon_number(s, LEXICON_WEIGHT_MAX, &w)) {
			diag_at(ld->d, DIAG_ERROR, c, "a number from 0 to 1000, as 3 or 2.5",
			    "`" SPAN_FMT "` is no weight", SPAN_ARG(s));
			fine = false;
		} else if (!left_of(ld, c->key)) {
			diag_key(ld->d, DIAG_ERROR, c, NULL, "%s", nothing_left);
			fine = false;
		} else {
			if (w == 0)
				diag_key(ld->d, DIAG_WARNING, c, NULL,
				    "weight 0: this word has no effect");
			terms[out->nterms++] = (struct detector_term){ c->key, (uint32_t)w };
		}
	}
	out->terms = terms;
	return fine;
}

int
lexicon_read(struct load *ld, struct conf_node *n, struct span id, const struct detector_src *src,
    const struct detector_near *near, unsigned mask_last)
{
	struct detector_lexicon l = { .near = *near, .mask_last = mask_last };
	struct score_src score = { .distinct = 1 };
	struct err err = { 0 };
	size_t errors = ld->d->errors;
	int index;

	if (!src->score)
		diag_key(ld->d, DIAG_ERROR, src->lexicon, "as in score: {medium: 15, high: 30}",
		    "a lexicon needs `score`");
	else if (keys_read(ld, src->score, SECTION_SCORE, &score) && ld->d->errors == errors &&
	    read_levels(ld, &score.levels, read_score, &l.medium, &l.high) && !l.medium && !l.high)
		diag_at(ld->d, DIAG_ERROR, src->score, NULL,
		    "`score` needs `medium` or `high`: else nothing is ever more than low");
	l.distinct = (uint32_t)score.distinct;
	if (src->lexicon->kind == CONF_MAP)
		terms_inline(ld, src->lexicon, &l);
	else if (conf_want(ld->d, src->lexicon, CONF_SCALAR, "a file, or a map of words and weights"))
		terms_of_file(ld, src->lexicon, &l);
	if (ld->d->errors > errors)
		return -1;
	index = detectors_add_lexicon(detector_set(ld), id, &l, &err);
	if (index == -1)
		diag_at(ld->d, DIAG_ERROR, src->lexicon, NULL, "%s", err.text);
	return index;
}

/* --- fingerprints ------------------------------------------------------------------------------- */

int
fingerprint_read(struct load *ld, struct conf_node *n, struct span id, const struct detector_src *src)
{
	struct detector_fingerprints f = { .medium = 30 * OVERLAP_UNIT, .high = 60 * OVERLAP_UNIT };
	struct levels_src levels = { 0 };
	struct err err = { 0 };
	size_t errors = ld->d->errors;
	struct span dir, path;
	int index;

	if (!conf_text(ld->d, src->fingerprint, "a folder", &dir))
		return -1;
	if (!span_starts(dir, SPAN_LIT("dir:"))) {
		diag_at(ld->d, DIAG_ERROR, src->fingerprint, "as in \"dir:fingerprints/board\"",
		    "fingerprints lie in a folder");
		return -1;
	}
	dir = span_from(dir, 4);
	while (dir.n > 1 && dir.p[dir.n - 1] == '/')
		dir.n--;
	if (src->overlap && keys_read(ld, src->overlap, SECTION_OVERLAP, &levels)) {
		if (levels.medium || levels.high)
			f.medium = f.high = 0;
		else
			diag_at(ld->d, DIAG_ERROR, src->overlap, NULL,
			    "`overlap` needs `medium` or `high`");
		read_levels(ld, &levels, read_share, &f.medium, &f.high);
	}
	path = span_str(arena_printf(ld->a, SPAN_FMT "/" FINGERPRINT_FILE, SPAN_ARG(dir)));
	if (!load_file_or(ld, src->fingerprint, path,
	    "`postern fingerprint add` makes it from documents", &f.index) || ld->d->errors > errors)
		return -1;
	index = detectors_add_fingerprints(detector_set(ld), id, &f, &err);
	if (index == -1)
		diag_at(ld->d, DIAG_ERROR, src->fingerprint, "make it anew with `postern fingerprint add`",
		    SPAN_FMT ": %s", SPAN_ARG(path), err.text);
	return index;
}

/* --- lint ------------------------------------------------------------------------------------------ */

static const char *
score_text(struct load *ld, uint64_t v)
{
	return v % LEXICON_UNIT ? arena_printf(ld->tmp, "%.2f", (double)v / LEXICON_UNIT) :
	    arena_printf(ld->tmp, "%llu", (unsigned long long)(v / LEXICON_UNIT));
}

void
lint_graded(struct load *ld, const struct custom *u)
{
	uint64_t least;
	struct grade_reach r;

	if (u->index < 0 || !detectors_reach(ld->p->detectors, (size_t)u->index, &r))
		return;
	least = r.medium && (r.medium < r.high || !r.high) ? r.medium : r.high;
	if (r.things == 0)
		diag_key(ld->d, DIAG_WARNING, u->node, NULL, r.documents ?
		    "detector `" SPAN_FMT "` finds nothing: its index has no document that counts" :
		    "detector `" SPAN_FMT "` finds nothing: its lexicon has no words", SPAN_ARG(u->id));
	else if (!r.documents && r.distinct > r.things)
		diag_key(ld->d, DIAG_WARNING, u->node, NULL,
		    "detector `" SPAN_FMT "` is never more than low: it wants %u different words, and has %zu",
		    SPAN_ARG(u->id), r.distinct, r.things);
	else if (!r.documents && least > r.amount)
		diag_key(ld->d, DIAG_WARNING, u->node, NULL,
		    "detector `" SPAN_FMT "` is never more than low: all its words together score %s, and %s is asked",
		    SPAN_ARG(u->id), score_text(ld, r.amount), score_text(ld, least));
	else if (!r.documents && r.high > r.amount)
		diag_key(ld->d, DIAG_WARNING, u->node, NULL,
		    "detector `" SPAN_FMT "` is never high: all its words together score %s, and %s is asked",
		    SPAN_ARG(u->id), score_text(ld, r.amount), score_text(ld, r.high));
}
