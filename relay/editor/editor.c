/* editor.c -- the role behind the console's page of the policy: it alone may write the policy's folder.
 *
 * A request gets a child (commands.c says what it does). The parent reads who asks, counts
 * children, ends those that take too long, and carries what they ask of others to the master
 * (frame AS): only ASKABLE, and a reload only from the one child that applies an edit. It
 * runs when `console: {policy: edit}` says so, and writes nothing unless the folder is
 * writable for its account: both are the administrator's to give.
 */
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "editor/child.h"
#include "json.h"
#include "log.h"
#include "master/runtime.h"

#define CHILDREN 4
#define TIME_SECONDS 180

struct child {
	struct child *next;
	struct runtime *rt;
	pid_t pid;
	bool writes;
	int up, fd;		/* fd: the client's, to hear that it has gone */
	struct event *asks, *late;
};

struct editor {
	struct child *children;
	size_t n;
	struct arena *scratch;
	struct event *dead;
};

/* What a child may ask of others. */
static const char *const ASKABLE[] = { "records.page", "records.get", "policy.manifest", "policy.archive",
	"held.show", "quarantine.show" };

static void
finish_if_alone(struct runtime *rt)
{
	struct editor *e = rt->state;

	if (rt->retiring && e->n == 0)
		runtime_finish(rt);
}

static void
child_end(struct child *c)
{
	struct editor *e = c->rt->state;

	for (struct child **pp = &e->children; *pp; pp = &(*pp)->next)
		if (*pp == c) {
			*pp = c->next;
			break;
		}
	e->n--;
	event_free(c->asks);
	event_free(c->late);
	close(c->up);
	close(c->fd);
	finish_if_alone(c->rt);
	free(c);
}

static void
on_dead(int sig, short what, void *arg)
{
	struct runtime *rt = arg;
	struct editor *e = rt->state;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (struct child *c = e->children, *next; c; c = next) {
			next = c->next;
			if (c->pid != pid)
				continue;
			if (!WIFEXITED(status) || WEXITSTATUS(status)) {
				log_warn("the child of a request ended: %s %d", WIFSIGNALED(status) ? "signal" : "status",
				    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
				reply_error(rt, dup(c->fd), "the request could not be finished");
			}
			child_end(c);
		}
}

static void
on_late(int fd, short what, void *arg)
{
	struct child *c = arg;

	log_warn("a request took more than %d s and was ended", TIME_SECONDS);
	kill(c->pid, SIGKILL);		/* on_dead does the rest */
}

static bool
may_ask(const struct child *c, struct span request)
{
	static const struct span head = { "{\"cmd\":\"", 8 };
	struct span cmd;

	if (!span_starts(request, head))
		return false;
	cmd = span_from(request, head.n);
	cmd.n = span_find(cmd, '"');
	if (c->writes && (span_is(cmd, "reload") || span_is(cmd, "policy.edited")))
		return true;
	for (size_t i = 0; i < sizeof(ASKABLE) / sizeof(ASKABLE[0]); i++)
		if (span_is(cmd, ASKABLE[i]))
			return true;
	return false;
}

/* A child's question, and the socket on which it waits for the answer. */
static void
on_ask(int fd, short what, void *arg)
{
	struct child *c = arg;
	static char text[EDITOR_ASK_MAX];
	struct iovec iov = { text, sizeof(text) };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *h = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
	struct msg_client msg = { .uid = UID_CONSOLE };
	int answer = -1;
	struct buf b;

	if (n <= 0) {
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			event_del(c->asks);
		return;
	}
	if (h && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS && h->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&answer, CMSG_DATA(h), sizeof(int));
	if (answer == -1)
		return;
	msg.request = span_make(text, (size_t)n);
	if (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC) || !may_ask(c, msg.request)) {
		log_warn("a child asked what it may not");
		close(answer);
		return;
	}
	buf_init(&b, FRAME_BIG);
	client_encode(&b, &msg);
	link_send(c->rt->master, FRAME_AS, 0, buf_data(&b), answer);
	buf_release(&b);
}

static void
refuse(struct runtime *rt, int fd, const char *code, const char *text)
{
	struct reply *r = reply_new(rt, fd);
	struct json j;

	json_begin(&j, reply_buf(r));
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kcstr(&j, "error", text);
	json_kcstr(&j, "code", code);
	json_end_object(&j);
	buf_putc(reply_buf(r), '\n');
	reply_end(&r);
}

/* For whom the child asks: the same as asked it. */
static struct span
speaks_for(const struct principal *p, uint32_t uid, struct arena *a)
{
	struct json j;
	struct buf b;
	struct span s;
	char name[32];

	snprintf(name, sizeof(name), "uid %u", uid);
	buf_init(&b, 64u << 10);
	json_begin(&j, &b);
	json_object(&j);
	json_kstr(&j, "name", p->local ? span_str(name) : p->name);
	json_key(&j, "roles");
	json_array(&j);
	for (int r = 0; r < PRINCIPAL_ROLE_COUNT; r++)
		if (p->local ? r == PRINCIPAL_ADMIN : (p->roles >> r & 1))
			json_cstr(&j, principal_role_name(r));
	json_end_array(&j);
	json_end_object(&j);
	s = arena_span(a, buf_data(&b));
	buf_release(&b);
	return s;
}

static int
child_start(struct runtime *rt, const struct editor_command *cmd, struct job *job, int fd)
{
	static const struct timeval late = { .tv_sec = TIME_SECONDS };
	struct editor *e = rt->state;
	struct child *c;
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) == -1)
		return -1;
	c = calloc(1, sizeof(*c));
	ASSERT(c != NULL);
	c->pid = fork();
	if (c->pid == 0) {
		job->up = sv[1];
		editor_child(cmd, job, fd);
	}
	close(sv[1]);
	if (c->pid == -1) {
		close(sv[0]);
		free(c);
		return -1;
	}
	c->rt = rt;
	c->writes = cmd->writes;
	c->up = sv[0];
	c->fd = fd;
	c->asks = event_new(rt->base, c->up, EV_READ | EV_PERSIST, on_ask, c);
	c->late = event_new(rt->base, -1, 0, on_late, c);
	ASSERT(c->asks != NULL && c->late != NULL);
	event_add(c->asks, NULL);
	event_add(c->late, &late);
	c->next = e->children;
	e->children = c;
	e->n++;
	return 0;
}

static bool
applying(const struct editor *e)
{
	for (const struct child *c = e->children; c; c = c->next)
		if (c->writes)
			return true;
	return false;
}

static void
on_client(struct runtime *rt, int fd, uint32_t uid, struct span request)
{
	struct editor *e = rt->state;
	const struct editor_command *cmd;
	struct principal who;
	struct job job = { .conf = rt->conf, .who = &who };
	struct err err;
	struct jval *v = jval_parse(request, &err);

	arena_reset(e->scratch);
	if (v == NULL || principal_read(v, uid, e->scratch, &who, &err) == -1)
		refuse(rt, fd, "invalid", err.text);
	else if ((cmd = editor_command(jval_text(v, "cmd"))) == NULL)
		refuse(rt, fd, "not-found", "the editor knows no such command");
	else if (!principal_is(&who, cmd->roles))
		refuse(rt, fd, "forbidden", "not with this role");
	else if (e->n == CHILDREN || (cmd->writes && applying(e)))
		refuse(rt, fd, "busy", "others are at it; try again in a moment");
	else {
		job.req = v;
		job.as = speaks_for(&who, uid, e->scratch);
		if (child_start(rt, cmd, &job, fd) == -1)
			refuse(rt, fd, "busy", "no process could be started");
	}
	jval_free(&v);
}

static int
start(struct runtime *rt, struct err *err)
{
	struct editor *e = calloc(1, sizeof(*e));

	ASSERT(e != NULL);
	rt->state = e;
	e->scratch = arena_new(0);
	sandbox_allow_write(rt->conf->policy_dir);
	sandbox_allow_read("/usr/share/zoneinfo");
	return 0;
}

static int
run(struct runtime *rt, struct err *err)
{
	struct editor *e = rt->state;

	e->dead = evsignal_new(rt->base, SIGCHLD, on_dead, rt);
	ASSERT(e->dead != NULL);
	event_add(e->dead, NULL);
	return 0;
}

static int
on_frame(struct runtime *rt, struct link *l, struct frame *f)
{
	return -1;
}

static void
no_peer(struct runtime *rt, struct link *l)
{
}

static const struct sandbox box = {
	.may = SANDBOX_FORK | SANDBOX_FILES_READ | SANDBOX_FILES_WRITE,
};

const struct role_ops editor_ops = {
	.role = ROLE_EDITOR,
	.sandbox = &box,
	.start = start,
	.run = run,
	.peer_up = no_peer,
	.peer_down = no_peer,
	.frame = on_frame,
	.client = on_client,
	.retire = finish_if_alone,
};
