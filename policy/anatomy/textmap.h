/* textmap.h -- making a text and, as it grows, the map back to what it was made of.
 *
 * A text is made from a source text that may have a map of its own; the new
 * map leads through it to the same decoded bytes. Source offsets must not
 * decrease within one text, so that everything stays linear.
 */
#ifndef ANATOMY_TEXTMAP_H
#define ANATOMY_TEXTMAP_H

#include "postern/anatomy.h"

/* The runs are gathered outside the arena, where growing leaves nothing behind; every
 * textmap that was begun must be finished. */
struct textmap {
	struct arena *a;
	struct offrun few[32];
	struct offrun *runs;		/* few, or of the heap */
	size_t n, cap;
	const struct offmap *under;	/* the source's own map; NULL: identity */
	size_t cursor;			/* run of `under` used last */
	bool unwanted;			/* no map is made */
};

void textmap_init(struct textmap *m, struct arena *a, const struct offmap *under, bool wanted);
/* n bytes at out are those at in, one to one. */
void textmap_copy(struct textmap *m, size_t out, size_t in, size_t n);
/* What stands at out, up to the next call, was made from the character at in. */
void textmap_point(struct textmap *m, size_t out, size_t in);
/* out, in: the ends of both texts. */
void textmap_finish(struct textmap *m, size_t out, size_t in, struct offmap *map);

struct textmake {
	struct arena *a;
	char *p;
	size_t n, cap;
	const char *src;
	struct textmap map;
};

void textmake_init(struct textmake *t, struct arena *a, const struct text *src, size_t guess,
    bool want_map);
void textmake_room(struct textmake *t, size_t n);	/* for n more bytes at t->p + t->n */
void textmake_copy(struct textmake *t, size_t in, size_t n);
void textmake_put(struct textmake *t, const char *p, size_t n, size_t in);
void textmake_char(struct textmake *t, uint32_t c, size_t in);
void textmake_finish(struct textmake *t, size_t in, struct text *out);

/* --- UTF-8 ------------------------------------------------------------------------ */

/* Decodes the character at p[i]; its length, or 0 when the bytes are not UTF-8. */
unsigned utf8_get(const char *p, size_t n, size_t i, uint32_t *c);
unsigned utf8_put(char out[4], uint32_t c);	/* surrogates and beyond U+10FFFF: U+FFFD */
size_t utf8_valid_until(struct span s);		/* s.n when all is valid */
size_t ascii_until(struct span s);		/* offset of the first byte above 127 */

#endif
