/* test_sandbox.c -- tries to escape from the sandbox of each purpose, and fails.
 *
 * Each attempt runs in a child of its own; the child says by its exit status
 * what came of it. The controls prove that the same attempt works outside, so
 * that no test passes because the attempt was ill made.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "master/sandbox.h"

enum { WORKED = 0, REFUSED = 1, NO_SANDBOX = 2 };

static char folder[] = "/tmp/postern-sandbox-XXXXXX";
static int listener;
static struct sockaddr_in here;
static uint16_t only_tcp;	/* the port a child may connect to; 0: any */

static int
try_open(void)
{
	return open("/etc/passwd", O_RDONLY) == -1 ? REFUSED : WORKED;
}

static int
try_open_allowed(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/file", folder);
	return open(path, O_RDWR | O_CREAT, 0600) == -1 ? REFUSED : WORKED;
}

static int
try_connect(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return fd == -1 || connect(fd, (struct sockaddr *)&here, sizeof(here)) == -1 ? REFUSED : WORKED;
}

static int
try_datagram(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	return fd == -1 || connect(fd, (struct sockaddr *)&here, sizeof(here)) == -1 ||
	    send(fd, "x", 1, 0) != 1 ? REFUSED : WORKED;
}

/* As a server of its own. */
static int
try_listen(void)
{
	struct sockaddr_in any = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return fd == -1 || bind(fd, (struct sockaddr *)&any, sizeof(any)) == -1 || listen(fd, 1) == -1 ?
	    REFUSED : WORKED;
}

static int
try_unix_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0) == -1 ? REFUSED : WORKED;
}

static int
try_exec(void)
{
	execl("/bin/true", "true", (char *)NULL);
	return REFUSED;
}

static int
try_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid == -1 ? REFUSED : WORKED;
}

static int
try_ptrace(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == -1 ? REFUSED : WORKED;
}

static int
try_kill(void)
{
	return kill(getppid(), 0) == -1 ? REFUSED : WORKED;
}

/* May == -1: no sandbox. Killed by the filter counts as refused. */
static int
attempt(int may, int (*what)(void))
{
	int status;
	pid_t pid = fork();

	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		struct sandbox sb = { .may = (unsigned)may };
		const char *const paths[] = { folder, NULL };
		const struct sandbox_paths sp = { NULL, may & SANDBOX_FILES_WRITE ? paths : NULL };
		const char *missing;
		struct err err;

		if (only_tcp)
			sandbox_allow_tcp(only_tcp);
		if (may != -1 && (sandbox_enter(&sb, &sp, &missing, &err) == -1 || missing))
			_exit(NO_SANDBOX);
		_exit(what());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGSYS);
		return REFUSED;
	}
	assert_int_not_equal(WEXITSTATUS(status), NO_SANDBOX);
	return WEXITSTATUS(status);
}

static void
test_controls(void **state)
{
	assert_int_equal(attempt(-1, try_open), WORKED);
	assert_int_equal(attempt(-1, try_open_allowed), WORKED);
	assert_int_equal(attempt(-1, try_connect), WORKED);
	assert_int_equal(attempt(-1, try_datagram), WORKED);
	assert_int_equal(attempt(-1, try_listen), WORKED);
	assert_int_equal(attempt(-1, try_unix_socket), WORKED);
	assert_int_equal(attempt(-1, try_exec), WORKED);
	assert_int_equal(attempt(-1, try_fork), WORKED);
	assert_int_equal(attempt(-1, try_ptrace), WORKED);
	assert_int_equal(attempt(-1, try_kill), WORKED);
}

static void
test_nothing_allowed(void **state)
{
	assert_int_equal(attempt(0, try_open), REFUSED);
	assert_int_equal(attempt(0, try_open_allowed), REFUSED);
	assert_int_equal(attempt(0, try_connect), REFUSED);
	assert_int_equal(attempt(0, try_unix_socket), REFUSED);
	assert_int_equal(attempt(0, try_exec), REFUSED);
#ifndef POSTERN_SANITIZED
	assert_int_equal(attempt(0, try_fork), REFUSED);
	assert_int_equal(attempt(0, try_ptrace), REFUSED);
	assert_int_equal(attempt(0, try_kill), REFUSED);
#endif
}

/* The scanner's worker and the queue: files in one folder, nothing else. */
static void
test_files_in_one_folder(void **state)
{
	const int may = SANDBOX_FILES_READ | SANDBOX_FILES_WRITE;

	assert_int_equal(attempt(may, try_open_allowed), WORKED);
	assert_int_equal(attempt(may, try_open), REFUSED);
	assert_int_equal(attempt(may, try_connect), REFUSED);
	assert_int_equal(attempt(may, try_exec), REFUSED);
}

/* Delivery: the network, no file. */
static void
test_network_only(void **state)
{
	assert_int_equal(attempt(SANDBOX_NET_CLIENT, try_connect), WORKED);
	assert_int_equal(attempt(SANDBOX_NET_CLIENT, try_open), REFUSED);
	assert_int_equal(attempt(SANDBOX_NET_CLIENT, try_exec), REFUSED);
#ifndef POSTERN_SANITIZED
	assert_int_equal(attempt(SANDBOX_NET_CLIENT, try_unix_socket), REFUSED);
#endif
}

/* The fetcher: the network and one folder, no other file, no socket of another kind, no program. */
static void
test_network_and_one_folder(void **state)
{
	const int may = SANDBOX_NET_CLIENT | SANDBOX_FILES_READ | SANDBOX_FILES_WRITE;

	assert_int_equal(attempt(may, try_connect), WORKED);
	assert_int_equal(attempt(may, try_open_allowed), WORKED);
	assert_int_equal(attempt(may, try_open), REFUSED);
	assert_int_equal(attempt(may, try_exec), REFUSED);
#ifndef POSTERN_SANITIZED
	assert_int_equal(attempt(may, try_unix_socket), REFUSED);
	assert_int_equal(attempt(may, try_fork), REFUSED);
	assert_int_equal(attempt(may, try_kill), REFUSED);
	assert_int_equal(attempt(may, try_ptrace), REFUSED);
#endif
}

/* Who speaks to PostgreSQL: the network and the certificates of authorities to read; a unix socket when the
 * server has one, and then no network. */
static void
test_network_and_a_file_to_read(void **state)
{
	const int may = SANDBOX_NET_CLIENT | SANDBOX_FILES_READ;

	assert_int_equal(attempt(may, try_connect), WORKED);
	assert_int_equal(attempt(may, try_open), REFUSED);
	assert_int_equal(attempt(may, try_exec), REFUSED);
#ifndef POSTERN_SANITIZED
	assert_int_equal(attempt(may, try_unix_socket), REFUSED);
	assert_int_equal(attempt(may, try_fork), REFUSED);
	assert_int_equal(attempt(SANDBOX_FILES_READ | SANDBOX_NET_UNIX, try_unix_socket), WORKED);
	assert_int_equal(attempt(SANDBOX_FILES_READ | SANDBOX_NET_UNIX, try_connect), REFUSED);
#endif
}

/* The console, as the receiver: connections that come in, no file, none that go out. */
static int
try_accept(void)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);

	return fd == -1 && errno == EPERM ? REFUSED : WORKED;
}

static int
try_pair(void)
{
	int sv[2];

	return socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == -1 && errno == EPERM ? REFUSED : WORKED;
}

/* And the ends of a pair, of which it gives one away. */
static void
test_pair(void **state)
{
	const int may = SANDBOX_NET_SERVER | SANDBOX_PAIR;

	assert_int_equal(attempt(may, try_pair), WORKED);
	assert_int_equal(attempt(may, try_unix_socket), REFUSED);
	assert_int_equal(attempt(may, try_connect), REFUSED);
	assert_int_equal(attempt(may, try_open), REFUSED);
	assert_int_equal(attempt(may, try_exec), REFUSED);
#ifndef POSTERN_SANITIZED
	assert_int_equal(attempt(SANDBOX_NET_SERVER, try_pair), REFUSED);
	assert_int_equal(attempt(may, try_fork), REFUSED);
#endif
}

static void
test_server_only(void **state)
{
	const int may = SANDBOX_NET_SERVER;

	assert_int_equal(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(attempt(may, try_accept), WORKED);
	assert_int_equal(attempt(may, try_open), REFUSED);
	assert_int_equal(attempt(may, try_open_allowed), REFUSED);
	assert_int_equal(attempt(may, try_connect), REFUSED);
	assert_int_equal(attempt(may, try_datagram), REFUSED);
	assert_int_equal(attempt(may, try_listen), REFUSED);
	assert_int_equal(attempt(may, try_unix_socket), REFUSED);
	assert_int_equal(attempt(may, try_exec), REFUSED);
#ifndef POSTERN_SANITIZED
	assert_int_equal(attempt(0, try_accept), REFUSED);
	assert_int_equal(attempt(may, try_fork), REFUSED);
	assert_int_equal(attempt(may, try_ptrace), REFUSED);
	assert_int_equal(attempt(may, try_kill), REFUSED);
#endif
	assert_int_equal(fcntl(listener, F_SETFL, 0), 0);
}

/* What a scanner's worker is handed: a connection to clamd. It leads nowhere else. */
static int
connection(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	connect(fd, (struct sockaddr *)&here, sizeof(here));
	return fd;
}

static int handed;

static int
try_handed_works(void)
{
	return send(handed, "x", 1, MSG_NOSIGNAL) == 1 ? WORKED : REFUSED;
}

static int
try_disconnect(void)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	return connect(handed, &none, sizeof(none)) == 0 ? WORKED : REFUSED;
}

/* A connection that came to nothing, or was undone, is a socket to begin anew with: by connect(2), or
 * by sending with an address. */
static int
try_connect_by_sending(void)
{
	char byte = 'x';
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_name = &here, .msg_namelen = sizeof(here), .msg_iov = &iov, .msg_iovlen = 1 };

	return sendto(handed, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&here,
	    sizeof(here)) == 1 || errno == EINPROGRESS ||
	    sendmsg(handed, &m, MSG_FASTOPEN | MSG_NOSIGNAL) == 1 || errno == EINPROGRESS ? WORKED : REFUSED;
}

static void
test_with_clamds_connection(void **state)
{
	const int may = SANDBOX_FILES_READ | SANDBOX_FILES_WRITE;

	handed = connection();
	assert_int_not_equal(handed, -1);
	assert_int_equal(attempt(-1, try_handed_works), WORKED);
	assert_int_equal(attempt(may, try_handed_works), WORKED);
	assert_int_equal(attempt(may, try_connect), REFUSED);
#ifndef POSTERN_SANITIZED
	assert_int_equal(attempt(may, try_disconnect), REFUSED);
#endif
	assert_int_equal(attempt(-1, try_disconnect), WORKED);
	close(handed);
	handed = socket(AF_INET, SOCK_STREAM, 0);
#ifndef POSTERN_SANITIZED
	assert_int_equal(attempt(may, try_connect_by_sending), REFUSED);
#endif
	assert_int_equal(attempt(-1, try_connect_by_sending), WORKED);
	close(handed);
}

/* The scanner's parent where clamd has a unix socket, which it connects to and nothing else. */
static void
test_unix_client(void **state)
{
	const int may = SANDBOX_FORK | SANDBOX_FILES_READ | SANDBOX_FILES_WRITE | SANDBOX_NET_UNIX;

	assert_int_equal(attempt(may, try_unix_socket), WORKED);
	assert_int_equal(attempt(may, try_open), REFUSED);
	assert_int_equal(attempt(may, try_exec), REFUSED);
#ifndef POSTERN_SANITIZED
	assert_int_equal(attempt(may, try_connect), REFUSED);
#endif
}

/* The verifier: the DNS, over TCP at the ports of its servers and nowhere else; no file, no other socket,
 * no program. Landlock knows ports from kernel 6.7 on. */
static void
test_dns_only(void **state)
{
	const int may = SANDBOX_NET_CLIENT;
	bool ports = syscall(444, NULL, 0, 1) >= 4;

	only_tcp = ntohs(here.sin_port);
	assert_int_equal(attempt(may, try_connect), WORKED);
	assert_int_equal(attempt(may, try_datagram), WORKED);
	only_tcp = 53;
	if (ports)
		assert_int_equal(attempt(may, try_connect), REFUSED);
	assert_int_equal(attempt(may, try_datagram), WORKED);
	assert_int_equal(attempt(may, try_open), REFUSED);
	assert_int_equal(attempt(may, try_open_allowed), REFUSED);
	assert_int_equal(attempt(may, try_exec), REFUSED);
#ifndef POSTERN_SANITIZED
	assert_int_equal(attempt(may, try_listen), REFUSED);
	assert_int_equal(attempt(may, try_unix_socket), REFUSED);
	assert_int_equal(attempt(may, try_fork), REFUSED);
	assert_int_equal(attempt(may, try_kill), REFUSED);
	assert_int_equal(attempt(may, try_ptrace), REFUSED);
#endif
	only_tcp = 0;
}

/* The reader's parent: it forks, and nothing else. What it forks may not even that: test_reader.c. */
static void
test_fork_only(void **state)
{
	assert_int_equal(attempt(SANDBOX_FORK, try_fork), WORKED);
	assert_int_equal(attempt(SANDBOX_FORK, try_open), REFUSED);
	assert_int_equal(attempt(SANDBOX_FORK, try_open_allowed), REFUSED);
	assert_int_equal(attempt(SANDBOX_FORK, try_connect), REFUSED);
	assert_int_equal(attempt(SANDBOX_FORK, try_exec), REFUSED);
#ifndef POSTERN_SANITIZED
	assert_int_equal(attempt(SANDBOX_FORK, try_unix_socket), REFUSED);
	assert_int_equal(attempt(SANDBOX_FORK, try_ptrace), REFUSED);
#endif
}

static int
setup(void **state)
{
	socklen_t len = sizeof(here);

	if (mkdtemp(folder) == NULL)
		return -1;
	listener = socket(AF_INET, SOCK_STREAM, 0);
	here = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	if (bind(listener, (struct sockaddr *)&here, len) == -1 || listen(listener, 8) == -1)
		return -1;
	return getsockname(listener, (struct sockaddr *)&here, &len);
}

static int
teardown(void **state)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/file", folder);
	unlink(path);
	close(listener);
	return rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_controls),
		cmocka_unit_test(test_nothing_allowed),
		cmocka_unit_test(test_files_in_one_folder),
		cmocka_unit_test(test_network_only),
		cmocka_unit_test(test_server_only),
		cmocka_unit_test(test_pair),
		cmocka_unit_test(test_with_clamds_connection),
		cmocka_unit_test(test_unix_client),
		cmocka_unit_test(test_network_and_one_folder),
		cmocka_unit_test(test_network_and_a_file_to_read),
		cmocka_unit_test(test_dns_only),
		cmocka_unit_test(test_fork_only),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
