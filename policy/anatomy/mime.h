/* mime.h -- a message into its tree of parts; the contents are left to others. */
#ifndef ANATOMY_MIME_H
#define ANATOMY_MIME_H

#include "anatomy/decode.h"
#include "anatomy/header.h"

/* What the builder knows of a part beside what everybody may know; same index. */
struct node {
	struct span src;	/* bytes the part was found in: the message, or a decoded container */
	size_t start;		/* of the body in src */
	struct span body;	/* encoded */
	struct span prefix;	/* of the numbers of the children: "", "2." */
	uint32_t children;
	enum encoding encoding;
	bool leaf;		/* has content of its own, no parts */
	bool message;		/* message/rfc822 */
	bool again;		/* its one child is itself, read otherwise */
	bool nested;		/* within an attached message */
	bool top;		/* a message begins here: the root, or that of an attached one */
	bool known;		/* part.decoded is set already */
	bool joined;		/* a volume that was read with its others */
	uint8_t levels;		/* of files around it that were unpacked */
	struct span preamble, epilogue;
	struct span raw;	/* the body as it stood where the part was found */
	struct reading *readings;	/* other ways to read it (fields.h) */
	unsigned nreadings;
};

struct builder {
	struct arena *a;
	struct anatomy *out;
	struct node *nodes;
	size_t cap;
	uint32_t parts_left, max_depth, max_headers, max_unpack, max_passwords;
	uint32_t entries;	/* of the budget of members */
	uint64_t left;		/* of the budget of decoded bytes */
	unsigned readings;	/* noted so far */
	uint64_t text_left;	/* of the budget of text */
	struct span *passwords;	/* of the message, gathered when first wanted */
	size_t npasswords;
	bool passwords_known;
	uint64_t key_blocks;	/* of the budget of work on keys: blocks of 64 bytes hashed */
	struct key_store *keys;	/* made so far (unlock.c) */
	unsigned joins;		/* split archives put together */
	struct volume_book *volumes;	/* files named like pieces of one; NULL: none was looked for */
	const struct picture_reader *reader;	/* of text in pictures; NULL: nobody */
	bool pictures;		/* of documents become parts too: someone reads them */
	uint32_t max_urls;
	struct url_book *urls;	/* NULL: none yet (url.h) */
	bool nothing_within;	/* a reader's word that the container in hand is sound and empty */
	struct header_block block;
};

void mime_split(struct builder *b, struct span raw);
/* Makes a child part of each other reading of part `index`, which has been split. New parts stand
 * behind all others; pointers to parts and nodes do not survive it. */
void mime_readings(struct builder *b, uint16_t index);
/* The bytes of part `index`, which is no message by its header, are one: it gets its parts. */
void mime_split_found(struct builder *b, uint16_t index);
/* A new part below `parent` with these bytes; the place in the message is the parent's. PART_NONE:
 * a budget is spent, and the parent has the defect. Pointers to parts and nodes do not survive it. */
uint16_t mime_part_found(struct builder *b, uint16_t parent, struct span bytes, struct span name);
/* The file name alone: no folder, no control characters. */
struct span file_name(struct arena *a, struct span name);
struct span lower_case(struct arena *a, struct span s);

#endif
