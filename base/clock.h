/* clock.h -- the two clocks, injectable in tests.
 *
 * Units: microseconds in int64_t. clock_real is Unix time; clock_mono never
 * goes back. A test sets clock_virtual and moves it by hand.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define US_PER_SEC INT64_C(1000000)

int64_t clock_real(void);
int64_t clock_mono(void);

/* When set (not NULL) both clocks read from here. */
extern const int64_t *clock_virtual;

/* RFC 5322 date, local zone with offset: "Sun, 22 Nov 2026 10:41:39 +0000"; buf of CLOCK_DATE_MAX. */
#define CLOCK_DATE_MAX 64
const char *clock_date(int64_t real_us, char *buf);

#endif
