/* test_zone.c -- local time from zone data, held against the C library's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "rules/zone.h"

#define ZONEINFO "/usr/share/zoneinfo/"

static uint64_t seed = 88172645463325252u;

static uint64_t
rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	return seed ^= seed << 17;
}

static struct span
slurp(struct arena *a, const char *name)
{
	char path[256], buf[65536];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), ZONEINFO "%s", name);
	f = fopen(path, "rb");
	if (!f)
		fail_msg("%s: install tzdata", path);
	n = fread(buf, 1, sizeof(buf), f);
	fclose(f);
	return arena_span(a, span_make(buf, n));
}

/* Northern and southern summers, none, half hours, summer time that ends in winter's stead
 * (Dublin), rules behind 2037, a change at 24:00 and one on the day before (-1h, Nuuk). */
static const char *const names[] = { "Europe/Paris", "America/New_York", "Australia/Lord_Howe",
	"Asia/Kolkata", "Europe/Dublin", "America/Sao_Paulo", "Pacific/Apia", "Asia/Tehran",
	"Africa/Casablanca", "America/Nuuk", "Asia/Gaza", "Pacific/Chatham", "UTC",
	"America/Santiago", "Africa/Cairo", "Etc/GMT+12" };

static void
test_against_libc(void **state)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct arena *a = arena_new(0);
		struct err err = { 0 };
		struct zone *z = zone_parse(a, slurp(a, names[i]), &err);
		char tz[128];

		if (!z)
			fail_msg("%s: %s", names[i], err.text);
		snprintf(tz, sizeof(tz), ":" ZONEINFO "%s", names[i]);
		setenv("TZ", tz, 1);
		tzset();
		for (int k = 0; k < 20000; k++) {
			/* 1940 to 2110 */
			time_t at = (time_t)(rnd() % UINT64_C(5364662400)) - 946771200;
			struct local_time l = zone_local(z, at);
			struct tm tm;

			assert_non_null(localtime_r(&at, &tm));
			if (zone_offset(z, at) != tm.tm_gmtoff || l.weekday != (unsigned)(tm.tm_wday + 6) % 7 ||
			    l.second != (uint32_t)(tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec) ||
			    l.day != day_number(tm.tm_year + 1900, (unsigned)tm.tm_mon + 1,
			    (unsigned)tm.tm_mday))
				fail_msg("%s at %lld: %d instead of %ld", names[i], (long long)at,
				    zone_offset(z, at), tm.tm_gmtoff);
		}
		arena_free(&a);
	}
	setenv("TZ", "UTC", 1);
	tzset();
}

/* The second before and the second of each change of 2026 and of 2090, in Paris. */
static void
test_edges(void **state)
{
	struct arena *a = arena_new(0);
	struct err err;
	struct zone *z = zone_parse(a, slurp(a, "Europe/Paris"), &err);
	/* the last Sundays of March and October at 1:00 UTC */
	int64_t march = day_number(2026, 3, 29) * 86400 + 3600;
	int64_t october = day_number(2026, 10, 25) * 86400 + 3600;
	int64_t far = day_number(2090, 3, 26) * 86400 + 3600;

	assert_non_null(z);
	assert_int_equal(zone_offset(z, march - 1), 3600);
	assert_int_equal(zone_offset(z, march), 7200);
	assert_int_equal(zone_offset(z, october - 1), 7200);
	assert_int_equal(zone_offset(z, october), 3600);
	assert_int_equal(zone_offset(z, far - 1), 3600);
	assert_int_equal(zone_offset(z, far), 7200);
	assert_int_equal(zone_offset(zone_utc(), march), 0);
	assert_int_equal(zone_local(zone_utc(), -1).second, 86399);
	assert_int_equal(zone_local(zone_utc(), 0).weekday, 3);	/* 1970 began on a Thursday */
	arena_free(&a);
}

/* Cut anywhere, or with any byte changed: refused or read, never beyond its end. */
static void
test_damaged(void **state)
{
	struct arena *a = arena_new(0);
	struct span whole = slurp(a, "Europe/Paris");
	struct err err;

	for (size_t n = 0; n < whole.n; n++) {
		struct arena *b = arena_new(0);
		char *copy = malloc(n ? n : 1);	/* of this length, so that a sanitizer sees the end */

		memcpy(copy, whole.p, n);
		assert_null(zone_parse(b, span_make(copy, n), &err));
		free(copy);
		arena_free(&b);
	}
	for (int k = 0; k < 20000; k++) {
		struct arena *b = arena_new(0);
		char *copy = malloc(whole.n);
		struct zone *z;

		memcpy(copy, whole.p, whole.n);
		copy[rnd() % (k % 2 ? whole.n : 120)] = (char)rnd();
		z = zone_parse(b, span_make(copy, whole.n), &err);
		if (z)
			(void)zone_local(z, (int64_t)(rnd() % 10000000000));
		free(copy);
		arena_free(&b);
	}
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_libc),
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
