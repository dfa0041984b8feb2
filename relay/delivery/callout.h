/* callout.h -- asking the server behind us whether a mailbox exists, by MAIL FROM:<> and RCPT TO.
 *
 * A callout is a job without a message: it finds its way, its connection and its TLS as mail
 * does (dispatch.c, hub.c), and ends behind the answer to RCPT. What the answer means
 * is callout_judge(). Of each domain there are at most `probes` at once.
 */
#ifndef DELIVERY_CALLOUT_H
#define DELIVERY_CALLOUT_H

#include "delivery/dispatch.h"
#include "ipc/messages_rcpt.h"

struct callouts;

struct callouts *callouts_new(struct carrier *c, struct dispatch *d);
void callouts_free(struct callouts **c);
/* RCPT_ASK. -1: nonsense */
int callouts_ask(struct callouts *c, struct link *from, struct frame *f);
/* A job with ->probe is over; takes it. */
void callouts_over(struct callouts *c, struct job *job);
void callouts_peer_down(struct callouts *c, const struct link *l);
size_t callouts_count(const struct callouts *c);

/* A refusal of the recipient says that it does not exist. A refusal of us, of the null sender, of
 * mail as such, a full mailbox, a 4xx, silence: nobody knows. */
enum rcpt_told callout_judge(const struct smtp_result *r);

#endif
