/* reader.c -- takes pictures from scanners, has each read by a child, answers; see reader.h.
 *
 * The parent never looks at a picture: it hands the descriptor to the child and
 * the child's bytes to the scanner. A child that crashes, hangs or eats memory costs
 * its picture; the answer then is that it was not read. Time is counted here, by
 * a clock the child cannot touch.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "fs.h"
#include "log.h"
#include "reader/reader.h"

#define GRACE_US (INT64_C(500) * 1000)	/* a child ends by itself before it is ended */
#define CLOSE_ALL 4096

struct child {
	struct child *next;
	pid_t pid;
	struct link *link;		/* who asked; NULL: it is gone */
	uint64_t ticket;
	int fd;
	struct event *readable, *late;
	struct buf text;
	struct runtime *rt;
};

struct reader {
	struct child *children;
	size_t n, npeers;
	uint64_t memory;		/* of the parent */
};

const struct reader_engine *reader_engine;

/* --- the child ----------------------------------------------------------------------------- */

static void
confine(int64_t ms, uint64_t memory)
{
	static const struct sandbox box = { .may = 0 };
	struct rlimit cpu = { (rlim_t)(ms / 1000 + 2), (rlim_t)(ms / 1000 + 2) }, none = { 0, 0 };
	struct rlimit data = { memory + READER_MEMORY, memory + READER_MEMORY };
	const char *missing;
	struct err err;

	setrlimit(RLIMIT_CORE, &none);
	setrlimit(RLIMIT_CPU, &cpu);
#ifndef POSTERN_SANITIZED
	setrlimit(RLIMIT_DATA, &data);
#else
	(void)data;
#endif
	if (sandbox_enter(&box, NULL, &missing, &err) == -1)
		_exit(3);
}

_Noreturn void
reader_child(int fd, uint64_t size, uint64_t pixels, int64_t ms, int out, uint64_t memory)
{
	enum picture_status status = PICTURE_NOT;
	char *text = NULL, first;
	const char *bytes;
	struct err err;

	confine(ms, memory);
	bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes != MAP_FAILED)
		status = reader_engine->read(bytes, size, pixels, ms, &text);
	first = (char)status;
	if (fs_write_all(out, &first, 1, &err) == -1 || (text &&
	    fs_write_all(out, text, strlen(text) < READER_TEXT ? strlen(text) : READER_TEXT, &err) == -1))
		_exit(1);
	_exit(0);
}

/* --- the parent ---------------------------------------------------------------------------------- */

/* Retired, it stays while a scanner may still have a question: those go over to the next reader
 * by themselves (scanner/pictures.c). */
static void
finish_if_alone(struct runtime *rt)
{
	struct reader *r = rt->state;

	if (rt->retiring && r->n == 0 && r->npeers == 0)
		runtime_finish(rt);
}

static void
child_end(struct child *c, bool late)
{
	struct reader *r = c->rt->state;
	struct span s = buf_data(&c->text);
	struct msg_picture_text m = { .status = PICTURE_NOT, .text = span_make("", 0) };
	struct buf body;
	int status = 0;

	kill(c->pid, SIGKILL);
	waitpid(c->pid, &status, 0);
	if (s.n && (unsigned char)s.p[0] < PICTURE_STATUSES && !late) {
		m.status = (uint8_t)s.p[0];
		m.text = span_from(s, 1);
	} else if (!late) {
		log_warn("the child of a picture ended: %s %d", WIFSIGNALED(status) ? "signal" : "status",
		    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	}
	if (c->link) {
		buf_init(&body, FRAME_BIG);
		picture_text_encode(&body, &m);
		link_send(c->link, FRAME_PICTURE_TEXT, c->ticket, buf_data(&body), -1);
		buf_release(&body);
	}
	for (struct child **pp = &r->children; *pp; pp = &(*pp)->next)
		if (*pp == c) {
			*pp = c->next;
			break;
		}
	r->n--;
	event_free(c->readable);
	event_free(c->late);
	close(c->fd);
	buf_release(&c->text);
	finish_if_alone(c->rt);
	free(c);
}

static void
on_readable(int fd, short what, void *arg)
{
	struct child *c = arg;
	char piece[16384];
	ssize_t n = read(fd, piece, sizeof(piece));

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0 && buf_put(&c->text, piece, (size_t)n) == 0)
		return;
	child_end(c, false);
}

static void
on_late(int fd, short what, void *arg)
{
	child_end(arg, true);
}

static void
refuse(struct link *l, uint64_t ticket)
{
	struct msg_picture_text m = { .status = PICTURE_NOT, .text = span_make("", 0) };
	struct buf body;

	buf_init(&body, FRAME_SMALL);
	picture_text_encode(&body, &m);
	link_send(l, FRAME_PICTURE_TEXT, ticket, buf_data(&body), -1);
	buf_release(&body);
}

static pid_t
child_fork(struct runtime *rt, const struct msg_picture *m, int fd, int out)
{
	struct reader *r = rt->state;
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	/* Two descriptors are all it needs: not even the log. */
	if (dup2(fd, 3) == -1 || dup2(out, 4) == -1)
		_exit(2);
	for (int i = 5; i < CLOSE_ALL; i++)
		close(i);
	reader_child(3, m->size, rt->conf->ocr.pixels, m->ms, 4, r->memory);
}

static int
on_frame(struct runtime *rt, struct link *l, struct frame *f)
{
	struct reader *r = rt->state;
	struct arena *a = arena_new(0);
	struct msg_picture m;
	struct timeval tv;
	struct child *c;
	int sv[2], rc = -1;

	if (f->type != FRAME_PICTURE || picture_decode(f->body, f->fd, a, &m) == -1)
		goto out;
	rc = 0;
	if (r->n == READER_CHILDREN || pipe2(sv, O_CLOEXEC) == -1) {
		refuse(l, f->ticket);
		goto out;
	}
	c = calloc(1, sizeof(*c));
	ASSERT(c != NULL);
	c->pid = child_fork(rt, &m, f->fd, sv[1]);
	close(sv[1]);
	if (c->pid == -1) {
		log_error("fork: %s", strerror(errno));
		close(sv[0]);
		free(c);
		refuse(l, f->ticket);
		goto out;
	}
	fcntl(sv[0], F_SETFL, O_NONBLOCK);
	c->rt = rt;
	c->link = l;
	c->ticket = f->ticket;
	c->fd = sv[0];
	buf_init(&c->text, READER_TEXT + 1);
	c->readable = event_new(rt->base, sv[0], EV_READ | EV_PERSIST, on_readable, c);
	c->late = event_new(rt->base, -1, 0, on_late, c);
	ASSERT(c->readable != NULL && c->late != NULL);
	tv = (struct timeval){ (m.ms * 1000 + GRACE_US) / US_PER_SEC, (m.ms * 1000 + GRACE_US) % US_PER_SEC };
	event_add(c->readable, NULL);
	event_add(c->late, &tv);
	c->next = r->children;
	r->children = c;
	r->n++;
out:
	arena_free(&a);
	return rc;
}

static void
peer_up(struct runtime *rt, struct link *l)
{
	struct reader *r = rt->state;

	r->npeers++;
}

static void
peer_down(struct runtime *rt, struct link *l)
{
	struct reader *r = rt->state;

	/* Nobody waits for its pictures any more; each ends in its time. */
	for (struct child *c = r->children; c; c = c->next)
		if (c->link == l)
			c->link = NULL;
	r->npeers--;
	finish_if_alone(rt);
}

static void
retire(struct runtime *rt)
{
	finish_if_alone(rt);
}

static int
start(struct runtime *rt, struct err *err)
{
	struct reader *r = calloc(1, sizeof(*r));
	struct arena *a;
	struct span text;
	uint64_t pages;
	int rc = -1;

	ASSERT(r != NULL);
	rt->state = r;
	if (reader_engine == NULL)
		return err_set(err, 0, "this program has no engine for pictures");
	if (reader_engine->start(rt->conf->ocr.languages, err) == -1)
		return -1;
	a = arena_new(0);
	/* Pages: size, resident, shared, text, library, data (proc(5)). */
	if (fs_read(a, "/proc/self/statm", 4096, &text, err) == 0) {
		for (int i = 0; i < 5; i++)
			text = span_from(text, span_find(text, ' ') + 1);
		if (parse_uint(span_sub(text, 0, span_find(text, ' ')), UINT64_MAX >> 20, &pages)) {
			r->memory = pages * (uint64_t)sysconf(_SC_PAGESIZE);
			rc = 0;
		} else {
			err_set(err, 0, "/proc/self/statm cannot be read");
		}
	}
	arena_free(&a);
	return rc;
}

static const struct sandbox box = { .may = SANDBOX_FORK };

const struct role_ops reader_ops = {
	.role = ROLE_READER,
	.sandbox = &box,
	.start = start,
	.peer_up = peer_up,
	.peer_down = peer_down,
	.frame = on_frame,
	.retire = retire,
};
