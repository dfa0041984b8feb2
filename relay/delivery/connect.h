/* connect.h -- the first of several targets that answers (RFC 8305, lightly).
 *
 * Targets are tried in their order, those that failed lately last. The next
 * one starts when one fails, or after five seconds beside the one that does
 * not answer (300 ms, when it is the same host by the other family); the first connected wins. Each gets thirty seconds.
 */
#ifndef DELIVERY_CONNECT_H
#define DELIVERY_CONNECT_H

#include "delivery/job.h"

struct connector;

/* fd -1: no target is left, why says what the last one said ("connect to …: Connection
 * refused"), or is NULL when none was left to try. */
typedef void connect_cb(void *ctx, int fd, size_t target, const char *why);

/* tried: bit for each target of the route; those set are left out, those tried are set.
 * Never calls back from within. */
struct connector *connect_start(struct carrier *c, struct route *route, uint64_t *tried,
    connect_cb *cb, void *ctx);
void connect_cancel(struct connector **cn);	/* NULL-safe */

/* "mx1.example.net[203.0.113.9]"; the host is shown as the address when it has no name. */
char *target_name(struct arena *a, const struct plan *p, const struct target *t);

#endif
