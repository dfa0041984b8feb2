/* id.h -- message ids: 64 bits, written as 11 characters of base 62.
 *
 * An id is microseconds since 1970 times ID_SLOTS plus the slot of the
 * process that made it, so ids sort by time both as numbers and as text
 * ("4T0q7x1mZz2"), and two processes with different slots never make the
 * same one. One process never makes the same one twice: the microsecond is
 * advanced when the clock stands still or goes back. Good until 2122.
 */
#ifndef BASE_ID_H
#define BASE_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "postern/span.h"

#define ID_SLOTS 3844		/* 62 * 62: the last two characters */
#define ID_LEN 11
#define ID_SIZE (ID_LEN + 1)

struct id_source {
	uint32_t slot;		/* < ID_SLOTS */
	int64_t last;		/* microsecond used last */
};

uint64_t id_new(struct id_source *src, int64_t now_us);
/* Writes 11 characters and NUL; returns buf. */
const char *id_format(uint64_t id, char buf[ID_SIZE]);
bool id_parse(struct span text, uint64_t *id);
int64_t id_time(uint64_t id);	/* microseconds since 1970 */

#endif
