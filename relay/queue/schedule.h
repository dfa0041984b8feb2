/* schedule.h -- which job next: a pure machine over jobs, sites and a time that is told.
 *
 * A job is what of one message goes to one site. Jobs of a site wait in order
 * of arrival within the lane of their sender (job.share). Senders take turns,
 * one job each; when it is a sender's turn, his sites take turns. So neither a
 * bulk sender, to one site or to a hundred thousand, holds up others, nor a dead
 * site nor one with a million jobs. A site has its turn only when it is not
 * paused, does not rest and has room in its window.
 *
 * A site's window (jobs handed out and not answered) starts small, grows by
 * one with each success, halves when the site pushes back (421, 4xx before
 * RCPT) and falls to one when it cannot be reached; then the site rests by
 * the retry curve, and a single job probes it. Attempts of a job are counted
 * by whoever owns it: waiting for a site costs none.
 */
#ifndef QUEUE_SCHEDULE_H
#define QUEUE_SCHEDULE_H

#include "queue/retry.h"
#include "queue/wheel.h"

enum job_state { JOB_IDLE, JOB_WAITING, JOB_READY, JOB_OUT };

struct site;

struct job {			/* embedded in the owner's; zeroed: idle, no site */
	struct wheel_node node;	/* node.when: when it is due, while it waits */
	struct site *site;
	uint8_t state;
	uint8_t share;		/* whose turn it takes: a hash of the sender */
};
#define SCHEDULE_SHARES 64	/* senders of equal share % 64 have their turns together */

struct schedule_conf {
	struct retry_curve retry[RETRY_CLASSES];	/* RETRY_DEFAULT must be there */
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
/* As much as can be done in some milliseconds; schedule_next() says when to go on. */
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
/* When the attempt after `failed` ones in a row of this class is due. */
int64_t schedule_retry_at(struct schedule *s, enum retry_class c, unsigned failed);
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
/* false: no such site. */
bool schedule_site(const struct schedule *s, struct span name, struct site_info *info);
bool schedule_each_site(const struct schedule *s, size_t *at, struct site_info *info);
unsigned schedule_moves(const struct schedule *s);	/* table_moves of the sites */
/* The paused ones alone; *at starts at NULL. */
bool schedule_each_paused(const struct schedule *s, const void **at, struct span *name);
size_t schedule_paused(const struct schedule *s);

#endif
