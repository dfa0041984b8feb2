/* dns_text.h -- a record as BIND's zone files have it. */
#ifndef CLI_DNS_TEXT_H
#define CLI_DNS_TEXT_H

#include "buf.h"
#include "postern/span.h"

/* One line; TXT in quoted strings of at most 255 bytes (RFC 1035, 3.3), bytes that need it escaped. */
void dns_text_bind(struct buf *out, const char *name, const char *type, struct span value);

#endif
