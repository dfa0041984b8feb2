/* page.h -- the pages behind links to approve: pure.
 *
 * What a stranger wrote (subject, addresses, names of files) goes through
 * page_text: & < > " ' become references, and what is no character, controls, and
 * signs that turn the direction of writing or cannot be seen become U+FFFD. There is no script, no picture and no
 * link in a page; its style is the one whose hash stands in the policy (RFC: CSP level 2).
 */
#ifndef CONSOLE_PAGE_H
#define CONSOLE_PAGE_H

#include "buf.h"
#include "ipc/messages_approve.h"

#define PAGE_MAX ((size_t)512 << 10)

void page_text(struct buf *b, struct span s);
/* What waits, with two forms; APPROVE_OPEN only. token: goes into the forms. */
void page_open(struct buf *b, const struct msg_approve_told *m, struct span token, bool french);
/* Nothing to decide here: APPROVE_SPOKEN, APPROVE_OVER. */
void page_over(struct buf *b, const struct msg_approve_told *m, bool french);
/* Nothing to see here: a bad link, a wrong path, a fault. */
void page_status(struct buf *b, int status, bool french);
/* The header's value; its text lives as long as the program. */
const char *page_security(void);

#endif
