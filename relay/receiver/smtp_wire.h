/* smtp_wire.h -- SMTP lines in, SMTP replies out; no socket. */
#ifndef RECEIVER_SMTP_WIRE_H
#define RECEIVER_SMTP_WIRE_H

#include <stdint.h>

#include "buf.h"
#include "postern/span.h"

/* RFC 5321, 4.5.3.1.4: a command line is at most 512 octets with its CRLF; parameters of
 * extensions may make MAIL and RCPT longer. What is longer than the second is skipped. */
#define WIRE_COMMAND_MAX 512
#define WIRE_LINE_MAX 2048

enum wire_status {
	WIRE_MORE,		/* no complete line yet */
	WIRE_LINE,
	WIRE_LONG,		/* a line above WIRE_LINE_MAX has come to its end; it was thrown away */
	WIRE_BARE,		/* CR without LF, or LF without CR: nothing after it can be trusted */
};

struct wire {
	bool skipping;		/* within a line that is too long */
	bool cr;		/* the byte skipped last was a CR */
};

/* Looks for one line at the start of `in`. *used bytes may be forgotten by the caller (the
 * line's own span, without CRLF, is borrowed from them); 0 with WIRE_MORE. A caller that keeps
 * what was not used never has to keep more than WIRE_LINE_MAX bytes for WIRE_MORE. */
enum wire_status wire_line(struct wire *w, struct span in, size_t *used, struct span *line);

/* Appends one reply. text may start with an enhanced code ("5.7.1 no"), which then stands on
 * each of its lines; LF separates lines, and what does not fit on a line goes on the next.
 * Bytes that may not stand in a reply become '?'. -1: the buffer's maximum. */
int wire_reply(struct buf *out, unsigned code, struct span text);

/* Length of an enhanced code at the start, RFC 3463 "5.7.1", or 0. */
size_t wire_enhanced(struct span text);

#endif
