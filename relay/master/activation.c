/* activation.c -- what systemd and the master tell each other, without libsystemd.
 *
 * Sockets come as descriptors from 3 on, LISTEN_FDS of them, when LISTEN_PID
 * is this process (sd_listen_fds(3)); they are taken for the listeners with
 * the same address or path, or that ask for their name (LISTEN_FDNAMES). systemd keeps them open while the program is being
 * replaced: a restart refuses no connection, it only makes it wait.
 *
 * State goes as a datagram to NOTIFY_SOCKET (sd_notify(3)): READY, RELOADING,
 * STOPPING. Both variables are taken out of the environment.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"
#include "master/master.h"

#define FIRST_FD 3		/* SD_LISTEN_FDS_START */
#define FDS_MAX 256

static void
bound_drop(struct bound *b)
{
	if (b->fd != -1)
		close(b->fd);
	free(b->path);
	free(b->name);
	free(b);
}

/* Its path, when it has one; abstract sockets have none. */
static char *
path_of_socket(const struct sockaddr_storage *ss, socklen_t len)
{
	struct sockaddr_un sun = { 0 };
	char *path;

	if (ss->ss_family != AF_UNIX || len <= offsetof(struct sockaddr_un, sun_path))
		return NULL;
	memcpy(&sun, ss, len < sizeof(sun) ? len : sizeof(sun));
	if (sun.sun_path[0] != '/')
		return NULL;
	path = strndup(sun.sun_path, sizeof(sun.sun_path));
	ASSERT(path != NULL);
	return path;
}

static void
take_one(struct master *m, int fd, struct span name)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss), optlen = sizeof(int);
	char text[BOUND_TEXT_MAX];
	int listening = 0;
	struct bound *b;

	if (getsockname(fd, (struct sockaddr *)&ss, &len) == -1 ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &optlen) == -1 || !listening) {
		log_warn("descriptor %d of LISTEN_FDS is no listening socket: not used", fd);
		close(fd);
		return;
	}
	b = calloc(1, sizeof(*b));
	ASSERT(b != NULL);
	b->ip = ip_from_sockaddr((struct sockaddr *)&ss, &b->port);
	b->path = path_of_socket(&ss, len);
	b->name = strndup(name.n ? name.p : "", name.n);
	ASSERT(b->name != NULL);
	b->inherited = true;
	/* Away from the low numbers that roles use, and not for anybody we execute. */
	b->fd = fcntl(fd, F_DUPFD_CLOEXEC, 16);
	close(fd);
	if ((b->ip.family == 0 && b->path == NULL) || b->fd == -1 ||
	    fcntl(b->fd, F_SETFL, fcntl(b->fd, F_GETFL) | O_NONBLOCK) == -1) {
		log_warn("descriptor %d of LISTEN_FDS is neither a TCP socket nor one of the file system: not used", fd);
		bound_drop(b);
		return;
	}
	log_info("%s comes from the starter%s%s", bound_text(b, text), *b->name ? ", named " : "", b->name);
	b->next = m->bound;
	m->bound = b;
}

void
activation_take(struct master *m)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS"), *names = getenv("LISTEN_FDNAMES");
	long n = fds ? strtol(fds, NULL, 10) : 0;
	struct span rest = span_str(names ? names : "");

	if (pid && strtol(pid, NULL, 10) == (long)getpid() && n > 0 && n <= FDS_MAX)
		for (int i = 0; i < n; i++) {
			size_t end = span_find(rest, ':');

			take_one(m, FIRST_FD + i, span_sub(rest, 0, end));
			rest = span_from(rest, end + 1);
		}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
}

void
notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	size_t n = path ? strlen(path) : 0;
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	int fd;

	if (n < 2 || n >= sizeof(sun.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(sun.sun_path, path, n);
	if (path[0] == '@')	/* an abstract address */
		sun.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1 || sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&sun,
	    len) == -1)
		log_warn("NOTIFY_SOCKET: %s", strerror(errno));
	if (fd != -1)
		close(fd);
}
