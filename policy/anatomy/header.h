/* header.h -- a header block into fields, and a field's value into text. */
#ifndef ANATOMY_HEADER_H
#define ANATOMY_HEADER_H

#include "postern/anatomy.h"

/* Tells whether a line (without its end) closes the block although no empty line
 * came; asked only for lines that begin with "--". */
typedef bool header_stop_fn(void *arg, struct span line);

struct header_block {
	struct header *fields;
	size_t n;
	size_t body;		/* offset behind the empty line, or where the block stopped */
	uint32_t defects;
	uint32_t once;		/* bit set of the fields seen that may stand once */
	size_t blank_field;	/* the field with a continuation line of nothing but white space */
	size_t blank_body;	/* offset behind that line; 0: there is none */
	struct span src;
	size_t cap;
};

/* Reads the fields of src from offset `at` on; at most max are kept. The array is
 * reused from call to call; values are not made yet. offset: what is added to
 * each header.offset; UINT32_MAX: the fields don't lie in the message. */
void header_block_read(struct header_block *b, struct arena *a, struct span src, size_t at,
    size_t max, header_stop_fn *stop, void *arg);

/* A copy without line ends and NULs; borrowed when there are none. */
struct span header_unfold(struct arena *a, struct span raw);
/* Unfolded, RFC 2047 decoded, valid UTF-8, trimmed. map may be NULL; it leads to
 * offsets counted from raw.p - base. Returns defects. */
uint32_t header_decode(struct arena *a, struct span raw, size_t base, struct span *value,
    struct offmap *map);
/* The same for a text that has been unfolded. */
uint32_t words_decode(struct arena *a, const struct text *in, bool want_map, struct text *out);

#endif
