/* child.c -- a child of the editor: one request, straight down, then the end; see editor.h.
 *
 * It has the client's socket as its stdout, a socket to the parent, and the policy's folder. All
 * but an apply may only read. Its time is bounded by RLIMIT_CPU and by the parent's clock.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/diag_out.h"
#include "editor/child.h"
#include "json.h"
#include "master/sandbox.h"

#define CPU_SECONDS 120
#define CLOSE_ALL 4096

int
editor_say_error(const char *code, const char *text)
{
	struct json j;
	struct buf b;

	buf_init(&b, 64u << 10);
	json_begin(&j, &b);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kcstr(&j, "error", text);
	json_kcstr(&j, "code", code);
	json_end_object(&j);
	buf_putc(&b, '\n');
	cli_write(stdout, buf_data(&b));
	buf_release(&b);
	return CLI_FINDINGS;
}

/* The request and one end of a pipe go to the parent; the answer comes on the other. */
int
editor_ask(void *ctx, struct span request)
{
	const struct job *job = ctx;
	struct iovec iov = { (void *)(uintptr_t)request.p, request.n };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .room = { 0 } };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int ends[2];
	ssize_t n;

	if (request.n > EDITOR_ASK_MAX || pipe2(ends, O_CLOEXEC) == -1)
		return -1;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &ends[1], sizeof(int));
	do
		n = sendmsg(job->up, &m, MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	close(ends[1]);
	if (n == (ssize_t)request.n)
		return ends[0];
	close(ends[0]);
	return -2;
}

static void
confine(const struct editor_command *c, const struct config *conf)
{
	const char *const read[] = { conf->policy_dir, "/usr/share/zoneinfo", NULL };
	static const struct sandbox box = { .may = SANDBOX_FILES_READ };
	const struct sandbox_paths paths = { .read = read };
	struct rlimit cpu = { CPU_SECONDS, CPU_SECONDS }, none = { 0, 0 };
	const char *missing;
	struct err err;

	setrlimit(RLIMIT_CORE, &none);
	setrlimit(RLIMIT_CPU, &cpu);
	if (!c->writes && sandbox_enter(&box, &paths, &missing, &err) == -1)
		_exit(3);
}

void
editor_child(const struct editor_command *c, struct job *job, int fd)
{
	/* Its stderr is what goes wrong with a page that nobody sees; what matters is in the answer. */
	int up = fcntl(job->up, F_DUPFD, 10), out = fcntl(fd, F_DUPFD, 10), nowhere = open("/dev/null", O_WRONLY);

	if (up == -1 || out == -1 || dup2(out, STDOUT_FILENO) == -1 || dup2(up, 3) == -1)
		_exit(2);
	if (nowhere != -1)
		dup2(nowhere, STDERR_FILENO);
	for (int i = 4; i < CLOSE_ALL; i++)
		close(i);
	fcntl(STDOUT_FILENO, F_SETFL, 0);
	job->up = 3;
	confine(c, job->conf);
	c->run(job);
	if (fflush(stdout) != 0)
		_exit(1);
	_exit(0);
}
