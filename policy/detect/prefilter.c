/* prefilter.c -- Hyperscan over all patterns at once; see prefilter.h.
 *
 * What it says must be implied by every match PCRE2 could find, so it is given
 * wider twins of the patterns, over bytes (widen.h).
 */
#include <hs.h>
#include <stdlib.h>

#include "postern/arena.h"
#include "postern/err.h"
#include "prefilter.h"
#include "widen.h"

#define FLAGS (HS_FLAG_DOTALL | HS_FLAG_ALLOWEMPTY | HS_FLAG_SINGLEMATCH)

struct prefilter {
	hs_database_t *db;
	hs_scratch_t *scratch;
	unsigned *pattern;	/* of each expression */
	unsigned n;
};

/* Compiles what is left until all of it is accepted; false: nothing is. */
static bool
compile(struct prefilter *p, const char **exprs, const unsigned *flags)
{
	while (p->n > 0) {
		unsigned ids[1], *id = p->n > 1 ? calloc(p->n, sizeof(*id)) : ids;
		hs_compile_error_t *error = NULL;
		hs_error_t r;
		unsigned bad;

		ASSERT(id != NULL);
		for (unsigned i = 0; i < p->n; i++)
			id[i] = i;
		r = hs_compile_multi(exprs, flags, id, p->n, HS_MODE_BLOCK, NULL, &p->db, &error);
		if (id != ids)
			free(id);
		if (r == HS_SUCCESS)
			return true;
		bad = error && error->expression >= 0 ? (unsigned)error->expression : p->n;
		hs_free_compile_error(error);
		if (bad >= p->n)
			return false;
		p->n--;
		for (unsigned i = bad; i < p->n; i++) {
			exprs[i] = exprs[i + 1];
			p->pattern[i] = p->pattern[i + 1];
		}
	}
	return false;
}

struct prefilter *
prefilter_new(const struct span *patterns, size_t n, bool *covered)
{
	struct arena *a = arena_new(0);
	const char **exprs = arena_array(a, n, sizeof(*exprs));
	unsigned *flags = arena_array(a, n, sizeof(*flags));
	struct prefilter *p = calloc(1, sizeof(*p));

	ASSERT(p != NULL);
	memset(covered, 0, n * sizeof(*covered));
	p->pattern = calloc(n + 1, sizeof(*p->pattern));
	ASSERT(p->pattern != NULL);
	for (size_t i = 0; i < n && hs_valid_platform() == HS_SUCCESS; i++) {
		flags[p->n] = FLAGS;
		if ((exprs[p->n] = pattern_widen(a, patterns[i])) == NULL)
			continue;
		p->pattern[p->n++] = (unsigned)i;
	}
	if (!compile(p, exprs, flags) || hs_alloc_scratch(p->db, &p->scratch) != HS_SUCCESS)
		prefilter_free(&p);
	for (unsigned i = 0; p && i < p->n; i++)
		covered[p->pattern[i]] = true;
	arena_free(&a);
	return p;
}

void
prefilter_free(struct prefilter **pp)
{
	if (*pp == NULL)
		return;
	hs_free_scratch((*pp)->scratch);
	hs_free_database((*pp)->db);
	free((*pp)->pattern);
	free(*pp);
	*pp = NULL;
}

struct seen {
	const struct prefilter *p;
	bool *maybe;
	unsigned left;
};

static int
on_match(unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *ctx)
{
	struct seen *s = ctx;

	if (s->maybe[s->p->pattern[id]])
		return 0;
	s->maybe[s->p->pattern[id]] = true;
	return --s->left == 0;
}

void
prefilter_search(const struct prefilter *p, struct span text, bool *maybe)
{
	struct seen s = { p, maybe, p->n };
	hs_error_t r;

	for (unsigned i = 0; i < p->n; i++)
		maybe[p->pattern[i]] = false;
	r = text.n > UINT32_MAX ? HS_INVALID :
	    hs_scan(p->db, text.p, (unsigned)text.n, 0, p->scratch, on_match, &s);
	/* What it could not look at may hold anything. */
	if (r != HS_SUCCESS && r != HS_SCAN_TERMINATED)
		for (unsigned i = 0; i < p->n; i++)
			maybe[p->pattern[i]] = true;
}
