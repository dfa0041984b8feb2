/* echo.h -- the address that answers with what has come, and what we think of it (`echo:` in postern.yaml).
 *
 * For who sets up a server and wants to see how its mail arrives. A copy to it goes nowhere;
 * the answer is a group of the message (notes.c) and rides on the same sync.
 *
 * Who is answered (RFC 3834): not the null sender, not robots or lists, nobody whom a rule refuses or that
 * carries a virus; of strangers only those that SPF or an aligned DKIM signature prove to be
 * who they say, so that nobody can have us write to another. ECHO_ALL an hour for all, per_hour for each.
 */
#ifndef RECEIVER_ECHO_H
#define RECEIVER_ECHO_H

#include "receiver/message.h"

#define ECHO_ALL 200			/* answers an hour, over all receivers */
#define ECHO_HEADER_MAX (24u << 10)	/* bytes of the header that are told; what is beyond is left out, and that is said */

/* The verdict is there: decides for the echo address among its recipients, and sets m->echo when it is to be
 * answered. */
void echo_judged(struct message *m);
/* The group of the answer; m->echo. */
void echo_group(struct message *m, struct group *g);

#endif
