/* type.h -- what a file really is, by its bytes. */
#ifndef ANATOMY_TYPE_H
#define ANATOMY_TYPE_H

#include "postern/anatomy.h"

struct sniffed {
	enum part_type type;
	bool text;		/* its bytes are characters */
	bool encrypted;
	enum encryption encryption;
};

/* declared ("text/plain") and name only decide among what the bytes leave open. */
void type_sniff(struct span bytes, struct span declared, struct span name, struct sniffed *out);
/* Name or declared type promise something else than the bytes are; in doubt no. */
bool type_mismatch(const struct sniffed *s, struct span declared, struct span name);
/* Extension of a file name, without the dot; "" when none. */
struct span name_extension(struct span name);

#endif
