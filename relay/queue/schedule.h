/* schedule.h -- which job next: a pure machine over jobs, sites and a time that is told.
 *
 * A job is what of one message goes to one site. Jobs of a site wait in
 * order of arrival within the lane of their sender (job.share), and lanes take turns, so that one
 * bulk sender does not hold up the others of his site: he gets what they leave. Sites that have something to do, are not paused, do not
 * rest and have room in their window take turns, one job each. So neither a
 * dead site nor one with a million jobs holds up another.
 *
 * A site's window (jobs handed out and not answered) starts small, grows by
 * one with each success, halves when the site pushes back (421, 4xx before
 * RCPT) and falls to one when it cannot be reached; then the site rests by
 * the retry curve, and a single job probes it. Attempts of a job are counted
 * by whoever owns it: waiting for a site costs none.
 */
#ifndef QUEUE_SCHEDULE_H
#define QUEUE_SCHEDULE_H

#include "ipc/messages.h"
#include "queue/wheel.h"

enum job_state { JOB_IDLE, JOB_WAITING, JOB_READY, JOB_OUT };

struct site;

struct job {			/* embedded in the owner's; zeroed: idle, no site */
	struct wheel_node node;	/* node.when: when it is due, while it waits */
	struct site *site;
	uint8_t state;
	uint8_t share;		/* whose turn it takes: a hash of the sender */
};
#define SCHEDULE_LANES 64	/* of one site: senders of equal share % 64 share a lane */

struct schedule_conf {
	const int64_t *retry;	/* microseconds; the last repeats */
	size_t nretry;
	uint32_t window;	/* of one site at most */
	uint32_t total;		/* jobs handed out at most */
	/* A number in [-span, span]; NULL: none. */
	int64_t (*jitter)(void *ctx, int64_t span);
	void *ctx;
};

struct schedule;

struct schedule *schedule_new(const struct schedule_conf *conf, int64_t now);
void schedule_free(struct schedule **s);	/* jobs are their owner's */
void schedule_configure(struct schedule *s, const struct schedule_conf *conf);

/* An idle job enters: ready at once when `when` has passed. The name is copied. */
void schedule_add(struct schedule *s, struct job *j, struct span site, int64_t when);
/* A waiting or ready job becomes idle and forgets its site. Never one that is out. */
void schedule_remove(struct schedule *s, struct job *j);
/* A waiting or ready job becomes due at another time, in the same site. */
void schedule_move(struct schedule *s, struct job *j, int64_t when);
/* A waiting job becomes ready now. */
void schedule_hurry(struct schedule *s, struct job *j);
void schedule_advance(struct schedule *s, int64_t now);
/* The next job, now out; NULL: nothing may go. */
struct job *schedule_take(struct schedule *s);
/* A job came back; it becomes idle (and keeps no site). cls: FAIL_NONE when the site took part in
 * the conversation, whatever it said of recipients. */
void schedule_done(struct schedule *s, struct job *j, enum fail_class cls);
/* It was not tried: first in its site's line again. */
void schedule_return(struct schedule *s, struct job *j);
/* It was not tried, for a reason of ours: due again later. */
void schedule_postpone(struct schedule *s, struct job *j, int64_t when);
/* When the attempt after `attempts` failed ones is due. */
int64_t schedule_retry_at(struct schedule *s, unsigned attempts);
/* When to call schedule_advance; WHEEL_NEVER: nothing waits. */
int64_t schedule_next(const struct schedule *s);
uint32_t schedule_out(const struct schedule *s);

/* ---- sites, for people ---- */
struct site_info {
	struct span name;
	size_t waiting, ready, out;
	uint32_t window;
	unsigned failures;
	enum fail_class last;	/* why it rests */
	int64_t rests_until;	/* 0: it does not */
	bool paused;
};
void schedule_pause(struct schedule *s, struct span site, bool paused);
/* Ends a rest. false: no such site. */
bool schedule_wake_site(struct schedule *s, struct span site);
/* Whose window this is; borrowed. */
struct span schedule_job_site(const struct job *j);
void schedule_job_info(const struct job *j, struct site_info *info);
size_t schedule_sites(const struct schedule *s);
bool schedule_each_site(const struct schedule *s, size_t *at, struct site_info *info);

#endif
