/* exact_find.c -- where in a text a value of exact data may stand; see postern/exact.h.
 *
 * Texts come folded. Each finder walks the text once; from each place it
 * looks at no more than the longest value there can be, so the work is linear
 * with a constant that the column's own lengths set. Numbers are looked for as runs
 * of groups: "1 84 12 76 451 089 46" is one number of fifteen digits, and any
 * number of whole groups within it is another.
 */
#include <unicode/uchar.h>

#include "detect/exact.h"
#include "utf8.h"

#define JOINERS_MAX 3		/* between two groups, as in "12 - 34" */

#define WORK_CHARS 16		/* characters looked at once more cost a step */

static bool
worked(const struct exact_shape *shape, size_t chars)
{
	return !shape->work || (*shape->work -= (int64_t)(chars / WORK_CHARS) + 1) >= 0;
}

/* --- words ------------------------------------------------------------------------------- */

static size_t
word_char(struct span s, size_t at, size_t end)
{
	uint32_t cp;
	size_t n;

	if ((uint8_t)s.p[at] < 0x80)
		return exact_alnum(s.p[at]);
	n = utf8_next(s.p + at, end - at, &cp);
	return n && (u_isalnum((UChar32)cp) || (U_MASK(u_charType((UChar32)cp)) & U_GC_M_MASK)) ? n : 0;
}

bool
exact_word(struct span s, size_t at, size_t end, size_t *from, size_t *to)
{
	size_t n;

	while (at < end && word_char(s, at, end) == 0)
		at++;
	if (at >= end)
		return false;
	*from = at;
	while (at < end && (n = word_char(s, at, end)) > 0)
		at += n;
	*to = at;
	return true;
}

/* May what stands between two words stand within a name? Any little will do within a text. */
static bool
words_join(enum exact_type t, struct span s, size_t from, size_t to)
{
	if (to - from > JOINERS_MAX)
		return false;
	for (size_t i = from; t == EXACT_NAME && i < to; i++)
		if (!strchr(" -'.", s.p[i]) || !s.p[i])
			return false;
	return true;
}

static bool
find_words(const struct exact_shape *shape, struct span s, size_t at, size_t end,
    exact_candidate *fn, void *ctx)
{
	unsigned most = 63 - (unsigned)__builtin_clzll(shape->lengths | 1);
	size_t first, next;

	while (exact_word(s, at, end, &first, &next)) {
		struct exact_value v = { .n = 0 };
		size_t from = first, to = next, last;

		for (unsigned n = 1; n <= most; n++) {
			if (v.n + (to - from) + 1 > EXACT_VALUE_MAX)
				break;
			if (v.n)
				v.p[v.n++] = ' ';
			memcpy(v.p + v.n, s.p + from, to - from);
			v.n += to - from;
			if ((shape->lengths >> n & 1) && !fn(ctx, first, to, span_make(v.p, v.n)))
				return false;
			last = to;
			if (n == most || last >= end || !exact_word(s, last,
			    last + JOINERS_MAX + EXACT_VALUE_MAX < end ? last + JOINERS_MAX +
			    EXACT_VALUE_MAX : end, &from, &to) ||
			    !words_join(shape->type, s, last, from))
				break;
		}
		if (!worked(shape, to - first))
			return false;
		at = next;
	}
	return true;
}

/* --- numbers and codes ----------------------------------------------------------------------- */

static bool
member(enum exact_type t, char c)
{
	return exact_digit(c) || (t != EXACT_DIGITS && t != EXACT_PHONE && c >= 'a' && c <= 'z');
}

static bool
code_told(const struct exact_shape *shape, const struct exact_value *v, size_t from, size_t to,
    bool digit, exact_candidate *fn, void *ctx)
{
	struct span all = span_make(v->p, v->n);

	switch (shape->type) {
	case EXACT_PHONE:
		return v->n < EXACT_PHONE_DIGITS ||
		    fn(ctx, from, to, span_from(all, v->n - EXACT_PHONE_DIGITS));
	case EXACT_NIR:
		return (v->n != 13 && v->n != 15) || fn(ctx, from, to, span_sub(all, 0, 13));
	default:
		return !(shape->lengths >> v->n & 1) || (shape->digit && !digit) ||
		    fn(ctx, from, to, all);
	}
}

static bool
code_from(const struct exact_shape *shape, struct span s, size_t from, size_t end, size_t most,
    exact_candidate *fn, void *ctx)
{
	struct exact_value v;
	size_t at = from;
	bool digit = false;

	v.n = 0;
	for (;;) {
		size_t joined = 0;

		/* a group */
		for (; at < end && member(shape->type, s.p[at]); at++) {
			if (v.n == most)
				return true;
			digit |= exact_digit(s.p[at]);
			if (shape->type != EXACT_NIR)
				v.p[v.n++] = s.p[at];
			else if (!exact_nir_at(&v, s.p[at]))
				return true;
		}
		if (!code_told(shape, &v, from, at, digit, fn, ctx))
			return false;
		for (; at < end && joined < JOINERS_MAX && exact_joins(shape->type, s.p[at]); at++)
			joined++;
		if (joined == 0 || at >= end || !member(shape->type, s.p[at]))
			return true;
	}
}

static bool
find_codes(const struct exact_shape *shape, struct span s, size_t at, size_t end,
    exact_candidate *fn, void *ctx)
{
	bool numbers = shape->type != EXACT_CODE;
	size_t most = shape->type == EXACT_PHONE ? EXACT_PHONE_MAX : shape->type == EXACT_NIR ? 15 :
	    63 - (size_t)__builtin_clzll(shape->lengths | 1);
	bool in = at > 0 && member(shape->type, s.p[at - 1]);

	/* Of codes with a length of n, the longest is n; one that has a digit begins anywhere. */
	for (; at < end; at++) {
		bool is = numbers ? exact_digit(s.p[at]) : exact_alnum(s.p[at]);

		if (is && !in && (!code_from(shape, s, at, end, most, fn, ctx) || !worked(shape, most)))
			return false;
		in = is;
	}
	return true;
}

/* --- dates and addresses ------------------------------------------------------------------------ */

static bool
find_dates(struct span s, size_t at, size_t end, exact_candidate *fn, void *ctx)
{
	static const char firsts[] = "adfjmnos";	/* of the months' names */
	char before = at > 0 ? s.p[at - 1] : ' ';

	for (; at < end; before = s.p[at++]) {
		struct exact_date d;
		char c = s.p[at];
		size_t to;

		if (exact_digit(c) ? exact_digit(before) : exact_alnum(before) ||
		    c < 'a' || c > 's' || !memchr(firsts, c, sizeof(firsts) - 1))
			continue;
		if ((to = exact_date_at(s, at, end, &d)) == 0)
			continue;
		for (unsigned i = 0; i < d.n; i++)
			if (!fn(ctx, at, to, span_make(d.v[i], 8)))
				return false;
	}
	return true;
}

bool
exact_address_char(char c, bool domain)
{
	if (exact_alnum(c) || c == '-' || c == '.' || (uint8_t)c >= 0x80)
		return true;
	return !domain && c && strchr("!#$%&'*+/=?^_`{|}~", c);
}

void
exact_address_trim(struct span s, size_t *from, size_t sign, size_t *to)
{
	while (*to > sign + 1 && (s.p[*to - 1] == '.' || s.p[*to - 1] == '-'))
		(*to)--;
	while (*from < sign && (s.p[*from] == '.' || s.p[*from] == '\''))
		(*from)++;
}

static bool
find_addresses(struct span s, size_t at, size_t end, exact_candidate *fn, void *ctx)
{
	while (at < end) {
		const char *p = memchr(s.p + at, '@', end - at);
		size_t sign, from, to;

		if (p == NULL)
			return true;
		sign = (size_t)(p - s.p);
		for (from = sign; from > 0 && sign - from < EXACT_LOCAL_MAX &&
		    exact_address_char(s.p[from - 1], false);)
			from--;
		for (to = sign + 1; to < s.n && to - sign <= EXACT_DOMAIN_MAX &&
		    exact_address_char(s.p[to], true);)
			to++;
		exact_address_trim(s, &from, sign, &to);
		if (from < sign && to > sign + 1 && !fn(ctx, from, to, span_sub(s, from, to - from)))
			return false;
		at = sign + 1;
	}
	return true;
}

bool
exact_find(const struct exact_shape *shape, struct span text, size_t from, size_t to,
    exact_candidate *fn, void *ctx)
{
	if (to > text.n)
		to = text.n;
	if (from >= to)
		return true;
	switch (shape->type) {
	case EXACT_DIGITS: case EXACT_CODE: case EXACT_NIR: case EXACT_PHONE:
		return find_codes(shape, text, from, to, fn, ctx);
	case EXACT_NAME: case EXACT_TEXT:
		return find_words(shape, text, from, to, fn, ctx);
	case EXACT_DATE: case EXACT_DATE_MDY:
		return find_dates(text, from, to, fn, ctx);
	case EXACT_EMAIL:
		return find_addresses(text, from, to, fn, ctx);
	case EXACT_TYPE_COUNT:
		break;
	}
	return true;
}
