/* apart.c -- the store's side of its searchers; see apart.h. */
#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "store/apart.h"

#define CHUNK ((size_t)64 << 10)
#define END_US (2 * US_PER_SEC)	/* for a search under way, when the store ends */

struct question {
	struct span request;	/* malloc'ed */
	uint32_t uid;
	struct reply *reply;	/* NULL: a book is to be made */
	apart_made *made;
	struct question *next;
};

struct searcher {
	struct apart *apart;
	int fd;			/* -1: none */
	struct event *readable;
	struct question *asked;	/* NULL: it is idle */
	int64_t since;		/* clock_mono: when it was asked */
	struct buf in;
	int book;		/* a descriptor that came; -1 none */
	bool old;		/* to end after what it does */
};

struct apart {
	struct store *s;
	int keeper;		/* -1: gone */
	struct searcher all[SEARCHERS];
	struct question *first, **last;
	size_t waiting;
};

static void dispatch(struct apart *a);

struct apart *
apart_new(struct store *s)
{
	struct apart *a;
	int sv[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1) {
		log_warn("searches hold up the store: %s", strerror(errno));
		return NULL;
	}
	pid = fork();
	if (pid == 0)
		apart_keep(sv[1], s);
	close(sv[1]);
	if (pid == -1) {
		log_warn("searches hold up the store: fork: %s", strerror(errno));
		close(sv[0]);
		return NULL;
	}
	a = calloc(1, sizeof(*a));
	ASSERT(a != NULL);
	a->s = s;
	a->keeper = sv[0];
	a->last = &a->first;
	for (int i = 0; i < SEARCHERS; i++) {
		a->all[i].fd = a->all[i].book = -1;
		a->all[i].apart = a;
	}
	return a;
}

/* ---- questions ---- */

static void
question_end(struct question *k)
{
	reply_end(&k->reply);
	free((void *)(uintptr_t)k->request.p);
	free(k);
}

static void
question_error(struct apart *a, struct question *k, const char *code, const char *text)
{
	struct json j;

	if (k->reply == NULL) {
		apart_made *made = k->made;

		question_end(k);
		if (made)
			made(a->s, -1);
		return;
	}
	j = open_line(k->reply);
	json_kcstr(&j, "error", text);
	json_kcstr(&j, "code", code);
	close_line(k->reply, &j);
	question_end(k);
}

/* In the store's own loop, as if there were nobody else. */
static void
answer_here(struct apart *a, struct question *k)
{
	struct asked q = { .s = a->s, .uid = k->uid, .reply = k->reply };
	struct jval *v;
	struct err err;

	if (k->reply == NULL) {
		question_error(a, k, NULL, NULL);
		return;
	}
	k->reply = NULL;
	q.arena = arena_new(0);
	q.req = v = jval_parse(k->request, &err);
	ASSERT(v != NULL);	/* it was read before it was asked elsewhere */
	if (principal_read(v, k->uid, q.arena, &q.who, &err) == -1)
		say_error(&q, err.text);
	else
		store_dispatch(&q, -1);
	jval_free(&v);
	arena_free(&q.arena);
	reply_end(&q.reply);
	question_end(k);
}

/* ---- searchers ---- */

static void
searcher_close(struct searcher *w)
{
	event_free(w->readable);
	close(w->fd);
	if (w->book != -1)
		close(w->book);
	w->book = -1;
	buf_release(&w->in);
	w->readable = NULL;
	w->fd = -1;
	w->old = false;
}

static void
searcher_gone(struct searcher *w)
{
	struct question *k = w->asked;

	w->asked = NULL;
	searcher_close(w);
	if (k) {
		log_warn("a search ended its process");
		question_error(w->apart, k, "busy", "the search was ended: it took too long; name an address, a rarer word, a time");
	}
}

/* false: the answer is not there as a whole. */
static bool
answered(struct searcher *w)
{
	struct span s = buf_data(&w->in);
	struct question *k = w->asked;
	struct apart_head h;

	if (s.n < sizeof(h))
		return false;
	memcpy(&h, s.p, sizeof(h));
	if (s.n < sizeof(h) + h.size)
		return false;
	w->asked = NULL;
	if (h.what == APART_YOURS) {
		answer_here(w->apart, k);
	} else if (k->reply == NULL) {
		apart_made *made = k->made;
		int fd = w->book;

		w->book = -1;
		question_end(k);
		made(w->apart->s, fd);
	} else {
		buf_span(reply_buf(k->reply), span_sub(s, sizeof(h), h.size));
		question_end(k);
	}
	buf_reset(&w->in);
	if (w->old)
		searcher_close(w);
	return true;
}

/* Bytes, and the descriptor that may come with them. */
static ssize_t
receive(struct searcher *w, char *room)
{
	struct iovec iov = { room, CHUNK };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	ssize_t n = recvmsg(w->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
		if (w->book != -1)
			close(w->book);
		memcpy(&w->book, CMSG_DATA(c), sizeof(w->book));
	}
	return n;
}

static void
on_answer(evutil_socket_t fd, short what, void *arg)
{
	struct searcher *w = arg;
	struct apart *a = w->apart;
	char *room = buf_room(&w->in, CHUNK);
	ssize_t n = room ? receive(w, room) : 0;

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		buf_commit(&w->in, (size_t)n);
	if (n <= 0 || w->asked == NULL)		/* it speaks out of turn */
		searcher_gone(w);
	else if (!answered(w))
		return;
	dispatch(a);
}

/* The keeper gets one end of a pair, and forks one who has it. */
static int
searcher_start(struct apart *a, struct searcher *w)
{
	char one = 1;
	struct iovec iov = { &one, 1 };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .room = { 0 } };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int sv[2];
	ssize_t n;

	if (a->keeper == -1 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1)
		return -1;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &sv[1], sizeof(int));
	n = sendmsg(a->keeper, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(sv[1]);
	if (n != 1) {
		log_warn("searches hold up the store from now on: %s", strerror(errno));
		close(a->keeper);
		a->keeper = -1;
		close(sv[0]);
		return -1;
	}
	w->fd = sv[0];
	buf_init(&w->in, (size_t)64 << 20);
	w->readable = event_new(a->s->rt->base, w->fd, EV_READ | EV_PERSIST, on_answer, w);
	ASSERT(w->readable != NULL);
	event_add(w->readable, NULL);
	return 0;
}

static bool
send_question(struct searcher *w, const struct question *k)
{
	struct apart_head h = { (uint32_t)k->request.n, k->uid, k->reply ? APART_ASK : APART_MAKE };
	struct iovec iov[2] = { { &h, sizeof(h) }, { (void *)(uintptr_t)k->request.p, k->request.n } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };

	/* An idle one has an empty socket, and the question is smaller than its buffer. */
	return sendmsg(w->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)(sizeof(h) + k->request.n);
}

static struct searcher *
idle(struct apart *a)
{
	for (int i = 0; i < SEARCHERS; i++)
		if (a->all[i].fd != -1 && a->all[i].asked == NULL)
			return &a->all[i];
	for (int i = 0; i < SEARCHERS; i++)
		if (a->all[i].fd == -1)
			return searcher_start(a, &a->all[i]) == 0 ? &a->all[i] : NULL;
	return NULL;
}

static bool
any(const struct apart *a)
{
	for (int i = 0; i < SEARCHERS; i++)
		if (a->all[i].fd != -1)
			return true;
	return false;
}

static void
dispatch(struct apart *a)
{
	while (a->first) {
		struct searcher *w = idle(a);
		struct question *k = a->first;

		if (w == NULL && any(a))
			return;
		if ((a->first = k->next) == NULL)
			a->last = &a->first;
		a->waiting--;
		if (w == NULL) {
			answer_here(a, k);
		} else if (send_question(w, k)) {
			w->asked = k;
			w->since = clock_mono();
		} else {	/* it died while it was idle */
			searcher_close(w);
			answer_here(a, k);
		}
	}
}

/* ---- which ---- */

/* They read the database alone. */
static const char *const commands[] = { "trace", "explain", "overview", "kept.list", "held.list",
	"quarantine.list", "audit.list", "audit.verify", "incidents.list", "incidents.rules", "policy.hits" };

static void
question_put(struct apart *a, struct question *k, struct span request)
{
	k->request = span_make(malloc(request.n + 1), request.n);
	ASSERT(k->request.p != NULL);
	memcpy((void *)(uintptr_t)k->request.p, request.p, request.n);
	*a->last = k;
	a->last = &k->next;
	a->waiting++;
	dispatch(a);
}

bool
apart_take(struct asked *q, struct span request)
{
	struct apart *a = q->s->apart;
	struct span cmd = jval_text(q->req, "cmd");
	struct question *k;
	size_t i = 0;

	while (i < sizeof(commands) / sizeof(commands[0]) && !span_is(cmd, commands[i]))
		i++;
	if (a == NULL || i == sizeof(commands) / sizeof(commands[0]) || request.n > APART_REQUEST_MAX ||
	    (a->keeper == -1 && !any(a)))
		return false;
	k = calloc(1, sizeof(*k));
	ASSERT(k != NULL);
	k->reply = q->reply;
	q->reply = NULL;
	if (a->waiting == APART_WAITING_MAX) {
		question_error(a, k, "busy", "too many searches wait; try again in a moment");
		return true;
	}
	store_settle(q->s);
	store_flush(q->s);	/* what came a moment ago is asked for most */
	k->uid = q->uid;
	question_put(a, k, request);
	return true;
}

bool
apart_book(struct apart *a, uint64_t generation, apart_made *done)
{
	struct question *k;

	if (a == NULL || (a->keeper == -1 && !any(a)) || a->waiting == APART_WAITING_MAX)
		return false;
	k = calloc(1, sizeof(*k));
	ASSERT(k != NULL);
	k->made = done;
	question_put(a, k, span_make((const char *)&generation, sizeof(generation)));
	return true;
}

void
apart_tick(struct apart *a)
{
	for (int i = 0; a && i < SEARCHERS; i++)
		if (a->all[i].asked && clock_mono() - a->all[i].since > (APART_GIVEN_UP +
		    (a->all[i].asked->reply ? APART_ALARM : APART_ALARM_BOOK)) * US_PER_SEC)
			searcher_gone(&a->all[i]);
	if (a)
		dispatch(a);
}

void
apart_renew(struct apart *a)
{
	for (int i = 0; a && i < SEARCHERS; i++)
		if (a->all[i].fd != -1 && a->all[i].asked)
			a->all[i].old = true;
		else if (a->all[i].fd != -1)
			searcher_close(&a->all[i]);
}

/* They close the database before the store does: the last one to leave takes the log (WAL) into the file. */
static void
await_end(struct searcher *w, int64_t until)
{
	struct pollfd p = { .fd = w->fd, .events = POLLIN };
	char rest[4096];

	shutdown(w->fd, SHUT_WR);
	for (int64_t left; (left = until - clock_mono()) > 0;) {
		if (poll(&p, 1, (int)(left / 1000)) == 1 && recv(w->fd, rest, sizeof(rest), MSG_DONTWAIT) <= 0)
			return;
	}
}

void
apart_free(struct apart **ap)
{
	int64_t until = clock_mono() + END_US;

	struct apart *a = *ap;

	*ap = NULL;
	if (a == NULL)
		return;
	for (int i = 0; i < SEARCHERS; i++)
		if (a->all[i].fd != -1) {
			if (a->all[i].asked)
				a->all[i].asked->made = NULL;
			if (a->all[i].asked)
				question_error(a, a->all[i].asked, "busy", "Postern is being stopped; try again in a moment");
			await_end(&a->all[i], until);
			searcher_close(&a->all[i]);
		}
	for (struct question *k = a->first, *next; k; k = next) {
		next = k->next;
		k->made = NULL;
		question_error(a, k, "busy", "Postern is being stopped; try again in a moment");
	}
	if (a->keeper != -1)
		close(a->keeper);
	free(a);
}
