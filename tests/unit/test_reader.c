/* test_reader.c -- the child that reads a picture: what it may do (nothing), and what becomes of its answer.
 *
 * The engine is one of ours that does what a picture made to break tesseract would do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs.h"
#include "reader/reader.h"

static enum picture_status
engine_read(const char *bytes, size_t n, uint64_t pixels, int64_t ms, char **text)
{
	switch (bytes[0]) {
	case 't':
		*text = strndup(bytes, n);
		return PICTURE_WHOLE;
	case 'p':
		*text = strdup("half");
		return PICTURE_PART;
	case 'l':	/* more than there may be */
		*text = malloc(READER_TEXT * 2 + 1);
		memset(*text, 'x', READER_TEXT * 2);
		(*text)[READER_TEXT * 2] = '\0';
		return PICTURE_WHOLE;
	case 'c':
		signal(SIGABRT, SIG_DFL);	/* cmocka's own */
		abort();
	case 'o':
		return open("/etc/passwd", O_RDONLY) == -1 ? PICTURE_NOT : PICTURE_WHOLE;
	case 'n':
		return socket(AF_INET, SOCK_STREAM, 0) == -1 ? PICTURE_NOT : PICTURE_WHOLE;
	case 'f':
		return fork() == -1 ? PICTURE_NOT : PICTURE_WHOLE;
	case 'e':
		execl("/bin/true", "true", (char *)NULL);
		return PICTURE_WHOLE;
	case 'k':
		return kill(getppid(), 0) == -1 ? PICTURE_NOT : PICTURE_WHOLE;
	case 'm':	/* pages touched, so that they count */
		for (int i = 0; i < 64; i++) {
			char *p = malloc(64u << 20);

			if (p == NULL)
				return PICTURE_NOT;
			memset(p, i, 64u << 20);
		}
		return PICTURE_WHOLE;
	default:
		for (;;)
			;
	}
}

static const struct reader_engine engine = { NULL, engine_read };

/* The child's status (wait), and what it said; *n -1: nothing. */
static int
child(const char *picture, int64_t ms, char *said, size_t size, ssize_t *n)
{
	struct err err;
	int fd = fs_memfd("picture", &err), fds[2], status;
	size_t have = 0;
	pid_t pid;

	assert_int_not_equal(fd, -1);
	assert_int_equal(fs_write_all(fd, picture, strlen(picture), &err), 0);
	assert_int_equal(pipe(fds), 0);
	reader_engine = &engine;
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		close(fds[0]);
		reader_child(fd, strlen(picture), 1000, ms, fds[1], UINT64_C(64) << 20);
	}
	close(fds[1]);
	close(fd);
	for (;;) {
		char over[4096];
		ssize_t k = have < size ? read(fds[0], said + have, size - have) : read(fds[0], over, sizeof(over));

		if (k <= 0)
			break;
		have += (size_t)k;
	}
	*n = (ssize_t)have;
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void
test_answers(void **state)
{
	static char said[READER_TEXT * 3];
	ssize_t n;

	assert_int_equal(child("text in it", 1000, said, sizeof(said), &n), 0);
	assert_int_equal(n, 11);
	assert_memory_equal(said, "\0text in it", 11);
	assert_int_equal(child("p", 1000, said, sizeof(said), &n), 0);
	assert_memory_equal(said, "\1half", 5);
	assert_int_equal(child("l", 1000, said, sizeof(said), &n), 0);
	assert_int_equal(n, 1 + READER_TEXT);
}

static void
test_may_do_nothing(void **state)
{
	static const char *const tries[] = { "open", "network",
#ifndef POSTERN_SANITIZED
		"fork", "kill", "memory",
#endif
	};
	char said[16];
	ssize_t n;

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		int status = child(tries[i], 5000, said, sizeof(said), &n);

		if (status != 0 || n != 1 || said[0] != PICTURE_NOT)
			fail_msg("%s: status %d, said %d (%zd bytes)", tries[i], status, said[0], n);
	}
	/* A program: the child's end. */
	assert_true(WIFSIGNALED(child("exec", 5000, said, sizeof(said), &n)));
	assert_int_equal(n, 0);
}

static void
test_ends(void **state)
{
	char said[16];
	ssize_t n;
	int status = child("crash", 1000, said, sizeof(said), &n);

	assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
	assert_int_equal(n, 0);
	/* For ever: the processor's time ends it where the parent's clock does not. */
	status = child("without end", 100, said, sizeof(said), &n);
	assert_true(WIFSIGNALED(status));
	assert_true(WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_may_do_nothing),
		cmocka_unit_test(test_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
