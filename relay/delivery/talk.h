/* talk.h -- what was said in an attempt, for the case that it fails.
 *
 * Commands, replies and what happened around them, each with its moment; of
 * the message itself only how many bytes went. What follows AUTH is not kept. Bounded: the
 * beginning (TALK_HEAD bytes) and the end (between one and two TALK_TAIL)
 * are kept, of each line TALK_LINE bytes. Costs a copy of a line while all
 * goes well, and becomes text only when it is asked for.
 */
#ifndef DELIVERY_TALK_H
#define DELIVERY_TALK_H

#include "buf.h"
#include "postern/arena.h"

#define TALK_HEAD 3072
#define TALK_TAIL 2560
#define TALK_LINE 400

struct talk {
	int64_t began;			/* clock_mono */
	char *head, *tail[2];		/* entries; tail[1] is the one being filled; NULL until needed */
	uint16_t nhead, ntail[2];
	uint64_t lost;			/* bytes of entries that fell out */
	uint64_t body;			/* of the message, not noted yet */
	uint16_t nline;			/* of the line heard now */
	char line[TALK_LINE];
};

/* Forgets; what follows is of another attempt. */
void talk_begin(struct talk *t, int64_t now);
void talk_release(struct talk *t);
void talk_said(struct talk *t, struct span lines, int64_t now);
void talk_body(struct talk *t, size_t n);
/* Bytes as they came; lines are put together. */
void talk_heard(struct talk *t, struct span bytes, int64_t now);
void talk_note(struct talk *t, int64_t now, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* All of it, a line for each: "  0.012 C: EHLO gw.example.org". Printable ASCII and line feeds. */
struct span talk_text(struct talk *t, struct arena *a, int64_t now);

#endif
