/* session.h -- one outgoing connection in the event loop: the client machine
 * with a socket, a clock and TLS.
 *
 * A session is made for a job, connects, carries it, and asks its hub for
 * the next, which may be another site's: what the connection has proved is then
 * looked at anew for that site (session_tls.c). It is freed at the end of the turn in which it ends
 * (carrier->dead), so its callers may look at it until then.
 */
#ifndef DELIVERY_SESSION_H
#define DELIVERY_SESSION_H

#include "delivery/connect.h"
#include "delivery/hub.h"
#include "delivery/route.h"
#include "delivery/talk.h"
#include "net/transport.h"

enum session_phase {
	SESSION_CONNECTING,
	SESSION_OPEN,		/* carries a job, or is on its way to */
	SESSION_IDLE,		/* open and without a job */
	SESSION_LEAVING,	/* QUIT; no longer of its hub */
	SESSION_DEAD,
};

struct session {
	struct session *next, **prev;		/* all of the carrier */
	struct session *hub_next, **hub_prev;	/* of its hub; prev NULL: left it */
	struct carrier *c;
	struct hub *hub;
	struct site *site;			/* of its job; NULL without one */
	struct route *route;			/* of the site it works for, or did last */
	enum session_phase phase;
	struct connector *connector;
	uint64_t tried;			/* targets, by bit */
	size_t target;
	struct transport t;
	struct event *ev_read, *ev_write;
	bool writing;			/* ev_write is pending */
	bool handshaking;
	bool demanded;			/* a target was left for what only this job asks for */
	bool plain_only;		/* the TLS handshake failed and may be done without */
	bool anew;			/* the handshake failed with a session of before: without it */
	bool reported;			/* what came of TLS is counted (tlsrpt.c) */
	uint64_t tlsa;			/* of the records the handshake was held against; 0: none */
	enum require_tls need;		/* what this connection must be, for its first job and its server */
	enum require_tls has;		/* what it turned out to be */
	struct smtp_client m;
	struct buf in;
	struct job *job;
	struct smtp_message msg;
	uint32_t served;		/* jobs begun on this connection */
	int64_t deadline;		/* clock_mono */
	enum client_state granted;	/* the state that deadline is for */
	struct arena *arena;
	struct span relay, tls;
	struct talk talk;
	struct smtp_result last;	/* why the target before was left; last.set */
};

struct session *session_new(struct carrier *c, struct hub *hub, struct site *site,
    struct job *job);
/* An idle session gets a job, and goes on at once. */
void session_give(struct session *s, struct site *site, struct job *job);
/* The same for one that is asking for it (hub_next): it goes on by itself. */
void session_take(struct session *s, struct site *site, struct job *job);
void session_quit(struct session *s);			/* an idle one */
void session_tick(struct session *s, int64_t now);	/* once a second */
/* Cut off: its job is handed back, or deferred when the server may have taken the message. */
void session_cut(struct session *s);
void session_free(struct session *s);			/* drops its job without a word */

/* ---- between session.c and session_job.c ---- */
/* The end: out of every list, freed by the carrier at the end of the turn. It has no job. */
void session_die(struct session *s);
/* Hangs up and connects to the next target for its job. */
void session_next_target(struct session *s);
/* The next transaction of its job, or of the next job. false: there is none. */
bool session_begin(struct session *s);
/* The machine has ended. */
void session_over(struct session *s);
/* No target is left; ->last says why. */
void session_unreachable(struct session *s);
/* Every recipient of its job has a result, or it is handed back. */
void session_job_over(struct session *s);

/* session_tls.c: what must be proved, and what was.
 *
 * What everybody needs there (postern.yaml, the records of the host), and the most that anyone
 * asks for: the job, or that. */
enum require_tls session_common_need(const struct carrier *c, const struct route *route, size_t host);
enum require_tls session_needs(const struct session *s);
/* It failed for what its job asked for, no more. */
bool session_demanded(const struct session *s);
/* May it carry this job to that route? The same server, and enough proved for it. */
bool session_fits(const struct session *s, const struct route *route, const struct job *job);
/* It works for another route from here on; it fits. */
void session_turn_to(struct session *s, struct route *route);
/* Everything for the handshake. -1: err */
int session_tls_begin(struct session *s, struct err *err);
/* TLS stands. Is it what was wanted? false: the machine has been told why not. */
bool session_tls_judge(struct session *s);

#endif
