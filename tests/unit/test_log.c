/* test_log.c -- log lines: one write each, no forging, the three targets. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "clock.h"
#include "log.h"
#include "postern/span.h"

static char path[] = "/tmp/postern-test-log-XXXXXX";
static char got[100000];
static int64_t now = 1795344099 * US_PER_SEC + 123456;
static struct err e;

/* 4T0q7x1mZz2 in the header is an example; this one is reasoned: 61 is "z". */
#define ID 61
#define ID_TEXT "0000000000z"

static int
setup(void **state)
{
	int fd = mkstemp(path);

	setenv("TZ", "UTC0", 1);
	unsetenv("JOURNAL_STREAM");
	clock_virtual = &now;
	log_ident("receiver");
	return fd == -1 ? -1 : close(fd);
}

static int
teardown(void **state)
{
	unlink(path);
	return 0;
}

/* A pipe in place of whatever: packet mode, so that each read is one write. */
static int reader;

static void
open_pipe(enum log_format format)
{
	char to[20];
	int p[2];

	assert_int_equal(pipe2(p, O_DIRECT | O_NONBLOCK), 0);
	snprintf(to, sizeof(to), "fd:%d", p[1]);
	assert_int_equal(log_open(to, format, &e), 0);
	assert_int_equal(log_fd(), p[1]);
	reader = p[0];
}

static const char *
one_write(void)
{
	ssize_t n = read(reader, got, sizeof(got) - 1);

	assert_true(n > 0);
	got[n] = '\0';
	return got;
}

static void
close_pipe(void)
{
	assert_int_equal(log_open("stderr", LOG_FORMAT_TEXT, &e), 0);
	/* Nothing more was written, and the writing end is closed by now. */
	assert_int_equal(read(reader, got, sizeof(got)), 0);
	close(reader);
}

/* "postern/receiver[PID]: text\n" with this process's number. */
static const char *
want(const char *before, const char *after)
{
	static char s[1000];

	snprintf(s, sizeof(s), "%spostern/receiver[%d]: %s", before, (int)getpid(), after);
	return s;
}

static void
text_lines(void **state)
{
	open_pipe(LOG_FORMAT_TEXT);
	log_msg(LOG_LVL_INFO, ID, "client=%s[%s]", "exch1.example.org", "10.1.2.3");
	assert_string_equal(one_write(),
	    want("", ID_TEXT ": client=exch1.example.org[10.1.2.3]\n"));
	errno = EBADF;
	log_error("no %s", "id");
	assert_int_equal(errno, EBADF);
	assert_string_equal(one_write(), want("", "no id\n"));
	log_ident("queue");
	log_info("x");
	assert_non_null(strstr(one_write(), "postern/queue["));
	log_ident("receiver");
	close_pipe();
}

static void
levels(void **state)
{
	open_pipe(LOG_FORMAT_TEXT);
	log_debug("not by default");
	log_level(LOG_LVL_DEBUG);
	log_debug("now");
	assert_string_equal(one_write(), want("", "now\n"));
	log_level(LOG_LVL_WARN);
	log_info("no longer");
	log_warn("yes");
	assert_string_equal(one_write(), want("", "yes\n"));
	log_level(LOG_LVL_INFO);
	close_pipe();
}

static void
no_line_can_be_forged(void **state)
{
	open_pipe(LOG_FORMAT_TEXT);
	log_info("from=<%s>", "a\r\npostern/queue[1]: forged\x1b[2J\t\x7f");
	assert_string_equal(one_write(), want("", "from=<a\\x0D\\x0Apostern/queue[1]: forged"
	    "\\x1B[2J\\x09\\x7F>\n"));
	/* UTF-8 stays; what is none, C1 controls, and text direction overrides do not. */
	log_info("%s", "\xc3\xa9 \xe9 \xc2\x9b \xe2\x80\xae \xe2\x80\xa8 \xed\xa0\x80 \\");
	assert_string_equal(one_write(), want("", "\xc3\xa9 \\xE9 \\xC2\\x9B \\xE2\\x80\\xAE "
	    "\\xE2\\x80\\xA8 \\xED\\xA0\\x80 \\\n"));
	close_pipe();
}

/* The names of Postfix's programs, for pflogsumm; a hostile text is as harmless as anywhere. */
static void
postfix_lines(void **state)
{
	char expect[300];

	open_pipe(LOG_FORMAT_POSTFIX);
	log_msg(LOG_LVL_INFO, ID, "from=<%s>", "a\nb");
	snprintf(expect, sizeof(expect), "postern/smtpd[%d]: " ID_TEXT ": from=<a\\x0Ab>\n", (int)getpid());
	assert_string_equal(one_write(), expect);
	log_ident("delivery");
	log_info("x");
	assert_non_null(strstr(one_write(), "postern/smtp["));
	log_ident("queue");
	log_msg_as("receiver", LOG_LVL_INFO, ID, "client=x");
	assert_non_null(strstr(one_write(), "postern/smtpd["));
	log_info("x");
	assert_non_null(strstr(one_write(), "postern/qmgr["));
	log_ident("store");
	log_info("x");
	assert_non_null(strstr(one_write(), "postern/store["));
	log_ident("receiver");
	assert_true(log_postfix());
	close_pipe();
	assert_false(log_postfix());
}

static void
json_lines(void **state)
{
	char expect[1000], host[256] = "";

	gethostname(host, sizeof(host) - 1);
	open_pipe(LOG_FORMAT_JSON);
	log_msg(LOG_LVL_WARN, ID, "say \"%s\"", "a\nb\xe9");
	snprintf(expect, sizeof(expect), "{\"@timestamp\":\"2026-11-22T10:41:39.123456Z\","
	    "\"log.level\":\"warning\",\"ecs.version\":\"8.11.0\",\"service.type\":\"postern\","
	    "\"event.dataset\":\"postern.log\",\"host.hostname\":\"%s\",\"process.name\":\"postern/receiver\",\"process.pid\":%d,"
	    "\"postern.id\":\"" ID_TEXT "\",\"message\":\"say \\\"a\\\\x0Ab\\\\xE9\\\"\"}\n",
	    host, (int)getpid());
	assert_string_equal(one_write(), expect);
	log_info("x");
	assert_null(strstr(one_write(), "postern.id"));
	close_pipe();
}

/* Pipes part writes above 4 KiB into packets: a file, and its size, here. */
static void
long_texts(enum log_format format, char c)
{
	static char text[50000];
	char to[100];
	ssize_t n;
	int fd;

	assert_int_equal(truncate(path, 0), 0);
	snprintf(to, sizeof(to), "file:%s", path);
	assert_int_equal(log_open(to, format, &e), 0);
	memset(text, c, sizeof(text) - 1);
	log_msg(LOG_LVL_INFO, ID, "%s", text);
	assert_int_equal(log_open("stderr", LOG_FORMAT_TEXT, &e), 0);
	fd = open(path, O_RDONLY);
	n = read(fd, got, sizeof(got) - 1);
	close(fd);
	assert_in_range(n, 2000, 8192);
	got[n] = '\0';
	assert_ptr_equal(strchr(got, '\n'), got + n - 1);
	assert_non_null(strstr(got, format == LOG_FORMAT_JSON ? "... [cut]\"}\n" : "... [cut]\n"));
}

static void
lines_are_bounded(void **state)
{
	static char utf8[20001];
	struct span s;

	long_texts(LOG_FORMAT_TEXT, 'x');
	long_texts(LOG_FORMAT_TEXT, '\x01');
	long_texts(LOG_FORMAT_TEXT, '\xff');
	long_texts(LOG_FORMAT_JSON, 'x');
	long_texts(LOG_FORMAT_JSON, '"');
	long_texts(LOG_FORMAT_JSON, '\\');
	long_texts(LOG_FORMAT_JSON, '\x01');

	/* Never cut inside a character. */
	for (size_t shift = 0; shift < 3; shift++) {
		char to[100];
		int fd;

		for (size_t i = 0; i + 3 < sizeof(utf8); i += 3)
			memcpy(utf8 + i, "\xe2\x82\xac", 3);
		assert_int_equal(truncate(path, 0), 0);
		snprintf(to, sizeof(to), "file:%s", path);
		assert_int_equal(log_open(to, LOG_FORMAT_TEXT, &e), 0);
		log_info("%.*s%s", (int)shift, "abc", utf8);
		assert_int_equal(log_open("stderr", LOG_FORMAT_TEXT, &e), 0);
		fd = open(path, O_RDONLY);
		s = span_make(got, (size_t)read(fd, got, sizeof(got) - 1));
		close(fd);
		assert_true(s.n > 6000 && s.n <= 8192);
		assert_null(memmem(s.p, s.n, "\\x", 2));
		assert_memory_equal(s.p + s.n - 13, "\xe2\x82\xac... [cut]\n", 13);
	}
}

static void
files_as_syslogd_writes_them(void **state)
{
	char to[100], host[256], before[400], moved[100];
	struct stat st;
	int fd;

	assert_int_equal(truncate(path, 0), 0);
	snprintf(to, sizeof(to), "file:%s", path);
	assert_int_equal(log_open(to, LOG_FORMAT_TEXT, &e), 0);
	assert_int_equal(gethostname(host, sizeof(host)), 0);
	log_msg(LOG_LVL_INFO, ID, "first");
	snprintf(before, sizeof(before), "Nov 22 10:41:39 %s ", host);
	fd = open(path, O_RDONLY);
	got[read(fd, got, sizeof(got) - 1)] = '\0';
	close(fd);
	assert_string_equal(got, want(before, ID_TEXT ": first\n"));

	/* Rotation: the name moves away and is made anew; what could not be opened changes nothing. */
	snprintf(moved, sizeof(moved), "%s.1", path);
	assert_int_equal(rename(path, moved), 0);
	log_info("second");
	assert_int_equal(log_open("file:/nonexistent/x", LOG_FORMAT_TEXT, &e), -1);
	log_info("still there");
	assert_int_equal(log_open(to, LOG_FORMAT_TEXT, &e), 0);
	now += 10 * 86400 * US_PER_SEC;		/* 2 December: the day has a space before it */
	log_info("third");
	now -= 10 * 86400 * US_PER_SEC;
	assert_int_equal(log_open("stderr", LOG_FORMAT_TEXT, &e), 0);
	fd = open(path, O_RDONLY);
	got[read(fd, got, sizeof(got) - 1)] = '\0';
	close(fd);
	snprintf(before, sizeof(before), "Dec  2 10:41:39 %s ", host);
	assert_string_equal(got, want(before, "third\n"));
	assert_int_equal(stat(moved, &st), 0);
	assert_true(st.st_size > 0);
	unlink(moved);

	assert_int_equal(log_open("file:/nonexistent/x", LOG_FORMAT_TEXT, &e), -1);
	assert_int_equal(e.code, ENOENT);
	assert_int_equal(log_open("file:", LOG_FORMAT_TEXT, &e), -1);
	assert_int_equal(log_open("syslog", LOG_FORMAT_TEXT, &e), -1);
	assert_string_equal(e.text, "log: `syslog` is none of journal, stderr, file:PATH");
	assert_int_equal(log_open("fd:x", LOG_FORMAT_TEXT, &e), -1);
	assert_int_equal(log_open("fd:999", LOG_FORMAT_TEXT, &e), -1);
	assert_int_equal(log_fd(), STDERR_FILENO);
}

static void
journal_datagrams(void **state)
{
	char to[20];
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, sv), 0);
	snprintf(to, sizeof(to), "fd:%d", sv[1]);
	assert_int_equal(log_open(to, LOG_FORMAT_TEXT, &e), 0);
	reader = sv[0];
	/* Facility mail is 2: 2 * 8 + severity. */
	log_msg(LOG_LVL_INFO, ID, "x");
	assert_string_equal(one_write(), want("<22>", ID_TEXT ": x"));
	log_warn("x");
	assert_string_equal(one_write(), want("<20>", "x"));
	log_error("x");
	assert_string_equal(one_write(), want("<19>", "x"));
	log_level(LOG_LVL_DEBUG);
	log_debug("x");
	log_level(LOG_LVL_INFO);
	assert_string_equal(one_write(), want("<23>", "x"));
	assert_int_equal(log_open("stderr", LOG_FORMAT_TEXT, &e), 0);
	close(sv[0]);
}

static void
stderr_under_systemd(void **state)
{
	int saved = dup(STDERR_FILENO), p[2];
	char stream[64], plain[200], marked[200];
	struct stat st;
	ssize_t n;

	assert_int_equal(pipe2(p, O_DIRECT | O_NONBLOCK), 0);
	assert_int_equal(fstat(p[1], &st), 0);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	dup2(p[1], STDERR_FILENO);
	setenv("JOURNAL_STREAM", stream, 1);
	log_open("stderr", LOG_FORMAT_TEXT, &e);
	log_warn("x");
	n = read(p[0], marked, sizeof(marked) - 1);
	marked[n > 0 ? n : 0] = '\0';
	/* Inherited from elsewhere: stderr is another stream. */
	setenv("JOURNAL_STREAM", "1:2", 1);
	log_open("stderr", LOG_FORMAT_TEXT, &e);
	log_warn("x");
	n = read(p[0], plain, sizeof(plain) - 1);
	plain[n > 0 ? n : 0] = '\0';
	unsetenv("JOURNAL_STREAM");
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(p[0]);
	close(p[1]);
	assert_string_equal(marked, want("<4>", "x\n"));
	assert_string_equal(plain, want("", "x\n"));
	assert_int_equal(log_open("stderr", LOG_FORMAT_TEXT, &e), 0);
}

static void
a_fork_has_its_own_number(void **state)
{
	char expect[100];
	int status;
	pid_t child;

	open_pipe(LOG_FORMAT_TEXT);
	if ((child = fork()) == 0) {
		log_info("child");
		_exit(0);
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	snprintf(expect, sizeof(expect), "postern/receiver[%d]: child\n", (int)child);
	assert_string_equal(one_write(), expect);
	log_info("parent");
	assert_string_equal(one_write(), want("", "parent\n"));
	close_pipe();
}

static int woken;

static void
wake(void)
{
	woken++;
}

/* Nobody asked for it: every line is a write. Then those of a turn are one, in their order, and what is no such
 * line takes them along at once. */
static void
lines_may_wait(void **state)
{
	char expect[2100];
	int status;
	pid_t child;

	open_pipe(LOG_FORMAT_TEXT);
	log_later(ID, "client=%s", "a");
	assert_string_equal(one_write(), want("", ID_TEXT ": client=a\n"));
	log_batch(wake);
	log_later(ID, "first");
	log_later(ID, "second\n");
	assert_int_equal(woken, 1);
	assert_int_equal(read(reader, got, sizeof(got)), -1);
	log_flush();
	snprintf(expect, sizeof(expect), "%s", want("", ID_TEXT ": first\n"));
	strcat(expect, want("", ID_TEXT ": second\\x0A\n"));
	assert_string_equal(one_write(), expect);
	log_flush();
	assert_int_equal(read(reader, got, sizeof(got)), -1);

	log_later(ID, "first");
	assert_int_equal(woken, 2);
	log_warn("now");
	snprintf(expect, sizeof(expect), "%s", want("", ID_TEXT ": first\n"));
	strcat(expect, want("", "now\n"));
	assert_string_equal(one_write(), expect);

	/* A level that is not wanted wakes nobody; neither does a child write what waits in its parent. */
	log_level(LOG_LVL_WARN);
	log_later(ID, "not wanted");
	log_level(LOG_LVL_INFO);
	assert_int_equal(woken, 2);
	log_later(ID, "before the fork");
	if ((child = fork()) == 0) {
		log_later(ID, "the last words");
		kill(getpid(), SIGABRT);	/* sent, not by abort(), which would insist */
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_string_equal(one_write(), want("", ID_TEXT ": before the fork\n"));
	snprintf(expect, sizeof(expect), "postern/receiver[%d]: " ID_TEXT ": the last words\n", (int)child);
	assert_string_equal(one_write(), expect);
	close_pipe();
}

/* What others write to the same pipe does not come between: no write is larger than the kernel keeps whole. */
static void
waiting_lines_are_bounded(void **state)
{
	char text[1000] = { 0 };
	size_t sum = 0;
	ssize_t n;

	memset(text, 'x', sizeof(text) - 1);
	open_pipe(LOG_FORMAT_TEXT);
	for (int i = 0; i < 20; i++)
		log_later(ID, "%s", text);
	log_flush();
	while ((n = read(reader, got, sizeof(got) - 1)) > 0) {
		got[n] = '\0';
		assert_in_range(n, 1000, 4096);
		assert_memory_equal(got, "postern/receiver[", 17);
		assert_int_equal(got[n - 1], '\n');
		sum += (size_t)n;
	}
	assert_int_equal(sum, 20 * strlen(want("", ID_TEXT ": \n")) + 20 * 999);
	close_pipe();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_lines),
		cmocka_unit_test(levels),
		cmocka_unit_test(no_line_can_be_forged),
		cmocka_unit_test(json_lines),
		cmocka_unit_test(postfix_lines),
		cmocka_unit_test(lines_are_bounded),
		cmocka_unit_test(files_as_syslogd_writes_them),
		cmocka_unit_test(journal_datagrams),
		cmocka_unit_test(stderr_under_systemd),
		cmocka_unit_test(a_fork_has_its_own_number),
		cmocka_unit_test(lines_may_wait),
		cmocka_unit_test(waiting_lines_are_bounded),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
