/* page.h -- the pages behind links to approve: pure.
 *
 * What a stranger wrote (subject, addresses, names of files) goes through
 * console_escape: & < > " ' become references; what is no character, controls, and signs
 * that cannot be seen or turn the direction of writing become U+FFFD. There is no script,
 * no picture and no link in a page; its style is the one whose hash stands in the
 * Content-Security-Policy (CSP Level 2, 4.2.3).
 */
#ifndef CONSOLE_PAGE_H
#define CONSOLE_PAGE_H

#include "buf.h"
#include "ipc/messages_approve.h"

#define PAGE_MAX ((size_t)512 << 10)

void console_escape(struct buf *b, struct span s);
/* The beginning of a page (title is ours), and its end. */
void console_page_begin(struct buf *b, const char *title, bool french);
void console_page_end(struct buf *b);
/* A line of a table; nothing where value is empty. name is ours. */
void console_page_row(struct buf *b, const char *name, struct span value);
/* What waits, with two forms; APPROVE_OPEN only. token: goes into the forms. */
void console_page_open(struct buf *b, const struct msg_approve_told *m, struct span token,
    bool french);
/* Nothing to decide here: APPROVE_SPOKEN, APPROVE_OVER. */
void console_page_over(struct buf *b, const struct msg_approve_told *m, bool french);
/* Nothing to see here: a bad link, a wrong path, a fault. */
void console_page_status(struct buf *b, int status, bool french);
/* The header's value; its text lives as long as the program. */
const char *console_page_security(void);

#endif
