/* program.c -- postern-ocr as a command; see program.h.
 *
 *	postern-ocr --check LANGUAGES			exit 0: there are these
 *	postern-ocr --picture LANGUAGES PIXELS MS	picture on descriptor 3, a byte and the text to stdout
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "fs.h"
#include "master/config.h"
#include "reader/program.h"
#include "reader/reader.h"

#define START_MS 5000		/* for the engine to load its languages */

bool
reader_program(const char *exe, char *path, size_t size)
{
	const char *slash = strrchr(exe, '/');
	int n = slash ? (int)(slash - exe) : 0;

	if (snprintf(path, size, "%.*s/" READER_PROGRAM, n, exe) < (int)size && access(path, X_OK) == 0)
		return true;
	return snprintf(path, size, "%.*s/../sbin/" READER_PROGRAM, n, exe) < (int)size &&
	    access(path, X_OK) == 0;
}

static int
own_program(char path[PATH_MAX], struct err *err)
{
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (n <= 0)
		return err_errno(err, "/proc/self/exe");
	exe[n] = '\0';
	if (!reader_program(exe, path, PATH_MAX))
		return err_set(err, ENOENT, "there is no " READER_PROGRAM " beside %s: it is built where "
		    "libtesseract-dev and libleptonica-dev are", exe);
	return 0;
}

/* Runs it with out as stdout and stderr; in: descriptor 3, -1 none. Its pid. */
static pid_t
run(char *const argv[], int in, int out, struct err *err)
{
	static char *const env[] = { (char *)(uintptr_t)"OMP_THREAD_LIMIT=1", NULL };
	char path[PATH_MAX];
	pid_t pid;

	if (own_program(path, err) == -1)
		return -1;
	pid = fork();
	if (pid == -1)
		return err_errno(err, "fork");
	if (pid)
		return pid;
	if (in == 3)
		fcntl(3, F_SETFD, 0);	/* there already, and not to be closed */
	if (dup2(out, 1) == -1 || (in == -1 && dup2(out, 2) == -1) || (in != -1 && dup2(in, 3) == -1))
		_exit(126);
	execve(path, argv, env);
	_exit(127);
}

/* All that comes until the end or the moment `by`. */
static void
gather(int fd, int64_t by, struct buf *b)
{
	char piece[16384];
	ssize_t n;

	for (;;) {
		int64_t left = (by - clock_mono()) / 1000;
		struct pollfd pfd = { .fd = fd, .events = POLLIN };

		if (left <= 0 || poll(&pfd, 1, (int)left) <= 0)
			return;
		n = read(fd, piece, sizeof(piece));
		if (n <= 0 || buf_put(b, piece, (size_t)n) == -1)
			return;
	}
}

int
reader_check(const struct conf_ocr *conf, struct err *err)
{
	char *argv[] = { (char *)(uintptr_t)READER_PROGRAM, (char *)(uintptr_t)"--check",
		(char *)(uintptr_t)conf->languages, NULL };
	struct buf said;
	int fds[2], status = 0;
	pid_t pid;

	if (pipe(fds) == -1)
		return err_errno(err, "pipe");
	pid = run(argv, -1, fds[1], err);
	close(fds[1]);
	if (pid == -1) {
		close(fds[0]);
		return -1;
	}
	buf_init(&said, 64u << 10);
	gather(fds[0], clock_mono() + START_MS * 1000, &said);
	close(fds[0]);
	kill(pid, SIGKILL);	/* a no-op for what has ended, and a zombie till it is waited for */
	waitpid(pid, &status, 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		struct span s = buf_data(&said);

		s = span_sub(s, 0, span_find(s, '\n'));
		err_set(err, 0, "scanners.ocr: " SPAN_FMT, SPAN_ARG(s.n ? s : SPAN_LIT(READER_PROGRAM
		    " does not run")));
		buf_release(&said);
		return -1;
	}
	buf_release(&said);
	return 0;
}

bool
reader_alone(void *ctx, struct span picture, struct arena *a, struct span *out)
{
	struct reader_alone *r = ctx;
	int64_t began = clock_mono(), left = r->conf->per_message - r->spent;
	int64_t ms = (r->conf->time < left ? r->conf->time : left) / 1000;
	char pixels[32], time[32], *argv[] = { (char *)(uintptr_t)READER_PROGRAM,
		(char *)(uintptr_t)"--picture", (char *)(uintptr_t)r->conf->languages, pixels, time, NULL };
	bool whole = false;
	struct buf said;
	struct err err;
	int fds[2], in;
	pid_t pid;

	if (ms < 50 || (in = fs_memfd("picture", &err)) == -1)
		return false;
	snprintf(pixels, sizeof(pixels), "%llu", (unsigned long long)r->conf->pixels);
	snprintf(time, sizeof(time), "%lld", (long long)ms);
	if (fs_write_all(in, picture.p, picture.n, &err) == -1 || pipe(fds) == -1) {
		close(in);
		return false;
	}
	pid = run(argv, in, fds[1], &err);
	close(fds[1]);
	close(in);
	if (pid != -1) {
		buf_init(&said, READER_TEXT + 1);
		gather(fds[0], began + (ms + START_MS) * 1000, &said);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		if (buf_size(&said)) {
			*out = arena_span(a, span_from(buf_data(&said), 1));
			whole = buf_data(&said).p[0] == PICTURE_WHOLE;
		}
		buf_release(&said);
	}
	close(fds[0]);
	r->spent += clock_mono() - began;
	return whole;
}
