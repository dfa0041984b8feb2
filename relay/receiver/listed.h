/* listed.h -- what the lists of senders (lists/book.h) say: at RCPT, and of a message.
 *
 * Only of mail from the world: who may relay and who has logged in are in no list. At RCPT the
 * administrators' and the domain's blocks refuse what is known by then, the client's address and the
 * envelope sender. Everything else, the author's address among it, is for the policy.
 */
#ifndef RECEIVER_LISTED_H
#define RECEIVER_LISTED_H

#include "receiver/receiver.h"

/* A LISTS frame: they take the place of those before. -1: it breaks the rules. */
int listed_take(struct receiver *rx, struct frame *f);
/* Is the client's network in the administrators' allow list? Into s->vouched. */
void listed_client(struct conn_mail *c, struct smtp_session *s);
/* Refuses (r) a recipient whose lists, or those for all, block the client or sender. */
void listed_rcpt(struct conn_mail *c, struct smtp_session *s, struct span rcpt, struct smtp_reply *r);

#endif
