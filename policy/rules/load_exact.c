/* load_exact.c -- detectors of exact data (`exact`): the index, its key, its columns.
 *
 * The index is asked of policy_env.read_index, proved with its key, and used where
 * it lies. What defines the detector for records is which columns it wants and
 * what is in them, not which rows the index has: an index is built every night,
 * and what it found then was found. The policy's own hash has it all.
 */
#include <string.h>

#include "detect/exact.h"
#include "load.h"

#define CHANCE_WARN 1e-4	/* of texts that look like a value, so many may be one by accident */
#define PAIRS_WARN 100.0	/* so many combinations of values for each row */

#define EXACT_WITHIN 300
#define WITHIN_MAX 100000
#define EXACT_FEW_ROWS 1000	/* too few to judge by */

struct index_used {
	struct span bytes;
	struct exact_index *ix;
	void *ctx;
	struct index_used *next;
};

void
exact_release(struct policy *p)
{
	for (struct index_used *u = p->indexes; u; u = u->next) {
		exact_close(&u->ix);
		if (p->release_index)
			p->release_index(u->ctx, u->bytes);
	}
	p->indexes = NULL;
}

/* --- files ----------------------------------------------------------------------------------- */

static bool
file_path(struct load *ld, struct conf_node *n, struct span *path)
{
	struct span s;

	if (!conf_text(ld->d, n, "file:PATH", &s))
		return false;
	if (!span_starts(s, SPAN_LIT("file:")) || s.n == 5) {
		diag_at(ld->d, DIAG_ERROR, n, NULL, "expected file:PATH");
		return false;
	}
	*path = span_from(s, 5);
	return true;
}

static void
note_files(struct load *ld, struct span index, struct span key)
{
	struct policy *p = ld->p;

	p->index_files = arena_grow(ld->a, p->index_files, p->nindex_files * sizeof(*p->index_files),
	    (p->nindex_files + 2) * sizeof(*p->index_files));
	p->index_files[p->nindex_files++] = arena_span(ld->a, index);
	p->index_files[p->nindex_files++] = arena_span(ld->a, key);
}

static struct exact_index *
open_index(struct load *ld, struct conf_node *at, struct span path, struct span key)
{
	struct policy_index in = { 0 };
	struct index_used *u;
	struct err err = { 0 };
	struct exact_index *ix;

	if (!ld->env->read_index) {
		diag_at(ld->d, DIAG_ERROR, at, NULL, "`" SPAN_FMT "` cannot be read here", SPAN_ARG(path));
		return NULL;
	}
	if (ld->env->read_index(ld->env->ctx, path, key, &in, &err) == -1) {
		explicit_bzero(in.key, sizeof(in.key));
		diag_at(ld->d, DIAG_ERROR, at, NULL, "%s", err.text[0] ? err.text : "cannot read it");
		return NULL;
	}
	ix = exact_open(in.bytes, in.header_only ? NULL : in.key, &err);
	explicit_bzero(in.key, sizeof(in.key));
	if (ix == NULL) {
		diag_at(ld->d, DIAG_ERROR, at, NULL, SPAN_FMT ": %s", SPAN_ARG(path), err.text);
		if (ld->env->release_index)
			ld->env->release_index(ld->env->ctx, in.bytes);
		return NULL;
	}
	u = arena_zalloc(ld->a, sizeof(*u));
	*u = (struct index_used){ in.bytes, ix, ld->env->ctx, ld->p->indexes };
	ld->p->indexes = u;
	ld->p->release_index = ld->env->release_index;
	load_hash(ld, exact_identity(ix));
	return ix;
}

static struct exact_index *
the_index(struct load *ld, const struct detector_src *src, struct span *key)
{
	struct span path, name;
	struct exact_index *ix;

	if (!file_path(ld, src->exact, &path))
		return NULL;
	if (src->key) {
		if (!file_path(ld, src->key, key))
			return NULL;
	} else {
		name = path;
		if (span_ends_nocase(name, SPAN_LIT(".idx")))
			name.n -= 4;
		*key = span_str(arena_printf(ld->a, SPAN_FMT ".key", SPAN_ARG(name)));
	}
	name = span_str(arena_printf(ld->tmp, SPAN_FMT "\n" SPAN_FMT, SPAN_ARG(path), SPAN_ARG(*key)));
	if ((ix = table_get(ld->indexes, name)) != NULL)
		return ix;
	load_hash(ld, name);
	if ((ix = open_index(ld, src->exact, path, *key)) == NULL)
		return NULL;
	note_files(ld, path, *key);
	table_put(ld->indexes, name, ix);
	return ix;
}

/* --- columns ------------------------------------------------------------------------------------ */

static struct span
names_of(struct load *ld, const struct exact_header *h)
{
	struct span s = { 0 };

	for (uint32_t i = 0; i < h->ncolumns; i++)
		s = text_join(ld->d->arena, s, ", ", h->columns[i].name);
	return s;
}

static bool
read_columns(struct load *ld, const struct exact_header *h, struct conf_node *n, uint16_t taken,
    uint16_t *out)
{
	const char *names[EXACT_COLUMNS + 1] = { NULL };
	struct spans v = { 0 };
	struct conf_node *at;

	for (uint32_t i = 0; i < h->ncolumns; i++)
		names[i] = arena_str(ld->d->arena, h->columns[i].name);
	if (!read_texts(ld, n, "columns", &v))
		return false;
	if (v.n == 0) {
		diag_at(ld->d, DIAG_ERROR, n, NULL, "an empty list of columns");
		return false;
	}
	at = n->kind == CONF_LIST ? n->first : n;
	for (size_t i = 0; i < v.n; i++, at = at->next) {
		uint32_t c = 0;

		while (c < h->ncolumns && !span_eq(h->columns[c].name, v.v[i]))
			c++;
		if (c == h->ncolumns) {
			const char *near = conf_nearest(v.v[i], names);

			diag_at(ld->d, DIAG_ERROR, at, near ? nearest_hint(ld, near) :
			    arena_printf(ld->d->arena, "it has " SPAN_FMT, SPAN_ARG(names_of(ld, h))),
			    "the index has no column `" SPAN_FMT "`", SPAN_ARG(v.v[i]));
			return false;
		}
		if ((taken | *out) >> c & 1) {
			diag_at(ld->d, DIAG_ERROR, at, NULL, "column `" SPAN_FMT "` stands twice",
			    SPAN_ARG(v.v[i]));
			return false;
		}
		*out |= (uint16_t)(1u << c);
	}
	return true;
}

static bool
read_plan(struct load *ld, struct conf_node *n, struct exact_plan *plan)
{
	const struct exact_header *h = exact_info(plan->ix);
	struct columns_src src = { 0 };
	struct columns_any_src any = { .min = 1 };

	if (!keys_read(ld, n, SECTION_COLUMNS, &src))
		return false;
	if (!src.require && !src.any) {
		diag_at(ld->d, DIAG_ERROR, n, arena_printf(ld->d->arena, "it has " SPAN_FMT,
		    SPAN_ARG(names_of(ld, h))), "`columns` says which are required, or any of which");
		return false;
	}
	if (src.require && !read_columns(ld, h, src.require, 0, &plan->require))
		return false;
	if (src.any) {
		if (!keys_read(ld, src.any, SECTION_COLUMNS_ANY, &any))
			return false;
		if (!any.of) {
			diag_at(ld->d, DIAG_ERROR, src.any, NULL, "`any` needs `of`: a list of columns");
			return false;
		}
		if (!read_columns(ld, h, any.of, plan->require, &plan->of))
			return false;
		if (any.min == 0 || any.min > (uint64_t)__builtin_popcount(plan->of)) {
			diag_at(ld->d, DIAG_ERROR, src.any, NULL, "`min` is %llu, of %d column%s",
			    (unsigned long long)any.min, __builtin_popcount(plan->of),
			    __builtin_popcount(plan->of) == 1 ? "" : "s");
			return false;
		}
		plan->min = (uint32_t)any.min;
	}
	if (src.within && any.within) {
		diag_at(ld->d, DIAG_ERROR, src.any, NULL, "`within` stands in `columns` already");
		return false;
	}
	if (src.within > WITHIN_MAX || any.within > WITHIN_MAX) {
		diag_at(ld->d, DIAG_ERROR, n, NULL, "`within` is at most %d characters", WITHIN_MAX);
		return false;
	}
	plan->within = (uint32_t)(src.within ? src.within : any.within ? any.within : EXACT_WITHIN);
	return true;
}

/* Alone: the required columns; near: with the others. */
static bool
read_levels(struct load *ld, struct conf_node *n, struct exact_plan *plan, enum confidence *alone,
    enum confidence *with_near)
{
	struct confidence_src src = { .alone = -1, .near = 2 };
	int i;

	if (n->kind == CONF_SCALAR) {
		if (!conf_enum(ld->d, n, confidence_names, &i))
			return false;
		*with_near = (enum confidence)(i + 1);
		return true;
	}
	if (!keys_read(ld, n, SECTION_CONFIDENCE, &src))
		return false;
	*alone = (enum confidence)(src.alone + 1);
	*with_near = (enum confidence)(src.near + 1);
	plan->partly = *alone != CONFIDENCE_NONE;
	if (plan->partly && (!plan->require || !plan->of)) {
		diag_key(ld->d, DIAG_ERROR, n, NULL, "`alone` is for the required columns without `any` of "
		    "the others; here is %s", plan->require ? "no `any`" : "no `require`");
		return false;
	}
	return true;
}

int
exact_read(struct load *ld, struct conf_node *n, struct span id, const struct detector_src *src)
{
	struct conf_node *const others[] = { src->words, src->pattern, src->lexicon, src->fingerprint,
		src->near, src->mask, src->score, src->overlap };
	struct conf_node *extra = NULL;
	enum confidence alone = CONFIDENCE_NONE, with_near = CONFIDENCE_HIGH;
	struct exact_plan plan = { 0 };
	const struct exact_header *h;
	struct err err = { 0 };
	struct span key;
	int index;

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]) && !extra; i++)
		extra = others[i];
	if (extra) {
		diag_key(ld->d, DIAG_ERROR, extra, NULL, "`" SPAN_FMT "` does not go with `exact`",
		    SPAN_ARG(extra->key));
		return -1;
	}
	if (!src->columns) {
		diag_key(ld->d, DIAG_ERROR, src->exact, "as in `columns: {require: [nir]}`",
		    "`exact` needs `columns`");
		return -1;
	}
	if ((plan.ix = the_index(ld, src, &key)) == NULL || !read_plan(ld, src->columns, &plan) ||
	    (src->confidence && !read_levels(ld, src->confidence, &plan, &alone, &with_near)))
		return -1;
	h = exact_info(plan.ix);
	for (uint32_t i = 0; i < h->ncolumns; i++)
		ld->file_hash = hash_numbers(ld->file_hash, hash_numbers(h->columns[i].type,
		    hash_spans(&h->columns[i].name, 1)));
	if (!ld->p->detectors)
		ld->p->detectors = detectors_new();
	index = detectors_add_exact(ld->p->detectors, id, &plan, alone, with_near, &err);
	if (index == -1)
		diag_at(ld->d, DIAG_ERROR, n, NULL, "%s", err.text);
	return index;
}

/* --- what finds too much ------------------------------------------------------------------------------ */

/* The required values, and the least telling of the others. */
static double
combinations(const struct exact_plan *p, const struct exact_header *h)
{
	double all = 1;
	uint16_t left = p->of;

	for (uint32_t c = 0; c < h->ncolumns; c++)
		if (p->require >> c & 1)
			all *= h->columns[c].values;
	for (uint32_t i = 0; i < p->min; i++) {
		uint32_t least = EXACT_COLUMNS;

		for (uint32_t c = 0; c < h->ncolumns; c++)
			if ((left >> c & 1) && (least == EXACT_COLUMNS ||
			    h->columns[c].values < h->columns[least].values))
				least = c;
		all *= h->columns[least].values;
		left = (uint16_t)(left & ~(1u << least));
	}
	return all;
}

/* One column that hardly two rows share tells a row, unless its numbers are so dense that others hit
 * them; two that many share tell it together. */
static bool
tells_a_row(const struct exact_plan *p, const struct exact_header *h)
{
	for (uint32_t c = 0; c < h->ncolumns; c++) {
		const struct exact_column *col = &h->columns[c];

		if ((p->require >> c & 1) && col->values >= h->rows / 2 &&
		    col->density / 1e9 <= CHANCE_WARN)
			return true;
	}
	return combinations(p, h) >= PAIRS_WARN * h->rows &&
	    __builtin_popcount(p->require) + (int)p->min > 1;
}

void
lint_exact(struct load *ld, const struct custom *u)
{
	const struct exact_plan *p = u->index < 0 ? NULL :
	    detectors_exact(ld->p->detectors, (size_t)u->index);
	const struct exact_header *h = p ? exact_info(p->ix) : NULL;

	if (p == NULL || h->rows < EXACT_FEW_ROWS || tells_a_row(p, h))
		return;
	for (uint32_t c = 0; c < h->ncolumns; c++) {
		const struct exact_column *col = &h->columns[c];

		if ((p->anchors >> c & 1) && col->density / 1e9 > CHANCE_WARN) {
			diag_at(ld->d, DIAG_WARNING, u->columns, "require another column beside it",
			    "of all numbers that look like a `" SPAN_FMT "`, %.2g %% are one: any of them in a "
			    "mail is taken for a row", SPAN_ARG(col->name), col->density / 1e7);
			return;
		}
	}
	diag_at(ld->d, DIAG_WARNING, u->columns, "require a column that tells rows apart",
	    "these columns have %.3g combinations of values for %u rows: mail that speaks of nobody "
	    "of them will be taken for it", combinations(p, h), h->rows);
}
