/* note.h -- a message of our own to a person: pure, from values to bytes.
 *
 * Sent with the null sender and Auto-Submitted: auto-generated (RFC 3834), so that
 * nothing answers it. Every text is made harmless in a header; the body is
 * quoted-printable UTF-8 and passes any server.
 */
#ifndef QUEUE_NOTE_H
#define QUEUE_NOTE_H

#include "buf.h"
#include "master/config.h"

struct note {
	uint64_t id;
	uint64_t about;			/* the message it tells of; 0: none */
	struct span hostname, from;	/* our name; the postmaster's address */
	struct span to;
	struct span subject, text;	/* UTF-8; lines of the text end in LF */
	struct span html;		/* beside the text; empty: none */
	bool answer;			/* to a message (Auto-Submitted: auto-replied), */
	struct span answers;		/* with this Message-ID, fit for a header; empty: it had none */
	struct span language;		/* "en"; empty: not said */
	int64_t now;			/* Unix microseconds */
};
#define NOTE_MAX (512u << 10)

void note_build(struct buf *b, const struct note *n);
/* The domain of ours whose keys sign a note: that of the address (empty: our host's name), or one above it;
 * empty: none has keys. */
struct span note_signing_domain(const struct config *c, struct span address);

#endif
