/* link.c -- a chan in libevent; see channel.h.
 *
 * Frames pushed during a turn leave at its end: the first push of a turn
 * activates the link's own flush event, which has the lowest priority when
 * the base has priorities, and so runs after all that the turn read. A link
 * that ends is freed by an event of its own, never inside a callback of its user.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>

#include "ipc/channel.h"

#define FRAMES_PER_TURN 256	/* then others have their turn */

struct link {
	struct chan chan;
	struct event_base *base;
	struct event *readable, *writable, *flush;
	uint32_t instance;
	const struct link_ops *ops;
	void *ctx, *data;
	bool closing;		/* no callback any more */
	bool want_write;
	struct err why;
};

static void
link_free(struct link *l)
{
	event_free(l->readable);
	event_free(l->writable);
	event_free(l->flush);
	chan_release(&l->chan);
	free(l);
}

/* The user is told, then the flush event frees the link at the end of the turn. */
static void
link_broken(struct link *l)
{
	if (l->closing)
		return;
	l->closing = true;
	event_del(l->readable);
	event_del(l->writable);
	l->ops->closed(l->ctx, l, &l->why);
	event_active(l->flush, EV_TIMEOUT, 0);
}

static void
try_flush(struct link *l)
{
	switch (chan_flush(&l->chan, &l->why)) {
	case -1:
		/* The peer has closed, but what it said before that counts (the result of a
		 * delivery …): it is read to its end, which is on its way to us. */
		if (l->why.code != 0)
			link_broken(l);
		else
			chan_drop_out(&l->chan);
		break;
	case 0:
		if (l->want_write)
			event_del(l->writable);
		l->want_write = false;
		break;
	case 1:
		if (!l->want_write)
			event_add(l->writable, NULL);
		l->want_write = true;
	}
}

static void
on_flush(evutil_socket_t fd, short what, void *arg)
{
	struct link *l = arg;

	if (l->closing)
		link_free(l);
	else
		try_flush(l);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	try_flush(arg);
}

/* Frames that arrived together are handled together. */
static int
handle_frames(struct link *l)
{
	struct frame f = { .fd = -1 };
	int r = 0, n = 0;

	while (!l->closing && n++ < FRAMES_PER_TURN &&
	    (r = chan_next(&l->chan, &f, &l->why)) == 1)
		l->ops->frame(l->ctx, l, &f);
	if (f.fd != -1)
		close(f.fd);
	if (l->closing)
		return 0;
	return r;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct link *l = arg;
	int r, filled = 0;

	/* What is left of the last turn first: the buffer must not outgrow its bound. */
	r = handle_frames(l);
	if (r == 0 && !l->closing) {
		filled = chan_fill(&l->chan, &l->why);
		/* What came before the end counts. */
		r = handle_frames(l);
	}
	if (l->closing)
		return;
	if (r == -1 || (filled == -1 && r == 0))
		link_broken(l);
	else if (r == 1 && !l->closing)
		event_active(l->readable, EV_READ, 0);	/* more is decoded next turn */
}

struct link *
link_new(struct event_base *base, int fd, enum role self, enum role peer, uint32_t instance,
    const struct link_ops *ops, void *ctx)
{
	struct link *l = calloc(1, sizeof(*l));

	ASSERT(l != NULL);
	chan_init(&l->chan, fd, self, peer);
	l->base = base;
	l->instance = instance;
	l->ops = ops;
	l->ctx = ctx;
	evutil_make_socket_nonblocking(fd);
	l->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, l);
	l->writable = event_new(base, fd, EV_WRITE | EV_PERSIST, on_writable, l);
	l->flush = event_new(base, -1, 0, on_flush, l);
	ASSERT(l->readable && l->writable && l->flush);
	if (event_base_get_npriorities(base) > 1)
		event_priority_set(l->flush, event_base_get_npriorities(base) - 1);
	event_add(l->readable, NULL);
	return l;
}

void
link_close(struct link **lp)
{
	struct link *l = *lp;

	*lp = NULL;
	if (l == NULL || l->closing)
		return;
	chan_flush(&l->chan, NULL);
	l->closing = true;
	event_del(l->readable);
	event_del(l->writable);
	event_active(l->flush, EV_TIMEOUT, 0);
}

int
link_send(struct link *l, enum frame_type type, uint64_t ticket, struct span body, int fd)
{
	if (l->closing) {
		if (fd != -1)
			close(fd);
		return -1;
	}
	if (chan_push(&l->chan, type, ticket, body, fd) == -1)
		return -1;
	if (!l->want_write)
		event_active(l->flush, EV_TIMEOUT, 0);
	return 0;
}

void
link_flush(struct link *l)
{
	if (!l->closing)
		chan_flush(&l->chan, NULL);
}

enum role
link_peer(const struct link *l)
{
	return l->chan.peer;
}

uint32_t
link_instance(const struct link *l)
{
	return l->instance;
}

size_t
link_backlog(const struct link *l)
{
	return buf_size(&l->chan.out);
}

void *
link_data(const struct link *l)
{
	return l->data;
}

void
link_set_data(struct link *l, void *data)
{
	l->data = data;
}
