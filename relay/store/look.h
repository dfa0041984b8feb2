/* look.h -- kept messages on their way to a scanner, and what it says of them.
 *
 * A scanner gets one at a time of us. One that dies over a message is followed by another; the message
 * that ends two is given up. Where no scanner answers in time nothing is known of the
 * message, and who asked is told so: it stays where it is.
 */
#ifndef STORE_LOOK_H
#define STORE_LOOK_H

#include "ipc/messages_inspect.h"
#include "store/store.h"

/* m NULL: nothing is known; why says it to people. Never called from within look_start. */
typedef void look_done(void *ctx, const struct msg_inspected *m, const char *why);

void look_start(struct store *s, enum inspect_what what, int64_t kid, look_done *done, void *ctx);
bool look_pending(const struct store *s, int64_t kid);	/* INSPECT_JUDGE, for a decision */

/* store.c */
void look_peer_up(struct store *s, struct link *l);
void look_peer_down(struct store *s, struct link *l);
/* -1: the body breaks the rules. *leave: the scanner retires and has nothing left: close the link. */
int look_frame(struct store *s, struct link *l, struct frame *f, bool *leave);
void look_tick(struct store *s);
void looks_free(struct store *s);	/* nobody is called */

#endif
