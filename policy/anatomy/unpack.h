/* unpack.h -- what is found within a part's bytes becomes text of the part, and parts of its own.
 *
 * The way from a decoded blob to child parts, for whoever finds one (an archive's member, an
 * object in a document, a file in a text):
 *
 *	bytes = ...			in the arena, paid for with pour_… or builder.left
 *	child = blob_add(b, index, bytes, name);
 *
 * The child is sniffed, read and unpacked in its turn, not by a call within the call; so nothing
 * recurses. All budgets (struct anatomy_limits) are kept here and in mime_part_found.
 */
#ifndef ANATOMY_UNPACK_H
#define ANATOMY_UNPACK_H

#include "anatomy/mime.h"

/* Reads part `index` as the container or document it is. New parts stand behind all others. */
void unpack_part(struct builder *b, uint16_t index);

/* A child part with these bytes. name: any bytes, made UTF-8 by `charset` ("" guesses). PART_NONE:
 * a budget is spent, which the parent's defects say. */
uint16_t blob_add(struct builder *b, uint16_t parent, struct span bytes, struct span name);
uint16_t blob_add_charset(struct builder *b, uint16_t parent, struct span bytes, struct span name,
    struct span charset);
/* The same for something that stays closed: its name and kind are known, its bytes not. */
void blob_add_locked(struct builder *b, uint16_t parent, struct span name, enum encryption kind);

/* Bytes that come out of something packed: room is made as they come, against the budget of
 * decoded bytes and the ratio. While one is poured nothing else should be made in the arena. */
struct pour {
	struct builder *b;
	char *p;
	size_t n, cap;
	uint64_t in;		/* bytes it is made from */
	bool cut;		/* a budget ended it: not all was seen */
};
void pour_begin(struct pour *o, struct builder *b, uint64_t in, uint64_t hint);
/* Where the next bytes go and how many may; NULL: o->cut. */
char *pour_room(struct pour *o, size_t *room);
void pour_took(struct pour *o, size_t n);
bool pour_put(struct pour *o, const char *p, size_t n);
/* n bytes of what stands `back` before. False: that is before the beginning, or a budget is spent. */
bool pour_repeat(struct pour *o, size_t back, size_t n);
struct span pour_end(struct pour *o);

/* The main text of part `index`. */
void text_set(struct builder *b, uint16_t index, const struct text *text);
/* A side text of part `index`; "" is not added. origin must live as long as the arena. */
void side_add(struct builder *b, uint16_t index, struct span origin, const struct text *text);
/* Text in UTF-8 (made valid) without a map. */
void side_add_utf8(struct builder *b, uint16_t index, struct span origin, struct span utf8);
/* To UTF-8 by this charset alone: no byte order mark takes its place, as it would in a file. */
struct span decode_exact(struct arena *a, struct span charset, struct span s);
/* Whatever looks like text in these bytes, in one-byte and two-byte characters: for what
 * breaks its format (latin: Latin-1, short runs too), or has none (ASCII, longer runs). */
struct span strings_find(struct arena *a, struct span bytes, bool latin);

/* Passwords that the message's texts tell, the likeliest first. */
const struct span *passwords_find(struct builder *b, size_t *n);

#endif
