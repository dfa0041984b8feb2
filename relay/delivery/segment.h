/* segment.h -- the spool's bytes, mapped read-only as the queue announces them.
 *
 * A segment is mapped once, with room for what it will grow by; a message
 * above 1 MiB comes as a file of its own. A mapping lives until it was
 * dropped and the last job that reads from it is done.
 */
#ifndef DELIVERY_SEGMENT_H
#define DELIVERY_SEGMENT_H

#include "ipc/messages.h"
#include "postern/err.h"

struct segments;

struct segments *segments_new(void);
void segments_free(struct segments **s);	/* no job may hold a mapping any more */
/* Takes fd. A number announced again replaces the one before. */
void segments_add(struct segments *s, uint32_t number, int fd);
void segments_drop(struct segments *s, uint32_t number);
void segments_drop_all(struct segments *s);
/* The bytes of ref, which the mapping returned keeps; fd: the frame's own (segment 0), not
 * taken. NULL: not there, or not that long. */
void *segment_bytes(struct segments *s, const struct spool_ref *ref, int fd, struct span *out,
    struct err *err);
void segment_release(void *mapping);		/* NULL-safe */

#endif
