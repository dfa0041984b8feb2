/* zone.h -- local time from IANA time-zone data (TZif, RFC 8536), without a file or libc. */
#ifndef ZONE_H
#define ZONE_H

#include <stdint.h>

#include "postern/arena.h"
#include "postern/err.h"
#include "postern/span.h"

#define ZONE_DATA_MAX (256u << 10)	/* bytes of TZif; the largest in tzdata has 4 KiB */

struct zone;

/* The bytes of a TZif file; nothing of it is kept. NULL with err when they are none. */
struct zone *zone_parse(struct arena *a, struct span tzif, struct err *err);
const struct zone *zone_utc(void);
/* Seconds east of UTC at that moment (Unix seconds). */
int32_t zone_offset(const struct zone *z, int64_t at);

/* A day as people count them; days of the week from Monday, 0. */
struct local_time {
	int64_t day;		/* days since 1970-01-01, by the local calendar */
	unsigned weekday;
	uint32_t second;	/* of the day */
};
struct local_time zone_local(const struct zone *z, int64_t at);

int64_t day_number(int64_t year, unsigned month, unsigned day);	/* since 1970-01-01 */

#endif
