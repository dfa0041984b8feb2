/* exact_date.c -- dates as people write them in English and French; see exact.h.
 *
 * 07/12/1984, 7.12.84, 1984-12-07, 19841207, 07121984, 7 décembre 1984, 1er janv. 1984,
 * December 7th, 1984, 7 Dec 1984, 07-DEC-1984. What is ambiguous has several values: 03/04
 * is 3 April and March 4, and a year of two digits is of this century and of the last.
 */
#include "detect/exact.h"

#define YEAR_MIN 1800
#define YEAR_MAX 2199

static const char *const months[][8] = {
	{ "january", "janvier", "janv", "jan" }, { "february", "fevrier", "fevr", "feb", "fev" },
	{ "march", "mars", "mar" }, { "april", "avril", "apr", "avr" }, { "may", "mai" },
	{ "june", "juin", "jun" }, { "july", "juillet", "juil", "jul" }, { "august", "aout", "aug" },
	{ "september", "septembre", "sept", "sep" }, { "october", "octobre", "oct" },
	{ "november", "novembre", "nov" }, { "december", "decembre", "dec" },
};

static bool
letter(char c)
{
	return c >= 'a' && c <= 'z';
}

/* At most max digits at s[at]; how many, and their number. */
static size_t
number(struct span s, size_t at, size_t end, size_t max, unsigned *v)
{
	size_t n = 0;

	*v = 0;
	while (at + n < end && n < max && exact_digit(s.p[at + n]))
		*v = *v * 10 + (unsigned)(s.p[at + n++] - '0');
	return n;
}

static bool
day_exists(unsigned y, unsigned m, unsigned d)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);

	return y >= YEAR_MIN && y <= YEAR_MAX && m >= 1 && m <= 12 && d >= 1 &&
	    d <= days[m - 1] + (unsigned)(m == 2 && leap);
}

enum order { DAY_FIRST = 1, MONTH_FIRST = 2, PLAIN = 3 };

static void
date_put(struct exact_date *out, unsigned y, unsigned m, unsigned d, enum order order)
{
	unsigned v = y * 10000 + m * 100 + d, i;
	char text[8];

	if (!day_exists(y, m, d))
		return;
	for (size_t k = 8; k-- > 0; v /= 10)
		text[k] = (char)('0' + v % 10);
	for (i = 0; i < out->n && memcmp(out->v[i], text, 8) != 0; i++)
		;
	if (i == out->n)
		memcpy(out->v[out->n++], text, 8);
	out->day_first |= (unsigned)(order & DAY_FIRST) << i;
	out->month_first |= (unsigned)((order & MONTH_FIRST) >> 1) << i;
}

/* Both readings of day and month where they are in doubt. */
static void
date_year(struct exact_date *out, unsigned year, size_t digits, unsigned a, unsigned b, bool turn)
{
	unsigned y = digits == 2 ? 1900 + year : year;

	out->century_missing = digits == 2;
	for (unsigned last = digits == 2 ? y + 100 : y; y <= last; y += 100) {
		date_put(out, y, b, a, turn ? DAY_FIRST : PLAIN);
		if (turn)
			date_put(out, y, a, b, MONTH_FIRST);
	}
}

/* A month's name at s[at]: its end, or 0. */
static size_t
month_at(struct span s, size_t at, size_t end, unsigned *month)
{
	size_t n = 0;

	while (at + n < end && n < 12 && letter(s.p[at + n]))
		n++;
	if (n < 3 || n > 9)
		return 0;
	for (unsigned m = 0; m < 12; m++)
		for (size_t i = 0; months[m][i]; i++)
			if (span_is(span_sub(s, at, n), months[m][i])) {
				*month = m + 1;
				at += n;
				return at < end && s.p[at] == '.' ? at + 1 : at;
			}
	return 0;
}

static size_t
skip(struct span s, size_t at, size_t end, const char *chars)
{
	size_t n = 0;

	while (at < end && n++ < 3 && s.p[at] && strchr(chars, s.p[at]))
		at++;
	return at;
}

static size_t
skip_word(struct span s, size_t at, size_t end, const char *const *list)
{
	for (; *list; list++) {
		size_t n = strlen(*list);

		if (end - at >= n && memcmp(s.p + at, *list, n) == 0 &&
		    (at + n == end || !letter(s.p[at + n])))
			return at + n;
	}
	return at;
}

static const char *const ordinals[] = { "er", "st", "nd", "rd", "th", "e", NULL };
static const char *const fillers[] = { "of", "de", "the", NULL };

/* "7 décembre 1984": behind the day. */
static size_t
named_month(struct span s, size_t at, size_t end, unsigned day, struct exact_date *out)
{
	unsigned m, y;
	size_t n;

	at = skip_word(s, at, end, ordinals);
	at = skip(s, at, end, " .-/");
	at = skip_word(s, at, end, fillers);
	at = skip(s, at, end, " ");
	if ((at = month_at(s, at, end, &m)) == 0)
		return 0;
	at = skip(s, at, end, " ,-/");
	at = skip_word(s, at, end, fillers);
	at = skip(s, at, end, " ");
	n = number(s, at, end, 5, &y);
	if (n != 4 && n != 2)
		return 0;
	date_year(out, y, n, day, m, false);
	return at + n;
}

/* "December 7th, 1984" */
static size_t
month_first(struct span s, size_t at, size_t end, struct exact_date *out)
{
	unsigned m, d, y;
	size_t n;

	if ((at = month_at(s, at, end, &m)) == 0)
		return 0;
	at = skip(s, at, end, " ");
	at = skip_word(s, at, end, fillers);
	at = skip(s, at, end, " ");
	n = number(s, at, end, 3, &d);
	if (n != 1 && n != 2)
		return 0;
	at = skip_word(s, at + n, end, ordinals);
	at = skip(s, at, end, " ,");
	n = number(s, at, end, 5, &y);
	if (n != 4)
		return 0;
	date_year(out, y, n, d, m, false);
	return at + n;
}

/* Eight digits in one piece. */
static size_t
in_one(struct span s, size_t at, unsigned v, struct exact_date *out)
{
	date_put(out, v / 10000, v / 100 % 100, v % 100, PLAIN);
	date_year(out, v % 10000, 4, v / 1000000, v / 10000 % 100, true);
	return at + 8;
}

static size_t
separated(struct span s, size_t at, size_t end, size_t first, unsigned a, struct exact_date *out)
{
	unsigned b, c;
	char sep = s.p[at];
	size_t n;

	at = skip(s, at, end, " ");
	if (at < end && (s.p[at] == '/' || s.p[at] == '-' || s.p[at] == '.'))
		sep = s.p[at++];
	at = skip(s, at, end, " ");
	n = number(s, at, end, 3, &b);
	if (n != 1 && n != 2)
		return 0;
	at = skip(s, at + n, end, " ");
	if (sep != ' ') {
		if (at == end || s.p[at] != sep)
			return 0;
		at = skip(s, at + 1, end, " ");
	}
	n = number(s, at, end, 5, &c);
	if (first == 4) {
		if (n != 1 && n != 2)
			return 0;
		date_put(out, a, b, c, PLAIN);
	} else {
		if (n != 4 && n != 2)
			return 0;
		date_year(out, c, n, a, b, true);
	}
	return at + n;
}

size_t
exact_date_at(struct span s, size_t at, size_t end, struct exact_date *out)
{
	size_t n, to = 0;
	unsigned a;

	*out = (struct exact_date){ .n = 0 };
	if (at >= end)
		return 0;
	if (letter(s.p[at])) {
		to = month_first(s, at, end, out);
		return out->n ? to : 0;
	}
	n = number(s, at, end, 9, &a);
	if (n == 8)
		to = in_one(s, at, a, out);
	else if ((n == 1 || n == 2 || n == 4) && at + n < end) {
		if (n <= 2)
			to = named_month(s, at + n, end, a, out);
		if (to == 0)
			to = separated(s, at + n, end, n, a, out);
	}
	if (to && to < end && exact_digit(s.p[to]))
		return 0;
	return out->n ? to : 0;
}
