/* filter.c -- one message on its way to a spam filter and back; see filter.h. */
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "addr.h"
#include "buf.h"
#include "clock.h"
#include "postern/err.h"
#include "verifier/filter.h"

#define READ_SIZE 4096

struct filter {
	const struct conf_filter *conf;
	struct arena *a;
	struct span raw;		/* what is still to be said of it */
	struct buf head, heard;
	int fd;
	struct event *io, *timer, *wake;
	bool over;
	struct facts facts;
	const char *why;
	filter_cb *cb;
	void *ctx;
};

static void
woken(evutil_socket_t fd, short what, void *arg)
{
	struct filter *f = arg;

	f->cb(f->ctx, &f->facts, f->why);
}

static void
over(struct filter *f, const char *why)
{
	if (f->over)
		return;
	f->over = true;
	f->why = why;
	if (why)
		f->facts = (struct facts){ 0 };
	if (f->io)
		event_del(f->io);
	event_del(f->timer);
	event_active(f->wake, EV_TIMEOUT, 0);
}

static void
late(evutil_socket_t fd, short what, void *arg)
{
	over(arg, "it takes too long");
}

/* false: over, or to be gone on with when there is room. */
static bool
say(struct filter *f)
{
	while (buf_size(&f->head) || f->raw.n) {
		struct span head = buf_data(&f->head);
		struct iovec v[2] = { { (void *)(uintptr_t)head.p, head.n },
			{ (void *)(uintptr_t)f->raw.p, f->raw.n } };
		struct msghdr msg = { .msg_iov = v + (head.n == 0), .msg_iovlen = head.n ? 2 : 1 };
		ssize_t n = sendmsg(f->fd, &msg, MSG_NOSIGNAL);

		if (n == -1) {
			if (errno == EINTR)
				continue;
			if (errno != EAGAIN)
				over(f, strerror(errno));
			return false;
		}
		if ((size_t)n <= head.n)
			buf_consume(&f->head, (size_t)n);
		else {
			f->raw = span_from(f->raw, (size_t)n - head.n);
			buf_consume(&f->head, head.n);
		}
	}
	return true;
}

static void
hear(struct filter *f)
{
	for (;;) {
		char *room = buf_room(&f->heard, READ_SIZE);
		ssize_t n;

		if (room == NULL) {
			over(f, "the answer is too long");
			return;
		}
		n = recv(f->fd, room, READ_SIZE, 0);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EAGAIN)
			return;
		if (n == -1) {
			over(f, strerror(errno));
			return;
		}
		buf_commit(&f->heard, (size_t)n);
		switch (filter_heard(f->conf, buf_data(&f->heard), n == 0, f->a, &f->facts, &f->why)) {
		case FILTER_MORE:
			break;
		case FILTER_SAID:
			over(f, NULL);
			return;
		case FILTER_NONSENSE:
			over(f, f->why);
			return;
		}
	}
}

static void
ready(evutil_socket_t fd, short what, void *arg)
{
	struct filter *f = arg;

	if ((what & EV_WRITE) && say(f)) {
		struct event_base *base = event_get_base(f->io);

		/* spamd reads to the end of what we say. */
		if (f->conf->kind == FILTER_SPAMD)
			shutdown(f->fd, SHUT_WR);
		event_free(f->io);
		f->io = event_new(base, f->fd, EV_READ | EV_PERSIST, ready, f);
		ASSERT(f->io != NULL);
		event_add(f->io, NULL);
	}
	if ((what & EV_READ) && !f->over)
		hear(f);
}

static const char *
begin(struct filter *f, struct event_base *base)
{
	const struct conf_host *h = &f->conf->host;
	struct sockaddr_storage ss;
	socklen_t n = ip_to_sockaddr(h->ip, h->port, &ss);
	int one = 1;

	f->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (f->fd == -1)
		return strerror(errno);
	setsockopt(f->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(f->fd, (struct sockaddr *)&ss, n) == -1 && errno != EINPROGRESS)
		return strerror(errno);
	f->io = event_new(base, f->fd, EV_READ | EV_WRITE | EV_PERSIST, ready, f);
	ASSERT(f->io != NULL);
	event_add(f->io, NULL);
	return NULL;
}

struct filter *
filter_ask(struct event_base *base, const struct conf_filter *conf,
    const struct msg_identify *who, struct span raw, struct arena *a, filter_cb *cb, void *ctx)
{
	struct filter *f = calloc(1, sizeof(*f));
	struct timeval tv = { conf->timeout / US_PER_SEC, conf->timeout % US_PER_SEC };
	const char *why;

	ASSERT(f != NULL);
	*f = (struct filter){ .conf = conf, .a = a, .raw = raw, .fd = -1, .cb = cb, .ctx = ctx };
	buf_init(&f->head, 64u << 10);
	buf_init(&f->heard, FILTER_REPLY_MAX + READ_SIZE);
	f->timer = evtimer_new(base, late, f);
	f->wake = event_new(base, -1, 0, woken, f);
	ASSERT(f->timer != NULL && f->wake != NULL);
	event_add(f->timer, &tv);
	filter_question(&f->head, conf, who, raw.n);
	if ((why = begin(f, base)) != NULL)
		over(f, why);
	return f;
}

void
filter_cancel(struct filter **fp)
{
	struct filter *f = *fp;

	*fp = NULL;
	if (f == NULL)
		return;
	if (f->io)
		event_free(f->io);
	event_free(f->timer);
	event_free(f->wake);
	if (f->fd != -1)
		close(f->fd);
	buf_release(&f->head);
	buf_release(&f->heard);
	free(f);
}
