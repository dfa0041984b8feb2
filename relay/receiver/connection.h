/* connection.h -- what connection.c and door.c share; for nobody else. */
#ifndef RECEIVER_CONNECTION_H
#define RECEIVER_CONNECTION_H

#include "receiver/milter.h"
#include "receiver/receiver.h"

struct conn {
	struct conn_mail mail;		/* the context of the session */
	struct conn *prev, *next;	/* of all; next also of the doomed */
	struct door *door;
	struct transport t;
	struct event *readable, *writable;	/* writable: made when it is first needed */
	struct smtp_session s;
	struct milter *milter;		/* between the socket and s; NULL: the client speaks SMTP */
	int64_t progress;		/* when an MTA that waits was last told so; 0: never */
	struct buf in;			/* read, not yet taken */
	int64_t deadline;		/* clock_mono */
	int64_t body_since;
	uint64_t body_bytes;
	struct ip counted;		/* as whose session it counts; family 0: nobody's yet */
	bool proxied;			/* the PROXY header is not complete yet */
	bool reading, writing;		/* events in the loop */
	bool eof;
	bool handshaking;		/* TLS: the session waits for its end */
	bool lingering;
	bool closed;
};

/* ---- connection.c ---- */
struct conn *conn_new(struct door *d, int fd, struct ip ip, uint16_t port);
/* What is to be written. */
static inline struct buf *
conn_out(struct conn *c)
{
	return c->milter ? &c->milter->out : &c->s.out;
}
void conn_close(struct conn *c);
void conn_want_read(struct conn *c, bool on);
void conn_input(struct conn *c, enum smtp_input_kind kind, const struct smtp_reply *r,
    uint64_t ticket);
/* A session more or less of this client; how many it has, over all receivers. */
uint32_t client_count(struct receiver *rx, struct ip ip, int by);
void conn_count(struct conn *c, struct ip ip);		/* it counts as his from now on */
void session_count(struct door *d, int by);

/* ---- door.c ---- */
void proxy_input(struct conn *c);			/* more of the header has come */
void proxy_failed(struct conn *c, const char *why);

#endif
