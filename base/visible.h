/* visible.h -- text of strangers as people may see it.
 *
 * What cannot be seen, or makes other characters seem to be elsewhere, is written out:
 * controls, what turns the direction of writing, marks without a width, tags. U+202E becomes
 * [U+202E]. Bytes that are no UTF-8 become U+FFFD. What comes out is UTF-8 without any control but
 * LF and TAB, and these only where lines are wanted.
 */
#ifndef BASE_VISIBLE_H
#define BASE_VISIBLE_H

#include "buf.h"

bool visible_hides(uint32_t code_point);
/* Appends; CRLF and CR become LF when lines, else each becomes a space. At most max bytes are written,
 * whole characters: false when something was left out. */
bool visible_put(struct buf *b, struct span s, bool lines, size_t max);

#endif
