/* tlsrpt.h -- what came of TLS with each server, counted for the reports of RFC 8460.
 *
 * The same event is kept once with its number; once a second what has come together goes to the
 * store, which is where it survives. What a crash of this process takes is the last second.
 */
#ifndef DELIVERY_TLSRPT_H
#define DELIVERY_TLSRPT_H

#include "delivery/job.h"
#include "ipc/messages_tls.h"

struct frame;
struct link;
struct session;
struct tlsrpt;

struct tlsrpt *tlsrpt_new(void);
void tlsrpt_free(struct tlsrpt **t);
/* To the store; NULL: it is away, and all is kept for later. */
void tlsrpt_flush(struct tlsrpt *t, struct link *store);
size_t tlsrpt_count(const struct tlsrpt *t);

/* TLS stands: was it what the domain's policy wants? */
void tlsrpt_shaken(struct session *s);
/* It does not: starttls-not-supported, validation-failure … */
void tlsrpt_failed(struct session *s, enum tls_result r, struct span reason);
/* What was found out before any session: no policy to be had, servers it does not list, … */
void tlsrpt_route(struct carrier *c, const struct route *route);

/* RUA_ASK: looks the record up and answers. -1: the frame breaks the rules. */
int tlsrpt_rua(struct carrier *c, struct link *store, struct frame *f);
void tlsrpt_rua_drop(struct tlsrpt *t, struct link *store);	/* it is gone */

#endif
