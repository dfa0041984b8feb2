/* prefilter.c -- Hyperscan over all patterns at once; see prefilter.h.
 *
 * What it says must be implied by every match PCRE2 could find. Plain patterns
 * are compiled as they are; those with look-around, back-references or
 * Unicode word boundaries in Hyperscan's prefilter mode, which widens what it
 * cannot do. It knows one line end only (LF), PCRE2 here also CR and CRLF:
 * line anchors are therefore taken out of its copy of a pattern, which widens
 * it too, unless a negative look-around would turn wider into narrower.
 */
#include <hs.h>
#include <stdlib.h>

#include "postern/arena.h"
#include "postern/err.h"
#include "prefilter.h"

#define FLAGS (HS_FLAG_UTF8 | HS_FLAG_UCP | HS_FLAG_ALLOWEMPTY | HS_FLAG_SINGLEMATCH)

struct prefilter {
	hs_database_t *db;
	hs_scratch_t *scratch;
	unsigned *pattern;	/* of each expression */
	unsigned n;
};

/* A copy without `^`, `$`, `\Z`, or NULL when that could narrow it. */
static char *
without_anchors(struct arena *a, struct span s)
{
	char *out = arena_alloc(a, s.n * 4 + 1), *o = out;
	bool class = false, quoted = false, taken = false, negative = false;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i], next = i + 1 < s.n ? s.p[i + 1] : '\0';
		bool anchor = false;

		if (quoted) {
			quoted = !(c == '\\' && next == 'E');
		} else if (c == '\\') {
			quoted = next == 'Q';
			anchor = !class && next == 'Z';
			if (!anchor)
				*o++ = c;
			if (i + 1 < s.n)
				c = s.p[++i];
		} else if (class) {
			class = c != ']';
		} else if (c == '[') {
			class = true;
			*o++ = c;
			/* A bracket that comes first stands for itself. */
			if (next == '^') {
				*o++ = next;
				next = ++i + 1 < s.n ? s.p[i + 1] : '\0';
			}
			if (next != ']')
				continue;
			c = next;
			i++;
		} else if (c == '(' && next == '?') {
			negative = negative || (i + 2 < s.n && (s.p[i + 2] == '!' ||
			    (i + 3 < s.n && s.p[i + 2] == '<' && s.p[i + 3] == '!')));
		} else {
			anchor = c == '^' || c == '$';
		}
		if (anchor) {
			taken = true;
			memcpy(o, "(?:)", 4);
			o += 4;
		} else {
			*o++ = c;
		}
	}
	*o = '\0';
	return taken && negative ? NULL : out;
}

/* HS flags with which the pattern is understood, or 0. */
static unsigned
flags_for(const char *pattern)
{
	static const unsigned tries[] = { FLAGS, FLAGS | HS_FLAG_PREFILTER };

	for (size_t i = 0; i < 2; i++) {
		hs_expr_info_t *info = NULL;
		hs_compile_error_t *error = NULL;

		if (hs_expression_info(pattern, tries[i], &info, &error) == HS_SUCCESS) {
			free(info);
			return tries[i];
		}
		hs_free_compile_error(error);
	}
	return 0;
}

/* Compiles what is left until all of it is accepted; false: nothing is. */
static bool
compile(struct prefilter *p, const char **exprs, unsigned *flags)
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
		if (!(flags[bad] & HS_FLAG_PREFILTER)) {
			flags[bad] |= HS_FLAG_PREFILTER;
			continue;
		}
		p->n--;
		for (unsigned i = bad; i < p->n; i++) {
			exprs[i] = exprs[i + 1];
			flags[i] = flags[i + 1];
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
		/* Hyperscan takes C strings. */
		if (memchr(patterns[i].p, '\0', patterns[i].n))
			continue;
		exprs[p->n] = without_anchors(a, patterns[i]);
		if (exprs[p->n] == NULL || (flags[p->n] = flags_for(exprs[p->n])) == 0)
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
