/* alert.h -- what somebody must hear of: attempts that failed, and TLS that was required and could
 * not be had.
 *
 * Both go to the store as events (ATTEMPT with the transcript, TLS_FAILED);
 * while it is away they are lost, and only they. TLS is told once for each
 * site and hour, in the log as a warning too, and remembered for `postern status`.
 */
#ifndef DELIVERY_ALERT_H
#define DELIVERY_ALERT_H

#include "json.h"
#include "delivery/job.h"

struct alerts;
struct link;

#define ALERT_EVERY (3600 * US_PER_SEC)
#define ALERTS_MAX 1000		/* sites remembered; those told longest ago go first */

struct alerts *alerts_new(void);
void alerts_free(struct alerts **a);
/* NULL: it is away. */
void alerts_store(struct alerts *a, struct link *store);
void alert_attempt(struct alerts *a, const struct job *job);
/* now: clock_real. */
void alert_tls(struct alerts *a, const struct job *job, struct span relay, struct span why, int64_t now);
/* An array: site, when, relay, why; of the last hour. */
void alerts_write(const struct alerts *a, struct json *j, int64_t now);

#endif
