/* asking.h -- recipients of whom somebody has to be asked: the server behind us, a directory, or the
 * memory of strangers.
 */
#ifndef RECEIVER_ASKING_H
#define RECEIVER_ASKING_H

#include "receiver/receiver.h"

struct asking;

struct asking *asking_new(struct receiver *rx);
/* A delivery process. The directory is rx->messages.directory. */
void asking_up(struct asking *as, struct link *l);
void asking_down(struct asking *as, const struct link *l);
/* At RCPT, behind the gate. A ticket, whose answer goes to conn_answer(); 0: r is the answer, code
 * 0: the recipient may stay. */
uint64_t asking_rcpt(struct conn_mail *c, struct smtp_session *s, struct recipient *rcpt,
    struct smtp_reply *r);
/* What other nodes may know of the recipient and the client: the keys, and what is known here. Texts live in a. */
struct msg_count_ask;
struct msg_count_told;
void asking_shared(struct asking *as, struct smtp_session *s, struct span address, struct arena *a,
    struct msg_count_ask *m);
/* What they know is remembered here, as if it had been learnt here. */
void asking_heard(struct asking *as, const struct msg_count_ask *m, const struct msg_count_told *told);
int asking_told(struct asking *as, const struct link *from, struct frame *f);	/* RCPT_TOLD. -1: nonsense */
/* FOUND. -1: nonsense */
int asking_found(struct asking *as, struct frame *f);
void asking_tick(struct asking *as, int64_t now);		/* every second */
/* `postern recipients`: answers r when it is known. fresh: what is remembered does not count. */
/* Forgets what was learnt of it; of all where it is empty. */
void asking_forget(struct asking *as, struct span address);
void asking_test(struct asking *as, struct span address, bool fresh, struct reply **r);

#endif
