/* apart_child.c -- a searcher, and the keeper that forks searchers; see apart.h.
 *
 * Both end when the store closes its end of their socket. Neither returns to the store's event loop, and
 * neither has a descriptor of the store's but the log. A searcher that has opened the database
 * can open nothing more. What it answers is what the store itself would, by the same functions: its struct store
 * has a database, and nothing that waits.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "store/apart.h"
#include "store/db_keys.h"

#define CLOSE_ALL 4096
#define LINK_FD 3

static void
keep_only(int fd)
{
	static const struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	if (fd != LINK_FD && dup2(fd, LINK_FD) == -1)
		_exit(2);
	for (int i = LINK_FD + 1; i < CLOSE_ALL; i++)
		close(i);
}

static bool
read_all(void *to, size_t n)
{
	for (char *p = to; n;) {
		ssize_t r = recv(LINK_FD, p, n, 0);

		if (r == -1 && errno == EINTR)
			continue;
		if (r <= 0)
			return false;
		p += r;
		n -= (size_t)r;
	}
	return true;
}

static bool
write_all(struct span s)
{
	while (s.n) {
		ssize_t r = send(LINK_FD, s.p, s.n, MSG_NOSIGNAL);

		if (r == -1 && errno == EINTR)
			continue;
		if (r <= 0)
			return false;
		s = span_from(s, (size_t)r);
	}
	return true;
}

static bool
answer(struct store *s, struct span request, uint32_t uid)
{
	struct asked q = { .s = s, .uid = uid, .reply = reply_gather() };
	struct jval *v;
	struct apart_head h;
	struct err err;
	bool ok;

	s->unwritten = false;
	q.arena = arena_new(0);
	q.req = v = jval_parse(request, &err);
	if (v == NULL || principal_read(v, uid, q.arena, &q.who, &err) == -1)
		say_error(&q, err.text);
	else
		store_dispatch(&q, -1);
	ASSERT(q.reply != NULL);	/* apart_take's commands answer at once */
	h = (struct apart_head){ 0, 0, s->unwritten ? APART_YOURS : APART_ANSWER };
	if (!s->unwritten)
		h.size = (uint32_t)buf_size(reply_buf(q.reply));
	ok = write_all(span_make((const char *)&h, sizeof(h))) &&
	    (h.size == 0 || write_all(buf_data(reply_buf(q.reply))));
	jval_free(&v);
	arena_free(&q.arena);
	reply_end(&q.reply);
	return ok;
}

/* The answer's head carries it; a head without one says that there is none. */
static bool
send_book(int fd)
{
	struct apart_head h = { 0, 0, APART_BOOK };
	struct iovec iov = { &h, sizeof(h) };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .room = { 0 } };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	if (fd != -1) {
		m.msg_control = control.room;
		m.msg_controllen = sizeof(control.room);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	return sendmsg(LINK_FD, &m, MSG_NOSIGNAL) == (ssize_t)sizeof(h);
}

static bool
make_book(struct store *s, struct span request)
{
	uint64_t generation;
	struct err err;
	int fd = -1;
	bool ok;

	if (request.n != sizeof(generation))
		return false;
	memcpy(&generation, request.p, sizeof(generation));
	if (lists_write(s->db, generation, &fd, &err) == -1)
		log_warn("the lists of senders: %s", err.text);
	ok = send_book(fd);
	if (fd != -1)
		close(fd);
	return ok;
}

static _Noreturn void
searcher(int fd, const struct store *of)
{
	static const struct sandbox box = { 0 };
	static const struct sandbox_paths nothing = { NULL, NULL };
	struct store s = { .rt = of->rt, .keys = of->keys, .reads = true };
	static char request[APART_REQUEST_MAX];
	struct apart_head h;
	const char *missing;
	struct err err;

	signal(SIGCHLD, SIG_DFL);
	keep_only(fd);
	if ((s.db = db_open_reader(of->rt->conf->store_path, &err)) == NULL) {
		log_warn("a searcher: %s", err.text);
		_exit(1);
	}
	db_use_keys(s.db, s.keys);
	if (sandbox_enter(&box, &nothing, &missing, &err) == -1) {
		log_warn("a searcher: %s", err.text);
		_exit(1);
	}
	while (read_all(&h, sizeof(h)) && h.size <= sizeof(request) && read_all(request, h.size)) {
		struct span asked = span_make(request, h.size);

		alarm(h.what == APART_MAKE ? APART_ALARM_BOOK : APART_ALARM);	/* its default: the end */
		if (!(h.what == APART_MAKE ? make_book(&s, asked) : answer(&s, asked, h.uid)))
			break;
		alarm(0);
	}
	_exit(0);
}

static int
take_fd(void)
{
	char one;
	struct iovec iov = { &one, 1 };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	struct cmsghdr *c;
	int fd;
	ssize_t n;

	do
		n = recvmsg(LINK_FD, &m, 0);
	while (n == -1 && errno == EINTR);
	c = n == 1 ? CMSG_FIRSTHDR(&m) : NULL;
	if (c == NULL || c->cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

void
apart_keep(int fd, const struct store *s)
{
	keep_only(fd);
	signal(SIGCHLD, SIG_IGN);	/* nobody waits for them */
	signal(SIGALRM, SIG_DFL);
	while ((fd = take_fd()) != -1) {
		if (fork() == 0)
			searcher(fd, s);
		close(fd);
	}
	_exit(0);
}
