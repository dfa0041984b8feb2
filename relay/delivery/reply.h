/* reply.h -- what an SMTP server answers, read byte by byte.
 *
 * Pure: bytes in, a whole reply out. Everything is bounded: of a line
 * REPLY_LINE_MAX bytes are kept (the rest is read and dropped), a reply has
 * at most REPLY_LINES_MAX lines and REPLY_TOTAL_MAX bytes on the wire; past
 * that, or at a line that is no reply, it is broken for good and the
 * connection with it.
 *
 * The text is kept word for word, codes included, lines joined by one space,
 * but for bytes that are not printable ASCII: those are '?', so that a reply
 * is safe in a log line, a header and a notice to the sender.
 */
#ifndef DELIVERY_REPLY_H
#define DELIVERY_REPLY_H

#include "buf.h"
#include "postern/span.h"

#define REPLY_LINE_MAX 2048
#define REPLY_LINES_MAX 100
#define REPLY_TOTAL_MAX (64u << 10)
#define DSN_TEXT_MAX 12			/* "5.123.456" and NUL */

enum reply_status {
	REPLY_MORE,	/* not whole yet */
	REPLY_WHOLE,
	REPLY_BROKEN,	/* ->broken says why */
};

struct smtp_reply {
	uint16_t code;			/* of the last line, 200..599 */
	char dsn[DSN_TEXT_MAX];		/* enhanced status code (RFC 2034) of its class; "" none */
	uint16_t nlines;
	const char *broken;
	/* private */
	struct buf text;
	struct { uint32_t at, n; } lines[REPLY_LINES_MAX];
	uint32_t total;			/* bytes taken from the wire */
	uint32_t line_at;		/* where the line under way begins in text */
	bool in_line, cr;
	enum reply_status status;
};

void smtp_reply_init(struct smtp_reply *r);
void smtp_reply_release(struct smtp_reply *r);
void smtp_reply_reset(struct smtp_reply *r);		/* ready for the next one */
/* Takes bytes up to the end of one reply; *used says how many. Once whole or
 * broken nothing more is taken until smtp_reply_reset. */
enum reply_status smtp_reply_feed(struct smtp_reply *r, struct span in, size_t *used);
/* All lines, joined; borrowed until reset. */
struct span smtp_reply_text(const struct smtp_reply *r);
/* Text of line i behind its code and separator. */
struct span smtp_reply_line(const struct smtp_reply *r, size_t i);
/* A byte of the reply under way has been seen. */
bool smtp_reply_begun(const struct smtp_reply *r);

/* "2.1.5" at the front of text, followed by white space or the end: its length, else 0. */
size_t dsn_parse(struct span text, char out[DSN_TEXT_MAX]);

#endif
