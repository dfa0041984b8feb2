/* id.h -- message ids: 64 bits, written as 11 characters of base 62.
 *
 * An id is a time, the number of the node and the place of the process:
 *
 *	id = tick * ID_PLACES + node * ID_PROCESSES + process,    tick = microseconds since 1970 / ID_TICK
 *
 * with node < ID_NODES and process < ID_PROCESSES, so that node * ID_PROCESSES + process < ID_PLACES: each of
 * the three can be had back from the id, and ids of two nodes, or of two processes of a node, are different
 * numbers whatever their clocks say. Ids sort by time, to ID_TICK, both as
 * numbers and as text ("4T0q7x1mZz2"). One process never makes the same one twice: the
 * tick is advanced when the clock stands still or goes back. The time of an id made before nodes had numbers
 * is read the same way, since ID_PLACES is ID_TICK times ID_SLOTS. Good until 2122.
 */
#ifndef BASE_ID_H
#define BASE_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "postern/span.h"

#define ID_SLOTS 3844		/* ids of a microsecond; 62 * 62 */
#define ID_TICK 16		/* microseconds; one process makes one id in each */
#define ID_PLACES (ID_TICK * ID_SLOTS)
#define ID_NODES 128		/* 0: a node that is alone */
#define ID_PROCESSES 480
#define ID_LEN 11
#define ID_SIZE (ID_LEN + 1)

struct id_source {
	uint32_t slot;		/* < ID_PLACES, see id_slot */
	int64_t last;		/* microsecond used last, a multiple of ID_TICK */
};

_Static_assert(ID_NODES * ID_PROCESSES <= ID_PLACES, "nodes and processes share the places of a tick");

/* Of a process of a node. */
uint32_t id_slot(uint32_t node, uint32_t process);

uint64_t id_new(struct id_source *src, int64_t now_us);
/* Writes 11 characters and NUL; returns buf. */
const char *id_format(uint64_t id, char buf[ID_SIZE]);
bool id_parse(struct span text, uint64_t *id);
int64_t id_time(uint64_t id);	/* microseconds since 1970, up to ID_TICK too early */
uint32_t id_node(uint64_t id);	/* the number of the node that made it */

#endif
