/* hub.h -- the servers of one or many sites: their connections, number, pace and rest.
 *
 * Sites whose routes name the very same hosts (names, ports, preferences) share
 * a hub: a thousand customers of one provider are one neighbour, not a
 * thousand. Their jobs take turns, one of each site; a connection carries jobs of one site after the
 * other, each in transactions of its own.
 *
 * How many connections: at most per_site.connections, or what a limit of the policy says of one
 * of its sites. The number allowed
 * starts small, grows with what is delivered, and falls when the servers push
 * back: to what they have taken when they refuse one more (421 or 4xx as
 * greeting), to half when 421 or a burst of 4xx comes in the middle. From
 * then on it grows by one for as many successes as there are connections, twice as many after each
 * push-back that follows, until one more is let in than was before, or ten minutes pass. A job that was refused a connection
 * while others work waits for one of those; it is not put off.
 *
 * Pace: per_site.rate messages, evenly.
 *
 * Crowd: when more than HUB_WAITING jobs wait, and the first for longer than HUB_PATIENCE,
 * the rest and those that come are sent back to the queue for a while. Else a provider that has become slow
 * would fill the places that there are for all jobs under way, and hold up the mail of others.
 *
 * Rest: when no server can be reached, all that wait hear so, and those that
 * come within the rest hear the same; then one connection tries. The rest is
 * three quarters of the retry curve's step, at most HUB_REST_MAX: the
 * queue's own rest of each site lasts longer.
 */
#ifndef DELIVERY_HUB_H
#define DELIVERY_HUB_H

#include "delivery/job.h"

#define HUB_START 5			/* connections at first */
#define HUB_REST_MAX (45 * US_PER_SEC)
#define HUB_WAITING 500
#define HUB_PATIENCE (5 * US_PER_SEC)
#define HUB_AWAY (15 * US_PER_SEC)	/* and up to as much again */
#define HUB_BURST 5			/* 4xx for a whole message, one after the other: pushed back */
#define HUB_PUSHED_MAX 8		/* times a job waits for another connection; then it is put off */

struct hub {
	struct carrier *c;
	struct span key;		/* in the carrier's table */
	size_t waiting;			/* jobs of all of them */
	size_t members;			/* sites whose route leads here */
	struct site *ring, **ring_end;	/* those with jobs, in turn */
	struct session *sessions;
	size_t nsessions;
	uint32_t ceiling;		/* connections, at most: the least that a member is allowed */
	uint32_t allowed;		/* connections now */
	uint32_t successes;		/* since `allowed` last changed */
	bool pushed;			/* it has pushed back, ever: grow with care */
	size_t full;			/* connections at which the last one was turned away; 0: never */
	unsigned caution;		/* doublings of the successes it takes to try one more */
	int64_t pushed_at, told_at;	/* clock_mono; told: in the log */
	bool crowded;			/* as the last tick found it */
	bool no_chunking;		/* BDAT is offered there, and not known */
	unsigned burst;			/* 4xx since the last success */
	unsigned failures;		/* times in a row that nothing could be reached */
	int64_t rests_until;
	struct smtp_result why;		/* of the rest; its text in why_text */
	char why_text[1024], why_relay[320];
	int64_t paced;			/* when the next message may start (rate) */
	struct event *timer;		/* of the pace; NULL until it is needed */
};

/* The site's route is new: the hub of its servers, made when there is none. */
void hub_join(struct site *site);
void hub_leave(struct site *site);		/* does nothing without a hub */
/* How it stands with the servers of that route: "now": {…}; nothing when nobody has used them lately. */
struct json;
void hub_write(const struct carrier *c, const struct route *route, struct json *j);
/* Once a second. */
void hub_tick(struct hub *hub);
/* The site has jobs that wait, and a fresh route. */
void hub_want(struct site *site);

/* The next job, and its site, that this idle session may carry; false: none. */
bool hub_next(struct hub *hub, struct session *s);
/* More connections than it should have now. */
bool hub_too_many(const struct hub *hub);
/* The session counts no more (over, or QUIT under way). Once is enough, twice does no harm. */
void hub_session_gone(struct hub *hub, struct session *s);
/* A session is ready for mail: the servers can be reached. */
void hub_reached(struct hub *hub);
void hub_success(struct hub *hub);
/* A server pushes back. greeting: it did not let the session in. */
void hub_push_back(struct hub *hub, const struct session *s, bool greeting);
/* A whole message was put off with a 4xx. */
void hub_put_off(struct hub *hub, const struct session *s);
/* Is there any session but this one, at work or on its way? */
bool hub_works(const struct hub *hub, const struct session *but);
/* No server could be had for a job of this site, for what it demanded beyond the others ({ 0 }: for all). */
void hub_unreachable(struct hub *hub, struct site *site, const struct smtp_result *why,
    struct span relay, struct job_demand demand);

#endif
