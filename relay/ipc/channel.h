/* channel.h -- frames over a socketpair: a plain core, and the same in an event loop.
 *
 * struct chan knows no event loop: blocking roles (scanner, store) poll its
 * descriptor themselves. struct link is a chan in libevent: frames pushed
 * during one turn leave together at its end, in as few sendmsg calls as the
 * descriptors among them allow; callbacks never run from within link_send.
 */
#ifndef IPC_CHANNEL_H
#define IPC_CHANNEL_H

#include "buf.h"
#include "ipc/frame.h"
#include "postern/err.h"

struct event_base;

#define CHAN_FDS_MAX 64			/* descriptors waiting in one direction */
#define CHAN_BACKLOG_MAX (256u << 20)	/* bytes waiting to be sent; beyond it push fails */

struct chan {
	int fd;
	enum role self, peer;
	struct buf in, out;
	int in_fds[CHAN_FDS_MAX];
	size_t n_in_fds;
	struct { uint64_t at; int fd; } out_fds[CHAN_FDS_MAX];	/* at: stream offset of the frame's first byte */
	size_t n_out_fds;
	uint64_t out_sent;	/* stream offset of the first byte still in `out` */
	size_t taken;		/* bytes of the frame handed out last */
	bool secret_in, secret_out;	/* that frame, something in `out`: wiped when it is done with */
};

/* Takes the descriptor. */
void chan_init(struct chan *c, int fd, enum role self, enum role peer);
void chan_release(struct chan *c);		/* closes everything */
/* Reads what is there: 1 something, 0 nothing (EAGAIN), -1 end or error (err->code 0: clean end). */
int chan_fill(struct chan *c, struct err *err);
/* 1 a frame, 0 none complete, -1 the peer broke the rules (says how). A descriptor left in
 * f->fd of the frame before is closed by the next call. */
int chan_next(struct chan *c, struct frame *f, struct err *err);
/* Copies the body; takes fd (-1: none; closed once sent). -1: backlog full or too large; fd is closed. */
int chan_push(struct chan *c, enum frame_type type, uint64_t ticket, struct span body, int fd);
/* 0 all sent, 1 the socket is full, -1 error (err->code 0: the peer has closed; there may be
 * frames of it yet to be read). */
int chan_flush(struct chan *c, struct err *err);
/* What waits to be sent is given up, its descriptors closed: nobody reads any more. */
void chan_drop_out(struct chan *c);
/* Blocking helper: waits (poll) until a frame is there; 1, 0 on timeout (ms, -1 for ever), -1. */
int chan_wait(struct chan *c, struct frame *f, int timeout_ms, struct err *err);

struct link;
struct link_ops {
	/* May call link_close. */
	void (*frame)(void *ctx, struct link *l, struct frame *f);
	/* The peer is gone (or was cut off for breaking the rules); the link is freed at the end
	 * of the turn and must be forgotten now. Not called after link_close. */
	void (*closed)(void *ctx, struct link *l, const struct err *why);
};
/* Takes fd. instance: which process of that role. */
struct link *link_new(struct event_base *base, int fd, enum role self, enum role peer,
    uint32_t instance, const struct link_ops *ops, void *ctx);
void link_close(struct link **l);	/* NULL-safe; freed at the end of the turn */
/* -1: backlog full; fd is closed in any case once sent or failed. */
int link_send(struct link *l, enum frame_type type, uint64_t ticket, struct span body, int fd);
void link_flush(struct link *l);	/* now, not at the end of the turn */
enum role link_peer(const struct link *l);
uint32_t link_instance(const struct link *l);
size_t link_backlog(const struct link *l);
void *link_data(const struct link *l);		/* the user's own pointer, NULL at first */
void link_set_data(struct link *l, void *data);

#endif
