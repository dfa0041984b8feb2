/* zone.c -- time zones from TZif data (RFC 8536); see zone.h.
 *
 * The host reads the file; here its bytes become transitions, and the rule in
 * its footer (a POSIX TZ string, POSIX.1-2017 8.3, with RFC 8536's hours from
 * -167 to 167) says what holds behind the last of them. Leap seconds are none
 * of Unix time and are passed over. Every count of the file is checked against
 * its length before anything is read.
 */
#include <string.h>

#include "zone.h"

#define TYPES_MAX 256
#define HEADER 44
#define DAY 86400

enum rule_form { RULE_JULIAN, RULE_ZERO, RULE_MONTH };
struct change {			/* when summer time begins or ends, each year */
	enum rule_form form;
	unsigned month, week, day;	/* RULE_MONTH: week 5 is the last; else day alone */
	int32_t time;		/* seconds of that day's local time */
};
struct zone {
	const int64_t *at;	/* transitions, rising */
	const uint8_t *type;
	size_t n;
	int32_t offsets[TYPES_MAX];
	unsigned ntypes;
	bool footer, summer;	/* there is a rule; it has summer time */
	int32_t standard, daylight;
	struct change begin, end;
};

static const struct zone utc = { .ntypes = 1, .footer = true };

const struct zone *
zone_utc(void)
{
	return &utc;
}

static bool
leap(int64_t y)
{
	return y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
}

/* By the proleptic Gregorian calendar, counted in eras of 400 years that begin in March. */
int64_t
day_number(int64_t y, unsigned m, unsigned d)
{
	int64_t era, of_era;

	y -= m <= 2;
	era = (y >= 0 ? y : y - 399) / 400;
	of_era = y - era * 400;
	of_era = of_era * 365 + of_era / 4 - of_era / 100 +
	    (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return era * 146097 + of_era - 719468;
}

static int64_t
floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static int64_t
year_of(int64_t day)
{
	int64_t y = 1970 + floor_div(day * 400, 146097);

	while (day < day_number(y, 1, 1))
		y--;
	while (day >= day_number(y + 1, 1, 1))
		y++;
	return y;
}

/* --- the footer's rule ------------------------------------------------------------------- */

struct reader {
	struct span s;
	bool bad;
};

static char
look(const struct reader *r)
{
	return r->s.n ? r->s.p[0] : '\0';
}

static bool
take(struct reader *r, char c)
{
	if (look(r) != c)
		return false;
	r->s = span_from(r->s, 1);
	return true;
}

static unsigned
number(struct reader *r, unsigned min, unsigned max)
{
	unsigned v = 0, n = 0;

	while (look(r) >= '0' && look(r) <= '9' && n < 4) {
		v = v * 10 + (unsigned)(look(r) - '0');
		r->s = span_from(r->s, 1);
		n++;
	}
	r->bad |= n == 0 || v < min || v > max;
	return v;
}

/* [+-]hh[:mm[:ss]] */
static int32_t
hours(struct reader *r)
{
	bool minus = take(r, '-');
	int32_t v;

	if (!minus)
		take(r, '+');
	v = (int32_t)number(r, 0, 167) * 3600;
	if (take(r, ':')) {
		v += (int32_t)number(r, 0, 59) * 60;
		if (take(r, ':'))
			v += (int32_t)number(r, 0, 59);
	}
	return minus ? -v : v;
}

/* "CET", "<+03>" */
static void
name(struct reader *r)
{
	size_t n = 0;

	if (take(r, '<')) {
		r->s = span_from(r->s, span_find(r->s, '>'));
		r->bad |= !take(r, '>');
		return;
	}
	while (n < r->s.n && ((r->s.p[n] | 0x20) >= 'a' && (r->s.p[n] | 0x20) <= 'z'))
		n++;
	r->bad |= n < 3;
	r->s = span_from(r->s, n);
}

static void
change(struct reader *r, struct change *c)
{
	c->time = 2 * 3600;
	if (take(r, 'M')) {
		c->form = RULE_MONTH;
		c->month = number(r, 1, 12);
		r->bad |= !take(r, '.');
		c->week = number(r, 1, 5);
		r->bad |= !take(r, '.');
		c->day = number(r, 0, 6);
	} else if (take(r, 'J')) {
		c->form = RULE_JULIAN;
		c->day = number(r, 1, 365);
	} else {
		c->form = RULE_ZERO;
		c->day = number(r, 0, 365);
	}
	if (take(r, '/'))
		c->time = hours(r);
}

static bool
footer(struct zone *z, struct span s)
{
	struct reader r = { s, false };

	if (s.n == 0)
		return true;	/* nothing is said of what follows the transitions */
	name(&r);
	z->standard = -hours(&r);
	z->footer = true;
	if (r.s.n && !r.bad) {
		name(&r);
		z->daylight = r.s.n && look(&r) != ',' ? -hours(&r) : z->standard + 3600;
		z->summer = true;
		r.bad |= !take(&r, ',');
		change(&r, &z->begin);
		r.bad |= !take(&r, ',');
		change(&r, &z->end);
	}
	return !r.bad && r.s.n == 0;
}

/* The moment of a change in that year, for clocks that show `offset` before it. */
static int64_t
change_at(const struct change *c, int64_t year, int32_t offset)
{
	int64_t day;

	switch (c->form) {
	case RULE_JULIAN:	/* the 29th of February is never counted */
		day = day_number(year, 1, 1) + c->day - 1 + (c->day >= 60 && leap(year));
		break;
	case RULE_ZERO:
		day = day_number(year, 1, 1) + c->day;
		break;
	case RULE_MONTH:
	default: {
		int64_t first = day_number(year, c->month, 1), next = c->month == 12 ?
		    day_number(year + 1, 1, 1) : day_number(year, c->month + 1, 1);
		unsigned weekday = (unsigned)(((first + 4) % 7 + 7) % 7);	/* Sunday is 0 */

		day = first + (c->day + 7 - weekday) % 7 + (c->week - 1) * 7;
		if (day >= next)
			day -= 7;
		break;
	}
	}
	return day * DAY + c->time - offset;
}

static int32_t
footer_offset(const struct zone *z, int64_t at)
{
	int64_t year, begin, end;
	bool within;

	if (!z->summer)
		return z->standard;
	year = year_of(floor_div(at + z->standard, DAY));
	begin = change_at(&z->begin, year, z->standard);
	end = change_at(&z->end, year, z->daylight);
	/* in the south, summer goes over the end of the year */
	within = begin < end ? at >= begin && at < end : at >= begin || at < end;
	return within ? z->daylight : z->standard;
}

/* --- the file ----------------------------------------------------------------------------- */

static uint32_t
u32(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

struct block {			/* what a header says of the data behind it */
	uint64_t isut, isstd, leaps, times, types, chars;
	uint64_t size;
};

static bool
block_read(struct span s, unsigned width, struct block *b)
{
	if (s.n < HEADER || memcmp(s.p, "TZif", 4) != 0)
		return false;
	*b = (struct block){ u32(s.p + 20), u32(s.p + 24), u32(s.p + 28), u32(s.p + 32),
		u32(s.p + 36), u32(s.p + 40), 0 };
	b->size = b->times * width + b->times + b->types * 6 + b->chars +
	    b->leaps * (width + 4) + b->isstd + b->isut;
	return b->types >= 1 && b->types <= TYPES_MAX && b->size <= s.n - HEADER;
}

static bool
zone_read(struct arena *a, struct span s, struct zone *z)
{
	unsigned width = 4;
	struct block b;
	const char *p;
	int64_t *at;

	if (!block_read(s, width, &b))
		return false;
	if (s.p[4] >= '2') {	/* a second block with 64-bit times, and the footer */
		s = span_from(s, HEADER + (size_t)b.size);
		width = 8;
		if (!block_read(s, width, &b))
			return false;
	}
	p = s.p + HEADER;
	at = arena_array(a, (size_t)b.times + 1, sizeof(*at));
	for (size_t i = 0; i < b.times; i++, p += width) {
		at[i] = width == 4 ? (int32_t)u32(p) :
		    (int64_t)((uint64_t)u32(p) << 32 | u32(p + 4));
		if (i && at[i] <= at[i - 1])
			return false;
	}
	z->at = at;
	z->n = (size_t)b.times;
	z->type = (const uint8_t *)arena_span(a, span_make(p, z->n)).p;
	for (size_t i = 0; i < z->n; i++)
		if ((uint8_t)p[i] >= b.types)
			return false;
	p += z->n;
	z->ntypes = (unsigned)b.types;
	for (unsigned i = 0; i < z->ntypes; i++, p += 6) {
		z->offsets[i] = (int32_t)u32(p);
		if (z->offsets[i] < -25 * 3600 || z->offsets[i] > 26 * 3600)
			return false;	/* RFC 8536, 3.2 */
	}
	if (width == 4)
		return true;
	s = span_from(s, HEADER + (size_t)b.size);
	if (s.n < 2 || s.p[0] != '\n' || s.p[s.n - 1] != '\n')
		return false;
	return footer(z, span_sub(s, 1, s.n - 2));
}

struct zone *
zone_parse(struct arena *a, struct span tzif, struct err *err)
{
	struct zone *z = arena_zalloc(a, sizeof(*z));

	if (tzif.n <= ZONE_DATA_MAX && zone_read(a, tzif, z))
		return z;
	err_set(err, 0, "these are no time-zone data (TZif, RFC 8536)");
	return NULL;
}

int32_t
zone_offset(const struct zone *z, int64_t at)
{
	size_t lo = 0, hi = z->n;

	if (z->footer && (z->n == 0 || at >= z->at[z->n - 1]))
		return footer_offset(z, at);
	while (lo < hi) {	/* the first transition behind the moment */
		size_t mid = lo + (hi - lo) / 2;

		if (z->at[mid] <= at)
			lo = mid + 1;
		else
			hi = mid;
	}
	return z->offsets[lo ? z->type[lo - 1] : 0];
}

struct local_time
zone_local(const struct zone *z, int64_t at)
{
	int64_t local = at + zone_offset(z, at), day = floor_div(local, DAY);

	return (struct local_time){ .day = day, .weekday = (unsigned)(((day + 3) % 7 + 7) % 7),
		.second = (uint32_t)(local - day * DAY) };
}
