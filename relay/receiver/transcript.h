/* transcript.h -- what clients and we said to each other, on demand, for a time. */
#ifndef RECEIVER_TRANSCRIPT_H
#define RECEIVER_TRANSCRIPT_H

#include "addr.h"
#include "buf.h"

/* The ring lies in memory that all receivers share: whoever answers `postern session show`
 * has all of it. The memory is zeroed when it is new, and aligned to 64. */
struct transcript;

#define TRANSCRIPT_MINUTES_MAX 1440

struct transcript *transcript_attach(void *memory, size_t size);
/* From now on, until `until` (clock_mono), for clients of that network, or for all. Forgets what
 * there was. */
void transcript_start(struct transcript *t, struct cidr clients, bool all, int64_t until);
void transcript_stop(struct transcript *t);	/* what there is stays */
bool transcript_wants(const struct transcript *t, struct ip client, int64_t now);

enum transcript_kind { TRANSCRIPT_EVENT, TRANSCRIPT_CLIENT, TRANSCRIPT_SERVER };
/* session: the id of its first transaction, by which its lines belong together. text: one or
 * several lines; each is cut at TRANSCRIPT_TEXT with a mark. */
#define TRANSCRIPT_TEXT 440
void transcript_add(struct transcript *t, uint64_t session, int64_t real, enum transcript_kind k,
    struct ip client, struct span text);

struct transcript_line {
	uint64_t session;
	int64_t time;		/* Unix microseconds */
	enum transcript_kind kind;
	struct ip client;
	char text[TRANSCRIPT_TEXT + 4];
};
/* Oldest first; *at starts at 0; false at the end. */
bool transcript_next(const struct transcript *t, uint64_t *at, struct transcript_line *line);

struct transcript_state {
	bool on;
	int64_t until;		/* clock_mono */
	uint64_t lines, lost;	/* said since the start; no longer in the ring */
};
void transcript_state(const struct transcript *t, int64_t now, struct transcript_state *out);

#endif
