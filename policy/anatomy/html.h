/* html.h -- what a reader of an HTML text sees, and what is kept from the reader. */
#ifndef ANATOMY_HTML_H
#define ANATOMY_HTML_H

#include "postern/anatomy.h"

/* in: valid UTF-8. Both texts map to what in maps to; hidden->s.n may be 0. links: where they are
 * kept (html_links.h), or NULL. */
struct html_links;
void html_text(struct arena *a, const struct text *in, struct html_links *links,
    struct text *visible, struct text *hidden);
/* The charset that a <meta> or an XML declaration in the first bytes tells, or "". */
struct span html_charset(struct span head);
/* The character reference at s[i], where "&" stands: its length and character; 0: it is none. */
size_t html_entity(struct span s, size_t i, uint32_t *c);

#endif
