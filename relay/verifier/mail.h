/* mail.h -- a message as its verifier sees it: header fields where they lie, and the body. */
#ifndef VERIFIER_MAIL_H
#define VERIFIER_MAIL_H

#include "postern/arena.h"
#include "postern/span.h"

#define MAIL_HEADER_MAX (1u << 20)	/* bytes of header that are looked at */
#define MAIL_FIELDS_MAX 4096		/* and fields */

struct mail {
	struct span raw;
	struct span *fields;	/* folded as they came, without their last CRLF */
	size_t nfields;
	struct span body;
	bool overfull;		/* more than the limits: no signature can be judged */
};

/* Everything is borrowed from raw, which must have CRLF line ends. */
void mail_open(struct span raw, struct arena *a, struct mail *m);
/* The field at *at, folding and CRLF included; false at the end of the header. No limits. */
bool mail_next_field(struct span raw, size_t *at, struct span *field);
struct span mail_field_name(struct span field);		/* "" when there is no colon */
struct span mail_field_body(struct span field);		/* behind the colon, as it is */

#endif
