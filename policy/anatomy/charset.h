/* charset.h -- any character set to valid UTF-8, with the way back. */
#ifndef ANATOMY_CHARSET_H
#define ANATOMY_CHARSET_H

#include "postern/anatomy.h"

/* label: as declared, any case; empty: not declared (a byte order mark, then UTF-8 where it
 * is valid, else windows-1252). in.map is followed when the map is wanted. Returns the
 * defects CHARSET_UNKNOWN and CHARSET_MALFORMED. out borrows in where nothing changes. */
uint32_t charset_decode(struct arena *a, struct span label, const struct text *in,
    bool want_map, struct text *out);
/* The label by which charset_decode() reads these bytes: a byte order mark tells more than what
 * was declared. Empty: not declared, or nobody knows it; only ASCII is sure then. */
struct span charset_used(struct span label, struct span bytes);
/* Bytes mean the same wherever they stand: what is cut out or put in changes nothing else. */
bool charset_stateless(struct span used);
/* UTF-8 to that charset (as charset_used() told). false: it has no such character. */
bool charset_encode(struct arena *a, struct span used, struct span utf8, struct span *out);
/* Two labels that mean the same decoder. */
bool charset_same(struct span a, struct span b);
/* Do ASCII's bytes mean something else in it (UTF-16, UTF-7, ISO-2022-…)? */
bool charset_hides_ascii(struct span label);
/* The character set that a byte order mark of two bytes tells; "" none. */
struct span charset_mark(struct span bytes);
/* Tells ICU to look into its own library only; before the first use of its data. */
void icu_no_files(void);

#endif
