/* digest_page.h -- the pages behind links of digests: pure; see page.h for what a stranger wrote. */
#ifndef CONSOLE_DIGEST_PAGE_H
#define CONSOLE_DIGEST_PAGE_H

#include "buf.h"
#include "ipc/messages_digest.h"

/* What waits, with a form for each act that is offered: DIGEST_OPEN. token: goes into the forms. */
void digest_page_open(struct buf *b, const struct msg_digest_told *m, struct span token, bool french);
/* DIGEST_USED, DIGEST_OVER */
void digest_page_over(struct buf *b, const struct msg_digest_told *m, bool french);
/* A form's "decision"; false: none of them. */
bool digest_act_parse(struct span text, enum digest_act *act);

#endif
