/* stamps.h -- which stamps of other hops (av_stamp.h) are believed, and what ours are. */
#ifndef SCANNER_STAMPS_H
#define SCANNER_STAMPS_H

#include "postern/envelope.h"
#include "postern/facts.h"
#include "postern/verdict.h"
#include "scanner/antivirus.h"

struct conf_antivirus;
struct stamps;

#define STAMP_KEY_MIN 32	/* characters of the secret */

/* Reads the keys. NULL: they cannot be read, or are too short. */
struct stamps *stamps_new(const struct conf_antivirus *c, struct err *err);
void stamps_free(struct stamps **s);

/* A message's stamps as they came. */
struct stamps_seen {
	unsigned fields;	/* there are so many */
	bool trusted;		/* their sender may stamp */
	bool accepted;		/* the message need not be scanned: see since */
	int64_t since;		/* Unix seconds: when it was scanned, by the hop that did */
	struct edit *strip;	/* all of them, out */
	size_t nstrip;
};
/* s and av may be NULL: all stamps go. now: Unix microseconds. */
void stamps_look(const struct stamps *s, const struct antivirus *av, const struct envelope *env,
    struct span raw, int64_t now, struct arena *a, struct stamps_seen *out);
/* Adds to each variant: stamps that came go; where `stamp`, ours stands on top. */
bool stamps_edit(const struct stamps *s, const struct antivirus *av, const struct stamps_seen *seen,
    bool stamp, int64_t now, struct span raw, struct arena *a, struct verdict *v);

#endif
