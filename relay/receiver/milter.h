/* milter.h -- the filter's side of the milter protocol, as a pure machine.
 *
 * It stands between a connection and an SMTP session and looks to the one like the other: bytes of
 * packets go in, the session hears the SMTP commands they stand for, and its replies leave as
 * packets. So access, limits, transcripts, refusals and the way of a message are those of
 * SMTP, and there is one place where each is decided. No socket, no clock, no event loop.
 *
 * What an accepted message becomes at the MTA is told by milter_told() before the session's
 * answer: changes and "go on" for what the MTA carries on, "discard" for what Postern has taken.
 * An answer nobody told of is a TEMPFAIL.
 */
#ifndef RECEIVER_MILTER_H
#define RECEIVER_MILTER_H

#include "receiver/smtp_session.h"

#define MILTER_VERSION_MIN 2
#define MILTER_VERSION 6
#define MILTER_PACKET_MAX (256u << 10)	/* a packet but those of the body: they stream */
#define MILTER_BODY_MAX (64u << 20)	/* one packet of the body; no MTA sends above 1 MiB */
#define MILTER_HEADER_MAX (256u << 10)	/* the header of a message */
#define MILTER_RCPTS_MAX (8u << 20)	/* recipients of a message, as the MTA wrote them */
#define MILTER_REPLACE_MAX (32u << 20)	/* a changed body that is given back; larger ones we deliver */
#define MILTER_CHUNK 65535		/* of a new body in one packet */
#define MILTER_WORD_MAX 256		/* a macro's value */

/* Actions that are asked of the MTA, all of them: mfapi.h. */
#define MILTER_ACTIONS 0x1bu		/* ADDHDRS, CHGBODY, DELRCPT, CHGHDRS */

struct milter {
	struct smtp_session *s;
	struct buf out;		/* packets, ready to be written */
	struct buf packet;	/* one that is not complete */
	struct buf header;	/* of the message, as the MTA sent it, CRLF behind each line */
	struct buf rcpts;	/* those taken, each with a NUL behind it */
	struct buf asked;	/* the one that is being asked for */
	struct buf late;	/* the refusal of a body that has no answer of its own */
	struct buf edits;	/* told: packets before the last one */
	uint64_t charged;	/* for them, until they are written: of the budget of all messages (milter_pass.c) */
	uint32_t steps;		/* agreed upon */
	bool negotiated, connected;
	bool told, passes;
	bool body, skipping, last;	/* within a packet of the body; it is thrown away; it is the last */
	uint64_t left;		/* … of which so much is to come */
	char waits;		/* the command whose answer the session awaits; 0 */
	bool broken;		/* the peer does not speak the protocol */
	char user[MILTER_WORD_MAX], tls[MILTER_WORD_MAX], cipher[MILTER_WORD_MAX];
	char mta_id[MILTER_WORD_MAX];	/* the MTA's name of the message; "" unknown */
};

void milter_init(struct milter *mt, struct smtp_session *s);
void milter_release(struct milter *mt);		/* not the session */
/* As smtp_session_step(). */
enum smtp_step milter_step(struct milter *mt, const struct smtp_input *in, size_t *used);
/* The scan takes its time: the MTA is told to wait on. false: it does not wait. */
bool milter_progress(struct milter *mt);

/* What the answer to come means. passes: the MTA carries it on with the packets in mt->edits;
 * else it forgets it. */
void milter_told(struct milter *mt, bool passes);
void milter_put(struct buf *b, char type, struct span data);
/* Recipient number i, as the MTA wrote it. *rest begins as buf_data(&mt->rcpts). */
struct span milter_rcpt(struct span *rest);

/* milter_edits.c: packets that make of the header `was` the header `is` (both without the empty
 * line), one behind the other. -1: out is full. */
int milter_header_edits(struct buf *out, struct span was, struct span is, bool leading_space);
static inline bool
milter_leading_space(const struct milter *mt)
{
	return mt->steps & 0x100000u;
}

#endif
