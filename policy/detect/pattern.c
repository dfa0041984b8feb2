/* pattern.c -- PCRE2 with JIT and a bound on its effort; see pattern.h.
 *
 * PCRE2's match limit counts anew at each starting place, so on a long text a
 * limit that is fair to one place allows the whole search to be quadratic
 * (`[a-z]+\d` on a megabyte of letters). The search therefore goes in windows
 * of starting places with rising limits: wide windows with a low limit, which
 * is all that ordinary text needs; where that is not enough, narrower ones
 * with a higher limit, each charged at its worst case to a budget. The total is
 * bounded by LEVELS[0].steps for each byte plus the budget. No clock is read.
 *
 * Automatic possessification is off: a possessive loop is not counted by the
 * match limit, however far it runs.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "pattern.h"

#define JIT_STACK_MIN (32 * 1024)
#define JIT_STACK_MAX (1024 * 1024)
#define HEAP_KIB_MAX (16 * 1024)

struct pattern {
	pcre2_code *code;
	bool first[256];	/* bytes a match can begin with */
	bool any_first;		/* PCRE2 knows nothing of them */
	int required;		/* a byte in every match, in lower case, or -1 */
};

struct pattern_scratch {
	pcre2_match_data *data;
	pcre2_match_context *context;
	pcre2_jit_stack *stack;
};

static const struct level {
	uint32_t starts;	/* places of one window */
	uint32_t steps;		/* at each of them */
} levels[] = {
	{ 8192, 64 },
	{ 256, 512 },
	{ 32, 4096 },
	{ 4, 32768 },
	{ 1, PATTERN_STEPS_START },
};
#define NLEVELS (sizeof(levels) / sizeof(*levels))

/* In lower case; -1 when another byte than its two cases could stand for it. */
static int
required_byte(uint32_t unit)
{
	char c = ascii_lower((char)unit);

	/* U+017F and U+212A are s and k to a caseless match. */
	return unit >= 0x80 || c == 's' || c == 'k' ? -1 : c;
}

static bool
byte_in(const struct byteset *b, int c)
{
	return b->has[c] || (c >= 'a' && c <= 'z' && b->has[c - 32]);
}

static void
first_learn(struct pattern *p)
{
	uint32_t type, unit;
	const uint8_t *map = NULL;

	p->required = -1;
	p->any_first = true;
	pcre2_pattern_info(p->code, PCRE2_INFO_FIRSTCODETYPE, &type);
	pcre2_pattern_info(p->code, PCRE2_INFO_FIRSTBITMAP, &map);
	if (map) {
		p->any_first = false;
		for (int i = 0; i < 256; i++)
			p->first[i] = map[i / 8] >> (i % 8) & 1;
	} else if (type == 1) {
		/* The unit stands for both cases when the match is caseless; both are let in. */
		p->any_first = false;
		pcre2_pattern_info(p->code, PCRE2_INFO_FIRSTCODEUNIT, &unit);
		for (int i = 0; i < 256; i++)
			p->first[i] = unit >= 0x80 ? i >= 0x80 :
			    ascii_lower((char)i) == ascii_lower((char)unit);
		/* U+017F and U+212A are s and k to a caseless match. */
		p->first[0xc5] = p->first[0xe2] = true;
	}
	pcre2_pattern_info(p->code, PCRE2_INFO_LASTCODETYPE, &type);
	if (type == 1) {
		pcre2_pattern_info(p->code, PCRE2_INFO_LASTCODEUNIT, &unit);
		p->required = required_byte(unit);
	}
}

struct pattern *
pattern_new(struct span source, struct err *err)
{
	pcre2_compile_context *cc;
	struct pattern *p;
	PCRE2_SIZE at = 0;
	int code = 0;

	if (source.n == 0) {
		err_set(err, 0, "the pattern is empty");
		return NULL;
	}
	if (source.n > PATTERN_BYTES_MAX) {
		err_set(err, 0, "the pattern is longer than %d bytes", PATTERN_BYTES_MAX);
		return NULL;
	}
	ASSERT((cc = pcre2_compile_context_create(NULL)) != NULL);
	pcre2_set_newline(cc, PCRE2_NEWLINE_ANYCRLF);
	pcre2_set_parens_nest_limit(cc, 100);
	p = calloc(1, sizeof(*p));
	ASSERT(p != NULL);
	p->code = pcre2_compile((PCRE2_SPTR)source.p, source.n,
	    PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C | PCRE2_NO_AUTO_POSSESS |
	    PCRE2_USE_OFFSET_LIMIT, &code, &at, cc);
	pcre2_compile_context_free(cc);
	if (p->code == NULL) {
		PCRE2_UCHAR said[200];

		pcre2_get_error_message(code, said, sizeof(said));
		err_set(err, 0, "%s, at offset %zu", (const char *)said, (size_t)at);
		free(p);
		return NULL;
	}
	/* Without executable memory PCRE2 interprets: slower, same limits. */
	(void)pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE);
	first_learn(p);
	return p;
}

void
pattern_free(struct pattern **pp)
{
	if (*pp == NULL)
		return;
	pcre2_code_free((*pp)->code);
	free(*pp);
	*pp = NULL;
}

struct pattern_scratch *
pattern_scratch_new(void)
{
	struct pattern_scratch *s = calloc(1, sizeof(*s));

	ASSERT(s != NULL);
	/* The whole match is all that is asked for; groups are not. */
	s->data = pcre2_match_data_create(1, NULL);
	s->context = pcre2_match_context_create(NULL);
	ASSERT(s->data != NULL && s->context != NULL);
	pcre2_set_heap_limit(s->context, HEAP_KIB_MAX);
	s->stack = pcre2_jit_stack_create(JIT_STACK_MIN, JIT_STACK_MAX, NULL);
	if (s->stack)
		pcre2_jit_stack_assign(s->context, NULL, s->stack);
	return s;
}

void
pattern_scratch_free(struct pattern_scratch **sp)
{
	if (*sp == NULL)
		return;
	pcre2_match_data_free((*sp)->data);
	pcre2_match_context_free((*sp)->context);
	if ((*sp)->stack)
		pcre2_jit_stack_free((*sp)->stack);
	free(*sp);
	*sp = NULL;
}

void
byteset_of(struct byteset *b, struct span text)
{
	memset(b, 0, sizeof(*b));
	for (size_t i = 0; i < text.n; i++)
		b->has[(uint8_t)text.p[i]] = true;
}

bool
pattern_possible(const struct pattern *p, const struct byteset *b)
{
	bool any = p->any_first;

	if (p->required >= 0 && !byte_in(b, p->required))
		return false;
	for (int i = 0; i < 256 && !any; i++)
		any = p->first[i] && b->has[i];
	return any;
}

enum place_result { PLACE_NONE, PLACE_FOUND, PLACE_HARD };

/* Looks for a match that begins in [at, at + starts). */
static enum place_result
window(const struct pattern *p, struct pattern_scratch *s, struct span text, size_t at,
    const struct level *l)
{
	int r;

	pcre2_set_match_limit(s->context, l->steps);
	pcre2_set_offset_limit(s->context, at + l->starts - 1);
	r = pcre2_match(p->code, (PCRE2_SPTR)text.p, text.n, at,
	    PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, s->data, s->context);
	if (r >= 0)
		return PLACE_FOUND;
	return r == PCRE2_ERROR_NOMATCH ? PLACE_NONE : PLACE_HARD;
}

static size_t
next_char(struct span text, size_t at)
{
	while (at < text.n && ((uint8_t)text.p[at] & 0xc0) == 0x80)
		at++;
	return at;
}

bool
pattern_search(const struct pattern *p, struct pattern_scratch *s, struct span text,
    int64_t *steps, pattern_hit *hit, void *ctx)
{
	size_t at = 0, level = 0, end[NLEVELS] = { 0 };
	int64_t left = PATTERN_STEPS_TEXT;

	while (at < text.n) {
		const struct level *l = &levels[level];

		if (level > 0) {
			int64_t worst = (int64_t)l->starts * l->steps;

			if (left < worst || *steps < worst)
				return false;
			left -= worst;
			*steps -= worst;
		}
		switch (window(p, s, text, at, l)) {
		case PLACE_FOUND: {
			const PCRE2_SIZE *o = pcre2_get_ovector_pointer(s->data);
			size_t from = o[0], to = o[1];

			/* \K in a look-around can turn a match inside out. */
			if (from > to || to > text.n || to <= at) {
				at = next_char(text, at + 1);
				break;
			}
			if (!hit(ctx, from, to))
				return true;
			at = to;
			level = 0;
			break;
		}
		case PLACE_NONE:
			at = next_char(text, at + l->starts);
			while (level > 0 && at >= end[level])
				level--;
			break;
		case PLACE_HARD:
			if (level + 1 == NLEVELS)
				return false;
			/* Back to the lower limit behind the window that was too hard for it. */
			end[++level] = at + l->starts;
			break;
		}
	}
	return true;
}
