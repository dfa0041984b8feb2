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
	bool nested;		/* within an attached message */
	bool top;		/* a message begins here: the root, or that of an attached one */
	bool known;		/* part.decoded is set already */
	struct span preamble, epilogue;
};

struct builder {
	struct arena *a;
	struct anatomy *out;
	struct node *nodes;
	size_t cap;
	uint32_t max_parts, max_depth, max_headers;
	uint64_t left;		/* of the budget of decoded bytes */
	struct header_block block;
};

void mime_split(struct builder *b, struct span raw);
/* The file name alone: no folder, no control characters. */
struct span file_name(struct arena *a, struct span name);
struct span lower_case(struct arena *a, struct span s);

#endif
