/* decode.h -- transfer encodings undone (RFC 2045, 6), however sloppy. */
#ifndef ANATOMY_DECODE_H
#define ANATOMY_DECODE_H

#include "postern/anatomy.h"

enum encoding { ENCODING_IDENTITY, ENCODING_BASE64, ENCODING_QP, ENCODING_OTHER };

enum encoding encoding_from_name(struct span name);	/* "" is the identity */
/* One of those that wrap a file in lines of its own ("x-uuencode"): the body stands as it is, and
 * infile.h finds the file. */
bool encoding_is_wrapped(struct span name);

/* At most max bytes are written: what does not fit is cut with DEFECT_TOO_LARGE.
 * Out is borrowed from in where nothing changes. The defects are returned. */
uint32_t decode_body(struct arena *a, enum encoding e, struct span in, size_t max,
    struct span *out);

/* Raw steps, for headers: out must have room for in.n bytes. Return the bytes written. */
size_t decode_base64(struct span in, char *out, uint32_t *defects);
size_t decode_q(struct span in, char *out);	/* RFC 2047, 4.2 */
int hex_value(char c);				/* -1: no hexadecimal digit */

#endif
