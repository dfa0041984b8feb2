/* session.h -- one outgoing connection in the event loop: the client machine
 * with a socket, a clock and TLS.
 *
 * A session is made for a job, connects, carries it, and asks its site for
 * the next. It is freed at the end of the turn in which it ends
 * (carrier->dead), so its callers may look at it until then.
 */
#ifndef DELIVERY_SESSION_H
#define DELIVERY_SESSION_H

#include "delivery/connect.h"
#include "delivery/route.h"
#include "net/transport.h"

enum session_phase {
	SESSION_CONNECTING,
	SESSION_OPEN,		/* carries a job, or is on its way to */
	SESSION_IDLE,		/* open and without a job */
	SESSION_LEAVING,	/* QUIT; no longer of its site */
	SESSION_DEAD,
};

struct session {
	struct session *next, **prev;		/* all of the carrier */
	struct session *site_next, **site_prev;	/* of its site; prev NULL: left it */
	struct carrier *c;
	struct site *site;
	struct route *route;
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
	struct smtp_result last;	/* why the target before was left; last.set */
};

struct session *session_new(struct carrier *c, struct site *site, struct route *route,
    struct job *job);
/* An idle session gets a job, and goes on at once. */
void session_give(struct session *s, struct job *job);
/* May it carry this one? (TLS where the job needs it) */
bool session_fits(const struct session *s, const struct job *job);
void session_quit(struct session *s);			/* an idle one */
void session_tick(struct session *s, int64_t now);	/* once a second */
/* Cut off: its job is handed back, or deferred when the server may have taken the message. */
void session_cut(struct session *s);
void session_free(struct session *s);			/* drops its job without a word */

#endif
