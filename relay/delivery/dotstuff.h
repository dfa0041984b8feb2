/* dotstuff.h -- a message made ready for DATA, as borrowed pieces.
 *
 * Pure and without a copy: pieces point into the message or at constants.
 * Line ends leave as CRLF whatever they were: a bare CR or LF never goes out
 * (a second message hides behind one where the next server is lenient). A
 * leading dot is doubled, the end gets its CRLF when it has none, then the
 * lone dot (RFC 5321, 4.5.2).
 */
#ifndef DELIVERY_DOTSTUFF_H
#define DELIVERY_DOTSTUFF_H

#include "postern/span.h"

#define DOTSTUFF_RUN_MAX (256u << 10)	/* about: a piece ends at the first line end past it */

struct dotstuff {
	struct span rest;
	struct span next;	/* a constant to be handed out before the rest */
	size_t skip;		/* bytes of the message that constant replaces */
	bool line_start;
	bool dotted;		/* the line's dot was doubled */
	bool finished;
};

void dotstuff_init(struct dotstuff *d, struct span message);
/* The next piece, never empty; false behind the last. */
bool dotstuff_next(struct dotstuff *d, struct span *out);

/* Every line ends with CRLF, the last one too, and no CR or LF stands alone: nothing is to be done to it
 * where dots need no care (BDAT). */
bool span_has_lines(struct span s);
/* Is there a byte above 127? */
bool span_has_8bit(struct span s);

#endif
