/* zone_text.h -- a record as BIND's zone files have it. */
#ifndef ZONE_ZONE_TEXT_H
#define ZONE_ZONE_TEXT_H

#include "buf.h"
#include "postern/span.h"

/* One line; TXT in quoted strings of at most 255 bytes (RFC 1035, 3.3), bytes that need it escaped. */
void zone_text_bind(struct buf *out, const char *name, const char *type, struct span value);

#endif
