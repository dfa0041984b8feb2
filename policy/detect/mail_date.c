/* mail_date.c -- the date of a message; see mail_date.h.
 *
 * "Tue, 17 Nov 2026 10:00:00 +0100 (CET)". Words are read one by one; what stands in comments
 * and the name of the day is not looked at.
 */
#include "detect/mail_date.h"

static struct span
word(struct span *s)
{
	struct span w;
	size_t n = 0;

	for (;;) {
		*s = span_trim(*s);
		if (s->n == 0 || s->p[0] != '(')
			break;
		n = span_find(*s, ')');
		*s = span_from(*s, n < s->n ? n + 1 : n);
	}
	for (n = 0; n < s->n && s->p[n] != ' ' && s->p[n] != '\t' && s->p[n] != ',' && s->p[n] != '('; n++)
		;
	w = span_sub(*s, 0, n);
	*s = span_from(*s, n + (n < s->n && s->p[n] == ','));
	return w;
}

static bool
number(struct span s, size_t least, size_t most, int *v)
{
	if (s.n < least || s.n > most)
		return false;
	*v = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		*v = *v * 10 + (s.p[i] - '0');
	}
	return true;
}

static bool
month(struct span s, int *m)
{
	static const char *const names[] = { "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug",
		"sep", "oct", "nov", "dec" };

	for (*m = 0; s.n >= 3 && *m < 12; (*m)++)
		if (span_is_nocase(span_sub(s, 0, 3), names[*m]))
			return true;
	return false;
}

static bool
clock_of(struct span s, int *seconds)
{
	int h, m, sec = 0;
	size_t colon = span_find(s, ':');
	struct span rest = span_from(s, colon + 1);
	size_t next = span_find(rest, ':');

	if (colon == s.n || !number(span_sub(s, 0, colon), 1, 2, &h) ||
	    !number(span_sub(rest, 0, next), 2, 2, &m) ||
	    (next < rest.n && !number(span_from(rest, next + 1), 2, 2, &sec)) ||
	    h > 23 || m > 59 || sec > 60)
		return false;
	*seconds = h * 3600 + m * 60 + sec;
	return true;
}

static int
zone(struct span s)
{
	static const struct { const char *name; int hours; } names[] = { { "EST", -5 }, { "EDT", -4 },
		{ "CST", -6 }, { "CDT", -5 }, { "MST", -7 }, { "MDT", -6 }, { "PST", -8 }, { "PDT", -7 } };
	int v;

	if (s.n == 5 && (s.p[0] == '+' || s.p[0] == '-') && number(span_from(s, 1), 4, 4, &v))
		return (s.p[0] == '-' ? -1 : 1) * (v / 100 * 3600 + v % 100 * 60);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (span_is_nocase(s, names[i].name))
			return names[i].hours * 3600;
	return 0;
}

/* Days since 1970 of a date in the Gregorian calendar; month from 0. */
static int64_t
days_of(int y, int m, int d)
{
	int64_t years = m < 2 ? y - 1 : y;
	int64_t era = (years >= 0 ? years : years - 399) / 400, of_era = years - era * 400;
	int64_t day = (153 * (m < 2 ? m + 10 : m - 2) + 2) / 5 + d - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + day - 719468;
}

static int
days_in(int y, int m)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return days[m] + (m == 1 && (y % 4 == 0 && (y % 100 != 0 || y % 400 == 0)));
}

bool
mail_date(struct span s, int64_t *seconds)
{
	struct span w = word(&s);
	int d, m, y, time;

	if (w.n && (w.p[0] < '0' || w.p[0] > '9'))	/* the day's name */
		w = word(&s);
	if (!number(w, 1, 2, &d) || !month(word(&s), &m))
		return false;
	w = word(&s);
	if (!number(w, 2, 4, &y))
		return false;
	if (w.n < 4)
		y += w.n == 3 ? 1900 : y < 50 ? 2000 : 1900;
	if (d < 1 || d > days_in(y, m) || !clock_of(word(&s), &time))
		return false;
	*seconds = days_of(y, m, d) * 86400 + time - zone(word(&s));
	return true;
}
