/* clock.c -- the two clocks; see clock.h. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clock.h"

const int64_t *clock_virtual;

static int64_t
read_clock(clockid_t which)
{
	struct timespec ts;

	if (clock_virtual)
		return *clock_virtual;
	clock_gettime(which, &ts);
	return (int64_t)ts.tv_sec * US_PER_SEC + ts.tv_nsec / 1000;
}

int64_t
clock_real(void)
{
	return read_clock(CLOCK_REALTIME);
}

int64_t
clock_mono(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

/* Asked for with every message: made once a second. */
const char *
clock_date(int64_t real_us, char *buf)
{
	static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul",
		"Aug", "Sep", "Oct", "Nov", "Dec" };
	static char last[CLOCK_DATE_MAX];
	static time_t last_t;
	time_t t = (time_t)(real_us / US_PER_SEC);
	struct tm tm;
	long off;

	if (last[0] == '\0' || t != last_t) {
		localtime_r(&t, &tm);
		off = tm.tm_gmtoff / 60;
		snprintf(last, sizeof(last), "%s, %02d %s %04d %02d:%02d:%02d %c%02ld%02ld",
		    days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon], (tm.tm_year + 1900) % 10000,
		    tm.tm_hour, tm.tm_min, tm.tm_sec, off < 0 ? '-' : '+',
		    (off < 0 ? -off : off) / 60, (off < 0 ? -off : off) % 60);
		last_t = t;
	}
	return memcpy(buf, last, sizeof(last));
}
