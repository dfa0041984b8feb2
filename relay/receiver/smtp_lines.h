/* smtp_lines.h -- what becomes of a bare CR or LF inside a message: refused or made CRLF. */
#ifndef RECEIVER_SMTP_LINES_H
#define RECEIVER_SMTP_LINES_H

#include <stdint.h>

#include "postern/span.h"

enum lines_status {
	LINES_MORE,		/* everything was used */
	LINES_BYTES,		/* *out is the next run of the message; call again */
	LINES_BARE,		/* a bare CR or LF; nothing more can be made of it */
};

struct smtp_lines {
	uint8_t state;
	uint8_t flags;		/* DATA_HAS_NUL, DATA_LONG_LINE: seen so far */
	bool normalise;
	uint32_t line;		/* bytes of the line under way */
};

void smtp_lines_init(struct smtp_lines *l, bool normalise);
/* One step. *used bytes of `in` are done with; *out is borrowed from them or static, never
 * empty. Any split of the stream gives the same bytes. */
enum lines_status smtp_lines_step(struct smtp_lines *l, struct span in, size_t *used,
    struct span *out);
/* The message is over: *out is what its last line lacks, maybe nothing. LINES_BARE: it ended
 * with a CR. */
enum lines_status smtp_lines_end(struct smtp_lines *l, struct span *out);

#endif
