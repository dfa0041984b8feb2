/* fields.h -- what a part's header fields say of its body, and where readers differ about it. */
#ifndef ANATOMY_FIELDS_H
#define ANATOMY_FIELDS_H

#include "anatomy/mime.h"

/* One way to read a part's bytes that is not the first one. A zero means: as in the first. */
struct reading {
	uint16_t type_field;	/* the Content-Type that counts: index + 1 */
	uint16_t encoding_field;	/* the Content-Transfer-Encoding that counts: index + 1 */
	uint16_t fields;	/* only so many fields belong to the header ... */
	const char *body;	/* ... and the body begins here */
	uint8_t boundary;	/* 1, 2: of two boundary parameters only that one */
	bool prefix;		/* a line that only begins with the boundary counts as one */
	bool decoded;		/* a multipart's encoding is undone before it is split */
	bool below;		/* a header begins below the first line of the body */
	bool forced;		/* a leaf, with this encoding and character set */
	enum encoding encoding;
	struct span charset;
};

#define READINGS_PART 6		/* of one part, beside the first */
#define READINGS 24		/* of a message */

/* Fills in the part's declared type, boundary, encoding, names … from its headers; *second: another
 * boundary to split by. r: NULL for the first reading, which notes the others. */
void fields_read(struct builder *b, uint16_t index, bool digest, const struct reading *r,
    struct span *second);
/* Notes a further reading of that part; too many are the defect READINGS_TOO_MANY. */
void reading_note(struct builder *b, uint16_t index, struct reading r);

static inline bool
is_multipart(struct span declared)
{
	return span_starts(declared, SPAN_LIT("multipart/"));
}

#endif
