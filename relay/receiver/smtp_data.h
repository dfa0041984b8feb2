/* smtp_data.h -- undo dot-stuffing and find the one true end of a message. */
#ifndef RECEIVER_SMTP_DATA_H
#define RECEIVER_SMTP_DATA_H

#include <stdint.h>

#include "postern/span.h"

enum data_status {
	DATA_MORE,		/* everything was used; the message goes on */
	DATA_BYTES,		/* *out is the next run of the message; call again */
	DATA_END,		/* CRLF.CRLF; what was not used belongs to the next command */
	DATA_BARE,		/* a bare CR or LF: refuse, close, believe nothing that follows */
};

enum { DATA_HAS_NUL = 1, DATA_LONG_LINE = 2 };	/* seen so far; both are passed on */
#define DATA_LINE_MAX 998			/* RFC 5322, 2.1.1, without CRLF */

struct smtp_data {
	uint8_t state;
	uint8_t flags;
	bool lenient;		/* a bare CR or LF is passed on; nothing but the end is looked for */
	uint32_t line;		/* bytes of the line under way */
};

/* lenient: for listeners that normalise; smtp_lines.c sees the bytes next, and its flags
 * count, not these. DATA_BARE never happens. The end is CRLF.CRLF in either case. */
void smtp_data_init(struct smtp_data *d, bool lenient);
/* One step. Any split of the stream gives the same bytes in the same order and the same
 * end. *used bytes of `in` are done with; *out is borrowed from them or static, never empty. */
enum data_status smtp_data_step(struct smtp_data *d, struct span in, size_t *used,
    struct span *out);

#endif
