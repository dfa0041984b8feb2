/* chan.c -- frames over a stream socketpair, without an event loop.
 *
 * Descriptors: the kernel never joins data sent with SCM_RIGHTS to data sent
 * before it, nor reads past it in one recvmsg, and hands descriptors over in
 * order. So a frame that carries one is the first thing of its sendmsg, and
 * the reader takes them from a queue as the heads ask for them.
 *
 * A frame is checked against the table before anyone sees it: type, who may
 * send it to whom, size of its body, number of descriptors.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "clock.h"
#include "ipc/channel.h"
#include "log.h"

#define READ_CHUNK (64u << 10)
#define KEEP_BUFFER (256u << 10)	/* memory an idle channel may keep */

void
chan_init(struct chan *c, int fd, enum role self, enum role peer)
{
	memset(c, 0, sizeof(*c));
	c->fd = fd;
	c->self = self;
	c->peer = peer;
	buf_init(&c->in, 2 * (FRAME_BIG + sizeof(struct frame_head)) + READ_CHUNK);
	buf_init(&c->out, CHAN_BACKLOG_MAX);
}

void
chan_release(struct chan *c)
{
	for (size_t i = 0; i < c->n_in_fds; i++)
		close(c->in_fds[i]);
	for (size_t i = 0; i < c->n_out_fds; i++)
		close(c->out_fds[i].fd);
	c->n_in_fds = c->n_out_fds = 0;
	buf_release(&c->in);
	buf_release(&c->out);
	if (c->fd != -1)
		close(c->fd);
	c->fd = -1;
}

/* Passwords do not stay in buffers. */
static bool
is_secret(enum frame_type t)
{
	return t == FRAME_LOGIN || t == FRAME_PERSON_ASK || t == FRAME_SCRYPT || t == FRAME_ENTER || t == FRAME_AS ||
	    t == FRAME_CLIENT || t == FRAME_OIDC_ASK;
}

static void
drop_taken(struct chan *c)
{
	if (c->taken) {
		if (c->secret_in)
			explicit_bzero(c->in.p + c->in.head, c->taken);
		c->secret_in = false;
		buf_consume(&c->in, c->taken);
		c->taken = 0;
		if (buf_size(&c->in) == 0 && c->in.cap > KEEP_BUFFER)
			buf_release(&c->in);
	}
}

static int
take_fds(struct chan *c, struct msghdr *mh, struct err *err)
{
	for (struct cmsghdr *cm = CMSG_FIRSTHDR(mh); cm; cm = CMSG_NXTHDR(mh, cm)) {
		size_t n;

		if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
			continue;
		n = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(cm) + i * sizeof(int), sizeof(int));
			if (c->n_in_fds == CHAN_FDS_MAX) {
				close(fd);
				err_set(err, EPROTO, "too many descriptors in flight");
				continue;
			}
			c->in_fds[c->n_in_fds++] = fd;
		}
	}
	if (mh->msg_flags & MSG_CTRUNC)
		return err_set(err, EPROTO, "descriptors were lost on the way");
	return 0;
}

int
chan_fill(struct chan *c, struct err *err)
{
	union {
		char space[CMSG_SPACE(sizeof(int) * 8)];
		struct cmsghdr align;
	} ctl;
	struct iovec iov;
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	drop_taken(c);
	iov.iov_base = buf_room(&c->in, READ_CHUNK);
	if (iov.iov_base == NULL)
		return err_set(err, EPROTO, "a frame larger than any may be");
	iov.iov_len = c->in.cap - c->in.n;
	if (iov.iov_len > FRAME_BIG)
		iov.iov_len = FRAME_BIG;
	mh.msg_control = ctl.space;
	mh.msg_controllen = sizeof(ctl.space);
	do
		n = recvmsg(c->fd, &mh, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (n == -1 && errno == EINTR);
	if (n == -1) {
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			return 0;
		return err_errno(err, "channel to %s", role_name(c->peer));
	}
	if (n == 0)
		return err_set(err, 0, "channel to %s closed", role_name(c->peer));
	buf_commit(&c->in, (size_t)n);
	return take_fds(c, &mh, err) == -1 ? -1 : 1;
}

static int
head_check(const struct chan *c, const struct frame_head *h, struct err *err)
{
	const struct frame_rule *r = frame_rule(h->type);

	if (r == NULL)
		return err_set(err, EPROTO, "frame of unknown type %u", h->type);
	if (!(r->from & (1u << c->peer)) || !(r->to & (1u << c->self)))
		return err_set(err, EPROTO, "%s may not send %s to %s", role_name(c->peer),
		    r->name, role_name(c->self));
	if (h->size > r->max_body)
		return err_set(err, EPROTO, "%s of %u bytes is too large", r->name, h->size);
	if (h->nfds > r->max_fds)
		return err_set(err, EPROTO, "%s with %u descriptors", r->name, h->nfds);
	return 0;
}

int
chan_next(struct chan *c, struct frame *f, struct err *err)
{
	struct frame_head h;
	struct span in;

	if (f->fd != -1)
		close(f->fd);
	*f = (struct frame){ .fd = -1 };
	drop_taken(c);
	in = buf_data(&c->in);
	if (in.n < sizeof(h))
		return 0;
	memcpy(&h, in.p, sizeof(h));
	if (head_check(c, &h, err) == -1)
		return -1;
	if (in.n - sizeof(h) < h.size)
		return 0;
	if (h.nfds) {
		/* The descriptor came with the head's first byte. */
		if (c->n_in_fds == 0)
			return err_set(err, EPROTO, "%s without its descriptor",
			    frame_name((enum frame_type)h.type));
		f->fd = c->in_fds[0];
		c->n_in_fds--;
		memmove(c->in_fds, c->in_fds + 1, c->n_in_fds * sizeof(int));
	}
	f->type = (enum frame_type)h.type;
	f->ticket = h.ticket;
	f->body = span_sub(span_from(in, sizeof(h)), 0, h.size);
	c->taken = sizeof(h) + h.size;
	c->secret_in = is_secret(f->type);
	return 1;
}

int
chan_push(struct chan *c, enum frame_type type, uint64_t ticket, struct span body, int fd)
{
	const struct frame_rule *r = frame_rule((uint16_t)type);
	struct frame_head h = { (uint32_t)body.n, (uint16_t)type, fd == -1 ? 0 : 1, ticket };
	char *to;

	ASSERT(r && (r->from & (1u << c->self)) && (r->to & (1u << c->peer)));
	ASSERT(fd == -1 || r->max_fds > 0);
	if (body.n > r->max_body || (fd != -1 && c->n_out_fds == CHAN_FDS_MAX) ||
	    buf_size(&c->out) + sizeof(h) + body.n > CHAN_BACKLOG_MAX) {
		if (fd != -1)
			close(fd);
		return -1;
	}
	if (fd != -1) {
		c->out_fds[c->n_out_fds].at = c->out_sent + buf_size(&c->out);
		c->out_fds[c->n_out_fds++].fd = fd;
	}
	c->secret_out |= is_secret(type);
	to = buf_room(&c->out, sizeof(h) + body.n);
	ASSERT(to != NULL);
	memcpy(to, &h, sizeof(h));
	if (body.n)
		memcpy(to + sizeof(h), body.p, body.n);
	buf_commit(&c->out, sizeof(h) + body.n);
	return 0;
}

/* One sendmsg: up to the next frame that carries a descriptor. */
static ssize_t
send_some(struct chan *c)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} ctl;
	struct span out = buf_data(&c->out);
	struct iovec iov = { (void *)(uintptr_t)out.p, out.n };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	bool with_fd = c->n_out_fds && c->out_fds[0].at == c->out_sent;
	size_t next = with_fd ? 1 : 0;
	ssize_t n;

	if (next < c->n_out_fds && c->out_fds[next].at - c->out_sent < iov.iov_len)
		iov.iov_len = c->out_fds[next].at - c->out_sent;
	if (with_fd) {
		struct cmsghdr *cm;

		memset(&ctl, 0, sizeof(ctl));
		mh.msg_control = ctl.space;
		mh.msg_controllen = sizeof(ctl.space);
		cm = CMSG_FIRSTHDR(&mh);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cm), &c->out_fds[0].fd, sizeof(int));
	}
	do
		n = sendmsg(c->fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n == -1 && errno == EINTR);
	if (n > 0) {
		if (with_fd) {
			close(c->out_fds[0].fd);
			c->n_out_fds--;
			memmove(c->out_fds, c->out_fds + 1, c->n_out_fds * sizeof(c->out_fds[0]));
		}
		buf_consume(&c->out, (size_t)n);
		c->out_sent += (uint64_t)n;
	}
	return n;
}

int
chan_flush(struct chan *c, struct err *err)
{
	/* What others do about it is logged behind what we did. */
	if (buf_size(&c->out))
		log_flush();
	while (buf_size(&c->out)) {
		ssize_t n = send_some(c);

		if (n == -1) {
			if (errno == EAGAIN || errno == EWOULDBLOCK)
				return 1;
			if (errno == EPIPE || errno == ECONNRESET)
				return err_set(err, 0, "channel to %s closed", role_name(c->peer));
			return err_errno(err, "channel to %s", role_name(c->peer));
		}
	}
	if (c->secret_out)
		explicit_bzero(c->out.p, c->out.cap);
	c->secret_out = false;
	if (c->out.cap > KEEP_BUFFER)
		buf_release(&c->out);
	return 0;
}

void
chan_drop_out(struct chan *c)
{
	for (size_t i = 0; i < c->n_out_fds; i++)
		close(c->out_fds[i].fd);
	c->n_out_fds = 0;
	c->out_sent += buf_size(&c->out);
	if (c->secret_out)
		explicit_bzero(c->out.p, c->out.cap);
	c->secret_out = false;
	buf_reset(&c->out);
}

int
chan_wait(struct chan *c, struct frame *f, int timeout_ms, struct err *err)
{
	int64_t until = timeout_ms < 0 ? 0 : clock_mono() + (int64_t)timeout_ms * 1000;

	for (;;) {
		struct pollfd pfd = { .fd = c->fd, .events = POLLIN };
		int left = timeout_ms, r = chan_next(c, f, err);

		if (r != 0)
			return r;
		switch (chan_flush(c, err)) {
		case -1:
			return -1;
		case 1:
			pfd.events |= POLLOUT;
		}
		if (timeout_ms >= 0) {
			int64_t us = until - clock_mono();

			left = us <= 0 ? 0 : (int)((us + 999) / 1000);
		}
		r = poll(&pfd, 1, left);
		if (r == -1 && errno != EINTR)
			return err_errno(err, "poll");
		if (r == 0)
			return 0;
		if (r > 0 && (pfd.revents & (POLLIN | POLLHUP | POLLERR)) &&
		    chan_fill(c, err) == -1)
			return -1;
	}
}
