/* live.c -- GET /live: the journal as it grows, as server-sent events (HTML, 9.2).
 *
 * Each line of the command `tail` is one event. A comment goes out where nothing happens, so that what
 * lies between hears something. A client that does not read loses its connection, not our memory
 * (client_say). What may be seen is the store's to say, as for every command.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "console/routes.h"

#define LIVES_MAX 24		/* of all; the store follows for 32, the tool's among them */
#define LINE_MAX_BYTES ((size_t)1 << 20)
#define PIECE ((size_t)16 << 10)

struct live {
	struct client *k;
	int fd;
	struct event *ev;
	struct buf in;
};

void
live_free(struct live **lp)
{
	struct live *l = *lp;

	*lp = NULL;
	if (l == NULL)
		return;
	l->k->c->lives--;
	event_free(l->ev);
	close(l->fd);
	buf_release(&l->in);
	free(l);
}

void
live_beat(struct client *k)
{
	client_say(k, SPAN_LIT(": on\n\n"));
}

/* false: the client is gone. */
static bool
tell_lines(struct live *l)
{
	struct client *k = l->k;
	struct span in = buf_data(&l->in);
	size_t n;

	while ((n = span_find(in, '\n')) < in.n) {
		struct buf b;
		bool there;

		buf_init(&b, LINE_MAX_BYTES + 64);
		buf_puts(&b, "data: ");
		buf_span(&b, span_sub(in, 0, n));
		buf_puts(&b, "\n\n");
		there = client_say(k, buf_data(&b));
		buf_release(&b);
		if (!there)
			return false;
		buf_consume(&l->in, n + 1);
		in = buf_data(&l->in);
	}
	return true;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct live *l = arg;
	char *room = buf_room(&l->in, PIECE);
	ssize_t n = room ? read(l->fd, room, PIECE) : 0;

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_close(l->k);
		return;
	}
	buf_commit(&l->in, (size_t)n);
	tell_lines(l);
}

/* The store has what it is asked: its end of the pair is still open. */
void
live_start(struct client *k)
{
	struct runtime *rt = k->c->rt;
	struct msg_client m;
	struct buf b, frame;
	struct json j;
	struct live *l;
	int sv[2], r;

	if (k->c->lives >= LIVES_MAX || rt->master == NULL ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) == -1) {
		client_error(k, 503, "busy", "too many follow already");
		return;
	}
	buf_init(&b, FRAME_SMALL);
	buf_init(&frame, FRAME_BIG);
	api_command(k, &j, &b, k->route->command);
	json_end_object(&j);
	m = (struct msg_client){ .request = buf_data(&b) };
	client_encode(&frame, &m);
	r = link_send(rt->master, FRAME_AS, 0, buf_data(&frame), sv[1]);
	buf_release(&b);
	buf_release(&frame);
	if (r == -1) {
		close(sv[0]);
		client_error(k, 503, "busy", "the daemon cannot be asked now");
		return;
	}
	l = calloc(1, sizeof(*l));
	ASSERT(l != NULL);
	*l = (struct live){ .k = k, .fd = sv[0] };
	buf_init(&l->in, LINE_MAX_BYTES + PIECE);
	l->ev = event_new(rt->base, l->fd, EV_READ | EV_PERSIST, on_readable, l);
	ASSERT(l->ev != NULL);
	event_add(l->ev, NULL);
	k->live = l;
	k->c->lives++;
	if (client_live(k, "text/event-stream"))
		live_beat(k);
}
