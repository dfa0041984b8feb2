/* reply.c -- answers to control clients, written without blocking; see runtime.h. */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>

#include "json.h"
#include "master/runtime.h"

#define REPLY_MAX ((size_t)64 << 20)

struct reply {
	struct runtime *rt;
	int fd;
	struct buf out;
	struct event *writable;
	bool ended;
};

static void
reply_free(struct reply *r)
{
	if (r->writable)
		event_free(r->writable);
	if (r->fd != -1)
		close(r->fd);
	buf_release(&r->out);
	free(r);
}

/* false: the client is gone. */
static bool
write_some(struct reply *r)
{
	while (buf_size(&r->out)) {
		struct span s = buf_data(&r->out);
		ssize_t n = write(r->fd, s.p, s.n);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return errno == EAGAIN || errno == EWOULDBLOCK;
		buf_consume(&r->out, (size_t)n);
	}
	return true;
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct reply *r = arg;

	if (!write_some(r))
		buf_reset(&r->out);
	if (buf_size(&r->out) == 0) {
		event_del(r->writable);
		if (r->ended)
			reply_free(r);
	}
}

struct reply *
reply_new(struct runtime *rt, int fd)
{
	struct reply *r = calloc(1, sizeof(*r));

	ASSERT(r != NULL);
	r->rt = rt;
	r->fd = fd;
	buf_init(&r->out, REPLY_MAX);
	evutil_make_socket_nonblocking(fd);
	r->writable = event_new(rt->base, fd, EV_WRITE | EV_PERSIST, on_writable, r);
	ASSERT(r->writable != NULL);
	return r;
}

struct reply *
reply_gather(void)
{
	struct reply *r = calloc(1, sizeof(*r));

	ASSERT(r != NULL);
	r->fd = -1;
	buf_init(&r->out, REPLY_MAX);
	return r;
}

struct buf *
reply_buf(struct reply *r)
{
	return &r->out;
}

void
reply_send(struct reply *r)
{
	if (r->fd != -1 && buf_size(&r->out))
		event_add(r->writable, NULL);
}

void
reply_end(struct reply **rp)
{
	struct reply *r = *rp;

	*rp = NULL;
	if (r == NULL)
		return;
	r->ended = true;
	if (r->fd == -1 || !write_some(r) || buf_size(&r->out) == 0)
		reply_free(r);
	else
		event_add(r->writable, NULL);
}

void
reply_error(struct runtime *rt, int fd, const char *why)
{
	struct reply *r = reply_new(rt, fd);
	struct json j;

	json_begin(&j, reply_buf(r));
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kcstr(&j, "error", why);
	json_end_object(&j);
	buf_putc(reply_buf(r), '\n');
	reply_end(&r);
}
